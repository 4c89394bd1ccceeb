// SPDX-License-Identifier: GPL-2.0
/*
 * Free runs across the borders of slots. See mixed.c for the runs within a slot.
 *
 * If each slot kept its rests for itself, extents of some MiB would leave one in each of them:
 * sizes of 8 to 16 MiB then fill .82 of a disk, and a best fit over the whole disk .955. So a free
 * run that ends one slot and the one that begins the next are joined to one, if both slots are
 * mixed and of one group. A slot that is wholly free joins those beside it.
 *
 * A joined run is in the index by its whole length, as an entry of the slot in which it begins.
 * What each slot has of it is apart: not in haruns.max_free, nor looked at for a best fit within
 * the slot (HARUNS_..._APART). So the index has each free run once, and the best fit in it is one
 * over all mixed slots of the group. Shorter ones than a sixteenth of a slot stay in two pieces:
 * most are used up soon, and to join them costs more than it gains.
 *
 * An extent is taken from the start of a joined run, which leaves its rest in one piece. It may go
 * through slots that are wholly free, so it may be longer than a slot, HASLAB_CHAIN_SLOTS at most:
 * then it has a run in each of them, the first of which is LIVE and the others are SPECIAL, and the
 * slots have the tags MIXED_GOES_ON and MIXED_CONTINUES.
 *
 * A slot that becomes wholly free is kept: it stays mixed, in the list haslab_group.empty. In the
 * buddy it would part the runs beside it, and the next extent would make it mixed again. (If a
 * group keeps 32 slots at most, sizes of up to 64 MiB fill .77 of 64 GiB instead of .90.) So that
 * a look at a joined run is bounded, no more than HASLAB_NR_EMPTY in a row are kept. A group keeps
 * no more slots than it has in use, and one more: so when everything is free, one is left, the
 * first by address, and new extents lie as on a new device. Those that are kept go back one by one
 * when the buddy has nothing to give, and all when the pools are drained, or for an extent that is
 * longer than what a group serves.
 *
 * Locking: everything here belongs to one group, whose lock is held, or all groups are shut out.
 */
#include <linux/kernel.h>

#include "slab/runs_hit.h"
#include "slab/internal.h"

/* ---- slots that are wholly free ---- */

/*
 * The links of a slot in the list of those that are kept: those of an entry of the index that such
 * a slot does not need. If it is joined, it has no run of its own, else it begins no joined run.
 */
struct haslab_link *haslab_empty_link(const struct haslab *s, u32 slot)
{
	bool joined = mixed_of(s, slot)->runs.tag & HARUNS_APART;

	return entry_link(s, joined ? entry_of(slot) : joined_entry_of(slot));
}

/* Keep a slot that is wholly free. */
void haslab_empty_keep(struct haslab *s, struct haslab_group *g, u32 slot)
{
	*haslab_empty_link(s, slot) = (struct haslab_link) { .next = g->empty, .prev = slot };
	if (g->empty != NO_ENTRY)
		haslab_empty_link(s, g->empty)->prev = slot;
	g->empty = slot;
	WRITE_ONCE(g->nr_empty, g->nr_empty + 1);
	mixed_of(s, slot)->runs.tag |= MIXED_EMPTY;
}

/* A slot that is kept will be in use, or go. */
void haslab_empty_forget(struct haslab *s, struct haslab_group *g, u32 slot)
{
	struct haslab_link link;

	mixed_of(s, slot)->runs.tag &= ~MIXED_EMPTY;
	WRITE_ONCE(g->nr_empty, g->nr_empty - 1);
	link = *haslab_empty_link(s, slot);
	if (link.next != NO_ENTRY)
		haslab_empty_link(s, link.next)->prev = link.prev == slot ? link.next : link.prev;
	if (link.prev != slot)
		haslab_empty_link(s, link.prev)->next = link.next;
	else
		g->empty = link.next;
}

/*
 * One of the slots that are kept, to be given back; NO_ENTRY if there is none. Never the first one
 * by address, unless it is the only one.
 */
u32 haslab_empty_some(const struct haslab *s, const struct haslab_group *g)
{
	u32 next = g->empty == NO_ENTRY ? NO_ENTRY : haslab_empty_link(s, g->empty)->next;

	return next == NO_ENTRY ? g->empty : max(g->empty, next);
}

/* ---- slots beside each other ---- */

