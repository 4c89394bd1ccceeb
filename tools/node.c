// SPDX-License-Identifier: GPL-2.0
/* Messages, memory, files, and the nodes of the module. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "hybridctl.h"
#include "common/size.h"

void complain(const char *format, ...)
{
	va_list args;

	flockfile(stderr);
	progress_hide();
	fputs("hybridctl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	funlockfile(stderr);
}

void *must(void *allocated)
{
	if (!allocated) {
		complain("out of memory; free some, and run it again");
		exit(EXIT_FAILED);
	}
	return allocated;
}

char *text(const char *format, ...)
{
	va_list args;
	char *result;
	int ret;

	va_start(args, format);
	ret = vasprintf(&result, format, args);
	va_end(args);
	return must(ret < 0 ? NULL : result);
}

int failed(char *explanation)
{
	complain("%s", explanation);
	free(explanation);
	return EXIT_FAILED;
}

FILE *open_input(const char *path, const char **name)
{
	FILE *in;

	*name = "standard input";
	if (!strcmp(path, "-"))
		return stdin;
	*name = path;
	in = fopen(path, "re");
	if (!in)
		failed(explain("file", errno, 0, NULL, "read %s", path));
	return in;
}

/* The first instance from @info->id on. 0, or a negative errno: -ENODEV if there is none. */
static int find_instance(struct hybrid_alloc_info *info)
{
	int err;

	*info = (struct hybrid_alloc_info){
		.size = sizeof(*info), .flags = HYBRID_ALLOC_INFO_NEXT, .id = info->id,
	};
	err = hybrid_alloc_lookup(info);
	return err == -EACCES ? sysfs_lookup_next(info) : err;
}

/* The node of the instance of a disk, or NULL. */
static char *node_of_disk(const char *path)
{
	struct hybrid_alloc_info info = { };
	struct stat st;

	if (stat(path, &st) || !S_ISBLK(st.st_mode))
		return NULL;
	for (; !find_instance(&info); info.id++) {
		if (makedev(info.dev_major, info.dev_minor) == st.st_rdev)
			return text(HYBRID_ALLOC_NODE_FORMAT, info.id);
	}
	return NULL;
}

char *node_path(const char *node)
{
	char *path, *disk;

	if (strchr(node, '/')) {
		path = node_of_disk(node);
		return path ? path : must(strdup(node));
	}
	if (*node && strspn(node, "0123456789") == strlen(node))
		return text(HYBRID_ALLOC_CONTROL_NODE "%s", node);
	path = text("/dev/%s", node);
	disk = node_of_disk(path);
	if (!disk)
		return path;
	free(path);
	return disk;
}

int open_node(const char *path, int mode)
{
	int fd = hybrid_alloc_open(path, mode);

	if (fd >= 0)
		return fd;
	failed(explain("node", -fd, 0, path, "open %s", path));
	return -1;
}

/*
 * The library opens the control node in each call that needs it, and an error of the open
 * looks like one of the call. False after a complaint.
 */
static bool control_opens(void)
{
	int fd = open(HYBRID_ALLOC_CONTROL_NODE, O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		failed(explain("control", errno, 0, NULL, "open %s", HYBRID_ALLOC_CONTROL_NODE));
		return false;
	}
	close(fd);
	return true;
}

int control_failed(char *explanation)
{
	if (control_opens())
		return failed(explanation);
	free(explanation);
	return EXIT_FAILED;
}

bool node_number(const char *path, __u32 *id)
{
	size_t prefix = strlen(HYBRID_ALLOC_CONTROL_NODE);
	const char *number = path + prefix;
	__u64 n;

	if (strncmp(path, HYBRID_ALLOC_CONTROL_NODE, prefix) || !*number ||
	    strspn(number, "0123456789") != strlen(number) || parse_size(number, &n) ||
	    n > UINT_MAX)
		return false;
	*id = n;
	return true;
}

int next_instance(struct hybrid_alloc_info *info)
{
	int err;

	info->id = info->size ? info->id + 1 : 0;
	err = find_instance(info);
	if (!err)
		return 1;
	if (err == -ENODEV && access(HYBRID_ALLOC_CONTROL_NODE, R_OK) && errno == EACCES)
		return 0;
	/* ENODEV is the end, but also what the control node of an unloaded module gives. */
	if (!control_opens())
		return -1;
	if (err == -ENODEV)
		return 0;
	failed(explain("list", -err, 0, NULL, "list the instances"));
	return -1;
}

char *disk_name(const struct hybrid_alloc_info *info)
{
	return text("%.*s", (int)sizeof(info->disk), (const char *)info->disk);
}

char *user_name(const struct hybrid_alloc_info *info)
{
	return *info->user ? text("%.*s", (int)sizeof(info->user), (const char *)info->user) : NULL;
}

bool node_info(int fd, const char *path, struct hybrid_alloc_info *info)
{
	int err;

	*info = (struct hybrid_alloc_info){ .size = sizeof(*info) };
	err = hybrid_alloc_get_info(fd, info);
	if (err)
		failed(explain("info", -err, 0, path, "get information on %s", path));
	return !err;
}

bool node_stat(int fd, const char *path, bool runs, struct hybrid_alloc_stat *stat)
{
	int err;

	*stat = (struct hybrid_alloc_stat){
		.size = sizeof(*stat),
		.flags = runs ? HYBRID_ALLOC_STAT_RUNS : 0,
	};
	err = hybrid_alloc_get_stat(fd, stat);
	if (err)
		failed(explain("stat", -err, 0, path, "read the statistics of %s", path));
	return !err;
}

char *live_extents(const struct hybrid_alloc_stat *stat)
{
	char *size = must(size_short(stat->charged));
	char *live = text("%llu live extent%s of %s", stat->nr_live, stat->nr_live == 1 ? "" : "s",
			  size);

	free(size);
	return live;
}

volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	interrupted = signal;
}

void catch_signals(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGTERM };
	struct sigaction catch = { .sa_handler = interrupt }, before;

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		if (!sigaction(signals[i], NULL, &before) && before.sa_handler != SIG_IGN)
			sigaction(signals[i], &catch, NULL);
	}
}
