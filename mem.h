/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory for metadata.
 *
 * The layers change their metadata under a spinlock, where they may not wait
 * for memory, and the number and kind of objects that an operation needs is
 * known only while it is at work. So: under the lock an operation asks with
 * hamem_get(), which never waits. If there is nothing to have, the operation
 * undoes what it did and returns -ENOMEM; its caller drops the lock, lets
 * hamem_refill() wait for all that was missing so far, and tries again: every
 * round can rely on one object more.
 *
 * Giving memory back never needs memory.
 */
#ifndef _HYBRID_ALLOC_MEM_H
#define _HYBRID_ALLOC_MEM_H

#include <linux/atomic.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/slab.h>

/**
 * struct hamem - account of one allocator's metadata
 * @bytes: what its objects take, the allocator's rounding included
 */
struct hamem {
	atomic_long_t bytes;
};

/*
 * More objects than any operation needs at once: two mixed slots with their maps, and
 * the buddy's nodes on the way to them.
 */
#define HAMEM_MAX_OBJECTS	32

/**
 * struct hamem_op - the memory needs of one operation, on the caller's stack
 * @gfp: how the caller may wait
 * @missing: size of the object that hamem_get() could not get, or 0
 * @nr_wanted: number of objects that were missing so far
 * @wanted: their sizes, if there are any: few operations get that far, and each has to
 *	clear what it has on the stack
 * @spare: objects that were waited for, each beginning with a struct hamem_spare
 */
struct hamem_op {
	gfp_t gfp;
	u32 missing;
	u32 nr_wanted;
	u32 *wanted;
	struct hamem_spare {
		struct hamem_spare *next;
		size_t size;
	} *spare;
};

#define HAMEM_OP(_gfp) { .gfp = (_gfp) }

/* Under the caller's lock. A zeroed object of at least @size bytes, or NULL. */
static inline void *hamem_get(struct hamem *mem, struct hamem_op *op, size_t size)
{
	struct hamem_spare **p;
	void *obj;

	for (p = &op->spare; *p; p = &(*p)->next) {
		if ((*p)->size != size)
			continue;
		obj = *p;
		*p = (*p)->next;
		memset(obj, 0, sizeof(struct hamem_spare));
		goto out;
	}
	obj = kzalloc(size, GFP_NOWAIT | __GFP_NOWARN);
	if (!obj) {
		op->missing = size;
		return NULL;
	}
out:
	atomic_long_add(ksize(obj), &mem->bytes);
	return obj;
}

/* Any context. The object must have come from hamem_get(). */
static inline void hamem_put(struct hamem *mem, void *obj)
{
	if (!obj)
		return;
	atomic_long_sub(ksize(obj), &mem->bytes);
	kfree(obj);
}

/* The same for objects that lockless readers may still look at. */
#define hamem_put_rcu(mem, obj, rcu_member) do {		\
	typeof(obj) __obj = (obj);				\
								\
	atomic_long_sub(ksize(__obj), &(mem)->bytes);		\
	kfree_rcu(__obj, rcu_member);				\
} while (0)

static inline void hamem_put_spare(struct hamem_op *op)
{
	struct hamem_spare *obj;

	while ((obj = op->spare)) {
		op->spare = obj->next;
		kfree(obj);
	}
}

/* Without locks, at the end: what was fetched and not needed goes back. */
static inline void hamem_finish(struct hamem_op *op)
{
	if (likely(!op->wanted))
		return;
	hamem_put_spare(op);
	kfree(op->wanted);
	op->wanted = NULL;
	op->nr_wanted = 0;
}

/*
 * Without locks, after an operation failed with -ENOMEM and undid what it did,
 * which also gave its objects back. So fetch them all again, and the one that
 * was missing. True when it is worth another try. May sleep if @op->gfp lets
 * it; the caller ends with hamem_finish().
 */
static inline bool hamem_refill(struct hamem_op *op)
{
	struct hamem_spare *obj;
	u32 i;

	if (!op->missing || !gfpflags_allow_blocking(op->gfp) ||
	    op->nr_wanted == HAMEM_MAX_OBJECTS)
		return false;
	if (!op->wanted)
		op->wanted = kmalloc_array(HAMEM_MAX_OBJECTS, sizeof(*op->wanted), op->gfp);
	if (!op->wanted)
		return false;
	op->wanted[op->nr_wanted++] = op->missing;
	op->missing = 0;
	hamem_put_spare(op);
	for (i = 0; i < op->nr_wanted; i++) {
		obj = kzalloc(max_t(size_t, op->wanted[i], sizeof(*obj)), op->gfp);
		if (!obj)
			return false;
		obj->size = op->wanted[i];
		obj->next = op->spare;
		op->spare = obj;
	}
	return true;
}

/*
 * Without locks, after a try that ended with @ret. True: try again, as memory was
 * missing and has been waited for. False: @ret is the result, and @op is finished.
 */
static inline bool hamem_again(struct hamem_op *op, int ret)
{
	if (unlikely(ret == -ENOMEM) && hamem_refill(op))
		return true;
	hamem_finish(op);
	return false;
}

#endif
