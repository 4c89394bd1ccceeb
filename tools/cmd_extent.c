// SPDX-License-Identifier: GPL-2.0
/*
 * free, claim, keep, split, extend: what is done to extents from the command line and from
 * files, in batches.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hybridctl.h"
#include "common/size.h"

enum { REPORT_START, REPORT_LEN, REPORT_RESULT, REPORT_ERROR, NR_REPORT };

static const struct column report_columns[NR_REPORT] = {
	[REPORT_START] = { "START", COLUMN_NUMBER, IN_ALL, "first byte on the disk" },
	[REPORT_LEN] = { "LEN", COLUMN_SIZE, IN_ALL, "length, as given" },
	[REPORT_RESULT] = { "RESULT", COLUMN_TEXT, IN_ALL, "ok, or the name of the error" },
	[REPORT_ERROR] = { "ERROR", COLUMN_TEXT, IN_JSON | MAY_BE_EMPTY,
		"the error as a sentence" },
};

enum { SPLIT_START, SPLIT_LEN, SPLIT_AT, SPLIT_RESULT, SPLIT_ERROR, NR_SPLIT };

static const struct column split_columns[NR_SPLIT] = {
	[SPLIT_START] = { "START", COLUMN_NUMBER, IN_ALL, "first byte on the disk" },
	[SPLIT_LEN] = { "LEN", COLUMN_SIZE, IN_ALL, "length, as given" },
	[SPLIT_AT] = { "AT", COLUMN_NUMBER, IN_ALL, "first byte of the second extent, as given" },
	[SPLIT_RESULT] = { "RESULT", COLUMN_TEXT, IN_ALL, "ok, or the name of the error" },
	[SPLIT_ERROR] = { "ERROR", COLUMN_TEXT, IN_JSON | MAY_BE_EMPTY,
		"the error as a sentence" },
};

enum { LONGER_START, LONGER_LEN, LONGER_SIZE, LONGER_EXTENT, LONGER_RESULT, LONGER_ERROR,
	NR_LONGER };

static const struct column longer_columns[NR_LONGER] = {
	[LONGER_START] = { "START", COLUMN_NUMBER, IN_ALL, "first byte on the disk" },
	[LONGER_LEN] = { "LEN", COLUMN_NUMBER, IN_ALL, "length in bytes, as it is now" },
	[LONGER_SIZE] = { "SIZE", COLUMN_SIZE, IN_TABLE, "the same, such as 1.5G" },
	[LONGER_EXTENT] = { "EXTENT", COLUMN_TEXT, 0, "START:LEN, as free and claim take it" },
	[LONGER_RESULT] = { "RESULT", COLUMN_TEXT, IN_ALL, "ok, or the name of the error" },
	[LONGER_ERROR] = { "ERROR", COLUMN_TEXT, IN_JSON | MAY_BE_EMPTY,
		"the error as a sentence" },
};

/* An item of any of the calls. Arrays of them are as dense as the call's own. */
union item {
	struct hybrid_alloc_extent extent;	/* first in all of them */
	struct hybrid_alloc_free_item free;	/* of claim and keep, too */
	struct hybrid_alloc_split_item split;
	struct hybrid_alloc_extend_item extend;
};

struct extent_job;

/**
 * struct extent_call - what is done to extents
 * @key: what explanations of errors call it
 * @name: how an extent and what belongs to it is written, such as START:LEN
 * @form: what is wrong with what is not so, as the end of a sentence
 * @nr_numbers: 2: START:LEN; 3: with one more
 * @item_size: of the item that the call takes
 * @whole: a part of a dump is a mistake
 * @prints: without being asked to
 * @call: makes it for a batch
 * @fill: fills in the third number
 * @error: out: of an item, with the reason
 * @does: "free 1:2"; to be freed
 * @row: prints what came of an item; @error is a sentence, or NULL
 */
struct extent_call {
	const char *key, *name, *form;
	int nr_numbers;
	size_t item_size;
	bool whole, prints;
	int (*call)(struct extent_job *job, struct hybrid_alloc_batch *batch);
	void (*fill)(const struct args *args, union item *item, __u64 number);
	__u32 (*error)(const union item *item, __u32 *reason);
	char *(*does)(const struct extent_job *job, const union item *item);
	void (*row)(struct table *t, const union item *item, const char *error);
};

