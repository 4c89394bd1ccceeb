// SPDX-License-Identifier: GPL-2.0
/* The command line: one table of options for all commands. */

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hybridctl.h"
#include "common/size.h"

const struct option_info option_infos[NR_OPTIONS] = {
	[OPT_FRESH] = { 0, "fresh", NULL,
		"All space of the range is free. Its first and last MiB must be zero. Without this "
		"option the instance is attached for a rebuild: see DESCRIPTION." },
	[OPT_FORCE] = { 'f', "force", NULL,
		"Attach even if the disk has a known signature; with --fresh, even if the range is "
		"not blank. Attaching wipes nothing, but extents may be allocated where that data "
		"is." },
	[OPT_RANGE] = { 0, "range", "START[,LEN]",
		"Manage only this part of the device. Without LEN, or if it is 0, the part ends at the "
		"end of the device." },
	[OPT_MIN_BLOCK] = { 0, "min-block", "SIZE",
		"The size of a block, the granularity of all space: a power of two from 4K to 1M that "
		"is at least the disk's logical block; 4K by default. All sizes are rounded up "
		"to it." },
	[OPT_MAX_BLOCK] = { 0, "max-block", "SIZE",
		"The largest single extent, a multiple of the block size; no limit by default." },
	[OPT_SLAB_MAX] = { 0, "slab-max", "SIZE",
		"The largest size that is served from slabs, a power of two from 1 to 1024 blocks; by "
		"default half of the size of a unit, but at least a block and at most 1M." },
	[OPT_BUDDY_START] = { 0, "buddy-start", "SIZE",
		"The size of a unit, the smallest block of the buddy: a power of two from 1 to 4096 "
		"blocks; 1M by default. It is also the smallest range that can be attached." },
	[OPT_DETACH_FORCE] = { 'f', "force", NULL,
		"Detach even if there are live extents or open files. All extents "
		"are lost, and programs that still have the node open get ENODEV." },
	[OPT_WIPE] = { 0, "wipe", NULL,
		"Afterwards write zeroes to the first and the last MiB of the range, so that "
		"`hybridctl attach --fresh` takes the range again. The data there is lost; all "
		"other data stays as it is, between them too. An instance in the state rebuild needs --force, "
		"too." },
	[OPT_EMPTY] = { 0, "empty", NULL,
		"Seal although nothing was claimed: all space is free." },
	[OPT_ALIGN] = { 'a', "align", "SIZE",
		"Start each extent at a multiple of SIZE on the device: a power of two, or a multiple of "
		"the block size, such as the stripe of a RAID." },
	[OPT_GOAL] = { 'g', "goal", "START",
		"Place the extents at this byte of the disk or soon after, if there is space. A goal is "
		"no condition." },
	[OPT_MIN] = { 0, "min", "SIZE",
		"So much will do: an extent has the SIZE that is asked for if a free run is that long, else "
		"it is the longest there is, but not shorter than this. With --pieces, no extent is "
		"shorter." },
	[OPT_MAX] = { 0, "max", "SIZE",
		"The same as a SIZE after the node, for use with --min." },
	[OPT_PIECES] = { 'p', "pieces", "N",
		"Where no free run is long enough, allocate up to N extents for a SIZE instead, at most "
		"1024." },
	[OPT_BOUND] = { 0, "bound", NULL,
		"Bind the extents to hybridctl: it waits for a signal, such as that of Ctrl-C, then ends, "
		"and they are freed. It also ends when the instance is detached." },
	[OPT_RESERVE] = { 0, "reserve", NULL,
		"Reserve the sum of all sizes first, and take the extents from that: if there is less, it "
		"is refused at once and nothing is allocated, and no other program can take it meanwhile. "
		"Not with --bound." },
	[OPT_COUNT] = { 'c', "count", "N",
		"Allocate N extents of each SIZE; 1 by default." },
	[OPT_FILE] = { 'f', "file", "FILE",
		"Read extents from FILE, or from standard input if that is -." },
	[OPT_PART] = { 'p', "part", NULL,
		"Free parts of extents, or several in a row: see DESCRIPTION." },
	[OPT_LEAST] = { 'l', "least", "SIZE",
		"How much of MORE is enough, rounded up to whole blocks; all of it by default." },
	[OPT_PID] = { 'p', "pid", "PID",
		"The program that has allocated the extents." },
	[OPT_OFFSET] = { 0, "offset", "START",
		"Start at this byte of the disk; at the start of the range by default." },
	[OPT_LENGTH] = { 'l', "length", "LEN",
		"The length of the part to trim; to the end of the range by default." },
	[OPT_MINIMUM] = { 'm', "minimum", "SIZE",
		"Skip free runs that are shorter than this." },
	[OPT_SIZE] = { 's', "size", "SIZE",
		"The new length of the range; to the end of the disk by default." },
	[OPT_KEEP] = { 'k', "keep", NULL,
		"Do not free the extents that are live at the end of the trace." },
	[OPT_BATCH] = { 0, "batch-size", "N",
		"Give at most N operations to the kernel in one call; 1024 by default." },
	[OPT_DISK] = { 0, "disk", "SIZE",
		"The size of the disk. Required." },
	[OPT_DELAY] = { 'd', "delay", "SECONDS",
		"Time between two rounds, at least 0.1; 2 by default." },
	[OPT_ITERATIONS] = { 0, "iterations", "N",
		"End after N rounds." },
	[OPT_BATCH_MODE] = { 0, "batch", NULL,
		"Print line after line, also on a terminal." },
	[OPT_BELOW] = { 0, "below", "SIZE",
		"The threshold: wait until less than this is free. Required." },
	[OPT_TIMEOUT] = { 't', "timeout", "SECONDS",
		"Wait no longer than this, up to 86400; 0 checks without waiting; for ever by "
		"default." },
	[OPT_LIST] = { 'l', "list", NULL,
		"List the entries of the map instead of drawing it." },
	[OPT_SVG] = { 0, "svg", "FILE",
		"Write the picture as SVG to FILE, or to standard output if that is -." },
	[OPT_TITLE] = { 0, "title", "TEXT",
		"The title of the SVG; the name of the disk by default." },
	[OPT_COLOR] = { 0, "color", "WHEN",
		"Use colours: auto, only on a terminal and if NO_COLOR is not set in the environment; "
		"always; or never." },
	[OPT_WIDTH] = { 'w', "width", "N",
		"Draw N characters wide, from 20; the width of the terminal, or 80, by default." },
	[OPT_ROWS] = { 0, "rows", "N",
		"Draw at most N lines of cells; 16 by default." },
	[OPT_RUNS] = { 0, "runs", NULL,
		"Also walk the free space, and show the number of free runs and the longest of them. "
		"Takes longer." },
	[OPT_BYTES] = { 'b', "bytes", NULL,
		"Print sizes in bytes, not as 1.5G." },
	[OPT_JSON] = { 'J', "json", NULL,
		"Print JSON. Sizes are numbers, in bytes." },
	[OPT_NOHEADINGS] = { 'n', "noheadings", NULL,
		"Print no line of headings." },
	[OPT_OUTPUT] = { 'o', "output", "COLUMN[,COLUMN...]",
		"Print these columns; with + before the first name, in addition to the default. See "
		"COLUMNS." },
	[OPT_RAW] = { 'r', "raw", NULL,
		"Print columns separated by a single blank, for scripts." },
	[OPT_HELP] = { 'h', "help", NULL, "Print this text." },
	[OPT_VERSION] = { 'V', "version", NULL, "Print the version." },
};

