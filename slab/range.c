// SPDX-License-Identifier: GPL-2.0
/*
 * The slab layer by address: what is free, from where to where, whatever it
 * lies in; searches for a run across all borders; and extents at given places.
 *
 * An extent that lies in one slot, or is one block of the buddy, is recorded
 * there. One that lies in several places is a span: a record by address. Its
 * pieces in mixed slots are SPECIAL, its whole units are not free in the buddy.
 * Pieces are freed by walking over them in the same way as they were taken, so
 * the ranges that go back to the buddy are those that came from it.
 *
 * See slab.c for the layer as a whole.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/sched.h>

#include "slab/runs_hit.h"
#include "slab/internal.h"

/* How many free runs to look at near a goal. */
#define NEAR_TRIES	64
/* How far from it, in dirs. */
#define NEAR_DIRS	4

/* ---- spans ---- */

/* The span that starts last at or before @block, or NULL. */
static struct haslab_span *span_find(struct haslab *s, u64 block)
{
	struct rb_node *node = s->spans.rb_node;
	struct haslab_span *span, *best = NULL;

	while (node) {
		span = rb_entry(node, struct haslab_span, node);
		if (span->start <= block) {
			best = span;
			node = node->rb_right;
		} else {
			node = node->rb_left;
		}
	}
	return best && block - best->start < best->len ? best : NULL;
}

static void span_insert(struct haslab *s, struct haslab_span *span)
{
	struct rb_node **link = &s->spans.rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		if (span->start < rb_entry(parent, struct haslab_span, node)->start)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&span->node, parent, link);
	rb_insert_color(&span->node, &s->spans);
}

/* ---- what is free, by address ---- */

/* From @pos on there is neither slab nor mixed part up to here, at the least. */
static u64 gap_end(struct haslab *s, u64 pos)
{
	struct haslab_dir *dir = map_dir(s, pos);
	u64 step = unit_blocks(s);

	if (!dir->nr_slabs && !dir->mixed)
		step = dir_blocks(s);
	else if (!dir->nr_slabs && !mixed_slot(s, slot_of(s, pos)))
		step = slot_blocks(s);
	return min(round_down(pos, step) + step, s->cfg.nr_blocks);
}

/* As haslab_stretch(), where there is no slab. */
static bool gap_stretch(struct haslab *s, u64 pos, u64 *end)
{
	unsigned int shift = s->cfg.unit_shift;
	u64 unit, nr;

	if (habuddy_free_order(&s->buddy, pos >> shift) >= 0) {
		habuddy_next_free(&s->buddy, pos >> shift, U64_MAX, &unit, &nr);
		*end = (unit + nr) << shift;
		return true;
	}
	*end = gap_end(s, pos);
	if (habuddy_next_free(&s->buddy, pos >> shift, *end >> shift, &unit, &nr))
		*end = unit << shift;
	return false;
}

static bool object_stretch(struct haslab *s, struct haslab_slab *slab, u64 pos, u64 *end)
{
	u32 i = object_of(s, slab, pos);
	bool is_free = i >= slab->nr_objects || test_bit(i, slab->free);

	if (!is_free)
		i = find_next_bit(slab->free, slab->nr_objects, i);
	else if (i < slab->nr_objects)
		i = find_next_zero_bit(slab->free, slab->nr_objects, i);
	/* behind the last object is a rest, which is free */
	*end = i < slab->nr_objects || !is_free ? object_start(s, slab, i) : slab_end(slab);
	return is_free;
}

/*
 * Whether @pos is free, and up to where all that follows is the same; it may
 * go on behind @end.
 */
bool haslab_stretch(struct haslab *s, u64 pos, u64 *end)
{
	struct haslab_mixed *m = mixed_at(s, pos);
	struct haslab_slab *slab;
	struct haruns_run run;

	if (m) {
		run = mixed_run(s, m, pos);
		*end = run_start(s, pos, &run) + run.len;
		return run.state == HARUNS_FREE;
	}
	slab = haslab_lookup(s, pos);
	return slab ? object_stretch(s, slab, pos, end) : gap_stretch(s, pos, end);
}

