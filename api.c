// SPDX-License-Identifier: GPL-2.0
/*
 * The exported API: allocating, claiming, freeing, and reports
 *
 * The layers below count in blocks, the API counts in bytes. Each call checks its
 * arguments, converts them, and calls the pool; after a call of the pool that was not a
 * hit, it tells the watch that free space may have changed.
 *
 * hybrid_alloc_alloc() and hybrid_alloc_free() contain the hits: calls that a magazine of
 * this CPU can serve, in as few instructions as possible. Everything else, including every
 * refusal and all calls while calls are traced, goes the long way: ha_alloc() and ha_free(),
 * which check everything and have the tracepoints.
 *
 * There are no locks here.
 */
#include <linux/bitops.h>
#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "api.h"
#include "api_trace.h"
#include "pool_hit.h"

/* A length in blocks, rounded up; it fits into the range, so it does not overflow. */
static u64 ha_blocks(const struct hybrid_alloc *ha, u64 len)
{
	return round_up(len, ha->params.min_block) >> ha->shift;
}

/* A goal is never a condition: outside the range it is ignored. In blocks. */
static u64 ha_goal(const struct hybrid_alloc *ha, u64 goal)
{
	BUILD_BUG_ON(HYBRID_ALLOC_NO_GOAL != HAPOOL_NO_GOAL);
	return goal < ha->start || goal >= READ_ONCE(ha->end) ? HAPOOL_NO_GOAL : goal >> ha->shift;
}

/* A refusal that keeps a reservation is ENOSPC to callers of the API. */
static int ha_nospc(int ret)
{
	return ret == -EDQUOT ? -ENOSPC : ret;
}

static struct hapool_reservation *ha_pool_reservation(struct hybrid_alloc_reservation *rsv)
{
	static_assert(sizeof(struct hapool_reservation) == sizeof(rsv->blocks));

	return (struct hapool_reservation *)&rsv->blocks;
}

/* A length from @min to @max, which are valid; or against a reservation. */
static int ha_alloc_upto(struct hybrid_alloc *ha, struct hybrid_alloc_reservation *rsv, u64 min,
			 u64 max, u64 align, u64 goal, gfp_t gfp, struct hybrid_alloc_range *out)
{
	u64 blocks = ha_blocks(ha, min), most = ha_blocks(ha, max), start;
	int ret;

	align = max(align >> ha->shift, 1ULL);
	goal = ha_goal(ha, goal);
	ret = rsv ? hapool_alloc_reserved(&ha->pool, ha_pool_reservation(rsv), &blocks, most,
					  align, goal, gfp, &start) :
		    hapool_alloc_upto(&ha->pool, &blocks, most, align, goal, gfp, &start);
	ha_space_changed(ha);
	if (ret)
		return ret;
	out->start = start << ha->shift;
	out->len = blocks << ha->shift;
	return 0;
}

/* hybrid_alloc_alloc() with all checks. */
static int ha_alloc_checked(struct hybrid_alloc *ha, u64 len, u64 align, u64 goal, gfp_t gfp,
			    struct hybrid_alloc_range *out)
{
	u64 blocks, start;
	int ret;

	if (!len || !ha_align_is_valid(ha, align))
		return -EINVAL;
	if (len > READ_ONCE(ha->max_len))
		return -EFBIG;
	if (unlikely(goal != HYBRID_ALLOC_NO_GOAL))
		goal = ha_goal(ha, goal);
	blocks = ha_blocks(ha, len);
	align = max(align >> ha->shift, 1ULL);
	ret = hapool_alloc(&ha->pool, blocks, align, goal, gfp, &start);
	ha_space_changed(ha);
	if (ret)
		return ret;
	out->start = start << ha->shift;
	out->len = blocks << ha->shift;
	return 0;
}

/* The long way of an allocation: not a hit, or traced. -EDQUOT: it would break a reservation. */
static noinline int ha_alloc_why(struct hybrid_alloc *ha, u64 len, u64 align, u64 goal, gfp_t gfp,
				 struct hybrid_alloc_range *out)
{
	int ret = ha_alloc_checked(ha, len, align, goal, gfp, out);

	trace_ha_alloc(ha->dev, len, align, ret ? 0 : out->start, ret ? 0 : out->len,
		       ha_nospc(ret));
	return ret;
}

static noinline int ha_alloc(struct hybrid_alloc *ha, u64 len, u64 align, u64 goal, gfp_t gfp,
			     struct hybrid_alloc_range *out)
{
	return ha_nospc(ha_alloc_why(ha, len, align, goal, gfp, out));
}

