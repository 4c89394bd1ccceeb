/* SPDX-License-Identifier: GPL-2.0 */
/* User-space stand-in: bits and bitmaps. */
#ifndef _SIM_LINUX_BITOPS_H
#define _SIM_LINUX_BITOPS_H

#include <linux/kernel.h>

#define BIT(n)			(1UL << (n))
#define BIT_ULL(n)		(1ULL << (n))
#define BIT_MASK(n)		(1UL << ((n) % BITS_PER_LONG))
#define BIT_WORD(n)		((n) / BITS_PER_LONG)
#define GENMASK(h, l)		((~0UL << (l)) & (~0UL >> (BITS_PER_LONG - 1 - (h))))
#define GENMASK_ULL(h, l)	((~0ULL << (l)) & (~0ULL >> (63 - (h))))
#define BITS_TO_LONGS(n)	DIV_ROUND_UP(n, BITS_PER_LONG)
#define DECLARE_BITMAP(name, n)	unsigned long name[BITS_TO_LONGS(n)]
#define BITMAP_FIRST_WORD_MASK(start)	(~0UL << ((start) & (BITS_PER_LONG - 1)))
#define BITMAP_LAST_WORD_MASK(n)	(~0UL >> (-(n) & (BITS_PER_LONG - 1)))

static inline unsigned long __ffs(unsigned long w) { return __builtin_ctzl(w); }
static inline unsigned long __fls(unsigned long w) { return (BITS_PER_LONG - 1) ^ __builtin_clzl(w); }
static inline unsigned int __ffs64(u64 w) { return __builtin_ctzll(w); }
static inline unsigned long ffz(unsigned long w) { return __ffs(~w); }
static inline int fls(unsigned int w) { return w ? 32 - __builtin_clz(w) : 0; }
static inline int fls_long(unsigned long w) { return w ? BITS_PER_LONG - __builtin_clzl(w) : 0; }
static inline int fls64(u64 w) { return w ? 64 - __builtin_clzll(w) : 0; }
static inline unsigned int hweight8(u8 w) { return __builtin_popcount(w); }
static inline unsigned int hweight16(u16 w) { return __builtin_popcount(w); }
static inline unsigned int hweight32(u32 w) { return __builtin_popcount(w); }
static inline unsigned int hweight64(u64 w) { return __builtin_popcountll(w); }
static inline unsigned long hweight_long(unsigned long w) { return __builtin_popcountl(w); }

static inline void set_bit(long n, unsigned long *p)
{
	__atomic_fetch_or(p + BIT_WORD(n), BIT_MASK(n), __ATOMIC_RELAXED);
}

static inline void clear_bit(long n, unsigned long *p)
{
	__atomic_fetch_and(p + BIT_WORD(n), ~BIT_MASK(n), __ATOMIC_RELAXED);
}

static inline void clear_bit_unlock(long n, unsigned long *p)
{
	__atomic_fetch_and(p + BIT_WORD(n), ~BIT_MASK(n), __ATOMIC_RELEASE);
}

static inline bool test_and_set_bit(long n, unsigned long *p)
{
	return __atomic_fetch_or(p + BIT_WORD(n), BIT_MASK(n), __ATOMIC_SEQ_CST) & BIT_MASK(n);
}

static inline bool test_and_set_bit_lock(long n, unsigned long *p)
{
	return __atomic_fetch_or(p + BIT_WORD(n), BIT_MASK(n), __ATOMIC_ACQUIRE) & BIT_MASK(n);
}

static inline bool test_and_clear_bit(long n, unsigned long *p)
{
	return __atomic_fetch_and(p + BIT_WORD(n), ~BIT_MASK(n), __ATOMIC_SEQ_CST) & BIT_MASK(n);
}

static inline bool test_bit(long n, const unsigned long *p)
{
	return READ_ONCE(p[BIT_WORD(n)]) & BIT_MASK(n);
}

static inline bool test_bit_acquire(long n, const unsigned long *p)
{
	return smp_load_acquire(p + BIT_WORD(n)) & BIT_MASK(n);
}

static inline void __set_bit(long n, unsigned long *p) { p[BIT_WORD(n)] |= BIT_MASK(n); }
static inline void __clear_bit(long n, unsigned long *p) { p[BIT_WORD(n)] &= ~BIT_MASK(n); }
static inline void __change_bit(long n, unsigned long *p) { p[BIT_WORD(n)] ^= BIT_MASK(n); }

static inline void __assign_bit(long n, unsigned long *p, bool v)
{
	if (v)
		__set_bit(n, p);
	else
		__clear_bit(n, p);
}

static inline bool __test_and_set_bit(long n, unsigned long *p)
{
	bool old = p[BIT_WORD(n)] & BIT_MASK(n);

	__set_bit(n, p);
	return old;
}

static inline bool __test_and_clear_bit(long n, unsigned long *p)
{
	bool old = p[BIT_WORD(n)] & BIT_MASK(n);

	__clear_bit(n, p);
	return old;
}

/*
 * Bitmaps are read word by word as marked accesses: a race with set_bit() is allowed,
 * and the thread sanitizer reports one with __set_bit().
 */

/* The first bit from @i on that differs from those of @flip; @n if there is none. */
static inline unsigned long sim_find_bit(const unsigned long *p, unsigned long n,
					 unsigned long i, unsigned long flip)
{
	unsigned long w;

	if (i >= n)
		return n;
	w = (READ_ONCE(p[BIT_WORD(i)]) ^ flip) & BITMAP_FIRST_WORD_MASK(i);
	for (i = round_down(i, BITS_PER_LONG); !w; w = READ_ONCE(p[BIT_WORD(i)]) ^ flip) {
		i += BITS_PER_LONG;
		if (i >= n)
			return n;
	}
	return min(i + __ffs(w), n);
}

