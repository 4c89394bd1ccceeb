// SPDX-License-Identifier: GPL-2.0
/*
 * hybrid-sim fuzz with several threads on one allocator.
 *
 * Who has what is written down in marks.h: an overlap is found at once.
 * What a thread may expect while others are at work:
 *   - an extent of its own is live: a free of a part of it, or of more, is
 *     refused with the reason that it has when nobody else is there
 *   - a second free is refused, if nobody else can have got the same extent
 *     meanwhile. For that each length belongs to a thread, in some seeds
 *   - of two that free the same extent at a time, one succeeds
 * In phases that only allocate, what did not fit must not fit when all have
 * stopped. Then everything is also compared with the ledger, as with one thread.
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "marks.h"
#include "sim_fuzz.h"

#define MAX_LIVE	512		/* of a thread */
#define NR_SLOTS	64		/* extents on their way to another thread */
#define NR_FAILED	32
#define NR_FREED	8

struct worker {
	pthread_t thread;
	int id;
	struct team *team;
	struct fuzzer *z;
	struct dice dice;
	struct extent live[MAX_LIVE];
	unsigned int nr_live;
	struct extent freed[NR_FREED];	/* the last ones of a length of its own */
	struct { u64 len, align; } failed[NR_FAILED];
	unsigned int nr_failed;
	unsigned int searches;		/* that it may still make in this phase */
	struct fuzz_count count;
};

/* An extent that two threads free at a time. */
struct duel {
	struct extent e;
	int ret;
	int ready;
	bool done;
};

struct team {
	struct fuzzer *z;
	pthread_barrier_t barrier;
	struct marks marks;		/* who has what */
	struct extent fixed[2];		/* which nobody frees */
	u64 end;			/* of the device, now */
	struct extent *slots[NR_SLOTS];
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

/* ---- who has what ---- */

/* Roughly, as the others are at work. */
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
		fuzz_wrong(w->z, "%llu blocks at %llu: were nobody's", len, start);
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
}

static struct extent remove_live(struct worker *w)
{
	unsigned int i = pick(&w->dice, w->nr_live);
	struct extent e = w->live[i];

	w->live[i] = w->live[--w->nr_live];
	return e;
}

static void do_alloc(struct worker *w, gfp_t gfp)
{
	u64 len = draw_len(w), align = 1, goal = HAPOOL_NO_GOAL, start;
	int ret;

	if (!len || !w->searches || w->nr_live == w->team->max_live)
		return;
	if (!pick(&w->dice, 6))
		align <<= pick(&w->dice, 19);
	if (!pick(&w->dice, 20))
		goal = w->z->cfg.first_block + pick(&w->dice, fuzz_size(w->z));
	w->count.allocs++;
	ret = hapool_alloc(&w->z->pool, len, align, goal, gfp, &start);
	if (ret == -EAGAIN && gfp == GFP_NOWAIT) {
		w->count.again++;
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
	if (w->team->coloured && is_own_length(w, e.len))
		w->freed[w->count.frees % NR_FREED] = e;
	w->count.frees++;
}

/* Let another thread free it, and free what another one has left there. */
static void hand_over(struct worker *w)
{
	struct extent *e = malloc(sizeof(*e));

	*e = remove_live(w);
	e = __atomic_exchange_n(&w->team->slots[pick(&w->dice, NR_SLOTS)], e, __ATOMIC_ACQ_REL);
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

/* Start at about the same time. */
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

/* Only of a length that nobody else allocates, and this thread not while it waits. */
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
		give(w, d.e);	/* nobody came */
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

static void do_claim(struct worker *w)
{
	u64 len = draw_len(w), start = w->z->cfg.first_block + pick(&w->dice, fuzz_size(w->z));
	struct extent *e = w->nr_live ? &w->live[pick(&w->dice, w->nr_live)] : NULL;
	int ret;

	if (!len || w->nr_live == w->team->max_live)
		return;
	if (e && pick(&w->dice, 2))	/* close to others, or into it */
		start = e->start + pick(&w->dice, e->len + 1);
	if (start + len > w->z->cfg.nr_blocks)
		return;
	w->count.claims++;
	ret = hapool_claim(&w->z->pool, start, len, GFP_KERNEL);
	if (ret == -EEXIST) {
		w->count.exists++;
		return;
	}
	if (ret)
		fuzz_wrong(w->z, "claim of %llu blocks at %llu: %d", len, start, ret);
	mark(w, "claim", start, len, 1);
	add_live(w, start, len);
}

/* An extent of one's own is in the map. */
static void look(struct worker *w)
{
	struct haslab_extent entry;
	struct extent *e;

	if (!w->nr_live)
		return;
	e = &w->live[pick(&w->dice, w->nr_live)];
	w->count.looks++;
	if (hapool_map(&w->z->pool, e->start + pick(&w->dice, e->len), &entry, 1) != 1 ||
	    entry.state != HYBRID_ALLOC_MAP_LIVE || entry.start != e->start || entry.len != e->len)
		fuzz_wrong(w->z, "map: %llu blocks at %llu of state %d, not the live %llu at %llu",
			   entry.len, entry.start, entry.state, e->len, e->start);
}

/* As TRIM does. Meanwhile it must not wait for what it holds. */
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
	u64 end = before + pick_log(&w->dice, ilog2(fuzz_size(z)) + 1);
	int ret;

	if (w->id || w->count.grows == 2 || end > w->team->marks.nr_blocks)
		return;
	/* others may be given what is new before this is done */
	WRITE_ONCE(w->team->end, end);
	ret = hapool_grow(&z->pool, end, GFP_KERNEL);
	if (ret)
		fuzz_wrong(z, "grow from %llu to %llu blocks: %d", before, end, ret);
	w->count.grows++;
}

static void do_rare(struct worker *w)
{
	struct hapool_stat st;

	switch (pick(&w->dice, 12)) {
	case 0:
		hapool_drain(&w->z->pool);
		break;
	case 1:
		hapool_cpu_dead(&w->z->pool, pick(&w->dice, nr_cpu_ids));
		break;
	case 2:
		if (fuzz_size(w->z) < LOOK_BLOCKS * 16)
			hapool_stat(&w->z->pool, &st, pick(&w->dice, 2));
		break;
	case 3:
		grow(w);
		break;
	case 4:
	case 5:
		hold(w);
		break;
	default:
		sim_set_cpu(1 + 2 * w->id + pick(&w->dice, 2));
	}
}

static void do_something(struct worker *w)
{
	u64 what = pick(&w->dice, 100);

	if (what < 80) {
		if (pick(&w->dice, 100) < w->team->allocs)
			do_alloc(w, pick(&w->dice, 16) ? GFP_KERNEL : GFP_NOWAIT);
		else if (w->nr_live && pick(&w->dice, 8))
			give(w, remove_live(w));
		else if (w->nr_live)
			hand_over(w);
	} else if (what < 88) {
		wrong_free(w);
	} else if (what < 92) {
		do_claim(w);
	} else if (what < 95) {
		look(w);
	} else if (what < 99) {
		if (!w->team->coloured)
			return;
		join_duel(w);
		if (w->nr_live)
			begin_duel(w);
	} else {
		do_rare(w);
	}
}

/* ---- phases ---- */

static void begin_phase(struct team *t)
{
	static const u8 allocs[] = { 30, 45, 50, 55, 90 };
	struct dice *d = &t->z->dice;

	t->mix[0] = pick(d, FUZZ_MIXES);
	t->mix[1] = pick(d, FUZZ_MIXES);
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

/* All have stopped, after a phase that only allocated. */
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
	for (i = 0; i < NR_SLOTS; i++)
		if (t->slots[i])
			ledger_add(t, *t->slots[i]);
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
		w->searches = searches(w);
		pthread_barrier_wait(&t->barrier);
		for (i = 0; i < t->phase_ops / 4; i++, w->count.ops++)
			do_alloc(w, GFP_KERNEL);
		pthread_barrier_wait(&t->barrier);
		if (!w->id)
			check_phase(t);
		pthread_barrier_wait(&t->barrier);
	}
	return NULL;
}

