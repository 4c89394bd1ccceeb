/* SPDX-License-Identifier: GPL-2.0 */
/* User-space stand-in: locks. A debug build records their owners. */
#ifndef _SIM_LINUX_SPINLOCK_H
#define _SIM_LINUX_SPINLOCK_H

#include <pthread.h>
#include <linux/kernel.h>

/*
 * > 0 where the current thread may not sleep, as in the kernel. Counted in debug builds
 * only.
 */
#ifndef SIM_ORDER
extern __thread int sim_atomic_depth;
extern __thread char sim_self;		/* its address identifies the thread */
extern __thread bool sim_killed;	/* the thread has a fatal signal pending */
#endif

#ifdef SIM_DEBUG
#define sim_atomic_enter()	((void)sim_atomic_depth++)
#define sim_atomic_exit()	((void)sim_atomic_depth--)
#define might_sleep()		BUG_ON(sim_atomic_depth)
#else
#define sim_atomic_enter()	barrier()
#define sim_atomic_exit()	barrier()
#define might_sleep()		barrier()
#endif
#define might_sleep_if(c)	do { if (c) might_sleep(); } while (0)

/* The RCU state of a thread, and its CPU; see rcupdate.h. */
struct sim_thread {
	unsigned long era;	/* 0: not reading */
	unsigned int depth;
	unsigned int asked;	/* those by rcu_read_lock() */
	int cpu;		/* -1: not chosen yet */
	struct sim_thread *next;
};

void sim_thread_register(void) __attribute__((cold));

/* What a thread does as to memory; see linux/sched/mm.h. */
struct sim_reclaim {
	struct mutex *held;	/* mutexes; in debug builds only */
	bool noio;		/* between memalloc_noio_save() and _restore() */
	bool inside;		/* between fs_reclaim_acquire() and _release() */
};

#ifdef SIM_ORDER
/* Threads are fibers of one thread, see sim/order.c. None is killed. */
struct sim_fiber {
	struct sim_thread thread;
	struct sim_reclaim reclaim;
	int atomic_depth;
	char self;
};

extern struct sim_fiber *sim_fiber;	/* the one that runs */
#define sim_thread		(sim_fiber->thread)
#define sim_atomic_depth	(sim_fiber->atomic_depth)
#define sim_self		(sim_fiber->self)
#define sim_reclaim		(sim_fiber->reclaim)
#define sim_killed		false
void sim_reader_enter(void);
void sim_reader_exit(void);
extern unsigned int sim_quiet;	/* > 0: accesses are no steps */
#define sim_quietly(statement)	do { sim_quiet++; statement; sim_quiet--; } while (0)
#else
#define sim_quietly(statement)	do { statement; } while (0)
extern __thread struct sim_thread sim_thread;
extern __thread struct sim_reclaim sim_reclaim;
extern unsigned long sim_rcu_era;

static inline void sim_reader_enter(void)
{
	struct sim_thread *t = &sim_thread;

	if (t->depth++)
		return;
	if (unlikely(t->cpu < 0))
		sim_thread_register();
	WRITE_ONCE(t->era, __atomic_load_n(&sim_rcu_era, __ATOMIC_ACQUIRE));
	barrier();
}

static inline void sim_reader_exit(void)
{
	struct sim_thread *t = &sim_thread;

	SIM_ASSERT(t->depth);
	barrier();
	if (!--t->depth)
		__atomic_store_n(&t->era, 0, __ATOMIC_RELEASE);
}
#endif

/* The work under each lock; see worst.c. */
#ifdef SIM_WORK
extern u64 sim_work;
void sim_hold_ended(const char *lock, u64 work);
struct sim_hold {
	const char *lock;
	u64 since;
};
#define SIM_HOLD(n)		.hold = { #n }
#define sim_hold_begin(l)	((void)((l)->hold.since = sim_work))
#define sim_hold_end(l)		sim_hold_ended((l)->hold.lock, sim_work - (l)->hold.since)
#else
struct sim_hold { };
#define SIM_HOLD(n)		.hold = { }
#define sim_hold_begin(l)	barrier()
#define sim_hold_end(l)		barrier()
#endif

typedef struct {
	int locked;
	unsigned int waits;	/* how often a thread had to wait for it; for hybrid-sim bench */
	struct sim_hold hold;
#ifdef SIM_DEBUG
	const void *owner;
#endif
} spinlock_t;
typedef spinlock_t raw_spinlock_t;

#define __SPIN_LOCK_UNLOCKED(n)	{ SIM_HOLD(n) }
#define DEFINE_SPINLOCK(n)	spinlock_t n = __SPIN_LOCK_UNLOCKED(n)
#define spin_lock_init(l)	(*(l) = (spinlock_t) __SPIN_LOCK_UNLOCKED(l))

void sim_spin_wait(spinlock_t *l);

#ifdef SIM_DEBUG
#define CONFIG_LOCKDEP		1
#define lockdep_is_held(l)	(READ_ONCE((l)->owner) == (const void *)&sim_self)
#define sim_lock_owned(l)	sim_quietly(WRITE_ONCE((l)->owner, &sim_self))
#define sim_lock_disowned(l)	\
	sim_quietly(BUG_ON(!lockdep_is_held(l)); WRITE_ONCE((l)->owner, NULL))
