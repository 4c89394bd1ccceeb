// SPDX-License-Identifier: GPL-2.0
/* The device, divided into cells that can be drawn. */

#include <stdlib.h>

#include "hybridctl.h"

const char *const part_names[NR_PARTS] = {
	[PART_USED] = "elsewhere",
	[PART_EQUAL] = "equal slabs",
	[PART_MIXED] = "mixed slabs",
	[PART_BUDDY] = "buddy blocks",
	[PART_SPAN] = "over several",
	[PART_CACHED] = "cached",
	[PART_HELD] = "held",
	[PART_FREE] = "free",
	[PART_TAIL] = "tail",
};

static enum map_part part_of(const struct hybrid_alloc_map_entry *e)
{
	switch (e->state) {
	case HYBRID_ALLOC_MAP_LIVE:
		return e->kind < NR_USED_PARTS ? (enum map_part)e->kind : PART_USED;
	case HYBRID_ALLOC_MAP_CACHED:
		return PART_CACHED;
	case HYBRID_ALLOC_MAP_HELD:
		return PART_HELD;
	default:
		return PART_FREE;
	}
}

/* Counts a part of the device, from @at bytes after its start, to the cells it touches. */
static void add_part(struct picture *p, enum map_part part, __u64 at, __u64 len)
{
	p->bytes[part] += len;
	while (len) {
		__u64 rest = p->cell_len - at % p->cell_len, n = len < rest ? len : rest;

		p->cells[at / p->cell_len][part] += n;
		at += n;
		len -= n;
	}
}

/* Others may be at work: what was counted up to an address stays as it was. */
struct paint {
	struct picture *picture;
	__u64 at;
};

static bool paint_part(void *context, const struct hybrid_alloc_map_entry *e)
{
	struct paint *paint = context;
	struct picture *p = paint->picture;
	__u64 begin = e->start, end = e->start + e->len, last = p->info.range_start;

	if (begin < paint->at)
		begin = paint->at;
	last += p->info.range_len;
	if (end > last)
		end = last;
	if (end <= begin)
		return true;
	add_part(p, part_of(e), begin - p->info.range_start, end - begin);
	p->nr_extents += e->state == HYBRID_ALLOC_MAP_LIVE;
	paint->at = end;
	return true;
}

bool picture_take(struct picture *p, int fd, const char *path, size_t max_cells)
{
	struct paint paint = { .picture = p };
	__u64 block;

	*p = (struct picture){ };
	if (!node_info(fd, path, &p->info) || !node_stat(fd, path, true, &p->stat))
		return false;
	block = p->info.min_block;
	p->len = p->info.range_len + p->stat.unusable;
	p->cell_len = (p->len - 1) / max_cells + 1;
	p->cell_len = (p->cell_len + block - 1) / block * block;
	p->nr_cells = (p->len - 1) / p->cell_len + 1;
	p->cells = must(calloc(p->nr_cells, sizeof(*p->cells)));
	if (!walk_map(fd, path, 0, paint_part, &paint))
		return false;
	add_part(p, PART_TAIL, p->info.range_len, p->stat.unusable);
	return true;
}

__u64 picture_used(const __u64 *bytes, enum map_part *main)
{
	enum map_part most = PART_EQUAL;
	__u64 used = 0;

	for (enum map_part part = 0; part < NR_USED_PARTS; part++) {
		used += bytes[part];
		if (bytes[part] > bytes[most])
			most = part;
	}
	if (main)
		*main = most;
	return used;
}

__u64 picture_percent_tenths(const struct picture *p, __u64 bytes)
{
	return ((__uint128_t)bytes * 1000 + p->len / 2) / p->len;
}
