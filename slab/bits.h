/* SPDX-License-Identifier: GPL-2.0 */
/* Rows of bits. Part of the slab layer; see bits.c. */
#ifndef _HYBRID_ALLOC_BITS_H
#define _HYBRID_ALLOC_BITS_H

#include <linux/types.h>

/* The free runs of a part of the device, in blocks; the rows of a bitmap, in bits. */
struct haslab_sum {
	u64 lead;	/* free at its start */
	u64 longest;	/* longest free run */
	u64 trail;	/* free at its end */
	u64 size;	/* all */
	/* longest extent with the alignment that was asked for; if kept, it may be a bit more */
	u64 usable;
};

u32 haslab_bits_trail(const unsigned long *map, u32 from, u32 to);
struct haslab_sum haslab_bits_sum(const unsigned long *map, u32 from, u32 to, u32 best);
u32 haslab_bits_usable(const unsigned long *map, u32 from, u32 to, unsigned int order, u32 best,
		       bool any, u32 *at);

#endif
