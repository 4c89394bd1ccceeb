// SPDX-License-Identifier: GPL-2.0
/*
 * The space over time: filled and freed repeatedly, fragmented, held, grown, claimed in
 * bulk, and without memory.
 */
#include "pool_fixture.h"

#define GIB	(1ULL << 18)	/* blocks */

/* ---- fill and free ---- */

/* Allocates random sizes, then smaller and smaller ones, until no block is free. */
static void fill_up(struct kunit *test, struct hatest_model *m, struct hatest_rng *rng)
{
	u64 len, max = 1 << 10, at;
	int ret;

	while (m->nr < HATEST_MAX_EXTENTS) {
		len = 1 + hatest_below(rng, max);
		ret = try_alloc(test, len, &at);
		KUNIT_ASSERT_EQ_MSG(test, ret, hatest_model_fits(m, len, 1) ? 0 : -ENOSPC,
				    "length %llu", len);
		if (!ret) {
			KUNIT_ASSERT_TRUE(test, hatest_model_free(m, at, len));
			hatest_model_add(m, at, len);
			continue;
		}
		max = len - 1;
		if (!max)
			break;
	}
	KUNIT_EXPECT_EQ(test, m->nr_used, m->nr_blocks);
}

static void fill_free_refill_gives_the_same_total(struct kunit *test)
{
	struct hatest_model *m = hatest_model(test, 30011);
	struct hatest_rng rng = hatest_rng(test);
	unsigned int round;

	start(test, 30011);
	model_start(test, m);
	for (round = 0; round < 6; round++) {
		fill_up(test, m, &rng);
		expect_account(test, 30011, m->nr);
		/* free all of it, or a random half */
		if (round % 2) {
			free_all(test, m, &rng);
			expect_all_comes_back(test);
		} else {
			unsigned int n = m->nr / 2;

			while (n--)
				free_extent(test, m, hatest_below(&rng, m->nr));
			expect_account_of_model(test, m);
			expect_runs(test, m);
		}
	}
}

/* Sizes that are not pooled; for the others see pool_test.c. */
static void pairs_of_one_size_leave_the_free_space_as_it_is(struct kunit *test)
{
	static const u32 sizes[] = { 100, 300, 5000 };
	struct fixture *f = test->priv;
	u64 beside[20], free, runs;
	unsigned long n;
	unsigned int i;

	start(test, 1 << 17);
	for (i = 0; i < ARRAY_SIZE(beside); i++)
		beside[i] = alloc(test, 77);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		free = stat_walk(test)->slab.free;
		runs = f->st.slab.nr_runs;
		for (n = 0; n < hatest_ops; n++)
			expect_freed(test, alloc(test, sizes[i]), sizes[i]);
		stat_walk(test);
		KUNIT_EXPECT_EQ(test, f->st.slab.free, free);
		KUNIT_EXPECT_EQ(test, f->st.slab.nr_runs, runs);
		expect_account(test, 20 * 77, 20);
	}
	for (i = 0; i < ARRAY_SIZE(beside); i++)
		expect_freed(test, beside[i], 77);
	expect_all_comes_back(test);
}

static void every_second_block_serves_single_blocks_only(struct kunit *test)
{
	struct hatest_model *m = hatest_model(test, 3000);
	struct fixture *f = test->priv;
	u64 len, at, i;
	int pooled;

	/* as objects from the pools, and as claims */
	for (pooled = 0; pooled < 2; pooled++) {
		start(test, 3000);
		model_start(test, m);
		for (i = 0; i < 3000; i++) {
			if (pooled)
				alloc(test, 1);
			else
				KUNIT_ASSERT_EQ(test, claim(test, i, 1), 0);
		}
		for (i = 0; i < 3000; i += 2)
			expect_freed(test, i, 1);
		for (i = 1; i < 3000; i += 2)
			hatest_model_add(m, i, 1);
		for (len = 2; len <= 3000; len += len < 300 ? 1 : 77)
			KUNIT_EXPECT_EQ(test, try_alloc(test, len, &at), -ENOSPC);
		KUNIT_EXPECT_EQ(test, hapool_alloc(&f->p, 1, 2, HAPOOL_NO_GOAL, GFP_KERNEL, &at),
				0);
		hatest_model_add(m, at, 1);
		KUNIT_EXPECT_EQ(test, at % 2, 0);
		expect_runs(test, m);
		/* no MiB is contiguous, but 256 single blocks are free */
		KUNIT_EXPECT_EQ(test, try_alloc(test, UNIT, &at), -ENOSPC);
		for (i = 0; i < 1499; i++) {
			at = alloc(test, 1);
			KUNIT_ASSERT_TRUE(test, hatest_model_free(m, at, 1));
			if (i < UNIT)
				hatest_model_add(m, at, 1);
			else
				hatest_model_cache(m, at, 1);
		}
		KUNIT_EXPECT_EQ(test, try_alloc(test, 1, &at), -ENOSPC);
		expect_account(test, 3000, 3000);
		for (i = 0; i < 3000; i++)
			expect_freed(test, i, 1);
		expect_all_comes_back(test);
	}
}

static void failing_search_of_1_tib_is_fast(struct kunit *test)
{
	const u64 step = 1024 * UNIT, nr = 1ULL << 28;
	const unsigned int searches = 1 + hatest_ops / 2000;
	struct fixture *f = test->priv;
	u64 at, begin, i;

	/* 1024 free runs, none of them long enough, none with an aligned place */
	start(test, nr);
	for (i = 0; i < nr; i += step)
		KUNIT_ASSERT_EQ(test, claim(test, i, 1), 0);
	KUNIT_EXPECT_EQ(test, stat(test)->slab.largest_run, step - 1);
	begin = hatest_now();
	for (i = 0; i < searches; i++) {
		KUNIT_EXPECT_EQ(test, try_alloc(test, step, &at), -ENOSPC);
		KUNIT_EXPECT_EQ(test, hapool_alloc(&f->p, 1, step, HAPOOL_NO_GOAL, GFP_KERNEL,
						   &at), -ENOSPC);
		/* a change, so that the result of the last search cannot be reused */
		expect_freed(test, i * step, 1);
		KUNIT_ASSERT_EQ(test, claim(test, i * step, 1), 0);
	}
	/* visiting each block would take a hundred times as long */
#ifdef __KERNEL__
	KUNIT_EXPECT_LT(test, hatest_now() - begin, searches * 1000000000ULL);
#else
	KUNIT_EXPECT_LT(test, hatest_now() - begin, searches * 50000000ULL);
#endif
	for (i = 0; i < nr; i += step)
		expect_freed(test, i, 1);
	expect_all_comes_back(test);
}

