// SPDX-License-Identifier: GPL-2.0
/* The unchanged layer, with memory allocations that fail on demand. */
#include <linux/sched.h>

#include "inject.h"

/* What another task does while a walk reschedules. */
static inline void hatest_resched(void)
{
	cond_resched();
	if (hatest_meanwhile)
		hatest_meanwhile();
}

#undef cond_resched
#define cond_resched()	hatest_resched()

/* Likewise while a task waits that no signal ends. */
#undef schedule_timeout_uninterruptible
#define schedule_timeout_uninterruptible(jiffies)	hatest_resched()

#include "slab/runs.c"
#include "slab/lock.c"
#include "slab/map.c"
#include "slab/mixed.c"
#include "slab/objects.c"
#include "slab/walk.c"
#include "slab/span.c"
#include "slab/claim.c"
#include "slab/hold.c"
#include "slab/search.c"
#include "slab/report.c"
#include "slab/check.c"
#include "slab.c"
