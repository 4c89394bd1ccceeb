// SPDX-License-Identifier: GPL-2.0
/* seal, drain, stat, check: an instance as a whole. */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "hybridctl.h"
#include "common/size.h"

static void say_sealed(const char *path, const struct hybrid_alloc_stat *stat)
{
	char *free_space = must(size_short(stat->capacity - stat->charged - stat->unusable));
	char *live = live_extents(stat);

	printf("%s is sealed: %s, %s free\n", path, live, free_space);
	free(live);
	free(free_space);
}

static int cmd_seal(const struct command *cmd, const struct args *args)
{
	const char *path = node_path(args->words[0]);
	int fd = open_node(path, O_RDWR), err;
	struct hybrid_alloc_info info;
	struct hybrid_alloc_stat stat;

	if (fd < 0 || !node_info(fd, path, &info) || !node_stat(fd, path, false, &stat))
		return EXIT_FAILED;
	if (!(info.state & HYBRID_ALLOC_STATE_SEALED)) {
		printf("%s was ready already\n", path);
		return EXIT_OK;
	}
	if (!stat.nr_live && !args->empty) {
		complain("refusing to seal %s: nothing was claimed, so all space would be free, "
			 "that of data on the disk too. Claim the extents that are in use "
			 "(`hybridctl claim --file CATALOGUE %s`), or give --empty if there are "
			 "none.",
			 path, path);
		return EXIT_FAILED;
	}
	err = hybrid_alloc_seal(fd);
	if (err)
		return failed(explain(cmd->name, -err, 0, path, "seal %s", path));
	say_sealed(path, &stat);
	return EXIT_OK;
}

static int cmd_drain(const struct command *cmd, const struct args *args)
{
	const char *path = node_path(args->words[0]);
	int fd = open_node(path, O_RDWR), err;

	if (fd < 0)
		return EXIT_FAILED;
	err = hybrid_alloc_drain(fd);
	if (err)
		return failed(explain(cmd->name, -err, 0, path, "drain the pools of %s", path));
	return EXIT_OK;
}

/* The fields of struct hybrid_alloc_stat, with the same names. */
static const struct column stat_columns[] = {
	{ "NODE", COLUMN_TEXT, IN_ALL, "device node of the instance" },
	{ "CAPACITY", COLUMN_SIZE, IN_ALL, "the range as given: the sum of the next five" },
	{ "CHARGED", COLUMN_SIZE, IN_ALL, "in live extents" },
	{ "CACHED", COLUMN_SIZE, IN_ALL, "in the per-CPU pools, ready to be allocated" },
	{ "FREE", COLUMN_SIZE, IN_ALL, "free, in slabs and buddy blocks" },
	{ "RETIRED", COLUMN_SIZE, IN_ALL, "held: freed or free, but not usable yet" },
	{ "UNUSABLE", COLUMN_SIZE, IN_ALL, "at both ends of the range, less than a block each" },
	{ "METADATA", COLUMN_SIZE, IN_ALL, "memory for the allocator's metadata" },
	{ "PERCPU", COLUMN_SIZE, IN_ALL, "memory for the pools" },
	{ "NR_LIVE", COLUMN_NUMBER, IN_ALL, "live extents" },
	{ "NR_SLABS", COLUMN_NUMBER, IN_ALL, "slabs" },
	{ "NR_FREE_RUNS", COLUMN_NUMBER, IN_RUNS, "free runs, with --runs" },
	{ "LARGEST_FREE_RUN", COLUMN_SIZE, IN_RUNS, "length of the longest of them, with --runs" },
	{ "POOL_HITS", COLUMN_NUMBER, IN_ALL, "allocations that a pool served" },
	{ "POOL_MISSES", COLUMN_NUMBER, IN_ALL, "allocations that found their pool empty" },
	{ "POOL_REFILLS", COLUMN_NUMBER, IN_ALL, "times a pool was refilled" },
	{ "POOL_DRAINS", COLUMN_NUMBER, IN_ALL, "times a pool was drained" },
	{ "SLABS_MADE", COLUMN_NUMBER, IN_ALL, "slabs made of buddy blocks" },
	{ "SLABS_RETURNED", COLUMN_NUMBER, IN_ALL, "slabs given back to the buddy" },
	{ "BUDDY_SPLITS", COLUMN_NUMBER, IN_ALL, "buddy blocks split" },
	{ "BUDDY_MERGES", COLUMN_NUMBER, IN_ALL, "buddy blocks merged" },
	{ "SLOW_SEARCHES", COLUMN_NUMBER, IN_ALL,
		"allocations that drained the pools and searched" },
	{ "NR_BOUND", COLUMN_NUMBER, IN_ALL, "extents that are bound to an open file" },
	{ "BOUND_MEMORY", COLUMN_SIZE, IN_ALL,
		"memory for these, on the account of the files' users" },
	{ "NR_WATCHERS", COLUMN_NUMBER, IN_ALL,
		"open files that wait for low space: see watch" },
	{ "NR_ALLOCS", COLUMN_NUMBER, IN_ALL,
		"extents that were allocated or claimed so far, of any size" },
	{ "RESERVED", COLUMN_SIZE, IN_ALL, "reserved, of what is free, cached or retired" },
	{ "NR_RESERVATIONS", COLUMN_NUMBER, IN_ALL,
		"open files that have called RESERVE, and reservations of users in the kernel" },
	{ "RESERVED_REFUSALS", COLUMN_NUMBER, IN_ALL,
		"calls refused because of what is reserved" },
	{ "REFUSED_NOT_ALLOCATED", COLUMN_NUMBER, IN_ALL,
		"frees refused: nothing allocated there" },
	{ "REFUSED_WRONG_START", COLUMN_NUMBER, IN_ALL,
		"frees refused: not the start of an extent" },
	{ "REFUSED_WRONG_LENGTH", COLUMN_NUMBER, IN_ALL,
		"frees refused: not the length of the extent" },
	{ "REFUSED_UNALIGNED", COLUMN_NUMBER, IN_ALL,
		"frees refused: start not a multiple of MIN_BLOCK" },
	{ "REFUSED_ZERO_LENGTH", COLUMN_NUMBER, IN_ALL, "frees refused: length 0" },
	{ "REFUSED_OUT_OF_RANGE", COLUMN_NUMBER, IN_ALL,
		"frees refused: outside the managed range" },
	{ "REFUSED_FOREIGN", COLUMN_NUMBER, IN_ALL,
		"frees refused: bound to another open file" },
};

