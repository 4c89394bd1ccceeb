// SPDX-License-Identifier: GPL-2.0
/*
 * hybridctl - hand out the space of block devices
 *
 * The commands are in the files cmd_*.c, found through the table in commands.c. All of
 * them speak to the kernel through the ioctls of ioctl_uapi.h and to people
 * through table.c and explain.c.
 */

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "hybridctl.h"

/* Output that did not arrive is a failure, also when it is only noticed at the end. */
static int flushed(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	complain("cannot write the output: %s. What was asked for has been done all the same.",
		 strerror(errno));
	return EXIT_FAILED;
}

/* fsck's numbers for the same */
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

	/* What a terminal can show; numbers stay as programs read them. */
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
		/* As getopt shall call us */
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
