// SPDX-License-Identifier: GPL-2.0
/*
 * The last resort of the slab layer (see slab.c): a search for any free run that is long enough,
 * wherever it lies and whatever it consists of. If it finds nothing, no such run exists.
 *
 * Large parts
 * -----------
 * A free run consists of parts: free buddy blocks, free runs in a mixed part, adjacent free
 * objects of a slab. A mixed part or a slab that becomes wholly free goes back to the buddy at
 * once, but for mixed slots that are kept, which are one part each. So a run with neither such a
 * slot nor a buddy block is the end of one thing and the start of another, and one
 * of the two parts is at least half of it. Islands are the exception: free units that stay in a
 * mixed part because other units of the slot are in use. Two islands can be adjacent, across a
 * border between slots. Three cannot, as the middle one would be a whole mixed part. Such a run
 * has at most four parts, and one of them is at least a unit long.
 *
 * It is therefore enough to look around every free buddy block and around every part of that
 * length. The groups list mixed slots by their longest run, and slabs that have a free object.
 * On a nearly full device these are few: on a TiB haslab_search_large() takes some microseconds,
 * seldom up to 50, and what other operations maintain for it is only that a slab says whether its
 * longest row of free objects is known. It takes the first run
 * that fits.
 *
 * All runs
 * --------
 * If there are too many parts, haslab_search_all() takes over. It goes by the sums of regions,
 * dirs and quads (slab/sums.c), which also say how long an extent of the wanted alignment can be,
 * and adds up those that have changed. If nothing has, a refusal takes some thousand instructions
 * on any device. A quad that has changed costs some thousand more (rows worst-... of bench/bench),
 * and up to 290 000, the most that sim/worst.c has found, if units of mixed slots and free ones
 * take turns in all of it.
 *
 * With a large alignment there are few places where an extent can begin. They are looked at one by
 * one.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/sched.h>

#include "slab/runs_hit.h"
#include "slab/internal.h"

/*
 * How many slots, slabs and runs the search for large parts may look at. It is one hold of all
 * groups. LARGE_FEW, at nearly no cost, is for a search that cannot prove that no run fits.
 */
#define LARGE_STEPS	1000	/* see haslab_steps() */
#define LARGE_FEW	64
#define LARGE_LISTS	16	/* how many lists of slots to scan in parallel */
#define LARGE_BORDERS	16	/* how many borders between slots may wait for their prefetch */
#define LARGE_BLOCKS	32	/* how many free buddy blocks that search may look at */
/* More than a slab without a free object can have free after its last object, in blocks. */
#define SLAB_REST	16
/*
 * For an extent of more than a slot: how many free buddy blocks of an order to try, how many slots
 * of a group, and how many of all groups. With an alignment most tries are in vain.
 */
#define BEST_TRIES	16
#define BEST_ALIGNED	4
#define BEST_SLOTS	64
/* How many parts of runs that search may look at; with small units a run has more of them. */
#define BEST_STEPS	400
#define BEST_STEPS_SMALL	150	/* with small units, see haslab_steps() */
#define BEST_MORE	32	/* what the last look may take beyond them */
#define BEST_STEPS_ALIGNED	160	/* see haslab_steps() */
/* How often in a row others may take what was found. */
#define SEARCH_TRIES	16
/* How many places at which an extent can begin, and stretches there, are looked at one by one. */
#define PLACES		256
#define PLACES_STEPS	128	/* see haslab_steps() */

/* Whether an extent fits in a free run; if so, *@found is where it begins. */
static bool haslab_run_fits(u64 start, u64 size, u64 len, u64 align, u64 *found)
{
	u64 skip = haslab_skip(start, align);

	if (size < len || size - len < skip)
		return false;
	*found = start + skip;
	return true;
}

/* ---- large parts ---- */

/* A search by large parts. The functions that use it return whether to go on. */
struct large {
	u64 len;		/* length of the extent; less than that matters no more */
	u64 max;		/* what is longer is as good as this */
	u64 best;		/* the longest that was found, up to @max; 0: none */
	u64 align;		/* alignment of its start */
	/*
	 * A run that is long enough and has no buddy block has a part of at least this length: if
	 * groups keep slots that are wholly free, such a slot may be the longest.
	 */
	u64 part;
	int steps;		/* how many it may still look at */
	u32 nr_borders;		/* borders of slots found so far with such a part beside them */
	/* the last of these, still to be looked at: each the slot after the border */
	u32 border[LARGE_BORDERS];
	bool done;		/* the longest that is asked for was found */
	u64 *found;		/* out: where the extent begins in it */
};