/* The offsets of these fields, in the same order. */
#define STAT(field)	offsetof(struct hybrid_alloc_stat, field)
static const size_t stat_offsets[] = {
	0,	/* NODE */
	STAT(capacity),
	STAT(charged),
	STAT(cached),
	STAT(free),
	STAT(retired),
	STAT(unusable),
	STAT(metadata),
	STAT(percpu),
	STAT(nr_live),
	STAT(nr_slabs),
	STAT(nr_free_runs),
	STAT(largest_free_run),
	STAT(pool_hits),
	STAT(pool_misses),
	STAT(pool_refills),
	STAT(pool_drains),
	STAT(slabs_made),
	STAT(slabs_returned),
	STAT(buddy_splits),
	STAT(buddy_merges),
	STAT(slow_searches),
	STAT(nr_bound),
	STAT(bound_memory),
	STAT(nr_watchers),
	STAT(nr_allocs),
	STAT(reserved),
	STAT(nr_reservations),
	STAT(reserved_refusals),
	STAT(refused_frees[HYBRID_ALLOC_REASON_NOT_ALLOCATED]),
	STAT(refused_frees[HYBRID_ALLOC_REASON_WRONG_START]),
	STAT(refused_frees[HYBRID_ALLOC_REASON_WRONG_LENGTH]),
	STAT(refused_frees[HYBRID_ALLOC_REASON_UNALIGNED]),
	STAT(refused_frees[HYBRID_ALLOC_REASON_ZERO_LENGTH]),
	STAT(refused_frees[HYBRID_ALLOC_REASON_OUT_OF_RANGE]),
	STAT(refused_frees[HYBRID_ALLOC_REASON_FOREIGN]),
};

static_assert(ARRAY_SIZE(stat_columns) == ARRAY_SIZE(stat_offsets), "a column without a value");
static_assert(HYBRID_ALLOC_REASON_COUNT - 1 == HYBRID_ALLOC_REASON_FOREIGN,
	      "a reason without a column");

static int cmd_stat(const struct command *cmd, const struct args *args)
{
	struct table *t = table_new(cmd, args);
	bool runs;

	if (!t)
		return EXIT_USAGE;
	/* Also if -o names one of them. */
	runs = table_shows(t, "NR_FREE_RUNS") || table_shows(t, "LARGEST_FREE_RUN");

	for (int i = 0; i < args->nr_words; i++) {
		struct hybrid_alloc_stat s;
		union cell cells[ARRAY_SIZE(stat_columns)];
		const char *path = node_path(args->words[i]);
		int fd = open_node(path, O_RDONLY);

		if (fd < 0 || !node_stat(fd, path, runs, &s))
			return EXIT_FAILED;
		cells[0].text = path;
		for (size_t k = 1; k < ARRAY_SIZE(cells); k++)
			memcpy(&cells[k].number, (const char *)&s + stat_offsets[k], sizeof(__u64));
		table_row(t, cells);
		hybrid_alloc_close(fd);
	}
	table_finish(t);
	return EXIT_OK;
}

/* check */

enum { CHECK_NODE, CHECK_RESULT, CHECK_ERROR, NR_CHECK };

