// SPDX-License-Identifier: GPL-2.0
/*
 * Makes documents from the tables that --help prints, so that they cannot differ:
 *
 *   hybridctl-doc man              the manual page
 *   hybridctl-doc completion       the completion for bash
 *   hybridctl-doc schema COMMAND   the schema of the output of COMMAND --json
 *   hybridctl-doc tables           the names of the commands that have a schema
 */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hybridctl.h"

/* Manual page */

/* Escaped for roff, with `words` in bold, and with hyphens that can be copied. */
static char *roff(const char *s, size_t len)
{
	char *result = NULL, before = ' ';
	bool bold = false;
	size_t size;
	FILE *out = must(open_memstream(&result, &size));

	for (; len; before = *s++, len--) {
		if (*s == '`') {
			bold = !bold;
			fputs(bold ? "\\fB" : "\\fR", out);
		} else if (*s == '\\') {
			fputs("\\e", out);
		} else if (*s == '-' && (bold || s[1] == '-' || before == '-' || before == ' ')) {
			fputs("\\-", out);
		} else {
			fputc(*s, out);
		}
	}
	must(fclose(out) ? NULL : result);
	return result;
}

/* A sentence, in lines of limited length that do not look like requests. */
static void put_sentence(const char *s, size_t len)
{
	char *text = roff(s, len), *rest = text, *word;
	size_t column = 0;

	while ((word = strsep(&rest, " "))) {
		if (column && column + 1 + strlen(word) > 78) {
			putchar('\n');
			column = 0;
		}
		if (column)
			column += printf(" %s", word);
		else
			column = printf("%s%s", strchr(".'", *word) ? "\\&" : "", word);
	}
	putchar('\n');
	free(text);
}

/* Each sentence begins on a new line, as is the rule for roff. */
static void put_text(const char *p)
{
	while (*p) {
		size_t len = strcspn(p, "\n");
		const char *stop = memmem(p, len, ". ", 2);

		if (stop) {
			put_sentence(p, stop + 1 - p);
			p = stop + 2;
			continue;
		}
		put_sentence(p, len);
		p += len;
		if (*p == '\n') {
			puts(".PP");
			p++;
		}
	}
}

static void put_option(__u64 set, enum option_id id)
{
	const struct option_info *o = &option_infos[id];

	printf(".TP\n");
	if (option_letter(set, id))
		printf("\\fB\\-%c\\fR, ", o->letter);
	fputs("\\fB\\-\\-", stdout);
	for (const char *p = o->name; *p; p++)
		fputs(*p == '-' ? "\\-" : (char[]){ *p, 0 }, stdout);
	printf("\\fR%s%s%s\n", o->argument ? " \\fI" : "", o->argument ? o->argument : "",
	       o->argument ? "\\fR" : "");
	put_text(o->help);
}

static void put_options(__u64 shown, __u64 set)
{
	for (unsigned int id = 0; id < NR_OPTIONS; id++) {
		if (shown & BIT(id))
			put_option(set, id);
	}
}

static void put_columns(const struct command *cmd)
{
	puts(".PP\nColumns:");
	puts(".RS");
	for (size_t i = 0; i < cmd->nr_columns; i++) {
		printf(".TP\n.B %s\n", cmd->columns[i].name);
		put_text(cmd->columns[i].help);
	}
	puts(".RE");
}

static void put_examples(const char *p)
{
	while (*p) {
		int len = strcspn(p, "\n");

		puts(".TP");
		fputs("\\fB", stdout);
		for (int i = 0; i < len; i++)
			fputs(p[i] == '-' ? "\\-" : p[i] == '\'' ? "\\(aq" : (char[]){ p[i], 0 },
			      stdout);
		puts("\\fR");
		p += len + 1;
		len = strcspn(p, "\n");
		put_sentence(p, len);
		p += len + !!p[len];
	}
}

static void put_command(const struct command *cmd)
{
	const __u64 common = OPTS_TABLE | BIT(OPT_HELP) | BIT(OPT_VERSION);

	printf(".SS hybridctl %s [options]%s%s\n", cmd->name, cmd->words ? " " : "",
	       cmd->words ? cmd->words : "");
	printf("To %s.\n.PP\n", cmd->summary);
	put_text(cmd->description);
	put_options(cmd->options & ~common, cmd->options);
	if (cmd->columns)
		put_columns(cmd);
	if (cmd->fsck)
		puts(".PP\nExit status: 0 nothing is broken, 4 something is,\n"
		     "8 it could not be checked, 16 the command line is wrong.");
	if (cmd->own_status)
		printf(".PP\nExit status: %d %s.\n", cmd->own_status, cmd->own_status_means);
	put_examples(cmd->examples);
}

