// SPDX-License-Identifier: GPL-2.0
/*
 * The life of an instance: attach, detach and rmmod with open files and with
 * live extents, by force, through the module's parameters, again after a
 * detach, and in rebuild mode.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <linux/fs.h>
#include "harness.h"

#define ONE		"/dev/hat-one"
#define TWO		"/dev/hat-two"
#define MIB_EACH	128
#define FRESH		HYBRID_ALLOC_ATTACH_FRESH
#define FORCE		HYBRID_ALLOC_DETACH_FORCE

static atomic_bool stop;

static void must_insmod(const char *params)
{
	int err = ha_insmod(params);

	if (err)
		t_die("insmod %s: %s", params, t_strerror(err));
}

static struct hybrid_alloc_info info_of(int fd)
{
	struct hybrid_alloc_info info;

	if (ha_info(fd, 0, 0, &info))
		t_die("INFO");
	return info;
}

static bool refused_rmmod(int err)
{
	return err == EBUSY || err == EWOULDBLOCK;
}

static void test_busy(void)
{
	struct hybrid_alloc_extent e;
	int fd, other, status;
	char c;
	pid_t pid;
	u32 id;
	int p[2];

	must_insmod("");
	t_ok(ha_nothing_attached(), "insmod without a device attaches nothing");
	id = ha_must_attach(ONE, FRESH);
	t_eq(id, 0, "the first instance is number 0");
	t_errno(ha_attach(NULL, ONE, FRESH, NULL), EBUSY, "ATTACH of what is attached");
	t_ok(!t_disk_is_free(ONE), "nobody else can have the disk");

	fd = ha_must_open(id, O_RDWR);
	t_errno(ha_detach(id, 0), EBUSY, "DETACH with an open file");
	t_ok(refused_rmmod(ha_rmmod()), "rmmod with an open file is refused");
	t_errno(ha_alloc(fd, MIB, 0, &e), 0, "ALLOC works after refused DETACH and rmmod");
	t_errno(ha_detach(id, 0), EBUSY, "DETACH with an open file and a live extent");
	close(fd);
	t_errno(ha_detach(id, 0), EBUSY, "DETACH with a live extent only");
	t_ok(refused_rmmod(ha_rmmod()), "rmmod with a live extent only is refused");

	fd = ha_must_open(id, O_RDONLY);
	t_eq(ha_stat(fd, 0).nr_live, 1, "the extent is still live for the next to open it");
	close(fd);
	t_ok(refused_rmmod(ha_rmmod()), "rmmod after another open and close is refused");
	fd = ha_must_open(id, O_RDWR);
	t_errno(ha_free(fd, e.start, e.len, NULL), 0, "who did not allocate it may free it");

	/* a copy of the file in another process */
	if (pipe(p))
		t_die("pipe");
	pid = fork();
	if (!pid) {
		close(p[1]);
		_exit(read(p[0], &c, 1) < 0);
	}
	close(p[0]);
	close(fd);
	t_errno(ha_detach(id, 0), EBUSY, "DETACH while a child has the file open");
	close(p[1]);
	waitpid(pid, &status, 0);
	t_errno(ha_detach(id, 0), 0, "DETACH once all is closed and free");
	t_ok(ha_open(id, O_RDONLY) < 0 && errno == ENOENT, "the node is gone");
	t_ok(t_disk_is_free(ONE), "the disk is free");

	/* whoever is killed leaves what it allocated to the node */
	id = ha_must_attach(ONE, FRESH);
	pid = fork();
	if (!pid) {
		fd = ha_must_open(id, O_RDWR);
		while (!ha_alloc(fd, 64 * KIB, 0, &e))
			;
		pause();
	}
	other = ha_must_open(id, O_RDWR);
	while (ha_stat(other, 0).charged < 64 * MIB)
		;
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	t_ok(ha_stat(other, 0).charged >= 64 * MIB, "extents outlive who allocated them");
	close(other);
	t_errno(ha_detach(id, 0), EBUSY, "and keep the instance");
	t_errno(ha_detach(id, FORCE), 0, "until it is detached by force");
	t_errno(ha_rmmod(), 0, "rmmod");
}

