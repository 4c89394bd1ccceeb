/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the suites of the whole allocator share: starting an allocator of some shape, what
 * must be true of it at any time, and random operations that are compared with the model.
 * They use the functions of pool.h and know nothing of their implementation. All lengths
 * are in blocks.
 */
#ifndef _HYBRID_ALLOC_POOL_FIXTURE_H
#define _HYBRID_ALLOC_POOL_FIXTURE_H

#include <linux/log2.h>
#include <linux/string.h>

#include "pool.h"
#include "hatest.h"

#define UNIT	256U		/* blocks: 1 MiB of 4 KiB */

struct fixture {
	struct hapool p;
	bool alive;
	struct haslab_config cfg;
	unsigned int nr_groups;	/* for start() and start_shape() */
	u64 metadata;		/* while all is free */
	/* not on the stack, which is small for a debug kernel */
	struct hapool_stat st;
	struct hapool_stat before;
};

static inline void stop(struct fixture *f)
{
	if (f->alive)
		hapool_destroy(&f->p);
	f->alive = false;
}

static inline int try_start(struct kunit *test, const struct haslab_config *cfg)
{
	struct fixture *f = test->priv;
	int ret;

	stop(f);
	ret = hapool_init(&f->p, cfg);
	f->alive = !ret;
	return ret;
}

/* The statistics now. */
static inline const struct hapool_stat *stat(struct kunit *test)
{
	struct fixture *f = test->priv;

	hapool_stat(&f->p, &f->st, false);
	return &f->st;
}

/* The same, with a walk over all free runs. */
static inline const struct hapool_stat *stat_walk(struct kunit *test)
{
	struct fixture *f = test->priv;

	hapool_stat(&f->p, &f->st, true);
	return &f->st;
}

static inline void start_cfg(struct kunit *test, const struct haslab_config *cfg)
{
	struct fixture *f = test->priv;

	KUNIT_ASSERT_EQ(test, try_start(test, cfg), 0);
	KUNIT_ASSERT_EQ(test, hapool_check(&f->p), 0);
	f->cfg = *cfg;
	f->metadata = stat(test)->metadata;
}

static inline void start_shape(struct kunit *test, u64 nr_blocks, unsigned int unit_shift,
			       u64 slab_max)
{
	struct fixture *f = test->priv;
	/* placement must not depend on the CPU, unless a case asks for groups */
	struct haslab_config cfg = {
		.nr_blocks = nr_blocks, .unit_shift = unit_shift, .slab_max = slab_max,
		.nr_groups = f->nr_groups ?: 1,
	};

	start_cfg(test, &cfg);
}

static inline void start(struct kunit *test, u64 nr_blocks)
{
	start_shape(test, nr_blocks, ilog2(UNIT), UNIT / 2);
}

/* The sums add up, and the allocator has charged just these extents. */
static inline void expect_account(struct kunit *test, u64 charged, u64 nr_live)
{
	const struct hapool_stat *st = stat(test);

	KUNIT_ASSERT_EQ(test, st->capacity,
			st->charged + st->cached + st->retired + st->slab.free);
	KUNIT_ASSERT_EQ(test, st->charged, charged);
	KUNIT_ASSERT_EQ(test, st->nr_live, nr_live);
}

/* With empty pools, all is one free run. The metadata is not checked. */
static inline void expect_one_run(struct kunit *test)
{
	struct fixture *f = test->priv;
	const struct hapool_stat *st = &f->st;

	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	hapool_drain(&f->p);
	stat_walk(test);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	KUNIT_EXPECT_EQ(test, st->charged, 0);
	KUNIT_EXPECT_EQ(test, st->nr_live, 0);
	KUNIT_EXPECT_EQ(test, st->cached, 0);
	KUNIT_EXPECT_EQ(test, st->retired, 0);
	KUNIT_EXPECT_EQ(test, st->slab.free, st->capacity);
	KUNIT_EXPECT_EQ(test, st->slab.nr_runs, 1);
	KUNIT_EXPECT_EQ(test, st->slab.largest_run, st->capacity);
}

