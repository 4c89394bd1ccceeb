// SPDX-License-Identifier: GPL-2.0
/*
 * What the groups share: the slab layer's map, from an address to what lies there, and the buddy
 * as the slab layer uses it: in blocks; a change invalidates the sums of the dirs. See slab.c.
 *
 * All functions that change it need the lock of a group, or all groups shut out. They take
 * haslab.space_lock, except haslab_map_grow(), which needs the latter.
 */
#include <linux/errno.h>
#include <linux/kernel.h>

#include "slab/internal.h"

struct haslab_slab __rcu *haslab_no_slabs[DIR_SLOTS];

#define NONE HASLAB_NR_CLASSES

/* A table, so that all sizes cost the same few instructions. */
const u8 haslab_classes[HASLAB_MAX_CLASS_BLOCKS + 1] = {
	NONE, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
	[17 ... 31] = NONE, [32] = 16, [33 ... 63] = NONE, [64] = 17,
	[65 ... 127] = NONE, [128] = 18, [129 ... 255] = NONE, [256] = 19,
	[257 ... 511] = NONE, [512] = 20, [513 ... 1023] = NONE, [1024] = 21,
};

static void haslab_lock_space(struct haslab *s) __acquires(&s->space_lock)
{
	spin_lock(&s->space_lock);
	ha_hold_begin(HA_LOCK_SPACE);
}

static void haslab_unlock_space(struct haslab *s) __releases(&s->space_lock)
{
	ha_hold_end(HA_LOCK_SPACE);
	spin_unlock(&s->space_lock);
}

/* The number of slots of a dir on a device of @nr_blocks: the last dir may have fewer. */
static u32 haslab_dir_slots(const struct haslab *s, const struct haslab_dir *dir, u64 nr_blocks)
{
	u64 slots = DIV_ROUND_UP_ULL(nr_blocks, slot_blocks(s));

	return min_t(u64, slots - ((u64)(dir - s->dirs) << DIR_SHIFT), DIR_SLOTS);
}

/* The first unit of the slot that a slab is in. */
static u64 haslab_first_unit(const struct haslab *s, const struct haslab_slab *slab)
{
	return round_down(slab->start, slot_blocks(s)) >> s->cfg.unit_shift;
}

/* Set the entries of a slab's units to @value. */
static void haslab_split_fill(struct haslab *s, struct haslab_slab __rcu **split,
			      const struct haslab_slab *slab, struct haslab_slab *value)
{
	u32 unit = slot_unit(s, slab->start), end = unit + (slab->nr_blocks >> s->cfg.unit_shift);

	for (; unit < end; unit++)
		rcu_assign_pointer(split[unit], value);
}

/* WRITE_ONCE: small_bytes is read without the lock. */
static void haslab_small_add(struct haslab *s, long bytes)
{
	lockdep_assert_held(&s->space_lock);
	WRITE_ONCE(s->small_bytes, s->small_bytes + bytes);
}

/* The map entry for the slot of a new slab. NULL: no memory. */
static struct haslab_slab *haslab_map_entry_of(struct haslab *s, struct haslab_slab *entry,
					       struct haslab_slab *slab, struct hamem_op *op)
{
	u64 first = haslab_first_unit(s, slab);
	struct haslab_slab __rcu **split;

	lockdep_assert_held(&s->space_lock);
	if (slab->nr_blocks == slot_blocks(s))
		return slab;
	split = entry ? map_split(entry, first) :
		hamem_get(&s->mem, op, haslab_slot_units(s) * sizeof(*split));
	if (!split)
		return NULL;
	if (!entry)
		haslab_small_add(s, ksize(split));
	haslab_small_add(s, slab_bytes(slab));
	haslab_split_fill(s, split, slab, slab);
	/* the inverse of map_split() */
	return (void *)((unsigned long)split - (unsigned long)first * sizeof(*split) + MAP_SPLIT);
}

/* Add a slab to the map. Return: 0; -ENOMEM. */
int haslab_map_slab(struct haslab *s, struct haslab_slab *slab, struct hamem_op *op)
{
	struct haslab_dir *dir = map_dir(s, slab->start);
	struct haslab_slab __rcu **slabs;
	struct haslab_slab *entry = NULL;
	u32 i = slot_of(s, slab->start) % DIR_SLOTS;

	haslab_lock_space(s);
	slabs = dir->nr_slabs ? dir->slabs :
		hamem_get(&s->mem, op, haslab_dir_slots(s, dir, s->map_blocks) * sizeof(*slabs));
	if (slabs)
		entry = haslab_map_entry_of(s, rcu_dereference_raw(slabs[i]), slab, op);
	if (entry) {
		rcu_assign_pointer(slabs[i], entry);
		/* pairs with rcu_dereference_raw() in haslab_lookup(): the table is seen filled */
		smp_store_release(&dir->slabs, slabs);
		dir->nr_slabs++;
	} else if (!dir->nr_slabs) {
		hamem_put(&s->mem, slabs);
	}
	haslab_unlock_space(s);
	return entry ? 0 : -ENOMEM;
}

