// SPDX-License-Identifier: GPL-2.0
/*
 * hybrid_alloc - hands out the space of block devices
 *
 * This file joins the allocator (pool.c, and below it slab.c and buddy.c) to
 * the rest of the kernel: block devices, device nodes, ioctls and the exported
 * API. The allocator counts in blocks, everything here in bytes.
 *
 *	     ATTACH, DETACH, INFO            ALLOC, FREE, CLAIM, ...
 *	              |                                |
 *	      /dev/hybrid_alloc                /dev/hybrid_allocN      kernel user
 *	              |                                |                    |
 *	   ha_devs (N -> ha_dev) ------------------> ha_dev                 |
 *	                                               |                    |
 *	                                               +--> hybrid_alloc <--+
 *	                                               |        |
 *	                                         block_device   pool
 *
 * Objects
 * =======
 *
 * struct hybrid_alloc is an allocator for a range of a block device, and all
 * that a user in the kernel gets. It belongs to who opened it. It looks at the
 * block device only while it is opened, to learn its size, and again for GROW.
 * TRIM holds free space in the allocator while it discards it.
 *
 * struct ha_dev is an attached device: a block device claimed exclusively, the
 * allocator on it, and the node. It is referred to by ha_devs and by each open
 * file of the node (struct ha_file), and freed with the last of these. What it
 * holds (claim, allocator, number) goes earlier, when it is detached.
 *
 * The claim on the block device is made in the name of the ha_dev. So each
 * attach is a holder of its own, and a second one on the same disk is refused.
 *
 * Detach
 * ======
 *
 * Each call on an instance node holds a reference on ha_dev.calls, which costs
 * an increment of a per-CPU counter. Detaching
 *
 *  1. marks the ha_dev as dying under its lock: no file is opened any more, and
 *     whoever else wants to detach it is too late;
 *  2. takes it out of ha_devs and removes the node, with its files in sysfs and
 *     debugfs, in which nobody is any more then;
 *  3. kills ha_dev.calls, and waits until the calls in flight have returned;
 *     all later ones get ENODEV;
 *  4. closes the allocator, releases the block device, and gives the number
 *     free, last of all, as the name of a node must not be used twice.
 *
 * No call touches user memory while it holds the reference: a page fault may
 * take as long as its user likes, and would hold up the one who detaches.
 *
 * Unless it is forced, detach refuses a device that has open files or live
 * extents. So does rmmod: an open file holds the module (fops.owner). To hold
 * it for live extents as well without counting them on the hot path, the last
 * close of a node takes a reference on the module if any extent is live, and
 * gives it back if none is (ha_dev.pinned).
 *
 * Bound extents
 * =============
 *
 * An extent may be bound to the file through which it was allocated: then it
 * has a record, in a tree of the device by address and in a list of the file.
 * Closing the file frees what is in the list, which needs no memory.
 *
 * No free by others may come through, also not one of an address that happens
 * to be allocated and bound in that very moment. So allocating with the record
 * made excludes "looking for a record and freeing" (ha_dev.bound_lock). Devices
 * on which nothing was ever bound (ha_dev.binds) do not pay for that: their
 * frees run under RCU, and who binds first waits until all of them are done.
 *
 * Removal of the disk
 * ===================
 *
 * Linux 6.1 does not tell the holder of a block device that its disk was
 * removed. Each call looks whether it is still there, and gives ENODEV from
 * then on; only INFO works, and detach. Live extents on it are in nobody's way:
 * no one could free them. The capacity is read again only by GROW, which never
 * shrinks anything: a removed disk has none.
 *
 * Low space
 * =========
 *
 * A file may have a threshold, and poll() on it then says when there is less free
 * space. Free is what STAT calls so: it does not change when a pool serves a call, so
 * it is looked at after all others (ha_space_changed()), and a hit costs nothing.
 * See watch.c.
 *
 * Locks
 * =====
 *
 * There is no lock around attach and detach as a whole; each is one of the
 * steps above, which exclude each other by themselves.
 *
 *	ha_dev.bound_lock
 *	  ha_watch.lock
 *	    the locks of pool.c and below
 *	misc_mtx (held by the misc core in ->open and in misc_(de)register)
 *	  ha_dev.lock
 *	    the locks of pool.c and below
 *	xa_lock of ha_devs
 *
 * ha_dev.lock protects nr_open, dying and pinned; ha_dev.bound_lock protects
 * ha_dev.bound and ha_file.bound, and see "Bound extents". No memory is waited
 * for long while it is held, as frees wait for it. The xa_lock makes "look up
 * and take a reference" one step. ->open takes only ha_dev.lock: whatever it
 * took beyond that could not be held while a node is registered.
 *
 * Order of this file
 * ==================
 *
 * From the inside to the outside, each part using those before it: the
 * allocator on a block device, which is the exported API, and with it GROW and
 * TRIM; attached devices and their end; bound extents; how a call is checked
 * and its result delivered; the calls of the instance nodes; those of the
 * control node; the module and its parameters.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bits.h>
#include <linux/blkdev.h>
#include <linux/capability.h>
#include <linux/completion.h>
#include <linux/cpuhotplug.h>
#include <linux/ctype.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/kref.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/percpu-refcount.h>
#include <linux/random.h>
#include <linux/rbtree.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>
#include <linux/uuid.h>
#include <linux/xarray.h>
#include "dev/compat.h"
#include "hybrid_alloc_internal.h"
#include "hybrid_alloc_trace.h"
#include "pool_hit.h"

/* More devices than anyone will name on a command line. */
#define HA_MAX_PARAM_DEVICES	64

/**
 * struct ha_bound - an extent that is bound to an open file
 * @node: in ha_dev.bound
 * @list: in ha_file.bound
 * @file: whose it is
 * @start: first byte
 * @len: length in bytes
 */
struct ha_bound {
	struct rb_node node;
	struct list_head list;
	struct ha_file *file;
	u64 start;
	u64 len;
};

/*
 * Attached devices by number. A NULL entry keeps a number for a device that is
 * not yet, or no longer, to be found.
 */
static DEFINE_XARRAY_ALLOC(ha_devs);

/* What detaching has forgotten. */
static atomic64_t ha_lost_extents;
static atomic64_t ha_lost_bytes;

static enum cpuhp_state ha_cpuhp_state;

/* A refusal: the log line for @err. */
static int ha_refuse(const char *what, int err, const char *why)
{
	pr_err("%s: %s (error %d)\n", what, why, err);
	return err;
}

/* ---- the allocator on a block device ---- */

static int ha_cpu_dead(unsigned int cpu, struct hlist_node *node)
{
	struct hybrid_alloc *ha = hlist_entry(node, struct hybrid_alloc, cpuhp);

	hapool_cpu_dead(&ha->pool, cpu);
	ha_space_changed(ha);
	return 0;
}

static unsigned int ha_param_idle_ms = 10000;
module_param_named(idle_ms, ha_param_idle_ms, uint, 0444);
MODULE_PARM_DESC(idle_ms,
		 "a CPU gives cached extents back if it does not use them for so long (default: 10000; 0: never)");

static void ha_idle(struct work_struct *work)
{
	struct hybrid_alloc *ha = container_of(to_delayed_work(work), struct hybrid_alloc, idle);

	hapool_drain_idle(&ha->pool);
	ha_space_changed(ha);
	queue_delayed_work(system_dfl_wq, &ha->idle, msecs_to_jiffies(ha_param_idle_ms));
}

static unsigned long ha_shrink_count(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct hybrid_alloc *ha = compat_shrinker_data(shrinker);

	return hapool_nr_mags(&ha->pool) ?: SHRINK_EMPTY;
}

static unsigned long ha_shrink_scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct hybrid_alloc *ha = compat_shrinker_data(shrinker);

	unsigned long nr = hapool_shrink(&ha->pool, sc->nr_to_scan);

	ha_space_changed(ha);
	return nr ?: SHRINK_STOP;
}

/* Begin to look after the pools. */
static int ha_start_upkeep(struct hybrid_alloc *ha)
{
	int ret;

	ha->shrinker = compat_shrinker_new("hybrid_alloc", ha, ha_shrink_count, ha_shrink_scan);
	if (!ha->shrinker)
		return -ENOMEM;
	ret = cpuhp_state_add_instance_nocalls(ha_cpuhp_state, &ha->cpuhp);
	if (ret) {
		shrinker_free(ha->shrinker);
		return ret;
	}
	INIT_DEFERRABLE_WORK(&ha->idle, ha_idle);
	if (ha_param_idle_ms)
		queue_delayed_work(system_dfl_wq, &ha->idle,
				   msecs_to_jiffies(ha_param_idle_ms));
	return 0;
}

static void ha_stop_upkeep(struct hybrid_alloc *ha)
{
	cancel_delayed_work_sync(&ha->idle);
	cpuhp_state_remove_instance_nocalls(ha_cpuhp_state, &ha->cpuhp);
	shrinker_free(ha->shrinker);
}

/* is_power_of_2() takes a long, which need not be 64 bits. */
static bool ha_is_power_of_2(u64 n)
{
	return n && !(n & (n - 1));
}

static bool ha_is_size(u64 size, u64 min, u64 max)
{
	return ha_is_power_of_2(size) && size >= min && size <= max;
}

/* Fills in defaults and checks how the sizes fit each other. */
static int ha_resolve_sizes(struct hybrid_alloc_params *p, const char *disk)
{
	if (!p->min_block)
		p->min_block = SZ_4K;
	if (!ha_is_size(p->min_block, SZ_4K, SZ_1M))
		return ha_refuse(disk, -EINVAL,
				 "min_block is not a power of two from 4 KiB to 1 MiB");
	if (!p->slab_max)
		p->slab_max = SZ_1M;
	if (!ha_is_size(p->slab_max, p->min_block, p->min_block * HASLAB_MAX_CLASS_BLOCKS))
		return ha_refuse(disk, -EINVAL,
				 "slab_max is not a power of two from 1 to 1024 blocks");
	if (!p->buddy_start)
		p->buddy_start = SZ_1M;
	if (!ha_is_size(p->buddy_start, p->min_block, p->min_block * HASLAB_MAX_BLOCKS))
		return ha_refuse(disk, -EINVAL,
				 "buddy_start is not a power of two from 1 to 4096 blocks");
	if (!IS_ALIGNED(p->max_block, p->min_block))
		return ha_refuse(disk, -EINVAL, "max_block is not a multiple of min_block");
	return 0;
}

/* Places the range on a device of @size bytes. */
static int ha_resolve_range(struct hybrid_alloc *ha, u64 size, const char *disk)
{
	struct hybrid_alloc_params *p = &ha->params;

	if (p->range_start > size || p->range_len > size - p->range_start)
		return ha_refuse(disk, -ERANGE,
				 "the range is not inside the device: see blockdev --getsize64");
	if (!p->range_len)
		p->range_len = size - p->range_start;
	ha->shift = ilog2(p->min_block);
	ha->mask = p->min_block - 1;
	ha->start = round_up(p->range_start, p->min_block);
	ha->end = round_down(p->range_start + p->range_len, p->min_block);
	if (ha->end < ha->start || ha->end - ha->start < p->buddy_start)
		return ha_refuse(disk, -EINVAL,
				 "the range is smaller than buddy_start: give a larger one");
	ha->max_len = ha->end - ha->start;
	if (p->max_block)
		ha->max_len = min(ha->max_len, p->max_block);
	return 0;
}

static int ha_resolve(struct hybrid_alloc *ha, struct block_device *bdev)
{
	char disk[BDEVNAME_SIZE];
	int ret;

	snprintf(disk, sizeof(disk), "%pg", bdev);
	if (bdev_read_only(bdev))
		return ha_refuse(disk, -EROFS, "the device is read-only: see blockdev --setrw");
	if (bdev_is_zoned(bdev))
		return ha_refuse(disk, -EOPNOTSUPP,
				 "the device is zoned: use one that can be written anywhere");
	ret = ha_resolve_sizes(&ha->params, disk);
	if (ret)
		return ret;
	if (bdev_logical_block_size(bdev) > ha->params.min_block)
		return ha_refuse(disk, -EINVAL,
				 "the logical block is larger than min_block: give that a larger one");
	return ha_resolve_range(ha, bdev_nr_bytes(bdev), disk);
}

