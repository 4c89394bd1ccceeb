// SPDX-License-Identifier: GPL-2.0
/*
 * hybridctl - hand out the space of block devices
 *
 * One function per command, found through the table at the end. All of them
 * speak to the kernel through the ioctls of ioctl_uapi.h and to people through
 * table.c and explain.c.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hybridctl.h"
#include "ioctl_uapi.h"

void complain(const char *format, ...)
{
	va_list args;

	fputs("hybridctl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void *must(void *allocated)
{
	if (!allocated) {
		complain("out of memory");
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

/* Prints an explanation and frees it; for `return failed(explain(...))`. */
static int failed(char *explanation)
{
	complain("%s", explanation);
	free(explanation);
	return EXIT_FAILED;
}

/* Nodes */

/* "0", "hybrid_alloc0" and any path: the path, which is never freed. */
static char *node_path(const char *node)
{
	if (strchr(node, '/'))
		return must(strdup(node));
	if (*node && strspn(node, "0123456789") == strlen(node))
		return text(HYBRID_ALLOC_CONTROL_NODE "%s", node);
	return text("/dev/%s", node);
}

static int open_node(const char *path, int mode)
{
	int fd = open(path, mode | O_CLOEXEC);

	if (fd < 0)
		failed(explain("node", errno, 0, path, "open %s", path));
	return fd;
}

