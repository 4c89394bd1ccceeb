// SPDX-License-Identifier: GPL-2.0
/*
 * Extents that are made of pieces. The caller has shut out all groups. See slab.c for the layer.
 *
 * An extent that lies in one slot, or is one buddy block, is recorded there. One that lies in
 * several places is a span: a record by address, in haslab.spans. Its pieces in mixed parts are
 * SPECIAL runs, its whole units are not free in the buddy. Blocks that are HELD are the same
 * pieces without the record.
 *
 * haslab_pieces_put() finds the pieces again by the same rules by which haslab_pieces_take() made
 * them, so the buddy gets back the ranges that it gave.
 */
#include <linux/errno.h>
#include <linux/kernel.h>

#include "slab/internal.h"

/* ---- the records ---- */

static int haslab_span_cmp(const void *key, const struct rb_node *node)
{
	const struct haslab_span *span = rb_entry(node, struct haslab_span, node);
	u64 block = *(const u64 *)key;

	if (block < span->start)
		return -1;
	return block - span->start >= span->len;
}

/* The span that @block lies in, or NULL. */
struct haslab_span *haslab_span_find(struct haslab *s, u64 block)
{
	struct rb_node *node = rb_find(&block, &s->spans, haslab_span_cmp);

	haslab_assert_all(s);
	return node ? rb_entry(node, struct haslab_span, node) : NULL;
}

static bool haslab_span_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct haslab_span, node)->start <
	       rb_entry(b, struct haslab_span, node)->start;
}

/* A record, of no extent yet. NULL: no memory. */
struct haslab_span *haslab_span_new(struct haslab *s, struct hamem_op *op)
{
	return hamem_get(&s->mem, op, sizeof(struct haslab_span));
}

/* An extent, the pieces of which were taken, is a span. */
void haslab_span_add(struct haslab *s, struct haslab_span *span, u64 start, u64 len)
{
	span->start = start;
	span->len = len;
	rb_add(&span->node, &s->spans, haslab_span_less);
	WRITE_ONCE(s->nr_spans, s->nr_spans + 1);
}

/* The reverse; the caller frees the record. */
void haslab_span_remove(struct haslab *s, struct haslab_span *span)
{
	rb_erase(&span->node, &s->spans);
	WRITE_ONCE(s->nr_spans, s->nr_spans - 1);
}

/*
 * What the buddy has allocated of a span around @pos, between mixed slots, will be freed as a
 * whole. A huge one has none of these but at its ends.
 */
static void haslab_span_join(struct haslab *s, const struct haslab_span *span, u64 pos)
{
	u64 start = span->start, end = start + span->len;
	u32 first = slot_of(s, pos), last = first;

	if (!haslab_is_huge(s, span->len)) {
		if (mixed_slot(s, first))
			return;
		while (slot_start(s, first) > start && !mixed_slot(s, first - 1))
			first--;
		while (slot_start(s, last + 1) < end && !mixed_slot(s, last + 1))
			last++;
		ha_step(last - first);
		start = max(start, slot_start(s, first));
		end = min(end, slot_start(s, last + 1));
	}
	haslab_buddy_join(s, pos, start, end);
}

/*
 * A span is not divided at @pos, or no longer: if it has all of the slot there, that needs no mixed
 * part, and what the buddy has allocated there is one block again. haslab_pieces_put() relies on
 * both.
 */
void haslab_span_absorb(struct haslab *s, const struct haslab_span *span, u64 pos)
{
	u32 slot = slot_of(s, pos);
	struct haslab_mixed *m = mixed_slot(s, slot);

	haslab_assert_all(s);
	if (m && slot_start(s, slot) >= span->start &&
	    slot_start(s, slot + 1) <= span->start + span->len) {
		haslab_cross_leave(s, mixed_group(s, m), slot);
		haslab_mixed_forget(s, slot);
	}
	haslab_span_join(s, span, pos);
}

/* ---- free space becomes part of a mixed slot ---- */

/* The free buddy block around @block, a slot at the most: its end, or 0. */
static u64 haslab_block_around(struct haslab *s, u64 block, u64 *start)
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
static int haslab_mixed_add_units(struct haslab *s, u64 start, u64 len, struct hamem_op *op)
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
static int haslab_mixed_make(struct haslab *s, u64 pos, struct hamem_op *op)
{
	struct haslab_slab *slab = haslab_lookup(s, pos);
	u64 start, end;

	haslab_assert_all(s);
	if (mixed_at(s, pos))
		return 0;
	if (slab)
		return haslab_dissolve(s, slab, op);
	end = haslab_block_around(s, pos, &start);
	return end ? haslab_mixed_add_units(s, start, end - start, op) : -EEXIST;
}

/* Everything free from @start to @end, all in one slot, becomes part of its mixed part. */
int haslab_mixed_through(struct haslab *s, u64 start, u64 end, struct hamem_op *op)
{
	u64 pos, units;
	int ret;

	for (pos = start; pos < end; pos = round_down(pos, unit_blocks(s)) + unit_blocks(s)) {
		units = IS_ALIGNED(pos, unit_blocks(s)) ? haslab_gap_end(s, pos, end) - pos : 0;
		ret = units ? haslab_mixed_add_units(s, pos, units, op) :
			      haslab_mixed_make(s, pos, op);
		if (ret)
			return ret;
	}
	return 0;
}

/* ---- pieces ---- */

/* The end of the run of a mixed slot that @pos lies in. */
static u64 haslab_mixed_run_end(struct haslab *s, u64 pos)
{
	struct haruns_run run = mixed_run(s, mixed_at(s, pos), pos);

	return run_start(s, pos, &run) + run.len;
}

