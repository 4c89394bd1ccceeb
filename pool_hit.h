/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pool hits: the path of most calls, in as few instructions as possible. Inline in the exported
 * functions, because calls are a third of the cost of a hit (bench/profile-kernel). See pool.c
 * for the design.
 */
#ifndef _HYBRID_ALLOC_POOL_HIT_H
#define _HYBRID_ALLOC_POOL_HIT_H

#include <linux/rcupdate.h>
#include "pool.h"
#include "slab/hit.h"

#define MAG_TAKEN	((struct hapool_mag *)1UL)

/* A magazine. */
struct hapool_mag {
	unsigned long used;	/* bytes of refs in use: an offset is added, an index multiplied */
	unsigned long size;	/* size of refs[] in bytes */
	union {
		struct {
			/* hits and frees of its bin when hapool_drain_idle() last looked */
			u64 seen;
			u32 cpu;	/* the CPU that it belongs to */
		};
		struct rcu_head rcu;	/* once it is in no bin: see hapool_mag_peek() */
	};
	struct haslab_ref refs[];	/* the objects, the last freed last */
};

/* A common size on one CPU. Its counters are written with the magazine taken, read at any time. */
struct hapool_bin {
	struct hapool_mag *mag;	/* or NULL, until the CPU needs the size; or MAG_TAKEN */
	u64 hits;		/* allocations from it */
	u64 frees;		/* frees into it */
};

/* Bins and counters of a CPU. */
struct hapool_cpu {
	/* one for each common size, and one for all other sizes, which stays empty */
	struct hapool_bin bin[HASLAB_NR_CLASSES + 1];
	u64 taken;	/* blocks allocated here other than by a hit, counted once they are */
	u64 given;	/* blocks freed here other than by a hit, counted before they are free */
	u64 freed;	/* the same, counted when they are free, or the free is refused */
	s64 live;	/* extents allocated here other than by a hit, less those freed likewise */
	u64 begun;	/* other calls begun here that are not hits and change something */
	u64 done;	/* such calls that ended here; they may have begun on another CPU */
	u64 watched_begun;	/* the same two, of calls that book what they take: see */
	u64 watched_done;	/* pool/reserve.c */
	u64 barren;	/* those of these four that made no extent */
	u64 misses;	/* allocations of a common size that found no object in the magazine */
	u64 refills;	/* of a magazine */
	u64 drains;	/* of a magazine */
	u64 searches;	/* allocations in the slow mode */
	u64 refused[HYBRID_ALLOC_REASON_COUNT];	/* refused frees, by reason */
	u64 mag_bytes;	/* memory of the magazines */
};

static __always_inline void hapool_mag_put(struct hapool_bin *bin, struct hapool_mag *mag)
{
	/* pairs with xchg() in hapool_mag_take(): the next taker sees all changes to @mag */
	smp_store_release(&bin->mag, mag);
}

/* Return NULL if there is no magazine or it is taken. A full barrier otherwise. */
static __always_inline struct hapool_mag *hapool_mag_take(struct hapool_bin *bin)
{
	struct hapool_mag *mag = xchg(&bin->mag, MAG_TAKEN);

	if (likely(mag > MAG_TAKEN))
		return mag;
	if (!mag)
		hapool_mag_put(bin, NULL);
	return NULL;
}

/* The object at @used bytes. */
static __always_inline struct haslab_ref *hapool_mag_ref(struct hapool_mag *mag,
							 unsigned long used)
{
	return (void *)mag->refs + used;
}

/* Whether frees bypass the pools. Call it after hapool_mag_take(). */
static __always_inline bool hapool_closed(struct hapool *p)
{
	/* pairs with hapool_slow_end(): if open again, all slab conversions are visible */
	return atomic_read_acquire(&p->bypass);
}

/**
 * hapool_alloc_hit - allocate from this CPU's magazine
 * @p: the pool
 * @class: the common size, of haslab_classes[]
 * @start: out: first block
 *
 * Context: process context. Return: whether the magazine had an object; a size has a magazine
 * only after hapool_alloc() was called for it.
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
	/* in memory: to keep it in a register takes one too many */
	mag->used -= sizeof(*ref);
	bin->hits++;
	hapool_mag_put(bin, mag);
	put_cpu_ptr(p->cpus);
	return true;
miss:
	put_cpu_ptr(p->cpus);
	return false;
}

/* The size of a class in blocks. */
static inline u64 hapool_class_blocks(const struct hapool *p, unsigned long class)
{
	return p->slab.classes[class].blocks;
}

/* Whether a class is served from buddy blocks, or not pooled. */
static __always_inline bool hapool_from_buddy(const struct hapool *p, unsigned long class)
{
	return class >= p->slab.nr_from_slabs;
}

/**
 * hapool_free_hit - free into this CPU's magazine
 * @p: the pool
 * @class: the common size, of haslab_classes[]
 * @from_buddy: result of hapool_from_buddy()
 * @start: first block, inside the device
 *
 * Context: process context. Return: whether exactly this was a live extent and the magazine had
 * room; if not, the caller falls back to hapool_free().
 */
static __always_inline bool hapool_free_hit(struct hapool *p, unsigned long class,
					    const bool from_buddy, u64 start)
{
	struct hapool_bin *bin = &get_cpu_ptr(p->cpus)->bin[class];
	struct hapool_mag *mag;
	struct haslab_ref ref;

	/* otherwise gcc keeps the parts of the sum, in two more registers */
	OPTIMIZER_HIDE_VAR(bin);
	mag = hapool_mag_take(bin);
	if (unlikely(!mag))
		goto miss;
	/* leave it to the slow path to make room: without calls there is no stack frame */
	if (unlikely(mag->used == mag->size) || unlikely(hapool_closed(p)) ||
	    unlikely(!haslab_disown(&p->slab, class, !from_buddy, start, &ref))) {
		hapool_mag_put(bin, mag);
		goto miss;
	}
	*hapool_mag_ref(mag, mag->used) = ref;
	/* in memory: to keep it in a register takes one too many */
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