static int open_control(void)
{
	int fd = open(HYBRID_ALLOC_CONTROL_NODE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		failed(explain("control", errno, 0, NULL, "open %s", HYBRID_ALLOC_CONTROL_NODE));
	return fd;
}

/* The number of an instance, from its path: an open file would keep it from detaching. */
static bool node_number(const char *path, __u32 *id)
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

/* Tables of instances: attach, list, info */

enum {
	INFO_NODE, INFO_ID, INFO_DISK, INFO_MAJ_MIN, INFO_STATE, INFO_RANGE_START, INFO_RANGE_LEN,
	INFO_MIN_BLOCK, INFO_MAX_BLOCK, INFO_SLAB_MAX, INFO_BUDDY_START, INFO_UUID, INFO_EPOCH,
	INFO_FEATURES, NR_INFO
};

#define LONG	(IN_LIST | IN_JSON)

static const struct column info_columns[NR_INFO] = {
	[INFO_NODE] = { "NODE", COLUMN_TEXT, IN_ALL, "device node of the instance" },
	[INFO_ID] = { "ID", COLUMN_NUMBER, LONG, "its number" },
	[INFO_DISK] = { "DISK", COLUMN_TEXT, IN_ALL, "block device whose space it hands out" },
	[INFO_MAJ_MIN] = { "MAJ:MIN", COLUMN_TEXT, LONG, "number of that device" },
	[INFO_STATE] = { "STATE", COLUMN_TEXT, IN_ALL,
		"ready; rebuild: claim, then seal; gone: the disk went away" },
	[INFO_RANGE_START] = { "RANGE_START", COLUMN_SIZE, IN_ALL,
		"first byte of the managed range" },
	[INFO_RANGE_LEN] = { "RANGE_LEN", COLUMN_SIZE, IN_ALL, "length of the managed range" },
	[INFO_MIN_BLOCK] = { "MIN_BLOCK", COLUMN_SIZE, LONG,
		"smallest unit; sizes are rounded up to it" },
	[INFO_MAX_BLOCK] = { "MAX_BLOCK", COLUMN_SIZE, LONG,
		"largest single extent; 0 is no limit" },
	[INFO_SLAB_MAX] = { "SLAB_MAX", COLUMN_SIZE, LONG,
		"largest size served from slabs of equal objects" },
	[INFO_BUDDY_START] = { "BUDDY_START", COLUMN_SIZE, LONG,
		"smallest block of the buddy layer" },
	[INFO_UUID] = { "UUID", COLUMN_TEXT, LONG, "random, new with every attach" },
	[INFO_EPOCH] = { "EPOCH", COLUMN_NUMBER, LONG,
		"changes whenever extents may have been forgotten" },
	[INFO_FEATURES] = { "FEATURES", COLUMN_NUMBER, LONG,
		"bits of what the module can do beyond its first version" },
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
	char *disk = text("%.*s", (int)sizeof(info->disk), (const char *)info->disk);
	union cell cells[NR_INFO] = {
		[INFO_NODE].text = node,
		[INFO_ID].number = info->id,
		[INFO_DISK].text = disk,
		[INFO_MAJ_MIN].text = number,
		[INFO_STATE].text = state,
		[INFO_RANGE_START].number = info->range_start,
		[INFO_RANGE_LEN].number = info->range_len,
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
	free(disk);
}

static int cmd_list(const struct command *cmd, const struct args *args)
{
	struct hybrid_alloc_info info = { .size = sizeof(info), .flags = HYBRID_ALLOC_INFO_NEXT };
	struct table *t = table_new("instances", cmd, args);
	int control;

	if (!t)
		return EXIT_USAGE;
	control = open_control();
	if (control < 0)
		return EXIT_FAILED;
	while (!ioctl(control, HYBRID_ALLOC_IOC_INFO, &info)) {
		__u32 next = info.id + 1;

		info_row(t, &info);
		info = (struct hybrid_alloc_info){ .size = sizeof(info),
						   .flags = HYBRID_ALLOC_INFO_NEXT, .id = next };
	}
	if (errno != ENODEV)
		return failed(explain(cmd->name, errno, 0, NULL, "list the instances"));
	table_finish(t);
	return EXIT_OK;
}

static int cmd_info(const struct command *cmd, const struct args *args)
{
	struct table *t = table_new("instances", cmd, args);

	if (!t)
		return EXIT_USAGE;
	for (int i = 0; i < args->nr_words; i++) {
		struct hybrid_alloc_info data = { .size = sizeof(data) };
		const char *path = node_path(args->words[i]);
		int fd = open_node(path, O_RDONLY);

		if (fd < 0)
			return EXIT_FAILED;
		if (ioctl(fd, HYBRID_ALLOC_IOC_INFO, &data))
			return failed(explain(cmd->name, errno, 0, path, "ask %s what it is",
					      path));
		info_row(t, &data);
		close(fd);
	}
	table_finish(t);
	return EXIT_OK;
}

/* Attach and detach */

/* A disk is never taken by surprise: what is on it has to be wiped, or overruled, first. */
static bool disk_is_blank(int fd, const char *device)
{
	struct stat st;
	char *found;
	int err;

	/* Nothing that libblkid could read; the kernel says what is wrong with it. */
	if (!fstat(fd, &st) && !S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode))
		return true;
	found = find_signatures(fd, &err);
	if (found) {
		complain("refusing to attach %s: there is data on it (%s). If that is no longer "
			 "needed, erase its signature with `wipefs --all %s`, or attach with "
			 "--force.",
			 device, found, device);
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

static int cmd_attach(const struct command *cmd, const struct args *args)
{
	const char *device = args->words[0];
	struct hybrid_alloc_attach attach = {
		.size = sizeof(attach),
		.flags = args->fresh ? HYBRID_ALLOC_ATTACH_FRESH : 0,
		.range_start = args->range_start,
		.range_len = args->range_len,
		.min_block = args->min_block,
		.max_block = args->max_block,
		.slab_max = args->slab_max,
		.buddy_start = args->buddy_start,
	};
	struct hybrid_alloc_info data = { .size = sizeof(data) };
	struct table *t = NULL;
	int control;

	if (args->table.json || args->table.columns || args->table.raw) {
		t = table_new("instances", cmd, args);
		if (!t)
			return EXIT_USAGE;
	}

	/* Not O_EXCL: the kernel takes the disk for itself and says whether it could. */
	attach.fd = open(device, O_RDWR | O_CLOEXEC);
	if (attach.fd < 0)
		return failed(explain(cmd->name, errno, 0, NULL, "open %s", device));
	if (!args->force && !disk_is_blank(attach.fd, device))
		return EXIT_FAILED;
	control = open_control();
	if (control < 0)
		return EXIT_FAILED;
	if (ioctl(control, HYBRID_ALLOC_IOC_ATTACH, &attach))
		return failed(explain(cmd->name, errno, 0, NULL, "attach %s", device));

	if (t) {
		data.id = attach.id;
		if (ioctl(control, HYBRID_ALLOC_IOC_INFO, &data))
			return failed(explain(cmd->name, errno, 0, NULL,
					      "ask what was attached as number %u", attach.id));
		info_row(t, &data);
		table_finish(t);
	} else {
		printf(HYBRID_ALLOC_NODE_FORMAT "\n", attach.id);
	}
	if (!args->fresh)
		complain("%s is attached to be rebuilt: claim the extents that are in use "
			 "(`hybridctl claim %u -`), then `hybridctl seal %u`; alloc fails until then. "
			 "For an empty disk there is --fresh.", device, attach.id, attach.id);
	return EXIT_OK;
}

static int cmd_detach(const struct command *cmd, const struct args *args)
{
	struct hybrid_alloc_detach detach = {
		.size = sizeof(detach),
		.flags = args->force ? HYBRID_ALLOC_DETACH_FORCE : 0,
	};
	const char *path = node_path(args->words[0]);
	int control;

	if (!node_number(path, &detach.id)) {
		struct hybrid_alloc_info data = { .size = sizeof(data) };
		int fd = open_node(path, O_RDONLY);

		if (fd < 0)
			return EXIT_FAILED;
		if (ioctl(fd, HYBRID_ALLOC_IOC_INFO, &data))
			return failed(explain("info", errno, 0, path, "ask %s what it is", path));
		close(fd);
		detach.id = data.id;
	}
	control = open_control();
	if (control < 0)
		return EXIT_FAILED;
	if (ioctl(control, HYBRID_ALLOC_IOC_DETACH, &detach))
		return failed(explain(cmd->name, errno, 0, path, "detach %s", path));
	return EXIT_OK;
}

/* Extents */

enum { EXTENT_START, EXTENT_LEN, EXTENT_SIZE, EXTENT_EXTENT, NR_EXTENT };

static const struct column extent_columns[NR_EXTENT] = {
	[EXTENT_START] = { "START", COLUMN_NUMBER, IN_ALL, "first byte on the disk" },
	[EXTENT_LEN] = { "LEN", COLUMN_NUMBER, IN_ALL, "length in bytes" },
	[EXTENT_SIZE] = { "SIZE", COLUMN_SIZE, IN_TABLE, "the same as people read it" },
	[EXTENT_EXTENT] = { "EXTENT", COLUMN_TEXT, 0, "START:LEN, as free and claim take it" },
};

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	interrupted = signal;
}

/* A signal ends the allocating, not the program: what was obtained has to be printed. */
static void catch_signals(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGTERM };
	struct sigaction catch = { .sa_handler = interrupt }, before;

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		if (!sigaction(signals[i], NULL, &before) && before.sa_handler != SIG_IGN)
			sigaction(signals[i], &catch, NULL);
	}
}

