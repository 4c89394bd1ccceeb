// SPDX-License-Identifier: GPL-2.0
/*
 * Bound extents: allocating and freeing through an open file
 *
 * An extent may be bound to the file through which it was allocated. It then has a record,
 * struct ha_bound, in a tree of the instance by address and in a list of the file. Only
 * that file may free it, and closing the file frees all in its list, which needs no memory.
 *
 * A free through another file must not succeed at any moment at which the extent is bound,
 * in particular not between the allocation and the insertion of the record. So both happen
 * with ha_dev.bound_lock held for writing; a free looks for a record and frees with it held
 * for reading. The file's own free of a bound extent also erases the record, and so holds it
 * for writing.
 *
 * As long as nothing was ever bound on the instance (ha_dev.binds), frees do not take the
 * lock: they run under RCU. The first caller that binds sets ha_dev.binds and waits for a
 * grace period, after which every free takes the lock.
 *
 * Frees wait for bound_lock. So an allocation under it does not wait long for memory. It may
 * still wait for hapool.slow, that is, for the discard of one piece by TRIM.
 */
#include <linux/rbtree.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
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

static void ha_bound_forget(struct ha_bound *b)
{
	lockdep_assert_held_write(&b->file->dev->bound_lock);
	rb_erase(&b->node, &b->file->dev->bound);
	list_del(&b->list);
}

static noinline int ha_file_alloc_bound(struct ha_file *f, u64 len, u64 align, u64 goal,
					struct hybrid_alloc_range *range)
{
	/* frees wait for the lock: fail early rather than wait for memory */
	const gfp_t gfp = GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN;
	struct ha_dev *dev = f->dev;
	struct ha_bound *b;
	int ret;

	b = kmalloc(sizeof(*b), GFP_KERNEL);
	if (!b)
		return -ENOMEM;
	if (down_write_killable(&dev->bound_lock)) {
		kfree(b);
		return -EINTR;
	}
	if (!dev->binds) {
		WRITE_ONCE(dev->binds, true);
		synchronize_rcu();	/* a free that did not see @binds is over then */
	}
	ret = hybrid_alloc_alloc(dev->ha, len, align, goal, gfp, range);
	if (!ret) {
		b->file = f;
		b->start = range->start;
		b->len = range->len;
		rb_add(&b->node, &dev->bound, ha_bound_less);
		list_add(&b->list, &f->bound);
		b = NULL;
	}
	up_write(&dev->bound_lock);
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

/* A free on a device that has, or had, bound extents. */
static noinline int ha_file_free_checked(struct ha_file *f, u64 start, u64 len,
					 enum hybrid_alloc_reason *reason)
{
	struct ha_dev *dev = f->dev;
	struct ha_bound *b;
	int ret = 0;

	/* a fault of the range itself is reported rather than FOREIGN */
	if (ha_range_fault(dev->ha, start, len))
		return hybrid_alloc_free(dev->ha, start, len, reason);
	down_read(&dev->bound_lock);
	b = ha_bound_find(dev, start);
	if (!b)
		ret = hybrid_alloc_free(dev->ha, start, len, reason);
	else if (b->file != f)
		ret = ha_free_foreign(dev->ha, start, len, reason);
	else
		ret = 1;
	up_read(&dev->bound_lock);
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
	if (unlikely(READ_ONCE(f->dev->binds))) {
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