/**
 * hybrid_alloc_alloc - allocate an extent
 * @ha: the allocator
 * @len: bytes requested, rounded up to whole blocks
 * @align: alignment of the start on the device, a power of two or a multiple of a block; 0: a block
 * @goal: the extent should start there or soon after; rounded down to a block. Outside
 *	the managed range it has no effect. HYBRID_ALLOC_NO_GOAL: anywhere.
 * @gfp: how to get memory for metadata
 * @out: the extent, with the rounded length; untouched on failure
 *
 * Context: Process context. May sleep if gfpflags_allow_blocking(@gfp); otherwise it waits
 * for spinlocks only.
 * Return: 0, or EINVAL @len is 0 or @align is not valid; EFBIG @len is larger than
 * params.max_block or the managed range; ENOSPC no free run fits, or less is free beyond all
 * reservations; ENOMEM; EAGAIN the answer would take a wait that @gfp forbids; EINTR the task was
 * killed while it waited; ENODEV the device was being detached meanwhile.
 */
int hybrid_alloc_alloc(struct hybrid_alloc *ha, u64 len, u64 align, u64 goal, gfp_t gfp,
		       struct hybrid_alloc_range *out)
{
	/* a sum that overflows gives 0, which has no class */
	u64 blocks = (len + ha->mask) >> ha->shift, start;
	unsigned int shift;

	/* a length that has a magazine was checked when the magazine was made */
	if (unlikely(align | ~goal) || unlikely(blocks > HASLAB_MAX_CLASS_BLOCKS) ||
	    !hapool_alloc_hit(&ha->pool, READ_ONCE(ha_hit_classes[blocks]), &start))
		return ha_alloc(ha, len, align, goal, gfp, out);
	BUILD_BUG_ON(HYBRID_ALLOC_NO_GOAL != ~0ULL);
	shift = ha->shift;
	out->start = start << shift;
	out->len = blocks << shift;
	return 0;
}
EXPORT_SYMBOL_GPL(hybrid_alloc_alloc);

/**
 * ha_upto_told - hybrid_alloc_alloc_upto(), which says why there is no space
 * @ha: as for hybrid_alloc_alloc_upto()
 * @rsv: against what is to be allocated, or NULL
 * @min: as for hybrid_alloc_alloc_upto()
 * @max: likewise
 * @align: likewise
 * @goal: likewise
 * @gfp: likewise
 * @out: likewise
 *
 * Context: As hybrid_alloc_alloc(). Return: as hybrid_alloc_alloc_upto(), but EDQUOT that less is
 * free beyond all reservations; or as hybrid_alloc_alloc_reserved().
 */
int ha_upto_told(struct hybrid_alloc *ha, struct hybrid_alloc_reservation *rsv, u64 min, u64 max,
		 u64 align, u64 goal, gfp_t gfp, struct hybrid_alloc_range *out)
{
	u64 most = READ_ONCE(ha->max_len), len = max;
	int ret;

	max = min(max, most);
	if (!min || len < min || !ha_align_is_valid(ha, align))
		ret = -EINVAL;
	else if (min > most)
		ret = -EFBIG;
	else
		ret = ha_alloc_upto(ha, rsv, min, max, align, goal, gfp, out);
	trace_ha_alloc(ha->dev, len, align, ret ? 0 : out->start, ret ? 0 : out->len,
		       ha_nospc(ret));
	return ret;
}

/**
 * hybrid_alloc_alloc_upto - allocate an extent that is as long as there is space for
 * @ha: the allocator
 * @min: bytes that will do, rounded up to whole blocks; at least 1
 * @max: bytes requested, rounded up to whole blocks; at least @min
 * @align: as of hybrid_alloc_alloc()
 * @goal: likewise
 * @gfp: likewise
 * @out: the extent; untouched on failure
 *
 * The extent has @max bytes if a free run is that long, else as many as the longest free run has
 * room for at this alignment, but no more than is free beyond all reservations. The space is
 * searched once at most, and again if another task has taken what was found.
 *
 * Context: as hybrid_alloc_alloc().
 * Return: As hybrid_alloc_alloc(): EINVAL also if @max is less than @min; EFBIG @min is larger than
 * params.max_block or the managed range, of @max more than that is ignored; ENOSPC no free run of
 * @min fits, or less than @min is free beyond all reservations.
 */
int hybrid_alloc_alloc_upto(struct hybrid_alloc *ha, u64 min, u64 max, u64 align, u64 goal,
			    gfp_t gfp, struct hybrid_alloc_range *out)
{
	return ha_nospc(ha_upto_told(ha, NULL, min, max, align, goal, gfp, out));
}
EXPORT_SYMBOL_GPL(hybrid_alloc_alloc_upto);

/* ---- several extents ---- */

/**
 * ha_pieces_begin - check a request for several extents
 * @ha: the allocator
 * @p: out: before the first extent
 * @rq: what is requested; its goal is not looked at
 * @nr: how many extents are accepted
 *
 * Return: 0, EINVAL or EFBIG, as hybrid_alloc_alloc_many().
 */