char option_letter(__u64 set, enum option_id id)
{
	char letter = option_infos[id].letter;

	for (unsigned int i = 0; i < id; i++) {
		if ((set & BIT(i)) && option_infos[i].letter == letter)
			return 0;
	}
	return letter;
}

void suggest_help(const struct command *cmd)
{
	fprintf(stderr, "Try 'hybridctl %s --help' for more.\n", cmd->name);
}

static bool usage(const struct command *cmd, int *status)
{
	suggest_help(cmd);
	*status = EXIT_USAGE;
	return false;
}

static bool size_argument(enum option_id id, const char *word, __u64 *size)
{
	const char *wrong = parse_size(word, size);

	if (wrong)
		complain("--%s: '%s' %s", option_infos[id].name, word, wrong);
	return !wrong;
}

static bool range_argument(const char *word, struct args *args)
{
	const char *wrong;

	args->range_len = 0;
	if (strpbrk(word, ",:"))
		wrong = parse_extent(word, &args->range_start, &args->range_len);
	else
		wrong = parse_size(word, &args->range_start);
	if (wrong)
		complain("--range: '%s' %s", word, wrong);
	return !wrong;
}

static bool color_argument(const char *word, enum color *color)
{
	static const char *const names[] = {
		[COLOR_AUTO] = "auto", [COLOR_ALWAYS] = "always", [COLOR_NEVER] = "never",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(word, names[i])) {
			*color = i;
			return true;
		}
	}
	complain("--color: '%s' is not auto, always or never", word);
	return false;
}

