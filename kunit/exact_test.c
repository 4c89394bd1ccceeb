// SPDX-License-Identifier: GPL-2.0
/* What holds to the last block, look and jiffy, and where a given workload comes to lie. */
#include <linux/slab.h>
#include <linux/string.h>

#include "pool_fixture.h"
#include "pool_hit.h"
#include "slab/internal.h"
#include "trace.h"

#define SLOT	4096U		/* blocks */

static struct haslab *slab_of(struct kunit *test)
{
	struct fixture *f = test->priv;

	return &f->p.slab;
}

/* ---- ranges ---- */

static void free_run_ends_where_the_question_does(struct kunit *test)
{
	struct hamem_op op = HAMEM_OP(GFP_KERNEL);
	struct habuddy *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	struct hamem mem = {};
	u64 unit, nr;

	KUNIT_ASSERT_NOT_NULL(test, b);
	KUNIT_ASSERT_EQ(test, habuddy_init(b, 3000, &mem, &op), 0);
	KUNIT_ASSERT_EQ(test, habuddy_take(b, 0, 700, &op), 0);
	KUNIT_EXPECT_FALSE(test, habuddy_next_free(b, 0, 700, &unit, &nr));
	KUNIT_EXPECT_FALSE(test, habuddy_next_free(b, 900, 900, &unit, &nr));
	KUNIT_EXPECT_TRUE(test, habuddy_next_free(b, 0, 701, &unit, &nr));
	KUNIT_EXPECT_EQ(test, unit, 700);
	KUNIT_EXPECT_EQ(test, nr, 1);
	KUNIT_EXPECT_TRUE(test, habuddy_next_free(b, 700, 1025, &unit, &nr));
	KUNIT_EXPECT_EQ(test, unit, 700);
	KUNIT_EXPECT_EQ(test, nr, 325);
	KUNIT_EXPECT_TRUE(test, habuddy_next_free(b, 801, U64_MAX, &unit, &nr));
	KUNIT_EXPECT_EQ(test, unit, 801);
	KUNIT_EXPECT_EQ(test, nr, 2199);
	habuddy_destroy(b);
	rcu_barrier();
}

static void expect_held(struct kunit *test, u64 from, u64 nr, u64 start, u64 len)
{
	struct fixture *f = test->priv;
	u64 got_start = from, got_len = nr;

	KUNIT_ASSERT_EQ(test, hapool_hold(&f->p, &got_start, &got_len, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, got_start, start);
	KUNIT_EXPECT_EQ(test, got_len, len);
	KUNIT_EXPECT_EQ(test, stat(test)->retired, len);
	hapool_unhold(&f->p, got_start, got_len);
	KUNIT_EXPECT_EQ(test, stat(test)->retired, 0);
}

static void what_is_held_is_whole_objects_and_units(struct kunit *test)
{
	struct haslab_ref refs[3];
	struct haslab *s = slab_of(test);
	struct fixture *f = test->priv;
	struct haslab_slab *slab;
	u64 at, len;

	start(test, 4 * SLOT);
	/* 256 objects of a block, and 85 of 3 blocks with one block as the rest */
	KUNIT_ASSERT_EQ(test, haslab_get_objects(s, 0, refs, 1, GFP_KERNEL), 1);
	at = refs[0].start;
	expect_held(test, at + 1, 1, at + 1, 1);
	expect_held(test, at + 1, 2, at + 1, 2);
	expect_held(test, at + 1, 255, at + 1, 255);
	KUNIT_ASSERT_EQ(test, haslab_get_objects(s, 2, &refs[1], 1, GFP_KERNEL), 1);
	at = refs[1].start;
	slab = haslab_lookup(s, at);
	KUNIT_ASSERT_EQ(test, slab->nr_objects, 85);
	expect_held(test, at + 3, 3, at + 3, 3);
	expect_held(test, at + 4, 1, at + 3, 3);
	expect_held(test, at + 5, 2, at + 3, 6);
	expect_held(test, at + 250, 6, at + 249, 6);
	at += 255;
	len = 1;
	KUNIT_EXPECT_EQ(test, hapool_hold(&f->p, &at, &len, GFP_KERNEL), -EAGAIN);
	/* a gap, and a mixed part */
	expect_held(test, 2 * SLOT + 7, 1, 2 * SLOT, UNIT);
	expect_held(test, 2 * SLOT + 255, 2, 2 * SLOT, 2 * UNIT);
	KUNIT_ASSERT_EQ(test, claim(test, 3 * SLOT + 5, 7), 0);
	expect_held(test, 3 * SLOT + 1, 2, 3 * SLOT + 1, 2);
	haslab_put_objects(s, 0, &refs[0], 1);
	haslab_put_objects(s, 2, &refs[1], 1);
	expect_freed(test, 3 * SLOT + 5, 7);
	expect_all_comes_back(test);
}

static void expect_map_at(struct kunit *test, u64 at, u64 start, u64 len, u32 state, u32 kind)
{
	struct fixture *f = test->priv;
	struct haslab_extent e = {};

	KUNIT_ASSERT_EQ(test, hapool_map(&f->p, at, &e, 1), 1);
	KUNIT_EXPECT_EQ_MSG(test, e.start, start, "at %llu", at);
	KUNIT_EXPECT_EQ_MSG(test, e.len, len, "at %llu", at);
	KUNIT_EXPECT_EQ_MSG(test, e.state, state, "at %llu", at);
	if (state != HYBRID_ALLOC_MAP_FREE)
		KUNIT_EXPECT_EQ_MSG(test, e.kind, kind, "at %llu", at);
}

static void map_shows_what_is_held(struct kunit *test)
{
	struct fixture *f = test->priv;
	enum hybrid_alloc_reason why;
	u64 object, at = SLOT + 50, len = 20;

	start(test, 4 * SLOT);
	KUNIT_ASSERT_EQ(test, claim(test, SLOT + 5, 30), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 2 * SLOT, 2 * UNIT), 0);
	object = alloc(test, 3);
	expect_map_at(test, SLOT + 5, SLOT + 5, 30, HYBRID_ALLOC_MAP_LIVE,
		      HYBRID_ALLOC_MAP_KIND_MIXED);
	expect_map_at(test, 2 * SLOT + UNIT, 2 * SLOT, 2 * UNIT, HYBRID_ALLOC_MAP_LIVE,
		      HYBRID_ALLOC_MAP_KIND_BUDDY);
	expect_map_at(test, object, object, 3, HYBRID_ALLOC_MAP_LIVE,
		      HYBRID_ALLOC_MAP_KIND_EQUAL);
	KUNIT_ASSERT_EQ(test, hapool_retire(&f->p, SLOT + 5, 30, &why), 0);
	KUNIT_ASSERT_EQ(test, hapool_retire(&f->p, 2 * SLOT, 2 * UNIT, &why), 0);
	KUNIT_ASSERT_EQ(test, hapool_retire(&f->p, object, 3, &why), 0);
	KUNIT_EXPECT_EQ(test, stat(test)->retired, 33 + 2 * UNIT);
	expect_map_at(test, SLOT + 6, SLOT + 5, 30, HYBRID_ALLOC_MAP_HELD,
		      HYBRID_ALLOC_MAP_KIND_MIXED);
	expect_map_at(test, 2 * SLOT + UNIT, 2 * SLOT + UNIT, UNIT, HYBRID_ALLOC_MAP_CACHED,
		      HYBRID_ALLOC_MAP_KIND_BUDDY);
	expect_map_at(test, object, object, 3, HYBRID_ALLOC_MAP_CACHED,
		      HYBRID_ALLOC_MAP_KIND_EQUAL);
	hapool_reuse(&f->p, 2 * SLOT, 2 * UNIT);
	hapool_reuse(&f->p, object, 3);
	KUNIT_ASSERT_EQ(test, hapool_hold(&f->p, &at, &len, GFP_KERNEL), 0);
	expect_map_at(test, at, at, 20, HYBRID_ALLOC_MAP_HELD, HYBRID_ALLOC_MAP_KIND_MIXED);
	expect_map_at(test, at + 20, at + 20, 3 * SLOT - 70, HYBRID_ALLOC_MAP_FREE, 0);
	hapool_unhold(&f->p, at, len);
	hapool_reuse(&f->p, SLOT + 5, 30);
	expect_all_comes_back(test);
}

