/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of dev/ share: instances and their open files. ioctl.h has what the
 * ioctls share. hybrid_alloc.c describes the objects and the locks.
 */
#ifndef _HYBRID_ALLOC_DEV_INTERNAL_H
#define _HYBRID_ALLOC_DEV_INTERNAL_H

#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/percpu-refcount.h>
#include <linux/rbtree.h>
#include <linux/rwsem.h>
#include <linux/uuid.h>
#include <linux/xarray.h>
#include "api.h"
#include "compat.h"

/* Bits of ha_dev.state. */
enum {
	HA_DEV_SEALED,		/* see HYBRID_ALLOC_STATE_SEALED */
	HA_DEV_GONE,		/* the disk was removed, and that was logged */
};

/* What an attach takes the disk for, see HYBRID_ALLOC_ATTACH_FRESH. */
enum ha_attach_mode {
	HA_ATTACH_REBUILD,	/* sealed; auto does this, too, without durable instances */
	HA_ATTACH_FRESH,	/* all is free, if the disk is blank */
	HA_ATTACH_OVERWRITE,	/* all is free */
};

/**
 * struct ha_dev - an instance: an attached block device, or one that a user in the kernel has open
 * @ref: one reference of the registry, and one of each open file
 * @calls: calls in flight
 * @idle: completed when @calls is dead and no call is left
 * @ha: the allocator; valid until @idle
 * @claimed: the block device, opened and claimed; valid until @idle. Of a user in the kernel: only
 *	claimed.bdev, which it has open
 * @state: HA_DEV_ bits
 * @epoch: random, never 0
 * @uuid: random
 * @id: number of the instance
 * @lock: protects @nr_open, @dying and @pinned
 * @nr_open: open files
 * @dying: detach has begun
 * @pinned: a reference on the module is held for the live extents
 * @bound_lock: see "Locks" in hybrid_alloc.c
 * @bound: struct ha_bound of all files, by address
 * @nr_bound: number of bound extents; written under @bound_lock
 * @nr_binding: calls that are about to bind one; under @bound_lock
 * @checks: frees are checked against @bound; written under @bound_lock, read under it or RCU
 * @all_checked: no free goes unchecked that began before @checks was set; under @bound_lock
 * @checks_kept: number of @unbound_frees that ends the checks; under @bound_lock
 * @unbound_frees: frees that were checked since something was bound
 * @watch: the thresholds of the open files
 * @misc: the node
 * @debugfs: its directory in debugfs
 * @name: of the node
 * @disk: name of the block device
 * @user: name of the user in the kernel, or empty
 * @users: in the list of users; see user.c
 */
struct ha_dev {
	struct kref ref;
	struct percpu_ref calls;
	struct completion idle;
	struct hybrid_alloc *ha;
	struct ha_bdev claimed;
	unsigned long state;
	u64 epoch;
	u8 uuid[UUID_SIZE];
	u32 id;
	spinlock_t lock;	/* see above */
	unsigned int nr_open;
	bool dying;
	bool pinned;
	struct rw_semaphore bound_lock;	/* see above */
	struct rb_root bound;
	unsigned long nr_bound;
	unsigned long nr_binding;
	bool checks;
	bool all_checked;
	unsigned int checks_kept;
	atomic_t unbound_frees;
	struct ha_watch watch;
	struct miscdevice misc;
	struct dentry *debugfs;
	char name[24];
	char disk[BDEVNAME_SIZE];
	char user[HYBRID_ALLOC_MAX_NAME + 1];
	struct list_head users;
};

/**
 * struct ha_file - an open file of a node
 * @dev: the instance, with a reference
 * @bound: struct ha_bound, the extents that are freed when it is closed
 * @threshold: below which poll() reports low space
 * @reserve_lock: one call at a time opens @reservation; only RESERVE takes it
 * @reservation: what the file has reserved
 * @reserves: @reservation is open, until the file is closed
 * @rcu: frees it
 */
struct ha_file {
	struct ha_dev *dev;
	struct list_head bound;
	struct ha_threshold threshold;
	struct mutex reserve_lock;	/* see above */
	struct hybrid_alloc_reservation reservation;
	bool reserves;
	struct rcu_head rcu;
};

/* device.c */

/*
 * Instances by number. A NULL entry reserves the number of an instance that cannot be
 * looked up yet, or no longer.
 */
extern struct xarray ha_devs;

struct ha_dev *ha_dev_new(bool sealed);
struct ha_dev *ha_dev_get(u32 id);
void ha_dev_put(struct ha_dev *dev);
void ha_dev_set_gone(struct ha_dev *dev);
void ha_dev_pin(struct ha_dev *dev, bool pin);
void ha_dev_info(struct ha_dev *dev, struct hybrid_alloc_info *info);

