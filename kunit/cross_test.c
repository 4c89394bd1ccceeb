// SPDX-License-Identifier: GPL-2.0
/*
 * Free runs across the borders of slots: they are one run for an allocation, and slots that are
 * wholly free are kept between them, but are in nobody's way.
 */
#include "pool_fixture.h"
#include "slab/internal.h"

#define SLOT	4096ULL		/* blocks: 16 units */

static struct haslab *slab_of(struct kunit *test)
{
	return &((struct fixture *)test->priv)->p.slab;
}

/* An allocation of @len lies at @expected, and took no search. */
static void expect_at(struct kunit *test, u64 len, u64 expected)
{
	u64 searches = stat(test)->searches;

	KUNIT_EXPECT_EQ_MSG(test, alloc(test, len), expected, "length %llu", len);
	KUNIT_EXPECT_EQ_MSG(test, stat(test)->searches, searches, "length %llu", len);
}

/* All of a device of @nr slots is mixed and in use, in extents of a sixteenth of a slot. */
static void fill_slots(struct kunit *test, unsigned int nr)
{
	u64 at;

	start(test, nr * SLOT);
	for (at = 0; at < nr * SLOT; at += 255 + at % SLOT / 3825 * 16)
		KUNIT_ASSERT_EQ(test, claim(test, at, at % SLOT == 3825 ? 271 : 255), 0);
	expect_account(test, nr * SLOT, 16 * nr);
}

/* Free @nr of the extents of fill_slots(), from number @first of @slot on. */
static void free_some(struct kunit *test, u64 slot, unsigned int first, unsigned int nr)
{
	unsigned int i;

	for (i = first; i < first + nr; i++)
		expect_freed(test, slot * SLOT + i * 255, i == 15 ? 271 : 255);
}

/* ---- joined runs ---- */

static void extents_adjoin_over_borders(struct kunit *test)
{
	static const u64 lens[] = { 2816, 2048 + 256, 3000, 4095, 3328, 257 };
	u64 expected = 0;
	unsigned int i;

	start(test, 16 * SLOT);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		expect_at(test, lens[i], expected);
		expected += lens[i];
	}
	expect_account(test, expected, ARRAY_SIZE(lens));
	for (; i--; expect_freed(test, expected, lens[i]))
		expected -= lens[i];
	expect_all_comes_back(test);
}

/* The shortest run that fits is taken, be it in a slot or across a border. */
static void best_fit_is_over_all_runs(struct kunit *test)
{
	fill_slots(test, 8);
	free_some(test, 1, 5, 6);	/* 1530 blocks */
	free_some(test, 3, 13, 3);	/* 781 */
	free_some(test, 4, 0, 2);	/* and 510 */
	free_some(test, 6, 4, 5);	/* 1275 */
	KUNIT_ASSERT_EQ(test, hapool_check(&((struct fixture *)test->priv)->p), 0);
	expect_at(test, 1276, 3 * SLOT + 3315);
	expect_at(test, 1264, 6 * SLOT + 4 * 255);
	expect_at(test, 1277, SLOT + 5 * 255);
}

/* What is left of it is one run, whose other end is in the next slot. */
static void rest_of_a_joined_run_is_one(struct kunit *test)
{
	fill_slots(test, 4);
	free_some(test, 1, 12, 4);	/* 1036 */
	free_some(test, 2, 0, 4);	/* and 1020 */
	expect_at(test, 300, SLOT + 12 * 255);
	expect_at(test, 300, SLOT + 12 * 255 + 300);
	expect_at(test, 1456, SLOT + 12 * 255 + 600);
	expect_account(test, 4 * SLOT, 64 - 8 + 3);
	expect_freed(test, SLOT + 12 * 255 + 600, 1456);
	expect_at(test, 1456, SLOT + 12 * 255 + 600);
}

/* A short one is left in two pieces. */
static void short_runs_are_not_joined(struct kunit *test)
{
	u64 at;

	start(test, 4 * SLOT);
	for (at = 0; at < 4 * SLOT; at += SLOT) {
		KUNIT_ASSERT_EQ(test, claim(test, at + 100, SLOT - 228), 0);
		KUNIT_ASSERT_EQ(test, claim(test, at + SLOT - 28, 28), 0);
	}
	expect_freed(test, SLOT - 28, 28);
	/* 128 and 100 blocks */
	KUNIT_EXPECT_FALSE(test, mixed_of(slab_of(test), 0)->runs.joined);
	/* a search finds it all the same */
	KUNIT_EXPECT_EQ(test, alloc(test, 228), SLOT - 128);
}

