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

/* From @min to @len bytes, or @len if @min is 0. */
static inline int ha_file_try(struct ha_file *f, u64 min, u64 len, u64 align, u64 goal, gfp_t gfp,
			      struct hybrid_alloc_range *range)
{
	if (unlikely(min))
		return ha_upto_told(f->dev->ha, NULL, min, len, align, goal, gfp, range);
	return ha_alloc_told(f->dev->ha, len, align, goal, gfp, range);
}

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
static int ha_bound_search(struct ha_file *f, struct ha_bound *b, u64 min, u64 len, u64 align,
			   u64 goal, struct hybrid_alloc_range *range)
{
	u64 at = HYBRID_ALLOC_NO_GOAL, found = len;
	struct ha_dev *dev = f->dev;
	struct hybrid_alloc *ha = dev->ha;
	unsigned int tries = 0;
	int ret;

	ret = ha_search_begin(ha);
	if (ret)
		return ret;
	do {
		down_write(&dev->bound_lock);
		ret = at == HYBRID_ALLOC_NO_GOAL ?
			      ha_file_try(f, min, len, align, goal, GFP_NOWAIT, range) :
			      ha_search_take(ha, at, found, align, range);
		if (!ret)
			ha_bound_remember(f, b, range);
		up_write(&dev->bound_lock);
		if (!ret || (ret == -ENOMEM && !ha_bound_wait(&tries)))
			break;
		/* others may have reserved what was found: there may be something shorter */
		if (ret == -EDQUOT && (at == HYBRID_ALLOC_NO_GOAL || found <= (min ?: len)))
			break;
		/* the task that delays an object may need this CPU */
		if (ret == -EAGAIN && at != HYBRID_ALLOC_NO_GOAL)
			schedule_timeout_killable(1);
		found = len;
		ret = fatal_signal_pending(current) ? -EINTR :
		      ha_search_find(ha, min ?: len, &found, align, &at);
	} while (!ret);
	ha_search_end(ha);
	return ret;
}

