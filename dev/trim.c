// SPDX-License-Identifier: GPL-2.0
/*
 * TRIM: discards free space
 *
 * As long as a range is being discarded, it is held in the pool: neither free nor in use.
 * So its next owner's data cannot be discarded. It is held and discarded in pieces; between
 * two pieces TRIM reschedules, and checks for signals and for detach. The pool holds whole
 * units and objects. One that is larger than a piece is held again for each piece of it, so
 * that no task waits for more than the discard of one piece.
 *
 * hapool.slow is held over each piece, from hapool_hold() to hapool_unhold(). It excludes other
 * holds and the slow mode: an allocation that needs held space waits for the piece.
 */
#include <linux/blkdev.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

#include "api_trace.h"
#include "dev/ioctl.h"

/*
 * The size of a piece. It bounds the delay of an allocation that needs held space, of a kill,
 * and of detach.
 */
#define HA_TRIM_BYTES	SZ_32M

/**
 * struct ha_trim - a TRIM at work; positions in bytes
 * @ha: the allocator
 * @bdev: the block device
 * @dying: the calls in flight; dying if the device is being detached
 * @gran: discard granularity: the size of the disk's discard units
 * @shift: where the first of these units begins
 * @pos: everything before is done
 * @end: where to stop
 * @minlen: shortest free run to trim
 * @run_end: end, as far as is known, of the last free run that was found long enough; or 0
 * @trimmed: bytes discarded
 */
struct ha_trim {
	struct hybrid_alloc *ha;
	struct block_device *bdev;
	struct percpu_ref *dying;
	u64 gran;
	u64 shift;
	u64 pos;
	u64 end;
	u64 minlen;
	u64 run_end;
	u64 trimmed;
};

static u64 ha_trim_up(const struct ha_trim *t, u64 pos)
{
	return pos <= t->shift ? t->shift :
	       DIV64_U64_ROUND_UP(pos - t->shift, t->gran) * t->gran + t->shift;
}

static u64 ha_trim_down(const struct ha_trim *t, u64 pos)
{
	return pos < t->shift ? 0 : div64_u64(pos - t->shift, t->gran) * t->gran + t->shift;
}

/* Moves @t->pos to where the next long enough run may begin. False if there is none. */
static bool ha_trim_skip(struct ha_trim *t)
{
	unsigned int shift = t->ha->shift;
	u64 len = t->minlen ? ((t->minlen - 1) >> shift) + 1 : 0;

	/* it may be in a run of which the beginning is done */
	if (len > 1 && !(t->run_end && t->pos <= t->run_end)) {
		u64 next = hapool_next_long(&t->ha->pool, t->pos >> shift, len);

		if (next >= t->end >> shift)
			return false;
		t->pos = max(t->pos, next << shift);
	}
	return true;
}

/* Finds the next free blocks at or after @t->pos that are part of a long enough run. */
static bool ha_trim_next(struct ha_trim *t, u64 *start, u64 *len)
{
	struct hapool *pool = &t->ha->pool;
	unsigned int shift = t->ha->shift;
	u64 next, more, end;

	while (ha_trim_skip(t) && hapool_next_free(pool, t->pos >> shift, start, len)) {
		if (*start << shift >= t->end)
			return false;
		/* hapool_next_free() may return a run in several parts */
		end = *start + *len;
		next = end;
		if (t->run_end && *start << shift <= t->run_end) {
			t->run_end = max(t->run_end, end << shift);
			return true;
		}
		while ((end - *start) << shift < t->minlen && next == end) {
			if (!hapool_next_free(pool, end, &next, &more))
				return false;
			if (next == end) {
				end += more;
				next = end;
			}
			cond_resched();
		}
		if ((end - *start) << shift >= t->minlen) {
			t->run_end = end << shift;
			return true;
		}
		t->pos = next << shift;
	}
	return false;
}

/*
 * The block layer has an errno for each way in which a disk can fail. The caller gets EIO for
 * all of them, unless the disk has no discard any more or there is no disk.
 */
static int ha_trim_errno(const struct ha_trim *t, int ret)
{
	switch (ret) {
	case -ENOMEM:
	case -EINTR:
	case -EOPNOTSUPP:
		return ret;
	case 0:
		/* Linux 6.1 hides EOPNOTSUPP of the disk */
		return bdev_max_discard_sectors(t->bdev) ? 0 : -EOPNOTSUPP;
	default:
		return -EIO;
	}
}

