/* SPDX-License-Identifier: GPL-2.0 */
/* User-space stand-in: memory reclaim, and waiting for memory without I/O. */
#ifndef _SIM_LINUX_SCHED_MM_H
#define _SIM_LINUX_SCHED_MM_H

#include <linux/gfp.h>
#include <linux/spinlock.h>

static inline unsigned int memalloc_noio_save(void)
{
	unsigned int old = sim_reclaim.noio;

	sim_reclaim.noio = true;
	return old;
}

static inline void memalloc_noio_restore(unsigned int old)
{
	SIM_ASSERT(sim_reclaim.noio);
	sim_reclaim.noio = old;
}

/* In between, the thread does what memory reclaim may wait for. */
static inline void fs_reclaim_acquire(gfp_t gfp)
{
	SIM_ASSERT(!sim_reclaim.inside);
	sim_reclaim.inside = true;
}

static inline void fs_reclaim_release(gfp_t gfp)
{
	SIM_ASSERT(sim_reclaim.inside);
	sim_reclaim.inside = false;
}

#endif
