/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the files of the pool layer. See pool.c for the design. */
#ifndef _HYBRID_ALLOC_POOL_INTERNAL_H
#define _HYBRID_ALLOC_POOL_INTERNAL_H

#include "pool_hit.h"

static inline u32 hapool_mag_nr(const struct hapool_mag *mag)
{
	return mag->used / sizeof(mag->refs[0]);
}

/* Count an allocation that is no hit, after it. */
static inline void hapool_count(struct hapool *p, u64 len)
{
	this_cpu_add(p->cpus->taken, len);
	this_cpu_inc(p->cpus->live);
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

/* ---- reservations (pool/reserve.c) ---- */

/* NULL until the first reservation. Once set it stays: then hapool.reserve is read plainly. */
static inline struct hapool_reserve *hapool_reserve_of(const struct hapool *p)
{
	/* pairs with smp_store_release() in hapool_reserve_make() */
	return smp_load_acquire(&p->reserve);
}

void hapool_set_closed(struct hapool *p, int nr);
bool hapool_stays_closed(struct hapool *p);
void hapool_relax(struct hapool *p);
int hapool_try_book(struct hapool *p, u64 nr, u64 *count, bool slow);
int hapool_try_book_some(struct hapool *p, u64 least, u64 *nr, u64 *count, bool slow);
void hapool_unbook_some(struct hapool *p, u64 nr, u64 got);
void hapool_set_exclusive(struct hapool *p, bool exclusive);
void hapool_unbook(struct hapool *p, u64 nr, u64 *count, u64 got);
bool hapool_may_refill(struct hapool *p, u64 nr);
void hapool_not_freed(struct hapool *p, u64 nr);
void hapool_retired(struct hapool *p, u64 nr);
void hapool_unretired(struct hapool *p, u64 nr);
void hapool_trim_held(struct hapool *p, u64 nr);
void hapool_trim_freed(struct hapool *p, u64 nr);
bool hapool_watch(struct hapool *p);
void hapool_watch_ready(struct hapool *p);
void hapool_unwatch(struct hapool *p);
bool hapool_all_watched(const struct hapool *p);
void hapool_reservation_add(struct hapool *p, struct hapool_reservation *v, u64 nr);
u64 hapool_reservation_take(struct hapool *p, struct hapool_reservation *v, u64 least, u64 most);
bool hapool_freed_into_begin(struct hapool *p, u64 nr);
void hapool_freed_into_end(struct hapool *p, struct hapool_reservation *v, u64 nr, bool freed);

#endif
