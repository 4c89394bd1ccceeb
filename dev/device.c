// SPDX-License-Identifier: GPL-2.0
/*
 * Instances: struct ha_dev, its life, and the registry
 *
 * A ha_dev is freed with its last reference. What it holds (allocator, claim on the block
 * device, number) is acquired and released in attach.c, or in user.c for a user in the kernel.
 * The registry, ha_devs, has one reference on each instance that can be looked up.
 *
 * Locks: the xa_lock of ha_devs makes "look up and take a reference" one step. ha_dev.lock
 * protects the number of open files, and whether the instance is dying or pins the module.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/poll.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "dev/internal.h"

DEFINE_XARRAY_ALLOC(ha_devs);

static void ha_dev_idle(struct percpu_ref *calls)
{
	struct ha_dev *dev = container_of(calls, struct ha_dev, calls);

	complete(&dev->idle);
}

/**
 * ha_dev_new - an instance without a block device, an allocator or a number
 * @sealed: ALLOC has to wait for SEAL
 *
 * Return: The instance, with one reference, or an ERR_PTR.
 */
struct ha_dev *ha_dev_new(bool sealed)
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
 * ha_dev_get - look up an instance
 * @id: its number
 *
 * Return: The instance, with a reference, or NULL.
 */
struct ha_dev *ha_dev_get(u32 id)
{
	struct ha_dev *dev;

	xa_lock(&ha_devs);
	dev = xa_load(&ha_devs, id);
	if (dev)
		kref_get(&dev->ref);
	xa_unlock(&ha_devs);
	return dev;
}

static void ha_dev_free(struct kref *ref)
{
	struct ha_dev *dev = container_of(ref, struct ha_dev, ref);

	ha_watch_destroy(&dev->watch);
	percpu_ref_exit(&dev->calls);
	kfree(dev);
}

/**
 * ha_dev_put - drop a reference
 * @dev: the instance
 *
 * Context: Process context, may sleep.
 */
void ha_dev_put(struct ha_dev *dev)
{
	kref_put(&dev->ref, ha_dev_free);
}

/**
 * ha_dev_set_gone - the block device was removed
 * @dev: the instance
 *
 * Logs the removal and wakes tasks in poll(), once.
 */
void ha_dev_set_gone(struct ha_dev *dev)
{
	if (test_and_set_bit(HA_DEV_GONE, &dev->state))
		return;
	pr_warn("%s: the block device %s went away: %s\n", dev->name, dev->disk,
		ha_dev_has_user(dev) ? dev->user : "detach it with force");
	wake_up_poll(&dev->watch.wait, EPOLLERR | EPOLLHUP);
}

/**
 * ha_dev_pin - start or stop keeping the module loaded for live extents
 * @dev: the instance
 * @pin: whether to keep it
 *
 * Context: With @dev->lock held, and from a call through a file that holds the module.
 */
void ha_dev_pin(struct ha_dev *dev, bool pin)
{
	lockdep_assert_held(&dev->lock);
	if (pin && !dev->pinned)
		__module_get(THIS_MODULE);
	else if (!pin && dev->pinned)
		module_put(THIS_MODULE);
	dev->pinned = pin;
}

/**
 * ha_dev_info - what INFO reports
 * @dev: an instance that is not idle yet
 * @info: out: all but size and flags
 */
void ha_dev_info(struct ha_dev *dev, struct hybrid_alloc_info *info)
{
	const struct hybrid_alloc *ha = dev->ha;
	dev_t devt = dev->claimed.bdev->bd_dev;

	info->id = dev->id;
	info->state = 0;
	if (test_bit(HA_DEV_SEALED, &dev->state))
		info->state |= HYBRID_ALLOC_STATE_SEALED;
	if (ha_dev_gone(dev))
		info->state |= HYBRID_ALLOC_STATE_GONE;
	if (ha_dev_has_user(dev))
		info->state |= HYBRID_ALLOC_STATE_KERNEL;
	info->features = HYBRID_ALLOC_FEATURE_WATCH | HYBRID_ALLOC_FEATURE_MAP_KIND |
			 HYBRID_ALLOC_FEATURE_PARTS |
			 HYBRID_ALLOC_FEATURE_RESERVE |
			 HYBRID_ALLOC_FEATURE_MIN;
	info->epoch = dev->epoch;
	memcpy(info->uuid, dev->uuid, sizeof(info->uuid));
	info->dev_major = MAJOR(devt);
	info->dev_minor = MINOR(devt);
	info->range_start = ha->start;
	info->range_len = READ_ONCE(ha->end) - ha->start;
	info->min_block = ha->params.min_block;
	info->max_block = ha->params.max_block;
	info->slab_max = ha->params.slab_max;
	info->buddy_start = ha->params.buddy_start;
	strscpy_pad(info->disk, dev->disk, sizeof(info->disk));
	BUILD_BUG_ON(sizeof(info->user) != sizeof(dev->user));
	memcpy(info->user, dev->user, sizeof(info->user));
}
