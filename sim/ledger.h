/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An independent record of the live extents, by address. It shares no code with the
 * allocator, and relies on nothing that the allocator says. Positions and lengths are in
 * blocks.
 */
#ifndef _SIM_LEDGER_H
#define _SIM_LEDGER_H

#include <stdbool.h>
#include <linux/types.h>

struct extent {
	u64 start;
	u64 len;
};

struct ledger;

/* A record in which all blocks from @first to before @end are free. */
struct ledger *ledger_new(u64 first, u64 end);
void ledger_free(struct ledger *l);
void ledger_grow(struct ledger *l, u64 end);

/* Records an allocation. Return: NULL, or what is wrong with it. */
const char *ledger_take(struct ledger *l, u64 start, u64 len, u64 align);
/* Records a free. Return: NULL, or what is wrong with it. */
const char *ledger_give(struct ledger *l, u64 start, u64 len);

/* Finds the extent that contains a block. Return: whether there is one. */
bool ledger_find(const struct ledger *l, u64 block, struct extent *e);
bool ledger_is_free(const struct ledger *l, u64 start, u64 len);
/* How many blocks are free from @start on. */
u64 ledger_free_from(const struct ledger *l, u64 start);
bool ledger_fits(const struct ledger *l, u64 len, u64 align);

/* The longest extent that fits, up to @max; 0: none does. */
u64 ledger_longest(const struct ledger *l, u64 max, u64 align);
u64 ledger_used(const struct ledger *l);
u64 ledger_nr(const struct ledger *l);

struct ledger_runs {
	u64 nr;
	u64 largest;
	u64 count[64];		/* by log2 of the length */
	u64 blocks[64];
};

void ledger_runs(const struct ledger *l, struct ledger_runs *runs);

#endif