static int alloc_one(int fd, struct hybrid_alloc_alloc *a)
{
	if (interrupted) {
		errno = EINTR;
		return -1;
	}
	return ioctl(fd, HYBRID_ALLOC_IOC_ALLOC, a);
}

static int alloc_sizes(const struct command *cmd, const struct args *args, const char *path,
		       const __u64 *sizes, int nr, struct table *t)
{
	__u64 done = 0;
	int fd = open_node(path, O_RDWR);

	if (fd < 0)
		return EXIT_FAILED;
	for (int i = 0; i < nr; i++) {
		for (__u64 k = 0; k < args->count; k++, done++) {
			struct hybrid_alloc_alloc a = {
				.size = sizeof(a),
				.len = sizes[i],
				.align = args->align,
			};
			union cell cells[NR_EXTENT];

			if (alloc_one(fd, &a)) {
				failed(explain(cmd->name, errno, 0, path, "allocate %s%s%s",
					       size_exact(sizes[i]),
					       args->align ? " at a multiple of " : "",
					       args->align ? size_exact(args->align) : ""));
				if (done)
					complain("%llu of %llu extents were allocated and listed",
						 done, nr * args->count);
				return EXIT_FAILED;
			}
			cells[EXTENT_START].number = a.extent.start;
			cells[EXTENT_LEN].number = a.extent.len;
			cells[EXTENT_SIZE].number = a.extent.len;
			cells[EXTENT_EXTENT].text = text("%llu:%llu", a.extent.start, a.extent.len);
			table_row(t, cells);
		}
	}
	return EXIT_OK;
}

