// SPDX-License-Identifier: GPL-2.0
/*
 * hybrid-sim bench: the workloads.
 *
 * A workload with one thread does the same in each run of a seed. So it is run
 * several times: for the total time, for the time of each operation (the minimum over
 * the runs, which removes noise), and with the ledger and the size of the metadata
 * checked after each operation. A workload with threads has two runs: one is measured,
 * one keeps the marks.
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "claims.h"
#include "common/size.h"
#include "hybrid_sim.h"
#include "lines.h"
#include "load.h"
#include "marks.h"
#include "states.h"

#define GIB		(1ULL << (30 - BLOCK_SHIFT))	/* in blocks */
#define TIB		(1024 * GIB)
#define MAX_OP_RUNS	5

/* REFERENCE: the reference for packing takes the place of the allocator. */
enum mode { WHOLE, EACH, LEDGER, REFERENCE };

/* One run of a workload. */
struct run {
	enum mode mode;
	u64 rng;
	struct hapool pool;
	struct reference *reference;
	u64 nr_blocks;
	const struct load *load;	/* of the workload */
	struct mix second;		/* likewise */
	struct extent *live;	/* room for max_live */
	u64 nr_live;
	u64 max_live;
	u64 used;
	struct ledger *ledger;
	const char *wrong;
	u64 metadata_peak;
	/* the time of each operation: the least over the runs */
	u32 *op_ticks;
	u64 op;
	u64 max_ops;
	bool again;
	/* results */
	u64 allocs, frees;
	u64 alloc_ns, free_ns, pair_ns, pairs;
	u64 mixed_ns;		/* of both together */
	double fill_sum, fill_min;
	u64 fills;
	double sustained;
	u64 refused, refused_blocks, asked_blocks;
	u64 before;		/* blocks: held by a fresh device, or freed */
	u64 refilled;		/* blocks */
	u64 files;
	u64 pieces;		/* extents of them, neighbours joined */
};

static void fail(struct run *r, const char *why)
{
	if (!r->wrong)
		r->wrong = strdup(why);
}

/* Ends the program for a reason that is not a fault of the allocator. */
static void impossible(const char *why)
{
	fprintf(stderr, "hybrid-sim: %s\n", why);
	exit(2);
}

static const char too_small[] =
	"the device is too small for this workload; give a larger --capacity, or none";

static void op_time(struct run *r, u64 t)
{
	if (r->op == r->max_ops) {
		r->max_ops = r->max_ops ? 2 * r->max_ops : 1 << 20;
		r->op_ticks = realloc(r->op_ticks, r->max_ops * sizeof(*r->op_ticks));
	}
	if (!r->again || t < r->op_ticks[r->op])
		r->op_ticks[r->op] = min_t(u64, t, U32_MAX);
	r->op++;
}

static void allocator_start(struct run *r)
{
	if (r->mode == REFERENCE)
		r->reference = reference_new(reference, r->nr_blocks);
	else
		pool_start(&r->pool, r->nr_blocks);
	if (r->mode == LEDGER)
		r->ledger = ledger_new(0, r->nr_blocks);
	r->nr_live = 0;
	r->used = 0;
}

static void allocator_stop(struct run *r)
{
	if (r->mode == REFERENCE)
		reference_destroy(r->reference);
	else
		hapool_destroy(&r->pool);
	if (r->ledger)
		ledger_free(r->ledger);
	r->ledger = NULL;
}

/* Inline, so that little but the allocator is measured. */
static inline __attribute__((always_inline)) int take(struct run *r, u64 len, u64 goal,
						      struct extent *e)
{
	u64 t = 0;
	int ret;

	/* hapool_alloc() expects that the length fits the device */
	if (unlikely(len > r->nr_blocks))
		return -ENOSPC;
	if (r->mode == EACH)
		t = ticks();
	if (unlikely(r->mode == REFERENCE))
		ret = reference_alloc(r->reference, len, len, 1, &e->start, &len);
	else
		ret = hapool_alloc(&r->pool, len, 1, goal, GFP_KERNEL, &e->start);
	if (r->mode == EACH)
		op_time(r, ticks() - t);
	if (ret)
		return ret;
	e->len = len;
	r->used += len;
	if (r->mode == LEDGER) {
		const char *why = ledger_take(r->ledger, e->start, len, 1);

		if (why)
			fail(r, why);
		r->metadata_peak = max(r->metadata_peak, pool_metadata(&r->pool));
	}
	return 0;
}

static inline __attribute__((always_inline)) int do_alloc_near(struct run *r, u64 len, u64 goal)
{
	int ret = take(r, len, goal, &r->live[r->nr_live]);

	r->nr_live += !ret;
	return ret;
}

static inline __attribute__((always_inline)) int do_alloc(struct run *r, u64 len)
{
	return do_alloc_near(r, len, HAPOOL_NO_GOAL);
}

