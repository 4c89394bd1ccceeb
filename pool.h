/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The pool layer: per-CPU caches of ready extents, and the entry to the allocator. See pool.c for
 * the design. Positions and lengths are in blocks (of MinBlockSize bytes).
 */
#ifndef _HYBRID_ALLOC_POOL_H
#define _HYBRID_ALLOC_POOL_H

#include <linux/atomic.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include "slab.h"

struct hapool_cpu;

/* Remembered refusals, of the slow mode and of all allocations: see pool/refusals.c. */
#define HAPOOL_REFUSALS	4

struct hapool_refusal {
	u64 len;	/* 0: none */
	u64 align;
};

/* What was asked for in vain lately. */
struct hapool_hint {
	u64 len;	/* 0: none */
	u64 align;
	bool again;	/* more than once */
};

struct hapool_refusals {
	spinlock_t lock;	/* protects frees, next and of[] */
	u64 frees;	/* hapool_frees() before the searches for of[] */
	unsigned int next;	/* entry to be replaced next */
	struct hapool_refusal of[HAPOOL_REFUSALS];
	/* without a lock: see hapool_is_refused() */
	struct hapool_hint hints[HAPOOL_REFUSALS];
	unsigned int next_hint;
	u64 shortest_hint;	/* in blocks; U64_MAX: there is no hint */
};

/* Magazines of one class that no CPU has: see pool/depot.c. */
#define HAPOOL_DEPOT_PLACES	7

/* A cache line. */
struct hapool_depot {
	/* a magazine, with HAPOOL_DEPOT_HAS if it is not empty; or 0; or MAG_TAKEN */
	unsigned long places[HAPOOL_DEPOT_PLACES];
	bool wants;	/* a free has looked for an empty one in vain */
};

/* Blocks that are promised, and not taken yet: see pool/reserve.c. */
struct hapool_reserve {
	spinlock_t lock;	/* protects all of this */
	unsigned int users;	/* open reservations */
	bool watched;	/* there is one: calls book what they take. Read without the lock */
	bool ready;	/* no call is left that began before that */
	bool tight;	/* the pools are closed because little is left */
	bool exclusive;	/* the holder of hapool.slow waits for what others have booked */
	unsigned int closed;	/* reasons for which the pools are closed, and empty */
	u64 reserved;	/* blocks that are promised */
	u64 booked;	/* blocks that other calls are about to take */
	u64 slack;	/* blocks that are known to be free beyond these; 0 if none is promised */
	u64 mag_blocks;	/* what the magazines had room for when the slack was counted */
	u64 trimming;	/* blocks that TRIM holds */
	u64 refusals;	/* calls that were refused because of reservations */
};

/* A reservation. Its owner gives it to the calls, and looks at nothing in it. */
struct hapool_reservation {
	u64 blocks;	/* under hapool_reserve.lock */
};

/* Counts, in blocks unless stated otherwise. */
struct hapool_stat {
	u64 capacity;	/* size of the managed space */
	u64 charged;	/* blocks in live extents */
	u64 cached;	/* blocks in the pools */
	u64 retired;	/* HELD blocks: neither free nor in use */
	u64 reserved;	/* blocks that are promised to reservations, free or cached */
	struct haslab_stat slab;	/* counts of the layers below */
	u64 nr_live;	/* live extents */
	u64 allocs;	/* extents that were allocated or claimed so far */
	u64 hits;	/* allocations that a pool served */
	u64 misses;	/* allocations of a pooled size that no pool served */
	u64 refills;	/* times an empty magazine asked the slab layer for a batch */
	u64 drains;	/* batches given back to the slab layer */
	u64 searches;	/* allocations that went through the slow mode */
	u64 nr_reservations;	/* open reservations */
	u64 reserved_refusals;	/* calls that were refused because of reservations */
	u64 refused[HYBRID_ALLOC_REASON_COUNT];	/* refused frees by enum hybrid_alloc_reason */
	u64 metadata;	/* bytes of metadata, without per-CPU memory */
	u64 percpu;	/* bytes of per-CPU memory: magazines, counters, groups */
};

/* The allocator of one device. */
struct hapool {
	struct haslab slab;	/* the layers below */
	struct hapool_cpu __percpu *cpus;	/* magazines and counters of each CPU */
	u16 limit[HASLAB_NR_CLASSES];	/* capacity of a magazine, by class */
	atomic_t bypass;	/* > 0: the pools are closed; frees go straight to the slab layer */
	struct mutex slow;	/* held in the slow mode, by TRIM and by grow; see pool.c */
	/* this and the next three belong to the holder of @slow */
	unsigned int noio;	/* what memalloc_noio_save() said */
	u64 search_frees;	/* hapool_frees() before the search */
	bool search_exact;	/* no free was in flight then: see pool/refusals.c */
	bool emptied;	/* all pools were emptied, which reserve->closed counts */
	atomic64_t held;	/* number of HELD blocks */
	struct hapool_refusals refusals;
	struct hapool_depot *depot;	/* of each class */
	bool has_depot;			/* a magazine has been put there once */
	struct hapool_reserve *reserve;	/* NULL until the first reservation */
};

