// SPDX-License-Identifier: GPL-2.0
/*
 * Users in the kernel, which the module ha_probe plays: what their names may be, what their nodes
 * show and refuse, how they end while the nodes are in use, what a fatal signal does to their
 * calls, and (on a kernel with lockdep, which says so in the log) what memory reclaim and users
 * that are stacked on each other may wait for.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include "harness.h"

#define PROBE		"/lib/ha_probe.ko"
#define RUN		"/sys/module/ha_probe/parameters/run"
#define RESULT		"/sys/module/ha_probe/parameters/result"
#define DISCARDS	"/sys/module/ha_probe/parameters/discards"
#define DEBUGFS		"/sys/kernel/debug/"
#define STACKED		"/dev/ha_stacked"
#define FRESH		HYBRID_ALLOC_ATTACH_FRESH
#define FORCE		HYBRID_ALLOC_DETACH_FORCE
#define PART		(64 * MIB)
/* HYBRID_ALLOC_KILLABLE of hybrid_alloc.h */
#define KILLABLE	1

static const char *disk;
static int ctl;

static void load_probe(void)
{
	int fd = open(PROBE, O_RDONLY | O_CLOEXEC);
	char params[64];

	snprintf(params, sizeof(params), "device=%s", disk);
	if (fd < 0 || syscall(SYS_finit_module, fd, params, 0))
		t_die("load %s: %s", PROBE, t_strerror(errno));
	close(fd);
}

static int unload_probe(void)
{
	return syscall(SYS_delete_module, "ha_probe", O_NONBLOCK) < 0 ? errno : 0;
}

static int probe_open(u32 i, const char *name, u32 flags)
{
	return t_write(RUN, "open %u %s %u", i, name, flags);
}

static void must_open(u32 i, const char *name, u32 flags)
{
	int err = probe_open(i, name, flags);

	if (err)
		t_die("open %u %s: %s", i, name, t_strerror(err));
}

static void probe_close(u32 i)
{
	if (t_write(RUN, "close %u", i))
		t_die("close %u", i);
}

/* The only instance there is. */
static u32 only_instance(struct hybrid_alloc_info *info)
{
	if (ha_info(ctl, HYBRID_ALLOC_INFO_NEXT, 0, info))
		t_die("there is no instance");
	return info->id;
}

static void test_names(void)
{
	static const char * const bad[] = {
		".a", "-a", "_a", ":a", "a/b", "a\\b", "a,b", "a\tb", "b\xc3\xa4r", "\xe4",
		"0123456789abcdef0123456789abcdef", "a*",
	};
	static const char * const good[] = {
		"a", "0", "A.b_c:d-e", "0123456789abcdef0123456789abcde",
	};
	struct hybrid_alloc_info info;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		/* the tab ends the name for the parameter, and the number after it is none */
		int err = strchr(bad[i], '\t') ? EINVAL : probe_open(0, bad[i], 0);

		t_errno(err, EINVAL, "the name %zu of those that are not valid is refused", i);
	}
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		must_open(0, good[i], 0);
		only_instance(&info);
		t_ok(!strcmp((char *)info.user, good[i]), "INFO has the name %s", good[i]);
		probe_close(0);
	}
	t_errno(probe_open(0, "a", 2), EINVAL, "an unknown flag is refused");
	must_open(0, "-", 0);
	t_ok(ha_nothing_attached(), "a user without a name shows nowhere");
	probe_close(0);

	must_open(0, "same", 0);
	t_errno(probe_open(1, "same", 0), EEXIST, "the name of another user is refused");
	must_open(1, "other", 0);
	probe_close(0);
	must_open(0, "same", 0);
	t_ok(true, "a name is free again when its user has ended");
	probe_close(0);
	probe_close(1);
	t_ok(ha_nothing_attached(), "what failed has left nothing behind");
}

