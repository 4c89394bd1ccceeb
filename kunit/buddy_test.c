// SPDX-License-Identifier: GPL-2.0
/* The buddy layer alone. All lengths are in units. */
#include <linux/bitmap.h>
#include <linux/log2.h>
#include <linux/string.h>

#include "buddy.h"
#include "hatest.h"

struct fixture {
	struct habuddy b;
	struct hamem mem;
	long bytes;		/* of metadata while all is free */
	u64 avail;		/* orders that are free then */
};

/* The state that an operation that fails must not change. */
struct snapshot {
	u64 free_units;
	u64 avail;
	long bytes;
};

static struct snapshot take_snapshot(struct fixture *f)
{
	return (struct snapshot) {
		.free_units = f->b.free_units,
		.avail = f->b.avail,
		.bytes = atomic_long_read(&f->mem.bytes),
	};
}

static void expect_unchanged(struct kunit *test, struct snapshot before)
{
	struct fixture *f = test->priv;

	KUNIT_EXPECT_EQ(test, habuddy_check(&f->b), 0);
	KUNIT_EXPECT_EQ(test, f->b.free_units, before.free_units);
	KUNIT_EXPECT_EQ(test, f->b.avail, before.avail);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&f->mem.bytes), before.bytes);
}

/* The first free run that is long enough. */
static bool find_run(struct habuddy *b, u64 nr, u64 *unit)
{
	u64 from = 0, len;

	for (; habuddy_next_free(b, from, U64_MAX, unit, &len); from = *unit + len)
		if (len >= nr)
			return true;
	return false;
}

static void start(struct kunit *test, u64 nr_units)
{
	struct fixture *f = test->priv;
	struct hamem_op op = HAMEM_OP(GFP_KERNEL);
	int ret;

	habuddy_destroy(&f->b);
	atomic_long_set(&f->mem.bytes, 0);
	do {
		ret = habuddy_init(&f->b, nr_units, &f->mem, &op);
	} while (ret == -ENOMEM && hamem_wait(&op));
	hamem_finish(&op);
	KUNIT_ASSERT_EQ(test, ret, 0);
	KUNIT_ASSERT_EQ(test, habuddy_check(&f->b), 0);
	KUNIT_ASSERT_EQ(test, f->b.free_units, nr_units);
	f->bytes = atomic_long_read(&f->mem.bytes);
	f->avail = f->b.avail;
}

static void expect_all_free(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 unit, nr;

	KUNIT_EXPECT_EQ(test, habuddy_check(&f->b), 0);
	KUNIT_EXPECT_EQ(test, f->b.free_units, f->b.nr_units);
	KUNIT_EXPECT_EQ(test, f->b.avail, f->avail);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&f->mem.bytes), f->bytes);
	KUNIT_EXPECT_TRUE(test, habuddy_next_free(&f->b, 0, U64_MAX, &unit, &nr));
	KUNIT_EXPECT_EQ(test, unit, 0);
	KUNIT_EXPECT_EQ(test, nr, f->b.nr_units);
}

static int alloc_gfp(struct kunit *test, unsigned int order, u64 *unit, gfp_t gfp)
{
	struct fixture *f = test->priv;
	struct hamem_op op = HAMEM_OP(gfp);
	int ret;

	do {
		ret = habuddy_alloc(&f->b, order, &op, unit);
	} while (ret == -ENOMEM && hamem_wait(&op));
	hamem_finish(&op);
	return ret;
}

static int alloc(struct kunit *test, unsigned int order, u64 *unit)
{
	return alloc_gfp(test, order, unit, GFP_KERNEL);
}

static int take_gfp(struct kunit *test, u64 unit, u64 nr, gfp_t gfp)
{
	struct fixture *f = test->priv;
	struct hamem_op op = HAMEM_OP(gfp);
	int ret;

	do {
		ret = habuddy_take(&f->b, unit, nr, &op);
	} while (ret == -ENOMEM && hamem_wait(&op));
	hamem_finish(&op);
	return ret;
}

static int take(struct kunit *test, u64 unit, u64 nr)
{
	return take_gfp(test, unit, nr, GFP_KERNEL);
}

/* ---- orders ---- */

static void whole_space_is_one_block(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int k;
	u64 unit;

	for (k = 0; k <= 43; k++) {
		start(test, 1ULL << k);
		KUNIT_EXPECT_EQ(test, f->b.avail, 1ULL << k);
		KUNIT_EXPECT_EQ(test, habuddy_free_order(&f->b, 0), (int)k);
		KUNIT_EXPECT_EQ(test, habuddy_free_order(&f->b, (1ULL << k) - 1), (int)k);
		KUNIT_ASSERT_EQ(test, alloc(test, k, &unit), 0);
		KUNIT_EXPECT_EQ(test, unit, 0);
		KUNIT_EXPECT_EQ(test, f->b.free_units, 0);
		KUNIT_EXPECT_EQ(test, alloc(test, 0, &unit), -ENOSPC);
		habuddy_free(&f->b, 0, k);
		expect_all_free(test);
	}
}

