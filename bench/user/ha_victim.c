// SPDX-License-Identifier: GPL-2.0
/*
 * usage (in a virtual machine of two processors, with the module loaded): ha_victim DISK
 *
 * What a program gets done beside another one that calls something long in a loop. The victim
 * allocates and frees extents of 68 KiB, which no pool serves, on one processor. On the other, a
 * walker calls STAT with runs, MAP, TRIM, CHECK, or asks for more than there is. Each works alone
 * and beside the other by turns, in slices of a second; the ratio of the medians is printed, in
 * lines as those of bench/guest.sh.
 *
 * Each second block of half of the device is an extent, so the walks are long.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../../tests/ioctl/harness.h"

#define NR_SLICES	9
#define VICTIM_LEN	(68ULL << 10)
#define NR_PAGE		1024
#define NR_BATCH	1024

static int fd;
static u64 capacity;

/* One of the two programs, as a thread on its processor. */
struct program {
	void (*call)(void);
	unsigned int cpu;
	atomic_bool runs;
	atomic_ullong calls;
};

static void victim_call(void)
{
	struct hybrid_alloc_extent ext;

	if (ha_alloc(fd, VICTIM_LEN, 0, &ext) || ha_free(fd, ext.start, ext.len, NULL))
		t_die("the victim is refused");
}

static void stat_runs(void)
{
	struct hybrid_alloc_stat st = { .size = sizeof(st) };

	if (ha_stat_err(fd, HYBRID_ALLOC_STAT_RUNS, &st))
		t_die("STAT");
}

static void map_pages(void)
{
	static struct hybrid_alloc_map_entry page[NR_PAGE];
	static u64 pos;
	u32 got;

	if (ha_map(fd, pos, 0, page, NR_PAGE, &got))
		t_die("MAP");
	pos = got ? page[got - 1].start + page[got - 1].len : 0;
	if (pos >= capacity)
		pos = 0;
}

static void trim_long_runs(void)
{
	struct hybrid_alloc_trim trim = {
		.size = sizeof(trim), .len = capacity, .minlen = capacity
	};

	if (ha_ioctl(fd, HYBRID_ALLOC_IOC_TRIM, &trim))
		t_die("TRIM");
}

static void check(void)
{
	if (ha_op(fd, HYBRID_ALLOC_IOC_CHECK))
		t_die("CHECK");
}

static void ask_for_too_much(void)
{
	struct hybrid_alloc_extent ext;

	if (ha_alloc(fd, capacity / 4 * 3, 0, &ext) != ENOSPC)
		t_die("there is too much");
}

static void *run_program(void *arg)
{
	struct program *p = arg;

	t_pin(p->cpu);
	for (;;) {
		while (!atomic_load(&p->runs))
			usleep(1000);
		p->call();
		atomic_fetch_add(&p->calls, 1);
	}
	return NULL;
}

static u64 now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Calls a second of both while those run that are given. */
static void slice(struct program *a, struct program *b, bool a_runs, bool b_runs, double *a_rate,
		  double *b_rate)
{
	u64 from_a, from_b, t;

	atomic_store(&a->runs, a_runs);
	atomic_store(&b->runs, b_runs);
	usleep(20000);
	from_a = a->calls;
	from_b = b->calls;
	t = now();
	sleep(1);
	t = now() - t;
	if (a_runs)
		*a_rate = (a->calls - from_a) * 1e9 / t;
	if (b_runs)
		*b_rate = (b->calls - from_b) * 1e9 / t;
	atomic_store(&a->runs, false);
	atomic_store(&b->runs, false);
}

static double median(double *rates)
{
	qsort(rates, NR_SLICES, sizeof(*rates), compare);
	return rates[NR_SLICES / 2];
}

static void measure(struct program *victim, const char *name, void (*call)(void))
{
	static struct program walker;
	double alone[2][NR_SLICES], beside[2][NR_SLICES];
	static pthread_t thread;
	int i;

	walker.call = call;
	if (!walker.cpu) {
		walker.cpu = 1;
		if (pthread_create(&thread, NULL, run_program, &walker))
			t_die("pthread_create");
	}
	for (i = 0; i < NR_SLICES; i++) {
		slice(victim, &walker, true, false, &alone[0][i], NULL);
		slice(victim, &walker, false, true, NULL, &alone[1][i]);
		slice(victim, &walker, true, true, &beside[0][i], &beside[1][i]);
	}
	printf("hybrid_alloc victim-beside-%s ratio_to_alone %.3f\n", name,
	       median(beside[0]) / median(alone[0]));
	printf("hybrid_alloc walker-%s ratio_to_alone %.3f\n", name,
	       median(beside[1]) / median(alone[1]));
	fflush(stdout);
}

/* Fills half of the device with blocks, and frees each second one. */
static void shred(void)
{
	static struct hybrid_alloc_alloc_item a[NR_BATCH];
	static struct hybrid_alloc_free_item f[NR_BATCH];
	u64 pos, len = NR_BATCH * BLOCK;
	u32 failed, i;

	for (pos = 0; pos < capacity / 2; pos += len) {
		memset(a, 0, sizeof(a));
		for (i = 0; i < NR_BATCH; i++)
			a[i].len = BLOCK;
		if (ha_alloc_batch(fd, a, NR_BATCH, &failed) || failed)
			t_die("ALLOC_BATCH");
	}
	for (pos = 0; pos < capacity / 2; pos += 2 * len) {
		memset(f, 0, sizeof(f));
		for (i = 0; i < NR_BATCH; i++) {
			f[i].extent.start = pos + 2 * i * BLOCK;
			f[i].extent.len = BLOCK;
		}
		if (ha_free_batch(fd, f, NR_BATCH, &failed) || failed)
			t_die("FREE_BATCH");
	}
}

int main(int argc, char **argv)
{
	static struct program victim = { .call = victim_call };
	struct hybrid_alloc_attach attach = {};
	pthread_t thread;
	u32 id;
	int ret;

	if (argc != 2)
		t_die("see the head of the source");
	ret = ha_attach(&attach, argv[1], HYBRID_ALLOC_ATTACH_FRESH, &id);
	if (ret)
		t_die("attach %s: %s", argv[1], t_strerror(ret));
	fd = ha_must_open(id, O_RDWR);
	capacity = t_disk_size(argv[1]);
	shred();
	if (ha_op(fd, HYBRID_ALLOC_IOC_DRAIN) ||
	    pthread_create(&thread, NULL, run_program, &victim))
		t_die("cannot begin");
	measure(&victim, "stat-runs", stat_runs);
	measure(&victim, "map", map_pages);
	measure(&victim, "trim", trim_long_runs);
	measure(&victim, "check", check);
	measure(&victim, "refusals", ask_for_too_much);
	fflush(stdout);
	ret = ha_detach(id, HYBRID_ALLOC_DETACH_FORCE);
	_exit(ret ? 1 : 0);
}
