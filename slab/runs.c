// SPDX-License-Identifier: GPL-2.0
/*
 * The runs of one slot.
 *
 * A slot is cut without gaps into runs: free runs, extents, and what is not
 * known here. All there is to know about a run is where it starts and what it
 * is; it ends where the next one starts. Two extents side by side keep the
 * start between them, which is what makes the length of a free checkable; two
 * free runs side by side are always merged.
 *
 * There are three forms. A slot of few large extents, the usual case, has a
 * sorted array of 16-bit marks, position and state, of which the first is
 * always at 0. Behind the last run all marks are at the end of the slot, one at
 * the least. Up to 20 marks are in the struct itself: what an operation on such
 * a slot needs is one cache line. More have memory of their own. A slot of many
 * small extents has a bitmap: two bits a block, the state of the run that starts
 * there or 0. That bounds the memory (1 KiB for 16 MiB) and the time (128 words
 * to look at, and none to move).
 *
 * An allocation adds at most two runs and a free adds none, so only allocating
 * can need memory. The lock of the slot's group protects everything.
 */
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "slab/runs_hit.h"

/* half the memory of the bitmap */
#define MAX_CAP		256
#define MAP_PER_WORD	32
#define MAP_LOW_BITS	0x5555555555555555ULL

/* ---- the array of marks ---- */

static u16 *marks_of(struct haruns *r)
{
	return r->cap == HARUNS_INLINE ? r->own : r->marks;
}

static const u16 *marks_in(const struct haruns *r)
{
	return r->cap == HARUNS_INLINE ? r->own : r->marks;
}

/* The run that @pos lies in: the last mark that does not start behind it. */
static u32 marks_find(const struct haruns *r, u32 pos)
{
	const u16 *marks = marks_in(r), key = haruns_mark(pos, HARUNS_STATE_MASK);
	u32 lo = 0, n = r->nr;

	while (n > 1) {
		u32 half = n / 2;

		lo = marks[lo + half] <= key ? lo + half : lo;
		n -= half;
	}
	return lo;
}

/* ---- the bitmap ---- */

static enum haruns_state map_state(const struct haruns *r, u32 pos)
{
	u32 shift = pos % MAP_PER_WORD * HARUNS_STATE_BITS;

	return r->map[pos / MAP_PER_WORD] >> shift & HARUNS_STATE_MASK;
}

static void map_set(u64 *map, u32 pos, u32 state)
{
	u32 shift = pos % MAP_PER_WORD * HARUNS_STATE_BITS;
	u64 *word = &map[pos / MAP_PER_WORD];

	*word = (*word & ~((u64)HARUNS_STATE_MASK << shift)) | (u64)state << shift;
}

/* A bit for each block of the word at which a run starts. */
static u64 map_starts(const struct haruns *r, u32 word)
{
	return (r->map[word] | r->map[word] >> 1) & MAP_LOW_BITS;
}

/* The same for free runs only. */
static u64 map_free_starts(const struct haruns *r, u32 word)
{
	BUILD_BUG_ON(HARUNS_FREE != 1);
	return r->map[word] & ~(r->map[word] >> 1) & MAP_LOW_BITS;
}

/* The start of the run that @pos lies in; block 0 is always a start. */
static u32 map_run_start(const struct haruns *r, u32 pos)
{
	u32 word = pos / MAP_PER_WORD;
	u64 bits = map_starts(r, word) & (~0ULL >> (63 - pos % MAP_PER_WORD * HARUNS_STATE_BITS));

	while (!bits)
		bits = map_starts(r, --word);
	return word * MAP_PER_WORD + (fls64(bits) - 1) / HARUNS_STATE_BITS;
}

/* The first start at or behind @pos, or the end of the slot. */
static u32 map_next_start(const struct haruns *r, u32 pos)
{
	u32 word = pos / MAP_PER_WORD, last = (r->nr_blocks - 1) / MAP_PER_WORD;
	u64 bits;

	if (pos >= r->nr_blocks)
		return r->nr_blocks;
	bits = map_starts(r, word) & (~0ULL << (pos % MAP_PER_WORD * HARUNS_STATE_BITS));
	while (!bits && word < last)
		bits = map_starts(r, ++word);
	return bits ? word * MAP_PER_WORD + __ffs64(bits) / HARUNS_STATE_BITS : r->nr_blocks;
}

static noinline struct haruns_run map_recorded(const struct haruns *r, u32 at)
{
	return (struct haruns_run) {
		at, map_next_start(r, at + 1) - at, map_state(r, at), at
	};
}

static noinline struct haruns_run map_at(const struct haruns *r, u32 pos)
{
	return map_recorded(r, map_run_start(r, pos));
}

