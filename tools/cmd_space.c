// SPDX-License-Identifier: GPL-2.0
/* trim, grow: free space is discarded, or the disk has grown. */

#include <errno.h>
#include <fcntl.h>

#include "hybridctl.h"

/* trim */

enum { TRIM_NODE, TRIM_TRIMMED, NR_TRIM };

static const struct column trim_columns[NR_TRIM] = {
	[TRIM_NODE] = { "NODE", COLUMN_TEXT, IN_ALL, "device node of the instance" },
	[TRIM_TRIMMED] = { "TRIMMED", COLUMN_SIZE, IN_ALL, "space that was discarded" },
};

/*
 * A single call would show no progress and could not be interrupted. But a run that is cut
 * between two pieces may become too short to be trimmed, so pieces are large.
 */
enum { NR_PIECES = 64 };
#define MIN_PIECE	(1ULL << 30)

static __u64 piece_of(__u64 len, __u64 minlen)
{
	__u64 piece = len / NR_PIECES;

	if (piece < MIN_PIECE)
		piece = MIN_PIECE;
	return minlen > piece / 16 ? len : piece;
}

/* Return: 0 or -errno; *@trimmed is set to the sum in either case */
static int trim_pieces(int fd, __u64 start, __u64 len, __u64 minlen, __u64 *trimmed)
{
	struct progress *progress = progress_start_to("trim", "bytes", len);
	__u64 piece = piece_of(len, minlen);
	int err;

	/* At least once: the kernel refuses a length of 0. */
	*trimmed = 0;
	do {
		struct hybrid_alloc_trim trim = {
			.size = sizeof(trim),
			.start = start,
			.len = len < piece ? len : piece,
			.minlen = minlen,
		};

		err = interrupted ? -EINTR : hybrid_alloc_trim_range(fd, &trim);
		*trimmed += trim.trimmed;
		progress_step(progress, trim.len);
		start += trim.len;
		len -= trim.len;
	} while (len && !err);
	progress_end(progress);
	return err;
}

/* Cuts the part to trim to the managed range; if nothing is left, the kernel explains why. */
static void cut_to_range(const struct args *args, const struct hybrid_alloc_info *info,
			 __u64 *start, __u64 *len)
{
	__u64 end = info->range_start + info->range_len, begin = args->offset, last;

	*start = begin;
	*len = args->has_length ? args->length : 1;
	if (begin < info->range_start)
		begin = info->range_start;
	if (!args->has_length || __builtin_add_overflow(args->offset, args->length, &last) ||
	    last > end)
		last = end;
	if (last <= begin)
		return;
	*start = begin;
	*len = last - begin;
}

static int cmd_trim(const struct command *cmd, const struct args *args)
{
	const char *path = node_path(args->words[0]);
	struct table *t = table_new(cmd, args);
	struct hybrid_alloc_info info;
	union cell cells[NR_TRIM];
	__u64 start, len, trimmed;
	int fd, err;

	if (!t)
		return EXIT_USAGE;
	fd = open_node(path, O_RDWR);
	if (fd < 0 || !node_info(fd, path, &info))
		return EXIT_FAILED;
	cut_to_range(args, &info, &start, &len);
	catch_signals();
	err = trim_pieces(fd, start, len, args->minimum, &trimmed);
	cells[TRIM_NODE].text = path;
	cells[TRIM_TRIMMED].number = trimmed;
	table_row(t, cells);
	table_finish(t);
	if (err)
		return failed(explain(cmd->name, -err, 0, path, "trim %s", path));
	return EXIT_OK;
}

const struct command trim_command = {
	.name = "trim",
	.run = cmd_trim,
	.options = OPTS_TABLE | BIT(OPT_OFFSET) | BIT(OPT_LENGTH) | BIT(OPT_MINIMUM),
	.min_words = 1, .max_words = 1,
	.words = "NODE",
	.summary = "discard free space",
	.description =
		"Discards the free space of the instance, as fstrim does for a file system, so that "
		"flash does not preserve it and a thin disk releases it. Live extents are not touched, "
		"and other callers can allocate and free at the same time. Prints how much was "
		"discarded.\n"
		"A free run is trimmed as far as the disk's discard granularity allows. Large ranges are "
		"trimmed in up to 64 pieces of at least 1 GiB; a signal ends it after the current piece.",
	.examples =
		"hybridctl trim 0\n"
		"Discard all free space of /dev/hybrid_alloc0.\n"
		"hybridctl trim --offset 1G --length 2G --minimum 1M 0\n"
		"Discard in a part of it, and only runs of at least 1 MiB.\n",
	.table = "trim",
	.columns = trim_columns, .nr_columns = NR_TRIM,
};

/* grow */

enum { GROW_NODE, GROW_CAPACITY, GROW_GROWN, NR_GROW };

static const struct column grow_columns[NR_GROW] = {
	[GROW_NODE] = { "NODE", COLUMN_TEXT, IN_ALL, "device node of the instance" },
	[GROW_CAPACITY] = { "CAPACITY", COLUMN_SIZE, IN_ALL, "the managed range now" },
	[GROW_GROWN] = { "GROWN", COLUMN_SIZE, IN_ALL, "by how much it has grown" },
};

static int cmd_grow(const struct command *cmd, const struct args *args)
{
	struct hybrid_alloc_grow grow = { .size = sizeof(grow), .range_len = args->size };
	const char *path = node_path(args->words[0]);
	struct table *t = table_new(cmd, args);
	struct hybrid_alloc_stat before;
	union cell cells[NR_GROW];
	int fd, err;

	if (!t)
		return EXIT_USAGE;
	fd = open_node(path, O_RDWR);
	if (fd < 0 || !node_stat(fd, path, false, &before))
		return EXIT_FAILED;
	err = hybrid_alloc_grow_range(fd, &grow);
	if (err)
		return failed(explain(cmd->name, -err, 0, path, "grow %s", path));
	cells[GROW_NODE].text = path;
	cells[GROW_CAPACITY].number = grow.capacity;
	cells[GROW_GROWN].number = grow.capacity - before.capacity;
	table_row(t, cells);
	table_finish(t);
	return EXIT_OK;
}

const struct command grow_command = {
	.name = "grow",
	.run = cmd_grow,
	.options = OPTS_TABLE | BIT(OPT_SIZE),
	.min_words = 1, .max_words = 1,
	.words = "NODE",
	.summary = "extend the managed range",
	.description =
		"Makes the managed range longer after the disk has grown, or to manage more of a disk "
		"that was attached with --range. Extents are not changed. Has no effect if nothing has "
		"grown; the range never becomes shorter. Needs CAP_SYS_ADMIN.",
	.examples =
		"hybridctl grow 0\n"
		"Manage all of the disk after the start of the range.\n"
		"hybridctl grow --size 20G 0\n"
		"Make the range 20 GiB long.\n",
	.table = "grow",
	.columns = grow_columns, .nr_columns = NR_GROW,
};