static void extent_of_a_slot_through_a_free_slot(struct kunit *test)
{
	fill_slots(test, 5);
	free_some(test, 1, 15, 1);	/* 271 */
	free_some(test, 2, 0, 16);	/* a slot */
	free_some(test, 3, 0, 1);	/* and 255 */
	expect_at(test, SLOT, 2 * SLOT - 271);
	expect_at(test, 526, 3 * SLOT - 271);
	expect_freed(test, 2 * SLOT - 271, SLOT);
	/* longer than a slot: what comes before and after it is a part of another slot */
	expect_at(test, SLOT - 1, 2 * SLOT - 271);
	expect_account(test, 5 * SLOT - 1, 80 - 18 + 2);
}

/* An aligned extent may lie in a part of a joined run. */
static void aligned_extent_in_a_joined_run(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 at;

	fill_slots(test, 4);
	free_some(test, 0, 14, 2);	/* 526 */
	free_some(test, 1, 0, 2);	/* and 510 */
	KUNIT_ASSERT_EQ(test, hapool_alloc(&f->p, 258, 256, HAPOOL_NO_GOAL, GFP_NOWAIT, &at), 0);
	KUNIT_EXPECT_EQ(test, at, SLOT - 512);
	KUNIT_ASSERT_EQ(test, hapool_alloc(&f->p, 258, 256, HAPOOL_NO_GOAL, GFP_NOWAIT, &at), 0);
	KUNIT_EXPECT_EQ(test, at, SLOT);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
}

/* Many runs are long enough, but have no aligned place: only a few are looked at. */
static void aligned_extent_beside_many_joined_runs(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 at, slot;
	int i;

	fill_slots(test, 40);
	free_some(test, 39, 0, 16);
	for (slot = 0; slot < 38; slot += 2) {
		free_some(test, slot, slot < 20 ? 4 : 9, slot < 20 ? 12 : 7);
		free_some(test, slot + 1, 0, slot < 20 ? 12 : 7);
	}
	/* the slot that is kept goes back for it; then the buddy has one */
	for (i = 0; i < 2; i++) {
		KUNIT_ASSERT_EQ(test, hapool_alloc(&f->p, 3500, SLOT, HAPOOL_NO_GOAL, GFP_NOWAIT,
						   &at), 0);
		KUNIT_EXPECT_EQ(test, at, 39 * SLOT);
		expect_freed(test, at, 3500);
		hapool_drain(&f->p);
	}
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
}

/* A run never goes on in a slot of another group: a free takes one lock only. */
static void groups_do_not_join(struct kunit *test)
{
	struct fixture *f = test->priv;

	f->nr_groups = 2;
	start(test, 8 * SLOT);
	KUNIT_ASSERT_TRUE(test, hatest_on_cpu(0));
	KUNIT_ASSERT_EQ(test, claim(test, 100, 2000), 0);
	KUNIT_ASSERT_TRUE(test, hatest_on_cpu(1));
	KUNIT_ASSERT_EQ(test, claim(test, SLOT + 2000, 2000), 0);
	KUNIT_EXPECT_FALSE(test, mixed_of(slab_of(test), 0)->runs.joined);
	expect_freed(test, 100, 2000);
	expect_freed(test, SLOT + 2000, 2000);
	hatest_on_any_cpu();
	expect_all_comes_back(test);
}

/* Free units go on in a slot of which another group has a part: they are no run of one group. */
static void free_units_go_on_in_a_slot_of_another_group(struct kunit *test)
{
	struct fixture *f = test->priv;

	f->nr_groups = 2;
	start(test, 4 * SLOT);
	KUNIT_ASSERT_TRUE(test, hatest_on_cpu(1));
	KUNIT_ASSERT_EQ(test, claim(test, 2 * SLOT - 1, 1), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 2 * SLOT, 2 * SLOT), 0);
	KUNIT_ASSERT_TRUE(test, hatest_on_cpu(0));
	KUNIT_ASSERT_EQ(test, claim(test, 0, 8 * UNIT), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 8 * UNIT, 4 * UNIT), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 12 * UNIT, UNIT), 0);
	/* three units, and fifteen in the next slot */
	KUNIT_EXPECT_EQ(test, alloc(test, 5 * UNIT - 1), SLOT);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	hatest_on_any_cpu();
}

