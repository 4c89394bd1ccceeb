// SPDX-License-Identifier: GPL-2.0
/*
 * The runs of one slot: which of its blocks are free, and where the extents in it begin and end.
 *
 * A slot is cut without gaps into runs. A run is FREE, LIVE (an extent), or SPECIAL (something of
 * which the slab layer knows more). All that is recorded of a run is its start and its state; it
 * ends where the next one starts. Two extents side by side keep the start between them, which
 * makes the length of a free checkable. Two free runs side by side are always merged.
 *
 * Forms
 * -----
 *   marks in the struct   the usual case, few large extents: 20 marks, sorted, of 16 bits each,
 *                         start and state. They and the rest of the struct are one cache line,
 *                         all that an operation needs
 *   marks in own memory   the same with 32 to 256 marks
 *   bitmap                many small extents: two bits a block, the state of the run that starts
 *                         there, or 0. That bounds the memory (1 KiB for 16 MiB) and the time
 *                         (64 pairs of words to look at, none to move). A pair has the lower
 *                         bits of 64 blocks in one word and the upper bits in the other, so
 *                         that all 64 are looked at together
 *
 * haruns_reserve() goes from one form to the next when there is no room, haruns_shrink() from any
 * form back to the first.
 *
 * Invariants, as haruns_check() verifies them:
 *
 *   - Mark 0, or the bitmap at block 0, is a run: every block is in one.
 *   - Marks after the last run are end marks: at the end of the slot, and not free.
 *     There is at least one, so each run has its end in the next mark.
 *   - Of two neighbours at most one is free.
 *   - nr, nr_free and max_free are exact.
 *
 * Operations
 * ----------
 *   at, find          5 words of marks without a branch; in own memory a binary search; in a
 *                     bitmap backwards to the last start: 64 pairs of words at most
 *   best_fit, others  a look at all marks, four at a time, and at each free run; in a bitmap all
 *                     64 pairs, unless nothing can change the answer any more
 *   set, clear        move the marks that follow; two or three changes in a bitmap
 *   reserve, shrink   copy all runs if the form changes
 *   next              one step
 *
 * An allocation adds at most two runs and a free adds none, so only allocations can need memory.
 *
 * Locks
 * -----
 * The caller holds the lock of the slot's group, or has shut out all groups. The slab layer
 * asserts that (haslab_assert_group()); the struct has no room for it. Without the lock only
 * haruns.owner is read, to find the lock, and that is the slab layer's: the memory of marks and
 * bitmaps is freed at once, not after a grace period. The locks are taken in process context;
 * nothing here sleeps.
 */
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "slab/runs_hit.h"

/* 512 bytes: half of what the largest bitmap takes. */
#define MAX_CAP		256
/* Blocks in a pair of words of the bitmap. */
#define BITMAP_PER_PAIR	64

/* ---- the array of marks ---- */

/* As strchr(): the marks may be changed if @r may. */
static u16 *haruns_marks(const struct haruns *r)
{
	return r->cap == HARUNS_INLINE ? (u16 *)r->own : r->marks;
}

/* The number of the mark of the run that @pos lies in: the last that does not start after it. */
static u32 haruns_marks_find(const struct haruns *r, u32 pos)
{
	const u16 *marks = haruns_marks(r), key = haruns_mark(pos, HARUNS_STATE_MASK);
	u32 lo = 0, n = r->nr;

	while (n > 1) {
		u32 half = n / 2;

		lo = marks[lo + half] <= key ? lo + half : lo;
		n -= half;
	}
	return lo;
}

/* The start of the first free run from mark @i on, or the end of the slot. */
static u32 haruns_marks_next_free(const struct haruns *r, u32 i)
{
	const u16 *marks = haruns_marks(r);
	const u64 *words = r->cap == HARUNS_INLINE ? r->words : (const u64 *)marks;

	/* words without a free run are passed over */
	while (i < r->nr && haruns_mark_state(marks[i]) != HARUNS_FREE)
		i += i % HARUNS_PER_WORD || haruns_free_bits(words[i / HARUNS_PER_WORD]) ?
		     1 : HARUNS_PER_WORD;
	return haruns_mark_start(marks[min_t(u32, i, r->nr)]);
}