static void test_force(void)
{
	struct hybrid_alloc_extent e, f;
	struct hybrid_alloc_info old, new;
	struct hybrid_alloc_alloc a = { .size = sizeof(a), .len = BLOCK };
	int fd, ro, again;
	u32 id;

	must_insmod("");
	id = ha_must_attach(ONE, FRESH);
	fd = ha_must_open(id, O_RDWR);
	ro = ha_must_open(id, O_RDONLY);
	old = info_of(fd);
	if (ha_alloc(fd, MIB, 0, &e))
		t_die("ALLOC");
	t_errno(ha_detach(id, FORCE), 0, "forced DETACH with open files and live extents");
	t_ok(ha_nothing_attached(), "the instance is gone");
	t_ok(t_disk_is_free(ONE), "the disk is free although files are open");
	t_ok(ha_open(id, O_RDONLY) < 0 && errno == ENOENT, "the node is gone");
	t_errno(ha_alloc(fd, BLOCK, 0, &f), ENODEV, "ALLOC on a file that stayed open");
	t_errno(ha_free(fd, e.start, e.len, NULL), ENODEV, "FREE");
	t_errno(ha_claim(fd, e.start, e.len), ENODEV, "CLAIM");
	t_errno(ha_op(fd, HYBRID_ALLOC_IOC_SEAL), ENODEV, "SEAL");
	t_errno(ha_op(fd, HYBRID_ALLOC_IOC_DRAIN), ENODEV, "DRAIN");
	t_errno(ha_stat_err(ro, 0, NULL), ENODEV, "STAT");
	t_errno(ha_info(ro, 0, 0, NULL), ENODEV, "INFO");
	t_errno(ha_free(ro, e.start, e.len, NULL), EBADF, "a read-only file comes before ENODEV");
	t_errno(ha_alloc(fd, 0, 0, NULL), ENODEV, "ENODEV comes before a length of 0");
	t_ok(refused_rmmod(ha_rmmod()), "rmmod while the files are open is refused");

	/* the same disk again, with the old files still there */
	id = ha_must_attach(ONE, FRESH);
	again = ha_must_open(id, O_RDWR);
	new = info_of(again);
	t_ok(new.epoch != old.epoch, "a new attach has another epoch");
	t_ok(memcmp(new.uuid, old.uuid, sizeof(old.uuid)), "and another UUID");
	t_eq(ha_stat(again, 0).charged, 0, "and has forgotten the extents");
	t_errno(ha_alloc(fd, BLOCK, 0, &f), ENODEV, "the old files do not come to life");
	a.epoch = old.epoch;
	t_errno(ha_ioctl(again, HYBRID_ALLOC_IOC_ALLOC, &a), ESTALE, "the old epoch is stale");
	a.epoch = new.epoch;
	t_errno(ha_ioctl(again, HYBRID_ALLOC_IOC_ALLOC, &a), 0, "the new one is not");
	t_errno(ha_free(again, a.extent.start, a.extent.len, NULL), 0, "FREE");
	close(fd);
	close(ro);
	t_errno(ha_detach(id, 0), EBUSY, "closing old files does not count for the new ones");
	close(again);
	t_errno(ha_detach(id, 0), 0, "DETACH");
	t_log_lines();
	t_errno(ha_rmmod(), 0, "rmmod after a forced detach");
	t_ok(t_log_lines() > 0, "which logs that extents were forgotten");
}

