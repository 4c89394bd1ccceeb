// SPDX-License-Identifier: GPL-2.0
/* alloc, free, claim: extents. */

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
static int alloc_size(int fd, const struct args *args, __u64 size, struct table *t)
{
	static struct hybrid_alloc_extent extents[HYBRID_ALLOC_MAX_ITEMS];
	__u32 flags = (args->bound ? HYBRID_ALLOC_ALLOC_BOUND : 0) |
		      (args->has_goal ? HYBRID_ALLOC_ALLOC_GOAL : 0);
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
		return err;
	}
	err = hybrid_alloc_alloc_many(fd, extents, &many);
	for (__u32 i = 0; !err && i < many.nr_extents; i++)
		alloc_row(t, &extents[i]);
	return err;
}

static int alloc_sizes(const struct command *cmd, const struct args *args, int fd,
		       const char *path, const __u64 *sizes, int nr, struct table *t)
{
	__u64 done = 0;

	for (int i = 0; i < nr; i++) {
		for (__u64 k = 0; k < args->count; k++, done++) {
			int err = interrupted ? -EINTR : alloc_size(fd, args, sizes[i], t);
			char *len, *align, *min;

			if (!err)
				continue;
			len = must(size_exact(sizes[i]));
			align = must(size_exact(args->align));
			min = must(size_exact(args->min));
			failed(explain(cmd->name, -err, 0, path, "allocate %s%s%s%s%s",
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
	t = table_new(cmd, args);
	if (!t || status)
		return EXIT_USAGE;

	/* What was allocated has to be printed: there is no other record of it. */
	catch_signals();
	fd = open_node(path, O_RDWR);
	if (fd < 0)
		return EXIT_FAILED;
	status = alloc_sizes(cmd, args, fd, path, sizes, nr, t);
	table_finish(t);
	if (args->bound && !status && !hold_bound(fd, path))
		status = EXIT_FAILED;
	hybrid_alloc_close(fd);
	return status;
}

enum { REPORT_START, REPORT_LEN, REPORT_RESULT, REPORT_ERROR, NR_REPORT };

static const struct column report_columns[NR_REPORT] = {
	[REPORT_START] = { "START", COLUMN_NUMBER, IN_ALL, "first byte on the disk" },
	[REPORT_LEN] = { "LEN", COLUMN_SIZE, IN_ALL, "length, as given" },
	[REPORT_RESULT] = { "RESULT", COLUMN_TEXT, IN_ALL, "ok, or the name of the error" },
	[REPORT_ERROR] = { "ERROR", COLUMN_TEXT, IN_JSON | MAY_BE_EMPTY,
		"the error as a sentence" },
};

typedef int batch_call(int fd, struct hybrid_alloc_free_item *items,
		       struct hybrid_alloc_batch *batch);

/* Extents from the command line and from files, to be freed or claimed in batches */
struct extent_job {
	const struct command *cmd;
	batch_call *call;
	const char *path;
	int fd;
	struct table *report;		/* NULL: only complaints */
	int status;
	bool stopped;			/* by an error of the call itself */
	bool whole;			/* a part of a dump is a mistake */
	__u32 nr;
	struct hybrid_alloc_free_item items[HYBRID_ALLOC_MAX_ITEMS];
};

static void report_item(struct extent_job *job, const struct hybrid_alloc_free_item *item)
{
	__u64 start = item->extent.start, len = item->extent.len;
	char *error = NULL;

	if (item->error) {
		error = explain(job->cmd->name, item->error, item->reason, job->path,
				"%s %llu:%llu", job->cmd->name, start, len);
		complain("%s", error);
		job->status = EXIT_FAILED;
	}
	if (job->report) {
		union cell cells[NR_REPORT] = {
			[REPORT_START].number = start,
			[REPORT_LEN].number = len,
			[REPORT_RESULT].text = item->error ? strerrorname_np(item->error) : "ok",
			[REPORT_ERROR].text = error,
		};

		table_row(job->report, cells);
	}
	free(error);
}

/* Frees or claims the extents that were collected. */
static void flush_job(struct extent_job *job)
{
	struct hybrid_alloc_batch batch = {
		.size = sizeof(batch),
		.nr = job->nr,
		.item_size = sizeof(job->items[0]),
	};
	int err;

	if (!job->nr || job->stopped)
		return;
	err = job->call(job->fd, job->items, &batch);
	if (err) {
		const struct hybrid_alloc_extent *first = &job->items[batch.nr_done].extent;

		job->status = failed(explain(job->cmd->name, -err, 0, job->path,
					     "%s %llu:%llu and what follows", job->cmd->name,
					     first->start, first->len));
		job->stopped = true;
	}
	for (__u32 i = 0; i < batch.nr_done; i++)
		report_item(job, &job->items[i]);
	job->nr = 0;
}

static void add_extent(struct extent_job *job, __u64 start, __u64 len)
{
	job->items[job->nr++] = (struct hybrid_alloc_free_item){
		.extent = { .start = start, .len = len },
	};
	if (job->nr == ARRAY_SIZE(job->items))
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
		__u64 start, len;
		const char *wrong;

		number++;
		look_for_mark(&marks, line);
		line[strcspn(line, "#\r\n")] = 0;
		if (!line[strspn(line, " \t")])
			continue;
		wrong = parse_extent(line, &start, &len);
		if (wrong) {
			complain("%s, line %zu: '%s' %s. It is left out; give it by itself",
				 name, number, line, wrong);
			job->status = EXIT_FAILED;
			continue;
		}
		add_extent(job, start, len);
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
	if (job->whole && (marks.begun || marks.broken) && !job->stopped) {
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
static bool extents_are_right(const struct command *cmd, const struct args *args)
{
	__u64 start, len;

	if (args->nr_words == 1 && !args->file) {
		complain("%s which extents? Name them as START:LEN, or a file of them with --file",
			 cmd->name);
		return false;
	}
	for (int i = 1; i < args->nr_words; i++) {
		const char *wrong = NULL;

		if (strcmp(args->words[i], "-"))
			wrong = parse_extent(args->words[i], &start, &len);
		if (wrong) {
			complain("'%s' %s", args->words[i], wrong);
			return false;
		}
	}
	return true;
}

static int run_extents(const struct command *cmd, const struct args *args, batch_call *call,
		       bool whole)
{
	struct extent_job *job = must(calloc(1, sizeof(*job)));
	__u64 start, len;

	job->cmd = cmd;
	job->call = call;
	job->whole = whole;
	if (!extents_are_right(cmd, args))
		return EXIT_USAGE;
	if (wants_table(args)) {
		job->report = table_new(cmd, args);
		if (!job->report)
			return EXIT_USAGE;
	}
	job->path = node_path(args->words[0]);
	job->fd = open_node(job->path, O_RDWR);
	if (job->fd < 0)
		return EXIT_FAILED;

	for (int i = 1; i < args->nr_words; i++) {
		if (!strcmp(args->words[i], "-")) {
			read_file(job, "-");
		} else {
			parse_extent(args->words[i], &start, &len);
			add_extent(job, start, len);
		}
	}
	flush_job(job);
	if (args->file)
		read_file(job, args->file);
	if (job->report)
		table_finish(job->report);
	return job->status;
}

static int cmd_free(const struct command *cmd, const struct args *args)
{
	return run_extents(cmd, args, hybrid_alloc_free_batch, false);
}

static int cmd_claim(const struct command *cmd, const struct args *args)
{
	return run_extents(cmd, args, hybrid_alloc_claim_batch, true);
}

const struct command alloc_command = {
	.name = "alloc",
	.run = cmd_alloc,
	.options = OPTS_TABLE | BIT(OPT_ALIGN) | BIT(OPT_GOAL) | BIT(OPT_MIN) | BIT(OPT_MAX) |
		   BIT(OPT_PIECES) | BIT(OPT_BOUND) | BIT(OPT_COUNT),
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
		"hybridctl alloc --min 64K --max 4M --align 192K 0\n"
		"Allocate the longest extent there is, from 64 KiB to 4 MiB, at a multiple of 192 KiB.\n",
	.table = "extents",
	.columns = extent_columns, .nr_columns = NR_EXTENT,
};

const struct command free_command = {
	.name = "free",
	.run = cmd_free,
	.options = OPTS_TABLE | BIT(OPT_FILE),
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
		"Every free is checked. A range that was never allocated, is free already, or is not an "
		"extent of this start and length is refused with a message on standard error, and nothing "
		"changes; the other extents are freed. With --json, --raw or --output a line is printed "
		"for each extent.",
	.examples =
		"hybridctl free 0 1048576:65536 8M:1M\n"
		"Free two extents.\n"
		"hybridctl free 0 $(hybridctl alloc --noheadings --output EXTENT 0 1M)\n"
		"Allocate 1 MiB and free it.\n",
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
