// SPDX-License-Identifier: GPL-2.0
/*
 * hybrid-sim fuzz: random operations, valid and not, each compared with the
 * ledger and a list of extents. With one thread every answer is compared; with
 * more, what must hold whatever the others do. Each device is a test of TAP.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "hybrid_sim.h"

#define MAX_LIVE	4096
#define ROUND_OPS	20000		/* on one device */

struct extent {
	u64 start;
	u64 len;
};

struct fuzzer {
	struct rng rng;
	struct hapool pool;
	struct ledger *ledger;
	struct extent live[MAX_LIVE];
	unsigned int nr_live;
	u64 nr_blocks;
	u64 round_seed;
	u64 op;
	u64 nr_enospc, nr_refused;
	struct haslab_config cfg;
};

static void __attribute__((noreturn, format(printf, 2, 3)))
wrong(struct fuzzer *z, const char *format, ...)
{
	va_list args;

	printf("not ok %llu - seed %llu, %llu blocks\n# operation %llu, unit %u, slab_max %llu: ",
	       z->round_seed - seed + 1, z->round_seed, z->nr_blocks, z->op,
	       1U << z->cfg.unit_shift, z->cfg.slab_max);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n1..%llu\n", z->round_seed - seed + 1);
	fflush(stdout);
	_exit(1);	/* other threads may be at work */
}

/* From one block to 64 TiB, odd ones mostly. */
static u64 random_capacity(struct rng *rng)
{
	u64 n = 1ULL << rng_below(rng, rng_below(rng, 4) ? 18 : 35);

	return n + rng_below(rng, rng_below(rng, 2) ? n : 3);
}

static u64 random_len(struct fuzzer *z)
{
	unsigned int bits = ilog2(z->nr_blocks) + 1;
	u64 len = 1 + rng_below(&z->rng, 1ULL << rng_below(&z->rng, min(bits, 15U)));

	if (!rng_below(&z->rng, 50))
		len = 1 + rng_below(&z->rng, z->nr_blocks);
	if (!rng_below(&z->rng, 4))
		len = 1ULL << ilog2(len);
	return min(len, z->nr_blocks);
}

