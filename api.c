// SPDX-License-Identifier: GPL-2.0
/*
 * The exported API: allocating, claiming, freeing, and what is where
 *
 * The layers below count in blocks, the API counts in bytes. Each call checks its
 * arguments, converts them, and calls the pool; after a call of the pool that was not a
 * hit, it tells the watch that free space may have changed.
 *
 * hybrid_alloc_alloc() and hybrid_alloc_free() contain the hits: what can be served by a
 * magazine of this CPU is, in as few instructions as possible. Everything else, including
 * every refusal and all calls while calls are traced, goes the long way: ha_alloc() and
 * ha_free(), which check everything and have the tracepoints.
 *
 * There are no locks here.
 */
#include <linux/bitops.h>
#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "api.h"
#include "api_trace.h"
#include "pool_hit.h"

/* A length that is known to be inside the range, in blocks. */
static u64 ha_blocks(const struct hybrid_alloc *ha, u64 len)
{
	return round_up(len, ha->params.min_block) >> ha->shift;
}

/* As hybrid_alloc_alloc(), with everything checked. */
static int ha_alloc_checked(struct hybrid_alloc *ha, u64 len, u64 align, u64 goal, gfp_t gfp,
			    struct hybrid_alloc_range *out)
{
	u64 blocks, start;
	int ret;

	if (!len || (align && !ha_is_power_of_2(align)))
		return -EINVAL;
	if (len > READ_ONCE(ha->max_len))
		return -EFBIG;
	/* a goal is no condition: outside the range it is none */
	if (unlikely(goal != HYBRID_ALLOC_NO_GOAL))
		goal = goal < ha->start || goal >= READ_ONCE(ha->end) ? HAPOOL_NO_GOAL :
								       goal >> ha->shift;

	BUILD_BUG_ON(HYBRID_ALLOC_NO_GOAL != HAPOOL_NO_GOAL);
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

/* All allocations that are no hit, or traced. */
static noinline int ha_alloc(struct hybrid_alloc *ha, u64 len, u64 align, u64 goal, gfp_t gfp,
			     struct hybrid_alloc_range *out)
{
	int ret = ha_alloc_checked(ha, len, align, goal, gfp, out);

	trace_ha_alloc(ha->dev, len, align, ret ? 0 : out->start, ret ? 0 : out->len, ret);
	return ret;
}

/**
 * hybrid_alloc_alloc - allocate an extent
 * @ha: the allocator
 * @len: bytes wanted, rounded up to the smallest unit of space
 * @align: alignment of the start on the device, a power of two, or 0
 * @goal: where it should be if possible, rounded down; outside the managed range it
 *	has no effect, as HYBRID_ALLOC_NO_GOAL has none
 * @gfp: how to get memory for metadata
 * @out: the extent, with the rounded length; untouched on failure
 *
 * Context: Process context. May sleep if gfpflags_allow_blocking(@gfp).
 * Without that it does not wait for anything but spinlocks.
 * Return: 0, or EINVAL @len is 0 or @align not a power of two; EFBIG @len is
 * larger than params.max_block or the managed range; ENOSPC no free run fits;
 * ENOMEM; EAGAIN it would have to wait to know, and @gfp forbids; EINTR killed
 * while it waited.
 */
int hybrid_alloc_alloc(struct hybrid_alloc *ha, u64 len, u64 align, u64 goal, gfp_t gfp,
		       struct hybrid_alloc_range *out)
{
	/* of what overflows here nothing is left */
	u64 blocks = (len + ha->mask) >> ha->shift, start;
	unsigned int shift;

	/* a size for which there is a magazine has been checked before */
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

/* Why a range cannot be one of the allocator's. */
enum hybrid_alloc_reason ha_range_fault(const struct hybrid_alloc *ha, u64 start, u64 len)
{
	/* while the range grows the pool knows of more already, and may have handed it out */
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
 * hybrid_alloc_claim - mark a given range as a live extent
 * @ha: the allocator
 * @start: first byte, a multiple of the smallest unit of space
 * @len: bytes, rounded up to the smallest unit of space
 * @gfp: how to get memory for metadata
 *
 * For users that keep a catalogue of their extents: they claim all of them
 * after they have opened the allocator.
 *
 * Context: as hybrid_alloc_alloc().
 * Return: 0, or EINVAL @len is 0 or @start not a multiple; ERANGE the range is
 * not inside the managed one; EEXIST it is (partly) taken; ENOMEM, EAGAIN,
 * EINTR as hybrid_alloc_alloc().
 */
int hybrid_alloc_claim(struct hybrid_alloc *ha, u64 start, u64 len, gfp_t gfp)
{
	enum hybrid_alloc_reason fault = ha_range_fault(ha, start, len);
	int ret;

	if (fault) {
		ret = ha_fault_errno(fault);
	} else {
		ret = hapool_claim(&ha->pool, start >> ha->shift, ha_blocks(ha, len), gfp);
		ha_space_changed(ha);
	}
	trace_ha_claim(ha->dev, start, len, ret);
	return ret;
}
EXPORT_SYMBOL_GPL(hybrid_alloc_claim);

/* As hybrid_alloc_free(), with everything checked. */
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

/* The same for a common size and a block, both inside the device. */
static noinline int ha_free_missed(struct hybrid_alloc *ha, u64 block, unsigned long class,
				   enum hybrid_alloc_reason *reason)
{
	u64 blocks = hapool_class_blocks(&ha->pool, class);

