// SPDX-License-Identifier: GPL-2.0
/*
 * Bound extents: allocating and freeing through an open file
 *
 * An extent may be bound to the file through which it was allocated. It then has a record,
 * struct ha_bound, in a tree of the instance by address and in a list of the file. Only
 * that file may free it, and closing the file frees all in its list, which needs no memory.
 * The records are on the memory account of the file's user, and STAT counts them.
 *
 * A free through another file must not succeed at any moment at which the extent is bound,
 * in particular not between the allocation and the insertion of the record. So both happen
 * in one hold of ha_dev.bound_lock for writing; a free looks for a record and frees with it
 * held for reading. The file's own free of a bound extent also erases the record, and so
 * holds it for writing.
 *
 * Nothing is waited for under bound_lock, since frees need it: an allocation under it waits
 * for spinlocks only (GFP_NOWAIT). If that is not enough, ha_bound_search() enters the slow
 * mode and searches without the lock. It takes it for each try to take what it has found.
 *
 * While nothing is bound (ha_dev.checks), frees do not take the lock: they run under RCU.
 * A caller that binds something sets ha_dev.checks and waits for a grace period, after which
 * every free takes the lock (ha_dev.all_checked). After the last bound extent is gone, so many
 * frees in a row that find nothing bound end this. The more often it was begun, the more
 * frees, so that a caller that binds one extent now and then need not wait each time.
 */
#include <linux/rbtree.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "api_trace.h"
#include "dev/internal.h"

/**
 * struct ha_bound - an extent that is bound to an open file
 * @node: in ha_dev.bound
 * @list: in ha_file.bound
 * @file: the file that it is bound to
 * @start: first byte
 * @len: length in bytes
 */
struct ha_bound {
	struct rb_node node;
	struct list_head list;
	struct ha_file *file;
	u64 start;
	u64 len;
};

/* The record of the bound extent that contains @start, or NULL. */
static struct ha_bound *ha_bound_find(struct ha_dev *dev, u64 start)
{
	struct rb_node *node = dev->bound.rb_node;
	struct ha_bound *b;

	lockdep_assert_held(&dev->bound_lock);
	while (node) {
		b = rb_entry(node, struct ha_bound, node);
		if (start < b->start)
			node = node->rb_left;
		else if (start - b->start >= b->len)
			node = node->rb_right;
		else
			return b;
	}
	return NULL;
}

static bool ha_bound_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct ha_bound, node)->start <
	       rb_entry(b, struct ha_bound, node)->start;
}

static void ha_bound_remember(struct ha_file *f, struct ha_bound *b,
			      const struct hybrid_alloc_range *range)
{
	struct ha_dev *dev = f->dev;

	lockdep_assert_held_write(&dev->bound_lock);
	b->file = f;
	b->start = range->start;
	b->len = range->len;
	rb_add(&b->node, &dev->bound, ha_bound_less);
	list_add(&b->list, &f->bound);
	WRITE_ONCE(dev->nr_bound, dev->nr_bound + 1);
}

static void ha_bound_forget(struct ha_bound *b)
{
	struct ha_dev *dev = b->file->dev;

	lockdep_assert_held_write(&dev->bound_lock);
	rb_erase(&b->node, &dev->bound);
	list_del(&b->list);
	WRITE_ONCE(dev->nr_bound, dev->nr_bound - 1);
	atomic_set(&dev->unbound_frees, 0);
}

/**
 * ha_bound_count - the bound extents of an instance
 * @dev: the instance
 * @bytes: out: memory of their records
 *
 * Context: any. Return: how many there are.
 */
u64 ha_bound_count(const struct ha_dev *dev, u64 *bytes)
{
	u64 nr = READ_ONCE(dev->nr_bound);

	*bytes = nr * sizeof(struct ha_bound);
	return nr;
}

/* ---- whether frees are checked ---- */

/* Frees in a row that find nothing bound before frees are not checked any more. */
#define HA_CHECKS_MIN	64
#define HA_CHECKS_MAX	4096

/*
 * Takes bound_lock for writing, and counts the caller in ha_dev.nr_binding. When this returns
 * 0, all frees are checked, until the caller is not counted any more and nothing is bound.
 */
static int ha_bound_begin(struct ha_dev *dev)
{
	if (down_write_killable(&dev->bound_lock))
		return -EINTR;
	dev->nr_binding++;
	if (likely(dev->all_checked))
		return 0;
	if (!dev->checks)
		dev->checks_kept = clamp(dev->checks_kept * 2, HA_CHECKS_MIN, HA_CHECKS_MAX);
	WRITE_ONCE(dev->checks, true);
	up_write(&dev->bound_lock);
	synchronize_rcu();	/* a free that did not see @checks is over then */
	down_write(&dev->bound_lock);
	dev->all_checked = true;
	return 0;
}