/* Extents from the command line and from files */
struct extent_job {
	const struct command *cmd;
	const struct args *args;
	const struct extent_call *what;
	const char *path;
	int fd;
	int *others;			/* open files of another program, for keep */
	size_t nr_others;
	struct table *report;		/* NULL: only complaints */
	int status;
	bool stopped;			/* by an error of the call itself */
	__u32 nr;
	char items[HYBRID_ALLOC_MAX_ITEMS * sizeof(union item)];
};

static void *item_of(struct extent_job *job, __u32 i)
{
	return job->items + i * job->what->item_size;
}

static void report_item(struct extent_job *job, const void *at)
{
	const struct extent_call *what = job->what;
	union item item = { };
	char *error = NULL, *does;
	__u32 err, reason;

	memcpy(&item, at, what->item_size);
	err = what->error(&item, &reason);
	if (err) {
		does = what->does(job, &item);
		error = explain(what->key, err, reason, job->path, "%s", does);
		free(does);
		complain("%s", error);
		job->status = EXIT_FAILED;
	}
	if (job->report)
		what->row(job->report, &item, error);
	free(error);
}

/* Makes the call for the extents that were collected. */
static void flush_job(struct extent_job *job)
{
	struct hybrid_alloc_batch batch = {
		.size = sizeof(batch),
		.nr = job->nr,
		.item_size = job->what->item_size,
	};
	union item item = { };
	char *does;
	int err;

	if (!job->nr || job->stopped)
		return;
	err = job->what->call(job, &batch);
	if (err) {
		memcpy(&item, item_of(job, batch.nr_done), job->what->item_size);
		does = job->what->does(job, &item);
		job->status = failed(explain(job->what->key, -err, 0, job->path,
					     "%s and what follows", does));
		free(does);
		job->stopped = true;
	}
	for (__u32 i = 0; i < batch.nr_done; i++)
		report_item(job, item_of(job, i));
	job->nr = 0;
}

static void add_extent(struct extent_job *job, const __u64 *numbers)
{
	union item item = { .extent = { .start = numbers[0], .len = numbers[1] } };

	if (job->what->fill)
		job->what->fill(job->args, &item, numbers[2]);
	memcpy(item_of(job, job->nr++), &item, job->what->item_size);
	if (job->nr == HYBRID_ALLOC_MAX_ITEMS)
		flush_job(job);
}

/*
 * What `hybridctl dump` prints begins with a comment, and ends with one that says how many extents
 * it has. So a part of it is not taken for the whole.
 */
struct dump_marks {
	size_t nr;		/* extents since the begin, or the last end */
	bool begun;
	bool broken;
};

static void look_for_mark(struct dump_marks *marks, const char *line)
{
	size_t nr;

	if (!strncmp(line, DUMP_BEGIN, strlen(DUMP_BEGIN))) {
		marks->broken |= marks->begun;
		marks->begun = true;
		marks->nr = 0;
	} else if (sscanf(line, DUMP_END, &nr) == 1) {
		marks->broken |= nr != marks->nr;
		marks->begun = false;
		marks->nr = 0;
	}
}

/* Reads one extent a line. Blank lines, and the rest of a line after a #, are ignored. */
static void read_extents(struct extent_job *job, FILE *in, const char *name)
{
	struct progress *progress = progress_start(job->cmd->name, "extents", in);
	struct dump_marks marks = { };
	char *line = NULL;
	size_t room = 0, number = 0;

	while (!job->stopped && getline(&line, &room, in) >= 0) {
		__u64 numbers[3];
		const char *wrong;

		number++;
		look_for_mark(&marks, line);
		line[strcspn(line, "#\r\n")] = 0;
		if (!line[strspn(line, " \t")])
			continue;
		wrong = parse_numbers(line, numbers, job->what->nr_numbers, job->what->form);
		if (wrong) {
			complain("%s, line %zu: '%s' %s. It is left out; give it by itself",
				 name, number, line, wrong);
			job->status = EXIT_FAILED;
			continue;
		}
		add_extent(job, numbers);
		progress_step(progress, 1);
		marks.nr++;
	}
	if (ferror(in)) {
		char *why = explain("file", errno, 0, NULL, "read %s", name);

		complain("%s The lines before that are done.", why);
		free(why);
		job->status = EXIT_FAILED;
	}
	free(line);
	flush_job(job);
	progress_end(progress);
	if (job->what->whole && (marks.begun || marks.broken) && !job->stopped) {
		complain("%s is not the whole of a dump: the number of its extents is not the one "
			 "of a line '# end'. Those that are there were claimed: before a seal, "
			 "compare them with what should be there", name);
		job->status = EXIT_FAILED;
	}
}

