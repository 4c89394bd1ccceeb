// SPDX-License-Identifier: GPL-2.0
/*
 * hybrid-sim bench worst-*: one call on a device that was made bad for it. The layers here are a
 * copy of their own, in which steps are counted (steps.h). Before each call one extent in the
 * middle is freed and claimed again, so the call has something to add up; "first" is the call
 * before that, which knows nothing about the device.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hybrid_sim.h"
#include "states.h"
#include "steps.h"

#define GIB		(1ULL << 18)	/* blocks */
#define TIB		(1024 * GIB)
#define NR_CALLS	3

static struct hapool pool;

struct worst {
	const char *name;
	const char *state;
	u64 nr_blocks;
	u64 step;		/* a block is claimed at each multiple of it */
	bool (*call)(const struct worst *w);
	u64 len, align, goal;
};

static bool refused(const struct worst *w)
{
	u64 start;

	return hapool_alloc(&pool, w->len, w->align, w->goal, GFP_KERNEL, &start) == -ENOSPC;
}

static bool allocated(const struct worst *w)
{
	enum hybrid_alloc_reason reason;
	u64 start;

	return !hapool_alloc(&pool, w->len, w->align, w->goal, GFP_KERNEL, &start) &&
	       !hapool_free(&pool, start, w->len, &reason);
}

/* From 1 to w->len blocks, of which one is all that there is. */
static bool shortened(const struct worst *w)
{
	enum hybrid_alloc_reason reason;
	u64 start, len = 1;

	return !hapool_alloc_upto(&pool, &len, w->len, w->align, w->goal, GFP_KERNEL, &start) &&
	       len == 1 && !hapool_free(&pool, start, 1, &reason);
}

static bool counted(const struct worst *w)
{
	struct hapool_stat st;

	hapool_stat(&pool, &st, false);
	return st.slab.largest_run;
}

static bool walked(const struct worst *w)
{
	struct hapool_stat st;

	hapool_stat(&pool, &st, true);
	return st.slab.largest_run;
}

static bool checked(const struct worst *w)
{
	return !hapool_check(&pool);
}

static bool mapped(const struct worst *w)
{
	static struct haslab_extent page[1024];
	u64 pos = 0;
	int nr;

	while ((nr = hapool_map(&pool, pos, page, ARRAY_SIZE(page))))
		pos = page[nr - 1].start + page[nr - 1].len;
	return pos == hapool_end(&pool);
}

#define NO_GOAL	HAPOOL_NO_GOAL
static const struct worst worsts[] = {
	{ "worst-goal-full", "each block is an extent", 4 * GIB, 1, refused, 1, 1, 0 },
	{ "worst-goal-holes", "each second block is an extent", 4 * GIB, 2, refused, 17, 1, 0 },
	{ "worst-align-huge", "each second block is an extent", 4 * GIB, 2, refused,
	  1, 1ULL << 38, NO_GOAL },
	{ "worst-align-2", "each second block is an extent", 4 * GIB, 2, refused, 1, 2, NO_GOAL },
	{ "worst-refusal-1T", "an extent at each MiB", TIB, 256, refused, 256, 1, NO_GOAL },
	{ "worst-alloc", "each second block is an extent", 4 * GIB, 2, allocated, 1, 1, NO_GOAL },
	{ "worst-min", "each second block is an extent", 4 * GIB, 2, shortened, 1024, 1, NO_GOAL },
	{ "worst-stat-100T", "two extents", 100 * TIB, 50 * TIB, counted },
	{ "worst-stat-sparse-100T", "an extent at each GiB", 100 * TIB, GIB, counted },
	{ "worst-stat-runs", "each second block is an extent", 4 * GIB, 2, walked },
	{ "worst-map", "each second block is an extent", 4 * GIB, 2, mapped },
	{ "worst-check", "each second block is an extent", 4 * GIB, 2, checked },
};

static const char *const locks[] = {
	[HA_LOCK_ALL] = "all groups", [HA_LOCK_GROUP] = "group", [HA_LOCK_SPACE] = "space",
	[HA_LOCK_SLOW] = "slow mode", [HA_LOCK_WATCH] = "watch",
};

static const struct worst *worst_of(const char *name)
{
	const struct worst *w;

	for (w = worsts; w < worsts + ARRAY_SIZE(worsts); w++)
		if (!strcmp(w->name, name))
			return w;
	return NULL;
}

bool states_has(const char *name)
{
	return worst_of(name);
}

void states_list(FILE *out)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(worsts); i++)
		fprintf(out, "%s\n", worsts[i].name);
}

static bool claim(u64 pos)
{
	return !hapool_claim(&pool, pos, 1, GFP_KERNEL);
}

static bool prepare(const struct worst *w, u64 nr_blocks)
{
	struct haslab_config cfg = { .nr_blocks = nr_blocks, .unit_shift = 8, .slab_max = 128 };
	u64 pos;

	if (hapool_init(&pool, &cfg)) {
		fprintf(stderr, "hybrid-sim: there is no memory for %s\n", w->name);
		exit(2);
	}
	for (pos = 0; pos < nr_blocks; pos += w->step)
		if (!claim(pos))
			return false;
	return true;
}

static bool change(const struct worst *w, u64 nr_blocks)
{
	u64 pos = nr_blocks / 2 / w->step * w->step;
	enum hybrid_alloc_reason reason;

	return !hapool_free(&pool, pos, 1, &reason) && claim(pos);
}

/* One call; the most of @steps and @ns. */
static bool call(const struct worst *w, long *steps, u64 *ns)
{
	long before = ha_steps_done();
	u64 t = cpu_ns();
	bool ok = w->call(w);

	*ns = max(*ns, cpu_ns() - t);
	*steps = max(*steps, ha_steps_done() - before);
	return ok;
}

static void out_holds(void)
{
	int lock, worst = 0;

	/* of the slow mode there is no limit to a hold, as others run in between */
	for (lock = 0; lock < HA_NR_LOCKS; lock++)
		if (lock != HA_LOCK_SLOW && ha_longest_hold(lock) > ha_longest_hold(worst))
			worst = lock;
	out_u64("max_hold_steps", ha_longest_hold(worst));
	out_string("max_hold_lock", locks[worst]);
}

int states_bench(const char *name)
{
	const struct worst *w = worst_of(name);
	u64 nr_blocks = capacity ? capacity >> BLOCK_SHIFT : w->nr_blocks, first_ns = 0, ns = 0;
	long first_steps = 0, steps = 0;
	bool ok;
	int i;

	ok = prepare(w, nr_blocks);
	ha_holds_reset();
	ok = ok && call(w, &first_steps, &first_ns);
	for (i = 0; i < NR_CALLS && ok; i++)
		ok = change(w, nr_blocks) && call(w, &steps, &ns);

	out_begin();
	out_string("workload", name);
	out_u64("capacity_bytes", nr_blocks << BLOCK_SHIFT);
	out_u64("seed", seed);
	out_u64("threads", 1);
	out_string("state", w->state);
	out_u64("ops", i);
	out_u64("first_op_ns", first_ns);
	out_u64("first_op_steps", first_steps);
	out_u64("max_op_ns", ns);
	out_u64("max_op_steps", steps);
	out_holds();
	out_double("cas_ns", cas_ns(), 2);
	out_u64("metadata_bytes_peak", pool_metadata(&pool));
	out_string("ledger", !ok ? "a call did not do what it should" :
		   hapool_check(&pool) ? "hapool_check() found a broken invariant" : "ok");
	out_end();
	hapool_destroy(&pool);
	return !ok;
}
