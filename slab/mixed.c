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
 * different lengths, holes of one are not broken up for another. (Common sizes beside some of
 * 3 MiB then fill .955 of 16 GiB, without it .940.) Otherwise it goes to the slot whose largest
 * free run is the smallest that fits, and there to the run that fits best. Slots that are nearly
 * full get fuller, and the large runs of the others survive. (Strict segregation by size wastes a
 * quarter of a disk, and first fit fragments it.) index.c has the slots by their largest run.
 *
 * When no run fits, or one that does is much longer than a row of free units, units are added:
 * those with which the row begins, so that what is left of it stays in one piece. Runs that go on
 * in the next slot: see cross.c.
 *
 * A part of a unit, before the first whole one or after the last, is not in the buddy. It is
 * added at the start and stays: the lasting units.
 */
#include <linux/errno.h>
#include <linux/hash.h>
#include <linux/kernel.h>

#include "slab/runs_hit.h"
#include "slab/internal.h"

#define EMPTY_STEPS	4	/* to give a slot back */
#define EMPTY_BATCH	16	/* are given back in a hold: each takes a walk along its row */
#define FIRST_TRIES	2	/* entries of the bucket to look at that a length is in */
#define MAX_TRIES	16	/* mixed slots to look at in which the extent may not fit */
#define CHAIN_TRIES	4
#define MAX_LOOK	512	/* runs in them to look at, all together */
/* What goes to free units could have a run that is longer by half a power of two, or more. */
#define UNITS_BUCKETS	64

/* ---- what will be needed soon ---- */

/* Prefetch the links that taking a slot out of its list writes to. */
static __always_inline void haslab_index_prefetch(const struct haslab *s, u32 slot,
						  const struct haslab_mixed *m)
{
	struct haslab_link link = *entry_link(s, entry_of(slot));

	if (!m->runs.max_free)
		return;
	prefetchw(entry_link(s, link.prev));
	if (link.next != NO_ENTRY)
		prefetchw(entry_link(s, link.next));
}

/* The same for the first entry of a list. */
static __always_inline void haslab_index_prefetch_first(const struct haslab *s, u32 entry)
{
	u32 next = entry_link(s, entry)->next;

	if (next != NO_ENTRY)
		prefetchw(entry_link(s, next));
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
		g->nr_mixed++;
		g->made++;
	}
	max_free = m->runs.max_free;
	haruns_add(&m->runs, start & (slot_blocks(s) - 1), nr_blocks);
	haslab_index_move(s, g, slot, m, max_free);
	g->free += nr_blocks;
	map_changed(s, start);
	/* the runs beside the new one may be joined, too */
	haslab_cross_changed(s, g, slot, 0, slot_blocks(s));
	return 0;
}

/* Delete the mixed part of a slot. The slot must be in no list. */
void haslab_mixed_forget(struct haslab *s, u32 slot)
{
	struct haslab_mixed *m = mixed_of(s, slot);
	struct haslab_group *g = mixed_group(s, m);

	g->free -= m->runs.nr_free;
	g->nr_slabs--;
	g->nr_mixed--;
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
void haslab_units_put(struct haslab *s, u32 slot, u64 units)
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
	haslab_cross_leave(s, g, slot);
	haslab_index_relink(s, g, entry_of(slot), haslab_mixed_bucket(m), 0);
	if (keep) {
		g->free -= m->runs.nr_free;
		haslab_lasting_keep(s, m, slot, keep);
		g->free += m->runs.nr_free;
		haslab_index_relink(s, g, entry_of(slot), 0, haslab_mixed_bucket(m));
		haslab_cross_changed(s, g, slot, 0, slot_blocks(s));
	} else {
		haslab_mixed_forget(s, slot);
	}
	g->returned++;
	haslab_units_put(s, slot, back);
}

/* ---- slots that are kept although they are wholly free ---- */

/* Give a slot that is wholly free back to the buddy. False if there is none. */
bool haslab_empty_put(struct haslab *s, struct haslab_group *g)
{
	u32 slot = haslab_empty_some(s, g);

	if (slot == NO_ENTRY)
		return false;
	ha_step(EMPTY_STEPS);
	haslab_mixed_settle(s, slot);
	return true;
}