static void test_params(void)
{
	static const struct {
		const char *params;
		int want;
	} bad[] = {
		{ "device=" ONE ",/dev/null mode=fresh", ENOTBLK },
		{ "device=" ONE ",/proc/version mode=fresh", ENOTBLK },
		{ "device=" ONE "," TWO "," ONE " mode=fresh", EBUSY },
		{ "device=" ONE ",/dev/hat-ro mode=fresh", EROFS },
		{ "device=" ONE ",/dev/hat-zone mode=fresh", EOPNOTSUPP },
		{ "device=" ONE ",/dev/loop0 mode=fresh", EINVAL },
		{ "device=" ONE " mode=new", EINVAL },
		{ "device=" ONE " mode=fresh min_block=12K", EINVAL },
		{ "device=" ONE " mode=fresh min_block=64KB", EINVAL },
		{ "device=" ONE " mode=fresh max_block=", EINVAL },
		{ "device=" ONE " mode=fresh max_block=16E", EINVAL },
		{ "device=" ONE " mode=fresh max_block=20E", EINVAL },
		{ "device=" ONE " mode=fresh min_block=18446744073709617152", EINVAL },
		{ "device=" ONE " mode=fresh min_block=4K4", EINVAL },
		{ "device=" ONE " mode=fresh max_block=6K", EINVAL },
		{ "device=" ONE " mode=fresh slab_max=-1", EINVAL },
		{ "device=" ONE " mode=fresh slab_max=8M", EINVAL },
		{ "device=" ONE " mode=fresh buddy_start=96K", EINVAL },
	};
	struct hybrid_alloc_extent e;
	struct hybrid_alloc_info info;
	int ro, fd, err;
	size_t i;

	t_nullb_make("hat-ro", (struct t_disk_opts){ .mib = 64 });
	t_nullb_make("hat-zone", (struct t_disk_opts){ .mib = 1024, .zoned = true });
	ro = open("/dev/hat-ro", O_RDWR | O_CLOEXEC);
	ioctl(ro, BLKROSET, &(int){ 1 });
	t_modprobe("loop", "");
	if (system("truncate -s 512K /tmp/hat-small && losetup /dev/loop0 /tmp/hat-small"))
		t_die("loop device");

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		t_log_lines();
		err = ha_insmod(bad[i].params);
		t_ok(err == bad[i].want && t_log_lines() == 1,
		     "insmod %s: %s and one line in the log", bad[i].params,
		     t_strerror(bad[i].want));
		if (err != bad[i].want)
			t_note("got %s", t_strerror(err));
		t_ok(!ha_loaded() && t_disk_is_free(ONE) && t_disk_is_free(TWO) &&
		     access(HYBRID_ALLOC_CONTROL_NODE, F_OK) &&
		     access(HYBRID_ALLOC_CONTROL_NODE "0", F_OK), "and nothing stays behind");
		ha_rmmod();
	}
	system("losetup -d /dev/loop0; rm /tmp/hat-small");
	close(ro);
	t_nullb_remove("hat-ro");
	t_nullb_remove("hat-zone");

	must_insmod("device=" ONE "," TWO " mode=fresh");
	fd = ha_must_open(1, O_RDWR);
	info = info_of(fd);
	t_ok(!strcmp((char *)info.disk, "hat-two") && !info.state,
	     "insmod with two devices: the second is number 1, fresh");
	t_errno(ha_alloc(fd, MIB, 0, &e), 0, "ALLOC");
	t_ok(refused_rmmod(ha_rmmod()), "rmmod with an open file is refused");
	close(fd);
	t_ok(refused_rmmod(ha_rmmod()), "rmmod with a live extent is refused");
	fd = ha_must_open(1, O_RDWR);
	t_errno(ha_free(fd, e.start, e.len, NULL), 0, "FREE");
	close(fd);
	t_errno(ha_rmmod(), 0, "rmmod detaches what is attached");
	t_ok(t_disk_is_free(ONE) && t_disk_is_free(TWO), "both disks are free");

	must_insmod("device=" ONE);
	fd = ha_must_open(0, O_RDWR);
	info = info_of(fd);
	t_eq(info.state, HYBRID_ALLOC_STATE_SEALED, "without a mode it is sealed");
	t_errno(ha_alloc(fd, MIB, 0, &e), EAGAIN, "and ALLOC refused");
	close(fd);
	t_errno(ha_rmmod(), 0, "rmmod of a sealed one");
}