/* The run at the end of the device goes on when the device grows. */
static void run_goes_on_in_new_space(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test, SLOT + 77);
	KUNIT_ASSERT_EQ(test, claim(test, 0, 4000), 0);
	KUNIT_ASSERT_EQ(test, hapool_grow(&f->p, 2 * SLOT + 78, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	KUNIT_ASSERT_EQ(test, hapool_grow(&f->p, 2 * SLOT + 1000, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	expect_at(test, SLOT, 4000);
	expect_freed(test, 4000, SLOT);
	expect_freed(test, 0, 4000);
	expect_one_run(test);
}

/* ---- slots that are wholly free ---- */

static void pair_on_an_empty_device_makes_no_slot(struct kunit *test)
{
	u64 at, made;
	int i;

	start(test, 64 * SLOT);
	at = alloc(test, 17);
	expect_freed(test, at, 17);
	made = stat(test)->slab.made;
	for (i = 0; i < 10; i++) {
		KUNIT_EXPECT_EQ(test, alloc(test, 17), at);
		expect_freed(test, at, 17);
	}
	KUNIT_EXPECT_EQ(test, stat(test)->slab.made, made);
	expect_all_comes_back(test);
}

/* A group keeps as many free slots as are in use, and one: at the end the lowest one. */
static void no_more_slots_are_kept_than_used(struct kunit *test)
{
	const unsigned int nr = 24;
	struct haslab *s = slab_of(test);
	unsigned int i, used;

	fill_slots(test, nr);
	for (i = 0; i < nr; i++) {
		/* each third slot, and those that were left out */
		free_some(test, i * 3 % nr + i * 3 / nr, 0, 16);
		used = nr - 1 - i;
		KUNIT_EXPECT_EQ(test, s->groups[0].nr_empty, min(i, used) + 1);
		KUNIT_EXPECT_EQ(test, stat(test)->slab.nr_slabs, used + min(i, used) + 1);
		KUNIT_EXPECT_EQ(test, hapool_check(&((struct fixture *)test->priv)->p), 0);
	}
	KUNIT_EXPECT_EQ(test, s->groups[0].empty, 0);
	expect_all_comes_back(test);
	KUNIT_EXPECT_EQ(test, s->groups[0].nr_empty, 0);
}

/*
 * A group keeps no more than some slots in a row: those with the lowest addresses, or not the one
 * that would make one row of two. That takes no more steps than any free.
 */
static void few_slots_in_a_row_are_kept(struct kunit *test)
{
	const unsigned int row = 2 * HASLAB_NR_EMPTY + 1;
	struct haslab *s = slab_of(test);
	unsigned int i;

	fill_slots(test, 2 * row + 2);
	/* the one in the middle comes last */
	for (i = 0; i < row; i++) {
		ha_holds_reset();
		free_some(test, 1 + (i + HASLAB_NR_EMPTY + 1) % row, 0, 16);
		KUNIT_EXPECT_LE(test, ha_longest_hold(HA_LOCK_GROUP), 2000);
	}
	KUNIT_EXPECT_EQ(test, s->groups[0].nr_empty, 2 * HASLAB_NR_EMPTY);
	for (i = 1; i <= row; i++)
		KUNIT_EXPECT_EQ_MSG(test, !mixed_slot(s, i), i == HASLAB_NR_EMPTY + 1, "slot %u",
				    i);
	KUNIT_EXPECT_EQ(test, hapool_check(&((struct fixture *)test->priv)->p), 0);
	free_some(test, 0, 0, 16);
	KUNIT_EXPECT_NOT_NULL(test, mixed_slot(s, 0));
	KUNIT_EXPECT_NULL(test, mixed_slot(s, HASLAB_NR_EMPTY));
	KUNIT_EXPECT_EQ(test, s->groups[0].nr_empty, 2 * HASLAB_NR_EMPTY);
	ha_holds_reset();
	haslab_drain(s);
	KUNIT_EXPECT_EQ(test, s->groups[0].nr_empty, 0);
	KUNIT_EXPECT_LE(test, ha_longest_hold(HA_LOCK_GROUP), 2000);
}

/* What lay there before leaves no trace: as many fit as on a new device, in the same places. */
static void history_leaves_no_trace(struct kunit *test)
{
	static const u64 lens[] = { 769, 2305, 3584, 513 };
	u64 at, nr;
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(lens); i++)
		for (k = 0; k < 2; k++) {
			fill_slots(test, 64);
			for (at = 64; at--;)
				free_some(test, k ? at : 63 - at, 0, 16);
			for (nr = 0; !try_alloc(test, lens[i], &at); nr++)
				KUNIT_ASSERT_EQ_MSG(test, at, nr * lens[i], "length %llu", lens[i]);
			KUNIT_EXPECT_EQ(test, nr, 64 * SLOT / lens[i]);
		}
}

/* No size is refused, nor searched for, because slots are kept for another one. */
static void kept_slots_are_in_nobodys_way(struct kunit *test)
{
	static const u64 lens[] = { 1, 16, UNIT, 4 * UNIT, 300, SLOT, SLOT / 2 };
	u64 at, nr, searches;
	unsigned int i, k;

	/* what another CPU has cached would have to be searched for */
	KUNIT_ASSERT_TRUE(test, hatest_on_cpu(0));
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		fill_slots(test, 4);
		for (k = 0; k < 4; k++)
			free_some(test, k, 0, 16);
		searches = stat(test)->searches;
		for (nr = 0; nr < 4 * SLOT / lens[i]; nr++)
			KUNIT_ASSERT_EQ_MSG(test, try_alloc(test, lens[i], &at), 0,
					    "extent %llu of length %llu", nr, lens[i]);
		KUNIT_EXPECT_EQ_MSG(test, stat(test)->searches, searches, "length %llu", lens[i]);
	}
	/* more than a slot, as long as all of it */
	fill_slots(test, 4);
	for (k = 0; k < 4; k++)
		free_some(test, k, 0, 16);
	KUNIT_EXPECT_EQ(test, alloc(test, 4 * SLOT), 0);
	expect_freed(test, 0, 4 * SLOT);
	expect_one_run(test);
	hatest_on_any_cpu();
}

/* Nor are those that the group of another CPU keeps. */
static void slots_of_another_group_are_in_nobodys_way(struct kunit *test)
{
	static const u64 lens[] = { 1, UNIT, 4 * UNIT, 300 };
	struct fixture *f = test->priv;
	unsigned int i, k;
	u64 searches, at;

	if (!hatest_on_cpu(1) || !hatest_on_cpu(0))
		kunit_skip(test, "it takes two CPUs");
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		f->nr_groups = 2;
		KUNIT_ASSERT_TRUE(test, hatest_on_cpu(0));
		fill_slots(test, 8);
		for (k = 0; k < 4; k++)
			free_some(test, 2 * k, 0, 16);
		KUNIT_ASSERT_EQ(test, slab_of(test)->groups[0].nr_empty, 4);
		KUNIT_ASSERT_TRUE(test, hatest_on_cpu(1));
		searches = stat(test)->searches;
		for (k = 0; k < 4 * SLOT / lens[i] - 4; k++)
			KUNIT_ASSERT_EQ_MSG(test, try_alloc(test, lens[i], &at), 0,
					    "extent %u of length %llu", k, lens[i]);
		KUNIT_EXPECT_EQ_MSG(test, stat(test)->searches, searches, "length %llu", lens[i]);
		KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	}
	hatest_on_any_cpu();
}