/* The mixed part of a slot if it is one of @g, or NULL. */
static struct haslab_mixed *haslab_mixed_of_group(const struct haslab *s,
						  const struct haslab_group *g, u32 slot)
{
	struct haslab_mixed *m;

	if (slot_start(s, slot) >= s->cfg.nr_blocks)
		return NULL;
	m = mixed_slot(s, slot);
	return m && mixed_is_of(s, m, g) ? m : NULL;
}

/*
 * A slot has been added to those that are kept. Return: how many there are too many in a row now;
 * the last of them is @end - 1.
 */
u32 haslab_empty_over(const struct haslab *s, const struct haslab_group *g, u32 slot, u32 *end)
{
	u32 first = slot, last = slot;
	struct haslab_mixed *m;

	while (first && (m = haslab_mixed_of_group(s, g, first - 1)) && m->runs.tag & MIXED_EMPTY)
		first--;
	while ((m = haslab_mixed_of_group(s, g, last + 1)) && m->runs.tag & MIXED_EMPTY)
		last++;
	ha_step(last - first);
	*end = last + 1;
	return *end - first - min_t(u32, *end - first, HASLAB_NR_EMPTY);
}

/* Whether the free runs at the end of a slot and at the start of the next one are to be joined. */
static bool haslab_is_joined(const struct haslab *s, const struct haslab_mixed *before,
			     const struct haslab_mixed *m)
{
	return haslab_to_join(s, haruns_trail(&before->runs), haruns_lead(&m->runs));
}

/* Whether a slot is joined with the next one and is not in the middle of a joined run. */
static bool haslab_begins_joined(const struct haslab_mixed *m)
{
	return m->runs.tag & HARUNS_TRAIL_APART &&
	       !(haruns_is_empty(&m->runs) && m->runs.tag & HARUNS_LEAD_APART);
}

/* The slot in which the joined run begins that reaches the end of @slot. */
static u32 haslab_joined_first(const struct haslab *s, u32 slot)
{
	const struct haslab_mixed *m = mixed_of(s, slot);

	while (haruns_is_empty(&m->runs) && m->runs.tag & HARUNS_LEAD_APART) {
		m = mixed_of(s, --slot);
		ha_step(1);
	}
	return slot;
}

/* The length of the joined run that begins in @slot; if it is longer than what is listed, some. */
u32 haslab_joined_len(const struct haslab *s, u32 slot)
{
	const struct haruns *r = &mixed_of(s, slot)->runs;
	u32 len = haruns_trail(r);

	do {
		r = &mixed_of(s, ++slot)->runs;
		len += haruns_lead(r);
		ha_step(1);
	} while (haruns_is_empty(r) && r->tag & HARUNS_TRAIL_APART &&
		 len < 1U << HASLAB_LISTED_SHIFT);
	return len;
}

/* ---- what is in the index ---- */

/* The bucket of the joined run that begins in @slot, or 0. */
static u32 haslab_joined_bucket(const struct haslab *s, u32 slot)
{
	return haslab_begins_joined(mixed_of(s, slot)) ?
	       haslab_listed_bucket(haslab_joined_len(s, slot)) : 0;
}

/* The joined run that begins in @slot is in @bucket; 0: there is none. */
static inline void haslab_joined_move(struct haslab *s, struct haslab_group *g, u32 slot,
				      struct haslab_mixed *m, u32 bucket)
{
	if (m->runs.joined == bucket)
		return;
	haslab_index_relink(s, g, joined_entry_of(slot), m->runs.joined, bucket);
	m->runs.joined = bucket;
}

/* The joined run that begins in @slot may have changed. */
static void haslab_joined_index(struct haslab *s, struct haslab_group *g, u32 slot)
{
	haslab_joined_move(s, g, slot, mixed_of(s, slot), haslab_joined_bucket(s, slot));
}

/* An end of a slot is now apart, or no longer. */
static void haslab_end_apart(struct haslab *s, struct haslab_group *g, u32 slot, u8 end, bool apart)
{
	struct haslab_mixed *m = mixed_of(s, slot);
	u32 max_free = m->runs.max_free;
	struct haslab_link link = {};

	if (m->runs.tag & MIXED_EMPTY)
		link = *haslab_empty_link(s, slot);
	haruns_set_apart(&m->runs, end, apart);
	if (m->runs.joined && !(m->runs.tag & HARUNS_APART))
		haslab_joined_index(s, g, slot);
	haslab_index_move(s, g, slot, m, max_free);
	if (m->runs.tag & MIXED_EMPTY)
		*haslab_empty_link(s, slot) = link;
}

