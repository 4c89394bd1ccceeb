// SPDX-License-Identifier: GPL-2.0
/*
 * Sums of what is free: how a search, STAT and TRIM pass over a device without a look at each of
 * its runs. See slab.c for the layer as a whole, walk.c for the iterator.
 *
 * A sum has what is needed to join neighbours: the first, the longest and the last free run of a
 * part of the device, and the longest extent that it has a place for at some alignment.
 *
 * A part is a mixed part, a slab, or units of a gap. Its sum is made from its marks or by a bitmap
 * of what is free (bits.c). A slab keeps that of its objects until one of them is taken or freed.
 *
 * A quad, which is four slots, keeps the sum of its parts, and for each alignment that was asked
 * for what is usable. So do a dir, which is 16 quads, and a region, which is 256 dirs; and the
 * longest free run of the device is kept, too. A change drops what is kept of its quad, its dir,
 * its region and the device. So a search for an alignment that was asked for before looks at the
 * parts of the quads that have changed since, at the quads of their dirs, at the dirs of their
 * regions, and at all regions.
 *
 * What the quads of a dir keep is in a table, of 512 bytes at most, that the first walk makes which
 * adds the dir up. If there is no memory for it, the dir is added up from its parts, as often as it
 * is needed. A dir with at most four slabs and mixed parts needs no table: that is about as much to
 * look at as a quad.
 *
 * It may take several holds to add up a dir, or the device. It keeps the sum only if nothing has
 * changed in between (struct haslab_sums). A quad is added up in one.
 *
 * Sums are looked at with all groups shut out.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "slab/runs_hit.h"
#include "slab/internal.h"

/* How many nodes of the buddy a dir has, if a region has few. */
#define BARE_NODES	2
/* A look at so many marks of a slot is a step. */
#define MARKS_A_STEP	8
/* So is one at so many objects, one by one: at most half of them begin a row. */
#define OBJECTS_A_STEP	16

/* ---- slabs ---- */

/* The rows of free objects of a slab, in objects; the rest after the last object excluded. */
static struct haslab_sum haslab_slab_sum(struct haslab *s, struct haslab_slab *slab)
{
	struct haslab_sum sum = { .size = slab->nr_objects };

	haslab_assert_all(s);
	if (!slab->nr_free)
		return sum;
	if (!haslab_slab_keeps(slab)) {
		sum = haslab_bits_sum(slab->free, 0, slab->nr_objects, 0);
		slab->nr_lead = sum.lead;
		slab->nr_longest = sum.longest;
		slab->nr_trail = sum.trail;
	}
	return (struct haslab_sum) {
		slab->nr_lead, slab->nr_longest, slab->nr_trail, slab->nr_objects
	};
}

/* The longest row of free objects of a slab, in blocks; the rest after the last object excluded. */
u64 haslab_slab_longest(struct haslab *s, struct haslab_slab *slab)
{
	return haslab_slab_sum(s, slab).longest * s->classes[slab->class].blocks;
}

/* ---- sums of parts ---- */

/* A part of the device that is looked at as a whole: blocks of a slot, objects, or units. */
struct part {
	u64 start;			/* where bit 0 is */
	const unsigned long *map;	/* what is free */
	struct haslab_slab *slab;	/* of which these are the objects, or NULL */
	u32 from;			/* the first bit of the part */
	u32 to;				/* the bit after the last */
	u32 blocks;			/* that a bit stands for */
	unsigned int order;		/* log2 of the blocks that @start is aligned to, at least */
	unsigned long bits[HARUNS_MAX_BLOCKS / BITS_PER_LONG];
};

/* How long an extent aligned to 2^@order can be in a free run. */
static u64 haslab_run_usable(u64 start, u64 len, unsigned int order)
{
	u64 skip = -start & ((1ULL << order) - 1);

	return len > skip ? len - skip : 0;
}

/* Set in w->units which units around @unit are free. False: all of them are, or none is. */
static bool haslab_units_map(struct haslab_walk *w, u64 unit)
{
	u64 base = round_down(unit, HABUDDY_FANOUT);

	if (w->units_base == base)
		return true;
	if (!habuddy_free_map(&w->s->buddy, unit, w->units))
		return false;
	w->units_base = base;
	haslab_walk_spend(w, 2);
	return true;
}

/*
 * The part at @pos in a gap: units of one node of the buddy, of which a walk keeps the map. False:
 * all units that a node would have there are free, or none is, and the stretch is the part.
 */
