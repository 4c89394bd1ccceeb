/* SPDX-License-Identifier: GPL-2.0 */
/* User-space stand-in: atomics on the compiler's builtins. */
#ifndef _SIM_LINUX_ATOMIC_H
#define _SIM_LINUX_ATOMIC_H

#include <linux/types.h>

#define ATOMIC_INIT(i)		{ (i) }
#define ATOMIC_LONG_INIT(i)	{ (i) }
#define ATOMIC64_INIT(i)	{ (i) }

#define _SIM_ATOMIC_ORDER(p, type, T, suffix, order)				\
static inline T p##_fetch_add##suffix(T i, type *v)				\
{ return __atomic_fetch_add(&v->counter, i, order); }				\
static inline T p##_fetch_sub##suffix(T i, type *v)				\
{ return __atomic_fetch_sub(&v->counter, i, order); }				\
static inline T p##_fetch_or##suffix(T i, type *v)				\
{ return __atomic_fetch_or(&v->counter, i, order); }				\
static inline T p##_fetch_and##suffix(T i, type *v)				\
{ return __atomic_fetch_and(&v->counter, i, order); }				\
static inline T p##_fetch_andnot##suffix(T i, type *v)				\
{ return __atomic_fetch_and(&v->counter, ~i, order); }				\
static inline T p##_add_return##suffix(T i, type *v)				\
{ return __atomic_add_fetch(&v->counter, i, order); }				\
static inline T p##_sub_return##suffix(T i, type *v)				\
{ return __atomic_sub_fetch(&v->counter, i, order); }				\
static inline T p##_inc_return##suffix(type *v)					\
{ return __atomic_add_fetch(&v->counter, 1, order); }				\
static inline T p##_dec_return##suffix(type *v)					\
{ return __atomic_sub_fetch(&v->counter, 1, order); }				\
static inline T p##_xchg##suffix(type *v, T i)					\
{ return __atomic_exchange_n(&v->counter, i, order); }				\
static inline bool p##_try_cmpxchg##suffix(type *v, T *old, T new)		\
{ return __atomic_compare_exchange_n(&v->counter, old, new, false, order,	\
				     __ATOMIC_RELAXED); }			\
static inline T p##_cmpxchg##suffix(type *v, T old, T new)			\
{ p##_try_cmpxchg##suffix(v, &old, new); return old; }

#define _SIM_ATOMIC(p, type, T)							\
_SIM_ATOMIC_ORDER(p, type, T, , __ATOMIC_SEQ_CST)				\
_SIM_ATOMIC_ORDER(p, type, T, _acquire, __ATOMIC_ACQUIRE)			\
_SIM_ATOMIC_ORDER(p, type, T, _release, __ATOMIC_ACQ_REL)			\
_SIM_ATOMIC_ORDER(p, type, T, _relaxed, __ATOMIC_RELAXED)			\
static inline T p##_read(const type *v)						\
{ return __atomic_load_n(&v->counter, __ATOMIC_RELAXED); }			\
static inline T p##_read_acquire(const type *v)					\
{ return __atomic_load_n(&v->counter, __ATOMIC_ACQUIRE); }			\
static inline void p##_set(type *v, T i)					\
{ __atomic_store_n(&v->counter, i, __ATOMIC_RELAXED); }				\
static inline void p##_set_release(type *v, T i)				\
{ __atomic_store_n(&v->counter, i, __ATOMIC_RELEASE); }				\
static inline void p##_add(T i, type *v)					\
{ __atomic_fetch_add(&v->counter, i, __ATOMIC_RELAXED); }			\
static inline void p##_sub(T i, type *v)					\
{ __atomic_fetch_sub(&v->counter, i, __ATOMIC_RELAXED); }			\
static inline void p##_or(T i, type *v)						\
{ __atomic_fetch_or(&v->counter, i, __ATOMIC_RELAXED); }			\
static inline void p##_and(T i, type *v)					\
{ __atomic_fetch_and(&v->counter, i, __ATOMIC_RELAXED); }			\
static inline void p##_inc(type *v) { p##_add(1, v); }				\
static inline void p##_dec(type *v) { p##_sub(1, v); }				\
static inline bool p##_inc_and_test(type *v) { return !p##_inc_return(v); }	\
static inline bool p##_dec_and_test(type *v) { return !p##_dec_return(v); }	\
static inline bool p##_sub_and_test(T i, type *v)				\
{ return !p##_sub_return(i, v); }						\
static inline bool p##_add_unless(type *v, T a, T u)				\
{										\
	T old = p##_read(v);							\
										\
	do {									\
		if (old == u)							\
			return false;						\
	} while (!p##_try_cmpxchg(v, &old, old + a));				\
	return true;								\
}										\
static inline bool p##_inc_not_zero(type *v) { return p##_add_unless(v, 1, 0); }

_SIM_ATOMIC(atomic, atomic_t, int)
_SIM_ATOMIC(atomic_long, atomic_long_t, long)
_SIM_ATOMIC(atomic64, atomic64_t, s64)

#define xchg(p, v)		__atomic_exchange_n(p, v, __ATOMIC_SEQ_CST)
#define xchg_acquire(p, v)	__atomic_exchange_n(p, v, __ATOMIC_ACQUIRE)
#define xchg_release(p, v)	__atomic_exchange_n(p, v, __ATOMIC_ACQ_REL)
#define xchg_relaxed(p, v)	__atomic_exchange_n(p, v, __ATOMIC_RELAXED)
#define try_cmpxchg(p, old, new) \
	__atomic_compare_exchange_n(p, old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)
#define cmpxchg(p, old, new) ({					\
	__typeof__(*(p)) _sim_old = (old);			\
	try_cmpxchg(p, &_sim_old, new);				\
	_sim_old;						\
})

#define smp_load_acquire(p)		__atomic_load_n(p, __ATOMIC_ACQUIRE)
#define smp_store_release(p, v)		__atomic_store_n(p, v, __ATOMIC_RELEASE)
#define smp_store_mb(x, v)		__atomic_store_n(&(x), v, __ATOMIC_SEQ_CST)
#ifdef __SANITIZE_THREAD__
/* The thread sanitizer ignores fences, but not a read-modify-write. */
extern int sim_fence;
#define smp_mb()			((void)__atomic_fetch_add(&sim_fence, 0, __ATOMIC_SEQ_CST))
#define smp_rmb()			smp_mb()
#define smp_wmb()			smp_mb()
#else
#define smp_mb()			__atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb()			__atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb()			__atomic_thread_fence(__ATOMIC_RELEASE)
#endif
#define smp_mb__before_atomic()		smp_mb()
#define smp_mb__after_atomic()		smp_mb()
#define smp_mb__after_spinlock()	smp_mb()
#ifdef SIM_ORDER
void sim_relax(void);
#define cpu_relax()			sim_relax()
#elif defined(__x86_64__)
#define cpu_relax()			__builtin_ia32_pause()
#else
#define cpu_relax()			barrier()
#endif

#endif
