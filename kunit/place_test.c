// SPDX-License-Identifier: GPL-2.0
/*
 * Where extents are placed: goals, alignments, sizes beyond 4 GiB, and allocators of
 * unusual shapes.
 */
#include "pool_fixture.h"

#define GIB	(1ULL << 18)	/* blocks */

static int alloc_at(struct kunit *test, u64 goal, u64 len, u64 align, u64 *at)
{
	struct fixture *f = test->priv;

	return hapool_alloc(&f->p, len, align, goal, GFP_KERNEL, at);
}

static int alloc_aligned(struct kunit *test, u64 len, u64 align, u64 *at)
{
	return alloc_at(test, HAPOOL_NO_GOAL, len, align, at);
}

/* ---- goals ---- */

static const u32 lens[] = { 1, 3, 16, 17, 100, 256, 300, 1000, 1024, 5000, 16384, 20000, 1 << 20 };

static void free_goal_is_met(struct kunit *test)
{
	/* at borders of units, slots and dirs, beyond 4 GiB, and in between */
	static const u64 goals[] = {
		0, 1, 255, 256, 257, 12345, 16383, 16384, 16385, 4 * GIB - 1, 4 * GIB,
		5 * GIB + 77, 11 * GIB - 1,
	};
	unsigned int i, j;
	u64 at;

	start(test, 16 * GIB + 77);
	for (i = 0; i < ARRAY_SIZE(goals); i++)
		for (j = 0; j < ARRAY_SIZE(lens); j++) {
			KUNIT_ASSERT_EQ(test, alloc_at(test, goals[i], lens[j], 1, &at), 0);
			KUNIT_EXPECT_EQ_MSG(test, at, goals[i], "length %u", lens[j]);
			expect_account(test, lens[j], 1);
			expect_freed(test, at, lens[j]);
		}
	expect_all_comes_back(test);
	/* the last place on the device */
	for (j = 0; j < ARRAY_SIZE(lens); j++) {
		u64 last = 16 * GIB + 77 - lens[j];

		KUNIT_ASSERT_EQ(test, alloc_at(test, last, lens[j], 1, &at), 0);
		KUNIT_EXPECT_EQ_MSG(test, at, last, "length %u", lens[j]);
		expect_freed(test, at, lens[j]);
	}
	expect_all_comes_back(test);
}

static void file_grows_where_it_ends(struct kunit *test)
{
	u64 at, end = 3 * UNIT + 5;
	unsigned int j;

	start(test, 16 * GIB);
	for (j = 0; j < ARRAY_SIZE(lens); j++) {
		KUNIT_ASSERT_EQ(test, alloc_at(test, end, lens[j], 1, &at), 0);
		KUNIT_EXPECT_EQ(test, at, end);
		end = at + lens[j];
	}
	for (end = 3 * UNIT + 5, j = 0; j < ARRAY_SIZE(lens); end += lens[j], j++)
		expect_freed(test, end, lens[j]);
	expect_all_comes_back(test);
}

/*
 * Three holes are free: one before the goal, one soon after it, and one far after it. The
 * holes between the goal and the second one are too short.
 */
static void nearest_hole_behind_a_taken_goal_then_any(struct kunit *test)
{
	const u64 nr = 4 * GIB, goal = GIB + 1000;
	unsigned int j, k;

	for (j = 0; lens[j] < GIB / 4; j++) {
		u64 len = lens[j], at, pos = 0, free = 0, holes[6], n = 0;
		u64 first = GIB / 2 + 3, second = goal + 4 * len + 300, third = 3 * GIB;

		holes[n++] = first;
		for (k = 1; k < 4 && len > 1; k++)
			holes[n++] = goal + k * len;
		holes[n++] = second;
		holes[n++] = third;
		start(test, nr);
		for (k = 0; k < n; k++) {
			u64 size = holes[k] > first && holes[k] < second ? len - 1 : len;

			KUNIT_ASSERT_EQ(test, claim(test, pos, holes[k] - pos), 0);
			pos = holes[k] + size;
			free += size;
		}
		KUNIT_ASSERT_EQ(test, claim(test, pos, nr - pos), 0);
		expect_account(test, nr - free, n + 1);

		KUNIT_ASSERT_EQ(test, alloc_at(test, goal, len, 1, &at), 0);
		KUNIT_EXPECT_EQ_MSG(test, at, second, "length %llu", len);
		/* a goal never makes a call fail, even if only space before it is left */
		KUNIT_ASSERT_EQ(test, alloc_at(test, goal, len, 1, &at), 0);
		KUNIT_EXPECT_TRUE(test, at == first || at == third);
		KUNIT_ASSERT_EQ(test, alloc_at(test, goal, len, 1, &at), 0);
		KUNIT_EXPECT_TRUE(test, at == first || at == third);
		expect_account(test, nr - free + 3 * len, n + 4);
		/* only lack of space does */
		KUNIT_EXPECT_EQ(test, alloc_at(test, goal, len, 1, &at), -ENOSPC);
		KUNIT_EXPECT_EQ(test, alloc_at(test, first, len, 1, &at), -ENOSPC);
		expect_account(test, nr - free + 3 * len, n + 4);
	}
}

