/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between the versions of Linux that the module is built for: 6.1, and
 * from 6.9 on. All else is written for the newest; docs/kernels.md tells which are
 * tested.
 *
 * Between them the opening of block devices changed three times in a row, in
 * versions that Debian has not kept: those are told so rather than not tested.
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
#error "hybrid_alloc cannot be built for Linux 6.5 to 6.8: take 6.1, or 6.9 and later"
#endif

/* ---- opening a block device ---- */

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)

/* The inode of an open block device: it is unhashed when the device is removed. */
static inline struct inode *compat_bdev_inode(struct file *bdev_file)
{
	return bdev_file->f_mapping->host;
}

/* @gone is called with the holder, who cannot give the device back meanwhile. */
#define COMPAT_HOLDER_OPS(name, gone)						\
static void name##_mark_dead(struct block_device *bdev, bool surprise)		\
{										\
	gone(bdev->bd_holder);							\
	mutex_unlock(&bdev->bd_holder_lock);					\
	/* what the block layer does where there is no such function */		\
	if (!surprise)								\
		sync_blockdev(bdev);						\
}										\
static const struct blk_holder_ops name = { .mark_dead = name##_mark_dead }

#else

#define blk_mode_t	fmode_t
#define BLK_OPEN_READ	FMODE_READ
#define BLK_OPEN_WRITE	FMODE_WRITE

/* Nobody tells the holder. */
struct blk_holder_ops {
	void (*gone)(void *holder);
};

#define COMPAT_HOLDER_OPS(name, _gone)						\
static const struct blk_holder_ops name = { .gone = (void (*)(void *))(_gone) }

/* There is no file: it is the device in disguise, for the functions here only. */
static inline struct file *bdev_file_open_by_dev(dev_t dev, blk_mode_t mode, void *holder,
						 const struct blk_holder_ops *hops)
{
	return (struct file *)blkdev_get_by_dev(dev, mode | FMODE_EXCL, holder);
}

static inline struct file *bdev_file_open_by_path(const char *path, blk_mode_t mode, void *holder,
						  const struct blk_holder_ops *hops)
{
	return (struct file *)blkdev_get_by_path(path, mode | FMODE_EXCL, holder);
}

static inline struct block_device *file_bdev(struct file *bdev_file)
{
	return (struct block_device *)bdev_file;
}

static inline void bdev_fput(struct file *bdev_file)
{
	blkdev_put(file_bdev(bdev_file), FMODE_READ | FMODE_WRITE | FMODE_EXCL);
}

static inline struct inode *compat_bdev_inode(struct file *bdev_file)
{
	return file_bdev(bdev_file)->bd_inode;
}

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

/* ---- queues of work ---- */

#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
#define system_dfl_wq	system_unbound_wq
#endif

#endif
