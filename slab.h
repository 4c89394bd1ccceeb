/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The slab layer: all space that is only partly used. See slab.c for the design.
 *
 * Positions and lengths are in blocks (of MinBlockSize bytes, 4 KiB unless
 * configured otherwise).
 */
#ifndef _HYBRID_ALLOC_SLAB_H
#define _HYBRID_ALLOC_SLAB_H

#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/log2.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include "buddy.h"
#include "ioctl_uapi.h"
#include "slab/runs.h"

/*
 * The common sizes: every multiple of a block up to 16, then powers of two up
 * to 1024 blocks (4 KiB, 8 KiB … 64 KiB, 128 KiB … 4 MiB).
 */
#define HASLAB_NR_CLASSES	22
#define HASLAB_MAX_CLASS_BLOCKS	1024

/*
 * The address space goes by slots of 16 MiB, less if a unit of the buddy is less
 * than 64 blocks: a slot has at most 64 units.
 */
#define HASLAB_MAX_SHIFT	HARUNS_MAX_SHIFT
#define HASLAB_UNITS_SHIFT	6
#define HASLAB_MAX_BLOCKS	HARUNS_MAX_BLOCKS

/*
 * Mixed slots are kept by their largest free run: a bucket for each length up
 * to 255 blocks, then 128 buckets for each power of two.
 */
#define HASLAB_BUCKET_SHIFT	7
#define HASLAB_NR_BUCKETS	(((HASLAB_MAX_SHIFT - HASLAB_BUCKET_SHIFT + 1) << \
				  HASLAB_BUCKET_SHIFT) + 1)

struct haslab_slab;
struct haslab_dir;

/**
 * struct haslab_config - shape of an allocator
 * @first_block: where the managed space begins
 * @nr_blocks: where it ends
 * @unit_shift: log2 of blocks in a unit of the buddy, at most HASLAB_MAX_SHIFT
 * @slab_max: largest common size that is served from slabs of equal objects,
 *	in blocks; larger ones are whole blocks of the buddy
 * @nr_groups: how many groups; 0: one for each CPU, fewer on a small device
 * @dev: number of the block device, for tracepoints
 * @byte_shift: log2 of bytes in a block, likewise
 */
struct haslab_config {
	u64 first_block;
	u64 nr_blocks;
	unsigned int unit_shift;
	u64 slab_max;
	unsigned int nr_groups;
	u32 dev;
	u32 byte_shift;
};

/**
 * struct haslab_ref - an object of a common size, on its way to or from a pool
 * @live: bitmap of its owner, a slab or a node of the buddy
 * @start: its first block
 * @bit: its bit in @live: it is an extent
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
 * @order: of a block of the buddy of this size
 * @mask: blocks, less one, if they come from the buddy
 * @kind: where objects of this size come from
 */
struct haslab_class {
	u32 blocks;
	u32 order;
	u64 mask;
	enum haslab_kind {
		HASLAB_FROM_SLAB,	/* equal objects of a slab */
		HASLAB_FROM_BUDDY,	/* whole blocks of the buddy */
		HASLAB_FROM_MIXED,	/* not pooled: between slab_max and a unit, say */
	} kind;
};

/* Remembered holes: a hash table of sets, by length, with this many ways. */
#define HASLAB_HOLE_SETS	64
#define HASLAB_HOLE_WAYS	4

/**
 * struct haslab_holes - where some extents were in mixed slots, the last one first
 * @lens: number of blocks of each, 16 bits wide, the first in the lowest ones; 0: nowhere
 * @starts: the first block of each in its slot, in the same way
 * @slot: the slots
 */
struct haslab_holes {
	u64 lens;
	u64 starts;
	u32 slot[HASLAB_HOLE_WAYS];
};

/**
 * struct haslab_group - slabs and mixed slots that share a lock
 * @lock: see slab.c
 * @nr: its number
 * @partial: for each common size the slabs that have a free object
 * @nr_slab_blocks: space in slabs of each size, which decides how large the
 *	next one gets
 * @mixed: the first mixed slot of each bucket, by its largest free run
 * @mixed_mask: the buckets that are not empty
 * @recent_nr: extents that mixed slots were asked for
 * @recent: blocks in them, by log2 of their length
 * @holes: holes, by a hash of their length
 * @free: free blocks
 * @nr_slabs: slabs of equal objects and mixed slots there are
 * @made: slabs made so far
 * @returned: slabs given back so far
 */
struct haslab_group {
	spinlock_t lock;	/* see slab.c */
	u32 nr;
	u32 recent_nr;
	u32 recent[HASLAB_MAX_SHIFT + 1];
	struct haslab_holes holes[HASLAB_HOLE_SETS];
	u64 free;
	u64 nr_slabs;
	u64 made;
	u64 returned;
	struct list_head partial[HASLAB_NR_CLASSES];
	u64 nr_slab_blocks[HASLAB_NR_CLASSES];
	DECLARE_BITMAP(mixed_mask, HASLAB_NR_BUCKETS);
	u32 mixed[HASLAB_NR_BUCKETS];
} ____cacheline_aligned_in_smp;

