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
 *   the block device, so that they can be given to pread() and pwrite() as
 *   they are.
 * - The first field is the size of the structure as the caller knows it. A
 *   caller that is older than the kernel gets only the fields that it knows;
 *   one that is newer gets E2BIG if it uses a field that the kernel does not
 *   know (if the unknown bytes are not zero).
 * - Unknown flags, and reserved fields that are not zero, give EINVAL.
 * - epoch: 0, or the epoch that INFO returned; a call that names another
 *   epoch than the instance's gets ESTALE.
 * - A call that fails changes nothing, with the exceptions that are said at
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
#define HYBRID_ALLOC_ATTACH_FRESH	(1U << 0)	/* all is free; else sealed, see CLAIM */

/**
 * struct hybrid_alloc_attach - take over a block device (control node)
 * @size: sizeof(struct hybrid_alloc_attach)
 * @flags: HYBRID_ALLOC_ATTACH_FRESH, or 0 for rebuild: the instance is sealed,
 *	CLAIM works, ALLOC gives EAGAIN until SEAL
 * @fd: a file descriptor of the block device, open for reading and writing
 * @id: out: the number of the instance, N of /dev/hybrid_allocN
 * @range_start: first byte of the managed range, 0 for the whole device
 * @range_len: its length, 0 for all that follows @range_start
 * @min_block: smallest unit of space, a power of two from 4 KiB to 1 MiB, at
 *	least the logical block of the device; 0 for 4 KiB
 * @max_block: the largest single extent, a multiple of @min_block; 0 for no limit
 * @slab_max: the largest size that is served from slabs of equal objects, a
 *	power of two from 1 to 1024 times @min_block; 0 for 1 MiB
 * @buddy_start: smallest block of the buddy layer, a power of two from 1 to 4096
 *	times @min_block; 0 for 1 MiB
 *
 * EPERM without CAP_SYS_ADMIN in the initial namespace; EBADF bad @fd, or not
 * open for reading and writing; ENOTBLK not a block device; EROFS read-only;
 * EOPNOTSUPP zoned; EBUSY mounted, attached or held by others; ERANGE the
 * range is not inside the device; EINVAL the sizes do not fit each other, the
 * logical block is larger than @min_block, or the range is too small;
 * ENODEV the device is gone.
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
#define HYBRID_ALLOC_DETACH_FORCE	(1U << 0)	/* even with users and live extents */

/**
 * struct hybrid_alloc_detach - give a block device back (control node)
 * @size: sizeof(struct hybrid_alloc_detach)
 * @flags: HYBRID_ALLOC_DETACH_FORCE
 * @id: number of the instance
 * @__reserved: must be 0
 *
 * EPERM without CAP_SYS_ADMIN in the initial namespace; ENODEV no such
 * instance; EBUSY it has open files, live extents or users in the kernel. A
 * forced detach forgets the extents; later calls on files that are still open
 * give ENODEV. When the disk is gone live extents do not count: nobody could
 * free them.
 */
struct hybrid_alloc_detach {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 __reserved;
};

/* flags of INFO */
/* control node: the first with this number or a higher one */
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
 * @features: out: what this kernel can do beyond this header's first version
 * @epoch: out: changes whenever the instance's extents may have been forgotten
 * @uuid: out: random, new with every attach
 * @dev_major: out: of the block device
 * @dev_minor: out: of the block device
 * @range_start: out: first byte of the managed range
 * @range_len: out: its length, whole blocks only
 * @min_block: out: as configured at attach, in bytes
 * @max_block: out: 0 for no limit
 * @slab_max: out
 * @buddy_start: out
 * @disk: out: the name of the block device, ends with a zero byte
 *
 * Works on files opened read-only. ENODEV there is no such instance (with
 * HYBRID_ALLOC_INFO_NEXT: none with this or a higher number).
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
 * It goes back when that is closed for the last time, by whatever end of the
 * process, as a FREE would give it back; duplicated and inherited descriptors
 * keep it. I/O to the extent must have finished by then. Only a FREE through
 * this description is accepted, all others get EPERM.
 */
#define HYBRID_ALLOC_ALLOC_BOUND	(1U << 0)

/*
 * flags of ALLOC, ALLOC_MANY and an item of ALLOC_BATCH
 *
 * HYBRID_ALLOC_ALLOC_GOAL: goal is an address inside the managed range, else it
 * must be 0. The extent begins there if the space is free, or close to it if
 * that can be found out quickly. It never fails because of its goal.
 */
#define HYBRID_ALLOC_ALLOC_GOAL		(1U << 1)

/* a flag of ALLOC_MANY: less than was wanted will do */
#define HYBRID_ALLOC_ALLOC_PARTIAL	(1U << 2)

