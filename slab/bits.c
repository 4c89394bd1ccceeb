// SPDX-License-Identifier: GPL-2.0
/*
 * Rows of bits: what is free in a part of the device that has a bitmap, a word at a time. See
 * sums.c for what they are added up to. Positions and lengths are in bits. No locks are taken; the
 * caller holds what the bitmap needs.
 */
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/kernel.h>

#include "slab/bits.h"

/* The bits of the word at @base that are from @from to before @to. */
static unsigned long haslab_bits_word(const unsigned long *map, u32 base, u32 from, u32 to)
{
	unsigned long w = map[base / BITS_PER_LONG];

	if (unlikely(base < from))
		w &= BITMAP_FIRST_WORD_MASK(from);
	if (unlikely(to - base < BITS_PER_LONG))
		w &= BITMAP_LAST_WORD_MASK(to);
	return w;
}

/*
 * Where in @w, followed by @next, @nr bits in a row are set: the first of each. If that is more
 * than a word has, as many as it has.
 */
static unsigned long haslab_bits_rows(unsigned long w, unsigned long next, u32 nr)
{
	u32 has, more;

	nr = min_t(u32, nr, BITS_PER_LONG);
	for (has = 1; has < nr && w; has += more) {
		more = min(has, nr - has);
		w &= w >> more | next << (BITS_PER_LONG - more);
		next &= next >> more;
	}
	return w;
}

/* How many bits in a row, of those from @from to before @to, are set at the end. */
u32 haslab_bits_trail(const unsigned long *map, u32 from, u32 to)
{
	unsigned long w;
	u32 end, base;

	for (end = to; end > from; end = base) {
		base = round_down(end - 1, BITS_PER_LONG);
		w = ~map[base / BITS_PER_LONG] & BITMAP_LAST_WORD_MASK(end);
		if (w)
			return to - max_t(u32, from, base + fls_long(w));
	}
	return to - from;
}

/*
 * The first, the longest and the last row of bits from @from to before @to. If none is longer than
 * @best, what it says is longest may be less than it is.
 */
struct haslab_sum haslab_bits_sum(const unsigned long *map, u32 from, u32 to, u32 best)
{
	u32 base, row = 0, longest = best, lead, trail;
	unsigned long w;

	for (base = round_down(from, BITS_PER_LONG); base < to; base += BITS_PER_LONG) {
		w = haslab_bits_word(map, base, from, to);
		if (!~w) {
			row += BITS_PER_LONG;
			continue;
		}
		longest = max_t(u32, longest, row + __ffs(~w));
		row = BITS_PER_LONG - fls_long(~w);
		w = longest < BITS_PER_LONG ? haslab_bits_rows(w, 0, longest + 1) : 0;
		for (; w; w &= w >> 1)
			longest++;
	}
	lead = find_next_zero_bit(map, to, from) - from;
	trail = haslab_bits_trail(map, from, to);
	longest = longest > best ? longest : max(lead, trail);
	return (struct haslab_sum) { lead, max(longest, row), trail, to - from };
}

/*
 * The longest row of bits whose first one is a multiple of 2^@order, if it is longer than @best;
 * else @best. @at: out: that bit. With @any, the first row that is longer than @best is enough.
 */
u32 haslab_bits_usable(const unsigned long *map, u32 from, u32 to, unsigned int order, u32 best,
		       bool any, u32 *at)
{
	u32 step = max_t(u32, 1U << order, BITS_PER_LONG), base, end, i;
	unsigned long aligned = 1, w, next;

	if (1U << order < BITS_PER_LONG)
		aligned = ~0UL / ((1UL << (1U << order)) - 1);
	/* with a larger order only the first bit of a word may be one, and not of each word */
	base = step > BITS_PER_LONG ? round_up(from, step) : round_down(from, BITS_PER_LONG);
	for (; base < to; base += step) {
		w = haslab_bits_word(map, base, from, to);
		if (!(w & aligned) || (aligned == 1 && ~w && __ffs(~w) <= best))
			continue;
		next = base + BITS_PER_LONG < to ?
		       haslab_bits_word(map, base + BITS_PER_LONG, from, to) : 0;
		w = haslab_bits_rows(w, next, best + 1) & aligned;
		for (; w; w &= ~0UL << (end - base)) {
			i = base + __ffs(w);
			end = find_next_zero_bit(map, to, i);
			if (end - i > best) {
				best = end - i;
				*at = i;
				if (any)
					return best;
			}
			if (end - base >= BITS_PER_LONG)
				break;
		}
	}
	return best;
}