/* An extent over a border of slots, of which one block lies before it. */
static void one_block_before_a_border(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 at;

	start(test, 4 * SLOT);
	KUNIT_ASSERT_EQ(test, claim(test, 0, SLOT - 1), 0);
	at = alloc(test, 3000);
	KUNIT_ASSERT_EQ(test, at, SLOT - 1);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	expect_map_at(test, SLOT - 1, SLOT - 1, 3000, HYBRID_ALLOC_MAP_LIVE,
		      HYBRID_ALLOC_MAP_KIND_MIXED);
	expect_map_at(test, SLOT, SLOT - 1, 3000, HYBRID_ALLOC_MAP_LIVE,
		      HYBRID_ALLOC_MAP_KIND_MIXED);
	expect_freed(test, 0, SLOT - 1);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	expect_map_at(test, SLOT - 2, SLOT - 2, 1, HYBRID_ALLOC_MAP_FREE, 0);
	expect_refused(test, SLOT, 2999, -EINVAL, HYBRID_ALLOC_REASON_WRONG_START);
	expect_refused(test, SLOT - 1, 1, -EINVAL, HYBRID_ALLOC_REASON_WRONG_LENGTH);
	expect_refused(test, SLOT - 2, 1, -ENOENT, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
	expect_freed(test, at, 3000);
	expect_all_comes_back(test);
}

/* Where an extent is to continue, the slot has as many runs as its marks allow. */
static void border_to_a_slot_without_marks(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct haslab *s = slab_of(test);
	unsigned int nth, i, failed = 1;
	enum hybrid_alloc_reason why;
	u64 at, before;
	int ret;

	for (nth = 1; failed; nth++) {
		start(test, 2 * SLOT);
		KUNIT_ASSERT_EQ(test, claim(test, 0, 3900), 0);
		/* a whole block from unit 4 on, and 16 runs from unit 8 on */
		KUNIT_ASSERT_EQ(test, claim(test, SLOT, 4 * UNIT), 0);
		KUNIT_ASSERT_EQ(test, claim(test, SLOT + 4 * UNIT, 4 * UNIT), 0);
		for (i = 0; i < 7; i++)
			KUNIT_ASSERT_EQ(test, claim(test, SLOT + 8 * UNIT + 2 * i, 1), 0);
		KUNIT_ASSERT_EQ(test, claim(test, SLOT + 8 * UNIT + 14, 8 * UNIT - 24), 0);
		expect_freed(test, SLOT, 4 * UNIT);
		before = haslab_free_exact(s);
		hatest_inject_start(nth, 0, false);
		ret = haslab_alloc(s, 1000, 1, GFP_NOWAIT, &at);
		failed = hatest_inject_stop();
		KUNIT_EXPECT_EQ(test, haslab_check(s), 0);
		KUNIT_EXPECT_EQ(test, ret, failed ? -ENOMEM : 0);
		KUNIT_EXPECT_EQ(test, haslab_free_exact(s),
				before - (failed ? 0 : 1000));
		if (failed)
			KUNIT_ASSERT_EQ(test, haslab_alloc(s, 1000, 1, GFP_KERNEL, &at), 0);
		else
			KUNIT_EXPECT_EQ(test, at, 3900);
		KUNIT_ASSERT_EQ(test, haslab_free(s, at, 1000, &why), 0);
		KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	}
	KUNIT_EXPECT_GT(test, nth, 2);
}

static void memory_of_an_allocator_need_not_be_zero(struct kunit *test)
{
	struct haslab_config cfg = {
		.first_block = 3, .nr_blocks = 3 * SLOT + 5, .unit_shift = 8, .slab_max = UNIT,
		.nr_groups = 1,
	};
	struct fixture *f = test->priv;
	u64 at;

	memset(&f->p, 0xa5, sizeof(f->p));
	start_cfg(test, &cfg);
	KUNIT_EXPECT_EQ(test, stat_walk(test)->slab.nr_runs, 1);
	at = alloc(test, 3);
	KUNIT_EXPECT_EQ(test, try_alloc(test, 2 * SLOT, &at), 0);
	expect_account(test, 2 * SLOT + 3, 2);
	KUNIT_EXPECT_EQ(test, stat(test)->retired, 0);
	KUNIT_EXPECT_EQ(test, try_alloc(test, 2 * SLOT, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
}

/* The table of dirs has a place for what comes, and so have the marks of the last slot. */
static void grow_inside_a_dir_needs_no_memory(struct kunit *test)
{
	struct fixture *f = test->priv;
	int ret;

	start(test, 9 * SLOT + 77);
	hatest_inject_start(0, 0, true);
	ret = hapool_grow(&f->p, 9 * SLOT + 79, GFP_KERNEL);
	KUNIT_EXPECT_EQ(test, hatest_inject_stop(), 0);
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_EQ(test, stat(test)->capacity, 9 * SLOT + 79);
	KUNIT_EXPECT_EQ(test, hapool_grow(&f->p, 9 * SLOT + 78, GFP_KERNEL), -EINVAL);
	expect_one_run(test);
}

/* The root of the buddy has a place for each of the new units, and so has the last node. */
static void grow_inside_a_node_needs_no_memory(struct kunit *test)
{
	struct fixture *f = test->priv;
	int ret;

	start(test, (2048 + 10) * UNIT);
	hatest_inject_start(1, 0, true);
	ret = hapool_grow(&f->p, (2048 + 40) * UNIT, GFP_KERNEL);
	KUNIT_EXPECT_EQ(test, hatest_inject_stop(), 0);
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_EQ(test, stat(test)->capacity, (2048 + 40) * UNIT);
	expect_one_run(test);
}

/* ---- bounded looks ---- */

/*
 * So many slots, or slabs, have a part that may do, that the search for large parts gives up before
 * it comes to those that were first. The search over all finds the lowest.
 */
static void search_gives_up_and_looks_at_all(struct kunit *test)
{
	struct haslab *s = slab_of(test);
	enum hybrid_alloc_reason why;
	const unsigned int slot = 1024, nr = 300;
	struct haslab_ref refs[32];
	u64 at, i, got;
	int n, k;

	/* in each slot the first 20 blocks are free, in two also the last 9 */
	start_shape(test, nr * slot, 4, 16);
	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_EQ(test, claim(test, i * slot + 20,
					    slot - (i == 7 || i == 20 ? 29 : 20)), 0);
	KUNIT_EXPECT_EQ(test, haslab_find(s, 30, 1, &at), -ENOSPC);
	KUNIT_ASSERT_EQ(test, haslab_find(s, 29, 1, &at), 0);
	KUNIT_EXPECT_EQ(test, at, 8 * slot - 9);
	/* slabs of single blocks, of which one in each is free, in two slabs more */
	start_shape(test, nr * slot, 4, 16);
	for (got = 0; (n = haslab_get_objects(s, 0, refs, 32, GFP_KERNEL)) > 0; got += n)
		for (k = 0; k < n; k++)
			haslab_own(&refs[k]);
	KUNIT_ASSERT_EQ(test, n, -ENOSPC);
	/* more small slabs would take too much memory */
	for (; !haslab_alloc(s, 1, 1, GFP_KERNEL, &at); got++)
		;
	KUNIT_ASSERT_EQ(test, got, nr * slot);
	for (i = 0; i < nr * slot; i += slot)
		KUNIT_ASSERT_EQ(test, haslab_free(s, i, 1, &why), 0);
	for (i = 1; i < 20; i++) {
		KUNIT_ASSERT_EQ(test, haslab_free(s, 7 * slot + i, 1, &why), 0);
		KUNIT_ASSERT_EQ(test, haslab_free(s, 20 * slot + i, 1, &why), 0);
	}
	KUNIT_EXPECT_EQ(test, haslab_find(s, 21, 1, &at), -ENOSPC);
	KUNIT_ASSERT_EQ(test, haslab_find(s, 20, 1, &at), 0);
	KUNIT_EXPECT_EQ(test, at, 7 * slot);
	KUNIT_EXPECT_EQ(test, haslab_check(s), 0);
}

static unsigned int rescheduled;

static void count_resched(void)
{
	rescheduled++;
}

/* Few parts may do: the search looks at these, not at the dirs, which it would one by one. */
static void search_of_few_parts_looks_at_no_dir(struct kunit *test)
{
	struct haslab *s = slab_of(test);
	const u64 dir = 64 * SLOT;
	u64 at;

	start(test, 5 * dir);
	KUNIT_ASSERT_EQ(test, claim(test, 2000, 2 * dir), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 2 * dir + 5000, dir), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 3 * dir + 7000, 2 * dir - 9000), 0);
	rescheduled = 0;
	hatest_meanwhile = count_resched;
	KUNIT_EXPECT_EQ(test, haslab_find(s, 3001, 1, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, haslab_find(s, 3000, 1, &at), 0);
	KUNIT_EXPECT_EQ(test, at, 2 * dir + 2000);
	KUNIT_EXPECT_EQ(test, haslab_find(s, 2001, 1, &at), 0);
	KUNIT_EXPECT_EQ(test, haslab_find(s, 2 * SLOT, 1, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, rescheduled, 0);
	/* so short a run may be in a slab that is in no list */
	KUNIT_EXPECT_EQ(test, haslab_find(s, 20, 2048, &at), 0);
	hatest_meanwhile = NULL;
	KUNIT_EXPECT_EQ(test, haslab_check(s), 0);
}

static struct fixture *grown;
static u64 grown_to;

/* Once, in the middle of a walk; and one that has no end is ended. */
static void grow_meanwhile(void)
{
	if (!rescheduled++ && hapool_grow(&grown->p, grown_to, GFP_KERNEL))
		rescheduled = 1000;
	if (rescheduled == 1000)
		haslab_stop_walks(&grown->p.slab);
}

/* GROW completes the last unit, which a walk that has begun looks at up to where it ended. */
static void walk_ends_in_a_unit_that_grows(struct kunit *test)
{
	const u64 shredded = 64 * 256 * 8;
	const struct haslab_config cfg = {
		.nr_blocks = shredded + 515, .unit_shift = 2, .slab_max = 1, .nr_groups = 1,
	};
	u64 at;

	start_cfg(test, &cfg);
	for (at = 0; at < shredded; at += 2)
		KUNIT_ASSERT_EQ(test, claim(test, at, 1), 0);
	/* so that the buddy has a node there */
	KUNIT_ASSERT_EQ(test, claim(test, shredded + 4, 4), 0);
	grown = test->priv;
	grown_to = shredded + 1024;
	rescheduled = 0;
	hatest_meanwhile = grow_meanwhile;
	haslab_longest_run(slab_of(test));
	hatest_meanwhile = NULL;
	KUNIT_EXPECT_GT(test, rescheduled, 1);
	KUNIT_EXPECT_LT(test, rescheduled, 1000);
	KUNIT_EXPECT_EQ(test, haslab_longest_run(slab_of(test)), 1024 - 8);
}

static void expect_freed_past_pools(struct kunit *test, u64 at)
{
	enum hybrid_alloc_reason why;

	KUNIT_ASSERT_EQ(test, haslab_free(slab_of(test), at, 1, &why), 0);
}

/* Every second block of a slab becomes free. */
static void free_every_second(struct kunit *test, const struct haslab_slab *slab)
{
	u64 at;

	for (at = slab->start; at < slab->start + slab->nr_blocks; at += 2)
		expect_freed_past_pools(test, at);
}

/* What a search by large parts counts in a slab of single blocks, all of which it looks at. */
static unsigned int steps_in_slab(const struct haslab_slab *slab)
{
	return 1 + (haslab_slab_keeps(slab) ? 0 : slab->nr_objects / (BITS_PER_LONG / 2)) +
	       2 * min_t(u32, slab->nr_free, slab->nr_objects - slab->nr_free);
}

/* All objects of a class become extents. */
static void own_all_objects(struct haslab *s, int class)
{
	struct haslab_ref refs[32];
	int n, k;

	while ((n = haslab_get_objects(s, class, refs, 32, GFP_KERNEL)) > 0)
		for (k = 0; k < n; k++)
			haslab_own(&refs[k]);
}

/*
 * The run that fits is in the last slab of the list. It is found in one hold of all groups if that
 * takes 1000 steps, else by a look at all, wherever in this slab the search gave up.
 */
static void search_gives_up_in_the_last_slab(struct kunit *test)
{
	struct haslab *s = slab_of(test);
	struct haslab_slab *slab, *odd, *last;
	unsigned int nr_gave_up = 0, steps, i;
	long holds;
	u64 at;

	start(test, 5 * UNIT);
	own_all_objects(s, 0);
	for (i = 0; i < 5; i++)
		KUNIT_ASSERT_EQ(test, haslab_lookup(s, i * UNIT)->nr_objects, UNIT);
	last = haslab_lookup(s, 4 * UNIT);
	for (at = last->start + 100; at < last->start + 133; at++)
		expect_freed_past_pools(test, at);
	for (i = 0; i < 3; i++)
		free_every_second(test, haslab_lookup(s, i * UNIT));
	odd = haslab_lookup(s, 3 * UNIT);
	for (i = 0; i < UNIT / 2; i++) {
		expect_freed_past_pools(test, odd->start + 2 * i);
		/* and two for the run */
		steps = 2;
		list_for_each_entry(slab, &s->groups[0].partial[0], list)
			steps += steps_in_slab(slab);
		KUNIT_ASSERT_PTR_EQ(test, list_last_entry(&s->groups[0].partial[0],
							  struct haslab_slab, list), last);
		holds = ha_holds(HA_LOCK_ALL);
		KUNIT_ASSERT_EQ_MSG(test, haslab_find(s, 33, 1, &at), 0, "%u steps", steps);
		KUNIT_EXPECT_EQ(test, at, last->start + 100);
		KUNIT_EXPECT_EQ_MSG(test, ha_holds(HA_LOCK_ALL) > holds + 1, steps > 1000,
				    "%u steps", steps);
		nr_gave_up += steps > 1000;
	}
	KUNIT_EXPECT_GT(test, nr_gave_up, 10);
	KUNIT_EXPECT_LT(test, nr_gave_up, UNIT / 2);
	KUNIT_EXPECT_EQ(test, haslab_check(s), 0);
}

/*
 * Objects of 3 blocks: an aligned extent begins in only some of them. The first slab in the list
 * has so many free ones that the search for large parts gives up.
 */
static void aligned_fit_in_objects_of_another_size(struct kunit *test)
{
	struct haslab *s = slab_of(test);
	enum hybrid_alloc_reason why;
	unsigned int i;
	long holds;
	u64 at;

	start(test, 5 * UNIT);
	own_all_objects(s, 2);
	KUNIT_ASSERT_EQ(test, haslab_lookup(s, 0)->nr_objects, 85);
	KUNIT_ASSERT_EQ(test, haslab_lookup(s, UNIT)->nr_objects, 85);
	/* 12 blocks, of which 10 are from 32 on */
	for (at = 30; at < 42; at += 3)
		KUNIT_ASSERT_EQ(test, haslab_free(s, at, 3, &why), 0);
	for (i = 0; i < 85; i += 2)
		KUNIT_ASSERT_EQ(test, haslab_free(s, UNIT + 3 * i, 3, &why), 0);
	holds = ha_holds(HA_LOCK_ALL);
	KUNIT_ASSERT_EQ(test, haslab_find(s, 8, 4, &at), 0);
	KUNIT_EXPECT_EQ(test, at, 32);
	KUNIT_EXPECT_GT(test, ha_holds(HA_LOCK_ALL), holds + 1);
	KUNIT_EXPECT_EQ(test, haslab_find(s, 11, 4, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, haslab_find(s, 10, 4, &at), 0);
	KUNIT_EXPECT_EQ(test, at, 32);
	KUNIT_EXPECT_EQ(test, haslab_check(s), 0);
}

/* A slot in which no run is long enough is one look, however many runs it has. */
static void goal_before_slots_of_short_runs(struct kunit *test)
{
	struct haslab *s = slab_of(test);
	u64 at;

	start(test, 4 * SLOT);
	for (at = 1; at < 2 * SLOT; at += 2)
		KUNIT_ASSERT_EQ(test, claim(test, at, 1), 0);
	KUNIT_ASSERT_EQ(test, haslab_alloc_near(s, 10, 1, 0, GFP_KERNEL, &at), 0);
	KUNIT_EXPECT_EQ(test, at, 2 * SLOT);
	KUNIT_ASSERT_EQ(test, haslab_alloc_near(s, 1, 1, 7, GFP_KERNEL, &at), 0);
	KUNIT_EXPECT_EQ(test, at, 8);
	KUNIT_EXPECT_EQ(test, haslab_check(s), 0);
}

/* In a hold MAP counts 6 steps for an entry, and one more for each slot of it, up to 1000. */
static void map_answers_as_much_as_a_hold_allows(struct kunit *test)
{
	struct haslab_extent *e = kunit_kzalloc(test, 200 * sizeof(*e), GFP_KERNEL);
	struct fixture *f = test->priv;
	u64 at;

	KUNIT_ASSERT_NOT_NULL(test, e);
	start(test, 4096 * SLOT);
	for (at = 0; at < 2 * SLOT; at += 2)
		KUNIT_ASSERT_EQ(test, claim(test, at, 1), 0);
	KUNIT_EXPECT_EQ(test, hapool_map(&f->p, 0, e, 200), 167);
	KUNIT_EXPECT_EQ(test, hapool_map(&f->p, 0, e, 166), 166);
	for (at = 2 * SLOT; at < 3000 * SLOT; at += 14 * SLOT)
		KUNIT_ASSERT_EQ(test, claim(test, at, 14 * SLOT), 0);
	KUNIT_EXPECT_EQ(test, hapool_map(&f->p, 2 * SLOT, e, 200), 50);
	KUNIT_EXPECT_EQ(test, hapool_map(&f->p, 2 * SLOT - 2, e, 200), 52);
}

static void aligned_fit_in_a_bitmap(struct kunit *test)
{
	unsigned int i;
	u64 at;

	start(test, SLOT);
	/* free are block 0, two at 2, 6, and so on, and the end */
	KUNIT_ASSERT_EQ(test, claim(test, 1, 1), 0);
	for (i = 0; i < 300; i++)
		KUNIT_ASSERT_EQ(test, claim(test, 4 + 4 * i, 2), 0);
	/* the exact fits are not aligned */
	KUNIT_ASSERT_EQ(test, haslab_alloc(slab_of(test), 2, 4, GFP_KERNEL, &at), 0);
	KUNIT_EXPECT_EQ(test, at, 1204);
	KUNIT_ASSERT_EQ(test, haslab_alloc(slab_of(test), 2, 2, GFP_KERNEL, &at), 0);
	KUNIT_EXPECT_EQ(test, at, 2);
}

/* ---- locks ---- */

static void expect_space_holds(struct kunit *test, long *before, long nr, const char *what)
{
	long now = ha_holds(HA_LOCK_SPACE);

	KUNIT_EXPECT_EQ_MSG(test, now - *before, nr, "%s", what);
	*before = now;
}

/* The first extent of a mixed slot changes the map and the buddy. The last one leaves it empty. */
static void map_and_buddy_change_under_their_lock(struct kunit *test)
{
	struct haslab *s = slab_of(test);
	enum hybrid_alloc_reason why;
	u64 at, second;
	long before;

	start(test, 4 * SLOT);
	before = ha_holds(HA_LOCK_SPACE);
	KUNIT_ASSERT_EQ(test, haslab_alloc(s, 300, 1, GFP_KERNEL, &at), 0);
	expect_space_holds(test, &before, 3, "the first one");
	KUNIT_ASSERT_EQ(test, haslab_alloc(s, 30, 1, GFP_KERNEL, &second), 0);
	KUNIT_ASSERT_EQ(test, haslab_free(s, at, 300, &why), 0);
	expect_space_holds(test, &before, 0, "neither the first nor the last one");
	KUNIT_ASSERT_EQ(test, haslab_free(s, second, 30, &why), 0);
	expect_space_holds(test, &before, 0, "the last one");
	haslab_drain(s);
	expect_space_holds(test, &before, 2, "the slot goes back");
	expect_all_comes_back(test);
}

/* ---- waiting ---- */

/* A task that waits for a group and does not run delays the next hold of all groups, no more. */
static void hold_of_all_groups_does_not_wait_for_ever(struct kunit *test)
{
	struct haslab *s = slab_of(test);

	start(test, 4 * SLOT);
	atomic_inc(&s->nr_waiting);
	KUNIT_EXPECT_EQ(test, haslab_free_exact(s), 4 * SLOT);
	atomic_dec(&s->nr_waiting);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->nr_waiting), 0);
}

static void closed_pools_take_and_keep_nothing(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 at, refills;

	start(test, 4 * SLOT);
	hatest_on_cpu(0);
	warm_up(test, 5);
	hapool_drain(&f->p);
	refills = stat(test)->refills;
	atomic_inc(&f->p.bypass);
	at = alloc(test, 5);
	KUNIT_EXPECT_EQ(test, stat(test)->refills, refills + 1);
	KUNIT_EXPECT_EQ(test, stat(test)->cached, 0);
	expect_freed(test, at, 5);
	KUNIT_EXPECT_EQ(test, stat(test)->cached, 0);
	atomic_dec(&f->p.bypass);
	at = alloc(test, 5);
	expect_freed(test, at, 5);
	/* a 256th of the device holds 12 of them; half of that was got */
	KUNIT_EXPECT_EQ(test, f->p.limit[4], 12);
	KUNIT_EXPECT_EQ(test, stat(test)->cached, 5 * 6);
	expect_all_comes_back(test);
}

static void expect_drain(struct kunit *test, enum hapool_drain why)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hatest_drains); i++)
		KUNIT_EXPECT_EQ_MSG(test, atomic_long_xchg(&hatest_drains[i], 0), i == why,
				    "reason %u, done %u", i, why);
}

