// SPDX-License-Identifier: GPL-2.0
/* The slab layer, with the buddy below it. All lengths are in blocks. */
#include <linux/bitmap.h>
#include <linux/log2.h>
#include <linux/string.h>

#include "slab/runs_hit.h"
#include "slab/internal.h"
#include "hatest.h"
#define HATEST_INJECT_REAL
#include "inject.h"

#define UNIT	256U		/* blocks: 1 MiB of 4 KiB */
#define GIB	(1ULL << 18)	/* blocks: a dir */
#define MAX_HOLD_STEPS	2000

struct fixture {
	struct haslab s;
	bool alive;
	long bytes;		/* of metadata while all is free */
	u64 nr_slabs;		/* while all is free: a lasting unit, or none */
	struct haslab_stat st;	/* not on the stack, which is small for a debug kernel */
};

static bool disown(struct fixture *f, int class, u64 start, struct haslab_ref *ref)
{
	return haslab_disown(&f->s, class, class < f->s.nr_from_slabs, start, ref);
}

/* The state that an operation that fails must not change. */
struct snapshot {
	struct haslab_stat st;
	long bytes;
};

static long bytes_of(struct fixture *f)
{
	return atomic_long_read(&f->s.mem.bytes);
}

static void stop(struct fixture *f)
{
	if (f->alive)
		haslab_destroy(&f->s);
	f->alive = false;
}

static int try_start(struct kunit *test, u64 nr_blocks, unsigned int unit_shift, u64 slab_max)
{
	struct fixture *f = test->priv;
	struct haslab_config cfg = {
		.nr_blocks = nr_blocks, .unit_shift = unit_shift, .slab_max = slab_max,
		.nr_groups = 1,
	};
	int ret;

	stop(f);
	ret = haslab_init(&f->s, &cfg);
	f->alive = !ret;
	return ret;
}

static void start_shape(struct kunit *test, u64 nr_blocks, unsigned int unit_shift, u64 slab_max)
{
	struct fixture *f = test->priv;

	KUNIT_ASSERT_EQ(test, try_start(test, nr_blocks, unit_shift, slab_max), 0);
	KUNIT_ASSERT_EQ(test, haslab_check(&f->s), 0);
	/* after a walk, as expect_all_free() has it: with tables of sums where they are needed */
	haslab_longest_run(&f->s);
	f->bytes = bytes_of(f);
	f->nr_slabs = !IS_ALIGNED(nr_blocks, 1ULL << unit_shift);
}

static void start(struct kunit *test, u64 nr_blocks)
{
	start_shape(test, nr_blocks, ilog2(UNIT), UNIT / 2);
}

/* Slots that are wholly free and kept have gone back. */
static struct snapshot take_snapshot(struct fixture *f, bool walk)
{
	struct snapshot snap;

	haslab_drain(&f->s);
	haslab_stat(&f->s, &snap.st, walk);
	snap.bytes = bytes_of(f);
	return snap;
}

/* The statistics now. */
static const struct haslab_stat *stat(struct fixture *f, bool walk)
{
	haslab_stat(&f->s, &f->st, walk);
	return &f->st;
}

/* Free runs are compared if @before was taken with a walk. */
static void expect_unchanged(struct kunit *test, const struct snapshot *before)
{
	struct fixture *f = test->priv;
	struct snapshot now = take_snapshot(f, before->st.nr_runs);

	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
	KUNIT_EXPECT_EQ(test, now.st.free, before->st.free);
	KUNIT_EXPECT_EQ(test, now.st.nr_slabs, before->st.nr_slabs);
	KUNIT_EXPECT_EQ(test, now.st.nr_runs, before->st.nr_runs);
	KUNIT_EXPECT_EQ(test, now.st.largest_run, before->st.largest_run);
	KUNIT_EXPECT_EQ(test, now.bytes, before->bytes);
}

static void expect_all_free(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 nr_blocks = f->s.cfg.nr_blocks;
	struct snapshot now = take_snapshot(f, true);

	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
	KUNIT_EXPECT_EQ(test, now.st.free, nr_blocks);
	KUNIT_EXPECT_EQ(test, now.st.nr_slabs, f->nr_slabs);
	KUNIT_EXPECT_EQ(test, now.st.nr_runs, 1);
	KUNIT_EXPECT_EQ(test, now.st.largest_run, nr_blocks);
	KUNIT_EXPECT_EQ(test, now.bytes, f->bytes);
}

/* Allocates an extent of a common size, without a pool. */
static int object_alloc(struct kunit *test, int class, u64 *at, gfp_t gfp)
{
	struct fixture *f = test->priv;
	struct haslab_ref ref;
	int ret = haslab_get_objects(&f->s, class, &ref, 1, gfp);

	if (ret < 0)
		return ret;
	KUNIT_ASSERT_EQ(test, ret, 1);
	haslab_own(&ref);
	*at = ref.start;
	return 0;
}

static int claim(struct kunit *test, u64 at, u64 len)
{
	struct fixture *f = test->priv;

	return haslab_claim(&f->s, at, len, true, GFP_KERNEL);
}

static void expect_freed(struct kunit *test, u64 at, u64 len)
{
	enum hybrid_alloc_reason reason = HYBRID_ALLOC_REASON_NONE;
	struct fixture *f = test->priv;
	int ret = haslab_free(&f->s, at, len, &reason);

	KUNIT_ASSERT_EQ_MSG(test, ret, 0, "reason %d, start %llu, length %llu", reason, at, len);
}

static void expect_refused(struct kunit *test, u64 at, u64 len, int err,
			   enum hybrid_alloc_reason why)
{
	enum hybrid_alloc_reason reason = HYBRID_ALLOC_REASON_NONE;
	struct fixture *f = test->priv;
	int ret = haslab_free(&f->s, at, len, &reason);

	KUNIT_EXPECT_EQ_MSG(test, ret, err, "start %llu, length %llu", at, len);
	KUNIT_EXPECT_EQ_MSG(test, (int)reason, (int)why, "start %llu, length %llu", at, len);
}

/* Tries all kinds of wrong frees of a live extent; nothing may change. */
static void expect_wrong_frees_refused(struct kunit *test, u64 at, u64 len)
{
	struct fixture *f = test->priv;
	struct snapshot before = take_snapshot(f, true);

	expect_refused(test, at, len + 1, -EINVAL, HYBRID_ALLOC_REASON_WRONG_LENGTH);
	expect_refused(test, at, 2 * len, -EINVAL, HYBRID_ALLOC_REASON_WRONG_LENGTH);
	if (len > 1) {
		u64 inside[] = { at + 1, at + len / 2, at + len - 1 };
		unsigned int i;

		expect_refused(test, at, 1, -EINVAL, HYBRID_ALLOC_REASON_WRONG_LENGTH);
		expect_refused(test, at, len - 1, -EINVAL, HYBRID_ALLOC_REASON_WRONG_LENGTH);
		expect_refused(test, at, len / 2, -EINVAL, HYBRID_ALLOC_REASON_WRONG_LENGTH);
		for (i = 0; i < ARRAY_SIZE(inside); i++) {
			expect_refused(test, inside[i], 1, -EINVAL,
				       HYBRID_ALLOC_REASON_WRONG_START);
			expect_refused(test, inside[i], len, -EINVAL,
				       HYBRID_ALLOC_REASON_WRONG_START);
			expect_refused(test, inside[i], at + len - inside[i], -EINVAL,
				       HYBRID_ALLOC_REASON_WRONG_START);
		}
	}
	expect_unchanged(test, &before);
}