static const char man_end[] =
".SH EXIT STATUS\n"
".TP\n0\nsuccess\n"
".TP\n1\nfailure, complete or partial\n"
".TP\n2\nthe command line is wrong; nothing was done\n"
".PP\n\\fBhybridctl check\\fR exits as \\fBfsck\\fR(8) does, \\fBhybridctl watch\\fR also with 3.\n"
".SH ENVIRONMENT\n"
".TP\n.B NO_COLOR\nIf it is set and not empty, \\fBmap\\fR uses no colours by default.\n"
".TP\n.B COLUMNS\nThe width of a \\fBmap\\fR that is not printed on a terminal.\n"
".SH FILES\n"
".TP\n.I /dev/hybrid_alloc\ncontrol node, for attach and detach\n"
".TP\n.I /dev/hybrid_allocN\nan instance\n"
".SH EXAMPLES\n";

static void man(void)
{
	printf(".\\\" %s-License-Identifier: GPL-2.0\n"
	       ".\\\" Made by hybridctl-doc, with `make -C tools doc`\n", "SPDX");
	puts(".TH HYBRIDCTL 8 2026-11-22 \"hybrid_alloc " HYBRIDCTL_VERSION
	     "\" \"System Administration\"");
	printf(".SH NAME\nhybridctl \\- %s\n", tool_summary);
	puts(".SH SYNOPSIS\n.B hybridctl\n.I COMMAND\n[options] [\\fIARGUMENT\\fR...]");
	puts(".br\n.B hybridctl\n.I COMMAND\n.B \\-\\-help");
	puts(".SH DESCRIPTION");
	put_text(tool_description);
	puts(".SH COMMANDS");
	for (size_t i = 0; i < nr_commands; i++)
		put_command(commands[i]);
	puts(".SH COMMON OPTIONS\nAll commands have the first two options;\n"
	     "all commands that print a table have the others.");
	put_options(BIT(OPT_HELP) | BIT(OPT_VERSION), BIT(OPT_HELP) | BIT(OPT_VERSION));
	put_options(OPTS_TABLE, OPTS_TABLE);
	puts(".PP\nIn JSON the names of columns are in lower case, and sizes are in bytes.");
	fputs(man_end, stdout);
	put_examples(tool_examples);
	puts(".SH SEE ALSO\n.BR hybrid_alloc (4),\n.BR wipefs (8),\n.BR lsblk (8)");
}

/* Schema of JSON */

static void put_json_string(const char *s)
{
	putchar('"');
	for (; *s; s++) {
		if (strchr("\"\\", *s))
			putchar('\\');
		putchar(*s);
	}
	putchar('"');
}

/* The name of a column, as libsmartcols prints it in JSON */
static void put_json_name(const char *name)
{
	putchar('"');
	for (; *name; name++)
		putchar(tolower((unsigned char)*name));
	putchar('"');
}

static void put_property(const struct column *c)
{
	const char *type = c->kind == COLUMN_TEXT ? "string" :
			   c->kind == COLUMN_DECIMAL ? "number" : "integer";

	fputs("          ", stdout);
	put_json_name(c->name);
	if (c->shown & MAY_BE_EMPTY)
		printf(": { \"type\": [\"%s\", \"null\"], ", type);
	else
		printf(": { \"type\": \"%s\", ", type);
	if (c->kind != COLUMN_TEXT)
		fputs("\"minimum\": 0, ", stdout);
	fputs("\"description\": ", stdout);
	put_json_string(c->help);
	fputs(" }", stdout);
}

static void schema_of(const struct command *cmd)
{
	printf("{\n  \"$schema\": \"http://json-schema.org/draft-07/schema#\",\n");
	printf("  \"title\": \"hybridctl %s --json\",\n  \"type\": \"object\",\n", cmd->name);
	printf("  \"required\": [\"%s\"],\n  \"additionalProperties\": false,\n", cmd->table);
	printf("  \"properties\": {\n    \"%s\": {\n      \"type\": \"array\",\n", cmd->table);
	puts("      \"items\": {\n        \"type\": \"object\",");
	puts("        \"additionalProperties\": false,");
	fputs("        \"required\": [", stdout);
	for (size_t i = 0, n = 0; i < cmd->nr_columns; i++) {
		if (!(cmd->columns[i].shown & IN_JSON))
			continue;
		fputs(n++ ? ", " : "", stdout);
		put_json_name(cmd->columns[i].name);
	}
	puts("],\n        \"properties\": {");
	for (size_t i = 0; i < cmd->nr_columns; i++) {
		put_property(&cmd->columns[i]);
		puts(i + 1 < cmd->nr_columns ? "," : "");
	}
	puts("        }\n      }\n    }\n  }\n}");
}

