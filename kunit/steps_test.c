// SPDX-License-Identifier: GPL-2.0
/*
 * How much is done in one hold of a lock: at most MOST steps, in states of which there is as much
 * to look at as can be. Calls that look at all of the device let others run in between.
 */
#include "pool_fixture.h"

#define SLOT	4096U		/* blocks */
#define GIB	(1ULL << 18)	/* blocks */
#define MOST	2000		/* steps in a hold */
#define PAGE	1024		/* entries of a call of MAP */

static const char * const locks[] = {
	[HA_LOCK_ALL] = "all groups", [HA_LOCK_GROUP] = "a group", [HA_LOCK_SPACE] = "space",
};

static void expect_holds(struct kunit *test, const char *call)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(locks); i++)
		KUNIT_EXPECT_LE_MSG(test, ha_longest_hold(i), MOST, "%s, lock of %s", call,
				    locks[i]);
	ha_holds_reset();
}

static void expect_holds_of_map(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct haslab_extent *page = kunit_kzalloc(test, PAGE * sizeof(*page), GFP_KERNEL);
	u64 pos = 0;
	int nr, i;

	KUNIT_ASSERT_NOT_NULL(test, page);
	while ((nr = hapool_map(&f->p, pos, page, PAGE))) {
		for (i = 0; i < nr; i++) {
			KUNIT_ASSERT_EQ(test, page[i].start, pos);
			pos += page[i].len;
		}
	}
	KUNIT_EXPECT_EQ(test, pos, f->p.slab.cfg.nr_blocks);
	expect_holds(test, "MAP");
}

/* All calls that look at much, with nothing known before, and then with all of it known. */
static void expect_holds_of_all_calls(struct kunit *test, u64 too_long)
{
	struct fixture *f = test->priv;
	struct haslab_histogram *h = kunit_kzalloc(test, sizeof(*h), GFP_KERNEL);
	struct haslab_census *c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);
	struct haslab *s = &f->p.slab;
	u64 at, len;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, h);
	KUNIT_ASSERT_NOT_NULL(test, c);
	ha_holds_reset();
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, try_alloc(test, too_long, &at), -ENOSPC);
		expect_holds(test, "ALLOC");
		KUNIT_EXPECT_EQ(test, hapool_alloc(&f->p, too_long, 2, HAPOOL_NO_GOAL, GFP_KERNEL,
						   &at), -ENOSPC);
		expect_holds(test, "ALLOC with an alignment");
		KUNIT_EXPECT_EQ(test, haslab_alloc_near(s, too_long, 1, 0, GFP_KERNEL, &at),
				-ENOSPC);
		expect_holds(test, "ALLOC with a goal");
		KUNIT_EXPECT_LT(test, haslab_longest_run(s), too_long);
		expect_holds(test, "STAT");
		stat_walk(test);
		expect_holds(test, "STAT with runs");
		haslab_histogram(s, h);
		expect_holds(test, "the histogram");
		expect_holds_of_map(test);
		KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
		expect_holds(test, "CHECK");
		haslab_census(s, c);
		expect_holds(test, "the census");
		for (at = 0; haslab_next_free(s, at, &at, &len); at += len)
			;
		expect_holds(test, "TRIM");
		KUNIT_EXPECT_EQ(test, haslab_next_long(s, 0, too_long), U64_MAX);
		expect_holds(test, "TRIM of long runs");
		KUNIT_EXPECT_NE(test, claim(test, 0, s->cfg.nr_blocks), 0);
		expect_holds(test, "CLAIM");
	}
}

static void single_blocks_in_slabs(struct kunit *test)
{
	u64 at;

	start(test, GIB + 8 * SLOT);
	while (!try_alloc(test, 1, &at))
		;
	expect_holds_of_all_calls(test, 2);
	for (at = 1; at < GIB + 8 * SLOT; at += 2)
		expect_freed(test, at, 1);
	KUNIT_ASSERT_EQ(test, claim(test, 1, 1), 0);
	expect_holds_of_all_calls(test, 2);
}

static void single_blocks_in_mixed_slots(struct kunit *test)
{
	u64 at;

	start(test, GIB + 8 * SLOT);
	for (at = 0; at < GIB + 8 * SLOT; at += 2)
		KUNIT_ASSERT_EQ(test, claim(test, at, 1), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 1, 1), 0);
	expect_holds_of_all_calls(test, 2);
}