/* ---- the bitmap ---- */

/* The pairs that the bitmap of a slot has. */
static u32 haruns_bitmap_pairs(const struct haruns *r)
{
	return DIV_ROUND_UP(r->nr_blocks, BITMAP_PER_PAIR);
}

static enum haruns_state haruns_bitmap_state(const struct haruns *r, u32 pos)
{
	const u64 *pair = &r->bitmap[pos / BITMAP_PER_PAIR * 2];
	u32 shift = pos % BITMAP_PER_PAIR;

	return (pair[0] >> shift & 1) | (pair[1] >> shift & 1) << 1;
}

static void haruns_bitmap_set(u64 *bitmap, u32 pos, u32 state)
{
	u64 *pair = &bitmap[pos / BITMAP_PER_PAIR * 2];
	u32 shift = pos % BITMAP_PER_PAIR;

	pair[0] = (pair[0] & ~(1ULL << shift)) | (u64)(state & 1) << shift;
	pair[1] = (pair[1] & ~(1ULL << shift)) | (u64)(state >> 1) << shift;
}

/* The blocks of a pair at which a run starts. */
static u64 haruns_bitmap_starts(const struct haruns *r, u32 nr)
{
	return r->bitmap[nr * 2] | r->bitmap[nr * 2 + 1];
}

/* The same for free runs only. */
static u64 haruns_bitmap_free_starts(const struct haruns *r, u32 nr)
{
	BUILD_BUG_ON(HARUNS_FREE != 1);
	return r->bitmap[nr * 2] & ~r->bitmap[nr * 2 + 1];
}

/* The start of the run that @pos lies in. Ends at block 0, which is always a start. */
static u32 haruns_bitmap_run_start(const struct haruns *r, u32 pos)
{
	u32 nr = pos / BITMAP_PER_PAIR;
	u64 bits = haruns_bitmap_starts(r, nr) & (~0ULL >> (63 - pos % BITMAP_PER_PAIR));

	while (!bits)
		bits = haruns_bitmap_starts(r, --nr);
	return nr * BITMAP_PER_PAIR + fls64(bits) - 1;
}

/* The first start at @pos or after it, or the end of the slot. */
static u32 haruns_bitmap_next_start(const struct haruns *r, u32 pos)
{
	u32 nr = pos / BITMAP_PER_PAIR, last = haruns_bitmap_pairs(r) - 1;
	u64 bits;

	if (pos >= r->nr_blocks)
		return r->nr_blocks;
	bits = haruns_bitmap_starts(r, nr) & (~0ULL << (pos % BITMAP_PER_PAIR));
	while (!bits && nr < last)
		bits = haruns_bitmap_starts(r, ++nr);
	return bits ? nr * BITMAP_PER_PAIR + __ffs64(bits) : r->nr_blocks;
}

/* The first start of a free run at @pos or after it, or the end of the slot. */
static u32 haruns_bitmap_next_free(const struct haruns *r, u32 pos)
{
	u32 nr = pos / BITMAP_PER_PAIR, last = haruns_bitmap_pairs(r) - 1;
	u64 bits;

	if (pos >= r->nr_blocks)
		return r->nr_blocks;
	bits = haruns_bitmap_free_starts(r, nr) & (~0ULL << (pos % BITMAP_PER_PAIR));
	while (!bits && nr < last)
		bits = haruns_bitmap_free_starts(r, ++nr);
	return bits ? nr * BITMAP_PER_PAIR + __ffs64(bits) : r->nr_blocks;
}

/* The blocks of a pair at which a SPECIAL run starts. */
static u64 haruns_bitmap_special_starts(const struct haruns *r, u32 nr)
{
	BUILD_BUG_ON(HARUNS_SPECIAL != 3);
	return r->bitmap[nr * 2] & r->bitmap[nr * 2 + 1];
}