static void order_beyond_the_largest_is_enospc(struct kunit *test)
{
	static const u64 sizes[] = { 1, 3, 511, 512, 513, 1ULL << 27, 1ULL << 43 };
	struct fixture *f = test->priv;
	unsigned int i, k;
	u64 unit;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct snapshot before;

		start(test, sizes[i]);
		before = take_snapshot(f);
		for (k = ilog2(sizes[i]) + 1; k < 130; k++)
			KUNIT_EXPECT_EQ(test, alloc(test, k, &unit), -ENOSPC);
		KUNIT_EXPECT_EQ(test, alloc(test, U32_MAX, &unit), -ENOSPC);
		expect_unchanged(test, before);
	}
}

static void one_block_of_each_order_then_full(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int k, top = 30;
	u64 unit[31], more;

	start(test, (2ULL << top) - 1);
	for (k = 0; k <= top; k++) {
		KUNIT_ASSERT_EQ(test, alloc(test, k, &unit[k]), 0);
		KUNIT_EXPECT_EQ(test, unit[k] & ((1ULL << k) - 1), 0);
	}
	KUNIT_EXPECT_EQ(test, f->b.free_units, 0);
	KUNIT_EXPECT_EQ(test, alloc(test, 0, &more), -ENOSPC);
	KUNIT_EXPECT_EQ(test, f->b.splits, 0);
	for (k = 0; k <= top; k++)
		habuddy_free(&f->b, unit[k], k);
	expect_all_free(test);
}

static void ascending_frees_enable_each_next_order(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int k, top = 29;
	u64 unit[29], last, block;

	/* a power of two, split so that one block of each smaller order is allocated */
	start(test, 1ULL << top);
	for (k = top; k--;)
		KUNIT_ASSERT_EQ(test, alloc(test, k, &unit[k]), 0);
	KUNIT_ASSERT_EQ(test, alloc(test, 0, &last), 0);
	KUNIT_EXPECT_EQ(test, f->b.free_units, 0);
	for (k = 0; k <= top; k++)
		KUNIT_EXPECT_EQ(test, alloc(test, k, &block), -ENOSPC);

	habuddy_free(&f->b, last, 0);
	for (k = 0; k < top; k++) {
		habuddy_free(&f->b, unit[k], k);
		KUNIT_EXPECT_EQ(test, habuddy_check(&f->b), 0);
		KUNIT_ASSERT_EQ(test, alloc(test, k + 1, &block), 0);
		KUNIT_EXPECT_EQ(test, alloc(test, 0, &last), -ENOSPC);
		habuddy_free(&f->b, block, k + 1);
	}
	expect_all_free(test);
}

static void half_full_checkerboard_serves_single_units_only(struct kunit *test)
{
	struct fixture *f = test->priv;
	const unsigned int nr = 4096;
	unsigned int i, k;
	u64 unit;

	start(test, nr);
	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_EQ(test, take(test, i, 1), 0);
	KUNIT_EXPECT_EQ(test, f->b.avail, 0);
	for (i = 0; i < nr; i += 2)
		habuddy_free(&f->b, i, 0);
	KUNIT_EXPECT_EQ(test, habuddy_check(&f->b), 0);
	KUNIT_EXPECT_EQ(test, f->b.free_units, nr / 2);
	for (k = 1; k <= ilog2(nr); k++)
		KUNIT_EXPECT_EQ(test, alloc(test, k, &unit), -ENOSPC);
	KUNIT_EXPECT_FALSE(test, find_run(&f->b, 2, &unit));
	for (i = 0; i < nr / 2; i++)
		KUNIT_ASSERT_EQ(test, alloc(test, 0, &unit), 0);
	KUNIT_EXPECT_EQ(test, alloc(test, 0, &unit), -ENOSPC);
	for (i = 0; i < nr; i++)
		habuddy_free(&f->b, i, 0);
	expect_all_free(test);
}

/* Frees the largest block, splits it down to one unit, and repeats this order by order. */
static void whittled_down_until_only_holes_are_left(struct kunit *test)
{
	struct fixture *f = test->priv;
	const unsigned int max = 13;
	u64 block[13] = {}, hole[13], unit;
	unsigned int top, k, nr_holes = 0;

	start(test, 1ULL << max);
	KUNIT_ASSERT_EQ(test, alloc(test, max, &unit), 0);
	block[max - 1] = unit;
	habuddy_free(&f->b, unit, max);
	for (top = max; top; top--) {
		if (top < max)
			habuddy_free(&f->b, block[top], top);
		for (k = top; k--;)
			KUNIT_ASSERT_EQ(test, alloc(test, k, &block[k]), 0);
		KUNIT_ASSERT_EQ(test, alloc(test, 0, &hole[nr_holes]), 0);
		nr_holes++;
		KUNIT_EXPECT_EQ(test, alloc(test, top, &unit), -ENOSPC);
		KUNIT_EXPECT_EQ(test, habuddy_check(&f->b), 0);
	}
	KUNIT_EXPECT_EQ(test, f->b.free_units, 0);
	for (k = 0; k < nr_holes; k++)
		habuddy_free(&f->b, hole[k], 0);
	KUNIT_EXPECT_EQ(test, habuddy_check(&f->b), 0);
	KUNIT_EXPECT_EQ(test, f->b.avail, 1ULL);
	for (k = 1; k <= max; k++)
		KUNIT_EXPECT_EQ(test, alloc(test, k, &unit), -ENOSPC);
}

