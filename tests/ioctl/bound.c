// SPDX-License-Identifier: GPL-2.0
/*
 * Extents that are bound to an open file description: they go back when it is
 * closed, by whatever end; only a FREE through it is accepted, also in a batch,
 * and also when others free in the very moment of the allocation; nothing is
 * left behind by calls that failed or devices that were detached meanwhile. A
 * bound allocation that has to wait keeps nobody from freeing, and what it takes
 * of memory is shown and accounted.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "harness.h"

#define BOUND	HYBRID_ALLOC_ALLOC_BOUND
#define NR_SIZES	7

static const u64 sizes[NR_SIZES] = { BLOCK, 3 * BLOCK, 64 * KIB, 68 * KIB, MIB, 3 * MIB,
				     5 * MIB + BLOCK };
static u32 id;
static int fd;			/* looks on */

static int open_again(void)
{
	return ha_must_open(id, O_RDWR);
}

static int bind_one(int f, u64 len, struct hybrid_alloc_extent *e)
{
	return ha_alloc_flags(f, len, BOUND, e);
}

static void bind_all(int f, struct hybrid_alloc_extent *e)
{
	u32 i;

	for (i = 0; i < NR_SIZES; i++)
		if (bind_one(f, sizes[i], &e[i]))
			t_die("ALLOC of %llu bytes, bound", sizes[i]);
}

/* Until the kernel is done with a file that was closed elsewhere. */
static bool all_free(void)
{
	int tries = 200;

	while (ha_stat(fd, 0).charged && tries--)
		usleep(10000);
	return tries >= 0;
}

static void test_close(void)
{
	struct hybrid_alloc_extent e[NR_SIZES], other;
	int f = open_again(), dup_f, status;
	pid_t pid;

	bind_all(f, e);
	if (ha_alloc(f, BLOCK, 0, &other))
		t_die("ALLOC");
	t_eq(ha_stat(fd, 0).nr_live, NR_SIZES + 1, "bound and unbound extents are live");
	t_ok(ha_stat(fd, 0).nr_bound == NR_SIZES && ha_stat(fd, 0).bound_memory >= 32 * NR_SIZES,
	     "STAT tells how many are bound, and the memory for that");
	close(f);
	t_ok(!ha_stat(fd, 0).nr_bound && !ha_stat(fd, 0).bound_memory, "close takes that back");
	t_eq(ha_stat(fd, 0).nr_live, 1, "close gives the bound ones back, and no other");
	t_errno(ha_free(fd, e[0].start, e[0].len, NULL), ENOENT, "one of them is free indeed");
	t_errno(ha_free(fd, other.start, other.len, NULL), 0, "the unbound one is live");

	f = open_again();
	dup_f = dup(f);
	bind_all(f, e);
	close(f);
	t_eq(ha_stat(fd, 0).nr_live, NR_SIZES, "a duplicate keeps them");
	t_errno(ha_free(dup_f, e[1].start, e[1].len, NULL), 0, "and may free them");
	close(dup_f);
	t_ok(all_free(), "until it is closed, too");

	f = open_again();
	bind_all(f, e);
	pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	close(f);
	t_eq(ha_stat(fd, 0).nr_live, NR_SIZES, "a child process keeps them");
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	t_ok(all_free(), "until it is killed");

	pid = fork();
	if (!pid) {
		f = open_again();
		bind_all(f, e);
		kill(getpid(), SIGSEGV);
	}
	waitpid(pid, &status, 0);
	t_ok(WIFSIGNALED(status) && all_free(), "a crash gives them back");
}

