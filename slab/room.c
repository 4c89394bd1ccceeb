// SPDX-License-Identifier: GPL-2.0
/*
 * Room for new slabs. See objects.c for what slabs are.
 *
 * A slab stays where it is as long as one of its objects is in use, so it parts the free space
 * around it, and a slab of few objects takes much from others. Hence:
 *
 *   - A slab is as large as what the class has in use, or smaller. What a class has in mixed slots
 *     counts twice: half a slab of it makes one.
 *   - A class with less than that gets the smallest slab, and only in the group's home: the slot in
 *     which the group made its first slab, as long as an object of that is in use. Mixed slots take
 *     the rest of the home only when there is no other space. If there is no room at home, the
 *     extents of the class are placed as those of all other sizes, unless nearly all of the device
 *     is free. One of the few classes that are refused most gets a slab after a while.
 *
 * With a slab of a MiB for each size, wherever there is room, sizes of 4 KiB to 64 MiB, the oldest
 * of which goes first, fill .92 of 4 GiB instead of .98.
 *
 * Whole buddy blocks of common sizes are aligned, and do not merge with the rests of mixed slots.
 * So pools get them as long as nearly nothing is in mixed slots: haslab_has_blocks(). (Otherwise
 * 4M beside log-uniform sizes of up to 64 MiB fills .77 of 4 GiB, not .98.)
 *
 * Locking: everything here belongs to one group, whose lock is held.
 */
#include <linux/errno.h>
#include <linux/kernel.h>

#include "slab/internal.h"

#define MIN_OBJECTS	16	/* a new slab has at least as many, if there is the space */
/* log2: a new slab is at most this fraction of the space that its class has already. */
#define GROWTH_SHIFT	1
/* Pools get buddy blocks if a group has so many mixed slots in use, and one of so many slots. */
#define FEW_MIXED	2
#define MIXED_PART	128
/* A class that is refused a slab so often gets one: its extents may be few, but come and go. */
#define MANY_REFUSED	100

/*
 * A slab smaller than a slot has more metadata for each block than a whole slot or a bitmap has.
 * The metadata bound of the layer holds because all small slabs together are bounded, too: 1.25 KiB
 * per GiB (2^18 blocks). A quarter of that is kept for the first slab of a class, so that
 * growing classes do not use up all of it.
 */
bool haslab_too_many_small(const struct haslab *s, bool is_first)
{
	u64 most = s->cfg.most_small ?: max_t(u64, s->cfg.nr_blocks * 5 >> 10, 1024);

	return READ_ONCE(s->small_bytes) >= (is_first ? most : most / 4 * 3);
}

/*
 * The order of a class's next slab: large enough to be worth it, small enough to leave space for
 * other sizes. When there are too many small slabs, a class that has a quarter of a slot already
 * gets a whole slot; any other class gets none (the order is less than @min_order) and its
 * extents go to mixed slots.
 */
int haslab_object_order(const struct haslab *s, const struct haslab_group *g, int class,
			int *min_order)
{
	int slot_order = s->slot_shift - s->cfg.unit_shift;
	const struct haslab_class *c = &s->classes[class];
	u64 has = g->nr_slab_blocks[class];
	u64 grow = has < slot_blocks(s) ? has >> GROWTH_SHIFT : has;
	u64 blocks = max_t(u64, c->blocks * MIN_OBJECTS, grow);
	u64 units = clamp_t(u64, blocks, unit_blocks(s), slot_blocks(s)) >> s->cfg.unit_shift;

	if (haslab_too_many_small(s, !has)) {
		*min_order = slot_order;
		return has >= slot_blocks(s) / 4 ? slot_order : -1;
	}
	*min_order = order_base_2(DIV_ROUND_UP(c->blocks, unit_blocks(s)));
	return max_t(int, ilog2(units), *min_order);
}

/*
 * Whether a class that has no free object has enough in use for a slab of 2^@order units. For a
 * whole slot a quarter of one will do, as haslab_object_order() says.
 */
static bool haslab_is_in_use(const struct haslab *s, const struct haslab_group *g, int class,
			     int order)
{
	u64 outside = (u64)g->nr_outside[class] * s->classes[class].blocks;
	u64 has = g->nr_slab_blocks[class], size = unit_blocks(s) << order;

	return has + 2 * outside >= (size == slot_blocks(s) ? size / 4 : size);
}

