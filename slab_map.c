// SPDX-License-Identifier: GPL-2.0
/*
 * The slab layer's map, from an address to its slab, and the buddy as the slab
 * layer uses it: in blocks, with the sums of the dirs kept up. See slab.c.
 */
#include <linux/errno.h>
#include <linux/kernel.h>

#include "slab_internal.h"

/* Free what holds no slab any more around @block. */
void haslab_map_trim(struct haslab *s, u64 block)
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
int haslab_map_prepare(struct haslab *s, u64 block, u32 nr_blocks, struct hamem_op *op)
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
void haslab_map_set(struct haslab *s, u64 start, u32 nr_blocks, struct haslab_slab *slab)
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

/* @slab, the only one in the table of its slot, has grown to fill the slot. */
void haslab_map_fill(struct haslab *s, struct haslab_slab *slab)
{
	void __rcu **slot = &map_dir(s, slab->start)->slot[dir_slot(slab->start)];
	struct haslab_table *table = rcu_dereference_raw(*slot);

	rcu_assign_pointer(*slot, (void *)slab + SLOT_IS_SLAB);
	hamem_put_rcu(&s->mem, table, rcu);
}

/* ---- the buddy, in blocks ---- */

static void buddy_changed(struct haslab *s, u64 start, u64 len)
{
	u64 dir;

	for (dir = round_down(start, DIR_BLOCKS); dir < start + len; dir += DIR_BLOCKS)
		map_changed(s, dir);
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