/* ---- extents over several slots ---- */

/* A run through slots that are wholly free is one, and serves what is longer than a slot. */
static void long_extent_lies_in_the_run_that_fits_best(struct kunit *test)
{
	fill_slots(test, 16);
	free_some(test, 0, 12, 4);	/* 1036 */
	free_some(test, 1, 0, 16);
	free_some(test, 2, 0, 16);
	free_some(test, 3, 0, 4);	/* and 1020: 10248 */
	free_some(test, 6, 14, 2);	/* 526 */
	free_some(test, 7, 0, 16);
	free_some(test, 8, 0, 16);
	free_some(test, 9, 0, 3);	/* and 765: 9483 */
	free_some(test, 12, 0, 16);
	free_some(test, 13, 0, 2);	/* 4606 */
	expect_at(test, 9484, SLOT - 1036);
	expect_at(test, 9000, 7 * SLOT - 526);
	expect_at(test, SLOT + 1, 12 * SLOT);
	KUNIT_EXPECT_EQ(test, slab_of(test)->nr_spans, 0);
	/* what is left is in one piece */
	expect_at(test, 764, 4 * SLOT - 4096 + 1020 - 764);
	expect_at(test, 483, 9 * SLOT + 765 - 483);
	KUNIT_EXPECT_EQ(test, hapool_check(&((struct fixture *)test->priv)->p), 0);
}

