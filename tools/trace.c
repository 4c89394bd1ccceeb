// SPDX-License-Identifier: GPL-2.0
/* Traces: lines, and the IDs that they choose. */

#include <stdlib.h>
#include <string.h>

#include "hybridctl.h"

const char *parse_trace(char *line, struct trace_op *op, bool *empty)
{
	char *word[5], *rest;
	int n = 0;

	line[strcspn(line, "#")] = 0;
	for (; n < 5 && (word[n] = strtok_r(n ? NULL : line, " \t\r\n", &rest)); n++)
		;
	*empty = !n;
	*op = (struct trace_op){ };
	if (!n)
		return NULL;
	if (n == 1 || parse_size(word[1], &op->id))
		return "has no ID that is a number";
	if (!strcmp(word[0], "f"))
		return n == 2 ? NULL : "has more behind the ID";
	if (strcmp(word[0], "a") || n < 3 || n > 4)
		return "is no operation";
	if (parse_size(word[2], &op->size) || !op->size)
		return "has a SIZE that is none";
	if (n == 4 && (parse_size(word[3], &op->align) || !op->align ||
		       (op->align & (op->align - 1))))
		return "has an ALIGN that is not a power of two";
	return NULL;
}

/* A hash table with open addressing, never more than half full. */
struct ids {
	struct id {
		__u64 id;
		__u32 number;		/* + 1; 0: empty */
	} *table;
	__u64 size;			/* a power of two */
	__u32 nr;
};

struct ids *ids_new(void)
{
	struct ids *ids = must(calloc(1, sizeof(*ids)));

	ids->size = 1 << 10;
	ids->table = must(calloc(ids->size, sizeof(*ids->table)));
	return ids;
}

void ids_free(struct ids *ids)
{
	if (ids)
		free(ids->table);
	free(ids);
}

static struct id *find(struct ids *ids, __u64 id)
{
	__u64 k = id * 0x9e3779b97f4a7c15ULL;
	struct id *at;

	/* The upper bits are the better ones. */
	for (k ^= k >> 32;; k++) {
		at = &ids->table[k & (ids->size - 1)];
		if (!at->number || at->id == id)
			return at;
	}
}

static void enlarge(struct ids *ids)
{
	struct id *old = ids->table;
	__u64 size = ids->size;

	ids->size *= 2;
	ids->table = must(calloc(ids->size, sizeof(*ids->table)));
	for (__u64 i = 0; i < size; i++) {
		if (old[i].number)
			*find(ids, old[i].id) = old[i];
	}
	free(old);
}

__u32 ids_number(struct ids *ids, __u64 id)
{
	struct id *at = find(ids, id);

	if (!at->number) {
		if (ids->nr >= ids->size / 2) {
			enlarge(ids);
			at = find(ids, id);
		}
		*at = (struct id){ id, ++ids->nr };
	}
	return at->number - 1;
}
