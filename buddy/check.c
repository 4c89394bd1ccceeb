// SPDX-License-Identifier: GPL-2.0
/*
 * CHECK of the buddy layer: the invariants of buddy.c, node by node, so that a walk can do it in
 * holds of a bounded length.
 */
#include <linux/bitmap.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/list.h>

#include "buddy/internal.h"

/* Lists of more nodes are not passed over by a check: there are many, and it is one hold. */
#define MAX_LISTED	128

/* Bits of a heap: @nr that begin at @bit, or as many as a long has; both are powers of two. */
static unsigned long habuddy_heap_word(const unsigned long *heap, unsigned int bit, unsigned int nr)
{
	return heap[bit / BITS_PER_LONG] >> bit % BITS_PER_LONG & (~0UL >> (BITS_PER_LONG - nr));
}

/* How many of the @nr bits are set that begin at bit @nr. */
static unsigned int habuddy_heap_weight(const unsigned long *heap, unsigned int nr)
{
	if (nr < BITS_PER_LONG)
		return hweight_long(habuddy_heap_word(heap, nr, nr));
	return bitmap_weight(heap + nr / BITS_PER_LONG, nr);
}

/*
 * Of two buddies at most one is free, and what is free or owned lies in nothing else that is. From
 * the halves of the node down, a word of blocks of an order at a time.
 */
static bool habuddy_check_heap(const struct habuddy_node *n)
{
	/* the blocks of the order before that are, or are in, a free or an owned one */
	unsigned long above[HABUDDY_FANOUT / BITS_PER_LONG] = {}, free, owned, in;
	unsigned int first, nr, i;

	for (first = 2; first <= HABUDDY_FANOUT; first *= 2) {
		nr = min_t(unsigned int, first, BITS_PER_LONG);
		/* the last one first: a word above is for two words */
		for (i = first / nr; i--;) {
			free = habuddy_heap_word(n->free, first + i * nr, nr);
			owned = habuddy_heap_word(n->owned, first + i * nr, nr);
			in = habuddy_spread(above[i / 2] >> i % 2 * (BITS_PER_LONG / 2) &
					    (~0UL >> BITS_PER_LONG / 2));
			if (((free | owned) & in) || (free & owned) ||
			    (free & (free >> 1) & (~0UL / 3)))
				return false;
			above[i] = in | free | owned;
		}
	}
	return true;
}

/* No free block goes past the end of the device. */
static bool habuddy_check_end(const struct habuddy *b, const struct habuddy_node *n)
{
	unsigned int first, last;

	if ((n->index + 1) << habuddy_cell_shift(n->height + 1) <= b->nr_units)
		return true;
	for (first = 2; first <= HABUDDY_FANOUT; first *= 2) {
		last = find_last_bit(n->free, 2 * first);
		if (last >= first && last < 2 * first &&
		    habuddy_unit_of(n, last) + (1ULL << habuddy_order_of(n, last)) > b->nr_units)
			return false;
	}
	return true;
}

/* The node is where the list of blocks of order @r finds it, and the links around it match. */
static bool habuddy_check_link(const struct habuddy_node *n, unsigned int r)
{
	const struct hlist_node *link = &n->link[r];

	if (!n->nr_free[r])
		return hlist_unhashed(link);
	return !hlist_unhashed(link) && *link->pprev == link &&
	       (!link->next || link->next->pprev == &link->next);
}

/* Check @n, not what is below it, and add what it has to @found. */
static bool habuddy_check_node(struct habuddy *b, struct habuddy_node *n,
			       struct habuddy_found *found)
{
	unsigned int nr_free, r, cell;
	struct habuddy_node *child;

	if (n->free[0] & 3 || !habuddy_check_heap(n) || !habuddy_check_end(b, n))
		return false;
	for (r = 0; r < HABUDDY_FANOUT_SHIFT; r++) {
		nr_free = habuddy_heap_weight(n->free, HABUDDY_FANOUT >> r);
		if (nr_free != n->nr_free[r] || !habuddy_check_link(n, r))
			return false;
		found->free += (u64)nr_free << (habuddy_cell_shift(n->height) + r);
		found->nr_listed[habuddy_cell_shift(n->height) + r] += !!nr_free;
	}
	for (cell = 0; cell < n->nr_child; cell++) {
		child = rcu_dereference_raw(n->child[cell]);
		if (!child)
			continue;
		/* a cell that is cut up lies in no free block */
		if (child->parent != n || child->height + 1 != n->height ||
		    child->index != (n->index << HABUDDY_FANOUT_SHIFT) + cell ||
		    habuddy_covering_bit(n, n->free, habuddy_unit_of(child, 1)))
			return false;
	}
	return true;
}

/**
 * habuddy_check_at - verify the nodes whose first unit is a given one
 * @b: the buddy
 * @unit: 0, or as the call before has set it; inside the device. Out: where the next node may begin
 * @found: what these nodes have is added to it
 * Context: caller's lock. Return: 0; -EUCLEAN if an invariant is violated.
 */
int habuddy_check_at(struct habuddy *b, u64 *unit, struct habuddy_found *found)
{
	struct habuddy_node *n = b->root, *child;

	habuddy_assert_locked(b);
	for (;; n = child) {
		if (n->index << habuddy_cell_shift(n->height + 1) == *unit &&
		    !habuddy_check_node(b, n, found))
			return -EUCLEAN;
		child = habuddy_child_or_null(n, *unit);
		if (!child)
			break;
	}
	*unit = round_down(*unit, 1ULL << habuddy_cell_shift(max(n->height, 1U)));
	*unit += 1ULL << habuddy_cell_shift(max(n->height, 1U));
	return 0;
}

/* Whether the list of @order has @nr nodes, all of them of its height and with such a block. */
static bool habuddy_check_list(struct habuddy *b, unsigned int order, u64 nr)
{
	unsigned int r = order % HABUDDY_FANOUT_SHIFT;
	struct habuddy_node *n;
	u64 found = 0;

	/* of a longer list, habuddy_check_link() has looked at each link */
	if (nr > MAX_LISTED)
		return true;
	hlist_for_each_entry(n, &b->nodes[order], link[r])
		if (n->height != order / HABUDDY_FANOUT_SHIFT || !n->nr_free[r] || found++ == nr)
			return false;
	return found == nr;
}

/**
 * habuddy_check_sums - compare the counters and lists with what all nodes have
 * @b: the buddy
 * @found: the sum over all nodes
 *
 * They match if nothing has changed since the first call of habuddy_check_at().
 * Context: caller's lock. Return: 0; -EAGAIN they do not match.
 */
int habuddy_check_sums(struct habuddy *b, const struct habuddy_found *found)
{
	unsigned int k;

	habuddy_assert_locked(b);
	if (found->free != b->free_units)
		return -EAGAIN;
	for (k = 0; k < HABUDDY_NR_ORDERS; k++)
		if (!found->nr_listed[k] != !(b->avail & BIT_ULL(k)) ||
		    !habuddy_check_list(b, k, found->nr_listed[k]))
			return -EAGAIN;
	return 0;
}

/**
 * habuddy_check - verify every invariant
 * @b: the buddy
 * Context: caller's lock. Looks at every node. Return: 0; -EUCLEAN if one is violated.
 */
int habuddy_check(struct habuddy *b)
{
	struct habuddy_found found = {};
	u64 unit = 0;

	while (unit < b->nr_units)
		if (habuddy_check_at(b, &unit, &found))
			return -EUCLEAN;
	return habuddy_check_sums(b, &found) ? -EUCLEAN : 0;
}
