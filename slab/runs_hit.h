/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What allocations and frees do in a slot whose marks are in the struct, the usual case. Inline
 * for the same reason as buddy_hit.h. For the slab layer only. See runs.c for design and locks.
 *
 * Which runs are free looks random to the CPU. A branch for each run would often be mispredicted,
 * and one misprediction costs as much as 60 instructions. So four marks are compared at a time,
 * and lengths are compared without branches.
 */
#ifndef _HYBRID_ALLOC_RUNS_HIT_H
#define _HYBRID_ALLOC_RUNS_HIT_H

#include <linux/bitops.h>
#include <linux/build_bug.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "slab/runs.h"

/* ---- marks ---- */

#define HARUNS_STATE_BITS	2
#define HARUNS_STATE_MASK	((1U << HARUNS_STATE_BITS) - 1)

/* Four marks in a word. The highest bit of a mark is 0, as positions have 13 bits. */
#define HARUNS_LANES		0x0001000100010001ULL
#define HARUNS_LANE_BITS	16
#define HARUNS_HIGH_BITS	(HARUNS_LANES << (HARUNS_LANE_BITS - 1))

/*
 * @mark in all four marks of a word; the highest mark is the sum of those of @mark. One
 * multiplication: gcc would make four shifts and additions of it.
 */
static inline u64 haruns_in_all(u64 mark)
{
	u64 lanes = HARUNS_LANES;

	OPTIMIZER_HIDE_VAR(lanes);
	return mark * lanes;
}

static inline u16 haruns_mark(u32 start, enum haruns_state state)
{
	return start << HARUNS_STATE_BITS | state;
}

/* Takes 32 bits: with 16, the compiler would truncate after each step. */
static inline u32 haruns_mark_start(u32 mark)
{
	return mark >> HARUNS_STATE_BITS;
}

static inline enum haruns_state haruns_mark_state(u32 mark)
{
	return mark & HARUNS_STATE_MASK;
}

/* The end mark, which follows the last run: never free. */
static inline u16 haruns_mark_end(const struct haruns *r)
{
	return haruns_mark(r->nr_blocks, HARUNS_LIVE);
}

static inline struct haruns_run haruns_mark_run(const u16 *marks, u32 at)
{
	const u16 *mark = marks + at;
	u32 start = haruns_mark_start(mark[0]);

	return (struct haruns_run) {
		start, haruns_mark_start(mark[1]) - start, haruns_mark_state(mark[0]), at
	};
}

/*
 * @len blocks from @start, in the run @old, become a run of @state; what is left of it at its start
 * and at its end keeps the state @rest.
 */
static __always_inline void haruns_cut_mark(struct haruns *r, u16 *marks,
					    const struct haruns_run *old, enum haruns_state rest,
					    u32 start, u32 len, enum haruns_state state)
{
	u32 end = start + len, before = start > old->start, after = end < old->start + old->len;
	u16 *at = marks + old->at;

	if (before || after) {
		memmove(at + 1 + before + after, at + 1, (r->nr - old->at) * sizeof(*at));
		r->nr += before + after;
		at += before;
	}
	*at++ = haruns_mark(start, state);
	if (after)
		*at = haruns_mark(end, rest);
}

/* Free the run of mark @i, merging it with its neighbours. Return: the free run. */
static inline struct haruns_run haruns_free_mark(struct haruns *r, u16 *marks, u32 i)
{
	u16 *at = marks + i;
	u32 before = i && haruns_mark_state(at[-1]) == HARUNS_FREE;
	u32 after = haruns_mark_state(at[1]) == HARUNS_FREE, nr = before + after;

	*at = haruns_mark(haruns_mark_start(*at), HARUNS_FREE);
	at -= before;
	i += 1 - before;
	memmove(at + 1, at + 1 + nr, (r->nr + 1 - nr - i) * sizeof(*at));
	r->nr -= nr;
	/* if two marks are gone, the move has left a stale one after the end mark */
	marks[r->nr + !!nr] = haruns_mark_end(r);
	return haruns_mark_run(at, 0);
}