/* Frees an extent; a second free is refused. */
static void expect_freed_once(struct kunit *test, u64 at, u64 len)
{
	struct fixture *f = test->priv;
	struct snapshot after;

	expect_freed(test, at, len);
	after = take_snapshot(f, true);
	expect_refused(test, at, len, -ENOENT, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
	expect_refused(test, at, 1, -ENOENT, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
	expect_refused(test, at + len - 1, 1, -ENOENT, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
	expect_unchanged(test, &after);
}

/* ---- common sizes ---- */

static void common_sizes_have_classes(struct kunit *test)
{
	struct fixture *f = test->priv;
	int class, last = -1;
	u64 len;

	start(test, 1 << 16);
	for (len = 1; len <= 2100; len++) {
		bool common = len <= 16 || (is_power_of_2(len) && len <= 1024);

		class = haslab_class_of(&f->s, len);
		KUNIT_EXPECT_EQ(test, class, common ? last + 1 : -1);
		if (common) {
			last = class;
			KUNIT_EXPECT_EQ(test, f->s.classes[class].blocks, len);
		}
	}
	KUNIT_EXPECT_EQ(test, last, HASLAB_NR_CLASSES - 1);
	KUNIT_EXPECT_EQ(test, haslab_class_of(&f->s, 0), -1);
	KUNIT_EXPECT_EQ(test, haslab_class_of(&f->s, 1ULL << 32), -1);
	KUNIT_EXPECT_EQ(test, haslab_class_of(&f->s, U64_MAX), -1);

	/* lengths that are not a common size are not pooled */
	start_shape(test, 1 << 16, 8, 16);
	KUNIT_EXPECT_EQ(test, haslab_class_of(&f->s, 16), 15);
	KUNIT_EXPECT_EQ(test, haslab_class_of(&f->s, 32), -1);
	KUNIT_EXPECT_EQ(test, haslab_class_of(&f->s, 128), -1);
	KUNIT_EXPECT_GE(test, haslab_class_of(&f->s, 256), 0);
}

static void objects_of_each_class_come_and_go(struct kunit *test)
{
	struct hatest_model *m = hatest_model(test, 1 << 16);
	enum hybrid_alloc_reason reason;
	struct fixture *f = test->priv;
	int class, i;
	u64 at;

	start(test, 1 << 16);
	for (class = 0; class < HASLAB_NR_CLASSES; class++) {
		u64 blocks = f->s.classes[class].blocks;

		hatest_model_start(m, 1 << 16);
		for (i = 0; i < 50; i++) {
			KUNIT_ASSERT_EQ(test, object_alloc(test, class, &at, GFP_KERNEL), 0);
			KUNIT_ASSERT_TRUE(test, hatest_model_free(m, at, blocks));
			if (is_power_of_2(blocks))
				KUNIT_EXPECT_TRUE(test, IS_ALIGNED(at, blocks));
			hatest_model_add(m, at, blocks);
		}
		KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
		KUNIT_EXPECT_EQ(test, stat(f, false)->free, (1 << 16) - 50 * blocks);
		while (m->nr) {
			at = m->extents[m->nr / 2].start;
			KUNIT_ASSERT_EQ(test, hatest_model_remove(m, at, blocks, &reason), 0);
			expect_freed(test, at, blocks);
		}
		expect_all_free(test);
	}
}

static void device_full_of_each_class(struct kunit *test)
{
	struct hatest_model *m = hatest_model(test, 2000);
	struct fixture *f = test->priv;
	int class, got, i;

	for (class = 0; class < HASLAB_NR_CLASSES; class++) {
		struct haslab_ref refs[32];
		u64 blocks, at, sum = 0;

		start(test, 4 * UNIT + 100);
		hatest_model_start(m, 4 * UNIT + 100);
		blocks = f->s.classes[class].blocks;
		while ((got = haslab_get_objects(&f->s, class, refs, 32, GFP_KERNEL)) > 0) {
			for (i = 0; i < got; i++) {
				at = refs[i].start;
				KUNIT_ASSERT_TRUE(test, hatest_model_free(m, at, blocks));
				hatest_model_add(m, at, blocks);
				haslab_own(&refs[i]);
				sum += blocks;
			}
		}
		KUNIT_EXPECT_EQ(test, got, -ENOSPC);
		KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
		KUNIT_EXPECT_EQ(test, stat(f, false)->free, f->s.cfg.nr_blocks - sum);
		/* no unit is left free */
		KUNIT_EXPECT_LT(test, f->s.buddy.free_units * UNIT, max_t(u64, blocks, UNIT));
		for (i = 0; i < m->nr; i++)
			expect_freed(test, m->extents[i].start, blocks);
		expect_all_free(test);
	}
}

static void cached_object_is_neither_live_nor_free(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct haslab_ref refs[3], ref;
	int class, got;

	for (class = 0; class < HASLAB_NR_CLASSES; class++) {
		u64 blocks, other;

		start(test, 1 << 15);
		blocks = f->s.classes[class].blocks;
		other = class ? 0 : 5;
		/* a slab may have two */
		got = haslab_get_objects(&f->s, class, refs, 3, GFP_KERNEL);
		KUNIT_ASSERT_GE(test, got, 2);
		if (got < 3)
			KUNIT_ASSERT_EQ(test, haslab_get_objects(&f->s, class, &refs[2], 1,
								 GFP_KERNEL), 1);
		KUNIT_EXPECT_FALSE(test, disown(f, class, refs[1].start, &ref));
		expect_refused(test, refs[1].start, blocks, -ENOENT,
			       HYBRID_ALLOC_REASON_NOT_ALLOCATED);
		KUNIT_EXPECT_EQ(test, stat(f, false)->free, (1 << 15) - 3 * blocks);

		haslab_own(&refs[1]);
		KUNIT_EXPECT_EQ(test, claim(test, refs[1].start, 1), -EEXIST);
		KUNIT_EXPECT_FALSE(test, disown(f, other, refs[1].start, &ref));
		KUNIT_EXPECT_FALSE(test, disown(f, class, refs[1].start + 1, &ref));
		KUNIT_EXPECT_FALSE(test, disown(f, class, (1 << 15) - 1, &ref));
		KUNIT_ASSERT_TRUE(test, disown(f, class, refs[1].start, &ref));
		KUNIT_EXPECT_EQ(test, ref.start, refs[1].start);
		KUNIT_EXPECT_FALSE(test, disown(f, class, refs[1].start, &ref));
		haslab_put_objects(&f->s, class, refs, 3);
		expect_all_free(test);
	}
}

/* ---- refused frees ---- */

static void wrong_free_of_an_object(struct kunit *test)
{
	struct fixture *f = test->priv;
	int class;
	u64 at;

	start(test, 1 << 15);
	for (class = 0; class < HASLAB_NR_CLASSES; class++) {
		KUNIT_ASSERT_EQ(test, object_alloc(test, class, &at, GFP_KERNEL), 0);
		expect_wrong_frees_refused(test, at, f->s.classes[class].blocks);
		expect_freed_once(test, at, f->s.classes[class].blocks);
	}
	expect_all_free(test);
}

static void wrong_free_of_an_extent_in_a_mixed_slab(struct kunit *test)
{
	static const u64 lens[] = { 1, 2, 17, 100, 255, 257, 1000, 5000, 16383 };
	struct fixture *f = test->priv;
	u64 at[ARRAY_SIZE(lens)];
	unsigned int i;

	start(test, 1 << 17);
	for (i = 0; i < ARRAY_SIZE(lens); i++)
		KUNIT_ASSERT_EQ(test, haslab_alloc(&f->s, lens[i], 1, GFP_KERNEL, &at[i]), 0);
	for (i = 0; i < ARRAY_SIZE(lens); i++)
		expect_wrong_frees_refused(test, at[i], lens[i]);
	for (i = 0; i < ARRAY_SIZE(lens); i++)
		expect_freed_once(test, at[i], lens[i]);
	expect_all_free(test);
}

static void wrong_free_of_a_block_of_the_buddy(struct kunit *test)
{
	static const u64 lens[] = { 256, 512, 1024, 4096, 1 << 15, 1 << 20, 1 << 26 };
	struct fixture *f = test->priv;
	unsigned int i;
	u64 at;

	start(test, 1 << 28);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		KUNIT_ASSERT_EQ(test, haslab_alloc(&f->s, lens[i], 1, GFP_KERNEL, &at), 0);
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED(at, lens[i]));
		expect_wrong_frees_refused(test, at, lens[i]);
		expect_freed_once(test, at, lens[i]);
	}
	expect_all_free(test);
}

static void wrong_free_of_an_extent_over_many_slabs(struct kunit *test)
{
	/* longer than a slab: whole units and a rest */
	static const u64 lens[] = { 16385, 20000, 100000, 1000001, (1 << 24) + 1 };
	struct fixture *f = test->priv;
	unsigned int i;
	u64 at;

	start(test, 1 << 28);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		KUNIT_ASSERT_EQ(test, haslab_alloc(&f->s, lens[i], 1, GFP_KERNEL, &at), 0);
		KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
		KUNIT_EXPECT_EQ(test, stat(f, false)->free, (1 << 28) - lens[i]);
		expect_wrong_frees_refused(test, at, lens[i]);
		expect_freed_once(test, at, lens[i]);
		expect_all_free(test);
	}
}

