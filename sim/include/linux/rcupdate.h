/* SPDX-License-Identifier: GPL-2.0 */
/*
 * User-space stand-in: RCU. A reader publishes the era in which it began. Callbacks given
 * to call_rcu() are collected; a full batch ends the era, and is called once no reader of
 * that era or an earlier one is left. Readers have no memory barrier: membarrier() in the
 * thread that calls the batch takes its place (see sim/shim.c).
 */
#ifndef _SIM_LINUX_RCUPDATE_H
#define _SIM_LINUX_RCUPDATE_H

#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static inline void rcu_read_lock(void)
{
	sim_atomic_enter();
	sim_reader_enter();
	sim_thread.asked++;
}

static inline void rcu_read_unlock(void)
{
	SIM_ASSERT(sim_thread.asked);
	sim_thread.asked--;
	sim_reader_exit();
	sim_atomic_exit();
}

static inline bool rcu_read_lock_held(void) { return sim_thread.asked; }

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head));
void synchronize_rcu(void);
void rcu_barrier(void);

#define kfree_rcu(obj, member) \
	call_rcu(&(obj)->member, (void *)offsetof(__typeof__(*(obj)), member))
#define rcu_access_pointer(p)		READ_ONCE(p)
#define rcu_dereference_raw(p)		__atomic_load_n(&(p), __ATOMIC_ACQUIRE)
#define rcu_dereference(p)		({ SIM_ASSERT(rcu_read_lock_held()); rcu_dereference_raw(p); })
#define rcu_dereference_check(p, c) \
	({ SIM_ASSERT((c) || rcu_read_lock_held()); rcu_dereference_raw(p); })
#define rcu_dereference_protected(p, c)	({ SIM_ASSERT(c); READ_ONCE(p); })
#define rcu_assign_pointer(p, v)	__atomic_store_n(&(p), v, __ATOMIC_RELEASE)
#define RCU_INITIALIZER(v)	(v)
#define RCU_INIT_POINTER(p, v)		WRITE_ONCE(p, v)
#define rcu_replace_pointer(p, v, c) \
	({ __typeof__(p) _old = rcu_dereference_protected(p, c); rcu_assign_pointer(p, v); _old; })
#define RCU_LOCKDEP_WARN(c, s)		SIM_ASSERT(!(c))

#endif
