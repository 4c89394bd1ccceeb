// SPDX-License-Identifier: GPL-2.0
/*
 * hybridctl - allocate the space of block devices
 *
 * The commands are in the files cmd_*.c and in the table in commands.c. They call the kernel
 * through libhybridalloc only, and print their results through table.c and explain.c.
 */

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "hybridctl.h"

/* Output that cannot be written is a failure, even if only the last flush reports it. */
static int flushed(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	complain("cannot write the output: %s. The command itself was done all the same; "
		 "check where the output goes.",
		 strerror(errno));
	return EXIT_FAILED;
}

/* The same as an exit status of fsck, if the command has those. */
static int exit_status(const struct command *cmd, int status)
{
	status = flushed(status);
	if (!cmd->fsck)
		return status;
	return status == EXIT_FAILED ? FSCK_FAILED : status == EXIT_USAGE ? FSCK_USAGE : status;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < nr_commands; i++) {
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	}
	return NULL;
}

static int no_command(const char *name)
{
	if (*name)
		complain("there is no command '%s'%s", name,
			 *name == '-' ? "; the command comes first, then its options" : "");
	else
		complain("which command?");
	fputs("Try 'hybridctl --help' for more.\n", stderr);
	return EXIT_USAGE;
}

/* help [COMMAND] */
static int help(int argc, char **argv)
{
	const struct command *cmd = argc > 2 ? find_command(argv[2]) : NULL;

	if (argc > 3) {
		complain("help takes one command; leave out '%s'", argv[3]);
		fputs("Try 'hybridctl --help' for more.\n", stderr);
		return EXIT_USAGE;
	}
	if (argc > 2 && !cmd)
		return no_command(argv[2]);
	if (cmd)
		help_command(cmd);
	else
		help_tool();
	return flushed(EXIT_OK);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	const struct command *cmd;
	struct args args;
	int status;

	/* Only the character set: numbers are not localized. */
	setlocale(LC_CTYPE, "");
	if (!strcmp(name, "help"))
		return help(argc, argv);
	if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
		help_tool();
		return flushed(EXIT_OK);
	}
	if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
		puts("hybridctl " HYBRIDCTL_VERSION);
		return flushed(EXIT_OK);
	}
	cmd = find_command(name);
	if (!cmd)
		return no_command(name);
	/* The name that getopt_long() prints */
	argv[1] = must(strdup("hybridctl"));
	if (parse_args(cmd, argc - 1, argv + 1, &args, &status)) {
		status = cmd->run(cmd, &args);
		if (status == EXIT_USAGE)
			suggest_help(cmd);
	}
	return exit_status(cmd, status);
}
