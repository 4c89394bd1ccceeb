/* SPDX-License-Identifier: GPL-2.0 */
/*
 * hybrid_alloc - the allocator for users in the kernel
 *
 * A file system or a device-mapper target opens an allocator on its own block
 * device, allocates ranges of the device and frees them. The allocator never
 * touches the data and writes nothing to the device. A user that needs its
 * extents after a restart keeps a catalogue, and claims every extent in it before
 * the first allocation.
 *
 * samples/ha_user.c is a complete example.
 *
 * Contexts: all functions are called from process context. hybrid_alloc_open(),
 * _close(), _drain() and _stat() may sleep. For the others:
 *
 *  - A function that takes a gfp_t waits for memory as the gfp_t allows, and for
 *    other tasks (which empty the pools) only if it allows sleeping: GFP_KERNEL,
 *    GFP_NOFS, GFP_NOIO. Use GFP_NOIO in the writeback path.
 *  - With GFP_NOWAIT, allocating and claiming take spinlocks only. They may then
 *    return EAGAIN, which means "retry where sleeping is allowed", but never a
 *    false ENOSPC.
 *  - Freeing needs no memory and waits for spinlocks only.
 *
 * Spinlocks are taken without disabling interrupts: no function may be called
 * from an interrupt handler, a softirq, a timer, or with interrupts disabled.
 *
 * All positions and lengths are in bytes. Positions count from the start of
 * the block device. Calls on one allocator may run at the same time on all
 * CPUs, except for hybrid_alloc_close(), which must be the last call.
 */
#ifndef _HYBRID_ALLOC_H
#define _HYBRID_ALLOC_H

#include <linux/gfp.h>
#include <linux/limits.h>
#include <linux/types.h>
#include "ioctl_uapi.h"

struct block_device;
struct hybrid_alloc;

/**
 * struct hybrid_alloc_params - configuration of an allocator; 0 selects the default
 * @range_start: first byte of the managed range
 * @range_len: its length; 0: everything from @range_start to the end of the device
 * @min_block: smallest unit of space, a power of two from 4 KiB to 1 MiB, at
 *	least the logical block size of the device; 0: 4 KiB
 * @max_block: largest single extent, a multiple of @min_block; 0: no limit
 * @slab_max: largest size that is served from slabs of equal objects, a power
 *	of two, at most 1024 * @min_block; 0: 1 MiB
 * @buddy_start: smallest block of the buddy layer, a power of two, at most
 *	4096 * @min_block; 0: 1 MiB
 */
struct hybrid_alloc_params {
	u64 range_start;
	u64 range_len;
	u64 min_block;
	u64 max_block;
	u64 slab_max;
	u64 buddy_start;
};

/**
 * struct hybrid_alloc_range - a range of the device
 * @start: first byte
 * @len: length in bytes
 */
struct hybrid_alloc_range {
	u64 start;
	u64 len;
};

/* For hybrid_alloc_alloc(): no preferred address. */
#define HYBRID_ALLOC_NO_GOAL	U64_MAX

struct hybrid_alloc * __must_check
hybrid_alloc_open(struct block_device *bdev, const struct hybrid_alloc_params *params, gfp_t gfp);
void hybrid_alloc_close(struct hybrid_alloc *ha);

int __must_check hybrid_alloc_alloc(struct hybrid_alloc *ha, u64 len, u64 align, u64 goal,
				    gfp_t gfp, struct hybrid_alloc_range *out);
int __must_check hybrid_alloc_claim(struct hybrid_alloc *ha, u64 start, u64 len, gfp_t gfp);
int hybrid_alloc_free(struct hybrid_alloc *ha, u64 start, u64 len,
		      enum hybrid_alloc_reason *reason);

int __must_check hybrid_alloc_map(struct hybrid_alloc *ha, u64 start,
				  struct hybrid_alloc_map_entry *entries, int nr, gfp_t gfp);
void hybrid_alloc_drain(struct hybrid_alloc *ha);
void hybrid_alloc_stat(struct hybrid_alloc *ha, struct hybrid_alloc_stat *stat, bool runs);

#endif
