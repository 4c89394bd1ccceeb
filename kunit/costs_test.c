// SPDX-License-Identifier: GPL-2.0
/*
 * What calls cost, exactly: the steps that each of them takes in small states, how often it shuts
 * out all groups, and the most steps in one such hold. A call that looks at more than before, or at
 * less, or counts it otherwise, does not match its row. If that is meant, the row that is printed
 * takes the place of the old one.
 */
#include <linux/string.h>

#include "pool_fixture.h"
#include "slab/internal.h"

#define SLOT	4096U		/* blocks */
#define GIB	(1ULL << 18)	/* blocks */
#define PAGE	200		/* entries of a call of MAP */

/* The costs of a call. */
struct cost {
	const char *call;
	long steps;
	long holds;	/* of all groups */
	long most;	/* steps in one of them */
	long groups;	/* holds of a group */
};

/* The rows of a state that are still to come, and what was counted before the next call. */
struct meter {
	const struct cost *row;
	const struct cost *end;
	long steps;
	long holds;
	long groups;
	bool together;	/* one row for many calls: they go on */
};

static struct haslab *slab_of(struct kunit *test)
{
	struct fixture *f = test->priv;

	return &f->p.slab;
}

static void meter_reset(struct meter *m)
{
	if (m->together)
		return;
	ha_holds_reset();
	m->steps = ha_steps_done();
	m->holds = ha_holds(HA_LOCK_ALL);
	m->groups = ha_holds(HA_LOCK_GROUP);
}

/* What was done since the last row costs what this row says. */
static void expect_cost(struct kunit *test, struct meter *m, const char *call)
{
	long steps = ha_steps_done() - m->steps, holds = ha_holds(HA_LOCK_ALL) - m->holds;
	long most = ha_longest_hold(HA_LOCK_ALL), groups = ha_holds(HA_LOCK_GROUP) - m->groups;
	const struct cost *row;
	bool right;

	if (m->together)
		return;
	row = m->row < m->end ? m->row++ : NULL;
	right = row && !strcmp(row->call, call);
	/* with words of 32 bits a bitmap has twice as many */
	if (right && BITS_PER_LONG == 64)
		right = steps == row->steps && holds == row->holds && most == row->most &&
			groups == row->groups;
	else if (right)
		right = steps <= 2 * row->steps && most <= 2 * row->most;
	KUNIT_EXPECT_TRUE_MSG(test, right, "\t{ \"%s\", %ld, %ld, %ld, %ld },", call, steps,
			      holds, most, groups);
	meter_reset(m);
}

/* The pools are not used, as their magazines depend on the CPU. */
static void take(struct kunit *test, u64 at, u64 len)
{
	KUNIT_ASSERT_EQ_MSG(test, haslab_claim(slab_of(test), at, len, true, GFP_KERNEL), 0,
			    "start %llu, length %llu", at, len);
}

static void give(struct kunit *test, u64 at, u64 len)
{
	enum hybrid_alloc_reason reason;

	KUNIT_ASSERT_EQ_MSG(test, haslab_free(slab_of(test), at, len, &reason), 0,
			    "start %llu, length %llu", at, len);
}

/* So many objects of a common size. */
static void take_objects(struct kunit *test, u64 len, unsigned int nr, u64 *at)
{
	struct haslab *s = slab_of(test);
	struct haslab_ref ref, refs[2];
	unsigned int i;

	for (i = 0; i < nr; i++) {
		KUNIT_ASSERT_EQ_MSG(test, haslab_get_objects(s, haslab_class_of(s, len), &ref, 1,
							     GFP_KERNEL), 1, "length %llu", len);
		haslab_own(&ref);
		at[i] = ref.start;
	}
	/* two more are not needed */
	KUNIT_ASSERT_EQ(test, haslab_get_objects(s, haslab_class_of(s, len), refs, 2, GFP_KERNEL),
			2);
	haslab_put_objects(s, haslab_class_of(s, len), refs, 2);
}

/* What searches find does not matter here. */
static bool find(struct kunit *test, u64 len, u64 align)
{
	u64 at;

	return !haslab_find(slab_of(test), len, align, &at);
}

static bool best_run(struct kunit *test, u64 len, u64 align)
{
	struct haslab *s = slab_of(test);
	bool found;
	u64 at;

	haslab_lock_all(s);
	found = haslab_best_run(s, len, align, &at);
	haslab_unlock_all(s);
	return found;
}

/* An allocation with a goal; what it gets is given back. */
static void near(struct kunit *test, u64 len, u64 align, u64 goal)
{
	u64 at;

	if (!haslab_alloc_near(slab_of(test), len, align, goal, GFP_KERNEL, &at))
		give(test, at, len);
}

/* The sums of all parts, also of those that are kept. */
static void sum_up(struct kunit *test, unsigned int order)
{
	struct haslab_walk w;

	haslab_walk_start(&w, slab_of(test), 0, U64_MAX, 0);
	while (haslab_walk_next(&w))
		while (w.pos < w.limit && w.steps > 0)
			haslab_walk_sum(&w, order, 0);
	haslab_walk_end(&w);
}