/**
 * struct haslab_stat - counts, all in blocks unless said
 * @free: free in slab and buddy
 * @nr_slabs: slabs
 * @made: slabs made so far
 * @returned: slabs given back to the buddy so far
 * @splits: of the buddy
 * @merges: of the buddy
 * @largest_run: the largest free run
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

/* More than log2 of any device in blocks: slots have numbers of 32 bits. */
#define HASLAB_RUN_LENGTHS	48

/**
 * struct haslab_histogram - free runs by log2 of their length in blocks
 * @count: how many there are
 * @blocks: how long they are together
 */
struct haslab_histogram {
	u64 count[HASLAB_RUN_LENGTHS];
	u64 blocks[HASLAB_RUN_LENGTHS];
};

/**
 * struct haslab_census - what the slab layer consists of
 * @class: slabs of equal objects, by common size; an object that is neither free nor
 *	live is in a pool, or held
 * @mixed: mixed slots by how full they are, in tenths; [10] are those without a free
 *	block
 * @nr_bitmaps: of these, slots with so many runs that they have the bitmap form
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
 * struct haslab_extent - what a part of the device is
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
 * struct haslab - the slab allocator of one device
 * @lock: see slab.c
 * @exclusive: the task that has shut out all groups, or NULL
 * @closing: the device is being detached: walks end soon
 * @space_lock: see slab.c
 * @cfg: as given
 * @buddy: where the slabs' space comes from
 * @mem: account of the metadata of both
 * @slot_shift: log2 of blocks in a slot
 * @dirs: the map from an address to what lies there
 * @nr_dirs: number of entries of @dirs
 * @map_blocks: number of blocks that the tables of the dirs cover: cfg.nr_blocks, or more
 *	when it did not grow as it was to
 * @nr_from_slabs: the common sizes below this come from slabs of equal objects
 * @small_bytes: metadata of the slabs of equal objects that are less than a slot
 * @inverse: for each common size 2^32 / its blocks, rounded up: to divide by it
 * @classes: the common sizes
 * @spans: extents that lie in more than one slot or block, by address
 * @groups: the groups
 * @nr_groups: how many there are
 */
struct haslab {
	spinlock_t lock;	/* see slab.c */
	struct task_struct *exclusive;
	bool closing;
	spinlock_t space_lock;	/* see slab.c */
	struct haslab_config cfg;
	struct habuddy buddy;
	struct hamem mem;
	unsigned int slot_shift;
	struct haslab_dir *dirs;
	u64 nr_dirs;
	u64 map_blocks;
	unsigned long nr_from_slabs;
	long small_bytes;	/* under space_lock */
	u64 inverse[HASLAB_NR_CLASSES];
	struct haslab_class classes[HASLAB_NR_CLASSES];
	struct rb_root spans;
	struct haslab_group *groups;
	unsigned int nr_groups;
};

int __must_check haslab_init(struct haslab *s, const struct haslab_config *cfg);
void haslab_destroy(struct haslab *s);

/* The common size that each length in blocks is; HASLAB_NR_CLASSES if it is none. */
extern const u8 haslab_classes[HASLAB_MAX_CLASS_BLOCKS + 1];

/**
 * haslab_class_of - the common size that a length is
 * @s: the slab allocator
 * @len: in blocks
 *
 * Return: the class, which the functions for objects take; -1 if it is none,
 * or one that is not served from objects in this configuration.
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
void haslab_put_objects(struct haslab *s, int class, const struct haslab_ref *refs, int nr);

/**
 * haslab_own - a CACHED object becomes a live extent
 * @ref: the object
 *
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
int __must_check haslab_search(struct haslab *s, u64 len, u64 align, gfp_t gfp, u64 *start);
int __must_check haslab_claim(struct haslab *s, u64 start, u64 len, bool exclusive, gfp_t gfp);
int haslab_free(struct haslab *s, u64 start, u64 len, enum hybrid_alloc_reason *reason);

/* Blocks that are neither free nor an extent: held by TRIM, or between two halves of a free. */
bool haslab_next_free(struct haslab *s, u64 from, u64 *start, u64 *len);
int __must_check haslab_hold(struct haslab *s, u64 *start, u64 *len, gfp_t gfp);
int haslab_retire(struct haslab *s, u64 start, u64 len, enum hybrid_alloc_reason *reason);
void haslab_reuse(struct haslab *s, u64 start, u64 len);

int __must_check haslab_grow(struct haslab *s, u64 nr_blocks, gfp_t gfp);

int haslab_extents(struct haslab *s, u64 from, struct haslab_extent *extents, int nr);
void haslab_stat(struct haslab *s, struct haslab_stat *st, bool runs);
u64 haslab_free_blocks(const struct haslab *s);
u64 haslab_free_exact(struct haslab *s);
void haslab_histogram(struct haslab *s, struct haslab_histogram *h);
void haslab_census(struct haslab *s, struct haslab_census *c);
int haslab_check(struct haslab *s);

#endif