/*
 * The first free run that begins at or behind @pos and before @limit, across
 * all borders. It may be longer than @len if that is @enough.
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

static void sum_append(struct haslab_sum *sum, u64 lead, u64 longest, u64 trail, u64 size)
{
	longest = max(longest, sum->trail + lead);
	sum->longest = max(sum->longest, longest);
	if (sum->lead == sum->size)
		sum->lead += lead;
	sum->trail = trail == size ? sum->trail + size : trail;
	sum->size += size;
}

/* Append what is from @pos to @end: a piece at a time, mixed slots as a whole. */
static void sum_up(struct haslab *s, struct haslab_sum *sum, u64 pos, u64 end)
{
	while (pos < end) {
		struct haslab_mixed *m = mixed_slot(s, slot_of(s, pos));
		u64 next, len;

		if (m && m->runs.nr_known == slot_blocks(s)) {
			sum_append(sum, haruns_lead(&m->runs), m->runs.max_free,
				   haruns_trail(&m->runs), slot_blocks(s));
			pos += slot_blocks(s);
			continue;
		}
		len = haslab_stretch(s, pos, &next) ? min(next, end) - pos : 0;
		next = min(next, end);
		/* a stretch may reach into the next slot: only over gaps */
		sum_append(sum, len, len, len, next - pos);
		pos = next;
	}
}

/* The sum of the dir at @start. */
struct haslab_sum haslab_dir_sum(struct haslab *s, u64 start)
{
	struct haslab_dir *dir = map_dir(s, start);
	struct haslab_sum sum = {};

	if (dir->summed)
		return (struct haslab_sum) {
			dir->lead, dir->longest, dir->trail,
			min(dir_blocks(s), s->cfg.nr_blocks - start)
		};
	sum_up(s, &sum, start, min(start + dir_blocks(s), s->cfg.nr_blocks));
	dir->lead = sum.lead;
	dir->longest = sum.longest;
	dir->trail = sum.trail;
	dir->summed = true;
	return sum;
}

/* ---- given ranges ---- */

/*
 * Whether a range is free; -EAGAIN if the answer may be another one in the
 * exclusive mode, with the pools empty.
 */
static int range_is_free(struct haslab *s, u64 start, u64 len, bool exclusive)
{
	u64 pos = start, end;

	while (pos < start + len) {
		if (!exclusive && haslab_lookup(s, pos))
			return -EAGAIN;
		if (!haslab_stretch(s, pos, &end))
			return exclusive ? -EEXIST : -EAGAIN;
		pos = end;
	}
	return 0;
}

/* The free block of the buddy around @block, a slot at the most: its end, or 0. */
static u64 around(struct haslab *s, u64 block, u64 *start)
{
	int order = habuddy_free_order(&s->buddy, block >> s->cfg.unit_shift);
	u64 size;

	if (order < 0)
		return 0;
	size = min_t(u64, (u64)unit_blocks(s) << order, slot_blocks(s));
	*start = round_down(block, size);
	return *start + size;
}

/* Free units become part of a mixed slot. */
static int mixed_add_units(struct haslab *s, u64 start, u64 len, struct hamem_op *op)
{
	int ret = haslab_buddy_take(s, start, len, op);

	if (ret)
		return ret;
	ret = haslab_mixed_add(s, haslab_own_group(s), start, len, 0, op);
	if (ret)
		haslab_buddy_put(s, start, len);
	return ret;
}

/* The free block at @pos, of the buddy or in a slab, becomes part of a mixed slot. */
static int mixed_here(struct haslab *s, u64 pos, struct hamem_op *op)
{
	struct haslab_slab *slab = haslab_lookup(s, pos);
	u64 start, end;

	if (mixed_at(s, pos))
		return 0;
	if (slab)
		return haslab_convert(s, slab, op);
	end = around(s, pos, &start);
	return end ? mixed_add_units(s, start, end - start, op) : -EEXIST;
}

/* The whole units from @pos on, but not behind @end, that are in use by nobody else, end here. */
static u64 gap_units_end(struct haslab *s, u64 pos, u64 end)
{
	end = round_down(end, unit_blocks(s));
	while (pos < end && !mixed_at(s, pos) && !haslab_lookup(s, pos))
		pos = min(end, gap_end(s, pos));
	return pos;
}

/* The end of the run of a mixed slot that @pos lies in. */
static u64 mixed_run_end(struct haslab *s, u64 pos)
{
	struct haruns_run run = mixed_run(s, mixed_at(s, pos), pos);

	return run_start(s, pos, &run) + run.len;
}

