/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the files of the slab layer. See slab.c for the design and the files.
 *
 * Unless stated otherwise, the caller of a function holds the lock of the group concerned, or
 * has shut out all groups. Functions of the map take haslab.space_lock.
 */
#ifndef _HYBRID_ALLOC_SLAB_INTERNAL_H
#define _HYBRID_ALLOC_SLAB_INTERNAL_H

#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/prefetch.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/stddef.h>

#include "slab/bits.h"
#include "slab/hit.h"
#include "slab/runs_hit.h"

/* The part of a slot in which extents of any length lie: a cache line, unless it has many runs. */
struct haslab_mixed {
	u64 units;		/* bitmap of the slot's units in it; 0: no mixed part */
	struct haruns runs;	/* the runs in them; its tag has bits MIXED_... */
};

#define MIXED_CONTINUES	1	/* the first run continues the extent that ends the slot before */
#define MIXED_GOES_ON	2	/* the last run continues in the next slot */
#define MIXED_EMPTY	4	/* the slot is in the list haslab_group.empty */

/*
 * Links of an entry of the index in the list of its bucket. Separate from the mixed part: an unlink
 * touches two other slots, and links are small enough to be mostly in the second level cache; mixed
 * parts are not.
 */
struct haslab_link {
	u32 next;	/* the next entry, or NO_ENTRY */
	u32 prev;	/* the entry before; of the first one, itself */
};

/*
 * A slot has two entries: for its longest free run, and for the joined run that begins in it (see
 * cross.c). An entry is a number.
 */
#define SLOT_ENTRIES	2
#define NO_ENTRY	U32_MAX

static inline u32 entry_of(u32 slot)
{
	return slot * SLOT_ENTRIES;
}

static inline u32 joined_entry_of(u32 slot)
{
	return slot * SLOT_ENTRIES + 1;
}

static inline u32 entry_slot(u32 entry)
{
	return entry / SLOT_ENTRIES;
}

static inline bool entry_is_joined(u32 entry)
{
	return entry % SLOT_ENTRIES;
}

/* Links of the mixed slots of a dir. */
union haslab_links {
	struct {
		struct rcu_head rcu;
		struct haslab_mixed *mixed;
	} gone;	/* once unused: the table of mixed parts, which lockless readers may still use */
	DECLARE_FLEX_ARRAY(struct haslab_link, link);	/* of each entry of each slot */
};

/*
 * What a dir keeps beside its sum, as long as that is up to date: haslab_sum.usable, or somewhat
 * more, for each alignment that was asked for, to blocks of order 1 up. The orders of a dir or more
 * need no record: only the first block of the dir has them.
 */
#define HASLAB_DIR_ORDERS	(HASLAB_MAX_SHIFT + DIR_SHIFT)
struct haslab_fits {
	u32 known;				/* bit k: order k is known */
	u32 usable[HASLAB_DIR_ORDERS - 1];	/* of order k at k - 1 */
	/* an alignment that is no power of two, and a length that does not fit; 0: none */
	u32 other_align;
	u32 other_least;
};

/* Slots in a quad, whose sum is kept in 16 bits a field, and quads in a dir. */
#define HASLAB_QUAD_SHIFT	2
#define DIR_QUADS		(DIR_SLOTS >> HASLAB_QUAD_SHIFT)
static_assert(HASLAB_MAX_SHIFT + HASLAB_QUAD_SHIFT < 16);

/*
 * What a quad keeps, in blocks: 16 bits each, in a table of its dir. haslab_sums.quads says whether
 * it is up to date.
 */
struct haslab_quad {
	u16 lead;		/* this and the next two: as in haslab_sum */
	u16 longest;
	u16 trail;
	/* haslab_sum.usable of order k at k - 1, below that of a quad; or HASLAB_UNKNOWN */
	u16 usable[];
};

#define HASLAB_UNKNOWN		U16_MAX

/* The sum of a region, which is so many dirs, for searches on a large device. */
#define HASLAB_REGION_SHIFT	8
#define HASLAB_REGION_ORDERS	(HASLAB_DIR_ORDERS + HASLAB_REGION_SHIFT)
struct haslab_region {
	u32 known;		/* bit k: order k was, as long as all dirs keep their sums */
	u32 lead;		/* this and the next: as in haslab_sum */
	u32 trail;
	bool stale;		/* a change of all dirs: none of them keeps its sum any more */
	u32 usable[HASLAB_REGION_ORDERS];	/* order 0: the longest free run */
};

/* An extent that lies in more than one slot or block. */
struct haslab_span {
	struct rb_node node;	/* in haslab.spans */
	u64 start;		/* first block */
	u64 len;		/* in blocks */
};

/* ---- locks (slab/lock.c) ---- */

