// SPDX-License-Identifier: GPL-2.0
/*
 * hybrid_alloc - hands out the space of block devices
 *
 * This file has the module's parameters, init and exit. Below it, each rung using only
 * those under it (Kbuild lists the objects in this order):
 *
 *	dev/	     block devices, nodes, calls, files     bytes
 *	api, watch   the exported API, low space            bytes
 *	pool	     per-CPU magazines of ready extents     blocks, from here on
 *	slab, slab/  everything that is partly used
 *	buddy, buddy/ power-of-two blocks
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
 * struct hybrid_alloc is an allocator for a range of a block device. A kernel user gets it,
 * and closes it. It looks at the block device only when it is opened, to learn its size, and
 * again for GROW. If the user gives a name, there is also a ha_dev for it, which refers to the
 * allocator, the user's block device and the node: see dev/user.c.
 *
 * struct ha_dev is an attached device, an instance: a block device claimed exclusively,
 * the allocator on it, and the node. ha_devs and each open file of the node (struct
 * ha_file) refer to it; the last one frees it. Its claim, allocator and number are given
 * up earlier, when it is detached: see dev/attach.c.
 *
 * struct ha_file is an open file of a node. Extents may be bound to it (dev/bound.c), it may have
 * reserved space (dev/reserve.c), and it may have a threshold of free space (watch.c).
 *
 * Each call on an instance node holds a reference on ha_dev.calls, which costs an
 * increment of a per-CPU counter. Detach waits until none is left. So no call touches user
 * memory while it holds the reference: a page fault may take as long as the owner of that
 * memory likes.
 *
 * An open file holds the module (fops.owner). To hold it for live extents as well without
 * counting them on the hot path, the last close of a node takes a reference on the module
 * if any extent is live, and drops it if none is (ha_dev.pinned).
 *
 * Removal of the disk
 * ===================
 *
 * Linux before 6.5 does not tell the holder of a block device that its disk was removed.
 * So each call checks whether the disk is still there, and returns ENODEV if not; only INFO
 * and detach still work. Only GROW reads the capacity again, which is 0 after a removal, and
 * it never shrinks the range.
 *
 * Locks
 * =====
 *
 * There is no lock around attach and detach as a whole: the steps of these exclude each
 * other (dev/attach.c). All locks are taken in process context. Which of them a caller with
 * GFP_NOIO may wait for is in docs/design.md, "Who may wait for what".
 *
 *   1. misc_mtx, of the misc core: held in ->open and in misc_register() and
 *      misc_deregister()
 *   2. hybrid_alloc.grow_lock
 *   3. hapool.slow (pool.c)
 *   4. ha_dev.bound_lock
 *   5. ha_watch.lock
 *   6. ha_dev.lock
 *   7. the other locks of pool.c and below
 *   8. xa_lock of ha_devs, ha_users_lock (dev/user.c)
 *
 * ha_file.reserve_lock (dev/reserve.c) is taken with none of these held, and before 3.
 *
 * Locks 2 to 5 are never taken under 1, nor 4 under 2, nor 6 under 2 to 5. ha_trace_lock
 * (api_trace.c) is taken with the tracing core's locks held, and no other lock under it.
 *
 * ha_dev.bound_lock (rwsem) protects ha_dev.bound and ha_file.bound. Taken for reading
 * by a free that looks for a record, for writing by a caller that adds or erases one. It
 * does not protect the extents themselves. Frees wait for it. So its holder waits for
 * spinlocks only: not for memory, not for hapool.slow.
 *
 * hybrid_alloc.grow_lock (mutex, killable) makes one GROW at a time change the end of the
 * managed range. It does not protect readers of the range: they may see the old or the new end.
 *
 * ha_watch.lock (spinlock) protects the tree of thresholds and the two marks. Taken by
 * poll(), WATCH, the close of a file, and by a call that has moved free space past a mark.
 * A hold takes a few steps down the tree. The marks are read without it.
 *
 * ha_dev.lock (spinlock) protects nr_open, dying and pinned. Taken by open, close and
 * detach. ->open takes no other lock: a lock taken in ->open could not be held while a node
 * is registered.
 *
 * The xa_lock makes "look up an instance and take a reference" one step. INFO on the
 * control node holds it while it reads the instance, which detach first has to remove from
 * ha_devs. No other lock of the module is taken under it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

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

static char *ha_param_mode = "auto";
module_param_named(mode, ha_param_mode, charp, 0444);
MODULE_PARM_DESC(mode,
		 "auto (default) or rebuild: nothing is allocated before SEAL; fresh: all space is free, only on a blank disk; overwrite: all space is free, whatever is on the disk");

/* Bytes, or with a suffix: 64K. */
static int ha_param_set_size(const char *val, const struct kernel_param *kp)
{
	static const char suffixes[] = "kmgtpe";
	bool hex = val[0] == '0' && tolower(val[1]) == 'x';
	size_t nr = hex ? 2 + strspn(val + 2, "0123456789abcdefABCDEF") :
			  strspn(val, "0123456789");
	unsigned int shift = 0;
	const char *suffix;
	char digits[24];
	u64 size;

	/* not memparse(), which takes a number that is too large for another one */
	if (!nr || nr >= sizeof(digits))
		return -EINVAL;
	strscpy(digits, val, nr + 1);
	if (kstrtou64(digits, hex ? 16 : 10, &size))
		return -EINVAL;
	if (val[nr]) {
		suffix = strchr(suffixes, tolower(val[nr]));
		if (!suffix || val[nr + 1])
			return -EINVAL;
		shift = 10 * (suffix - suffixes + 1);
	}
	if (size << shift >> shift != size)
		return -EINVAL;
	*(u64 *)kp->arg = size << shift;
	return 0;
}

