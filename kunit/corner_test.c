// SPDX-License-Identifier: GPL-2.0
/* States and failures that random operations seldom or never meet. */
#include <linux/string.h>

#include "pool_fixture.h"
#include "pool_hit.h"
#include "slab/internal.h"

#define SLOT	4096U		/* blocks */
#define GIB	(1ULL << 18)

static struct haslab *slab_of(struct kunit *test)
{
	struct fixture *f = test->priv;

	return &f->p.slab;
}

/* Extents of one block, every second one, so many that the slot has @nr_runs runs, and a rest. */
static void claim_many(struct kunit *test, u64 at, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_EQ(test, claim(test, at + 2 * i + 1, 1), 0);
}

/* ---- memory ---- */

static void more_objects_than_any_operation_needs(struct kunit *test)
{
	struct hamem_op op = HAMEM_OP(GFP_KERNEL);
	struct hamem_op hurry = { .gfp = GFP_NOWAIT, .missing = 8 };
	unsigned int i;

	KUNIT_EXPECT_FALSE(test, hamem_wait(&op));
	KUNIT_EXPECT_FALSE(test, hamem_wait(&hurry));
	for (i = 0; i < HAMEM_MAX_OBJECTS; i++) {
		op.missing = 64 + i;
		KUNIT_EXPECT_TRUE(test, hamem_wait(&op));
		KUNIT_EXPECT_EQ(test, op.nr_wanted, i + 1);
		/* what was missing is there now */
		KUNIT_EXPECT_FALSE(test, hamem_wait(&op));
		KUNIT_EXPECT_EQ(test, op.nr_wanted, i + 1);
	}
	op.missing = 64;
	KUNIT_EXPECT_FALSE(test, hamem_wait(&op));
	KUNIT_EXPECT_FALSE(test, hamem_again(&op, -ENOMEM));
	KUNIT_EXPECT_TRUE(test, !op.wanted && !op.spare && !op.nr_wanted);
}

/* Of what is waited for, the first ones can be had, and then nothing more. */
static void memory_ends_while_it_is_waited_for(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned long nth;
	int ret;

	for (nth = 2;; nth++) {
		start(test, 4 * SLOT);
		hatest_inject_start(nth, 1, true);
		ret = claim(test, 5, 3);
		hatest_inject_stop();
		KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
		if (!ret)
			break;
		KUNIT_ASSERT_EQ(test, ret, -ENOMEM);
		/* the first one that cannot be had ends it */
		KUNIT_EXPECT_LE(test, hatest_inject_seen(), nth + 1);
		expect_all_comes_back(test);
	}
	/* the list of what is missing was the second one, and an object the third */
	KUNIT_EXPECT_GT(test, nth, 3);
	expect_freed(test, 5, 3);
	expect_all_comes_back(test);
}

/* Of each allocation at attach, all that follow fail, or just that one. */
static void attach_of_odd_ends_without_memory(struct kunit *test)
{
	struct haslab_config cfg = {
		.first_block = 5, .nr_blocks = (1 << 18) + 77, .unit_shift = 8, .slab_max = UNIT,
		.nr_groups = 1,
	};
	unsigned long nth, failed;
	int ret;

	for (nth = 1;; nth++) {
		hatest_inject_start(nth, 0, true);
		ret = try_start(test, &cfg);
		if (!hatest_inject_stop())
			break;
		KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
		hatest_inject_start(nth, 0, false);
		ret = try_start(test, &cfg);
		failed = hatest_inject_stop();
		KUNIT_EXPECT_EQ(test, failed, 1);
		/* what could not be had without waiting is waited for */
		if (!ret)
			KUNIT_EXPECT_EQ(test, hapool_check(&((struct fixture *)test->priv)->p), 0);
		else
			KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
	}
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_GT(test, nth, 5);
}

static void grow_of_an_odd_end_without_memory(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned long nth, failed;
	int ret;

	for (nth = 1;; nth++) {
		start(test, 9 * SLOT + 77);
		/* the slot of the end has as many runs as its marks allow */
		claim_many(test, 9 * SLOT, 8);
		hatest_inject_start(nth, 0, false);
		ret = hapool_grow(&f->p, (1 << 20) + 33, GFP_NOWAIT);
		failed = hatest_inject_stop();
		KUNIT_ASSERT_EQ(test, hapool_check(&f->p), 0);
		if (!failed)
			break;
		KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
		KUNIT_EXPECT_EQ(test, stat(test)->capacity, 9 * SLOT + 77);
		KUNIT_EXPECT_EQ(test, hapool_grow(&f->p, (1 << 20) + 33, GFP_KERNEL), 0);
		KUNIT_ASSERT_EQ(test, hapool_check(&f->p), 0);
	}
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_GT(test, nth, 3);
	KUNIT_EXPECT_EQ(test, stat(test)->capacity, (1 << 20) + 33);
}