static inline void expect_all_comes_back(struct kunit *test)
{
	struct fixture *f = test->priv;

	expect_one_run(test);
	KUNIT_EXPECT_EQ(test, f->st.metadata, f->metadata);
}

static inline int try_alloc(struct kunit *test, u64 len, u64 *at)
{
	struct fixture *f = test->priv;

	return hapool_alloc(&f->p, len, 1, HAPOOL_NO_GOAL, GFP_KERNEL, at);
}

static inline u64 alloc(struct kunit *test, u64 len)
{
	u64 at;

	KUNIT_ASSERT_EQ_MSG(test, try_alloc(test, len, &at), 0, "length %llu", len);
	return at;
}

static inline int claim(struct kunit *test, u64 at, u64 len)
{
	struct fixture *f = test->priv;

	return hapool_claim(&f->p, at, len, GFP_KERNEL);
}

static inline void expect_freed(struct kunit *test, u64 at, u64 len)
{
	enum hybrid_alloc_reason reason = HYBRID_ALLOC_REASON_NONE;
	struct fixture *f = test->priv;
	int ret = hapool_free(&f->p, at, len, &reason);

	KUNIT_ASSERT_EQ_MSG(test, ret, 0, "reason %d, start %llu, length %llu", reason, at, len);
}

static inline void expect_refused(struct kunit *test, u64 at, u64 len, int err,
				  enum hybrid_alloc_reason why)
{
	enum hybrid_alloc_reason reason = HYBRID_ALLOC_REASON_NONE;
	u64 before = stat(test)->refused[why];
	struct fixture *f = test->priv;
	int ret = hapool_free(&f->p, at, len, &reason);

	KUNIT_EXPECT_EQ_MSG(test, ret, err, "start %llu, length %llu", at, len);
	KUNIT_EXPECT_EQ_MSG(test, (int)reason, (int)why, "start %llu, length %llu", at, len);
	KUNIT_EXPECT_EQ(test, stat(test)->refused[why], before + 1);
}

static const u16 common[] = {
	1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 32, 64, 128, 256, 512, 1024,
};

/* Makes this CPU's magazine of a size, with objects in it. */
static inline void warm_up(struct kunit *test, u64 len)
{
	u64 a = alloc(test, len), b = alloc(test, len);

	expect_freed(test, a, len);
	expect_freed(test, b, len);
}

/* ---- the model ---- */

/* The model has the blocks before the first one as cached: neither free nor live. */
static inline void model_start(struct kunit *test, struct hatest_model *m)
{
	struct fixture *f = test->priv;

	hatest_model_start(m, f->cfg.nr_blocks);
	hatest_model_cache(m, 0, f->cfg.first_block);
}

static inline void expect_account_of_model(struct kunit *test, const struct hatest_model *m)
{
	struct fixture *f = test->priv;

	expect_account(test, m->nr_used - f->cfg.first_block, m->nr);
}

static inline void random_free(struct kunit *test, struct hatest_model *m, struct hatest_rng *rng)
{
	enum hybrid_alloc_reason reason = 0, expected;
	struct fixture *f = test->priv;
	u64 at, len;
	int ret;

	if (m->nr && hatest_below(rng, 10)) {
		struct hatest_extent *e = &m->extents[hatest_below(rng, m->nr)];

		at = e->start;
		len = e->len;
		if (!hatest_below(rng, 10)) {
			at += hatest_below(rng, len);
			len = 1 + hatest_below(rng, 40);
		}
	} else {
		at = hatest_below(rng, m->nr_blocks);
		len = 1 + hatest_below(rng, 40);
	}
	if (at + len > m->nr_blocks || at < f->cfg.first_block)
		return;
	ret = hapool_free(&f->p, at, len, &reason);
	KUNIT_ASSERT_EQ_MSG(test, ret, hatest_model_remove(m, at, len, &expected),
			    "free %llu, length %llu", at, len);
	if (ret)
		KUNIT_ASSERT_EQ(test, (int)reason, (int)expected);
}