void haslab_lock_all(struct haslab *s) __acquires(&s->lock);
void haslab_unlock_all(struct haslab *s) __releases(&s->lock);
void haslab_unlock_all_rest(struct haslab *s) __releases(&s->lock);
void haslab_lock_waited(struct haslab *s, struct haslab_group *g);
struct haslab_group *haslab_lock_group_at(struct haslab *s, u64 pos) __acquires(&g->lock);

/*
 * A spin lock also holds off the end of a grace period, even on PREEMPT_RT (see
 * kernel/locking/spinlock_rt.c): what is found under it stays until the unlock.
 */
static inline void haslab_lock_group(struct haslab *s, struct haslab_group *g) __acquires(&g->lock)
{
	spin_lock(&g->lock);
	/* pairs with haslab_unlock_all(): NULL means its changes to the group are visible */
	if (unlikely(smp_load_acquire(&s->holder)))
		haslab_lock_waited(s, g);
	ha_hold_begin(HA_LOCK_GROUP);
}

static inline void haslab_unlock_group(struct haslab_group *g) __releases(&g->lock)
{
	ha_hold_end(HA_LOCK_GROUP);
	spin_unlock(&g->lock);
}

/* Whether the caller has shut out all groups. */
static inline bool haslab_has_all(const struct haslab *s)
{
	return READ_ONCE(s->holder) == current;
}

/* Whether the caller goes on when it is killed. */
static inline bool haslab_is_patient(const struct haslab *s)
{
	return s->cfg.unkillable || READ_ONCE(s->patient) == current;
}

/* Assert that the caller has shut out all groups. */
static inline void haslab_assert_all(const struct haslab *s)
{
	lockdep_assert(haslab_has_all(s));
}

/* Assert that the caller may change what belongs to @g. */
static inline void haslab_assert_group(const struct haslab *s, const struct haslab_group *g)
{
	lockdep_assert(lockdep_is_held(&g->lock) || haslab_has_all(s));
}

/* The group that this CPU tries first. */
static inline struct haslab_group *haslab_own_group(const struct haslab *s)
{
	unsigned int cpu = raw_smp_processor_id();

	/* avoid the division */
	return &s->groups[likely(cpu < s->nr_groups) ? cpu : cpu % s->nr_groups];
}

static inline u32 haslab_slot_units(const struct haslab *s)
{
	return 1U << (s->slot_shift - s->cfg.unit_shift);
}

static inline u64 dir_blocks(const struct haslab *s)
{
	return 1ULL << (s->slot_shift + DIR_SHIFT);
}

/* Whether a dir has neither a slab nor a mixed part. */
static inline bool dir_is_gap(const struct haslab_dir *dir)
{
	return !dir->nr_slabs && !dir->mixed;
}

/*
 * Whether a dir has so many slabs and mixed parts that its quads keep sums. Fewer are about as much
 * to look at as one quad.
 */
static inline bool dir_has_quads(const struct haslab_dir *dir)
{
	return dir->nr_slabs + dir->nr_mixed > 1 << HASLAB_QUAD_SHIFT;
}

static inline u64 slab_end(const struct haslab_slab *slab)
{
	return slab->start + slab->nr_blocks;
}

static inline u64 object_start(const struct haslab *s, const struct haslab_slab *slab, u32 i)
{
	return slab->start + (u64)i * s->classes[slab->class].blocks;
}

/* The number of the object at @block: see haslab_object_at(). */
static inline u32 object_of(const struct haslab *s, const struct haslab_slab *slab, u64 block)
{
	return (block - slab->start) * s->inverse[slab->class] >> 32;
}

/* Whether a range is exactly one buddy block. */
static inline bool is_block(const struct haslab *s, u64 start, u64 len)
{
	return len >= unit_blocks(s) && is_power_of_2(len) && IS_ALIGNED(start, len);
}

/* Bytes of memory that a slab takes. */
static inline long slab_bytes(const struct haslab_slab *slab)
{
	return ksize(slab) + ksize(slab->live);
}

/* ---- the map (slab/map.c) ---- */

static inline u64 slot_start(const struct haslab *s, u32 slot)
{
	return (u64)slot << s->slot_shift;
}

/* The slot after the last one of a dir. */
static inline u32 dir_slots_end(const struct haslab *s, u64 dir)
{
	return min_t(u64, (dir + 1) << DIR_SHIFT,
		     DIV_ROUND_UP_ULL(s->cfg.nr_blocks, slot_blocks(s)));
}

/* The entry for the mixed part of a slot, in use or not; NULL if there is no table. */
static inline struct haslab_mixed *mixed_place(const struct haslab *s, u32 slot)
{
	struct haslab_dir *dir = &rcu_dereference_raw(s->dirs)[slot / DIR_SLOTS];
	struct haslab_mixed *mixed = rcu_dereference_raw(dir->mixed);

	return mixed ? &mixed[slot % DIR_SLOTS] : NULL;
}