/* The lasting unit has as many runs as its marks allow. More blocks after a live one are a run. */
static void grow_of_a_unit_without_marks_needs_memory(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test, 9 * SLOT + 77);
	KUNIT_ASSERT_EQ(test, claim(test, 9 * SLOT + 76, 1), 0);
	claim_many(test, 9 * SLOT, 8);
	hatest_inject_start(1, 0, true);
	KUNIT_EXPECT_EQ(test, hapool_grow(&f->p, 9 * SLOT + 100, GFP_NOWAIT), -ENOMEM);
	KUNIT_EXPECT_GT(test, hatest_inject_stop(), 0);
	KUNIT_EXPECT_EQ(test, stat(test)->capacity, 9 * SLOT + 77);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	KUNIT_EXPECT_EQ(test, hapool_grow(&f->p, 9 * SLOT + 100, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, stat(test)->capacity, 9 * SLOT + 100);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	KUNIT_EXPECT_EQ(test, claim(test, 9 * SLOT + 77, 23), 0);
}

/* A slot with all its marks in use, of which the last run is free: the next piece needs memory. */
static void piece_in_a_slot_without_marks_needs_memory(struct kunit *test)
{
	struct fixture *f = test->priv;
	enum hybrid_alloc_reason why;
	unsigned int round;
	int ret;

	for (round = 0; round < 3; round++) {
		struct hapool_stat before;
		u64 at = SLOT - 10, len = 20, nr;

		start(test, 2 * SLOT);
		claim_many(test, 0, 8);
		KUNIT_ASSERT_EQ(test, claim(test, 16, 3003), 0);
		before = *stat_walk(test);
		for (nr = 1;; nr++) {
			hatest_inject_start(nr, 0, false);
			if (round == 0) {
				ret = hapool_claim(&f->p, at, len, GFP_NOWAIT);
			} else if (round == 1) {
				len = 3000;
				ret = haslab_alloc(slab_of(test), len, 1, GFP_NOWAIT, &at);
			} else {
				at = 3500;
				len = 8;
				ret = hapool_hold(&f->p, &at, &len, GFP_KERNEL);
				if (!ret)
					hapool_unhold(&f->p, at, len);
			}
			if (!hatest_inject_stop())
				break;
			KUNIT_ASSERT_EQ(test, hapool_check(&f->p), 0);
			if (round == 2) {
				KUNIT_EXPECT_EQ(test, ret, 0);
				continue;
			}
			KUNIT_EXPECT_EQ(test, ret, round ? -ENOMEM : -EAGAIN);
			stat_walk(test);
			KUNIT_EXPECT_EQ(test, f->st.slab.free, before.slab.free);
			KUNIT_EXPECT_EQ(test, f->st.slab.nr_runs, before.slab.nr_runs);
		}
		KUNIT_EXPECT_EQ(test, ret, 0);
		KUNIT_EXPECT_GT(test, nr, 1);
		KUNIT_ASSERT_EQ(test, haslab_check(slab_of(test)), 0);
		if (round == 1) {
			/* it begins in what the first slot has left */
			KUNIT_EXPECT_EQ(test, at, 3019);
			KUNIT_EXPECT_EQ(test, haslab_free(slab_of(test), at, len, &why), 0);
		}
	}
}

/*
 * Units of a slot that lie apart, beside the lasting unit at its end: so many runs that they have
 * memory of their own, also when all of them are free and go back.
 */
static void lasting_unit_is_left_of_many_runs(struct kunit *test)
{
	unsigned int i;

	start_shape(test, SLOT - 32, 6, 64);
	/* even units are blocks of the buddy, odd ones are in the mixed part */
	for (i = 0; i < 62; i += 2) {
		KUNIT_ASSERT_EQ(test, claim(test, i * 64, 64), 0);
		KUNIT_ASSERT_EQ(test, claim(test, i * 64 + 64, 5), 0);
	}
	KUNIT_ASSERT_EQ(test, haslab_check(slab_of(test)), 0);
	for (i = 0; i < 62; i += 2)
		expect_freed(test, i * 64 + 64, 5);
	KUNIT_ASSERT_EQ(test, haslab_check(slab_of(test)), 0);
	for (i = 0; i < 62; i += 2)
		expect_freed(test, i * 64, 64);
	expect_all_comes_back(test);
}

/* A task waits for memory for its magazine; another one on its CPU makes it meanwhile. */
static void take_one(void *arg)
{
	struct kunit *test = arg;

	alloc(test, 7);
}

static void two_tasks_make_the_same_magazine(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned long mags;
	u64 at;

	start(test, 1 << 18);
	mags = hapool_nr_mags(&f->p);
	hatest_inject_start(0, 0, false);
	hatest_inject_meanwhile(take_one, test);
	at = alloc(test, 7);
	hatest_inject_stop();
	KUNIT_EXPECT_EQ(test, hapool_nr_mags(&f->p), mags + 1);
	expect_account(test, 14, 2);
	expect_freed(test, at, 7);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
}

/* ---- extents and runs ---- */

