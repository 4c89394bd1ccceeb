/* SPDX-License-Identifier: GPL-2.0 */
/*
 * hybrid_alloc - the allocator for kernel users
 *
 * A file system or a device-mapper target opens an allocator on a block device that it has
 * open, allocates extents of the device, and frees them. The allocator never touches the
 * data and writes nothing to the device. A user that needs its extents after a restart keeps
 * a catalogue of them, and claims all extents in the catalogue before the first allocation.
 *
 * samples/ha_user.c is a complete user, docs/tutorial-kernel.md explains it.
 *
 * A user that gives a name has a node, /dev/hybrid_allocN, as an attached disk has. It opens for
 * reading only, and shows the user in `hybridctl list`, `stat` and `map`. Only the user ends it:
 * DETACH is refused with EBUSY, also if it is forced. Files that are open when the user closes the
 * allocator get ENODEV from then on.
 *
 * A user that must not run out of space halfway, such as a file system that has accepted a write
 * and places it later, reserves as many bytes first: struct hybrid_alloc_reservation.
 *
 * Contexts: all functions are called in process context. hybrid_alloc_open(), _close(),
 * _drain(), _stat() and _reservation_open() may sleep. Opening and closing wait for CPU hotplug and
 * for tasks that open nodes, and _reservation_open() for calls in flight. All of these wait for
 * memory in any way: not where memory reclaim may wait for the caller. Of the others,
 *
 *  - those that take a gfp_t wait for memory as it says, and wait for other tasks (that
 *    empty the pools) only if it allows sleeping: GFP_KERNEL, GFP_NOFS, GFP_NOIO. Use
 *    GFP_NOIO in the writeback path;
 *  - with GFP_NOWAIT, allocating and claiming wait for spinlocks only. EAGAIN then means
 *    "try again where you may sleep"; it never stands for ENOSPC;
 *  - freeing needs no memory and waits for spinlocks only.
 *
 * These waits end by themselves, and a fatal signal does not end them before, so that the data of a
 * dying task still finds its space. With HYBRID_ALLOC_KILLABLE it does: EINTR.
 *
 * Each allocator has lockdep classes of its own for the locks under which it waits: a user may be
 * stacked on another one, whose allocator is below it.
 *
 * Spinlocks are taken without disabling interrupts. So no function may be called from an
 * interrupt handler, a softirq or a timer, or with interrupts disabled.
 *
 * All positions and lengths are in bytes. Positions count from the start of the block
 * device. Calls on one allocator may run at the same time on all CPUs, except for
 * hybrid_alloc_close(), which must be the last one.
 */
#ifndef _HYBRID_ALLOC_H
#define _HYBRID_ALLOC_H

#include <linux/gfp.h>
#include <linux/limits.h>
#include <linux/types.h>
#include "ioctl_uapi.h"

struct block_device;
struct hybrid_alloc;

/* flag of an allocator: calls of a task that is killed while it waits end with EINTR */
#define HYBRID_ALLOC_KILLABLE	(1U << 0)

/* The longest name of a user. */
#define HYBRID_ALLOC_MAX_NAME	31

/**
 * struct hybrid_alloc_params - parameters of an allocator; 0 stands for the default
 * @name: who uses it, for the administrator: a letter or digit, then up to 30 of these and of
 *	"._:!-", different from the names of all other allocators, for example "myfs:sdb1". It is
 *	copied. NULL: there is no node, and the allocator shows nowhere
 * @flags: HYBRID_ALLOC_KILLABLE
 * @range_start: first byte of the managed range
 * @range_len: length of the managed range; 0: up to the end of the device
 * @min_block: length of a block, the smallest unit of space: a power of two from 4 KiB to
 *	1 MiB, at least the device's logical block size; 0: 4 KiB
 * @max_block: largest length of an extent, a multiple of @min_block; 0: no limit
 * @slab_max: largest size that is served from slabs of equal objects, a power of two from 1
 *	to 1024 times @min_block; 0: half of @buddy_start, but at least @min_block and at most
 *	1 MiB
 * @buddy_start: smallest block of the buddy layer, a power of two from 1 to 4096 times
 *	@min_block; 0: 1 MiB
 */
