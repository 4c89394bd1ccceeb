/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * hybrid_alloc - user ABI of the block-space allocator
 *
 * Two kinds of device node:
 *
 *   /dev/hybrid_alloc    the control node: ATTACH, DETACH, INFO (of any instance)
 *   /dev/hybrid_allocN   one attached block device: INFO, ALLOC, FREE, CLAIM,
 *                        SEAL, DRAIN, STAT, ALLOC_BATCH, FREE_BATCH,
 *                        CLAIM_BATCH, ALLOC_MANY, MAP, TRIM, GROW, CHECK,
 *                        WATCH; poll()
 *
 * Rules that hold for every structure:
 *
 * - All positions and lengths are in bytes. Positions count from the start of
 *   the block device and can be passed to pread() and pwrite() unchanged.
 * - The first field is the size of the structure as the caller knows it. A
 *   caller older than the kernel gets only the fields that it knows. A newer
 *   caller gets E2BIG if it uses a field that the kernel does not know (if any
 *   of the unknown bytes is not zero).
 * - Unknown flags, and reserved fields that are not zero, give EINVAL.
 * - epoch: 0, or the epoch that INFO returned. If it is neither 0 nor the
 *   instance's epoch, the call gives ESTALE.
 * - A call that fails changes nothing, except as described for
 *   hybrid_alloc_free and hybrid_alloc_batch below.
 *
 * Checks run in this order: command (ENOTTY), structure (EFAULT, EINVAL,
 * E2BIG), flags (EINVAL), mode of the file (EBADF), state of the device
 * (ENODEV, ESTALE, EAGAIN), ranges (EINVAL, EFBIG, ERANGE), the operation.
 */
#ifndef _UAPI_HYBRID_ALLOC_H
#define _UAPI_HYBRID_ALLOC_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define HYBRID_ALLOC_CONTROL_NODE	"/dev/hybrid_alloc"
#define HYBRID_ALLOC_NODE_FORMAT	"/dev/hybrid_alloc%u"

/**
 * struct hybrid_alloc_extent - a range of the device
 * @start: first byte
 * @len: length in bytes
 * @cookie: must be 0
 * @flags: must be 0
 * @domain: must be 0
 */
struct hybrid_alloc_extent {
	__u64 start;
	__u64 len;
	__u64 cookie;
	__u32 flags;
	__u32 domain;
};

/* flags of ATTACH */
#define HYBRID_ALLOC_ATTACH_FRESH	(1U << 0)	/* all free; else sealed, see CLAIM */

/**
 * struct hybrid_alloc_attach - take over a block device (control node)
 * @size: sizeof(struct hybrid_alloc_attach)
 * @flags: HYBRID_ALLOC_ATTACH_FRESH, or 0 for a rebuild: the instance is sealed,
 *	CLAIM works, ALLOC gives EAGAIN until SEAL
 * @fd: a file descriptor of the block device, open for reading and writing
 * @id: out: the number of the instance, N of /dev/hybrid_allocN
 * @range_start: first byte of the managed range, 0 for the whole device
 * @range_len: its length, 0 for everything from @range_start to the end of the device
 * @min_block: the smallest unit of space, a power of two from 4 KiB to 1 MiB, at
 *	least the logical block size of the device; 0 for 4 KiB
 * @max_block: the largest single extent, a multiple of @min_block; 0 for no limit
 * @slab_max: the largest size that is served from slabs of equal objects, a
 *	power of two from 1 to 1024 times @min_block; 0 for 1 MiB
 * @buddy_start: the smallest block of the buddy layer, a power of two from 1 to
 *	4096 times @min_block; 0 for 1 MiB
 *
 * EPERM without CAP_SYS_ADMIN in the initial namespace; EBADF @fd is bad, or not
 * open for reading and writing; ENOTBLK not a block device; EROFS the device is
 * read-only; EOPNOTSUPP the device is zoned; EBUSY the device is mounted, attached
 * or otherwise held; ERANGE the range is not inside the device; EINVAL the sizes
 * are not compatible, the logical block is larger than @min_block, or the range
 * is too small; ENODEV the device is gone.
 */
struct hybrid_alloc_attach {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 id;
	__u64 range_start;
	__u64 range_len;
	__u64 min_block;
	__u64 max_block;
	__u64 slab_max;
	__u64 buddy_start;
};