static bool haslab_units_at(struct haslab_walk *w, u64 pos, u64 end, struct part *p)
{
	struct haslab *s = w->s;
	unsigned int shift = s->cfg.unit_shift;
	u64 unit = pos >> shift, base = round_down(unit, HABUDDY_FANOUT);

	/* the walk may end inside of a unit that GROW has completed */
	end = min(base + HABUDDY_FANOUT, end >> shift);
	if (end <= unit || !haslab_units_map(w, unit))
		return false;
	end = haslab_gap_end(s, pos, end << shift) >> shift;
	/* it has looked at each slot up to there */
	w->steps -= (end - unit) >> (s->slot_shift - shift);
	p->slab = NULL;
	p->start = base << shift;
	p->order = HABUDDY_FANOUT_SHIFT + shift;
	p->blocks = unit_blocks(s);
	p->from = unit - base;
	p->to = end - base;
	p->map = w->units;
	return true;
}

/* The part at @pos. False: a stretch of a gap, or the middle of a slab: the stretch is the part. */
static bool haslab_part_at(struct haslab_walk *w, u64 pos, u64 end, struct part *p)
{
	struct haslab *s = w->s;
	struct haslab_mixed *m = mixed_at(s, pos);
	struct haslab_slab *slab;

	if (m) {
		p->slab = NULL;
		p->start = round_down(pos, slot_blocks(s));
		p->order = s->slot_shift;
		p->blocks = 1;
		p->from = pos - p->start;
		p->to = min(haslab_units_end(s, m, pos), s->cfg.nr_blocks) - p->start;
		p->map = p->bits;
		haruns_free_map(&m->runs, p->from, p->to, p->bits);
		return true;
	}
	slab = haslab_lookup(s, pos);
	if (!slab && IS_ALIGNED(pos, unit_blocks(s)))
		return haslab_units_at(w, pos, end, p);
	if (!slab || slab->start != pos)
		return false;
	p->slab = slab;
	p->start = pos;
	p->order = ilog2(slab->nr_blocks);
	p->blocks = s->classes[slab->class].blocks;
	p->from = 0;
	p->to = slab->nr_objects;
	p->map = slab->free;
	return true;
}

/* As haslab_bits_usable(), for objects of which not each, or none, begins at such a block. */
static u64 haslab_odd_usable(const struct part *p, unsigned int order, u64 best, bool any, u64 *at)
{
	u64 start, usable;
	u32 i, end = p->from;

	while ((i = find_next_bit(p->map, p->to, end)) < p->to) {
		end = find_next_zero_bit(p->map, p->to, i);
		start = p->start + (u64)i * p->blocks;
		usable = haslab_run_usable(start, (u64)(end - i) * p->blocks, order);
		if (usable <= best)
			continue;
		best = usable;
		*at = round_up(start, 1ULL << order);
		if (any)
			break;
	}
	return best;
}

/* The longest extent aligned to 2^@order, less than the order of the part, if that is > @best. */
static u64 haslab_part_usable(const struct part *p, unsigned int order, u64 best, bool any,
			      u64 *at)
{
	unsigned int shift = ilog2(p->blocks);
	u32 bit = 0, found;

	if (order && !is_power_of_2(p->blocks))
		return haslab_odd_usable(p, order, best, any, at);
	best = div_u64(best, p->blocks);
	found = haslab_bits_usable(p->map, p->from, p->to, order > shift ? order - shift : 0, best,
				   any, &bit);
	*at = p->start + (u64)bit * p->blocks;
	return (u64)found * p->blocks;
}

/*
 * The sum of a part by its bits, but for what is usable. What it says is longest may be less than
 * it is if that is at most @best.
 */
static struct haslab_sum haslab_part_bits(struct haslab *s, const struct part *p, u64 best)
{
	struct haslab_sum sum = p->slab ? haslab_slab_sum(s, p->slab) :
		haslab_bits_sum(p->map, p->from, p->to, div_u64(best, p->blocks));

	sum.lead *= p->blocks;
	sum.longest *= p->blocks;
	sum.trail *= p->blocks;
	sum.size *= p->blocks;
	sum.usable = sum.longest;
	return sum;
}

/* ---- mixed parts ---- */

/* A mixed part, or the rest of one: the blocks from @from to before @to of its slot. */
struct mixed_part {
	const struct haruns *runs;
	bool whole;		/* it is all of the slot */
	u32 from;
	u32 to;
};

/* The mixed part at @pos, up to @end. False: there is none. */
static bool haslab_mixed_part(struct haslab *s, u64 pos, u64 end, struct mixed_part *p)
{
	u64 start = round_down(pos, slot_blocks(s));
	const struct haslab_mixed *m = mixed_at(s, pos);

	if (!m)
		return false;
	end = min(end, haslab_units_end(s, m, pos));
	*p = (struct mixed_part) {
		&m->runs, pos == start && haslab_whole_slot(s, slot_of(s, pos)),
		pos - start, end - start
	};
	return true;
}

/* The sum of a slot that is wholly a mixed part, but for what is usable: that is known. */
static struct haslab_sum haslab_runs_sum(const struct haruns *r)
{
	u32 lead = haruns_lead(r), trail = haruns_trail(r);
	u32 longest = max3((u32)r->max_free, lead, trail);

