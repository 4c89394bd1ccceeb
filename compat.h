/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between the versions of Linux that the module is built for: 6.1 to 6.4, and
 * 6.9 and later. All other files are written for the newest version. docs/kernels.md lists
 * the tested versions.
 *
 * From 6.5 to 6.8 the functions that open a block device changed in each version. Debian
 * has kept none of these versions, so support for them could not be tested.
 */
#ifndef _HYBRID_ALLOC_COMPAT_H
#define _HYBRID_ALLOC_COMPAT_H

#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/version.h>
#include <linux/workqueue.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "hybrid_alloc needs Linux 6.1, or 6.9 and later"
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0) && LINUX_VERSION_CODE < KERNEL_VERSION(6, 9, 0)
#error "hybrid_alloc cannot be built for Linux 6.5 to 6.8: use 6.1, or 6.9 and later"
#endif

/* ---- opening a block device ---- */

/**
 * struct ha_bdev - an open block device
 * @bdev: the block device
 * @file: the open file, from Linux 6.9 on
 */
struct ha_bdev {
	struct block_device *bdev;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
	struct file *file;
#endif
};

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)

static inline int compat_bdev_opened(struct ha_bdev *b, struct file *file)
{
	if (IS_ERR(file))
		return PTR_ERR(file);
	b->file = file;
	b->bdev = file_bdev(file);
	return 0;
}

/* Both open for reading and writing, and claim the device for @holder. */
static inline int compat_bdev_open(struct ha_bdev *b, dev_t dev, void *holder,
				   const struct blk_holder_ops *hops)
{
	return compat_bdev_opened(b, bdev_file_open_by_dev(dev, BLK_OPEN_READ | BLK_OPEN_WRITE,
							   holder, hops));
}

static inline int compat_bdev_open_path(struct ha_bdev *b, const char *path, void *holder)
{
	return compat_bdev_opened(b, bdev_file_open_by_path(path, BLK_OPEN_READ | BLK_OPEN_WRITE,
							    holder, NULL));
}

static inline void compat_bdev_close(struct ha_bdev *b)
{
	bdev_fput(b->file);
}

/* @gone is called with the holder, which cannot close the device meanwhile. */
#define COMPAT_HOLDER_OPS(name, gone)						\
static void name##_mark_dead(struct block_device *bdev, bool surprise)		\
{										\
	gone(bdev->bd_holder);							\
	mutex_unlock(&bdev->bd_holder_lock);					\
	/* the holder has no data of its own to write: write what the page cache has */	\
	if (!surprise)								\
		sync_blockdev(bdev);						\
}										\
static const struct blk_holder_ops name = { .mark_dead = name##_mark_dead }

#else

/* The holder is not told of a removal: it has to check. */
struct blk_holder_ops {};

#define COMPAT_HOLDER_OPS(name, gone)	static const struct blk_holder_ops name = {}

static inline int compat_bdev_opened(struct ha_bdev *b, struct block_device *bdev)
{
	if (IS_ERR(bdev))
		return PTR_ERR(bdev);
	b->bdev = bdev;
	return 0;
}

#define COMPAT_BDEV_MODE	(FMODE_READ | FMODE_WRITE | FMODE_EXCL)

static inline int compat_bdev_open(struct ha_bdev *b, dev_t dev, void *holder,
				   const struct blk_holder_ops *hops)
{
	return compat_bdev_opened(b, blkdev_get_by_dev(dev, COMPAT_BDEV_MODE, holder));
}

static inline int compat_bdev_open_path(struct ha_bdev *b, const char *path, void *holder)
{
	return compat_bdev_opened(b, blkdev_get_by_path(path, COMPAT_BDEV_MODE, holder));
}

static inline void compat_bdev_close(struct ha_bdev *b)
{
	blkdev_put(b->bdev, COMPAT_BDEV_MODE);
}

#endif

/* The inode of the device: it is unhashed when the device is removed. */
static inline struct inode *compat_bdev_inode(const struct block_device *bdev)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
	return bdev->bd_mapping->host;
#else
	return bdev->bd_inode;
#endif
}

/* ---- variables ---- */

/* Not to be cleared by CONFIG_INIT_STACK_ALL_ZERO. */
#if !defined(__uninitialized) && __has_attribute(__uninitialized__)
#define __uninitialized	__attribute__((__uninitialized__))
#elif !defined(__uninitialized)
#define __uninitialized
#endif

/* ---- files ---- */

#ifndef fd_file		/* 6.12 */
#define fd_file(fd)	((fd).file)
#endif

/* ---- shrinkers ---- */

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)

static inline struct shrinker *
compat_shrinker_new(const char *name, void *data,
		    unsigned long (*count)(struct shrinker *, struct shrink_control *),
		    unsigned long (*scan)(struct shrinker *, struct shrink_control *))
{
	struct shrinker *shrinker = shrinker_alloc(0, "%s", name);

	if (!shrinker)
		return NULL;
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker->private_data = data;
	shrinker_register(shrinker);
	return shrinker;
}

static inline void *compat_shrinker_data(struct shrinker *shrinker)
{
	return shrinker->private_data;
}

#else

struct compat_shrinker {
	struct shrinker shrinker;
	void *private_data;
};

static inline void *compat_shrinker_data(struct shrinker *shrinker)
{
	return container_of(shrinker, struct compat_shrinker, shrinker)->private_data;
}

static inline struct shrinker *
compat_shrinker_new(const char *name, void *data,
		    unsigned long (*count)(struct shrinker *, struct shrink_control *),
		    unsigned long (*scan)(struct shrinker *, struct shrink_control *))
{
	struct compat_shrinker *c = kzalloc(sizeof(*c), GFP_KERNEL);

	if (!c)
		return NULL;
	c->private_data = data;
	c->shrinker.count_objects = count;
	c->shrinker.scan_objects = scan;
	c->shrinker.seeks = DEFAULT_SEEKS;
	if (register_shrinker(&c->shrinker, "%s", name)) {
		kfree(c);
		return NULL;
	}
	return &c->shrinker;
}

static inline void shrinker_free(struct shrinker *shrinker)
{
	unregister_shrinker(shrinker);
	kfree(container_of(shrinker, struct compat_shrinker, shrinker));
}

#endif

/* ---- workqueues ---- */

#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
#define system_dfl_wq	system_unbound_wq
#endif

#endif
