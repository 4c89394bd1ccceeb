// SPDX-License-Identifier: GPL-2.0
/*
 * The slab layer: all space of a device that is only partly used.
 *
 * It takes power-of-two blocks from the buddy and cuts them up, in two ways:
 *
 *   slabs of equal objects   for one common size (haslab_class), this file. Two
 *	bits an object: free, and live. An object that is neither is CACHED: it is
 *	in a pool. Taking and giving back is a bit operation, many at a time for
 *	the pools, and the live bit is the ownership mark that is cleared
 *	atomically and without a lock when an extent is freed into a pool.
 *   mixed slots              for everything else: runs of any length, packed as
 *	tightly as we know how (slab/mixed.c).
 *
 * What is empty goes back to the buddy at once.
 *
 * Metadata has a bound, whatever the space is cut into: a whole slot, in a slab of
 * single blocks or as the bitmap of a mixed one, has 2 bits for each block and little
 * else, 74 KiB per GiB with the map. Slabs that are less than a slot cost up to twice
 * that, and so there are only so many of them: see too_many_small(). An extent that
 * lies in one slot is recorded there, never apart.
 *
 * Where an extent comes from
 * --------------------------
 *   a common size up to slab_max    slabs of equal objects
 *   a power of two from a unit up   a block of the buddy, as a whole
 *   else, up to a slot              the mixed slot in which it fits best
 *   larger                          a free run around units that are free, across all
 *                                   borders: the best of those that are looked at
 *
 * When the right place is full, the others are tried: mixed slots serve common
 * sizes too. If all of that fails haslab_search() finds what there is across the
 * borders of slabs and blocks (slab/search.c), and takes it by force:
 * haslab_claim(), which can make an extent out of any free blocks. For that a
 * slab of equal objects is turned into a part of a mixed slot.
 *
 * A mixed slot records an extent by itself. An extent that lies in several
 * places is recorded as a span (haslab_span); its pieces are SPECIAL in their
 * slots, its whole units are simply not free in the buddy.
 *
 * The map
 * -------
 * The address space goes by slots of 16 MiB, and 64 of them are a dir. From an
 * address to what is there in two steps: dirs[]; and in a dir, if there are any,
 * for each slot the slab of equal objects that it is, or a table of those in its
 * units, and its mixed part, one cache line, found without a pointer of its own.
 *
 * Each dir also has the length of the free run that it begins with, of its
 * longest, and of the one that it ends with (haslab_sum; the idea is that of the
 * Go runtime's page allocator), for searches that have to look at everything, and
 * for statistics. They are made when they are asked for and dropped at each
 * change, which is a store.
 *
 * Groups
 * ------
 * Slabs and mixed slots belong to groups, one for each CPU or fewer, and a CPU
 * allocates in its own: so allocations and frees of different CPUs do not meet.
 * What a group holds is not an interval of addresses: it takes blocks from the
 * buddy wherever they are, and returns them, so that no group has to be balanced.
 * When it has nothing and the buddy has nothing, the other groups are asked.
 *
 * Locking
 * -------
 *   haslab.lock  >  haslab_group.lock  >  haslab.space_lock
 *
 * A group's lock protects its slabs and its mixed slots; nobody holds two. To
 * whom a slot belongs is found under RCU, and looked at again with the lock.
 * space_lock protects what the groups share: the buddy, and the map as to which
 * slabs and mixed slots there are; it is taken under one of the others.
 *
 * What concerns several groups or none (spans, given ranges, searches, MAP) is
 * done under haslab.lock with all groups shut out: haslab_lock_all() says so in
 * haslab.exclusive and then waits for each group's lock once, so everybody sees
 * it who comes later, and waits for haslab.lock. Not many locks are held at the
 * same time, and an operation in a group costs one load more.
 *
 * Without a lock:
 *
 *   - haslab_own() and haslab_disown() set and clear live bits atomically. A
 *     caller of haslab_disown() finds the slab under RCU; slabs and the pointers
 *     to them are freed after a grace period. Whoever clears a live bit makes
 *     the object CACHED, and a CACHED object pins its slab.
 *   - Turning a slab of equal objects into a part of a mixed slot (and so a
 *     claim into one) needs that nobody does that at the same time and that no
 *     object is CACHED: the caller says so by @exclusive. The pool layer's slow
 *     mode gives that.
 *
 * The locks are taken in process context only. Nothing is allocated under them in
 * a way that waits; see mem.h. Freeing never allocates at all.
 */
#include <linux/cpumask.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "slab/internal.h"