/* Calls that look at all of the device. */
static void expect_costs_of_looks(struct kunit *test, struct meter *m)
{
	struct haslab_extent *page = kunit_kzalloc(test, PAGE * sizeof(*page), GFP_KERNEL);
	struct haslab_histogram *h = kunit_kzalloc(test, sizeof(*h), GFP_KERNEL);
	struct haslab_census *c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);
	struct haslab *s = slab_of(test);
	struct haslab_stat st;
	u64 pos, len;
	int nr;

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_NOT_NULL(test, h);
	KUNIT_ASSERT_NOT_NULL(test, c);
	KUNIT_EXPECT_EQ(test, haslab_check(s), 0);
	expect_cost(test, m, "CHECK without sums");
	haslab_longest_run(s);
	expect_cost(test, m, "STAT");
	haslab_longest_run(s);
	expect_cost(test, m, "STAT again");
	haslab_stat(s, &st, true);
	expect_cost(test, m, "STAT with runs");
	haslab_histogram(s, h);
	expect_cost(test, m, "histogram");
	haslab_census(s, c);
	expect_cost(test, m, "census");
	haslab_free_exact(s);
	expect_cost(test, m, "sum of free blocks");
	for (pos = 0; (nr = haslab_extents(s, pos, page, PAGE));
	     pos = page[nr - 1].start + page[nr - 1].len)
		;
	expect_cost(test, m, "MAP");
	KUNIT_EXPECT_EQ(test, haslab_check(s), 0);
	expect_cost(test, m, "CHECK");
	for (pos = 0; haslab_next_free(s, pos, &pos, &len); pos += len)
		;
	expect_cost(test, m, "TRIM");
	pos = haslab_next_long(s, 0, st.largest_run);
	haslab_next_long(s, pos + 1, st.largest_run);
	expect_cost(test, m, "TRIM of long runs");
}

/* Searches and refusals, with all sums known and after a change at @change, which is free. */
static void expect_costs_of_searches(struct kunit *test, struct meter *m, u64 change)
{
	struct haslab *s = slab_of(test);
	u64 longest = haslab_longest_run(s), slot = slot_blocks(s), align, len;

	meter_reset(m);
	find(test, longest + 1, 1);
	expect_cost(test, m, "refusal");
	take(test, change, 1);
	expect_cost(test, m, "claim of a block");
	find(test, longest + 1, 1);
	expect_cost(test, m, "refusal after a change");
	find(test, longest + 1, 1);
	expect_cost(test, m, "refusal again");
	give(test, change, 1);
	expect_cost(test, m, "free of a block");
	for (align = 2; align <= slot; align *= 8) {
		find(test, longest, align);
		find(test, longest / 2 + 1, align);
	}
	expect_cost(test, m, "search with alignments");
	for (align = 1; align < 20; align += 3)
		sum_up(test, align);
	expect_cost(test, m, "sums with alignments");
	find(test, longest, 1);
	find(test, longest / 2 + 1, 1);
	expect_cost(test, m, "search");
	for (len = slot / 8; len < 4 * slot; len += slot / 3 + 1)
		best_run(test, len, 1);
	expect_cost(test, m, "best run");
	for (align = 2; align <= 2 * slot; align *= 4)
		for (len = slot / 8; len < 4 * slot; len += slot / 3 + 1)
			best_run(test, len, align);
	expect_cost(test, m, "best run with alignments");
	near(test, longest + 1, 1, 0);
	expect_cost(test, m, "goal before nothing");
	near(test, longest / 2 + 1, slot / 2, 0);
	near(test, longest / 2 + 1, 2 * longest, change);
	expect_cost(test, m, "goal with alignments");
}

/* Extents and holds that consist of pieces. */
static void expect_costs_of_pieces(struct kunit *test, struct meter *m)
{
	struct haslab *s = slab_of(test);
	u64 longest = haslab_longest_run(s), at, len;

	KUNIT_ASSERT_EQ(test, haslab_find(s, longest, 1, &at), 0);
	meter_reset(m);
	take(test, at, longest);
	expect_cost(test, m, "claim of the longest run");
	give(test, at, longest);
	expect_cost(test, m, "free of it");
	for (at = 0; haslab_next_free(s, at, &at, &len); at += len)
		if (!haslab_hold(s, &at, &len, GFP_KERNEL))
			haslab_reuse(s, at, len);
	expect_cost(test, m, "holds");
}

/* The counters are reset before the state is made. */
static void expect_costs(struct kunit *test, struct meter *m, u64 change)
{
	expect_cost(test, m, "the state");
	expect_costs_of_looks(test, m);
	expect_costs_of_searches(test, m, change);
	expect_costs_of_pieces(test, m);
	KUNIT_EXPECT_TRUE(test, m->together || m->row == m->end);
}