static void free_of_what_was_never_allocated(struct kunit *test)
{
	static const u64 starts[] = { 0, 1, 255, 256, 4096, 65536, 65599 };
	struct fixture *f = test->priv;
	struct snapshot before;
	unsigned int i;
	u64 at;

	start(test, (1 << 16) + 64);
	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		expect_refused(test, starts[i], 1, -ENOENT, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
		if (starts[i] == 256)
			expect_refused(test, 256, 256, -ENOENT, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
	}
	expect_all_free(test);
	/* with a slab of each kind next to it */
	KUNIT_ASSERT_EQ(test, object_alloc(test, 2, &at, GFP_KERNEL), 0);
	KUNIT_ASSERT_EQ(test, haslab_alloc(&f->s, 100, 1, GFP_KERNEL, &at), 0);
	before = take_snapshot(f, true);
	for (at = 0; at < (1 << 16) + 64; at += 37)
		if (!haslab_claim(&f->s, at, 1, false, GFP_KERNEL)) {
			expect_freed(test, at, 1);
			expect_refused(test, at, 1, -ENOENT, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
		}
	expect_unchanged(test, &before);
}

/* ---- mixed slots ---- */

static void smallest_hole_that_fits_is_taken(struct kunit *test)
{
	/* holes of 20, 50, 30 and 40 blocks in one slot */
	static const struct { u64 at, len; } holes[] = {
		{ 100, 20 }, { 300, 50 }, { 600, 30 }, { 1000, 40 },
	};
	static const struct { u64 len, at; } wants[] = {
		{ 30, 600 }, { 35, 1000 }, { 18, 100 }, { 5, 1035 }, { 50, 300 },
	};
	struct fixture *f = test->priv;
	u64 pos = 0, at;
	unsigned int i;

	start(test, 4096);
	for (i = 0; i < ARRAY_SIZE(holes); i++) {
		KUNIT_ASSERT_EQ(test, claim(test, pos, holes[i].at - pos), 0);
		pos = holes[i].at + holes[i].len;
	}
	KUNIT_ASSERT_EQ(test, claim(test, pos, 4096 - pos), 0);
	for (i = 0; i < ARRAY_SIZE(wants); i++) {
		KUNIT_ASSERT_EQ(test, haslab_alloc(&f->s, wants[i].len, 1, GFP_KERNEL, &at), 0);
		KUNIT_EXPECT_EQ(test, at, wants[i].at);
	}
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
	KUNIT_EXPECT_EQ(test, haslab_alloc(&f->s, 3, 1, GFP_KERNEL, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, haslab_alloc(&f->s, 2, 1, GFP_KERNEL, &at), 0);
	KUNIT_EXPECT_EQ(test, at, 118);
}

/* Another slot has a longer hole, the shortest one of that slot. */
static void hole_of_just_the_length_is_taken(struct kunit *test)
{
	static const struct { u64 at, len; } holes[] = {
		{ 100, 20 }, { 300, 50 }, { HASLAB_MAX_BLOCKS + 600, 30 },
	};
	struct fixture *f = test->priv;
	u64 pos = 0, at;
	unsigned int i;

	start(test, 2 * HASLAB_MAX_BLOCKS);
	for (i = 0; i < ARRAY_SIZE(holes); i++) {
		KUNIT_ASSERT_EQ(test, claim(test, pos, holes[i].at - pos), 0);
		pos = holes[i].at + holes[i].len;
		KUNIT_ASSERT_EQ(test, claim(test, holes[i].at, holes[i].len), 0);
	}
	KUNIT_ASSERT_EQ(test, claim(test, pos, 2 * HASLAB_MAX_BLOCKS - pos), 0);
	for (i = 0; i < ARRAY_SIZE(holes); i++)
		expect_freed(test, holes[i].at, holes[i].len);
	for (i = 0; i < ARRAY_SIZE(holes); i++) {
		KUNIT_ASSERT_EQ(test, haslab_alloc(&f->s, holes[i].len, 1, GFP_KERNEL, &at), 0);
		KUNIT_EXPECT_EQ(test, at, holes[i].at);
	}
	/* remembered holes that are gone: a part is in use, or the hole has become longer */
	expect_freed(test, 100, 20);
	KUNIT_ASSERT_EQ(test, claim(test, 119, 1), 0);
	KUNIT_EXPECT_EQ(test, haslab_alloc(&f->s, 20, 1, GFP_KERNEL, &at), -ENOSPC);
	expect_freed(test, 119, 1);
	KUNIT_ASSERT_EQ(test, claim(test, 100, 20), 0);
	expect_freed(test, 300, 50);
	expect_freed(test, 350, HASLAB_MAX_BLOCKS + 600 - 350);
	KUNIT_ASSERT_EQ(test, haslab_alloc(&f->s, 50, 1, GFP_KERNEL, &at), 0);
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
}

static void alignment_is_kept(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 align, at, prev = 0;

	start(test, 1 << 18);
	for (align = 1; align <= 1 << 14; align *= 2) {
		KUNIT_ASSERT_EQ(test, haslab_alloc(&f->s, 3, align, GFP_KERNEL, &at), 0);
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED(at, align));
		KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
		if (align > 1)
			expect_freed(test, prev, 3);
		prev = at;
	}
	expect_freed(test, prev, 3);
	/* alignments larger than a slab are found by the search only */
	for (; align <= 1 << 17; align *= 2) {
		KUNIT_ASSERT_EQ(test, claim(test, 0, 1), 0);
		KUNIT_ASSERT_EQ(test, haslab_search(&f->s, 3, align, GFP_KERNEL, &at), 0);
		KUNIT_EXPECT_TRUE(test, at && IS_ALIGNED(at, align));
		expect_freed(test, at, 3);
		expect_freed(test, 0, 1);
	}
	expect_all_free(test);
}

static void alignment_that_no_run_has_is_enospc(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 at;

	/* the only multiples of 2048 are taken */
	start(test, 4096);
	KUNIT_ASSERT_EQ(test, claim(test, 0, 1), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 2048, 1), 0);
	KUNIT_EXPECT_EQ(test, haslab_alloc(&f->s, 1, 2048, GFP_KERNEL, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, haslab_search(&f->s, 1, 2048, GFP_KERNEL, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, haslab_search(&f->s, 1, 1024, GFP_KERNEL, &at), 0);
	KUNIT_EXPECT_TRUE(test, at == 1024 || at == 3072);
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
}

/*
 * The bounded search of mixed slots gives up, because none of the slots that it visits has
 * an aligned place; the run at the end of another slot has one.
 */
static void run_that_the_bounded_look_missed(struct kunit *test)
{
	const u64 slab = HASLAB_MAX_BLOCKS, nr = 12;
	struct fixture *f = test->priv;
	u64 at, i;

	start(test, (nr + 1) * slab);
	for (i = 0; i < nr; i++) {
		KUNIT_ASSERT_EQ(test, claim(test, i * slab, 1), 0);
		KUNIT_ASSERT_EQ(test, claim(test, i * slab + 4 + i, slab / 2), 0);
		if (i < nr - 1)
			KUNIT_ASSERT_EQ(test, claim(test, i * slab + 4 + i + slab / 2,
						    slab / 2 - 4 - i), 0);
	}
	KUNIT_ASSERT_EQ(test, haslab_check(&f->s), 0);
	KUNIT_ASSERT_EQ(test, haslab_alloc(&f->s, 3, slab / 4, GFP_KERNEL, &at), 0);
	KUNIT_EXPECT_EQ(test, at % (slab / 4), 0);
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
	expect_wrong_frees_refused(test, at, 3);
	expect_freed_once(test, at, 3);
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
}

static void many_small_extents_in_one_slab(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 i;

	/* a mark for every block, which is the maximum; the array of marks doubles repeatedly */
	start(test, 4096);
	for (i = 0; i < 4096; i++)
		KUNIT_ASSERT_EQ(test, claim(test, i, 1), 0);
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
	KUNIT_EXPECT_LE(test, bytes_of(f), f->bytes + 2 * 4096 * 2L + (8L << 10));
	for (i = 0; i < 4096; i += 2)
		expect_freed(test, i, 1);
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
	KUNIT_EXPECT_EQ(test, stat(f, true)->nr_runs, 2048);
	KUNIT_EXPECT_EQ(test, claim(test, 0, 2), -EEXIST);
	for (i = 1; i < 4096; i += 2)
		expect_freed(test, i, 1);
	expect_all_free(test);
}

/* The objects of a slab become extents of a bitmap; a run across its words is the longest. */
static void live_objects_become_extents_of_a_bitmap(struct kunit *test)
{
	static const u32 live[] = { 0, 1, 5, 39, 79 };
	struct hamem_op op = HAMEM_OP(GFP_KERNEL);
	DECLARE_BITMAP(bits, 80) = {};
	struct hamem mem = {};
	struct haruns_run run;
	struct haruns r = {};
	unsigned int i;

	haruns_init(&r, HASLAB_MAX_BLOCKS);
	haruns_add(&r, 1000, 400);
	KUNIT_ASSERT_EQ(test, haruns_reserve(&r, HASLAB_MAX_BLOCKS, &mem, &op), 0);
	for (i = 0; i < ARRAY_SIZE(live); i++)
		__set_bit(live[i], bits);
	/* 80 objects of 3 blocks */
	KUNIT_ASSERT_TRUE(test, haruns_fill(&r, 1010, bits, 80, 3));
	KUNIT_EXPECT_TRUE(test, haruns_check(&r));
	KUNIT_EXPECT_EQ(test, r.nr_free, 400 - 3 * ARRAY_SIZE(live));
	KUNIT_EXPECT_EQ(test, r.max_free, 150);
	for (i = 0; i < ARRAY_SIZE(live); i++) {
		run = haruns_find(&r, 1010 + 3 * live[i]);
		KUNIT_EXPECT_EQ(test, run.start, 1010 + 3 * live[i]);
		KUNIT_EXPECT_EQ(test, run.len, 3);
		KUNIT_EXPECT_EQ(test, (int)run.state, (int)HARUNS_LIVE);
	}
	haruns_destroy(&r, &mem);
}

/* ---- given ranges ---- */

static const struct { u64 at, len; } ranges[] = {
	{ 0, 1 }, { 1, 1 }, { 255, 1 }, { 255, 2 }, { 0, 256 }, { 256, 256 }, { 100, 256 },
	{ 512, 512 }, { 256, 512 }, { 4095, 2 }, { 1, 4094 }, { 0, 16384 }, { 16383, 2 },
	{ 16000, 1000 }, { 300, 40000 }, { 16384, 16384 }, { 16384, 32768 }, { 0, 70000 },
	{ 69999, 1 }, { 69631, 2 }, { 1, 69999 }, { 65000, 5000 },
};

static void range_of_a_free_device_is_claimed(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct snapshot claimed;
	unsigned int i;

	/* 273 units and a last one of 112 blocks */
	start(test, 70000);
	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		u64 at = ranges[i].at, len = ranges[i].len;

		KUNIT_ASSERT_EQ_MSG(test, haslab_claim(&f->s, at, len, false, GFP_KERNEL), 0,
				    "start %llu, length %llu", at, len);
		KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
		claimed = take_snapshot(f, true);
		KUNIT_EXPECT_EQ(test, claimed.st.free, 70000 - len);
		KUNIT_EXPECT_EQ(test, claimed.st.nr_runs, (at > 0) + (at + len < 70000));
		KUNIT_EXPECT_EQ(test, claimed.st.largest_run, max(at, 70000 - at - len));
		KUNIT_EXPECT_EQ(test, claim(test, at, len), -EEXIST);
		KUNIT_EXPECT_EQ(test, claim(test, at, 1), -EEXIST);
		KUNIT_EXPECT_EQ(test, claim(test, at + len - 1, 1), -EEXIST);
		if (at)
			KUNIT_EXPECT_EQ(test, claim(test, at - 1, 2), -EEXIST);
		if (at + len < 70000)
			KUNIT_EXPECT_EQ(test, claim(test, at + len - 1, 2), -EEXIST);
		KUNIT_EXPECT_EQ(test, claim(test, 0, 70000), -EEXIST);
		expect_unchanged(test, &claimed);
		expect_wrong_frees_refused(test, at, len);
		expect_freed_once(test, at, len);
		expect_all_free(test);
	}
}

static void neighbours_are_claimed_over_borders(struct kunit *test)
{
	/* three adjacent extents, across slabs, units and the tail */
	static const u64 cuts[][4] = {
		{ 0, 100, 300, 70000 }, { 200, 260, 16390, 33000 }, { 255, 256, 257, 258 },
		{ 16380, 16384, 16400, 69000 }, { 50000, 69600, 69640, 70000 },
	};
	static const u8 orders[6][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};
	unsigned int i, j, k;

	start(test, 70000);
	for (i = 0; i < ARRAY_SIZE(cuts); i++) {
		for (j = 0; j < 6; j++) {
			for (k = 0; k < 3; k++) {
				const u64 *cut = &cuts[i][orders[j][k]];

				KUNIT_ASSERT_EQ(test, claim(test, cut[0], cut[1] - cut[0]), 0);
			}
			for (k = 0; k < 3; k++) {
				const u64 *cut = &cuts[i][orders[5 - j][k]];

				expect_wrong_frees_refused(test, cut[0], cut[1] - cut[0]);
				expect_freed_once(test, cut[0], cut[1] - cut[0]);
			}
			expect_all_free(test);
		}
	}
}

static void claim_in_mixed_slabs(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 at, free_at;

	start(test, 160 * 256);
	KUNIT_ASSERT_EQ(test, haslab_alloc(&f->s, 1000, 1, GFP_KERNEL, &at), 0);
	KUNIT_ASSERT_LE(test, at + 6500, 160 * 256);
	free_at = at ? 0 : 1000;
	KUNIT_EXPECT_EQ(test, haslab_claim(&f->s, free_at, 10, false, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, claim(test, at + 999, 2), -EEXIST);
	KUNIT_EXPECT_EQ(test, claim(test, at, 1), -EEXIST);
	/* from the middle of this slab to beyond its end */
	KUNIT_EXPECT_EQ(test, claim(test, at + 1500, 5000), 0);
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
	expect_wrong_frees_refused(test, at + 1500, 5000);
	expect_freed_once(test, at, 1000);
	expect_freed_once(test, at + 1500, 5000);
	expect_freed_once(test, free_at, 10);
	expect_all_free(test);
}

static void claim_in_a_slab_of_equal_objects_converts_it(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct haslab_ref refs[8], ref;
	int class, i;

	for (class = 0; class < 12; class++) {
		u64 blocks;

		start(test, 1 << 15);
		blocks = f->s.classes[class].blocks;
		KUNIT_ASSERT_EQ(test, haslab_get_objects(&f->s, class, refs, 8, GFP_KERNEL), 8);
		for (i = 0; i < 8; i++)
			haslab_own(&refs[i]);
		/* free every second object */
		for (i = 1; i < 8; i += 2)
			expect_freed(test, refs[i].start, blocks);

		KUNIT_EXPECT_EQ(test, haslab_claim(&f->s, refs[3].start, 1, false, GFP_KERNEL),
				-EAGAIN);
		KUNIT_EXPECT_EQ(test, claim(test, refs[2].start, 1), -EEXIST);
		KUNIT_EXPECT_EQ(test, claim(test, refs[3].start, blocks), 0);
		KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
		/* the others are still extents, but no longer objects */
		for (i = 0; i < 8; i += 2) {
			KUNIT_EXPECT_FALSE(test, disown(f, class, refs[i].start, &ref));
			expect_wrong_frees_refused(test, refs[i].start, blocks);
		}
		for (i = 0; i < 8; i += 2)
			expect_freed_once(test, refs[i].start, blocks);
		expect_freed_once(test, refs[3].start, blocks);
		expect_all_free(test);
	}
}

/* A slab with CACHED objects gives way to a claim of others, unless too many slabs have already. */
static void claim_beside_cached_objects(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct haslab_ref refs[2], ref;
	struct snapshot before;
	u64 hole, live;

	start(test, 1 << 15);
	KUNIT_ASSERT_EQ(test, haslab_get_objects(&f->s, 3, refs, 2, GFP_KERNEL), 2);
	haslab_own(&refs[0]);
	live = refs[0].start;
	hole = max(refs[0].start, refs[1].start) + 4;
	before = take_snapshot(f, true);
	f->s.small_bytes += 1L << 28;
	KUNIT_EXPECT_EQ(test, claim(test, hole, 1), -EAGAIN);
	f->s.small_bytes -= 1L << 28;
	expect_unchanged(test, &before);
	KUNIT_EXPECT_EQ(test, claim(test, hole, 1), 0);
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
	KUNIT_EXPECT_EQ(test, claim(test, refs[1].start, 1), -EEXIST);
	KUNIT_EXPECT_EQ(test, claim(test, refs[0].start, 1), -EEXIST);
	/* what a pool has of it can become an extent, and one of its objects again */
	haslab_own(&refs[1]);
	expect_wrong_frees_refused(test, refs[1].start, 4);
	KUNIT_EXPECT_FALSE(test, disown(f, 3, live, &ref));
	KUNIT_EXPECT_TRUE(test, disown(f, 3, refs[1].start, &ref));
	KUNIT_EXPECT_FALSE(test, disown(f, 3, refs[1].start, &ref));
	haslab_own(&refs[1]);
	expect_freed_once(test, refs[1].start, 4);
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
	expect_freed_once(test, live, 4);
	expect_freed_once(test, hole, 1);
	expect_all_free(test);
}

static void claim_over_slabs_of_all_kinds(struct kunit *test)
{
	struct hatest_model *m = hatest_model(test, 3000);
	enum hybrid_alloc_reason reason;
	struct fixture *f = test->priv;
	u64 at, len, start_at, n = 11 * UNIT + 33;
	int i;

	start(test, n);
	hatest_model_start(m, n);
	for (i = 0; i < 40; i++) {
		int class = i % 9;

		if (object_alloc(test, class, &at, GFP_KERNEL))
			continue;
		hatest_model_add(m, at, class + 1);
		if (!haslab_alloc(&f->s, 17 + i, 1, GFP_KERNEL, &at))
			hatest_model_add(m, at, 17 + i);
	}
	/* all ranges of a grid */
	for (start_at = 0; start_at < n; start_at += 61)
		for (len = 1; start_at + len <= n; len += 97) {
			bool free = hatest_model_free(m, start_at, len);

			KUNIT_ASSERT_EQ_MSG(test, claim(test, start_at, len), free ? 0 : -EEXIST,
					    "start %llu, length %llu", start_at, len);
			if (free)
				expect_freed(test, start_at, len);
		}
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
	while (m->nr) {
		at = m->extents[0].start;
		len = m->extents[0].len;
		KUNIT_ASSERT_EQ(test, hatest_model_remove(m, at, len, &reason), 0);
		expect_freed(test, at, len);
	}
	expect_all_free(test);
}

/* ---- the search ---- */

static void run_over_the_border_of_slabs_is_found(struct kunit *test)
{
	static const u64 borders[] = { 256, 512, 4096, 16384, 16384 + 256, 32768, 39936 };
	struct fixture *f = test->priv;
	unsigned int i;
	u64 at;

	for (i = 0; i < ARRAY_SIZE(borders); i++) {
		u64 from = borders[i] - 7, to = borders[i] + 5;

		/* 156 units and a last one of 64 blocks */
		start(test, 40000);
		KUNIT_ASSERT_EQ(test, claim(test, 0, from), 0);
		KUNIT_ASSERT_EQ(test, claim(test, to, 40000 - to), 0);
		KUNIT_EXPECT_EQ(test, haslab_search(&f->s, 13, 1, GFP_KERNEL, &at), -ENOSPC);
		KUNIT_ASSERT_EQ(test, haslab_search(&f->s, 12, 1, GFP_KERNEL, &at), 0);
		KUNIT_EXPECT_EQ(test, at, from);
		KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
		KUNIT_EXPECT_EQ(test, stat(f, true)->nr_runs, 0);
		expect_wrong_frees_refused(test, at, 12);
		expect_freed_once(test, at, 12);
		expect_freed(test, 0, from);
		expect_freed(test, to, 40000 - to);
		expect_all_free(test);
	}
}

static void run_among_equal_objects_is_found(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 at, sum = 0, hole;

	/* full of single blocks, except for three adjacent ones */
	start(test, 2 * UNIT);
	while (!object_alloc(test, 0, &at, GFP_KERNEL))
		sum++;
	KUNIT_ASSERT_EQ(test, sum, 2 * UNIT);
	for (hole = 300; hole < 303; hole++)
		expect_freed(test, hole, 1);
	KUNIT_EXPECT_EQ(test, haslab_search(&f->s, 4, 1, GFP_KERNEL, &at), -ENOSPC);
	KUNIT_ASSERT_EQ(test, haslab_search(&f->s, 3, 1, GFP_KERNEL, &at), 0);
	KUNIT_EXPECT_EQ(test, at, 300);
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
	expect_freed_once(test, 300, 3);
	for (at = 0; at < 2 * UNIT; at++)
		if (at < 300 || at > 302)
			expect_freed(test, at, 1);
	expect_all_free(test);
}

/* Unit @u, the only free one, becomes a part of the planned run, of some kind. */
static void make_part(struct kunit *test, char kind, u64 u)
{
	u64 at;
	int i;

	if (kind == 'B')
		return;
	expect_freed(test, u * UNIT, UNIT);
	if (kind == 'I') {
		KUNIT_ASSERT_EQ(test, claim(test, u * UNIT, UNIT - 1), 0);
		return;
	}
	for (i = 0; i < UNIT; i++) {
		KUNIT_ASSERT_EQ(test, object_alloc(test, 0, &at, GFP_KERNEL), 0);
		KUNIT_ASSERT_EQ(test, at / UNIT, u);
	}
}

static void free_blocks_from(struct kunit *test, u64 from, u64 nr)
{
	while (nr--)
		expect_freed(test, from++, 1);
}

static void run_of_many_parts_is_found(struct kunit *test)
{
	/*
	 * The kinds of the units from 14 on; a slot begins at unit 16. S: a slab, whose end
	 * next to the run is free. I: an island, free, but part of a mixed slot. B: a buddy
	 * block.
	 */
	static const char * const parts[] = {
		"SS", "SIS", "SIIS", "SBS", "SBIS", "SIBS", "SIBIS", "SBBBS",
	};
	struct fixture *f = test->priv;
	u64 at, u, len, nr, nr_free, i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		nr = strlen(parts[i]);
		start(test, 32 * UNIT);
		for (u = 0; u < 32; u++)
			KUNIT_ASSERT_EQ(test, claim(test, u * UNIT, UNIT), 0);
		/* the rest of the mixed parts that the islands belong to */
		make_part(test, 'I', 10);
		make_part(test, 'I', 26);
		for (u = 0; u < nr; u++)
			make_part(test, parts[i][u], 14 + u);
		for (u = 14, nr_free = 0; u < 14 + nr; u++) {
			if (parts[i][u - 14] == 'I')
				expect_freed(test, u * UNIT, UNIT - 1);
			if (parts[i][u - 14] == 'B') {
				expect_freed(test, u * UNIT, UNIT);
				nr_free++;
			}
		}
		free_blocks_from(test, 15 * UNIT - 90, 90);
		free_blocks_from(test, (13 + nr) * UNIT, 110);
		KUNIT_EXPECT_EQ(test, f->s.buddy.free_units, nr_free);
		len = 90 + (nr - 2) * UNIT + 110;
		KUNIT_EXPECT_EQ(test, haslab_search(&f->s, len + 1, 1, GFP_KERNEL, &at), -ENOSPC);
		KUNIT_ASSERT_EQ_MSG(test, haslab_search(&f->s, len, 1, GFP_KERNEL, &at), 0, "%s",
				    parts[i]);
		KUNIT_EXPECT_EQ(test, at, 15 * UNIT - 90);
		KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
		expect_freed_once(test, at, len);
		/* an aligned place in the middle */
		KUNIT_ASSERT_EQ(test, haslab_search(&f->s, len - 90, UNIT, GFP_KERNEL, &at), 0);
		KUNIT_EXPECT_EQ(test, at, 15 * UNIT);
		KUNIT_EXPECT_EQ(test, haslab_search(&f->s, len - 89, UNIT, GFP_KERNEL, &at),
				-ENOSPC);
	}
}

static void run_behind_a_full_slab_is_found(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 at;
	int i;

	/* a slab of 19 objects of 13 blocks with a rest of 9 blocks, and a slab of single blocks */
	start(test, 2 * UNIT);
	for (i = 0; i < 19; i++)
		KUNIT_ASSERT_EQ(test, object_alloc(test, 12, &at, GFP_KERNEL), 0);
	KUNIT_ASSERT_EQ(test, at, 18 * 13);
	while (!object_alloc(test, 0, &at, GFP_KERNEL))
		;
	free_blocks_from(test, UNIT, 5);
	KUNIT_EXPECT_EQ(test, haslab_search(&f->s, 15, 1, GFP_KERNEL, &at), -ENOSPC);
	KUNIT_ASSERT_EQ(test, haslab_search(&f->s, 14, 1, GFP_KERNEL, &at), 0);
	KUNIT_EXPECT_EQ(test, at, UNIT - 9);
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
}

static void one_run_among_many_large_parts_is_found(struct kunit *test)
{
	const u64 nr = 2100, slot = HASLAB_MAX_BLOCKS;
	struct fixture *f = test->priv;
	u64 i, at;

	/* slots that end with 600 free blocks: too many of them to be checked one by one */
	start(test, nr * slot);
	for (i = 0; i < nr; i++) {
		KUNIT_ASSERT_EQ(test, claim(test, i * slot, 500), 0);
		KUNIT_ASSERT_EQ(test, claim(test, i * slot + 500, slot - 1100), 0);
	}
	for (i = 1; i < nr; i += 699) {
		KUNIT_EXPECT_EQ(test, haslab_search(&f->s, 1100, 1, GFP_KERNEL, &at), -ENOSPC);
		expect_freed(test, i * slot, 500);
		KUNIT_EXPECT_EQ(test, haslab_search(&f->s, 1101, 1, GFP_KERNEL, &at), -ENOSPC);
		KUNIT_ASSERT_EQ(test, haslab_search(&f->s, 1100, 1, GFP_KERNEL, &at), 0);
		KUNIT_EXPECT_EQ(test, at, i * slot - 600);
	}
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
}

/* ---- shapes ---- */

static void any_capacity_is_one_run(struct kunit *test)
{
	static const u64 sizes[] = {
		1, 2, 3, 16, 255, 256, 257, 511, 512, 513, 4095, 4097, 16383, 16384, 16385,
		65521, 1000003, (1ULL << 22) - 1, (1ULL << 22) + 1, (1ULL << 26) + 77,
	};
	struct fixture *f = test->priv;
	unsigned int i;
	u64 at;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		u64 n = sizes[i];

		start(test, n);
		expect_all_free(test);
		KUNIT_EXPECT_EQ(test, haslab_search(&f->s, n + 1, 1, GFP_KERNEL, &at), -ENOSPC);
		KUNIT_ASSERT_EQ(test, haslab_search(&f->s, n, 1, GFP_KERNEL, &at), 0);
		KUNIT_EXPECT_EQ(test, at, 0);
		KUNIT_EXPECT_EQ(test, stat(f, true)->free, 0);
		KUNIT_EXPECT_EQ(test, haslab_search(&f->s, 1, 1, GFP_KERNEL, &at), -ENOSPC);
		KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
		expect_freed_once(test, 0, n);
		expect_all_free(test);
		KUNIT_ASSERT_EQ(test, claim(test, n - 1, 1), 0);
		KUNIT_EXPECT_EQ(test, stat(f, true)->largest_run, n - 1);
		expect_freed_once(test, n - 1, 1);
		expect_all_free(test);
	}
}

static void untouched_100_tib_costs_little(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test, 100ULL << 28);
	KUNIT_EXPECT_LT(test, f->bytes, 16L << 20);
	expect_all_free(test);
}

