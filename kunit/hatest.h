/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the suites share: random numbers that can be repeated, memory
 * allocations that fail on demand, and moving to another CPU.
 */
#ifndef _HYBRID_ALLOC_HATEST_H
#define _HYBRID_ALLOC_HATEST_H

#include <kunit/test.h>
#include <linux/types.h>
#include "common/random.h"
#include "../ioctl_uapi.h"
#include "inject.h"

/* module parameters; in user space, environment variables */
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

/* Random numbers for a case; says how to get the same ones again. */
static inline struct hatest_rng hatest_rng(struct kunit *test)
{
	kunit_info(test, "hatest_seed=%lu hatest_ops=%lu", hatest_seed, hatest_ops);
	return (struct hatest_rng) { .state = hatest_seed };
}

/* Nanoseconds, from some moment on. */
u64 hatest_now(void);

/* Continue on another CPU; false if there is no such one. */
bool hatest_on_cpu(unsigned int cpu);
/* Continue anywhere. */
void hatest_on_any_cpu(void);

/*
 * The naive model of an allocator: who has each block. It shares nothing with
 * what it is compared with.
 */
#define HATEST_MAX_EXTENTS	2000
#define HATEST_CACHED		0xffff	/* not free, but no extent either */

struct hatest_model {
	u64 nr_blocks;
	u64 nr_used;
	unsigned long *used;	/* bitmap of blocks */
	u16 *owner;		/* 1 + index in extents, or HATEST_CACHED */
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
/* Whether just this is an extent; whether all of this is cached. */
bool hatest_model_is_extent(const struct hatest_model *m, u64 start, u64 len);
bool hatest_model_is_cached(const struct hatest_model *m, u64 start, u64 len);
/* The next free run from *start on. */
bool hatest_model_run(const struct hatest_model *m, u64 *start, u64 *len);
bool hatest_model_fits(const struct hatest_model *m, u64 len, u64 align);
struct hatest_runs hatest_model_runs(const struct hatest_model *m);
void hatest_model_cache(struct hatest_model *m, u64 start, u64 len);
void hatest_model_uncache(struct hatest_model *m, u64 start, u64 len);
void hatest_model_add(struct hatest_model *m, u64 start, u64 len);
/* The errno of a free; on 0 the extent is gone. */
int hatest_model_remove(struct hatest_model *m, u64 start, u64 len,
			enum hybrid_alloc_reason *reason);

#endif