/* Slabs of equal objects: this many objects at least, if there is the space. */
#define MIN_OBJECTS	16
/* A class's next slab is at most this part of what it has already. */
#define GROWTH_SHIFT	1
/* Groups: as many as there are CPUs, but not on less than 4 GiB (2^20 blocks) each. */
#define MIN_GROUP_SHIFT	20
#define MAX_GROUPS	64

#define NONE HASLAB_NR_CLASSES

/* Looked up, so that all sizes cost the same few instructions. */
const u8 haslab_classes[HASLAB_MAX_CLASS_BLOCKS + 1] = {
	NONE, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
	[17 ... 31] = NONE, [32] = 16, [33 ... 63] = NONE, [64] = 17,
	[65 ... 127] = NONE, [128] = 18, [129 ... 255] = NONE, [256] = 19,
	[257 ... 511] = NONE, [512] = 20, [513 ... 1023] = NONE, [1024] = 21,
};

/* ---- locks ---- */

void haslab_lock_all(struct haslab *s)
	__acquires(&s->lock)
{
	unsigned int i;

	spin_lock(&s->lock);
	WRITE_ONCE(s->exclusive, current);
	for (i = 0; i < s->nr_groups; i++) {
		spin_lock(&s->groups[i].lock);
		spin_unlock(&s->groups[i].lock);
	}
}

void haslab_unlock_all(struct haslab *s)
	__releases(&s->lock)
{
	/* who sees that also sees what was done to his group */
	smp_store_release(&s->exclusive, NULL);
	spin_unlock(&s->lock);
}

/* Somebody has shut out the group whose lock was taken: wait until it is done. */
void haslab_lock_waited(struct haslab *s, struct haslab_group *g)
{
	do {
		spin_unlock(&g->lock);
		/* until it is done */
		spin_lock(&s->lock);
		spin_unlock(&s->lock);
		spin_lock(&g->lock);
		/* pairs with haslab_unlock_all() */
	} while (smp_load_acquire(&s->exclusive));
}

/* ---- slabs ---- */

static void haslab_slab_rcu(struct rcu_head *rcu)
{
	struct haslab_slab *slab = container_of(rcu, struct haslab_slab, rcu);

	kfree(slab->map[0]);
	kfree(slab->map[1]);
	kfree(slab->live);
	kfree(slab);
}

/* The slab leaves the map; it has left the list. */
static void slab_forget(struct haslab *s, struct haslab_slab *slab)
{
	haslab_map_forget(s, slab);
	atomic_long_sub(slab_bytes(slab), &s->mem.bytes);
	slab_group(s, slab)->nr_slabs--;
	call_rcu(&slab->rcu, haslab_slab_rcu);
}

static struct haslab_slab *slab_new(struct haslab *s, int class, u64 start, u32 nr_blocks,
				    struct hamem_op *op)
{
	struct haslab_slab *slab = hamem_get(&s->mem, op, sizeof(*slab));
	u32 blocks = s->classes[class].blocks, nr = nr_blocks / blocks;
	/* one for the rest behind the last object, if there is one: never live */
	u32 words = BITS_TO_LONGS(DIV_ROUND_UP(nr_blocks, blocks));

	if (!slab)
		return NULL;
	slab->live = hamem_get(&s->mem, op, 2 * words * sizeof(long));
	if (!slab->live) {
		hamem_put(&s->mem, slab);
		return NULL;
	}
	slab->free = slab->live + words;
	bitmap_set(slab->free, 0, nr);
	slab->class = class;
	slab->start = start;
	slab->nr_blocks = nr_blocks;
	slab->nr_objects = nr;
	slab->nr_free = nr;
	return slab;
}

/* Make a slab of blocks that are not free in the buddy any more. -ENOMEM. */
static int slab_create(struct haslab *s, struct haslab_group *g, int class, u64 start,
		       u32 nr_blocks, struct hamem_op *op)
{
	struct haslab_slab *slab = slab_new(s, class, start, nr_blocks, op);

	if (!slab)
		return -ENOMEM;
	slab->group = g->nr;
	if (haslab_map_slab(s, slab, op)) {
		hamem_put(&s->mem, slab->live);
		hamem_put(&s->mem, slab);
		return -ENOMEM;
	}
	list_add(&slab->list, &g->partial[class]);
	g->nr_slab_blocks[class] += nr_blocks;
	g->free += nr_blocks;
	g->nr_slabs++;
	g->made++;
	return 0;
}