/* Neither slabs nor mixed slots: only the buddy knows it. */
static void every_second_unit(struct kunit *test)
{
	u64 at;

	start_shape(test, 20 * SLOT, 0, 1);
	for (at = 0; at < 20 * SLOT; at += 2)
		KUNIT_ASSERT_EQ(test, claim(test, at, 1), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 1, 1), 0);
	expect_holds_of_all_calls(test, 2);
}

/* Units that are taken and free by turns are added up a word at a time, not one by one. */
static void sum_of_every_second_unit(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 at, nr_units = 4 * HABUDDY_FANOUT;
	long before;

	start_shape(test, nr_units, 0, 1);
	for (at = 0; at < nr_units; at += 2)
		KUNIT_ASSERT_EQ(test, claim(test, at, 1), 0);
	before = ha_steps_done();
	KUNIT_EXPECT_EQ(test, haslab_longest_run(&f->p.slab), 1);
	KUNIT_EXPECT_LE(test, ha_steps_done() - before, nr_units / 8);
}

/* Small slabs, and small mixed parts, as many as there can be. */
static void unit_by_unit(struct kunit *test)
{
	u64 at;

	start_shape(test, 64 * GIB / 16, 4, 8);
	while (!try_alloc(test, 3, &at))
		;
	while (!try_alloc(test, 1, &at))
		;
	expect_holds_of_all_calls(test, 2);
}

/* The only free block comes after more extents and slots than a hold may look at. */
static void free_block_after_many_units(struct kunit *test)
{
	struct fixture *f = test->priv;
	const u64 nr = 64 << 10;
	u64 at, len;

	start_shape(test, nr, 4, 8);
	/* blocks of the buddy and mixed units by turns */
	for (at = 0; at < nr; at += 32)
		KUNIT_ASSERT_EQ(test, claim(test, at, 16), 0);
	for (at = 16; at < nr; at += 32)
		KUNIT_ASSERT_EQ(test, claim(test, at, 15), 0);
	for (at = 31; at < nr - 1; at += 32)
		KUNIT_ASSERT_EQ(test, claim(test, at, 1), 0);
	ha_holds_reset();
	KUNIT_EXPECT_EQ(test, haslab_next_long(&f->p.slab, 0, 2), U64_MAX);
	KUNIT_EXPECT_EQ(test, haslab_next_long(&f->p.slab, 0, 1), nr - 1);
	KUNIT_ASSERT_TRUE(test, haslab_next_free(&f->p.slab, 0, &at, &len));
	KUNIT_EXPECT_EQ(test, at, nr - 1);
	KUNIT_EXPECT_EQ(test, len, 1);
	expect_holds(test, "the search for free space");
}

/* An extent across each border between slots. */
static void extents_across_all_borders(struct kunit *test)
{
	u64 at;

	start_shape(test, 40 * SLOT, 0, 1);
	for (at = 63; at + 1 < 40 * SLOT; at += 64)
		KUNIT_ASSERT_EQ(test, claim(test, at, 2), 0);
	expect_holds_of_all_calls(test, 64);
}

/* The extent is as long as the device. */
static void extent_of_100_tib(struct kunit *test)
{
	const u64 nr = 100 * 1024 * GIB;
	long before;
	u64 at;
	int i;

	start(test, nr);
	for (i = 0; i < 2; i++) {
		ha_holds_reset();
		KUNIT_EXPECT_EQ(test, stat(test)->slab.largest_run, nr);
		expect_holds(test, "STAT");
		before = ha_steps_done();
		KUNIT_EXPECT_EQ(test, haslab_longest_run(&((struct fixture *)test->priv)->p.slab),
				nr);
		KUNIT_EXPECT_EQ(test, ha_steps_done(), before);
		before = ha_steps_done();
		KUNIT_ASSERT_EQ(test, try_alloc(test, nr, &at), 0);
		expect_holds(test, "ALLOC");
		KUNIT_EXPECT_EQ(test, stat(test)->slab.largest_run, 0);
		expect_holds(test, "STAT of a full device");
		expect_freed(test, at, nr);
		expect_holds(test, "FREE");
	}
}

/*
 * The largest free run is known as long as nothing has changed, and no group is shut out. A change
 * costs a look at the dir that it was in, and one at each region.
 */
