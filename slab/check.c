// SPDX-License-Identifier: GPL-2.0
/*
 * The invariants of the slab layer, verified naively: every slab, every mixed part and every
 * span is found through the map and compared with counters, lists and links. The sums of a quad and
 * a dir are added up from slots each of which was verified before in the same hold.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/sched.h>

#include "slab/internal.h"

/* The most members of lists that are looked at one by one. */
#define MAX_LISTED	500
/* So many blocks or objects of two bitmaps are a step. */
#define STEP_BLOCKS	16
/* So many steps is a node of the buddy, with nine bitmaps. */
#define NODE_STEPS	24

/* Sums over everything that is found through the map. */
struct found {
	u64 free;
	u64 nr_slabs;
	u64 nr_mixed;
	u64 nr_empty;			/* mixed slots that are kept */
	u64 nr_listed;
	u64 nr_spans;
	long small_bytes;
	u64 unit;			/* where the next node of the buddy may begin */
	struct habuddy_found buddy;
	bool one_hold;			/* the dir that is looked at is, so far, in one hold */
	bool keeps;			/* it kept its sum when the look at it began */
	struct haslab_sum quad;		/* of the slots of a quad, up to the last one looked at */
	u64 quad_start;			/* where that begins */
	u64 quad_hold;			/* in which hold */
	u64 nr_holds;
	u64 before_slabs;		/* @nr_slabs before that dir */
	u64 before_mixed;
	bool torn;			/* a dir changed between two holds */
};

/* What a slab keeps of the rows of its free objects, which are looked at one by one. */
static bool haslab_check_rows(const struct haslab_slab *slab)
{
	u32 nr = slab->nr_objects, end = 0, row = 0, longest = 0, first;

	if (!slab->nr_longest)
		return true;
	while ((first = find_next_bit(slab->free, nr, end)) < nr) {
		end = find_next_zero_bit(slab->free, nr, first);
		row = end - first;
		longest = max(longest, row);
	}
	return slab->nr_longest == longest &&
	       slab->nr_lead == find_first_zero_bit(slab->free, nr) &&
	       slab->nr_trail == (end == nr ? row : 0);
}

/* The objects that a dissolved slab still has are SPECIAL in a mixed part of its group. */
static bool haslab_check_dissolved(struct haslab *s, const struct haslab_slab *slab)
{
	struct haslab_mixed *m;
	struct haruns_run run;
	u64 start;
	u32 i;

	for_each_clear_bit(i, slab->free, slab->nr_objects) {
		start = object_start(s, slab, i);
		m = mixed_at(s, start);
		if (!m || mixed_group(s, m) != slab_group(s, slab))
			return false;
		run = mixed_run(s, m, start);
		if (run.state != HARUNS_SPECIAL || run_start(s, start, &run) != start ||
		    run.len != s->classes[slab->class].blocks)
			return false;
	}
	return bitmap_weight(slab->free, slab->nr_objects) == slab->nr_free &&
	       !bitmap_intersects(slab->free, slab->live, slab->nr_objects) &&
	       slab->nr_free < slab->nr_objects && list_empty(&slab->list);
}

static bool haslab_check_slab(struct haslab *s, struct haslab_slab *slab, struct found *found)
{
	u64 pos;

	for (pos = slab->start; pos < slab_end(slab); pos += unit_blocks(s))
		if (haslab_lookup(s, pos) != slab || !mixed_at(s, pos) != !slab->dissolved ||
		    habuddy_free_order(&s->buddy, pos >> s->cfg.unit_shift) >= 0)
			return false;
	if (slab->dissolved) {
		found->nr_slabs++;
		found->small_bytes += slab_bytes(slab);
		return haslab_check_dissolved(s, slab);
	}
	found->free += slab->nr_blocks -
		       (slab->nr_objects - slab->nr_free) * s->classes[slab->class].blocks;
	found->nr_slabs++;
	found->nr_listed += !!slab->nr_free;
	if (slab->nr_blocks < slot_blocks(s))
		found->small_bytes += slab_bytes(slab);
	return bitmap_weight(slab->free, slab->nr_objects) == slab->nr_free &&
	       !bitmap_intersects(slab->free, slab->live, slab->nr_objects) &&
	       slab->nr_free < slab->nr_objects && haslab_check_rows(slab) &&
	       find_first_bit(slab->free, slab->nr_objects) >=
	       min(slab->hint, slab->nr_objects) &&
	       slab->list.next->prev == &slab->list && slab->list.prev->next == &slab->list &&
	       (slab->nr_free != 0) != list_empty(&slab->list);
}