static void smallest_block_that_fits_is_taken(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int k;
	u64 unit;

	/* one free block of each order from 0 to 20 */
	start(test, (2ULL << 20) - 1);
	for (k = 0; k <= 20; k++) {
		KUNIT_ASSERT_EQ(test, alloc(test, k, &unit), 0);
		KUNIT_EXPECT_EQ(test, f->b.splits, 0);
		habuddy_free(&f->b, unit, k);
	}
	/* the second allocation finds no block of order 3, and splits that of order 4 only */
	KUNIT_ASSERT_EQ(test, alloc(test, 3, &unit), 0);
	KUNIT_ASSERT_EQ(test, alloc(test, 3, &unit), 0);
	KUNIT_EXPECT_EQ(test, f->b.splits, 1);
	KUNIT_EXPECT_EQ(test, f->b.avail, ((2ULL << 20) - 1) & ~BIT_ULL(4));
}

/* ---- capacities ---- */

static const u64 capacities[] = {
	1, 2, 3, 5, 7, 8, 9, 63, 64, 65, 127, 511, 512, 513, 1021, 1023, 1024, 4099,
	(1ULL << 18) - 1, 1ULL << 18, (1ULL << 18) + 1, 100000007, 100000000,
	(1ULL << 27) - 1, 1ULL << 27, (1ULL << 27) + 1, (1ULL << 36) + 511,
	1ULL << 43, (1ULL << 43) - 1, (1ULL << 43) + 1, (1ULL << 52) - 1,
};

static void any_capacity_is_one_run(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i;
	u64 unit, nr;

	for (i = 0; i < ARRAY_SIZE(capacities); i++) {
		u64 n = capacities[i];

		start(test, n);
		/* one block for each bit that is set in the size */
		KUNIT_EXPECT_EQ(test, f->b.avail, n);
		KUNIT_EXPECT_TRUE(test, find_run(&f->b, n, &unit));
		KUNIT_EXPECT_EQ(test, unit, 0);
		KUNIT_EXPECT_FALSE(test, find_run(&f->b, n + 1, &unit));
		KUNIT_EXPECT_EQ(test, take(test, 0, n), 0);
		KUNIT_EXPECT_EQ(test, f->b.free_units, 0);
		KUNIT_EXPECT_EQ(test, f->b.avail, 0);
		KUNIT_EXPECT_FALSE(test, habuddy_next_free(&f->b, 0, U64_MAX, &unit, &nr));
		KUNIT_EXPECT_FALSE(test, find_run(&f->b, 1, &unit));
		KUNIT_EXPECT_EQ(test, take(test, n - 1, 1), -EEXIST);
		habuddy_put(&f->b, 0, n);
		expect_all_free(test);
	}
}

static void first_middle_and_last_unit_come_and_go(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i, j;
	u64 run, nr;

	for (i = 0; i < ARRAY_SIZE(capacities); i++) {
		u64 n = capacities[i];
		u64 units[] = { 0, n / 2, n - 1 };

		start(test, n);
		for (j = 0; j < ARRAY_SIZE(units); j++) {
			u64 u = units[j];

			KUNIT_EXPECT_EQ(test, take(test, u, 1), 0);
			KUNIT_EXPECT_EQ(test, take(test, u, 1), -EEXIST);
			KUNIT_EXPECT_EQ(test, habuddy_free_order(&f->b, u), -1);
			KUNIT_EXPECT_EQ(test, habuddy_check(&f->b), 0);
			KUNIT_EXPECT_EQ(test, f->b.free_units, n - 1);
			KUNIT_EXPECT_EQ(test, habuddy_next_free(&f->b, 0, U64_MAX, &run, &nr),
					n > 1);
			if (n > 1) {
				KUNIT_EXPECT_EQ(test, run, u ? 0 : 1);
				KUNIT_EXPECT_EQ(test, nr, u ?: n - 1);
			}
			habuddy_put(&f->b, u, 1);
			expect_all_free(test);
		}
	}
}

