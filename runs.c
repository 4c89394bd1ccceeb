// SPDX-License-Identifier: GPL-2.0
/*
 * The runs of one mixed slab.
 *
 * A slab is cut without gaps into runs: free runs, and extents. All there is
 * to know about a run is where it starts and what it is; it ends where the
 * next one starts. So the state is a sorted array of 16-bit marks, 14 bits of
 * position and 2 of state, and the first is always at 0. Two extents side by
 * side keep the mark between them, which is what makes the length of a free
 * checkable; two free runs side by side are always merged.
 *
 * An allocation adds at most two marks and a free adds none, so only
 * allocating can need memory. Everything is a search or a move within one
 * small array; the lock of the slab layer protects it.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "runs.h"

#define STATE_BITS	2
#define STATE_MASK	((1U << STATE_BITS) - 1)
#define FIRST_CAP	16	/* 32 bytes: enough for the few large extents of most slabs */

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

static u32 run_end(const struct haruns *r, u32 i)
{
	return i + 1 < r->nr ? mark_start(r->marks[i + 1]) : r->nr_blocks;
}

static u32 run_len(const struct haruns *r, u32 i)
{
	return run_end(r, i) - mark_start(r->marks[i]);
}

/* The run that @pos lies in: the last mark that does not start behind it. */
static u32 haruns_index(const struct haruns *r, u32 pos)
{
	u32 lo = 0, hi = r->nr;

	while (hi - lo > 1) {
		u32 mid = (lo + hi) / 2;

		if (mark_start(r->marks[mid]) <= pos)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

static void insert_mark(struct haruns *r, u32 i, u16 m)
{
	memmove(&r->marks[i + 1], &r->marks[i], (r->nr - i) * sizeof(*r->marks));
	r->marks[i] = m;
	r->nr++;
}

static void remove_mark(struct haruns *r, u32 i)
{
	r->nr--;
	memmove(&r->marks[i], &r->marks[i + 1], (r->nr - i) * sizeof(*r->marks));
}

static u32 largest_free(const struct haruns *r)
{
	u32 i, max_free = 0;

	for (i = 0; i < r->nr; i++)
		if (mark_state(r->marks[i]) == HARUNS_FREE)
			max_free = max(max_free, run_len(r, i));
	return max_free;
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

/**
 * haruns_reserve - make room for one more extent
 * @r: the runs
 * @mem: account
 * @op: memory
 *
 * Return: 0, the next haruns_set() has the memory it needs; -ENOMEM.
 */
int haruns_reserve(struct haruns *r, struct hamem *mem, struct hamem_op *op)
{
	u16 *marks;

	if (r->nr + 2 <= r->cap)
		return 0;
	marks = hamem_get(mem, op, 2 * r->cap * sizeof(*marks));
	if (!marks)
		return -ENOMEM;
	memcpy(marks, r->marks, r->nr * sizeof(*marks));
	hamem_put(mem, r->marks);
	r->marks = marks;
	r->cap *= 2;
	return 0;
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
	u32 i, best = U32_MAX;

	for (i = 0; i < r->nr; i++) {
		u32 at = mark_start(r->marks[i]), size = run_len(r, i);
		u64 skip = -(base + at) & (align - 1);

		if (mark_state(r->marks[i]) != HARUNS_FREE || size >= best || skip + len > size)
			continue;
		best = size;
		*start = at + skip;
		if (size == len)
			break;
	}
	return best != U32_MAX;
}

/**
 * haruns_set - make an extent out of free blocks
 * @r: the runs, after haruns_reserve()
 * @start: first block
 * @len: number of blocks; they lie in one free run
 * @state: of the extent
 */
void haruns_set(struct haruns *r, u32 start, u32 len, enum haruns_state state)
{
	u32 i = haruns_index(r, start);
	u32 from = mark_start(r->marks[i]), end = run_end(r, i);

	if (start + len < end)
		insert_mark(r, i + 1, mark(start + len, HARUNS_FREE));
	if (start > from)
		insert_mark(r, i + 1, mark(start, state));
	else
		r->marks[i] = mark(start, state);
	r->nr_free -= len;
	if (end - from == r->max_free)
		r->max_free = largest_free(r);
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
	u32 i = haruns_index(r, start);

	r->nr_free += run_len(r, i);
	r->marks[i] = mark(start, HARUNS_FREE);
	if (i + 1 < r->nr && mark_state(r->marks[i + 1]) == HARUNS_FREE)
		remove_mark(r, i + 1);
	if (i && mark_state(r->marks[i - 1]) == HARUNS_FREE)
		remove_mark(r, i--);
	r->max_free = max(r->max_free, run_len(r, i));
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
	u32 i = haruns_index(r, pos);

	return (struct haruns_run) {
		.start = mark_start(r->marks[i]),
		.len = run_len(r, i),
		.state = mark_state(r->marks[i]),
	};
}

/**
 * haruns_check - verify every invariant, naively
 * @r: the runs
 *
 * Return: whether all hold.
 */
bool haruns_check(const struct haruns *r)
{
	u32 i, nr_free = 0;

	if (!r->nr || r->nr > r->cap || mark_start(r->marks[0]))
		return false;
	for (i = 0; i < r->nr; i++) {
		if (mark_start(r->marks[i]) >= run_end(r, i) ||
		    mark_state(r->marks[i]) > HARUNS_SPECIAL)
			return false;
		if (mark_state(r->marks[i]) != HARUNS_FREE)
			continue;
		nr_free += run_len(r, i);
		if (i && mark_state(r->marks[i - 1]) == HARUNS_FREE)
			return false;
	}
	return nr_free == r->nr_free && largest_free(r) == r->max_free;
}
