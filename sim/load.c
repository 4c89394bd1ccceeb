// SPDX-License-Identifier: GPL-2.0
/* Loads: see load.h. */
#include <stdlib.h>
#include <string.h>

#include "hybrid_sim.h"
#include "load.h"

#define TIMES		8	/* requests of a phase for each extent that it holds */
#define LONGER		8	/* how much longer some live */

static const char *const orders[NR_ORDERS] = {
	[ORDER_RANDOM] = "random",
	[ORDER_OLDEST] = "oldest",
	[ORDER_NEWEST] = "newest",
	[ORDER_BIG_STAY] = "big-stay",
	[ORDER_SMALL_STAY] = "small-stay",
};

/* ---- texts ---- */

/* ":oldest", ":80%" */
static const char *parse_how(const char *text, struct phase *p)
{
	size_t len = strcspn(++text, ":/=");
	unsigned int i;
	char *end;

	for (i = 0; i < NR_ORDERS; i++) {
		if (len != strlen(orders[i]) || strncmp(text, orders[i], len))
			continue;
		p->order = i;
		return text + len;
	}
	if (*text < '1' || *text > '9' || text[len - 1] != '%')
		return NULL;
	p->percent = min(strtoul(text, &end, 10), 101UL);
	return p->percent <= 100 && end == text + len - 1 ? text + len : NULL;
}

static const char *parse_phase(const char *text, struct phase *p)
{
	*p = (struct phase) { .percent = 100 };
	text = mix_parse(text, &p->mix);
	while (text && *text == ':')
		text = parse_how(text, p);
	return text;
}

/* ".95", in thousandths */
static bool parse_fill(const char *text, unsigned int *fill)
{
	static const unsigned int digits[] = { 100, 10, 1 };
	unsigned int i;

	text += *text == '0';
	if (*text++ != '.')
		return false;
	for (i = 0; i < ARRAY_SIZE(digits) && *text >= '0' && *text <= '9'; i++)
		*fill += (*text++ - '0') * digits[i];
	return !*text && *fill;
}

bool load_parse(const char *text, struct load *load)
{
	*load = (struct load) {};
	do {
		if (load->nr == LOAD_PHASES)
			return false;
		text = parse_phase(text + !!load->nr, &load->phases[load->nr]);
		load->nr++;
	} while (text && *text == '/');
	if (!text || (*text && *text != '='))
		return false;
	return !*text || parse_fill(text + 1, &load->fill);
}

void load_print(const struct load *load, FILE *out)
{
	const struct phase *p;

	for (p = load->phases; p < load->phases + load->nr; p++) {
		if (p > load->phases)
			fputc('/', out);
		mix_print(&p->mix, out);
		if (p->order)
			fprintf(out, ":%s", orders[p->order]);
		if (p->percent < 100)
			fprintf(out, ":%u%%", p->percent);
	}
	if (load->fill)
		fprintf(out, "=.%03u", load->fill);
}

u64 load_max(const struct load *load)
{
	u64 len = 0;
	unsigned int i;

	for (i = 0; i < load->nr; i++)
		len = max(len, load->phases[i].mix.max);
	return len;
}

u64 load_max_live(const struct load *load, u64 nr_blocks)
{
	u64 most = 0, nr;
	unsigned int i;

	/* the sizes are random: twice as many as fit on average, but for a single size */
	for (i = 0; i < load->nr; i++) {
		const struct mix *mix = &load->phases[i].mix;

		nr = mix->min == mix->max ? nr_blocks / mix->max : nr_blocks / (mix->mean / 2 + 1);
		/* when those of big-stay have had their way, the others are those that are short */
		if (load->phases[i].order >= ORDER_NEWEST)
			nr = nr_blocks / mix->min;
		most = max(most, nr);
	}
	/* and as many holes again */
	return 2 * most + 1000;
}

/* ---- the extents that are held ---- */

static bool is_ordered(const struct load *load)
{
	unsigned int i;

	for (i = 0; i < load->nr; i++)
		if (load->phases[i].order == ORDER_OLDEST || load->phases[i].order == ORDER_NEWEST)
			return true;
	return false;
}

/* Removes the holes once they are many, or there is no room. */
static void close_holes(struct held *h)
{
	u64 from, to = 0;

	if (h->end < h->max_live && h->end - h->first <= 4 * h->nr + 64)
		return;
	for (from = h->first; from < h->end; from++)
		if (h->live[from].len)
			h->live[to++] = h->live[from];
	h->first = 0;
	h->end = to;
}

static u64 random_place(struct held *h)
{
	u64 i;

	do {
		i = h->first + random_below(&h->rng, h->end - h->first);
	} while (!h->live[i].len);
	return i;
}

/* Of those that live longer, one in LONGER is taken. */
static u64 choose(struct held *h, const struct phase *p)
{
	u64 i = p->order == ORDER_OLDEST ? h->first :
		p->order == ORDER_NEWEST ? h->end - 1 : random_place(h);

	if (p->order != ORDER_BIG_STAY && p->order != ORDER_SMALL_STAY)
		return i;
	while ((h->live[i].len > p->mix.mean) == (p->order == ORDER_BIG_STAY) &&
	       random_below(&h->rng, LONGER))
		i = random_place(h);
	return i;
}

/* Frees one. The last one takes its place, unless the order of age is @kept. */
static void free_one(struct held *h, const struct holder *holder, const struct phase *p, bool kept)
{
	u64 i = choose(h, p);
	struct extent e = h->live[i];

	h->live[i] = kept ? (struct extent) {} : h->live[h->end - 1];
	h->end -= !kept;
	h->nr--;
	while (h->first < h->end && !h->live[h->first].len)
		h->first++;
	while (h->first < h->end && !h->live[h->end - 1].len)
		h->end--;
	holder->free(holder->of, e);
	h->used -= e.len;
	h->frees++;
}

/* False if it was refused. */
static bool alloc_one(struct held *h, const struct holder *holder, u64 len)
{
	u64 start;

	close_holes(h);
	if (h->end == h->max_live) {
		h->no_room = true;
		return false;
	}
	h->allocs++;
	h->asked_blocks += len;
	if (holder->alloc(holder->of, len, &start)) {
		h->refused++;
		h->refused_blocks += len;
		return false;
	}
	h->live[h->end++] = (struct extent) { start, len };
	h->nr++;
	h->used += len;
	return true;
}

/* Return: whether nothing was refused. */
static bool hold_phase(const struct phase *p, const struct holder *holder, struct held *h,
		       u64 limit, bool kept, bool all)
{
	u64 ops = TIMES * limit / p->mix.mean, i, len;
	bool held = ops;

	for (i = 0; i < ops; i++) {
		len = mix_draw(&p->mix, &h->rng);
		while (h->used + len > limit && h->nr)
			free_one(h, holder, p, kept);
		if (len <= limit && alloc_one(h, holder, len))
			continue;
		held = false;
		if (!all || h->no_room)
			break;
		if (h->nr)
			free_one(h, holder, p, kept);
	}
	return held;
}

bool load_hold(const struct load *load, const struct holder *holder, struct held *h, u64 nr_blocks,
	       unsigned int fill, bool all)
{
	u64 limit = nr_blocks / 1000 * fill;
	bool kept = is_ordered(load), held = true;
	unsigned int i;

	for (i = 0; i < load->nr && (held || all); i++)
		held &= hold_phase(&load->phases[i], holder, h,
				   limit * load->phases[i].percent / 100, kept, all);
	return held;
}