struct hybrid_alloc_params {
	const char *name;
	u32 flags;
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

/* A goal for hybrid_alloc_alloc(): anywhere. */
#define HYBRID_ALLOC_NO_GOAL	U64_MAX

/**
 * struct hybrid_alloc_request - what hybrid_alloc_alloc_many() is asked for
 * @len: bytes requested in total, rounded up to whole blocks
 * @min: bytes that each extent has at least, rounded up to whole blocks; 0: one block
 * @align: alignment of each start on the device, as of hybrid_alloc_alloc()
 * @goal: where the first extent should be, as of hybrid_alloc_alloc(); each further one has the end
 *	of the previous one as its goal. HYBRID_ALLOC_NO_GOAL: anywhere
 * @flags: HYBRID_ALLOC_ALLOC_PARTIAL: fewer bytes will do
 */
struct hybrid_alloc_request {
	u64 len;
	u64 min;
	u64 align;
	u64 goal;
	u32 flags;
};

/**
 * struct hybrid_alloc_reservation - bytes that a user is promised, without a place
 * @ha: the allocator
 * @blocks: what it has; use hybrid_alloc_reserved()
 *
 * It belongs to its user, and may be inside another structure. Any number of calls may use it at
 * the same time, after hybrid_alloc_reservation_open() and until hybrid_alloc_reservation_close().
 *
 * What is reserved is free or cached, and no other call takes it: one that would gets ENOSPC at
 * once, and hybrid_alloc_stat.reserved_refusals counts it. An allocation of one block against a
 * reservation that has it, by a caller that may sleep, does not fail and is not interrupted,
 * however the free space is divided. A longer one fails if no free run fits, and leaves the
 * reservation as it was: then ask for less.
 */
struct hybrid_alloc_reservation {
	struct hybrid_alloc *ha;
	u64 blocks;
};

struct hybrid_alloc * __must_check
hybrid_alloc_open(struct block_device *bdev, const struct hybrid_alloc_params *params, gfp_t gfp);
void hybrid_alloc_close(struct hybrid_alloc *ha);

int __must_check hybrid_alloc_alloc(struct hybrid_alloc *ha, u64 len, u64 align, u64 goal,
				    gfp_t gfp, struct hybrid_alloc_range *out);
int __must_check hybrid_alloc_alloc_upto(struct hybrid_alloc *ha, u64 min, u64 max, u64 align,
					 u64 goal, gfp_t gfp, struct hybrid_alloc_range *out);
int __must_check hybrid_alloc_alloc_many(struct hybrid_alloc *ha,
					 const struct hybrid_alloc_request *rq, gfp_t gfp,
					 struct hybrid_alloc_range *out, int *nr);
int __must_check hybrid_alloc_claim(struct hybrid_alloc *ha, u64 start, u64 len, gfp_t gfp);
int hybrid_alloc_free(struct hybrid_alloc *ha, u64 start, u64 len,
		      enum hybrid_alloc_reason *reason);

int __must_check hybrid_alloc_free_part(struct hybrid_alloc *ha, u64 start, u64 len, gfp_t gfp,
					enum hybrid_alloc_reason *reason);
int __must_check hybrid_alloc_split(struct hybrid_alloc *ha, u64 start, u64 len, u64 at, gfp_t gfp,
				    enum hybrid_alloc_reason *reason);
int __must_check hybrid_alloc_extend(struct hybrid_alloc *ha, u64 start, u64 len, u64 more,
				     u64 least, gfp_t gfp, u64 *got,
				     enum hybrid_alloc_reason *reason);

int __must_check hybrid_alloc_reservation_open(struct hybrid_alloc *ha,
					       struct hybrid_alloc_reservation *rsv);
void hybrid_alloc_reservation_close(struct hybrid_alloc_reservation *rsv);
int __must_check hybrid_alloc_reserve(struct hybrid_alloc_reservation *rsv, u64 len, gfp_t gfp);
int hybrid_alloc_unreserve(struct hybrid_alloc_reservation *rsv, u64 len);
u64 hybrid_alloc_reserved(struct hybrid_alloc_reservation *rsv);
int __must_check hybrid_alloc_alloc_reserved(struct hybrid_alloc_reservation *rsv, u64 len,
					     u64 align, u64 goal, gfp_t gfp,
					     struct hybrid_alloc_range *out);
int __must_check hybrid_alloc_alloc_upto_reserved(struct hybrid_alloc_reservation *rsv, u64 min,
						  u64 max, u64 align, u64 goal, gfp_t gfp,
						  struct hybrid_alloc_range *out);

int __must_check hybrid_alloc_map(struct hybrid_alloc *ha, u64 start,
				  struct hybrid_alloc_map_entry *entries, int nr, gfp_t gfp);
void hybrid_alloc_drain(struct hybrid_alloc *ha);
void hybrid_alloc_stat(struct hybrid_alloc *ha, struct hybrid_alloc_stat *stat, bool runs);

#endif