/* What the owner may, and the others may not. */
static void test_owner(void)
{
	struct hybrid_alloc_extent e, u;
	int f = open_again(), g = open_again();
	struct hybrid_alloc_stat before, after;
	struct hybrid_alloc_free_item items[3];
	u32 reason, failed, i;
	struct {
		const char *how;
		u64 start, len;
		int want, own;		/* of others; of the owner */
		u32 want_reason, own_reason;
	} t[] = {
		{ "one block", 0, BLOCK, EPERM, EINVAL, HYBRID_ALLOC_REASON_FOREIGN,
		  HYBRID_ALLOC_REASON_WRONG_LENGTH },
		{ "a block too long", 0, 4 * BLOCK, EPERM, EINVAL, HYBRID_ALLOC_REASON_FOREIGN,
		  HYBRID_ALLOC_REASON_WRONG_LENGTH },
		{ "inside", BLOCK, BLOCK, EPERM, EINVAL, HYBRID_ALLOC_REASON_FOREIGN,
		  HYBRID_ALLOC_REASON_WRONG_START },
		{ "the last block", 2 * BLOCK, BLOCK, EPERM, EINVAL, HYBRID_ALLOC_REASON_FOREIGN,
		  HYBRID_ALLOC_REASON_WRONG_START },
		{ "unaligned", 1, BLOCK, EINVAL, EINVAL, HYBRID_ALLOC_REASON_UNALIGNED,
		  HYBRID_ALLOC_REASON_UNALIGNED },
		{ "len 0", 0, 0, EINVAL, EINVAL, HYBRID_ALLOC_REASON_ZERO_LENGTH,
		  HYBRID_ALLOC_REASON_ZERO_LENGTH },
		{ "far too long", 0, 1ULL << 62, ERANGE, ERANGE,
		  HYBRID_ALLOC_REASON_OUT_OF_RANGE, HYBRID_ALLOC_REASON_OUT_OF_RANGE },
		{ "itself", 0, 3 * BLOCK, EPERM, 0, HYBRID_ALLOC_REASON_FOREIGN,
		  HYBRID_ALLOC_REASON_NONE },
	};

	if (bind_one(f, 3 * BLOCK, &e) || ha_alloc(f, BLOCK, 0, &u))
		t_die("ALLOC");
	before = ha_stat(fd, 0);
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		u64 count = ha_stat(fd, 0).refused_frees[t[i].want_reason];
		int err = ha_free(g, e.start + t[i].start, t[i].len, &reason);

		after = ha_stat(fd, 0);
		if (!t_ok(err == t[i].want && reason == t[i].want_reason &&
			  t_unchanged(&before, &after) &&
			  after.refused_frees[reason] == count + 1,
			  "FREE by another file: %s: %s", t[i].how, t_strerror(t[i].want)))
			t_note("got %s, reason %u", t_strerror(err), reason);
	}
	t_errno(ha_claim(g, e.start, e.len), EEXIST, "CLAIM of it by another file");
	for (i = 0; i < 3; i++)
		items[i] = (struct hybrid_alloc_free_item){ .extent = i == 1 ? u : e };
	t_errno(ha_free_batch(g, items, 3, &failed), 0, "FREE_BATCH by another file");
	t_ok(failed == 2 && items[0].error == EPERM && !items[1].error &&
	     items[2].error == EPERM && items[0].reason == HYBRID_ALLOC_REASON_FOREIGN,
	     "frees what is not bound and says EPERM for what is");
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		int err = ha_free(f, e.start + t[i].start, t[i].len, &reason);

		if (!t_ok(err == t[i].own && reason == t[i].own_reason,
			  "FREE by the owner: %s: %s", t[i].how, t_strerror(t[i].own)))
			t_note("got %s, reason %u", t_strerror(err), reason);
	}
	t_errno(ha_free(f, e.start, e.len, NULL), ENOENT, "FREE by the owner, again");
	/* no record is left: the next owner is not bound to anything */
	t_errno(ha_claim(g, e.start, e.len), 0, "CLAIM of it once it is free");
	close(f);
	t_errno(ha_free(g, e.start, e.len, NULL), 0, "which the close leaves alone");
	close(g);
	t_eq(ha_stat(fd, 0).nr_live, 0, "nothing is live");
}

