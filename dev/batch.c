// SPDX-License-Identifier: GPL-2.0
/*
 * Calls for many extents: ALLOC_BATCH, ALLOC_MANY, FREE_BATCH, CLAIM_BATCH, SPLIT, EXTEND, KEEP
 *
 * The calls that allocate keep all their results in memory until they are delivered, since
 * an allocation that is never reported has to be undone. The others are not undone; they copy a
 * few items at a time through the stack, so that FREE_BATCH needs no memory. CLAIM_BATCH has all
 * of them at once, as extents in a row are claimed together (slab/load.c).
 *
 * All of them copy items only before ha_dev_enter() and after ha_dev_leave(). There are no
 * locks here.
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "dev/ioctl.h"

/* ---- ALLOC_BATCH ---- */

static void ha_undo_items(struct ha_call *call, u32 nr)
{
	struct hybrid_alloc_alloc_item *items = call->items;
	u32 i;

	for (i = 0; i < nr; i++) {
		if (!items[i].error)
			ha_file_undo(call->file, call->batch.flags, items[i].extent.start,
				     items[i].extent.len);
		cond_resched();
	}
	call->batch.nr_done = 0;
	call->batch.nr_failed = 0;
}

/**
 * ha_undo_alloc_batch - undo ALLOC_BATCH
 * @call: the call
 */
void ha_undo_alloc_batch(struct ha_call *call)
{
	if (!percpu_ref_tryget_live(&call->dev->calls))
		return;		/* detached: all extents are forgotten */
	ha_undo_items(call, call->batch.nr_done);
	ha_dev_leave(call);
}

static int ha_alloc_item(struct ha_call *call, struct hybrid_alloc_alloc_item *item)
{
	struct hybrid_alloc_range range;
	bool plain = ha_extent_is_plain(&item->extent) &&
		     ha_goal_is_plain(item->flags, item->goal) &&
		     !(item->flags & ~HYBRID_ALLOC_ALLOC_GOAL);
	int ret = -EINVAL;

	memset(&item->extent, 0, sizeof(item->extent));
	if (plain)
		ret = ha_file_alloc(call->file, call->batch.flags | item->flags, 0, item->len,
				    item->align, item->goal, &range);
	item->error = ret == -EDQUOT ? ENOSPC : -ret;
	if (!ret) {
		item->extent.start = range.start;
		item->extent.len = range.len;
	}
	return ret;
}

static int ha_alloc_items(struct ha_call *call)
{
	struct hybrid_alloc_alloc_item *items = call->items;
	struct hybrid_alloc_batch *batch = &call->batch;
	int ret;

	for (batch->nr_done = 0; batch->nr_done < batch->nr; batch->nr_done++) {
		ret = ha_alloc_item(call, &items[batch->nr_done]);
		if (fatal_signal_pending(current) &&
		    !(batch->flags & HYBRID_ALLOC_ALLOC_RESERVED))
			ret = -EINTR;
		/* a search ended early: that is of the call, not of the item */
		if (ret == -EINTR || ret == -ENODEV) {
			ha_undo_items(call, batch->nr_done + 1);
			return ret;
		}
		batch->nr_failed += !!ret;
		cond_resched();
	}
	return 0;
}

/**
 * ha_batch_check - whether the flags of ALLOC_BATCH agree
 * @call: the call
 */
bool ha_batch_check(const struct ha_call *call)
{
	return ha_flags_agree(call->batch.flags);
}

/**
 * ha_alloc_batch - ALLOC_BATCH
 * @call: the call
 */
int ha_alloc_batch(struct ha_call *call)
{
	struct hybrid_alloc_batch *batch = &call->batch;
	int ret;

	batch->nr_done = 0;
	batch->nr_failed = 0;
	call->items = kvmalloc_array(batch->nr, call->cmd->item_size, GFP_KERNEL);
	if (!call->items)
		return -ENOMEM;
	ret = ha_call_items_in(call, 0, batch->nr, call->items);
	if (ret)
		return ret;
	ret = ha_dev_enter(call);
	if (ret)
		return ret;
	ret = ha_alloc_items(call);
	ha_dev_leave(call);
	if (ret)
		return ret;
	ret = ha_call_items_out(call, 0, batch->nr, call->items);
	if (ret)
		ha_undo_alloc_batch(call);
	return ret;
}