static void only_hole_is_before_the_goal(struct kunit *test)
{
	static const u64 goals[] = { 5, 6, UNIT, GIB, 8 * GIB - 1 };
	unsigned int i;
	u64 at;

	start(test, 8 * GIB);
	KUNIT_ASSERT_EQ(test, claim(test, 0, 2), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 5, 8 * GIB - 5), 0);
	for (i = 0; i < ARRAY_SIZE(goals); i++) {
		KUNIT_EXPECT_EQ(test, alloc_at(test, goals[i], 4, 1, &at), -ENOSPC);
		KUNIT_ASSERT_EQ(test, alloc_at(test, goals[i], 3, 1, &at), 0);
		KUNIT_EXPECT_EQ(test, at, 2);
		expect_freed(test, 2, 3);
	}
	expect_freed(test, 0, 2);
	expect_freed(test, 5, 8 * GIB - 5);
	expect_all_comes_back(test);
}

static void alignment_comes_before_the_goal(struct kunit *test)
{
	u64 align, at, goal = 2 * GIB + 777;
	unsigned int j;

	start(test, 16 * GIB);
	for (align = 1; align <= GIB; align *= 2)
		for (j = 0; j < ARRAY_SIZE(lens); j++) {
			KUNIT_ASSERT_EQ(test, alloc_at(test, goal, lens[j], align, &at), 0);
			KUNIT_EXPECT_EQ_MSG(test, at, round_up(goal, align),
					    "length %u, alignment %llu", lens[j], align);
			expect_freed(test, at, lens[j]);
		}
	expect_all_comes_back(test);
}

/* The managed space begins at block 300: nothing lies before it, or after its end. */
static void goal_outside_of_the_space_is_none(struct kunit *test)
{
	const struct haslab_config cfg = {
		.first_block = 300, .nr_blocks = 10000, .unit_shift = 8, .slab_max = UNIT,
	};
	static const u64 goals[] = {
		0, 299, 300, 9999, 10000, 10001, 1 << 20, 1ULL << 32, 1ULL << 62, 1ULL << 63,
		U64_MAX - 1,
	};
	unsigned int i, j;
	u64 at;

	start_cfg(test, &cfg);
	for (i = 0; i < ARRAY_SIZE(goals); i++)
		for (j = 0; lens[j] <= 9700; j++) {
			KUNIT_ASSERT_EQ_MSG(test, alloc_at(test, goals[i], lens[j], 1, &at), 0,
					    "goal %llu, length %u", goals[i], lens[j]);
			KUNIT_EXPECT_GE(test, at, 300);
			KUNIT_EXPECT_LE(test, at + lens[j], 10000);
			expect_freed(test, at, lens[j]);
		}
	/* full */
	KUNIT_ASSERT_EQ(test, alloc_at(test, 0, 9700, 1, &at), 0);
	for (i = 0; i < ARRAY_SIZE(goals); i++)
		KUNIT_EXPECT_EQ(test, alloc_at(test, goals[i], 1, 1, &at), -ENOSPC);
	expect_freed(test, 300, 9700);
	expect_all_comes_back(test);
}

/* Extents freed near the goal may be cached, between live ones. */
static void goal_among_extents_of_the_pools(struct kunit *test)
{
	struct hatest_model *m = hatest_model(test, 1500);
	u64 at;
	int i;

	start(test, 1500);
	model_start(test, m);
	for (i = 0; i < 1500; i++)
		hatest_model_add(m, alloc(test, 1), 1);
	for (i = 700; i < 710; i++) {
		enum hybrid_alloc_reason reason;

		expect_freed(test, i, 1);
		hatest_model_remove(m, i, 1, &reason);
	}
	KUNIT_EXPECT_EQ(test, alloc_at(test, 700, 11, 1, &at), -ENOSPC);
	KUNIT_ASSERT_EQ(test, alloc_at(test, 702, 5, 1, &at), 0);
	KUNIT_ASSERT_TRUE(test, hatest_model_free(m, at, 5));
	hatest_model_add(m, at, 5);
	for (i = 0; i < 5; i++) {
		KUNIT_ASSERT_EQ(test, alloc_at(test, 705, 1, 1, &at), 0);
		KUNIT_ASSERT_TRUE(test, hatest_model_free(m, at, 1));
		hatest_model_add(m, at, 1);
	}
	KUNIT_EXPECT_EQ(test, alloc_at(test, 702, 1, 1, &at), -ENOSPC);
	expect_account_of_model(test, m);
	while (m->nr)
		free_extent(test, m, 0);
	expect_all_comes_back(test);
}

static void goal_of_who_may_not_wait(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int j;
	u64 at;

	start(test, 16 * GIB);
	for (j = 0; j < ARRAY_SIZE(lens); j++) {
		KUNIT_ASSERT_EQ(test, hapool_alloc(&f->p, lens[j], 1, 777, GFP_NOWAIT, &at), 0);
		KUNIT_EXPECT_EQ(test, at, 777);
		expect_freed(test, at, lens[j]);
	}
	expect_all_comes_back(test);
}