static void drain_says_why(struct kunit *test)
{
	u64 *at = kunit_kzalloc(test, 80 * sizeof(*at), GFP_KERNEL);
	struct fixture *f = test->priv;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, at);
	start(test, 64 * SLOT);
	hatest_on_cpu(0);
	for (i = 0; i < 80; i++)
		at[i] = alloc(test, 1);
	hapool_drain(&f->p);
	for (i = 0; i < ARRAY_SIZE(hatest_drains); i++)
		atomic_long_set(&hatest_drains[i], 0);
	for (i = 0; i < 65; i++)
		expect_freed(test, at[i], 1);
	expect_drain(test, HAPOOL_DRAIN_FULL);
	hapool_drain(&f->p);
	expect_drain(test, HAPOOL_DRAIN_ASKED);
	expect_freed(test, at[65], 1);
	hapool_drain_cpu(&f->p, 0);
	expect_drain(test, HAPOOL_DRAIN_ASKED);
	expect_freed(test, at[66], 1);
	hapool_drain_idle(&f->p);
	hapool_drain_idle(&f->p);
	expect_drain(test, HAPOOL_DRAIN_IDLE);
	expect_freed(test, at[67], 1);
	KUNIT_EXPECT_EQ(test, hapool_shrink(&f->p, 9), 1);
	expect_drain(test, HAPOOL_DRAIN_MEMORY);
}

