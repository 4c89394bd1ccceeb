// SPDX-License-Identifier: GPL-2.0
/* trim, grow: the disk below changes, or is told of changes. */

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "hybridctl.h"

/* trim */

enum { TRIM_NODE, TRIM_TRIMMED, NR_TRIM };

static const struct column trim_columns[NR_TRIM] = {
	[TRIM_NODE] = { "NODE", COLUMN_TEXT, IN_ALL, "device node of the instance" },
	[TRIM_TRIMMED] = { "TRIMMED", COLUMN_SIZE, IN_ALL, "so much was discarded" },
};

/*
 * One call for all would neither tell how far it is nor end before its time; but
 * at each border a run may be left alone. Small ones are not worth a border.
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

/* Return: 0 or an errno; *@trimmed has the sum in any case */
static int trim_pieces(int fd, __u64 start, __u64 len, __u64 minlen, __u64 *trimmed)
{
	struct progress *progress = progress_start_to("trim", "bytes", len);
	__u64 piece = piece_of(len, minlen);
	int err = 0;

	/* Nothing at all is the kernel's to refuse. */
	*trimmed = 0;
	do {
		struct hybrid_alloc_trim trim = {
			.size = sizeof(trim),
			.start = start,
			.len = len < piece ? len : piece,
			.minlen = minlen,
		};

		if (interrupted)
			err = EINTR;
		else if (ioctl(fd, HYBRID_ALLOC_IOC_TRIM, &trim))
			err = errno;
		*trimmed += trim.trimmed;
		progress_step(progress, trim.len);
		start += trim.len;
		len -= trim.len;
	} while (len && !err);
	progress_end(progress);
	return err;
}

/* What of the managed range was asked for; if nothing, the kernel says what that is. */
static void trim_range(const struct args *args, const struct hybrid_alloc_info *info,
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
	trim_range(args, &info, &start, &len);
	catch_signals();
	err = trim_pieces(fd, start, len, args->minimum, &trimmed);
	cells[TRIM_NODE].text = path;
	cells[TRIM_TRIMMED].number = trimmed;
	table_row(t, cells);
	table_finish(t);
	if (err)
		return failed(explain(cmd->name, err, 0, path, "trim %s", path));
	return EXIT_OK;
}

const struct command trim_command = {
	.name = "trim",
	.run = cmd_trim,
	.options = OPTS_TABLE | BIT(OPT_OFFSET) | BIT(OPT_LENGTH) | BIT(OPT_MINIMUM),
	.min_words = 1, .max_words = 1,
	.words = "NODE",
	.summary = "tell the disk what is free",
	.description =
		"Discards the free space of the instance, as fstrim does for a file system, so that "
		"flash need not keep it and a thin disk gives it back. Extents in use are not touched, "
		"and others may allocate and free meanwhile. Prints how much was discarded.\n"
		"A run is trimmed as far as the disk's discard granularity allows. Large ranges are "
		"done in up to 64 pieces of at least 1 GiB; a signal ends it behind one of them.",
	.examples =
		"hybridctl trim 0\n"
		"Discard all free space of /dev/hybrid_alloc0.\n"
		"hybridctl trim --offset 1G --length 2G --minimum 1M 0\n"
		"A part of it, and only runs of at least 1 MiB.\n",
	.table = "trim",
	.columns = trim_columns, .nr_columns = NR_TRIM,
};

/* grow */

enum { GROW_NODE, GROW_CAPACITY, GROW_GROWN, NR_GROW };

static const struct column grow_columns[NR_GROW] = {
	[GROW_NODE] = { "NODE", COLUMN_TEXT, IN_ALL, "device node of the instance" },
	[GROW_CAPACITY] = { "CAPACITY", COLUMN_SIZE, IN_ALL, "the managed range now" },
	[GROW_GROWN] = { "GROWN", COLUMN_SIZE, IN_ALL, "so much longer than before" },
};

static int cmd_grow(const struct command *cmd, const struct args *args)
{
	struct hybrid_alloc_grow grow = { .size = sizeof(grow), .range_len = args->size };
	const char *path = node_path(args->words[0]);
	struct table *t = table_new(cmd, args);
	struct hybrid_alloc_stat before;
	union cell cells[NR_GROW];
	int fd;

	if (!t)
		return EXIT_USAGE;
	fd = open_node(path, O_RDWR);
	if (fd < 0 || !node_stat(fd, path, false, &before))
		return EXIT_FAILED;
	if (ioctl(fd, HYBRID_ALLOC_IOC_GROW, &grow))
		return failed(explain(cmd->name, errno, 0, path, "grow %s", path));
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
	.summary = "take over what the disk has grown by",
	.description =
		"Makes the managed range longer when the disk below has become larger, or when it was "
		"attached with --range and more of the disk shall be managed. Extents stay what they "
		"are. Without effect if nothing has grown; the range never becomes shorter. Needs "
		"CAP_SYS_ADMIN.",
	.examples =
		"hybridctl grow 0\n"
		"Manage all that follows the start of the range.\n"
		"hybridctl grow --size 20G 0\n"
		"Make the range 20 GiB long.\n",
	.table = "grow",
	.columns = grow_columns, .nr_columns = NR_GROW,
};