/* Slabs of three sizes, of whose objects the first ones and every second or third are free. */
static void slabs_with_holes(struct kunit *test)
{
	static const struct cost rows[] = {
		{ "the state", 149, 0, 0, 5463 },
		{ "CHECK without sums", 3229, 15, 1426, 0 },
		{ "STAT", 239, 1, 239, 0 },
		{ "STAT again", 0, 0, 0, 0 },
		{ "STAT with runs", 3202, 12, 334, 0 },
		{ "histogram", 3201, 11, 334, 0 },
		{ "census", 1123, 12, 1068, 0 },
		{ "sum of free blocks", 1, 1, 1, 0 },
		{ "MAP", 6524, 21, 335, 0 },
		{ "CHECK", 3672, 16, 1426, 0 },
		{ "TRIM", 3201, 1596, 13, 0 },
		{ "TRIM of long runs", 23, 2, 12, 0 },
		{ "refusal", 1, 1, 1, 0 },
		{ "claim of a block", 3, 1, 3, 0 },
		{ "refusal after a change", 29, 1, 29, 0 },
		{ "refusal again", 29, 1, 29, 0 },
		{ "free of a block", 0, 0, 0, 1 },
		{ "search with alignments", 106, 8, 18, 0 },
		{ "sums with alignments", 371, 7, 91, 0 },
		{ "search", 34, 2, 18, 0 },
		{ "best run", 147, 12, 19, 0 },
		{ "best run with alignments", 1646, 84, 29, 0 },
		{ "goal before nothing", 10, 1, 4, 1 },
		{ "goal with alignments", 29, 3, 13, 2 },
		{ "claim of the longest run", 25, 1, 25, 0 },
		{ "free of it", 15, 1, 15, 1 },
		{ "holds", 6445, 4792, 14, 0 },
	};
	struct meter m = { rows, rows + ARRAY_SIZE(rows) };
	static const struct { u64 len; unsigned int nr, row, every; } sizes[] = {
		{ 1, 3000, 200, 2 }, { 3, 500, 60, 3 }, { 16, 90, 10, 2 }, { 1024, 5, 0, 2 },
	};
	u64 *at = kunit_kzalloc(test, 3000 * sizeof(*at), GFP_KERNEL);
	unsigned int i, k;

	KUNIT_ASSERT_NOT_NULL(test, at);
	start(test, 700 * SLOT);
	meter_reset(&m);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		take_objects(test, sizes[i].len, sizes[i].nr, at);
		for (k = 0; k < sizes[i].nr; k++)
			if (k < sizes[i].row || !(k % sizes[i].every))
				give(test, at[k], sizes[i].len);
	}
	expect_costs(test, &m, 699 * SLOT + 7);
}

/* The same of odd sizes, with nothing else free in their dir: alignments need a look at them. */
static void slabs_of_odd_objects(struct kunit *test)
{
	static const struct cost rows[] = {
		{ "the state", 181, 26, 8, 1608 },
		{ "CHECK without sums", 3193, 15, 1429, 0 },
		{ "STAT", 218, 1, 218, 0 },
		{ "STAT again", 0, 0, 0, 0 },
		{ "STAT with runs", 914, 5, 410, 0 },
		{ "histogram", 913, 4, 410, 0 },
		{ "census", 1032, 12, 1004, 0 },
		{ "sum of free blocks", 1, 1, 1, 0 },
		{ "MAP", 2039, 8, 283, 0 },
		{ "CHECK", 3676, 15, 1429, 0 },
		{ "TRIM", 913, 413, 91, 0 },
		{ "TRIM of long runs", 23, 2, 12, 0 },
		{ "refusal", 1, 1, 1, 0 },
		{ "claim of a block", 2, 1, 2, 0 },
		{ "refusal after a change", 81, 1, 81, 0 },
		{ "refusal again", 81, 1, 81, 0 },
		{ "free of a block", 0, 0, 0, 1 },
		{ "search with alignments", 42, 8, 9, 0 },
		{ "sums with alignments", 1110, 7, 189, 0 },
		{ "search", 12, 2, 9, 0 },
		{ "best run", 1044, 12, 87, 0 },
		{ "best run with alignments", 8316, 84, 99, 0 },
		{ "goal before nothing", 13, 1, 8, 1 },
		{ "goal with alignments", 33, 3, 12, 2 },
		{ "claim of the longest run", 13, 1, 13, 0 },
		{ "free of it", 12, 1, 12, 1 },
		{ "holds", 1771, 1250, 91, 0 },
	};
	struct meter m = { rows, rows + ARRAY_SIZE(rows) };
	static const u64 sizes[] = { 3, 5, 13 };
	u64 *at = kunit_kzalloc(test, ARRAY_SIZE(sizes) * 400 * sizeof(*at), GFP_KERNEL);
	struct haslab *s = slab_of(test);
	unsigned int i, k;
	u64 pos, len;

	KUNIT_ASSERT_NOT_NULL(test, at);
	start(test, 700 * SLOT);
	meter_reset(&m);
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		take_objects(test, sizes[i], 400, at + 400 * i);
	/* the last dir, where slabs are made first */
	for (pos = 640 * SLOT; haslab_next_free(s, pos, &pos, &len); pos += len)
		if (!haslab_lookup(s, pos))
			take(test, pos, len);
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		for (k = 0; k < 400; k += 3)
			give(test, at[400 * i + k], sizes[i]);
	expect_costs(test, &m, 5);
}

