// SPDX-License-Identifier: GPL-2.0
/*
 * Extents at given places: claims, and allocations with a goal. See slab.c for the whole layer.
 *
 * Any blocks that are free can become an extent, whatever they lie in: a slab of equal objects in
 * the way is dissolved. Whether objects of it are in use only because pools have them, the slow
 * mode of the pool layer tells. A claim asks for one range and takes it or fails. A goal is a wish:
 * what looks for it here takes one of the next free runs, and leaves slabs alone (append.c does
 * not).
 */
#include <linux/errno.h>
#include <linux/kernel.h>

#include "slab/runs_hit.h"
#include "slab/internal.h"

/* How many runs, slabs and slots to look at near a goal; see haslab_steps(). */
#define NEAR_STEPS	384
#define NEAR_DIRS	4	/* how far from it, in dirs */

/* 0: it is free. -EAGAIN: the answer may change in the slow mode, with the pools empty. */
static int haslab_range_is_free(struct haslab *s, u64 start, u64 len, bool pools_empty)
{
	u64 pos = start, end;

	while (pos < start + len) {
		if (!pools_empty && haslab_slab_at(s, pos))
			return -EAGAIN;
		if (!haslab_stretch(s, pos, &end))
			return pools_empty ? -EEXIST : -EAGAIN;
		pos = end;
	}
	return 0;
}

static int haslab_claim_locked(struct haslab *s, u64 start, u64 len, bool pools_empty,
			       struct hamem_op *op)
{
	/* others keep slots faster than they can be given back: later */
	if (haslab_is_huge(s, len) && !haslab_empty_put_all(s))
		return -EAGAIN;
	return haslab_range_is_free(s, start, len, pools_empty) ?:
	       haslab_extent_take(s, start, len, op);
}

/**
 * haslab_claim - make a live extent of a given range
 * @s: the slab allocator
 * @start: first block
 * @len: number of blocks; all inside the device
 * @pools_empty: they are closed, too: the caller is in the slow mode of the pool layer
 * @gfp: how to wait for memory
 * Context: process context; may sleep if @gfp lets it.
 * Return: 0; -EEXIST (part of) it is taken; -EAGAIN only the slow mode can tell or, in that
 * mode, the caller tries again in a moment; -ENOMEM.
 */
int haslab_claim(struct haslab *s, u64 start, u64 len, bool pools_empty, gfp_t gfp)
{
	struct hamem_op op = HAMEM_OP(gfp);
	struct haslab_walk w;
	int ret;

	do {
		ret = -EEXIST;
		if (haslab_is_huge(s, len))
			haslab_drain(s);
		haslab_walk_start(&w, s, start, start + len, HASLAB_WALK_WHOLE);
		if (haslab_walk_next(&w))
			ret = haslab_claim_locked(s, start, len, pools_empty, &op);
		haslab_walk_end(&w);
	} while (hamem_again(&op, ret));
	return ret;
}

/*
 * From @pos on, where a free run of @len blocks that matters for a goal can begin at the earliest,
 * as far as one look at the dir, the slot or the slab tells.
 */
static u64 haslab_near_skip(struct haslab *s, u64 pos, u64 len)
{
	const struct haslab_mixed *m = mixed_slot(s, slot_of(s, pos));
	struct haslab_dir *dir = map_dir(s, pos);
	struct haslab_slab *slab;

	haslab_sums_settle(s, pos);
	if (s->sums.dirs[dir_of(s, pos)] == HASLAB_SUM_KEPT && dir->longest < len)
		return max(pos, min(round_down(pos, dir_blocks(s)) + dir_blocks(s),
				    s->cfg.nr_blocks) - dir->trail);
	if (m && m->runs.nr_known == slot_blocks(s) && haruns_longest(&m->runs) < len)
		return max(pos, slot_start(s, slot_of(s, pos) + 1) - haruns_trail(&m->runs));
	slab = haslab_slab_at(s, pos);
	return slab ? slab_end(slab) : pos;
}