static bool number_argument(enum option_id id, const char *word, __u64 min, __u64 max,
			    __u64 *number)
{
	if (!size_argument(id, word, number))
		return false;
	if (*number >= min && *number <= max)
		return true;
	complain("--%s: '%s' is not a number from %llu to %llu", option_infos[id].name, word, min,
		 max);
	return false;
}

static bool seconds_argument(enum option_id id, const char *word, double min, double *seconds)
{
	const double max = 86400;
	char *end;

	*seconds = strtod(word, &end);
	/* Written so that NaN is refused as well. */
	if (end != word && !*end && *seconds >= min && *seconds <= max)
		return true;
	complain("--%s: '%s' is not a number of seconds from %g to %g", option_infos[id].name, word,
		 min, max);
	return false;
}

static bool take_option(enum option_id id, char *value, struct args *args)
{
	switch (id) {
	case OPT_FRESH:
		args->fresh = true;
		return true;
	case OPT_FORCE:
	case OPT_DETACH_FORCE:
		args->force = true;
		return true;
	case OPT_WIPE:
		args->wipe = true;
		return true;
	case OPT_EMPTY:
		args->empty = true;
		return true;
	case OPT_RANGE:
		return range_argument(value, args);
	case OPT_MIN_BLOCK:
		return size_argument(id, value, &args->min_block);
	case OPT_MAX_BLOCK:
		return size_argument(id, value, &args->max_block);
	case OPT_SLAB_MAX:
		return size_argument(id, value, &args->slab_max);
	case OPT_BUDDY_START:
		return size_argument(id, value, &args->buddy_start);
	case OPT_ALIGN:
		return size_argument(id, value, &args->align);
	case OPT_GOAL:
		args->has_goal = true;
		return size_argument(id, value, &args->goal);
	case OPT_MIN:
		return size_argument(id, value, &args->min);
	case OPT_MAX:
		return size_argument(id, value, &args->max);
	case OPT_PIECES:
		return number_argument(id, value, 1, HYBRID_ALLOC_MAX_ITEMS, &args->pieces);
	case OPT_BOUND:
		args->bound = true;
		return true;
	case OPT_RESERVE:
		args->reserve = true;
		return true;
	case OPT_COUNT:
		if (!size_argument(id, value, &args->count))
			return false;
		if (args->count)
			return true;
		complain("--count: nothing to do for 0 extents; give 1 or more");
		return false;
	case OPT_FILE:
		args->file = value;
		return true;
	case OPT_PART:
		args->part = true;
		return true;
	case OPT_LEAST:
		return size_argument(id, value, &args->least);
	case OPT_PID:
		return number_argument(id, value, 1, INT_MAX, &args->pid);
	case OPT_OFFSET:
		return size_argument(id, value, &args->offset);
	case OPT_LENGTH:
		args->has_length = true;
		return size_argument(id, value, &args->length);
	case OPT_MINIMUM:
		return size_argument(id, value, &args->minimum);
	case OPT_SIZE:
		return size_argument(id, value, &args->size);
	case OPT_KEEP:
		args->keep = true;
		return true;
	case OPT_BATCH:
		return number_argument(id, value, 1, HYBRID_ALLOC_MAX_ITEMS, &args->batch);
	case OPT_DISK:
		return size_argument(id, value, &args->disk);
	case OPT_DELAY:
		return seconds_argument(id, value, 0.1, &args->delay);
	case OPT_BELOW:
		return size_argument(id, value, &args->below);
	case OPT_TIMEOUT:
		args->has_timeout = true;
		return seconds_argument(id, value, 0, &args->timeout);
	case OPT_ITERATIONS:
		return number_argument(id, value, 1, UINT_MAX, &args->iterations);
	case OPT_BATCH_MODE:
		args->batch_mode = true;
		return true;
	case OPT_LIST:
		args->list = true;
		return true;
	case OPT_SVG:
		args->svg = value;
		return true;
	case OPT_TITLE:
		args->title = value;
		return true;
	case OPT_COLOR:
		return color_argument(value, &args->color);
	case OPT_WIDTH:
		return number_argument(id, value, 20, 10000, &args->width);
	case OPT_ROWS:
		return number_argument(id, value, 1, 10000, &args->rows);
	case OPT_RUNS:
		args->runs = true;
		return true;
	case OPT_BYTES:
		args->table.bytes = true;
		return true;
	case OPT_JSON:
		args->table.json = true;
		return true;
	case OPT_NOHEADINGS:
		args->table.noheadings = true;
		return true;
	case OPT_OUTPUT:
		args->table.columns = value;
		return true;
	case OPT_RAW:
		args->table.raw = true;
		return true;
	case OPT_HELP:
	case OPT_VERSION:
	case NR_OPTIONS:
		break;
	}
	return false;
}

