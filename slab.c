// SPDX-License-Identifier: GPL-2.0
/*
 * The slab layer: all space of a device that is only partly used.
 *
 * A slab is a power-of-two block of the buddy, 16 MiB at the most, that is cut
 * into smaller extents. There are two kinds:
 *
 *   slabs of equal objects   for one common size (haslab_class). Two bits an
 *	object: free, and live. An object that is neither is CACHED: it is in a
 *	pool. Taking and giving back is a bit operation, many at a time for the
 *	pools, and the live bit is the ownership mark that is cleared atomically
 *	and without a lock when an extent is freed into a pool.
 *   mixed slabs              for everything else: runs of any length (runs.c).
 *	An extent goes to the slab whose largest free run is the smallest that
 *	fits, and there to the run that fits best. So slabs that are nearly
 *	full get fuller, and the large runs of the others survive. (Strict
 *	segregation by size wastes a quarter of a disk, first fit fragments it,
 *	and best fit over all runs of the device packs worse than this: .98
 *	against .99 of 1 TiB at the first ENOSPC, sizes 4 KiB to 4 MiB.)
 *
 * When no run fits, a new slab is taken. If the slab before it ends with a free
 * run that is shorter than anything that was asked for recently, the extent
 * begins there and continues in the new slab: a size that does not divide a
 * slab would leave a rest in each otherwise. (Where sizes are mixed the rest is
 * of use, and slabs that hang together do not become empty: doing it always
 * lowers the fill that sizes to 4 MiB can sustain from .975 to .965.)
 *
 * An empty slab goes back to the buddy at once. The blocks behind the last
 * whole unit, which no buddy knows, are a mixed slab that stays: the tail.
 *
 * Where an extent comes from
 * --------------------------
 *   a common size up to slab_max    slabs of equal objects
 *   a power of two from a unit up   a block of the buddy, as a whole
 *   else, up to a slab              the mixed slab in which it fits best
 *   larger                          units in a row and the rest from a slab
 *
 * When the right place is full, the others are tried: mixed slabs serve common
 * sizes too. If all of that fails haslab_search() looks at every free run of
 * the device, across the borders of slabs and blocks, and takes one by force:
 * haslab_claim(), which can make an extent out of any free blocks. For that a
 * slab of equal objects is turned into a mixed one.
 *
 * A mixed slab records an extent by itself. An extent that lies in several
 * places is recorded as a span (haslab_span); its pieces are SPECIAL in their
 * slabs, its whole units are simply not free in the buddy.
 *
 * The map
 * -------
 * From an address to its slab in two or three steps: dirs[] by 4 GiB, made for
 * what is in use; in a dir a slot per 16 MiB (the largest slab). A slot is
 * either the slab that fills it, marked by its lowest bit, or a table with an
 * entry for each unit, or nothing.
 *
 * For searches each dir also has the length of the free run that it begins
 * with, of its longest, and of the one that it ends with (haslab_sum; the idea
 * is that of the Go runtime's page allocator). They are made when they are
 * asked for and dropped at each change, which is a store.
 *
 * Locking
 * -------
 * haslab.lock protects everything in this layer and the buddy below, but for
 * what is done without it:
 *
 *   - haslab_own() and haslab_disown() set and clear live bits atomically. A
 *     caller of haslab_disown() finds the slab under RCU; slabs, dirs and
 *     tables are freed after a grace period. Whoever clears a live bit makes
 *     the object CACHED, and a CACHED object pins its slab.
 *   - Turning a slab of equal objects into a mixed one (and so a claim into
 *     one) needs that nobody does that at the same time and that no object is
 *     CACHED: the caller says so by @exclusive. The pool layer's slow mode
 *     gives that.
 *
 * The lock is taken in process context only. Nothing is allocated under it in
 * a way that waits; see mem.h. Freeing never allocates at all.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "slab_internal.h"

/* ---- slabs ---- */

static void bucket_del(struct haslab *s, struct haslab_slab *slab)
{
	list_del(&slab->list);
	if (list_empty(&s->mixed[slab->bucket]))
		__clear_bit(slab->bucket, s->mixed_mask);
}

static void bucket_add(struct haslab *s, struct haslab_slab *slab)
{
	slab->bucket = bucket_of(slab->runs.max_free);
	list_add(&slab->list, &s->mixed[slab->bucket]);
	__set_bit(slab->bucket, s->mixed_mask);
}