static void largest_run_of_a_shredded_device(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct haslab *s = &f->p.slab;
	long before, holds;
	u64 at;

	start(test, 8 * GIB);
	for (at = 0; at < 8 * GIB; at += 32)
		KUNIT_ASSERT_EQ(test, claim(test, at, 16), 0);
	KUNIT_EXPECT_EQ(test, haslab_longest_run(s), 16);
	before = ha_steps_done();
	holds = ha_holds(HA_LOCK_ALL);
	KUNIT_EXPECT_EQ(test, haslab_longest_run(s), 16);
	KUNIT_EXPECT_EQ(test, ha_holds(HA_LOCK_ALL), holds);
	KUNIT_EXPECT_EQ(test, haslab_search(s, 17, 1, GFP_KERNEL, &at), -ENOSPC);
	KUNIT_EXPECT_LE(test, ha_steps_done() - before, 10);
	expect_freed(test, 5 * GIB, 16);
	before = ha_steps_done();
	KUNIT_EXPECT_EQ(test, haslab_longest_run(s), 48);
	KUNIT_EXPECT_LE(test, ha_steps_done() - before, 64 * 128 + 20);
}

/* Halves of dirs, one in use and one free: each is 4 steps, of which a hold has 1000. */
static void sum_of_gaps_ends_its_hold_in_time(struct kunit *test)
{
	struct haslab *s = &((struct fixture *)test->priv)->p.slab;
	unsigned int nr;
	long holds;
	u64 at;

	for (nr = 125; nr <= 126; nr++) {
		start(test, nr * GIB);
		for (at = 0; at < nr * GIB; at += GIB)
			KUNIT_ASSERT_EQ(test, claim(test, at, GIB / 2), 0);
		holds = ha_holds(HA_LOCK_ALL);
		KUNIT_EXPECT_EQ(test, haslab_longest_run(s), GIB / 2);
		KUNIT_EXPECT_EQ(test, ha_holds(HA_LOCK_ALL) - holds, nr == 125 ? 1 : 2);
	}
}

/* How many holds of 1000 steps it takes to add up dirs, of which the first keep their sums. */
static long holds_of_gaps(unsigned int nr_kept, unsigned int nr)
{
	long holds = 0, steps = 0;
	unsigned int i;

	for (i = 0; i < nr_kept + 2 * nr; i++) {
		if (steps <= 0) {
			steps = 1000;
			holds++;
		}
		steps -= i < nr_kept ? 1 : 4;
	}
	return holds;
}

/* The same in each of the walks that go by sums, to the last step. */
static void walks_of_gaps_end_their_holds_in_time(struct kunit *test)
{
	struct haslab *s = &((struct fixture *)test->priv)->p.slab;
	unsigned int kept, nr, what;
	long before, holds;
	u64 at;

	for (what = 0; what < 2; what++)
		for (kept = 5; kept < 9; kept++)
			for (nr = 124; nr <= 125; nr++) {
				start(test, (kept + nr) * GIB);
				for (at = 0; at < (kept + nr) * GIB; at += GIB)
					KUNIT_ASSERT_EQ(test, claim(test, at, GIB / 2), 0);
				haslab_longest_run(s);
				for (at = kept * GIB; at < (kept + nr) * GIB; at += GIB) {
					expect_freed(test, at, GIB / 2);
					KUNIT_ASSERT_EQ(test, claim(test, at, GIB / 2), 0);
				}
				before = ha_holds(HA_LOCK_ALL);
				if (what)
					haslab_longest_run(s);
				else
					KUNIT_EXPECT_EQ(test, haslab_next_long(s, 0, GIB), U64_MAX);
				holds = ha_holds(HA_LOCK_ALL) - before;
				KUNIT_EXPECT_EQ_MSG(test, holds, holds_of_gaps(kept, nr),
						    "%u dirs are kept, %u are not", kept, nr);
			}
}

