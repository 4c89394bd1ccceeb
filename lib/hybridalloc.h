/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libhybridalloc - the space of a block device, for programs
 *
 * See hybridalloc(3), which is made from the comments below.
 */
#ifndef HYBRIDALLOC_H
#define HYBRIDALLOC_H

#include <stddef.h>
#include <stdint.h>

#include "ioctl_uapi.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * DOC: hybridalloc
 *
 * libhybridalloc calls the module hybrid_alloc, which allocates the space of a
 * block device and never touches the data. A program asks for extents, then reads
 * and writes the disk itself at the offsets that it got.
 *
 * Compile and link with the flags of ``pkg-config hybridalloc``, and include
 * ``hybridalloc.h``, in C++ as well. No function has the name of a structure.
 *
 * An instance is one attached disk. A program uses it through a file descriptor, and
 * the library keeps no other state: descriptors can be duplicated, inherited and
 * polled, any number of threads may use one at the same time, and no function depends
 * on earlier calls. All functions but hybrid_alloc_map_begin() and its companions may
 * be called in a signal handler.
 *
 * All positions and lengths are in bytes. Positions count from the start of the
 * block device, so that they can be given to ``pread`` and ``pwrite`` unchanged.
 *
 * Functions return 0 or a negative errno, and leave ``errno`` undefined. The page of
 * each function says what its errors mean. In addition, all functions can return
 * -EBADF (the descriptor is not open, or is read-only and the call changes something),
 * -ENOTTY (not a node of hybrid_alloc), -ENODEV (the disk went away, or the instance
 * was detached by force), -ESTALE (the epoch in the structure is not that of the
 * instance), -EFAULT (a bad pointer), -EINTR (killed while waiting) and, except for
 * those that free space, -ENOMEM. A call that fails changes nothing, unless its
 * description says otherwise.
 *
 * Structures are those of the module's ABI, ``ioctl_uapi.h``. The caller sets the
 * first field of each to the size of the structure as it was compiled: the program,
 * this library and the module may be of different ages. The module fills in as much of
 * the structure as the caller has, and returns -E2BIG if the caller uses a field that
 * the module does not know, and -EINVAL if the size was forgotten. Set all other
 * fields that are not used to zero: an unknown flag and a reserved field that is not
 * zero give -EINVAL:
 *
 *	struct hybrid_alloc_stat st = { .size = sizeof(st) };
 *
 * Rules of ownership. An extent belongs to the instance: every process that may open
 * the node for writing may free it, unless it was allocated with
 * HYBRID_ALLOC_ALLOC_BOUND. It is freed as a whole, or in parts that are extents
 * themselves, see hybrid_alloc_free_part(). All I/O to an extent, reads
 * included, must have finished before it is freed: a write that is in flight, or dirty
 * in the page cache, overwrites the data of the extent's next owner. Use O_DIRECT, or
 * call fsync first. Do not open the disk with O_EXCL: the module holds it. The module
 * forgets all extents at detach: a program keeps a catalogue of its own, and claims its
 * extents with hybrid_alloc_claim_batch() after the next attach. The example program
 * ``objstore`` does all of that.
 */

/**
 * hybrid_alloc_version - get the version of the library
 *
 * Return: a text such as "0.1".
 */
const char *hybrid_alloc_version(void);

/**
 * hybrid_alloc_strreason - describe why a free, split, extension or allocation was refused
 * @reason: an enum hybrid_alloc_reason, from hybrid_alloc_free_extent() or another
 *	function that has one, from hybrid_alloc_alloc_request(), or from an item of a batch
 *
 * Return: a constant text without a full stop. Never NULL: "unknown reason" for a
 * reason that this library does not know.
 */
const char *hybrid_alloc_strreason(uint32_t reason);