static void memory_of_the_cpus_is_counted(struct kunit *test)
{
	struct haslab_config cfg = {
		.nr_blocks = 1 << 20, .unit_shift = 8, .slab_max = UNIT, .nr_groups = 3,
	};
	struct fixture *f = test->priv;
	unsigned int cpu;
	u64 bytes = 0;

	start_cfg(test, &cfg);
	KUNIT_ASSERT_EQ(test, f->p.slab.nr_groups, 3);
	for_each_possible_cpu(cpu)
		bytes += sizeof(struct hapool_cpu);
	bytes += 3 * sizeof(struct haslab_group) + HASLAB_NR_CLASSES * sizeof(struct hapool_depot);
	KUNIT_EXPECT_EQ(test, stat(test)->percpu, bytes);
	hatest_on_cpu(0);
	warm_up(test, 5);
	warm_up(test, 1024);
	bytes += ksize(per_cpu_ptr(f->p.cpus, 0)->bin[4].mag);
	bytes += ksize(per_cpu_ptr(f->p.cpus, 0)->bin[21].mag);
	KUNIT_EXPECT_EQ(test, stat(test)->percpu, bytes);
	KUNIT_EXPECT_EQ(test, hapool_shrink(&f->p, 9), 2);
	bytes = 3 * sizeof(struct haslab_group) + HASLAB_NR_CLASSES * sizeof(struct hapool_depot);
	for_each_possible_cpu(cpu)
		bytes += sizeof(struct hapool_cpu);
	KUNIT_EXPECT_EQ(test, stat(test)->percpu, bytes);
	expect_all_comes_back(test);
}