/* Free the pieces of an extent from @pos to @end. */
static void pieces_put(struct haslab *s, u64 pos, u64 end)
{
	u64 piece;

	for (; pos < end; pos = piece) {
		if (mixed_at(s, pos)) {
			piece = mixed_run_end(s, pos);
			haslab_mixed_clear(s, pos);
		} else {
			piece = gap_units_end(s, pos, end);
			haslab_buddy_put(s, pos, piece - pos);
		}
	}
}

/* A piece that is free, from @pos to @end at the most. Return: 0 with its end in @piece. */
static int piece_take(struct haslab *s, u64 pos, u64 end, enum haruns_state state,
		      struct hamem_op *op, u64 *piece)
{
	int ret;

	*piece = pos;
	if (IS_ALIGNED(pos, unit_blocks(s)))
		*piece = gap_units_end(s, pos, end);
	if (*piece > pos)
		return haslab_buddy_take(s, pos, *piece - pos, op);
	ret = mixed_here(s, pos, op);
	if (ret)
		return ret;
	*piece = min(end, mixed_run_end(s, pos));
	ret = haslab_mixed_set(s, pos, *piece - pos, state, op);
	if (ret)
		haslab_mixed_settle(s, slot_of(s, pos));
	return ret;
}

/*
 * Take the free blocks from @start to @end, in the pieces in which
 * pieces_put() will find them.
 */
static int pieces_take(struct haslab *s, u64 start, u64 end, enum haruns_state state,
		       struct hamem_op *op)
{
	u64 pos, piece;
	int ret;

	for (pos = start; pos < end; pos = piece) {
		ret = piece_take(s, pos, end, state, op, &piece);
		if (ret) {
			pieces_put(s, start, pos);
			return ret;
		}
	}
	return 0;
}

static int span_take(struct haslab *s, u64 start, u64 len, struct hamem_op *op)
{
	struct haslab_span *span = hamem_get(&s->mem, op, sizeof(*span));
	int ret;

	if (!span)
		return -ENOMEM;
	ret = pieces_take(s, start, start + len, HARUNS_SPECIAL, op);
	if (ret) {
		hamem_put(&s->mem, span);
		return ret;
	}
	span->start = start;
	span->len = len;
	span_insert(s, span);
	return 0;
}

/* What is free from @start to @end, all in one slot, becomes part of its mixed part. */
static int mixed_through(struct haslab *s, u64 start, u64 end, struct hamem_op *op)
{
	u64 pos, units;
	int ret;

	for (pos = start; pos < end; pos = round_down(pos, unit_blocks(s)) + unit_blocks(s)) {
		units = IS_ALIGNED(pos, unit_blocks(s)) ? gap_units_end(s, pos, end) - pos : 0;
		ret = units ? mixed_add_units(s, pos, units, op) : mixed_here(s, pos, op);
		if (ret)
			return ret;
	}
	return 0;
}

/* Make an extent out of blocks that are known to be free. */
int haslab_extent_take(struct haslab *s, u64 start, u64 len, struct hamem_op *op)
{
	u64 unit = start >> s->cfg.unit_shift, end = start + len;
	int ret;

	if (is_block(s, start, len) && habuddy_free_order(&s->buddy, unit) >= 0) {
		ret = haslab_buddy_take(s, start, len, op);
		if (!ret)
			habuddy_own(&s->buddy, unit, ilog2(len >> s->cfg.unit_shift));
		if (ret != -EEXIST)
			return ret;
	}
	if (slot_of(s, start) != slot_of(s, end - 1))
		return span_take(s, start, len, op);
	ret = mixed_through(s, start, end, op);
	if (!ret)
		ret = haslab_mixed_set(s, start, len, HARUNS_LIVE, op);
	if (ret && mixed_at(s, start))
		haslab_mixed_settle(s, slot_of(s, start));
	return ret;
}

static int claim_locked(struct haslab *s, u64 start, u64 len, bool exclusive, struct hamem_op *op)
{
	int ret = range_is_free(s, start, len, exclusive);

	return ret ?: haslab_extent_take(s, start, len, op);
}