/* A disk that is not there keeps neither the module nor the other disks away. */
static void test_missing(void)
{
	static const struct {
		const char *params;
		int one;	/* number of ONE, or -1 */
	} t[] = {
		{ "device=/dev/hat-none mode=fresh", -1 },
		{ "device=/dev/hat-none," ONE " mode=fresh", 0 },
		{ "device=" ONE ",/dev/hat-none mode=fresh", 0 },
		{ "device=" TWO ",/dev/hat-none," ONE " mode=fresh", 1 },
		{ "device=/dev/hat-none," ONE, 0 },
	};
	struct hybrid_alloc_info info;
	size_t i;
	int err;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		t_log_lines();
		err = ha_insmod(t[i].params);
		if (!t_errno(err, 0, "insmod %s", t[i].params))
			continue;
		t_eq(t_log_with(" /dev/hat-none: not attached, there is no such file", NULL), 1,
		     "a line in the log names the disk that is not there");
		if (t[i].one < 0) {
			t_ok(ha_nothing_attached(), "nothing is attached");
			t_eq(ha_must_attach(ONE, FRESH), 0, "what is there can be");
		} else {
			int fd = ha_must_open(t[i].one, O_RDONLY);

			info = info_of(fd);
			t_ok(!strcmp((char *)info.disk, "hat-one"), "the other disk is attached");
			close(fd);
		}
		t_errno(ha_rmmod(), 0, "rmmod");
	}

	/* a node without its disk */
	mknod("/tmp/hat-stale", S_IFBLK | 0600, makedev(259, 0xfffff));
	t_log_lines();
	err = ha_insmod("device=/tmp/hat-stale," ONE " mode=fresh");
	t_ok(!err && t_log_with(" /tmp/hat-stale: the device went away", NULL) == 1,
	     "insmod with a node without its disk: a line in the log");
	t_errno(ha_detach(0, 0), 0, "the other disk is attached");
	t_errno(ha_rmmod(), 0, "rmmod");
	unlink("/tmp/hat-stale");
}

/* The sizes among the parameters are for each of the devices; without one, a line says so. */
static void test_param_sizes(void)
{
	struct hybrid_alloc_extent e;
	struct hybrid_alloc_info info;
	int fd, err;
	u32 id;

	t_log_lines();
	t_errno(ha_insmod("device=" ONE ", mode=fresh"), EINVAL, "insmod with an empty path");
	t_eq(t_log_with("a path is empty", NULL), 1, "... says so");
	must_insmod("min_block=64K");
	t_eq(t_log_lines(), 1, "sizes without a device: a line in the log");
	t_errno(ha_rmmod(), 0, "rmmod");

	must_insmod("device=" ONE "," TWO " mode=fresh min_block=64K max_block=0x100000 "
		    "slab_max=262144 buddy_start=4M");
	t_eq(t_read_long("/sys/module/hybrid_alloc/parameters/min_block"), 64 * KIB,
	     "a parameter that was given as 64K tells its bytes");
	for (id = 0; id < 2; id++) {
		fd = ha_must_open(id, O_RDWR);
		info = info_of(fd);
		t_ok(info.min_block == 64 * KIB && info.max_block == MIB &&
		     info.slab_max == 256 * KIB && info.buddy_start == 4 * MIB,
		     "instance %u has the sizes of the parameters", id);
		err = ha_alloc(fd, 1, 0, &e);
		t_ok(!err && e.len == 64 * KIB && !ha_free(fd, e.start, e.len, NULL),
		     "ALLOC of a byte gives min_block");
		t_errno(ha_alloc(fd, MIB + 1, 0, &e), EFBIG, "ALLOC of more than max_block");
		close(fd);
	}
	t_errno(ha_detach(0, 0), 0, "DETACH");
	id = ha_must_attach(ONE, FRESH);
	fd = ha_must_open(id, O_RDONLY);
	t_eq(info_of(fd).min_block, BLOCK, "ATTACH does not go by the parameters");
	close(fd);
	t_errno(ha_rmmod(), 0, "rmmod");
}