/* Join the free runs at the border before @slot, or part them. */
static void haslab_border_join(struct haslab *s, struct haslab_group *g, u32 slot, bool joined)
{
	haslab_end_apart(s, g, slot - 1, HARUNS_TRAIL_APART, joined);
	haslab_end_apart(s, g, slot, HARUNS_LEAD_APART, joined);
	/* wholly free, it may begin a joined run now, or no longer */
	if (haruns_is_empty(&mixed_of(s, slot)->runs))
		haslab_joined_index(s, g, slot);
}

/* The joined run that reaches the border before @slot, or does no longer, has changed. */
static void haslab_border_index(struct haslab *s, struct haslab_group *g, u32 slot)
{
	haslab_joined_index(s, g, slot - 1);
	if (haruns_is_empty(&mixed_of(s, slot - 1)->runs))
		haslab_joined_index(s, g, haslab_joined_first(s, slot - 1));
}

/*
 * The same for the border between @before and @m, and the joined run has @len blocks, if it goes no
 * further; 0: there is none.
 */
static void haslab_pair_index(struct haslab *s, struct haslab_group *g, u32 slot,
			      struct haslab_mixed *before, struct haslab_mixed *m, u32 len)
{
	if (likely(!haruns_is_empty(&before->runs) && !haruns_is_empty(&m->runs))) {
		haslab_joined_move(s, g, slot - 1, before, haslab_listed_bucket(len));
		return;
	}
	haslab_border_index(s, g, slot);
	/* it began a joined run, and may be in the middle of one now */
	if (haruns_is_empty(&m->runs))
		haslab_joined_index(s, g, slot);
}

/* What is free at the border before @slot, between @before and @m, has changed. */
static void haslab_border_update(struct haslab *s, struct haslab_group *g, u32 slot,
				 struct haslab_mixed *before, struct haslab_mixed *m)
{
	u32 trail = haruns_trail(&before->runs), lead = haruns_lead(&m->runs);
	bool joined = haslab_to_join(s, trail, lead);

	if (joined != !!(before->runs.tag & HARUNS_TRAIL_APART))
		haslab_border_join(s, g, slot, joined);
	else if (!joined)
		return;
	haslab_pair_index(s, g, slot, before, m, joined ? trail + lead : 0);
}

static void haslab_border_changed(struct haslab *s, struct haslab_group *g, u32 slot)
{
	struct haslab_mixed *before = slot ? haslab_mixed_of_group(s, g, slot - 1) : NULL;
	struct haslab_mixed *m = before ? haslab_mixed_of_group(s, g, slot) : NULL;

	if (m)
		haslab_border_update(s, g, slot, before, m);
}

/*
 * @len blocks from @start of a slot have become free, and the free run there is from @from to
 * before @to now. Return: the longest of the free runs beside them, which are a part of it, if not
 * apart.
 */
static u32 haslab_freed_part(const struct haruns *r, u32 start, u32 len, u32 from, u32 to)
{
	u32 before = r->tag & HARUNS_LEAD_APART && !from ? 0 : start - from;
	u32 after = r->tag & HARUNS_TRAIL_APART && to == r->nr_blocks ? 0 : to - start - len;

	return max(before, after);
}

/*
 * @len blocks from @start of a slot have become free, and the free run there, from @from to before
 * @to now, is at the end of the slot, or at its start. The caller then moves the slot in the index.
 */
void haslab_end_freed(struct haslab *s, u32 slot, u32 start, u32 len, u32 from, u32 to)
{
	struct haslab_mixed *m = mixed_of(s, slot), *before = NULL, *next = NULL;
	struct haslab_group *g = mixed_group(s, m);
	u32 part = haslab_freed_part(&m->runs, start, len, from, to);
	struct haruns_run now = { .start = from, .len = to - from };
	u32 lead = 0, trail = 0;

	haslab_assert_group(s, g);
	if (!from && slot) {
		before = haslab_mixed_of_group(s, g, slot - 1);
		trail = before ? haruns_trail(&before->runs) : 0;
		if (!haslab_to_join(s, trail, now.len))
			before = NULL;
		else if (!(m->runs.tag & HARUNS_LEAD_APART))
			haslab_end_apart(s, g, slot - 1, HARUNS_TRAIL_APART, true);
	}
	if (to == slot_blocks(s)) {
		next = haslab_mixed_of_group(s, g, slot + 1);
		lead = next ? haruns_lead(&next->runs) : 0;
		if (!haslab_to_join(s, now.len, lead))
			next = NULL;
		else if (!(m->runs.tag & HARUNS_TRAIL_APART))
			haslab_end_apart(s, g, slot + 1, HARUNS_LEAD_APART, true);
	}
	m->runs.tag |= (before ? HARUNS_LEAD_APART : 0) | (next ? HARUNS_TRAIL_APART : 0);
	haruns_freed(&m->runs, &now, part);
	if (next)
		haslab_pair_index(s, g, slot + 1, m, next, now.len + lead);
	if (before)
		haslab_pair_index(s, g, slot, before, m, trail + now.len);
}