/*
 * The mixed part of a slot, or NULL. Under RCU; the answer is stable only under the lock of the
 * group that the mixed part belongs to.
 */
static inline struct haslab_mixed *mixed_slot(const struct haslab *s, u32 slot)
{
	struct haslab_mixed *m = mixed_place(s, slot);

	return m && READ_ONCE(m->units) ? m : NULL;
}

/* The runs of a slot that is wholly a mixed part, or NULL. */
static inline const struct haruns *haslab_whole_slot(const struct haslab *s, u32 slot)
{
	const struct haslab_mixed *m = mixed_slot(s, slot);

	return m && m->runs.nr_known == slot_blocks(s) ? &m->runs : NULL;
}

/* The mixed part of a slot that is known to have one. */
static inline struct haslab_mixed *mixed_of(const struct haslab *s, u32 slot)
{
	return &s->dirs[slot / DIR_SLOTS].mixed[slot % DIR_SLOTS];
}

/* The links of an entry of a slot that is known to have a mixed part. */
static inline struct haslab_link *entry_link(const struct haslab *s, u32 entry)
{
	const u32 nr = DIR_SLOTS * SLOT_ENTRIES;

	return &s->dirs[entry / nr].links->link[entry % nr];
}

/* Whether a unit of its slot belongs to a mixed part. Locking: as mixed_slot(). */
static inline bool mixed_has_unit(const struct haslab_mixed *m, u32 unit)
{
	return READ_ONCE(m->units) >> unit & 1;
}

/* The same for a block. */
static inline bool mixed_has(const struct haslab *s, const struct haslab_mixed *m, u64 block)
{
	return mixed_has_unit(m, slot_unit(s, block));
}

/* The mixed part that a block belongs to, or NULL. Locking: as mixed_slot(). */
static inline struct haslab_mixed *mixed_at(const struct haslab *s, u64 block)
{
	struct haslab_mixed *m = mixed_place(s, slot_of(s, block));

	return m && mixed_has(s, m, block) ? m : NULL;
}

static inline u64 dir_of(const struct haslab *s, u64 block)
{
	return block >> s->slot_shift >> DIR_SHIFT;
}

/* The number of the quad that a block is in. */
static inline u64 quad_of(const struct haslab *s, u64 block)
{
	return block >> s->slot_shift >> HASLAB_QUAD_SHIFT;
}

/* The table of what the quads of a dir keep: it needs no more memory here than in the dir. */
static inline void **map_quads(const struct haslab *s, u64 block)
{
	return &s->sums.tables[dir_of(s, block)];
}

/* Invalidate the sums of the dir of a slot, and of the device. */
static inline void map_dir_changed(struct haslab *s, u32 slot)
{
	u8 *dir = &s->sums.dirs[slot / DIR_SLOTS];

	/* write only if needed: the cache line is shared by all CPUs that use these dirs */
	if (READ_ONCE(*dir)) {
		WRITE_ONCE(*dir, 0);
		WRITE_ONCE(s->sums.all, 0);
	}
}

/* Invalidate the sums that a slot is in. Several groups may do so at the same time. */
static inline void map_slot_changed(struct haslab *s, u32 slot)
{
	u8 *quad = &s->sums.quads[slot >> HASLAB_QUAD_SHIFT];

	map_dir_changed(s, slot);
	if (READ_ONCE(*quad))
		WRITE_ONCE(*quad, 0);
}

static inline void map_changed(struct haslab *s, u64 block)
{
	map_slot_changed(s, slot_of(s, block));
}

static inline struct haslab_group *slab_group(const struct haslab *s,
					      const struct haslab_slab *slab)
{
	return &s->groups[READ_ONCE(slab->group)];
}

/* The slab that has a block, or NULL: one that is dissolved has none. */
static inline struct haslab_slab *haslab_slab_at(const struct haslab *s, u64 block)
{
	struct haslab_slab *slab = haslab_lookup(s, block);

	return slab && !slab->dissolved ? slab : NULL;
}

/* The dissolved slab of which the object at a block is still one, or NULL. */
static inline struct haslab_slab *haslab_dissolved_at(const struct haslab *s, u64 block)
{
	struct haslab_slab *slab = haslab_lookup(s, block);
	u32 i;

	if (likely(!slab) || !slab->dissolved)
		return NULL;
	i = object_of(s, slab, block);
	return i < slab->nr_objects && !test_bit(i, slab->free) ? slab : NULL;
}

/*
 * A run of a mixed slot that is in use goes, or gets another length. So haslab_group.nr_outside
 * counts no more runs than there are, and none when all is free.
 */