/**
 * hybrid_alloc_attach_disk - make an instance of a disk
 * @disk: path of the block device; or NULL if @attach->fd is a descriptor of it
 * @attach: the request, and on success the number of the instance; see struct
 *	hybrid_alloc_attach. If @disk is given, @attach->fd is ignored and is -1
 *	afterwards.
 *
 * With HYBRID_ALLOC_ATTACH_FRESH in @attach->flags, all of the disk is free; it must be
 * blank. HYBRID_ALLOC_ATTACH_OVERWRITE takes any disk. Without these, the instance is
 * sealed: claim the extents of the catalogue, then call hybrid_alloc_seal().
 *
 * Return: 0; -EPERM without CAP_SYS_ADMIN in the initial namespace, -EACCES the
 * control node or the disk may not be opened, -ENOENT no such disk or the module
 * is not loaded, -ENOTBLK not a block device, -EROFS read-only, -EOPNOTSUPP zoned or
 * with a durable instance of a later version, -EEXIST the first or the last MiB of the
 * range is not zero, -EIO it cannot be read, -EBUSY mounted, attached already or held by
 * another user, -ERANGE the range is not inside the disk, -EINVAL the sizes do not fit
 * each other or the disk.
 */
int hybrid_alloc_attach_disk(const char *disk, struct hybrid_alloc_attach *attach);

/**
 * hybrid_alloc_detach_disk - end an instance and release its disk
 * @id: number of the instance
 * @flags: HYBRID_ALLOC_DETACH_FORCE, or 0
 *
 * Return: 0; -EPERM without CAP_SYS_ADMIN in the initial namespace, -EACCES the
 * control node may not be opened, -ENODEV no such instance, -EBUSY it has open
 * files or live extents, and @flags does not force it; or it belongs to a user in the
 * kernel, which no flag can change.
 */
int hybrid_alloc_detach_disk(uint32_t id, uint32_t flags);

/**
 * hybrid_alloc_lookup - get information about an instance that is not open
 * @info: @info->id is the number of the instance; with HYBRID_ALLOC_INFO_NEXT in
 *	@info->flags, the instance is the first one with this number or a higher one.
 *	Filled in as by hybrid_alloc_get_info().
 *
 * Return: 0; -ENODEV there is no such instance, -EACCES the control node may not be
 * opened, -ENOENT the module is not loaded.
 */
int hybrid_alloc_lookup(struct hybrid_alloc_info *info);

/**
 * hybrid_alloc_open - open an instance
 * @node: its number, such as "0", or the path of its node
 * @flags: O_RDONLY (for information, statistics, map and check) or O_RDWR, and
 *	other flags of open(); O_CLOEXEC is added
 *
 * Return: a descriptor, to be closed with hybrid_alloc_close(); -ENOENT no such
 * instance or path, -EACCES it may not be opened, -EROFS it belongs to a user in the
 * kernel and opens with O_RDONLY only, -ENOTTY the file is not a node of
 * hybrid_alloc, -ENODEV it is the control node, -EMFILE too many open files, and other
 * errors of open().
 */
int hybrid_alloc_open(const char *node, int flags);

/**
 * hybrid_alloc_close - close an instance
 * @fd: from hybrid_alloc_open()
 *
 * Does what close() does. When the last duplicate of the descriptor is closed, the
 * extents that are bound to the open file are freed; I/O to them must have finished by
 * then.
 *
 * Return: 0 or -EBADF.
 */
int hybrid_alloc_close(int fd);

/**
 * hybrid_alloc_get_info - get information about an instance
 * @fd: of the instance
 * @info: filled in: the disk, the managed range, the sizes it was attached with, and
 *	whether it is sealed
 *
 * A catalogue may keep @info->uuid and @info->epoch, to check later that it is used
 * with the same instance.
 *
 * Return: 0 or a negative errno.
 */
int hybrid_alloc_get_info(int fd, struct hybrid_alloc_info *info);

/**
 * hybrid_alloc_get_stat - get the statistics of an instance
 * @fd: of the instance
 * @st: filled in; with HYBRID_ALLOC_STAT_RUNS in @st->flags also the numbers on free
 *	runs, which takes longer
 *
 * Return: 0 or a negative errno.
 */
