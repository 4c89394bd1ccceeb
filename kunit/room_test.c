// SPDX-License-Identifier: GPL-2.0
/*
 * Which classes get slabs, and where; when pools get buddy blocks; and when an extent goes to free
 * units although a run of mixed slots is long enough.
 */
#include "pool_fixture.h"
#include "slab/internal.h"

#define SLOT	4096ULL		/* blocks: 16 units */

static struct haslab *slab_of(struct kunit *test)
{
	return &((struct fixture *)test->priv)->p.slab;
}

static bool is_object(struct kunit *test, u64 at)
{
	return haslab_lookup(slab_of(test), at);
}

static int kind_at(struct kunit *test, u64 at)
{
	struct fixture *f = test->priv;
	struct haslab_extent e;

	KUNIT_ASSERT_EQ(test, hapool_map(&f->p, at, &e, 1), 1);
	return e.kind;
}

/* ---- slabs ---- */

/* A fresh device gets an extent of each of some sizes, with longer ones between them. */
static void slabs_of_many_sizes_lie_side_by_side(struct kunit *test)
{
	u64 at[12], between[12];
	unsigned int i;

	start(test, 512 * SLOT);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		at[i] = alloc(test, i + 1);
		between[i] = alloc(test, 3000);
		KUNIT_EXPECT_TRUE_MSG(test, is_object(test, at[i]), "length %u", i + 1);
		KUNIT_EXPECT_EQ(test, at[i] / SLOT, 0);
		KUNIT_EXPECT_NE(test, between[i] / SLOT, 0);
	}
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		expect_freed(test, at[i], i + 1);
		expect_freed(test, between[i], 3000);
	}
	expect_all_comes_back(test);
	/* and nothing is kept from others then */
	KUNIT_EXPECT_EQ(test, alloc(test, 3000), 0);
	expect_freed(test, 0, 3000);
	expect_all_comes_back(test);
}

/* All but the last 20 slots is in use, and all of the first one, where the slabs are. */
static void crowd(struct kunit *test)
{
	start(test, 64 * SLOT);
	KUNIT_ASSERT_EQ(test, alloc(test, 1), 0);
	KUNIT_ASSERT_EQ(test, claim(test, UNIT, 44 * SLOT - UNIT), 0);
}

/* Extents of two blocks on a crowded device are objects from the 65th on. */
static void class_gets_a_slab_once_half_of_one_is_in_use(struct kunit *test)
{
	u64 at[70];
	unsigned int i;

	crowd(test);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		at[i] = alloc(test, 2);
		KUNIT_EXPECT_EQ_MSG(test, is_object(test, at[i]), i >= UNIT / 2 / 2,
				    "number %u", i);
	}
	for (i = 0; i < ARRAY_SIZE(at); i++)
		expect_freed(test, at[i], 2);
	/* they are in use no longer: the objects that pools have go first */
	hapool_drain(&((struct fixture *)test->priv)->p);
	at[0] = alloc(test, 2);
	KUNIT_EXPECT_FALSE(test, is_object(test, at[0]));
	expect_freed(test, at[0], 2);
	expect_freed(test, 0, 1);
	expect_freed(test, UNIT, 44 * SLOT - UNIT);
	expect_all_comes_back(test);
}

/* The same, but one at a time is in use: after many refusals it gets a slab. */
static void class_that_comes_and_goes_gets_a_slab(struct kunit *test)
{
	unsigned int i;
	u64 at;

	crowd(test);
	for (i = 1; i <= 200; i++) {
		at = alloc(test, 2);
		KUNIT_ASSERT_EQ_MSG(test, is_object(test, at), i >= 100, "number %u", i);
		expect_freed(test, at, 2);
	}
}

/* Ten classes by turns: none of them is refused often enough. */
static void many_classes_that_come_and_go_get_none(struct kunit *test)
{
	unsigned int i;
	u64 at;

	crowd(test);
	for (i = 0; i < 2000; i++) {
		at = alloc(test, 2 + i % 10);
		KUNIT_ASSERT_FALSE_MSG(test, is_object(test, at), "number %u", i);
		expect_freed(test, at, 2 + i % 10);
	}
}

/* As long as nearly all is free, each class gets a slab, although there is no room at home. */
static void class_gets_a_slab_while_there_is_plenty(struct kunit *test)
{
	unsigned int i;
	u64 at;

	start(test, 512 * SLOT);
	KUNIT_ASSERT_EQ(test, alloc(test, 1), 0);
	KUNIT_ASSERT_EQ(test, claim(test, UNIT, SLOT - UNIT), 0);
	for (i = 2; i <= 16; i++) {
		at = alloc(test, i);
		KUNIT_EXPECT_TRUE_MSG(test, is_object(test, at), "length %u", i);
		KUNIT_EXPECT_NE(test, at / SLOT, 0);
	}
}