static int cmd_alloc(const struct command *cmd, const struct args *args)
{
	int status = EXIT_OK, nr = args->nr_words - 1;
	__u64 *sizes = must(calloc(nr, sizeof(*sizes)));
	char *path = node_path(args->words[0]);
	struct table *t;

	for (int i = 0; i < nr; i++) {
		const char *wrong = parse_size(args->words[i + 1], &sizes[i]);

		if (wrong) {
			complain("'%s' %s", args->words[i + 1], wrong);
			status = EXIT_USAGE;
		}
	}
	t = table_new("extents", cmd, args);
	if (!t || status)
		return EXIT_USAGE;

	/* Whatever was obtained has to be printed: nobody else knows of it. */
	catch_signals();
	status = alloc_sizes(cmd, args, path, sizes, nr, t);
	table_finish(t);
	return status;
}

enum { REPORT_START, REPORT_LEN, REPORT_RESULT, REPORT_ERROR, NR_REPORT };

static const struct column report_columns[NR_REPORT] = {
	[REPORT_START] = { "START", COLUMN_NUMBER, IN_ALL, "first byte on the disk" },
	[REPORT_LEN] = { "LEN", COLUMN_NUMBER, IN_ALL, "length in bytes, as given" },
	[REPORT_RESULT] = { "RESULT", COLUMN_TEXT, IN_ALL, "ok, or the name of the error" },
	[REPORT_ERROR] = { "ERROR", COLUMN_TEXT, IN_JSON, "the error as a sentence" },
};

struct extent_job {
	const struct command *cmd;
	const char *path;
	int fd;
	/* An errno, and for FREE a reason. */
	int (*call)(int fd, const struct hybrid_alloc_extent *extent, unsigned int *reason);
	struct table *report;		/* NULL: complaints only */
	int status;
};

static int call_free(int fd, const struct hybrid_alloc_extent *extent, unsigned int *reason)
{
	struct hybrid_alloc_free f = { .size = sizeof(f), .extent = *extent };
	int err = ioctl(fd, HYBRID_ALLOC_IOC_FREE, &f) ? errno : 0;

	*reason = f.reason;
	return err;
}

static int call_claim(int fd, const struct hybrid_alloc_extent *extent, unsigned int *reason)
{
	struct hybrid_alloc_claim c = { .size = sizeof(c), .extent = *extent };

	*reason = 0;
	return ioctl(fd, HYBRID_ALLOC_IOC_CLAIM, &c) ? errno : 0;
}

/* False if the error is not the extent's, and will meet all others too. */
static bool run_extent(struct extent_job *job, __u64 start, __u64 len)
{
	struct hybrid_alloc_extent extent = { .start = start, .len = len };
	unsigned int reason;
	int err = job->call(job->fd, &extent, &reason);
	char *error = NULL;

	if (err) {
		error = explain(job->cmd->name, err, reason, job->path, "%s %llu:%llu",
				job->cmd->name, start, len);
		complain("%s", error);
		job->status = EXIT_FAILED;
	}
	if (job->report) {
		union cell cells[NR_REPORT] = {
			[REPORT_START].number = start,
			[REPORT_LEN].number = len,
			[REPORT_RESULT].text = err ? strerrorname_np(err) : "ok",
			[REPORT_ERROR].text = error,
		};

		table_row(job->report, cells);
	}
	free(error);

	switch (err) {
	case 0:
	case EINVAL:
	case ENOENT:
	case ERANGE:
	case EPERM:
	case EEXIST:
	case EFBIG:
		return true;
	default:
		return false;
	}
}

/* One extent a line; blank lines and what follows a # do not count. */
static bool run_stdin(struct extent_job *job)
{
	char *line = NULL;
	size_t room = 0, number = 0;
	bool go_on = true;

	while (go_on && getline(&line, &room, stdin) >= 0) {
		__u64 start, len;
		const char *wrong;

		number++;
		line[strcspn(line, "#\r\n")] = 0;
		if (!line[strspn(line, " \t")])
			continue;
		wrong = parse_extent(line, &start, &len);
		if (wrong) {
			complain("standard input, line %zu: '%s' %s", number, line, wrong);
			job->status = EXIT_FAILED;
			continue;
		}
		go_on = run_extent(job, start, len);
	}
	if (ferror(stdin)) {
		complain("cannot read standard input: %s", strerror(errno));
		job->status = EXIT_FAILED;
		go_on = false;
	}
	free(line);
	return go_on;
}

