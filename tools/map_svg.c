// SPDX-License-Identifier: GPL-2.0
/*
 * The map as SVG, for reports: each cell is a column that is filled in proportion to
 * the space in use, so that it can be read without the colours.
 */

#include <stdlib.h>

#include "hybridctl.h"
#include "common/size.h"

/* In pixels, except COLUMNS and ROWS. */
enum {
	WIDTH = 1000, LEFT = 80, COLUMNS = 128, ROWS = 32,
	CELL_W = 7, CELL_H = 12, ROW_H = CELL_H + 2,
	MAP_Y = 76, MAP_W = COLUMNS * CELL_W,
	BAR_H = 14, LEGEND_H = 20, CHART_H = 90, MAX_BAR_W = 48,
};

const size_t map_svg_cells = COLUMNS * ROWS;

/*
 * The palette of Okabe and Ito, which can also be told apart with a colour vision
 * deficiency. Used parts are darker than the others.
 */
static const char *const part_colors[NR_PARTS] = {
	[PART_USED] = "#1b242c",
	[PART_EQUAL] = "#0072b2",
	[PART_MIXED] = "#009e73",
	[PART_BUDDY] = "#d55e00",
	[PART_SPAN] = "#cc79a7",
	[PART_CACHED] = "#56b4e9",
	[PART_HELD] = "#f0e442",
	[PART_FREE] = "#e6ecf2",
	[PART_TAIL] = "#5a6268",
};

static const char chart_color[] = "#8ba3b8";

static void put_escaped(FILE *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '<')
			fputs("&lt;", out);
		else if (*s == '&')
			fputs("&amp;", out);
		else if ((unsigned char)*s >= ' ')
			fputc(*s, out);
	}
}

static void put_text(FILE *out, int x, int y, const char *class, char *s)
{
	fprintf(out, "<text x=\"%d\" y=\"%d\" class=\"%s\">", x, y, class);
	put_escaped(out, s);
	fputs("</text>\n", out);
	free(s);
}

static void put_rect(FILE *out, int x, int y, int w, int h, const char *fill)
{
	fprintf(out, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\"/>\n", x, y, w,
		h, fill);
}

/* @bytes of @of, as a part of @full pixels; at least one, unless @bytes is 0. */
static int pixels(__u64 bytes, __u64 of, int full)
{
	int n;

	if (!bytes || !of)
		return 0;
	n = ((__uint128_t)bytes * full + of / 2) / of;
	return n ? n : 1;
}

/* The position of a part of a cell in its column, from the top. */
static void part_of_cell(const struct picture *p, size_t cell, enum map_part part, int *y, int *h)
{
	const __u64 *bytes = p->cells[cell];
	int below = 0;

	for (enum map_part i = 0; i < part; i++)
		below += pixels(bytes[i], p->cell_len, CELL_H);
	*h = pixels(bytes[part], p->cell_len, CELL_H);
	if (below + *h > CELL_H)
		*h = CELL_H - below;
	*y = CELL_H - below - *h;
}

/* One path for each kind of part; neighbours that look the same share a rectangle. */
static void put_cells(FILE *out, const struct picture *p, enum map_part part)
{
	fprintf(out, "<path fill=\"%s\" d=\"", part_colors[part]);
	for (size_t i = 0, next; i < p->nr_cells; i = next) {
		int y, h, next_y, next_h;

		part_of_cell(p, i, part, &y, &h);
		for (next = i + 1; next < p->nr_cells && next % COLUMNS; next++) {
			part_of_cell(p, next, part, &next_y, &next_h);
			if (next_y != y || next_h != h)
				break;
		}
		if (h > 0)
			fprintf(out, "M%d %dh%dv%dh-%dz", LEFT + (int)(i % COLUMNS) * CELL_W,
				MAP_Y + (int)(i / COLUMNS) * ROW_H + y,
				(int)(next - i) * CELL_W, h, (int)(next - i) * CELL_W);
	}
	fputs("\"/>\n", out);
}

static int put_map(FILE *out, const struct picture *p)
{
	int rows = (p->nr_cells - 1) / COLUMNS + 1;

	for (int row = 0; row < rows; row++) {
		size_t rest = p->nr_cells - row * COLUMNS;
		int y = MAP_Y + row * ROW_H;

		put_text(out, LEFT - 8, y + CELL_H - 3, "address",
			 must(size_short(p->info.range_start + row * COLUMNS * p->cell_len)));
		put_rect(out, LEFT, y, (rest < COLUMNS ? rest : COLUMNS) * CELL_W, CELL_H,
			 part_colors[PART_FREE]);
	}
	for (enum map_part part = 0; part < NR_PARTS; part++) {
		if (part != PART_FREE)
			put_cells(out, p, part);
	}
	return MAP_Y + rows * ROW_H;
}