static void haslab_slab_rcu(struct rcu_head *rcu)
{
	struct haslab_slab *slab = container_of(rcu, struct haslab_slab, rcu);

	if (!slab_is_mixed(slab))
		kfree(slab->free);
	kfree(slab);
}

/* The slab has left the map and the lists. */
static void haslab_slab_free(struct haslab *s, struct haslab_slab *slab)
{
	size_t bytes = ksize(slab);

	if (slab_is_mixed(slab))
		haruns_destroy(&slab->runs, &s->mem);
	else
		bytes += ksize(slab->free);
	atomic_long_sub(bytes, &s->mem.bytes);
	s->nr_slabs--;
	call_rcu(&slab->rcu, haslab_slab_rcu);
}

static struct haslab_slab *haslab_slab_new(struct haslab *s, int class, u64 start, u32 nr_blocks,
					   struct hamem_op *op)
{
	struct haslab_slab *slab = hamem_get(&s->mem, op, sizeof(*slab));

	if (!slab)
		return NULL;
	INIT_LIST_HEAD(&slab->list);
	slab->class = class;
	slab->start = start;
	slab->nr_blocks = nr_blocks;
	return slab;
}

/* A mixed slab, in no list and not in the map yet. */
static struct haslab_slab *haslab_mixed_new(struct haslab *s, u64 start, u32 nr_blocks,
					    struct hamem_op *op)
{
	struct haslab_slab *slab = haslab_slab_new(s, -1, start, nr_blocks, op);

	if (slab && haruns_init(&slab->runs, nr_blocks, &s->mem, op)) {
		hamem_put(&s->mem, slab);
		return NULL;
	}
	return slab;
}

static struct haslab_slab *haslab_objects_new(struct haslab *s, int class, u64 start,
					      u32 nr_blocks, struct hamem_op *op)
{
	struct haslab_slab *slab = haslab_slab_new(s, class, start, nr_blocks, op);
	u32 nr = nr_blocks / s->classes[class].blocks;

	if (!slab)
		return NULL;
	slab->free = hamem_get(&s->mem, op, 2 * BITS_TO_LONGS(nr) * sizeof(long));
	if (!slab->free) {
		hamem_put(&s->mem, slab);
		return NULL;
	}
	slab->live = slab->free + BITS_TO_LONGS(nr);
	bitmap_set(slab->free, 0, nr);
	slab->nr_objects = nr;
	slab->nr_free = nr;
	return slab;
}

/*
 * Make a slab of @class (-1: mixed) of the given blocks, which are not free in
 * the buddy any more.
 */
struct haslab_slab *haslab_slab_create(struct haslab *s, int class, u64 start, u32 nr_blocks,
				       struct hamem_op *op)
{
	struct haslab_slab *slab;

	if (haslab_map_prepare(s, start, nr_blocks, op))
		return NULL;
	if (class < 0)
		slab = haslab_mixed_new(s, start, nr_blocks, op);
	else
		slab = haslab_objects_new(s, class, start, nr_blocks, op);
	if (!slab) {
		haslab_map_trim(s, start);
		return NULL;
	}
	if (class < 0) {
		bucket_add(s, slab);
	} else {
		list_add(&slab->list, &s->classes[class].partial);
		s->classes[class].nr_slab_blocks += nr_blocks;
	}
	haslab_map_set(s, start, nr_blocks, slab);
	s->free_in_slabs += nr_blocks;
	s->nr_slabs++;
	s->made++;
	return slab;
}

/*
 * A new slab from the buddy: of 2^@order units if possible, else smaller, but
 * not below @min_order.
 */
static int haslab_slab_get(struct haslab *s, int class, int order, int min_order,
			   struct hamem_op *op, struct haslab_slab **slab)
{
	u64 start;
	int ret = -ENOSPC;

	for (; order >= min_order; order--) {
		ret = haslab_buddy_alloc(s, order, op, &start);
		if (ret != -ENOSPC)
			break;
	}
	if (ret)
		return ret;
	*slab = haslab_slab_create(s, class, start, unit_blocks(s) << order, op);
	if (!*slab) {
		haslab_buddy_free(s, start, order);
		return -ENOMEM;
	}
	return 0;
}

