/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The runs of one slot: which of its blocks are free, and where the extents in
 * it begin and end. Part of the slab layer. See runs.c for the design.
 *
 * Positions and lengths are in blocks; positions are relative to the slot.
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

/**
 * struct haruns_run - a run
 * @start: first block
 * @len: number of blocks
 * @state: what it is
 * @at: where it is recorded: the number of its mark, or its start in the bitmap form
 */
struct haruns_run {
	u32 start;
	u32 len;
	enum haruns_state state;
	u32 at;
};

/**
 * struct haruns - the runs of a slot
 * @nr: number of runs
 * @cap: size of the array of marks; 0 in the bitmap form
 * @nr_blocks: size of the slot
 * @nr_known: blocks that were added by haruns_add()
 * @nr_free: free blocks
 * @max_free: length of the longest free run
 * @tag: for the slab layer; cleared by haruns_init()
 * @owner: for the slab layer; never touched here
 * @own: the marks, if @cap is HARUNS_INLINE
 * @words: the same, four to a word
 * @marks: the marks, if there are more
 * @bitmap: two bits a block, if @cap is 0
 */
struct haruns {
	u16 nr;
	u16 cap;
	u16 nr_blocks;
	u16 nr_known;
	u16 nr_free;
	u16 max_free;
	u8 tag;
	u8 owner;
	union {
		u16 own[HARUNS_INLINE];
		u64 words[HARUNS_INLINE / HARUNS_PER_WORD];
		u16 *marks;
		u64 *bitmap;
	};
};

void haruns_init(struct haruns *r, u32 nr_blocks);
void haruns_destroy(struct haruns *r, struct hamem *mem);

int __must_check haruns_more(struct haruns *r, u32 nr, struct hamem *mem, struct hamem_op *op);

/* Make room for @nr more runs. Return: 0, or -ENOMEM: nothing has changed. */
static inline int __must_check haruns_reserve(struct haruns *r, u32 nr, struct hamem *mem,
					      struct hamem_op *op)
{
	/* one mark more is the end mark */
	return likely(r->nr + nr < r->cap) ? 0 : haruns_more(r, nr, mem, op);
}

/*
 * Whether haruns_shrink() would do something: the runs fit into half of the struct, so
 * that they do not grow out of it again at once.
 */
static inline bool haruns_can_shrink(const struct haruns *r)
{
	return r->nr <= HARUNS_INLINE / 2 && r->cap != HARUNS_INLINE;
}

void haruns_shrink(struct haruns *r, struct hamem *mem);

void haruns_add(struct haruns *r, u32 start, u32 len);

struct haruns_run haruns_at(const struct haruns *r, u32 pos);
struct haruns_run haruns_recorded(const struct haruns *r, u32 at);
bool haruns_next(const struct haruns *r, struct haruns_run *run);

/* For runs_hit.h. */
struct haruns_look;
struct haruns_look haruns_look(const struct haruns *r, u32 len, u32 align);
void haruns_cut(struct haruns *r, const struct haruns_run *old, u32 start, u32 len,
		enum haruns_state state);
u32 haruns_merge(struct haruns *r, const struct haruns_run *run);

bool haruns_check(const struct haruns *r);

#endif