int hybrid_alloc_get_stat(int fd, struct hybrid_alloc_stat *st);

/**
 * hybrid_alloc_alloc_extent - allocate an extent
 * @fd: of the instance
 * @len: bytes wanted, rounded up to the instance's min_block
 * @extent: set to the start and the rounded length; to zeroes on failure
 *
 * Return: 0; -ENOSPC no free run is long enough, -EFBIG longer than the managed
 * range or than max_block, -EINVAL @len is 0, -EAGAIN the instance is sealed.
 */
int hybrid_alloc_alloc_extent(int fd, uint64_t len, struct hybrid_alloc_extent *extent);

/**
 * hybrid_alloc_alloc_request - allocate an extent with all options
 * @fd: of the instance
 * @request: length, alignment, goal, shortest length, flags; @request->extent is filled in
 *
 * HYBRID_ALLOC_ALLOC_BOUND binds the extent to the open file: it is freed when the
 * file is closed, however the process ends, and can be freed earlier only through this
 * open file. With HYBRID_ALLOC_ALLOC_GOAL the extent is placed at @request->goal or
 * soon after it, if there is space. With HYBRID_ALLOC_ALLOC_RESERVED the extent takes
 * from what the open file has reserved: see hybrid_alloc_reserve_space().
 *
 * If @request->min is not 0, that many bytes will do: the extent has @request->len bytes
 * if a free run is that long, else it is the longest that there is. The alignment is a
 * power of two or, such as the stripe of a RAID, any multiple of min_block. A module that
 * lacks HYBRID_ALLOC_FEATURE_MIN in the features of hybrid_alloc_get_info() returns
 * -E2BIG for the one, and -EINVAL for the other.
 *
 * Return: as hybrid_alloc_alloc_extent(); -ENOSPC with a shortest length only if no free
 * run is that long, or less is not reserved; also -EINVAL for an alignment that is not
 * valid, a shortest length that is larger than the length, or more than the open file has
 * reserved. With -ENOSPC @request->reason is HYBRID_ALLOC_REASON_RESERVED if less than
 * @request->len, or the shortest length, is free and not reserved.
 */
int hybrid_alloc_alloc_request(int fd, struct hybrid_alloc_alloc *request);

/**
 * hybrid_alloc_alloc_many - allocate space in several extents if necessary
 * @fd: of the instance
 * @extents: array to be filled in
 * @many: @many->nr is the length of @extents and at most HYBRID_ALLOC_MAX_ITEMS,
 *	@many->item_size the size of its elements, @many->len the bytes that are
 *	wanted in total; the library sets @many->items. @many->nr_extents and
 *	@many->total are set to what was allocated.
 *
 * Allocates one extent if a free run is long enough, else the longest ones available.
 * Each is an extent of its own, to be freed separately. None is shorter than @many->min.
 *
 * Return: 0; -ENOSPC the array or the disk is too small for @many->len (with
 * HYBRID_ALLOC_ALLOC_PARTIAL: there is no extent of @many->min at all), others as
 * hybrid_alloc_alloc_request(). Nothing is allocated on failure.
 */
int hybrid_alloc_alloc_many(int fd, struct hybrid_alloc_extent *extents,
			    struct hybrid_alloc_many *many);

/**
 * hybrid_alloc_alloc_batch - allocate many extents
 * @fd: of the instance
 * @items: the requests; an extent or an error is written into each
 * @batch: @batch->nr is the number of items, without a limit, @batch->item_size the
 *	size of one; the library sets @batch->items. @batch->nr_done is set to the
 *	number of items that were processed, and @batch->nr_failed to how many of
 *	these failed.
 *
 * Return: 0 also when items fail: check @batch->nr_failed, and the error of each
 * item, which is a positive errno. If the call itself fails, with -ENOMEM, -EINTR,
 * -EFAULT, -EAGAIN or -EINVAL, then the first @batch->nr_done items are done: those
 * without an error are allocated. The library makes one ioctl for each 1024 items;
 * the ioctl that failed has allocated nothing.
 */
