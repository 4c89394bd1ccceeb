// SPDX-License-Identifier: GPL-2.0
/*
 * What the space is used for: the extents by address (MAP), sums (STAT), free runs by length, and
 * what the layer is made of (debugfs). See slab.c for the layer as a whole.
 */
#include <linux/kernel.h>

#include "slab/runs_hit.h"
#include "slab/internal.h"

/* How many parts of a free run are looked at: those of the next ones are another entry. */
#define RUN_STEPS	300

/* ---- extents ---- */

static struct haslab_extent haslab_span_extent(const struct haslab_span *span)
{
	return (struct haslab_extent) {
		span->start, span->len, HYBRID_ALLOC_MAP_LIVE, HYBRID_ALLOC_MAP_KIND_SPAN
	};
}

/* The buddy does not know how long a block in a pool is. */
static struct haslab_extent haslab_cached_unit(struct haslab *s, u64 pos)
{
	return (struct haslab_extent) {
		round_down(pos, unit_blocks(s)), unit_blocks(s), HYBRID_ALLOC_MAP_CACHED,
		HYBRID_ALLOC_MAP_KIND_BUDDY
	};
}

static struct haslab_extent haslab_gap_extent(struct haslab *s, u64 pos)
{
	struct haslab_span *span = haslab_span_find(s, pos);
	unsigned int shift = s->cfg.unit_shift, order;
	u64 unit;

	if (span)
		return haslab_span_extent(span);
	if (habuddy_find_owned(&s->buddy, pos >> shift, &unit, &order))
		return (struct haslab_extent) {
			unit << shift, (u64)unit_blocks(s) << order, HYBRID_ALLOC_MAP_LIVE,
			HYBRID_ALLOC_MAP_KIND_BUDDY
		};
	return haslab_cached_unit(s, pos);
}

static struct haslab_extent haslab_object_extent(struct haslab *s, struct haslab_slab *slab,
						 u64 pos)
{
	u32 i = object_of(s, slab, pos);

	return (struct haslab_extent) {
		object_start(s, slab, i), s->classes[slab->class].blocks,
		test_bit(i, slab->live) ? HYBRID_ALLOC_MAP_LIVE : HYBRID_ALLOC_MAP_CACHED,
		HYBRID_ALLOC_MAP_KIND_EQUAL
	};
}

static struct haslab_extent haslab_mixed_extent(struct haslab *s, struct haslab_mixed *m, u64 pos)
{
	struct haruns_run run = mixed_run(s, m, pos);
	struct haslab_extent e = { .kind = HYBRID_ALLOC_MAP_KIND_MIXED };
	struct haslab_span *span;

	while (!run.start && m->runs.tag & MIXED_CONTINUES) {
		pos = round_down(pos, slot_blocks(s)) - 1;
		m = mixed_at(s, pos);
		run = mixed_run(s, m, pos);
	}
	if (run.state == HARUNS_SPECIAL && haslab_dissolved_at(s, pos))
		return haslab_object_extent(s, haslab_lookup(s, pos), pos);
	e.start = run_start(s, pos, &run);
	e.len = run.len;
	if (run.state == HARUNS_SPECIAL) {
		span = haslab_span_find(s, pos);
		e.state = HYBRID_ALLOC_MAP_HELD;
		return span ? haslab_span_extent(span) : e;
	}
	e.state = HYBRID_ALLOC_MAP_LIVE;
	while ((m = haslab_continuation(s, m, e.start + e.len - 1)))
		e.len += haruns_at(&m->runs, 0).len;
	return e;
}

static struct haslab_extent haslab_extent_at(struct haslab *s, u64 pos)
{
	struct haslab_extent e = { .start = pos, .state = HYBRID_ALLOC_MAP_FREE };
	struct haslab_mixed *m = mixed_at(s, pos);
	struct haslab_slab *slab;
	int steps = RUN_STEPS;
	u64 end;

	if (haslab_stretch(s, pos, &end)) {
		e.len = haslab_run_at(s, pos, U64_MAX, &steps);
		return e;
	}
	if (m)
		return haslab_mixed_extent(s, m, pos);
	slab = haslab_lookup(s, pos);
	return slab ? haslab_object_extent(s, slab, pos) : haslab_gap_extent(s, pos);
}

/* Whether a live extent has @pos, so that no pool has it, and it is not HELD. */
bool haslab_is_live(struct haslab *s, u64 pos)
{
	return haslab_extent_at(s, pos).state == HYBRID_ALLOC_MAP_LIVE;
}

/**
 * haslab_extents - what the device is used for, by address
 * @s: the slab allocator
 * @from: first block of interest
 * @extents: out: extents, free runs and what is in between, in the order of addresses and without
 *	gaps. An extent that @from lies in is reported as a whole, a free run from @from on
 * @nr: how many there may be
 *
 * There are fewer than @nr if so many cannot be looked at in one hold of all groups. The entries of
 * one call were true at one moment: a free in another task is seen as a whole or not at all, but a
 * pooled extent may be LIVE or CACHED meanwhile.
 * Context: process context. Return: the number of entries; 0 at the end.
 */
