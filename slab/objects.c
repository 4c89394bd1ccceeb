// SPDX-License-Identifier: GPL-2.0
/*
 * Slabs of equal objects, and whole buddy blocks of the common sizes: what the pools live on. See
 * slab.c for the layer as a whole.
 *
 * A slab is a buddy block that is cut into objects of one class, with two bitmaps. An object is
 * free, live, or CACHED if it is neither. `free` belongs to the lock of the slab's group. `live`
 * is the ownership mark: it is set and cleared by atomic operations, also without that lock.
 * Only a CACHED object changes it from 0 to 1, and a CACHED object pins its slab.
 *
 * Slabs with a free object are in haslab_group.partial. An empty slab goes back to the buddy at
 * once. A slab that is in the way gives way: it is dissolved. room.c has how large a new slab is,
 * and where it lies.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mm.h>

#include "slab/internal.h"

/* ---- life of a slab ---- */

static void haslab_slab_rcu(struct rcu_head *rcu)
{
	struct haslab_slab *slab = container_of(rcu, struct haslab_slab, rcu);

	kfree(slab->tables[0]);
	kfree(slab->tables[1]);
	kfree(slab->live);
	kfree(slab);
}

/*
 * Remove a slab, which is in no list any more, from the map and free it after a grace period.
 * Locking: as stated in internal.h, or the slab allocator is being destroyed.
 */
void haslab_slab_forget(struct haslab *s, struct haslab_slab *slab)
{
	haslab_map_forget(s, slab);
	atomic_long_sub(slab_bytes(slab), &s->mem.bytes);
	slab_group(s, slab)->nr_slabs--;
	call_rcu(&slab->rcu, haslab_slab_rcu);
}

/* A slab, of blocks that were taken from the buddy, in which all is free. NULL: no memory. */
struct haslab_slab *haslab_slab_new(struct haslab *s, int class, u64 start, u32 nr_blocks,
				    struct hamem_op *op)
{
	struct haslab_slab *slab = hamem_get(&s->mem, op, sizeof(*slab));
	u32 blocks = s->classes[class].blocks, nr = nr_blocks / blocks;
	/* a remainder after the last object has a bit, too, which is never live */
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

/* The reverse, for a slab that has not been in the map. */
void haslab_slab_drop(struct haslab *s, struct haslab_slab *slab)
{
	hamem_put(&s->mem, slab->live);
	hamem_put(&s->mem, slab);
}

/* A slab that is in the map belongs to its group from now on. */
void haslab_slab_enter(struct haslab *s, struct haslab_slab *slab)
{
	struct haslab_group *g = slab_group(s, slab);

	haslab_assert_group(s, g);
	if (slab->nr_free)
		list_add(&slab->list, &g->partial[slab->class]);
	else
		INIT_LIST_HEAD(&slab->list);
	g->nr_slab_blocks[slab->class] += slab->nr_blocks;
	g->free += slab->nr_blocks -
		   (slab->nr_objects - slab->nr_free) * s->classes[slab->class].blocks;
	g->nr_slabs++;
	g->made++;
}

/* Make a slab of blocks that were taken from the buddy. -ENOMEM. */
static int haslab_slab_create(struct haslab *s, struct haslab_group *g, int class, u64 start,
			      u32 nr_blocks, struct hamem_op *op)
{
	struct haslab_slab *slab = haslab_slab_new(s, class, start, nr_blocks, op);

	haslab_assert_group(s, g);
	if (!slab)
		return -ENOMEM;
	slab->group = g->nr;
	if (haslab_map_slab(s, slab, op)) {
		haslab_slab_drop(s, slab);
		return -ENOMEM;
	}
	haslab_slab_enter(s, slab);
	return 0;
}

/* Give an empty slab back to the buddy. */
static void haslab_slab_return(struct haslab *s, struct haslab_slab *slab)
{
	struct haslab_group *g = slab_group(s, slab);
	u64 start = slab->start;
	u32 nr_blocks = slab->nr_blocks;

	list_del(&slab->list);
	g->nr_slab_blocks[slab->class] -= nr_blocks;
	g->free -= nr_blocks;
	g->returned++;
	haslab_slab_forget(s, slab);
	haslab_buddy_put(s, start, nr_blocks);
	haslab_empty_trim(s, g);
}

/* A group needs another slab of a class. -EBUSY: the class has too little in use for one. */
static int haslab_object_grow(struct haslab *s, struct haslab_group *g, int class,
			      struct hamem_op *op)
{
	u64 start;
	int order = haslab_slab_room(s, g, class, op, &start);