/* flags of DETACH */
#define HYBRID_ALLOC_DETACH_FORCE	(1U << 0)	/* even with open files and live extents */

/**
 * struct hybrid_alloc_detach - release a block device (control node)
 * @size: sizeof(struct hybrid_alloc_detach)
 * @flags: HYBRID_ALLOC_DETACH_FORCE
 * @id: number of the instance
 * @__reserved: must be 0
 *
 * EPERM without CAP_SYS_ADMIN in the initial namespace; ENODEV no such
 * instance; EBUSY it has open files or live extents. A forced detach discards
 * the records of the extents; later calls on files that are still open give
 * ENODEV. After the disk is gone, live extents do not prevent a detach, because
 * they cannot be freed any more.
 */
struct hybrid_alloc_detach {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 __reserved;
};

/* flags of INFO */
/* control node: the first instance with this number or a higher one */
#define HYBRID_ALLOC_INFO_NEXT		(1U << 0)

/* bits of hybrid_alloc_info.state */
#define HYBRID_ALLOC_STATE_SEALED	(1U << 0)	/* before SEAL: CLAIM only */
#define HYBRID_ALLOC_STATE_GONE		(1U << 1)	/* the device went away */

/* bits of hybrid_alloc_info.features */
#define HYBRID_ALLOC_FEATURE_WATCH	(1ULL << 0)	/* WATCH, and poll() */
#define HYBRID_ALLOC_FEATURE_MAP_KIND	(1ULL << 1)	/* MAP knows HYBRID_ALLOC_MAP_KINDS */

/**
 * struct hybrid_alloc_info - what an instance is
 * @size: sizeof(struct hybrid_alloc_info)
 * @flags: HYBRID_ALLOC_INFO_NEXT (control node only)
 * @id: number of the instance; in on the control node, out everywhere
 * @state: out: HYBRID_ALLOC_STATE_ bits
 * @features: out: what this kernel supports beyond the first version of this header
 * @epoch: out: changes whenever the records of the extents may have been lost
 * @uuid: out: random, different after every attach
 * @dev_major: out: major number of the block device
 * @dev_minor: out: minor number of the block device
 * @range_start: out: first byte of the managed range
 * @range_len: out: its length in bytes, whole blocks only
 * @min_block: out: as configured at attach, in bytes
 * @max_block: out: as configured at attach; 0 for no limit
 * @slab_max: out: as configured at attach
 * @buddy_start: out: as configured at attach
 * @disk: out: the name of the block device, terminated by a zero byte
 *
 * Works on files opened read-only. ENODEV no such instance (with
 * HYBRID_ALLOC_INFO_NEXT: none with this number or a higher one).
 */
struct hybrid_alloc_info {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 state;
	__u64 features;
	__u64 epoch;
	__u8  uuid[16];
	__u32 dev_major;
	__u32 dev_minor;
	__u64 range_start;
	__u64 range_len;
	__u64 min_block;
	__u64 max_block;
	__u64 slab_max;
	__u64 buddy_start;
	__u8  disk[32];
};

/*
 * flags of ALLOC, ALLOC_BATCH and ALLOC_MANY
 *
 * HYBRID_ALLOC_ALLOC_BOUND: the extent is bound to the open file description.
 * The last close of the description frees it as a FREE would, however the
 * process ends; duplicated and inherited descriptors keep it. I/O to the extent
 * must have finished by then. Only a FREE through this description is accepted,
 * any other gets EPERM.
 */
#define HYBRID_ALLOC_ALLOC_BOUND	(1U << 0)

/*
 * flags of ALLOC, ALLOC_MANY and an item of ALLOC_BATCH
 *
 * HYBRID_ALLOC_ALLOC_GOAL: goal is an address; without this flag it must be 0. The
 * extent starts at goal if the space there is free, else close to it if such space
 * can be found quickly. A goal never makes an allocation fail: outside the managed
 * range it has no effect.
 */
#define HYBRID_ALLOC_ALLOC_GOAL		(1U << 1)

/* a flag of ALLOC_MANY: accept less than len */
#define HYBRID_ALLOC_ALLOC_PARTIAL	(1U << 2)

