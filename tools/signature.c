// SPDX-License-Identifier: GPL-2.0
/* What libblkid finds on a disk. */

#include <blkid.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hybridctl.h"

static const char *value(blkid_probe probe, const char *name)
{
	const char *data = NULL;

	return blkid_probe_lookup_value(probe, name, &data, NULL) ? NULL : data;
}

/* Appends a description of the probe's current result, unless it is there already. */
static void describe(blkid_probe probe, char **found)
{
	const char *type = value(probe, "TYPE"), *label = value(probe, "LABEL");
	const char *usage = value(probe, "USAGE"), *what = "partition table";
	char *item, *joined;

	if (type)
		what = !usage || !strcmp(usage, "filesystem") ? "file system" :
		       !strcmp(usage, "raid") ? "RAID or volume manager member" :
		       !strcmp(usage, "crypto") ? "encrypted volume" :
		       !strcmp(type, "swap") ? "space" : "signature";
	else
		type = value(probe, "PTTYPE");
	if (!type)
		return;

	item = label ? text("%s %s labelled '%s'", type, what, label) : text("%s %s", type, what);
	if (!*found) {
		*found = item;
		return;
	}
	if (!strstr(*found, item)) {
		joined = text("%s, %s", *found, item);
		free(*found);
		*found = joined;
	}
	free(item);
}

char *find_signatures(int fd, int *err)
{
	blkid_probe probe = blkid_new_probe();
	char *found = NULL;
	int ret;

	*err = 0;
	errno = 0;
	if (!probe || blkid_probe_set_device(probe, fd, 0, 0)) {
		*err = errno ? errno : EIO;
		goto out;
	}

	/* As wipefs does: a slightly damaged signature may also be worth keeping. */
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE |
					  BLKID_SUBLKS_LABEL | BLKID_SUBLKS_MAGIC |
					  BLKID_SUBLKS_BADCSUM);
	blkid_probe_enable_partitions(probe, 1);
	blkid_probe_set_partitions_flags(probe, BLKID_PARTS_MAGIC | BLKID_PARTS_FORCE_GPT);

	while (!(ret = blkid_do_probe(probe)))
		describe(probe, &found);
	if (ret < 0 && !found)
		*err = errno ? errno : EIO;
out:
	blkid_free_probe(probe);
	return found;
}