static const struct column check_columns[NR_CHECK] = {
	[CHECK_NODE] = { "NODE", COLUMN_TEXT, IN_ALL, "device node of the instance" },
	[CHECK_RESULT] = { "RESULT", COLUMN_TEXT, IN_ALL,
		"ok; broken; or failed: it could not be checked" },
	[CHECK_ERROR] = { "ERROR", COLUMN_TEXT, IN_JSON | MAY_BE_EMPTY,
		"the error as a sentence" },
};

/* Return: an exit status of fsck; *@error is set to an explanation, or to NULL */
static int check_node(const struct command *cmd, const char *path, char **error)
{
	int fd = hybrid_alloc_open(path, O_RDONLY), err;

	if (fd < 0) {
		*error = explain("node", -fd, 0, path, "open %s", path);
		return FSCK_FAILED;
	}
	err = hybrid_alloc_check(fd);
	hybrid_alloc_close(fd);
	*error = err ? explain(cmd->name, -err, 0, path, "vouch for %s", path) : NULL;
	return err == -EUCLEAN ? FSCK_ERRORS_LEFT : err ? FSCK_FAILED : EXIT_OK;
}

static int cmd_check(const struct command *cmd, const struct args *args)
{
	struct table *t = table_new(cmd, args);
	int status = EXIT_OK;

	if (!t)
		return EXIT_USAGE;
	for (int i = 0; i < args->nr_words; i++) {
		char *path = node_path(args->words[i]), *error;
		int ret = check_node(cmd, path, &error);
		union cell cells[NR_CHECK] = {
			[CHECK_NODE].text = path,
			[CHECK_RESULT].text = ret == FSCK_FAILED ? "failed" : ret ? "broken" : "ok",
			[CHECK_ERROR].text = error,
		};

		table_row(t, cells);
		if (error)
			complain("%s", error);
		free(error);
		free(path);
		/* As fsck does for several devices: the sum of the bits. */
		status |= ret;
	}
	table_finish(t);
	return status;
}

const struct command seal_command = {
	.name = "seal",
	.run = cmd_seal,
	.options = BIT(OPT_EMPTY),
	.min_words = 1, .max_words = 1,
	.words = "NODE",
	.summary = "end a rebuild: alloc works from then on",
	.description =
		"Ends the rebuild of an instance after all extents that are in use were claimed. All "
		"other space can be allocated from then on. Has no effect on an instance that is ready. "
		"Refused without --empty if no extent is live: that looks like a forgotten claim, and "
		"would give the space of all data away.",
	.examples =
		"hybridctl seal 0\n"
		"Make /dev/hybrid_alloc0 ready for use.\n",
};

const struct command drain_command = {
	.name = "drain",
	.run = cmd_drain,
	.min_words = 1, .max_words = 1,
	.words = "NODE",
	.summary = "empty the per-CPU pools",
	.description =
		"Gives the objects in the per-CPU pools back to the slabs and the buddy. An allocation "
		"that finds no space does this itself; run it before `hybridctl stat` to count cached "
		"space as free.",
	.examples =
		"hybridctl drain 0 && hybridctl stat --runs 0\n"
		"Show the free space, that of the pools included.\n",
};

const struct command stat_command = {
	.name = "stat",
	.run = cmd_stat,
	.options = OPTS_TABLE | BIT(OPT_RUNS),
	.min_words = 1, .max_words = INT_MAX,
	.words = "NODE...",
	.summary = "show where the space is",
	.description =
		"Shows how much of the space is in use and free, the memory that the allocator uses, "
		"and what its layers did since attaching, one value a line. With --json, --raw or "
		"--output, prints one line per instance and one column per value. While no other call "
		"runs, CAPACITY = CHARGED + CACHED + FREE + RETIRED + UNUSABLE.",
	.examples =
		"hybridctl stat --runs 0\n"
		"Show all statistics of /dev/hybrid_alloc0, with the longest free run.\n"
		"hybridctl stat -nrb --output FREE 0\n"
		"Print one number, for a script.\n",
	.table = "stat",
	.columns = stat_columns, .nr_columns = ARRAY_SIZE(stat_columns), .as_list = true,
};

const struct command check_command = {
	.name = "check",
	.run = cmd_check,
	.options = OPTS_TABLE,
	.min_words = 1, .max_words = INT_MAX,
	.words = "NODE...",
	.summary = "check the metadata of the allocator",
	.description =
		"Recomputes the sums and links in the allocator's metadata, and compares them. It takes "
		"time in proportion to the metadata, and changes nothing. Other calls may run at the same "
		"time, but it fails if there are too many of them. Prints ok, broken or failed for each "
		"NODE. Needs CAP_SYS_ADMIN.",
	.examples =
		"hybridctl check 0 || echo status $?\n"
		"Check /dev/hybrid_alloc0.\n",
	.table = "check",
	.columns = check_columns, .nr_columns = NR_CHECK, .fsck = true,
};