/* A slot is in use no longer: keep no more of those that are free than are in use, and one. */
void haslab_empty_trim(struct haslab *s, struct haslab_group *g)
{
	while (unlikely(2ULL * g->nr_empty > g->nr_slabs + 1))
		haslab_empty_put(s, g);
}

/**
 * haslab_drain - give mixed slots that are wholly free back to the buddy
 * @s: the slab allocator
 *
 * Each group keeps them for its next extents. What becomes free meanwhile may be kept.
 * Context: process context. Never needs memory.
 */
void haslab_drain(struct haslab *s)
{
	struct haslab_group *g;
	u32 left, nr, i;

	for (g = s->groups; g < s->groups + s->nr_groups; g++)
		for (left = READ_ONCE(g->nr_empty); left; left -= nr) {
			nr = min_t(u32, left, EMPTY_BATCH);
			haslab_lock_group(s, g);
			for (i = 0; i < nr; i++)
				haslab_empty_put(s, g);
			haslab_unlock_group(g);
		}
}

/* With all groups shut out: give back what is kept. False if that is too much for a hold. */
bool haslab_empty_put_all(struct haslab *s)
{
	struct haslab_group *g;
	u64 nr = 0;

	haslab_assert_all(s);
	for (g = s->groups; g < s->groups + s->nr_groups; g++)
		nr += g->nr_empty;
	if (nr > EMPTY_BATCH)
		return false;
	for (g = s->groups; g < s->groups + s->nr_groups; g++)
		while (haslab_empty_put(s, g))
			;
	return true;
}

/* ---- extents ---- */

/*
 * Make part of a free run of a slot an extent, behind its first @before blocks. @others is as for
 * haruns_best_fit(); the slot is in the bucket @from. Inlined with constants for a run that is not
 * @apart and @before 0, as usual.
 */
static __always_inline int haslab_run_set(struct haslab *s, struct haslab_group *g,
					  struct haslab_mixed *m, u32 slot, u32 from,
					  struct haruns_run run, u32 others, const bool apart,
					  u32 before, u32 len, enum haruns_state state,
					  struct hamem_op *op)
{
	u32 to;

	haslab_assert_group(s, g);
	if (unlikely(!haruns_has_room(&m->runs, 2))) {
		if (haruns_more(&m->runs, 2, &s->mem, op))
			return -ENOMEM;
		run = haruns_at(&m->runs, run.start);
	}
	if (unlikely(m->runs.tag & MIXED_EMPTY))
		haslab_empty_forget(s, g, slot);
	if (len <= s->max_object && state == HARUNS_LIVE)
		g->nr_outside[haslab_classes[len]]++;
	g->free -= len;
	map_slot_changed(s, slot);
	if (apart)
		haruns_set_any(&m->runs, &run, others, run.start + before, len, state);
	else
		haruns_set(&m->runs, &run, others, run.start + before, len, state);
	to = haslab_mixed_bucket(m);
	if (from != to)
		__haslab_index_relink(s, g, entry_of(slot), from, to);
	/* what was not joined is not now */
	if (apart && unlikely(m->runs.tag & HARUNS_APART))
		haslab_ends_changed(s, g, slot, run.start, run.start + run.len);
	return 0;
}

/* Make free blocks an extent. They must lie in one run. */
int haslab_mixed_set(struct haslab *s, u64 start, u32 len, enum haruns_state state,
		     struct hamem_op *op)
{
	struct haslab_mixed *m = mixed_at(s, start);
	struct haruns_run run = mixed_run(s, m, start);

	return haslab_run_set(s, mixed_group(s, m), m, slot_of(s, start), haslab_mixed_bucket(m),
			      run, haruns_others(&m->runs, &run), true,
			      start - run_start(s, start, &run), len, state, op);
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
		haruns_set_any(&m->runs, &run, others, at, blocks, HARUNS_LIVE);
		g->free -= blocks;
		others = max(others, after);
		run.len = at - run.start;
	}
	if (m->runs.tag & HARUNS_APART)
		haruns_recount(&m->runs);
	haslab_index_move(s, g, slot_of(s, start), m, max_free);
	map_changed(s, start);
	haslab_cross_changed(s, g, slot_of(s, start), 0, slot_blocks(s));
}

static struct haslab_holes *haslab_holes_of(struct haslab_group *g, u32 len)
{
	return &g->holes[hash_32(len, ilog2(HASLAB_HOLE_SETS))];
}