static void impossible_shapes_are_refused(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, try_start(test, 0, 8, 256), -EINVAL);
	KUNIT_EXPECT_EQ(test, try_start(test, 1000, 15, 256), -EINVAL);
	KUNIT_EXPECT_EQ(test, try_start(test, 1000, 8, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, try_start(test, 1000, 8, 100), -EINVAL);
	KUNIT_EXPECT_EQ(test, try_start(test, 1ULL << 62, 8, 256), -EINVAL);
	KUNIT_EXPECT_EQ(test, try_start(test, U64_MAX, 8, 256), -EINVAL);
}

/* It fails without a warning: see kvmalloc_node(). */
static void device_of_32_pib_is_too_much_for_the_memory(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, try_start(test, (1ULL << 43) - (1 << 20), 8, 256), -ENOMEM);
}

/* ---- memory ---- */

enum op { OBJECT, ALLOC, SEARCH, CLAIM };

struct attempt {
	enum op op;
	u64 a;			/* class, length or start */
	u64 b;			/* alignment or length */
};

static int do_attempt(struct kunit *test, const struct attempt *t, gfp_t gfp, u64 *at, u64 *len)
{
	struct fixture *f = test->priv;

	switch (t->op) {
	case OBJECT:
		*len = f->s.classes[t->a].blocks;
		return object_alloc(test, t->a, at, gfp);
	case ALLOC:
		*len = t->a;
		return haslab_alloc(&f->s, t->a, t->b, gfp, at);
	case SEARCH:
		*len = t->a;
		return haslab_search(&f->s, t->a, t->b, gfp, at);
	case CLAIM:
		*at = t->a;
		*len = t->b;
		return haslab_claim(&f->s, t->a, t->b, true, gfp);
	}
	return -EINVAL;
}

