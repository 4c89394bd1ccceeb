// SPDX-License-Identifier: GPL-2.0
/*
 * sysfs and debugfs: an instance's properties and counters as files
 *
 * sysfs has one value per file, below the node's device: the fields of INFO, and in
 * directories the fields of STAT, under the same names. They are an ABI (docs/ABI), and
 * exist before user space is told of the device. debugfs has tables for people, which may
 * change with each version.
 *
 * The sysfs files go away when the node is deregistered, the debugfs files when their
 * directory is removed. Both wait for readers, and both come before the allocator is
 * closed. So the functions here take no reference. They may take locks of the allocator
 * only, since misc_mtx is held while the sysfs files are removed.
 */
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/percpu-refcount.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "dev/internal.h"

/* ---- sysfs ---- */

/**
 * struct ha_attr - a file with a number
 * @attr: the file
 * @offset: offset of the number, a u64, in the structure that has it
 */
struct ha_attr {
	struct device_attribute attr;
	size_t offset;
};

static struct ha_dev *ha_dev_of(struct device *device)
{
	return container_of(dev_get_drvdata(device), struct ha_dev, misc);
}

static ssize_t ha_emit(struct device_attribute *attr, char *buf, const void *from)
{
	const struct ha_attr *a = container_of(attr, struct ha_attr, attr);

	return sysfs_emit(buf, "%llu\n", *(const u64 *)(from + a->offset));
}

static ssize_t ha_info_show(struct device *device, struct device_attribute *attr, char *buf)
{
	struct hybrid_alloc_info info;

	ha_dev_info(ha_dev_of(device), &info);
	return ha_emit(attr, buf, &info);
}

/**
 * ha_dev_stat - what STAT reports
 * @dev: an instance that is not idle yet
 * @stat: out: all but size, flags and epoch
 * @runs: also count the free runs, see hybrid_alloc_stat()
 *
 * Context: Process context, may sleep.
 * Return: 0, or EINTR the caller was killed; ENODEV the instance is being detached.
 */
int ha_dev_stat(struct ha_dev *dev, struct hybrid_alloc_stat *stat, bool runs)
{
	hybrid_alloc_stat(dev->ha, stat, runs);
	stat->nr_bound = ha_bound_count(dev, &stat->bound_memory);
	stat->nr_watchers = ha_watch_nr(&dev->watch);
	/* then not all of the device may have been looked at */
	if (fatal_signal_pending(current))
		return -EINTR;
	return percpu_ref_is_dying(&dev->calls) ? -ENODEV : 0;
}

static ssize_t ha_stat_show(struct device *device, struct device_attribute *attr, char *buf)
{
	struct hybrid_alloc_stat stat;

	return ha_dev_stat(ha_dev_of(device), &stat, false) ?: ha_emit(attr, buf, &stat);
}

/* The file @_file with the member @_member of struct hybrid_alloc_@_struct. */
#define HA_ATTR(_struct, _file, _member) (&((struct ha_attr[]) { {		\
	.attr = {								\
		.attr = { .name = _file, .mode = 0444 },			\
		.show = ha_##_struct##_show,					\
	},									\
	.offset = offsetof(struct hybrid_alloc_##_struct, _member),		\
} })[0].attr.attr)

