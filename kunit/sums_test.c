// SPDX-License-Identifier: GPL-2.0
/*
 * What is free, by address: the sums that searches go by, and the looks at single places, each
 * compared with what a naive walk of the model finds, in units of one block to a thousand.
 */
#include "pool_fixture.h"
#include "slab/internal.h"

#define MAX_BLOCKS	100000

static struct haslab *slab_of(struct kunit *test)
{
	return &((struct fixture *)test->priv)->p.slab;
}

/* A length around the longest run, or any. */
static u64 random_len(struct hatest_rng *rng, u64 longest)
{
	if (longest > 1 && !hatest_below(rng, 4))
		return longest - 1 + hatest_below(rng, 3);
	return 1 + hatest_below(rng, 1 << hatest_below(rng, 13));
}

static void expect_find(struct kunit *test, const struct hatest_model *m, u64 len, u64 align)
{
	bool fits = hatest_model_fits(m, len, align);
	u64 at = 0;

	KUNIT_ASSERT_EQ_MSG(test, haslab_find(slab_of(test), len, align, &at), fits ? 0 : -ENOSPC,
			    "length %llu, alignment %llu", len, align);
	if (fits)
		KUNIT_ASSERT_TRUE_MSG(test, !(at & (align - 1)) && hatest_model_free(m, at, len),
				      "length %llu, alignment %llu: %llu", len, align, at);
}

/*
 * The same by the sums alone, as haslab_search_all() goes: for any alignment, which on a small
 * device haslab_find() answers by a look at each place.
 */
static void expect_sums_find(struct kunit *test, const struct hatest_model *m, u64 len,
			     unsigned int order)
{
	bool fits = hatest_model_fits(m, len, 1ULL << order), done = false;
	u64 carry = 0, pos, at = 0;
	struct haslab_walk w;
	struct haslab_sum sum;

	haslab_walk_start(&w, slab_of(test), 0, U64_MAX, 0);
	while (!done && haslab_walk_next(&w))
		while (!done && w.pos < w.limit && w.steps > 0) {
			pos = w.pos;
			sum = haslab_walk_sum(&w, order, len);
			at = round_up(pos - carry, 1ULL << order);
			done = at + len <= pos + sum.lead ||
			       (sum.usable >= len && haslab_walk_find(&w, pos, len, order, &at));
			carry = sum.trail == sum.size ? carry + sum.size : sum.trail;
		}
	haslab_walk_end(&w);
	KUNIT_ASSERT_EQ_MSG(test, done, fits, "length %llu, order %u", len, order);
	if (done)
		KUNIT_ASSERT_TRUE_MSG(test, IS_ALIGNED(at, 1ULL << order) &&
				      hatest_model_free(m, at, len),
				      "length %llu, order %u: %llu", len, order, at);
}

/* The next free run from @from on that has @len blocks is not passed over. */
static void expect_next(struct kunit *test, const struct hatest_model *m, u64 from, u64 len)
{
	u64 at, has, got = haslab_next_long(slab_of(test), from, len);

	for (at = from; hatest_model_run(m, &at, &has); at += has)
		if (has >= len)
			break;
	if (at < m->nr_blocks)
		KUNIT_ASSERT_LE_MSG(test, got, at, "length %llu from %llu on", len, from);
	else
		KUNIT_ASSERT_EQ_MSG(test, got, U64_MAX, "length %llu from %llu on", len, from);
}

