// SPDX-License-Identifier: GPL-2.0
/*
 * Refusals that are certain without the slow mode, and the counters from which that is known. See
 * pool.c for the layer as a whole.
 *
 * A refusal in the slow mode takes the magazines of all CPUs, so it is avoided where the answer is
 * certain without. Nothing fits if an extent is longer than all that is free or CACHED, or than
 * what the device has after its first block of that alignment. And what a search has refused is
 * refused again, as is anything longer or more aligned, until blocks become free: in between, what
 * is free or CACHED only becomes less, whether or not it moves between slabs and magazines.
 *
 * Hits must not pay for that, so both follow from counters that each CPU has anyway. They are read
 * one after the other while they change. So for each the order matters: an allocation is counted
 * after it has happened, a free before its blocks can be allocated again. The count of a hit is
 * made while the magazine is taken, which is both.
 *
 *   - What hapool_may_fit() takes for free is never less than what was free or CACHED at one
 *     moment of the call.
 *   - hapool_frees() is read before a search, and again before its answer is used. If it is the
 *     same, no block has become free since the first reading, but for frees that were counted
 *     then and had not ended. Of hits these are none: the search begins when all magazines have
 *     been in its hands. For other frees see hapool_is_freeing(): with any of them in flight, the
 *     answer is not kept.
 *
 * To sum the counters takes longer than most allocations, and what is refused once often fits the
 * next time, as its caller has freed something. So before the first lock they are looked at only
 * for what is covered by something that was refused twice with no success in between: it is not
 * shorter and not less aligned (hapool_is_refused()).
 */
#include <linux/kernel.h>
#include <linux/log2.h>

#include "pool/internal.h"

/* Blocks freed by hits on a CPU, and allocated by hits. */
u64 hapool_cpu_given(const struct hapool *p, const struct hapool_cpu *c)
{
	u64 sum = READ_ONCE(c->given);
	int i;

	for (i = 0; i < HASLAB_NR_CLASSES; i++)
		/* the owner of the magazine counts them */
		sum += data_race(c->bin[i].frees) * hapool_class_blocks(p, i);
	return sum;
}

u64 hapool_cpu_taken(const struct hapool *p, const struct hapool_cpu *c)
{
	u64 sum = READ_ONCE(c->taken);
	int i;

	for (i = 0; i < HASLAB_NR_CLASSES; i++)
		/* likewise */
		sum += data_race(c->bin[i].hits) * hapool_class_blocks(p, i);
	return sum;
}

/*
 * A number that grows whenever blocks become free, before they can be allocated: by frees and by
 * GROW.
 */
u64 hapool_frees(const struct hapool *p)
{
	u64 sum = hapool_end(p);
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		sum += hapool_cpu_given(p, per_cpu_ptr(p->cpus, cpu));
	return sum;
}

/*
 * Whether a free that is no hit may have been counted and not have ended at the beginning of this
 * call. `freed` is summed first: if it equals `given`, all that were counted had ended.
 */
bool hapool_is_freeing(const struct hapool *p)
{
	u64 given = 0, freed = 0;
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		freed += READ_ONCE(per_cpu_ptr(p->cpus, cpu)->freed);
	/* pairs with smp_wmb() in hapool_free_end() */
	smp_rmb();
	for_each_possible_cpu(cpu)
		given += READ_ONCE(per_cpu_ptr(p->cpus, cpu)->given);
	return given != freed;
}

/* Whether the refusal of what has @least blocks, if that is not 0, covers that of an extent. */
static bool hapool_covers(u64 least, u64 least_align, u64 len, u64 align)
{
	/* what begins at a multiple of @align does so at one of @least_align */
	return least && len >= least && !haslab_skip(align, least_align);
}

/*
 * The longest of up to @max blocks that none of these refusals covers. Without the lock: it may be
 * too late.
 */
static u64 hapool_refusals_leave(const struct hapool_refusals *r, u64 max, u64 align)
{
	u64 least;
	int i;

	for (i = 0; i < HAPOOL_REFUSALS; i++) {
		least = READ_ONCE(r->of[i].len);
		if (hapool_covers(least, READ_ONCE(r->of[i].align), max, align))
			max = least - 1;
	}
	return max;
}

static void hapool_refusals_add(struct hapool_refusals *r, u64 len, u64 align, u64 frees)
{
	struct hapool_refusal *of = &r->of[r->next++ % HAPOOL_REFUSALS];
	int i;

	lockdep_assert_held(&r->lock);
	for (i = 0; i < HAPOOL_REFUSALS && r->frees != frees; i++)
		WRITE_ONCE(r->of[i].len, 0);
	r->frees = frees;
	WRITE_ONCE(of->align, align);
	WRITE_ONCE(of->len, len);
}

/* The longest that refusals of the slow mode leave, if hapool_frees() still is @frees. */
static u64 hapool_refused_above(struct hapool *p, u64 max, u64 align, u64 *frees)
{
	struct hapool_refusals *r = &p->refusals;

	/* all tasks share this lock */
	if (hapool_refusals_leave(r, max, align) == max)
		return max;
	spin_lock(&r->lock);
	*frees = r->frees;
	max = hapool_refusals_leave(r, max, align);
	spin_unlock(&r->lock);
	return max;
}