/* For hapool_alloc(): no goal. */
#define HAPOOL_NO_GOAL	U64_MAX

int __must_check hapool_init(struct hapool *p, const struct haslab_config *cfg);
void hapool_destroy(struct hapool *p);

int __must_check hapool_alloc(struct hapool *p, u64 len, u64 align, u64 goal, gfp_t gfp,
			      u64 *start);
int __must_check hapool_alloc_upto(struct hapool *p, u64 *len, u64 max, u64 align, u64 goal,
				   gfp_t gfp, u64 *start);
int __must_check hapool_claim(struct hapool *p, u64 start, u64 len, gfp_t gfp);
u32 hapool_claim_some(struct hapool *p, const struct haslab_range *x, u32 nr, gfp_t gfp, int *ret);
int hapool_free(struct hapool *p, u64 start, u64 len, enum hybrid_alloc_reason *reason);
int hapool_retire(struct hapool *p, u64 start, u64 len, enum hybrid_alloc_reason *reason);
void hapool_reuse(struct hapool *p, u64 start, u64 len);

int __must_check hapool_cut(struct hapool *p, u64 start, u64 len, gfp_t gfp,
			    enum hybrid_alloc_reason *reason);
int __must_check hapool_split(struct hapool *p, u64 start, u64 len, u64 at, gfp_t gfp,
			      enum hybrid_alloc_reason *reason);
int __must_check hapool_extend(struct hapool *p, u64 start, u64 len, u64 least, u64 most, gfp_t gfp,
			       u64 *got, enum hybrid_alloc_reason *reason);

int __must_check hapool_search_begin(struct hapool *p, gfp_t gfp);
int __must_check hapool_search_find(struct hapool *p, u64 *len, u64 max, u64 align, u64 *start);
int __must_check hapool_search_take(struct hapool *p, u64 start, u64 len);
void hapool_search_end(struct hapool *p);

int __must_check hapool_hold(struct hapool *p, u64 *start, u64 *len, gfp_t gfp);
void hapool_unhold(struct hapool *p, u64 start, u64 len);
int __must_check hapool_grow(struct hapool *p, u64 nr_blocks, gfp_t gfp);

int __must_check hapool_reservation_open(struct hapool *p, struct hapool_reservation *v);
void hapool_reservation_close(struct hapool *p, struct hapool_reservation *v);
u64 hapool_reservation_left(struct hapool *p, const struct hapool_reservation *v);
int __must_check hapool_reserve(struct hapool *p, struct hapool_reservation *v, u64 nr, gfp_t gfp);
int hapool_unreserve(struct hapool *p, struct hapool_reservation *v, u64 nr);
int __must_check hapool_alloc_reserved(struct hapool *p, struct hapool_reservation *v, u64 *len,
				       u64 max, u64 align, u64 goal, gfp_t gfp, u64 *start);
int hapool_unalloc(struct hapool *p, struct hapool_reservation *v, u64 start, u64 len);

void hapool_drain(struct hapool *p);
void hapool_drain_idle(struct hapool *p);
unsigned long hapool_nr_mags(struct hapool *p);
unsigned long hapool_shrink(struct hapool *p, unsigned long nr);
void hapool_drain_cpu(struct hapool *p, unsigned int cpu);

void hapool_stat(struct hapool *p, struct hapool_stat *st, bool walk);
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

/* As haslab_next_long(). What is in the pools does not count. */
static inline u64 hapool_next_long(struct hapool *p, u64 from, u64 len)
{
	return haslab_next_long(&p->slab, from, len);
}

/* Find free blocks from @from on, as haslab_next_free(). What is in the pools does not count. */
static inline bool hapool_next_free(struct hapool *p, u64 from, u64 *start, u64 *len)
{
	return haslab_next_free(&p->slab, from, start, len);
}

/* What the device is used for from block @from on, as haslab_extents(). */
static inline int hapool_map(struct hapool *p, u64 from, struct haslab_extent *entries, int nr)
{
	return haslab_extents(&p->slab, from, entries, nr);
}

/* How the free space is divided, as haslab_histogram(). What is in the pools does not count. */
static inline void hapool_histogram(struct hapool *p, struct haslab_histogram *h)
{
	haslab_histogram(&p->slab, h);
}

#endif