/* What a catalogue knows survives a reload of the module. */
static void test_rebuild(void)
{
	enum { NR = 500 };
	static struct hybrid_alloc_extent e[NR];
	struct hybrid_alloc_stat start;
	u64 rng = t_seed, charged = 0;
	int fd, i, bad = 0;
	u32 id;

	must_insmod("device=" ONE " mode=fresh");
	fd = ha_must_open(0, O_RDWR);
	for (i = 0; i < NR; i++) {
		u64 size = random_next(&rng) % 4 ? 1 + random_next(&rng) % (128 * KIB) :
			   BLOCK << random_next(&rng) % 9;

		if (ha_alloc(fd, size, 0, &e[i]))
			t_die("ALLOC");
		charged += e[i].len;
	}
	close(fd);
	t_errno(ha_detach(0, FORCE), 0, "forced DETACH");
	t_errno(ha_rmmod(), 0, "rmmod");

	must_insmod("");
	id = ha_must_attach(ONE, 0);
	fd = ha_must_open(id, O_RDWR);
	start = ha_stat(fd, 0);
	t_shuffle(e, NR, sizeof(*e), &rng);
	for (i = 0; i < NR; i++)
		bad += !!ha_claim(fd, e[i].start, e[i].len);
	t_eq(bad, 0, "%d extents of a catalogue are claimed", NR);
	for (i = 0; i < NR; i++)
		bad += ha_claim(fd, e[i].start, e[i].len) != EEXIST;
	t_eq(bad, 0, "none of them twice");
	t_errno(ha_op(fd, HYBRID_ALLOC_IOC_SEAL), 0, "SEAL");
	t_eq(ha_stat(fd, 0).charged, charged, "as much is charged as before");
	t_eq(ha_stat(fd, 0).nr_live, NR, "as many are live");
	for (i = 0; i < 1000; i++) {
		struct hybrid_alloc_extent x;
		int j;

		if (ha_alloc(fd, 20 * KIB, 0, &x))
			break;
		for (j = 0; j < NR; j++)
			bad += x.start < e[j].start + e[j].len && e[j].start < x.start + x.len;
		bad += !!ha_free(fd, x.start, x.len, NULL);
	}
	t_ok(i == 1000 && !bad, "what is allocated then is none of it");
	for (i = 0; i < NR; i++)
		bad += !!ha_free(fd, e[i].start, e[i].len, NULL);
	t_eq(bad, 0, "all of them are freed");
	t_all_back(fd, &start, "rebuilt");
	close(fd);
	t_errno(ha_detach(id, 0), 0, "DETACH");
	t_errno(ha_rmmod(), 0, "rmmod");
}

/* Opens, uses and closes whatever instance there is. */
static void *user(void *arg)
{
	atomic_uint *odd = arg;
	struct hybrid_alloc_extent e;
	int fd, err;

	while (!atomic_load(&stop)) {
		fd = ha_open(0, O_RDWR);
		if (fd < 0) {
			*odd += errno != ENOENT && errno != ENODEV;
			continue;
		}
		err = ha_alloc(fd, 64 * KIB, 0, &e);
		if (!err)
			err = ha_free(fd, e.start, e.len, NULL);
		*odd += err && err != ENODEV;
		close(fd);
	}
	return NULL;
}

static void *looker(void *arg)
{
	atomic_uint *odd = arg;
	int ctl = ha_control(O_RDWR), err;

	while (!atomic_load(&stop)) {
		err = ha_info(ctl, HYBRID_ALLOC_INFO_NEXT, 0, NULL);
		*odd += err && err != ENODEV;
		err = ha_detach(0, 0);
		*odd += err && err != ENODEV && err != EBUSY;
	}
	close(ctl);
	return NULL;
}