static noinline int ha_file_alloc_bound(struct ha_file *f, u64 min, u64 len, u64 align, u64 goal,
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
	ret = ha_file_try(f, min, len, align, goal, GFP_NOWAIT, range);
	if (!ret)
		ha_bound_remember(f, b, range);
	if (unlikely(ret == -EAGAIN)) {
		up_write(&dev->bound_lock);
		ret = ha_bound_search(f, b, min, len, align, goal, range);
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
 * @flags: HYBRID_ALLOC_ALLOC_BOUND or HYBRID_ALLOC_ALLOC_RESERVED, HYBRID_ALLOC_ALLOC_GOAL
 * @min: as of hybrid_alloc_alloc_upto(); 0: @len
 * @len: as of hybrid_alloc_alloc(), or the most that is asked for
 * @align: as of hybrid_alloc_alloc()
 * @goal: an address, if @flags says so
 * @range: out: the extent
 *
 * Context: Process context, may sleep, with a reference on the instance's calls.
 * Return: As ha_upto_told() or ha_file_alloc_reserved().
 */
int ha_file_alloc(struct ha_file *f, u32 flags, u64 min, u64 len, u64 align, u64 goal,
		  struct hybrid_alloc_range *range)
{
	if (!(flags & HYBRID_ALLOC_ALLOC_GOAL))
		goal = HYBRID_ALLOC_NO_GOAL;
	if (unlikely(flags & HYBRID_ALLOC_ALLOC_BOUND))
		return ha_file_alloc_bound(f, min, len, align, goal, range);
	if (unlikely(flags & HYBRID_ALLOC_ALLOC_RESERVED))
		return ha_file_alloc_reserved(f, min ?: len, len, align, goal, range);
	return ha_file_try(f, min, len, align, goal, GFP_KERNEL, range);
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

/* ---- parts ---- */

/* How often a part is tried in the slow mode, a jiffy apart. */
#define HA_PART_TRIES	1000

/* Waits for spinlocks only: frees need bound_lock, or wait for the end of a grace period. */
static int ha_part_do(struct hybrid_alloc *ha, struct ha_part *p)
{
	switch (p->what) {
	case HA_PART_CUT:
		return ha_cut(ha, p->start, p->len, GFP_NOWAIT, &p->reason);
	case HA_PART_SPLIT:
		return hybrid_alloc_split(ha, p->start, p->len, p->at, GFP_NOWAIT, &p->reason);
	case HA_PART_EXTEND:
		return hybrid_alloc_extend(ha, p->start, p->len, p->more, p->least, GFP_NOWAIT,
					   &p->got, &p->reason);
	}
	return -EINVAL;
}

/* The call was done for the extent of a record. @more: for a second extent. */
static void ha_bound_part(struct ha_bound *b, const struct ha_part *p, struct ha_bound **more)
{
	u64 end = b->start + b->len, from = p->start, to = from + p->len;
	struct hybrid_alloc_range range;

	if (p->what == HA_PART_EXTEND) {
		b->len += p->got;
		return;
	}
	if (p->what == HA_PART_SPLIT) {
		from = p->at;
		to = p->at;
	}
	if (from > b->start) {
		b->len = from - b->start;
		range.start = to;
		range.len = end - to;
		if (range.len) {
			ha_bound_remember(b->file, *more, &range);
			*more = NULL;
		}
	} else if (to < end) {
		/* no other extent lies between: the order in the tree stays */
		b->start = to;
		b->len = end - to;
	} else {
		ha_bound_forget(b);
		kfree(b);
	}
}

/* An extent that was bound to the file a moment ago. */
static int ha_file_part_bound(struct ha_file *f, struct ha_part *p, struct ha_bound **more)
{
	struct ha_dev *dev = f->dev;
	struct ha_bound *b;
	int ret;

	if (!*more)
		*more = kmalloc(sizeof(**more), GFP_KERNEL_ACCOUNT);
	if (!*more)
		return -ENOMEM;
	down_write(&dev->bound_lock);
	b = ha_bound_find(dev, p->start);
	if (b && b->file != f)
		ret = ha_free_foreign(dev->ha, p->start, p->len, &p->reason);
	else
		ret = ha_part_do(dev->ha, p);
	if (b && !ret)
		ha_bound_part(b, p, more);
	up_write(&dev->bound_lock);
	return ret;
}

/* On a device that has bound extents, or had some a moment ago. */
static int ha_file_part_checked(struct ha_file *f, struct ha_part *p, struct ha_bound **more)
{
	struct ha_dev *dev = f->dev;
	struct ha_bound *b;
	int ret;

	/* a fault of the range itself is reported rather than FOREIGN */
	if (ha_range_fault(dev->ha, p->start, p->len))
		return ha_part_do(dev->ha, p);
	down_read(&dev->bound_lock);
	b = ha_bound_find(dev, p->start);
	if (!b)
		ret = ha_part_do(dev->ha, p);
	else if (b->file != f)
		ret = ha_free_foreign(dev->ha, p->start, p->len, &p->reason);
	else
		ret = 1;
	up_read(&dev->bound_lock);
	return ret <= 0 ? ret : ha_file_part_bound(f, p, more);
}

static int ha_file_part_try(struct ha_file *f, struct ha_part *p, struct ha_bound **more)
{
	int ret;

	rcu_read_lock();
	if (unlikely(READ_ONCE(f->dev->checks))) {
		rcu_read_unlock();
		return ha_file_part_checked(f, p, more);
	}
	ret = ha_part_do(f->dev->ha, p);
	rcu_read_unlock();
	return ret;
}

/* Before the next try, in the slow mode. The task that delays an object may need this CPU. */
static int ha_part_wait(unsigned int *tries)
{
	void *page = kmalloc(PAGE_SIZE, GFP_NOIO | __GFP_NOWARN);

	kfree(page);
	if (!page || ++*tries > HA_PART_TRIES)
		return -ENOMEM;
	schedule_timeout_killable(1);
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/**
 * ha_file_part - cut, split or extend an extent through a file
 * @f: the file
 * @p: what is to be done; out: got, reason
 *
 * Extents that come of a bound one are bound as it was. A cut that is refused is counted by the
 * caller, but for FOREIGN.
 * Context: Process context, may sleep, with a reference on the instance's calls.
 * Return: As ha_cut(), hybrid_alloc_split() or hybrid_alloc_extend(), or EPERM the extent is bound
 * to another file.
 */
int ha_file_part(struct ha_file *f, struct ha_part *p)
{
	struct hybrid_alloc *ha = f->dev->ha;
	struct ha_bound *more = NULL;
	unsigned int tries = 0;
	bool slow = false;
	int ret;

	for (;;) {
		p->reason = HYBRID_ALLOC_REASON_NONE;
		ret = ha_file_part_try(f, p, &more);
		if (likely(ret != -EAGAIN))
			break;
		/* a pool has what is in the way, or a task that does not run; or memory is short */
		if (!slow)
			ret = ha_search_begin(ha);
		else
			ret = ha_part_wait(&tries);
		if (ret)
			break;
		slow = true;
	}
	if (slow)
		ha_search_end(ha);
	kfree(more);
	return ret;
}

/* For ha_row(): an extent of the row is not bound to another file. */
static int ha_row_is_own(struct hybrid_alloc *ha, u64 start, u64 len, void *arg)
{
	struct ha_file *f = arg;
	struct ha_bound *b;
	bool foreign;

	down_read(&f->dev->bound_lock);
	b = ha_bound_find(f->dev, start);
	foreign = b && b->file != f;
	up_read(&f->dev->bound_lock);
	return foreign ? -EPERM : 0;
}

struct ha_row_free {
	struct ha_file *file;
	enum hybrid_alloc_reason *reason;
};

static int ha_row_file_free(struct hybrid_alloc *ha, u64 start, u64 len, void *arg)
{
	const struct ha_row_free *free = arg;

	return ha_file_free(free->file, start, len, free->reason);
}

/**
 * ha_file_free_part - free a part of an extent, or a row of extents, through a file
 * @f: the file
 * @start: as of hybrid_alloc_free_part()
 * @len: as of hybrid_alloc_free_part()
 * @reason: out: why it was refused, untouched if it was not
 *
 * Context: Process context, may sleep, with a reference on the instance's calls.
 * Return: As hybrid_alloc_free_part(), or EPERM an extent is bound to another file.
 */
int ha_file_free_part(struct ha_file *f, u64 start, u64 len, enum hybrid_alloc_reason *reason)
{
	struct ha_part p = { .what = HA_PART_CUT, .start = start, .len = len };
	struct ha_row_free free = { .file = f, .reason = reason };
	struct hybrid_alloc *ha = f->dev->ha;
	int ret = ha_file_part(f, &p), row;

	if (!ret || p.reason == HYBRID_ALLOC_REASON_FOREIGN) {
		*reason = p.reason;
		return ret;
	}
	row = p.reason == HYBRID_ALLOC_REASON_WRONG_LENGTH ?
	      ha_row(ha, start, len, ha_row_is_own, f) : ret;
	if (!row)
		return ha_row_freed(ha_row(ha, start, len, ha_row_file_free, &free), reason);
	if (row == -EPERM)
		return ha_free_foreign(ha, start, len, reason);
	*reason = p.reason;
	ha_part_refused(ha, start, len, p.reason, ret);
	return ret;
}

/**
 * ha_file_keep - an extent is no longer bound to a file
 * @f: the file
 * @start: first byte of the extent
 * @len: a length in bytes that rounds up to the extent's
 * @reason: out: why it was refused, untouched if it was not
 *
 * An extent that is not bound stays as it is.
 * Context: Process context, may sleep, with a reference on the instance's calls. Needs no memory.
 * Return: As hybrid_alloc_free(), or EPERM the extent is bound to another file.
 */
int ha_file_keep(struct ha_file *f, u64 start, u64 len, enum hybrid_alloc_reason *reason)
{
	struct ha_dev *dev = f->dev;
	enum hybrid_alloc_reason why;
	struct ha_bound *b;
	int ret;

	down_write(&dev->bound_lock);
	ret = ha_is_extent(dev->ha, start, len, &why);
	b = ret ? NULL : ha_bound_find(dev, start);
	if (b && b->file != f) {
		ret = ha_free_foreign(dev->ha, start, len, reason);
		b = NULL;
	} else if (ret) {
		*reason = why;
		ha_part_refused(dev->ha, start, len, why, ret);
	}
	if (b)
		ha_bound_forget(b);
	up_write(&dev->bound_lock);
	kfree(b);
	return ret;
}

/**
 * ha_file_undo - undo ha_file_alloc()
 * @f: the file
 * @flags: as for ha_file_alloc()
 * @start: of the extent
 * @len: of the extent
 *
 * Context: As ha_file_free().
 */
void ha_file_undo(struct ha_file *f, u32 flags, u64 start, u64 len)
{
	enum hybrid_alloc_reason reason;

	if (flags & HYBRID_ALLOC_ALLOC_RESERVED)
		ha_file_unalloc(f, start, len);
	else
		ha_file_free(f, start, len, &reason);
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
