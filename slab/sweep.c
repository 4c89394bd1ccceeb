// SPDX-License-Identifier: GPL-2.0
/*
 * The loader, where it is fast: free slots in which all extents of a catalogue are mixed. See
 * load.c for the loader as a whole.
 *
 * Slots beside each other become mixed parts, and their extents are written, all in one step: so
 * what a slot costs by itself is little. The runs of a slot are written from its start to its end,
 * and a slot gets into the index once it is known what the next one begins with.
 *
 * The slots are taken from the buddy together and those that have no extent are given back. They
 * are in one block that is smaller than a node of the buddy, which then has a node for its parts.
 *
 * The last extent of a slot may go on in the next one; that of the last slot begins the next sweep.
 */
#include <linux/errno.h>
#include <linux/kernel.h>

#include "slab/load.h"

/* Slots that are loaded together, and the steps of each. */
#define SWEEP_SLOTS	16
#define SWEEP_STEPS	6

/* ---- the runs of a mixed part ---- */

/* A free run, or what belongs to others, from b->pos to @end. */
static inline void haslab_load_between(struct haslab_load_runs *b, u32 end, bool free)
{
	u32 len = end - b->pos;

	haruns_append(b->r, b->pos, free ? HARUNS_FREE : HARUNS_SPECIAL);
	if (free) {
		b->r->nr_free += len;
		if (!b->pos)
			b->lead = len;
		else if (end == b->r->nr_blocks)
			b->trail = len;
		else
			b->inner = max(b->inner, len);
	}
	b->pos = end;
}

/* What is in no extent, up to @end: free units of the mixed part, and what belongs to others. */
static noinline void haslab_load_rest(struct haslab_load_runs *b, u32 end)
{
	u32 to, unit;
	bool known;

	while (b->pos < end) {
		unit = b->pos >> b->unit_shift;
		known = b->units >> unit & 1;
		do {
			to = min(end, ++unit << b->unit_shift);
		} while (to < end && (b->units >> unit & 1) == known);
		haslab_load_between(b, to, known);
	}
}

/* As haslab_load_write(), of a slot that is wholly mixed and has marks. */
static inline void haslab_load_write_marks(struct haslab_load_runs *b,
					   const struct haslab_range *x, u32 nr)
{
	const struct haslab_range *end = x + nr;
	struct haruns *r = b->r;
	u16 *first = r->cap == HARUNS_INLINE ? r->own : r->marks, *at = first + r->nr;
	u32 size = r->nr_blocks, pos = b->pos, start, len, inner = b->inner, free = 0;

	for (; x < end; x++) {
		start = x->start - b->base;
		len = start - pos;
		if (len) {
			*at++ = haruns_mark(pos, HARUNS_FREE);
			free += len;
			if (pos)
				inner = max(inner, len);
			else
				b->lead = len;
		}
		*at++ = haruns_mark(start, HARUNS_LIVE);
		pos = start + (u32)x->len;
	}
	if (pos < size) {
		*at++ = haruns_mark(pos, HARUNS_FREE);
		b->trail = size - pos;
		free += size - pos;
	}
	b->inner = inner;
	b->pos = size;
	r->nr_free += free;
	r->nr = at - first;
}

/* Write the extents that lie in the mixed part, of @nr, and what is between them. */
void haslab_load_write(struct haslab_load_runs *b, const struct haslab_range *x, u32 nr)
{
	const u32 size = b->r->nr_blocks;
	const struct haslab_range *end = x + nr;
	u32 start;

	if (likely(b->whole && b->r->cap)) {
		haslab_load_write_marks(b, x, nr);
		return;
	}
	for (; x < end; x++) {
		start = x->start - b->base;
		if (!b->whole && !(b->units >> (start >> b->unit_shift) & 1))
			continue;
		if (start != b->pos && b->whole)
			haslab_load_between(b, start, true);
		else if (start != b->pos)
			haslab_load_rest(b, start);
		haruns_append(b->r, start, HARUNS_LIVE);
		b->pos = min_t(u64, size, start + x->len);
	}
	if (b->pos < size && b->whole)
		haslab_load_between(b, size, true);
	else
		haslab_load_rest(b, size);
}