static void put_sum(FILE *out, const struct picture *p, int x, int y, const char *name,
		    __u64 bytes)
{
	char *size = must(size_short(bytes)), *percent = picture_percent(p, bytes);

	put_text(out, x, y, "small", text("%s %s, %s %%", name, size, percent));
	free(size);
	free(percent);
}

/* A bar with all parts, and its legend. */
static int put_sums(FILE *out, const struct picture *p, int y)
{
	int x = LEFT, end = LEFT + MAP_W;

	put_rect(out, LEFT, y, MAP_W, BAR_H, part_colors[PART_FREE]);
	for (enum map_part part = 0; part < NR_PARTS; part++) {
		int w = pixels(p->bytes[part], p->len, MAP_W);

		if (part == PART_TAIL)
			x = end - w;
		put_rect(out, x, y, x + w > end ? end - x : w, BAR_H, part_colors[part]);
		x += w;
	}
	y += BAR_H + 22;
	put_sum(out, p, LEFT, y, "used", picture_used(p->bytes, NULL));
	/* The kinds of used parts are in the first line, the others in the second. */
	for (enum map_part part = PART_EQUAL; part < NR_PARTS; part++) {
		int n = part - PART_EQUAL;

		x = LEFT + n % 4 * (MAP_W / 4);
		if (n % 4 == 0)
			y += LEGEND_H;
		put_rect(out, x, y - 10, 12, 12, part_colors[part]);
		put_sum(out, p, x + 18, y, part_names[part], p->bytes[part]);
	}
	if (p->bytes[PART_USED]) {
		y += LEGEND_H;
		put_rect(out, LEFT, y - 10, 12, 12, part_colors[PART_USED]);
		put_sum(out, p, LEFT + 18, y, part_names[PART_USED], p->bytes[PART_USED]);
	}
	return y + 12;
}

static int nr_lengths(const struct hybrid_alloc_stat *stat)
{
	int nr = HYBRID_ALLOC_RUN_LENGTHS;

	while (nr && !stat->run_count[nr - 1])
		nr--;
	return nr;
}

/* A chart of the free space by the length of its runs. */
static int put_runs(FILE *out, const struct picture *p, int y)
{
	const struct hybrid_alloc_stat *stat = &p->stat;
	int nr = nr_lengths(stat), w, base = y + 40 + CHART_H;
	__u64 most = 0;

	put_text(out, LEFT, y + 20, "heading",
		 text("Free space by length of run (from 2^n blocks to twice that)"));
	if (!nr) {
		put_text(out, LEFT, y + 40, "small", text("nothing is free"));
		return y + 50;
	}
	w = MAP_W / nr < MAX_BAR_W ? MAP_W / nr : MAX_BAR_W;
	for (int i = 0; i < nr; i++)
		most = stat->run_bytes[i] > most ? stat->run_bytes[i] : most;
	for (int i = 0; i < nr; i++) {
		int h = pixels(stat->run_bytes[i], most, CHART_H), x = LEFT + i * w;

		put_rect(out, x, base - h, w - 4, h, chart_color);
		put_text(out, x + (w - 4) / 2, base + 13, "length",
			 must(size_short(p->info.min_block << i)));
		if (h)
			put_text(out, x + (w - 4) / 2, base - h - 4, "length",
				 must(size_short(stat->run_bytes[i])));
	}
	fprintf(out, "<path stroke=\"#7f8c8d\" d=\"M%d %dh%d\"/>\n", LEFT, base, nr * w);
	return base + 20;
}

static void put_title(FILE *out, const struct picture *p, const char *title)
{
	char *summary = picture_summary(p), *cell = must(size_short(p->cell_len));

	put_text(out, LEFT, 34, "title", title ? text("%s", title) : disk_name(&p->info));
	put_text(out, LEFT, 56, "small",
		 text("hybrid_alloc%u: %s; a column is %s", p->info.id, summary, cell));
	free(summary);
	free(cell);
}

static const char style[] =
"<style>text{font-family:'DejaVu Sans',Verdana,sans-serif;fill:#22303c}"
".title{font-size:20px;font-weight:bold}.heading{font-size:13px;font-weight:bold}"
".small{font-size:12px}.address{font-size:10px;text-anchor:end}"
".length{font-size:10px;text-anchor:middle}</style>\n";

void map_svg(const struct picture *p, const char *title, FILE *out)
{
	char *body = NULL;
	size_t size;
	FILE *mem = must(open_memstream(&body, &size));
	int height;

	put_title(mem, p, title);
	height = put_map(mem, p);
	height = put_sums(mem, p, height + 12);
	height = put_runs(mem, p, height + 8);
	must(fclose(mem) ? NULL : body);

	/* The height is not known earlier. */
	fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"viewBox=\"0 0 %d %d\">\n", WIDTH, height, WIDTH, height);
	fputs(style, out);
	put_rect(out, 0, 0, WIDTH, height, "#ffffff");
	fputs(body, out);
	fputs("</svg>\n", out);
	free(body);
}