/* CHECK adds up a dir of one-block units without slabs and mixed parts in one hold: 8 nodes. */
static void check_of_gaps_takes_one_hold(struct kunit *test)
{
	const struct haslab_config cfg = { .nr_blocks = 4096, .slab_max = 1 };
	struct haslab *s = &((struct fixture *)test->priv)->p.slab;
	long holds;
	u64 at;

	start_cfg(test, &cfg);
	for (at = 3; at < 4096; at += 64)
		KUNIT_ASSERT_EQ(test, claim(test, at, 1), 0);
	KUNIT_EXPECT_EQ(test, haslab_longest_run(s), 63);
	holds = ha_holds(HA_LOCK_ALL);
	KUNIT_EXPECT_EQ(test, haslab_check(s), 0);
	/* the last two look at the lists of the group, and at the sums */
	KUNIT_EXPECT_EQ(test, ha_holds(HA_LOCK_ALL) - holds, 1 + 2);
	KUNIT_EXPECT_LE(test, ha_longest_hold(HA_LOCK_ALL), 1500);
	KUNIT_EXPECT_EQ(test, haslab_longest_run(s), 63);
}

/* Dirs without slabs and mixed parts, of which no sum is kept, are added up in one go. */
static void sum_of_bare_regions_is_a_step_for_a_dir(struct kunit *test)
{
	struct haslab *s = &((struct fixture *)test->priv)->p.slab;
	long before;

	start(test, 512 * GIB);
	/* a change of all dirs */
	KUNIT_ASSERT_EQ(test, claim(test, 0, 512 * GIB), 0);
	expect_freed(test, 0, 512 * GIB);
	before = ha_steps_done();
	KUNIT_EXPECT_EQ(test, haslab_longest_run(s), 512 * GIB);
	KUNIT_EXPECT_GE(test, ha_steps_done() - before, 512);
	KUNIT_EXPECT_LE(test, ha_steps_done() - before, 512 + 40);
}

/* Also if a unit is so large that a dir has few nodes of the buddy, or a part of one. */
static void sum_of_dirs_in_use_counts_them(struct kunit *test)
{
	struct haslab *s = &((struct fixture *)test->priv)->p.slab;
	struct haslab_config cfg = { .nr_blocks = 4096 * GIB, .slab_max = 1 };
	long holds;

	for (cfg.unit_shift = 8; cfg.unit_shift <= 12; cfg.unit_shift++) {
		start_cfg(test, &cfg);
		KUNIT_ASSERT_EQ(test, claim(test, 0, 4096 * GIB), 0);
		holds = ha_holds(HA_LOCK_ALL);
		KUNIT_EXPECT_EQ(test, haslab_longest_run(s), 0);
		KUNIT_EXPECT_TRUE_MSG(test, ha_holds(HA_LOCK_ALL) >= holds + 4, "units of 2^%u",
				      cfg.unit_shift);
		expect_freed(test, 0, 4096 * GIB);
	}
}

/* What a region kept while all of it was free is not what it keeps in use, nor the reverse. */
static void bare_regions_keep_what_they_are_now(struct kunit *test)
{
	struct haslab *s = &((struct fixture *)test->priv)->p.slab;

	start(test, 768 * GIB);
	KUNIT_ASSERT_EQ(test, claim(test, 0, 512 * GIB), 0);
	KUNIT_EXPECT_EQ(test, haslab_longest_run(s), 256 * GIB);
	/* a change in the third region: the first two are as they were */
	KUNIT_ASSERT_EQ(test, claim(test, 600 * GIB, 1), 0);
	KUNIT_EXPECT_EQ(test, haslab_longest_run(s), 168 * GIB - 1);
	expect_freed(test, 0, 512 * GIB);
	KUNIT_EXPECT_EQ(test, haslab_longest_run(s), 600 * GIB);
	expect_freed(test, 600 * GIB, 1);
	KUNIT_ASSERT_EQ(test, claim(test, 700 * GIB, 1), 0);
	KUNIT_EXPECT_EQ(test, haslab_longest_run(s), 700 * GIB);
	/* a change that begins and ends within a region, and covers another one */
	KUNIT_ASSERT_EQ(test, claim(test, 100 * GIB, 500 * GIB), 0);
	KUNIT_EXPECT_EQ(test, haslab_longest_run(s), 100 * GIB);
	expect_freed(test, 100 * GIB, 500 * GIB);
	KUNIT_EXPECT_EQ(test, haslab_longest_run(s), 700 * GIB);
	start(test, 512 * GIB);
	KUNIT_ASSERT_EQ(test, claim(test, 0, 512 * GIB), 0);
	KUNIT_EXPECT_EQ(test, haslab_longest_run(s), 0);
	expect_freed(test, 0, 512 * GIB);
	KUNIT_EXPECT_EQ(test, haslab_longest_run(s), 512 * GIB);
	KUNIT_ASSERT_EQ(test, claim(test, 100 * GIB, 1), 0);
	KUNIT_EXPECT_EQ(test, haslab_longest_run(s), 412 * GIB - 1);
	expect_freed(test, 100 * GIB, 1);
	expect_one_run(test);
}