/* what they ask is whether the thread itself has done something: no order can change that */
#define lockdep_assert(c)	sim_quietly(BUG_ON(!(c)))
#define lockdep_assert_held(l)	lockdep_assert(lockdep_is_held(l))
#define lockdep_assert_not_held(l) lockdep_assert(!lockdep_is_held(l))
#define sim_lock_recursion(l)	lockdep_assert_not_held(l)
#else
#define sim_lock_owned(l)	do { } while (0)
#define sim_lock_disowned(l)	do { } while (0)
#define sim_lock_recursion(l)	do { } while (0)
#define lockdep_is_held(l)	((void)(l), true)
#define lockdep_assert_held(l)	((void)(l))
#define lockdep_assert_not_held(l) ((void)(l))
#define lockdep_assert(c)	do { } while (0)
#endif
#define lockdep_set_class(l, k)	do { } while (0)
struct lock_class_key { char dummy; };

/* The owner of a spinlock is an RCU reader, as in the kernel. */
static inline void spin_lock(spinlock_t *l)
{
	sim_atomic_enter();
	sim_reader_enter();
	if (unlikely(__atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE)))
		sim_spin_wait(l);
	sim_lock_owned(l);
	sim_hold_begin(l);
}

static inline bool spin_trylock(spinlock_t *l)
{
	if (__atomic_load_n(&l->locked, __ATOMIC_RELAXED) ||
	    __atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE))
		return false;
	sim_atomic_enter();
	sim_reader_enter();
	sim_lock_owned(l);
	sim_hold_begin(l);
	return true;
}

static inline void spin_unlock(spinlock_t *l)
{
	sim_hold_end(l);
	sim_lock_disowned(l);
	__atomic_store_n(&l->locked, 0, __ATOMIC_RELEASE);
	sim_reader_exit();
	sim_atomic_exit();
}

static inline bool spin_is_locked(spinlock_t *l)
{
	return __atomic_load_n(&l->locked, __ATOMIC_RELAXED);
}

#define spin_is_contended(l)		((void)(l), false)
#define spin_lock_nested(l, c)		spin_lock(l)
#define spin_lock_bh(l)			spin_lock(l)
#define spin_unlock_bh(l)		spin_unlock(l)
#define spin_lock_irq(l)		spin_lock(l)
#define spin_unlock_irq(l)		spin_unlock(l)
#define spin_lock_irqsave(l, f)		do { (f) = 0; spin_lock(l); } while (0)
#define spin_unlock_irqrestore(l, f)	do { (void)(f); spin_unlock(l); } while (0)
#define raw_spin_lock_init(l)		spin_lock_init(l)
#define raw_spin_lock(l)		spin_lock(l)
#define raw_spin_unlock(l)		spin_unlock(l)

/*
 * A debug build records what lockdep does: whether a mutex was ever taken in memory reclaim, and
 * whether memory was ever waited for with I/O under it. Both are one deadlock.
 */
struct mutex {
#ifdef SIM_ORDER
	int locked;
#else
	pthread_mutex_t m;
#endif
	const void *owner;
	struct sim_hold hold;
#ifdef SIM_DEBUG
	bool in_reclaim;
	bool waits_for_io;
	struct mutex *next;	/* in sim_reclaim.held */
#endif
};

#ifdef SIM_DEBUG
void sim_mutex_locked(struct mutex *m);
void sim_mutex_unlocked(struct mutex *m);
#else
static inline void sim_mutex_locked(struct mutex *m) { }
static inline void sim_mutex_unlocked(struct mutex *m) { }
#endif

#ifdef SIM_ORDER
#define DEFINE_MUTEX(n)		struct mutex n = { .locked = 0 }
#define mutex_init(m)		(*(m) = (struct mutex) { .locked = 0 })
#define mutex_destroy(m)	((void)(m))
#define sim_mutex_trylock(mutex) (!__atomic_exchange_n(&(mutex)->locked, 1, __ATOMIC_ACQUIRE))
#define sim_mutex_unlock(mutex)	__atomic_store_n(&(mutex)->locked, 0, __ATOMIC_RELEASE)
void sim_mutex_wait(struct mutex *m);

static inline void sim_mutex_lock(struct mutex *m)
{
	while (!sim_mutex_trylock(m))
		sim_mutex_wait(m);
}
#else
#define DEFINE_MUTEX(n)		struct mutex n = { .m = PTHREAD_MUTEX_INITIALIZER, SIM_HOLD(mutex n) }
#define sim_mutex_trylock(mutex) (!pthread_mutex_trylock(&(mutex)->m))
#define sim_mutex_unlock(mutex)	pthread_mutex_unlock(&(mutex)->m)
#define sim_mutex_lock(mutex)	pthread_mutex_lock(&(mutex)->m)

#define mutex_init(l) \
	((void)(*(l) = (struct mutex) { .m = PTHREAD_MUTEX_INITIALIZER, SIM_HOLD(mutex l) }))

static inline void mutex_destroy(struct mutex *m) { pthread_mutex_destroy(&m->m); }
#endif

static inline void mutex_lock(struct mutex *m)
{
	might_sleep();
	sim_mutex_lock(m);
	m->owner = &sim_self;
	sim_mutex_locked(m);
	sim_hold_begin(m);
}

static inline int mutex_lock_interruptible(struct mutex *m) { mutex_lock(m); return 0; }

static inline bool mutex_trylock(struct mutex *m)
{
	if (!sim_mutex_trylock(m))
		return false;
	m->owner = &sim_self;
	sim_mutex_locked(m);
	sim_hold_begin(m);
	return true;
}

static inline int mutex_lock_killable(struct mutex *m)
{
	if (unlikely(sim_killed))
		return mutex_trylock(m) ? 0 : -EINTR;
	mutex_lock(m);
	return 0;
}

static inline void mutex_unlock(struct mutex *m)
{
	BUG_ON(m->owner != &sim_self);
	sim_hold_end(m);
	sim_mutex_unlocked(m);
	m->owner = NULL;
	sim_mutex_unlock(m);
}

#endif