/* The look for space near the goal ends in another GiB, so it takes more than one hold. */
static void goal_under_a_spinlock_does_not_sleep(struct kunit *test)
{
	struct fixture *f = test->priv;
	static DEFINE_SPINLOCK(lock);
	int ret;
	u64 at;

	start(test, 16 * GIB);
	KUNIT_ASSERT_EQ(test, claim(test, 0, 2 * GIB + 5), 0);
	spin_lock(&lock);
	ret = hapool_alloc(&f->p, 3, 1, GIB - 1, GFP_NOWAIT, &at);
	spin_unlock(&lock);
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_EQ(test, at, 2 * GIB + 5);
	expect_freed(test, at, 3);
	expect_freed(test, 0, 2 * GIB + 5);
	expect_all_comes_back(test);
}

/* ---- how much is looked at ---- */

#define SLOT	(16 * UNIT)
/* A step is half a word of a bitmap: with words of 32 bits there are more. */
#define STEPS		(4000 * (64 / BITS_PER_LONG))
#define HOLD	2000	/* while all groups are shut out */

/* The steps of an allocation that gives @ret. */
static void expect_steps(struct kunit *test, u64 goal, u64 len, u64 align, int ret, long most)
{
	long before = ha_steps_done();
	u64 at;

	ha_holds_reset();
	KUNIT_EXPECT_EQ(test, alloc_at(test, goal, len, align, &at), ret);
	KUNIT_EXPECT_LE_MSG(test, ha_steps_done() - before, most, "length %llu, alignment %llu",
			    len, align);
	KUNIT_EXPECT_LE_MSG(test, ha_longest_hold(HA_LOCK_ALL), HOLD,
			    "length %llu, alignment %llu", len, align);
	if (!ret)
		expect_freed(test, at, len);
}

/* Live blocks, one by one, in @nr slots that are full but for the blocks that @hole is true for. */
static void claim_blocks(struct kunit *test, u64 nr, bool (*hole)(u64 block))
{
	u64 i;

	for (i = 0; i < nr * SLOT; i++)
		if (!hole || !hole(i))
			KUNIT_ASSERT_EQ(test, claim(test, i, 1), 0);
}

static bool one_in_each_slot(u64 block)
{
	return block % SLOT == 77;
}

static bool every_second(u64 block)
{
	return block % 2;
}

static void goal_before_live_blocks(struct kunit *test)
{
	start(test, GIB);
	claim_blocks(test, 8, NULL);
	expect_steps(test, 0, 1, 1, 0, STEPS);
	expect_steps(test, 5 * SLOT + 7, 100, 1, 0, STEPS);
}

static void goal_before_holes_that_are_too_short(struct kunit *test)
{
	u64 at;

	start(test, GIB);
	claim_blocks(test, 8, one_in_each_slot);
	expect_steps(test, 0, 2, 1, 0, STEPS);
	/* the hole in the next slot fits, and is still found */
	KUNIT_EXPECT_EQ(test, alloc_at(test, 78, 1, 1, &at), 0);
	KUNIT_EXPECT_EQ(test, at, SLOT + 77);
	/* the run after the full slots, which is in another one */
	KUNIT_EXPECT_EQ(test, alloc_at(test, 0, 2, 1, &at), 0);
	KUNIT_EXPECT_EQ(test, at, 8 * SLOT);
}

static void goal_before_slots_of_many_holes(struct kunit *test)
{
	start(test, GIB);
	claim_blocks(test, 8, every_second);
	expect_steps(test, 0, 2, 1, 0, STEPS);
	expect_steps(test, 1, 1, 2, 0, STEPS);
}

/* Slabs of equal objects: a goal takes no more than the object at it. */
static void goal_before_equal_objects(struct kunit *test)
{
	u64 at, i;

	start(test, 8 * SLOT);
	while (!try_alloc(test, 1, &at))
		;
	expect_steps(test, 0, 1, 1, -ENOSPC, STEPS);
	for (i = 1; i < 8 * SLOT; i += 2)
		expect_freed(test, i, 1);
	expect_steps(test, 0, 2, 1, -ENOSPC, STEPS);
	expect_steps(test, 0, 1, 1, 0, STEPS);
}

/* The free run at the goal goes on in a slab of equal objects, which a goal leaves alone. */
static void goal_in_a_run_that_ends_in_a_slab(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 at, object;

	start(test, 2 * SLOT);
	KUNIT_ASSERT_EQ(test, claim(test, 0, SLOT - 56), 0);
	/* the claim has made all of the first slot a mixed one */
	object = alloc(test, 1);
	KUNIT_ASSERT_EQ(test, object, SLOT);
	at = alloc(test, 1);
	KUNIT_ASSERT_EQ(test, at, SLOT + 1);
	expect_freed(test, object, 1);
	hapool_drain(&f->p);
	KUNIT_EXPECT_EQ(test, haslab_alloc_near(&f->p.slab, 57, 1, SLOT - 56, GFP_KERNEL, &at), 0);
	KUNIT_EXPECT_EQ(test, at, SLOT + UNIT);
	KUNIT_EXPECT_EQ(test, haslab_alloc_near(&f->p.slab, 56, 1, SLOT - 56, GFP_KERNEL, &at), 0);
	KUNIT_EXPECT_EQ(test, at, SLOT - 56);
}

