// SPDX-License-Identifier: GPL-2.0
/*
 * The runs of one mixed slab.
 *
 * A slab is cut without gaps into runs: free runs and extents. All there is to
 * know about a run is where it starts and what it is; it ends where the next
 * one starts. Two extents side by side keep the start
 * between them, which is what makes the length of a free checkable; two free
 * runs side by side are always merged.
 *
 * There are two forms. A slab of few large extents, the usual case, has a
 * sorted array of 16-bit marks: position and state; the first is always at 0.
 * A slab of many small ones has a bitmap: two bits a block, the state of the
 * run that starts there or 0. That bounds the memory (1 KiB for 16 MiB) and the
 * time (128 words to look at, and none to move). A slab goes from the first
 * form to the second and never back: it goes away when it is empty.
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

/* 32 bytes: enough for the few large extents of many slabs */
#define FIRST_CAP	16
/* half the memory of the bitmap */
#define MAX_CAP		256

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

static u32 mark_end(const struct haruns *r, u32 i)
{
	return i + 1 < r->nr ? mark_start(r->marks[i + 1]) : r->nr_blocks;
}

/* The run that @pos lies in: the last mark that does not start behind it. */
static u32 marks_find(const struct haruns *r, u32 pos)
{
	const u16 key = mark(pos, STATE_MASK);
	u32 lo = 0, n = r->nr;

	while (n > 1) {
		u32 half = n / 2;

		lo = r->marks[lo + half] <= key ? lo + half : lo;
		n -= half;
	}
	return lo;
}

static void marks_insert(struct haruns *r, u32 i, u16 m)
{
	memmove(&r->marks[i + 1], &r->marks[i], (r->nr - i) * sizeof(*r->marks));
	r->marks[i] = m;
	r->nr++;
}

static void marks_remove(struct haruns *r, u32 i)
{
	r->nr--;
	memmove(&r->marks[i], &r->marks[i + 1], (r->nr - i) * sizeof(*r->marks));
}