/* ---- neighbours ---- */

static const u32 borders[] = {
	100, 256, 512, HASLAB_MAX_BLOCKS, 4 * HASLAB_MAX_BLOCKS, 3 * GIB, 4 * GIB,
};

/* Claims of parts of the only free run, at its start, end and middle, across borders. */
static void front_tail_and_middle_are_taken(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i;

	start(test, 6 * GIB + 5);
	for (i = 0; i < ARRAY_SIZE(borders); i++) {
		u64 from = borders[i] - 60, to = borders[i] + 41;
		/* { start, length, resulting number of free runs, the longest of them } */
		const u64 parts[][4] = {
			{ from, 7, 1, 94 }, { to - 9, 9, 1, 92 }, { from + 30, 45, 2, 30 },
			{ from + 1, 99, 2, 1 }, { from, 101, 0, 0 }, { borders[i], 1, 2, 60 },
			{ borders[i] - 1, 2, 2, 59 },
		};
		unsigned int k;

		KUNIT_ASSERT_EQ(test, claim(test, 0, from), 0);
		KUNIT_ASSERT_EQ(test, claim(test, to, 6 * GIB + 5 - to), 0);
		for (k = 0; k < ARRAY_SIZE(parts); k++) {
			KUNIT_ASSERT_EQ(test, claim(test, parts[k][0], parts[k][1]), 0);
			stat_walk(test);
			KUNIT_EXPECT_EQ(test, f->st.slab.nr_runs, parts[k][2]);
			KUNIT_EXPECT_EQ(test, f->st.slab.largest_run, parts[k][3]);
			KUNIT_EXPECT_EQ(test, f->st.slab.free, 101 - parts[k][1]);
			expect_freed(test, parts[k][0], parts[k][1]);
			stat_walk(test);
			KUNIT_EXPECT_EQ(test, f->st.slab.nr_runs, 1);
			KUNIT_EXPECT_EQ(test, f->st.slab.largest_run, 101);
		}
		expect_freed(test, 0, from);
		expect_freed(test, to, 6 * GIB + 5 - to);
		expect_all_comes_back(test);
	}
}

/* Three neighbours, allocated and freed in all orders: they merge with what is free. */
static void freed_extent_merges_left_right_both_and_none(struct kunit *test)
{
	static const u8 orders[6][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};
	struct fixture *f = test->priv;
	unsigned int i, o, k;

	start(test, 6 * GIB + 5);
	for (i = 0; i < ARRAY_SIZE(borders); i++)
		for (o = 0; o < 6; o++) {
			u64 b = borders[i];
			u64 at[] = { b - 90, b - 31, b + 13, b + 50 }, freed = 0;
			bool is_free[5] = {};

			KUNIT_ASSERT_EQ(test, claim(test, 0, at[0]), 0);
			KUNIT_ASSERT_EQ(test, claim(test, at[3], 6 * GIB + 5 - at[3]), 0);
			for (k = 0; k < 3; k++)
				KUNIT_ASSERT_EQ(test, claim(test, at[orders[5 - o][k]],
							    at[orders[5 - o][k] + 1] -
							    at[orders[5 - o][k]]), 0);
			for (k = 0; k < 3; k++) {
				unsigned int e = orders[o][k], j, runs = 0;
				u64 size = 0, largest = 0;

				expect_freed(test, at[e], at[e + 1] - at[e]);
				freed += at[e + 1] - at[e];
				is_free[e + 1] = true;
				for (j = 1; j < 5; j++) {
					runs += is_free[j] && !is_free[j - 1];
					size = is_free[j] ? size + at[j] - at[j - 1] : 0;
					largest = max(largest, size);
				}
				hapool_drain(&f->p);
				stat_walk(test);
				KUNIT_EXPECT_EQ(test, f->st.slab.nr_runs, runs);
				KUNIT_EXPECT_EQ(test, f->st.slab.largest_run, largest);
				KUNIT_EXPECT_EQ(test, f->st.slab.free, freed);
			}
			expect_freed(test, 0, at[0]);
			expect_freed(test, at[3], 6 * GIB + 5 - at[3]);
			expect_all_comes_back(test);
		}
}

/* ---- hold ---- */

/* Holds all free blocks in turn, at most @max at a time. Return: how many. */
static u64 hold_everything(struct kunit *test, struct hatest_model *m, u64 max)
{
	struct fixture *f = test->priv;
	u64 pos, start, len, sum = 0;
	unsigned int nr_held = 0;
	int ret;

	for (pos = f->cfg.first_block; hapool_next_free(&f->p, pos, &start, &len); ) {
		KUNIT_ASSERT_GE(test, start, pos);
		KUNIT_ASSERT_GT(test, len, 0);
		KUNIT_ASSERT_TRUE(test, hatest_model_free(m, start, len));
		len = min(len, max);
		pos = start + len;
		ret = hapool_hold(&f->p, &start, &len, GFP_KERNEL);
		if (ret) {
			KUNIT_ASSERT_EQ(test, ret, -EAGAIN);
			continue;
		}
		/* whole units and objects: from before the first block, and past the last */
		pos = max(pos, start + len);
		KUNIT_ASSERT_TRUE(test, hatest_model_free(m, start, len));
		sum += len;
		hatest_model_cache(m, start, len);
		KUNIT_ASSERT_EQ(test, stat(test)->retired, len);
		expect_account(test, m->nr_used - len - f->cfg.first_block, m->nr);
		if (len > 3) {
			expect_refused(test, start, len, -ENOENT,
				       HYBRID_ALLOC_REASON_NOT_ALLOCATED);
			expect_refused(test, start + len / 2, 1, -ENOENT,
				       HYBRID_ALLOC_REASON_NOT_ALLOCATED);
		}
		/* the rest is unchanged; checked now and then only, because it takes long */
		if (nr_held++ % 8 == 0) {
			expect_map(test, m, MAX_PAGE);
			KUNIT_ASSERT_EQ(test, hapool_check(&f->p), 0);
		}
		hapool_unhold(&f->p, start, len);
		hatest_model_uncache(m, start, len);
	}
	KUNIT_EXPECT_EQ(test, stat(test)->retired, 0);
	return sum;
}