/* ---- a look at all free runs ---- */

/*
 * What a look at all free runs has found. Each is a number of blocks, and in the lower
 * HARUNS_AT_BITS haruns_run.at: one comparison of two such keys compares the lengths and keeps the
 * place.
 */
struct haruns_look {
	u32 best;	/* its length less the wanted length; more than any run has if none fits */
	u32 longest;	/* its length */
	u32 second;	/* the length of the longest of the other runs */
};

#define HARUNS_AT_BITS	16
#define HARUNS_LOOK	{ .best = U32_MAX }

static __always_inline void haruns_look_at(struct haruns_look *look, const struct haruns_run *run,
					   u32 len, u32 align)
{
	u32 key = run->len << HARUNS_AT_BITS | run->at, skip = -run->start & (align - 1);

	/* for a run that is too short, the difference wraps and is very large */
	look->best = min(look->best, key - ((len + skip) << HARUNS_AT_BITS));
	look->second = max(look->second, min(look->longest, key));
	look->longest = max(look->longest, key);
}

/* The lowest bit of each mark in @word that is not free. */
static inline u64 haruns_used_bits(u64 word)
{
	BUILD_BUG_ON((HARUNS_FREE & 2) || !(HARUNS_LIVE & HARUNS_SPECIAL & 2));
	return word >> 1 & HARUNS_LANES;
}

/* The same if it is free. */
static inline u64 haruns_free_bits(u64 word)
{
	return haruns_used_bits(~word);
}

/*
 * Look at the free runs in @bits: those of word i, counted from mark @first, are there as
 * haruns_free_bits() << i. So bit / 16 is the place in the word, and bit % 16 is the word.
 */
static __always_inline void haruns_look_marks(struct haruns_look *look, const u16 *marks,
					      u32 first, u64 bits, u32 len, u32 align)
{
	struct haruns_run run;
	u32 bit, lane;

	for (; bits; bits &= bits - 1) {
		bit = __ffs64(bits);
		lane = bit / HARUNS_LANE_BITS;
		if (IS_ENABLED(CONFIG_CPU_BIG_ENDIAN))
			lane = HARUNS_PER_WORD - 1 - lane;
		run = haruns_mark_run(marks, first + bit % HARUNS_LANE_BITS * HARUNS_PER_WORD +
					     lane);
		haruns_look_at(look, &run, len, align);
	}
}

/* The bit of mark @i, counted from the first that haruns_look_marks() looks at. */
static inline u64 haruns_look_bit(u32 i)
{
	u32 lane = i % HARUNS_PER_WORD;

	if (IS_ENABLED(CONFIG_CPU_BIG_ENDIAN))
		lane = HARUNS_PER_WORD - 1 - lane;
	return 1ULL << (lane * HARUNS_LANE_BITS + i / HARUNS_PER_WORD);
}

/* Whether the slot is wholly free. */
static inline bool haruns_is_empty(const struct haruns *r)
{
	return r->nr_free == r->nr_blocks;
}

/* Whether a free run is apart. */
static inline bool haruns_is_apart(const struct haruns *r, const struct haruns_run *run)
{
	return (r->tag & HARUNS_LEAD_APART && !run->start) ||
	       (r->tag & HARUNS_TRAIL_APART && run->start + run->len == r->nr_blocks);
}

/* Look at the free runs in the struct. */
static __always_inline struct haruns_look haruns_look_own(const struct haruns *r, u32 len)
{
	struct haruns_look look = HARUNS_LOOK;
	const u64 *w = r->words;
	u64 bits;

	BUILD_BUG_ON(ARRAY_SIZE(r->words) != 5);
	bits = haruns_used_bits(w[0]) | haruns_used_bits(w[1]) << 1 | haruns_used_bits(w[2]) << 2 |
	       haruns_used_bits(w[3]) << 3 | haruns_used_bits(w[4]) << 4;
	bits ^= HARUNS_LANES * ((1U << ARRAY_SIZE(r->words)) - 1);
	if (r->tag & HARUNS_LEAD_APART)
		bits &= ~haruns_look_bit(0);
	if (r->tag & HARUNS_TRAIL_APART)
		bits &= ~haruns_look_bit(r->nr - 1);
	haruns_look_marks(&look, r->own, 0, bits, len, 1);
	return look;
}

