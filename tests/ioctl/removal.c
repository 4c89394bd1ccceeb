// SPDX-License-Identifier: GPL-2.0
/*
 * The disk is removed while threads are at work: ENODEV from then on, for ever,
 * and detach and rmmod work. On null_blk (switched off, and its directory
 * removed) and on scsi_debug (deleted as an unplugged disk is).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include "harness.h"

#define NR_THREADS	4
#define NULLB		"hat-gone"

static u32 id;
static atomic_bool stop;
static atomic_uint calls, late, odd, in_enodev;

static void *work(void *arg)
{
	u64 rng = t_seed + (uintptr_t)arg;
	struct hybrid_alloc_extent e[32];
	int fd = ha_must_open(id, O_RDWR), err, nr = 0;
	bool gone = false;

	while (!atomic_load(&stop)) {
		switch (random_next(&rng) % 8) {
		case 0:
			err = ha_stat_err(fd, random_next(&rng) % 2, NULL);
			break;
		case 1:
			err = ha_op(fd, HYBRID_ALLOC_IOC_DRAIN);
			break;
		case 2:
			err = ha_claim(fd, random_next(&rng) % 1024 * BLOCK, BLOCK);
			if (err == EEXIST)
				err = 0;
			break;
		case 3: case 4:
			if (!nr)
				continue;
			nr--;
			err = ha_free(fd, e[nr].start, e[nr].len, NULL);
			break;
		default:
			if (nr == 32)
				nr = 16;	/* some are left behind */
			err = ha_alloc(fd, 1 + random_next(&rng) % (2 * MIB), 0, &e[nr]);
			if (!err)
				nr++;
			if (err == ENOSPC)
				err = 0;
		}
		atomic_fetch_add(&calls, 1);
		if (err == ENODEV && !gone) {
			gone = true;
			atomic_fetch_add(&in_enodev, 1);
		}
		atomic_fetch_add(&late, gone && !err);
		if (err && err != ENODEV && atomic_fetch_add(&odd, 1) < 5)
			t_note("a call got %s", t_strerror(err));
	}
	close(fd);
	return NULL;
}

static void wait_for_calls(unsigned int more)
{
	unsigned int from = atomic_load(&calls);

	while (atomic_load(&calls) - from < more)
		usleep(1000);
}

static void all_enodev(const char *name)
{
	struct hybrid_alloc_info info;
	int fd = ha_open(id, O_RDWR), err;

	if (fd < 0) {
		/* not to let one in is as good */
		t_errno(errno, ENODEV, "%s: open", name);
		return;
	}
	t_errno(ha_alloc(fd, BLOCK, 0, NULL), ENODEV, "%s: ALLOC", name);
	t_errno(ha_free(fd, 0, BLOCK, NULL), ENODEV, "%s: FREE", name);
	t_errno(ha_claim(fd, 0, BLOCK), ENODEV, "%s: CLAIM", name);
	t_errno(ha_op(fd, HYBRID_ALLOC_IOC_SEAL), ENODEV, "%s: SEAL", name);
	t_errno(ha_op(fd, HYBRID_ALLOC_IOC_DRAIN), ENODEV, "%s: DRAIN", name);
	t_errno(ha_stat_err(fd, 0, NULL), ENODEV, "%s: STAT", name);
	t_errno(ha_alloc(fd, 0, 0, NULL), ENODEV, "%s: ENODEV comes before a length of 0", name);
	err = ha_info(fd, 0, 0, &info);
	t_ok(!err && info.state & HYBRID_ALLOC_STATE_GONE, "%s: INFO says that it is gone", name);
	close(fd);
}

