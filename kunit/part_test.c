// SPDX-License-Identifier: GPL-2.0
/* Parts of extents: cut, split and extended, whatever the extent lies in. */
#include "pool_fixture.h"

#define SLOT		(16 * UNIT)

static int cut(struct kunit *test, u64 at, u64 len, enum hybrid_alloc_reason *reason)
{
	struct fixture *f = test->priv;

	return hapool_cut(&f->p, at, len, GFP_KERNEL, reason);
}

static void expect_cut(struct kunit *test, u64 at, u64 len)
{
	enum hybrid_alloc_reason reason;
	struct fixture *f = test->priv;

	KUNIT_ASSERT_EQ_MSG(test, cut(test, at, len, &reason), 0, "start %llu, length %llu: %d", at,
			    len, reason);
	KUNIT_ASSERT_EQ(test, hapool_check(&f->p), 0);
}

static void expect_cut_refused(struct kunit *test, u64 at, u64 len, int err,
			       enum hybrid_alloc_reason why)
{
	u64 charged = stat(test)->charged;
	enum hybrid_alloc_reason reason;

	KUNIT_EXPECT_EQ_MSG(test, cut(test, at, len, &reason), err, "start %llu, length %llu", at,
			    len);
	KUNIT_EXPECT_EQ(test, (int)reason, (int)why);
	KUNIT_EXPECT_EQ(test, stat(test)->charged, charged);
}

static void expect_split(struct kunit *test, u64 start, u64 len, u64 at)
{
	enum hybrid_alloc_reason reason;
	struct fixture *f = test->priv;

	KUNIT_ASSERT_EQ_MSG(test, hapool_split(&f->p, start, len, at, GFP_KERNEL, &reason), 0,
			    "start %llu, length %llu, at %llu: %d", start, len, at, reason);
	KUNIT_ASSERT_EQ(test, hapool_check(&f->p), 0);
}

static int extend(struct kunit *test, u64 start, u64 len, u64 least, u64 most, u64 *got)
{
	enum hybrid_alloc_reason reason;
	struct fixture *f = test->priv;

	return hapool_extend(&f->p, start, len, least, most, GFP_KERNEL, got, &reason);
}

/*
 * One extent of each kind: of a slab, of mixed slots, a buddy block, a span; on a device of
 * several slots, where @len blocks begin in each.
 */
static const u32 kinds[] = {
	1, 2, 3, 15, 16, 32, 256, 512, 1024,		/* pooled: objects and blocks */
	17, 100, 255, 257, 2000, SLOT - 1, SLOT,	/* of mixed slots */
	2 * SLOT,					/* a block */
	SLOT + 1, 2 * SLOT + 3, 3 * SLOT - 300,		/* spans */
};

/* ---- cuts ---- */

static void head_and_tail_are_cut_off(struct kunit *test)
{
	unsigned int i;
	u64 at, len;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		len = kinds[i];
		if (len < 3)
			continue;
		start(test, 16 * SLOT);
		at = alloc(test, len);
		expect_cut(test, at, 1);
		expect_account(test, len - 1, 1);
		expect_refused(test, at, len, -ENOENT, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
		expect_refused(test, at + 1, len, -EINVAL, HYBRID_ALLOC_REASON_WRONG_LENGTH);
		expect_cut(test, at + len - 1, 1);
		expect_account(test, len - 2, 1);
		KUNIT_ASSERT_EQ(test, claim(test, at, 1), 0);
		KUNIT_ASSERT_EQ(test, claim(test, at + len - 1, 1), 0);
		expect_account(test, len, 3);
		expect_freed(test, at, 1);
		expect_freed(test, at + 1, len - 2);
		expect_freed(test, at + len - 1, 1);
		expect_all_comes_back(test);
	}
}

static void middle_is_cut_out(struct kunit *test)
{
	unsigned int i;
	u64 at, len, part;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		len = kinds[i];
		if (len < 3)
			continue;
		start(test, 16 * SLOT);
		at = alloc(test, len);
		part = DIV_ROUND_UP(len, 3);
		expect_cut(test, at + len / 3, part);
		expect_account(test, len - part, 2);
		expect_refused(test, at, len, -EINVAL, HYBRID_ALLOC_REASON_WRONG_LENGTH);
		expect_freed(test, at + len / 3 + part, len - len / 3 - part);
		expect_freed(test, at, len / 3);
		expect_all_comes_back(test);
	}
}

/* Block by block, from the front, from the back, or every second one first. */
static void extent_is_freed_block_by_block(struct kunit *test)
{
	unsigned int i, order;
	u64 at, len, k;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		for (order = 0; order < 3; order++) {
			len = kinds[i];
			start(test, 16 * SLOT);
			at = alloc(test, len);
			for (k = 0; k < len && order < 2; k += 7) {
				u64 nr = min_t(u64, 7, len - k);

				expect_cut(test, order ? at + len - k - nr : at + k, nr);
			}
			for (k = 0; k < len && order == 2; k += 26)
				expect_cut(test, at + k, min_t(u64, 13, len - k));
			for (k = 13; k < len && order == 2; k += 26)
				expect_cut(test, at + k, min_t(u64, 13, len - k));
			expect_all_comes_back(test);
		}
}

