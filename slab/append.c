// SPDX-License-Identifier: GPL-2.0
/*
 * Extents right behind others: files, logs and whatever else grows by allocations with a goal. See
 * slab.c for the layer as a whole.
 *
 * A goal that is free is met, in a mixed part or in a slab of the size's own class with the lock
 * of one group.
 *
 * When it is taken, the place matters: of several files that grow by turns, each would get the
 * first hole behind its end, which is right behind the last extent of another one, and then none
 * of them could go on. So an extent that continues a live one gets the start of a window, which is
 * a buddy block of up to 4 MiB that becomes part of a mixed slot. Its file goes on there by goals
 * that are met. A window is no reservation: what is free in it is anybody's.
 *
 * Not each goal is that of a file that goes on. So a group remembers its last windows, and when it
 * needs one it looks at the oldest first: if nothing was put behind what it put there last, that
 * place is taken. So windows that are not used are filled up, and never more than a few are open:
 * HASLAB_NR_WINDOWS in a group, which from 1 GiB a group up are a 32nd of the device together.
 */
#include <linux/errno.h>
#include <linux/kernel.h>

#include "slab/runs_hit.h"
#include "slab/internal.h"

/*
 * A window is at most a slot, 2^10 blocks, and this fraction of a group's share of the device
 * (log2); or a unit, if the share has so many.
 */
#define WINDOW_ORDER		10
#define WINDOW_SHARE		10
#define WINDOW_MIN_UNITS	64
/* A window has room for so many extents of the length that it is made for, at least. */
#define WINDOW_EXTENTS	4
/* How far behind the goal a free block is looked for, in units, and how many runs are tried. */
#define WINDOW_UNITS	HABUDDY_FANOUT
#define WINDOW_TRIES	8
/* How far from the goal a window may be that was made for another one, in dirs. */
#define WINDOW_DIRS	4

/* ---- an extent at its goal ---- */

/*
 * Take the blocks at @pos, with the lock of @g. Return: 0; -ENOSPC they are not free, or it takes
 * another lock; -ENOMEM; -EAGAIN a look at more than one place can tell.
 */
static int haslab_take_at(struct haslab *s, struct haslab_group *g, int class, u32 len, u64 pos,
			  struct hamem_op *op)
{
	struct haslab_mixed *m = mixed_at(s, pos);
	struct haslab_slab *slab;
	struct haslab_ref ref;
	struct haruns_run run;
	u64 end;

	ha_step(1);
	if (m) {
		if (!mixed_is_of(s, m, g))
			return -ENOSPC;
		run = mixed_run(s, m, pos);
		end = run_start(s, pos, &run) + run.len;
		if (run.state != HARUNS_FREE)
			return -ENOSPC;
		if (end - pos >= len)
			return haslab_mixed_set(s, pos, len, HARUNS_LIVE, op);
		return end == haslab_units_end(s, m, pos) ? -EAGAIN : -ENOSPC;
	}
	slab = haslab_lookup(s, pos);
	if (!slab)
		return -EAGAIN;
	if (slab_group(s, slab) != g || slab->class != class)
		return -ENOSPC;
	if (!haslab_objects_take(s, slab, pos, &ref, 1))
		return -ENOSPC;
	haslab_own(&ref);
	return 0;
}

/**
 * haslab_get_objects_at - a batch for a pool that begins at a given place
 * @s: the slab allocator
 * @class: the common size
 * @start: where the first one should begin; any block
 * @refs: out: free objects in a row; they are CACHED now. The first is last
 * @nr: how many are wanted
 *
 * Context: process context. Return: how many there are; 0: none is at @start.
 */
int haslab_get_objects_at(struct haslab *s, int class, u64 start, struct haslab_ref *refs, int nr)
{
	struct haslab_slab *slab;
	struct haslab_group *g;
	int got = 0;

	if (start >= READ_ONCE(s->cfg.nr_blocks))
		return 0;
	g = haslab_lock_group_at(s, start);
	slab = haslab_slab_at(s, start);
	if (slab && slab_group(s, slab) == g && slab->class == class)
		got = haslab_objects_take(s, slab, start, refs, nr);
	haslab_unlock_group(g);
	return got;
}

static int haslab_alloc_at(struct haslab *s, int class, u64 len, u64 pos, struct hamem_op *op)
{
	struct haslab_group *g;
	int ret;

	if (len > slot_blocks(s))
		return -EAGAIN;
	do {
		g = haslab_lock_group_at(s, pos);
		ret = haslab_take_at(s, g, class, len, pos, op);
		haslab_unlock_group(g);
	} while (hamem_again(op, ret));
	return ret;
}

/* ---- windows ---- */

/* The order of a window in units, or -1: the device is too small for windows. */
static int haslab_window_order(const struct haslab *s)
{
	u64 share = div_u64(READ_ONCE(s->cfg.nr_blocks) - s->cfg.first_block, s->nr_groups) >>
		    s->cfg.unit_shift;
	int order = min_t(int, ilog2(max_t(u64, share >> WINDOW_SHARE, 1)),
			  min_t(int, WINDOW_ORDER, s->slot_shift) - (int)s->cfg.unit_shift);

	return share < WINDOW_MIN_UNITS ? -1 : order;
}

