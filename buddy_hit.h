/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a free into a pool needs of the buddy layer: the bit that says whether a block is an
 * extent. Inline, because calls are a third of what a hit costs, as bench/profile-kernel shows.
 * See buddy.c for the design.
 */
#ifndef _HYBRID_ALLOC_BUDDY_HIT_H
#define _HYBRID_ALLOC_BUDDY_HIT_H

#include <linux/rcupdate.h>
#include "buddy.h"

/* The state of 512 cells. */
struct habuddy_node {
	struct habuddy_node *parent;	/* the node above, NULL for the root */
	u64 index;			/* position among the nodes of its height */
	unsigned int height;		/* a cell has 2^(9 * height) units */
	/* by order within the node: number of free blocks, and, if not 0, entry in habuddy.nodes */
	u16 nr_free[HABUDDY_FANOUT_SHIFT];
	struct hlist_node link[HABUDDY_FANOUT_SHIFT];
	/* the heaps: free blocks; blocks that are extents */
	DECLARE_BITMAP(free, 2 * HABUDDY_FANOUT);
	DECLARE_BITMAP(owned, 2 * HABUDDY_FANOUT);
	struct rcu_head rcu;		/* lockless readers may still use a node that is freed */
	/*
	 * The nodes of the cells that are cut up, NULL for the others. @nr_child is how many cells
	 * can be cut up: none at height 0, in the root those that the device reaches, else 512.
	 */
	unsigned int nr_child;
	struct habuddy_node __rcu *child[];
};

static __always_inline unsigned int habuddy_cell_of(u64 unit, unsigned int height)
{
	return (unit >> (HABUDDY_FANOUT_SHIFT * height)) & (HABUDDY_FANOUT - 1);
}

/*
 * The child of @n at @unit, which the device has; NULL if the cell is not cut up. Under RCU or the
 * caller's lock. Pairs with rcu_assign_pointer() in habuddy_node_new(): it is seen initialized.
 */
static __always_inline struct habuddy_node *habuddy_child(const struct habuddy_node *n, u64 unit)
{
	return rcu_dereference_raw(n->child[habuddy_cell_of(unit, n->height)]);
}

/* The same for any unit; NULL past the last cell that can be cut up. */
static __always_inline struct habuddy_node *habuddy_child_or_null(const struct habuddy_node *n,
								  u64 unit)
{
	return habuddy_cell_of(unit, n->height) < n->nr_child ? habuddy_child(n, unit) : NULL;
}

/*
 * The owned bit of the block of @order, less than HABUDDY_FANOUT_SHIFT, at @unit, which the device
 * has; NULL if there is no such block. Under RCU. Pairs with smp_store_release() of the root in
 * buddy.c: it is seen initialized. Setting and clearing the bit is atomic: of several callers that
 * clear it, one succeeds. While it is set, or the block is allocated with this order, the bitmap
 * stays; otherwise until the end of the grace period.
 */
static __always_inline unsigned long *habuddy_leaf_bit(struct habuddy *b, u64 unit,
						       unsigned int order, u32 *bit)
{
	struct habuddy_node *n = rcu_dereference_raw(b->root);

	while (n->height) {
		n = habuddy_child(n, unit);
		if (unlikely(!n))
			return NULL;
	}
	*bit = (HABUDDY_FANOUT + (unit & (HABUDDY_FANOUT - 1))) >> order;
	return n->owned;
}

#endif