	return (struct haslab_sum) { lead, longest, trail, r->nr_blocks, longest };
}

/* The sum of the mixed part at @pos by its marks. False if it has none. */
static bool haslab_marks_sum(struct haslab_walk *w, u64 pos, const struct mixed_part *p,
			     unsigned int order, struct haslab_sum *sum)
{
	unsigned int shift = w->s->slot_shift;
	struct haruns_sum runs;

	if (!haruns_marks_sum(p->runs, p->from, p->to, 1U << min(order, shift), &runs))
		return false;
	haslab_walk_spend(w, 1 + min_t(u32, p->runs->nr, p->to - p->from) / MARKS_A_STEP);
	*sum = (struct haslab_sum) {
		runs.lead, runs.longest, runs.trail, p->to - p->from, runs.usable
	};
	/* of the blocks with such an order a slot has at most the first */
	if (order > shift)
		sum->usable = haslab_run_usable(pos, sum->lead, order);
	return true;
}

/* ---- parts ---- */

/*
 * The sum of the part at @pos by its bits; @whole: the runs of its slot, if that is wholly a mixed
 * part.
 */
static struct haslab_sum haslab_bitmap_sum(struct haslab_walk *w, u64 pos, const struct part *p,
					   const struct haruns *whole, unsigned int order,
					   const struct haslab_sum *best)
{
	/* a slab that keeps its sum is looked at only for what is usable */
	bool keeps = p->slab && haslab_slab_keeps(p->slab);
	u32 words = (p->to - p->from) / (BITS_PER_LONG / 2);
	struct haslab_sum sum;
	u64 longest, at;

	haslab_walk_spend(w, keeps ? 1 : 1 + words);
	sum = whole ? haslab_runs_sum(whole) : haslab_part_bits(w->s, p, best->longest);
	/* it may be more than it says, up to what was found before */
	longest = whole || p->slab ? sum.longest : max(sum.longest, best->longest);
	/* of the blocks with such an order the part has at most the first */
	if (order >= p->order) {
		sum.usable = haslab_run_usable(pos, sum.lead, order);
	} else if (order && longest > best->usable) {
		/* see haslab_odd_usable() */
		if (!is_power_of_2(p->blocks))
			haslab_walk_spend(w, (p->to - p->from) / OBJECTS_A_STEP);
		else if (keeps)
			haslab_walk_spend(w, words);
		sum.usable = haslab_part_usable(p, order, best->usable, false, &at);
	}
	return sum;
}

/*
 * The sum of the part that begins at @pos and ends at @end at the latest. What it says is longest,
 * or usable, may be less than it is if that is at most what @best says.
 */
static struct haslab_sum haslab_part_sum(struct haslab_walk *w, u64 pos, u64 end,
					 unsigned int order, const struct haslab_sum *best)
{
	struct haslab *s = w->s;
	const struct haruns *whole = NULL;
	struct mixed_part mixed;
	struct haslab_sum sum;
	struct part p;
	u64 next;

	if (haslab_mixed_part(s, pos, end, &mixed)) {
		whole = mixed.whole ? mixed.runs : NULL;
		if (whole && !order) {
			haslab_walk_spend(w, haslab_run_steps(whole));
			return haslab_runs_sum(whole);
		}
		if (haslab_marks_sum(w, pos, &mixed, order, &sum))
			return sum;
	}
	if (haslab_part_at(w, pos, end, &p))
		return haslab_bitmap_sum(w, pos, &p, whole, order, best);
	w->steps -= HASLAB_STRETCH_STEPS;
	sum.lead = haslab_stretch(s, pos, &next) ? min(next, end) - pos : 0;
	return (struct haslab_sum) {
		sum.lead, sum.lead, sum.lead, min(next, end) - pos,
		haslab_run_usable(pos, sum.lead, order)
	};
}

/*
 * Join the sums of two neighbours: @sum becomes that of both.
 *
 * After a change a search visits each dir of the region, which with small units is half of its
 * work. What it does there is inline, which saves a tenth of all of it.
 */
void haslab_sum_append(struct haslab_sum *sum, const struct haslab_sum *next)
{
	sum->longest = max3(sum->longest, next->longest, sum->trail + next->lead);
	if (sum->lead == sum->size)
		sum->lead += next->lead;
	sum->trail = next->trail == next->size ? sum->trail + next->size : next->trail;
	sum->size += next->size;
}

/* The same, also for what is usable. @next begins at @pos. */
static __always_inline void haslab_sum_join(struct haslab_sum *sum, const struct haslab_sum *next,
					    u64 pos, unsigned int order)
{
	u64 usable = haslab_run_usable(pos - sum->trail, sum->trail + next->lead, order);

	sum->usable = max3(sum->usable, next->usable, usable);
	haslab_sum_append(sum, next);
}