/* A block of 2^@order units at home. -ENOSPC; -ENOMEM. */
static int haslab_home_take(struct haslab *s, struct haslab_group *g, int order,
			    struct hamem_op *op, u64 *start)
{
	u64 pos = slot_start(s, slot_of(s, g->home)), len = unit_blocks(s) << order, end;
	u32 freed = READ_ONCE(s->units_freed);
	int ret = -ENOSPC;

	/* there was no room before */
	if (g->home_freed == freed && order >= g->home_order)
		return -ENOSPC;
	end = min(pos + slot_blocks(s), s->cfg.nr_blocks);
	for (; ret == -ENOSPC && pos + len <= end; pos += len) {
		ha_step(1);
		*start = pos;
		if (haslab_buddy_free_end(s, pos, pos + len) == pos + len)
			ret = haslab_buddy_take(s, pos, len, op);
		/* another group was faster */
		ret = ret == -EEXIST ? -ENOSPC : ret;
	}
	if (ret == -ENOSPC) {
		g->home_freed = freed;
		g->home_order = order;
	}
	return ret;
}

/* Whether nearly all units are free. */
static bool haslab_has_plenty(const struct haslab *s)
{
	return READ_ONCE(s->buddy.free_units) >= s->buddy.nr_units / 8 * 7;
}

/*
 * A class is refused a slab. Whether that has come often enough: a class that makes a fifth or more
 * of the refusals is among the few that are counted (Misra and Gries 1982).
 */
static bool haslab_is_wanted(struct haslab_group *g, int class)
{
	struct haslab_refused *r, *room = NULL;

	for (r = g->refused; r < g->refused + HASLAB_NR_REFUSED; r++) {
		if (r->nr && r->class == class) {
			r->nr = (r->nr + 1) % MANY_REFUSED;
			return !r->nr;
		}
		if (!r->nr)
			room = r;
	}
	if (room)
		*room = (struct haslab_refused) { class, 1 };
	for (r = g->refused; !room && r < g->refused + HASLAB_NR_REFUSED; r++)
		r->nr--;
	return false;
}

/*
 * Take units for a slab of a class that has no free object. Return: their order; -ENOSPC there are
 * none; -EBUSY the class has too little in use; -ENOMEM.
 */
int haslab_slab_room(struct haslab *s, struct haslab_group *g, int class, struct hamem_op *op,
		     u64 *start)
{
	int order, wanted, min_order, ret = -ENOSPC;
	bool in_use, moves;

	haslab_assert_group(s, g);
	wanted = haslab_object_order(s, g, class, &min_order);
	if (wanted < min_order)
		return -ENOSPC;
	in_use = haslab_is_in_use(s, g, class, wanted);
	if (!in_use) {
		/* a unit, an object, or 16 blocks */
		wanted = min(wanted, max(min_order, ilog2(MIN_OBJECTS) - (int)s->cfg.unit_shift));
		in_use = haslab_is_in_use(s, g, class, wanted);
	}
	if (haslab_has_home(s, g))
		ret = haslab_home_take(s, g, wanted, op, start);
	if (ret != -ENOSPC)
		return ret ?: wanted;
	moves = !haslab_has_home(s, g) || (!in_use && haslab_has_plenty(s));
	if (!in_use && !moves && !haslab_is_wanted(g, class))
		return -EBUSY;
	order = haslab_buddy_some(s, wanted, min_order, op, start);
	if (order == -ENOSPC && haslab_empty_put(s, g))
		order = haslab_buddy_some(s, wanted, min_order, op, start);
	if (order >= 0 && moves) {
		g->home = *start;
		g->home_order = HABUDDY_NR_ORDERS;
	}
	return order;
}

/* Whether pools get whole buddy blocks: nearly nothing is in the mixed slots of the group. */
bool haslab_has_blocks(const struct haslab *s, const struct haslab_group *g)
{
	u64 nr_slots = s->cfg.nr_blocks >> s->slot_shift;

	haslab_assert_group(s, g);
	return g->nr_mixed - g->nr_empty <=
	       FEW_MIXED + div_u64(nr_slots, MIXED_PART * s->nr_groups);
}
