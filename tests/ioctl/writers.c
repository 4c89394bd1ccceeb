// SPDX-License-Identifier: GPL-2.0
/*
 * Eight writers at once allocate, write a pattern of their own, and later read
 * it and free the extent, while TRIM passes over the device again and again:
 * nothing that was written may be discarded.
 *
 * The allocator is on a disk that takes its time for a discard, as many do; the
 * data goes past that to the disk below it. So whoever is given what is being
 * discarded has written it long before the discard is done, and finds zeroes.
 *
 * usage: writers [--seconds N] [--seed N] [--broken] NODE DISK
 *	--broken: TRIM does not hold what it discards; that must be noticed
 *        writers --trim FILE NODE
 *	only the TRIMs, until killed; the number of those that were begun is kept
 *	in the file, as so many bytes
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include "harness.h"

#define NR_WRITERS	8
#define NR_OWN		16
#define MAX_WRITE	(512 * KIB)
#define ALL		(~0ULL)

static const char *node, *disk;
static double seconds = 6;
static int fd;
static u64 range_end;

static atomic_bool stop;
static atomic_ullong trims;		/* odd while one is at work */
static atomic_ullong trimmed;
static atomic_ullong wrong;		/* extents that were not as written */
static atomic_int failed;

static struct writer {
	pthread_t thread;
	u32 nr;
	u64 extents;
	atomic_ullong meanwhile;	/* allocated and written within one TRIM */
} writers[NR_WRITERS];

static int trim(u64 *bytes)
{
	struct hybrid_alloc_trim t = { .size = sizeof(t), .len = ALL };
	int err = ha_ioctl(fd, HYBRID_ALLOC_IOC_TRIM, &t);

	*bytes = t.trimmed;
	return err;
}

static void *trimmer(void *arg)
{
	u64 bytes;
	int err;

	(void)arg;
	while (!atomic_load(&stop)) {
		atomic_fetch_add(&trims, 1);
		err = trim(&bytes);
		atomic_fetch_add(&trims, 1);
		atomic_fetch_add(&trimmed, bytes);
		if (err)
			atomic_store(&failed, err);
	}
	return NULL;
}

/* Each word tells whose it is and where. */
static void fill(u64 *data, u64 start, u64 len, u64 mark)
{
	u64 i;

	for (i = 0; i < len / 8; i++)
		data[i] = mark ^ (start + 8 * i);
}

static bool is_mine(const u64 *data, u64 start, u64 len, u64 mark)
{
	u64 i;

	for (i = 0; i < len / 8; i++)
		if (data[i] != (mark ^ (start + 8 * i)))
			return false;
	return true;
}

static void *writer(void *arg)
{
	struct {
		struct hybrid_alloc_extent e;
		u64 mark;
	} own[NR_OWN] = {}, *o;
	struct writer *w = arg;
	u64 rnd = t_seed + w->nr, *data = aligned_alloc(BLOCK, MAX_WRITE), left = 0, begun;
	int data_fd = open(disk, O_RDWR | O_DIRECT | O_CLOEXEC), file = open(node, O_RDWR), err;

	if (!data || data_fd < 0 || file < 0)
		t_die("open %s and %s", disk, node);
	while (!atomic_load(&stop) || left) {
		o = &own[random_next(&rnd) % NR_OWN];
		if (o->e.len) {
			if (pread(data_fd, data, o->e.len, o->e.start) != (ssize_t)o->e.len)
				atomic_store(&failed, EIO);
			if (!is_mine(data, o->e.start, o->e.len, o->mark))
				atomic_fetch_add(&wrong, 1);
			err = ha_free(file, o->e.start, o->e.len, NULL);
			if (err)
				atomic_store(&failed, err);
			o->e.len = 0;
			left--;
			continue;
		}
		if (atomic_load(&stop))
			continue;
		begun = atomic_load(&trims);
		err = ha_alloc(file, 1 + random_next(&rnd) % MAX_WRITE, 0, &o->e);
		if (err) {
			o->e.len = 0;
			if (err != ENOSPC)
				atomic_store(&failed, err);
			continue;
		}
		left++;
		o->mark = random_next(&rnd) | 1;
		fill(data, o->e.start, o->e.len, o->mark);
		if (pwrite(data_fd, data, o->e.len, o->e.start) != (ssize_t)o->e.len)
			atomic_store(&failed, EIO);
		w->extents++;
		if ((begun & 1) && begun == atomic_load(&trims))
			atomic_fetch_add(&w->meanwhile, 1);
	}
	free(data);
	close(data_fd);
	close(file);
	return NULL;
}

