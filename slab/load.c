// SPDX-License-Identifier: GPL-2.0
/*
 * The loader: many extents at given places, sorted by address, as a catalogue has them. See slab.c
 * for the whole layer.
 *
 * A claim (claim.c) looks for what lies at its place, with all groups shut out, and searches the
 * runs of a slot for each extent. The loader takes the extents of a slot together, with the lock of
 * one group, and writes the runs of the slot from its start to its end. It does what is simple, and
 * says of how many extents; of the next one haslab_claim() tells whether it can be taken, and how.
 *
 * What is simple:
 *
 *   free units of the buddy       they are divided up as allocations would have done it: rows of
 *                                 equal objects become a slab, an aligned block of a size that
 *                                 pools have is owned, and everything else becomes the mixed part
 *   the free end of a mixed slot  extents are added to its runs
 *   a free run of a mixed slot    one extent, as unsorted ones come
 *   free objects of a slab        of the extent's own size: a load goes on where the one before
 *                                 it ended
 *
 * Most of a catalogue is in slots that are free, and has nothing but mixed extents: sweep.c.
 *
 * An extent may go on in the next slot, if that is free, or mixed, of the same group, and free at
 * its start. What is longer than a slot is left to claims.
 *
 * Rows of equal objects
 * ---------------------
 * Extents of one common size, at multiples of it from the start of an aligned block of units, with
 * no other extent in the block, are as good as a slab: allocations would find free objects there,
 * and frees hit the pools. A slab keeps its free objects from other sizes. So a block becomes one
 * only if at least half of its objects are live, and some of them are there. The last extents of a
 * load may be the first ones of a row that goes on in the next load. For them the block may be as
 * large as the next slab of that size would be (haslab_object_order()), if they are some, or if a
 * slab of that size ends where the block begins.
 *
 * Memory
 * ------
 * Each step, which is what becomes of one slot, takes all of its memory first; without it nothing
 * has changed. Slabs are in the map by then, but no object of them is live, so nothing can be freed
 * there.
 */
#include <linux/errno.h>
#include <linux/kernel.h>

#include "slab/load.h"

/* A hold takes on more extents until it has used up so many steps; a slot is a few. */
#define LOAD_STEPS	800
#define LOAD_SLOT_STEPS	16
/* Which part of a slab the extents are, at least, that it is made for at the end of a load. */
#define LOAD_PART	64

/* What becomes of free units, of one slot. */
struct haslab_load_plan {
	struct haslab_load *l;
	u64 from, to;			/* the free units, in blocks */
	u32 nr;				/* extents that begin there */
	u64 slabs;			/* units that become slabs, which are in the map */
	u64 owned;			/* units of blocks that are owned */
	u32 nr_plain;			/* extents that lie in the mixed part */
	u32 nr_marks;			/* runs of the mixed part, but for one, or a few more */
	u64 end;			/* where the last extent that was looked at ends */
};

/* The bits of the units from @start to @end, in one slot. */
static u64 haslab_load_units(const struct haslab *s, u64 start, u64 end)
{
	return GENMASK_ULL(slot_unit(s, end - 1), slot_unit(s, start));
}

/* ---- slabs of equal objects ---- */

/* How many of the extents, from @first to @end, which ascend, begin before @pos. */
static u32 haslab_load_before(const struct haslab_range *x, u32 first, u32 end, u64 pos)
{
	u32 lo = first, half;

	while (lo < end) {
		half = lo + (end - lo) / 2;
		if (x[half].start < pos)
			lo = half + 1;
		else
			end = half;
	}
	return lo - first;
}

/* Whether a slab of that class, as other loads make them, ends at @pos. */
static bool haslab_load_goes_on(const struct haslab_load *l, int class, u64 pos)
{
	const struct haslab_slab *slab = pos ? haslab_lookup(l->s, pos - 1) : NULL;

	return slab && slab->class == class && slab_group(l->s, slab) == l->g;
}

/*
 * Whether the block of @blocks at @pos, in which @nr extents of a row begin, the first of which is
 * @x, is to become a slab. @open: the row may go on in the next load.
 */