static void nothing_is_free_behind_the_end(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(capacities); i++) {
		u64 n = capacities[i], unit, nr;
		u64 behind[] = { n, n + 1, 2 * n + 1, n | 512, (n | (1ULL << 53)), U64_MAX - 1 };
		struct snapshot before;
		unsigned int order;

		start(test, n);
		before = take_snapshot(f);
		for (j = 0; j < ARRAY_SIZE(behind); j++) {
			u64 u = behind[j];

			if (u < n)
				continue;
			KUNIT_EXPECT_EQ_MSG(test, habuddy_free_order(&f->b, u), -1,
					    "unit %llu of %llu", u, n);
			KUNIT_EXPECT_FALSE(test, habuddy_next_free(&f->b, u, U64_MAX, &unit, &nr));
			KUNIT_EXPECT_FALSE(test, habuddy_find_owned(&f->b, u, &unit, &order));
			KUNIT_EXPECT_FALSE(test, habuddy_disown(&f->b, u, 0));
			KUNIT_EXPECT_EQ(test, take(test, u, 1), -EEXIST);
		}
		KUNIT_EXPECT_EQ(test, take(test, n - 1, 2), -EEXIST);
		KUNIT_EXPECT_EQ(test, take(test, 0, n + 1), -EEXIST);
		expect_unchanged(test, before);
	}
}

static void untouched_100_tib_costs_a_few_nodes(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 unit[64];
	unsigned int i;

	start(test, 100000000);
	KUNIT_EXPECT_LT(test, f->bytes, 64L << 10);
	/* one block: at most the nodes of one path */
	for (i = 0; i < 64; i++)
		KUNIT_ASSERT_EQ(test, alloc(test, 0, &unit[i]), 0);
	KUNIT_EXPECT_LT(test, atomic_long_read(&f->mem.bytes), f->bytes + (32L << 10));
	for (i = 0; i < 64; i++)
		habuddy_free(&f->b, unit[i], 0);
	expect_all_free(test);
}

static void no_space_at_all(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 unit, nr;

	start(test, 0);
	KUNIT_EXPECT_EQ(test, alloc(test, 0, &unit), -ENOSPC);
	KUNIT_EXPECT_FALSE(test, habuddy_next_free(&f->b, 0, U64_MAX, &unit, &nr));
	KUNIT_EXPECT_FALSE(test, find_run(&f->b, 1, &unit));
	KUNIT_EXPECT_EQ(test, habuddy_free_order(&f->b, 0), -1);
}

/* ---- ranges ---- */

static void neighbours_that_are_no_buddies_serve_a_contiguous_request(struct kunit *test)
{
	/* borders inside a word, of a word, and of nodes of each height */
	static const u64 borders[] = { 2, 62, 64, 512, 1024, 1ULL << 18, 1ULL << 27 };
	struct fixture *f = test->priv;
	unsigned int i;
	u64 unit;

	for (i = 0; i < ARRAY_SIZE(borders); i++) {
		u64 mid = borders[i], nr = 2 * mid + 3;

		start(test, nr);
		/* only the two units at the border are free */
		KUNIT_ASSERT_EQ(test, take(test, 0, mid - 1), 0);
		KUNIT_ASSERT_EQ(test, take(test, mid + 1, nr - mid - 1), 0);
		KUNIT_EXPECT_EQ(test, f->b.free_units, 2);
		KUNIT_EXPECT_EQ(test, alloc(test, 1, &unit), -ENOSPC);
		KUNIT_EXPECT_FALSE(test, find_run(&f->b, 3, &unit));
		KUNIT_ASSERT_TRUE(test, find_run(&f->b, 2, &unit));
		KUNIT_EXPECT_EQ(test, unit, mid - 1);
		KUNIT_EXPECT_EQ(test, take(test, unit, 2), 0);
		KUNIT_EXPECT_EQ(test, f->b.free_units, 0);
		KUNIT_EXPECT_EQ(test, habuddy_check(&f->b), 0);
		habuddy_put(&f->b, unit, 2);
		habuddy_put(&f->b, mid + 1, nr - mid - 1);
		habuddy_put(&f->b, 0, mid - 1);
		expect_all_free(test);
	}
}

static void partly_taken_range_is_refused(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct snapshot before;

	start(test, 2000);
	KUNIT_ASSERT_EQ(test, take(test, 700, 300), 0);
	before = take_snapshot(f);
	KUNIT_EXPECT_EQ(test, take(test, 600, 101), -EEXIST);
	KUNIT_EXPECT_EQ(test, take(test, 999, 2), -EEXIST);
	KUNIT_EXPECT_EQ(test, take(test, 750, 1), -EEXIST);
	KUNIT_EXPECT_EQ(test, take(test, 0, 2000), -EEXIST);
	expect_unchanged(test, before);
	KUNIT_EXPECT_EQ(test, take(test, 600, 100), 0);
	KUNIT_EXPECT_EQ(test, take(test, 1000, 1000), 0);
}

/* Three neighbours, freed in any order, leave the same state. */
static void order_of_frees_does_not_matter(struct kunit *test)
{
	static const u8 orders[6][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};
	/* odd lengths, across a border of a node */
	static const u64 at[] = { 300, 417, 530, 1000 };
	struct fixture *f = test->priv;
	struct snapshot all, first = {};
	unsigned int i, j;

	for (i = 0; i < 6; i++) {
		start(test, 1500);
		for (j = 0; j < 3; j++)
			KUNIT_ASSERT_EQ(test, take(test, at[j], at[j + 1] - at[j]), 0);
		all = take_snapshot(f);
		if (i)
			expect_unchanged(test, first);
		first = all;
		for (j = 0; j < 3; j++) {
			unsigned int k = orders[i][j];

			habuddy_put(&f->b, at[k], at[k + 1] - at[k]);
			KUNIT_EXPECT_EQ(test, habuddy_check(&f->b), 0);
		}
		expect_all_free(test);
	}
}