/* ---- ALLOC_MANY ---- */

static void ha_undo_extents(struct ha_call *call)
{
	struct hybrid_alloc_extent *extents = call->items;

	while (call->many.nr_extents--) {
		ha_file_undo(call->file, call->many.flags, extents[call->many.nr_extents].start,
			     extents[call->many.nr_extents].len);
		cond_resched();
	}
	call->many.nr_extents = 0;
	call->many.total = 0;
}

/**
 * ha_undo_alloc_many - undo ALLOC_MANY
 * @call: the call
 */
void ha_undo_alloc_many(struct ha_call *call)
{
	if (!percpu_ref_tryget_live(&call->dev->calls))
		return;		/* detached: all extents are forgotten */
	ha_undo_extents(call);
	ha_dev_leave(call);
}

/**
 * ha_many_check - whether the reserved fields of ALLOC_MANY are 0
 * @call: the call
 */
bool ha_many_check(const struct ha_call *call)
{
	return !call->many.__reserved && !call->many.__reserved2 &&
	       ha_flags_agree(call->many.flags) &&
	       ha_goal_is_plain(call->many.flags, call->many.goal);
}

/* The next extent of ALLOC_MANY, of @max bytes at the most. */
static int ha_many_next(struct ha_call *call, struct ha_pieces *p, u64 max, u64 goal)
{
	struct hybrid_alloc_many *many = &call->many;
	struct hybrid_alloc_extent *extents = call->items;
	struct hybrid_alloc_range range;
	int ret;

	do {
		ret = ha_file_alloc(call->file, many->flags, p->min, max, many->align, goal,
				    &range);
		max = ret ? 0 : ha_pieces_shorter(p, range.len);
		if (max)
			ha_file_undo(call->file, many->flags, range.start, range.len);
	} while (max);
	if (ret)
		return ret;
	extents[many->nr_extents++] = (struct hybrid_alloc_extent){
		.start = range.start,
		.len = range.len,
	};
	many->total += range.len;
	p->left -= range.len;
	p->nr--;
	return 0;
}

static int ha_many_alloc(struct ha_call *call)
{
	struct hybrid_alloc *ha = call->dev->ha;
	struct hybrid_alloc_many *many = &call->many;
	struct hybrid_alloc_extent *extents = call->items;
	const struct hybrid_alloc_request rq = {
		.len = many->len, .min = many->min, .align = many->align, .flags = many->flags,
	};
	u64 goal = many->goal, max;
	struct ha_pieces p;
	int ret;

	ret = ha_pieces_begin(ha, &p, &rq, many->nr);
	if (ret)
		return ret;
	/* else all that it has might be taken first, and given back */
	if (many->flags & HYBRID_ALLOC_ALLOC_RESERVED && ha_file_reserved(call->file) < p.left)
		return -EINVAL;
	while (!ret && (max = ha_pieces_next(ha, &p))) {
		ret = ha_many_next(call, &p, max, goal);
		if (ret)
			break;
		goal = extents[many->nr_extents - 1].start + extents[many->nr_extents - 1].len;
		if (fatal_signal_pending(current) && !(many->flags & HYBRID_ALLOC_ALLOC_RESERVED))
			ret = -EINTR;
		cond_resched();
	}
	ret = ha_pieces_end(&p, ret, many->nr_extents);
	if (ret)
		ha_undo_extents(call);
	return ret;
}

/**
 * ha_alloc_many - ALLOC_MANY
 * @call: the call
 */
int ha_alloc_many(struct ha_call *call)
{
	struct hybrid_alloc_many *many = &call->many;
	int ret;

	many->nr_extents = 0;
	many->total = 0;
	many->reason = HYBRID_ALLOC_REASON_NONE;
	call->items = kvmalloc_array(many->nr, sizeof(struct hybrid_alloc_extent), GFP_KERNEL);
	if (!call->items)
		return -ENOMEM;
	ret = ha_dev_enter(call);
	if (ret)
		return ret;
	ret = ha_many_alloc(call);
	ha_dev_leave(call);
	if (ret == -EDQUOT) {
		many->reason = HYBRID_ALLOC_REASON_RESERVED;
		ret = -ENOSPC;
	}
	if (ret)
		return ret;
	ret = ha_call_items_out(call, 0, many->nr_extents, call->items);
	if (ret)
		ha_undo_alloc_many(call);
	return ret;
}

