/* SPDX-License-Identifier: GPL-2.0 */
/* User-space stand-in: waiting for a variable, and rescheduling. */
#ifndef _SIM_LINUX_WAIT_BIT_H
#define _SIM_LINUX_WAIT_BIT_H

#include <sched.h>
#include <unistd.h>
#include <linux/spinlock.h>

unsigned long sim_wait_ticket(void);
void sim_wait(unsigned long ticket);
void wake_up_var(void *var);

#define wait_var_event(var, condition) do {			\
	(void)(var);						\
	might_sleep();						\
	for (;;) {						\
		unsigned long _ticket = sim_wait_ticket();	\
								\
		if (condition)					\
			break;					\
		sim_wait(_ticket);				\
	}							\
} while (0)

#define HZ			250
#ifdef SIM_ORDER
void sim_sleep(void);
#define msleep(ms)		do { might_sleep(); (void)(ms); sim_sleep(); } while (0)
#define usleep_range(min, max)	do { might_sleep(); (void)(min); sim_sleep(); } while (0)
#else
#define msleep(ms)		do { might_sleep(); usleep(1000 * (ms)); } while (0)
#define usleep_range(min, max)	do { might_sleep(); usleep(min); } while (0)
#endif
/* what only ends when another thread goes on is a mistake in a killed one */
#define schedule_timeout_uninterruptible(jiffies) \
	do { SIM_ASSERT(!sim_killed); msleep((jiffies) * 1000 / HZ); } while (0)
#define schedule_timeout_killable(jiffies) \
	do { if (!sim_killed) msleep((jiffies) * 1000 / HZ); } while (0)
#define cond_resched()		might_sleep()
#define need_resched()		false
#define schedule()		sched_yield()
#define yield()			sched_yield()

#endif
