// SPDX-License-Identifier: GPL-2.0
/*
 * hybrid-sim fuzz with several threads on one allocator.
 *
 * The marks of marks.h record which blocks are taken, so that an overlap is found at
 * once. What a thread may expect while the others work:
 *   - an extent of its own is live: a free of a part of it, or of more, is refused with
 *     the same reason as with one thread
 *   - a second free is refused, unless another thread can have allocated the same extent
 *     in between. In some seeds each length belongs to one thread, which rules that out
 *   - of two frees of the same extent at the same time, one succeeds
 *   - a block can be had if the threads together never ask for more blocks than there are, counted
 *     from before an allocation until after a free
 *   - a block that a thread has reserved can be had
 * After phases that only allocate, a length that did not fit must not fit when all
 * threads have stopped, and one that was refused because of reservations must still be more than
 * what is free beyond them; all of that can be reserved, and no block more. Then everything is
 * also compared with the ledger, as with one thread.
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "marks.h"
#include "sim_fuzz.h"

#define MAX_LIVE	512		/* of a thread */
#define NR_PASSED	64		/* extents on their way to another thread */
#define NR_FAILED	32
#define NR_FREED	8
#define SLOT_BLOCKS	4096

/* What a thread does besides plain allocations and frees. */
enum act {
	HAND_OVER, WRONG_FREE, CLAIM, LOOK, DUEL, DRAIN, CPU_DEAD, SHRINK, DRAIN_IDLE, STAT, GROW,
	HOLD, MOVE, PART, RESERVE, NR_ACTS
};

/**
 * struct situation - what the threads of a seed do more than usual
 * @name: for --situation
 * @more: in 10000 operations of a thread, added to acts[].weight
 * @small: extents of a few blocks, all of them in slabs
 * @full: the device is too small for what the threads may allocate
 * @coloured: each length belongs to a thread
 * @counted: of single blocks, the threads allocate as many as there are, and no more
 * @grows: how often the device grows, at the most
 */
struct situation {
	const char *name;
	u16 more[NR_ACTS];
	bool small;
	bool full;
	bool coloured;
	bool counted;
	unsigned int grows;
};

static const struct situation situations[] = {
	{ "any", .grows = 2 },
	{ "claim", { [CLAIM] = 2000 }, .small = true },
	{ "drain", { [DRAIN] = 150, [CPU_DEAD] = 300, [STAT] = 50 } },
	{ "duel", { [DUEL] = 1500 }, .coloured = true },
	{ "full", { [DRAIN] = 20, [CLAIM] = 100, [STAT] = 20 }, .full = true },
	{ "grow", { [GROW] = 200 }, .grows = 50 },
	{ "hand-over", { [HAND_OVER] = 3000 } },
	{ "hold", { [HOLD] = 300 } },
	{ "last-block", { [HAND_OVER] = 500, [CLAIM] = 20, [STAT] = 20 }, .small = true,
	  .full = true, .counted = true },
	{ "reserve", { [RESERVE] = 3000, [HAND_OVER] = 500, [STAT] = 20, [HOLD] = 20 },
	  .full = true },
	{ "reserve-last", { [RESERVE] = 4000, [HAND_OVER] = 500, [SHRINK] = 20 }, .small = true,
	  .full = true },
	{ "part", { [PART] = 3000, [CLAIM] = 200 } },
	{ "reserve-part", { [RESERVE] = 3000, [PART] = 2000 }, .full = true },
	{ "shrink", { [SHRINK] = 600, [DRAIN_IDLE] = 300 } },
};

struct worker {
	pthread_t thread;
	int id;
	struct team *team;
	struct fuzzer *z;
	struct dice dice;
	struct extent live[MAX_LIVE];
	unsigned int nr_live;
	struct extent freed[NR_FREED];	/* recently, of lengths that belong to this thread */
	struct { u64 len, align; } failed[NR_FAILED];
	unsigned int nr_failed;
	struct hapool_reservation v;
	bool reserving;			/* it is open */
	u64 reserved;			/* what it has */
	u64 least_refused;		/* blocks that were refused because of reservations */
	unsigned int searches;		/* allocations that may still fail in this phase */
	struct fuzz_count count;
};

/* An extent that two threads free at the same time. */
struct duel {
	struct extent e;
	int ret;
	int ready;
	bool done;
};

struct team {
	struct fuzzer *z;
	pthread_barrier_t barrier;
	const struct situation *situation;
	struct marks marks;		/* of the blocks that are taken */
	struct extent fixed[2];		/* never freed while the threads run */
	u64 end;			/* of the device, now */
	u64 recent;			/* start of an extent of some thread */
	u64 size;			/* of the device before it grows */
	u64 used;			/* blocks that may be taken, if counted */
	struct extent *passed[NR_PASSED];
	struct duel *duel;
	unsigned int max_live;
	u64 usual;
	bool coloured;
	unsigned int mix[2], allocs;
	u64 phase_ops;
	bool over;
	u64 ops;
	struct worker *workers;
};

