/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the buddy layer share. See buddy.c for the design.
 */
#ifndef _HYBRID_ALLOC_BUDDY_INTERNAL_H
#define _HYBRID_ALLOC_BUDDY_INTERNAL_H

#include <linux/bitops.h>
#include <linux/kernel.h>
#include <linux/log2.h>

#include "buddy_hit.h"

static inline void habuddy_assert_locked(const struct habuddy *b)
{
#ifdef CONFIG_LOCKDEP
	lockdep_assert(!b->lock || lockdep_is_held(b->lock) || lockdep_is_held(b->outer));
#endif
}

/* ---- positions ---- */

/* log2 of the units in a cell of a node of @height. */
static inline unsigned int habuddy_cell_shift(unsigned int height)
{
	return HABUDDY_FANOUT_SHIFT * height;
}

/* The heap bit of the block of @order at @unit, in the node of height @order / 9. */
static inline unsigned int habuddy_bit_of(u64 unit, unsigned int order)
{
	unsigned int height = order / HABUDDY_FANOUT_SHIFT;

	return (HABUDDY_FANOUT + habuddy_cell_of(unit, height)) >> (order % HABUDDY_FANOUT_SHIFT);
}

/* The order of the block of a heap bit. */
static inline unsigned int habuddy_order_of(const struct habuddy_node *n, unsigned int bit)
{
	return habuddy_cell_shift(n->height + 1) - ilog2(bit);
}

/* The first unit of the block of a heap bit. */
static inline u64 habuddy_unit_of(const struct habuddy_node *n, unsigned int bit)
{
	unsigned int below = HABUDDY_FANOUT_SHIFT - ilog2(bit);
	u64 cell = (bit << below) - HABUDDY_FANOUT;

	return ((n->index << HABUDDY_FANOUT_SHIFT) + cell) << habuddy_cell_shift(n->height);
}

/* ---- heaps ---- */

/* The bit set in @bits, a heap of @n, whose block contains @unit; 0 if there is none. */
static inline unsigned int habuddy_covering_bit(const struct habuddy_node *n,
						const unsigned long *bits, u64 unit)
{
	unsigned int bit;

	for (bit = HABUDDY_FANOUT + habuddy_cell_of(unit, n->height); bit > 1; bit >>= 1)
		if (test_bit(bit, bits))
			return bit;
	return 0;
}

/* The upper half of each group of 2@k bits, of which the middle ones are 0, moves up by @k. */
static __always_inline unsigned long habuddy_move_up(unsigned long bits, unsigned int k)
{
	return (bits | bits << k) & (~0UL / ((1UL << k) + 1));
}

/* Each bit of the lower half of a long twice. */
static inline unsigned long habuddy_spread(unsigned long half)
{
	/* of 32 bits, the first step moves none */
	half = habuddy_move_up(half, 16);
	half = habuddy_move_up(half, 8);
	half = habuddy_move_up(half, 4);
	half = habuddy_move_up(half, 2);
	half = habuddy_move_up(half, 1);
	return half | half << 1;
}

#endif /* _HYBRID_ALLOC_BUDDY_INTERNAL_H */
