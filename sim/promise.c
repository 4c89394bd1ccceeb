// SPDX-License-Identifier: GPL-2.0
/*
 * Whether what is promised is kept: devices of single free blocks, which threads fill against
 * reservations while four others allocate and free without one. No reserved block may fail, and in
 * the end each device is full, to the last block. An argument is the first seed. Prints TAP.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/random.h"
#include "pool.h"

#define NR_SEEDS	20
#define NR_OTHERS	4
#define NR_FILLERS	2
#define MAX_OWN		32

static struct hapool pool;
static u64 nr_blocks, seed;
static bool stopping;
static u64 nr_failed, nr_odd, nr_filled, nr_refused, nr_tries;

static void count(u64 *of)
{
	__atomic_add_fetch(of, 1, __ATOMIC_RELAXED);
}

/* Each block is an extent, and every second one is freed. */
static void shred(void)
{
	const struct haslab_config cfg = {
		.nr_blocks = nr_blocks, .unit_shift = seed % 9, .slab_max = 1 << seed % 8,
	};
	enum hybrid_alloc_reason reason;
	u64 at;

	if (hapool_init(&pool, &cfg))
		exit(1);
	for (at = 0; at < nr_blocks; at++)
		if (hapool_claim(&pool, at, 1, GFP_KERNEL))
			exit(1);
	for (at = seed % 2; at < nr_blocks; at += 2)
		if (hapool_free(&pool, at, 1, &reason))
			exit(1);
}

/* Takes what it can get, and gives it back. */
static void *other(void *arg)
{
	unsigned long long rng = seed * 100 + (unsigned long)arg;
	u64 start[MAX_OWN], len[MAX_OWN];
	enum hybrid_alloc_reason reason;
	unsigned int nr, k;
	int ret;

	sim_set_cpu(1 + (unsigned long)arg);
	while (!READ_ONCE(stopping)) {
		for (nr = 0; nr < MAX_OWN; nr++) {
			len[nr] = random_below(&rng, 8) ? 1 : 2;
			ret = hapool_alloc(&pool, len[nr], 1, HAPOOL_NO_GOAL,
					   random_below(&rng, 4) ? GFP_KERNEL : GFP_NOWAIT,
					   &start[nr]);
			count(&nr_tries);
			if (ret == -EDQUOT)
				count(&nr_refused);
			else if (ret && ret != -ENOSPC && ret != -EAGAIN)
				count(&nr_odd);
			if (ret)
				break;
		}
		for (k = 0; k < nr; k++)
			if (hapool_free(&pool, start[k], len[k], &reason))
				count(&nr_odd);
		if (!random_below(&rng, 64))
			hapool_drain_cpu(&pool, random_below(&rng, nr_cpu_ids));
	}
	return NULL;
}

/* While something is reserved, the others try to get it. */
static void let_others_try(void)
{
	u64 before = __atomic_load_n(&nr_tries, __ATOMIC_RELAXED);

	while (__atomic_load_n(&nr_tries, __ATOMIC_RELAXED) - before < 2 * NR_OTHERS)
		sched_yield();
}

/* Takes blocks that are reserved. */
static void take(struct hapool_reservation *v, u64 nr)
{
	u64 len = 1, start;

	while (nr--) {
		if (hapool_alloc_reserved(&pool, v, &len, 1, 1, HAPOOL_NO_GOAL, GFP_KERNEL,
					  &start))
			count(&nr_failed);
		else
			count(&nr_filled);
	}
}

/* Reserves some blocks, and takes them. Return: whether there were so many. */
static bool fill_some(struct hapool_reservation *v, u64 nr)
{
	if (hapool_reserve(&pool, v, nr, GFP_KERNEL))
		return false;
	let_others_try();
	take(v, nr);
	return true;
}

/* About what is free and not reserved. */
static u64 left(void)
{
	struct hapool_stat st;

	hapool_stat(&pool, &st, false);
	return st.capacity - min(st.capacity, st.charged + st.reserved);
}

/* All but what the others may have at a time; mostly all that is there, which they do not get. */
static void *filler(void *arg)
{
	u64 most = nr_blocks / 2 - NR_OTHERS * 2 * MAX_OWN, nr;
	struct hapool_reservation v;
	unsigned long long rng = seed * 100 + (unsigned long)arg;

	sim_set_cpu(1 + (unsigned long)arg);
	if (hapool_reservation_open(&pool, &v))
		exit(1);
	while (__atomic_load_n(&nr_filled, __ATOMIC_RELAXED) < most) {
		nr = random_below(&rng, 4) ? left() : 1 + random_below(&rng, 40);
		for (; nr && !fill_some(&v, nr); nr /= 2)
			;
	}
	hapool_reservation_close(&pool, &v);
	return NULL;
}

/* With nobody else at work: all that is left, and no block more, of which others get none. */
static bool fill_rest(void)
{
	struct hapool_reservation v;
	u64 nr = left(), start;
	bool ok;

	if (hapool_reservation_open(&pool, &v))
		exit(1);
	ok = hapool_reserve(&pool, &v, nr + 1, GFP_KERNEL) == -EDQUOT &&
	     !hapool_reserve(&pool, &v, nr, GFP_KERNEL) &&
	     hapool_alloc(&pool, 1, 1, HAPOOL_NO_GOAL, GFP_KERNEL, &start) ==
	     (nr ? -EDQUOT : -ENOSPC);
	take(&v, nr);
	hapool_reservation_close(&pool, &v);
	return ok;
}

/* Return: whether all was well. */
static bool run(void)
{
	pthread_t fillers[NR_FILLERS], others[NR_OTHERS];
	struct hapool_stat st;
	unsigned long i;
	bool ok;

	nr_blocks = 2048 + 512 * seed;
	nr_failed = 0;
	nr_odd = 0;
	nr_filled = 0;
	nr_refused = 0;
	nr_tries = 0;
	shred();
	WRITE_ONCE(stopping, false);
	for (i = 0; i < NR_OTHERS; i++)
		pthread_create(&others[i], NULL, other, (void *)i);
	for (i = 0; i < NR_FILLERS; i++)
		pthread_create(&fillers[i], NULL, filler, (void *)(NR_OTHERS + i));
	for (i = 0; i < NR_FILLERS; i++)
		pthread_join(fillers[i], NULL);
	WRITE_ONCE(stopping, true);
	for (i = 0; i < NR_OTHERS; i++)
		pthread_join(others[i], NULL);
	ok = fill_rest();
	hapool_stat(&pool, &st, false);
	ok &= !nr_failed && !nr_odd && st.charged == nr_blocks && !st.reserved &&
	      !hapool_check(&pool);
	printf("# seed %llu: %llu blocks filled, %llu failed; others: %llu refused, %llu wrong\n",
	       seed, nr_filled, nr_failed, nr_refused, nr_odd);
	hapool_destroy(&pool);
	return ok;
}

int main(int argc, char **argv)
{
	bool ok = true;

	sim_set_nr_cpus(NR_OTHERS + NR_FILLERS + 1);
	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	for (argc = 0; argc < NR_SEEDS && ok; argc++, seed++)
		ok = run();
	printf("%sok 1 - no block that was reserved has failed, and others got none\n1..1\n",
	       ok ? "" : "not ");
	return !ok;
}
