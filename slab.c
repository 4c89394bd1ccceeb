// SPDX-License-Identifier: GPL-2.0
/*
 * The slab layer: all space of a device that is only partly used.
 *
 * A slab is a power-of-two block of the buddy, 64 MiB at the most, that is cut
 * into smaller extents. There are two kinds:
 *
 *   slabs of equal objects   for one common size (haslab_class). Two bits an
 *	object: free, and live. An object that is neither is CACHED: it is in a
 *	pool. Taking and giving back is a bit operation, many at a time for the
 *	pools, and the live bit is the ownership mark that is cleared atomically
 *	and without a lock when an extent is freed into a pool.
 *   mixed slabs              for everything else: runs of any length (runs.c).
 *	The extents in it are found by best fit: strict segregation by size
 *	wastes a quarter of a disk and first fit fragments it, best fit inside
 *	large aligned slabs is as good as an unconfined one.
 *
 * An empty slab goes back to the buddy at once. The blocks behind the last
 * whole unit, which no buddy knows, are a mixed slab that stays.
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
 * From an address to its slab in two or three steps: dirs[] by 16 GiB, made
 * for what is in use; in a dir a slot per 64 MiB (the largest slab). A slot is
 * either the slab that fills it, marked by its lowest bit, or a table with an
 * entry for each unit, or nothing.
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
#include <linux/bitmap.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>

#include "slab.h"

#define DIR_SHIFT	8
#define DIR_SLOTS	(1U << DIR_SHIFT)
#define DIR_BLOCKS	((u64)HASLAB_MAX_BLOCKS << DIR_SHIFT)
#define SLOT_IS_SLAB	1UL

/* Slabs of equal objects: this many objects at least, if there is the space. */
#define MIN_OBJECTS	16
/* A class's next slab is at most this part of what it has already. */
#define GROWTH_SHIFT	2
/* How many mixed slabs to look at whose largest run may be too short. */
#define MAX_TRIES	8

/**
 * struct haslab_slab - a block of the buddy that is cut up
 * @list: in haslab_class.partial (if it has a free object) or haslab.mixed
 * @start: first block
 * @nr_blocks: size; a power of two units, but for the tail
 * @class: of the equal objects; -1 for a mixed slab
 * @bucket: index in haslab.mixed
 * @rcu: lockless readers may still look
 * @runs: of a mixed slab
 * @free: bitmap of free objects
 * @live: bitmap of live objects
 * @nr_objects: how many there are
 * @nr_free: how many of them are free
 * @hint: no object before this one is free
 */
struct haslab_slab {
	struct list_head list;
	u64 start;
	u32 nr_blocks;
	s16 class;
	u16 bucket;
	struct rcu_head rcu;
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
 * struct haslab_dir - the slots of 16 GiB
 * @rcu: lockless readers may still look
 * @nr: slots in use
 * @slot: a slab with SLOT_IS_SLAB, a table, or NULL
 */
struct haslab_dir {
	struct rcu_head rcu;
	u32 nr;
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
	int __ret;							\
	do {								\
		spin_lock(&(s)->lock);					\
		__ret = (expr);						\
		spin_unlock(&(s)->lock);				\
	} while (__ret == -ENOMEM && hamem_refill(op));			\
	hamem_finish(op);						\
	__ret;								\
})

static u32 unit_blocks(const struct haslab *s)
{
	return 1U << s->cfg.unit_shift;
}

static u64 slab_end(const struct haslab_slab *slab)
{
	return slab->start + slab->nr_blocks;
}

static bool slab_is_mixed(const struct haslab_slab *slab)
{
	return slab->class < 0;
}

/* ---- the map ---- */

static struct haslab_dir *map_dir(const struct haslab *s, u64 block)
{
	return rcu_dereference_raw(s->dirs[block >> (HASLAB_MAX_SHIFT + DIR_SHIFT)]);
}

static u32 dir_slot(u64 block)
{
	return (block >> HASLAB_MAX_SHIFT) & (DIR_SLOTS - 1);
}

static u32 table_unit(const struct haslab *s, u64 block)
{
	return (block & (HASLAB_MAX_BLOCKS - 1)) >> s->cfg.unit_shift;
}

/* The slab that a block belongs to, or NULL. Under RCU or the lock. */
static struct haslab_slab *haslab_lookup(const struct haslab *s, u64 block)
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

