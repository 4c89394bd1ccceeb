// SPDX-License-Identifier: GPL-2.0
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "size.h"
#include "trace.h"

#define MIN_IDS		1024
#define MAX_WORDS	5	/* of an operation */

static const char no_memory[] = "there is no memory for its ID";
static const char form[] =
	"it is none of 'a ID SIZE [ALIGN]', 'f ID', 'c ID OFFSET LEN [NEWID]', 'x ID LEN', "
	"'r SIZE', 'A ID SIZE [ALIGN]', 'u SIZE'";
/* Blocks are not shorter. */
static const __u64 least_block = 4096;

/* ---- the IDs ---- */

struct trace_id {
	__u64 id;
	__u32 number;		/* + 1; 0: the entry is empty */
	bool allocated;		/* its last operation is an allocation */
};

static struct trace_id *find_id(struct trace_reader *t, __u64 id)
{
	__u64 k = id * 0x9e3779b97f4a7c15ULL;
	struct trace_id *at;

	/* The upper bits of the product depend on all bits of the ID. */
	for (k ^= k >> 32;; k++) {
		at = &t->ids[k & (t->max_ids - 1)];
		if (!at->number || at->id == id)
			return at;
	}
}

/* False without memory. */
static bool enlarge(struct trace_reader *t)
{
	__u64 old_max = t->max_ids, new_max = old_max ? 2 * old_max : MIN_IDS;
	struct trace_id *old = t->ids, *new = calloc(new_max, sizeof(*new));

	if (!new)
		return false;
	t->ids = new;
	t->max_ids = new_max;
	for (__u64 i = 0; i < old_max; i++) {
		if (old[i].number)
			*find_id(t, old[i].id) = old[i];
	}
	free(old);
	return true;
}

/* The entry of an ID, which is added if need be; NULL without memory. */
static struct trace_id *get_id(struct trace_reader *t, __u64 id)
{
	struct trace_id *at;

	if (t->nr_ids >= t->max_ids / 2 && !enlarge(t))
		return NULL;
	at = find_id(t, id);
	if (!at->number)
		*at = (struct trace_id){ .id = id, .number = ++t->nr_ids };
	return at;
}

/* ---- the lines ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Cuts a line into words. Return: their number, MAX_WORDS + 1 if there are more. */
static int split(char *p, char **words)
{
	int nr;

	for (nr = 0; nr <= MAX_WORDS; nr++) {
		while (is_blank(*p))
			p++;
		if (!*p)
			break;
		words[nr] = p;
		while (*p && !is_blank(*p))
			p++;
		if (*p)
			*p++ = 0;
	}
	return nr;
}

static const char *wrong_word(struct trace_reader *t, const char *name, const char *word,
			      const char *what)
{
	snprintf(t->wrong, sizeof(t->wrong), "%s '%.40s' %s", name, word, what);
	return t->wrong;
}

static const char *parse_id(struct trace_reader *t, const char *word, __u64 *id)
{
	const char *p;

	*id = 0;
	for (p = word; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(*id, 10, id) ||
		    __builtin_add_overflow(*id, *p - '0', id))
			break;
	}
	return p > word && !*p ? NULL :
		wrong_word(t, "ID", word, "is not a number from 0 to 18446744073709551615");
}

static const char *parse_length(struct trace_reader *t, const char *name, const char *word,
				__u64 *size)
{
	const char *what = parse_size(word, size);

	return what || !*size ?
	       wrong_word(t, name, word, what ? what : "is nothing to allocate") : NULL;
}

/* SIZE, or MIN-MAX. */
static const char *parse_lengths(struct trace_reader *t, char *word, struct trace_op *op)
{
	char *max = strchr(word, '-');
	const char *wrong;

	if (!max || max == word) {
		wrong = parse_length(t, "SIZE", word, &op->size);
		op->min = op->size;
		return wrong;
	}
	*max++ = 0;
	wrong = parse_length(t, "MIN", word, &op->min);
	if (!wrong)
		wrong = parse_length(t, "MAX", max, &op->size);
	return !wrong && op->size < op->min ?
	       wrong_word(t, "MAX", max, "is less than MIN") : wrong;
}

static const char *parse_alloc(struct trace_reader *t, char **words, int nr, struct trace_op *op)
{
	const char *what;

	op->align = 1;
	what = parse_lengths(t, words[2], op);
	if (what || nr < 4)
		return what;
	what = parse_size(words[3], &op->align);
	if (!what && (!op->align || (op->align & (op->align - 1) && op->align % least_block)))
		what = "is neither a power of two, such as 64K, nor a multiple of 4K";
	return what ? wrong_word(t, "ALIGN", words[3], what) : NULL;
}