/* An extent over several slots is one: in MAP, and for who frees it. */
static void extent_over_slots_is_one(struct kunit *test)
{
	struct fixture *f = test->priv;
	enum hybrid_alloc_reason reason;
	u64 len = 3 * SLOT + 300, at;
	struct haslab_extent e;

	start(test, 8 * SLOT);
	KUNIT_ASSERT_EQ(test, alloc(test, 100), 0);
	expect_at(test, len, 100);
	expect_at(test, 50, 100 + len);
	KUNIT_EXPECT_EQ(test, slab_of(test)->nr_spans, 0);
	for (at = 100; at < 100 + len; at += SLOT / 2) {
		KUNIT_ASSERT_EQ(test, haslab_extents(slab_of(test), at, &e, 1), 1);
		KUNIT_EXPECT_EQ_MSG(test, e.start, 100, "block %llu", at);
		KUNIT_EXPECT_EQ_MSG(test, e.len, len, "block %llu", at);
		KUNIT_EXPECT_EQ(test, e.state, HYBRID_ALLOC_MAP_LIVE);
		expect_refused(test, at + 1, len - 1, -EINVAL, HYBRID_ALLOC_REASON_WRONG_START);
	}
	expect_refused(test, SLOT, len, -EINVAL, HYBRID_ALLOC_REASON_WRONG_START);
	expect_refused(test, 100, len - 1, -EINVAL, HYBRID_ALLOC_REASON_WRONG_LENGTH);
	expect_refused(test, 100, SLOT - 100, -EINVAL, HYBRID_ALLOC_REASON_WRONG_LENGTH);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	KUNIT_ASSERT_EQ(test, hapool_retire(&f->p, 100, len, &reason), 0);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	expect_refused(test, 100, len, -ENOENT, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
	hapool_reuse(&f->p, 100, len);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	expect_at(test, len, 100);
	expect_freed(test, 100 + len, 50);
	expect_freed(test, 0, 100);
	expect_freed(test, 100, len);
	expect_all_comes_back(test);
}

/* What is no longer than 16 slots takes one group, what is longer takes all of them. */
static void huge_extents_are_spans(struct kunit *test)
{
	/* a power of two is a buddy block */
	const u64 most = HASLAB_CHAIN_SLOTS * SLOT - 1;
	enum hybrid_alloc_reason reason;
	struct fixture *f = test->priv;
	u64 at;

	start(test, 64 * SLOT);
	KUNIT_ASSERT_EQ(test, alloc(test, 100), 0);
	expect_at(test, most, 100);
	KUNIT_EXPECT_EQ(test, slab_of(test)->nr_spans, 0);
	at = alloc(test, most + 2);
	KUNIT_EXPECT_EQ(test, slab_of(test)->nr_spans, 1);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	KUNIT_ASSERT_EQ(test, hapool_retire(&f->p, at, most + 2, &reason), 0);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	hapool_reuse(&f->p, at, most + 2);
	expect_freed(test, 100, most);
	expect_freed(test, 0, 100);
	expect_all_comes_back(test);
}

/* What is kept is given back in one hold only if that is not too much. */
static void many_kept_slots_are_given_back_in_several_holds(struct kunit *test)
{
	struct haslab *s = slab_of(test);
	unsigned int i;

	fill_slots(test, 200);
	for (i = 0; i < 200; i += 2)
		free_some(test, i, 0, 16);
	KUNIT_ASSERT_EQ(test, s->groups[0].nr_empty, 100);
	haslab_lock_all(s);
	KUNIT_EXPECT_FALSE(test, haslab_empty_put_all(s));
	haslab_unlock_all(s);
	KUNIT_EXPECT_EQ(test, s->groups[0].nr_empty, 100);
	s->groups[0].nr_empty++;
	KUNIT_EXPECT_EQ(test, haslab_check(s), -EAGAIN);
	s->groups[0].nr_empty--;
	KUNIT_EXPECT_EQ(test, haslab_check(s), 0);
	haslab_drain(s);
	KUNIT_EXPECT_EQ(test, s->groups[0].nr_empty, 0);
	KUNIT_EXPECT_EQ(test, haslab_check(s), 0);
}

/* What is given back at once for a huge extent, all in one row, makes no long hold. */
static void row_is_given_back_in_a_short_hold(struct kunit *test)
{
	struct haslab *s = slab_of(test);
	unsigned int i;

	fill_slots(test, 100);
	for (i = 1; i <= 16; i++)
		free_some(test, i, 0, 16);
	KUNIT_ASSERT_EQ(test, s->groups[0].nr_empty, 16);
	ha_holds_reset();
	haslab_lock_all(s);
	KUNIT_EXPECT_TRUE(test, haslab_empty_put_all(s));
	haslab_unlock_all(s);
	KUNIT_EXPECT_LE(test, ha_longest_hold(HA_LOCK_ALL), 2000);
	KUNIT_EXPECT_EQ(test, s->groups[0].nr_empty, 0);
	KUNIT_EXPECT_EQ(test, haslab_check(s), 0);
}

/* A search for a place for a huge extent does not look at all of a run of many parts. */
static void run_of_many_parts_is_not_looked_at_to_its_end(struct kunit *test)
{
	struct haslab *s = slab_of(test);
	unsigned int i;
	long steps;
	u64 at;

	fill_slots(test, 650);
	for (i = 1; i <= 320; i++)
		free_some(test, i, 0, 16);
	KUNIT_EXPECT_GE(test, s->groups[0].nr_empty, 300);
	haslab_lock_all(s);
	steps = ha_steps_done();
	haslab_best_run(s, 319 * SLOT, 1, &at);
	KUNIT_EXPECT_LE(test, ha_steps_done() - steps, 1000);
	haslab_unlock_all(s);
	/* it is found and used all the same */
	expect_at(test, 320 * SLOT, SLOT);
	KUNIT_EXPECT_EQ(test, haslab_check(s), 0);
}

/* However long the rows are beside it, a free takes a bounded number of steps. */
static void free_between_long_rows_is_bounded(struct kunit *test)
{
	const u64 len = HASLAB_CHAIN_SLOTS * SLOT - 1;
	u64 at[16], end, pos;
	unsigned int i, k;

	for (k = 0; k < 4; k++) {
		start(test, 300 * SLOT);
		KUNIT_ASSERT_EQ(test, alloc(test, 100), 0);
		for (i = 0; i < 16; i++)
			at[i] = alloc(test, len);
		end = at[15] + len;
		KUNIT_ASSERT_EQ(test, end, 100 + 16 * len);
		ha_holds_reset();
		for (i = 0; i < 16; i += 2)
			expect_freed(test, at[k & 1 ? i : 14 - i], len);
		for (i = 1; i < 16; i += 2)
			expect_freed(test, at[k & 2 ? i : 16 - i], len);
		KUNIT_EXPECT_LE(test, ha_longest_hold(HA_LOCK_GROUP), 1100);
		for (i = 0; i < 200; i++)
			pos = alloc(test, 5000 + i);
		KUNIT_EXPECT_LE(test, ha_longest_hold(HA_LOCK_GROUP), 1100);
		expect_freed(test, pos, 5199);
	}
}

/* ---- CHECK ---- */

static void expect_found(struct kunit *test, const char *what)
{
	KUNIT_EXPECT_EQ_MSG(test, haslab_check(slab_of(test)), -EUCLEAN, "%s", what);
}

static void wrong_joins_are_found(struct kunit *test)
{
	struct haslab *s = slab_of(test);
	struct haslab_mixed *m, *next;
	struct haslab_group *g;

	fill_slots(test, 6);
	g = s->groups;
	free_some(test, 1, 12, 4);
	free_some(test, 2, 0, 16);
	free_some(test, 3, 0, 4);
	free_some(test, 5, 0, 16);
	KUNIT_ASSERT_EQ(test, haslab_check(s), 0);
	m = mixed_of(s, 1);
	next = mixed_of(s, 3);
	m->runs.tag ^= HARUNS_TRAIL_APART;
	expect_found(test, "a run counts as one that ends at the border");
	m->runs.tag ^= HARUNS_TRAIL_APART | HARUNS_LEAD_APART;
	expect_found(test, "a run counts as one that begins before the border");
	m->runs.tag ^= HARUNS_LEAD_APART;
	next->runs.tag ^= HARUNS_LEAD_APART;
	expect_found(test, "the end of a joined run is listed, too");
	next->runs.tag ^= HARUNS_LEAD_APART;
	m->runs.joined++;
	expect_found(test, "a joined run is listed by a wrong length");
	m->runs.joined -= 2;
	expect_found(test, "a joined run is listed by a wrong length");
	m->runs.joined++;
	next->runs.joined = 5;
	expect_found(test, "a run that is not joined is listed as one");
	next->runs.joined = 0;
	entry_link(s, joined_entry_of(1))->next = joined_entry_of(3);
	expect_found(test, "a joined run is linked to another one");
	entry_link(s, joined_entry_of(1))->next = NO_ENTRY;
	KUNIT_ASSERT_EQ(test, g->nr_empty, 2);
	mixed_of(s, 5)->runs.tag ^= MIXED_EMPTY;
	expect_found(test, "a slot is wholly free, and not kept");
	mixed_of(s, 5)->runs.tag ^= MIXED_EMPTY;
	m->runs.tag ^= MIXED_EMPTY;
	expect_found(test, "a slot counts as one that is kept");
	m->runs.tag ^= MIXED_EMPTY;
	KUNIT_EXPECT_EQ(test, haslab_check(s), 0);
}

/* Units before a border that are too few to be joined are not needed: they go back. */
static void units_that_are_not_used_go_back(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 made;

	/* a slot has 64 units */
	start_shape(test, 4 * SLOT, 6, 1);
	KUNIT_ASSERT_EQ(test, claim(test, 0, 2 * SLOT - 64), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 2 * SLOT + 128, 2 * SLOT - 128), 0);
	made = alloc(test, 100);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	expect_freed(test, made, 100);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	expect_freed(test, 0, 2 * SLOT - 64);
	expect_freed(test, 2 * SLOT + 128, 2 * SLOT - 128);
	/* all of it is one run */
	KUNIT_EXPECT_EQ(test, try_alloc(test, 4 * SLOT, &made), 0);
	expect_freed(test, 0, 4 * SLOT);
	expect_all_comes_back(test);
}