static const struct attempt attempts[] = {
	{ OBJECT, 0 }, { OBJECT, 4 }, { OBJECT, 15 },
	{ OBJECT, 18 }, { OBJECT, 19 }, { OBJECT, 21 },
	{ ALLOC, 1, 1 }, { ALLOC, 100, 1 }, { ALLOC, 3, 4096 }, { ALLOC, 2048, 1 },
	{ ALLOC, 5000, 1 }, { ALLOC, 16385, 1 }, { ALLOC, 1000000, 1 },
	{ SEARCH, 1, 1 }, { SEARCH, 300, 1 }, { SEARCH, 100000, 1 }, { SEARCH, 7, 1 << 16 },
	{ CLAIM, 0, 1 }, { CLAIM, 200000, 1 }, { CLAIM, 255, 2 }, { CLAIM, 256, 256 },
	{ CLAIM, 16384, 16384 }, { CLAIM, 3 << 14, 3 << 14 }, { CLAIM, 16383, 16386 },
	{ CLAIM, 100000, 3000000 }, { CLAIM, (5 << 20) - 1, 102 },
};

/* Fails each memory allocation in turn, until the attempt makes no more of them. */
static unsigned long fail_each(struct kunit *test, const struct attempt *t)
{
	struct fixture *f = test->priv;
	struct snapshot before = take_snapshot(f, true);
	unsigned long nth, failed = 0;
	u64 at, len;
	int ret;

	for (nth = 1; ; nth++) {
		hatest_inject_start(nth, 0, false);
		ret = do_attempt(test, t, GFP_NOWAIT, &at, &len);
		if (!hatest_inject_stop())
			break;
		failed++;
		KUNIT_ASSERT_EQ_MSG(test, ret, -ENOMEM, "allocation %lu of attempt %ld", nth,
				    (long)(t - attempts));
		expect_unchanged(test, &before);
	}
	KUNIT_ASSERT_EQ(test, ret, 0);
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
	expect_freed(test, at, len);
	return failed;
}

static void failure_on_a_free_device_changes_nothing(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(attempts); i++) {
		start(test, (5 << 20) + 101);
		fail_each(test, &attempts[i]);
		expect_all_free(test);
	}
}

