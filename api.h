/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The allocator on a block device: what the files of the api rung share, and what dev/
 * needs beyond the exported functions of hybrid_alloc.h. Positions and lengths are in bytes.
 */
#ifndef _HYBRID_ALLOC_API_H
#define _HYBRID_ALLOC_API_H

#include <linux/atomic.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/shrinker.h>
#include <linux/workqueue.h>
#include "hybrid_alloc.h"
#include "pool.h"
#include "watch.h"

/**
 * struct hybrid_alloc - an allocator for a range of a block device
 * @pool: the layers below. Block 0 of the pool is byte 0 of the device, so that what is
 *	aligned in the pool is aligned on the device; the pool hands out nothing before
 *	@start.
 * @shift: log2 of the bytes in a block
 * @mask: bytes in a block, less one
 * @start: first byte of the managed range, rounded up to a block
 * @end: first byte after it, rounded down to a block
 * @grow_lock: one GROW at a time; see api_open.c
 * @max_len: largest length of an extent, a multiple of a block
 * @params: the parameters, with defaults filled in; @params.range_len is as requested
 * @refused: frees refused before they reached the pool, by reason
 * @cpuhp: in the CPU hotplug state's list of instances
 * @idle: drains the magazines of idle CPUs
 * @shrinker: empties magazines when memory is short
 * @dev: number of the block device, for tracepoints
 * @node: the node of a user in the kernel that has a name, or NULL; see dev/user.c
 * @slow_key: lockdep class of pool.slow: see ha_set_classes()
 * @grow_key: likewise of @grow_lock
 * @watch: to be told of changes of free space; NULL while no threshold is set
 *
 * GROW changes @end, @max_len and @params.range_len while calls are running; the rest is
 * constant.
 */
struct hybrid_alloc {
	struct hapool pool;
	unsigned int shift;
	u64 mask;
	u64 start;
	u64 end;
	struct mutex grow_lock;	/* see api_open.c */
	u64 max_len;
	struct hybrid_alloc_params params;
	atomic64_t refused[HYBRID_ALLOC_REASON_COUNT];
	struct hlist_node cpuhp;
	struct delayed_work idle;
	struct shrinker *shrinker;
	dev_t dev;
	struct ha_watch *watch;
	struct ha_dev *node;
	struct lock_class_key slow_key;
	struct lock_class_key grow_key;
};

/* How long a CPU may leave its magazines unused before they are drained; 0: forever. */
extern unsigned int ha_idle_ms;

int ha_api_init(void);
void ha_api_exit(void);

int ha_refuse(const char *what, int err, const char *why);
struct hybrid_alloc *ha_open(struct block_device *bdev, const struct hybrid_alloc_params *params,
			     gfp_t gfp);
void ha_close(struct hybrid_alloc *ha);
int ha_grow(struct hybrid_alloc *ha, u64 size, u64 range_len);

int __must_check ha_alloc_told(struct hybrid_alloc *ha, u64 len, u64 align, u64 goal, gfp_t gfp,
			       struct hybrid_alloc_range *out);
int __must_check ha_upto_told(struct hybrid_alloc *ha, struct hybrid_alloc_reservation *rsv,
			      u64 min, u64 max, u64 align, u64 goal, gfp_t gfp,
			      struct hybrid_alloc_range *out);
void ha_unalloc(struct hybrid_alloc_reservation *rsv, const struct hybrid_alloc_range *range);

int __must_check ha_search_begin(struct hybrid_alloc *ha);
int __must_check ha_search_find(struct hybrid_alloc *ha, u64 min, u64 *len, u64 align, u64 *at);
int __must_check ha_search_take(struct hybrid_alloc *ha, u64 at, u64 len, u64 align,
				struct hybrid_alloc_range *out);
void ha_search_end(struct hybrid_alloc *ha);

/* Called for an extent of a row. Return: 0, or a negative errno, which ends the look. */
typedef int ha_row_fn(struct hybrid_alloc *ha, u64 start, u64 len, void *arg);
void ha_part_refused(struct hybrid_alloc *ha, u64 start, u64 len, enum hybrid_alloc_reason reason,
		     int ret);
int ha_row_freed(int ret, enum hybrid_alloc_reason *reason);
int ha_row(struct hybrid_alloc *ha, u64 start, u64 len, ha_row_fn *fn, void *arg);
int ha_is_extent(struct hybrid_alloc *ha, u64 start, u64 len, enum hybrid_alloc_reason *reason);
int __must_check ha_cut(struct hybrid_alloc *ha, u64 start, u64 len, gfp_t gfp,
			enum hybrid_alloc_reason *reason);
int __must_check ha_claim_range(struct hybrid_alloc *ha, u64 start, u64 len,
				struct haslab_range *x);
u32 ha_claim_some(struct hybrid_alloc *ha, const struct haslab_range *x, u32 nr, gfp_t gfp,
		  int *ret);

enum hybrid_alloc_reason ha_range_fault(const struct hybrid_alloc *ha, u64 start, u64 len);

/**
 * struct ha_pieces - an allocation in several extents, between two of them
 * @left: bytes that are still missing, a multiple of a block
 * @min: of each extent at least, a multiple of a block
 * @nr: extents that may still follow
 * @partial: fewer bytes will do
 */
struct ha_pieces {
	u64 left;
	u64 min;
	u32 nr;
	bool partial;
};

int ha_pieces_begin(const struct hybrid_alloc *ha, struct ha_pieces *p,
		    const struct hybrid_alloc_request *rq, u32 nr);
u64 ha_pieces_next(const struct hybrid_alloc *ha, const struct ha_pieces *p);
u64 ha_pieces_shorter(const struct ha_pieces *p, u64 len);
int ha_pieces_end(const struct ha_pieces *p, int ret, u32 nr);

/* is_power_of_2() takes a long, which may be shorter than 64 bits. */
static inline bool ha_is_power_of_2(u64 n)
{
	return n && !(n & (n - 1));
}

/* Whether extents can be aligned to that: a power of two, or whole blocks. 0 is a block. */
static inline bool ha_align_is_valid(const struct hybrid_alloc *ha, u64 align)
{
	return !(align & ha->mask) || ha_is_power_of_2(align);
}

static inline u64 ha_live_bytes(struct hybrid_alloc *ha)
{
	return hapool_charged(&ha->pool) << ha->shift;
}

/*
 * Free space has changed: to be called after each call of the pool that was not a hit,
 * without a lock of the pool.
 */
static inline void ha_space_changed(struct hybrid_alloc *ha)
{
	struct ha_watch *w = READ_ONCE(ha->watch);

	if (unlikely(w))
		ha_watch_look(w);
}

#endif
