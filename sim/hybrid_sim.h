/* SPDX-License-Identifier: GPL-2.0 */
/* What the commands of hybrid-sim share. */
#ifndef _HYBRID_SIM_H
#define _HYBRID_SIM_H

#include "common/random.h"
#include "pool.h"
#include "ledger.h"
#include "reference.h"

#define BLOCK_SHIFT	12		/* 4 KiB */

/* ---- numbers ---- */

static inline u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* The time of a workload with one thread: processor time, as the machine may be busy. */
static inline u64 cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* A clock for single operations; ticks_ns() is the length of a tick. */
static inline u64 ticks(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	return now_ns();
#endif
}

double ticks_ns(void);
double cas_ns(void);

/* Ends the program if @allocated is NULL. */
void *need(void *allocated);

/* ---- the allocator under test ---- */

void pool_start(struct hapool *p, u64 nr_blocks);
static inline u64 pool_metadata(struct hapool *p)
{
	return sizeof(*p) + atomic_long_read(&p->slab.mem.bytes);
}

/* ---- output ---- */

extern bool json;

void out_begin(void);
void out_string(const char *name, const char *value);
void out_u64(const char *name, u64 value);
void out_double(const char *name, double value, int digits);
void out_null(const char *name);
void out_begin_object(const char *name);
void out_end_object(void);
void out_end(void);

/* ---- commands ---- */

extern u64 seed;
extern u64 capacity;		/* bytes; 0: the default of the workload */
extern unsigned int nr_threads;
extern u64 given_ops;		/* 0: the default of the command or workload */
extern enum reference_policy reference;	/* also run this one; see reference.h */
extern const char *given_situation;	/* NULL: each seed chooses one */

int bench(char **workloads);
void bench_list(void);
int replay(const char *path);
int advise(const char *path);
int mixes_search(unsigned int minutes, u64 nr_loads);	/* one of them is 0 */
int mixes_check(const char *path);
int fuzz(void);
void fuzz_list(void);

#endif
