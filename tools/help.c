// SPDX-License-Identifier: GPL-2.0
/* --help, laid out like a manual page. */

#include <stdio.h>
#include <string.h>

#include "hybridctl.h"

const char tool_summary[] =
"allocate the space of block devices";

const char tool_description[] =
"hybridctl is the tool of the kernel module hybrid_alloc, which allocates ranges of block "
"devices, called extents. It never touches the data: the owner of an extent reads and writes "
"the device itself, LEN bytes from byte START, and frees the extent when all I/O to it has "
"finished.\n"
"Each attached device is an instance with a number N and a node /dev/hybrid_allocN. "
"NODE below is that path, or hybrid_allocN, or just N, or the path or the name of the "
"device.\n"
"SIZE, START and LEN are in bytes, or have a unit: K, M, G, T, P, E, also written KiB and "
"so on, are powers of 1024; kB, MB and so on are powers of 1000. A fraction such as 1.5M must "
"be a whole number of bytes.";

const char tool_examples[] =
"hybridctl attach --fresh /dev/vdb\n"
"Attach an empty disk; prints the node, such as /dev/hybrid_alloc0.\n"
"hybridctl alloc -n -o EXTENT 0 1M 64K >mine\n"
"Allocate two extents; writes where they are to a file, as START:LEN.\n"
"hybridctl stat --runs 0\n"
"Show how the space is used.\n"
"hybridctl free --file mine 0\n"
"Free them.\n"
"hybridctl detach --wipe 0\n"
"Detach the disk, and zero its ends, so that the first command takes it again.\n";

const char columns_note[] =
"By default the columns with a * are shown, with --json those with a j. In JSON the names "
"are in lower case.";

enum { WIDTH = 79, INDENT = 7, DEEPER = 14 };

/* Breaks lines between words. A newline begins a new paragraph. */
static void paragraph(int indent, const char *p)
{
	int column = 0;

	for (; *p; p += strspn(p, " ")) {
		int len = strcspn(p, "\n ");

		if (column && column + 1 + len > WIDTH) {
			putchar('\n');
			column = 0;
		}
		column += column ? printf(" %.*s", len, p) : printf("%*s%.*s", indent, "", len, p);
		p += len;
		if (*p == '\n') {
			fputs("\n\n", stdout);
			column = 0;
			p++;
		}
	}
	putchar('\n');
}

static void heading(const char *title)
{
	printf("\n%s\n", title);
}

static void options(__u64 set)
{
	const char *divider = "";

	heading("OPTIONS");
	for (unsigned int id = 0; id < NR_OPTIONS; id++) {
		const struct option_info *o = &option_infos[id];

		if (!(set & BIT(id)))
			continue;
		printf("%s%*s", divider, INDENT, "");
		if (option_letter(set, id))
			printf("-%c, ", o->letter);
		printf("--%s%s%s\n", o->name, o->argument ? " " : "",
		       o->argument ? o->argument : "");
		paragraph(DEEPER, o->help);
		divider = "\n";
	}
}

static void columns(const struct command *cmd)
{
	unsigned int table = cmd->as_list ? IN_LIST : IN_TABLE;

	heading("COLUMNS");
	for (size_t i = 0; i < cmd->nr_columns; i++) {
		const struct column *c = &cmd->columns[i];

		printf("%*s%c%c %-22s %s\n", INDENT - 3, "", c->shown & table ? '*' : ' ',
		       c->shown & IN_JSON ? 'j' : ' ', c->name, c->help);
	}
	putchar('\n');
	paragraph(INDENT, columns_note);
}

static void examples(const char *p)
{
	const char *divider = "";

	heading("EXAMPLES");
	while (*p) {
		int len = strcspn(p, "\n");
		char explanation[512];

		printf("%s%*s%.*s\n", divider, INDENT, "", len, p);
		p += len + 1;
		len = strcspn(p, "\n");
		snprintf(explanation, sizeof(explanation), "%.*s", len, p);
		paragraph(DEEPER, explanation);
		p += len + !!p[len];
		divider = "\n";
	}
}

static void exit_status(const struct command *cmd)
{
	heading("EXIT STATUS");
	if (cmd && cmd->fsck) {
		printf("%*s0   nothing is broken\n", INDENT, "");
		printf("%*s4   something is broken\n", INDENT, "");
		printf("%*s8   it could not be checked\n", INDENT, "");
		printf("%*s16  the command line is wrong; nothing was done\n", INDENT, "");
		return;
	}
	printf("%*s0  success\n", INDENT, "");
	printf("%*s1  failure, complete or partial\n", INDENT, "");
	printf("%*s2  the command line is wrong; nothing was done\n", INDENT, "");
	if (cmd && cmd->own_status)
		printf("%*s%d  %s\n", INDENT, "", cmd->own_status, cmd->own_status_means);
}

void help_command(const struct command *cmd)
{
	printf("NAME\n%*shybridctl %s - %s\n", INDENT, "", cmd->name, cmd->summary);
	heading("SYNOPSIS");
	printf("%*shybridctl %s [options]%s%s\n", INDENT, "", cmd->name, cmd->words ? " " : "",
	       cmd->words ? cmd->words : "");
	heading("DESCRIPTION");
	paragraph(INDENT, cmd->description);
	options(cmd->options | BIT(OPT_HELP) | BIT(OPT_VERSION));
	if (cmd->columns)
		columns(cmd);
	exit_status(cmd);
	if (cmd->examples)
		examples(cmd->examples);
}

void help_tool(void)
{
	printf("NAME\n%*shybridctl - %s\n", INDENT, "", tool_summary);
	heading("SYNOPSIS");
	printf("%*shybridctl COMMAND [options] [ARGUMENT...]\n", INDENT, "");
	printf("%*shybridctl COMMAND --help, hybridctl help COMMAND\n", INDENT, "");
	heading("DESCRIPTION");
	paragraph(INDENT, tool_description);
	heading("COMMANDS");
	for (size_t i = 0; i < nr_commands; i++)
		printf("%*s%-8s %s\n", INDENT, "", commands[i]->name, commands[i]->summary);
	heading("OPTIONS");
	printf("%*s-h, --help     print this text; after a command, its description\n", INDENT, "");
	printf("%*s-V, --version  print the version\n", INDENT, "");
	exit_status(NULL);
	examples(tool_examples);
	heading("FILES");
	printf("%*s/dev/hybrid_alloc      control node, for attach and detach\n", INDENT, "");
	printf("%*s/dev/hybrid_allocN     an instance\n", INDENT, "");
}
