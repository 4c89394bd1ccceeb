/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The runs of one mixed slab: which of its blocks are free, and where the
 * extents in it begin and end. Part of the slab layer; see runs.c.
 *
 * Positions and lengths are in blocks, relative to the slab.
 */
#ifndef _HYBRID_ALLOC_RUNS_H
#define _HYBRID_ALLOC_RUNS_H

#include <linux/types.h>
#include "mem.h"

#define HARUNS_MAX_SHIFT	12
#define HARUNS_MAX_BLOCKS	(1U << HARUNS_MAX_SHIFT)

enum haruns_state {
	HARUNS_FREE = 1,
	HARUNS_LIVE = 2,	/* an extent */
	HARUNS_SPECIAL = 3,	/* a piece of an extent that the slab layer has a record of */
};

/**
 * struct haruns_run - a free run or an extent
 * @start: first block
 * @len: number of blocks
 * @state: what it is
 */
struct haruns_run {
	u32 start;
	u32 len;
	enum haruns_state state;
};

/**
 * struct haruns - the runs of a slab
 * @marks: where each run starts, and its state, sorted; if @cap
 * @map: two bits a block, if not
 * @nr: number of runs
 * @cap: room for marks
 * @nr_blocks: size of the slab
 * @nr_free: free blocks
 * @max_free: length of the largest free run
 * @others_free: no other free run is longer than this
 */
struct haruns {
	union {
		u16 *marks;
		u64 *map;
	};
	u16 nr;
	u16 cap;
	u16 nr_blocks;
	u16 nr_free;
	u16 max_free;
	u16 others_free;
};

int __must_check haruns_init(struct haruns *r, u32 nr_blocks, struct hamem *mem,
			     struct hamem_op *op);
void haruns_destroy(struct haruns *r, struct hamem *mem);

int __must_check haruns_reserve(struct haruns *r, u32 nr, struct hamem *mem,
				struct hamem_op *op);
void haruns_set(struct haruns *r, u32 start, u32 len, enum haruns_state state);
void haruns_clear(struct haruns *r, u32 start);

struct haruns_run haruns_at(const struct haruns *r, u32 pos);
bool haruns_best_fit(const struct haruns *r, u32 len, u64 base, u64 align, u32 *start);

bool haruns_check(const struct haruns *r);

#endif
