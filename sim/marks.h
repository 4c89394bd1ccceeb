/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A record of the live blocks for many threads: a bit for each block, set after its extent
 * was allocated and cleared before it is freed, so that an overlap is found at once. The
 * bits are changed by relaxed atomics: the record must not provide ordering that the
 * allocator fails to provide. It shares no code with the allocator.
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

/* Set or clear the bits of all blocks. Return: false if one of them was set or clear already. */
bool marks_set(struct marks *m, u64 start, u64 len);
bool marks_clear(struct marks *m, u64 start, u64 len);

#endif