static int run_extents(struct extent_job *job, const struct args *args)
{
	const struct table_options *opts = &args->table;
	__u64 start, len;

	/* A slip of the pen anywhere on the command line: nothing is done. */
	for (int i = 1; i < args->nr_words; i++) {
		const char *wrong = NULL;

		if (strcmp(args->words[i], "-"))
			wrong = parse_extent(args->words[i], &start, &len);
		if (wrong) {
			complain("'%s' %s", args->words[i], wrong);
			return EXIT_USAGE;
		}
	}
	if (opts->json || opts->raw || opts->columns) {
		job->report = table_new("extents", job->cmd, args);
		if (!job->report)
			return EXIT_USAGE;
	}
	job->path = node_path(args->words[0]);
	job->fd = open_node(job->path, O_RDWR);
	if (job->fd < 0)
		return EXIT_FAILED;

	for (int i = 1; i < args->nr_words; i++) {
		if (!strcmp(args->words[i], "-")) {
			if (!run_stdin(job))
				break;
			continue;
		}
		parse_extent(args->words[i], &start, &len);
		if (!run_extent(job, start, len))
			break;
	}
	if (job->report)
		table_finish(job->report);
	return job->status;
}

static int cmd_free(const struct command *cmd, const struct args *args)
{
	return run_extents(&(struct extent_job){ .cmd = cmd, .call = call_free }, args);
}

static int cmd_claim(const struct command *cmd, const struct args *args)
{
	return run_extents(&(struct extent_job){ .cmd = cmd, .call = call_claim }, args);
}

/* Seal, drain and stat */

static int simple_op(const struct command *cmd, const struct args *args, unsigned long request,
		     const char *verb)
{
	struct hybrid_alloc_op op = { .size = sizeof(op) };
	const char *path = node_path(args->words[0]);
	int fd = open_node(path, O_RDWR);

	if (fd < 0)
		return EXIT_FAILED;
	if (ioctl(fd, request, &op))
		return failed(explain(cmd->name, errno, 0, path, "%s %s", verb, path));
	return EXIT_OK;
}

static int cmd_seal(const struct command *cmd, const struct args *args)
{
	return simple_op(cmd, args, HYBRID_ALLOC_IOC_SEAL, "seal");
}

static int cmd_drain(const struct command *cmd, const struct args *args)
{
	return simple_op(cmd, args, HYBRID_ALLOC_IOC_DRAIN, "drain the pools of");
}

/* What struct hybrid_alloc_stat has, under the same names. */
static const struct column stat_columns[] = {
	{ "NODE", COLUMN_TEXT, IN_ALL, "device node of the instance" },
	{ "CAPACITY", COLUMN_SIZE, IN_ALL, "the managed range: the sum of the next five" },
	{ "CHARGED", COLUMN_SIZE, IN_ALL, "in live extents" },
	{ "CACHED", COLUMN_SIZE, IN_ALL, "in the per-CPU pools, ready for use" },
	{ "FREE", COLUMN_SIZE, IN_ALL, "free, in slabs and buddy blocks" },
	{ "RETIRED", COLUMN_SIZE, IN_ALL, "given back, but not yet reusable" },
	{ "UNUSABLE", COLUMN_SIZE, IN_ALL, "tail of the device that is no whole block" },
	{ "METADATA", COLUMN_SIZE, IN_ALL, "memory for the allocator's metadata" },
	{ "PERCPU", COLUMN_SIZE, IN_ALL, "memory for the pools" },
	{ "NR_LIVE", COLUMN_NUMBER, IN_ALL, "live extents" },
	{ "NR_SLABS", COLUMN_NUMBER, IN_ALL, "slabs" },
	{ "NR_FREE_RUNS", COLUMN_NUMBER, IN_RUNS, "free runs, with --runs" },
	{ "LARGEST_FREE_RUN", COLUMN_SIZE, IN_RUNS, "the largest of them, with --runs" },
	{ "POOL_HITS", COLUMN_NUMBER, IN_ALL, "allocations that a pool served" },
	{ "POOL_MISSES", COLUMN_NUMBER, IN_ALL, "allocations that found their pool empty" },
	{ "POOL_REFILLS", COLUMN_NUMBER, IN_ALL, "times a pool was refilled" },
	{ "POOL_DRAINS", COLUMN_NUMBER, IN_ALL, "times a pool was drained" },
	{ "SLABS_MADE", COLUMN_NUMBER, IN_ALL, "slabs made of buddy blocks" },
	{ "SLABS_RETURNED", COLUMN_NUMBER, IN_ALL, "slabs given back to the buddy layer" },
	{ "BUDDY_SPLITS", COLUMN_NUMBER, IN_ALL, "buddy blocks split" },
	{ "BUDDY_MERGES", COLUMN_NUMBER, IN_ALL, "buddy blocks merged" },
	{ "SLOW_SEARCHES", COLUMN_NUMBER, IN_ALL,
		"allocations that emptied the pools and searched" },
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
};

