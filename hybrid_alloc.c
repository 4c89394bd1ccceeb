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
#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/string.h>

#include "api_trace.h"
#include "dev/internal.h"

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

module_param_named(idle_ms, ha_idle_ms, uint, 0444);
MODULE_PARM_DESC(idle_ms,
		 "a CPU gives cached extents back if it does not use them for so long (default: 10000; 0: never)");

static int __init ha_attach_params(void)
{
	bool sealed = true;

	if (!strcmp(ha_param_mode, "fresh"))
		sealed = false;
	else if (strcmp(ha_param_mode, "rebuild"))
		return ha_refuse(ha_param_mode, -EINVAL, "mode is neither fresh nor rebuild");
	return ha_attach_paths(ha_param_device, ha_nr_param_devices, &ha_param_sizes, sealed);
}

static int __init ha_init(void)
{
	int ret;

	ha_trace_init();
	ha_debugfs_init();
	ret = ha_api_init();
	if (ret)
		goto out_debugfs;
	ret = ha_attach_params();
	if (ret)
		goto out_api;
	ret = ha_control_register();
	if (ret)
		goto out_detach;
	return 0;

out_detach:
	ha_detach_all();
out_api:
	ha_api_exit();
out_debugfs:
	ha_debugfs_exit();
	return ret;
}

static void __exit ha_exit(void)
{
	ha_control_deregister();
	ha_detach_all();
	ha_api_exit();
	ha_debugfs_exit();
}

module_init(ha_init);
module_exit(ha_exit);

MODULE_DESCRIPTION("Hands out the space of block devices");
MODULE_AUTHOR("The hybrid_alloc developers");
MODULE_LICENSE("GPL");