static void held_extent_over_a_border_comes_back(struct kunit *test)
{
	struct haslab *s = slab_of(test);
	enum hybrid_alloc_reason why;
	u64 at[24], across = 0;
	unsigned int i;

	start(test, 64 * SLOT);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		at[i] = alloc(test, 3000);
		if (at[i] / SLOT != (at[i] + 2999) / SLOT)
			across = at[i];
	}
	KUNIT_ASSERT_NE(test, across, 0);
	KUNIT_EXPECT_EQ(test, haslab_retire(s, across + 1, 2999, &why), -EINVAL);
	KUNIT_EXPECT_EQ(test, haslab_retire(s, across, 3000, &why), 0);
	KUNIT_EXPECT_EQ(test, haslab_retire(s, across, 3000, &why), -ENOENT);
	KUNIT_EXPECT_EQ(test, haslab_check(s), 0);
	KUNIT_EXPECT_EQ(test, claim(test, across, 1), -EEXIST);
	haslab_reuse(s, across, 3000);
	KUNIT_EXPECT_EQ(test, haslab_check(s), 0);
	KUNIT_EXPECT_EQ(test, claim(test, across, 3000), 0);
	for (i = 0; i < ARRAY_SIZE(at); i++)
		KUNIT_EXPECT_EQ(test, haslab_free(s, at[i], 3000, &why), 0);
	KUNIT_EXPECT_EQ(test, haslab_check(s), 0);
	KUNIT_EXPECT_EQ(test, haslab_free_exact(s), 64 * SLOT);
}

/*
 * While a walk is in the middle of a GiB, all of it becomes free, and another walk sees that. The
 * first one has added up what is no more: it must not be kept.
 */
static void sum_of_a_dir_that_became_bare_meanwhile(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct haslab *s = slab_of(test);
	struct haslab_walk w;
	u64 at;

	start(test, 3 * GIB);
	for (at = GIB; at < 2 * GIB; at += SLOT)
		KUNIT_ASSERT_EQ(test, claim(test, at, 2), 0);
	haslab_walk_start(&w, s, GIB, U64_MAX, 0);
	KUNIT_ASSERT_TRUE(test, haslab_walk_next(&w));
	while (w.pos < GIB + GIB / 2)
		haslab_walk_sum(&w, 0, U64_MAX);
	haslab_walk_end(&w);
	for (at = GIB; at < 2 * GIB; at += SLOT)
		expect_freed(test, at, 2);
	hapool_drain(&f->p);
	KUNIT_EXPECT_EQ(test, haslab_longest_run(s), 3 * GIB);
	while (haslab_walk_next(&w))
		while (w.pos < w.limit && w.steps > 0)
			haslab_walk_sum(&w, 0, U64_MAX);
	haslab_walk_end(&w);
	/* a change elsewhere, so that what is kept is added up again */
	KUNIT_ASSERT_EQ(test, claim(test, 0, 2), 0);
	KUNIT_EXPECT_EQ(test, haslab_longest_run(s), 3 * GIB - 2);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
}

/*
 * The only row in which an aligned extent fits is in one of many slabs that have a free object: in
 * the one that got it first, and in the one that got it last.
 */
static void alignment_in_one_of_many_slabs_of_odd_objects(struct kunit *test)
{
	struct haslab *s = slab_of(test);
	const struct haslab_slab *slab;
	const u32 nr = 16 * SLOT / UNIT;
	u32 round, i;
	u64 at;

	for (round = 0; round < 2; round++) {
		start(test, 16 * SLOT);
		while (!try_alloc(test, 3, &at))
			;
		for (i = 0; i < nr; i++) {
			at = (round ? nr - 1 - i : i) * UNIT;
			slab = haslab_lookup(s, at);
			if (!slab || slab->start != at || s->classes[slab->class].blocks != 3)
				continue;
			/* blocks 9 to 11 of the slab, in the first one to 14, and a shorter row */
			expect_freed(test, at + 9, 3);
			if (at)
				continue;
			expect_freed(test, at + 12, 3);
			expect_freed(test, at + 30, 3);
		}
		hapool_drain(&((struct fixture *)test->priv)->p);
		KUNIT_EXPECT_EQ(test, haslab_find(s, 5, 2, &at), 0);
		KUNIT_EXPECT_EQ(test, at, 10);
		KUNIT_EXPECT_EQ(test, haslab_find(s, 6, 2, &at), -ENOSPC);
	}
}

/* What is owed to tasks that waited is paid when it is a millisecond, or what a hold adds to it. */
static void who_has_shut_out_others_for_long_rests(struct kunit *test)
{
	struct haslab *s = slab_of(test);

	start(test, 4 * SLOT);
	haslab_lock_all(s);
	s->owed = 2000000;
	haslab_unlock_all(s);
	KUNIT_EXPECT_NE(test, s->owed, 0);
	haslab_lock_all(s);
	s->owed = 2000000;
	haslab_unlock_all_rest(s);
	KUNIT_EXPECT_EQ(test, s->owed, 0);
	haslab_lock_all(s);
	atomic_inc(&s->nr_waiting);
	s->since -= 100000;
	haslab_unlock_all_rest(s);
	atomic_dec(&s->nr_waiting);
	KUNIT_EXPECT_GE(test, s->owed, 100000);
}