static void haslab_space_lock(struct haslab *s) __acquires(&s->space_lock)
{
	spin_lock(&s->space_lock);
	ha_hold_begin(HA_LOCK_SPACE);
}

static void haslab_space_unlock(struct haslab *s) __releases(&s->space_lock)
{
	ha_hold_end(HA_LOCK_SPACE);
	spin_unlock(&s->space_lock);
}

/* Whether a unit is not free, and the next one begins at @pos. */
static bool haslab_unit_ends(struct haslab *s, u64 pos)
{
	bool is_free;

	if (!IS_ALIGNED(pos, unit_blocks(s)))
		return false;
	haslab_space_lock(s);
	is_free = habuddy_free_order(&s->buddy, (pos - 1) >> s->cfg.unit_shift) >= 0;
	haslab_space_unlock(s);
	return !is_free;
}

static bool haslab_object_ends(const struct haslab *s, const struct haslab_slab *slab, u64 pos)
{
	u32 i = object_of(s, slab, pos - 1);

	return object_start(s, slab, i + 1) == pos && test_bit(i, slab->live);
}

static bool haslab_mixed_ends(const struct haslab *s, const struct haslab_mixed *m, u64 pos)
{
	struct haruns_run run = mixed_run(s, m, pos - 1);

	return run.state != HARUNS_FREE && run_start(s, pos - 1, &run) + run.len == pos;
}

/* Whether a live extent, or something else that is not free, ends at @pos. */
static bool haslab_continues(struct haslab *s, u64 pos)
{
	struct haslab_mixed *m;
	struct haslab_slab *slab;
	struct haslab_group *g;
	bool ends;

	if (pos <= s->cfg.first_block)
		return false;
	g = haslab_lock_group_at(s, pos - 1);
	m = mixed_at(s, pos - 1);
	slab = haslab_lookup(s, pos - 1);
	if (m)
		ends = mixed_is_of(s, m, g) && haslab_mixed_ends(s, m, pos);
	else if (slab)
		ends = slab_group(s, slab) == g && haslab_object_ends(s, slab, pos);
	else
		ends = haslab_unit_ends(s, pos);
	haslab_unlock_group(g);
	return ends;
}

/* Find a free, aligned block of @nr units behind @from. */
static bool haslab_window_find(struct haslab *s, u64 from, u64 nr, u64 *found)
{
	u64 unit = from, end = from + WINDOW_UNITS, len;
	unsigned int tries = WINDOW_TRIES;
	bool fits = false;

	haslab_space_lock(s);
	while (tries-- && habuddy_next_free(&s->buddy, unit, end, &unit, &len)) {
		*found = round_up(unit, nr);
		fits = *found + nr <= unit + len;
		if (fits)
			break;
		unit += len;
	}
	haslab_space_unlock(s);
	return fits;
}

/*
 * A free block of @order, behind the goal if there is one not far away. Return: 0; -ENOSPC;
 * -ENOMEM.
 */
static int haslab_window_take(struct haslab *s, unsigned int order, u64 goal, struct hamem_op *op,
			      u64 *start)
{
	u64 found;
	int ret = -EEXIST;

	if (haslab_window_find(s, goal >> s->cfg.unit_shift, 1ULL << order, &found)) {
		*start = found << s->cfg.unit_shift;
		ret = haslab_buddy_take(s, *start, (u64)unit_blocks(s) << order, op);
	}
	/* none is near, or another task has taken it */
	return ret == -EEXIST ? haslab_buddy_alloc(s, order, op, start) : ret;
}

/*
 * A block of up to 2^@order units becomes a window. -ENOSPC also if the block found is in a slot of
 * another group.
 */
static int haslab_window_make(struct haslab *s, struct haslab_group *g, int order, int min_order,
			      u64 goal, struct hamem_op *op, struct haslab_window *w)
{
	int ret = haslab_window_take(s, order, goal, op, &w->start);

	if (ret == -ENOSPC) {
		order = haslab_buddy_some(s, order - 1, min_order, op, &w->start);
		ret = min(order, 0);
	}
	if (ret)
		return ret;
	w->len = unit_blocks(s) << order;
	ret = haslab_mixed_add(s, g, w->start, w->len, 0, op);
	if (ret)
		haslab_buddy_free(s, w->start, order);
	return ret == -EBUSY ? -ENOSPC : ret;
}

/* The longest run of an entry of the index that lies in one slot. False if there is none. */
static bool haslab_entry_longest(const struct haslab *s, u32 entry, u32 *slot,
				 struct haruns_run *run)
{
	const struct haruns *r, *next;
	u32 others;

	*slot = entry_slot(entry);
	r = &mixed_of(s, *slot)->runs;
	if (!entry_is_joined(entry))
		return haruns_best_fit(r, r->max_free, 1, run, &others);
	*run = haruns_trail_run(r);
	next = &mixed_of(s, *slot + 1)->runs;
	if (haruns_lead(next) > run->len) {
		*run = haruns_recorded(next, 0);
		++*slot;
	}
	return true;
}