/* An entry of the index is in the right list, and the links around it match. */
static bool haslab_check_indexed(struct haslab *s, const struct haslab_group *g, u32 entry,
				 u32 bucket)
{
	u32 next, prev;

	if (!bucket)
		return true;
	next = entry_link(s, entry)->next;
	prev = entry_link(s, entry)->prev;
	return test_bit(bucket, g->mixed_mask) &&
	       (prev == entry) == (g->mixed[bucket] == entry) &&
	       (prev == entry || entry_link(s, prev)->next == entry) &&
	       (next == NO_ENTRY || entry_link(s, next)->prev == entry);
}

/* The blocks of a slot that its mixed part has: its units, clipped to the managed range. */
static u32 haslab_check_known(const struct haslab *s, const struct haslab_mixed *m, u32 slot)
{
	u64 start = slot_start(s, slot), units = m->units, from, to;
	u32 known = 0;

	for (; units; units &= units - 1) {
		from = start + ((u64)__ffs64(units) << s->cfg.unit_shift);
		to = min(from + unit_blocks(s), s->cfg.nr_blocks);
		from = max(from, s->cfg.first_block);
		/* of a unit outside, a number that no other unit makes up for */
		known += to - from;
	}
	return known;
}

/* The blocks from @from to @to, counted from the start of the slot, are in SPECIAL runs. */
static bool haslab_check_special(const unsigned long *special, u32 from, u32 to)
{
	return from >= to || find_next_zero_bit(special, to, from) >= to;
}

/* Units of the mixed part are not free in the buddy; what is outside of them is SPECIAL. */
static bool haslab_check_units(struct haslab *s, struct haslab_mixed *m, u32 slot)
{
	DECLARE_BITMAP(special, HARUNS_MAX_BLOCKS);
	u64 start = slot_start(s, slot), from, to;
	u32 pos;

	haruns_special_map(&m->runs, special);
	for (pos = 0; pos < slot_blocks(s); pos += unit_blocks(s)) {
		from = pos + unit_blocks(s);
		to = from;
		if (mixed_has(s, m, start + pos)) {
			if (start + pos < s->cfg.nr_blocks &&
			    habuddy_free_order(&s->buddy, (start + pos) >> s->cfg.unit_shift) >= 0)
				return false;
			from = max(start + pos, s->cfg.first_block) - start;
			to = min(start + to, max(s->cfg.nr_blocks, start)) - start;
		}
		if (!haslab_check_special(special, pos, min_t(u64, from, pos + unit_blocks(s))) ||
		    !haslab_check_special(special, to, pos + unit_blocks(s)))
			return false;
	}
	return haslab_check_known(s, m, slot) == m->runs.nr_known;
}

/* An extent that continues here begins in the slot before, and both are tagged so. */
static bool haslab_check_continued(struct haslab *s, struct haslab_mixed *m, u32 slot)
{
	u64 border = slot_start(s, slot);
	struct haslab_mixed *before = border ? mixed_at(s, border - 1) : NULL;
	bool continues = m->runs.tag & MIXED_CONTINUES;
	struct haruns_run run;

	if (continues != (before && before->runs.tag & MIXED_GOES_ON))
		return false;
	if (!continues)
		return true;
	run = mixed_run(s, before, border - 1);
	/* all of the slot before it may be in the extent */
	return mixed_group(s, before) == mixed_group(s, m) &&
	       mixed_run(s, m, border).state == HARUNS_SPECIAL &&
	       run.state == (before->runs.tag & MIXED_CONTINUES && !run.start ? HARUNS_SPECIAL :
									       HARUNS_LIVE);
}

static bool haslab_check_mixed(struct haslab *s, struct haslab_mixed *m, u32 slot,
			       struct found *found)
{
	u64 first = s->cfg.first_block, end = s->cfg.nr_blocks;
	const struct haslab_group *g = mixed_group(s, m);
	bool lasts = (!IS_ALIGNED(first, unit_blocks(s)) && slot_of(s, first) == slot) ||
		     (!IS_ALIGNED(end, unit_blocks(s)) && slot_of(s, end) == slot);

	found->free += m->runs.nr_free;
	found->nr_mixed++;
	found->nr_empty += !!(m->runs.tag & MIXED_EMPTY);
	found->nr_listed += !!haslab_mixed_bucket(m) + !!m->runs.joined;
	return haruns_check(&m->runs) && haslab_check_continued(s, m, slot) &&
	       haslab_check_units(s, m, slot) && haslab_cross_is_right(s, slot) &&
	       (lasts || m->runs.nr_free < m->runs.nr_known || m->runs.tag & MIXED_EMPTY) &&
	       haslab_check_indexed(s, g, entry_of(slot), haslab_mixed_bucket(m)) &&
	       haslab_check_indexed(s, g, joined_entry_of(slot), m->runs.joined);
}