/* Attach and forced detach while others use, look at and detach what is there. */
static void test_churn(void)
{
	void *(* const fns[])(void *) = { user, user, looker };
	pthread_t threads[ARRAY_SIZE(fns)];
	atomic_uint odd = 0;
	unsigned int rounds = 0;
	double end = t_now() + 5;
	size_t i;
	int err;

	must_insmod("");
	for (i = 0; i < ARRAY_SIZE(fns); i++)
		pthread_create(&threads[i], NULL, fns[i], &odd);
	while (t_now() < end) {
		err = ha_attach(NULL, ONE, FRESH, NULL);
		odd += err && err != EBUSY;
		usleep(1000);
		err = ha_detach(0, FORCE);
		odd += err && err != ENODEV;
		rounds++;
	}
	atomic_store(&stop, true);
	for (i = 0; i < ARRAY_SIZE(fns); i++)
		pthread_join(threads[i], NULL);
	t_eq(odd, 0, "%u times attached and detached under the hands of others", rounds);
	ha_detach(0, FORCE);
	t_ok(ha_nothing_attached() && t_disk_is_free(ONE), "and nothing stays behind");
	t_errno(ha_rmmod(), 0, "rmmod");
}

static atomic_uint nr_attached, nr_other;	/* attached, and with a number other than 0 */

static void *attach_detach(void *disk)
{
	double end = t_now() + 1;
	u32 id;

	/* a machine that is busy may take its time */
	while (t_now() < end || atomic_load(&nr_attached) < 2) {
		if (ha_attach(NULL, disk, FRESH, &id))
			continue;
		atomic_fetch_add(&nr_attached, 1);
		atomic_fetch_add(&nr_other, id != 0);
		ha_detach(id, FORCE);
	}
	return NULL;
}

/* The number of an instance is free before its disk is: with one disk, there is one number. */
static void test_number(void)
{
	pthread_t threads[4];
	size_t i;

	must_insmod("");
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_create(&threads[i], NULL, attach_detach, ONE);
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	t_ok(nr_attached > 1, "attached by turns");
	t_eq(nr_other, 0, "%u times, always with the same number", nr_attached);
	t_errno(ha_rmmod(), 0, "rmmod");
}

/* ---- detach while ALLOC_BATCH searches ---- */

#define NR_ITEMS	HYBRID_ALLOC_MAX_ITEMS

static atomic_uint nr_unlike;	/* items with another result than a search has */
static atomic_int batch_err;

/* Extents of four blocks and more, of which there are none: the longest first. */
static void *search_in_batches(void *arg)
{
	struct hybrid_alloc_alloc_item items[NR_ITEMS];
	int fd = *(int *)arg, err, i;
	u32 nr_failed;

	do {
		memset(items, 0, sizeof(items));
		for (i = 0; i < NR_ITEMS; i++)
			items[i].len = (NR_ITEMS + 3 - i) * BLOCK;
		err = ha_alloc_batch(fd, items, NR_ITEMS, &nr_failed);
		for (i = 0; !err && i < NR_ITEMS; i++)
			atomic_fetch_add(&nr_unlike, items[i].error != ENOSPC);
	} while (!err);
	atomic_store(&batch_err, err);
	return NULL;
}

/* After each free a refusal is no longer known. */
static void *free_and_claim(void *arg)
{
	int fd = *(int *)arg;

	while (!ha_free(fd, 0, BLOCK, NULL) && !ha_claim(fd, 0, BLOCK))
		;
	return NULL;
}

static void claim_every_second(int fd)
{
	struct hybrid_alloc_free_item items[NR_ITEMS] = {};
	u64 at = 0;
	u32 failed;
	int i;

	while (at < MIB_EACH * MIB) {
		for (i = 0; i < NR_ITEMS; i++, at += 2 * BLOCK) {
			items[i].extent.start = at;
			items[i].extent.len = BLOCK;
		}
		if (ha_claim_batch(fd, items, NR_ITEMS, &failed) || failed)
			t_die("CLAIM_BATCH");
	}
}