static bool schema(const char *name)
{
	for (size_t i = 0; i < nr_commands; i++) {
		if (!commands[i]->columns || strcmp(commands[i]->name, name))
			continue;
		schema_of(commands[i]);
		return true;
	}
	return false;
}

static void tables(void)
{
	for (size_t i = 0; i < nr_commands; i++) {
		if (commands[i]->columns)
			puts(commands[i]->name);
	}
}

/* Completion */

static const char completion_head[] =
"# shellcheck shell=bash\n"
"# Completion for hybridctl(8) in bash. Made by hybridctl-doc, with\n"
"# `make -C tools doc`.\n"
"\n"
"_hybridctl()\n"
"{\n"
"	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
"	local command=${COMP_WORDS[1]} options='' columns='' words='' last=''\n"
"\n"
"	COMPREPLY=()\n"
"	if [ \"$COMP_CWORD\" = 1 ]; then\n"
"		mapfile -t COMPREPLY < <(compgen -W '";

static const char completion_tail[] =
"	*) return ;;\n"
"	esac\n"
"	case $prev in\n"
"	--color) mapfile -t COMPREPLY < <(compgen -W 'auto always never' -- \"$cur\"); return ;;\n"
"	-o|--output)\n"
"		# Complete the last name of the list.\n"
"		[[ $cur != *,* ]] || last=${cur%,*},\n"
"		mapfile -t COMPREPLY < <(compgen -P \"$last\" -W \"$columns\" -- \"${cur##*,}\")\n"
"		compopt -o nospace 2>/dev/null\n"
"		return\n"
"		;;\n"
"	--svg) words=FILE ;;\n"
"	--file) words=FILE ;;\n"
"	-f) [[ $command == attach || $command == detach ]] || words=FILE ;;\n"
"	esac\n"
"	if [[ $cur == -?* ]]; then\n"
"		mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\")\n"
"		return\n"
"	fi\n"
"	# After the node comes a trace, a size or an extent.\n"
"	[[ $words != *TRACE* || $prev == replay ]] || words=FILE\n"
"	case $words in\n"
"	FILE)\n"
"		compopt -o filenames 2>/dev/null\n"
"		mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
"		;;\n"
"	DEVICE) mapfile -t COMPREPLY < <(compgen -W \\\n"
"		\"$(lsblk -nrpo NAME 2>/dev/null)\" -- \"$cur\") ;;\n"
"	*NODE*) mapfile -t COMPREPLY < <(compgen -W \\\n"
"		\"$(hybridctl list -nro NODE,ID 2>/dev/null)\" -- \"$cur\") ;;\n"
"	esac\n"
"}\n"
"\n"
"complete -F _hybridctl hybridctl\n";

static void completion_of(const struct command *cmd)
{
	__u64 set = cmd->options | BIT(OPT_HELP) | BIT(OPT_VERSION);

	printf("	%s)\n		options='", cmd->name);
	for (unsigned int id = 0, n = 0; id < NR_OPTIONS; id++) {
		if (set & BIT(id))
			printf("%s--%s", n++ ? " " : "", option_infos[id].name);
	}
	puts("'");
	if (cmd->columns) {
		fputs("		columns='", stdout);
		for (size_t i = 0; i < cmd->nr_columns; i++)
			printf("%s%s", i ? " " : "", cmd->columns[i].name);
		puts("'");
	}
	if (cmd->words)
		printf("		words='%s'\n", cmd->words);
	puts("		;;");
}

static void completion(void)
{
	printf("# %s-License-Identifier: GPL-2.0\n", "SPDX");
	fputs(completion_head, stdout);
	for (size_t i = 0; i < nr_commands; i++)
		printf("%s ", commands[i]->name);
	puts("help --help --version' -- \"$cur\")\n"
	     "		return\n	fi\n	case $command in");
	for (size_t i = 0; i < nr_commands; i++)
		completion_of(commands[i]);
	fputs(completion_tail, stdout);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "man"))
		man();
	else if (argc == 2 && !strcmp(argv[1], "completion"))
		completion();
	else if (argc == 2 && !strcmp(argv[1], "tables"))
		tables();
	else if (argc != 3 || strcmp(argv[1], "schema") || !schema(argv[2]))
		return EXIT_USAGE;
	return fflush(stdout) || ferror(stdout) ? EXIT_FAILED : EXIT_OK;
}
