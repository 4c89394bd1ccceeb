// SPDX-License-Identifier: GPL-2.0
/*
 * The references for packing: see reference.h.
 *
 * All free runs are in one tree by address, a treap in which each node knows the longest run below
 * it. Neighbours are found by it, and the first run that fits. Best fit has a second tree, by
 * length and address; bins has lists.
 */
#include <stdlib.h>
#include <string.h>
#include <linux/rbtree.h>

#include "common/random.h"
#include "hybrid_sim.h"
#include "reference.h"

#define NR_BINS		512

struct free_run {
	u64 start;
	u64 len;
	u64 longest;			/* of this one and those below it */
	u64 rank;			/* higher than of those below it */
	struct free_run *child[2];	/* with lower addresses, with higher ones */
	struct rb_node by_len;		/* BEST_FIT */
	struct free_run *next, *prev;	/* BINS */
};

struct reference {
	enum reference_policy policy;
	struct free_run *tree;
	struct rb_root lens;			/* BEST_FIT */
	struct free_run *bins[NR_BINS];		/* BINS */
	u64 filled[NR_BINS / 64];		/* a bit for each bin that is not empty */
};

const char *const reference_names[NR_REFERENCES] = {
	[NO_REFERENCE] = "none",
	[BEST_FIT] = "best-fit",
	[FIRST_FIT] = "first-fit",
	[BINS] = "bins",
};

enum reference_policy reference_named(const char *name)
{
	enum reference_policy p;

	for (p = BEST_FIT; p < NR_REFERENCES; p++)
		if (!strcmp(name, reference_names[p]))
			return p;
	return NO_REFERENCE;
}

/* ---- the tree by address ---- */

static void update(struct free_run *run)
{
	unsigned int i;

	run->longest = run->len;
	for (i = 0; i < 2; i++)
		if (run->child[i])
			run->longest = max(run->longest, run->child[i]->longest);
}

/* Those that start before @pos, and the others. */
static void split(struct free_run *tree, u64 pos, struct free_run **before, struct free_run **rest)
{
	if (!tree) {
		*before = NULL;
		*rest = NULL;
		return;
	}
	if (tree->start < pos) {
		split(tree->child[1], pos, &tree->child[1], rest);
		*before = tree;
	} else {
		split(tree->child[0], pos, before, &tree->child[0]);
		*rest = tree;
	}
	update(tree);
}

/* All of @a start before all of @b. */
static struct free_run *join(struct free_run *a, struct free_run *b)
{
	if (!a || !b)
		return a ?: b;
	if (a->rank > b->rank) {
		a->child[1] = join(a->child[1], b);
		update(a);
		return a;
	}
	b->child[0] = join(a, b->child[0]);
	update(b);
	return b;
}

static void tree_add(struct free_run **link, struct free_run *run)
{
	struct free_run *at = *link;

	if (!at || at->rank < run->rank) {
		split(at, run->start, &run->child[0], &run->child[1]);
		*link = run;
	} else {
		tree_add(&at->child[at->start < run->start], run);
	}
	update(*link);
}

static void tree_remove(struct free_run **link, const struct free_run *run)
{
	struct free_run *at = *link;

	if (at == run) {
		*link = join(run->child[0], run->child[1]);
	} else {
		tree_remove(&at->child[at->start < run->start], run);
		update(at);
	}
}

/* The last run that starts before @pos, or the first that starts there or after it. */
static struct free_run *neighbour(struct free_run *at, u64 pos, bool after)
{
	struct free_run *found = NULL;

	while (at) {
		bool is_after = at->start >= pos;

		if (is_after == after)
			found = at;
		at = at->child[!is_after];
	}
	return found;
}

/* ---- the policies ---- */

/* Whether an extent fits in a run, and how many blocks have to be skipped for its alignment. */
static bool fits(const struct free_run *run, u64 len, u64 align, u64 *skip)
{
	*skip = (align - run->start % align) % align;
	return run->len >= len && run->len - len >= *skip;
}

static struct free_run *first_fit(struct free_run *at, u64 len, u64 align, u64 *skip)
{
	struct free_run *found;

	if (!at || at->longest < len)
		return NULL;
	found = first_fit(at->child[0], len, align, skip);
	if (found)
		return found;
	return fits(at, len, align, skip) ? at : first_fit(at->child[1], len, align, skip);
}

static struct free_run *len_entry(const struct rb_node *node)
{
	return node ? rb_entry(node, struct free_run, by_len) : NULL;
}

static bool is_shorter(struct rb_node *a, const struct rb_node *b)
{
	const struct free_run *x = len_entry(a), *y = len_entry(b);

	return x->len != y->len ? x->len < y->len : x->start < y->start;
}