static bool sys_is(u32 id, const char *file, const char *want)
{
	char path[96], buf[64] = {};
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/sys/class/misc/hybrid_alloc%u/%s", id, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	close(fd);
	return n > 0 && buf[n - 1] == '\n' && strlen(want) == (size_t)n - 1 &&
	       !memcmp(buf, want, n - 1);
}

static void test_node(void)
{
	struct hybrid_alloc_map_entry e[8];
	struct hybrid_alloc_extent ext;
	struct hybrid_alloc_attach at;
	struct hybrid_alloc_info info;
	struct hybrid_alloc_stat st;
	u32 id, other, got, i;
	int fd;

	must_open(1, "probe:a", 0);
	id = only_instance(&info);
	t_eq(info.state, HYBRID_ALLOC_STATE_KERNEL, "INFO says that it is of a user in the kernel");
	t_ok(!strcmp((char *)info.user, "probe:a") && strstr(disk, (char *)info.disk),
	     "and its name, and the disk");
	t_ok(info.range_start == PART && info.range_len == PART, "and its range");
	t_ok(sys_is(id, "user", "probe:a"), "so does sysfs");
	t_errno(ha_open(id, O_RDWR) < 0 ? errno : 0, EROFS, "the node does not open for writing");
	t_errno(ha_open(id, O_WRONLY) < 0 ? errno : 0, EROFS, "nor for writing only");
	fd = ha_must_open(id, O_RDONLY);
	if (t_write(RUN, "alloc 1 68"))
		t_die("the user cannot allocate");
	st = ha_stat(fd, HYBRID_ALLOC_STAT_RUNS);
	t_ok(t_identity(&st, "of a user") && st.charged == 68 * KIB && st.nr_live == 1,
	     "STAT shows what it has allocated");
	t_errno(ha_map(fd, 0, 0, e, 8, &got), 0, "MAP works");
	for (i = 0; i < got && e[i].state != HYBRID_ALLOC_MAP_LIVE; i++)
		;
	t_ok(i < got && e[i].start == (u64)t_read_long(RESULT) && e[i].len == 68 * KIB,
	     "and shows where");
	t_errno(ha_op(fd, HYBRID_ALLOC_IOC_CHECK), 0, "CHECK works");
	t_errno(ha_alloc(fd, BLOCK, 0, &ext), EBADF, "ALLOC does not");
	t_errno(ha_free(fd, e[i].start, e[i].len, NULL), EBADF, "FREE does not");
	t_errno(ha_claim(fd, PART, BLOCK), EBADF, "CLAIM does not");
	t_errno(ha_op(fd, HYBRID_ALLOC_IOC_DRAIN), EBADF, "DRAIN does not");
	t_errno(ha_op(fd, HYBRID_ALLOC_IOC_SEAL), EBADF, "SEAL does not");
	t_errno(ha_detach(id, 0), EBUSY, "DETACH is refused");
	t_errno(ha_detach(id, FORCE), EBUSY, "also if it is forced");
	t_errno(ha_attach(&at, disk, FRESH, &other), EBUSY, "the disk cannot be attached");
	t_ok(ha_rmmod(), "the module cannot be unloaded");
	t_ok(!ha_info(fd, 0, 0, &info) && info.id == id, "all that has changed nothing");

	probe_close(1);
	t_ok(ha_nothing_attached(), "it is gone with its user, though a file is open");
	t_errno(ha_stat_err(fd, 0, &st), ENODEV, "the open file gets ENODEV for STAT");
	t_errno(ha_map(fd, 0, 0, e, 8, &got), ENODEV, "for MAP");
	t_errno(ha_info(fd, 0, 0, &info), ENODEV, "for INFO");
	t_errno(ha_op(fd, HYBRID_ALLOC_IOC_CHECK), ENODEV, "for CHECK");
	t_eq(poll(&(struct pollfd){ .fd = fd }, 1, 0), 1, "and poll() an error");
	must_open(1, "probe:a", 0);
	t_errno(ha_stat_err(fd, 0, &st), ENODEV, "a new user of the same name is not meant");
	probe_close(1);
	close(fd);
}

