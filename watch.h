/* SPDX-License-Identifier: GPL-2.0 */
/* Thresholds of free space, and waking tasks that wait for low space. See watch.c. */
#ifndef _HYBRID_ALLOC_WATCH_H
#define _HYBRID_ALLOC_WATCH_H

#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include "pool.h"

/**
 * struct ha_watch - the thresholds of free space in one pool
 * @pool: the pool
 * @shift: log2 of the bytes in a block
 * @below: evaluate the thresholds when fewer bytes than this are free; written under @lock
 * @from: evaluate them when this many bytes or more are free; written under @lock
 * @lock: protects all below but @wait, and struct ha_threshold
 * @last: the bytes that were free at the last evaluation: space is low for higher thresholds
 * @thresholds: struct ha_threshold, those that are set, by threshold
 * @users: how many are set, and calls between ha_watch_begin() and ha_watch_end()
 * @ready: every change of free space is followed by a look
 * @fell_to: the waiters of thresholds higher than this are to be woken,
 * @fell_from: up to this one
 * @wake: wakes them
 * @wait: woken when the device goes away: all waiters
 */
struct ha_watch {
	struct hapool *pool;
	unsigned int shift;
	u64 below;
	u64 from;
	spinlock_t lock;	/* see above */
	u64 last;
	struct rb_root thresholds;
	unsigned long users;
	bool ready;
	u64 fell_to;
	u64 fell_from;
	struct work_struct wake;
	wait_queue_head_t wait;
};

/**
 * struct ha_threshold - a threshold of free space; ha_watch.lock protects it
 * @node: in ha_watch.thresholds, if it is set
 * @bytes: space is low when fewer bytes are free; 0: not set
 * @wait: woken when space becomes low for it
 */
struct ha_threshold {
	struct rb_node node;
	u64 bytes;
	wait_queue_head_t wait;
};

void ha_watch_init(struct ha_watch *w);
void ha_watch_bind(struct ha_watch *w, struct hapool *pool, unsigned int shift);
void ha_watch_destroy(struct ha_watch *w);
void ha_watch_begin(struct ha_watch *w, struct ha_watch **place);
void ha_watch_end(struct ha_watch *w, struct ha_watch **place, bool begun);
void ha_watch_look(struct ha_watch *w);

void ha_threshold_init(struct ha_threshold *t);
u64 ha_threshold_set(struct ha_watch *w, struct ha_threshold *t, u64 bytes);
bool ha_threshold_is_low(struct ha_watch *w, struct ha_threshold *t);
void ha_threshold_clear(struct ha_watch *w, struct ha_threshold *t);

/* How many thresholds are set. */
static inline unsigned long ha_watch_nr(const struct ha_watch *w)
{
	return READ_ONCE(w->users);
}

#endif
