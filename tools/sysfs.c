// SPDX-License-Identifier: GPL-2.0
/* The instances as sysfs shows them to every user: the control node is root's. */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hybridctl.h"

#define CLASS	"/sys/class/misc"

/* The first line of a file, without the newline. False if it cannot be read. */
static bool read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");
	bool ok = file && fgets(line, size, file);

	if (ok)
		line[strcspn(line, "\n")] = 0;
	if (file)
		fclose(file);
	return ok;
}

static bool read_text(__u32 id, const char *name, char *line, size_t size)
{
	char *path = text(CLASS "/hybrid_alloc%u/%s", id, name);
	bool ok = read_line(path, line, size);

	free(path);
	return ok;
}

static bool read_number(__u32 id, const char *name, __u64 *number)
{
	char line[32], *end;

	if (!read_text(id, name, line, sizeof(line)))
		return false;
	*number = strtoull(line, &end, 10);
	return end != line && !*end;
}

static bool read_uuid(__u32 id, __u8 *uuid)
{
	char line[40];
	const char *c = line;

	if (!read_text(id, "uuid", line, sizeof(line)))
		return false;
	for (int i = 0; i < 16; i++, c += 2) {
		c += *c == '-';
		if (sscanf(c, "%2hhx", &uuid[i]) != 1)
			return false;
	}
	return true;
}

static bool read_info(__u32 id, struct hybrid_alloc_info *info)
{
	char disk[sizeof(info->disk)], user[sizeof(info->user)], number[32], *path;
	__u64 sealed, gone;

	*info = (struct hybrid_alloc_info){ .size = sizeof(*info), .id = id };
	if (!read_text(id, "disk", disk, sizeof(disk)) ||
	    !read_text(id, "user", user, sizeof(user)) || !read_uuid(id, info->uuid) ||
	    !read_number(id, "sealed", &sealed) || !read_number(id, "gone", &gone) ||
	    !read_number(id, "epoch", &info->epoch) ||
	    !read_number(id, "features", &info->features) ||
	    !read_number(id, "range_start", &info->range_start) ||
	    !read_number(id, "range_len", &info->range_len) ||
	    !read_number(id, "min_block", &info->min_block) ||
	    !read_number(id, "max_block", &info->max_block) ||
	    !read_number(id, "slab_max", &info->slab_max) ||
	    !read_number(id, "buddy_start", &info->buddy_start))
		return false;
	strcpy((char *)info->disk, disk);
	strcpy((char *)info->user, user);
	info->state = (sealed ? HYBRID_ALLOC_STATE_SEALED : 0) |
		      (gone ? HYBRID_ALLOC_STATE_GONE : 0) |
		      (*user ? HYBRID_ALLOC_STATE_KERNEL : 0);
	/* not there any more once the disk has gone */
	path = text("/sys/class/block/%s/dev", disk);
	if (read_line(path, number, sizeof(number)))
		sscanf(number, "%u:%u", &info->dev_major, &info->dev_minor);
	free(path);
	return true;
}

int sysfs_lookup_next(struct hybrid_alloc_info *info)
{
	__u64 from = info->id, best;

	for (;; from = best + 1) {
		DIR *dir = opendir(CLASS);
		struct dirent *entry;

		if (!dir)
			return -ENODEV;
		best = ~0ULL;
		while ((entry = readdir(dir))) {
			unsigned int id;
			int end = 0;

			if (sscanf(entry->d_name, "hybrid_alloc%u%n", &id, &end) == 1 &&
			    !entry->d_name[end] && id >= from && id < best)
				best = id;
		}
		closedir(dir);
		if (best == ~0ULL)
			return -ENODEV;
		/* one that was just detached is skipped */
		if (read_info(best, info))
			return 0;
	}
}