/* One place says whether it is free, how far at least, and how long its free run is. */
static void expect_place(struct kunit *test, const struct hatest_model *m, u64 at)
{
	bool is_free = hatest_model_free(m, at, 1), said, stretch;
	struct haslab *s = slab_of(test);
	int steps = INT_MAX;
	u64 run, end;

	haslab_lock_all(s);
	said = haslab_is_free(s, at);
	stretch = haslab_stretch(s, at, &end);
	run = haslab_run_at(s, at, U64_MAX, &steps);
	haslab_unlock_all(s);

	KUNIT_ASSERT_EQ_MSG(test, said, is_free, "%llu", at);
	KUNIT_ASSERT_EQ_MSG(test, stretch, is_free, "%llu", at);
	KUNIT_ASSERT_TRUE_MSG(test, end > at, "%llu", at);
	KUNIT_ASSERT_EQ_MSG(test, !run, !is_free, "%llu", at);
	if (!is_free)
		return;
	KUNIT_ASSERT_TRUE_MSG(test, end <= m->nr_blocks && at + run <= m->nr_blocks, "%llu", at);
	KUNIT_ASSERT_TRUE_MSG(test, hatest_model_free(m, at, end - at), "%llu", at);
	KUNIT_ASSERT_TRUE_MSG(test, hatest_model_free(m, at, run), "%llu", at);
	if (at + run < m->nr_blocks)
		KUNIT_ASSERT_FALSE_MSG(test, hatest_model_free(m, at + run, 1), "%llu", at);
}

/* The units around one, as the heap of their node says it and as a way down to each does. */
static void expect_units(struct kunit *test, u64 unit)
{
	u64 first = round_down(unit, HABUDDY_FANOUT), i, bad = 0;
	unsigned long bits[HABUDDY_FANOUT / BITS_PER_LONG];
	struct haslab *s = slab_of(test);
	bool some;

	haslab_lock_all(s);
	some = habuddy_free_map(&s->buddy, unit, bits);
	for (i = 0; i < HABUDDY_FANOUT; i++) {
		if (some)
			bad += test_bit(i, bits) != (habuddy_free_order(&s->buddy, first + i) >= 0);
		else if (first + i < s->buddy.nr_units)
			bad += (habuddy_free_order(&s->buddy, first + i) >= 0) !=
			       (habuddy_free_order(&s->buddy, unit) >= 0);
	}
	haslab_unlock_all(s);
	KUNIT_ASSERT_EQ_MSG(test, bad, 0, "around unit %llu", unit);
}

/* The longest extent of the model from @from to @to that is aligned to 2^@order. */
static u64 model_usable(const struct hatest_model *m, u64 from, u64 to, unsigned int order)
{
	u64 at = from, len, start, usable = 0;

	for (; hatest_model_run(m, &at, &len) && at < to; at += len) {
		start = round_up(at, 1ULL << order);
		if (start < min(at + len, to))
			usable = max(usable, min(at + len, to) - start);
	}
	return usable;
}

/* What quads keep for each alignment is right. */
static void expect_quads(struct kunit *test, const struct hatest_model *m)
{
	struct haslab *s = slab_of(test);
	unsigned int order, end = s->slot_shift + HASLAB_QUAD_SHIFT;
	u64 pos, size = 1ULL << end, bad = U64_MAX;
	const struct haslab_quad *q;

	haslab_lock_all(s);
	for (pos = 0; pos < s->cfg.nr_blocks; pos += size) {
		haslab_sums_settle(s, pos);
		if (!haslab_quad_keeps(s, pos))
			continue;
		q = haslab_quad_of(s, pos);
		if (q->longest != model_usable(m, pos, haslab_quad_end(s, pos), 0))
			bad = pos;
		for (order = 1; order < end; order++)
			if (q->usable[order - 1] != HASLAB_UNKNOWN &&
			    q->usable[order - 1] !=
			    model_usable(m, pos, haslab_quad_end(s, pos), order))
				bad = pos;
	}
	haslab_unlock_all(s);
	KUNIT_ASSERT_EQ_MSG(test, bad, U64_MAX, "quad at %llu", bad);
}