/* Give an empty slab back to the buddy. */
static void slab_return(struct haslab *s, struct haslab_slab *slab)
{
	struct haslab_group *g = slab_group(s, slab);
	u64 start = slab->start;
	u32 nr_blocks = slab->nr_blocks;

	list_del(&slab->list);
	g->nr_slab_blocks[slab->class] -= nr_blocks;
	g->free -= nr_blocks;
	g->returned++;
	slab_forget(s, slab);
	haslab_buddy_put(s, start, nr_blocks);
}

/* ---- slabs of equal objects ---- */

/*
 * A slab that is less than a slot has more metadata for each of its blocks than a whole
 * one, or than a bitmap has. So that all together has its bound, they have theirs: 3 KiB
 * per GiB (2^18 blocks). A quarter is not for those that make a class grow, so that there
 * is some left for the first one of others.
 */
static bool too_many_small(const struct haslab *s, bool is_first)
{
	u64 most = max_t(u64, s->cfg.nr_blocks * 3 >> 8, 1024);

	return READ_ONCE(s->small_bytes) >= (is_first ? most : most / 4 * 3);
}

/*
 * Large enough to be worth it, small enough to leave space to other sizes. If there are
 * too many small ones, who has some gets a whole slot, and who does not gets none (the
 * order is less than @min_order) and is served by mixed slots.
 */
static int object_slab_order(const struct haslab *s, const struct haslab_group *g, int class,
			     int *min_order)
{
	int slot_order = s->slot_shift - s->cfg.unit_shift;
	const struct haslab_class *c = &s->classes[class];
	u64 has = g->nr_slab_blocks[class];
	u64 grow = has < slot_blocks(s) ? has >> GROWTH_SHIFT : has;
	u64 blocks = max_t(u64, c->blocks * MIN_OBJECTS, grow);
	u64 units = clamp_t(u64, blocks, unit_blocks(s), slot_blocks(s)) >> s->cfg.unit_shift;

	if (too_many_small(s, !has)) {
		*min_order = slot_order;
		return has >= slot_blocks(s) / 4 ? slot_order : -1;
	}
	*min_order = order_base_2(DIV_ROUND_UP(c->blocks, unit_blocks(s)));
	return max_t(int, ilog2(units), *min_order);
}

static void object_put(struct haslab *s, struct haslab_slab *slab, u32 i)
{
	struct haslab_group *g = slab_group(s, slab);

	haslab_assert_group(s, g);
	__set_bit(i, slab->free);
	if (slab->nr_free++ == 0)
		list_add(&slab->list, &g->partial[slab->class]);
	slab->hint = min_t(u32, slab->hint, i);
	g->free += s->classes[slab->class].blocks;
	map_changed(s, slab->start);
	if (slab->nr_free == slab->nr_objects)
		slab_return(s, slab);
}

static u32 object_take(struct haslab *s, struct haslab_slab *slab)
{
	u32 i = find_next_bit(slab->free, slab->nr_objects, slab->hint);

	__clear_bit(i, slab->free);
	slab->hint = i + 1;
	if (--slab->nr_free == 0)
		list_del_init(&slab->list);
	slab_group(s, slab)->free -= s->classes[slab->class].blocks;
	map_changed(s, slab->start);
	return i;
}

/* Free objects become neither free nor live, as if they were in a pool. */
void haslab_objects_hold(struct haslab *s, struct haslab_slab *slab, u32 first, u32 end)
{
	u32 nr = end - first;

	bitmap_clear(slab->free, first, nr);
	slab->nr_free -= nr;
	if (!slab->nr_free)
		list_del_init(&slab->list);
	slab_group(s, slab)->free -= (u64)nr * s->classes[slab->class].blocks;
	map_changed(s, slab->start);
}

void haslab_objects_unhold(struct haslab *s, struct haslab_slab *slab, u32 first, u32 end)
{
	/* the slab may go with its last object */
	while (first < end)
		object_put(s, slab, first++);
}

/* A group needs another slab of a class. */
static int object_grow(struct haslab *s, struct haslab_group *g, int class, struct hamem_op *op)
{
	int min_order, order = object_slab_order(s, g, class, &min_order);
	u64 start;

	order = haslab_buddy_some(s, order, min_order, op, &start);
	if (order < 0)
		return order;
	if (slab_create(s, g, class, start, unit_blocks(s) << order, op)) {
		haslab_buddy_free(s, start, order);
		return -ENOMEM;
	}
	return 0;
}

/* What there is in the slabs of a group. */
static int object_fit(struct haslab *s, struct haslab_group *g, int class,
		      struct haslab_ref *refs, int nr)
{
	struct list_head *partial = &g->partial[class];
	struct haslab_slab *slab;
	int got = 0;

