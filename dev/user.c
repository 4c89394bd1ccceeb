// SPDX-License-Identifier: GPL-2.0
/*
 * Users in the kernel: opening and closing an allocator by the exported API
 *
 * A user that gives a name gets an instance as ATTACH makes one, with a node, so that the
 * administrator sees what it does. The block device is the user's, and so is the space: the node
 * opens for reading only, DETACH is refused, and only hybrid_alloc_close() ends the instance. That
 * takes the same steps as a forced detach (attach.c), so files may be open meanwhile.
 *
 * Locks: ha_users_lock (spinlock) makes "no user has this name" and "this one has it" one step. No
 * lock is taken under it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ctype.h>
#include <linux/export.h>
#include <linux/list.h>
#include <linux/string.h>

#include "dev/internal.h"

static LIST_HEAD(ha_users);
static DEFINE_SPINLOCK(ha_users_lock);	/* see above */

static bool ha_is_name(const char *name)
{
	size_t len = strnlen(name, HYBRID_ALLOC_MAX_NAME + 1), i;

	if (!len || len > HYBRID_ALLOC_MAX_NAME)
		return false;
	for (i = 0; i < len; i++) {
		if (!isascii(name[i]) || !(isalnum(name[i]) || (i && strchr("._:!-", name[i]))))
			return false;
	}
	return true;
}

/* Takes the name for @dev. Return: whether no other user has it. */
static bool ha_user_begin(struct ha_dev *dev, const char *name)
{
	struct ha_dev *other;
	bool taken = false;

	strscpy(dev->user, name, sizeof(dev->user));
	spin_lock(&ha_users_lock);
	list_for_each_entry(other, &ha_users, users)
		taken |= !strcmp(other->user, name);
	if (!taken)
		list_add(&dev->users, &ha_users);
	spin_unlock(&ha_users_lock);
	return !taken;
}

static void ha_user_end(struct ha_dev *dev)
{
	spin_lock(&ha_users_lock);
	list_del(&dev->users);
	spin_unlock(&ha_users_lock);
}

/* Opens the allocator of an instance that has its name. */
static int ha_user_open(struct ha_dev *dev, struct block_device *bdev,
			const struct hybrid_alloc_params *params, gfp_t gfp)
{
	int ret;

	dev->claimed.bdev = bdev;
	dev->ha = ha_open(bdev, params, gfp);
	if (IS_ERR(dev->ha))
		return PTR_ERR(dev->ha);
	dev->ha->node = dev;
	ret = ha_dev_number(dev);
	if (ret)
		goto out_close;
	ret = ha_dev_publish(dev);
	if (ret)
		goto out_number;
	return 0;

out_number:
	xa_erase(&ha_devs, dev->id);
out_close:
	ha_close(dev->ha);
	return ret;
}

static struct hybrid_alloc *ha_user_attach(struct block_device *bdev,
					   const struct hybrid_alloc_params *params, gfp_t gfp)
{
	char disk[BDEVNAME_SIZE];
	struct ha_dev *dev;
	int ret;

	snprintf(disk, sizeof(disk), "%pg", bdev);
	if (!ha_is_name(params->name))
		return ERR_PTR(ha_refuse(disk, -EINVAL, "the name of the user is not valid"));
	dev = ha_dev_new(false);
	if (IS_ERR(dev))
		return ERR_CAST(dev);
	strscpy(dev->disk, disk, sizeof(dev->disk));
	ret = -EEXIST;
	if (!ha_user_begin(dev, params->name)) {
		ha_refuse(params->name, ret, "another user in the kernel has this name");
		goto out_put;
	}
	ret = ha_user_open(dev, bdev, params, gfp);
	if (!ret)
		return dev->ha;
	ha_user_end(dev);
out_put:
	ha_dev_put(dev);
	return ERR_PTR(ret);
}

/* Takes the node away. Its instance stays, since the allocator may refer to it. */
static void ha_user_detach(struct ha_dev *dev)
{
	spin_lock(&dev->lock);
	dev->dying = true;
	ha_dev_pin(dev, false);
	spin_unlock(&dev->lock);
	ha_dev_withdraw(dev);
	ha_dev_end_calls(dev);
}

static void ha_user_forget(struct ha_dev *dev)
{
	xa_erase(&ha_devs, dev->id);
	ha_user_end(dev);
	ha_dev_put(dev);
}

/**
 * hybrid_alloc_open - open an allocator on a block device
 * @bdev: the block device, which the caller has open
 * @params: the parameters, or NULL for the defaults
 * @gfp: GFP_KERNEL; or without __GFP_IO or __GFP_FS, if the caller must do without these
 *
 * All space is free at first. The device is not claimed: the caller has to keep other users away.
 * With params.name there is a node, and the caller has to keep the device open until it closes the
 * allocator; without, while it relies on the device's size.
 *
 * Context: Process context, may sleep with any @gfp. Not from a CPU hotplug callback, and not where
 * memory reclaim may wait for the caller.
 * Return: The allocator, or an ERR_PTR: EROFS the device is read-only; EOPNOTSUPP it is zoned;
 * EINVAL the name, a flag or a size in @params is not valid, a size does not suit the device, or
 * the range is smaller than params.buddy_start; ERANGE the range is not inside the device;
 * EEXIST another user has that name; ENOMEM.
 */
struct hybrid_alloc *hybrid_alloc_open(struct block_device *bdev,
				       const struct hybrid_alloc_params *params, gfp_t gfp)
{
	might_sleep();
	if (params && params->name)
		return ha_user_attach(bdev, params, gfp);
	return ha_open(bdev, params, gfp);
}
EXPORT_SYMBOL_GPL(hybrid_alloc_open);

/**
 * hybrid_alloc_close - close an allocator
 * @ha: the allocator
 *
 * Live extents are forgotten; their data is not touched. No other call may be running, and
 * none may follow. Calls through its node, if it has one, are waited for; later ones get ENODEV.
 *
 * Context: As hybrid_alloc_open(). Never fails, needs no memory.
 */
void hybrid_alloc_close(struct hybrid_alloc *ha)
{
	struct ha_dev *dev = ha->node;

	if (dev)
		ha_user_detach(dev);
	ha_close(ha);
	if (dev)
		ha_user_forget(dev);
}
EXPORT_SYMBOL_GPL(hybrid_alloc_close);