/*
 * What can be had with an alignment is known as long as nothing has changed: another refusal is a
 * look at the region. A change costs a look at all runs of one dir.
 */
static void aligned_refusal_on_a_shredded_device(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct haslab *s = &f->p.slab;
	long before;
	u64 at;

	start(test, 3 * GIB);
	/* of the 17 free blocks the first one is not aligned */
	for (at = 0; at < 3 * GIB; at += 32)
		KUNIT_ASSERT_EQ(test, claim(test, at, 15), 0);
	KUNIT_EXPECT_EQ(test, haslab_find(s, 17, 16, &at), -ENOSPC);
	before = ha_steps_done();
	KUNIT_EXPECT_EQ(test, haslab_find(s, 17, 16, &at), -ENOSPC);
	KUNIT_EXPECT_LE(test, ha_steps_done() - before, 10);
	KUNIT_ASSERT_EQ(test, claim(test, GIB + 16, 1), 0);
	before = ha_steps_done();
	KUNIT_EXPECT_EQ(test, haslab_find(s, 17, 16, &at), -ENOSPC);
	KUNIT_EXPECT_LE(test, ha_steps_done() - before, 64 * (4096 / 16 + 2) + 20);
	KUNIT_EXPECT_EQ(test, haslab_find(s, 16, 16, &at), 0);
	KUNIT_EXPECT_EQ(test, at, 16);
}

/* The longest run, and at most so many steps for it. */
static void expect_longest(struct kunit *test, u64 longest, long most)
{
	struct haslab *s = &((struct fixture *)test->priv)->p.slab;
	long before = ha_steps_done();

	KUNIT_EXPECT_EQ(test, haslab_longest_run(s), longest);
	KUNIT_EXPECT_LE(test, ha_steps_done() - before, most);
}

/*
 * A slab keeps the sum of its objects. After a change of two slabs, by a free, a hold or its end,
 * the bits of these two are looked at, and of each other slab what it keeps.
 */
static void change_in_a_slab_leaves_the_sums_of_others(struct kunit *test)
{
	const long bits = GIB / (BITS_PER_LONG / 2), of_two = 2 * SLOT / (BITS_PER_LONG / 2);
	struct fixture *f = test->priv;
	u64 at, len = 1;
	long nr_slabs, before;

	start(test, GIB);
	while (!try_alloc(test, 1, &at))
		;
	for (at = 0; at < GIB; at += 2)
		expect_freed(test, at, 1);
	hapool_drain(&f->p);
	before = ha_steps_done();
	nr_slabs = stat(test)->slab.nr_slabs;
	KUNIT_EXPECT_GE(test, ha_steps_done() - before, bits);
	KUNIT_EXPECT_LE(test, nr_slabs, 100);
	expect_longest(test, 1, 0);
	expect_freed(test, 1, 1);
	expect_freed(test, 3, 1);
	expect_freed(test, GIB / 2 + 1, 1);
	hapool_drain(&f->p);
	expect_longest(test, 5, of_two + 3 * nr_slabs);
	at = 1;
	KUNIT_ASSERT_EQ(test, hapool_hold(&f->p, &at, &len, GFP_KERNEL), 0);
	expect_longest(test, 3, of_two + 3 * nr_slabs);
	hapool_unhold(&f->p, at, len);
	expect_longest(test, 5, of_two + 3 * nr_slabs);
}

/* How many steps the search takes for a block at that alignment, of which none is free. */
static long steps_of_refusal(struct kunit *test, u64 align)
{
	struct haslab *s = &((struct fixture *)test->priv)->p.slab;
	long before = ha_steps_done();
	u64 at;

	KUNIT_EXPECT_EQ(test, haslab_find(s, 1, align, &at), -ENOSPC);
	return ha_steps_done() - before;
}

/*
 * A quad keeps its sum, for each alignment that was asked for. After a change, a search that is
 * refused looks at the parts of one quad, and of each other quad of the dir what it keeps, also if
 * another alignment was asked for in between.
 */