int hybrid_alloc_alloc_batch(int fd, struct hybrid_alloc_alloc_item *items,
			     struct hybrid_alloc_batch *batch);

/**
 * hybrid_alloc_free_extent - free an extent
 * @fd: of the instance
 * @extent: its start, and a length that rounds up to its length
 * @reason: set to why the free was refused, an enum hybrid_alloc_reason for
 *	hybrid_alloc_strreason(); may be NULL
 *
 * I/O to the extent must have finished. Needs no memory.
 *
 * Return: 0; -ENOENT it is not allocated, -EINVAL wrong start or length, -ERANGE
 * outside the managed range, -EPERM bound to another open file.
 */
int hybrid_alloc_free_extent(int fd, const struct hybrid_alloc_extent *extent, uint32_t *reason);

/**
 * hybrid_alloc_free_batch - free many extents
 * @fd: of the instance
 * @items: the extents; an error and a reason are written into each
 * @batch: as for hybrid_alloc_alloc_batch(). With HYBRID_ALLOC_FREE_PART in
 *	@batch->flags the items are as for hybrid_alloc_free_part().
 *
 * I/O to the extents must have finished. Needs no memory, but for parts.
 *
 * Return: 0 also when items fail, see hybrid_alloc_alloc_batch(). If the call itself
 * fails, then the first @batch->nr_done items are done.
 */
int hybrid_alloc_free_batch(int fd, struct hybrid_alloc_free_item *items,
			    struct hybrid_alloc_batch *batch);

/**
 * hybrid_alloc_free_part - free a part of an extent, or several extents in a row
 * @fd: of the instance
 * @part: start and length, both multiples of min_block: in one live extent, at its head,
 *	at its tail or in its middle; or one or several extents exactly, one behind the
 *	other
 * @reason: as for hybrid_alloc_free_extent()
 *
 * What is before and behind the part are extents of their own then, and bound if the
 * extent was. I/O to the part must have finished. To truncate a file, free the tail of
 * its last extent; to punch a hole, free what is in the middle.
 *
 * A module without this call refuses the flag with -EINVAL, and lacks
 * HYBRID_ALLOC_FEATURE_PARTS in the features of hybrid_alloc_get_info().
 *
 * Return: 0; -ENOENT nothing is allocated at the start, -EINVAL the range goes beyond the
 * extent that it starts in, and is no row of extents; or it is not made of whole blocks;
 * -ERANGE outside the managed range, -EPERM bound to another open file, -ENOMEM. Nothing
 * has changed then, unless another caller has freed one of several extents meanwhile
 * (-ENOENT): those before it are free.
 */
int hybrid_alloc_free_part(int fd, const struct hybrid_alloc_extent *part, uint32_t *reason);

/**
 * hybrid_alloc_split_extent - make two extents of one
 * @fd: of the instance
 * @extent: its start, and a length that rounds up to its length
 * @at: first byte of the second extent: a multiple of min_block inside the extent, and
 *	not its start
 * @reason: as for hybrid_alloc_free_extent()
 *
 * Both are bound if the extent was. A module without this call returns -ENOTTY, and lacks
 * HYBRID_ALLOC_FEATURE_PARTS in the features of hybrid_alloc_get_info().
 *
 * Return: 0; -EINVAL @at is no such byte, or as hybrid_alloc_free_extent(); -ENOMEM.
 */
int hybrid_alloc_split_extent(int fd, const struct hybrid_alloc_extent *extent, uint64_t at,
			      uint32_t *reason);

/**
 * hybrid_alloc_split_batch - split many extents
 * @fd: of the instance
 * @items: the extents, and where to split each; an error and a reason are written into
 *	each. An item may name what an earlier one has made.
 * @batch: as for hybrid_alloc_alloc_batch()
 *
 * Return: 0 also when items fail, see hybrid_alloc_alloc_batch(). If the call itself
 * fails, then the first @batch->nr_done items are done.
 */