static bool haslab_load_is_slab(const struct haslab_load *l, int class, u64 pos, u32 blocks,
				const struct haslab_range *x, u32 nr, bool open)
{
	u32 len = l->s->classes[class].blocks, objects = blocks / len;
	int order = ilog2(blocks >> l->s->cfg.unit_shift), min_order;

	if (!nr || (u32)(x->start - pos) % len ||
	    haslab_range_end(&x[nr - 1]) > pos + (u64)objects * len)
		return false;
	if (blocks < slot_blocks(l->s) &&
	    haslab_too_many_small(l->s, !l->g->nr_slab_blocks[class]))
		return false;
	if (nr < LOAD_OBJECTS && !haslab_load_goes_on(l, class, pos))
		return false;
	return nr >= objects / 2 ||
	       (open && (nr >= objects / LOAD_PART || haslab_load_goes_on(l, class, pos)) &&
		order <= haslab_object_order(l->s, l->g, class, &min_order));
}

/* Make a slab of a block, in which @nr extents are. None of its objects is live yet. */
static int haslab_load_slab(struct haslab_load_plan *p, int class, u64 pos, u32 blocks,
			    const struct haslab_range *x, u32 nr)
{
	struct haslab_load *l = p->l;
	struct haslab_slab *slab = haslab_slab_new(l->s, class, pos, blocks, l->op);
	u32 i;

	if (!slab)
		return -ENOMEM;
	slab->group = l->g->nr;
	for (i = 0; i < nr; i++)
		__clear_bit(object_of(l->s, slab, x[i].start), slab->free);
	slab->nr_free -= nr;
	if (haslab_map_slab(l->s, slab, l->op)) {
		haslab_slab_drop(l->s, slab);
		return -ENOMEM;
	}
	/* the next one may be larger */
	l->g->nr_slab_blocks[class] += blocks;
	p->slabs |= haslab_load_units(l->s, pos, pos + blocks);
	p->nr_marks += 2;
	return 0;
}

/*
 * The largest block at @pos, a unit, that is to become a slab, before @end. Return: its size, or
 * 0. @nr: in: extents of the row from @x on; out: of the block.
 */
static u32 haslab_load_block(const struct haslab_load *l, int class, u64 pos, u64 end,
			     const struct haslab_range *x, u32 *nr, bool open)
{
	u32 blocks = slot_blocks(l->s), in;

	for (; blocks >= unit_blocks(l->s); blocks /= 2) {
		if (!IS_ALIGNED(pos, blocks) || pos + blocks > end)
			continue;
		in = haslab_load_before(x, 0, *nr, pos + blocks);
		if (haslab_load_is_slab(l, class, pos, blocks, x, in, open && in == *nr)) {
			*nr = in;
			return blocks;
		}
	}
	return 0;
}

/*
 * Make slabs for a row of @nr extents from number @i on. @end: what comes after it begins there;
 * @open: it may go on in the next load.
 */
static int haslab_load_row(struct haslab_load_plan *p, int class, u32 i, u32 nr, u64 end, bool open)
{
	struct haslab_load *l = p->l;
	const struct haslab_range *x = l->x + i;
	u64 pos = round_up(max(p->from, p->end), unit_blocks(l->s));
	u32 blocks, in, skip;
	int ret;

	while (nr && pos < end) {
		/* those before it are no part of a slab */
		skip = haslab_load_before(x, 0, nr, pos);
		x += skip;
		nr -= skip;
		if (!nr)
			break;
		in = nr;
		blocks = haslab_load_block(l, class, pos, end, x, &in, open);
		if (blocks) {
			ret = haslab_load_slab(p, class, pos, blocks, x, in);
			if (ret)
				return ret;
			x += in;
			nr -= in;
		}
		pos += blocks ?: unit_blocks(l->s);
	}
	return 0;
}

/* How many extents from @x on, of @nr, are of one size and at multiples of it from the first. */
static u32 haslab_load_row_len(const struct haslab_range *x, u32 nr)
{
	u32 len = x->len, i;

	for (i = 1; i < nr && x[i].len == len; i++)
		if (x[i].start != x[i - 1].start + len &&
		    (u32)(x[i].start - x[i - 1].start) % len)
			break;
	return i;
}

/* ---- a plan for free units ---- */