/* What a search did not find beside a free that is under way is looked for again. */
static void refusal_beside_a_free_is_not_kept(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_cpu *cpu;
	u64 at;

	start(test, 4 * SLOT);
	hatest_on_cpu(0);
	KUNIT_ASSERT_EQ(test, claim(test, 2 * SLOT, 1), 0);
	cpu = per_cpu_ptr(f->p.cpus, 0);
	cpu->given++;
	KUNIT_EXPECT_EQ(test, try_alloc(test, 3 * SLOT, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, stat(test)->searches, 1);
	cpu->freed++;
	cpu->taken++;
	KUNIT_EXPECT_EQ(test, try_alloc(test, 3 * SLOT, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, stat(test)->searches, 2);
	KUNIT_EXPECT_EQ(test, try_alloc(test, 3 * SLOT, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, stat(test)->searches, 2);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
}

static void drain_waits_no_longer_than_it_says(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_mag *mag;
	struct hapool_bin *bin;
	long jiffies;

	start(test, 1 << 14);
	hatest_on_cpu(0);
	warm_up(test, 1);
	bin = &per_cpu_ptr(f->p.cpus, 0)->bin[0];
	mag = hapool_mag_take(bin);
	KUNIT_ASSERT_NOT_NULL(test, mag);
	jiffies = atomic_long_read(&hatest_jiffies);
	hapool_drain(&f->p);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&hatest_jiffies) - jiffies, 50);
	hapool_drain_cpu(&f->p, 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&hatest_jiffies) - jiffies, 100);
	hapool_mag_put(bin, mag);
	hapool_drain(&f->p);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&hatest_jiffies) - jiffies, 100);
	expect_all_comes_back(test);
}

/* ---- places ---- */