static int ha_init_pool(struct hybrid_alloc *ha)
{
	struct haslab_config cfg = {
		.first_block = ha->start >> ha->shift,
		.nr_blocks = ha->end >> ha->shift,
		.unit_shift = ilog2(ha->params.buddy_start) - ha->shift,
		.slab_max = ha->params.slab_max >> ha->shift,
		.dev = ha->dev,
		.byte_shift = ha->shift,
	};

	return hapool_init(&ha->pool, &cfg);
}

static int ha_open(struct hybrid_alloc *ha, struct block_device *bdev)
{
	int ret;

	ha->dev = bdev->bd_dev;
	ret = ha_resolve(ha, bdev);
	if (ret)
		return ret;
	ret = ha_init_pool(ha);
	if (ret)
		return ret;
	ret = ha_start_upkeep(ha);
	if (ret)
		hapool_destroy(&ha->pool);
	return ret;
}

/**
 * hybrid_alloc_open - open an allocator on a block device of the caller's
 * @bdev: the block device, which the caller has open
 * @params: shape of the allocator, or NULL for defaults
 * @gfp: GFP_KERNEL, or what the caller must do without of __GFP_IO, __GFP_FS
 *
 * All space is free at first. There is no device node, and the device is not
 * claimed: to keep others off it is the caller's part, who also must have it
 * open for as long as its size matters to him. The allocator does not keep
 * @bdev.
 *
 * Context: Process context, may sleep whatever @gfp says. Not from a CPU
 * hotplug callback.
 * Return: The allocator, or an ERR_PTR: EROFS the device is read-only;
 * EOPNOTSUPP it is zoned; EINVAL the sizes in @params do not fit each other or
 * the device, or the range is smaller than params.buddy_start; ERANGE the
 * range is not inside the device; ENOMEM.
 */
struct hybrid_alloc *hybrid_alloc_open(struct block_device *bdev,
				       const struct hybrid_alloc_params *params, gfp_t gfp)
{
	const gfp_t all = __GFP_IO | __GFP_FS;
	struct hybrid_alloc *ha;
	unsigned int scope;
	int ret;

	might_sleep();
	ha = kzalloc(sizeof(*ha), gfp);
	if (!ha)
		return ERR_PTR(-ENOMEM);
	if (params)
		ha->params = *params;

	/* Much of what is allocated below is not told @gfp. */
	if ((gfp & all) == all) {
		ret = ha_open(ha, bdev);
	} else {
		scope = memalloc_noio_save();
		ret = ha_open(ha, bdev);
		memalloc_noio_restore(scope);
	}
	if (ret) {
		kfree(ha);
		return ERR_PTR(ret);
	}
	return ha;
}
EXPORT_SYMBOL_GPL(hybrid_alloc_open);

/**
 * hybrid_alloc_close - close an allocator
 * @ha: the allocator
 *
 * Live extents are forgotten; nothing happens to the data in them. No other
 * call may be under way, nor come later.
 *
 * Context: Process context, may sleep. Never fails, needs no memory.
 */
void hybrid_alloc_close(struct hybrid_alloc *ha)
{
	ha_stop_upkeep(ha);
	hapool_destroy(&ha->pool);
	kfree(ha);
}
EXPORT_SYMBOL_GPL(hybrid_alloc_close);

/* A length that is known to be inside the range, in blocks. */
static u64 ha_blocks(const struct hybrid_alloc *ha, u64 len)
{
	return round_up(len, ha->params.min_block) >> ha->shift;
}

/* As hybrid_alloc_alloc(), with everything checked. */
static int ha_alloc_checked(struct hybrid_alloc *ha, u64 len, u64 align, u64 goal, gfp_t gfp,
			    struct hybrid_alloc_range *out)
{
	u64 blocks, start;
	int ret;

	if (!len || (align && !ha_is_power_of_2(align)))
		return -EINVAL;
	if (len > READ_ONCE(ha->max_len))
		return -EFBIG;
	if (unlikely(goal != HYBRID_ALLOC_NO_GOAL)) {
		if (goal < ha->start || goal >= READ_ONCE(ha->end))
			return -ERANGE;
		goal >>= ha->shift;
	}

	BUILD_BUG_ON(HYBRID_ALLOC_NO_GOAL != HAPOOL_NO_GOAL);
	blocks = ha_blocks(ha, len);
	align = max(align >> ha->shift, 1ULL);
	ret = hapool_alloc(&ha->pool, blocks, align, goal, gfp, &start);
	ha_space_changed(ha);
	if (ret)
		return ret;
	out->start = start << ha->shift;
	out->len = blocks << ha->shift;
	return 0;
}

/* All allocations that are no hit, or traced. */
static noinline int ha_alloc(struct hybrid_alloc *ha, u64 len, u64 align, u64 goal, gfp_t gfp,
			     struct hybrid_alloc_range *out)
{
	int ret = ha_alloc_checked(ha, len, align, goal, gfp, out);

	trace_ha_alloc(ha->dev, len, align, ret ? 0 : out->start, ret ? 0 : out->len, ret);
	return ret;
}

/**
 * hybrid_alloc_alloc - allocate an extent
 * @ha: the allocator
 * @len: bytes wanted, rounded up to the smallest unit of space
 * @align: alignment of the start on the device, a power of two, or 0
 * @goal: where it should be if possible, inside the managed range and rounded
 *	down; or HYBRID_ALLOC_NO_GOAL
 * @gfp: how to get memory for metadata
 * @out: the extent, with the rounded length; untouched on failure
 *
 * Context: Process context. May sleep if gfpflags_allow_blocking(@gfp).
 * Without that it does not wait for anything but spinlocks.
 * Return: 0, or EINVAL @len is 0 or @align not a power of two; EFBIG @len is
 * larger than params.max_block or the managed range; ERANGE @goal is outside of
 * the managed range; ENOSPC no free run fits; ENOMEM; EAGAIN it would have to
 * wait to know, and @gfp forbids; EINTR killed while it waited.
 */
int hybrid_alloc_alloc(struct hybrid_alloc *ha, u64 len, u64 align, u64 goal, gfp_t gfp,
		       struct hybrid_alloc_range *out)
{
	/* of what overflows here nothing is left */
	u64 blocks = (len + ha->mask) >> ha->shift, start;
	unsigned int shift;

	/* a size for which there is a magazine has been checked before */
	if (unlikely(align | ~goal) || unlikely(blocks > HASLAB_MAX_CLASS_BLOCKS) ||
	    !hapool_alloc_hit(&ha->pool, READ_ONCE(ha_hit_classes[blocks]), &start))
		return ha_alloc(ha, len, align, goal, gfp, out);
	BUILD_BUG_ON(HYBRID_ALLOC_NO_GOAL != ~0ULL);
	shift = ha->shift;
	out->start = start << shift;
	out->len = blocks << shift;
	return 0;
}
EXPORT_SYMBOL_GPL(hybrid_alloc_alloc);

/* Why a range cannot be one of the allocator's. */
static enum hybrid_alloc_reason ha_range_fault(const struct hybrid_alloc *ha, u64 start, u64 len)
{
	/* while the range grows the pool knows of more already, and may have handed it out */
	u64 end = hapool_end(&ha->pool) << ha->shift;

	if (!len)
		return HYBRID_ALLOC_REASON_ZERO_LENGTH;
	if (!IS_ALIGNED(start, ha->params.min_block))
		return HYBRID_ALLOC_REASON_UNALIGNED;
	if (start < ha->start || start >= end || len > end - start)
		return HYBRID_ALLOC_REASON_OUT_OF_RANGE;
	return HYBRID_ALLOC_REASON_NONE;
}

static int ha_fault_errno(enum hybrid_alloc_reason fault)
{
	return fault == HYBRID_ALLOC_REASON_OUT_OF_RANGE ? -ERANGE : -EINVAL;
}

/**
 * hybrid_alloc_claim - mark a given range as a live extent
 * @ha: the allocator
 * @start: first byte, a multiple of the smallest unit of space
 * @len: bytes, rounded up to the smallest unit of space
 * @gfp: how to get memory for metadata
 *
 * For users that keep a catalogue of their extents: they claim all of them
 * after they have opened the allocator.
 *
 * Context: as hybrid_alloc_alloc().
 * Return: 0, or EINVAL @len is 0 or @start not a multiple; ERANGE the range is
 * not inside the managed one; EEXIST it is (partly) taken; ENOMEM, EAGAIN,
 * EINTR as hybrid_alloc_alloc().
 */
int hybrid_alloc_claim(struct hybrid_alloc *ha, u64 start, u64 len, gfp_t gfp)
{
	enum hybrid_alloc_reason fault = ha_range_fault(ha, start, len);
	int ret;

	if (fault) {
		ret = ha_fault_errno(fault);
	} else {
		ret = hapool_claim(&ha->pool, start >> ha->shift, ha_blocks(ha, len), gfp);
		ha_space_changed(ha);
	}
	trace_ha_claim(ha->dev, start, len, ret);
	return ret;
}
EXPORT_SYMBOL_GPL(hybrid_alloc_claim);

/* As hybrid_alloc_free(), with everything checked. */
static noinline int ha_free(struct hybrid_alloc *ha, u64 start, u64 len,
			    enum hybrid_alloc_reason *reason)
{
	enum hybrid_alloc_reason fault = ha_range_fault(ha, start, len);
	int ret;

	if (fault) {
		atomic64_inc(&ha->refused[fault]);
		ret = ha_fault_errno(fault);
	} else {
		ret = hapool_free(&ha->pool, start >> ha->shift, ha_blocks(ha, len), &fault);
		ha_space_changed(ha);
	}
	if (ret)
		trace_ha_refused_free(ha->dev, start, len, fault, ret);
	else
		trace_ha_free(ha->dev, start, len);
	if (ret && reason)
		*reason = fault;
	return ret;
}

/* The same for a common size and a block, both inside the device. */
static noinline int ha_free_missed(struct hybrid_alloc *ha, u64 block, unsigned long class,
				   enum hybrid_alloc_reason *reason)
{
	u64 blocks = hapool_class_blocks(&ha->pool, class);

	return ha_free(ha, block << ha->shift, blocks << ha->shift, reason);
}

/* For what may be a block of the buddy; the pools have no magazine for what is not. */
static noinline int ha_free_block(struct hybrid_alloc *ha, u64 block, u64 blocks,
				  unsigned long class, enum hybrid_alloc_reason *reason)
{
	if (class < HASLAB_NR_CLASSES && hapool_free_hit(&ha->pool, class, true, block))
		return 0;
	return ha_free(ha, block << ha->shift, blocks << ha->shift, reason);
}

/**
 * hybrid_alloc_free - give an extent back
 * @ha: the allocator
 * @start: first byte of the extent
 * @len: bytes, rounding up to the extent's length
 * @reason: out: why it was refused, untouched if it was not; may be NULL
 *
 * The extent must be live and of exactly this place and length, or nothing
 * changes. I/O to it must have finished: it may have a new owner before this
 * returns.
 *
 * Context: Process context. Does not sleep, but on PREEMPT_RT, where spinlocks
 * do. Needs no memory.
 * Return: 0, or EINVAL @len is 0, @start not a multiple of the smallest unit
 * of space, or start or length are wrong inside a live extent; ERANGE the
 * range is not inside the managed one; ENOENT nothing is allocated there.
 */
int hybrid_alloc_free(struct hybrid_alloc *ha, u64 start, u64 len,
		      enum hybrid_alloc_reason *reason)
{
	u64 blocks = (len + ha->mask) >> ha->shift;
	/* of a start that is inside a block this is beyond every end */
	u64 block = ror64(start, ha->shift);
	unsigned long class;