static void read_file(struct extent_job *job, const char *path)
{
	const char *name;
	FILE *in = open_input(path, &name);

	if (!in) {
		job->status = EXIT_FAILED;
		return;
	}
	read_extents(job, in, name);
	if (in != stdin)
		fclose(in);
}

/* After a mistake anywhere on the command line, nothing is done. */
static bool extents_are_right(const struct extent_job *job)
{
	const struct args *args = job->args;
	__u64 numbers[3];

	if (args->nr_words == 1 && !args->file) {
		complain("%s which extents? Name them as %s, or a file of them with --file",
			 job->cmd->name, job->what->name);
		return false;
	}
	for (int i = 1; i < args->nr_words; i++) {
		const char *wrong = NULL;

		if (strcmp(args->words[i], "-"))
			wrong = parse_numbers(args->words[i], numbers, job->what->nr_numbers,
					      job->what->form);
		if (wrong) {
			complain("'%s' %s", args->words[i], wrong);
			return false;
		}
	}
	return true;
}

static int run_job(struct extent_job *job)
{
	const struct args *args = job->args;
	__u64 numbers[3];

	for (int i = 1; i < args->nr_words; i++) {
		if (!strcmp(args->words[i], "-")) {
			read_file(job, "-");
		} else {
			parse_numbers(args->words[i], numbers, job->what->nr_numbers,
				      job->what->form);
			add_extent(job, numbers);
		}
	}
	flush_job(job);
	if (args->file)
		read_file(job, args->file);
	if (job->report)
		table_finish(job->report);
	return job->status;
}

/* NULL, and *@status set, after a complaint. */
static struct extent_job *new_job(const struct command *cmd, const struct args *args,
				  const struct extent_call *what, int *status)
{
	struct extent_job *job = must(calloc(1, sizeof(*job)));

	job->cmd = cmd;
	job->args = args;
	job->what = what;
	*status = EXIT_USAGE;
	if (!extents_are_right(job))
		return NULL;
	if (what->prints || wants_table(args)) {
		job->report = table_new(cmd, args);
		if (!job->report)
			return NULL;
	}
	job->path = node_path(args->words[0]);
	job->fd = open_node(job->path, O_RDWR);
	*status = EXIT_FAILED;
	return job->fd < 0 ? NULL : job;
}

static int run_extents(const struct command *cmd, const struct args *args,
		       const struct extent_call *what)
{
	struct extent_job *job;
	int status;

	job = new_job(cmd, args, what, &status);
	return job ? run_job(job) : status;
}

/* ---- free, claim, keep ---- */

static const char extent_form[] = "is not of the form START:LEN, such as 1M:64K";

static __u32 plain_error(const union item *item, __u32 *reason)
{
	*reason = item->free.reason;
	return item->free.error;
}

static char *plain_does(const struct extent_job *job, const union item *item)
{
	return text("%s %llu:%llu", job->cmd->name, item->extent.start, item->extent.len);
}

static void plain_row(struct table *t, const union item *item, const char *error)
{
	union cell cells[NR_REPORT] = {
		[REPORT_START].number = item->extent.start,
		[REPORT_LEN].number = item->extent.len,
		[REPORT_RESULT].text = error ? strerrorname_np(item->free.error) : "ok",
		[REPORT_ERROR].text = error,
	};

	table_row(t, cells);
}

static int call_free(struct extent_job *job, struct hybrid_alloc_batch *batch)
{
	batch->flags = job->args->part ? HYBRID_ALLOC_FREE_PART : 0;
	return hybrid_alloc_free_batch(job->fd, item_of(job, 0), batch);
}