/*
 * Look for the end of the free run at @pos, but not further than @enough blocks. @next is the end
 * of its first stretch; out: the end of the last one that was looked at, which may be not free.
 * Return: the length of the run.
 */
static u64 haslab_near_run(struct haslab *s, u64 pos, u64 enough, int *steps, u64 *next)
{
	u64 end;

	do {
		end = *next;
		*steps -= 2;
	} while (end < s->cfg.nr_blocks && end - pos < enough && haslab_stretch(s, end, next));
	return end - pos;
}

/*
 * Allocate from a free run that begins in this hold, or -ENOSPC: none fits. Uses up @steps: two
 * for a stretch, as it may take a way down the tree of the buddy.
 */
static int haslab_near_locked(struct haslab_walk *w, u64 len, u64 align, int *steps,
			      struct hamem_op *op, u64 *start)
{
	struct haslab *s = w->s;
	u64 next, size, skip;

	if (haslab_is_huge(s, len + align) && !haslab_empty_put_all(s))
		return -ENOSPC;
	for (; *steps > 0 && w->pos < w->end; w->pos = next) {
		ha_step(1);
		(*steps)--;
		next = haslab_near_skip(s, w->pos, len);
		if (next > w->pos)
			continue;
		(*steps)--;
		if (!haslab_stretch(s, w->pos, &next))
			continue;
		size = haslab_near_run(s, w->pos, len + align, steps, &next);
		skip = haslab_skip(w->pos, align);
		*start = w->pos + skip;
		if (size >= len && size - len >= skip &&
		    !haslab_range_is_free(s, *start, len, false))
			return haslab_extent_take(s, *start, len, op);
	}
	return -ENOSPC;
}

/* Allocate from a free run that begins at @pos or later, but before @limit. */
static int haslab_alloc_between(struct haslab *s, u64 len, u64 align, u64 pos, u64 limit, gfp_t gfp,
				u64 *start)
{
	struct hamem_op op = HAMEM_OP(gfp);
	struct haslab_walk w;
	int steps;
	int ret;

	do {
		steps = haslab_steps(s, NEAR_STEPS);
		ret = -ENOSPC;
		if (haslab_is_huge(s, len + align))
			haslab_drain(s);
		haslab_walk_start(&w, s, pos, limit,
				  gfpflags_allow_blocking(gfp) ? 0 : HASLAB_WALK_NOWAIT);
		while (ret == -ENOSPC && steps > 0 && haslab_walk_next(&w))
			ret = haslab_near_locked(&w, len, align, &steps, &op, start);
		haslab_walk_end(&w);
	} while (hamem_again(&op, ret));
	return ret;
}

/* Allocate at @pos. Return: 0; -ENOSPC it is not free, or lies in slabs; -ENOMEM. */
int haslab_alloc_exact(struct haslab *s, u64 len, u64 pos, gfp_t gfp)
{
	u64 start;

	return haslab_alloc_between(s, len, 1, pos, pos + 1, gfp, &start);
}

/**
 * haslab_alloc_near - allocate at a given place, or soon after it
 * @s: the slab allocator
 * @len: number of blocks
 * @align: of its start, in blocks
 * @goal: the place
 * @gfp: how to wait for memory
 * @start: out: its first block
 *
 * Takes a bounded number of looks within 4 GiB. A look tells of a free run and what comes before
 * it in its slot, or passes over a slab, or over a slot or a dir in which none is long enough.
 * Context: process context; may sleep if @gfp lets it.
 * Return: 0; -ENOSPC there is nothing near it; -ENOMEM.
 */
int haslab_alloc_near(struct haslab *s, u64 len, u64 align, u64 goal, gfp_t gfp, u64 *start)
{
	return haslab_alloc_between(s, len, align, goal, goal + NEAR_DIRS * dir_blocks(s), gfp,
				    start);
}
