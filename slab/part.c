// SPDX-License-Identifier: GPL-2.0
/*
 * Extents are ranges: a part of one is freed, one is divided in two, one becomes longer in place.
 * See slab.c for the layer as a whole.
 *
 * Runs of mixed slots, chains of them, and spans can be divided anywhere. What cannot becomes one
 * of them first, which changes nothing for its holder: a slab with the object is dissolved, a buddy
 * block becomes part of a mixed slot, or a span if it is longer than one. So a cut is: divide the
 * extent where the part begins and where it ends, and free what is between, which is an extent
 * then.
 *
 * What needs memory takes it before anything is divided. The rest cannot fail. What is refused has
 * changed nothing, not even the form that the extent has: a call in a loop would otherwise cost
 * others their slabs.
 *
 * An extent that lies in mixed slots of one group needs the lock of that group; so do an object and
 * a block that become a part of such slots. Spans, and extents that become one, need all groups
 * shut out.
 */
#include <linux/errno.h>
#include <linux/kernel.h>

#include "slab/runs_hit.h"
#include "slab/internal.h"

/* How much a look at what follows an extent may take, in steps. */
#define FOLLOW_STEPS	1000

/* How long an extent may become, and at least has to. */
struct extension {
	u64 least;	/* blocks more */
	u64 most;
	u64 got;	/* out: how many there are */
	bool pools_empty;
	bool drain;	/* out: slots that are kept have to be given back first */
	bool drained;	/* they were */
};

/* What a call asks for. */
struct wanted {
	u64 from;	/* the blocks that the extent has to have */
	u64 to;
	bool exact;	/* and it has no others */
	struct extension *e;	/* what has to be free behind it, or NULL */
};

/* A live extent that can be divided. */
struct divisible {
	u64 start;
	u64 end;
	struct haslab_mixed *m;		/* where it begins; NULL: it is a span */
	struct haruns_run run;		/* if it lies in one slot */
	struct haslab_span *span;
};

/* ---- what can be divided ---- */

/* Whether the extent from @start to @end, which has the first of them, has the blocks wanted. */
static int haslab_part_fits(const struct wanted *w, u64 start, u64 end,
			    enum hybrid_alloc_reason *reason)
{
	if (w->exact)
		return start == w->from && end == w->to ? 0 :
		       haslab_refuse_live(reason, w->from, start);
	return w->to <= end ? 0 : haslab_refuse(reason, HYBRID_ALLOC_REASON_WRONG_LENGTH);
}

/*
 * How many blocks behind @end are free. -EAGAIN: what comes then is in a pool, or held; or there is
 * more than the steps of a look reach, as each slot that is kept takes some.
 */
static int haslab_extend_look(struct haslab *s, u64 end, struct extension *e)
{
	int steps = haslab_steps(s, FOLLOW_STEPS);
	u64 len = end < s->cfg.nr_blocks ? haslab_run_at(s, end, e->most, &steps) : 0;

	haslab_assert_all(s);
	e->got = min(e->most, len);
	e->drain = e->got < e->most && steps < 0 && !e->drained;
	if (e->drain)
		return -EAGAIN;
	if (e->got == e->most || end + len >= s->cfg.nr_blocks || steps < 0)
		return e->got < e->least ? -ENOSPC : 0;
	if (!e->pools_empty && !haslab_is_live(s, end + len))
		return -EAGAIN;
	return e->got < e->least ? -ENOSPC : 0;
}

/*
 * Whether enough is free behind the object, before its slab gives way for that. -EBUSY: the slab
 * alone does not tell.
 */
static int haslab_object_looks(struct haslab *s, const struct haslab_group *g,
			       const struct haslab_slab *slab, u32 i, struct extension *e)
{
	u32 blocks = s->classes[slab->class].blocks, next;

	if (!g)
		return haslab_extend_look(s, object_start(s, slab, i + 1), e);
	if (slab->dissolved)
		return -EBUSY;
	next = find_next_zero_bit(slab->free, slab->nr_objects, i + 1);
	ha_step((next - i) / (BITS_PER_LONG / 2) + 1);
	if ((u64)(next - i - 1) * blocks >= e->least)
		return 0;
	return next < slab->nr_objects && test_bit(next, slab->live) ? -ENOSPC : -EBUSY;
}