/* Free what holds no slab any more around @block. */
static void haslab_map_trim(struct haslab *s, u64 block)
{
	struct haslab_dir *dir = map_dir(s, block);
	struct haslab_table *table;
	void *slot;

	if (!dir)
		return;
	slot = rcu_dereference_raw(dir->slot[dir_slot(block)]);
	table = (unsigned long)slot & SLOT_IS_SLAB ? NULL : slot;
	if (table && !table->nr) {
		RCU_INIT_POINTER(dir->slot[dir_slot(block)], NULL);
		dir->nr--;
		hamem_put_rcu(&s->mem, table, rcu);
	}
	if (!dir->nr) {
		RCU_INIT_POINTER(s->dirs[block >> (HASLAB_MAX_SHIFT + DIR_SHIFT)], NULL);
		hamem_put_rcu(&s->mem, dir, rcu);
	}
}

/* Make the dir and, for slabs smaller than a slot, the table. */
static int haslab_map_prepare(struct haslab *s, u64 block, u32 nr_blocks, struct hamem_op *op)
{
	struct haslab_dir *dir = map_dir(s, block);
	struct haslab_table *table;

	if (!dir) {
		dir = hamem_get(&s->mem, op, sizeof(*dir));
		if (!dir)
			return -ENOMEM;
		rcu_assign_pointer(s->dirs[block >> (HASLAB_MAX_SHIFT + DIR_SHIFT)], dir);
	}
	if (nr_blocks == HASLAB_MAX_BLOCKS || rcu_access_pointer(dir->slot[dir_slot(block)]))
		return 0;
	table = hamem_get(&s->mem, op,
			  struct_size(table, unit, HASLAB_MAX_BLOCKS >> s->cfg.unit_shift));
	if (!table) {
		haslab_map_trim(s, block);
		return -ENOMEM;
	}
	rcu_assign_pointer(dir->slot[dir_slot(block)], (void *)table);
	dir->nr++;
	return 0;
}

/* Enter @slab for its blocks, or with @slab NULL the one that was there leaves. */
static void haslab_map_set(struct haslab *s, u64 start, u32 nr_blocks, struct haslab_slab *slab)
{
	struct haslab_dir *dir = map_dir(s, start);
	void __rcu **slot = &dir->slot[dir_slot(start)];
	struct haslab_table *table;
	u32 i, end;

	if (nr_blocks == HASLAB_MAX_BLOCKS) {
		dir->nr += !!slab - !!rcu_access_pointer(*slot);
		rcu_assign_pointer(*slot, slab ? (void *)slab + SLOT_IS_SLAB : NULL);
		return;
	}
	table = rcu_dereference_raw(*slot);
	end = table_unit(s, start + nr_blocks - 1);
	for (i = table_unit(s, start); i <= end; i++) {
		table->nr += !!slab - !!rcu_access_pointer(table->unit[i]);
		rcu_assign_pointer(table->unit[i], slab);
	}
}

/* ---- slabs ---- */

static unsigned int bucket_of(u32 len)
{
	unsigned int shift;

	if (len < 2 << HASLAB_BUCKET_SHIFT)
		return len;
	shift = ilog2(len) - HASLAB_BUCKET_SHIFT;
	return (shift << HASLAB_BUCKET_SHIFT) + (len >> shift);
}

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
static struct haslab_slab *haslab_slab_create(struct haslab *s, int class, u64 start,
					      u32 nr_blocks, struct hamem_op *op)
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
	u64 unit;
	int ret = -ENOSPC;

	for (; order >= min_order; order--) {
		ret = habuddy_alloc(&s->buddy, order, op, &unit);
		if (ret != -ENOSPC)
			break;
	}
	if (ret)
		return ret;
	*slab = haslab_slab_create(s, class, unit << s->cfg.unit_shift,
				   unit_blocks(s) << order, op);
	if (!*slab) {
		habuddy_free(&s->buddy, unit, order);
		return -ENOMEM;
	}
	return 0;
}

/* Give an empty slab back to the buddy. It is in a list. */
static void haslab_slab_return(struct haslab *s, struct haslab_slab *slab)
{
	if (slab == s->tail)
		return;
	if (slab_is_mixed(slab)) {
		bucket_del(s, slab);
	} else {
		list_del(&slab->list);
		s->classes[slab->class].nr_slab_blocks -= slab->nr_blocks;
	}
	haslab_map_set(s, slab->start, slab->nr_blocks, NULL);
	haslab_map_trim(s, slab->start);
	habuddy_put(&s->buddy, slab->start >> s->cfg.unit_shift,
		    slab->nr_blocks >> s->cfg.unit_shift);
	s->free_in_slabs -= slab->nr_blocks;
	s->returned++;
	haslab_slab_free(s, slab);
}

