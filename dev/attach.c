// SPDX-License-Identifier: GPL-2.0
/*
 * Attach and detach: from a block device to an instance with a node, and back
 *
 * Attach
 *
 *  1. opens and claims the block device, opens an allocator on it, looks at what is on the
 *     disk (blank.c), and reserves a number (ha_dev_bind());
 *  2. registers the node and makes the instance known (ha_dev_publish()).
 *
 * The holder of the claim is the ha_dev. So each instance is another holder, and a second
 * attach of the same disk is refused.
 *
 * The module's init function takes step 1 for all devices that it is given, and then step 2
 * as the last thing that it does: it cannot fail once a node is there.
 *
 * Detach
 *
 *  1. marks the ha_dev as dying under its lock: no file can be opened any more, and only
 *     one of several detaching callers continues;
 *  2. kills ha_dev.calls: later calls get ENODEV, and walks end early, also those of
 *     readers of sysfs, for which the next step waits with a mutex of all misc devices held;
 *  3. takes it out of the registry, and removes the node with its files in sysfs and
 *     debugfs, and waits until no call is in one of these, nor any other is in flight;
 *  4. closes the allocator, and releases the number: two nodes must not have the same name;
 *  5. releases the block device. This comes last, so that who attaches the disk again finds
 *     the number free, too.
 *
 * Unless forced, it refuses an instance with open files or live extents. Live extents on a
 * removed disk do not count: they can no longer be freed. It always refuses an instance of a
 * user in the kernel: see user.c.
 *
 * No lock is held around attach or detach as a whole. Their steps exclude each other.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/stat.h>

#include "dev/internal.h"

/* Extents that were live when their instance was detached. */
static atomic64_t ha_lost_extents;
static atomic64_t ha_lost_bytes;

/* From Linux 6.5 on the block layer reports a removal; before, each call checks for it. */
COMPAT_HOLDER_OPS(ha_holder_ops, ha_dev_set_gone);

static int ha_dev_claim_bdev(struct ha_dev *dev, dev_t devt, const char *what)
{
	int ret = compat_bdev_open(&dev->claimed, devt, dev, &ha_holder_ops);

	switch (ret) {
	case 0:
		snprintf(dev->disk, sizeof(dev->disk), "%pg", dev->claimed.bdev);
		return 0;
	case -EBUSY:
		return ha_refuse(what, -EBUSY,
				 "mounted, attached or otherwise in use: lsblk shows its user");
	case -ENXIO:
		return ha_refuse(what, -ENODEV, "the device went away");
	default:
		return ha_refuse(what, ret, "cannot be opened");
	}
}

/**
 * ha_dev_number - reserve a number for an instance that has an allocator
 * @dev: the instance
 *
 * Return: 0 or a negative errno.
 */
int ha_dev_number(struct ha_dev *dev)
{
	int ret;

	ha_watch_bind(&dev->watch, &dev->ha->pool, dev->ha->shift);
	ret = xa_alloc(&ha_devs, &dev->id, NULL, xa_limit_31b, GFP_KERNEL);
	if (!ret)
		snprintf(dev->name, sizeof(dev->name), "hybrid_alloc%u", dev->id);
	return ret;
}

/* Returns an instance for ha_dev_publish() or ha_dev_unbind(), or an ERR_PTR. */
static struct ha_dev *ha_dev_bind(dev_t devt, const char *what,
				  const struct hybrid_alloc_params *params,
				  enum ha_attach_mode mode)
{
	struct hybrid_alloc_params p = *params;
	struct ha_dev *dev;
	int ret;

	/* its calls are those of programs */
	p.flags = HYBRID_ALLOC_KILLABLE;
	dev = ha_dev_new(mode == HA_ATTACH_REBUILD);
	if (IS_ERR(dev))
		return dev;
	ret = ha_dev_claim_bdev(dev, devt, what);
	if (ret)
		goto out_put;
	dev->ha = ha_open(dev->claimed.bdev, &p, GFP_KERNEL);
	if (IS_ERR(dev->ha)) {
		ret = PTR_ERR(dev->ha);
		goto out_release;
	}
	ret = ha_refuse_content(dev->ha, dev->claimed.bdev, dev->disk, mode);
	if (ret)
		goto out_close;
	ret = ha_dev_number(dev);
	if (ret)
		goto out_close;
	return dev;

out_close:
	ha_close(dev->ha);
out_release:
	compat_bdev_close(&dev->claimed);
out_put:
	ha_dev_put(dev);
	return ERR_PTR(ret);
}

