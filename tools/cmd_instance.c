// SPDX-License-Identifier: GPL-2.0
/* attach, detach, list, info: the instances. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "hybridctl.h"
#include "common/size.h"

enum {
	INFO_NODE, INFO_ID, INFO_DISK, INFO_MAJ_MIN, INFO_STATE, INFO_RANGE_START, INFO_RANGE_LEN,
	INFO_USER, INFO_MIN_BLOCK, INFO_MAX_BLOCK, INFO_SLAB_MAX, INFO_BUDDY_START, INFO_UUID,
	INFO_EPOCH, INFO_FEATURES, NR_INFO
};

#define LONG	(IN_LIST | IN_JSON)

static const struct column info_columns[NR_INFO] = {
	[INFO_NODE] = { "NODE", COLUMN_TEXT, IN_ALL, "device node of the instance" },
	[INFO_ID] = { "ID", COLUMN_NUMBER, LONG, "its number" },
	[INFO_DISK] = { "DISK", COLUMN_TEXT, IN_ALL, "block device whose space it hands out" },
	[INFO_MAJ_MIN] = { "MAJ:MIN", COLUMN_TEXT, LONG, "number of that device" },
	[INFO_STATE] = { "STATE", COLUMN_TEXT, IN_ALL,
		"ready; rebuild: sealed, claim its extents, then seal; gone: the disk went away" },
	[INFO_RANGE_START] = { "RANGE_START", COLUMN_SIZE, IN_ALL,
		"first byte of the managed range" },
	[INFO_RANGE_LEN] = { "RANGE_LEN", COLUMN_SIZE, IN_ALL, "length of the managed range" },
	[INFO_USER] = { "USER", COLUMN_TEXT, IN_ALL | MAY_BE_EMPTY,
		"name of the user in the kernel; none if the disk was attached" },
	[INFO_MIN_BLOCK] = { "MIN_BLOCK", COLUMN_SIZE, LONG,
		"size of a block; sizes are rounded up to it" },
	[INFO_MAX_BLOCK] = { "MAX_BLOCK", COLUMN_LIMIT, LONG,
		"largest single extent; in bytes, 0 is no limit" },
	[INFO_SLAB_MAX] = { "SLAB_MAX", COLUMN_SIZE, LONG,
		"largest size served from slabs" },
	[INFO_BUDDY_START] = { "BUDDY_START", COLUMN_SIZE, LONG,
		"size of a unit, the smallest block of the buddy" },
	[INFO_UUID] = { "UUID", COLUMN_TEXT, LONG, "random, new with every attach" },
	[INFO_EPOCH] = { "EPOCH", COLUMN_NUMBER, LONG,
		"changes whenever extents may have been lost" },
	[INFO_FEATURES] = { "FEATURES", COLUMN_NUMBER, LONG,
		"bits for what the module can do beyond its first version" },
};

static void info_row(struct table *t, const struct hybrid_alloc_info *info)
{
	char *node = text(HYBRID_ALLOC_NODE_FORMAT, info->id);
	char *number = text("%u:%u", info->dev_major, info->dev_minor);
	const char *state = info->state & HYBRID_ALLOC_STATE_GONE ? "gone" :
			    info->state & HYBRID_ALLOC_STATE_SEALED ? "rebuild" : "ready";
	const __u8 *u = info->uuid;
	char *uuid = text("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
			  u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11],
			  u[12], u[13], u[14], u[15]);
	char *disk = disk_name(info), *user = user_name(info);
	union cell cells[NR_INFO] = {
		[INFO_NODE].text = node,
		[INFO_ID].number = info->id,
		[INFO_DISK].text = disk,
		[INFO_MAJ_MIN].text = number,
		[INFO_STATE].text = state,
		[INFO_RANGE_START].number = info->range_start,
		[INFO_RANGE_LEN].number = info->range_len,
		[INFO_USER].text = user,
		[INFO_MIN_BLOCK].number = info->min_block,
		[INFO_MAX_BLOCK].number = info->max_block,
		[INFO_SLAB_MAX].number = info->slab_max,
		[INFO_BUDDY_START].number = info->buddy_start,
		[INFO_UUID].text = uuid,
		[INFO_EPOCH].number = info->epoch,
		[INFO_FEATURES].number = info->features,
	};

	table_row(t, cells);
	free(node);
	free(number);
	free(uuid);
	free(user);
	free(disk);
}

static int cmd_list(const struct command *cmd, const struct args *args)
{
	struct hybrid_alloc_info info = { };
	struct table *t = table_new(cmd, args);
	int ret;

	if (!t)
		return EXIT_USAGE;
	while ((ret = next_instance(&info)) > 0)
		info_row(t, &info);
	if (ret < 0)
		return EXIT_FAILED;
	table_finish(t);
	return EXIT_OK;
}

static int cmd_info(const struct command *cmd, const struct args *args)
{
	struct table *t = table_new(cmd, args);

	if (!t)
		return EXIT_USAGE;
	for (int i = 0; i < args->nr_words; i++) {
		const char *path = node_path(args->words[i]);
		int fd = open_node(path, O_RDONLY);
		struct hybrid_alloc_info data;

		if (fd < 0 || !node_info(fd, path, &data))
			return EXIT_FAILED;
		info_row(t, &data);
		close(fd);
	}
	table_finish(t);
	return EXIT_OK;
}

/* Attach and detach */