int ha_pieces_begin(const struct hybrid_alloc *ha, struct ha_pieces *p,
		    const struct hybrid_alloc_request *rq, u32 nr)
{
	u64 longest = READ_ONCE(ha->max_len), most;
	bool partial = rq->flags & HYBRID_ALLOC_ALLOC_PARTIAL;

	if (!rq->len || rq->min > rq->len || !nr || !ha_align_is_valid(ha, rq->align))
		return -EINVAL;
	if (rq->len > READ_ONCE(ha->end) - ha->start || rq->min > longest)
		return -EFBIG;
	if (!partial && !check_mul_overflow(longest, (u64)nr, &most) && rq->len > most)
		return -EFBIG;
	*p = (struct ha_pieces){
		.left = round_up(rq->len, ha->params.min_block),
		.min = round_up(max(rq->min, 1ULL), ha->params.min_block),
		.nr = nr,
		.partial = partial,
	};
	return 0;
}

/**
 * ha_pieces_next - the most that the next extent may have
 * @ha: the allocator
 * @p: the extents so far
 *
 * It has @p->min bytes at least. Return: in bytes; 0: there is no next one.
 */
u64 ha_pieces_next(const struct hybrid_alloc *ha, const struct ha_pieces *p)
{
	return p->nr && p->left >= p->min ? min(p->left, READ_ONCE(ha->max_len)) : 0;
}

/**
 * ha_pieces_shorter - whether the extent that was found leaves a rest that is too short
 * @p: the extents before it
 * @len: its length
 *
 * Return: how long it may be at the most so that a rest of @p->min bytes stays, if that is shorter
 * and long enough; 0: take it.
 */
u64 ha_pieces_shorter(const struct ha_pieces *p, u64 len)
{
	u64 rest = p->left - len;

	return rest && rest < p->min && p->left >= 2 * p->min ? p->left - p->min : 0;
}

/**
 * ha_pieces_end - what the call returns
 * @p: all extents
 * @ret: 0, or why the last allocation failed
 * @nr: the number of extents
 *
 * Return: 0; else what was allocated is to be freed.
 */
int ha_pieces_end(const struct ha_pieces *p, int ret, u32 nr)
{
	if (ret && ret != -ENOSPC && ret != -EDQUOT)
		return ret;
	return !p->left || (p->partial && nr) ? 0 : ret ?: -ENOSPC;
}

/* The next of several extents. */
static int ha_alloc_piece(struct hybrid_alloc *ha, struct ha_pieces *p, u64 max, u64 align,
			  u64 goal, gfp_t gfp, struct hybrid_alloc_range *out)
{
	int ret = hybrid_alloc_alloc_upto(ha, p->min, max, align, goal, gfp, out);
	u64 shorter = ret ? 0 : ha_pieces_shorter(p, out->len);

	if (shorter) {
		hybrid_alloc_free(ha, out->start, out->len, NULL);
		ret = hybrid_alloc_alloc_upto(ha, p->min, shorter, align, goal, gfp, out);
	}
	if (ret)
		return ret;
	p->left -= out->len;
	p->nr--;
	return 0;
}

/**
 * hybrid_alloc_alloc_many - allocate a number of bytes in several extents
 * @ha: the allocator
 * @rq: what is requested
 * @gfp: how to get memory for metadata
 * @out: the extents
 * @nr: how many are accepted, the length of @out; out: how many there are
 *
 * Allocates one extent if a free run is long enough, else the longest free runs until @rq->len is
 * reached. Each is an extent of its own.
 *
 * Context: As hybrid_alloc_alloc().
 * Return: 0, or EINVAL a length is 0, @rq->min is more than @rq->len, the alignment or the flags
 * are not valid; EFBIG more than can be; ENOSPC, ENOMEM, EAGAIN, EINTR, ENODEV as
 * hybrid_alloc_alloc(). A call that fails has allocated nothing.
 */
int hybrid_alloc_alloc_many(struct hybrid_alloc *ha, const struct hybrid_alloc_request *rq,
			    gfp_t gfp, struct hybrid_alloc_range *out, int *nr)
{
	u64 goal = rq->goal, max;
	struct ha_pieces p;
	int ret, got = 0;

	if (rq->flags & ~HYBRID_ALLOC_ALLOC_PARTIAL || *nr < 1)
		return -EINVAL;
	ret = ha_pieces_begin(ha, &p, rq, *nr);
	if (ret)
		return ret;
	while (!ret && (max = ha_pieces_next(ha, &p))) {
		ret = ha_alloc_piece(ha, &p, max, rq->align, goal, gfp, &out[got]);
		if (ret)
			break;
		if (goal != HYBRID_ALLOC_NO_GOAL)
			goal = out[got].start + out[got].len;
		got++;
	}
	ret = ha_pieces_end(&p, ret, got);
	while (ret && got--)
		hybrid_alloc_free(ha, out[got].start, out[got].len, NULL);
	if (!ret)
		*nr = got;
	return ret;
}
EXPORT_SYMBOL_GPL(hybrid_alloc_alloc_many);

