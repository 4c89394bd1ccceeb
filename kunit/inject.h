/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory allocations that fail on demand. Included before the sources of the layers when
 * they are compiled for the suites. So it does not need the kernel's fault injection, and
 * works in user space, too.
 */
#ifndef _HYBRID_ALLOC_INJECT_H
#define _HYBRID_ALLOC_INJECT_H

#include <linux/atomic.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/types.h>

/**
 * struct hatest_inject - which allocations fail
 * @nth: this one, counted from 1 since hatest_inject_start(); 0: none
 * @nowait_every: every Nth allocation, if it may not wait; 0: none
 * @all: all of them, from @nth on
 * @meanwhile: what the next allocation that may wait calls, or NULL
 * @arg: its argument
 * @seen: allocations since hatest_inject_start()
 * @failed: how many of them failed on purpose
 */
struct hatest_inject {
	unsigned long nth;
	unsigned long nowait_every;
	bool all;
	void (*meanwhile)(void *arg);
	void *arg;
	atomic_long_t seen;
	atomic_long_t failed;
};

/* More failures than that mean a loop, not a lack of memory: allocations succeed again. */
#define HATEST_MAX_FAILED	10000

void hatest_inject_start(unsigned long nth, unsigned long nowait_every, bool all);
/* Ends the injection. Return: how many allocations failed. */
unsigned long hatest_inject_stop(void);
/* Return: how many allocations were made since hatest_inject_start(). */
unsigned long hatest_inject_seen(void);

/*
 * The next allocation that may wait calls @meanwhile first, as another task could run then. Once.
 */
void hatest_inject_meanwhile(void (*meanwhile)(void *arg), void *arg);

/* What another task does while a walk reschedules between two holds, or a task sleeps; or NULL. */
extern void (*hatest_meanwhile)(void);

/* What another task does while one next sleeps for a moment, instead; once. */
extern void (*hatest_asleep)(void);

/* What another task does before this one takes the free units that it has found; once. */
extern void (*hatest_before_take)(void);
bool hatest_found(bool found);

/* How many entries of the index searches have looked at so far. */
extern atomic_long_t hatest_looks;

/* Magazines that the pool layer has taken so far, other than by a hit: see inject_pool.h. */
extern atomic_long_t hatest_takes;

/* Magazines that have been drained so far, for each reason as the tracepoint has it. */
extern atomic_long_t hatest_drains[4];

/* How long all tasks have slept so far, but for what hatest_asleep did instead. */
extern atomic_long_t hatest_jiffies;

/* How often a task has waited for the readers of RCU so far. */
extern atomic_long_t hatest_graces;

void hatest_resched(void);
void hatest_synchronize_rcu(void);
void hatest_sleep(long jiffies, bool killable);
bool hatest_fails(gfp_t gfp);
void *hatest_kzalloc(size_t size, gfp_t gfp);
void *hatest_kvzalloc(size_t size, gfp_t gfp);

#ifndef HATEST_INJECT_REAL
#undef cond_resched
#define cond_resched()			hatest_resched()
#undef synchronize_rcu
#define synchronize_rcu()		hatest_synchronize_rcu()
#undef schedule_timeout_killable
#define schedule_timeout_killable(jiffies)		hatest_sleep(jiffies, true)
#undef schedule_timeout_uninterruptible
#define schedule_timeout_uninterruptible(jiffies)	hatest_sleep(jiffies, false)
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
