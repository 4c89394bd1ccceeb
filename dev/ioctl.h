/* SPDX-License-Identifier: GPL-2.0 */
/* The ioctls of both kinds of node: the tables, and a call in flight. See ioctl.c. */
#ifndef _HYBRID_ALLOC_DEV_IOCTL_H
#define _HYBRID_ALLOC_DEV_IOCTL_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/container_of.h>
#include <linux/stddef.h>
#include "dev/internal.h"

struct ha_call;

/* Bits of ha_cmd.needs. */
#define HA_NEEDS_WRITE		BIT(0)		/* a file that is open for writing */
#define HA_NEEDS_OUT		BIT(1)		/* the structure is written back */
#define HA_NEEDS_DISK		BIT(2)		/* the disk is still there */
#define HA_NEEDS_EPOCH		BIT(3)		/* the third field is an epoch, to be compared */
#define HA_NEEDS_UNSEALED	BIT(4)		/* the instance is not sealed */
#define HA_ENTERS_ITSELF	BIT(5)		/* @fn itself calls ha_dev_enter() and _leave() */
#define HA_NEEDS_ITEMS		BIT(6)		/* the array is read, too */

/**
 * struct ha_cmd - an ioctl
 * @cmd: its number
 * @size: of its structure as this kernel knows it
 * @min_size: of its structure in the first version of the ABI
 * @item_size: of an item of its array, if it has one; see struct ha_array
 * @flags: the flags that it knows
 * @needs: HA_NEEDS_ bits
 * @check: whether all reserved fields are 0; NULL if it has none
 * @fn: does the work
 * @undo: undoes the work if its result cannot be delivered; may be NULL
 */
struct ha_cmd {
	unsigned int cmd;
	u16 size;
	u16 min_size;
	u16 item_size;
	u32 flags;
	u32 needs;
	bool (*check)(const struct ha_call *call);
	int (*fn)(struct ha_call *call);
	void (*undo)(struct ha_call *call);
};

/*
 * An entry of a table: the ioctl HYBRID_ALLOC_IOC_@_name takes a struct
 * hybrid_alloc_@_struct, which is the member @_struct of struct ha_call; @_last is the
 * last field of its first version. Does not compile if there is no such member.
 */