/* ---- the marks ---- */

/* What it prints may be out of date: the other threads still run. */
static void __attribute__((noreturn))
overlap(struct worker *w, const char *what, u64 start, u64 len)
{
	struct team *t = w->team;
	unsigned int i, k;

	for (i = 0; i < w->z->threads; i++) {
		for (k = 0; k < t->workers[i].nr_live; k++) {
			struct extent *e = &t->workers[i].live[k];

			if (e->start < start + len && start < e->start + e->len)
				fprintf(stderr, "# thread %u has %llu blocks at %llu\n", i, e->len,
					e->start);
		}
	}
	fuzz_wrong(w->z, "%s: %llu blocks at %llu: handed out twice", what, len, start);
}

static void mark(struct worker *w, const char *what, u64 start, u64 len, u64 align)
{
	u64 end = start + len;
	int k;

	if (start < w->z->cfg.first_block || len > READ_ONCE(w->team->end) - start)
		fuzz_wrong(w->z, "%llu blocks at %llu are not on the device", len, start);
	if (start % align)
		fuzz_wrong(w->z, "block %llu is not aligned to %llu", start, align);
	for (k = 0; k < 2; k++)
		if (w->team->fixed[k].len && end > w->team->fixed[k].start &&
		    start < w->team->fixed[k].start + w->team->fixed[k].len)
			fuzz_wrong(w->z, "%s: %llu blocks at %llu were handed out before",
				   what, len, start);
	if (!marks_set(&w->team->marks, start, len))
		overlap(w, what, start, len);
}

static void unmark(struct worker *w, u64 start, u64 len)
{
	if (!marks_clear(&w->team->marks, start, len))
		fuzz_wrong(w->z, "%llu blocks at %llu: were not taken", len, start);
}

/* ---- operations ---- */

static bool is_own_length(const struct worker *w, u64 len)
{
	return len * 0x9e3779b97f4a7c15ULL % w->z->threads == w->id;
}

static u64 draw_len(struct worker *w)
{
	struct team *t = w->team;
	int tries = 32;
	u64 len;

	do {
		len = fuzz_len(&w->dice, t->mix[pick(&w->dice, 2)], t->usual,
			       fuzz_size(w->z));
	} while (t->coloured && !is_own_length(w, len) && --tries);
	return tries ? len : 0;
}

static void add_live(struct worker *w, u64 start, u64 len)
{
	int i;

	for (i = 0; i < NR_FREED; i++)
		if (w->freed[i].start == start && w->freed[i].len == len)
			w->freed[i].len = 0;
	w->live[w->nr_live++] = (struct extent) { start, len };
	WRITE_ONCE(w->team->recent, start);
}

static struct extent remove_live(struct worker *w)
{
	unsigned int i = pick(&w->dice, w->nr_live);
	struct extent e = w->live[i];

	w->live[i] = w->live[--w->nr_live];
	return e;
}

/* Count blocks before they are allocated. Return: whether there are so many. */
static bool count_used(struct team *t, u64 len)
{
	if (__atomic_add_fetch(&t->used, len, __ATOMIC_SEQ_CST) <= t->size)
		return true;
	__atomic_sub_fetch(&t->used, len, __ATOMIC_SEQ_CST);
	return false;
}

/* The same when they are free again. */
static void count_unused(struct team *t, u64 len)
{
	if (t->situation->counted)
		__atomic_sub_fetch(&t->used, len, __ATOMIC_SEQ_CST);
}

/* One block: another one must be there. */
static void alloc_counted(struct worker *w, gfp_t gfp)
{
	u64 start;
	int ret;

	if (w->nr_live == w->team->max_live || !count_used(w->team, 1))
		return;
	w->count.allocs++;
	ret = hapool_alloc(&w->z->pool, 1, 1, HAPOOL_NO_GOAL, gfp, &start);
	if (ret == -EAGAIN && gfp == GFP_NOWAIT) {
		w->count.again++;
		count_unused(w->team, 1);
		return;
	}
	if (ret)
		fuzz_wrong(w->z, "alloc of a block while one is free: %d", ret);
	mark(w, "alloc", start, 1, 1);
	add_live(w, start, 1);
}

static void was_reserved(struct worker *w, u64 nr)
{
	w->count.reserved_refusals++;
	w->least_refused = min(w->least_refused, nr);
}

/* A block that is reserved must be there. */
static void alloc_reserved(struct worker *w, gfp_t gfp)
{
	u64 len = 1, max = 1, start;
	int ret;

	if (!w->reserved || w->nr_live == w->team->max_live ||
	    (w->team->coloured && !is_own_length(w, 1)))
		return;
	w->count.reserved_allocs++;
	if (!w->team->coloured && !pick(&w->dice, 4))
		max += pick(&w->dice, 8);
	ret = hapool_alloc_reserved(&w->z->pool, &w->v, &len, max, 1, HAPOOL_NO_GOAL, gfp, &start);
	if (ret == -EAGAIN && gfp == GFP_NOWAIT) {
		w->count.again++;
		return;
	}
	if (ret || len > min(max, w->reserved))
		fuzz_wrong(w->z, "alloc of up to %llu blocks of %llu that are reserved: %d, %llu",
			   max, w->reserved, ret, len);
	w->reserved -= len;
	mark(w, "reserved alloc", start, len, 1);
	add_live(w, start, len);
}

