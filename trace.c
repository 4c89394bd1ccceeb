// SPDX-License-Identifier: GPL-2.0
/*
 * Tracepoints: hybrid_alloc_trace.h says what they are.
 *
 * A call that a pool serves takes so few instructions that even a tracepoint which
 * is off, a no-op, would be felt. So these have none: while somebody traces calls,
 * nobody finds a magazine where they look for one, and so all calls take the long
 * way, on which there are tracepoints. Where they look is a table from a length to
 * the class of the magazine; it is a copy of haslab_classes[], and tracing makes it
 * say that nothing is of a common size.
 */
#include <linux/compiler.h>
#include <linux/init.h>
#include <linux/mutex.h>

#include "hybrid_alloc_internal.h"

#define CREATE_TRACE_POINTS
#include "hybrid_alloc_trace.h"

u8 ha_hit_classes[HASLAB_MAX_CLASS_BLOCKS + 1] __read_mostly;

static DEFINE_MUTEX(ha_trace_lock);
static unsigned int ha_nr_traced;

/* A call may see one or the other: both are right. */
static void ha_hits(bool on)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ha_hit_classes); i++)
		WRITE_ONCE(ha_hit_classes[i], on ? haslab_classes[i] : HASLAB_NR_CLASSES);
}

/* A tracepoint of calls gets its first user. */
int ha_trace_calls(void)
{
	mutex_lock(&ha_trace_lock);
	if (!ha_nr_traced++)
		ha_hits(false);
	mutex_unlock(&ha_trace_lock);
	return 0;
}

/* It has none any more. */
void ha_trace_no_calls(void)
{
	mutex_lock(&ha_trace_lock);
	if (!--ha_nr_traced)
		ha_hits(true);
	mutex_unlock(&ha_trace_lock);
}

/*
 * Before the first call. Somebody may trace already: the tracepoints of a module
 * are there before it is initialised.
 */
void __init ha_trace_init(void)
{
	mutex_lock(&ha_trace_lock);
	if (!ha_nr_traced)
		ha_hits(true);
	mutex_unlock(&ha_trace_lock);
}
