// SPDX-License-Identifier: GPL-2.0
/*
 * The allocator under threads, in user space: every thread is a CPU. What each
 * gets is compared with a ledger of who has which block, which knows nothing
 * of the allocator. Prints TAP.
 *
 * Usage: pool_threads [--seed N] [--ops N] [--threads N]
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/atomic.h>
#include <linux/percpu.h>

#include "pool.h"

#define NR_BLOCKS	(40000 + 77)	/* 156 MiB and an odd tail */
#define SLOT		4096
#define MAX_BLOCKS	(60 * SLOT + 77)	/* a device that grows */
#define MAX_EXTENTS	512
#define MAX_THREADS	32

static unsigned long seed = 1, ops = 20000, nr_threads = 4;
static struct hapool pool;
static u64 nr_blocks;	/* of the device, when it has grown */
static u8 ledger[MAX_BLOCKS];
static atomic_t nr_wrong;
static int nr_tests, nr_failed;

struct extent {
	u64 start;
	u64 len;	/* 0: none */
};

struct worker {
	pthread_t thread;
	int id;
	u64 rng;
	struct extent extents[MAX_EXTENTS];
	unsigned int nr;
	u64 failed_len;		/* the shortest length that got ENOSPC */
};

static struct worker workers[MAX_THREADS];

/* ---- what all have ---- */