/*
 * Units are added behind a run that is long enough, but was not looked at: too many others of the
 * same bucket come first. The extent then lies in that run, and the units go back.
 */
static void units_behind_a_run_that_fits_go_back(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 slot;

	start(test, 24 * SLOT);
	/* slot 1 stays in the buddy; 3006 blocks before it are mixed */
	KUNIT_ASSERT_EQ(test, claim(test, 0, 1090), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 1090, 3006), 0);
	expect_freed(test, 1090, 3006);
	for (slot = 2; slot < 24; slot++) {
		KUNIT_ASSERT_EQ(test, claim(test, slot * SLOT, 500), 0);
		KUNIT_ASSERT_EQ(test, claim(test, slot * SLOT + 500 + 2995, 601), 0);
		KUNIT_ASSERT_EQ(test, claim(test, slot * SLOT + 500, 2995), 0);
	}
	for (slot = 2; slot < 24; slot++)
		expect_freed(test, slot * SLOT + 500, 2995);
	KUNIT_ASSERT_EQ(test, hapool_check(&f->p), 0);
	KUNIT_EXPECT_EQ(test, alloc(test, 3000), 1090);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
}

/* What a search for a long extent looks at does not grow with the device: all groups wait. */
static void joined_runs_that_are_too_short_are_not_all_looked_at(struct kunit *test)
{
	const unsigned int nr = 2048;
	long looks;
	u64 slot;

	start(test, nr * SLOT);
	for (slot = 0; slot < nr; slot += 2) {
		KUNIT_ASSERT_EQ(test, claim(test, slot * SLOT, 2600), 0);
		KUNIT_ASSERT_EQ(test, claim(test, slot * SLOT + 2600, 1496), 0);
		KUNIT_ASSERT_EQ(test, claim(test, slot * SLOT + SLOT, 1600), 0);
		KUNIT_ASSERT_EQ(test, claim(test, slot * SLOT + SLOT + 1600, 2496), 0);
	}
	for (slot = 0; slot < nr; slot += 2) {
		expect_freed(test, slot * SLOT + 2600, 1496);
		expect_freed(test, slot * SLOT + SLOT, 1600);
	}
	/* one that is long enough */
	expect_freed(test, (nr - 2) * SLOT, 2600);
	looks = atomic_long_read(&hatest_looks);
	KUNIT_EXPECT_EQ(test, alloc(test, 5000), (nr - 2) * SLOT);
	KUNIT_EXPECT_LE(test, atomic_long_read(&hatest_looks) - looks, 256);
}