/* See haslab_ends_changed(). */
void haslab_cross_changed(struct haslab *s, struct haslab_group *g, u32 slot, u32 start, u32 end)
{
	haslab_assert_group(s, g);
	if (!start)
		haslab_border_changed(s, g, slot);
	if (end == slot_blocks(s))
		haslab_border_changed(s, g, slot + 1);
}

/* The mixed part of a slot is about to go, or to become a smaller one. */
void haslab_cross_leave(struct haslab *s, struct haslab_group *g, u32 slot)
{
	u8 tag = mixed_of(s, slot)->runs.tag;

	if (tag & MIXED_EMPTY)
		haslab_empty_forget(s, g, slot);
	if (tag & HARUNS_TRAIL_APART)
		haslab_border_join(s, g, slot + 1, false);
	if (tag & HARUNS_LEAD_APART)
		haslab_border_join(s, g, slot, false);
	haslab_joined_index(s, g, slot);
	if (tag & HARUNS_LEAD_APART)
		haslab_joined_index(s, g, haslab_joined_first(s, slot - 1));
}

/* ---- allocation ---- */

/*
 * All of a slot, which is in the middle of a joined run, becomes a part of an extent that begins
 * before it and goes on after it.
 */
static void haslab_joined_through(struct haslab *s, struct haslab_group *g, u32 slot)
{
	struct haslab_mixed *m = mixed_of(s, slot);
	struct haruns_run run = haruns_first(&m->runs);

	ha_step(1);
	if (m->runs.tag & MIXED_EMPTY)
		haslab_empty_forget(s, g, slot);
	haruns_use(&m->runs, &run, 0, run.len, HARUNS_SPECIAL);
	m->runs.tag = (m->runs.tag & ~HARUNS_APART) | MIXED_CONTINUES | MIXED_GOES_ON;
	map_slot_changed(s, slot);
}

/*
 * The rest of an extent that begins in a slot before: @len blocks at the start of this one, which
 * is not joined with the slot before any more.
 */
static void haslab_joined_rest(struct haslab *s, struct haslab_group *g, u32 slot, u32 len)
{
	struct haslab_mixed *m = mixed_of(s, slot);
	bool through = haruns_is_empty(&m->runs);
	struct haruns_run run = haruns_first(&m->runs);
	u32 max_free = m->runs.max_free;

	if (m->runs.tag & MIXED_EMPTY)
		haslab_empty_forget(s, g, slot);
	haruns_use(&m->runs, &run, 0, len, HARUNS_SPECIAL);
	m->runs.tag = (m->runs.tag & ~HARUNS_LEAD_APART) | MIXED_CONTINUES;
	if (!through || !(m->runs.tag & HARUNS_TRAIL_APART))
		m->runs.max_free = max(max_free, run.len - len);
	haslab_index_move(s, g, slot, m, max_free);
	map_slot_changed(s, slot);
	if (through)
		haslab_cross_changed(s, g, slot, 1, slot_blocks(s));
}

/*
 * Allocate from the start of the joined run that begins in @slot, which is long enough. Return: 0;
 * -ENOMEM.
 */
int haslab_joined_take(struct haslab *s, struct haslab_group *g, u32 slot, u32 len,
		       struct hamem_op *op, u64 *start)
{
	struct haslab_mixed *m = mixed_of(s, slot);
	struct haruns_run run = haruns_trail_run(&m->runs);
	u32 last = slot_of(s, slot_start(s, slot) + run.start + len - 1), i;

