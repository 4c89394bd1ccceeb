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
 * always at 0. Up to 20 marks are in the struct itself: what an operation on
 * such a slot needs is one cache line. More have memory of their own. A slot of
 * many small extents has a bitmap: two bits a block, the state of the run that
 * starts there or 0. That bounds the memory (1 KiB for 16 MiB) and the time
 * (128 words to look at, and none to move).
 *
 * An allocation adds at most two runs and a free adds none, so only allocating
 * can need memory. The lock of the slab layer protects everything.
 */
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "runs.h"

#define STATE_BITS	2
#define STATE_MASK	((1U << STATE_BITS) - 1)

/* half the memory of the bitmap */
#define MAX_CAP		256
/* With so few it goes back into the struct: less than what is there to fill it again. */
#define SHRINK_NR	(HARUNS_INLINE / 2)

#define MAP_PER_WORD	32
#define MAP_LOW_BITS	0x5555555555555555ULL

/* ---- the array of marks ---- */

static u16 mark(u32 start, enum haruns_state state)
{
	return start << STATE_BITS | state;
}

static u32 mark_start(u16 m)
{
	return m >> STATE_BITS;
}

static enum haruns_state mark_state(u16 m)
{
	return m & STATE_MASK;
}

static const u16 *marks_of(const struct haruns *r)
{
	return r->cap == HARUNS_INLINE ? r->own : r->marks;
}

static u32 mark_end(const struct haruns *r, const u16 *marks, u32 i)
{
	return i + 1 < r->nr ? mark_start(marks[i + 1]) : r->nr_blocks;
}

/* The run that @pos lies in: the last mark that does not start behind it. */
static u32 marks_find(const struct haruns *r, u32 pos)
{
	const u16 *marks = marks_of(r);
	const u16 key = mark(pos, STATE_MASK);
	u32 lo = 0, n = r->nr;

	while (n > 1) {
		u32 half = n / 2;

		lo = marks[lo + half] <= key ? lo + half : lo;
		n -= half;
	}
	return lo;
}

/* Make room for @nr marks in front of mark @i. */
static u16 *marks_open(struct haruns *r, u32 i, u32 nr)
{
	u16 *at = (u16 *)marks_of(r) + i;

	memmove(at + nr, at, (r->nr - i) * sizeof(*at));
	r->nr += nr;
	return at;
}

static void marks_remove(struct haruns *r, u32 i, u32 nr)
{
	u16 *at = (u16 *)marks_of(r) + i;

	r->nr -= nr;
	memmove(at, at + nr, (r->nr - i) * sizeof(*at));
}

/* Cut @before blocks off in front of mark @i and @behind blocks off behind. */
static void marks_cut(struct haruns *r, u32 i, u32 before, u32 behind, enum haruns_state state)
{
	const u16 *marks = marks_of(r);
	enum haruns_state old = mark_state(marks[i]);
	u32 start = mark_start(marks[i]) + before, end = mark_end(r, marks, i) - behind;
	u16 *at = marks_open(r, i + 1, !!before + !!behind);

	if (!before)
		at--;
	*at++ = mark(start, state);
	if (behind)
		*at = mark(end, old);
}

/* Mark @i becomes free and merges with the free runs beside it. Return: its number then. */
static u32 marks_free(struct haruns *r, u32 i)
{
	u16 *at = (u16 *)marks_of(r) + i;
	bool next = i + 1 < r->nr && mark_state(at[1]) == HARUNS_FREE;
	bool before = i && mark_state(at[-1]) == HARUNS_FREE;

	*at = mark(mark_start(*at), HARUNS_FREE);
	if (next || before)
		marks_remove(r, before ? i : i + 1, next + before);
	return i - before;
}

/* ---- the bitmap ---- */

static enum haruns_state map_state(const struct haruns *r, u32 pos)
{
	return r->map[pos / MAP_PER_WORD] >> (pos % MAP_PER_WORD * STATE_BITS) & STATE_MASK;
}

static void map_set(u64 *map, u32 pos, u32 state)
{
	u32 shift = pos % MAP_PER_WORD * STATE_BITS;
	u64 *word = &map[pos / MAP_PER_WORD];

	*word = (*word & ~((u64)STATE_MASK << shift)) | (u64)state << shift;
}

/* A bit for each block of the word at which a run starts. */
static u64 map_starts(const struct haruns *r, u32 word)
{
	return (r->map[word] | r->map[word] >> 1) & MAP_LOW_BITS;
}