static bool haslab_large_spend(struct large *l, u32 steps)
{
	l->steps -= steps;
	return l->steps >= 0;
}

/* Whether a group keeps a slot that is wholly free. */
static bool haslab_keeps_empty(const struct haslab *s)
{
	unsigned int i;

	for (i = 0; i < s->nr_groups; i++)
		if (s->groups[i].nr_empty)
			return true;
	return false;
}

/* See struct large.part. */
static u64 haslab_large_part(const struct haslab *s, u64 len)
{
	u64 part = max_t(u64, DIV_ROUND_UP_ULL(len, 4), unit_blocks(s));

	part = min_t(u64, DIV_ROUND_UP_ULL(len, 2), part);
	return part > slot_blocks(s) && haslab_keeps_empty(s) ? slot_blocks(s) : part;
}

/* A free run was found: from now on only a longer extent matters. */
static void haslab_large_found(struct haslab *s, struct large *l, u64 start, u64 size)
{
	if (!haslab_run_fits(start, size, l->len, l->align, l->found))
		return;
	l->best = min(start + size - *l->found, l->max);
	l->done = l->best == l->max;
	if (l->done)
		return;
	l->len = l->best + 1;
	l->part = haslab_large_part(s, l->len);
}

/* Start of the free objects, or of the rest of a slab, that end at @pos; @pos if none do. */
static u64 haslab_objects_before(struct haslab *s, struct haslab_slab *slab, u64 pos)
{
	u32 nr = object_of(s, slab, pos - 1) + 1, trail;

	if (nr > slab->nr_objects)
		return object_start(s, slab, slab->nr_objects);
	trail = haslab_bits_trail(slab->free, 0, nr);
	return trail ? object_start(s, slab, nr - trail) : pos;
}

/* Start of a free part that ends at @pos (the run may begin before it); @pos if none does. */
static u64 haslab_part_before(struct haslab *s, u64 pos)
{
	struct haslab_mixed *m = mixed_at(s, pos - 1);
	struct haslab_slab *slab;
	struct haruns_run run;
	int order;

	if (m) {
		run = mixed_run(s, m, pos - 1);
		return run.state == HARUNS_FREE ? run_start(s, pos - 1, &run) : pos;
	}
	slab = haslab_lookup(s, pos - 1);
	if (slab)
		return haslab_objects_before(s, slab, pos);
	order = habuddy_free_order(&s->buddy, (pos - 1) >> s->cfg.unit_shift);
	return order < 0 ? pos : round_down(pos - 1, (u64)unit_blocks(s) << order);
}

/* Try the free run that has a part starting at @pos. */
static bool haslab_large_run(struct haslab *s, struct large *l, u64 pos)
{
	u64 start = pos, size;

	haslab_assert_all(s);
	do {
		pos = start;
		if (!haslab_large_spend(l, 1 + (pos ? haslab_look_steps(s, pos - 1) : 0)))
			return false;
		start = pos ? haslab_part_before(s, pos) : pos;
	} while (start < pos);
	size = haslab_run_at(s, pos, l->max + l->align, &l->steps);
	haslab_large_found(s, l, pos, size);
	return !l->done && l->steps >= 0;
}

/* Try the free run across the border before @slot; at least one side is free there. */
static bool haslab_large_across(struct haslab *s, struct large *l, u32 slot)
{
	const struct haruns *before = haslab_whole_slot(s, slot - 1),
			    *after = haslab_whole_slot(s, slot);

	/* a look at marks was counted with their slot; the next look sees whether a step is left */
	l->steps -= (before ? haslab_run_steps(before) - 1 : 0) +
		    (after ? haslab_run_steps(after) - 1 : 0);
	return (before && after && !haruns_is_empty(before) && !haruns_is_empty(after) &&
		haruns_trail(before) + haruns_lead(after) < l->len) ||
	       haslab_large_run(s, l, slot_start(s, slot));
}

/*
 * A part lies beside the border before @slot. Prefetch @other, the slot on the other side, and
 * queue the border; it is looked at after LARGE_BORDERS more have been found.
 */