static bool haslab_split_is_empty(struct haslab *s, struct haslab_slab __rcu **split)
{
	u32 i;

	for (i = 0; i < haslab_slot_units(s); i++)
		if (rcu_access_pointer(split[i]))
			return false;
	return true;
}

/* A table of the map is freed with a slab, after the same grace period. */
static void haslab_map_forget_with(struct haslab *s, struct haslab_slab *slab, u32 i, void *part)
{
	atomic_long_sub(ksize(part), &s->mem.bytes);
	slab->tables[i] = part;
}

/* The table of what the quads of a dir keep is no longer needed, or no longer right. */
static void haslab_map_drop_quads(struct haslab *s, u64 block)
{
	void **quads = map_quads(s, block);

	hamem_put(&s->mem, *quads);
	WRITE_ONCE(*quads, NULL);
}

/*
 * A slab stays in the map beside the mixed part that has its blocks now. All such slabs together
 * are bounded, as those are that are smaller than a slot.
 */
void haslab_map_dissolve(struct haslab *s, struct haslab_slab *slab)
{
	haslab_lock_space(s);
	slab->dissolved = true;
	if (slab->nr_blocks == slot_blocks(s))
		haslab_small_add(s, slab_bytes(slab));
	haslab_unlock_space(s);
}

/*
 * Remove a slab. If it was the last in its slot or its dir, the tables are freed with it, after
 * a grace period: lockless readers may still use them.
 */
void haslab_map_forget(struct haslab *s, struct haslab_slab *slab)
{
	struct haslab_dir *dir = map_dir(s, slab->start);
	u32 i = slot_of(s, slab->start) % DIR_SLOTS;
	struct haslab_slab __rcu **split = NULL;

	haslab_lock_space(s);
	if (slab->nr_blocks < slot_blocks(s)) {
		split = map_split(rcu_dereference_raw(dir->slabs[i]), haslab_first_unit(s, slab));
		haslab_split_fill(s, split, slab, NULL);
	}
	if (split || slab->dissolved)
		haslab_small_add(s, -slab_bytes(slab));
	slab->tables[0] = NULL;
	slab->tables[1] = NULL;
	if (!split || haslab_split_is_empty(s, split))
		rcu_assign_pointer(dir->slabs[i], NULL);
	if (split && !rcu_access_pointer(dir->slabs[i])) {
		haslab_small_add(s, -(long)ksize(split));
		haslab_map_forget_with(s, slab, 0, split);
	}
	if (!--dir->nr_slabs) {
		haslab_map_forget_with(s, slab, 1, dir->slabs);
		WRITE_ONCE(dir->slabs, haslab_no_slabs);
	}
	if (!dir_has_quads(dir))
		haslab_map_drop_quads(s, slab->start);
	haslab_unlock_space(s);
}

static void haslab_map_mixed_rcu(struct rcu_head *rcu)
{
	union haslab_links *links = container_of(rcu, union haslab_links, gone.rcu);

	kfree(links->gone.mixed);
	kfree(links);
}

/* Free a dir's former mixed parts after a grace period, for lockless readers. */
static void haslab_map_put_mixed(struct haslab *s, struct haslab_mixed *mixed,
				 union haslab_links *links)
{
	atomic_long_sub(ksize(mixed) + ksize(links), &s->mem.bytes);
	links->gone.mixed = mixed;
	call_rcu(&links->gone.rcu, haslab_map_mixed_rcu);
}

/* Make the mixed parts of @nr slots. */
static struct haslab_mixed *haslab_map_new_mixed(struct haslab *s, u32 nr, struct hamem_op *op,
						 union haslab_links **links)
{
	struct haslab_mixed *mixed = hamem_get(&s->mem, op, nr * sizeof(*mixed));

	*links = mixed ? hamem_get(&s->mem, op, max(sizeof(**links),
						    nr * SLOT_ENTRIES *
						    sizeof((*links)->link[0]))) : NULL;
	if (*links)
		return mixed;
	hamem_put(&s->mem, mixed);
	return NULL;
}