static void free_blocks_are_held_and_all_of_them(struct kunit *test)
{
	/* live extents, with free space between them */
	static const struct { u32 at, len; } live[] = {
		{ 0, 1 }, { 2, 5 }, { 200, 100 }, { 512, 256 }, { 1000, 3000 }, { 4096, 1 },
		{ 5000, 4096 }, { 9999, 1 },
	};
	struct hatest_model *m = hatest_model(test, 10077);
	unsigned int i;

	start(test, 10077);
	model_start(test, m);
	KUNIT_EXPECT_EQ(test, hold_everything(test, m, U64_MAX), 10077);
	expect_all_comes_back(test);
	for (i = 0; i < ARRAY_SIZE(live); i++) {
		KUNIT_ASSERT_EQ(test, claim(test, live[i].at, live[i].len), 0);
		hatest_model_add(m, live[i].at, live[i].len);
		KUNIT_EXPECT_EQ(test, hold_everything(test, m, U64_MAX), 10077 - m->nr_used);
		expect_runs(test, m);
	}
	for (i = 0; i < ARRAY_SIZE(live); i++)
		free_extent(test, m, 0);
	expect_all_comes_back(test);
}

/* TRIM asks for less at a time than a unit or an object may have. */
static void a_part_of_a_unit_or_object_is_held_as_a_whole(struct kunit *test)
{
	/* in a gap: in blocks */
	static const struct { u32 from, len, start, end; } part[] = {
		{ 0, 1, 0, UNIT }, { UNIT - 1, 1, 0, UNIT }, { 100, UNIT, 0, 2 * UNIT },
		{ UNIT, UNIT, UNIT, 2 * UNIT }, { 3 * UNIT - 9, 1, 2 * UNIT, 3 * UNIT },
	};
	struct fixture *f = test->priv;
	enum hybrid_alloc_reason reason;
	u64 at, len, base;
	unsigned int i;

	start(test, 10000);
	for (i = 0; i < ARRAY_SIZE(part); i++) {
		at = part[i].from;
		len = part[i].len;
		KUNIT_ASSERT_EQ(test, hapool_hold(&f->p, &at, &len, GFP_KERNEL), 0);
		KUNIT_EXPECT_EQ(test, at, part[i].start);
		KUNIT_EXPECT_EQ(test, at + len, part[i].end);
		KUNIT_EXPECT_EQ(test, stat(test)->retired, len);
		hapool_unhold(&f->p, at, len);
	}
	expect_all_comes_back(test);

	/* objects of 128 blocks */
	base = alloc(test, 128);
	hapool_drain(&f->p);
	KUNIT_ASSERT_TRUE(test, hapool_next_free(&f->p, base + 128 + 50, &at, &len));
	KUNIT_ASSERT_EQ(test, at, base + 128 + 50);
	len = 7;
	KUNIT_ASSERT_EQ(test, hapool_hold(&f->p, &at, &len, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, at, base + 128);
	KUNIT_EXPECT_EQ(test, len, 128);
	hapool_unhold(&f->p, at, len);
	KUNIT_EXPECT_EQ(test, hapool_free(&f->p, base, 128, &reason), 0);
	expect_all_comes_back(test);
}

/* The two halves of a free, for every kind of extent. */
static void retired_extent_is_held_until_reuse(struct kunit *test)
{
	/* objects, a mixed extent, buddy blocks, one longer than a slot */
	static const u32 lens[] = { 1, 5, 16, 17, 300, 256, 512, 1024, 2048, 5000 };
	struct fixture *f = test->priv;
	enum hybrid_alloc_reason reason;
	u64 at[ARRAY_SIZE(lens)], other, live = 0;
	unsigned int i;

	start(test, 4 * 4096 + 77);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		at[i] = alloc(test, lens[i]);
		live += lens[i];
	}
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		KUNIT_EXPECT_EQ(test, hapool_retire(&f->p, at[i], lens[i] + 1, &reason), -EINVAL);
		KUNIT_EXPECT_EQ(test, reason, HYBRID_ALLOC_REASON_WRONG_LENGTH);
		KUNIT_ASSERT_EQ(test, hapool_retire(&f->p, at[i], lens[i], &reason), 0);
		live -= lens[i];
		expect_account(test, live, ARRAY_SIZE(lens) - i - 1);
		KUNIT_EXPECT_EQ(test, f->st.retired, lens[i]);
		KUNIT_EXPECT_EQ(test, hapool_retire(&f->p, at[i], lens[i], &reason), -ENOENT);
		KUNIT_EXPECT_EQ(test, hapool_free(&f->p, at[i], lens[i], &reason), -ENOENT);
		KUNIT_EXPECT_EQ(test, claim(test, at[i], lens[i]), -EEXIST);
		KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
		hapool_reuse(&f->p, at[i], lens[i]);
		expect_account(test, live, ARRAY_SIZE(lens) - i - 1);
		KUNIT_EXPECT_EQ(test, f->st.retired, 0);
		KUNIT_EXPECT_EQ(test, hapool_free(&f->p, at[i], lens[i], &reason), -ENOENT);
		other = alloc(test, lens[i]);
		expect_freed(test, other, lens[i]);
	}
	expect_all_comes_back(test);
}

static void free_blocks_far_behind_used_ones_are_found(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 start_at, len, i;

	start(test, 16 * GIB + 5);
	KUNIT_ASSERT_EQ(test, claim(test, 0, 9 * GIB + 300), 0);
	for (i = 0; i < 30; i++)
		KUNIT_ASSERT_EQ(test, claim(test, 9 * GIB + 300 + i * 1000, 1000), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 9 * GIB + 30300, 7 * GIB - 30300), 0);
	for (i = 0; i < 16 * GIB; i += GIB) {
		KUNIT_ASSERT_TRUE(test, hapool_next_free(&f->p, i, &start_at, &len));
		KUNIT_EXPECT_EQ(test, start_at, 16 * GIB);
		KUNIT_EXPECT_EQ(test, len, 5);
	}
	KUNIT_EXPECT_TRUE(test, hapool_next_free(&f->p, 16 * GIB + 4, &start_at, &len));
	KUNIT_EXPECT_EQ(test, start_at, 16 * GIB + 4);
	KUNIT_EXPECT_FALSE(test, hapool_next_free(&f->p, 16 * GIB + 5, &start_at, &len));
	KUNIT_EXPECT_FALSE(test, hapool_next_free(&f->p, U64_MAX, &start_at, &len));
	expect_freed(test, 0, 9 * GIB + 300);
	for (i = 0; i < 30; i++)
		expect_freed(test, 9 * GIB + 300 + i * 1000, 1000);
	expect_freed(test, 9 * GIB + 30300, 7 * GIB - 30300);
	expect_all_comes_back(test);
}

