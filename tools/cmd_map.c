// SPDX-License-Identifier: GPL-2.0
/* map, dump: the state of each part of the device. */

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hybridctl.h"
#include "common/size.h"

enum {
	PART_COLUMN_START, PART_COLUMN_LEN, PART_COLUMN_STATE, PART_COLUMN_KIND, NR_PART_COLUMNS
};

static const struct column part_columns[NR_PART_COLUMNS] = {
	[PART_COLUMN_START] = { "START", COLUMN_NUMBER, IN_ALL, "first byte on the disk" },
	[PART_COLUMN_LEN] = { "LEN", COLUMN_SIZE, IN_ALL, "length" },
	[PART_COLUMN_STATE] = { "STATE", COLUMN_TEXT, IN_ALL,
		"live: one extent; cached: free, in a pool; held: free, being trimmed; free" },
	[PART_COLUMN_KIND] = { "KIND", COLUMN_TEXT, IN_ALL | MAY_BE_EMPTY,
		"where it lies: equal: in a slab; mixed: in a mixed part; buddy: a buddy block; "
		"span: in several of these; empty: free" },
};

static const char *const state_names[] = {
	[HYBRID_ALLOC_MAP_FREE] = "free",
	[HYBRID_ALLOC_MAP_LIVE] = "live",
	[HYBRID_ALLOC_MAP_CACHED] = "cached",
	[HYBRID_ALLOC_MAP_HELD] = "held",
};

static const char *const kind_names[] = {
	[HYBRID_ALLOC_MAP_KIND_EQUAL] = "equal",
	[HYBRID_ALLOC_MAP_KIND_MIXED] = "mixed",
	[HYBRID_ALLOC_MAP_KIND_BUDDY] = "buddy",
	[HYBRID_ALLOC_MAP_KIND_SPAN] = "span",
};

static bool add_row(void *context, const struct hybrid_alloc_map_entry *entry)
{
	struct table *t = context;
	union cell cells[NR_PART_COLUMNS] = {
		[PART_COLUMN_START].number = entry->start,
		[PART_COLUMN_LEN].number = entry->len,
		[PART_COLUMN_STATE].text = entry->state < ARRAY_SIZE(state_names) ?
					   state_names[entry->state] : "unknown",
		[PART_COLUMN_KIND].text = entry->kind < ARRAY_SIZE(kind_names) ?
					  kind_names[entry->kind] : "unknown",
	};

	table_row(t, cells);
	return true;
}

static bool add_live_row(void *context, const struct hybrid_alloc_map_entry *entry)
{
	return entry->state != HYBRID_ALLOC_MAP_LIVE || add_row(context, entry);
}

/* Prints the entries of the map as a table; all, or only the live ones. */
static int list_parts(const struct command *cmd, const struct args *args, int fd,
		      const char *path, bool live)
{
	struct table *t = table_new(cmd, args);

	if (!t)
		return EXIT_USAGE;
	if (!walk_map(fd, path, 0, live ? add_live_row : add_row, t))
		return EXIT_FAILED;
	table_finish(t);
	return EXIT_OK;
}

/* Drawing */

static bool wants_color(const struct args *args)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (args->color != COLOR_AUTO)
		return args->color == COLOR_ALWAYS;
	return isatty(STDOUT_FILENO) && !(no && *no) && !(term && !strcmp(term, "dumb"));
}

static size_t width_of_output(const struct args *args)
{
	const char *columns = getenv("COLUMNS");
	__u64 width = args->width;

	if (width)
		return width;
	width = terminal_width(STDOUT_FILENO);
	if (!width && (!columns || parse_size(columns, &width)))
		width = 80;
	return width < 20 ? 20 : width > 10000 ? 10000 : width;
}

static int draw_terminal(const struct args *args, int fd, const char *path)
{
	bool color = wants_color(args), blocks = !strcmp(nl_langinfo(CODESET), "UTF-8");
	size_t columns = width_of_output(args), rows = args->rows ? args->rows : 16;
	struct picture p;

	if (!picture_take(&p, fd, path, map_terminal_cells(columns, rows, color && blocks)))
		return EXIT_FAILED;
	map_terminal(&p, args, columns, color, blocks);
	free(p.cells);
	return EXIT_OK;
}

static int draw_svg(const struct args *args, int fd, const char *path)
{
	struct picture p;
	FILE *out = stdout;

	if (!picture_take(&p, fd, path, map_svg_cells))
		return EXIT_FAILED;
	if (strcmp(args->svg, "-"))
		out = fopen(args->svg, "we");
	if (!out)
		return failed(explain("file", errno, 0, NULL, "write %s", args->svg));
	map_svg(&p, args->title, out);
	free(p.cells);
	/* main() checks stdout. */
	if (out != stdout && (ferror(out) | fclose(out)))
		return failed(explain("file", errno, 0, NULL, "write %s", args->svg));
	return EXIT_OK;
}

static int cmd_map(const struct command *cmd, const struct args *args)
{
	const char *path = node_path(args->words[0]);
	bool list = args->list || wants_table(args);
	int fd;

	if (args->svg && list) {
		complain("--svg draws, and --list, --json, --raw and --output list; give only one "
			 "of them");
		return EXIT_USAGE;
	}
	fd = open_node(path, O_RDONLY);
	if (fd < 0)
		return EXIT_FAILED;
	if (list)
		return list_parts(cmd, args, fd, path, false);
	return args->svg ? draw_svg(args, fd, path) : draw_terminal(args, fd, path);
}