/*
 * The blocks of a pair that are in runs of a state: those that start at @begin. @goes_on: in: 1 if
 * the run that ends the pair before is one, else 0; out: the same for this pair. In `in`, only the
 * starts of other runs are 0. So a 1 that is added at the start of a run of that state is carried
 * to its end and no further.
 */
static __always_inline u64 haruns_bitmap_in(const struct haruns *r, u32 nr, bool free, u64 *goes_on)
{
	u64 starts = haruns_bitmap_starts(r, nr), in, found;
	u64 begin = free ? haruns_bitmap_free_starts(r, nr) : haruns_bitmap_special_starts(r, nr);

	in = ~(starts & ~begin);
	begin |= *goes_on & ~starts;
	/* where a run of that state follows on another, a carry comes in as well */
	found = (((in + begin) ^ in) & in) | begin;
	*goes_on = found >> 63;
	return found;
}

/* @from is a start. */
static __always_inline void haruns_bitmap_map(const struct haruns *r, bool free, u32 from, u32 to,
					      unsigned long *bits)
{
	u32 end = DIV_ROUND_UP(to, BITMAP_PER_PAIR), i;
	u64 goes_on = 0, found;
	unsigned long *at;

	for (i = from / BITMAP_PER_PAIR; i < end; i++) {
		found = haruns_bitmap_in(r, i, free, &goes_on);
		at = &bits[i * BITMAP_PER_PAIR / BITS_PER_LONG];
		at[0] = found;
		if (BITS_PER_LONG < BITMAP_PER_PAIR)
			at[1] = found >> (BITMAP_PER_PAIR / 2);
	}
}

static noinline struct haruns_run haruns_bitmap_recorded(const struct haruns *r, u32 at)
{
	return (struct haruns_run) {
		at, haruns_bitmap_next_start(r, at + 1) - at, haruns_bitmap_state(r, at), at
	};
}

static noinline struct haruns_run haruns_bitmap_at(const struct haruns *r, u32 pos)
{
	return haruns_bitmap_recorded(r, haruns_bitmap_run_start(r, pos));
}

/* Start a run of @state at @pos, or, if that is 0, none any more. */
static void haruns_bitmap_put(struct haruns *r, u32 pos, u32 state)
{
	r->nr += !!state - !!haruns_bitmap_state(r, pos);
	haruns_bitmap_set(r->bitmap, pos, state);
}

/* ---- all forms ---- */

/* The run that is recorded at @at, which is as in struct haruns_run. */
struct haruns_run haruns_recorded(const struct haruns *r, u32 at)
{
	return haruns_is_bitmap(r) ? haruns_bitmap_recorded(r, at) :
				     haruns_mark_run(haruns_marks(r), at);
}

/* The run that block @pos lies in. */
struct haruns_run haruns_at(const struct haruns *r, u32 pos)
{
	return haruns_is_bitmap(r) ? haruns_bitmap_at(r, pos) :
				     haruns_mark_run(haruns_marks(r), haruns_marks_find(r, pos));
}

/* The run that ends the slot. */
struct haruns_run haruns_last(const struct haruns *r)
{
	return haruns_is_bitmap(r) ? haruns_bitmap_at(r, r->nr_blocks - 1) :
				     haruns_mark_run(haruns_marks(r), r->nr - 1);
}

/* Go to the run after @run. False if there is none; @run is then unchanged. */
bool haruns_next(const struct haruns *r, struct haruns_run *run)
{
	if (run->start + run->len == r->nr_blocks)
		return false;
	*run = haruns_recorded(r, haruns_is_bitmap(r) ? run->start + run->len : run->at + 1);
	return true;
}

/* The start of the first free run after @run, or the end of the slot. */
u32 haruns_next_free(const struct haruns *r, const struct haruns_run *run)
{
	return haruns_is_bitmap(r) ? haruns_bitmap_next_free(r, run->start + 1) :
				     haruns_marks_next_free(r, run->at + 1);
}