/* More than a dir of mixed slots with marks, in which no run has a place for most alignments. */
static void runs_of_sixteen(struct kunit *test)
{
	static const struct cost rows[] = {
		{ "the state", 9099, 8960, 3, 0 },
		{ "CHECK without sums", 21781, 37, 1479, 0 },
		{ "STAT", 370, 1, 370, 0 },
		{ "STAT again", 0, 0, 0, 0 },
		{ "STAT with runs", 17921, 56, 334, 0 },
		{ "histogram", 17920, 55, 334, 0 },
		{ "census", 1190, 3, 1003, 0 },
		{ "sum of free blocks", 1, 1, 1, 0 },
		{ "MAP", 35839, 108, 335, 0 },
		{ "CHECK", 22131, 37, 1479, 0 },
		{ "TRIM", 17920, 8960, 2, 0 },
		{ "TRIM of long runs", 263, 2, 257, 0 },
		{ "refusal", 1, 1, 1, 0 },
		{ "claim of a block", 1, 1, 1, 0 },
		{ "refusal after a change", 40, 2, 39, 0 },
		{ "refusal again", 1, 1, 1, 0 },
		{ "free of a block", 0, 0, 0, 1 },
		{ "search with alignments", 18892, 32, 1034, 0 },
		{ "sums with alignments", 26706, 31, 1035, 0 },
		{ "search", 14, 4, 6, 0 },
		{ "best run", 0, 12, 0, 0 },
		{ "best run with alignments", 0, 84, 0, 0 },
		{ "goal before nothing", 7, 2, 4, 0 },
		{ "goal with alignments", 294, 2, 290, 1 },
		{ "claim of the longest run", 1, 1, 1, 0 },
		{ "free of it", 0, 0, 0, 1 },
		{ "holds", 35840, 26880, 2, 0 },
	};
	struct meter m = { rows, rows + ARRAY_SIZE(rows) };
	u64 at;

	start(test, 70 * SLOT);
	meter_reset(&m);
	for (at = 0; at < 70 * SLOT; at += 32)
		take(test, at, 15);
	expect_costs(test, &m, 33 * SLOT + 16);
}

/* Mixed slots that are bitmaps, after a dir that is all free. */
static void single_blocks(struct kunit *test)
{
	static const struct cost rows[] = {
		{ "the state", 8199, 8192, 3, 0 },
		{ "CHECK without sums", 2676, 6, 1413, 0 },
		{ "STAT", 37, 1, 37, 0 },
		{ "STAT again", 0, 0, 0, 0 },
		{ "STAT with runs", 16387, 52, 334, 0 },
		{ "histogram", 16386, 51, 334, 0 },
		{ "census", 102, 2, 102, 0 },
		{ "sum of free blocks", 1, 1, 1, 0 },
		{ "MAP", 32771, 99, 335, 0 },
		{ "CHECK", 2706, 6, 1413, 0 },
		{ "TRIM", 16386, 8194, 2, 0 },
		{ "TRIM of long runs", 5, 2, 3, 0 },
		{ "refusal", 1, 1, 1, 0 },
		{ "claim of a block", 1, 1, 1, 0 },
		{ "refusal after a change", 7, 1, 7, 0 },
		{ "refusal again", 7, 1, 7, 0 },
		{ "free of a block", 0, 0, 0, 1 },
		{ "search with alignments", 18, 8, 3, 0 },
		{ "sums with alignments", 3738, 7, 534, 0 },
		{ "search", 5, 2, 3, 0 },
		{ "best run", 54, 12, 5, 0 },
		{ "best run with alignments", 606, 84, 8, 0 },
		{ "goal before nothing", 7, 2, 4, 0 },
		{ "goal with alignments", 23, 3, 10, 1 },
		{ "claim of the longest run", 5, 1, 5, 0 },
		{ "free of it", 4, 1, 4, 1 },
		{ "holds", 32783, 24582, 4, 0 },
	};
	struct meter m = { rows, rows + ARRAY_SIZE(rows) };
	u64 at;

	start(test, 70 * SLOT);
	meter_reset(&m);
	for (at = 65 * SLOT; at < 69 * SLOT; at += 2)
		take(test, at, 1);
	expect_costs(test, &m, 66 * SLOT + 1);
}

