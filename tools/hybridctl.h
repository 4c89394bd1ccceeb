/* SPDX-License-Identifier: GPL-2.0 */
/*
 * hybridctl - the parts of the tool, and what each offers to the others
 *
 *   hybridctl.c      main
 *   commands.c       the table of commands
 *   cmd_instance.c   attach, detach, list, info
 *   cmd_alloc.c      alloc
 *   cmd_extent.c     free, claim, keep, split, extend
 *   cmd_state.c      seal, drain, stat, check
 *   cmd_space.c      trim, grow
 *   cmd_replay.c     replay
 *   cmd_advise.c     advise, through hybrid-sim
 *   cmd_top.c        top
 *   cmd_watch.c      watch
 *   cmd_map.c        map, dump; walk.c reads the pages of the map, picture.c divides
 *                    the device into cells, which map_terminal.c and map_svg.c draw
 *   progress.c       the progress bar
 *   node.c           messages, memory, files, the module's nodes
 *   sysfs.c          the instances, for users who may not open the control node
 *   options.c        the command line
 *   help.c           --help
 *   doc.c            a separate program: makes the manual page, completion and schemas
 *   explain.c        turns a command and an errno into a sentence with a remedy
 *   signature.c      what libblkid finds on a disk
 *   table.c          tables, lists and JSON, through libsmartcols
 */
#ifndef HYBRIDCTL_H
#define HYBRIDCTL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <linux/types.h>

#include "hybridalloc.h"

#define HYBRIDCTL_VERSION	"0.1"

#define __printf(f, a)		__attribute__((format(printf, f, a)))
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_TIMEOUT = 3 };
/* The exit status of check is that of fsck. */
enum { FSCK_ERRORS_LEFT = 4, FSCK_FAILED = 8, FSCK_USAGE = 16 };

/* node.c */

/* Prints "hybridctl: ", the message and a newline to stderr. */
__printf(1, 2) void complain(const char *format, ...);
/* These end the program if there is no memory. */
void *must(void *allocated);
__printf(1, 2) char *text(const char *format, ...);

/* Prints an explanation and frees it; for `return failed(explain(...))`. */
int failed(char *explanation);
/* The same for a call through the control node; if that cannot be opened, explains this. */
int control_failed(char *explanation);
/* "-" is standard input. @name is set to what messages call it. NULL after a complaint. */
FILE *open_input(const char *path, const char **name);

/* The path of a node that is named "0", "hybrid_alloc0", by any path, or by that of its disk. */
char *node_path(const char *node);
/* -1 after a complaint. */
int open_node(const char *path, int mode);
/* The number of an instance, from its path: an open file would prevent its detach. */
bool node_number(const char *path, __u32 *id);
/*
 * Replaces @info, all zeroes at first, by that of the next instance. 1; 0 at the end; -1 after
 * a complaint.
 */
int next_instance(struct hybrid_alloc_info *info);
/* To be freed. */
char *disk_name(const struct hybrid_alloc_info *info);
/* NULL if it is not one of a user in the kernel */
char *user_name(const struct hybrid_alloc_info *info);
/* False after a complaint. */
bool node_info(int fd, const char *path, struct hybrid_alloc_info *info);
bool node_stat(int fd, const char *path, bool runs, struct hybrid_alloc_stat *stat);
/* How what `hybridctl dump` prints begins, and, for printf and scanf, how it ends. */
#define DUMP_BEGIN	"# live extents of "
#define DUMP_END	"# end: %zu extents"

/* "1 live extent of 4K", "3 live extents of 12M". To be freed. */
char *live_extents(const struct hybrid_alloc_stat *stat);

/* A signal ends the work, not the program: what was allocated has to be printed. */
extern volatile sig_atomic_t interrupted;
void catch_signals(void);

/* sysfs.c */

/*
 * As hybrid_alloc_lookup() with HYBRID_ALLOC_INFO_NEXT: the first instance with the number
 * @info->id or a higher one, as the world-readable files of sysfs have it. 0, or -ENODEV.
 */
int sysfs_lookup_next(struct hybrid_alloc_info *info);

/* commands.c */

struct command;

extern const struct command *const commands[];
extern const size_t nr_commands;

/* Columns, and where they are printed */

enum column_kind {
	COLUMN_TEXT,
	COLUMN_NUMBER,
	COLUMN_DECIMAL,		/* a number as text, in its cell's .text */
	COLUMN_SIZE,		/* such as 1.5G unless --bytes or --json */
	COLUMN_LIMIT,		/* likewise, but "none" for 0 */
};