static void what_is_held_is_not_handed_out(struct kunit *test)
{
	static const u32 lens[] = { 1024, 1000, 256, 100, 64, 16, 5, 1 };
	struct hatest_model *m = hatest_model(test, 5000);
	struct fixture *f = test->priv;
	u64 at, start_at, len;
	unsigned int i;
	int ret;

	/* GFP_NOWAIT: a holder that waits would wait for itself */
	start(test, 5000);
	model_start(test, m);
	KUNIT_ASSERT_TRUE(test, hapool_next_free(&f->p, 700, &start_at, &len));
	len = 2000;
	KUNIT_ASSERT_EQ(test, hapool_hold(&f->p, &start_at, &len, GFP_KERNEL), 0);
	hatest_model_cache(m, start_at, len);
	KUNIT_EXPECT_EQ(test, hapool_claim(&f->p, start_at, 1, GFP_NOWAIT), -EAGAIN);
	KUNIT_EXPECT_EQ(test, hapool_claim(&f->p, start_at + len - 1, 2, GFP_NOWAIT), -EAGAIN);
	KUNIT_EXPECT_EQ(test, hapool_claim(&f->p, 0, 5000, GFP_NOWAIT), -EAGAIN);
	for (i = 0; i < ARRAY_SIZE(lens); ) {
		u64 goal = i % 2 ? start_at + len / 2 : HAPOOL_NO_GOAL;

		ret = hapool_alloc(&f->p, lens[i], 1, goal, GFP_NOWAIT, &at);
		/* not ENOSPC, because the held blocks will be free soon */
		if (ret) {
			KUNIT_ASSERT_EQ(test, ret, -EAGAIN);
			i++;
			continue;
		}
		KUNIT_ASSERT_TRUE(test, hatest_model_free(m, at, lens[i]));
		hatest_model_add(m, at, lens[i]);
	}
	/* frees work meanwhile, also next to the held blocks */
	while (m->nr > 20)
		free_extent(test, m, m->nr / 2);
	expect_map(test, m, 3);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	hapool_unhold(&f->p, start_at, len);
	hatest_model_uncache(m, start_at, len);
	expect_runs(test, m);
	while (m->nr)
		free_extent(test, m, 0);
	expect_all_comes_back(test);
}

/* A part of the range has been allocated since hapool_next_free() returned it. */
static void hold_of_what_is_partly_used(struct kunit *test)
{
	static const struct { u32 at, len; } taken[] = {
		{ 0, 1 }, { 1000, 1 }, { 3000, 77 }, { 256, 512 }, { 4999, 1 }, { 0, 5000 },
	};
	struct hatest_model *m = hatest_model(test, 5000);
	struct fixture *f = test->priv;
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(taken); i++) {
		u64 start_at, len;

		start(test, 5000);
		model_start(test, m);
		KUNIT_ASSERT_TRUE(test, hapool_next_free(&f->p, 0, &start_at, &len));
		KUNIT_ASSERT_EQ(test, claim(test, taken[i].at, taken[i].len), 0);
		hatest_model_add(m, taken[i].at, taken[i].len);
		ret = hapool_hold(&f->p, &start_at, &len, GFP_KERNEL);
		if (ret) {
			KUNIT_EXPECT_EQ(test, ret, -EAGAIN);
		} else {
			KUNIT_EXPECT_TRUE(test, hatest_model_free(m, start_at, len));
			hapool_unhold(&f->p, start_at, len);
		}
		expect_account_of_model(test, m);
		expect_runs(test, m);
		expect_map(test, m, 1);
		free_extent(test, m, 0);
		expect_all_comes_back(test);
	}
}

/* Among extents of all kinds, also cached ones. */
static void hold_while_others_come_and_go(struct kunit *test)
{
	struct hatest_model *m = hatest_model(test, 20000);
	struct hatest_rng rng = hatest_rng(test);
	unsigned int round, i;
	struct fixture *f = test->priv;
	u64 free;

	start(test, 20000);
	model_start(test, m);
	for (round = 0; round < 2 + hatest_ops / 5000; round++) {
		for (i = 0; i < 150; i++)
			random_step(test, m, &rng, round != 3);
		hapool_drain(&f->p);
		free = m->nr_blocks - m->nr_used;
		KUNIT_EXPECT_LE(test, hold_everything(test, m, 1 + hatest_below(&rng, 3000)), free);
		expect_account_of_model(test, m);
		expect_runs(test, m);
	}
	free_all(test, m, &rng);
	expect_all_comes_back(test);
}

/* ---- grow ---- */

static void grow_to(struct kunit *test, struct hatest_model *m, u64 nr_blocks)
{
	struct fixture *f = test->priv;
	u64 old = f->cfg.nr_blocks;

	KUNIT_ASSERT_EQ(test, hapool_grow(&f->p, nr_blocks, GFP_KERNEL), 0);
	f->cfg.nr_blocks = nr_blocks;
	KUNIT_ASSERT_EQ(test, hapool_check(&f->p), 0);
	KUNIT_EXPECT_EQ(test, stat(test)->capacity, nr_blocks - f->cfg.first_block);
	KUNIT_EXPECT_EQ(test, hapool_grow(&f->p, nr_blocks, GFP_KERNEL), 0);
	if (nr_blocks > old)
		KUNIT_EXPECT_EQ(test, hapool_grow(&f->p, old, GFP_KERNEL), -EINVAL);
	KUNIT_EXPECT_EQ(test, hapool_grow(&f->p, 0, GFP_KERNEL), -EINVAL);
	KUNIT_EXPECT_EQ(test, hapool_grow(&f->p, U64_MAX, GFP_KERNEL), -EINVAL);
	KUNIT_EXPECT_EQ(test, stat(test)->capacity, nr_blocks - f->cfg.first_block);
	if (m) {
		m->nr_blocks = nr_blocks;
		expect_account_of_model(test, m);
		expect_map(test, m, MAX_PAGE);
		expect_runs(test, m);
	}
}