static void wrong_parts_are_refused(struct kunit *test)
{
	unsigned int i;
	u64 at, len;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		len = kinds[i];
		start(test, 16 * SLOT);
		at = alloc(test, len);
		expect_cut_refused(test, at, len + 1, -EINVAL, HYBRID_ALLOC_REASON_WRONG_LENGTH);
		expect_cut_refused(test, at + len - 1, 2, -EINVAL,
				   HYBRID_ALLOC_REASON_WRONG_LENGTH);
		expect_cut_refused(test, at + len, 1, -ENOENT, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
		expect_freed(test, at, len);
		expect_cut_refused(test, at, 1, -ENOENT, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
		expect_cut_refused(test, at, len, -ENOENT, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
		expect_all_comes_back(test);
	}
}

/* ---- splits ---- */

static void extents_are_split(struct kunit *test)
{
	enum hybrid_alloc_reason reason;
	struct fixture *f = test->priv;
	unsigned int i, k;
	u64 at, len;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		for (k = 1; k < 8; k++) {
			u64 first = max_t(u64, kinds[i] * k / 8, 1);

			len = kinds[i];
			if (first == len)
				continue;
			start(test, 16 * SLOT);
			at = alloc(test, len);
			KUNIT_EXPECT_EQ(test, hapool_split(&f->p, at, len + 1, at + first,
							   GFP_KERNEL, &reason), -EINVAL);
			expect_split(test, at, len, at + first);
			expect_account(test, len, 2);
			KUNIT_EXPECT_EQ(test, hapool_split(&f->p, at, len, at + first, GFP_KERNEL,
							   &reason), -EINVAL);
			expect_freed(test, at, first);
			expect_freed(test, at + first, len - first);
			expect_all_comes_back(test);
		}
}

/* ---- extending ---- */

static void extents_become_longer(struct kunit *test)
{
	static const u32 more[] = { 1, 100, 256, SLOT, 2 * SLOT + 1 };
	u64 at, len, got, next;
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		for (k = 0; k < ARRAY_SIZE(more); k++) {
			len = kinds[i];
			start(test, 16 * SLOT);
			at = alloc(test, len);
			KUNIT_ASSERT_EQ(test, extend(test, at, len + 1, 1, 1, &got), -EINVAL);
			KUNIT_ASSERT_EQ_MSG(test,
					    extend(test, at, len, more[k], more[k], &got), 0,
					    "length %llu, %u more", len, more[k]);
			KUNIT_EXPECT_EQ(test, got, more[k]);
			len += more[k];
			expect_account(test, len, 1);
			KUNIT_ASSERT_EQ(test, hapool_check(&((struct fixture *)test->priv)->p), 0);
			/* as far as the next extent */
			next = at + len + 5;
			KUNIT_ASSERT_EQ(test, claim(test, next, 1), 0);
			KUNIT_EXPECT_EQ(test, extend(test, at, len, 6, 10, &got), -ENOSPC);
			KUNIT_EXPECT_EQ(test, extend(test, at, len, 2, 10, &got), 0);
			KUNIT_EXPECT_EQ(test, got, 5);
			len += 5;
			expect_account(test, len + 1, 2);
			KUNIT_EXPECT_EQ(test, extend(test, at, len, 1, 1, &got), -ENOSPC);
			expect_freed(test, next, 1);
			expect_freed(test, at, len);
			expect_all_comes_back(test);
		}
}

/* ---- over the border of two slots ---- */

#define LEN	3000U
#define BORDER	(SLOT - LEN)	/* counted from the start of the extent */

/* An extent that goes on in the next slot, in the mixed part there. */
static u64 alloc_over_border(struct kunit *test)
{
	u64 at;

	start(test, 16 * SLOT);
	KUNIT_ASSERT_EQ(test, alloc(test, LEN), 0);
	at = alloc(test, LEN);
	KUNIT_ASSERT_EQ(test, at, LEN);
	return at;
}

static void extent_over_a_border_is_cut(struct kunit *test)
{
	static const u16 parts[][2] = {
		{ 0, 1 }, { LEN - 1, 1 }, { BORDER - 1, 1 }, { BORDER, 1 }, { BORDER - 1, 2 },
		{ 0, BORDER }, { BORDER, LEN - BORDER }, { 500, 10 }, { 2000, 10 }, { 500, 2000 },
	};
	unsigned int i;
	u64 at, from, end;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		at = alloc_over_border(test);
		from = at + parts[i][0];
		end = from + parts[i][1];
		expect_cut(test, from, end - from);
		expect_account(test, 2 * LEN - (end - from),
			       1 + (from > at) + (end < at + LEN));
		if (from > at)
			expect_freed(test, at, from - at);
		if (end < at + LEN)
			expect_freed(test, end, at + LEN - end);
		expect_freed(test, 0, LEN);
		expect_all_comes_back(test);
	}
}

static void extent_over_a_border_is_split_and_extended(struct kunit *test)
{
	static const u16 places[] = { 1, BORDER - 1, BORDER, BORDER + 1, LEN - 1 };
	u64 at, got, len;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		at = alloc_over_border(test);
		expect_split(test, at, LEN, at + places[i]);
		expect_account(test, 2 * LEN, 3);
		len = LEN - places[i];
		KUNIT_ASSERT_EQ(test, extend(test, at + places[i], len, 7, 7, &got), 0);
		expect_freed(test, at, places[i]);
		expect_freed(test, at + places[i], len + 7);
		expect_freed(test, 0, LEN);
		expect_all_comes_back(test);
	}
	/* the extent before the border goes on behind it, as far as the next slot, and beyond */
	at = alloc_over_border(test);
	expect_cut(test, at + BORDER, LEN - BORDER);
	KUNIT_ASSERT_EQ(test, extend(test, at, BORDER, SLOT, SLOT, &got), 0);
	KUNIT_ASSERT_EQ(test, extend(test, at, BORDER + SLOT, 1, 1, &got), 0);
	expect_freed(test, at, BORDER + SLOT + 1);
	expect_freed(test, 0, LEN);
	expect_all_comes_back(test);
}