/*
 * A disk with data on it is refused without --force. For a rebuild the data may well be that of
 * the engine.
 */
static bool disk_is_blank(int fd, const char *device, bool fresh)
{
	struct stat st;
	char *found;
	int err;

	/* libblkid cannot read anything else; the kernel says what is wrong with it. */
	if (!fstat(fd, &st) && !S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode))
		return true;
	found = find_signatures(fd, &err);
	if (found && !fresh) {
		complain("refusing to attach %s: there is data on it (%s). If it is that of the "
			 "program whose extents you will claim, attach with --force: without --fresh "
			 "nothing on the disk changes. If it is no longer needed, `wipefs --all %s` "
			 "erases its signature.",
			 device, found, device);
	} else if (found) {
		complain("refusing to attach %s: there is data on it (%s). If it is no longer "
			 "needed, erase its signature with `wipefs --all %s`, or attach with "
			 "--fresh --force.",
			 device, found, device);
	}
	if (found) {
		free(found);
		return false;
	}
	if (err) {
		complain("cannot look for data on %s: %s (%s). Check the disk, or attach with "
			 "--force if it is certain that nothing on it is needed.",
			 device, strerror(err), strerrorname_np(err));
		return false;
	}
	return true;
}

/*
 * A partition that does not begin at a multiple of the block: all that the allocator aligns is not
 * aligned on the disk, and each block may be two of the disk's.
 */
static void warn_of_misalignment(const char *device, int fd, __u64 block)
{
	char *path = NULL;
	__u64 start = 0;
	struct stat st;
	FILE *file;

	if (fstat(fd, &st))
		return;
	path = text("/sys/dev/block/%u:%u/start", major(st.st_rdev), minor(st.st_rdev));
	file = fopen(path, "re");
	free(path);
	if (!file)
		return;		/* no partition */
	if (fscanf(file, "%llu", &start) == 1 && start * 512 % block) {
		char *size = must(size_exact(block));

		complain("%s begins at byte %llu of its disk, which is no multiple of %s: reads "
			 "and writes may be slow. A partition that begins at a multiple of 1 MiB "
			 "has aligned blocks.",
			 device, start * 512, size);
		free(size);
	}
	fclose(file);
}

static int cmd_attach(const struct command *cmd, const struct args *args)
{
	const char *device = args->words[0];
	struct hybrid_alloc_attach attach = {
		.size = sizeof(attach),
		.flags = !args->fresh ? 0 : HYBRID_ALLOC_ATTACH_FRESH |
			 (args->force ? HYBRID_ALLOC_ATTACH_OVERWRITE : 0),
		.range_start = args->range_start,
		.range_len = args->range_len,
		.min_block = args->min_block,
		.max_block = args->max_block,
		.slab_max = args->slab_max,
		.buddy_start = args->buddy_start,
	};
	struct hybrid_alloc_info data = { .size = sizeof(data) };
	struct table *t = NULL;
	int err;

	if (wants_table(args)) {
		t = table_new(cmd, args);
		if (!t)
			return EXIT_USAGE;
	}

	/* Not O_EXCL: the module opens the disk exclusively, and says whether it could. */
	attach.fd = open(device, O_RDWR | O_CLOEXEC);
	if (attach.fd < 0)
		return failed(explain(cmd->name, errno, 0, NULL, "open %s", device));
	if (!args->force && !disk_is_blank(attach.fd, device, args->fresh))
		return EXIT_FAILED;
	err = hybrid_alloc_attach_disk(NULL, &attach);
	if (err)
		return control_failed(explain(cmd->name, -err, 0, NULL, "attach %s", device));

	warn_of_misalignment(device, attach.fd, args->min_block ?: 4096);
	if (t) {
		data.id = attach.id;
		err = hybrid_alloc_lookup(&data);
		if (err)
			return control_failed(explain(cmd->name, -err, 0, NULL,
						      "get information on instance %u",
						      attach.id));
		info_row(t, &data);
		table_finish(t);
	} else {
		printf(HYBRID_ALLOC_NODE_FORMAT "\n", attach.id);
	}
	if (!args->fresh)
		complain("%s is attached for a rebuild: claim the extents that are in use "
			 "(`hybridctl claim %u --file CATALOGUE`), then `hybridctl seal %u`; alloc "
			 "fails until then. For an empty disk there is --fresh.",
			 device, attach.id, attach.id);
	return EXIT_OK;
}