/* The slab, which is empty and in a list, is no more. */
static void slab_remove(struct haslab *s, struct haslab_slab *slab)
{
	if (slab_is_mixed(slab)) {
		bucket_del(s, slab);
	} else {
		list_del(&slab->list);
		s->classes[slab->class].nr_slab_blocks -= slab->nr_blocks;
	}
	haslab_map_set(s, slab->start, slab->nr_blocks, NULL);
	haslab_map_trim(s, slab->start);
	s->free_in_slabs -= slab->nr_blocks;
	s->returned++;
	haslab_slab_free(s, slab);
}

/* Give an empty slab back to the buddy. */
void haslab_slab_return(struct haslab *s, struct haslab_slab *slab)
{
	u64 start = slab->start;
	u32 nr_blocks = slab->nr_blocks;

	if (slab == s->tail)
		return;
	slab_remove(s, slab);
	haslab_buddy_put(s, start, nr_blocks);
}

/* ---- mixed slabs ---- */

int haslab_mixed_set(struct haslab *s, struct haslab_slab *slab, u64 start, u32 len,
		     enum haruns_state state, struct hamem_op *op)
{
	if (haruns_reserve(&slab->runs, 2, &s->mem, op))
		return -ENOMEM;
	bucket_del(s, slab);
	haruns_set(&slab->runs, start - slab->start, len, state);
	bucket_add(s, slab);
	s->free_in_slabs -= len;
	map_changed(s, start);
	return 0;
}

void haslab_mixed_clear(struct haslab *s, struct haslab_slab *slab, u64 start, u32 len)
{
	bucket_del(s, slab);
	haruns_clear(&slab->runs, start - slab->start);
	bucket_add(s, slab);
	s->free_in_slabs += len;
	map_changed(s, start);
	if (slab->runs.nr_free == slab->nr_blocks)
		haslab_slab_return(s, slab);
}

/*
 * The mixed slab whose largest free run is the smallest that fits, and the
 * best place in it. Looks at a bounded number of slabs, so where the length is
 * at the border of a bucket or @align is large it may miss one that fits;
 * haslab_search() does not.
 */
static struct haslab_slab *mixed_find(struct haslab *s, u32 len, u64 align, u64 *start)
{
	unsigned int bucket = bucket_of(len), buckets = MAX_TRIES, tries;
	struct haslab_slab *slab;
	u32 at;

	while (buckets--) {
		bucket = find_next_bit(s->mixed_mask, HASLAB_NR_BUCKETS, bucket);
		if (bucket >= HASLAB_NR_BUCKETS)
			break;
		tries = MAX_TRIES;
		list_for_each_entry(slab, &s->mixed[bucket], list) {
			if (haruns_best_fit(&slab->runs, len, slab->start, align, &at)) {
				*start = slab->start + at;
				return slab;
			}
			if (!--tries)
				break;
		}
		bucket++;
	}
	return NULL;
}

/* Where the free run that ends a mixed slab begins; its end if there is none. */
static u64 trailing_run(const struct haslab_slab *slab)
{
	struct haruns_run last = haruns_at(&slab->runs, slab->nr_blocks - 1);

	return slab->start + last.start + (last.state == HARUNS_FREE ? 0 : last.len);
}

/* Remember the shortest of the last lengths. */
static void recent_note(struct haslab *s, u32 len)
{
	s->recent_min = min(s->recent_min, len);
	if (++s->recent_nr % RECENT_WINDOW)
		return;
	s->recent_min_before = s->recent_min;
	s->recent_min = U32_MAX;
}

/*
 * Allocate across the border of the slab before @slab and @slab, which is all
 * free. -ENOSPC: not a good place for it.
 */
static int mixed_straddle(struct haslab *s, struct haslab_slab *slab, u32 len, u64 align,
			  struct hamem_op *op, u64 *start)
{
	struct haslab_slab *before = slab->start ? haslab_lookup(s, slab->start - 1) : NULL;
	u32 rest;

	if (!before || !slab_is_mixed(before))
		return -ENOSPC;
	*start = round_up(trailing_run(before), align);
	if (*start >= slab->start || *start + len <= slab->start ||
	    slab->start - *start >= min(s->recent_min, s->recent_min_before))
		return -ENOSPC;
	rest = len - (slab->start - *start);
	if (haruns_reserve(&slab->runs, 2, &s->mem, op) ||
	    haslab_mixed_set(s, before, *start, len - rest, HARUNS_LIVE, op))
		return -ENOMEM;
	slab->continued = true;
	return haslab_mixed_set(s, slab, slab->start, rest, HARUNS_SPECIAL, op);
}