/**
 * ha_alloc_told - hybrid_alloc_alloc(), which says why there is no space
 * @ha: as for hybrid_alloc_alloc()
 * @len: likewise
 * @align: likewise
 * @goal: likewise
 * @gfp: likewise
 * @out: likewise
 *
 * Context: As hybrid_alloc_alloc(). Return: likewise, but EDQUOT that less is free beyond all
 * reservations.
 */
int ha_alloc_told(struct hybrid_alloc *ha, u64 len, u64 align, u64 goal, gfp_t gfp,
		  struct hybrid_alloc_range *out)
{
	u64 blocks = (len + ha->mask) >> ha->shift, start;

	/* as in hybrid_alloc_alloc() */
	if (unlikely(align | ~goal) || unlikely(blocks > HASLAB_MAX_CLASS_BLOCKS) ||
	    !hapool_alloc_hit(&ha->pool, READ_ONCE(ha_hit_classes[blocks]), &start))
		return ha_alloc_why(ha, len, align, goal, gfp, out);
	out->start = start << ha->shift;
	out->len = blocks << ha->shift;
	return 0;
}

/* ---- reservations ---- */

/**
 * hybrid_alloc_reservation_open - begin to use a reservation
 * @ha: the allocator
 * @rsv: the reservation, which has nothing then
 *
 * The first one of an allocator waits for calls in flight, and these may wait for memory. So it is
 * for when a user starts, not where memory reclaim may wait for the caller.
 *
 * Context: Process context, may sleep. Return: 0, or ENOMEM; EINTR the task was killed while it
 * waited, with HYBRID_ALLOC_KILLABLE.
 */
int hybrid_alloc_reservation_open(struct hybrid_alloc *ha, struct hybrid_alloc_reservation *rsv)
{
	rsv->ha = ha;
	return hapool_reservation_open(&ha->pool, ha_pool_reservation(rsv));
}
EXPORT_SYMBOL_GPL(hybrid_alloc_reservation_open);

/**
 * hybrid_alloc_reservation_close - give back all that a reservation has
 * @rsv: the reservation; no call uses it any more. Before hybrid_alloc_close()
 *
 * Context: Process context, waits for spinlocks only. Never fails, needs no memory.
 */
void hybrid_alloc_reservation_close(struct hybrid_alloc_reservation *rsv)
{
	hapool_reservation_close(&rsv->ha->pool, ha_pool_reservation(rsv));
}
EXPORT_SYMBOL_GPL(hybrid_alloc_reservation_close);

/* A length of a reservation in blocks, rounded up: more than any device has, if it is that long. */
static u64 ha_reserved_blocks(const struct hybrid_alloc *ha, u64 len)
{
	return (len >> ha->shift) + !!(len & ha->mask);
}

/**
 * hybrid_alloc_reserve - reserve bytes, without a place
 * @rsv: the reservation, which has that much more afterwards
 * @len: bytes, rounded up to whole blocks
 * @gfp: whether to wait; no memory is needed
 *
 * It succeeds if as much is free or cached that is not reserved yet, to the last block.
 *
 * Context: Process context. May sleep if gfpflags_allow_blocking(@gfp); otherwise it waits for
 * spinlocks only.
 * Return: 0, or ENOSPC there is less; EAGAIN the answer would take a wait that @gfp forbids; EINTR
 * the task was killed while it waited, with HYBRID_ALLOC_KILLABLE.
 */
int hybrid_alloc_reserve(struct hybrid_alloc_reservation *rsv, u64 len, gfp_t gfp)
{
	return ha_nospc(hapool_reserve(&rsv->ha->pool, ha_pool_reservation(rsv),
				       ha_reserved_blocks(rsv->ha, len), gfp));
}
EXPORT_SYMBOL_GPL(hybrid_alloc_reserve);

/**
 * hybrid_alloc_unreserve - give back a part of a reservation
 * @rsv: the reservation
 * @len: bytes, rounded up to whole blocks
 *
 * Context: Process context, waits for spinlocks only. Needs no memory.
 * Return: 0, or EINVAL it has less.
 */
int hybrid_alloc_unreserve(struct hybrid_alloc_reservation *rsv, u64 len)
{
	return hapool_unreserve(&rsv->ha->pool, ha_pool_reservation(rsv),
				ha_reserved_blocks(rsv->ha, len));
}
EXPORT_SYMBOL_GPL(hybrid_alloc_unreserve);

/**
 * hybrid_alloc_reserved - what a reservation has
 * @rsv: the reservation
 *
 * Context: Process context. Return: bytes, without what allocations against it are about to take.
 */
u64 hybrid_alloc_reserved(struct hybrid_alloc_reservation *rsv)
{
	return hapool_reservation_left(&rsv->ha->pool, ha_pool_reservation(rsv)) << rsv->ha->shift;
}
EXPORT_SYMBOL_GPL(hybrid_alloc_reserved);