bool parse_args(const struct command *cmd, int argc, char **argv, struct args *args, int *status)
{
	__u64 known = cmd->options | BIT(OPT_HELP) | BIT(OPT_VERSION);
	char letters[2 * NR_OPTIONS + 1], *l = letters;
	struct option longs[NR_OPTIONS + 1] = { };
	unsigned int by_letter[256] = { }, n = 0;
	int c;

	/* getopt_long returns the letter, or 256 + id for a long form. */
	for (unsigned int id = 0; id < NR_OPTIONS; id++) {
		const struct option_info *info = &option_infos[id];

		if (!(known & BIT(id)))
			continue;
		longs[n++] = (struct option){ info->name, info->argument ? required_argument :
					      no_argument, NULL, 256 + id };
		if (!option_letter(known, id))
			continue;
		by_letter[(unsigned char)info->letter] = id;
		*l++ = info->letter;
		if (info->argument)
			*l++ = ':';
	}
	*l = 0;

	*args = (struct args){ .count = 1, .delay = 2 };
	while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		enum option_id id = c >= 256 ? (unsigned int)c - 256 : by_letter[(unsigned char)c];

		if (c == '?')
			return usage(cmd, status);
		if (id == OPT_HELP || id == OPT_VERSION) {
			if (id == OPT_HELP)
				help_command(cmd);
			else
				puts("hybridctl " HYBRIDCTL_VERSION);
			*status = EXIT_OK;
			return false;
		}
		if (!take_option(id, optarg, args))
			return usage(cmd, status);
	}
	if (args->table.json && args->table.raw) {
		complain("--json and --raw are different formats; give only one of them");
		return usage(cmd, status);
	}

	args->words = argv + optind;
	args->nr_words = argc - optind;
	if (args->nr_words < cmd->min_words) {
		complain("%s needs %s", cmd->name, cmd->words);
		return usage(cmd, status);
	}
	if (args->nr_words > cmd->max_words) {
		complain("%s takes no '%s'; leave it out", cmd->name, args->words[cmd->max_words]);
		return usage(cmd, status);
	}
	return true;
}