/* All units are in slabs or mixed parts. */
static void start_busy(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 at, keep[3];
	int i;

	start(test, 4 * UNIT + 50);
	for (i = 0; i < 3; i++)
		KUNIT_ASSERT_EQ(test, object_alloc(test, i, &keep[i], GFP_KERNEL), 0);
	/* more objects than a mixed slot has marks for without memory of its own */
	for (i = 0; i < 40; i++)
		KUNIT_ASSERT_EQ(test, object_alloc(test, 0, &at, GFP_KERNEL), 0);
	while (!haslab_alloc(&f->s, 100, 1, GFP_KERNEL, &at))
		;
}

static void failure_on_a_busy_device_changes_nothing(struct kunit *test)
{
	static const struct attempt busy[] = {
		{ SEARCH, 15, 1 }, { SEARCH, 60, 1 }, { SEARCH, 1, 32 }, { SEARCH, 100, 64 },
	};
	struct fixture *f = test->priv;
	unsigned long failed = 0;
	unsigned int i;
	u64 at;

	start_busy(test);
	for (i = 0; i < ARRAY_SIZE(busy); i++) {
		start_busy(test);
		if (haslab_search(&f->s, busy[i].a, busy[i].b, GFP_KERNEL, &at))
			continue;
		start_busy(test);
		failed += fail_each(test, &busy[i]);
		/* claims all over the device */
		start_busy(test);
		for (at = 0; at + 3 < f->s.cfg.nr_blocks; at += 3) {
			struct attempt t = { CLAIM, at, 3 };

			if (claim(test, at, 3))
				continue;
			expect_freed(test, at, 3);
			failed += fail_each(test, &t);
		}
	}
	KUNIT_EXPECT_GT(test, failed, 0);
}

static void conversion_without_memory_changes_nothing(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned long failed = 0;
	u64 at;
	int i;

	/* 200 objects of one block: after the conversion, the marks grow several times */
	for (i = 0; i < 3; i++) {
		struct attempt t = { CLAIM, 250 + i, 1 + i };

		start(test, 2 * UNIT);
		while (!object_alloc(test, 0, &at, GFP_KERNEL))
			;
		for (at = 201; at < 2 * UNIT; at++)
			expect_freed(test, at, 1);
		KUNIT_ASSERT_EQ(test, haslab_check(&f->s), 0);
		failed += fail_each(test, &t);
		for (at = 0; at < 201; at++)
			expect_freed(test, at, 1);
		expect_all_free(test);
	}
	KUNIT_EXPECT_GT(test, failed, 3);
}

static void init_without_memory_leaves_nothing(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned long nth, failed = 0;
	int ret;

	for (nth = 1; ; nth++) {
		stop(f);
		hatest_inject_start(nth, 0, false);
		ret = try_start(test, (5 << 20) + 101, 8, 256);
		if (!hatest_inject_stop())
			break;
		/* an allocation that is optional is made again, or left out */
		KUNIT_EXPECT_TRUE(test, !ret || ret == -ENOMEM);
		failed += ret == -ENOMEM;
	}
	KUNIT_EXPECT_EQ(test, ret, 0);
	stop(f);
	hatest_inject_start(0, 0, true);
	KUNIT_EXPECT_EQ(test, try_start(test, (5 << 20) + 101, 8, 256), -ENOMEM);
	KUNIT_EXPECT_GT(test, hatest_inject_stop() + failed, 0);
}

/* ---- walks ---- */

/* What GROW has added is not part of the walk, whose holds all begin with a dir. */
static void device_grows_between_two_holds_of_a_walk(struct kunit *test)
{
	struct fixture *f = test->priv;
	const u64 nr = GIB + 100 * UNIT;
	struct haslab_walk w;
	u64 looked = 0;

	start(test, nr);
	KUNIT_ASSERT_EQ(test, claim(test, 0, GIB + 30 * UNIT), 0);
	haslab_walk_start(&w, &f->s, 0, U64_MAX, 0);
	while (haslab_walk_next(&w)) {
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED(w.pos, GIB));
		looked += w.end - w.pos;
		w.pos = w.end;
		haslab_walk_end(&w);
		if (f->s.cfg.nr_blocks == nr && looked == nr)
			KUNIT_ASSERT_EQ(test, haslab_grow(&f->s, nr + 3 * UNIT, GFP_KERNEL), 0);
	}
	KUNIT_EXPECT_EQ(test, haslab_walk_end(&w), 0);
	KUNIT_EXPECT_EQ(test, looked, nr);
	KUNIT_EXPECT_EQ(test, stat(f, true)->largest_run, 73 * UNIT);
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
	expect_freed(test, 0, GIB + 30 * UNIT);
}

static struct fixture *growing;
static int growing_ret;

/* Another task grows the device by 100 units and takes an extent across the old end. */
static void grow_meanwhile(void)
{
	struct haslab *s = &growing->s;
	u64 end = s->cfg.nr_blocks;

	hatest_meanwhile = NULL;
	growing_ret = haslab_grow(s, end + 100 * UNIT, GFP_KERNEL);
	if (!growing_ret)
		growing_ret = haslab_claim(s, end - 3, 50 * UNIT, true, GFP_KERNEL);
}

static void device_grows_during_a_check(struct kunit *test)
{
	struct fixture *f = test->priv;
	const u64 nr = GIB + 10 * UNIT + 7;

	start(test, nr);
	KUNIT_ASSERT_EQ(test, claim(test, 5, GIB), 0);
	growing = f;
	hatest_meanwhile = grow_meanwhile;
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), -EAGAIN);
	KUNIT_EXPECT_TRUE(test, !hatest_meanwhile);
	hatest_meanwhile = NULL;
	KUNIT_ASSERT_EQ(test, growing_ret, 0);
	KUNIT_EXPECT_EQ(test, f->s.cfg.nr_blocks, nr + 100 * UNIT);
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
	expect_freed(test, 5, GIB);
	expect_freed(test, nr - 3, 50 * UNIT);
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
}

/* The device is all single blocks, every second one free: in slabs, then in mixed slots. */
static void check_looks_at_little_in_a_hold(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 at, i;

	start_shape(test, GIB / 8, 0, 16);
	for (i = 0; i < GIB / 8; i++)
		KUNIT_ASSERT_EQ(test, object_alloc(test, 0, &at, GFP_KERNEL), 0);
	for (i = 0; i < GIB / 8; i += 2)
		expect_freed(test, i, 1);
	ha_holds_reset();
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
	KUNIT_EXPECT_GT(test, ha_longest_hold(HA_LOCK_ALL), 0);
	KUNIT_EXPECT_LE(test, ha_longest_hold(HA_LOCK_ALL), MAX_HOLD_STEPS);
	for (i = 1; i < GIB / 8; i += 2)
		expect_freed(test, i, 1);

	start(test, GIB / 8);
	for (i = 0; i < GIB / 8; i += 2)
		KUNIT_ASSERT_EQ(test, claim(test, i, 1), 0);
	ha_holds_reset();
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
	KUNIT_EXPECT_GT(test, ha_longest_hold(HA_LOCK_ALL), 0);
	KUNIT_EXPECT_LE(test, ha_longest_hold(HA_LOCK_ALL), MAX_HOLD_STEPS);
	for (i = 0; i < GIB / 8; i += 2)
		expect_freed(test, i, 1);
	expect_all_free(test);
}

/* CHECK compares what a dir keeps of its free runs with what is there. */
static void wrong_sum_of_a_dir_is_found(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test, GIB);
	KUNIT_ASSERT_EQ(test, claim(test, 5, 1000), 0);
	KUNIT_EXPECT_EQ(test, stat(f, false)->largest_run, GIB - 1005);
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
	f->s.dirs[0].longest--;
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), -EUCLEAN);
	f->s.dirs[0].longest++;
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
	expect_freed(test, 5, 1000);
	expect_all_free(test);
}

/* TRIM's look on a full device passes over all of it, unless detach has begun. */
static void detach_ends_a_killable_walk(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct haslab_walk w;
	u64 at, len;

	start(test, 3 * GIB);
	KUNIT_ASSERT_EQ(test, claim(test, 0, 3 * GIB - 1), 0);
	KUNIT_EXPECT_TRUE(test, haslab_next_free(&f->s, 0, &at, &len));
	KUNIT_EXPECT_EQ(test, at, 3 * GIB - 1);
	haslab_stop_walks(&f->s);
	KUNIT_EXPECT_FALSE(test, haslab_next_free(&f->s, 0, &at, &len));

	haslab_walk_start(&w, &f->s, 0, U64_MAX, HASLAB_WALK_KILLABLE);
	KUNIT_EXPECT_FALSE(test, haslab_walk_next(&w));
	KUNIT_EXPECT_EQ(test, haslab_walk_end(&w), -ENODEV);
	/* so do those of STAT and CHECK, whose callers are told */
	KUNIT_EXPECT_EQ(test, stat(f, true)->nr_runs, 0);
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), -ENODEV);
	f->s.closing = false;
	KUNIT_EXPECT_EQ(test, stat(f, true)->nr_runs, 1);
	expect_freed(test, 0, 3 * GIB - 1);
}

#define MAX_HOLES	24
#define REGION		(1ULL << 20)	/* with units of a block */

struct holes {
	struct hole {
		u64 start;
		u64 len;
	} hole[MAX_HOLES];
	u32 nr;
};

/* A device of several regions that is full but for some holes, many of them at borders. */
static void start_with_holes(struct kunit *test, struct holes *h, struct hatest_rng *rng)
{
	const u64 nr = 3 * REGION + 4096 + hatest_below(rng, 9000);
	struct hole *hole;
	u64 pos = 0;

	start_shape(test, nr, 0, 1);
	for (h->nr = 0; h->nr < MAX_HOLES; h->nr++) {
		hole = &h->hole[h->nr];
		hole->start = pos + 1 + hatest_below(rng, nr / MAX_HOLES * 2);
		if (hatest_below(rng, 2))
			hole->start = round_up(hole->start, 1 << 6 * (2 + hatest_below(rng, 2))) -
				      hatest_below(rng, 3);
		hole->len = 1 + hatest_below(rng, 1 << hatest_below(rng, 16));
		if (hole->start <= pos || hole->start + hole->len >= nr)
			break;
		KUNIT_ASSERT_EQ(test, claim(test, pos, hole->start - pos), 0);
		pos = hole->start + hole->len;
	}
	KUNIT_ASSERT_EQ(test, claim(test, pos, nr - pos), 0);
}