/* Units of a block: only the buddy knows which are free. */
static void every_third_unit(struct kunit *test)
{
	static const struct cost rows[] = {
		{ "the state", 5462, 2731, 2, 0 },
		{ "CHECK without sums", 1842, 5, 1409, 0 },
		{ "STAT", 342, 2, 191, 0 },
		{ "STAT again", 0, 0, 0, 0 },
		{ "STAT with runs", 10929, 67, 169, 0 },
		{ "histogram", 10928, 66, 169, 0 },
		{ "census", 0, 3, 0, 0 },
		{ "sum of free blocks", 1, 1, 1, 0 },
		{ "MAP", 21853, 131, 170, 0 },
		{ "CHECK", 2162, 5, 1409, 0 },
		{ "TRIM", 10928, 2732, 5, 0 },
		{ "TRIM of long runs", 4, 2, 3, 0 },
		{ "refusal", 1, 1, 1, 0 },
		{ "claim of a block", 2, 1, 2, 0 },
		{ "refusal after a change", 174, 2, 173, 0 },
		{ "refusal again", 1, 1, 1, 0 },
		{ "free of a block", 1, 0, 0, 1 },
		{ "search with alignments", 189, 8, 173, 0 },
		{ "sums with alignments", 2381, 14, 189, 0 },
		{ "search", 9, 4, 4, 0 },
		{ "best run", 127, 12, 70, 0 },
		{ "best run with alignments", 593, 48, 36, 0 },
		{ "goal before nothing", 4, 2, 3, 0 },
		{ "goal with alignments", 14, 4, 7, 1 },
		{ "claim of the longest run", 6, 1, 6, 0 },
		{ "free of it", 5, 1, 5, 1 },
		{ "holds", 24586, 8194, 5, 0 },
	};
	struct meter m = { rows, rows + ARRAY_SIZE(rows) };
	u64 at;

	start_shape(test, 2 * SLOT + 1000, 0, 1);
	meter_reset(&m);
	for (at = 0; at < 2 * SLOT; at += 3)
		take(test, at, 1);
	expect_costs(test, &m, SLOT + 1);
}

/* Small units, in the buddy and in mixed parts by turns, without a free block but near the end. */
static void small_units_in_use(struct kunit *test)
{
	static const struct cost rows[] = {
		{ "the state", 5104, 3056, 2, 0 },
		{ "CHECK without sums", 11778, 34, 1410, 0 },
		{ "STAT", 5145, 8, 644, 0 },
		{ "STAT again", 0, 0, 0, 0 },
		{ "STAT with runs", 4113, 26, 168, 0 },
		{ "histogram", 4112, 25, 168, 0 },
		{ "census", 2080, 8, 260, 0 },
		{ "sum of free blocks", 1, 1, 1, 0 },
		{ "MAP", 5181, 74, 126, 0 },
		{ "CHECK", 16962, 34, 1410, 0 },
		{ "TRIM", 4112, 40, 168, 0 },
		{ "TRIM of long runs", 588, 2, 576, 0 },
		{ "refusal", 1, 1, 1, 0 },
		{ "claim of a block", 1, 1, 1, 0 },
		{ "refusal after a change", 652, 2, 651, 0 },
		{ "refusal again", 1, 1, 1, 0 },
		{ "free of a block", 0, 0, 0, 1 },
		{ "search with alignments", 1237, 12, 651, 0 },
		{ "sums with alignments", 1989, 7, 651, 0 },
		{ "search", 1154, 4, 576, 0 },
		{ "best run", 0, 12, 0, 0 },
		{ "best run with alignments", 0, 72, 0, 0 },
		{ "goal before nothing", 3, 1, 3, 0 },
		{ "goal with alignments", 146, 2, 144, 0 },
		{ "claim of the longest run", 1, 1, 1, 0 },
		{ "free of it", 0, 0, 0, 1 },
		{ "holds", 4144, 72, 168, 0 },
	};
	struct meter m = { rows, rows + ARRAY_SIZE(rows) };
	const u64 nr = 32 << 10;
	u64 at;

	start_shape(test, nr, 4, 8);
	meter_reset(&m);
	for (at = 0; at < nr; at += 32)
		take(test, at, 16);
	for (at = 16; at < nr; at += 32)
		take(test, at, 15);
	for (at = 31; at < nr - 512; at += 32)
		take(test, at, 1);
	expect_costs(test, &m, nr - 1);
}

/*
 * Mixed slots with long free runs at both ends. Beside them are slots of which all but the unit at
 * the far end is free, in blocks of six orders. Twelve more slots are free.
 */
