// SPDX-License-Identifier: GPL-2.0
/*
 * Requests that leave room, from a shortest to a longest length, and such that leave little: at
 * alignments that are no power of two. An answer is compared with what there is.
 */
#include "pool_fixture.h"

#define SLOT	4096U		/* blocks */
#define MANY	1024U		/* what is asked for, at the most */

static int upto(struct kunit *test, u64 min, u64 max, u64 align, u64 *at, u64 *len)
{
	struct fixture *f = test->priv;

	*len = min;
	return hapool_alloc_upto(&f->p, len, max, align, HAPOOL_NO_GOAL, GFP_KERNEL, at);
}

static void expect_upto(struct kunit *test, u64 min, u64 max, u64 align, u64 len)
{
	u64 at, got;

	KUNIT_ASSERT_EQ(test, upto(test, min, max, align, &at, &got), 0);
	KUNIT_EXPECT_EQ(test, got, len);
	KUNIT_EXPECT_EQ(test, at % align, 0);
	expect_freed(test, at, got);
}

/* The runs between extents at each multiple of a slot. */
static void longest_run_is_taken(struct kunit *test)
{
	u64 at, len;

	start(test, 4 * SLOT);
	KUNIT_ASSERT_EQ(test, claim(test, 0, 1), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 1 + 300, 1), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 302 + 700, SLOT - 1002), 0);
	KUNIT_ASSERT_EQ(test, claim(test, SLOT + 500, 3 * SLOT - 500), 0);
	/* free: 300 blocks at 1, 700 at 302, 500 at 4096 */
	expect_upto(test, 1, MANY, 1, 700);
	expect_upto(test, 700, MANY, 1, 700);
	expect_upto(test, 1, 600, 1, 600);
	expect_upto(test, 1, 64, 1, 64);
	KUNIT_EXPECT_EQ(test, upto(test, 701, MANY, 1, &at, &len), -ENOSPC);
	/* 512 is the only multiple of 256 in the second run */
	expect_upto(test, 1, MANY, 256, 500);
	expect_upto(test, 1, MANY, 128, 1002 - 384);
	expect_account(test, 4 * SLOT - 1500, 4);
}

/* Without a free in between, what was refused once is known, and nothing is searched again. */
static void one_search_for_all_of_a_shredded_device(struct kunit *test)
{
	const u64 size = 8 * SLOT;
	u64 searches, at, len, i;

	start(test, size);
	for (i = 0; i < size; i++)
		alloc(test, 1);
	for (i = 0; i < size; i += 2)
		expect_freed(test, i, 1);
	searches = stat(test)->searches;
	for (i = 0; i < size / 2; i++) {
		KUNIT_ASSERT_EQ(test, upto(test, 1, MANY, 1, &at, &len), 0);
		KUNIT_ASSERT_EQ(test, len, 1);
	}
	KUNIT_EXPECT_EQ(test, stat(test)->searches, searches + 1);
	KUNIT_EXPECT_EQ(test, upto(test, 1, MANY, 1, &at, &len), -ENOSPC);
	expect_account(test, size, size);
}

/* After each free there may be more: one search for a call, and few steps of it. */
static void search_after_a_free_takes_few_steps(struct kunit *test)
{
	const u64 size = 24 * SLOT;
	u64 searches, at, len, i;
	long before;

	start(test, size);
	for (i = 0; i < size; i += 2)
		KUNIT_ASSERT_EQ(test, claim(test, i, 1), 0);
	expect_upto(test, 1, MANY, 1, 1);
	for (i = 0; i < 20; i++) {
		searches = stat(test)->searches;
		before = ha_steps_done();
		KUNIT_ASSERT_EQ(test, upto(test, 1, MANY, 1, &at, &len), 0);
		KUNIT_EXPECT_LE(test, ha_steps_done() - before, 200);
		KUNIT_EXPECT_EQ(test, len, 1);
		KUNIT_EXPECT_LE(test, stat(test)->searches, searches + 1);
		expect_freed(test, at, len);
		expect_freed(test, i * SLOT, 1);
		KUNIT_ASSERT_EQ(test, claim(test, i * SLOT, 1), 0);
	}
}

/* A caller that may not wait is never told ENOSPC, nor given less, while pools have the rest. */
static void without_waiting_it_is_told_to_wait(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 at, len = 1, i;

	start(test, SLOT);
	for (i = 0; i < SLOT; i++)
		alloc(test, 1);
	for (i = 0; i < 20; i++)
		expect_freed(test, i, 1);
	KUNIT_EXPECT_EQ(test, hapool_alloc_upto(&f->p, &len, 32, 1, HAPOOL_NO_GOAL, GFP_NOWAIT,
						&at), -EAGAIN);
	expect_upto(test, 1, 32, 1, 20);
	/* more than the sums allow is refused at once */
	len = 21;
	KUNIT_EXPECT_EQ(test, hapool_alloc_upto(&f->p, &len, 32, 1, HAPOOL_NO_GOAL, GFP_NOWAIT,
						&at), -ENOSPC);
}

