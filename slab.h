/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The slab layer: space that is only partly used. See slab.c for the design. Positions and lengths
 * are in blocks (of MinBlockSize bytes, 4 KiB unless configured otherwise).
 */
#ifndef _HYBRID_ALLOC_SLAB_H
#define _HYBRID_ALLOC_SLAB_H

#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include "buddy.h"
#include "ioctl_uapi.h"
#include "steps.h"
#include "slab/runs.h"

/*
 * The common sizes: every multiple of a block up to 16, then powers of two up to 1024 blocks
 * (4 KiB, 8 KiB … 64 KiB, 128 KiB … 4 MiB).
 */
#define HASLAB_NR_CLASSES	22
#define HASLAB_MAX_CLASS_BLOCKS	1024

/*
 * The address space is divided into slots of 16 MiB, or less if a unit is less than 64 blocks: a
 * slot has at most 64 units.
 */
#define HASLAB_MAX_SHIFT	HARUNS_MAX_SHIFT
#define HASLAB_UNITS_SHIFT	6
#define HASLAB_MAX_BLOCKS	HARUNS_MAX_BLOCKS

/*
 * Free runs are listed by their length: a bucket for each length up to 255 blocks, then 128 buckets
 * for each power of two. The last one has all of 32 slots and more.
 */
#define HASLAB_BUCKET_SHIFT	7
#define HASLAB_LISTED_SHIFT	(HASLAB_MAX_SHIFT + 5)
#define HASLAB_NR_BUCKETS	(((HASLAB_LISTED_SHIFT - HASLAB_BUCKET_SHIFT + 1) << \
				  HASLAB_BUCKET_SHIFT) + 1)

/* An extent in the mixed slots of a group is at most so many slots long. */
#define HASLAB_CHAIN_SLOTS	16
/* How many mixed slots in a row that are wholly free a group keeps. */
#define HASLAB_NR_EMPTY		64

/* log2 of the units in an extent of that many slots: at most HASLAB_UNITS_SHIFT in each. */
#define HASLAB_ROW_ORDERS	(HASLAB_UNITS_SHIFT + 5)
struct haslab_slab;
struct haslab_dir;
struct haslab_fits;
struct haslab_walk;
struct haslab_region;

/**
 * struct haslab_config - shape of an allocator
 * @first_block: first block of the managed space
 * @nr_blocks: end of the managed space
 * @unit_shift: log2 of blocks in a unit, at most HASLAB_MAX_SHIFT
 * @slab_max: largest common size that is served from slabs of equal objects, in blocks; larger
 *	ones are whole buddy blocks
 * @nr_groups: number of groups; 0: one for each CPU, fewer on a small device
 * @dev: number of the block device, for tracepoints
 * @byte_shift: log2 of bytes in a block, likewise
 * @unkillable: a caller that is killed goes on waiting for other tasks
 * @most_small: bytes of slabs smaller than a slot, at the most; 0: by the size of the space
 */
struct haslab_config {
	u64 first_block;
	u64 nr_blocks;
	unsigned int unit_shift;
	u64 slab_max;
	unsigned int nr_groups;
	u32 dev;
	u32 byte_shift;
	bool unkillable;
	u32 most_small;
};

/**
 * struct haslab_ref - an object of a common size, on its way to or from a pool
 * @live: live bitmap of its owner, a slab or a node of the buddy
 * @start: its first block
 * @bit: its bit in @live: set if it is an extent
 *
 * An object in a pool is CACHED: neither live nor free. It pins its owner.
 */
struct haslab_ref {
	unsigned long *live;
	u64 start;
	u32 bit;
};

/**
 * struct haslab_class - a common size
 * @blocks: size of an object
 * @order: order of a buddy block of this size
 * @mask: @blocks - 1, if objects come from the buddy
 * @kind: where objects of this size come from
 */
struct haslab_class {
	u32 blocks;
	u32 order;
	u64 mask;
	enum haslab_kind {
		HASLAB_FROM_SLAB,	/* equal objects of a slab */
		HASLAB_FROM_BUDDY,	/* whole buddy blocks */
		HASLAB_FROM_MIXED,	/* not pooled: e.g. between slab_max and a unit */
	} kind;
};

/* Sets of remembered holes, by a hash of their length, and holes in each set. */
#define HASLAB_HOLE_SETS	64
#define HASLAB_HOLE_WAYS	4

