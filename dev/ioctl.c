// SPDX-License-Identifier: GPL-2.0
/*
 * How an ioctl is checked, and how its result is delivered
 *
 * Both kinds of node have a table of struct ha_cmd. ha_call_begin() finds the entry, copies
 * the caller's structure in, and makes all checks up to the mode of the file, in the order
 * that ioctl_uapi.h documents. ha_dev_enter() checks the state of the instance. The entry's
 * function then does the work, and ha_call_end() copies the structure out.
 *
 * No user memory is touched between ha_dev_enter() and ha_dev_leave(): a page fault may
 * take as long as the owner of the memory likes, and detach waits for the calls in flight.
 *
 * A structure that is written back is also written before the work, as a trial. If the
 * copy after the work fails nevertheless, the entry's undo function undoes the work.
 */
#include <linux/bits.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/uaccess.h>

#include "dev/ioctl.h"

static int ha_call_copy_out(const struct ha_call *call)
{
	size_t size = min_t(size_t, call->usize, call->cmd->size);

	return copy_to_user(call->user, &call->head, size) ? -EFAULT : 0;
}

static void __user *ha_call_item(const struct ha_call *call, u32 index)
{
	return u64_to_user_ptr(call->array.items) + (size_t)index * call->array.item_size;
}

/**
 * ha_call_items_in - copy items from the caller's array
 * @call: the call
 * @first: index of the first item
 * @nr: number of items
 * @items: out: the items, each of call->cmd->item_size bytes
 *
 * Return: 0 or EFAULT.
 */
int ha_call_items_in(const struct ha_call *call, u32 first, u32 nr, void *items)
{
	size_t size = call->cmd->item_size;
	u32 i;

	if (call->array.item_size == size)
		return copy_from_user(items, ha_call_item(call, first), nr * size) ? -EFAULT : 0;
	for (i = 0; i < nr; i++)
		if (copy_from_user(items + i * size, ha_call_item(call, first + i), size))
			return -EFAULT;
	return 0;
}

/**
 * ha_call_items_out - copy items to the caller's array
 * @call: the call
 * @first: index of the first item
 * @nr: number of items
 * @items: the items, each of call->cmd->item_size bytes
 *
 * Larger items in the caller's array keep their remaining bytes.
 * Return: 0 or EFAULT.
 */
int ha_call_items_out(const struct ha_call *call, u32 first, u32 nr, const void *items)
{
	size_t size = call->cmd->item_size;
	u32 i;

	if (call->array.item_size == size)
		return copy_to_user(ha_call_item(call, first), items, nr * size) ? -EFAULT : 0;
	for (i = 0; i < nr; i++)
		if (copy_to_user(ha_call_item(call, first + i), items + i * size, size))
			return -EFAULT;
	return 0;
}

/* Checks that a range can be read and written: one byte of each page, with its own value. */
static int ha_fault_in(u8 __user *p, size_t len)
{
	size_t pos, step;
	u8 byte;

	if (!access_ok(p, len))
		return -EFAULT;
	for (pos = 0;; pos += step) {
		if (get_user(byte, p + pos) || put_user(byte, p + pos))
			return -EFAULT;
		if (pos == len - 1)
			return 0;
		/* to the first byte of the next page, or to the last byte */
		step = min(PAGE_SIZE - offset_in_page(p + pos), len - 1 - pos);
	}
}

/* The size of an item follows the rules for the size of a structure. */
static int ha_call_check_items(const struct ha_call *call)
{
	size_t known = call->cmd->item_size, size = call->array.item_size;
	u32 i;
	int ret;

	if (!call->array.nr || call->array.nr > HYBRID_ALLOC_MAX_ITEMS)
		return -EINVAL;
	if (size < known || size % sizeof(u64))
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	if (call->array.items > ULONG_MAX)
		return -EFAULT;
	ret = ha_fault_in(ha_call_item(call, 0), call->array.nr * size);
	if (!(call->cmd->needs & HA_NEEDS_ITEMS))
		return ret;
	for (i = 0; !ret && size > known && i < call->array.nr; i++) {
		ret = check_zeroed_user(ha_call_item(call, i) + known, size - known);
		if (ret >= 0)
			ret = ret ? 0 : -E2BIG;
	}
	return ret;
}

