// SPDX-License-Identifier: GPL-2.0
/*
 * usage (in a virtual machine of two processors, with the module loaded):
 *	ha_victim DISK [SLICES [WALKER]]
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

#define MAX_SLICES	9
#define VICTIM_LEN	(68ULL << 10)
#define NR_PAGE		1024
#define NR_BATCH	1024

static int fd;
static u64 capacity;
static int nr_slices = MAX_SLICES;

/* One of the two programs, as a thread on its processor. */
struct program {
	void (*call)(void);
	unsigned int cpu;
	atomic_bool runs;
	atomic_ullong calls;
	atomic_ullong done_at;	/* when the last one ended, in ns */
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
	int ret = ha_op(fd, HYBRID_ALLOC_IOC_CHECK);

	/* EAGAIN: the victim has changed something meanwhile */
	if (ret && ret != EAGAIN)
		t_die("CHECK: %s", t_strerror(ret));
}

/* A refusal that takes a search, alone as well: after a free, the one before says nothing. */
static void ask_for_too_much(void)
{
	struct hybrid_alloc_extent ext;

	victim_call();
	if (ha_alloc(fd, capacity / 8 * 5, 0, &ext) != ENOSPC)
		t_die("there is too much");
}

static u64 now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static atomic_bool over;	/* the programs end */
static pthread_t walker_thread;

static void *run_program(void *arg)
{
	struct program *p = arg;

	t_pin(p->cpu);
	for (;;) {
		while (!atomic_load(&p->runs)) {
			if (atomic_load(&over))
				return NULL;
			usleep(1000);
		}
		p->call();
		atomic_store(&p->done_at, now());
		atomic_fetch_add(&p->calls, 1);
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* What a program has done at a moment. */
struct mark {
	u64 calls, at;
};

static struct mark mark(struct program *p)
{
	return (struct mark) { atomic_load(&p->calls), atomic_load(&p->done_at) };
}

/* Calls a second between the last call before @from and the last one before now. */
static double rate_since(struct program *p, struct mark from)
{
	struct mark to = mark(p);

	return to.calls > from.calls ? (to.calls - from.calls) * 1e9 / (to.at - from.at) : 0;
}

/* Calls a second of both while those run that are given. */
static void slice(struct program *a, struct program *b, bool a_runs, bool b_runs, double *a_rate,
		  double *b_rate)
{
	struct mark from_a, from_b;

	atomic_store(&a->runs, a_runs);
	atomic_store(&b->runs, b_runs);
	/* each has ended a call in these circumstances, if it takes less than that */
	usleep(200000);
	from_a = mark(a);
	from_b = mark(b);
	sleep(1);
	if (a_runs)
		*a_rate = rate_since(a, from_a);
	if (b_runs)
		*b_rate = rate_since(b, from_b);
	atomic_store(&a->runs, false);
	atomic_store(&b->runs, false);
}

static double median(double *rates)
{
	qsort(rates, nr_slices, sizeof(*rates), compare);
	return rates[nr_slices / 2];
}

static void measure(struct program *victim, const char *name, void (*call)(void))
{
	static struct program walker;
	double alone[2][MAX_SLICES], beside[2][MAX_SLICES];
	int i;

	walker.call = call;
	if (!walker.cpu) {
		walker.cpu = 1;
		if (pthread_create(&walker_thread, NULL, run_program, &walker))
			t_die("pthread_create");
	}
	for (i = 0; i < nr_slices; i++) {
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

static const struct walker {
	const char *name;
	void (*call)(void);
} walkers[] = {
	{ "stat-runs", stat_runs },
	{ "map", map_pages },
	{ "trim", trim_long_runs },
	{ "check", check },
	{ "refusals", ask_for_too_much },
};

int main(int argc, char **argv)
{
	static struct program victim = { .call = victim_call };
	struct hybrid_alloc_attach attach = {};
	const struct walker *w;
	bool any = false;
	pthread_t thread;
	u32 id;
	int ret;

	if (argc > 2)
		nr_slices = atoi(argv[2]);
	if (argc < 2 || argc > 4 || nr_slices < 1 || nr_slices > MAX_SLICES)
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
	for (w = walkers; w < walkers + ARRAY_SIZE(walkers); w++)
		if (argc < 4 || !strcmp(argv[3], w->name)) {
			measure(&victim, w->name, w->call);
			any = true;
		}
	if (!any)
		t_die("no walker has this name");
	/* a call in flight would fail */
	atomic_store(&over, true);
	pthread_join(thread, NULL);
	pthread_join(walker_thread, NULL);
	ret = ha_detach(id, HYBRID_ALLOC_DETACH_FORCE);
	_exit(ret ? 1 : 0);
}
