// SPDX-License-Identifier: GPL-2.0
/*
 * The invariants of the slab layer, verified naively: every slab, every mixed part and every
 * span is found through the map and compared with counters, lists and links.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/sched.h>

#include "slab/internal.h"

/* Sums over everything that is found through the map. */
struct found {
	u64 free;
	u64 nr_slabs;
	u64 nr_mixed;
	u64 nr_listed;
	long small_bytes;
};

static bool haslab_check_slab(struct haslab *s, struct haslab_slab *slab, struct found *found)
{
	u64 pos;

	for (pos = slab->start; pos < slab_end(slab); pos += unit_blocks(s))
		if (haslab_lookup(s, pos) != slab || mixed_at(s, pos) ||
		    habuddy_free_order(&s->buddy, pos >> s->cfg.unit_shift) >= 0)
			return false;
	found->free += slab->nr_blocks -
		       (slab->nr_objects - slab->nr_free) * s->classes[slab->class].blocks;
	found->nr_slabs++;
	found->nr_listed += !!slab->nr_free;
	if (slab->nr_blocks < slot_blocks(s))
		found->small_bytes += slab_bytes(slab);
	return bitmap_weight(slab->free, slab->nr_objects) == slab->nr_free &&
	       !bitmap_intersects(slab->free, slab->live, slab->nr_objects) &&
	       slab->nr_free < slab->nr_objects &&
	       find_first_bit(slab->free, slab->nr_objects) >=
	       min(slab->hint, slab->nr_objects) &&
	       (slab->nr_free || list_empty(&slab->list));
}

/* The slot is in the right list, and the links around it match. */
static bool haslab_check_indexed(struct haslab *s, const struct haslab_group *g, u32 slot,
				 u32 bucket)
{
	u32 next = slot_link(s, slot)->next, prev = slot_link(s, slot)->prev;

	if (!bucket)
		return true;
	return test_bit(bucket, g->mixed_mask) &&
	       (prev == slot) == (g->mixed[bucket] == slot) &&
	       (prev == slot || slot_link(s, prev)->next == slot) &&
	       (next == NO_SLOT || slot_link(s, next)->prev == slot);
}

/* Units of the mixed part are not free in the buddy; all other blocks are SPECIAL. */
static bool haslab_check_units(struct haslab *s, struct haslab_mixed *m, u32 slot)
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

/* An extent that continues here begins in the slot before, and both are tagged so. */
static bool haslab_check_continued(struct haslab *s, struct haslab_mixed *m, u32 slot)
{
	u64 border = slot_start(s, slot);
	struct haslab_mixed *before = border ? mixed_at(s, border - 1) : NULL;
	bool continues = m->runs.tag & MIXED_CONTINUES;

	if (continues != (before && before->runs.tag & MIXED_GOES_ON))
		return false;
	return !continues || (mixed_group(s, before) == mixed_group(s, m) &&
			      mixed_run(s, m, border).state == HARUNS_SPECIAL &&
			      mixed_run(s, before, border - 1).state == HARUNS_LIVE);
}

static bool haslab_check_mixed(struct haslab *s, struct haslab_mixed *m, u32 slot,
			       struct found *found)
{
	u64 first = s->cfg.first_block, end = s->cfg.nr_blocks;
	bool lasts = (!IS_ALIGNED(first, unit_blocks(s)) && slot_of(s, first) == slot) ||
		     (!IS_ALIGNED(end, unit_blocks(s)) && slot_of(s, end) == slot);

	found->free += m->runs.nr_free;
	found->nr_mixed++;
	found->nr_listed += !!haslab_mixed_bucket(m);
	return haruns_check(&m->runs) && haslab_check_continued(s, m, slot) &&
	       haslab_check_units(s, m, slot) && (lasts || m->runs.nr_free < m->runs.nr_known) &&
	       haslab_check_indexed(s, mixed_group(s, m), slot, haslab_mixed_bucket(m));
}

/* Check the mixed part and all slabs of a slot. */
static bool haslab_check_slot(struct haslab *s, u32 slot, struct found *found)
{
	u64 pos = slot_start(s, slot), end = min(pos + slot_blocks(s), s->cfg.nr_blocks);
	struct haslab_mixed *m = mixed_slot(s, slot);
	struct haslab_slab *slab;

	if (m && !haslab_check_mixed(s, m, slot, found))
		return false;
	slab = rcu_dereference_raw(map_dir(s, pos)->slabs[slot % DIR_SLOTS]);
	if ((unsigned long)slab & MAP_SPLIT)
		found->small_bytes += ksize(map_split(slab, pos >> s->cfg.unit_shift));
	while (pos < end) {
		slab = haslab_lookup(s, pos);
		if (!slab) {
			pos += unit_blocks(s);
			continue;
		}
		if (slab->start != pos || !haslab_check_slab(s, slab, found))
			return false;
		pos = slab_end(slab);
	}
	return true;
}