static void under_load(const char *name, const char *disk, void (*remove)(void))
{
	pthread_t threads[NR_THREADS];
	uintptr_t i;
	int err;

	id = ha_must_attach(disk, HYBRID_ALLOC_ATTACH_FRESH);
	atomic_store(&stop, false);
	calls = 0;
	late = 0;
	odd = 0;
	in_enodev = 0;
	for (i = 0; i < NR_THREADS; i++)
		pthread_create(&threads[i], NULL, work, (void *)i);
	wait_for_calls(2000);
	remove();
	wait_for_calls(2000);
	/* one of them may not have been on a CPU yet */
	for (i = 0; i < 10000 && atomic_load(&in_enodev) < NR_THREADS; i++)
		usleep(1000);
	t_ok(access(disk, F_OK), "%s: the disk is gone", name);
	all_enodev(name);
	t_errno(ha_detach(id, 0), EBUSY, "%s: DETACH with open files", name);
	atomic_store(&stop, true);
	for (i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	t_eq(in_enodev, NR_THREADS, "%s: every thread got ENODEV", name);
	t_eq(late, 0, "%s: and nothing else from then on", name);
	t_eq(odd, 0, "%s: no other error in %u calls", name, calls);
	err = ha_detach(id, 0);
	t_ok(!err || err == EBUSY, "%s: DETACH with extents that nobody can free", name);
	if (err == EBUSY)
		t_errno(ha_detach(id, HYBRID_ALLOC_DETACH_FORCE), 0, "%s: DETACH by force", name);
	t_errno(ha_rmmod(), 0, "%s: rmmod", name);
}

static void without_load(const char *name, const char *disk, void (*remove)(void), bool rmmod)
{
	char params[128];

	snprintf(params, sizeof(params), "device=%s mode=fresh", disk);
	if (ha_insmod(params))
		t_die("insmod %s", params);
	id = 0;
	remove();
	all_enodev(name);
	if (!rmmod)
		t_errno(ha_detach(id, 0), 0, "%s: DETACH of an idle one", name);
	t_errno(ha_rmmod(), 0, "%s: rmmod%s", name, rmmod ? " with it attached" : "");
}

static void nullb_off(void)
{
	t_nullb_power_off(NULLB);
}

static void nullb_rmdir(void)
{
	t_nullb_remove(NULLB);
}

static char scsi_dir[256];

static void scsi_delete(void)
{
	char path[280];

	snprintf(path, sizeof(path), "%s/device/delete", scsi_dir);
	if (t_write(path, "1"))
		t_die("%s", path);
}

static const char *scsi_make(void)
{
	static char disk[64];
	const char *name = t_scsi_make("dev_size_mb=32");

	snprintf(disk, sizeof(disk), "/dev/%s", name);
	snprintf(scsi_dir, sizeof(scsi_dir), "/sys/block/%s", name);
	return disk;
}

int main(void)
{
	const char *disk;

	t_note("SEED=%llu", t_seed);
	if (ha_loaded() && ha_rmmod())
		t_die("the module is in use");

	if (ha_insmod(""))
		t_die("insmod");
	t_nullb_make(NULLB, (struct t_disk_opts){ .mib = 512 });
	under_load("null_blk off", "/dev/" NULLB, nullb_off);
	t_nullb_remove(NULLB);

	if (ha_insmod(""))
		t_die("insmod");
	t_nullb_make(NULLB, (struct t_disk_opts){ .mib = 512 });
	under_load("null_blk removed", "/dev/" NULLB, nullb_rmdir);

	/* a disk of the same name again */
	t_nullb_make(NULLB, (struct t_disk_opts){ .mib = 512 });
	without_load("null_blk, idle", "/dev/" NULLB, nullb_rmdir, false);
	t_nullb_make(NULLB, (struct t_disk_opts){ .mib = 512 });
	without_load("null_blk, rmmod", "/dev/" NULLB, nullb_rmdir, true);

	if (ha_insmod(""))
		t_die("insmod");
	disk = scsi_make();
	under_load("scsi_debug", disk, scsi_delete);
	t_errno(system("rmmod scsi_debug"), 0, "scsi_debug: rmmod of the disk's driver");
	disk = scsi_make();
	without_load("scsi_debug, rmmod", disk, scsi_delete, true);
	t_errno(system("rmmod scsi_debug"), 0, "scsi_debug: rmmod of the disk's driver");
	return t_done();
}