/* Remember the hole that an extent leaves. */
static __always_inline void haslab_hole_note(struct haslab_group *g, u32 slot,
					     const struct haruns_run *run)
{
	struct haslab_holes *h = haslab_holes_of(g, run->len);

	/* unrolled: a loop would become a call of memmove() */
	BUILD_BUG_ON(HASLAB_HOLE_WAYS != 4);
	h->slot[3] = h->slot[2];
	h->slot[2] = h->slot[1];
	h->slot[1] = h->slot[0];
	h->slot[0] = slot;
	h->lens = h->lens << 16 | run->len;
	h->starts = h->starts << 16 | run->start;
}

/* Many runs of a slot, or all of it, have become free. A slot that is wholly free is kept. */
static noinline void haslab_slot_freed(struct haslab *s, struct haslab_group *g, u32 slot)
{
	u32 over, end;

	haruns_shrink(&mixed_of(s, slot)->runs, &s->mem);
	if (haruns_is_empty(&mixed_of(s, slot)->runs)) {
		haslab_empty_keep(s, g, slot);
		over = haslab_empty_over(s, g, slot, &end);
		/* between two rows: without it they stay what they are */
		if (over)
			haslab_mixed_settle(s, over > 1 ? slot : end - 1);
	} else {
		haslab_mixed_settle(s, slot);
	}
	haslab_empty_trim(s, g);
}

/* A run becomes free, or a part of one, @old. */
static __always_inline void haslab_run_clear(struct haslab *s, struct haslab_group *g,
					     struct haslab_mixed *m, u32 slot,
					     struct haruns_run run, const struct haruns_run *old)
{
	u32 max_free = m->runs.max_free, end, from, to;
	struct haruns_run now;
	bool hole = true;

	haslab_assert_group(s, g);
	if (!old)
		haslab_outside_less(s, g, run.len);
	g->free += run.len;
	map_slot_changed(s, slot);
	now = old ? haruns_free_part(&m->runs, *old, run.start, run.len) :
		    haruns_free(&m->runs, &run);
	end = now.start + now.len;
	if (unlikely(!now.start || end == m->runs.nr_blocks)) {
		haslab_end_freed(s, slot, run.start, run.len, now.start, end);
		/* what is joined is no hole of that length */
		hole = !haruns_is_apart(&m->runs, &now);
	} else if (now.len > max_free) {
		m->runs.max_free = now.len;
	}
	if (likely(hole))
		haslab_hole_note(g, slot, &run);
	if (m->runs.max_free != max_free) {
		from = haslab_bucket_of(max_free);
		to = haslab_mixed_bucket(m);
		if (likely(from != to))
			__haslab_index_relink(s, g, entry_of(slot), from, to);
	}
	if (unlikely(m->runs.nr_free == m->runs.nr_known || haruns_can_shrink(&m->runs)))
		haslab_slot_freed(s, g, slot);
}

/* The same, for what is not most of the cost of a free. */
static noinline void haslab_run_clear_rare(struct haslab *s, struct haslab_mixed *m, u32 slot,
					   struct haruns_run run)
{
	haslab_run_clear(s, mixed_group(s, m), m, slot, run, NULL);
}

/* The same for a part of a run. */
static noinline void haslab_run_clear_part(struct haslab *s, struct haslab_mixed *m, u32 slot,
					   struct haruns_run old, u32 pos, u32 len)
{
	haslab_run_clear(s, mixed_group(s, m), m, slot, (struct haruns_run) { pos, len }, &old);
}

void haslab_mixed_clear(struct haslab *s, u64 start)
{
	struct haslab_mixed *m = mixed_at(s, start);

	haslab_run_clear_rare(s, m, slot_of(s, start), mixed_run(s, m, start));
}

/*
 * A part of an extent that is a run is freed, or HELD, from @pos in the slot on. What is before and
 * behind it are runs of their own then. Return: 0; -ENOMEM.
 */
