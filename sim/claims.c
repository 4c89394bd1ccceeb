// SPDX-License-Identifier: GPL-2.0
/*
 * The workloads claim-*: a catalogue, sorted, is claimed in batches of as many extents as one
 * CLAIM_BATCH has. The lengths are log-uniform from 4 KiB to 4 MiB. The extents are strewn over
 * 100 TiB, or lie side by side, on as much as they need. "-64": with 64 groups instead of one;
 * "-single": by one claim each, as a measure.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "claims.h"
#include "hybrid_sim.h"

#define MAX_LEN		1024	/* blocks */
#define BATCH		1024	/* HYBRID_ALLOC_MAX_ITEMS */
#define CAPACITY	(100ULL << (40 - BLOCK_SHIFT))
#define NR_ENTRIES	1024

struct claims {
	const char *name;
	u64 nr;
	bool dense, single;
	unsigned int groups;
	u64 nr_blocks;
	struct haslab_range *x;
	struct hapool pool;
	u64 ns;
	const char *wrong;
};

static bool parse(const char *name, struct claims *c)
{
	char *rest;

	memset(c, 0, sizeof(*c));
	c->name = name;
	c->groups = 1;
	if (strncmp(name, "claim-", 6) || name[6] < '1' || name[6] > '9')
		return false;
	c->nr = strtoull(name + 6, &rest, 10);
	if (*rest == 'K' || *rest == 'M')
		c->nr *= *rest++ == 'K' ? 1000 : 1000000;
	while (*rest) {
		if (!strncmp(rest, "-dense", 6) && !c->dense) {
			c->dense = true;
			rest += 6;
		} else if (!strncmp(rest, "-64", 3) && c->groups == 1) {
			c->groups = 64;
			rest += 3;
		} else if (!strcmp(rest, "-single")) {
			c->single = true;
			rest += 7;
		} else {
			return false;
		}
	}
	return c->nr && c->nr <= 100000000;
}

bool claims_has(const char *name)
{
	struct claims c;

	return parse(name, &c);
}

void claims_list(FILE *out)
{
	fputs("claim-NUMBER\nclaim-NUMBER-dense\nclaim-NUMBER-single\nclaim-NUMBER-64\n", out);
}

/* The catalogue. */
static void draw(struct claims *c)
{
	u64 rng = seed, i, len, end = 0, cell;

	c->nr_blocks = capacity ? capacity >> BLOCK_SHIFT : CAPACITY;
	cell = c->nr_blocks / c->nr;
	if (!c->dense && cell < MAX_LEN) {
		fprintf(stderr, "hybrid-sim: the device is too small for %s; give a larger "
			"--capacity\n", c->name);
		exit(2);
	}
	c->x = need(malloc(c->nr * sizeof(*c->x)));
	for (i = 0; i < c->nr; i++) {
		len = exp2(ldexp(random_below(&rng, 1 << 30), -30) * 10);
		/* one in each of as many equal parts of the device */
		if (!c->dense)
			end = i * cell + random_below(&rng, cell - len + 1);
		c->x[i] = (struct haslab_range) { end, len };
		end += len;
	}
	if (c->dense && !capacity)
		c->nr_blocks = end;
	if (end > c->nr_blocks) {
		fprintf(stderr, "hybrid-sim: %s takes %llu GiB; give a larger --capacity\n",
			c->name, (end >> (30 - BLOCK_SHIFT)) + 1);
		exit(2);
	}
}

static noinline void load(struct claims *c)
{
	u64 i = 0, left;
	int ret = 0;

	for (; c->single && i < c->nr && !ret; i++)
		ret = hapool_claim(&c->pool, c->x[i].start, c->x[i].len, GFP_KERNEL);
	while (i < c->nr && !ret) {
		left = min(BATCH - i % BATCH, c->nr - i);
		i += hapool_claim_some(&c->pool, &c->x[i], left, GFP_KERNEL, &ret);
	}
	if (ret)
		c->wrong = "an extent was refused";
}

/* bench/profile counts until this returns. */
static noinline void run_once(struct claims *c)
{
	struct haslab_config cfg = {
		.nr_blocks = c->nr_blocks, .unit_shift = 8, .slab_max = 128,
		.nr_groups = c->groups,
	};
	u64 t;

	if (hapool_init(&c->pool, &cfg))
		exit(2);
	t = cpu_ns();
	load(c);
	c->ns = cpu_ns() - t;
}

/* MAP has just these extents. */
static void compare(struct claims *c)
{
	struct haslab_extent entries[NR_ENTRIES];
	u64 pos = 0, i = 0;
	int nr, k;

	while (!c->wrong && (nr = hapool_map(&c->pool, pos, entries, NR_ENTRIES))) {
		for (k = 0; k < nr; k++) {
			const struct haslab_extent *e = &entries[k];

			pos = e->start + e->len;
			if (e->state == HYBRID_ALLOC_MAP_FREE)
				continue;
			if (i == c->nr || e->start != c->x[i].start || e->len != c->x[i].len ||
			    e->state != HYBRID_ALLOC_MAP_LIVE)
				c->wrong = "MAP differs from the catalogue";
			i++;
		}
	}
	if (!c->wrong && i != c->nr)
		c->wrong = "MAP lacks extents";
}

/* Each can be freed, and then all is one free run again. */
static void take_back(struct claims *c)
{
	enum hybrid_alloc_reason reason;
	struct hapool_stat st;
	u64 i;

	for (i = 0; i < c->nr && !c->wrong; i++)
		if (hapool_free(&c->pool, c->x[i].start, c->x[i].len, &reason))
			c->wrong = "an extent could not be freed";
	hapool_drain(&c->pool);
	hapool_stat(&c->pool, &st, true);
	if (!c->wrong && (st.slab.nr_runs != 1 || st.slab.free != c->nr_blocks))
		c->wrong = "not all is free at the end";
}

int claims_bench(const char *name)
{
	struct claims c;
	u64 metadata;

	parse(name, &c);
	draw(&c);
	run_once(&c);
	metadata = pool_metadata(&c.pool);
	compare(&c);
	if (!c.wrong && hapool_check(&c.pool))
		c.wrong = "hapool_check() found a broken invariant";
	take_back(&c);
	hapool_destroy(&c.pool);
	free(c.x);
	out_begin();
	out_string("workload", name);
	out_u64("capacity_bytes", c.nr_blocks << BLOCK_SHIFT);
	out_u64("seed", seed);
	out_u64("threads", 1);
	out_u64("groups", c.groups);
	out_u64("ops", c.nr);
	out_double("seconds", c.ns / 1e9, 3);
	out_double("ns_per_extent", (double)c.ns / c.nr, 2);
	out_u64("metadata_bytes_peak", metadata);
	out_string("ledger", c.wrong ?: "ok");
	out_end();
	return !!c.wrong;
}
