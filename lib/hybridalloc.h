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
 * libhybridalloc calls the module hybrid_alloc, which decides what range of a
 * block device belongs to whom and never touches the data. A program asks for
 * extents, then reads and writes the disk itself at the offsets it was given.
 *
 * Compile and link with the flags of ``pkg-config hybridalloc``, and include
 * ``hybridalloc.h``. C++ programs include it as it is; they have to say
 * ``struct hybrid_alloc_free`` for a structure, as some functions have the name
 * of one.
 *
 * An instance is one attached disk. It is used through a file descriptor, and
 * the library keeps nothing beside it: descriptors can be duplicated, inherited
 * and polled, any number of threads may use one at the same time, and no
 * function is affected by what was called before. All but
 * hybrid_alloc_map_begin() and its companions may be called in a signal handler.
 *
 * All positions and lengths are in bytes; positions count from the start of the
 * block device, so that they can be given to ``pread`` and ``pwrite`` as they are.
 *
 * Functions return 0 or a negative errno, and leave ``errno`` undefined. What each
 * errno means stands with the functions; in addition, all can return -EBADF (no
 * open descriptor, or one open for reading only where the call changes
 * something), -ENOTTY (not a node of hybrid_alloc), -ENODEV (the disk went away,
 * or the instance was detached by force), -ESTALE (a structure's epoch is another
 * than the instance's), -EFAULT (a bad pointer), -EINTR (killed while waiting) and,
 * but for those that give space back, -ENOMEM. A call that fails changes
 * nothing, unless its description says otherwise.
 *
 * Structures are those of the module's ABI, ``ioctl_uapi.h``. The first field of
 * each is its size as the caller knows it, and has to be set: a program, this
 * library and the module may be of different age. The module fills in as much
 * of the structure as the caller has, and answers -E2BIG if the caller uses a
 * field that it does not know. All else should be zero, as unknown flags and
 * reserved fields that are not zero give -EINVAL:
 *
 *	struct hybrid_alloc_stat st = { .size = sizeof(st) };
 *
 * The rules of ownership. An extent belongs to the node, and whoever may open
 * that for writing may free it, unless it was allocated with
 * HYBRID_ALLOC_ALLOC_BOUND. It is freed as a whole. All I/O to it must have
 * finished before it is freed, reads too: a write that is in flight, or dirty in
 * the page cache, lands in the data of the extent's next owner. Use O_DIRECT, or
 * fsync first. The disk must not be opened with O_EXCL: the module holds it. The
 * module's knowledge ends with the detach: a program keeps a catalogue of its own,
 * and names its extents with hybrid_alloc_claim_batch() after the next attach.
 * The example program ``objstore`` does all of that.
 */

/**
 * hybrid_alloc_version - the version of the library
 *
 * Return: such as "0.1".
 */
const char *hybrid_alloc_version(void);

/**
 * hybrid_alloc_strreason - why a free was refused
 * @reason: an enum hybrid_alloc_reason, from hybrid_alloc_free() or from an item
 *	of hybrid_alloc_free_batch()
 *
 * Return: a constant text without a full stop. Never NULL: for a reason that this
 * library does not know "unknown reason".
 */
const char *hybrid_alloc_strreason(uint32_t reason);

/**
 * hybrid_alloc_attach - let the module take over a disk
 * @disk: path of the block device; or NULL if @attach->fd is a descriptor of it
 * @attach: what is wanted, and the number of the instance; see struct
 *	hybrid_alloc_attach. If @disk is given, @attach->fd does not matter and is
 *	-1 afterwards.
 *
 * With HYBRID_ALLOC_ATTACH_FRESH in @attach->flags, all of the disk is free.
 * Without, the instance is sealed: claim what the catalogue names, then
 * hybrid_alloc_seal(). The disk is not looked at: who wants to know whether there
 * is a file system on it asks libblkid, as hybridctl does.
 *
 * Return: 0; -EPERM without CAP_SYS_ADMIN in the initial namespace, -EACCES the
 * control node or the disk may not be opened, -ENOENT no such disk or the module
 * is not loaded, -ENOTBLK not a block device, -EROFS read-only, -EOPNOTSUPP zoned,
 * -EBUSY mounted, attached or held by others, -ERANGE the range is not inside
 * the disk, -EINVAL the sizes do not fit each other or the disk.
 */
int hybrid_alloc_attach(const char *disk, struct hybrid_alloc_attach *attach);

/**
 * hybrid_alloc_detach - give a disk back
 * @id: number of the instance
 * @flags: HYBRID_ALLOC_DETACH_FORCE, or 0
 *
 * Return: 0; -EPERM without CAP_SYS_ADMIN in the initial namespace, -EACCES the
 * control node may not be opened, -ENODEV no such instance, -EBUSY it has open
 * files, live extents or users in the kernel, and this was not forced.
 */
int hybrid_alloc_detach(uint32_t id, uint32_t flags);

/**
 * hybrid_alloc_lookup - information on an instance that is not open
 * @info: @info->id is the number of the instance; with HYBRID_ALLOC_INFO_NEXT in
 *	@info->flags, it is the first that has this number or a higher one. Filled
 *	in as by hybrid_alloc_info().
 *
 * Return: 0; -ENODEV there is none, -EACCES the control node may not be opened,
 * -ENOENT the module is not loaded.
 */
int hybrid_alloc_lookup(struct hybrid_alloc_info *info);

/**
 * hybrid_alloc_open - open an instance
 * @node: its number, such as "0", or the path of its node
 * @flags: O_RDONLY (for information, statistics, map and check) or O_RDWR;
 *	O_CLOEXEC is added. What else open() knows may be given.
 *
 * Return: a descriptor, to be closed with hybrid_alloc_close(); -ENOENT no such
 * instance or path, -EACCES it may not be opened, -ENOTTY the file is something else,
 * -ENODEV it is the control node, -EMFILE too many open files, and other errors of open().
 */
int hybrid_alloc_open(const char *node, int flags);

/**
 * hybrid_alloc_close - close an instance
 * @fd: from hybrid_alloc_open()
 *
 * As close() does. With the last duplicate of the descriptor the extents that are
 * bound to it go back; I/O to them must have finished by then.
 *
 * Return: 0 or -EBADF.
 */
int hybrid_alloc_close(int fd);

/**
 * hybrid_alloc_info - what an instance is
 * @fd: of the instance
 * @info: filled in
 *
 * For the disk, the managed range, the sizes it was attached with, and whether it
 * is sealed. A catalogue may keep @info->uuid and @info->epoch, to tell whether
 * the instance is the one it knew.
 *
 * Return: 0 or a negative errno.
 */
int hybrid_alloc_info(int fd, struct hybrid_alloc_info *info);

/**
 * hybrid_alloc_stat - where the space is
 * @fd: of the instance
 * @st: filled in; with HYBRID_ALLOC_STAT_RUNS in @st->flags also what is known of
 *	free runs, which takes longer
 *
 * Return: 0 or a negative errno.
 */
int hybrid_alloc_stat(int fd, struct hybrid_alloc_stat *st);

/**
 * hybrid_alloc_alloc - allocate an extent
 * @fd: of the instance
 * @len: bytes wanted, rounded up to the instance's min_block
 * @extent: filled in: where, and the rounded length
 *
 * Return: 0; -ENOSPC no free run is long enough, -EFBIG more than the managed
 * range or than max_block, -EINVAL @len is 0, -EAGAIN before the seal. @extent is
 * all zeroes then.
 */
int hybrid_alloc_alloc(int fd, uint64_t len, struct hybrid_alloc_extent *extent);

/**
 * hybrid_alloc_alloc_request - allocate an extent with all options
 * @fd: of the instance
 * @request: length, alignment, goal, flags; @request->extent is filled in
 *
 * HYBRID_ALLOC_ALLOC_BOUND binds the extent to the open file: it goes back when
 * that is closed, by whatever end of the process, and only who has that open file
 * can free it. HYBRID_ALLOC_ALLOC_GOAL says that @request->goal is where the extent
 * should be.
 *
 * Return: as hybrid_alloc_alloc(); -EINVAL also for an alignment that is no power
 * of two, -ERANGE the goal is outside of the managed range.
 */
int hybrid_alloc_alloc_request(int fd, struct hybrid_alloc_alloc *request);

/**
 * hybrid_alloc_alloc_many - allocate space in several extents if need be
 * @fd: of the instance
 * @extents: array to be filled in
 * @many: @many->nr is the length of @extents and at most HYBRID_ALLOC_MAX_ITEMS,
 *	@many->item_size the size of its elements, @many->len the bytes that are
 *	wanted in all; @many->items is set by the library. @many->nr_extents and
 *	@many->total tell what there is.
 *
 * Gives one extent where one will do, else the largest that there are. Each is an
 * extent of its own, to be freed by itself.
 *
 * Return: 0; -ENOSPC the array or the disk is too small for @many->len (with
 * HYBRID_ALLOC_ALLOC_PARTIAL: there is no space at all), others as
 * hybrid_alloc_alloc_request(). Nothing is allocated then.
 */
int hybrid_alloc_alloc_many(int fd, struct hybrid_alloc_extent *extents,
			    struct hybrid_alloc_many *many);

/**
 * hybrid_alloc_alloc_batch - many allocations at once
 * @fd: of the instance
 * @items: what is wanted; a result or an error is written into each
 * @batch: @batch->nr is the number of items, any number, @batch->item_size the
 *	size of one; @batch->items is set by the library. @batch->nr_done and
 *	@batch->nr_failed tell how far it came and how many of these failed.
 *
 * Return: 0 also when items fail: look at @batch->nr_failed, and at the error of
 * each item, which is a positive errno. If the call itself fails, -ENOMEM, -EINTR,
 * -EFAULT, -EAGAIN or -EINVAL, then the first @batch->nr_done items stand: those
 * without an error are allocated.
 */
int hybrid_alloc_alloc_batch(int fd, struct hybrid_alloc_alloc_item *items,
			     struct hybrid_alloc_batch *batch);

/**
 * hybrid_alloc_free - give an extent back
 * @fd: of the instance
 * @extent: its start, and a length that rounds up to its length
 * @reason: if not NULL, why it was refused: an enum hybrid_alloc_reason, for
 *	hybrid_alloc_strreason()
 *
 * I/O to the extent must have finished. Needs no memory.
 *
 * Return: 0; -ENOENT it is not allocated, -EINVAL wrong start or length, -ERANGE
 * outside of the managed range, -EPERM bound to another open file.
 */
int hybrid_alloc_free(int fd, const struct hybrid_alloc_extent *extent, uint32_t *reason);

/**
 * hybrid_alloc_free_batch - give many extents back
 * @fd: of the instance
 * @items: the extents; an error and a reason are written into each
 * @batch: as of hybrid_alloc_alloc_batch()
 *
 * I/O to the extents must have finished. Needs no memory.
 *
 * Return: 0 also when items fail, see hybrid_alloc_alloc_batch(). If the call itself
 * fails, then the first @batch->nr_done items stand.
 */
int hybrid_alloc_free_batch(int fd, struct hybrid_alloc_free_item *items,
			    struct hybrid_alloc_batch *batch);

/**
 * hybrid_alloc_claim - mark a given range as a live extent
 * @fd: of the instance
 * @extent: the range; the start a multiple of min_block, the length rounds up to it
 *
 * Works before and after the seal.
 *
 * Return: 0; -EEXIST it is taken, in part or as a whole, -EINVAL the start is not
 * aligned or the length 0, -ERANGE not inside the managed range, -EFBIG longer
 * than max_block.
 */
int hybrid_alloc_claim(int fd, const struct hybrid_alloc_extent *extent);

/**
 * hybrid_alloc_claim_batch - mark many given ranges as live extents
 * @fd: of the instance
 * @items: the ranges; an error is written into each
 * @batch: as of hybrid_alloc_alloc_batch()
 *
 * Fastest in the order of addresses.
 *
 * Return: 0 also when items fail, see hybrid_alloc_alloc_batch(). If the call itself
 * fails, then the first @batch->nr_done items stand.
 */
int hybrid_alloc_claim_batch(int fd, struct hybrid_alloc_free_item *items,
			     struct hybrid_alloc_batch *batch);

/**
 * hybrid_alloc_seal - end the rebuild mode
 * @fd: of the instance
 *
 * All that the catalogue names has been claimed; allocations work from now on.
 * Without effect if the instance was sealed already.
 *
 * Return: 0 or a negative errno.
 */
int hybrid_alloc_seal(int fd);

/**
 * hybrid_alloc_drain - empty the pools of all processors
 * @fd: of the instance
 *
 * Nobody needs this to get space: an allocation that would fail does it itself.
 *
 * Return: 0 or a negative errno.
 */
int hybrid_alloc_drain(int fd);

/**
 * hybrid_alloc_check - let the module examine its metadata
 * @fd: of the instance; open for reading will do
 *
 * Takes time in proportion to the metadata. The result holds for a moment at which
 * nobody else is at work.
 *
 * Return: 0 all is well; -EUCLEAN something is broken, and the kernel's log says
 * what, -EPERM without CAP_SYS_ADMIN in the initial namespace.
 */
int hybrid_alloc_check(int fd);

/**
 * hybrid_alloc_trim - tell the disk what is free
 * @fd: of the instance
 * @trim: @trim->start and @trim->len are the part to trim, @trim->minlen the
 *	shortest run that is worth it; @trim->trimmed tells how much was
 *	discarded, also if the call fails
 *
 * Return: 0; -EINVAL the length is 0, -ERANGE the start is behind the managed range,
 * -EOPNOTSUPP the disk cannot, -EAGAIN before the seal, -EIO the disk failed.
 */
int hybrid_alloc_trim(int fd, struct hybrid_alloc_trim *trim);

/**
 * hybrid_alloc_grow - take over what the disk has grown by
 * @fd: of the instance
 * @grow: @grow->range_len is the new length, 0 for all of the disk;
 *	@grow->capacity tells what it is afterwards
 *
 * Return: 0; -EPERM without CAP_SYS_ADMIN in the initial namespace, -EINVAL it would
 * become shorter, -ERANGE it would not be inside the disk.
 */
int hybrid_alloc_grow(int fd, struct hybrid_alloc_grow *grow);

/**
 * hybrid_alloc_watch - be told when free space is low
 * @fd: of the instance; open for reading will do
 * @watch: @watch->low_space is the threshold, 0 for none; @watch->free tells what is
 *	free now
 *
 * From then on ``poll`` on @fd gives POLLPRI while less than the threshold is free, and
 * wakes whoever waits when that begins. The threshold is that of the open file: of all
 * duplicates of @fd. What processors keep in their pools is not free; see
 * hybrid_alloc_drain(). A module that cannot do this says so by -ENOTTY, and lacks
 * HYBRID_ALLOC_FEATURE_WATCH in the features that hybrid_alloc_info() tells.
 *
 * Return: 0.
 */
int hybrid_alloc_watch(int fd, struct hybrid_alloc_watch *watch);

/**
 * hybrid_alloc_map - what the disk is used for, a page of it
 * @fd: of the instance; open for reading will do
 * @entries: array to be filled in
 * @map: @map->nr is the length of @entries and at most HYBRID_ALLOC_MAX_ITEMS,
 *	@map->item_size the size of its elements, @map->start and @map->len the
 *	part of interest; @map->items is set by the library. @map->nr_entries
 *	tells how many were filled in: 0 at the end.
 *
 * The entries of one call were true at one moment. hybrid_alloc_map_begin() is
 * easier to use.
 *
 * Return: 0; -EINVAL the start is not a multiple of min_block, or @map->nr or
 * @map->item_size is wrong; -ERANGE start and length wrap.
 */
int hybrid_alloc_map(int fd, struct hybrid_alloc_map_entry *entries, struct hybrid_alloc_map *map);

/* Opaque: an iterator over MAP. */
struct hybrid_alloc_map_iter;

/**
 * hybrid_alloc_map_begin - go through what the disk is used for
 * @fd: of the instance; open for reading will do. It must stay open until
 *	hybrid_alloc_map_end().
 * @start: first byte of interest, a multiple of min_block
 * @len: how much is of interest, 0 for all that follows
 * @iter: set to the iterator, which one thread at a time may use
 *
 * Return: 0; -ENOMEM. Errors of the parameters show at hybrid_alloc_map_next().
 */
int hybrid_alloc_map_begin(int fd, uint64_t start, uint64_t len,
			   struct hybrid_alloc_map_iter **iter);

/**
 * hybrid_alloc_map_next - the next part of the disk
 * @iter: from hybrid_alloc_map_begin()
 * @entry: filled in
 * @size: size of the structure that @entry points to
 *
 * Parts come in the order of addresses, free, live, cached and held ones, without
 * gaps. A live extent is one entry, with its own start and length; of which kind it
 * is hybrid_alloc_map() tells, if it is asked. Free space side by side may be told in
 * several. While others allocate and free, pages of up to HYBRID_ALLOC_MAX_ITEMS
 * entries are each true at one moment, but changes between two of them show: the
 * next entry may then begin before the end of the last.
 *
 * Return: 1 @entry is filled in; 0 there are no more; or a negative errno as of
 * hybrid_alloc_map(), after which the same call may be tried again.
 */
int hybrid_alloc_map_next(struct hybrid_alloc_map_iter *iter,
			  struct hybrid_alloc_map_entry *entry, size_t size);

/**
 * hybrid_alloc_map_end - done with it
 * @iter: is freed; may be NULL
 */
void hybrid_alloc_map_end(struct hybrid_alloc_map_iter *iter);

#ifdef __cplusplus
}
#endif

#endif /* HYBRIDALLOC_H */
