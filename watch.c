// SPDX-License-Identifier: GPL-2.0
/*
 * Low space: thresholds of free space
 *
 * Space is low for a threshold (one for each open file that has called WATCH) while fewer
 * bytes are free. A waiter is woken when space becomes low for the threshold of its file.
 * "Free" is what STAT reports as free, so it does not change on a hit.
 *
 * After each call of the pool that was not a hit, the caller calls ha_watch_look(), if a
 * threshold is set. It sums up the free space of all groups without locks. Two marks make
 * this cheap in most cases: ha_watch.below, the highest threshold for which space was not
 * low at the last evaluation, and ha_watch.from, the lowest for which it was. While free
 * space is between them no threshold changes its state, and nothing more is done. Only
 * outside the marks is the free space summed up exactly.
 *
 * The thresholds are in a tree, and have no state of their own: space is low for those
 * above ha_watch.last, the bytes that were free at the last evaluation. So an evaluation
 * takes two steps down the tree, however many thresholds there are. If free space has
 * fallen past some that have waiters, these are remembered as a range, and a work item
 * wakes the waiters: the caller that made space low does not pay for them.
 *
 * No fall is missed
 * =================
 *
 * A CPU that changes free space reads the marks after the change, and ha_watch_sort()
 * sums up the free space after it has written a mark. Both have a full barrier in
 * between, so at least one of them sees what the other has written. While ha_watch_sort()
 * is at work the marks are such that every sum is outside.
 *
 * As long as no threshold is set, a change of free space is not followed by a barrier. So
 * the caller that publishes the ha_watch waits for a grace period of RCU before it sets a
 * threshold (ha_watch_begin()): free space changes under spinlocks, which are RCU readers.
 * ha_watch_end() takes the ha_watch back with the last threshold.
 *
 * ha_threshold_is_low() evaluates as well. So a fall after a poll() that saw enough space
 * is noticed even if the rise before it was not.
 */
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include "compat.h"
#include "watch.h"

/* Thresholds that are looked at in one hold of the lock: misses may wait for it. */
#define HA_WATCH_BATCH	16

/* ---- the tree: by threshold, then by address ---- */

static bool ha_threshold_before(const struct ha_threshold *a, u64 bytes,
				const struct ha_threshold *b)
{
	return a->bytes != bytes ? a->bytes < bytes : (unsigned long)a < (unsigned long)b;
}

static bool ha_threshold_less(struct rb_node *a, const struct rb_node *b)
{
	const struct ha_threshold *t = rb_entry(b, struct ha_threshold, node);

	return ha_threshold_before(rb_entry(a, struct ha_threshold, node), t->bytes, t);
}

/* The first threshold that is higher than @bytes; of the equal ones, those after @t count. */
static struct ha_threshold *ha_threshold_after(struct ha_watch *w, u64 bytes,
					       const struct ha_threshold *t)
{
	struct rb_node *node = w->thresholds.rb_node;
	struct ha_threshold *found = NULL, *at;

	lockdep_assert_held(&w->lock);
	while (node) {
		ha_step(1);
		at = rb_entry(node, struct ha_threshold, node);
		/* @t itself may have been set anew */
		if ((at == t && at->bytes == bytes) || ha_threshold_before(at, bytes, t)) {
			node = node->rb_right;
		} else {
			found = at;
			node = node->rb_left;
		}
	}
	return found;
}

/* After all that are equal. */
#define HA_THRESHOLD_LAST	((struct ha_threshold *)ULONG_MAX)

static u64 ha_threshold_bytes(const struct rb_node *node, u64 none)
{
	return node ? rb_entry(node, struct ha_threshold, node)->bytes : none;
}

/* ---- the lock ---- */

static void ha_watch_lock(struct ha_watch *w) __acquires(&w->lock)
{
	spin_lock(&w->lock);
	ha_hold_begin(HA_LOCK_WATCH);
}

static void ha_watch_unlock(struct ha_watch *w) __releases(&w->lock)
{
	ha_hold_end(HA_LOCK_WATCH);
	spin_unlock(&w->lock);
}

/* ---- evaluation ---- */

/*
 * Whether there are waiters for @t or the next thresholds up to @end. Also if it takes too long
 * to say. A waiter that is not seen here evaluates its threshold later: it takes the lock after
 * it is in the queue.
 */
static bool ha_watch_awaited(struct ha_threshold *t, u64 end)
{
	struct rb_node *node;
	int i;

	for (i = 0; t && t->bytes <= end; i++) {
		ha_step(1);
		/* the lock orders this with the waiter, see above */
		if (waitqueue_active(&t->wait) || i == HA_WATCH_BATCH)
			return true;
		node = rb_next(&t->node);
		t = rb_entry_safe(node, struct ha_threshold, node);
	}
	return false;
}