static inline __attribute__((always_inline)) void free_extent(struct run *r, struct extent e)
{
	enum hybrid_alloc_reason reason;
	u64 t = 0;
	int ret = 0;

	if (r->mode == LEDGER) {
		const char *why = ledger_give(r->ledger, e.start, e.len);

		if (why)
			fail(r, why);
	}
	if (r->mode == EACH)
		t = ticks();
	if (unlikely(r->mode == REFERENCE))
		reference_free(r->reference, e.start, e.len);
	else
		ret = hapool_free(&r->pool, e.start, e.len, &reason);
	if (r->mode == EACH)
		op_time(r, ticks() - t);
	if (ret)
		fail(r, "a free was refused");
	r->used -= e.len;
}

static inline __attribute__((always_inline)) void do_free(struct run *r, u64 i)
{
	struct extent e = r->live[i];

	if (unlikely(!r->nr_live))
		impossible(too_small);
	r->live[i] = r->live[--r->nr_live];
	free_extent(r, e);
}

static inline u64 draw(struct run *r, const struct mix *mix)
{
	return mix_draw(mix, &r->rng);
}

static void fill_is(struct run *r)
{
	double fill = (double)r->used / r->nr_blocks;

	r->fill_sum += fill;
	if (!r->fills++ || fill < r->fill_min)
		r->fill_min = fill;
}

/* Allocates until it fails, or until @limit blocks are requested. Return: how many were. */
static u64 fill_up(struct run *r, const struct mix *mix, u64 limit)
{
	u64 asked = 0, t = cpu_ns(), n = r->nr_live;
	int ret = 0;

	while (asked < limit) {
		u64 len = draw(r, mix);

		if (r->nr_live == r->max_live) {
			fail(r, "the harness has no room for so many extents");
			break;
		}
		ret = do_alloc(r, len);
		if (ret)
			break;
		asked += len;
	}
	r->alloc_ns += cpu_ns() - t;
	r->allocs += r->nr_live - n + !!ret;
	if (ret == -ENOSPC)
		fill_is(r);
	else if (ret)
		fail(r, "an allocation failed, and not for lack of space");
	return asked;
}

/* The extents to free are chosen first, so that choosing is not measured. */
static void free_some(struct run *r, u64 nr)
{
	struct extent *gone = malloc(nr * sizeof(*gone));
	u64 t, i, victim;

	if (!nr)
		impossible(too_small);

	for (i = 0; i < nr; i++) {
		victim = random_below(&r->rng, r->nr_live);
		gone[i] = r->live[victim];
		r->live[victim] = r->live[--r->nr_live];
	}
	t = cpu_ns();
	for (i = 0; i < nr; i++)
		free_extent(r, gone[i]);
	r->free_ns += cpu_ns() - t;
	r->frees += nr;
	free(gone);
}

/* ---- the workloads ---- */

#define AHEAD	16	/* pairs */

static void stress(struct run *r, const struct mix *mix, u64 total)
{
	u64 asked = 0;

	while (!r->wrong) {
		asked += fill_up(r, mix, total - asked);
		if (asked >= total)
			break;
		free_some(r, r->nr_live * (300 + random_below(&r->rng, 201)) / 1000);
	}
}

/*
 * The extents to free are chosen some pairs ahead and prefetched, so that cache misses
 * in the harness's own list are not measured.
 */
static void churn_pairs(struct run *r, const struct mix *mix, u64 pairs)
{
	u64 next[AHEAD], i, victim;

	for (i = 0; i < AHEAD; i++)
		next[i] = random_below(&r->rng, r->nr_live);
	for (i = 0; i < pairs; i++) {
		victim = next[i % AHEAD];
		next[i % AHEAD] = random_below(&r->rng, r->nr_live);
		__builtin_prefetch(&r->live[next[i % AHEAD]], 1);
		do_free(r, victim);
		if (do_alloc(r, draw(r, mix)))
			fail(r, "an allocation failed at 80 % fill");
	}
}

static void churn(struct run *r, const struct mix *mix, u64 pairs)
{
	u64 t;

	fill_up(r, mix, r->nr_blocks / 5 * 4);
	r->allocs = 0;
	r->alloc_ns = 0;
	churn_pairs(r, mix, pairs);
	r->op = 0;	/* the warm pass does not count */
	t = cpu_ns();
	churn_pairs(r, mix, pairs);
	r->pair_ns = cpu_ns() - t;
	r->pairs = pairs;
}

static void firstfail(struct run *r, const struct mix *mix, u64 arg)
{
	fill_up(r, mix, U64_MAX);
}

static void pingpong(struct run *r, const struct mix *mix, u64 pairs)
{
	u64 t, i;

	for (i = 0; i < 1000 && !r->wrong; i++) {
		do_alloc(r, mix->max);
		do_free(r, 0);
	}
	r->op = 0;
	t = cpu_ns();
	for (i = 0; i < pairs && !r->wrong; i++) {
		do_alloc(r, mix->max);
		do_free(r, 0);
	}
	r->pair_ns = cpu_ns() - t;
	r->pairs = pairs;
}

/* ---- loads ---- */

static int hold_alloc(void *of, u64 len, u64 *start)
{
	struct extent e;
	int ret = take(of, len, HAPOOL_NO_GOAL, &e);

	*start = e.start;
	return ret;
}

static void hold_free(void *of, struct extent e)
{
	free_extent(of, e);
}

