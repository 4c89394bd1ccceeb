// SPDX-License-Identifier: GPL-2.0
/*
 * Mixed slots: space in which extents of any length lie. See slab.c for the layer as a whole.
 *
 * The units of a slot that were taken from the buddy for this are its mixed part. The rest of
 * the slot (buddy blocks, slabs) is SPECIAL in its runs, and so are pieces of extents that lie
 * in several places, and HELD blocks. Units are added one buddy block at a time; adjacent units
 * form one space. When all of them are free they go back together.
 *
 * An allocation goes to a remembered hole of exactly its length, if there is one: with few
 * different lengths, holes of one are not broken up for another. (Extents of 2^k + 1 blocks then
 * fill .90 of 4 GiB, without it less than .85.) Otherwise it goes to the slot whose largest free
 * run is the smallest that fits, and there to the run that fits best. Slots that are nearly full
 * get fuller, and the large runs of the others survive. (Strict segregation by size wastes a
 * quarter of a disk, first fit fragments it, and best fit over all runs of the device packs
 * worse than this: .98 against .99 of 1 TiB at the first ENOSPC, sizes 4 KiB to 4 MiB.) The
 * index is a list of slots for each length of the largest run, above 1 MiB for a few lengths
 * together, and a bitmap of the lists that are not empty.
 *
 * When no run fits, units are added to a slot. If they are at its start and the slot before ends
 * with a free run that no expected size uses, the extent begins in that run and continues in the
 * new slot: otherwise sizes that do not divide a slot would leave a remainder in each. (With
 * enough small requests the remainder is used, and slots that share an extent do not become
 * empty: always doing it lowers the fill that sizes to 4 MiB can sustain from .975 to .965.)
 *
 * A part of a unit, before the first whole one or after the last, is not in the buddy. It is
 * added at the start and stays: the lasting units.
 */
#include <linux/errno.h>
#include <linux/hash.h>
#include <linux/kernel.h>

#include "slab/runs_hit.h"
#include "slab/internal.h"

#define RECENT_WINDOW	128	/* after this many requests the history of lengths is halved */
#define MAX_TRIES	16	/* mixed slots to look at in which the extent may not fit */
#define MAX_LOOK	512	/* runs in them to look at, all together */

/* ---- the index ---- */

static void haslab_index_add(struct haslab *s, struct haslab_group *g, u32 slot, u32 bucket,
			     struct haslab_link *link)
{
	u32 first = g->mixed[bucket];

	*link = (struct haslab_link) { .next = first, .prev = slot };
	if (first == NO_SLOT)
		__set_bit(bucket, g->mixed_mask);
	else
		slot_link(s, first)->prev = slot;
	g->mixed[bucket] = slot;
}

static void haslab_index_del(struct haslab *s, struct haslab_group *g, u32 slot, u32 bucket,
			     struct haslab_link link)
{
	if (link.next != NO_SLOT)
		slot_link(s, link.next)->prev = link.prev == slot ? link.next : link.prev;
	if (link.prev != slot) {
		slot_link(s, link.prev)->next = link.next;
		return;
	}
	g->mixed[bucket] = link.next;
	if (link.next == NO_SLOT)
		__clear_bit(bucket, g->mixed_mask);
	else
		/* the next request for this list will need it */
		prefetch(mixed_of(s, link.next));
}

/* Prefetch the links that taking a slot out of its list writes to. */
static __always_inline void haslab_index_prefetch(const struct haslab *s, u32 slot,
						  const struct haslab_mixed *m)
{
	struct haslab_link link = *slot_link(s, slot);

	if (!m->runs.max_free)
		return;
	prefetchw(slot_link(s, link.prev));
	if (link.next != NO_SLOT)
		prefetchw(slot_link(s, link.next));
}

/* The same for the first slot of a list. */
static __always_inline void haslab_index_prefetch_first(const struct haslab *s, u32 slot)
{
	u32 next = slot_link(s, slot)->next;

	if (next != NO_SLOT)
		prefetchw(slot_link(s, next));
}

