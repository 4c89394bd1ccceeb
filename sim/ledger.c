// SPDX-License-Identifier: GPL-2.0
/*
 * The extents in a treap, ordered by address. Each node has the number of free blocks
 * after its extent, and the maximum of these in its subtree: so a walk from the root
 * tells whether a request fits and whether a range is free. The free blocks before the
 * first extent belong to a node of length 0, which is always there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/random.h"
#include "ledger.h"

#define HEAD	1	/* 0: no node */

struct node {
	u64 start;
	u64 len;
	u64 gap;	/* free blocks after it */
	u64 max_gap;	/* largest gap in the subtree */
	u32 left, right;
	u32 priority;
};

struct ledger {
	u64 first, end;
	u64 used;
	u64 nr;
	struct node *nodes;
	u32 nr_nodes, max_nodes;
	u32 unused;		/* list of nodes, linked by left */
	u32 root;
	u64 random;
	char message[120];
};

static struct node *node(const struct ledger *l, u32 i)
{
	return &l->nodes[i];
}

static u32 node_new(struct ledger *l, u64 start, u64 len, u64 gap)
{
	u32 i = l->unused;

	if (i) {
		l->unused = node(l, i)->left;
	} else {
		if (l->nr_nodes == l->max_nodes) {
			l->max_nodes *= 2;
			l->nodes = realloc(l->nodes, l->max_nodes * sizeof(*l->nodes));
		}
		i = l->nr_nodes++;
	}
	*node(l, i) = (struct node) {
		.start = start, .len = len, .gap = gap, .max_gap = gap,
		.priority = random_next(&l->random),
	};
	return i;
}

struct ledger *ledger_new(u64 first, u64 end)
{
	struct ledger *l = calloc(1, sizeof(*l));

	l->first = first;
	l->end = end;
	l->nr_nodes = 1;
	l->max_nodes = 64;
	l->nodes = calloc(l->max_nodes, sizeof(*l->nodes));
	l->root = node_new(l, first, 0, end - first);
	return l;
}

void ledger_free(struct ledger *l)
{
	free(l->nodes);
	free(l);
}

/* ---- the treap ---- */

static void update(struct ledger *l, u32 i)
{
	struct node *n = node(l, i);
	u64 max_gap = n->gap;

	/* node 0 stands for no node; its max_gap is 0 */
	if (node(l, n->left)->max_gap > max_gap)
		max_gap = node(l, n->left)->max_gap;
	if (node(l, n->right)->max_gap > max_gap)
		max_gap = node(l, n->right)->max_gap;
	n->max_gap = max_gap;
}

static void split(struct ledger *l, u32 i, u64 start, u32 *before, u32 *after)
{
	if (!i) {
		*before = 0;
		*after = 0;
		return;
	}
	if (node(l, i)->start <= start) {
		split(l, node(l, i)->right, start, &node(l, i)->right, after);
		*before = i;
	} else {
		split(l, node(l, i)->left, start, before, &node(l, i)->left);
		*after = i;
	}
	update(l, i);
}

static u32 merge(struct ledger *l, u32 before, u32 after)
{
	if (!before || !after)
		return before ? before : after;
	if (node(l, before)->priority > node(l, after)->priority) {
		node(l, before)->right = merge(l, node(l, before)->right, after);
		update(l, before);
		return before;
	}
	node(l, after)->left = merge(l, before, node(l, after)->left);
	update(l, after);
	return after;
}

/* The child of node @i in whose subtree @to is, or belongs. */
static u32 *towards(struct ledger *l, u32 i, u32 to)
{
	struct node *n = node(l, i);

	return to != HEAD && n->start <= node(l, to)->start ? &n->right : &n->left;
}

static u32 insert(struct ledger *l, u32 i, u32 new)
{
	u32 *child;

	if (!i)
		return new;
	if (node(l, new)->priority > node(l, i)->priority) {
		split(l, i, node(l, new)->start, &node(l, new)->left, &node(l, new)->right);
		update(l, new);
		return new;
	}
	child = towards(l, i, new);
	*child = insert(l, *child, new);
	update(l, i);
	return i;
}

static u32 delete(struct ledger *l, u32 i, u32 old)
{
	u32 *child;

	if (i == old)
		return merge(l, node(l, i)->left, node(l, i)->right);
	child = towards(l, i, old);
	*child = delete(l, *child, old);
	update(l, i);
	return i;
}

/* Updates the maxima on the path to a node whose gap has changed. */
static void update_path(struct ledger *l, u32 i, u32 changed)
{
	if (i != changed)
		update_path(l, *towards(l, i, changed), changed);
	update(l, i);
}

/* The last node that starts before @block, or at it if @at. @block may be in its gap. */
static u32 last_before(const struct ledger *l, u64 block, bool at)
{
	u32 i = l->root, best = HEAD;

	while (i) {
		if (i == HEAD || node(l, i)->start < block || (at && node(l, i)->start == block)) {
			best = i;
			i = node(l, i)->right;
		} else {
			i = node(l, i)->left;
		}
	}
	return best;
}