/* ---- ownership ---- */

static void second_disown_is_refused(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int k, order;
	u64 unit, at;

	start(test, 1ULL << 40);
	for (k = 0; k < 40; k++) {
		KUNIT_ASSERT_EQ(test, alloc(test, k, &unit), 0);
		KUNIT_EXPECT_FALSE(test, habuddy_disown(&f->b, unit, k));
		habuddy_own(&f->b, unit, k);
		KUNIT_EXPECT_TRUE(test, habuddy_find_owned(&f->b, unit, &at, &order));
		KUNIT_EXPECT_EQ(test, at, unit);
		KUNIT_EXPECT_EQ(test, order, k);
		KUNIT_EXPECT_TRUE(test, habuddy_find_owned(&f->b, unit + (1ULL << k) - 1, &at,
							   &order));
		KUNIT_EXPECT_EQ(test, at, unit);
		KUNIT_EXPECT_EQ(test, habuddy_check(&f->b), 0);
		KUNIT_EXPECT_TRUE(test, habuddy_disown(&f->b, unit, k));
		KUNIT_EXPECT_FALSE(test, habuddy_disown(&f->b, unit, k));
		KUNIT_EXPECT_FALSE(test, habuddy_find_owned(&f->b, unit, &at, &order));
		habuddy_free(&f->b, unit, k);
		KUNIT_EXPECT_FALSE(test, habuddy_disown(&f->b, unit, k));
	}
	expect_all_free(test);
}

static void disown_of_another_order_is_refused(struct kunit *test)
{
	static const unsigned int orders[] = { 0, 1, 4, 8, 9, 10, 17, 18, 20 };
	struct fixture *f = test->priv;
	unsigned int i, k;
	u64 unit;

	start(test, 1ULL << 27);
	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		KUNIT_ASSERT_EQ(test, alloc(test, orders[i], &unit), 0);
		habuddy_own(&f->b, unit, orders[i]);
		for (k = 0; k < 27; k++) {
			u64 at = unit >> k << k;

			if (k == orders[i])
				continue;
			KUNIT_EXPECT_FALSE_MSG(test, habuddy_disown(&f->b, at, k),
					       "%u owned, %u disowned", orders[i], k);
		}
		if (orders[i])
			KUNIT_EXPECT_FALSE(test, habuddy_disown(&f->b, unit + 1, 0));
		KUNIT_EXPECT_TRUE(test, habuddy_disown(&f->b, unit, orders[i]));
		habuddy_free(&f->b, unit, orders[i]);
	}
	expect_all_free(test);
}

/* ---- memory ---- */

/* A space in which each split of a large block needs new nodes. */
static void start_deep(struct kunit *test)
{
	start(test, (1ULL << 40) + (1ULL << 22) + 5);
}

static void alloc_without_memory_changes_nothing(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned long nth, failed = 0;
	struct snapshot before;
	unsigned int order;
	int ret;
	u64 unit;

	for (order = 0; order < 40; order++) {
		start_deep(test);
		/* no small blocks, which could be allocated without a split */
		KUNIT_ASSERT_EQ(test, take(test, 1ULL << 40, (1ULL << 22) + 5), 0);
		before = take_snapshot(f);
		for (nth = 1; ; nth++) {
			hatest_inject_start(nth, 0, false);
			ret = alloc_gfp(test, order, &unit, GFP_NOWAIT);
			if (!hatest_inject_stop())
				break;
			failed++;
			KUNIT_ASSERT_EQ(test, ret, -ENOMEM);
			expect_unchanged(test, before);
		}
		KUNIT_ASSERT_EQ(test, ret, 0);
		habuddy_free(&f->b, unit, order);
		expect_unchanged(test, before);
	}
	KUNIT_EXPECT_GT(test, failed, 40);
}

static void take_without_memory_changes_nothing(struct kunit *test)
{
	static const struct { u64 unit, nr; } ranges[] = {
		{ 0, 1 }, { 511, 2 }, { (1ULL << 18) - 1, 2 }, { (1ULL << 27) - 3, 1 << 20 },
		{ (1ULL << 40) - 1, 2 }, { (1ULL << 40) + (1ULL << 22), 5 },
		{ 12345, 1ULL << 39 }, { 1, (1ULL << 40) + 100 },
	};
	struct fixture *f = test->priv;
	unsigned long nth, failed = 0;
	struct snapshot before;
	unsigned int i;
	int ret;

	start_deep(test);
	before = take_snapshot(f);
	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		for (nth = 1; ; nth++) {
			hatest_inject_start(nth, 0, false);
			ret = take_gfp(test, ranges[i].unit, ranges[i].nr, GFP_NOWAIT);
			if (!hatest_inject_stop())
				break;
			failed++;
			KUNIT_ASSERT_EQ(test, ret, -ENOMEM);
			expect_unchanged(test, before);
		}
		KUNIT_ASSERT_EQ(test, ret, 0);
		habuddy_put(&f->b, ranges[i].unit, ranges[i].nr);
		expect_unchanged(test, before);
	}
	KUNIT_EXPECT_GT(test, failed, ARRAY_SIZE(ranges));
}