static int mixed_alloc(struct haslab *s, u32 len, u64 align, struct hamem_op *op, u64 *start)
{
	struct haslab_slab *slab = mixed_find(s, len, align, start);
	u64 units = DIV_ROUND_UP(max_t(u64, len, align), unit_blocks(s));
	int max_order = HASLAB_MAX_SHIFT - s->cfg.unit_shift;
	int min_order = order_base_2(units);
	int ret = -ENOSPC;

	recent_note(s, len);
	if (!slab) {
		ret = haslab_slab_get(s, -1, max_order, min_order, op, &slab);
		if (ret)
			return ret;
		ret = mixed_straddle(s, slab, len, align, op, start);
		if (ret == -ENOSPC)
			*start = slab->start;
	}
	if (ret == -ENOSPC)
		ret = haslab_mixed_set(s, slab, *start, len, HARUNS_LIVE, op);
	if (ret && slab->runs.nr_free == slab->nr_blocks)
		haslab_slab_return(s, slab);
	return ret;
}

/* ---- slabs of equal objects ---- */

static unsigned int class_order(const struct haslab *s, int class)
{
	return ilog2(s->classes[class].blocks >> s->cfg.unit_shift);
}

/* Large enough to be worth it, small enough to leave space to other sizes. */
static int object_slab_order(const struct haslab *s, int class, int *min_order)
{
	const struct haslab_class *c = &s->classes[class];
	u64 blocks = max_t(u64, c->blocks * MIN_OBJECTS, c->nr_slab_blocks >> GROWTH_SHIFT);
	u64 units = clamp_t(u64, blocks, unit_blocks(s), HASLAB_MAX_BLOCKS) >> s->cfg.unit_shift;

	*min_order = order_base_2(DIV_ROUND_UP(c->blocks, unit_blocks(s)));
	return max_t(int, ilog2(units), *min_order);
}

static void object_put(struct haslab *s, struct haslab_slab *slab, u32 i)
{
	__set_bit(i, slab->free);
	if (slab->nr_free++ == 0)
		list_add(&slab->list, &s->classes[slab->class].partial);
	slab->hint = min(slab->hint, i);
	s->free_in_slabs += s->classes[slab->class].blocks;
	map_changed(s, slab->start);
	if (slab->nr_free == slab->nr_objects)
		haslab_slab_return(s, slab);
}

static u32 object_take(struct haslab *s, struct haslab_slab *slab)
{
	u32 i = find_next_bit(slab->free, slab->nr_objects, slab->hint);

	__clear_bit(i, slab->free);
	slab->hint = i + 1;
	if (--slab->nr_free == 0)
		list_del_init(&slab->list);
	s->free_in_slabs -= s->classes[slab->class].blocks;
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
	s->free_in_slabs -= (u64)nr * s->classes[slab->class].blocks;
	map_changed(s, slab->start);
}

void haslab_objects_unhold(struct haslab *s, struct haslab_slab *slab, u32 first, u32 end)
{
	/* the slab may go with its last object */
	while (first < end)
		object_put(s, slab, first++);
}

static int object_batch(struct haslab *s, int class, struct haslab_ref *refs, int nr,
			struct hamem_op *op)
{
	struct haslab_class *c = &s->classes[class];
	struct haslab_slab *slab;
	int min_order, order, ret, got = 0;

	if (list_empty(&c->partial)) {
		order = object_slab_order(s, class, &min_order);
		ret = haslab_slab_get(s, class, order, min_order, op, &slab);
		if (ret)
			return ret;
	}
	while (got < nr && !list_empty(&c->partial)) {
		slab = list_first_entry(&c->partial, struct haslab_slab, list);
		while (got < nr && slab->nr_free) {
			u32 i = object_take(s, slab);

			refs[got++] = (struct haslab_ref) {
				.slab = slab, .index = i, .start = object_start(s, slab, i),
			};
		}
	}
	return got;
}

static int block_batch(struct haslab *s, int class, struct haslab_ref *refs, int nr,
		       struct hamem_op *op)
{
	int ret = 0, got = 0;
	u64 start;

	while (got < nr) {
		ret = haslab_buddy_alloc(s, class_order(s, class), op, &start);
		if (ret)
			break;
		refs[got++] = (struct haslab_ref) { .start = start };
	}
	return got ?: ret;
}

/**
 * haslab_class_of - the common size that a length is
 * @s: the slab allocator
 * @len: in blocks
 *
 * Return: the class, which the functions for objects take; -1 if it is none,
 * or one that is not served from objects in this configuration.
 */