/* The sum of the parts from @pos to @end, all in one dir. */
struct haslab_sum haslab_parts_sum(struct haslab_walk *w, u64 pos, u64 end, unsigned int order)
{
	struct haslab_sum sum = {}, next;

	for (; pos < end; pos += next.size) {
		next = haslab_part_sum(w, pos, end, order, &sum);
		haslab_sum_join(&sum, &next, pos, order);
	}
	return sum;
}

/* Where from @pos to @end an extent of @len blocks, aligned to 2^@order, fits first. */
static bool haslab_parts_find(struct haslab_walk *w, u64 pos, u64 end, u64 len,
			      unsigned int order, u64 *found)
{
	/* what is shorter does not matter */
	const struct haslab_sum best = { .longest = len - 1, .usable = len - 1 };
	struct haslab_sum next;
	struct part p;
	u64 carry = 0;

	for (; pos < end; pos += next.size) {
		next = haslab_part_sum(w, pos, end, order, &best);
		if (haslab_run_usable(pos - carry, carry + next.lead, order) >= len) {
			*found = round_up(pos - carry, 1ULL << order);
			return true;
		}
		if (next.usable >= len && haslab_part_at(w, pos, end, &p))
			return haslab_part_usable(&p, order, len - 1, true, found) >= len;
		carry = next.trail == next.size ? carry + next.size : next.trail;
	}
	return false;
}

/* ---- quads ---- */

/* log2 of the blocks in a quad. */
static unsigned int quad_order(const struct haslab *s)
{
	return s->slot_shift + HASLAB_QUAD_SHIFT;
}

/* Whether @pos is the first block of a quad. */
bool haslab_is_quad(const struct haslab *s, u64 pos)
{
	return IS_ALIGNED(pos, 1ULL << quad_order(s));
}

/* The end of the quad that begins at @pos. */
u64 haslab_quad_end(const struct haslab *s, u64 pos)
{
	return min(pos + (1ULL << quad_order(s)), s->cfg.nr_blocks);
}

static size_t haslab_quad_bytes(const struct haslab *s)
{
	return sizeof(struct haslab_quad) + (quad_order(s) - 1) * sizeof(u16);
}

/* What the quad at @pos keeps. Its dir has a table. */
struct haslab_quad *haslab_quad_of(const struct haslab *s, u64 pos)
{
	return *map_quads(s, pos) + quad_of(s, pos) % DIR_QUADS * haslab_quad_bytes(s);
}

/*
 * Whether the dir at @pos has a table for what its quads keep. If it should, one is made at its
 * start, or it is tried there. A last dir of one quad needs none.
 */
static bool haslab_make_quads(struct haslab *s, u64 pos)
{
	void **quads = map_quads(s, pos);
	u32 nr;

	haslab_assert_all(s);
	if (*quads || !dir_has_quads(map_dir(s, pos)) || !IS_ALIGNED(pos, dir_blocks(s)))
		return *quads;
	nr = min_t(u64, DIR_QUADS, quad_of(s, s->map_blocks - 1 - pos) + 1);
	if (nr == 1)
		return false;
	WRITE_ONCE(*quads, kmalloc(nr * haslab_quad_bytes(s), GFP_NOWAIT | __GFP_NOWARN));
	if (!*quads)
		return false;
	atomic_long_add(ksize(*quads), &s->mem.bytes);
	/* flags of an earlier table */
	memset(&s->sums.quads[quad_of(s, pos)], 0, DIR_QUADS);
	return true;
}

/* Whether the quad at @pos keeps its sum. */
bool haslab_quad_keeps(const struct haslab *s, u64 pos)
{
	return *map_quads(s, pos) && s->sums.quads[quad_of(s, pos)];
}

/* The sum that the quad at @pos keeps, but for what is usable. */
struct haslab_sum haslab_quad_kept(const struct haslab *s, u64 pos)
{
	const struct haslab_quad *q = haslab_quad_of(s, pos);

	return (struct haslab_sum) {
		q->lead, q->longest, q->trail, haslab_quad_end(s, pos) - pos, q->longest
	};
}

/* The quad at @pos keeps a sum, of which haslab_sum.usable is for @order. */
static void haslab_quad_keep(struct haslab *s, u64 pos, unsigned int order,
			     const struct haslab_sum *sum)
{
	struct haslab_quad *q = haslab_quad_of(s, pos);

	if (!haslab_quad_keeps(s, pos)) {
		q->lead = sum->lead;
		q->longest = sum->longest;
		q->trail = sum->trail;
		memset16(q->usable, HASLAB_UNKNOWN, quad_order(s) - 1);
		s->sums.quads[quad_of(s, pos)] = HASLAB_SUM_KEPT;
	}
	if (order && order < quad_order(s))
		q->usable[order - 1] = sum->usable;
}