/* Longer extents take what is free beside the slabs last. */
static void home_is_taken_when_nothing_else_is_free(struct kunit *test)
{
	u64 at, outside = 0;

	start(test, 8 * SLOT);
	KUNIT_ASSERT_EQ(test, alloc(test, 1), 0);
	while (!try_alloc(test, 200, &at) && at >= SLOT)
		outside += 200;
	KUNIT_EXPECT_GT(test, outside + 200, 7 * SLOT);
	KUNIT_EXPECT_LT(test, at, SLOT);
	KUNIT_EXPECT_EQ(test, try_alloc(test, SLOT - 2 * UNIT, &at), 0);
	KUNIT_EXPECT_LT(test, at, SLOT);
}

/* ---- buddy blocks ---- */

/* 4 MiB beside ten extents of nearly a slot, and without them. */
static void pools_get_no_blocks_beside_mixed_slots(struct kunit *test)
{
	u64 block, mixed, between[10];
	unsigned int i;

	start(test, 64 * SLOT);
	block = alloc(test, 4 * UNIT);
	KUNIT_EXPECT_EQ(test, kind_at(test, block), HYBRID_ALLOC_MAP_KIND_BUDDY);
	for (i = 0; i < ARRAY_SIZE(between); i++)
		between[i] = alloc(test, SLOT - 100);
	hapool_drain(&((struct fixture *)test->priv)->p);
	mixed = alloc(test, 4 * UNIT);
	KUNIT_EXPECT_EQ(test, kind_at(test, mixed), HYBRID_ALLOC_MAP_KIND_MIXED);
	expect_freed(test, mixed, 4 * UNIT);
	for (i = 0; i < ARRAY_SIZE(between); i++)
		expect_freed(test, between[i], SLOT - 100);
	expect_freed(test, block, 4 * UNIT);
	expect_all_comes_back(test);
	KUNIT_EXPECT_EQ(test, alloc(test, 4 * UNIT), block);
	KUNIT_EXPECT_EQ(test, kind_at(test, block), HYBRID_ALLOC_MAP_KIND_BUDDY);
}

/* ---- free units ---- */

/*
 * Free are @nr units of slot 5, behind one that is a buddy block, and all of slot 8 but a few
 * blocks at its start.
 */
static void two_rows(struct kunit *test, unsigned int nr)
{
	start(test, 64 * SLOT);
	KUNIT_ASSERT_EQ(test, claim(test, 8 * SLOT, 30), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 0, 5 * SLOT + UNIT), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 5 * SLOT + (1 + nr) * UNIT,
				    3 * SLOT - (1 + nr) * UNIT), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 9 * SLOT, 55 * SLOT), 0);
}

static void extent_goes_to_the_shorter_row(struct kunit *test)
{
	/* units that are free, the length of the extent, and whether it goes to them */
	static const struct {
		u32 units, len;
		bool goes;
	} rows[] = {
		{ 2, 300, true }, { 15, 300, true }, { 2, 512, true }, { 2, 513, false },
		/* the other one is not much longer than the extent */
		{ 13, 3200, false },
	};
	unsigned int i;
	u64 at;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		two_rows(test, rows[i].units);
		at = alloc(test, rows[i].len);
		KUNIT_EXPECT_EQ_MSG(test, at,
				    rows[i].goes ? 5 * SLOT + UNIT : 8 * SLOT + 30, "row %u", i);
	}
}

/* Rows that have been looked at are not looked at again, and new ones are seen. */
static void row_that_becomes_free_is_seen(struct kunit *test)
{
	u64 at;

	two_rows(test, 1);
	/* too short */
	at = alloc(test, 600);
	KUNIT_EXPECT_EQ(test, at, 8 * SLOT + 30);
	expect_freed(test, at, 600);
	at = alloc(test, 600);
	KUNIT_EXPECT_EQ(test, at, 8 * SLOT + 30);
	expect_freed(test, at, 600);
	expect_freed(test, 5 * SLOT + 2 * UNIT, 3 * SLOT - 2 * UNIT);
	KUNIT_ASSERT_EQ(test, claim(test, 5 * SLOT + 4 * UNIT, 3 * SLOT - 4 * UNIT), 0);
	KUNIT_EXPECT_EQ(test, alloc(test, 600), 5 * SLOT + UNIT);
}

/* ---- traces ---- */

/* An extent that is freed in two halves is in use no longer. */
static void extents_freed_in_parts_are_not_in_use(struct kunit *test)
{
	enum hybrid_alloc_reason reason;
	struct fixture *f = test->priv;
	u64 at, fresh;
	unsigned int i;

	start(test, 64 * SLOT);
	at = alloc(test, 128);
	fresh = haslab_lookup(slab_of(test), at)->nr_blocks;
	expect_freed(test, at, 128);
	expect_all_comes_back(test);
	for (i = 0; i < 100; i++) {
		KUNIT_ASSERT_EQ(test, claim(test, 3 * SLOT, 128), 0);
		KUNIT_ASSERT_EQ(test, hapool_cut(&f->p, 3 * SLOT, 64, GFP_KERNEL, &reason), 0);
		expect_freed(test, 3 * SLOT + 64, 64);
	}
	expect_all_comes_back(test);
	at = alloc(test, 128);
	KUNIT_EXPECT_EQ(test, haslab_lookup(slab_of(test), at)->nr_blocks, fresh);
}