/* Move a slot between lists. Bucket 0 is no list: full slots are in none. */
static noinline void haslab_index_relink(struct haslab *s, struct haslab_group *g, u32 slot,
					 u32 from, u32 to)
{
	struct haslab_link *link = slot_link(s, slot);

	haslab_assert_group(s, g);
	if (from)
		haslab_index_del(s, g, slot, from, *link);
	if (to)
		haslab_index_add(s, g, slot, to, link);
}

/* The largest run of a slot had @max_free blocks and may have changed. */
static inline void haslab_index_move(struct haslab *s, struct haslab_group *g, u32 slot,
				     const struct haslab_mixed *m, u32 max_free)
{
	u32 from = haslab_bucket_of(max_free), to = haslab_bucket_of(m->runs.max_free);

	if (from != to)
		haslab_index_relink(s, g, slot, from, to);
}

void haslab_mixed_init(struct haslab_group *g)
{
	u32 i;

	for (i = 0; i < HASLAB_NR_BUCKETS; i++)
		g->mixed[i] = NO_SLOT;
}

/* ---- adding and returning units ---- */

/* The lasting units of a slot: they stay even if they are free. */
static u64 haslab_lasting_units(const struct haslab *s, u32 slot)
{
	u64 first = s->cfg.first_block, end = s->cfg.nr_blocks, units = 0;

	if (!IS_ALIGNED(first, unit_blocks(s)) && slot_of(s, first) == slot)
		units |= 1ULL << slot_unit(s, first);
	if (!IS_ALIGNED(end, unit_blocks(s)) && slot_of(s, end) == slot)
		units |= 1ULL << slot_unit(s, end);
	return units;
}

/*
 * Add blocks that were taken from the buddy, or a lasting unit, as free blocks, and reserve room
 * for @nr_runs more runs. A new mixed part belongs to @g.
 *
 * Return: 0; on error nothing has changed: -ENOMEM; -EBUSY the mixed part of this slot belongs
 * to another group.
 */
int haslab_mixed_add(struct haslab *s, struct haslab_group *g, u64 start, u32 nr_blocks,
		     u32 nr_runs, struct hamem_op *op)
{
	u64 units = GENMASK_ULL(slot_unit(s, start + nr_blocks - 1), slot_unit(s, start));
	u32 slot = slot_of(s, start), max_free;
	int ret = haslab_map_mixed(s, g, start, units, op);
	struct haslab_mixed *m;

	haslab_assert_group(s, g);
	if (ret)
		return ret;
	m = mixed_of(s, slot);
	if (haruns_reserve(&m->runs, nr_runs + 2, &s->mem, op)) {
		haslab_map_keep(s, start, m->units & ~units);
		return -ENOMEM;
	}
	g = mixed_group(s, m);
	if (m->units == units) {
		g->nr_slabs++;
		g->made++;
	}
	max_free = m->runs.max_free;
	haruns_add(&m->runs, start & (slot_blocks(s) - 1), nr_blocks);
	haslab_index_move(s, g, slot, m, max_free);
	g->free += nr_blocks;
	map_changed(s, start);
	return 0;
}

/* Delete the mixed part of a slot. The slot must be in no list. */
void haslab_mixed_forget(struct haslab *s, u32 slot)
{
	struct haslab_mixed *m = mixed_of(s, slot);
	struct haslab_group *g = mixed_group(s, m);

	g->free -= m->runs.nr_free;
	g->nr_slabs--;
	haruns_destroy(&m->runs, &s->mem);
	haslab_map_keep(s, slot_start(s, slot), 0);
}

/* Keep only the given units, lasting ones, of a slot that is wholly free. */
static void haslab_lasting_keep(struct haslab *s, struct haslab_mixed *m, u32 slot, u64 keep)
{
	u64 start, end;
	u32 unit;

	haruns_destroy(&m->runs, &s->mem);
	haruns_init(&m->runs, slot_blocks(s));
	haslab_map_keep(s, slot_start(s, slot), keep);
	for (; keep; keep &= keep - 1) {
		unit = __ffs64(keep);
		start = slot_start(s, slot) + ((u64)unit << s->cfg.unit_shift);
		end = min(start + unit_blocks(s), s->cfg.nr_blocks);
		start = max(start, s->cfg.first_block);
		haruns_add(&m->runs, start & (slot_blocks(s) - 1), end - start);
	}
}

