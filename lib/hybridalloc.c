// SPDX-License-Identifier: LGPL-2.1-only
/*
 * Thin on purpose: structures go to the kernel unchanged, so that the program and the
 * kernel negotiate their sizes, and a library that is older than both does not limit
 * them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "hybridalloc.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static int call(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? -errno : 0;
}

static int call_op(int fd, unsigned long cmd)
{
	struct hybrid_alloc_op op = { .size = sizeof(op) };

	return call(fd, cmd, &op);
}

static int open_file(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int call_control(int flags, unsigned long cmd, void *arg)
{
	int fd = open_file(HYBRID_ALLOC_CONTROL_NODE, flags), err;

	if (fd < 0)
		return fd;
	err = call(fd, cmd, arg);
	close(fd);
	return err;
}

const char *hybrid_alloc_version(void)
{
	return LIBHYBRIDALLOC_VERSION;
}

const char *hybrid_alloc_strreason(uint32_t reason)
{
	static const char *const texts[] = {
		[HYBRID_ALLOC_REASON_NONE] = "not refused",
		[HYBRID_ALLOC_REASON_NOT_ALLOCATED] = "not allocated: never, or already freed",
		[HYBRID_ALLOC_REASON_WRONG_START] = "inside a live extent, but not its start",
		[HYBRID_ALLOC_REASON_WRONG_LENGTH] =
			"not the length of the extent, or it goes beyond it",
		[HYBRID_ALLOC_REASON_UNALIGNED] =
			"not a multiple of the block size, or a split outside the extent",
		[HYBRID_ALLOC_REASON_ZERO_LENGTH] = "the length is 0",
		[HYBRID_ALLOC_REASON_OUT_OF_RANGE] = "not inside the managed range",
		[HYBRID_ALLOC_REASON_FOREIGN] = "bound to another open file",
	};
	_Static_assert(ARRAY_SIZE(texts) == HYBRID_ALLOC_REASON_COUNT, "a reason has no text");

	if (reason == HYBRID_ALLOC_REASON_RESERVED)
		return "what is free is reserved";
	return reason < ARRAY_SIZE(texts) ? texts[reason] : "unknown reason";
}

int hybrid_alloc_attach_disk(const char *disk, struct hybrid_alloc_attach *attach)
{
	int err;

	if (!disk)
		return call_control(O_RDWR, HYBRID_ALLOC_IOC_ATTACH, attach);
	/* Not O_EXCL: the module itself becomes the holder. */
	attach->fd = open_file(disk, O_RDWR);
	if (attach->fd < 0) {
		err = attach->fd;
		attach->fd = -1;
		return err;
	}
	err = call_control(O_RDWR, HYBRID_ALLOC_IOC_ATTACH, attach);
	close(attach->fd);
	attach->fd = -1;
	return err;
}

int hybrid_alloc_detach_disk(uint32_t id, uint32_t flags)
{
	struct hybrid_alloc_detach detach = { .size = sizeof(detach), .flags = flags, .id = id };

	return call_control(O_RDWR, HYBRID_ALLOC_IOC_DETACH, &detach);
}

int hybrid_alloc_lookup(struct hybrid_alloc_info *info)
{
	return call_control(O_RDONLY, HYBRID_ALLOC_IOC_INFO, info);
}