/* ---- whole slots ---- */

/* A sweep. */
struct haslab_sweep {
	struct haslab_load *l;
	struct haslab_mixed *into;	/* where the first extent begins, or NULL */
	struct haslab_mixed *m;		/* of the first slot; those of the others follow */
	u32 first;			/* the first slot */
	u32 used;			/* a bit for each slot that becomes mixed, from that on */
	u32 nr;				/* extents */
	u16 nr_in[SWEEP_SLOTS];		/* extents that begin in each slot */
	u16 nr_marks[SWEEP_SLOTS];	/* its runs */
	/* the last slot that was written, which is not in the index yet */
	u32 slot;
	u32 longest;			/* its longest free run, but for one at its end */
	u32 trail;			/* that */
};

/* How many slots a sweep may take from @slot on: of a block whose parts the buddy takes back. */
static u32 haslab_sweep_slots(const struct haslab *s, u32 slot)
{
	u32 most = min_t(u32, SWEEP_SLOTS,
			 HABUDDY_FANOUT / 2 >> (s->slot_shift - s->cfg.unit_shift));
	u64 end = s->cfg.nr_blocks >> s->slot_shift;

	return end > slot ? min_t(u64, most - slot % most, end - slot) : 0;
}

/* Whether an extent, the @row-th of a row of equal ones, may become something else. */
static noinline bool haslab_sweep_stops(const struct haslab *s, const struct haslab_range *x,
					u32 row)
{
	int class = row < LOAD_OBJECTS ? -1 : haslab_class_of(s, x->len);

	return x->len > slot_blocks(s) || haslab_load_is_block(s, x) ||
	       (class >= 0 && s->classes[class].kind == HASLAB_FROM_SLAB);
}

/* Where a plan has got to. */
struct haslab_sweep_at {
	u64 base;		/* the first block of the slot */
	u64 len;		/* of the last extent */
	u32 slot;		/* counted from the first one */
	u32 slots;		/* that there may be */
	u32 pos;		/* where the last extent ends in the slot, or after it */
	u32 row;		/* extents of the same length up to the last one */
	bool goes_on;		/* an extent of the slot before goes on in this one */
};

/*
 * Plan the extents of a slot, from number @i on, of @nr. Return: the number of the next one. @full:
 * out: it is the last slot.
 */
static u32 haslab_sweep_plan_slot(struct haslab_sweep *w, struct haslab_sweep_at *at, u32 i, u32 nr,
				  bool *full)
{
	const struct haslab *s = w->l->s;
	const struct haslab_range *x = w->l->x;
	u32 size = slot_blocks(s), unit = unit_blocks(s), marks = at->goes_on, pos = at->pos;
	u32 first = i, row = at->row;
	u64 start, len = at->len;

	for (; i < nr && pos <= size; i++) {
		start = x[i].start - at->base;
		if (start >= size || start < pos)
			break;
		if (x[i].len != len || (u32)(x[i].start - x[i - 1].start) % (u32)len)
			row = 0;
		row++;
		len = x[i].len;
		if (unlikely(row >= LOAD_OBJECTS || len >= unit) &&
		    haslab_sweep_stops(s, &x[i], row)) {
			/* then this slot is not for a sweep, but for what goes on in it */
			*full = true;
			marks = at->goes_on;
			pos = at->pos;
			i = first;
			break;
		}
		if (start + len > size && at->slot + 1 == at->slots) {
			*full = true;
			break;
		}
		marks += 1 + (start != pos);
		pos = start + len;
	}
	if (i > first || at->goes_on)
		w->used |= BIT(at->slot);
	w->nr_in[at->slot] = i - first;
	w->nr_marks[at->slot] = marks + (pos < size);
	at->pos = pos;
	at->row = row;
	at->len = len;
	return i;
}

/* Go on to the next slot in which something is, the first of which is @x. False: there is none. */
static bool haslab_sweep_plan_next(const struct haslab *s, struct haslab_sweep_at *at,
				   const struct haslab_range *x)
{
	u32 n = 1;

	at->goes_on = at->pos > slot_blocks(s);
	if (at->goes_on) {
		at->pos -= slot_blocks(s);
	} else {
		/* out of order, or too far */
		if (!x || x->start < at->base + at->pos ||
		    x->start - at->base >= (u64)(at->slots - at->slot) << s->slot_shift)
			return false;
		n = (x->start - at->base) >> s->slot_shift;
		at->pos = 0;
	}
	at->slot += n;
	at->base += (u64)n << s->slot_shift;
	return true;
}