static void test_batch(void)
{
	static struct hybrid_alloc_alloc_item a[HYBRID_ALLOC_MAX_ITEMS];
	static struct hybrid_alloc_free_item fr[HYBRID_ALLOC_MAX_ITEMS];
	const u32 nr = HYBRID_ALLOC_MAX_ITEMS;
	struct hybrid_alloc_batch b = {
		.size = sizeof(b), .flags = BOUND, .items = (uintptr_t)a, .nr = nr,
		.item_size = sizeof(a[0]),
	};
	int f = open_again(), g = open_again(), err;
	u32 i, failed;

	for (i = 0; i < nr; i++)
		a[i].len = (1 + i % 20) * BLOCK;
	err = ha_ioctl(f, HYBRID_ALLOC_IOC_ALLOC_BATCH, &b);
	t_ok(!err && !b.nr_failed, "ALLOC_BATCH of %u, bound", nr);
	for (i = 0; i < nr; i++)
		fr[i].extent = a[i].extent;
	t_errno(ha_free_batch(g, fr, nr, &failed), 0, "FREE_BATCH by another file");
	t_eq(failed, nr, "all are refused");
	for (i = 0; i < nr; i++)
		fr[i].extent = a[i].extent;
	t_errno(ha_free_batch(f, fr, nr / 2, &failed), 0, "FREE_BATCH by the owner");
	t_eq(failed, 0, "none is refused");
	t_eq(ha_stat(fd, 0).nr_live, nr / 2, "half of them are live");
	close(f);
	t_eq(ha_stat(fd, 0).nr_live, 0, "close gives the rest back");
	close(g);
}

/* A result that cannot be delivered leaves no record either. */
static void test_undone(void)
{
	int f = open_again(), faults = 0, bad = 0, err;
	struct hybrid_alloc_alloc *a;
	struct t_flip flip;
	double end;

	t_flip_start(&flip, sizeof(*a));
	a = flip.same;
	for (end = t_now() + 2; t_now() < end || !faults;) {
		*a = (struct hybrid_alloc_alloc){ .size = sizeof(*a), .len = MIB, .flags = BOUND };
		err = ha_ioctl(f, HYBRID_ALLOC_IOC_ALLOC, flip.mem);
		if (!err)
			err = ha_free(f, a->extent.start, a->extent.len, NULL);
		else
			faults++;
		bad += (err && err != EFAULT) || ha_stat(fd, 0).charged;
	}
	t_flip_stop(&flip);
	t_note("%d calls got EFAULT", faults);
	t_ok(faults && !bad, "EFAULT leaves nothing allocated");
	close(f);
	t_errno(ha_op(fd, HYBRID_ALLOC_IOC_CHECK), 0, "and no record that would be freed");
}

/*
 * Threads free through a file of their own what another has just bound, or is
 * about to. None of these frees may ever come through.
 */
static atomic_ullong target[NR_SIZES];
static atomic_bool stop;
static atomic_uint tries, stolen;

static void *thief(void *arg)
{
	int f = open_again();
	u32 i, reason;

	(void)arg;
	while (!atomic_load(&stop)) {
		for (i = 0; i < NR_SIZES; i++) {
			u64 start = atomic_load(&target[i]);

			if (start == ~0ULL)
				continue;
			atomic_fetch_add(&tries, 1);
			if (!ha_free(f, start, sizes[i], &reason))
				atomic_fetch_add(&stolen, 1);
		}
	}
	close(f);
	return NULL;
}

static void test_thieves(void)
{
	struct hybrid_alloc_extent e[NR_SIZES];
	u32 i, lost = 0, rounds = 0;
	pthread_t threads[2];
	double end;
	int f;

	for (i = 0; i < NR_SIZES; i++)
		atomic_store(&target[i], ~0ULL);
	for (i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, thief, NULL);
	for (end = t_now() + 5; t_now() < end || atomic_load(&tries) <= 100; rounds++) {
		f = open_again();
		bind_all(f, e);
		for (i = 0; i < NR_SIZES; i++) {
			atomic_store(&target[i], e[i].start);
			lost += i % 2 && ha_free(f, e[i].start, e[i].len, NULL);
		}
		close(f);	/* the other half */
	}
	atomic_store(&stop, true);
	for (i = 0; i < 2; i++)
		t_join(threads[i]);
	t_note("%u rounds, %u frees by others", rounds, atomic_load(&tries));
	t_ok(atomic_load(&tries) > 100, "others try to free what is bound");
	t_eq(atomic_load(&stolen), 0, "none of these frees comes through");
	t_eq(lost, 0, "all frees by the owner do");
	t_eq(ha_stat(fd, 0).nr_live, 0, "nothing is live");
}