static bool haslab_large_border(struct haslab *s, struct large *l, u32 slot, u32 other)
{
	u32 *border = &l->border[l->nr_borders % LARGE_BORDERS];

	if (l->nr_borders++ >= LARGE_BORDERS && !haslab_large_across(s, l, *border))
		return false;
	*border = slot;
	prefetch(mixed_place(s, other));
	return true;
}

/* Only the ends matter of a slot in which no run is long enough by itself. */
static bool haslab_large_at_ends(struct haslab *s, struct large *l, u32 slot)
{
	const struct haruns *r = &mixed_of(s, slot)->runs;

	if (!haslab_large_spend(l, haslab_run_steps(r)))
		return false;
	if (haruns_lead(r) >= l->part && slot && !haslab_large_border(s, l, slot, slot - 1))
		return false;
	return haruns_trail(r) < l->part || slot_start(s, slot + 1) >= s->cfg.nr_blocks ||
	       haslab_large_border(s, l, slot + 1, slot + 1);
}

static bool haslab_large_in_slot(struct haslab *s, struct large *l, u32 slot)
{
	const struct haslab_mixed *m = mixed_of(s, slot);
	struct haruns_run run;

	if (m->runs.nr_known == slot_blocks(s) && m->runs.max_free < l->len)
		return haslab_large_at_ends(s, l, slot);
	run = haruns_at(&m->runs, 0);
	if (!haslab_large_spend(l, 1 + m->runs.nr))
		return false;
	do {
		if (run.state == HARUNS_FREE && run.len >= l->part &&
		    !haslab_large_run(s, l, slot_start(s, slot) + run.start))
			return false;
	} while (haruns_next(&m->runs, &run));
	return true;
}

/*
 * What an entry of the index stands for: a slot, or a joined run. The latter is all of a free run
 * if it lies in two slots that are wholly mixed.
 */
static bool haslab_large_in_entry(struct haslab *s, struct large *l, u32 entry)
{
	u32 slot = entry_slot(entry);
	const struct haruns *r, *next;

	if (!entry_is_joined(entry))
		return haslab_large_in_slot(s, l, slot);
	if (!haslab_large_spend(l, 1))
		return false;
	r = haslab_whole_slot(s, slot);
	next = haslab_whole_slot(s, slot + 1);
	return (r && next && !haruns_is_empty(r) && !haruns_is_empty(next) &&
		r->joined < haslab_listed_bucket(l->len)) ||
	       haslab_large_run(s, l, slot_start(s, slot + 1) - 1);
}

/* Prefetch an entry that is looked at soon. */
static u32 haslab_large_prefetch(struct haslab *s, u32 entry)
{
	prefetch(mixed_of(s, entry_slot(entry)));
	prefetch(entry_link(s, entry));
	return entry;
}

/* The next non-empty bucket below @bucket with parts that may be long enough, or 0. */
static u32 haslab_large_list(const struct large *l, const struct haslab_group *g, u32 bucket)
{
	u32 end = bucket;

	bucket = find_last_bit(g->mixed_mask, end);
	return bucket < end && bucket >= haslab_bucket_of(l->part) ? bucket : 0;
}

/*
 * Longest runs first, as their neighbours need not be long. Scan several lists in parallel, to
 * hide the latency from one slot to the next in a list.
 */
static bool haslab_large_in_slots(struct haslab *s, struct large *l, const struct haslab_group *g)
{
	u32 bucket = haslab_large_list(l, g, HASLAB_NR_BUCKETS), at[LARGE_LISTS], nr = 0, i, next;

	while (nr || bucket) {
		for (; bucket && nr < LARGE_LISTS; bucket = haslab_large_list(l, g, bucket))
			at[nr++] = haslab_large_prefetch(s, g->mixed[bucket]);
		for (i = 0; i < nr;) {
			if (!haslab_large_in_entry(s, l, at[i]))
				return false;
			next = entry_link(s, at[i])->next;
			if (next != NO_ENTRY)
				at[i++] = haslab_large_prefetch(s, next);
			else
				at[i] = at[--nr];
		}
	}
	return true;
}

