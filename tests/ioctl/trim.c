// SPDX-License-Identifier: GPL-2.0
/*
 * TRIM discards what is free, all of it and nothing else: not what lies outside
 * of the range or is too short, and nothing that others allocate and write in
 * that moment; on a disk that discards larger units only, whole units of what is
 * free. GROW takes over what a disk has grown by and never shrinks. The disk is
 * a file in memory, behind a loop device; or one of scsi_debug.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include "harness.h"

#define FILE_NAME	"/tmp/hat-trim"
#define DISK_BYTES	(128 * MIB)
#define ALL		(~0ULL)
#define MAX_WRITE	MIB
#define NR_WRITTEN	17

static char disk[32];
static int file, loop;		/* what is behind the disk; the disk */
static u32 id;
static int fd;
static u64 begin;

static void disk_make(u64 bytes)
{
	int ctl, n;

	t_modprobe("loop", "2>/dev/null");	/* may be built in */
	ctl = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	n = ctl < 0 ? -1 : ioctl(ctl, LOOP_CTL_GET_FREE);
	if (n < 0)
		t_die("a loop device");
	close(ctl);
	snprintf(disk, sizeof(disk), "/dev/loop%d", n);
	file = open(FILE_NAME, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	loop = open(disk, O_RDWR | O_CLOEXEC);
	if (file < 0 || loop < 0 || ftruncate(file, bytes) || ioctl(loop, LOOP_SET_FD, file))
		t_die("make %s", disk);
}

static void disk_resize(u64 bytes)
{
	if (ftruncate(file, bytes) || ioctl(loop, LOOP_SET_CAPACITY, 0))
		t_die("resize %s", disk);
}

static void disk_remove(void)
{
	ioctl(loop, LOOP_CLR_FD, 0);
	close(loop);
	close(file);
	unlink(FILE_NAME);
}

/* overwrites: a disk that is this program's, and filled where TRIM is to be seen */
#define ALL_FREE	HYBRID_ALLOC_ATTACH_OVERWRITE

static void attach(u32 flags)
{
	struct hybrid_alloc_info info;

	id = ha_must_attach(disk, flags);
	fd = ha_must_open(id, O_RDWR);
	if (ha_info(fd, 0, 0, &info))
		t_die("INFO");
	begin = info.range_start;
}

static void detach(void)
{
	close(fd);
	t_errno(ha_detach(id, 0), 0, "DETACH");
}

static int trim(u64 start, u64 len, u64 minlen, u64 *trimmed)
{
	struct hybrid_alloc_trim t = {
		.size = sizeof(t), .start = start, .len = len, .minlen = minlen, .trimmed = 77,
	};
	int err = ha_ioctl(fd, HYBRID_ALLOC_IOC_TRIM, &t);

	*trimmed = t.trimmed;
	return err;
}

/* The file has a pattern in each of its blocks; what was discarded is a zero. */
static void fill_file(u64 bytes)
{
	u64 block[BLOCK / 8], pos;
	u32 i;

	for (pos = 0; pos < bytes; pos += BLOCK) {
		for (i = 0; i < ARRAY_SIZE(block); i++)
			block[i] = pos + 1;
		if (pwrite(file, block, BLOCK, pos) != (ssize_t)BLOCK)
			t_die("fill the disk");
	}
}

static bool is_there(u64 start, u64 len)
{
	u64 pos, w;

	for (pos = start; pos < start + len; pos += BLOCK)
		if (pread(file, &w, sizeof(w), pos) != sizeof(w) || w != pos + 1)
			return false;
	return true;
}

static bool is_gone(u64 start, u64 len)
{
	u64 pos, w;

	for (pos = start; pos < start + len; pos += BLOCK)
		if (pread(file, &w, sizeof(w), pos) != sizeof(w) || w)
			return false;
	return true;
}

static void test_refused(void)
{
	u64 trimmed;

	attach(0);
	t_errno(trim(0, ALL, 0, &trimmed), EAGAIN, "TRIM before SEAL");
	t_errno(ha_op(fd, HYBRID_ALLOC_IOC_SEAL), 0, "SEAL");
	fill_file(DISK_BYTES);
	t_errno(trim(begin, 0, 0, &trimmed), EINVAL, "TRIM of no byte");
	t_errno(trim(DISK_BYTES, BLOCK, 0, &trimmed), ERANGE, "TRIM at the end");
	t_errno(trim(ALL, ALL, 0, &trimmed), ERANGE, "TRIM at 2^64 - 1");
	t_ok(!trim(0, ALL, ALL, &trimmed) && !trimmed, "TRIM of runs of 2^64 - 1 bytes: none");
	t_ok(!trim(begin + 512, BLOCK - 512, 0, &trimmed) && !trimmed, "TRIM of less than a block");
	t_ok(!trim(begin + 512, 2 * BLOCK - 513, 0, &trimmed) && !trimmed,
	     "TRIM of parts of two blocks");
	t_ok(is_there(0, DISK_BYTES), "nothing was discarded");
	detach();

	t_nullb_make("hat-plain", (struct t_disk_opts){ .mib = 64 });
	id = ha_must_attach("/dev/hat-plain", HYBRID_ALLOC_ATTACH_FRESH);
	fd = ha_must_open(id, O_RDWR);
	t_errno(trim(0, ALL, 0, &trimmed), EOPNOTSUPP, "TRIM of a disk that cannot");
	detach();
	t_nullb_remove("hat-plain");
}

static void test_trim(void)
{
	/* walls: between two of them is a hole, of the length that is their start */
	static const u64 holes[] = { BLOCK, 7 * BLOCK, 256 * KIB, MIB, 3 * MIB + BLOCK, 20 * MIB };
	u64 pos = begin, trimmed, free, at[ARRAY_SIZE(holes)], sum;
	struct hybrid_alloc_stat start, st;
	bool there = true, gone = true;
	struct hybrid_alloc_extent e;
	u32 i, k;

	attach(ALL_FREE);
	start = ha_stat(fd, 0);
	for (i = 0; i < ARRAY_SIZE(holes); i++) {
		if (ha_claim(fd, pos, 2 * MIB))
			t_die("CLAIM");
		at[i] = pos + 2 * MIB;
		pos = at[i] + holes[i];
	}
	if (ha_claim(fd, pos, begin + DISK_BYTES - pos))
		t_die("CLAIM");

	for (k = 0; k < 4; k++) {
		static const u64 minlen[] = { 0, 8 * BLOCK, MIB, 3 * MIB + BLOCK };

		fill_file(DISK_BYTES);
		t_errno(trim(0, ALL, minlen[k], &trimmed), 0, "TRIM, runs of %llu and more",
			minlen[k]);
		pos = begin;
		there = true;
		gone = true;
		for (i = sum = 0; i < ARRAY_SIZE(holes); i++) {
			there &= is_there(pos, at[i] - pos);
			if (holes[i] >= minlen[k]) {
				gone &= is_gone(at[i], holes[i]);
				sum += holes[i];
			} else {
				there &= is_there(at[i], holes[i]);
			}
			pos = at[i] + holes[i];
		}
		there &= is_there(pos, begin + DISK_BYTES - pos);
		t_ok(gone && trimmed == sum, "all of these are discarded");
		t_ok(there, "and nothing else");
	}

	fill_file(DISK_BYTES);
	t_errno(trim(at[5] + 1, 5 * MIB, 0, &trimmed), 0, "TRIM of a part of a run");
	t_ok(trimmed == 5 * MIB - BLOCK && is_there(at[5], BLOCK) &&
	     is_gone(at[5] + BLOCK, 5 * MIB - BLOCK) && is_there(at[5] + 5 * MIB, 15 * MIB),
	     "only whole blocks inside it");
	st = ha_stat(fd, 0);
	t_ok(t_identity(&st, "TRIM") && !st.retired, "nothing is kept from use");

	/* what sits in a pool is free */
	fill_file(DISK_BYTES);
	if (ha_alloc(fd, 7 * BLOCK, 0, &e) || ha_free(fd, e.start, e.len, NULL))
		t_die("ALLOC and FREE");
	free = ha_stat(fd, 0).free + ha_stat(fd, 0).cached;
	t_ok(!trim(0, ALL, 0, &trimmed) && trimmed == free && is_gone(e.start, e.len),
	     "what was freed just before is discarded");
	pos = begin;
	for (i = 0; i < ARRAY_SIZE(holes); i++) {
		ha_free(fd, pos, at[i] - pos, NULL);
		pos = at[i] + holes[i];
	}
	ha_free(fd, pos, begin + DISK_BYTES - pos, NULL);
	t_ok(!trim(DISK_BYTES - MIB, ALL, 0, &trimmed) && trimmed == MIB &&
	     is_gone(DISK_BYTES - MIB, MIB) && is_there(DISK_BYTES - 2 * MIB, MIB),
	     "TRIM of the last MiB, start + len beyond 2^64");
	t_ok(!trim(0, ALL, 0, &trimmed) && trimmed == DISK_BYTES && is_gone(0, DISK_BYTES),
	     "TRIM of an empty device");
	t_all_back(fd, &start, "after TRIM");
	detach();
}

/*
 * A disk with units of @gran bytes, of which the first whole one begins at
 * @shift. Holes of all lengths and at all places: only the whole units in them
 * are discarded, and what is live beside them stays.
 */
static void test_granularity(u64 gran, u64 shift)
{
	const u64 disk_bytes = 64 * MIB;
	struct hole {
		u64 start, end;
	} holes[300];
	u64 pos, rnd = t_seed, sum = 0, trimmed, from, to;
	struct hybrid_alloc_stat start;
	bool gone = true, there = true;
	u32 nr = 0, i, nr_whole = 0;
	char params[200];

	snprintf(params, sizeof(params), "dev_size_mb=%llu lbpu=1 lbprz=1 delay=0 "
		 "unmap_granularity=%llu unmap_alignment=%llu", disk_bytes / MIB, gran / 512,
		 shift / 512);
	snprintf(disk, sizeof(disk), "/dev/%s", t_scsi_make(params));
	file = open(disk, O_RDWR | O_CLOEXEC);
	if (file < 0)
		t_die("open %s", disk);
	fill_file(disk_bytes);
	if (fsync(file))
		t_die("fsync");
	attach(ALL_FREE);
	start = ha_stat(fd, 0);
	for (pos = 0; nr < ARRAY_SIZE(holes); nr++) {
		u64 len = (1 + random_next(&rnd) % 20) * BLOCK;

		holes[nr].start = pos + len;
		/* some end or begin where a unit does */
		if (nr % 5 == 1)
			holes[nr].start = (holes[nr].start + gran - 1) / gran * gran + shift;
		holes[nr].end =
			holes[nr].start + (1 + random_next(&rnd) % (4 * gran / BLOCK)) * BLOCK;
		if (nr % 5 == 2)
			holes[nr].end = (holes[nr].end + gran - 1) / gran * gran + shift;
		/* a unit over the border of two slabs is left alone */
		if (shift && holes[nr].start / MIB != holes[nr].end / MIB)
			holes[nr].end = (holes[nr].start / MIB + 1) * MIB;
		if (holes[nr].end + 2 * MIB > disk_bytes)
			break;
		if (ha_claim(fd, pos, holes[nr].start - pos))
			t_die("CLAIM");
		pos = holes[nr].end;
	}
	if (ha_claim(fd, pos, disk_bytes - pos))
		t_die("CLAIM");
	t_errno(trim(0, ALL, 0, &trimmed), 0, "TRIM by units of %llu KiB, the first at %llu KiB",
		gran / KIB, shift / KIB);
	/* what is in the page cache is as it was before */
	if (ioctl(file, BLKFLSBUF))
		t_die("BLKFLSBUF");
	for (i = 0, pos = 0; i < nr; i++) {
		from = (holes[i].start + gran - 1 - shift) / gran * gran + shift;
		to = (holes[i].end - shift) / gran * gran + shift;
		if (from >= to) {
			from = holes[i].end;
			to = from;
		} else {
			nr_whole++;
		}
		there &= is_there(pos, from - pos);
		gone &= is_gone(from, to - from);
		sum += to - from;
		pos = to;
	}
	there &= is_there(pos, disk_bytes - pos);
	if (!t_ok(nr_whole > 10 && gone && trimmed == sum,
		  "whole units are discarded, in %u of %u free runs", nr_whole, nr))
		t_note("%llu bytes for %llu%s", trimmed, sum, gone ? "" : ", not all is gone");
	t_ok(there, "and nothing else");
	for (i = 0, pos = 0; i < nr; i++) {
		ha_free(fd, pos, holes[i].start - pos, NULL);
		pos = holes[i].end;
	}
	ha_free(fd, pos, disk_bytes - pos, NULL);
	t_all_back(fd, &start, "units of the disk");
	detach();
	close(file);
	t_errno(system("rmmod scsi_debug"), 0, "rmmod of the disk's driver");
}

/* A disk whose logical blocks are as large as the smallest unit of space. */
static void test_large_blocks(void)
{
	struct hybrid_alloc_extent e;
	u64 trimmed, *data = aligned_alloc(BLOCK, NR_WRITTEN * BLOCK);
	int err, direct;

	if (!data || ioctl(loop, LOOP_SET_BLOCK_SIZE, BLOCK))
		t_die("logical blocks of 4 KiB");
	attach(ALL_FREE);
	fill_file(DISK_BYTES);
	err = ha_alloc(fd, NR_WRITTEN * BLOCK - 1, 0, &e);
	direct = open(disk, O_RDWR | O_DIRECT | O_CLOEXEC);
	memset(data, 0x5a, NR_WRITTEN * BLOCK);
	t_ok(!err && e.len == NR_WRITTEN * BLOCK &&
	     pwrite(direct, data, e.len, e.start) == (ssize_t)e.len,
	     "an extent of whole logical blocks, written with direct I/O");
	t_ok(!trim(0, ALL, 0, &trimmed) && trimmed == DISK_BYTES - e.len &&
	     is_gone(0, e.start) && is_gone(e.start + e.len, DISK_BYTES - e.start - e.len),
	     "TRIM of the rest");
	memset(data, 0, NR_WRITTEN * BLOCK);
	t_ok(pread(direct, data, e.len, e.start) == (ssize_t)e.len &&
	     data[0] == 0x5a5a5a5a5a5a5a5a && data[e.len / 8 - 1] == 0x5a5a5a5a5a5a5a5a,
	     "which leaves it alone");
	ha_free(fd, e.start, e.len, NULL);
	detach();
	close(direct);
	free(data);
	if (ioctl(loop, LOOP_SET_BLOCK_SIZE, 512))
		t_die("logical blocks of 512 bytes");
}

/*
 * Units and objects that are larger than what TRIM discards at a time, also from the middle
 * of one on: all that is free is discarded.
 */
static void test_large_units(void)
{
	static const struct {
		u64 min_block, slab_max, buddy_start;
		u64 start;	/* of the TRIM */
		u64 live;	/* an extent of this length is in the way */
	} t[] = {
		{ 4 * KIB, MIB, 16 * MIB, 4 * KIB, 0 },
		{ 64 * KIB, MIB, 32 * MIB, 64 * KIB, 0 },
		{ 64 * KIB, MIB, 64 * MIB, 0, 0 },
		{ 64 * KIB, MIB, 64 * MIB, 37 * MIB, 0 },
		{ MIB, MIB, 256 * MIB, 0, 0 },
		{ MIB, MIB, 256 * MIB, 300 * MIB, 256 * MIB },
		{ MIB, 64 * MIB, 256 * MIB, 0, 64 * MIB },
		{ MIB, 128 * MIB, 256 * MIB, 0, 128 * MIB },
	};
	struct hybrid_alloc_stat st;
	struct hybrid_alloc_extent e;
	u64 trimmed, want;
	u32 i;

	t_nullb_make("hat-units", (struct t_disk_opts){
		.mib = 512, .memory = true, .discard = true,
	});
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		struct hybrid_alloc_attach a = {
			.min_block = t[i].min_block, .slab_max = t[i].slab_max,
			.buddy_start = t[i].buddy_start,
		};

		if (ha_attach(&a, "/dev/hat-units", HYBRID_ALLOC_ATTACH_FRESH, &id))
			t_die("ATTACH");
		fd = ha_must_open(id, O_RDWR);
		e = (struct hybrid_alloc_extent){};
		if (t[i].live && ha_alloc(fd, t[i].live, 0, &e))
			t_die("ALLOC");
		st = ha_stat(fd, 0);
		want = st.free + st.cached - t[i].start;
		if (t[i].start >= e.start + e.len)
			want += e.len;
		t_errno(trim(t[i].start, ALL, 0, &trimmed), 0,
			"TRIM from %llu MiB on, units of %llu MiB, objects up to %llu MiB",
			t[i].start / MIB, t[i].buddy_start / MIB, t[i].slab_max / MIB);
		t_eq(trimmed, want, "discards all that is free");
		if (t[i].live)
			ha_free(fd, e.start, e.len, NULL);
		st = ha_stat(fd, 0);
		t_ok(t_identity(&st, "TRIM") && !st.retired, "nothing is kept from use");
		detach();
	}
	t_nullb_remove("hat-units");
}