static void runs_of_many_parts(struct kunit *test)
{
	static const struct cost rows[] = {
		{ "the state", 340, 103, 113, 40 },
		{ "CHECK without sums", 7206, 45, 1429, 0 },
		{ "STAT", 246, 1, 246, 0 },
		{ "STAT again", 0, 0, 0, 0 },
		{ "STAT with runs", 210, 3, 140, 0 },
		{ "histogram", 209, 2, 140, 0 },
		{ "census", 4160, 17, 260, 0 },
		{ "sum of free blocks", 1, 1, 1, 0 },
		{ "MAP", 450, 3, 178, 0 },
		{ "CHECK", 7524, 45, 1429, 0 },
		{ "TRIM", 209, 81, 8, 0 },
		{ "TRIM of long runs", 5, 2, 3, 0 },
		{ "refusal", 1, 1, 1, 0 },
		{ "claim of a block", 1, 1, 1, 0 },
		{ "refusal after a change", 32, 2, 31, 0 },
		{ "refusal again", 1, 1, 1, 0 },
		{ "free of a block", 0, 0, 0, 1 },
		{ "search with alignments", 245, 16, 92, 0 },
		{ "sums with alignments", 1030, 7, 245, 0 },
		{ "search", 7, 4, 3, 0 },
		{ "best run", 1394, 12, 131, 0 },
		{ "best run with alignments", 3408, 72, 61, 0 },
		{ "goal before nothing", 3, 1, 3, 0 },
		{ "goal with alignments", 132, 3, 98, 2 },
		{ "claim of the longest run", 11, 1, 11, 0 },
		{ "free of it", 10, 1, 10, 1 },
		{ "holds", 645, 243, 10, 0 },
	};
	struct meter m = { rows, rows + ARRAY_SIZE(rows) };
	const u64 slot = 1024, nr = 72 * slot;
	u64 at;

	start_shape(test, nr, 4, 8);
	meter_reset(&m);
	for (at = 0; at < 60 * slot; at += 3 * slot) {
		take(test, at, 16);
		take(test, at + slot + 1, 499);
		take(test, at + slot + 500, 7);
		take(test, at + slot + 507, 516);
		take(test, at + 3 * slot - 16, 16);
		give(test, at + slot + 1, 499);
		give(test, at + slot + 507, 516);
	}
	/* the slots, and blocks that may be too short, take all steps: a long block is tried */
	KUNIT_EXPECT_TRUE(test, best_run(test, slot + 1, 1));
	KUNIT_EXPECT_TRUE(test, best_run(test, slot + 1, 4));
	KUNIT_EXPECT_TRUE(test, best_run(test, 4 * slot, 4 * slot));
	expect_costs(test, &m, 4 * slot + 3);
}

/* Extents across borders between slots, and long ones beside them. */
static void extents_of_pieces(struct kunit *test)
{
	static const struct cost rows[] = {
		{ "the state", 949, 80, 12, 0 },
		{ "CHECK without sums", 19390, 118, 1506, 0 },
		{ "STAT", 802, 3, 386, 0 },
		{ "STAT again", 0, 0, 0, 0 },
		{ "STAT with runs", 724, 9, 157, 0 },
		{ "histogram", 723, 8, 157, 0 },
		{ "census", 9756, 38, 260, 0 },
		{ "sum of free blocks", 1, 1, 1, 0 },
		{ "MAP", 482, 5, 126, 0 },
		{ "CHECK", 20426, 118, 1506, 0 },
		{ "TRIM", 723, 242, 12, 0 },
		{ "TRIM of long runs", 24, 2, 16, 0 },
		{ "refusal", 1, 1, 1, 0 },
		{ "claim of a block", 3, 1, 3, 0 },
		{ "refusal after a change", 30, 2, 29, 0 },
		{ "refusal again", 1, 1, 1, 0 },
		{ "free of a block", 0, 0, 0, 1 },
		{ "search with alignments", 355, 11, 142, 0 },
		{ "sums with alignments", 1051, 7, 266, 0 },
		{ "search", 10, 2, 6, 0 },
		{ "best run", 779, 12, 84, 0 },
		{ "best run with alignments", 1812, 72, 39, 0 },
		{ "goal before nothing", 14, 3, 7, 0 },
		{ "goal with alignments", 85, 5, 61, 2 },
		{ "claim of the longest run", 19, 1, 19, 0 },
		{ "free of it", 16, 1, 16, 1 },
		{ "holds", 1649, 724, 14, 0 },
	};
	struct meter m = { rows, rows + ARRAY_SIZE(rows) };
	u64 at;

	start_shape(test, 150 * 1024 + 77, 4, 8);
	meter_reset(&m);
	for (at = 1000; at < 64 * 1024; at += 1024)
		take(test, at, 47);
	for (at = 65 * 1024 - 100; at < 140 * 1024; at += 5 * 1024)
		take(test, at, 3 * 1024);
	expect_costs(test, &m, 146 * 1024);
}

/* Four regions, of which the parts in use are whole dirs but for a few extents. */
static void take_dirs(struct kunit *test)
{
	int i;

	take(test, 0, 100 * GIB);
	take(test, 150 * GIB, 400 * GIB);
	for (i = 0; i < 20; i++)
		take(test, (560 + 20 * i) * GIB + 7 * SLOT, 3 * SLOT + 9);
}

static void bare_dirs(struct kunit *test)
{
	static const struct cost rows[] = {
		{ "the state", 371, 22, 148, 0 },
		{ "CHECK without sums", 61755, 1043, 1429, 0 },
		{ "STAT", 3604, 3, 1292, 0 },
		{ "STAT again", 0, 0, 0, 0 },
		{ "STAT with runs", 1447, 523, 10, 0 },
		{ "histogram", 1446, 522, 10, 0 },
		{ "census", 21760, 1021, 1003, 0 },
		{ "sum of free blocks", 1, 1, 1, 0 },
		{ "MAP", 353, 23, 26, 0 },
		{ "CHECK", 67323, 1043, 1429, 0 },
		{ "TRIM", 1446, 542, 9, 0 },
		{ "TRIM of long runs", 344, 2, 236, 0 },
		{ "refusal", 1, 1, 1, 0 },
		{ "claim of a block", 2, 1, 2, 0 },
		{ "refusal after a change", 532, 2, 531, 0 },
		{ "refusal again", 1, 1, 1, 0 },
		{ "free of a block", 0, 0, 0, 1 },
		{ "search with alignments", 4362, 13, 1054, 0 },
		{ "sums with alignments", 31935, 42, 913, 0 },
		{ "search", 8, 2, 5, 0 },
		{ "best run", 4596, 12, 383, 0 },
		{ "best run with alignments", 12024, 84, 144, 0 },
		{ "goal before nothing", 9, 4, 1, 1 },
		{ "goal with alignments", 6, 5, 2, 0 },
		{ "claim of the longest run", 70, 1, 70, 0 },
		{ "free of it", 68, 1, 68, 1 },
		{ "holds", 2674, 626, 67, 0 },
	};
	struct meter m = { rows, rows + ARRAY_SIZE(rows) };

	start(test, 1000 * GIB + 5 * SLOT);
	meter_reset(&m);
	take_dirs(test);
	expect_costs(test, &m, 990 * GIB);
}