#ifndef __KERNEL__	/* memory, CPUs and other tasks have an influence there */

#define MAX_LIVE	3000

/* A workload without goals, and what comes to lie where. */
struct places {
	const char *name;
	u64 nr_blocks, first_block, slab_max;
	unsigned int unit_shift, nr_groups, nr_cpus;
	unsigned int ops, max_order, aligned;	/* every how many is aligned; 0: none */
	bool small;	/* its slabs are bounded by the memory that they take */
	u64 sum;	/* of all answers, as found */
};

static const struct places places[] = {
	{
		.name = "sizes up to a slot on 4 GiB", .nr_blocks = 1 << 20, .first_block = 0,
		.slab_max = UNIT, .unit_shift = 8, .nr_groups = 1, .nr_cpus = 1, .ops = 30000,
		.max_order = 12, .aligned = 0, .small = true, .sum = 0x2df37450b970f197ULL,
	},
	{
		.name = "aligned", .nr_blocks = 1 << 19, .first_block = 5,
		.slab_max = UNIT, .unit_shift = 8, .nr_groups = 1, .nr_cpus = 1, .ops = 20000,
		.max_order = 11, .aligned = 3, .small = true, .sum = 0x5980cddf7b3e1fdfULL,
	},
	{
		.name = "small slabs, two groups", .nr_blocks = (1 << 20) + 77, .first_block = 0,
		.slab_max = 16, .unit_shift = 8, .nr_groups = 2, .nr_cpus = 2, .ops = 20000,
		.max_order = 12, .aligned = 6, .small = true, .sum = 0x94f7d97a762a8b25ULL,
	},
	{
		.name = "units of 4 blocks", .nr_blocks = 1 << 17, .first_block = 3,
		.slab_max = 4, .unit_shift = 2, .nr_groups = 1, .nr_cpus = 1, .ops = 20000,
		.max_order = 8, .aligned = 5, .small = true,
		.sum = 0xa2d0ef04c35f1525ULL,
	},
	{
		.name = "units of a block", .nr_blocks = 1 << 15, .first_block = 1,
		.slab_max = 1, .unit_shift = 0, .nr_groups = 1, .nr_cpus = 1, .ops = 20000,
		.max_order = 7, .aligned = 5, .small = true,
		.sum = 0x5ccec00351574d79ULL,
	},
	{
		.name = "units of a slot", .nr_blocks = 1 << 19, .first_block = 0,
		.slab_max = UNIT, .unit_shift = 12, .nr_groups = 1, .nr_cpus = 1, .ops = 20000,
		.max_order = 12, .aligned = 5, .sum = 0xb734afc34aba021fULL,
	},
	{
		.name = "a full device", .nr_blocks = SLOT + 99, .first_block = 7,
		.slab_max = UNIT, .unit_shift = 8, .nr_groups = 1, .nr_cpus = 2, .ops = 30000,
		.max_order = 10, .aligned = 7, .small = true,
		.sum = 0x2cb88fb6bb8cf4eaULL,
	},
	{
		.name = "many slots, full", .nr_blocks = (1 << 17) + 50, .first_block = 9,
		.slab_max = UNIT, .unit_shift = 8, .nr_groups = 2, .nr_cpus = 2, .ops = 24000,
		.max_order = 12, .aligned = 9, .small = true,
		.sum = 0xf2b64625f3cf9048ULL,
	},
	{
		.name = "more than a slot", .nr_blocks = 1 << 20, .first_block = 0,
		.slab_max = UNIT, .unit_shift = 8, .nr_groups = 1, .nr_cpus = 1, .ops = 8000,
		.max_order = 15, .aligned = 7, .small = true, .sum = 0x7146459ec3b5c4d5ULL,
	},
};

static u64 sum_of(u64 sum, u64 value)
{
	return (sum ^ value) * 0x9e3779b97f4a7c15ULL >> 7 ^ sum << 3;
}

static u64 sum_of_stat(struct kunit *test, u64 sum)
{
	const struct hapool_stat *st = stat_walk(test);

	sum = sum_of(sum, st->charged);
	sum = sum_of(sum, st->cached);
	sum = sum_of(sum, st->slab.nr_slabs);
	sum = sum_of(sum, st->slab.made);
	sum = sum_of(sum, st->slab.returned);
	sum = sum_of(sum, st->slab.splits);
	sum = sum_of(sum, st->slab.merges);
	sum = sum_of(sum, st->slab.largest_run);
	sum = sum_of(sum, st->slab.nr_runs);
	sum = sum_of(sum, st->hits);
	sum = sum_of(sum, st->misses);
	sum = sum_of(sum, st->refills);
	sum = sum_of(sum, st->drains);
	return sum_of(sum, st->searches);
}

static u64 place_one(struct kunit *test, const struct places *w, struct hatest_rng *rng,
		     struct hatest_extent *e)
{
	struct fixture *f = test->priv;
	u64 align = 1;
	int ret;

	e->len = common[hatest_below(rng, hatest_below(rng, 4) ? 17 : ARRAY_SIZE(common))];
	if (hatest_below(rng, 2))
		e->len = 1 + hatest_below(rng, 1 << hatest_below(rng, w->max_order + 1));
	if (w->aligned && !hatest_below(rng, w->aligned))
		align <<= hatest_below(rng, 10);
	ret = hapool_alloc(&f->p, e->len, align, HAPOOL_NO_GOAL, GFP_KERNEL, &e->start);
	if (ret)
		e->len = 0;
	return ret ? ret : e->start;
}

/*
 * No promise, but how full a device gets depends on it, so a change of it is to be on purpose:
 * then the new sum is written down.
 */
static void workload_lies_where_it_lay(struct kunit *test)
{
	const struct places *w = test->param_value;
	struct hatest_extent *live = kunit_kzalloc(test, MAX_LIVE * sizeof(*live), GFP_KERNEL);
	struct haslab_config cfg = {
		.first_block = w->first_block, .nr_blocks = w->nr_blocks,
		.unit_shift = w->unit_shift, .slab_max = w->slab_max, .nr_groups = w->nr_groups,
	};
	struct hatest_rng rng = { .state = 7 };
	struct fixture *f = test->priv;
	unsigned int i, k, nr = 0;
	u64 sum = 0;

	if (w->small && sizeof(long) < 8)
		kunit_skip(test, "metadata takes less memory here");
	KUNIT_ASSERT_NOT_NULL(test, live);
	start_cfg(test, &cfg);
	for (i = 0; i < w->ops; i++) {
		if (w->nr_cpus > 1 && !hatest_below(&rng, 50))
			hatest_on_cpu(hatest_below(&rng, w->nr_cpus));
		if (nr < MAX_LIVE && hatest_below(&rng, 100) < (i / 4000 % 2 ? 35 : 65)) {
			sum = sum_of(sum, place_one(test, w, &rng, &live[nr]));
			nr += live[nr].len > 0;
		} else if (nr) {
			k = hatest_below(&rng, nr);
			expect_freed(test, live[k].start, live[k].len);
			live[k] = live[--nr];
		}
		if (i % 1000 == 999)
			sum = sum_of_stat(test, sum);
		if (i % 5000 == 2500)
			hapool_drain_idle(&f->p);
		if (i % 5000 == 4500)
			sum = sum_of(sum, hapool_shrink(&f->p, 3));
	}
	KUNIT_EXPECT_EQ_MSG(test, sum, w->sum, "%s: .sum = 0x%llx", w->name, sum);
	while (nr--)
		expect_freed(test, live[nr].start, live[nr].len);
	expect_one_run(test);
}