/* Where a column is shown by default. */
enum {
	IN_TABLE = 1 << 0,
	IN_LIST	 = 1 << 1,	/* of a command that prints one value a line */
	IN_JSON	 = 1 << 2,
	IN_ALL	 = IN_TABLE | IN_LIST | IN_JSON,
	IN_RUNS	 = 1 << 3,	/* everywhere, with --runs */
	MAY_BE_EMPTY = 1 << 4,	/* null in JSON */
};

struct column {
	const char *name;	/* upper case; JSON has it in lower case */
	enum column_kind kind;
	unsigned int shown;
	const char *help;
	int width;		/* minimum; for lines that are printed before the next are known */
};

/* By the kind of its column. A NULL text is an empty cell, null in JSON. */
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
 * What libblkid finds on the device or image file, such as "ext4 file system
 * labelled 'x', dos partition table". NULL if it finds nothing (*@err is 0) or cannot
 * read it (*@err is the errno).
 */
char *find_signatures(int fd, int *err);

/* explain.c */

/*
 * "cannot allocate 4 MiB: no free run holds it (ENOSPC). Free extents, or
 * ask for less ...". @command is the name of the command; @node the path of the instance's
 * node, or NULL; @reason that of a refused free, or 0.
 */
__printf(5, 6)
char *explain(const char *command, int err, unsigned int reason, const char *node,
	      const char *format, ...);

/* options.c */

enum option_id {
	OPT_FRESH, OPT_FORCE, OPT_RANGE, OPT_MIN_BLOCK, OPT_MAX_BLOCK, OPT_SLAB_MAX,
	OPT_BUDDY_START, OPT_DETACH_FORCE, OPT_WIPE, OPT_EMPTY,
	OPT_ALIGN, OPT_GOAL, OPT_MIN, OPT_MAX, OPT_PIECES, OPT_BOUND, OPT_RESERVE, OPT_COUNT,
	OPT_FILE, OPT_PART, OPT_LEAST, OPT_PID, OPT_RUNS,
	OPT_OFFSET, OPT_LENGTH, OPT_MINIMUM, OPT_SIZE, OPT_KEEP, OPT_BATCH, OPT_DISK,
	OPT_DELAY, OPT_ITERATIONS, OPT_BATCH_MODE, OPT_BELOW, OPT_TIMEOUT,
	OPT_LIST, OPT_SVG, OPT_TITLE, OPT_COLOR, OPT_WIDTH, OPT_ROWS,
	OPT_BYTES, OPT_JSON, OPT_NOHEADINGS, OPT_OUTPUT, OPT_RAW,
	OPT_HELP, OPT_VERSION, NR_OPTIONS
};

#define BIT(option)	(1ULL << (option))
#define OPTS_TABLE	(BIT(OPT_BYTES) | BIT(OPT_JSON) | BIT(OPT_NOHEADINGS) | BIT(OPT_OUTPUT) | \
			 BIT(OPT_RAW))

struct option_info {
	char letter;		/* 0: has a long form only */
	const char *name;
	const char *argument;	/* NULL: takes none */
	const char *help;
};

extern const struct option_info option_infos[NR_OPTIONS];

/* Its letter, or 0 if it has none or an earlier option of the set has the same. */
char option_letter(__u64 set, enum option_id id);

enum color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

/* A parsed command line. What was not given is 0. */
struct args {
	struct table_options table;
	bool fresh, force, wipe, empty, runs, list, keep, batch_mode, has_length, has_timeout;
	bool has_goal, bound, part, reserve;
	__u64 range_start, range_len;
	__u64 min_block, max_block, slab_max, buddy_start;
	__u64 align, goal, pieces, count, min, max, least, pid;
	const char *file, *svg, *title;
	enum color color;
	__u64 width, rows;
	__u64 offset, length, minimum, size, disk;
	__u64 batch, iterations, below;
	double delay, timeout;	/* seconds */
	char **words;
	int nr_words;
};

