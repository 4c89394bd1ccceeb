/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the files of the pool layer. See pool.c for the design. */
#ifndef _HYBRID_ALLOC_POOL_INTERNAL_H
#define _HYBRID_ALLOC_POOL_INTERNAL_H

#include "pool_hit.h"

static inline u32 hapool_mag_nr(const struct hapool_mag *mag)
{
	return mag->used / sizeof(mag->refs[0]);
}

/* ---- refusals (pool/refusals.c) ---- */

u64 hapool_cpu_given(const struct hapool *p, const struct hapool_cpu *c);
u64 hapool_cpu_taken(const struct hapool *p, const struct hapool_cpu *c);
u64 hapool_frees(const struct hapool *p);
bool hapool_is_freeing(const struct hapool *p);
bool hapool_was_refused(struct hapool *p, u64 len, u64 align);
void hapool_note_refusal(struct hapool *p, u64 len, u64 align, u64 frees);
u64 hapool_may_fit(struct hapool *p, u64 max, u64 align);
bool hapool_cannot_fit(struct hapool *p, u64 len, u64 align);
void hapool_hint_add(struct hapool *p, u64 len, u64 align);
void hapool_hints_drop(struct hapool *p, u64 len, u64 align);
bool hapool_is_refused(struct hapool *p, u64 len, u64 align);

/* ---- magazines that change hands (pool/depot.c) ---- */

#define HAPOOL_DEPOT_HAS	2UL

/*
 * Whether the depot may have magazines. The flag is set before the first magazine is put in. A task
 * that takes a bin whose magazine was changed for one of the depot sees the flag set.
 */
static inline bool hapool_has_depot(const struct hapool *p)
{
	return READ_ONCE(p->has_depot);
}

void hapool_depot_want(struct hapool *p, int class);
struct hapool_mag *hapool_depot_swap(struct hapool *p, int class, struct hapool_mag *mag);
struct hapool_mag *hapool_depot_get(struct hapool *p, int class);
bool hapool_depot_put(struct hapool *p, int class, struct hapool_mag *mag);
struct hapool_mag *hapool_depot_take(unsigned long *place, bool *taken);
void hapool_depot_release(unsigned long *place, const struct hapool_mag *mag);
u64 hapool_depot_cached(const struct hapool *p, int class);
bool hapool_depot_is_taken(const struct hapool *p);
void hapool_depot_destroy(struct hapool *p);

#endif
