// SPDX-License-Identifier: GPL-2.0
/* Reads the map page by page. */

#include <stdlib.h>

#include "hybridctl.h"

/* Return: the number of entries, 0 at the end, below 0 after a complaint */
static int read_page(int fd, const char *path, __u64 start,
		     struct hybrid_alloc_map_entry *entries)
{
	struct hybrid_alloc_map map = {
		.size = sizeof(map),
		.flags = HYBRID_ALLOC_MAP_KINDS,
		.nr = HYBRID_ALLOC_MAX_ITEMS,
		.item_size = sizeof(*entries),
		.start = start,
	};
	int err = hybrid_alloc_read_map(fd, entries, &map);

	if (!err)
		return map.nr_entries;
	failed(explain("map", -err, 0, path, "read the map of %s", path));
	return -1;
}

bool walk_map(int fd, const char *path, __u64 start,
	      bool (*visit)(void *context, const struct hybrid_alloc_map_entry *entry),
	      void *context)
{
	struct hybrid_alloc_map_entry *entries = must(calloc(HYBRID_ALLOC_MAX_ITEMS,
							     sizeof(*entries)));
	int nr;

	while ((nr = read_page(fd, path, start, entries)) > 0) {
		int i = 0;

		while (i < nr && visit(context, &entries[i]))
			i++;
		if (i < nr) {
			nr = 0;
			break;
		}
		start = entries[nr - 1].start + entries[nr - 1].len;
	}
	free(entries);
	return !nr;
}
