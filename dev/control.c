// SPDX-License-Identifier: GPL-2.0
/*
 * The control node: ATTACH, DETACH, and INFO of any instance
 *
 * Locks: the xa_lock of ha_devs keeps an instance from being taken apart while INFO reads
 * it. attach.c does everything else.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "dev/ioctl.h"

static int ha_control_attach(struct ha_call *call)
{
	const struct hybrid_alloc_attach *arg = &call->attach;
	const struct hybrid_alloc_params params = {
		.range_start = arg->range_start,
		.range_len = arg->range_len,
		.min_block = arg->min_block,
		.max_block = arg->max_block,
		.slab_max = arg->slab_max,
		.buddy_start = arg->buddy_start,
	};
	enum ha_attach_mode mode = HA_ATTACH_REBUILD;
	struct ha_dev *dev;

	if (arg->flags & HYBRID_ALLOC_ATTACH_OVERWRITE)
		mode = HA_ATTACH_OVERWRITE;
	else if (arg->flags & HYBRID_ALLOC_ATTACH_FRESH)
		mode = HA_ATTACH_FRESH;
	if (!capable(CAP_SYS_ADMIN))
		return ha_refuse("attach", -EPERM, "needs CAP_SYS_ADMIN: run it as root");
	dev = ha_attach_fd(arg->fd, &params, mode);
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	call->dev = dev;
	call->attach.id = dev->id;
	return 0;
}

static void ha_control_undo_attach(struct ha_call *call)
{
	ha_dev_detach(call->dev, true);
}

static bool ha_check_detach(const struct ha_call *call)
{
	return !call->detach.__reserved;
}

static int ha_control_detach(struct ha_call *call)
{
	if (!capable(CAP_SYS_ADMIN))
		return ha_refuse("detach", -EPERM, "needs CAP_SYS_ADMIN: run it as root");
	call->dev = ha_dev_get(call->detach.id);
	if (!call->dev)
		return -ENODEV;
	return ha_dev_detach(call->dev, call->detach.flags & HYBRID_ALLOC_DETACH_FORCE);
}

static int ha_control_info(struct ha_call *call)
{
	unsigned long id = call->info.id;
	unsigned long last = call->info.flags & HYBRID_ALLOC_INFO_NEXT ? ULONG_MAX : id;
	struct ha_dev *dev;

	/* Detach takes the lock before it takes the instance apart. */
	xa_lock(&ha_devs);
	dev = xa_find(&ha_devs, &id, last, XA_PRESENT);
	if (dev)
		ha_dev_info(dev, &call->info);
	xa_unlock(&ha_devs);
	return dev ? 0 : -ENODEV;
}

static const struct ha_cmd ha_control_cmds[] = {
	HA_CMD(ATTACH, attach, buddy_start, ha_control_attach,
	       .flags = HYBRID_ALLOC_ATTACH_FRESH | HYBRID_ALLOC_ATTACH_OVERWRITE,
	       .needs = HA_NEEDS_WRITE | HA_NEEDS_OUT,
	       .undo = ha_control_undo_attach),
	HA_CMD(DETACH, detach, __reserved, ha_control_detach,
	       .check = ha_check_detach,
	       .flags = HYBRID_ALLOC_DETACH_FORCE,
	       .needs = HA_NEEDS_WRITE),
	HA_CMD(INFO, info, disk, ha_control_info,
	       .flags = HYBRID_ALLOC_INFO_NEXT,
	       .needs = HA_NEEDS_OUT),
};

static long ha_control_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct ha_call call __uninitialized;
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

/**
 * ha_control_register - make the control node
 *
 * Return: 0 or a negative errno.
 */
int __init ha_control_register(void)
{
	return misc_register(&ha_control);
}

/**
 * ha_control_deregister - remove the control node
 */
void ha_control_deregister(void)
{
	misc_deregister(&ha_control);
}