/* A disk that rejects a discard: most of it has no memory. */
static void test_rejected(void)
{
	u64 trimmed;

	snprintf(disk, sizeof(disk), "/dev/%s",
		 t_scsi_make("virtual_gb=3000 dev_size_mb=8 lbpu=1 delay=0"));
	attach(HYBRID_ALLOC_ATTACH_FRESH);
	t_errno(trim(0, ALL, 0, &trimmed), EIO, "TRIM of a disk that rejects the discard");
	t_eq(ha_stat(fd, 0).retired, 0, "nothing is kept from use");
	detach();
	t_errno(system("rmmod scsi_debug"), 0, "rmmod of the disk's driver");
}

/* Others allocate, write, and look at what they wrote. */
static atomic_bool stop;
static atomic_uint writes, wrong, trims;
static atomic_int failed;

static void *writer(void *arg)
{
	u64 rnd = t_seed + (uintptr_t)arg, mark = 0;
	struct {
		struct hybrid_alloc_extent e;
		u64 mark;
	} own[24] = {};
	int f = ha_must_open(id, O_RDWR);
	u64 *data = aligned_alloc(BLOCK, MAX_WRITE), k;
	u32 i;

	if (!data)
		t_die("no memory");
	while (!atomic_load(&stop)) {
		i = random_next(&rnd) % ARRAY_SIZE(own);
		if (own[i].e.len) {
			if (pread(loop, data, own[i].e.len, own[i].e.start) !=
			    (ssize_t)own[i].e.len)
				atomic_store(&failed, 1);
			for (k = 0; k < own[i].e.len / 8; k += 64)
				if (data[k] != own[i].mark) {
					atomic_fetch_add(&wrong, 1);
					break;
				}
			if (ha_free(f, own[i].e.start, own[i].e.len, NULL))
				atomic_store(&failed, 1);
		}
		own[i].e.len = 0;
		if (ha_alloc(f, 1 + random_next(&rnd) % MAX_WRITE, 0, &own[i].e)) {
			own[i].e.len = 0;
			continue;
		}
		own[i].mark = (u64)(uintptr_t)arg << 48 | ++mark;
		for (k = 0; k < own[i].e.len / 8; k += 64)
			data[k] = own[i].mark;
		if (pwrite(loop, data, own[i].e.len, own[i].e.start) != (ssize_t)own[i].e.len)
			atomic_store(&failed, 1);
		atomic_fetch_add(&writes, 1);
	}
	for (i = 0; i < ARRAY_SIZE(own); i++)
		if (own[i].e.len)
			ha_free(f, own[i].e.start, own[i].e.len, NULL);
	free(data);
	close(f);
	return NULL;
}