/* Two runs in a row, in one word of the bitmap: what TRIM holds, and what the slot lacks. */
static void held_run_beside_a_block_of_the_buddy(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 at, len = 1;

	start_shape(test, 4 * SLOT, 4, 16);
	KUNIT_ASSERT_EQ(test, claim(test, 63 * 16, 16), 0);
	/* 63 units of 16 blocks, with so many runs that there is a bitmap */
	claim_many(test, 0, 63 * 16 / 2);
	expect_freed(test, 63 * 16 - 1, 1);
	hapool_drain(&f->p);
	at = 63 * 16 - 1;
	KUNIT_ASSERT_EQ(test, hapool_hold(&f->p, &at, &len, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	hapool_unhold(&f->p, at, len);
}

/* What TRIM saw as free units is a slab, or a mixed slot, when it comes to hold them. */
static void gap_is_in_use_when_it_is_to_be_held(struct kunit *test)
{
	struct haslab *s = slab_of(test);
	struct fixture *f = test->priv;
	u64 unit, at, start_at, len, i;

	start(test, 4 * SLOT);
	/* a slab of 16 single blocks: one unit */
	at = alloc(test, 1);
	unit = round_down(at, UNIT);
	KUNIT_ASSERT_NOT_NULL(test, haslab_lookup(s, at));
	KUNIT_ASSERT_EQ(test, unit, 0);
	KUNIT_ASSERT_EQ(test, claim(test, 2 * SLOT + 5, 10), 0);
	start_at = 2 * SLOT - UNIT + 5;
	len = 2 * UNIT;
	KUNIT_EXPECT_EQ(test, hapool_hold(&f->p, &start_at, &len, GFP_KERNEL), -EAGAIN);
	/* slabs at the end: everything before is taken */
	KUNIT_ASSERT_EQ(test, claim(test, UNIT, 2 * SLOT - 3 * UNIT), 0);
	/* extents of two blocks elsewhere that fill half a slab */
	for (i = 0; i < 64; i++)
		KUNIT_ASSERT_EQ(test, claim(test, 2 * SLOT + 100 + 3 * i, 2), 0);
	at = alloc(test, 2);
	unit = round_down(at, UNIT);
	KUNIT_ASSERT_NOT_NULL(test, haslab_lookup(s, at));
	KUNIT_ASSERT_EQ(test, unit, 2 * SLOT - 2 * UNIT);
	start_at = unit - UNIT + 5;
	len = 2 * UNIT;
	expect_freed(test, UNIT, 2 * SLOT - 3 * UNIT);
	KUNIT_EXPECT_EQ(test, hapool_hold(&f->p, &start_at, &len, GFP_KERNEL), -EAGAIN);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
}

/* Slots in the list of a length in which the extent does not fit: the look at them is bounded. */
static void place_among_slots_that_are_a_little_too_full(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int nr, i;
	u64 at;

	for (nr = 10; nr <= 20; nr += 10) {
		start(test, 40 * SLOT);
		/* it fits in the first of the slots only, the last of the list */
		KUNIT_ASSERT_EQ(test, claim(test, 1003, SLOT - 1003), 0);
		for (i = 1; i < nr; i++)
			KUNIT_ASSERT_EQ(test, claim(test, i * SLOT + 1000, SLOT - 1000), 0);
		at = alloc(test, 1003);
		if (nr < 16)
			KUNIT_EXPECT_EQ(test, at, 0);
		else
			KUNIT_EXPECT_GE(test, at, nr * SLOT);
		KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	}
}

/* Free runs across the borders of slots, none of which, or just one, is long enough. */
static void run_across_one_of_many_borders(struct kunit *test)
{
	struct haslab *s = slab_of(test);
	unsigned int i, odd, tail;
	u64 at;

	for (tail = 0; tail < 2; tail++) {
		for (odd = 0; odd <= 40; odd++) {
			start(test, 40 * SLOT + tail * 77);
			for (i = 0; i < 40; i++)
				KUNIT_ASSERT_EQ(test, claim(test, i * SLOT + 1500 +
							    (i == odd ? 200 : 0), 1000), 0);
			KUNIT_ASSERT_EQ(test, haslab_search(s, 3200, 1, GFP_KERNEL, &at),
					odd && odd < 40 ? 0 : -ENOSPC);
			if (odd && odd < 40)
				KUNIT_EXPECT_EQ(test, at, odd * SLOT - 1596);
			KUNIT_ASSERT_EQ(test, haslab_check(s), 0);
		}
	}
}

static void census_counts_what_is_there(struct kunit *test)
{
	struct haslab_census *c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);
	struct haslab *s = slab_of(test);
	struct haslab_ref refs[16];
	unsigned int i;
	int nr;

	KUNIT_ASSERT_NOT_NULL(test, c);
	start(test, (1 << 18) + 2 * SLOT + 77);
	haslab_census(s, c);
	/* the units at the end that are not whole */
	KUNIT_EXPECT_EQ(test, c->mixed[0], 1);
	nr = haslab_get_objects(s, 17, refs, 3, GFP_KERNEL);
	KUNIT_ASSERT_EQ(test, nr, 3);
	haslab_own(&refs[0]);
	haslab_own(&refs[1]);
	KUNIT_ASSERT_EQ(test, claim(test, 20 * SLOT, SLOT - 1), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 21 * SLOT - 1, 1), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 30 * SLOT + 1, 2048), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 32 * SLOT + 1, SLOT - 1), 0);
	claim_many(test, 34 * SLOT, 200);
	KUNIT_ASSERT_EQ(test, claim(test, 40 * SLOT - 3, 6), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 65 * SLOT - 3, 6), 0);
	haslab_census(s, c);
	for (i = 0; i < HASLAB_NR_CLASSES; i++) {
		KUNIT_EXPECT_EQ(test, c->class[i].slabs, i == 17);
		KUNIT_EXPECT_EQ(test, c->class[i].objects, i == 17 ? 4 : 0);
		KUNIT_EXPECT_EQ(test, c->class[i].free, i == 17 ? 1 : 0);
		KUNIT_EXPECT_EQ(test, c->class[i].live, i == 17 ? 2 : 0);
	}
	KUNIT_EXPECT_EQ(test, c->nr_spans, 2);
	KUNIT_EXPECT_EQ(test, c->nr_bitmaps, 1);
	/* the end, the one of many, and both sides of the spans */
	KUNIT_EXPECT_EQ(test, c->mixed[0], 6);
	KUNIT_EXPECT_EQ(test, c->mixed[9], 1);
	KUNIT_EXPECT_EQ(test, c->mixed[10], 1);
	for (i = 1; i < 9; i++)
		KUNIT_EXPECT_EQ(test, c->mixed[i], i == 5);
	haslab_put_objects(s, 17, &refs[2], 1);
}