/* Whether a fill, in thousandths, can be held. */
static bool holds(struct run *r, unsigned int fill, bool all)
{
	struct holder holder = { r, hold_alloc, hold_free };
	struct held h = { .rng = seed, .live = r->live, .max_live = r->max_live };
	u64 t = cpu_ns();
	bool held = load_hold(r->load, &holder, &h, r->nr_blocks, fill, all);

	r->mixed_ns = cpu_ns() - t;
	r->allocs = h.allocs;
	r->frees = h.frees;
	r->refused = h.refused;
	r->refused_blocks = h.refused_blocks;
	r->asked_blocks = h.asked_blocks;
	if (h.no_room)
		fail(r, "the harness has no room for so many extents");
	return held;
}

/* The highest fill that can be held; not what it was at the first one that cannot. */
static void sustain(struct run *r, const struct mix *mix, u64 arg)
{
	unsigned int fill;

	for (fill = LOAD_HIGHEST; fill >= LOAD_LOWEST; fill -= LOAD_STEP) {
		if (holds(r, fill, false)) {
			r->sustained = fill / 1000.0;
			return;
		}
		allocator_stop(r);
		allocator_start(r);
	}
}

static void hold(struct run *r, const struct mix *mix, u64 arg)
{
	holds(r, r->load->fill, true);
}

/* ---- a device that has been full of other sizes ---- */

/* Fills it with the second size: a fresh device, then one that was full of the first. */
static void refill(struct run *r, const struct mix *mix, u64 arg)
{
	fill_up(r, &r->second, U64_MAX);
	r->before = r->used;
	allocator_stop(r);
	allocator_start(r);
	fill_up(r, mix, U64_MAX);
	while (r->nr_live)
		free_extent(r, r->live[--r->nr_live]);
	r->fills = 0;
	r->fill_sum = 0;
	fill_up(r, &r->second, U64_MAX);
	r->refilled = r->used;
}

/* Two sizes by turns until it is full; each second pair is freed; then extents of both sizes. */
static void pairs(struct run *r, const struct mix *mix, u64 arg)
{
	const struct mix both = {
		.simple = true,
		.min = mix->max + r->second.max,
		.max = mix->max + r->second.max,
	};
	u64 i, full, left;

	while (r->nr_live < r->max_live && !do_alloc(r, mix->max) && !do_alloc(r, r->second.max))
		;
	full = r->used;
	for (i = 0; i + 1 < r->nr_live; i += 4) {
		free_extent(r, r->live[i]);
		free_extent(r, r->live[i + 1]);
	}
	left = r->used;
	r->before = full - left;
	fill_up(r, &both, r->before);
	r->refilled = r->used - left;
}

/* ---- files ---- */

#define FILE_BLOCKS	1024
#define NR_FILES	16

/* A file that is written from its start to its end. */
struct file {
	u64 used;	/* blocks */
	u64 end;	/* of its last extent on the device */
};

/* Return: false: the device is full. */
static bool append(struct run *r, struct file *f, u64 len, bool near)
{
	u64 goal = near && f->used ? f->end : HAPOOL_NO_GOAL;
	const struct extent *e = &r->live[r->nr_live];

	if (f->used >= FILE_BLOCKS) {
		*f = (struct file) {};
		return append(r, f, len, near);
	}
	if (do_alloc_near(r, len, goal))
		return false;
	r->files += !f->used;
	r->pieces += !f->used || e->start != f->end;
	f->used += len;
	f->end = e->start + len;
	return true;
}

/* Files of 4 MiB one after the other, until the device is full. */
static void append_one(struct run *r, const struct mix *mix, u64 arg)
{
	struct file f = {};

	r->files = 0;
	r->pieces = 0;
	while (append(r, &f, mix->max, false))
		;
	fill_is(r);
}

/* Several by turns, each right behind its last extent if it can be. */
static void append_turns(struct run *r, const struct mix *mix, u64 arg)
{
	struct file f[NR_FILES] = {};
	unsigned int i;

	r->files = 0;
	r->pieces = 0;
	for (i = 0; append(r, &f[i], mix->max, true); i = (i + 1) % NR_FILES)
		;
	fill_is(r);
}

/* Three rounds of fill to 95 % and random free to 60 %, sizes log-uniform to 4 MiB. */
static void age(struct run *r)
{
	struct mix mix;
	unsigned int i;

	mix_parse("log4K-4M", &mix);
	for (i = 0; i < 3; i++) {
		fill_up(r, &mix, r->nr_blocks / 100 * 95 - r->used);
		while (r->used > r->nr_blocks / 100 * 60)
			do_free(r, random_below(&r->rng, r->nr_live));
	}
	r->allocs = 0;
	r->alloc_ns = 0;
}

static void append_turns_aged(struct run *r, const struct mix *mix, u64 arg)
{
	age(r);
	append_turns(r, mix, arg);
}

