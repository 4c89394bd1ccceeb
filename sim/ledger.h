/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An independent record of who has what: the extents by address. It shares no
 * code with the allocator, whose word is not taken for anything. Positions and
 * lengths are in blocks.
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

/* All from @first to @end is free. */
struct ledger *ledger_new(u64 first, u64 end);
void ledger_free(struct ledger *l);
void ledger_grow(struct ledger *l, u64 end);

/* NULL, or what is wrong with handing out this range. */
const char *ledger_take(struct ledger *l, u64 start, u64 len, u64 align);
/* NULL, or what is wrong with giving it back. */
const char *ledger_give(struct ledger *l, u64 start, u64 len);

/* The extent that a block is in. */
bool ledger_find(const struct ledger *l, u64 block, struct extent *e);
bool ledger_is_free(const struct ledger *l, u64 start, u64 len);
bool ledger_fits(const struct ledger *l, u64 len, u64 align);
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