/* Space has become low for @first and further thresholds up to @from. */
static void ha_watch_fell(struct ha_watch *w, struct ha_threshold *first, u64 from)
{
	if (!ha_watch_awaited(first, from))
		return;
	/* if the work item still has a range to do, it does all from the one to the other */
	w->fell_to = min(w->fell_to, w->last);
	w->fell_from = max(w->fell_from, from);
	queue_work(system_dfl_wq, &w->wake);
}

/* Evaluates the thresholds and sets the marks. Returns the free bytes. */
static u64 ha_watch_sort(struct ha_watch *w)
{
	struct ha_threshold *higher;
	u64 last = w->last, below;
	struct rb_node *lower;

	lockdep_assert_held(&w->lock);
	WRITE_ONCE(w->below, U64_MAX);
	/*
	 * Pairs with the full barrier in ha_watch_look(): either the sum below includes
	 * that CPU's change, or that CPU reads U64_MAX and evaluates again.
	 */
	smp_mb();
	w->last = haslab_free_exact(&w->pool->slab) << w->shift;
	higher = ha_threshold_after(w, w->last, HA_THRESHOLD_LAST);
	lower = higher ? rb_prev(&higher->node) : rb_last(&w->thresholds);
	below = ha_threshold_bytes(lower, 0);
	if (higher && higher->bytes <= last)
		ha_watch_fell(w, higher, last);
	WRITE_ONCE(w->from, higher ? higher->bytes : U64_MAX);
	/*
	 * Pairs with the read barrier in ha_watch_look(): a CPU that reads the new @below
	 * also reads the new @from. Not smp_store_release(), which does not take 64 bits
	 * on every architecture.
	 */
	smp_wmb();
	WRITE_ONCE(w->below, below);
	return w->last;
}

/**
 * ha_watch_look - free space has changed
 * @w: the watch
 *
 * Context: Process context, without a lock of the pool.
 */
void ha_watch_look(struct ha_watch *w)
{
	u64 free, below;

	/*
	 * Pairs with the full barrier in ha_watch_sort(): the change of free space comes
	 * before the marks are read.
	 */
	smp_mb();
	free = haslab_free_blocks(&w->pool->slab) << w->shift;
	below = READ_ONCE(w->below);
	/* Pairs with smp_wmb() in ha_watch_sort(): @from is at least as new as @below. */
	smp_rmb();
	if (free >= below && free < READ_ONCE(w->from))
		return;
	ha_watch_lock(w);
	ha_watch_sort(w);
	ha_watch_unlock(w);
}

/* ---- waking ---- */

/* Finds up to HA_WATCH_BATCH thresholds after @*t, up to @end. */
static int ha_watch_batch(struct ha_watch *w, u64 *bytes, struct ha_threshold **t, u64 end,
			  struct ha_threshold **batch)
{
	struct ha_threshold *next;
	struct rb_node *node;
	int nr = 0;

	ha_watch_lock(w);
	next = ha_threshold_after(w, *bytes, *t);
	for (; next && next->bytes <= end && nr < HA_WATCH_BATCH;
	     next = rb_entry_safe(node, struct ha_threshold, node)) {
		ha_step(1);
		batch[nr++] = next;
		*bytes = next->bytes;
		*t = next;
		node = rb_next(&next->node);
	}
	ha_watch_unlock(w);
	return nr;
}

/*
 * Wakes the waiters of all thresholds that space fell past. A file may have any number of
 * waiters, so they are woken without the lock; under RCU, so that its memory stays.
 */
static void ha_watch_wake(struct work_struct *work)
{
	struct ha_watch *w = container_of(work, struct ha_watch, wake);
	struct ha_threshold *batch[HA_WATCH_BATCH], *t = HA_THRESHOLD_LAST;
	u64 bytes, end;
	int nr, i;

	ha_watch_lock(w);
	bytes = w->fell_to;
	end = w->fell_from;
	w->fell_to = U64_MAX;
	w->fell_from = 0;
	ha_watch_unlock(w);
	do {
		rcu_read_lock();
		nr = ha_watch_batch(w, &bytes, &t, end, batch);
		for (i = 0; i < nr; i++)
			wake_up_poll(&batch[i]->wait, EPOLLPRI);
		rcu_read_unlock();
		cond_resched();
	} while (nr == HA_WATCH_BATCH);
}

/* ---- thresholds ---- */

/**
 * ha_threshold_is_low - whether space is low for a threshold
 * @w: the watch; its pool still exists
 * @t: the threshold
 *
 * Context: Process context.
 * Return: Whether it is set, and fewer bytes are free.
 */
