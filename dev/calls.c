// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls of the instance nodes
 *
 * The table says what each call needs; ioctl.c checks it. batch.c has the calls for many
 * extents, trim.c has TRIM. There are no locks here.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/capability.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/overflow.h>

#include "dev/ioctl.h"

static int ha_call_info(struct ha_call *call)
{
	ha_dev_info(call->dev, &call->info);
	return 0;
}

static bool ha_check_alloc(const struct ha_call *call)
{
	return ha_extent_is_plain(&call->alloc.extent) && !call->alloc.__reserved &&
	       ha_flags_agree(call->alloc.flags) &&
	       ha_goal_is_plain(call->alloc.flags, call->alloc.goal);
}

static int ha_call_alloc(struct ha_call *call)
{
	struct hybrid_alloc_alloc *arg = &call->alloc;
	struct hybrid_alloc_range range;
	int ret;

	ret = ha_file_alloc(call->file, arg->flags, arg->min, arg->len, arg->align, arg->goal,
			    &range);
	arg->reason = ret == -EDQUOT ? HYBRID_ALLOC_REASON_RESERVED : HYBRID_ALLOC_REASON_NONE;
	if (ret)
		return ret == -EDQUOT ? -ENOSPC : ret;
	memset(&arg->extent, 0, sizeof(arg->extent));
	arg->extent.start = range.start;
	arg->extent.len = range.len;
	return 0;
}

static void ha_call_undo_alloc(struct ha_call *call)
{
	const struct hybrid_alloc_extent *extent = &call->alloc.extent;

	if (!percpu_ref_tryget_live(&call->dev->calls))
		return;		/* detached: all extents are forgotten */
	ha_file_undo(call->file, call->alloc.flags, extent->start, extent->len);
	ha_dev_leave(call);
}

static bool ha_check_free(const struct ha_call *call)
{
	return !call->free.__reserved && ha_extent_is_plain(&call->free.extent);
}

static int ha_call_free(struct ha_call *call)
{
	const struct hybrid_alloc_extent *extent = &call->free.extent;
	enum hybrid_alloc_reason reason = HYBRID_ALLOC_REASON_NONE;
	int ret;

	ret = call->free.flags & HYBRID_ALLOC_FREE_PART ?
	      ha_file_free_part(call->file, extent->start, extent->len, &reason) :
	      ha_file_free(call->file, extent->start, extent->len, &reason);
	call->free.reason = reason;
	return ret;
}

static bool ha_check_claim(const struct ha_call *call)
{
	return ha_extent_is_plain(&call->claim.extent);
}

static int ha_call_claim(struct ha_call *call)
{
	const struct hybrid_alloc_extent *extent = &call->claim.extent;

	return hybrid_alloc_claim(call->dev->ha, extent->start, extent->len, GFP_KERNEL);
}

static int ha_call_seal(struct ha_call *call)
{
	clear_bit(HA_DEV_SEALED, &call->dev->state);
	return 0;
}

static int ha_call_drain(struct ha_call *call)
{
	hybrid_alloc_drain(call->dev->ha);
	return 0;
}

static int ha_call_grow(struct ha_call *call)
{
	int ret;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	ret = ha_grow(call->dev->ha, bdev_nr_bytes(call->dev->claimed.bdev),
		      call->grow.range_len);
	call->grow.capacity = READ_ONCE(call->dev->ha->params.range_len);
	return ret;
}

static int ha_call_watch(struct ha_call *call)
{
	struct ha_dev *dev = call->dev;
	bool set = call->watch.low_space;

	if (set)
		ha_watch_begin(&dev->watch, &dev->ha->watch);
	call->watch.free = ha_threshold_set(&dev->watch, &call->file->threshold,
					    call->watch.low_space);
	ha_watch_end(&dev->watch, &dev->ha->watch, set);
	return 0;
}

static int ha_call_reserve(struct ha_call *call)
{
	int ret = ha_file_reserve(call->file, call->reserve.len);

	if (!ret)
		call->reserve.reserved = ha_file_reserved(call->file);
	return ret;
}

static void ha_call_undo_reserve(struct ha_call *call)
{
	if (!percpu_ref_tryget_live(&call->dev->calls))
		return;		/* detached: nothing is left */
	ha_file_unreserve(call->file, call->reserve.len);
	ha_dev_leave(call);
}