/* Check the mixed part and all slabs of a slot. */
static bool haslab_check_slot(struct haslab_walk *w, u32 slot, struct found *found)
{
	struct haslab *s = w->s;
	u64 pos = slot_start(s, slot), end = min(pos + slot_blocks(s), s->cfg.nr_blocks);
	struct haslab_mixed *m = mixed_slot(s, slot);
	struct haslab_slab *slab;

	haslab_walk_spend(w, 1);
	if (m) {
		/* a bitmap is looked at a word at a time, twice */
		haslab_walk_spend(w, haslab_slot_units(s) + (m->runs.cap ? 2U * m->runs.nr :
							     slot_blocks(s) / STEP_BLOCKS));
		if (!haslab_check_mixed(s, m, slot, found))
			return false;
	}
	slab = rcu_dereference_raw(map_dir(s, pos)->slabs[slot % DIR_SLOTS]);
	if ((unsigned long)slab & MAP_SPLIT)
		found->small_bytes += ksize(map_split(slab, pos >> s->cfg.unit_shift));
	while (pos < end) {
		slab = haslab_lookup(s, pos);
		haslab_walk_spend(w, 1);
		if (!slab) {
			pos += unit_blocks(s);
			continue;
		}
		haslab_walk_spend(w, (slab->nr_blocks >> s->cfg.unit_shift) +
				     (slab->nr_longest ? 2 : 1) * slab->nr_objects / STEP_BLOCKS);
		if (slab->start != pos || !haslab_check_slab(s, slab, found))
			return false;
		pos = slab_end(slab);
	}
	return true;
}

/*
 * Begin to add up a dir, if it keeps a sum. Another walk that begins so, which it has to before
 * the dir can keep another sum, then shows in haslab_sums.maker.
 */
static void haslab_check_sum_begin(struct haslab_walk *w, struct found *found)
{
	struct haslab_sums *sums = &w->s->sums;

	found->keeps = sums->dirs[dir_of(w->s, w->pos)] == HASLAB_SUM_KEPT;
	if (!found->keeps)
		return;
	w->sum = (struct haslab_sum) {};
	sums->maker = w;
}

/* Whether the dir still keeps the sum that it had when this walk began to add it up. */
static bool haslab_check_is_kept(const struct haslab_walk *w, u64 start, const struct found *found)
{
	const struct haslab_sums *sums = &w->s->sums;

	return found->keeps && sums->dirs[dir_of(w->s, start)] == HASLAB_SUM_KEPT &&
	       sums->maker == w;
}

/* The sum that a dir keeps is that of the free runs that were found, if nothing has changed. */
static bool haslab_check_sum(const struct haslab_walk *w, u64 start, const struct found *found)
{
	const struct haslab_dir *dir = map_dir(w->s, start);

	return !haslab_check_is_kept(w, start, found) ||
	       (w->sum.lead == dir->lead && w->sum.longest == dir->longest &&
		w->sum.trail == dir->trail);
}

/* The first span that ends after @pos, or NULL. */
static struct haslab_span *haslab_check_span_at(struct haslab *s, u64 pos)
{
	struct rb_node *node = s->spans.rb_node;
	struct haslab_span *span, *found = NULL;

	while (node) {
		span = rb_entry(node, struct haslab_span, node);
		if (span->start + span->len > pos)
			found = span;
		node = found == span ? node->rb_left : node->rb_right;
	}
	return found;
}

/*
 * The pieces of a span from @pos to @end are SPECIAL in a mixed part, else not free. A slot that a
 * @huge one fills has no mixed part.
 */
static bool haslab_check_pieces(struct haslab *s, u64 pos, u64 end, bool huge)
{
	struct haslab_mixed *m;
	struct haruns_run run;
	u64 next;

	while (pos < end) {
		m = mixed_at(s, pos);
		if (!m) {
			if (haslab_lookup(s, pos) || haslab_stretch(s, pos, &next))
				return false;
			pos = next;
			continue;
		}
		run = mixed_run(s, m, pos);
		if (run.state != HARUNS_SPECIAL || run_start(s, pos, &run) != pos ||
		    pos + run.len > end ||
		    (huge && !run.start && pos + slot_blocks(s) <= end))
			return false;
		pos += run.len;
	}
	return true;
}

/*
 * The spans from @from to w->pos do not overlap and have their pieces. They are few: each crosses a
 * border between slots.
 */