/*
 * All space that is free sits in the pool of another CPU, so that a bound allocation has to
 * empty that first; others try to free what it gets.
 */
static void test_thieves_of_a_search(void)
{
	static struct hybrid_alloc_alloc_item a[HYBRID_ALLOC_MAX_ITEMS];
	struct hybrid_alloc_extent e;
	pthread_t threads[2];
	u64 searches = 0, before, hole[20];
	u32 i, failed, bad = 0, tried;
	int f, err;

	t_nullb_make("hat-search", (struct t_disk_opts){ .mib = 64 });
	id = ha_must_attach("/dev/hat-search", HYBRID_ALLOC_ATTACH_FRESH);
	fd = open_again();
	do {
		memset(a, 0, sizeof(a));
		for (i = 0; i < ARRAY_SIZE(a); i++)
			a[i].len = BLOCK;
		if (ha_alloc_batch(fd, a, ARRAY_SIZE(a), &failed))
			t_die("ALLOC_BATCH");
	} while (!failed);
	for (i = 0; i < ARRAY_SIZE(hole); i++)
		hole[i] = 4 * MIB + i * BLOCK;
	t_pin(1);
	/* a try is enough to make the pool */
	if (ha_alloc(fd, BLOCK, 0, NULL) != ENOSPC || ha_free(fd, hole[0], BLOCK, NULL))
		t_die("FREE");

	for (i = 0; i < NR_SIZES; i++)
		atomic_store(&target[i], i ? ~0ULL : hole[0]);
	atomic_store(&stop, false);
	atomic_store(&tries, 0);
	atomic_store(&stolen, 0);
	for (i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, thief, NULL);
	f = open_again();
	for (i = 0; i < 300; i++) {
		t_pin(0);
		before = ha_stat(fd, 0).slow_searches;
		bad += bind_one(f, BLOCK, &e) || e.start != hole[0];
		searches += ha_stat(fd, 0).slow_searches - before;
		t_pin(1);
		/* makes the pool again, if memory is short */
		bad += ha_alloc(fd, BLOCK, 0, NULL) != ENOSPC;
		bad += !!ha_free(f, e.start, e.len, NULL);
	}
	t_unpin();
	atomic_store(&stop, true);
	for (i = 0; i < 2; i++)
		t_join(threads[i]);
	tried = atomic_load(&tries);
	t_note("%llu searches, %u frees by others", searches, tried);
	t_eq(bad, 0, "the only free block is bound and freed, again and again");
	t_ok(searches >= 100 && tried > 100, "which takes the slow mode");
	t_eq(atomic_load(&stolen), 0, "and nobody else can free it");

	/* no slot has a run of this length: it lies in a slab of blocks */
	for (i = 1; i < ARRAY_SIZE(hole); i++)
		if (ha_free(fd, hole[i], BLOCK, NULL))
			t_die("FREE");
	err = bind_one(f, 17 * BLOCK, &e);
	t_ok(!err && e.start >= hole[0] && e.start < hole[3] + 1,
	     "a run across freed blocks is found, and bound");
	t_errno(ha_free(fd, e.start, e.len, NULL), EPERM, "FREE by another file");
	t_errno(bind_one(f, 17 * BLOCK, NULL), ENOSPC, "there is no second one");
	t_eq(ha_stat(fd, 0).nr_bound, 1, "which leaves no record");
	t_errno(ha_op(fd, HYBRID_ALLOC_IOC_CHECK), 0, "CHECK");
	close(f);
	t_eq(ha_stat(fd, 0).nr_bound, 0, "nothing is bound after the close");
	close(fd);
	t_errno(ha_detach(id, HYBRID_ALLOC_DETACH_FORCE), 0, "DETACH");
	t_nullb_remove("hat-search");
}

