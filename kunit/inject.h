/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Allocations that fail on demand. Included in front of the layers' sources
 * when they are compiled for the suites, so that it needs nothing of the
 * kernel's fault injection and works in user space, too.
 */
#ifndef _HYBRID_ALLOC_INJECT_H
#define _HYBRID_ALLOC_INJECT_H

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/types.h>

/**
 * struct hatest_inject - which allocations fail
 * @nth: this one, counted from 1 and from when it was set; 0: none
 * @nowait_every: every Nth of those that may not wait; 0: none
 * @all: all of them
 * @seen: allocations since hatest_inject_start()
 * @failed: how many of them were made to fail
 */
struct hatest_inject {
	unsigned long nth;
	unsigned long nowait_every;
	bool all;
	atomic_long_t seen;
	atomic_long_t failed;
};

/* So many failures are not due to memory that is short. */
#define HATEST_MAX_FAILED	10000

void hatest_inject_start(unsigned long nth, unsigned long nowait_every, bool all);
/* Back to normal. Return: how many allocations failed. */
unsigned long hatest_inject_stop(void);
/* How many allocations there were since the start. */
unsigned long hatest_inject_seen(void);

bool hatest_fails(gfp_t gfp);
void *hatest_kzalloc(size_t size, gfp_t gfp);
void *hatest_kvzalloc(size_t size, gfp_t gfp);

#ifndef HATEST_INJECT_REAL
#undef kzalloc
#undef kmalloc
#undef kcalloc
#undef kmalloc_array
#undef kvzalloc
#undef kvcalloc
#undef kvmalloc_array
#undef alloc_percpu
#define kzalloc(size, gfp)		hatest_kzalloc(size, gfp)
#define kmalloc(size, gfp)		hatest_kzalloc(size, gfp)
#define kcalloc(n, size, gfp)		hatest_kzalloc(array_size(n, size), gfp)
#define kmalloc_array(n, size, gfp)	hatest_kzalloc(array_size(n, size), gfp)
#define kvzalloc(size, gfp)		hatest_kvzalloc(size, gfp)
#define kvcalloc(n, size, gfp)		hatest_kvzalloc(array_size(n, size), gfp)
#define kvmalloc_array(n, size, gfp)	hatest_kvzalloc(array_size(n, size), gfp)
#define alloc_percpu(type)							\
	(hatest_fails(GFP_KERNEL) ? NULL :					\
	 (type __percpu *)__alloc_percpu(sizeof(type), __alignof__(type)))
#endif

#endif