/* Who was searching when the instance was detached has an error of the call, not of an item. */
static void test_batch(void)
{
	unsigned int round, bad = 0;
	pthread_t batch, change;
	u64 searches;
	int fd;
	u32 id;

	must_insmod("");
	for (round = 0; round < 5; round++) {
		id = ha_must_attach(ONE, FRESH);
		fd = ha_must_open(id, O_RDWR);
		claim_every_second(fd);
		searches = ha_stat(fd, 0).slow_searches;
		atomic_store(&batch_err, 0);
		pthread_create(&batch, NULL, search_in_batches, &fd);
		pthread_create(&change, NULL, free_and_claim, &fd);
		while (ha_stat(fd, 0).slow_searches - searches < 50 && !atomic_load(&batch_err))
			usleep(100);
		if (ha_detach(id, FORCE))
			t_die("DETACH");
		t_join(batch);
		t_join(change);
		bad += atomic_load(&batch_err) != ENODEV;
		close(fd);
	}
	t_eq(bad, 0, "ALLOC_BATCH gets ENODEV when the instance is detached");
	t_eq(atomic_load(&nr_unlike), 0, "... and none of its items does");
	t_errno(ha_rmmod(), 0, "rmmod");
}

/* ---- detach while a file of sysfs is read ---- */

#define BIG		"/dev/hat-big"
#define GIB_BIG		1024

static atomic_bool reading;
static atomic_int read_err;	/* -1: not yet */

static void *read_largest(void *arg)
{
	char buf[32];

	atomic_store(&reading, true);
	atomic_store(&read_err, pread(*(int *)arg, buf, sizeof(buf), 0) < 0 ? errno : 0);
	return NULL;
}

/* What the longest free run is takes a look at each GiB that has changed. */
static void change_each_gib(int fd)
{
	u64 gib;

	for (gib = 0; gib < GIB_BIG; gib++)
		if (ha_claim(fd, gib * 1024 * MIB + 8 * MIB, BLOCK) ||
		    ha_claim(fd, gib * 1024 * MIB + 512 * MIB, BLOCK))
			t_die("CLAIM");
}

/* Returns whether the read that was under way got ENODEV. */
static bool detach_beside_read(void)
{
	u32 id = ha_must_attach(BIG, FRESH);
	int fd = ha_must_open(id, O_RDWR), file;
	pthread_t reader;
	char path[80];

	change_each_gib(fd);
	close(fd);
	snprintf(path, sizeof(path), "/sys/class/misc/hybrid_alloc%u/stat/largest_free_run", id);
	file = open(path, O_RDONLY);
	if (file < 0)
		t_die("%s: %s", path, t_strerror(errno));
	atomic_store(&reading, false);
	atomic_store(&read_err, -1);
	pthread_create(&reader, NULL, read_largest, &file);
	while (!atomic_load(&reading))
		sched_yield();
	/* now it is in the kernel, or soon; the walk takes a few times as long */
	usleep(500);
	if (ha_detach(id, FORCE))
		t_die("DETACH");
	t_join(reader);
	close(file);
	return atomic_load(&read_err) == ENODEV;
}

static void test_sysfs(void)
{
	unsigned int round, nr_ended = 0;

	must_insmod("");
	t_nullb_make("hat-big", (struct t_disk_opts){ .mib = GIB_BIG * 1024 });
	for (round = 0; round < 10; round++)
		nr_ended += detach_beside_read();
	t_ok(nr_ended, "a detach ends a walk for a file of sysfs: %u of %u", nr_ended, round);
	t_errno(ha_rmmod(), 0, "rmmod");
	t_nullb_remove("hat-big");
}

int main(void)
{
	t_note("SEED=%llu", t_seed);
	if (ha_loaded() && ha_rmmod())
		t_die("the module is in use");
	t_nullb_make("hat-one", (struct t_disk_opts){ .mib = MIB_EACH });
	t_nullb_make("hat-two", (struct t_disk_opts){ .mib = MIB_EACH });
	test_busy();
	test_force();
	test_params();
	test_missing();
	test_param_sizes();
	test_rebuild();
	test_batch();
	test_sysfs();
	test_churn();
	test_number();
	t_nullb_remove("hat-one");
	t_nullb_remove("hat-two");
	return t_done();
}