/* ---- extents over several slots of a group ---- */

#define CHAIN		(5 * SLOT + 300)
/* It begins behind so many blocks, so that each border is so far from its start. */
#define CHAIN_START	100
#define CHAIN_BORDER(i)	((i) * SLOT - CHAIN_START)

static const u32 chain_places[] = {
	0, 1, CHAIN_BORDER(1) - 1, CHAIN_BORDER(1), CHAIN_BORDER(1) + 1, CHAIN_BORDER(2),
	CHAIN_BORDER(3) - 1, CHAIN_BORDER(3) + 7, CHAIN_BORDER(5), CHAIN - 1, CHAIN,
};

static u64 nr_spans(struct kunit *test)
{
	return ((struct fixture *)test->priv)->p.slab.nr_spans;
}

static void alloc_chain(struct kunit *test)
{
	start(test, 64 * SLOT);
	KUNIT_ASSERT_EQ(test, alloc(test, CHAIN_START), 0);
	KUNIT_ASSERT_EQ(test, alloc(test, CHAIN), CHAIN_START);
	KUNIT_ASSERT_EQ(test, nr_spans(test), 0);
}

static void extent_over_slots_is_cut(struct kunit *test)
{
	const unsigned int last = ARRAY_SIZE(chain_places) - 1;
	unsigned int i, k;
	u64 from, to;

	for (i = 0; i < last; i++)
		for (k = i + 1; k <= last; k++) {
			alloc_chain(test);
			from = CHAIN_START + chain_places[i];
			to = CHAIN_START + chain_places[k];
			expect_cut(test, from, to - from);
			expect_account(test, CHAIN_START + CHAIN - (to - from),
				       1 + !!i + (k < last));
			KUNIT_EXPECT_EQ(test, nr_spans(test), 0);
			if (i)
				expect_freed(test, CHAIN_START, from - CHAIN_START);
			if (k < last)
				expect_freed(test, to, CHAIN_START + CHAIN - to);
			expect_freed(test, 0, CHAIN_START);
			expect_all_comes_back(test);
		}
}

static void extent_over_slots_is_split(struct kunit *test)
{
	unsigned int i;
	u64 at, got;

	for (i = 1; i < ARRAY_SIZE(chain_places) - 1; i++) {
		alloc_chain(test);
		at = CHAIN_START + chain_places[i];
		expect_split(test, CHAIN_START, CHAIN, at);
		expect_account(test, CHAIN_START + CHAIN, 3);
		KUNIT_EXPECT_EQ(test, nr_spans(test), 0);
		/* each is one again with what is cut off behind it */
		expect_cut(test, at, 1);
		KUNIT_ASSERT_EQ(test, extend(test, CHAIN_START, at - CHAIN_START, 1, 1, &got), 0);
		KUNIT_EXPECT_EQ(test, nr_spans(test), 0);
		expect_freed(test, CHAIN_START, at + 1 - CHAIN_START);
		if (chain_places[i] + 1 < CHAIN)
			expect_freed(test, at + 1, CHAIN_START + CHAIN - at - 1);
		expect_freed(test, 0, CHAIN_START);
		expect_all_comes_back(test);
	}
}

/* Mixed slots of which some are wholly free, and kept: each second one before @last. */
static void keep_slots(struct kunit *test, unsigned int last)
{
	unsigned int i;

	for (i = 0; i <= last; i++)
		KUNIT_ASSERT_EQ(test, claim(test, i * SLOT + 5, 17), 0);
	for (i = 1; i < last; i += 2)
		expect_freed(test, i * SLOT + 5, 17);
	KUNIT_ASSERT_EQ(test, ((struct fixture *)test->priv)->p.slab.groups[0].nr_empty, last / 2);
}