/* Publish the mixed parts of the slots of a dir. */
static void haslab_map_publish(struct haslab_dir *dir, struct haslab_mixed *mixed,
			       union haslab_links *links)
{
	WRITE_ONCE(dir->links, links);
	/* pairs with rcu_dereference_raw() in mixed_place(): the table is seen initialized */
	smp_store_release(&dir->mixed, mixed);
}

/* Make the table of the mixed parts of a dir, unless there is one. -ENOMEM. */
static int haslab_map_need_mixed(struct haslab *s, struct haslab_dir *dir, struct hamem_op *op)
{
	struct haslab_mixed *mixed;
	union haslab_links *links;

	if (dir->mixed)
		return 0;
	mixed = haslab_map_new_mixed(s, haslab_dir_slots(s, dir, s->map_blocks), op, &links);
	if (!mixed)
		return -ENOMEM;
	haslab_map_publish(dir, mixed, links);
	return 0;
}

/* A new mixed part of @g, which has no units yet. */
static void haslab_map_begin(struct haslab *s, struct haslab_group *g, struct haslab_dir *dir,
			     struct haslab_mixed *m)
{
	dir->nr_mixed++;
	WRITE_ONCE(m->runs.owner, g->nr);
	haruns_init(&m->runs, slot_blocks(s));
	/* pairs with mixed_is_of(): a CPU that sees units also sees the owner */
	smp_wmb();
}

/*
 * Add units to the mixed part of their slot. A new one belongs to @g.
 * Return: 0; -ENOMEM; -EBUSY it belongs to another group, and not all groups are shut out.
 */
int haslab_map_mixed(struct haslab *s, struct haslab_group *g, u64 block, u64 units,
		     struct hamem_op *op)
{
	struct haslab_dir *dir = map_dir(s, block);
	struct haslab_mixed *m;
	int ret;

	haslab_lock_space(s);
	ret = haslab_map_need_mixed(s, dir, op);
	if (ret)
		goto unlock;
	m = &dir->mixed[slot_of(s, block) % DIR_SLOTS];
	if (!m->units) {
		haslab_map_begin(s, g, dir, m);
	} else if (m->runs.owner != g->nr && !haslab_has_all(s)) {
		ret = -EBUSY;
		goto unlock;
	}
	WRITE_ONCE(m->units, m->units | units);
unlock:
	haslab_unlock_space(s);
	return ret;
}

/*
 * Make slots of a dir that have no mixed part, and whose units were all taken from the buddy, mixed
 * parts of @g. @slots: a bit for each, counted from @first. Return: 0; -ENOMEM.
 */
int haslab_map_slots(struct haslab *s, struct haslab_group *g, u32 first, u32 slots,
		     struct hamem_op *op)
{
	struct haslab_dir *dir = map_dir(s, slot_start(s, first));
	struct haslab_mixed *m;
	int ret;

	haslab_lock_space(s);
	ret = haslab_map_need_mixed(s, dir, op);
	for (; !ret && slots; slots &= slots - 1) {
		m = &dir->mixed[(first + __ffs(slots)) % DIR_SLOTS];
		haslab_map_begin(s, g, dir, m);
		WRITE_ONCE(m->units, ~0ULL >> (64 - haslab_slot_units(s)));
	}
	haslab_unlock_space(s);
	return ret;
}

/* Reduce a mixed part to @units; 0 removes it, and with the last one of a dir its table. */
void haslab_map_keep(struct haslab *s, u64 block, u64 units)
{
	struct haslab_dir *dir = map_dir(s, block);
	struct haslab_mixed *mixed;
	union haslab_links *links;

	haslab_lock_space(s);
	mixed = dir->mixed;
	WRITE_ONCE(mixed[slot_of(s, block) % DIR_SLOTS].units, units);
	if (!units && !--dir->nr_mixed) {
		links = dir->links;
		WRITE_ONCE(dir->mixed, NULL);
		WRITE_ONCE(dir->links, NULL);
		haslab_map_put_mixed(s, mixed, links);
	}
	if (!dir_has_quads(dir))
		haslab_map_drop_quads(s, block);
	haslab_unlock_space(s);
}

/*
 * The device grows to @nr_blocks: make the tables of the last dir longer. All groups are shut
 * out. Lockless readers may still use the old tables: they find slabs there, in the table @old,
 * which the caller frees after a grace period, and no mixed parts. -ENOMEM.
 */