/**
 * haslab_claim - make a live extent of a given range
 * @s: the slab allocator
 * @start: first block
 * @len: number of blocks; all inside the device
 * @exclusive: the pools are empty and closed, and nobody frees into them
 * @gfp: how to wait for memory
 *
 * Context: process context; may sleep if @gfp lets it.
 *
 * Return: 0; -EEXIST (part of) it is taken; -EAGAIN it takes the exclusive mode
 * to know or, in that mode, another try in a moment; -ENOMEM.
 */
int haslab_claim(struct haslab *s, u64 start, u64 len, bool exclusive, gfp_t gfp)
{
	struct hamem_op op = HAMEM_OP(gfp);

	return haslab_with_all(s, &op, claim_locked(s, start, len, exclusive, &op));
}

/* ---- near a goal ---- */

/*
 * Among the runs that begin at or behind the goal, but not far from it, the
 * first that fits. Those in slabs of equal objects are left alone.
 */
static int near_locked(struct haslab *s, u64 len, u64 align, u64 goal, struct hamem_op *op,
		       u64 *start)
{
	u64 pos = goal, limit = min(goal + NEAR_DIRS * dir_blocks(s), s->cfg.nr_blocks), size, skip;
	int tries;

	for (tries = NEAR_TRIES; tries; tries--) {
		if (!haslab_next_run(s, pos, limit, len + align, start, &size))
			break;
		pos = *start + size;
		skip = -*start & (align - 1);
		*start += skip;
		if (size >= len && size - len >= skip && !range_is_free(s, *start, len, false))
			return haslab_extent_take(s, *start, len, op);
	}
	return -ENOSPC;
}

/**
 * haslab_alloc_near - allocate at a given place, or soon behind it
 * @s: the slab allocator
 * @len: number of blocks
 * @align: of its start, a power of two, in blocks
 * @goal: the place
 * @gfp: how to wait for memory
 * @start: out: its first block
 *
 * Looks at a bounded number of free runs within 4 GiB.
 *
 * Context: process context; may sleep if @gfp lets it.
 *
 * Return: 0; -ENOSPC there is nothing near it; -ENOMEM.
 */
int haslab_alloc_near(struct haslab *s, u64 len, u64 align, u64 goal, gfp_t gfp, u64 *start)
{
	struct hamem_op op = HAMEM_OP(gfp);

	if (goal >= READ_ONCE(s->cfg.nr_blocks))
		return -ENOSPC;
	return haslab_with_all(s, &op, near_locked(s, len, align, goal, &op, start));
}

/* ---- hold ---- */

/**
 * haslab_next_free - the next free blocks
 * @s: the slab allocator
 * @from: first block to look at
 * @start: out: first free block
 * @len: out: how many are free, as far as their slab or the gap between slabs goes
 *
 * Looks at a GiB at a time: on a full device it looks at all there is.
 * Context: may sleep. Return: whether there are any.
 */
bool haslab_next_free(struct haslab *s, u64 from, u64 *start, u64 *len)
{
	bool found = false;
	u64 end = from, limit;

	while (!found && end < READ_ONCE(s->cfg.nr_blocks)) {
		haslab_lock_all(s);
		limit = min(round_down(end, dir_blocks(s)) + dir_blocks(s), s->cfg.nr_blocks);
		while (end < limit && !found) {
			*start = end;
			found = haslab_stretch(s, *start, &end);
		}
		haslab_unlock_all(s);
		cond_resched();
	}
	*len = end - *start;
	return found;
}

/* What of a range can be held: whole units of a gap, whole objects of a slab. */
static bool hold_clip(struct haslab *s, struct haslab_slab *slab, u64 *start, u64 *end)
{
	u64 first, last;

	if (slab) {
		first = object_of(s, slab, *start);
		first += object_start(s, slab, first) < *start;
		last = min_t(u32, object_of(s, slab, *end), slab->nr_objects);
		*start = object_start(s, slab, first);
		*end = object_start(s, slab, last);
	} else if (!mixed_at(s, *start)) {
		*start = round_up(*start, unit_blocks(s));
		*end = round_down(*end, unit_blocks(s));
	}
	return *start < *end;
}

