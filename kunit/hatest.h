/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the suites share: reproducible random numbers, memory allocations that fail on
 * demand, moving to another CPU, and a naive model.
 */
#ifndef _HYBRID_ALLOC_HATEST_H
#define _HYBRID_ALLOC_HATEST_H

#include <kunit/test.h>
#include <linux/types.h>
#include "common/random.h"
#include "../ioctl_uapi.h"
#include "inject.h"

/* Module parameters; in user space, environment variables. */
extern unsigned long hatest_seed;
extern unsigned long hatest_ops;

struct hatest_rng {
	u64 state;
};

/* A random number from 0 to @n - 1. */
static inline u64 hatest_below(struct hatest_rng *rng, u32 n)
{
	return random_below(&rng->state, n);
}

/* The random numbers of a case; prints how to get the same ones again. */
static inline struct hatest_rng hatest_rng(struct kunit *test)
{
	kunit_info(test, "hatest_seed=%lu hatest_ops=%lu", hatest_seed, hatest_ops);
	return (struct hatest_rng) { .state = hatest_seed };
}

/* A clock, in nanoseconds; in user space the CPU time of this thread. */
u64 hatest_now(void);

/* Moves to another CPU. Return: false if there is no such CPU. */
bool hatest_on_cpu(unsigned int cpu);
/* Allows all CPUs again. */
void hatest_on_any_cpu(void);

/* Whether the current task has a fatal signal pending. */
void hatest_set_killed(bool killed);

/*
 * The naive model of an allocator: the owner of each block. It shares no code with the
 * layers that are compared with it.
 */
#define HATEST_MAX_EXTENTS	2000
#define HATEST_CACHED		0xffff	/* neither free nor in an extent */

struct hatest_model {
	u64 nr_blocks;
	u64 nr_used;
	unsigned long *used;	/* bitmap of blocks */
	u16 *owner;		/* 0: free; 1 + index in extents; or HATEST_CACHED */
	unsigned int nr;
	struct hatest_extent {
		u64 start;
		u64 len;
	} extents[HATEST_MAX_EXTENTS];
};

struct hatest_runs {
	u64 nr;
	u64 largest;
};

struct hatest_model *hatest_model(struct kunit *test, u64 max_blocks);
void hatest_model_start(struct hatest_model *m, u64 nr_blocks);
bool hatest_model_free(const struct hatest_model *m, u64 start, u64 len);
/* Whether this range is an extent; whether all of it is cached. */
bool hatest_model_is_extent(const struct hatest_model *m, u64 start, u64 len);
bool hatest_model_is_cached(const struct hatest_model *m, u64 start, u64 len);
/* The next free run at or after *start. Return: false if there is none. */
bool hatest_model_run(const struct hatest_model *m, u64 *start, u64 *len);
bool hatest_model_fits(const struct hatest_model *m, u64 len, u64 align);
/* The longest extent that fits, up to @most; 0: none does. */
u64 hatest_model_longest(const struct hatest_model *m, u64 most, u64 align);
struct hatest_runs hatest_model_runs(const struct hatest_model *m);
void hatest_model_cache(struct hatest_model *m, u64 start, u64 len);
void hatest_model_uncache(struct hatest_model *m, u64 start, u64 len);
void hatest_model_add(struct hatest_model *m, u64 start, u64 len);
/* Return: the errno of a free; if 0, the extent has been removed. */
int hatest_model_remove(struct hatest_model *m, u64 start, u64 len,
			enum hybrid_alloc_reason *reason);

#endif