/* The disk of an instance, open for --wipe. -1 after a complaint. */
static int open_disk(const struct hybrid_alloc_info *info)
{
	char *name = disk_name(info), *path = text("/dev/%s", name);
	struct stat st;
	int fd;

	for (char *c = path; *c; c++)	/* as the kernel writes cciss/c0d0 */
		*c = *c == '!' ? '/' : *c;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0 && !fstat(fd, &st) && S_ISBLK(st.st_mode) &&
	    st.st_rdev == makedev(info->dev_major, info->dev_minor))
		goto out;
	if (fd >= 0) {
		close(fd);
		errno = ENODEV;
		fd = -1;
	}
	complain("cannot open the disk %s to wipe it: %s (%s). Nothing was detached; without "
		 "--wipe it can be.",
		 path, strerror(errno), strerrorname_np(errno));
out:
	free(path);
	free(name);
	return fd;
}

#define WIPE_LEN	(1ULL << 20)

static bool write_zeroes(int fd, __u64 start, __u64 end)
{
	static const char zeroes[1 << 16];

	while (start < end) {
		size_t len = end - start < sizeof(zeroes) ? end - start : sizeof(zeroes);
		ssize_t done = pwrite(fd, zeroes, len, start);

		if (done <= 0)
			return false;
		start += done;
	}
	return true;
}

/* Zeroes what a fresh attach looks at, unless the disk has found another user. */
static bool wipe(int fd, const struct hybrid_alloc_info *info)
{
	__u64 start = info->range_start, end = start + info->range_len;
	__u64 len = info->range_len < WIPE_LEN ? info->range_len : WIPE_LEN;
	char *path = text("/proc/self/fd/%d", fd);
	int own = open(path, O_RDWR | O_EXCL | O_CLOEXEC);
	bool done;

	free(path);
	if (own < 0)
		return false;
	done = write_zeroes(own, start, start + len) && write_zeroes(own, end - len, end) &&
	       !fsync(own);
	close(own);
	return done;
}

/* False after a complaint. */
static bool detach_info(const struct command *cmd, const char *path,
			struct hybrid_alloc_info *info)
{
	int fd, err;
	bool ok;

	*info = (struct hybrid_alloc_info){ .size = sizeof(*info) };
	if (!node_number(path, &info->id)) {
		fd = open_node(path, O_RDONLY);
		ok = fd >= 0 && node_info(fd, path, info);
		if (fd >= 0)
			close(fd);
		return ok;
	}
	err = hybrid_alloc_lookup(info);
	if (err)
		control_failed(explain(cmd->name, -err, 0, path, "detach %s", path));
	return !err;
}

/* What is live, or NULL: nothing, or it cannot be told, as the disk is gone. */
static char *detach_live(const struct hybrid_alloc_info *info)
{
	struct hybrid_alloc_stat stat = { .size = sizeof(stat) };
	char *path = text(HYBRID_ALLOC_NODE_FORMAT, info->id), *live = NULL;
	int fd = hybrid_alloc_open(path, O_RDONLY);

	if (fd >= 0) {
		if (!hybrid_alloc_get_stat(fd, &stat) && stat.nr_live)
			live = live_extents(&stat);
		hybrid_alloc_close(fd);
	}
	free(path);
	return live;
}

static int cmd_detach(const struct command *cmd, const struct args *args)
{
	const char *path = node_path(args->words[0]);
	struct hybrid_alloc_info info;
	char *live, *disk;
	int fd = -1, err;

	if (!detach_info(cmd, path, &info))
		return EXIT_FAILED;
	if (args->wipe && !args->force && (info.state & HYBRID_ALLOC_STATE_SEALED)) {
		complain("refusing to wipe: %s is attached for a rebuild, so there may be data on "
			 "it that is needed. Seal it first, detach it without --wipe, or give "
			 "--force, too.", path);
		return EXIT_FAILED;
	}
	if (args->wipe) {
		fd = open_disk(&info);
		if (fd < 0)
			return EXIT_FAILED;
	}
	live = args->force ? detach_live(&info) : NULL;
	err = hybrid_alloc_detach_disk(info.id, args->force ? HYBRID_ALLOC_DETACH_FORCE : 0);
	if (err)
		return control_failed(explain(cmd->name, -err, 0, path, "detach %s", path));
	disk = disk_name(&info);
	if (args->wipe && !wipe(fd, &info)) {
		complain("%s is detached from %s, but not wiped: %s (%s). Zero the first and the "
			 "last MiB of its range with dd, or attach it with --fresh --force.",
			 disk, path, strerror(errno), strerrorname_np(errno));
		return EXIT_FAILED;
	}
	printf("%s is detached from %s%s%s%s%s\n", disk, path, args->force ? " by force" : "",
	       live ? ", and forgotten: " : "", live ? live : "",
	       args->wipe ? "; the first and the last MiB of its range are zero" : "");
	free(live);
	free(disk);
	return EXIT_OK;
}