/*
 * Add up the free runs in the blocks from @from to before @to of a slot. @align: a power of two,
 * at most the size of the slot. False if the slot has a bitmap: haruns_free_map() is cheaper then.
 */
bool haruns_marks_sum(const struct haruns *r, u32 from, u32 to, u32 align, struct haruns_sum *sum)
{
	u32 start, end = from, mark, lead = 0, longest = 0, len;
	int usable = 0;
	const u16 *at;

	if (haruns_is_bitmap(r))
		return false;
	at = haruns_marks(r) + haruns_marks_find(r, from);
	do {
		mark = *at++;
		start = end;
		end = haruns_mark_start(*at);
		len = 0;
		if (haruns_mark_state(mark) != HARUNS_FREE)
			continue;
		end = min(end, to);
		len = end - start;
		if (start == from)
			lead = len;
		longest = max(longest, len);
		usable = max_t(int, usable, end - round_up(start, align));
	} while (end < to);
	*sum = (struct haruns_sum) { lead, longest, len, usable };
	return true;
}

/* Set the bits from @from to before @to: a free run is often short, so within a word. */
static void haruns_bits_set(unsigned long *bits, u32 from, u32 to)
{
	if (from / BITS_PER_LONG == (to - 1) / BITS_PER_LONG)
		bits[from / BITS_PER_LONG] |= BITMAP_FIRST_WORD_MASK(from) &
					      BITMAP_LAST_WORD_MASK(to);
	else
		bitmap_set(bits, from, to - from);
}

static void haruns_marks_map(const struct haruns *r, enum haruns_state state, u32 from, u32 to,
			     unsigned long *bits)
{
	const u16 *at = haruns_marks(r) + haruns_marks_find(r, from);
	u32 mark, start, end = from;

	bitmap_clear(bits, from, to - from);
	do {
		mark = *at++;
		start = end;
		end = haruns_mark_start(*at);
		if (haruns_mark_state(mark) == state)
			haruns_bits_set(bits, start, min(end, to));
	} while (end < to);
}

static void haruns_map(const struct haruns *r, enum haruns_state state, u32 from, u32 to,
		       unsigned long *bits)
{
	if (!haruns_is_bitmap(r)) {
		haruns_marks_map(r, state, from, to, bits);
		return;
	}
	from = haruns_bitmap_run_start(r, from);
	if (state == HARUNS_FREE)
		haruns_bitmap_map(r, true, from, to, bits);
	else
		haruns_bitmap_map(r, false, from, to, bits);
}

/*
 * Set the bits of the free blocks of a slot from @from to before @to in @bits, which has
 * HARUNS_MAX_BLOCKS. What the bits of other blocks are then is undefined.
 */
void haruns_free_map(const struct haruns *r, u32 from, u32 to, unsigned long *bits)
{
	haruns_map(r, HARUNS_FREE, from, to, bits);
}

/* The same for the blocks in SPECIAL runs, of all the slot. */
void haruns_special_map(const struct haruns *r, unsigned long *bits)
{
	haruns_map(r, HARUNS_SPECIAL, 0, r->nr_blocks, bits);
}

/* Start with one run, which is SPECIAL. The slot has @nr_blocks, at most HARUNS_MAX_BLOCKS. */
void haruns_init(struct haruns *r, u32 nr_blocks)
{
	u32 i;

	r->nr = 1;
	r->cap = HARUNS_INLINE;
	r->nr_blocks = nr_blocks;
	r->nr_known = 0;
	r->nr_free = 0;
	r->max_free = 0;
	r->tag = 0;
	r->joined = 0;
	for (i = 0; i < ARRAY_SIZE(r->words); i++)
		r->words[i] = haruns_mark_end(r) * HARUNS_LANES;
	r->own[0] = haruns_mark(0, HARUNS_SPECIAL);
}