/* ---- ends while its node is in use ---- */

static atomic_bool stop;
static atomic_uint seen, odd;

static void look_at(u32 id)
{
	struct hybrid_alloc_watch watch = { .size = sizeof(watch), .low_space = PART };
	struct hybrid_alloc_map_entry e[8];
	struct hybrid_alloc_info info;
	struct hybrid_alloc_stat st;
	int fd = ha_open(id, O_RDONLY), err[5];
	u32 got, i;

	if (fd < 0)
		return;
	err[0] = ha_ioctl(fd, HYBRID_ALLOC_IOC_WATCH, &watch);
	err[1] = ha_stat_err(fd, HYBRID_ALLOC_STAT_RUNS, &st);
	err[2] = ha_map(fd, 0, 0, e, 8, &got);
	err[3] = ha_op(fd, HYBRID_ALLOC_IOC_CHECK);
	err[4] = ha_info(fd, 0, 0, &info);
	poll(&(struct pollfd){ .fd = fd, .events = POLLPRI }, 1, 2);
	close(fd);
	for (i = 0; i < 5; i++) {
		atomic_fetch_add(&seen, !err[i]);
		atomic_fetch_add(&odd, err[i] && err[i] != ENODEV && err[i] != EAGAIN);
	}
}

static void *look(void *arg)
{
	struct hybrid_alloc_info info;

	while (!stop) {
		if (ha_info(ctl, HYBRID_ALLOC_INFO_NEXT, 0, &info))
			continue;
		look_at(info.id);
		sys_is(info.id, "stat/charged", "");
	}
	return arg;
}

