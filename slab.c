// SPDX-License-Identifier: GPL-2.0
/*
 * The slab layer: all space of a device that is only partly used.
 *
 * It takes power-of-two blocks from the buddy and cuts them up, in two ways:
 *
 *   slabs of equal objects   for one common size (haslab_class). Two bits an object: free, and
 *	live. An object that is neither is CACHED: it is in a pool. Taking and giving back is a bit
 *	operation, many at a time for the pools. The live bit records the ownership: a free into a
 *	pool clears it atomically, without a lock (slab/objects.c).
 *   mixed slots              for everything else: runs of any length, by best fit (slab/mixed.c).
 *
 * Whatever is empty goes back to the buddy at once, but for mixed slots (slab/cross.c).
 *
 * This file has the policy: where an extent comes from, how it is freed, and the life of the
 * layer. The files below it, in the order in which they use each other:
 *
 *   slab/runs.c     the runs of one slot
 *   slab/lock.c     locks, sums over the groups
 *   slab/map.c      from an address to what lies there; the buddy, in blocks
 *   slab/index.c    the free runs of mixed slots, by length
 *   slab/cross.c    free runs that go on in the next slot
 *   slab/mixed.c    mixed slots
 *   slab/room.c     how large new slabs are, and where they lie
 *   slab/objects.c  slabs of equal objects
 *   slab/walk.c     free space by address; the iterator over the device
 *   slab/sums.c     sums of what is free, for searches and statistics
 *   slab/span.c     extents that lie in several places
 *   slab/claim.c    extents at given places
 *   slab/sweep.c    many extents in free slots, for the next
 *   slab/load.c     many extents at given places
 *   slab/append.c   extents right behind others
 *   slab/hold.c     free blocks that are kept from use
 *   slab/stripe.c   the search at alignments that are no power of two
 *   slab/search.c   the search for any free run that fits
 *   slab/report.c   MAP, STAT, debugfs
 *   slab/part.c     parts of extents: cut, split, extend
 *   slab/check.c    the invariants
 *
 * Metadata is bounded in any state: a whole slot, as a slab of single blocks
 * or as the bitmap of a mixed one, has 2 bits for each block and little else, 74 KiB per GiB with
 * the map. Slabs smaller than a slot cost up to twice as much, so all of them together are
 * bounded: see haslab_too_many_small(). An extent that lies in one slot is recorded there and has
 * no record of its own.
 *
 * Where an extent comes from
 * --------------------------
 *   a common size up to slab_max    slabs of equal objects, if enough of it is in use (room.c)
 *   a power of two of units         a whole buddy block, if a pool has that size, or if it is
 *                                   longer than a slot, as long as little is in mixed slots
 *   else, up to 16 slots            the run of a mixed slot, or of several beside each other, in
 *                                   which it fits best
 *   huge, or aligned to more        a free run around free units, across all borders: the best
 *                                   of those that are looked at
 *
 * When the first choice is full, the others are tried: mixed slots serve common sizes, too. When
 * all of that fails, haslab_search() finds a free run across the borders of slabs and blocks and
 * takes it as a claim does: haslab_extent_take() can make an extent of any free blocks. A slab in
 * the way is dissolved.
 *
 * A mixed slot records an extent by itself, and so do several in a row that belong to one group: a
 * chain (slab/cross.c). Another extent that lies in several places is recorded as a span; its
 * pieces are SPECIAL in their slots, and its whole units are not free in the buddy.
 *
 * The map
 * -------
 * The address space is divided into slots of 16 MiB; 64 of them are a dir. Two steps lead from an
 * address to what lies there: dirs[], and in a dir, for each slot, the slab that fills it, or a
 * table of the slabs in its units, and its mixed part, which is one cache line and is found
 * without a pointer of its own.
 *
 * Each dir also has the lengths of its first, longest and last free run (haslab_sum; the idea is
 * that of the Go runtime's page allocator), for searches that have to look at everything, and for
 * statistics. So has each quad, which is four slots, and each region of 256 dirs, and they know how
 * long an extent of some alignment can be; of the device the longest free run is known, and of a
 * slab what a dir has, in objects. They are made on demand and dropped at each change, which is
 * three stores at most (slab/sums.c).
 *
 * Groups
 * ------
 * Slabs and mixed slots belong to groups, one for each CPU or fewer, and a CPU allocates in its
 * own. So allocations and frees of different CPUs do not meet. A group is no interval of
 * addresses: it takes blocks from the buddy wherever they are, and gives them back, so no group
 * has to be balanced. When a group has nothing and the buddy has nothing, the other groups are
 * asked.
 *
 * Locks
 * -----
 * In this order; all are taken in process context only, and no memory is waited for under them
 * (mem.h). Freeing never allocates.
 *
 *   1. haslab.lock
 *   2. haslab_group.lock
 *   3. haslab.space_lock
 *
 * haslab.lock is held to shut out all groups (haslab_lock_all()): for spans, given ranges,
 * searches, reports, and whatever concerns several groups. The holder sets haslab.holder, then
 * takes and drops the lock of each group once. A task that takes a group's lock later sees that,
 * drops the lock, and waits for one turn of haslab.lock, in which it takes the group's lock; the
 * next task that shuts out all groups gives way until then. A task that walks over the device or
 * searches it also rests, in all for as long as others waited in its holds: they have about half
 * of the time. So not many locks are held at a time, and an operation in a group pays one load.
 * haslab.lock does not protect the live bits, nor what is CACHED.
 *
 * haslab_group.lock protects the group's slabs, but for their live bits, and its mixed parts:
 * runs, marks, tags, the lists of both, the remembered holes, the slots that are kept, and the
 * counters. No task holds
 * two. The owner of a slot is found under RCU, before the lock is taken, and checked again with
 * the lock (mixed_is_of()). Holding it keeps slabs and tables of the map from being freed: a spin
 * lock holds off a grace period.
 *
 * haslab.space_lock protects what the groups share: the buddy, and the map as to which slabs and
 * mixed parts exist, haslab.small_bytes and units_freed. It is taken under one of the other two,
 * for the shortest time. It does not protect what is in a slab or in a mixed part.
 *
 * Without a lock:
 *
 *   - haslab_own() and haslab_disown() set and clear live bits atomically. A caller of
 *     haslab_disown() finds the slab under RCU; slabs and the pointers to them are freed after a
 *     grace period. The task that clears a live bit makes the object CACHED, and a CACHED object
 *     pins its slab.
 *   - A slab that is dissolved (haslab_dissolve()) loses its live bits by atomic exchanges, so a
 *     free into a pool comes either before that or not at all. What is CACHED then stays one of its
 *     objects; where too many slabs are dissolved already, the slow mode of the pool layer has to
 *     empty the pools first.
 */