/* Start a run at @pos: @state if there was none, else it changes to it. */
static void marks_put(struct haruns *r, u32 pos, enum haruns_state state)
{
	u32 i = marks_find(r, pos);

	if (mark_start(r->marks[i]) == pos)
		r->marks[i] = mark(pos, state);
	else
		marks_insert(r, i + 1, mark(pos, state));
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

/* The first start at or behind @pos, or the end of the slab. */
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

/* ---- both forms ---- */

static bool is_map(const struct haruns *r)
{
	return !r->cap;
}

/* For walks: @i is the number of the mark or the position, 0 at first. */
static bool next_run(const struct haruns *r, u32 *i, struct haruns_run *run)
{
	u32 end;

	if (is_map(r)) {
		if (*i >= r->nr_blocks)
			return false;
		end = map_next_start(r, *i + 1);
		*run = (struct haruns_run) { *i, end - *i, map_state(r, *i) };
		*i = end;
		return true;
	}
	if (*i >= r->nr)
		return false;
	run->start = mark_start(r->marks[*i]);
	run->state = mark_state(r->marks[*i]);
	run->len = mark_end(r, *i) - run->start;
	++*i;
	return true;
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
	struct haruns_run run;
	u32 i = is_map(r) ? map_run_start(r, pos) : marks_find(r, pos);

	next_run(r, &i, &run);
	return run;
}

static void put_start(struct haruns *r, u32 pos, enum haruns_state state)
{
	if (is_map(r))
		map_put(r, pos, state);
	else
		marks_put(r, pos, state);
}

static void drop_start(struct haruns *r, u32 pos)
{
	if (is_map(r)) {
		map_set(r->map, pos, 0);
		r->nr--;
	} else {
		marks_remove(r, marks_find(r, pos));
	}
}

/**
 * haruns_init - one free run
 * @r: the runs
 * @nr_blocks: size of the slab, at most HARUNS_MAX_BLOCKS
 * @mem: account
 * @op: memory
 *
 * Return: 0 or -ENOMEM.
 */
int haruns_init(struct haruns *r, u32 nr_blocks, struct hamem *mem, struct hamem_op *op)
{
	r->marks = hamem_get(mem, op, FIRST_CAP * sizeof(*r->marks));
	if (!r->marks)
		return -ENOMEM;
	r->cap = FIRST_CAP;
	r->nr = 1;
	r->marks[0] = mark(0, HARUNS_FREE);
	r->nr_blocks = nr_blocks;
	r->nr_free = nr_blocks;
	r->max_free = nr_blocks;
	return 0;
}

/**
 * haruns_destroy - give the memory back
 * @r: the runs
 * @mem: account
 */
void haruns_destroy(struct haruns *r, struct hamem *mem)
{
	hamem_put(mem, r->marks);
	r->marks = NULL;
}

static int to_map(struct haruns *r, struct hamem *mem, struct hamem_op *op)
{
	u64 *map = hamem_get(mem, op, DIV_ROUND_UP(r->nr_blocks, MAP_PER_WORD) * sizeof(*map));
	u32 i;

	if (!map)
		return -ENOMEM;
	for (i = 0; i < r->nr; i++)
		map_set(map, mark_start(r->marks[i]), mark_state(r->marks[i]));
	hamem_put(mem, r->marks);
	r->map = map;
	r->cap = 0;
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
	u32 cap = r->cap;
	u16 *marks;

	if (is_map(r) || r->nr + nr <= cap)
		return 0;
	while (cap < r->nr + nr)
		cap *= 2;
	if (cap > MAX_CAP)
		return to_map(r, mem, op);
	marks = hamem_get(mem, op, cap * sizeof(*marks));
	if (!marks)
		return -ENOMEM;
	memcpy(marks, r->marks, r->nr * sizeof(*marks));
	hamem_put(mem, r->marks);
	r->marks = marks;
	r->cap = cap;
	return 0;
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
	struct haruns_run run;
	u32 i = 0;

	r->max_free = 0;
	r->others_free = 0;
	while (next_run(r, &i, &run))
		if (run.state == HARUNS_FREE)
			note_free(r, run.len);
}

/**
 * haruns_set - make an extent out of free blocks
 * @r: the runs, with room for two more (haruns_reserve())
 * @start: first block
 * @len: number of blocks; they lie in one free run
 * @state: of the extent
 */
void haruns_set(struct haruns *r, u32 start, u32 len, enum haruns_state state)
{
	struct haruns_run old = haruns_at(r, start);
	u32 before = start - old.start, behind = old.len - before - len;

	if (behind)
		put_start(r, start + len, HARUNS_FREE);
	put_start(r, start, state);
	r->nr_free -= len;
	if (old.len < r->max_free)
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
 * @start: first block of the extent
 *
 * Merges it with the free runs beside it.
 */
void haruns_clear(struct haruns *r, u32 start)
{
	struct haruns_run run = haruns_at(r, start), other;
	u32 end = start + run.len;

	r->nr_free += run.len;
	put_start(r, start, HARUNS_FREE);
	if (end < r->nr_blocks) {
		other = haruns_at(r, end);
		if (other.state == HARUNS_FREE) {
			drop_start(r, end);
			run.len += other.len;
		}
	}
	if (start) {
		other = haruns_at(r, start - 1);
		if (other.state == HARUNS_FREE) {
			drop_start(r, start);
			run.len += other.len;
		}
	}
	note_free(r, run.len);
}

/**
 * haruns_best_fit - the smallest free run that an extent fits in
 * @r: the runs
 * @len: of the extent
 * @base: position of the slab, to which @align refers
 * @align: a power of two
 * @start: out: where in the slab the extent would start
 *
 * Return: whether there is one.
 */
bool haruns_best_fit(const struct haruns *r, u32 len, u64 base, u64 align, u32 *start)
{
	u32 i = 0, skip, best = U32_MAX;
	struct haruns_run run;

	if (len > r->max_free)
		return false;
	while (next_run(r, &i, &run)) {
		if (run.state != HARUNS_FREE || run.len < len || run.len >= best)
			continue;
		skip = -(base + run.start) & (align - 1);
		if (skip > run.len - len)
			continue;
		best = run.len;
		*start = run.start + skip;
		if (best == len)
			break;
	}
	return best != U32_MAX;
}

/**
 * haruns_check - verify every invariant, naively
 * @r: the runs
 *
 * Return: whether all hold.
 */
bool haruns_check(const struct haruns *r)
{
	u32 i = 0, nr = 0, pos = 0, nr_free = 0;
	enum haruns_state last = HARUNS_LIVE;
	struct haruns known = *r;
	struct haruns_run run;

	note_all_free(&known);
	if (!is_map(r) && r->nr > r->cap)
		return false;
	while (next_run(r, &i, &run)) {
		if (run.start != pos || !run.len || !run.state ||
		    (run.state == HARUNS_FREE && last == HARUNS_FREE))
			return false;
		pos += run.len;
		nr++;
		last = run.state;
		if (run.state == HARUNS_FREE)
			nr_free += run.len;
	}
	return pos == r->nr_blocks && nr == r->nr && nr_free == r->nr_free &&
	       known.max_free == r->max_free && known.others_free <= r->others_free;
}