int haslab_run_cut(struct haslab *s, struct haslab_mixed *m, u32 slot, struct haruns_run run,
		   u32 pos, u32 len, bool reuse, struct hamem_op *op)
{
	u16 cap = m->runs.cap;

	/* all of an extent needs no mark more */
	if ((pos != run.start || len != run.len) && haruns_reserve(&m->runs, 2, &s->mem, op))
		return -ENOMEM;
	if (m->runs.cap != cap)
		run = haruns_at(&m->runs, run.start);
	/* all of it that is held counts less when it becomes free */
	if (reuse || len != run.len)
		haslab_outside_less(s, mixed_group(s, m), run.len);
	if (reuse)
		haslab_run_clear_part(s, m, slot, run, pos, len);
	else
		haruns_cut(&m->runs, run, pos, len, HARUNS_SPECIAL);
	return 0;
}

/* The first @len blocks of a free run become a part of the extent before it. */
void haslab_run_grow(struct haslab *s, struct haslab_mixed *m, u32 slot,
		     const struct haruns_run *run, u32 len)
{
	struct haslab_group *g = mixed_group(s, m);
	u32 max_free = m->runs.max_free;

	haslab_assert_group(s, g);
	haslab_outside_less(s, g, haruns_find(&m->runs, run->start - 1).len);
	haruns_grow(&m->runs, run, len);
	haslab_index_move(s, g, slot, m, max_free);
	g->free -= len;
	map_slot_changed(s, slot);
	if (m->runs.tag & HARUNS_APART)
		haslab_ends_changed(s, g, slot, run->start, run->start + run->len);
}

/* ---- the best place ---- */

/* Whether the free run that an entry of the index stands for has @len blocks. */
static bool haslab_entry_fits(const struct haslab *s, u32 entry, u32 len)
{
	u32 slot = entry_slot(entry);

	return entry_is_joined(entry) ? haslab_joined_len(s, slot) >= len :
					mixed_of(s, slot)->runs.max_free >= len;
}

/* The first of @tries entries of the bucket that a length is in, and that it fits in. */
static noinline u32 haslab_bucket_find(const struct haslab *s, const struct haslab_group *g,
				       u32 bucket, u32 len, u32 tries)
{
	u32 entry = g->mixed[bucket];

	while (entry != NO_ENTRY && !haslab_entry_fits(s, entry, len))
		entry = --tries ? entry_link(s, entry)->next : NO_ENTRY;
	return entry;
}

/*
 * The entry of the index that is the shortest of at least @len blocks, or NO_ENTRY. @from: out: its
 * bucket. Of the bucket that the length is in only the first entries are looked at: that holds a
 * whole percent more of sizes that differ by little.
 */
static __always_inline u32 haslab_entry_find(const struct haslab *s, const struct haslab_group *g,
					     u32 len, u32 *from)
{
	u32 bucket = haslab_bucket_of(len), longer = haslab_bucket_of(len - 1) + 1, entry;
	/* shorter ones are in its bucket, too */
	bool several = longer > bucket;

	*from = bucket;
	if (several) {
		entry = haslab_bucket_find(s, g, bucket, len, FIRST_TRIES);
		if (entry != NO_ENTRY)
			return entry;
	}
	longer = haslab_index_next(g, longer);
	if (likely(longer < HASLAB_NR_BUCKETS)) {
		haslab_index_prefetch_first(s, g->mixed[longer]);
		*from = longer;
		return g->mixed[longer];
	}
	return several ? haslab_bucket_find(s, g, bucket, len, MAX_TRIES) : NO_ENTRY;
}

/* Allocate at the best place in what an entry stands for, which is long enough, in bucket @from. */
static __always_inline int haslab_entry_alloc(struct haslab *s, struct haslab_group *g, u32 entry,
					      u32 from, u32 len, struct hamem_op *op, u64 *start)
{
	u32 slot = entry_slot(entry), others;
	struct haslab_mixed *m;
	struct haruns_run run;

	if (unlikely(entry_is_joined(entry)))
		return haslab_joined_take(s, g, slot, len, op, start);
	m = mixed_of(s, slot);
	run = haruns_best(&m->runs, len, &others);
	*start = slot_start(s, slot) + run.start;
	return haslab_run_set(s, g, m, slot, from, run, others, false, 0, len, HARUNS_LIVE, op);
}

/* ---- other places ---- */

/* A free run, and the length of the longest other one of its slot. */
struct place {
	u32 slot;
	u32 others;
	struct haruns_run run;
};