static __always_inline void haslab_outside_less(const struct haslab *s, struct haslab_group *g,
						u32 len)
{
	u32 *nr;

	if (len > s->max_object)
		return;
	nr = &g->nr_outside[haslab_classes[len]];
	*nr -= !!*nr;
}

/* Whether @g has a slab where its home began that is in use (slab/room.c). */
static inline bool haslab_has_home(const struct haslab *s, const struct haslab_group *g)
{
	struct haslab_slab *slab = g->home == HASLAB_NO_HOME ? NULL : haslab_lookup(s, g->home);

	if (!slab || slab_group(s, slab) != g)
		return false;
	/* a moment later the answer may be another one, which does no harm */
	return !data_race(bitmap_empty(slab->live, slab->nr_objects));
}

static inline struct haslab_group *mixed_group(const struct haslab *s, const struct haslab_mixed *m)
{
	return &s->groups[READ_ONCE(m->runs.owner)];
}

/* The group that owns @start: that of @m, or of the slab there; any group for a buddy block. */
static __always_inline struct haslab_group *haslab_group_at(const struct haslab *s,
							    const struct haslab_mixed *m,
							    u64 start)
{
	const struct haslab_slab *slab;

	RCU_LOCKDEP_WARN(!rcu_read_lock_held(), "a mixed part or a slab may be freed");
	if (likely(m))
		return mixed_group(s, m);
	slab = haslab_lookup(s, start);
	return slab ? slab_group(s, slab) : haslab_own_group(s);
}

/*
 * Whether a mixed part that was found in the map belongs to @g, whose lock the caller holds. The
 * answer is stable: a mixed part joins or leaves @g only under that lock. A caller that found it
 * before it took the lock checks mixed_has() first: in a table that the map no longer uses, no
 * mixed part has units.
 */
static inline bool mixed_is_of(const struct haslab *s, const struct haslab_mixed *m,
			       const struct haslab_group *g)
{
	/* pairs with smp_wmb() in haslab_map_mixed(): after the units, the owner is visible */
	smp_rmb();
	return READ_ONCE(m->runs.owner) == g->nr;
}

int __must_check haslab_map_slab(struct haslab *s, struct haslab_slab *slab, struct hamem_op *op);
void haslab_map_dissolve(struct haslab *s, struct haslab_slab *slab);
void haslab_map_forget(struct haslab *s, struct haslab_slab *slab);
int __must_check haslab_map_mixed(struct haslab *s, struct haslab_group *g, u64 block, u64 units,
				  struct hamem_op *op);
int __must_check haslab_map_slots(struct haslab *s, struct haslab_group *g, u32 first, u32 slots,
				  struct hamem_op *op);
void haslab_map_keep(struct haslab *s, u64 block, u64 units);
int __must_check haslab_map_grow(struct haslab *s, u64 nr_blocks, struct hamem_op *op, void **old);

int __must_check haslab_buddy_alloc(struct haslab *s, unsigned int order, struct hamem_op *op,
				    u64 *start);
void haslab_buddy_free(struct haslab *s, u64 start, unsigned int order);
int __must_check haslab_buddy_take(struct haslab *s, u64 start, u64 len, struct hamem_op *op);
void haslab_buddy_put(struct haslab *s, u64 start, u64 len);
int __must_check haslab_buddy_divide(struct haslab *s, u64 pos, struct hamem_op *op);
void haslab_buddy_join(struct haslab *s, u64 pos, u64 start, u64 end);
int __must_check haslab_buddy_fit(struct haslab *s, int min_order, int max_order,
				  struct hamem_op *op, u64 *start);
u64 haslab_buddy_free_end(struct haslab *s, u64 start, u64 end);

/* Free units in a row. */
#define HASLAB_NR_ROWS	4
struct haslab_row {
	u64 start;	/* first block */
	u64 end;
	u32 before;	/* free blocks of the group that end there */
	u64 size;	/* with these and those behind it */
};

int haslab_unit_rows(struct haslab *s, unsigned int *order, struct haslab_row *rows);
int __must_check haslab_buddy_some(struct haslab *s, int order, int min_order,
				   struct hamem_op *op, u64 *start);

/* ---- mixed slots (slab/mixed.c) ---- */

/* Where @run, in the slot of @block, starts on the device. */
static inline u64 run_start(const struct haslab *s, u64 block, const struct haruns_run *run)
{
	return round_down(block, slot_blocks(s)) + run->start;
}

static inline struct haruns_run mixed_run(const struct haslab *s, const struct haslab_mixed *m,
					  u64 block)
{
	return haruns_at(&m->runs, block & (slot_blocks(s) - 1));
}

/* The mixed slot in which the extent of @m that ends with @block continues, or NULL. */
static inline struct haslab_mixed *haslab_continuation(const struct haslab *s,
						       const struct haslab_mixed *m, u64 block)
{
	if (likely(!(m->runs.tag & MIXED_GOES_ON)) || !IS_ALIGNED(block + 1, slot_blocks(s)))
		return NULL;
	return mixed_slot(s, slot_of(s, block + 1));
}

