// SPDX-License-Identifier: GPL-2.0
/*
 * The map on a terminal: coloured cells, two in a character if the locale has half
 * blocks, or a letter for each cell.
 */

#include <stdlib.h>
#include <string.h>

#include "hybridctl.h"
#include "common/size.h"

enum { LABEL_WIDTH = 8, NR_SHADES = 4 };

/* The look of a cell: an enum map_part if none of it is in use, else kind and tenths. */
enum { LOOK_USED = NR_PARTS, TENTHS = 10, LOOK_NONE = LOOK_USED + TENTHS * NR_USED_PARTS };

/* Of the 256 colours of a terminal, from nearly empty to full. */
static const unsigned char used_colors[NR_USED_PARTS][NR_SHADES] = {
	[PART_USED] = { 242, 246, 250, 255 },
	[PART_EQUAL] = { 18, 20, 27, 33 },
	[PART_MIXED] = { 23, 29, 36, 43 },
	[PART_BUDDY] = { 94, 130, 172, 214 },
	[PART_SPAN] = { 96, 133, 170, 213 },
};

static const unsigned char free_colors[NR_PARTS] = {
	[PART_CACHED] = 159, [PART_HELD] = 228, [PART_FREE] = 236, [PART_TAIL] = 244,
};

static const char free_letters[NR_PARTS] = {
	[PART_CACHED] = 'c', [PART_HELD] = 'h', [PART_FREE] = '.', [PART_TAIL] = 't',
};

/* @part: the kind of most of the used space; @tenths: how full the cell is, from 1 */
static int used_look(enum map_part part, int tenths)
{
	return LOOK_USED + TENTHS * part + tenths - 1;
}

static char letter_of(int look)
{
	if (look == LOOK_NONE)
		return ' ';
	if (look < LOOK_USED)
		return free_letters[look];
	return "123456789#"[(look - LOOK_USED) % TENTHS];
}

/* Only a full cell has the brightest shade. */
static int color_of(int look)
{
	if (look < LOOK_USED)
		return free_colors[look];
	look -= LOOK_USED;
	return used_colors[look / TENTHS][look % TENTHS / 3];
}

static int look_of(const struct picture *p, size_t cell)
{
	enum map_part main;
	const __u64 *bytes;
	__u64 len, used;

	if (cell >= p->nr_cells)
		return LOOK_NONE;
	bytes = p->cells[cell];
	used = picture_used(bytes, &main);
	len = used + bytes[PART_CACHED] + bytes[PART_HELD] + bytes[PART_FREE];
	if (bytes[PART_HELD])
		return PART_HELD;
	if (!len)
		return PART_TAIL;
	/* Only a full cell has ten tenths, and only one without used space none. */
	if (used)
		return used_look(main, used == len ? TENTHS : 1 + used * 9 / len);
	return bytes[PART_CACHED] ? PART_CACHED : PART_FREE;
}

static void put_color(int look, int background)
{
	if (look == LOOK_NONE)
		printf("\033[%dm", background ? 49 : 39);
	else
		printf("\033[%d;5;%dm", background ? 48 : 38, color_of(look));
}

/* One character for two cells: the text colour is the upper one, the background the lower. */
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
	putchar(letter_of(look));
}

static void put_label(const struct picture *p, size_t cell)
{
	char *label = must(size_short(p->info.range_start + cell * p->cell_len));

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
	putchar(halves ? ' ' : letter_of(look));
	if (color)
		fputs("\033[0m", stdout);
}

static void put_sum(const struct picture *p, const char *name, __u64 bytes,
		    const struct args *args)
{
	char *size = args->table.bytes ? text("%llu", bytes) : must(size_short(bytes));
	char *percent = picture_percent(p, bytes);

	printf(" %s %s, %s%%   ", name, size, percent);
	free(size);
	free(percent);
}

/* The used parts; with colours, the shades of each. */
static void put_kinds(const struct picture *p, const struct args *args, bool color)
{
	for (enum map_part part = 0; part < NR_USED_PARTS; part++) {
		if (part == PART_USED && !p->bytes[part])
			continue;
		for (int shade = 0; color && shade < NR_SHADES; shade++)
			put_sample(used_look(part, 1 + 3 * shade), true, true);
		put_sum(p, part_names[part], p->bytes[part], args);
		if (part == PART_MIXED)
			fputs("\n ", stdout);
	}
}

static void put_legend(const struct picture *p, const struct args *args, bool color, bool halves)
{
	char *cell = must(size_short(p->cell_len));

	fputs(halves ? "\n" : "\n ", stdout);
	for (int tenths = 1; !halves && tenths <= TENTHS; tenths++)
		put_sample(used_look(PART_USED, tenths), false, false);
	put_sum(p, "used", picture_used(p->bytes, NULL), args);
	fputs("of it in\n ", stdout);
	put_kinds(p, args, color);
	fputs("\n ", stdout);
	for (enum map_part part = PART_CACHED; part < NR_PARTS; part++) {
		if (part == PART_HELD && !p->bytes[part])
			continue;
		put_sample(part, color, halves);
		put_sum(p, part_names[part], p->bytes[part], args);
	}
	printf("\n each %s is %s, shown from a tenth used to all used%s\n",
	       halves ? "half block" : "character", cell, color ? "; brighter is fuller" : "");
	free(cell);
}

static void put_title(const struct picture *p)
{
	char *disk = disk_name(&p->info), *summary = picture_summary(p);

	printf(HYBRID_ALLOC_NODE_FORMAT " on %s: %s\n\n", p->info.id, disk, summary);
	free(disk);
	free(summary);
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
