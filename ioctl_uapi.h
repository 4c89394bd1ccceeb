/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * hybrid_alloc - user ABI of the block-space allocator
 *
 * There are two kinds of device node:
 *
 *   /dev/hybrid_alloc    the control node: ATTACH, DETACH, INFO (of any instance)
 *   /dev/hybrid_allocN   an instance, one attached block device: INFO, ALLOC,
 *                        FREE, CLAIM, SEAL, DRAIN, STAT, ALLOC_BATCH,
 *                        FREE_BATCH, CLAIM_BATCH, ALLOC_MANY, MAP, TRIM, GROW,
 *                        CHECK, WATCH, SPLIT, EXTEND, RESERVE, UNRESERVE, KEEP; poll()
 *
 * Users in the kernel, such as file systems, have instances as well. Their nodes
 * open for reading only (else EROFS), and they end with their user only: DETACH
 * gets EBUSY, also if it is forced.
 *
 * Rules for all structures:
 *
 * - All positions and lengths are in bytes. Positions count from the start of
 *   the block device, so they can be passed to pread() and pwrite() as they
 *   are.
 * - The first field is the size of the structure as the caller knows it. A
 *   caller that is older than the kernel gets only the fields that it knows. A
 *   newer caller gets E2BIG if a field that the kernel does not know is not
 *   zero.
 * - Unknown flags, and reserved fields that are not zero, give EINVAL.
 * - epoch is 0, or the epoch that INFO returned. An epoch other than the
 *   instance's gives ESTALE.
 * - A call that fails changes nothing, except as documented at hybrid_alloc_free
 *   and hybrid_alloc_batch below.
 *
 * Checks are made in this order: command (ENOTTY), structure (EFAULT, EINVAL,
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
#define HYBRID_ALLOC_ATTACH_FRESH	(1U << 0)	/* a blank disk, all is free; else sealed */
#define HYBRID_ALLOC_ATTACH_OVERWRITE	(1U << 5)	/* any disk, all is free */

/**
 * struct hybrid_alloc_attach - ATTACH: make an instance of a block device (control node)
 * @size: sizeof(struct hybrid_alloc_attach)
 * @flags: HYBRID_ALLOC_ATTACH_FRESH and HYBRID_ALLOC_ATTACH_OVERWRITE, or 0 for
 *	auto, which is a rebuild: the instance is sealed, so CLAIM works, and ALLOC,
 *	EXTEND, RESERVE and TRIM give EAGAIN until SEAL
 * @fd: a file descriptor of the block device, open for reading and writing
 * @id: out: number of the instance, the N of /dev/hybrid_allocN
 * @range_start: first byte of the managed range
 * @range_len: length of the managed range; 0: up to the end of the device
 * @min_block: length of a block, the smallest unit of space: a power of two from
 *	4 KiB to 1 MiB, at least the device's logical block size; 0: 4 KiB
 * @max_block: largest length of an extent, a multiple of @min_block; 0: no limit
 * @slab_max: largest size that is served from slabs of equal objects, a power
 *	of two from 1 to 1024 times @min_block; 0: half of @buddy_start, but at
 *	least @min_block and at most 1 MiB
 * @buddy_start: smallest block of the buddy layer, a power of two from 1 to 4096
 *	times @min_block; 0: 1 MiB
 *
 * FRESH takes a managed range only if its first and its last MiB are zero: it
 * gives the space of anything else on the disk away. OVERWRITE, with or without
 * FRESH, takes it whatever is there. Neither writes to the disk.
 *
 * EPERM the caller has no CAP_SYS_ADMIN in the initial namespace; EBADF @fd is
 * not open for reading and writing; ENOTBLK it is not a block device; EROFS the
 * device is read-only; EEXIST the managed range is not blank, with FRESH;
 * EOPNOTSUPP the device is zoned, or has a durable instance of a later version
 * (with FRESH: EEXIST); EIO it cannot be read; EBUSY it is mounted, attached or
 * otherwise in exclusive use; ERANGE the range is not inside the device; EINVAL
 * a size is not valid, the logical block size is larger than @min_block, or the
 * range is smaller than @buddy_start; ENODEV the device went away.
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
#define HYBRID_ALLOC_DETACH_FORCE	(1U << 0)	/* even with open files or live extents */

/**
 * struct hybrid_alloc_detach - DETACH: end an instance (control node)
 * @size: sizeof(struct hybrid_alloc_detach)
 * @flags: HYBRID_ALLOC_DETACH_FORCE
 * @id: number of the instance
 * @__reserved: must be 0
 *
 * A forced detach forgets the live extents. Later calls through files that are
 * still open give ENODEV.
 *
 * EPERM the caller has no CAP_SYS_ADMIN in the initial namespace; ENODEV there
 * is no such instance; EBUSY it has open files or live extents, and the detach is
 * not forced, or it belongs to a user in the kernel, also if the detach is forced.
 * Once the disk went away live extents do not count, since they can no longer be
 * freed.
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
#define HYBRID_ALLOC_STATE_SEALED	(1U << 0)	/* only CLAIM takes space */
#define HYBRID_ALLOC_STATE_GONE		(1U << 1)	/* the block device was removed */
#define HYBRID_ALLOC_STATE_KERNEL	(1U << 7)	/* of a user in the kernel */

/* bits of hybrid_alloc_info.features */
#define HYBRID_ALLOC_FEATURE_WATCH	(1ULL << 0)	/* WATCH and poll() */
#define HYBRID_ALLOC_FEATURE_MAP_KIND	(1ULL << 1)	/* MAP knows HYBRID_ALLOC_MAP_KINDS */
#define HYBRID_ALLOC_FEATURE_PARTS	(1ULL << 3)	/* FREE_PART; SPLIT, EXTEND and KEEP */
#define HYBRID_ALLOC_FEATURE_RESERVE	(1ULL << 4)	/* RESERVE and UNRESERVE */
/* ALLOC and ALLOC_MANY know min, and alignments that are not a power of two */
#define HYBRID_ALLOC_FEATURE_MIN	(1ULL << 6)

/**
 * struct hybrid_alloc_info - INFO: what an instance is
 * @size: sizeof(struct hybrid_alloc_info)
 * @flags: HYBRID_ALLOC_INFO_NEXT (control node only)
 * @id: out: number of the instance; on the control node also in
 * @state: out: HYBRID_ALLOC_STATE_ bits
 * @features: out: HYBRID_ALLOC_FEATURE_ bits, what the module can do beyond the
 *	first version of this header
 * @epoch: out: not 0; changes whenever extents may have been forgotten
 * @uuid: out: random, new with each attach
 * @dev_major: out: major number of the block device
 * @dev_minor: out: minor number of the block device
 * @range_start: out: first byte of the managed range, rounded up to a block
 * @range_len: out: length of the managed range in whole blocks
 * @min_block: out: length of a block
 * @max_block: out: largest length of an extent; 0: no limit
 * @slab_max: out: as in ATTACH
 * @buddy_start: out: as in ATTACH
 * @disk: out: name of the block device, ends with a zero byte
 * @user: out: name of the user in the kernel, ends with a zero byte; empty if the
 *	instance is one of ATTACH
 *
 * Works on files opened read-only, and after the disk went away. ENODEV there is
 * no such instance (with HYBRID_ALLOC_INFO_NEXT: none with this number or a
 * higher one).
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
	__u8  user[32];
};

/*
 * flags of ALLOC, ALLOC_BATCH and ALLOC_MANY
 *
 * HYBRID_ALLOC_ALLOC_BOUND: the extent is bound to the open file description.
 * It is freed when the last descriptor of that description is closed, however
 * the process ends; duplicated and inherited descriptors keep it. I/O to the
 * extent must have finished by then. A FREE through another description gets
 * EPERM.
 */
#define HYBRID_ALLOC_ALLOC_BOUND	(1U << 0)

/*
 * flags of ALLOC, ALLOC_MANY and an item of ALLOC_BATCH
 *
 * HYBRID_ALLOC_ALLOC_GOAL: goal is an address; without the flag it must be 0. The
 * extent starts there if the space is free, or soon after if such space is found
 * quickly; what follows a live extent that has no space behind it starts where there
 * is room to go on. A goal is never a condition: an allocation does not fail because of it,
 * and a goal outside the managed range has no effect.
 */
#define HYBRID_ALLOC_ALLOC_GOAL		(1U << 1)

/* flag of ALLOC_MANY: fewer bytes than requested are accepted */
#define HYBRID_ALLOC_ALLOC_PARTIAL	(1U << 2)

/*
 * flags of ALLOC, ALLOC_BATCH and ALLOC_MANY
 *
 * HYBRID_ALLOC_ALLOC_RESERVED: the extent takes from what this open file
 * description has reserved (RESERVE), which must be as much (else EINVAL). A
 * single block without an alignment is always found. The call is not interrupted,
 * and does not fail for lack of memory. Not together with
 * HYBRID_ALLOC_ALLOC_BOUND.
 */
#define HYBRID_ALLOC_ALLOC_RESERVED	(1U << 5)

/**
 * struct hybrid_alloc_alloc - ALLOC: allocate an extent
 * @size: sizeof(struct hybrid_alloc_alloc)
 * @flags: HYBRID_ALLOC_ALLOC_BOUND, HYBRID_ALLOC_ALLOC_GOAL,
 *	HYBRID_ALLOC_ALLOC_RESERVED
 * @epoch: 0, or the instance's
 * @len: bytes requested, rounded up to whole blocks
 * @align: alignment of the start on the device, a power of two or a multiple of
 *	min_block; 0: a block
 * @extent: out: the extent, with the rounded length. In: cookie, flags and domain
 *	must be 0; start and len are ignored
 * @goal: where the extent should be, see HYBRID_ALLOC_ALLOC_GOAL
 * @min: the fewest bytes that will do, rounded up to whole blocks; 0: @len
 * @reason: out: HYBRID_ALLOC_REASON_RESERVED if ENOSPC is because of that; else 0
 * @__reserved: must be 0
 *
 * With @min the extent has @len bytes if a free run is that long, and no more than
 * max_block; otherwise it is the longest that there is at this alignment. It is not
 * shorter than @min, and takes no more than is not reserved; with
 * HYBRID_ALLOC_ALLOC_RESERVED no more than the file has reserved. A module without
 * HYBRID_ALLOC_FEATURE_MIN gives E2BIG then, and EINVAL for an alignment that is not a
 * power of two.
 *
 * EINVAL @len is 0, @min is larger than @len, @align is not valid, or @len, or with it
 * @min, is more than the file has reserved, with HYBRID_ALLOC_ALLOC_RESERVED; EFBIG
 * @len, or with it @min, is larger than max_block or the managed range; ENOSPC no free
 * run fits, or less is free and not reserved; EAGAIN the instance is sealed; ENOMEM;
 * EINTR the caller was killed while it waited.
 */
struct hybrid_alloc_alloc {
	__u32 size;
	__u32 flags;
	__u64 epoch;
	__u64 len;
	__u64 align;
	struct hybrid_alloc_extent extent;
	__u64 goal;
	__u64 min;
	__u32 reason;
	__u32 __reserved;
};

/* why a FREE was refused, or an ALLOC */
enum hybrid_alloc_reason {
	HYBRID_ALLOC_REASON_NONE = 0,
	HYBRID_ALLOC_REASON_NOT_ALLOCATED,	/* ENOENT: never allocated, or already freed */
	HYBRID_ALLOC_REASON_WRONG_START,	/* EINVAL: inside a live extent, not its start */
	HYBRID_ALLOC_REASON_WRONG_LENGTH,	/* EINVAL: start is right, len is not */
	HYBRID_ALLOC_REASON_UNALIGNED,		/* EINVAL: start is not a multiple of min_block */
	HYBRID_ALLOC_REASON_ZERO_LENGTH,	/* EINVAL: len is 0 */
	HYBRID_ALLOC_REASON_OUT_OF_RANGE,	/* ERANGE: not inside the managed range, or wraps */
	HYBRID_ALLOC_REASON_FOREIGN,		/* EPERM: bound to another open file */
	HYBRID_ALLOC_REASON_COUNT,		/* of the reasons above: those of a FREE */
	HYBRID_ALLOC_REASON_RESERVED = 64	/* ENOSPC: what is free is reserved */
};

/*
 * flag of FREE and FREE_BATCH
 *
 * HYBRID_ALLOC_FREE_PART: the range is a part of a live extent, in whole blocks: its
 * head, its tail, or out of its middle. What is before and behind it are extents of
 * their own then, and are bound as the extent was. Or the range is one or several live
 * extents exactly: all of them are freed, one after another, once all were looked at.
 * If another call frees one of them meanwhile, ENOENT: those before it are free.
 *
 * A part needs memory: ENOMEM, and EINTR the caller was killed while it waited for
 * pools to be emptied. It is refused as any free is: ENOENT (NOT_ALLOCATED) nothing is
 * allocated at start; EINVAL (WRONG_LENGTH) the range goes beyond the extent that start is
 * in, and is no row of extents; EINVAL (UNALIGNED) start or len is no multiple of min_block.
 */
#define HYBRID_ALLOC_FREE_PART		(1U << 0)

/**
 * struct hybrid_alloc_free - FREE: free an extent
 * @size: sizeof(struct hybrid_alloc_free)
 * @flags: HYBRID_ALLOC_FREE_PART
 * @epoch: 0, or the instance's
 * @extent: start, and a len that rounds up to the extent's length; cookie, flags
 *	and domain must be 0
 * @reason: out: enum hybrid_alloc_reason: why the free was refused, or 0; unchanged if
 *	the call failed before the extent was looked at
 * @__reserved: must be 0
 *
 * Without the flag, the extent must be live, and exactly of this start and length;
 * otherwise the free is refused and nothing changes.
 *
 * I/O to the extent must have finished. If pages of it are still dirty in the page
 * cache of the block device, they overwrite data of the extent's next owner.
 *
 * A free without the flag needs no memory. EINVAL, ENOENT, ERANGE, EPERM of the extent
 * as @reason says; EFAULT the result can no longer be written back: the extent is free
 * nevertheless.
 */
struct hybrid_alloc_free {
	__u32 size;
	__u32 flags;
	__u64 epoch;
	struct hybrid_alloc_extent extent;
	__u32 reason;
	__u32 __reserved;
};

/* Largest number of items of a call. */
#define HYBRID_ALLOC_MAX_ITEMS	1024

/**
 * struct hybrid_alloc_batch - the calls for many extents but ALLOC_MANY and MAP
 * @size: sizeof(struct hybrid_alloc_batch)
 * @flags: for all items: ALLOC_BATCH: HYBRID_ALLOC_ALLOC_BOUND or
 *	HYBRID_ALLOC_ALLOC_RESERVED; FREE_BATCH: HYBRID_ALLOC_FREE_PART; else 0
 * @epoch: 0, or the instance's
 * @items: user address of an array: of struct hybrid_alloc_alloc_item for ALLOC_BATCH,
 *	struct hybrid_alloc_split_item for SPLIT, struct hybrid_alloc_extend_item for
 *	EXTEND, else of struct hybrid_alloc_free_item
 * @nr: number of items, 1 to HYBRID_ALLOC_MAX_ITEMS
 * @item_size: size of an item as the caller knows it, a multiple of 8; the rules
 *	for the size of a structure apply
 * @nr_done: out: number of items, from the first one, that have a result
 * @nr_failed: out: number of items among these that have an error
 *
 * Of ALLOC_BATCH, FREE_BATCH, CLAIM_BATCH, SPLIT, EXTEND and KEEP. Processes the items in
 * order, each like the call for one extent, if there is one, and writes the
 * result into each. Returns 0 even if items fail. EINVAL @nr or @item_size is not
 * valid; EFAULT @items cannot be read and written, which is checked before the
 * first item.
 *
 * If the call itself fails half-way (ENOMEM; EINTR the caller was killed; ENODEV
 * the instance was detached; EFAULT the results can no longer be written),
 * ALLOC_BATCH has allocated nothing. What the other calls have done stays so; @nr_done
 * is the number of items done, also on failure. FREE_BATCH needs no memory without the
 * flag.
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
 * @error: out: 0, or the errno that ALLOC would return; EINVAL also for unknown
 *	flags and reserved fields that are not 0
 * @extent: as in ALLOC; all zeroes if there is an error
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
 * struct hybrid_alloc_free_item - an item of FREE_BATCH, CLAIM_BATCH or KEEP
 * @extent: as in FREE or CLAIM
 * @error: out: 0, or the errno that FREE or CLAIM would return; EINVAL also for
 *	fields of @extent that must be 0
 * @reason: out: enum hybrid_alloc_reason: why the free was refused; 0 for a claim
 *
 * KEEP: extents that are bound to this open file description are bound no longer. They
 * stay when it is closed, and any file open on the node can free them. What is bound to
 * another one is refused as FREE refuses it; an extent that is not bound stays as it is.
 * KEEP needs no memory.
 */
struct hybrid_alloc_free_item {
	struct hybrid_alloc_extent extent;
	__u32 error;
	__u32 reason;
};

/**
 * struct hybrid_alloc_split_item - an item of SPLIT: make two extents of one
 * @extent: as in FREE
 * @at: first byte of the second extent: a multiple of min_block, inside the extent and
 *	not its first byte
 * @error: out: 0, or an errno as of FREE; EINVAL (UNALIGNED) also for @at; ENOMEM; EINTR
 * @reason: out: enum hybrid_alloc_reason: why it was refused
 *
 * Both are bound as the extent was.
 */
struct hybrid_alloc_split_item {
	struct hybrid_alloc_extent extent;
	__u64 at;
	__u32 error;
	__u32 reason;
};

/**
 * struct hybrid_alloc_extend_item - an item of EXTEND: make an extent longer, where it is
 * @extent: as in FREE; out: with its new length
 * @more: by how many bytes, rounded up to whole blocks
 * @least: how many are enough, rounded up to whole blocks; 0: all of @more
 * @error: out: 0, or an errno as of FREE; EINVAL also if @more is 0 or less than @least;
 *	EFBIG the extent would be larger than max_block or the managed range; ENOSPC fewer
 *	than @least bytes are free behind it, or not reserved; ENOMEM; EINTR
 * @reason: out: enum hybrid_alloc_reason: why it was refused;
 *	HYBRID_ALLOC_REASON_RESERVED if ENOSPC is because of that
 *
 * The extent gets as many of @more bytes as are free behind it and not reserved. The
 * call gets EAGAIN if the instance is sealed.
 */
struct hybrid_alloc_extend_item {
	struct hybrid_alloc_extent extent;
	__u64 more;
	__u64 least;
	__u32 error;
	__u32 reason;
};

/**
 * struct hybrid_alloc_many - ALLOC_MANY: allocate a number of bytes in several extents
 * @size: sizeof(struct hybrid_alloc_many)
 * @flags: HYBRID_ALLOC_ALLOC_BOUND, HYBRID_ALLOC_ALLOC_GOAL,
 *	HYBRID_ALLOC_ALLOC_PARTIAL, HYBRID_ALLOC_ALLOC_RESERVED
 * @epoch: 0, or the instance's
 * @items: user address of an array of struct hybrid_alloc_extent, to be filled in
 * @nr: length of the array: the largest number of extents that is accepted, 1 to
 *	HYBRID_ALLOC_MAX_ITEMS
 * @item_size: size of an extent as the caller knows it, a multiple of 8
 * @len: bytes requested in total, rounded up to whole blocks
 * @align: alignment of each start on the device, as in ALLOC
 * @goal: where the first extent should be, see HYBRID_ALLOC_ALLOC_GOAL; with the
 *	flag each further extent has the end of the previous one as its goal
 * @total: out: bytes in all extents
 * @nr_extents: out: number of extents
 * @__reserved: must be 0
 * @min: the fewest bytes that an extent has, rounded up to whole blocks; 0: a block
 * @reason: out: HYBRID_ALLOC_REASON_RESERVED if ENOSPC is because of that; else 0
 * @__reserved2: must be 0
 *
 * Allocates one extent if a free run is long enough, otherwise the largest free
 * runs until @len is reached. No extent is larger than max_block, or shorter than @min.
 * Each is an extent of its own and is freed separately. If @nr extents do not reach
 * @len: ENOSPC, and nothing is allocated; with HYBRID_ALLOC_ALLOC_PARTIAL only if there
 * is not even one extent of @min. What is reserved is not taken; with
 * HYBRID_ALLOC_ALLOC_RESERVED only that is. A module without HYBRID_ALLOC_FEATURE_MIN gives E2BIG
 * if @min is not 0.
 *
 * EINVAL @len is 0, @min is larger than @len, @align, @nr or
 * @item_size is not valid, or the file has not reserved @len, with
 * HYBRID_ALLOC_ALLOC_RESERVED; EFBIG @len is larger than the managed range, @min than
 * max_block, or @len, without
 * HYBRID_ALLOC_ALLOC_PARTIAL, than @nr times max_block; EAGAIN the instance is
 * sealed; ENOMEM; EINTR the caller was killed. A call that fails has allocated
 * nothing.
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
	__u64 min;
	__u32 reason;
	__u32 __reserved2;
};

/**
 * struct hybrid_alloc_claim - CLAIM: make a live extent of a given free range
 * @size: sizeof(struct hybrid_alloc_claim)
 * @flags: must be 0
 * @epoch: 0, or the instance's
 * @extent: the range: start is a multiple of min_block, len is rounded up to whole
 *	blocks; cookie, flags and domain must be 0
 *
 * For programs that keep a catalogue of their extents: attach in rebuild mode,
 * claim each extent in the catalogue, SEAL. For a large catalogue use CLAIM_BATCH,
 * see struct hybrid_alloc_batch: sorted by start, with as many extents in a call as it
 * takes, it is many times as fast, and equal extents in a row are pooled again when they
 * are freed.
 *
 * EINVAL the length is 0, or the start is not a multiple of min_block; ERANGE the
 * range is not inside the managed range; EEXIST part of it is not free; ENOSPC
 * less is free and not reserved; ENOMEM; EINTR the caller was killed while it
 * waited.
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
 * @epoch: 0, or the instance's
 *
 * SEAL ends the rebuild mode: ALLOC, EXTEND, RESERVE and TRIM work then. It has no effect
 * if the instance is not sealed. DRAIN empties the per-CPU pools.
 *
 * CHECK recomputes the sums and links in the metadata, and compares them. It takes
 * time in proportion to the metadata. EUCLEAN the metadata is broken; EAGAIN
 * other calls changed the device meanwhile: each part is consistent, but the totals
 * could not be verified; EINTR the caller was killed; EPERM the caller has no
 * CAP_SYS_ADMIN in the initial namespace. CHECK, but not SEAL and DRAIN, works on
 * files opened read-only.
 */
struct hybrid_alloc_op {
	__u32 size;
	__u32 flags;
	__u64 epoch;
};

/**
 * struct hybrid_alloc_trim - TRIM: discard free space
 * @size: sizeof(struct hybrid_alloc_trim)
 * @flags: must be 0
 * @epoch: 0, or the instance's
 * @start: first byte of the part to trim; the part before the managed range is
 *	skipped
 * @len: length of the part; may reach past the end of the managed range
 * @minlen: shortest free run to trim
 * @trimmed: out: number of bytes discarded, also if the call fails
 *
 * Does for the device what FITRIM does for a file system. It empties the pools
 * first. Space is held while it is being discarded, together with the rest of its
 * object or of its block of buddy_start: it counts as retired, is not allocated, and
 * an allocation that needs it waits. A run is trimmed in whole units of the disk's
 * discard granularity. A unit that crosses the border of a slab may be skipped.
 *
 * EINVAL @len is 0; ERANGE @start is past the managed range; EOPNOTSUPP the disk
 * has no discard; EAGAIN the instance is sealed; EINTR the caller was killed; EIO
 * the disk failed or rejected a discard; ENODEV it went away meanwhile; ENOMEM.
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
 * struct hybrid_alloc_grow - GROW: extend the managed range after the disk has grown
 * @size: sizeof(struct hybrid_alloc_grow)
 * @flags: must be 0
 * @epoch: 0, or the instance's
 * @range_len: new length of the managed range, counted as in ATTACH; 0: up to the
 *	end of the disk
 * @capacity: out: length of the managed range, as in STAT
 *
 * Has no effect if the length is the same. EPERM the caller has no CAP_SYS_ADMIN in
 * the initial namespace; EINVAL the range would become shorter, possibly because
 * the disk shrank; ERANGE it would not be inside the disk; ENOMEM; EINTR the caller was
 * killed.
 */
struct hybrid_alloc_grow {
	__u32 size;
	__u32 flags;
	__u64 epoch;
	__u64 range_len;
	__u64 capacity;
};

/**
 * struct hybrid_alloc_watch - WATCH: set the threshold of low space for poll()
 * @size: sizeof(struct hybrid_alloc_watch)
 * @flags: must be 0
 * @epoch: 0, or the instance's
 * @low_space: space is low while fewer bytes than this are free; 0: never
 * @free: out: free bytes, as in STAT
 *
 * Sets the threshold of this open file description; initially it is 0. While space
 * is low poll() reports POLLPRI. A waiter is woken when space becomes low; with
 * edge-triggered polling, each time it becomes low again. Neither space in the pools
 * nor space that TRIM holds counts as free, so space may become low a little early.
 * DRAIN empties the pools.
 *
 * After a forced detach, or when the disk went away, poll() reports POLLERR and
 * POLLHUP. Kernels before 6.5 notice that the disk went away only in the next call.
 * Works on files opened read-only.
 */
struct hybrid_alloc_watch {
	__u32 size;
	__u32 flags;
	__u64 epoch;
	__u64 low_space;
	__u64 free;
};

/**
 * struct hybrid_alloc_reserve - RESERVE and UNRESERVE: bytes without a place
 * @size: sizeof(struct hybrid_alloc_reserve)
 * @flags: must be 0
 * @epoch: 0, or the instance's
 * @len: bytes to reserve, or to give back, rounded up to whole blocks
 * @reserved: out: what the open file description has reserved afterwards
 *
 * RESERVE is granted if as much is free or cached that is not reserved yet, to the
 * last block, and refused at once otherwise. What is reserved goes to allocations
 * with HYBRID_ALLOC_ALLOC_RESERVED through the same open file description only:
 * another call that would take it gets ENOSPC. It goes back with UNRESERVE, and
 * when the last descriptor of that description is closed; duplicated and inherited
 * descriptors keep it.
 *
 * A single block is always found, also on a disk on which nothing else is free but
 * single blocks. A longer extent needs a free run that fits.
 *
 * RESERVE: ENOSPC less is free and not reserved; EAGAIN the instance is sealed;
 * ENOMEM; EINTR the caller was killed while it waited. UNRESERVE: EINVAL the file
 * has reserved less; it needs no memory.
 */
struct hybrid_alloc_reserve {
	__u32 size;
	__u32 flags;
	__u64 epoch;
	__u64 len;
	__u64 reserved;
};

/* the state of a part of the device */
enum hybrid_alloc_map_state {
	HYBRID_ALLOC_MAP_FREE = 0,
	HYBRID_ALLOC_MAP_LIVE,		/* a whole live extent */
	HYBRID_ALLOC_MAP_CACHED,	/* in a per-CPU pool, or held in a slab or whole units */
	HYBRID_ALLOC_MAP_HELD,		/* held in a mixed slot, by TRIM: can be allocated soon */
};

/* what a part of the device lies in; later versions may add kinds */
enum hybrid_alloc_map_kind {
	HYBRID_ALLOC_MAP_KIND_NONE = 0,	/* free space, in any of these */
	HYBRID_ALLOC_MAP_KIND_EQUAL,	/* in a slab of equal objects, all of this length */
	HYBRID_ALLOC_MAP_KIND_MIXED,	/* among extents of any length */
	HYBRID_ALLOC_MAP_KIND_BUDDY,	/* a whole block of the buddy layer */
	HYBRID_ALLOC_MAP_KIND_SPAN,	/* an extent across several of these */
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
#define HYBRID_ALLOC_MAP_KINDS		(1U << 0)	/* report the kind of each entry */

/**
 * struct hybrid_alloc_map - MAP: list extents and free space
 * @size: sizeof(struct hybrid_alloc_map)
 * @flags: HYBRID_ALLOC_MAP_KINDS
 * @epoch: 0, or the instance's
 * @items: user address of an array of struct hybrid_alloc_map_entry, to be filled in
 * @nr: length of the array, 1 to HYBRID_ALLOC_MAX_ITEMS
 * @item_size: size of an entry as the caller knows it, a multiple of 8; fields that
 *	the kernel does not know are left as they are
 * @start: first byte to report, a multiple of min_block; the part before the managed
 *	range is skipped
 * @len: number of bytes to report; 0: up to the end of the managed range
 * @nr_entries: out: number of entries that were filled in; 0 at the end
 * @__reserved: must be 0
 *
 * The entries are in order of address, without gaps. Each live extent is one entry,
 * with its own start and length, even if @start is inside it or it ends after the
 * part to report. Adjacent free space may be reported in several entries. There may
 * be fewer than @nr although more follows: a call looks at a bounded number. To
 * continue, call again with the end of the last entry as @start. All entries of a
 * call are of the same moment, except that extents of common sizes may change between
 * live and cached meanwhile; the next call may see changes.
 *
 * Works on files opened read-only. EINVAL @start is not a multiple of min_block, or
 * @nr or @item_size is not valid; ERANGE @start + @len wraps; ENOMEM.
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
#define HYBRID_ALLOC_STAT_RUNS		(1U << 0)	/* also count free runs; takes longer */

/* Number of classes of length in which free runs are counted. */
#define HYBRID_ALLOC_RUN_LENGTHS	40

/**
 * struct hybrid_alloc_stat - STAT: how the space is used
 * @size: sizeof(struct hybrid_alloc_stat)
 * @flags: HYBRID_ALLOC_STAT_RUNS
 * @epoch: 0, or the instance's
 * @capacity: out: length of the managed range
 * @charged: out: bytes in live extents
 * @cached: out: bytes in the per-CPU pools
 * @free: out: bytes free in slab and buddy
 * @retired: out: bytes that are held: neither free nor in a live extent
 * @unusable: out: bytes at both ends of the managed range that do not fill a block
 * @metadata: out: bytes of memory for metadata, without per-CPU memory
 * @percpu: out: bytes of memory that depend on the number of CPUs: pools, groups
 * @nr_live: out: number of live extents
 * @nr_slabs: out: number of slabs
 * @nr_free_runs: out, with HYBRID_ALLOC_STAT_RUNS: number of free runs
 * @largest_free_run: out: length of the longest free run
 * @pool_hits: out: allocations that a pool served
 * @pool_misses: out: allocations of a common size that no pool served
 * @pool_refills: out: times that an empty pool asked the slab layer for a batch
 * @pool_drains: out: batches of extents that went from a pool to the slab layer
 * @slabs_made: out: slabs that were created
 * @slabs_returned: out: slabs whose space went back to the buddy layer
 * @buddy_splits: out: blocks of the buddy layer that were split
 * @buddy_merges: out: pairs of such blocks that were merged
 * @slow_searches: out: allocations that had to empty the pools and search
 * @refused_frees: out: refused frees by enum hybrid_alloc_reason; [0] is 0
 * @run_count: out, with HYBRID_ALLOC_STAT_RUNS: number of free runs by length: [i]
 *	counts those of at least 2^i and less than 2^(i+1) blocks; the last one also
 *	counts all longer ones
 * @run_bytes: out, with HYBRID_ALLOC_STAT_RUNS: bytes in the runs that @run_count
 *	counts
 * @nr_bound: out: number of extents that are bound to an open file
 * @bound_memory: out: bytes of memory for these, besides @metadata; like that of an
 *	open file, it is on the memory account (cgroup) of the file's user
 * @nr_watchers: out: open files that have a threshold of low space
 * @nr_allocs: out: extents that were allocated or claimed so far, of any size
 * @reserved: out: bytes that are reserved: a part of @free, @cached and @retired
 * @nr_reservations: out: open files that have called RESERVE, and reservations of
 *	users in the kernel
 * @reserved_refusals: out: calls that were refused because of what is reserved
 *
 * capacity = charged + cached + free + retired + unusable, while no other call is
 * running. Works on files opened read-only.
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
	__u64 nr_bound;
	__u64 bound_memory;
	__u64 nr_watchers;
	__u64 nr_allocs;
	__u64 reserved;
	__u64 nr_reservations;
	__u64 reserved_refusals;
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
#define HYBRID_ALLOC_IOC_SPLIT	_IO(HYBRID_ALLOC_IOC_TYPE, 0x25)
#define HYBRID_ALLOC_IOC_EXTEND	_IO(HYBRID_ALLOC_IOC_TYPE, 0x26)
#define HYBRID_ALLOC_IOC_RESERVE	_IO(HYBRID_ALLOC_IOC_TYPE, 0x27)
#define HYBRID_ALLOC_IOC_UNRESERVE	_IO(HYBRID_ALLOC_IOC_TYPE, 0x28)
#define HYBRID_ALLOC_IOC_KEEP	_IO(HYBRID_ALLOC_IOC_TYPE, 0x29)

#endif /* _UAPI_HYBRID_ALLOC_H */
