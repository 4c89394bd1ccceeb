/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the slab layer share. The design is told in slab.c.
 *
 *   slab.c        slabs, and the extents in them
 *   slab_map.c    from an address to its slab
 *   slab_range.c  given ranges, and searches by address
 *   slab_check.c  the invariants
 *
 * Every function needs haslab.lock, if it does not say otherwise.
 */
#ifndef _HYBRID_ALLOC_SLAB_INTERNAL_H
#define _HYBRID_ALLOC_SLAB_INTERNAL_H

#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/rcupdate.h>

#include "slab.h"

#define DIR_SHIFT	8
#define DIR_SLOTS	(1U << DIR_SHIFT)
#define DIR_BLOCKS	((u64)HASLAB_MAX_BLOCKS << DIR_SHIFT)
#define SLOT_IS_SLAB	1UL

/* Slabs of equal objects: this many objects at least, if there is the space. */
#define MIN_OBJECTS	16
/* A class's next slab is at most this part of what it has already. */
#define GROWTH_SHIFT	2
/* How many of the last lengths, at least, say what a short run is good for. */
#define RECENT_WINDOW	256
/* How many mixed slabs to look at whose largest run may be too short. */
#define MAX_TRIES	8

/**
 * struct haslab_slab - a block of the buddy that is cut up
 * @list: in haslab_class.partial (if it has a free object) or haslab.mixed
 * @rcu: lockless readers may still look; it has left the lists then
 * @start: first block
 * @nr_blocks: size; a power of two units, but for the tail
 * @class: of the equal objects; -1 for a mixed slab
 * @continued: the first run is the rest of the extent that ends the slab before
 * @bucket: index in haslab.mixed
 * @runs: of a mixed slab
 * @free: bitmap of free objects
 * @live: bitmap of live objects
 * @nr_objects: how many there are
 * @nr_free: how many of them are free
 * @hint: no object before this one is free
 */
struct haslab_slab {
	union {
		struct list_head list;
		struct rcu_head rcu;
	};
	u64 start;
	u32 nr_blocks;
	s8 class;
	bool continued;
	u16 bucket;
	union {
		struct haruns runs;
		struct {
			unsigned long *free;
			unsigned long *live;
			u32 nr_objects;
			u32 nr_free;
			u32 hint;
		};
	};
};

/**
 * struct haslab_table - the slabs of one slot that are smaller than it
 * @rcu: lockless readers may still look
 * @nr: entries in use
 * @unit: the slab that each unit belongs to
 */
struct haslab_table {
	struct rcu_head rcu;
	u32 nr;
	struct haslab_slab __rcu *unit[];
};

/**
 * struct haslab_sum - the free runs of a part of the device
 * @lead: free blocks at its start
 * @longest: longest free run
 * @trail: free blocks at its end
 * @size: blocks in it
 */
struct haslab_sum {
	u64 lead;
	u64 longest;
	u64 trail;
	u64 size;
};

/**
 * struct haslab_dir - the slots of 4 GiB
 * @rcu: lockless readers may still look
 * @nr: slots in use
 * @summed: @sum is up to date
 * @sum: of its free runs
 * @slot: a slab with SLOT_IS_SLAB, a table, or NULL
 */
struct haslab_dir {
	struct rcu_head rcu;
	u32 nr;
	bool summed;
	struct haslab_sum sum;
	void __rcu *slot[DIR_SLOTS];
};

/**
 * struct haslab_span - an extent that lies in more than one slab or block
 * @node: in haslab.spans
 * @start: first block
 * @len: number of blocks
 */
struct haslab_span {
	struct rb_node node;
	u64 start;
	u64 len;
};

/* Do @expr under the lock, again as long as waiting for memory may help. */
#define haslab_locked(s, op, expr) ({					\
	struct haslab *__s = (s);					\
	struct hamem_op *__op = (op);					\
	int __ret;							\
									\
	do {								\
		spin_lock(&__s->lock);					\
		__ret = (expr);						\
		spin_unlock(&__s->lock);				\
	} while (__ret == -ENOMEM && hamem_refill(__op));		\
	hamem_finish(__op);						\
	__ret;								\
})

static inline u32 unit_blocks(const struct haslab *s)
{
	return 1U << s->cfg.unit_shift;
}

static inline u64 slab_end(const struct haslab_slab *slab)
{
	return slab->start + slab->nr_blocks;
}

static inline bool slab_is_mixed(const struct haslab_slab *slab)
{
	return slab->class < 0;
}

static inline u64 object_start(const struct haslab *s, const struct haslab_slab *slab, u32 i)
{
	return slab->start + (u64)i * s->classes[slab->class].blocks;
}

static inline u32 object_of(const struct haslab *s, const struct haslab_slab *slab, u64 block)
{
	return (u32)(block - slab->start) / s->classes[slab->class].blocks;
}