/* Allocate there. */
static noinline int haslab_place_take(struct haslab *s, const struct place *place, u32 len,
				      u64 align, struct hamem_op *op, u64 *start)
{
	u64 first = slot_start(s, place->slot) + place->run.start;
	struct haslab_mixed *m = mixed_of(s, place->slot);

	*start = first + haslab_skip(first, align);
	return haslab_run_set(s, mixed_group(s, m), m, place->slot, haslab_mixed_bucket(m),
			      place->run, place->others, true, *start - first, len, HARUNS_LIVE,
			      op);
}

/* A place in one of the first two slots of the joined run that begins in @slot. */
static bool haslab_joined_aligned(struct haslab *s, u32 slot, u32 len, u64 align,
				  struct place *place)
{
	u64 border = slot_start(s, slot + 1), pos, start;
	struct haslab_mixed *m;

	for (pos = border - 1; pos <= border; pos++) {
		m = mixed_at(s, pos);
		place->slot = slot_of(s, pos);
		place->run = mixed_run(s, m, pos);
		start = run_start(s, pos, &place->run);
		if (round_up(start, align) + len > start + place->run.len)
			continue;
		place->others = haruns_others(&m->runs, &place->run);
		return true;
	}
	return false;
}

/*
 * A place for an extent with @align > 1. Tries a bounded number of entries in which it may fit, the
 * shortest first.
 */
static bool haslab_find_aligned(struct haslab *s, struct haslab_group *g, u32 len, u64 align,
				struct place *place)
{
	u32 bucket = haslab_bucket_of(len), tries = MAX_TRIES, look = MAX_LOOK, entry;
	u32 sure = haslab_bucket_of(min_t(u64, len + align - 2, slot_blocks(s))) + 1;
	const struct haruns *r;

	for_each_set_bit_from(bucket, g->mixed_mask, HASLAB_NR_BUCKETS)
		for (entry = g->mixed[bucket]; entry != NO_ENTRY;
		     entry = entry_link(s, entry)->next) {
			r = &mixed_of(s, entry_slot(entry))->runs;
			/* the last tries are for those in which it fits for sure */
			if (tries <= MAX_TRIES / 2 && bucket < sure)
				break;
			if (!tries--)
				return false;
			if (r->nr > look && bucket < sure)
				continue;
			look -= min_t(u32, r->nr, look);
			place->slot = entry_slot(entry);
			if (entry_is_joined(entry) ?
			    haslab_joined_aligned(s, place->slot, len, align, place) :
			    haruns_best_fit(r, len, align, &place->run, &place->others))
				return true;
		}
	return false;
}