static bool haslab_large_in_slab(struct haslab *s, struct large *l, struct haslab_slab *slab)
{
	u32 nr_used = slab->nr_objects - slab->nr_free;
	u64 pos, end;

	if (!haslab_large_spend(l, 1))
		return false;
	if (slab->nr_blocks - nr_used * s->classes[slab->class].blocks < l->part)
		return true;
	if (!haslab_slab_keeps(slab) &&
	    !haslab_large_spend(l, slab->nr_objects / (BITS_PER_LONG / 2)))
		return false;
	if (haslab_slab_longest(s, slab) + SLAB_REST < l->part)
		return true;
	if (!haslab_large_spend(l, 2 * haslab_slab_rows(slab)))
		return false;
	for (pos = slab->start; pos < slab_end(slab); pos = end)
		if (haslab_stretch(s, pos, &end) && end - pos >= l->part &&
		    !haslab_large_run(s, l, pos))
			return false;
	return true;
}

static bool haslab_large_in_slabs(struct haslab *s, struct large *l, const struct haslab_group *g)
{
	struct haslab_slab *slab;
	int class;

	for (class = 0; class < HASLAB_NR_CLASSES; class++)
		list_for_each_entry(slab, &g->partial[class], list)
			if (!haslab_large_in_slab(s, l, slab))
				return false;
	return true;
}

/* Try the runs around the free buddy blocks of all sizes. */
static bool haslab_large_in_buddy(struct haslab *s, struct large *l)
{
	u64 units[LARGE_BLOCKS + 1], avail;
	int nr = 0, i;

	for (avail = s->buddy.avail; avail; avail &= avail - 1)
		nr += habuddy_free_blocks(&s->buddy, __ffs64(avail), units + nr,
					  LARGE_BLOCKS + 1 - nr);
	if (nr > LARGE_BLOCKS)
		return false;
	for (i = 0; i < nr; i++)
		if (!haslab_large_run(s, l, units[i] << s->cfg.unit_shift))
			return false;
	return true;
}

static bool haslab_large_in_groups(struct haslab *s, struct large *l)
{
	unsigned int i;

	for (i = 0; i < s->nr_groups; i++)
		if (!haslab_large_in_slots(s, l, &s->groups[i]) ||
		    !haslab_large_in_slabs(s, l, &s->groups[i]))
			return false;
	/* the borders that still wait */
	for (i = 0; i < min_t(u32, l->nr_borders, LARGE_BORDERS); i++)
		if (!haslab_large_across(s, l, l->border[i]))
			return false;
	return true;
}

/*
 * An extent of @max blocks, or the longest one of at least *@len: out. Return: 0; -ENOSPC no free
 * run fits; -E2BIG it gave up, or *@len is too short to know.
 */
static int haslab_search_large(struct haslab *s, u64 *len, u64 max, u64 align, u64 *found)
{
	struct large l = {
		.len = *len, .max = max, .align = align,
		.part = haslab_large_part(s, *len), .found = found,
	};
	bool all;

	haslab_assert_all(s);
	/* slabs without a free object are in no list */
	l.steps = haslab_large_part(s, max) > SLAB_REST ? haslab_steps(s, LARGE_STEPS) : LARGE_FEW;
	if (haslab_free_blocks(s) < *len || haslab_known_longest(s) < *len)
		return -ENOSPC;
	/* only buddy blocks can be longer than a slot */
	all = (l.part > slot_blocks(s) || haslab_large_in_groups(s, &l)) &&
	      haslab_large_in_buddy(s, &l) && l.part > SLAB_REST;
	if (!l.done && !all)
		return -E2BIG;
	if (!l.best)
		return -ENOSPC;
	*len = l.best;
	return 0;
}

/* ---- the best run ---- */

/* The shortest run that fits so far. */
struct best {
	u64 len;	/* length of the extent */
	u64 align;	/* alignment of its start */
	u64 size;	/* length of the run; U64_MAX: none found */
	u64 *found;	/* out: where the extent begins in it */
	int steps;	/* how many it may still look at */
};

/*
 * The free run around @pos, outside slabs: pools may hold some of their objects; or what is found
 * of it in the steps that are left, and some more.
 */