int haslab_class_of(const struct haslab *s, u64 len)
{
	int class;

	if (len - 1 < 16)
		class = len - 1;
	else if (len <= HASLAB_MAX_CLASS_BLOCKS && is_power_of_2(len))
		class = 11 + ilog2(len);
	else
		return -1;
	return s->classes[class].kind == HASLAB_FROM_MIXED ? -1 : class;
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
	struct hamem_op op = HAMEM_OP(gfp);

	if (s->classes[class].kind == HASLAB_FROM_BUDDY)
		return haslab_locked(s, &op, block_batch(s, class, refs, nr, &op));
	return haslab_locked(s, &op, object_batch(s, class, refs, nr, &op));
}

static void haslab_put_object(struct haslab *s, int class, const struct haslab_ref *ref)
{
	lockdep_assert_held(&s->lock);
	if (ref->slab)
		object_put(s, ref->slab, ref->index);
	else
		haslab_buddy_free(s, ref->start, class_order(s, class));
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
	int i;

	spin_lock(&s->lock);
	for (i = 0; i < nr; i++)
		haslab_put_object(s, class, &refs[i]);
	spin_unlock(&s->lock);
}

/**
 * haslab_own - a CACHED object becomes a live extent
 * @s: the slab allocator
 * @class: its size
 * @ref: the object
 *
 * Context: any, lockless.
 */
void haslab_own(struct haslab *s, int class, const struct haslab_ref *ref)
{
	if (ref->slab)
		set_bit(ref->index, ref->slab->live);
	else
		habuddy_own(&s->buddy, ref->start >> s->cfg.unit_shift, class_order(s, class));
}

/**
 * haslab_disown - a live extent becomes a CACHED object
 * @s: the slab allocator
 * @class: the size that the caller claims it has
 * @start: its first block, inside the device
 * @ref: out: the object
 *
 * Atomic: of several callers one wins. Context: any, lockless.
 *
 * Return: whether just this extent was live as an object of @class. If not,
 * haslab_free() tells what it is.
 */
bool haslab_disown(struct haslab *s, int class, u64 start, struct haslab_ref *ref)
{
	struct haslab_slab *slab;
	bool won = false;
	u32 i;

	if (s->classes[class].kind == HASLAB_FROM_BUDDY) {
		*ref = (struct haslab_ref) { .start = start };
		return IS_ALIGNED(start, s->classes[class].blocks) &&
		       habuddy_disown(&s->buddy, start >> s->cfg.unit_shift, class_order(s, class));
	}
	rcu_read_lock();
	slab = haslab_lookup(s, start);
	if (slab && slab->class == class) {
		i = object_of(s, slab, start);
		won = i < slab->nr_objects && object_start(s, slab, i) == start &&
		      test_and_clear_bit(i, slab->live);
		*ref = (struct haslab_ref) { .slab = slab, .index = i, .start = start };
	}
	rcu_read_unlock();
	return won;
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
 * Turn a slab of equal objects into a mixed one with the same extents. Nobody
 * frees into the pools now (see @exclusive above), but somebody may be on his
 * way from haslab_get_objects() to haslab_own(): -EAGAIN, it will not take long.
 */
int haslab_convert(struct haslab *s, struct haslab_slab **slabp, struct hamem_op *op)
{
	struct haslab_slab *old = *slabp, *slab;
	u32 nr_live = objects_live(old);
	u32 blocks = s->classes[old->class].blocks, i;

	if (nr_live + old->nr_free != old->nr_objects)
		return -EAGAIN;
	slab = haslab_mixed_new(s, old->start, old->nr_blocks, op);
	if (!slab)
		return -ENOMEM;
	if (haruns_reserve(&slab->runs, 2 * nr_live, &s->mem, op)) {
		haruns_destroy(&slab->runs, &s->mem);
		hamem_put(&s->mem, slab);
		return -ENOMEM;
	}
	for_each_set_bit(i, old->live, old->nr_objects)
		haruns_set(&slab->runs, i * blocks, blocks, HARUNS_LIVE);
	if (old->nr_free)
		list_del(&old->list);
	s->classes[old->class].nr_slab_blocks -= old->nr_blocks;
	bucket_add(s, slab);
	haslab_map_set(s, slab->start, slab->nr_blocks, slab);
	s->nr_slabs++;
	haslab_slab_free(s, old);
	*slabp = slab;
	return 0;
}

/* ---- extents of any size ---- */

/* At the start of a block of the buddy that is large enough to be aligned so. */
static int block_aligned_alloc(struct haslab *s, u64 len, u64 align, struct hamem_op *op,
			       u64 *start)
{
	unsigned int order = order_base_2(DIV_ROUND_UP_ULL(max(len, align), unit_blocks(s)));
	int ret = haslab_buddy_alloc(s, order, op, start);

	if (ret)
		return ret;
	haslab_buddy_free(s, *start, order);
	return haslab_extent_take(s, *start, len, op);
}

/* Units in a row, of which the last need not be used up. */
static int run_alloc(struct haslab *s, u64 len, struct hamem_op *op, u64 *start)
{
	u64 unit;

	if (!habuddy_find_run(&s->buddy, DIV_ROUND_UP_ULL(len, unit_blocks(s)), &unit))
		return -ENOSPC;
	*start = unit << s->cfg.unit_shift;
	return haslab_extent_take(s, *start, len, op);
}

static int alloc_locked(struct haslab *s, u64 len, u64 align, struct hamem_op *op, u64 *start)
{
	unsigned int order;
	int ret;

	if (len >= unit_blocks(s) && is_power_of_2(len) && align <= len) {
		order = ilog2(len) - s->cfg.unit_shift;
		ret = haslab_buddy_alloc(s, order, op, start);
		if (!ret)
			habuddy_own(&s->buddy, *start >> s->cfg.unit_shift, order);
		if (ret != -ENOSPC)
			return ret;
	}
	if (len <= HASLAB_MAX_BLOCKS && align <= HASLAB_MAX_BLOCKS)
		return mixed_alloc(s, len, align, op, start);
	return align > unit_blocks(s) ? block_aligned_alloc(s, len, align, op, start) :
					run_alloc(s, len, op, start);
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
	struct hamem_op op = HAMEM_OP(gfp);

	return haslab_locked(s, &op, alloc_locked(s, len, align, &op, start));
}

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
	if (habuddy_find_owned(&s->buddy, unit, &owned, &order))
		return haslab_refuse_live(reason, start, owned << s->cfg.unit_shift);
	return haslab_span_free(s, start, len, reason);
}