#define find_next_bit(p, n, i)		sim_find_bit(p, n, i, 0)
#define find_next_zero_bit(p, n, i)	sim_find_bit(p, n, i, ~0UL)
#define find_first_bit(p, n)		find_next_bit(p, n, 0)
#define find_first_zero_bit(p, n)	find_next_zero_bit(p, n, 0)

static inline unsigned long find_last_bit(const unsigned long *p, unsigned long n)
{
	unsigned long i = BITS_TO_LONGS(n), w;

	while (i--) {
		w = READ_ONCE(p[i]);
		if (i == BITS_TO_LONGS(n) - 1)
			w &= BITMAP_LAST_WORD_MASK(n);
		if (w)
			return i * BITS_PER_LONG + __fls(w);
	}
	return n;
}

#define for_each_set_bit(bit, p, n) \
	for ((bit) = 0; (bit) = find_next_bit(p, n, bit), (bit) < (n); (bit)++)
#define for_each_set_bit_from(bit, p, n) \
	for (; (bit) = find_next_bit(p, n, bit), (bit) < (n); (bit)++)
#define for_each_clear_bit(bit, p, n) \
	for ((bit) = 0; (bit) = find_next_zero_bit(p, n, bit), (bit) < (n); (bit)++)
#define for_each_clear_bit_from(bit, p, n) \
	for (; (bit) = find_next_zero_bit(p, n, bit), (bit) < (n); (bit)++)
#define for_each_set_bitrange(b, e, p, n)					\
	for ((b) = 0; (b) = find_next_bit(p, n, b),				\
	     (e) = find_next_zero_bit(p, n, (b) + 1), (b) < (n); (b) = (e) + 1)
#define for_each_clear_bitrange(b, e, p, n)					\
	for ((b) = 0; (b) = find_next_zero_bit(p, n, b),			\
	     (e) = find_next_bit(p, n, (b) + 1), (b) < (n); (b) = (e) + 1)

static inline void bitmap_zero(unsigned long *p, unsigned int n)
{
	memset(p, 0, BITS_TO_LONGS(n) * sizeof(long));
}

static inline void bitmap_fill(unsigned long *p, unsigned int n)
{
	memset(p, 0xff, BITS_TO_LONGS(n) * sizeof(long));
}

static inline void bitmap_copy(unsigned long *dst, const unsigned long *src, unsigned int n)
{
	memcpy(dst, src, BITS_TO_LONGS(n) * sizeof(long));
}

/* The bits of word @w that lie in [start, end). */
static inline unsigned long sim_range_mask(unsigned long w, unsigned long start, unsigned long end)
{
	unsigned long mask = ~0UL, base = w * BITS_PER_LONG;

	if (start > base)
		mask &= ~0UL << (start - base);
	if (end < base + BITS_PER_LONG)
		mask &= ~0UL >> (base + BITS_PER_LONG - end);
	return mask;
}

static inline void bitmap_or(unsigned long *dst, const unsigned long *a, const unsigned long *b,
			     unsigned int n)
{
	unsigned int i;

	for (i = 0; i < BITS_TO_LONGS(n); i++)
		dst[i] = a[i] | b[i];
}

static inline void bitmap_set(unsigned long *p, unsigned int start, unsigned int n)
{
	unsigned long w;

	for (w = BIT_WORD(start); n && w <= BIT_WORD(start + n - 1); w++)
		p[w] |= sim_range_mask(w, start, start + n);
}

static inline void bitmap_clear(unsigned long *p, unsigned int start, unsigned int n)
{
	unsigned long w;

	for (w = BIT_WORD(start); n && w <= BIT_WORD(start + n - 1); w++)
		p[w] &= ~sim_range_mask(w, start, start + n);
}

static inline unsigned int bitmap_weight(const unsigned long *p, unsigned int n)
{
	unsigned int w, sum = 0;

	for (w = 0; w < BITS_TO_LONGS(n); w++)
		sum += hweight_long(READ_ONCE(p[w]) & sim_range_mask(w, 0, n));
	return sum;
}

static inline bool bitmap_empty(const unsigned long *p, unsigned int n)
{
	return find_first_bit(p, n) == n;
}

static inline void bitmap_complement(unsigned long *to, const unsigned long *from, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < BITS_TO_LONGS(n); i++)
		to[i] = ~from[i];
}

static inline bool bitmap_intersects(const unsigned long *a, const unsigned long *b,
				     unsigned int n)
{
	unsigned int w;

	for (w = 0; w < BITS_TO_LONGS(n); w++)
		if (READ_ONCE(a[w]) & READ_ONCE(b[w]) & sim_range_mask(w, 0, n))
			return true;
	return false;
}

static inline bool bitmap_full(const unsigned long *p, unsigned int n)
{
	return find_first_zero_bit(p, n) == n;
}

static inline unsigned long
bitmap_find_next_zero_area(unsigned long *p, unsigned long size, unsigned long start,
			   unsigned int nr, unsigned long align_mask)
{
	unsigned long i = start, end, next;

	for (;;) {
		i = (find_next_zero_bit(p, size, i) + align_mask) & ~align_mask;
		end = i + nr;
		if (end > size)
			return end;
		next = find_next_bit(p, end, i);
		if (next >= end)
			return i;
		i = next + 1;
	}
}

#endif