/* Give units of a slot back to the buddy. */
static void haslab_units_put(struct haslab *s, u32 slot, u64 units)
{
	while (units) {
		u32 unit = __ffs64(units);
		u64 after = units + (1ULL << unit);
		/* length of this range of units: it ends at the bit that the carry set */
		u32 nr = (after ? __ffs64(after) : 64) - unit;

		haslab_buddy_put(s, slot_start(s, slot) + ((u64)unit << s->cfg.unit_shift),
				 (u64)nr << s->cfg.unit_shift);
		units &= after;
	}
}

/* If the mixed part of a slot is wholly free, its units go back to the buddy. */
void haslab_mixed_settle(struct haslab *s, u32 slot)
{
	struct haslab_mixed *m = mixed_of(s, slot);
	struct haslab_group *g = mixed_group(s, m);
	u64 keep, back;

	haslab_assert_group(s, g);
	haruns_shrink(&m->runs, &s->mem);
	if (m->runs.nr_free != m->runs.nr_known)
		return;
	keep = m->units & haslab_lasting_units(s, slot);
	back = m->units & ~keep;
	if (!back)
		return;
	haslab_index_relink(s, g, slot, haslab_mixed_bucket(m), 0);
	if (keep) {
		g->free -= m->runs.nr_free;
		haslab_lasting_keep(s, m, slot, keep);
		g->free += m->runs.nr_free;
		haslab_index_relink(s, g, slot, 0, haslab_mixed_bucket(m));
	} else {
		haslab_mixed_forget(s, slot);
	}
	g->returned++;
	haslab_units_put(s, slot, back);
}

/* ---- extents ---- */

/* Make part of a free run an extent. */
static __always_inline int haslab_run_set(struct haslab *s, struct haslab_mixed *m,
					  struct haruns_run *run, u32 others, u64 start, u32 len,
					  enum haruns_state state, struct hamem_op *op)
{
	struct haslab_group *g = mixed_group(s, m);
	u32 max_free = m->runs.max_free;
	u16 cap = m->runs.cap;

	haslab_assert_group(s, g);
	if (haruns_reserve(&m->runs, 2, &s->mem, op))
		return -ENOMEM;
	if (m->runs.cap != cap)
		*run = haruns_at(&m->runs, run->start);
	haruns_set(&m->runs, run, others, start & (slot_blocks(s) - 1), len, state);
	haslab_index_move(s, g, slot_of(s, start), m, max_free);
	g->free -= len;
	map_changed(s, start);
	return 0;
}

/* Make free blocks an extent. They must lie in one run. */
int haslab_mixed_set(struct haslab *s, u64 start, u32 len, enum haruns_state state,
		     struct hamem_op *op)
{
	struct haslab_mixed *m = mixed_at(s, start);
	struct haruns_run run = mixed_run(s, m, start);

	return haslab_run_set(s, m, &run, haruns_others(&m->runs, &run), start, len, state, op);
}

/*
 * Make the live objects of a former slab extents. Its blocks are in one free run, and room for
 * the runs is reserved. Goes from last to first, so that the rest of @run stays valid.
 */
void haslab_mixed_fill(struct haslab *s, u64 start, const unsigned long *live, u32 nr, u32 blocks)
{
	u32 base = start & (slot_blocks(s) - 1), i = nr, next, at, after;
	struct haslab_mixed *m = mixed_of(s, slot_of(s, start));
	struct haslab_group *g = mixed_group(s, m);
	struct haruns_run run = mixed_run(s, m, start);
	u32 max_free = m->runs.max_free, others = haruns_others(&m->runs, &run);

	if (haruns_fill(&m->runs, base, live, nr, blocks)) {
		g->free -= bitmap_weight(live, nr) * (u64)blocks;
		i = 0;
	}
	for (; (next = find_last_bit(live, i)) < i; i = next) {
		at = base + next * blocks;
		after = run.start + run.len - at - blocks;
		haruns_set(&m->runs, &run, others, at, blocks, HARUNS_LIVE);
		g->free -= blocks;
		others = max(others, after);
		run.len = at - run.start;
	}
	haslab_index_move(s, g, slot_of(s, start), m, max_free);
	map_changed(s, start);
}