/*
 * The sum that the quad at @pos keeps, if it does. What it says is usable may be less than it is if
 * that is at most what @w->sum says, and more than it is, but less than @enough.
 */
static bool haslab_quad_known(struct haslab_walk *w, u64 pos, unsigned int order, u64 enough,
			      struct haslab_sum *sum)
{
	struct haslab *s = w->s;
	u16 usable;

	if (!haslab_quad_keeps(s, pos))
		return false;
	*sum = haslab_quad_kept(s, pos);
	if (!order)
		return true;
	if (order >= quad_order(s)) {
		sum->usable = haslab_run_usable(pos, sum->lead, order);
		return true;
	}
	usable = haslab_quad_of(s, pos)->usable[order - 1];
	if (usable != HASLAB_UNKNOWN) {
		sum->usable = usable;
		return true;
	}
	if (sum->longest > w->sum.usable && sum->longest >= enough)
		return false;
	/* what is longest is a bound */
	return true;
}

/* As haslab_quad_known(). If it is not known, it is made, and kept. The dir has a table. */
static struct haslab_sum haslab_quad_sum(struct haslab_walk *w, u64 pos, unsigned int order,
					 u64 enough)
{
	struct haslab_sum sum;

	if (haslab_quad_known(w, pos, order, enough, &sum))
		return sum;
	sum = haslab_parts_sum(w, pos, haslab_quad_end(w->s, pos), order);
	haslab_quad_keep(w->s, pos, order, &sum);
	return sum;
}

/*
 * Pass over quads of a dir that are known, within this hold, as long as an extent of @enough fits
 * neither in one of them nor at a border between two. False if the next is no such quad.
 */
static bool haslab_walk_quads(struct haslab_walk *w, u64 end, unsigned int order, u64 enough,
			      struct haslab_sum *sum)
{
	struct haslab *s = w->s;
	struct haslab_sum next;
	u64 start = w->pos;

	*sum = (struct haslab_sum) {};
	if (!*map_quads(s, start) || !haslab_is_quad(s, start))
		return false;
	while (w->pos < end && (!sum->size || w->steps > 0) &&
	       haslab_quad_known(w, w->pos, order, enough, &next) && next.size <= end - w->pos &&
	       next.usable < enough &&
	       haslab_run_usable(w->pos - sum->trail, sum->trail + next.lead, order) < enough) {
		/* one was counted */
		if (sum->size)
			haslab_walk_spend(w, 1);
		haslab_sum_join(sum, &next, w->pos, order);
		w->pos += next.size;
	}
	if (sum->size)
		haslab_sum_join(&w->sum, sum, start, order);
	return sum->size;
}

/*
 * Add the quad, or the part, that begins at w->pos, and ends at @end at the latest, to the sum of
 * its dir. In a dir without a table a part can be longer than a quad.
 */
static struct haslab_sum haslab_walk_quad(struct haslab_walk *w, u64 end, unsigned int order,
					  u64 enough)
{
	struct haslab *s = w->s;
	bool quad = haslab_make_quads(s, w->pos) && haslab_is_quad(s, w->pos) &&
		    end >= haslab_quad_end(s, w->pos);
	struct haslab_sum sum = quad ? haslab_quad_sum(w, w->pos, order, enough) :
				       haslab_part_sum(w, w->pos, end, order, &w->sum);

	haslab_sum_join(&w->sum, &sum, w->pos, order);
	w->pos += sum.size;
	return sum;
}

/*
 * Where an extent of @len blocks, aligned to 2^@order, fits in the quad or the part at @pos, which
 * haslab_walk_sum() has passed over. False if it does not.
 */
bool haslab_walk_find(struct haslab_walk *w, u64 pos, u64 len, unsigned int order, u64 *found)
{
	haslab_assert_all(w->s);
	return haslab_parts_find(w, pos, w->pos, len, order, found);
}

/* ---- sums of dirs and regions ---- */

/* log2 of the blocks in a dir. */
static unsigned int dir_order(const struct haslab *s)
{
	return s->slot_shift + DIR_SHIFT;
}

/* The highest order, at most @order, that is in @known; 0 if none is. */
static unsigned int haslab_known_order(u32 known, unsigned int order)
{
	known &= order < 31 ? (2U << order) - 1 : U32_MAX;
	return known ? ilog2(known) : 0;
}

static u64 region_blocks(const struct haslab *s)
{
	return dir_blocks(s) << HASLAB_REGION_SHIFT;
}

static struct haslab_region *haslab_region_at(const struct haslab *s, u64 block)
{
	return &s->sums.regions[dir_of(s, block) >> HASLAB_REGION_SHIFT];
}