struct workload {
	const char *name;
	u64 nr_blocks;
	struct mix mix;
	void (*work)(struct run *r, const struct mix *mix, u64 arg);
	u64 arg;
	bool each;		/* print the time of the slowest operation */
	int nr_threads;		/* 0: runs in the main thread */
	bool apart;		/* each thread has an allocator of its own */
	struct mix second;	/* of refill- and pairs- */
	struct load load;	/* of sustain-, fifo- and hold-, which have no mix */
};

#define UP_TO(n)	{ .simple = true, .min = 1, .max = n, .mean = (n) / 2 }
#define ONLY(n)		{ .simple = true, .min = n, .max = n, .mean = n }

static const struct workload workloads[] = {
	{ "stress10t", TIB, UP_TO(1024), stress, 10 * TIB, true },
	{ "stress100t", TIB, UP_TO(1024), stress, 100 * TIB },
	{ "churn-u4m", TIB, UP_TO(1024), churn, 1000000, true },
	{ "churn-64k", 64 * GIB, ONLY(16), churn, 1000000, true },
	{ "churn-4k", 4 * GIB, ONLY(1), churn, 1000000, true },
	{ "firstfail-u1M", 64 * GIB, UP_TO(256), firstfail, .each = true },
	{ "firstfail-u4M", 64 * GIB, UP_TO(1024), firstfail, .each = true },
	{ "pingpong-4K", 64 * GIB, ONLY(1), pingpong, 10000000, true },
	{ "pingpong-64K", 64 * GIB, ONLY(16), pingpong, 10000000, true },
	{ "pingpong-1M", 64 * GIB, ONLY(256), pingpong, 10000000, true },
	{ "pingpong-4M", 64 * GIB, ONLY(1024), pingpong, 10000000, true },
};

/* ---- one thread ---- */

static bool is_hold(const struct workload *w)
{
	return w->work == sustain || w->work == hold;
}

static bool has_second(const struct workload *w)
{
	return w->work == refill || w->work == pairs;
}

/* An upper bound, except for mixes of very small extents. */
static u64 max_live(const struct workload *w, u64 nr_blocks)
{
	if (is_hold(w))
		return load_max_live(&w->load, nr_blocks);
	if (w->work == refill)
		return nr_blocks / min(w->mix.max, w->second.max) + 2;
	if (w->work == pairs)
		return nr_blocks / (w->mix.max + w->second.max) * 3 + 4;
	if (w->mix.min == w->mix.max && w->work != append_turns_aged)
		return nr_blocks / w->mix.max + 2;
	/* some of an aged device are smaller than the extents of the files */
	return nr_blocks / (w->mix.mean / 2 + 1) + 1000 +
	       (w->work == append_turns_aged ? nr_blocks / 16 : 0);
}

static struct run *run_new(const struct workload *w, u64 nr_blocks)
{
	struct run *r = calloc(1, sizeof(*r));

	r->nr_blocks = nr_blocks;
	r->load = &w->load;
	r->second = w->second;
	r->max_live = max_live(w, nr_blocks);
	r->live = need(malloc(r->max_live * sizeof(*r->live)));
	return r;
}

static void run_once(struct run *r, const struct workload *w, enum mode mode)
{
	r->mode = mode;
	r->rng = seed;
	r->op = 0;
	r->allocs = 0;
	r->frees = 0;
	r->alloc_ns = 0;
	r->free_ns = 0;
	r->fills = 0;
	r->fill_sum = 0;
	allocator_start(r);
	if (mode == LEDGER)
		r->metadata_peak = pool_metadata(&r->pool);
	w->work(r, &w->mix, w->arg);
	if (mode == LEDGER && r->used != ledger_used(r->ledger))
		fail(r, "the sum of the ledger differs");
	if (mode == LEDGER && hapool_check(&r->pool))
		fail(r, "hapool_check() found a broken invariant");
	allocator_stop(r);
}

static u64 slowest(struct run *r, const struct workload *w)
{
	u64 i, worst = 0;

	for (i = 0; i < MAX_OP_RUNS; i++) {
		r->again = i;
		run_once(r, w, EACH);
	}
	for (i = 0; i < r->op; i++)
		worst = max_t(u64, worst, r->op_ticks[i]);
	free(r->op_ticks);
	return worst * ticks_ns();
}

/* A result, and the same of the reference. */
static void out_result(const char *of, const char *name, double value, int digits)
{
	char text[64];

	snprintf(text, sizeof(text), "%s%s", of, name);
	out_double(text, value, digits);
}

/* What a run has held. @of is put before the names. */
static void report_held(const struct workload *w, const struct run *r, const char *of)
{
	double nr_blocks = r->nr_blocks;

	if (r->fills) {
		out_result(of, "fill_at_enospc_mean", r->fill_sum / r->fills, 5);
		out_result(of, "fill_at_enospc_min", r->fill_min, 5);
	}
	if (w->work == sustain)
		out_result(of, "sustained_fill", r->sustained, 3);
	if (w->work == hold) {
		out_result(of, "refused_allocs_share",
			   (double)r->refused / max(r->allocs, 1ULL), 5);
		out_result(of, "refused_bytes_share",
			   (double)r->refused_blocks / max(r->asked_blocks, 1ULL), 5);
	}
	if (!has_second(w))
		return;
	out_result(of, w->work == refill ? "fresh_fill" : "freed_share", r->before / nr_blocks, 5);
	out_result(of, "refilled_share", r->refilled / nr_blocks, 5);
	out_result(of, "refused_share", max(r->before - (double)r->refilled, 0.) / nr_blocks,
		   5);
}