	if (unlikely(block >= hapool_end(&ha->pool)) || unlikely(!blocks) ||
	    unlikely(blocks > HASLAB_MAX_CLASS_BLOCKS))
		return ha_free(ha, start, len, reason);
	class = READ_ONCE(ha_hit_classes[blocks]);
	if (unlikely(hapool_from_buddy(&ha->pool, class)))
		return ha_free_block(ha, block, blocks, class, reason);
	/* from here on neither @start nor @len is needed: each would cost a register */
	if (!hapool_free_hit(&ha->pool, class, false, block))
		return ha_free_missed(ha, block, class, reason);
	return 0;
}
EXPORT_SYMBOL_GPL(hybrid_alloc_free);

/**
 * hybrid_alloc_drain - empty the per-CPU pools
 * @ha: the allocator
 *
 * What is freed meanwhile may be in a pool again afterwards.
 *
 * Context: Process context, may sleep. Needs no memory.
 */
void hybrid_alloc_drain(struct hybrid_alloc *ha)
{
	hapool_drain(&ha->pool);
	ha_space_changed(ha);
}
EXPORT_SYMBOL_GPL(hybrid_alloc_drain);

static u64 ha_live_bytes(struct hybrid_alloc *ha)
{
	return hapool_charged(&ha->pool) << ha->shift;
}

/* Not in its caller, for the sake of the stack. */
static noinline_for_stack void ha_stat_runs(struct hybrid_alloc *ha,
					    struct hybrid_alloc_stat *stat)
{
	struct haslab_histogram h;
	int i, to;

	hapool_histogram(&ha->pool, &h);
	for (i = 0; i < ARRAY_SIZE(h.count); i++) {
		to = min(i, HYBRID_ALLOC_RUN_LENGTHS - 1);
		stat->run_count[to] += h.count[i];
		stat->run_bytes[to] += h.blocks[i] << ha->shift;
	}
}

/**
 * hybrid_alloc_stat - where the space is
 * @ha: the allocator
 * @stat: filled in, but for size, flags and epoch
 * @runs: also walk the free runs, which takes time in proportion to them
 *
 * Context: Process context, may sleep.
 */
void hybrid_alloc_stat(struct hybrid_alloc *ha, struct hybrid_alloc_stat *stat, bool runs)
{
	/* once: GROW may change it, and the end of the blocks in it, meanwhile */
	u64 range_len = READ_ONCE(ha->params.range_len), end;
	struct hapool_stat st;
	int i;

	hapool_stat(&ha->pool, &st, runs);
	end = round_down(ha->params.range_start + range_len, ha->params.min_block);
	stat->capacity = range_len;
	stat->charged = st.charged << ha->shift;
	stat->cached = st.cached << ha->shift;
	stat->free = st.slab.free << ha->shift;
	stat->retired = st.retired << ha->shift;
	stat->unusable = range_len - (end - ha->start);
	stat->metadata = st.metadata;
	stat->percpu = st.percpu;
	stat->nr_live = st.nr_live;
	stat->nr_slabs = st.slab.nr_slabs;
	stat->nr_free_runs = runs ? st.slab.nr_runs : 0;
	stat->largest_free_run = st.slab.largest_run << ha->shift;
	stat->pool_hits = st.hits;
	stat->pool_misses = st.misses;
	stat->pool_refills = st.refills;
	stat->pool_drains = st.drains;
	stat->slabs_made = st.slab.made;
	stat->slabs_returned = st.slab.returned;
	stat->buddy_splits = st.slab.splits;
	stat->buddy_merges = st.slab.merges;
	stat->slow_searches = st.searches;

	BUILD_BUG_ON(ARRAY_SIZE(stat->refused_frees) < HYBRID_ALLOC_REASON_COUNT);
	memset(stat->refused_frees, 0, sizeof(stat->refused_frees));
	for (i = 0; i < HYBRID_ALLOC_REASON_COUNT; i++)
		stat->refused_frees[i] = st.refused[i] + atomic64_read(&ha->refused[i]);

	memset(stat->run_count, 0, sizeof(stat->run_count));
	memset(stat->run_bytes, 0, sizeof(stat->run_bytes));
	if (runs)
		ha_stat_runs(ha, stat);
}
EXPORT_SYMBOL_GPL(hybrid_alloc_stat);

/* ---- GROW, TRIM and MAP ---- */

/*
 * After the device has grown. There are few of these, and one at a time. In
 * between what is new may be handed out and come back already (ha_range_fault()),
 * but nobody can name it in a wish yet.
 */
static int ha_grow(struct hybrid_alloc *ha, struct block_device *bdev, u64 range_len)
{
	static DEFINE_MUTEX(lock);
	struct hybrid_alloc_params *p = &ha->params;
	u64 size = bdev_nr_bytes(bdev), end;
	int ret = -EINVAL;

	if (mutex_lock_killable(&lock))
		return -EINTR;
	if (size < p->range_start + p->range_len)
		goto out;
	if (!range_len)
		range_len = size - p->range_start;
	if (range_len < p->range_len)
		goto out;
	ret = -ERANGE;
	if (range_len > size - p->range_start)
		goto out;
	end = round_down(p->range_start + range_len, p->min_block);
	ret = end > ha->end ? hapool_grow(&ha->pool, end >> ha->shift, GFP_KERNEL) : 0;
	if (ret)
		goto out;
	WRITE_ONCE(p->range_len, range_len);
	WRITE_ONCE(ha->end, end);
	WRITE_ONCE(ha->max_len, p->max_block ? min(end - ha->start, p->max_block) :
					       end - ha->start);
	ha_space_changed(ha);
out:
	mutex_unlock(&lock);
	return ret;
}

/*
 * What is trimmed at a time: so much is out of use then, and so long has to wait
 * who needs just that, or wants to kill the caller.
 */
#define HA_TRIM_BYTES	SZ_32M

/**
 * struct ha_trim - a TRIM at work; positions in bytes
 * @ha: the allocator
 * @bdev: the block device
 * @dying: the device is being detached
 * @gran: discard granularity
 * @shift: where the first such unit begins
 * @pos: what lies before is done
 * @end: where to stop
 * @minlen: shortest run to trim
 * @run_end: the run at @pos is long enough, and reaches up to here
 * @trimmed: bytes discarded
 */
struct ha_trim {
	struct hybrid_alloc *ha;
	struct block_device *bdev;
	struct percpu_ref *dying;
	u64 gran;
	u64 shift;
	u64 pos;
	u64 end;
	u64 minlen;
	u64 run_end;
	u64 trimmed;
};

static u64 ha_trim_up(const struct ha_trim *t, u64 pos)
{
	return pos <= t->shift ? t->shift :
	       DIV64_U64_ROUND_UP(pos - t->shift, t->gran) * t->gran + t->shift;
}

static u64 ha_trim_down(const struct ha_trim *t, u64 pos)
{
	return pos < t->shift ? 0 : div64_u64(pos - t->shift, t->gran) * t->gran + t->shift;
}

/* The next free blocks of a run that is long enough, at or behind @t->pos. */
static bool ha_trim_next(struct ha_trim *t, u64 *start, u64 *len)
{
	struct hapool *pool = &t->ha->pool;
	unsigned int shift = t->ha->shift;
	u64 next, more, end;

	while (hapool_next_free(pool, t->pos >> shift, start, len)) {
		if (*start << shift >= t->end)
			return false;
		if (*start << shift < t->run_end)
			return true;
		/* a run may be told in several parts */
		end = *start + *len;
		while (hapool_next_free(pool, end, &next, &more) && next == end) {
			end += more;
			cond_resched();
		}
		if ((end - *start) << shift >= t->minlen) {
			t->run_end = end << shift;
			return true;
		}
		t->pos = end << shift;
	}
	return false;
}

/*
 * Discard what can be of some free blocks, while nobody can get them. Less of
 * them may have been kept, or nothing if somebody was faster.
 */
static int ha_trim_blocks(struct ha_trim *t, u64 start, u64 len)
{
	unsigned int shift = t->ha->shift;
	u64 from, to;
	int ret;

	ret = hapool_hold(&t->ha->pool, &start, &len, GFP_KERNEL);
	if (ret)
		return ret == -EAGAIN ? 0 : ret;
	t->pos = (start + len) << shift;
	from = ha_trim_up(t, start << shift);
	to = ha_trim_down(t, min((start + len) << shift, t->end));
	if (from < to) {
		ret = blkdev_issue_discard(t->bdev, from >> SECTOR_SHIFT,
					   (to - from) >> SECTOR_SHIFT, GFP_KERNEL);
		if (!ret)
			t->trimmed += to - from;
	}
	hapool_unhold(&t->ha->pool, start, len);
	trace_ha_trim(t->ha->dev, start << shift, len << shift,
		      from < to && !ret ? to - from : 0, ret);
	ha_space_changed(t->ha);
	return ret;
}

static int ha_trim(struct ha_trim *t)
{
	unsigned int shift = t->ha->shift;
	u64 start, len, from, next;
	int ret;

	hybrid_alloc_drain(t->ha);
	while (ha_trim_next(t, &start, &len)) {
		if (fatal_signal_pending(current))
			return -EINTR;
		if (percpu_ref_is_dying(t->dying))
			return -ENODEV;
		/* a piece that ends where a unit of the disk does */
		from = ha_trim_up(t, max(start << shift, t->pos));
		next = max(ha_trim_down(t, from + HA_TRIM_BYTES), from + t->gran);
		next = min3(next, (start + len) << shift, t->end);
		t->pos = max(next, t->pos + t->ha->params.min_block);
		if (from < next) {
			from = max(round_down(from, t->ha->params.min_block), start << shift);
			len = DIV64_U64_ROUND_UP(next - from, t->ha->params.min_block);
			ret = ha_trim_blocks(t, from >> shift, len);
			if (ret)
				return ret;
		}
		cond_resched();
	}
	return 0;
}

/**
 * hybrid_alloc_map - what the device is used for
 * @ha: the allocator
 * @start: the first byte of interest, a multiple of the smallest unit of space;
 *	what lies before the managed range is passed over
 * @entries: out: in the order of addresses, without gaps; a live extent is one,
 *	as a whole even if @start lies inside it
 * @nr: how many there may be
 * @gfp: how to get memory
 *
 * The entries of one call were true at one moment. To see more, call again with
 * the end of the last one.
 *
 * Context: Process context. May sleep if gfpflags_allow_blocking(@gfp).
 * Return: The number of entries, 0 at the end, or EINVAL @start is not a
 * multiple; ENOMEM.
 */
int hybrid_alloc_map(struct hybrid_alloc *ha, u64 start, struct hybrid_alloc_map_entry *entries,
		     int nr, gfp_t gfp)
{
	struct haslab_extent *blocks;
	int i;

	if (!IS_ALIGNED(start, ha->params.min_block))
		return -EINVAL;
	start = max(start, ha->start);
	if (start >= READ_ONCE(ha->end) || nr < 1)
		return 0;
	blocks = kvmalloc_array(nr, sizeof(*blocks), gfp);
	if (!blocks)
		return -ENOMEM;
	nr = hapool_map(&ha->pool, start >> ha->shift, blocks, nr);
	for (i = 0; i < nr; i++)
		entries[i] = (struct hybrid_alloc_map_entry){
			.start = blocks[i].start << ha->shift,
			.len = blocks[i].len << ha->shift,
			.state = blocks[i].state,
			.kind = blocks[i].kind,
		};
	kvfree(blocks);
	return nr;
}
EXPORT_SYMBOL_GPL(hybrid_alloc_map);

/* ---- attached devices ---- */

static void ha_dev_idle(struct percpu_ref *calls)
{
	struct ha_dev *dev = container_of(calls, struct ha_dev, calls);

	complete(&dev->idle);
}

static void ha_dev_free(struct kref *ref)
{
	struct ha_dev *dev = container_of(ref, struct ha_dev, ref);

	percpu_ref_exit(&dev->calls);
	kfree(dev);
}