	while (got < nr && !list_empty(partial)) {
		slab = list_first_entry(partial, struct haslab_slab, list);
		while (got < nr && slab->nr_free) {
			u32 i = object_take(s, slab);

			refs[got++] = (struct haslab_ref) {
				.live = slab->live, .start = object_start(s, slab, i), .bit = i,
			};
		}
	}
	return got ?: -ENOSPC;
}

static int object_batch(struct haslab *s, struct haslab_group *g, int class,
			struct haslab_ref *refs, int nr, struct hamem_op *op)
{
	int ret = 0;

	if (list_empty(&g->partial[class]))
		ret = object_grow(s, g, class, op);
	return ret ?: object_fit(s, g, class, refs, nr);
}

static int block_batch(struct haslab *s, int class, struct haslab_ref *refs, int nr,
		       struct hamem_op *op)
{
	int ret = 0, got = 0;
	u64 start;

	while (got < nr) {
		ret = haslab_buddy_alloc(s, s->classes[class].order, op, &start);
		if (ret)
			break;
		haslab_block_at(s, class, start, &refs[got++]);
	}
	return got ?: ret;
}

/**
 * haslab_get_objects - a batch for a pool
 * @s: the slab allocator
 * @class: the common size
 * @refs: out: the objects; they are CACHED now
 * @nr: how many are wanted
 * @gfp: how to wait for memory
 *
 * Context: process context; may sleep if @gfp lets it.
 *
 * Return: how many there are, at least one; -ENOSPC; -ENOMEM.
 */
int haslab_get_objects(struct haslab *s, int class, struct haslab_ref *refs, int nr, gfp_t gfp)
{
	struct haslab_group *own = haslab_own_group(s);
	struct hamem_op op = HAMEM_OP(gfp);
	unsigned int i;
	int ret;

	if (s->classes[class].kind == HASLAB_FROM_BUDDY)
		return haslab_with_group(s, own, &op, block_batch(s, class, refs, nr, &op));
	ret = haslab_with_group(s, own, &op, object_batch(s, own, class, refs, nr, &op));
	for (i = 0; ret == -ENOSPC && i < s->nr_groups; i++) {
		struct haslab_group *g = &s->groups[i];

		/* just a look: with the lock it is asked again */
		if (g != own && !list_empty(&g->partial[class]))
			ret = haslab_with_group(s, g, &op, object_fit(s, g, class, refs, nr));
	}
	return ret;
}

static void blocks_put(struct haslab *s, int class, const struct haslab_ref *refs, int nr)
{
	struct haslab_group *g = haslab_own_group(s);
	int i;

	haslab_lock_group(s, g);
	for (i = 0; i < nr; i++)
		haslab_buddy_free(s, refs[i].start, s->classes[class].order);
	haslab_unlock_group(g);
}

/* The slab of an object that is CACHED, and so pins it. */
static struct haslab_slab *ref_slab(struct haslab *s, const struct haslab_ref *ref)
{
	struct haslab_slab *slab;

	rcu_read_lock();
	slab = haslab_lookup(s, ref->start);
	rcu_read_unlock();
	return slab;
}

/* Put the first objects, as many as are of one group. Return: how many. */
static int objects_put(struct haslab *s, const struct haslab_ref *refs, int nr)
{
	struct haslab_slab *slab = ref_slab(s, refs);
	struct haslab_group *g = slab_group(s, slab);
	int i = 0;

	haslab_lock_group(s, g);
	do {
		object_put(s, slab, refs[i].bit);
		if (++i == nr)
			break;
		slab = ref_slab(s, &refs[i]);
	} while (slab_group(s, slab) == g);
	haslab_unlock_group(g);
	return i;
}

/**
 * haslab_put_objects - CACHED objects become free
 * @s: the slab allocator
 * @class: their size
 * @refs: the objects
 * @nr: how many
 *
 * Context: process context. Never needs memory.
 */
void haslab_put_objects(struct haslab *s, int class, const struct haslab_ref *refs, int nr)
{
	int done;

	if (s->classes[class].kind == HASLAB_FROM_BUDDY) {
		blocks_put(s, class, refs, nr);
		return;
	}
	for (; nr; refs += done, nr -= done)
		done = objects_put(s, refs, nr);
}

/* haslab_own() may be setting bits. */
static u32 objects_live(const struct haslab_slab *slab)
{
	u32 i, nr = 0;

	for (i = 0; i < BITS_TO_LONGS(slab->nr_objects); i++)
		nr += hweight_long(READ_ONCE(slab->live[i]));
	return nr;
}