#include <linux/cpumask.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "slab/internal.h"

/* Groups: one for each CPU, but none has less than 4 GiB (2^20 blocks). */
#define MIN_GROUP_SHIFT	20
#define MAX_GROUPS	64

/* ---- alloc ---- */

/* Whether a mixed slot can serve it. */
bool haslab_is_mixed_size(const struct haslab *s, u64 len, u64 align)
{
	return len <= slot_blocks(s) && align <= slot_blocks(s);
}

/* A whole buddy block. Return: 0; -ENOSPC; -ENOMEM. */
static noinline int haslab_block_alloc(struct haslab *s, u64 len, struct hamem_op *op, u64 *start)
{
	unsigned int order = ilog2(len) - s->cfg.unit_shift;
	int ret = haslab_buddy_alloc(s, order, op, start);

	if (!ret)
		habuddy_own(&s->buddy, *start >> s->cfg.unit_shift, order);
	return ret;
}

/* Whether several mixed slots of a group can serve it. */
static bool haslab_is_chain(const struct haslab *s, u64 len, u64 align)
{
	return len > slot_blocks(s) && !haslab_is_huge(s, len) && align == 1;
}

/* In a group, from a whole buddy block or mixed slots. -EBUSY: it takes all groups. */
static __always_inline int haslab_group_alloc(struct haslab *s, struct haslab_group *g, u64 len,
					      u64 align, struct hamem_op *op, u64 *start)
{
	int ret;

	/*
	 * Few lengths are a power of two, so the branch is well predicted. A block of the buddy is
	 * for the sizes that pools have, and for what is longer than a slot.
	 */
	if (is_power_of_2(len) && len >= unit_blocks(s) && align <= len &&
	    (haslab_class_of(s, len) >= 0 || len > slot_blocks(s)) &&
	    (align > 1 || haslab_is_huge(s, len) || haslab_has_blocks(s, g))) {
		ret = haslab_block_alloc(s, len, op, start);
		if (ret != -ENOSPC)
			return ret;
	}
	if (likely(haslab_is_mixed_size(s, len, align)))
		return haslab_mixed_alloc(s, g, len, align, op, start);
	return haslab_is_chain(s, len, align) ? haslab_chain_alloc(s, g, len, op, start) : -EBUSY;
}