	return ha_free(ha, block << ha->shift, blocks << ha->shift, reason);
}

/* For what may be a block of the buddy; the pools have no magazine for what is not. */
static noinline int ha_free_block(struct hybrid_alloc *ha, u64 block, u64 blocks,
				  unsigned long class, enum hybrid_alloc_reason *reason)
{
	if (class < HASLAB_NR_CLASSES && hapool_free_hit(&ha->pool, class, true, block))
		return 0;
	return ha_free(ha, block << ha->shift, blocks << ha->shift, reason);
}

/**
 * hybrid_alloc_free - give an extent back
 * @ha: the allocator
 * @start: first byte of the extent
 * @len: bytes, rounding up to the extent's length
 * @reason: out: why it was refused, untouched if it was not; may be NULL
 *
 * The extent must be live and of exactly this place and length, or nothing
 * changes. I/O to it must have finished: it may have a new owner before this
 * returns.
 *
 * Context: Process context. Does not sleep, but on PREEMPT_RT, where spinlocks
 * do. Needs no memory.
 * Return: 0, or EINVAL @len is 0, @start not a multiple of the smallest unit
 * of space, or start or length are wrong inside a live extent; ERANGE the
 * range is not inside the managed one; ENOENT nothing is allocated there.
 */
int hybrid_alloc_free(struct hybrid_alloc *ha, u64 start, u64 len,
		      enum hybrid_alloc_reason *reason)
{
	u64 blocks = (len + ha->mask) >> ha->shift;
	/* of a start that is inside a block this is beyond every end */
	u64 block = ror64(start, ha->shift);
	unsigned long class;

	if (unlikely(block >= hapool_end(&ha->pool)) || unlikely(!blocks) ||
	    unlikely(blocks > HASLAB_MAX_CLASS_BLOCKS))
		return ha_free(ha, start, len, reason);
	class = READ_ONCE(ha_hit_classes[blocks]);
	if (unlikely(hapool_from_buddy(&ha->pool, class)))
		return ha_free_block(ha, block, blocks, class, reason);
	/* from here on neither @start nor @len is needed: each would cost a register */
	if (!hapool_free_hit(&ha->pool, class, false, block))
		return ha_free_missed(ha, block, class, reason);
	return 0;
}
EXPORT_SYMBOL_GPL(hybrid_alloc_free);

/**
 * hybrid_alloc_drain - empty the per-CPU pools
 * @ha: the allocator
 *
 * What is freed meanwhile may be in a pool again afterwards.
 *
 * Context: Process context, may sleep. Needs no memory.
 */
void hybrid_alloc_drain(struct hybrid_alloc *ha)
{
	hapool_drain(&ha->pool);
	ha_space_changed(ha);
}
EXPORT_SYMBOL_GPL(hybrid_alloc_drain);

/* Not in its caller, for the sake of the stack. */
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
 * hybrid_alloc_stat - where the space is
 * @ha: the allocator
 * @stat: filled in, but for size, flags and epoch
 * @runs: also walk the free runs, which takes time in proportion to them
 *
 * Context: Process context, may sleep.
 */
void hybrid_alloc_stat(struct hybrid_alloc *ha, struct hybrid_alloc_stat *stat, bool runs)
{
	/* once: GROW may change it, and the end of the blocks in it, meanwhile */
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
	stat->pool_hits = st.hits;
	stat->pool_misses = st.misses;
	stat->pool_refills = st.refills;
	stat->pool_drains = st.drains;
	stat->slabs_made = st.slab.made;
	stat->slabs_returned = st.slab.returned;
	stat->buddy_splits = st.slab.splits;
	stat->buddy_merges = st.slab.merges;
	stat->slow_searches = st.searches;

	BUILD_BUG_ON(ARRAY_SIZE(stat->refused_frees) < HYBRID_ALLOC_REASON_COUNT);
	memset(stat->refused_frees, 0, sizeof(stat->refused_frees));
	for (i = 0; i < HYBRID_ALLOC_REASON_COUNT; i++)
		stat->refused_frees[i] = st.refused[i] + atomic64_read(&ha->refused[i]);

	memset(stat->run_count, 0, sizeof(stat->run_count));
	memset(stat->run_bytes, 0, sizeof(stat->run_bytes));
	if (runs)
		ha_stat_runs(ha, stat);
}
EXPORT_SYMBOL_GPL(hybrid_alloc_stat);

/**
 * hybrid_alloc_map - what the device is used for
 * @ha: the allocator
 * @start: the first byte of interest, a multiple of the smallest unit of space;
 *	what lies before the managed range is passed over
 * @entries: out: in the order of addresses, without gaps; a live extent is one,
 *	as a whole even if @start lies inside it
 * @nr: how many there may be
 * @gfp: how to get memory
 *
 * The entries of one call were true at one moment. To see more, call again with
 * the end of the last one.
 *
 * Context: Process context. May sleep if gfpflags_allow_blocking(@gfp).
 * Return: The number of entries, 0 at the end, or EINVAL @start is not a
 * multiple; ENOMEM.
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