/* Before the sums around @pos are looked at: those that are stale are dropped. */
void haslab_sums_settle(struct haslab *s, u64 pos)
{
	struct haslab_region *r = haslab_region_at(s, pos);
	u64 first = round_down(dir_of(s, pos), 1U << HASLAB_REGION_SHIFT), nr;

	haslab_assert_all(s);
	if (likely(!READ_ONCE(r->stale)))
		return;
	r->stale = false;
	nr = min_t(u64, 1U << HASLAB_REGION_SHIFT, s->nr_dirs - first);
	ha_step(nr / 16);
	memset(&s->sums.dirs[first], 0, nr);
	memset(&s->sums.quads[first * DIR_QUADS], 0, nr * DIR_QUADS);
}

/* The sum that the dir at @start keeps, if it does. */
static __always_inline bool haslab_dir_kept(const struct haslab *s, u64 start,
					    unsigned int order, struct haslab_sum *sum)
{
	const struct haslab_fits *fits = &s->sums.fits[dir_of(s, start)];
	const struct haslab_dir *dir = map_dir(s, start);

	if (s->sums.dirs[dir_of(s, start)] != HASLAB_SUM_KEPT)
		return false;
	*sum = (struct haslab_sum) {
		dir->lead, dir->longest, dir->trail,
		min(dir_blocks(s), s->cfg.nr_blocks - start), dir->longest
	};
	if (order >= dir_order(s))
		sum->usable = haslab_run_usable(start, dir->lead, order);
	else if (fits->known >> order & 1)
		sum->usable = fits->usable[order - 1];
	else if (haslab_known_order(fits->known, order))
		sum->usable = fits->usable[haslab_known_order(fits->known, order) - 1];
	return true;
}

/* The sum that the region at @start keeps, if it does. */
static bool haslab_region_kept(const struct haslab *s, u64 start, unsigned int order,
			       struct haslab_sum *sum)
{
	const struct haslab_region *r = haslab_region_at(s, start);
	u64 size = min(region_blocks(s), s->cfg.nr_blocks - start);

	/* of one dir only, its own sum is enough */
	if (!r->known || size <= dir_blocks(s) ||
	    memchr_inv(&s->sums.dirs[dir_of(s, start)], HASLAB_SUM_KEPT,
		       DIV_ROUND_UP_ULL(size, dir_blocks(s))))
		return false;
	*sum = (struct haslab_sum) {
		r->lead, r->usable[0], r->trail, size,
		r->usable[haslab_known_order(r->known, order)]
	};
	if (order >= dir_order(s) + HASLAB_REGION_SHIFT)
		sum->usable = haslab_run_usable(start, r->lead, order);
	return true;
}

/* A walk has added up a dir. The dir keeps the sum if nothing has changed meanwhile. */
static void haslab_dir_keep(struct haslab_walk *w, u64 start, unsigned int order)
{
	struct haslab *s = w->s;
	struct haslab_fits *fits = &s->sums.fits[dir_of(s, start)];
	struct haslab_dir *dir = map_dir(s, start);
	u8 *kept = &s->sums.dirs[dir_of(s, start)];

	if (s->sums.maker != w || !*kept ||
	    w->sum.size != min(dir_blocks(s), s->cfg.nr_blocks - start)) {
		s->sums.all = 0;
		return;
	}
	if (*kept != HASLAB_SUM_KEPT) {
		fits->known = 0;
		fits->other_align = 0;
		haslab_region_at(s, start)->known = 0;
	}
	dir->lead = w->sum.lead;
	dir->longest = w->sum.longest;
	dir->trail = w->sum.trail;
	*kept = HASLAB_SUM_KEPT;
	if (order && order < dir_order(s)) {
		fits->usable[order - 1] = w->sum.usable;
		fits->known |= 1U << order;
	}
}

/* The region keeps a sum if all its dirs do. */
static void haslab_region_keep(struct haslab_walk *w, u64 start, unsigned int order)
{
	struct haslab *s = w->s;
	struct haslab_region *r = haslab_region_at(s, start);
	u64 end = min(start + region_blocks(s), s->cfg.nr_blocks), pos;
	u32 wanted = order < HASLAB_REGION_ORDERS ? 1 | 1U << order : 1;
	struct haslab_sum sum = {}, next;

	if ((r->known & wanted) == wanted && haslab_region_kept(s, start, order, &sum))
		return;
	sum = (struct haslab_sum) {};
	for (pos = start; pos < end; pos += next.size) {
		if (!haslab_dir_kept(s, pos, order, &next))
			return;
		haslab_sum_join(&sum, &next, pos, order);
		haslab_walk_spend(w, 1);
	}
	r->lead = sum.lead;
	r->trail = sum.trail;
	r->usable[0] = sum.longest;
	if (order < HASLAB_REGION_ORDERS)
		r->usable[order] = order ? sum.usable : sum.longest;
	r->known |= wanted;
}

/* Whether nothing is known of a dir, and it has neither slabs nor mixed parts. */
static bool haslab_dir_is_bare(const struct haslab *s, u64 dir)
{
	return !s->sums.dirs[dir] && dir_is_gap(&s->dirs[dir]);
}

