// SPDX-License-Identifier: GPL-2.0
/*
 * The slab layer's map, from an address to what is there, and the buddy as the
 * slab layer uses it: in blocks, with the sums of the dirs kept up. See slab.c.
 */
#include <linux/errno.h>
#include <linux/kernel.h>

#include "slab_internal.h"

static void map_fill(struct haslab *s, struct haslab_slab *slab, struct haslab_slab *value)
{
	u64 unit = slab->start >> s->cfg.unit_shift, nr = slab->nr_blocks >> s->cfg.unit_shift;
	struct haslab_slab __rcu **at = &map_dir(s, slab->start)->slab[unit & s->dir_mask];

	while (nr--)
		rcu_assign_pointer(*at++, value);
}

/* Enter a slab for its units. */
int haslab_map_slab(struct haslab *s, struct haslab_slab *slab, struct hamem_op *op)
{
	struct haslab_dir *dir = map_dir(s, slab->start);
	struct haslab_slab __rcu **units = dir->slab;

	if (!units) {
		units = hamem_get(&s->mem, op, (s->dir_mask + 1) * sizeof(*units));
		if (!units)
			return -ENOMEM;
		/* pairs with rcu_dereference_raw() in haslab_lookup() */
		smp_store_release(&dir->slab, units);
	}
	dir->nr_slabs++;
	map_fill(s, slab, slab);
	return 0;
}

/*
 * A slab leaves. If it was the last in its dir, what pointed to it goes too, after
 * the same grace period: lockless readers may still look at both.
 */
void haslab_map_forget(struct haslab *s, struct haslab_slab *slab)
{
	struct haslab_dir *dir = map_dir(s, slab->start);

	map_fill(s, slab, NULL);
	slab->free = NULL;
	if (--dir->nr_slabs)
		return;
	slab->free = (void *)dir->slab;
	atomic_long_sub(ksize(slab->free), &s->mem.bytes);
	WRITE_ONCE(dir->slab, NULL);
}

/* Make the mixed parts of the slots around @block. */
int haslab_map_mixed(struct haslab *s, u64 block, struct hamem_op *op)
{
	struct haslab_dir *dir = map_dir(s, block);

	if (!dir->mixed)
		dir->mixed = hamem_get(&s->mem, op, DIR_SLOTS * sizeof(*dir->mixed));
	if (!dir->links && dir->mixed)
		dir->links = hamem_get(&s->mem, op, DIR_SLOTS * sizeof(*dir->links));
	if (dir->links)
		return 0;
	haslab_map_trim(s, block);
	return -ENOMEM;
}

/* Free the mixed parts of the slots around @block, if there is none. */
void haslab_map_trim(struct haslab *s, u64 block)
{
	struct haslab_dir *dir = map_dir(s, block);

	if (dir->nr_mixed)
		return;
	hamem_put(&s->mem, dir->mixed);
	hamem_put(&s->mem, dir->links);
	dir->mixed = NULL;
	dir->links = NULL;
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
