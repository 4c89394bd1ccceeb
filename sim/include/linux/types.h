/* SPDX-License-Identifier: GPL-2.0 */
/* User-space stand-in: the types and compiler attributes of the kernel. */
#ifndef _SIM_LINUX_TYPES_H
#define _SIM_LINUX_TYPES_H

#include_next <linux/types.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;
typedef unsigned int gfp_t;
typedef u64 sector_t;

typedef struct { int counter; } atomic_t;
typedef struct { long counter; } atomic_long_t;
typedef struct { s64 counter __attribute__((aligned(8))); } atomic64_t;

struct list_head { struct list_head *next, *prev; };
struct hlist_node { struct hlist_node *next, **pprev; };
struct hlist_head { struct hlist_node *first; };
/* As large as in Linux, because metadata contains it. */
struct rcu_head {
	struct rcu_head *next;
	void (*func)(struct rcu_head *head);	/* less than a page: offset in the object to free */
};

#define __rcu
#define __percpu
#define __user
#define __iomem
#define __force
#define __kernel
#define __init
#define __exit
#define __read_mostly
#define __acquires(x)
#define __releases(x)
#define __must_hold(x)
#define __acquire(x)		do { } while (0)
#define __release(x)		do { } while (0)
#define __must_check		__attribute__((warn_unused_result))
#define __maybe_unused		__attribute__((unused))
#define __always_unused		__attribute__((unused))
#define __used			__attribute__((used))
#define __packed		__attribute__((packed))
#define __aligned(x)		__attribute__((aligned(x)))
#define __printf(a, b)		__attribute__((format(printf, a, b)))
#define __cold			__attribute__((cold))
#define __pure			__attribute__((pure))
#define noinline		__attribute__((noinline))
#define noinline_for_stack	noinline
#undef __always_inline
#ifdef SIM_COVERAGE	/* a branch is counted once for each function, not for each caller */
#define __always_inline		inline
#else
#define __always_inline		inline __attribute__((always_inline))
#endif
#define ____cacheline_aligned		__aligned(64)
#define ____cacheline_aligned_in_smp	__aligned(64)
#define SMP_CACHE_BYTES		64
#define L1_CACHE_BYTES		64
#define fallthrough		__attribute__((fallthrough))
#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)
#define barrier()		__asm__ __volatile__("" : : : "memory")
#define prefetch(x)		__builtin_prefetch(x)
#define prefetchw(x)		__builtin_prefetch(x, 1)

#define U8_MAX	((u8)~0U)
#define U16_MAX	((u16)~0U)
#define U32_MAX	((u32)~0U)
#define U64_MAX	((u64)~0ULL)
#define S32_MAX	((s32)(U32_MAX >> 1))
#define S64_MAX	((s64)(U64_MAX >> 1))

#define BITS_PER_LONG		__LONG_WIDTH__
#define BITS_PER_LONG_LONG	64
#define BITS_PER_BYTE		8

#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))
#define sizeof_field(type, member)	sizeof(((type *)0)->member)
#define offsetofend(type, member)	(offsetof(type, member) + sizeof_field(type, member))
#define ARRAY_SIZE(a)			(sizeof(a) / sizeof((a)[0]))
#define static_assert(e, ...)		_Static_assert(e, "" #e)
#define BUILD_BUG_ON(e)			_Static_assert(!(e), "BUILD_BUG_ON: " #e)
#define BUILD_BUG_ON_ZERO(e)		((int)sizeof(struct { int : (-!!(e)); }))
#define BUILD_BUG_ON_NOT_POWER_OF_2(n)	BUILD_BUG_ON((n) == 0 || ((n) & ((n) - 1)))

/*
 * Marked accesses are relaxed atomics, so that the thread sanitizer can tell them from
 * plain ones.
 */
#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
#define OPTIMIZER_HIDE_VAR(x)	__asm__("" : "=r" (x) : "0" (x))
#ifdef __SANITIZE_THREAD__
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
#define data_race(x) ({							\
	/* the comma drops a const */					\
	__typeof__(((void)0, (x))) _value;				\
									\
	AnnotateIgnoreReadsBegin(__FILE__, __LINE__);			\
	_value = (x);							\
	AnnotateIgnoreReadsEnd(__FILE__, __LINE__);			\
	_value;								\
})
#else
#define data_race(x)		(x)
#endif

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define CONFIG_CPU_BIG_ENDIAN	1
#endif
#if __LONG_WIDTH__ == 64
#define CONFIG_64BIT		1
#endif

/* CONFIG_FOO=1 makes IS_ENABLED(CONFIG_FOO) 1, anything else 0. */
#define _SIM_ARG_1		0,
#define _SIM_SECOND(a, b, ...)	b
#define _SIM_IS(x)		_SIM_SECOND(x 1, 0, 0)
#define _SIM_IS_(x)		_SIM_IS(_SIM_ARG_##x)
#define _SIM_IS__(x)		_SIM_IS_(x)
#define IS_ENABLED(x)		_SIM_IS__(x)

#endif
