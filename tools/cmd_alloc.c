// SPDX-License-Identifier: GPL-2.0
/* alloc */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hybridctl.h"
#include "common/size.h"

enum { EXTENT_START, EXTENT_LEN, EXTENT_SIZE, EXTENT_EXTENT, NR_EXTENT };

static const struct column extent_columns[NR_EXTENT] = {
	[EXTENT_START] = { "START", COLUMN_NUMBER, IN_ALL, "first byte on the disk" },
	[EXTENT_LEN] = { "LEN", COLUMN_NUMBER, IN_ALL, "length in bytes" },
	[EXTENT_SIZE] = { "SIZE", COLUMN_SIZE, IN_TABLE, "the same, such as 1.5G" },
	[EXTENT_EXTENT] = { "EXTENT", COLUMN_TEXT, 0, "START:LEN, as free and claim take it" },
};

/* What has to be printed of an extent that was allocated. */
static void alloc_row(struct table *t, const struct hybrid_alloc_extent *e)
{
	char *extent = text("%llu:%llu", e->start, e->len);
	union cell cells[NR_EXTENT] = {
		[EXTENT_START].number = e->start,
		[EXTENT_LEN].number = e->len,
		[EXTENT_SIZE].number = e->len,
		[EXTENT_EXTENT].text = extent,
	};

	table_row(t, cells);
	free(extent);
}

/* One SIZE: an extent or, with --pieces, several. 0 or a negative errno. */
static int alloc_size(int fd, const struct args *args, __u64 size, struct table *t,
		      unsigned int *reason)
{
	static struct hybrid_alloc_extent extents[HYBRID_ALLOC_MAX_ITEMS];
	__u32 flags = (args->bound ? HYBRID_ALLOC_ALLOC_BOUND : 0) |
		      (args->has_goal ? HYBRID_ALLOC_ALLOC_GOAL : 0) |
		      (args->reserve ? HYBRID_ALLOC_ALLOC_RESERVED : 0);
	struct hybrid_alloc_alloc one = {
		.size = sizeof(one), .flags = flags, .len = size, .align = args->align,
		.goal = args->goal, .min = args->min,
	};
	struct hybrid_alloc_many many = {
		.size = sizeof(many), .flags = flags, .len = size, .align = args->align,
		.goal = args->goal, .nr = args->pieces, .item_size = sizeof(extents[0]),
		.min = args->min,
	};
	int err;

	if (!args->pieces) {
		err = hybrid_alloc_alloc_request(fd, &one);
		if (!err)
			alloc_row(t, &one.extent);
		*reason = one.reason;
		return err;
	}
	err = hybrid_alloc_alloc_many(fd, extents, &many);
	*reason = many.reason;
	for (__u32 i = 0; !err && i < many.nr_extents; i++)
		alloc_row(t, &extents[i]);
	return err;
}

/* Reserve all of it, in whole blocks. */
static int reserve_sizes(const struct args *args, int fd, const char *path, const __u64 *sizes,
			 int nr)
{
	struct hybrid_alloc_info info = { .size = sizeof(info) };
	struct hybrid_alloc_reserve r = { .size = sizeof(r) };
	int err = hybrid_alloc_get_info(fd, &info);
	char *len;

	for (int i = 0; !err && i < nr; i++) {
		__u64 blocks = sizes[i] / info.min_block + !!(sizes[i] % info.min_block), all;

		if (__builtin_mul_overflow(blocks * info.min_block, args->count, &all) ||
		    __builtin_add_overflow(r.len, all, &r.len))
			err = -ENOSPC;
	}
	if (!err)
		err = hybrid_alloc_reserve_space(fd, &r);
	if (!err)
		return EXIT_OK;
	len = must(size_exact(r.len));
	failed(explain("reserve", -err, 0, path, "reserve %s", len));
	free(len);
	return EXIT_FAILED;
}

static int alloc_sizes(const struct command *cmd, const struct args *args, int fd,
		       const char *path, const __u64 *sizes, int nr, struct table *t)
{
	__u64 done = 0;

	for (int i = 0; i < nr; i++) {
		for (__u64 k = 0; k < args->count; k++, done++) {
			unsigned int why = 0;
			int err = interrupted ? -EINTR : alloc_size(fd, args, sizes[i], t, &why);
			char *len, *align, *min;

			if (!err)
				continue;
			len = must(size_exact(sizes[i]));
			align = must(size_exact(args->align));
			min = must(size_exact(args->min));
			failed(explain(cmd->name, -err, why, path, "allocate %s%s%s%s%s",
				       args->min ? min : "", args->min ? " to " : "", len,
				       args->align ? " at a multiple of " : "",
				       args->align ? align : ""));
			free(len);
			free(align);
			free(min);
			if (done)
				complain("%llu of %llu %s were allocated and listed%s", done,
					 nr * args->count, args->pieces ? "sizes" : "extents",
					 args->bound ? "" : "; `hybridctl free` frees them");
			return EXIT_FAILED;
		}
	}
	return EXIT_OK;
}