/* Piece by piece: the shorter a TRIM, the more often it meets a writer. */
static void *trimmer(void *arg)
{
	u64 rnd = t_seed + (uintptr_t)arg, trimmed;

	while (!atomic_load(&stop)) {
		if (trim(random_next(&rnd) % DISK_BYTES, 8 * MIB, 0, &trimmed))
			atomic_store(&failed, 1);
		atomic_fetch_add(&trims, 1);
	}
	return NULL;
}

static void test_writers(void)
{
	struct hybrid_alloc_stat start;
	pthread_t threads[6];
	double until;
	u32 i;

	attach(ALL_FREE);
	/* what is discarded must not come from the page cache */
	close(loop);
	loop = open(disk, O_RDWR | O_DIRECT | O_CLOEXEC);
	start = ha_stat(fd, 0);
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_create(&threads[i], NULL, i < 2 ? trimmer : writer,
			       (void *)(uintptr_t)(i + 1));
	for (until = t_now() + 8; t_now() < until || atomic_load(&writes) < 100;)
		usleep(100000);
	atomic_store(&stop, true);
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		t_join(threads[i]);
	t_note("%u extents written, %u TRIMs", atomic_load(&writes), atomic_load(&trims));
	t_ok(atomic_load(&trims) > 1, "TRIM while four write");
	t_eq(atomic_load(&wrong), 0, "nothing that was written is discarded");
	t_eq(atomic_load(&failed), 0, "no call fails");
	t_all_back(fd, &start, "after TRIM and writes");
	detach();
}