/* A dir has eight nodes of the buddy, not two. */
static void bare_dirs_of_many_nodes(struct kunit *test)
{
	static const struct cost rows[] = {
		{ "the state", 371, 22, 148, 0 },
		{ "CHECK without sums", 206875, 1163, 1429, 0 },
		{ "STAT", 6850, 7, 1259, 0 },
		{ "STAT again", 0, 0, 0, 0 },
		{ "STAT with runs", 1339, 523, 11, 0 },
		{ "histogram", 1338, 522, 11, 0 },
		{ "census", 83200, 1061, 1040, 0 },
		{ "sum of free blocks", 1, 1, 1, 0 },
		{ "MAP", 392, 23, 29, 0 },
		{ "CHECK", 211355, 1163, 1429, 0 },
		{ "TRIM", 1338, 542, 10, 0 },
		{ "TRIM of long runs", 324, 2, 236, 0 },
		{ "refusal", 1, 1, 1, 0 },
		{ "claim of a block", 2, 1, 2, 0 },
		{ "refusal after a change", 501, 2, 500, 0 },
		{ "refusal again", 1, 1, 1, 0 },
		{ "free of a block", 0, 0, 0, 1 },
		{ "search with alignments", 4331, 13, 1023, 0 },
		{ "sums with alignments", 30730, 42, 907, 0 },
		{ "search", 8, 2, 5, 0 },
		{ "best run", 4908, 12, 409, 0 },
		{ "best run with alignments", 11028, 84, 133, 0 },
		{ "goal before nothing", 9, 4, 1, 1 },
		{ "goal with alignments", 6, 5, 2, 0 },
		{ "claim of the longest run", 70, 1, 70, 0 },
		{ "free of it", 68, 1, 68, 1 },
		{ "holds", 2566, 626, 67, 0 },
	};
	struct meter m = { rows, rows + ARRAY_SIZE(rows) };

	start_shape(test, 1000 * GIB + 5 * SLOT, 6, 8);
	meter_reset(&m);
	take_dirs(test);
	expect_costs(test, &m, 990 * GIB);
}

/* Extents of lengths up to a slot, of which some are free again. The same ones each time. */
static void expect_costs_of_chance(struct kunit *test, struct meter *m, unsigned int nr,
				   u64 seed)
{
	struct haslab *s = slab_of(test);
	struct hatest_rng rng = { .state = seed };
	u64 size = s->cfg.nr_blocks, at, len, change;
	enum hybrid_alloc_reason reason;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		len = 1 + hatest_below(&rng, 1U << hatest_below(&rng, s->slot_shift + 1));
		at = hatest_below(&rng, size - len);
		if (!haslab_claim(s, at, len, true, GFP_KERNEL) && i % 2)
			haslab_free(s, at, len, &reason);
	}
	KUNIT_ASSERT_TRUE(test, haslab_next_free(s, size / 2, &change, &len));
	expect_costs(test, m, change);
}

static void extents_by_chance(struct kunit *test)
{
	static const struct cost rows[] = {
		{ "the state", 2651, 1512, 19, 517 },
		{ "CHECK without sums", 6608, 12, 1539, 0 },
		{ "STAT", 114, 1, 114, 0 },
		{ "STAT again", 0, 0, 0, 0 },
		{ "STAT with runs", 1157, 5, 336, 0 },
		{ "histogram", 1156, 4, 336, 0 },
		{ "census", 1363, 3, 1003, 0 },
		{ "sum of free blocks", 1, 1, 1, 0 },
		{ "MAP", 2199, 7, 346, 0 },
		{ "CHECK", 6699, 13, 1539, 0 },
		{ "TRIM", 1156, 592, 6, 0 },
		{ "TRIM of long runs", 23, 2, 13, 0 },
		{ "refusal", 1, 1, 1, 0 },
		{ "claim of a block", 1, 1, 1, 0 },
		{ "refusal after a change", 14, 1, 14, 0 },
		{ "refusal again", 14, 1, 14, 0 },
		{ "free of a block", 0, 0, 0, 1 },
		{ "search with alignments", 84, 8, 19, 0 },
		{ "sums with alignments", 661, 7, 220, 0 },
		{ "search", 5, 2, 3, 0 },
		{ "best run", 1074, 12, 92, 0 },
		{ "best run with alignments", 2592, 84, 43, 0 },
		{ "goal before nothing", 8, 2, 5, 0 },
		{ "goal with alignments", 513, 3, 227, 1 },
		{ "claim of the longest run", 1, 1, 1, 0 },
		{ "free of it", 0, 0, 0, 1 },
		{ "holds", 2340, 1776, 6, 0 },
	};
	struct meter m = { rows, rows + ARRAY_SIZE(rows) };

	start(test, 80 * SLOT + 300);
	meter_reset(&m);
	expect_costs_of_chance(test, &m, 1500, 7);
}