static u64 haslab_run_around(struct haslab *s, u64 pos, u64 *start, struct best *b)
{
	u64 end = pos, next;

	do {
		b->steps -= pos ? haslab_look_steps(s, pos - 1) : 1;
		*start = pos;
		if (pos && !haslab_slab_at(s, pos - 1))
			pos = haslab_part_before(s, pos);
	} while (pos < *start && b->steps > -BEST_MORE);
	while (b->steps > -2 * BEST_MORE && end < s->cfg.nr_blocks && !haslab_slab_at(s, end) &&
	       haslab_stretch(s, end, &next)) {
		b->steps -= haslab_look_steps(s, end);
		end = next;
	}
	return end - *start;
}

static bool haslab_is_free_at(struct haslab *s, u64 pos)
{
	return pos < s->cfg.nr_blocks && haslab_is_free(s, pos);
}

static void haslab_best_around(struct haslab *s, u64 pos, struct best *b)
{
	u64 skip = haslab_skip(pos, b->align), start, size;

	if (b->steps <= 0)
		return;
	b->steps--;
	/* the run may have an aligned block only if the one before or after @pos is free */
	if (b->align > 1 && !haslab_is_free_at(s, skip ? pos + skip - b->align : pos) &&
	    !haslab_is_free_at(s, pos + skip))
		return;
	size = haslab_run_around(s, pos, &start, b);
	if (size < b->size && haslab_run_fits(start, size, b->len, b->align, b->found))
		b->size = size;
}

/* Try runs around free buddy blocks of an order. */
static void haslab_best_of_order(struct haslab *s, unsigned int order, struct best *b)
{
	int nr = b->align > 1 ? BEST_ALIGNED : BEST_TRIES, i;
	u64 units[BEST_TRIES];

	nr = habuddy_free_blocks(&s->buddy, order, units, nr);

	for (i = 0; i < nr; i++)
		haslab_best_around(s, units[i] << s->cfg.unit_shift, b);
}

static void haslab_best_at_ends(struct haslab *s, u32 slot, struct best *b)
{
	const struct haruns *r = &mixed_of(s, slot)->runs;

	if (haruns_lead(r))
		haslab_best_around(s, slot_start(s, slot), b);
	if (haruns_trail(r))
		haslab_best_around(s, slot_start(s, slot + 1) - haruns_trail(r), b);
}

/* Try runs that extend past the ends of the slots with the longest runs. */
static void haslab_best_of_slots(struct haslab *s, const struct haslab_group *g, struct best *b)
{
	u32 tries = b->align > 1 ? BEST_ALIGNED : BEST_TRIES, entry;
	u32 least = haslab_bucket_of(slot_blocks(s) / 4);
	u32 end = HASLAB_NR_BUCKETS, bucket;

	tries = min_t(u32, tries, BEST_SLOTS / s->nr_groups);
	for (; (bucket = find_last_bit(g->mixed_mask, end)) < end && bucket > least; end = bucket)
		for (entry = g->mixed[bucket]; entry != NO_ENTRY;
		     entry = entry_link(s, entry)->next) {
			ha_step(1);
			if (b->steps-- <= 0)
				return;
			if (entry_is_joined(entry))
				continue;
			if (!tries--)
				return;
			haslab_best_at_ends(s, entry_slot(entry), b);
		}
}

/* Try the shortest runs that go on in the next slot. */
static void haslab_best_of_joined(struct haslab *s, const struct haslab_group *g, struct best *b)
{
	u32 tries = b->align > 1 ? BEST_ALIGNED : BEST_TRIES, entry;
	u32 bucket = haslab_listed_bucket(b->len);

	for_each_set_bit_from(bucket, g->mixed_mask, HASLAB_NR_BUCKETS)
		for (entry = g->mixed[bucket]; entry != NO_ENTRY;
		     entry = entry_link(s, entry)->next) {
			if (!tries-- || bucket > haslab_listed_bucket(b->size))
				return;
			if (entry_is_joined(entry))
				haslab_best_around(s, slot_start(s, entry_slot(entry) + 1) - 1, b);
		}
}

/*
 * Find a free run for an extent that is longer than a slot, or aligned to more: the shortest
 * that fits of those it looks at, which are some slots and blocks. If it fits anywhere in a free
 * block of some order, one is found. The largest of several adjacent free buddy blocks is more
 * than a quarter of their sum, so smaller blocks are skipped, and so are larger ones once a run
 * has been found. The caller has shut out all groups.
 */