/* Decide how many extents are loaded, and in which slots. */
static void haslab_sweep_plan(struct haslab_sweep *w)
{
	const struct haslab_load *l = w->l;
	const u32 nr = min_t(u32, l->nr, LOAD_EXTENTS);
	struct haslab_sweep_at at = {
		.base = slot_start(l->s, w->first), .slots = haslab_sweep_slots(l->s, w->first),
		.goes_on = w->into,
	};
	bool full = false;
	u32 i = 0;

	if (!at.slots)
		return;
	if (w->into)
		at.pos = haslab_range_end(&l->x[i++]) - at.base;
	do {
		i = haslab_sweep_plan_slot(w, &at, i, nr, &full);
	} while (!full && haslab_sweep_plan_next(l->s, &at, i < nr ? &l->x[i] : NULL));
	w->nr = i;
}

/* Give back the slots that are not used, of @nr that were taken. */
static void haslab_sweep_put(const struct haslab_sweep *w, u32 nr, u32 used)
{
	struct haslab *s = w->l->s;
	u32 rest = ~used & GENMASK(nr - 1, 0), first, n;

	while (rest) {
		first = __ffs(rest);
		n = ffz(rest >> first);
		haslab_buddy_put(s, slot_start(s, w->first + first), (u64)n << s->slot_shift);
		rest &= ~GENMASK(first + n - 1, first);
	}
}

/* Room for the runs of all slots. Return: 0; -ENOMEM: none has more. */
static int haslab_sweep_reserve(struct haslab_sweep *w)
{
	struct haslab *s = w->l->s;
	u32 used, slot;

	if (w->into && haruns_reserve(&w->into->runs, 2, &s->mem, w->l->op))
		goto no_memory;
	for (used = w->used; used; used &= used - 1) {
		slot = __ffs(used);
		/* one of them is there */
		if (haruns_reserve(&w->m[slot].runs, w->nr_marks[slot] - 1, &s->mem, w->l->op))
			goto no_memory;
	}
	return 0;

no_memory:
	for (used = w->used; used; used &= used - 1) {
		slot = __ffs(used);
		haruns_destroy(&w->m[slot].runs, &s->mem);
		haslab_map_keep(s, slot_start(s, w->first + slot), 0);
	}
	return -ENOMEM;
}

/* All that needs memory. Return: 0; -ENOMEM; -EEXIST not all of these slots are free. */
static int haslab_sweep_prepare(struct haslab_sweep *w)
{
	struct haslab *s = w->l->s;
	u64 start = slot_start(s, w->first);
	u32 nr = fls(w->used);
	int ret = haslab_buddy_take(s, start, (u64)nr << s->slot_shift, w->l->op);

	if (ret)
		return ret;
	ret = haslab_map_slots(s, w->l->g, w->first, w->used, w->l->op);
	if (!ret) {
		w->m = mixed_of(s, w->first);
		ret = haslab_sweep_reserve(w);
	}
	haslab_sweep_put(w, nr, ret ? 0 : w->used);
	return ret;
}

/* The first extent begins in a slot that was there, with room for it. */
static void haslab_sweep_into(struct haslab_sweep *w)
{
	const struct haslab_range *x = w->l->x;

	if (!w->into)
		return;
	WARN_ON_ONCE(haslab_mixed_set(w->l->s, x->start, slot_start(w->l->s, w->first) - x->start,
				      HARUNS_LIVE, w->l->op));
	w->into->runs.tag |= MIXED_GOES_ON;
}

/*
 * The last slot that was written gets into the index. @joined: the length of the free run that goes
 * on in the next slot, or 0.
 */