static const void *next_places(const void *before, char *desc)
{
	const struct places *w = before;

	w = w ? w + 1 : places;
	if (w == places + ARRAY_SIZE(places))
		return NULL;
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s", w->name);
	return w;
}

#endif

/* The sum of the first dir says that so much is free at its end. */
static void set_trail(struct haslab *s, u32 blocks)
{
	s->sums.all = 0;
	s->sums.regions[0].known = 0;
	s->dirs[0].trail = blocks;
}

static struct haslab *unlucky;
static long holds_at_pause[2];
static unsigned int pauses;

/* At the second pause the sum becomes right. */
static void search_pauses(void)
{
	holds_at_pause[pauses++] = ha_holds(HA_LOCK_ALL);
	if (pauses < ARRAY_SIZE(holds_at_pause))
		hatest_asleep = search_pauses;
	else
		set_trail(unlucky, 10);
}

/* As if another task took each time what a search has found. */
static void search_pauses_after_sixteen_tries(struct kunit *test)
{
	struct haslab *s = slab_of(test);
	const u64 dir = 64 * SLOT;
	long before;
	u64 at;

	start(test, 2 * dir);
	KUNIT_ASSERT_EQ(test, claim(test, 0, dir - 10), 0);
	KUNIT_ASSERT_EQ(test, claim(test, dir + 5, 100), 0);
	KUNIT_ASSERT_EQ(test, claim(test, dir + 120, dir - 120), 0);
	KUNIT_EXPECT_EQ(test, haslab_longest_run(s), 15);
	set_trail(s, 16);
	unlucky = s;
	pauses = 0;
	hatest_asleep = search_pauses;
	before = ha_holds(HA_LOCK_ALL);
	KUNIT_EXPECT_EQ(test, haslab_search(s, 20, 1, GFP_KERNEL, &at), -ENOSPC);
	hatest_asleep = NULL;
	/* a try is two holds to find it, and one to take it */
	KUNIT_EXPECT_EQ(test, pauses, 2);
	KUNIT_EXPECT_EQ(test, holds_at_pause[0] - before, 16 * 3);
	KUNIT_EXPECT_EQ(test, holds_at_pause[1] - before, 32 * 3);
	KUNIT_EXPECT_EQ(test, haslab_check(s), 0);
}

/* What the dirs kept while a region was in use says nothing of it once all of it is free. */
static void goal_in_a_region_that_is_free_as_a_whole(struct kunit *test)
{
	struct haslab *s = slab_of(test);
	const u64 gib = 64 * SLOT;
	u64 at;
	int i;

	for (i = 0; i < 2; i++) {
		start(test, 512 * gib);
		KUNIT_ASSERT_EQ(test, claim(test, 0, 512 * gib), 0);
		KUNIT_EXPECT_EQ(test, haslab_longest_run(s), 0);
		expect_freed(test, 0, 512 * gib);
		if (i)
			KUNIT_EXPECT_EQ(test, haslab_check(s), 0);
		KUNIT_ASSERT_EQ(test, haslab_alloc_near(s, 5, 1, 300 * gib, GFP_KERNEL, &at), 0);
		KUNIT_EXPECT_EQ(test, at, 300 * gib);
	}
}

/* No lock is taken for a list that is empty, nor that of the own group a second time. */
static void groups_that_have_nothing_are_not_asked(struct kunit *test)
{
	struct haslab *s = slab_of(test);
	struct fixture *f = test->priv;
	struct haslab_ref ref;
	long before;
	u64 at;

	f->nr_groups = 4;
	start(test, 4 * SLOT);
	KUNIT_ASSERT_EQ(test, claim(test, 0, 4 * SLOT), 0);
	before = ha_holds(HA_LOCK_GROUP);
	KUNIT_EXPECT_EQ(test, haslab_get_objects(s, 0, &ref, 1, GFP_KERNEL), -ENOSPC);
	KUNIT_EXPECT_EQ(test, ha_holds(HA_LOCK_GROUP) - before, 1);
	before = ha_holds(HA_LOCK_GROUP);
	KUNIT_EXPECT_EQ(test, haslab_alloc(s, 5, 1, GFP_KERNEL, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, ha_holds(HA_LOCK_GROUP) - before, 4);
}

/* How often CHECK lets others run, with so many groups. */
static unsigned int rescheduled_by_check(struct kunit *test, unsigned int nr_groups)
{
	struct fixture *f = test->priv;

	f->nr_groups = nr_groups;
	start(test, 3 * 64 * SLOT);
	rescheduled = 0;
	hatest_meanwhile = count_resched;
	KUNIT_EXPECT_EQ(test, haslab_check(slab_of(test)), 0);
	return rescheduled;
}

/* What goes over all CPUs, groups or dirs lets others run in between. */
static void long_calls_reschedule(struct kunit *test)
{
	unsigned int before = rescheduled_by_check(test, 1);
	struct fixture *f = test->priv;

	KUNIT_EXPECT_EQ(test, rescheduled_by_check(test, 5), before + 4);
	rescheduled = 0;
	hatest_meanwhile = count_resched;
	hapool_drain_idle(&f->p);
	KUNIT_EXPECT_EQ(test, rescheduled, num_possible_cpus());
	rescheduled = 0;
	stop(f);
	hatest_meanwhile = NULL;
	KUNIT_EXPECT_GE(test, rescheduled, 3);
}

/* GROW waits for the readers of an array of dirs, and of a table of slabs, before it frees them. */
static void grow_waits_for_readers(struct kunit *test)
{
	struct haslab *s = slab_of(test);
	long before = atomic_long_read(&hatest_graces);

	start(test, 3 * SLOT);
	KUNIT_ASSERT_EQ(test, haslab_grow(s, 4 * SLOT, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&hatest_graces), before);
	alloc(test, 1);
	KUNIT_ASSERT_EQ(test, haslab_grow(s, 5 * SLOT, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&hatest_graces), before + 1);
	KUNIT_ASSERT_EQ(test, haslab_grow(s, 65 * SLOT, GFP_KERNEL), 0);
	/* there are more dirs, and the first one has more slots */
	KUNIT_EXPECT_EQ(test, atomic_long_read(&hatest_graces), before + 3);
	KUNIT_ASSERT_EQ(test, haslab_grow(s, 3 * 64 * SLOT, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&hatest_graces), before + 4);
	KUNIT_EXPECT_EQ(test, haslab_check(s), 0);
}

/* A free that has found a mixed part waits for a lock, and GROW replaces the table meanwhile. */
static void mixed_part_in_a_former_table_has_no_units(struct kunit *test)
{
	struct haslab *s = slab_of(test);
	const struct haslab_mixed *m;
	u64 units[3];
	int ret, i;

	start(test, 3 * SLOT);
	for (i = 0; i < 3; i++)
		KUNIT_ASSERT_EQ(test, claim(test, i * SLOT + 3, 7), 0);
	rcu_read_lock();
	m = mixed_place(s, 0);
	ret = haslab_grow(s, 5 * SLOT, GFP_NOWAIT);
	for (i = 0; i < 3; i++)
		units[i] = m[i].units;
	rcu_read_unlock();
	KUNIT_ASSERT_EQ(test, ret, 0);
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, units[i], 0);
		KUNIT_EXPECT_NE(test, mixed_of(s, i)->units, 0);
		expect_freed(test, i * SLOT + 3, 7);
	}
	KUNIT_EXPECT_EQ(test, haslab_check(s), 0);
}

