// SPDX-License-Identifier: GPL-2.0
/*
 * advise: what a disk will hold of a trace, before it is bought.
 *
 * It needs neither the module nor a disk: hybrid-sim, which has the allocator in user space, runs
 * the trace, and prints a JSON object a line.
 */

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hybridctl.h"

extern char **environ;

/* Where it is installed, and where it is built, from the directory of hybridctl */
static const char *const places[] = { "../libexec/hybrid-alloc/hybrid-sim", "../hybrid-sim" };

/* The path of hybrid-sim. To be freed; NULL after a complaint. */
static char *find_sim(void)
{
	char self[PATH_MAX], *slash, *path;
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[len > 0 ? len : 0] = 0;
	slash = strrchr(self, '/');
	for (size_t i = 0; slash && i < ARRAY_SIZE(places); i++) {
		path = text("%.*s/%s", (int)(slash - self), self, places[i]);
		if (!access(path, X_OK))
			return path;
		free(path);
	}
	failed(explain("advise", ENOENT, 0, NULL, "run hybrid-sim"));
	return NULL;
}

/* Starts it. Return: the end of the pipe with what it prints, or NULL after a complaint. */
static FILE *start(const char *sim, const struct args *args, pid_t *pid)
{
	char *capacity = text("%llu", args->disk);
	const char *const argv[] = { "hybrid-sim", "advise", "--json", "--capacity", capacity, "--",
				     args->words[0], NULL };
	posix_spawn_file_actions_t actions;
	int ends[2], err = 0;

	if (pipe(ends))
		err = errno;
	if (!err) {
		posix_spawn_file_actions_init(&actions);
		posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
		posix_spawn_file_actions_addclose(&actions, ends[0]);
		posix_spawn_file_actions_addclose(&actions, ends[1]);
		err = posix_spawn(pid, sim, &actions, NULL, (char *const *)argv, environ);
		posix_spawn_file_actions_destroy(&actions);
		close(ends[1]);
		if (err)
			close(ends[0]);
	}
	free(capacity);
	if (!err)
		return must(fdopen(ends[0], "r"));
	failed(explain("advise", err, 0, NULL, "run %s", sim));
	return NULL;
}

enum {
	ADVISE_ALLOCATOR, ADVISE_DISK, ADVISE_ALLOCS, ADVISE_REFUSED, ADVISE_REFUSED_BYTES,
	ADVISE_FIRST_OP, ADVISE_FIRST_FILL, ADVISE_MAX_FILL, ADVISE_SMALLEST, NR_ADVISE
};

static const struct column advise_columns[NR_ADVISE] = {
	[ADVISE_ALLOCATOR] = { "ALLOCATOR", COLUMN_TEXT, IN_ALL,
		"hybrid_alloc, or what it is compared with: best-fit, first-fit" },
	[ADVISE_DISK] = { "DISK", COLUMN_SIZE, IN_JSON, "the disk, in whole blocks" },
	[ADVISE_ALLOCS] = { "ALLOCS", COLUMN_NUMBER, IN_JSON, "allocations of the trace" },
	[ADVISE_REFUSED] = { "REFUSED", COLUMN_NUMBER, IN_ALL,
		"allocations that found no space" },
	[ADVISE_REFUSED_BYTES] = { "REFUSED_BYTES", COLUMN_SIZE, IN_ALL,
		"what these requested" },
	[ADVISE_FIRST_OP] = { "FIRST_REFUSED_OP", COLUMN_NUMBER, IN_ALL,
		"number of the first operation that was refused; 0: none" },
	[ADVISE_FIRST_FILL] = { "FIRST_REFUSED_FILL", COLUMN_DECIMAL, IN_ALL | MAY_BE_EMPTY,
		"fraction of the disk that was in use then" },
	[ADVISE_MAX_FILL] = { "MAX_FILL", COLUMN_DECIMAL, IN_ALL,
		"largest fraction of the disk that was in use" },
	[ADVISE_SMALLEST] = { "SMALLEST_DISK", COLUMN_SIZE, IN_ALL,
		"a disk that refuses nothing, while one of a MiB less does; 0: none up to 4 PiB" },
};