int haslab_extents(struct haslab *s, u64 from, struct haslab_extent *extents, int nr)
{
	struct haslab_walk w;
	int got = 0;

	haslab_walk_start(&w, s, from, U64_MAX, HASLAB_WALK_WHOLE);
	if (haslab_walk_next(&w))
		for (; got < nr && w.pos < w.end && w.steps > 0; got++) {
			/* what is there is looked at, and then what comes after it */
			w.steps -= 2 * HASLAB_STRETCH_STEPS;
			extents[got] = haslab_extent_at(s, w.pos);
			/* a hit has allocated the block whose first units were CACHED */
			if (got && extents[got].start < w.pos)
				extents[got] = haslab_cached_unit(s, w.pos);
			w.pos = extents[got].start + extents[got].len;
			/* in a gap the end of what is there is looked for by slots */
			w.steps -= min_t(u64, INT_MAX / 2, extents[got].len >> s->slot_shift);
		}
	haslab_walk_end(&w);
	return got;
}

/* ---- sums ---- */

/* The number of free runs, and the longest one. */
static void haslab_stat_runs(struct haslab *s, struct haslab_stat *st)
{
	struct haslab_walk w;
	u64 start, len;

	haslab_walk_start(&w, s, 0, U64_MAX, HASLAB_WALK_LONG);
	while (haslab_walk_next(&w))
		while (haslab_walk_run(&w, &start, &len)) {
			st->nr_runs++;
			st->largest_run = max(st->largest_run, len);
		}
	haslab_walk_end(&w);
}

/**
 * haslab_stat - where the space is
 * @s: the slab allocator
 * @st: out
 * @runs: also count the free runs, which means to look at all of them
 *
 * What is counted by looking at all of the device is not complete if the caller is killed or the
 * device is detached meanwhile. Context: process context; may sleep.
 */
void haslab_stat(struct haslab *s, struct haslab_stat *st, bool runs)
{
	unsigned int i;

	memset(st, 0, sizeof(*st));
	if (runs)
		haslab_stat_runs(s, st);
	else
		st->largest_run = haslab_longest_run(s);
	haslab_lock_all(s);
	st->free = haslab_free_blocks(s);
	for (i = 0; i < s->nr_groups; i++) {
		st->nr_slabs += s->groups[i].nr_slabs;
		st->made += s->groups[i].made;
		st->returned += s->groups[i].returned;
	}
	st->splits = s->buddy.splits;
	st->merges = s->buddy.merges;
	haslab_unlock_all(s);
}

/**
 * haslab_histogram - how the free space is divided
 * @s: the slab allocator
 * @h: out
 *
 * Looks at all free runs. What is in the pools is not free here. Ends early as haslab_stat().
 * Context: may sleep.
 */
void haslab_histogram(struct haslab *s, struct haslab_histogram *h)
{
	struct haslab_walk w;
	u64 start, len;

	memset(h, 0, sizeof(*h));
	haslab_walk_start(&w, s, 0, U64_MAX, HASLAB_WALK_LONG);
	while (haslab_walk_next(&w))
		while (haslab_walk_run(&w, &start, &len)) {
			h->count[ilog2(len)]++;
			h->blocks[ilog2(len)] += len;
		}
	haslab_walk_end(&w);
}

/* ---- what the layer is made of ---- */

static void haslab_census_slab(struct haslab_slab *slab, struct haslab_census *c)
{
	c->class[slab->class].slabs++;
	c->class[slab->class].objects += slab->nr_objects - (slab->dissolved ? slab->nr_free : 0);
	c->class[slab->class].free += slab->dissolved ? 0 : slab->nr_free;
	c->class[slab->class].live += bitmap_weight(slab->live, slab->nr_objects);
}

static void haslab_census_slot(struct haslab_walk *w, u32 slot, struct haslab_census *c)
{
	struct haslab *s = w->s;
	u64 pos = slot_start(s, slot), end = min(pos + slot_blocks(s), s->cfg.nr_blocks);
	struct haslab_mixed *m = mixed_slot(s, slot);
	struct haslab_slab *slab;

	if (m) {
		c->mixed[(m->runs.nr_known - m->runs.nr_free) * 10 / m->runs.nr_known]++;
		c->nr_bitmaps += !m->runs.cap;
	}
	haslab_walk_spend(w, 1);
	while (pos < end) {
		haslab_walk_spend(w, 1);
		slab = haslab_lookup(s, pos);
		if (slab) {
			haslab_walk_spend(w, slab->nr_objects / (BITS_PER_LONG / 2));
			haslab_census_slab(slab, c);
		}
		pos = slab ? slab_end(slab) : pos + unit_blocks(s);
	}
}

/**
 * haslab_census - count slabs, mixed slots and spans
 * @s: the slab allocator
 * @c: out
 *
 * Looks at all metadata. Context: process context, may sleep.
 */
void haslab_census(struct haslab *s, struct haslab_census *c)
{
	struct haslab_walk w;
	u32 slot;

	memset(c, 0, sizeof(*c));
	haslab_walk_start(&w, s, 0, U64_MAX, HASLAB_WALK_LONG);
	while (haslab_walk_next(&w)) {
		if (dir_is_gap(map_dir(s, w.pos)))
			w.pos = w.end;
		while (w.pos < w.end && w.steps > 0) {
			slot = slot_of(s, w.pos);
			haslab_census_slot(&w, slot, c);
			w.pos = min(slot_start(s, slot + 1), w.end);
		}
	}
	haslab_walk_end(&w);
	c->nr_spans = READ_ONCE(s->nr_spans);
}