static void ha_dev_put(struct ha_dev *dev)
{
	kref_put(&dev->ref, ha_dev_free);
}

/* A partition can be removed alone; with its disk it always is. */
static bool ha_bdev_gone(struct block_device *bdev, struct inode *inode)
{
	return inode_unhashed(inode) || !disk_live(bdev->bd_disk);
}

static void ha_dev_set_gone(struct ha_dev *dev)
{
	if (test_and_set_bit(HA_DEV_GONE, &dev->state))
		return;
	pr_warn("%s: the block device %s went away: detach it with force\n", dev->name,
		dev->disk);
	wake_up_poll(&dev->watch.wait, EPOLLERR | EPOLLHUP);
}

/* Some versions tell it, maybe long before the next call, others have to be asked. */
COMPAT_HOLDER_OPS(ha_holder_ops, ha_dev_set_gone);

static bool ha_dev_gone(struct ha_dev *dev)
{
	if (likely(!test_bit(HA_DEV_GONE, &dev->state) &&
		   !ha_bdev_gone(dev->bdev, compat_bdev_inode(dev->bdev_file))))
		return false;
	ha_dev_set_gone(dev);
	return true;
}

static void ha_file_release_bound(struct ha_file *f);

static int ha_dev_open(struct inode *inode, struct file *file)
{
	struct ha_dev *dev = container_of(file->private_data, struct ha_dev, misc);
	struct ha_file *f;
	bool dying;

	f = kzalloc(sizeof(*f), GFP_KERNEL);
	if (!f)
		return -ENOMEM;
	f->dev = dev;
	INIT_LIST_HEAD(&f->bound);
	INIT_LIST_HEAD(&f->watching);

	/* The registry's reference is still there, as the node is. */
	spin_lock(&dev->lock);
	dying = dev->dying;
	if (!dying) {
		dev->nr_open++;
		kref_get(&dev->ref);
	}
	spin_unlock(&dev->lock);
	if (dying) {
		kfree(f);
		return -ENODEV;
	}
	file->private_data = f;
	return nonseekable_open(inode, file);
}

/* Under the lock. The caller's file holds the module. */
static void ha_dev_pin(struct ha_dev *dev, bool pin)
{
	lockdep_assert_held(&dev->lock);
	if (pin && !dev->pinned)
		__module_get(THIS_MODULE);
	else if (!pin && dev->pinned)
		module_put(THIS_MODULE);
	dev->pinned = pin;
}

static int ha_dev_release(struct inode *inode, struct file *file)
{
	struct ha_file *f = file->private_data;
	struct ha_dev *dev = f->dev;

	ha_file_release_bound(f);
	ha_watch_forget(f);
	kfree(f);
	spin_lock(&dev->lock);
	if (!--dev->nr_open && !dev->dying)
		ha_dev_pin(dev, !ha_dev_gone(dev) && ha_live_bytes(dev->ha));
	spin_unlock(&dev->lock);
	ha_dev_put(dev);
	return 0;
}

static __poll_t ha_dev_poll(struct file *file, poll_table *table)
{
	struct ha_file *f = file->private_data;
	struct ha_dev *dev = f->dev;
	__poll_t events = EPOLLERR | EPOLLHUP;

	poll_wait(file, &dev->watch.wait, table);
	if (!percpu_ref_tryget_live(&dev->calls))
		return events;
	if (!ha_dev_gone(dev))
		events = ha_watch_poll(f);
	percpu_ref_put(&dev->calls);
	return events;
}

static long ha_dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

static const struct file_operations ha_dev_fops = {
	.owner = THIS_MODULE,
	.open = ha_dev_open,
	.release = ha_dev_release,
	.poll = ha_dev_poll,
	.unlocked_ioctl = ha_dev_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static int ha_dev_claim_bdev(struct ha_dev *dev, dev_t devt, const char *what)
{
	struct file *file;

	file = bdev_file_open_by_dev(devt, BLK_OPEN_READ | BLK_OPEN_WRITE, dev, &ha_holder_ops);
	if (!IS_ERR(file)) {
		dev->bdev_file = file;
		dev->bdev = file_bdev(file);
		snprintf(dev->disk, sizeof(dev->disk), "%pg", dev->bdev);
		return 0;
	}

	switch (PTR_ERR(file)) {
	case -EBUSY:
		return ha_refuse(what, -EBUSY,
				 "mounted, attached or held by others: lsblk shows by whom");
	case -ENXIO:
		return ha_refuse(what, -ENODEV, "there is no such device any more");
	default:
		return ha_refuse(what, PTR_ERR(file), "cannot be opened");
	}
}

/* What can be said of a device before it has a number. */
static struct ha_dev *ha_dev_new(bool sealed)
{
	struct ha_dev *dev;
	int ret;

	dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	if (!dev)
		return ERR_PTR(-ENOMEM);
	ret = percpu_ref_init(&dev->calls, ha_dev_idle, 0, GFP_KERNEL);
	if (ret) {
		kfree(dev);
		return ERR_PTR(ret);
	}
	kref_init(&dev->ref);
	init_completion(&dev->idle);
	spin_lock_init(&dev->lock);
	init_rwsem(&dev->bound_lock);
	dev->bound = RB_ROOT;
	ha_watch_init(&dev->watch);
	do {
		dev->epoch = get_random_u64();
	} while (!dev->epoch);
	generate_random_uuid(dev->uuid);
	if (sealed)
		set_bit(HA_DEV_SEALED, &dev->state);
	return dev;
}

/**
 * ha_dev_bind - take over a block device
 * @devt: its number
 * @what: its name, for the log
 * @params: as of hybrid_alloc_open()
 * @sealed: ALLOC has to wait for SEAL
 *
 * Return: the device, for ha_dev_publish() or ha_dev_unbind(), or an ERR_PTR.
 */
static struct ha_dev *ha_dev_bind(dev_t devt, const char *what,
				  const struct hybrid_alloc_params *params, bool sealed)
{
	struct ha_dev *dev;
	int ret;

	dev = ha_dev_new(sealed);
	if (IS_ERR(dev))
		return dev;
	ret = ha_dev_claim_bdev(dev, devt, what);
	if (ret)
		goto out_put;
	dev->ha = hybrid_alloc_open(dev->bdev, params, GFP_KERNEL);
	if (IS_ERR(dev->ha)) {
		ret = PTR_ERR(dev->ha);
		goto out_release;
	}
	ret = xa_alloc(&ha_devs, &dev->id, NULL, xa_limit_31b, GFP_KERNEL);
	if (ret)
		goto out_close;
	snprintf(dev->name, sizeof(dev->name), "hybrid_alloc%u", dev->id);
	return dev;

out_close:
	hybrid_alloc_close(dev->ha);
out_release:
	bdev_fput(dev->bdev_file);
out_put:
	ha_dev_put(dev);
	return ERR_PTR(ret);
}

/* The reverse of ha_dev_bind(), also for what was published in between. */
static void ha_dev_unbind(struct ha_dev *dev)
{
	struct hybrid_alloc_stat st;

	percpu_ref_kill(&dev->calls);
	wake_up_poll(&dev->watch.wait, EPOLLERR | EPOLLHUP);
	wait_for_completion(&dev->idle);

	hybrid_alloc_stat(dev->ha, &st, false);
	if (st.nr_live) {
		atomic64_add(st.nr_live, &ha_lost_extents);
		atomic64_add(st.charged, &ha_lost_bytes);
		pr_warn("%s: forgot %llu live extents of %llu bytes in all on %s\n",
			dev->name, st.nr_live, st.charged, dev->disk);
	}

	hybrid_alloc_close(dev->ha);
	bdev_fput(dev->bdev_file);
	xa_erase(&ha_devs, dev->id);
	ha_dev_put(dev);
}

/**
 * ha_dev_publish - make a bound device known
 * @dev: the device. On success the caller's reference is the registry's, and
 *	the device may be detached at any time.
 *
 * Return: 0 or an errno; then the device is still bound.
 */
static int ha_dev_publish(struct ha_dev *dev)
{
	int ret;

	dev->misc.minor = MISC_DYNAMIC_MINOR;
	dev->misc.name = dev->name;
	dev->misc.fops = &ha_dev_fops;
	dev->misc.mode = 0600;
	dev->misc.groups = ha_dev_groups;
	ret = misc_register(&dev->misc);
	if (ret)
		return ha_refuse(dev->name, ret, "the node cannot be registered");
	ha_debugfs_add(dev);
	pr_info("%s: attached %s, %s\n", dev->name, dev->disk,
		test_bit(HA_DEV_SEALED, &dev->state) ? "sealed" : "all free");
	/* Needs no memory, as the number is reserved. */
	xa_store(&ha_devs, dev->id, dev, GFP_KERNEL);
	return 0;
}

/* Why a device should not be detached, or NULL. */
static const char *ha_dev_busy(struct ha_dev *dev)
{
	lockdep_assert_held(&dev->lock);
	if (dev->nr_open)
		return "not detached, as files are open: close them, or use force";
	if (dev->pinned && !ha_dev_gone(dev))
		return "not detached, as extents are live: free them, or use force";
	return NULL;
}

/**
 * ha_dev_detach - undo an attach
 * @dev: a published device; the caller has a reference
 * @force: even if it has open files, or live extents on a disk that is there
 *
 * Return: 0, EBUSY, or ENODEV if someone else was faster.
 */
static int ha_dev_detach(struct ha_dev *dev, bool force)
{
	const char *busy;
	bool dying;

	spin_lock(&dev->lock);
	dying = dev->dying;
	busy = dying || force ? NULL : ha_dev_busy(dev);
	if (!dying && !busy) {
		dev->dying = true;
		ha_dev_pin(dev, false);
	}
	spin_unlock(&dev->lock);
	if (dying)
		return -ENODEV;
	if (busy)
		return ha_refuse(dev->name, -EBUSY, busy);

	/* Not to be found any more, but keeps its number. */
	xa_store(&ha_devs, dev->id, NULL, GFP_KERNEL);
	ha_debugfs_remove(dev);
	misc_deregister(&dev->misc);
	ha_dev_unbind(dev);
	return 0;
}

/* ---- extents that are bound to an open file ---- */

/* The bound extent that @start lies in, or NULL. */
static struct ha_bound *ha_bound_find(struct ha_dev *dev, u64 start)
{
	struct rb_node *node = dev->bound.rb_node;
	struct ha_bound *b;

	lockdep_assert_held(&dev->bound_lock);
	while (node) {
		b = rb_entry(node, struct ha_bound, node);
		if (start < b->start)
			node = node->rb_left;
		else if (start - b->start >= b->len)
			node = node->rb_right;
		else
			return b;
	}
	return NULL;
}

static bool ha_bound_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct ha_bound, node)->start <
	       rb_entry(b, struct ha_bound, node)->start;
}

static void ha_bound_forget(struct ha_bound *b)
{
	lockdep_assert_held_write(&b->file->dev->bound_lock);
	rb_erase(&b->node, &b->file->dev->bound);
	list_del(&b->list);
}

static int ha_file_alloc_bound(struct ha_file *f, u64 len, u64 align, u64 goal,
			       struct hybrid_alloc_range *range)
{
	/* those who free wait for the lock: rather fail than try hard */
	const gfp_t gfp = GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN;
	struct ha_dev *dev = f->dev;
	struct ha_bound *b;
	int ret;

	b = kmalloc(sizeof(*b), GFP_KERNEL);
	if (!b)
		return -ENOMEM;
	if (down_write_killable(&dev->bound_lock)) {
		kfree(b);
		return -EINTR;
	}
	if (!dev->binds) {
		WRITE_ONCE(dev->binds, true);
		synchronize_rcu();	/* those who did not see it have freed */
	}
	ret = hybrid_alloc_alloc(dev->ha, len, align, goal, gfp, range);
	if (!ret) {
		b->file = f;
		b->start = range->start;
		b->len = range->len;
		rb_add(&b->node, &dev->bound, ha_bound_less);
		list_add(&b->list, &f->bound);
		b = NULL;
	}
	up_write(&dev->bound_lock);
	kfree(b);
	return ret;
}