/*
 * An extent becomes longer by slots that are kept, or were never used, until it is huge, and then
 * by a huge part; it is cut again, and freed.
 */
static void extent_becomes_huge(struct kunit *test)
{
	static const u32 steps[] = { 1, SLOT, 2 * SLOT - 7, 4 * SLOT, 9 * SLOT, 30 * SLOT + 1 };
	struct fixture *f = test->priv;
	unsigned int i, k;
	u64 len, got;

	for (k = 0; k <= ARRAY_SIZE(steps); k++) {
		start(test, 512 * SLOT);
		for (i = 0; i < 40; i++)
			KUNIT_ASSERT_EQ(test, claim(test, i * SLOT + 5, 17), 0);
		for (i = 2; i < 10; i++)
			expect_freed(test, i * SLOT + 5, 17);
		for (i = 10; i < 20; i++)
			KUNIT_ASSERT_EQ(test, claim(test, i * SLOT + 30, 17), 0);
		expect_freed(test, SLOT + 5, 17);
		KUNIT_ASSERT_EQ(test, f->p.slab.groups[0].nr_empty, 9);
		KUNIT_ASSERT_EQ(test, alloc(test, 2 * SLOT + 50), 22);
		for (i = 10; i < 40; i++)
			expect_freed(test, i * SLOT + 5, 17);
		for (i = 10; i < 20; i++)
			expect_freed(test, i * SLOT + 30, 17);
		len = 2 * SLOT + 50;
		for (i = 0; i < k; i++) {
			KUNIT_ASSERT_EQ(test, extend(test, 22, len, steps[i], steps[i], &got), 0);
			len += got;
			KUNIT_ASSERT_EQ(test, hapool_check(&f->p), 0);
		}
		expect_account(test, len + 17, 2);
		/* the first of its slots, and one in the middle, are the parts of others */
		expect_cut(test, 22 + SLOT, 1);
		expect_cut(test, 22 + SLOT + 1, SLOT / 2);
		expect_freed(test, 22, SLOT);
		expect_freed(test, 22 + SLOT + 1 + SLOT / 2, len - SLOT - 1 - SLOT / 2);
		expect_freed(test, 5, 17);
		expect_all_comes_back(test);
	}
}

/* It becomes huge by what is free in the mixed slot behind it. */
static void extent_becomes_huge_by_a_few_blocks(struct kunit *test)
{
	struct fixture *f = test->priv;
	const u64 len = 16 * SLOT;
	u64 at, got;

	start(test, 64 * SLOT);
	KUNIT_ASSERT_EQ(test, claim(test, len + 100, 5), 0);
	at = alloc(test, len - 10);
	KUNIT_ASSERT_EQ(test, at, 0);
	KUNIT_ASSERT_EQ(test, extend(test, at, len - 10, 10, 10, &got), 0);
	KUNIT_EXPECT_EQ(test, nr_spans(test), 0);
	KUNIT_ASSERT_EQ(test, extend(test, at, len, 50, 50, &got), 0);
	KUNIT_EXPECT_EQ(test, nr_spans(test), 1);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	expect_freed(test, at, len + 50);
	expect_freed(test, len + 100, 5);
	expect_all_comes_back(test);
}

/* A span with a mixed slot in the middle becomes longer: it is freed in the same pieces. */
static void span_around_a_kept_slot_becomes_longer(struct kunit *test)
{
	const u64 at = 8 * SLOT, len = 6 * SLOT;
	struct fixture *f = test->priv;
	u64 got;

	/* a node of the buddy has the units of eight slots */
	start_shape(test, 64 * SLOT, 6, 256);
	KUNIT_ASSERT_EQ(test, claim(test, 5, 17), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 12 * SLOT + 5, 17), 0);
	expect_freed(test, 12 * SLOT + 5, 17);
	KUNIT_ASSERT_EQ(test, f->p.slab.groups[0].nr_empty, 1);
	KUNIT_ASSERT_EQ(test, claim(test, at, len), 0);
	KUNIT_ASSERT_EQ(test, extend(test, at, len, 3 * SLOT, 3 * SLOT, &got), 0);
	KUNIT_EXPECT_EQ(test, nr_spans(test), 1);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	expect_freed(test, at, len + got);
	expect_freed(test, 5, 17);
	expect_all_comes_back(test);
}

/* What groups keep is given back for a huge part, even if it is more than a hold may give back. */
static void kept_slots_are_given_back_for_a_huge_part(struct kunit *test)
{
	struct fixture *f = test->priv;
	const unsigned int last = 200;
	u64 at = last * SLOT + 5, got;

	start(test, 512 * SLOT);
	keep_slots(test, last);
	KUNIT_ASSERT_EQ(test, extend(test, at, 17, 20 * SLOT, 20 * SLOT, &got), 0);
	KUNIT_EXPECT_EQ(test, f->p.slab.groups[0].nr_empty, 0);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	expect_freed(test, at, 17 + 20 * SLOT);
}