/* Copies the structure in, and checks that it can be copied out. */
static int ha_call_copy_in(struct ha_call *call)
{
	const struct ha_cmd *cmd = call->cmd;
	int ret;

	if (get_user(call->usize, (u32 __user *)call->user))
		return -EFAULT;
	if (call->usize < cmd->min_size)
		return -EINVAL;
	if (call->usize > PAGE_SIZE)
		return -E2BIG;
	ret = copy_struct_from_user(&call->stat, cmd->size, call->user, call->usize);
	if (ret)
		return ret;
	call->head.size = call->usize;	/* another thread may have changed it since */
	/*
	 * A trial copy, with the caller's own values: a call that fails must leave them.
	 * fault_in_writeable() would write zeroes.
	 */
	if ((cmd->needs & HA_NEEDS_OUT) && ha_call_copy_out(call))
		return -EFAULT;
	return cmd->item_size ? ha_call_check_items(call) : 0;
}

/**
 * ha_call_begin - all checks up to the mode of the file
 * @call: out: the call, all but dev, file and items
 * @cmds: the node's table
 * @nr_cmds: its length
 * @file: the open file
 * @cmd: the ioctl's number
 * @arg: user address of its structure
 *
 * Return: 0, or ENOTTY, EFAULT, EINVAL, E2BIG, EBADF.
 */
int ha_call_begin(struct ha_call *call, const struct ha_cmd *cmds, size_t nr_cmds,
		  struct file *file, unsigned int cmd, unsigned long arg)
{
	unsigned int nr = _IOC_NR(cmd);
	int ret;

	if (nr >= nr_cmds)
		return -ENOTTY;
	call->cmd = &cmds[array_index_nospec(nr, nr_cmds)];
	/* a number that is not used has an empty entry, of command 0 */
	if (!cmd || call->cmd->cmd != cmd)
		return -ENOTTY;

	call->user = (void __user *)arg;
	ret = ha_call_copy_in(call);
	if (ret)
		return ret;
	if (call->head.flags & ~call->cmd->flags)
		return -EINVAL;
	if (call->cmd->check && !call->cmd->check(call))
		return -EINVAL;
	if ((call->cmd->needs & HA_NEEDS_WRITE) && !(file->f_mode & FMODE_WRITE))
		return -EBADF;
	return 0;
}

/**
 * ha_call_end - deliver the result
 * @call: the call
 * @ret: 0, or what failed
 *
 * The structure of a failed call is delivered, too: it may say why a free was refused, and
 * otherwise has the caller's own values.
 * Return: @ret, or EFAULT if the call had succeeded and its result cannot be delivered; it
 * is undone then.
 */
int ha_call_end(struct ha_call *call, int ret)
{
	if (!(call->cmd->needs & HA_NEEDS_OUT) || !ha_call_copy_out(call) || ret)
		return ret;
	if (call->cmd->undo)
		call->cmd->undo(call);
	return -EFAULT;
}

/**
 * ha_dev_enter - begin to use the instance of a call, and check its state
 * @call: the call
 *
 * On success ha_dev_leave() must follow, and no user memory may be touched until then.
 * Return: 0, or ENODEV it is detached or its disk went away; ESTALE the epoch is another;
 * EAGAIN it is sealed.
 */
int ha_dev_enter(struct ha_call *call)
{
	struct ha_dev *dev = call->dev;
	u32 needs = call->cmd->needs;
	int ret;

	if (!percpu_ref_tryget_live(&dev->calls))
		return -ENODEV;
	if ((needs & HA_NEEDS_DISK) && ha_dev_gone(dev))
		ret = -ENODEV;
	else if ((needs & HA_NEEDS_EPOCH) && call->head.epoch && call->head.epoch != dev->epoch)
		ret = -ESTALE;
	else if ((needs & HA_NEEDS_UNSEALED) && test_bit(HA_DEV_SEALED, &dev->state))
		ret = -EAGAIN;
	else
		return 0;
	percpu_ref_put(&dev->calls);
	return ret;
}
