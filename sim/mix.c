// SPDX-License-Identifier: GPL-2.0
/* Mixes: see mix.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/size.h"
#include "hybrid_sim.h"
#include "mix.h"

#define MAX_LEN		(1ULL << 50)	/* blocks: 4 EiB */
#define MAX_FACTOR	1000.0

static const struct mix common = {
	.factor = 1, .nr = 7,
	.parts = {
		{ SIZES_UNIFORM, 1, 1, 1 }, { SIZES_UNIFORM, 2, 2, 1 }, { SIZES_UNIFORM, 4, 4, 1 },
		{ SIZES_UNIFORM, 16, 16, 1 }, { SIZES_UNIFORM, 64, 64, 1 },
		{ SIZES_UNIFORM, 256, 256, 1 }, { SIZES_UNIFORM, 794, 870, 6 },
	},
};

/* ---- texts ---- */

/* A size of @len characters. False if it is none. */
static bool parse_blocks(const char *text, size_t len, u64 *blocks)
{
	char word[32];
	u64 bytes;

	if (!len || len >= sizeof(word))
		return false;
	memcpy(word, text, len);
	word[len] = 0;
	if (parse_size(word, &bytes) || !bytes)
		return false;
	*blocks = ((bytes - 1) >> BLOCK_SHIFT) + 1;
	return true;
}

/* "5M" or "3M-5M" */
static bool parse_range(const char *text, size_t len, struct sizes *s)
{
	const char *dash = memchr(text, '-', len);

	if (!dash)
		return parse_blocks(text, len, &s->max);
	return parse_blocks(text, dash - text, &s->min) &&
	       parse_blocks(dash + 1, text + len - dash - 1, &s->max);
}

static bool parse_sizes(const char *text, size_t len, struct sizes *s)
{
	s->min = 1;
	if (*text == 'u')
		return parse_blocks(text + 1, len - 1, &s->max);
	if (len > 3 && (!strncmp(text, "log", 3) || !strncmp(text, "tri", 3))) {
		s->kind = *text == 'l' ? SIZES_LOG : SIZES_TRIANGLE;
		return parse_range(text + 3, len - 3, s);
	}
	if (!parse_range(text, len, s))
		return false;
	if (!memchr(text, '-', len))
		s->min = s->max;
	return true;
}

/* "@3" */
static const char *parse_weight(const char *text, u32 *weight)
{
	char *end = (char *)text;

	*weight = 1;
	if (*text != '@')
		return text;
	if (text[1] < '0' || text[1] > '9')
		return NULL;
	*weight = min(strtoul(text + 1, &end, 10), MAX_WEIGHT + 1UL);
	return *weight && *weight <= MAX_WEIGHT ? end : NULL;
}

static const char *parse_part(const char *text, struct mix *mix)
{
	size_t len = strcspn(text, ",:@/=");
	struct sizes *s = &mix->parts[mix->nr++];

	if (mix->nr > MIX_PARTS || !parse_sizes(text, len, s))
		return NULL;
	return parse_weight(text + len, &s->weight);
}

/* ":x1.37", ":+4K" */
static const char *parse_change(const char *text, struct mix *mix)
{
	size_t len = strcspn(text + 2, ":/=");
	char *end;

	if (text[1] == '+')
		return parse_blocks(text + 2, len, &mix->shift) ? text + 2 + len : NULL;
	/* not what strtod() also takes: blanks, signs, names, hexadecimal digits */
	if (!len || strspn(text + 2, "0123456789.") != len)
		return NULL;
	mix->factor = strtod(text + 2, &end);
	return end == text + 2 + len && mix->factor > 0 && mix->factor <= MAX_FACTOR ? end : NULL;
}

const char *mix_parse(const char *text, struct mix *mix)
{
	if (!strncmp(text, "common+", 7) && (!text[7] || strchr(":/=", text[7]))) {
		*mix = common;
		text += 7;
	} else {
		*mix = (struct mix) { .factor = 1 };
		do {
			text = parse_part(text + (mix->nr && *text == ','), mix);
		} while (text && *text == ',');
	}
	while (text && *text == ':' && (text[1] == 'x' || text[1] == '+'))
		text = parse_change(text, mix);
	return text && mix_finish(mix) ? text : NULL;
}

void print_blocks(u64 blocks, FILE *out)
{
	if (blocks % 256)
		fprintf(out, "%lluK", 4 * blocks);
	else
		fprintf(out, "%lluM", blocks / 256);
}

void mix_print(const struct mix *mix, FILE *out)
{
	static const char *const kinds[] = { "", "log", "tri" };
	const struct sizes *s;

	for (s = mix->parts; s < mix->parts + mix->nr; s++) {
		fprintf(out, "%s%s", s > mix->parts ? "," : "", kinds[s->kind]);
		if (s->min != s->max || s->kind) {
			print_blocks(s->min, out);
			fputc('-', out);
		}
		print_blocks(s->max, out);
		if (s->weight > 1)
			fprintf(out, "@%u", s->weight);
	}
	if (mix->factor != 1)
		fprintf(out, ":x%g", mix->factor);
	if (mix->shift) {
		fputs(":+", out);
		print_blocks(mix->shift, out);
	}
}

/* ---- lengths ---- */

static u64 change(const struct mix *mix, u64 len)
{
	if (mix->factor != 1)
		len = max(len * mix->factor + .5, 1.0);
	return len + mix->shift;
}

static double mean_of(const struct sizes *s)
{
	if (s->kind == SIZES_LOG && s->max > s->min)
		return (s->max - s->min) / log((double)s->max / s->min);
	return (s->min + s->max) / 2.0;
}

bool mix_finish(struct mix *mix)
{
	const struct sizes *s;
	double mean = 0;

	mix->weights = 0;
	mix->min = U64_MAX;
	mix->max = 0;
	for (s = mix->parts; s < mix->parts + mix->nr; s++) {
		if (s->min > s->max || s->max > MAX_LEN)
			return false;
		mix->weights += s->weight;
		mean += s->weight * mean_of(s);
		mix->min = min(mix->min, change(mix, s->min));
		mix->max = max(mix->max, change(mix, s->max));
	}
	mix->mean = max(mean / mix->weights * mix->factor, 1.0) + mix->shift;
	mix->simple = mix->nr == 1 && mix->parts->kind == SIZES_UNIFORM && mix->factor == 1;
	return true;
}

static u64 draw_sizes(const struct sizes *s, u64 *rng)
{
	u64 nr = s->max - s->min + 1;
	double part;

	switch (s->kind) {
	case SIZES_LOG:
		part = (double)(random_next(rng) >> 11) / (1ULL << 53);
		return min_t(u64, s->min * exp2(log2((double)s->max / s->min) * part), s->max);
	case SIZES_TRIANGLE:
		return s->min + random_below(rng, (nr + 1) / 2) + random_below(rng, nr / 2 + 1);
	default:
		return s->min + random_below(rng, nr);
	}
}

u64 mix_draw_part(const struct mix *mix, u64 *rng)
{
	const struct sizes *s = mix->parts;
	u64 at = mix->nr > 1 ? random_below(rng, mix->weights) : 0;

	for (; at >= s->weight; s++)
		at -= s->weight;
	return change(mix, draw_sizes(s, rng));
}