static int call_claim(struct extent_job *job, struct hybrid_alloc_batch *batch)
{
	return hybrid_alloc_claim_batch(job->fd, item_of(job, 0), batch);
}

/*
 * Through each of the files: the one that an extent is bound to keeps it, and to those after that
 * it is not bound. So what the last one says is the result.
 */
static int call_keep(struct extent_job *job, struct hybrid_alloc_batch *batch)
{
	int err = 0;

	if (!job->args->pid)
		return hybrid_alloc_keep_batch(job->fd, item_of(job, 0), batch);
	for (size_t i = 0; !err && i < job->nr_others; i++)
		err = hybrid_alloc_keep_batch(job->others[i], item_of(job, 0), batch);
	return err;
}

#define PLAIN(...) {							\
	.name = "START:LEN", .form = extent_form, .nr_numbers = 2,	\
	.item_size = sizeof(struct hybrid_alloc_free_item),		\
	.error = plain_error, .does = plain_does, .row = plain_row,	\
	__VA_ARGS__							\
}

static int cmd_free(const struct command *cmd, const struct args *args)
{
	static const struct extent_call whole = PLAIN(.key = "free", .call = call_free);
	static const struct extent_call part = PLAIN(.key = "part", .call = call_free);

	return run_extents(cmd, args, args->part ? &part : &whole);
}

static int cmd_claim(const struct command *cmd, const struct args *args)
{
	static const struct extent_call what =
		PLAIN(.key = "claim", .call = call_claim, .whole = true);

	return run_extents(cmd, args, &what);
}

