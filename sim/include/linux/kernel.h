/* SPDX-License-Identifier: GPL-2.0 */
/* User-space stand-in: arithmetic, messages, warnings. */
#ifndef _SIM_LINUX_KERNEL_H
#define _SIM_LINUX_KERNEL_H

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <linux/types.h>
#include <linux/atomic.h>

#define min_t(t, a, b) ({ t _mina = (a), _minb = (b); _mina < _minb ? _mina : _minb; })
#define max_t(t, a, b) ({ t _maxa = (a), _maxb = (b); _maxa > _maxb ? _maxa : _maxb; })
/* As strict about types as the kernel's: the comparison of the pointers warns. */
#define sim_same_type(a, b)	((void)sizeof((__typeof__(a) *)1 == (__typeof__(b) *)1))
#define min(a, b) ({ __auto_type _a = (a); __auto_type _b = (b);	\
	sim_same_type(_a, _b); _a < _b ? _a : _b; })
#define max(a, b) ({ __auto_type _a = (a); __auto_type _b = (b);	\
	sim_same_type(_a, _b); _a > _b ? _a : _b; })
#define min3(a, b, c)		min(min(a, b), c)
#define max3(a, b, c)		max(max(a, b), c)
#define clamp(v, lo, hi)	min(max(v, lo), hi)
#define clamp_t(t, v, lo, hi)	min_t(t, max_t(t, v, lo), hi)
#define swap(a, b) do { __typeof__(a) _t = (a); (a) = (b); (b) = _t; } while (0)

#define __ALIGN_MASK(x, m)	(((x) + (m)) & ~(m))
#define ALIGN(x, a)		__ALIGN_MASK(x, (__typeof__(x))(a) - 1)
#define ALIGN_DOWN(x, a)	((x) & ~((__typeof__(x))(a) - 1))
#define IS_ALIGNED(x, a)	(((x) & ((__typeof__(x))(a) - 1)) == 0)
#define round_up(x, y)		((((x) - 1) | ((__typeof__(x))(y) - 1)) + 1)
#define round_down(x, y)	((x) & ~((__typeof__(x))(y) - 1))
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
#define DIV_ROUND_UP_ULL(n, d)	DIV_ROUND_UP((u64)(n), d)
#define roundup(x, y)		((((x) + ((y) - 1)) / (y)) * (y))
#define rounddown(x, y)		((x) - (x) % (y))

#define div_u64(a, b)		((u64)(a) / (u32)(b))
#define div64_u64(a, b)		((u64)(a) / (u64)(b))
#define div_u64_rem(a, b, r)	({ *(r) = (u64)(a) % (u32)(b); (u64)(a) / (u32)(b); })
#define div64_u64_rem(a, b, r)	({ *(r) = (u64)(a) % (u64)(b); (u64)(a) / (u64)(b); })
#define do_div(n, b)		({ u32 _r = (n) % (u32)(b); (n) /= (u32)(b); _r; })
#define mul_u64_u64_div_u64(a, b, c) ((u64)((unsigned __int128)(a) * (b) / (c)))

#define ilog2(n)		((int)(63 - __builtin_clzll((u64)(n))))
static inline bool is_power_of_2(u64 n) { return n && !(n & (n - 1)); }
static inline int order_base_2(u64 n) { return n > 1 ? ilog2(n - 1) + 1 : 0; }
#define roundup_pow_of_two(n)	(1UL << order_base_2(n))
#define rounddown_pow_of_two(n)	(1UL << ilog2(n))

#define check_add_overflow(a, b, d)	__builtin_add_overflow(a, b, d)
#define check_sub_overflow(a, b, d)	__builtin_sub_overflow(a, b, d)
#define check_mul_overflow(a, b, d)	__builtin_mul_overflow(a, b, d)
#define flex_array_size(p, m, n)	(sizeof(*(p)->m) * (size_t)(n))
#define struct_size(p, m, n)		(sizeof(*(p)) + flex_array_size(p, m, n))
#define array_size(a, b)		((size_t)(a) * (b))

#define upper_32_bits(n)	((u32)((u64)(n) >> 32))
#define lower_32_bits(n)	((u32)(n))
#define __stringify_1(x)	#x
#define __stringify(x)		__stringify_1(x)

#define KERN_ERR		""
#define KERN_WARNING		""
#define KERN_INFO		""
#ifndef pr_fmt
#define pr_fmt(f) f
#endif
#define sim_pr(f, ...)		fprintf(stderr, pr_fmt(f), ##__VA_ARGS__)
#define printk(f, ...)		fprintf(stderr, f, ##__VA_ARGS__)
#define pr_err(f, ...)		sim_pr(f, ##__VA_ARGS__)
#define pr_err_once(f, ...)	sim_pr(f, ##__VA_ARGS__)
#define pr_err_ratelimited(f, ...) sim_pr(f, ##__VA_ARGS__)
#define pr_warn(f, ...)		sim_pr(f, ##__VA_ARGS__)
#define pr_warn_once(f, ...)	sim_pr(f, ##__VA_ARGS__)
#define pr_warn_ratelimited(f, ...) sim_pr(f, ##__VA_ARGS__)
#define pr_notice(f, ...)	sim_pr(f, ##__VA_ARGS__)
#define pr_info(f, ...)		sim_pr(f, ##__VA_ARGS__)
#define pr_debug(f, ...)	do { if (0) sim_pr(f, ##__VA_ARGS__); } while (0)

/* A warning of the kernel ends the program here. */
void __attribute__((noreturn)) sim_bug(const char *file, int line, const char *what);
#define WARN_ON(c) ({							\
	bool _c = !!(c);						\
	if (unlikely(_c))						\
		sim_bug(__FILE__, __LINE__, "WARN_ON(" #c ")");		\
	_c;								\
})
#define WARN_ON_ONCE(c)		WARN_ON(c)
#define WARN(c, f, ...)		({ bool _w = !!(c); if (_w) sim_pr(f, ##__VA_ARGS__); WARN_ON(_w); })
#define WARN_ONCE(c, f, ...)	WARN(c, f, ##__VA_ARGS__)
#define BUG_ON(c)		((void)WARN_ON(c))
#define BUG()			BUG_ON(1)
#define VM_WARN_ON_ONCE(c)	WARN_ON(c)

/* An assertion, in debug builds only. */
#ifdef SIM_DEBUG
#define SIM_ASSERT(c)		BUG_ON(!(c))
#else
#define SIM_ASSERT(c)		((void)sizeof(c))
#endif

#endif