static int ha_file_alloc(struct ha_file *f, u32 flags, u64 len, u64 align, u64 goal,
			 struct hybrid_alloc_range *range)
{
	if (!(flags & HYBRID_ALLOC_ALLOC_GOAL))
		goal = HYBRID_ALLOC_NO_GOAL;
	else if (goal == HYBRID_ALLOC_NO_GOAL)
		goal--;		/* said to be an address, and as far outside */
	if (unlikely(flags & HYBRID_ALLOC_ALLOC_BOUND))
		return ha_file_alloc_bound(f, len, align, goal, range);
	return hybrid_alloc_alloc(f->dev->ha, len, align, goal, GFP_KERNEL, range);
}

static int ha_free_foreign(struct hybrid_alloc *ha, u64 start, u64 len,
			   enum hybrid_alloc_reason *reason)
{
	*reason = HYBRID_ALLOC_REASON_FOREIGN;
	atomic64_inc(&ha->refused[*reason]);
	trace_ha_refused_free(ha->dev, start, len, *reason, -EPERM);
	return -EPERM;
}

/* A free of what may be the file's own bound extent, which ends its record. */
static int ha_file_free_bound(struct ha_file *f, u64 start, u64 len,
			      enum hybrid_alloc_reason *reason)
{
	struct ha_dev *dev = f->dev;
	struct ha_bound *b;
	int ret;

	down_write(&dev->bound_lock);
	b = ha_bound_find(dev, start);
	if (b && b->file != f)
		ret = ha_free_foreign(dev->ha, start, len, reason);
	else
		ret = hybrid_alloc_free(dev->ha, start, len, reason);
	if (b && !ret)
		ha_bound_forget(b);
	else
		b = NULL;
	up_write(&dev->bound_lock);
	kfree(b);
	return ret;
}

/* A free on a device that has, or had, bound extents. */
static int ha_file_free_checked(struct ha_file *f, u64 start, u64 len,
				enum hybrid_alloc_reason *reason)
{
	struct ha_dev *dev = f->dev;
	struct ha_bound *b;
	int ret = 0;

	/* what is wrong with the range itself comes before whose it is */
	if (ha_range_fault(dev->ha, start, len))
		return hybrid_alloc_free(dev->ha, start, len, reason);
	down_read(&dev->bound_lock);
	b = ha_bound_find(dev, start);
	if (!b)
		ret = hybrid_alloc_free(dev->ha, start, len, reason);
	else if (b->file != f)
		ret = ha_free_foreign(dev->ha, start, len, reason);
	else
		ret = 1;
	up_read(&dev->bound_lock);
	return ret <= 0 ? ret : ha_file_free_bound(f, start, len, reason);
}

static int ha_file_free(struct ha_file *f, u64 start, u64 len, enum hybrid_alloc_reason *reason)
{
	int ret;

	rcu_read_lock();
	if (unlikely(READ_ONCE(f->dev->binds))) {
		rcu_read_unlock();
		return ha_file_free_checked(f, start, len, reason);
	}
	ret = hybrid_alloc_free(f->dev->ha, start, len, reason);
	rcu_read_unlock();
	return ret;
}

/* At its last close. Nobody else has the file. */
static void ha_file_release_bound(struct ha_file *f)
{
	struct ha_dev *dev = f->dev;
	struct ha_bound *b;
	bool live;

	if (list_empty(&f->bound))
		return;
	/* if it is detached all is forgotten already */
	live = percpu_ref_tryget_live(&dev->calls);
	while ((b = list_first_entry_or_null(&f->bound, struct ha_bound, list))) {
		down_write(&dev->bound_lock);
		if (live)
			hybrid_alloc_free(dev->ha, b->start, b->len, NULL);
		ha_bound_forget(b);
		up_write(&dev->bound_lock);
		kfree(b);
		cond_resched();
	}
	if (live)
		percpu_ref_put(&dev->calls);
}

/* ---- ioctls: what is common to both kinds of node ---- */

struct ha_call;

/* bits of ha_cmd.needs */
#define HA_NEEDS_WRITE		BIT(0)		/* a file that is open for writing */
#define HA_NEEDS_OUT		BIT(1)		/* its structure is written back */
#define HA_NEEDS_DISK		BIT(2)		/* a disk that is still there */
#define HA_NEEDS_EPOCH		BIT(3)		/* its third field is an epoch */
#define HA_NEEDS_UNSEALED	BIT(4)		/* an instance that is not sealed */
#define HA_NEEDS_NO_ENTRY	BIT(5)		/* @fn itself enters and leaves the device */
#define HA_NEEDS_ITEMS		BIT(6)		/* its array is read, too */

/**
 * struct ha_cmd - an ioctl
 * @cmd: its number
 * @size: of its structure as this kernel knows it
 * @min_size: of its structure in the first version of the ABI
 * @item_size: of an item of its array, if it has one; see struct ha_array
 * @flags: that it knows
 * @needs: HA_NEEDS_ bits
 * @fn: does it
 * @undo: undoes it when its result cannot be delivered
 */
struct ha_cmd {
	unsigned int cmd;
	u16 size;
	u16 min_size;
	u16 item_size;
	u32 flags;
	u32 needs;
	int (*fn)(struct ha_call *call);
	void (*undo)(struct ha_call *call);
};