#define HA_INFO(_name)	HA_ATTR(info, __stringify(_name), _name)
#define HA_STAT(_name)	HA_ATTR(stat, __stringify(_name), _name)
#define HA_REFUSED(_name, _reason) \
	HA_ATTR(stat, __stringify(_name), refused_frees[HYBRID_ALLOC_REASON_##_reason])

static ssize_t ha_disk_show(struct device *device, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", ha_dev_of(device)->disk);
}

static struct device_attribute dev_attr_disk = __ATTR(disk, 0444, ha_disk_show, NULL);

static ssize_t ha_user_show(struct device *device, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", ha_dev_of(device)->user);
}

static struct device_attribute dev_attr_user = __ATTR(user, 0444, ha_user_show, NULL);

static ssize_t ha_uuid_show(struct device *device, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%pUb\n", ha_dev_of(device)->uuid);
}

static struct device_attribute dev_attr_uuid = __ATTR(uuid, 0444, ha_uuid_show, NULL);

static ssize_t ha_state_show(struct device *device, u32 bit, char *buf)
{
	struct hybrid_alloc_info info;

	ha_dev_info(ha_dev_of(device), &info);
	return sysfs_emit(buf, "%d\n", !!(info.state & bit));
}

static ssize_t ha_sealed_show(struct device *device, struct device_attribute *attr, char *buf)
{
	return ha_state_show(device, HYBRID_ALLOC_STATE_SEALED, buf);
}

static struct device_attribute dev_attr_sealed = __ATTR(sealed, 0444, ha_sealed_show, NULL);

static ssize_t ha_gone_show(struct device *device, struct device_attribute *attr, char *buf)
{
	return ha_state_show(device, HYBRID_ALLOC_STATE_GONE, buf);
}

static struct device_attribute dev_attr_gone = __ATTR(gone, 0444, ha_gone_show, NULL);

static struct attribute *ha_info_attrs[] = {
	&dev_attr_disk.attr,
	&dev_attr_user.attr,
	&dev_attr_uuid.attr,
	&dev_attr_sealed.attr,
	&dev_attr_gone.attr,
	HA_INFO(epoch),
	HA_INFO(features),
	HA_INFO(range_start),
	HA_INFO(range_len),
	HA_INFO(min_block),
	HA_INFO(max_block),
	HA_INFO(slab_max),
	HA_INFO(buddy_start),
	NULL
};

static struct attribute *ha_stat_attrs[] = {
	HA_STAT(capacity),
	HA_STAT(charged),
	HA_STAT(cached),
	HA_STAT(free),
	HA_STAT(retired),
	HA_STAT(unusable),
	HA_STAT(metadata),
	HA_STAT(percpu),
	HA_STAT(nr_live),
	HA_STAT(nr_slabs),
	HA_STAT(largest_free_run),
	HA_STAT(pool_hits),
	HA_STAT(pool_misses),
	HA_STAT(pool_refills),
	HA_STAT(pool_drains),
	HA_STAT(slabs_made),
	HA_STAT(slabs_returned),
	HA_STAT(buddy_splits),
	HA_STAT(buddy_merges),
	HA_STAT(slow_searches),
	HA_STAT(nr_bound),
	HA_STAT(bound_memory),
	HA_STAT(nr_watchers),
	HA_STAT(nr_allocs),
	HA_STAT(reserved),
	HA_STAT(nr_reservations),
	HA_STAT(reserved_refusals),
	NULL
};

static struct attribute *ha_refused_attrs[] = {
	HA_REFUSED(not_allocated, NOT_ALLOCATED),
	HA_REFUSED(wrong_start, WRONG_START),
	HA_REFUSED(wrong_length, WRONG_LENGTH),
	HA_REFUSED(unaligned, UNALIGNED),
	HA_REFUSED(zero_length, ZERO_LENGTH),
	HA_REFUSED(out_of_range, OUT_OF_RANGE),
	HA_REFUSED(foreign, FOREIGN),
	NULL
};

static_assert(ARRAY_SIZE(ha_refused_attrs) == HYBRID_ALLOC_REASON_COUNT);

static const struct attribute_group ha_info_group = {
	.attrs = ha_info_attrs,
};

static const struct attribute_group ha_stat_group = {
	.name = "stat",
	.attrs = ha_stat_attrs,
};

static const struct attribute_group ha_refused_group = {
	.name = "refused_frees",
	.attrs = ha_refused_attrs,
};

const struct attribute_group *ha_dev_groups[] = {
	&ha_info_group,
	&ha_stat_group,
	&ha_refused_group,
	NULL
};

/* ---- debugfs ---- */

static struct dentry *ha_debugfs;

/* The free runs by length, as STAT counts them. */
static int ha_free_runs_show(struct seq_file *m, void *unused)
{
	struct ha_dev *dev = m->private;
	struct hybrid_alloc_stat *stat = kmalloc(sizeof(*stat), GFP_KERNEL);
	int i;

	if (!stat)
		return -ENOMEM;
	hybrid_alloc_stat(dev->ha, stat, true);
	seq_printf(m, "%20s %20s %20s\n", "from", "runs", "bytes");
	for (i = 0; i < HYBRID_ALLOC_RUN_LENGTHS; i++)
		if (stat->run_count[i])
			seq_printf(m, "%20llu %20llu %20llu\n", dev->ha->params.min_block << i,
				   stat->run_count[i], stat->run_bytes[i]);
	kfree(stat);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(ha_free_runs);

/* What the slab layer consists of; "other" objects are in the pools, or held. */
static int ha_slabs_show(struct seq_file *m, void *unused)
{
	struct ha_dev *dev = m->private;
	struct hybrid_alloc *ha = dev->ha;
	struct haslab_census *c = kmalloc(sizeof(*c), GFP_KERNEL);
	int i;

	if (!c)
		return -ENOMEM;
	haslab_census(&ha->pool.slab, c);
	seq_printf(m, "%12s %12s %12s %12s %12s %12s\n",
		   "size", "slabs", "objects", "live", "free", "other");
	for (i = 0; i < HASLAB_NR_CLASSES; i++) {
		typeof(c->class[0]) *class = &c->class[i];

		if (class->slabs)
			seq_printf(m, "%12llu %12llu %12llu %12llu %12llu %12llu\n",
				   (u64)ha->pool.slab.classes[i].blocks << ha->shift, class->slabs,
				   class->objects, class->live, class->free,
				   class->objects - class->live - class->free);
	}
	seq_printf(m, "\n%12s %12s\n", "mixed, full", "slots");
	for (i = 0; i < ARRAY_SIZE(c->mixed); i++)
		if (c->mixed[i])
			seq_printf(m, "%11d%% %12llu\n", i * 10, c->mixed[i]);
	seq_printf(m, "%12s %12llu\n%12s %12llu\n", "as maps", c->nr_bitmaps, "spans", c->nr_spans);
	kfree(c);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(ha_slabs);

/**
 * ha_debugfs_add - make the directory of an instance
 * @dev: the instance
 *
 * A failure is ignored: nothing depends on the directory.
 */
void ha_debugfs_add(struct ha_dev *dev)
{
	dev->debugfs = debugfs_create_dir(dev->name, ha_debugfs);
	debugfs_create_file("free_runs", 0400, dev->debugfs, dev, &ha_free_runs_fops);
	debugfs_create_file("slabs", 0400, dev->debugfs, dev, &ha_slabs_fops);
}

/**
 * ha_debugfs_remove - remove the directory of an instance, and wait for its readers
 * @dev: the instance
 */
void ha_debugfs_remove(struct ha_dev *dev)
{
	debugfs_remove_recursive(dev->debugfs);
}

/**
 * ha_debugfs_init - make the module's directory
 */
void __init ha_debugfs_init(void)
{
	ha_debugfs = debugfs_create_dir("hybrid_alloc", NULL);
}

/**
 * ha_debugfs_exit - remove the module's directory; all instances are detached
 */
void ha_debugfs_exit(void)
{
	debugfs_remove_recursive(ha_debugfs);
}