#ifndef __KERNEL__	/* a task holds the locks of two groups, which lockdep does not let pass */
static struct haslab *raced;

/* Group 1 makes a mixed slot of all units, and still has its lock. */
static void units_are_taken(void)
{
	struct haslab_group *g = &raced->groups[1];
	struct hamem_op op = HAMEM_OP(GFP_NOWAIT);

	haslab_lock_group(raced, g);
	if (haslab_buddy_take(raced, 0, SLOT, &op) ||
	    haslab_mixed_add(raced, g, 0, SLOT, 0, &op))
		WARN_ON(1);
}

/* An allocation that loses a race for units leaves the slot of the winner alone. */
static void units_of_a_faster_task_stay(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hamem_op op = HAMEM_OP(GFP_NOWAIT);
	struct haslab_group *g;
	u64 at;
	int ret;

	if (!hatest_on_cpu(1) || !hatest_on_cpu(0))
		kunit_skip(test, "it takes two CPUs");
	f->nr_groups = 2;
	start(test, SLOT);
	raced = slab_of(test);
	g = raced->groups;
	hatest_before_take = units_are_taken;
	haslab_lock_group(raced, g);
	ret = haslab_mixed_alloc(raced, g, 300, 1, &op, &at);
	haslab_unlock_group(g);
	if (hatest_before_take) {
		hatest_before_take = NULL;
		hatest_on_any_cpu();
		kunit_skip(test, "the layers are built without the hooks of the tests");
	}
	KUNIT_EXPECT_EQ(test, ret, -ENOSPC);
	KUNIT_EXPECT_NOT_NULL(test, mixed_slot(raced, 0));
	if (mixed_slot(raced, 0))
		haslab_mixed_settle(raced, 0);
	haslab_unlock_group(g + 1);
	hatest_on_any_cpu();
	expect_all_comes_back(test);
}
#endif

