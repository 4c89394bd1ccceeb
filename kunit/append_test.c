// SPDX-License-Identifier: GPL-2.0
/* Extents right behind others: what grows by allocations with a goal, and what rows it gets. */
#include "pool_fixture.h"

#define GIB		(1ULL << 18)	/* blocks */
#define FILE_BLOCKS	1024U
#define NR_FILES	16U
#define NR_WINDOWS	32U	/* of a group, each of so many blocks from 4 GiB up */
#define WINDOW		1024U
#define SLOT		(16 * UNIT)

static int alloc_at(struct kunit *test, u64 goal, u64 len, u64 *at)
{
	struct fixture *f = test->priv;

	return hapool_alloc(&f->p, len, 1, goal, GFP_KERNEL, at);
}

/* ---- no goal ---- */

/* What comes from a magazine and its refills lies in a row, if nothing is freed. */
static void extents_of_one_size_ascend_and_adjoin(struct kunit *test)
{
	unsigned int i, k;
	u64 end, at;

	for (i = 0; i < ARRAY_SIZE(common); i++) {
		u32 len = common[i];

		start(test, 4 * GIB);
		end = alloc(test, len) + len;
		for (k = 1; k * len < 4 * FILE_BLOCKS; k++) {
			at = alloc(test, len);
			/* a slab ends with a rest where the length does not divide it */
			if (at != end)
				KUNIT_ASSERT_EQ_MSG(test, at, round_up(end, UNIT), "length %u",
						    len);
			KUNIT_ASSERT_LT(test, at - end, len);
			end = at + len;
		}
	}
}

/* ---- hits ---- */

static void goal_is_met_by_a_hit(struct kunit *test)
{
	u64 at, next;
	u64 hits;

	start(test, GIB);
	next = alloc(test, 16) + 16;
	hits = stat(test)->hits;
	for (; stat(test)->cached; next += 16) {
		KUNIT_ASSERT_EQ(test, alloc_at(test, next, 16, &at), 0);
		KUNIT_ASSERT_EQ(test, at, next);
		KUNIT_ASSERT_EQ(test, stat(test)->hits, ++hits);
	}
	expect_account(test, next, next / 16);
}

/* Behind the last object of a slab there may be a rest, in which no object begins. */
static void goal_in_the_rest_of_a_slab_is_no_object(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 at, rest, got;

	start(test, GIB);
	at = alloc(test, 3);
	hapool_drain(&f->p);
	rest = round_up(at + 1, UNIT) - 1;
	KUNIT_ASSERT_EQ(test, alloc_at(test, rest, 3, &got), 0);
	KUNIT_EXPECT_NE(test, got, rest);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	expect_account(test, 6, 2);
}

/* Objects that were freed since lie above the one at the goal. */
static void goal_is_met_by_a_hit_among_freed_objects(struct kunit *test)
{
	u64 at[8], next, got, hits;
	unsigned int i;

	start(test, GIB);
	for (i = 0; i < ARRAY_SIZE(at); i++)
		at[i] = alloc(test, 3);
	next = at[7] + 3;
	for (i = 0; i < 7; i++)
		expect_freed(test, at[i], 3);
	hits = stat(test)->hits;
	KUNIT_ASSERT_EQ(test, alloc_at(test, next, 3, &got), 0);
	KUNIT_EXPECT_EQ(test, got, next);
	KUNIT_EXPECT_EQ(test, stat(test)->hits, hits + 1);
	/* the others are as before: first the one that was freed last, then the row */
	for (i = 7; i--;)
		KUNIT_EXPECT_EQ(test, alloc(test, 3), at[i]);
	KUNIT_EXPECT_EQ(test, alloc(test, 3), next + 3);
}