static void do_reserve(struct worker *w)
{
	u64 nr = 1 + pick(&w->dice, 100);
	int ret;

	w->count.reserves++;
	ret = hapool_reserve(&w->z->pool, &w->v, nr, GFP_KERNEL);
	if (ret == -EDQUOT)
		was_reserved(w, nr);
	else if (ret)
		fuzz_wrong(w->z, "reserve of %llu blocks: %d", nr, ret);
	else
		w->reserved += nr;
}

static void do_alloc(struct worker *w, gfp_t gfp)
{
	u64 len = draw_len(w), align = 1, goal = HAPOOL_NO_GOAL, start, most, least;
	int ret;

	if (w->team->situation->counted) {
		alloc_counted(w, gfp);
		return;
	}

	if (!len || !w->searches || w->nr_live == w->team->max_live)
		return;
	if (!pick(&w->dice, 6))
		align <<= pick(&w->dice, 19);
	else if (!pick(&w->dice, 12))
		align = pick_log(&w->dice, 14);
	if (!pick(&w->dice, 20))
		goal = w->z->cfg.first_block + pick(&w->dice, fuzz_size(w->z));
	else if (w->nr_live && !pick(&w->dice, 8))
		goal = w->live[w->nr_live - 1].start + w->live[w->nr_live - 1].len;
	w->count.allocs++;
	/* another length may be that of another thread */
	if (!w->team->coloured && !pick(&w->dice, 6)) {
		most = len;
		len = 1 + pick(&w->dice, pick(&w->dice, 2) ? most : min(most, 4ULL));
		w->count.uptos++;
		least = len;
		ret = hapool_alloc_upto(&w->z->pool, &len, most, align, goal, gfp,
					&start);
		if (!ret && (len < least || len > most))
			fuzz_wrong(w->z, "alloc of %llu to %llu blocks: %llu", least, most, len);
		if (ret)
			len = least;
	} else {
		ret = hapool_alloc(&w->z->pool, len, align, goal, gfp, &start);
	}
	if (ret == -EAGAIN && gfp == GFP_NOWAIT) {
		w->count.again++;
	} else if (ret == -EDQUOT) {
		was_reserved(w, len);
	} else if (ret == -ENOSPC) {
		w->count.enospc++;
		w->searches--;
		if (w->nr_failed == NR_FAILED)
			return;
		w->failed[w->nr_failed].len = len;
		w->failed[w->nr_failed++].align = align;
	} else if (ret) {
		fuzz_wrong(w->z, "alloc of %llu blocks aligned to %llu: %d", len, align, ret);
	} else {
		mark(w, "alloc", start, len, align);
		add_live(w, start, len);
	}
}

static void give(struct worker *w, struct extent e)
{
	enum hybrid_alloc_reason reason = HYBRID_ALLOC_REASON_NONE;
	int ret;

	unmark(w, e.start, e.len);
	ret = fuzz_free(w->z, e.start, e.len, &reason);
	if (ret)
		fuzz_wrong(w->z, "free of %llu blocks at %llu: %d, reason %d", e.len, e.start,
			   ret, reason);
	count_unused(w->team, e.len);
	if (w->team->coloured && is_own_length(w, e.len))
		w->freed[w->count.frees % NR_FREED] = e;
	w->count.frees++;
}

/* Leave an extent for another thread to free, and free what was left in the same place. */
static void hand_over(struct worker *w)
{
	struct extent *e;

	if (!w->nr_live)
		return;
	e = malloc(sizeof(*e));
	*e = remove_live(w);
	e = __atomic_exchange_n(&w->team->passed[pick(&w->dice, NR_PASSED)], e, __ATOMIC_ACQ_REL);
	if (e)
		give(w, *e);
	free(e);
}

static void must_refuse(struct worker *w, u64 start, u64 len, int err,
			enum hybrid_alloc_reason expected)
{
	enum hybrid_alloc_reason reason = HYBRID_ALLOC_REASON_NONE;
	int ret = fuzz_free(w->z, start, len, &reason);

	if (err ? ret != err || reason != expected :
		  (ret != -ENOENT && ret != -EINVAL) || reason == HYBRID_ALLOC_REASON_NONE)
		fuzz_wrong(w->z, "wrong free of %llu blocks at %llu: %d, reason %d, not %d, %d",
			   len, start, ret, reason, err, expected);
	w->count.refused[reason]++;
}