static int hold_locked(struct haslab *s, u64 *start, u64 *len, struct hamem_op *op)
{
	struct haslab_mixed *m = mixed_at(s, *start);
	struct haslab_slab *slab = haslab_lookup(s, *start);
	u64 pos, end = *start + *len;

	if (!hold_clip(s, slab, start, &end))
		return -EAGAIN;
	*len = end - *start;
	if (mixed_at(s, *start) != m || haslab_lookup(s, *start) != slab ||
	    !haslab_stretch(s, *start, &pos) || pos < end)
		return -EAGAIN;
	if (m)
		return haslab_mixed_set(s, *start, *len, HARUNS_SPECIAL, op);
	if (!slab)
		return haslab_buddy_take(s, *start, *len, op);
	haslab_objects_hold(s, slab, object_of(s, slab, *start), object_of(s, slab, end));
	return 0;
}

/**
 * haslab_hold - keep free blocks from use
 * @s: the slab allocator
 * @start: first block; out: the first that is held
 * @len: number of blocks, all in one answer of haslab_next_free(); out: how
 *	many are held, which may be less
 * @gfp: how to wait for memory
 *
 * What is held is neither free nor an extent; a free of it is refused.
 *
 * Context: process context; may sleep if @gfp lets it.
 *
 * Return: 0; -EAGAIN there is nothing to hold, or no more; -ENOMEM.
 */
int haslab_hold(struct haslab *s, u64 *start, u64 *len, gfp_t gfp)
{
	struct hamem_op op = HAMEM_OP(gfp);

	return haslab_with_all(s, &op, hold_locked(s, start, len, &op));
}

/**
 * haslab_unhold - make held blocks free again
 * @s: the slab allocator
 * @start: as haslab_hold() said
 * @len: as haslab_hold() said
 *
 * Context: process context. Never needs memory.
 */
void haslab_unhold(struct haslab *s, u64 start, u64 len)
{
	struct haslab_slab *slab;

	haslab_lock_all(s);
	slab = haslab_lookup(s, start);
	if (mixed_at(s, start))
		haslab_mixed_clear(s, start);
	else if (slab)
		haslab_objects_unhold(s, slab, object_of(s, slab, start),
				      object_of(s, slab, start + len));
	else
		haslab_buddy_put(s, start, len);
	haslab_unlock_all(s);
}

/* ---- the map of extents ---- */

static struct haslab_map_entry span_entry(const struct haslab_span *span)
{
	return (struct haslab_map_entry) {
		span->start, span->len, HASLAB_MAP_LIVE, HASLAB_MAP_KIND_SPAN
	};
}

static struct haslab_map_entry gap_entry(struct haslab *s, u64 pos)
{
	struct haslab_span *span = span_find(s, pos);
	unsigned int shift = s->cfg.unit_shift, order;
	u64 unit;

	if (span)
		return span_entry(span);
	if (habuddy_find_owned(&s->buddy, pos >> shift, &unit, &order))
		return (struct haslab_map_entry) {
			unit << shift, (u64)unit_blocks(s) << order, HASLAB_MAP_LIVE,
			HASLAB_MAP_KIND_BUDDY
		};
	return (struct haslab_map_entry) {
		round_down(pos, unit_blocks(s)), unit_blocks(s), HASLAB_MAP_CACHED,
		HASLAB_MAP_KIND_BUDDY
	};
}

static struct haslab_map_entry mixed_entry(struct haslab *s, struct haslab_mixed *m, u64 pos)
{
	struct haruns_run run = mixed_run(s, m, pos);
	struct haslab_map_entry e = {
		run_start(s, pos, &run), run.len, HASLAB_MAP_LIVE, HASLAB_MAP_KIND_MIXED
	};
	struct haslab_mixed *next;
	struct haslab_span *span;

	if (!run.start && m->runs.tag & MIXED_CONTINUES)
		return mixed_entry(s, mixed_at(s, e.start - 1), e.start - 1);
	if (run.state == HARUNS_SPECIAL) {
		span = span_find(s, pos);
		e.state = HASLAB_MAP_HELD;
		return span ? span_entry(span) : e;
	}
	next = haslab_continuation(s, m, e.start + e.len - 1);
	if (next)
		e.len += haruns_at(&next->runs, 0).len;
	return e;
}

static struct haslab_map_entry object_entry(struct haslab *s, struct haslab_slab *slab, u64 pos)
{
	u32 i = object_of(s, slab, pos);