/* Extents from number @i on that are no part of a row, of @nr. */
static void haslab_load_plain(struct haslab_load_plan *p, u32 i, u32 nr)
{
	const struct haslab *s = p->l->s;
	const struct haslab_range *x = p->l->x + i, *end = x + nr;

	for (; x < end; x++) {
		if (p->slabs >> slot_unit(s, x->start) & 1) {
			/* it is an object */
		} else if (haslab_load_is_block(s, x)) {
			p->owned |= haslab_load_units(s, x->start, haslab_range_end(x));
			p->nr_marks += 2;
		} else {
			p->nr_plain++;
			p->nr_marks += 1 + (x->start != p->end);
		}
		p->end = haslab_range_end(x);
	}
}

/*
 * Where a row of extents that ends before number @i has to end at the latest, in free units. @open:
 * out: it may go on in the next load.
 */
static u64 haslab_load_row_end(const struct haslab_load_plan *p, u32 i, bool *open)
{
	const struct haslab_range *x = &p->l->x[i], *last = x - 1;

	*open = i == p->l->nr || (i == p->nr && x->len == last->len);
	if (*open || x->start < haslab_range_end(last))
		return p->to;
	return min(p->to, x->start);
}

/* Decide what becomes of the extents, and make slabs. */
static int haslab_load_plan(struct haslab_load_plan *p)
{
	const struct haslab_range *x = p->l->x;
	int class, ret;
	u32 i, row;
	bool open;
	u64 end;

	for (i = 0; i < p->nr; i += row) {
		row = haslab_load_row_len(x + i, p->nr - i);
		class = row >= LOAD_OBJECTS || i + row == p->l->nr ?
			haslab_class_of(p->l->s, x[i].len) : -1;
		if (class >= 0 && p->l->s->classes[class].kind == HASLAB_FROM_SLAB) {
			end = haslab_load_row_end(p, i + row, &open);
			ret = haslab_load_row(p, class, i, row, end, open);
			if (ret)
				return ret;
		}
		haslab_load_plain(p, i, row);
	}
	return 0;
}

/* ---- an extent that goes on in the next slot ---- */

/* How many blocks of an extent are beyond the slot that it begins in. */
static u32 haslab_load_beyond(const struct haslab *s, const struct haslab_range *x)
{
	u64 border = slot_start(s, slot_of(s, x->start) + 1), end = haslab_range_end(x);

	return end > border ? end - border : 0;
}

/*
 * Get the next slot ready for what is beyond @border. If it is not mixed yet, it is now, but has no
 * free blocks and is in no list until haslab_load_go_on(). Return: 0; -ENOMEM; -EEXIST it takes all
 * groups, or there is no room.
 */
static int haslab_load_reach(struct haslab_load *l, u64 border, u32 beyond)
{
	struct haslab *s = l->s;
	struct haslab_mixed *m;
	int ret;

	if (!beyond)
		return 0;
	if (border + slot_blocks(s) > s->cfg.nr_blocks)
		return -EEXIST;
	m = mixed_slot(s, slot_of(s, border));
	if (m) {
		if (!mixed_is_of(s, m, l->g) || haruns_lead(&m->runs) < beyond)
			return -EEXIST;
		return haruns_reserve(&m->runs, 2, &s->mem, l->op);
	}
	ret = haslab_buddy_take(s, border, slot_blocks(s), l->op);
	if (ret)
		return ret;
	/* the marks in the struct are enough for two runs */
	ret = haslab_map_mixed(s, l->g, border, haslab_load_all_units(s), l->op);
	if (ret)
		haslab_buddy_put(s, border, slot_blocks(s));
	return ret == -EBUSY ? -EEXIST : ret;
}

/* Undo haslab_load_reach(). */
static void haslab_load_unreach(struct haslab_load *l, u64 border, u32 beyond)
{
	struct haslab_mixed *m = beyond ? mixed_slot(l->s, slot_of(l->s, border)) : NULL;

	if (!m || m->runs.nr_known)
		return;
	haslab_map_keep(l->s, border, 0);
	haslab_buddy_put(l->s, border, slot_blocks(l->s));
}

/* A new mixed part has its runs, of which @longest is the longest free one. */
static void haslab_load_enter(struct haslab_load *l, struct haslab_mixed *m, u32 slot,
			      u32 nr_known, u32 longest)
{
	struct haslab_group *g = l->g;

	m->runs.nr_known = nr_known;
	m->runs.max_free = longest;
	haslab_index_move(l->s, g, slot, m, 0);
	g->free += m->runs.nr_free;
	g->nr_slabs++;
	g->nr_mixed++;
	g->made++;
}

