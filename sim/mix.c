// SPDX-License-Identifier: GPL-2.0
/* Mixes: see mix.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/size.h"
#include "hybrid_sim.h"
#include "mix.h"

/* Half of the requests of common+ are of one of these sizes each, half between the other two. */
static const u64 common[] = { 1, 2, 4, 16, 64, 256 };
#define COMMON_MIN	794	/* 3.1 MiB */
#define COMMON_MAX	870	/* 3.4 MiB */

static bool parse_blocks(const char *text, u64 *blocks)
{
	u64 bytes;

	if (parse_size(text, &bytes) || !bytes)
		return false;
	*blocks = ((bytes - 1) >> BLOCK_SHIFT) + 1;
	return true;
}

/* "3M-5M". False if it is no such range. */
static bool parse_range(const char *name, struct mix *mix)
{
	const char *dash = strchr(name, '-');
	char min[32];

	if (!dash || dash - name >= (long)sizeof(min))
		return false;
	memcpy(min, name, dash - name);
	min[dash - name] = 0;
	return parse_blocks(min, &mix->min) && parse_blocks(dash + 1, &mix->max) &&
	       mix->min <= mix->max;
}

bool mix_parse(const char *name, struct mix *mix)
{
	*mix = (struct mix) { .kind = MIX_UNIFORM, .min = 1 };
	if (!strcmp(name, "common+")) {
		*mix = (struct mix) { MIX_COMMON, 1, COMMON_MAX };
		return true;
	}
	if (*name == 'u')
		return parse_blocks(name + 1, &mix->max);
	if (!strncmp(name, "log", 3)) {
		mix->kind = MIX_LOG_UNIFORM;
		return parse_blocks(name + 3, &mix->max);
	}
	if (parse_range(name, mix))
		return true;
	if (!parse_blocks(name, &mix->max))
		return false;
	mix->min = mix->max;
	return true;
}

u64 mix_draw_special(const struct mix *mix, u64 *rng)
{
	u64 len;

	if (mix->kind == MIX_LOG_UNIFORM) {
		len = exp2(log2(mix->max) * (random_next(rng) >> 11) / (1ULL << 53));
		return min(len, mix->max);
	}
	if (random_below(rng, 2))
		return common[random_below(rng, ARRAY_SIZE(common))];
	return COMMON_MIN + random_below(rng, COMMON_MAX - COMMON_MIN + 1);
}

u64 mix_mean(const struct mix *mix)
{
	u64 sum = 0;
	unsigned int i;

	switch (mix->kind) {
	case MIX_LOG_UNIFORM:
		return mix->max > 1 ? (mix->max - 1) / log(mix->max) : 1;
	case MIX_COMMON:
		for (i = 0; i < ARRAY_SIZE(common); i++)
			sum += common[i];
		return (sum / ARRAY_SIZE(common) + (COMMON_MIN + COMMON_MAX) / 2) / 2;
	default:
		return (mix->min + mix->max) / 2;
	}
}