/* A file that grows alone is in one piece, and a magazine is refilled with what follows. */
static void file_that_grows_alone_is_one_extent(struct kunit *test)
{
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(common); i++) {
		u32 len = common[i];
		u64 first, at, misses;

		if (!is_power_of_2(len))
			continue;
		start(test, 4 * GIB);
		first = alloc(test, len);
		for (k = 1; k * len < 4 * FILE_BLOCKS; k++) {
			KUNIT_ASSERT_EQ(test, alloc_at(test, first + k * len, len, &at), 0);
			KUNIT_ASSERT_EQ_MSG(test, at, first + k * len, "length %u", len);
		}
		misses = stat(test)->misses;
		/* half of a magazine is 32 objects, or as many as are in 2 MiB */
		if (len <= 16)
			KUNIT_EXPECT_LE_MSG(test, misses, k / 32 + 8, "length %u", len);
	}
}

/* A goal past the end, which no aligned place follows, is none: the extent lies as without it. */
static void goal_before_the_largest_number_is_none(struct kunit *test)
{
	static const u16 lens[] = { 3, 16, 300 };
	struct fixture *f = test->priv;
	u64 without, at, align;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lens); i++)
		for (align = 1; align <= UNIT; align *= 16) {
			start(test, GIB);
			KUNIT_ASSERT_EQ(test, claim(test, UNIT, 5), 0);
			KUNIT_ASSERT_EQ(test, hapool_alloc(&f->p, lens[i], align, HAPOOL_NO_GOAL,
							   GFP_KERNEL, &without), 0);
			start(test, GIB);
			KUNIT_ASSERT_EQ(test, claim(test, UNIT, 5), 0);
			KUNIT_ASSERT_EQ(test, hapool_alloc(&f->p, lens[i], align, U64_MAX - 1,
							   GFP_KERNEL, &at), 0);
			KUNIT_EXPECT_EQ_MSG(test, at, without, "length %u, alignment %llu",
					    lens[i], align);
		}
}

/* ---- objects of slabs ---- */

/* In a slab of its own class a goal takes an object; in one of another it takes none. */
static void goal_takes_objects_of_its_own_class(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 at[64], got;
	unsigned int i;

	start(test, GIB);
	for (i = 0; i < ARRAY_SIZE(at); i++)
		at[i] = alloc(test, 4);
	for (i = 1; i < ARRAY_SIZE(at); i += 2)
		expect_freed(test, at[i], 4);
	hapool_drain(&f->p);
	KUNIT_ASSERT_EQ(test, alloc_at(test, at[31], 4, &got), 0);
	KUNIT_EXPECT_EQ(test, got, at[31]);
	/* not aligned to an object; of another length */
	KUNIT_ASSERT_EQ(test, alloc_at(test, at[33] + 1, 4, &got), 0);
	KUNIT_EXPECT_NE(test, got, at[33] + 1);
	KUNIT_ASSERT_EQ(test, alloc_at(test, at[35], 3, &got), 0);
	KUNIT_EXPECT_NE(test, got, at[35]);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	/* the last object of a slab is taken out of its list; the rest is found without a goal */
	for (i = 1; i < ARRAY_SIZE(at); i += 2)
		if (i != 31) {
			KUNIT_ASSERT_EQ(test, alloc_at(test, at[i], 4, &got), 0);
			KUNIT_EXPECT_EQ(test, got, at[i]);
		}
	expect_freed(test, at[1], 4);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
}

/* ---- windows ---- */

struct stream {
	u64 used;
	u64 end;
	unsigned int pieces;
};

static int append(struct kunit *test, struct stream *f, u32 len)
{
	u64 at;
	int ret = alloc_at(test, f->used ? f->end : HAPOOL_NO_GOAL, len, &at);

	if (ret)
		return ret;
	f->pieces += !f->used || at != f->end;
	f->used += len;
	f->end = at + len;
	return 0;
}

/* Each file gets a window. */
static void files_by_turns_have_two_pieces_each(struct kunit *test)
{
	static const u8 lens[] = { 1, 4, 16, 17, 64 };
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		struct stream files[NR_FILES] = {};
		u32 len = lens[i];

		start(test, 4 * GIB);
		for (k = 0; files[k % NR_FILES].used + len <= FILE_BLOCKS; k++)
			KUNIT_ASSERT_EQ(test, append(test, &files[k % NR_FILES], len), 0);
		for (k = 0; k < NR_FILES; k++)
			KUNIT_EXPECT_LE_MSG(test, files[k].pieces, 2, "length %u, file %u", len, k);
	}
}