/*
 * As haslab_gap_end(), inside an extent, blocks that are HELD, or a free run. If it is huge, no
 * slot that it fills has a mixed part: a slab that is wholly free goes back to the buddy, and so do
 * the mixed slots that are kept (haslab_empty_put_all()).
 */
static u64 haslab_pieces_gap_end(struct haslab *s, u64 pos, u64 end)
{
	u64 next = round_down(pos, slot_blocks(s)) + slot_blocks(s);
	u64 last = round_down(end, slot_blocks(s)), gap;

	if (!haslab_is_huge(s, end - pos))
		return haslab_gap_end(s, pos, end);
	gap = haslab_gap_end(s, pos, min(next, end));
	return gap == next ? haslab_gap_end(s, max(gap, last), end) : gap;
}

/* Free the pieces of an extent, or what is HELD, from @pos to @end. Never needs memory. */
void haslab_pieces_put(struct haslab *s, u64 pos, u64 end)
{
	struct haslab_slab *slab;
	u64 piece;

	haslab_assert_all(s);
	for (; pos < end; pos = piece) {
		ha_step(1);
		slab = haslab_lookup(s, pos);
		if (haslab_dissolved_at(s, pos)) {
			piece = haslab_mixed_run_end(s, pos);
			haslab_object_put(s, slab, object_of(s, slab, pos));
		} else if (mixed_at(s, pos)) {
			piece = haslab_mixed_run_end(s, pos);
			haslab_mixed_clear(s, pos);
		} else if (slab) {
			piece = min(end, object_start(s, slab, slab->nr_objects));
			haslab_objects_unhold(s, slab, object_of(s, slab, pos),
					      object_of(s, slab, piece));
		} else {
			piece = haslab_pieces_gap_end(s, pos, end);
			haslab_buddy_put(s, pos, piece - pos);
		}
	}
}

/* Take one free piece, from @pos to @end at the most. Return: 0 with its end in @piece. */
static int haslab_piece_take(struct haslab *s, u64 pos, u64 end, struct hamem_op *op, u64 *piece)
{
	int ret;

	ha_step(1);
	*piece = pos;
	if (IS_ALIGNED(pos, unit_blocks(s)))
		*piece = haslab_pieces_gap_end(s, pos, end);
	if (*piece > pos)
		return haslab_buddy_take(s, pos, *piece - pos, op);
	ret = haslab_mixed_make(s, pos, op);
	if (ret)
		return ret;
	*piece = min(end, haslab_mixed_run_end(s, pos));
	ret = haslab_mixed_set(s, pos, *piece - pos, HARUNS_SPECIAL, op);
	if (ret)
		haslab_mixed_settle(s, slot_of(s, pos));
	return ret;
}

/* Take the free blocks from @start to @end. */
int haslab_pieces_take(struct haslab *s, u64 start, u64 end, struct hamem_op *op)
{
	u64 pos, piece;
	int ret;

	for (pos = start; pos < end; pos = piece) {
		ret = haslab_piece_take(s, pos, end, op, &piece);
		if (ret) {
			haslab_pieces_put(s, start, pos);
			return ret;
		}
	}
	return 0;
}

/* ---- extents ---- */

static int haslab_span_take(struct haslab *s, u64 start, u64 len, struct hamem_op *op)
{
	struct haslab_span *span = haslab_span_new(s, op);
	int ret;

	if (!span)
		return -ENOMEM;
	ret = haslab_pieces_take(s, start, start + len, op);
	if (ret) {
		hamem_put(&s->mem, span);
		return ret;
	}
	haslab_span_add(s, span, start, len);
	return 0;
}

/*
 * Make a live extent of @len blocks that are known to be free. If it is huge, no group keeps a slot
 * that is wholly free. Return: 0; else no extent was made, but a slab may have become a part of a
 * mixed slot: -ENOMEM; -EAGAIN as haslab_dissolve().
 */
int haslab_extent_take(struct haslab *s, u64 start, u64 len, struct hamem_op *op)
{
	u64 unit = start >> s->cfg.unit_shift, end = start + len;
	int ret;

	haslab_assert_all(s);
	if (is_block(s, start, len) && habuddy_free_order(&s->buddy, unit) >= 0) {
		ret = haslab_buddy_take(s, start, len, op);
		if (!ret)
			habuddy_own(&s->buddy, unit, ilog2(len >> s->cfg.unit_shift));
		if (ret != -EEXIST)
			return ret;
	}
	if (slot_of(s, start) != slot_of(s, end - 1))
		return haslab_span_take(s, start, len, op);
	ret = haslab_mixed_through(s, start, end, op);
	if (!ret)
		ret = haslab_mixed_set(s, start, len, HARUNS_LIVE, op);
	if (ret && mixed_at(s, start))
		haslab_mixed_settle(s, slot_of(s, start));
	return ret;
}

/*
 * End the ownership of an extent that is a span. Its pieces are HELD then, until
 * haslab_pieces_put(). Never needs memory. Return, and @reason: as haslab_free().
 */
int haslab_span_retire(struct haslab *s, u64 start, u64 len, enum hybrid_alloc_reason *reason)
{
	struct haslab_span *span = haslab_span_find(s, start);

	if (!span)
		return haslab_refuse(reason, HYBRID_ALLOC_REASON_NOT_ALLOCATED);
	if (span->start != start || span->len != len)
		return haslab_refuse_live(reason, start, span->start);
	haslab_span_remove(s, span);
	hamem_put(&s->mem, span);
	return 0;
}