/* ---- groups and magazines ---- */

static void groups_are_as_many_as_are_of_use(struct kunit *test)
{
	struct haslab_config cfg = { .nr_blocks = 1 << 20, .unit_shift = 8, .slab_max = UNIT };
	struct haslab *s = slab_of(test);

	KUNIT_ASSERT_EQ(test, try_start(test, &cfg), 0);
	KUNIT_EXPECT_EQ(test, s->nr_groups, 1);
	cfg.nr_blocks = 2ULL << 20;
	KUNIT_ASSERT_EQ(test, try_start(test, &cfg), 0);
	KUNIT_EXPECT_EQ(test, s->nr_groups, min(2U, num_possible_cpus()));
	cfg.nr_blocks = 200ULL << 20;
	KUNIT_ASSERT_EQ(test, try_start(test, &cfg), 0);
	KUNIT_EXPECT_EQ(test, s->nr_groups, min(64U, num_possible_cpus()));
	cfg.nr_groups = 100;
	KUNIT_ASSERT_EQ(test, try_start(test, &cfg), 0);
	KUNIT_EXPECT_EQ(test, s->nr_groups, 64);
}

static void slabs_of_all_groups_are_counted(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int cpu, nr;
	u64 at[2];

	f->nr_groups = 2;
	start(test, 64 * SLOT);
	for (nr = 0, cpu = 0; cpu < 2; cpu++)
		if (hatest_on_cpu(cpu))
			at[nr++] = alloc(test, 300);
	KUNIT_EXPECT_EQ(test, stat(test)->slab.nr_slabs, nr);
	KUNIT_EXPECT_EQ(test, f->st.slab.made, nr);
	KUNIT_EXPECT_EQ(test, f->st.slab.returned, 0);
	while (nr)
		expect_freed(test, at[--nr], 300);
	hapool_drain(&f->p);
	KUNIT_EXPECT_EQ(test, stat(test)->slab.nr_slabs, 0);
	KUNIT_EXPECT_EQ(test, f->st.slab.returned, f->st.slab.made);
}

/* A full magazine is drained to the half, so the next frees are hits again. */
static void full_magazine_keeps_the_half(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 *at = kunit_kzalloc(test, 200 * sizeof(*at), GFP_KERNEL);
	u64 most = 0, cached, drains;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, at);
	start(test, 64 * SLOT);
	KUNIT_ASSERT_TRUE(test, hatest_on_cpu(0));
	for (i = 0; i < 200; i++)
		at[i] = alloc(test, 1);
	for (i = 0; i < 200; i++) {
		cached = stat(test)->cached;
		drains = f->st.drains;
		expect_freed(test, at[i], 1);
		if (stat(test)->drains == drains) {
			KUNIT_ASSERT_EQ(test, f->st.cached, cached + 1);
			most = max(most, f->st.cached);
		} else {
			KUNIT_ASSERT_EQ(test, cached, 64);
			KUNIT_ASSERT_EQ(test, f->st.cached, 33);
		}
	}
	KUNIT_EXPECT_EQ(test, most, 64);
}

