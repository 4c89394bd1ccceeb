/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The part of the slab layer that a free into a pool needs: from an address to the live bit of
 * the object there. Inline, because calls are a third of the cost of a pool hit
 * (bench/profile-kernel). For the pool and the slab layer only. See slab.c for the design.
 */
#ifndef _HYBRID_ALLOC_SLAB_HIT_H
#define _HYBRID_ALLOC_SLAB_HIT_H

#include <linux/rcupdate.h>
#include "buddy_hit.h"
#include "slab.h"

#define DIR_SHIFT	6
#define DIR_SLOTS	(1U << DIR_SHIFT)

/* A buddy block that is cut into equal objects. */
struct haslab_slab {
	union {
		struct {
			struct list_head list;	/* in haslab_group.partial, if @nr_free */
			u32 nr_blocks;		/* size in blocks; a power of two of units */
			u16 nr_objects;
			u16 nr_free;		/* number of free objects */
			u16 hint;		/* no object before this one is free */
			/* see haslab_slab_sum(), which sets them with all groups shut out */
			u16 nr_lead;		/* free objects at the start */
			u16 nr_longest;		/* free in a row; 0: unknown, or none is */
			u16 nr_trail;		/* free objects at the end */
		};
		/* deferred free; lockless readers may still use the fields after the union */
		struct {
			struct rcu_head rcu;
			void *tables[2];	/* tables of the map that are freed with it */
		};
	};
	u64 start;		/* first block */
	unsigned long *live;	/* bitmap of live objects */
	unsigned long *free;	/* bitmap of free objects */
	u32 class;		/* of the objects */
	u8 group;		/* number of the group that it belongs to */
	bool dissolved;		/* its blocks are in a mixed part: see haslab_dissolve() */
};

static_assert(BITS_PER_LONG == 32 || sizeof(struct haslab_slab) == 64);

/* 64 slots: 1 GiB. */
struct haslab_dir {
	/* for each slot the slab that fills it, or, with MAP_SPLIT, a table of its units' slabs */
	struct haslab_slab __rcu **slabs;
	struct haslab_mixed *mixed;	/* the mixed parts of the slots; NULL if there are none */
	union haslab_links *links;	/* list links of the mixed slots; NULL if there are none */
	u32 lead;			/* this and the next two: as in haslab_sum, if kept */
	u32 longest;
	u32 trail;
	u16 nr_mixed;			/* number of mixed parts in use */
	u16 nr_slabs;			/* number of slabs */
};

static inline u32 unit_blocks(const struct haslab *s)
{
	return 1U << s->cfg.unit_shift;
}

static inline u32 slot_blocks(const struct haslab *s)
{
	return 1U << s->slot_shift;
}

static inline struct haslab_dir *map_dir(const struct haslab *s, u64 block)
{
	/* haslab_grow() replaces the array; slot_of() shares the first shift */
	return &rcu_dereference_raw(s->dirs)[block >> s->slot_shift >> DIR_SHIFT];
}

static inline u32 slot_of(const struct haslab *s, u64 block)
{
	return block >> s->slot_shift;
}

/* The number of the unit of @block within its slot. */
static inline u32 slot_unit(const struct haslab *s, u64 block)
{
	return (block & (slot_blocks(s) - 1)) >> s->cfg.unit_shift;
}

/*
 * Flag in a pointer in haslab_dir.slabs: it points to where the table would begin if it covered
 * all units of the device, so that a lookup needs no subtraction.
 */
#define MAP_SPLIT	1UL

static __always_inline struct haslab_slab __rcu **map_split(struct haslab_slab *entry, u64 unit)
{
	return (void *)((unsigned long)entry - MAP_SPLIT + (unsigned long)unit * sizeof(entry));
}

/* haslab_dir.slabs points here if the dir has no slabs. */
extern struct haslab_slab __rcu *haslab_no_slabs[DIR_SLOTS];

/* The slab that a block belongs to, or NULL. Under RCU or the lock of its group. */
static __always_inline struct haslab_slab *haslab_lookup(const struct haslab *s, u64 block)
{
	struct haslab_slab __rcu **slabs = rcu_dereference_raw(map_dir(s, block)->slabs);
	struct haslab_slab *slab = rcu_dereference_raw(slabs[(block >> s->slot_shift) % DIR_SLOTS]);

	if ((unsigned long)slab & MAP_SPLIT)
		slab = rcu_dereference_raw(*map_split(slab, block >> s->cfg.unit_shift));
	return slab;
}

/*
 * The object of @class at @start, live or not. The upper half of the product is the exact index,
 * as a slab has at most 2^12 blocks; the lower half is less than the inverse if there is no
 * remainder. The rest after the last object has a live bit, too, which is never set. Under RCU.
 */
static __always_inline bool haslab_object_at(const struct haslab *s, unsigned long class,
					     u64 start, struct haslab_ref *ref)
{
	const struct haslab_slab *slab = haslab_lookup(s, start);
	u64 product;

	if (unlikely(!slab) || unlikely(slab->class != (u32)class))
		return false;
	product = (start - slab->start) * s->inverse[class];
	ref->live = slab->live;
	ref->start = start;
	ref->bit = product >> 32;
	return likely((u32)product < s->inverse[class]);
}

/* The buddy block of @class at @start, live or not. Under RCU. */
static __always_inline bool haslab_block_at(struct haslab *s, unsigned long class, u64 start,
					    struct haslab_ref *ref)
{
	const struct haslab_class *c = &s->classes[class];

	if (unlikely(start & c->mask))
		return false;
	ref->start = start;
	ref->live = habuddy_leaf_bit(&s->buddy, start >> s->cfg.unit_shift, c->order, &ref->bit);
	return likely(ref->live);
}

/**
 * haslab_disown - a live extent becomes a CACHED object
 * @s: the slab allocator
 * @class: the class, as the caller states it
 * @from_slab: objects of @class come from slabs: it is less than haslab.nr_from_slabs
 * @start: its first block, inside the device
 * @ref: out: the object
 *
 * Atomic: only one of several callers succeeds.
 * Context: preemption is off, which holds off the end of a grace period; lockless.
 * Return: whether exactly this extent was live as an object of @class. If not, haslab_free()
 * finds out why.
 */
static __always_inline bool haslab_disown(struct haslab *s, unsigned long class,
					  const bool from_slab, u64 start,
					  struct haslab_ref *ref)
{
	bool found = from_slab ? haslab_object_at(s, class, start, ref) :
				 haslab_block_at(s, class, start, ref);

	return likely(found) && test_and_clear_bit(ref->bit, ref->live);
}

#endif
