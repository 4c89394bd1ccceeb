/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Mixes: which sizes the allocations of a workload have. As a text:
 *
 *	mix    = part { "," part } { ":" change }
 *	part   = sizes [ "@" weight ]
 *	sizes  = SIZE | MIN "-" MAX | "u" MAX | "log" RANGE | "tri" RANGE | "common+"
 *	RANGE  = MAX | MIN "-" MAX
 *	change = "x" FACTOR | "+" SIZE
 *
 * Sizes are uniform in a range, or log-uniform, or the sum of two that are uniform (triangular);
 * without MIN it begins at 4K. The weight of a part is its share of the requests, 1 if not given.
 * All sizes can be multiplied by a factor, such as x1.37, then increased by a size. common+ is half
 * 4K, 8K, 16K, 64K, 256K and 1M, half 3176K to 3480K. Lengths are in blocks here.
 */
#ifndef _SIM_MIX_H
#define _SIM_MIX_H

#include <stdbool.h>
#include <stdio.h>
#include <linux/types.h>

#include "common/random.h"

#define MIX_PARTS	8
#define MAX_WEIGHT	1000

struct sizes {
	enum { SIZES_UNIFORM, SIZES_LOG, SIZES_TRIANGLE } kind;
	u64 min;
	u64 max;
	u32 weight;
};

struct mix {
	bool simple;		/* uniform from min to max, and nothing else */
	u64 min;		/* of all parts, and after the changes */
	u64 max;
	u64 mean;
	double factor;		/* of all lengths, unless it is 1 */
	u64 shift;		/* added to all lengths */
	unsigned int nr;
	u32 weights;		/* of all parts */
	struct sizes parts[MIX_PARTS];
};

/*
 * mix_parse - read the text of a mix
 * @text: the text; it may go on with a '/', with a '=' or with changes that are not of mixes
 * @mix: the mix
 *
 * Return: what comes after the mix, or NULL if it is none.
 */
const char *mix_parse(const char *text, struct mix *mix);
void mix_print(const struct mix *mix, FILE *out);
/* Fills in what follows from the parts, the factor and the shift. False if they are no mix. */
bool mix_finish(struct mix *mix);

/* A size as short as mix_parse() reads it. */
void print_blocks(u64 blocks, FILE *out);

/* Of the mixes that are not simple. */
u64 mix_draw_part(const struct mix *mix, u64 *rng);

/* Inline, as it is measured with the allocator. */
static inline u64 mix_draw(const struct mix *mix, u64 *rng)
{
	if (!mix->simple)
		return mix_draw_part(mix, rng);
	return mix->min == mix->max ? mix->max :
				      mix->min + random_below(rng, mix->max - mix->min + 1);
}

#endif
