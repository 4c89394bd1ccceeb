/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files around the allocator share. The design is told in hybrid_alloc.c.
 *
 *   hybrid_alloc.c    the exported API, attached devices, ioctls
 *   observe.c         sysfs and debugfs
 *   watch.c           who waits until free space is low
 *   trace.c           tracepoints, and how hits are traced
 */
#ifndef _HYBRID_ALLOC_INTERNAL_H
#define _HYBRID_ALLOC_INTERNAL_H

#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/percpu-refcount.h>
#include <linux/poll.h>
#include <linux/rbtree.h>
#include <linux/rwsem.h>
#include <linux/shrinker.h>
#include <linux/uuid.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include "hybrid_alloc.h"
#include "pool.h"

/**
 * struct hybrid_alloc - an allocator for a range of a block device
 * @pool: the allocator proper. Its space begins at byte 0 of the device, so
 *	that a position which is aligned there is aligned on the device; what
 *	lies before @start was never free.
 * @shift: log2 of the smallest unit of space
 * @mask: that unit, less one
 * @start: first byte of the managed range, whole blocks only
 * @end: first byte behind it
 * @max_len: largest length that may be asked for, whole blocks only
 * @params: as resolved; @params.range_len is the range that was asked for
 * @refused: refused frees that the pool has not seen, by reason
 * @cpuhp: in the list of those who want to know about dead CPUs
 * @idle: gives back what the pools hold and nobody uses
 * @shrinker: the same when memory is short
 * @dev: number of the block device, for who traces
 * @watch: who is to be told when free space is low; NULL if nobody ever asked
 * @watch_below: look again when there is less free space than this, in bytes; and
 * @watch_from: when there is as much as this, or more
 */
struct hybrid_alloc {
	struct hapool pool;
	unsigned int shift;
	u64 mask;
	u64 start;
	u64 end;
	u64 max_len;
	struct hybrid_alloc_params params;
	atomic64_t refused[HYBRID_ALLOC_REASON_COUNT];
	struct hlist_node cpuhp;
	struct delayed_work idle;
	struct shrinker *shrinker;
	dev_t dev;
	struct ha_watch *watch;
	u64 watch_below;
	u64 watch_from;
};

/**
 * struct ha_watch - who waits until free space is low; see watch.c
 * @lock: protects @files, and what they and the allocator have of it
 * @files: struct ha_file, those that have a threshold
 * @wait: who is in poll()
 */
struct ha_watch {
	spinlock_t lock;	/* see above */
	struct list_head files;
	wait_queue_head_t wait;
};

/* bits of ha_dev.state */
enum {
	HA_DEV_SEALED,		/* see HYBRID_ALLOC_STATE_SEALED */
	HA_DEV_GONE,		/* the disk was removed, and that was logged */
};

/**
 * struct ha_dev - an attached block device
 * @ref: the registry's and one for each open file
 * @calls: calls in flight
 * @idle: @calls is dead and none is left
 * @ha: the allocator; until @idle
 * @bdev_file: the block device, opened and claimed; until @idle
 * @bdev: the same
 * @state: HA_DEV_ bits
 * @epoch: random, never 0
 * @uuid: random
 * @id: number of the instance
 * @lock: protects the next three
 * @nr_open: open files
 * @dying: detach has begun
 * @pinned: holds a reference on the module, for its live extents
 * @bound_lock: protects the next one; see "Bound extents"
 * @bound: struct ha_bound of all files, by address
 * @binds: an extent was bound once; under @bound_lock or RCU
 * @watch: files that wait until free space is low
 * @misc: the node
 * @debugfs: its directory in debugfs
 * @name: of the node
 * @disk: name of the block device
 */
struct ha_dev {
	struct kref ref;
	struct percpu_ref calls;
	struct completion idle;
	struct hybrid_alloc *ha;
	struct file *bdev_file;
	struct block_device *bdev;
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
	bool binds;
	struct ha_watch watch;
	struct miscdevice misc;
	struct dentry *debugfs;
	char name[24];
	char disk[BDEVNAME_SIZE];
};

/**
 * struct ha_file - an open file of an instance node
 * @dev: the instance, with a reference
 * @bound: struct ha_bound, what goes back when it is closed
 * @watching: in ha_watch.files, if it has a threshold
 * @low_space: the threshold: free space is low when there is less, in bytes
 * @low: it was low when that was last looked at
 */
struct ha_file {
	struct ha_dev *dev;
	struct list_head bound;
	struct list_head watching;
	u64 low_space;
	bool low;
};

void ha_fill_info(struct hybrid_alloc_info *info, struct ha_dev *dev);

/* ---- sysfs and debugfs (observe.c) ---- */

extern const struct attribute_group *ha_dev_groups[];

void ha_debugfs_init(void);
void ha_debugfs_exit(void);
void ha_debugfs_add(struct ha_dev *dev);
void ha_debugfs_remove(struct ha_dev *dev);

/* ---- tracing (trace.c) ---- */

void ha_trace_init(void);

/*
 * The common size that a length in blocks is, for who looks for it in a pool first:
 * haslab_classes[]; or none of them while calls are traced.
 */
extern u8 ha_hit_classes[HASLAB_MAX_CLASS_BLOCKS + 1];

/* ---- who waits until free space is low (watch.c) ---- */

void ha_watch_init(struct ha_watch *w);
u64 ha_watch_set(struct ha_file *f, u64 low_space);
void ha_watch_forget(struct ha_file *f);
__poll_t ha_watch_poll(struct ha_file *f);
void ha_watch_look(struct hybrid_alloc *ha);

/*
 * Space has become free, or is free no more: so after each call of the pool that
 * was no hit, without a lock of the pool.
 */
static inline void ha_space_changed(struct hybrid_alloc *ha)
{
	if (unlikely(READ_ONCE(ha->watch)))
		ha_watch_look(ha);
}

#endif
