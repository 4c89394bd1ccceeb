// SPDX-License-Identifier: GPL-2.0
/*
 * What is free, by address, and the way to look at all of it. See slab.c for the layer as a whole.
 *
 * A stretch is what one place tells: blocks in a row that are all free, or all not, within one
 * mixed part, one slab, or one gap between them. A free run is made of stretches and knows no
 * borders.
 *
 * Everything that passes over the device uses struct haslab_walk: STAT, MAP, CHECK, TRIM, claims,
 * goals, searches and debugfs. The iterator takes the locks, bounds how long it holds them,
 * reschedules in between, and ends early, if asked to, when the caller is killed or the device is
 * detached. A hold covers a dir (1 GiB) at most, unless the caller needs its whole range at one
 * moment; in a walk that adds up sums, it covers a number of steps (sums.c).
 *
 * Stretches and runs are looked at with all groups shut out.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/string.h>

#include "slab/runs_hit.h"
#include "slab/internal.h"

/* No free run has begun. */
#define NO_RUN		U64_MAX

/* How many slots of a gap one look at it covers; see HASLAB_STRETCH_STEPS. */
#define GAP_SLOTS	4

/* ---- stretches and runs ---- */

/* Whether a slot of a dir has neither a slab nor a mixed part. */
static bool haslab_slot_is_gap(const struct haslab_dir *dir, u32 i)
{
	return !rcu_access_pointer(dir->slabs[i]) && !(dir->mixed && dir->mixed[i].units);
}

/* The gap at @pos reaches at least this far. Looks at some slots. */
static u64 haslab_gap_reach(struct haslab *s, u64 pos)
{
	struct haslab_dir *dir = map_dir(s, pos);
	u32 first = slot_of(s, pos) % DIR_SLOTS, i = first;
	u32 left = dir_slots_end(s, dir_of(s, pos)) - slot_of(s, pos);
	u32 end = first + min_t(u32, left, GAP_SLOTS);
	u64 base = round_down(pos, dir_blocks(s)), units;

	if (dir_is_gap(dir))
		return min(base + dir_blocks(s), s->cfg.nr_blocks);
	while (i < end && haslab_slot_is_gap(dir, i))
		i++;
	ha_step(i - first);
	if (i > first)
		return min(base + ((u64)i << s->slot_shift), s->cfg.nr_blocks);
	units = rcu_access_pointer(dir->slabs[i]) ? 1 : dir->mixed[i].units >> slot_unit(s, pos);
	if (!units)
		return min(base + ((u64)(i + 1) << s->slot_shift), s->cfg.nr_blocks);
	/* the unit of a gap; if it shares the slot with slabs, no more */
	units = max_t(u64, __ffs64(units), 1) << s->cfg.unit_shift;
	return min(round_down(pos, unit_blocks(s)) + units, s->cfg.nr_blocks);
}

/*
 * Where the whole units of a gap end. @pos is the first block of a unit; the look stops at @end,
 * rounded down to whole units. Return: the end; @pos if there is no gap, or no unit before @end.
 */
u64 haslab_gap_end(struct haslab *s, u64 pos, u64 end)
{
	haslab_assert_all(s);
	end = round_down(end, unit_blocks(s));
	for (; pos < end && !mixed_at(s, pos) && !haslab_lookup(s, pos);
	     pos = min(end, haslab_gap_reach(s, pos)))
		ha_step(1);
	return pos;
}

/* As haslab_stretch(), in a gap that reaches to @reach at least. */
bool haslab_gap_stretch(struct haslab *s, u64 pos, u64 reach, u64 *end)
{
	u64 unit;
	unsigned int shift = s->cfg.unit_shift;
	bool is_free = habuddy_stretch(&s->buddy, pos >> shift, reach >> shift, &unit);

	/* the last unit may be cut off by the end of the device */
	*end = is_free || unit < reach >> shift ? unit << shift : reach;
	return is_free;
}

/* As haslab_stretch(), in a slab. */
static bool haslab_object_stretch(struct haslab *s, struct haslab_slab *slab, u64 pos, u64 *end)
{
	u32 i = object_of(s, slab, pos);
	bool is_free = i >= slab->nr_objects || test_bit(i, slab->free);

	if (!is_free)
		i = find_next_bit(slab->free, slab->nr_objects, i);
	else if (i < slab->nr_objects)
		i = find_next_zero_bit(slab->free, slab->nr_objects, i);
	/* the remainder after the last object is free */
	*end = i < slab->nr_objects || !is_free ? object_start(s, slab, i) : slab_end(slab);
	return is_free;
}

/* Where the units of a mixed part that @pos lies in, and those after it without a gap, end. */
u64 haslab_units_end(const struct haslab *s, const struct haslab_mixed *m, u64 pos)
{
	u64 others = ~(m->units >> slot_unit(s, pos));
	u32 nr = others ? __ffs64(others) : BITS_PER_LONG_LONG;

	return round_down(pos, unit_blocks(s)) + ((u64)nr << s->cfg.unit_shift);
}

/*
 * Whether @pos is free. @end: the end of the stretch; the next one may be of the same kind. Of a
 * stretch that is not free the end may lie past that of the device.
 */
bool haslab_stretch(struct haslab *s, u64 pos, u64 *end)
{
	struct haslab_mixed *m = mixed_at(s, pos);
	struct haslab_slab *slab;
	struct haruns_run run;

	haslab_assert_all(s);
	ha_step(1);
	if (m) {
		run = mixed_run(s, m, pos);
		*end = run_start(s, pos, &run) + run.len;
		if (run.state == HARUNS_FREE)
			return true;
		run.start = haruns_next_free(&m->runs, &run);
		*end = min(run_start(s, pos, &run), haslab_units_end(s, m, pos));
		return false;
	}
	slab = haslab_lookup(s, pos);
	if (slab)
		return haslab_object_stretch(s, slab, pos, end);
	/* how far the gap reaches matters only if it is not free */
	if (haslab_gap_stretch(s, pos, pos, end))
		return true;
	haslab_gap_stretch(s, pos, haslab_gap_reach(s, pos), end);
	return false;
}

