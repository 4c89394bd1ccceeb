// SPDX-License-Identifier: GPL-2.0
/*
 * ha_probe - users in the kernel, for tests/ioctl/user.c
 *
 * Has up to NR_USERS allocators on parts of a device, and does with them what is written to
 * the parameter "run"; the write gets the errno, and the parameter "result" a number:
 *
 *	open I NAME FLAGS   open allocator I with that name; without one if it is "-"
 *	close I
 *	alloc I KIB         result: where
 *	killed I            a call of a killed task that has to wait; result: its errno
 *	reclaim I           use all entry points, as memory reclaim does and otherwise
 *
 * The disk ha_stacked, which reads as zeroes, uses allocator 0 while it discards.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include "api.h"	/* of the private ones for pool.slow only */
#include "compat.h"

#define NR_USERS	4
#define PART		((u64)SZ_64M)

static char *device;
module_param(device, charp, 0444);
MODULE_PARM_DESC(device, "block device to use, by path");

static unsigned long long result;
module_param(result, ullong, 0444);
MODULE_PARM_DESC(result, "of the last command");

static atomic_t nr_discards;
static struct ha_bdev disk;
static struct hybrid_alloc *users[NR_USERS];

/* ---- what users do ---- */

/* A claim of what has just been freed has to take it out of a pool: in the slow mode. */
static int claim_cached(struct hybrid_alloc *ha, gfp_t gfp)
{
	struct hybrid_alloc_range r;
	int ret;

	ret = hybrid_alloc_alloc(ha, SZ_4K, 0, HYBRID_ALLOC_NO_GOAL, gfp, &r);
	if (ret)
		return ret;
	ret = hybrid_alloc_free(ha, r.start, r.len, NULL);
	if (ret)
		return ret;
	ret = hybrid_alloc_claim(ha, r.start, r.len, gfp);
	if (ret)
		return ret;
	return hybrid_alloc_free(ha, r.start, r.len, NULL);
}

/* An extent becomes longer, is divided, loses a block of its middle, and is freed as a row. */
static int use_parts(struct hybrid_alloc *ha, u64 len, gfp_t gfp)
{
	struct hybrid_alloc_range r;
	u64 got;
	int ret;

	ret = hybrid_alloc_alloc(ha, len, 0, HYBRID_ALLOC_NO_GOAL, gfp, &r);
	if (ret)
		return ret;
	ret = hybrid_alloc_extend(ha, r.start, r.len, SZ_64K, SZ_4K, gfp, &got, NULL);
	if (ret)
		return ret;
	r.len += got;
	if (hybrid_alloc_split(ha, r.start, r.len, r.start + r.len, gfp, NULL) != -EINVAL)
		return -EUCLEAN;
	ret = hybrid_alloc_split(ha, r.start, r.len, r.start + SZ_4K, gfp, NULL) ?:
	      hybrid_alloc_free_part(ha, r.start + r.len - SZ_4K, SZ_4K, gfp, NULL);
	if (ret)
		return ret;
	return hybrid_alloc_free_part(ha, r.start, r.len - SZ_4K, gfp, NULL);
}

static int fill_and_free(struct hybrid_alloc *ha, u64 len, gfp_t gfp)
{
	struct hybrid_alloc_range r[PART / SZ_4M + 1];
	unsigned int nr = 0;
	int ret, err;

	do {
		ret = hybrid_alloc_alloc(ha, len, 0, HYBRID_ALLOC_NO_GOAL, gfp, &r[nr]);
	} while (!ret && ++nr < ARRAY_SIZE(r));
	while (nr--) {
		err = hybrid_alloc_free(ha, r[nr].start, r[nr].len, NULL);
		if (err)
			return err;
	}
	return ret == -ENOSPC ? 0 : -EUCLEAN;
}

/* It is opened before: that is not for where memory reclaim waits for the caller. */
static struct hybrid_alloc_reservation rsv;

/* Reserves all that is free, of which others get none, and uses some of it. */
static int use_reservation(struct hybrid_alloc *ha, gfp_t gfp)
{
	struct hybrid_alloc_stat *st = kzalloc(sizeof(*st), gfp);
	struct hybrid_alloc_range r, none;
	u64 left;
	int ret;

	if (!st)
		return -ENOMEM;
	hybrid_alloc_stat(ha, st, false);
	left = st->free + st->cached;
	kfree(st);
	if (hybrid_alloc_reserve(&rsv, left + 1, gfp) != -ENOSPC)
		return -EUCLEAN;
	ret = hybrid_alloc_reserve(&rsv, left, gfp);
	if (ret)
		return ret;
	if (hybrid_alloc_alloc(ha, SZ_4K, 0, HYBRID_ALLOC_NO_GOAL, gfp, &none) != -ENOSPC ||
	    hybrid_alloc_reserved(&rsv) != left)
		return -EUCLEAN;
	ret = hybrid_alloc_alloc_reserved(&rsv, SZ_4K, 0, HYBRID_ALLOC_NO_GOAL, gfp, &r);
	if (ret)
		return ret;
	if (hybrid_alloc_unreserve(&rsv, left) != -EINVAL)
		return -EUCLEAN;
	ret = hybrid_alloc_unreserve(&rsv, left - SZ_4K);
	return ret ?: hybrid_alloc_free(ha, r.start, r.len, NULL);
}