static bool fits_in(const struct hole *hole, u64 len, u64 align)
{
	u64 skip = -hole->start & (align - 1);

	return hole->len >= skip && hole->len - skip >= len;
}

/*
 * Searches on a device of several regions, whose sums are made, kept and dropped, find a place if
 * and only if a hole has one.
 */
static void searches_know_all_holes(struct kunit *test)
{
	struct holes *h = kunit_kzalloc(test, sizeof(*h), GFP_KERNEL);
	struct hatest_rng rng = hatest_rng(test);
	struct fixture *f = test->priv;
	u32 i, k, round, fits;
	u64 at, len, align;
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, h);
	for (round = 0; round < 8; round++) {
		start_with_holes(test, h, &rng);
		for (i = 0; i < hatest_ops / 40; i++) {
			len = 1 + hatest_below(&rng, 1 << hatest_below(&rng, 16));
			align = 1ULL << hatest_below(&rng, hatest_below(&rng, 4) ? 14 : 40);
			for (fits = 0, k = 0; k < h->nr; k++)
				fits += fits_in(&h->hole[k], len, align);
			ret = haslab_search(&f->s, len, align, GFP_KERNEL, &at);
			KUNIT_ASSERT_EQ_MSG(test, ret, fits ? 0 : -ENOSPC,
					    "length %llu, alignment %llu, round %u", len, align,
					    round);
			if (ret)
				continue;
			for (k = 0; k < h->nr && at >= h->hole[k].start + h->hole[k].len; k++)
				;
			KUNIT_ASSERT_LT(test, k, h->nr);
			KUNIT_ASSERT_GE(test, at, h->hole[k].start);
			KUNIT_ASSERT_LE(test, at + len, h->hole[k].start + h->hole[k].len);
			KUNIT_ASSERT_EQ(test, at & (align - 1), 0);
			expect_freed_once(test, at, len);
		}
		KUNIT_ASSERT_EQ(test, haslab_check(&f->s), 0);
	}
}

/* A search that looks at all of the device gives up when detach has begun. */
static void detach_ends_a_search(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 at, i;

	start(test, 16 * 16 * UNIT);
	for (i = 0; i < 16 * 16 * UNIT; i += 2)
		KUNIT_ASSERT_EQ(test, claim(test, i, 1), 0);
	KUNIT_EXPECT_EQ(test, haslab_search(&f->s, 2, 1, GFP_KERNEL, &at), -ENOSPC);
	haslab_stop_walks(&f->s);
	/* that is known by now, until something changes */
	KUNIT_EXPECT_EQ(test, haslab_search(&f->s, 2, 1, GFP_KERNEL, &at), -ENOSPC);
	KUNIT_ASSERT_EQ(test, claim(test, 1, 1), 0);
	KUNIT_EXPECT_EQ(test, haslab_search(&f->s, 2, 1, GFP_KERNEL, &at), -ENODEV);
	f->s.closing = false;
	KUNIT_EXPECT_EQ(test, haslab_check(&f->s), 0);
}

static void caller_that_may_wait_gets_its_memory(struct kunit *test)
{
	unsigned long failed;
	unsigned int i;
	u64 at, len;

	/* all allocations that may not wait fail */
	for (i = 0; i < ARRAY_SIZE(attempts); i++) {
		start(test, (5 << 20) + 101);
		hatest_inject_start(0, 1, false);
		KUNIT_EXPECT_EQ_MSG(test, do_attempt(test, &attempts[i], GFP_NOIO, &at, &len), 0,
				    "attempt %u", i);
		failed = hatest_inject_stop();
		KUNIT_EXPECT_LT(test, failed, 1000);
		expect_freed(test, at, len);
		expect_all_free(test);
	}
}

static void without_memory_at_all_it_is_enomem(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct snapshot before;
	unsigned int i;
	u64 at, len;

	start(test, (5 << 20) + 101);
	before = take_snapshot(f, true);
	for (i = 0; i < ARRAY_SIZE(attempts); i++) {
		int ret;

		hatest_inject_start(0, 0, true);
		ret = do_attempt(test, &attempts[i], GFP_KERNEL, &at, &len);
		if (hatest_inject_stop()) {
			KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
		} else {
			KUNIT_ASSERT_EQ(test, ret, 0);
			expect_freed(test, at, len);
		}
		expect_unchanged(test, &before);
	}
}

static void giving_back_needs_no_memory(struct kunit *test)
{
	struct { u64 at, len; } e[ARRAY_SIZE(attempts)];
	struct haslab_ref refs[8];
	struct fixture *f = test->priv;
	unsigned int i, n = 0;

	start(test, (5 << 20) + 101);
	KUNIT_ASSERT_EQ(test, haslab_get_objects(&f->s, 5, refs, 8, GFP_KERNEL), 8);
	for (i = 0; i < ARRAY_SIZE(attempts); i++)
		if (!do_attempt(test, &attempts[i], GFP_KERNEL, &e[n].at, &e[n].len))
			n++;
	KUNIT_EXPECT_GT(test, n, 10);
	hatest_inject_start(0, 0, true);
	for (i = 0; i < n; i++)
		expect_freed(test, e[i].at, e[i].len);
	haslab_put_objects(&f->s, 5, refs, 8);
	KUNIT_EXPECT_EQ(test, hatest_inject_seen(), 0);
	hatest_inject_stop();
	expect_all_free(test);
}

/* ---- random ---- */

#define MAX_CACHED	64

struct fuzz {
	struct hatest_model *m;
	struct hatest_rng rng;
	struct { struct haslab_ref ref; int class; } cached[MAX_CACHED];
	unsigned int nr_cached;
};

static void fuzz_put_cached(struct kunit *test, struct fuzz *z)
{
	struct fixture *f = test->priv;

	for (; z->nr_cached; z->nr_cached--) {
		int class = z->cached[z->nr_cached - 1].class;
		struct haslab_ref *ref = &z->cached[z->nr_cached - 1].ref;

		hatest_model_uncache(z->m, ref->start, f->s.classes[class].blocks);
		haslab_put_objects(&f->s, class, ref, 1);
	}
}

static void fuzz_get(struct kunit *test, struct fuzz *z)
{
	struct fixture *f = test->priv;
	struct haslab_ref refs[4];
	int class = hatest_below(&z->rng, HASLAB_NR_CLASSES), got, i;
	u64 blocks = f->s.classes[class].blocks;

	if (haslab_class_of(&f->s, blocks) < 0 || z->nr_cached + 4 > MAX_CACHED)
		return;
	got = haslab_get_objects(&f->s, class, refs, 1 + hatest_below(&z->rng, 4), GFP_KERNEL);
	if (got < 0)
		KUNIT_ASSERT_EQ(test, got, -ENOSPC);
	for (i = 0; i < got; i++) {
		KUNIT_ASSERT_TRUE(test, hatest_model_free(z->m, refs[i].start, blocks));
		if (is_power_of_2(blocks))
			KUNIT_ASSERT_TRUE(test, IS_ALIGNED(refs[i].start, blocks));
		hatest_model_cache(z->m, refs[i].start, blocks);
		z->cached[z->nr_cached].ref = refs[i];
		z->cached[z->nr_cached++].class = class;
	}
}

/* Makes one of the cached objects live, or free. */
static void fuzz_use_cached(struct kunit *test, struct fuzz *z)
{
	struct fixture *f = test->priv;
	unsigned int i;
	int class;
	u64 blocks;

	if (!z->nr_cached)
		return;
	i = hatest_below(&z->rng, z->nr_cached);
	class = z->cached[i].class;
	blocks = f->s.classes[class].blocks;
	hatest_model_uncache(z->m, z->cached[i].ref.start, blocks);
	if (hatest_below(&z->rng, 4) && z->m->nr < HATEST_MAX_EXTENTS) {
		haslab_own(&z->cached[i].ref);
		hatest_model_add(z->m, z->cached[i].ref.start, blocks);
	} else {
		haslab_put_objects(&f->s, class, &z->cached[i].ref, 1);
	}
	z->cached[i] = z->cached[--z->nr_cached];
}

static u64 fuzz_len(struct fuzz *z)
{
	u64 max = z->m->nr_blocks;

	return 1 + hatest_below(&z->rng, 1 + hatest_below(&z->rng, min_t(u64, max, 1 << (1 +
			hatest_below(&z->rng, 15)))));
}

static void fuzz_alloc(struct kunit *test, struct fuzz *z, bool search)
{
	struct fixture *f = test->priv;
	u64 len = fuzz_len(z), at, align = 1;
	int ret;

	if (z->m->nr == HATEST_MAX_EXTENTS)
		return;
	if (!hatest_below(&z->rng, 4))
		align <<= hatest_below(&z->rng, 12);
	if (search) {
		fuzz_put_cached(test, z);
		ret = haslab_search(&f->s, len, align, GFP_KERNEL, &at);
		KUNIT_ASSERT_EQ_MSG(test, ret, hatest_model_fits(z->m, len, align) ? 0 : -ENOSPC,
				    "search %llu align %llu", len, align);
	} else {
		ret = haslab_alloc(&f->s, len, align, GFP_KERNEL, &at);
		if (ret)
			KUNIT_ASSERT_EQ(test, ret, -ENOSPC);
	}
	if (ret)
		return;
	KUNIT_ASSERT_TRUE(test, IS_ALIGNED(at, align));
	KUNIT_ASSERT_TRUE_MSG(test, hatest_model_free(z->m, at, len), "start %llu, length %llu",
			      at, len);
	hatest_model_add(z->m, at, len);
}