static void extents_by_chance_in_small_units(struct kunit *test)
{
	static const struct cost rows[] = {
		{ "the state", 2653, 1522, 20, 477 },
		{ "CHECK without sums", 12988, 73, 1526, 0 },
		{ "STAT", 139, 1, 139, 0 },
		{ "STAT again", 0, 0, 0, 0 },
		{ "STAT with runs", 1061, 15, 88, 0 },
		{ "histogram", 1060, 14, 88, 0 },
		{ "census", 4552, 18, 260, 0 },
		{ "sum of free blocks", 1, 1, 1, 0 },
		{ "MAP", 2003, 24, 96, 0 },
		{ "CHECK", 13109, 73, 1526, 0 },
		{ "TRIM", 1060, 545, 6, 0 },
		{ "TRIM of long runs", 24, 2, 14, 0 },
		{ "refusal", 1, 1, 1, 0 },
		{ "claim of a block", 1, 1, 1, 0 },
		{ "refusal after a change", 41, 1, 41, 0 },
		{ "refusal again", 41, 1, 41, 0 },
		{ "free of a block", 0, 0, 0, 1 },
		{ "search with alignments", 293, 12, 94, 0 },
		{ "sums with alignments", 376, 7, 127, 0 },
		{ "search", 6, 2, 3, 0 },
		{ "best run", 690, 12, 66, 0 },
		{ "best run with alignments", 1571, 72, 36, 0 },
		{ "goal before nothing", 9, 2, 5, 0 },
		{ "goal with alignments", 54, 2, 37, 2 },
		{ "claim of the longest run", 1, 1, 1, 0 },
		{ "free of it", 0, 0, 0, 1 },
		{ "holds", 2170, 1635, 6, 0 },
	};
	struct meter m = { rows, rows + ARRAY_SIZE(rows) };

	start_shape(test, 70 * 1024 + 5, 4, 8);
	meter_reset(&m);
	expect_costs_of_chance(test, &m, 1500, 7);
}

/* Many such states, of which a row is forty. */
static void many_states_by_chance(struct kunit *test)
{
	static const struct cost rows[] = {
		{ "all calls", 1043055, 91770, 1539, 11389 },
		{ "all calls", 1593463, 95271, 1536, 10784 },
		{ "all calls", 4856167, 154732, 1846, 12981 },
		{ "all calls", 2399639, 96306, 1474, 10635 },
		{ "all calls", 801205, 74870, 1446, 9031 },
		{ "all calls", 1144083, 106107, 1665, 12589 },
	};
	static const struct { u64 nr_blocks; unsigned int unit_shift, slab_max; } shapes[] = {
		{ 70 * SLOT + 5, 8, 256 }, { 70 * 1024, 4, 8 }, { 300 * 256 + 1, 2, 4 },
		{ 2 * SLOT + 64, 0, 1 }, { 20 * SLOT, 6, 8 }, { 140 * SLOT, 10, 1024 },
	};
	struct meter m = { rows, rows + ARRAY_SIZE(rows) };
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		m.together = false;
		meter_reset(&m);
		m.together = true;
		for (k = 0; k < 40; k++) {
			start_shape(test, shapes[i].nr_blocks, shapes[i].unit_shift,
				    shapes[i].slab_max);
			expect_costs_of_chance(test, &m, 100 * (k % 15 + 1), 100 * i + k);
		}
		m.together = false;
		expect_cost(test, &m, "all calls");
	}
	KUNIT_EXPECT_TRUE(test, m.row == m.end);
}

static struct kunit_case costs_cases[] = {
	KUNIT_CASE(slabs_with_holes),
	KUNIT_CASE(slabs_of_odd_objects),
	KUNIT_CASE(runs_of_sixteen),
	KUNIT_CASE(single_blocks),
	KUNIT_CASE(every_third_unit),
	KUNIT_CASE(small_units_in_use),
	KUNIT_CASE(runs_of_many_parts),
	KUNIT_CASE(extents_of_pieces),
	KUNIT_CASE(bare_dirs),
	KUNIT_CASE(bare_dirs_of_many_nodes),
	KUNIT_CASE(extents_by_chance),
	KUNIT_CASE(extents_by_chance_in_small_units),
	KUNIT_CASE(many_states_by_chance),
	{}
};

static struct kunit_suite costs_suite = {
	.name = "costs",
	.init = pool_test_init,
	.exit = pool_test_exit,
	.test_cases = costs_cases,
};

kunit_test_suite(costs_suite);