/*
 * The dirs from @start to before @end, of one region, are all free, or all not, and keep that. A
 * walk that is in the middle of one of them has not seen that.
 */
static void haslab_dirs_keep(struct haslab *s, u64 start, u64 end, bool is_free)
{
	struct haslab_fits *fits = &s->sums.fits[dir_of(s, start)];
	u8 *kept = &s->sums.dirs[dir_of(s, start)];
	struct haslab_dir *dir = map_dir(s, start);
	const u64 size = dir_blocks(s);
	u32 len;
	u64 pos;

	s->sums.maker = NULL;
	for (pos = start; pos < end; pos += size, dir++) {
		len = is_free ? min(size, end - pos) : 0;
		dir->lead = len;
		dir->longest = len;
		dir->trail = len;
		*kept++ = HASLAB_SUM_KEPT;
		fits->other_align = 0;
		(fits++)->known = 0;
	}
	haslab_region_at(s, start)->known = 0;
}

/*
 * The end of the dirs in a row from w->pos on, a border between dirs, that are bare and all free,
 * or all not; @end at the most. Return: w->pos if the first one is no such dir.
 */
static u64 haslab_walk_bare(struct haslab_walk *w, u64 end, bool *is_free)
{
	struct haslab *s = w->s;
	u64 start = w->pos, dir = dir_of(s, start), first = min(start + dir_blocks(s), end), pos;
	/* if not free, nodes of the buddy are looked at, too */
	u32 nodes = dir_blocks(s) >> s->cfg.unit_shift >> HABUDDY_FANOUT_SHIFT, nr, most;

	if (!haslab_dir_is_bare(s, dir))
		return start;
	*is_free = haslab_gap_stretch(s, start, first, &pos);
	if (pos < first)
		return start;
	if (*is_free)
		end = min(end, pos);
	/* all of a region in one go, also if the hold has fewer steps left; not of many nodes */
	most = DIV_ROUND_UP_ULL(end - start, dir_blocks(s));
	if (!*is_free && nodes > BARE_NODES)
		most = min_t(u32, most, 1 + max(w->steps, 0) / nodes);
	for (nr = 1; nr < most && haslab_dir_is_bare(s, dir + nr); nr++)
		;
	haslab_walk_spend(w, *is_free ? nr : nr * max(nodes, 1U));
	pos = min(end, start + nr * dir_blocks(s));
	if (!*is_free)
		haslab_gap_stretch(s, start, pos, &pos);
	return pos < s->cfg.nr_blocks ? round_down(pos, dir_blocks(s)) : pos;
}

/* Pass over such dirs, within a region. False if there are none at w->pos. */
static bool haslab_walk_dirs(struct haslab_walk *w, unsigned int order, struct haslab_sum *sum)
{
	struct haslab *s = w->s;
	u64 region = round_down(w->pos, region_blocks(s)), start = w->pos;
	bool is_free;
	u64 len;

	w->pos = haslab_walk_bare(w, min3(region + region_blocks(s), s->cfg.nr_blocks, w->limit),
				  &is_free);
	if (w->pos == start)
		return false;
	haslab_dirs_keep(s, start, w->pos, is_free);
	len = is_free ? w->pos - start : 0;
	*sum = (struct haslab_sum) {
		len, len, len, w->pos - start, haslab_run_usable(start, len, order)
	};
	if (sum->size == region_blocks(s)) {
		struct haslab_region *r = haslab_region_at(s, start);

		r->lead = len;
		r->trail = len;
		r->usable[0] = len;
		r->known = 1;
	}
	return true;
}

/* The walk has come to the end of the device. */
static void haslab_all_keep(struct haslab_walk *w)
{
	struct haslab_sums *sums = &w->s->sums;

	if (sums->all_maker != w || sums->all != HASLAB_SUM_MAKING ||
	    w->all.size != w->s->cfg.nr_blocks)
		return;
	sums->longest = w->all.longest;
	sums->all = HASLAB_SUM_KEPT;
}

/* A walk begins to add up the dir at its position. A change from now on is seen by its end. */
static void haslab_sum_begin(struct haslab_walk *w)
{
	struct haslab_sums *sums = &w->s->sums;
	u8 *dir = &sums->dirs[dir_of(w->s, w->pos)];

	w->sum = (struct haslab_sum) {};
	sums->maker = w;
	if (!*dir)
		*dir = HASLAB_SUM_MAKING;
}

/*
 * Pass over dirs in a row that keep their sums, within a region and this hold, as long as an extent
 * of @enough fits neither in one of them nor at a border between two. False if the next is no such
 * dir.
 */
static bool haslab_walk_kept(struct haslab_walk *w, unsigned int order, u64 enough,
			     struct haslab_sum *sum)
{
	struct haslab *s = w->s;
	u64 region = round_down(w->pos, region_blocks(s));
	u64 end = min3(region + region_blocks(s), s->cfg.nr_blocks, w->limit);
	struct haslab_sum next;