/* ---- the buddy ---- */

/* Tracepoints of the buddy name the device, and count in bytes. */
static void buddy_knows_the_device_and_the_size_of_a_unit(struct kunit *test)
{
	struct haslab_config cfg = {
		.nr_blocks = 4 * SLOT, .unit_shift = 8, .slab_max = UNIT, .nr_groups = 1,
		.dev = 0x10300005, .byte_shift = 12,
	};

	start_cfg(test, &cfg);
	KUNIT_EXPECT_EQ(test, slab_of(test)->buddy.dev, 0x10300005);
	KUNIT_EXPECT_EQ(test, slab_of(test)->buddy.byte_shift, 20);
}

static void questions_about_orders_that_there_are_not(struct kunit *test)
{
	struct hamem mem = {};
	struct hamem_op op = HAMEM_OP(GFP_KERNEL);
	struct habuddy *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	u64 units[4], at;
	unsigned int order;

	KUNIT_ASSERT_NOT_NULL(test, b);
	KUNIT_ASSERT_EQ(test, habuddy_init(b, 300, &mem, &op), 0);
	KUNIT_EXPECT_EQ(test, habuddy_free_blocks(b, 4, units, 4), 0);
	KUNIT_EXPECT_EQ(test, habuddy_free_blocks(b, 12, units, 4), 0);
	KUNIT_EXPECT_EQ(test, habuddy_free_blocks(b, 8, units, 4), 1);
	KUNIT_EXPECT_EQ(test, units[0], 0);
	KUNIT_EXPECT_FALSE(test, habuddy_disown(b, 0, 9));
	KUNIT_EXPECT_FALSE(test, habuddy_disown(b, 0, 20));
	KUNIT_EXPECT_FALSE(test, habuddy_find_owned(b, 0, &at, &order));
	/* a range past the largest number */
	KUNIT_EXPECT_EQ(test, habuddy_take(b, U64_MAX, 2, &op), -EEXIST);
	KUNIT_EXPECT_EQ(test, habuddy_take(b, 299, 2, &op), -EEXIST);
	KUNIT_EXPECT_EQ(test, habuddy_check(b), 0);
	habuddy_destroy(b);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&mem.bytes), 0);
}

static void tree_grows_without_memory(struct kunit *test)
{
	static const struct { u64 from, to; } sizes[] = {
		{ 100, 600 }, { 100 * 512, (1 << 18) + 5 }, { 300 * 512 + 3, 400 * 512 + 9 },
		{ 7, (1 << 18) + 513 },
	};
	struct habuddy *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	unsigned int i, gap;

	KUNIT_ASSERT_NOT_NULL(test, b);
	for (i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
		u64 from = sizes[i / 2].from, to = sizes[i / 2].to;
		unsigned long nth, failed;

		gap = i % 2;
		for (nth = 1, failed = 1; failed; nth++) {
			struct hamem mem = {};
			struct hamem_op op = HAMEM_OP(GFP_NOWAIT);
			int ret;

			KUNIT_ASSERT_EQ(test, habuddy_init(b, from, &mem, &op), 0);
			hatest_inject_start(nth, 0, false);
			ret = habuddy_grow_prepare(b, to, from + gap, &op);
			failed = hatest_inject_stop();
			KUNIT_EXPECT_EQ(test, ret, failed ? -ENOMEM : 0);
			KUNIT_EXPECT_EQ(test, b->nr_units, from);
			KUNIT_EXPECT_EQ(test, habuddy_check(b), 0);
			if (failed)
				KUNIT_ASSERT_EQ(test, habuddy_grow_prepare(b, to, from + gap, &op),
						0);
			habuddy_grow(b, to, from + gap);
			KUNIT_EXPECT_EQ(test, habuddy_check(b), 0);
			KUNIT_EXPECT_EQ(test, b->free_units, to - gap);
			if (gap)
				habuddy_free(b, from, 0);
			KUNIT_EXPECT_EQ(test, habuddy_check(b), 0);
			KUNIT_EXPECT_EQ(test, b->free_units, to);
			habuddy_destroy(b);
			KUNIT_EXPECT_EQ(test, atomic_long_read(&mem.bytes), 0);
		}
		KUNIT_EXPECT_GT(test, nth, 2);
	}
	rcu_barrier();
}

/* ---- waiting ---- */

static struct kunit *waiting;
static u64 held_at;

/* So many slabs are small or dissolved that no more may be. */
#define MANY_BYTES (1L << 28)

static void reuse_what_is_held(void)
{
	slab_of(waiting)->small_bytes -= MANY_BYTES;
	haslab_reuse(slab_of(waiting), held_at, 1);
}