static int ha_call_unreserve(struct ha_call *call)
{
	int ret = ha_file_unreserve(call->file, call->reserve.len);

	if (!ret)
		call->reserve.reserved = ha_file_reserved(call->file);
	return ret;
}

static bool ha_check_map(const struct ha_call *call)
{
	return !call->map.__reserved;
}

static int ha_call_map(struct ha_call *call)
{
	struct hybrid_alloc_map *map = &call->map;
	struct hybrid_alloc_map_entry *entries;
	u64 end;
	int nr, i;

	map->nr_entries = 0;
	call->items = kvmalloc_array(map->nr, sizeof(*entries), GFP_KERNEL);
	if (!call->items)
		return -ENOMEM;
	entries = call->items;
	nr = ha_dev_enter(call);
	if (nr)
		return nr;
	if (check_add_overflow(map->start, map->len, &end))
		nr = -ERANGE;
	else
		nr = hybrid_alloc_map(call->dev->ha, map->start, entries, map->nr, GFP_KERNEL);
	ha_dev_leave(call);
	if (nr < 0)
		return nr;
	while (map->len && nr && entries[nr - 1].start >= end)
		nr--;
	/* without the flag the result does not depend on the kinds */
	for (i = 0; i < nr && !(map->flags & HYBRID_ALLOC_MAP_KINDS); i++)
		entries[i].kind = HYBRID_ALLOC_MAP_KIND_NONE;
	map->nr_entries = nr;
	return ha_call_items_out(call, 0, nr, entries);
}

static int ha_call_check(struct ha_call *call)
{
	int ret;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	ret = hapool_check(&call->dev->ha->pool);
	if (ret == -EUCLEAN)
		pr_err("%s: the allocator's metadata is inconsistent: attach again and rebuild it\n",
		       call->dev->name);
	return ret;
}

static int ha_call_stat(struct ha_call *call)
{
	return ha_dev_stat(call->dev, &call->stat, call->stat.flags & HYBRID_ALLOC_STAT_RUNS);
}

#define HA_NEEDS_READER	(HA_NEEDS_DISK | HA_NEEDS_EPOCH)
#define HA_NEEDS_WRITER	(HA_NEEDS_DISK | HA_NEEDS_EPOCH | HA_NEEDS_WRITE)

