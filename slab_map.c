// SPDX-License-Identifier: GPL-2.0
/*
 * The slab layer's map, from an address to what is there, and the buddy as the
 * slab layer uses it: in blocks, with the sums of the dirs kept up. See slab.c.
 */
#include <linux/errno.h>
#include <linux/kernel.h>

#include "slab_internal.h"

/* Free what holds nothing any more around @block. */
void haslab_map_trim(struct haslab *s, u64 block)
{
	struct haslab_dir *dir = map_dir(s, block);
	struct haslab_slots *slots = dir_slots(dir);
	u32 i = slot_of(s, block) % DIR_SLOTS;
	struct haslab_table *table;
	void *slot;

	if (!slots)
		return;
	slot = rcu_dereference_raw(slots->slab[i]);
	table = (unsigned long)slot & SLOT_IS_SLAB ? NULL : slot;
	if (table && !table->nr) {
		RCU_INIT_POINTER(slots->slab[i], NULL);
		dir->nr--;
		hamem_put_rcu(&s->mem, table, rcu);
	}
	if (dir->mixed && !dir->nr_mixed) {
		hamem_put(&s->mem, dir->mixed);
		dir->mixed = NULL;
	}
	if (!dir->nr) {
		RCU_INIT_POINTER(dir->slots, NULL);
		hamem_put_rcu(&s->mem, slots, rcu);
	}
}

/* Make the slots. */
static struct haslab_slots *map_slots(struct haslab *s, struct haslab_dir *dir,
				      struct hamem_op *op)
{
	struct haslab_slots *slots = dir_slots(dir);

	if (!slots) {
		slots = hamem_get(&s->mem, op, sizeof(*slots));
		if (slots)
			rcu_assign_pointer(dir->slots, slots);
	}
	return slots;
}

/* Make the slots and, for slabs smaller than a slot, the table. */
int haslab_map_prepare(struct haslab *s, u64 block, u32 nr_blocks, struct hamem_op *op)
{
	struct haslab_dir *dir = map_dir(s, block);
	struct haslab_slots *slots = map_slots(s, dir, op);
	u32 i = slot_of(s, block) % DIR_SLOTS;
	struct haslab_table *table;

	if (!slots)
		return -ENOMEM;
	if (nr_blocks == slot_blocks(s) || rcu_access_pointer(slots->slab[i]))
		return 0;
	table = hamem_get(&s->mem, op,
			  struct_size(table, unit, slot_blocks(s) >> s->cfg.unit_shift));
	if (!table) {
		haslab_map_trim(s, block);
		return -ENOMEM;
	}
	rcu_assign_pointer(slots->slab[i], (void *)table);
	dir->nr++;
	return 0;
}

/* Enter @slab for its blocks, or with @slab NULL the one that was there leaves. */
void haslab_map_set(struct haslab *s, u64 start, u32 nr_blocks, struct haslab_slab *slab)
{
	struct haslab_dir *dir = map_dir(s, start);
	void __rcu **slot = &dir_slots(dir)->slab[slot_of(s, start) % DIR_SLOTS];
	struct haslab_table *table;
	u32 i, end;

	if (nr_blocks == slot_blocks(s)) {
		dir->nr += slab ? 1 : -1;
		rcu_assign_pointer(*slot, slab ? (void *)slab + SLOT_IS_SLAB : NULL);
		return;
	}
	table = rcu_dereference_raw(*slot);
	end = slot_unit(s, start + nr_blocks - 1);
	for (i = slot_unit(s, start); i <= end; i++) {
		table->nr += slab ? 1 : -1;
		rcu_assign_pointer(table->unit[i], slab);
	}
}

/* Make the mixed parts of the slots around @block. */
int haslab_map_mixed(struct haslab *s, u64 block, struct hamem_op *op)
{
	struct haslab_dir *dir = map_dir(s, block);

	if (!map_slots(s, dir, op))
		return -ENOMEM;
	if (!dir->mixed)
		dir->mixed = hamem_get(&s->mem, op, DIR_SLOTS * sizeof(*dir->mixed));
	if (dir->mixed)
		return 0;
	haslab_map_trim(s, block);
	return -ENOMEM;
}

/* ---- the buddy, in blocks ---- */

static void buddy_changed(struct haslab *s, u64 start, u64 len)
{
	u64 pos;

	for (pos = round_down(start, dir_blocks(s)); pos < start + len; pos += dir_blocks(s))
		map_changed(s, pos);
}

int haslab_buddy_alloc(struct haslab *s, unsigned int order, struct hamem_op *op, u64 *start)
{
	u64 unit;
	int ret = habuddy_alloc(&s->buddy, order, op, &unit);

	if (ret)
		return ret;
	*start = unit << s->cfg.unit_shift;
	buddy_changed(s, *start, (u64)unit_blocks(s) << order);
	return 0;
}

/* A block of 2^@order units if possible, else smaller, but not below @min_order. */
int haslab_buddy_some(struct haslab *s, int order, int min_order, struct hamem_op *op,
		      u64 *start)
{
	int ret = -ENOSPC;

	for (; order >= min_order; order--) {
		ret = haslab_buddy_alloc(s, order, op, start);
		if (ret != -ENOSPC)
			break;
	}
	return ret ?: order;
}

void haslab_buddy_free(struct haslab *s, u64 start, unsigned int order)
{
	habuddy_free(&s->buddy, start >> s->cfg.unit_shift, order);
	buddy_changed(s, start, (u64)unit_blocks(s) << order);
}

int haslab_buddy_take(struct haslab *s, u64 start, u64 len, struct hamem_op *op)
{
	buddy_changed(s, start, len);
	return habuddy_take(&s->buddy, start >> s->cfg.unit_shift, len >> s->cfg.unit_shift, op);
}

void haslab_buddy_put(struct haslab *s, u64 start, u64 len)
{
	habuddy_put(&s->buddy, start >> s->cfg.unit_shift, len >> s->cfg.unit_shift);
	buddy_changed(s, start, len);
}