/* The list of slots that are kept has nothing but slots that are wholly free, each once. */
static void wrong_lists_of_kept_slots_are_found(struct kunit *test)
{
	struct haslab *s = slab_of(test);
	struct haslab_link *two, *four;
	struct haslab_group *g;

	fill_slots(test, 8);
	g = s->groups;
	free_some(test, 2, 0, 16);
	free_some(test, 4, 0, 16);
	KUNIT_ASSERT_EQ(test, g->nr_empty, 2);
	KUNIT_ASSERT_EQ(test, g->empty, 4);
	KUNIT_ASSERT_EQ(test, haslab_check(s), 0);
	two = haslab_empty_link(s, 2);
	four = haslab_empty_link(s, 4);
	g->nr_empty = 1;
	expect_found(test, "more slots are kept than are counted");
	g->nr_empty = 3;
	expect_found(test, "fewer slots are kept than are counted");
	g->nr_empty = 2;
	two->next = 4;
	expect_found(test, "the list has no end");
	two->next = NO_ENTRY;
	two->prev = 2;
	expect_found(test, "two slots are first");
	two->prev = 3;
	expect_found(test, "a slot is linked to one that is in use");
	two->prev = 4;
	four->next = 6;
	expect_found(test, "a slot that is in use is linked");
	four->next = 8;
	expect_found(test, "a slot is kept that does not exist");
	four->next = 2;
	g->empty = 2;
	expect_found(test, "the first one is missing");
	g->empty = 4;
	mixed_of(s, 1)->runs.tag ^= MIXED_EMPTY;
	expect_found(test, "a slot counts as one that is kept");
	mixed_of(s, 1)->runs.tag ^= MIXED_EMPTY;
	KUNIT_EXPECT_EQ(test, haslab_check(s), 0);
}

static struct kunit_case cross_cases[] = {
	KUNIT_CASE(units_that_are_not_used_go_back),
	KUNIT_CASE(units_behind_a_run_that_fits_go_back),
	KUNIT_CASE(joined_runs_that_are_too_short_are_not_all_looked_at),
#ifndef __KERNEL__
	KUNIT_CASE(units_of_a_faster_task_stay),
#endif
	KUNIT_CASE(wrong_lists_of_kept_slots_are_found),
	KUNIT_CASE(extents_adjoin_over_borders),
	KUNIT_CASE(best_fit_is_over_all_runs),
	KUNIT_CASE(rest_of_a_joined_run_is_one),
	KUNIT_CASE(short_runs_are_not_joined),
	KUNIT_CASE(extent_of_a_slot_through_a_free_slot),
	KUNIT_CASE(aligned_extent_in_a_joined_run),
	KUNIT_CASE(aligned_extent_beside_many_joined_runs),
	KUNIT_CASE(groups_do_not_join),
	KUNIT_CASE(free_units_go_on_in_a_slot_of_another_group),
	KUNIT_CASE(run_goes_on_in_new_space),
	KUNIT_CASE(pair_on_an_empty_device_makes_no_slot),
	KUNIT_CASE(no_more_slots_are_kept_than_used),
	KUNIT_CASE(few_slots_in_a_row_are_kept),
	KUNIT_CASE(history_leaves_no_trace),
	KUNIT_CASE(kept_slots_are_in_nobodys_way),
	KUNIT_CASE(slots_of_another_group_are_in_nobodys_way),
	KUNIT_CASE(long_extent_lies_in_the_run_that_fits_best),
	KUNIT_CASE(extent_over_slots_is_one),
	KUNIT_CASE(huge_extents_are_spans),
	KUNIT_CASE(free_between_long_rows_is_bounded),
	KUNIT_CASE(many_kept_slots_are_given_back_in_several_holds),
	KUNIT_CASE(row_is_given_back_in_a_short_hold),
	KUNIT_CASE(run_of_many_parts_is_not_looked_at_to_its_end),
	KUNIT_CASE(wrong_joins_are_found),
	{}
};

static struct kunit_suite cross_suite = {
	.name = "cross",
	.init = pool_test_init,
	.exit = pool_test_exit,
	.test_cases = cross_cases,
};

kunit_test_suite(cross_suite);
