/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pool hits: what most calls are, in as few instructions as we know how. Inline
 * into the exported functions, because calls are a third of what a hit costs
 *. The design is told in pool.c.
 */
#ifndef _HYBRID_ALLOC_POOL_HIT_H
#define _HYBRID_ALLOC_POOL_HIT_H

#include "pool.h"
#include "slab/hit.h"

#define MAG_TAKEN	((struct hapool_mag *)1UL)

/**
 * struct hapool_mag - a magazine
 * @used: how much of @refs is in use, in bytes: what is a product in an index is
 *	a sum here
 * @size: how much there is of it
 * @seen: hits and frees of its bin when hapool_drain_idle() last looked
 * @cpu: whose it is
 * @refs: the objects, the last freed last
 */
struct hapool_mag {
	unsigned long used;
	unsigned long size;
	u64 seen;
	u32 cpu;
	struct haslab_ref refs[];
};

/**
 * struct hapool_bin - a common size on one CPU
 * @mag: its magazine; NULL until the CPU first needs the size
 * @hits: allocations from it; written by the owner of the magazine, read by any CPU
 * @frees: frees into it
 */
struct hapool_bin {
	struct hapool_mag *mag;
	u64 hits;
	u64 frees;
};

/**
 * struct hapool_cpu - what one CPU has
 * @bin: for each common size, and one for all others, which stays empty
 * @charged: blocks allocated otherwise here, less those freed otherwise here
 * @live: the same in extents
 * @begun: calls that were no hit, and change something
 * @done: how many of them have ended, here or on another CPU
 * @misses: allocations of a common size for which the magazine was empty
 * @refills: of a magazine
 * @drains: of a magazine
 * @searches: allocations in the slow mode
 * @refused: refused frees
 * @mag_bytes: memory of the magazines
 */
struct hapool_cpu {
	struct hapool_bin bin[HASLAB_NR_CLASSES + 1];
	s64 charged;
	s64 live;
	u64 begun;
	u64 done;
	u64 misses;
	u64 refills;
	u64 drains;
	u64 searches;
	u64 refused[HYBRID_ALLOC_REASON_COUNT];
	u64 mag_bytes;
};

static __always_inline void hapool_mag_put(struct hapool_bin *bin, struct hapool_mag *mag)
{
	/* what was done to the magazine comes before it is there to be taken */
	smp_store_release(&bin->mag, mag);
}

/* NULL if there is none or it is taken; otherwise also a full barrier. */
static __always_inline struct hapool_mag *hapool_mag_take(struct hapool_bin *bin)
{
	struct hapool_mag *mag = xchg(&bin->mag, MAG_TAKEN);

	if (likely(mag > MAG_TAKEN))
		return mag;
	if (!mag)
		hapool_mag_put(bin, NULL);
	return NULL;
}

/* The object that ends before or begins at @used bytes. */
static __always_inline struct haslab_ref *hapool_mag_ref(struct hapool_mag *mag,
							 unsigned long used)
{
	return (void *)mag->refs + used;
}

/* Frees go past the pools. Read it after hapool_mag_take(). */
static __always_inline bool hapool_closed(struct hapool *p)
{
	/*
	 * Pairs with hapool_slow_end(): a CPU that sees the pools reopened also sees every
	 * conversion of a slab made meanwhile.
	 */
	return atomic_read_acquire(&p->bypass);
}

/**
 * hapool_alloc_hit - allocate from this CPU's magazine
 * @p: the pool
 * @class: the common size, of haslab_classes[]
 * @start: out: first block
 *
 * There is a magazine of a size only after hapool_alloc() was asked for it.
 * Context: process context. Return: whether there was something in it.
 */
static __always_inline bool hapool_alloc_hit(struct hapool *p, unsigned long class,
					     u64 *start)
{
	struct hapool_bin *bin;
	struct hapool_mag *mag;
	const struct haslab_ref *ref;
	unsigned long used;

	bin = &get_cpu_ptr(p->cpus)->bin[class];
	mag = hapool_mag_take(bin);
	if (unlikely(!mag))
		goto miss;
	used = mag->used;
	if (unlikely(!used)) {
		hapool_mag_put(bin, mag);
		goto miss;
	}
	ref = hapool_mag_ref(mag, used - sizeof(*ref));
	*start = ref->start;
	haslab_own(ref);
	/* in memory: a register for it would be one too many */
	mag->used -= sizeof(*ref);
	bin->hits++;
	hapool_mag_put(bin, mag);
	put_cpu_ptr(p->cpus);
	return true;
miss:
	put_cpu_ptr(p->cpus);
	return false;
}

/* In blocks. */
static inline u64 hapool_class_blocks(const struct hapool *p, unsigned long class)
{
	return p->slab.classes[class].blocks;
}

/* Whether a common size is served by blocks of the buddy, or not at all. */
static __always_inline bool hapool_from_buddy(const struct hapool *p, unsigned long class)
{
	return class >= p->slab.nr_from_slabs;
}

/**
 * hapool_free_hit - free into this CPU's magazine
 * @p: the pool
 * @class: the common size, of haslab_classes[]
 * @from_buddy: what hapool_from_buddy() says
 * @start: first block, inside the device
 *
 * Context: process context. Return: whether just that was a live extent of a
 * size for which there is a magazine with room; if not, hapool_free() knows more.
 */
static __always_inline bool hapool_free_hit(struct hapool *p, unsigned long class,
					    const bool from_buddy, u64 start)
{
	struct hapool_bin *bin = &get_cpu_ptr(p->cpus)->bin[class];
	struct hapool_mag *mag;
	struct haslab_ref ref;

	/* gcc would keep the parts of the sum, in two registers more */
	OPTIMIZER_HIDE_VAR(bin);
	mag = hapool_mag_take(bin);
	if (unlikely(!mag))
		goto miss;
	/* room is made in a slow path: without a call here there is no stack frame */
	if (unlikely(mag->used == mag->size) || unlikely(hapool_closed(p)) ||
	    unlikely(!haslab_disown(&p->slab, class, !from_buddy, start, &ref))) {
		hapool_mag_put(bin, mag);
		goto miss;
	}
	*hapool_mag_ref(mag, mag->used) = ref;
	/* in memory: a register for it would be one too many */
	mag->used += sizeof(ref);
	bin->frees++;
	hapool_mag_put(bin, mag);
	put_cpu_ptr(p->cpus);
	return true;
miss:
	put_cpu_ptr(p->cpus);
	return false;
}

#endif