const struct command attach_command = {
	.name = "attach",
	.run = cmd_attach,
	.options = OPTS_TABLE | BIT(OPT_FRESH) | BIT(OPT_FORCE) | BIT(OPT_RANGE) |
		   BIT(OPT_MIN_BLOCK) | BIT(OPT_MAX_BLOCK) | BIT(OPT_SLAB_MAX) |
		   BIT(OPT_BUDDY_START),
	.min_words = 1, .max_words = 1,
	.words = "DEVICE",
	.summary = "attach a block device",
	.description =
		"Makes an instance that allocates the space of the block device DEVICE, and prints its "
		"node. The module opens the device exclusively: it cannot be mounted, and programs that "
		"use their extents must open it without O_EXCL. Its data is not touched.\n"
		"The allocator keeps no record on the disk. With --fresh all space is free, for a blank "
		"disk: the first and the last MiB of the range must be zero. Without it "
		"the instance is attached for a rebuild, and sealed: claim the extents that are in use "
		"with `hybridctl claim`, from the catalogue of the program that stores data there, then "
		"run `hybridctl seal`. Nothing can be allocated until then.\n"
		"A disk with a known signature, of a file system or a partition table for example, is "
		"refused without --force; `wipefs --all DEVICE` erases signatures. For a rebuild, --force is "
		"right if it is the data of the program whose extents are claimed: without --fresh nothing "
		"on the disk changes. `hybridctl detach --wipe` leaves a disk that --fresh takes again. A disk is always "
		"refused if it is mounted, held by another user, read-only, zoned or too small, or if its "
		"logical block is larger than --min-block, or if it has a durable instance of a later "
		"version. Needs CAP_SYS_ADMIN.",
	.examples =
		"hybridctl attach --fresh /dev/vdb\n"
		"Allocate from all of an empty disk.\n"
		"hybridctl attach --range 1M,10G /dev/vdb\n"
		"Rebuild an instance on 10 GiB from byte 1048576; the program's superblock is before that.\n",
	.table = "instances",
	.columns = info_columns, .nr_columns = NR_INFO,
};

const struct command detach_command = {
	.name = "detach",
	.run = cmd_detach,
	.options = BIT(OPT_DETACH_FORCE) | BIT(OPT_WIPE),
	.min_words = 1, .max_words = 1,
	.words = "NODE",
	.summary = "detach a block device",
	.description =
		"Ends the instance and releases its block device, and says what it did. An instance with "
		"live extents or open files is refused without --force.",
	.examples =
		"hybridctl detach 0\n"
		"Detach /dev/hybrid_alloc0.\n"
		"hybridctl detach --wipe 0\n"
		"Detach it, and zero the ends of its range, so that `hybridctl attach --fresh` takes it again.\n",
};

const struct command list_command = {
	.name = "list",
	.run = cmd_list,
	.options = OPTS_TABLE,
	.summary = "list the instances",
	.description =
		"Lists all instances, one a line; prints nothing if there are none. Users in the kernel, "
		"such as file systems, have instances, too. Their nodes can be read, by stat, map and info "
		"for example, and they end with their user only. Any user may run it.",
	.examples =
		"hybridctl list --noheadings --raw --output NODE\n"
		"Print only the nodes, for a script.\n",
	.table = "instances",
	.columns = info_columns, .nr_columns = NR_INFO,
};

const struct command info_command = {
	.name = "info",
	.run = cmd_info,
	.options = OPTS_TABLE,
	.min_words = 1, .max_words = INT_MAX,
	.words = "NODE...",
	.summary = "show information about instances",
	.description =
		"Shows the disk, range, state and configuration of instances, one value a line. With "
		"--json, --raw or --output, prints one line per instance and one column per value.",
	.examples =
		"hybridctl info 0\n"
		"Show all of /dev/hybrid_alloc0.\n",
	.table = "instances",
	.columns = info_columns, .nr_columns = NR_INFO, .as_list = true,
};