/* Holes in mixed slots, the latest first: 16 bits each in @lens and @starts, from the lowest. */
struct haslab_holes {
	u64 lens;			/* length in blocks; 0: no hole */
	u64 starts;			/* first block within its slot */
	u32 slot[HASLAB_HOLE_WAYS];
};

/* Where extents that continue others were put lately: see slab/append.c. */
#define HASLAB_NR_WINDOWS	32
struct haslab_window {
	u64 start;	/* behind the extent that was put there last */
	u32 len;	/* from there to its end; 0: there is no window */
};

#define HASLAB_NO_HOME	U64_MAX
#define HASLAB_NR_REFUSED	4

/* Slabs and mixed slots that share a lock. */
struct haslab_group {
	spinlock_t lock;			/* see slab.c */
	u32 nr;					/* number of this group */
	u32 nr_empty;				/* mixed slots that are wholly free */
	u32 empty;				/* the latest of them, or NO_ENTRY (slab/cross.c) */
	struct haslab_holes holes[HASLAB_HOLE_SETS];	/* by a hash of their length */
	u64 free;				/* free blocks */
	u64 nr_slabs;				/* slabs of equal objects and mixed slots */
	u64 nr_mixed;				/* mixed slots */
	u64 home;				/* where its home began (slab/room.c) */
	/* classes that were refused a slab, and how often; see haslab_is_wanted() */
	struct haslab_refused {
		u8 class;
		u8 nr;
	} refused[HASLAB_NR_REFUSED];
	/* there was no room at home for slabs of that order when haslab.units_freed was that */
	u32 home_freed;
	int home_order;
	/*
	 * By log2 of the units that an extent needs: the bucket of the shortest row of free units,
	 * or 0, when haslab.units_freed was @rows_freed (slab/mixed.c).
	 */
	u32 rows[HASLAB_ROW_ORDERS];
	u32 rows_freed;
	u64 made;				/* slabs made so far */
	u64 returned;				/* slabs given back so far */
	/* for each common size: slabs that have a free object */
	struct list_head partial[HASLAB_NR_CLASSES];
	/* for each common size: blocks in slabs, which determines the size of the next slab */
	u64 nr_slab_blocks[HASLAB_NR_CLASSES];
	/* for each common size, and all others: extents in mixed slots, or fewer */
	u32 nr_outside[HASLAB_NR_CLASSES + 1];
	DECLARE_BITMAP(mixed_mask, HASLAB_NR_BUCKETS);	/* buckets that are not empty */
	u32 mixed[HASLAB_NR_BUCKETS];		/* first entry of each bucket (slab/mixed.c) */
	struct haslab_window windows[HASLAB_NR_WINDOWS];
	u32 oldest_window;
} ____cacheline_aligned_in_smp;

/**
 * struct haslab_stat - counts, in blocks unless stated otherwise
 * @free: free in slab and buddy
 * @nr_slabs: slabs
 * @made: slabs made so far
 * @returned: slabs given back to the buddy so far
 * @splits: splits of buddy blocks
 * @merges: merges of buddy blocks
 * @largest_run: longest free run
 * @nr_runs: number of free runs; only with a walk
 */
struct haslab_stat {
	u64 free;
	u64 nr_slabs;
	u64 made;
	u64 returned;
	u64 splits;
	u64 merges;
	u64 largest_run;
	u64 nr_runs;
};

/* More than log2 of any device in blocks: slot numbers have 32 bits. */
#define HASLAB_RUN_LENGTHS	48

/**
 * struct haslab_histogram - free runs by log2 of their length in blocks
 * @count: number of runs
 * @blocks: their total length
 */
struct haslab_histogram {
	u64 count[HASLAB_RUN_LENGTHS];
	u64 blocks[HASLAB_RUN_LENGTHS];
};

/**
 * struct haslab_census - contents of the slab layer
 * @class: slabs of equal objects, by common size; an object that is neither free nor live is in a
 *	pool, or held
 * @mixed: mixed slots by fill level, in tenths; [10]: those without a free block
 * @nr_bitmaps: mixed slots in bitmap form
 * @nr_spans: extents that lie in more than one slot or block
 */
struct haslab_census {
	struct {
		u64 slabs;
		u64 objects;
		u64 free;
		u64 live;
	} class[HASLAB_NR_CLASSES];
	u64 mixed[11];
	u64 nr_bitmaps;
	u64 nr_spans;
};

/**
 * struct haslab_extent - state of a part of the device
 * @start: first block
 * @len: number of blocks
 * @state: HYBRID_ALLOC_MAP_...
 * @kind: where it lies: HYBRID_ALLOC_MAP_KIND_...
 */
