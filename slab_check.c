// SPDX-License-Identifier: GPL-2.0
/*
 * The invariants of the slab layer, verified naively: by way of the map, every
 * slab, every free run, every span, against what the layer believes. For tests.
 */
#include <linux/errno.h>
#include <linux/kernel.h>

#include "slab_internal.h"

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
		if (haslab_lookup(s, pos) != slab || mixed_at(s, pos) ||
		    habuddy_free_order(&s->buddy, pos >> s->cfg.unit_shift) >= 0)
			return false;
	*free += slab->nr_blocks -
		 (slab->nr_objects - slab->nr_free) * s->classes[slab->class].blocks;
	return bitmap_weight(slab->free, slab->nr_objects) == slab->nr_free &&
	       !bitmap_intersects(slab->free, slab->live, slab->nr_objects) &&
	       slab->nr_free < slab->nr_objects &&
	       find_first_bit(slab->free, slab->nr_objects) >=
	       min(slab->hint, slab->nr_objects) &&
	       check_listed(&s->classes[slab->class].partial, slab) == !!slab->nr_free;
}

/* The links of the list, forward and back, and whether the slot is in it. */
static bool check_indexed(struct haslab *s, u32 slot, u32 bucket)
{
	u32 pos, next, prev = s->mixed[bucket], nr = 0;
	bool found = false;

	if (test_bit(bucket, s->mixed_mask) == (prev == NO_SLOT))
		return false;
	for (pos = prev; pos != NO_SLOT; prev = pos, pos = next) {
		struct haslab_slots *slots = dir_slots(&s->dirs[pos / DIR_SLOTS]);

		if (slots->prev[pos % DIR_SLOTS] != prev || nr++ > s->nr_slabs)
			return false;
		next = slots->next[pos % DIR_SLOTS];
		found |= pos == slot;
	}
	return found == !!bucket;
}

/* What is part of it, and what is not, in the runs. */
static bool check_units(struct haslab *s, struct haslab_mixed *m, u32 slot)
{
	u64 start = slot_start(s, slot), end = start + slot_blocks(s), pos, known = 0;

	for (pos = start; pos < end && pos < s->cfg.nr_blocks; pos += unit_blocks(s))
		if (m->units >> slot_unit(s, pos) & 1 &&
		    habuddy_free_order(&s->buddy, pos >> s->cfg.unit_shift) >= 0)
			return false;
	for (pos = start; pos < end; pos++) {
		struct haruns_run run = mixed_run(s, m, pos);
		bool is_part = m->units >> slot_unit(s, pos) & 1;

		if (pos < s->cfg.first_block || pos >= s->cfg.nr_blocks)
			is_part = false;
		known += is_part;
		if (!is_part && run.state != HARUNS_SPECIAL)
			return false;
	}
	return known == m->runs.nr_known;
}

/* What goes on here has begun in the slot before. */
static bool check_continued(struct haslab *s, struct haslab_mixed *m, u32 slot)
{
	u64 border = slot_start(s, slot);
	struct haslab_mixed *before;

	if (!m->runs.tag)
		return true;
	before = border ? mixed_at(s, border - 1) : NULL;
	return before && mixed_run(s, m, border).state == HARUNS_SPECIAL &&
	       mixed_run(s, before, border - 1).state == HARUNS_LIVE;
}

static bool check_mixed(struct haslab *s, struct haslab_mixed *m, u32 slot, u64 *free)
{
	u64 first = s->cfg.first_block, end = s->cfg.nr_blocks;
	bool lasts = (!IS_ALIGNED(first, unit_blocks(s)) && slot_of(s, first) == slot) ||
		     (!IS_ALIGNED(end, unit_blocks(s)) && slot_of(s, end) == slot);

	*free += m->runs.nr_free;
	return haruns_check(&m->runs) && check_continued(s, m, slot) &&
	       check_units(s, m, slot) && (lasts || m->runs.nr_free < m->runs.nr_known) &&
	       check_indexed(s, slot, haslab_mixed_bucket(m));
}

/* What is in a slot. */
static bool check_slot(struct haslab *s, u32 slot, u64 *free, u64 *nr)
{
	u64 pos = slot_start(s, slot), end = min(pos + slot_blocks(s), s->cfg.nr_blocks);
	struct haslab_mixed *m = mixed_slot(s, slot);
	struct haslab_slab *slab;

	if (m && !check_mixed(s, m, slot, free))
		return false;
	*nr += !!m;
	while (pos < end) {
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

/* Every slot, by way of the map. */
static bool check_slots(struct haslab *s, u64 *free, u64 *nr)
{
	u32 i, nr_mixed;
	u64 dir;

	for (dir = 0; dir < s->nr_dirs; dir++) {
		if (!dir_slots(&s->dirs[dir])) {
			if (s->dirs[dir].nr || s->dirs[dir].mixed)
				return false;
			continue;
		}
		for (i = 0, nr_mixed = 0; i < DIR_SLOTS; i++) {
			nr_mixed += !!mixed_slot(s, (dir << DIR_SHIFT) + i);
			if (!check_slot(s, (dir << DIR_SHIFT) + i, free, nr))
				return false;
		}
		if (nr_mixed != s->dirs[dir].nr_mixed || !nr_mixed != !s->dirs[dir].mixed)
			return false;
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
		u64 pos = span->start, next;

		if (pos < end || !span->len)
			return false;
		end = pos + span->len;
		while (pos < end) {
			struct haslab_mixed *m = mixed_at(s, pos);
			struct haruns_run run;

			if (!m) {
				if (haslab_lookup(s, pos) || haslab_stretch(s, pos, &next))
					return false;
				pos = round_down(pos, unit_blocks(s)) + unit_blocks(s);
				continue;
			}
			run = mixed_run(s, m, pos);
			if (run.state != HARUNS_SPECIAL || run_start(s, pos, &run) != pos ||
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
	if (!ret && (!check_slots(s, &free, &nr) || free != s->free_in_slabs ||
		     nr != s->nr_slabs || !check_spans(s)))
		ret = -EUCLEAN;
	spin_unlock(&s->lock);
	return ret;
}