static void compare(struct kunit *test, const struct hatest_model *m, struct hatest_rng *rng)
{
	struct hatest_runs runs = hatest_model_runs(m);
	struct fixture *f = test->priv;
	u64 first = f->cfg.first_block, at, len, align;
	unsigned int i;

	hapool_drain(&f->p);
	/* the sums that the searches go by exist already, or not */
	if (hatest_below(rng, 2))
		KUNIT_ASSERT_EQ(test, haslab_longest_run(slab_of(test)), runs.largest);
	for (i = 0; i < 4; i++) {
		len = random_len(rng, runs.largest);
		at = first + hatest_below(rng, m->nr_blocks - first);
		align = 1ULL << (hatest_below(rng, 2) ? hatest_below(rng, 15) : 0);
		expect_find(test, m, len, align);
		expect_sums_find(test, m, random_len(rng, runs.largest), hatest_below(rng, 36));
		expect_next(test, m, at, random_len(rng, runs.largest));
		expect_place(test, m, at);
		expect_units(test, at >> f->cfg.unit_shift);
	}
	KUNIT_ASSERT_EQ(test, haslab_longest_run(slab_of(test)), runs.largest);
	expect_quads(test, m);
	KUNIT_ASSERT_EQ(test, hapool_check(&f->p), 0);
}

/* ---- devices and what is on them ---- */

static void start_random(struct kunit *test, struct hatest_model *m, unsigned int unit_shift,
			 struct hatest_rng *rng)
{
	u32 unit = 1 << unit_shift, slot = min(64 * unit, 4096U);
	struct haslab_config cfg = {
		.first_block = hatest_below(rng, 2) ? hatest_below(rng, 2 * unit) : 0,
		.nr_blocks = slot * (2 + hatest_below(rng, min(130U, MAX_BLOCKS / slot / 2))) +
			     hatest_below(rng, slot),
		.unit_shift = unit_shift,
		.slab_max = min(unit, 1U << hatest_below(rng, 9)),
		.nr_groups = 1 + hatest_below(rng, 2),
	};

	start_cfg(test, &cfg);
	model_start(test, m);
}

static void claim_if_free(struct kunit *test, struct hatest_model *m, u64 at, u64 len)
{
	if (m->nr == HATEST_MAX_EXTENTS || at + len > m->nr_blocks ||
	    !hatest_model_free(m, at, len))
		return;
	KUNIT_ASSERT_EQ_MSG(test, claim(test, at, len), 0, "claim %llu, length %llu", at, len);
	hatest_model_add(m, at, len);
}

/* From somewhere on: blocks or units by turns; a few blocks in a unit; or all of it in use. */
static void shred(struct kunit *test, struct hatest_model *m, struct hatest_rng *rng)
{
	struct fixture *f = test->priv;
	u64 unit = 1ULL << f->cfg.unit_shift, first = f->cfg.first_block;
	u64 from = first + hatest_below(rng, m->nr_blocks - first), at;
	u32 what = hatest_below(rng, 4), step = 2 + hatest_below(rng, 4);
	u64 len = what == 1 ? unit : 1;

	if (!what)
		return;
	if (what == 3) {
		claim_if_free(test, m, from, 1 + hatest_below(rng, m->nr_blocks - from));
		return;
	}
	for (at = from; at < m->nr_blocks && m->nr < HATEST_MAX_EXTENTS / 2; at += step * len) {
		claim_if_free(test, m, at, len);
		if (what == 2 && !hatest_below(rng, 5))
			claim_if_free(test, m, round_up(at, unit), unit);
	}
}

static void grow(struct kunit *test, struct hatest_model *m, struct hatest_rng *rng)
{
	struct fixture *f = test->priv;

	m->nr_blocks += 1 + hatest_below(rng, 1 << hatest_below(rng, 13));
	KUNIT_ASSERT_EQ(test, hapool_grow(&f->p, m->nr_blocks, GFP_KERNEL), 0);
	f->cfg.nr_blocks = m->nr_blocks;
}