/*
 * Whether an extent that takes all groups is longer than what is free, or than the longest free
 * run. If blocks are on their way between a group and the buddy, so that they are missing in the
 * sum, a search tells.
 */
static bool haslab_is_too_long(struct haslab *s, u64 len, u64 align)
{
	return !haslab_is_mixed_size(s, len, align) &&
	       (haslab_free_blocks(s) < len || haslab_peek_longest(s) < len);
}

/* With all groups shut out, in a run across all borders. */
static int haslab_best_alone(struct haslab *s, u64 len, u64 align, struct hamem_op *op, u64 *start)
{
	if (haslab_is_huge(s, len) && !haslab_empty_put_all(s))
		return -ENOSPC;
	if (!haslab_best_run(s, len, align, start))
		return -ENOSPC;
	return haslab_extent_take(s, *start, len, op);
}

/* With all groups shut out. */
static int haslab_alloc_alone(struct haslab *s, u64 len, u64 align, struct hamem_op *op,
			      u64 *start)
{
	if (haslab_is_mixed_size(s, len, align))
		return haslab_mixed_alloc(s, haslab_own_group(s), len, align, op, start);
	return haslab_best_alone(s, len, align, op, start);
}

/* In the mixed slots that the other groups have. */
static int haslab_alloc_others(struct haslab *s, struct haslab_group *own, u64 len, u64 align,
			       struct hamem_op *op, u64 *start)
{
	struct haslab_group *g;
	int ret = -ENOSPC;

	for (g = s->groups; ret == -ENOSPC && g < s->groups + s->nr_groups; g++) {
		if (g == own)
			continue;
		do {
			haslab_lock_group(s, g);
			ret = len > slot_blocks(s) ? haslab_chain_fit(s, g, len, op, start) :
				haslab_mixed_fit(s, g, len, align, op, start);
			haslab_unlock_group(g);
		} while (hamem_again(op, ret));
	}
	return ret;
}

/* haslab_alloc(), if the first try in the own group has ended with @ret. */
static noinline int haslab_alloc_more(struct haslab *s, struct haslab_group *g, u64 len, u64 align,
				      struct hamem_op *op, u64 *start, int ret)
{
	while (hamem_again(op, ret)) {
		haslab_lock_group(s, g);
		ret = haslab_group_alloc(s, g, len, align, op, start);
		haslab_unlock_group(g);
	}
	if ((ret == -ENOSPC || ret == -EBUSY) && haslab_is_too_long(s, len, align))
		return -ENOSPC;
	if (ret == -ENOSPC && haslab_is_chain(s, len, align)) {
		ret = haslab_alloc_others(s, g, len, align, op, start);
		ret = ret == -ENOSPC ? -EBUSY : ret;
	}
	if (ret == -EBUSY && haslab_is_huge(s, len))
		haslab_drain(s);
	if (ret == -EBUSY)
		do {
			haslab_lock_all(s);
			ret = haslab_alloc_alone(s, len, align, op, start);
			haslab_unlock_all(s);
		} while (hamem_again(op, ret));
	if (ret == -ENOSPC && haslab_is_mixed_size(s, len, align))
		ret = haslab_alloc_others(s, g, len, align, op, start);
	return ret;
}

/**
 * haslab_alloc - allocate an extent of any size
 * @s: the slab allocator
 * @len: number of blocks
 * @align: of its start, a power of two, in blocks
 * @gfp: how to wait for memory
 * @start: out: its first block
 * Context: process context; may sleep if @gfp lets it.
 * Return: 0; -ENOSPC nothing was found in the usual places, but haslab_search() may find
 * something; -ENOMEM.
 */
int haslab_alloc(struct haslab *s, u64 len, u64 align, gfp_t gfp, u64 *start)
{
	struct haslab_group *g = haslab_own_group(s);
	struct hamem_op op = HAMEM_OP(gfp);
	int ret;

	haslab_lock_group(s, g);
	ret = haslab_group_alloc(s, g, len, align, &op, start);
	haslab_unlock_group(g);
	return likely(!ret) ? 0 : haslab_alloc_more(s, g, len, align, &op, start, ret);
}

/* Alone, where a free block or a long run has room for it. */
static int haslab_alloc_multiple_alone(struct haslab *s, u64 len, u64 align, struct hamem_op *op,
				       u64 *start)
{
	int ret;

	do {
		haslab_lock_all(s);
		ret = haslab_best_alone(s, len, align, op, start);
		haslab_unlock_all(s);
	} while (hamem_again(op, ret));
	return ret;
}

