/* SPDX-License-Identifier: GPL-2.0 */
/* Mixes: which sizes the allocations of a workload have. In blocks. */
#ifndef _SIM_MIX_H
#define _SIM_MIX_H

#include <stdbool.h>
#include <linux/types.h>

#include "common/random.h"

struct mix {
	enum { MIX_UNIFORM, MIX_LOG_UNIFORM, MIX_COMMON } kind;
	u64 min;
	u64 max;
};

/* The mix of a name, such as 64K, u4M, 3M-5M, log64M, common+. False if there is none. */
bool mix_parse(const char *name, struct mix *mix);
/* Of the mixes that are not uniform. */
u64 mix_draw_special(const struct mix *mix, u64 *rng);
u64 mix_mean(const struct mix *mix);

/* Inline, as it is measured with the allocator. */
static inline u64 mix_draw(const struct mix *mix, u64 *rng)
{
	if (mix->kind != MIX_UNIFORM)
		return mix_draw_special(mix, rng);
	return mix->min == mix->max ? mix->max :
				      mix->min + random_below(rng, mix->max - mix->min + 1);
}

#endif