/* Where that is, in the same order. */
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
	STAT(refused_frees[HYBRID_ALLOC_REASON_NOT_ALLOCATED]),
	STAT(refused_frees[HYBRID_ALLOC_REASON_WRONG_START]),
	STAT(refused_frees[HYBRID_ALLOC_REASON_WRONG_LENGTH]),
	STAT(refused_frees[HYBRID_ALLOC_REASON_UNALIGNED]),
	STAT(refused_frees[HYBRID_ALLOC_REASON_ZERO_LENGTH]),
	STAT(refused_frees[HYBRID_ALLOC_REASON_OUT_OF_RANGE]),
};

static_assert(ARRAY_SIZE(stat_columns) == ARRAY_SIZE(stat_offsets), "a column without a value");

static int cmd_stat(const struct command *cmd, const struct args *args)
{
	struct table *t = table_new("stat", cmd, args);
	bool runs;

	if (!t)
		return EXIT_USAGE;
	/* Who asks for them by name gets them, too. */
	runs = table_shows(t, "NR_FREE_RUNS") || table_shows(t, "LARGEST_FREE_RUN");

	for (int i = 0; i < args->nr_words; i++) {
		struct hybrid_alloc_stat s = {
			.size = sizeof(s),
			.flags = runs ? HYBRID_ALLOC_STAT_RUNS : 0,
		};
		union cell cells[ARRAY_SIZE(stat_columns)];
		const char *path = node_path(args->words[i]);
		int fd = open_node(path, O_RDONLY);

		if (fd < 0)
			return EXIT_FAILED;
		if (ioctl(fd, HYBRID_ALLOC_IOC_STAT, &s))
			return failed(explain(cmd->name, errno, 0, path, "read the figures of %s",
					      path));
		cells[0].text = path;
		for (size_t k = 1; k < ARRAY_SIZE(cells); k++)
			memcpy(&cells[k].number, (const char *)&s + stat_offsets[k], sizeof(__u64));
		table_row(t, cells);
		close(fd);
	}
	table_finish(t);
	return EXIT_OK;
}