/* Windows keep no space from others: files fill the device to the last block. */
static void files_by_turns_fill_the_device(struct kunit *test)
{
	struct stream files[NR_FILES] = {};
	struct fixture *f = test->priv;
	unsigned int k;
	u64 used = 0;
	int ret;

	start(test, GIB / 4 + 77);
	for (k = 0; ; k++) {
		ret = append(test, &files[k % NR_FILES], 1);
		if (ret)
			break;
		used++;
	}
	KUNIT_EXPECT_EQ(test, ret, -ENOSPC);
	KUNIT_EXPECT_EQ(test, used, GIB / 4 + 77);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
}

/*
 * Goals behind an extent that does not grow. Where nobody goes on, the next one is put: the extents
 * lie in as many windows as a group may have open, and in those that they fill.
 */
static void goals_that_nobody_continues_fill_few_windows(struct kunit *test)
{
	const u64 nr = 3 * NR_WINDOWS * WINDOW / 16;
	u64 goal = 33, at, i;

	start(test, 16 * GIB);
	KUNIT_ASSERT_EQ(test, claim(test, 0, 33), 0);
	KUNIT_ASSERT_EQ(test, claim(test, goal, 1), 0);
	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_EQ(test, alloc_at(test, goal, 16, &at), 0);
	/* the free end of the device is longer than without any reuse, and windows are aligned */
	KUNIT_EXPECT_GE(test, stat(test)->slab.largest_run + nr * 16 + (NR_WINDOWS + 1) * WINDOW,
			16 * GIB);
	KUNIT_EXPECT_EQ(test, stat(test)->charged, 34 + nr * 16);
}

/* A place in the middle of an extent, or behind free space, is none to go on from: no window. */
static void window_is_for_what_goes_on(struct kunit *test)
{
	u64 at;

	start(test, 4 * GIB);
	KUNIT_ASSERT_EQ(test, claim(test, 0, 33), 0);
	KUNIT_ASSERT_EQ(test, alloc_at(test, 32, 16, &at), 0);
	KUNIT_EXPECT_EQ(test, at, 33);
	KUNIT_ASSERT_EQ(test, claim(test, 51, 1), 0);
	KUNIT_ASSERT_EQ(test, alloc_at(test, 51, 4, &at), 0);
	KUNIT_EXPECT_EQ(test, at, 52);
	/* this goal is where the extent ends that is before it */
	KUNIT_ASSERT_EQ(test, alloc_at(test, 33, 4, &at), 0);
	/* the claims have made their slot a mixed one */
	KUNIT_EXPECT_EQ(test, at, SLOT);
}

/* The window is behind the goal, if there is space not far from it. */
static void window_is_behind_the_goal(struct kunit *test)
{
	u64 at;

	start(test, 16 * GIB);
	KUNIT_ASSERT_EQ(test, claim(test, 5 * GIB, 5), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 5 * GIB + 5, 5), 0);
	KUNIT_ASSERT_EQ(test, alloc_at(test, 5 * GIB + 5, 4, &at), 0);
	KUNIT_EXPECT_EQ(test, at, 5 * GIB + SLOT);
	/* nothing is free for a GiB behind it: anywhere */
	KUNIT_ASSERT_EQ(test, claim(test, 8 * GIB, 1), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 8 * GIB + 1, GIB), 0);
	KUNIT_ASSERT_EQ(test, alloc_at(test, 8 * GIB + 1, 4, &at), 0);
	KUNIT_EXPECT_EQ(test, at % WINDOW, 0);
}