/* What the reference does in the same workload. */
static void report_reference(const struct workload *w, u64 nr_blocks)
{
	struct run *r = run_new(w, nr_blocks);

	run_once(r, w, REFERENCE);
	out_string("reference", reference_names[reference]);
	report_held(w, r, "reference_");
	free(r->live);
	free(r);
}

static bool report(const struct workload *w, u64 nr_blocks)
{
	struct run *r = run_new(w, nr_blocks), *checked = run_new(w, nr_blocks);
	u64 ops, ns;
	bool ok;

	run_once(r, w, WHOLE);
	run_once(checked, w, LEDGER);
	if (r->wrong)
		fail(checked, r->wrong);
	if (r->fill_sum != checked->fill_sum || r->sustained != checked->sustained ||
	    r->refused != checked->refused || r->refilled != checked->refilled)
		fail(checked, "two runs of one seed differ");
	ops = r->pairs ? 2 * r->pairs : r->allocs + r->frees;
	ns = r->pairs ? r->pair_ns : r->alloc_ns + r->free_ns + r->mixed_ns;

	out_begin();
	out_string("workload", w->name);
	out_u64("capacity_bytes", nr_blocks << BLOCK_SHIFT);
	out_u64("seed", seed);
	out_u64("threads", 1);
	if (ops) {
		out_u64("ops", ops);
		out_double("seconds", ns / 1e9, 3);
		out_double("ns_per_op", (double)ns / ops, 2);
	}
	if (r->alloc_ns && !r->pairs)
		out_double("ns_per_alloc", (double)r->alloc_ns / r->allocs, 2);
	if (r->free_ns && !r->pairs)
		out_double("ns_per_free", (double)r->free_ns / r->frees, 2);
	if (r->pairs)
		out_double("ns_per_pair", (double)r->pair_ns / r->pairs, 2);
	if (w->each)
		out_u64("max_op_ns", slowest(r, w));
	out_double("cas_ns", cas_ns(), 2);
	report_held(w, r, "");
	if (r->files)
		out_double("extents_per_file", (double)r->pieces / r->files, 3);
	if (reference)
		report_reference(w, nr_blocks);
	out_u64("metadata_bytes_peak", checked->metadata_peak);
	out_string("ledger", checked->wrong ?: "ok");
	out_end();
	ok = !checked->wrong;
	free(r->live);
	free(checked->live);
	free(r);
	free(checked);
	return ok;
}

/* ---- threads ---- */

#define BATCH		32		/* extents handed over at a time */
#define RING		64		/* batches between two threads */

/* From one thread to the next: one writer, one reader. */
struct ring {
	struct extent batch[RING][BATCH];
	unsigned long head ____cacheline_aligned;
	unsigned long tail ____cacheline_aligned;
};

struct tworker {
	pthread_t thread;
	int cpu;
	struct hapool *pool;
	u64 rng;
	struct extent *live;
	u64 nr_live, max_live;
	u64 share;		/* of the device, in blocks */
	u64 used;
	u64 ops, ns;
	struct ring *in, *out;
	struct extent batch[BATCH];
	unsigned int nr_batch;
	struct marks *marks;	/* NULL: this run is measured */
	u64 metadata_peak;
	const char *wrong;
};

static pthread_barrier_t barrier;
static volatile bool time_is_up;

static void tfree(struct tworker *t, struct extent e)
{
	enum hybrid_alloc_reason reason;

	if (t->marks && !marks_clear(t->marks, e.start, e.len))
		t->wrong = "an extent was not allocated";
	if (hapool_free(t->pool, e.start, e.len, &reason))
		t->wrong = "a free was refused";
	if (t->marks)
		t->metadata_peak = max(t->metadata_peak, pool_metadata(t->pool));
}

/* One free in eight is of another thread's extent. */
static void tfree_some(struct tworker *t)
{
	u64 i = random_below(&t->rng, t->nr_live);
	struct extent e = t->live[i];
	unsigned long tail;

	t->live[i] = t->live[--t->nr_live];
	t->used -= e.len;
	if (!t->out || random_below(&t->rng, 8)) {
		tfree(t, e);
		t->ops++;
		return;
	}
	t->batch[t->nr_batch++] = e;
	if (t->nr_batch < BATCH)
		return;
	t->nr_batch = 0;
	/* pairs with the release in ttake_over(): all batches before tail have been read */
	tail = smp_load_acquire(&t->out->tail);
	if (t->out->head == tail + RING) {
		/* the ring is full: free them here */
		for (i = 0; i < BATCH; i++)
			tfree(t, t->batch[i]);
		t->ops += BATCH;
		return;
	}
	memcpy(t->out->batch[t->out->head % RING], t->batch, sizeof(t->batch));
	/* pairs with the acquire in ttake_over(): the batch is complete before head covers it */
	smp_store_release(&t->out->head, t->out->head + 1);
}