static void device_grows_from_tiny_by_odd_steps(struct kunit *test)
{
	static const u64 sizes[] = {
		1, 2, 3, 255, 256, 257, 300, 511, 512, 513, 1000, 4095, 4096, 4097, 8192, 8200,
		20000, 20001, GIB, GIB + 1, 4 * GIB - 1, 4 * GIB, 4 * GIB + 1, 9 * GIB + 300,
		1ULL << 30,
	};
	struct fixture *f = test->priv;
	unsigned int i, from;

	/* always empty */
	start(test, 1);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		grow_to(test, NULL, sizes[i]);
		expect_one_run(test);
		KUNIT_EXPECT_EQ(test, alloc(test, sizes[i]), 0);
		expect_freed(test, 0, sizes[i]);
		expect_one_run(test);
	}
	/* always full; the new space is one run after the old end */
	for (from = 0; from < 6; from++) {
		start(test, sizes[from]);
		KUNIT_EXPECT_EQ(test, alloc(test, sizes[from]), 0);
		for (i = from + 1; sizes[i] < GIB; i++) {
			u64 at;

			KUNIT_EXPECT_EQ(test, try_alloc(test, 1, &at), -ENOSPC);
			grow_to(test, NULL, sizes[i]);
			KUNIT_EXPECT_EQ(test, try_alloc(test, sizes[i] - sizes[i - 1] + 1, &at),
					-ENOSPC);
			at = alloc(test, sizes[i] - sizes[i - 1]);
			KUNIT_EXPECT_EQ(test, at, sizes[i - 1]);
			KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
		}
		expect_account(test, sizes[i - 1], i - from);
		while (--i > from)
			expect_freed(test, sizes[i - 1], sizes[i] - sizes[i - 1]);
		expect_freed(test, 0, sizes[from]);
		expect_one_run(test);
	}
}

static void device_grows_while_extents_live(struct kunit *test)
{
	struct hatest_model *m = hatest_model(test, 60000);
	struct hatest_rng rng = hatest_rng(test);
	static const u16 units[] = { 1, 16, UNIT, HASLAB_MAX_BLOCKS };
	struct fixture *f = test->priv;
	unsigned int u, k;

	for (u = 0; u < ARRAY_SIZE(units); u++) {
		struct haslab_config cfg = {
			.first_block = u % 2 ? 77 : 0, .nr_blocks = HASLAB_MAX_BLOCKS,
			.unit_shift = ilog2(units[u]), .slab_max = UNIT,
		};
		u64 nr = cfg.nr_blocks;

		start_cfg(test, &cfg);
		model_start(test, m);
		while (true) {
			for (k = 0; k < 10 + hatest_ops / 200; k++)
				random_step(test, m, &rng, true);
			/* by one block, to the next unit, or by any length */
			switch (hatest_below(&rng, 4)) {
			case 0:
				nr++;
				break;
			case 1:
				nr = round_up(nr + 1, units[u]);
				break;
			default:
				nr += hatest_below(&rng, 8000);
			}
			if (nr > 60000)
				break;
			grow_to(test, m, nr);
		}
		KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
		free_all(test, m, &rng);
		expect_one_run(test);
	}
}

/* When all is freed, the metadata is that of a new device of this size. */
static void metadata_of_what_has_grown(struct kunit *test)
{
	static const u64 sizes[] = { 300, 3 * HASLAB_MAX_BLOCKS, 9 * GIB + 7 };
	static const u8 unit_shifts[] = { 0, 8, HASLAB_MAX_SHIFT };
	struct fixture *f = test->priv;
	unsigned int i, u;

	for (u = 0; u < ARRAY_SIZE(unit_shifts); u++)
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			u64 metadata, at;

			start_shape(test, sizes[i], unit_shifts[u], UNIT);
			metadata = f->metadata;
			start_shape(test, 257, unit_shifts[u], UNIT);
			at = alloc(test, 100);
			grow_to(test, NULL, 299);
			grow_to(test, NULL, sizes[i]);
			expect_freed(test, at, 100);
			expect_one_run(test);
			KUNIT_EXPECT_EQ(test, f->st.metadata, metadata);
		}
}

/* Allocates all that is left: also blocks of which no slab can be made. */
static void fill_with(struct kunit *test, u64 len)
{
	u64 at;

	while (!try_alloc(test, len, &at))
		;
}

static void expect_metadata_in_bounds(struct kunit *test, const char *what, u64 hole, u64 len)
{
	struct fixture *f = test->priv;
	u64 all = stat(test)->metadata - f->metadata, first, per_gib;

	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	/* the device is a part of a GiB; the memory for its first extent serves the whole GiB */
	start(test, f->cfg.nr_blocks);
	KUNIT_ASSERT_EQ(test, claim(test, 0, 1), 0);
	first = stat(test)->metadata - f->metadata;
	per_gib = first + (all - first) * GIB / f->cfg.nr_blocks;
	KUNIT_EXPECT_LE_MSG(test, per_gib, 80ULL << 10, "%s: holes of %llu blocks, length %llu",
			    what, hole, len);
}

/* Fills the holes between claims; with @others, then the freed claims, too. */
static void fill_holes(struct kunit *test, u64 nr, u64 hole, u64 len, bool others)
{
	u64 at;

	start(test, nr);
	for (at = 0; at < nr; at += 2 * hole)
		KUNIT_ASSERT_EQ(test, claim(test, at, hole), 0);
	fill_with(test, len);
	for (at = 0; at < nr && others; at += 2 * hole)
		expect_freed(test, at, hole);
	fill_with(test, len);
	expect_metadata_in_bounds(test, others ? "all of them" : "holes", hole, len);
}

/* Single blocks claimed in every second hole; the others are filled with objects. */
static void fill_beside_claims(struct kunit *test, u64 nr, u64 hole, u64 len)
{
	u64 at, i;

	start(test, nr);
	for (at = 0; at < nr; at += 2 * hole)
		for (i = 0; i < hole; i += 2)
			KUNIT_ASSERT_EQ(test, claim(test, at + i, 1), 0);
	fill_with(test, len);
	expect_metadata_in_bounds(test, "beside claims", hole, len);
}

/* However fragmented the space is: at most 80 KiB of metadata for each GiB. */
static void metadata_has_a_bound(struct kunit *test)
{
#ifdef __KERNEL__
	/* only some of them, because a debug kernel is a hundred times slower */
	static const u16 holes[] = { 2 * UNIT }, lengths[] = { 2 };
#else
	static const u16 holes[] = { UNIT, 2 * UNIT, 8 * UNIT }, lengths[] = { 1, 2, 16 };
#endif
	unsigned int h, l;

	for (h = 0; h < ARRAY_SIZE(holes); h++)
		for (l = 0; l < ARRAY_SIZE(lengths); l++) {
			fill_holes(test, GIB / 4, holes[h], lengths[l], false);
			fill_holes(test, GIB / 4, holes[h], lengths[l], true);
			fill_beside_claims(test, GIB / 4, holes[h], lengths[l]);
		}
}