/*
 * An object is between the two halves of its free, and its slab cannot be dissolved: the slow mode
 * waits for the second half.
 */
static void slow_mode_waits_for_a_free_under_way(struct kunit *test)
{
	struct fixture *f = test->priv;
	enum hybrid_alloc_reason why;
	unsigned int round;
	u64 at, end, found;

	for (round = 0; round < 2; round++) {
		start(test, 4 * SLOT);
		at = alloc(test, 1);
		held_at = alloc(test, 1);
		end = max(at, held_at) + 1;
		hapool_drain(&f->p);
		KUNIT_ASSERT_NOT_NULL(test, haslab_lookup(slab_of(test), held_at));
		KUNIT_ASSERT_EQ(test, haslab_retire(slab_of(test), held_at, 1, &why), 0);
		waiting = test;
		hatest_asleep = reuse_what_is_held;
		slab_of(test)->small_bytes += MANY_BYTES;
		if (round) {
			/* the only run of that length begins in its slab */
			KUNIT_ASSERT_EQ(test, haslab_search(slab_of(test), 4 * SLOT - end, 1,
							    GFP_KERNEL, &found), 0);
			KUNIT_EXPECT_LE(test, found, end);
		} else {
			KUNIT_ASSERT_EQ(test, claim(test, end, 5), 0);
		}
		KUNIT_EXPECT_TRUE(test, !hatest_asleep);
		KUNIT_EXPECT_EQ(test, haslab_check(slab_of(test)), 0);
		KUNIT_EXPECT_EQ(test, haslab_free(slab_of(test), at, 1, &why), 0);
	}
}