/* ---- a seed ---- */

/* Leave only some space of a large device. */
static void occupy(struct team *t)
{
	struct fuzzer *z = t->z;
	u64 size = fuzz_size(z), start = z->cfg.first_block;
	u64 leave = min(size, 1 + pick(&z->dice, 2 * z->threads * t->max_live * t->usual));
	u64 before = pick(&z->dice, size - leave + 1);

	t->fixed[0] = (struct extent) { start, before };
	t->fixed[1] = (struct extent) { start + before + leave, size - before - leave };
	if ((before && hapool_claim(&z->pool, start, before, GFP_KERNEL)) ||
	    (t->fixed[1].len && hapool_claim(&z->pool, t->fixed[1].start, t->fixed[1].len,
					     GFP_KERNEL)))
		fuzz_wrong(z, "claim of what nobody has");
}

static void free_all(struct team *t)
{
	struct worker *w = &t->workers[0];
	enum hybrid_alloc_reason reason;
	unsigned int i;

	for (i = 0; i < t->z->threads; i++)
		while (t->workers[i].nr_live)
			give(w, remove_live(&t->workers[i]));
	for (i = 0; i < NR_SLOTS; i++) {
		if (t->slots[i])
			give(w, *t->slots[i]);
		free(t->slots[i]);
	}
	for (i = 0; i < 2; i++)
		if (t->fixed[i].len && hapool_free(&t->z->pool, t->fixed[i].start,
						   t->fixed[i].len, &reason))
			fuzz_wrong(t->z, "free of what was there before the threads");
	ledger_free(t->z->ledger);
	t->z->ledger = ledger_new(t->z->cfg.first_block, t->z->cfg.nr_blocks);
}

void fuzz_threads(struct fuzzer *z, u64 ops)
{
	struct team *t = calloc(1, sizeof(*t));
	unsigned int i;

	sim_set_nr_cpus(2 * z->threads + 1);
	fuzz_begin(z);
	t->z = z;
	t->ops = min(ops, fuzz_draw_ops(&z->dice));
	t->end = z->cfg.nr_blocks;
	/* it may grow */
	if (!marks_init(&t->marks, 2 * t->end + 1024))
		fuzz_wrong(z, "no memory for the record");
	t->max_live = 16 + pick(&z->dice, MAX_LIVE - 15);
	t->usual = pick_log(&z->dice, min_t(unsigned int, 12, ilog2(fuzz_size(z)) + 1));
	t->coloured = pick(&z->dice, 2);
	if (pick(&z->dice, 3) || fuzz_size(z) > LOOK_BLOCKS * 1024)
		occupy(t);
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