int haslab_map_grow(struct haslab *s, u64 nr_blocks, struct hamem_op *op, void **old)
{
	struct haslab_dir *dir = map_dir(s, s->map_blocks - 1);
	u32 from = haslab_dir_slots(s, dir, s->map_blocks);
	u32 to = haslab_dir_slots(s, dir, nr_blocks);
	struct haslab_slab __rcu **slabs = NULL;
	struct haslab_mixed *mixed = NULL, *old_mixed = dir->mixed;
	union haslab_links *links, *old_links = dir->links;
	u32 i;

	haslab_assert_all(s);
	if (dir->nr_slabs && from < to) {
		slabs = hamem_get(&s->mem, op, to * sizeof(*slabs));
		if (!slabs)
			return -ENOMEM;
	}
	if (old_mixed && from < to) {
		mixed = haslab_map_new_mixed(s, to, op, &links);
		if (!mixed) {
			hamem_put(&s->mem, slabs);
			return -ENOMEM;
		}
		memcpy(mixed, old_mixed, from * sizeof(*mixed));
		memcpy(links->link, old_links->link, from * SLOT_ENTRIES * sizeof(links->link[0]));
		haslab_map_publish(dir, mixed, links);
		/* a free that found one and waits for a lock then checks this: mixed_has() */
		for (i = 0; i < from; i++)
			WRITE_ONCE(old_mixed[i].units, 0);
		haslab_map_put_mixed(s, old_mixed, old_links);
	}
	if (slabs) {
		*old = dir->slabs;
		memcpy(slabs, dir->slabs, from * sizeof(*slabs));
		atomic_long_sub(ksize(dir->slabs), &s->mem.bytes);
		/* pairs with rcu_dereference_raw() in haslab_lookup(): the table is seen filled */
		smp_store_release(&dir->slabs, slabs);
	}
	haslab_map_drop_quads(s, s->map_blocks - 1);
	s->map_blocks = nr_blocks;
	return 0;
}

/* ---- the buddy, in blocks ---- */

/* As map_changed(), for a range in one dir. */
static void haslab_range_changed(struct haslab *s, u64 start, u64 end)
{
	u64 quad;

	map_dir_changed(s, slot_of(s, start));
	/* without a table the flags mean nothing; one is made with all groups shut out only */
	if (!READ_ONCE(*map_quads(s, start)))
		return;
	ha_step(1);
	for (quad = quad_of(s, start); quad <= quad_of(s, end - 1); quad++)
		if (READ_ONCE(s->sums.quads[quad]))
			WRITE_ONCE(s->sums.quads[quad], 0);
}

/* The same in any dirs; those of a region that the range covers together. */
static void haslab_buddy_changed(struct haslab *s, u64 start, u64 len)
{
	const u64 size = dir_blocks(s), region = size << HASLAB_REGION_SHIFT, end = start + len;
	u64 pos, next;

	for (pos = start; pos < end; pos = next) {
		ha_step(1);
		if (likely(end - pos < region) || !IS_ALIGNED(pos, region)) {
			next = min(end, round_down(pos, size) + size);
			haslab_range_changed(s, pos, next);
			continue;
		}
		WRITE_ONCE(s->sums.regions[dir_of(s, pos) >> HASLAB_REGION_SHIFT].stale, true);
		WRITE_ONCE(s->sums.all, 0);
		next = pos + region;
	}
}

int haslab_buddy_alloc(struct haslab *s, unsigned int order, struct hamem_op *op, u64 *start)
{
	u64 unit;
	int ret;

	haslab_lock_space(s);
	ret = habuddy_alloc(&s->buddy, order, op, &unit);
	haslab_unlock_space(s);
	if (ret)
		return ret;
	*start = unit << s->cfg.unit_shift;
	haslab_buddy_changed(s, *start, (u64)unit_blocks(s) << order);
	return 0;
}

/* A block of 2^@order units if possible, else smaller, but not below @min_order. */
int haslab_buddy_some(struct haslab *s, int order, int min_order, struct hamem_op *op, u64 *start)
{
	int ret = -ENOSPC;

	for (; order >= min_order; order--) {
		ret = haslab_buddy_alloc(s, order, op, start);
		if (ret != -ENOSPC)
			break;
	}
	return ret ?: order;
}

/*
 * The smallest free block of at least 2^@min_order units, at most 2^@max_order units of it.
 * Return: the order; -ENOSPC; -ENOMEM.
 */