/* In a mixed slot of a group. */
static int haslab_alloc_multiple_in(struct haslab *s, struct haslab_group *g, u64 len, u64 align,
				    struct hamem_op *op, u64 *start)
{
	int ret;

	do {
		haslab_lock_group(s, g);
		ret = haslab_mixed_fit_multiple(s, g, len, align, op, start);
		haslab_unlock_group(g);
	} while (hamem_again(op, ret));
	return ret;
}

/**
 * haslab_alloc_multiple - allocate at a multiple of something that is no power of two
 * @s: the slab allocator
 * @len: number of blocks
 * @align: of its start, in blocks
 * @gfp: how to wait for memory
 * @start: out: its first block
 *
 * As haslab_alloc(), but tries only free runs with room for it wherever they begin, and some that
 * are long.
 */
int haslab_alloc_multiple(struct haslab *s, u64 len, u64 align, gfp_t gfp, u64 *start)
{
	bool mixed = len <= slot_blocks(s) && align <= slot_blocks(s) &&
		     len + align - 1 <= slot_blocks(s);
	struct haslab_group *own = haslab_own_group(s), *g;
	struct hamem_op op = HAMEM_OP(gfp);
	int ret = -ENOSPC;

	if (mixed)
		ret = haslab_alloc_multiple_in(s, own, len, align, &op, start);
	if (haslab_is_huge(s, len) && haslab_free_blocks(s) >= len)
		haslab_drain(s);
	if (ret == -ENOSPC && haslab_free_blocks(s) >= len)
		ret = haslab_alloc_multiple_alone(s, len, align, &op, start);
	for (g = s->groups; mixed && ret == -ENOSPC && g < s->groups + s->nr_groups; g++)
		if (g != own)
			ret = haslab_alloc_multiple_in(s, g, len, align, &op, start);
	return ret;
}

/* ---- free: retire, and reuse ---- */

/* A whole buddy block, or a span. -EBUSY: it takes all groups to know. */
static int haslab_block_free(struct haslab *s, u64 start, u64 len, bool reuse,
			     enum hybrid_alloc_reason *reason)
{
	u64 unit = start >> s->cfg.unit_shift, owned;
	unsigned int order;

	if (is_block(s, start, len)) {
		order = ilog2(len) - s->cfg.unit_shift;
		if (habuddy_disown(&s->buddy, unit, order)) {
			if (reuse)
				haslab_buddy_free(s, start, order);
			return 0;
		}
	}
	if (!haslab_has_all(s))
		return -EBUSY;
	if (habuddy_find_owned(&s->buddy, unit, &owned, &order))
		return haslab_refuse_live(reason, start, owned << s->cfg.unit_shift);
	return -EBUSY;
}

/* Prefetch the slot's entry in the index while mixed_at() waits for the mixed part. */
static inline void haslab_prefetch_link(const struct haslab *s, u32 slot)
{
	const struct haslab_dir *dir = &rcu_dereference_raw(s->dirs)[slot / DIR_SLOTS];
	const union haslab_links *links = READ_ONCE(dir->links);

	/* a prefetch of freed memory does no harm */
	if (links)
		prefetchw(&links->link[entry_of(slot % DIR_SLOTS)]);
}

/* With the lock of @g, or with all groups shut out if that is NULL. -EBUSY: that is not enough. */
static noinline int haslab_free_locked(struct haslab *s, const struct haslab_group *g, u64 start,
				       u64 len, bool reuse, enum hybrid_alloc_reason *reason)
{
	struct haslab_mixed *m = mixed_at(s, start);
	struct haslab_slab *slab;
	u32 i;
	int ret;

	if (m && g && !mixed_is_of(s, m, g))
		return -EBUSY;
	ret = !m ? -EBUSY : reuse ? haslab_mixed_free(s, m, start, len, reason) :
				    haslab_mixed_retire(s, m, start, len, reason);
	if (ret != -EBUSY)
		return ret;
	slab = m ? haslab_dissolved_at(s, start) : haslab_lookup(s, start);
	if (!slab)
		return m ? ret : haslab_block_free(s, start, len, reuse, reason);
	if (g && g != slab_group(s, slab))
		return -EBUSY;
	ret = haslab_object_retire(s, slab, start, len, &i, reason);
	if (!ret && reuse)
		haslab_object_put(s, slab, i);
	return ret;
}

static noinline int haslab_free_alone(struct haslab *s, u64 start, u64 len, bool reuse,
				      enum hybrid_alloc_reason *reason)
{
	int ret;

