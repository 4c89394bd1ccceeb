// SPDX-License-Identifier: GPL-2.0
/*
 * The exported API: parts of extents
 *
 * An extent is a range. Its owner may free a part of it, divide it, or make it longer where it is;
 * a range that is several extents exactly is freed as one. What is freed as a range is looked at
 * first as a whole, and then freed one extent after the other, each with all checks: if another
 * task frees one of them meanwhile, those before it are free, and the rest is as it was.
 *
 * There are no locks here.
 */
#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "api.h"
#include "api_trace.h"

/* Extents that are looked at in one call of the pool. */
#define ROW_ENTRIES	16

/**
 * ha_part_refused - count and report that a part was refused
 * @ha: the allocator
 * @start: first byte
 * @len: length in bytes
 * @reason: why
 * @ret: what the call returns
 */
void ha_part_refused(struct hybrid_alloc *ha, u64 start, u64 len, enum hybrid_alloc_reason reason,
		     int ret)
{
	if (reason != HYBRID_ALLOC_REASON_NONE)
		atomic64_inc(&ha->refused[reason]);
	trace_ha_refused_free(ha->dev, start, len, reason, ret);
}

static int ha_fault_errno(enum hybrid_alloc_reason fault)
{
	return fault == HYBRID_ALLOC_REASON_OUT_OF_RANGE ? -ERANGE : -EINVAL;
}

/* Whether a range can be a part of an extent: it has whole blocks. */
static enum hybrid_alloc_reason ha_part_fault(const struct hybrid_alloc *ha, u64 start, u64 len)
{
	enum hybrid_alloc_reason fault = ha_range_fault(ha, start, len);

	if (!fault && !IS_ALIGNED(len, ha->params.min_block))
		fault = HYBRID_ALLOC_REASON_UNALIGNED;
	return fault;
}

/**
 * ha_row - look at a range that is several extents exactly
 * @ha: the allocator
 * @start: first byte, a multiple of a block
 * @len: length in bytes, whole blocks, inside the managed range
 * @fn: called for each extent; or NULL
 * @arg: its argument
 *
 * Context: Process context, may sleep on PREEMPT_RT only. Return: 0, or EINVAL the range is no such
 * row; what @fn has returned, if that is not 0.
 */