/* ---- mixed slabs ---- */

static int mixed_set(struct haslab *s, struct haslab_slab *slab, u64 start, u32 len,
		     enum haruns_state state, struct hamem_op *op)
{
	if (haruns_reserve(&slab->runs, &s->mem, op))
		return -ENOMEM;
	bucket_del(s, slab);
	haruns_set(&slab->runs, start - slab->start, len, state);
	bucket_add(s, slab);
	s->free_in_slabs -= len;
	return 0;
}

static void mixed_clear(struct haslab *s, struct haslab_slab *slab, u64 start, u32 len)
{
	bucket_del(s, slab);
	haruns_clear(&slab->runs, start - slab->start);
	bucket_add(s, slab);
	s->free_in_slabs += len;
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

static int mixed_alloc(struct haslab *s, u32 len, u64 align, struct hamem_op *op, u64 *start)
{
	struct haslab_slab *slab = mixed_find(s, len, align, start);
	u64 units = DIV_ROUND_UP(max_t(u64, len, align), unit_blocks(s));
	int max_order = HASLAB_MAX_SHIFT - s->cfg.unit_shift;
	int min_order = order_base_2(units);
	int ret;

	if (!slab) {
		ret = haslab_slab_get(s, -1, max_order, min_order, op, &slab);
		if (ret)
			return ret;
		*start = slab->start;
	}
	ret = mixed_set(s, slab, *start, len, HARUNS_LIVE, op);
	if (ret && slab->runs.nr_free == slab->nr_blocks)
		haslab_slab_return(s, slab);
	return ret;
}

/* ---- slabs of equal objects ---- */

static unsigned int class_order(const struct haslab *s, int class)
{
	return ilog2(s->classes[class].blocks >> s->cfg.unit_shift);
}

static u64 object_start(const struct haslab *s, const struct haslab_slab *slab, u32 i)
{
	return slab->start + (u64)i * s->classes[slab->class].blocks;
}

static u32 object_of(const struct haslab *s, const struct haslab_slab *slab, u64 block)
{
	return (u32)(block - slab->start) / s->classes[slab->class].blocks;
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
	return i;
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
	u64 unit;

	while (got < nr) {
		ret = habuddy_alloc(&s->buddy, class_order(s, class), op, &unit);
		if (ret)
			break;
		refs[got++] = (struct haslab_ref) { .start = unit << s->cfg.unit_shift };
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
		habuddy_free(&s->buddy, ref->start >> s->cfg.unit_shift, class_order(s, class));
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

/*
 * Turn a slab of equal objects into a mixed one with the same extents. Nobody
 * frees into the pools now (see @exclusive above), but somebody may be on his
 * way from haslab_get_objects() to haslab_own(): -EAGAIN, it will not take long.
 */
static int haslab_convert(struct haslab *s, struct haslab_slab **slabp, struct hamem_op *op)
{
	struct haslab_slab *old = *slabp, *slab;
	u32 blocks = s->classes[old->class].blocks, i;

	if (bitmap_weight(old->live, old->nr_objects) + old->nr_free != old->nr_objects)
		return -EAGAIN;
	slab = haslab_mixed_new(s, old->start, old->nr_blocks, op);
	if (!slab)
		return -ENOMEM;
	for_each_set_bit(i, old->live, old->nr_objects) {
		if (haruns_reserve(&slab->runs, &s->mem, op)) {
			haruns_destroy(&slab->runs, &s->mem);
			hamem_put(&s->mem, slab);
			return -ENOMEM;
		}
		haruns_set(&slab->runs, i * blocks, blocks, HARUNS_LIVE);
	}
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

/* ---- spans ---- */

/* The span that starts last at or before @block, or NULL. */
static struct haslab_span *span_find(struct haslab *s, u64 block)
{
	struct rb_node *node = s->spans.rb_node;
	struct haslab_span *span, *best = NULL;

	while (node) {
		span = rb_entry(node, struct haslab_span, node);
		if (span->start <= block) {
			best = span;
			node = node->rb_right;
		} else {
			node = node->rb_left;
		}
	}
	return best && block - best->start < best->len ? best : NULL;
}

static void span_insert(struct haslab *s, struct haslab_span *span)
{
	struct rb_node **link = &s->spans.rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		if (span->start < rb_entry(parent, struct haslab_span, node)->start)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&span->node, parent, link);
	rb_insert_color(&span->node, &s->spans);
}

/* ---- given ranges ---- */

/* How many blocks are free from @pos on, as far as its slab or block goes. */
static u64 free_at(struct haslab *s, u64 pos)
{
	struct haslab_slab *slab = haslab_lookup(s, pos);
	struct haruns_run run;
	u64 end, unit;
	int order;
	u32 i;

	if (!slab) {
		unit = pos >> s->cfg.unit_shift;
		order = habuddy_free_order(&s->buddy, unit);
		if (order < 0)
			return 0;
		end = ((unit >> order) + 1) << order << s->cfg.unit_shift;
	} else if (slab_is_mixed(slab)) {
		run = haruns_at(&slab->runs, pos - slab->start);
		if (run.state != HARUNS_FREE)
			return 0;
		end = slab->start + run.start + run.len;
	} else {
		i = object_of(s, slab, pos);
		if (i < slab->nr_objects)
			i = find_next_zero_bit(slab->free, slab->nr_objects, i);
		end = i < slab->nr_objects ? object_start(s, slab, i) : slab_end(slab);
	}
	return end > pos ? end - pos : 0;
}

/* The first position behind @pos, which is not free, that may be free. */
static u64 skip_used(struct haslab *s, u64 pos)
{
	struct haslab_slab *slab = haslab_lookup(s, pos);
	struct haruns_run run;
	u64 unit, nr, end, step;
	u32 i;

	if (!slab) {
		step = map_dir(s, pos) ? unit_blocks(s) : DIR_BLOCKS;
		end = round_down(pos, step) + step;
		if (habuddy_next_free(&s->buddy, pos >> s->cfg.unit_shift, &unit, &nr))
			end = min(end, unit << s->cfg.unit_shift);
		return end;
	}
	if (slab_is_mixed(slab)) {
		run = haruns_at(&slab->runs, pos - slab->start);
		return slab->start + run.start + run.len;
	}
	i = find_next_bit(slab->free, slab->nr_objects, object_of(s, slab, pos));
	return object_start(s, slab, i);
}

/* The first free run at or behind @pos, across all borders. */
static bool next_run(struct haslab *s, u64 pos, u64 *start, u64 *len)
{
	u64 n;

	while (pos < s->cfg.nr_blocks && !free_at(s, pos))
		pos = skip_used(s, pos);
	*start = pos;
	while (pos < s->cfg.nr_blocks && (n = free_at(s, pos)))
		pos += n;
	*len = pos - *start;
	return *start < s->cfg.nr_blocks;
}

/*
 * Whether a range is free; -EAGAIN if the answer may be another one in the
 * exclusive mode, with the pools empty.
 */
static int range_is_free(struct haslab *s, u64 start, u64 len, bool exclusive)
{
	u64 pos = start, n;

	while (pos < start + len) {
		struct haslab_slab *slab = haslab_lookup(s, pos);

		if (!exclusive && slab && !slab_is_mixed(slab))
			return -EAGAIN;
		n = free_at(s, pos);
		if (!n)
			return exclusive ? -EEXIST : -EAGAIN;
		pos += n;
	}
	return 0;
}

/* The order of the slab that haslab_slab_around() would make; -1 for none. */
static int around_order(struct haslab *s, u64 block)
{
	return min_t(int, habuddy_free_order(&s->buddy, block >> s->cfg.unit_shift),
		     HASLAB_MAX_SHIFT - s->cfg.unit_shift);
}

static u64 around_end(struct haslab *s, u64 block)
{
	int order = around_order(s, block);
	u64 size = order < 0 ? 0 : (u64)unit_blocks(s) << order;

	return size ? round_down(block, size) + size : 0;
}

/* Make a mixed slab of the free block around a block. */
static int haslab_slab_around(struct haslab *s, u64 block, struct hamem_op *op,
			      struct haslab_slab **slab)
{
	int order = around_order(s, block);
	u64 unit = block >> s->cfg.unit_shift >> order << order;
	int ret;

	ret = habuddy_take(&s->buddy, unit, 1ULL << order, op);
	if (ret)
		return ret;
	*slab = haslab_slab_create(s, -1, unit << s->cfg.unit_shift, unit_blocks(s) << order, op);
	if (!*slab) {
		habuddy_put(&s->buddy, unit, 1ULL << order);
		return -ENOMEM;
	}
	return 0;
}

/* How many whole units from @pos to @end belong to no slab. */
static u64 units_without_slab(struct haslab *s, u64 pos, u64 end)
{
	u64 at = pos;

	end = round_down(end, unit_blocks(s));
	while (at < end && !haslab_lookup(s, at)) {
		u64 step = map_dir(s, at) ? unit_blocks(s) : DIR_BLOCKS;

		at = min(end, round_down(at, step) + step);
	}
	return (at - pos) >> s->cfg.unit_shift;
}

/* Free the pieces of an extent from @pos to @end. */
static void pieces_put(struct haslab *s, u64 pos, u64 end)
{
	while (pos < end) {
		struct haslab_slab *slab = haslab_lookup(s, pos);

		if (slab) {
			u64 piece = min(end, slab_end(slab));

			mixed_clear(s, slab, pos, piece - pos);
			pos = piece;
		} else {
			u64 nr = units_without_slab(s, pos, end);

			habuddy_put(&s->buddy, pos >> s->cfg.unit_shift, nr);
			pos += nr << s->cfg.unit_shift;
		}
	}
}

/*
 * Take the free blocks from @start to @end, in the pieces in which
 * pieces_put() will find them.
 */
static int pieces_take(struct haslab *s, u64 start, u64 end, enum haruns_state state,
		       struct hamem_op *op)
{
	u64 pos = start, piece;
	int ret = 0;

	while (pos < end) {
		struct haslab_slab *slab = haslab_lookup(s, pos);
		u64 nr = 0;

		if (!slab && IS_ALIGNED(pos, unit_blocks(s)))
			nr = units_without_slab(s, pos, end);
		if (nr) {
			ret = habuddy_take(&s->buddy, pos >> s->cfg.unit_shift, nr, op);
			piece = pos + (nr << s->cfg.unit_shift);
		} else {
			if (!slab)
				ret = haslab_slab_around(s, pos, op, &slab);
			else if (!slab_is_mixed(slab))
				ret = haslab_convert(s, &slab, op);
			if (ret)
				break;
			piece = min(end, slab_end(slab));
			ret = mixed_set(s, slab, pos, piece - pos, state, op);
			if (ret && slab->runs.nr_free == slab->nr_blocks)
				haslab_slab_return(s, slab);
		}
		if (ret)
			break;
		pos = piece;
	}
	if (ret)
		pieces_put(s, start, pos);
	return ret;
}

/* Whether a range is just one block of the buddy. */
static bool is_block(const struct haslab *s, u64 start, u64 len)
{
	return len >= unit_blocks(s) && is_power_of_2(len) && IS_ALIGNED(start, len);
}

/* Make an extent out of blocks that are known to be free. */
static int extent_take(struct haslab *s, u64 start, u64 len, struct hamem_op *op)
{
	u64 unit = start >> s->cfg.unit_shift;
	struct haslab_slab *slab = haslab_lookup(s, start);
	struct haslab_span *span;
	int ret;

	if (is_block(s, start, len) && habuddy_free_order(&s->buddy, unit) >= 0) {
		ret = habuddy_take(&s->buddy, unit, len >> s->cfg.unit_shift, op);
		if (!ret)
			habuddy_own(&s->buddy, unit, ilog2(len >> s->cfg.unit_shift));
		if (ret != -EEXIST)
			return ret;
	}
	if (!slab && start + len <= around_end(s, start)) {
		ret = haslab_slab_around(s, start, op, &slab);
		if (ret)
			return ret;
	}
	if (slab && start + len <= slab_end(slab))
		return pieces_take(s, start, start + len, HARUNS_LIVE, op);

	span = hamem_get(&s->mem, op, sizeof(*span));
	if (!span)
		return -ENOMEM;
	ret = pieces_take(s, start, start + len, HARUNS_SPECIAL, op);
	if (ret) {
		hamem_put(&s->mem, span);
		return ret;
	}
	span->start = start;
	span->len = len;
	span_insert(s, span);
	return 0;
}

static int claim_locked(struct haslab *s, u64 start, u64 len, bool exclusive, struct hamem_op *op)
{
	int ret = range_is_free(s, start, len, exclusive);

	return ret ?: extent_take(s, start, len, op);
}

/**
 * haslab_claim - make a live extent of a given range
 * @s: the slab allocator
 * @start: first block
 * @len: number of blocks; all inside the device
 * @exclusive: the pools are empty and closed, and nobody frees into them
 * @gfp: how to wait for memory
 *
 * Context: process context; may sleep if @gfp lets it.
 *
 * Return: 0; -EEXIST (part of) it is taken; -EAGAIN it takes the exclusive mode
 * to know or, in that mode, another try in a moment; -ENOMEM.
 */
int haslab_claim(struct haslab *s, u64 start, u64 len, bool exclusive, gfp_t gfp)
{
	struct hamem_op op = HAMEM_OP(gfp);

	return haslab_locked(s, &op, claim_locked(s, start, len, exclusive, &op));
}

/* ---- extents of any size ---- */

static int alloc_locked(struct haslab *s, u64 len, u64 align, struct hamem_op *op, u64 *start)
{
	u64 unit, nr = DIV_ROUND_UP_ULL(len, unit_blocks(s));
	unsigned int order;
	int ret;

	if (len >= unit_blocks(s) && is_power_of_2(len) && align <= len) {
		order = ilog2(len) - s->cfg.unit_shift;
		ret = habuddy_alloc(&s->buddy, order, op, &unit);
		if (!ret) {
			habuddy_own(&s->buddy, unit, order);
			*start = unit << s->cfg.unit_shift;
		}
		if (ret != -ENOSPC)
			return ret;
	}
	if (len <= HASLAB_MAX_BLOCKS && align <= HASLAB_MAX_BLOCKS)
		return mixed_alloc(s, len, align, op, start);
	if (align > unit_blocks(s) || !habuddy_find_run(&s->buddy, nr, &unit))
		return -ENOSPC;
	*start = unit << s->cfg.unit_shift;
	return extent_take(s, *start, len, op);
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

/*
 * Look at up to @budget free runs from @pos on; the smallest in which an
 * aligned extent fits is kept in @best and @best_len. Return: where to go on.
 */
static u64 search_some(struct haslab *s, u64 pos, int budget, u64 len, u64 align,
		       u64 *best, u64 *best_len)
{
	u64 start, size, skip;

	while (budget--) {
		if (!next_run(s, pos, &start, &size))
			return s->cfg.nr_blocks;
		skip = -start & (align - 1);
		if (size < *best_len && size >= len && size - len >= skip) {
			*best = start + skip;
			*best_len = size;
		}
		pos = start + size;
	}
	return pos;
}

/**
 * haslab_search - allocate from whatever free run fits
 * @s: the slab allocator
 * @len: number of blocks
 * @align: of its start, a power of two, in blocks
 * @gfp: how to wait for memory
 * @start: out: its first block
 *
 * Looks at all free runs of the device, some at a time. Others may allocate
 * meanwhile; if they take what was found it looks again.
 *
 * Context: exclusive mode (see haslab_claim()), may sleep.
 *
 * Return: 0; -ENOSPC no free run fits; -ENOMEM.
 */
int haslab_search(struct haslab *s, u64 len, u64 align, gfp_t gfp, u64 *start)
{
	int ret;

	do {
		u64 pos = 0, best_len = U64_MAX;

		while (pos < s->cfg.nr_blocks && best_len != len) {
			spin_lock(&s->lock);
			pos = search_some(s, pos, 256, len, align, start, &best_len);
			spin_unlock(&s->lock);
			cond_resched();
		}
		if (best_len == U64_MAX)
			return -ENOSPC;
		ret = haslab_claim(s, *start, len, true, gfp);
	} while (ret == -EEXIST || ret == -EAGAIN);
	return ret;
}

static int refuse(enum hybrid_alloc_reason *reason, enum hybrid_alloc_reason why)
{
	*reason = why;
	return why == HYBRID_ALLOC_REASON_NOT_ALLOCATED ? -ENOENT : -EINVAL;
}

/* @start is in the live extent from @at, of @len blocks. */
static int refuse_live(enum hybrid_alloc_reason *reason, u64 start, u64 at)
{
	return refuse(reason, start == at ? HYBRID_ALLOC_REASON_WRONG_LENGTH :
					    HYBRID_ALLOC_REASON_WRONG_START);
}

/* Free an extent that has a record of its own, or say why not. */
static int span_free(struct haslab *s, u64 start, u64 len, enum hybrid_alloc_reason *reason)
{
	struct haslab_span *span = span_find(s, start);

	if (!span)
		return refuse(reason, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
	if (span->start != start || span->len != len)
		return refuse_live(reason, start, span->start);
	pieces_put(s, start, start + len);
	rb_erase(&span->node, &s->spans);
	hamem_put(&s->mem, span);
	return 0;
}

static int block_free(struct haslab *s, u64 start, u64 len, enum hybrid_alloc_reason *reason)
{
	u64 unit = start >> s->cfg.unit_shift, owned;
	unsigned int order;

	if (is_block(s, start, len)) {
		order = ilog2(len) - s->cfg.unit_shift;
		if (habuddy_disown(&s->buddy, unit, order)) {
			habuddy_free(&s->buddy, unit, order);
			return 0;
		}
	}
	if (habuddy_find_owned(&s->buddy, unit, &owned, &order))
		return refuse_live(reason, start, owned << s->cfg.unit_shift);
	return span_free(s, start, len, reason);
}

static int mixed_free(struct haslab *s, struct haslab_slab *slab, u64 start, u64 len,
		      enum hybrid_alloc_reason *reason)
{
	struct haruns_run run = haruns_at(&slab->runs, start - slab->start);

	switch (run.state) {
	case HARUNS_LIVE:
		if (slab->start + run.start != start || run.len != len)
			return refuse_live(reason, start, slab->start + run.start);
		mixed_clear(s, slab, start, len);
		return 0;
	case HARUNS_SPECIAL:
		return span_free(s, start, len, reason);
	default:
		return refuse(reason, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
	}
}

static int object_free(struct haslab *s, struct haslab_slab *slab, u64 start, u64 len,
		       enum hybrid_alloc_reason *reason)
{
	u32 i = object_of(s, slab, start);
	u64 at = object_start(s, slab, i);

	if (i >= slab->nr_objects || !test_bit(i, slab->live))
		return refuse(reason, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
	if (at != start || len != s->classes[slab->class].blocks)
		return refuse_live(reason, start, at);
	/* a free into a pool may have won */
	if (!test_and_clear_bit(i, slab->live))
		return refuse(reason, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
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

/* ---- stat and check ---- */

/**
 * haslab_stat - where the space is
 * @s: the slab allocator
 * @st: out
 * @walk: also look at all free runs, some at a time
 *
 * Context: process context; may sleep with @walk.
 */
void haslab_stat(struct haslab *s, struct haslab_stat *st, bool walk)
{
	u64 pos = 0, start, len;
	int budget;

	memset(st, 0, sizeof(*st));
	while (walk && pos < s->cfg.nr_blocks) {
		spin_lock(&s->lock);
		for (budget = 256; budget && pos < s->cfg.nr_blocks; budget--) {
			if (next_run(s, pos, &start, &len)) {
				st->nr_runs++;
				st->largest_run = max(st->largest_run, len);
			}
			pos = start + len;
		}
		spin_unlock(&s->lock);
		cond_resched();
	}
	spin_lock(&s->lock);
	st->free = s->free_in_slabs + (s->buddy.free_units << s->cfg.unit_shift);
	st->nr_slabs = s->nr_slabs;
	st->made = s->made;
	st->returned = s->returned;
	st->splits = s->buddy.splits;
	st->merges = s->buddy.merges;
	spin_unlock(&s->lock);
}

static bool check_listed(const struct list_head *head, const struct haslab_slab *slab)
{
	const struct list_head *pos;

	list_for_each(pos, head)
		if (pos == &slab->list)
			return true;
	return false;
}

static bool check_slab(struct haslab *s, struct haslab_slab *slab, u64 *free)
{
	u64 pos;

	for (pos = slab->start; pos < slab_end(slab); pos += unit_blocks(s))
		if (haslab_lookup(s, pos) != slab ||
		    (slab != s->tail &&
		     habuddy_free_order(&s->buddy, pos >> s->cfg.unit_shift) >= 0))
			return false;
	if (slab_is_mixed(slab)) {
		*free += slab->runs.nr_free;
		return haruns_check(&slab->runs) && slab->runs.nr_blocks == slab->nr_blocks &&
		       (slab == s->tail || slab->runs.nr_free < slab->nr_blocks) &&
		       slab->bucket == bucket_of(slab->runs.max_free) &&
		       test_bit(slab->bucket, s->mixed_mask) &&
		       check_listed(&s->mixed[slab->bucket], slab);
	}
	*free += slab->nr_blocks -
		 (slab->nr_objects - slab->nr_free) * s->classes[slab->class].blocks;
	return bitmap_weight(slab->free, slab->nr_objects) == slab->nr_free &&
	       !bitmap_intersects(slab->free, slab->live, slab->nr_objects) &&
	       slab->nr_free < slab->nr_objects &&
	       find_first_bit(slab->free, slab->nr_objects) >=
	       min(slab->hint, slab->nr_objects) &&
	       check_listed(&s->classes[slab->class].partial, slab) == !!slab->nr_free;
}

/* Every slab, by way of the map. */
static bool check_slabs(struct haslab *s, u64 *free, u64 *nr)
{
	struct haslab_slab *slab;
	u64 pos = 0;

	while (pos < s->cfg.nr_blocks) {
		if (!map_dir(s, pos)) {
			pos = round_down(pos, DIR_BLOCKS) + DIR_BLOCKS;
			continue;
		}
		slab = haslab_lookup(s, pos);
		if (!slab) {
			pos += unit_blocks(s);
			continue;
		}
		if (slab->start != pos || !check_slab(s, slab, free))
			return false;
		++*nr;
		pos = slab_end(slab);
	}
	return true;
}

/* Every span: its pieces are SPECIAL or not free. */
static bool check_spans(struct haslab *s)
{
	struct rb_node *node;
	u64 end = 0;

	for (node = rb_first(&s->spans); node; node = rb_next(node)) {
		struct haslab_span *span = rb_entry(node, struct haslab_span, node);
		u64 pos = span->start;

		if (pos < end || !span->len)
			return false;
		end = pos + span->len;
		while (pos < end) {
			struct haslab_slab *slab = haslab_lookup(s, pos);
			struct haruns_run run;

			if (!slab) {
				if (free_at(s, pos))
					return false;
				pos = round_down(pos, unit_blocks(s)) + unit_blocks(s);
				continue;
			}
			if (!slab_is_mixed(slab))
				return false;
			run = haruns_at(&slab->runs, pos - slab->start);
			if (run.state != HARUNS_SPECIAL || slab->start + run.start != pos ||
			    pos + run.len > end)
				return false;
			pos += run.len;
		}
	}
	return true;
}

/**
 * haslab_check - verify every invariant of this layer and the buddy, naively
 * @s: the slab allocator
 *
 * Looks at all metadata with the lock held: for tests. Context: process context.
 *
 * Return: 0; -EUCLEAN something is broken.
 */
int haslab_check(struct haslab *s)
{
	u64 free = 0, nr = 0;
	int ret;

	spin_lock(&s->lock);
	ret = habuddy_check(&s->buddy);
	if (!ret && (!check_slabs(s, &free, &nr) || free != s->free_in_slabs ||
		     nr != s->nr_slabs || !check_spans(s)))
		ret = -EUCLEAN;
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

/* The blocks behind the last whole unit. */
static int haslab_init_tail(struct haslab *s, struct hamem_op *op)
{
	u64 start = round_down(s->cfg.nr_blocks, unit_blocks(s));

	if (start == s->cfg.nr_blocks)
		return 0;
	s->tail = haslab_slab_create(s, -1, start, s->cfg.nr_blocks - start, op);
	return s->tail ? 0 : -ENOMEM;
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
	    cfg->nr_blocks >> 62 || !is_power_of_2(cfg->slab_max))
		return -EINVAL;
	memset(s, 0, sizeof(*s));
	spin_lock_init(&s->lock);
	s->cfg = *cfg;
	s->spans = RB_ROOT;
	haslab_init_classes(s);
	s->nr_dirs = ((cfg->nr_blocks - 1) >> (HASLAB_MAX_SHIFT + DIR_SHIFT)) + 1;
	s->dirs = kvcalloc(s->nr_dirs, sizeof(*s->dirs), GFP_KERNEL);
	if (!s->dirs)
		return -ENOMEM;
	atomic_long_add(s->nr_dirs * sizeof(*s->dirs), &s->mem.bytes);
	do {
		ret = habuddy_init(&s->buddy, cfg->nr_blocks >> cfg->unit_shift, &s->mem, &op);
	} while (ret == -ENOMEM && hamem_refill(&op));
	if (!ret)
		ret = haslab_locked(s, &op, haslab_init_tail(s, &op));
	hamem_finish(&op);
	if (ret)
		haslab_destroy(s);
	return ret;
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