	haslab_lock_all(s);
	ret = haslab_free_locked(s, NULL, start, len, reuse, reason);
	if (ret == -EBUSY) {
		ret = haslab_span_retire(s, start, len, reason);
		if (!ret && reuse)
			haslab_pieces_put(s, start, start + len);
	}
	haslab_unlock_all(s);
	return ret;
}

/* Retire an extent and, with @reuse, make its blocks free in the same hold of the lock. */
static __always_inline int haslab_free_in_group(struct haslab *s, u64 start, u64 len,
						const bool reuse,
						enum hybrid_alloc_reason *reason)
{
	u32 slot = slot_of(s, start), unit = slot_unit(s, start);
	struct haslab_group *g;
	struct haslab_mixed *m;
	int ret;

	rcu_read_lock();
	/*
	 * The end of the device, which the caller has read, comes before the tables. Pairs with
	 * smp_mb() in haslab_grow_locked().
	 */
	smp_rmb();
	haslab_prefetch_link(s, slot);
	m = mixed_place(s, slot);
	if (m && !mixed_has_unit(m, unit))
		m = NULL;
	g = haslab_group_at(s, m, start);
	haslab_lock_group(s, g);
	/* a mixed part that was given back, or has moved, has no units here any more */
	if (likely(m) && likely(mixed_has_unit(m, unit)) && likely(mixed_is_of(s, m, g)))
		ret = reuse ? haslab_mixed_free(s, m, start, len, reason) :
			      haslab_mixed_retire(s, m, start, len, reason);
	else
		ret = haslab_free_locked(s, g, start, len, reuse, reason);
	haslab_unlock_group(g);
	rcu_read_unlock();
	return ret == -EBUSY ? haslab_free_alone(s, start, len, reuse, reason) : ret;
}

/**
 * haslab_free - free an extent of any size, past the pools
 * @s: the slab allocator
 * @start: first block, inside the device
 * @len: number of blocks
 * @reason: out: why not
 *
 * haslab_retire() and haslab_reuse() in one. Everything is checked. Never needs memory.
 * Context: process context.
 * Return: 0; -ENOENT nothing is allocated there; -EINVAL the extent there has another start or
 * length.
 */
int haslab_free(struct haslab *s, u64 start, u64 len, enum hybrid_alloc_reason *reason)
{
	return haslab_free_in_group(s, start, len, true, reason);
}

/**
 * haslab_retire - end the ownership of an extent
 * @s: the slab allocator
 * @start: first block, inside the device
 * @len: number of blocks
 * @reason: out: why not
 *
 * The first half of a free: LIVE becomes HELD, which MAP shows in a mixed part, and as CACHED
 * elsewhere. The blocks cannot be allocated, claimed or freed again until haslab_reuse(). A search
 * in the slow mode may have to wait for that. Everything is checked. Never needs memory.
 * Context: process context. Return: as haslab_free().
 */
int haslab_retire(struct haslab *s, u64 start, u64 len, enum hybrid_alloc_reason *reason)
{
	return haslab_free_in_group(s, start, len, false, reason);
}

/* ---- life ---- */

static void haslab_init_classes(struct haslab *s)
{
	int i;

	for (i = 0; i < HASLAB_NR_CLASSES; i++) {
		struct haslab_class *c = &s->classes[i];

		c->blocks = i < 16 ? i + 1 : 1U << (i - 11);
		s->inverse[i] = DIV_ROUND_UP_ULL(1ULL << 32, c->blocks);
		if (c->blocks <= min_t(u64, s->cfg.slab_max, slot_blocks(s))) {
			c->kind = HASLAB_FROM_SLAB;
			s->nr_from_slabs = i + 1;
			s->max_object = c->blocks;
		} else if (c->blocks >= unit_blocks(s) && is_power_of_2(c->blocks) &&
			   c->blocks >> s->cfg.unit_shift < HABUDDY_FANOUT) {
			c->kind = HASLAB_FROM_BUDDY;
			c->order = ilog2(c->blocks) - s->cfg.unit_shift;
			c->mask = c->blocks - 1;
		} else {
			c->kind = HASLAB_FROM_MIXED;
		}
	}
}

static u64 haslab_nr_dirs_for(const struct haslab *s, u64 nr_blocks)
{
	return DIV_ROUND_UP_ULL(nr_blocks, dir_blocks(s));
}

/* Slots have 32-bit numbers. */
static bool haslab_too_large(const struct haslab *s, u64 nr_blocks)
{
	return (nr_blocks - 1) >> s->slot_shift >= NO_ENTRY / SLOT_ENTRIES;
}

/*
 * The lasting units: no buddy has them, or not as a whole. What lies before the managed range is
 * never free.
 */
