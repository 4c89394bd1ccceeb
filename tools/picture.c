// SPDX-License-Identifier: GPL-2.0
/* The device, divided into cells to be drawn. */

#include <stdlib.h>

#include "hybridctl.h"
#include "common/size.h"

const char *const part_names[NR_PARTS] = {
	[PART_USED] = "unknown",
	[PART_EQUAL] = "slabs",
	[PART_MIXED] = "mixed parts",
	[PART_BUDDY] = "buddy blocks",
	[PART_SPAN] = "spans",
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

/* Adds @len bytes at @at, from the start of the managed range, to the cells they are in. */
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

/* Entries of different pages may overlap. The first one counts. */
struct paint {
	struct picture *picture;
	__u64 at;	/* end of what was counted */
};

static bool paint_entry(void *context, const struct hybrid_alloc_map_entry *e)
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
	if (!walk_map(fd, path, 0, paint_entry, &paint))
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

char *picture_percent(const struct picture *p, __u64 bytes)
{
	__u64 tenths = ((__uint128_t)bytes * 1000 + p->len / 2) / p->len;

	return text("%llu.%llu", tenths / 10, tenths % 10);
}

char *picture_summary(const struct picture *p)
{
	char *len = must(size_short(p->len)), *largest = must(size_short(p->stat.largest_free_run));
	char *summary = text("%s, %llu live extents, %llu free runs, the largest %s", len,
			     p->nr_extents, p->stat.nr_free_runs, largest);

	free(len);
	free(largest);
	return summary;
}