static inline unsigned int bucket_of(u32 len)
{
	unsigned int shift;

	if (len < 2 << HASLAB_BUCKET_SHIFT)
		return len;
	shift = ilog2(len) - HASLAB_BUCKET_SHIFT;
	return (shift << HASLAB_BUCKET_SHIFT) + (len >> shift);
}

/* Whether a range is just one block of the buddy. */
static inline bool is_block(const struct haslab *s, u64 start, u64 len)
{
	return len >= unit_blocks(s) && is_power_of_2(len) && IS_ALIGNED(start, len);
}

/* ---- the map (slab_map.c) ---- */

static inline struct haslab_dir *map_dir(const struct haslab *s, u64 block)
{
	/* READ_ONCE: haslab_grow() replaces the array */
	return rcu_dereference_raw(READ_ONCE(s->dirs)[block >> (HASLAB_MAX_SHIFT + DIR_SHIFT)]);
}

static inline u32 dir_slot(u64 block)
{
	return (block >> HASLAB_MAX_SHIFT) & (DIR_SLOTS - 1);
}

static inline u32 table_unit(const struct haslab *s, u64 block)
{
	return (block & (HASLAB_MAX_BLOCKS - 1)) >> s->cfg.unit_shift;
}

/* The slab that a block belongs to, or NULL. Under RCU or the lock. */
static inline struct haslab_slab *haslab_lookup(const struct haslab *s, u64 block)
{
	struct haslab_dir *dir = map_dir(s, block);
	struct haslab_table *table;
	void *slot;

	if (!dir)
		return NULL;
	slot = rcu_dereference_raw(dir->slot[dir_slot(block)]);
	if ((unsigned long)slot & SLOT_IS_SLAB)
		return slot - SLOT_IS_SLAB;
	table = slot;
	return table ? rcu_dereference_raw(table->unit[table_unit(s, block)]) : NULL;
}

/* Something around @block was taken or freed. */
static inline void map_changed(struct haslab *s, u64 block)
{
	struct haslab_dir *dir = map_dir(s, block);

	lockdep_assert_held(&s->lock);
	if (dir)
		dir->summed = false;
}

void haslab_map_trim(struct haslab *s, u64 block);
int __must_check haslab_map_prepare(struct haslab *s, u64 block, u32 nr_blocks,
				    struct hamem_op *op);
void haslab_map_set(struct haslab *s, u64 start, u32 nr_blocks, struct haslab_slab *slab);
void haslab_map_fill(struct haslab *s, struct haslab_slab *slab);

int __must_check haslab_buddy_alloc(struct haslab *s, unsigned int order, struct hamem_op *op,
				    u64 *start);
void haslab_buddy_free(struct haslab *s, u64 start, unsigned int order);
int __must_check haslab_buddy_take(struct haslab *s, u64 start, u64 len, struct hamem_op *op);
void haslab_buddy_put(struct haslab *s, u64 start, u64 len);

/* ---- slabs (slab.c) ---- */

struct haslab_slab *haslab_slab_create(struct haslab *s, int class, u64 start, u32 nr_blocks,
				       struct hamem_op *op);
void haslab_slab_return(struct haslab *s, struct haslab_slab *slab);
int __must_check haslab_convert(struct haslab *s, struct haslab_slab **slabp,
				struct hamem_op *op);
int __must_check haslab_mixed_set(struct haslab *s, struct haslab_slab *slab, u64 start, u32 len,
				  enum haruns_state state, struct hamem_op *op);
void haslab_mixed_clear(struct haslab *s, struct haslab_slab *slab, u64 start, u32 len);
void haslab_objects_hold(struct haslab *s, struct haslab_slab *slab, u32 first, u32 end);
void haslab_objects_unhold(struct haslab *s, struct haslab_slab *slab, u32 first, u32 end);
struct haslab_slab *haslab_continuation(struct haslab *s, const struct haslab_slab *slab);

/* ---- ranges (slab_range.c) ---- */

bool haslab_stretch(struct haslab *s, u64 pos, u64 *end);
int __must_check haslab_extent_take(struct haslab *s, u64 start, u64 len, struct hamem_op *op);
int haslab_span_free(struct haslab *s, u64 start, u64 len, enum hybrid_alloc_reason *reason);

/* ---- refusals ---- */

static inline int haslab_refuse(enum hybrid_alloc_reason *reason, enum hybrid_alloc_reason why)
{
	*reason = why;
	return why == HYBRID_ALLOC_REASON_NOT_ALLOCATED ? -ENOENT : -EINVAL;
}

/* @start is in the live extent from @at, of @len blocks. */
static inline int haslab_refuse_live(enum hybrid_alloc_reason *reason, u64 start, u64 at)
{
	return haslab_refuse(reason, start == at ? HYBRID_ALLOC_REASON_WRONG_LENGTH :
					    HYBRID_ALLOC_REASON_WRONG_START);
}

#endif