#define HA_CMD(_name, _struct, _last, _fn, ...)				\
	[_IOC_NR(HYBRID_ALLOC_IOC_##_name)] = {				\
		.cmd = HYBRID_ALLOC_IOC_##_name,			\
		.size = sizeof(struct hybrid_alloc_##_struct),		\
		.min_size = offsetofend(struct hybrid_alloc_##_struct, _last), \
		.fn = _fn,						\
		__VA_ARGS__						\
	}

/**
 * struct ha_array - what structures with an array begin with
 * @size: as in all structures
 * @flags: as in all structures
 * @epoch: as in most structures
 * @items: user's address of the first item
 * @nr: number of items
 * @item_size: size of an item as the caller knows it
 */
struct ha_array {
	u32 size;
	u32 flags;
	u64 epoch;
	u64 items;
	u32 nr;
	u32 item_size;
};

/**
 * struct ha_call - an ioctl that is being done
 * @cmd: which
 * @dev: the instance; on the control node the one that was attached, if any,
 *	with a reference
 * @file: through which; on instance nodes
 * @user: the caller's structure
 * @usize: its size as the caller knows it
 * @items: copy of the whole array, where that is needed
 * @head: what most structures begin with
 * @array: what structures with an array begin with
 * @attach: of ATTACH
 * @detach: of DETACH
 * @info: of INFO
 * @alloc: of ALLOC
 * @free: of FREE
 * @claim: of CLAIM
 * @op: of SEAL, DRAIN and CHECK
 * @batch: of ALLOC_BATCH, FREE_BATCH and CLAIM_BATCH
 * @many: of ALLOC_MANY
 * @map: of MAP
 * @trim: of TRIM
 * @grow: of GROW
 * @watch: of WATCH
 * @stat: of STAT, the largest
 */
struct ha_call {
	const struct ha_cmd *cmd;
	struct ha_dev *dev;
	struct ha_file *file;
	void __user *user;
	u32 usize;
	void *items;
	union {
		struct {
			u32 size;
			u32 flags;
			u64 epoch;
		} head;
		struct ha_array array;
		struct hybrid_alloc_attach attach;
		struct hybrid_alloc_detach detach;
		struct hybrid_alloc_info info;
		struct hybrid_alloc_alloc alloc;
		struct hybrid_alloc_free free;
		struct hybrid_alloc_claim claim;
		struct hybrid_alloc_op op;
		struct hybrid_alloc_batch batch;
		struct hybrid_alloc_many many;
		struct hybrid_alloc_map map;
		struct hybrid_alloc_trim trim;
		struct hybrid_alloc_grow grow;
		struct hybrid_alloc_watch watch;
		struct hybrid_alloc_stat stat;
	};
};

static int ha_call_copy_out(const struct ha_call *call)
{
	size_t size = min_t(size_t, call->usize, call->cmd->size);

	return copy_to_user(call->user, &call->head, size) ? -EFAULT : 0;
}

static void __user *ha_call_item(const struct ha_call *call, u32 index)
{
	return u64_to_user_ptr(call->array.items) + (size_t)index * call->array.item_size;
}

/*
 * Copies items between @items, where they are as this kernel knows them, and
 * the caller's array.
 */
static int ha_call_items_in(const struct ha_call *call, u32 first, u32 nr, void *items)
{
	size_t size = call->cmd->item_size;
	u32 i;

	if (call->array.item_size == size)
		return copy_from_user(items, ha_call_item(call, first), nr * size) ? -EFAULT : 0;
	for (i = 0; i < nr; i++)
		if (copy_from_user(items + i * size, ha_call_item(call, first + i), size))
			return -EFAULT;
	return 0;
}

static int ha_call_items_out(const struct ha_call *call, u32 first, u32 nr, const void *items)
{
	size_t size = call->cmd->item_size;
	u32 i;

	if (call->array.item_size == size)
		return copy_to_user(ha_call_item(call, first), items, nr * size) ? -EFAULT : 0;
	for (i = 0; i < nr; i++)
		if (copy_to_user(ha_call_item(call, first + i), items + i * size, size))
			return -EFAULT;
	return 0;
}

/* Sees that a range can be read and written: one byte of each page, as it is. */
static int ha_fault_in(u8 __user *p, size_t len)
{
	size_t pos, step;
	u8 byte;

	if (!access_ok(p, len))
		return -EFAULT;
	for (pos = 0;; pos += step) {
		if (get_user(byte, p + pos) || put_user(byte, p + pos))
			return -EFAULT;
		if (pos == len - 1)
			return 0;
		/* the first byte of the next page, or the last of all */
		step = min(PAGE_SIZE - offset_in_page(p + pos), len - 1 - pos);
	}
}

/* What holds for a structure's size holds for an item's. */
static int ha_call_check_items(const struct ha_call *call)
{
	size_t known = call->cmd->item_size, size = call->array.item_size;
	u32 i;
	int ret;

	if (!call->array.nr || call->array.nr > HYBRID_ALLOC_MAX_ITEMS)
		return -EINVAL;
	if (size < known || size % sizeof(u64))
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	if (call->array.items > ULONG_MAX)
		return -EFAULT;
	ret = ha_fault_in(ha_call_item(call, 0), call->array.nr * size);
	if (!(call->cmd->needs & HA_NEEDS_ITEMS))
		return ret;
	for (i = 0; !ret && size > known && i < call->array.nr; i++) {
		ret = check_zeroed_user(ha_call_item(call, i) + known, size - known);
		if (ret >= 0)
			ret = ret ? 0 : -E2BIG;
	}
	return ret;
}

/* Gets the structure, and sees that the result can be put where it was. */
static int ha_call_copy_in(struct ha_call *call)
{
	const struct ha_cmd *cmd = call->cmd;
	int ret;

	if (get_user(call->usize, (u32 __user *)call->user))
		return -EFAULT;
	if (call->usize < cmd->min_size)
		return -EINVAL;
	if (call->usize > PAGE_SIZE)
		return -E2BIG;
	ret = copy_struct_from_user(&call->stat, cmd->size, call->user, call->usize);
	if (ret)
		return ret;
	call->head.size = call->usize;	/* it may have changed in between */
	/*
	 * A trial, with what the caller has there anyway: fault_in_writeable()
	 * leaves zeroes, which a call that then fails must not.
	 */
	if ((cmd->needs & HA_NEEDS_OUT) && ha_call_copy_out(call))
		return -EFAULT;
	return cmd->item_size ? ha_call_check_items(call) : 0;
}

static bool ha_extent_is_plain(const struct hybrid_alloc_extent *extent)
{
	return !extent->cookie && !extent->flags && !extent->domain;
}

/* An address that is not said to be one is reserved. */
static bool ha_goal_is_plain(u32 flags, u64 goal)
{
	return (flags & HYBRID_ALLOC_ALLOC_GOAL) || !goal;
}

static bool ha_call_reserved_is_zero(const struct ha_call *call)
{
	switch (call->cmd->cmd) {
	case HYBRID_ALLOC_IOC_DETACH:
		return !call->detach.__reserved;
	case HYBRID_ALLOC_IOC_ALLOC:
		return ha_extent_is_plain(&call->alloc.extent) &&
		       ha_goal_is_plain(call->alloc.flags, call->alloc.goal);
	case HYBRID_ALLOC_IOC_ALLOC_MANY:
		return !call->many.__reserved &&
		       ha_goal_is_plain(call->many.flags, call->many.goal);
	case HYBRID_ALLOC_IOC_FREE:
		return !call->free.__reserved && ha_extent_is_plain(&call->free.extent);
	case HYBRID_ALLOC_IOC_MAP:
		return !call->map.__reserved;
	case HYBRID_ALLOC_IOC_CLAIM:
		return ha_extent_is_plain(&call->claim.extent);
	default:
		return true;
	}
}

/* All checks up to the mode of the file, in the order that the ABI names. */
static int ha_call_begin(struct ha_call *call, const struct ha_cmd *cmds, size_t nr_cmds,
			 struct file *file, unsigned int cmd, unsigned long arg)
{
	unsigned int nr = _IOC_NR(cmd);
	int ret;

	if (nr >= nr_cmds)
		return -ENOTTY;
	call->cmd = &cmds[array_index_nospec(nr, nr_cmds)];
	if (call->cmd->cmd != cmd)
		return -ENOTTY;

	call->user = (void __user *)arg;
	ret = ha_call_copy_in(call);
	if (ret)
		return ret;
	if ((call->head.flags & ~call->cmd->flags) || !ha_call_reserved_is_zero(call))
		return -EINVAL;
	if ((call->cmd->needs & HA_NEEDS_WRITE) && !(file->f_mode & FMODE_WRITE))
		return -EBADF;
	return 0;
}

/*
 * Delivers the result. That of a call that failed too: it says why a free was
 * refused, and is what the caller has there in all other cases.
 */
static int ha_call_end(struct ha_call *call, int ret)
{
	if (!(call->cmd->needs & HA_NEEDS_OUT) || !ha_call_copy_out(call) || ret)
		return ret;
	if (call->cmd->undo)
		call->cmd->undo(call);
	return -EFAULT;
}

/**
 * ha_fill_info - what INFO tells
 * @info: out, but for size and flags
 * @dev: a device that is not detached
 */
void ha_fill_info(struct hybrid_alloc_info *info, struct ha_dev *dev)
{
	const struct hybrid_alloc *ha = dev->ha;

	info->id = dev->id;
	info->state = 0;
	if (test_bit(HA_DEV_SEALED, &dev->state))
		info->state |= HYBRID_ALLOC_STATE_SEALED;
	if (ha_dev_gone(dev))
		info->state |= HYBRID_ALLOC_STATE_GONE;
	info->features = HYBRID_ALLOC_FEATURE_WATCH | HYBRID_ALLOC_FEATURE_MAP_KIND;
	info->epoch = dev->epoch;
	memcpy(info->uuid, dev->uuid, sizeof(info->uuid));
	info->dev_major = MAJOR(dev->bdev->bd_dev);
	info->dev_minor = MINOR(dev->bdev->bd_dev);
	info->range_start = ha->start;
	info->range_len = ha->end - ha->start;
	info->min_block = ha->params.min_block;
	info->max_block = ha->params.max_block;
	info->slab_max = ha->params.slab_max;
	info->buddy_start = ha->params.buddy_start;
	strscpy_pad(info->disk, dev->disk, sizeof(info->disk));
}

/* ---- ioctls of the instance nodes ---- */

/* The state of the device. On success ha_dev_leave() must follow. */
static int ha_dev_enter(struct ha_call *call)
{
	struct ha_dev *dev = call->dev;
	u32 needs = call->cmd->needs;
	int ret;

	if (!percpu_ref_tryget_live(&dev->calls))
		return -ENODEV;
	if ((needs & HA_NEEDS_DISK) && ha_dev_gone(dev))
		ret = -ENODEV;
	else if ((needs & HA_NEEDS_EPOCH) && call->head.epoch && call->head.epoch != dev->epoch)
		ret = -ESTALE;
	else if ((needs & HA_NEEDS_UNSEALED) && test_bit(HA_DEV_SEALED, &dev->state))
		ret = -EAGAIN;
	else
		return 0;
	percpu_ref_put(&dev->calls);
	return ret;
}

static void ha_dev_leave(struct ha_call *call)
{
	percpu_ref_put(&call->dev->calls);
}

static int ha_dev_info(struct ha_call *call)
{
	ha_fill_info(&call->info, call->dev);
	return 0;
}

static int ha_dev_alloc(struct ha_call *call)
{
	struct hybrid_alloc_alloc *arg = &call->alloc;
	struct hybrid_alloc_range range;
	int ret;

	ret = ha_file_alloc(call->file, arg->flags, arg->len, arg->align, arg->goal, &range);
	if (ret)
		return ret;
	memset(&arg->extent, 0, sizeof(arg->extent));
	arg->extent.start = range.start;
	arg->extent.len = range.len;
	return 0;
}

static void ha_dev_undo_alloc(struct ha_call *call)
{
	const struct hybrid_alloc_extent *extent = &call->alloc.extent;
	enum hybrid_alloc_reason reason;

	if (!percpu_ref_tryget_live(&call->dev->calls))
		return;		/* forgotten with all others */
	ha_file_free(call->file, extent->start, extent->len, &reason);
	ha_dev_leave(call);
}

static int ha_dev_free_extent(struct ha_call *call)
{
	const struct hybrid_alloc_extent *extent = &call->free.extent;
	enum hybrid_alloc_reason reason = HYBRID_ALLOC_REASON_NONE;
	int ret;

	ret = ha_file_free(call->file, extent->start, extent->len, &reason);
	call->free.reason = reason;
	return ret;
}

/*
 * All items of ALLOC_BATCH are kept here until their results are delivered, for
 * an allocation of which nobody learns has to be undone.
 */
static void ha_dev_undo_items(struct ha_call *call, u32 nr)
{
	struct hybrid_alloc_alloc_item *items = call->items;
	enum hybrid_alloc_reason reason;
	u32 i;

	for (i = 0; i < nr; i++) {
		if (!items[i].error)
			ha_file_free(call->file, items[i].extent.start, items[i].extent.len,
				     &reason);
		cond_resched();
	}
	call->batch.nr_done = 0;
	call->batch.nr_failed = 0;
}

static void ha_dev_undo_alloc_batch(struct ha_call *call)
{
	if (!percpu_ref_tryget_live(&call->dev->calls))
		return;		/* forgotten with all others */
	ha_dev_undo_items(call, call->batch.nr_done);
	ha_dev_leave(call);
}

static int ha_dev_alloc_item(struct ha_call *call, struct hybrid_alloc_alloc_item *item)
{
	struct hybrid_alloc_range range;
	bool plain = ha_extent_is_plain(&item->extent) &&
		     ha_goal_is_plain(item->flags, item->goal) &&
		     !(item->flags & ~HYBRID_ALLOC_ALLOC_GOAL);
	int ret = -EINVAL;

	memset(&item->extent, 0, sizeof(item->extent));
	if (plain)
		ret = ha_file_alloc(call->file, call->batch.flags | item->flags, item->len,
				    item->align, item->goal, &range);
	item->error = -ret;
	if (!ret) {
		item->extent.start = range.start;
		item->extent.len = range.len;
	}
	return ret;
}

static int ha_dev_alloc_items(struct ha_call *call)
{
	struct hybrid_alloc_alloc_item *items = call->items;
	struct hybrid_alloc_batch *batch = &call->batch;
	int ret;

	for (batch->nr_done = 0; batch->nr_done < batch->nr; batch->nr_done++) {
		ret = ha_dev_alloc_item(call, &items[batch->nr_done]);
		if (ret == -EINTR || fatal_signal_pending(current)) {
			ha_dev_undo_items(call, batch->nr_done + 1);
			return -EINTR;
		}
		batch->nr_failed += !!ret;
		cond_resched();
	}
	return 0;
}

static int ha_dev_alloc_batch(struct ha_call *call)
{
	struct hybrid_alloc_batch *batch = &call->batch;
	int ret;

	batch->nr_done = 0;
	batch->nr_failed = 0;
	call->items = kvmalloc_array(batch->nr, call->cmd->item_size, GFP_KERNEL);
	if (!call->items)
		return -ENOMEM;
	ret = ha_call_items_in(call, 0, batch->nr, call->items);
	if (ret)
		return ret;
	ret = ha_dev_enter(call);
	if (ret)
		return ret;
	ret = ha_dev_alloc_items(call);
	ha_dev_leave(call);
	if (ret)
		return ret;
	ret = ha_call_items_out(call, 0, batch->nr, call->items);
	if (ret)
		ha_dev_undo_alloc_batch(call);
	return ret;
}

static void ha_dev_undo_extents(struct ha_call *call)
{
	struct hybrid_alloc_extent *extents = call->items;
	enum hybrid_alloc_reason reason;

	while (call->many.nr_extents--) {
		ha_file_free(call->file, extents[call->many.nr_extents].start,
			     extents[call->many.nr_extents].len, &reason);
		cond_resched();
	}
	call->many.nr_extents = 0;
	call->many.total = 0;
}

static void ha_dev_undo_alloc_many(struct ha_call *call)
{
	if (!percpu_ref_tryget_live(&call->dev->calls))
		return;		/* forgotten with all others */
	ha_dev_undo_extents(call);
	ha_dev_leave(call);
}

static int ha_many_check(const struct hybrid_alloc *ha, const struct hybrid_alloc_many *many)
{
	u64 most;

	if (!many->len || (many->align && !ha_is_power_of_2(many->align)))
		return -EINVAL;
	if (many->len > ha->end - ha->start)
		return -EFBIG;
	if (!(many->flags & HYBRID_ALLOC_ALLOC_PARTIAL) &&
	    !check_mul_overflow(ha->max_len, (u64)many->nr, &most) && many->len > most)
		return -EFBIG;
	if ((many->flags & HYBRID_ALLOC_ALLOC_GOAL) &&
	    (many->goal < ha->start || many->goal >= ha->end))
		return -ERANGE;
	return 0;
}

/*
 * The length to try after one of @len found no space: that of the largest free
 * run, which is the best next piece. If that is no shorter, it is not aligned,
 * or was freed just now; then a shorter piece may do. If there is none, some
 * may have gone to the pools just now. 0 if a single block was tried already.
 */
static u64 ha_many_shorter(struct hybrid_alloc *ha, u64 len)
{
	struct hapool_stat st;
	u64 largest;

	hapool_stat(&ha->pool, &st, false);
	largest = st.slab.largest_run << ha->shift;
	if (len == ha->params.min_block)
		return 0;
	if (!largest)
		return ha->params.min_block;
	return largest < len ? largest : round_up(len / 2, ha->params.min_block);
}

static int ha_dev_alloc_extents(struct ha_call *call)
{
	struct hybrid_alloc *ha = call->dev->ha;
	struct hybrid_alloc_many *many = &call->many;
	struct hybrid_alloc_extent *extents = call->items;
	u64 want = round_up(many->len, ha->params.min_block), goal = many->goal;
	u64 longest = ha->max_len;
	struct hybrid_alloc_range range;
	u32 flags = many->flags;
	int ret;

	while (many->total < want && many->nr_extents < many->nr && longest) {
		ret = ha_file_alloc(call->file, flags, min(want - many->total, longest),
				    many->align, goal, &range);
		if (ret == -ENOSPC) {
			longest = ha_many_shorter(ha, min(want - many->total, longest));
			continue;
		}
		if (ret)
			goto out_undo;
		extents[many->nr_extents++] = (struct hybrid_alloc_extent){
			.start = range.start,
			.len = range.len,
		};
		many->total += range.len;
		goal = range.start + range.len;
		if (goal >= ha->end)
			flags &= ~HYBRID_ALLOC_ALLOC_GOAL;
		ret = -EINTR;
		if (fatal_signal_pending(current))
			goto out_undo;
		cond_resched();
	}
	ret = -ENOSPC;
	if (many->total < want &&
	    !((many->flags & HYBRID_ALLOC_ALLOC_PARTIAL) && many->nr_extents))
		goto out_undo;
	return 0;

out_undo:
	ha_dev_undo_extents(call);
	return ret;
}

static int ha_dev_alloc_many(struct ha_call *call)
{
	struct hybrid_alloc_many *many = &call->many;
	int ret;

	many->nr_extents = 0;
	many->total = 0;
	call->items = kvmalloc_array(many->nr, sizeof(struct hybrid_alloc_extent), GFP_KERNEL);
	if (!call->items)
		return -ENOMEM;
	ret = ha_dev_enter(call);
	if (ret)
		return ret;
	ret = ha_many_check(call->dev->ha, many);
	if (!ret)
		ret = ha_dev_alloc_extents(call);
	ha_dev_leave(call);
	if (ret)
		return ret;
	ret = ha_call_items_out(call, 0, many->nr_extents, call->items);
	if (ret)
		ha_dev_undo_alloc_many(call);
	return ret;
}

static int ha_dev_free_item(struct ha_call *call, const struct hybrid_alloc_extent *extent,
			    enum hybrid_alloc_reason *reason)
{
	return ha_file_free(call->file, extent->start, extent->len, reason);
}

static int ha_dev_claim_item(struct ha_call *call, const struct hybrid_alloc_extent *extent,
			     enum hybrid_alloc_reason *reason)
{
	return hybrid_alloc_claim(call->dev->ha, extent->start, extent->len, GFP_KERNEL);
}

typedef int ha_item_fn(struct ha_call *call, const struct hybrid_alloc_extent *extent,
		       enum hybrid_alloc_reason *reason);

static int ha_dev_do_item(struct ha_call *call, ha_item_fn *fn,
			  struct hybrid_alloc_free_item *item)
{
	enum hybrid_alloc_reason reason = HYBRID_ALLOC_REASON_NONE;
	int ret = -EINVAL;

	if (ha_extent_is_plain(&item->extent))
		ret = fn(call, &item->extent, &reason);
	item->error = -ret;
	item->reason = reason;
	return ret;
}

/* So many items that their copy fits on the stack: a free needs no memory. */
#define HA_ITEMS_CHUNK	16U

/* For what stands once it is done, and whose caller knows what it asked for. */
static int ha_dev_do_items(struct ha_call *call, ha_item_fn *fn)
{
	struct hybrid_alloc_free_item items[HA_ITEMS_CHUNK];
	struct hybrid_alloc_batch *batch = &call->batch;
	u32 first, nr, i;
	int ret;

	batch->nr_done = 0;
	batch->nr_failed = 0;
	for (first = 0; first < batch->nr; first += nr) {
		nr = min(batch->nr - first, HA_ITEMS_CHUNK);
		ret = ha_call_items_in(call, first, nr, items);
		if (ret)
			return ret;
		ret = ha_dev_enter(call);
		if (ret)
			return ret;
		for (i = 0; i < nr && !fatal_signal_pending(current); i++)
			batch->nr_failed += !!ha_dev_do_item(call, fn, &items[i]);
		ha_dev_leave(call);
		batch->nr_done += i;
		ret = ha_call_items_out(call, first, i, items);
		if (ret)
			return ret;
		if (i < nr)
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static int ha_dev_free_batch(struct ha_call *call)
{
	return ha_dev_do_items(call, ha_dev_free_item);
}

static int ha_dev_claim_batch(struct ha_call *call)
{
	return ha_dev_do_items(call, ha_dev_claim_item);
}

static int ha_dev_claim(struct ha_call *call)
{
	const struct hybrid_alloc_extent *extent = &call->claim.extent;

	return hybrid_alloc_claim(call->dev->ha, extent->start, extent->len, GFP_KERNEL);
}

static int ha_dev_seal(struct ha_call *call)
{
	clear_bit(HA_DEV_SEALED, &call->dev->state);
	return 0;
}

static int ha_dev_drain(struct ha_call *call)
{
	hybrid_alloc_drain(call->dev->ha);
	return 0;
}

static int ha_dev_trim(struct ha_call *call)
{
	struct hybrid_alloc_trim *arg = &call->trim;
	struct ha_dev *dev = call->dev;
	struct hybrid_alloc *ha = dev->ha;
	u64 end = READ_ONCE(ha->end);
	struct ha_trim t = {
		.ha = ha,
		.bdev = dev->bdev,
		.dying = &dev->calls,
		.gran = max_t(u64, bdev_discard_granularity(dev->bdev), SECTOR_SIZE),
		.shift = bdev_discard_alignment(dev->bdev),
		.pos = max(round_up(arg->start, ha->params.min_block), ha->start),
		.minlen = arg->minlen,
	};
	int ret;

	arg->trimmed = 0;
	if (!arg->len)
		return -EINVAL;
	if (arg->start >= end)
		return -ERANGE;
	if (!bdev_max_discard_sectors(dev->bdev))
		return -EOPNOTSUPP;
	t.end = arg->len < end - arg->start ? arg->start + arg->len : end;
	t.end = round_down(t.end, ha->params.min_block);
	ret = ha_trim(&t);
	arg->trimmed = t.trimmed;
	return ret == -EIO && ha_dev_gone(dev) ? -ENODEV : ret;
}

static int ha_dev_grow(struct ha_call *call)
{
	int ret;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	ret = ha_grow(call->dev->ha, call->dev->bdev, call->grow.range_len);
	call->grow.capacity = READ_ONCE(call->dev->ha->params.range_len);
	return ret;
}

static int ha_dev_watch(struct ha_call *call)
{
	call->watch.free = ha_watch_set(call->file, call->watch.low_space);
	return 0;
}

static int ha_dev_map(struct ha_call *call)
{
	struct hybrid_alloc_map *map = &call->map;
	struct hybrid_alloc_map_entry *entries;
	u64 end;
	int nr, i;

	map->nr_entries = 0;
	call->items = kvmalloc_array(map->nr, sizeof(*entries), GFP_KERNEL);
	if (!call->items)
		return -ENOMEM;
	entries = call->items;
	nr = ha_dev_enter(call);
	if (nr)
		return nr;
	if (check_add_overflow(map->start, map->len, &end))
		nr = -ERANGE;
	else
		nr = hybrid_alloc_map(call->dev->ha, map->start, entries, map->nr, GFP_KERNEL);
	ha_dev_leave(call);
	if (nr < 0)
		return nr;
	while (map->len && nr && entries[nr - 1].start >= end)
		nr--;
	/* the same extents are the same map, whatever they lie in */
	for (i = 0; i < nr && !(map->flags & HYBRID_ALLOC_MAP_KINDS); i++)
		entries[i].kind = HYBRID_ALLOC_MAP_KIND_NONE;
	map->nr_entries = nr;
	return ha_call_items_out(call, 0, nr, entries);
}

static int ha_dev_check(struct ha_call *call)
{
	int ret;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	ret = hapool_check(&call->dev->ha->pool);
	if (ret == -EUCLEAN)
		pr_err("%s: what the allocator believes of its space is wrong: rebuild it\n",
		       call->dev->name);
	return ret;
}

static int ha_dev_stat(struct ha_call *call)
{
	hybrid_alloc_stat(call->dev->ha, &call->stat,
			  call->stat.flags & HYBRID_ALLOC_STAT_RUNS);
	return 0;
}

#define HA_NEEDS_READER	(HA_NEEDS_DISK | HA_NEEDS_EPOCH)
#define HA_NEEDS_WRITER	(HA_NEEDS_DISK | HA_NEEDS_EPOCH | HA_NEEDS_WRITE)

static const struct ha_cmd ha_dev_cmds[] = {
	HA_CMD(INFO, info, disk, ha_dev_info, .needs = HA_NEEDS_OUT),
	HA_CMD(ALLOC, alloc, extent, ha_dev_alloc,
	       .flags = HYBRID_ALLOC_ALLOC_BOUND | HYBRID_ALLOC_ALLOC_GOAL,
	       .needs = HA_NEEDS_WRITER | HA_NEEDS_UNSEALED | HA_NEEDS_OUT,
	       .undo = ha_dev_undo_alloc),
	HA_CMD(FREE, free, __reserved, ha_dev_free_extent,
	       .needs = HA_NEEDS_WRITER | HA_NEEDS_OUT),
	HA_CMD(CLAIM, claim, extent, ha_dev_claim, .needs = HA_NEEDS_WRITER),
	HA_CMD(SEAL, op, epoch, ha_dev_seal, .needs = HA_NEEDS_WRITER),
	HA_CMD(DRAIN, op, epoch, ha_dev_drain, .needs = HA_NEEDS_WRITER),
	HA_CMD(STAT, stat, refused_frees, ha_dev_stat,
	       .flags = HYBRID_ALLOC_STAT_RUNS,
	       .needs = HA_NEEDS_READER | HA_NEEDS_OUT),
	HA_CMD(ALLOC_BATCH, batch, nr_failed, ha_dev_alloc_batch,
	       .item_size = sizeof(struct hybrid_alloc_alloc_item),
	       .flags = HYBRID_ALLOC_ALLOC_BOUND,
	       .needs = HA_NEEDS_WRITER | HA_NEEDS_UNSEALED | HA_NEEDS_OUT | HA_NEEDS_NO_ENTRY |
			HA_NEEDS_ITEMS,
	       .undo = ha_dev_undo_alloc_batch),
	HA_CMD(FREE_BATCH, batch, nr_failed, ha_dev_free_batch,
	       .item_size = sizeof(struct hybrid_alloc_free_item),
	       .needs = HA_NEEDS_WRITER | HA_NEEDS_OUT | HA_NEEDS_NO_ENTRY | HA_NEEDS_ITEMS),
	HA_CMD(CLAIM_BATCH, batch, nr_failed, ha_dev_claim_batch,
	       .item_size = sizeof(struct hybrid_alloc_free_item),
	       .needs = HA_NEEDS_WRITER | HA_NEEDS_OUT | HA_NEEDS_NO_ENTRY | HA_NEEDS_ITEMS),
	HA_CMD(ALLOC_MANY, many, __reserved, ha_dev_alloc_many,
	       .item_size = sizeof(struct hybrid_alloc_extent),
	       .flags = HYBRID_ALLOC_ALLOC_BOUND | HYBRID_ALLOC_ALLOC_GOAL |
			HYBRID_ALLOC_ALLOC_PARTIAL,
	       .needs = HA_NEEDS_WRITER | HA_NEEDS_UNSEALED | HA_NEEDS_OUT | HA_NEEDS_NO_ENTRY,
	       .undo = ha_dev_undo_alloc_many),
	HA_CMD(MAP, map, __reserved, ha_dev_map,
	       .flags = HYBRID_ALLOC_MAP_KINDS,
	       .item_size = sizeof(struct hybrid_alloc_map_entry),
	       .needs = HA_NEEDS_READER | HA_NEEDS_OUT | HA_NEEDS_NO_ENTRY),
	HA_CMD(TRIM, trim, trimmed, ha_dev_trim,
	       .needs = HA_NEEDS_WRITER | HA_NEEDS_UNSEALED | HA_NEEDS_OUT),
	HA_CMD(GROW, grow, capacity, ha_dev_grow, .needs = HA_NEEDS_WRITER | HA_NEEDS_OUT),
	HA_CMD(CHECK, op, epoch, ha_dev_check, .needs = HA_NEEDS_READER),
	HA_CMD(WATCH, watch, free, ha_dev_watch, .needs = HA_NEEDS_READER | HA_NEEDS_OUT),
};

static long ha_dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct ha_call call;
	int ret;

	ret = ha_call_begin(&call, ha_dev_cmds, ARRAY_SIZE(ha_dev_cmds), file, cmd, arg);
	if (ret)
		return ret;
	call.file = file->private_data;
	call.dev = call.file->dev;
	call.items = NULL;
	if (call.cmd->needs & HA_NEEDS_NO_ENTRY) {
		ret = call.cmd->fn(&call);
	} else {
		ret = ha_dev_enter(&call);
		if (ret)
			return ret;
		ret = call.cmd->fn(&call);
		ha_dev_leave(&call);
	}
	ret = ha_call_end(&call, ret);
	kvfree(call.items);
	return ret;
}

/* ---- ioctls of the control node ---- */

/* The block device behind a file, or an ERR_PTR. */
static struct block_device *ha_file_bdev(struct file *file)
{
	struct block_device *bdev;

	if (!(file->f_mode & FMODE_READ) || !(file->f_mode & FMODE_WRITE))
		return ERR_PTR(ha_refuse("attach", -EBADF,
					 "the file is not open for reading and writing"));
	if (!S_ISBLK(file_inode(file)->i_mode))
		return ERR_PTR(ha_refuse("attach", -ENOTBLK,
					 "the file is not a block device: lsblk lists them"));
	bdev = I_BDEV(file->f_mapping->host);
	if (ha_bdev_gone(bdev, file->f_mapping->host))
		return ERR_PTR(ha_refuse("attach", -ENODEV, "the device of the file went away"));
	return bdev;
}

static struct ha_dev *ha_control_bind(const struct hybrid_alloc_attach *arg, struct file *file)
{
	const struct hybrid_alloc_params params = {
		.range_start = arg->range_start,
		.range_len = arg->range_len,
		.min_block = arg->min_block,
		.max_block = arg->max_block,
		.slab_max = arg->slab_max,
		.buddy_start = arg->buddy_start,
	};
	struct block_device *bdev;
	char disk[BDEVNAME_SIZE];
	struct ha_dev *dev;

	bdev = ha_file_bdev(file);
	if (IS_ERR(bdev))
		return ERR_CAST(bdev);
	snprintf(disk, sizeof(disk), "%pg", bdev);
	dev = ha_dev_bind(bdev->bd_dev, disk, &params,
			  !(arg->flags & HYBRID_ALLOC_ATTACH_FRESH));
	if (!IS_ERR(dev) && dev->bdev != bdev) {
		/* The file's was removed just now and another got its number. */
		ha_dev_unbind(dev);
		return ERR_PTR(ha_refuse("attach", -ENODEV, "the device of the file went away"));
	}
	return dev;
}

static int ha_control_attach(struct ha_call *call)
{
	struct ha_dev *dev;
	struct fd fd;
	int ret;

	if (!capable(CAP_SYS_ADMIN))
		return ha_refuse("attach", -EPERM, "needs CAP_SYS_ADMIN: run it as root");
	fd = fdget(call->attach.fd);
	if (!fd_file(fd))
		return ha_refuse("attach", -EBADF, "bad file descriptor");
	dev = ha_control_bind(&call->attach, fd_file(fd));
	fdput(fd);
	if (IS_ERR(dev))
		return PTR_ERR(dev);

	kref_get(&dev->ref);
	ret = ha_dev_publish(dev);
	if (ret) {
		ha_dev_unbind(dev);
		ha_dev_put(dev);
		return ret;
	}
	call->dev = dev;
	call->attach.id = dev->id;
	return 0;
}

static void ha_control_undo_attach(struct ha_call *call)
{
	ha_dev_detach(call->dev, true);
}

static int ha_control_detach(struct ha_call *call)
{
	if (!capable(CAP_SYS_ADMIN))
		return ha_refuse("detach", -EPERM, "needs CAP_SYS_ADMIN: run it as root");
	xa_lock(&ha_devs);
	call->dev = xa_load(&ha_devs, call->detach.id);
	if (call->dev)
		kref_get(&call->dev->ref);
	xa_unlock(&ha_devs);
	if (!call->dev)
		return -ENODEV;
	return ha_dev_detach(call->dev, call->detach.flags & HYBRID_ALLOC_DETACH_FORCE);
}

static int ha_control_info(struct ha_call *call)
{
	unsigned long id = call->info.id;
	unsigned long last = call->info.flags & HYBRID_ALLOC_INFO_NEXT ? ULONG_MAX : id;
	struct ha_dev *dev;

	/* Detach cannot take the device apart before it has had the lock. */
	xa_lock(&ha_devs);
	dev = xa_find(&ha_devs, &id, last, XA_PRESENT);
	if (dev)
		ha_fill_info(&call->info, dev);
	xa_unlock(&ha_devs);
	return dev ? 0 : -ENODEV;
}

static const struct ha_cmd ha_control_cmds[] = {
	HA_CMD(ATTACH, attach, buddy_start, ha_control_attach,
	       .flags = HYBRID_ALLOC_ATTACH_FRESH,
	       .needs = HA_NEEDS_WRITE | HA_NEEDS_OUT,
	       .undo = ha_control_undo_attach),
	HA_CMD(DETACH, detach, __reserved, ha_control_detach,
	       .flags = HYBRID_ALLOC_DETACH_FORCE,
	       .needs = HA_NEEDS_WRITE),
	HA_CMD(INFO, info, disk, ha_control_info,
	       .flags = HYBRID_ALLOC_INFO_NEXT,
	       .needs = HA_NEEDS_OUT),
};

static long ha_control_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct ha_call call;
	int ret;

	ret = ha_call_begin(&call, ha_control_cmds, ARRAY_SIZE(ha_control_cmds), file, cmd, arg);
	if (ret)
		return ret;
	call.dev = NULL;
	ret = call.cmd->fn(&call);
	ret = ha_call_end(&call, ret);
	if (call.dev)
		ha_dev_put(call.dev);
	return ret;
}

static const struct file_operations ha_control_fops = {
	.owner = THIS_MODULE,
	.open = nonseekable_open,
	.unlocked_ioctl = ha_control_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice ha_control = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "hybrid_alloc",
	.fops = &ha_control_fops,
	.mode = 0600,
};

/* ---- the module ---- */

static char *ha_param_device[HA_MAX_PARAM_DEVICES];
static unsigned int ha_nr_param_devices;
module_param_array_named(device, ha_param_device, charp, &ha_nr_param_devices, 0444);
MODULE_PARM_DESC(device, "block devices to attach, by path, separated by commas");

static char *ha_param_mode = "rebuild";
module_param_named(mode, ha_param_mode, charp, 0444);
MODULE_PARM_DESC(mode,
		 "fresh: all space is free; rebuild (default): nothing is allocated before SEAL");

/* Bytes, or with a suffix: 64K. */
static int ha_param_set_size(const char *val, const struct kernel_param *kp)
{
	char *end;
	u64 size = memparse(val, &end);

	/* 0 only where it is meant: too many digits, or "16E", may come to 0, too */
	if (!isdigit(*val) || *end || (!size && strcmp(val, "0")))
		return -EINVAL;
	*(u64 *)kp->arg = size;
	return 0;
}

static const struct kernel_param_ops ha_param_size_ops = {
	.set = ha_param_set_size,
	.get = param_get_ullong,
};

/* For all that @device names. What is not given stays 0, the default. */
static struct hybrid_alloc_params ha_param_sizes;
module_param_cb(min_block, &ha_param_size_ops, &ha_param_sizes.min_block, 0444);
MODULE_PARM_DESC(min_block,
		 "smallest unit of space, in bytes or as 64K (default: 4K)");
module_param_cb(max_block, &ha_param_size_ops, &ha_param_sizes.max_block, 0444);
MODULE_PARM_DESC(max_block,
		 "largest single extent, in bytes or as 64M (default: 0, no limit)");
module_param_cb(slab_max, &ha_param_size_ops, &ha_param_sizes.slab_max, 0444);
MODULE_PARM_DESC(slab_max,
		 "largest size from slabs of equal objects, in bytes or as 64K (default: 1M)");
module_param_cb(buddy_start, &ha_param_size_ops, &ha_param_sizes.buddy_start, 0444);
MODULE_PARM_DESC(buddy_start,
		 "smallest block of the buddy layer, in bytes or as 64K (default: 1M)");

static int __init ha_bind_path(const char *path, bool sealed, struct ha_dev **dev)
{
	dev_t devt;
	int ret;

	ret = lookup_bdev(path, &devt);
	if (ret == -ENOENT)
		return ha_refuse(path, ret, "there is no such file: lsblk lists block devices");
	if (ret == -ENOTBLK)
		return ha_refuse(path, ret, "not a block device: lsblk lists them");
	if (ret)
		return ha_refuse(path, ret, "cannot be looked up");
	*dev = ha_dev_bind(devt, path, &ha_param_sizes, sealed);
	return PTR_ERR_OR_ZERO(*dev);
}

/*
 * Attaches what the parameters name: all or nothing. No node is registered
 * before every device is bound, for an open file does not keep a module that
 * fails to load.
 */
static int __init ha_attach_params(void)
{
	struct ha_dev *devs[HA_MAX_PARAM_DEVICES];
	unsigned int nr_bound, i;
	bool sealed = true;
	int ret;

	if (!strcmp(ha_param_mode, "fresh"))
		sealed = false;
	else if (strcmp(ha_param_mode, "rebuild"))
		return ha_refuse(ha_param_mode, -EINVAL, "mode is neither fresh nor rebuild");

	for (nr_bound = 0; nr_bound < ha_nr_param_devices; nr_bound++) {
		ret = ha_bind_path(ha_param_device[nr_bound], sealed, &devs[nr_bound]);
		if (ret)
			goto out_unbind;
	}
	for (i = 0; i < nr_bound; i++) {
		ret = ha_dev_publish(devs[i]);
		if (ret)
			goto out_detach;
	}
	return 0;

out_detach:
	while (i--) {
		ha_dev_detach(devs[i], true);
		devs[i] = NULL;
	}
out_unbind:
	while (nr_bound--) {
		if (devs[nr_bound])
			ha_dev_unbind(devs[nr_bound]);
	}
	return ret;
}

static void ha_detach_all(void)
{
	struct ha_dev *dev;
	unsigned long id;

	xa_for_each(&ha_devs, id, dev)
		ha_dev_detach(dev, true);
}

static int __init ha_init(void)
{
	int ret;

	ha_trace_init();
	ha_debugfs_init();
	ret = cpuhp_setup_state_multi(CPUHP_BP_PREPARE_DYN, "hybrid_alloc:dead",
				      NULL, ha_cpu_dead);
	if (ret < 0)
		goto out_debugfs;
	ha_cpuhp_state = ret;
	ret = ha_attach_params();
	if (ret)
		goto out_cpuhp;
	ret = misc_register(&ha_control);
	if (ret)
		goto out_detach;
	return 0;

out_detach:
	ha_detach_all();
out_cpuhp:
	cpuhp_remove_multi_state(ha_cpuhp_state);
out_debugfs:
	ha_debugfs_exit();
	return ret;
}

static void __exit ha_exit(void)
{
	u64 lost = atomic64_read(&ha_lost_extents);

	misc_deregister(&ha_control);
	ha_detach_all();
	cpuhp_remove_multi_state(ha_cpuhp_state);
	ha_debugfs_exit();
	if (lost)
		pr_warn("detaching has forgotten %llu live extents of %llu bytes in all\n",
			lost, (u64)atomic64_read(&ha_lost_bytes));
}

module_init(ha_init);
module_exit(ha_exit);

MODULE_DESCRIPTION("Hands out the space of block devices");
MODULE_AUTHOR("The hybrid_alloc developers");
MODULE_LICENSE("GPL");
