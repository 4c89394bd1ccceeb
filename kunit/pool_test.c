// SPDX-License-Identifier: GPL-2.0
/* The pool layer, and with it the whole allocator. All lengths are in blocks. */
#include <linux/sched/mm.h>

#include "pool_fixture.h"
#include "pool_hit.h"

/* ---- hits ---- */

static void what_was_freed_last_is_handed_out_first(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i;

	start(test, 1 << 20);
	hatest_on_cpu(0);
	for (i = 0; i < ARRAY_SIZE(common); i++) {
		u64 at;

		warm_up(test, common[i]);
		at = alloc(test, common[i]);
		expect_freed(test, at, common[i]);
		f->before = *stat(test);
		KUNIT_EXPECT_EQ(test, alloc(test, common[i]), at);
		KUNIT_EXPECT_EQ(test, stat(test)->hits, f->before.hits + 1);
		KUNIT_EXPECT_EQ(test, stat(test)->misses, f->before.misses);
		KUNIT_EXPECT_EQ(test, stat(test)->slab.free, f->before.slab.free);
		expect_account(test, common[i], 1);
		expect_freed(test, at, common[i]);
	}
	expect_all_comes_back(test);
}

static void every_extent_is_counted_once(struct kunit *test)
{
	static const u16 sizes[] = { 1, 3, 100, 256, 300, 512, 5000 };
	struct fixture *f = test->priv;
	u64 at, len, nr = 0;
	unsigned int i, k;

	start(test, 1 << 15);
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		for (k = 0; k < 5; k++, nr++) {
			expect_freed(test, alloc(test, sizes[i]), sizes[i]);
			KUNIT_EXPECT_EQ(test, stat(test)->allocs, nr + 1);
		}
	/* with a goal, as a claim, as one of a cached object, and in the slow mode */
	KUNIT_ASSERT_EQ(test, hapool_alloc(&f->p, 1, 1, 777, GFP_KERNEL, &at), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 9000, 3), 0);
	expect_freed(test, at, 1);
	KUNIT_ASSERT_EQ(test, claim(test, at, 1), 0);
	nr += 3;
	KUNIT_EXPECT_EQ(test, stat(test)->allocs, nr);
	/* what makes no extent does not count */
	KUNIT_EXPECT_EQ(test, try_alloc(test, 1 << 16, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, try_alloc(test, (1 << 15) - 4, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, claim(test, 9002, 1), -EEXIST);
	expect_refused(test, 9001, 1, -EINVAL, HYBRID_ALLOC_REASON_WRONG_START);
	KUNIT_ASSERT_TRUE(test, hapool_next_free(&f->p, 0, &at, &len));
	KUNIT_ASSERT_EQ(test, hapool_hold(&f->p, &at, &len, GFP_KERNEL), 0);
	hapool_unhold(&f->p, at, len);
	KUNIT_ASSERT_EQ(test, hapool_grow(&f->p, 1 << 16, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, stat(test)->allocs, nr);
}

static void free_space_stays_constant_over_many_pairs(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i;

	start(test, 1 << 20);
	hatest_on_cpu(0);
	for (i = 0; i < ARRAY_SIZE(common); i++) {
		unsigned int n;

		warm_up(test, common[i]);
		f->before = *stat(test);
		for (n = 0; n < 2000; n++)
			expect_freed(test, alloc(test, common[i]), common[i]);
		stat(test);
		KUNIT_EXPECT_EQ(test, f->st.slab.free, f->before.slab.free);
		KUNIT_EXPECT_EQ(test, f->st.cached, f->before.cached);
		KUNIT_EXPECT_EQ(test, f->st.hits, f->before.hits + 2000);
	}
	expect_all_comes_back(test);
}

static void magazines_are_bounded(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int class, i;
	u64 *at = kunit_kzalloc(test, 500 * sizeof(*at), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, at);
	hatest_on_cpu(0);
	for (class = 0; class < ARRAY_SIZE(common); class++) {
		u64 cached;

		start(test, 1 << 20);
		for (i = 0; i < 500; i++)
			at[i] = alloc(test, common[class]);
		for (i = 0; i < 500; i++)
			expect_freed(test, at[i], common[class]);
		cached = stat(test)->cached;
		KUNIT_EXPECT_GT(test, cached, 0);
		KUNIT_EXPECT_LE(test, cached, (u64)f->p.limit[class] * common[class]);
		/* at most 4 MiB for each size, but at least four objects */
		KUNIT_EXPECT_LE(test, cached, max(1024U, 4U * common[class]));
		expect_all_comes_back(test);
	}
}

static void alignment_is_kept(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i;
	u64 align, at;
	int ret;

	start(test, 1 << 20);
	for (align = 1; align <= 1 << 18; align *= 2) {
		for (i = 0; i < ARRAY_SIZE(common); i++) {
			warm_up(test, common[i]);
			ret = hapool_alloc(&f->p, common[i], align, HAPOOL_NO_GOAL, GFP_KERNEL,
					   &at);
			KUNIT_ASSERT_EQ(test, ret, 0);
			KUNIT_EXPECT_EQ_MSG(test, at & (align - 1), 0, "length %u, alignment %llu",
					    common[i], align);
			expect_freed(test, at, common[i]);
		}
	}
	expect_all_comes_back(test);
}

/* ---- refused frees ---- */

static void double_free_through_the_pool(struct kunit *test)
{
	unsigned int i;

	start(test, 1 << 20);
	hatest_on_cpu(0);
	for (i = 0; i < ARRAY_SIZE(common); i++) {
		u64 at, other;

		warm_up(test, common[i]);
		at = alloc(test, common[i]);
		other = alloc(test, common[i]);
		expect_freed(test, at, common[i]);
		expect_refused(test, at, common[i], -ENOENT, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
		expect_account(test, common[i], 1);
		/* the extent is not handed out twice */
		KUNIT_EXPECT_EQ(test, alloc(test, common[i]), at);
		KUNIT_EXPECT_NE(test, alloc(test, common[i]), at);
		expect_account(test, 3 * common[i], 3);
		expect_freed(test, at, common[i]);
		expect_freed(test, other, common[i]);
		stop(test->priv);
		start(test, 1 << 20);
	}
}

static void double_free_on_another_cpu(struct kunit *test)
{
	unsigned int i;

	start(test, 1 << 20);
	for (i = 0; i < ARRAY_SIZE(common); i++) {
		u64 at;

		if (!hatest_on_cpu(1))
			kunit_skip(test, "there is one CPU only");
		warm_up(test, common[i]);
		hatest_on_cpu(0);
		warm_up(test, common[i]);
		at = alloc(test, common[i]);
		expect_freed(test, at, common[i]);
		hatest_on_cpu(1);
		expect_refused(test, at, common[i], -ENOENT, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
		expect_account(test, 0, 0);
	}
	expect_all_comes_back(test);
}

static void wrong_length_through_the_pool(struct kunit *test)
{
	unsigned int i, j;

	start(test, 1 << 20);
	hatest_on_cpu(0);
	for (i = 0; i < ARRAY_SIZE(common); i++)
		warm_up(test, common[i]);
	for (i = 0; i < ARRAY_SIZE(common); i++) {
		u64 at = alloc(test, common[i]);

		for (j = 0; j < ARRAY_SIZE(common); j++)
			if (j != i)
				expect_refused(test, at, common[j], -EINVAL,
					       HYBRID_ALLOC_REASON_WRONG_LENGTH);
		expect_refused(test, at, 2 * 1024, -EINVAL, HYBRID_ALLOC_REASON_WRONG_LENGTH);
		expect_refused(test, at, 77, -EINVAL, HYBRID_ALLOC_REASON_WRONG_LENGTH);
		expect_account(test, common[i], 1);
		expect_freed(test, at, common[i]);
	}
	expect_all_comes_back(test);
}

static void wrong_start_through_the_pool(struct kunit *test)
{
	unsigned int i;

	start(test, 1 << 20);
	hatest_on_cpu(0);
	for (i = 1; i < ARRAY_SIZE(common); i++) {
		u64 at;

		warm_up(test, common[i]);
		warm_up(test, 1);
		at = alloc(test, common[i]);
		expect_refused(test, at + 1, common[i], -EINVAL, HYBRID_ALLOC_REASON_WRONG_START);
		expect_refused(test, at + 1, 1, -EINVAL, HYBRID_ALLOC_REASON_WRONG_START);
		expect_refused(test, at + common[i] - 1, 1, -EINVAL,
			       HYBRID_ALLOC_REASON_WRONG_START);
		expect_account(test, common[i], 1);
		expect_freed(test, at, common[i]);
	}
	expect_all_comes_back(test);
}

/* ---- draining ---- */

static void drain_empties_every_pool(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i, cpu;

	start(test, 1 << 20);
	for (cpu = 0; hatest_on_cpu(cpu) && cpu < 4; cpu++)
		for (i = 0; i < ARRAY_SIZE(common); i++)
			warm_up(test, common[i]);
	KUNIT_EXPECT_GT(test, stat(test)->cached, 0);
	hapool_drain(&f->p);
	KUNIT_EXPECT_EQ(test, stat(test)->cached, 0);
	expect_all_comes_back(test);
}

static void dead_cpu_gives_back_what_it_cached(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 before;

	start(test, 1 << 20);
	hatest_on_cpu(0);
	warm_up(test, 3);
	before = stat(test)->cached;
	KUNIT_ASSERT_GT(test, before, 0);
	if (!hatest_on_cpu(1))
		kunit_skip(test, "there is one CPU only");
	warm_up(test, 5);
	KUNIT_EXPECT_GT(test, stat(test)->cached, before);
	hatest_on_cpu(0);
	hapool_drain_cpu(&f->p, 1);
	KUNIT_EXPECT_EQ(test, stat(test)->cached, before);
	expect_all_comes_back(test);
}

/* How often an allocation of @len blocks does not lie behind the one before it. */
static u64 breaks_in_a_row(struct kunit *test, u64 len)
{
	u64 end = 0, broken = 0, nr, at;

	start(test, 1 << 16);
	hatest_on_cpu(0);
	for (nr = 50000 / len; nr--; end = at + len) {
		at = alloc(test, len);
		broken += at != end;
	}
	return broken;
}

/*
 * A file that grows by one power of two at a time on an empty device lies in one piece, across
 * magazines and slabs. Other sizes leave the rest of each slab.
 */
static void allocations_of_a_size_in_a_row_ascend_and_adjoin(struct kunit *test)
{
	u64 len;

	/* a small slab before larger ones, which are aligned to their size */
	for (len = 1; len <= 4 * UNIT; len *= 2)
		KUNIT_EXPECT_LE_MSG(test, breaks_in_a_row(test, len), len < 8 || len == UNIT / 2,
				    "length %llu", len);
	/* of 50 000 blocks; the sizes of slabs differ a little with those of words */
	KUNIT_EXPECT_LE(test, breaks_in_a_row(test, 3), 19);
	KUNIT_EXPECT_LE(test, breaks_in_a_row(test, 15), 19);
}

static void idle_magazines_go_back_and_used_ones_stay(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 small, both, percpu;

	start(test, 100000);
	hatest_on_cpu(0);
	warm_up(test, 1);
	small = stat(test)->cached;
	warm_up(test, 16);
	both = stat(test)->cached;
	percpu = f->st.percpu;
	/* the first call finds all magazines used */
	hapool_drain_idle(&f->p);
	KUNIT_EXPECT_EQ(test, stat(test)->cached, both);
	expect_freed(test, alloc(test, 1), 1);
	hapool_drain_idle(&f->p);
	KUNIT_EXPECT_EQ(test, stat(test)->cached, small);
	/* unused magazines are emptied, and freed by the next call */
	hapool_drain_idle(&f->p);
	KUNIT_EXPECT_EQ(test, stat(test)->cached, 0);
	hapool_drain_idle(&f->p);
	KUNIT_EXPECT_LT(test, stat(test)->percpu, percpu);
	KUNIT_EXPECT_EQ(test, hapool_nr_mags(&f->p), 0);
	expect_freed(test, alloc(test, 1), 1);
	expect_all_comes_back(test);
}

static void shrinking_frees_magazines_and_what_is_in_them(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i;
	u64 cached;

	start(test, 100000);
	hatest_on_cpu(0);
	for (i = 0; i < ARRAY_SIZE(common); i++)
		warm_up(test, common[i]);
	cached = stat(test)->cached;
	KUNIT_EXPECT_EQ(test, hapool_nr_mags(&f->p), ARRAY_SIZE(common));
	KUNIT_EXPECT_EQ(test, hapool_shrink(&f->p, 3), 3);
	KUNIT_EXPECT_LT(test, stat(test)->cached, cached);
	KUNIT_EXPECT_EQ(test, hapool_nr_mags(&f->p), ARRAY_SIZE(common) - 3);
	KUNIT_EXPECT_EQ(test, hapool_shrink(&f->p, 1000), ARRAY_SIZE(common) - 3);
	KUNIT_EXPECT_EQ(test, stat(test)->cached, 0);
	KUNIT_EXPECT_EQ(test, hapool_shrink(&f->p, 1000), 0);
	for (i = 0; i < ARRAY_SIZE(common); i++)
		expect_freed(test, alloc(test, common[i]), common[i]);
	expect_all_comes_back(test);
}

/* To take a magazine makes the hits of its CPU misses meanwhile. */
static void reports_take_no_magazine(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct haslab_histogram *h = kunit_kzalloc(test, sizeof(*h), GFP_KERNEL);
	u64 at, len, cached;
	struct haslab_extent e;
	unsigned int cpu, i;
	long takes;

	KUNIT_ASSERT_NOT_NULL(test, h);
	start(test, 1 << 20);
	for (cpu = 0; hatest_on_cpu(cpu) && cpu < 3; cpu++)
		for (i = 0; i < ARRAY_SIZE(common); i++)
			warm_up(test, common[i]);
	hatest_on_cpu(0);
	takes = atomic_long_read(&hatest_takes);
	KUNIT_EXPECT_GT(test, takes, 0);
	f->before = *stat(test);
	KUNIT_EXPECT_GT(test, stat_walk(test)->cached, 0);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	KUNIT_EXPECT_EQ(test, hapool_charged(&f->p), 0);
	KUNIT_EXPECT_EQ(test, hapool_nr_mags(&f->p), cpu * ARRAY_SIZE(common));
	KUNIT_EXPECT_TRUE(test, hapool_next_free(&f->p, 0, &at, &len));
	KUNIT_EXPECT_EQ(test, hapool_map(&f->p, 0, &e, 1), 1);
	hapool_histogram(&f->p, h);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&hatest_takes), takes);
	/* what the magazines have is still there, and is what was reported */
	for (i = 0; i < ARRAY_SIZE(common); i++)
		expect_freed(test, alloc(test, common[i]), common[i]);
	KUNIT_EXPECT_EQ(test, stat(test)->hits, f->before.hits + ARRAY_SIZE(common));
	KUNIT_EXPECT_EQ(test, f->st.misses, f->before.misses);
	cached = f->st.cached;
	hapool_drain(&f->p);
	KUNIT_EXPECT_EQ(test, stat(test)->slab.free, f->before.slab.free + cached);
	expect_all_comes_back(test);
}

static void what_another_cpu_cached_can_be_allocated(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(common); i++) {
		u64 len = common[i], n = 0, k, *at;
		int ret;

		start(test, 4096);
		at = kunit_kzalloc(test, (4096 / len + 1) * sizeof(*at), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, at);
		if (!hatest_on_cpu(1))
			kunit_skip(test, "there is one CPU only");
		warm_up(test, len);
		while (!(ret = try_alloc(test, len, &at[n])))
			n++;
		KUNIT_ASSERT_EQ(test, ret, -ENOSPC);
		/* CPU 1 caches the last extent; CPU 0 must get it */
		expect_freed(test, at[n - 1], len);
		hatest_on_cpu(0);
		KUNIT_EXPECT_EQ(test, alloc(test, len), at[n - 1]);
		expect_account(test, n * len, n);
		for (k = 0; k < n; k++)
			expect_freed(test, at[k], len);
		expect_all_comes_back(test);
	}
}

static void whole_device_after_everything_was_cached(struct kunit *test)
{
	unsigned int i, cpu;

	for (i = 0; i < ARRAY_SIZE(common); i++) {
		u64 at;

		start(test, 5000);
		for (cpu = 0; hatest_on_cpu(cpu) && cpu < 4; cpu++)
			warm_up(test, common[i]);
		KUNIT_ASSERT_EQ(test, try_alloc(test, 5000, &at), 0);
		KUNIT_EXPECT_EQ(test, at, 0);
		expect_account(test, 5000, 1);
		KUNIT_EXPECT_EQ(test, try_alloc(test, 1, &at), -ENOSPC);
		expect_freed(test, 0, 5000);
		expect_all_comes_back(test);
	}
}

static void cached_range_can_be_claimed(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i;

	start(test, 1 << 16);
	for (i = 0; i < ARRAY_SIZE(common); i++) {
		u64 len = common[i], at;

		hatest_on_cpu(1);
		warm_up(test, len);
		at = alloc(test, len);
		KUNIT_EXPECT_EQ(test, hapool_claim(&f->p, at, len, GFP_KERNEL), -EEXIST);
		expect_freed(test, at, len);
		hatest_on_cpu(0);
		KUNIT_EXPECT_EQ(test, hapool_claim(&f->p, at, len, GFP_NOWAIT), -EAGAIN);
		KUNIT_ASSERT_EQ(test, hapool_claim(&f->p, at, len, GFP_KERNEL), 0);
		expect_account(test, len, 1);
		KUNIT_EXPECT_EQ(test, hapool_claim(&f->p, at, 1, GFP_KERNEL), -EEXIST);
		KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
		expect_freed(test, at, len);
		expect_refused(test, at, len, -ENOENT, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
	}
	expect_all_comes_back(test);
}

static void claims_over_live_and_cached_objects(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 at[20], live;
	unsigned int i;

	start(test, 1 << 15);
	for (i = 0; i < 20; i++)
		at[i] = alloc(test, 2);
	live = at[10];
	for (i = 0; i < 20; i++)
		if (i != 10)
			expect_freed(test, at[i], 2);
	KUNIT_EXPECT_EQ(test, hapool_claim(&f->p, live - 5, 10, GFP_KERNEL), -EEXIST);
	KUNIT_EXPECT_EQ(test, hapool_claim(&f->p, 0, 1 << 15, GFP_KERNEL), -EEXIST);
	KUNIT_ASSERT_EQ(test, hapool_claim(&f->p, live + 2, 20000, GFP_KERNEL), 0);
	expect_account(test, 20002, 2);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	expect_freed(test, live, 2);
	expect_freed(test, live + 2, 20000);
	expect_all_comes_back(test);
}

static void who_may_not_wait_gets_eagain_and_no_false_enospc(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 at, i;

	start(test, 4096);
	if (!hatest_on_cpu(1))
		kunit_skip(test, "there is one CPU only");
	for (i = 0; i < 4096; i++)
		alloc(test, 1);
	expect_freed(test, 77, 1);
	hatest_on_cpu(0);
	KUNIT_EXPECT_EQ(test, hapool_alloc(&f->p, 1, 1, HAPOOL_NO_GOAL, GFP_NOWAIT, &at), -EAGAIN);
	expect_account(test, 4095, 4095);
	KUNIT_EXPECT_EQ(test, hapool_alloc(&f->p, 1, 1, HAPOOL_NO_GOAL, GFP_NOIO, &at), 0);
	KUNIT_EXPECT_EQ(test, at, 77);
}

/* ---- refusals ---- */

static int try_aligned(struct kunit *test, u64 len, u64 align)
{
	struct fixture *f = test->priv;
	u64 at;

	return hapool_alloc(&f->p, len, align, HAPOOL_NO_GOAL, GFP_KERNEL, &at);
}

/* That this many allocations in a row are refused, and how many searches they make. */
static void expect_refusals(struct kunit *test, u64 len, u64 align, unsigned int nr, u64 searches)
{
	u64 before = stat(test)->searches;
	unsigned int i;

	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_EQ_MSG(test, try_aligned(test, len, align), -ENOSPC, "length %llu",
				    len);
	KUNIT_EXPECT_EQ_MSG(test, stat(test)->searches, before + searches,
			    "length %llu, alignment %llu", len, align);
}

/*
 * A device of 1 << 14 blocks: first a slab of objects of two blocks, of which some are free, then
 * one live block after each 99 free ones.
 */
static void start_with_holes(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i;
	u64 at;

	start(test, 1 << 14);
	hatest_on_cpu(0);
	for (i = 0; i < 98; i++)
		alloc(test, 2);
	hapool_drain(&f->p);
	for (at = UNIT; at < 1 << 14; at += 100)
		KUNIT_ASSERT_EQ(test, claim(test, at, 1), 0);
}

/* Makes a magazine of CPU 1 that has objects. Return: blocks in it. */
static u64 fill_magazine_of_another_cpu(struct kunit *test, u64 len)
{
	u64 cached = stat(test)->cached;

	if (!hatest_on_cpu(1))
		kunit_skip(test, "there is one CPU only");
	/* the first makes the magazine, the second fills it */
	alloc(test, len);
	alloc(test, len);
	hatest_on_cpu(0);
	cached = stat(test)->cached - cached;
	KUNIT_ASSERT_GT(test, cached, 0);
	return cached;
}

/* An allocation on CPU 1 is a hit. */
static void expect_hit_on_another_cpu(struct kunit *test, u64 len)
{
	u64 hits = stat(test)->hits;

	hatest_on_cpu(1);
	alloc(test, len);
	hatest_on_cpu(0);
	KUNIT_EXPECT_EQ(test, stat(test)->hits, hits + 1);
}

static void refusals_in_a_row_search_once(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 cached;

	start_with_holes(test);
	expect_refusals(test, 100, 1, 1, 1);
	cached = fill_magazine_of_another_cpu(test, 2);
	expect_refusals(test, 100, 1, 50, 0);
	/* what is longer or more aligned does not fit either */
	expect_refusals(test, 101, 1, 5, 0);
	expect_refusals(test, 100, 64, 5, 0);
	expect_refusals(test, 5000, 1024, 5, 0);
	KUNIT_EXPECT_EQ(test, f->st.cached, cached);
	expect_hit_on_another_cpu(test, 2);
	/* what is not covered: each is looked for once, in any order */
	expect_refusals(test, 98, 64, 50, 1);
	expect_refusals(test, 90, 4096, 50, 1);
	expect_refusals(test, 100, 1, 5, 0);
	expect_refusals(test, 98, 64, 5, 0);
	KUNIT_EXPECT_EQ(test, try_aligned(test, 99, 1), 0);
}

static void refusals_of_more_than_is_free_search_never(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 cached, free, at, n;

	start_with_holes(test);
	free = stat(test)->slab.free;
	expect_refusals(test, 1 << 14, 1, 50, 0);
	expect_refusals(test, free + 1, 1, 5, 0);
	expect_refusals(test, free, 1, 5, 1);
	stop(f);

	/* others free and allocate, and keep their magazines */
	start_with_holes(test);
	cached = fill_magazine_of_another_cpu(test, 2);
	free = f->st.slab.free;
	for (n = 0; n < 20; n++) {
		hatest_on_cpu(1);
		at = alloc(test, 2);
		expect_freed(test, at, 2);
		hatest_on_cpu(0);
		expect_refusals(test, cached + free + 1, 1, 1, 0);
		KUNIT_EXPECT_EQ(test, f->st.cached, cached);
	}
	KUNIT_EXPECT_EQ(test, hapool_alloc(&f->p, cached + free + 1, 1, HAPOOL_NO_GOAL, GFP_NOWAIT,
					   &at), -ENOSPC);
	expect_hit_on_another_cpu(test, 2);
}

/* CHECK takes a call that has begun and not ended for one in flight, and then proves nothing. */
static void each_call_that_begins_ends(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 begun = 0, done = 0, at;
	unsigned int cpu;

	start(test, 1 << 18);
	at = alloc(test, 1);
	expect_freed(test, at, 1);
	KUNIT_ASSERT_EQ(test, claim(test, 300, 5), 0);
	KUNIT_EXPECT_EQ(test, claim(test, 300, 5), -EEXIST);
	ha_holds_reset();
	KUNIT_EXPECT_EQ(test, try_alloc(test, (1 << 18) - 7, &at), -ENOSPC);
	/* the search was in a hold of the slow mode */
	KUNIT_EXPECT_GT(test, ha_longest_hold(HA_LOCK_SLOW), 0);
	expect_freed(test, 300, 5);
	for_each_possible_cpu(cpu) {
		begun += per_cpu_ptr(f->p.cpus, cpu)->begun;
		done += per_cpu_ptr(f->p.cpus, cpu)->done;
	}
	KUNIT_EXPECT_GT(test, begun, 0);
	KUNIT_EXPECT_EQ(test, begun, done);
}

/* Holds of the locks that other tasks need. */
static long holds(void)
{
	return ha_holds(HA_LOCK_GROUP) + ha_holds(HA_LOCK_ALL) + ha_holds(HA_LOCK_SPACE) +
	       ha_holds(HA_LOCK_SLOW);
}

/* Refuses @nr times. Return: the holds of all but the first two: it fits often the second time. */
static long holds_of_refusals(struct kunit *test, u64 len, u64 align, u64 goal, int nr)
{
	struct fixture *f = test->priv;
	long before = 0;
	u64 at;
	int i;

	for (i = 0; i < nr; i++) {
		if (i == 2)
			before = holds();
		KUNIT_EXPECT_EQ(test, hapool_alloc(&f->p, len, align, goal, GFP_KERNEL, &at),
				-ENOSPC);
	}
	return holds() - before;
}

/* A task that is refused in a loop does not keep others from the locks that they need. */
static void refusals_in_a_row_take_no_lock_of_others(struct kunit *test)
{
	static const struct { u64 len, align, goal; } asked[] = {
		{ 1 << 14, 1, HAPOOL_NO_GOAL }, { 5000, 1, HAPOOL_NO_GOAL },
		{ 128, 1, HAPOOL_NO_GOAL }, { 2, 1 << 20, HAPOOL_NO_GOAL }, { 100, 1, 0 },
		{ 1 << 13, 1, 100 }, { 98, 64, HAPOOL_NO_GOAL }, { 90, 4096, 7 },
	};
	struct fixture *f = test->priv;
	u64 at, free;
	long before = 0;
	u32 i;

	start_with_holes(test);
	for (i = 0; i < ARRAY_SIZE(asked); i++)
		KUNIT_EXPECT_EQ_MSG(test, holds_of_refusals(test, asked[i].len, asked[i].align,
							    asked[i].goal, 20), 0,
				    "length %llu", asked[i].len);
	/* all of them by turns: the weakest of each kind are remembered */
	free = stat(test)->slab.free;
	for (i = 0; i < 42; i++) {
		if (i == 4)
			before = holds();
		KUNIT_EXPECT_EQ(test, hapool_alloc(&f->p, i % 2 ? 98 : free + 1, i % 2 ? 64 : 1,
						   HAPOOL_NO_GOAL, GFP_KERNEL, &at), -ENOSPC);
	}
	KUNIT_EXPECT_EQ(test, holds(), before);
	/* what fits is found at once all the same */
	KUNIT_EXPECT_EQ(test, hapool_alloc(&f->p, 1, 1, HAPOOL_NO_GOAL, GFP_KERNEL, &at), 0);
	expect_freed(test, at, 1);
}

/* A caller that makes space and tries again does not pay for its refusals. */
static void a_hint_is_dropped_when_it_fits(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_refusals *r = &f->p.refusals;
	u64 at, i;

	start(test, 10000);
	KUNIT_EXPECT_EQ(test, r->shortest_hint, U64_MAX);
	KUNIT_EXPECT_EQ(test, try_alloc(test, 9000, &at), 0);
	for (i = 0; i < 20; i++) {
		KUNIT_EXPECT_EQ(test, try_alloc(test, 2000, &at), -ENOSPC);
		KUNIT_EXPECT_EQ(test, r->shortest_hint, 2000);
		KUNIT_EXPECT_FALSE(test, r->hints[i % HAPOOL_REFUSALS].again);
		expect_freed(test, 0, 9000);
		KUNIT_EXPECT_EQ(test, try_alloc(test, 2000, &at), 0);
		KUNIT_EXPECT_EQ(test, r->shortest_hint, U64_MAX);
		expect_freed(test, at, 2000);
		KUNIT_EXPECT_EQ(test, try_alloc(test, 9000, &at), 0);
	}
	/* refused again: the next call asks the counters, and what fits then is found */
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, try_alloc(test, 2000, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, try_alloc(test, 900, &at), 0);
	KUNIT_EXPECT_EQ(test, r->shortest_hint, 2000);
	expect_freed(test, 0, 9000);
	KUNIT_EXPECT_EQ(test, try_alloc(test, 2001, &at), 0);
	KUNIT_EXPECT_EQ(test, r->shortest_hint, U64_MAX);
}

/* Two tasks that change the hints at once may leave a wrong length of the shortest. */
static void hints_mend_themselves(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_refusals *r = &f->p.refusals;
	u64 at;

	start_with_holes(test);
	holds_of_refusals(test, 128, 1, HAPOOL_NO_GOAL, 2);
	r->shortest_hint = U64_MAX;
	holds_of_refusals(test, 200, 1, HAPOOL_NO_GOAL, 1);
	KUNIT_EXPECT_EQ(test, r->shortest_hint, 128);
	KUNIT_EXPECT_EQ(test, holds_of_refusals(test, 128, 1, HAPOOL_NO_GOAL, 20), 0);
	r->shortest_hint = 1;
	KUNIT_EXPECT_EQ(test, try_alloc(test, 1, &at), 0);
	KUNIT_EXPECT_EQ(test, r->shortest_hint, 128);
}

/* Of a common size: no pool served it. */
static void a_refusal_without_a_lock_is_a_miss(struct kunit *test)
{
	u64 at, misses;
	int i;

	start(test, 1000);
	KUNIT_EXPECT_EQ(test, try_alloc(test, 999, &at), 0);
	misses = stat(test)->misses;
	for (i = 0; i < 10; i++)
		KUNIT_EXPECT_EQ(test, try_alloc(test, 2, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, stat(test)->misses, misses + 10);
}

/* Only the first block of the range is aligned to so much, if it begins at 0. */
static void refusals_of_an_alignment_beyond_the_device_search_never(struct kunit *test)
{
	struct haslab_config cfg = {
		.first_block = 3, .nr_blocks = 10000, .unit_shift = ilog2(UNIT),
		.slab_max = UNIT, .nr_groups = 1,
	};
	u64 at;

	start_cfg(test, &cfg);
	expect_refusals(test, 1, 16384, 5, 0);
	expect_refusals(test, 1, 1ULL << 63, 5, 0);
	expect_refusals(test, 10000 - 8192 + 1, 8192, 5, 0);
	KUNIT_EXPECT_EQ(test, try_aligned(test, 10000 - 8192, 8192), 0);
	start(test, 10000);
	KUNIT_EXPECT_EQ(test, try_aligned(test, 9000, 1ULL << 63), 0);
	KUNIT_EXPECT_EQ(test, try_alloc(test, 1000, &at), 0);
}

/* Whatever makes blocks free ends the validity of a refusal. */
static void what_becomes_free_after_a_refusal_is_found(struct kunit *test)
{
	enum hybrid_alloc_reason reason;
	struct fixture *f = test->priv;
	u64 at, len;

	start_with_holes(test);
	expect_refusals(test, 199, 1, 3, 1);
	expect_freed(test, UNIT + 5000, 1);
	KUNIT_EXPECT_EQ(test, try_alloc(test, 199, &at), 0);
	KUNIT_EXPECT_EQ(test, at, UNIT + 4901);

	/* the second half of a free, and the end of a hold */
	expect_refusals(test, 199, 1, 3, 1);
	KUNIT_ASSERT_EQ(test, hapool_retire(&f->p, UNIT + 9000, 1, &reason), 0);
	expect_refusals(test, 199, 1, 3, 1);
	hapool_reuse(&f->p, UNIT + 9000, 1);
	KUNIT_EXPECT_EQ(test, try_alloc(test, 199, &at), 0);
	KUNIT_EXPECT_EQ(test, at, UNIT + 8901);
	at = UNIT + 11001;
	len = 99;
	KUNIT_ASSERT_EQ(test, hapool_hold(&f->p, &at, &len, GFP_KERNEL), 0);
	hapool_unhold(&f->p, at, len);
	expect_refusals(test, 199, 1, 3, 1);

	/* a refused free changes nothing */
	expect_refused(test, UNIT + 7000, 2, -EINVAL, HYBRID_ALLOC_REASON_WRONG_LENGTH);
	expect_refusals(test, 199, 1, 3, 1);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);

	/* a larger device */
	KUNIT_ASSERT_EQ(test, hapool_grow(&f->p, (1 << 14) + 1024, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, try_alloc(test, 199, &at), 0);
	KUNIT_EXPECT_GE(test, at, (1 << 14) - 100);
}

static void what_a_hit_frees_after_a_refusal_is_found(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 at, i;

	start(test, 4096);
	if (!hatest_on_cpu(1))
		kunit_skip(test, "there is one CPU only");
	for (i = 0; i < 4096; i++)
		alloc(test, 1);
	expect_freed(test, 10, 1);
	expect_freed(test, 12, 1);
	hatest_on_cpu(0);
	expect_refusals(test, 2, 1, 5, 1);
	hatest_on_cpu(1);
	f->before = *stat(test);
	expect_freed(test, 11, 1);
	KUNIT_EXPECT_EQ(test, stat(test)->cached, f->before.cached + 1);
	hatest_on_cpu(0);
	KUNIT_EXPECT_EQ(test, try_alloc(test, 3, &at), 0);
	KUNIT_EXPECT_EQ(test, at, 10);
}

/* ---- tasks that do not run ---- */

/*
 * A full device, but for one block in a magazine of CPU 1, which a task has taken that does not
 * run now. Return: the magazine.
 */
static struct hapool_mag *start_with_a_taken_magazine(struct kunit *test, struct hapool_bin **bin)
{
	struct fixture *f = test->priv;
	struct hapool_mag *mag;
	unsigned int i;

	start(test, 4096);
	if (!hatest_on_cpu(1))
		kunit_skip(test, "there is one CPU only");
	for (i = 0; i < 4096; i++)
		alloc(test, 1);
	expect_freed(test, 77, 1);
	*bin = &per_cpu_ptr(f->p.cpus, 1)->bin[0];
	mag = hapool_mag_take(*bin);
	KUNIT_ASSERT_NOT_NULL(test, mag);
	hatest_on_cpu(0);
	return mag;
}

static void who_is_killed_does_not_wait_for_a_task_that_does_not_run(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_bin *bin;
	struct hapool_mag *mag = start_with_a_taken_magazine(test, &bin);
	enum hybrid_alloc_reason reason;
	u64 at;

	hatest_set_killed(true);
	KUNIT_EXPECT_EQ(test, try_alloc(test, 1, &at), -EINTR);
	KUNIT_EXPECT_EQ(test, claim(test, 77, 1), -EINTR);
	hapool_drain(&f->p);
	hapool_drain_cpu(&f->p, 1);
	/* what needs no wait is done */
	KUNIT_EXPECT_EQ(test, claim(test, 76, 1), -EINTR);
	expect_freed(test, 1000, 1);
	hapool_mag_put(bin, mag);
	KUNIT_EXPECT_EQ(test, try_alloc(test, 1, &at), 0);
	KUNIT_EXPECT_EQ(test, claim(test, 76, 1), -EEXIST);
	/* nor for an object that another task is freeing */
	KUNIT_ASSERT_EQ(test, hapool_retire(&f->p, 80, 1, &reason), 0);
	KUNIT_EXPECT_EQ(test, claim(test, 77, 1), -EINTR);
	hatest_set_killed(false);
	hapool_reuse(&f->p, 80, 1);
	hapool_drain(&f->p);
	KUNIT_EXPECT_EQ(test, stat(test)->cached, 0);
	expect_account(test, 4094, 4094);
}

/* What a task has taken that runs again after a few moments. */
static struct {
	struct fixture *f;
	struct hapool_bin *bin;
	struct hapool_mag *mag;
	unsigned int moments;
} other;

static void other_task_puts_back_or_frees(void)
{
	if (other.moments && --other.moments)
		return;
	if (other.mag)
		hapool_mag_put(other.bin, other.mag);
	else
		hapool_reuse(&other.f->p, 80, 1);
	hatest_meanwhile = NULL;
}

static void other_task_runs_after(unsigned int moments)
{
	other.moments = moments;
	hatest_meanwhile = other_task_puts_back_or_frees;
}

static void killed_caller_of_an_unkillable_allocator_gets_what_it_waits_for(struct kunit *test)
{
	struct fixture *f = test->priv;
	enum hybrid_alloc_reason reason;
	u64 at;

	other.f = f;
	other.mag = start_with_a_taken_magazine(test, &other.bin);
	f->p.slab.cfg.unkillable = true;
	hatest_set_killed(true);
	other_task_runs_after(3);
	KUNIT_EXPECT_EQ(test, try_alloc(test, 1, &at), 0);
	KUNIT_EXPECT_EQ(test, at, 77);
	KUNIT_EXPECT_EQ(test, other.moments, 0);

	expect_freed(test, 77, 1);
	other.mag = NULL;
	KUNIT_ASSERT_EQ(test, hapool_retire(&f->p, 80, 1, &reason), 0);
	other_task_runs_after(3);
	KUNIT_EXPECT_EQ(test, claim(test, 77, 1), 0);
	KUNIT_EXPECT_EQ(test, other.moments, 0);
	KUNIT_EXPECT_EQ(test, claim(test, 80, 1), 0);
	hatest_set_killed(false);
	expect_account(test, 4096, 4096);
}

static void drain_leaves_what_a_task_that_does_not_run_has_taken(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_mag *mag;
	struct hapool_bin *bin;

	start(test, 1 << 14);
	if (!hatest_on_cpu(1))
		kunit_skip(test, "there is one CPU only");
	warm_up(test, 1);
	warm_up(test, 2);
	bin = &per_cpu_ptr(f->p.cpus, 1)->bin[0];
	mag = hapool_mag_take(bin);
	KUNIT_ASSERT_NOT_NULL(test, mag);
	hatest_on_cpu(0);
	/* the other magazine is emptied */
	KUNIT_EXPECT_GT(test, stat(test)->cached, 0);
	hapool_drain_cpu(&f->p, 1);
	KUNIT_EXPECT_EQ(test, stat(test)->cached, 0);
	hapool_drain(&f->p);
	KUNIT_EXPECT_GT(test, mag->used, 0);
	hapool_mag_put(bin, mag);
	KUNIT_EXPECT_GT(test, stat(test)->cached, 0);
	expect_all_comes_back(test);
}

/* ---- memory ---- */

static const u32 lengths[] = { 1, 4, 16, 32, 100, 256, 1000, 1024, 5000, 20000 };

static void failing_allocations_change_nothing(struct kunit *test)
{
	static const gfp_t gfps[] = { GFP_NOWAIT, GFP_KERNEL };
	struct fixture *f = test->priv;
	unsigned long nth, failed = 0, delivered;
	unsigned int i, g;
	u64 at;
	int ret;

	for (g = 0; g < ARRAY_SIZE(gfps); g++)
		for (i = 0; i < ARRAY_SIZE(lengths); i++)
			for (nth = 1; ; nth++) {
				start(test, 40077);
				hatest_inject_start(nth, 0, false);
				ret = hapool_alloc(&f->p, lengths[i], 1, HAPOOL_NO_GOAL, gfps[g],
						   &at);
				delivered = hatest_inject_stop();
				failed += delivered;
				if (ret)
					KUNIT_EXPECT_EQ(test, ret, g ? -ENOMEM : -EAGAIN);
				else
					expect_freed(test, at, lengths[i]);
				expect_all_comes_back(test);
				if (!delivered)
					break;
			}
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_GT(test, failed, 20);
}

static void failing_claims_change_nothing(struct kunit *test)
{
	static const struct { u64 at, len; } claims[] = {
		{ 0, 1 }, { 300, 300 }, { 16384, 16384 }, { 262000, 524077 }, { 1048576, 77 },
		{ 600000, 5000 },
	};
	struct fixture *f = test->priv;
	unsigned long nth, failed = 0, delivered;
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(claims); i++)
		for (nth = 1; ; nth++) {
			start(test, (1 << 20) + 77);
			hatest_inject_start(nth, 0, false);
			ret = hapool_claim(&f->p, claims[i].at, claims[i].len, GFP_NOWAIT);
			delivered = hatest_inject_stop();
			failed += delivered;
			if (ret)
				KUNIT_EXPECT_EQ(test, ret, -EAGAIN);
			else
				expect_freed(test, claims[i].at, claims[i].len);
			expect_all_comes_back(test);
			if (!delivered)
				break;
		}
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_GT(test, failed, 5);
}

static void init_without_memory_leaves_nothing(struct kunit *test)
{
	struct haslab_config cfg = { .nr_blocks = 100077, .unit_shift = 8, .slab_max = 256 };
	struct fixture *f = test->priv;
	unsigned long nth, refused = 0;
	int ret;

	for (nth = 1; ; nth++) {
		stop(f);
		hatest_inject_start(nth, 0, false);
		ret = try_start(test, &cfg);
		if (!hatest_inject_stop())
			break;
		KUNIT_EXPECT_TRUE(test, !ret || ret == -ENOMEM);
		refused += ret == -ENOMEM;
	}
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_GT(test, refused, 0);
}

static void free_needs_no_memory(struct kunit *test)
{
	u64 at[ARRAY_SIZE(lengths)][10];
	unsigned int i, j;

	start(test, 1 << 20);
	hatest_on_cpu(0);
	for (i = 0; i < ARRAY_SIZE(lengths); i++)
		for (j = 0; j < 10; j++)
			at[i][j] = alloc(test, lengths[i]);
	/* STAT wants tables of sums */
	stat(test);
	hatest_inject_start(0, 0, true);
	for (i = 0; i < ARRAY_SIZE(lengths); i++)
		for (j = 0; j < 10; j++) {
			/* on a CPU with magazines, and on one without */
			hatest_on_cpu(j % 2);
			expect_freed(test, at[i][j], lengths[i]);
			expect_refused(test, at[i][j], lengths[i], -ENOENT,
				       HYBRID_ALLOC_REASON_NOT_ALLOCATED);
		}
	KUNIT_EXPECT_EQ(test, hatest_inject_seen(), 0);
	expect_all_comes_back(test);
	KUNIT_EXPECT_EQ(test, hatest_inject_seen(), 0);
	hatest_inject_stop();
}

static void alloc_when_no_memory_can_be_had_without_waiting(struct kunit *test)
{
	unsigned int i;

	start(test, 1 << 20);
	hatest_inject_start(0, 1, false);
	for (i = 0; i < ARRAY_SIZE(lengths); i++)
		warm_up(test, lengths[i]);
	KUNIT_EXPECT_LT(test, hatest_inject_stop(), HATEST_MAX_FAILED);
	expect_all_comes_back(test);
}

/* Hold free blocks, wait for memory as a discard does, and let them go. */
static void hold_and_discard(struct kunit *test, gfp_t gfp)
{
	struct fixture *f = test->priv;
	u64 at, len;

	KUNIT_ASSERT_TRUE(test, hapool_next_free(&f->p, 0, &at, &len));
	KUNIT_ASSERT_EQ(test, hapool_hold(&f->p, &at, &len, gfp), 0);
	kfree(kmalloc(64, gfp));
	hapool_unhold(&f->p, at, len);
}

/*
 * Every entry of the pool, on a device full of blocks that are freed around @at. Without memory
 * at once, so whatever can wait for memory does, also in the slow mode and in GROW.
 */
static void use_every_entry(struct kunit *test, u64 at, gfp_t gfp)
{
	struct fixture *f = test->priv;
	u64 got;
	int i;

	for (i = 0; i < 3; i++)
		expect_freed(test, at + 40 * i, 1);
	expect_freed(test, at + 1, 1);
	hatest_inject_start(0, 1, false);
	KUNIT_ASSERT_EQ(test, hapool_alloc(&f->p, 2, 1, HAPOOL_NO_GOAL, gfp, &got), 0);
	KUNIT_EXPECT_EQ(test, got, at);
	KUNIT_ASSERT_EQ(test, hapool_claim(&f->p, at + 80, 1, gfp), 0);
	KUNIT_ASSERT_EQ(test, hapool_alloc(&f->p, 1, 1, at + 40, gfp, &got), 0);
	KUNIT_ASSERT_EQ(test, hapool_grow(&f->p, f->cfg.nr_blocks += 9 * UNIT + 7, gfp), 0);
	hold_and_discard(test, gfp);
	KUNIT_EXPECT_GT(test, hatest_inject_stop(), 0);

	expect_refused(test, at + 1, 1, -EINVAL, HYBRID_ALLOC_REASON_WRONG_START);
	KUNIT_EXPECT_GT(test, hapool_nr_mags(&f->p), 0);
	hapool_drain(&f->p);
	KUNIT_EXPECT_GT(test, hapool_shrink(&f->p, 1000), 0);
	hapool_drain_idle(&f->p);
	stat_walk(test);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	KUNIT_EXPECT_EQ(test, hapool_claim(&f->p, at, 1, gfp), -EEXIST);
	/* full again */
	while (hapool_next_free(&f->p, 0, &at, &got))
		KUNIT_ASSERT_EQ(test, hapool_claim(&f->p, at, got, gfp), 0);
}

/*
 * Lockdep, or what the simulator has of it, reports if a mutex that is taken in memory reclaim is
 * ever held by a task that waits for memory with I/O.
 */
static void reclaim_waits_for_no_caller_that_waits_for_reclaim(struct kunit *test)
{
	unsigned int i;

	start(test, 1 << 15);
	for (i = 0; i < 1 << 15; i++)
		alloc(test, 1);
	/* each in another slab */
	use_every_entry(test, 5000, GFP_KERNEL);
	fs_reclaim_acquire(GFP_KERNEL);
	use_every_entry(test, 13000, GFP_NOIO);
	fs_reclaim_release(GFP_KERNEL);
	use_every_entry(test, 21000, GFP_KERNEL);
}

/* ---- random ---- */

static void random_shape(struct kunit *test, struct hatest_model *m, struct hatest_rng *rng,
			 u64 nr_blocks, unsigned int unit_shift, u64 slab_max, unsigned long ops)
{
	struct fixture *f = test->priv;
	unsigned long i;

	f->nr_groups = 1 + hatest_below(rng, 4);
	start_shape(test, nr_blocks, unit_shift, slab_max);
	hatest_model_start(m, nr_blocks);
	for (i = 0; i < ops; i++) {
		if (i % 8 == 0)
			hatest_on_cpu(hatest_below(rng, 3));
		random_step(test, m, rng, (i / 300) % 2 == 0);
		expect_account(test, m->nr_used, m->nr);
		if (i % 64 == 0)
			KUNIT_ASSERT_EQ(test, hapool_check(&f->p), 0);
	}
	free_all(test, m, rng);
	expect_all_comes_back(test);
}

static void random_operations_match_the_model(struct kunit *test)
{
	static const u32 sizes[] = { 200003, 40000, 16384, 4096, 3000, 1021, 256, 100, 1 };
	struct hatest_model *m = hatest_model(test, 200003);
	struct hatest_rng rng = hatest_rng(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		random_shape(test, m, &rng, sizes[i], 8, 256, hatest_ops / ARRAY_SIZE(sizes));
}

static void random_operations_in_any_shape(struct kunit *test)
{
	struct hatest_model *m = hatest_model(test, 40000);
	struct hatest_rng rng = hatest_rng(test);
	unsigned int unit_shift, max_shift;

	for (unit_shift = 0; unit_shift <= HASLAB_MAX_SHIFT; unit_shift += 2)
		for (max_shift = 0; max_shift <= 10; max_shift += 2)
			random_shape(test, m, &rng, 1 + hatest_below(&rng, 40000), unit_shift,
				     1ULL << max_shift, hatest_ops / 48);
}

/* Extents are allocated on one CPU and freed on another, many times. */
static void extents_that_migrate_between_cpus(struct kunit *test)
{
	struct hatest_rng rng = hatest_rng(test);
	u64 at[64] = {}, len[64] = {}, charged = 0, nr = 0;
	unsigned long i;

	start(test, 1 << 18);
	for (i = 0; i < hatest_ops; i++) {
		unsigned int k = hatest_below(&rng, 64);

		hatest_on_cpu(len[k] ? 1 : 0);
		if (len[k]) {
			expect_freed(test, at[k], len[k]);
			charged -= len[k];
			nr--;
			len[k] = 0;
		} else {
			len[k] = common[hatest_below(&rng, ARRAY_SIZE(common))];
			at[k] = alloc(test, len[k]);
			charged += len[k];
			nr++;
		}
		if (i % 64 == 0)
			expect_account(test, charged, nr);
	}
	for (i = 0; i < 64; i++)
		if (len[i])
			expect_freed(test, at[i], len[i]);
	expect_all_comes_back(test);
}

static struct kunit_case hapool_cases[] = {
	KUNIT_CASE(what_was_freed_last_is_handed_out_first),
	KUNIT_CASE(every_extent_is_counted_once),
	KUNIT_CASE(free_space_stays_constant_over_many_pairs),
	KUNIT_CASE(magazines_are_bounded),
	KUNIT_CASE(alignment_is_kept),
	KUNIT_CASE(double_free_through_the_pool),
	KUNIT_CASE(double_free_on_another_cpu),
	KUNIT_CASE(wrong_length_through_the_pool),
	KUNIT_CASE(wrong_start_through_the_pool),
	KUNIT_CASE(drain_empties_every_pool),
	KUNIT_CASE(dead_cpu_gives_back_what_it_cached),
	KUNIT_CASE(idle_magazines_go_back_and_used_ones_stay),
	KUNIT_CASE(shrinking_frees_magazines_and_what_is_in_them),
	KUNIT_CASE(reports_take_no_magazine),
	KUNIT_CASE(allocations_of_a_size_in_a_row_ascend_and_adjoin),
	KUNIT_CASE(what_another_cpu_cached_can_be_allocated),
	KUNIT_CASE(whole_device_after_everything_was_cached),
	KUNIT_CASE(cached_range_can_be_claimed),
	KUNIT_CASE(claims_over_live_and_cached_objects),
	KUNIT_CASE(who_may_not_wait_gets_eagain_and_no_false_enospc),
	KUNIT_CASE(refusals_in_a_row_search_once),
	KUNIT_CASE(refusals_of_more_than_is_free_search_never),
	KUNIT_CASE(refusals_in_a_row_take_no_lock_of_others),
	KUNIT_CASE(a_hint_is_dropped_when_it_fits),
	KUNIT_CASE(hints_mend_themselves),
	KUNIT_CASE(a_refusal_without_a_lock_is_a_miss),
	KUNIT_CASE(refusals_of_an_alignment_beyond_the_device_search_never),
	KUNIT_CASE(what_becomes_free_after_a_refusal_is_found),
	KUNIT_CASE(what_a_hit_frees_after_a_refusal_is_found),
	KUNIT_CASE(who_is_killed_does_not_wait_for_a_task_that_does_not_run),
	KUNIT_CASE(killed_caller_of_an_unkillable_allocator_gets_what_it_waits_for),
	KUNIT_CASE(drain_leaves_what_a_task_that_does_not_run_has_taken),
	KUNIT_CASE(failing_allocations_change_nothing),
	KUNIT_CASE(failing_claims_change_nothing),
	KUNIT_CASE(init_without_memory_leaves_nothing),
	KUNIT_CASE(free_needs_no_memory),
	KUNIT_CASE(alloc_when_no_memory_can_be_had_without_waiting),
	KUNIT_CASE(reclaim_waits_for_no_caller_that_waits_for_reclaim),
	KUNIT_CASE(random_operations_match_the_model),
	KUNIT_CASE(random_operations_in_any_shape),
	KUNIT_CASE(extents_that_migrate_between_cpus),
	KUNIT_CASE(each_call_that_begins_ends),
	{}
};

static struct kunit_suite hapool_suite = {
	.name = "hapool",
	.init = pool_test_init,
	.exit = pool_test_exit,
	.test_cases = hapool_cases,
};

kunit_test_suite(hapool_suite);
