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

/* The same, but most come and go: one at a time is in use. */
static void class_of_one_extent_at_a_time_gets_no_slab(struct kunit *test)
{
	unsigned int i;
	u64 at;

	crowd(test);
	for (i = 0; i < 1000; i++) {
		at = alloc(test, 2);
		KUNIT_ASSERT_FALSE(test, is_object(test, at));
		expect_freed(test, at, 2);
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

static struct kunit_case room_cases[] = {
	KUNIT_CASE(slabs_of_many_sizes_lie_side_by_side),
	KUNIT_CASE(class_gets_a_slab_once_half_of_one_is_in_use),
	KUNIT_CASE(class_of_one_extent_at_a_time_gets_no_slab),
	KUNIT_CASE(class_gets_a_slab_while_there_is_plenty),
	KUNIT_CASE(home_is_taken_when_nothing_else_is_free),
	KUNIT_CASE(pools_get_no_blocks_beside_mixed_slots),
	KUNIT_CASE(extent_goes_to_the_shorter_row),
	KUNIT_CASE(row_that_becomes_free_is_seen),
	{}
};

static struct kunit_suite room_suite = {
	.name = "room",
	.init = pool_test_init,
	.exit = pool_test_exit,
	.test_cases = room_cases,
};

kunit_test_suite(room_suite);
