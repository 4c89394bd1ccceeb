/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the slab layer share. The design is told in slab.c.
 *
 *   slab.c        slabs of equal objects, and extents of any size
 *   slab/mixed.c  slots in which extents of any length lie
 *   slab/map.c    from an address to what is there
 *   slab/range.c  given ranges, what is free by address
 *   slab/search.c a search for whatever free run fits
 *   slab/check.c  the invariants
 *
 * Every function needs the lock of the group that it is about, or all of them,
 * if it does not say otherwise. Those of the map take haslab.space_lock.
 */
#ifndef _HYBRID_ALLOC_SLAB_INTERNAL_H
#define _HYBRID_ALLOC_SLAB_INTERNAL_H

#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/prefetch.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/stddef.h>

#include "slab/hit.h"

/* No slot. */
#define NO_SLOT		U32_MAX

/**
 * struct haslab_mixed - the part of a slot in which extents of any length lie
 * @units: the units of the slot that are part of it; 0: nothing is
 * @runs: their runs; the tag has bits MIXED_...
 *
 * One cache line, if there are not many runs.
 */
struct haslab_mixed {
	u64 units;
	struct haruns runs;
};

/* The first run is the second part of the extent at the end of the slot before. */
#define MIXED_CONTINUES	1
/* The extent of the last run continues in the next slot. */
#define MIXED_GOES_ON	2

/**
 * struct haslab_link - where a mixed slot is in the list of its bucket
 * @next: the next
 * @prev: the one before; of the first its own number
 *
 * Not in the mixed part: taking one out of a list touches two others, and these
 * are so small that they mostly are in the second level cache; mixed parts are not.
 */
struct haslab_link {
	u32 next;
	u32 prev;
};

/**
 * union haslab_links - places of the mixed slots of a dir
 * @gone: when there is none any more: what lockless readers may still look at
 * @link: of each slot
 */