static void ttake_over(struct tworker *t)
{
	int i;

	/* pairs with the release in tfree_some(): all batches before head are complete */
	while (t->in && smp_load_acquire(&t->in->head) != t->in->tail) {
		for (i = 0; i < BATCH; i++)
			tfree(t, t->in->batch[t->in->tail % RING][i]);
		t->ops += BATCH;
		/* pairs with the acquire in tfree_some(): the batch has been read */
		smp_store_release(&t->in->tail, t->in->tail + 1);
	}
}

/* log-uniform, 4 KiB to 4 MiB */
static u64 log_uniform(u64 *rng)
{
	return exp2(10.0 * (random_next(rng) >> 11) / (1ULL << 53));
}

static void talloc(struct tworker *t)
{
	struct extent *e = &t->live[t->nr_live];

	e->len = log_uniform(&t->rng);
	if (t->nr_live == t->max_live || e->len > t->pool->slab.cfg.nr_blocks ||
	    hapool_alloc(t->pool, e->len, 1, HAPOOL_NO_GOAL, GFP_KERNEL, &e->start)) {
		t->wrong = "an allocation failed";
		return;
	}
	if (t->marks && !marks_set(t->marks, e->start, e->len))
		t->wrong = "an extent was handed out twice";
	if (t->marks)
		t->metadata_peak = max(t->metadata_peak, pool_metadata(t->pool));
	t->nr_live++;
	t->used += e->len;
	t->ops++;
}

static void *tmain(void *arg)
{
	struct tworker *t = arg;
	bool full = false;
	u64 begin;

	sim_set_cpu(t->cpu);
	pthread_barrier_wait(&barrier);
	begin = now_ns();
	while (!time_is_up && (!given_ops || t->ops < given_ops)) {
		u64 what = random_next(&t->rng) % 10;

		full |= t->used > t->share / 10 * 6;
		if (what < (full ? 5 : 7) && t->used < t->share / 10 * 7)
			talloc(t);
		else if (t->nr_live)
			tfree_some(t);
		ttake_over(t);
	}
	t->ns = now_ns() - begin;
	return NULL;
}