static struct free_run *best_fit(const struct reference *r, u64 len, u64 align, u64 *skip)
{
	struct rb_node *node = r->lens.rb_node;
	struct free_run *run = NULL;

	while (node) {
		if (len_entry(node)->len >= len) {
			run = len_entry(node);
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	while (run && !fits(run, len, align, skip))
		run = len_entry(rb_next(&run->by_len));
	return run;
}

/* The number of the bin of a length, with three bits behind its first one. */
static unsigned int bin_of(u64 len, bool round_up)
{
	unsigned int shift;

	if (len < 8)
		return len;
	shift = 60 - __builtin_clzll(len);
	return shift * 8 + (len >> shift) + (round_up && len & ((1ULL << shift) - 1));
}

static void bin_add(struct reference *r, struct free_run *run)
{
	unsigned int bin = bin_of(run->len, false);

	run->prev = NULL;
	run->next = r->bins[bin];
	if (run->next)
		run->next->prev = run;
	r->bins[bin] = run;
	r->filled[bin / 64] |= 1ULL << bin % 64;
}

static void bin_remove(struct reference *r, struct free_run *run)
{
	unsigned int bin = bin_of(run->len, false);

	if (run->next)
		run->next->prev = run->prev;
	if (run->prev)
		run->prev->next = run->next;
	else
		r->bins[bin] = run->next;
	if (!r->bins[bin])
		r->filled[bin / 64] &= ~(1ULL << bin % 64);
}

static struct free_run *from_bins(const struct reference *r, u64 len, u64 align, u64 *skip)
{
	unsigned int bin = bin_of(len + align - 1, true), i = bin / 64;
	u64 word = r->filled[i] & ~0ULL << bin % 64;
	struct free_run *run;

	while (!word && ++i < NR_BINS / 64)
		word = r->filled[i];
	if (!word)
		return NULL;
	run = r->bins[64 * i + __builtin_ctzll(word)];
	*skip = (align - run->start % align) % align;
	return run;
}

static struct free_run *find(const struct reference *r, u64 len, u64 align, u64 *skip)
{
	switch (r->policy) {
	case FIRST_FIT:
		return first_fit(r->tree, len, align, skip);
	case BINS:
		return from_bins(r, len, align, skip);
	default:
		return best_fit(r, len, align, skip);
	}
}

/* ---- free runs ---- */

static void insert(struct reference *r, u64 start, u64 len)
{
	struct free_run *run = need(calloc(1, sizeof(*run)));
	unsigned long long state = start;

	run->start = start;
	run->len = len;
	run->rank = random_next(&state);
	tree_add(&r->tree, run);
	if (r->policy == BEST_FIT)
		rb_add(&run->by_len, &r->lens, is_shorter);
	else if (r->policy == BINS)
		bin_add(r, run);
}

static void erase(struct reference *r, struct free_run *run)
{
	tree_remove(&r->tree, run);
	if (r->policy == BEST_FIT)
		rb_erase(&run->by_len, &r->lens);
	else if (r->policy == BINS)
		bin_remove(r, run);
	free(run);
}

struct reference *reference_new(enum reference_policy policy, u64 nr_blocks)
{
	struct reference *r = need(calloc(1, sizeof(*r)));

	r->policy = policy;
	insert(r, 0, nr_blocks);
	return r;
}

void reference_destroy(struct reference *r)
{
	while (r->tree)
		erase(r, r->tree);
	free(r);
}

int reference_alloc(struct reference *r, u64 least, u64 most, u64 align, u64 *start, u64 *found)
{
	u64 skip = 0, before, after, len = most;
	struct free_run *run;

	if (least < most && r->tree)
		len = max(least, min(most, r->tree->longest));
	/* no device is longer, and a sum with an alignment does not overflow */
	if (len >> 52 || align >> 52)
		return -ENOSPC;
	do {
		run = find(r, len, align, &skip);
	} while (!run && len-- > least);
	if (!run)
		return -ENOSPC;
	*found = len;
	before = run->start;
	*start = before + skip;
	after = run->len - skip - len;
	erase(r, run);
	if (skip)
		insert(r, before, skip);
	if (after)
		insert(r, *start + len, after);
	return 0;
}

int reference_claim(struct reference *r, u64 start, u64 len)
{
	struct free_run *run = neighbour(r->tree, start + 1, false);
	u64 before, end;

	if (!run || run->start + run->len < start + len)
		return -ENOSPC;
	before = run->start;
	end = run->start + run->len;
	erase(r, run);
	if (before < start)
		insert(r, before, start - before);
	if (start + len < end)
		insert(r, start + len, end - start - len);
	return 0;
}

void reference_free(struct reference *r, u64 start, u64 len)
{
	struct free_run *before = neighbour(r->tree, start, false);
	struct free_run *after = neighbour(r->tree, start, true);
	u64 end = start + len;

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