static void ha_bound_end(struct ha_dev *dev)
{
	lockdep_assert_held_write(&dev->bound_lock);
	dev->nr_binding--;
	atomic_set(&dev->unbound_frees, 0);
}

/* A free has found nothing bound. With bound_lock held; returns whether to end the checks. */
static bool ha_bound_unused(struct ha_dev *dev)
{
	return !dev->nr_bound && !dev->nr_binding &&
	       atomic_inc_return(&dev->unbound_frees) > dev->checks_kept;
}

static void ha_bound_end_checks(struct ha_dev *dev)
{
	/* the next free tries again */
	if (!down_write_trylock(&dev->bound_lock))
		return;
	if (!dev->nr_bound && !dev->nr_binding) {
		WRITE_ONCE(dev->checks, false);
		dev->all_checked = false;
	}
	up_write(&dev->bound_lock);
}

/* ---- alloc ---- */

/* Waits for memory, so that the next try, which does not wait, finds some. */
static bool ha_bound_wait(unsigned int *tries)
{
	/* in the slow mode, which a task that must not start I/O may wait for */
	void *page = kmalloc(PAGE_SIZE, GFP_NOIO | __GFP_NOWARN);

	kfree(page);
	return page && (*tries)++ < 16;
}

/*
 * The long way of a bound allocation: in the slow mode. The first try is a normal one, as all
 * pools are empty now. Later ones take the run that was found, if it is still free.
 */
static int ha_bound_search(struct ha_file *f, struct ha_bound *b, u64 len, u64 align, u64 goal,
			   struct hybrid_alloc_range *range)
{
	struct ha_dev *dev = f->dev;
	struct hybrid_alloc *ha = dev->ha;
	u64 at = HYBRID_ALLOC_NO_GOAL;
	unsigned int tries = 0;
	int ret;

	ret = ha_search_begin(ha);
	if (ret)
		return ret;
	do {
		down_write(&dev->bound_lock);
		ret = at == HYBRID_ALLOC_NO_GOAL ?
			      hybrid_alloc_alloc(ha, len, align, goal, GFP_NOWAIT, range) :
			      ha_search_take(ha, at, len, align, range);
		if (!ret)
			ha_bound_remember(f, b, range);
		up_write(&dev->bound_lock);
		if (!ret || (ret == -ENOMEM && !ha_bound_wait(&tries)))
			break;
		/* the task that delays an object may need this CPU */
		if (ret == -EAGAIN && at != HYBRID_ALLOC_NO_GOAL)
			schedule_timeout_killable(1);
		ret = fatal_signal_pending(current) ? -EINTR : ha_search_find(ha, len, align, &at);
	} while (!ret);
	ha_search_end(ha);
	return ret;
}

static noinline int ha_file_alloc_bound(struct ha_file *f, u64 len, u64 align, u64 goal,
					struct hybrid_alloc_range *range)
{
	struct ha_dev *dev = f->dev;
	struct ha_bound *b;
	int ret;

	b = kmalloc(sizeof(*b), GFP_KERNEL_ACCOUNT);
	if (!b)
		return -ENOMEM;
	ret = ha_bound_begin(dev);
	if (ret) {
		kfree(b);
		return ret;
	}
	ret = hybrid_alloc_alloc(dev->ha, len, align, goal, GFP_NOWAIT, range);
	if (!ret)
		ha_bound_remember(f, b, range);
	if (unlikely(ret == -EAGAIN)) {
		up_write(&dev->bound_lock);
		ret = ha_bound_search(f, b, len, align, goal, range);
		down_write(&dev->bound_lock);
	}
	ha_bound_end(dev);
	up_write(&dev->bound_lock);
	if (ret)
		kfree(b);
	return ret;
}

/**
 * ha_file_alloc - allocate through a file
 * @f: the file
 * @flags: HYBRID_ALLOC_ALLOC_BOUND, HYBRID_ALLOC_ALLOC_GOAL
 * @len: as of hybrid_alloc_alloc()
 * @align: as of hybrid_alloc_alloc()
 * @goal: an address, if @flags says so
 * @range: out: the extent
 *
 * Context: Process context, may sleep, with a reference on the instance's calls.
 * Return: As hybrid_alloc_alloc().
 */