/*
 * Turn a slab of equal objects into a part of a mixed slot with the same extents.
 * Nobody frees into the pools now (see @exclusive above), but somebody may be on
 * his way from haslab_get_objects() to haslab_own(): -EAGAIN, it will not take
 * long.
 */
int haslab_convert(struct haslab *s, struct haslab_slab *slab, struct hamem_op *op)
{
	u32 nr_live = objects_live(slab), blocks = s->classes[slab->class].blocks;
	struct haslab_group *g = slab_group(s, slab);
	u64 start = slab->start;
	int ret;

	if (nr_live + slab->nr_free != slab->nr_objects)
		return -EAGAIN;
	ret = haslab_mixed_add(s, g, start, slab->nr_blocks, 2 * nr_live, op);
	if (ret)
		return ret;
	haslab_mixed_fill(s, start, slab->live, slab->nr_objects, blocks);
	/* the objects in use were not free, and are counted as extents now */
	g->free -= (u64)slab->nr_blocks - (u64)nr_live * blocks;
	if (slab->nr_free)
		list_del(&slab->list);
	g->nr_slab_blocks[slab->class] -= slab->nr_blocks;
	slab_forget(s, slab);
	return 0;
}

/* ---- extents of any size ---- */

/* Whether a mixed slot can serve it. */
static bool is_mixed_size(const struct haslab *s, u64 len, u64 align)
{
	return len <= slot_blocks(s) && align <= slot_blocks(s);
}

/* -EBUSY: it takes all groups to know. */
static int group_alloc(struct haslab *s, struct haslab_group *g, u64 len, u64 align,
		       struct hamem_op *op, u64 *start)
{
	unsigned int order;
	int ret;

	/* few lengths are a power of two, so that is what the CPU guesses best */
	if (is_power_of_2(len) && len >= unit_blocks(s) && align <= len) {
		order = ilog2(len) - s->cfg.unit_shift;
		ret = haslab_buddy_alloc(s, order, op, start);
		if (!ret)
			habuddy_own(&s->buddy, *start >> s->cfg.unit_shift, order);
		if (ret != -ENOSPC)
			return ret;
	}
	return is_mixed_size(s, len, align) ? haslab_mixed_alloc(s, g, len, align, op, start) :
					      -EBUSY;
}

static int alloc_locked(struct haslab *s, u64 len, u64 align, struct hamem_op *op, u64 *start)
{
	if (is_mixed_size(s, len, align))
		return haslab_mixed_alloc(s, haslab_own_group(s), len, align, op, start);
	if (!haslab_best_run(s, len, align, start))
		return -ENOSPC;
	return haslab_extent_take(s, *start, len, op);
}

/* In the mixed slots of the groups that are not the caller's. */
static int others_alloc(struct haslab *s, struct haslab_group *own, u64 len, u64 align,
			struct hamem_op *op, u64 *start)
{
	unsigned int i;
	int ret = -ENOSPC;

	for (i = 0; ret == -ENOSPC && i < s->nr_groups; i++) {
		struct haslab_group *g = &s->groups[i];

		if (g != own)
			ret = haslab_with_group(s, g, op,
						haslab_mixed_fit(s, g, len, align, op, start));
	}
	return ret;
}

/**
 * haslab_alloc - allocate an extent of any size
 * @s: the slab allocator
 * @len: number of blocks
 * @align: of its start, a power of two, in blocks
 * @gfp: how to wait for memory
 * @start: out: its first block
 *
 * Context: process context; may sleep if @gfp lets it.
 *
 * Return: 0; -ENOSPC nothing was found in the usual places, but
 * haslab_search() may; -ENOMEM.
 */
int haslab_alloc(struct haslab *s, u64 len, u64 align, gfp_t gfp, u64 *start)
{
	struct haslab_group *g = haslab_own_group(s);
	struct hamem_op op = HAMEM_OP(gfp);
	int ret;

	ret = haslab_with_group(s, g, &op, group_alloc(s, g, len, align, &op, start));
	if (ret == -EBUSY)
		ret = haslab_with_all(s, &op, alloc_locked(s, len, align, &op, start));
	if (ret == -ENOSPC && is_mixed_size(s, len, align))
		ret = others_alloc(s, g, len, align, &op, start);
	return ret;
}

/* -EBUSY: it takes all groups to know. */
static int block_free(struct haslab *s, u64 start, u64 len, enum hybrid_alloc_reason *reason)
{
	u64 unit = start >> s->cfg.unit_shift, owned;
	unsigned int order;

	if (is_block(s, start, len)) {
		order = ilog2(len) - s->cfg.unit_shift;
		if (habuddy_disown(&s->buddy, unit, order)) {
			haslab_buddy_free(s, start, order);
			return 0;
		}
	}
	if (!haslab_has_all(s))
		return -EBUSY;
	if (habuddy_find_owned(&s->buddy, unit, &owned, &order))
		return haslab_refuse_live(reason, start, owned << s->cfg.unit_shift);
	return haslab_span_free(s, start, len, reason);
}