/*
 * The length of what an extent that goes on has after the border of @slot. @last: out: its last
 * slot.
 */
static inline u64 haslab_chain_rest(const struct haslab *s, u32 slot, u32 *last)
{
	const struct haruns *r;
	u64 len = 0;
	u32 nr;

	do {
		ha_step(1);
		r = &mixed_of(s, ++slot)->runs;
		nr = haruns_first(r).len;
		len += nr;
	} while (unlikely(nr == r->nr_blocks) && r->tag & MIXED_GOES_ON);
	*last = slot;
	return len;
}

/* Whether an extent is longer than what the mixed slots of a group can serve. */
static inline bool haslab_is_huge(const struct haslab *s, u64 len)
{
	return len > (u64)HASLAB_CHAIN_SLOTS << s->slot_shift;
}

/* The bucket of free runs of @len, at most 32 slots. No branch: it would be unpredictable. */
static inline u32 haslab_bucket_of(u32 len)
{
	unsigned int shift = __fls(len | 1U << HASLAB_BUCKET_SHIFT) - HASLAB_BUCKET_SHIFT;

	return (shift << HASLAB_BUCKET_SHIFT) + (len >> shift);
}

/* The same of any length. */
static inline u32 haslab_listed_bucket(u64 len)
{
	return haslab_bucket_of(min_t(u64, len, 1U << HASLAB_LISTED_SHIFT));
}

static inline u32 haslab_mixed_bucket(const struct haslab_mixed *m)
{
	return haslab_bucket_of(m->runs.max_free);
}

/*
 * The first bucket from @bucket on, which exists, that is not empty, or HASLAB_NR_BUCKETS. Inline,
 * as it is near.
 */
static inline u32 haslab_index_next(const struct haslab_group *g, u32 bucket)
{
	u32 i = bucket / BITS_PER_LONG;
	unsigned long word = g->mixed_mask[i] & BITMAP_FIRST_WORD_MASK(bucket);

	while (!word) {
		if (++i == BITS_TO_LONGS(HASLAB_NR_BUCKETS))
			return HASLAB_NR_BUCKETS;
		word = g->mixed_mask[i];
	}
	return i * BITS_PER_LONG + __ffs(word);
}

void haslab_index_init(struct haslab_group *g);
void haslab_index_relink(struct haslab *s, struct haslab_group *g, u32 entry, u32 from, u32 to);

/* Put an entry that is in no list into one, which is not 0. */
static __always_inline void haslab_index_add(struct haslab *s, struct haslab_group *g, u32 entry,
					     u32 bucket, struct haslab_link *link)
{
	u32 first = g->mixed[bucket];

	*link = (struct haslab_link) { .next = first, .prev = entry };
	if (first == NO_ENTRY)
		__set_bit(bucket, g->mixed_mask);
	else
		entry_link(s, first)->prev = entry;
	g->mixed[bucket] = entry;
}

static inline void haslab_index_del(struct haslab *s, struct haslab_group *g, u32 entry, u32 bucket,
				    struct haslab_link link)
{
	if (link.next != NO_ENTRY)
		entry_link(s, link.next)->prev = link.prev == entry ? link.next : link.prev;
	if (link.prev != entry) {
		entry_link(s, link.prev)->next = link.next;
		return;
	}
	g->mixed[bucket] = link.next;
	if (link.next == NO_ENTRY)
		__clear_bit(bucket, g->mixed_mask);
	else
		/* the next request for this list will need it */
		prefetch(mixed_of(s, entry_slot(link.next)));
}

/*
 * haslab_index_relink(), inline: for the slot of an extent that is allocated or freed, which mostly
 * moves.
 */
static __always_inline void __haslab_index_relink(struct haslab *s, struct haslab_group *g,
						  u32 entry, u32 from, u32 to)
{
	struct haslab_link *link = entry_link(s, entry);

	haslab_assert_group(s, g);
	if (from)
		haslab_index_del(s, g, entry, from, *link);
	if (to)
		haslab_index_add(s, g, entry, to, link);
}

/* The largest run of a slot had @max_free blocks and may have changed. */
static inline void haslab_index_move(struct haslab *s, struct haslab_group *g, u32 slot,
				     const struct haslab_mixed *m, u32 max_free)
{
	u32 from = haslab_bucket_of(max_free), to = haslab_bucket_of(m->runs.max_free);

	if (from != to)
		haslab_index_relink(s, g, entry_of(slot), from, to);
}

int __must_check haslab_mixed_add(struct haslab *s, struct haslab_group *g, u64 start,
				  u32 nr_blocks, u32 nr_runs, struct hamem_op *op);
