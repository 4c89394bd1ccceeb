// SPDX-License-Identifier: GPL-2.0
/*
 * The index of the free runs of a group's mixed slots, by length. See mixed.c for what is asked of
 * it.
 *
 * It is a list of entries for each length, from 256 blocks up for a few lengths together, and a
 * bitmap of the lists that are not empty. A slot has an entry by its longest free run, and one by
 * the run that begins in it and goes on in the next slot (cross.c), if there is such a run. The
 * latest entry of a list comes first.
 *
 * Locking: the lock of the group is held, or all groups are shut out.
 */
#include <linux/bitops.h>
#include <linux/kernel.h>

#include "slab/internal.h"

void haslab_index_init(struct haslab_group *g)
{
	u32 i;

	for (i = 0; i < HASLAB_NR_BUCKETS; i++)
		g->mixed[i] = NO_ENTRY;
}

/* Move an entry between lists. Bucket 0 is no list: full slots are in none. */
void haslab_index_relink(struct haslab *s, struct haslab_group *g, u32 entry, u32 from, u32 to)
{
	__haslab_index_relink(s, g, entry, from, to);
}