bool haslab_best_run(struct haslab *s, u64 len, u64 align, u64 *found)
{
	u64 units = DIV_ROUND_UP_ULL(len, unit_blocks(s)), avail;
	int steps = align > 1 ? haslab_steps(s, BEST_STEPS_ALIGNED) :
		    haslab_units_are_small(s) ? BEST_STEPS_SMALL : BEST_STEPS;
	unsigned int low = order_base_2(units + 2), i, order;
	unsigned int enough = order_base_2(max(units, align >> s->cfg.unit_shift));
	struct best b = {
		.len = len, .align = align, .size = U64_MAX, .found = found,
		.steps = steps / 2,
	};

	haslab_assert_all(s);
	if (align & (align - 1))
		enough = order_base_2(DIV_ROUND_UP_ULL(len + align - 1, unit_blocks(s)));
	for (i = 0; i < s->nr_groups; i++)
		haslab_best_of_joined(s, &s->groups[i], &b);
	for (i = 0; i < s->nr_groups; i++)
		haslab_best_of_slots(s, &s->groups[i], &b);
	/* many slots may have taken their half of the steps in vain */
	b.steps = max(b.steps, 0) + steps / 2;
	/* 3, not 2: there may also be parts of slots beside the blocks */
	low -= min(low, 3U);
	for (avail = s->buddy.avail >> low << low; avail; avail &= avail - 1) {
		order = __ffs64(avail);
		if (order >= enough && b.size <= (u64)unit_blocks(s) << order)
			break;
		/* in each of these blocks it fits: try one in any case */
		if (order >= enough)
			b.steps = max(b.steps, 1);
		haslab_best_of_order(s, order, &b);
	}
	return b.size < U64_MAX;
}

/* ---- all places ---- */

/*
 * With a large alignment there are few places where an extent can begin: look at these. Return: 0;
 * -ENOSPC it fits at none of them; -E2BIG there are too many, or too many stretches at them. As
 * haslab_search_large().
 */
static int haslab_search_places(struct haslab *s, u64 *len, u64 max, u64 align, u64 *found)
{
	u64 pos = s->cfg.first_block + haslab_skip(s->cfg.first_block, align), best = 0, size;
	int steps = haslab_steps(s, PLACES_STEPS);

	haslab_assert_all(s);
	if (pos >= s->cfg.nr_blocks || s->cfg.nr_blocks - pos < *len)
		return -ENOSPC;
	if (div64_u64(s->cfg.nr_blocks - *len - pos, align) >= PLACES)
		return -E2BIG;
	for (; best < max && pos + max(*len, best + 1) <= s->cfg.nr_blocks; pos += align) {
		if (!haslab_is_free(s, pos))
			continue;
		size = min(haslab_run_at(s, pos, max, &steps), max);
		if (size >= max(*len, best + 1)) {
			best = size;
			*found = pos;
		}
		if (steps < 0 && best < max)
			return -E2BIG;
	}
	if (!best)
		return -ENOSPC;
	*len = best;
	return 0;
}

/* ---- all runs ---- */

/* Look at all of the device; at what keeps its sum only if a run in it may be long enough. */
static int haslab_search_all(struct haslab *s, u64 len, u64 align, u64 *found)
{
	unsigned int order = ilog2(align);
	struct haslab_sum sum;
	struct haslab_walk w;
	bool done = false;
	u64 carry = 0, pos;
	int ret;

	haslab_walk_start(&w, s, 0, U64_MAX, HASLAB_WALK_LONG);
	while (!done && haslab_walk_next(&w))
		while (!done && w.pos < w.limit && w.steps > 0) {
			pos = w.pos;
			sum = haslab_walk_sum(&w, order, len);
			done = haslab_run_fits(pos - carry, carry + sum.lead, len, align, found) ||
			       (sum.usable >= len && haslab_walk_find(&w, pos, len, order, found));
			carry = sum.trail == sum.size ? carry + sum.size : sum.trail;
		}
	if (done)
		w.flags &= ~HASLAB_WALK_REST;
	ret = haslab_walk_end(&w);
	return done ? 0 : ret ?: -ENOSPC;
}

/*
 * The length of the longest extent that fits, up to @max, if it is at least *@len: out. Goes by the
 * sums, and does not say where it fits. Return: as haslab_find().
 */