/* Every second unit is live, so there are as many free runs that are too short. */
static void goal_before_live_units(struct kunit *test)
{
	struct fixture *f = test->priv;
	long before;
	u64 i;

	start(test, 8 * GIB);
	for (i = 0; i < 8 * GIB; i += 2 * UNIT)
		KUNIT_ASSERT_EQ(test, claim(test, i, UNIT), 0);
	before = ha_steps_done();
	ha_holds_reset();
	KUNIT_EXPECT_EQ(test, haslab_alloc_near(&f->p.slab, UNIT + 1, 1, 0, GFP_KERNEL, &i),
			-ENOSPC);
	KUNIT_EXPECT_LE(test, ha_steps_done() - before, STEPS);
	KUNIT_EXPECT_LE(test, ha_longest_hold(HA_LOCK_ALL), HOLD);
}

/* Only odd blocks are free. The first refusal makes the sums, in many holds. */
static void alignment_that_no_hole_has(struct kunit *test)
{
	u64 align;

	start(test, 16 * SLOT);
	claim_blocks(test, 16, every_second);
	expect_steps(test, HAPOOL_NO_GOAL, 1, 2, -ENOSPC, STEPS);
	for (align = 2; align < 1ULL << 62; align *= 2)
		expect_steps(test, HAPOOL_NO_GOAL, 1, align, -ENOSPC, 700);
	expect_steps(test, HAPOOL_NO_GOAL, 2, 1, -ENOSPC, 700);
	/* a change elsewhere costs the sum of its dir only */
	expect_freed(test, 0, 1);
	KUNIT_ASSERT_EQ(test, claim(test, 0, 1), 0);
	expect_steps(test, HAPOOL_NO_GOAL, 1, 2, -ENOSPC, STEPS);
	/* an even block */
	expect_freed(test, 4098, 1);
	expect_steps(test, HAPOOL_NO_GOAL, 1, 2, 0, STEPS);
	expect_steps(test, HAPOOL_NO_GOAL, 3, 2, -ENOSPC, STEPS);
	/* with the odd one before it and the one after it */
	expect_steps(test, HAPOOL_NO_GOAL, 3, 1, 0, STEPS);
}

static bool every_second_of_even_units(u64 block)
{
	return block / UNIT % 2 || block % 2;
}

/* The mixed part of a slot is in 8 pieces, each between two extents of a unit. */
static void pieces_of_mixed_parts(struct kunit *test)
{
	u64 i;

	start(test, 16 * SLOT);
	for (i = UNIT; i < 16 * SLOT; i += 2 * UNIT)
		KUNIT_ASSERT_EQ(test, claim(test, i, UNIT), 0);
	claim_blocks(test, 16, every_second_of_even_units);
	expect_steps(test, HAPOOL_NO_GOAL, 2, 1, -ENOSPC, STEPS);
	expect_steps(test, HAPOOL_NO_GOAL, 1, 2, -ENOSPC, STEPS);
}

/*
 * Many slots have free ends, none long enough for an extent of more than a slot: one that is in the
 * buddy is found all the same, without a search.
 */
static void buddy_is_asked_after_many_slots(struct kunit *test)
{
	const struct haslab_config cfg = {
		.nr_blocks = 16 * GIB, .unit_shift = 8, .slab_max = UNIT, .nr_groups = 4,
	};
	struct fixture *f = test->priv;
	u64 slot, at, searches, align;
	unsigned int unit;
	int ret;

	start_cfg(test, &cfg);
	for (slot = 0; slot < 64; slot++) {
		hatest_on_cpu(slot % 4);
		/* all units become mixed, and an extent is left in the middle */
		for (unit = 0; unit < 16; unit++)
			KUNIT_ASSERT_EQ(test, claim(test, slot * SLOT + unit * UNIT + 130, 1), 0);
		for (unit = 0; unit < 16; unit++)
			if (unit != 8)
				expect_freed(test, slot * SLOT + unit * UNIT + 130, 1);
	}
	KUNIT_ASSERT_EQ(test, claim(test, 64 * SLOT, SLOT), 0);
	searches = stat(test)->searches;
	for (align = 1; align <= 4 * SLOT; align *= 4) {
		ret = hapool_alloc(&f->p, 20000, align, HAPOOL_NO_GOAL, GFP_NOWAIT, &at);
		KUNIT_ASSERT_EQ_MSG(test, ret, 0, "alignment %llu", align);
		expect_freed(test, at, 20000);
	}
	KUNIT_EXPECT_EQ(test, stat(test)->searches, searches);
	hatest_on_any_cpu();
}