static void map_put(struct haruns *r, u32 pos, enum haruns_state state)
{
	r->nr += !map_state(r, pos);
	map_set(r->map, pos, state);
}

static void map_drop(struct haruns *r, u32 pos)
{
	map_set(r->map, pos, 0);
	r->nr--;
}

static void map_cut(struct haruns *r, u32 start, u32 len, u32 behind, enum haruns_state state,
		    enum haruns_state old)
{
	if (behind)
		map_put(r, start + len, old);
	map_put(r, start, state);
}

/* The run becomes free and merges with the free runs beside it. Return: their length. */
static u32 map_free(struct haruns *r, u32 start, u32 end)
{
	u32 before = start ? map_run_start(r, start - 1) : 0;

	map_put(r, start, HARUNS_FREE);
	if (end < r->nr_blocks && map_state(r, end) == HARUNS_FREE)
		map_drop(r, end);
	if (before != start && map_state(r, before) == HARUNS_FREE) {
		map_drop(r, start);
		start = before;
	}
	return map_next_start(r, start + 1) - start;
}

/* ---- all forms ---- */

static bool is_map(const struct haruns *r)
{
	return !r->cap;
}

/**
 * haruns_recorded - the run that is recorded at a place
 * @r: the runs
 * @at: the number of its mark, or its position
 *
 * Return: the run.
 */
struct haruns_run haruns_recorded(const struct haruns *r, u32 at)
{
	return is_map(r) ? map_recorded(r, at) : haruns_mark_run(marks_in(r), at);
}

/**
 * haruns_at - the run that a block lies in
 * @r: the runs
 * @pos: the block
 *
 * Return: the run.
 */
struct haruns_run haruns_at(const struct haruns *r, u32 pos)
{
	return is_map(r) ? map_at(r, pos) : haruns_mark_run(marks_in(r), marks_find(r, pos));
}

/**
 * haruns_next - the run behind another
 * @r: the runs
 * @run: the one; out: the next
 *
 * Return: whether there is one.
 */
bool haruns_next(const struct haruns *r, struct haruns_run *run)
{
	if (run->start + run->len == r->nr_blocks)
		return false;
	*run = haruns_recorded(r, is_map(r) ? run->start + run->len : run->at + 1);
	return true;
}

/**
 * haruns_init - nothing is known of the slot yet; see haruns_add()
 * @r: the runs
 * @nr_blocks: size of the slot, at most HARUNS_MAX_BLOCKS
 */
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
	r->own[0] = haruns_mark(0, HARUNS_SPECIAL);
	for (i = 1; i < HARUNS_INLINE; i++)
		r->own[i] = haruns_mark_end(r);
}

/**
 * haruns_destroy - give the memory back
 * @r: the runs
 * @mem: account
 */
void haruns_destroy(struct haruns *r, struct hamem *mem)
{
	if (r->cap != HARUNS_INLINE)
		hamem_put(mem, r->map);
}

static int to_map(struct haruns *r, struct hamem *mem, struct hamem_op *op)
{
	u64 *map = hamem_get(mem, op, DIV_ROUND_UP(r->nr_blocks, MAP_PER_WORD) * sizeof(*map));
	const u16 *marks = marks_in(r);
	u32 i;

	if (!map)
		return -ENOMEM;
	for (i = 0; i < r->nr; i++)
		map_set(map, haruns_mark_start(marks[i]), haruns_mark_state(marks[i]));
	haruns_destroy(r, mem);
	r->map = map;
	r->cap = 0;
	return 0;
}

/**
 * haruns_more - make room for more runs: the slow part of haruns_reserve()
 * @r: the runs
 * @nr: how many
 * @mem: account
 * @op: memory
 *
 * Return: 0, or -ENOMEM: nothing changed.
 */
int haruns_more(struct haruns *r, u32 nr, struct hamem *mem, struct hamem_op *op)
{
	u32 cap = roundup_pow_of_two(r->nr + nr + 1), i;
	u16 *marks;

	if (is_map(r))
		return 0;
	if (cap > MAX_CAP)
		return to_map(r, mem, op);
	marks = hamem_get(mem, op, cap * sizeof(*marks));
	if (!marks)
		return -ENOMEM;
	memcpy(marks, marks_in(r), r->nr * sizeof(*marks));
	for (i = r->nr; i < cap; i++)
		marks[i] = haruns_mark_end(r);
	haruns_destroy(r, mem);
	r->marks = marks;
	r->cap = cap;
	return 0;
}

/**
 * haruns_shrink - give memory back that is not needed any more
 * @r: the runs
 * @mem: account
 *
 * Never needs memory.
 */
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
 * Whether nothing that follows can change the answer: a run fits exactly, and there is
 * another one that is the longest. In a slot of thousands of short runs that is soon.
 */