static struct haslab_holes *haslab_holes_of(struct haslab_group *g, u32 len)
{
	return &g->holes[hash_32(len, ilog2(HASLAB_HOLE_SETS))];
}

/* Remember the hole that an extent leaves. */
static __always_inline void haslab_hole_note(const struct haslab *s, struct haslab_group *g,
					     u64 start, u32 len)
{
	struct haslab_holes *h = haslab_holes_of(g, len);

	/* unrolled: a loop would become a call of memmove() */
	BUILD_BUG_ON(HASLAB_HOLE_WAYS != 4);
	h->slot[3] = h->slot[2];
	h->slot[2] = h->slot[1];
	h->slot[1] = h->slot[0];
	h->slot[0] = slot_of(s, start);
	h->lens = h->lens << 16 | len;
	h->starts = h->starts << 16 | (start & (slot_blocks(s) - 1));
}

/* The run becomes free. */
static __always_inline void haslab_run_clear(struct haslab *s, struct haslab_mixed *m,
					     const struct haruns_run *run, u64 start)
{
	u32 max_free = m->runs.max_free, slot = slot_of(s, start);
	struct haslab_group *g = mixed_group(s, m);

	haslab_assert_group(s, g);
	haruns_clear(&m->runs, run);
	haslab_index_move(s, g, slot, m, max_free);
	haslab_hole_note(s, g, start, run->len);
	g->free += run->len;
	map_changed(s, start);
	if (m->runs.nr_free == m->runs.nr_known || unlikely(haruns_can_shrink(&m->runs)))
		haslab_mixed_settle(s, slot);
}

void haslab_mixed_clear(struct haslab *s, u64 start)
{
	struct haslab_mixed *m = mixed_at(s, start);
	struct haruns_run run = mixed_run(s, m, start);

	haslab_run_clear(s, m, &run, start);
}

/* A place for an extent: a free run, and the length of the longest other free run of its slot. */
struct place {
	u32 slot;
	u32 others;
	struct haruns_run run;
};

static __always_inline bool haslab_slot_find(struct haslab *s, u32 len, u64 align,
					     struct place *place)
{
	return haruns_best_fit(&mixed_of(s, place->slot)->runs, len, align, &place->run,
			       &place->others);
}

/* The first slot of a bucket in which it fits, and the best place in it. */
static noinline bool haslab_bucket_find(struct haslab *s, struct haslab_group *g, u32 bucket,
					u32 len, u64 align, struct place *place)
{
	u32 tries = MAX_TRIES;

	for (place->slot = g->mixed[bucket]; place->slot != NO_SLOT && tries--;
	     place->slot = slot_link(s, place->slot)->next)
		if (haslab_slot_find(s, len, align, place))
			return true;
	return false;
}

/* A slot whose longest run is at least @min_longest, and the best place in it. */
static __always_inline bool haslab_find_longer(struct haslab *s, struct haslab_group *g, u32 len,
					       u32 min_longest, u64 align, struct place *place)
{
	u32 bucket = find_next_bit(g->mixed_mask, HASLAB_NR_BUCKETS,
				   haslab_bucket_of(min_longest - 1) + 1);

	if (bucket == HASLAB_NR_BUCKETS)
		return false;
	place->slot = g->mixed[bucket];
	haslab_index_prefetch_first(s, place->slot);
	return haslab_slot_find(s, len, align, place);
}

/*
 * As haslab_mixed_find(), for @align > 1. Tries a bounded number of slots in which it may fit,
 * then one with a run of @len + @align - 1 blocks, in which it always fits.
 */