/* More slots are kept behind an extent than a look may take steps: all of them are free. */
static void extent_grows_over_many_kept_slots(struct kunit *test)
{
	const unsigned int kept = 1400;
	struct fixture *f = test->priv;
	unsigned int i;
	u64 got;

	start(test, 4096 * SLOT);
	for (i = 0; i <= 2 * kept; i++)
		KUNIT_ASSERT_EQ(test, claim(test, i * SLOT + 5, 17), 0);
	for (i = 1; i <= kept; i++)
		expect_freed(test, i * SLOT + 5, 17);
	KUNIT_ASSERT_GT(test, f->p.slab.groups[0].nr_empty, 1000);
	KUNIT_ASSERT_EQ(test, extend(test, 5, 17, kept * SLOT, kept * SLOT, &got), 0);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	expect_freed(test, 5, 17 + kept * SLOT);
}

/* ---- held ---- */

/* The part is nobody's until it is reused, as for a log that writes a free down in between. */
static void part_is_held_until_it_is_reused(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct haslab *s = &f->p.slab;
	enum hybrid_alloc_reason why;
	u64 at, len, from, part;
	unsigned int i, whole;

	for (i = 0; i < 2 * ARRAY_SIZE(kinds); i++) {
		whole = i & 1;
		len = kinds[i / 2];
		if (len < 3)
			continue;
		start(test, 16 * SLOT);
		KUNIT_ASSERT_EQ(test, haslab_alloc(s, len, 1, GFP_KERNEL, &at), 0);
		from = whole ? 0 : len / 3;
		part = whole ? len : DIV_ROUND_UP(len, 3);
		KUNIT_ASSERT_EQ(test, haslab_cut(s, at + from, part, false, GFP_KERNEL, &why),
				whole ? 0 : 2);
		KUNIT_EXPECT_EQ(test, haslab_check(s), 0);
		KUNIT_EXPECT_EQ(test, haslab_claim(s, at + from, 1, true, GFP_KERNEL), -EEXIST);
		KUNIT_EXPECT_EQ(test, haslab_cut(s, at + from, 1, true, GFP_KERNEL, &why), -ENOENT);
		haslab_reuse(s, at + from, part);
		KUNIT_EXPECT_EQ(test, haslab_check(s), 0);
		if (!whole) {
			KUNIT_EXPECT_EQ(test, haslab_free(s, at, from, &why), 0);
			KUNIT_EXPECT_EQ(test, haslab_free(s, at + from + part,
							  len - from - part, &why), 0);
		}
		hapool_drain(&f->p);
		KUNIT_EXPECT_EQ(test, haslab_free_blocks(s), 16 * SLOT);
	}
}

/* ---- memory ---- */

/* All of an extent of a mixed slot, whose marks are full, is freed as a part. */
static void cut_of_all_needs_no_memory(struct kunit *test)
{
	struct fixture *f = test->priv;
	enum hybrid_alloc_reason why;
	unsigned int nr, i;
	int ret;

	for (nr = 10; nr < 40; nr++) {
		start(test, 4 * SLOT);
		for (i = 0; i < nr; i++)
			KUNIT_ASSERT_EQ(test, claim(test, 3 * i, 3), 0);
		hatest_inject_start(1, 0, true);
		ret = hapool_cut(&f->p, 3, 3, GFP_NOWAIT, &why);
		KUNIT_EXPECT_EQ_MSG(test, hatest_inject_stop(), 0, "%u extents", nr);
		KUNIT_EXPECT_EQ_MSG(test, ret, 0, "%u extents", nr);
		expect_account(test, 3 * nr - 3, nr - 1);
	}
}

enum part_call { CALL_CUT, CALL_SPLIT, CALL_EXTEND, NR_PART_CALLS };

static int part_call(struct kunit *test, enum part_call call, u64 at, u64 len, gfp_t gfp)
{
	enum hybrid_alloc_reason reason;
	struct fixture *f = test->priv;
	u64 got;

	switch (call) {
	case CALL_CUT:
		return hapool_cut(&f->p, at + len / 3, DIV_ROUND_UP(len, 3), gfp, &reason);
	case CALL_SPLIT:
		return hapool_split(&f->p, at, len, at + len / 2, gfp, &reason);
	default:
		return hapool_extend(&f->p, at, len, 2 * SLOT, 2 * SLOT, gfp, &got, &reason);
	}
}