int hybrid_alloc_split_batch(int fd, struct hybrid_alloc_split_item *items,
			     struct hybrid_alloc_batch *batch);

/**
 * hybrid_alloc_extend_extent - make an extent longer, where it is
 * @fd: of the instance
 * @extent: its start, and a length that rounds up to its length; set to the new length on
 *	success
 * @more: by how many bytes, rounded up to whole blocks
 * @least: how many are enough, rounded up to whole blocks; 0: all of @more
 * @reason: as for hybrid_alloc_free_extent()
 *
 * The extent gets as many of @more bytes as are free behind it. A module without this
 * call returns -ENOTTY, and lacks HYBRID_ALLOC_FEATURE_PARTS in the features of
 * hybrid_alloc_get_info().
 *
 * Return: 0; -ENOSPC fewer than @least bytes are free behind the extent, or they are
 * reserved (@reason says so), -EFBIG it would
 * be longer than the managed range or than max_block, -EINVAL @more is 0 or less than
 * @least, -EAGAIN the instance is sealed, -ENOMEM; others as hybrid_alloc_free_extent().
 */
int hybrid_alloc_extend_extent(int fd, struct hybrid_alloc_extent *extent, uint64_t more,
			       uint64_t least, uint32_t *reason);

/**
 * hybrid_alloc_extend_batch - make many extents longer, where they are
 * @fd: of the instance
 * @items: the extents, and by how much; the new length, or an error and a reason are
 *	written into each
 * @batch: as for hybrid_alloc_alloc_batch()
 *
 * Return: 0 also when items fail, see hybrid_alloc_alloc_batch(). If the call itself
 * fails, then the first @batch->nr_done items are done.
 */
int hybrid_alloc_extend_batch(int fd, struct hybrid_alloc_extend_item *items,
			      struct hybrid_alloc_batch *batch);

/**
 * hybrid_alloc_keep_extent - an extent is bound no longer
 * @fd: of the instance, the open file that the extent is bound to
 * @extent: its start, and a length that rounds up to its length
 * @reason: as for hybrid_alloc_free_extent()
 *
 * It stays when the file is closed, and any file open on the node can free it. So a program
 * can allocate bound extents, write to them, keep them, and then record them: if it is
 * killed before it keeps them, they are freed. Never the other way round: what is recorded
 * must not be freed by a close. An extent that is not bound stays as it is. Needs no
 * memory. A module without this call returns -ENOTTY, and lacks
 * HYBRID_ALLOC_FEATURE_PARTS in the features of hybrid_alloc_get_info().
 *
 * Return: 0; others as hybrid_alloc_free_extent().
 */
int hybrid_alloc_keep_extent(int fd, const struct hybrid_alloc_extent *extent, uint32_t *reason);

/**
 * hybrid_alloc_keep_batch - many extents are bound no longer
 * @fd: of the instance, the open file that the extents are bound to
 * @items: the extents; an error and a reason are written into each
 * @batch: as for hybrid_alloc_alloc_batch()
 *
 * Needs no memory.
 *
 * Return: 0 also when items fail, see hybrid_alloc_alloc_batch(). If the call itself
 * fails, then the first @batch->nr_done items are done.
 */
int hybrid_alloc_keep_batch(int fd, struct hybrid_alloc_free_item *items,
			    struct hybrid_alloc_batch *batch);

/**
 * hybrid_alloc_claim_extent - make a live extent of a given range
 * @fd: of the instance
 * @extent: the range; the start is a multiple of min_block, the length is rounded up
 *	to one
 *
 * Works before and after the seal.
 *
 * Return: 0; -EEXIST part of the range, or all of it, is not free, -ENOSPC it is free, but
 * others have reserved what would be left, -EINVAL the start is not aligned or the length
 * is 0, -ERANGE not inside the managed range.
 */
int hybrid_alloc_claim_extent(int fd, const struct hybrid_alloc_extent *extent);