/* A disk that takes 20 ms for each discard of 32 MiB: all of it takes 10 min. */
static void test_ended(void)
{
	u64 trimmed;
	double begun;
	int status;
	pid_t pid;
	u32 i;

	t_nullb_make("hat-slow", (struct t_disk_opts){
		.mib = 1024 * 1024, .memory = true, .discard = true, .delay_ms = 20,
	});
	for (i = 0; i < 2; i++) {
		id = ha_must_attach("/dev/hat-slow", HYBRID_ALLOC_ATTACH_FRESH);
		fd = ha_must_open(id, O_RDWR);
		pid = fork();
		if (!pid)
			_exit(trim(0, ALL, 0, &trimmed));
		usleep(500000);
		begun = t_now();
		if (!i)
			kill(pid, SIGKILL);
		else
			t_errno(ha_detach(id, HYBRID_ALLOC_DETACH_FORCE), 0,
				"DETACH by force while TRIM is at work");
		waitpid(pid, &status, 0);
		t_ok(t_now() - begun < 10, "TRIM ends soon when %s",
		     i ? "its device is detached" : "it is killed");
		if (i)
			t_ok(WIFEXITED(status) && WEXITSTATUS(status) == ENODEV, "with ENODEV");
		else
			t_ok(WIFSIGNALED(status), "by the signal");
		if (!i)
			detach();
		else
			close(fd);
	}
	t_nullb_remove("hat-slow");
}

