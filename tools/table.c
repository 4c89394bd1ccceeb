// SPDX-License-Identifier: GPL-2.0
/* Tables, lists and JSON, through libsmartcols, as in lsblk and losetup. */

#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hybridctl.h"
#include "common/size.h"

struct table {
	const struct column *columns;
	size_t nr_columns;
	unsigned int shown;		/* IN_ bits of the columns to show by default */
	bool as_list, bytes, aligned;
	struct libscols_table *scols;
	size_t *selected;		/* indices into columns */
	size_t nr_selected;
};

static void scols_failed(void)
{
	complain("out of memory for the output; free some, and run it again");
	exit(EXIT_FAILED);
}

static void check(int ret)
{
	if (ret < 0)
		scols_failed();
}

static void table_free(struct table *t)
{
	scols_unref_table(t->scols);
	free(t->selected);
	free(t);
}

static int find_column(const struct table *t, const char *name, size_t len)
{
	for (size_t i = 0; i < t->nr_columns; i++) {
		if (!strncasecmp(t->columns[i].name, name, len) && !t->columns[i].name[len])
			return i;
	}
	return -1;
}

static void select_default(struct table *t)
{
	for (size_t i = 0; i < t->nr_columns; i++) {
		if (t->columns[i].shown & t->shown)
			t->selected[t->nr_selected++] = i;
	}
}

/* -o A,B or, in addition to the default, -o +A,B */
static bool select_columns(struct table *t, const char *list)
{
	size_t room = t->nr_columns;

	if (!list) {
		select_default(t);
		return true;
	}
	if (*list == '+') {
		select_default(t);
		list++;
	}
	for (;; list++) {
		size_t len = strcspn(list, ",");
		int i = find_column(t, list, len);

		if (i < 0) {
			complain("there is no column '%.*s'; --help lists them all",
				 (int)len, list);
			return false;
		}
		if (t->nr_selected == room) {
			room *= 2;
			t->selected = must(reallocarray(t->selected, room, sizeof(*t->selected)));
		}
		t->selected[t->nr_selected++] = i;
		list += len;
		if (!*list)
			return true;
	}
}

static void add_column(struct table *t, const char *name, enum column_kind kind)
{
	struct libscols_column *cl;

	cl = scols_table_new_column(t->scols, name, 0,
				    kind == COLUMN_TEXT ? 0 : SCOLS_FL_RIGHT);
	if (!cl)
		scols_failed();
	check(scols_column_set_json_type(cl, kind == COLUMN_TEXT ? SCOLS_JSON_STRING :
								   SCOLS_JSON_NUMBER));
}

bool wants_table(const struct args *args)
{
	return args->table.json || args->table.raw || args->table.columns;
}

struct table *table_new(const struct command *cmd, const struct args *args)
{
	const struct table_options *opts = &args->table;
	struct table *t = must(calloc(1, sizeof(*t)));

	t->columns = cmd->columns;
	t->nr_columns = cmd->nr_columns;
	t->shown = opts->json ? IN_JSON : cmd->as_list ? IN_LIST : IN_TABLE;
	if (args->runs)
		t->shown |= IN_RUNS;
	/* --output and --raw ask for columns. */
	t->as_list = cmd->as_list && !opts->json && !opts->raw && !opts->columns;
	t->bytes = opts->bytes || opts->json;
	t->aligned = !opts->json && !opts->raw;

	t->selected = must(calloc(t->nr_columns, sizeof(*t->selected)));
	scols_init_debug(0);
	t->scols = must(scols_new_table());
	if (!select_columns(t, opts->columns)) {
		table_free(t);
		return NULL;
	}
	check(scols_table_set_name(t->scols, cmd->table));
	check(scols_table_enable_json(t->scols, opts->json));
	check(scols_table_enable_raw(t->scols, opts->raw));
	check(scols_table_enable_noheadings(t->scols, opts->noheadings));

	if (t->as_list) {
		add_column(t, "NAME", COLUMN_TEXT);
		add_column(t, "VALUE", COLUMN_NUMBER);
		add_column(t, "MEANING", COLUMN_TEXT);
		return t;
	}
	for (size_t i = 0; i < t->nr_selected; i++) {
		const struct column *c = &t->columns[t->selected[i]];

		add_column(t, c->name, c->kind);
	}
	return t;
}

bool table_shows(const struct table *t, const char *column)
{
	int c = find_column(t, column, strlen(column));

	for (size_t i = 0; i < t->nr_selected; i++) {
		if ((int)t->selected[i] == c)
			return true;
	}
	return false;
}

static char *format_value(const struct table *t, const struct column *c, union cell cell)
{
	if (c->kind == COLUMN_TEXT || c->kind == COLUMN_DECIMAL)
		return cell.text ? must(strdup(cell.text)) : NULL;
	if (c->kind == COLUMN_LIMIT && !t->bytes && !cell.number)
		return must(strdup("none"));
	if ((c->kind == COLUMN_SIZE || c->kind == COLUMN_LIMIT) && !t->bytes)
		return must(size_short(cell.number));
	return text("%llu", cell.number);
}

/* Pads the value: libsmartcols takes the width of a column only as a hint. */
static char *format_cell(const struct table *t, const struct column *c, union cell cell)
{
	char *value = format_value(t, c, cell), *padded;

	if (!c->width || !t->aligned)
		return value;
	padded = text("%*s", c->kind == COLUMN_TEXT ? -c->width : c->width, value ? value : "");
	free(value);
	return padded;
}

static struct libscols_line *new_line(struct table *t)
{
	return must(scols_table_new_line(t->scols, NULL));
}

void table_row(struct table *t, const union cell *cells)
{
	struct libscols_line *line = t->as_list ? NULL : new_line(t);

	for (size_t i = 0; i < t->nr_selected; i++) {
		const struct column *c = &t->columns[t->selected[i]];
		char *value = format_cell(t, c, cells[t->selected[i]]);

		if (t->as_list) {
			line = new_line(t);
			check(scols_line_set_data(line, 0, c->name));
			check(scols_line_set_data(line, 2, c->help));
		}
		/* The line owns the value from here on. */
		if (value)
			check(scols_line_refer_data(line, t->as_list ? 1 : i, value));
	}
}

void table_finish(struct table *t)
{
	check(scols_print_table(t->scols));
	table_free(t);
}
