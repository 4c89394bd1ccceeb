// SPDX-License-Identifier: GPL-2.0
/* watch: wait until free space is low. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "hybridctl.h"

enum { WATCH_NODE, WATCH_RESULT, WATCH_BELOW, WATCH_FREE, NR_WATCH };

static const struct column watch_columns[NR_WATCH] = {
	[WATCH_NODE] = { "NODE", COLUMN_TEXT, IN_ALL, "device node of the instance" },
	[WATCH_RESULT] = { "RESULT", COLUMN_TEXT, IN_ALL,
		"low: free space fell below BELOW; timeout: it did not" },
	[WATCH_BELOW] = { "BELOW", COLUMN_SIZE, IN_ALL, "the threshold" },
	[WATCH_FREE] = { "FREE", COLUMN_SIZE, IN_ALL,
		"free space when this was printed, which other callers may have changed" },
};

/* Return: 0 or -errno; *@free is set to the free space */
static int set_threshold(int fd, __u64 below, __u64 *free)
{
	struct hybrid_alloc_watch watch = { .size = sizeof(watch), .low_space = below };
	int err = hybrid_alloc_watch_space(fd, &watch);

	if (!err)
		*free = watch.free;
	return err;
}

/* Return: 0 or -errno; *@low is false if the timeout expired first */
static int wait_until_low(int fd, const struct args *args, bool *low)
{
	struct pollfd node = { .fd = fd, .events = POLLPRI };
	int ret = poll(&node, 1, args->has_timeout ? args->timeout * 1000 : -1);

	if (ret < 0)
		return -errno;
	if (node.revents & (POLLERR | POLLHUP))
		return -ENODEV;
	*low = ret;
	return 0;
}

static int cmd_watch(const struct command *cmd, const struct args *args)
{
	const char *path = node_path(args->words[0]);
	union cell cells[NR_WATCH] = { };
	bool low = false;
	struct table *t;
	int fd, err;

	if (!args->below) {
		complain("watch needs a threshold of a byte or more; give one, such as --below 1G");
		return EXIT_USAGE;
	}
	t = table_new(cmd, args);
	if (!t)
		return EXIT_USAGE;
	fd = open_node(path, O_RDONLY);
	if (fd < 0)
		return EXIT_FAILED;
	err = set_threshold(fd, args->below, &cells[WATCH_FREE].number);
	if (!err)
		err = wait_until_low(fd, args, &low);
	if (!err)
		err = set_threshold(fd, args->below, &cells[WATCH_FREE].number);
	if (err)
		return failed(explain(cmd->name, -err, 0, path, "watch %s", path));
	cells[WATCH_NODE].text = path;
	cells[WATCH_RESULT].text = low ? "low" : "timeout";
	cells[WATCH_BELOW].number = args->below;
	table_row(t, cells);
	table_finish(t);
	return low ? EXIT_OK : EXIT_TIMEOUT;
}

const struct command watch_command = {
	.name = "watch",
	.run = cmd_watch,
	.options = OPTS_TABLE | BIT(OPT_BELOW) | BIT(OPT_TIMEOUT),
	.min_words = 1, .max_words = 1,
	.words = "NODE",
	.summary = "wait until free space is low",
	.description =
		"Waits until less than the SIZE of --below is free, then prints a line and ends; at once "
		"if less is free already. The kernel wakes it: waiting takes no CPU time. It keeps the "
		"node open, so the instance can only be detached with --force, which ends the wait as "
		"a failure.\n"
		"Only the space that `hybridctl stat` shows as FREE counts, without that in the per-CPU "
		"pools.",
	.examples =
		"hybridctl watch --below 10G 0 && logger 'space is low'\n"
		"Write to the log when less than 10 GiB are free.\n"
		"hybridctl watch --below 10G --timeout 0 0\n"
		"Check without waiting: exits with 3 if enough is free.\n",
	.table = "watch",
	.columns = watch_columns, .nr_columns = NR_WATCH,
	.own_status = EXIT_TIMEOUT, .own_status_means = "the time of --timeout expired first",
};
