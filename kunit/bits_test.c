// SPDX-License-Identifier: GPL-2.0
/* Rows of bits, each compared with a look at one bit after the other. */
#include "pool_fixture.h"
#include "slab/bits.h"

#define NR_BITS		700	/* more than ten words of 64 bits, and a part of one */
#define ORDERS		10

struct bits {
	unsigned long map[BITS_TO_LONGS(NR_BITS)];
	u32 from;
	u32 to;
};

/* Rows of any length up to @most, by turns set and not, also outside of the range. */
static void random_bits(struct bits *b, struct hatest_rng *rng, u32 most)
{
	bool set = hatest_below(rng, 2);
	u32 i, left = 0;

	for (i = 0; i < BITS_TO_LONGS(NR_BITS) * BITS_PER_LONG; i++) {
		if (!left--) {
			left = hatest_below(rng, most);
			set = !set;
		}
		__assign_bit(i, b->map, set);
	}
	b->from = hatest_below(rng, NR_BITS);
	b->to = b->from + 1 + hatest_below(rng, NR_BITS - b->from);
	if (!hatest_below(rng, 3))
		b->from = 0;
	if (!hatest_below(rng, 3))
		b->to = NR_BITS;
}

/* How many bits in a row are set from @i on. */
static u32 row_at(const struct bits *b, u32 i)
{
	u32 end = i;

	while (end < b->to && test_bit(end, b->map))
		end++;
	return end - i;
}

/* The longest row that begins at a multiple of 2^@order, and where the first such row does. */
static u32 naive_usable(const struct bits *b, unsigned int order, u32 *at)
{
	u32 i, longest = 0;

	for (i = round_up(b->from, 1U << order); i < b->to; i += 1U << order) {
		if (row_at(b, i) > longest) {
			longest = row_at(b, i);
			*at = i;
		}
	}
	return longest;
}

static u32 naive_trail(const struct bits *b)
{
	u32 i = b->to;

	while (i > b->from && test_bit(i - 1, b->map))
		i--;
	return b->to - i;
}

static void expect_bits(struct kunit *test, const struct bits *b, u64 left, u64 right)
{
	KUNIT_EXPECT_EQ_MSG(test, left, right, "from %u to %u", b->from, b->to);
}

static void sums_of_rows(struct kunit *test)
{
	struct hatest_rng rng = hatest_rng(test);
	struct bits *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	struct haslab_sum sum;
	u32 at, longest, best;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, b);
	for (i = 0; i < 200 + hatest_ops; i++) {
		random_bits(b, &rng, 1 << hatest_below(&rng, 9));
		longest = naive_usable(b, 0, &at);
		sum = haslab_bits_sum(b->map, b->from, b->to, 0);
		expect_bits(test, b, sum.size, b->to - b->from);
		expect_bits(test, b, sum.lead, row_at(b, b->from));
		expect_bits(test, b, sum.longest, longest);
		expect_bits(test, b, sum.trail, naive_trail(b));
		/* with as much known before, it may be less, but for the rows at the ends */
		best = hatest_below(&rng, longest + 2);
		sum = haslab_bits_sum(b->map, b->from, b->to, best);
		if (longest > best)
			expect_bits(test, b, sum.longest, longest);
		KUNIT_EXPECT_LE(test, sum.longest, longest);
		KUNIT_EXPECT_GE(test, sum.longest, max(sum.lead, sum.trail));
		expect_bits(test, b, haslab_bits_trail(b->map, b->from, b->to), naive_trail(b));
	}
}

/* The longest aligned row, and any that is longer than what is known. */
static void expect_usable(struct kunit *test, const struct bits *b, unsigned int order, u32 best)
{
	u32 at = U32_MAX, expected_at = U32_MAX, any_at = U32_MAX, got;
	u32 expected = naive_usable(b, order, &expected_at);

	got = haslab_bits_usable(b->map, b->from, b->to, order, best, false, &at);
	KUNIT_EXPECT_EQ_MSG(test, got, max(best, expected), "from %u to %u, order %u, best %u",
			    b->from, b->to, order, best);
	KUNIT_EXPECT_EQ(test, at, expected > best ? expected_at : U32_MAX);
	got = haslab_bits_usable(b->map, b->from, b->to, order, best, true, &any_at);
	KUNIT_EXPECT_EQ_MSG(test, got > best, expected > best,
			    "any, from %u to %u, order %u, best %u", b->from, b->to, order, best);
	if (got <= best)
		return;
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED(any_at, 1U << order));
	KUNIT_EXPECT_GE(test, any_at, b->from);
	KUNIT_EXPECT_LE(test, any_at, expected_at);
	KUNIT_EXPECT_EQ(test, got, row_at(b, any_at));
}

static void rows_that_are_usable(struct kunit *test)
{
	struct hatest_rng rng = hatest_rng(test);
	struct bits *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	unsigned int i, order;
	u32 at, longest;

	KUNIT_ASSERT_NOT_NULL(test, b);
	for (i = 0; i < 50 + hatest_ops / 4; i++) {
		random_bits(b, &rng, 1 << hatest_below(&rng, 9));
		for (order = 0; order <= ORDERS; order++) {
			longest = naive_usable(b, order, &at);
			expect_usable(test, b, order, hatest_below(&rng, longest + 1));
			expect_usable(test, b, order, longest);
			if (longest)
				expect_usable(test, b, order, longest - 1);
		}
	}
}

static struct kunit_case bits_cases[] = {
	KUNIT_CASE(sums_of_rows),
	KUNIT_CASE(rows_that_are_usable),
	{}
};

static struct kunit_suite bits_suite = {
	.name = "bits",
	.test_cases = bits_cases,
};

kunit_test_suite(bits_suite);
