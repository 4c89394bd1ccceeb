/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A record of who has what for many threads: a bit for each block, set when an
 * extent was handed out and cleared before it is freed, so that an overlap is
 * found at once. The bits are changed atomically, but relaxed: the record must
 * not order what the allocator fails to. It shares no code with the allocator.
 */
#ifndef _SIM_MARKS_H
#define _SIM_MARKS_H

#include <stdbool.h>
#include <linux/types.h>

struct marks {
	u64 nr_blocks;
	u64 *bits;
};

bool marks_init(struct marks *m, u64 nr_blocks);
void marks_destroy(struct marks *m);

/* Whether all blocks were nobody's; whether all were somebody's. */
bool marks_set(struct marks *m, u64 start, u64 len);
bool marks_clear(struct marks *m, u64 start, u64 len);

#endif