static bool haslab_check_spans(struct haslab_walk *w, u64 from, struct found *found)
{
	struct haslab_span *span = haslab_check_span_at(w->s, from), *next;
	u64 end;

	for (; span && span->start < w->pos; span = next) {
		haslab_walk_spend(w, 1);
		next = rb_entry_safe(rb_next(&span->node), struct haslab_span, node);
		end = span->start + span->len;
		found->nr_spans += span->start >= from;
		if (!span->len || (next && next->start < end) ||
		    !haslab_check_pieces(w->s, max(from, span->start), min(w->pos, end),
					 haslab_is_huge(w->s, span->len)))
			return false;
	}
	return true;
}

/* In a dir without slabs and mixed parts there is nothing to check but spans, and its sum. */
static void haslab_check_gap(struct haslab_walk *w, const struct found *found)
{
	struct haslab_sum sum;

	if (found->keeps) {
		sum = haslab_parts_sum(w, w->pos, w->end, 0);
		haslab_sum_append(&w->sum, &sum);
	}
	w->pos = w->end;
}

/* What a dir has beside its slots. */
static bool haslab_check_tables(const struct haslab_dir *dir)
{
	return !!dir->nr_slabs == (dir->slabs != haslab_no_slabs) &&
	       !dir->nr_mixed == !dir->mixed && !dir->links == !dir->mixed;
}

/* The slots of a dir have been counted; if in several holds, a call may have changed some. */
static bool haslab_check_counts(const struct haslab_dir *dir, struct found *found)
{
	bool match = found->nr_slabs - found->before_slabs == dir->nr_slabs &&
		     found->nr_mixed - found->before_mixed == dir->nr_mixed;

	found->torn |= !match && !found->one_hold;
	return match || !found->one_hold;
}

/*
 * A slot was checked, from w->pos to @end: add up its parts. At the end of a quad, that is what the
 * quad keeps, if it does and nothing has changed meanwhile.
 */
static bool haslab_check_slot_sum(struct haslab_walk *w, u64 end, struct found *found)
{
	struct haslab *s = w->s;
	u64 dir = round_down(w->pos, dir_blocks(s)), start = w->pos;
	struct haslab_sum sum, kept;

	if (haslab_is_quad(s, start)) {
		found->quad = (struct haslab_sum) {};
		found->quad_start = start;
		found->quad_hold = found->nr_holds;
	}
	w->pos = end;
	if (!found->keeps && !haslab_quad_keeps(s, found->quad_start))
		return true;
	sum = haslab_parts_sum(w, start, end, 0);
	haslab_sum_append(&w->sum, &sum);
	haslab_sum_append(&found->quad, &sum);
	if (end != haslab_quad_end(s, found->quad_start) ||
	    !haslab_quad_keeps(s, found->quad_start) ||
	    (found->quad_hold != found->nr_holds && !haslab_check_is_kept(w, dir, found)))
		return true;
	kept = haslab_quad_kept(s, found->quad_start);
	return found->quad.lead == kept.lead && found->quad.longest == kept.longest &&
	       found->quad.trail == kept.trail;
}

/* Check the slots of a dir, one after another, until the hold has taken its steps. */
static bool haslab_check_slots(struct haslab_walk *w, struct haslab_dir *dir, struct found *found)
{
	struct haslab *s = w->s;
	u32 slot = slot_of(s, w->pos);

	if (dir_is_gap(dir)) {
		haslab_check_gap(w, found);
		return true;
	}
	while (w->pos < w->end && w->steps > 0)
		if (!haslab_check_slot(w, slot, found) ||
		    !haslab_check_slot_sum(w, min(slot_start(s, ++slot), w->end), found))
			return false;
	return true;
}

/* Check the nodes of the buddy that begin before w->pos. */
static bool haslab_check_nodes(struct haslab_walk *w, struct found *found)
{
	u64 end = DIV_ROUND_UP_ULL(w->pos, unit_blocks(w->s));

	for (; found->unit < min(end, w->s->buddy.nr_units); haslab_walk_spend(w, NODE_STEPS))
		if (habuddy_check_at(&w->s->buddy, &found->unit, &found->buddy))
			return false;
	return true;
}

