// SPDX-License-Identifier: GPL-2.0
/*
 * What is free, by address, and the way to look at all of it. See slab.c for the layer as a whole.
 *
 * A stretch is what one place tells: blocks in a row that are all free, or all not, within one
 * mixed part, one slab, or one gap between them. A free run is made of stretches and knows no
 * borders. A sum has what is needed to join neighbours: the first, the longest and the last free
 * run of a part of the device.
 *
 * Everything that passes over the device uses struct haslab_walk: STAT, MAP, CHECK, TRIM, claims,
 * goals, searches and debugfs. The iterator takes the locks, bounds how long it holds them,
 * reschedules in between, and ends early, if asked to, when the caller is killed or the device is
 * detached. A hold covers a dir (1 GiB) at most, unless the caller needs its whole range at one
 * moment.
 *
 * Stretches, runs and sums are looked at with all groups shut out.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "slab/runs_hit.h"
#include "slab/internal.h"

/* How much a hold may look at; see struct haslab_walk. */
#define WALK_STEPS	1000

/* ---- stretches and runs ---- */

/* The gap at @pos reaches at least this far. */
static u64 haslab_gap_reach(struct haslab *s, u64 pos)
{
	struct haslab_dir *dir = map_dir(s, pos);
	u64 step = unit_blocks(s);

	if (dir_is_gap(dir))
		step = dir_blocks(s);
	else if (!dir->nr_slabs && !mixed_slot(s, slot_of(s, pos)))
		step = slot_blocks(s);
	return min(round_down(pos, step) + step, s->cfg.nr_blocks);
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
		haslab_step(s, 1);
	return pos;
}

/* As haslab_stretch(), in a gap. */
static bool haslab_gap_stretch(struct haslab *s, u64 pos, u64 *end)
{
	unsigned int shift = s->cfg.unit_shift;
	u64 unit, nr;

	if (habuddy_free_order(&s->buddy, pos >> shift) >= 0) {
		habuddy_next_free(&s->buddy, pos >> shift, U64_MAX, &unit, &nr);
		*end = (unit + nr) << shift;
		return true;
	}
	*end = haslab_gap_reach(s, pos);
	if (habuddy_next_free(&s->buddy, pos >> shift, *end >> shift, &unit, &nr))
		*end = unit << shift;
	return false;
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

/* Whether @pos is free. @end: the end of the stretch; the next one may be of the same kind. */
bool haslab_stretch(struct haslab *s, u64 pos, u64 *end)
{
	struct haslab_mixed *m = mixed_at(s, pos);
	struct haslab_slab *slab;
	struct haruns_run run;

	haslab_assert_all(s);
	haslab_step(s, 1);
	if (m) {
		run = mixed_run(s, m, pos);
		*end = run_start(s, pos, &run) + run.len;
		return run.state == HARUNS_FREE;
	}
	slab = haslab_lookup(s, pos);
	return slab ? haslab_object_stretch(s, slab, pos, end) : haslab_gap_stretch(s, pos, end);
}

/*
 * The next free run from @pos on, across all borders, that begins before @limit. Return: whether
 * there is one. The search for its end stops at @enough blocks: if @len is that or more, the run
 * may be longer.
 */
bool haslab_next_run(struct haslab *s, u64 pos, u64 limit, u64 enough, u64 *start, u64 *len)
{
	u64 end;

	for (; pos < limit; pos = end)
		if (haslab_stretch(s, pos, &end))
			break;
	if (pos >= limit)
		return false;
	*start = pos;
	for (pos = end; pos < s->cfg.nr_blocks && pos - *start < enough; pos = end)
		if (!haslab_stretch(s, pos, &end))
			break;
	*len = pos - *start;
	return true;
}

/* ---- sums ---- */

/* Join the sums of two neighbours: @sum becomes that of both. */
void haslab_sum_append(struct haslab_sum *sum, const struct haslab_sum *next)
{
	sum->longest = max3(sum->longest, next->longest, sum->trail + next->lead);
	if (sum->lead == sum->size)
		sum->lead += next->lead;
	sum->trail = next->trail == next->size ? sum->trail + next->size : next->trail;
	sum->size += next->size;
}

/* The sum of what begins at @pos: of a mixed slot as a whole, or of a stretch up to @end. */
static struct haslab_sum haslab_sum_at(struct haslab *s, u64 pos, u64 end)
{
	struct haslab_mixed *m = mixed_slot(s, slot_of(s, pos));
	u64 next, len;
	bool is_free;

	haslab_step(s, 1);
	if (m && m->runs.nr_known == slot_blocks(s))
		return (struct haslab_sum) {
			haruns_lead(&m->runs), m->runs.max_free, haruns_trail(&m->runs),
			slot_blocks(s)
		};
	/* of a gap a stretch may reach into the next slot */
	is_free = haslab_stretch(s, pos, &next);
	next = min(next, end);
	len = is_free ? next - pos : 0;
	return (struct haslab_sum) { len, len, len, next - pos };
}

/* The sum of the dir that begins at @start. The dir keeps it until something there changes. */
struct haslab_sum haslab_dir_sum(struct haslab *s, u64 start)
{
	u64 end = min(start + dir_blocks(s), s->cfg.nr_blocks), pos = start;
	struct haslab_dir *dir = map_dir(s, start);
	struct haslab_sum sum = {}, next;

	haslab_assert_all(s);
	haslab_step(s, 1);
	if (dir->summed)
		return (struct haslab_sum) { dir->lead, dir->longest, dir->trail, end - start };
	for (; pos < end; pos += next.size) {
		next = haslab_sum_at(s, pos, end);
		haslab_sum_append(&sum, &next);
	}
	dir->lead = sum.lead;
	dir->longest = sum.longest;
	dir->trail = sum.trail;
	dir->summed = true;
	return sum;
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
	*w = (struct haslab_walk) { .s = s, .pos = pos, .limit = limit, .flags = flags };
}

/* Why a pass ends early, or 0. */
static int haslab_walk_stop(const struct haslab_walk *w)
{
	if (!(w->flags & HASLAB_WALK_KILLABLE))
		return 0;
	if (fatal_signal_pending(current))
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
	w->steps = WALK_STEPS;
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
		haslab_unlock_all(w->s);
	}
	w->end = 0;
	return w->ret;
}