/**
 * struct hybrid_alloc_alloc - allocate an extent
 * @size: sizeof(struct hybrid_alloc_alloc)
 * @flags: HYBRID_ALLOC_ALLOC_BOUND, HYBRID_ALLOC_ALLOC_GOAL
 * @epoch: 0 or the instance's
 * @len: bytes wanted, rounded up to min_block
 * @align: alignment of the start on the device, a power of two, or 0
 * @extent: out: the extent; its len is the rounded length. In: cookie, flags
 *	and domain must be 0, start and len are ignored
 * @goal: where the extent should be, see HYBRID_ALLOC_ALLOC_GOAL
 *
 * EINVAL @len is 0 or @align is not a power of two; EFBIG @len is larger than
 * max_block or the managed range; ENOSPC no free run fits; EAGAIN before SEAL;
 * ENOMEM; EINTR the task was killed while it waited.
 */
struct hybrid_alloc_alloc {
	__u32 size;
	__u32 flags;
	__u64 epoch;
	__u64 len;
	__u64 align;
	struct hybrid_alloc_extent extent;
	__u64 goal;
};

/* why a FREE was refused */
enum hybrid_alloc_reason {
	HYBRID_ALLOC_REASON_NONE = 0,
	HYBRID_ALLOC_REASON_NOT_ALLOCATED,	/* ENOENT: never allocated, or already freed */
	HYBRID_ALLOC_REASON_WRONG_START,	/* EINVAL: inside a live extent, not its start */
	HYBRID_ALLOC_REASON_WRONG_LENGTH,	/* EINVAL: start is right, len is wrong */
	HYBRID_ALLOC_REASON_UNALIGNED,		/* EINVAL: start is not a multiple of min_block */
	HYBRID_ALLOC_REASON_ZERO_LENGTH,	/* EINVAL: len is 0 */
	HYBRID_ALLOC_REASON_OUT_OF_RANGE,	/* ERANGE: not inside the managed range, or wraps */
	HYBRID_ALLOC_REASON_FOREIGN,		/* EPERM: bound to another file */
	HYBRID_ALLOC_REASON_COUNT
};

/**
 * struct hybrid_alloc_free - free an extent
 * @size: sizeof(struct hybrid_alloc_free)
 * @flags: must be 0
 * @epoch: 0 or the instance's
 * @extent: start, and a len that rounds up to the extent's length
 * @reason: out: enum hybrid_alloc_reason, set when the call fails with EINVAL,
 *	ENOENT, ERANGE or EPERM on the extent
 * @__reserved: must be 0
 *
 * I/O to the extent must have finished: pages of it that are still dirty in the
 * page cache of the block device overwrite the data of the next owner. Never
 * fails for lack of memory. EFAULT the result cannot be written back, although a
 * test before the free succeeded: the extent is free nevertheless.
 */
struct hybrid_alloc_free {
	__u32 size;
	__u32 flags;
	__u64 epoch;
	struct hybrid_alloc_extent extent;
	__u32 reason;
	__u32 __reserved;
};

/* The largest number of items in one call. */
#define HYBRID_ALLOC_MAX_ITEMS	1024

/**
 * struct hybrid_alloc_batch - ALLOC_BATCH, FREE_BATCH, CLAIM_BATCH: many items in one call
 * @size: sizeof(struct hybrid_alloc_batch)
 * @flags: ALLOC_BATCH: HYBRID_ALLOC_ALLOC_BOUND, for all items; else 0
 * @epoch: 0 or the instance's
 * @items: address of the first item, struct hybrid_alloc_alloc_item for
 *	ALLOC_BATCH, else struct hybrid_alloc_free_item
 * @nr: number of items, 1 to HYBRID_ALLOC_MAX_ITEMS
 * @item_size: size of an item as the caller knows it, a multiple of 8; the
 *	rules for the size of a structure apply
 * @nr_done: out: number of items, from the first, that carry a result
 * @nr_failed: out: number of these that carry an error
 *
 * Processes the items in order, each as the call for a single one would, and
 * writes the result into each. Returns 0 even if items fail. EINVAL @nr or
 * @item_size is wrong; EFAULT @items cannot be read and written, which is tested
 * before any item is processed.
 *
 * If the call itself fails half-way, ALLOC_BATCH has allocated nothing: ENOMEM;
 * EINTR the task was killed; EFAULT the results cannot be written, although the
 * test succeeded. What FREE_BATCH has freed stays free, and what CLAIM_BATCH has
 * claimed stays live; @nr_done is the number of items processed, whatever the
 * call returns. FREE_BATCH needs no memory.
 */