/* Nothing can begin there, whatever is free: no pool is emptied, nothing is searched. */
static void no_place_has_the_alignment(struct kunit *test)
{
	const struct haslab_config cfg = {
		.first_block = 300, .nr_blocks = 10000, .unit_shift = 8, .slab_max = UNIT,
	};
	struct fixture *f = test->priv;
	u64 searches, align, at;
	long steps;

	start_cfg(test, &cfg);
	searches = stat(test)->searches;
	for (align = 1ULL << 14; align <= 1ULL << 62; align *= 2)
		expect_steps(test, HAPOOL_NO_GOAL, 1, align, -ENOSPC, 200);
	expect_steps(test, HAPOOL_NO_GOAL, 2000, 1ULL << 13, -ENOSPC, 200);
	expect_steps(test, HAPOOL_NO_GOAL, 9701, 1, -ENOSPC, 200);
	KUNIT_EXPECT_EQ(test, stat(test)->searches, searches);
	/* nor does a search look at anything */
	steps = ha_steps_done();
	KUNIT_EXPECT_EQ(test, haslab_find(&f->p.slab, 2000, 1ULL << 13, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, haslab_find(&f->p.slab, 1, 1ULL << 14, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, ha_steps_done(), steps);
	expect_steps(test, HAPOOL_NO_GOAL, 1808, 1ULL << 13, 0, 2000);
	expect_steps(test, HAPOOL_NO_GOAL, 9700, 1, 0, 2000);
}

/* Half of the objects of 64K are free, none beside another. Others come and go meanwhile. */
static void refusal_after_a_change(struct kunit *test)
{
	u64 at, i;

	start(test, 4 * GIB);
	while (!try_alloc(test, 16, &at))
		;
	for (i = 16; i < 4 * GIB; i += 32)
		expect_freed(test, i, 16);
	expect_steps(test, HAPOOL_NO_GOAL, 32, 1, -ENOSPC, 4 * STEPS);
	for (i = 0; i < 20; i++) {
		KUNIT_ASSERT_EQ(test, try_alloc(test, 15, &at), 0);
		expect_steps(test, HAPOOL_NO_GOAL, 32, 1, -ENOSPC, STEPS);
	}
}

/* All is free but the blocks that are aligned. */
static void alignment_that_no_long_run_has(struct kunit *test)
{
	u64 at;

	start(test, 32 * GIB);
	for (at = 0; at < 32 * GIB; at += 4 * SLOT)
		KUNIT_ASSERT_EQ(test, claim(test, at, 1), 0);
	/* the pool keeps refusals: not of the length that is asked for later */
	expect_steps(test, HAPOOL_NO_GOAL, 2, 4 * SLOT, -ENOSPC, 4 * STEPS);
	expect_steps(test, HAPOOL_NO_GOAL, 1, 4 * SLOT, -ENOSPC, 100);
	expect_freed(test, 4 * SLOT, 1);
	KUNIT_ASSERT_EQ(test, claim(test, 4 * SLOT, 1), 0);
	/* of one dir one quad is added up again; no other has a place, so none is looked into */
	expect_steps(test, HAPOOL_NO_GOAL, 1, 4 * SLOT, -ENOSPC, 180);
}

/* ---- alignments ---- */

/* Only one place is aligned to 1 GiB. It is found, and after that none is. */
static void only_aligned_place_is_found(struct kunit *test)
{
	static const u64 sizes[] = { 1, 3, 16, 256, 1000, 20000, GIB - 1, GIB };
	u64 at, i, hole;
	unsigned int j;

	start(test, 9 * GIB);
	for (hole = 0; hole < 9; hole += 4)
		for (j = 0; j < ARRAY_SIZE(sizes); j++) {
			u64 len = sizes[j];

			for (i = 0; i < 9; i++)
				if (i != hole)
					KUNIT_ASSERT_EQ(test, claim(test, i * GIB, 1), 0);
			KUNIT_ASSERT_EQ(test, alloc_aligned(test, len, GIB, &at), 0);
			KUNIT_EXPECT_EQ(test, at, hole * GIB);
			expect_account(test, 8 + len, 9);
			KUNIT_EXPECT_EQ(test, alloc_aligned(test, len, GIB, &at), -ENOSPC);
			KUNIT_EXPECT_EQ(test, alloc_aligned(test, 1, GIB, &at), -ENOSPC);
			KUNIT_ASSERT_EQ(test, alloc_aligned(test, 1, GIB / 2, &at), 0);
			KUNIT_EXPECT_EQ(test, at % (GIB / 2), 0);
			expect_freed(test, at, 1);
			for (i = 0; i < 9; i++)
				expect_freed(test, i * GIB, i == hole ? len : 1);
			expect_all_comes_back(test);
		}
}

/* An alignment so large that only the first block has it. */
static void alignment_beyond_the_device(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 align, at;

	start(test, 100 * UNIT + 3);
	for (align = 1 << 15; align && align <= 1ULL << 60; align *= 2) {
		KUNIT_ASSERT_EQ_MSG(test, alloc_aligned(test, 5, align, &at), 0, "%llu", align);
		KUNIT_EXPECT_EQ(test, at, 0);
		KUNIT_EXPECT_EQ(test, alloc_aligned(test, 5, align, &at), -ENOSPC);
		KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
		expect_freed(test, 0, 5);
	}
	expect_all_comes_back(test);
}

/* More than a region has blocks, on a device with more places than are looked at one by one. */
static void alignment_to_more_than_a_region(struct kunit *test)
{
	const u64 align = 1 << 20;
	u64 pos, at;
	int i;

	start_shape(test, 260 * align, 0, 1);
	for (pos = 0; pos < 260 * align; pos += align)
		KUNIT_ASSERT_EQ(test, claim(test, pos, 1), 0);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, alloc_aligned(test, 5, align, &at), -ENOSPC);
		/* a change, so that it is looked for again */
		expect_freed(test, (100 + i) * align, 1);
		KUNIT_ASSERT_EQ(test, claim(test, (100 + i) * align, 1), 0);
	}
	expect_freed(test, 200 * align, 1);
	KUNIT_EXPECT_EQ(test, alloc_aligned(test, 5, align, &at), 0);
	KUNIT_EXPECT_EQ(test, at, 200 * align);
}