/* Without free blocks, files share the longest free run: each begins in the middle of a rest. */
static void files_by_turns_share_a_free_run(struct kunit *test)
{
	struct stream files[4] = {};
	unsigned int k;

	start(test, GIB);
	/* the last slot has a mixed part with one long run, and nothing else is free */
	KUNIT_ASSERT_EQ(test, claim(test, GIB - 1, 1), 0);
	KUNIT_ASSERT_EQ(test, claim(test, GIB - 4000, 4), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 0, GIB - 4000), 0);
	for (k = 0; k < ARRAY_SIZE(files); k++)
		files[k] = (struct stream) { .used = 1, .end = GIB - 4000 };
	for (k = 0; k < 4 * 50; k++)
		KUNIT_ASSERT_EQ(test, append(test, &files[k % 4], 4), 0);
	for (k = 0; k < 4; k++)
		KUNIT_EXPECT_LE_MSG(test, files[k].pieces, 2, "file %u", k);
}

/* ---- how much is looked at ---- */

/* However many units are taken behind the goal, a window takes few steps, and one group's lock. */
static void window_takes_few_steps(struct kunit *test)
{
	unsigned long before;
	u64 at, i;

	start(test, 4 * GIB);
	for (i = 0; i < 2 * GIB; i += 2 * UNIT)
		KUNIT_ASSERT_EQ(test, claim(test, i, UNIT), 0);
	KUNIT_ASSERT_EQ(test, claim(test, UNIT, 8), 0);
	KUNIT_ASSERT_EQ(test, claim(test, UNIT + 8, 8), 0);
	ha_holds_reset();
	before = ha_steps_done();
	KUNIT_ASSERT_EQ(test, alloc_at(test, UNIT + 8, 4, &at), 0);
	KUNIT_EXPECT_EQ(test, at % WINDOW, 0);
	KUNIT_EXPECT_LE(test, ha_steps_done() - before, 100);
	KUNIT_EXPECT_EQ(test, ha_longest_hold(HA_LOCK_ALL), 0);
	/* and what goes on in it, fewer */
	for (i = 1; i < 100; i++) {
		before = ha_steps_done();
		KUNIT_ASSERT_EQ(test, alloc_at(test, at + 4 * i, 4, &at), 0);
		KUNIT_EXPECT_LE(test, ha_steps_done() - before, 20);
		at -= 4 * i;
	}
	KUNIT_EXPECT_EQ(test, ha_longest_hold(HA_LOCK_ALL), 0);
}

/* ---- memory ---- */

static void failing_memory_for_a_window_changes_nothing(struct kunit *test)
{
	static const gfp_t gfps[] = { GFP_NOWAIT, GFP_KERNEL };
	struct fixture *f = test->priv;
	unsigned long nth, failed = 0, delivered;
	unsigned int g;
	u64 at, end;
	int ret;

	for (g = 0; g < ARRAY_SIZE(gfps); g++)
		for (nth = 1; ; nth++) {
			start(test, 4 * GIB);
			/* the window is in the next dir, which has no table yet */
			KUNIT_ASSERT_EQ(test, claim(test, GIB - 5, 5), 0);
			KUNIT_ASSERT_EQ(test, claim(test, GIB, 2 * UNIT), 0);
			hatest_inject_start(nth, 0, false);
			ret = hapool_alloc(&f->p, 4, 1, GIB, gfps[g], &at);
			end = at + 4;
			delivered = hatest_inject_stop();
			failed += delivered;
			if (ret)
				KUNIT_EXPECT_EQ(test, ret, g ? -ENOMEM : -EAGAIN);
			else
				expect_freed(test, end - 4, 4);
			expect_freed(test, GIB - 5, 5);
			expect_freed(test, GIB, 2 * UNIT);
			expect_all_comes_back(test);
			if (!delivered)
				break;
		}
	KUNIT_EXPECT_GT(test, failed, 1);
}

/* ---- random ---- */