struct hybrid_alloc_batch {
	__u32 size;
	__u32 flags;
	__u64 epoch;
	__u64 items;
	__u32 nr;
	__u32 item_size;
	__u32 nr_done;
	__u32 nr_failed;
};

/**
 * struct hybrid_alloc_alloc_item - an item of ALLOC_BATCH
 * @len: as in ALLOC
 * @align: as in ALLOC
 * @goal: as in ALLOC
 * @flags: HYBRID_ALLOC_ALLOC_GOAL
 * @error: out: 0, or the errno that ALLOC would give; EINVAL also for unknown
 *	flags and for reserved fields that are not zero
 * @extent: as in ALLOC; all zeroes on error
 */
struct hybrid_alloc_alloc_item {
	__u64 len;
	__u64 align;
	__u64 goal;
	__u32 flags;
	__u32 error;
	struct hybrid_alloc_extent extent;
};

/**
 * struct hybrid_alloc_free_item - an item of FREE_BATCH or CLAIM_BATCH
 * @extent: as in FREE or CLAIM
 * @error: out: 0, or the errno that FREE or CLAIM would give; EINVAL also if
 *	fields of @extent that must be 0 are not
 * @reason: out: enum hybrid_alloc_reason, why the free was refused; 0 for a claim
 */
struct hybrid_alloc_free_item {
	struct hybrid_alloc_extent extent;
	__u32 error;
	__u32 reason;
};

/**
 * struct hybrid_alloc_many - ALLOC_MANY: several extents instead of one
 * @size: sizeof(struct hybrid_alloc_many)
 * @flags: HYBRID_ALLOC_ALLOC_BOUND, HYBRID_ALLOC_ALLOC_GOAL,
 *	HYBRID_ALLOC_ALLOC_PARTIAL
 * @epoch: 0 or the instance's
 * @items: address of an array of struct hybrid_alloc_extent, filled in by the call
 * @nr: entries in the array, which bounds the number of extents, 1 to
 *	HYBRID_ALLOC_MAX_ITEMS
 * @item_size: size of an extent as the caller knows it, a multiple of 8
 * @len: bytes wanted in total, rounded up to min_block
 * @align: alignment of each start on the device, a power of two, or 0
 * @goal: where the first extent should be, see HYBRID_ALLOC_ALLOC_GOAL; the
 *	others follow it if possible
 * @total: out: total length of the extents in bytes
 * @nr_extents: out: number of extents
 * @__reserved: must be 0
 *
 * Allocates one extent if a free run fits, else the largest that are available
 * until @len is reached; none is larger than max_block. Each is a separate extent
 * and is freed separately. If @nr extents do not reach @len, the call gives ENOSPC
 * and allocates nothing; with HYBRID_ALLOC_ALLOC_PARTIAL, it gives ENOSPC only if
 * not even one block is free.
 *
 * EINVAL @len is 0, @align is not a power of two, @nr or @item_size is wrong;
 * EFBIG @len is larger than the managed range, or, without
 * HYBRID_ALLOC_ALLOC_PARTIAL, larger than @nr times max_block; EAGAIN before SEAL;
 * ENOMEM; EINTR the task was killed. A call that fails has allocated nothing.
 */
struct hybrid_alloc_many {
	__u32 size;
	__u32 flags;
	__u64 epoch;
	__u64 items;
	__u32 nr;
	__u32 item_size;
	__u64 len;
	__u64 align;
	__u64 goal;
	__u64 total;
	__u32 nr_extents;
	__u32 __reserved;
};

/**
 * struct hybrid_alloc_claim - mark a given range as a live extent
 * @size: sizeof(struct hybrid_alloc_claim)
 * @flags: must be 0
 * @epoch: 0 or the instance's
 * @extent: the range; start is a multiple of min_block, len is rounded up to one
 *
 * For users that keep their own catalogue: attach in rebuild mode, claim every
 * extent in the catalogue, SEAL. For a large catalogue use CLAIM_BATCH, see
 * struct hybrid_alloc_batch.
 *
 * EINVAL the length is 0 or the start is not a multiple of min_block; ERANGE the
 * range is not inside the managed range; EEXIST some of it is not free; ENOMEM;
 * EINTR the task was killed while it waited.
 */
struct hybrid_alloc_claim {
	__u32 size;
	__u32 flags;
	__u64 epoch;
	struct hybrid_alloc_extent extent;
};