static void test_ends_in_use(void)
{
	const u32 rounds = getenv("SOAK") ? 2000 : 100;
	pthread_t threads[3];
	u32 i, failed = 0;

	for (i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_create(&threads[i], NULL, look, NULL);
	for (i = 0; i < rounds; i++) {
		must_open(i % 4, "ends", 0);
		if (i % 8 == 0)
			failed += !!t_write(RUN, "reclaim %u", i % 4);
		failed += !!t_write(RUN, "alloc %u 68", i % 4);
		failed += !!t_write(RUN, "alloc %u 4", i % 4);
		usleep(i % 5 * 1000);
		probe_close(i % 4);
	}
	/* there may have been no time for a look: one that is open until then */
	must_open(0, "stays", 0);
	for (i = 0; i < 100 && !seen; i++)
		usleep(100000);
	stop = true;
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		t_join(threads[i]);
	probe_close(0);
	t_ok(!failed, "%u users open, allocate and end while their nodes are in use", rounds);
	t_ok(seen && !odd, "of %u calls that succeeded, others got ENODEV (%u something else)",
	     seen, odd);
	t_ok(ha_nothing_attached(), "and nothing is left");
}

/* ---- signals, reclaim, stacks ---- */

/* The errno that a killed task gets for a call that has to wait. */
static int killed(u32 flags)
{
	int err;

	must_open(0, "killed", flags);
	err = t_write(RUN, "killed 0") ?: (int)t_read_long(RESULT);
	probe_close(0);
	return err;
}

static void test_killed(void)
{
	t_errno(killed(0), 0, "a killed task gets what it waits for");
	t_errno(killed(KILLABLE), EINTR, "it waits no longer if the allocator is killable");
}

static void test_reclaim(void)
{
	static const char failslab[] = "/sys/kernel/debug/failslab";
	char path[64];
	bool fails = !access(failslab, F_OK);
	long before = 0;

	/* memory that is not there at once has to be waited for */
	if (fails) {
		static const char * const attrs[][2] = {
			{ "verbose", "0" }, { "task-filter", "Y" }, { "ignore-gfp-wait", "Y" },
			{ "probability", "100" }, { "times", "1000000" },
		};
		size_t i;

		for (i = 0; i < ARRAY_SIZE(attrs); i++) {
			snprintf(path, sizeof(path), "%s/%s", failslab, attrs[i][0]);
			if (t_write(path, "%s", attrs[i][1]))
				t_die("%s", path);
		}
		/* another test may have left this on, for tasks like this one */
		t_write("/sys/kernel/debug/fail_page_alloc/probability", "0");
		snprintf(path, sizeof(path), "%s/times", failslab);
		before = t_read_long(path);
	}
	must_open(0, "reclaim", 0);
	if (fails)
		t_write("/proc/self/make-it-fail", "1");
	t_errno(t_write(RUN, "reclaim 0"), 0, "all entry points, in memory reclaim and outside");
	if (fails) {
		t_write("/proc/self/make-it-fail", "0");
		before -= t_read_long(path);
		t_ok(before > 0, "%ld times without memory at once", before);
		snprintf(path, sizeof(path), "%s/probability", failslab);
		t_write(path, "0");
	} else {
		t_note("this kernel has no fault injection; all memory was there at once");
	}
	probe_close(0);
}

static void test_stacked(void)
{
	struct hybrid_alloc_trim trim = { .size = sizeof(trim), .len = ~0ULL };
	long before = t_read_long(DISCARDS);
	u32 id;
	int fd;

	must_open(0, "below", 0);
	id = ha_must_attach(STACKED, FRESH);
	fd = ha_must_open(id, O_RDWR);
	t_errno(ha_ioctl(fd, HYBRID_ALLOC_IOC_TRIM, &trim), 0,
		"TRIM of a disk that allocates from another one while it discards");
	t_ok(t_read_long(DISCARDS) > before, "it did");
	close(fd);
	t_errno(ha_detach(id, 0), 0, "DETACH");
	probe_close(0);
}

/* Each allocation of memory fails, one by one, while a user opens an allocator by name. */
static void test_no_memory(void)
{
	int nth = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC), run, err;
	unsigned int n, failed = 0, odd = 0;
	bool delivered;

	if (nth < 0) {
		t_note("no memory: this kernel has no fault injection");
		return;
	}
	if (t_write(DEBUGFS "failslab/verbose", "0") ||
	    t_write(DEBUGFS "fail_page_alloc/verbose", "0") ||
	    t_write(DEBUGFS "fail_usercopy/verbose", "0") ||
	    t_write(DEBUGFS "failslab/ignore-gfp-wait", "N") ||
	    t_write(DEBUGFS "fail_page_alloc/ignore-gfp-wait", "N") ||
	    t_write(DEBUGFS "fail_page_alloc/min-order", "0"))
		t_die("fault injection cannot be set up");
	run = open(RUN, O_WRONLY | O_CLOEXEC);
	for (n = 1, delivered = true; delivered && n < 10000; n++) {
		t_fail_nth(nth, n);
		err = pwrite(run, "open 0 poor 0", 13, 0) < 0 ? errno : 0;
		delivered = t_fail_delivered(nth);
		t_fail_nth(nth, 0);
		if (!err)
			probe_close(0);
		failed += !!err;
		odd += err && err != ENOMEM && err != EFAULT;
		odd += !ha_nothing_attached();
	}
	t_ok(!delivered && !err && failed > 20, "an open without memory fails at %u places",
	     failed);
	t_eq(odd, 0, "... with nothing left behind");
	close(run);
	close(nth);
}

int main(void)
{
	int err;

	if (ha_loaded())
		ha_rmmod();
	err = ha_insmod("idle_ms=1");
	if (err)
		t_die("insmod: %s", t_strerror(err));
	disk = t_disk("hat-user", 256);
	load_probe();
	ctl = ha_control(O_RDONLY);
	test_names();
	test_node();
	test_no_memory();
	test_killed();
	test_reclaim();
	test_stacked();
	test_ends_in_use();
	close(ctl);
	must_open(2, "last", 0);
	t_errno(unload_probe(), 0, "a user that is unloaded ends");
	t_errno(ha_rmmod(), 0, "and the module goes");
	return t_done();
}
