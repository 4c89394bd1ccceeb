// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoints of the calls (see api_trace.h), and how hits are traced.
 *
 * A hit takes so few instructions that even the no-op of a tracepoint that is off would be
 * noticeable. So the inlined hits have no tracepoint. Instead, while calls are traced no
 * call is a hit: the table that maps a length to its class, ha_hit_classes[], then says
 * that no length has one, and all calls take the long way, which has the tracepoints.
 */
#include <linux/compiler.h>
#include <linux/init.h>
#include <linux/mutex.h>

#define CREATE_TRACE_POINTS
#include "api_trace.h"

u8 ha_hit_classes[HASLAB_MAX_CLASS_BLOCKS + 1] __read_mostly;

static DEFINE_MUTEX(ha_trace_lock);	/* protects ha_nr_traced, orders writes to the table */
static unsigned int ha_nr_traced;	/* call tracepoints that are on */

/* A concurrent call may read the old or the new entry; both give a correct result. */
static void ha_set_hits(bool on)
{
	unsigned int i;

	lockdep_assert_held(&ha_trace_lock);
	for (i = 0; i < ARRAY_SIZE(ha_hit_classes); i++)
		WRITE_ONCE(ha_hit_classes[i], on ? haslab_classes[i] : HASLAB_NR_CLASSES);
}

/* A tracepoint of calls is switched on. */
int ha_trace_calls(void)
{
	mutex_lock(&ha_trace_lock);
	if (!ha_nr_traced++)
		ha_set_hits(false);
	mutex_unlock(&ha_trace_lock);
	return 0;
}

/* A tracepoint of calls is switched off. */
void ha_trace_no_calls(void)
{
	mutex_lock(&ha_trace_lock);
	if (!--ha_nr_traced)
		ha_set_hits(true);
	mutex_unlock(&ha_trace_lock);
}

/**
 * ha_trace_init - fill in ha_hit_classes[]
 *
 * Before the first call. A tracepoint may be on already, since those of a module can be
 * switched on before its init function runs.
 */
void __init ha_trace_init(void)
{
	mutex_lock(&ha_trace_lock);
	if (!ha_nr_traced)
		ha_set_hits(true);
	mutex_unlock(&ha_trace_lock);
}
