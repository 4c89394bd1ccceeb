// SPDX-License-Identifier: GPL-2.0
/*
 * The reference for packing: see reference.h.
 *
 * Each free run is in two trees, one by address and one by length and address.
 */
#include <stdlib.h>
#include <linux/rbtree.h>

#include "hybrid_sim.h"
#include "reference.h"

struct free_run {
	struct rb_node by_start;
	struct rb_node by_len;
	u64 start;
	u64 len;
};

struct reference {
	struct rb_root starts;
	struct rb_root lens;
};

static struct free_run *start_entry(const struct rb_node *node)
{
	return node ? rb_entry(node, struct free_run, by_start) : NULL;
}

static struct free_run *len_entry(const struct rb_node *node)
{
	return node ? rb_entry(node, struct free_run, by_len) : NULL;
}

static bool starts_before(struct rb_node *a, const struct rb_node *b)
{
	return start_entry(a)->start < start_entry(b)->start;
}

static bool is_shorter(struct rb_node *a, const struct rb_node *b)
{
	const struct free_run *x = len_entry(a), *y = len_entry(b);

	return x->len != y->len ? x->len < y->len : x->start < y->start;
}

static void insert(struct reference *r, u64 start, u64 len)
{
	struct free_run *run = need(malloc(sizeof(*run)));

	*run = (struct free_run) { .start = start, .len = len };
	rb_add(&run->by_start, &r->starts, starts_before);
	rb_add(&run->by_len, &r->lens, is_shorter);
}

static void erase(struct reference *r, struct free_run *run)
{
	rb_erase(&run->by_start, &r->starts);
	rb_erase(&run->by_len, &r->lens);
	free(run);
}

/* The shortest run of at least @len, and of these the first. */
static struct free_run *shortest(const struct reference *r, u64 len)
{
	struct rb_node *node = r->lens.rb_node;
	struct free_run *found = NULL;

	while (node) {
		if (len_entry(node)->len >= len) {
			found = len_entry(node);
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	return found;
}

/* The last run that starts before @pos. */
static struct free_run *run_before(const struct reference *r, u64 pos)
{
	struct rb_node *node = r->starts.rb_node;
	struct free_run *found = NULL;

	while (node) {
		if (start_entry(node)->start < pos) {
			found = start_entry(node);
			node = node->rb_right;
		} else {
			node = node->rb_left;
		}
	}
	return found;
}

struct reference *reference_new(u64 nr_blocks)
{
	struct reference *r = need(calloc(1, sizeof(*r)));

	insert(r, 0, nr_blocks);
	return r;
}

void reference_destroy(struct reference *r)
{
	while (r->starts.rb_node)
		erase(r, start_entry(r->starts.rb_node));
	free(r);
}

int reference_alloc(struct reference *r, u64 len, u64 align, u64 *start)
{
	struct free_run *run = shortest(r, len);
	u64 skip = 0, before, after;

	for (; run; run = len_entry(rb_next(&run->by_len))) {
		skip = -run->start & (align - 1);
		if (run->len >= len + skip)
			break;
	}
	if (!run)
		return -ENOSPC;
	*start = run->start + skip;
	before = run->start;
	after = run->len - skip - len;
	erase(r, run);
	if (skip)
		insert(r, before, skip);
	if (after)
		insert(r, *start + len, after);
	return 0;
}

void reference_free(struct reference *r, u64 start, u64 len)
{
	struct free_run *before = run_before(r, start), *after;
	u64 end = start + len;

	after = start_entry(before ? rb_next(&before->by_start) : rb_first(&r->starts));
	if (after && after->start == end) {
		end += after->len;
		erase(r, after);
	}
	if (before && before->start + before->len == start) {
		start = before->start;
		erase(r, before);
	}
	insert(r, start, end - start);
}
