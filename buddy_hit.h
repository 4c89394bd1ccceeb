/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a free into a pool needs of the buddy layer: where it is marked that a
 * block is somebody's extent. Inline, because calls are a third of what a pool hit
 * costs (docs/profile-kernel-before.txt). The design is told in buddy.c.
 */
#ifndef _HYBRID_ALLOC_BUDDY_HIT_H
#define _HYBRID_ALLOC_BUDDY_HIT_H

#include <linux/rcupdate.h>
#include "buddy.h"

#define HABUDDY_FANOUT	(1U << HABUDDY_FANOUT_SHIFT)

/**
 * struct habuddy_node - the state of 512 slots
 * @parent: the node above, NULL for the root
 * @index: position among the nodes of its height
 * @height: one slot has 2^(9 * height) units
 * @nr_free: free blocks by order within the node
 * @link: entry in habuddy.nodes, by order within the node; hashed if nr_free
 * @free: heap of free blocks
 * @owned: heap of blocks handed out as extents
 * @rcu: lockless readers may still look
 * @nr_child: slots that can be cut up: all, but for the root, which has only those
 *	that the device reaches
 * @child: nodes of the slots that are cut up, only above height 0
 */
struct habuddy_node {
	struct habuddy_node *parent;
	u64 index;
	unsigned int height;
	u16 nr_free[HABUDDY_FANOUT_SHIFT];
	struct hlist_node link[HABUDDY_FANOUT_SHIFT];
	DECLARE_BITMAP(free, 2 * HABUDDY_FANOUT);
	DECLARE_BITMAP(owned, 2 * HABUDDY_FANOUT);
	struct rcu_head rcu;
	unsigned int nr_child;
	struct habuddy_node __rcu *child[];
};

static __always_inline unsigned int habuddy_slot_of(u64 unit, unsigned int height)
{
	return (unit >> (HABUDDY_FANOUT_SHIFT * height)) & (HABUDDY_FANOUT - 1);
}

/* Under RCU, or under the caller's lock, which this layer does not know. */
static __always_inline struct habuddy_node *habuddy_child(const struct habuddy_node *n, u64 unit)
{
	return rcu_dereference_raw(n->child[habuddy_slot_of(unit, n->height)]);
}

/* The node at @height that covers @unit; NULL if the tree is not that deep there. */
static __always_inline struct habuddy_node *habuddy_node(const struct habuddy *b, u64 unit,
							 unsigned int height)
{
	struct habuddy_node *n = rcu_dereference_raw(b->root);

	while (n && n->height > height)
		n = habuddy_slot_of(unit, n->height) < n->nr_child ? habuddy_child(n, unit) : NULL;
	return n;
}

/* The heap bit of the block of @order at @unit, in the node of order / 9. */
static __always_inline unsigned int bit_of(u64 unit, unsigned int order)
{
	unsigned int height = order / HABUDDY_FANOUT_SHIFT;

	return (HABUDDY_FANOUT + habuddy_slot_of(unit, height)) >> (order % HABUDDY_FANOUT_SHIFT);
}

/**
 * habuddy_owned_bit - where it is marked that a block is somebody's extent
 * @b: the buddy
 * @unit: first unit, a multiple of 2^@order
 * @order: of the block
 * @bit: out: the bit
 *
 * Setting and clearing it is atomic: of several that clear it one wins. While it
 * is set, or the block is allocated with this order, the bitmap stays; otherwise
 * as long as the grace period lasts.
 *
 * Context: any, under RCU. Return: the bitmap; NULL there is no such block.
 */
static inline unsigned long *habuddy_owned_bit(struct habuddy *b, u64 unit, unsigned int order,
					       u32 *bit)
{
	unsigned int height = order / HABUDDY_FANOUT_SHIFT;
	struct habuddy_node *n = habuddy_node(b, unit, height);

	*bit = bit_of(unit, order);
	return n && n->height == height ? n->owned : NULL;
}

/* The same for an order below HABUDDY_FANOUT_SHIFT, inside the device, in fewer instructions. */
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