/**
 * hybrid_alloc_alloc_reserved - allocate an extent against a reservation
 * @rsv: the reservation, which has that much less afterwards
 * @len: as for hybrid_alloc_alloc()
 * @align: likewise
 * @goal: likewise
 * @gfp: how to get memory for metadata. If it allows sleeping, the call does not fail for lack of
 *	memory, as with __GFP_NOFAIL, and is not interrupted
 * @out: the extent, with the rounded length; untouched on failure
 *
 * With a @gfp that allows sleeping, one block without an alignment is always found. A call that
 * fails leaves the reservation as it was.
 *
 * Context: As hybrid_alloc_alloc().
 * Return: 0, or EINVAL @len is 0 or more than the reservation has, or @align is not valid;
 * EFBIG @len is larger than params.max_block or the managed range; ENOSPC no free run fits; EAGAIN
 * the answer would take a wait that @gfp forbids; ENODEV the device was being detached meanwhile.
 */
int hybrid_alloc_alloc_reserved(struct hybrid_alloc_reservation *rsv, u64 len, u64 align, u64 goal,
				gfp_t gfp, struct hybrid_alloc_range *out)
{
	return hybrid_alloc_alloc_upto_reserved(rsv, len, len, align, goal, gfp, out);
}
EXPORT_SYMBOL_GPL(hybrid_alloc_alloc_reserved);

/**
 * hybrid_alloc_alloc_upto_reserved - hybrid_alloc_alloc_upto() against a reservation
 * @rsv: the reservation, which has as much less afterwards as the extent has
 * @min: as for hybrid_alloc_alloc_upto()
 * @max: likewise; no more is asked for than the reservation has
 * @align: likewise
 * @goal: likewise
 * @gfp: as for hybrid_alloc_alloc_reserved()
 * @out: as for hybrid_alloc_alloc_upto()
 *
 * With a @gfp that allows sleeping, a @min of one block and no alignment it always finds some.
 *
 * Context: As hybrid_alloc_alloc().
 * Return: As hybrid_alloc_alloc_reserved(): EINVAL also if @max is less than @min, or the
 * reservation has less than @min.
 */
int hybrid_alloc_alloc_upto_reserved(struct hybrid_alloc_reservation *rsv, u64 min, u64 max,
				     u64 align, u64 goal, gfp_t gfp,
				     struct hybrid_alloc_range *out)
{
	return ha_upto_told(rsv->ha, rsv, min, max, align, goal, gfp, out);
}
EXPORT_SYMBOL_GPL(hybrid_alloc_alloc_upto_reserved);

/**
 * ha_unalloc - undo hybrid_alloc_alloc_reserved()
 * @rsv: the reservation
 * @range: the extent
 *
 * Context: Process context, waits for spinlocks only. Needs no memory.
 */
void ha_unalloc(struct hybrid_alloc_reservation *rsv, const struct hybrid_alloc_range *range)
{
	struct hybrid_alloc *ha = rsv->ha;
	int ret = hapool_unalloc(&ha->pool, ha_pool_reservation(rsv), range->start >> ha->shift,
				 range->len >> ha->shift);

	ha_space_changed(ha);
	if (!ret || ret == -EDQUOT)
		trace_ha_free(ha->dev, range->start, range->len);
}

/* ---- an allocation in the slow mode, in steps ---- */

/**
 * ha_search_begin - enter the slow mode
 * @ha: the allocator
 *
 * For a caller that gets EAGAIN of hybrid_alloc_alloc() with GFP_NOWAIT, and that must not wait
 * while it takes space, because of a lock of its own. With all pools empty, the same call may
 * succeed now; otherwise ha_search_find() and ha_search_take() follow. Ends with
 * ha_search_end().
 * Context: Process context, may sleep. Return: 0, or EINTR the task was killed while it waited.
 */
int ha_search_begin(struct hybrid_alloc *ha)
{
	return hapool_search_begin(&ha->pool, GFP_NOIO);
}

/**
 * ha_search_find - find a free run
 * @ha: the allocator
 * @min: as of hybrid_alloc_alloc_upto(), which has accepted it
 * @len: the most that is asked for; out: the longest that fits, if any does
 * @align: as @min
 * @at: out: where an extent fits
 *
 * Context: Process context, in the slow mode, may sleep. Return: 0, or ENOSPC no free run fits.
 */
int ha_search_find(struct hybrid_alloc *ha, u64 min, u64 *len, u64 align, u64 *at)
{
	u64 max = min(*len, READ_ONCE(ha->max_len)), blocks = ha_blocks(ha, min);
	int ret;

	ret = hapool_search_find(&ha->pool, &blocks, ha_blocks(ha, max),
				 max(align >> ha->shift, 1ULL), at);
	if (ret) {
		trace_ha_alloc(ha->dev, *len, align, 0, 0, ret);
		return ret;
	}
	*at <<= ha->shift;
	*len = blocks << ha->shift;
	return 0;
}