static void looks_agree_with_the_model(struct kunit *test)
{
	struct hatest_model *m = hatest_model(test, 2 * MAX_BLOCKS);
	struct hatest_rng rng = hatest_rng(test);
	unsigned int unit_shift, i, n;

	for (unit_shift = 0; unit_shift <= 10; unit_shift++) {
		start_random(test, m, unit_shift, &rng);
		shred(test, m, &rng);
		for (i = 0; i < 10 + hatest_ops / 200; i++) {
			/* now and then there is no memory for tables of sums */
			if (!hatest_below(&rng, 4))
				hatest_inject_start(0, 0, true);
			compare(test, m, &rng);
			hatest_inject_stop();
			for (n = hatest_below(&rng, 12); n; n--)
				random_step(test, m, &rng, i / 4 % 2);
			if (!hatest_below(&rng, 10) && m->nr_blocks < MAX_BLOCKS)
				grow(test, m, &rng);
		}
		free_all(test, m, &rng);
		expect_one_run(test);
	}
}

/* What remains of a slab after its last object is free, and no object. */
static void rest_of_a_slab_is_free(struct kunit *test)
{
	struct haslab *s = slab_of(test);
	struct haslab_slab *slab;
	u64 at, end;

	start(test, 64 * 4096);
	at = alloc(test, 3);
	slab = haslab_lookup(s, at);
	KUNIT_ASSERT_NOT_NULL(test, slab);
	end = slab_end(slab);
	KUNIT_ASSERT_LT(test, slab->start + 3 * slab->nr_objects, end);
	haslab_lock_all(s);
	KUNIT_EXPECT_TRUE(test, haslab_is_free(s, end - 1));
	KUNIT_EXPECT_FALSE(test, haslab_is_free(s, at));
	haslab_unlock_all(s);
}

/*
 * The table of what the quads of a dir keep is made by the first walk that needs it, if there is
 * memory, and is kept as long as more than four slots have slabs or mixed parts. A dir of one quad
 * needs none.
 */
static void table_of_quads_comes_and_goes(struct kunit *test)
{
	const u64 slot = 4096, dir = 64 * slot, nr = dir + 4 * slot, longest = dir - 6 * slot;
	struct haslab *s = slab_of(test);
	u64 i;

	start(test, nr);
	for (i = 0; i < 6; i++)
		KUNIT_ASSERT_EQ(test, claim(test, i * slot + 7, 1), 0);
	for (i = 0; i < 4 * 16; i++)
		KUNIT_ASSERT_EQ(test, claim(test, dir + i * 256, 1), 0);
	hatest_inject_start(0, 0, true);
	KUNIT_EXPECT_EQ(test, haslab_longest_run(s), longest + slot - 8);
	KUNIT_EXPECT_GT(test, hatest_inject_stop(), 0UL);
	KUNIT_EXPECT_NULL(test, s->sums.tables[0]);
	expect_freed(test, 5 * slot + 7, 1);
	haslab_drain(s);
	KUNIT_EXPECT_EQ(test, haslab_longest_run(s), longest + 2 * slot - 8);
	KUNIT_EXPECT_NOT_NULL(test, s->sums.tables[0]);
	KUNIT_EXPECT_NULL(test, s->sums.tables[1]);
	expect_freed(test, 4 * slot + 7, 1);
	haslab_drain(s);
	KUNIT_EXPECT_NULL(test, s->sums.tables[0]);
	KUNIT_EXPECT_EQ(test, haslab_longest_run(s), longest + 3 * slot - 8);
	KUNIT_EXPECT_NULL(test, s->sums.tables[0]);
	/* another one knows nothing of what the first one knew */
	KUNIT_ASSERT_EQ(test, claim(test, 4 * slot + 7, 1), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 6 * slot, 1), 0);
	KUNIT_EXPECT_EQ(test, haslab_longest_run(s), longest - 1);
	KUNIT_EXPECT_NOT_NULL(test, s->sums.tables[0]);
}

static struct kunit_case sums_cases[] = {
	KUNIT_CASE(looks_agree_with_the_model),
	KUNIT_CASE(rest_of_a_slab_is_free),
	KUNIT_CASE(table_of_quads_comes_and_goes),
	{}
};

static struct kunit_suite sums_suite = {
	.name = "sums",
	.init = pool_test_init,
	.exit = pool_test_exit,
	.test_cases = sums_cases,
};

kunit_test_suite(sums_suite);