/* A disk that takes 3 s for a discard, and a bound allocation that has to wait for it. */
static atomic_bool waits, waited;

static void *trim_once(void *arg)
{
	struct hybrid_alloc_trim t = { .size = sizeof(t), .len = MIB };

	(void)arg;
	if (ha_ioctl(fd, HYBRID_ALLOC_IOC_TRIM, &t))
		t_die("TRIM");
	return NULL;
}

static void *bind_too_much(void *arg)
{
	int f = open_again(), err;

	(void)arg;
	atomic_store(&waits, true);
	err = bind_one(f, 48 * MIB, NULL);
	atomic_store(&waited, true);
	t_errno(err, ENOSPC, "ALLOC of more than there is, bound");
	close(f);
	return NULL;
}

static void test_waits_alone(void)
{
	struct hybrid_alloc_extent own, e;
	pthread_t trimmer, binder;
	u32 pairs = 0;
	int f;

	t_nullb_make("hat-slow", (struct t_disk_opts){
		.mib = 64, .memory = true, .discard = true, .delay_ms = 3000,
	});
	id = ha_must_attach("/dev/hat-slow", HYBRID_ALLOC_ATTACH_FRESH);
	fd = open_again();
	f = open_again();
	if (bind_one(f, BLOCK, &own) || ha_claim(fd, 30 * MIB, MIB))
		t_die("ALLOC");
	pthread_create(&trimmer, NULL, trim_once, NULL);
	while (!ha_stat(fd, 0).retired)
		usleep(1000);
	pthread_create(&binder, NULL, bind_too_much, NULL);
	while (!atomic_load(&waits))
		usleep(1000);
	usleep(300000);
	while (!atomic_load(&waited) && pairs < 100) {
		if (ha_alloc(fd, BLOCK, 0, &e) || ha_free(fd, e.start, e.len, NULL))
			t_die("ALLOC and FREE");
		pairs++;
	}
	t_eq(pairs, 100, "others free while a bound allocation waits for a discard");
	t_ok(!atomic_load(&waited), "as it does");
	t_join(binder);
	t_join(trimmer);
	close(f);
	close(fd);
	t_errno(ha_detach(id, HYBRID_ALLOC_DETACH_FORCE), 0, "DETACH");
	t_nullb_remove("hat-slow");
}

/* Records and open files are on the memory account of the process that makes them. */
#define CGROUP	"/tmp/hat-cgroup"
#define NR_FILES	4000

/* By how much the account grows if a node is opened again and again. */
static long account_of_files(const char *path)
{
	static int files[NR_FILES];
	long before, after;
	u32 i;

	usleep(500000);		/* closed files are freed later */
	before = t_read_long(CGROUP "/test/memory.current");
	for (i = 0; i < NR_FILES; i++) {
		files[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (files[i] < 0)
			t_die("open %s", path);
	}
	after = t_read_long(CGROUP "/test/memory.current");
	for (i = 0; i < NR_FILES; i++)
		close(files[i]);
	return after - before;
}

static void test_account(void)
{
	static struct hybrid_alloc_alloc_item a[HYBRID_ALLOC_MAX_ITEMS];
	u32 i, k, nr = 0;
	long before, after, plain, ours;
	char path[40];
	int f;

	mkdir(CGROUP, 0700);
	if (mount("none", CGROUP, "cgroup2", 0, NULL) ||
	    t_write(CGROUP "/cgroup.subtree_control", "+memory") ||
	    mkdir(CGROUP "/test", 0700)) {
		t_skip("memory account", "this kernel has no memory cgroups");
		umount(CGROUP);
		rmdir(CGROUP);
		return;
	}
	f = open_again();
	if (t_write(CGROUP "/test/cgroup.procs", "%d", getpid()))
		t_die("enter the cgroup");
	before = t_read_long(CGROUP "/test/memory.current");
	for (k = 0; k < 60; k++) {
		struct hybrid_alloc_batch b = {
			.size = sizeof(b), .flags = BOUND, .items = (uintptr_t)a,
			.nr = ARRAY_SIZE(a), .item_size = sizeof(a[0]),
		};

		memset(a, 0, sizeof(a));
		for (i = 0; i < ARRAY_SIZE(a); i++)
			a[i].len = BLOCK;
		if (ha_ioctl(f, HYBRID_ALLOC_IOC_ALLOC_BATCH, &b) || b.nr_failed)
			t_die("ALLOC_BATCH");
		nr += ARRAY_SIZE(a);
	}
	after = t_read_long(CGROUP "/test/memory.current");
	t_note("%u records: %ld bytes more", nr, after - before);
	t_ok(after - before >= nr * 32,
	     "bound extents are on the memory account");
	close(f);

	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ NR_FILES + 100, NR_FILES + 100 });
	snprintf(path, sizeof(path), "/dev/hybrid_alloc%u", id);
	account_of_files("/dev/null");	/* the table of descriptors */
	plain = account_of_files("/dev/null");
	ours = account_of_files(path);
	t_note("%d open files: %ld bytes of /dev/null, %ld of %s", NR_FILES, plain, ours, path);
	t_ok(ours - plain >= NR_FILES * 64, "open files are on the memory account");
	t_write(CGROUP "/cgroup.procs", "%d", getpid());
	rmdir(CGROUP "/test");
	umount(CGROUP);
	rmdir(CGROUP);
}