	haslab_assert_group(s, g);
	if (haruns_reserve(&m->runs, 2, &s->mem, op) ||
	    (last > slot && haruns_reserve(&mixed_of(s, last)->runs, 2, &s->mem, op)))
		return -ENOMEM;
	/* the marks may have moved */
	run = haruns_trail_run(&m->runs);
	*start = slot_start(s, slot) + run.start;
	if (m->runs.tag & MIXED_EMPTY)
		haslab_empty_forget(s, g, slot);
	haruns_use(&m->runs, &run, run.start, min(len, run.len), HARUNS_LIVE);
	g->free -= len;
	map_slot_changed(s, slot);
	if (last == slot) {
		haslab_border_update(s, g, slot + 1, m, mixed_of(s, slot + 1));
		return 0;
	}
	m->runs.tag = (m->runs.tag & ~HARUNS_TRAIL_APART) | MIXED_GOES_ON;
	for (i = slot + 1; i < last; i++)
		haslab_joined_through(s, g, i);
	haslab_joined_rest(s, g, last, *start + len - slot_start(s, last));
	haslab_joined_move(s, g, slot, m, 0);
	return 0;
}

/* What an extent has in the slots from @first to @last is none of it any more. */
void haslab_chain_part(struct haslab *s, u32 first, u32 last)
{
	u32 slot;

	for (slot = first; slot < last; slot++) {
		mixed_of(s, slot)->runs.tag &= ~MIXED_GOES_ON;
		mixed_of(s, slot + 1)->runs.tag &= ~MIXED_CONTINUES;
	}
}

/* ---- free units ---- */

/* The free run of @g that @block is in: its length, or 0. */
static u32 haslab_free_run(const struct haslab *s, const struct haslab_group *g, u64 block,
			   struct haruns_run *run)
{
	const struct haslab_mixed *m;

	if (block >= s->cfg.nr_blocks)
		return 0;
	m = mixed_at(s, block);
	if (!m || !mixed_is_of(s, m, g))
		return 0;
	*run = mixed_run(s, m, block);
	return run->len * (run->state == HARUNS_FREE);
}

/*
 * The length of the free run of @g that ends at @pos, or, if not @ends, that begins there. Of one
 * that is longer than @enough, some.
 */
static u32 haslab_free_beside(const struct haslab *s, const struct haslab_group *g, u64 pos,
			      bool ends, u32 enough)
{
	struct haruns_run run;
	u32 len = 0, nr;

	do {
		ha_step(1);
		nr = haslab_free_run(s, g, pos - ends, &run);
		len += nr;
		pos += ends ? -(u64)nr : nr;
	} while (nr && len < enough && IS_ALIGNED(pos, slot_blocks(s)));
	return len;
}

/* Take a slot off the ends of a row. */
static void haslab_row_without(const struct haslab *s, struct haslab_row *row, u32 slot)
{
	u64 start = slot_start(s, slot), end = start + slot_blocks(s);

	if (row->start >= start && row->start < end)
		row->start = end;
	else if (row->end > start && row->end <= end)
		row->end = start;
}

/* Whether the mixed part of a slot is one of another group than @g, which can not be shut out. */
static bool haslab_is_of_other(const struct haslab *s, const struct haslab_group *g, u32 slot)
{
	const struct haslab_mixed *m = mixed_slot(s, slot);

	return m && !mixed_is_of(s, m, g) && !haslab_has_all(s);
}

/*
 * Take off the ends of a row what is in the home of @g, where its new slabs go, or in a slot of
 * another group. False if nothing is left.
 */
static bool haslab_row_spare(const struct haslab *s, const struct haslab_group *g,
			     struct haslab_row *row)
{
	if (haslab_has_home(s, g))
		haslab_row_without(s, row, slot_of(s, g->home));
	if (row->start < row->end && haslab_is_of_other(s, g, slot_of(s, row->start)))
		haslab_row_without(s, row, slot_of(s, row->start));
	if (row->start < row->end && haslab_is_of_other(s, g, slot_of(s, row->end - 1)))
		haslab_row_without(s, row, slot_of(s, row->end - 1));
	return row->start < row->end;
}

/*
 * The fewest free units in a row in which, with the free runs of @g beside them, an extent of @len
 * blocks fits: of the rows around a few blocks of each order, the smallest of which are a fourth
 * of it or more. Without the home of @g and slots of other groups, unless @all. False if there is
 * none.
 */