static int ha_trim_discard(struct ha_trim *t, u64 from, u64 to)
{
	int ret = blkdev_issue_discard(t->bdev, from >> SECTOR_SHIFT,
				       (to - from) >> SECTOR_SHIFT, GFP_KERNEL);

	ret = ha_trim_errno(t, ret);
	if (!ret)
		t->trimmed += to - from;
	return ret;
}

/*
 * Holds free blocks, discards the discard units in them, and sets @t->pos to the end of what is
 * done. hapool_hold() may hold more than these blocks; it may also have found fewer of them
 * free, or none.
 */
static int ha_trim_blocks(struct ha_trim *t, u64 start, u64 len)
{
	unsigned int shift = t->ha->shift;
	u64 from = start << shift, to = (start + len) << shift;
	int ret;

	ret = hapool_hold(&t->ha->pool, &start, &len, GFP_KERNEL);
	if (ret)
		return ret == -EAGAIN ? 0 : ret;
	t->pos = min(to, (start + len) << shift);
	from = ha_trim_up(t, from);
	to = ha_trim_down(t, min(t->pos, t->end));
	if (from < to)
		ret = ha_trim_discard(t, from, to);
	hapool_unhold(&t->ha->pool, start, len);
	trace_ha_trim(t->ha->dev, start << shift, len << shift,
		      from < to && !ret ? to - from : 0, ret);
	ha_space_changed(t->ha);
	return ret;
}

/* The errno with which TRIM has to stop; 0: it continues. */
static int ha_trim_stop(const struct ha_trim *t)
{
	if (fatal_signal_pending(current))
		return -EINTR;
	return percpu_ref_is_dying(t->dying) ? -ENODEV : 0;
}

static int ha_trim_all(struct ha_trim *t)
{
	unsigned int shift = t->ha->shift;
	u64 start, len, from, next;
	int ret;

	hybrid_alloc_drain(t->ha);
	while (ha_trim_next(t, &start, &len)) {
		ret = ha_trim_stop(t);
		if (ret)
			return ret;
		/* a piece that ends at the end of a discard unit */
		from = ha_trim_up(t, max(start << shift, t->pos));
		next = max(ha_trim_down(t, from + HA_TRIM_BYTES), from + t->gran);
		next = min3(next, (start + len) << shift, t->end);
		t->pos = max(next, t->pos + t->ha->params.min_block);
		if (from < next) {
			from = max(round_down(from, t->ha->params.min_block), start << shift);
			len = DIV64_U64_ROUND_UP(next - from, t->ha->params.min_block);
			ret = ha_trim_blocks(t, from >> shift, len);
			if (ret)
				return ret;
		}
		cond_resched();
	}
	/* a kill or a detach may have ended the search for free blocks */
	return ha_trim_stop(t);
}

/**
 * ha_trim - TRIM
 * @call: the call
 */
int ha_trim(struct ha_call *call)
{
	struct hybrid_alloc_trim *arg = &call->trim;
	struct ha_dev *dev = call->dev;
	struct block_device *bdev = dev->claimed.bdev;
	struct hybrid_alloc *ha = dev->ha;
	u64 end = READ_ONCE(ha->end);
	struct ha_trim t = {
		.ha = ha,
		.bdev = bdev,
		.dying = &dev->calls,
		.gran = max_t(u64, bdev_discard_granularity(bdev), SECTOR_SIZE),
		.shift = bdev_discard_alignment(bdev),
		.pos = max(round_up(arg->start, ha->params.min_block), ha->start),
		.minlen = arg->minlen,
	};
	int ret;

	arg->trimmed = 0;
	if (!arg->len)
		return -EINVAL;
	if (arg->start >= end)
		return -ERANGE;
	if (!bdev_max_discard_sectors(bdev))
		return -EOPNOTSUPP;
	t.end = arg->len < end - arg->start ? arg->start + arg->len : end;
	t.end = round_down(t.end, ha->params.min_block);
	ret = ha_trim_all(&t);
	arg->trimmed = t.trimmed;
	return ret && ret != -EINTR && ha_dev_gone(dev) ? -ENODEV : ret;
}

