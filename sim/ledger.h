/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An independent record of who has what: a bit for each block. It shares no
 * code with the allocator, whose word is not taken for anything.
 */
#ifndef _SIM_LEDGER_H
#define _SIM_LEDGER_H

#include <stdbool.h>
#include <linux/types.h>

struct ledger;

struct ledger *ledger_new(u64 nr_blocks);
void ledger_free(struct ledger *l);

/* NULL, or what is wrong with handing out this range. */
const char *ledger_take(struct ledger *l, u64 start, u64 len, u64 align);
/* NULL, or what is wrong with giving it back. */
const char *ledger_give(struct ledger *l, u64 start, u64 len);

bool ledger_is_free(struct ledger *l, u64 start, u64 len);
bool ledger_fits(struct ledger *l, u64 len, u64 align);
u64 ledger_used(const struct ledger *l);
void ledger_runs(struct ledger *l, u64 *nr, u64 *largest);

#endif