static void wrong_free(struct worker *w)
{
	struct extent e = w->freed[pick(&w->dice, NR_FREED)];
	u64 len;

	if (e.len && pick(&w->dice, 2)) {
		must_refuse(w, e.start, e.len, 0, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
		return;
	}
	if (!w->nr_live)
		return;
	e = w->live[pick(&w->dice, w->nr_live)];
	if (e.len > 1 && pick(&w->dice, 2)) {
		must_refuse(w, e.start + 1 + pick(&w->dice, e.len - 1), 1, -EINVAL,
			    HYBRID_ALLOC_REASON_WRONG_START);
		return;
	}
	len = pick(&w->dice, 2) ? e.len + 1 : fuzz_len(&w->dice, 0, 1, fuzz_size(w->z));
	if (len != e.len && e.start + len <= w->z->cfg.nr_blocks)
		must_refuse(w, e.start, len, -EINVAL, HYBRID_ALLOC_REASON_WRONG_LENGTH);
}

/* Lets both threads go on at about the same time. */
static void wait_for_two(struct worker *w, int *ready)
{
	int spins = 0;

	__atomic_fetch_add(ready, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(ready, __ATOMIC_ACQUIRE) < 2) {
		if (++spins % 1024)
			cpu_relax();
		else
			sched_yield();
	}
	for (spins = pick(&w->dice, 4); spins; spins--)
		cpu_relax();
}

/* Only this thread allocates this length, and not while it waits: the extent stays free. */
static void begin_duel(struct worker *w)
{
	struct duel d = { .e = remove_live(w) }, *expected = NULL;
	enum hybrid_alloc_reason reason = HYBRID_ALLOC_REASON_NONE;
	struct duel **slot = &w->team->duel;
	int i, ret;

	if (!is_own_length(w, d.e.len) ||
	    !__atomic_compare_exchange_n(slot, &expected, &d, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_RELAXED)) {
		give(w, d.e);
		return;
	}
	for (i = 0; i < 20 && __atomic_load_n(slot, __ATOMIC_RELAXED) == &d; i++)
		sched_yield();
	expected = &d;
	if (__atomic_compare_exchange_n(slot, &expected, NULL, false, __ATOMIC_ACQ_REL,
					__ATOMIC_RELAXED)) {
		give(w, d.e);	/* no thread joined */
		return;
	}
	unmark(w, d.e.start, d.e.len);
	wait_for_two(w, &d.ready);
	ret = fuzz_free(w->z, d.e.start, d.e.len, &reason);
	while (!__atomic_load_n(&d.done, __ATOMIC_ACQUIRE))
		sched_yield();
	if (!ret == !d.ret)
		fuzz_wrong(w->z, "two frees of %llu blocks at %llu: %d and %d", d.e.len,
			   d.e.start, ret, d.ret);
	count_unused(w->team, d.e.len);
	w->count.frees++;
	if (ret)
		w->count.refused[reason]++;
}

static void join_duel(struct worker *w)
{
	struct duel *d = __atomic_exchange_n(&w->team->duel, NULL, __ATOMIC_ACQ_REL);
	enum hybrid_alloc_reason reason = HYBRID_ALLOC_REASON_NONE;

	if (!d)
		return;
	wait_for_two(w, &d->ready);
	d->ret = fuzz_free(w->z, d->e.start, d->e.len, &reason);
	w->count.duels++;
	if (d->ret)
		w->count.refused[reason]++;
	__atomic_store_n(&d->done, true, __ATOMIC_RELEASE);
}

static void duel(struct worker *w)
{
	if (!w->team->coloured)
		return;
	join_duel(w);
	if (w->nr_live)
		begin_duel(w);
}

static void do_claim(struct worker *w)
{
	u64 len = draw_len(w), start = w->z->cfg.first_block + pick(&w->dice, fuzz_size(w->z));
	struct extent *e = w->nr_live ? &w->live[pick(&w->dice, w->nr_live)] : NULL;
	int ret;

	if (!len || w->nr_live == w->team->max_live)
		return;
	/* near another extent, or in it: a slab with free objects becomes a mixed part */
	if (e && pick(&w->dice, 2))
		start = e->start + pick(&w->dice, e->len + 1);
	else if (pick(&w->dice, 2))
		start = READ_ONCE(w->team->recent) + pick(&w->dice, 64);
	if (start + len > w->z->cfg.nr_blocks)
		return;
	if (w->team->situation->counted && !count_used(w->team, len))
		return;
	w->count.claims++;
	ret = hapool_claim(&w->z->pool, start, len, GFP_KERNEL);
	if (ret == -EDQUOT) {
		was_reserved(w, len);
		return;
	}
	if (ret == -EEXIST) {
		w->count.exists++;
		count_unused(w->team, len);
		return;
	}
	if (ret)
		fuzz_wrong(w->z, "claim of %llu blocks at %llu: %d", len, start, ret);
	mark(w, "claim", start, len, 1);
	add_live(w, start, len);
}

/* An extent of the thread's own is in the map, and what follows has neither gap nor overlap. */
static void look(struct worker *w)
{
	struct haslab_extent entries[32];
	struct extent *e;
	int nr, i;

	if (!w->nr_live)
		return;
	e = &w->live[pick(&w->dice, w->nr_live)];
	w->count.looks++;
	nr = hapool_map(&w->z->pool, e->start + pick(&w->dice, e->len), entries,
			1 + pick(&w->dice, ARRAY_SIZE(entries)));
	if (nr < 1 || entries[0].state != HYBRID_ALLOC_MAP_LIVE ||
	    entries[0].start != e->start || entries[0].len != e->len)
		fuzz_wrong(w->z, "map: %llu blocks at %llu of state %d, not the live %llu at %llu",
			   entries[0].len, entries[0].start, entries[0].state, e->len, e->start);
	for (i = 1; i < nr; i++)
		if (entries[i].start != entries[i - 1].start + entries[i - 1].len)
			fuzz_wrong(w->z, "map: an entry ends at %llu, the next begins at %llu",
				   entries[i - 1].start + entries[i - 1].len, entries[i].start);
}

/* As TRIM does. An allocation of the holder must not wait, for it would wait for itself. */
static void hold(struct worker *w)
{
	u64 start = w->z->cfg.first_block + pick(&w->dice, fuzz_size(w->z)), len;
	int i, ret;

	if (!hapool_next_free(&w->z->pool, start, &start, &len))
		return;
	len = min(len, 1 + pick_log(&w->dice, 14));
	ret = hapool_hold(&w->z->pool, &start, &len, GFP_KERNEL);
	if (ret == -EAGAIN)
		return;
	if (ret)
		fuzz_wrong(w->z, "hold of %llu blocks at %llu: %d", len, start, ret);
	mark(w, "hold", start, len, 1);
	w->count.holds++;
	for (i = 0; i < 4; i++) {
		if (w->nr_live && pick(&w->dice, 2))
			give(w, remove_live(w));
		else
			do_alloc(w, GFP_NOWAIT);
	}
	unmark(w, start, len);
	hapool_unhold(&w->z->pool, start, len);
}

static void grow(struct worker *w)
{
	struct fuzzer *z = w->z;
	u64 before = READ_ONCE(w->team->end);
	u64 more = 1 + pick(&w->dice, 2 * SLOT_BLOCKS), end;
	int ret;

	if (pick(&w->dice, 2))
		more = pick_log(&w->dice, ilog2(fuzz_size(z)) + 1);
	end = before + more;
	if (w->id || w->count.grows == w->team->situation->grows || end > w->team->marks.nr_blocks)
		return;
	/* other threads may get new blocks before hapool_grow() returns */
	WRITE_ONCE(w->team->end, end);
	ret = hapool_grow(&z->pool, end, GFP_KERNEL);
	if (ret)
		fuzz_wrong(z, "grow from %llu to %llu blocks: %d", before, end, ret);
	w->count.grows++;
}

/* ---- parts of the thread's own extents ---- */

/* What is cut off may be another thread's at once. */
static void cut(struct worker *w, struct extent e, gfp_t gfp)
{
	u64 start = e.start + (pick(&w->dice, 3) ? pick(&w->dice, e.len) : 0);
	u64 end = e.start + e.len, len = pick(&w->dice, 3) ? 1 + pick(&w->dice, end - start) :
							      end - start;
	enum hybrid_alloc_reason reason;
	int ret;

	unmark(w, start, len);
	ret = hapool_cut(&w->z->pool, start, len, gfp, &reason);
	w->count.cuts++;
	if (ret == -EAGAIN && gfp == GFP_NOWAIT) {
		w->count.again++;
		mark(w, "cut", start, len, 1);
		add_live(w, e.start, e.len);
		return;
	}
	if (ret)
		fuzz_wrong(w->z, "cut of %llu blocks at %llu, out of %llu at %llu: %d, reason %d",
			   len, start, e.len, e.start, ret, reason);
	if (start > e.start)
		add_live(w, e.start, start - e.start);
	if (start + len < end)
		add_live(w, start + len, end - start - len);
}

static void split(struct worker *w, struct extent e, gfp_t gfp)
{
	u64 at = e.start + 1 + pick(&w->dice, e.len - 1);
	enum hybrid_alloc_reason reason;
	int ret = hapool_split(&w->z->pool, e.start, e.len, at, gfp, &reason);

	w->count.splits++;
	if (ret == -EAGAIN && gfp == GFP_NOWAIT) {
		w->count.again++;
		add_live(w, e.start, e.len);
		return;
	}
	if (ret)
		fuzz_wrong(w->z, "split of %llu blocks at %llu, at %llu: %d, reason %d", e.len,
			   e.start, at, ret, reason);
	add_live(w, e.start, at - e.start);
	add_live(w, at, e.start + e.len - at);
}

static void extend(struct worker *w, struct extent e, gfp_t gfp)
{
	u64 most = fuzz_len(&w->dice, w->team->mix[0], w->team->usual, fuzz_size(w->z)), got;
	u64 least = pick(&w->dice, 2) ? most : 1;
	enum hybrid_alloc_reason reason;
	int ret = hapool_extend(&w->z->pool, e.start, e.len, least, most, gfp, &got, &reason);

	w->count.extends++;
	if (ret == -EAGAIN && gfp == GFP_NOWAIT)
		w->count.again++;
	else if (ret == -EDQUOT)
		was_reserved(w, least);
	else if (ret && ret != -ENOSPC)
		fuzz_wrong(w->z, "extend of %llu blocks at %llu by %llu: %d, reason %d", e.len,
			   e.start, most, ret, reason);
	else if (!ret && (got < least || got > most))
		fuzz_wrong(w->z, "extend of %llu blocks at %llu by %llu: %llu", e.len, e.start,
			   most, got);
	if (!ret)
		mark(w, "extend", e.start + e.len, got, 1);
	add_live(w, e.start, e.len + got);
}

/*
 * Not where a second free is known to be refused: a part may be another thread's extent in that
 * place.
 */
static void part(struct worker *w)
{
	gfp_t gfp = pick(&w->dice, 8) ? GFP_KERNEL : GFP_NOWAIT;
	struct extent e;

	if (w->team->coloured || w->team->situation->counted || !w->nr_live ||
	    w->nr_live + 1 >= w->team->max_live)
		return;
	e = remove_live(w);
	switch (pick(&w->dice, 4)) {
	case 0:
		if (e.len > 1) {
			split(w, e, gfp);
			return;
		}
		break;
	case 1:
		extend(w, e, gfp);
		return;
	}
	cut(w, e, gfp);
}

static void drain(struct worker *w)
{
	hapool_drain(&w->z->pool);
}

static void cpu_dead(struct worker *w)
{
	hapool_drain_cpu(&w->z->pool, pick(&w->dice, nr_cpu_ids));
}

/* As the kernel does when memory is short. */
static void shrink(struct worker *w)
{
	hapool_shrink(&w->z->pool, pick(&w->dice, 8));
}

/* As the module does now and then, from one task. */
static void drain_idle(struct worker *w)
{
	if (!w->id)
		hapool_drain_idle(&w->z->pool);
}

static void take_stat(struct worker *w)
{
	struct hapool_stat st;

	if (fuzz_size(w->z) < LOOK_BLOCKS * 16)
		hapool_stat(&w->z->pool, &st, pick(&w->dice, 2));
}

/* Reserve some, give some back, or use a block. */
static void reserve(struct worker *w)
{
	u64 nr;

	if (w->team->situation->counted)
		return;
	if (!w->reserving) {
		if (hapool_reservation_open(&w->z->pool, &w->v))
			fuzz_wrong(w->z, "a reservation cannot be opened");
		w->reserving = true;
	}
	switch (pick(&w->dice, 8)) {
	case 0:
		do_reserve(w);
		break;
	case 1:
		nr = pick(&w->dice, w->reserved + 1);
		w->reserved -= nr;
		if (hapool_unreserve(&w->z->pool, &w->v, nr))
			fuzz_wrong(w->z, "unreserve of %llu blocks failed", nr);
		break;
	case 2:
		/* the last one to close ends the watch */
		if (pick(&w->dice, 4))
			break;
		hapool_reservation_close(&w->z->pool, &w->v);
		w->reserved = 0;
		w->reserving = false;
		break;
	default:
		alloc_reserved(w, pick(&w->dice, 16) ? GFP_KERNEL : GFP_NOWAIT);
	}
}

static void move(struct worker *w)
{
	sim_set_cpu(1 + 2 * w->id + pick(&w->dice, 2));
}

/* How often in 10000 operations; the rest are allocations and frees. */
static const struct {
	void (*run)(struct worker *w);
	u16 weight;
} acts[NR_ACTS] = {
	[HAND_OVER] = { hand_over, 500 },
	[WRONG_FREE] = { wrong_free, 800 },
	[CLAIM] = { do_claim, 400 },
	[LOOK] = { look, 300 },
	[DUEL] = { duel, 400 },
	[DRAIN] = { drain, 8 },
	[CPU_DEAD] = { cpu_dead, 8 },
	[SHRINK] = { shrink, 8 },
	[DRAIN_IDLE] = { drain_idle, 8 },
	[STAT] = { take_stat, 8 },
	[GROW] = { grow, 8 },
	[HOLD] = { hold, 17 },
	[MOVE] = { move, 50 },
	[PART] = { part, 300 },
	[RESERVE] = { reserve, 20 },
};

static void do_something(struct worker *w)
{
	unsigned int what = pick(&w->dice, 10000), act, weight;

	for (act = 0; act < NR_ACTS; act++) {
		weight = acts[act].weight + w->team->situation->more[act];
		if (what < weight) {
			acts[act].run(w);
			return;
		}
		what -= weight;
	}
	if (pick(&w->dice, 100) < w->team->allocs)
		do_alloc(w, pick(&w->dice, 16) ? GFP_KERNEL : GFP_NOWAIT);
	else if (w->nr_live)
		give(w, remove_live(w));
}

/* ---- phases ---- */

static void begin_phase(struct team *t)
{
	static const u8 allocs[] = { 30, 45, 50, 55, 90 };
	struct dice *d = &t->z->dice;

	t->mix[0] = t->situation->small ? FUZZ_MIX_USUAL : pick(d, FUZZ_MIXES);
	t->mix[1] = t->situation->small ? FUZZ_MIX_USUAL : pick(d, FUZZ_MIXES);
	t->allocs = allocs[pick(d, ARRAY_SIZE(allocs))];
	t->phase_ops = 50 + pick(d, 1000);
	fuzz_draw_faults(d, false);
}

static void ledger_add(struct team *t, struct extent e)
{
	const char *why = ledger_take(t->z->ledger, e.start, e.len, 1);

	if (why)
		fuzz_wrong(t->z, "when all had stopped: %s", why);
}

/* What is free beyond the reservations, to the last block. */
static void check_reserved(struct team *t)
{
	struct fuzzer *z = t->z;
	u64 free = fuzz_size(z) - ledger_used(z->ledger);
	struct hapool_reservation v;
	unsigned int i;

	z->reserved = 0;
	for (i = 0; i < z->threads; i++)
		z->reserved += t->workers[i].reserved;
	if (z->reserved > free)
		fuzz_wrong(z, "%llu blocks are reserved, %llu free", z->reserved, free);
	free -= z->reserved;
	for (i = 0; i < z->threads; i++)
		if (t->workers[i].least_refused <= free)
			fuzz_wrong(z, "refused %llu blocks, %llu are free and not reserved",
				   t->workers[i].least_refused, free);
	if (!z->count.reserves || pick(&z->dice, 4))
		return;
	if (hapool_reservation_open(&z->pool, &v) ||
	    hapool_reserve(&z->pool, &v, free + 1, GFP_KERNEL) != -EDQUOT ||
	    hapool_reserve(&z->pool, &v, free, GFP_KERNEL))
		fuzz_wrong(z, "reserve of all of %llu blocks, or of more", free);
	hapool_reservation_close(&z->pool, &v);
	t->workers[0].count.reserved_refusals++;
	z->count.reserved_refusals++;
}

/* All threads have stopped, after a phase that only allocated. */
static void check_phase(struct team *t)
{
	struct fuzzer *z = t->z;
	u64 checks = z->count.checks;
	unsigned int i, k;

	z->cfg.nr_blocks = t->end;
	ledger_free(z->ledger);
	z->ledger = ledger_new(z->cfg.first_block, t->end);
	for (k = 0; k < 2; k++)
		if (t->fixed[k].len)
			ledger_add(t, t->fixed[k]);
	for (i = 0; i < NR_PASSED; i++)
		if (t->passed[i])
			ledger_add(t, *t->passed[i]);
	memset(&z->count, 0, sizeof(z->count));
	z->count.checks = checks;
	for (i = 0; i < z->threads; i++) {
		struct worker *w = &t->workers[i];

		for (k = 0; k < w->nr_live; k++)
			ledger_add(t, w->live[k]);
		fuzz_count_add(&z->count, &w->count);
	}
	for (i = 0; i < z->threads; i++) {
		struct worker *w = &t->workers[i];

		for (k = 0; k < w->nr_failed; k++) {
			if (!ledger_fits(z->ledger, w->failed[k].len, w->failed[k].align))
				continue;
			z->count.false_enospc++;
			fuzz_wrong(z, "alloc: false ENOSPC: %llu blocks aligned to %llu fit",
				   w->failed[k].len, w->failed[k].align);
		}
	}
	check_reserved(t);
	if (!pick(&z->dice, 4)) {
		hapool_drain(&z->pool);
		fuzz_compare(z, true);
	} else {
		fuzz_compare(z, false);
	}
	t->over = z->count.ops >= t->ops || fuzz_has_looked_enough(z);
	begin_phase(t);
}

/* How many allocations may fail in a phase. */
static unsigned int searches(const struct worker *w)
{
	return 1 + 64 / (1 + fuzz_size(w->z) / LOOK_BLOCKS);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct team *t = w->team;
	u64 i;

	fuzz_begin_thread(w->dice.rng, 1 + 2 * w->id);
	while (!t->over) {
		w->searches = searches(w);
		for (i = 0; i < t->phase_ops; i++, w->count.ops++)
			do_something(w);
		w->count.faults = fuzz_nr_faults;
		pthread_barrier_wait(&t->barrier);
		w->nr_failed = 0;
		w->least_refused = U64_MAX;
		w->searches = searches(w);
		pthread_barrier_wait(&t->barrier);
		for (i = 0; i < t->phase_ops / 4; i++, w->count.ops++) {
			if (w->reserving && !pick(&w->dice, 8))
				do_reserve(w);
			else if (w->reserving && pick(&w->dice, 2))
				alloc_reserved(w, GFP_KERNEL);
			else
				do_alloc(w, GFP_KERNEL);
		}
		pthread_barrier_wait(&t->barrier);
		if (!w->id)
			check_phase(t);
		pthread_barrier_wait(&t->barrier);
	}
	return NULL;
}

/* ---- a seed ---- */

/* Leaves only some space of a large device. */
static void occupy(struct team *t)
{
	struct fuzzer *z = t->z;
	u64 size = fuzz_size(z), start = z->cfg.first_block;
	u64 wanted = z->threads * t->max_live * t->usual;
	u64 leave = min(size, 1 + pick(&z->dice, t->situation->full ? wanted / 2 : 2 * wanted));
	u64 before = pick(&z->dice, size - leave + 1);

	t->fixed[0] = (struct extent) { start, before };
	t->fixed[1] = (struct extent) { start + before + leave, size - before - leave };
	if ((before && hapool_claim(&z->pool, start, before, GFP_KERNEL)) ||
	    (t->fixed[1].len && hapool_claim(&z->pool, t->fixed[1].start, t->fixed[1].len,
					     GFP_KERNEL)))
		fuzz_wrong(z, "a claim of free blocks failed");
}

static void free_all(struct team *t)
{
	struct worker *w = &t->workers[0];
	enum hybrid_alloc_reason reason;
	unsigned int i;

	for (i = 0; i < t->z->threads; i++) {
		while (t->workers[i].nr_live)
			give(w, remove_live(&t->workers[i]));
		if (t->workers[i].reserving)
			hapool_reservation_close(&t->z->pool, &t->workers[i].v);
	}
	t->z->reserved = 0;
	for (i = 0; i < NR_PASSED; i++) {
		if (t->passed[i])
			give(w, *t->passed[i]);
		free(t->passed[i]);
	}
	for (i = 0; i < 2; i++)
		if (t->fixed[i].len && hapool_free(&t->z->pool, t->fixed[i].start,
						   t->fixed[i].len, &reason))
			fuzz_wrong(t->z, "a free of an extent from before the threads failed");
	ledger_free(t->z->ledger);
	t->z->ledger = ledger_new(t->z->cfg.first_block, t->z->cfg.nr_blocks);
}

void fuzz_list(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(situations); i++)
		printf("%s\n", situations[i].name);
}