static noinline bool haslab_find_aligned(struct haslab *s, struct haslab_group *g, u32 len,
					 u64 align, struct place *place)
{
	u32 bucket = haslab_bucket_of(len), tries = MAX_TRIES, look = MAX_LOOK;
	u64 sure = len + align - 1;
	const struct haruns *r;

	for_each_set_bit_from(bucket, g->mixed_mask, HASLAB_NR_BUCKETS)
		for (place->slot = g->mixed[bucket]; place->slot != NO_SLOT;
		     place->slot = slot_link(s, place->slot)->next) {
			r = &mixed_of(s, place->slot)->runs;
			if (!tries-- || bucket > haslab_bucket_of(min_t(u64, sure, slot_blocks(s))))
				goto longer;
			if (r->nr > look)
				continue;
			look -= r->nr;
			if (haslab_slot_find(s, len, align, place))
				return true;
		}
longer:
	return sure <= slot_blocks(s) && haslab_find_longer(s, g, len, sure, align, place);
}

/* Compare four 16-bit lanes with @len. Return: the highest bit of each equal lane. */
static u64 haslab_lens_equal(u64 lens, u32 len)
{
	/* the subtraction clears the highest bit of a lane only if the rest of it is 0 */
	return ~(((lens ^ len * HARUNS_LANES) | HARUNS_HIGH_BITS) - HARUNS_LANES) &
		HARUNS_HIGH_BITS;
}

/* Consume hint @i of @h; true if that hole is still free and exactly @len blocks. */
static bool haslab_hole_take(struct haslab *s, struct haslab_group *g, u32 len,
			     struct haslab_holes *h, u32 i, struct place *place)
{
	const struct haslab_mixed *m = mixed_slot(s, h->slot[i]);

	h->lens &= ~((u64)U16_MAX << 16 * i);
	if (!m || !mixed_is_of(s, m, g))
		return false;
	place->slot = h->slot[i];
	place->run = haruns_find(&m->runs, (u16)(h->starts >> 16 * i));
	if (place->run.state != HARUNS_FREE || place->run.len != len)
		return false;
	place->others = haruns_others(&m->runs, &place->run);
	return true;
}

/* A remembered hole of exactly this length, if it is still free. */
static bool haslab_hole_find(struct haslab *s, struct haslab_group *g, u32 len, struct place *place)
{
	struct haslab_holes *h = haslab_holes_of(g, len);
	u64 found;

	for (found = haslab_lens_equal(h->lens, len); found; found &= found - 1)
		if (haslab_hole_take(s, g, len, h, __ffs64(found) / 16, place))
			return true;
	return false;
}

/*
 * Find a remembered hole, or the mixed slot whose largest run is the smallest that fits and the
 * best place in it. Looks at a bounded number of slots: it may miss one that fits if a bucket
 * has several lengths or @align is large. haslab_search() does not.
 */
static __always_inline bool haslab_mixed_find(struct haslab *s, struct haslab_group *g, u32 len,
					      u64 align, struct place *place)
{
	if (unlikely(align > 1))
		return haslab_find_aligned(s, g, len, align, place);
	return haslab_hole_find(s, g, len, place) || haslab_find_longer(s, g, len, len, 1, place) ||
	       /* some slots in the list of this length may fit, too */
	       (haslab_bucket_of(len) == haslab_bucket_of(len - 1) &&
		haslab_bucket_find(s, g, haslab_bucket_of(len), len, 1, place));
}

/* Record a request in the history of lengths. */
static void haslab_recent_note(struct haslab_group *g, u32 len)
{
	u32 i;

	g->recent[ilog2(len)] += len;
	if (++g->recent_nr % RECENT_WINDOW)
		return;
	for (i = 0; i < ARRAY_SIZE(g->recent); i++)
		g->recent[i] /= 2;
}

/*
 * True if a remainder of @rest blocks at the end of a slot would stay unused: if each slot had
 * one, the recent requests that fit there would fill less than half of it.
 */
static bool haslab_rest_is_useless(const struct haslab *s, const struct haslab_group *g, u32 rest)
{
	u64 all = 0, fits = 0;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(g->recent); i++) {
		all += g->recent[i];
		if (2U << i <= rest)
			fits += g->recent[i];
	}
	return 2 * fits * slot_blocks(s) < rest * all;
}

/*
 * Allocate across @border, where a slot with a free first run begins. -ENOSPC: the slot before
 * it does not end with a suitable run.
 */