static void haslab_sweep_enter(struct haslab_sweep *w, u32 joined)
{
	struct haruns *r = &w->m[w->slot].runs;
	u32 entry = entry_of(w->first + w->slot), bucket;
	struct haslab_group *g = w->l->g;
	struct haslab *s = w->l->s;
	struct haslab_link *link = entry_link(s, entry);

	r->max_free = joined ? w->longest : max(w->longest, w->trail);
	bucket = haslab_bucket_of(r->max_free);
	if (bucket)
		haslab_index_add(s, g, entry, bucket, link);
	if (joined) {
		r->tag |= HARUNS_TRAIL_APART;
		r->joined = haslab_listed_bucket(joined);
		/* the next entry is the slot's other one */
		haslab_index_add(s, g, entry + 1, r->joined, link + 1);
	}
	g->free += r->nr_free;
}

/* A slot was written; so the one before it gets into the index. */
static void haslab_sweep_next(struct haslab_sweep *w, u32 slot, const struct haslab_load_runs *b)
{
	bool joined = w->slot + 1 == slot && haslab_to_join(w->l->s, w->trail, b->lead);

	if (w->slot != NO_ENTRY)
		haslab_sweep_enter(w, joined ? w->trail + b->lead : 0);
	if (joined)
		b->r->tag |= HARUNS_LEAD_APART;
	b->r->nr_known = b->r->nr_blocks;
	w->slot = slot;
	w->longest = joined ? b->inner : max(b->inner, b->lead);
	w->trail = b->trail;
}

/* Write the extents, and the slots into the index. */
static void haslab_sweep_write(struct haslab_sweep *w)
{
	const struct haslab *s = w->l->s;
	const struct haslab_range *x = w->l->x;
	u64 begun = w->into ? haslab_range_end(x++) : 0;	/* where the last extent ends */
	struct haslab_load_runs b;
	u32 used, slot, nr;

	w->slot = NO_ENTRY;
	for (used = w->used; used; used &= used - 1) {
		slot = __ffs(used);
		b = (struct haslab_load_runs) {
			.r = &w->m[slot].runs, .whole = true,
			.base = slot_start(s, w->first + slot),
		};
		haruns_restart(b.r, &(struct haruns_run) {});
		if (begun > b.base) {
			b.pos = begun - b.base;
			haruns_append(b.r, 0, HARUNS_SPECIAL);
			b.r->tag = MIXED_CONTINUES;
		}
		nr = w->nr_in[slot];
		if (likely(b.r->cap))
			haslab_load_write_marks(&b, x, nr);
		else
			haslab_load_write(&b, x, nr);
		x += nr;
		if (nr)
			begun = haslab_range_end(x - 1);
		if (begun > b.base + slot_blocks(s))
			b.r->tag |= MIXED_GOES_ON;
		haslab_sweep_next(w, slot, &b);
	}
	haslab_sweep_enter(w, 0);
}

/* All of it. */
static void haslab_sweep_carry_out(struct haslab_sweep *w)
{
	struct haslab_group *g = w->l->g;
	struct haslab *s = w->l->s;
	u32 nr = hweight32(w->used);

	haslab_sweep_write(w);
	g->nr_slabs += nr;
	g->nr_mixed += nr;
	g->made += nr;
	haslab_sweep_into(w);
	/* those beside them may be joined, too */
	haslab_cross_changed(s, g, w->first + __ffs(w->used), 0, 1);
	haslab_cross_changed(s, g, w->first + fls(w->used) - 1, 1, slot_blocks(s));
}

/*
 * Load extents from the first one on, into free slots. @into: NULL, or the mixed slot in which the
 * first one begins, in the free run at its end, and goes on in the next slot. Return: how many; 0;
 * -ENOMEM.
 */
int haslab_load_sweep(struct haslab_load *l, struct haslab_mixed *into)
{
	struct haslab *s = l->s;
	struct haslab_sweep w = {
		.l = l, .into = into, .first = slot_of(s, l->x->start) + !!into,
	};
	int ret;

	haslab_sweep_plan(&w);
	if (!w.nr)
		return 0;
	ret = haslab_sweep_prepare(&w);
	if (ret)
		return ret == -ENOMEM ? ret : 0;
	haslab_load_spend(l, w.nr + SWEEP_STEPS * hweight32(w.used));
	haslab_sweep_carry_out(&w);
	return w.nr;
}
