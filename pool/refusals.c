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
 *   - What hapool_cannot_fit() takes for free is never less than what was free or CACHED at one
 *     moment of the call.
 *   - hapool_frees() is read before a search, and again before its answer is used. If it is the
 *     same, no block has become free since the first reading, but for frees that were counted
 *     then and had not ended. Of hits these are none: the search begins when all magazines have
 *     been in its hands. For other frees see hapool_is_freeing(): with any of them in flight, the
 *     answer is not kept.
 *
 * To sum the counters takes longer than most allocations. So before the first lock they are only
 * looked at for what is like something that was refused lately (hapool_is_refused()).
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

/* Whether one of these refusals covers that of an extent. */
static bool hapool_refusals_cover(const struct hapool_refusals *r, u64 len, u64 align)
{
	bool cover = false;
	int i;

	lockdep_assert_held(&r->lock);
	for (i = 0; i < HAPOOL_REFUSALS; i++)
		cover |= r->of[i].len && len >= r->of[i].len && align >= r->of[i].align;
	return cover;
}

static void hapool_refusals_add(struct hapool_refusals *r, u64 len, u64 align, u64 frees)
{
	lockdep_assert_held(&r->lock);
	if (r->frees != frees)
		memset(r->of, 0, sizeof(r->of));
	r->frees = frees;
	r->of[r->next++ % HAPOOL_REFUSALS] = (struct hapool_refusal) { len, align };
}

/* Whether a refusal of the slow mode covers this, if hapool_frees() still is @frees. */
static bool hapool_refusal_of(struct hapool *p, u64 len, u64 align, u64 *frees)
{
	struct hapool_refusals *r = &p->refusals;
	bool was;

	spin_lock(&r->lock);
	*frees = r->frees;
	was = hapool_refusals_cover(r, len, align);
	spin_unlock(&r->lock);
	return was;
}

/* Whether a refusal of the slow mode covers this: no block was freed since. */
bool hapool_was_refused(struct hapool *p, u64 len, u64 align)
{
	u64 frees;

	return hapool_refusal_of(p, len, align, &frees) && hapool_frees(p) == frees;
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
 * Whether it is certain, without the slow mode, that no free run fits.
 *
 * No more blocks than @most were free or CACHED at one moment of this call: that between the sums.
 * An extent that is in `taken` was allocated before that moment. If it was free again by then, that
 * is in `given`, which is read later and was counted before the blocks could be allocated again.
 * So `taken` - `given` is at most what was neither free nor CACHED. Blocks that are HELD are not
 * in it: they may become free.
 */
bool hapool_cannot_fit(struct hapool *p, u64 len, u64 align)
{
	u64 start = round_up(p->slab.cfg.first_block, align), end = hapool_end(p);
	u64 taken = 0, given = 0, frees, most;
	unsigned int cpu;
	bool was;

	if (start >= end || len > end - start)
		return true;
	was = hapool_refusal_of(p, len, align, &frees);
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
	most = end - p->slab.cfg.first_block - max_t(s64, taken - given, 0);
	/* the last is hapool_frees() */
	return len > most || (was && end + given == frees);
}

/* ---- before any lock is taken ---- */

static bool hapool_covers(const struct hapool_refusal *r, u64 len, u64 align)
{
	u64 least = READ_ONCE(r->len);

	return least && len >= least && align >= READ_ONCE(r->align);
}

/* Some of the hints have changed: those that are shorter than all of them need no look at them. */
static void hapool_recent_changed(struct hapool_refusals *r)
{
	u64 least = U64_MAX, len;
	int i;

	for (i = 0; i < HAPOOL_REFUSALS; i++) {
		len = READ_ONCE(r->recent[i].len);
		if (len)
			least = min(least, len);
	}
	WRITE_ONCE(r->shortest, least);
}

/* An allocation was refused. */
void hapool_note_recent(struct hapool *p, u64 len, u64 align)
{
	struct hapool_refusals *r = &p->refusals;
	unsigned int next = READ_ONCE(r->next_recent);
	struct hapool_refusal *recent = &r->recent[next % HAPOOL_REFUSALS];
	int i;

	for (i = 0; i < HAPOOL_REFUSALS; i++)
		if (hapool_covers(&r->recent[i], len, align))
			return;
	WRITE_ONCE(r->next_recent, next + 1);
	WRITE_ONCE(recent->align, align);
	WRITE_ONCE(recent->len, len);
	hapool_recent_changed(r);
}

/*
 * As hapool_cannot_fit(), if something like it was refused lately; else false. So a task that is
 * refused in a loop takes no lock that others need. Tasks may change the hints at the same time,
 * and lose one: then the lock is taken once more.
 */
bool hapool_is_refused(struct hapool *p, u64 len, u64 align)
{
	struct hapool_refusals *r = &p->refusals;
	bool asked = false;
	int i;

	for (i = 0; i < HAPOOL_REFUSALS; i++) {
		if (!hapool_covers(&r->recent[i], len, align))
			continue;
		if (!asked && hapool_cannot_fit(p, len, align))
			return true;
		/* it may fit now, and so may others */
		asked = true;
		WRITE_ONCE(r->recent[i].len, 0);
	}
	if (asked)
		hapool_recent_changed(r);
	return false;
}
