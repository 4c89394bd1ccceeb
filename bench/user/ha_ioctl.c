// SPDX-License-Identifier: GPL-2.0
/*
 * usage (in a virtual machine, with the module loaded): ha_ioctl DISK UNIT SEED
 *
 * The cost of a pair of ALLOC and FREE for a process, including the system calls:
 * with one extent a call, and with 256 by ALLOC_BATCH and FREE_BATCH, on a fresh
 * device and on an aged one. The median over rounds, for each extent. Prints lines
 * as bench/guest.sh does; ha_bench.c explains the terms.
 */
#include <fcntl.h>
#include <math.h>
#include <sys/ioctl.h>
#include <time.h>
#include <x86intrin.h>

#include "../../tests/ioctl/harness.h"

#define ROUNDS		51
#define PAIRS		200
#define BATCH		256
#define MAX_LIVE	400000

static bool in_ns;
static const char *unit;
static int fd;
static struct hybrid_alloc_extent live[MAX_LIVE];
static u64 nr_live, used, rng;

static u64 now(void)
{
	struct timespec t;

	if (!in_ns)
		return __rdtsc();
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static u64 singles(void)
{
	struct hybrid_alloc_alloc a = { .size = sizeof(a), .len = BLOCK };
	struct hybrid_alloc_free f = { .size = sizeof(f) };
	u64 t = now();
	int i;

	for (i = 0; i < PAIRS; i++) {
		if (ioctl(fd, HYBRID_ALLOC_IOC_ALLOC, &a))
			t_die("ALLOC: %m");
		f.extent.start = a.extent.start;
		f.extent.len = a.extent.len;
		if (ioctl(fd, HYBRID_ALLOC_IOC_FREE, &f))
			t_die("FREE: %m");
	}
	return now() - t;
}

static u64 batches(void)
{
	static struct hybrid_alloc_alloc_item a[BATCH];
	static struct hybrid_alloc_free_item f[BATCH];
	u32 failed, i;
	u64 t;

	for (i = 0; i < BATCH; i++) {
		memset(&a[i], 0, sizeof(a[i]));
		a[i].len = BLOCK;
	}
	t = now();
	if (ha_alloc_batch(fd, a, BATCH, &failed) || failed)
		t_die("ALLOC_BATCH");
	for (i = 0; i < BATCH; i++) {
		f[i].extent.start = a[i].extent.start;
		f[i].extent.len = a[i].extent.len;
	}
	if (ha_free_batch(fd, f, BATCH, &failed) || failed)
		t_die("FREE_BATCH");
	return now() - t;
}

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static void measure(const char *name, const char *suffix, u64 (*round)(void), double pairs)
{
	u64 t[ROUNDS];
	int i;

	round();
	for (i = 0; i < ROUNDS; i++)
		t[i] = round();
	qsort(t, ROUNDS, sizeof(t[0]), compare);
	printf("hybrid_alloc %s%s %s_per_pair %.3f\n", name, suffix, unit, t[ROUNDS / 2] / pairs);
}

static void fill(u64 limit)
{
	while (used < limit) {
		u64 len = (u64)exp2(10.0 * (random_next(&rng) >> 11) / (1ULL << 53)) * BLOCK;
		int ret;

		if (nr_live == MAX_LIVE)
			t_die("no room for so many extents");
		ret = ha_alloc(fd, len, 0, &live[nr_live]);
		if (ret)
			t_die("filling: %s", t_strerror(ret));
		used += live[nr_live++].len;
	}
}

static void free_down_to(u64 limit)
{
	while (used > limit) {
		u64 i = random_next(&rng) % nr_live;
		int ret = ha_free(fd, live[i].start, live[i].len, NULL);

		if (ret)
			t_die("freeing: %s", t_strerror(ret));
		used -= live[i].len;
		live[i] = live[--nr_live];
	}
}

int main(int argc, char **argv)
{
	struct hybrid_alloc_attach attach = { .range_len = 64 * GIB };
	u64 capacity;
	u32 id;
	int ret, i;

	if (argc != 4)
		t_die("see the head of the source");
	unit = argv[2];
	in_ns = !strcmp(unit, "ns");
	rng = strtoull(argv[3], NULL, 0);
	ret = ha_attach(&attach, argv[1], HYBRID_ALLOC_ATTACH_FRESH, &id);
	if (ret)
		t_die("attach %s: %s", argv[1], t_strerror(ret));
	fd = ha_must_open(id, O_RDWR);
	capacity = ha_stat(fd, 0).capacity;

	measure("ioctl-single", "", singles, PAIRS);
	measure("ioctl-batch256", "", batches, BATCH);
	for (i = 0; i < 3; i++) {
		fill(capacity / 100 * 95);
		free_down_to(capacity / 100 * 60);
	}
	fill(capacity / 100 * 95);
	measure("ioctl-single", "-aged95", singles, PAIRS);
	measure("ioctl-batch256", "-aged95", batches, BATCH);
	free_down_to(0);
	close(fd);
	return ha_detach(id, 0);
}