static int by_start(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* The extents that are live at the end do not overlap, and add up to what is charged. */
static const char *tcheck(struct tworker *t, int nr, struct hapool *pool)
{
	u64 n = 0, sum = 0, i, end = 0;
	const char *why = NULL;
	struct extent *all;
	int k, b;

	for (k = 0; k < nr; k++)
		n += t[k].nr_live + BATCH * (RING + 1);
	all = malloc(n * sizeof(*all));
	for (n = 0, k = 0; k < nr; k++) {
		why = why ?: t[k].wrong;
		memcpy(all + n, t[k].live, t[k].nr_live * sizeof(*all));
		n += t[k].nr_live;
		memcpy(all + n, t[k].batch, t[k].nr_batch * sizeof(*all));
		n += t[k].nr_batch;
		for (; t[k].in && t[k].in->tail != t[k].in->head; t[k].in->tail++)
			for (b = 0; b < BATCH; b++)
				all[n++] = t[k].in->batch[t[k].in->tail % RING][b];
	}
	qsort(all, n, sizeof(*all), by_start);
	for (i = 0; i < n; i++) {
		if (all[i].start < end || all[i].start + all[i].len > pool->slab.cfg.nr_blocks)
			why = "two live extents overlap";
		end = all[i].start + all[i].len;
		sum += all[i].len;
	}
	if (sum != hapool_charged(pool))
		why = "the charged space differs from the live extents";
	if (hapool_check(pool))
		why = "hapool_check() found a broken invariant";
	free(all);
	return why;
}

/* The results of a run, over all its threads. */
struct tresult {
	u64 ops;
	double rate;
	u64 metadata_peak;
	const char *wrong;
	/* waits for haslab.lock, space_lock, the groups' locks, the busiest group's lock */
	u64 all_waits, space_waits, group_waits, busiest_waits;
};

static void count_waits(struct tresult *res, const struct haslab *s)
{
	unsigned int i;

	res->all_waits += s->lock.waits;
	res->space_waits += s->space_lock.waits;
	for (i = 0; i < s->nr_groups; i++) {
		u64 waits = s->groups[i].lock.waits;

		res->group_waits += waits;
		res->busiest_waits = max(res->busiest_waits, waits);
	}
}

/* Runs @nr threads on one allocator, or each on its own, for three seconds or --ops. */
static struct tresult run_threads(int nr, bool apart, u64 nr_blocks, bool checked)
{
	int i, nr_pools = apart ? nr : 1;
	struct hapool *pools = calloc(nr_pools, sizeof(*pools));
	struct marks *marks = calloc(nr_pools, sizeof(*marks));
	struct tworker *t = calloc(nr, sizeof(*t));
	u64 *peaks = calloc(nr_pools, sizeof(*peaks));
	struct tresult res = {};

	time_is_up = false;
	pthread_barrier_init(&barrier, NULL, nr + 1);
	for (i = 0; i < nr_pools; i++) {
		pool_start(&pools[i], nr_blocks);
		if (checked && !marks_init(&marks[i], nr_blocks))
			need(NULL);
	}
	for (i = 0; i < nr; i++) {
		t[i].cpu = i + 1;
		t[i].pool = apart ? &pools[i] : pools;
		t[i].marks = checked ? (apart ? &marks[i] : marks) : NULL;
		t[i].rng = seed * 1000 + i;
		t[i].share = apart ? nr_blocks : nr_blocks / nr;
		t[i].max_live = t[i].share / 16;
		t[i].live = need(malloc(t[i].max_live * sizeof(*t[i].live)));
		if (!apart && nr > 1)
			t[i].out = calloc(1, sizeof(*t[i].out));
	}
	for (i = 0; i < nr; i++) {
		t[i].in = t[(i + nr - 1) % nr].out;
		pthread_create(&t[i].thread, NULL, tmain, &t[i]);
	}
	pthread_barrier_wait(&barrier);
	if (!given_ops)
		usleep(3000000);
	time_is_up = !given_ops;
	for (i = 0; i < nr; i++) {
		u64 *peak = &peaks[apart ? i : 0];

		pthread_join(t[i].thread, NULL);
		res.ops += t[i].ops;
		res.rate += t[i].ops / (t[i].ns / 1e9);
		*peak = max(*peak, t[i].metadata_peak);
	}
	for (i = 0; i < nr_pools; i++) {
		res.wrong = res.wrong ?: tcheck(&t[i], apart ? 1 : nr, &pools[i]);
		res.metadata_peak += peaks[i];
		count_waits(&res, &pools[i].slab);
		hapool_destroy(&pools[i]);
		if (checked)
			marks_destroy(&marks[i]);
	}
	for (i = 0; i < nr; i++) {
		free(t[i].live);
		free(t[i].out);
	}
	pthread_barrier_destroy(&barrier);
	free(peaks);
	free(marks);
	free(t);
	free(pools);
	return res;
}

static bool threads(const struct workload *w, u64 nr_blocks)
{
	const char *name = w->name;
	struct tresult res, checked;
	bool apart = w->apart;
	int nr = w->nr_threads;

	sim_set_nr_cpus(nr + 1);
	res = run_threads(nr, apart, nr_blocks, false);
	checked = run_threads(nr, apart, nr_blocks, true);
	if (!checked.wrong)
		checked.wrong = res.wrong;
	out_begin();
	out_string("workload", name);
	out_u64("capacity_bytes", nr_blocks << BLOCK_SHIFT);
	out_u64("seed", seed);
	out_u64("threads", nr);
	out_u64("ops", res.ops);
	out_double("seconds", res.ops / res.rate, 3);
	out_double("ns_per_op", 1e9 / res.rate, 2);
	out_double("cas_ns", cas_ns(), 2);
	out_u64("waits_haslab_lock", res.all_waits);
	out_u64("waits_space_lock", res.space_waits);
	out_u64("waits_group_locks", res.group_waits);
	out_u64("waits_busiest_group", res.busiest_waits);
	out_u64("metadata_bytes_peak", checked.metadata_peak);
	out_string("ledger", checked.wrong ?: "ok");
	out_end();
	return !checked.wrong;
}

/* ---- names ---- */

void bench_list(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(workloads); i++)
		printf("%s\n", workloads[i].name);
	printf("sustain-u1M\nsustain-u4M\n"
	       "firstfail-MIX\nsustain-LOAD\nfifo-LOAD\nhold-LOAD=FILL\n"
	       "refill-SIZE-SIZE\npairs-SIZE-SIZE\n"
	       "append-SIZE\nappend16-SIZE\nappend16-aged-SIZE\npingpong-SIZE\n"
	       "threads-1\nthreads-2\nthreads-2x1\nthreads-8\n");
	claims_list(stdout);
	if (states_list)
		states_list(stdout);
	if (lines_list)
		lines_list(stdout);
}

/* Those of fifo- that go at random otherwise. */
static void oldest_first(struct load *load)
{
	struct phase *p;

	for (p = load->phases; p < load->phases + load->nr; p++)
		if (p->order == ORDER_RANDOM)
			p->order = ORDER_OLDEST;
}

static bool is_size(const struct mix *mix)
{
	return mix->simple && mix->min == mix->max;
}

/* "68K-2052K" */
static bool parse_sizes(const char *text, struct workload *w)
{
	const char *dash = strchr(text, '-');
	char first[32];
	const char *end;

	if (!dash || dash - text >= (long)sizeof(first))
		return false;
	memcpy(first, text, dash - text);
	first[dash - text] = 0;
	end = mix_parse(first, &w->mix);
	if (!end || *end || !is_size(&w->mix))
		return false;
	end = mix_parse(dash + 1, &w->second);
	return end && !*end && is_size(&w->second);
}

/* What comes after the prefix of the workload */
static bool parse_rest(const char *text, struct workload *w, bool fifo)
{
	if (is_hold(w)) {
		bool fixed = w->work == hold;

		if (!load_parse(text, &w->load) || !!w->load.fill != fixed)
			return false;
		if (fifo)
			oldest_first(&w->load);
		return true;
	}
	if (has_second(w))
		return parse_sizes(text, w);
	text = mix_parse(text, &w->mix);
	return text && !*text && (is_size(&w->mix) || w->work == firstfail);
}

