/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the loader share: see load.c for its design. */
#ifndef _HYBRID_ALLOC_SLAB_LOAD_H
#define _HYBRID_ALLOC_SLAB_LOAD_H

#include "slab/runs_hit.h"
#include "slab/internal.h"

/* As many extents as are looked at together, at most. */
#define LOAD_EXTENTS	1024
/* Extents that a slab is made for, at least. */
#define LOAD_OBJECTS	8

/* A load, in one hold of the lock of a group. */
struct haslab_load {
	struct haslab *s;
	struct haslab_group *g;
	struct hamem_op *op;
	const struct haslab_range *x;	/* the extents that are left */
	u32 nr;				/* how many */
	int steps;			/* that this hold still has */
};

/* The hold has taken so many steps. */
static inline void haslab_load_spend(struct haslab_load *l, u32 steps)
{
	ha_step(steps);
	l->steps -= steps;
}

static inline u64 haslab_range_end(const struct haslab_range *x)
{
	return x->start + x->len;
}

/* The bits of all units of a slot. */
static inline u64 haslab_load_all_units(const struct haslab *s)
{
	return ~0ULL >> (64 - haslab_slot_units(s));
}

/* Whether an extent is to be a block of the buddy. */
static inline bool haslab_load_is_block(const struct haslab *s, const struct haslab_range *x)
{
	int class;

	if (x->len < unit_blocks(s) || !is_block(s, x->start, x->len))
		return false;
	class = haslab_class_of(s, x->len);
	return class >= 0 && s->classes[class].kind == HASLAB_FROM_BUDDY;
}

/* Of a slot whose runs are written from one end to the other. */
struct haslab_load_runs {
	struct haruns *r;
	u64 base;		/* the first block of the slot */
	u64 units;		/* of the mixed part */
	bool whole;		/* these are all units of the slot */
	u32 unit_shift;
	u32 pos;		/* the runs before this block are there */
	/* of the free runs that were written: the first and last of the slot, the longest other */
	u32 lead, trail, inner;
};

/* The longest of them. */
static inline u32 haslab_load_longest(const struct haslab_load_runs *b)
{
	return max3(b->lead, b->trail, b->inner);
}

void haslab_load_write(struct haslab_load_runs *b, const struct haslab_range *x, u32 nr);
int haslab_load_sweep(struct haslab_load *l, struct haslab_mixed *into);

#endif