/* Free the memory of the runs. */
void haruns_destroy(struct haruns *r, struct hamem *mem)
{
	if (r->cap != HARUNS_INLINE)
		hamem_put(mem, r->bitmap);
}

static int haruns_to_bitmap(struct haruns *r, struct hamem *mem, struct hamem_op *op)
{
	u64 *bitmap =
		hamem_get(mem, op, haruns_bitmap_pairs(r) * 2 * sizeof(*bitmap));
	const u16 *marks = haruns_marks(r);
	u32 i;

	if (!bitmap)
		return -ENOMEM;
	for (i = 0; i < r->nr; i++)
		haruns_bitmap_set(bitmap, haruns_mark_start(marks[i]), haruns_mark_state(marks[i]));
	haruns_destroy(r, mem);
	r->bitmap = bitmap;
	r->cap = 0;
	return 0;
}

/* haruns_reserve() if the marks are too few, or there are none. */
int haruns_more(struct haruns *r, u32 nr, struct hamem *mem, struct hamem_op *op)
{
	u32 cap = roundup_pow_of_two(r->nr + nr + 1), i;
	u16 *marks;

	if (haruns_is_bitmap(r))
		return 0;
	if (cap > MAX_CAP)
		return haruns_to_bitmap(r, mem, op);
	marks = hamem_get(mem, op, cap * sizeof(*marks));
	if (!marks)
		return -ENOMEM;
	memcpy(marks, haruns_marks(r), r->nr * sizeof(*marks));
	for (i = r->nr; i < cap; i++)
		marks[i] = haruns_mark_end(r);
	haruns_destroy(r, mem);
	r->marks = marks;
	r->cap = cap;
	return 0;
}

/* Move few runs back into the struct; see haruns_can_shrink(). */
void haruns_shrink(struct haruns *r, struct hamem *mem)
{
	struct haruns_run run;
	struct haruns old;
	u32 i = 0;

	if (!haruns_can_shrink(r))
		return;
	old = *r;
	r->cap = HARUNS_INLINE;
	run = haruns_at(&old, 0);
	do {
		r->own[i++] = haruns_mark(run.start, run.state);
	} while (haruns_next(&old, &run));
	while (i < HARUNS_INLINE)
		r->own[i++] = haruns_mark_end(r);
	haruns_destroy(&old, mem);
}

/*
 * Whether the runs that follow cannot change the answer: a run fits exactly, and another run is
 * the longest. In a slot of thousands of short runs that is so after a few.
 */
static bool haruns_look_is_over(const struct haruns *r, struct haruns_look *look, u32 len,
				u32 align)
{
	/* with alignment, an exact fit need not be the shortest run */
	if (look->best >> HARUNS_AT_BITS || align > 1)
		return false;
	if (len == r->max_free)
		return look->second >> HARUNS_AT_BITS == len;
	/* the longest run is longer than @len; its place is not known: none begins at U16_MAX */
	look->longest = (u32)r->max_free << HARUNS_AT_BITS | U16_MAX;
	return true;
}

static noinline struct haruns_look haruns_bitmap_look(const struct haruns *r, u32 len, u32 align)
{
	u32 nr_pairs = haruns_bitmap_pairs(r), i;
	struct haruns_look look = HARUNS_LOOK;
	struct haruns_run run;
	u64 bits;

	for (i = 0; i < nr_pairs; i++) {
		for (bits = haruns_bitmap_free_starts(r, i); bits; bits &= bits - 1) {
			run = haruns_bitmap_recorded(r, i * BITMAP_PER_PAIR + __ffs64(bits));
			if (haruns_is_apart(r, &run))
				continue;
			haruns_look_at(&look, &run, len, align);
			if (haruns_look_is_over(r, &look, len, align))
				return look;
		}
	}
	return look;
}

