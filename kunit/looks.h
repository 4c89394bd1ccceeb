/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Looks at places of the device, counted: for tests that bound how much a call looks at, and how
 * much while it shuts out all groups. Included before the sources of the slab layer, after those
 * of its locks, when they are compiled for the suites.
 */
#ifndef _HYBRID_ALLOC_LOOKS_H
#define _HYBRID_ALLOC_LOOKS_H

#include <linux/atomic.h>

/**
 * struct hatest_looks - looks since hatest_looks_start()
 * @all: all of them
 * @before_hold: @all when the present hold of all groups began
 * @longest: most looks in one hold of all groups
 */
struct hatest_looks {
	atomic_long_t all;
	long before_hold;
	long longest;
};

extern struct hatest_looks hatest_looks;

static inline void hatest_looks_start(void)
{
	atomic_long_set(&hatest_looks.all, 0);
	hatest_looks.longest = 0;
}

static inline long hatest_looks_seen(void)
{
	return atomic_long_read(&hatest_looks.all);
}

#ifdef HATEST_COUNT_LOOKS
#define haslab_lock_all(s) do {						\
	haslab_lock_all(s);						\
	hatest_looks.before_hold = hatest_looks_seen();			\
} while (0)
#define haslab_unlock_all(s) do {					\
	long hatest_hold = hatest_looks_seen() - hatest_looks.before_hold;	\
									\
	hatest_looks.longest = max(hatest_looks.longest, hatest_hold);	\
	haslab_unlock_all(s);						\
} while (0)
#define mixed_at(s, block)	(atomic_long_inc(&hatest_looks.all), mixed_at(s, block))
#define mixed_slot(s, slot)	(atomic_long_inc(&hatest_looks.all), mixed_slot(s, slot))
#define haslab_lookup(s, block)	(atomic_long_inc(&hatest_looks.all), haslab_lookup(s, block))
#endif

#endif