static void init_without_memory_leaves_nothing(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned long nth, failed = 0;
	int ret;

	for (nth = 1; ; nth++) {
		struct hamem_op op = HAMEM_OP(GFP_NOWAIT);

		habuddy_destroy(&f->b);
		atomic_long_set(&f->mem.bytes, 0);
		hatest_inject_start(nth, 0, false);
		ret = habuddy_init(&f->b, (1ULL << 40) + (1ULL << 22) + 5, &f->mem, &op);
		hamem_finish(&op);
		if (!hatest_inject_stop())
			break;
		failed++;
		KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
		KUNIT_EXPECT_EQ(test, atomic_long_read(&f->mem.bytes), 0L);
	}
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_GT(test, failed, 3);
}

static void caller_that_may_wait_gets_its_memory(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned long failed;
	u64 unit;

	start_deep(test);
	/* all allocations that may not wait fail */
	hatest_inject_start(0, 1, false);
	KUNIT_EXPECT_EQ(test, alloc_gfp(test, 3, &unit, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, take_gfp(test, 1ULL << 39, 3, GFP_NOIO), 0);
	failed = hatest_inject_stop();
	KUNIT_EXPECT_GT(test, failed, 2);
	KUNIT_EXPECT_LT(test, failed, 100);
	habuddy_free(&f->b, unit, 3);
	habuddy_put(&f->b, 1ULL << 39, 3);
	expect_all_free(test);
}

static void giving_back_needs_no_memory(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 unit[40];
	unsigned int k;

	start_deep(test);
	KUNIT_ASSERT_EQ(test, take(test, (1ULL << 40) + 3, 12345), 0);
	for (k = 0; k < 39; k++) {
		KUNIT_ASSERT_EQ(test, alloc(test, k, &unit[k]), 0);
		habuddy_own(&f->b, unit[k], k);
	}
	hatest_inject_start(0, 0, true);
	for (k = 0; k < 39; k++) {
		KUNIT_EXPECT_TRUE(test, habuddy_disown(&f->b, unit[k], k));
		habuddy_free(&f->b, unit[k], k);
	}
	habuddy_put(&f->b, (1ULL << 40) + 3, 12345);
	KUNIT_EXPECT_EQ(test, hatest_inject_seen(), 0);
	hatest_inject_stop();
	expect_all_free(test);
}

/* ---- random ---- */

/* The naive model: a bit for each unit, and a list of the allocated blocks. */
#define MODEL_UNITS	5000
#define MODEL_BLOCKS	600

struct model {
	u64 nr_units;
	DECLARE_BITMAP(used, MODEL_UNITS + 64);
	struct { u64 unit, nr; int order; } blocks[MODEL_BLOCKS];
	unsigned int nr_blocks;
};

static bool model_free(struct model *m, u64 unit, u64 nr)
{
	return unit + nr <= m->nr_units && find_next_bit(m->used, unit + nr, unit) == unit + nr;
}

/* The order of the largest free aligned block around @unit, or -1. */
static int model_order(struct model *m, u64 unit)
{
	int k = 0;

	while (model_free(m, unit & ~((1ULL << k) - 1), 1ULL << k))
		k++;
	return k - 1;
}

static bool model_fits(struct model *m, unsigned int order)
{
	u64 unit;

	for (unit = 0; unit < m->nr_units; unit += 1ULL << order)
		if (model_free(m, unit, 1ULL << order))
			return true;
	return false;
}

static void model_add(struct model *m, u64 unit, u64 nr, int order)
{
	bitmap_set(m->used, unit, nr);
	m->blocks[m->nr_blocks].unit = unit;
	m->blocks[m->nr_blocks].nr = nr;
	m->blocks[m->nr_blocks++].order = order;
}

static void compare_maps(struct kunit *test, struct model *m)
{
	DECLARE_BITMAP(bits, HABUDDY_FANOUT);
	struct fixture *f = test->priv;
	u64 base, i, nr_free;

	for (base = 0; base < m->nr_units; base += HABUDDY_FANOUT) {
		bool is_mixed = habuddy_free_map(&f->b, base, bits);

		for (i = nr_free = 0; i < HABUDDY_FANOUT && base + i < m->nr_units; i++) {
			nr_free += !test_bit(base + i, m->used);
			if (is_mixed)
				KUNIT_ASSERT_EQ(test, test_bit(i, bits),
						!test_bit(base + i, m->used));
		}
		if (!is_mixed)
			KUNIT_ASSERT_TRUE(test, !nr_free || nr_free == HABUDDY_FANOUT);
		for (; is_mixed && i < HABUDDY_FANOUT; i++)
			KUNIT_ASSERT_FALSE(test, test_bit(i, bits));
	}
}

static void compare_with_model(struct kunit *test, struct model *m)
{
	struct fixture *f = test->priv;
	u64 at, unit, nr, end, longest = 0, free = 0;

	KUNIT_ASSERT_EQ(test, habuddy_check(&f->b), 0);
	for (at = 0; ; at = end) {
		u64 got, got_nr;

		unit = find_next_zero_bit(m->used, m->nr_units, at);
		if (unit == m->nr_units)
			break;
		end = find_next_bit(m->used, m->nr_units, unit);
		KUNIT_ASSERT_TRUE(test, habuddy_next_free(&f->b, at, U64_MAX, &got, &got_nr));
		KUNIT_ASSERT_EQ(test, got, unit);
		KUNIT_ASSERT_EQ(test, got_nr, end - unit);
		longest = max(longest, end - unit);
		free += end - unit;
	}
	KUNIT_ASSERT_FALSE(test, habuddy_next_free(&f->b, at, U64_MAX, &unit, &nr));
	KUNIT_ASSERT_EQ(test, f->b.free_units, free);
	compare_maps(test, m);
	for (unit = 0; unit < m->nr_units; unit += 7)
		KUNIT_ASSERT_EQ(test, habuddy_free_order(&f->b, unit), model_order(m, unit));
	if (longest) {
		KUNIT_ASSERT_TRUE(test, find_run(&f->b, longest, &unit));
		KUNIT_ASSERT_TRUE(test, model_free(m, unit, longest));
	}
	KUNIT_ASSERT_FALSE(test, find_run(&f->b, longest + 1, &unit));
}

static void random_step(struct kunit *test, struct model *m, struct hatest_rng *rng)
{
	struct fixture *f = test->priv;
	u32 what = hatest_below(rng, 100);
	u64 unit, nr;
	int ret;

	if (what < 40 && m->nr_blocks < MODEL_BLOCKS) {
		/* small orders more often */
		unsigned int order = hatest_below(rng, 1 + hatest_below(rng, 13));
		bool fits = model_fits(m, order);

		ret = alloc(test, order, &unit);
		KUNIT_ASSERT_EQ_MSG(test, ret, fits ? 0 : -ENOSPC, "order %u", order);
		if (ret)
			return;
		KUNIT_ASSERT_EQ(test, unit & ((1ULL << order) - 1), 0);
		KUNIT_ASSERT_TRUE(test, model_free(m, unit, 1ULL << order));
		habuddy_own(&f->b, unit, order);
		model_add(m, unit, 1ULL << order, order);
	} else if (what < 55 && m->nr_blocks < MODEL_BLOCKS) {
		unit = hatest_below(rng, m->nr_units);
		nr = 1 + hatest_below(rng, 1 + hatest_below(rng, 700));
		ret = take(test, unit, nr);
		KUNIT_ASSERT_EQ(test, ret, model_free(m, unit, nr) ? 0 : -EEXIST);
		if (!ret)
			model_add(m, unit, nr, -1);
	} else if (m->nr_blocks) {
		unsigned int i = hatest_below(rng, m->nr_blocks);

		unit = m->blocks[i].unit;
		nr = m->blocks[i].nr;
		if (m->blocks[i].order >= 0) {
			KUNIT_ASSERT_TRUE(test, habuddy_disown(&f->b, unit, m->blocks[i].order));
			KUNIT_ASSERT_FALSE(test, habuddy_disown(&f->b, unit, m->blocks[i].order));
			habuddy_free(&f->b, unit, m->blocks[i].order);
		} else {
			habuddy_put(&f->b, unit, nr);
		}
		bitmap_clear(m->used, unit, nr);
		m->blocks[i] = m->blocks[--m->nr_blocks];
	}
}

static void random_operations_match_the_model(struct kunit *test)
{
	static const u32 sizes[] = { 5000, 4096, 513, 512, 511, 1021, 37, 1 };
	struct model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	struct hatest_rng rng = hatest_rng(test);
	struct fixture *f = test->priv;
	unsigned int i;
	unsigned long op;

	KUNIT_ASSERT_NOT_NULL(test, m);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		memset(m, 0, sizeof(*m));
		m->nr_units = sizes[i];
		start(test, sizes[i]);
		for (op = 0; op < hatest_ops / ARRAY_SIZE(sizes); op++) {
			random_step(test, m, &rng);
			if (op % 16 == 0)
				compare_with_model(test, m);
		}
		for (; m->nr_blocks; m->nr_blocks--) {
			if (m->blocks[m->nr_blocks - 1].order >= 0)
				habuddy_disown(&f->b, m->blocks[m->nr_blocks - 1].unit,
					       m->blocks[m->nr_blocks - 1].order);
			habuddy_put(&f->b, m->blocks[m->nr_blocks - 1].unit,
				    m->blocks[m->nr_blocks - 1].nr);
		}
		expect_all_free(test);
	}
}