/* Whether a refusal of the slow mode covers this: no block was freed since. */
bool hapool_was_refused(struct hapool *p, u64 len, u64 align)
{
	u64 frees = 0;

	return hapool_refused_above(p, len, align, &frees) < len && hapool_frees(p) == frees;
}

/* Note that a search has found nothing; hapool_frees() was @frees before it. */
void hapool_note_refusal(struct hapool *p, u64 len, u64 align, u64 frees)
{
	struct hapool_refusals *r = &p->refusals;

	lockdep_assert_held(&p->slow);
	spin_lock(&r->lock);
	hapool_refusals_add(r, len, align, frees);
	spin_unlock(&r->lock);
}

/*
 * The longest of up to @max blocks that may fit: it is certain, without the slow mode, that nothing
 * longer does.
 *
 * No more blocks than @most were free or CACHED at one moment of this call: that between the sums.
 * An extent that is in `taken` was allocated before that moment. If it was free again by then, that
 * is in `given`, which is read later and was counted before the blocks could be allocated again.
 * So `taken` - `given` is at most what was neither free nor CACHED. Blocks that are HELD are not
 * in it: they may become free.
 */
u64 hapool_may_fit(struct hapool *p, u64 max, u64 align)
{
	u64 first = p->slab.cfg.first_block, end = hapool_end(p);
	u64 start = first + haslab_skip(first, align);
	u64 taken = 0, given = 0, frees = 0, most, left;
	unsigned int cpu;

	if (start >= end)
		return 0;
	max = min(max, end - start);
	left = hapool_refused_above(p, max, align, &frees);
	for_each_possible_cpu(cpu)
		taken += hapool_cpu_taken(p, per_cpu_ptr(p->cpus, cpu));
	/*
	 * Pairs with the lock or the magazine through which freed blocks come to their next
	 * owner, and with smp_wmb() in hapool_free_refused().
	 */
	smp_rmb();
	for_each_possible_cpu(cpu)
		given += hapool_cpu_given(p, per_cpu_ptr(p->cpus, cpu));
	/* what lies in new space was allocated after smp_mb() in haslab_grow_locked() */
	smp_rmb();
	end = hapool_end(p);
	/* with a sum that is torn, on 32 bits, this may be very large: then it may fit */
	most = end - first - max_t(s64, taken - given, 0);
	/* the last is hapool_frees() */
	if (left < max && end + given == frees)
		max = left;
	return min(max, most);
}

/* Whether it is certain, without the slow mode, that no free run fits. */
bool hapool_cannot_fit(struct hapool *p, u64 len, u64 align)
{
	return hapool_may_fit(p, len, align) < len;
}

/* ---- before any lock is taken ---- */

static bool hapool_hint_covers(const struct hapool_hint *h, u64 len, u64 align)
{
	return hapool_covers(READ_ONCE(h->len), READ_ONCE(h->align), len, align);
}

/* Some of the hints may have changed: what is shorter than all of them needs no look at them. */
static void hapool_hints_changed(struct hapool_refusals *r)
{
	u64 least = U64_MAX, len;
	int i;

	for (i = 0; i < HAPOOL_REFUSALS; i++) {
		len = READ_ONCE(r->hints[i].len);
		if (len)
			least = min(least, len);
	}
	if (READ_ONCE(r->shortest_hint) != least)
		WRITE_ONCE(r->shortest_hint, least);
}

/* An allocation was refused. */
void hapool_hint_add(struct hapool *p, u64 len, u64 align)
{
	struct hapool_refusals *r = &p->refusals;
	unsigned int next = READ_ONCE(r->next_hint), i;
	struct hapool_hint *h = &r->hints[next % HAPOOL_REFUSALS];

	for (i = 0; i < HAPOOL_REFUSALS; i++)
		if (hapool_hint_covers(&r->hints[i], len, align))
			break;
	if (i < HAPOOL_REFUSALS) {
		WRITE_ONCE(r->hints[i].again, true);
	} else {
		WRITE_ONCE(r->next_hint, next + 1);
		WRITE_ONCE(h->again, false);
		WRITE_ONCE(h->align, align);
		WRITE_ONCE(h->len, len);
	}
	hapool_hints_changed(r);
}

/* An allocation fits, or may fit: what covers it is no hint any more. */
void hapool_hints_drop(struct hapool *p, u64 len, u64 align)
{
	struct hapool_refusals *r = &p->refusals;
	int i;

	for (i = 0; i < HAPOOL_REFUSALS; i++)
		if (hapool_hint_covers(&r->hints[i], len, align))
			WRITE_ONCE(r->hints[i].len, 0);
	hapool_hints_changed(r);
}

/*
 * As hapool_cannot_fit(), if something that covers it was refused twice; else false. So a task
 * that is refused in a loop takes no lock that others need. Tasks may change the hints at the same
 * time and lose one, or leave a wrong length of the shortest: the next call that passes by the
 * hints mends that.
 */
bool hapool_is_refused(struct hapool *p, u64 len, u64 align)
{
	struct hapool_refusals *r = &p->refusals;
	bool asks = false;
	int i;

	for (i = 0; i < HAPOOL_REFUSALS; i++)
		asks |= hapool_hint_covers(&r->hints[i], len, align) &&
			READ_ONCE(r->hints[i].again);
	if (asks && hapool_cannot_fit(p, len, align))
		return true;
	if (asks)
		hapool_hints_drop(p, len, align);
	else
		hapool_hints_changed(r);
	return false;
}
