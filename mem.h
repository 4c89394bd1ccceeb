/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory for metadata. The layers change their metadata under spin locks, where they cannot wait
 * for memory, and an operation learns only on its way how many objects of which sizes it needs. So
 * it asks with hamem_get(), which never waits. On failure it undoes what it did and returns
 * -ENOMEM. Its caller drops the lock, calls hamem_wait(), which waits for all objects that were
 * missing so far, and tries again: each round can rely on one object more than the round before.
 *
 * Giving memory back never needs memory. No lock is needed: hamem.bytes is atomic, and a struct
 * hamem_op belongs to the task that has it on its stack.
 */
#ifndef _HYBRID_ALLOC_MEM_H
#define _HYBRID_ALLOC_MEM_H

#include <linux/atomic.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/slab.h>

/**
 * struct hamem - account of the metadata of one instance
 * @bytes: size of all its objects, including the rounding by kmalloc()
 */
struct hamem {
	atomic_long_t bytes;
};

/*
 * More objects than any operation needs at once: two mixed slots with their tables and bitmaps,
 * and the nodes of the buddy on the way to them.
 */
#define HAMEM_MAX_OBJECTS	32

/**
 * struct hamem_op - the memory that one operation needs, on the caller's stack
 * @gfp: says whether and how the caller can wait
 * @missing: size of the object that hamem_get() could not get, or 0
 * @nr_wanted: number of objects that were missing so far
 * @wanted: their sizes, or NULL. Not an array in here: few operations need it, but each would have
 *	to clear it
 * @spare: objects from hamem_wait(); each begins with a struct hamem_spare
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

/* A zeroed object of at least @size bytes, or NULL. Does not wait. Context: any. */
static inline void *hamem_get(struct hamem *mem, struct hamem_op *op, size_t size)
{
	struct hamem_spare **p;
	void *obj;

	for (p = &op->spare; *p && (*p)->size != size; p = &(*p)->next)
		;
	obj = *p;
	if (obj) {
		*p = (*p)->next;
		memset(obj, 0, sizeof(struct hamem_spare));
	} else {
		obj = kzalloc(size, GFP_NOWAIT | __GFP_NOWARN);
	}
	if (!obj) {
		op->missing = size;
		return NULL;
	}
	atomic_long_add(ksize(obj), &mem->bytes);
	return obj;
}

/* Free an object from hamem_get(), or NULL. Context: any. */
static inline void hamem_put(struct hamem *mem, void *obj)
{
	if (!obj)
		return;
	atomic_long_sub(ksize(obj), &mem->bytes);
	kfree(obj);
}

/* The same after a grace period, for an object that lockless readers may still use. */
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

/* At the end of an operation: free the objects that it did not need. Context: no locks. */
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
 * After an operation that failed with -ENOMEM. By undoing what it did it has also freed its
 * objects, so allocate all of them again and the one that was missing. True if the operation
 * should be tried again; in either case the caller ends with hamem_finish().
 * Context: no locks; may sleep if @op->gfp lets it.
 */
static inline bool hamem_wait(struct hamem_op *op)
{
	struct hamem_spare *obj;
	u32 i;

	if (!op->missing || !gfpflags_allow_blocking(op->gfp) || op->nr_wanted == HAMEM_MAX_OBJECTS)
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
 * Without locks, after a try that ended with @ret. True: try again, as memory was missing and has
 * been waited for. False: @ret is the result, and @op is finished.
 */
static inline bool hamem_again(struct hamem_op *op, int ret)
{
	if (unlikely(ret == -ENOMEM) && hamem_wait(op))
		return true;
	hamem_finish(op);
	return false;
}

#endif
