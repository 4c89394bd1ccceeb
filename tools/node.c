// SPDX-License-Identifier: GPL-2.0
/* Messages, memory, and the nodes of the module. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
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

char *node_path(const char *node)
{
	if (strchr(node, '/'))
		return must(strdup(node));
	if (*node && strspn(node, "0123456789") == strlen(node))
		return text(HYBRID_ALLOC_CONTROL_NODE "%s", node);
	return text("/dev/%s", node);
}

int open_node(const char *path, int mode)
{
	int fd = open(path, mode | O_CLOEXEC);

	if (fd < 0)
		failed(explain("node", errno, 0, path, "open %s", path));
	return fd;
}

int open_control(void)
{
	int fd = open(HYBRID_ALLOC_CONTROL_NODE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		failed(explain("control", errno, 0, NULL, "open %s", HYBRID_ALLOC_CONTROL_NODE));
	return fd;
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

bool node_info(int fd, const char *path, struct hybrid_alloc_info *info)
{
	*info = (struct hybrid_alloc_info){ .size = sizeof(*info) };
	if (!ioctl(fd, HYBRID_ALLOC_IOC_INFO, info))
		return true;
	failed(explain("info", errno, 0, path, "ask %s what it is", path));
	return false;
}

bool node_stat(int fd, const char *path, bool runs, struct hybrid_alloc_stat *stat)
{
	*stat = (struct hybrid_alloc_stat){
		.size = sizeof(*stat),
		.flags = runs ? HYBRID_ALLOC_STAT_RUNS : 0,
	};
	if (!ioctl(fd, HYBRID_ALLOC_IOC_STAT, stat))
		return true;
	failed(explain("stat", errno, 0, path, "read the figures of %s", path));
	return false;
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
