/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The pool layer: per-CPU caches of ready extents, and the entry to the
 * allocator. See pool.c for the design. Positions and lengths are in blocks
 * (of MinBlockSize bytes).
 */
#ifndef _HYBRID_ALLOC_POOL_H
#define _HYBRID_ALLOC_POOL_H

#include <linux/atomic.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include "slab.h"

struct hapool_cpu;

/**
 * struct hapool_stat - counts, in blocks unless stated otherwise
 * @capacity: size of the managed space
 * @charged: blocks in live extents
 * @cached: blocks in the pools
 * @retired: HELD blocks: neither free nor in use
 * @slab: counts of the layers below
 * @nr_live: live extents
 * @hits: allocations that a pool served
 * @misses: allocations of a pooled size that no pool served
 * @refills: batches fetched from the slab layer
 * @drains: batches given back to the slab layer
 * @searches: allocations that went through the slow mode
 * @refused: refused frees by enum hybrid_alloc_reason
 * @metadata: bytes of metadata, without per-CPU memory
 * @percpu: bytes of per-CPU memory: magazines, counters, groups
 */
struct hapool_stat {
	u64 capacity;
	u64 charged;
	u64 cached;
	u64 retired;
	struct haslab_stat slab;
	u64 nr_live;
	u64 hits;
	u64 misses;
	u64 refills;
	u64 drains;
	u64 searches;
	u64 refused[HYBRID_ALLOC_REASON_COUNT];
	u64 metadata;
	u64 percpu;
};

/**
 * struct hapool - the allocator of one device
 * @slab: the layers below
 * @cpus: magazines and counters of each CPU
 * @limit: capacity of a magazine, by class
 * @bypass: > 0: the pools are closed; frees go straight to the slab layer
 * @slow: held in the slow mode, and from hapool_hold() to hapool_unhold()
 * @held: number of HELD blocks
 */
struct hapool {
	struct haslab slab;
	struct hapool_cpu __percpu *cpus;
	u16 limit[HASLAB_NR_CLASSES];
	atomic_t bypass;
	struct mutex slow;	/* see pool.c */
	atomic64_t held;
};

/* For hapool_alloc(): no goal. */
#define HAPOOL_NO_GOAL	U64_MAX

int __must_check hapool_init(struct hapool *p, const struct haslab_config *cfg);
void hapool_destroy(struct hapool *p);

int __must_check hapool_alloc(struct hapool *p, u64 len, u64 align, u64 goal, gfp_t gfp,
			      u64 *start);
int __must_check hapool_claim(struct hapool *p, u64 start, u64 len, gfp_t gfp);
int hapool_free(struct hapool *p, u64 start, u64 len, enum hybrid_alloc_reason *reason);
int hapool_retire(struct hapool *p, u64 start, u64 len, enum hybrid_alloc_reason *reason);
void hapool_reuse(struct hapool *p, u64 start, u64 len);

bool hapool_next_free(struct hapool *p, u64 from, u64 *start, u64 *len);
int __must_check hapool_hold(struct hapool *p, u64 *start, u64 *len, gfp_t gfp);
void hapool_unhold(struct hapool *p, u64 start, u64 len);
int __must_check hapool_grow(struct hapool *p, u64 nr_blocks, gfp_t gfp);

void hapool_drain(struct hapool *p);
void hapool_drain_idle(struct hapool *p);
unsigned long hapool_nr_mags(struct hapool *p);
unsigned long hapool_shrink(struct hapool *p, unsigned long nr);
void hapool_cpu_dead(struct hapool *p, unsigned int cpu);

int hapool_map(struct hapool *p, u64 from, struct haslab_extent *entries, int nr);
void hapool_stat(struct hapool *p, struct hapool_stat *st, bool walk);
void hapool_histogram(struct hapool *p, struct haslab_histogram *h);
u64 hapool_charged(struct hapool *p);
int hapool_check(struct hapool *p);

/*
 * The end of the managed space. It may grow at any time, and new space may be allocated
 * before hapool_grow() returns.
 */
static inline u64 hapool_end(const struct hapool *p)
{
	return READ_ONCE(p->slab.cfg.nr_blocks);
}

#endif