struct command {
	const char *name;
	int (*run)(const struct command *cmd, const struct args *args);
	__u64 options;		/* BIT()s */
	int min_words, max_words;
	const char *words;	/* for the synopsis */
	const char *summary;
	const char *description;	/* paragraphs, separated by newlines */
	const char *examples;		/* a command, a newline, what it does, a newline ... */
	const char *table;		/* its name in JSON */
	const struct column *columns;
	size_t nr_columns;
	bool as_list;		/* by default, one value and its meaning a line */
	bool fsck;		/* has the exit status of fsck */
	int own_status;			/* that only this command has, or 0 */
	const char *own_status_means;
};

extern const struct command attach_command, detach_command, list_command, info_command;
extern const struct command alloc_command, free_command, claim_command;
extern const struct command keep_command, split_command, extend_command;
extern const struct command seal_command, drain_command, stat_command, check_command;
extern const struct command map_command, dump_command, replay_command, advise_command;
extern const struct command top_command, watch_command;
extern const struct command trim_command, grow_command;

/* Prints the last line of every complaint about a command line. */
void suggest_help(const struct command *cmd);
/* False, and *@status set, if there is nothing left to do. */
bool parse_args(const struct command *cmd, int argc, char **argv, struct args *args, int *status);

/* table.c */

struct table;

/* True if the options ask for a table: --json, --raw or --output. */
bool wants_table(const struct args *args);

/* The table of a command. NULL after a complaint if -o names an unknown column. */
struct table *table_new(const struct command *cmd, const struct args *args);
bool table_shows(const struct table *t, const char *column);
void table_row(struct table *t, const union cell *cells);
/* Prints and frees the table. */
void table_finish(struct table *t);

/* progress.c */

struct progress;

/*
 * Shows on stderr, if that is a terminal and the work takes longer than a second, how many
 * @units were done, and a bar of how far @in was read if it is a regular file. Returns NULL
 * if there is nothing to show; the other functions accept that.
 */
struct progress *progress_start(const char *what, const char *units, FILE *in);
/* The same with a known total. */
struct progress *progress_start_to(const char *what, const char *units, __u64 total);
void progress_step(struct progress *p, __u64 units);
/* Clears the line for other output to stderr. The caller holds the lock of stderr. */
void progress_hide(void);
void progress_end(struct progress *p);

/* In characters; 0 if @fd is not a terminal. */
size_t terminal_width(int fd);

/* walk.c */

/*
 * Calls @visit for each entry of the map, in the order of addresses, until it returns
 * false. False after a complaint.
 */
bool walk_map(int fd, const char *path, __u64 start,
	      bool (*visit)(void *context, const struct hybrid_alloc_map_entry *entry),
	      void *context);

/* picture.c */

/* The parts that are in use come first, by enum hybrid_alloc_map_kind. */
enum map_part {
	PART_USED,		/* of unknown kind */
	PART_EQUAL, PART_MIXED, PART_BUDDY, PART_SPAN,
	NR_USED_PARTS,
	PART_CACHED = NR_USED_PARTS, PART_HELD, PART_FREE, PART_TAIL,
	NR_PARTS
};

extern const char *const part_names[NR_PARTS];

/* The device, divided into cells of equal length. */
struct picture {
	struct hybrid_alloc_info info;
	struct hybrid_alloc_stat stat;
	__u64 len;		/* the managed range and the unusable ends */
	__u64 cell_len;
	size_t nr_cells;
	__u64 (*cells)[NR_PARTS];	/* bytes */
	__u64 bytes[NR_PARTS];
	__u64 nr_extents;
};

/* False after a complaint. */
bool picture_take(struct picture *p, int fd, const char *path, size_t max_cells);
/* How many of these bytes are in use. *@main is set to the kind of most of them. */
__u64 picture_used(const __u64 *bytes, enum map_part *main);
/* "12.3": the percentage of the device. To be freed. */
char *picture_percent(const struct picture *p, __u64 bytes);
/* "8G, 12 live extents, 3 free runs, the largest 1M". To be freed. */
char *picture_summary(const struct picture *p);

/* map_terminal.c, map_svg.c */

void map_terminal(const struct picture *p, const struct args *args, size_t columns, bool color,
		  bool blocks);
/* The number of cells that fit into this many columns and rows of characters. */
size_t map_terminal_cells(size_t columns, size_t rows, bool halves);
extern const size_t map_svg_cells;
void map_svg(const struct picture *p, const char *title, FILE *out);

/* help.c */

extern const char tool_summary[], tool_description[], tool_examples[];
/* Printed below the columns of a command. */
extern const char columns_note[];

void help_tool(void);
void help_command(const struct command *cmd);

#endif /* HYBRIDCTL_H */