/*
 * Rows of free objects of three blocks, none of which is aligned as an object of its own: what an
 * aligned extent can have of a row is less than its length.
 */
static void alignment_in_rows_of_odd_objects(struct kunit *test)
{
	static const u32 rows[][2] = { { 4, 2 }, { 9, 3 }, { 20, 2 }, { 33, 4 }, { 50, 1 } };
	u32 i, k;
	u64 at;

	start(test, 4 * UNIT);
	while (!try_alloc(test, 3, &at))
		;
	while (!try_alloc(test, 1, &at))
		;
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		for (k = 0; k < rows[i][1]; k++)
			expect_freed(test, 3 * (rows[i][0] + k), 3);
	/* blocks 12 to 17, 27 to 35, 60 to 65, 99 to 110 and 150 to 152 */
	KUNIT_EXPECT_EQ(test, alloc_aligned(test, 12, 4, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, alloc_aligned(test, 11, 4, &at), 0);
	KUNIT_EXPECT_EQ(test, at, 100);
	KUNIT_EXPECT_EQ(test, alloc_aligned(test, 8, 4, &at), 0);
	KUNIT_EXPECT_EQ(test, at, 28);
	KUNIT_EXPECT_EQ(test, alloc_aligned(test, 7, 2, &at), -ENOSPC);
}

/* The only multiple of the alignment before the end is block 0, which is not managed. */
static void alignment_without_a_place(struct kunit *test)
{
	const struct haslab_config cfg = {
		.first_block = 5, .nr_blocks = GIB, .unit_shift = 8, .slab_max = UNIT,
		.nr_groups = 1,
	};
	struct fixture *f = test->priv;
	u64 at;

	start_cfg(test, &cfg);
	KUNIT_EXPECT_EQ(test, alloc_aligned(test, 5, 4 * GIB, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, haslab_search(&f->p.slab, 5, 4 * GIB, GFP_KERNEL, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, alloc_aligned(test, 5, GIB / 2, &at), 0);
	KUNIT_EXPECT_EQ(test, at, GIB / 2);
}

static void every_alignment_next_to_live_extents(struct kunit *test)
{
	u64 align, at, taken[19];
	unsigned int j, n = 0;

	/* these leave free runs with odd borders everywhere */
	start(test, 64 * GIB + 5);
	for (align = 1; align <= GIB; align *= 2) {
		KUNIT_ASSERT_EQ(test, alloc_aligned(test, 3, align, &taken[n]), 0);
		KUNIT_EXPECT_EQ(test, taken[n++] % align, 0);
	}
	for (align = 1; align <= GIB; align *= 2)
		for (j = 0; j < ARRAY_SIZE(lens); j++) {
			KUNIT_ASSERT_EQ_MSG(test, alloc_aligned(test, lens[j], align, &at), 0,
					    "length %u, alignment %llu", lens[j], align);
			KUNIT_EXPECT_EQ(test, at % align, 0);
			expect_account(test, 3 * n + lens[j], n + 1);
			expect_freed(test, at, lens[j]);
		}
	while (n--)
		expect_freed(test, taken[n], 3);
	expect_all_comes_back(test);
}

/* ---- sizes ---- */

static void largest_extent_is_the_device_and_no_block_more(struct kunit *test)
{
	static const u64 sizes[] = {
		1, 2, 3, 255, 256, 257, 1021, 16384, 16385, 65521, GIB - 1, GIB, 4 * GIB + 1,
		(1ULL << 32) + 77,
	};
	struct fixture *f = test->priv;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		u64 n = sizes[i], at;
		/* more than the device, and lengths of which the lower 32 bits would fit */
		u64 beyond[] = { n + 1, n + (1ULL << 32), 1ULL << 61 };

		start(test, n);
		for (j = 0; j < ARRAY_SIZE(beyond); j++) {
			KUNIT_EXPECT_EQ_MSG(test, try_alloc(test, beyond[j], &at), -ENOSPC,
					    "%llu of %llu", beyond[j], n);
			KUNIT_EXPECT_EQ(test, alloc_at(test, 0, beyond[j], 256, &at), -ENOSPC);
		}
		expect_all_comes_back(test);
		KUNIT_EXPECT_EQ(test, alloc(test, n), 0);
		expect_account(test, n, 1);
		KUNIT_EXPECT_EQ(test, try_alloc(test, 1, &at), -ENOSPC);
		/* hapool_check() visits each unit in use */
		if (n <= GIB)
			KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
		expect_freed(test, 0, n);
		expect_all_comes_back(test);
	}
}

static void extents_beyond_4_gib(struct kunit *test)
{
	static const u64 sizes[] = {
		(1ULL << 32) + 1, 20 * GIB + 77, 5 * GIB - 1, 4 * GIB + 1, 4 * GIB,
	};
	const u64 nr = (1ULL << 32) + 40 * GIB + 4567;
	enum hybrid_alloc_reason reason;
	struct fixture *f = test->priv;
	u64 at[ARRAY_SIZE(sizes)], sum = 0;
	unsigned int i, j;

	/* just over 16 TiB; all extents are live at the same time, the largest first */
	start(test, nr);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		at[i] = alloc(test, sizes[i]);
		sum += sizes[i];
		KUNIT_ASSERT_LE(test, at[i] + sizes[i], nr);
		for (j = 0; j < i; j++)
			KUNIT_ASSERT_TRUE(test, at[i] >= at[j] + sizes[j] ||
					  at[j] >= at[i] + sizes[i]);
	}
	expect_account(test, sum, ARRAY_SIZE(sizes));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		/* lengths that are equal in the lower 32 bits are still wrong */
		u64 wrong[] = { sizes[i] - 1, sizes[i] + (1ULL << 32), sizes[i] - (1ULL << 32) };

		for (j = 0; j < ARRAY_SIZE(wrong); j++) {
			if (wrong[j] > nr)
				continue;
			KUNIT_EXPECT_EQ(test, hapool_free(&f->p, at[i], wrong[j], &reason),
					-EINVAL);
			KUNIT_EXPECT_EQ(test, (int)reason, (int)HYBRID_ALLOC_REASON_WRONG_LENGTH);
		}
		KUNIT_EXPECT_EQ(test, hapool_free(&f->p, at[i] + sizes[i] / 2, 1, &reason),
				-EINVAL);
		KUNIT_EXPECT_EQ(test, (int)reason, (int)HYBRID_ALLOC_REASON_WRONG_START);
		KUNIT_EXPECT_EQ(test, claim(test, at[i] + sizes[i] / 2, 1), -EEXIST);
		expect_freed(test, at[i], sizes[i]);
		KUNIT_EXPECT_EQ(test, hapool_free(&f->p, at[i], sizes[i], &reason), -ENOENT);
	}
	expect_all_comes_back(test);
}