/* All that may be called where memory reclaim waits for the caller. */
static int use(struct hybrid_alloc *ha, gfp_t gfp)
{
	static const u32 kib[] = { 4, 64, 68, 1024, 3000, 20000 };
	struct hybrid_alloc_map_entry e[4];
	struct hybrid_alloc_stat *st;
	struct hybrid_alloc_range r;
	u64 pos = 0;
	int ret;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(kib) * 2; i++) {
		ret = hybrid_alloc_alloc(ha, (u64)kib[i / 2] * SZ_1K, i & 1 ? SZ_64K : 0,
					 i & 1 ? SZ_32M : HYBRID_ALLOC_NO_GOAL, gfp, &r);
		if (ret)
			return ret;
		if (hybrid_alloc_free(ha, r.start, r.len + SZ_4K, NULL) != -EINVAL)
			return -EUCLEAN;
		ret = hybrid_alloc_free(ha, r.start, r.len, NULL) ?:
		      use_parts(ha, (u64)kib[i / 2] * SZ_1K, gfp);
		if (ret)
			return ret;
	}
	ret = fill_and_free(ha, SZ_4M, gfp) ?: claim_cached(ha, gfp) ?: use_reservation(ha, gfp);
	if (ret)
		return ret;
	while ((ret = hybrid_alloc_map(ha, pos, e, ARRAY_SIZE(e), gfp)) > 0)
		pos = e[ret - 1].start + e[ret - 1].len;
	if (ret)
		return ret;
	hybrid_alloc_drain(ha);
	st = kzalloc(sizeof(*st), gfp);
	if (!st)
		return -ENOMEM;
	hybrid_alloc_stat(ha, st, true);
	ret = st->charged ? -EUCLEAN : 0;
	kfree(st);
	return ret;
}

/*
 * Opening and closing are for where memory may be waited for in any way. No failure is injected:
 * vmalloc() asks for some memory without waiting, and cannot do without.
 */
static int open_and_close(void)
{
	struct hybrid_alloc *ha;
#ifdef CONFIG_FAULT_INJECTION
	bool fails = current->make_it_fail;

	current->make_it_fail = 0;
#endif
	ha = hybrid_alloc_open(disk.bdev, NULL, GFP_KERNEL);
#ifdef CONFIG_FAULT_INJECTION
	current->make_it_fail = fails;
#endif
	if (IS_ERR(ha))
		return PTR_ERR(ha);
	hybrid_alloc_close(ha);
	return 0;
}

static int use_all(struct hybrid_alloc *ha)
{
	int ret;

	ret = use(ha, GFP_KERNEL);
	if (ret)
		return ret;
	fs_reclaim_acquire(GFP_KERNEL);
	ret = use(ha, GFP_NOIO);
	if (!ret)
		ret = use(ha, GFP_NOFS);
	fs_reclaim_release(GFP_KERNEL);
	return ret ?: open_and_close() ?: use(ha, GFP_KERNEL);
}

static int use_in_reclaim(struct hybrid_alloc *ha)
{
	int ret = hybrid_alloc_reservation_open(ha, &rsv);

	if (ret)
		return ret;
	ret = use_all(ha);
	hybrid_alloc_reservation_close(&rsv);
	return ret;
}

/* ---- a task that is killed ---- */

struct killed {
	struct hybrid_alloc *ha;
	struct completion done;
	int ret;
};

static int run_as_killed(void *data)
{
	struct killed *k = data;

	/* a kernel thread gets no signals; nothing but these is looked at */
	sigaddset(&current->pending.signal, SIGKILL);
	set_thread_flag(TIF_SIGPENDING);
	k->ret = claim_cached(k->ha, GFP_NOIO);
	sigdelset(&current->pending.signal, SIGKILL);
	clear_thread_flag(TIF_SIGPENDING);
	complete(&k->done);
	while (!kthread_should_stop())
		schedule_timeout_idle(1);
	return 0;
}

/* What a killed task gets for a call that has to wait for another one. */
static int run_killed(struct hybrid_alloc *ha)
{
	struct killed k = { .ha = ha };
	struct task_struct *task;

	init_completion(&k.done);
	task = kthread_create(run_as_killed, &k, "ha_probe_killed");
	if (IS_ERR(task))
		return PTR_ERR(task);
	mutex_lock(&ha->pool.slow);
	wake_up_process(task);
	/* until it has given up, or waits so that no signal ends it */
	while (!try_wait_for_completion(&k.done)) {
		if (READ_ONCE(task->__state) == TASK_UNINTERRUPTIBLE) {
			mutex_unlock(&ha->pool.slow);
			wait_for_completion(&k.done);
			mutex_lock(&ha->pool.slow);
			break;
		}
		schedule_timeout_uninterruptible(1);
	}
	mutex_unlock(&ha->pool.slow);
	kthread_stop(task);
	result = -k.ret;
	return 0;
}