#define HA_CMD(_name, _struct, _last, _fn, ...)				\
	[_IOC_NR(HYBRID_ALLOC_IOC_##_name)] = {				\
		.cmd = HYBRID_ALLOC_IOC_##_name,			\
		.size = sizeof(struct hybrid_alloc_##_struct) +		\
			BUILD_BUG_ON_ZERO(!__same_type(struct hybrid_alloc_##_struct, \
						       typeof_member(struct ha_call, _struct))) + \
			BUILD_BUG_ON_ZERO(offsetof(struct hybrid_alloc_##_struct, flags) != \
					  offsetof(struct ha_array, flags)), \
		.min_size = offsetofend(struct hybrid_alloc_##_struct, _last), \
		.fn = _fn,						\
		__VA_ARGS__						\
	}

/**
 * struct ha_array - the first fields of a structure with an array
 * @size: as in all structures
 * @flags: as in all structures
 * @epoch: as in most structures
 * @items: user address of the first item
 * @nr: number of items
 * @item_size: size of an item as the caller knows it
 */
struct ha_array {
	u32 size;
	u32 flags;
	u64 epoch;
	u64 items;
	u32 nr;
	u32 item_size;
};

static_assert(offsetof(struct hybrid_alloc_batch, epoch) == offsetof(struct ha_array, epoch));
static_assert(offsetof(struct hybrid_alloc_batch, items) == offsetof(struct ha_array, items));
static_assert(offsetof(struct hybrid_alloc_batch, nr) == offsetof(struct ha_array, nr));
static_assert(offsetofend(struct hybrid_alloc_batch, item_size) == sizeof(struct ha_array));
static_assert(offsetof(struct hybrid_alloc_many, epoch) == offsetof(struct ha_array, epoch));
static_assert(offsetof(struct hybrid_alloc_many, items) == offsetof(struct ha_array, items));
static_assert(offsetof(struct hybrid_alloc_many, nr) == offsetof(struct ha_array, nr));
static_assert(offsetofend(struct hybrid_alloc_many, item_size) == sizeof(struct ha_array));
static_assert(offsetof(struct hybrid_alloc_map, epoch) == offsetof(struct ha_array, epoch));
static_assert(offsetof(struct hybrid_alloc_map, items) == offsetof(struct ha_array, items));
static_assert(offsetof(struct hybrid_alloc_map, nr) == offsetof(struct ha_array, nr));
static_assert(offsetofend(struct hybrid_alloc_map, item_size) == sizeof(struct ha_array));

/**
 * struct ha_call - a call in flight
 * @cmd: its entry in the table
 * @dev: the instance; on the control node the one that the call attached or detaches,
 *	with a reference, or NULL
 * @file: the open file; on instance nodes only
 * @user: the caller's structure
 * @usize: its size as the caller knows it
 * @items: array of items, to be freed with kvfree(); on instance nodes only
 * @head: the first fields of most structures
 * @array: the first fields of structures with an array
 * @attach: of ATTACH
 * @detach: of DETACH
 * @info: of INFO
 * @alloc: of ALLOC
 * @free: of FREE
 * @claim: of CLAIM
 * @op: of SEAL, DRAIN and CHECK
 * @batch: of ALLOC_BATCH, FREE_BATCH, CLAIM_BATCH, SPLIT, EXTEND and KEEP
 * @many: of ALLOC_MANY
 * @map: of MAP
 * @trim: of TRIM
 * @grow: of GROW
 * @watch: of WATCH
 * @reserve: of RESERVE and UNRESERVE
 * @stat: of STAT; the largest
 *
 * Only the first @cmd->size bytes of the union are initialised.
 */
struct ha_call {
	const struct ha_cmd *cmd;
	struct ha_dev *dev;
	struct ha_file *file;
	void __user *user;
	u32 usize;
	void *items;
	union {
		struct {
			u32 size;
			u32 flags;
			u64 epoch;
		} head;
		struct ha_array array;
		struct hybrid_alloc_attach attach;
		struct hybrid_alloc_detach detach;
		struct hybrid_alloc_info info;
		struct hybrid_alloc_alloc alloc;
		struct hybrid_alloc_free free;
		struct hybrid_alloc_claim claim;
		struct hybrid_alloc_op op;
		struct hybrid_alloc_batch batch;
		struct hybrid_alloc_many many;
		struct hybrid_alloc_map map;
		struct hybrid_alloc_trim trim;
		struct hybrid_alloc_grow grow;
		struct hybrid_alloc_watch watch;
		struct hybrid_alloc_reserve reserve;
		struct hybrid_alloc_stat stat;
	};
};

static_assert(sizeof(struct hybrid_alloc_stat) ==
	      sizeof(struct ha_call) - offsetof(struct ha_call, stat));

/* Whether the fields of an extent that are not used yet are 0. */
static inline bool ha_extent_is_plain(const struct hybrid_alloc_extent *extent)
{
	return !extent->cookie && !extent->flags && !extent->domain;
}

/* Without the flag, goal is a reserved field. */
static inline bool ha_goal_is_plain(u32 flags, u64 goal)
{
	return (flags & HYBRID_ALLOC_ALLOC_GOAL) || !goal;
}

/* An extent that is bound takes nothing from what the file has reserved. */
static inline bool ha_flags_agree(u32 flags)
{
	return !(flags & HYBRID_ALLOC_ALLOC_BOUND) || !(flags & HYBRID_ALLOC_ALLOC_RESERVED);
}

/* ioctl.c */

int ha_call_begin(struct ha_call *call, const struct ha_cmd *cmds, size_t nr_cmds,
		  struct file *file, unsigned int cmd, unsigned long arg);
int ha_call_end(struct ha_call *call, int ret);
int ha_call_items_in(const struct ha_call *call, u32 first, u32 nr, void *items);
int ha_call_items_out(const struct ha_call *call, u32 first, u32 nr, const void *items);
int ha_dev_enter(struct ha_call *call);

static inline void ha_dev_leave(struct ha_call *call)
{
	percpu_ref_put(&call->dev->calls);
}

/* trim.c */

int ha_trim(struct ha_call *call);

/* batch.c */

bool ha_batch_check(const struct ha_call *call);
bool ha_many_check(const struct ha_call *call);
int ha_alloc_batch(struct ha_call *call);
void ha_undo_alloc_batch(struct ha_call *call);
int ha_free_batch(struct ha_call *call);
int ha_claim_batch(struct ha_call *call);
int ha_keep(struct ha_call *call);
int ha_split(struct ha_call *call);
int ha_extend(struct ha_call *call);
int ha_alloc_many(struct ha_call *call);
void ha_undo_alloc_many(struct ha_call *call);

#endif