	*sum = (struct haslab_sum) {};
	while (w->pos < end && (!sum->size || w->steps > 0) &&
	       haslab_dir_kept(s, w->pos, order, &next) && next.size <= end - w->pos &&
	       next.usable < enough &&
	       haslab_run_usable(w->pos - sum->trail, sum->trail + next.lead, order) < enough) {
		/* one was counted */
		if (sum->size)
			haslab_walk_spend(w, 1);
		haslab_sum_join(sum, &next, w->pos, order);
		w->pos += next.size;
	}
	return sum->size;
}

/**
 * haslab_walk_sum - the sum of what comes next on the device
 * @w: a walk that has a hold; @w->pos moves on to its end
 * @order: log2 of the alignment that haslab_sum.usable is for; 0: it is haslab_sum.longest
 * @enough: a region or a dir in which so much may be usable is looked into; U64_MAX: none
 *
 * That is a region that keeps its sum, dirs in a row that do or that are all free or all not, a
 * quad, or a part of one: haslab_walk_find() can tell where in it a run is. The caller begins the
 * next hold when @w->steps are used up. Return: the sum. In the middle of a dir, what is usable may
 * be less than it is if the dir has as much before: a search for the first that is long enough has
 * found that. It may be more than it is if it is less than @enough; so what is kept of it is a
 * bound, too.
 */
struct haslab_sum haslab_walk_sum(struct haslab_walk *w, unsigned int order, u64 enough)
{
	struct haslab *s = w->s;
	u64 pos = w->pos, dir = round_down(pos, dir_blocks(s));
	u64 region = round_down(pos, region_blocks(s));
	u64 end = min3(dir + dir_blocks(s), s->cfg.nr_blocks, w->limit);
	struct haslab_sum sum;

	haslab_sums_settle(s, pos);
	haslab_walk_spend(w, 1);
	if (!pos) {
		s->sums.all_maker = w;
		if (!s->sums.all)
			s->sums.all = HASLAB_SUM_MAKING;
	}
	if (pos == region && haslab_region_kept(s, pos, order, &sum) && sum.usable < enough &&
	    sum.size <= w->limit - pos) {
		w->pos += sum.size;
		haslab_sum_append(&w->all, &sum);
	} else if (pos == dir && haslab_walk_kept(w, order, enough, &sum)) {
		haslab_sum_append(&w->all, &sum);
	} else if (pos == dir && haslab_walk_dirs(w, order, &sum)) {
		haslab_sum_append(&w->all, &sum);
	} else {
		if (pos == dir)
			haslab_sum_begin(w);
		if (!haslab_walk_quads(w, end, order, enough, &sum))
			sum = haslab_walk_quad(w, end, order, enough);
		if (w->pos == end) {
			haslab_dir_keep(w, dir, order);
			haslab_sum_append(&w->all, &w->sum);
		}
	}
	if (w->pos == min(region + region_blocks(s), s->cfg.nr_blocks))
		haslab_region_keep(w, region, order);
	if (w->pos == s->cfg.nr_blocks)
		haslab_all_keep(w);
	return sum;
}

/* The length of the longest free run if it is known, else U64_MAX. haslab.lock is held. */
u64 haslab_known_longest(const struct haslab *s)
{
	lockdep_assert_held(&s->lock);
	return READ_ONCE(s->sums.all) == HASLAB_SUM_KEPT ? s->sums.longest : U64_MAX;
}

/**
 * haslab_peek_longest - the length of the longest free run, if it is known
 * @s: the slab allocator
 * Context: process context; takes no lock of a group. Return: in blocks; U64_MAX it is not known.
 */
u64 haslab_peek_longest(struct haslab *s)
{
	u64 longest;

	spin_lock(&s->lock);
	longest = haslab_known_longest(s);
	spin_unlock(&s->lock);
	return longest;
}

/**
 * haslab_longest_run - the length of the longest free run
 * @s: the slab allocator
 *
 * If nothing has changed since the last time, or since a search that has found nothing, that is
 * known, and no lock of a group is taken. Else it is a walk over what has changed, which ends early
 * when the caller is killed or the device is detached: then the answer may be too small.
 * Context: process context, may sleep. Return: in blocks.
 */
u64 haslab_longest_run(struct haslab *s)
{
	u64 longest = haslab_peek_longest(s);
	struct haslab_walk w;

	if (longest != U64_MAX)
		return longest;
	haslab_walk_start(&w, s, 0, U64_MAX, HASLAB_WALK_LONG);
	while (haslab_walk_next(&w))
		while (w.pos < w.limit && w.steps > 0)
			haslab_walk_sum(&w, 0, U64_MAX);
	haslab_walk_end(&w);
	return w.all.longest;
}