static bool all_zero(void)
{
	u64 *data = aligned_alloc(BLOCK, MIB), pos, i;
	int data_fd = open(disk, O_RDONLY | O_DIRECT | O_CLOEXEC);
	bool zero = true;

	for (pos = 0; pos < range_end && zero; pos += MIB) {
		if (pread(data_fd, data, MIB, pos) != (ssize_t)MIB)
			t_die("read %s", disk);
		for (i = 0; i < MIB / 8; i++)
			zero &= !data[i];
	}
	close(data_fd);
	free(data);
	return zero;
}

static int only_trim(const char *path)
{
	int count = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	u64 bytes;

	if (count < 0)
		return 1;
	do {
		if (write(count, ".", 1) != 1)
			return 1;
	} while (!trim(&bytes));
	return 1;
}

static bool all_meanwhile(void)
{
	u32 i;

	for (i = 0; i < NR_WRITERS && atomic_load(&writers[i].meanwhile); i++)
		;
	return i == NR_WRITERS && atomic_load(&trimmed);
}

/* On a machine that is busy with other things it may take longer than said. */
static bool is_over(double begun, bool broken)
{
	double t = t_now() - begun;

	return t > seconds && (t > 60 + seconds ||
			       (all_meanwhile() && (!broken || atomic_load(&wrong))));
}

static void test(bool broken)
{
	u64 extents = 0, meanwhile = 0, bytes;
	struct hybrid_alloc_stat start;
	pthread_t trim_thread;
	double begun;
	u32 i;

	start = ha_stat(fd, 0);
	pthread_create(&trim_thread, NULL, trimmer, NULL);
	for (i = 0; i < NR_WRITERS; i++) {
		writers[i].nr = i;
		pthread_create(&writers[i].thread, NULL, writer, &writers[i]);
	}
	for (begun = t_now(); !is_over(begun, broken);)
		usleep(100000);
	atomic_store(&stop, true);
	pthread_join(trim_thread, NULL);
	for (i = 0; i < NR_WRITERS; i++) {
		pthread_join(writers[i].thread, NULL);
		extents += writers[i].extents;
		meanwhile += atomic_load(&writers[i].meanwhile);
	}
	t_note("%llu extents written, %llu of them within one TRIM; %llu TRIMs of %llu MiB",
	       extents, meanwhile, (u64)atomic_load(&trims) / 2,
	       (u64)atomic_load(&trimmed) / MIB);
	t_note("%llu extents were not as written", (u64)atomic_load(&wrong));
	t_ok(all_meanwhile(), "each of %u writers is at work while TRIM is", NR_WRITERS);
	if (broken) {
		t_ok(atomic_load(&wrong), "what was written is discarded, and that is noticed");
		return;
	}
	t_ok(!atomic_load(&wrong), "no written block is discarded");
	t_errno(atomic_load(&failed), 0, "no call fails");
	t_all_back(fd, &start, "after all of it");
	t_errno(trim(&bytes), 0, "TRIM of all");
	t_ok(all_zero(), "the disk gives zeroes for what is discarded");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "broken", no_argument, NULL, 'b' },
		{ "seconds", required_argument, NULL, 't' },
		{ "seed", required_argument, NULL, 's' },
		{ "trim", required_argument, NULL, 'o' },
		{}
	};
	struct hybrid_alloc_info info;
	const char *only = NULL;
	bool broken = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'b':
			broken = true;
			break;
		case 't':
			seconds = strtoull(optarg, NULL, 0);
			break;
		case 's':
			t_seed = strtoull(optarg, NULL, 0);
			break;
		case 'o':
			only = optarg;
			break;
		default:
			return 2;
		}
	}
	if (argc - optind != (only ? 1 : 2))
		return 2;
	node = argv[optind];
	disk = argv[optind + 1];
	fd = open(node, O_RDWR | O_CLOEXEC);
	if (fd < 0 || ha_info(fd, 0, 0, &info))
		t_die("%s", node);
	if (only)
		return only_trim(only);
	range_end = info.range_start + info.range_len;
	t_note("--seed %llu", t_seed);
	test(broken);
	return t_done();
}
