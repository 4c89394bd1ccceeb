/* SPDX-License-Identifier: GPL-2.0 */
#include <linux/wait_bit.h>

/* Only for comparison. */
struct task_struct;
#define current			((struct task_struct *)(void *)&sim_self)