/* The slab that the extent which ends @slab continues in, or NULL. */
struct haslab_slab *haslab_continuation(struct haslab *s, const struct haslab_slab *slab)
{
	u64 end = slab_end(slab);
	struct haslab_slab *next = end < s->cfg.nr_blocks ? haslab_lookup(s, end) : NULL;

	return next && slab_is_mixed(next) && next->continued ? next : NULL;
}

static int mixed_free(struct haslab *s, struct haslab_slab *slab, u64 start, u64 len,
		      enum hybrid_alloc_reason *reason)
{
	struct haruns_run run = haruns_at(&slab->runs, start - slab->start);
	struct haslab_slab *next = NULL;
	u32 rest = 0;

	if (run.state == HARUNS_FREE)
		return haslab_refuse(reason, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
	if (!run.start && slab->continued)
		return haslab_refuse(reason, HYBRID_ALLOC_REASON_WRONG_START);
	if (run.state == HARUNS_SPECIAL)
		return haslab_span_free(s, start, len, reason);
	if (run.start + run.len == slab->nr_blocks)
		next = haslab_continuation(s, slab);
	if (next)
		rest = haruns_at(&next->runs, 0).len;
	if (slab->start + run.start != start || run.len + rest != len)
		return haslab_refuse_live(reason, start, slab->start + run.start);
	if (next) {
		next->continued = false;
		haslab_mixed_clear(s, next, next->start, rest);
	}
	haslab_mixed_clear(s, slab, start, run.len);
	return 0;
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
	struct haslab_slab *slab;
	int ret;

	spin_lock(&s->lock);
	slab = haslab_lookup(s, start);
	if (!slab)
		ret = block_free(s, start, len, reason);
	else if (slab_is_mixed(slab))
		ret = mixed_free(s, slab, start, len, reason);
	else
		ret = object_free(s, slab, start, len, reason);
	spin_unlock(&s->lock);
	return ret;
}

/* ---- life ---- */

static void haslab_init_classes(struct haslab *s)
{
	int i;

	for (i = 0; i < HASLAB_NR_CLASSES; i++) {
		struct haslab_class *c = &s->classes[i];

		INIT_LIST_HEAD(&c->partial);
		c->blocks = i < 16 ? i + 1 : 1U << (i - 11);
		if (c->blocks <= s->cfg.slab_max)
			c->kind = HASLAB_FROM_SLAB;
		else if (c->blocks >= unit_blocks(s) && is_power_of_2(c->blocks))
			c->kind = HASLAB_FROM_BUDDY;
		else
			c->kind = HASLAB_FROM_MIXED;
	}
	for (i = 0; i < HASLAB_NR_BUCKETS; i++)
		INIT_LIST_HEAD(&s->mixed[i]);
}

static u64 nr_dirs_for(u64 nr_blocks)
{
	return ((nr_blocks - 1) >> (HASLAB_MAX_SHIFT + DIR_SHIFT)) + 1;
}

/*
 * A mixed slab that never goes away, so it gets all the memory that it may ever
 * need now: at the head or the tail of the managed space, for what is not a
 * whole unit.
 */
static struct haslab_slab *lasting_create(struct haslab *s, u64 start, u32 nr_blocks,
					  struct hamem_op *op)
{
	struct haslab_slab *slab = haslab_slab_create(s, -1, start, nr_blocks, op);

