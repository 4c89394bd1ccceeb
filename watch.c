// SPDX-License-Identifier: GPL-2.0
/*
 * Low space: thresholds of free space
 *
 * Space is low for a threshold (one for each open file that has called WATCH) while fewer
 * bytes are free. The wait queue is woken when space becomes low for at least one
 * threshold. "Free" is what STAT reports as free, so it does not change on a hit.
 *
 * After each call of the pool that was not a hit, the caller calls ha_watch_look(), if a
 * threshold was ever set. It sums up the free space of all groups without locks. Two
 * marks make this cheap in most cases: ha_watch.below, the highest threshold for which
 * space was not low at the last evaluation, and ha_watch.from, the lowest for which it
 * was. While free space is between them no threshold changes its state, and nothing more
 * is done. Only outside the marks is the free space summed up exactly and each threshold
 * evaluated.
 *
 * No fall is missed
 * =================
 *
 * A CPU that changes free space reads the marks after the change, and ha_watch_sort()
 * sums up the free space after it has written a mark. Both have a full barrier in
 * between, so at least one of them sees what the other has written. While ha_watch_sort()
 * is at work the marks are such that every sum is outside.
 *
 * As long as no threshold was ever set, a change of free space is not followed by a
 * barrier. So the caller that publishes the ha_watch for the first time waits for a grace
 * period of RCU before it sets a threshold: free space changes under spinlocks, which are
 * RCU readers.
 *
 * ha_threshold_is_low() evaluates as well. So a fall after a poll() that saw enough space
 * is noticed even if the rise before it was not.
 */
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/poll.h>
#include <linux/spinlock.h>

#include "watch.h"

/*
 * Evaluates all thresholds and sets the marks. Returns the free bytes; *fell says whether
 * space has become low for a threshold.
 */
static u64 ha_watch_sort(struct ha_watch *w, bool *fell)
{
	u64 free, below = 0, from = U64_MAX;
	struct ha_threshold *t;

	lockdep_assert_held(&w->lock);
	WRITE_ONCE(w->below, U64_MAX);
	/*
	 * Pairs with the full barrier in ha_watch_look(): either the sum below includes
	 * that CPU's change, or that CPU reads U64_MAX and evaluates again.
	 */
	smp_mb();
	free = haslab_free_exact(&w->pool->slab) << w->shift;
	*fell = false;
	list_for_each_entry(t, &w->thresholds, list) {
		bool low = free < t->bytes;

		*fell |= low && !t->low;
		t->low = low;
		if (low)
			from = min(from, t->bytes);
		else
			below = max(below, t->bytes);
	}
	WRITE_ONCE(w->from, from);
	/*
	 * Pairs with the read barrier in ha_watch_look(): a CPU that reads the new @below
	 * also reads the new @from. Not smp_store_release(), which does not take 64 bits
	 * on every architecture.
	 */
	smp_wmb();
	WRITE_ONCE(w->below, below);
	return free;
}

static void ha_watch_unlock(struct ha_watch *w, bool fell)
	__releases(&w->lock)
{
	spin_unlock(&w->lock);
	if (fell)
		wake_up_poll(&w->wait, EPOLLPRI);
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
	bool fell;

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
	spin_lock(&w->lock);
	ha_watch_sort(w, &fell);
	ha_watch_unlock(w, fell);
}

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
	bool low, fell = false;

	spin_lock(&w->lock);
	if (t->bytes)
		ha_watch_sort(w, &fell);
	low = t->low;
	/* wakes the others: space may have become low for another threshold */
	ha_watch_unlock(w, fell);
	return low;
}

/**
 * ha_threshold_set - set a threshold
 * @w: the watch; its pool still exists; if @bytes is not 0, changes of free space must
 *	already be followed by ha_watch_look()
 * @t: the threshold
 * @bytes: space is low when fewer bytes are free; 0: never
 *
 * Context: Process context.
 * Return: The free bytes.
 */
u64 ha_threshold_set(struct ha_watch *w, struct ha_threshold *t, u64 bytes)
{
	bool fell;
	u64 free;

	spin_lock(&w->lock);
	t->bytes = bytes;
	t->low = false;
	list_del_init(&t->list);
	if (bytes)
		list_add(&t->list, &w->thresholds);
	free = ha_watch_sort(w, &fell);
	ha_watch_unlock(w, fell);
	return free;
}

/**
 * ha_threshold_clear - remove a threshold when its file is closed
 * @w: the watch
 * @t: the threshold
 *
 * The marks stay as they are, which costs at most one needless evaluation. So this may
 * also be called when the pool is gone.
 * Context: Process context.
 */
void ha_threshold_clear(struct ha_watch *w, struct ha_threshold *t)
{
	spin_lock(&w->lock);
	list_del_init(&t->list);
	spin_unlock(&w->lock);
}

/**
 * ha_threshold_init - initialise a threshold: not set
 * @t: the threshold
 */
void ha_threshold_init(struct ha_threshold *t)
{
	INIT_LIST_HEAD(&t->list);
	t->bytes = 0;
	t->low = false;
}

/**
 * ha_watch_init - initialise a watch: no pool, no threshold
 * @w: the watch
 */
void ha_watch_init(struct ha_watch *w)
{
	spin_lock_init(&w->lock);
	INIT_LIST_HEAD(&w->thresholds);
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