/* The length of the longest free run, the one at @at excluded. */
static inline u32 haruns_look_others(const struct haruns_look *look, u32 at)
{
	return ((u16)look->longest == at ? look->second : look->longest) >> HARUNS_AT_BITS;
}

/* ---- operations ---- */

/* The lowest bit of each mark in @word that is at most its key; keys have the highest bit set. */
static inline u64 haruns_not_above(u64 keys, u64 word)
{
	/* the highest bit remains if there is no borrow from it */
	return (keys - word) >> (HARUNS_LANE_BITS - 1) & HARUNS_LANES;
}

/* The run that block @pos lies in; haruns_at() with the usual case inline. */
static inline struct haruns_run haruns_find(const struct haruns *r, u32 pos)
{
	u64 keys = haruns_in_all(haruns_mark(pos, HARUNS_STATE_MASK)) | HARUNS_HIGH_BITS, sum;
	const u64 *w = r->words;

	if (unlikely(r->cap != HARUNS_INLINE))
		return haruns_at(r, pos);
	/* count the marks that do not start after it */
	sum = haruns_not_above(keys, w[0]) + haruns_not_above(keys, w[1]) +
	      haruns_not_above(keys, w[2]) + haruns_not_above(keys, w[3]) +
	      haruns_not_above(keys, w[4]);
	return haruns_mark_run(r->own, (haruns_in_all(sum) >> (64 - HARUNS_LANE_BITS)) - 1);
}

/* The run at the start of the slot. */
static inline struct haruns_run haruns_first(const struct haruns *r)
{
	return likely(r->cap == HARUNS_INLINE) ? haruns_mark_run(r->own, 0) :
						 haruns_recorded(r, 0);
}

/* The number of free blocks at the start of the slot. */
static inline u32 haruns_lead(const struct haruns *r)
{
	struct haruns_run run = haruns_first(r);

	return run.len * (run.state == HARUNS_FREE);
}

/* The number of free blocks at the end of the slot. */
static inline u32 haruns_trail(const struct haruns *r)
{
	struct haruns_run run = likely(r->cap == HARUNS_INLINE) ?
				haruns_mark_run(r->own, r->nr - 1) :
				haruns_last(r);

	return run.len * (run.state == HARUNS_FREE);
}

/*
 * Find the shortest free run @best that an extent of @len fits in, with its start aligned to
 * @align, a power of two, at most the size of the slot. False if there is none. @others is the
 * length of the longest of the other free runs.
 */
static inline bool haruns_best_fit(const struct haruns *r, u32 len, u32 align,
				   struct haruns_run *best, u32 *others)
{
	struct haruns_look look;

	if (len > r->max_free)
		return false;
	look = haruns_look(r, len, align);
	if (look.best >> HARUNS_AT_BITS > r->nr_blocks)
		return false;
	*best = haruns_recorded(r, (u16)look.best);
	*others = haruns_look_others(&look, best->at);
	return true;
}

/* The same for @len of at most haruns.max_free, and any start. Return: that run. */
static __always_inline struct haruns_run haruns_best(const struct haruns *r, u32 len, u32 *others)
{
	struct haruns_look look;
	struct haruns_run best;

	if (likely(r->cap == HARUNS_INLINE)) {
		look = haruns_look_own(r, len);
		best = (struct haruns_run) {
			haruns_mark_start(r->own[(u16)look.best]),
			len + (look.best >> HARUNS_AT_BITS), HARUNS_FREE, (u16)look.best
		};
	} else {
		look = haruns_look(r, len, 1);
		best = haruns_recorded(r, (u16)look.best);
	}
	*others = haruns_look_others(&look, best.at);
	return best;
}