/* ---- shapes ---- */

/* Fills the device to the last block with all sizes, twice. */
static void fill_to_the_last_block(struct kunit *test, struct hatest_model *m)
{
	struct fixture *f = test->priv;
	unsigned int i, round;
	u64 at;

	for (round = 0; round < 2; round++) {
		model_start(test, m);
		for (i = ARRAY_SIZE(common); i; ) {
			int ret = try_alloc(test, common[i - 1], &at);

			if (!ret) {
				KUNIT_ASSERT_TRUE(test, hatest_model_free(m, at, common[i - 1]));
				hatest_model_add(m, at, common[i - 1]);
			} else {
				KUNIT_ASSERT_EQ(test, ret, -ENOSPC);
			}
			/* two extents of each large size, as many as possible of the small ones */
			if (ret || (i > 16 && m->nr % 2 == 0))
				i--;
		}
		KUNIT_EXPECT_EQ(test, m->nr_used, m->nr_blocks);
		expect_account_of_model(test, m);
		KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
		expect_map(test, m, 7);
		while (m->nr)
			free_extent(test, m, m->nr / 2);
		expect_all_comes_back(test);
	}
}

static void any_shape_can_be_filled_to_the_last_block(struct kunit *test)
{
	/*
	 * The shapes that min_block from 4 KiB to 1 MiB, buddy_start and slab_max make:
	 * a unit can be a block, and slab_max can be larger than a unit.
	 */
	static const u8 unit_shifts[] = { 0, 1, 4, 8, HASLAB_MAX_SHIFT };
	static const u8 slab_shifts[] = { 0, 3, 10 };
	static const u16 firsts[] = { 0, 300 };
	struct hatest_model *m = hatest_model(test, 4500);
	unsigned int u, s, k;

	for (u = 0; u < ARRAY_SIZE(unit_shifts); u++)
		for (s = 0; s < ARRAY_SIZE(slab_shifts); s++)
			for (k = 0; k < ARRAY_SIZE(firsts); k++) {
				struct haslab_config cfg = {
					.first_block = firsts[k],
					.nr_blocks = 4500,
					.unit_shift = unit_shifts[u],
					.slab_max = 1ULL << slab_shifts[s],
				};

				start_cfg(test, &cfg);
				fill_to_the_last_block(test, m);
			}
}