/**
 * hybrid_alloc_claim_batch - make live extents of many given ranges
 * @fd: of the instance
 * @items: the ranges; an error is written into each
 * @batch: as for hybrid_alloc_alloc_batch()
 *
 * Fastest if the items are sorted by address.
 *
 * Return: 0 also when items fail, see hybrid_alloc_alloc_batch(). If the call itself
 * fails, then the first @batch->nr_done items are done.
 */
int hybrid_alloc_claim_batch(int fd, struct hybrid_alloc_free_item *items,
			     struct hybrid_alloc_batch *batch);

/**
 * hybrid_alloc_seal - end the rebuild of an instance
 * @fd: of the instance
 *
 * Call it when all extents of the catalogue are claimed; allocations work from then on.
 * Has no effect if it was called before.
 *
 * Return: 0 or a negative errno.
 */
int hybrid_alloc_seal(int fd);

/**
 * hybrid_alloc_drain - empty the pools of all CPUs
 * @fd: of the instance
 *
 * Not needed to get space: an allocation that would fail otherwise drains the pools
 * itself.
 *
 * Return: 0 or a negative errno.
 */
int hybrid_alloc_drain(int fd);

/**
 * hybrid_alloc_check - check the module's metadata
 * @fd: of the instance; read-only is enough
 *
 * Takes time in proportion to the metadata. Other calls may run at the same time, but
 * the sums can be checked only while none is running.
 *
 * Return: 0 no error was found; -EUCLEAN something is broken, and the kernel's log says
 * what, -EAGAIN other calls ran at the same time: each part is consistent, but the sums
 * could not be checked, -EPERM without CAP_SYS_ADMIN in the initial namespace.
 */
int hybrid_alloc_check(int fd);

/**
 * hybrid_alloc_trim_range - discard free space
 * @fd: of the instance
 * @trim: @trim->start and @trim->len are the part to trim, @trim->minlen the length of
 *	the shortest run to discard; @trim->trimmed is set to the number of bytes
 *	discarded, also if the call fails
 *
 * Return: 0; -EINVAL the length is 0, -ERANGE the start is after the managed range,
 * -EOPNOTSUPP the disk cannot discard, -EAGAIN the instance is sealed, -EIO the disk
 * failed.
 */
int hybrid_alloc_trim_range(int fd, struct hybrid_alloc_trim *trim);

/**
 * hybrid_alloc_grow_range - make the managed range longer
 * @fd: of the instance
 * @grow: @grow->range_len is the new length, 0 for all of the disk;
 *	@grow->capacity is set to the capacity afterwards
 *
 * Return: 0; -EPERM without CAP_SYS_ADMIN in the initial namespace, -EINVAL it would
 * become shorter, -ERANGE it would not be inside the disk.
 */
int hybrid_alloc_grow_range(int fd, struct hybrid_alloc_grow *grow);

/**
 * hybrid_alloc_watch_space - set the threshold for low space
 * @fd: of the instance; read-only is enough
 * @watch: @watch->low_space is the threshold in bytes, 0 for none; @watch->free is set
 *	to the free space
 *
 * While less than the threshold is free, ``poll`` on @fd reports POLLPRI; it wakes up
 * when free space falls below the threshold. The threshold belongs to the open file: all
 * duplicates of @fd share it. Space in the pools of the CPUs does not count as free; see
 * hybrid_alloc_drain(). A module without this call returns -ENOTTY, and lacks
 * HYBRID_ALLOC_FEATURE_WATCH in the features of hybrid_alloc_get_info().
 *
 * Return: 0 or a negative errno.
 */
int hybrid_alloc_watch_space(int fd, struct hybrid_alloc_watch *watch);

