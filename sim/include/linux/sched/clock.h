/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _SIM_LINUX_SCHED_CLOCK_H
#define _SIM_LINUX_SCHED_CLOCK_H

#include <time.h>
#include <linux/types.h>

#define NSEC_PER_USEC	1000L

static inline u64 local_clock(void)
{
#ifdef SIM_ORDER
	/* what is searched does not depend on time */
	return 0;
#else
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
#endif
}

#endif