static void alignments_and_goals_in_any_shape(struct kunit *test)
{
	static const u8 unit_shifts[] = { 0, 1, 4, HASLAB_MAX_SHIFT }, slab_shifts[] = { 0, 3, 10 };
	unsigned int u, s, j;
	u64 align, at;

	for (u = 0; u < ARRAY_SIZE(unit_shifts); u++)
		for (s = 0; s < ARRAY_SIZE(slab_shifts); s++) {
			start_shape(test, GIB, unit_shifts[u], 1ULL << slab_shifts[s]);
			for (j = 0; lens[j] < GIB / 4; j++)
				for (align = 1; align <= GIB / 2; align *= 8) {
					KUNIT_ASSERT_EQ(test, alloc_aligned(test, lens[j], align,
									    &at), 0);
					KUNIT_EXPECT_EQ(test, at % align, 0);
					expect_freed(test, at, lens[j]);
				}
			expect_all_comes_back(test);
			for (j = 0; lens[j] < GIB / 4; j++) {
				KUNIT_ASSERT_EQ(test, alloc_at(test, 12345, lens[j], 1, &at), 0);
				KUNIT_EXPECT_EQ(test, at, 12345);
				expect_freed(test, at, lens[j]);
			}
			expect_all_comes_back(test);
		}
}

static void random_operations_behind_a_first_block(struct kunit *test)
{
	static const u16 firsts[] = { 1, 255, 256, 257, 5000 };
	struct hatest_model *m = hatest_model(test, 20000);
	struct hatest_rng rng = hatest_rng(test);
	struct fixture *f = test->priv;
	unsigned long i;
	unsigned int k;

	for (k = 0; k < ARRAY_SIZE(firsts); k++) {
		struct haslab_config cfg = {
			.first_block = firsts[k], .nr_blocks = 6000 + hatest_below(&rng, 14000),
			.unit_shift = 8, .slab_max = UNIT,
		};

		start_cfg(test, &cfg);
		model_start(test, m);
		for (i = 0; i < hatest_ops / 10; i++) {
			random_step(test, m, &rng, (i / 300) % 2 == 0);
			expect_account_of_model(test, m);
			if (i % 64 == 0)
				KUNIT_ASSERT_EQ(test, hapool_check(&f->p), 0);
		}
		expect_map(test, m, MAX_PAGE);
		free_all(test, m, &rng);
		expect_all_comes_back(test);
	}
}

static struct kunit_case place_cases[] = {
	KUNIT_CASE(free_goal_is_met),
	KUNIT_CASE(file_grows_where_it_ends),
	KUNIT_CASE(nearest_hole_behind_a_taken_goal_then_any),
	KUNIT_CASE(only_hole_is_before_the_goal),
	KUNIT_CASE(alignment_comes_before_the_goal),
	KUNIT_CASE(goal_outside_of_the_space_is_none),
	KUNIT_CASE(goal_among_extents_of_the_pools),
	KUNIT_CASE(goal_of_who_may_not_wait),
	KUNIT_CASE(goal_under_a_spinlock_does_not_sleep),
	KUNIT_CASE(goal_before_live_blocks),
	KUNIT_CASE(goal_before_holes_that_are_too_short),
	KUNIT_CASE(goal_before_slots_of_many_holes),
	KUNIT_CASE(goal_before_equal_objects),
	KUNIT_CASE(goal_in_a_run_that_ends_in_a_slab),
	KUNIT_CASE(goal_before_live_units),
	KUNIT_CASE(alignment_that_no_hole_has),
	KUNIT_CASE(pieces_of_mixed_parts),
	KUNIT_CASE(buddy_is_asked_after_many_slots),
	KUNIT_CASE(no_place_has_the_alignment),
	KUNIT_CASE(refusal_after_a_change),
	KUNIT_CASE(alignment_that_no_long_run_has),
	KUNIT_CASE(only_aligned_place_is_found),
	KUNIT_CASE(alignment_beyond_the_device),
	KUNIT_CASE(alignment_to_more_than_a_region),
	KUNIT_CASE(alignment_in_rows_of_odd_objects),
	KUNIT_CASE(alignment_without_a_place),
	KUNIT_CASE(every_alignment_next_to_live_extents),
	KUNIT_CASE(largest_extent_is_the_device_and_no_block_more),
	KUNIT_CASE(extents_beyond_4_gib),
	KUNIT_CASE(any_shape_can_be_filled_to_the_last_block),
	KUNIT_CASE(alignments_and_goals_in_any_shape),
	KUNIT_CASE(random_operations_behind_a_first_block),
	{}
};

static struct kunit_suite place_suite = {
	.name = "place",
	.init = pool_test_init,
	.exit = pool_test_exit,
	.test_cases = place_cases,
};

kunit_test_suite(place_suite);