bool ha_threshold_is_low(struct ha_watch *w, struct ha_threshold *t)
{
	bool low = false;

	/* with the lock, also if it seems not to be set: see ha_watch_awaited() */
	ha_watch_lock(w);
	if (t->bytes)
		low = ha_watch_sort(w) < t->bytes;
	ha_watch_unlock(w);
	return low;
}

/* With @w->lock held. */
static void ha_threshold_remove(struct ha_watch *w, struct ha_threshold *t)
{
	if (!t->bytes)
		return;
	rb_erase(&t->node, &w->thresholds);
	w->users--;
	WRITE_ONCE(t->bytes, 0);
}

/**
 * ha_threshold_set - set a threshold
 * @w: the watch; its pool still exists; if @bytes is not 0, between ha_watch_begin() and
 *	ha_watch_end()
 * @t: the threshold
 * @bytes: space is low when fewer bytes are free; 0: never
 *
 * Context: Process context.
 * Return: The free bytes.
 */
u64 ha_threshold_set(struct ha_watch *w, struct ha_threshold *t, u64 bytes)
{
	u64 free;

	ha_watch_lock(w);
	ha_threshold_remove(w, t);
	if (bytes) {
		WRITE_ONCE(t->bytes, bytes);
		rb_add(&t->node, &w->thresholds, ha_threshold_less);
		w->users++;
	}
	free = ha_watch_sort(w);
	ha_watch_unlock(w);
	if (free < bytes)
		wake_up_poll(&t->wait, EPOLLPRI);
	return free;
}

/**
 * ha_threshold_clear - remove a threshold when its file is closed
 * @w: the watch
 * @t: the threshold; its memory stays for a grace period of RCU
 *
 * The marks stay as they are, which costs at most one needless evaluation. So this may
 * also be called when the pool is gone.
 * Context: Process context.
 */
void ha_threshold_clear(struct ha_watch *w, struct ha_threshold *t)
{
	ha_watch_lock(w);
	ha_threshold_remove(w, t);
	ha_watch_unlock(w);
}

/**
 * ha_threshold_init - initialise a threshold: not set
 * @t: the threshold
 */
void ha_threshold_init(struct ha_threshold *t)
{
	t->bytes = 0;
	init_waitqueue_head(&t->wait);
}

/* ---- the watch ---- */

/**
 * ha_watch_begin - a threshold is about to be set
 * @w: the watch
 * @place: where changes of free space look for it
 *
 * When this returns, every change of free space is followed by ha_watch_look(), until
 * ha_watch_end() finds no threshold. Context: Process context, may sleep.
 */
void ha_watch_begin(struct ha_watch *w, struct ha_watch **place)
{
	bool ready;

	ha_watch_lock(w);
	w->users++;
	ready = w->ready;
	WRITE_ONCE(*place, w);
	ha_watch_unlock(w);
	if (ready)
		return;
	/* Wait for changes of free space that did not see @w, and so have no barrier. */
	synchronize_rcu();
	/* @users keeps others from taking it back meanwhile */
	ha_watch_lock(w);
	w->ready = true;
	ha_watch_unlock(w);
}

/**
 * ha_watch_end - changes of free space need not be followed any more if no threshold is set
 * @w: the watch
 * @place: as for ha_watch_begin()
 * @begun: whether the caller has called ha_watch_begin()
 *
 * Context: Process context.
 */
void ha_watch_end(struct ha_watch *w, struct ha_watch **place, bool begun)
{
	ha_watch_lock(w);
	w->users -= begun;
	if (!w->users) {
		WRITE_ONCE(*place, NULL);
		w->ready = false;
	}
	ha_watch_unlock(w);
}

/**
 * ha_watch_init - initialise a watch: no pool, no threshold
 * @w: the watch
 */
void ha_watch_init(struct ha_watch *w)
{
	spin_lock_init(&w->lock);
	w->thresholds = RB_ROOT;
	w->users = 0;
	w->ready = false;
	w->last = 0;
	w->below = 0;
	w->from = U64_MAX;
	w->fell_to = U64_MAX;
	w->fell_from = 0;
	INIT_WORK(&w->wake, ha_watch_wake);
	init_waitqueue_head(&w->wait);
}

/**
 * ha_watch_bind - set the pool of a watch, once
 * @w: the watch
 * @pool: the pool to watch
 * @shift: log2 of the bytes in a block
 */
void ha_watch_bind(struct ha_watch *w, struct hapool *pool, unsigned int shift)
{
	w->pool = pool;
	w->shift = shift;
}

/**
 * ha_watch_destroy - the last file is closed
 * @w: the watch; no threshold is set
 *
 * Context: Process context, may sleep.
 */
void ha_watch_destroy(struct ha_watch *w)
{
	cancel_work_sync(&w->wake);
}