static int by_start(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* The live extent that a block is in, or NULL. */
static struct extent *find_extent(struct fuzzer *z, u64 block)
{
	unsigned int i;

	for (i = 0; i < z->nr_live; i++)
		if (block - z->live[i].start < z->live[i].len)
			return &z->live[i];
	return NULL;
}

static void fuzz_alloc(struct fuzzer *z)
{
	u64 len = random_len(z), align = 1, start;
	const char *why;
	int ret;

	if (z->nr_live == MAX_LIVE)
		return;
	if (!rng_below(&z->rng, 6))
		align <<= rng_below(&z->rng, 19);
	ret = hapool_alloc(&z->pool, len, align, HAPOOL_NO_GOAL, GFP_KERNEL, &start);
	if (ret == -ENOSPC) {
		z->nr_enospc++;
		if (ledger_fits(z->ledger, len, align))
			wrong(z, "false ENOSPC: %llu blocks aligned to %llu fit", len, align);
		return;
	}
	if (ret)
		wrong(z, "alloc of %llu blocks: error %d", len, ret);
	why = ledger_take(z->ledger, start, len, align);
	if (why)
		wrong(z, "alloc of %llu blocks aligned to %llu: %s", len, align, why);
	z->live[z->nr_live++] = (struct extent) { start, len };
}

static void fuzz_claim(struct fuzzer *z)
{
	u64 start = rng_below(&z->rng, z->nr_blocks);
	u64 len = min(random_len(z), z->nr_blocks - start);
	bool free = ledger_is_free(z->ledger, start, len);
	int ret;

	if (z->nr_live == MAX_LIVE)
		return;
	ret = hapool_claim(&z->pool, start, len, GFP_KERNEL);
	if (ret != (free ? 0 : -EEXIST))
		wrong(z, "claim of %llu blocks at %llu (%s): %d", len, start,
		      free ? "free" : "taken", ret);
	if (ret)
		return;
	ledger_take(z->ledger, start, len, 1);
	z->live[z->nr_live++] = (struct extent) { start, len };
}

static void free_live(struct fuzzer *z, unsigned int i)
{
	enum hybrid_alloc_reason reason = 0;
	struct extent e = z->live[i];
	int ret = hapool_free(&z->pool, e.start, e.len, &reason);
	const char *why = ledger_give(z->ledger, e.start, e.len);

	if (ret || why)
		wrong(z, "free of %llu blocks at %llu: %d, reason %d; %s", e.len, e.start, ret,
		      reason, why ?: "");
	z->live[i] = z->live[--z->nr_live];
}

/* A free that is almost right, or not at all. */
static void fuzz_wrong_free(struct fuzzer *z)
{
	enum hybrid_alloc_reason reason = 0, expected = HYBRID_ALLOC_REASON_NOT_ALLOCATED;
	u64 start = rng_below(&z->rng, z->nr_blocks), len = random_len(z);
	int ret, err = -ENOENT;
	struct extent *e;

	if (z->nr_live && rng_below(&z->rng, 3)) {
		e = &z->live[rng_below(&z->rng, z->nr_live)];
		start = e->start + (rng_below(&z->rng, 2) ? 0 : rng_below(&z->rng, e->len));
		if (!rng_below(&z->rng, 3))
			len = e->len;
	}
	if (start + len > z->nr_blocks)
		return;
	e = find_extent(z, start);
	if (e) {
		err = -EINVAL;
		expected = e->start == start ? HYBRID_ALLOC_REASON_WRONG_LENGTH :
					       HYBRID_ALLOC_REASON_WRONG_START;
		if (e->start == start && e->len == len)
			return;
	}
	ret = hapool_free(&z->pool, start, len, &reason);
	if (ret != err || reason != expected)
		wrong(z, "wrong free of %llu blocks at %llu: %d, reason %d instead of %d, %d", len,
		      start, ret, reason, err, expected);
	z->nr_refused++;
}

static void compare(struct fuzzer *z)
{
	u64 nr, largest, cached;
	struct hapool_stat st;
	int ret = hapool_check(&z->pool);

	if (ret)
		wrong(z, "hapool_check(): %d", ret);
	hapool_stat(&z->pool, &st, false);
	cached = st.cached;
	if (st.charged != ledger_used(z->ledger) || st.nr_live != z->nr_live ||
	    st.capacity != st.charged + cached + st.slab.free)
		wrong(z, "charged %llu of %llu, live %llu of %u, cached %llu, free %llu",
		      st.charged, ledger_used(z->ledger), st.nr_live, z->nr_live, cached,
		      st.slab.free);
	if (rng_below(&z->rng, 4))
		return;
	hapool_drain(&z->pool);
	hapool_stat(&z->pool, &st, true);
	ledger_runs(z->ledger, &nr, &largest);
	if (st.cached || st.slab.nr_runs != nr || st.slab.largest_run != largest)
		wrong(z, "free runs: %llu of %llu, largest %llu of %llu, cached %llu",
		      st.slab.nr_runs, nr, st.slab.largest_run, largest, st.cached);
}

static void fuzz_begin(struct fuzzer *z, u64 round_seed)
{
	int ret;

	memset(z, 0, sizeof(*z));
	z->round_seed = round_seed;
	z->rng.state = round_seed;
	z->nr_blocks = random_capacity(&z->rng);
	z->cfg.nr_blocks = z->nr_blocks;
	z->cfg.unit_shift = 8;
	z->cfg.slab_max = 256;
	if (!rng_below(&z->rng, 4)) {
		z->cfg.unit_shift = rng_below(&z->rng, HASLAB_MAX_SHIFT + 1);
		z->cfg.slab_max = 1ULL << rng_below(&z->rng, 11);
	}
	z->ledger = ledger_new(z->nr_blocks);
	ret = hapool_init(&z->pool, &z->cfg);
	if (ret)
		wrong(z, "init: %d", ret);
}

/* Everything comes back. */
static void fuzz_end(struct fuzzer *z, long bytes)
{
	struct hapool_stat st;

	while (z->nr_live)
		free_live(z, rng_below(&z->rng, z->nr_live));
	hapool_drain(&z->pool);
	hapool_stat(&z->pool, &st, true);
	if (st.slab.nr_runs != 1 || st.slab.largest_run != z->nr_blocks || st.charged ||
	    st.slab.free != z->nr_blocks || hapool_check(&z->pool))
		wrong(z, "after all was freed: %llu runs, free %llu", st.slab.nr_runs,
		      st.slab.free);
	if (atomic_long_read(&z->pool.slab.mem.bytes) != bytes)
		wrong(z, "after all was freed: %ld bytes of metadata, %ld at the start",
		      atomic_long_read(&z->pool.slab.mem.bytes), bytes);
	hapool_destroy(&z->pool);
	ledger_free(z->ledger);
}

static void fuzz_round(struct fuzzer *z, u64 round_seed, u64 ops)
{
	long bytes;

	fuzz_begin(z, round_seed);
	bytes = atomic_long_read(&z->pool.slab.mem.bytes);
	for (z->op = 0; z->op < ops; z->op++) {
		u64 what = rng_below(&z->rng, 1000);
		bool filling = (z->op / 2000) % 2 == 0;

		if (z->op % 16 == 0)
			sim_set_cpu(rng_below(&z->rng, nr_cpu_ids));
		if (what < (filling ? 550 : 350))
			fuzz_alloc(z);
		else if (what < 960 && z->nr_live)
			free_live(z, rng_below(&z->rng, z->nr_live));
		else if (what < 985)
			fuzz_wrong_free(z);
		else if (what < 995)
			fuzz_claim(z);
		else if (what < 996)
			hapool_cpu_dead(&z->pool, rng_below(&z->rng, nr_cpu_ids));
		if (z->op % 512 == 0)
			compare(z);
	}
	fuzz_end(z, bytes);
}

/* ---- threads ---- */

struct fthread {
	pthread_t thread;
	int cpu;
	u64 ops;
	struct fuzzer *z;
	struct rng rng;
	struct extent live[256];
	unsigned int nr_live;
	u64 failed_len;
};

static pthread_mutex_t ledger_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t barrier;

static void check_ledger(struct fuzzer *z, u64 start, u64 len, u64 align, bool take)
{
	const char *why;

	pthread_mutex_lock(&ledger_lock);
	why = take ? ledger_take(z->ledger, start, len, align) : ledger_give(z->ledger, start, len);
	if (why)
		wrong(z, "with threads: %s", why);
	pthread_mutex_unlock(&ledger_lock);
}

static void fthread_free(struct fthread *t)
{
	unsigned int i = rng_below(&t->rng, t->nr_live);
	enum hybrid_alloc_reason reason = 0;
	struct extent e = t->live[i];
	int ret;

	if (!rng_below(&t->rng, 10) && e.start + e.len < t->z->nr_blocks) {
		ret = hapool_free(&t->z->pool, e.start, e.len + 1, &reason);
		if (ret != -EINVAL || reason != HYBRID_ALLOC_REASON_WRONG_LENGTH)
			wrong(t->z, "free with a wrong length: %d", ret);
	}
	check_ledger(t->z, e.start, e.len, 1, false);
	ret = hapool_free(&t->z->pool, e.start, e.len, &reason);
	if (ret)
		wrong(t->z, "free: %d, reason %d", ret, reason);
	t->live[i] = t->live[--t->nr_live];
}

static void fthread_alloc(struct fthread *t)
{
	struct fuzzer *z = t->z;
	u64 len = 1 + rng_below(&t->rng, 1ULL << rng_below(&t->rng, 12)), start;
	int ret;

	if (t->nr_live == ARRAY_SIZE(t->live))
		return;
	len = min(len, z->nr_blocks);
	ret = hapool_alloc(&z->pool, len, 1, HAPOOL_NO_GOAL, GFP_KERNEL, &start);
	if (ret == -ENOSPC) {
		t->failed_len = min(t->failed_len, len);
		return;
	}
	if (ret)
		wrong(z, "alloc: %d", ret);
	check_ledger(z, start, len, 1, true);
	t->live[t->nr_live++] = (struct extent) { start, len };
}

/* Phases of all sorts of things, then one that only allocates. */
static void *fthread_main(void *arg)
{
	struct fthread *t = arg;
	u64 i, n = 0;

	sim_set_cpu(t->cpu);
	while (n < t->ops) {
		for (i = 0; i < 400; i++, n++) {
			if (t->nr_live && rng_below(&t->rng, 2))
				fthread_free(t);
			else
				fthread_alloc(t);
		}
		pthread_barrier_wait(&barrier);
		t->failed_len = U64_MAX;
		pthread_barrier_wait(&barrier);
		for (i = 0; i < 100; i++, n++)
			fthread_alloc(t);
		pthread_barrier_wait(&barrier);
		/* nobody is at work: what did not fit must not fit now */
		pthread_mutex_lock(&ledger_lock);
		if (t->failed_len != U64_MAX && ledger_fits(t->z->ledger, t->failed_len, 1))
			wrong(t->z, "false ENOSPC: %llu blocks", t->failed_len);
		pthread_mutex_unlock(&ledger_lock);
		pthread_barrier_wait(&barrier);
		while (t->nr_live > ARRAY_SIZE(t->live) / 2)
			fthread_free(t);
	}
	return NULL;
}

static void fuzz_threads(struct fuzzer *z, u64 round_seed, u64 ops)
{
	struct fthread *t = calloc(nr_threads, sizeof(*t));
	unsigned int i, k;
	long bytes;

	fuzz_begin(z, round_seed);
	bytes = atomic_long_read(&z->pool.slab.mem.bytes);
	pthread_barrier_init(&barrier, NULL, nr_threads);
	for (i = 0; i < nr_threads; i++) {
		t[i].z = z;
		t[i].cpu = i + 1;
		t[i].ops = ops / nr_threads;
		t[i].rng.state = round_seed * 1000 + i;
		pthread_create(&t[i].thread, NULL, fthread_main, &t[i]);
	}
	for (i = 0; i < nr_threads; i++) {
		pthread_join(t[i].thread, NULL);
		for (k = 0; k < t[i].nr_live; k++)
			z->live[z->nr_live++] = t[i].live[k];
	}
	qsort(z->live, z->nr_live, sizeof(*z->live), by_start);
	compare(z);
	fuzz_end(z, bytes);
	free(t);
}

int fuzz(void)
{
	struct fuzzer *z = malloc(sizeof(*z));
	u64 done = 0, rounds = 0;

	if (nr_threads < 1 || nr_threads > MAX_LIVE / 256) {
		fprintf(stderr, "hybrid-sim: --threads goes from 1 to %d\n", MAX_LIVE / 256);
		return 2;
	}
	if (nr_threads > 1)
		sim_set_nr_cpus(nr_threads + 1);
	while (done < nr_ops) {
		u64 ops = min(nr_ops - done, (u64)ROUND_OPS);

		if (nr_threads > 1)
			fuzz_threads(z, seed + rounds, ops);
		else
			fuzz_round(z, seed + rounds, ops);
		done += ops;
		printf("ok %llu - seed %llu, %llu blocks: %llu operations", ++rounds,
		       z->round_seed, z->nr_blocks, ops);
		if (nr_threads == 1)
			printf(", %llu times no space, %llu frees refused", z->nr_enospc,
			       z->nr_refused);
		printf("\n");
		fflush(stdout);
	}
	printf("1..%llu\n", rounds);
	free(z);
	return 0;
}
