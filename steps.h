/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How much is done under a lock, counted. A step is a look at one run, object, slot, dir, unit,
 * node or other record, or at half a word of a bitmap. The simulator's tests and debug kernels
 * count the steps of each task, and for each class of lock the holds and the most steps in one. In
 * other builds all of this is nothing.
 */
#ifndef _HYBRID_ALLOC_STEPS_H
#define _HYBRID_ALLOC_STEPS_H

#include <linux/atomic.h>
#include <linux/hash.h>
#include <linux/sched.h>
#include <linux/types.h>

/*
 * The KUnit suites are always built with it; hybrid-sim interleave is not, as each access to a
 * counter would be a place where another thread could run.
 */
#if defined(CONFIG_PROVE_LOCKING) || (defined(SIM_DEBUG) && !defined(SIM_ORDER))
#ifndef HA_COUNT_STEPS
#define HA_COUNT_STEPS
#endif
#endif

/* The classes of locks. A task holds at most one lock of a class at a time. */
enum ha_lock {
	HA_LOCK_ALL,		/* haslab.lock, with all groups shut out */
	HA_LOCK_GROUP,		/* haslab_group.lock */
	HA_LOCK_SPACE,		/* haslab.space_lock: the buddy and the map */
	HA_LOCK_SLOW,		/* hapool.slow, a mutex */
	HA_LOCK_WATCH,		/* ha_watch.lock */
	HA_NR_LOCKS,
};

#ifdef HA_COUNT_STEPS

#define HA_STEPS_SHIFT	8

/* Of the tasks with one hash: the steps so far, and for each lock what they were at its start. */
struct ha_steps {
	atomic_long_t done;
	atomic_long_t before[HA_NR_LOCKS];
};

extern struct ha_steps ha_steps[1 << HA_STEPS_SHIFT];
extern atomic_long_t ha_most_steps[HA_NR_LOCKS];
extern atomic_long_t ha_nr_holds[HA_NR_LOCKS];

static inline struct ha_steps *ha_steps_here(void)
{
	return &ha_steps[hash_ptr(current, HA_STEPS_SHIFT)];
}

static inline void ha_step(u64 nr)
{
	atomic_long_add(nr, &ha_steps_here()->done);
}

static inline void ha_hold_begin(enum ha_lock lock)
{
	struct ha_steps *steps = ha_steps_here();

	atomic_long_set(&steps->before[lock], atomic_long_read(&steps->done));
	atomic_long_inc(&ha_nr_holds[lock]);
}

/* Before the lock is dropped. */
static inline void ha_hold_end(enum ha_lock lock)
{
	struct ha_steps *steps = ha_steps_here();
	long nr = atomic_long_read(&steps->done) - atomic_long_read(&steps->before[lock]);
	long most = atomic_long_read(&ha_most_steps[lock]);

	while (nr > most && !atomic_long_try_cmpxchg(&ha_most_steps[lock], &most, nr))
		;
}

/* For tests: the steps of this task so far. */
static inline long ha_steps_done(void)
{
	return atomic_long_read(&ha_steps_here()->done);
}

/* For tests: forget the holds so far. */
static inline void ha_holds_reset(void)
{
	int i;

	for (i = 0; i < HA_NR_LOCKS; i++)
		atomic_long_set(&ha_most_steps[i], 0);
}

/* For tests: how often a lock of this class was taken. */
static inline long ha_holds(enum ha_lock lock)
{
	return atomic_long_read(&ha_nr_holds[lock]);
}

/* For tests: the most steps in one hold of a lock of this class. */
static inline long ha_longest_hold(enum ha_lock lock)
{
	return atomic_long_read(&ha_most_steps[lock]);
}

#else

static inline void ha_step(u64 nr) {}
static inline void ha_hold_begin(enum ha_lock lock) {}
static inline void ha_hold_end(enum ha_lock lock) {}

#endif

#endif