/* Extents that start in a mixed part and continue over free units. */
static void metadata_of_extents_across_units(struct kunit *test)
{
	struct fixture *f = test->priv;
	const u64 nr = GIB / 4;
	u64 at, i;
	int k;

	for (k = 0; k < 2; k++) {
		start(test, nr);
		for (at = 0; at < nr; at += 2 * UNIT)
			KUNIT_ASSERT_EQ(test, claim(test, at + UNIT, UNIT), 0);
		for (at = 0; at < nr; at += 2 * UNIT)
			for (i = 0; i < UNIT - 1; i++)
				KUNIT_ASSERT_EQ(test, claim(test, at + i, 1), 0);
		for (at = 0; at < nr; at += 2 * UNIT)
			expect_freed(test, at + UNIT, UNIT);
		hapool_drain(&f->p);
		for (at = 0; at < nr; at += 2 * UNIT)
			KUNIT_ASSERT_EQ(test, claim(test, at + UNIT - 1, UNIT + 1), 0);
		expect_account(test, nr, nr / 2);
		if (!k)
			expect_metadata_in_bounds(test, "all in use", UNIT, UNIT + 1);
	}
	for (at = 0; at < nr; at += 2 * UNIT) {
		expect_freed(test, at + UNIT - 1, UNIT + 1);
		for (i = 0; i < UNIT - 1; i++)
			expect_freed(test, at + i, 1);
	}
	expect_all_comes_back(test);
}

#ifndef __KERNEL__	/* in user space only, because a debug kernel is a hundred times slower */
/*
 * One unit of each slot is free; all other blocks are in extents of one and two blocks, of
 * which one lies across each border of slots. So every slot has a mixed part in bitmap form
 * and, in its free unit, a slab: one of each common size, if there are enough slots.
 */
static void metadata_of_all_kinds_at_once(struct kunit *test)
{
	static const u64 sizes[] = { GIB, GIB + 1, GIB + GIB / 2, 2 * GIB };
	const u64 slot = HASLAB_MAX_BLOCKS, hole = 7 * UNIT;
	u64 nr, at, end, len;
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		nr = sizes[i];
		start(test, nr);
		for (at = 0; at + slot <= nr; at += slot)
			KUNIT_ASSERT_EQ(test, claim(test, at + hole, UNIT), 0);
		for (at = 0, k = 0; at < nr; at += len) {
			len = 1;
			if (at % slot == hole && at + UNIT <= nr) {
				len = UNIT;
				continue;
			}
			end = round_up(at + 1, slot);
			if (at % slot < hole)
				end += hole - slot;
			if (at + 1 < nr && (end - at == 1 ? !(end % slot) : k++ % 2))
				len = 2;
			KUNIT_ASSERT_EQ(test, claim(test, at, len), 0);
		}
		for (at = 0; at + slot <= nr; at += slot)
			expect_freed(test, at + hole, UNIT);
		for (k = 0; k < 15 * UNIT; k++)
			alloc(test, 1);
		for (k = 2; k <= UNIT; k += k < 16 ? 1 : k)
			alloc(test, k);
		KUNIT_EXPECT_LE_MSG(test, stat(test)->metadata, (nr * 80) >> 8,
				    "%llu blocks", nr);
	}
}

/*
 * Most blocks are in slabs of a whole slot, some in slabs of other sizes, and the rest in a
 * mixed slot. The devices end within a slot, just after or before a whole GiB.
 */
static void metadata_of_single_blocks_on_odd_devices(struct kunit *test)
{
	static const u64 sizes[] = {
		GIB, GIB + 1, GIB + UNIT, GIB + 7 * UNIT, GIB + 15 * UNIT, GIB - 25 * UNIT,
	};
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		start(test, sizes[i]);
		for (k = 0; k < 2 * HASLAB_MAX_BLOCKS; k++)
			alloc(test, 1);
		for (k = 2; k <= UNIT; k += k < 16 ? 1 : k)
			alloc(test, k);
		fill_with(test, 1);
		KUNIT_EXPECT_LE_MSG(test, stat(test)->metadata, (sizes[i] * 80) >> 8,
				    "%llu blocks", sizes[i]);
	}
}
#endif

/* Extents that would waste the rest of a slot, or of a buddy block, if they did not adjoin. */
static void extents_longer_than_a_slot_adjoin(struct kunit *test)
{
	static const u32 sizes[] = {
		16 * UNIT + 1, 17 * UNIT, 17 * UNIT + 1, 24 * UNIT - 1, 33 * UNIT, 100 * UNIT + 77,
	};
	unsigned int i, k;
	u64 at, nr;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		start(test, GIB + 5);
		nr = (GIB + 5) / sizes[i];
		for (k = 0; k < nr; k++)
			alloc(test, sizes[i]);
		KUNIT_EXPECT_EQ(test, try_alloc(test, sizes[i], &at), -ENOSPC);
		expect_account(test, nr * sizes[i], nr);
	}
}

/* Allocations of a small size alternate with a large one that does not divide a slot. */
static void small_sizes_leave_no_rests_they_do_not_fill(struct kunit *test)
{
	static const struct { u32 large, small; } sizes[] = {
		{ 9 * UNIT, 17 }, { 9 * UNIT, 3 * UNIT / 2 }, { 4 * UNIT + 1, 17 },
		{ 3 * UNIT, 25 },
	};
	u64 at, used, len;
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		start(test, GIB);
		for (k = 0, used = 0;; k++, used += len) {
			len = k % 2 ? sizes[i].small : sizes[i].large;
			if (try_alloc(test, len, &at))
				break;
		}
		KUNIT_EXPECT_LE_MSG(test, GIB / 100 * 98, used, "%u and %u blocks",
				    sizes[i].large, sizes[i].small);
	}
}

/* The shortest run that is long enough is taken, regardless of what it consists of. */
static void run_that_fits_best_is_taken(struct kunit *test)
{
	static const struct { u64 at, len; } holes[] = {
		/* whole units in two slots, and runs that start or end within units */
		{ 20 * UNIT, 40 * UNIT }, { 80 * UNIT + 9, 18 * UNIT }, { 120 * UNIT, 17 * UNIT },
		{ 150 * UNIT - 1, 25 * UNIT },
	};
	static const struct { u64 len, hole; } wants[] = {
		{ 17 * UNIT + 1, 1 }, { 17 * UNIT, 2 }, { 24 * UNIT, 3 }, { 26 * UNIT, 0 },
	};
	const u64 nr = 200 * UNIT;
	u64 pos = 0;
	unsigned int i;

	start(test, nr);
	for (i = 0; i < ARRAY_SIZE(holes); i++) {
		KUNIT_ASSERT_EQ(test, claim(test, pos, holes[i].at - pos), 0);
		pos = holes[i].at + holes[i].len;
	}
	KUNIT_ASSERT_EQ(test, claim(test, pos, nr - pos), 0);
	for (i = 0; i < ARRAY_SIZE(wants); i++)
		KUNIT_EXPECT_EQ(test, alloc(test, wants[i].len), holes[wants[i].hole].at);
}

