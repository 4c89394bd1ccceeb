/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Loads: mixes of sizes that come and go while a device is held at a fill. As a text, one line:
 *
 *	load  = phase { "/" phase } [ "=" FILL ]
 *	phase = mix { ":" how }
 *	how   = ORDER | PERCENT "%"
 *
 * mix.h has the syntax of mixes. ORDER is which extent goes first when space is needed: random,
 * oldest, newest, big-stay or small-stay (at random, but one that is longer, or shorter, than the
 * mean of its phase lives eight times as long); random if it is not given. PERCENT is of the fill:
 * the phase holds no more than that. FILL is a fraction of the device; without it the highest one
 * is looked for. Up to four phases, one after the other; each requests eight times as many extents
 * as it can hold.
 *
 *	4K@3,64K,3M-5M:oldest/8M-16M:+12K:80%=.95
 */
#ifndef _SIM_LOAD_H
#define _SIM_LOAD_H

#include "ledger.h"
#include "mix.h"

#define LOAD_PHASES	4

/* The fills that are tried, from the highest, in thousandths. */
#define LOAD_HIGHEST	995
#define LOAD_LOWEST	100
#define LOAD_STEP	5

enum order {
	ORDER_RANDOM, ORDER_OLDEST, ORDER_NEWEST, ORDER_BIG_STAY, ORDER_SMALL_STAY, NR_ORDERS
};

struct phase {
	struct mix mix;
	enum order order;
	unsigned int percent;
};

struct load {
	unsigned int nr;
	struct phase phases[LOAD_PHASES];
	unsigned int fill;	/* thousandths of the device; 0: the highest that can be held */
};

/* False if the text is no load. */
bool load_parse(const char *text, struct load *load);
void load_print(const struct load *load, FILE *out);
/* The length of the longest extent. */
u64 load_max(const struct load *load);
/* The most extents that can be live at once on a device, with room to spare. */
u64 load_max_live(const struct load *load, u64 nr_blocks);

/* What holds the extents. @alloc: returns 0, or it is refused. */
struct holder {
	void *of;
	int (*alloc)(void *of, u64 len, u64 *start);
	void (*free)(void *of, struct extent e);
};

struct held {
	u64 rng;
	struct extent *live;	/* room for @max_live; length 0: a hole of what was freed */
	u64 max_live;
	u64 first, end;		/* the part of @live that is used */
	u64 nr;			/* extents in it */
	u64 used;		/* blocks of them */
	u64 allocs, frees;
	u64 refused, refused_blocks, asked_blocks;
	bool no_room;		/* in @live */
};

/*
 * load_hold - hold a fill
 * @load: the load
 * @holder: what holds it; nothing is live in it
 * @h: rng, live and max_live are set, the rest is 0
 * @nr_blocks: of the device
 * @fill: in thousandths of it
 * @all: go on after a refusal, with one extent less
 *
 * Return: whether nothing was refused.
 */
bool load_hold(const struct load *load, const struct holder *holder, struct held *h, u64 nr_blocks,
	       unsigned int fill, bool all);

#endif