const struct command map_command = {
	.name = "map",
	.run = cmd_map,
	.options = OPTS_TABLE | BIT(OPT_LIST) | BIT(OPT_SVG) | BIT(OPT_TITLE) | BIT(OPT_COLOR) |
		   BIT(OPT_WIDTH) | BIT(OPT_ROWS),
	.min_words = 1, .max_words = 1,
	.words = "NODE",
	.summary = "draw a map of the device",
	.description =
		"Draws the device from its first byte to its last, line by line, in cells of equal "
		"length. A cell also shows what fraction of it is in use. Colours are used on a terminal, "
		"with two cells in a character if the locale has half blocks. The colour of a cell shows "
		"where most of its used space lies: in slabs, in mixed parts, in buddy blocks, or in spans "
		"over several of these. Without colours a cell is a letter: a dot is free, 1 to 9 are "
		"tenths in use, # is all used, c is cached in a pool, h is held by a trim in progress, "
		"t is the unusable tail.\n"
		"With --svg the picture is written to a file, for a report, with the sizes and the "
		"lengths of the free runs. The colours are the same.\n"
		"With --list, --json, --raw or --output the entries of the map are listed instead. A "
		"live extent is one entry; a free run may be several. Other callers may allocate and free "
		"at the same time: each page of 1024 entries is consistent, but not the whole.",
	.examples =
		"hybridctl map 0\n"
		"Draw /dev/hybrid_alloc0.\n"
		"hybridctl map --svg map.svg --title 'after a week' 0\n"
		"Write the same to a file.\n"
		"hybridctl map --json 0\n"
		"Print all entries, for a program.\n",
	.table = "map",
	.columns = part_columns, .nr_columns = NR_PART_COLUMNS,
};

/* dump */

struct dump {
	struct progress *progress;
	__u64 pos;
	__u64 end;		/* of the last extent */
	bool changed;
	size_t nr;		/* extents printed */
};

static bool dump_entry(void *context, const struct hybrid_alloc_map_entry *entry)
{
	struct dump *d = context;

	/* Overlaps an extent of the page before, which was freed since. Only one can be printed. */
	if (entry->start < d->end)
		d->changed = true;
	else if (entry->state == HYBRID_ALLOC_MAP_LIVE && ++d->nr)
		printf("%llu:%llu\n", entry->start, entry->len);
	if (entry->start + entry->len > d->pos) {
		progress_step(d->progress, entry->start + entry->len - d->pos);
		d->pos = entry->start + entry->len;
	}
	if (entry->state == HYBRID_ALLOC_MAP_LIVE)
		d->end = d->pos;
	return !ferror(stdout);
}

static int cmd_dump(const struct command *cmd, const struct args *args)
{
	const char *path = node_path(args->words[0]);
	int fd = open_node(path, O_RDONLY);
	struct hybrid_alloc_info info;
	struct dump d = { };
	char *disk;
	bool whole;

	if (fd < 0 || !node_info(fd, path, &info))
		return EXIT_FAILED;
	if (wants_table(args))
		return list_parts(cmd, args, fd, path, true);

	disk = disk_name(&info);
	printf(DUMP_BEGIN "%s on %s, START:LEN; range %llu:%llu, smallest block %llu\n",
	       path, disk, info.range_start, info.range_len, info.min_block);
	free(disk);
	d.pos = info.range_start;
	if (!isatty(STDOUT_FILENO))
		d.progress = progress_start_to(cmd->name, "bytes", info.range_len);
	whole = walk_map(fd, path, 0, dump_entry, &d);
	progress_end(d.progress);
	if (!whole)
		return EXIT_FAILED;
	if (!d.changed) {
		printf(DUMP_END "\n", d.nr);
		return EXIT_OK;
	}
	complain("extents changed while they were read, and some are missing: stop the programs "
		 "that allocate from %s, and dump it again", path);
	return EXIT_FAILED;
}

const struct command dump_command = {
	.name = "dump",
	.run = cmd_dump,
	.options = OPTS_TABLE,
	.min_words = 1, .max_words = 1,
	.words = "NODE",
	.summary = "print all live extents as text",
	.description =
		"Prints the live extents, one a line as START:LEN, in the order of addresses. The module "
		"keeps no record on the disk; a dump restores an instance after a reboot: attach the disk "
		"again without --fresh, then run `hybridctl claim --file` and `hybridctl seal`.\n"
		"Stop programs that allocate and free before: the extents are read in pages of 1024, and "
		"an extent that changes between two pages may be missing. The command fails if it detects "
		"that. The last line says how many there are: claim fails at the end of a part of a dump. With --json, --raw or --output the extents are printed as a table.",
	.examples =
		"hybridctl dump 0 > extents\n"
		"Save the live extents of /dev/hybrid_alloc0.\n"
		"hybridctl claim --file extents 0 && hybridctl seal 0\n"
		"Restore them.\n",
	.table = "extents",
	.columns = part_columns, .nr_columns = NR_PART_COLUMNS,
};