/* ---- claims in bulk ---- */

/* The extents of one allocator, claimed in a new one in random order. */
static void claims_reproduce_the_map(struct kunit *test)
{
	struct hatest_model *m = hatest_model(test, 60000);
	struct hatest_rng rng = hatest_rng(test);
	struct fixture *f = test->priv;
	unsigned int round, i, k;

	for (round = 0; round < 4; round++) {
		u64 nr = 20000 + hatest_below(&rng, 40000), free, runs, largest;

		start(test, nr);
		model_start(test, m);
		for (i = 0; i < 1500; i++)
			random_step(test, m, &rng, true);
		hapool_drain(&f->p);
		stat_walk(test);
		free = f->st.slab.free;
		runs = f->st.slab.nr_runs;
		largest = f->st.slab.largest_run;

		start(test, nr);
		for (i = m->nr; i > 1; i--) {
			k = hatest_below(&rng, i);
			swap(m->extents[i - 1], m->extents[k]);
		}
		for (i = 0; i < m->nr; i++) {
			struct hatest_extent *e = &m->extents[i];

			for (k = 0; k < e->len; k++)
				m->owner[e->start + k] = i + 1;
			KUNIT_ASSERT_EQ(test, claim(test, e->start, e->len), 0);
			KUNIT_ASSERT_EQ(test, claim(test, e->start, e->len), -EEXIST);
			KUNIT_ASSERT_EQ(test, claim(test, e->start + e->len - 1, 1), -EEXIST);
		}
		KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
		expect_account_of_model(test, m);
		expect_map(test, m, MAX_PAGE);
		stat_walk(test);
		KUNIT_EXPECT_EQ(test, f->st.slab.free, free);
		KUNIT_EXPECT_EQ(test, f->st.slab.nr_runs, runs);
		KUNIT_EXPECT_EQ(test, f->st.slab.largest_run, largest);
		free_all(test, m, &rng);
		expect_all_comes_back(test);
	}
}

/* ---- memory ---- */

enum op { ALLOC, NEAR, CLAIM, HOLD, GROW };

struct attempt {
	enum op op;
	u64 len;
	u64 arg;		/* alignment, goal or start */
};

static int attempt(struct kunit *test, const struct attempt *t, gfp_t gfp, u64 *at, u64 *len)
{
	struct fixture *f = test->priv;
	int ret = -EINVAL;

	*len = t->len;
	switch (t->op) {
	case ALLOC:
		return hapool_alloc(&f->p, t->len, t->arg, HAPOOL_NO_GOAL, gfp, at);
	case NEAR:
		return hapool_alloc(&f->p, t->len, 1, t->arg, gfp, at);
	case CLAIM:
		*at = t->arg;
		return hapool_claim(&f->p, t->arg, t->len, gfp);
	case HOLD:
		*at = t->arg;
		return hapool_hold(&f->p, at, len, gfp);
	case GROW:
		ret = hapool_grow(&f->p, t->len, gfp);
		if (!ret)
			f->cfg.nr_blocks = t->len;
		return ret;
	}
	return ret;
}

static void undo(struct kunit *test, const struct attempt *t, u64 at, u64 len)
{
	struct fixture *f = test->priv;

	if (t->op == HOLD)
		hapool_unhold(&f->p, at, len);
	else if (t->op != GROW)
		expect_freed(test, at, len);
}

#define BUSY	40077
#define GROWN	10000

/* Extents of all kinds, with holes of all kinds between them. */
static void start_busy(struct kunit *test, struct hatest_model *m)
{
	struct hatest_rng rng = { .state = 7 };
	struct fixture *f = test->priv;
	unsigned int i;

	start(test, BUSY);
	model_start(test, m);
	for (i = 0; i < 300; i++)
		random_step(test, m, &rng, i < 200);
	hapool_drain(&f->p);
}

static const struct attempt attempts[] = {
	{ ALLOC, 1, 1 }, { ALLOC, 7, 1 }, { ALLOC, 100, 1 }, { ALLOC, 3, 4096 }, { ALLOC, 512, 1 },
	{ ALLOC, 3000, 1 }, { ALLOC, 6000, 1 }, { NEAR, 1, 20000 }, { NEAR, 300, 20000 },
	{ NEAR, 5000, 100 }, { CLAIM, 1, 30000 }, { CLAIM, 256, 30208 }, { CLAIM, 700, 30100 },
	{ CLAIM, 5000, 30100 }, { HOLD, 256, 30208 }, { HOLD, 512, 1024 }, { GROW, BUSY + 1 },
	{ GROW, 40192 }, { GROW, 50001 }, { GROW, 3 * GIB + 77 }, { GROW, 9 * GIB },
};

/*
 * Each memory allocation of each operation fails in turn, on an empty device and on a busy
 * one. The operation returns the errno for that, or succeeds in another way; afterwards the
 * device is as before, except that it may have grown.
 */
static void no_memory_at_any_place_changes_nothing(struct kunit *test)
{
	static const gfp_t gfps[] = { GFP_NOWAIT, GFP_KERNEL };
	struct hatest_model *m = hatest_model(test, BUSY + GROWN);
	unsigned long nth, refused = 0, delivered;
	struct fixture *f = test->priv;
	u64 at, len, metadata;
	unsigned int i, g;
	int ret;

	for (g = 0; g < 2 * ARRAY_SIZE(gfps); g++) {
		if (g % 2) {
			start_busy(test, m);
		} else {
			start(test, BUSY);
			model_start(test, m);
		}
		metadata = f->metadata;
		for (i = 0; i < ARRAY_SIZE(attempts); i++)
			for (nth = 1; ; nth++) {
				hatest_inject_start(nth, 0, false);
				ret = attempt(test, &attempts[i], gfps[g / 2], &at, &len);
				delivered = hatest_inject_stop();
				if (!ret)
					undo(test, &attempts[i], at, len);
				else if (delivered)
					KUNIT_ASSERT_TRUE_MSG(test,
							      ret == -ENOMEM || ret == -EAGAIN,
							      "attempt %u, %lu: %d", i, nth, ret);
				refused += ret && delivered;
				KUNIT_ASSERT_EQ(test, hapool_check(&f->p), 0);
				m->nr_blocks = f->cfg.nr_blocks;
				expect_account_of_model(test, m);
				if (m->nr_blocks <= BUSY + GROWN)
					expect_map(test, m, MAX_PAGE);
				hapool_drain(&f->p);
				if (attempts[i].op == GROW)
					metadata = stat(test)->metadata;
				else if (!m->nr)
					KUNIT_ASSERT_EQ(test, stat(test)->metadata, metadata);
				if (!delivered)
					break;
			}
	}
	KUNIT_EXPECT_GT(test, refused, 10);
}

