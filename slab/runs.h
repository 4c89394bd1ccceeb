/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The runs of one slot. Part of the slab layer. See runs.c for the design. Positions and lengths
 * are in blocks; positions are relative to the slot.
 */
#ifndef _HYBRID_ALLOC_RUNS_H
#define _HYBRID_ALLOC_RUNS_H

#include <linux/types.h>
#include "mem.h"

#define HARUNS_MAX_SHIFT	12
#define HARUNS_MAX_BLOCKS	(1U << HARUNS_MAX_SHIFT)

/* As many marks as let struct haslab_mixed be one cache line. */
#define HARUNS_INLINE		20
/* Marks in a word of 64 bits, which are compared at the same time. */
#define HARUNS_PER_WORD		4

enum haruns_state {
	HARUNS_FREE = 1,
	HARUNS_LIVE = 2,	/* an extent */
	HARUNS_SPECIAL = 3,	/* the slab layer knows what it is */
};

/* A run. */
struct haruns_run {
	u32 start;		/* first block */
	u32 len;		/* number of blocks */
	enum haruns_state state;
	u32 at;			/* the number of its mark, or its start in the bitmap form */
};

/* The free runs of a part of a slot. */
struct haruns_sum {
	u32 lead;		/* free blocks at its start */
	u32 longest;		/* the longest free run */
	u32 trail;		/* free blocks at its end */
	u32 usable;		/* the longest extent of the wanted alignment */
};

/*
 * In haruns.tag: the free run at the start of the slot, or at its end, is a part of one that goes
 * on beyond it. It is not looked at for a best fit, and not counted in haruns.max_free.
 */
#define HARUNS_LEAD_APART	0x40
#define HARUNS_TRAIL_APART	0x80
#define HARUNS_APART		(HARUNS_LEAD_APART | HARUNS_TRAIL_APART)

/* The runs of a slot. */
struct haruns {
	u16 nr;			/* number of runs */
	u16 cap;		/* size of the array of marks; 0 in the bitmap form */
	u16 nr_blocks;		/* size of the slot */
	u16 nr_known;		/* blocks that were added by haruns_add() */
	u16 nr_free;		/* free blocks */
	u16 max_free;		/* length of the longest free run that is not apart */
	u8 tag;			/* HARUNS_..._APART, and bits for the slab layer; 0 at first */
	u8 owner;		/* for the slab layer; never touched here */
	u16 joined;		/* for the slab layer; cleared by haruns_init() */
	union {
		u16 own[HARUNS_INLINE];	/* the marks, if cap is HARUNS_INLINE */
		u64 words[HARUNS_INLINE / HARUNS_PER_WORD];	/* the same, four to a word */
		u16 *marks;	/* the marks, if there are more */
		u64 *bitmap;	/* two bits a block, if cap is 0 */
	};
};

void haruns_init(struct haruns *r, u32 nr_blocks);
void haruns_destroy(struct haruns *r, struct hamem *mem);

int __must_check haruns_more(struct haruns *r, u32 nr, struct hamem *mem, struct hamem_op *op);

/* Whether it has the bitmap form, in which a look for a run may pass over 64 pairs of words. */
static inline bool haruns_is_bitmap(const struct haruns *r)
{
	return !r->cap;
}

/* Whether there are marks for @nr more runs. */
static inline bool haruns_has_room(const struct haruns *r, u32 nr)
{
	/* one mark more is the end mark */
	return r->nr + nr < r->cap;
}

/* Make room for @nr more runs. Return: 0, or -ENOMEM: nothing has changed. */
static inline int __must_check haruns_reserve(struct haruns *r, u32 nr, struct hamem *mem,
					      struct hamem_op *op)
{
	return likely(haruns_has_room(r, nr)) ? 0 : haruns_more(r, nr, mem, op);
}

/*
 * Whether haruns_shrink() would do something: the runs fit into half of the struct, so that they
 * do not grow out of it again at once.
 */
static inline bool haruns_can_shrink(const struct haruns *r)
{
	return r->cap != HARUNS_INLINE && r->nr <= HARUNS_INLINE / 2;
}

void haruns_shrink(struct haruns *r, struct hamem *mem);
void haruns_add(struct haruns *r, u32 start, u32 len);

struct haruns_run haruns_at(const struct haruns *r, u32 pos);
struct haruns_run haruns_recorded(const struct haruns *r, u32 at);
struct haruns_run haruns_last(const struct haruns *r);
bool haruns_next(const struct haruns *r, struct haruns_run *run);
u32 haruns_next_free(const struct haruns *r, const struct haruns_run *run);
bool haruns_marks_sum(const struct haruns *r, u32 from, u32 to, u32 align, struct haruns_sum *sum);
void haruns_free_map(const struct haruns *r, u32 from, u32 to, unsigned long *bits);
void haruns_special_map(const struct haruns *r, unsigned long *bits);
void haruns_restart(struct haruns *r, const struct haruns_run *run);
void haruns_bitmap_append(struct haruns *r, u32 start, enum haruns_state state);
bool haruns_fill(struct haruns *r, u32 start, const unsigned long *live, u32 nr, u32 blocks);
void haruns_recount(struct haruns *r);
void haruns_set_apart(struct haruns *r, u8 end, bool apart);
bool haruns_check(const struct haruns *r);

/* For runs_hit.h. */
struct haruns_look;
struct haruns_look haruns_look(const struct haruns *r, u32 len, u32 align);
void haruns_cut(struct haruns *r, struct haruns_run old, u32 start, u32 len,
		enum haruns_state state);
void haruns_join(struct haruns *r, u32 pos);
void haruns_grow(struct haruns *r, const struct haruns_run *run, u32 len);
struct haruns_run haruns_merge(struct haruns *r, u32 start, u32 len, u32 at);
struct haruns_run haruns_free_part(struct haruns *r, struct haruns_run old, u32 start, u32 len);

#endif