struct haslab_extent {
	u64 start;
	u64 len;
	u32 state;
	u32 kind;
};

/**
 * struct haslab_range - blocks in a row
 * @start: first block
 * @len: number of blocks
 */
struct haslab_range {
	u64 start;
	u64 len;
};

/*
 * What is known of a sum: of a quad, a dir or the device. A change of free space sets all three to
 * 0. While that of a dir is not known, neither is that of the region that it lies in, or of the
 * device.
 */
#define HASLAB_SUM_MAKING	1	/* a walk adds it up; nothing has changed since it began */
#define HASLAB_SUM_KEPT		2	/* the sum is up to date */

/**
 * struct haslab_sums - the sums that are kept; see slab/sums.c
 * @dirs: of each dir HASLAB_SUM_...; apart from the dirs, as that costs map_changed() less
 * @quads: of each quad, whether what it keeps, in the table of its dir, is up to date
 * @all: of the device
 * @fits: what each dir keeps beside its sum
 * @tables: what the quads of each dir keep (sums.c), or NULL
 * @regions: what each region keeps
 * @longest: the longest free run of the device, if @all says so
 * @maker: the walk that has last begun to add up a dir, for comparisons only
 * @all_maker: likewise the device
 *
 * A change, which is under the lock of a group, writes the first three, and haslab_region.stale.
 * The rest is written and read with all groups shut out, but for @longest: haslab.lock is enough to
 * read it.
 */
struct haslab_sums {
	u8 *dirs;
	u8 *quads;
	u8 all;
	struct haslab_fits *fits;
	void **tables;
	struct haslab_region *regions;
	u64 longest;
	const struct haslab_walk *maker;
	const struct haslab_walk *all_maker;
};

/* The slab allocator of one device. */
struct haslab {
	spinlock_t lock;		/* see slab.c */
	struct task_struct *holder;	/* the task that has shut out all groups, or NULL */
	atomic_t nr_waiting;		/* tasks to which haslab_lock_all() gives way */
	u64 since;			/* when @holder was set or cleared, in ns */
	u64 owed;			/* how long the next long holder stays away, in ns */
	spinlock_t space_lock;		/* see slab.c */
	struct haslab_config cfg;
	struct habuddy buddy;		/* supplies the space */
	struct hamem mem;		/* memory account of both layers */
	unsigned int slot_shift;	/* log2 of blocks in a slot */
	struct haslab_dir *dirs;	/* the map */
	u64 nr_dirs;			/* number of entries of @dirs */
	struct haslab_sums sums;
	/* blocks that the tables of the dirs cover: cfg.nr_blocks, or more after a failed grow */
	u64 map_blocks;
	unsigned long nr_from_slabs;	/* classes below this come from slabs of equal objects */
	u32 max_object;			/* blocks of the largest of them */
	/* metadata of the slabs that are smaller than a slot; under space_lock */
	long small_bytes;
	u32 units_freed;		/* how often the buddy got units; under space_lock */
	/* for each common size 2^32 / its blocks, rounded up, for divisions by it */
	u64 inverse[HASLAB_NR_CLASSES];
	struct haslab_class classes[HASLAB_NR_CLASSES];
	struct rb_root spans;		/* extents in more than one slot or block, by address */
	unsigned long nr_spans;		/* how many */
	struct haslab_group *groups;
	unsigned int nr_groups;
	bool closing;			/* detach has begun: killable walks end early */
	/* a task whose searches do not end when it is killed; of the slow mode, or NULL */
	struct task_struct *patient;
};

/* How many blocks lie between @pos and the next multiple of @align. */
static inline u64 haslab_skip(u64 pos, u64 align)
{
	u64 rest;

	if (likely(!(align & (align - 1))))
		return -pos & (align - 1);
	div64_u64_rem(pos, align, &rest);
	return rest ? align - rest : 0;
}

int __must_check haslab_init(struct haslab *s, const struct haslab_config *cfg);
void haslab_destroy(struct haslab *s);

/**
 * haslab_stop_walks - the device is being detached: killable walks end early from now on
 * @s: the slab allocator
 * Context: any.
 */
static inline void haslab_stop_walks(struct haslab *s)
{
	/* pairs with smp_load_acquire() in haslab_walk_stop() */
	smp_store_release(&s->closing, true);
}

/* The class of each length in blocks; HASLAB_NR_CLASSES if it is not a common size. */
extern const u8 haslab_classes[HASLAB_MAX_CLASS_BLOCKS + 1];