static int object_free(struct haslab *s, struct haslab_slab *slab, u64 start, u64 len,
		       enum hybrid_alloc_reason *reason)
{
	u32 i = object_of(s, slab, start);
	u64 at = object_start(s, slab, i);

	if (i >= slab->nr_objects || !test_bit(i, slab->live))
		return haslab_refuse(reason, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
	if (at != start || len != s->classes[slab->class].blocks)
		return haslab_refuse_live(reason, start, at);
	/* a free into a pool may have won */
	if (!test_and_clear_bit(i, slab->live))
		return haslab_refuse(reason, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
	object_put(s, slab, i);
	return 0;
}

/* Fetch what the index has of a slot together with what mixed_at() waits for. */
static void prefetch_link(const struct haslab *s, u64 start)
{
	const union haslab_links *links = READ_ONCE(map_dir(s, start)->links);

	/* it does no harm if they are gone by now */
	if (links)
		prefetchw(&links->link[slot_of(s, start) % DIR_SLOTS]);
}

/* What lies at @start, in @m if that is not NULL, is of this group; of none if the buddy's. */
static struct haslab_group *group_at(const struct haslab *s, const struct haslab_mixed *m,
				     u64 start)
{
	const struct haslab_slab *slab;

	if (likely(m))
		return mixed_group(s, m);
	slab = haslab_lookup(s, start);
	return slab ? slab_group(s, slab) : haslab_own_group(s);
}

/* With the lock of @g, or all if that is NULL. -EBUSY: that is not enough. */
static noinline int free_locked(struct haslab *s, const struct haslab_group *g, u64 start, u64 len,
				enum hybrid_alloc_reason *reason)
{
	struct haslab_mixed *m = mixed_at(s, start);
	struct haslab_slab *slab;

	if (m)
		return g && !mixed_is_of(s, m, g) ? -EBUSY :
						    haslab_mixed_free(s, m, start, len, reason);
	slab = haslab_lookup(s, start);
	if (slab)
		return g && g != slab_group(s, slab) ? -EBUSY :
						       object_free(s, slab, start, len, reason);
	return block_free(s, start, len, reason);
}

/**
 * haslab_free - free an extent of any size, past the pools
 * @s: the slab allocator
 * @start: first block, inside the device
 * @len: number of blocks
 * @reason: out: why not
 *
 * Everything is checked. Never needs memory. Context: process context.
 *
 * Return: 0; -ENOENT nothing is allocated there; -EINVAL there is a live
 * extent, but of another start or length.
 */
int haslab_free(struct haslab *s, u64 start, u64 len, enum hybrid_alloc_reason *reason)
{
	struct haslab_group *g;
	struct haslab_mixed *m;
	int ret;

	rcu_read_lock();
	/* the end that the caller has looked at comes before the tables; see grow_locked() */
	smp_rmb();
	prefetch_link(s, start);
	m = mixed_at(s, start);
	g = group_at(s, m, start);
	haslab_lock_group(s, g);
	/* if that still is the place for it: what is given back or has moved has no units there */
	if (likely(m) && likely(mixed_has(s, m, start)) && likely(mixed_is_of(s, m, g)))
		ret = haslab_mixed_free(s, m, start, len, reason);
	else
		ret = free_locked(s, g, start, len, reason);
	haslab_unlock_group(g);
	rcu_read_unlock();
	if (ret != -EBUSY)
		return ret;
	haslab_lock_all(s);
	ret = free_locked(s, NULL, start, len, reason);
	haslab_unlock_all(s);
	return ret;
}

/**
 * haslab_free_blocks - about how much is free in slab and buddy
 * @s: the slab allocator
 *
 * What is on its way between groups and buddy may be missing or counted twice, but
 * not that of callers who have returned. Context: any. Return: in blocks; exact with
 * all locks.
 */
u64 haslab_free_blocks(const struct haslab *s)
{
	/* others change them: an estimate then */
	u64 sum = data_race(s->buddy.free_units) << s->cfg.unit_shift;
	unsigned int i;

	for (i = 0; i < s->nr_groups; i++)
		/* the same */
		sum += data_race(s->groups[i].free);
	return sum;
}

/**
 * haslab_free_exact - how much is free in slab and buddy at one moment
 * @s: the slab allocator
 *
 * Context: process context. Return: in blocks.
 */
u64 haslab_free_exact(struct haslab *s)
{
	u64 sum;

	haslab_lock_all(s);
	sum = haslab_free_blocks(s);
	haslab_unlock_all(s);
	return sum;
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

static u64 nr_dirs_for(const struct haslab *s, u64 nr_blocks)
{
	return DIV_ROUND_UP_ULL(nr_blocks, dir_blocks(s));
}

/* Slots have 32-bit numbers. */
static bool too_large(const struct haslab *s, u64 nr_blocks)
{
	return (nr_blocks - 1) >> s->slot_shift >= NO_SLOT;
}

/* The units that no buddy knows, or not as a whole: what is before them never is free. */
static int init_lasting(struct haslab *s, struct hamem_op *op)
{
	u64 first = s->cfg.first_block, end = s->cfg.nr_blocks;
	u64 head = round_up(first, unit_blocks(s)), tail = round_down(end, unit_blocks(s));
	struct haslab_group *g = s->groups;
	int ret = 0;

	/* each of these changes nothing if it fails */
	if (head)
		ret = haslab_with_all(s, op, haslab_buddy_take(s, 0, head, op));
	if (!ret && first < head)
		ret = haslab_with_all(s, op, haslab_mixed_add(s, g, first, head - first, 0, op));
	if (!ret && tail < end)
		ret = haslab_with_all(s, op, haslab_mixed_add(s, g, tail, end - tail, 0, op));
	return ret;
}

static unsigned int nr_groups_for(const struct haslab_config *cfg)
{
	u64 nr = cfg->nr_groups;

	if (!nr)
		nr = min_t(u64, num_possible_cpus(), cfg->nr_blocks >> MIN_GROUP_SHIFT);
	return clamp_t(u64, nr, 1, MAX_GROUPS);
}

static int init_groups(struct haslab *s)
{
	unsigned int i;
	int class;

	s->nr_groups = nr_groups_for(&s->cfg);
	s->groups = kvcalloc(s->nr_groups, sizeof(*s->groups), GFP_KERNEL);
	if (!s->groups)
		return -ENOMEM;
	for (i = 0; i < s->nr_groups; i++) {
		struct haslab_group *g = &s->groups[i];

		spin_lock_init(&g->lock);
		g->nr = i;
		for (class = 0; class < HASLAB_NR_CLASSES; class++)
			INIT_LIST_HEAD(&g->partial[class]);
		haslab_mixed_init(g);
	}
	return 0;
}

/* Directories of which those from @used on are empty. */
static struct haslab_dir *new_dirs(u64 nr, u64 used, gfp_t gfp)
{
	/* for a device that large that it is more than kvcalloc() gives, that says so loudly */
	struct haslab_dir *dirs = kvcalloc(nr, sizeof(*dirs), gfp | __GFP_NOWARN);
	u64 i;

	for (i = used; dirs && i < nr; i++)
		dirs[i].slabs = haslab_no_slabs;
	return dirs;
}

static int init_dirs(struct haslab *s)
{
	s->nr_dirs = nr_dirs_for(s, s->cfg.nr_blocks);
	s->map_blocks = s->cfg.nr_blocks;
	s->dirs = new_dirs(s->nr_dirs, 0, GFP_KERNEL);
	if (!s->dirs)
		return -ENOMEM;
	atomic_long_add(s->nr_dirs * sizeof(*s->dirs), &s->mem.bytes);
	return 0;
}

static int init_buddy(struct haslab *s, struct hamem_op *op)
{
	u64 nr_units = s->cfg.nr_blocks >> s->cfg.unit_shift;
	int ret;

	do {
		ret = habuddy_init(&s->buddy, nr_units, &s->mem, op);
	} while (ret == -ENOMEM && hamem_refill(op));
	s->buddy.dev = s->cfg.dev;
	s->buddy.byte_shift = s->cfg.unit_shift + s->cfg.byte_shift;
	return ret;
}

/**
 * haslab_init - all is free
 * @s: the slab allocator
 * @cfg: its shape
 *
 * Context: may sleep.
 *
 * Return: 0; -EINVAL for a shape that cannot be; -ENOMEM.
 */
int haslab_init(struct haslab *s, const struct haslab_config *cfg)
{
	struct hamem_op op = HAMEM_OP(GFP_KERNEL);
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
	if (too_large(s, cfg->nr_blocks))
		return -EINVAL;
	s->spans = RB_ROOT;
	haslab_init_classes(s);
	ret = init_groups(s) ?: init_dirs(s) ?: init_buddy(s, &op) ?: init_lasting(s, &op);
	hamem_finish(&op);
	if (ret)
		haslab_destroy(s);
	return ret;
}

static int grow_locked(struct haslab *s, u64 nr_blocks, struct hamem_op *op, void **old_table)
{
	u64 nr_units = nr_blocks >> s->cfg.unit_shift, from = s->buddy.nr_units;
	u64 old = s->cfg.nr_blocks;
	int ret;

	/* a lasting unit at the end becomes one of the buddy's, which is in use */
	if (nr_units > from && !IS_ALIGNED(old, unit_blocks(s)))
		from++;
	ret = habuddy_grow_prepare(&s->buddy, nr_units, from, op) ?:
	      haslab_map_grow(s, nr_blocks, op, old_table) ?:
	      haslab_mixed_prepare_grow(s, nr_blocks, op);
	if (ret)
		return ret;
	/* nothing can fail any more */
	map_changed(s, old - 1);
	/*
	 * Who sees it, and then takes a magazine or calls haslab_free() (a barrier), sees
	 * the new tables and root. A release, but for a word that may be larger than
	 * the machine's.
	 */
	smp_mb();
	WRITE_ONCE(s->cfg.nr_blocks, nr_blocks);
	habuddy_grow(&s->buddy, nr_units, from);
	haslab_mixed_grow(s, old, nr_blocks);
	return 0;
}

/**
 * haslab_grow - the device became larger
 * @s: the slab allocator
 * @nr_blocks: its size now
 * @gfp: how to wait for memory
 *
 * Nobody else may be growing it or searching. Context: may sleep.
 *
 * Return: 0; -EINVAL it would shrink; -ENOMEM, then nothing changed but some
 * metadata that the next try needs.
 */
int haslab_grow(struct haslab *s, u64 nr_blocks, gfp_t gfp)
{
	u64 nr_dirs = nr_dirs_for(s, nr_blocks);
	struct haslab_dir *dirs, *old;
	struct hamem_op op = HAMEM_OP(gfp);
	void *old_table = NULL;
	int ret;

	if (nr_blocks < s->cfg.nr_blocks || too_large(s, nr_blocks))
		return -EINVAL;
	if (nr_dirs > s->nr_dirs) {
		dirs = new_dirs(nr_dirs, s->nr_dirs, gfp);
		if (!dirs)
			return -ENOMEM;
		haslab_lock_all(s);
		old = s->dirs;
		memcpy(dirs, old, s->nr_dirs * sizeof(*dirs));
		/* pairs with map_dir(): the array is filled before it is seen */
		smp_store_release(&s->dirs, dirs);
		atomic_long_add((nr_dirs - s->nr_dirs) * sizeof(*dirs), &s->mem.bytes);
		WRITE_ONCE(s->nr_dirs, nr_dirs);
		haslab_unlock_all(s);
		synchronize_rcu();
		kvfree(old);
	}
	ret = haslab_with_all(s, &op, grow_locked(s, nr_blocks, &op, &old_table));
	if (old_table)
		synchronize_rcu();
	kfree(old_table);
	return ret;
}

/* Forget what is in a slot. */
static void slot_forget(struct haslab *s, u32 slot)
{
	u64 pos = slot_start(s, slot), end = min(pos + slot_blocks(s), s->cfg.nr_blocks);
	struct haslab_slab *slab;

	if (mixed_slot(s, slot))
		haslab_mixed_forget(s, slot);
	for (; pos < end; pos += unit_blocks(s)) {
		slab = haslab_lookup(s, pos);
		if (slab)
			slab_forget(s, slab);
	}
}

/**
 * haslab_destroy - forget everything
 * @s: the slab allocator; nobody may use it any more
 *
 * Live extents are forgotten too. Context: may sleep.
 */
void haslab_destroy(struct haslab *s)
{
	struct haslab_span *span, *next;
	u32 slot;
	u64 dir;

	for (dir = 0; s->dirs && dir < s->nr_dirs; dir++) {
		for (slot = dir << DIR_SHIFT; slot < dir_slots_end(s, dir) &&
		     (s->dirs[dir].nr_slabs || s->dirs[dir].mixed); slot++)
			slot_forget(s, slot);
		cond_resched();
	}
	rbtree_postorder_for_each_entry_safe(span, next, &s->spans, node)
		hamem_put(&s->mem, span);
	habuddy_destroy(&s->buddy);
	kvfree(s->dirs);
	kvfree(s->groups);
	/* haslab_slab_rcu() is code of this module */
	rcu_barrier();
}
