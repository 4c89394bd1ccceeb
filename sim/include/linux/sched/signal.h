/* SPDX-License-Identifier: GPL-2.0 */
#include <linux/sched.h>

/* Nobody is killed here. */
#define fatal_signal_pending(task)	((void)(task), false)
