/* SPDX-License-Identifier: GPL-2.0 */
/* Thresholds of free space, and waking tasks that wait for low space. See watch.c. */
#ifndef _HYBRID_ALLOC_WATCH_H
#define _HYBRID_ALLOC_WATCH_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include "pool.h"

/**
 * struct ha_watch - the thresholds of free space in one pool
 * @pool: the pool
 * @shift: log2 of the bytes in a block
 * @below: evaluate the thresholds when fewer bytes than this are free; written under @lock
 * @from: evaluate them when this many bytes or more are free; written under @lock
 * @lock: protects @thresholds and their members
 * @thresholds: struct ha_threshold, those that are set
 * @wait: woken when space becomes low for a threshold
 */
struct ha_watch {
	struct hapool *pool;
	unsigned int shift;
	u64 below;
	u64 from;
	spinlock_t lock;	/* see above */
	struct list_head thresholds;
	wait_queue_head_t wait;
};

/**
 * struct ha_threshold - a threshold of free space; ha_watch.lock protects it
 * @list: in ha_watch.thresholds, if it is set
 * @bytes: space is low when fewer bytes are free; 0: not set
 * @low: space was low at the last evaluation
 */
struct ha_threshold {
	struct list_head list;
	u64 bytes;
	bool low;
};

void ha_watch_init(struct ha_watch *w);
void ha_watch_bind(struct ha_watch *w, struct hapool *pool, unsigned int shift);
void ha_watch_look(struct ha_watch *w);

void ha_threshold_init(struct ha_threshold *t);
u64 ha_threshold_set(struct ha_watch *w, struct ha_threshold *t, u64 bytes);
bool ha_threshold_is_low(struct ha_watch *w, struct ha_threshold *t);
void ha_threshold_clear(struct ha_watch *w, struct ha_threshold *t);

#endif