/* Huge and odd spaces, filled with blocks of any order; the counters add up. */
static void random_fill_of_huge_spaces_comes_back(struct kunit *test)
{
	struct { u64 unit; unsigned int order; } *blocks;
	struct hatest_rng rng = hatest_rng(test);
	struct fixture *f = test->priv;
	const unsigned int max = 400;
	unsigned int i, n, k;

	blocks = kunit_kzalloc(test, max * sizeof(*blocks), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, blocks);
	for (i = 0; i < ARRAY_SIZE(capacities); i++) {
		u64 used = 0;

		start(test, capacities[i]);
		for (n = 0; n < max; n++) {
			k = hatest_below(&rng, ilog2(capacities[i]) + 1);
			if (alloc(test, k, &blocks[n].unit))
				break;
			KUNIT_ASSERT_LE(test, blocks[n].unit + (1ULL << k), capacities[i]);
			blocks[n].order = k;
			used += 1ULL << k;
		}
		KUNIT_EXPECT_EQ(test, habuddy_check(&f->b), 0);
		KUNIT_EXPECT_EQ(test, f->b.free_units + used, capacities[i]);
		while (n) {
			k = hatest_below(&rng, n);
			habuddy_free(&f->b, blocks[k].unit, blocks[k].order);
			blocks[k] = blocks[--n];
		}
		KUNIT_EXPECT_EQ(test, f->b.splits, f->b.merges);
		expect_all_free(test);
	}
}