static const struct situation *find_situation(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(situations); i++)
		if (!strcmp(situations[i].name, name))
			return &situations[i];
	return NULL;
}

bool fuzz_has_situation(const char *name)
{
	return find_situation(name);
}

void fuzz_threads(struct fuzzer *z, u64 ops)
{
	struct team *t = calloc(1, sizeof(*t));
	unsigned int i;

	sim_set_nr_cpus(2 * z->threads + 1);
	fuzz_begin(z);
	t->z = z;
	t->situation = given_situation ? find_situation(given_situation) :
					 &situations[pick(&z->dice, ARRAY_SIZE(situations))];
	t->ops = min(ops, fuzz_draw_ops(&z->dice));
	t->end = z->cfg.nr_blocks;
	/* also for what the device grows by */
	if (!marks_init(&t->marks, 2 * t->end + 1024))
		fuzz_wrong(z, "no memory for the record");
	t->max_live = 16 + pick(&z->dice, MAX_LIVE - 15);
	t->size = fuzz_size(z);
	t->usual = t->situation->counted ? 1 : t->situation->small ? 1 + pick(&z->dice, 4) :
		   pick_log(&z->dice, min_t(unsigned int, 12, ilog2(fuzz_size(z)) + 1));
	t->coloured = t->situation->coloured || (pick(&z->dice, 2) && !t->situation->counted);
	if (t->situation->full || pick(&z->dice, 3) || fuzz_size(z) > LOOK_BLOCKS * 1024)
		occupy(t);
	t->used = t->fixed[0].len + t->fixed[1].len;
	begin_phase(t);
	t->workers = calloc(z->threads, sizeof(*t->workers));
	pthread_barrier_init(&t->barrier, NULL, z->threads);
	for (i = 0; i < z->threads; i++) {
		struct worker *w = &t->workers[i];

		w->id = i;
		w->team = t;
		w->z = z;
		w->dice.rng = z->seed * 1000 + i;
		pthread_create(&w->thread, NULL, worker_main, w);
	}
	for (i = 0; i < z->threads; i++)
		pthread_join(t->workers[i].thread, NULL);
	fuzz_faults.every = 0;
	free_all(t);
	fuzz_end(z);
	pthread_barrier_destroy(&t->barrier);
	marks_destroy(&t->marks);
	free(t->workers);
	free(t);
}