static __always_inline struct haruns_look haruns_marks_look(const struct haruns *r, u32 len,
							    u32 align)
{
	const u32 step = HARUNS_LANE_BITS * HARUNS_PER_WORD;
	struct haruns_look look = HARUNS_LOOK;
	const u16 *marks = haruns_marks(r);
	u32 i, k, nr_words;
	u64 bits;

	for (i = 0; i < r->nr; i += step) {
		const u64 *words = (const u64 *)(marks + i);

		nr_words = DIV_ROUND_UP(min(r->nr - i, step), HARUNS_PER_WORD);
		for (bits = 0, k = 0; k < nr_words; k++)
			bits |= haruns_free_bits(words[k]) << k;
		if (r->tag & HARUNS_LEAD_APART && !i)
			bits &= ~haruns_look_bit(0);
		if (r->tag & HARUNS_TRAIL_APART && r->nr - 1 - i < step)
			bits &= ~haruns_look_bit(r->nr - 1 - i);
		haruns_look_marks(&look, marks, i, bits, len, align);
	}
	return look;
}

static noinline struct haruns_look haruns_marks_look_aligned(const struct haruns *r, u32 len,
							     u32 align)
{
	return haruns_marks_look(r, len, align);
}

/* Look at all free runs, in any form, for an extent of @len that is aligned to @align. */
struct haruns_look haruns_look(const struct haruns *r, u32 len, u32 align)
{
	if (haruns_is_bitmap(r))
		return haruns_bitmap_look(r, len, align);
	return likely(align == 1) ? haruns_marks_look(r, len, 1) :
				    haruns_marks_look_aligned(r, len, align);
}

/* Give a part of the run @old another state, in any form. Needs room for two more runs. */
void haruns_cut(struct haruns *r, struct haruns_run old, u32 start, u32 len,
		enum haruns_state state)
{
	if (!haruns_is_bitmap(r)) {
		haruns_cut_mark(r, haruns_marks(r), &old, old.state, start, len, state);
		return;
	}
	if (start + len < old.start + old.len)
		haruns_bitmap_put(r, start + len, old.state);
	haruns_bitmap_put(r, start, state);
}

/* The run that starts at @pos becomes a part of the one before it, which has the same state. */
void haruns_join(struct haruns *r, u32 pos)
{
	u16 *marks = haruns_marks(r);
	u32 i;

	if (haruns_is_bitmap(r)) {
		haruns_bitmap_put(r, pos, 0);
		return;
	}
	i = haruns_marks_find(r, pos);
	memmove(marks + i, marks + i + 1, (r->nr - i) * sizeof(*marks));
	r->nr--;
}

/* The first @len blocks of a free run become a part of the run before it. */
void haruns_grow(struct haruns *r, const struct haruns_run *run, u32 len)
{
	u32 others = haruns_others(r, run), left = run->len - len;
	bool apart = haruns_is_apart(r, run);
	u16 *at = haruns_marks(r) + run->at;

	if (haruns_is_bitmap(r)) {
		haruns_bitmap_put(r, run->start, 0);
		if (left)
			haruns_bitmap_put(r, run->start + len, HARUNS_FREE);
	} else if (left) {
		*at = haruns_mark(run->start + len, HARUNS_FREE);
	} else {
		memmove(at, at + 1, (r->nr - run->at) * sizeof(*at));
		r->nr--;
	}
	r->nr_free -= len;
	r->max_free = apart ? others : max(others, left);
}

/*
 * Blocks of a bitmap, of one run, become free, and are merged with the free run behind them. What
 * is before them is none, or is told apart already.
 */
static struct haruns_run haruns_bitmap_merge_behind(struct haruns *r, u32 start, u32 end)
{
	haruns_bitmap_put(r, start, HARUNS_FREE);
	if (end < r->nr_blocks && haruns_bitmap_state(r, end) == HARUNS_FREE) {
		haruns_bitmap_put(r, end, 0);
		end = haruns_bitmap_next_start(r, end + 1);
	}
	return (struct haruns_run) { start, end - start, HARUNS_FREE, start };
}

/* Free a run of a bitmap, and merge it with its neighbours. */
static struct haruns_run haruns_bitmap_merge(struct haruns *r, u32 start, u32 end)
{
	struct haruns_run run = haruns_bitmap_merge_behind(r, start, end);
	u32 before = start ? haruns_bitmap_run_start(r, start - 1) : 0;