/* A partition can be removed alone, and is always removed with its disk. */
static inline bool ha_bdev_gone(struct block_device *bdev, struct inode *inode)
{
	return inode_unhashed(inode) || !disk_live(bdev->bd_disk);
}

/* Whether it belongs to a user in the kernel, see user.c. */
static inline bool ha_dev_has_user(const struct ha_dev *dev)
{
	return dev->user[0];
}

/* Whether the block device was removed. Valid until @dev->idle. */
static inline bool ha_dev_gone(struct ha_dev *dev)
{
	if (likely(!test_bit(HA_DEV_GONE, &dev->state) &&
		   !ha_bdev_gone(dev->claimed.bdev, compat_bdev_inode(dev->claimed.bdev))))
		return false;
	ha_dev_set_gone(dev);
	return true;
}

/* bound.c */

int ha_file_alloc(struct ha_file *f, u32 flags, u64 min, u64 len, u64 align, u64 goal,
		  struct hybrid_alloc_range *range);
/**
 * struct ha_part - a call for a part of an extent
 * @what: what is to be done
 * @start: CUT: first byte of the part; else of the extent
 * @len: its length in bytes
 * @at: SPLIT: first byte of the second extent
 * @more: EXTEND: as of hybrid_alloc_extend()
 * @least: EXTEND: as of hybrid_alloc_extend()
 * @got: out: EXTEND: how many bytes longer it is
 * @reason: out: why it was refused
 */
struct ha_part {
	enum { HA_PART_CUT, HA_PART_SPLIT, HA_PART_EXTEND } what;
	u64 start;
	u64 len;
	u64 at;
	u64 more;
	u64 least;
	u64 got;
	enum hybrid_alloc_reason reason;
};

int ha_file_part(struct ha_file *f, struct ha_part *p);
int ha_file_free_part(struct ha_file *f, u64 start, u64 len, enum hybrid_alloc_reason *reason);
int ha_file_keep(struct ha_file *f, u64 start, u64 len, enum hybrid_alloc_reason *reason);
int ha_file_free(struct ha_file *f, u64 start, u64 len, enum hybrid_alloc_reason *reason);
void ha_file_undo(struct ha_file *f, u32 flags, u64 start, u64 len);
void ha_file_release_bound(struct ha_file *f);
u64 ha_bound_count(const struct ha_dev *dev, u64 *bytes);

/* reserve.c */

int ha_file_reserve(struct ha_file *f, u64 len);
int ha_file_unreserve(struct ha_file *f, u64 len);
u64 ha_file_reserved(struct ha_file *f);
int ha_file_alloc_reserved(struct ha_file *f, u64 min, u64 len, u64 align, u64 goal,
			   struct hybrid_alloc_range *range);
void ha_file_unalloc(struct ha_file *f, u64 start, u64 len);
void ha_file_release_reservation(struct ha_file *f);

/* observe.c */

extern const struct attribute_group *ha_dev_groups[];

int ha_dev_stat(struct ha_dev *dev, struct hybrid_alloc_stat *stat, bool runs);

void ha_debugfs_init(void);
void ha_debugfs_exit(void);
void ha_debugfs_add(struct ha_dev *dev);
void ha_debugfs_remove(struct ha_dev *dev);

/* calls.c */

long ha_dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/* node.c */

extern const struct file_operations ha_node_fops;

/* blank.c */

int ha_refuse_content(const struct hybrid_alloc *ha, struct block_device *bdev,
		      const char *disk, enum ha_attach_mode mode);

/* attach.c */

/* More devices than a command line can reasonably name. */
#define HA_MAX_PARAM_DEVICES	64

struct ha_dev *ha_attach_fd(int fd, const struct hybrid_alloc_params *params,
			    enum ha_attach_mode mode);
int ha_bind_paths(char **paths, unsigned int nr, const struct hybrid_alloc_params *params,
		  enum ha_attach_mode mode);
void ha_publish_bound(void);
void ha_unbind_bound(void);
int ha_dev_detach(struct ha_dev *dev, bool force);
void ha_detach_all(void);

/* for user.c */
int ha_dev_number(struct ha_dev *dev);
int ha_dev_publish(struct ha_dev *dev);
void ha_dev_withdraw(struct ha_dev *dev);
void ha_dev_end_calls(struct ha_dev *dev);

/* control.c */

int ha_control_register(void);
void ha_control_deregister(void);

#endif