static int haslab_mixed_straddle(struct haslab *s, u64 border, u32 len, u64 align,
				 struct hamem_op *op, u64 *start)
{
	struct haslab_mixed *before = border ? mixed_at(s, border - 1) : NULL;
	struct haslab_mixed *m = mixed_of(s, slot_of(s, border));
	struct haslab_group *g = mixed_group(s, m);
	struct haruns_run run;
	u32 rest;
	int ret;

	/* both slots must be in one group: a free takes one lock only */
	if (!before || !mixed_is_of(s, before, g))
		return -ENOSPC;
	run = mixed_run(s, before, border - 1);
	*start = round_up(run_start(s, border - 1, &run), align);
	if (run.state != HARUNS_FREE || *start >= border || *start + len <= border ||
	    !haslab_rest_is_useless(s, g, border - *start))
		return -ENOSPC;
	rest = len - (border - *start);
	if (haruns_reserve(&m->runs, 2, &s->mem, op))
		return -ENOMEM;
	ret = haslab_mixed_set(s, *start, len - rest, HARUNS_LIVE, op);
	if (ret)
		return ret;
	m->runs.tag |= MIXED_CONTINUES;
	before->runs.tag |= MIXED_GOES_ON;
	return haslab_mixed_set(s, border, rest, HARUNS_SPECIAL, op);
}

static __always_inline int haslab_place_take(struct haslab *s, struct place *place, u32 len,
					     u64 align, struct hamem_op *op, u64 *start)
{
	*start = round_up(slot_start(s, place->slot) + place->run.start, align);
	return haslab_run_set(s, mixed_of(s, place->slot), &place->run, place->others, *start, len,
			      HARUNS_LIVE, op);
}

/* Allocate in an existing mixed slot of a group. Return: 0; -ENOSPC; -ENOMEM. */
int haslab_mixed_fit(struct haslab *s, struct haslab_group *g, u32 len, u64 align,
		     struct hamem_op *op, u64 *start)
{
	struct place place;

	haslab_assert_group(s, g);
	if (!haslab_mixed_find(s, g, len, align, &place))
		return -ENOSPC;
	return haslab_place_take(s, &place, len, align, op, start);
}

/* Allocate in new units of a group. Return: as haslab_mixed_alloc(). */
static noinline int haslab_mixed_alloc_more(struct haslab *s, struct haslab_group *g, u32 len,
					    u64 align, struct hamem_op *op, u64 *start)
{
	u64 units = DIV_ROUND_UP(max_t(u64, len, align), unit_blocks(s)), from;
	struct place place;
	int order, ret;

	/* small blocks between larger extents first: that keeps space for large extents */
	order = haslab_buddy_fit(s, order_base_2(units), s->slot_shift - s->cfg.unit_shift, op,
				 &from);
	if (order < 0)
		return order;
	ret = haslab_mixed_add(s, g, from, unit_blocks(s) << order, 0, op);
	if (ret) {
		haslab_buddy_free(s, from, order);
		return ret;
	}
	place.slot = slot_of(s, from);
	ret = from == slot_start(s, place.slot) ?
		haslab_mixed_straddle(s, from, len, align, op, start) : -ENOSPC;
	if (ret == -ENOSPC && haslab_slot_find(s, len, align, &place))
		ret = haslab_place_take(s, &place, len, align, op, start);
	if (ret)
		/* unused, so the units may go back */
		haslab_mixed_settle(s, place.slot);
	return ret;
}

/*
 * Allocate in a mixed slot of a group; adds units if necessary. Return: 0; -ENOSPC; -ENOMEM;
 * -EBUSY the units found are in a slot of another group.
 */
int haslab_mixed_alloc(struct haslab *s, struct haslab_group *g, u32 len, u64 align,
		       struct hamem_op *op, u64 *start)
{
	int ret;

	haslab_recent_note(g, len);
	ret = haslab_mixed_fit(s, g, len, align, op, start);
	return likely(ret != -ENOSPC) ? ret : haslab_mixed_alloc_more(s, g, len, align, op, start);
}