static inline void random_alloc(struct kunit *test, struct hatest_model *m,
				struct hatest_rng *rng)
{
	struct fixture *f = test->priv;
	u64 len, align = 1, goal = HAPOOL_NO_GOAL, at;
	int ret;

	if (m->nr == HATEST_MAX_EXTENTS)
		return;
	len = common[hatest_below(rng, hatest_below(rng, 4) ? 17 : ARRAY_SIZE(common))];
	if (!hatest_below(rng, 4))
		len = 1 + hatest_below(rng, 1 << hatest_below(rng, 14));
	if (!hatest_below(rng, 8))
		align <<= hatest_below(rng, 12);
	if (!hatest_below(rng, 8))
		goal = hatest_below(rng, m->nr_blocks);
	ret = hapool_alloc(&f->p, len, align, goal, GFP_KERNEL, &at);
	/* no false ENOSPC: cached objects count as free */
	KUNIT_ASSERT_EQ_MSG(test, ret, hatest_model_fits(m, len, align) ? 0 : -ENOSPC,
			    "length %llu, alignment %llu, goal %llu", len, align, goal);
	if (ret)
		return;
	KUNIT_ASSERT_EQ(test, at & (align - 1), 0);
	KUNIT_ASSERT_TRUE_MSG(test, hatest_model_free(m, at, len),
			      "length %llu, alignment %llu, goal %llu: %llu", len, align, goal, at);
	hatest_model_add(m, at, len);
}

/* From a shortest to a longest length: the longest there is. */
static inline void random_upto(struct kunit *test, struct hatest_model *m, struct hatest_rng *rng)
{
	u64 max = 1 + hatest_below(rng, 1 << hatest_below(rng, 14)), min, longest, at, len;
	struct fixture *f = test->priv;
	u64 goal = HAPOOL_NO_GOAL, align = 1;
	int ret;

	if (m->nr == HATEST_MAX_EXTENTS)
		return;
	min = 1 + hatest_below(rng, max);
	if (!hatest_below(rng, 4))
		align <<= hatest_below(rng, 12);
	else if (!hatest_below(rng, 3))
		align = 1 + hatest_below(rng, 1 << hatest_below(rng, 13));
	if (!hatest_below(rng, 4))
		goal = hatest_below(rng, m->nr_blocks);
	longest = hatest_model_longest(m, max, align);
	len = min;
	ret = hapool_alloc_upto(&f->p, &len, max, align, goal, GFP_KERNEL, &at);
	KUNIT_ASSERT_EQ_MSG(test, ret, longest >= min ? 0 : -ENOSPC,
			    "length %llu to %llu, alignment %llu: %llu", min, max, align, longest);
	if (ret)
		return;
	KUNIT_ASSERT_EQ_MSG(test, len, longest, "length %llu to %llu, alignment %llu", min, max,
			    align);
	KUNIT_ASSERT_EQ(test, at % align, 0);
	KUNIT_ASSERT_TRUE(test, hatest_model_free(m, at, len));
	hatest_model_add(m, at, len);
}

static inline void random_claim(struct kunit *test, struct hatest_model *m,
				struct hatest_rng *rng)
{
	struct fixture *f = test->priv;
	u64 at = hatest_below(rng, m->nr_blocks);
	u64 len = 1 + hatest_below(rng, 1 << hatest_below(rng, 12));
	bool free = hatest_model_free(m, at, len);

	if (m->nr == HATEST_MAX_EXTENTS || at + len > m->nr_blocks ||
	    at < f->cfg.first_block)
		return;
	KUNIT_ASSERT_EQ_MSG(test, claim(test, at, len), free ? 0 : -EEXIST,
			    "claim %llu, length %llu", at, len);
	if (free)
		hatest_model_add(m, at, len);
}

