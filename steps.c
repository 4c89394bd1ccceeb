// SPDX-License-Identifier: GPL-2.0
/* The counters of steps.h. */
#include "steps.h"

#ifdef HA_COUNT_STEPS
struct ha_steps ha_steps[1 << HA_STEPS_SHIFT];
atomic_long_t ha_most_steps[HA_NR_LOCKS];
atomic_long_t ha_nr_holds[HA_NR_LOCKS];
#endif