/* ---- calls that are not undone ---- */

static int ha_free_item(struct ha_call *call, void *arg)
{
	enum hybrid_alloc_reason reason = HYBRID_ALLOC_REASON_NONE;
	struct hybrid_alloc_free_item *item = arg;
	int ret = -EINVAL;

	if (ha_extent_is_plain(&item->extent))
		ret = call->batch.flags & HYBRID_ALLOC_FREE_PART ?
		      ha_file_free_part(call->file, item->extent.start, item->extent.len, &reason) :
		      ha_file_free(call->file, item->extent.start, item->extent.len, &reason);
	item->error = -ret;
	item->reason = reason;
	return ret;
}

static int ha_keep_item(struct ha_call *call, void *arg)
{
	enum hybrid_alloc_reason reason = HYBRID_ALLOC_REASON_NONE;
	struct hybrid_alloc_free_item *item = arg;
	int ret = -EINVAL;

	if (ha_extent_is_plain(&item->extent))
		ret = ha_file_keep(call->file, item->extent.start, item->extent.len, &reason);
	item->error = -ret;
	item->reason = reason;
	return ret;
}

static int ha_split_item(struct ha_call *call, void *arg)
{
	struct hybrid_alloc_split_item *item = arg;
	struct ha_part p = {
		.what = HA_PART_SPLIT, .start = item->extent.start, .len = item->extent.len,
		.at = item->at,
	};
	int ret = -EINVAL;

	if (ha_extent_is_plain(&item->extent))
		ret = ha_file_part(call->file, &p);
	item->error = -ret;
	item->reason = p.reason;
	return ret;
}

static int ha_extend_item(struct ha_call *call, void *arg)
{
	struct hybrid_alloc_extend_item *item = arg;
	struct ha_part p = {
		.what = HA_PART_EXTEND, .start = item->extent.start, .len = item->extent.len,
		.more = item->more, .least = item->least,
	};
	u64 size = call->dev->ha->params.min_block;
	int ret = -EINVAL;

	if (ha_extent_is_plain(&item->extent))
		ret = ha_file_part(call->file, &p);
	if (!ret)
		item->extent.len = round_up(item->extent.len, size) + p.got;
	item->error = -ret;
	item->reason = p.reason;
	return ret;
}

/*
 * Bytes of items copied at a time: little enough for the stack, so that a free needs no memory. An
 * item has at most 56.
 */
#define HA_ITEMS_CHUNK	16U
#define HA_ITEM_WORDS	7U

static_assert(sizeof(struct hybrid_alloc_split_item) <= HA_ITEM_WORDS * sizeof(u64));
static_assert(sizeof(struct hybrid_alloc_extend_item) <= HA_ITEM_WORDS * sizeof(u64));
static_assert(sizeof(struct hybrid_alloc_free_item) <= HA_ITEM_WORDS * sizeof(u64));

