// SPDX-License-Identifier: GPL-2.0
/*
 * Who waits until free space is low
 *
 * An open file may have a threshold (WATCH); when there is less free space than
 * that, poll() says so, and who is in it is woken at the moment when it falls below.
 *
 * Free space is looked at after each call of the pool that was no hit, if anybody
 * has ever asked: a sum over the groups, without locks. Most such sums have no
 * consequence: nothing happens from the highest threshold for which there was
 * enough space when that was last looked at (hybrid_alloc.watch_below), up to the
 * lowest for which there was not (hybrid_alloc.watch_from). Only beyond these is the
 * space summed up exactly, is each file told apart, and are waiters woken.
 *
 * No fall is missed
 * =================
 *
 * Whoever changes free space looks afterwards, and whoever sets the two marks sums up
 * before. Both do so after a barrier: so one sees the other. In between, while it is
 * not known where the marks will be, there is no space from which nothing happens.
 *
 * Those who change space while nobody has ever asked have no barrier. The first who
 * asks waits for a grace period of RCU, under which they change it.
 *
 * poll() looks in the same way, so a fall after it has found enough is noticed also if
 * the rise before it was not.
 */
#include <linux/list.h>
#include <linux/limits.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>

#include "hybrid_alloc_internal.h"

/*
 * Tell the files apart. Return: what is free; *fell is set if it is low now for one
 * for which it was not.
 */
static u64 ha_watch_sort(struct hybrid_alloc *ha, struct ha_watch *w, bool *fell)
{
	u64 free, below = 0, from = U64_MAX;
	struct ha_file *f;

	lockdep_assert_held(&w->lock);
	WRITE_ONCE(ha->watch_below, U64_MAX);
	/* pairs with the one in ha_watch_look() */
	smp_mb();
	free = haslab_free_exact(&ha->pool.slab) << ha->shift;
	*fell = false;
	list_for_each_entry(f, &w->files, watching) {
		bool low = free < f->low_space;

		*fell |= low && !f->low;
		f->low = low;
		if (low)
			from = min(from, f->low_space);
		else
			below = max(below, f->low_space);
	}
	WRITE_ONCE(ha->watch_from, from);
	/* who sees it sees the other one, too; a release, but for 64 bits on any machine */
	smp_wmb();
	WRITE_ONCE(ha->watch_below, below);
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
 * ha_watch_look - free space has changed; see ha_space_changed()
 * @ha: the allocator, which has been watched
 *
 * Context: process context, without a lock of the pool.
 */
void ha_watch_look(struct hybrid_alloc *ha)
{
	struct ha_watch *w = ha->watch;
	bool fell;
	u64 free, below;

	/* the change comes before what follows; pairs with the one in ha_watch_sort() */
	smp_mb();
	free = haslab_free_blocks(&ha->pool.slab) << ha->shift;
	below = READ_ONCE(ha->watch_below);
	/* pairs with the one before it is set: then the other mark is as new */
	smp_rmb();
	if (free >= below && free < READ_ONCE(ha->watch_from))
		return;
	spin_lock(&w->lock);
	ha_watch_sort(ha, w, &fell);
	ha_watch_unlock(w, fell);
}

/**
 * ha_watch_poll - whether space is low for a file
 * @f: the file, of a device that is not detached
 *
 * Context: process context. Return: EPOLLPRI or 0.
 */
__poll_t ha_watch_poll(struct ha_file *f)
{
	struct ha_watch *w = &f->dev->watch;
	bool low, fell = false;

	spin_lock(&w->lock);
	if (f->low_space)
		ha_watch_sort(f->dev->ha, w, &fell);
	low = f->low;
	/* it may be another file for which space fell just now */
	ha_watch_unlock(w, fell);
	return low ? EPOLLPRI : 0;
}

/**
 * ha_watch_set - set a file's threshold
 * @f: the file, of a device that is not detached
 * @low_space: in bytes; 0: none
 *
 * Context: may sleep. Return: what is free, in bytes.
 */
u64 ha_watch_set(struct ha_file *f, u64 low_space)
{
	struct ha_watch *w = &f->dev->watch;
	struct hybrid_alloc *ha = f->dev->ha;
	bool fell;
	u64 free;

	if (low_space && !READ_ONCE(ha->watch)) {
		WRITE_ONCE(ha->watch, w);
		synchronize_rcu();	/* those who did not see it have changed what they do */
	}
	spin_lock(&w->lock);
	f->low_space = low_space;
	f->low = false;
	list_del_init(&f->watching);
	if (low_space)
		list_add(&f->watching, &w->files);
	free = ha_watch_sort(ha, w, &fell);
	ha_watch_unlock(w, fell);
	return free;
}

/**
 * ha_watch_forget - a file is closed
 * @f: the file
 *
 * Marks that were there for it only make somebody look in vain, once.
 * Context: process context.
 */
void ha_watch_forget(struct ha_file *f)
{
	spin_lock(&f->dev->watch.lock);
	list_del_init(&f->watching);
	spin_unlock(&f->dev->watch.lock);
}

/**
 * ha_watch_init - nobody waits
 * @w: of the device
 */
void ha_watch_init(struct ha_watch *w)
{
	spin_lock_init(&w->lock);
	INIT_LIST_HEAD(&w->files);
	init_waitqueue_head(&w->wait);
}