static int haslab_longest_all(struct haslab *s, u64 *len, u64 max, u64 align)
{
	u64 best = *len - 1, carry = 0, pos, skip;
	unsigned int order = ilog2(align);
	struct haslab_sum sum;
	struct haslab_walk w;
	int ret;

	haslab_walk_start(&w, s, 0, U64_MAX, HASLAB_WALK_LONG);
	while (best < max && haslab_walk_next(&w))
		while (best < max && w.pos < w.limit && w.steps > 0) {
			pos = w.pos;
			/* what is usable may be wrong only if it is no more than @best */
			sum = haslab_walk_sum(&w, order, best + 1);
			skip = haslab_skip(pos - carry, align);
			if (carry + sum.lead > skip)
				best = max(best, carry + sum.lead - skip);
			best = max(best, sum.usable);
			carry = sum.trail == sum.size ? carry + sum.size : sum.trail;
		}
	ret = haslab_walk_end(&w);
	if (ret)
		return ret;
	if (best < *len)
		return -ENOSPC;
	*len = min(best, max);
	return 0;
}

/* The first looks, in one hold of all groups. Return: as haslab_search_places(). */
static int haslab_find_few(struct haslab *s, u64 *len, u64 max, u64 align, u64 *start)
{
	int ret;

	haslab_lock_all(s);
	ret = haslab_search_places(s, len, max, align, start);
	if (ret == -E2BIG)
		ret = haslab_search_large(s, len, max, align, start);
	/* what was found may be gone after a rest */
	if (ret)
		haslab_unlock_all_rest(s);
	else
		haslab_unlock_all(s);
	return ret;
}

/**
 * haslab_find - find a free run that fits, without taking it
 * @s: the slab allocator
 * @len: number of blocks
 * @align: of the start of the extent, in blocks
 * @start: out: where an extent fits in it
 *
 * Other tasks may allocate meanwhile, also what was found. Context: slow mode (see
 * haslab_claim()), may sleep. Return: 0; -ENOSPC no free run fits; -EINTR the caller was killed;
 * -ENODEV the device is being detached.
 */
int haslab_find(struct haslab *s, u64 len, u64 align, u64 *start)
{
	int ret = haslab_find_few(s, &len, len, align, start);

	if (ret != -E2BIG)
		return ret;
	return align & (align - 1) ? haslab_stripe_find(s, &len, len, align, start) :
				     haslab_search_all(s, len, align, start);
}

/**
 * haslab_find_longest - the length of the longest extent that fits somewhere
 * @s: the slab allocator
 * @len: the shortest that will do, in blocks; out: the longest that fits, up to @max
 * @max: the longest that is asked for
 * @align: of the start of the extent, in blocks
 *
 * Context: as haslab_find(). Return: as haslab_find().
 */
int haslab_find_longest(struct haslab *s, u64 *len, u64 max, u64 align)
{
	u64 start;
	int ret = haslab_find_few(s, len, max, align, &start);

	if (ret != -E2BIG)
		return ret;
	return align & (align - 1) ? haslab_stripe_find(s, len, max, align, &start) :
				     haslab_longest_all(s, len, max, align);
}

/**
 * haslab_search - allocate from any free run that fits
 * @s: the slab allocator
 * @len: number of blocks
 * @align: alignment of its start, in blocks
 * @gfp: how to wait for memory
 * @start: out: its first block
 *
 * Finds a run that fits if there is one. Other tasks may allocate meanwhile; if one takes the run
 * that was found, the search starts again. Context: slow mode (see haslab_claim()), may sleep.
 *
 * Return: 0; -ENOSPC no free run fits; -ENOMEM; -EINTR the caller was killed; -ENODEV the device
 * is being detached.
 */
int haslab_search(struct haslab *s, u64 len, u64 align, gfp_t gfp, u64 *start)
{
	unsigned int tries = 0;
	int ret;

	do {
		ret = haslab_find(s, len, align, start);
		if (ret)
			return ret;
		ret = haslab_claim(s, *start, len, true, gfp);
		/* the task that delays an object, or is always faster, may need this CPU */
		if ((ret == -EAGAIN || (ret == -EEXIST && ++tries % SEARCH_TRIES == 0)) &&
		    haslab_pause(s))
			return -EINTR;
	} while (ret == -EEXIST || ret == -EAGAIN);
	return ret;
}