static const struct ha_cmd ha_dev_cmds[] = {
	HA_CMD(INFO, info, disk, ha_call_info, .needs = HA_NEEDS_OUT),
	HA_CMD(ALLOC, alloc, extent, ha_call_alloc,
	       .check = ha_check_alloc,
	       .flags = HYBRID_ALLOC_ALLOC_BOUND | HYBRID_ALLOC_ALLOC_GOAL |
			HYBRID_ALLOC_ALLOC_RESERVED,
	       .needs = HA_NEEDS_WRITER | HA_NEEDS_UNSEALED | HA_NEEDS_OUT,
	       .undo = ha_call_undo_alloc),
	HA_CMD(FREE, free, __reserved, ha_call_free,
	       .check = ha_check_free,
	       .flags = HYBRID_ALLOC_FREE_PART,
	       .needs = HA_NEEDS_WRITER | HA_NEEDS_OUT),
	HA_CMD(CLAIM, claim, extent, ha_call_claim,
	       .check = ha_check_claim,
	       .needs = HA_NEEDS_WRITER),
	HA_CMD(SEAL, op, epoch, ha_call_seal, .needs = HA_NEEDS_WRITER),
	HA_CMD(DRAIN, op, epoch, ha_call_drain, .needs = HA_NEEDS_WRITER),
	HA_CMD(STAT, stat, refused_frees, ha_call_stat,
	       .flags = HYBRID_ALLOC_STAT_RUNS,
	       .needs = HA_NEEDS_READER | HA_NEEDS_OUT),
	HA_CMD(ALLOC_BATCH, batch, nr_failed, ha_alloc_batch,
	       .check = ha_batch_check,
	       .item_size = sizeof(struct hybrid_alloc_alloc_item),
	       .flags = HYBRID_ALLOC_ALLOC_BOUND | HYBRID_ALLOC_ALLOC_RESERVED,
	       .needs = HA_NEEDS_WRITER | HA_NEEDS_UNSEALED | HA_NEEDS_OUT | HA_ENTERS_ITSELF |
			HA_NEEDS_ITEMS,
	       .undo = ha_undo_alloc_batch),
	HA_CMD(FREE_BATCH, batch, nr_failed, ha_free_batch,
	       .flags = HYBRID_ALLOC_FREE_PART,
	       .item_size = sizeof(struct hybrid_alloc_free_item),
	       .needs = HA_NEEDS_WRITER | HA_NEEDS_OUT | HA_ENTERS_ITSELF | HA_NEEDS_ITEMS),
	HA_CMD(CLAIM_BATCH, batch, nr_failed, ha_claim_batch,
	       .item_size = sizeof(struct hybrid_alloc_free_item),
	       .needs = HA_NEEDS_WRITER | HA_NEEDS_OUT | HA_ENTERS_ITSELF | HA_NEEDS_ITEMS),
	HA_CMD(ALLOC_MANY, many, __reserved, ha_alloc_many,
	       .check = ha_many_check,
	       .item_size = sizeof(struct hybrid_alloc_extent),
	       .flags = HYBRID_ALLOC_ALLOC_BOUND | HYBRID_ALLOC_ALLOC_GOAL |
			HYBRID_ALLOC_ALLOC_PARTIAL | HYBRID_ALLOC_ALLOC_RESERVED,
	       .needs = HA_NEEDS_WRITER | HA_NEEDS_UNSEALED | HA_NEEDS_OUT | HA_ENTERS_ITSELF,
	       .undo = ha_undo_alloc_many),
	HA_CMD(MAP, map, __reserved, ha_call_map,
	       .check = ha_check_map,
	       .flags = HYBRID_ALLOC_MAP_KINDS,
	       .item_size = sizeof(struct hybrid_alloc_map_entry),
	       .needs = HA_NEEDS_READER | HA_NEEDS_OUT | HA_ENTERS_ITSELF),
	HA_CMD(TRIM, trim, trimmed, ha_trim,
	       .needs = HA_NEEDS_WRITER | HA_NEEDS_UNSEALED | HA_NEEDS_OUT),
	HA_CMD(GROW, grow, capacity, ha_call_grow, .needs = HA_NEEDS_WRITER | HA_NEEDS_OUT),
	HA_CMD(CHECK, op, epoch, ha_call_check, .needs = HA_NEEDS_READER),
	HA_CMD(SPLIT, batch, nr_failed, ha_split,
	       .item_size = sizeof(struct hybrid_alloc_split_item),
	       .needs = HA_NEEDS_WRITER | HA_NEEDS_OUT | HA_ENTERS_ITSELF | HA_NEEDS_ITEMS),
	HA_CMD(EXTEND, batch, nr_failed, ha_extend,
	       .item_size = sizeof(struct hybrid_alloc_extend_item),
	       .needs = HA_NEEDS_WRITER | HA_NEEDS_UNSEALED | HA_NEEDS_OUT | HA_ENTERS_ITSELF |
			HA_NEEDS_ITEMS),
	HA_CMD(KEEP, batch, nr_failed, ha_keep,
	       .item_size = sizeof(struct hybrid_alloc_free_item),
	       .needs = HA_NEEDS_WRITER | HA_NEEDS_OUT | HA_ENTERS_ITSELF | HA_NEEDS_ITEMS),
	HA_CMD(WATCH, watch, free, ha_call_watch, .needs = HA_NEEDS_READER | HA_NEEDS_OUT),
	HA_CMD(RESERVE, reserve, reserved, ha_call_reserve,
	       .needs = HA_NEEDS_WRITER | HA_NEEDS_UNSEALED | HA_NEEDS_OUT,
	       .undo = ha_call_undo_reserve),
	HA_CMD(UNRESERVE, reserve, reserved, ha_call_unreserve,
	       .needs = HA_NEEDS_WRITER | HA_NEEDS_OUT),
};

/**
 * ha_dev_ioctl - an ioctl of an instance node
 * @file: the open file
 * @cmd: its number
 * @arg: user address of its structure
 */
long ha_dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct ha_call call __uninitialized;
	int ret;

	ret = ha_call_begin(&call, ha_dev_cmds, ARRAY_SIZE(ha_dev_cmds), file, cmd, arg);
	if (ret)
		return ret;
	call.file = file->private_data;
	call.dev = call.file->dev;
	call.items = NULL;
	if (call.cmd->needs & HA_ENTERS_ITSELF) {
		ret = call.cmd->fn(&call);
	} else {
		ret = ha_dev_enter(&call);
		if (ret)
			return ret;
		ret = call.cmd->fn(&call);
		ha_dev_leave(&call);
	}
	ret = ha_call_end(&call, ret);
	kvfree(call.items);
	return ret;
}

