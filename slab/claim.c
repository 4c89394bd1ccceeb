// SPDX-License-Identifier: GPL-2.0
/*
 * Extents at given places: claims, and allocations with a goal. See slab.c for the whole layer.
 *
 * Any blocks that are free can become an extent, whatever they lie in: a slab of equal objects in
 * the way is turned into a part of a mixed slot. That needs the pool layer's slow mode, in which
 * no object is CACHED. A claim asks for one range and takes it or fails. A goal is a wish: it
 * takes one of the next free runs, and leaves slabs alone.
 */
#include <linux/errno.h>
#include <linux/kernel.h>

#include "slab/internal.h"

#define NEAR_TRIES	64	/* how many free runs to look at near a goal */
#define NEAR_DIRS	4	/* how far from it, in dirs */

/* 0: it is free. -EAGAIN: the answer may change in the slow mode, with the pools empty. */
static int haslab_range_is_free(struct haslab *s, u64 start, u64 len, bool pools_empty)
{
	u64 pos = start, end;

	while (pos < start + len) {
		if (!pools_empty && haslab_lookup(s, pos))
			return -EAGAIN;
		if (!haslab_stretch(s, pos, &end))
			return pools_empty ? -EEXIST : -EAGAIN;
		pos = end;
	}
	return 0;
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
		haslab_walk_start(&w, s, start, start + len, HASLAB_WALK_WHOLE);
		if (haslab_walk_next(&w))
			ret = haslab_range_is_free(s, start, len, pools_empty) ?:
			      haslab_extent_take(s, start, len, &op);
		haslab_walk_end(&w);
	} while (hamem_again(&op, ret));
	return ret;
}

/* Allocate from a free run that begins in this hold, or -ENOSPC: none fits. Uses up @tries. */
static int haslab_near_locked(struct haslab_walk *w, u64 len, u64 align, u32 *tries,
			      struct hamem_op *op, u64 *start)
{
	struct haslab *s = w->s;
	u64 size, skip;

	while (*tries && haslab_next_run(s, w->pos, w->end, len + align, start, &size)) {
		(*tries)--;
		w->pos = *start + size;
		skip = -*start & (align - 1);
		*start += skip;
		if (size >= len && size - len >= skip &&
		    !haslab_range_is_free(s, *start, len, false))
			return haslab_extent_take(s, *start, len, op);
	}
	w->pos = max(w->pos, w->end);
	return -ENOSPC;
}

/**
 * haslab_alloc_near - allocate at a given place, or soon after it
 * @s: the slab allocator
 * @len: number of blocks
 * @align: of its start, a power of two, in blocks
 * @goal: the place
 * @gfp: how to wait for memory
 * @start: out: its first block
 *
 * Looks at a bounded number of free runs within 4 GiB.
 * Context: process context; may sleep if @gfp lets it.
 * Return: 0; -ENOSPC there is nothing near it; -ENOMEM.
 */
int haslab_alloc_near(struct haslab *s, u64 len, u64 align, u64 goal, gfp_t gfp, u64 *start)
{
	struct hamem_op op = HAMEM_OP(gfp);
	struct haslab_walk w;
	u32 tries;
	int ret;

	do {
		tries = NEAR_TRIES;
		ret = -ENOSPC;
		haslab_walk_start(&w, s, goal, goal + NEAR_DIRS * dir_blocks(s),
				  gfpflags_allow_blocking(gfp) ? 0 : HASLAB_WALK_NOWAIT);
		while (ret == -ENOSPC && tries && haslab_walk_next(&w))
			ret = haslab_near_locked(&w, len, align, &tries, &op, start);
		haslab_walk_end(&w);
	} while (hamem_again(&op, ret));
	return ret;
}