/* The last extent of a slot goes on in the next one, which is ready. Never needs memory. */
static void haslab_load_go_on(struct haslab_load *l, struct haslab_mixed *m, u64 border, u32 beyond)
{
	struct haslab *s = l->s;
	u32 slot = slot_of(s, border), left = slot_blocks(s) - beyond;
	struct haslab_mixed *next;
	struct haruns_run run;

	if (!beyond)
		return;
	next = mixed_of(s, slot);
	m->runs.tag |= MIXED_GOES_ON;
	if (next->runs.nr_known) {
		/* there is room */
		WARN_ON_ONCE(haslab_mixed_set(s, border, beyond, HARUNS_SPECIAL, l->op));
	} else {
		run = haruns_recorded(&next->runs, 0);
		haruns_restart(&next->runs, &run);
		haruns_append(&next->runs, 0, HARUNS_SPECIAL);
		if (left)
			haruns_append(&next->runs, beyond, HARUNS_FREE);
		next->runs.nr_free = left;
		haslab_load_enter(l, next, slot, slot_blocks(s), left);
		haslab_cross_changed(s, l->g, slot, 1, slot_blocks(s));
	}
	next->runs.tag |= MIXED_CONTINUES;
}

/* ---- free units ---- */

/*
 * Take the free units around @pos, in its slot: the whole slot, or from @pos on. Return: 0; -EEXIST
 * none; -ENOMEM.
 */
static int haslab_load_take(struct haslab_load *l, u64 pos, u64 *from, u64 *to)
{
	struct haslab *s = l->s;
	int ret;

	*from = round_down(pos, slot_blocks(s));
	*to = *from + slot_blocks(s);
	ret = haslab_buddy_take(s, *from, slot_blocks(s), l->op);
	if (ret != -EEXIST)
		return ret;
	*from = round_down(pos, unit_blocks(s));
	*to = haslab_buddy_free_end(s, *from, *to);
	return *to > *from ? haslab_buddy_take(s, *from, *to - *from, l->op) : -EEXIST;
}

/* What is not free in a new slab becomes live. A free that comes too early changes bits, too. */
static void haslab_load_live(struct haslab_slab *slab)
{
	u32 nr = slab->nr_objects, words = BITS_TO_LONGS(nr), i;

	ha_step(2 * words);
	for (i = 0; i < words; i++)
		xchg(&slab->live[i], ~slab->free[i] &
		     (i + 1 < words ? ~0UL : BITMAP_LAST_WORD_MASK(nr)));
}

/* The objects of the slabs that were made become live; or, without @own, they are forgotten. */
static void haslab_load_slabs_end(struct haslab_load_plan *p, bool own)
{
	u64 base = round_down(p->from, slot_blocks(p->l->s)), units = p->slabs;
	struct haslab_group *g = p->l->g;
	struct haslab *s = p->l->s;
	struct haslab_slab *slab;

	while (units) {
		slab = haslab_lookup(s, base + ((u64)__ffs64(units) << s->cfg.unit_shift));
		units &= ~haslab_load_units(s, slab->start, slab_end(slab));
		/* haslab_slab_enter() counts both */
		g->nr_slab_blocks[slab->class] -= slab->nr_blocks;
		if (own) {
			haslab_load_live(slab);
			haslab_slab_enter(s, slab);
		} else {
			g->nr_slabs++;
			haslab_slab_forget(s, slab);
		}
	}
}

/* Make the mixed part of the units that are left, and room for its runs. */
static int haslab_load_mixed(struct haslab_load_plan *p, u64 units, struct haslab_mixed **m)
{
	struct haslab *s = p->l->s;
	int ret;

	*m = NULL;
	if (!p->nr_plain)
		return 0;
	ret = haslab_map_mixed(s, p->l->g, p->from, units, p->l->op);
	if (ret)
		return ret;
	*m = mixed_of(s, slot_of(s, p->from));
	/* the first run, which says that nothing is known, is one of them */
	ret = haruns_reserve(&(*m)->runs, p->nr_marks, &s->mem, p->l->op);
	if (ret)
		haslab_map_keep(s, p->from, 0);
	return ret;
}