static bool look_is_over(const struct haruns *r, struct haruns_look *look, u32 len, u32 align)
{
	/* what it skips is a part of the run, too */
	if (look->best >> HARUNS_AT_BITS || align > 1)
		return false;
	if (len == r->max_free)
		return look->second >> HARUNS_AT_BITS == len;
	/* wherever it is: no run begins there */
	look->longest = (u32)r->max_free << HARUNS_AT_BITS | U16_MAX;
	return true;
}

static noinline struct haruns_look map_look(const struct haruns *r, u32 len, u32 align)
{
	u32 nr_words = DIV_ROUND_UP(r->nr_blocks, MAP_PER_WORD), i;
	struct haruns_look look = HARUNS_LOOK;
	struct haruns_run run;
	u64 bits;

	for (i = 0; i < nr_words; i++) {
		for (bits = map_free_starts(r, i); bits; bits &= bits - 1) {
			run = haruns_recorded(r, i * MAP_PER_WORD +
						 __ffs64(bits) / HARUNS_STATE_BITS);
			haruns_look_at(&look, &run, len, align);
			if (look_is_over(r, &look, len, align))
				return look;
		}
	}
	return look;
}

static __always_inline struct haruns_look marks_look(const struct haruns *r, u32 len, u32 align)
{
	const u32 step = HARUNS_LANE_BITS * HARUNS_PER_WORD;
	struct haruns_look look = HARUNS_LOOK;
	const u16 *marks = marks_in(r);
	u32 i, k, nr_words;
	u64 bits;

	for (i = 0; i < r->nr; i += step) {
		const u64 *words = (const u64 *)(marks + i);

		nr_words = DIV_ROUND_UP(min(r->nr - i, step), HARUNS_PER_WORD);
		for (bits = 0, k = 0; k < nr_words; k++)
			bits |= haruns_free_bits(words[k]) << k;
		haruns_look_marks(&look, marks, i, bits, len, align);
	}
	return look;
}

static noinline struct haruns_look marks_look_aligned(const struct haruns *r, u32 len, u32 align)
{
	return marks_look(r, len, align);
}

/**
 * haruns_look - look at the free runs, wherever they are recorded
 * @r: the runs
 * @len: that is wanted
 * @align: of it, a power of two, at most the size of the slot
 *
 * Return: what there is: the one that fits best, and the longest of the others.
 */
struct haruns_look haruns_look(const struct haruns *r, u32 len, u32 align)
{
	if (is_map(r))
		return map_look(r, len, align);
	return likely(align == 1) ? marks_look(r, len, 1) : marks_look_aligned(r, len, align);
}

/* Give a part of a run, which is cut if need be, another state: whatever form it has. */
void haruns_cut(struct haruns *r, const struct haruns_run *old, u32 start, u32 len,
		enum haruns_state state)
{
	u32 before = start - old->start, behind = old->len - before - len;

	if (is_map(r))
		map_cut(r, start, len, behind, state, old->state);
	else
		haruns_cut_mark(r, marks_of(r) + old->at, old->at, before, behind, state);
}

/* A run becomes free, whatever form it has. Return: its length, with those beside it. */
u32 haruns_merge(struct haruns *r, const struct haruns_run *run)
{
	if (is_map(r))
		return map_free(r, run->start, run->start + run->len);
	return haruns_free_mark(r, marks_of(r), run->at);
}

/**
 * haruns_add - what was not known here becomes free
 * @r: the runs, with room for two more
 * @start: first block
 * @len: number of blocks, all in one run that is SPECIAL
 */
void haruns_add(struct haruns *r, u32 start, u32 len)
{
	struct haruns_run run = haruns_at(r, start);

	/* as if it had been an extent */
	r->nr_known += len;
	haruns_cut(r, &run, start, len, HARUNS_LIVE);
	run = haruns_at(r, start);
	haruns_clear(r, &run);
}

/**
 * haruns_check - verify every invariant, naively
 * @r: the runs
 *
 * Return: whether all hold.
 */
bool haruns_check(const struct haruns *r)
{
	enum haruns_state last = HARUNS_LIVE;
	u32 nr = 0, pos = 0, nr_free = 0;
	struct haruns_run run = haruns_recorded(r, 0);
	u32 max_free = 0, i;

	for (i = r->nr; i < r->cap; i++)
		if (marks_in(r)[i] != haruns_mark_end(r))
			return false;
	if (!is_map(r) && r->nr >= r->cap)
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
		max_free = max(max_free, run.len);
	} while (haruns_next(r, &run));
	return pos == r->nr_blocks && nr == r->nr && nr_free == r->nr_free &&
	       max_free == r->max_free;
}