static int haslab_init_lasting(struct haslab *s, struct hamem_op *op)
{
	u64 first = s->cfg.first_block, end = s->cfg.nr_blocks;
	u64 head = round_up(first, unit_blocks(s)), tail = round_down(end, unit_blocks(s));
	struct haslab_group *g = s->groups;
	/* taken already by a try that then lacked memory */
	bool has_head = !head || habuddy_free_order(&s->buddy, 0) < 0;
	int ret = has_head ? 0 : haslab_buddy_take(s, 0, head, op);

	if (!ret && first < head && !mixed_at(s, first))
		ret = haslab_mixed_add(s, g, first, head - first, 0, op);
	if (!ret && tail < end && !mixed_at(s, tail))
		ret = haslab_mixed_add(s, g, tail, end - tail, 0, op);
	return ret;
}

static int haslab_init_groups(struct haslab *s)
{
	u64 nr = s->cfg.nr_groups;
	unsigned int i;
	int class;

	if (!nr)
		nr = min_t(u64, num_possible_cpus(), s->cfg.nr_blocks >> MIN_GROUP_SHIFT);
	s->nr_groups = clamp_t(u64, nr, 1, MAX_GROUPS);
	s->groups = kvcalloc(s->nr_groups, sizeof(*s->groups), GFP_KERNEL);
	if (!s->groups)
		return -ENOMEM;
	for (i = 0; i < s->nr_groups; i++) {
		struct haslab_group *g = &s->groups[i];

		spin_lock_init(&g->lock);
		g->nr = i;
		for (class = 0; class < HASLAB_NR_CLASSES; class++)
			INIT_LIST_HEAD(&g->partial[class]);
		g->empty = NO_ENTRY;
		g->home = HASLAB_NO_HOME;
		haslab_index_init(g);
	}
	return 0;
}

/* An array of dirs, of which those from @used on are empty. */
static struct haslab_dir *haslab_new_dirs(u64 nr, u64 used, gfp_t gfp)
{
	/* kvcalloc() warns about a size that no system has */
	struct haslab_dir *dirs = kvcalloc(nr, sizeof(*dirs), gfp | __GFP_NOWARN);
	u64 i;

	for (i = used; dirs && i < nr; i++)
		dirs[i].slabs = haslab_no_slabs;
	return dirs;
}

static u64 haslab_nr_regions_for(u64 nr_dirs)
{
	return DIV_ROUND_UP_ULL(nr_dirs, 1U << HASLAB_REGION_SHIFT);
}

/* What an array of kvcalloc() takes, with what was rounded up. */
static long haslab_array_bytes(const void *array, size_t len)
{
	return is_vmalloc_addr(array) ? PAGE_ALIGN(len) : ksize(array);
}

/* Memory of the arrays for @nr_dirs dirs. */
static long haslab_dirs_bytes(const struct haslab_dir *dirs, const struct haslab_sums *sums,
			      u64 nr_dirs)
{
	return haslab_array_bytes(dirs, nr_dirs * sizeof(*dirs)) +
	       haslab_array_bytes(sums->dirs, nr_dirs * sizeof(*sums->dirs)) +
	       haslab_array_bytes(sums->quads, nr_dirs * DIR_QUADS) +
	       haslab_array_bytes(sums->fits, nr_dirs * sizeof(*sums->fits)) +
	       haslab_array_bytes(sums->tables, nr_dirs * sizeof(*sums->tables)) +
	       haslab_array_bytes(sums->regions,
				  haslab_nr_regions_for(nr_dirs) * sizeof(*sums->regions));
}

static void haslab_free_sums(struct haslab_sums *sums)
{
	kvfree(sums->dirs);
	kvfree(sums->quads);
	kvfree(sums->fits);
	kvfree(sums->tables);
	kvfree(sums->regions);
	*sums = (struct haslab_sums) {};
}

/* Arrays for the sums of so many dirs; none is kept. */
static int haslab_new_sums(struct haslab_sums *sums, u64 nr_dirs, gfp_t gfp)
{
	gfp |= __GFP_NOWARN;
	*sums = (struct haslab_sums) {
		.dirs = kvcalloc(nr_dirs, sizeof(*sums->dirs), gfp),
		.quads = kvcalloc(nr_dirs, DIR_QUADS, gfp),
		.fits = kvcalloc(nr_dirs, sizeof(*sums->fits), gfp),
		/* beside what is longer: kvmalloc() rounds arrays of some MiB up to huge pages */
		.tables = kvcalloc(nr_dirs, sizeof(*sums->tables), gfp),
		.regions = kvcalloc(haslab_nr_regions_for(nr_dirs), sizeof(*sums->regions), gfp),
	};
	if (sums->dirs && sums->quads && sums->fits && sums->tables && sums->regions)
		return 0;
	haslab_free_sums(sums);
	return -ENOMEM;
}