/* Processes items that are not undone, and reports how many are done. */
static int ha_do_items(struct ha_call *call, int (*fn)(struct ha_call *call, void *item))
{
	u64 items[HA_ITEMS_CHUNK * HA_ITEM_WORDS];
	struct hybrid_alloc_batch *batch = &call->batch;
	size_t words = call->cmd->item_size / sizeof(u64);
	u32 first, nr, i;
	int ret;

	batch->nr_done = 0;
	batch->nr_failed = 0;
	for (first = 0; first < batch->nr; first += nr) {
		nr = min(batch->nr - first, HA_ITEMS_CHUNK);
		ret = ha_call_items_in(call, first, nr, items);
		if (ret)
			return ret;
		ret = ha_dev_enter(call);
		if (ret)
			return ret;
		for (i = 0; i < nr && !fatal_signal_pending(current); i++)
			batch->nr_failed += !!fn(call, &items[i * words]);
		ha_dev_leave(call);
		batch->nr_done += i;
		ret = ha_call_items_out(call, first, i, items);
		if (ret)
			return ret;
		if (i < nr)
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/**
 * ha_free_batch - FREE_BATCH
 * @call: the call
 */
int ha_free_batch(struct ha_call *call)
{
	return ha_do_items(call, ha_free_item);
}

/**
 * ha_keep - KEEP
 * @call: the call
 */
int ha_keep(struct ha_call *call)
{
	return ha_do_items(call, ha_keep_item);
}

/**
 * ha_split - SPLIT
 * @call: the call
 */
int ha_split(struct ha_call *call)
{
	return ha_do_items(call, ha_split_item);
}

/**
 * ha_extend - EXTEND
 * @call: the call
 */
int ha_extend(struct ha_call *call)
{
	return ha_do_items(call, ha_extend_item);
}

/* ---- CLAIM_BATCH ---- */

/*
 * The ranges of the first of @nr items, as many in a row as are valid. Return: how many; 0: the
 * first one is not, for the reason @ret.
 */
static u32 ha_claim_ranges(struct ha_call *call, const struct hybrid_alloc_free_item *items,
			   u32 nr, struct haslab_range *x, int *ret)
{
	const struct hybrid_alloc_extent *extent;
	u32 i;

	for (i = 0; i < nr; i++) {
		extent = &items[i].extent;
		*ret = ha_extent_is_plain(extent) ?
		       ha_claim_range(call->dev->ha, extent->start, extent->len, &x[i]) : -EINVAL;
		if (*ret)
			break;
	}
	return i;
}

/* The result @ret of the next @nr items. */
static void ha_claim_result(struct ha_call *call, u32 nr, int ret)
{
	struct hybrid_alloc_batch *batch = &call->batch;
	struct hybrid_alloc_free_item *item = call->items;

	batch->nr_failed += ret ? nr : 0;
	for (item += batch->nr_done; nr; nr--, item++, batch->nr_done++) {
		item->error = -ret;
		item->reason = HYBRID_ALLOC_REASON_NONE;
	}
}

/* Claim all items, or as many as until the caller is killed. @x: room for their ranges. */
static void ha_claim_items(struct ha_call *call, struct haslab_range *x)
{
	const struct hybrid_alloc_free_item *items = call->items;
	struct hybrid_alloc_batch *batch = &call->batch;
	u32 nr, done, i;
	int ret;

	while (batch->nr_done < batch->nr) {
		nr = ha_claim_ranges(call, items + batch->nr_done, batch->nr - batch->nr_done, x,
				     &ret);
		if (!nr)
			ha_claim_result(call, 1, ret);
		for (i = 0; i < nr; i += done) {
			if (fatal_signal_pending(current))
				return;
			done = ha_claim_some(call->dev->ha, x + i, nr - i, GFP_KERNEL, &ret);
			ha_claim_result(call, done, ret);
			cond_resched();
		}
	}
}

/* With memory for the items and for their ranges. */
static int ha_claim_with(struct ha_call *call, struct haslab_range *x)
{
	struct hybrid_alloc_batch *batch = &call->batch;
	int ret;

	ret = ha_call_items_in(call, 0, batch->nr, call->items);
	if (ret)
		return ret;
	ret = ha_dev_enter(call);
	if (ret)
		return ret;
	ha_claim_items(call, x);
	ha_dev_leave(call);
	ret = ha_call_items_out(call, 0, batch->nr_done, call->items);
	return ret ?: batch->nr_done < batch->nr ? -EINTR : 0;
}

/**
 * ha_claim_batch - CLAIM_BATCH
 * @call: the call
 */
int ha_claim_batch(struct ha_call *call)
{
	struct hybrid_alloc_batch *batch = &call->batch;
	struct haslab_range *x;
	int ret = -ENOMEM;

	batch->nr_done = 0;
	batch->nr_failed = 0;
	call->items = kvmalloc_array(batch->nr, call->cmd->item_size, GFP_KERNEL);
	x = kvmalloc_array(batch->nr, sizeof(*x), GFP_KERNEL);
	if (call->items && x)
		ret = ha_claim_with(call, x);
	kvfree(x);
	return ret;
}