static void without_memory_nothing_changes(struct kunit *test)
{
	u64 at, len, i;
	int ret;

	start(test, 4 * SLOT);
	for (at = 0; at < 4 * SLOT; at += 100)
		KUNIT_ASSERT_EQ(test, claim(test, at, 1), 0);
	for (i = 1;; i++) {
		hatest_inject_start(i, 0, true);
		ret = upto(test, 1, MANY, 1, &at, &len);
		hatest_inject_stop();
		if (ret != -ENOMEM)
			break;
		expect_account(test, DIV_ROUND_UP(4 * SLOT, 100), DIV_ROUND_UP(4 * SLOT, 100));
	}
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_EQ(test, len, 99);
}

/* ---- alignments that are no power of two ---- */

static int alloc_stripe(struct kunit *test, u64 len, u64 align, u64 goal, u64 *at)
{
	struct fixture *f = test->priv;

	return hapool_alloc(&f->p, len, align, goal, GFP_KERNEL, at);
}

/* Stripes of a common size, of a slot and a half, and of more than a slot fill an empty device. */
static void stripes_fill_a_device(struct kunit *test)
{
	static const u16 aligns[] = { 3, 48, 1280, 3000, 6144, 9 * 1024 };
	const u64 size = 16 * 9 * 1024;
	unsigned int i;
	u64 at, nr;

	for (i = 0; i < ARRAY_SIZE(aligns); i++) {
		start(test, size);
		for (nr = 0; nr < 3000 && !alloc_stripe(test, aligns[i], aligns[i], HAPOOL_NO_GOAL,
							&at); nr++)
			KUNIT_ASSERT_EQ(test, at % aligns[i], 0);
		KUNIT_EXPECT_EQ(test, nr, min(div_u64(size, aligns[i]), 3000ULL));
	}
}

/* On a device of slabs, all but some objects are taken: only these are looked at. */
static void stripe_is_found_in_a_slab(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 at, size = 64 * UNIT, i;

	start(test, size);
	for (i = 0; i < size; i++)
		KUNIT_ASSERT_EQ(test, try_alloc(test, 1, &at), 0);
	hapool_drain(&f->p);
	expect_freed(test, 3 * 1000 + 1, 1);
	expect_freed(test, 3 * 1000 + 2, 1);
	KUNIT_EXPECT_EQ(test, alloc_stripe(test, 1, 3, HAPOOL_NO_GOAL, &at), -ENOSPC);
	expect_freed(test, 3 * 2000, 1);
	KUNIT_EXPECT_EQ(test, alloc_stripe(test, 2, 3, HAPOOL_NO_GOAL, &at), -ENOSPC);
	KUNIT_ASSERT_EQ(test, alloc_stripe(test, 1, 3, HAPOOL_NO_GOAL, &at), 0);
	KUNIT_EXPECT_EQ(test, at, 3 * 2000);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
}

/* A longer run before it, in the same dir and without such a place, does not hide it. */
static void stripe_is_found_behind_a_longer_run(struct kunit *test)
{
	/* the second slot is not wholly mixed, and has so many runs that it has a bitmap */
	const u64 size = 2 * SLOT - 100;
	u64 at;

	start(test, size);
	for (at = 0; at < size; at += 2)
		KUNIT_ASSERT_EQ(test, claim(test, at, 2), 0);
	expect_freed(test, 14, 2);
	KUNIT_EXPECT_EQ(test, alloc_stripe(test, 1, 13, HAPOOL_NO_GOAL, &at), -ENOSPC);
	expect_freed(test, 4432, 2);
	KUNIT_ASSERT_EQ(test, alloc_stripe(test, 1, 13, HAPOOL_NO_GOAL, &at), 0);
	KUNIT_EXPECT_EQ(test, at, 341 * 13);
}

static void stripe_meets_its_goal(struct kunit *test)
{
	u64 at;

	start(test, 8 * SLOT);
	KUNIT_ASSERT_EQ(test, alloc_stripe(test, 20, 48, 500 * 48, &at), 0);
	KUNIT_EXPECT_EQ(test, at, 500 * 48);
}

/* At each multiple of 80 blocks is an extent: there is room for 79 blocks between any two. */
static void start_taken(struct kunit *test, u64 size)
{
	u64 at;

	start(test, size);
	for (at = 0; at < size; at += 80)
		KUNIT_ASSERT_EQ(test, claim(test, at, 1), 0);
}