/**
 * struct hybrid_alloc_alloc - allocate an extent
 * @size: sizeof(struct hybrid_alloc_alloc)
 * @flags: HYBRID_ALLOC_ALLOC_BOUND, HYBRID_ALLOC_ALLOC_GOAL
 * @epoch: 0 or the instance's
 * @len: bytes wanted, rounded up to min_block
 * @align: alignment of the start on the device, a power of two, or 0
 * @extent: out: the extent; its len is the rounded length. In: cookie, flags
 *	and domain must be 0, start and len do not matter
 * @goal: where the extent should be, see HYBRID_ALLOC_ALLOC_GOAL
 *
 * EINVAL @len is 0 or @align not a power of two; EFBIG @len is larger than
 * max_block or the managed range; ERANGE @goal is outside of it; ENOSPC no free
 * run fits; EAGAIN before SEAL; ENOMEM; EINTR killed while it waited.
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
	HYBRID_ALLOC_REASON_NOT_ALLOCATED,	/* ENOENT: never, or already freed */
	HYBRID_ALLOC_REASON_WRONG_START,	/* EINVAL: inside a live extent, not its start */
	HYBRID_ALLOC_REASON_WRONG_LENGTH,	/* EINVAL: start is right, len is not */
	HYBRID_ALLOC_REASON_UNALIGNED,		/* EINVAL: start is not a multiple of min_block */
	HYBRID_ALLOC_REASON_ZERO_LENGTH,	/* EINVAL: len is 0 */
	HYBRID_ALLOC_REASON_OUT_OF_RANGE,	/* ERANGE: not inside the managed range, or wraps */
	HYBRID_ALLOC_REASON_FOREIGN,		/* EPERM: bound to another file */
	HYBRID_ALLOC_REASON_COUNT
};

/**
 * struct hybrid_alloc_free - give an extent back
 * @size: sizeof(struct hybrid_alloc_free)
 * @flags: must be 0
 * @epoch: 0 or the instance's
 * @extent: start, and a len that rounds up to the extent's length
 * @reason: out: enum hybrid_alloc_reason, set when the call fails with EINVAL,
 *	ENOENT, ERANGE or EPERM on the extent
 * @__reserved: must be 0
 *
 * I/O to the extent must have finished: what is still dirty in the page cache
 * of the block device lands in the data of the extent's next owner. Never
 * fails for lack of memory. EFAULT when the result cannot be written back
 * although it could before: the extent is free all the same.
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
 * struct hybrid_alloc_batch - ALLOC_BATCH, FREE_BATCH, CLAIM_BATCH: many at once
 * @size: sizeof(struct hybrid_alloc_batch)
 * @flags: ALLOC_BATCH: HYBRID_ALLOC_ALLOC_BOUND, for all items; else 0
 * @epoch: 0 or the instance's
 * @items: address of the first item, struct hybrid_alloc_alloc_item of
 *	ALLOC_BATCH, else struct hybrid_alloc_free_item
 * @nr: number of items, 1 to HYBRID_ALLOC_MAX_ITEMS
 * @item_size: size of an item as the caller knows it, a multiple of 8; the
 *	rules for the size of a structure hold
 * @nr_done: out: so many items, from the first, carry a result
 * @nr_failed: out: so many of these carry an error
 *
 * Does the items in their order, each as the call for one would, and writes the
 * result into each. Returns 0 also when items fail. EINVAL @nr or @item_size is
 * wrong; EFAULT @items cannot be read and written, which is tried before
 * anything is done.
 *
 * When the call itself fails half-way, ALLOC_BATCH has allocated nothing:
 * ENOMEM, EINTR killed, EFAULT the results cannot be written although they
 * could before. What FREE_BATCH has freed stays free, and what CLAIM_BATCH has
 * claimed stays live; @nr_done tells how far they came, whatever they return.
 * FREE_BATCH needs no memory.
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
 * @len: as of ALLOC
 * @align: as of ALLOC
 * @goal: as of ALLOC
 * @flags: HYBRID_ALLOC_ALLOC_GOAL
 * @error: out: 0, or the errno that ALLOC would have given, EINVAL also for
 *	flags and reserved fields
 * @extent: as of ALLOC; all zeroes if there is an error
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
 * @extent: as of FREE or CLAIM
 * @error: out: 0, or the errno that FREE or CLAIM would have given, EINVAL also
 *	for fields of @extent that must be 0
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
 * @items: address of an array of struct hybrid_alloc_extent, to be filled in
 * @nr: its length, the largest number of extents that will do, 1 to
 *	HYBRID_ALLOC_MAX_ITEMS
 * @item_size: size of an extent as the caller knows it, a multiple of 8
 * @len: bytes wanted in all, rounded up to min_block
 * @align: alignment of each start on the device, a power of two, or 0
 * @goal: where the first extent should be, see HYBRID_ALLOC_ALLOC_GOAL; the
 *	others follow if they can
 * @total: out: bytes in all extents
 * @nr_extents: out: number of extents
 * @__reserved: must be 0
 *
 * Gives one extent if there is a free run for it, else the largest that there
 * are, until @len is reached; none is larger than max_block. Each is an extent
 * of its own, to be freed by itself. If @nr extents do not reach @len, it is
 * ENOSPC and nothing is allocated; with HYBRID_ALLOC_ALLOC_PARTIAL only if not
 * even one block is free.
 *
 * EINVAL @len is 0, @align not a power of two, @nr or @item_size wrong; EFBIG
 * @len is larger than the managed range, or than @nr times max_block although
 * all of it is wanted; ERANGE @goal is outside of the managed range; EAGAIN
 * before SEAL; ENOMEM; EINTR killed. A call that fails has allocated nothing.
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
 * @extent: the range; start a multiple of min_block, len rounds up to it
 *
 * For users that keep their own catalogue: attach in rebuild mode, claim all
 * that the catalogue names, SEAL. For a large catalogue there is CLAIM_BATCH: see
 * struct hybrid_alloc_batch.
 *
 * EINVAL the length is 0 or the start not a multiple; ERANGE the range is not
 * inside the managed one; EEXIST it is (partly) taken; ENOMEM; EINTR killed while
 * it waited.
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
 * SEAL ends the rebuild mode: ALLOC works from then on; without effect when
 * it did already. DRAIN empties the per-CPU pools.
 *
 * CHECK rebuilds what the allocator believes of its space from its metadata,
 * and compares. It takes time in proportion to the metadata. EUCLEAN something
 * is broken; EAGAIN others are at work all the time, and what was found fits
 * together but for the sums over all of it, which nobody knows then; EPERM
 * without CAP_SYS_ADMIN in the initial namespace. Works on files opened
 * read-only.
 */
