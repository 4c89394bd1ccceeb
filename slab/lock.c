// SPDX-License-Identifier: GPL-2.0
/*
 * The locks of the slab layer, and sums over its groups. See slab.c for what each lock protects.
 */
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/sched/signal.h>

#include "slab/internal.h"

/* Looks at haslab.nr_waiting before giving up: the waiting task may not be running. */
#define GIVE_WAY_LOOKS	4096
/* The least and the longest rest, in microseconds. A timer is too late for a shorter one. */
#define REST_MIN	1000
#define REST_MAX	10000

/*
 * Let the tasks go first that wait for haslab.lock. Spin locks of a guest are not fair: without
 * this, a task that shuts out all groups in a loop could take it each time before a waiting task
 * does. No task waits unless one shuts out the groups, so this ends.
 */
static void haslab_give_way(const struct haslab *s)
{
	unsigned int looks;

	for (looks = 0; looks < GIVE_WAY_LOOKS && atomic_read(&s->nr_waiting); looks++)
		cpu_relax();
}

/*
 * How long the groups were shut out while others waited, less what was between two holds, is owed
 * to them. The clocks of two CPUs may differ. Under haslab.lock.
 */
static u64 haslab_owed_us(struct haslab *s)
{
	u64 us;

	if (atomic_read(&s->nr_waiting))
		s->owed += max_t(s64, local_clock() - s->since, 0);
	us = div_u64(s->owed, NSEC_PER_USEC);
	if (us >= REST_MIN)
		s->owed = 0;
	return us;
}

static void haslab_between_holds(struct haslab *s)
{
	u64 now = local_clock();

	s->owed -= min_t(u64, s->owed, max_t(s64, now - s->since, 0));
	s->since = now;
}

/*
 * Shut out all groups. On return no other task holds the lock of a group, and any task that takes
 * one sees haslab.holder and waits in haslab_lock_waited(). Called in process context, with no
 * lock of the slab allocator held.
 */
void haslab_lock_all(struct haslab *s)
	__acquires(&s->lock)
{
	unsigned int i;

	haslab_give_way(s);
	if (!spin_trylock(&s->lock)) {
		atomic_inc(&s->nr_waiting);
		spin_lock(&s->lock);
		atomic_dec(&s->nr_waiting);
	}
	WRITE_ONCE(s->holder, current);
	for (i = 0; i < s->nr_groups; i++) {
		spin_lock(&s->groups[i].lock);
		spin_unlock(&s->groups[i].lock);
	}
	haslab_between_holds(s);
	ha_hold_begin(HA_LOCK_ALL);
}

/* Let the groups in again. */
void haslab_unlock_all(struct haslab *s)
	__releases(&s->lock)
{
	ha_hold_end(HA_LOCK_ALL);
	s->since = local_clock();
	/*
	 * Pairs with smp_load_acquire() in haslab_lock_group(): a task that reads NULL sees
	 * everything that was done to its group meanwhile.
	 */
	smp_store_release(&s->holder, NULL);
	spin_unlock(&s->lock);
}

/*
 * As haslab_unlock_all(), for a task that may shut out the groups again and again. Otherwise each
 * task that waits could do one call between two holds. So once a millisecond is owed to them, the
 * task stays away for as long. Sleeps.
 */
void haslab_unlock_all_rest(struct haslab *s)
	__releases(&s->lock)
{
	u64 us = haslab_owed_us(s);

	haslab_unlock_all(s);
	might_sleep();
	if (us >= REST_MIN)
		usleep_range(min_t(u64, us, REST_MAX), min_t(u64, us, REST_MAX) + REST_MIN / 8);
}

/*
 * With the lock of @g held: drop it, wait until no task shuts out the groups, and return with the
 * lock of @g held again. It is taken under haslab.lock, so no other task can shut out the groups
 * before: the wait is that for one turn of haslab.lock. haslab.holder may be set again on return;
 * that task then waits for @g.
 */
void haslab_lock_waited(struct haslab *s, struct haslab_group *g)
{
	atomic_inc(&s->nr_waiting);
	spin_unlock(&g->lock);
	spin_lock(&s->lock);
	spin_lock(&g->lock);
	spin_unlock(&s->lock);
	atomic_dec(&s->nr_waiting);
}

/**
 * haslab_pause - wait a moment for another task
 * @s: the slab allocator
 * Context: may sleep. Return: 0; -EINTR the caller was killed, and is not to go on waiting.
 */
int haslab_pause(const struct haslab *s)
{
	if (haslab_is_patient(s)) {
		schedule_timeout_uninterruptible(1);
		return 0;
	}
	if (fatal_signal_pending(current))
		return -EINTR;
	schedule_timeout_killable(1);
	return 0;
}

/**
 * haslab_free_blocks - about how much is free in slab and buddy
 * @s: the slab allocator
 *
 * Blocks on their way between a group and the buddy may be missing or counted twice. What calls
 * that have returned did is counted.
 * Context: any. Return: in blocks; exact while all groups are shut out.
 */
u64 haslab_free_blocks(const struct haslab *s)
{
	/* without the locks it is an estimate */
	u64 sum = data_race(s->buddy.free_units) << s->cfg.unit_shift;
	unsigned int i;

	ha_step(s->nr_groups);
	for (i = 0; i < s->nr_groups; i++)
		sum += data_race(s->groups[i].free);	/* likewise */
	return sum;
}

/**
 * haslab_free_exact - how much is free in slab and buddy at one moment
 * @s: the slab allocator
 * Context: process context. Return: in blocks.
 */
u64 haslab_free_exact(struct haslab *s)
{
	u64 sum;

	haslab_lock_all(s);
	sum = haslab_free_blocks(s);
	haslab_unlock_all(s);
	return sum;
}

/*
 * Lock the group that owns what is at @pos, inside the device; by then it may be another one that
 * does.
 */
struct haslab_group *haslab_lock_group_at(struct haslab *s, u64 pos)
	__acquires(&g->lock)
{
	struct haslab_group *g;

	rcu_read_lock();
	/*
	 * The end of the device, which the caller has read, comes before the tables. Pairs with
	 * smp_mb() in haslab_grow_locked().
	 */
	smp_rmb();
	g = haslab_group_at(s, mixed_at(s, pos), pos);
	haslab_lock_group(s, g);
	rcu_read_unlock();
	return g;
}