static int haslab_init_dirs(struct haslab *s)
{
	int ret;

	s->nr_dirs = haslab_nr_dirs_for(s, s->cfg.nr_blocks);
	s->map_blocks = s->cfg.nr_blocks;
	s->dirs = haslab_new_dirs(s->nr_dirs, 0, GFP_KERNEL);
	if (!s->dirs)
		return -ENOMEM;
	ret = haslab_new_sums(&s->sums, s->nr_dirs, GFP_KERNEL);
	if (ret)
		return ret;
	atomic_long_add(haslab_dirs_bytes(s->dirs, &s->sums, s->nr_dirs), &s->mem.bytes);
	return 0;
}

static int haslab_init_space(struct haslab *s)
{
	u64 nr_units = s->cfg.nr_blocks >> s->cfg.unit_shift;
	struct hamem_op op = HAMEM_OP(GFP_KERNEL);
	int ret;

	do {
		ret = habuddy_init(&s->buddy, nr_units, &s->mem, &op);
	} while (hamem_again(&op, ret));
	habuddy_set_locks(&s->buddy, &s->space_lock, &s->lock);
	s->buddy.dev = s->cfg.dev;
	s->buddy.byte_shift = s->cfg.unit_shift + s->cfg.byte_shift;
	if (ret)
		return ret;
	do {
		haslab_lock_all(s);
		ret = haslab_init_lasting(s, &op);
		haslab_unlock_all(s);
	} while (hamem_again(&op, ret));
	return ret;
}

/**
 * haslab_init - set up a slab allocator in which all space is free
 * @s: the slab allocator
 * @cfg: its shape
 * Context: may sleep. Return: 0; -EINVAL an impossible shape; -ENOMEM.
 */
int haslab_init(struct haslab *s, const struct haslab_config *cfg)
{
	int ret;

	if (!cfg->nr_blocks || cfg->unit_shift > HASLAB_MAX_SHIFT ||
	    !is_power_of_2(cfg->slab_max) ||
	    round_up(cfg->first_block, 1ULL << cfg->unit_shift) > cfg->nr_blocks)
		return -EINVAL;
	memset(s, 0, sizeof(*s));
	spin_lock_init(&s->lock);
	spin_lock_init(&s->space_lock);
	s->cfg = *cfg;
	s->slot_shift = min_t(u32, HASLAB_MAX_SHIFT, cfg->unit_shift + HASLAB_UNITS_SHIFT);
	if (haslab_too_large(s, cfg->nr_blocks))
		return -EINVAL;
	s->spans = RB_ROOT;
	haslab_init_classes(s);
	ret = haslab_init_groups(s) ?: haslab_init_dirs(s) ?: haslab_init_space(s);
	if (ret)
		haslab_destroy(s);
	return ret;
}

/* All that can fail comes first. @old_table: to be freed after a grace period. */
static int haslab_grow_locked(struct haslab *s, u64 nr_blocks, struct hamem_op *op,
			      void **old_table)
{
	u64 nr_units = nr_blocks >> s->cfg.unit_shift, from = s->buddy.nr_units;
	u64 old = s->cfg.nr_blocks;
	int ret;

	haslab_assert_all(s);
	/* a lasting unit at the old end becomes one of the buddy's, and is in use */
	if (nr_units > from && !IS_ALIGNED(old, unit_blocks(s)))
		from++;
	ret = habuddy_grow_prepare(&s->buddy, nr_units, from, op) ?:
	      haslab_map_grow(s, nr_blocks, op, old_table) ?:
	      haslab_mixed_prepare_grow(s, nr_blocks, op);
	if (ret)
		return ret;
	map_changed(s, old - 1);
	/*
	 * Pairs with smp_rmb() in haslab_free_in_group() and with the exchange in
	 * hapool_mag_take(): a task that sees the new end also sees the new tables and the new
	 * root. (No smp_store_release(): on 32 bits the end is two words.)
	 */
	smp_mb();
	WRITE_ONCE(s->cfg.nr_blocks, nr_blocks);
	habuddy_grow(&s->buddy, nr_units, from);
	WRITE_ONCE(s->units_freed, s->units_freed + 1);
	haslab_mixed_grow(s, old, nr_blocks);
	return 0;
}