/*
 * The second half of the longest free run that a group has in mixed slots: another file may be
 * going on in the first. Return: whether it is as long as @least.
 */
static bool haslab_window_split(struct haslab *s, struct haslab_group *g, u32 least,
				struct haslab_window *w)
{
	u32 bucket = find_last_bit(g->mixed_mask, HASLAB_NR_BUCKETS), slot;
	struct haruns_run run;

	if (bucket == HASLAB_NR_BUCKETS ||
	    !haslab_entry_longest(s, g->mixed[bucket], &slot, &run) || run.len / 2 < least)
		return false;
	w->start = slot_start(s, slot) + run.start + run.len / 2;
	w->len = run.len - run.len / 2;
	return true;
}

/* A new window of a group. */
static int haslab_window_open(struct haslab *s, struct haslab_group *g, int order, u32 len,
			      u64 goal, struct hamem_op *op, struct haslab_window *w)
{
	u32 least = len * WINDOW_EXTENTS;
	int min_order = max(order_base_2(least) - (int)s->cfg.unit_shift, 0);
	int ret = haslab_window_make(s, g, order, order, goal, op, w);

	if (ret == -ENOSPC && haslab_window_split(s, g, least, w))
		ret = 0;
	if (ret == -ENOSPC && order > min_order)
		ret = haslab_window_make(s, g, order - 1, min_order, goal, op, w);
	if (ret)
		return ret;
	ret = haslab_mixed_set(s, w->start, len, HARUNS_LIVE, op);
	if (ret)
		haslab_mixed_settle(s, slot_of(s, w->start));
	return ret;
}

/* If nothing was put behind the last extent of a window, take @len blocks there. */
static bool haslab_window_reuse(struct haslab *s, struct haslab_group *g,
				const struct haslab_window *w, u32 len, u64 goal,
				struct hamem_op *op)
{
	u64 far = WINDOW_DIRS * dir_blocks(s);

	return w->len >= len && w->start + far > goal && w->start < goal + far &&
	       !haslab_take_at(s, g, HASLAB_NR_CLASSES, len, w->start, op);
}

static int haslab_window_alloc_locked(struct haslab *s, struct haslab_group *g, unsigned int order,
				      u32 len, u64 goal, struct hamem_op *op, u64 *start)
{
	u32 i = g->oldest_window;
	struct haslab_window *w = &g->windows[i];
	int ret;

	haslab_assert_group(s, g);
	if (!haslab_window_reuse(s, g, w, len, goal, op)) {
		w->len = 0;
		ret = haslab_window_open(s, g, order, len, goal, op, w);
		if (ret)
			return ret;
	}
	*start = w->start;
	w->start += len;
	w->len -= len;
	g->oldest_window = (i + 1) % HASLAB_NR_WINDOWS;
	return 0;
}

/* Allocate in a window. -ENOSPC: this extent needs none, or there is no block for one. */
static int haslab_window_alloc(struct haslab *s, u64 len, u64 goal, struct hamem_op *op, u64 *start)
{
	struct haslab_group *g = haslab_own_group(s);
	int order = haslab_window_order(s), ret;

	if (order < 0 || len * WINDOW_EXTENTS > (u64)unit_blocks(s) << order ||
	    !haslab_continues(s, goal))
		return -ENOSPC;
	do {
		haslab_lock_group(s, g);
		ret = haslab_window_alloc_locked(s, g, order, len, goal, op, start);
		haslab_unlock_group(g);
	} while (hamem_again(op, ret));
	return ret;
}

/**
 * haslab_alloc_goal - allocate at a given place, or where it can go on
 * @s: the slab allocator
 * @class: the common size, if objects of it may be taken, or -1
 * @len: number of blocks
 * @align: of its start, in blocks
 * @goal: the place
 * @gfp: how to wait for memory
 * @start: out: its first block
 *
 * Context: process context; may sleep if @gfp lets it. Return: 0; -ENOSPC there is nothing at the
 * goal or near it; -ENOMEM.
 */
int haslab_alloc_goal(struct haslab *s, int class, u64 len, u64 align, u64 goal, gfp_t gfp,
		      u64 *start)
{
	u64 end = READ_ONCE(s->cfg.nr_blocks), pos = goal + haslab_skip(goal, align);
	struct hamem_op op = HAMEM_OP(gfp);
	int ret = -ENOSPC;

	if (pos < goal || pos >= end || len > end - pos)
		return haslab_alloc_near(s, len, align, goal, gfp, start);
	/* pairs with smp_mb() in haslab_grow_locked(): the tables cover what is before the end */
	smp_rmb();
	*start = pos;
	ret = haslab_alloc_at(s, class, len, pos, &op);
	if (ret == -EAGAIN)
		ret = haslab_alloc_exact(s, len, pos, gfp);
	if (ret == -ENOSPC && align == 1)
		ret = haslab_window_alloc(s, len, goal, &op, start);
	return ret == -ENOSPC ? haslab_alloc_near(s, len, align, goal, gfp, start) : ret;
}