/**
 * ha_search_take - take what ha_search_find() has found
 * @ha: the allocator
 * @at: its start
 * @len: as for ha_search_find()
 * @align: likewise
 * @out: the extent; untouched on failure
 *
 * Context: Process context, in the slow mode. Waits for spinlocks only.
 * Return: 0, or EEXIST (part of) it is not free any more; EAGAIN try again in a moment; ENOMEM;
 * EDQUOT it would break a reservation.
 */
int ha_search_take(struct hybrid_alloc *ha, u64 at, u64 len, u64 align,
		   struct hybrid_alloc_range *out)
{
	u64 blocks = ha_blocks(ha, len);
	int ret = hapool_search_take(&ha->pool, at >> ha->shift, blocks);

	ha_space_changed(ha);
	if (ret)
		return ret;
	out->start = at;
	out->len = blocks << ha->shift;
	trace_ha_alloc(ha->dev, len, align, out->start, out->len, 0);
	return 0;
}

/**
 * ha_search_end - leave the slow mode
 * @ha: the allocator
 */
void ha_search_end(struct hybrid_alloc *ha)
{
	hapool_search_end(&ha->pool);
}

/**
 * ha_range_fault - whether a range can be an extent at all
 * @ha: the allocator
 * @start: first byte
 * @len: length in bytes
 *
 * Return: HYBRID_ALLOC_REASON_NONE, _ZERO_LENGTH, _UNALIGNED or _OUT_OF_RANGE.
 */
enum hybrid_alloc_reason ha_range_fault(const struct hybrid_alloc *ha, u64 start, u64 len)
{
	/* not ha->end: during GROW the pool may already have handed out space after it */
	u64 end = hapool_end(&ha->pool) << ha->shift;

	if (!len)
		return HYBRID_ALLOC_REASON_ZERO_LENGTH;
	if (!IS_ALIGNED(start, ha->params.min_block))
		return HYBRID_ALLOC_REASON_UNALIGNED;
	if (start < ha->start || start >= end || len > end - start)
		return HYBRID_ALLOC_REASON_OUT_OF_RANGE;
	return HYBRID_ALLOC_REASON_NONE;
}

static int ha_fault_errno(enum hybrid_alloc_reason fault)
{
	return fault == HYBRID_ALLOC_REASON_OUT_OF_RANGE ? -ERANGE : -EINVAL;
}

/**
 * hybrid_alloc_claim - make a live extent of a given free range
 * @ha: the allocator
 * @start: first byte, a multiple of a block
 * @len: length in bytes, rounded up to whole blocks
 * @gfp: how to get memory for metadata
 *
 * For callers that keep a catalogue of their extents: they claim all of them after they
 * have opened the allocator.
 *
 * Context: As hybrid_alloc_alloc().
 * Return: 0, or EINVAL @len is 0 or @start is not a multiple of a block; ERANGE the range is
 * not inside the managed range; EEXIST part of it is not free; ENOSPC less is free beyond all
 * reservations; ENOMEM, EAGAIN, EINTR as hybrid_alloc_alloc().
 */
int hybrid_alloc_claim(struct hybrid_alloc *ha, u64 start, u64 len, gfp_t gfp)
{
	enum hybrid_alloc_reason fault = ha_range_fault(ha, start, len);
	int ret;

	if (fault) {
		ret = ha_fault_errno(fault);
	} else {
		ret = ha_nospc(hapool_claim(&ha->pool, start >> ha->shift, ha_blocks(ha, len),
					    gfp));
		ha_space_changed(ha);
	}
	trace_ha_claim(ha->dev, start, len, ret);
	return ret;
}
EXPORT_SYMBOL_GPL(hybrid_alloc_claim);

/**
 * ha_claim_range - what ha_claim_some() takes, of a range in bytes
 * @ha: the allocator
 * @start: first byte
 * @len: length in bytes
 * @x: out: the range, in blocks
 * Context: any. Return: 0, or why the range is refused: EINVAL, ERANGE as hybrid_alloc_claim().
 */
int ha_claim_range(struct hybrid_alloc *ha, u64 start, u64 len, struct haslab_range *x)
{
	enum hybrid_alloc_reason fault = ha_range_fault(ha, start, len);

	if (fault) {
		trace_ha_claim(ha->dev, start, len, ha_fault_errno(fault));
		return ha_fault_errno(fault);
	}
	x->start = start >> ha->shift;
	x->len = ha_blocks(ha, len);
	return 0;
}

/**
 * ha_claim_some - make live extents of the first of many ranges
 * @ha: the allocator
 * @x: the ranges, from ha_claim_range(); best in the order of addresses
 * @nr: how many, at least one
 * @gfp: how to get memory for metadata
 * @ret: out: what hybrid_alloc_claim() would have returned for each of those that are done
 * Context: as hybrid_alloc_claim(). Return: how many are done, as hapool_claim_some().
 */