/* The length of the longest free run, @run excluded, which is free, and what is apart. */
static inline u32 haruns_others(const struct haruns *r, const struct haruns_run *run)
{
	struct haruns_look look;

	if (run->len < r->max_free || haruns_is_apart(r, run))
		return r->max_free;
	/* it is one of the longest: in a bitmap the look ends when it has found another */
	look = haruns_look(r, run->len, 1);
	return haruns_look_others(&look, run->at);
}

/*
 * Make @len blocks from @start, in the free run @old, a run of @state, which is not free. Needs
 * room for two more runs (haruns_reserve()). The caller updates haruns.max_free.
 */
static __always_inline void haruns_use(struct haruns *r, const struct haruns_run *old, u32 start,
				       u32 len, enum haruns_state state)
{
	if (likely(r->cap == HARUNS_INLINE))
		haruns_cut_mark(r, r->own, old, HARUNS_FREE, start, len, state);
	else
		haruns_cut(r, *old, start, len, state);
	r->nr_free -= len;
}

/* The same in a run that is not apart. @others is as for haruns_best_fit(). */
static __always_inline void haruns_set(struct haruns *r, const struct haruns_run *old, u32 others,
				       u32 start, u32 len, enum haruns_state state)
{
	u32 before = start - old->start, after = old->len - before - len;

	haruns_use(r, old, start, len, state);
	r->max_free = max3(before, after, others);
}

/* The same in any free run; what is left of one that is apart is apart if it is at an end. */
static inline void haruns_set_any(struct haruns *r, const struct haruns_run *old, u32 others,
				  u32 start, u32 len, enum haruns_state state)
{
	u32 before = start - old->start, after = old->len - before - len;

	haruns_use(r, old, start, len, state);
	if (r->tag & HARUNS_LEAD_APART && !old->start)
		before = 0;
	if (r->tag & HARUNS_TRAIL_APART && old->start + old->len == r->nr_blocks)
		after = 0;
	r->max_free = max3(before, after, others);
}

/*
 * After haruns_restart(): a run of @state starts at @start, which is where the last one is to end.
 * Needs room for it. nr_free and max_free are the caller's.
 */
static inline void haruns_append(struct haruns *r, u32 start, enum haruns_state state)
{
	if (likely(r->cap))
		(r->cap == HARUNS_INLINE ? r->own : r->marks)[r->nr++] = haruns_mark(start, state);
	else
		haruns_bitmap_append(r, start, state);
}

/*
 * Free @run, which is not free, and merge it with the free runs beside it. Return: what it is now;
 * haruns_run.at is not set. haruns_freed() follows.
 */
static __always_inline struct haruns_run haruns_free(struct haruns *r,
						     const struct haruns_run *run)
{
	r->nr_free += run->len;
	return likely(r->cap == HARUNS_INLINE) ? haruns_free_mark(r, r->own, run->at) :
						 haruns_merge(r, run->start, run->len, run->at);
}

/*
 * The longest run, after @now has become free or longer. Ends may have become apart. @part: no free
 * run that was counted in haruns.max_free, and is a part of it now, was longer.
 */
static inline void haruns_freed(struct haruns *r, const struct haruns_run *now, u32 part)
{
	if (likely(!haruns_is_apart(r, now)))
		r->max_free = max_t(u32, r->max_free, now->len);
	else if (part && part >= r->max_free)
		/* the longest one may be a part of it now */
		haruns_recount(r);
}

/* Free @run, and merge it. */
static inline void haruns_clear(struct haruns *r, const struct haruns_run *run)
{
	struct haruns_run now = haruns_free(r, run);

	haruns_freed(r, &now, now.len - run->len);
}

/* The free run at the end of the slot. */
static inline struct haruns_run haruns_trail_run(const struct haruns *r)
{
	return likely(r->cap == HARUNS_INLINE) ? haruns_mark_run(r->own, r->nr - 1) :
						 haruns_last(r);
}

/* The length of the longest free run, what is apart included. */
static inline u32 haruns_longest(const struct haruns *r)
{
	return max3((u32)r->max_free, haruns_lead(r), haruns_trail(r));
}

#endif