/* What a device gains at its end is seen, too. */
static void row_at_the_new_end_is_seen(struct kunit *test)
{
	struct fixture *f = test->priv;

	two_rows(test, 1);
	KUNIT_ASSERT_EQ(test, alloc(test, 300), 8 * SLOT + 30);
	KUNIT_ASSERT_EQ(test, hapool_grow(&f->p, 64 * SLOT + 3 * UNIT, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, alloc(test, 300), 64 * SLOT);
}

/* A free unit beside extents of another group costs no allocation a try, and is used last. */
static void units_of_another_group_are_left_alone(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 unit, at;
	u32 freed;

	if (!hatest_on_cpu(1) || !hatest_on_cpu(0)) {
		hatest_on_any_cpu();
		kunit_skip(test, "one CPU");
	}
	f->nr_groups = 2;
	start(test, 64 * SLOT);
	KUNIT_ASSERT_EQ(test, claim(test, 0, 5 * SLOT), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 5 * SLOT + 4 * UNIT, 3 * SLOT - 4 * UNIT), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 9 * SLOT, 55 * SLOT), 0);
	/* all of slot 8 is mixed, of this group */
	KUNIT_ASSERT_EQ(test, claim(test, 8 * SLOT, 30), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 8 * SLOT + 30, SLOT - 30), 0);
	expect_freed(test, 8 * SLOT + 30, SLOT - 30);
	/* the other one has three units of slot 5, beside a slab that goes */
	KUNIT_ASSERT_TRUE(test, hatest_on_cpu(1));
	unit = alloc(test, 1);
	KUNIT_ASSERT_EQ(test, unit, 5 * SLOT);
	KUNIT_ASSERT_EQ(test, alloc(test, 17), unit + UNIT);
	expect_freed(test, unit, 1);
	hapool_drain(&f->p);
	KUNIT_ASSERT_TRUE(test, hatest_on_cpu(0));
	freed = slab_of(test)->units_freed;
	KUNIT_EXPECT_EQ(test, alloc(test, 30), 8 * SLOT + 30);
	KUNIT_EXPECT_EQ(test, alloc(test, 31), 8 * SLOT + 60);
	KUNIT_EXPECT_EQ(test, slab_of(test)->units_freed, freed);
	/* but it is not lost */
	KUNIT_EXPECT_EQ(test, alloc(test, SLOT - 91), 8 * SLOT + 91);
	at = alloc(test, UNIT - 1);
	KUNIT_EXPECT_EQ(test, at / SLOT, 5);
	hatest_on_any_cpu();
}

/* Objects of more than 128 blocks, of a device with larger units. */
static void large_class_gets_a_slab_once_half_of_one_is_in_use(struct kunit *test)
{
	unsigned int i, objects = 0;

	start_shape(test, 64 * SLOT, 12, 1024);
	KUNIT_ASSERT_EQ(test, alloc(test, 1), 0);
	KUNIT_ASSERT_EQ(test, claim(test, SLOT, 43 * SLOT), 0);
	for (i = 0; i < 40; i++)
		objects += is_object(test, alloc(test, 256));
	KUNIT_EXPECT_EQ(test, objects, 38);
}

static struct kunit_case room_cases[] = {
	KUNIT_CASE(slabs_of_many_sizes_lie_side_by_side),
	KUNIT_CASE(class_gets_a_slab_once_half_of_one_is_in_use),
	KUNIT_CASE(class_that_comes_and_goes_gets_a_slab),
	KUNIT_CASE(many_classes_that_come_and_go_get_none),
	KUNIT_CASE(class_gets_a_slab_while_there_is_plenty),
	KUNIT_CASE(home_is_taken_when_nothing_else_is_free),
	KUNIT_CASE(pools_get_no_blocks_beside_mixed_slots),
	KUNIT_CASE(extent_goes_to_the_shorter_row),
	KUNIT_CASE(row_that_becomes_free_is_seen),
	KUNIT_CASE(large_class_gets_a_slab_once_half_of_one_is_in_use),
	KUNIT_CASE(units_of_another_group_are_left_alone),
	KUNIT_CASE(row_at_the_new_end_is_seen),
	KUNIT_CASE(extents_freed_in_parts_are_not_in_use),
	{}
};

static struct kunit_suite room_suite = {
	.name = "room",
	.init = pool_test_init,
	.exit = pool_test_exit,
	.test_cases = room_cases,
};

kunit_test_suite(room_suite);