u32 ha_claim_some(struct hybrid_alloc *ha, const struct haslab_range *x, u32 nr, gfp_t gfp,
		  int *ret)
{
	u32 done = hapool_claim_some(&ha->pool, x, nr, gfp, ret), i;

	*ret = ha_nospc(*ret);
	ha_space_changed(ha);
	for (i = 0; i < done && trace_ha_claim_enabled(); i++)
		trace_ha_claim(ha->dev, x[i].start << ha->shift, x[i].len << ha->shift, *ret);
	return done;
}

/* The long way of a free, with all checks: not a hit, refused, or traced. */
static noinline int ha_free(struct hybrid_alloc *ha, u64 start, u64 len,
			    enum hybrid_alloc_reason *reason)
{
	enum hybrid_alloc_reason fault = ha_range_fault(ha, start, len);
	int ret;

	if (fault) {
		atomic64_inc(&ha->refused[fault]);
		ret = ha_fault_errno(fault);
	} else {
		ret = hapool_free(&ha->pool, start >> ha->shift, ha_blocks(ha, len), &fault);
		ha_space_changed(ha);
	}
	if (ret)
		trace_ha_refused_free(ha->dev, start, len, fault, ret);
	else
		trace_ha_free(ha->dev, start, len);
	if (ret && reason)
		*reason = fault;
	return ret;
}

/* ha_free() of an object of a class, inside the device, that the magazine did not take. */
static noinline int ha_free_missed(struct hybrid_alloc *ha, u64 block, unsigned long class,
				   enum hybrid_alloc_reason *reason)
{
	u64 blocks = hapool_class_blocks(&ha->pool, class);

	return ha_free(ha, block << ha->shift, blocks << ha->shift, reason);
}

/* A free of a length that is served by buddy blocks, or that has no class. */
static noinline int ha_free_block(struct hybrid_alloc *ha, u64 block, u64 blocks,
				  unsigned long class, enum hybrid_alloc_reason *reason)
{
	if (class < HASLAB_NR_CLASSES && hapool_free_hit(&ha->pool, class, true, block))
		return 0;
	return ha_free(ha, block << ha->shift, blocks << ha->shift, reason);
}

/**
 * hybrid_alloc_free - free an extent
 * @ha: the allocator
 * @start: first byte of the extent
 * @len: a length in bytes that rounds up to the extent's
 * @reason: out: why the free was refused, untouched if it was not; may be NULL
 *
 * The extent must be live, and exactly of this start and length; otherwise the free is
 * refused and nothing changes. I/O to the extent must have finished: it may have a new
 * owner before this function returns.
 *
 * Context: Process context. Sleeps on PREEMPT_RT only, where spinlocks do. Needs no memory.
 * Return: 0, or EINVAL @len is 0, @start is not a multiple of a block, or start or length do
 * not match the live extent there; ERANGE the range is not inside the managed range; ENOENT
 * nothing is allocated there.
 */
int hybrid_alloc_free(struct hybrid_alloc *ha, u64 start, u64 len,
		      enum hybrid_alloc_reason *reason)
{
	u64 blocks = (len + ha->mask) >> ha->shift;
	/* a start inside a block becomes a number past any end */
	u64 block = ror64(start, ha->shift);
	unsigned long class;

	if (unlikely(block >= hapool_end(&ha->pool)) || unlikely(!blocks) ||
	    unlikely(blocks > HASLAB_MAX_CLASS_BLOCKS))
		return ha_free(ha, start, len, reason);
	class = READ_ONCE(ha_hit_classes[blocks]);
	if (unlikely(hapool_from_buddy(&ha->pool, class)))
		return ha_free_block(ha, block, blocks, class, reason);
	/* @start and @len are not used after this point: each would cost a register */
	if (!hapool_free_hit(&ha->pool, class, false, block))
		return ha_free_missed(ha, block, class, reason);
	return 0;
}
EXPORT_SYMBOL_GPL(hybrid_alloc_free);

/**
 * hybrid_alloc_drain - empty the per-CPU pools
 * @ha: the allocator
 *
 * Extents that are freed meanwhile may end up in a pool. A pool that another task is working on
 * but does not run is left, and so is the rest if the caller is killed.
 *
 * Context: Process context, may sleep. Needs no memory.
 */
void hybrid_alloc_drain(struct hybrid_alloc *ha)
{
	hapool_drain(&ha->pool);
	ha_space_changed(ha);
}
EXPORT_SYMBOL_GPL(hybrid_alloc_drain);

/* Not inlined, to keep the histogram off the stack of STAT without the flag. */
static noinline_for_stack void ha_stat_runs(struct hybrid_alloc *ha,
					    struct hybrid_alloc_stat *stat)
{
	struct haslab_histogram h;
	int i, to;