/* Files grow and are removed by turns, on several CPUs; the model knows what is whose. */
static void random_files(struct kunit *test)
{
	struct hatest_model *m = hatest_model(test, 64 * 1024);
	struct hatest_rng rng = hatest_rng(test);
	struct fixture *f = test->priv;
	unsigned long i;
	u64 goal, len, at;
	int ret;

	f->nr_groups = 3;
	start(test, 64 * 1024);
	model_start(test, m);
	for (i = 0; i < hatest_ops; i++) {
		if (!hatest_below(&rng, 64))
			hatest_on_cpu(hatest_below(&rng, 3));
		if (m->nr == HATEST_MAX_EXTENTS || (m->nr && !hatest_below(&rng, 3))) {
			free_extent(test, m, hatest_below(&rng, m->nr));
			continue;
		}
		goal = HAPOOL_NO_GOAL;
		if (m->nr && hatest_below(&rng, 8)) {
			const struct hatest_extent *e = &m->extents[hatest_below(&rng, m->nr)];

			goal = e->start + e->len;
		}
		len = hatest_below(&rng, 4) ? common[hatest_below(&rng, 17)] :
					      1 + hatest_below(&rng, 300);
		ret = alloc_at(test, goal, len, &at);
		KUNIT_ASSERT_EQ(test, ret, hatest_model_fits(m, len, 1) ? 0 : -ENOSPC);
		if (ret)
			continue;
		KUNIT_ASSERT_TRUE(test, hatest_model_free(m, at, len));
		hatest_model_add(m, at, len);
		if (!hatest_below(&rng, 1000))
			expect_account_of_model(test, m);
	}
	hatest_on_any_cpu();
	expect_runs(test, m);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	free_all(test, m, &rng);
	expect_all_comes_back(test);
}

/* A window that was made for another goal is used only if it is not far away, on either side. */
static void window_far_from_the_goal_is_not_used(struct kunit *test)
{
	struct haslab *s = &((struct fixture *)test->priv)->p.slab;
	static const u64 goals[] = { 10 * GIB, GIB };
	struct haslab_window *w;
	unsigned int i;
	u64 at;

	start(test, 16 * GIB);
	for (i = 0; i < ARRAY_SIZE(goals); i++) {
		KUNIT_ASSERT_EQ(test, claim(test, goals[i] - 17, 17), 0);
		KUNIT_ASSERT_EQ(test, claim(test, goals[i], 17), 0);
		for (w = s->groups[0].windows; w < s->groups[0].windows + NR_WINDOWS; w++)
			*w = (struct haslab_window) { .start = 5 * GIB + 100, .len = WINDOW };
		KUNIT_ASSERT_EQ(test, alloc_at(test, goals[i], 17, &at), 0);
		KUNIT_EXPECT_GT(test, at, goals[i]);
		KUNIT_EXPECT_LT(test, at, goals[i] + GIB);
	}
}

static struct kunit_case append_cases[] = {
	KUNIT_CASE(extents_of_one_size_ascend_and_adjoin),
	KUNIT_CASE(goal_is_met_by_a_hit),
	KUNIT_CASE(goal_in_the_rest_of_a_slab_is_no_object),
	KUNIT_CASE(goal_is_met_by_a_hit_among_freed_objects),
	KUNIT_CASE(file_that_grows_alone_is_one_extent),
	KUNIT_CASE(goal_before_the_largest_number_is_none),
	KUNIT_CASE(goal_takes_objects_of_its_own_class),
	KUNIT_CASE(files_by_turns_have_two_pieces_each),
	KUNIT_CASE(files_by_turns_fill_the_device),
	KUNIT_CASE(goals_that_nobody_continues_fill_few_windows),
	KUNIT_CASE(window_is_for_what_goes_on),
	KUNIT_CASE(window_is_behind_the_goal),
	KUNIT_CASE(files_by_turns_share_a_free_run),
	KUNIT_CASE(window_takes_few_steps),
	KUNIT_CASE(window_far_from_the_goal_is_not_used),
	KUNIT_CASE(failing_memory_for_a_window_changes_nothing),
	KUNIT_CASE(random_files),
	{}
};

static struct kunit_suite append_suite = {
	.name = "append",
	.init = pool_test_init,
	.exit = pool_test_exit,
	.test_cases = append_cases,
};

kunit_test_suite(append_suite);
