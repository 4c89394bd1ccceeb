// SPDX-License-Identifier: GPL-2.0
/*
 * The search for an extent whose start is a multiple of something that is no power of two, such as
 * the stripe of a RAID with three data disks. See search.c for the others.
 *
 * What can be had at the largest power of two that divides the alignment is known from the sums
 * (sums.c). Where that is not long enough nothing needs a look. In the quads that are left, all
 * blocks at which an extent can begin are looked at: in a mixed part those that no run passes over,
 * in a slab one bit each. So is what comes in the same dir after something that was long enough,
 * but not where it should be: a sum tells less from there on (haslab_walk_sum()). A run that
 * reaches the end of a quad counts with what follows.
 *
 * A dir keeps, for the last such alignment, a length that was not found in it
 * (haslab_fits.other_least), as long as it keeps its sum. So a search that is refused again looks
 * only at the dirs that have changed since.
 *
 * It has no hold that depends on the device, lets others in, and ends when its caller is killed.
 */
#include <linux/errno.h>
#include <linux/kernel.h>

#include "slab/runs_hit.h"
#include "slab/internal.h"

/* What a hold has done before it takes on another quad, at the most: see haslab_steps(). */
#define STRIPE_STEPS	125
/* So many places that are looked at are a step: among marks, in a bitmap. */
#define RUNS_A_STEP	4
#define PLACES_A_STEP	16

struct stripe {
	struct haslab_walk w;
	u64 align;		/* of the start */
	u64 len;		/* less than that matters no more */
	u64 max;		/* what is longer is as good as this */
	u64 best;		/* the longest that was found, up to @max; 0: none */
	u64 found;		/* where */
	u64 carry;		/* length of the free run that ends at @w.pos */
	u64 dir;		/* first block of the dir that @w.pos is in */
	bool looks;		/* this pass looks at that dir from its start on */
};

/* Try the free run that @pos lies in. */
static void haslab_stripe_try(struct stripe *st, u64 pos)
{
	int steps = INT_MAX;
	u64 len = haslab_run_at(st->w.s, pos, st->max, &steps);

	st->w.steps -= INT_MAX - steps;
	if (len < st->len)
		return;
	st->best = min(len, st->max);
	st->found = pos;
	st->len = st->best + 1;
}

static bool haslab_stripe_is_done(const struct stripe *st)
{
	return st->best == st->max;
}

/* The first multiple of the alignment from @pos on. */
static u64 haslab_stripe_at(const struct stripe *st, u64 pos)
{
	return pos + haslab_skip(pos, st->align);
}

/* In a mixed part with marks, from @pos to @end. Return: where to go on. */
static u64 haslab_stripe_marks(struct stripe *st, const struct haruns *r, u64 pos, u64 end)
{
	u64 base = round_down(pos, slot_blocks(st->w.s)), after;
	struct haruns_run run;
	u32 looks = 0;

	for (; pos < end && !haslab_stripe_is_done(st); looks++) {
		run = haruns_at(r, pos - base);
		after = base + run.start + run.len;
		if (run.state != HARUNS_FREE)
			after = min(base + haruns_next_free(r, &run), end);
		else if (after - pos >= st->len || after == end)
			haslab_stripe_try(st, pos);
		/* at the next place in this run there is less of it */
		pos = haslab_stripe_at(st, max(after, pos + 1));
	}
	haslab_walk_spend(&st->w, 1 + looks / RUNS_A_STEP);
	return pos;
}

/* The same with a bitmap. */
static u64 haslab_stripe_bitmap(struct stripe *st, const struct haruns *r, u64 pos, u64 end)
{
	u64 base = round_down(pos, slot_blocks(st->w.s));
	DECLARE_BITMAP(map, HARUNS_MAX_BLOCKS);
	u32 to = end - base, looks = 0, last;

	haruns_free_map(r, pos - base, to, map);
	haslab_walk_spend(&st->w, 1 + (to - (u32)(pos - base)) / (BITS_PER_LONG / 2));
	for (; pos < end && !haslab_stripe_is_done(st); pos += st->align, looks++) {
		if (!test_bit(pos - base, map))
			continue;
		last = find_next_zero_bit(map, to, pos - base);
		if (last - (pos - base) >= st->len || last == to)
			haslab_stripe_try(st, pos);
	}
	haslab_walk_spend(&st->w, looks / PLACES_A_STEP);
	return pos;
}

/* In a mixed part, from @pos to @end at the most. Return: where to go on. */
static u64 haslab_stripe_mixed(struct stripe *st, const struct haslab_mixed *m, u64 pos, u64 end)
{
	struct haslab *s = st->w.s;

	end = min3(end, haslab_units_end(s, m, pos), s->cfg.nr_blocks);
	return haruns_is_bitmap(&m->runs) ? haslab_stripe_bitmap(st, &m->runs, pos, end) :
					    haslab_stripe_marks(st, &m->runs, pos, end);
}

/* In a slab. An extent may begin in the middle of an object. */
static u64 haslab_stripe_slab(struct stripe *st, const struct haslab_slab *slab, u64 pos, u64 end)
{
	struct haslab *s = st->w.s;
	u32 looks = 0, i;

	end = min(end, slab_end(slab));
	for (; pos < end && !haslab_stripe_is_done(st); pos += st->align, looks++) {
		i = object_of(s, slab, pos);
		if (i >= slab->nr_objects || test_bit(i, slab->free))
			haslab_stripe_try(st, pos);
	}
	haslab_walk_spend(&st->w, 1 + looks / PLACES_A_STEP);
	return pos;
}