/**
 * struct hybrid_alloc_op - SEAL, DRAIN and CHECK
 * @size: sizeof(struct hybrid_alloc_op)
 * @flags: must be 0
 * @epoch: 0 or the instance's
 *
 * SEAL ends the rebuild mode: ALLOC works from then on. It has no effect on an
 * instance that is not sealed. DRAIN empties the per-CPU pools.
 *
 * CHECK recomputes the allocator's counters and summaries from its metadata and
 * compares them. The time that it takes is proportional to the metadata. EUCLEAN
 * the metadata is inconsistent; EAGAIN other calls kept changing the device: each
 * part is consistent, but the totals could not be verified; EPERM without
 * CAP_SYS_ADMIN in the initial namespace. Works on files opened read-only.
 */
struct hybrid_alloc_op {
	__u32 size;
	__u32 flags;
	__u64 epoch;
};

/**
 * struct hybrid_alloc_trim - discard free space on the disk
 * @size: sizeof(struct hybrid_alloc_trim)
 * @flags: must be 0
 * @epoch: 0 or the instance's
 * @start: first byte of the part to trim; space before the managed range is
 *	skipped
 * @len: its length; may extend past the end of the managed range
 * @minlen: free runs shorter than this are not trimmed
 * @trimmed: out: number of bytes discarded, also if the call fails
 *
 * The counterpart of FITRIM for a file system. The pools are emptied first. Space
 * cannot be allocated while it is being discarded, and counts as retired; an
 * allocation that needs that very space waits. A run is trimmed in whole units of
 * the disk's discard granularity. A unit that crosses a border between the
 * allocator's internal structures may be left untrimmed.
 *
 * EINVAL @len is 0; ERANGE @start is past the managed range; EOPNOTSUPP the disk
 * does not support discard; EAGAIN before SEAL; EINTR the task was killed; EIO
 * the disk failed; ENOMEM.
 */
struct hybrid_alloc_trim {
	__u32 size;
	__u32 flags;
	__u64 epoch;
	__u64 start;
	__u64 len;
	__u64 minlen;
	__u64 trimmed;
};

/**
 * struct hybrid_alloc_grow - extend the managed range after the disk has grown
 * @size: sizeof(struct hybrid_alloc_grow)
 * @flags: must be 0
 * @epoch: 0 or the instance's
 * @range_len: new length of the managed range, as at ATTACH; 0 for everything
 *	from its start to the end of the disk
 * @capacity: out: length of the managed range, as in STAT
 *
 * No effect if the range does not grow. EPERM without CAP_SYS_ADMIN in the initial
 * namespace; EINVAL the range would become shorter, also because the disk has
 * shrunk; ERANGE the range would not be inside the disk; ENOMEM; EINTR the task
 * was killed.
 */
struct hybrid_alloc_grow {
	__u32 size;
	__u32 flags;
	__u64 epoch;
	__u64 range_len;
	__u64 capacity;
};

/**
 * struct hybrid_alloc_watch - report when free space is low
 * @size: sizeof(struct hybrid_alloc_watch)
 * @flags: must be 0
 * @epoch: 0 or the instance's
 * @low_space: space is low while fewer than this many bytes are free; 0 for never
 * @free: out: bytes free now, as in STAT
 *
 * Replaces the threshold of this open file description, which is 0 at first.
 * While space is low, poll() gives POLLPRI. A waiter is woken when space becomes
 * low; an edge-triggered waiter is woken again only after free space has been at
 * or above the threshold in between. Space in the pools and space that TRIM is
 * discarding is not free. Since both change in batches, the report comes a little
 * early; DRAIN returns the space in the pools.
 *
 * After a forced detach, or after the disk has gone, poll() gives POLLERR and
 * POLLHUP. Kernels before 6.5 report a disk that has gone only at the next call.
 * Works on files opened read-only.
 */
struct hybrid_alloc_watch {
	__u32 size;
	__u32 flags;
	__u64 epoch;
	__u64 low_space;
	__u64 free;
};

/* the state of a part of the device */
enum hybrid_alloc_map_state {
	HYBRID_ALLOC_MAP_FREE = 0,
	HYBRID_ALLOC_MAP_LIVE,		/* one whole live extent */
	HYBRID_ALLOC_MAP_CACHED,	/* free, in a per-CPU pool */
	HYBRID_ALLOC_MAP_HELD,		/* free, temporarily kept from use */
};