/* GROW during a CHECK: the sums match, although the new space was not looked at. */
static void take_all_of_new_space(void)
{
	u64 end = grown->p.slab.cfg.nr_blocks;

	if (!rescheduled++ && (haslab_grow(&grown->p.slab, end + UNIT, GFP_KERNEL) ||
			       haslab_claim(&grown->p.slab, end, UNIT, true, GFP_KERNEL)))
		rescheduled = 1000;
}

static void check_of_a_device_that_grows_proves_nothing(struct kunit *test)
{
	struct haslab *s = slab_of(test);

	start(test, 64 * SLOT + 8 * UNIT);
	KUNIT_ASSERT_EQ(test, haslab_claim(s, 64 * SLOT, 8 * UNIT, true, GFP_KERNEL), 0);
	grown = test->priv;
	rescheduled = 0;
	hatest_meanwhile = take_all_of_new_space;
	KUNIT_EXPECT_EQ(test, haslab_check(s), -EAGAIN);
	hatest_meanwhile = NULL;
	KUNIT_EXPECT_GE(test, rescheduled, 1);
	KUNIT_EXPECT_LT(test, rescheduled, 1000);
	KUNIT_EXPECT_EQ(test, haslab_check(s), 0);
}

/*
 * A search by large parts has 250 steps if units are small. If the run that fits begins at the end
 * of a slot for which none is left, all of the device is looked at. (Its slots are of two groups,
 * so it is not joined.)
 */
static void run_after_the_last_step_is_found(struct kunit *test)
{
	struct fixture *f = test->priv;
	const u64 slot = 1024;
	u64 nr, at, i;
	long before;

	for (nr = 242; nr <= 252; nr++) {
		f->nr_groups = 2;
		start_shape(test, nr * slot, 4, 8);
		/* the first slot is the last one of those whose longest run is this one */
		for (i = 0; i < nr; i++) {
			KUNIT_ASSERT_TRUE(test, hatest_on_cpu(!i));
			KUNIT_ASSERT_EQ(test, claim(test, i * slot, 19), 0);
			KUNIT_ASSERT_EQ(test, claim(test, i * slot + 19, 382), 0);
			KUNIT_ASSERT_EQ(test, claim(test, i * slot + 401, 61), 0);
			KUNIT_ASSERT_EQ(test, claim(test, i * slot + 462, 501), 0);
			KUNIT_ASSERT_EQ(test, claim(test, i * slot + 963, 61), 0);
			expect_freed(test, i * slot + 401, 61);
		}
		expect_freed(test, 963, 61);
		expect_freed(test, slot, 19);
		before = ha_holds(HA_LOCK_ALL);
		KUNIT_ASSERT_EQ(test, haslab_find(slab_of(test), 80, 1, &at), 0);
		KUNIT_EXPECT_EQ(test, at, 963);
		/* the look at the border takes six steps */
		KUNIT_EXPECT_EQ_MSG(test, ha_holds(HA_LOCK_ALL) - before, nr <= 244 ? 1 : 2,
				    "%llu slots", nr);
		/* nor does anything fit in slots of which none has such an end */
		KUNIT_ASSERT_EQ(test, claim(test, slot, 19), 0);
		before = ha_holds(HA_LOCK_ALL);
		KUNIT_ASSERT_EQ(test, haslab_find(slab_of(test), 80, 1, &at), -ENOSPC);
		KUNIT_EXPECT_EQ_MSG(test, ha_holds(HA_LOCK_ALL) - before, nr <= 250 ? 1 : 3,
				    "%llu slots", nr);
	}
}

static struct kunit_case exact_cases[] = {
	KUNIT_CASE(search_pauses_after_sixteen_tries),
	KUNIT_CASE(goal_in_a_region_that_is_free_as_a_whole),
	KUNIT_CASE(groups_that_have_nothing_are_not_asked),
	KUNIT_CASE(long_calls_reschedule),
	KUNIT_CASE(grow_waits_for_readers),
	KUNIT_CASE(mixed_part_in_a_former_table_has_no_units),
	KUNIT_CASE(check_of_a_device_that_grows_proves_nothing),
	KUNIT_CASE(run_after_the_last_step_is_found),
	KUNIT_CASE(free_run_ends_where_the_question_does),
	KUNIT_CASE(what_is_held_is_whole_objects_and_units),
	KUNIT_CASE(map_shows_what_is_held),
	KUNIT_CASE(one_block_before_a_border),
	KUNIT_CASE(border_to_a_slot_without_marks),
	KUNIT_CASE(memory_of_an_allocator_need_not_be_zero),
	KUNIT_CASE(grow_inside_a_dir_needs_no_memory),
	KUNIT_CASE(grow_inside_a_node_needs_no_memory),
	KUNIT_CASE(search_gives_up_and_looks_at_all),
	KUNIT_CASE(search_of_few_parts_looks_at_no_dir),
	KUNIT_CASE(walk_ends_in_a_unit_that_grows),
	KUNIT_CASE(search_gives_up_in_the_last_slab),
	KUNIT_CASE(aligned_fit_in_objects_of_another_size),
	KUNIT_CASE(goal_before_slots_of_short_runs),
	KUNIT_CASE(map_answers_as_much_as_a_hold_allows),
	KUNIT_CASE(aligned_fit_in_a_bitmap),
	KUNIT_CASE(map_and_buddy_change_under_their_lock),
	KUNIT_CASE(hold_of_all_groups_does_not_wait_for_ever),
	KUNIT_CASE(closed_pools_take_and_keep_nothing),
	KUNIT_CASE(drain_says_why),
	KUNIT_CASE(memory_of_the_cpus_is_counted),
	KUNIT_CASE(refusal_beside_a_free_is_not_kept),
	KUNIT_CASE(drain_waits_no_longer_than_it_says),
#ifndef __KERNEL__
	KUNIT_CASE_PARAM(workload_lies_where_it_lay, next_places),
#endif
	{}
};

static struct kunit_suite exact_suite = {
	.name = "exact",
	.init = pool_test_init,
	.exit = pool_test_exit,
	.test_cases = exact_cases,
};

kunit_test_suite(exact_suite);
