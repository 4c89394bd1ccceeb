// SPDX-License-Identifier: GPL-2.0
/*
 * The node of an instance: opening, closing and polling it
 *
 * An open file has a reference on the instance, and holds the module (fops.owner). Live
 * extents hold the module only while no file is open: the last close takes a reference on
 * it if any extent is live. That costs a check at each last close, and nothing in a call.
 *
 * ->open is called with misc_mtx held, which is also held while a node is registered or
 * deregistered. So it must not take a lock that may be held then; it takes ha_dev.lock only.
 */
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>

#include "dev/internal.h"

static int ha_node_open(struct inode *inode, struct file *file)
{
	struct ha_dev *dev = container_of(file->private_data, struct ha_dev, misc);
	struct ha_file *f;
	bool dying;

	/* its space belongs to its user */
	if (ha_dev_has_user(dev) && (file->f_mode & FMODE_WRITE))
		return -EROFS;
	/* any number of files can be opened: on the account of the opener */
	f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);
	if (!f)
		return -ENOMEM;
	f->dev = dev;
	INIT_LIST_HEAD(&f->bound);
	ha_threshold_init(&f->threshold);
	mutex_init(&f->reserve_lock);

	/* As the node exists, the registry still has its reference. */
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

static void ha_file_release_threshold(struct ha_file *f)
{
	struct ha_dev *dev = f->dev;

	ha_threshold_clear(&dev->watch, &f->threshold);
	if (!percpu_ref_tryget_live(&dev->calls))
		return;		/* detached */
	ha_watch_end(&dev->watch, &dev->ha->watch, false);
	percpu_ref_put(&dev->calls);
}

static int ha_node_release(struct inode *inode, struct file *file)
{
	struct ha_file *f = file->private_data;
	struct ha_dev *dev = f->dev;

	ha_file_release_bound(f);
	ha_file_release_reservation(f);
	ha_file_release_threshold(f);
	kfree_rcu(f, rcu);	/* its waiters may just be woken */
	spin_lock(&dev->lock);
	if (!--dev->nr_open && !dev->dying)
		ha_dev_pin(dev, !ha_dev_gone(dev) && ha_live_bytes(dev->ha));
	spin_unlock(&dev->lock);
	ha_dev_put(dev);
	return 0;
}

static __poll_t ha_node_poll(struct file *file, poll_table *table)
{
	struct ha_file *f = file->private_data;
	struct ha_dev *dev = f->dev;
	__poll_t events = EPOLLERR | EPOLLHUP;

	poll_wait(file, &dev->watch.wait, table);
	poll_wait(file, &f->threshold.wait, table);
	if (!percpu_ref_tryget_live(&dev->calls))
		return events;
	if (!ha_dev_gone(dev))
		events = ha_threshold_is_low(&dev->watch, &f->threshold) ? EPOLLPRI : 0;
	percpu_ref_put(&dev->calls);
	return events;
}

const struct file_operations ha_node_fops = {
	.owner = THIS_MODULE,
	.open = ha_node_open,
	.release = ha_node_release,
	.poll = ha_node_poll,
	.unlocked_ioctl = ha_dev_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