struct hybrid_alloc_op {
	__u32 size;
	__u32 flags;
	__u64 epoch;
};

/**
 * struct hybrid_alloc_trim - tell the disk what is free
 * @size: sizeof(struct hybrid_alloc_trim)
 * @flags: must be 0
 * @epoch: 0 or the instance's
 * @start: first byte of the part to trim; what lies before the managed range is
 *	passed over
 * @len: its length; may reach beyond the end
 * @minlen: free runs shorter than this are left alone
 * @trimmed: out: so many bytes were discarded, also when the call fails
 *
 * As FITRIM does for a file system. The pools are emptied before. What is being
 * discarded is kept from use for that moment and counts as retired; nobody gets
 * it, and who needs just that space waits. A run is trimmed as far as the disk's
 * discard granularity allows: whole units of the disk. One that lies over a
 * border of what the allocator keeps its space in may be left alone.
 *
 * EINVAL @len is 0; ERANGE @start is behind the managed range; EOPNOTSUPP the
 * disk cannot; EAGAIN before SEAL; EINTR killed; EIO the disk failed; ENOMEM.
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
 * struct hybrid_alloc_grow - take over what the disk has grown by
 * @size: sizeof(struct hybrid_alloc_grow)
 * @flags: must be 0
 * @epoch: 0 or the instance's
 * @range_len: new length of the managed range, as at ATTACH; 0 for all that
 *	follows its start
 * @capacity: out: the managed range, as in STAT
 *
 * Without effect if nothing has grown. EPERM without CAP_SYS_ADMIN in the
 * initial namespace; EINVAL the range would become shorter, also because the
 * disk has; ERANGE it would not be inside the disk; ENOMEM; EINTR killed.
 */
struct hybrid_alloc_grow {
	__u32 size;
	__u32 flags;
	__u64 epoch;
	__u64 range_len;
	__u64 capacity;
};

/**
 * struct hybrid_alloc_watch - be told when free space is low
 * @size: sizeof(struct hybrid_alloc_watch)
 * @flags: must be 0
 * @epoch: 0 or the instance's
 * @low_space: space is low when less than so many bytes are free; 0 for never
 * @free: out: what is free now, as STAT says
 *
 * Sets the threshold of this open file description, in place of the one before;
 * at first it is 0. While space is low poll() gives POLLPRI, and a waiter is woken
 * when it becomes low; an edge-triggered one is told again once there was enough in
 * between. What is in the pools is not free, nor is what TRIM has in hand for a
 * moment: as they shrink and grow in batches, this comes a little early; DRAIN
 * tells what they have.
 *
 * When the instance is detached by force, or the disk went away, poll() gives
 * POLLERR and POLLHUP. Kernels before 6.5 tell of the latter only when somebody next
 * calls. Works on files opened read-only.
 */
