/* SPDX-License-Identifier: GPL-2.0 */
/*
 * hybridctl - the parts of the tool and what they offer each other
 *
 *   hybridctl.c  the commands: options, ioctls, rows
 *   options.c    the command line
 *   help.c       --help
 *   explain.c    from command and errno to a sentence that says what to do
 *   signature.c  what libblkid finds on a disk
 *   size.c       sizes and extents as people write and read them
 *   table.c      tables, lists and JSON, through libsmartcols
 */
#ifndef HYBRIDCTL_H
#define HYBRIDCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#define HYBRIDCTL_VERSION	"0.1"

#define __printf(f, a)		__attribute__((format(printf, f, a)))
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* Prints "hybridctl: ", the message and a newline to stderr. */
__printf(1, 2) void complain(const char *format, ...);
/* These end the program when there is no memory. */
void *must(void *allocated);
__printf(1, 2) char *text(const char *format, ...);

/* size.c */

/*
 * 4096, 4K, 4KiB, 1.5M (powers of 1024) or 4kB (powers of 1000). NULL and the
 * size, or what is wrong with @word, as the end of a sentence.
 */
const char *parse_size(const char *word, __u64 *size);
/* START:LEN or START,LEN; from a stream also with blanks between. */
const char *parse_extent(const char *line, __u64 *start, __u64 *len);
/* "1.5G": short, may be rounded. For tables. */
char *size_short(__u64 size);
/* "4 MiB" or "4097 bytes": exact. For sentences. */
char *size_exact(__u64 size);

/* Columns, and how much of them is printed */

enum column_kind {
	COLUMN_TEXT,
	COLUMN_NUMBER,
	COLUMN_BYTES,		/* always in bytes: to be used as it is in other calls */
	COLUMN_SIZE,		/* human unless --bytes or --json */
};

/* Where a column is shown when none were named. */
enum {
	IN_TABLE = 1 << 0,
	IN_LIST	 = 1 << 1,	/* of a command that shows one value a line */
	IN_JSON	 = 1 << 2,
	IN_ALL	 = IN_TABLE | IN_LIST | IN_JSON,
	IN_RUNS	 = 1 << 3,	/* everywhere, with --runs */
};

struct column {
	const char *name;	/* upper case; JSON has it in lower case */
	enum column_kind kind;
	unsigned int shown;
	const char *help;
};

/* Depending on the column's kind; NULL text is an empty cell, null in JSON. */
union cell {
	const char *text;
	__u64 number;
};

struct table_options {
	bool json, bytes, noheadings, raw;
	const char *columns;	/* -o, or NULL */
};

/* signature.c */

/*
 * What libblkid knows on the device or image file, as in "ext4 file system
 * labelled 'x', dos partition table"; NULL and *@err 0 for nothing; NULL and an
 * errno if it could not look.
 */
char *find_signatures(int fd, int *err);

/* explain.c */

/*
 * "cannot allocate 4 MiB: no free run holds it (ENOSPC). Free extents or ask
 * for less ...". @command is its name; @node the path of the instance's
 * node, or NULL; @reason that of a refused FREE, or 0.
 */
__printf(5, 6)
char *explain(const char *command, int err, unsigned int reason, const char *node,
	      const char *format, ...);

/* options.c */

enum option_id {
	OPT_FRESH, OPT_FORCE, OPT_RANGE, OPT_MIN_BLOCK, OPT_MAX_BLOCK, OPT_SLAB_MAX,
	OPT_BUDDY_START, OPT_DETACH_FORCE, OPT_ALIGN, OPT_COUNT, OPT_RUNS,
	OPT_BYTES, OPT_JSON, OPT_NOHEADINGS, OPT_OUTPUT, OPT_RAW,
	OPT_HELP, OPT_VERSION, NR_OPTIONS
};

#define BIT(option)	(1U << (option))
#define OPTS_REPORT	(BIT(OPT_JSON) | BIT(OPT_NOHEADINGS) | BIT(OPT_OUTPUT) | BIT(OPT_RAW))
#define OPTS_TABLE	(OPTS_REPORT | BIT(OPT_BYTES))

struct option_info {
	char letter;		/* 0: has a long form only */
	const char *name;
	const char *argument;	/* NULL: takes none */
	const char *help;
};

extern const struct option_info option_infos[NR_OPTIONS];

/* A command line, taken apart; what was not given is 0. */
struct args {
	struct table_options table;
	bool fresh, force, runs;
	__u64 range_start, range_len;
	__u64 min_block, max_block, slab_max, buddy_start;
	__u64 align, count;
	char **words;
	int nr_words;
};

struct command {
	const char *name;
	int (*run)(const struct command *cmd, const struct args *args);
	unsigned int options;	/* BIT()s */
	int min_words, max_words;
	const char *words;	/* as in the synopsis */
	const char *summary;
	const char *description;	/* paragraphs, divided by newlines */
	const char *examples;		/* a command, a newline, what it does, a newline ... */
	const struct column *columns;
	size_t nr_columns;
	bool as_list;		/* people get one value a line, and what it means */
};

/* False, with the exit status, if there is nothing left to do. */
bool parse_args(const struct command *cmd, int argc, char **argv, struct args *args, int *status);

/* table.c */

struct table;

/*
 * The table of a command, called @name in JSON. NULL, after a complaint, if -o
 * names a column that there is not.
 */
struct table *table_new(const char *name, const struct command *cmd, const struct args *args);
bool table_shows(const struct table *t, const char *column);
void table_row(struct table *t, const union cell *cells);
/* Prints and frees the table. */
void table_finish(struct table *t);

/* help.c */

void help_tool(const struct command *commands, size_t nr);
void help_command(const struct command *cmd);

#endif /* HYBRIDCTL_H */
