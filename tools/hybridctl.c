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

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	struct args args;
	int status;

	/* Only the character set: numbers are not localized. */
	setlocale(LC_CTYPE, "");
	if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
		help_tool();
		return flushed(EXIT_OK);
	}
	if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
		puts("hybridctl " HYBRIDCTL_VERSION);
		return flushed(EXIT_OK);
	}
	for (size_t i = 0; i < nr_commands; i++) {
		const struct command *cmd = commands[i];

		if (strcmp(cmd->name, name))
			continue;
		/* The name that getopt_long() prints */
		argv[1] = must(strdup("hybridctl"));
		if (parse_args(cmd, argc - 1, argv + 1, &args, &status)) {
			status = cmd->run(cmd, &args);
			if (status == EXIT_USAGE)
				suggest_help(cmd);
		}
		return exit_status(cmd, status);
	}
	if (*name)
		complain("there is no command '%s'%s", name,
			 *name == '-' ? "; the command comes first, then its options" : "");
	else
		complain("which command?");
	fputs("Try 'hybridctl --help' for more.\n", stderr);
	return EXIT_USAGE;
}