/* Let no call begin any more; those in flight end soon. */
static void ha_dev_stop_calls(struct ha_dev *dev)
{
	if (percpu_ref_is_dying(&dev->calls))
		return;
	percpu_ref_kill(&dev->calls);
	/* a call whose walk ends early has to find dev->calls dying */
	haslab_stop_walks(&dev->ha->pool.slab);
}

/**
 * ha_dev_end_calls - let no call begin any more, and wait for those in flight
 * @dev: an instance whose node is gone or never existed
 *
 * Afterwards no file uses the allocator or the block device.
 */
void ha_dev_end_calls(struct ha_dev *dev)
{
	ha_dev_stop_calls(dev);
	wake_up_poll(&dev->watch.wait, EPOLLERR | EPOLLHUP);
	wait_for_completion(&dev->idle);
}

/* The reverse of ha_dev_bind(), for a device whose node is gone or never existed. */
static void ha_dev_unbind(struct ha_dev *dev)
{
	struct hybrid_alloc_stat st;

	ha_dev_end_calls(dev);
	hybrid_alloc_stat(dev->ha, &st, false);
	if (st.nr_live) {
		atomic64_add(st.nr_live, &ha_lost_extents);
		atomic64_add(st.charged, &ha_lost_bytes);
		pr_warn("%s: forgot %llu live extents of %llu bytes in all on %s\n",
			dev->name, st.nr_live, st.charged, dev->disk);
	}

	ha_close(dev->ha);
	/* a removal of the disk is of no interest any more, and the number may be another's soon */
	set_bit(HA_DEV_GONE, &dev->state);
	xa_erase(&ha_devs, dev->id);
	compat_bdev_close(&dev->claimed);
	ha_dev_put(dev);
}

/**
 * ha_dev_publish - register the node of an instance, and make it known
 * @dev: an instance with a number
 *
 * On success the caller's reference passes to the registry, and the instance may be detached at
 * any time, unless it belongs to a user in the kernel. On failure it is as before.
 * Return: 0 or a negative errno.
 */
int ha_dev_publish(struct ha_dev *dev)
{
	int ret;

	dev->misc.minor = MISC_DYNAMIC_MINOR;
	dev->misc.name = dev->name;
	dev->misc.fops = &ha_node_fops;
	dev->misc.mode = ha_dev_has_user(dev) ? 0400 : 0600;
	dev->misc.groups = ha_dev_groups;
	ret = misc_register(&dev->misc);
	if (ret)
		return ha_refuse(dev->name, ret, "the node cannot be registered");
	ha_debugfs_add(dev);
	if (ha_dev_has_user(dev))
		pr_info("%s: %s uses %s\n", dev->name, dev->user, dev->disk);
	else
		pr_info("%s: attached %s, %s\n", dev->name, dev->disk,
			test_bit(HA_DEV_SEALED, &dev->state) ? "sealed" : "all free");
	/* Needs no memory, since the entry exists. */
	xa_store(&ha_devs, dev->id, dev, GFP_KERNEL);
	return 0;
}

/**
 * ha_dev_withdraw - the reverse of ha_dev_publish()
 * @dev: a published instance that is dying
 *
 * It can no longer be looked up, and has no node, but keeps its number.
 */
void ha_dev_withdraw(struct ha_dev *dev)
{
	ha_dev_stop_calls(dev);
	/* needs no memory, since the entry exists */
	xa_store(&ha_devs, dev->id, NULL, GFP_KERNEL);
	ha_debugfs_remove(dev);
	misc_deregister(&dev->misc);
}

/* Why an instance should not be detached, or NULL. */
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
 * ha_dev_detach - detach an instance
 * @dev: a published instance; the caller has a reference
 * @force: even if it has open files or live extents
 *
 * Return: 0, or EBUSY it has open files or live extents, or belongs to a user in the kernel, even
 * with @force; ENODEV another caller has begun to detach it.
 */
int ha_dev_detach(struct ha_dev *dev, bool force)
{
	const char *busy;
	bool dying;

	if (ha_dev_has_user(dev))
		return ha_refuse(dev->name, -EBUSY,
				 "not detached, as it belongs to a user in the kernel: end that one");
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

	ha_dev_withdraw(dev);
	ha_dev_unbind(dev);
	return 0;
}

/* The block device that a file is open on, or an ERR_PTR. */
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

static struct ha_dev *ha_bind_file(struct file *file, const struct hybrid_alloc_params *params,
				   enum ha_attach_mode mode)
{
	struct block_device *bdev;
	char disk[BDEVNAME_SIZE];
	struct ha_dev *dev;