/* A descriptor of the open file that a process has, if it is one of the node to write to. */
static int file_of(int process, const char *path, const char *name, dev_t rdev)
{
	char *file = text("%s/%s", path, name);
	struct stat st;
	int fd = -1;

	if (!stat(file, &st) && S_ISCHR(st.st_mode) && st.st_rdev == rdev)
		fd = syscall(SYS_pidfd_getfd, process, atoi(name), 0);
	free(file);
	if (fd >= 0 && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* The open files of the node that the process has; false after a complaint. */
static bool take_files(struct extent_job *job)
{
	int pid = job->args->pid, process = syscall(SYS_pidfd_open, pid, 0), fd;
	char *path = text("/proc/%d/fd", pid);
	DIR *dir = process < 0 ? NULL : opendir(path);
	struct dirent *entry;
	struct stat st;

	if (!dir || fstat(job->fd, &st)) {
		failed(explain("pid", errno, 0, job->path, "use the files of process %d", pid));
		return false;
	}
	while ((entry = readdir(dir))) {
		fd = entry->d_name[0] == '.' ? -1 :
		     file_of(process, path, entry->d_name, st.st_rdev);
		if (fd < 0)
			continue;
		job->others = must(reallocarray(job->others, job->nr_others + 1, sizeof(int)));
		job->others[job->nr_others++] = fd;
	}
	closedir(dir);
	free(path);
	close(process);
	if (!job->nr_others)
		failed(explain("pid", EBADF, 0, job->path, "use the files of process %d", pid));
	return job->nr_others;
}

static int cmd_keep(const struct command *cmd, const struct args *args)
{
	static const struct extent_call what = PLAIN(.key = "keep", .call = call_keep);
	struct extent_job *job;
	int status;

	job = new_job(cmd, args, &what, &status);
	if (!job)
		return status;
	return args->pid && !take_files(job) ? EXIT_FAILED : run_job(job);
}

/* ---- split ---- */

static int call_split(struct extent_job *job, struct hybrid_alloc_batch *batch)
{
	return hybrid_alloc_split_batch(job->fd, item_of(job, 0), batch);
}

static void split_fill(const struct args *args, union item *item, __u64 number)
{
	(void)args;
	item->split.at = number;
}

static __u32 split_error(const union item *item, __u32 *reason)
{
	*reason = item->split.reason;
	return item->split.error;
}

static char *split_does(const struct extent_job *job, const union item *item)
{
	(void)job;
	return text("split %llu:%llu at %llu", item->extent.start, item->extent.len,
		    item->split.at);
}

static void split_row(struct table *t, const union item *item, const char *error)
{
	union cell cells[NR_SPLIT] = {
		[SPLIT_START].number = item->extent.start,
		[SPLIT_LEN].number = item->extent.len,
		[SPLIT_AT].number = item->split.at,
		[SPLIT_RESULT].text = error ? strerrorname_np(item->split.error) : "ok",
		[SPLIT_ERROR].text = error,
	};

	table_row(t, cells);
}

static int cmd_split(const struct command *cmd, const struct args *args)
{
	static const struct extent_call what = {
		.key = "split", .name = "START:LEN:AT", .nr_numbers = 3,
		.form = "is not of the form START:LEN:AT, such as 1M:64K:1040K",
		.item_size = sizeof(struct hybrid_alloc_split_item),
		.call = call_split, .fill = split_fill, .error = split_error,
		.does = split_does, .row = split_row,
	};

	return run_extents(cmd, args, &what);
}

/* ---- extend ---- */

static int call_extend(struct extent_job *job, struct hybrid_alloc_batch *batch)
{
	return hybrid_alloc_extend_batch(job->fd, item_of(job, 0), batch);
}

static void extend_fill(const struct args *args, union item *item, __u64 number)
{
	item->extend.more = number;
	item->extend.least = args->least;
}

static __u32 extend_error(const union item *item, __u32 *reason)
{
	*reason = item->extend.reason;
	return item->extend.error;
}

static char *extend_does(const struct extent_job *job, const union item *item)
{
	(void)job;
	return text("extend %llu:%llu by %llu", item->extent.start, item->extent.len,
		    item->extend.more);
}

static void extend_row(struct table *t, const union item *item, const char *error)
{
	char *extent = text("%llu:%llu", item->extent.start, item->extent.len);
	union cell cells[NR_LONGER] = {
		[LONGER_START].number = item->extent.start,
		[LONGER_LEN].number = item->extent.len,
		[LONGER_SIZE].number = item->extent.len,
		[LONGER_EXTENT].text = extent,
		[LONGER_RESULT].text = error ? strerrorname_np(item->extend.error) : "ok",
		[LONGER_ERROR].text = error,
	};

	table_row(t, cells);
	free(extent);
}

static int cmd_extend(const struct command *cmd, const struct args *args)
{
	static const struct extent_call what = {
		.key = "extend", .name = "START:LEN:MORE", .nr_numbers = 3,
		.form = "is not of the form START:LEN:MORE, such as 1M:64K:4K",
		.item_size = sizeof(struct hybrid_alloc_extend_item), .prints = true,
		.call = call_extend, .fill = extend_fill, .error = extend_error,
		.does = extend_does, .row = extend_row,
	};

	return run_extents(cmd, args, &what);
}

const struct command free_command = {
	.name = "free",
	.run = cmd_free,
	.options = OPTS_TABLE | BIT(OPT_FILE) | BIT(OPT_PART),
	.min_words = 1, .max_words = INT_MAX,
	.words = "NODE [START:LEN...]",
	.summary = "free extents",
	.description =
		"Frees extents. START is where the extent starts, LEN a size that rounds up to its "
		"length; START,LEN is accepted too. With --file the extents are read from a file, one a "
		"line, START and LEN separated by a colon, a comma or blanks; blank lines, and the rest of "
		"a line after a #, are ignored. A - in place of an extent is short for --file -.\n"
		"All I/O to the extents must have finished, dirty pages in the block device's page cache "
		"included: they would overwrite the data of the extent's next owner.\n"
		"With --part, a range is a part of an extent, in whole blocks: its head, its tail, or out "
		"of its middle. What is left of the extent before and behind the part are extents of their "
		"own. Or it is several extents in a row exactly, which are all freed.\n"
		"Every free is checked. A range that was never allocated, is free already, or is not an "
		"extent of this start and length is refused with a message on standard error, and nothing "
		"changes; the other extents are freed. With --json, --raw or --output a line is printed "
		"for each extent.",
	.examples =
		"hybridctl free 0 1048576:65536 8M:1M\n"
		"Free two extents.\n"
		"hybridctl free 0 $(hybridctl alloc --noheadings --output EXTENT 0 1M)\n"
		"Allocate 1 MiB and free it.\n"
		"hybridctl free --part 0 9M:1M\n"
		"Free the second MiB of an extent that begins at 8M.\n",
	.table = "extents",
	.columns = report_columns, .nr_columns = NR_REPORT,
};

const struct command claim_command = {
	.name = "claim",
	.run = cmd_claim,
	.options = OPTS_TABLE | BIT(OPT_FILE),
	.min_words = 1, .max_words = INT_MAX,
	.words = "NODE [START:LEN...]",
	.summary = "mark extents as in use",
	.description =
		"Makes live extents of given ranges of the disk, to rebuild an instance from the "
		"catalogue of the program that stores data there. START is a multiple of the block size, "
		"LEN is rounded up to whole blocks. With --file the extents are read from a file, in the "
		"format that `hybridctl free` reads and `hybridctl dump` writes.\n"
		"A range that is not free, even in part, is refused; the other ranges are claimed. Seal "
		"the instance only after all extents are claimed: all other space can be allocated from "
		"then on. With --json, --raw or --output a line is printed for each extent.",
	.examples =
		"hybridctl claim --file extents 0 && hybridctl seal 0\n"
		"Rebuild an instance and make it ready for use.\n",
	.table = "extents",
	.columns = report_columns, .nr_columns = NR_REPORT,
};

const struct command keep_command = {
	.name = "keep",
	.run = cmd_keep,
	.options = OPTS_TABLE | BIT(OPT_FILE) | BIT(OPT_PID),
	.min_words = 1, .max_words = INT_MAX,
	.words = "NODE [START:LEN...]",
	.summary = "bind extents to no file any more",
	.description =
		"An extent that a program has allocated as bound, such as with `hybridctl alloc --bound`, is "
		"freed when that program ends, and only that program can free it. Kept, it stays until it is "
		"freed by any program that can open the node. --pid names the program; hybridctl uses its open "
		"files, for which it needs the permission to trace it.\n"
		"Extents are given as for `hybridctl free`, also with --file. Extents that are not bound stay "
		"as they are. With --json, --raw or --output a line is printed for each extent.",
	.examples =
		"hybridctl keep --pid 4711 0 8M:1M && kill 4711\n"
		"End a program, but not this extent.\n",
	.table = "extents",
	.columns = report_columns, .nr_columns = NR_REPORT,
};

const struct command split_command = {
	.name = "split",
	.run = cmd_split,
	.options = OPTS_TABLE | BIT(OPT_FILE),
	.min_words = 1, .max_words = INT_MAX,
	.words = "NODE [START:LEN:AT...]",
	.summary = "make two extents of one",
	.description =
		"Divides an extent. START and LEN are as for `hybridctl free`; AT is the first byte on the "
		"disk of the second extent, a multiple of the block size. Nothing moves. With --file the lines "
		"have three numbers each. What is refused changes nothing; the other extents are split, one "
		"after the other, so a later one may be what an earlier one has made. With --json, --raw or "
		"--output a line is printed for each.",
	.examples =
		"hybridctl split 0 8M:4M:9M\n"
		"Make an extent of 1 MiB and one of 3 MiB of one that begins at 8M.\n",
	.table = "extents",
	.columns = split_columns, .nr_columns = NR_SPLIT,
};

const struct command extend_command = {
	.name = "extend",
	.run = cmd_extend,
	.options = OPTS_TABLE | BIT(OPT_FILE) | BIT(OPT_LEAST),
	.min_words = 1, .max_words = INT_MAX,
	.words = "NODE [START:LEN:MORE...]",
	.summary = "make extents longer, where they are",
	.description =
		"Appends what is free behind an extent to it: MORE bytes, rounded up to whole blocks. START "
		"and LEN are as for `hybridctl free`. If less is free there, nothing changes, unless --least "
		"says how little is enough: then the extent gets as much of MORE as there is. With --file the "
		"lines have three numbers each. A line is printed for each extent, with its length as it is "
		"then.",
	.examples =
		"hybridctl extend 0 8M:4M:1M\n"
		"Append 1 MiB, or nothing.\n"
		"hybridctl extend --least 1 -n -o EXTENT 0 8M:4M:64M\n"
		"Append up to 64 MiB, as far as the space behind the extent is free.\n",
	.table = "extents",
	.columns = longer_columns, .nr_columns = NR_LONGER,
};