static const struct kernel_param_ops ha_param_size_ops = {
	.set = ha_param_set_size,
	.get = param_get_ullong,
};

/* For all devices that the parameter "device" names. 0 stands for the default. */
static struct hybrid_alloc_params ha_param_sizes;
module_param_cb(min_block, &ha_param_size_ops, &ha_param_sizes.min_block, 0444);
MODULE_PARM_DESC(min_block,
		 "smallest unit of space, in bytes or as 64K (default: 4K)");
module_param_cb(max_block, &ha_param_size_ops, &ha_param_sizes.max_block, 0444);
MODULE_PARM_DESC(max_block,
		 "largest single extent, in bytes or as 64M (default: 0, no limit)");
module_param_cb(slab_max, &ha_param_size_ops, &ha_param_sizes.slab_max, 0444);
MODULE_PARM_DESC(slab_max,
		 "largest size from slabs of equal objects, in bytes or as 64K (default: half of buddy_start, at most 1M)");
module_param_cb(buddy_start, &ha_param_size_ops, &ha_param_sizes.buddy_start, 0444);
MODULE_PARM_DESC(buddy_start,
		 "smallest block of the buddy layer, in bytes or as 64K (default: 1M)");

module_param_named(idle_ms, ha_idle_ms, uint, 0444);
MODULE_PARM_DESC(idle_ms,
		 "milliseconds after which a CPU returns cached extents that it does not use (default: 10000; 0: never)");

struct ha_mode {
	const char *name;
	enum ha_attach_mode mode;
};

static const struct ha_mode ha_modes[] __initconst = {
	{ "auto", HA_ATTACH_REBUILD },
	{ "rebuild", HA_ATTACH_REBUILD },
	{ "fresh", HA_ATTACH_FRESH },
	{ "overwrite", HA_ATTACH_OVERWRITE },
};

static int __init ha_bind_params(void)
{
	unsigned int i;

	if (!ha_nr_param_devices &&
	    memchr_inv(&ha_param_sizes, 0, sizeof(ha_param_sizes)))
		pr_warn("min_block= and the other sizes are for the disks of device=, which is not given: hybridctl attach has options for them\n");
	for (i = 0; i < ARRAY_SIZE(ha_modes); i++) {
		if (!strcmp(ha_param_mode, ha_modes[i].name))
			return ha_bind_paths(ha_param_device, ha_nr_param_devices,
					     &ha_param_sizes, ha_modes[i].mode);
	}
	return ha_refuse(ha_param_mode, -EINVAL, "mode is not auto, rebuild, fresh or overwrite");
}

static int __init ha_init(void)
{
	int ret;

	ha_trace_init();
	ha_debugfs_init();
	ret = ha_api_init();
	if (ret)
		goto out_debugfs;
	ret = ha_bind_params();
	if (ret)
		goto out_api;
	ret = ha_control_register();
	if (ret)
		goto out_unbind;
	/* No failure from here on: nodes may be open, and would not keep the module. */
	ha_publish_bound();
	return 0;

out_unbind:
	ha_unbind_bound();
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
