// SPDX-License-Identifier: GPL-2.0
/*
 * The map on a terminal: cells of colour, two to a character where the locale has
 * half blocks, or one letter for each cell.
 */

#include <stdlib.h>
#include <string.h>

#include "hybridctl.h"

/* How a cell looks: what is in it, or if some of it is in use, how many tenths. */
enum { LOOK_USED_ALL = 10, LOOK_FREE = 0, LOOK_CACHED = 11, LOOK_HELD, LOOK_TAIL, LOOK_NONE };

enum { LABEL_WIDTH = 8 };

/* By look; LOOK_NONE is behind the end. */
static const char letters[] = ".123456789#cht ";

/* Of the 256 that terminals have: from dark to bright blue the fuller it is. */
static const unsigned char colors[] = {
	236, 17, 18, 19, 20, 21, 27, 33, 39, 45, 51, 214, 171, 88,
};

static int look_of(const struct picture *p, size_t cell)
{
	const __u64 *bytes;
	__u64 len;

	if (cell >= p->nr_cells)
		return LOOK_NONE;
	bytes = p->cells[cell];
	len = bytes[PART_USED] + bytes[PART_CACHED] + bytes[PART_HELD] + bytes[PART_FREE];
	if (bytes[PART_HELD])
		return LOOK_HELD;
	if (!len)
		return LOOK_TAIL;
	if (bytes[PART_USED] == len)
		return LOOK_USED_ALL;
	/* What is not quite full or not quite empty is neither. */
	if (bytes[PART_USED])
		return 1 + bytes[PART_USED] * 9 / len;
	return bytes[PART_CACHED] ? LOOK_CACHED : LOOK_FREE;
}

static void put_color(int look, int background)
{
	if (look == LOOK_NONE)
		printf("\033[%dm", background ? 49 : 39);
	else
		printf("\033[%d;5;%dm", background ? 48 : 38, colors[look]);
}

/* One character: the upper of two cells in the colour of the text, the lower behind. */
static void put_halves(int upper, int lower, const int *before)
{
	if (upper == LOOK_NONE && lower == LOOK_NONE) {
		putchar(' ');
		return;
	}
	if (upper != before[0])
		put_color(upper, 0);
	if (lower != before[1])
		put_color(lower, 1);
	fputs("\u2580", stdout);
}

static void put_letter(int look, const int *before, bool color)
{
	if (color && look != before[1])
		put_color(look, 1);
	putchar(letters[look]);
}

static void put_label(const struct picture *p, size_t cell)
{
	char *label = size_short(p->info.range_start + cell * p->cell_len);

	printf("%*s ", LABEL_WIDTH - 1, label);
	free(label);
}

static void put_line(const struct picture *p, size_t cell, size_t columns, bool color, bool halves)
{
	int before[2] = { -1, -1 };

	put_label(p, cell);
	for (size_t i = cell; i < cell + columns; i++) {
		int look[2] = { look_of(p, i), LOOK_NONE };

		if (halves) {
			look[1] = look_of(p, i + columns);
			put_halves(look[0], look[1], before);
		} else {
			look[1] = look[0];
			put_letter(look[0], before, color);
		}
		memcpy(before, look, sizeof(before));
	}
	puts(color ? "\033[0m" : "");
}

static void put_sample(int look, bool color, bool halves)
{
	if (color)
		put_color(look, 1);
	putchar(halves ? ' ' : letters[look]);
	if (color)
		fputs("\033[0m", stdout);
}

static void put_part(const struct picture *p, enum map_part part, const struct args *args)
{
	__u64 tenths = picture_percent_tenths(p, part), bytes = p->bytes[part];
	char *size = args->table.bytes ? text("%llu", bytes) : size_short(bytes);

	printf(" %s %s, %llu.%llu%%   ", part_names[part], size, tenths / 10, tenths % 10);
	free(size);
}

static void put_legend(const struct picture *p, const struct args *args, bool color, bool halves)
{
	static const int looks[NR_PARTS] = {
		[PART_CACHED] = LOOK_CACHED, [PART_HELD] = LOOK_HELD, [PART_FREE] = LOOK_FREE,
		[PART_TAIL] = LOOK_TAIL,
	};
	char *cell = size_short(p->cell_len);

	fputs("\n ", stdout);
	for (int look = 1; look <= LOOK_USED_ALL; look++)
		put_sample(look, color, halves);
	put_part(p, PART_USED, args);
	for (enum map_part part = PART_CACHED; part < NR_PARTS; part++) {
		if (part == PART_HELD && !p->bytes[part])
			continue;
		if (part == PART_CACHED)
			fputs("\n ", stdout);
		put_sample(looks[part], color, halves);
		put_part(p, part, args);
	}
	printf("\n each %s is %s; used from a tenth of it to all\n",
	       halves ? "half block" : "character", cell);
	free(cell);
}

static void put_title(const struct picture *p)
{
	char *len = size_short(p->len), *largest = size_short(p->stat.largest_free_run);

	printf(HYBRID_ALLOC_NODE_FORMAT " on %.*s: %s, %llu live extents, %llu free runs, "
	       "the largest %s\n\n",
	       p->info.id, (int)sizeof(p->info.disk), (const char *)p->info.disk, len,
	       p->nr_extents, p->stat.nr_free_runs, largest);
	free(len);
	free(largest);
}

size_t map_terminal_cells(size_t columns, size_t rows, bool halves)
{
	return (columns - LABEL_WIDTH) * rows * (halves ? 2 : 1);
}

void map_terminal(const struct picture *p, const struct args *args, size_t columns, bool color,
		  bool blocks)
{
	bool halves = color && blocks;
	size_t width = columns - LABEL_WIDTH;

	put_title(p);
	for (size_t cell = 0; cell < p->nr_cells; cell += width * (halves ? 2 : 1))
		put_line(p, cell, width, color, halves);
	put_legend(p, args, color, halves);
}