/* ---- the disk ---- */

static void stacked_submit_bio(struct bio *bio)
{
	if (bio_op(bio) == REQ_OP_DISCARD && users[0]) {
		atomic_inc(&nr_discards);
		if (claim_cached(users[0], GFP_NOIO))
			bio->bi_status = BLK_STS_IOERR;
	} else if (bio_op(bio) == REQ_OP_READ) {
		zero_fill_bio(bio);
	}
	bio_endio(bio);
}

static const struct block_device_operations stacked_ops = {
	.owner = THIS_MODULE,
	.submit_bio = stacked_submit_bio,
};

static struct gendisk *stacked;

static struct gendisk *stacked_alloc(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
	struct queue_limits lim = {
		.max_hw_discard_sectors = UINT_MAX,
		.discard_granularity = SZ_4K,
	};

	return blk_alloc_disk(&lim, NUMA_NO_NODE);
#else
	struct gendisk *d = blk_alloc_disk(NUMA_NO_NODE);

	if (!d)
		return ERR_PTR(-ENOMEM);
	blk_queue_max_discard_sectors(d->queue, UINT_MAX);
	d->queue->limits.discard_granularity = SZ_4K;
	return d;
#endif
}

static int stacked_add(void)
{
	int ret;

	stacked = stacked_alloc();
	if (IS_ERR(stacked))
		return PTR_ERR(stacked);
	stacked->fops = &stacked_ops;
	stacked->flags |= GENHD_FL_NO_PART;
	strscpy(stacked->disk_name, "ha_stacked", DISK_NAME_LEN);
	set_capacity(stacked, SZ_128M >> SECTOR_SHIFT);
	ret = add_disk(stacked);
	if (ret)
		put_disk(stacked);
	return ret;
}

/* ---- commands ---- */

static int run_open(unsigned int i, const char *name, u32 flags)
{
	struct hybrid_alloc_params params = {
		.name = strcmp(name, "-") ? name : NULL,
		.flags = flags,
		.range_start = i * PART,
		.range_len = PART,
	};
	struct hybrid_alloc *ha;

	if (users[i])
		return -EALREADY;
	ha = hybrid_alloc_open(disk.bdev, &params, GFP_KERNEL);
	if (IS_ERR(ha))
		return PTR_ERR(ha);
	users[i] = ha;
	return 0;
}

static int run_close(unsigned int i)
{
	if (users[i])
		hybrid_alloc_close(users[i]);
	users[i] = NULL;
	return 0;
}

static int run_alloc(struct hybrid_alloc *ha, u32 kib)
{
	struct hybrid_alloc_range r;
	int ret = hybrid_alloc_alloc(ha, (u64)kib * SZ_1K, 0, HYBRID_ALLOC_NO_GOAL, GFP_KERNEL, &r);

	if (!ret)
		result = r.start;
	return ret;
}

static int run_set(const char *val, const struct kernel_param *kp)
{
	char command[16], name[64];
	unsigned int i, n = 0;
	int words;

	words = sscanf(val, "%15s %u %63s %u", command, &i, name, &n);
	if (words < 2 || i >= NR_USERS || !disk.bdev)
		return -EBADRQC;
	if (!strcmp(command, "open") && words >= 3)
		return run_open(i, name, n);
	if (!strcmp(command, "close"))
		return run_close(i);
	if (!users[i])
		return -EBADRQC;
	if (!strcmp(command, "reclaim"))
		return use_in_reclaim(users[i]);
	if (!strcmp(command, "killed"))
		return run_killed(users[i]);
	if (!strcmp(command, "alloc") && words == 3 && !kstrtouint(name, 10, &n))
		return run_alloc(users[i], n);
	return -EBADRQC;
}

static int discards_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%d\n", atomic_read(&nr_discards));
}

static const struct kernel_param_ops run_ops = { .set = run_set };
module_param_cb(run, &run_ops, NULL, 0200);
MODULE_PARM_DESC(run, "a command, see above");

static const struct kernel_param_ops discards_ops = { .get = discards_get };
module_param_cb(discards, &discards_ops, NULL, 0444);
MODULE_PARM_DESC(discards, "how many discards the stacked disk has got");

static int __init ha_probe_init(void)
{
	int ret;

	if (!device)
		return -EINVAL;
	ret = compat_bdev_open_path(&disk, device, &disk);
	if (ret)
		return ret;
	ret = stacked_add();
	if (ret)
		compat_bdev_close(&disk);
	return ret;
}

static void __exit ha_probe_exit(void)
{
	unsigned int i;

	del_gendisk(stacked);
	put_disk(stacked);
	for (i = 0; i < NR_USERS; i++)
		run_close(i);
	compat_bdev_close(&disk);
}

module_init(ha_probe_init);
module_exit(ha_probe_exit);

MODULE_DESCRIPTION("Test: users of hybrid_alloc in the kernel");
MODULE_AUTHOR("The hybrid_alloc developers");
MODULE_LICENSE("GPL");