void haslab_mixed_forget(struct haslab *s, u32 slot);
void haslab_units_put(struct haslab *s, u32 slot, u64 units);
void haslab_mixed_settle(struct haslab *s, u32 slot);
int __must_check haslab_mixed_set(struct haslab *s, u64 start, u32 len,
				  enum haruns_state state, struct hamem_op *op);
void haslab_mixed_fill(struct haslab *s, u64 start, const unsigned long *live, u32 nr, u32 blocks);
void haslab_mixed_clear(struct haslab *s, u64 start);
int __must_check haslab_run_cut(struct haslab *s, struct haslab_mixed *m, u32 slot,
				struct haruns_run run, u32 pos, u32 len, bool reuse,
				struct hamem_op *op);
void haslab_run_grow(struct haslab *s, struct haslab_mixed *m, u32 slot,
		     const struct haruns_run *run, u32 len);
int __must_check haslab_mixed_fit(struct haslab *s, struct haslab_group *g, u32 len, u64 align,
				  struct hamem_op *op, u64 *start);
int __must_check haslab_mixed_alloc(struct haslab *s, struct haslab_group *g, u32 len, u64 align,
				    struct hamem_op *op, u64 *start);
int __must_check haslab_mixed_fit_multiple(struct haslab *s, struct haslab_group *g, u32 len,
					   u64 align, struct hamem_op *op, u64 *start);
int __must_check haslab_chain_fit(struct haslab *s, struct haslab_group *g, u32 len,
				  struct hamem_op *op, u64 *start);
int __must_check haslab_chain_alloc(struct haslab *s, struct haslab_group *g, u32 len,
				    struct hamem_op *op, u64 *start);
int haslab_mixed_free(struct haslab *s, struct haslab_mixed *m, u64 start, u64 len,
		      enum hybrid_alloc_reason *reason);
int haslab_mixed_retire(struct haslab *s, struct haslab_mixed *m, u64 start, u64 len,
			enum hybrid_alloc_reason *reason);
int __must_check haslab_mixed_prepare_grow(struct haslab *s, u64 nr_blocks, struct hamem_op *op);
void haslab_mixed_grow(struct haslab *s, u64 from, u64 nr_blocks);

/* ---- free runs across the borders of slots (slab/cross.c) ---- */

/* A joined run is at least this part of a slot. */
#define JOIN_PART	16

/* Whether a free run that ends a slot and one that begins the next one are to be joined. */
static inline bool haslab_to_join(const struct haslab *s, u32 trail, u32 lead)
{
	return trail && lead && trail + lead >= slot_blocks(s) / JOIN_PART;
}

struct haslab_link *haslab_empty_link(const struct haslab *s, u32 slot);
void haslab_empty_keep(struct haslab *s, struct haslab_group *g, u32 slot);
void haslab_empty_forget(struct haslab *s, struct haslab_group *g, u32 slot);
u32 haslab_empty_over(const struct haslab *s, const struct haslab_group *g, u32 slot, u32 *end);
u32 haslab_empty_some(const struct haslab *s, const struct haslab_group *g);
bool haslab_empty_put(struct haslab *s, struct haslab_group *g);
bool haslab_empty_put_all(struct haslab *s);
void haslab_empty_trim(struct haslab *s, struct haslab_group *g);
u32 haslab_joined_len(const struct haslab *s, u32 slot);
bool haslab_free_units(struct haslab *s, const struct haslab_group *g, u32 len, bool all,
		       struct haslab_row *found);
void haslab_cross_changed(struct haslab *s, struct haslab_group *g, u32 slot, u32 start, u32 end);
void haslab_end_freed(struct haslab *s, u32 slot, u32 start, u32 len, u32 from, u32 to);
bool haslab_empty_is_right(const struct haslab *s, const struct haslab_group *g);
bool haslab_cross_is_right(const struct haslab *s, u32 slot);
void haslab_cross_leave(struct haslab *s, struct haslab_group *g, u32 slot);
void haslab_chain_part(struct haslab *s, u32 first, u32 last);
int __must_check haslab_joined_take(struct haslab *s, struct haslab_group *g, u32 slot, u32 len,
				    struct hamem_op *op, u64 *start);

/*
 * Free runs of a slot have changed, from @start to @end, counted from its start. Mostly neither the
 * first block nor the last is among them.
 */
static __always_inline void haslab_ends_changed(struct haslab *s, struct haslab_group *g, u32 slot,
						u32 start, u32 end)
{
	if (unlikely(!start || end == slot_blocks(s)))
		haslab_cross_changed(s, g, slot, start, end);
}

/* ---- room for new slabs (slab/room.c) ---- */

bool haslab_too_many_small(const struct haslab *s, bool is_first);
int haslab_object_order(const struct haslab *s, const struct haslab_group *g, int class,
			int *min_order);