	if (before == start || haruns_bitmap_state(r, before) != HARUNS_FREE)
		return run;
	haruns_bitmap_put(r, start, 0);
	return (struct haruns_run) { before, run.start + run.len - before, HARUNS_FREE, before };
}

/* Free a run, which is recorded @at, and merge it with its neighbours, in any form. */
struct haruns_run haruns_merge(struct haruns *r, u32 start, u32 len, u32 at)
{
	return haruns_is_bitmap(r) ? haruns_bitmap_merge(r, start, start + len) :
				     haruns_free_mark(r, haruns_marks(r), at);
}

/*
 * Free a part of @old, which is not free: haruns_cut() and haruns_free() in one. If it is not all
 * of it, there is room for two more runs.
 */
struct haruns_run haruns_free_part(struct haruns *r, struct haruns_run old, u32 start, u32 len)
{
	u32 end = start + len;

	r->nr_free += len;
	if (!haruns_is_bitmap(r)) {
		haruns_cut_mark(r, haruns_marks(r), &old, old.state, start, len, HARUNS_SPECIAL);
		return haruns_free_mark(r, haruns_marks(r), old.at + (start > old.start));
	}
	if (end < old.start + old.len)
		haruns_bitmap_put(r, end, old.state);
	return start > old.start ? haruns_bitmap_merge_behind(r, start, end) :
				   haruns_bitmap_merge(r, start, end);
}

/* The longest free run that is not apart. */
static u32 haruns_longest_inner(const struct haruns *r)
{
	struct haruns_look look = likely(r->cap == HARUNS_INLINE) ? haruns_look_own(r, 0) :
								   haruns_look(r, 0, 1);

	return look.longest >> HARUNS_AT_BITS;
}

/* Look for the longest run that is not apart. */
void haruns_recount(struct haruns *r)
{
	r->max_free = haruns_longest_inner(r);
}

/* The free run at an end of the slot, @end, becomes apart, or is no longer. */
void haruns_set_apart(struct haruns *r, u8 end, bool apart)
{
	u32 len = end == HARUNS_LEAD_APART ? haruns_lead(r) : haruns_trail(r);

	if (apart) {
		r->tag |= end;
		if (len == r->max_free)
			r->max_free = haruns_longest_inner(r);
	} else {
		r->tag &= ~end;
		/* a slot that is wholly free may be apart by its other end */
		if (len > r->max_free && !(haruns_is_empty(r) && r->tag & HARUNS_APART))
			r->max_free = len;
	}
}

/* Free blocks of one SPECIAL run, and count them in nr_known. Needs room for two more runs. */
void haruns_add(struct haruns *r, u32 start, u32 len)
{
	struct haruns_run run = haruns_at(r, start);

	/* make them an extent, and free that */
	r->nr_known += len;
	haruns_cut(r, run, start, len, HARUNS_LIVE);
	run = haruns_at(r, start);
	haruns_clear(r, &run);
}

/*
 * Forget @run, the last one, and so what is in its blocks: haruns_append() says that again, from
 * its start to the end of the slot.
 */
void haruns_restart(struct haruns *r, const struct haruns_run *run)
{
	if (haruns_is_bitmap(r))
		haruns_bitmap_put(r, run->start, 0);
	else
		r->nr = run->at;
}

/* As haruns_append(), in a bitmap. */
void haruns_bitmap_append(struct haruns *r, u32 start, enum haruns_state state)
{
	u64 *pair = &r->bitmap[start / BITMAP_PER_PAIR * 2];

	pair[0] |= (u64)(state & 1) << start % BITMAP_PER_PAIR;
	pair[1] |= (u64)(state >> 1) << start % BITMAP_PER_PAIR;
	r->nr++;
}

