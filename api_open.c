// SPDX-License-Identifier: GPL-2.0
/*
 * Opening, closing and growing an allocator, and the upkeep of its pools
 *
 * Opening checks the block device and the parameters, fills in defaults, and makes a pool
 * for the range. The block device is used only then, to learn its properties; GROW is
 * given its new size.
 *
 * As long as an allocator is open, three things empty magazines that would otherwise keep
 * space or memory for nothing: a work item for magazines that their CPU has not used for
 * ha_idle_ms, a shrinker, and a CPU hotplug callback for the magazines of a dead CPU. All
 * three end before the pool is destroyed.
 *
 * hybrid_alloc.grow_lock serializes ha_grow(); no lock of this module is held around it. Only
 * GROW takes it, so memory may be waited for under it in any way, but GROW waits for memory only
 * in hapool_grow(), and there without I/O.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blkdev.h>
#include <linux/cpuhotplug.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/mutex.h>
#include <linux/ratelimit.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "api.h"
#include "compat.h"

static enum cpuhp_state ha_cpuhp_state;

unsigned int ha_idle_ms = 10000;

/**
 * ha_refuse - log why something was refused
 * @what: the device, path or operation
 * @err: a negative errno
 * @why: the reason, for a person
 *
 * Return: @err.
 */
int ha_refuse(const char *what, int err, const char *why)
{
	/* far more than an administrator causes, and few enough not to flood the log */
	static DEFINE_RATELIMIT_STATE(limit, DEFAULT_RATELIMIT_INTERVAL, 100);

	if (__ratelimit(&limit))
		pr_err("%s: %s (error %d)\n", what, why, err);
	return err;
}

/* ---- upkeep of the pools ---- */

static int ha_cpu_dead(unsigned int cpu, struct hlist_node *node)
{
	struct hybrid_alloc *ha = hlist_entry(node, struct hybrid_alloc, cpuhp);

	hapool_drain_cpu(&ha->pool, cpu);
	ha_space_changed(ha);
	return 0;
}

static void ha_idle(struct work_struct *work)
{
	struct hybrid_alloc *ha = container_of(to_delayed_work(work), struct hybrid_alloc, idle);

	hapool_drain_idle(&ha->pool);
	ha_space_changed(ha);
	queue_delayed_work(system_dfl_wq, &ha->idle, msecs_to_jiffies(ha_idle_ms));
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
	if (ha_idle_ms)
		queue_delayed_work(system_dfl_wq, &ha->idle, msecs_to_jiffies(ha_idle_ms));
	return 0;
}

static void ha_stop_upkeep(struct hybrid_alloc *ha)
{
	cancel_delayed_work_sync(&ha->idle);
	cpuhp_state_remove_instance_nocalls(ha_cpuhp_state, &ha->cpuhp);
	shrinker_free(ha->shrinker);
}

/**
 * ha_api_init - prepare for allocators to be opened
 *
 * Return: 0 or a negative errno.
 */
int __init ha_api_init(void)
{
	int ret;

	ret = cpuhp_setup_state_multi(CPUHP_BP_PREPARE_DYN, "hybrid_alloc:dead",
				      NULL, ha_cpu_dead);
	if (ret < 0)
		return ret;
	ha_cpuhp_state = ret;
	return 0;
}

/**
 * ha_api_exit - the reverse of ha_api_init(); all allocators are closed
 */
void ha_api_exit(void)
{
	cpuhp_remove_multi_state(ha_cpuhp_state);
}

/* ---- open and close ---- */

static bool ha_is_size(u64 size, u64 min, u64 max)
{
	return ha_is_power_of_2(size) && size >= min && size <= max;
}

/* Fills in defaults and checks that the sizes are compatible. */
static int ha_resolve_sizes(struct hybrid_alloc_params *p, const char *disk)
{
	if (!p->min_block)
		p->min_block = SZ_4K;
	if (!ha_is_size(p->min_block, SZ_4K, SZ_1M))
		return ha_refuse(disk, -EINVAL,
				 "min_block is not a power of two from 4 KiB to 1 MiB");
	if (!p->buddy_start)
		p->buddy_start = SZ_1M;
	if (!ha_is_size(p->buddy_start, p->min_block, p->min_block * HASLAB_MAX_BLOCKS))
		return ha_refuse(disk, -EINVAL,
				 "buddy_start is not a power of two from 1 to 4096 blocks");
	if (!p->slab_max)
		p->slab_max = clamp_t(u64, p->buddy_start / 2, p->min_block, SZ_1M);
	if (!ha_is_size(p->slab_max, p->min_block, p->min_block * HASLAB_MAX_CLASS_BLOCKS))
		return ha_refuse(disk, -EINVAL,
				 "slab_max is not a power of two from 1 to 1024 blocks");
	if (!IS_ALIGNED(p->max_block, p->min_block))
		return ha_refuse(disk, -EINVAL, "max_block is not a multiple of min_block");
	if (p->flags & ~HYBRID_ALLOC_KILLABLE)
		return ha_refuse(disk, -EINVAL, "there is an unknown flag");
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
				 "the range is smaller than buddy_start: set a larger range");
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
				 "the device is zoned: use one that accepts random writes");
	ret = ha_resolve_sizes(&ha->params, disk);
	if (ret)
		return ret;
	if (bdev_logical_block_size(bdev) > ha->params.min_block)
		return ha_refuse(disk, -EINVAL,
				 "the logical block size is larger than min_block: set a larger min_block");
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
		.unkillable = !(ha->params.flags & HYBRID_ALLOC_KILLABLE),
	};

	return hapool_init(&ha->pool, &cfg);
}