int hybrid_alloc_open(const char *node, int flags)
{
	/* An instance ignores the id; the control node finds no instance with this one. */
	struct hybrid_alloc_info info = { .size = sizeof(info), .id = UINT32_MAX };
	char path[32];
	int fd, err;

	/* A number has at most as many digits as a __u32. */
	if (*node && strlen(node) <= 10 && node[strspn(node, "0123456789")] == 0) {
		snprintf(path, sizeof(path), HYBRID_ALLOC_CONTROL_NODE "%s", node);
		node = path;
	}
	fd = open_file(node, flags);
	if (fd < 0)
		return fd;
	/* On another file, our ioctl numbers may be other commands. */
	err = call(fd, HYBRID_ALLOC_IOC_INFO, &info);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

int hybrid_alloc_close(int fd)
{
	return close(fd) ? -errno : 0;
}

int hybrid_alloc_get_info(int fd, struct hybrid_alloc_info *info)
{
	return call(fd, HYBRID_ALLOC_IOC_INFO, info);
}

int hybrid_alloc_get_stat(int fd, struct hybrid_alloc_stat *st)
{
	return call(fd, HYBRID_ALLOC_IOC_STAT, st);
}

int hybrid_alloc_alloc_extent(int fd, uint64_t len, struct hybrid_alloc_extent *extent)
{
	struct hybrid_alloc_alloc request = { .size = sizeof(request), .len = len };
	int err = call(fd, HYBRID_ALLOC_IOC_ALLOC, &request);

	if (err)
		memset(extent, 0, sizeof(*extent));
	else
		*extent = request.extent;
	return err;
}

int hybrid_alloc_alloc_request(int fd, struct hybrid_alloc_alloc *request)
{
	return call(fd, HYBRID_ALLOC_IOC_ALLOC, request);
}

int hybrid_alloc_alloc_many(int fd, struct hybrid_alloc_extent *extents,
			    struct hybrid_alloc_many *many)
{
	many->items = (uintptr_t)extents;
	return call(fd, HYBRID_ALLOC_IOC_ALLOC_MANY, many);
}

/* The kernel takes at most HYBRID_ALLOC_MAX_ITEMS in a call. */
static int call_batch(int fd, unsigned long cmd, void *items, struct hybrid_alloc_batch *batch)
{
	uint32_t nr = batch->nr, done = 0, failed = 0;
	int err;

	do {
		batch->items = (uintptr_t)items + (uint64_t)done * batch->item_size;
		batch->nr = nr - done;
		if (batch->nr > HYBRID_ALLOC_MAX_ITEMS)
			batch->nr = HYBRID_ALLOC_MAX_ITEMS;
		batch->nr_done = 0;
		batch->nr_failed = 0;
		err = call(fd, cmd, batch);
		done += batch->nr_done;
		failed += batch->nr_failed;
	} while (!err && done < nr);
	batch->items = (uintptr_t)items;
	batch->nr = nr;
	batch->nr_done = done;
	batch->nr_failed = failed;
	return err;
}

int hybrid_alloc_alloc_batch(int fd, struct hybrid_alloc_alloc_item *items,
			     struct hybrid_alloc_batch *batch)
{
	return call_batch(fd, HYBRID_ALLOC_IOC_ALLOC_BATCH, items, batch);
}

int hybrid_alloc_free_extent(int fd, const struct hybrid_alloc_extent *extent, uint32_t *reason)
{
	struct hybrid_alloc_free request = { .size = sizeof(request), .extent = *extent };
	int err = call(fd, HYBRID_ALLOC_IOC_FREE, &request);

	if (reason)
		*reason = request.reason;
	return err;
}

int hybrid_alloc_free_batch(int fd, struct hybrid_alloc_free_item *items,
			    struct hybrid_alloc_batch *batch)
{
	return call_batch(fd, HYBRID_ALLOC_IOC_FREE_BATCH, items, batch);
}

int hybrid_alloc_free_part(int fd, const struct hybrid_alloc_extent *part, uint32_t *reason)
{
	struct hybrid_alloc_free request = {
		.size = sizeof(request), .flags = HYBRID_ALLOC_FREE_PART, .extent = *part,
	};
	int err = call(fd, HYBRID_ALLOC_IOC_FREE, &request);

	if (reason)
		*reason = request.reason;
	return err;
}

/* A call that takes items, with one: @error and @reason are in the item. */
static int call_item(int fd, unsigned long cmd, void *item, size_t size, const uint32_t *error,
		     const uint32_t *why, uint32_t *reason)
{
	struct hybrid_alloc_batch batch = { .size = sizeof(batch), .nr = 1, .item_size = size };
	int err = call_batch(fd, cmd, item, &batch);

	if (reason)
		*reason = *why;
	return err ? err : -(int)*error;
}

int hybrid_alloc_split_extent(int fd, const struct hybrid_alloc_extent *extent, uint64_t at,
			      uint32_t *reason)
{
	struct hybrid_alloc_split_item item = { .extent = *extent, .at = at };

	return call_item(fd, HYBRID_ALLOC_IOC_SPLIT, &item, sizeof(item), &item.error,
			 &item.reason, reason);
}

int hybrid_alloc_split_batch(int fd, struct hybrid_alloc_split_item *items,
			     struct hybrid_alloc_batch *batch)
{
	return call_batch(fd, HYBRID_ALLOC_IOC_SPLIT, items, batch);
}

int hybrid_alloc_extend_extent(int fd, struct hybrid_alloc_extent *extent, uint64_t more,
			       uint64_t least, uint32_t *reason)
{
	struct hybrid_alloc_extend_item item = {
		.extent = *extent, .more = more, .least = least,
	};
	int err = call_item(fd, HYBRID_ALLOC_IOC_EXTEND, &item, sizeof(item), &item.error,
			    &item.reason, reason);

	if (!err)
		*extent = item.extent;
	return err;
}

int hybrid_alloc_extend_batch(int fd, struct hybrid_alloc_extend_item *items,
			      struct hybrid_alloc_batch *batch)
{
	return call_batch(fd, HYBRID_ALLOC_IOC_EXTEND, items, batch);
}

int hybrid_alloc_keep_extent(int fd, const struct hybrid_alloc_extent *extent, uint32_t *reason)
{
	struct hybrid_alloc_free_item item = { .extent = *extent };

	return call_item(fd, HYBRID_ALLOC_IOC_KEEP, &item, sizeof(item), &item.error,
			 &item.reason, reason);
}

int hybrid_alloc_keep_batch(int fd, struct hybrid_alloc_free_item *items,
			    struct hybrid_alloc_batch *batch)
{
	return call_batch(fd, HYBRID_ALLOC_IOC_KEEP, items, batch);
}

int hybrid_alloc_claim_extent(int fd, const struct hybrid_alloc_extent *extent)
{
	struct hybrid_alloc_claim request = { .size = sizeof(request), .extent = *extent };

	return call(fd, HYBRID_ALLOC_IOC_CLAIM, &request);
}

int hybrid_alloc_claim_batch(int fd, struct hybrid_alloc_free_item *items,
			     struct hybrid_alloc_batch *batch)
{
	return call_batch(fd, HYBRID_ALLOC_IOC_CLAIM_BATCH, items, batch);
}

int hybrid_alloc_seal(int fd)
{
	return call_op(fd, HYBRID_ALLOC_IOC_SEAL);
}

int hybrid_alloc_drain(int fd)
{
	return call_op(fd, HYBRID_ALLOC_IOC_DRAIN);
}

int hybrid_alloc_check(int fd)
{
	return call_op(fd, HYBRID_ALLOC_IOC_CHECK);
}

int hybrid_alloc_trim_range(int fd, struct hybrid_alloc_trim *trim)
{
	return call(fd, HYBRID_ALLOC_IOC_TRIM, trim);
}

int hybrid_alloc_grow_range(int fd, struct hybrid_alloc_grow *grow)
{
	return call(fd, HYBRID_ALLOC_IOC_GROW, grow);
}

int hybrid_alloc_watch_space(int fd, struct hybrid_alloc_watch *watch)
{
	return call(fd, HYBRID_ALLOC_IOC_WATCH, watch);
}

int hybrid_alloc_reserve_space(int fd, struct hybrid_alloc_reserve *reserve)
{
	return call(fd, HYBRID_ALLOC_IOC_RESERVE, reserve);
}

int hybrid_alloc_unreserve_space(int fd, struct hybrid_alloc_reserve *reserve)
{
	return call(fd, HYBRID_ALLOC_IOC_UNRESERVE, reserve);
}

int hybrid_alloc_read_map(int fd, struct hybrid_alloc_map_entry *entries,
			  struct hybrid_alloc_map *map)
{
	map->items = (uintptr_t)entries;
	return call(fd, HYBRID_ALLOC_IOC_MAP, map);
}

struct hybrid_alloc_map_iter {
	int fd;
	bool bounded;		/* the caller gave a length */
	uint64_t pos, end;	/* the part that is not read yet */
	uint32_t next, nr;	/* of the entries in page[] */
	struct hybrid_alloc_map_entry page[HYBRID_ALLOC_MAX_ITEMS];
};

int hybrid_alloc_map_begin(int fd, uint64_t start, uint64_t len,
			   struct hybrid_alloc_map_iter **iter)
{
	struct hybrid_alloc_map_iter *it = malloc(sizeof(*it));

	*iter = it;
	if (!it)
		return -ENOMEM;
	it->fd = fd;
	it->bounded = len;
	it->pos = start;
	it->end = start + len;
	it->next = 0;
	it->nr = 0;
	return 0;
}

static int next_page(struct hybrid_alloc_map_iter *it)
{
	struct hybrid_alloc_map map = {
		.size = sizeof(map), .nr = ARRAY_SIZE(it->page), .item_size = sizeof(it->page[0]),
		.start = it->pos, .len = it->bounded ? it->end - it->pos : 0,
	};
	const struct hybrid_alloc_map_entry *last;
	int err;

	/* The last extent may end after the part of interest. */
	if (it->bounded && it->pos >= it->end && it->nr)
		return 0;
	err = hybrid_alloc_read_map(it->fd, it->page, &map);
	if (err)
		return err;
	it->next = 0;
	it->nr = map.nr_entries;
	if (!it->nr)
		return 0;
	last = &it->page[it->nr - 1];
	it->pos = last->start + last->len;
	return 1;
}

int hybrid_alloc_map_next(struct hybrid_alloc_map_iter *it, struct hybrid_alloc_map_entry *entry,
			  size_t size)
{
	int ret;

	if (it->next == it->nr) {
		ret = next_page(it);
		if (ret <= 0)
			return ret;
	}
	if (size > sizeof(*entry)) {
		/* A newer caller: clear the fields that this library does not know. */
		memset(entry, 0, size);
		size = sizeof(*entry);
	}
	memcpy(entry, &it->page[it->next++], size);
	return 1;
}

void hybrid_alloc_map_end(struct hybrid_alloc_map_iter *it)
{
	free(it);
}