	if (slab && haruns_reserve(&slab->runs, nr_blocks + 1, &s->mem, op)) {
		slab_remove(s, slab);
		slab = NULL;
	}
	return slab;
}

static int haslab_init_tail(struct haslab *s, struct hamem_op *op)
{
	u64 start = round_down(s->cfg.nr_blocks, unit_blocks(s));

	if (start == s->cfg.nr_blocks)
		return 0;
	s->tail = lasting_create(s, start, s->cfg.nr_blocks - start, op);
	return s->tail ? 0 : -ENOMEM;
}

/* What is before the first block is nobody's, and never was free. */
static int haslab_init_head(struct haslab *s, struct hamem_op *op)
{
	u64 start = round_down(s->cfg.first_block, unit_blocks(s));
	u64 end = round_up(s->cfg.first_block, unit_blocks(s));
	struct haslab_slab *slab;
	int ret;

	if (!end)
		return 0;
	ret = haslab_buddy_take(s, 0, end, op);
	if (ret || start == end)
		return ret;
	slab = lasting_create(s, start, unit_blocks(s), op);
	if (!slab) {
		haslab_buddy_put(s, 0, end);
		return -ENOMEM;
	}
	/* there is room for it */
	return haslab_mixed_set(s, slab, start, s->cfg.first_block - start, HARUNS_SPECIAL, op);
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
	    cfg->nr_blocks >> 62 || !is_power_of_2(cfg->slab_max) ||
	    round_up(cfg->first_block, 1ULL << cfg->unit_shift) > cfg->nr_blocks)
		return -EINVAL;
	memset(s, 0, sizeof(*s));
	spin_lock_init(&s->lock);
	s->cfg = *cfg;
	s->spans = RB_ROOT;
	s->recent_min = U32_MAX;
	s->recent_min_before = U32_MAX;
	haslab_init_classes(s);
	s->nr_dirs = nr_dirs_for(cfg->nr_blocks);
	s->dirs = kvcalloc(s->nr_dirs, sizeof(*s->dirs), GFP_KERNEL);
	if (!s->dirs)
		return -ENOMEM;
	atomic_long_add(s->nr_dirs * sizeof(*s->dirs), &s->mem.bytes);
	do {
		ret = habuddy_init(&s->buddy, cfg->nr_blocks >> cfg->unit_shift, &s->mem, &op);
	} while (ret == -ENOMEM && hamem_refill(&op));
	if (!ret)
		ret = haslab_locked(s, &op, haslab_init_head(s, &op));
	if (!ret)
		ret = haslab_locked(s, &op, haslab_init_tail(s, &op));
	hamem_finish(&op);
	if (ret)
		haslab_destroy(s);
	return ret;
}

/* Runs for the tail, which is to have @nr_blocks, with what is in it now. */
static int tail_copy(struct haslab *s, struct haruns *r, u32 nr_blocks, struct hamem_op *op)
{
	const struct haruns *old = &s->tail->runs;
	struct haruns_run run;
	u32 pos;

	if (haruns_init(r, nr_blocks, &s->mem, op))
		return -ENOMEM;
	if (haruns_reserve(r, nr_blocks + 1, &s->mem, op)) {
		haruns_destroy(r, &s->mem);
		return -ENOMEM;
	}
	for (pos = 0; pos < old->nr_blocks; pos += run.len) {
		run = haruns_at(old, pos);
		if (run.state != HARUNS_FREE)
			haruns_set(r, pos, run.len, run.state);
	}
	return 0;
}