static u64 node_end(const struct ledger *l, u32 i)
{
	return node(l, i)->start + node(l, i)->len;
}

/* ---- extents ---- */

static const char *wrong_range(struct ledger *l, u64 start, u64 len, const char *what)
{
	snprintf(l->message, sizeof(l->message), "block %llu, length %llu: %s", start, len, what);
	return l->message;
}

const char *ledger_take(struct ledger *l, u64 start, u64 len, u64 align)
{
	u32 before;
	u64 gap;

	if (!len || start < l->first || start >= l->end || len > l->end - start)
		return wrong_range(l, start, len, "not on the device");
	if (align > 1 && start % align)
		return wrong_range(l, start, len, "not aligned");
	before = last_before(l, start, true);
	gap = node_end(l, before) + node(l, before)->gap;	/* its end */
	if (start < node_end(l, before) || start + len > gap)
		return wrong_range(l, start, len, "handed out twice");
	node(l, before)->gap = start - node_end(l, before);
	/* the path down to the new node passes the one before it, which is updated, too */
	l->root = insert(l, l->root, node_new(l, start, len, gap - start - len));
	l->used += len;
	l->nr++;
	return NULL;
}

const char *ledger_give(struct ledger *l, u64 start, u64 len)
{
	u32 i = last_before(l, start, true), before;

	if (i == HEAD || node(l, i)->start != start || node(l, i)->len != len)
		return wrong_range(l, start, len, "is no extent");
	before = last_before(l, start, false);
	l->root = delete(l, l->root, i);
	node(l, before)->gap += len + node(l, i)->gap;
	update_path(l, l->root, before);
	node(l, i)->left = l->unused;
	l->unused = i;
	l->used -= len;
	l->nr--;
	return NULL;
}

void ledger_grow(struct ledger *l, u64 end)
{
	u32 last = last_before(l, l->end, true);

	node(l, last)->gap += end - l->end;
	l->end = end;
	update_path(l, l->root, last);
}

/* ---- questions ---- */

bool ledger_find(const struct ledger *l, u64 block, struct extent *e)
{
	u32 i = last_before(l, block, true);

	if (block - node(l, i)->start >= node(l, i)->len)
		return false;
	*e = (struct extent) { node(l, i)->start, node(l, i)->len };
	return true;
}

bool ledger_is_free(const struct ledger *l, u64 start, u64 len)
{
	u32 i = last_before(l, start, true);

	return start >= node_end(l, i) && start + len <= node_end(l, i) + node(l, i)->gap;
}

u64 ledger_free_from(const struct ledger *l, u64 start)
{
	u32 i = last_before(l, start, true);

	return start < node_end(l, i) ? 0 : node_end(l, i) + node(l, i)->gap - start;
}

static bool fits_in(const struct ledger *l, u32 i, u64 len, u64 align)
{
	const struct node *n = node(l, i);
	u64 skip;

	if (!i || n->max_gap < len)
		return false;
	skip = (align - node_end(l, i) % align) % align;
	return (n->gap >= skip && n->gap - skip >= len) ||
	       fits_in(l, n->left, len, align) || fits_in(l, n->right, len, align);
}

bool ledger_fits(const struct ledger *l, u64 len, u64 align)
{
	return fits_in(l, l->root, len, align);
}

static u64 longest_in(const struct ledger *l, u32 i, u64 max, u64 align, u64 best)
{
	const struct node *n = node(l, i);
	u64 skip;

	if (!i || n->max_gap <= best || best >= max)
		return best;
	skip = (align - node_end(l, i) % align) % align;
	if (n->gap > skip && n->gap - skip > best)
		best = n->gap - skip;
	best = longest_in(l, n->left, max, align, best);
	return longest_in(l, n->right, max, align, best);
}

u64 ledger_longest(const struct ledger *l, u64 max, u64 align)
{
	u64 best = longest_in(l, l->root, max, align, 0);

	return best < max ? best : max;
}

u64 ledger_used(const struct ledger *l)
{
	return l->used;
}

u64 ledger_nr(const struct ledger *l)
{
	return l->nr;
}

static void runs_in(const struct ledger *l, u32 i, struct ledger_runs *runs)
{
	const struct node *n = node(l, i);
	int bits;

	if (!i)
		return;
	runs_in(l, n->left, runs);
	runs_in(l, n->right, runs);
	if (!n->gap)
		return;
	bits = 63 - __builtin_clzll(n->gap);
	runs->nr++;
	runs->count[bits]++;
	runs->blocks[bits] += n->gap;
}

void ledger_runs(const struct ledger *l, struct ledger_runs *runs)
{
	memset(runs, 0, sizeof(*runs));
	runs_in(l, l->root, runs);
	runs->largest = node(l, l->root)->max_gap;
}