/* A size in whole blocks. */
static const char *parse_blocks(struct trace_reader *t, const char *name, const char *word,
				__u64 *size)
{
	const char *what = parse_size(word, size);

	if (!what && *size % least_block)
		what = "is no multiple of 4K";
	return what ? wrong_word(t, name, word, what) : NULL;
}

static const char *parse_part(struct trace_reader *t, char **words, struct trace_op *op)
{
	bool is_cut = op->kind == TRACE_CUT;
	char *len = words[is_cut ? 3 : 2];
	const char *wrong = is_cut ? parse_blocks(t, "OFFSET", words[2], &op->offset) : NULL;

	if (!wrong)
		wrong = parse_blocks(t, "LEN", len, &op->size);
	if (!wrong && !op->size)
		wrong = wrong_word(t, "LEN", len, is_cut ? "is nothing to free" :
				   "is nothing to add");
	return wrong;
}

/* Its allocation may come again: only the caller knows whether the tail was there. */
static const char *parse_tail(struct trace_reader *t, const char *word, struct trace_op *op)
{
	struct trace_id *id;
	const char *wrong;
	__u64 number;

	wrong = parse_id(t, word, &number);
	if (wrong)
		return wrong;
	if (number == op->id)
		return wrong_word(t, "NEWID", word, "is the ID itself");
	id = get_id(t, number);
	if (!id)
		return no_memory;
	id->allocated = true;
	op->has_tail = 1;
	op->tail = id->number - 1;
	return NULL;
}

/* Reserve, or give back. */
static const char *parse_reserve(struct trace_reader *t, char **words, int nr, struct trace_op *op)
{
	const char *what;

	if (nr > 2)
		return form;
	op->kind = words[0][0] == 'r' ? TRACE_RESERVE : TRACE_UNRESERVE;
	what = parse_size(words[1], &op->size);
	if (what || !op->size)
		return wrong_word(t, "SIZE", words[1], what ? what : "is nothing to reserve");
	return NULL;
}

/* Operations with an ID, and how many words they have. */
static const struct operation {
	char letter;
	enum trace_kind kind;
	int min_words, max_words;
} operations[] = {
	{ 'a', TRACE_ALLOC, 3, 4 },
	{ 'A', TRACE_ALLOC, 3, 4 },
	{ 'f', TRACE_FREE, 2, 2 },
	{ 'c', TRACE_CUT, 4, 5 },
	{ 'x', TRACE_EXTEND, 3, 3 },
};

static const char *parse_op(struct trace_reader *t, char **words, int nr, struct trace_op *op)
{
	const struct operation *o = operations;
	struct trace_id *id;
	const char *wrong;

	if (nr < 2 || words[0][1])
		return form;
	if (words[0][0] == 'r' || words[0][0] == 'u')
		return parse_reserve(t, words, nr, op);
	while (o->letter != words[0][0])
		if (++o == operations + sizeof(operations) / sizeof(*operations))
			return form;
	if (nr < o->min_words || nr > o->max_words)
		return form;
	op->kind = o->kind;
	op->reserved = o->letter == 'A';
	wrong = parse_id(t, words[1], &op->id);
	if (!wrong && op->kind == TRACE_ALLOC)
		wrong = parse_alloc(t, words, nr, op);
	else if (!wrong && op->kind != TRACE_FREE)
		wrong = parse_part(t, words, op);
	if (wrong)
		return wrong;
	id = get_id(t, op->id);
	if (!id)
		return no_memory;
	/* An allocation may follow one that was refused, which only the caller knows. */
	if (op->kind != TRACE_ALLOC && !id->allocated)
		return wrong_word(t, "ID", words[1], "is not allocated");
	id->allocated = op->kind != TRACE_FREE;
	op->number = id->number - 1;
	return op->kind == TRACE_CUT && nr == 5 ? parse_tail(t, words[4], op) : NULL;
}

const char *trace_next(struct trace_reader *t, struct trace_op *op)
{
	char *words[MAX_WORDS + 1];
	ssize_t len;
	int nr;

	memset(op, 0, sizeof(*op));
	while ((len = getline(&t->text, &t->room, t->in)) > 0) {
		t->line++;
		if (strlen(t->text) != (size_t)len)
			return "it contains a zero byte, so it is not text";
		t->text[strcspn(t->text, "#")] = 0;
		nr = split(t->text, words);
		if (nr)
			return parse_op(t, words, nr, op);
	}
	return NULL;
}

bool trace_clip(__u64 len, bool has_tail, __u64 *offset, __u64 *size)
{
	if (*offset > len)
		*offset = len;
	if (*size > len - *offset)
		*size = len - *offset;
	return has_tail || !*size || !*offset || *offset + *size == len;
}

void trace_close(struct trace_reader *t)
{
	free(t->text);
	free(t->ids);
	*t = (struct trace_reader){ };
}
