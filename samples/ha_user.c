// SPDX-License-Identifier: GPL-2.0
/*
 * ha_user - a sample kernel user of hybrid_alloc
 *
 * Uses the exported API as a file system or a device-mapper target does, on a small scale: it
 * is a store of segments on a block device. When it is loaded, it
 *
 *  - opens the device exclusively, and an allocator on all but its first MiB, where a real
 *    store would keep its catalogue;
 *  - writes segments: a work item allocates space for each. The system may be waiting for
 *    this writeback to get memory, so nothing in it may wait for other I/O: GFP_NOIO;
 *  - compares its catalogue with the allocator's map of the device.
 *
 * Meanwhile `hybridctl list`, `stat` and `map` show it, by its name.
 *
 * When it is unloaded, it frees all segments. It writes nothing to the device. Still, use a
 * device whose data is not needed:
 *
 *	insmod ha_user.ko device=/dev/vdb nr=1000 kib=68
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blkdev.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/version.h>
#include <linux/workqueue.h>
#include "hybrid_alloc.h"

#define MAX_SEGMENTS	1000000U

static char *device;
module_param(device, charp, 0444);
MODULE_PARM_DESC(device, "block device to use, by path");

static unsigned int nr = 64;
module_param(nr, uint, 0444);
MODULE_PARM_DESC(nr, "number of segments, at most a million");

static unsigned int kib = 256;
module_param(kib, uint, 0444);
MODULE_PARM_DESC(kib, "size of a segment in KiB");

/**
 * struct ha_user - a store of segments
 * @bdev: the block device
 * @file: the same as an open file, from Linux 6.9 on
 * @ha: the allocator on it
 * @wq: the workqueue of the writeback
 * @write: the writeback
 * @segments: the catalogue
 * @nr_segments: number of segments written
 * @err: why the writeback stopped early, or 0
 */
static struct ha_user {
	struct block_device *bdev;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
	struct file *file;
#endif
	struct hybrid_alloc *ha;
	struct workqueue_struct *wq;
	struct work_struct write;
	struct hybrid_alloc_range *segments;
	unsigned int nr_segments;
	int err;
} user;

/* For the store alone. */
static int ha_user_open_disk(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
	user.file = bdev_file_open_by_path(device, BLK_OPEN_READ | BLK_OPEN_WRITE, &user, NULL);
	if (IS_ERR(user.file))
		return PTR_ERR(user.file);
	user.bdev = file_bdev(user.file);
	return 0;
#else
	user.bdev = blkdev_get_by_path(device, FMODE_READ | FMODE_WRITE | FMODE_EXCL, &user);
	return PTR_ERR_OR_ZERO(user.bdev);
#endif
}

static void ha_user_close_disk(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
	bdev_fput(user.file);
#else
	blkdev_put(user.bdev, FMODE_READ | FMODE_WRITE | FMODE_EXCL);
#endif
}

/* Each segment starts right after the last one, if that space is free. */
static void ha_user_write(struct work_struct *work)
{
	u64 goal = HYBRID_ALLOC_NO_GOAL;

	while (user.nr_segments < nr) {
		struct hybrid_alloc_range *s = &user.segments[user.nr_segments];

		user.err = hybrid_alloc_alloc(user.ha, (u64)kib * SZ_1K, 0, goal, GFP_NOIO, s);
		if (user.err)
			return;
		goal = s->start + s->len;
		/* Here the data would be written to s->start, and then the catalogue. */
		user.nr_segments++;
		cond_resched();
	}
}

/* Whether the allocator's live extents are exactly the segments. */
static int ha_user_compare(void)
{
	struct hybrid_alloc_map_entry e;
	unsigned int nr_live = 0, i;
	u64 pos = 0;
	int ret;

	while ((ret = hybrid_alloc_map(user.ha, pos, &e, 1, GFP_KERNEL)) == 1) {
		nr_live += e.state == HYBRID_ALLOC_MAP_LIVE;
		pos = e.start + e.len;
	}
	if (ret)
		return ret;
	for (i = 0; i < user.nr_segments; i++) {
		ret = hybrid_alloc_map(user.ha, user.segments[i].start, &e, 1, GFP_KERNEL);
		if (ret < 0)
			return ret;
		if (!ret || e.start != user.segments[i].start || e.len != user.segments[i].len ||
		    e.state != HYBRID_ALLOC_MAP_LIVE)
			return -EUCLEAN;
	}
	return nr_live == user.nr_segments ? 0 : -EUCLEAN;
}

static void ha_user_free_all(void)
{
	struct hybrid_alloc_range *s;

	while (user.nr_segments) {
		s = &user.segments[--user.nr_segments];
		if (hybrid_alloc_free(user.ha, s->start, s->len, NULL))
			pr_err("the segment at %llu cannot be freed\n", s->start);
	}
}

static int __init ha_user_init(void)
{
	char name[HYBRID_ALLOC_MAX_NAME + 1];
	const struct hybrid_alloc_params params = { .name = name, .range_start = SZ_1M };
	int ret;

	if (!device || !nr || nr > MAX_SEGMENTS || !kib) {
		pr_err("device=, nr= (1 to %u) and kib= are needed\n", MAX_SEGMENTS);
		return -EINVAL;
	}
	user.segments = kvcalloc(nr, sizeof(*user.segments), GFP_KERNEL);
	if (!user.segments)
		return -ENOMEM;
	ret = ha_user_open_disk();
	if (ret)
		goto out_segments;
	snprintf(name, sizeof(name), "ha_user:%pg", user.bdev);
	user.ha = hybrid_alloc_open(user.bdev, &params, GFP_KERNEL);
	if (IS_ERR(user.ha)) {
		ret = PTR_ERR(user.ha);
		goto out_disk;
	}
	user.wq = alloc_workqueue("ha_user", WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!user.wq) {
		ret = -ENOMEM;
		goto out_close;
	}

	INIT_WORK(&user.write, ha_user_write);
	queue_work(user.wq, &user.write);
	flush_work(&user.write);
	ret = user.err ?: ha_user_compare();
	if (ret) {
		pr_err("%u of %u segments, error %d\n", user.nr_segments, nr, ret);
		goto out_free;
	}
	pr_info("%u segments of %u KiB on %pg\n", nr, kib, user.bdev);
	return 0;

out_free:
	ha_user_free_all();
	destroy_workqueue(user.wq);
out_close:
	hybrid_alloc_close(user.ha);
out_disk:
	ha_user_close_disk();
out_segments:
	kvfree(user.segments);
	return ret;
}

static void __exit ha_user_exit(void)
{
	struct hybrid_alloc_stat st;

	ha_user_free_all();
	destroy_workqueue(user.wq);
	hybrid_alloc_drain(user.ha);
	hybrid_alloc_stat(user.ha, &st, true);
	if (st.charged || st.nr_free_runs != 1)
		pr_err("%llu bytes were not returned\n", st.charged);
	else
		pr_info("all came back\n");
	hybrid_alloc_close(user.ha);
	ha_user_close_disk();
	kvfree(user.segments);
}

module_init(ha_user_init);
module_exit(ha_user_exit);

MODULE_DESCRIPTION("Sample: a store of segments that uses hybrid_alloc");
MODULE_AUTHOR("The hybrid_alloc developers");
MODULE_LICENSE("GPL");
