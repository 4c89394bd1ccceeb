// SPDX-License-Identifier: GPL-2.0
/*
 * Whether a task that shuts out all groups again and again lets others in between. The spin
 * locks of the simulator are not fair, like those of a guest.
 *
 * One thread allocates and frees extents that no pool serves, and counts how often the other
 * threads shut it out while it is in a call. A thread that is preempted in a call counts many
 * holds for no fault of the locks, so the median is looked at.
 *
 * One call between two holds would still be little if holds are long. So a walk rests, and then the
 * mean number of calls for each hold is as if the thread had about half of the time. Prints TAP.
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
#define MIN_PER_HOLD	4	/* calls; without a rest it is less than one */

static struct haslab s;
static atomic64_t holds;
static bool stopped;
static u64 seen[MAX_CALLS];

/* What a walk does, without the work: @unlock is how it ends a hold. */
static void *hold_again_and_again(void *unlock)
{
	int i;

	while (atomic64_read(&holds) < NR_HOLDS) {
		haslab_lock_all(&s);
		atomic64_inc(&holds);
		for (i = 0; i < 2000; i++)
			cpu_relax();
		((void (*)(struct haslab *))unlock)(&s);
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

/* Calls beside the other thread, until that has had its holds. Return: how many. */
static u32 calls_beside(void (*unlock)(struct haslab *s))
{
	pthread_t walker;
	u32 nr = 0;

	atomic64_set(&holds, 0);
	WRITE_ONCE(stopped, false);
	if (pthread_create(&walker, NULL, hold_again_and_again, unlock))
		exit(1);
	while (!atomic64_read(&holds))
		cpu_relax();
	while (!READ_ONCE(stopped) && nr < MAX_CALLS)
		seen[nr++] = one_call();
	pthread_join(walker, NULL);
	qsort(seen, nr, sizeof(*seen), compare);
	printf("# %u calls beside %d holds; holds during a call: median %llu, .9 %llu, most %llu\n",
	       nr, NR_HOLDS, seen[nr / 2], seen[nr * 9 / 10], seen[nr - 1]);
	return nr;
}

int main(void)
{
	const struct haslab_config cfg = {
		.nr_blocks = 16 * GIB, .unit_shift = 8, .slab_max = 128
	};
	bool ok, shares;
	u32 nr;

	if (haslab_init(&s, &cfg))
		return 1;
	nr = calls_beside(haslab_unlock_all);
	ok = nr >= MIN_CALLS && seen[nr / 2] <= MAX_HOLDS;
	printf("%sok 1 - at most %d holds in a row before a waiting task\n", ok ? "" : "not ",
	       MAX_HOLDS);
	nr = calls_beside(haslab_unlock_all_rest);
	shares = nr >= MIN_PER_HOLD * NR_HOLDS;
	printf("%sok 2 - %d calls or more for each hold of a walk that rests\n1..2\n",
	       shares ? "" : "not ", MIN_PER_HOLD);
	haslab_destroy(&s);
	return !ok || !shares;
}