static u64 random64(u64 *rng)	/* splitmix64 */
{
	u64 z = (*rng += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static u64 below(struct worker *w, u64 n)
{
	return random64(&w->rng) % n;
}

#define wrong(...) do {						\
	if (atomic_inc_return(&nr_wrong) <= 10)			\
		printf("# " __VA_ARGS__);			\
} while (0)

static void ledger_take(u64 start, u64 len)
{
	u64 i;

	if (start >= nr_blocks || len > nr_blocks - start) {
		wrong("%llu blocks at %llu are not on the device\n", len, start);
		return;
	}
	for (i = start; i < start + len; i++)
		if (__atomic_exchange_n(&ledger[i], 1, __ATOMIC_RELAXED))
			wrong("block %llu handed out twice\n", i);
}

static void ledger_give(u64 start, u64 len)
{
	u64 i;

	for (i = start; i < start + len; i++)
		if (!__atomic_exchange_n(&ledger[i], 0, __ATOMIC_RELAXED))
			wrong("block %llu was nobody's\n", i);
}

static u64 random_len(struct worker *w)
{
	return 1 + below(w, 1 << below(w, 11));
}

static int take(struct worker *w, u64 len, struct extent *e)
{
	int ret = hapool_alloc(&pool, len, 1, HAPOOL_NO_GOAL, GFP_KERNEL, &e->start);

	if (!ret) {
		e->len = len;
		ledger_take(e->start, len);
	} else if (ret != -ENOSPC) {
		wrong("alloc of %llu blocks: %d\n", len, ret);
	}
	return ret;
}

static void give(struct extent *e)
{
	enum hybrid_alloc_reason reason = 0;
	int ret;

	ledger_give(e->start, e->len);
	ret = hapool_free(&pool, e->start, e->len, &reason);
	if (ret)
		wrong("free of %llu blocks at %llu: %d, reason %d\n", e->len, e->start, ret,
		      reason);
	e->len = 0;
}

/* A free of one's own extent that must be refused. */
static void give_wrongly(struct worker *w, const struct extent *e)
{
	enum hybrid_alloc_reason reason = 0;
	u64 start = e->start, len = e->len;
	int ret;

	if (len > 1 && below(w, 2))
		start += 1 + below(w, len - 1);
	else
		len = len + 1 + below(w, 20);
	if (start + len > nr_blocks)
		return;
	ret = hapool_free(&pool, start, len, &reason);
	if (ret != -EINVAL)
		wrong("free of %llu at %llu inside of %llu at %llu: %d\n", len, start, e->len,
		      e->start, ret);
}

static void random_step(struct worker *w)
{
	u64 what = below(w, 20);

	if (what < 10 && w->nr < MAX_EXTENTS) {
		if (!take(w, random_len(w), &w->extents[w->nr]))
			w->nr++;
	} else if (w->nr) {
		unsigned int i = below(w, w->nr);

		if (what == 19) {
			give_wrongly(w, &w->extents[i]);
			return;
		}
		give(&w->extents[i]);
		w->extents[i] = w->extents[--w->nr];
	}
}

/* ---- the situations ---- */

static void *random_work(void *arg)
{
	struct worker *w = arg;
	unsigned long i;

	sim_set_cpu(w->id + 1);
	for (i = 0; i < ops; i++)
		random_step(w);
	return NULL;
}

/* One more thread that empties pools, looks at everything and claims. */
static void *disturb(void *arg)
{
	struct worker *w = arg;
	struct hapool_stat st;
	unsigned long i;

	sim_set_cpu(w->id + 1);
	for (i = 0; i < ops / 20; i++) {
		struct extent e = { below(w, NR_BLOCKS), random_len(w) };
		int ret;

		switch (below(w, 4)) {
		case 0:
			hapool_drain(&pool);
			break;
		case 1:
			hapool_cpu_dead(&pool, below(w, nr_cpu_ids));
			break;
		case 2:
			hapool_stat(&pool, &st, true);
			break;
		default:
			e.len = min(e.len, NR_BLOCKS - e.start);
			ret = hapool_claim(&pool, e.start, e.len, GFP_KERNEL);
			if (!ret) {
				ledger_take(e.start, e.len);
				give(&e);
			} else if (ret != -EEXIST) {
				wrong("claim: %d\n", ret);
			}
		}
	}
	return NULL;
}

static void *random_work_disturbed(void *arg)
{
	struct worker *w = arg;

	return w->id ? random_work(arg) : disturb(arg);
}

/*
 * Claims beside small live extents turn slabs of equal objects into mixed ones
 * while the others free into the pools.
 */
static u64 somewhere;

static void *claim_beside(void *arg)
{
	struct worker *w = arg;
	unsigned long i;
	struct extent e;

	sim_set_cpu(w->id + 1);
	for (i = 0; i < ops * 4; i++) {
		if (w->id) {
			if (w->nr < 200 && below(w, 2)) {
				e.len = 0;
				take(w, 3, &e);
				if (e.len) {
					w->extents[w->nr++] = e;
					WRITE_ONCE(somewhere, e.start);
				}
			} else if (w->nr) {
				unsigned int k = below(w, w->nr);

				give(&w->extents[k]);
				w->extents[k] = w->extents[--w->nr];
			}
			continue;
		}
		if (i % 64)
			continue;
		e.start = min(READ_ONCE(somewhere) + below(w, 64), (u64)NR_BLOCKS - 1);
		e.len = 1;
		if (!hapool_claim(&pool, e.start, 1, GFP_KERNEL)) {
			ledger_take(e.start, 1);
			give(&e);
		}
	}
	return NULL;
}

/* One thread takes the others' magazines away, as the kernel does when memory is short. */
static void *shrink(void *arg)
{
	struct worker *w = arg;
	unsigned long i;

	sim_set_cpu(w->id + 1);
	for (i = 0; i < ops * 4; i++) {
		if (w->id)
			random_step(w);
		else if (i % 8)
			hapool_shrink(&pool, below(w, 8));
		else
			hapool_drain_idle(&pool);
	}
	return NULL;
}

/* Extents change hands: what one allocated another frees. */
static struct extent *exchange[64];

static void *hand_over(void *arg)
{
	struct worker *w = arg;
	unsigned long i;

	sim_set_cpu(w->id + 1);
	for (i = 0; i < ops; i++) {
		struct extent *e = malloc(sizeof(*e));

		if (take(w, random_len(w), e)) {
			free(e);
			e = NULL;
		}
		e = __atomic_exchange_n(&exchange[below(w, 64)], e, __ATOMIC_ACQ_REL);
		if (e)
			give(e);
		free(e);
	}
	return NULL;
}

static void hand_over_end(void)
{
	int i;

	for (i = 0; i < 64; i++) {
		if (exchange[i])
			give(exchange[i]);
		free(exchange[i]);
		exchange[i] = NULL;
	}
}

/* All free the same extents: of each, one succeeds. */
static struct extent common[MAX_EXTENTS];
static atomic_t nr_freed[MAX_EXTENTS];
static pthread_barrier_t barrier;

static void *free_the_same(void *arg)
{
	struct worker *w = arg;
	unsigned long round;
	int i;

	sim_set_cpu(w->id + 1);
	for (round = 0; round < ops / 200; round++) {
		if (!w->id)
			for (i = 0; i < 64; i++) {
				atomic_set(&nr_freed[i], 0);
				while (take(w, random_len(w) % 64 + 1, &common[i]))
					;
			}
		pthread_barrier_wait(&barrier);
		for (i = 0; i < 64; i++) {
			enum hybrid_alloc_reason reason;
			int ret = hapool_free(&pool, common[i].start, common[i].len, &reason);

			if (!ret)
				atomic_inc(&nr_freed[i]);
			else if (ret != -ENOENT)
				wrong("second free: %d\n", ret);
		}
		pthread_barrier_wait(&barrier);
		for (i = 0; !w->id && i < 64; i++) {
			ledger_give(common[i].start, common[i].len);
			if (atomic_read(&nr_freed[i]) != 1)
				wrong("freed %d times\n", atomic_read(&nr_freed[i]));
		}
	}
	return NULL;
}

/*
 * Allocate until it fails, then free some: what did not fit when all only
 * allocated must not fit when all have stopped either.
 */
static void *fill_up(void *arg)
{
	struct worker *w = arg;
	unsigned long round;
	struct extent e;
	unsigned int i;

	sim_set_cpu(w->id + 1);
	for (round = 0; round < ops / 500; round++) {
		w->failed_len = U64_MAX;
		pthread_barrier_wait(&barrier);
		for (i = 0; i < 100 && w->nr < MAX_EXTENTS; i++) {
			u64 len = random_len(w);

			if (!take(w, len, &w->extents[w->nr]))
				w->nr++;
			else
				w->failed_len = min(w->failed_len, len);
		}
		pthread_barrier_wait(&barrier);
		if (!w->id) {
			u64 len = U64_MAX;

			for (i = 0; i < nr_threads; i++)
				len = min(len, workers[i].failed_len);
			if (len != U64_MAX && !take(w, len, &e)) {
				wrong("%llu blocks did not fit, but do\n", len);
				give(&e);
			}
		}
		pthread_barrier_wait(&barrier);
		for (i = 0; i < 60 && w->nr; i++) {
			unsigned int k = below(w, w->nr);

			give(&w->extents[k]);
			w->extents[k] = w->extents[--w->nr];
		}
	}
	return NULL;
}

/* One thread makes the device larger, a slot at a time; the others use what there is. */
static void *grow(void *arg)
{
	struct worker *w = arg;
	u64 to;
	int ret;

	if (w->id)
		return random_work(arg);
	sim_set_cpu(w->id + 1);
	for (to = NR_BLOCKS + SLOT; to <= nr_blocks; to += SLOT) {
		usleep(200);
		ret = hapool_grow(&pool, to, GFP_KERNEL);
		if (ret)
			wrong("to %llu blocks: %d\n", to, ret);
	}
	return NULL;
}

/* ---- one after the other ---- */

static void come_back(const struct hapool_stat *begin)
{
	struct hapool_stat st;
	unsigned long i;

	if (hapool_check(&pool))
		wrong("check failed while extents are live\n");
	for (i = 0; i < nr_threads; i++)
		while (workers[i].nr)
			give(&workers[i].extents[--workers[i].nr]);
	hapool_drain(&pool);
	if (hapool_check(&pool))
		wrong("check failed when all was freed\n");
	hapool_stat(&pool, &st, true);
	if (st.charged || st.nr_live || st.cached || st.slab.free != nr_blocks ||
	    st.slab.nr_runs != 1)
		wrong("charged %llu live %llu cached %llu free %llu runs %llu\n", st.charged,
		      st.nr_live, st.cached, st.slab.free, st.slab.nr_runs);
	rcu_barrier();
	hapool_shrink(&pool, ULONG_MAX);
	hapool_stat(&pool, &st, false);
	/* a larger device has more */
	if ((nr_blocks == NR_BLOCKS && st.metadata != begin->metadata) ||
	    st.percpu != begin->percpu)
		wrong("%llu bytes of metadata and %llu for the CPUs, %llu and %llu at the start\n",
		      st.metadata, st.percpu, begin->metadata, begin->percpu);
}

/* The device is of NR_BLOCKS, and if it grows of @grown at the end. */
static void situation(const char *name, void *(*work)(void *), void (*end)(void), u64 grown)
{
	struct haslab_config cfg = { .nr_blocks = NR_BLOCKS, .unit_shift = 8, .slab_max = 256 };
	struct hapool_stat begin;
	unsigned long i;

	atomic_set(&nr_wrong, 0);
	nr_blocks = grown ?: NR_BLOCKS;
	if (hapool_init(&pool, &cfg))
		exit(1);
	hapool_stat(&pool, &begin, false);
	for (i = 0; i < nr_threads; i++) {
		workers[i].id = i;
		workers[i].rng = seed * 1000 + i;
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	for (i = 0; i < nr_threads; i++)
		pthread_join(workers[i].thread, NULL);
	if (end)
		end();
	come_back(&begin);
	hapool_destroy(&pool);
	if (atomic_read(&nr_wrong))
		nr_failed++;
	printf("%sok %d - %s\n", atomic_read(&nr_wrong) ? "not " : "", ++nr_tests, name);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i + 1 < argc; i += 2) {
		unsigned long value = strtoul(argv[i + 1], NULL, 0);

		if (!strcmp(argv[i], "--seed"))
			seed = value;
		else if (!strcmp(argv[i], "--ops"))
			ops = value;
		else if (!strcmp(argv[i], "--threads"))
			nr_threads = value;
		else
			break;
	}
	if (i != argc || nr_threads < 2 || nr_threads > MAX_THREADS) {
		fprintf(stderr, "usage: %s [--seed N] [--ops N] [--threads 2..%d]\n", argv[0],
			MAX_THREADS);
		return 2;
	}
	printf("1..8\n# --seed %lu --ops %lu --threads %lu\n", seed, ops, nr_threads);
	sim_set_nr_cpus(nr_threads + 1);
	smp_processor_id();	/* this thread is CPU 0 */
	pthread_barrier_init(&barrier, NULL, nr_threads);
	situation("threads with extents of their own", random_work, NULL, 0);
	situation("drains, claims and statistics meanwhile", random_work_disturbed, NULL, 0);
	situation("claims that turn slabs into mixed ones meanwhile", claim_beside, NULL, 0);
	situation("magazines that are taken away meanwhile", shrink, NULL, 0);
	situation("extents that another thread frees", hand_over, hand_over_end, 0);
	situation("of several frees of one extent one succeeds", free_the_same, NULL, 0);
	situation("no false ENOSPC when all fill the device", fill_up, NULL, 0);
	situation("a device that grows meanwhile", grow, NULL, NR_BLOCKS + 50 * SLOT);
	return !!nr_failed;
}