/* Names with sizes, a mix or a load: firstfail-3M, sustain-log64M, pingpong-2052K, ... */
static bool sized(const char *name, struct workload *w)
{
	static const struct { const char *prefix; struct workload w; } kinds[] = {
		{ "firstfail-", { .nr_blocks = 64 * GIB, .work = firstfail, .each = true } },
		{ "sustain-", { .nr_blocks = 64 * GIB, .work = sustain } },
		{ "fifo-", { .nr_blocks = 64 * GIB, .work = sustain } },
		{ "hold-", { .nr_blocks = 64 * GIB, .work = hold } },
		{ "refill-", { .nr_blocks = 64 * GIB, .work = refill } },
		{ "pairs-", { .nr_blocks = 4 * GIB, .work = pairs } },
		{ "append-", { .nr_blocks = 64 * GIB, .work = append_one } },
		{ "append16-aged-", { .nr_blocks = 64 * GIB, .work = append_turns_aged } },
		{ "append16-", { .nr_blocks = 64 * GIB, .work = append_turns } },
		{ "pingpong-", { .nr_blocks = 64 * GIB, .work = pingpong, .arg = 10000000,
				  .each = true } },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t n = strlen(kinds[i].prefix);

		if (strncmp(name, kinds[i].prefix, n))
			continue;
		*w = kinds[i].w;
		w->name = name;
		return parse_rest(name + n, w, *name == 'f' && w->work == sustain);
	}
	return false;
}

/* Names with a number of threads: threads-8, and threads-2x1, each with its own device */
static bool threaded(const char *name, struct workload *w)
{
	static const char prefix[] = "threads-";
	const char *digits = name + strlen(prefix);
	u64 nr = 0;

	if (strncmp(name, prefix, strlen(prefix)))
		return false;
	*w = (struct workload) { .name = name, .nr_blocks = 64 * GIB };
	for (; *digits >= '0' && *digits <= '9' && nr < NR_CPUS; digits++)
		nr = 10 * nr + *digits - '0';
	w->nr_threads = nr;
	w->apart = !strcmp(digits, "x1");
	return nr && nr < NR_CPUS && (!*digits || w->apart);
}

static u64 longest(const struct workload *w)
{
	return is_hold(w) ? load_max(&w->load) : max(w->mix.max, w->second.max);
}

/* False after a complaint. */
static bool find_workload(const char *name, struct workload *w)
{
	u64 nr_blocks;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(workloads); i++)
		if (!strcmp(workloads[i].name, name))
			break;
	if (i < ARRAY_SIZE(workloads)) {
		*w = workloads[i];
	} else if (!sized(name, w) && !threaded(name, w)) {
		fprintf(stderr, "hybrid-sim: there is no workload '%s'; 'hybrid-sim bench --list' "
			"shows them\n", name);
		return false;
	}
	nr_blocks = capacity ? capacity >> BLOCK_SHIFT : w->nr_blocks;
	/* the extents on their way to another thread take about a GiB for each thread */
	if (nr_blocks < longest(w) || nr_blocks / 4 / GIB < w->nr_threads) {
		fprintf(stderr, "hybrid-sim: the device is too small for %s; give a larger "
			"--capacity\n", name);
		return false;
	}
	/* a multiple of the size of the device */
	if (w->work == stress)
		w->arg = w->arg / w->nr_blocks * nr_blocks;
	else if (given_ops)
		w->arg = given_ops;
	w->nr_blocks = nr_blocks;
	return true;
}

/* worst-*, see states.c */
static bool is_state(const char *name)
{
	return states_has && states_has(name);
}

/* lines-*, see lines.c */
static bool counts_lines(const char *name)
{
	return lines_has && lines_has(name);
}

static bool is_apart(const char *name)
{
	return is_state(name) || counts_lines(name) || claims_has(name);
}

static bool has_reference(const struct workload *w)
{
	return w->work == firstfail || is_hold(w) || has_second(w);
}

int bench(char **names)
{
	struct workload w;
	char **name;
	int ret = 0;

	for (name = names; *name; name++) {
		if (!is_apart(*name) && !find_workload(*name, &w))
			return 2;
		if (reference && (is_apart(*name) || !has_reference(&w))) {
			fprintf(stderr, "hybrid-sim: --reference is for firstfail-, sustain-, "
				"fifo-, hold-, refill- and pairs-, not for %s; leave it out\n",
				*name);
			return 2;
		}
	}
	for (name = names; *name; name++) {
		if (is_state(*name)) {
			ret |= states_bench(*name);
			continue;
		}
		if (claims_has(*name)) {
			ret |= claims_bench(*name);
			continue;
		}
		if (counts_lines(*name)) {
			ret |= lines_bench(*name);
			continue;
		}
		find_workload(*name, &w);
		if (!(w.nr_threads ? threads(&w, w.nr_blocks) : report(&w, w.nr_blocks)))
			ret = 1;
	}
	return ret;
}