	return (struct haslab_map_entry) {
		object_start(s, slab, i), s->classes[slab->class].blocks,
		test_bit(i, slab->live) ? HASLAB_MAP_LIVE : HASLAB_MAP_CACHED,
		HASLAB_MAP_KIND_EQUAL
	};
}

static struct haslab_map_entry map_entry(struct haslab *s, u64 pos)
{
	struct haslab_map_entry e = { .start = pos, .state = HASLAB_MAP_FREE };
	struct haslab_mixed *m = mixed_at(s, pos);
	struct haslab_slab *slab;
	u64 end;

	if (haslab_stretch(s, pos, &end)) {
		haslab_next_run(s, pos, s->cfg.nr_blocks, U64_MAX, &e.start, &e.len);
		return e;
	}
	if (m)
		return mixed_entry(s, m, pos);
	slab = haslab_lookup(s, pos);
	return slab ? object_entry(s, slab, pos) : gap_entry(s, pos);
}

/**
 * haslab_map - what the device is used for
 * @s: the slab allocator
 * @from: first block of interest
 * @entries: out: what there is, in the order of addresses and without gaps. An
 *	extent that @from lies in is told as a whole, a free run from @from on
 * @nr: how many entries there may be
 *
 * The entries of one call belong together; the next call may see changes.
 * Context: process context. Return: the number of entries; 0 at the end.
 */
int haslab_map(struct haslab *s, u64 from, struct haslab_map_entry *entries, int nr)
{
	int got = 0;

	haslab_lock_all(s);
	while (got < nr && from < s->cfg.nr_blocks) {
		entries[got] = map_entry(s, from);
		from = entries[got].start + entries[got].len;
		got++;
	}
	haslab_unlock_all(s);
	return got;
}

/* ---- free ---- */

/* Free an extent that has a record of its own, or say why not. */
int haslab_span_free(struct haslab *s, u64 start, u64 len, enum hybrid_alloc_reason *reason)
{
	struct haslab_span *span = span_find(s, start);

	if (!span)
		return haslab_refuse(reason, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
	if (span->start != start || span->len != len)
		return haslab_refuse_live(reason, start, span->start);
	pieces_put(s, start, start + len);
	rb_erase(&span->node, &s->spans);
	hamem_put(&s->mem, span);
	return 0;
}

/* ---- stat ---- */

/**
 * haslab_stat - where the space is
 * @s: the slab allocator
 * @st: out
 * @walk: also count the free runs, by looking at all of them
 *
 * Context: process context; may sleep.
 */
void haslab_stat(struct haslab *s, struct haslab_stat *st, bool walk)
{
	struct haslab_sum sum = {}, part;
	u64 dir, pos, start, len;
	unsigned int i;

	memset(st, 0, sizeof(*st));
	for (dir = 0, pos = 0; dir < READ_ONCE(s->cfg.nr_blocks); dir += dir_blocks(s)) {
		haslab_lock_all(s);
		part = haslab_dir_sum(s, dir);
		sum_append(&sum, part.lead, part.longest, part.trail, part.size);
		while (walk && haslab_next_run(s, max(pos, dir), dir + part.size, U64_MAX,
					       &start, &len)) {
			st->nr_runs++;
			pos = start + len;
		}
		haslab_unlock_all(s);
		cond_resched();
	}
	st->largest_run = sum.longest;
	haslab_lock_all(s);
	st->free = s->buddy.free_units << s->cfg.unit_shift;
	for (i = 0; i < s->nr_groups; i++) {
		st->free += s->groups[i].free;
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
 * Looks at all free runs, those of a GiB at a time. Context: may sleep.
 */
void haslab_histogram(struct haslab *s, struct haslab_histogram *h)
{
	u64 dir, limit, pos = 0, start, len;

	memset(h, 0, sizeof(*h));
	for (dir = 0; dir < READ_ONCE(s->cfg.nr_blocks); dir += dir_blocks(s)) {
		limit = min(dir + dir_blocks(s), READ_ONCE(s->cfg.nr_blocks));
		haslab_lock_all(s);
		while (haslab_next_run(s, max(pos, dir), limit, U64_MAX, &start, &len)) {
			h->count[ilog2(len)]++;
			h->blocks[ilog2(len)] += len;
			pos = start + len;
		}
		haslab_unlock_all(s);
		cond_resched();
	}
}