/* Where neither is. */
static u64 haslab_stripe_gap(struct stripe *st, u64 pos)
{
	u64 end;

	st->w.steps -= HASLAB_STRETCH_STEPS;
	if (haslab_stretch(st->w.s, pos, &end) &&
	    (end - pos >= st->len ||
	     (end < st->w.s->cfg.nr_blocks && haslab_is_free(st->w.s, end))))
		haslab_stripe_try(st, pos);
	return haslab_stripe_at(st, end);
}

/* Look at the places where an extent can begin, from @pos to @end. */
static void haslab_stripe_look(struct stripe *st, u64 pos, u64 end)
{
	struct haslab *s = st->w.s;
	const struct haslab_mixed *m;
	const struct haslab_slab *slab;

	pos = haslab_stripe_at(st, pos);
	while (pos < end && !haslab_stripe_is_done(st)) {
		m = mixed_at(s, pos);
		slab = m ? NULL : haslab_lookup(s, pos);
		if (m)
			pos = haslab_stripe_mixed(st, m, pos, end);
		else if (slab)
			pos = haslab_stripe_slab(st, slab, pos, end);
		else
			pos = haslab_stripe_gap(st, pos);
	}
}

/* Whether it is known that nothing in the dir at @pos is long enough. */
static bool haslab_stripe_known(const struct stripe *st, u64 pos)
{
	const struct haslab *s = st->w.s;
	const struct haslab_fits *fits = &s->sums.fits[dir_of(s, pos)];

	return s->sums.dirs[dir_of(s, pos)] == HASLAB_SUM_KEPT &&
	       fits->other_align == st->align && fits->other_least <= st->len;
}

/* All of a dir was looked at: it keeps what was not found. */
static void haslab_stripe_keep(const struct stripe *st)
{
	struct haslab *s = st->w.s;
	struct haslab_fits *fits = &s->sums.fits[dir_of(s, st->dir)];

	/* as haslab_dir_keep(): another walk may have been here since */
	if (s->sums.maker != &st->w || st->align > U32_MAX || st->len > U32_MAX ||
	    s->sums.dirs[dir_of(s, st->dir)] != HASLAB_SUM_KEPT)
		return;
	fits->other_align = st->align;
	fits->other_least = st->len;
}

/* What is next: a dir of which all is known, or what a sum says. */
static struct haslab_sum haslab_stripe_sum(struct stripe *st)
{
	struct haslab_walk *w = &st->w;
	struct haslab *s = w->s;
	u64 pos = w->pos, dir = round_down(pos, dir_blocks(s));
	u64 size = min(dir_blocks(s), s->cfg.nr_blocks - dir);

	if (pos != dir)
		return haslab_walk_sum(w, __ffs64(st->align), st->len);
	haslab_sums_settle(s, pos);
	st->dir = pos;
	st->looks = true;
	if (!haslab_stripe_known(st, pos) || size > w->limit - pos)
		return haslab_walk_sum(w, __ffs64(st->align), st->len);
	haslab_walk_spend(w, 1);
	w->pos += size;
	st->looks = false;
	return (struct haslab_sum) {
		.lead = map_dir(s, pos)->lead, .trail = map_dir(s, pos)->trail, .size = size,
	};
}

static void haslab_stripe_next(struct stripe *st)
{
	struct haslab *s = st->w.s;
	u64 pos = st->w.pos, at = haslab_stripe_at(st, pos - st->carry);
	struct haslab_sum sum = haslab_stripe_sum(st);
	/* in the middle of a dir what is usable may be less than it is */
	u64 usable = max(sum.usable, IS_ALIGNED(pos, dir_blocks(s)) ? 0 : st->w.sum.usable);

	if (at < pos && pos - at + sum.lead >= st->len)
		haslab_stripe_try(st, at);
	if (usable >= st->len && !haslab_stripe_is_done(st))
		haslab_stripe_look(st, pos, st->w.pos);
	st->carry = sum.trail == sum.size ? st->carry + sum.size : sum.trail;
	if (st->looks && st->w.pos == min(st->dir + dir_blocks(s), s->cfg.nr_blocks))
		haslab_stripe_keep(st);
}

/*
 * An extent of @max blocks, or the longest one of at least *@len: out. @align is no power of two.
 * Other tasks may allocate meanwhile, also what was found. Context: slow mode, may sleep.
 * Return: 0; -ENOSPC no free run fits; -EINTR the caller was killed; -ENODEV the device is being
 * detached.
 */
int haslab_stripe_find(struct haslab *s, u64 *len, u64 max, u64 align, u64 *found)
{
	struct stripe st = { .align = align, .len = *len, .max = max };
	int ret, least = haslab_steps(s, WALK_STEPS - STRIPE_STEPS);

	haslab_walk_start(&st.w, s, 0, U64_MAX, HASLAB_WALK_LONG);
	while (!haslab_stripe_is_done(&st) && haslab_walk_next(&st.w))
		while (!haslab_stripe_is_done(&st) && st.w.pos < st.w.limit && st.w.steps > least)
			haslab_stripe_next(&st);
	/* what was found may be gone after a rest */
	if (haslab_stripe_is_done(&st))
		st.w.flags &= ~HASLAB_WALK_REST;
	ret = haslab_walk_end(&st.w);
	if (ret)
		return ret;
	if (!st.best)
		return -ENOSPC;
	*len = st.best;
	*found = st.found;
	return 0;
}