union haslab_links {
	struct {
		struct rcu_head rcu;
		struct haslab_mixed *mixed;
	} gone;
	DECLARE_FLEX_ARRAY(struct haslab_link, link);
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
 * struct haslab_span - an extent that lies in more than one slot or block
 * @node: in haslab.spans
 * @start: first block
 * @len: number of blocks
 */
struct haslab_span {
	struct rb_node node;
	u64 start;
	u64 len;
};

/* ---- locks (slab.c) ---- */

void haslab_lock_all(struct haslab *s) __acquires(&s->lock);
void haslab_unlock_all(struct haslab *s) __releases(&s->lock);
void haslab_lock_waited(struct haslab *s, struct haslab_group *g);

/*
 * A spin lock also holds off the end of a grace period, on PREEMPT_RT, too (see
 * kernel/locking/spinlock_rt.c): a slab or table found under it stays until the unlock.
 */
static inline void haslab_lock_group(struct haslab *s, struct haslab_group *g)
	__acquires(&g->lock)
{
	spin_lock(&g->lock);
	/* pairs with haslab_unlock_all() */
	if (unlikely(smp_load_acquire(&s->exclusive)))
		haslab_lock_waited(s, g);
}

static inline void haslab_unlock_group(struct haslab_group *g)
	__releases(&g->lock)
{
	spin_unlock(&g->lock);
}

/* Whether this task has shut out all groups; another task may be doing so. */
static inline bool haslab_has_all(const struct haslab *s)
{
	return READ_ONCE(s->exclusive) == current;
}

/* All groups are shut out by this task. */
static inline void haslab_assert_all(const struct haslab *s)
{
	lockdep_assert(haslab_has_all(s));
}

/* The caller may change what belongs to @g. */
static inline void haslab_assert_group(const struct haslab *s, const struct haslab_group *g)
{
	lockdep_assert(lockdep_is_held(&g->lock) || haslab_has_all(s));
}

/* Where a CPU goes first. */
static inline struct haslab_group *haslab_own_group(const struct haslab *s)
{
	unsigned int cpu = raw_smp_processor_id();

	/* a division takes its time */
	return &s->groups[likely(cpu < s->nr_groups) ? cpu : cpu % s->nr_groups];
}

static inline u64 dir_blocks(const struct haslab *s)
{
	return 1ULL << (s->slot_shift + DIR_SHIFT);
}

/* There is neither a slab nor a mixed part in it. */
static inline bool dir_is_gap(const struct haslab_dir *dir)
{
	return !dir->nr_slabs && !dir->mixed;
}

static inline u64 slab_end(const struct haslab_slab *slab)
{
	return slab->start + slab->nr_blocks;
}

static inline u64 object_start(const struct haslab *s, const struct haslab_slab *slab, u32 i)
{
	return slab->start + (u64)i * s->classes[slab->class].blocks;
}

/* See haslab_object_at(). */
static inline u32 object_of(const struct haslab *s, const struct haslab_slab *slab, u64 block)
{
	return (block - slab->start) * s->inverse[slab->class] >> 32;
}

/* Whether a range is just one block of the buddy. */
static inline bool is_block(const struct haslab *s, u64 start, u64 len)
{
	return len >= unit_blocks(s) && is_power_of_2(len) && IS_ALIGNED(start, len);
}

/* What the memory allocator gave for it. */
static inline long slab_bytes(const struct haslab_slab *slab)
{
	return ksize(slab) + ksize(slab->live);
}

/* ---- the map (slab/map.c) ---- */

static inline u64 slot_start(const struct haslab *s, u32 slot)
{
	return (u64)slot << s->slot_shift;
}

/* The slot after the last one of a dir. */
static inline u32 dir_slots_end(const struct haslab *s, u64 dir)
{
	return min_t(u64, (dir + 1) << DIR_SHIFT,
		     DIV_ROUND_UP_ULL(s->cfg.nr_blocks, slot_blocks(s)));
}

/* Where the mixed part of a slot would be, or NULL. */
static inline struct haslab_mixed *mixed_place(const struct haslab *s, u32 slot)
{
	struct haslab_dir *dir = &rcu_dereference_raw(s->dirs)[slot / DIR_SLOTS];
	struct haslab_mixed *mixed = rcu_dereference_raw(dir->mixed);

	return mixed ? &mixed[slot % DIR_SLOTS] : NULL;
}

/*
 * The mixed part of a slot, or NULL. Under RCU; the answer is only sure to last with
 * the lock of the group that it is found to belong to.
 */
static inline struct haslab_mixed *mixed_slot(const struct haslab *s, u32 slot)
{
	struct haslab_mixed *m = mixed_place(s, slot);

	return m && READ_ONCE(m->units) ? m : NULL;
}

/* The mixed part of a slot that is known to have one. */
static inline struct haslab_mixed *mixed_of(const struct haslab *s, u32 slot)
{
	return &s->dirs[slot / DIR_SLOTS].mixed[slot % DIR_SLOTS];
}

/* Its place in the index. */
static inline struct haslab_link *slot_link(const struct haslab *s, u32 slot)
{
	return &s->dirs[slot / DIR_SLOTS].links->link[slot % DIR_SLOTS];
}

/* Whether a block of its slot belongs to a mixed part. As mixed_slot(). */
static inline bool mixed_has(const struct haslab *s, const struct haslab_mixed *m, u64 block)
{
	return READ_ONCE(m->units) >> slot_unit(s, block) & 1;
}

/* The mixed part that a block belongs to, or NULL. As mixed_slot(). */
static inline struct haslab_mixed *mixed_at(const struct haslab *s, u64 block)
{
	struct haslab_mixed *m = mixed_place(s, slot_of(s, block));

	return m && mixed_has(s, m, block) ? m : NULL;
}

/* Something around @block was taken or freed. Several groups may say so at once. */
static inline void map_changed(struct haslab *s, u64 block)
{
	struct haslab_dir *dir = map_dir(s, block);

	/* no store without need: the cache line is shared by all CPUs that use the dir */
	if (READ_ONCE(dir->summed))
		WRITE_ONCE(dir->summed, false);
}

static inline struct haslab_group *slab_group(const struct haslab *s,
					      const struct haslab_slab *slab)
{
	return &s->groups[slab->group];
}

static inline struct haslab_group *mixed_group(const struct haslab *s,
					       const struct haslab_mixed *m)
{
	return &s->groups[READ_ONCE(m->runs.owner)];
}

/*
 * Whether a mixed part that was found in the map is of @g, of which the caller has the
 * lock. Then it stays: only under that lock it can become @g's, or cease to be. Who found
 * it before he had the lock asks mixed_has() first: in a table that the map has no more
 * nothing has any units.
 */
static inline bool mixed_is_of(const struct haslab *s, const struct haslab_mixed *m,
			       const struct haslab_group *g)
{
	/* whose it is comes after that it is there; pairs with map_mixed() */
	smp_rmb();
	return mixed_group(s, m) == g;
}

int __must_check haslab_map_slab(struct haslab *s, struct haslab_slab *slab, struct hamem_op *op);
void haslab_map_forget(struct haslab *s, struct haslab_slab *slab);
int __must_check haslab_map_mixed(struct haslab *s, struct haslab_group *g, u64 block, u64 units,
				  struct hamem_op *op);
void haslab_map_keep(struct haslab *s, u64 block, u64 units);
int __must_check haslab_map_grow(struct haslab *s, u64 nr_blocks, struct hamem_op *op,
				 void **old);

int __must_check haslab_buddy_alloc(struct haslab *s, unsigned int order, struct hamem_op *op,
				    u64 *start);
void haslab_buddy_free(struct haslab *s, u64 start, unsigned int order);
int __must_check haslab_buddy_take(struct haslab *s, u64 start, u64 len, struct hamem_op *op);
void haslab_buddy_put(struct haslab *s, u64 start, u64 len);
int __must_check haslab_buddy_fit(struct haslab *s, int min_order, int max_order,
				  struct hamem_op *op, u64 *start);
int __must_check haslab_buddy_some(struct haslab *s, int order, int min_order,
				   struct hamem_op *op, u64 *start);

/* ---- mixed slots (slab/mixed.c) ---- */

/* The run that a block of a mixed slot lies in; positions are of the device. */
static inline u64 run_start(const struct haslab *s, u64 block, const struct haruns_run *run)
{
	return round_down(block, slot_blocks(s)) + run->start;
}

static inline struct haruns_run mixed_run(const struct haslab *s, const struct haslab_mixed *m,
					  u64 block)
{
	return haruns_at(&m->runs, block & (slot_blocks(s) - 1));
}

/* The mixed slot in which the extent of @m that ends with @block goes on, or NULL. */
static inline struct haslab_mixed *haslab_continuation(const struct haslab *s,
						       const struct haslab_mixed *m, u64 block)
{
	if (likely(!(m->runs.tag & MIXED_GOES_ON)) || !IS_ALIGNED(block + 1, slot_blocks(s)))
		return NULL;
	return mixed_slot(s, slot_of(s, block + 1));
}

/*
 * The bucket of slots whose longest free run is @len. Without a branch: the CPU could
 * only guess.
 */
static inline u32 haslab_bucket_of(u32 len)
{
	unsigned int shift = ilog2(len | 1U << HASLAB_BUCKET_SHIFT) - HASLAB_BUCKET_SHIFT;

	return (shift << HASLAB_BUCKET_SHIFT) + (len >> shift);
}

void haslab_mixed_init(struct haslab_group *g);
int __must_check haslab_mixed_add(struct haslab *s, struct haslab_group *g, u64 start,
				  u32 nr_blocks, u32 nr_runs, struct hamem_op *op);
void haslab_mixed_forget(struct haslab *s, u32 slot);
void haslab_mixed_settle(struct haslab *s, u32 slot);
int __must_check haslab_mixed_set(struct haslab *s, u64 start, u32 len,
				  enum haruns_state state, struct hamem_op *op);
void haslab_mixed_fill(struct haslab *s, u64 start, const unsigned long *live, u32 nr,
		       u32 blocks);
void haslab_mixed_clear(struct haslab *s, u64 start);
int __must_check haslab_mixed_fit(struct haslab *s, struct haslab_group *g, u32 len, u64 align,
				  struct hamem_op *op, u64 *start);
int __must_check haslab_mixed_alloc(struct haslab *s, struct haslab_group *g, u32 len, u64 align,
				    struct hamem_op *op, u64 *start);
int haslab_mixed_free(struct haslab *s, struct haslab_mixed *m, u64 start, u64 len,
		      enum hybrid_alloc_reason *reason);
int haslab_mixed_retire(struct haslab *s, struct haslab_mixed *m, u64 start, u64 len,
			enum hybrid_alloc_reason *reason);
int __must_check haslab_mixed_prepare_grow(struct haslab *s, u64 nr_blocks, struct hamem_op *op);
void haslab_mixed_grow(struct haslab *s, u64 from, u64 nr_blocks);
int haslab_mixed_bucket(const struct haslab_mixed *m);

/* ---- slabs of equal objects (objects.c) ---- */

void haslab_slab_forget(struct haslab *s, struct haslab_slab *slab);
void haslab_object_put(struct haslab *s, struct haslab_slab *slab, u32 i);
int haslab_object_retire(struct haslab *s, struct haslab_slab *slab, u64 start, u64 len,
			 u32 *index, enum hybrid_alloc_reason *reason);
void haslab_objects_hold(struct haslab *s, struct haslab_slab *slab, u32 first, u32 end);
void haslab_objects_unhold(struct haslab *s, struct haslab_slab *slab, u32 first, u32 end);
int __must_check haslab_convert(struct haslab *s, struct haslab_slab *slab, struct hamem_op *op);

/* ---- what is free by address, and passes over the device (walk.c) ---- */

u64 haslab_gap_end(struct haslab *s, u64 pos, u64 end);
bool haslab_stretch(struct haslab *s, u64 pos, u64 *end);
bool haslab_next_run(struct haslab *s, u64 pos, u64 limit, u64 enough, u64 *start, u64 *len);
void haslab_sum_append(struct haslab_sum *sum, const struct haslab_sum *next);
struct haslab_sum haslab_dir_sum(struct haslab *s, u64 start);

/* The whole pass is one hold. */
#define HASLAB_WALK_WHOLE	BIT(0)
/* It ends early when the caller is killed or the device is detached. */
#define HASLAB_WALK_KILLABLE	BIT(1)

/**
 * struct haslab_walk - a pass over the blocks of a device, by address
 * @s: the slab allocator
 * @pos: the next block to look at; the caller moves it on
 * @limit: where the pass ends, unless the end of the device comes first
 * @end: where the present hold of all groups ends; 0: they are not held
 * @flags: HASLAB_WALK_...
 * @ret: why it ended early, or 0
 */
struct haslab_walk {
	struct haslab *s;
	u64 pos;
	u64 limit;
	u64 end;
	unsigned int flags;
	int ret;
};

void haslab_walk_start(struct haslab_walk *w, struct haslab *s, u64 pos, u64 limit,
		       unsigned int flags);
bool haslab_walk_next(struct haslab_walk *w);
int haslab_walk_end(struct haslab_walk *w);

/* ---- extents that are made of pieces (span.c) ---- */

struct haslab_span *haslab_span_find(struct haslab *s, u64 block);
void haslab_pieces_put(struct haslab *s, u64 pos, u64 end);
int __must_check haslab_extent_take(struct haslab *s, u64 start, u64 len, struct hamem_op *op);
int haslab_span_retire(struct haslab *s, u64 start, u64 len, enum hybrid_alloc_reason *reason);

/* ---- searches (search.c) ---- */

bool haslab_best_run(struct haslab *s, u64 len, u64 align, u64 *found);

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
