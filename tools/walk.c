// SPDX-License-Identifier: GPL-2.0
/* Through the pages of MAP. */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "hybridctl.h"

/* Return: number of parts, 0 at the end, below 0 after a complaint */
static int read_page(int fd, const char *path, __u64 start,
		     struct hybrid_alloc_map_entry *parts)
{
	struct hybrid_alloc_map map = {
		.size = sizeof(map),
		.flags = HYBRID_ALLOC_MAP_KINDS,
		.items = (uintptr_t)parts,
		.nr = HYBRID_ALLOC_MAX_ITEMS,
		.item_size = sizeof(*parts),
		.start = start,
	};

	if (!ioctl(fd, HYBRID_ALLOC_IOC_MAP, &map))
		return map.nr_entries;
	failed(explain("map", errno, 0, path, "read the map of %s", path));
	return -1;
}

bool walk_map(int fd, const char *path, __u64 start,
	      bool (*visit)(void *context, const struct hybrid_alloc_map_entry *part),
	      void *context)
{
	struct hybrid_alloc_map_entry *parts = must(calloc(HYBRID_ALLOC_MAX_ITEMS,
							   sizeof(*parts)));
	int nr;

	while ((nr = read_page(fd, path, start, parts)) > 0) {
		int i = 0;

		while (i < nr && visit(context, &parts[i]))
			i++;
		if (i < nr) {
			nr = 0;
			break;
		}
		start = parts[nr - 1].start + parts[nr - 1].len;
	}
	free(parts);
	return !nr;
}