int ha_row(struct hybrid_alloc *ha, u64 start, u64 len, ha_row_fn *fn, void *arg)
{
	u64 pos = start >> ha->shift, end = (start + len) >> ha->shift;
	struct haslab_extent e[ROW_ENTRIES];
	int nr, i, ret;

	while (pos < end) {
		nr = hapool_map(&ha->pool, pos, e, ROW_ENTRIES);
		for (i = 0; i < nr && pos < end; i++) {
			if (e[i].state != HYBRID_ALLOC_MAP_LIVE || e[i].start != pos ||
			    e[i].len > end - pos)
				return -EINVAL;
			ret = fn ? fn(ha, pos << ha->shift, e[i].len << ha->shift, arg) : 0;
			if (ret)
				return ret;
			pos += e[i].len;
		}
		if (!nr)
			return -EINVAL;
		if (!ha->pool.slab.cfg.unkillable && fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/**
 * ha_row_freed - the result of a pass of ha_row() that frees
 * @ret: what ha_row() has returned
 * @reason: in and out: why the free of an extent was refused
 *
 * It was a row a moment ago: what is wrong now is that another task has freed some of it.
 * Return: 0, or ENOENT; EINTR.
 */
int ha_row_freed(int ret, enum hybrid_alloc_reason *reason)
{
	if (!ret || ret == -EINTR)
		return ret;
	*reason = HYBRID_ALLOC_REASON_NOT_ALLOCATED;
	return -ENOENT;
}

/**
 * ha_is_extent - whether a range is a live extent
 * @ha: the allocator
 * @start: first byte
 * @len: a length in bytes that rounds up to the extent's
 * @reason: out: why not
 *
 * Context: Process context. Return: 0, or the errno of a free.
 */
int ha_is_extent(struct hybrid_alloc *ha, u64 start, u64 len, enum hybrid_alloc_reason *reason)
{
	u64 pos = start >> ha->shift;
	struct haslab_extent e;

	*reason = ha_range_fault(ha, start, len);
	if (*reason)
		return ha_fault_errno(*reason);
	*reason = HYBRID_ALLOC_REASON_NOT_ALLOCATED;
	if (!hapool_map(&ha->pool, pos, &e, 1) || e.state != HYBRID_ALLOC_MAP_LIVE)
		return -ENOENT;
	*reason = e.start != pos ? HYBRID_ALLOC_REASON_WRONG_START :
		  e.len != round_up(len, ha->params.min_block) >> ha->shift ?
		  HYBRID_ALLOC_REASON_WRONG_LENGTH : HYBRID_ALLOC_REASON_NONE;
	return *reason ? -EINVAL : 0;
}

static int ha_row_free(struct hybrid_alloc *ha, u64 start, u64 len, void *reason)
{
	return hybrid_alloc_free(ha, start, len, reason);
}

/**
 * ha_cut - free a part of one extent
 * @ha: the allocator
 * @start: first byte of the part
 * @len: length in bytes
 * @gfp: how to get memory for metadata
 * @reason: out: why it was refused
 *
 * As hybrid_alloc_free_part(), which also frees rows of extents. The caller counts what is refused.
 */
int ha_cut(struct hybrid_alloc *ha, u64 start, u64 len, gfp_t gfp,
	   enum hybrid_alloc_reason *reason)
{
	enum hybrid_alloc_reason fault = ha_part_fault(ha, start, len);
	int ret;

	*reason = fault;
	if (fault)
		return ha_fault_errno(fault);
	ret = hapool_cut(&ha->pool, start >> ha->shift, len >> ha->shift, gfp, reason);
	ha_space_changed(ha);
	if (!ret)
		trace_ha_free(ha->dev, start, len);
	return ret;
}

/**
 * hybrid_alloc_free_part - free a part of an extent, or several extents in a row
 * @ha: the allocator
 * @start: first byte, a multiple of a block
 * @len: length in bytes, a multiple of a block
 * @gfp: how to get memory for metadata
 * @reason: out: why it was refused, untouched if it was not; may be NULL
 *
 * The range lies in one live extent, at its head, at its tail or in its middle: what is before and
 * behind it are extents of their own then. Or it is several live extents exactly: all of them are
 * freed. I/O to the range must have finished.
 *
 * Context: As hybrid_alloc_alloc(). A range that is one extent needs no memory.
 * Return: 0, or EINVAL @start or @len is not a multiple of a block, @len is 0, or the range ends
 * beyond the extent that it begins in and is no row of extents; ERANGE it is not inside the managed
 * range; ENOENT nothing is allocated at @start; ENOMEM; EAGAIN; EINTR. Nothing has changed then.
 * But if another task frees an extent of a row meanwhile (ENOENT), or the caller is killed (EINTR),
 * those before it are free.
 */
int hybrid_alloc_free_part(struct hybrid_alloc *ha, u64 start, u64 len, gfp_t gfp,
			   enum hybrid_alloc_reason *reason)
{
	enum hybrid_alloc_reason why;
	int ret = ha_cut(ha, start, len, gfp, &why);

	if (ret && why == HYBRID_ALLOC_REASON_WRONG_LENGTH &&
	    !ha_row(ha, start, len, NULL, NULL))
		ret = ha_row_freed(ha_row(ha, start, len, ha_row_free, &why), &why);
	else if (ret)
		ha_part_refused(ha, start, len, why, ret);
	if (ret && reason)
		*reason = why;
	return ret;
}
EXPORT_SYMBOL_GPL(hybrid_alloc_free_part);

/**
 * hybrid_alloc_split - make two extents of one
 * @ha: the allocator
 * @start: first byte of the extent
 * @len: a length in bytes that rounds up to the extent's
 * @at: first byte of the second extent: a multiple of a block, inside the extent and not its first
 * @gfp: how to get memory for metadata
 * @reason: out: why it was refused, untouched if it was not; may be NULL
 *
 * Context: As hybrid_alloc_alloc().
 * Return: 0, or EINVAL @at is not such a byte, or as hybrid_alloc_free(); ERANGE; ENOENT; ENOMEM;
 * EAGAIN; EINTR. Nothing has changed then.
 */
int hybrid_alloc_split(struct hybrid_alloc *ha, u64 start, u64 len, u64 at, gfp_t gfp,
		       enum hybrid_alloc_reason *reason)
{
	enum hybrid_alloc_reason why = ha_range_fault(ha, start, len);
	u64 blocks = round_up(len, ha->params.min_block) >> ha->shift;
	int ret;

	if (!why && (!IS_ALIGNED(at, ha->params.min_block) || at <= start || at - start >= len))
		why = HYBRID_ALLOC_REASON_UNALIGNED;
	ret = why ? ha_fault_errno(why) :
		    hapool_split(&ha->pool, start >> ha->shift, blocks, at >> ha->shift, gfp, &why);
	/* what is to be tried again is neither */
	if (ret && ret != -EAGAIN)
		ha_part_refused(ha, start, len, why, ret);
	else if (!ret)
		trace_ha_split_extent(ha->dev, start, len, at);
	if (ret && reason)
		*reason = why;
	return ret;
}
EXPORT_SYMBOL_GPL(hybrid_alloc_split);

/**
 * hybrid_alloc_extend - make an extent longer, where it is
 * @ha: the allocator
 * @start: first byte of the extent
 * @len: a length in bytes that rounds up to the extent's
 * @more: by how many bytes, rounded up to whole blocks
 * @least: how many are enough, rounded up to whole blocks; 0: all of @more
 * @gfp: how to get memory for metadata
 * @got: out: how many bytes longer it is: as many of @more as are free behind it and not reserved
 * @reason: out: why it was refused, untouched if it was not; may be NULL
 *
 * Context: As hybrid_alloc_alloc().
 * Return: 0, or EINVAL @more is 0 or less than @least, or as hybrid_alloc_free(); EFBIG the extent
 * would be larger than params.max_block or the managed range; ENOSPC fewer than @least bytes are
 * free behind it, or beyond all reservations (HYBRID_ALLOC_REASON_RESERVED); ERANGE; ENOENT;
 * ENOMEM; EAGAIN; EINTR. Nothing has changed then.
 */
int hybrid_alloc_extend(struct hybrid_alloc *ha, u64 start, u64 len, u64 more, u64 least, gfp_t gfp,
			u64 *got, enum hybrid_alloc_reason *reason)
{
	enum hybrid_alloc_reason why = ha_range_fault(ha, start, len);
	u64 size = ha->params.min_block, max_len = READ_ONCE(ha->max_len), room;
	int ret;

	*got = 0;
	len = why ? len : round_up(len, size);
	room = max_len - min(len, max_len);
	least = least ?: more;
	if (why) {
		ret = ha_fault_errno(why);
	} else if (!more || least > more) {
		ret = -EINVAL;
	} else if (least > room) {
		ret = -EFBIG;
	} else {
		more = round_up(min(more, room), size) >> ha->shift;
		ret = hapool_extend(&ha->pool, start >> ha->shift, len >> ha->shift,
				    round_up(least, size) >> ha->shift, more, gfp, got, &why);
		*got <<= ha->shift;
		ha_space_changed(ha);
	}
	if (why)
		ha_part_refused(ha, start, len, why, ret);
	else if (ret != -EAGAIN)
		trace_ha_extend(ha->dev, start, len, *got, ret == -EDQUOT ? -ENOSPC : ret);
	if (ret == -EDQUOT) {
		ret = -ENOSPC;
		why = HYBRID_ALLOC_REASON_RESERVED;
	}
	if (ret && reason)
		*reason = why;
	return ret;
}
EXPORT_SYMBOL_GPL(hybrid_alloc_extend);