/* The start of the run that @pos lies in; block 0 is always a start. */
static u32 map_run_start(const struct haruns *r, u32 pos)
{
	u32 word = pos / MAP_PER_WORD;
	u64 bits = map_starts(r, word) & (~0ULL >> (63 - pos % MAP_PER_WORD * STATE_BITS));

	while (!bits)
		bits = map_starts(r, --word);
	return word * MAP_PER_WORD + (fls64(bits) - 1) / STATE_BITS;
}

/* The first start at or behind @pos, or the end of the slot. */
static u32 map_next_start(const struct haruns *r, u32 pos)
{
	u32 word = pos / MAP_PER_WORD, last = (r->nr_blocks - 1) / MAP_PER_WORD;
	u64 bits;

	if (pos >= r->nr_blocks)
		return r->nr_blocks;
	bits = map_starts(r, word) & (~0ULL << (pos % MAP_PER_WORD * STATE_BITS));
	while (!bits && word < last)
		bits = map_starts(r, ++word);
	return bits ? word * MAP_PER_WORD + __ffs64(bits) / STATE_BITS : r->nr_blocks;
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

/* The run becomes free and merges with the free runs beside it. Return: its start then. */
static u32 map_free(struct haruns *r, u32 start, u32 end)
{
	u32 before = start ? map_run_start(r, start - 1) : 0;

	map_put(r, start, HARUNS_FREE);
	if (end < r->nr_blocks && map_state(r, end) == HARUNS_FREE)
		map_drop(r, end);
	if (before == start || map_state(r, before) != HARUNS_FREE)
		return start;
	map_drop(r, start);
	return before;
}

/* ---- all forms ---- */

static bool is_map(const struct haruns *r)
{
	return !r->cap;
}

/* The run that is recorded at @at: the number of a mark, or a position. */
static struct haruns_run run_at(const struct haruns *r, u32 at)
{
	const u16 *marks;

	if (is_map(r))
		return (struct haruns_run) {
			at, map_next_start(r, at + 1) - at, map_state(r, at), at
		};
	marks = marks_of(r);
	return (struct haruns_run) {
		mark_start(marks[at]), mark_end(r, marks, at) - mark_start(marks[at]),
		mark_state(marks[at]), at
	};
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
	return run_at(r, is_map(r) ? map_run_start(r, pos) : marks_find(r, pos));
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
	*run = run_at(r, is_map(r) ? run->start + run->len : run->at + 1);
	return true;
}

/**
 * haruns_init - nothing is known of the slot yet; see haruns_add()
 * @r: the runs
 * @nr_blocks: size of the slot, at most HARUNS_MAX_BLOCKS
 */
void haruns_init(struct haruns *r, u32 nr_blocks)
{
	r->nr = 1;
	r->cap = HARUNS_INLINE;
	r->nr_blocks = nr_blocks;
	r->nr_known = 0;
	r->nr_free = 0;
	r->max_free = 0;
	r->others_free = 0;
	r->tag = 0;
	r->own[0] = mark(0, HARUNS_SPECIAL);
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
	const u16 *marks = marks_of(r);
	u32 i;

	if (!map)
		return -ENOMEM;
	for (i = 0; i < r->nr; i++)
		map_set(map, mark_start(marks[i]), mark_state(marks[i]));
	haruns_destroy(r, mem);
	r->map = map;
	r->cap = 0;
	return 0;
}

/* The slow part of haruns_reserve(). */
static int more_marks(struct haruns *r, u32 nr, struct hamem *mem, struct hamem_op *op)
{
	u32 cap = roundup_pow_of_two(r->nr + nr);
	u16 *marks;

	if (cap > MAX_CAP)
		return to_map(r, mem, op);
	marks = hamem_get(mem, op, cap * sizeof(*marks));
	if (!marks)
		return -ENOMEM;
	memcpy(marks, marks_of(r), r->nr * sizeof(*marks));
	haruns_destroy(r, mem);
	r->marks = marks;
	r->cap = cap;
	return 0;
}

/**
 * haruns_reserve - make room for more runs
 * @r: the runs
 * @nr: how many
 * @mem: account
 * @op: memory
 *
 * Return: 0, or -ENOMEM: nothing changed.
 */
int haruns_reserve(struct haruns *r, u32 nr, struct hamem *mem, struct hamem_op *op)
{
	if (is_map(r) || r->nr + nr <= r->cap)
		return 0;
	return more_marks(r, nr, mem, op);
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
	struct haruns old = *r;
	struct haruns_run run;
	u32 i = 0;

	if (r->cap == HARUNS_INLINE || r->nr > SHRINK_NR)
		return;
	r->cap = HARUNS_INLINE;
	run = haruns_at(&old, 0);
	do {
		r->own[i++] = mark(run.start, run.state);
	} while (haruns_next(&old, &run));
	haruns_destroy(&old, mem);
}

/* Another free run: is it the largest, or just one of the others? */
static void note_free(struct haruns *r, u32 len)
{
	if (len > r->max_free) {
		r->others_free = r->max_free;
		r->max_free = len;
	} else if (len > r->others_free) {
		r->others_free = len;
	}
}

static void note_all_free(struct haruns *r)
{
	struct haruns_run run = run_at(r, 0);

	r->max_free = 0;
	r->others_free = 0;
	do {
		if (run.state == HARUNS_FREE)
			note_free(r, run.len);
	} while (haruns_next(r, &run));
}

/* Give a part of a run, which is cut if need be, another state. */
static void cut(struct haruns *r, const struct haruns_run *old, u32 start, u32 len,
		enum haruns_state state)
{
	u32 before = start - old->start, behind = old->len - before - len;

	if (is_map(r))
		map_cut(r, start, len, behind, state, old->state);
	else
		marks_cut(r, old->at, before, behind, state);
}

/**
 * haruns_set - make an extent out of free blocks
 * @r: the runs, with room for two more (haruns_reserve())
 * @old: the free run that they lie in
 * @start: first block
 * @len: number of blocks
 * @state: of the extent
 */
void haruns_set(struct haruns *r, const struct haruns_run *old, u32 start, u32 len,
		enum haruns_state state)
{
	u32 before = start - old->start, behind = old->len - before - len;

	cut(r, old, start, len, state);
	r->nr_free -= len;
	if (old->len < r->max_free)
		return;
	/* what is left of the largest may still be that; it saves a look at all */
	if (max(before, behind) < r->others_free) {
		note_all_free(r);
		return;
	}
	r->max_free = max(before, behind);
	r->others_free = max_t(u32, r->others_free, min(before, behind));
}

/**
 * haruns_clear - free an extent
 * @r: the runs
 * @run: the extent
 *
 * Merges it with the free runs beside it.
 */
void haruns_clear(struct haruns *r, const struct haruns_run *run)
{
	u32 at;

	if (is_map(r))
		at = map_free(r, run->start, run->start + run->len);
	else
		at = marks_free(r, run->at);
	r->nr_free += run->len;
	note_free(r, run_at(r, at).len);
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
	cut(r, &run, start, len, HARUNS_LIVE);
	run = haruns_at(r, start);
	haruns_clear(r, &run);
}

static bool fits(const struct haruns_run *run, u32 len, u64 base, u64 align)
{
	return run->state == HARUNS_FREE && run->len >= len &&
	       (-(base + run->start) & (align - 1)) <= run->len - len;
}

/**
 * haruns_best_fit - the smallest free run that an extent fits in
 * @r: the runs
 * @len: of the extent
 * @base: position of the slot, to which @align refers
 * @align: a power of two
 * @best: out: the run
 *
 * Return: whether there is one.
 */
bool haruns_best_fit(const struct haruns *r, u32 len, u64 base, u64 align,
		     struct haruns_run *best)
{
	struct haruns_run run;
	bool found = false;
	/* there cannot be a shorter one than this */
	u32 enough = len;

	if (len > r->max_free)
		return false;
	if (r->others_free < len)
		enough = r->max_free;
	run = run_at(r, 0);
	do {
		if (!fits(&run, len, base, align) || (found && run.len >= best->len))
			continue;
		*best = run;
		found = true;
		if (run.len == enough)
			break;
	} while (haruns_next(r, &run));
	return found;
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
	struct haruns_run run = run_at(r, 0);
	struct haruns known = *r;

	note_all_free(&known);
	if (!is_map(r) && r->nr > r->cap)
		return false;
	do {
		if (run.start != pos || !run.len || !run.state ||
		    (run.state == HARUNS_FREE && last == HARUNS_FREE))
			return false;
		pos += run.len;
		nr++;
		last = run.state;
		if (run.state == HARUNS_FREE)
			nr_free += run.len;
	} while (haruns_next(r, &run));
	return pos == r->nr_blocks && nr == r->nr && nr_free == r->nr_free &&
	       known.max_free == r->max_free && known.others_free <= r->others_free;
}