/* Whether a block is free: less to look at than haslab_stretch(). */
bool haslab_is_free(struct haslab *s, u64 pos)
{
	struct haslab_mixed *m = mixed_at(s, pos);
	struct haslab_slab *slab;
	u32 i;

	haslab_assert_all(s);
	ha_step(1);
	if (m)
		return mixed_run(s, m, pos).state == HARUNS_FREE;
	slab = haslab_lookup(s, pos);
	if (!slab)
		return habuddy_free_order(&s->buddy, pos >> s->cfg.unit_shift) >= 0;
	i = object_of(s, slab, pos);
	return i >= slab->nr_objects || test_bit(i, slab->free);
}

/* How many steps a look at the run, the row of objects or the stretch of a gap at @pos takes. */
u32 haslab_look_steps(struct haslab *s, u64 pos)
{
	const struct haslab_mixed *m = mixed_at(s, pos);
	const struct haslab_slab *slab;

	if (m)
		return haslab_run_steps(&m->runs);
	slab = haslab_lookup(s, pos);
	return slab ? haslab_bitmap_steps(slab->nr_objects) : 1;
}

/*
 * The length of the free run at @pos, across all borders; of a longer one than @enough, some. If
 * *@steps are not enough, the length is a lower bound, and *@steps is negative.
 */
u64 haslab_run_at(struct haslab *s, u64 pos, u64 enough, int *steps)
{
	u64 end = pos, next;

	for (; end < s->cfg.nr_blocks && end - pos < enough; end = next) {
		*steps -= haslab_look_steps(s, end);
		if (*steps < 0 || !haslab_stretch(s, end, &next))
			break;
	}
	return end - pos;
}

/* ---- the iterator ---- */

/*
 * Begin a pass from @pos to @limit, or to the end of the device as it is now: a GROW meanwhile does
 * not lengthen the pass, which would go on inside the last dir. It holds nothing yet.
 */
void haslab_walk_start(struct haslab_walk *w, struct haslab *s, u64 pos, u64 limit,
		       unsigned int flags)
{
	limit = min(limit, READ_ONCE(s->cfg.nr_blocks));
	*w = (struct haslab_walk) {
		.s = s, .pos = pos, .limit = limit, .flags = flags, .run = NO_RUN
	};
}

/* Why a pass ends early, or 0. */
static int haslab_walk_stop(const struct haslab_walk *w)
{
	if (!(w->flags & HASLAB_WALK_KILLABLE))
		return 0;
	if (!haslab_is_patient(w->s) && fatal_signal_pending(current))
		return -EINTR;
	/* pairs with haslab_stop_walks(): what its caller did before is visible, too */
	return smp_load_acquire(&w->s->closing) ? -ENODEV : 0;
}

/*
 * The next hold of a pass. Gives up the hold before it and lets others run. Then all groups are
 * shut out again, and the caller looks at the blocks from w->pos to w->end and moves w->pos on;
 * more than that belongs to the next hold, or the one after. Called in process context; may sleep,
 * except with HASLAB_WALK_NOWAIT.
 * Return: whether there is a hold; if not, haslab_walk_end() says why.
 */
bool haslab_walk_next(struct haslab_walk *w)
{
	struct haslab *s = w->s;

	if (w->end) {
		haslab_walk_end(w);
		if (!(w->flags & HASLAB_WALK_NOWAIT))
			cond_resched();
	}
	w->ret = haslab_walk_stop(w);
	if (w->ret || w->pos >= w->limit)
		return false;
	haslab_lock_all(s);
	/* for sparse: it is held until haslab_walk_end() */
	__release(&s->lock);
	w->units_base = U64_MAX;
	w->steps = haslab_steps(s, WALK_STEPS);
	w->end = w->limit;
	if (!(w->flags & HASLAB_WALK_WHOLE))
		w->end = min(w->end, round_down(w->pos, dir_blocks(s)) + dir_blocks(s));
	return true;
}

/*
 * End a pass, wherever it is. Return: 0; -EINTR the caller was killed; -ENODEV the device is being
 * detached.
 */
int haslab_walk_end(struct haslab_walk *w)
{
	if (w->end) {
		__acquire(&w->s->lock);
		if (w->flags & HASLAB_WALK_REST)
			haslab_unlock_all_rest(w->s);
		else
			haslab_unlock_all(w->s);
	}
	w->end = 0;
	return w->ret;
}

/*
 * The next free run from w->pos on, across all borders; w->pos moves on to its end. Return: whether
 * one ends in this hold, which is over when its steps are used up.
 */
bool haslab_walk_run(struct haslab_walk *w, u64 *start, u64 *len)
{
	struct haslab *s = w->s;
	bool is_free;
	u64 end;

	for (; w->pos < w->end && w->steps > 0; w->pos = end) {
		w->steps -= HASLAB_STRETCH_STEPS;
		is_free = haslab_stretch(s, w->pos, &end);
		if (is_free && w->run == NO_RUN)
			w->run = w->pos;
		if (w->run == NO_RUN || (is_free && end < w->limit))
			continue;
		*start = w->run;
		*len = (is_free ? end : w->pos) - *start;
		w->run = NO_RUN;
		w->pos = end;
		return true;
	}
	return false;
}