/*
 * Retire an extent of a mixed part and, with @reuse, free its blocks. Inlined with a constant
 * @reuse: this is most of the cost of a free.
 */
static __always_inline int haslab_mixed_end(struct haslab *s, struct haslab_mixed *m, u64 start,
					    u64 len, const bool reuse,
					    enum hybrid_alloc_reason *reason)
{
	struct haruns_run run = haruns_find(&m->runs, start & (slot_blocks(s) - 1)), rest = {};
	u64 at = run_start(s, start, &run), end = at + run.len;
	struct haslab_mixed *next;

	haslab_assert_group(s, mixed_group(s, m));
	haslab_index_prefetch(s, slot_of(s, start), m);
	if (run.state == HARUNS_FREE)
		return haslab_refuse(reason, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
	if (m->runs.tag & MIXED_CONTINUES && !run.start)
		return haslab_refuse(reason, HYBRID_ALLOC_REASON_WRONG_START);
	if (run.state == HARUNS_SPECIAL)
		return -EBUSY;
	next = haslab_continuation(s, m, end - 1);
	if (next)
		rest = haruns_at(&next->runs, 0);
	if (at != start || run.len + rest.len != len)
		return haslab_refuse_live(reason, start, at);
	if (next) {
		m->runs.tag &= ~MIXED_GOES_ON;
		next->runs.tag &= ~MIXED_CONTINUES;
		if (reuse)
			haslab_mixed_clear(s, end);
	}
	if (reuse)
		haslab_run_clear(s, m, &run, start);
	else
		haruns_cut(&m->runs, &run, run.start, run.len, HARUNS_SPECIAL);
	return 0;
}

/* Free an extent. Return: as haslab_free(); -EBUSY it is SPECIAL: try haslab_span_retire(). */
int haslab_mixed_free(struct haslab *s, struct haslab_mixed *m, u64 start, u64 len,
		      enum hybrid_alloc_reason *reason)
{
	return haslab_mixed_end(s, m, start, len, true, reason);
}

/* The same, but its blocks are HELD until haslab_reuse(). */
int haslab_mixed_retire(struct haslab *s, struct haslab_mixed *m, u64 start, u64 len,
			enum hybrid_alloc_reason *reason)
{
	return haslab_mixed_end(s, m, start, len, false, reason);
}

/* ---- growing ---- */

/*
 * Get all memory that haslab_mixed_grow() needs, and add the lasting unit at the new end, if it
 * is a new one. Context: all groups are shut out. Return: 0 or -ENOMEM.
 */
int haslab_mixed_prepare_grow(struct haslab *s, u64 nr_blocks, struct hamem_op *op)
{
	/* the lasting units at the ends: their first block, or the end if there is none */
	u64 start = round_down(s->cfg.nr_blocks, unit_blocks(s));
	u64 new_start = round_down(nr_blocks, unit_blocks(s));

	haslab_assert_all(s);
	/* two runs for each lasting unit, old and new: they may be in one slot */
	if (start < s->cfg.nr_blocks && haruns_reserve(&mixed_at(s, start)->runs, 4, &s->mem, op))
		return -ENOMEM;
	if (new_start == nr_blocks || (start < s->cfg.nr_blocks && start == new_start))
		return 0;
	return haslab_mixed_add(s, haslab_own_group(s), new_start, nr_blocks - new_start, 0, op);
}

/* The lasting unit at the old end, @from, becomes longer. */
void haslab_mixed_grow(struct haslab *s, u64 from, u64 nr_blocks)
{
	u64 end = min(round_up(from, unit_blocks(s)), nr_blocks);
	struct haslab_group *g;
	struct haslab_mixed *m;
	u32 max_free;

	haslab_assert_all(s);
	if (from == end)
		return;
	m = mixed_at(s, from);
	max_free = m->runs.max_free;
	haruns_add(&m->runs, from & (slot_blocks(s) - 1), end - from);
	g = mixed_group(s, m);
	haslab_index_move(s, g, slot_of(s, from), m, max_free);
	g->free += end - from;
	haslab_mixed_settle(s, slot_of(s, from));
}