/* The live object at w->from becomes an extent of a mixed part. */
static int haslab_divide_object(struct haslab *s, const struct haslab_group *g,
				struct haslab_slab *slab, const struct wanted *w,
				struct hamem_op *op, enum hybrid_alloc_reason *reason)
{
	u32 i = object_of(s, slab, w->from);
	int ret;

	if (g && slab_group(s, slab) != g)
		return -EBUSY;
	if (i >= slab->nr_objects || !test_bit(i, slab->live))
		return haslab_refuse(reason, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
	ret = haslab_part_fits(w, object_start(s, slab, i), object_start(s, slab, i + 1), reason);
	if (!ret && w->e)
		ret = haslab_object_looks(s, g, slab, i, w->e);
	if (ret)
		return ret;
	if (!slab->dissolved)
		return haslab_dissolve(s, slab, op);
	return haslab_object_release(s, slab, i) ? 0 :
	       haslab_refuse(reason, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
}

/* A live block of the buddy becomes an extent of a mixed part: it is a slot at the most. */
static int haslab_divide_block(struct haslab *s, struct haslab_group *g, u64 start,
			       unsigned int order, struct hamem_op *op,
			       enum hybrid_alloc_reason *reason)
{
	u64 unit = start >> s->cfg.unit_shift;
	int ret;

	/* a free into a pool needs no lock, and may come first */
	if (!habuddy_disown(&s->buddy, unit, order))
		return haslab_refuse(reason, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
	ret = haslab_mixed_add(s, g, start, unit_blocks(s) << order, 2, op);
	if (ret) {
		habuddy_own(&s->buddy, unit, order);
		return ret;
	}
	return haslab_mixed_set(s, start, unit_blocks(s) << order, HARUNS_LIVE, op);
}

/* A live block that is longer than a slot becomes a span. */
static int haslab_divide_large(struct haslab *s, u64 start, unsigned int order,
			       struct hamem_op *op, enum hybrid_alloc_reason *reason)
{
	struct haslab_span *span = haslab_span_new(s, op);

	if (!span)
		return -ENOMEM;
	if (!habuddy_disown(&s->buddy, start >> s->cfg.unit_shift, order)) {
		hamem_put(&s->mem, span);
		return haslab_refuse(reason, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
	}
	haslab_span_add(s, span, start, (u64)unit_blocks(s) << order);
	return 0;
}

/* What is at w->from lies neither in a mixed part nor in a slab. */
static int haslab_divide_units(struct haslab *s, struct haslab_group *g, const struct wanted *w,
			       struct hamem_op *op, struct divisible *d,
			       enum hybrid_alloc_reason *reason)
{
	unsigned int order;
	u64 start, end;
	int ret;

	if (habuddy_find_owned(&s->buddy, w->from >> s->cfg.unit_shift, &start, &order)) {
		start <<= s->cfg.unit_shift;
		end = start + ((u64)unit_blocks(s) << order);
		ret = haslab_part_fits(w, start, end, reason);
		if (!ret && w->e)
			ret = g ? -EBUSY : haslab_extend_look(s, end, w->e);
		if (ret)
			return ret;
		if (order <= s->slot_shift - s->cfg.unit_shift)
			return haslab_divide_block(s, g ?: haslab_own_group(s), start, order, op,
						   reason);
		return g ? -EBUSY : haslab_divide_large(s, start, order, op, reason);
	}
	if (g)
		return -EBUSY;
	d->span = haslab_span_find(s, w->from);
	return d->span ? 0 : haslab_refuse(reason, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
}

/* What is at w->from is SPECIAL in a mixed part. */
static int haslab_divide_special(struct haslab *s, const struct haslab_group *g,
				 const struct wanted *w, struct hamem_op *op, struct divisible *d,
				 enum hybrid_alloc_reason *reason)
{
	struct haslab_slab *slab = haslab_dissolved_at(s, w->from);

	if (slab)
		return haslab_divide_object(s, g, slab, w, op, reason);
	if (g)
		return -EBUSY;
	d->span = haslab_span_find(s, w->from);
	return d->span ? 0 : haslab_refuse(reason, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
}

/* The extent of mixed slots that @run, at @from, is or belongs to; or d->m stays NULL. */
static void haslab_divide_run(struct haslab *s, struct haslab_mixed *m, u64 from,
			      const struct haruns_run *run, struct divisible *d)
{
	u32 slot = slot_of(s, from), last;
	struct haruns_run first = *run;

	d->m = m;
	for (; !first.start && d->m->runs.tag & MIXED_CONTINUES; ha_step(1)) {
		d->m = mixed_of(s, --slot);
		first = haruns_last(&d->m->runs);
	}
	if (first.state != HARUNS_LIVE) {
		d->m = NULL;
		return;
	}
	d->run = first;
	d->start = slot_start(s, slot) + first.start;
	d->end = d->start + first.len;
	if (haslab_continuation(s, d->m, d->end - 1))
		d->end += haslab_chain_rest(s, slot, &last);
}

/*
 * Find the live extent that has the blocks wanted, with the lock of @g, or with all groups shut out
 * if that is NULL. It is made one that can be divided; of what is refused nothing is.
 *
 * Return: 0; -EBUSY it takes all groups; -ENOENT, -EINVAL: see @reason; -ENOSPC, -EAGAIN as
 * haslab_extend_look(); -ENOMEM; -EAGAIN the pools have to be emptied first.
 */
static int haslab_divisible(struct haslab *s, struct haslab_group *g, const struct wanted *w,
			    struct hamem_op *op, struct divisible *d,
			    enum hybrid_alloc_reason *reason)
{
	u64 from = w->from;
	struct haslab_mixed *m;
	struct haslab_slab *slab;
	struct haruns_run run;
	int ret = 0;

	*d = (struct divisible) {};
	while (!ret && !d->m && !d->span) {
		m = mixed_at(s, from);
		if (m && g && !mixed_is_of(s, m, g))
			return -EBUSY;
		if (!m) {
			slab = haslab_lookup(s, from);
			ret = slab ? haslab_divide_object(s, g, slab, w, op, reason) :
				     haslab_divide_units(s, g, w, op, d, reason);
			continue;
		}
		run = mixed_run(s, m, from);
		if (run.state == HARUNS_FREE)
			return haslab_refuse(reason, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
		haslab_divide_run(s, m, from, &run, d);
		if (!d->m)
			ret = haslab_divide_special(s, g, w, op, d, reason);
	}
	if (d->span) {
		d->start = d->span->start;
		d->end = d->start + d->span->len;
	}
	return ret ?: haslab_part_fits(w, d->start, d->end, reason);
}

/* ---- dividing in mixed slots ---- */

static int haslab_runs_reserve(struct haslab *s, u64 pos, struct hamem_op *op)
{
	/* two places in one slot each make one run more */
	return haruns_reserve(&mixed_at(s, pos)->runs, 2, &s->mem, op);
}

/*
 * Divide an extent of mixed slots at @at, inside of it. There is room for one run more. @d is what
 * comes behind @at then.
 */
static void haslab_runs_divide(struct haslab *s, struct divisible *d, u64 at)
{
	u32 slot = slot_of(s, at), pos = at & (slot_blocks(s) - 1);
	struct haslab_mixed *m = mixed_of(s, slot);
	struct haruns_run run = mixed_run(s, m, at);

	if (!pos)
		haslab_chain_part(s, slot - 1, slot);
	if (pos)
		haslab_outside_less(s, mixed_group(s, m), run.len);
	haruns_cut(&m->runs, run, pos, run.start + run.len - pos, HARUNS_LIVE);
	d->start = at;
	d->m = m;
}

/* ---- dividing spans ---- */

/* Whole units of a span, that are in no mixed part, become SPECIAL there. */
static int haslab_units_mix(struct haslab *s, u64 start, u64 len, struct hamem_op *op)
{
	int ret = haslab_mixed_add(s, haslab_own_group(s), start, len, 2, op);

	return ret ?: haslab_mixed_set(s, start, len, HARUNS_SPECIAL, op);
}

/* A span is to be divided at @at. */
static int haslab_span_divide_prepare(struct haslab *s, u64 at, struct hamem_op *op)
{
	u64 unit = round_down(at, unit_blocks(s));
	int ret;

	if (!mixed_at(s, at)) {
		ret = haslab_buddy_divide(s, unit, op);
		if (ret || at == unit)
			return ret;
		ret = haslab_buddy_divide(s, unit + unit_blocks(s), op) ?:
		      haslab_units_mix(s, unit, unit_blocks(s), op);
		if (ret)
			return ret;
	}
	return haslab_runs_reserve(s, at, op);
}

static void haslab_span_divide(struct haslab *s, u64 at)
{
	struct haslab_mixed *m = mixed_at(s, at);
	u32 pos = at & (slot_blocks(s) - 1);
	struct haruns_run run;

	if (!m)
		return;
	run = mixed_run(s, m, at);
	if (run.start == pos)
		return;
	haslab_outside_less(s, mixed_group(s, m), run.len);
	haruns_cut(&m->runs, run, pos, run.start + run.len - pos, run.state);
}

static bool haslab_in_one_slot(const struct haslab *s, u64 start, u64 end)
{
	return slot_of(s, start) == slot_of(s, end - 1);
}

/*
 * What remains of a span, from @start to @end, is to be an extent. In one slot it is a run of a
 * mixed part: its units become part of that. It needs a record otherwise: @nr counts them.
 */
static int haslab_remains_prepare(struct haslab *s, u64 start, u64 end, struct hamem_op *op,
				  u32 *nr)
{
	u64 pos = start, next;
	int ret = 0;

	if (start == end)
		return 0;
	if (!haslab_in_one_slot(s, start, end)) {
		++*nr;
		return 0;
	}
	while (!ret && pos < end) {
		if (mixed_at(s, pos)) {
			pos = round_down(pos, unit_blocks(s)) + unit_blocks(s);
			continue;
		}
		next = haslab_gap_end(s, pos, end);
		ret = haslab_units_mix(s, pos, next - pos, op);
		pos = next;
	}
	return ret;
}

/* The pieces of what remains in one slot become one run. */
static void haslab_remains_join(struct haslab *s, u64 start, u64 end)
{
	struct haslab_mixed *m = mixed_at(s, start);
	u32 last = end - round_down(start, slot_blocks(s));
	struct haruns_run run = mixed_run(s, m, start);

	while (run.start + run.len < last) {
		haslab_outside_less(s, mixed_group(s, m), run.len);
		haslab_outside_less(s, mixed_group(s, m),
				    haruns_find(&m->runs, run.start + run.len).len);
		haruns_join(&m->runs, run.start + run.len);
		run = mixed_run(s, m, start);
	}
	haruns_cut(&m->runs, run, run.start, run.len, HARUNS_LIVE);
}

/* What remains of a span becomes an extent, with one of the records if it needs one. */
static void haslab_remains_settle(struct haslab *s, u64 start, u64 end, struct haslab_span **spans)
{
	u32 i = !spans[0];

	if (start == end)
		return;
	if (haslab_in_one_slot(s, start, end)) {
		haslab_remains_join(s, start, end);
		return;
	}
	haslab_span_add(s, spans[i], start, end - start);
	spans[i] = NULL;
}

/* The blocks of a span from @from to @to are HELD then, and the others are extents. */
static int haslab_span_cut(struct haslab *s, struct haslab_span *span, u64 from, u64 to,
			   struct hamem_op *op)
{
	u64 start = span->start, end = start + span->len;
	struct haslab_span *spans[2] = { span };
	u32 nr = 0;
	int ret = 0;

	haslab_assert_all(s);
	if (from > start)
		ret = haslab_span_divide_prepare(s, from, op) ?:
		      haslab_remains_prepare(s, start, from, op, &nr);
	if (!ret && to < end)
		ret = haslab_span_divide_prepare(s, to, op) ?:
		      haslab_remains_prepare(s, to, end, op, &nr);
	if (!ret && nr == 2) {
		spans[1] = haslab_span_new(s, op);
		if (!spans[1])
			ret = -ENOMEM;
	}
	if (ret) {
		haslab_span_absorb(s, span, min(from, end - 1));
		haslab_span_absorb(s, span, min(to, end - 1));
		return ret;
	}
	haslab_span_remove(s, span);
	if (from > start)
		haslab_span_divide(s, from);
	if (to < end)
		haslab_span_divide(s, to);
	haslab_remains_settle(s, start, from, spans);
	haslab_remains_settle(s, to, end, spans);
	hamem_put(&s->mem, spans[0]);
	return 0;
}

/* ---- cuts ---- */

/*
 * Whether only the run of a chain changes in which a part of it lies: the part ends at no border of
 * two slots in the chain, and what remains behind it, if anything, begins in the first slot, where
 * runs are LIVE.
 */
static bool haslab_in_one_run(const struct haslab *s, const struct divisible *d, u64 from, u64 to)
{
	return haslab_in_one_slot(s, from, to) && !IS_ALIGNED(from, slot_blocks(s)) &&
	       (to == d->end || (!IS_ALIGNED(to, slot_blocks(s)) &&
				 haslab_in_one_slot(s, d->start, to)));
}

/* A part of an extent of mixed slots is freed, or HELD. */
static int haslab_runs_cut(struct haslab *s, struct divisible *d, u64 from, u64 to, bool reuse,
			   struct hamem_op *op, enum hybrid_alloc_reason *reason)
{
	u32 pos = from & (slot_blocks(s) - 1);
	u64 end = d->end;
	int ret = 0;

	if (haslab_in_one_slot(s, d->start, end))
		return haslab_run_cut(s, d->m, slot_of(s, from), d->run, pos, to - from, reuse, op);
	if (haslab_in_one_run(s, d, from, to)) {
		d->m = mixed_at(s, from);
		return haslab_run_cut(s, d->m, slot_of(s, from), mixed_run(s, d->m, from), pos,
				      to - from, reuse, op);
	}
	if (from > d->start)
		ret = haslab_runs_reserve(s, from, op);
	if (!ret && to < end)
		ret = haslab_runs_reserve(s, to, op);
	if (ret)
		return ret;
	if (from > d->start)
		haslab_runs_divide(s, d, from);
	if (to < end)
		haslab_runs_divide(s, d, to);
	return reuse ? haslab_mixed_free(s, mixed_at(s, from), from, to - from, reason) :
		       haslab_mixed_retire(s, mixed_at(s, from), from, to - from, reason);
}

/* Free, or hold, an object of a slab or a buddy block as a whole. False: it is none. */
static bool haslab_whole_free(struct haslab *s, const struct haslab_group *g, u64 start, u64 len,
			      bool reuse)
{
	struct haslab_slab *slab = haslab_slab_at(s, start);
	enum hybrid_alloc_reason reason;
	unsigned int order;
	u32 i;

	if (slab) {
		if ((g && slab_group(s, slab) != g) ||
		    haslab_object_retire(s, slab, start, len, &i, &reason))
			return false;
		if (reuse)
			haslab_object_put(s, slab, i);
		return true;
	}
	if (!is_block(s, start, len))
		return false;
	order = ilog2(len) - s->cfg.unit_shift;
	if (!habuddy_disown(&s->buddy, start >> s->cfg.unit_shift, order))
		return false;
	if (reuse)
		haslab_buddy_free(s, start, order);
	return true;
}

static int haslab_cut_locked(struct haslab *s, struct haslab_group *g, u64 start, u64 len,
			     bool reuse, struct hamem_op *op, enum hybrid_alloc_reason *reason)
{
	struct wanted w = { .from = start, .to = start + len };
	struct divisible d;
	int ret, nr;

	if (!mixed_at(s, start) && haslab_whole_free(s, g, start, len, reuse))
		return 0;
	ret = haslab_divisible(s, g, &w, op, &d, reason);
	if (ret)
		return ret;
	nr = (d.start < start) + (d.end > start + len);
	ret = d.m ? haslab_runs_cut(s, &d, start, start + len, reuse, op, reason) :
		    haslab_span_cut(s, d.span, start, start + len, op);
	if (!ret && !d.m && reuse)
		haslab_pieces_put(s, start, start + len);
	return ret ?: nr;
}

/**
 * haslab_cut - free a part of an extent
 * @s: the slab allocator
 * @start: first block of the part, inside the device
 * @len: number of blocks; all inside one extent, or all of it
 * @reuse: the blocks become free at once; else they are HELD until haslab_reuse()
 * @gfp: how to wait for memory
 * @reason: out: why not
 *
 * What is before and behind the part are extents of their own then.
 * Context: process context; may sleep if @gfp lets it.
 * Return: how many extents remain of it, 0 to 2; nothing has changed: -ENOENT nothing is allocated
 * at @start; -EINVAL the extent there ends before the part does; -ENOMEM; -EAGAIN it may work with
 * the pools empty.
 */
int haslab_cut(struct haslab *s, u64 start, u64 len, bool reuse, gfp_t gfp,
	       enum hybrid_alloc_reason *reason)
{
	struct hamem_op op = HAMEM_OP(gfp);
	struct haslab_group *g;
	int ret;

	do {
		g = haslab_lock_group_at(s, start);
		ret = haslab_cut_locked(s, g, start, len, reuse, &op, reason);
		haslab_unlock_group(g);
		if (ret == -EBUSY) {
			haslab_lock_all(s);
			ret = haslab_cut_locked(s, NULL, start, len, reuse, &op, reason);
			haslab_unlock_all(s);
		}
	} while (hamem_again(&op, ret));
	return ret;
}

/* ---- splits ---- */

static int haslab_split_locked(struct haslab *s, struct haslab_group *g, u64 start, u64 end,
			       u64 at, struct hamem_op *op, enum hybrid_alloc_reason *reason)
{
	struct wanted w = { .from = start, .to = end, .exact = true };
	struct divisible d;
	int ret = haslab_divisible(s, g, &w, op, &d, reason);

	if (ret)
		return ret;
	if (!d.m)
		return haslab_span_cut(s, d.span, at, at, op);
	ret = haslab_runs_reserve(s, at, op);
	if (!ret)
		haslab_runs_divide(s, &d, at);
	return ret;
}

/**
 * haslab_split - make two extents of one
 * @s: the slab allocator
 * @start: its first block
 * @len: number of blocks; all inside the device
 * @at: the first block of the second one, inside the extent and not its first
 * @gfp: how to wait for memory
 * @reason: out: why not
 * Context: process context; may sleep if @gfp lets it.
 * Return: 0; nothing has changed: as haslab_cut(); -EINVAL the extent has another start or length.
 */
int haslab_split(struct haslab *s, u64 start, u64 len, u64 at, gfp_t gfp,
		 enum hybrid_alloc_reason *reason)
{
	struct hamem_op op = HAMEM_OP(gfp);
	struct haslab_group *g;
	int ret;

	do {
		g = haslab_lock_group_at(s, start);
		ret = haslab_split_locked(s, g, start, start + len, at, &op, reason);
		haslab_unlock_group(g);
		if (ret == -EBUSY) {
			haslab_lock_all(s);
			ret = haslab_split_locked(s, NULL, start, start + len, at, &op, reason);
			haslab_unlock_all(s);
		}
	} while (hamem_again(&op, ret));
	return ret;
}

/* ---- extending ---- */

/* Extend an extent that ends a slot: it goes on in the next one, where blocks are free. */
static int haslab_border_extend(struct haslab *s, struct divisible *d, u64 len,
				struct hamem_op *op)
{
	int ret = haslab_mixed_set(s, d->end, len, HARUNS_SPECIAL, op);

	if (!ret) {
		mixed_at(s, d->end - 1)->runs.tag |= MIXED_GOES_ON;
		mixed_at(s, d->end)->runs.tag |= MIXED_CONTINUES;
	}
	return ret;
}

/*
 * Extend an extent of mixed slots by what is free in the slot behind it, if that slot tells how
 * much it can be. -EBUSY: it does not, or is not of the group, or the extent would be huge.
 */
static int haslab_extend_in_slot(struct haslab *s, struct haslab_group *g, struct divisible *d,
				 struct extension *e, struct hamem_op *op)
{
	bool border = IS_ALIGNED(d->end, slot_blocks(s));
	struct haslab_mixed *m;
	struct haruns_run run;
	u64 end = d->end;

	if (end >= s->cfg.nr_blocks)
		return -EBUSY;
	m = mixed_at(s, end);
	if (!m || !mixed_is_of(s, m, g))
		return -EBUSY;
	run = mixed_run(s, m, end);
	e->got = 0;
	if (run.state == HARUNS_FREE) {
		e->got = min_t(u64, e->most, run.len);
		end += run.len;
	}
	/* more may be free in the next unit or slot, or be in a pool */
	if (e->got < e->most && (end >= haslab_units_end(s, m, d->end) ||
				 mixed_run(s, m, end).state != HARUNS_LIVE))
		return -EBUSY;
	if (e->got < e->least)
		return -ENOSPC;
	if (haslab_is_huge(s, d->end - d->start + e->got))
		return -EBUSY;
	if (border)
		return haslab_border_extend(s, d, e->got, op);
	haslab_run_grow(s, m, slot_of(s, d->end), &run, e->got);
	return 0;
}

/* An extent of mixed slots becomes a span. */
static void haslab_runs_to_span(struct haslab *s, const struct divisible *d,
				struct haslab_span *span)
{
	struct haruns_run run = mixed_run(s, d->m, d->start);

	haruns_cut(&d->m->runs, run, run.start, run.len, HARUNS_SPECIAL);
	haslab_chain_part(s, slot_of(s, d->start), slot_of(s, d->end - 1));
	haslab_span_add(s, span, d->start, d->end - d->start);
}

/*
 * The pieces of a span that has become longer by @len blocks at its end are what they are to be: of
 * a huge one, no slot that it fills has a mixed part.
 */
static void haslab_span_unite(struct haslab *s, const struct haslab_span *span, u64 len)
{
	u64 border = span->start + span->len - len, pos = border - 1, end = border + 1;

	if (haslab_is_huge(s, span->len)) {
		if (!haslab_is_huge(s, span->len - len))
			pos = span->start;
		if (!haslab_is_huge(s, len))
			end = border + len;
	}
	for (; pos < end; pos = round_down(pos, slot_blocks(s)) + slot_blocks(s))
		haslab_span_absorb(s, span, pos);
}

/* Extend an extent by what is free behind it, so that it is a span, or still one. */
static int haslab_extend_span(struct haslab *s, struct divisible *d, u64 len, struct hamem_op *op)
{
	struct haslab_span *span = d->span ?: haslab_span_new(s, op);
	int ret;

	if (!span)
		return -ENOMEM;
	ret = haslab_pieces_take(s, d->end, d->end + len, op);
	if (ret) {
		if (!d->span)
			hamem_put(&s->mem, span);
		return ret;
	}
	if (!d->span)
		haslab_runs_to_span(s, d, span);
	span->len += len;
	haslab_span_unite(s, span, len);
	return 0;
}

/* With all groups shut out. */
static int haslab_extend_alone(struct haslab *s, struct divisible *d, struct extension *e,
			       struct hamem_op *op)
{
	int ret = haslab_extend_look(s, d->end, e);
	struct haruns_run run;

	if (ret)
		return ret;
	e->drain = haslab_is_huge(s, e->got) && !haslab_empty_put_all(s);
	if (e->drain)
		return -EAGAIN;
	if (!d->m || !haslab_in_one_slot(s, d->start, d->end + e->got))
		return haslab_extend_span(s, d, e->got, op);
	ret = haslab_mixed_through(s, d->end, d->end + e->got, op);
	if (ret)
		return ret;
	run = mixed_run(s, d->m, d->end);
	haslab_run_grow(s, d->m, slot_of(s, d->end), &run, e->got);
	return 0;
}

static int haslab_extend_locked(struct haslab *s, struct haslab_group *g, u64 start, u64 end,
				struct extension *e, struct hamem_op *op,
				enum hybrid_alloc_reason *reason)
{
	struct wanted w = { .from = start, .to = end, .exact = true, .e = e };
	struct divisible d;
	int ret = haslab_divisible(s, g, &w, op, &d, reason);

	if (ret)
		return ret;
	return g ? haslab_extend_in_slot(s, g, &d, e, op) : haslab_extend_alone(s, &d, e, op);
}

/* haslab_extend_locked(), with all groups shut out. */
static int haslab_extend_shut(struct haslab *s, u64 start, u64 end, struct extension *e,
			      struct hamem_op *op, enum hybrid_alloc_reason *reason)
{
	int ret;

	haslab_lock_all(s);
	ret = haslab_extend_locked(s, NULL, start, end, e, op, reason);
	haslab_unlock_all(s);
	return ret;
}

/**
 * haslab_extend - make an extent longer, where it is
 * @s: the slab allocator
 * @start: its first block
 * @len: number of blocks; all inside the device
 * @least: how many blocks more it needs, at least one
 * @most: how many it may get
 * @pools_empty: they are closed, too: the caller is in the slow mode of the pool layer
 * @gfp: how to wait for memory
 * @got: out: how many it has got
 * @reason: out: why not
 *
 * It gets as many as are free behind it.
 * Context: process context; may sleep if @gfp lets it.
 * Return: 0; nothing has changed: -ENOSPC fewer than @least are free; -ENOENT nothing is allocated
 * at @start; -EINVAL the extent has another start or length; -ENOMEM; -EAGAIN it may get more with
 * the pools empty or, in that mode, the caller tries again in a moment.
 */
int haslab_extend(struct haslab *s, u64 start, u64 len, u64 least, u64 most, bool pools_empty,
		  gfp_t gfp, u64 *got, enum hybrid_alloc_reason *reason)
{
	struct extension e = { .least = least, .most = most, .pools_empty = pools_empty };
	struct hamem_op op = HAMEM_OP(gfp);
	struct haslab_group *g;
	int ret;

	do {
		g = haslab_lock_group_at(s, start);
		ret = haslab_extend_locked(s, g, start, start + len, &e, &op, reason);
		haslab_unlock_group(g);
		if (ret == -EBUSY)
			ret = haslab_extend_shut(s, start, start + len, &e, &op, reason);
		if (ret == -EAGAIN && e.drain) {
			haslab_drain(s);
			e.drained = true;
			ret = haslab_extend_shut(s, start, start + len, &e, &op, reason);
		}
	} while (hamem_again(&op, ret));
	*got = e.got;
	return ret;
}