static int habuddy_test_init(struct kunit *test)
{
	test->priv = kunit_kzalloc(test, sizeof(struct fixture), GFP_KERNEL);
	return test->priv ? 0 : -ENOMEM;
}

static void habuddy_test_exit(struct kunit *test)
{
	struct fixture *f = test->priv;

	hatest_inject_stop();
	habuddy_destroy(&f->b);
}

static void prepare_grow(struct kunit *test, u64 nr_units)
{
	struct hamem_op op = HAMEM_OP(GFP_KERNEL);
	struct fixture *f = test->priv;
	int ret;

	do {
		ret = habuddy_grow_prepare(&f->b, nr_units, f->b.nr_units, &op);
	} while (hamem_again(&op, ret));
	KUNIT_ASSERT_EQ(test, ret, 0);
}

/* What a GROW that failed has made is of no use for another size: a block is free as a whole. */
static void nodes_of_a_grow_that_failed_go(struct kunit *test)
{
	static const u64 ends[] = { 600, (1 << 18) + 600, (3 << 18) + 600, (1 << 27) + 600 };
	struct fixture *f = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		start(test, ends[i]);
		/* a node for the last 100 units, in a cell of 512 */
		prepare_grow(test, round_up(ends[i], 2048) + 512 + 100);
		prepare_grow(test, round_up(ends[i], 2048) + 2048);
		habuddy_grow(&f->b, round_up(ends[i], 2048) + 2048, ends[i]);
		KUNIT_EXPECT_EQ_MSG(test, habuddy_check(&f->b), 0, "%llu units", ends[i]);
		KUNIT_EXPECT_EQ(test, f->b.free_units, round_up(ends[i], 2048) + 2048);
	}
}

static struct kunit_case habuddy_cases[] = {
	KUNIT_CASE(whole_space_is_one_block),
	KUNIT_CASE(order_beyond_the_largest_is_enospc),
	KUNIT_CASE(one_block_of_each_order_then_full),
	KUNIT_CASE(ascending_frees_enable_each_next_order),
	KUNIT_CASE(half_full_checkerboard_serves_single_units_only),
	KUNIT_CASE(whittled_down_until_only_holes_are_left),
	KUNIT_CASE(smallest_block_that_fits_is_taken),
	KUNIT_CASE(any_capacity_is_one_run),
	KUNIT_CASE(first_middle_and_last_unit_come_and_go),
	KUNIT_CASE(nothing_is_free_behind_the_end),
	KUNIT_CASE(untouched_100_tib_costs_a_few_nodes),
	KUNIT_CASE(no_space_at_all),
	KUNIT_CASE(neighbours_that_are_no_buddies_serve_a_contiguous_request),
	KUNIT_CASE(partly_taken_range_is_refused),
	KUNIT_CASE(order_of_frees_does_not_matter),
	KUNIT_CASE(second_disown_is_refused),
	KUNIT_CASE(disown_of_another_order_is_refused),
	KUNIT_CASE(alloc_without_memory_changes_nothing),
	KUNIT_CASE(take_without_memory_changes_nothing),
	KUNIT_CASE(init_without_memory_leaves_nothing),
	KUNIT_CASE(caller_that_may_wait_gets_its_memory),
	KUNIT_CASE(giving_back_needs_no_memory),
	KUNIT_CASE(random_operations_match_the_model),
	KUNIT_CASE(random_fill_of_huge_spaces_comes_back),
	KUNIT_CASE(nodes_of_a_grow_that_failed_go),
	{}
};

static struct kunit_suite habuddy_suite = {
	.name = "habuddy",
	.init = habuddy_test_init,
	.exit = habuddy_test_exit,
	.test_cases = habuddy_cases,
};

kunit_test_suite(habuddy_suite);