/* A refusal looks once at all places, then only at those of a dir that has changed. */
static void refusal_at_a_stripe_is_remembered(struct kunit *test)
{
	const u64 gib = 64 * SLOT, size = 4 * gib;
	struct fixture *f = test->priv;
	u64 at, len, taken = gib / 80 * 80;
	long before, first;

	start_taken(test, size);
	before = ha_steps_done();
	KUNIT_EXPECT_EQ(test, haslab_find(&f->p.slab, 60, 80, &at), -ENOSPC);
	first = ha_steps_done() - before;
	before = ha_steps_done();
	KUNIT_EXPECT_EQ(test, haslab_find(&f->p.slab, 60, 80, &at), -ENOSPC);
	KUNIT_EXPECT_LE(test, ha_steps_done() - before, 2000);
	KUNIT_ASSERT_EQ(test, claim(test, gib + 9, 1), 0);
	before = ha_steps_done();
	KUNIT_EXPECT_EQ(test, haslab_find(&f->p.slab, 60, 80, &at), -ENOSPC);
	KUNIT_EXPECT_LE(test, ha_steps_done() - before, first / 4 + 2000);
	/* what became free is found, and so is what is shorter or at another alignment */
	expect_freed(test, taken, 1);
	KUNIT_EXPECT_EQ(test, haslab_find(&f->p.slab, 60, 80, &at), 0);
	KUNIT_EXPECT_EQ(test, at, taken);
	len = 1;
	KUNIT_EXPECT_EQ(test, haslab_find_longest(&f->p.slab, &len, 100, 80), 0);
	KUNIT_EXPECT_EQ(test, len, 80 - (gib + 9 > taken && gib + 9 < taken + 80 ?
					 taken + 80 - gib - 9 : 0));
	KUNIT_ASSERT_EQ(test, claim(test, taken, 1), 0);
	KUNIT_EXPECT_EQ(test, haslab_find(&f->p.slab, 60, 80, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, haslab_find(&f->p.slab, 60, 72, &at), 0);
	KUNIT_EXPECT_EQ(test, at % 72, 0);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
}

/* No hold depends on the device or on what is in it. */
static void search_for_a_stripe_holds_no_lock_for_long(struct kunit *test)
{
	static const u16 aligns[] = { 3, 5, 81, 1281 };
	const u64 size = 32 * SLOT;
	struct fixture *f = test->priv;
	unsigned int i, kind;
	u64 at, len;

	for (kind = 0; kind < 3; kind++) {
		start(test, size);
		/* in bitmaps, in slabs, and in units that are taken by turns */
		for (at = 0; at < size; at += kind == 2 ? 2 * UNIT : 2) {
			if (kind == 1)
				alloc(test, 1);
			else
				KUNIT_ASSERT_EQ(test, claim(test, at, kind ? UNIT : 1), 0);
		}
		hapool_drain(&f->p);
		for (i = 0; i < ARRAY_SIZE(aligns); i++) {
			ha_holds_reset();
			len = 1;
			/* mostly it is there: what counts is how it is looked for */
			if (!haslab_find_longest(&f->p.slab, &len, 5000, aligns[i]))
				KUNIT_EXPECT_GT(test, len, 0);
			KUNIT_EXPECT_LE_MSG(test, ha_longest_hold(HA_LOCK_ALL), 2000,
					    "kind %u, alignment %u", kind, aligns[i]);
		}
	}
}

static void random_requests(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hatest_model *m = hatest_model(test, 4 * SLOT);
	struct hatest_rng rng = hatest_rng(test);
	unsigned int i;

	start(test, 3 * SLOT + 77);
	model_start(test, m);
	for (i = 0; i < hatest_ops; i++) {
		random_step(test, m, &rng, i % 4000 < 2500);
		if (i % 8 == 0)
			random_upto(test, m, &rng);
	}
	expect_account_of_model(test, m);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	free_all(test, m, &rng);
	expect_all_comes_back(test);
}

static struct kunit_case request_cases[] = {
	KUNIT_CASE(longest_run_is_taken),
	KUNIT_CASE(one_search_for_all_of_a_shredded_device),
	KUNIT_CASE(search_after_a_free_takes_few_steps),
	KUNIT_CASE(without_waiting_it_is_told_to_wait),
	KUNIT_CASE(without_memory_nothing_changes),
	KUNIT_CASE(stripes_fill_a_device),
	KUNIT_CASE(stripe_is_found_in_a_slab),
	KUNIT_CASE(stripe_is_found_behind_a_longer_run),
	KUNIT_CASE(stripe_meets_its_goal),
	KUNIT_CASE(refusal_at_a_stripe_is_remembered),
	KUNIT_CASE(search_for_a_stripe_holds_no_lock_for_long),
	KUNIT_CASE(random_requests),
	{}
};

static struct kunit_suite request_suite = {
	.name = "request",
	.init = pool_test_init,
	.exit = pool_test_exit,
	.test_cases = request_cases,
};

kunit_test_suite(request_suite);