/* A mixed part that was made has its runs. */
static void haslab_load_fill(struct haslab_load_plan *p, struct haslab_mixed *m, u64 units)
{
	struct haslab *s = p->l->s;
	struct haslab_load_runs b = {
		.r = &m->runs, .base = round_down(p->from, slot_blocks(s)), .units = units,
		.whole = units == haslab_load_all_units(s), .unit_shift = s->cfg.unit_shift,
	};
	struct haruns_run run;

	run = haruns_recorded(&m->runs, 0);
	haruns_restart(&m->runs, &run);
	haslab_load_write(&b, p->l->x, p->nr);
	haslab_load_enter(p->l, m, slot_of(s, p->from), hweight64(units) << s->cfg.unit_shift,
			  haslab_load_longest(&b));
}

/* All that needs memory. Return: as haslab_load_free(). */
static int haslab_load_prepare(struct haslab_load_plan *p, u64 border, u32 beyond,
			       struct haslab_mixed **m, u64 *units)
{
	int ret = haslab_load_plan(p);

	*units = haslab_load_units(p->l->s, p->from, p->to) & ~(p->slabs | p->owned);
	if (ret)
		return ret;
	ret = haslab_load_reach(p->l, border, beyond);
	if (ret)
		return ret;
	ret = haslab_load_mixed(p, *units, m);
	if (ret)
		haslab_load_unreach(p->l, border, beyond);
	return ret;
}

/* Blocks of the buddy become extents. */
static void haslab_load_blocks(struct haslab_load_plan *p)
{
	const struct haslab *s = p->l->s;
	const struct haslab_range *x;

	if (!p->owned)
		return;
	for (x = p->l->x; x < p->l->x + p->nr; x++)
		if (haslab_load_is_block(s, x))
			habuddy_own(&p->l->s->buddy, x->start >> s->cfg.unit_shift,
				    ilog2(x->len) - s->cfg.unit_shift);
}

/*
 * Load the extents of a plan. Return: 0; on error its units are still taken: -ENOMEM; -EEXIST or
 * -EBUSY: it is not simple.
 */
static int haslab_load_carry_out(struct haslab_load_plan *p)
{
	struct haslab_load *l = p->l;
	struct haslab *s = l->s;
	u32 slot = slot_of(s, p->from), beyond = haslab_load_beyond(s, &l->x[p->nr - 1]);
	u64 border = slot_start(s, slot + 1), units;
	struct haslab_mixed *m;
	int ret = haslab_load_prepare(p, border, beyond, &m, &units);

	if (ret) {
		haslab_load_slabs_end(p, false);
		return ret;
	}
	haslab_load_slabs_end(p, true);
	haslab_load_blocks(p);
	if (!m) {
		haslab_units_put(s, slot, units);
		return 0;
	}
	haslab_load_fill(p, m, units);
	haslab_load_go_on(l, m, border, beyond);
	haslab_cross_changed(s, l->g, slot, 0, slot_blocks(s));
	return 0;
}

/* How many of @nr extents in a row end before @to, or, if that ends the slot, begin before it. */
static u32 haslab_load_fitting(const struct haslab *s, const struct haslab_range *x, u32 nr, u64 to)
{
	nr = haslab_load_before(x, 0, nr, to);
	if (nr && haslab_range_end(&x[nr - 1]) > to &&
	    (!IS_ALIGNED(to, slot_blocks(s)) || x[nr - 1].len > slot_blocks(s)))
		nr--;
	return nr;
}

/* Load @nr extents into free units. Return: @nr, or as haslab_load_carry_out(). */
static int haslab_load_plan_of(struct haslab_load *l, u64 from, u64 to, u32 nr)
{
	struct haslab_load_plan p = {
		.l = l, .from = from, .to = to, .nr = nr, .end = from,
		/* what is not free is SPECIAL */
		.nr_marks = to - from < slot_blocks(l->s) ? 2 : 0,
	};

	return haslab_load_carry_out(&p) ?: nr;
}

/*
 * In free units. If the last extent has no room in the next slot, without it. Return: how many
 * were loaded; 0; -ENOMEM.
 */
static int haslab_load_free(struct haslab_load *l, u32 nr)
{
	u64 from, to;
	int ret = haslab_load_take(l, l->x->start, &from, &to);

	if (ret)
		return ret == -ENOMEM ? ret : 0;
	nr = haslab_load_fitting(l->s, l->x, nr, to);
	if (nr)
		ret = haslab_load_plan_of(l, from, to, nr);
	if (ret == -EEXIST && nr > 1 && haslab_load_beyond(l->s, &l->x[nr - 1]))
		ret = haslab_load_plan_of(l, from, to, nr - 1);
	if (ret <= 0)
		haslab_buddy_put(l->s, from, to - from);
	return ret > 0 || ret == -ENOMEM ? ret : 0;
}