int haslab_buddy_fit(struct haslab *s, int min_order, int max_order, struct hamem_op *op,
		     u64 *start)
{
	int ret = -ENOSPC, order = 0;
	u64 avail, unit;

	haslab_lock_space(s);
	avail = s->buddy.avail >> min_order;
	if (avail) {
		order = min_t(int, min_order + __ffs64(avail), max_order);
		ret = habuddy_alloc(&s->buddy, order, op, &unit);
	}
	haslab_unlock_space(s);
	if (ret)
		return ret;
	*start = unit << s->cfg.unit_shift;
	haslab_buddy_changed(s, *start, (u64)unit_blocks(s) << order);
	return order;
}

/*
 * The free units around those from *@first to before *@last. Blocks beside each other are of
 * different orders, so there are less than 100.
 */
static void haslab_units_around(struct haslab *s, u64 *first, u64 *last)
{
	int order;

	for (; *first; *first = round_down(*first - 1, 1ULL << order)) {
		ha_step(1);
		order = habuddy_free_order(&s->buddy, *first - 1);
		if (order < 0)
			break;
	}
	for (; *last < s->buddy.nr_units; *last += 1ULL << order) {
		ha_step(1);
		order = habuddy_free_order(&s->buddy, *last);
		if (order < 0)
			break;
	}
}

/*
 * Rows of free units: those around a few blocks of the smallest order from *@order on that has any,
 * which is then *@order. Return: how many; 0: there is none.
 */
int haslab_unit_rows(struct haslab *s, unsigned int *order, struct haslab_row *rows)
{
	u64 units[HASLAB_NR_ROWS], avail, first, last;
	int nr = 0, i;

	haslab_lock_space(s);
	avail = s->buddy.avail >> *order;
	if (avail) {
		*order += __ffs64(avail);
		nr = habuddy_free_blocks(&s->buddy, *order, units, HASLAB_NR_ROWS);
	}
	for (i = 0; i < nr; i++) {
		first = units[i];
		last = first + (1ULL << *order);
		haslab_units_around(s, &first, &last);
		rows[i].start = first << s->cfg.unit_shift;
		rows[i].end = last << s->cfg.unit_shift;
	}
	haslab_unlock_space(s);
	return nr;
}

/* Where the whole units of the buddy that are free from @start on end, before @end. */
u64 haslab_buddy_free_end(struct haslab *s, u64 start, u64 end)
{
	u64 unit;

	haslab_lock_space(s);
	unit = habuddy_free_end(&s->buddy, start >> s->cfg.unit_shift, end >> s->cfg.unit_shift);
	haslab_unlock_space(s);
	return unit << s->cfg.unit_shift;
}

void haslab_buddy_free(struct haslab *s, u64 start, unsigned int order)
{
	haslab_lock_space(s);
	habuddy_free(&s->buddy, start >> s->cfg.unit_shift, order);
	WRITE_ONCE(s->units_freed, s->units_freed + 1);
	haslab_unlock_space(s);
	haslab_buddy_changed(s, start, (u64)unit_blocks(s) << order);
}

int haslab_buddy_take(struct haslab *s, u64 start, u64 len, struct hamem_op *op)
{
	int ret;

	haslab_buddy_changed(s, start, len);
	haslab_lock_space(s);
	ret = habuddy_take(&s->buddy, start >> s->cfg.unit_shift, len >> s->cfg.unit_shift, op);
	haslab_unlock_space(s);
	return ret;
}

void haslab_buddy_put(struct haslab *s, u64 start, u64 len)
{
	haslab_lock_space(s);
	habuddy_put(&s->buddy, start >> s->cfg.unit_shift, len >> s->cfg.unit_shift);
	WRITE_ONCE(s->units_freed, s->units_freed + 1);
	haslab_unlock_space(s);
	haslab_buddy_changed(s, start, len);
}

/* See habuddy_divide(). */
int haslab_buddy_divide(struct haslab *s, u64 pos, struct hamem_op *op)
{
	int ret;

	haslab_lock_space(s);
	ret = habuddy_divide(&s->buddy, pos >> s->cfg.unit_shift, op);
	haslab_unlock_space(s);
	return ret;
}

/* See habuddy_join(). The ends of the range may lie within units. */
void haslab_buddy_join(struct haslab *s, u64 pos, u64 start, u64 end)
{
	unsigned int shift = s->cfg.unit_shift;

	haslab_lock_space(s);
	habuddy_join(&s->buddy, pos >> shift, DIV_ROUND_UP_ULL(start, unit_blocks(s)),
		     end >> shift);
	haslab_unlock_space(s);
}