/*
 * The extents are freed when the node is closed. False if they can no longer be used, as the
 * instance was detached, or its disk went away.
 */
static bool hold_bound(int fd, const char *path)
{
	struct hybrid_alloc_info info = { .size = sizeof(info) };
	struct pollfd gone = { .fd = fd };

	fflush(stdout);
	complain("the extents are bound to this program: a signal, such as that of Ctrl-C, ends "
		 "it and frees them");
	while (!interrupted) {
		if (poll(&gone, 1, 1000) <= 0)
			continue;
		if (hybrid_alloc_get_info(fd, &info))
			complain("%s was detached: the extents are forgotten", path);
		else
			complain("the disk of %s went away, and its extents with it", path);
		return false;
	}
	return true;
}

static int cmd_alloc(const struct command *cmd, const struct args *args)
{
	int status = EXIT_OK, nr = args->nr_words - 1, fd;
	__u64 *sizes = must(calloc(nr + 1, sizeof(*sizes)));
	char *path = node_path(args->words[0]);
	struct table *t;

	for (int i = 0; i < nr; i++) {
		const char *wrong = parse_size(args->words[i + 1], &sizes[i]);

		if (wrong) {
			complain("'%s' %s", args->words[i + 1], wrong);
			status = EXIT_USAGE;
		}
	}
	if (args->max)
		sizes[nr++] = args->max;
	if (!nr) {
		complain("%s how much? Name a SIZE, or give --max", cmd->name);
		status = EXIT_USAGE;
	}
	if (args->reserve && args->bound) {
		complain("--reserve and --bound exclude each other; give one of them");
		status = EXIT_USAGE;
	}
	t = table_new(cmd, args);
	if (!t || status)
		return EXIT_USAGE;

	/* What was allocated has to be printed: there is no other record of it. */
	catch_signals();
	fd = open_node(path, O_RDWR);
	if (fd < 0)
		return EXIT_FAILED;
	if (args->reserve)
		status = reserve_sizes(args, fd, path, sizes, nr);
	if (!status)
		status = alloc_sizes(cmd, args, fd, path, sizes, nr, t);
	table_finish(t);
	if (args->bound && !status && !hold_bound(fd, path))
		status = EXIT_FAILED;
	hybrid_alloc_close(fd);
	return status;
}

const struct command alloc_command = {
	.name = "alloc",
	.run = cmd_alloc,
	.options = OPTS_TABLE | BIT(OPT_ALIGN) | BIT(OPT_GOAL) | BIT(OPT_MIN) | BIT(OPT_MAX) |
		   BIT(OPT_PIECES) | BIT(OPT_BOUND) | BIT(OPT_RESERVE) | BIT(OPT_COUNT),
	.min_words = 1, .max_words = INT_MAX,
	.words = "NODE [SIZE...]",
	.summary = "allocate extents",
	.description =
		"Allocates one extent per SIZE and prints where it is: from byte START of the disk, LEN "
		"bytes long. LEN is SIZE rounded up to whole blocks, or less with --min. The extents stay live after "
		"hybridctl has ended, until they are freed, unless --bound is given.\n"
		"At the first failure it stops, prints what was allocated before, and exits with 1.",
	.examples =
		"hybridctl alloc 0 1M 64K 4K\n"
		"Allocate three extents.\n"
		"hybridctl alloc --count 100 -n --output EXTENT 0 1M > extents\n"
		"Allocate a hundred and save the list, for `hybridctl free --file extents 0`.\n"
		"hybridctl alloc --json --align 1G 0 2G\n"
		"Allocate at a multiple of 1 GiB, and print JSON.\n"
		"hybridctl alloc --pieces 8 --goal 100G 0 40M\n"
		"Allocate 40 MiB in at most 8 extents, near byte 100 GiB if there is space.\n"
		"hybridctl alloc --reserve --pieces 1024 0 1G 1G\n"
		"Allocate 2 GiB in pieces, or nothing if less is free; what is allocated stays if a GiB "
		"needs more pieces.\n"
		"hybridctl alloc --min 64K --max 4M --align 192K 0\n"
		"Allocate the longest extent there is, from 64 KiB to 4 MiB, at a multiple of 192 KiB.\n",
	.table = "extents",
	.columns = extent_columns, .nr_columns = NR_EXTENT,
};