static void change_in_a_quad_leaves_the_sums_of_others(struct kunit *test)
{
	const u64 quad = 4 * SLOT;
	unsigned int order, i;
	long first[10];
	u64 at;

	start(test, GIB);
	/* by turns a block of the buddy, and a unit whose blocks at odd addresses are free */
	for (at = 0; at < GIB; at += 2 * UNIT) {
		KUNIT_ASSERT_EQ(test, claim(test, at, UNIT), 0);
		for (i = 1; i < UNIT; i += 2)
			KUNIT_ASSERT_EQ(test, claim(test, at + UNIT + i - 1, 1), 0);
	}
	/* a refusal for a lower one would tell it for a higher one */
	for (order = 9; order; order--)
		first[order] = steps_of_refusal(test, 1ULL << order);
	for (i = 0; i < 16; i++) {
		/* what a claim takes is not aligned: the answer stays what it was */
		KUNIT_ASSERT_EQ(test, claim(test, i * quad + UNIT + 1, 1), 0);
		for (order = 9; order; order--)
			KUNIT_EXPECT_LE(test, steps_of_refusal(test, 1ULL << order),
					first[order] / 8);
	}
}

/*
 * A refusal that is certain from what is counted shuts out no group: neither that of an extent
 * longer than all that is free, nor, when that is known, longer than the largest free run.
 */
static void certain_refusal_shuts_out_no_group(struct kunit *test)
{
	u64 at;
	long holds;
	int i;

	start(test, 16 * SLOT);
	for (at = 0; at < 16 * SLOT; at += SLOT)
		KUNIT_ASSERT_EQ(test, claim(test, at, 7), 0);
	KUNIT_EXPECT_EQ(test, stat(test)->slab.largest_run, SLOT - 7);
	holds = ha_holds(HA_LOCK_ALL);
	for (i = 0; i < 5; i++) {
		KUNIT_EXPECT_EQ(test, try_alloc(test, 16 * (SLOT - 7) + 1, &at), -ENOSPC);
		KUNIT_EXPECT_EQ(test, try_alloc(test, 40 * SLOT, &at), -ENOSPC);
	}
	KUNIT_EXPECT_EQ(test, ha_holds(HA_LOCK_ALL), holds);
	/* less than all that is free: a search, then it is known */
	KUNIT_EXPECT_EQ(test, try_alloc(test, 2 * SLOT, &at), -ENOSPC);
	holds = ha_holds(HA_LOCK_ALL);
	for (i = 0; i < 5; i++)
		KUNIT_EXPECT_EQ(test, try_alloc(test, 2 * SLOT + i, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, ha_holds(HA_LOCK_ALL), holds);
}

static struct kunit_case steps_cases[] = {
	KUNIT_CASE(single_blocks_in_slabs),
	KUNIT_CASE(single_blocks_in_mixed_slots),
	KUNIT_CASE(every_second_unit),
	KUNIT_CASE(sum_of_every_second_unit),
	KUNIT_CASE(unit_by_unit),
	KUNIT_CASE(free_block_after_many_units),
	KUNIT_CASE(extents_across_all_borders),
	KUNIT_CASE(extent_of_100_tib),
	KUNIT_CASE(largest_run_of_a_shredded_device),
	KUNIT_CASE(sum_of_gaps_ends_its_hold_in_time),
	KUNIT_CASE(walks_of_gaps_end_their_holds_in_time),
	KUNIT_CASE(check_of_gaps_takes_one_hold),
	KUNIT_CASE(sum_of_bare_regions_is_a_step_for_a_dir),
	KUNIT_CASE(sum_of_dirs_in_use_counts_them),
	KUNIT_CASE(bare_regions_keep_what_they_are_now),
	KUNIT_CASE(aligned_refusal_on_a_shredded_device),
	KUNIT_CASE(change_in_a_slab_leaves_the_sums_of_others),
	KUNIT_CASE(change_in_a_quad_leaves_the_sums_of_others),
	KUNIT_CASE(certain_refusal_shuts_out_no_group),
	{}
};

static struct kunit_suite steps_suite = {
	.name = "steps",
	.init = pool_test_init,
	.exit = pool_test_exit,
	.test_cases = steps_cases,
};

kunit_test_suite(steps_suite);
