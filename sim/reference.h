/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The reference for packing: best fit over all of the device. An allocation is put at the lowest
 * address of the smallest free run that it fits in, and free neighbours are merged at once. It
 * shares no code with the allocator. Positions and lengths are in blocks.
 */
#ifndef _SIM_REFERENCE_H
#define _SIM_REFERENCE_H

#include <stdbool.h>
#include <linux/types.h>

struct reference;

struct reference *reference_new(u64 nr_blocks);
void reference_destroy(struct reference *r);

/* Return: 0, or -ENOSPC: no free run fits. @align: a power of two. */
int reference_alloc(struct reference *r, u64 len, u64 align, u64 *start);
void reference_free(struct reference *r, u64 start, u64 len);

#endif