/* The tail becomes larger; when it is a whole unit it is a slab like others. */
static void tail_grow(struct haslab *s, const struct haruns *r)
{
	struct haslab_slab *tail = s->tail;

	bucket_del(s, tail);
	s->free_in_slabs += r->nr_blocks - tail->nr_blocks;
	haruns_destroy(&tail->runs, &s->mem);
	tail->runs = *r;
	tail->nr_blocks = r->nr_blocks;
	bucket_add(s, tail);
	if (tail->nr_blocks < unit_blocks(s))
		return;
	if (tail->nr_blocks == HASLAB_MAX_BLOCKS)
		haslab_map_fill(s, tail);
	s->tail = NULL;
	if (tail->runs.nr_free == tail->nr_blocks)
		haslab_slab_return(s, tail);
}

static int grow_locked(struct haslab *s, u64 nr_blocks, struct hamem_op *op)
{
	u64 nr_units = nr_blocks >> s->cfg.unit_shift, from = s->buddy.nr_units;
	u64 rest = nr_units << s->cfg.unit_shift;
	bool needs_tail = nr_blocks > rest && (!s->tail || s->tail->start != rest);
	struct haslab_slab *new_tail = NULL;
	struct haruns runs = {};
	int ret;

	if (nr_units > from && s->tail)
		from++;
	ret = habuddy_grow_prepare(&s->buddy, nr_units, from, op);
	if (!ret && s->tail)
		ret = tail_copy(s, &runs, min_t(u64, nr_blocks - s->tail->start, unit_blocks(s)),
				op);
	if (ret)
		return ret;
	if (needs_tail) {
		new_tail = lasting_create(s, rest, nr_blocks - rest, op);
		if (!new_tail) {
			haruns_destroy(&runs, &s->mem);
			return -ENOMEM;
		}
	}
	/* nothing can fail any more */
	map_changed(s, s->cfg.nr_blocks - 1);
	s->cfg.nr_blocks = nr_blocks;
	habuddy_grow(&s->buddy, nr_units, from);
	if (s->tail)
		tail_grow(s, &runs);
	if (new_tail)
		s->tail = new_tail;
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
	struct haslab_dir __rcu **dirs, **old;
	u64 nr_dirs = nr_dirs_for(nr_blocks);
	struct hamem_op op = HAMEM_OP(gfp);

	if (nr_blocks < s->cfg.nr_blocks || nr_blocks >> 62)
		return -EINVAL;
	if (nr_dirs > s->nr_dirs) {
		dirs = kvcalloc(nr_dirs, sizeof(*dirs), gfp);
		if (!dirs)
			return -ENOMEM;
		spin_lock(&s->lock);
		old = s->dirs;
		memcpy(dirs, old, s->nr_dirs * sizeof(*dirs));
		/* pairs with map_dir(): the array is filled before it is seen */
		smp_store_release(&s->dirs, dirs);
		atomic_long_add((nr_dirs - s->nr_dirs) * sizeof(*dirs), &s->mem.bytes);
		s->nr_dirs = nr_dirs;
		spin_unlock(&s->lock);
		synchronize_rcu();
		kvfree(old);
	}
	return haslab_locked(s, &op, grow_locked(s, nr_blocks, &op));
}

/* Forget the slab at @pos. Return: where to go on. */
static u64 haslab_forget(struct haslab *s, u64 pos)
{
	struct haslab_slab *slab;
	u64 end;

	if (!map_dir(s, pos))
		return round_down(pos, DIR_BLOCKS) + DIR_BLOCKS;
	slab = haslab_lookup(s, pos);
	if (!slab)
		return round_down(pos, unit_blocks(s)) + unit_blocks(s);
	end = slab_end(slab);
	haslab_map_set(s, slab->start, slab->nr_blocks, NULL);
	haslab_map_trim(s, slab->start);
	haslab_slab_free(s, slab);
	return end;
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
	u64 pos = 0;

	while (pos < s->cfg.nr_blocks) {
		pos = haslab_forget(s, pos);
		cond_resched();
	}
	rbtree_postorder_for_each_entry_safe(span, next, &s->spans, node)
		hamem_put(&s->mem, span);
	habuddy_destroy(&s->buddy);
	kvfree(s->dirs);
	/* haslab_slab_rcu() is code of this module */
	rcu_barrier();
}