/* ---- mixed slots ---- */

/* One extent, in a free run of a mixed slot. */
static int haslab_load_one(struct haslab_load *l, const struct haruns_run *run)
{
	u32 at = l->x->start & (slot_blocks(l->s) - 1);
	int ret;

	if (run->state != HARUNS_FREE || at + l->x->len > run->start + run->len)
		return 0;
	ret = haslab_mixed_set(l->s, l->x->start, l->x->len, HARUNS_LIVE, l->op);
	return ret ?: 1;
}

/* As many marks as @nr extents need, with what is between them, from @pos on. */
static u32 haslab_load_marks(const struct haslab_range *x, u32 nr, u64 pos)
{
	u32 marks = 1, i;

	for (i = 0; i < nr; i++) {
		marks += 1 + (x[i].start != pos);
		pos = haslab_range_end(&x[i]);
	}
	return marks;
}

/* Extents of a slot whose free run @run, which is at its end, has room for them. */
static int haslab_load_trail(struct haslab_load *l, struct haslab_mixed *m, struct haruns_run run,
			     u32 nr)
{
	struct haslab *s = l->s;
	u32 slot = slot_of(s, l->x->start), max_free, others, free;
	u32 beyond = haslab_load_beyond(s, &l->x[nr - 1]);
	u64 border = slot_start(s, slot + 1);
	struct haslab_load_runs b = {
		/* all of the free run is in it */
		.r = &m->runs, .base = slot_start(s, slot), .whole = true, .pos = run.start,
	};
	int ret = haslab_load_reach(l, border, beyond);

	if (ret)
		return ret;
	ret = haruns_reserve(&m->runs, haslab_load_marks(l->x, nr, b.base + run.start), &s->mem,
			     l->op);
	if (ret) {
		haslab_load_unreach(l, border, beyond);
		return ret;
	}
	if (m->runs.tag & MIXED_EMPTY)
		haslab_empty_forget(s, l->g, slot);
	/* its number may have changed, and what is apart */
	run = haruns_trail_run(&m->runs);
	max_free = m->runs.max_free;
	others = haruns_others(&m->runs, &run);
	free = m->runs.nr_free - run.len;
	haruns_restart(&m->runs, &run);
	m->runs.nr_free = free;
	haslab_load_write(&b, l->x, nr);
	m->runs.max_free = max(others, haslab_load_longest(&b));
	if (m->runs.tag & HARUNS_APART)
		haruns_recount(&m->runs);
	haslab_index_move(s, l->g, slot, m, max_free);
	l->g->free -= free + run.len - m->runs.nr_free;
	map_changed(s, b.base);
	haslab_load_go_on(l, m, border, beyond);
	haslab_cross_changed(s, l->g, slot, run.start, slot_blocks(s));
	return nr;
}

/* ---- objects ---- */

/* Free objects of a slab. Return: how many were loaded. */
static int haslab_load_objects(struct haslab_load *l, struct haslab_slab *slab, u32 nr)
{
	struct haslab *s = l->s;
	u32 len = s->classes[slab->class].blocks, i, k;

	for (i = 0; i < nr && l->x[i].len == len && l->x[i].start < slab_end(slab); i++) {
		k = object_of(s, slab, l->x[i].start);
		if (k >= slab->nr_objects || object_start(s, slab, k) != l->x[i].start ||
		    !test_bit(k, slab->free))
			break;
		haslab_object_remove(s, slab, k);
		set_bit(k, slab->live);
	}
	return i;
}

/* ---- in any place ---- */