/* The sum that a dir keeps is that of the free runs in it now. */
static bool haslab_check_sum(struct haslab *s, struct haslab_dir *dir)
{
	u64 start = (u64)(dir - s->dirs) * dir_blocks(s);
	struct haslab_sum kept, found;

	if (!dir->summed)
		return true;
	kept = haslab_dir_sum(s, start);
	dir->summed = false;
	found = haslab_dir_sum(s, start);
	return kept.lead == found.lead && kept.longest == found.longest &&
	       kept.trail == found.trail;
}

static bool haslab_check_dir(struct haslab *s, struct haslab_dir *dir, struct found *found)
{
	u64 nr_slabs = found->nr_slabs, nr_mixed = found->nr_mixed;
	u32 slot = (u32)(dir - s->dirs) << DIR_SHIFT;
	bool has_slabs = dir->slabs != haslab_no_slabs;

	haslab_assert_all(s);
	if (!!dir->nr_slabs != has_slabs || !dir->nr_mixed != !dir->mixed ||
	    !dir->links != !dir->mixed)
		return false;
	for (; slot < dir_slots_end(s, dir - s->dirs) && (dir->nr_slabs || dir->mixed); slot++)
		if (!haslab_check_slot(s, slot, found))
			return false;
	return found->nr_slabs - nr_slabs == dir->nr_slabs &&
	       found->nr_mixed - nr_mixed == dir->nr_mixed && haslab_check_sum(s, dir);
}

/* Count the members of a group's lists, which must be of that group. */
static bool haslab_check_lists(struct haslab *s, const struct haslab_group *g, u64 max, u64 *found)
{
	struct haslab_slab *slab;
	u32 slot, i;

	for (i = 0; i < HASLAB_NR_CLASSES; i++)
		list_for_each_entry(slab, &g->partial[i], list)
			if (slab_group(s, slab) != g || slab->class != i || (*found)++ > max)
				return false;
	for (i = 0; i < HASLAB_NR_BUCKETS; i++) {
		if (test_bit(i, g->mixed_mask) ? g->mixed[i] == NO_SLOT : g->mixed[i] != NO_SLOT)
			return false;
		for (slot = g->mixed[i]; slot != NO_SLOT; slot = slot_link(s, slot)->next)
			if (mixed_group(s, mixed_of(s, slot)) != g || (*found)++ > max)
				return false;
	}
	return true;
}

/* The counters of the groups match the sums. */
static bool haslab_check_groups(struct haslab *s, const struct found *found)
{
	u64 nr_slabs = 0, nr_listed = 0, free = 0;
	unsigned int i;

	haslab_assert_all(s);
	for (i = 0; i < s->nr_groups; i++) {
		const struct haslab_group *g = &s->groups[i];

		if (g->nr != i || !haslab_check_lists(s, g, found->nr_listed, &nr_listed))
			return false;
		nr_slabs += g->nr_slabs;
		free += g->free;
	}
	return free == found->free && s->small_bytes == found->small_bytes &&
	       nr_slabs == found->nr_slabs + found->nr_mixed &&
	       nr_listed == found->nr_listed;
}

/* Spans do not overlap; their pieces are SPECIAL in a mixed part, else not free. */
static bool haslab_check_spans(struct haslab *s)
{
	struct rb_node *node;
	u64 end = 0;

	haslab_assert_all(s);
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
				pos = min(next, end);
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
 * Looks at all metadata, a dir at a time, then at the sums, which only match when no call is in
 * flight. Context: process context, may sleep. Return: 0; -EUCLEAN something is broken; -EAGAIN
 * the sums do not match: something is broken if no call was in flight.
 */
int haslab_check(struct haslab *s)
{
	struct found found = {};
	bool ok = true, sums;
	struct haslab_walk w;

	haslab_walk_start(&w, s, 0, U64_MAX, 0);
	for (; ok && haslab_walk_next(&w); w.pos = w.end)
		ok = haslab_check_dir(s, map_dir(s, w.pos), &found);
	haslab_walk_end(&w);
	haslab_lock_all(s);
	ok = ok && !habuddy_check(&s->buddy) && haslab_check_spans(s);
	sums = ok && haslab_check_groups(s, &found);
	haslab_unlock_all(s);
	return !ok ? -EUCLEAN : sums ? 0 : -EAGAIN;
}