/* Frees of unbound extents go on while something is bound for the first time. */
static atomic_uint unbound_bad;

static void *unbound(void *arg)
{
	struct hybrid_alloc_extent e;
	int f = open_again();

	(void)arg;
	while (!atomic_load(&stop))
		if (ha_alloc(f, 2 * BLOCK, 0, &e) || ha_free(f, e.start, e.len, NULL))
			atomic_fetch_add(&unbound_bad, 1);
	close(f);
	return NULL;
}

static void test_first(const char *disk)
{
	struct hybrid_alloc_extent e;
	u32 i, bad = 0;
	pthread_t threads[2];
	int f;

	for (i = 0; i < 10; i++) {
		u32 k;

		id = ha_must_attach(disk, HYBRID_ALLOC_ATTACH_FRESH);
		fd = open_again();
		atomic_store(&stop, false);
		for (k = 0; k < 2; k++)
			pthread_create(&threads[k], NULL, unbound, NULL);
		usleep(20000);
		f = open_again();
		bad += !!bind_one(f, MIB, &e);
		usleep(20000);
		close(f);
		atomic_store(&stop, true);
		for (k = 0; k < 2; k++)
			t_join(threads[k]);
		bad += !!ha_stat(fd, 0).nr_live;
		close(fd);
		if (i % 2) {
			bad += !!ha_detach(id, 0);
			continue;
		}
		/* detached by force while something is bound: the close comes later */
		f = open_again();
		bad += !!bind_one(f, MIB, &e);
		bad += !!ha_detach(id, HYBRID_ALLOC_DETACH_FORCE);
		bad += bind_one(f, MIB, NULL) != ENODEV;
		close(f);
	}
	t_eq(bad, 0, "the first bound extent of a device, with others at work");
	t_eq(atomic_load(&unbound_bad), 0, "who are not disturbed");
}

int main(void)
{
	struct hybrid_alloc_stat start;
	const char *disk;

	ha_need_module();
	disk = t_disk("hat-bound", 1024);
	id = ha_must_attach(disk, HYBRID_ALLOC_ATTACH_FRESH);
	fd = open_again();
	start = ha_stat(fd, 0);
	test_close();
	test_owner();
	t_all_back(fd, &start, "closed and freed");
	test_batch();
	test_undone();
	test_thieves();
	test_account();
	t_all_back(fd, &start, "at the end");
	close(fd);
	t_errno(ha_detach(id, 0), 0, "DETACH");
	test_first(disk);
	test_thieves_of_a_search();
	test_waits_alone();
	t_nullb_remove("hat-bound");
	return t_done();
}