static noinline_for_stack bool haslab_check_hold(struct haslab_walk *w, struct found *found)
{
	struct haslab_dir *dir = map_dir(w->s, w->pos);
	u64 from = w->pos;

	found->nr_holds++;
	/* each record is looked at from several sides */
	w->steps /= 2;
	haslab_sums_settle(w->s, from);
	/* GROW has added to the last dir what this walk does not look at: the caller tries again */
	if (w->s->cfg.nr_blocks != w->limit) {
		found->torn = true;
		w->pos = w->limit;
		return true;
	}
	found->one_hold = IS_ALIGNED(from, dir_blocks(w->s));
	if (found->one_hold) {
		found->before_slabs = found->nr_slabs;
		found->before_mixed = found->nr_mixed;
		haslab_check_sum_begin(w, found);
	}
	if (!haslab_check_tables(dir) || !haslab_check_slots(w, dir, found) ||
	    !haslab_check_spans(w, from, found) || !haslab_check_nodes(w, found))
		return false;
	return w->pos < w->end ||
	       (haslab_check_counts(dir, found) &&
		haslab_check_sum(w, round_down(from, dir_blocks(w->s)), found));
}

/*
 * The members of the lists of a group, which must be of that group. If there are more than a hold
 * may look at, the check of each member has compared the links around it; only heads are left. A
 * list that has grown meanwhile, or has no end, is not followed: @nr then differs from the number
 * that was found through the map.
 */
static bool haslab_check_lists(struct haslab *s, const struct haslab_group *g, bool all, u64 *nr)
{
	struct haslab_slab *slab;
	u32 entry, i;

	ha_step(HASLAB_NR_BUCKETS);
	if (!haslab_empty_is_right(s, g))
		return false;
	for (i = 0; i < HASLAB_NR_BUCKETS; i++)
		if (test_bit(i, g->mixed_mask) ? g->mixed[i] == NO_ENTRY : g->mixed[i] != NO_ENTRY)
			return false;
	for (i = 0; all && i < HASLAB_NR_CLASSES; i++)
		list_for_each_entry(slab, &g->partial[i], list)
			if (slab_group(s, slab) != g || slab->class != i)
				return false;
			else if ((*nr)++ > MAX_LISTED)
				return true;
	for (i = 0; all && i < HASLAB_NR_BUCKETS; i++)
		for (entry = g->mixed[i]; entry != NO_ENTRY; entry = entry_link(s, entry)->next)
			if (mixed_group(s, mixed_of(s, entry_slot(entry))) != g)
				return false;
			else if ((*nr)++ > MAX_LISTED)
				return true;
	return true;
}

/* The counters match the sums, if nothing has changed since the walk began. */
static bool haslab_check_sums(struct haslab *s, const struct found *found)
{
	u64 nr_slabs = 0, nr_mixed = 0, nr_empty = 0, free = 0;
	unsigned int i;

	haslab_assert_all(s);
	for (i = 0; i < s->nr_groups; i++) {
		nr_slabs += s->groups[i].nr_slabs;
		nr_mixed += s->groups[i].nr_mixed;
		nr_empty += s->groups[i].nr_empty;
		free += s->groups[i].free;
	}
	return !found->torn && free == found->free && s->nr_spans == found->nr_spans &&
	       s->small_bytes == found->small_bytes &&
	       nr_slabs == found->nr_slabs + found->nr_mixed && nr_mixed == found->nr_mixed &&
	       nr_empty == found->nr_empty &&
	       !habuddy_check_sums(&s->buddy, &found->buddy);
}

/**
 * haslab_check - verify every invariant of this layer and the buddy, naively
 * @s: the slab allocator
 *
 * Looks at all metadata, a bounded number of slots at a time, then at the sums, which only match
 * when no call is in flight. Context: process context, may sleep. Return: 0; -EUCLEAN something is
 * broken; -EAGAIN the sums do not match: something is broken if no call was in flight; -EINTR the
 * caller was killed; -ENODEV the device is being detached.
 */
int haslab_check(struct haslab *s)
{
	struct found found = {};
	struct haslab_walk w;
	bool ok = true, few, sums;
	unsigned int i;
	u64 nr = 0, listed;
	int ret;

	haslab_walk_start(&w, s, 0, U64_MAX, HASLAB_WALK_LONG);
	while (ok && haslab_walk_next(&w))
		ok = haslab_check_hold(&w, &found);
	ret = haslab_walk_end(&w);
	if (ok && ret)
		return ret;
	few = found.nr_listed <= MAX_LISTED;
	for (i = 0; ok && i < s->nr_groups; i++) {
		haslab_lock_all(s);
		listed = nr;
		ok = s->groups[i].nr == i && haslab_check_lists(s, &s->groups[i], few, &nr);
		ha_step(nr - listed);
		haslab_unlock_all_rest(s);
		cond_resched();
	}
	if (!ok)
		return -EUCLEAN;
	haslab_lock_all(s);
	sums = haslab_check_sums(s, &found) && (nr == found.nr_listed || !few);
	haslab_unlock_all(s);
	return sums ? 0 : -EAGAIN;
}
