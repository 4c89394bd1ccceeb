/* SPDX-License-Identifier: GPL-2.0 */
#include <linux/sched.h>

/* Of the current task only. */
#define fatal_signal_pending(task)	((void)(task), sim_killed)
