/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The buddy layer: blocks of a power of two of units. See buddy.c for the design. Positions and
 * lengths are in units (of BuddyStartSize bytes, 1 MiB unless configured otherwise).
 */
#ifndef _HYBRID_ALLOC_BUDDY_H
#define _HYBRID_ALLOC_BUDDY_H

#include <linux/lockdep.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include "mem.h"

#define HABUDDY_FANOUT_SHIFT	9
#define HABUDDY_FANOUT		(1U << HABUDDY_FANOUT_SHIFT)
#define HABUDDY_MAX_HEIGHT	5	/* 2^(9 * 6) units of 1 KiB are 2^64 bytes */
#define HABUDDY_NR_ORDERS	(HABUDDY_FANOUT_SHIFT * (HABUDDY_MAX_HEIGHT + 1))

struct habuddy_node;

/**
 * struct habuddy - the buddy allocator of one device
 * @root: the node that covers all units
 * @mem: account of the memory of the nodes
 * @nr_units: size of the managed space
 * @free_units: how many of them are free
 * @avail: bit k: there is a free block of order k
 * @nodes: for each order, the nodes that have a free block of it
 * @splits: number of blocks that were split in two
 * @merges: number of pairs of buddies that became one block
 * @dev: number of the block device, for the tracepoints
 * @byte_shift: log2 of the bytes in a unit, for the tracepoints
 * @lock: the lock that protects all of this, except where buddy.c says otherwise
 * @outer: a lock that excludes the holders of @lock, and does instead of it
 */
struct habuddy {
	struct habuddy_node *root;
	struct hamem *mem;
	u64 nr_units;
	u64 free_units;
	u64 avail;
	struct hlist_head nodes[HABUDDY_NR_ORDERS];
	u64 splits;
	u64 merges;
	u32 dev;
	u32 byte_shift;
#ifdef CONFIG_LOCKDEP
	spinlock_t *lock;	/* of the caller */
	spinlock_t *outer;	/* of the caller */
#endif
};

/* The locks of the caller, for lockdep only. Until they are set, nothing is asserted. */
static inline void habuddy_set_locks(struct habuddy *b, spinlock_t *lock, spinlock_t *outer)
{
#ifdef CONFIG_LOCKDEP
	b->lock = lock;
	b->outer = outer;
#endif
}

int __must_check habuddy_init(struct habuddy *b, u64 nr_units, struct hamem *mem,
			      struct hamem_op *op);
void habuddy_destroy(struct habuddy *b);
int __must_check habuddy_grow_prepare(struct habuddy *b, u64 nr_units, u64 from,
				      struct hamem_op *op);
void habuddy_grow(struct habuddy *b, u64 nr_units, u64 from);

int __must_check habuddy_alloc(struct habuddy *b, unsigned int order, struct hamem_op *op,
			       u64 *unit);
void habuddy_free(struct habuddy *b, u64 unit, unsigned int order);
int __must_check habuddy_take(struct habuddy *b, u64 unit, u64 nr, struct hamem_op *op);
void habuddy_put(struct habuddy *b, u64 unit, u64 nr);
int __must_check habuddy_divide(struct habuddy *b, u64 unit, struct hamem_op *op);
void habuddy_join(struct habuddy *b, u64 unit, u64 start, u64 end);

int habuddy_free_order(struct habuddy *b, u64 unit);
u64 habuddy_free_end(const struct habuddy *b, u64 unit, u64 end);
bool habuddy_next_free(struct habuddy *b, u64 from, u64 to, u64 *unit, u64 *nr);
bool habuddy_stretch(struct habuddy *b, u64 unit, u64 to, u64 *end);
bool habuddy_free_map(const struct habuddy *b, u64 unit, unsigned long *bits);
int habuddy_free_blocks(struct habuddy *b, unsigned int order, u64 *units, int max);

/* What a check of nodes has found. */
struct habuddy_found {
	u64 free;				/* units */
	u64 nr_listed[HABUDDY_NR_ORDERS];	/* nodes that should be in each list */
};

int habuddy_check_at(struct habuddy *b, u64 *unit, struct habuddy_found *found);
int habuddy_check_sums(struct habuddy *b, const struct habuddy_found *found);
int habuddy_check(struct habuddy *b);

/* ownership of blocks that are extents */
void habuddy_own(struct habuddy *b, u64 unit, unsigned int order);
bool habuddy_disown(struct habuddy *b, u64 unit, unsigned int order);
bool habuddy_find_owned(struct habuddy *b, u64 unit, u64 *start, unsigned int *order);

#endif