	bdev = ha_file_bdev(file);
	if (IS_ERR(bdev))
		return ERR_CAST(bdev);
	snprintf(disk, sizeof(disk), "%pg", bdev);
	dev = ha_dev_bind(bdev->bd_dev, disk, params, mode);
	if (!IS_ERR(dev) && dev->claimed.bdev != bdev) {
		/* The file's device was removed just now, and another got its number. */
		ha_dev_unbind(dev);
		return ERR_PTR(ha_refuse("attach", -ENODEV, "the device of the file went away"));
	}
	return dev;
}

/**
 * ha_attach_fd - attach the block device of a file descriptor
 * @nr: the file descriptor, open for reading and writing
 * @params: as of hybrid_alloc_open()
 * @mode: what the disk is taken for
 *
 * Return: The instance, with a reference, or an ERR_PTR.
 */
struct ha_dev *ha_attach_fd(int nr, const struct hybrid_alloc_params *params,
			    enum ha_attach_mode mode)
{
	struct ha_dev *dev;
	struct fd fd;
	int ret;

	fd = fdget(nr);
	if (!fd_file(fd))
		return ERR_PTR(ha_refuse("attach", -EBADF, "bad file descriptor"));
	dev = ha_bind_file(fd_file(fd), params, mode);
	fdput(fd);
	if (IS_ERR(dev))
		return dev;

	kref_get(&dev->ref);
	ret = ha_dev_publish(dev);
	if (ret) {
		ha_dev_unbind(dev);
		ha_dev_put(dev);
		return ERR_PTR(ret);
	}
	return dev;
}

static struct ha_dev * __init
ha_bind_path(const char *path, const struct hybrid_alloc_params *params,
	     enum ha_attach_mode mode)
{
	dev_t devt;
	int ret;

	if (!*path)
		return ERR_PTR(ha_refuse("device", -EINVAL, "a path is empty"));
	ret = lookup_bdev(path, &devt);
	if (ret == -ENOENT)
		ha_refuse(path, ret,
			  "not attached, there is no such file: lsblk lists block devices");
	else if (ret == -ENOTBLK)
		ha_refuse(path, ret, "not a block device: lsblk lists them");
	else if (ret)
		ha_refuse(path, ret, "cannot be looked up");
	if (ret)
		return ERR_PTR(ret);
	return ha_dev_bind(devt, path, params, mode);
}

/* The devices of ha_bind_paths(), until their nodes are registered. */
static struct ha_dev *ha_bound[HA_MAX_PARAM_DEVICES] __initdata;
static unsigned int ha_nr_bound __initdata;

/**
 * ha_bind_paths - bind block devices by path, for ha_publish_bound() or ha_unbind_bound()
 * @paths: the paths
 * @nr: how many, at most HA_MAX_PARAM_DEVICES
 * @params: as of hybrid_alloc_open()
 * @mode: what the disks are taken for
 *
 * A device that is not there is logged and left out: it may be there later, and does not keep
 * the others away. A device that is refused is a mistake of the caller, and none is bound.
 *
 * Return: 0 or a negative errno.
 */
int __init ha_bind_paths(char **paths, unsigned int nr,
			 const struct hybrid_alloc_params *params, enum ha_attach_mode mode)
{
	struct ha_dev *dev;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		dev = ha_bind_path(paths[i], params, mode);
		if (!IS_ERR(dev)) {
			ha_bound[ha_nr_bound++] = dev;
		} else if (PTR_ERR(dev) != -ENOENT && PTR_ERR(dev) != -ENODEV) {
			ha_unbind_bound();
			return PTR_ERR(dev);
		}
	}
	return 0;
}

/**
 * ha_publish_bound - register the nodes of the bound devices
 *
 * A device whose node cannot be registered is logged and given up. The caller must not fail
 * afterwards: an open file does not keep a module whose init function fails.
 */
void __init ha_publish_bound(void)
{
	unsigned int i;

	for (i = 0; i < ha_nr_bound; i++) {
		if (ha_dev_publish(ha_bound[i]))
			ha_dev_unbind(ha_bound[i]);
	}
}

/**
 * ha_unbind_bound - give the bound devices up
 */
void __init ha_unbind_bound(void)
{
	while (ha_nr_bound)
		ha_dev_unbind(ha_bound[--ha_nr_bound]);
}

/**
 * ha_detach_all - detach all instances; no further call or attach can begin
 */
void ha_detach_all(void)
{
	struct ha_dev *dev;
	unsigned long id;
	u64 lost;

	xa_for_each(&ha_devs, id, dev)
		ha_dev_detach(dev, true);
	lost = atomic64_read(&ha_lost_extents);
	if (lost)
		pr_warn("detaching has forgotten %llu live extents of %llu bytes in all\n",
			lost, (u64)atomic64_read(&ha_lost_bytes));
}
