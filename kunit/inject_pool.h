/* SPDX-License-Identifier: GPL-2.0 */
/* Included before the sources of the pool layer: see inject.h. */
#include "inject.h"
#include "pool/internal.h"
#include "trace.h"

/* Magazines that are taken other than by a hit are counted. */
#define hapool_mag_take(bin)	(atomic_long_inc(&hatest_takes), hapool_mag_take(bin))

/* Drains are counted by their reason. */
static inline enum hapool_drain hatest_drained(enum hapool_drain why)
{
	atomic_long_inc(&hatest_drains[why]);
	return why;
}

#define trace_ha_drain(dev, cpu, bytes, nr, keep, why)	\
	trace_ha_drain(dev, cpu, bytes, nr, keep, hatest_drained(why))