/* As dev/batch.c allocates: find and take, one after another. */
static void search_in_steps(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 len = 3 * SLOT, at;

	start(test, 6 * SLOT);
	KUNIT_ASSERT_EQ(test, claim(test, 5 * SLOT - 10, 20), 0);
	at = alloc(test, 1);
	KUNIT_EXPECT_EQ(test, hapool_search_begin(&f->p, GFP_NOWAIT), -EAGAIN);
	KUNIT_ASSERT_EQ(test, hapool_search_begin(&f->p, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, stat(test)->searches, 1);
	KUNIT_EXPECT_EQ(test, stat(test)->cached, 0);
	KUNIT_ASSERT_EQ(test, hapool_search_find(&f->p, &len, len, 1, &at), 0);
	KUNIT_ASSERT_EQ(test, hapool_search_take(&f->p, at, 3 * SLOT), 0);
	KUNIT_EXPECT_EQ(test, hapool_search_take(&f->p, at, 3 * SLOT), -EEXIST);
	expect_account(test, 3 * SLOT + 20 + 1, 3);
	/* as much is free, but not in a row */
	len = 2 * SLOT + 9;
	KUNIT_EXPECT_EQ(test, hapool_search_find(&f->p, &len, len, 1, &at), -ENOSPC);
	len = SLOT;
	KUNIT_EXPECT_EQ(test, hapool_search_find(&f->p, &len, 2 * SLOT + 9, 1, &at), 0);
	KUNIT_EXPECT_EQ(test, len, 2 * SLOT - 11);
	hapool_search_end(&f->p);
	/* what was not found is known to be refused */
	KUNIT_EXPECT_EQ(test, try_alloc(test, 2 * SLOT + 9, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, stat(test)->searches, 1);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
}

static void who_is_killed_does_not_wait_for_an_object(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct haslab *s = &f->p.slab;
	enum hybrid_alloc_reason why;
	struct hapool_mag *mag;
	struct hapool_bin *bin;
	u64 at, held, found;

	start(test, 4 * SLOT);
	hatest_on_cpu(0);
	at = alloc(test, 1);
	held = alloc(test, 1);
	hapool_drain(&f->p);
	KUNIT_ASSERT_EQ(test, hapool_retire(&f->p, held, 1, &why), 0);
	hatest_set_killed(true);
	s->small_bytes += MANY_BYTES;
	KUNIT_EXPECT_EQ(test, haslab_search(s, 4 * SLOT - max(at, held) - 1, 1, GFP_KERNEL, &found),
			-EINTR);
	s->small_bytes -= MANY_BYTES;
	hatest_set_killed(false);
	hapool_reuse(&f->p, held, 1);
	/* nor for a magazine, to begin a search in steps */
	bin = &per_cpu_ptr(f->p.cpus, 0)->bin[0];
	mag = hapool_mag_take(bin);
	KUNIT_ASSERT_NOT_NULL(test, mag);
	hatest_set_killed(true);
	KUNIT_EXPECT_EQ(test, hapool_search_begin(&f->p, GFP_KERNEL), -EINTR);
	hatest_set_killed(false);
	hapool_mag_put(bin, mag);
	KUNIT_ASSERT_EQ(test, hapool_search_begin(&f->p, GFP_KERNEL), 0);
	hapool_search_end(&f->p);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
}

#ifndef __KERNEL__	/* lockdep rejects a task that waits for itself */

/* A task that was killed still gets the truth if the allocator may not fail for that. */
static void killed_caller_of_an_unkillable_allocator_searches(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 at;

	start(test, 600 * UNIT);
	for (at = 0; at < 600 * UNIT; at += 2 * UNIT)
		KUNIT_ASSERT_EQ(test, claim(test, at, UNIT), 0);
	f->p.slab.cfg.unkillable = true;
	hatest_set_killed(true);
	KUNIT_EXPECT_EQ(test, haslab_search(slab_of(test), UNIT + 1, 1, GFP_KERNEL, &at), -ENOSPC);
	f->p.slab.cfg.unkillable = false;
	KUNIT_EXPECT_EQ(test, haslab_search(slab_of(test), UNIT, 1, GFP_KERNEL, &at), -EINTR);
	hatest_set_killed(false);
}

static void who_is_killed_does_not_wait_for_the_slow_mode(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 at = 0, len = UNIT;
	struct haslab_walk w;

	start(test, 4 * SLOT);
	alloc(test, 1);
	mutex_lock(&f->p.slow);
	hatest_set_killed(true);
	KUNIT_EXPECT_EQ(test, try_alloc(test, 4 * SLOT - 1, &at), -EINTR);
	KUNIT_EXPECT_EQ(test, hapool_search_begin(&f->p, GFP_KERNEL), -EINTR);
	KUNIT_EXPECT_EQ(test, claim(test, 0, 4), -EINTR);
	at = SLOT;
	KUNIT_EXPECT_EQ(test, hapool_hold(&f->p, &at, &len, GFP_KERNEL), -EINTR);
	KUNIT_EXPECT_EQ(test, hapool_grow(&f->p, 5 * SLOT, GFP_KERNEL), -EINTR);
	haslab_walk_start(&w, slab_of(test), 0, U64_MAX, HASLAB_WALK_KILLABLE);
	KUNIT_EXPECT_FALSE(test, haslab_walk_next(&w));
	KUNIT_EXPECT_EQ(test, haslab_walk_end(&w), -EINTR);
	/* what ends soon it does */
	KUNIT_EXPECT_EQ(test, try_alloc(test, 1, &at), 0);
	expect_freed(test, at, 1);
	hatest_set_killed(false);
	mutex_unlock(&f->p.slow);
	KUNIT_EXPECT_EQ(test, stat(test)->capacity, 4 * SLOT);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	KUNIT_EXPECT_EQ(test, try_alloc(test, 4 * SLOT, &at), -ENOSPC);
}

#endif

static struct kunit_case corner_cases[] = {
	KUNIT_CASE(more_objects_than_any_operation_needs),
	KUNIT_CASE(memory_ends_while_it_is_waited_for),
	KUNIT_CASE(attach_of_odd_ends_without_memory),
	KUNIT_CASE(grow_of_an_odd_end_without_memory),
	KUNIT_CASE(grow_of_a_unit_without_marks_needs_memory),
	KUNIT_CASE(piece_in_a_slot_without_marks_needs_memory),
	KUNIT_CASE(lasting_unit_is_left_of_many_runs),
	KUNIT_CASE(two_tasks_make_the_same_magazine),
	KUNIT_CASE(held_extent_over_a_border_comes_back),
	KUNIT_CASE(sum_of_a_dir_that_became_bare_meanwhile),
	KUNIT_CASE(alignment_in_one_of_many_slabs_of_odd_objects),
	KUNIT_CASE(who_has_shut_out_others_for_long_rests),
	KUNIT_CASE(held_run_beside_a_block_of_the_buddy),
	KUNIT_CASE(gap_is_in_use_when_it_is_to_be_held),
	KUNIT_CASE(place_among_slots_that_are_a_little_too_full),
	KUNIT_CASE(run_across_one_of_many_borders),
	KUNIT_CASE(census_counts_what_is_there),
	KUNIT_CASE(groups_are_as_many_as_are_of_use),
	KUNIT_CASE(slabs_of_all_groups_are_counted),
	KUNIT_CASE(full_magazine_keeps_the_half),
	KUNIT_CASE(buddy_knows_the_device_and_the_size_of_a_unit),
	KUNIT_CASE(questions_about_orders_that_there_are_not),
	KUNIT_CASE(tree_grows_without_memory),
	KUNIT_CASE(slow_mode_waits_for_a_free_under_way),
	KUNIT_CASE(search_in_steps),
	KUNIT_CASE(who_is_killed_does_not_wait_for_an_object),
#ifndef __KERNEL__
	KUNIT_CASE(killed_caller_of_an_unkillable_allocator_searches),
	KUNIT_CASE(who_is_killed_does_not_wait_for_the_slow_mode),
#endif
	{}
};

static struct kunit_suite corner_suite = {
	.name = "corner",
	.init = pool_test_init,
	.exit = pool_test_exit,
	.test_cases = corner_cases,
};

kunit_test_suite(corner_suite);