int __must_check haslab_slab_room(struct haslab *s, struct haslab_group *g, int class,
				  struct hamem_op *op, u64 *start);
bool haslab_has_blocks(const struct haslab *s, const struct haslab_group *g);

/* ---- slabs of equal objects (objects.c) ---- */

struct haslab_slab *haslab_slab_new(struct haslab *s, int class, u64 start, u32 nr_blocks,
				    struct hamem_op *op);
void haslab_slab_drop(struct haslab *s, struct haslab_slab *slab);
void haslab_slab_enter(struct haslab *s, struct haslab_slab *slab);
void haslab_slab_forget(struct haslab *s, struct haslab_slab *slab);
void haslab_object_remove(struct haslab *s, struct haslab_slab *slab, u32 i);
void haslab_object_put(struct haslab *s, struct haslab_slab *slab, u32 i);
int haslab_objects_take(struct haslab *s, struct haslab_slab *slab, u64 start,
			struct haslab_ref *refs, int nr);
int haslab_object_retire(struct haslab *s, struct haslab_slab *slab, u64 start, u64 len,
			 u32 *index, enum hybrid_alloc_reason *reason);
void haslab_objects_hold(struct haslab *s, struct haslab_slab *slab, u32 first, u32 end);
void haslab_objects_unhold(struct haslab *s, struct haslab_slab *slab, u32 first, u32 end);
bool haslab_object_release(struct haslab *s, struct haslab_slab *slab, u32 i);
int __must_check haslab_dissolve(struct haslab *s, struct haslab_slab *slab, struct hamem_op *op);

/* ---- free space by address, and passes over the device (walk.c) ---- */

u64 haslab_gap_end(struct haslab *s, u64 pos, u64 end);
bool haslab_gap_stretch(struct haslab *s, u64 pos, u64 reach, u64 *end);
u64 haslab_units_end(const struct haslab *s, const struct haslab_mixed *m, u64 pos);
bool haslab_stretch(struct haslab *s, u64 pos, u64 *end);
bool haslab_is_free(struct haslab *s, u64 pos);
u32 haslab_look_steps(struct haslab *s, u64 pos);
u64 haslab_run_at(struct haslab *s, u64 pos, u64 enough, int *steps);

/* How much a hold may look at; see struct haslab_walk and haslab_steps(). */
#define WALK_STEPS	1000

#define HASLAB_WALK_WHOLE	BIT(0)	/* the whole pass is one hold of all groups */
/* The pass ends early when the caller is killed or the device is detached. */
#define HASLAB_WALK_KILLABLE	BIT(1)
#define HASLAB_WALK_NOWAIT	BIT(2)	/* the caller may not sleep */
#define HASLAB_WALK_REST	BIT(3)	/* see haslab_unlock_all_rest() */
/* What looks at all of the device, for a caller that may sleep. */
#define HASLAB_WALK_LONG	(HASLAB_WALK_KILLABLE | HASLAB_WALK_REST)

/* A pass over the blocks of a device, by address. */
struct haslab_walk {
	struct haslab *s;
	u64 pos;		/* the next block to look at; the caller advances it */
	u64 limit;		/* where the pass ends */
	u64 run;		/* haslab_walk_run(): where the free run up to @pos begins */
	u64 end;		/* where the current hold of all groups ends; 0: none is held */
	unsigned int flags;	/* HASLAB_WALK_... */
	int ret;		/* why the pass ended early, or 0 */
	int steps;		/* how many this hold still has; see haslab_walk_spend() */
	struct haslab_sum sum;	/* haslab_walk_sum(): of the dir that @pos is in, up to there */
	struct haslab_sum all;	/* likewise of the device, up to that dir */
	/* the units of a node of the buddy that are free in this hold, and the first; or U64_MAX */
	u64 units_base;
	unsigned long units[HABUDDY_FANOUT / BITS_PER_LONG];
};

/* log2 of the blocks of a unit that is no longer small. */
#define HASLAB_LARGE_UNIT	6

/* Whether a slot may be mixed and of the buddy by turns, in many short pieces. */
static inline bool haslab_units_are_small(const struct haslab *s)
{
	return s->cfg.unit_shift < HASLAB_LARGE_UNIT;
}

/*
 * How many steps a look may take that has @steps if units are not small: with small ones more of
 * them are ways through the nodes of the buddy, which take longer than the look at a mixed slot.
 */
static inline int haslab_steps(const struct haslab *s, int steps)
{
	return haslab_units_are_small(s) ? steps / 4 : steps;
}

/* What haslab_stretch() counts, at most, but for a long way through the nodes of the buddy. */
#define HASLAB_STRETCH_STEPS	3

/*
 * How many steps it takes to find where the run, or the row of objects, at a place begins and ends,
 * in a bitmap of @bits: a step for each 16 words that may have to be passed over.
 */