/* An allocation, free or claim; while @filling, more often an allocation. */
static inline void random_step(struct kunit *test, struct hatest_model *m, struct hatest_rng *rng,
			       bool filling)
{
	struct fixture *f = test->priv;
	u32 what = hatest_below(rng, 200);

	if (what < (filling ? 120 : 75))
		random_alloc(test, m, rng);
	else if (what < 197)
		random_free(test, m, rng);
	else if (what < 199)
		random_claim(test, m, rng);
	else
		hapool_drain_cpu(&f->p, hatest_below(rng, 3) % nr_cpu_ids);
}

/* Frees one extent of the model, correctly. */
static inline void free_extent(struct kunit *test, struct hatest_model *m, unsigned int i)
{
	enum hybrid_alloc_reason reason;
	struct hatest_extent e = m->extents[i];

	expect_freed(test, e.start, e.len);
	hatest_model_remove(m, e.start, e.len, &reason);
}

static inline void free_all(struct kunit *test, struct hatest_model *m, struct hatest_rng *rng)
{
	while (m->nr)
		free_extent(test, m, hatest_below(rng, m->nr));
}

#define MAX_PAGE	16

/*
 * The map, read @page entries at a time, matches the model: it has no gaps, each live
 * extent is one entry, and the rest is free or cached. Blocks that the model has as cached
 * are neither free nor live.
 */
static inline void expect_map(struct kunit *test, const struct hatest_model *m, int page)
{
	struct haslab_extent e[MAX_PAGE];
	struct fixture *f = test->priv;
	u64 pos = f->cfg.first_block;
	int got, i;

	while ((got = hapool_map(&f->p, pos, e, page)) > 0) {
		KUNIT_ASSERT_LE(test, got, page);
		for (i = 0; i < got; i++) {
			u64 len = e[i].len;
			bool right;

			KUNIT_ASSERT_EQ(test, e[i].start, pos);
			KUNIT_ASSERT_GT(test, len, 0);
			KUNIT_ASSERT_LE(test, len, m->nr_blocks - pos);
			if (e[i].state == HYBRID_ALLOC_MAP_LIVE)
				right = hatest_model_is_extent(m, pos, len);
			else
				right = hatest_model_free(m, pos, len) ||
					(e[i].state != HYBRID_ALLOC_MAP_FREE &&
					 hatest_model_is_cached(m, pos, len));
			KUNIT_ASSERT_TRUE_MSG(test, right, "start %llu, length %llu, state %d",
					      pos, len, (int)e[i].state);
			pos += len;
		}
	}
	KUNIT_ASSERT_EQ(test, got, 0);
	KUNIT_ASSERT_EQ(test, pos, m->nr_blocks);
}

/* With empty pools, the free runs match the model. */
static inline void expect_runs(struct kunit *test, const struct hatest_model *m)
{
	struct hatest_runs runs = hatest_model_runs(m);
	struct fixture *f = test->priv;

	hapool_drain(&f->p);
	stat_walk(test);
	KUNIT_ASSERT_EQ(test, f->st.slab.free, m->nr_blocks - m->nr_used);
	KUNIT_ASSERT_EQ(test, f->st.slab.nr_runs, runs.nr);
	KUNIT_ASSERT_EQ(test, f->st.slab.largest_run, runs.largest);
}

static inline int pool_test_init(struct kunit *test)
{
	test->priv = kunit_kzalloc(test, sizeof(struct fixture), GFP_KERNEL);
	return test->priv ? 0 : -ENOMEM;
}

static inline void pool_test_exit(struct kunit *test)
{
	hatest_inject_stop();
	hatest_meanwhile = NULL;
	hatest_asleep = NULL;
	hatest_set_killed(false);
	hatest_on_any_cpu();
	stop(test->priv);
}

#endif