/*
 * Users may be stacked: I/O that one waits for under its locks may make the one below wait for
 * locks of its own. To lockdep that is a deadlock if the locks of both have the same class. The
 * spinlocks need no classes of their own: nothing is waited for or called under them.
 */
static void ha_set_classes(struct hybrid_alloc *ha)
{
	lockdep_register_key(&ha->slow_key);
	lockdep_set_class_and_name(&ha->pool.slow, &ha->slow_key, "hapool.slow");
	lockdep_register_key(&ha->grow_key);
	lockdep_set_class_and_name(&ha->grow_lock, &ha->grow_key, "hybrid_alloc.grow_lock");
}

static void ha_unset_classes(struct hybrid_alloc *ha)
{
	lockdep_unregister_key(&ha->grow_key);
	lockdep_unregister_key(&ha->slow_key);
}

static int ha_set_up(struct hybrid_alloc *ha, struct block_device *bdev)
{
	int ret;

	ha->dev = bdev->bd_dev;
	mutex_init(&ha->grow_lock);
	ret = ha_resolve(ha, bdev);
	if (ret)
		return ret;
	ret = ha_init_pool(ha);
	if (ret)
		return ret;
	ha_set_classes(ha);
	ret = ha_start_upkeep(ha);
	if (ret) {
		hapool_destroy(&ha->pool);
		ha_unset_classes(ha);
	}
	return ret;
}

/**
 * ha_open - open an allocator on a block device, without a node
 * @bdev: the block device, which the caller has open
 * @params: the parameters, or NULL for the defaults; the name is not used
 * @gfp: GFP_KERNEL; or without __GFP_IO or __GFP_FS, if the caller must do without these
 *
 * The allocator does not keep @bdev.
 * Context: Process context, may sleep with any @gfp. Not from a CPU hotplug callback.
 * Return: The allocator, or an ERR_PTR, as hybrid_alloc_open().
 */
struct hybrid_alloc *ha_open(struct block_device *bdev, const struct hybrid_alloc_params *params,
			     gfp_t gfp)
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
	ha->params.name = NULL;		/* the caller's */

	/* Most functions below do not take a gfp. */
	if ((gfp & all) == all) {
		ret = ha_set_up(ha, bdev);
	} else {
		scope = memalloc_noio_save();
		ret = ha_set_up(ha, bdev);
		memalloc_noio_restore(scope);
	}
	if (ret) {
		kfree(ha);
		return ERR_PTR(ret);
	}
	return ha;
}

/**
 * ha_close - close an allocator
 * @ha: the allocator, which has no node (any more)
 *
 * Context: Process context, may sleep. Never fails, needs no memory.
 */
void ha_close(struct hybrid_alloc *ha)
{
	ha_stop_upkeep(ha);
	hapool_destroy(&ha->pool);
	ha_unset_classes(ha);
	kfree(ha);
}

/* ---- GROW ---- */

/**
 * ha_grow - extend the managed range after the device has grown
 * @ha: the allocator
 * @size: bytes of the device
 * @range_len: new length of the managed range; 0: up to the end of the device
 *
 * The new space may be handed out, and freed again, before ha->end includes it: see
 * ha_range_fault().
 *
 * Context: Process context, may sleep.
 * Return: 0, or EINVAL the range would shrink; ERANGE it would not be inside the device;
 * ENOMEM; EINTR killed while it waited.
 */
int ha_grow(struct hybrid_alloc *ha, u64 size, u64 range_len)
{
	struct hybrid_alloc_params *p = &ha->params;
	int ret = -EINVAL;
	u64 end;

	if (mutex_lock_killable(&ha->grow_lock))
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
	mutex_unlock(&ha->grow_lock);
	return ret;
}