static inline u32 haslab_bitmap_steps(u32 bits)
{
	return 1 + bits / (16 * 64);
}

/* The same in a slot. */
static inline u32 haslab_run_steps(const struct haruns *r)
{
	return haruns_is_bitmap(r) ? haslab_bitmap_steps(r->nr_blocks) : 1;
}

/* Whether a slab keeps the rows of its free objects, until one of them is taken or freed. */
static inline bool haslab_slab_keeps(const struct haslab_slab *slab)
{
	return !slab->nr_free || slab->nr_longest;
}

/* At least as many as the rows of free objects that a slab has, but for one at its end. */
static inline u32 haslab_slab_rows(const struct haslab_slab *slab)
{
	return min_t(u32, slab->nr_free, slab->nr_objects - slab->nr_free);
}

/* The caller of a walk has looked at so many runs, objects, slots or other records. */
static inline void haslab_walk_spend(struct haslab_walk *w, u32 steps)
{
	w->steps -= steps;
	ha_step(steps);
}

void haslab_walk_start(struct haslab_walk *w, struct haslab *s, u64 pos, u64 limit,
		       unsigned int flags);
bool haslab_walk_next(struct haslab_walk *w);
int haslab_walk_end(struct haslab_walk *w);
bool haslab_walk_run(struct haslab_walk *w, u64 *start, u64 *len);

/* ---- sums of what is free (sums.c) ---- */

u64 haslab_known_longest(const struct haslab *s);
void haslab_sums_settle(struct haslab *s, u64 pos);
struct haslab_quad *haslab_quad_of(const struct haslab *s, u64 pos);
bool haslab_is_quad(const struct haslab *s, u64 pos);
u64 haslab_quad_end(const struct haslab *s, u64 pos);
bool haslab_quad_keeps(const struct haslab *s, u64 pos);
struct haslab_sum haslab_quad_kept(const struct haslab *s, u64 pos);
struct haslab_sum haslab_parts_sum(struct haslab_walk *w, u64 pos, u64 end, unsigned int order);
void haslab_sum_append(struct haslab_sum *sum, const struct haslab_sum *next);
struct haslab_sum haslab_walk_sum(struct haslab_walk *w, unsigned int order, u64 enough);
u64 haslab_slab_longest(struct haslab *s, struct haslab_slab *slab);
bool haslab_walk_find(struct haslab_walk *w, u64 pos, u64 len, unsigned int order, u64 *found);

/* ---- extents that consist of pieces (span.c) ---- */

struct haslab_span *haslab_span_find(struct haslab *s, u64 block);
struct haslab_span *haslab_span_new(struct haslab *s, struct hamem_op *op);
void haslab_span_add(struct haslab *s, struct haslab_span *span, u64 start, u64 len);
void haslab_span_remove(struct haslab *s, struct haslab_span *span);
void haslab_span_absorb(struct haslab *s, const struct haslab_span *span, u64 pos);
int __must_check haslab_mixed_through(struct haslab *s, u64 start, u64 end, struct hamem_op *op);
int __must_check haslab_pieces_take(struct haslab *s, u64 start, u64 end, struct hamem_op *op);
void haslab_pieces_put(struct haslab *s, u64 pos, u64 end);
int __must_check haslab_extent_take(struct haslab *s, u64 start, u64 len, struct hamem_op *op);
int haslab_span_retire(struct haslab *s, u64 start, u64 len, enum hybrid_alloc_reason *reason);

/* ---- what the space is used for (report.c) ---- */

bool haslab_is_live(struct haslab *s, u64 pos);

/* ---- extents at given places (claim.c) ---- */

int __must_check haslab_alloc_exact(struct haslab *s, u64 len, u64 pos, gfp_t gfp);

/* ---- alignments that are no power of two (stripe.c) ---- */

int __must_check haslab_stripe_find(struct haslab *s, u64 *len, u64 max, u64 align, u64 *found);

/* ---- searches (search.c) ---- */

bool haslab_best_run(struct haslab *s, u64 len, u64 align, u64 *found);

/* ---- refusals ---- */

static inline int haslab_refuse(enum hybrid_alloc_reason *reason, enum hybrid_alloc_reason why)
{
	*reason = why;
	return why == HYBRID_ALLOC_REASON_NOT_ALLOCATED ? -ENOENT : -EINVAL;
}

/* Refuse a free at @start, which is in the live extent that starts at @at. */
static inline int haslab_refuse_live(enum hybrid_alloc_reason *reason, u64 start, u64 at)
{
	return haslab_refuse(reason, start == at ? HYBRID_ALLOC_REASON_WRONG_LENGTH :
					    HYBRID_ALLOC_REASON_WRONG_START);
}

#endif