	hapool_histogram(&ha->pool, &h);
	for (i = 0; i < ARRAY_SIZE(h.count); i++) {
		to = min(i, HYBRID_ALLOC_RUN_LENGTHS - 1);
		stat->run_count[to] += h.count[i];
		stat->run_bytes[to] += h.blocks[i] << ha->shift;
	}
}

/**
 * hybrid_alloc_stat - how the space is used
 * @ha: the allocator
 * @stat: out: all but size, flags and epoch
 * @runs: also count the free runs, which takes time in proportion to their number
 *
 * Context: Process context, may sleep.
 */
void hybrid_alloc_stat(struct hybrid_alloc *ha, struct hybrid_alloc_stat *stat, bool runs)
{
	/* read once, since GROW may change it; the end is computed from the same value */
	u64 range_len = READ_ONCE(ha->params.range_len), end;
	struct hapool_stat st;
	int i;

	hapool_stat(&ha->pool, &st, runs);
	end = round_down(ha->params.range_start + range_len, ha->params.min_block);
	stat->capacity = range_len;
	stat->charged = st.charged << ha->shift;
	stat->cached = st.cached << ha->shift;
	stat->free = st.slab.free << ha->shift;
	stat->retired = st.retired << ha->shift;
	stat->unusable = range_len - (end - ha->start);
	stat->metadata = st.metadata;
	stat->percpu = st.percpu;
	stat->nr_live = st.nr_live;
	stat->nr_slabs = st.slab.nr_slabs;
	stat->nr_free_runs = runs ? st.slab.nr_runs : 0;
	stat->largest_free_run = st.slab.largest_run << ha->shift;
	stat->nr_allocs = st.allocs;
	stat->pool_hits = st.hits;
	stat->pool_misses = st.misses;
	stat->pool_refills = st.refills;
	stat->pool_drains = st.drains;
	stat->slabs_made = st.slab.made;
	stat->slabs_returned = st.slab.returned;
	stat->buddy_splits = st.slab.splits;
	stat->buddy_merges = st.slab.merges;
	stat->slow_searches = st.searches;
	stat->reserved = st.reserved << ha->shift;
	stat->nr_reservations = st.nr_reservations;
	stat->reserved_refusals = st.reserved_refusals;

	BUILD_BUG_ON(ARRAY_SIZE(stat->refused_frees) < HYBRID_ALLOC_REASON_COUNT);
	memset(stat->refused_frees, 0, sizeof(stat->refused_frees));
	/* of the device node, if there is one */
	stat->nr_bound = 0;
	stat->bound_memory = 0;
	stat->nr_watchers = 0;
	for (i = 0; i < HYBRID_ALLOC_REASON_COUNT; i++)
		stat->refused_frees[i] = st.refused[i] + atomic64_read(&ha->refused[i]);

	memset(stat->run_count, 0, sizeof(stat->run_count));
	memset(stat->run_bytes, 0, sizeof(stat->run_bytes));
	if (runs)
		ha_stat_runs(ha, stat);
}
EXPORT_SYMBOL_GPL(hybrid_alloc_stat);

/**
 * hybrid_alloc_map - list extents and free space
 * @ha: the allocator
 * @start: first byte to report, a multiple of a block; the part before the managed range is
 *	skipped
 * @entries: out: the entries in order of address, without gaps; a live extent is one entry,
 *	with its own start even if @start is inside it
 * @nr: length of @entries
 * @gfp: how to get memory
 *
 * All entries of a call are of the same moment, except that extents of common sizes may change
 * between live and cached meanwhile. There may be fewer than @nr although more follows: a call
 * looks at a bounded number. To continue, call again with the end of the last entry.
 *
 * Context: Process context. May sleep if gfpflags_allow_blocking(@gfp).
 * Return: The number of entries, 0 at the end, or EINVAL @start is not a multiple of a
 * block; ENOMEM.
 */
int hybrid_alloc_map(struct hybrid_alloc *ha, u64 start, struct hybrid_alloc_map_entry *entries,
		     int nr, gfp_t gfp)
{
	struct haslab_extent *blocks;
	int i;

	if (!IS_ALIGNED(start, ha->params.min_block))
		return -EINVAL;
	start = max(start, ha->start);
	if (start >= READ_ONCE(ha->end) || nr < 1)
		return 0;
	blocks = kvmalloc_array(nr, sizeof(*blocks), gfp);
	if (!blocks)
		return -ENOMEM;
	nr = hapool_map(&ha->pool, start >> ha->shift, blocks, nr);
	for (i = 0; i < nr; i++)
		entries[i] = (struct hybrid_alloc_map_entry){
			.start = blocks[i].start << ha->shift,
			.len = blocks[i].len << ha->shift,
			.state = blocks[i].state,
			.kind = blocks[i].kind,
		};
	kvfree(blocks);
	return nr;
}
EXPORT_SYMBOL_GPL(hybrid_alloc_map);
