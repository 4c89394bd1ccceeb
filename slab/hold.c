// SPDX-License-Identifier: GPL-2.0
/*
 * Free blocks that are kept from use for a while. See slab.c for the layer as a whole.
 *
 * TRIM looks for free blocks, holds some of them, discards them, and lets them go. Meanwhile they
 * are HELD: neither free nor an extent, so that no allocation gets them, and a free of them is
 * refused. Only what one place can record is held at a time: a run of a mixed part, whole objects
 * of a slab, whole units of a gap. If only a part of an object or a unit is asked for, all of it is
 * held: it may be larger than what TRIM discards at a time.
 *
 * The second half of a free ends here as well: haslab_reuse() makes free what haslab_retire()
 * (slab.c) has made HELD.
 */
#include <linux/errno.h>
#include <linux/kernel.h>

#include "slab/internal.h"

/**
 * haslab_next_free - the next free blocks
 * @s: the slab allocator
 * @from: first block to look at
 * @start: out: first free block
 * @len: out: how many are free, as far as their slab or the gap between slabs goes
 *
 * Looks at all of a full device, a part at a time. Gives up when the task is killed or the device
 * is being detached. Context: may sleep. Return: whether there are any; if not, @start and @len say
 * nothing.
 */
bool haslab_next_free(struct haslab *s, u64 from, u64 *start, u64 *len)
{
	struct haslab_walk w;
	bool found = false;

	haslab_walk_start(&w, s, from, U64_MAX, HASLAB_WALK_LONG);
	while (!found && haslab_walk_next(&w))
		while (!found && w.pos < w.end && w.steps > 0) {
			w.steps -= HASLAB_STRETCH_STEPS;
			*start = w.pos;
			found = haslab_stretch(s, *start, &w.pos);
			*len = w.pos - *start;
		}
	haslab_walk_end(&w);
	return found;
}

/**
 * haslab_next_long - where to look for the next free run of some length
 * @s: the slab allocator
 * @from: first block to look at
 * @len: the least length that is wanted, in blocks
 *
 * Goes by the sums of dirs, so that short runs cost little. Gives up as haslab_next_free().
 * Context: may sleep. Return: a block; no run of that length begins between @from and it; U64_MAX:
 * none begins at @from or after it.
 */
u64 haslab_next_long(struct haslab *s, u64 from, u64 len)
{
	u64 carry = 0, found = U64_MAX, pos;
	struct haslab_walk w;
	struct haslab_sum sum;

	haslab_walk_start(&w, s, from, U64_MAX, HASLAB_WALK_LONG);
	while (found == U64_MAX && haslab_walk_next(&w))
		while (found == U64_MAX && w.pos < w.limit && w.steps > 0) {
			pos = w.pos;
			sum = haslab_walk_sum(&w, 0, len);
			if (carry + sum.lead >= len)
				found = pos - carry;
			else if (sum.longest >= len)
				haslab_walk_find(&w, pos, len, 0, &found);
			carry = sum.trail == sum.size ? carry + sum.size : sum.trail;
		}
	haslab_walk_end(&w);
	return found;
}

/* What has to be held for a range: whole units of a gap, whole objects of a slab. */
static bool haslab_hold_clip(struct haslab *s, struct haslab_slab *slab, u64 *start, u64 *end)
{
	u64 first, last;

	if (slab) {
		first = object_of(s, slab, *start);
		last = min_t(u64, object_of(s, slab, *end - 1) + 1ULL, slab->nr_objects);
		/* what remains after the last object cannot be held */
		if (first >= last)
			return false;
		*start = object_start(s, slab, first);
		*end = object_start(s, slab, last);
	} else if (!mixed_at(s, *start)) {
		*start = round_down(*start, unit_blocks(s));
		*end = round_up(*end, unit_blocks(s));
	}
	return true;
}

static int haslab_hold_locked(struct haslab *s, u64 *start, u64 *len, struct hamem_op *op)
{
	struct haslab_mixed *m = mixed_at(s, *start);
	struct haslab_slab *slab = haslab_slab_at(s, *start);
	u64 pos, end = *start + *len;

	haslab_assert_all(s);
	if (!haslab_hold_clip(s, slab, start, &end))
		return -EAGAIN;
	*len = end - *start;
	if (!haslab_stretch(s, *start, &pos) || pos < end)
		return -EAGAIN;
	if (m)
		return haslab_mixed_set(s, *start, *len, HARUNS_SPECIAL, op);
	if (!slab)
		return haslab_buddy_take(s, *start, *len, op);
	haslab_objects_hold(s, slab, object_of(s, slab, *start), object_of(s, slab, end));
	return 0;
}

/**
 * haslab_hold - keep free blocks from use
 * @s: the slab allocator
 * @start: first block; out: the first that is held
 * @len: number of blocks, at least one, all in one answer of haslab_next_free(); out: how many are
 *	held: whole objects and units, so there may be more at both ends; fewer if the range ends
 *	after the last object of a slab
 * @gfp: how to wait for memory
 * Context: process context; may sleep if @gfp lets it.
 * Return: 0; -EAGAIN there is nothing to hold, or no more; -ENOMEM.
 */
int haslab_hold(struct haslab *s, u64 *start, u64 *len, gfp_t gfp)
{
	struct hamem_op op = HAMEM_OP(gfp);
	int ret;

	do {
		haslab_lock_all(s);
		ret = haslab_hold_locked(s, start, len, &op);
		haslab_unlock_all(s);
	} while (hamem_again(&op, ret));
	return ret;
}

/**
 * haslab_reuse - HELD blocks become free
 * @s: the slab allocator
 * @start: first block
 * @len: number of blocks: what haslab_hold() held, or one extent that haslab_retire() took
 * Context: process context. Never needs memory.
 */
void haslab_reuse(struct haslab *s, u64 start, u64 len)
{
	haslab_lock_all(s);
	haslab_pieces_put(s, start, start + len);
	haslab_unlock_all(s);
}
