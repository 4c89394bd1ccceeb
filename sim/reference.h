/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The references for packing: simple allocators over all of the device, which merge free
 * neighbours at once. They share no code with the allocator. Positions and lengths are in blocks.
 */
#ifndef _SIM_REFERENCE_H
#define _SIM_REFERENCE_H

#include <stdbool.h>
#include <linux/types.h>

/*
 * Where an allocation is put:
 *
 * best-fit	in the shortest free run that it fits in, and of these in the first
 * first-fit	in the first free run that it fits in
 * bins		free runs are in bins by their length, eight bins for each power of two; in the run
 *		that was put last into the first bin that is not empty and in which all runs fit, as
 *		sebbbi's OffsetAllocator does
 */
enum reference_policy { NO_REFERENCE, BEST_FIT, FIRST_FIT, BINS, NR_REFERENCES };

extern const char *const reference_names[NR_REFERENCES];

/* NO_REFERENCE if there is none of this name. */
enum reference_policy reference_named(const char *name);

struct reference;

struct reference *reference_new(enum reference_policy policy, u64 nr_blocks);
void reference_destroy(struct reference *r);

/*
 * Allocate @max, or as much as there is, from @min up: @len. Return: 0, or -ENOSPC: there is no
 * place for it.
 */
int reference_alloc(struct reference *r, u64 min, u64 max, u64 align, u64 *start, u64 *len);
/* Take blocks that are free. Return: 0, or -ENOSPC: not all of them are. */
int reference_claim(struct reference *r, u64 start, u64 len);
/* Of an extent, of a part of one, or of several in a row. */
void reference_free(struct reference *r, u64 start, u64 len);

#endif