static int grow(u64 range_len, u64 *capacity)
{
	struct hybrid_alloc_grow g = { .size = sizeof(g), .range_len = range_len };
	int err = ha_ioctl(fd, HYBRID_ALLOC_IOC_GROW, &g);

	*capacity = g.capacity;
	return err;
}

static void test_grow(void)
{
	static const u64 sizes[] = { 65 * MIB, 65 * MIB + BLOCK, 100 * MIB + 512, 300 * MIB,
				     300 * MIB + 5 * BLOCK };
	struct hybrid_alloc_extent e[2 + ARRAY_SIZE(sizes)];
	struct hybrid_alloc_stat st;
	u64 cap, was = 64 * MIB;
	int status, err;
	pid_t pid;
	u32 i;

	disk_resize(was);
	attach(ALL_FREE);
	if (ha_alloc(fd, was, 0, &e[0]))
		t_die("ALLOC of all");
	t_ok(!grow(0, &cap) && cap == was, "GROW of a disk that did not");
	t_errno(grow(was + BLOCK, &cap), ERANGE, "GROW beyond the disk");
	t_errno(grow(was - BLOCK, &cap), EINVAL, "GROW to less");
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		disk_resize(sizes[i]);
		t_errno(ha_alloc(fd, BLOCK, 0, NULL), ENOSPC, "a full disk grows to %llu",
			sizes[i]);
		err = grow(0, &cap);
		st = ha_stat(fd, HYBRID_ALLOC_STAT_RUNS);
		t_ok(!err && cap == sizes[i] && st.capacity == cap && t_identity(&st, "GROW") &&
		     st.nr_free_runs == 1, "GROW: its new space is one free run");
		/* what an odd tail had in it is part of it now */
		err = ha_alloc(fd, st.free, 0, &e[i + 1]);
		t_ok(!err && e[i + 1].start == was / BLOCK * BLOCK,
		     "which begins where the old one ended");
		t_errno(ha_op(fd, HYBRID_ALLOC_IOC_CHECK), 0, "CHECK");
		was = sizes[i];
	}
	pid = fork();
	if (!pid)
		_exit(setresuid(65534, 65534, 65534) ? 255 : grow(0, &cap));
	waitpid(pid, &status, 0);
	t_errno(WEXITSTATUS(status), EPERM, "GROW without CAP_SYS_ADMIN");
	disk_resize(200 * MIB);
	t_errno(grow(0, &cap), EINVAL, "GROW of a disk that shrank");
	t_eq(ha_stat(fd, 0).capacity, was, "which changes nothing");
	disk_resize(was);
	for (i = 0; i <= ARRAY_SIZE(sizes); i++)
		if (ha_free(fd, e[i].start, e[i].len, NULL))
			t_ok(false, "FREE of extent %u", i);
	ha_op(fd, HYBRID_ALLOC_IOC_DRAIN);
	st = ha_stat(fd, HYBRID_ALLOC_STAT_RUNS);
	t_ok(st.nr_free_runs == 1 && st.free == was && !st.charged, "all comes back as one run");
	err = ha_alloc(fd, was, 0, &e[0]);
	t_ok(!err && e[0].start == begin, "and can be had as one extent");
	ha_free(fd, e[0].start, e[0].len, NULL);
	detach();
}

int main(void)
{
	t_note("SEED=%llu", t_seed);
	ha_need_module();
	disk_make(DISK_BYTES);
	test_refused();
	test_trim();
	test_large_blocks();
	test_writers();
	test_grow();
	disk_remove();
	test_granularity(64 * KIB, 0);
	test_granularity(64 * KIB, 20 * KIB);
	test_granularity(256 * KIB, 4 * KIB);
	test_granularity(MIB, 0);
	test_large_units();
	test_rejected();
	test_ended();
	return t_done();
}