static void fuzz_claim(struct kunit *test, struct fuzz *z)
{
	struct fixture *f = test->priv;
	u64 at = hatest_below(&z->rng, z->m->nr_blocks);
	u64 len = min(fuzz_len(z), z->m->nr_blocks - at);
	bool exclusive = hatest_below(&z->rng, 2);
	bool free;
	int ret;

	if (z->m->nr == HATEST_MAX_EXTENTS)
		return;
	if (exclusive)
		fuzz_put_cached(test, z);
	free = hatest_model_free(z->m, at, len);
	ret = haslab_claim(&f->s, at, len, exclusive, GFP_KERNEL);
	if (!ret)
		KUNIT_ASSERT_TRUE(test, free);
	else if (exclusive)
		KUNIT_ASSERT_EQ(test, ret, free ? 0 : -EEXIST);
	else
		KUNIT_ASSERT_TRUE(test, ret == -EAGAIN || (ret == -EEXIST && !free));
	if (!ret)
		hatest_model_add(z->m, at, len);
}

/* Frees an extent, correctly or almost. */
static void fuzz_free(struct kunit *test, struct fuzz *z)
{
	enum hybrid_alloc_reason reason = 0, expected;
	struct fixture *f = test->priv;
	struct haslab_ref ref;
	int ret, class;
	u64 at, len;

	if (z->m->nr && hatest_below(&z->rng, 8)) {
		struct hatest_extent *e = &z->m->extents[hatest_below(&z->rng, z->m->nr)];

		at = e->start;
		len = e->len;
		if (!hatest_below(&z->rng, 8)) {
			at += hatest_below(&z->rng, len);
			len = fuzz_len(z);
		}
	} else {
		at = hatest_below(&z->rng, z->m->nr_blocks);
		len = fuzz_len(z);
	}
	if (at + len > z->m->nr_blocks)
		return;
	/* some frees go through a pool */
	class = haslab_class_of(&f->s, len);
	if (class >= 0 && z->nr_cached < MAX_CACHED && hatest_below(&z->rng, 2) &&
	    disown(f, class, at, &ref)) {
		KUNIT_ASSERT_EQ(test, hatest_model_remove(z->m, at, len, &expected), 0);
		hatest_model_cache(z->m, at, len);
		z->cached[z->nr_cached].ref = ref;
		z->cached[z->nr_cached++].class = class;
		return;
	}
	ret = haslab_free(&f->s, at, len, &reason);
	KUNIT_ASSERT_EQ_MSG(test, ret, hatest_model_remove(z->m, at, len, &expected),
			    "free %llu, length %llu", at, len);
	if (ret)
		KUNIT_ASSERT_EQ_MSG(test, (int)reason, (int)expected, "free %llu, length %llu",
				    at, len);
}

static void fuzz_compare(struct kunit *test, struct fuzz *z)
{
	struct hatest_runs runs = hatest_model_runs(z->m);
	struct fixture *f = test->priv;
	struct haslab_stat st;

	KUNIT_ASSERT_EQ(test, haslab_check(&f->s), 0);
	haslab_stat(&f->s, &st, true);
	KUNIT_ASSERT_EQ(test, st.free, z->m->nr_blocks - z->m->nr_used);
	KUNIT_ASSERT_EQ(test, st.nr_runs, runs.nr);
	KUNIT_ASSERT_EQ(test, st.largest_run, runs.largest);
}

static void fuzz_shape(struct kunit *test, struct fuzz *z, u64 nr_blocks, unsigned int unit_shift,
		       u64 slab_max, unsigned long ops)
{
	unsigned long i;

	start_shape(test, nr_blocks, unit_shift, slab_max);
	hatest_model_start(z->m, nr_blocks);
	for (i = 0; i < ops; i++) {
		/* phases that fill the device, and phases that empty it */
		u32 free = (i / 256) % 2 ? 30 : 60;
		u32 what = hatest_below(&z->rng, 100);

		if (what < free)
			fuzz_free(test, z);
		else if (what < free + 10)
			fuzz_get(test, z);
		else if (what < free + 20)
			fuzz_use_cached(test, z);
		else if (what < free + 25)
			fuzz_claim(test, z);
		else if (what < free + 28)
			fuzz_alloc(test, z, true);
		else
			fuzz_alloc(test, z, false);
		if (i % 64 == 0)
			fuzz_compare(test, z);
	}
	fuzz_put_cached(test, z);
	while (z->m->nr) {
		struct hatest_extent e = z->m->extents[hatest_below(&z->rng, z->m->nr)];
		enum hybrid_alloc_reason reason;

		expect_freed(test, e.start, e.len);
		hatest_model_remove(z->m, e.start, e.len, &reason);
	}
	expect_all_free(test);
}

static void random_operations_match_the_model(struct kunit *test)
{
	static const u32 sizes[] = { 200003, 40000, 16384, 4096, 3000, 1021, 256, 100, 1 };
	struct fuzz *z = kunit_kzalloc(test, sizeof(*z), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, z);
	z->m = hatest_model(test, 200003);
	z->rng = hatest_rng(test);
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		fuzz_shape(test, z, sizes[i], 8, 256, hatest_ops / ARRAY_SIZE(sizes));
}

static void random_operations_in_any_shape(struct kunit *test)
{
	struct fuzz *z = kunit_kzalloc(test, sizeof(*z), GFP_KERNEL);
	unsigned int unit_shift, max_shift;

	KUNIT_ASSERT_NOT_NULL(test, z);
	z->m = hatest_model(test, 40000);
	z->rng = hatest_rng(test);
	for (unit_shift = 0; unit_shift <= HASLAB_MAX_SHIFT; unit_shift++)
		for (max_shift = 0; max_shift <= 10; max_shift += 2)
			fuzz_shape(test, z, 1 + hatest_below(&z->rng, 40000), unit_shift,
				   1ULL << max_shift, hatest_ops / 90);
}

static int haslab_test_init(struct kunit *test)
{
	test->priv = kunit_kzalloc(test, sizeof(struct fixture), GFP_KERNEL);
	return test->priv ? 0 : -ENOMEM;
}

static void haslab_test_exit(struct kunit *test)
{
	hatest_inject_stop();
	stop(test->priv);
}

static struct kunit_case haslab_cases[] = {
	KUNIT_CASE(common_sizes_have_classes),
	KUNIT_CASE(objects_of_each_class_come_and_go),
	KUNIT_CASE(device_full_of_each_class),
	KUNIT_CASE(cached_object_is_neither_live_nor_free),
	KUNIT_CASE(wrong_free_of_an_object),
	KUNIT_CASE(wrong_free_of_an_extent_in_a_mixed_slab),
	KUNIT_CASE(wrong_free_of_a_block_of_the_buddy),
	KUNIT_CASE(wrong_free_of_an_extent_over_many_slabs),
	KUNIT_CASE(free_of_what_was_never_allocated),
	KUNIT_CASE(smallest_hole_that_fits_is_taken),
	KUNIT_CASE(hole_of_just_the_length_is_taken),
	KUNIT_CASE(alignment_is_kept),
	KUNIT_CASE(alignment_that_no_run_has_is_enospc),
	KUNIT_CASE(run_that_the_bounded_look_missed),
	KUNIT_CASE(many_small_extents_in_one_slab),
	KUNIT_CASE(range_of_a_free_device_is_claimed),
	KUNIT_CASE(neighbours_are_claimed_over_borders),
	KUNIT_CASE(live_objects_become_extents_of_a_bitmap),
	KUNIT_CASE(claim_in_mixed_slabs),
	KUNIT_CASE(claim_in_a_slab_of_equal_objects_converts_it),
	KUNIT_CASE(claim_beside_cached_objects),
	KUNIT_CASE(claim_over_slabs_of_all_kinds),
	KUNIT_CASE(run_over_the_border_of_slabs_is_found),
	KUNIT_CASE(run_among_equal_objects_is_found),
	KUNIT_CASE(run_of_many_parts_is_found),
	KUNIT_CASE(run_behind_a_full_slab_is_found),
	KUNIT_CASE(one_run_among_many_large_parts_is_found),
	KUNIT_CASE(any_capacity_is_one_run),
	KUNIT_CASE(untouched_100_tib_costs_little),
	KUNIT_CASE(impossible_shapes_are_refused),
	KUNIT_CASE(device_of_32_pib_is_too_much_for_the_memory),
	KUNIT_CASE(failure_on_a_free_device_changes_nothing),
	KUNIT_CASE(failure_on_a_busy_device_changes_nothing),
	KUNIT_CASE(conversion_without_memory_changes_nothing),
	KUNIT_CASE(init_without_memory_leaves_nothing),
	KUNIT_CASE(device_grows_between_two_holds_of_a_walk),
	KUNIT_CASE(device_grows_during_a_check),
	KUNIT_CASE(check_looks_at_little_in_a_hold),
	KUNIT_CASE(wrong_sum_of_a_dir_is_found),
	KUNIT_CASE(detach_ends_a_killable_walk),
	KUNIT_CASE(searches_know_all_holes),
	KUNIT_CASE(detach_ends_a_search),
	KUNIT_CASE(caller_that_may_wait_gets_its_memory),
	KUNIT_CASE(without_memory_at_all_it_is_enomem),
	KUNIT_CASE(giving_back_needs_no_memory),
	KUNIT_CASE(random_operations_match_the_model),
	KUNIT_CASE(random_operations_in_any_shape),
	{}
};

static struct kunit_suite haslab_suite = {
	.name = "haslab",
	.init = haslab_test_init,
	.exit = haslab_test_exit,
	.test_cases = haslab_cases,
};

kunit_test_suite(haslab_suite);