/**
 * hybrid_alloc_reserve_space - reserve bytes, without a place
 * @fd: of the instance
 * @reserve: @reserve->len is the number of bytes, rounded up to whole blocks;
 *	@reserve->reserved is set to what the open file has reserved then
 *
 * It succeeds if as much is free or in the pools that is not reserved yet, to the last
 * block. What is reserved goes only to allocations with HYBRID_ALLOC_ALLOC_RESERVED
 * through the same open file, of which a single block is always found; all duplicates
 * of @fd share it. It goes back with hybrid_alloc_unreserve_space(), and when the file
 * is closed. A module without this call returns -ENOTTY, and lacks
 * HYBRID_ALLOC_FEATURE_RESERVE in the features of hybrid_alloc_get_info().
 *
 * Return: 0; -ENOSPC less is free and not reserved, -EAGAIN the instance is sealed.
 */
int hybrid_alloc_reserve_space(int fd, struct hybrid_alloc_reserve *reserve);

/**
 * hybrid_alloc_unreserve_space - give back bytes that are reserved
 * @fd: of the instance
 * @reserve: @reserve->len is the number of bytes, rounded up to whole blocks;
 *	@reserve->reserved is set to what the open file still has reserved
 *
 * Needs no memory.
 *
 * Return: 0; -EINVAL the open file has reserved less.
 */
int hybrid_alloc_unreserve_space(int fd, struct hybrid_alloc_reserve *reserve);

/**
 * hybrid_alloc_read_map - read a page of the map of the disk
 * @fd: of the instance; read-only is enough
 * @entries: array to be filled in
 * @map: @map->nr is the length of @entries and at most HYBRID_ALLOC_MAX_ITEMS,
 *	@map->item_size the size of its elements, @map->start and @map->len the
 *	part of interest; the library sets @map->items. @map->nr_entries is set to the
 *	number of entries filled in: 0 at the end. It may be less than @map->nr although
 *	more follows.
 *
 * The entries of one call are consistent: they were all true at the same moment.
 * hybrid_alloc_map_begin() is easier to use.
 *
 * Return: 0; -EINVAL the start is not a multiple of min_block, or @map->nr or
 * @map->item_size is wrong; -ERANGE start and length wrap.
 */
int hybrid_alloc_read_map(int fd, struct hybrid_alloc_map_entry *entries,
			  struct hybrid_alloc_map *map);

/* Opaque: an iterator over the map. */
struct hybrid_alloc_map_iter;

/**
 * hybrid_alloc_map_begin - make an iterator over the map of the disk
 * @fd: of the instance; read-only is enough. It must stay open until
 *	hybrid_alloc_map_end().
 * @start: first byte of interest, a multiple of min_block
 * @len: length of the part of interest, 0 for all that follows @start
 * @iter: set to the iterator, which one thread at a time may use
 *
 * Return: 0; -ENOMEM. hybrid_alloc_map_next() reports errors in the arguments.
 */
int hybrid_alloc_map_begin(int fd, uint64_t start, uint64_t len,
			   struct hybrid_alloc_map_iter **iter);

/**
 * hybrid_alloc_map_next - get the next entry of the map
 * @iter: from hybrid_alloc_map_begin()
 * @entry: filled in
 * @size: size of the structure that @entry points to
 *
 * Entries are in the order of addresses, without gaps: free, live, cached and held
 * space. A live extent is one entry, with its own start and length, and without its
 * kind, which hybrid_alloc_read_map() reports on request. A free run may be split into
 * several entries. The iterator reads pages of up to HYBRID_ALLOC_MAX_ITEMS entries,
 * each of which is consistent. Changes between two pages are visible: the next entry may
 * then begin before the end of the last one.
 *
 * Return: 1 @entry is filled in; 0 at the end; or a negative errno as
 * hybrid_alloc_read_map(), after which the same call may be tried again.
 */
int hybrid_alloc_map_next(struct hybrid_alloc_map_iter *iter,
			  struct hybrid_alloc_map_entry *entry, size_t size);

/**
 * hybrid_alloc_map_end - free an iterator
 * @iter: the iterator; may be NULL
 */
void hybrid_alloc_map_end(struct hybrid_alloc_map_iter *iter);

#ifdef __cplusplus
}
#endif

#endif /* HYBRIDALLOC_H */