/* The nth try for memory fails, or all from there: the extent is as before, or the call is done. */
static void failing_memory_changes_nothing(struct kunit *test)
{
	static const gfp_t gfps[] = { GFP_NOWAIT, GFP_KERNEL };
	/* an object, a mixed extent, one over a border, blocks and spans, also of several nodes */
	static const u32 lens[] = {
		16, 17, LEN, 1024, 2 * SLOT, SLOT + 1, 64 * SLOT, 40 * SLOT + 3, 600 * SLOT + 3,
	};
	unsigned long nth, failed = 0, delivered;
	struct fixture *f = test->priv;
	struct haslab_extent e;
	unsigned int i, k;
	u64 at, len;
	int ret;

	for (i = 0; i < ARRAY_SIZE(lens) * NR_PART_CALLS * 4; i++) {
		len = lens[i / NR_PART_CALLS / 4];
		for (nth = 1; ; nth++) {
			start(test, 1024 * SLOT);
			/* whatever lies there, some more of it, so that tables are there */
			at = alloc(test, len);
			hatest_inject_start(nth, 0, i & 2);
			ret = part_call(test, i / 4 % NR_PART_CALLS, at, len, gfps[i & 1]);
			delivered = hatest_inject_stop();
			failed += delivered;
			KUNIT_ASSERT_EQ(test, hapool_check(&f->p), 0);
			if (ret) {
				KUNIT_EXPECT_EQ(test, ret, i & 1 ? -ENOMEM : -EAGAIN);
				expect_account(test, len, 1);
				expect_freed(test, at, len);
			}
			while (!ret && hapool_map(&f->p, 0, &e, 1) &&
			       stat(test)->charged) {
				for (k = 0; e.state != HYBRID_ALLOC_MAP_LIVE; k++)
					KUNIT_ASSERT_EQ(test, hapool_map(&f->p, e.start + e.len, &e,
									 1), 1);
				expect_freed(test, e.start, e.len);
			}
			expect_all_comes_back(test);
			if (!delivered)
				break;
		}
	}
	KUNIT_EXPECT_GT(test, failed, 100);
}

/* A block is cut of which the buddy has nothing but one bit: nodes on the way down are undone. */
static void failing_memory_leaves_no_node(struct kunit *test)
{
	enum hybrid_alloc_reason reason;
	struct fixture *f = test->priv;
	unsigned long nth, delivered;
	u64 at, len = 1 << 20;
	int ret;

	for (nth = 1; ; nth++) {
		start_shape(test, 1 << 21, 0, 1);
		at = alloc(test, len);
		hatest_inject_start(nth, 0, true);
		ret = hapool_cut(&f->p, at + 1000, (1 << 19) + 77, GFP_NOWAIT, &reason);
		delivered = hatest_inject_stop();
		if (!ret)
			break;
		KUNIT_ASSERT_EQ(test, ret, -EAGAIN);
		KUNIT_EXPECT_GT(test, delivered, 0);
		expect_freed(test, at, len);
		expect_all_comes_back(test);
	}
	expect_freed(test, at, 1000);
	expect_freed(test, at + 1000 + (1 << 19) + 77, len - 1000 - (1 << 19) - 77);
	expect_all_comes_back(test);
	KUNIT_EXPECT_GT(test, nth, 4);
}

/* ---- what can be cut although it is in the way ---- */

/* Objects beside the one that is cut are in a pool: they are objects on. */
static void cut_beside_cached_objects(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 at[8], len = 16, again;
	unsigned int i;

	start(test, 16 * SLOT);
	for (i = 0; i < ARRAY_SIZE(at); i++)
		at[i] = alloc(test, len);
	for (i = 0; i < 4; i++)
		expect_freed(test, at[i], len);
	KUNIT_EXPECT_GT(test, stat(test)->cached, 0);
	expect_cut(test, at[5] + 15, 1);
	KUNIT_EXPECT_EQ(test, stat(test)->searches, 0);
	KUNIT_EXPECT_GT(test, stat(test)->cached, 0);
	/* a hit makes one of them live again, and it can be cut, too */
	again = alloc(test, len);
	expect_cut(test, again, 3);
	expect_freed(test, again + 3, len - 3);
	expect_freed(test, at[5], 15);
	for (i = 4; i < ARRAY_SIZE(at); i++)
		if (i != 5)
			expect_freed(test, at[i], len);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	expect_all_comes_back(test);
}

/* What follows an object is in this CPU's magazine: that is given back, and no other one. */
static void object_is_extended_over_cached_ones(struct kunit *test)
{
	u64 at, other, got;

	start(test, 16 * SLOT);
	warm_up(test, 4);
	other = alloc(test, 5);
	warm_up(test, 5);
	KUNIT_ASSERT_EQ(test, claim(test, 8 * SLOT, 1), 0);
	at = alloc(test, 4);
	KUNIT_EXPECT_GT(test, stat(test)->cached, 0);
	KUNIT_ASSERT_EQ(test, extend(test, at, 4, 4, 4, &got), 0);
	KUNIT_EXPECT_EQ(test, got, 4);
	KUNIT_EXPECT_EQ(test, stat(test)->searches, 0);
	KUNIT_EXPECT_GT(test, stat(test)->cached, 0);
	expect_freed(test, at, 8);
	expect_freed(test, other, 5);
	expect_freed(test, 8 * SLOT, 1);
	expect_all_comes_back(test);
}

