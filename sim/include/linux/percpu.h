/* SPDX-License-Identifier: GPL-2.0 */
/*
 * User-space stand-in: CPUs and per-CPU memory. A CPU here is a number that a thread
 * takes with sim_set_cpu(). No two threads may have the same one at the same time, so a
 * thread is never preempted on its CPU.
 */
#ifndef _SIM_LINUX_PERCPU_H
#define _SIM_LINUX_PERCPU_H

#include <linux/kernel.h>
#include <linux/gfp.h>
#include <linux/rcupdate.h>

#define NR_CPUS			64
#ifdef SIM_ORDER
#define SIM_PERCPU_STRIDE	(1UL << 10)	/* is copied for each schedule */
#else
#define SIM_PERCPU_STRIDE	(32UL << 10)	/* as the kernel's limit */
#endif

extern unsigned int nr_cpu_ids;
void sim_set_nr_cpus(unsigned int nr);
void sim_set_cpu(int cpu);

static inline int sim_cpu(void)
{
	if (unlikely(sim_thread.cpu < 0))
		sim_thread_register();
	return sim_thread.cpu;
}

#define smp_processor_id()	sim_cpu()
#define raw_smp_processor_id()	sim_cpu()
/* as in the kernel, no grace period ends while preemption is off */
#define preempt_disable()	rcu_read_lock()
#define preempt_enable()	rcu_read_unlock()
#define migrate_disable()	barrier()
#define migrate_enable()	barrier()
#define get_cpu()		({ preempt_disable(); smp_processor_id(); })
#define put_cpu()		preempt_enable()
#define local_irq_save(f)	do { (f) = 0; preempt_disable(); } while (0)
#define local_irq_restore(f)	do { (void)(f); preempt_enable(); } while (0)

#define num_possible_cpus()	nr_cpu_ids
#define num_online_cpus()	nr_cpu_ids
#define cpu_possible(c)		((unsigned int)(c) < nr_cpu_ids)
#define cpu_online(c)		cpu_possible(c)
#define for_each_possible_cpu(c) for ((c) = 0; (unsigned int)(c) < nr_cpu_ids; (c)++)
#define for_each_online_cpu(c)	for_each_possible_cpu(c)
#define cpus_read_lock()	do { } while (0)
#define cpus_read_unlock()	do { } while (0)

void *__alloc_percpu_gfp(size_t size, size_t align, gfp_t gfp);
void free_percpu(void *p);

#define alloc_percpu(type)		alloc_percpu_gfp(type, GFP_KERNEL)
#define alloc_percpu_gfp(type, gfp)	((type *)__alloc_percpu_gfp(sizeof(type), __alignof__(type), gfp))
#define __alloc_percpu(size, align)	__alloc_percpu_gfp(size, align, GFP_KERNEL)

#define per_cpu_ptr(p, c)	((__typeof__(p))((char *)(p) + (c) * SIM_PERCPU_STRIDE))
#define this_cpu_ptr(p)		per_cpu_ptr(p, smp_processor_id())
#define raw_cpu_ptr(p)		this_cpu_ptr(p)
#define get_cpu_ptr(p)		({ preempt_disable(); this_cpu_ptr(p); })
#define put_cpu_ptr(p)		do { (void)(p); preempt_enable(); } while (0)

#define this_cpu_read(x)	READ_ONCE(*this_cpu_ptr(&(x)))
#define this_cpu_write(x, v)	WRITE_ONCE(*this_cpu_ptr(&(x)), v)
#if defined(SIM_DEBUG) || defined(SIM_LINES)
#define this_cpu_add(x, v) do {						\
	__typeof__(x) *_p = this_cpu_ptr(&(x));				\
	WRITE_ONCE(*_p, READ_ONCE(*_p) + (v));				\
} while (0)
#else
/* one instruction, as in the kernel: of marked accesses gcc makes three */
#define this_cpu_add(x, v) do {						\
	__typeof__(x) *_p = this_cpu_ptr(&(x));				\
	OPTIMIZER_HIDE_VAR(_p);	/* one address, of load and store */	\
	*_p += (v);							\
} while (0)
#endif
#define this_cpu_sub(x, v)	this_cpu_add(x, -(__typeof__(x))(v))
#define this_cpu_inc(x)		this_cpu_add(x, 1)
#define this_cpu_dec(x)		this_cpu_sub(x, 1)
#define this_cpu_xchg(x, v)	xchg(this_cpu_ptr(&(x)), v)
#define this_cpu_cmpxchg(x, o, n) cmpxchg(this_cpu_ptr(&(x)), o, n)
#define __this_cpu_add(x, v)	this_cpu_add(x, v)
#define __this_cpu_sub(x, v)	this_cpu_sub(x, v)
#define __this_cpu_inc(x)	this_cpu_inc(x)
#define __this_cpu_dec(x)	this_cpu_dec(x)
#define __this_cpu_read(x)	this_cpu_read(x)
#define raw_cpu_read(x)		this_cpu_read(x)
#define raw_cpu_add(x, v)	this_cpu_add(x, v)
#define raw_cpu_inc(x)		this_cpu_inc(x)

typedef struct { char dummy; } local_lock_t;
#define INIT_LOCAL_LOCK(n)	{ 0 }
#define local_lock_init(l)	((void)(l))
#define local_lock(l)		preempt_disable()
#define local_unlock(l)		preempt_enable()

#endif