/* In a mixed slot. Return: how many were loaded; 0; -ENOMEM. */
static int haslab_load_in_mixed(struct haslab_load *l, struct haslab_mixed *m, u32 nr)
{
	struct haslab *s = l->s;
	struct haruns_run run = mixed_run(s, m, l->x->start);
	u32 slot = slot_of(s, l->x->start);
	bool into;
	int ret;

	if (run.state != HARUNS_FREE || run.start + run.len != slot_blocks(s))
		return haslab_load_one(l, &run);
	nr = haslab_load_fitting(s, l->x, nr, slot_start(s, slot + 1));
	into = nr && haslab_load_beyond(s, &l->x[nr - 1]) &&
	       slot_start(s, slot + 1) < s->cfg.nr_blocks && !mixed_slot(s, slot + 1);
	/* the last one comes next, with what follows it */
	if (into && nr > 1)
		return haslab_load_trail(l, m, run, nr - 1);
	ret = into ? haslab_load_sweep(l, m) : 0;
	if (ret)
		return ret;
	do {
		ret = nr ? haslab_load_trail(l, m, run, nr) : 0;
		/* without the last one, which has no room in the next slot */
	} while (ret == -EEXIST && nr--);
	return ret;
}

/* Whether a slab ends the slot before: a row of equal extents may go on. */
static bool haslab_load_after_slab(const struct haslab_load *l)
{
	u64 start = round_down(l->x->start, slot_blocks(l->s));

	return start && haslab_lookup(l->s, start - 1);
}

/* How many of the extents are in order and begin in the slot of the first one. */
static u32 haslab_load_in_slot(const struct haslab_load *l)
{
	u64 border = round_down(l->x->start, slot_blocks(l->s)) + slot_blocks(l->s);
	u32 most = min_t(u32, l->nr, LOAD_EXTENTS), i;

	for (i = 1; i < most && l->x[i].start < border &&
	     l->x[i].start >= haslab_range_end(&l->x[i - 1]); i++)
		;
	return i;
}

/* The next extents, of one slot, or of several that are free. Return: how many; 0; -ENOMEM. */
static int haslab_load_step(struct haslab_load *l)
{
	struct haslab *s = l->s;
	u64 start = l->x->start;
	struct haslab_mixed *m = mixed_at(s, start);
	struct haslab_slab *slab = m ? NULL : haslab_lookup(s, start);
	u32 nr;
	int ret;

	if (l->x->len > slot_blocks(s))
		return 0;
	if (!m && !slab && !haslab_load_after_slab(l)) {
		haslab_load_spend(l, LOAD_SLOT_STEPS);
		ret = haslab_load_sweep(l, NULL);
		if (ret)
			return ret;
	}
	nr = haslab_load_in_slot(l);
	haslab_load_spend(l, nr + LOAD_SLOT_STEPS);
	if (m)
		return mixed_is_of(s, m, l->g) ? haslab_load_in_mixed(l, m, nr) : 0;
	if (slab)
		return slab_group(s, slab) == l->g ? haslab_load_objects(l, slab, nr) : 0;
	/* what is free beside a mixed part is added to it by a claim */
	return mixed_slot(s, slot_of(s, start)) ? 0 : haslab_load_free(l, nr);
}

/* With the lock of a group. Return: how many were loaded; -ENOMEM: none, for lack of memory. */
static int haslab_load_locked(struct haslab_load *l)
{
	u32 nr = l->nr;
	int ret;

	haslab_assert_group(l->s, l->g);
	do {
		ret = haslab_load_step(l);
		if (ret <= 0)
			break;
		l->x += ret;
		l->nr -= ret;
	} while (l->nr && l->steps > 0);
	return nr - l->nr ?: ret;
}

/**
 * haslab_load - make live extents of given ranges, as many as one hold allows
 * @s: the slab allocator
 * @x: the ranges, each of at least one block and inside the device; best in the order of addresses
 * @nr: how many, at least one
 * @gfp: how to wait for memory
 *
 * Takes the first ones, in their order. Neither the pools nor what is CACHED matters.
 * Context: process context; may sleep if @gfp lets it.
 * Return: how many are live extents now; 0: what becomes of the first one is up to
 * haslab_claim().
 */
u32 haslab_load(struct haslab *s, const struct haslab_range *x, u32 nr, gfp_t gfp)
{
	struct hamem_op op = HAMEM_OP(gfp);
	struct haslab_load l;
	int ret;

	do {
		rcu_read_lock();
		l = (struct haslab_load) {
			.s = s, .op = &op, .x = x, .nr = nr, .steps = LOAD_STEPS,
			.g = haslab_group_at(s, mixed_at(s, x->start), x->start),
		};
		haslab_lock_group(s, l.g);
		ret = haslab_load_locked(&l);
		haslab_unlock_group(l.g);
		rcu_read_unlock();
	} while (hamem_again(&op, ret));
	return max(ret, 0);
}