/* Too many slabs are small, so that none may be dissolved while pools have some of it. */
static void cut_empties_the_pools_if_it_must(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 at, len = 16;

	start(test, 16 * SLOT);
	warm_up(test, len);
	at = alloc(test, len);
	KUNIT_EXPECT_GT(test, stat(test)->cached, 0);
	f->p.slab.cfg.most_small = 1;
	KUNIT_EXPECT_EQ(test, part_call(test, CALL_CUT, at, len, GFP_NOWAIT), -EAGAIN);
	expect_account(test, len, 1);
	KUNIT_EXPECT_EQ(test, part_call(test, CALL_CUT, at, len, GFP_KERNEL), 0);
	f->p.slab.cfg.most_small = 0;
	KUNIT_EXPECT_EQ(test, stat(test)->cached, 0);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	expect_freed(test, at, 5);
	expect_freed(test, at + 11, 5);
	expect_all_comes_back(test);
}

/* The slot of the slab, or of the block, has a mixed part of another group. */
static void cut_where_another_group_is(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 object, block, ends[2];
	unsigned int i;

	f->nr_groups = 2;
	start(test, 16 * SLOT);
	if (!hatest_on_cpu(1))
		return;
	object = alloc(test, 16);
	block = alloc(test, 256);
	hatest_on_cpu(0);
	ends[0] = round_down(object, SLOT) + SLOT - 1;
	ends[1] = round_down(block, SLOT) + SLOT - 1;
	for (i = 0; i <= (ends[0] != ends[1]); i++)
		KUNIT_ASSERT_EQ(test, claim(test, ends[i], 1), 0);
	expect_cut(test, object + 4, 1);
	expect_cut(test, block + 4, 1);
	hatest_on_cpu(0);
	expect_freed(test, object, 4);
	expect_freed(test, object + 5, 11);
	expect_freed(test, block + 5, 251);
	expect_freed(test, block, 4);
	while (i--)
		expect_freed(test, ends[i], 1);
	hatest_on_any_cpu();
	expect_all_comes_back(test);
}

/* ---- random ---- */

/* The extent of the model that a block belongs to, or NULL. */
static struct hatest_extent *model_extent(struct hatest_model *m, u64 at)
{
	u16 owner = m->owner[at];

	return owner && owner != HATEST_CACHED ? &m->extents[owner - 1] : NULL;
}

static void model_replace(struct kunit *test, struct hatest_model *m, u64 start, u64 len)
{
	enum hybrid_alloc_reason reason;

	KUNIT_ASSERT_EQ(test, hatest_model_remove(m, start, len, &reason), 0);
}

static void random_cut(struct kunit *test, struct hatest_model *m, struct hatest_rng *rng)
{
	enum hybrid_alloc_reason reason, why = HYBRID_ALLOC_REASON_NONE;
	u64 at = hatest_below(rng, m->nr_blocks), len = 1 + hatest_below(rng, 40);
	struct hatest_extent *e = NULL, old;
	int err = 0;

	if (m->nr && hatest_below(rng, 10)) {
		e = &m->extents[hatest_below(rng, m->nr)];
		at = e->start + hatest_below(rng, e->len);
		len = 1 + hatest_below(rng, e->len);
		if (hatest_below(rng, 8))
			len = min(len, e->start + e->len - at);
		/* head, or tail */
		if (!hatest_below(rng, 3))
			at = e->start;
		else if (!hatest_below(rng, 3))
			len = e->start + e->len - at;
	}
	if (at + len > m->nr_blocks || m->nr + 2 > HATEST_MAX_EXTENTS)
		return;
	e = model_extent(m, at);
	if (!e)
		why = HYBRID_ALLOC_REASON_NOT_ALLOCATED;
	else if (at + len > e->start + e->len)
		why = HYBRID_ALLOC_REASON_WRONG_LENGTH;
	if (why)
		err = e ? -EINVAL : -ENOENT;
	KUNIT_ASSERT_EQ_MSG(test, cut(test, at, len, &reason), err, "cut %llu, length %llu", at,
			    len);
	KUNIT_ASSERT_EQ(test, (int)reason, (int)why);
	if (err)
		return;
	old = *e;
	model_replace(test, m, old.start, old.len);
	if (at > old.start)
		hatest_model_add(m, old.start, at - old.start);
	if (at + len < old.start + old.len)
		hatest_model_add(m, at + len, old.start + old.len - at - len);
}

static void random_split(struct kunit *test, struct hatest_model *m, struct hatest_rng *rng)
{
	enum hybrid_alloc_reason reason;
	struct fixture *f = test->priv;
	struct hatest_extent e;
	u64 at;

	if (!m->nr || m->nr + 2 > HATEST_MAX_EXTENTS)
		return;
	e = m->extents[hatest_below(rng, m->nr)];
	if (e.len < 2)
		return;
	at = e.start + 1 + hatest_below(rng, e.len - 1);
	KUNIT_ASSERT_EQ_MSG(test, hapool_split(&f->p, e.start, e.len, at, GFP_KERNEL, &reason), 0,
			    "split %llu, length %llu, at %llu", e.start, e.len, at);
	model_replace(test, m, e.start, e.len);
	hatest_model_add(m, e.start, at - e.start);
	hatest_model_add(m, at, e.start + e.len - at);
}