/* what a part of the device lies in; more kinds may be added */
enum hybrid_alloc_map_kind {
	HYBRID_ALLOC_MAP_KIND_NONE = 0,	/* free space; may cross borders of kinds */
	HYBRID_ALLOC_MAP_KIND_EQUAL,	/* in a slab of objects of this length */
	HYBRID_ALLOC_MAP_KIND_MIXED,	/* in a slab of mixed lengths */
	HYBRID_ALLOC_MAP_KIND_BUDDY,	/* a whole block of the buddy layer */
	HYBRID_ALLOC_MAP_KIND_SPAN,	/* in several of these */
};

/**
 * struct hybrid_alloc_map_entry - an item of MAP
 * @start: out: first byte
 * @len: out: length in bytes
 * @state: out: enum hybrid_alloc_map_state
 * @kind: out: enum hybrid_alloc_map_kind, with HYBRID_ALLOC_MAP_KINDS; else 0
 */
struct hybrid_alloc_map_entry {
	__u64 start;
	__u64 len;
	__u32 state;
	__u32 kind;
};

/* flags of MAP */
#define HYBRID_ALLOC_MAP_KINDS		(1U << 0)	/* also report the kind of each entry */

/**
 * struct hybrid_alloc_map - list the extents and the free space
 * @size: sizeof(struct hybrid_alloc_map)
 * @flags: HYBRID_ALLOC_MAP_KINDS
 * @epoch: 0 or the instance's
 * @items: address of an array of struct hybrid_alloc_map_entry
 * @nr: entries in the array, 1 to HYBRID_ALLOC_MAX_ITEMS
 * @item_size: size of an entry as the caller knows it, a multiple of 8; bytes of
 *	an entry that the kernel does not know are left unchanged
 * @start: first byte of the part to list, a multiple of min_block; space before
 *	the managed range is skipped
 * @len: its length, 0 for everything from @start on
 * @nr_entries: out: number of entries filled in, 0 at the end
 * @__reserved: must be 0
 *
 * The entries are in address order and without gaps. Each live extent is one
 * entry, with its own start and length, even if @start lies inside it or it
 * extends past the part to list. Adjacent free space may be split into several
 * entries. To continue, call again with the end of the last entry as @start. The
 * entries of one call are a consistent snapshot; the next call may see changes.
 *
 * Works on files opened read-only. EINVAL @start is not a multiple of min_block,
 * @nr or @item_size is wrong; ERANGE @start + @len wraps; ENOMEM.
 */
struct hybrid_alloc_map {
	__u32 size;
	__u32 flags;
	__u64 epoch;
	__u64 items;
	__u32 nr;
	__u32 item_size;
	__u64 start;
	__u64 len;
	__u32 nr_entries;
	__u32 __reserved;
};

/* flags of STAT */
#define HYBRID_ALLOC_STAT_RUNS		(1U << 0)	/* also count the free runs; takes longer */

/* Number of length classes in the histogram of free runs. */
#define HYBRID_ALLOC_RUN_LENGTHS	40

/**
 * struct hybrid_alloc_stat - space accounting and counters
 * @size: sizeof(struct hybrid_alloc_stat)
 * @flags: HYBRID_ALLOC_STAT_RUNS
 * @epoch: 0 or the instance's
 * @capacity: out: length of the managed range
 * @charged: out: bytes in live extents
 * @cached: out: bytes in the per-CPU pools
 * @free: out: bytes free in slab and buddy
 * @retired: out: bytes neither live nor free: freed but not reusable yet, or being
 *	discarded by TRIM
 * @unusable: out: bytes at either end of the managed range that are no whole block
 * @metadata: out: RAM of the allocator's metadata, without @percpu
 * @percpu: out: RAM of the per-CPU pools and of the groups
 * @nr_live: out: number of live extents
 * @nr_slabs: out: number of slabs
 * @nr_free_runs: out, with HYBRID_ALLOC_STAT_RUNS: number of free runs
 * @largest_free_run: out: length in bytes of the largest free run
 * @pool_hits: out: allocations that a pool served
 * @pool_misses: out: allocations of a pooled size that no pool served
 * @pool_refills: out: batches of objects moved from the slab layer to a pool
 * @pool_drains: out: batches of objects moved from a pool to the slab layer
 * @slabs_made: out: number of slabs created
 * @slabs_returned: out: number of slabs returned to the buddy layer
 * @buddy_splits: out: number of buddy blocks split
 * @buddy_merges: out: number of buddy blocks merged
 * @slow_searches: out: allocations that had to empty the pools and search
 * @refused_frees: out: number of refused frees by enum hybrid_alloc_reason; [0] is 0
 * @run_count: out, with HYBRID_ALLOC_STAT_RUNS: number of free runs by length;
 *	[i] counts those of at least 2^i and less than 2^(i+1) times min_block,
 *	the last one also counts all longer ones
 * @run_bytes: out, with HYBRID_ALLOC_STAT_RUNS: total length of these runs in bytes
 *
 * capacity = charged + cached + free + retired + unusable whenever no other call
 * is running. Works on files opened read-only.
 */