/* Compare four 16-bit lanes with @len. Return: the highest bit of each equal lane. */
static u64 haslab_lens_equal(u64 lens, u32 len)
{
	/* the subtraction clears the highest bit of a lane only if the rest of it is 0 */
	return ~(((lens ^ haruns_in_all(len)) | HARUNS_HIGH_BITS) - HARUNS_LANES) &
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

static noinline int haslab_aligned_alloc(struct haslab *s, struct haslab_group *g, u32 len,
					 u64 align, struct hamem_op *op, u64 *start)
{
	struct place place;

	if (!haslab_find_aligned(s, g, len, align, &place))
		return -ENOSPC;
	return haslab_place_take(s, &place, len, align, op, start);
}

/* Allocate in a hole of @h that is still free. @found: as haslab_lens_equal() returns it. */
static noinline int haslab_hole_alloc(struct haslab *s, struct haslab_group *g, u32 len,
				      struct haslab_holes *h, u64 found, struct hamem_op *op,
				      u64 *start)
{
	struct place place;

	for (; found; found &= found - 1)
		if (haslab_hole_take(s, g, len, h, __ffs64(found) / 16, &place))
			return haslab_place_take(s, &place, len, 1, op, start);
	return -ENOSPC;
}

/*
 * Whether free units of the buddy are a better place than the free runs of bucket @from: a row of
 * them in which an extent fits is shorter.
 */
static noinline bool haslab_units_are_better(struct haslab *s, struct haslab_group *g, u32 len,
					     u32 from, u64 avail)
{
	unsigned int enough = order_base_2(DIV_ROUND_UP(len, unit_blocks(s)));
	unsigned int order = enough - min(enough, 2U);
	u32 freed = READ_ONCE(s->units_freed);
	struct haslab_row row;

	avail >>= order;
	if (!avail || haslab_listed_bucket((u64)unit_blocks(s) << (order + __ffs64(avail))) >= from)
		return false;
	if (g->rows_freed != freed)
		memset(g->rows, 0, sizeof(g->rows));
	g->rows_freed = freed;
	/* as long as the buddy gets no units, there will be none that is shorter */
	if (g->rows[enough] >= from)
		return false;
	g->rows[enough] = haslab_free_units(s, g, len, false, &row) ?
			  haslab_listed_bucket(row.size) : HASLAB_NR_BUCKETS;
	return g->rows[enough] < from;
}

/*
 * Allocate in an existing mixed slot of a group: in a remembered hole, or where it fits best. With
 * @or_units, -ENOSPC also if free units are a better place.
 */
static __always_inline int haslab_fit(struct haslab *s, struct haslab_group *g, u32 len, u64 align,
				      bool or_units, struct hamem_op *op, u64 *start)
{
	struct haslab_holes *h = haslab_holes_of(g, len);
	u64 found = haslab_lens_equal(h->lens, len), avail;
	u32 entry, from;
	int ret;

	haslab_assert_group(s, g);
	if (unlikely(align > 1))
		return haslab_aligned_alloc(s, g, len, align, op, start);
	if (unlikely(found)) {
		ret = haslab_hole_alloc(s, g, len, h, found, op, start);
		if (ret != -ENOSPC)
			return ret;
	}
	entry = haslab_entry_find(s, g, len, &from);
	if (unlikely(entry == NO_ENTRY))
		return -ENOSPC;
	if (or_units && from > haslab_bucket_of(len) + UNITS_BUCKETS) {
		avail = READ_ONCE(s->buddy.avail);
		if (unlikely(avail) && haslab_units_are_better(s, g, len, from, avail))
			return -ENOSPC;
	}
	return haslab_entry_alloc(s, g, entry, from, len, op, start);
}

/*
 * Allocate in an existing mixed slot of a group. Looks at a bounded number of slots: it may miss
 * one that fits if a bucket has several lengths or @align is large. haslab_search() does not.
 * Return: 0; -ENOSPC; -ENOMEM.
 */
int haslab_mixed_fit(struct haslab *s, struct haslab_group *g, u32 len, u64 align,
		     struct hamem_op *op, u64 *start)
{
	return haslab_fit(s, g, len, align, false, op, start);
}

/* As haslab_mixed_fit(), in a run that has room wherever a multiple of @align lies in it. */
int haslab_mixed_fit_multiple(struct haslab *s, struct haslab_group *g, u32 len, u64 align,
			      struct hamem_op *op, u64 *start)
{
	u32 most = len + align - 1, from, entry = haslab_entry_find(s, g, most, &from);
	struct place place;

	haslab_assert_group(s, g);
	/* of a joined run only the start can be taken */
	if (entry == NO_ENTRY || entry_is_joined(entry))
		return -ENOSPC;
	place.slot = entry_slot(entry);
	place.run = haruns_best(&mixed_of(s, place.slot)->runs, most, &place.others);
	return haslab_place_take(s, &place, len, align, op, start);
}

/*
 * Allocate more than a slot, but nothing huge, in existing mixed slots of a group. Return: 0;
 * -ENOSPC; -ENOMEM.
 */
int haslab_chain_fit(struct haslab *s, struct haslab_group *g, u32 len, struct hamem_op *op,
		     u64 *start)
{
	u32 bucket = haslab_bucket_of(len), least = U32_MAX, best = 0, entry, has, tries;

	haslab_assert_group(s, g);
	for_each_set_bit_from(bucket, g->mixed_mask, HASLAB_NR_BUCKETS) {
		tries = CHAIN_TRIES;
		for (entry = g->mixed[bucket]; entry != NO_ENTRY && tries--;
		     entry = entry_link(s, entry)->next) {
			if (!entry_is_joined(entry))
				continue;
			has = haslab_joined_len(s, entry_slot(entry));
			if (has < len || has >= least)
				continue;
			least = has;
			best = entry_slot(entry);
		}
		if (least < U32_MAX)
			return haslab_joined_take(s, g, best, len, op, start);
	}
	return -ENOSPC;
}

/* Free units from @start to @end become part of a mixed slot. Return: as haslab_mixed_alloc(). */
static int haslab_units_adopt(struct haslab *s, struct haslab_group *g, u64 start, u64 end,
			      struct hamem_op *op)
{
	int ret = haslab_buddy_take(s, start, end - start, op);

	if (ret)
		return ret == -EEXIST ? -ENOSPC : ret;
	ret = haslab_mixed_add(s, g, start, end - start, 0, op);
	if (ret)
		haslab_buddy_put(s, start, end - start);
	return ret;
}

/* Allocate in the smallest free block that is long enough and aligned. */
static int haslab_mixed_alloc_block(struct haslab *s, struct haslab_group *g, u32 len, u64 align,
				    struct hamem_op *op, u64 *start)
{
	u64 units = DIV_ROUND_UP(max_t(u64, len, align), unit_blocks(s));
	int order, ret;

	order = haslab_buddy_fit(s, order_base_2(units), s->slot_shift - s->cfg.unit_shift, op,
				 start);
	if (order < 0)
		return order;
	/* with room for the extent */
	ret = haslab_mixed_add(s, g, *start, unit_blocks(s) << order, 2, op);
	if (ret) {
		haslab_buddy_free(s, *start, order);
		return ret;
	}
	return haslab_mixed_set(s, *start, len, HARUNS_LIVE, op);
}

/* Units of a slot were adopted: if nothing was put there, they go back. */
static void haslab_units_unadopt(struct haslab *s, u64 start)
{
	u32 slot = slot_of(s, start);

	if (!(mixed_of(s, slot)->runs.tag & MIXED_EMPTY))
		haslab_mixed_settle(s, slot);
}

/*
 * Allocate at the start of the fewest free units that are long enough, of some: the rest of them
 * stays in one piece. As many slots of them become mixed as it takes.
 */
static int haslab_mixed_alloc_units(struct haslab *s, struct haslab_group *g, u32 len,
				    struct hamem_op *op, u64 *start)
{
	struct haslab_row row;
	int ret = -ENOSPC;
	u64 to, next;

	if (!haslab_free_units(s, g, len, false, &row) && !haslab_free_units(s, g, len, true, &row))
		return -ENOSPC;
	for (to = row.start; ret == -ENOSPC && to < row.end && to < row.start + len; to = next) {
		next = min(row.end, round_down(to, slot_blocks(s)) + slot_blocks(s));
		ret = haslab_units_adopt(s, g, to, next, op);
		if (ret)
			break;
		ret = -ENOSPC;
		if (next < row.end && row.before + (next - row.start) < len)
			continue;
		ret = len > slot_blocks(s) ? haslab_chain_fit(s, g, len, op, start) :
					     haslab_mixed_fit(s, g, len, 1, op, start);
	}
	for (; to > row.start; to = max(row.start, round_down(to - 1, slot_blocks(s))))
		haslab_units_unadopt(s, to - 1);
	return ret;
}

/* Allocate in new units of a group. Return: as haslab_mixed_alloc(). */
static int haslab_mixed_alloc_more(struct haslab *s, struct haslab_group *g, u32 len, u64 align,
				   struct hamem_op *op, u64 *start)
{
	int ret, last;

	if (align == 1) {
		ret = haslab_mixed_alloc_units(s, g, len, op, start);
		if (ret != -ENOSPC && ret != -EBUSY)
			return ret;
		/* these units are not to be had after all */
		last = haslab_mixed_fit(s, g, len, 1, op, start);
		return last == -ENOSPC ? ret : last;
	}
	ret = haslab_mixed_alloc_block(s, g, len, align, op, start);
	/* a slot is long enough, and aligned */
	if (ret == -ENOSPC && haslab_empty_put(s, g))
		ret = haslab_mixed_alloc_block(s, g, len, align, op, start);
	return ret;
}

/*
 * Allocate in a mixed slot of a group; adds units if necessary, or if they are a better place.
 * Return: 0; -ENOSPC; -ENOMEM; -EBUSY the units found are in a slot of another group.
 */
int haslab_mixed_alloc(struct haslab *s, struct haslab_group *g, u32 len, u64 align,
		       struct hamem_op *op, u64 *start)
{
	int ret = haslab_fit(s, g, len, align, true, op, start);

	return likely(ret != -ENOSPC) ? ret : haslab_mixed_alloc_more(s, g, len, align, op, start);
}

/* As haslab_mixed_alloc(), more than a slot, but nothing huge. */
int haslab_chain_alloc(struct haslab *s, struct haslab_group *g, u32 len, struct hamem_op *op,
		       u64 *start)
{
	u32 bucket = haslab_index_next(g, haslab_bucket_of(len));
	u64 avail = READ_ONCE(s->buddy.avail);
	int ret = -ENOSPC, last;

	/* those in its bucket may be shorter */
	if (avail && bucket < HASLAB_NR_BUCKETS &&
	    haslab_units_are_better(s, g, len, bucket, avail)) {
		ret = haslab_mixed_alloc_units(s, g, len, op, start);
		if (ret != -ENOSPC && ret != -EBUSY)
			return ret;
	}
	last = haslab_chain_fit(s, g, len, op, start);
	return last == -ENOSPC && ret == -ENOSPC ? haslab_mixed_alloc_units(s, g, len, op, start) :
	       last == -ENOSPC ? ret : last;
}

/* An extent that goes on from @slot to @last ends: what it has after the first of them. */
static noinline void haslab_chain_end(struct haslab *s, u32 slot, u32 last, bool reuse)
{
	struct haslab_mixed *m;

	for (; last > slot; last--) {
		m = mixed_of(s, last);
		m->runs.tag &= ~MIXED_CONTINUES;
		mixed_of(s, last - 1)->runs.tag &= ~MIXED_GOES_ON;
		if (reuse)
			haslab_run_clear_rare(s, m, last, haruns_first(&m->runs));
	}
}

/*
 * Retire an extent of a mixed part and, with @reuse, free its blocks. Inlined with a constant
 * @reuse: this is most of the cost of a free.
 */
static __always_inline int haslab_mixed_end(struct haslab *s, struct haslab_mixed *m, u64 start,
					    u64 len, const bool reuse,
					    enum hybrid_alloc_reason *reason)
{
	u32 slot = slot_of(s, start), pos = start & (slot_blocks(s) - 1), last = slot;
	struct haruns_run run = haruns_find(&m->runs, pos);
	struct haslab_group *g = mixed_group(s, m);
	u64 has = run.len;

	haslab_assert_group(s, g);
	haslab_index_prefetch(s, slot, m);
	if (run.state == HARUNS_FREE)
		return haslab_refuse(reason, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
	if (m->runs.tag & MIXED_CONTINUES && !run.start)
		return haslab_refuse(reason, HYBRID_ALLOC_REASON_WRONG_START);
	if (run.state == HARUNS_SPECIAL)
		return -EBUSY;
	if (m->runs.tag & MIXED_GOES_ON && run.start + run.len == m->runs.nr_blocks)
		has += haslab_chain_rest(s, slot, &last);
	if (run.start != pos || has != len)
		return haslab_refuse_live(reason, start, start - pos + run.start);
	if (last > slot)
		haslab_chain_end(s, slot, last, reuse);
	if (reuse)
		haslab_run_clear(s, g, m, slot, run, NULL);
	else
		haruns_cut(&m->runs, run, run.start, run.len, HARUNS_SPECIAL);
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

/* The lasting unit at the old end, @from, becomes longer, and that at the new end is in use. */
void haslab_mixed_grow(struct haslab *s, u64 from, u64 nr_blocks)
{
	u64 end = min(round_up(from, unit_blocks(s)), nr_blocks);
	u64 last = round_down(nr_blocks, unit_blocks(s));
	struct haslab_group *g;
	struct haslab_mixed *m;
	u32 max_free;

	haslab_assert_all(s);
	if (last < nr_blocks && last >= from)
		haslab_cross_changed(s, mixed_group(s, mixed_at(s, last)), slot_of(s, last), 0, 0);
	if (from == end)
		return;
	m = mixed_at(s, from);
	max_free = m->runs.max_free;
	haruns_add(&m->runs, from & (slot_blocks(s) - 1), end - from);
	g = mixed_group(s, m);
	haslab_index_move(s, g, slot_of(s, from), m, max_free);
	g->free += end - from;
	haslab_cross_changed(s, g, slot_of(s, from), 0, slot_blocks(s));
	haslab_mixed_settle(s, slot_of(s, from));
}