static const struct command commands[] = {
	{
		.name = "attach",
		.run = cmd_attach,
		.options = OPTS_TABLE | BIT(OPT_FRESH) | BIT(OPT_FORCE) | BIT(OPT_RANGE) |
			   BIT(OPT_MIN_BLOCK) | BIT(OPT_MAX_BLOCK) | BIT(OPT_SLAB_MAX) |
			   BIT(OPT_BUDDY_START),
		.min_words = 1, .max_words = 1,
		.words = "DEVICE",
		.summary = "take over a block device",
		.description =
			"Makes an instance that hands out the space of the block device DEVICE, and prints its "
			"node. The device is held exclusively: nobody can mount it meanwhile, and programs "
			"that use their extents must open it without O_EXCL. Its data is not touched.\n"
			"The allocator keeps no record on the disk. With --fresh all space is free. Without it "
			"the instance is attached to be rebuilt: tell it with `hybridctl claim` which extents "
			"are in use, by the catalogue of the program that stores data there, then end this "
			"with `hybridctl seal`. Until then nothing is handed out.\n"
			"A disk with a known signature, of a file system or a partition table for example, is "
			"refused without --force; `wipefs --all DEVICE` erases signatures. Refused always are "
			"disks that are mounted or held by others, read-only, zoned or too small, and those "
			"whose logical block is larger than --min-block. Needs CAP_SYS_ADMIN.",
		.examples =
			"hybridctl attach --fresh /dev/vdb\n"
			"Hand out all of an empty disk.\n"
			"hybridctl attach --range 1M,10G /dev/vdb\n"
			"Rebuild what a program had on 10 GiB from byte 1048576; its superblock stays in front.\n",
		.columns = info_columns, .nr_columns = NR_INFO,
	}, {
		.name = "detach",
		.run = cmd_detach,
		.options = BIT(OPT_DETACH_FORCE),
		.min_words = 1, .max_words = 1,
		.words = "NODE",
		.summary = "give a block device back",
		.description =
			"Ends the instance and releases its block device. An instance with live extents, open "
			"files or users in the kernel is refused without --force.",
		.examples =
			"hybridctl detach 0\n"
			"Detach /dev/hybrid_alloc0.\n",
	}, {
		.name = "list",
		.run = cmd_list,
		.options = OPTS_TABLE,
		.summary = "list the instances",
		.description = "Lists all instances, one a line; prints nothing if there are none.",
		.examples =
			"hybridctl list --noheadings --raw --output NODE\n"
			"The nodes only, for a script.\n",
		.columns = info_columns, .nr_columns = NR_INFO,
	}, {
		.name = "info",
		.run = cmd_info,
		.options = OPTS_TABLE,
		.min_words = 1, .max_words = INT_MAX,
		.words = "NODE...",
		.summary = "show what an instance is",
		.description =
			"Shows the instance's disk, range, state and configuration, one value a line. With "
			"--json, --raw or --output, one line per instance and one column per value.",
		.examples =
			"hybridctl info 0\n"
			"Show all of /dev/hybrid_alloc0.\n",
		.columns = info_columns, .nr_columns = NR_INFO, .as_list = true,
	}, {
		.name = "alloc",
		.run = cmd_alloc,
		.options = OPTS_TABLE | BIT(OPT_ALIGN) | BIT(OPT_COUNT),
		.min_words = 2, .max_words = INT_MAX,
		.words = "NODE SIZE...",
		.summary = "allocate extents",
		.description =
			"Allocates one extent per SIZE and prints where it is: from byte START of the disk, LEN "
			"bytes long. LEN is SIZE rounded up to the smallest block. The extents are live until "
			"they are freed, also when hybridctl has ended.\n"
			"At the first failure it stops, prints what was allocated before, and exits with 1.",
		.examples =
			"hybridctl alloc 0 1M 64K 4K\n"
			"Allocate three extents.\n"
			"hybridctl alloc --count 100 -n --output EXTENT 0 1M > extents\n"
			"Allocate a hundred and keep the list, for `hybridctl free 0 - < extents`.\n"
			"hybridctl alloc --json --align 1G 0 2G\n"
			"At a multiple of 1 GiB; as JSON.\n",
		.columns = extent_columns, .nr_columns = NR_EXTENT,
	}, {
		.name = "free",
		.run = cmd_free,
		.options = OPTS_REPORT,
		.min_words = 2, .max_words = INT_MAX,
		.words = "NODE START:LEN|-...",
		.summary = "give extents back",
		.description =
			"Frees extents. START is where the extent starts, LEN a size that rounds up to its "
			"length; START,LEN is understood too. With - the extents are read from standard input, "
			"one a line, START and LEN divided by a colon, a comma or blanks; blank lines and what "
			"follows a # are skipped.\n"
			"All I/O to the extents must have finished, dirty pages of the block device's page cache "
			"included: they would land in the data of the extent's next owner.\n"
			"Every free is checked. What was never allocated, is free already, or is no extent of "
			"this start and length is refused, is told on standard error, and changes nothing; the "
			"others are freed all the same. With --json, --raw or --output a line is printed for "
			"each extent.",
		.examples =
			"hybridctl free 0 1048576:65536 8M:1M\n"
			"Free two extents.\n"
			"hybridctl free 0 $(hybridctl alloc --noheadings --output EXTENT 0 1M)\n"
			"Allocate 1 MiB and free it.\n",
		.columns = report_columns, .nr_columns = NR_REPORT,
	}, {
		.name = "claim",
		.run = cmd_claim,
		.options = OPTS_REPORT,
		.min_words = 2, .max_words = INT_MAX,
		.words = "NODE START:LEN|-...",
		.summary = "say that extents are in use",
		.description =
			"Marks given ranges of the disk as live extents, to rebuild an instance from the "
			"catalogue of the program that stores data there. START is a multiple of the smallest "
			"block, LEN is rounded up to it. With - the extents are read from standard input, as "
			"`hybridctl free` does.\n"
			"A range that is taken already, even in part, is refused; the others are claimed all the "
			"same. Seal the instance only when all were claimed: what was not claimed is handed "
			"out after that. With --json, --raw or --output a line is printed for each extent.",
		.examples =
			"hybridctl claim 0 - < extents && hybridctl seal 0\n"
			"Rebuild an instance and open it for use.\n",
		.columns = report_columns, .nr_columns = NR_REPORT,
	}, {
		.name = "seal",
		.run = cmd_seal,
		.min_words = 1, .max_words = 1,
		.words = "NODE",
		.summary = "end the rebuilding: alloc works from then on",
		.description =
			"Says that all extents in use have been claimed. From then on the rest of the space is "
			"handed out. Without effect on an instance that is sealed already.",
		.examples =
			"hybridctl seal 0\n"
			"Open /dev/hybrid_alloc0 for use.\n",
	}, {
		.name = "drain",
		.run = cmd_drain,
		.min_words = 1, .max_words = 1,
		.words = "NODE",
		.summary = "empty the per-CPU pools",
		.description =
			"Gives the extents that wait in the per-CPU pools back to slabs and buddy blocks. An "
			"allocation that finds no space does this by itself; by hand it is of use before "
			"`hybridctl stat`, which then shows what is free and nothing cached.",
		.examples =
			"hybridctl drain 0 && hybridctl stat --runs 0\n"
			"Show the free space as it is without the pools.\n",
	}, {
		.name = "stat",
		.run = cmd_stat,
		.options = OPTS_TABLE | BIT(OPT_RUNS),
		.min_words = 1, .max_words = INT_MAX,
		.words = "NODE...",
		.summary = "show where the space is",
		.description =
			"Shows how much of the space is in use and free, the memory that the allocator needs, "
			"and what its layers did since attaching, one value a line. With --json, --raw or "
			"--output, one line per instance and one column per value. When nobody else is at work "
			"CAPACITY = CHARGED + CACHED + FREE + RETIRED + UNUSABLE.",
		.examples =
			"hybridctl stat --runs 0\n"
			"All figures of /dev/hybrid_alloc0, with the largest free run.\n"
			"hybridctl stat -nrb --output FREE 0\n"
			"One number, for a script.\n",
		.columns = stat_columns, .nr_columns = ARRAY_SIZE(stat_columns), .as_list = true,
	},
};

/* Output that did not arrive is a failure, also when it is only noticed at the end. */
static int flushed(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	complain("cannot write the output: %s. What was asked for has been done all the same.",
		 strerror(errno));
	return EXIT_FAILED;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	struct args args;
	int status;

	if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
		help_tool(commands, ARRAY_SIZE(commands));
		return flushed(EXIT_OK);
	}
	if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
		puts("hybridctl " HYBRIDCTL_VERSION);
		return flushed(EXIT_OK);
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command *cmd = &commands[i];

		if (strcmp(cmd->name, name))
			continue;
		/* As getopt shall call us */
		argv[1] = must(strdup("hybridctl"));
		if (!parse_args(cmd, argc - 1, argv + 1, &args, &status))
			return flushed(status);
		return flushed(cmd->run(cmd, &args));
	}
	if (*name)
		complain("there is no command '%s'%s", name,
			 *name == '-' ? "; the command comes first, then its options" : "");
	else
		complain("which command?");
	fputs("Try 'hybridctl --help' for more.\n", stderr);
	return EXIT_USAGE;
}