bool haslab_free_units(struct haslab *s, const struct haslab_group *g, u32 len, bool all,
		       struct haslab_row *found)
{
	unsigned int enough = order_base_2(DIV_ROUND_UP(len, unit_blocks(s)));
	unsigned int order = enough - min(enough, 2U);
	struct haslab_row rows[HASLAB_NR_ROWS], *row;
	u64 least = U64_MAX, size;
	int nr = 1, i;

	haslab_assert_group(s, g);
	/* in a block of that order it fits, and in a larger one if there is none but those */
	for (; nr && (order <= enough || least == U64_MAX); order++)
		for (nr = haslab_unit_rows(s, &order, rows), i = 0; i < nr; i++) {
			row = &rows[i];
			if (!all && !haslab_row_spare(s, g, row))
				continue;
			row->before = haslab_free_beside(s, g, row->start, true, len);
			size = row->end - row->start + row->before +
			       haslab_free_beside(s, g, row->end, false, len);
			if (size < len || size > least)
				continue;
			least = size;
			*found = *row;
			found->size = size;
		}
	return least != U64_MAX;
}

/* ---- for CHECK ---- */

/* Whether the first slots that a group keeps are tagged so, and are its own. */
bool haslab_empty_is_right(const struct haslab *s, const struct haslab_group *g)
{
	const struct haslab_mixed *m;
	u32 slot = g->empty, i;

	for (i = 0; i < min_t(u32, g->nr_empty, HASLAB_NR_EMPTY); i++) {
		m = slot == NO_ENTRY ? NULL : haslab_mixed_of_group(s, g, slot);
		if (!m || !(m->runs.tag & MIXED_EMPTY))
			return false;
		slot = haslab_empty_link(s, slot)->next;
	}
	return (slot == NO_ENTRY) == (i == g->nr_empty);
}

/* A slot that is tagged as kept is wholly free, and the links around it match. */
static bool haslab_empty_tag_is_right(const struct haslab *s, const struct haslab_group *g,
				      u32 slot, const struct haslab_mixed *m)
{
	struct haslab_link link;

	if (!(m->runs.tag & MIXED_EMPTY))
		return true;
	link = *haslab_empty_link(s, slot);
	return haruns_is_empty(&m->runs) && (link.prev == slot) == (g->empty == slot) &&
	       (link.prev == slot || haslab_empty_link(s, link.prev)->next == slot) &&
	       (link.next == NO_ENTRY || haslab_empty_link(s, link.next)->prev == slot);
}

/* The next slot, if the free run at the end of this one is to be joined with it. */
static const struct haslab_mixed *haslab_joined_next(const struct haslab *s, u32 slot)
{
	const struct haslab_mixed *m = mixed_of(s, slot);
	const struct haslab_mixed *next = haslab_mixed_of_group(s, mixed_group(s, m), slot + 1);

	return next && haslab_is_joined(s, m, next) ? next : NULL;
}

/* As haslab_joined_bucket(), but goes by the runs, not by what the slots say of them. */
static u32 haslab_joined_bucket_by_runs(const struct haslab *s, u32 slot, bool continues)
{
	const struct haslab_mixed *m = mixed_of(s, slot), *next = haslab_joined_next(s, slot);
	u32 len = haruns_trail(&m->runs);

	if (!next || (haruns_is_empty(&m->runs) && continues))
		return 0;
	/* of a slot that counts too much as free the bucket is wrong, too */
	for (; next && len < 1U << HASLAB_LISTED_SHIFT; next = haslab_joined_next(s, slot)) {
		len += haruns_lead(&next->runs);
		slot++;
		/* what comes after it was not verified */
		if (!haruns_is_empty(&next->runs) || next->runs.nr != 1)
			break;
	}
	return haslab_listed_bucket(len);
}

/* Whether a slot is joined with those beside it where it should, and has the right entry. */
bool haslab_cross_is_right(const struct haslab *s, u32 slot)
{
	const struct haslab_mixed *m = mixed_of(s, slot), *before;
	const struct haslab_group *g = mixed_group(s, m);
	u8 apart = haslab_joined_next(s, slot) ? HARUNS_TRAIL_APART : 0;

	before = slot ? haslab_mixed_of_group(s, g, slot - 1) : NULL;
	if (before && haslab_is_joined(s, before, m))
		apart |= HARUNS_LEAD_APART;
	return (m->runs.tag & HARUNS_APART) == apart &&
	       m->runs.joined == haslab_joined_bucket_by_runs(s, slot, apart & HARUNS_LEAD_APART) &&
	       haslab_empty_tag_is_right(s, g, slot, m);
}