/* The value of a name in a line of JSON, or NULL. To be freed; without the quotes of a string. */
static char *value_of(const char *line, const char *name)
{
	char *quoted = text("\"%s\": ", name), *found = strstr(line, quoted), *value = NULL;

	if (found) {
		found += strlen(quoted);
		found += *found == '"';
		value = must(strndup(found, strcspn(found, "\",}")));
	}
	free(quoted);
	return value;
}

/* 0 for null, and if there is none */
static __u64 number_of(const char *line, const char *name)
{
	char *value = value_of(line, name);
	__u64 number = value ? strtoull(value, NULL, 10) : 0;

	free(value);
	return number;
}

static void add_row(struct table *t, const char *line)
{
	__u64 first = number_of(line, "first_failure_op");
	char *allocator = value_of(line, "allocator");
	char *fill = first ? value_of(line, "first_failure_fill") : NULL;
	char *most = value_of(line, "max_fill");
	union cell cells[NR_ADVISE] = {
		[ADVISE_ALLOCATOR].text = allocator,
		[ADVISE_DISK].number = number_of(line, "capacity_bytes"),
		[ADVISE_ALLOCS].number = number_of(line, "allocs"),
		[ADVISE_REFUSED].number = number_of(line, "failed_allocs"),
		[ADVISE_REFUSED_BYTES].number = number_of(line, "failed_bytes"),
		[ADVISE_FIRST_OP].number = first,
		[ADVISE_FIRST_FILL].text = fill,
		[ADVISE_MAX_FILL].text = most,
		[ADVISE_SMALLEST].number = number_of(line, "smallest_bytes"),
	};

	table_row(t, cells);
	free(allocator);
	free(fill);
	free(most);
}

/* Waits for hybrid-sim. Its own messages have said what was wrong, unless it was killed. */
static int end(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		;
	if (WIFSIGNALED(status))
		complain("hybrid-sim was ended by a signal (%s); run it again",
			 strsignal(WTERMSIG(status)));
	return WIFEXITED(status) && !WEXITSTATUS(status) ? EXIT_OK : EXIT_FAILED;
}

static int advise_of(const struct command *cmd, const struct args *args, const char *sim)
{
	struct table *t = table_new(cmd, args);
	char *line = NULL;
	size_t room = 0;
	pid_t pid;
	FILE *out;
	int status;

	if (!t)
		return EXIT_USAGE;
	out = start(sim, args, &pid);
	if (!out)
		return EXIT_FAILED;
	while (getline(&line, &room, out) > 0)
		add_row(t, line);
	free(line);
	fclose(out);
	status = end(pid);
	if (status == EXIT_OK)
		table_finish(t);
	return status;
}

static int cmd_advise(const struct command *cmd, const struct args *args)
{
	const char *name;
	char *sim;
	FILE *in;
	int status;

	if (args->disk < 4096) {
		complain("advise needs the size of the disk, such as --disk 2T");
		return EXIT_USAGE;
	}
	/* hybrid-sim opens it itself: this is for the message */
	in = open_input(args->words[0], &name);
	if (!in)
		return EXIT_FAILED;
	if (in != stdin)
		fclose(in);
	sim = find_sim();
	if (!sim)
		return EXIT_FAILED;
	status = advise_of(cmd, args, sim);
	free(sim);
	return status;
}

const struct command advise_command = {
	.name = "advise",
	.run = cmd_advise,
	.options = OPTS_TABLE | BIT(OPT_DISK),
	.min_words = 1, .max_words = 1,
	.words = "TRACE|-",
	.summary = "say what a disk will hold of a workload",
	.description =
		"Runs a trace, in the format of `hybridctl replay`, on an empty disk of that size that need "
		"not exist: the allocator runs in hybrid-sim, without the module. Prints how full the disk "
		"became, what was refused, and the smallest disk that suffices; beside that the same for a "
		"best fit and a first fit over all of the disk, which search all its free runs.\n"
		"The smallest disk is found by bisection: it refuses nothing, and one of a MiB less refuses "
		"something. As each size is a run of the trace, long traces take a while; on a terminal "
		"the progress is shown.",
	.examples =
		"hybridctl advise --disk 2T trace\n"
		"Whether 2 TiB are enough, and what would be.\n",
	.table = "advise",
	.columns = advise_columns, .nr_columns = NR_ADVISE,
};
