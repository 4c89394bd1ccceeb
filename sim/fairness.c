// SPDX-License-Identifier: GPL-2.0
/*
 * Whether a task that shuts out all groups again and again lets others in between. The spin
 * locks of the simulator are not fair, like those of a guest.
 *
 * One thread allocates and frees extents that no pool serves, and counts how often the other
 * threads shut it out while it is in a call. A thread that is preempted in a call counts many
 * holds for no fault of the locks, so the median is looked at. Prints TAP.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "slab/internal.h"

#define GIB		(1ULL << 18)	/* blocks */
#define NR_HOLDS	20000
#define MIN_CALLS	500
#define MAX_CALLS	1000000
#define MAX_HOLDS	2	/* one that is under way, and one that began at the same time */

static struct haslab s;
static atomic64_t holds;
static bool stopped;

/* What a walk does, without the work. */
static void *hold_again_and_again(void *unused)
{
	int i;

	while (atomic64_read(&holds) < NR_HOLDS) {
		haslab_lock_all(&s);
		atomic64_inc(&holds);
		for (i = 0; i < 2000; i++)
			cpu_relax();
		haslab_unlock_all(&s);
	}
	WRITE_ONCE(stopped, true);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static u64 one_call(void)
{
	enum hybrid_alloc_reason reason;
	u64 before = atomic64_read(&holds), start, seen;

	if (haslab_alloc(&s, 17, 1, GFP_KERNEL, &start))
		exit(1);
	seen = atomic64_read(&holds) - before;
	if (haslab_free(&s, start, 17, &reason))
		exit(1);
	return seen;
}

int main(void)
{
	const struct haslab_config cfg = {
		.nr_blocks = 16 * GIB, .unit_shift = 8, .slab_max = 256
	};
	static u64 seen[MAX_CALLS];
	pthread_t walker;
	u32 nr = 0;
	bool ok;

	if (haslab_init(&s, &cfg) || pthread_create(&walker, NULL, hold_again_and_again, NULL))
		return 1;
	while (!atomic64_read(&holds))
		cpu_relax();
	while (!READ_ONCE(stopped) && nr < MAX_CALLS)
		seen[nr++] = one_call();
	pthread_join(walker, NULL);
	haslab_destroy(&s);

	qsort(seen, nr, sizeof(*seen), compare);
	ok = nr >= MIN_CALLS && seen[nr / 2] <= MAX_HOLDS;
	printf("# %u calls beside %d holds; holds during a call: median %llu, .9 %llu, most %llu\n",
	       nr, NR_HOLDS, seen[nr / 2], seen[nr * 9 / 10], seen[nr - 1]);
	printf("%sok 1 - at most %d holds in a row before a waiting task\n1..1\n",
	       ok ? "" : "not ", MAX_HOLDS);
	return !ok;
}
