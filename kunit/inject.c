// SPDX-License-Identifier: GPL-2.0
/* Memory allocations that fail on demand: see inject.h. */
#define HATEST_INJECT_REAL
#include "inject.h"

static struct hatest_inject inject;
atomic_long_t hatest_takes, hatest_drains[4], hatest_jiffies, hatest_graces;
void (*hatest_meanwhile)(void);
void (*hatest_asleep)(void);
void (*hatest_before_take)(void);
atomic_long_t hatest_looks;

bool hatest_found(bool found)
{
	void (*before)(void) = hatest_before_take;

	hatest_before_take = NULL;
	if (found && before)
		before();
	return found;
}

void hatest_synchronize_rcu(void)
{
	atomic_long_inc(&hatest_graces);
	synchronize_rcu();
}

void hatest_resched(void)
{
	cond_resched();
	if (hatest_meanwhile)
		hatest_meanwhile();
}

void hatest_sleep(long jiffies, bool killable)
{
	void (*asleep)(void) = hatest_asleep;

	hatest_asleep = NULL;
	if (asleep) {
		asleep();
		return;
	}
	atomic_long_add(jiffies, &hatest_jiffies);
	if (hatest_meanwhile) {
		hatest_meanwhile();
		return;
	}
	if (killable)
		schedule_timeout_killable(jiffies);
	else
		schedule_timeout_uninterruptible(jiffies);
}

void hatest_inject_start(unsigned long nth, unsigned long nowait_every, bool all)
{
	atomic_long_set(&inject.seen, 0);
	atomic_long_set(&inject.failed, 0);
	inject.nth = nth;
	inject.nowait_every = nowait_every;
	inject.all = all;
}

unsigned long hatest_inject_stop(void)
{
	unsigned long failed = atomic_long_read(&inject.failed);

	inject.nth = 0;
	inject.nowait_every = 0;
	inject.all = false;
	inject.meanwhile = NULL;
	return failed;
}

unsigned long hatest_inject_seen(void)
{
	return atomic_long_read(&inject.seen);
}

void hatest_inject_meanwhile(void (*meanwhile)(void *arg), void *arg)
{
	inject.meanwhile = meanwhile;
	inject.arg = arg;
}

bool hatest_fails(gfp_t gfp)
{
	unsigned long n = atomic_long_inc_return(&inject.seen);
	bool fails = inject.all ? n >= inject.nth : n == inject.nth;
	void (*meanwhile)(void *arg) = inject.meanwhile;

	if (gfp & __GFP_NOFAIL)
		return false;

	if (meanwhile && gfpflags_allow_blocking(gfp)) {
		inject.meanwhile = NULL;
		meanwhile(inject.arg);
	}
	if (inject.nowait_every && !gfpflags_allow_blocking(gfp))
		fails |= n % inject.nowait_every == 0;
	/* a loop that retries for ever fails the test, but does not hang it */
	if (atomic_long_read(&inject.failed) >= HATEST_MAX_FAILED)
		return false;
	if (fails)
		atomic_long_inc(&inject.failed);
	return fails;
}

void *hatest_kzalloc(size_t size, gfp_t gfp)
{
	return hatest_fails(gfp) ? NULL : kzalloc(size, gfp);
}

void *hatest_kvzalloc(size_t size, gfp_t gfp)
{
	return hatest_fails(gfp) ? NULL : kvzalloc(size, gfp);
}