int ha_file_alloc(struct ha_file *f, u32 flags, u64 len, u64 align, u64 goal,
		  struct hybrid_alloc_range *range)
{
	if (!(flags & HYBRID_ALLOC_ALLOC_GOAL))
		goal = HYBRID_ALLOC_NO_GOAL;
	if (unlikely(flags & HYBRID_ALLOC_ALLOC_BOUND))
		return ha_file_alloc_bound(f, len, align, goal, range);
	return hybrid_alloc_alloc(f->dev->ha, len, align, goal, GFP_KERNEL, range);
}

/* ---- free ---- */

static int ha_free_foreign(struct hybrid_alloc *ha, u64 start, u64 len,
			   enum hybrid_alloc_reason *reason)
{
	*reason = HYBRID_ALLOC_REASON_FOREIGN;
	atomic64_inc(&ha->refused[*reason]);
	trace_ha_refused_free(ha->dev, start, len, *reason, -EPERM);
	return -EPERM;
}

/* A free of an extent that was bound to the file a moment ago; drops the record. */
static int ha_file_free_bound(struct ha_file *f, u64 start, u64 len,
			      enum hybrid_alloc_reason *reason)
{
	struct ha_dev *dev = f->dev;
	struct ha_bound *b;
	int ret;

	down_write(&dev->bound_lock);
	b = ha_bound_find(dev, start);
	if (b && b->file != f)
		ret = ha_free_foreign(dev->ha, start, len, reason);
	else
		ret = hybrid_alloc_free(dev->ha, start, len, reason);
	if (b && !ret)
		ha_bound_forget(b);
	else
		b = NULL;
	up_write(&dev->bound_lock);
	kfree(b);
	return ret;
}

/* A free on a device that has bound extents, or had some a moment ago. */
static noinline int ha_file_free_checked(struct ha_file *f, u64 start, u64 len,
					 enum hybrid_alloc_reason *reason)
{
	struct ha_dev *dev = f->dev;
	struct ha_bound *b;
	bool unused = false;
	int ret = 0;

	/* a fault of the range itself is reported rather than FOREIGN */
	if (ha_range_fault(dev->ha, start, len))
		return hybrid_alloc_free(dev->ha, start, len, reason);
	down_read(&dev->bound_lock);
	b = ha_bound_find(dev, start);
	if (!b) {
		ret = hybrid_alloc_free(dev->ha, start, len, reason);
		unused = ha_bound_unused(dev);
	} else if (b->file != f) {
		ret = ha_free_foreign(dev->ha, start, len, reason);
	} else {
		ret = 1;
	}
	up_read(&dev->bound_lock);
	if (unused)
		ha_bound_end_checks(dev);
	return ret <= 0 ? ret : ha_file_free_bound(f, start, len, reason);
}

/**
 * ha_file_free - free through a file
 * @f: the file
 * @start: as of hybrid_alloc_free()
 * @len: as of hybrid_alloc_free()
 * @reason: out: why it was refused, untouched if it was not
 *
 * Context: Process context, may sleep, with a reference on the instance's calls. Needs no
 * memory.
 * Return: As hybrid_alloc_free(), or EPERM the extent is bound to another file.
 */
int ha_file_free(struct ha_file *f, u64 start, u64 len, enum hybrid_alloc_reason *reason)
{
	int ret;

	rcu_read_lock();
	if (unlikely(READ_ONCE(f->dev->checks))) {
		rcu_read_unlock();
		return ha_file_free_checked(f, start, len, reason);
	}
	ret = hybrid_alloc_free(f->dev->ha, start, len, reason);
	rcu_read_unlock();
	return ret;
}

/**
 * ha_file_release_bound - free all extents that are bound to a file
 * @f: the file, at its last close
 *
 * If the instance is detached, all its extents are forgotten already and only the records
 * are dropped. Context: Process context, may sleep. Needs no memory.
 */
void ha_file_release_bound(struct ha_file *f)
{
	struct ha_dev *dev = f->dev;
	struct ha_bound *b;
	bool live;

	if (list_empty(&f->bound))
		return;
	live = percpu_ref_tryget_live(&dev->calls);
	while ((b = list_first_entry_or_null(&f->bound, struct ha_bound, list))) {
		down_write(&dev->bound_lock);
		if (live)
			hybrid_alloc_free(dev->ha, b->start, b->len, NULL);
		ha_bound_forget(b);
		up_write(&dev->bound_lock);
		kfree(b);
		cond_resched();
	}
	if (live)
		percpu_ref_put(&dev->calls);
}