	if (order < 0)
		return order;
	if (haslab_slab_create(s, g, class, start, unit_blocks(s) << order, op)) {
		haslab_buddy_free(s, start, order);
		return -ENOMEM;
	}
	return 0;
}

/* ---- objects ---- */

/* The free objects of a slab change: what is known of them, and of its dir, no longer holds. */
static void haslab_slab_changed(struct haslab *s, struct haslab_slab *slab)
{
	slab->nr_longest = 0;
	map_changed(s, slab->start);
}

/* An object of a dissolved slab is none any more. With the last one the slab is forgotten. */
static void haslab_object_gone(struct haslab *s, struct haslab_slab *slab, u32 i)
{
	__set_bit(i, slab->free);
	if (++slab->nr_free == slab->nr_objects)
		haslab_slab_forget(s, slab);
}

/* A CACHED object of a dissolved slab becomes free in the mixed part. */
static noinline void haslab_object_leave(struct haslab *s, struct haslab_slab *slab, u32 i)
{
	u64 start = object_start(s, slab, i);

	/* the slab may be forgotten, which comes before its units go back to the buddy */
	haslab_object_gone(s, slab, i);
	haslab_mixed_clear(s, start);
}

/* A CACHED object becomes free; its slab may be given back with it. Never needs memory. */
void haslab_object_put(struct haslab *s, struct haslab_slab *slab, u32 i)
{
	struct haslab_group *g = slab_group(s, slab);

	haslab_assert_group(s, g);
	if (unlikely(slab->dissolved)) {
		haslab_object_leave(s, slab, i);
		return;
	}
	__set_bit(i, slab->free);
	if (slab->nr_free++ == 0)
		list_add(&slab->list, &g->partial[slab->class]);
	slab->hint = min_t(u32, slab->hint, i);
	g->free += s->classes[slab->class].blocks;
	haslab_slab_changed(s, slab);
	if (slab->nr_free == slab->nr_objects)
		haslab_slab_return(s, slab);
}

/* A free object is free no longer. */
void haslab_object_remove(struct haslab *s, struct haslab_slab *slab, u32 i)
{
	haslab_assert_group(s, slab_group(s, slab));
	__clear_bit(i, slab->free);
	if (--slab->nr_free == 0)
		list_del_init(&slab->list);
	slab_group(s, slab)->free -= s->classes[slab->class].blocks;
	haslab_slab_changed(s, slab);
}

/* A free object of a slab that has one becomes CACHED. Return: its number. */
static u32 haslab_object_take(struct haslab *s, struct haslab_slab *slab)
{
	u32 i = find_next_bit(slab->free, slab->nr_objects, slab->hint);

	slab->hint = i + 1;
	haslab_object_remove(s, slab, i);
	return i;
}

/* Free objects, from @first to the one before @end, become HELD. */
void haslab_objects_hold(struct haslab *s, struct haslab_slab *slab, u32 first, u32 end)
{
	u32 nr = end - first;

	haslab_assert_group(s, slab_group(s, slab));
	ha_step(nr / (BITS_PER_LONG / 2));
	bitmap_clear(slab->free, first, nr);
	slab->nr_free -= nr;
	if (!slab->nr_free)
		list_del_init(&slab->list);
	slab_group(s, slab)->free -= (u64)nr * s->classes[slab->class].blocks;
	haslab_slab_changed(s, slab);
}

/* The reverse, also for CACHED objects. The slab may be given back with the last one. */
void haslab_objects_unhold(struct haslab *s, struct haslab_slab *slab, u32 first, u32 end)
{
	struct haslab_group *g = slab_group(s, slab);
	u32 nr = end - first;

	haslab_assert_group(s, g);
	ha_step(nr / (BITS_PER_LONG / 2));
	bitmap_set(slab->free, first, nr);
	if (!slab->nr_free)
		list_add(&slab->list, &g->partial[slab->class]);
	slab->nr_free += nr;
	slab->hint = min_t(u32, slab->hint, first);
	g->free += (u64)nr * s->classes[slab->class].blocks;
	haslab_slab_changed(s, slab);
	if (slab->nr_free == slab->nr_objects)
		haslab_slab_return(s, slab);
}

/*
 * End the ownership of an extent; *@index is the number of its object, which is CACHED now.
 * Return: 0; -ENOENT nothing is allocated there; -EINVAL the extent has another start or length.
 */
int haslab_object_retire(struct haslab *s, struct haslab_slab *slab, u64 start, u64 len,
			 u32 *index, enum hybrid_alloc_reason *reason)
{
	u32 i = object_of(s, slab, start);
	u64 at = object_start(s, slab, i);

	haslab_assert_group(s, slab_group(s, slab));
	if (i >= slab->nr_objects || !test_bit(i, slab->live))
		return haslab_refuse(reason, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
	if (at != start || len != s->classes[slab->class].blocks)
		return haslab_refuse_live(reason, start, at);
	/* a free into a pool needs no lock, and may have won */
	if (!test_and_clear_bit(i, slab->live))
		return haslab_refuse(reason, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
	*index = i;
	return 0;
}

/* ---- batches for the pools ---- */

/* The object @i of a slab. */
static struct haslab_ref haslab_object_ref(const struct haslab *s, const struct haslab_slab *slab,
					   u32 i)
{
	return (struct haslab_ref) {
		.live = slab->live, .start = object_start(s, slab, i), .bit = i,
	};
}

/* What lies at the end of @refs, which has room for @nr, moves to its start. Return: @got. */
static int haslab_refs_packed(struct haslab_ref *refs, int nr, int got)
{
	if (got > 0 && got < nr)
		memmove(refs, refs + nr - got, got * sizeof(*refs));
	return got;
}

/*
 * Free objects in a row become CACHED: the one at @start and at most @nr - 1 behind it, the first
 * one last. Return: how many; 0: there is none at @start, or it is not free.
 */
int haslab_objects_take(struct haslab *s, struct haslab_slab *slab, u64 start,
			struct haslab_ref *refs, int nr)
{
	u32 i = object_of(s, slab, start);
	int got = 0;

	haslab_assert_group(s, slab_group(s, slab));
	if (i < slab->nr_objects && object_start(s, slab, i) != start)
		return 0;
	for (; got < nr && i < slab->nr_objects && test_bit(i, slab->free); i++) {
		haslab_object_remove(s, slab, i);
		refs[nr - ++got] = haslab_object_ref(s, slab, i);
	}
	return haslab_refs_packed(refs, nr, got);
}

/* As haslab_get_objects(), from the slabs that a group has, into the end of @refs. */
static int haslab_object_fit(struct haslab *s, struct haslab_group *g, int class,
			     struct haslab_ref *refs, int nr)
{
	struct list_head *partial = &g->partial[class];
	struct haslab_slab *slab;
	int got = 0;

	while (got < nr && !list_empty(partial)) {
		slab = list_first_entry(partial, struct haslab_slab, list);
		while (got < nr && slab->nr_free)
			refs[nr - ++got] = haslab_object_ref(s, slab, haslab_object_take(s, slab));
	}
	return got ?: -ENOSPC;
}

/* The same, with a new slab if the group has none. */
static int haslab_object_batch(struct haslab *s, struct haslab_group *g, int class,
			       struct haslab_ref *refs, int nr, struct hamem_op *op)
{
	int ret = list_empty(&g->partial[class]) ? haslab_object_grow(s, g, class, op) : 0;

	return ret ?: haslab_object_fit(s, g, class, refs, nr);
}

/* Buddy blocks of a class's size. -EBUSY: its extents are to lie in mixed slots. */
static int haslab_block_batch(struct haslab *s, struct haslab_group *g, int class,
			      struct haslab_ref *refs, int nr, struct hamem_op *op)
{
	int ret = haslab_has_blocks(s, g) ? 0 : -EBUSY, got = 0;
	u64 start;

	while (!ret && got < nr) {
		ret = haslab_buddy_alloc(s, s->classes[class].order, op, &start);
		if (ret == -ENOSPC && haslab_empty_put(s, g))
			ret = 0;
		else if (!ret)
			haslab_block_at(s, class, start, &refs[nr - ++got]);
	}
	return got ?: ret;
}

/* A slot that another group than @own keeps goes back to the buddy. False if none does. */
static bool haslab_empty_put_other(struct haslab *s, const struct haslab_group *own)
{
	struct haslab_group *g;
	bool done = false;

	for (g = s->groups; !done && g < s->groups + s->nr_groups; g++) {
		if (g == own || !READ_ONCE(g->nr_empty))
			continue;
		haslab_lock_group(s, g);
		done = haslab_empty_put(s, g);
		haslab_unlock_group(g);
	}
	return done;
}

/* From the caller's own group, which grows if need be. */
static int haslab_get_own(struct haslab *s, struct haslab_group *g, int class,
			  struct haslab_ref *refs, int nr, gfp_t gfp)
{
	bool from_buddy = s->classes[class].kind == HASLAB_FROM_BUDDY;
	struct hamem_op op = HAMEM_OP(gfp);
	int ret;

	do {
		haslab_lock_group(s, g);
		ret = from_buddy ? haslab_block_batch(s, g, class, refs, nr, &op) :
				   haslab_object_batch(s, g, class, refs, nr, &op);
		haslab_unlock_group(g);
	} while (hamem_again(&op, ret));
	return ret;
}

/**
 * haslab_get_objects - a batch for a pool
 * @s: the slab allocator
 * @class: the common size
 * @refs: out: the objects; they are CACHED now
 * @nr: how many are wanted
 * @gfp: how to wait for memory
 *
 * The first that was taken is last, as a pool takes from the end: in one slab, allocations ascend.
 * Context: process context; may sleep if @gfp lets it. Return: how many there are, at least one;
 * -ENOSPC; -ENOMEM.
 */
int haslab_get_objects(struct haslab *s, int class, struct haslab_ref *refs, int nr, gfp_t gfp)
{
	struct haslab_group *own = haslab_own_group(s), *g;
	int ret = haslab_get_own(s, own, class, refs, nr, gfp), got = 0;

	if (ret > 0 || ret == -ENOMEM)
		return haslab_refs_packed(refs, nr, ret);
	/* buddy blocks belong to no group: these lists are empty */
	for (g = s->groups; got <= 0 && g < s->groups + s->nr_groups; g++) {
		/* a look without the lock; the list is read again with it */
		if (g == own || list_empty(&g->partial[class]))
			continue;
		haslab_lock_group(s, g);
		got = haslab_object_fit(s, g, class, refs, nr);
		haslab_unlock_group(g);
	}
	if (got > 0)
		return haslab_refs_packed(refs, nr, got);
	if (ret == -ENOSPC && haslab_empty_put_other(s, own))
		ret = haslab_get_own(s, own, class, refs, nr, gfp);
	return haslab_refs_packed(refs, nr, ret == -EBUSY ? -ENOSPC : ret);
}

static void haslab_blocks_put(struct haslab *s, int class, const struct haslab_ref *refs, int nr)
{
	struct haslab_group *g = haslab_own_group(s);
	int i;

	haslab_lock_group(s, g);
	for (i = 0; i < nr; i++)
		haslab_buddy_free(s, refs[i].start, s->classes[class].order);
	haslab_unlock_group(g);
}

/* The slab of an object that is CACHED, and so pins it. */
static struct haslab_slab *haslab_ref_slab(struct haslab *s, const struct haslab_ref *ref)
{
	struct haslab_slab *slab;

	rcu_read_lock();
	slab = haslab_lookup(s, ref->start);
	rcu_read_unlock();
	return slab;
}

/**
 * haslab_is_foreign - whether an object belongs to another group than this CPU's
 * @s: the slab allocator
 * @class: its size
 * @ref: the object, which is CACHED
 * Context: any. Return: false also for a buddy block, which belongs to no group.
 */
bool haslab_is_foreign(struct haslab *s, int class, const struct haslab_ref *ref)
{
	return s->classes[class].kind != HASLAB_FROM_BUDDY &&
	       slab_group(s, haslab_ref_slab(s, ref)) != haslab_own_group(s);
}

/* Lock the group of a slab, which a CACHED object pins. It may be another group before that. */
static struct haslab_group *haslab_lock_slab(struct haslab *s, const struct haslab_slab *slab)
	__acquires(&g->lock)
{
	struct haslab_group *g;

	for (;;) {
		g = slab_group(s, slab);
		haslab_lock_group(s, g);
		if (likely(slab_group(s, slab) == g))
			return g;
		haslab_unlock_group(g);
	}
}

/* Put the first objects, as many in a row as belong to one group. Return: how many. */
static int haslab_objects_put(struct haslab *s, const struct haslab_ref *refs, int nr)
{
	struct haslab_slab *slab = haslab_ref_slab(s, refs);
	struct haslab_group *g = haslab_lock_slab(s, slab);
	int i = 0;

	do {
		haslab_object_put(s, slab, refs[i].bit);
		if (++i == nr)
			break;
		slab = haslab_ref_slab(s, &refs[i]);
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
		haslab_blocks_put(s, class, refs, nr);
		return;
	}
	for (; nr; refs += done, nr -= done)
		done = haslab_objects_put(s, refs, nr);
}

/* ---- slabs that give way ---- */

/*
 * Take the ownership marks of all objects: what was live is an extent of the mixed part from now
 * on. A free into a pool may come first; one that comes later is told under the lock that the
 * object is none any more. Return: how many objects are CACHED.
 */
static u32 haslab_objects_leave(struct haslab_slab *slab)
{
	u32 i, nr_gone = 0;

	for (i = 0; i < BITS_TO_LONGS(slab->nr_objects); i++) {
		if (READ_ONCE(slab->live[i]))
			slab->free[i] |= xchg(&slab->live[i], 0);
		nr_gone += hweight_long(slab->free[i]);
	}
	slab->nr_free = nr_gone;
	return slab->nr_objects - nr_gone;
}

/* What is CACHED is SPECIAL in the mixed part: the slab knows what it is. */
static void haslab_objects_stay(struct haslab *s, const struct haslab_slab *slab)
{
	struct haslab_mixed *m = mixed_of(s, slot_of(s, slab->start));
	struct haruns_run run;
	u32 i;

	for_each_clear_bit(i, slab->free, slab->nr_objects) {
		run = mixed_run(s, m, object_start(s, slab, i));
		haruns_cut(&m->runs, run, run.start, run.len, HARUNS_SPECIAL);
	}
}

/* A slab is none of its class any more, and is of the group that its mixed part belongs to. */
static void haslab_slab_move(struct haslab *s, struct haslab_slab *slab)
{
	struct haslab_group *from = slab_group(s, slab);
	struct haslab_group *to = mixed_group(s, mixed_of(s, slot_of(s, slab->start)));

	if (slab->nr_free)
		list_del_init(&slab->list);
	from->nr_slab_blocks[slab->class] -= slab->nr_blocks;
	from->nr_slabs--;
	to->nr_slabs++;
	WRITE_ONCE(slab->group, to->nr);
}

/*
 * An object of a dissolved slab that is live becomes an extent of the mixed part, which has its
 * blocks as a run already. False: it is live no longer.
 */
bool haslab_object_release(struct haslab *s, struct haslab_slab *slab, u32 i)
{
	struct haslab_mixed *m = mixed_of(s, slot_of(s, slab->start));
	struct haruns_run run = mixed_run(s, m, object_start(s, slab, i));

	haslab_assert_group(s, slab_group(s, slab));
	if (!test_and_clear_bit(i, slab->live))
		return false;
	haruns_cut(&m->runs, run, run.start, run.len, HARUNS_LIVE);
	haslab_object_gone(s, slab, i);
	return true;
}

/*
 * Dissolve a slab: its blocks become part of a mixed slot, with the same extents. What is CACHED
 * remains an object of the slab, and so does what a pool makes live again of it, until it is put;
 * with the last one the slab is forgotten. The bit of an object that has left is set in its `free`.
 *
 * Return: 0; nothing has changed: -ENOMEM; -EBUSY the slot has a mixed part of another group, and
 * not all groups are shut out; -EAGAIN objects are CACHED, and too many slabs are dissolved
 * already: the pools have to be emptied.
 */
int haslab_dissolve(struct haslab *s, struct haslab_slab *slab, struct hamem_op *op)
{
	u32 nr_used = slab->nr_objects - slab->nr_free, blocks = s->classes[slab->class].blocks;
	struct haslab_group *g = slab_group(s, slab);
	DECLARE_BITMAP(used, HASLAB_MAX_BLOCKS);
	u64 start = slab->start;
	int ret;

	haslab_assert_group(s, g);
	ha_step(slab->nr_objects / (BITS_PER_LONG / 2));
	if (haslab_too_many_small(s, false) &&
	    nr_used != bitmap_weight(slab->live, slab->nr_objects))
		return -EAGAIN;
	ret = haslab_mixed_add(s, g, start, slab->nr_blocks, 2 * nr_used, op);
	if (ret)
		return ret;
	bitmap_complement(used, slab->free, slab->nr_objects);
	haslab_mixed_fill(s, start, used, slab->nr_objects, blocks);
	/* what was in use was not free, and the mixed part counts it as extents now */
	g->free -= (u64)slab->nr_blocks - (u64)nr_used * blocks;
	haslab_slab_move(s, slab);
	if (haslab_objects_leave(slab)) {
		haslab_objects_stay(s, slab);
		haslab_map_dissolve(s, slab);
	} else {
		haslab_slab_forget(s, slab);
	}
	return 0;
}