struct hybrid_alloc_watch {
	__u32 size;
	__u32 flags;
	__u64 epoch;
	__u64 low_space;
	__u64 free;
};

/* what a part of the device is */
enum hybrid_alloc_map_state {
	HYBRID_ALLOC_MAP_FREE = 0,
	HYBRID_ALLOC_MAP_LIVE,		/* one live extent, as a whole */
	HYBRID_ALLOC_MAP_CACHED,	/* free, in a per-CPU pool */
	HYBRID_ALLOC_MAP_HELD,		/* free, kept from use for a moment */
};

/* where a part of the device lies; there may be more kinds one day */
enum hybrid_alloc_map_kind {
	HYBRID_ALLOC_MAP_KIND_NONE = 0,	/* free space, which may cross their borders */
	HYBRID_ALLOC_MAP_KIND_EQUAL,	/* in a slab of equal objects, of its length all */
	HYBRID_ALLOC_MAP_KIND_MIXED,	/* in a slab of mixed lengths */
	HYBRID_ALLOC_MAP_KIND_BUDDY,	/* a block of the buddy layer, as a whole */
	HYBRID_ALLOC_MAP_KIND_SPAN,	/* over several of these */
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
#define HYBRID_ALLOC_MAP_KINDS		(1U << 0)	/* also tell the kind of each entry */

/**
 * struct hybrid_alloc_map - what the device is used for
 * @size: sizeof(struct hybrid_alloc_map)
 * @flags: HYBRID_ALLOC_MAP_KINDS
 * @epoch: 0 or the instance's
 * @items: address of an array of struct hybrid_alloc_map_entry
 * @nr: its length, 1 to HYBRID_ALLOC_MAX_ITEMS
 * @item_size: size of an entry as the caller knows it, a multiple of 8; what an
 *	entry has beyond what the kernel knows is left as it is
 * @start: the first byte of interest, a multiple of min_block; what lies before
 *	the managed range is passed over
 * @len: how much is of interest, 0 for all that follows
 * @nr_entries: out: number of entries that were filled in, 0 at the end
 * @__reserved: must be 0
 *
 * The entries are in the order of addresses and without gaps. Each live extent
 * is one, with its own start and length, also if @start lies inside it or it
 * reaches beyond the part of interest. Free space next to each other may be told
 * in several entries. To see more, call again with the end of the last entry as
 * @start. The entries of one call belong together: they were true at one moment;
 * the next call may see changes.
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
#define HYBRID_ALLOC_STAT_RUNS		(1U << 0)	/* also walk the free runs; takes longer */

/* Number of lengths that free runs are counted by. */
#define HYBRID_ALLOC_RUN_LENGTHS	40

/**
 * struct hybrid_alloc_stat - where the space is
 * @size: sizeof(struct hybrid_alloc_stat)
 * @flags: HYBRID_ALLOC_STAT_RUNS
 * @epoch: 0 or the instance's
 * @capacity: out: the managed range
 * @charged: out: in live extents
 * @cached: out: in the per-CPU pools
 * @free: out: free in slab and buddy
 * @retired: out: given back but not yet reusable
 * @unusable: out: what is no whole block, at either end of the managed range
 * @metadata: out: RAM of the allocator's metadata, per-CPU memory apart
 * @percpu: out: RAM of what there is for each CPU: pools, groups
 * @nr_live: out: number of live extents
 * @nr_slabs: out: number of slabs
 * @nr_free_runs: out, with HYBRID_ALLOC_STAT_RUNS: number of free runs
 * @largest_free_run: out
 * @pool_hits: out: allocations that a pool served
 * @pool_misses: out: allocations of a pooled size that had to go further
 * @pool_refills: out
 * @pool_drains: out
 * @slabs_made: out
 * @slabs_returned: out
 * @buddy_splits: out
 * @buddy_merges: out
 * @slow_searches: out: allocations that had to empty the pools and search
 * @refused_frees: out: by enum hybrid_alloc_reason; [0] is 0
 * @run_count: out, with HYBRID_ALLOC_STAT_RUNS: number of free runs by length;
 *	[i] counts those of at least 2^i and less than 2^(i+1) times min_block,
 *	the last one also all that are longer
 * @run_bytes: out, with HYBRID_ALLOC_STAT_RUNS: how long these are together
 *
 * capacity = charged + cached + free + retired + unusable, at every moment at
 * which nobody else is at work. Works on files opened read-only.
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