struct hybrid_alloc_stat {
	__u32 size;
	__u32 flags;
	__u64 epoch;
	__u64 capacity;
	__u64 charged;
	__u64 cached;
	__u64 free;
	__u64 retired;
	__u64 unusable;
	__u64 metadata;
	__u64 percpu;
	__u64 nr_live;
	__u64 nr_slabs;
	__u64 nr_free_runs;
	__u64 largest_free_run;
	__u64 pool_hits;
	__u64 pool_misses;
	__u64 pool_refills;
	__u64 pool_drains;
	__u64 slabs_made;
	__u64 slabs_returned;
	__u64 buddy_splits;
	__u64 buddy_merges;
	__u64 slow_searches;
	__u64 refused_frees[8];
	__u64 run_count[HYBRID_ALLOC_RUN_LENGTHS];
	__u64 run_bytes[HYBRID_ALLOC_RUN_LENGTHS];
};

#define HYBRID_ALLOC_IOC_TYPE	0xBC

#define HYBRID_ALLOC_IOC_ATTACH	_IO(HYBRID_ALLOC_IOC_TYPE, 0x00)
#define HYBRID_ALLOC_IOC_DETACH	_IO(HYBRID_ALLOC_IOC_TYPE, 0x01)
#define HYBRID_ALLOC_IOC_INFO	_IO(HYBRID_ALLOC_IOC_TYPE, 0x02)
#define HYBRID_ALLOC_IOC_ALLOC	_IO(HYBRID_ALLOC_IOC_TYPE, 0x10)
#define HYBRID_ALLOC_IOC_FREE	_IO(HYBRID_ALLOC_IOC_TYPE, 0x11)
#define HYBRID_ALLOC_IOC_CLAIM	_IO(HYBRID_ALLOC_IOC_TYPE, 0x12)
#define HYBRID_ALLOC_IOC_SEAL	_IO(HYBRID_ALLOC_IOC_TYPE, 0x13)
#define HYBRID_ALLOC_IOC_DRAIN	_IO(HYBRID_ALLOC_IOC_TYPE, 0x14)
#define HYBRID_ALLOC_IOC_STAT	_IO(HYBRID_ALLOC_IOC_TYPE, 0x15)
#define HYBRID_ALLOC_IOC_ALLOC_BATCH	_IO(HYBRID_ALLOC_IOC_TYPE, 0x16)
#define HYBRID_ALLOC_IOC_FREE_BATCH	_IO(HYBRID_ALLOC_IOC_TYPE, 0x17)
#define HYBRID_ALLOC_IOC_CHECK	_IO(HYBRID_ALLOC_IOC_TYPE, 0x18)
#define HYBRID_ALLOC_IOC_MAP	_IO(HYBRID_ALLOC_IOC_TYPE, 0x19)
#define HYBRID_ALLOC_IOC_ALLOC_MANY	_IO(HYBRID_ALLOC_IOC_TYPE, 0x1a)
#define HYBRID_ALLOC_IOC_TRIM	_IO(HYBRID_ALLOC_IOC_TYPE, 0x1b)
#define HYBRID_ALLOC_IOC_GROW	_IO(HYBRID_ALLOC_IOC_TYPE, 0x1c)
#define HYBRID_ALLOC_IOC_CLAIM_BATCH	_IO(HYBRID_ALLOC_IOC_TYPE, 0x1d)
#define HYBRID_ALLOC_IOC_WATCH	_IO(HYBRID_ALLOC_IOC_TYPE, 0x1e)

#endif /* _UAPI_HYBRID_ALLOC_H */