/* Make the arrays @dirs and @sums those of the device. Return: the former dirs; @sums: likewise. */
static struct haslab_dir *haslab_swap_dirs(struct haslab *s, struct haslab_dir *dirs,
					   struct haslab_sums *sums, u64 nr_dirs)
{
	struct haslab_dir *old = s->dirs;

	haslab_assert_all(s);
	memcpy(dirs, old, s->nr_dirs * sizeof(*dirs));
	memcpy(sums->tables, s->sums.tables, s->nr_dirs * sizeof(*sums->tables));
	/* pairs with rcu_dereference_raw() in map_dir(): the array is filled when it is seen */
	smp_store_release(&s->dirs, dirs);
	/* changes are under the lock of a group, so none uses the old ones */
	swap(s->sums, *sums);
	atomic_long_add(haslab_dirs_bytes(dirs, &s->sums, nr_dirs) -
			haslab_dirs_bytes(old, sums, s->nr_dirs), &s->mem.bytes);
	WRITE_ONCE(s->nr_dirs, nr_dirs);
	return old;
}

/* More dirs, in new arrays. All sums are forgotten. */
static int haslab_grow_dirs(struct haslab *s, u64 nr_dirs, gfp_t gfp)
{
	struct haslab_dir *dirs, *old;
	struct haslab_sums sums;
	int ret;

	if (nr_dirs <= s->nr_dirs)
		return 0;
	dirs = haslab_new_dirs(nr_dirs, s->nr_dirs, gfp);
	if (!dirs)
		return -ENOMEM;
	ret = haslab_new_sums(&sums, nr_dirs, gfp);
	if (ret) {
		kvfree(dirs);
		return ret;
	}
	haslab_lock_all(s);
	old = haslab_swap_dirs(s, dirs, &sums, nr_dirs);
	haslab_unlock_all(s);
	haslab_free_sums(&sums);
	synchronize_rcu();
	kvfree(old);
	return 0;
}

/**
 * haslab_grow - the device became larger
 * @s: the slab allocator
 * @nr_blocks: its size now
 * @gfp: how to wait for memory
 *
 * No other task may be growing it or searching. Context: may sleep.
 * Return: 0; -EINVAL it would shrink; -ENOMEM, then nothing changed but some metadata that the
 * next try needs.
 */
int haslab_grow(struct haslab *s, u64 nr_blocks, gfp_t gfp)
{
	struct hamem_op op = HAMEM_OP(gfp);
	void *old_table = NULL;
	int ret;

	if (nr_blocks < s->cfg.nr_blocks || haslab_too_large(s, nr_blocks))
		return -EINVAL;
	ret = haslab_grow_dirs(s, haslab_nr_dirs_for(s, nr_blocks), gfp);
	if (ret)
		return ret;
	do {
		haslab_lock_all(s);
		ret = haslab_grow_locked(s, nr_blocks, &op, &old_table);
		haslab_unlock_all(s);
	} while (hamem_again(&op, ret));
	if (old_table)
		synchronize_rcu();
	kfree(old_table);
	return ret;
}

/* Forget everything in a slot. */
static void haslab_slot_forget(struct haslab *s, u32 slot)
{
	u64 pos = slot_start(s, slot), end = min(pos + slot_blocks(s), s->cfg.nr_blocks);
	struct haslab_slab *slab;

	if (mixed_slot(s, slot))
		haslab_mixed_forget(s, slot);
	for (; pos < end; pos += unit_blocks(s)) {
		slab = haslab_lookup(s, pos);
		if (slab)
			haslab_slab_forget(s, slab);
	}
}

/**
 * haslab_destroy - forget everything, live extents too
 * @s: the slab allocator; no task may use it any more
 * Context: may sleep.
 */
void haslab_destroy(struct haslab *s)
{
	struct haslab_span *span, *next;
	u32 slot;
	u64 dir;

	for (dir = 0; s->dirs && dir < s->nr_dirs; dir++) {
		for (slot = dir << DIR_SHIFT; slot < dir_slots_end(s, dir) &&
		     !dir_is_gap(&s->dirs[dir]); slot++)
			haslab_slot_forget(s, slot);
		cond_resched();
	}
	rbtree_postorder_for_each_entry_safe(span, next, &s->spans, node)
		hamem_put(&s->mem, span);
	habuddy_destroy(&s->buddy);
	kvfree(s->dirs);
	haslab_free_sums(&s->sums);
	kvfree(s->groups);
	/* the callbacks of call_rcu() are code of this module */
	rcu_barrier();
}