/**
 * haslab_class_of - the class of a length
 * @s: the slab allocator
 * @len: in blocks
 * Return: the class, for the functions that deal with objects; -1 if the length is not a common
 * size, or one that this configuration does not serve from objects.
 */
static inline int haslab_class_of(const struct haslab *s, u64 len)
{
	int class = len <= HASLAB_MAX_CLASS_BLOCKS ? haslab_classes[len] : HASLAB_NR_CLASSES;

	return class == HASLAB_NR_CLASSES || s->classes[class].kind == HASLAB_FROM_MIXED ?
	       -1 : class;
}

/* Objects of common sizes, for the pools. */
int haslab_get_objects(struct haslab *s, int class, struct haslab_ref *refs,
		       int nr, gfp_t gfp);
int haslab_get_objects_at(struct haslab *s, int class, u64 start, struct haslab_ref *refs, int nr);
bool haslab_is_foreign(struct haslab *s, int class, const struct haslab_ref *ref);
void haslab_put_objects(struct haslab *s, int class, const struct haslab_ref *refs, int nr);

/**
 * haslab_own - a CACHED object becomes a live extent
 * @ref: the object
 * Context: any, lockless.
 */
static inline void haslab_own(const struct haslab_ref *ref)
{
	set_bit(ref->bit, ref->live);
}

/* Extents of any size. */
int __must_check haslab_alloc(struct haslab *s, u64 len, u64 align, gfp_t gfp, u64 *start);
int __must_check haslab_alloc_near(struct haslab *s, u64 len, u64 align, u64 goal, gfp_t gfp,
				   u64 *start);
int __must_check haslab_alloc_goal(struct haslab *s, int class, u64 len, u64 align, u64 goal,
				   gfp_t gfp, u64 *start);
int __must_check haslab_alloc_multiple(struct haslab *s, u64 len, u64 align, gfp_t gfp, u64 *start);
bool haslab_is_mixed_size(const struct haslab *s, u64 len, u64 align);
int __must_check haslab_find(struct haslab *s, u64 len, u64 align, u64 *start);
int __must_check haslab_find_longest(struct haslab *s, u64 *len, u64 max, u64 align);
int __must_check haslab_search(struct haslab *s, u64 len, u64 align, gfp_t gfp, u64 *start);
int __must_check haslab_claim(struct haslab *s, u64 start, u64 len, bool pools_empty, gfp_t gfp);
u32 haslab_load(struct haslab *s, const struct haslab_range *x, u32 nr, gfp_t gfp);
int haslab_free(struct haslab *s, u64 start, u64 len, enum hybrid_alloc_reason *reason);

/* Parts of extents: see slab/part.c. */
int __must_check haslab_cut(struct haslab *s, u64 start, u64 len, bool reuse, gfp_t gfp,
			    enum hybrid_alloc_reason *reason);
int __must_check haslab_split(struct haslab *s, u64 start, u64 len, u64 at, gfp_t gfp,
			      enum hybrid_alloc_reason *reason);
int __must_check haslab_extend(struct haslab *s, u64 start, u64 len, u64 least, u64 most,
			       bool pools_empty, gfp_t gfp, u64 *got,
			       enum hybrid_alloc_reason *reason);

/* HELD blocks: held by TRIM, or between the two halves of a free. */
bool haslab_next_free(struct haslab *s, u64 from, u64 *start, u64 *len);
u64 haslab_next_long(struct haslab *s, u64 from, u64 len);
int __must_check haslab_hold(struct haslab *s, u64 *start, u64 *len, gfp_t gfp);
int haslab_retire(struct haslab *s, u64 start, u64 len, enum hybrid_alloc_reason *reason);
void haslab_reuse(struct haslab *s, u64 start, u64 len);
void haslab_drain(struct haslab *s);

int __must_check haslab_grow(struct haslab *s, u64 nr_blocks, gfp_t gfp);

int haslab_extents(struct haslab *s, u64 from, struct haslab_extent *extents, int nr);
u64 haslab_peek_longest(struct haslab *s);
u64 haslab_longest_run(struct haslab *s);
void haslab_stat(struct haslab *s, struct haslab_stat *st, bool runs);
u64 haslab_free_blocks(const struct haslab *s);
int haslab_pause(const struct haslab *s);
u64 haslab_free_exact(struct haslab *s);
void haslab_histogram(struct haslab *s, struct haslab_histogram *h);
void haslab_census(struct haslab *s, struct haslab_census *c);
int haslab_check(struct haslab *s);

#endif
