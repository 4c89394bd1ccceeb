// SPDX-License-Identifier: GPL-2.0
/*
 * Requests that leave room: from a shortest to a longest length. An answer is compared with what
 * there is.
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
	const u64 size = 64 * SLOT;
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
		expect_freed(test, i * 2 * SLOT, 1);
		KUNIT_ASSERT_EQ(test, claim(test, i * 2 * SLOT, 1), 0);
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