/* Without any memory the operations fail, and work when there is memory again. */
static void no_memory_at_all_and_then_some(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i, refused = 0;
	u64 at, len;
	int ret;

	for (i = 0; i < ARRAY_SIZE(attempts); i++) {
		start(test, BUSY);
		hatest_inject_start(0, 0, true);
		ret = attempt(test, &attempts[i], GFP_KERNEL, &at, &len);
		hatest_inject_stop();
		if (ret) {
			refused++;
			KUNIT_EXPECT_EQ_MSG(test, ret, -ENOMEM, "attempt %u", i);
			KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
			KUNIT_EXPECT_EQ(test, stat(test)->slab.free, BUSY);
			ret = attempt(test, &attempts[i], GFP_KERNEL, &at, &len);
		}
		KUNIT_ASSERT_EQ_MSG(test, ret, 0, "attempt %u", i);
		undo(test, &attempts[i], at, len);
		expect_one_run(test);
	}
	KUNIT_EXPECT_GT(test, refused, 5);
}

/*
 * Frees allocate no memory, in any state of the device. Reports only try to, for tables of sums,
 * and are right without.
 */
static void freeing_and_looking_need_no_memory(struct kunit *test)
{
	struct hatest_model *m = hatest_model(test, BUSY);
	struct hatest_rng rng = hatest_rng(test);
	struct fixture *f = test->priv;
	unsigned long seen;
	u64 at, len;

	start_busy(test, m);
	KUNIT_ASSERT_TRUE(test, hapool_next_free(&f->p, 0, &at, &len));
	KUNIT_ASSERT_EQ(test, hapool_hold(&f->p, &at, &len, GFP_KERNEL), 0);
	hatest_inject_start(0, 0, true);
	hapool_unhold(&f->p, at, len);
	KUNIT_EXPECT_EQ(test, hatest_inject_seen(), 0);
	expect_map(test, m, MAX_PAGE);
	expect_runs(test, m);
	KUNIT_EXPECT_TRUE(test, hapool_next_free(&f->p, 0, &at, &len));
	seen = hatest_inject_seen();
	free_all(test, m, &rng);
	KUNIT_EXPECT_EQ(test, hatest_inject_seen(), seen);
	expect_all_comes_back(test);
	hatest_inject_stop();
}

/* What a failed attempt leaves does not hinder the next one. */
static void device_grows_further_after_a_try_without_memory(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned long nth, delivered;
	int ret, i;
	u64 at;

	for (nth = 1; ; nth++) {
		start(test, 1024 * UNIT);
		hatest_inject_start(nth, 0, false);
		ret = hapool_grow(&f->p, 1029 * UNIT + 7, GFP_NOWAIT);
		delivered = hatest_inject_stop();
		KUNIT_ASSERT_EQ(test, ret, delivered ? -ENOMEM : 0);
		KUNIT_ASSERT_EQ(test, hapool_grow(&f->p, 1536 * UNIT, GFP_KERNEL), 0);
		KUNIT_ASSERT_EQ(test, hapool_check(&f->p), 0);
		for (i = 0; i < 12; i++)
			KUNIT_ASSERT_EQ(test, try_alloc(test, 128 * UNIT, &at), 0);
		KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
		if (!delivered)
			break;
	}
	KUNIT_EXPECT_GT(test, nth, 3);
}

static struct kunit_case space_cases[] = {
	KUNIT_CASE(fill_free_refill_gives_the_same_total),
	KUNIT_CASE(pairs_of_one_size_leave_the_free_space_as_it_is),
	KUNIT_CASE(every_second_block_serves_single_blocks_only),
	KUNIT_CASE(failing_search_of_1_tib_is_fast),
	KUNIT_CASE(front_tail_and_middle_are_taken),
	KUNIT_CASE(freed_extent_merges_left_right_both_and_none),
	KUNIT_CASE(free_blocks_are_held_and_all_of_them),
	KUNIT_CASE(a_part_of_a_unit_or_object_is_held_as_a_whole),
	KUNIT_CASE(retired_extent_is_held_until_reuse),
	KUNIT_CASE(free_blocks_far_behind_used_ones_are_found),
	KUNIT_CASE(what_is_held_is_not_handed_out),
	KUNIT_CASE(hold_of_what_is_partly_used),
	KUNIT_CASE(hold_while_others_come_and_go),
	KUNIT_CASE(device_grows_from_tiny_by_odd_steps),
	KUNIT_CASE(device_grows_while_extents_live),
	KUNIT_CASE(device_grows_further_after_a_try_without_memory),
	KUNIT_CASE(metadata_of_what_has_grown),
	KUNIT_CASE(metadata_has_a_bound),
	KUNIT_CASE(metadata_of_extents_across_units),
#ifndef __KERNEL__
	KUNIT_CASE(metadata_of_all_kinds_at_once),
	KUNIT_CASE(metadata_of_single_blocks_on_odd_devices),
#endif
	KUNIT_CASE(extents_longer_than_a_slot_adjoin),
	KUNIT_CASE(run_that_fits_best_is_taken),
	KUNIT_CASE(small_sizes_leave_no_rests_they_do_not_fill),
	KUNIT_CASE(claims_reproduce_the_map),
	KUNIT_CASE(no_memory_at_any_place_changes_nothing),
	KUNIT_CASE(no_memory_at_all_and_then_some),
	KUNIT_CASE(freeing_and_looking_need_no_memory),
	{}
};

static struct kunit_suite space_suite = {
	.name = "space",
	.init = pool_test_init,
	.exit = pool_test_exit,
	.test_cases = space_cases,
};

kunit_test_suite(space_suite);