static void random_extend(struct kunit *test, struct hatest_model *m, struct hatest_rng *rng)
{
	struct hatest_extent e;
	u64 most, least, got, end, run, len;

	if (!m->nr)
		return;
	e = m->extents[hatest_below(rng, m->nr)];
	most = 1 + hatest_below(rng, 1 << hatest_below(rng, 14));
	least = hatest_below(rng, 2) ? most : 1 + hatest_below(rng, most);
	end = e.start + e.len;
	run = end;
	len = 0;
	if (end < m->nr_blocks && hatest_model_run(m, &run, &len) && run == end)
		len = min(len, most);
	else
		len = 0;
	KUNIT_ASSERT_EQ_MSG(test, extend(test, e.start, e.len, least, most, &got),
			    len < least ? -ENOSPC : 0, "extend %llu, length %llu, by %llu of %llu",
			    e.start, e.len, least, most);
	KUNIT_ASSERT_EQ(test, got, len < least ? 0 : len);
	if (!got)
		return;
	model_replace(test, m, e.start, e.len);
	hatest_model_add(m, e.start, e.len + got);
}

static void random_parts(struct kunit *test, struct hatest_model *m, struct hatest_rng *rng,
			 u64 nr_blocks, unsigned int unit_shift, u64 slab_max, unsigned long ops)
{
	struct fixture *f = test->priv;
	unsigned long i;

	f->nr_groups = 1 + hatest_below(rng, 4);
	start_shape(test, nr_blocks, unit_shift, slab_max);
	hatest_model_start(m, nr_blocks);
	for (i = 0; i < ops; i++) {
		u32 what = hatest_below(rng, 10);

		if (i % 8 == 0)
			hatest_on_cpu(hatest_below(rng, 3));
		if (what < 2)
			random_cut(test, m, rng);
		else if (what == 2)
			random_split(test, m, rng);
		else if (what == 3)
			random_extend(test, m, rng);
		else
			random_step(test, m, rng, (i / 300) % 2 == 0);
		expect_account(test, m->nr_used, m->nr);
		if (i % 32 == 0)
			KUNIT_ASSERT_EQ_MSG(test, hapool_check(&f->p), 0, "operation %lu", i);
		if (i % 128 == 0)
			expect_map(test, m, 1 + hatest_below(rng, MAX_PAGE));
	}
	free_all(test, m, rng);
	expect_all_comes_back(test);
}

static void random_parts_match_the_model(struct kunit *test)
{
	static const u32 sizes[] = { 200003, 40000, 16384, 4096, 3000, 1021, 256, 100, 2 };
	struct hatest_model *m = hatest_model(test, 200003);
	struct hatest_rng rng = hatest_rng(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		random_parts(test, m, &rng, sizes[i], 8, 256, hatest_ops / ARRAY_SIZE(sizes));
}

static void random_parts_in_any_shape(struct kunit *test)
{
	struct hatest_model *m = hatest_model(test, 40000);
	struct hatest_rng rng = hatest_rng(test);
	unsigned int i;

	for (i = 0; i < 32; i++)
		random_parts(test, m, &rng, 1 + hatest_below(&rng, 40000), hatest_below(&rng, 11),
			     1 << hatest_below(&rng, 13), hatest_ops / 32);
}

static struct kunit_case part_cases[] = {
	KUNIT_CASE(head_and_tail_are_cut_off),
	KUNIT_CASE(middle_is_cut_out),
	KUNIT_CASE(extent_is_freed_block_by_block),
	KUNIT_CASE(wrong_parts_are_refused),
	KUNIT_CASE(extents_are_split),
	KUNIT_CASE(extents_become_longer),
	KUNIT_CASE(extent_over_a_border_is_cut),
	KUNIT_CASE(extent_over_a_border_is_split_and_extended),
	KUNIT_CASE(extent_over_slots_is_cut),
	KUNIT_CASE(extent_over_slots_is_split),
	KUNIT_CASE(extent_becomes_huge),
	KUNIT_CASE(extent_becomes_huge_by_a_few_blocks),
	KUNIT_CASE(span_around_a_kept_slot_becomes_longer),
	KUNIT_CASE(kept_slots_are_given_back_for_a_huge_part),
	KUNIT_CASE(extent_grows_over_many_kept_slots),
	KUNIT_CASE(cut_of_all_needs_no_memory),
	KUNIT_CASE(part_is_held_until_it_is_reused),
	KUNIT_CASE(failing_memory_changes_nothing),
	KUNIT_CASE(failing_memory_leaves_no_node),
	KUNIT_CASE(cut_beside_cached_objects),
	KUNIT_CASE(object_is_extended_over_cached_ones),
	KUNIT_CASE(cut_empties_the_pools_if_it_must),
	KUNIT_CASE(cut_where_another_group_is),
	KUNIT_CASE(random_parts_match_the_model),
	KUNIT_CASE(random_parts_in_any_shape),
	{}
};

static struct kunit_suite part_suite = {
	.name = "part",
	.init = pool_test_init,
	.exit = pool_test_exit,
	.test_cases = part_cases,
};

kunit_test_suite(part_suite);