/* The longest row of bits in @bits, and of @row bits before it and those at its start. */
static u32 haruns_longest_row(u64 bits, u32 row)
{
	u32 longest, nr;

	if (!~bits)
		return row + BITMAP_PER_PAIR;
	longest = row + __ffs64(~bits);
	for (nr = 0; bits; nr++)
		bits &= bits >> 1;
	return max(longest, nr);
}

/*
 * Make extents of @blocks each in a free run of a bitmap: those of @nr objects, the first of which
 * is at @start, that are set in @live. The free run may begin before the first and end after the
 * last. False if there is no bitmap.
 */
bool haruns_fill(struct haruns *r, u32 start, const unsigned long *live, u32 nr, u32 blocks)
{
	u32 i, pos, end, max_free = 0, row = 0;
	u64 goes_on = 0, found;

	if (!haruns_is_bitmap(r))
		return false;
	end = haruns_bitmap_next_start(r, haruns_bitmap_run_start(r, start) + 1);
	for (i = find_first_bit(live, nr); i < nr; i = find_next_bit(live, nr, i + 1)) {
		pos = start + i * blocks;
		haruns_bitmap_put(r, pos, HARUNS_LIVE);
		r->nr_free -= blocks;
		pos += blocks;
		if (pos < end && (i + 1 == nr || !test_bit(i + 1, live)))
			haruns_bitmap_put(r, pos, HARUNS_FREE);
	}
	for (i = 0; i < haruns_bitmap_pairs(r); i++) {
		found = haruns_bitmap_in(r, i, true, &goes_on);
		max_free = max(max_free, haruns_longest_row(found, row));
		row = ~found ? BITMAP_PER_PAIR - fls64(~found) : row + BITMAP_PER_PAIR;
	}
	r->max_free = r->tag & HARUNS_APART ? haruns_longest_inner(r) : max_free;
	return true;
}

/* As haruns_check(), a pair of words at a time. */
static bool haruns_bitmap_check(const struct haruns *r)
{
	u32 nr = 0, nr_free = 0, max_free = 0, row = 0, i;
	u64 goes_on = 0, begin, found;

	if (!haruns_bitmap_state(r, 0))
		return false;
	for (i = 0; i < haruns_bitmap_pairs(r); i++) {
		begin = haruns_bitmap_free_starts(r, i);
		found = haruns_bitmap_in(r, i, true, &goes_on);
		/* a free run that starts right after another one */
		if (begin & (found << 1 | (row ? 1 : 0)))
			return false;
		nr += hweight64(haruns_bitmap_starts(r, i));
		nr_free += hweight64(found);
		max_free = max(max_free, haruns_longest_row(found, row));
		row = ~found ? BITMAP_PER_PAIR - fls64(~found) : row + BITMAP_PER_PAIR;
	}
	if (r->tag & HARUNS_APART)
		max_free = haruns_longest_inner(r);
	return nr == r->nr && nr_free == r->nr_free && max_free == r->max_free;
}

/* Whether every invariant holds, verified naively. */
bool haruns_check(const struct haruns *r)
{
	enum haruns_state last = HARUNS_LIVE;
	u32 nr = 0, pos = 0, nr_free = 0, max_free = 0, i;
	struct haruns_run run = haruns_recorded(r, 0);

	if (haruns_is_bitmap(r))
		return haruns_bitmap_check(r);
	for (i = r->nr; i < r->cap; i++)
		if (haruns_marks(r)[i] != haruns_mark_end(r))
			return false;
	if (r->nr >= r->cap)
		return false;
	do {
		if (run.start != pos || !run.len || !run.state ||
		    (run.state == HARUNS_FREE && last == HARUNS_FREE))
			return false;
		pos += run.len;
		nr++;
		last = run.state;
		if (run.state != HARUNS_FREE)
			continue;
		nr_free += run.len;
		if (!haruns_is_apart(r, &run))
			max_free = max(max_free, run.len);
	} while (haruns_next(r, &run));
	return pos == r->nr_blocks && nr == r->nr && nr_free == r->nr_free &&
	       max_free == r->max_free;
}
