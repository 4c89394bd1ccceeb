// SPDX-License-Identifier: GPL-2.0
/*
 * The buddy layer: whole power-of-two blocks of a device, from one unit
 * (1 MiB unless configured otherwise) up to the largest that fits.
 *
 * The idea is the classic one (Knowlton 1965): a block of order k is split
 * into its two halves, and two free halves become their parent again; the
 * buddy of a block is found by position XOR size. What is particular here is
 * where the state lives.
 *
 * The tree
 * --------
 * A device of 100 TiB has 10^8 units, and most of them are never split off on
 * their own. So the state is a radix tree of nodes with a fan-out of 512, made
 * as far down as blocks have been split, and no further:
 *
 *   height 2    one slot = 2^18 units  (256 GiB)  orders 18..26
 *   height 1    one slot = 2^9 units   (512 MiB)  orders  9..17
 *   height 0    one slot = one unit    (1 MiB)    orders  0..8
 *
 * A node keeps the nine orders that fit its slots as a heap of bits: bit
 * 512 + i is slot i, bit h has the halves 2h and 2h + 1, its buddy is h ^ 1.
 * Bit 1 would be the node as a whole: that is a slot of its parent, so it is
 * kept there and the node is freed. There are two such heaps:
 *
 *   free    this block is free, as a whole and not as part of a larger one
 *   owned   this block is somebody's extent (the slab layer says so)
 *
 * A slot of an upper node is thus one of: free (its bit or one above is set),
 * in use as a whole (no bit, no child), or cut up (a child). Free blocks are
 * always maximal: buddies merge at once. Hence an aligned range of 2^k units
 * that is free lies inside one free block, and taking a range and putting the
 * same range back touch the same nodes: putting back needs no memory.
 *
 * The root covers more than there is, so it never is one free block itself.
 * Units behind the end are never free.
 *
 * To find a block: for each order a list of the nodes that have a free one,
 * and a mask of the orders whose list is not empty. An allocation takes the
 * smallest order that fits, so large blocks survive.
 *
 * Locking
 * -------
 * All functions but habuddy_own(), habuddy_disown(), habuddy_find_owned() and
 * those in buddy_hit.h need the lock of the caller (the slab layer's). These walk
 * down under RCU; whoever wins the owned bit of a block owns it. A node with a
 * block that is owned or just allocated is never wholly free, so it stays.
 */
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/rcupdate.h>
#include <linux/rculist.h>

#include "buddy_hit.h"
#include "trace.h"

#define FANOUT		HABUDDY_FANOUT
#define SLOT_MASK	(FANOUT - 1)
#define HEAP_BITS	(2 * FANOUT)

/* ---- positions ---- */

static unsigned int slot_shift(unsigned int height)
{
	return HABUDDY_FANOUT_SHIFT * height;
}

static unsigned int slot_of(u64 unit, unsigned int height)
{
	return habuddy_slot_of(unit, height);
}

static unsigned int order_of(const struct habuddy_node *n, unsigned int bit)
{
	return slot_shift(n->height + 1) - ilog2(bit);
}

static u64 unit_of(const struct habuddy_node *n, unsigned int bit)
{
	unsigned int below = HABUDDY_FANOUT_SHIFT - ilog2(bit);
	u64 slot = (bit << below) - FANOUT;

	return ((n->index << HABUDDY_FANOUT_SHIFT) + slot) << slot_shift(n->height);
}

/* ---- nodes ---- */

static struct habuddy_node *child_of(const struct habuddy_node *n, u64 unit)
{
	return slot_of(unit, n->height) < n->nr_child ? habuddy_child(n, unit) : NULL;
}

static struct habuddy_node *habuddy_node_new(struct habuddy *b, struct habuddy_node *parent,
					     u64 unit, unsigned int height,
					     unsigned int nr_child, struct hamem_op *op)
{
	struct habuddy_node *n;

	n = hamem_get(b->mem, op, height ? struct_size(n, child, nr_child) : sizeof(*n));
	if (!n)
		return NULL;
	n->parent = parent;
	n->height = height;
	n->nr_child = height ? nr_child : 0;
	n->index = unit >> slot_shift(height + 1);
	if (parent)
		rcu_assign_pointer(parent->child[slot_of(unit, parent->height)], n);
	return n;
}

static void habuddy_node_free(struct habuddy *b, struct habuddy_node *n)
{
	if (n->parent)
		RCU_INIT_POINTER(n->parent->child[n->index & SLOT_MASK], NULL);
	hamem_put_rcu(b->mem, n, rcu);
}

/* ---- free blocks ---- */

static void mark_free(struct habuddy *b, struct habuddy_node *n, unsigned int bit)
{
	unsigned int order = order_of(n, bit);
	unsigned int r = order - slot_shift(n->height);

	__set_bit(bit, n->free);
	if (n->nr_free[r]++ == 0) {
		hlist_add_head(&n->link[r], &b->nodes[order]);
		b->avail |= BIT_ULL(order);
	}
}

static void clear_free(struct habuddy *b, struct habuddy_node *n, unsigned int bit)
{
	unsigned int order = order_of(n, bit);
	unsigned int r = order - slot_shift(n->height);

	__clear_bit(bit, n->free);
	if (--n->nr_free[r] == 0) {
		hlist_del_init(&n->link[r]);
		if (hlist_empty(&b->nodes[order]))
			b->avail &= ~BIT_ULL(order);
	}
}

/* The bit of @bits that covers @unit in @n: its slot's or one above; 0 if none. */
static unsigned int covering_bit(const struct habuddy_node *n, const unsigned long *bits, u64 unit)
{
	unsigned int bit;

	for (bit = FANOUT + slot_of(unit, n->height); bit > 1; bit >>= 1)
		if (test_bit(bit, bits))
			return bit;
	return 0;
}

/* The node and bit of the free block that @unit lies in; NULL if it is not free. */
static struct habuddy_node *habuddy_covering(const struct habuddy *b, u64 unit, unsigned int *bit)
{
	struct habuddy_node *n = b->root;

	if (unit >= b->nr_units)
		return NULL;
	for (;;) {
		*bit = covering_bit(n, n->free, unit);
		if (*bit)
			return n;
		if (!n->height)
			return NULL;
		n = child_of(n, unit);
		if (!n)
			return NULL;
	}
}

/*
 * Cut the block of @order at @unit out of the free block @bit of @n, which
 * contains it. On -ENOMEM all is as it was.
 */
static int habuddy_carve(struct habuddy *b, struct habuddy_node *n, unsigned int bit,
			 u64 unit, unsigned int order, struct hamem_op *op)
{
	unsigned int k = order_of(n, bit);

	clear_free(b, n, bit);
	b->free_units -= 1ULL << k;
	while (k > order) {
		if (k == slot_shift(n->height)) {
			n = habuddy_node_new(b, n, unit, n->height - 1, FANOUT, op);
			if (!n) {
				habuddy_free(b, unit & ~((1ULL << k) - 1), k);
				return -ENOMEM;
			}
			bit = 1;
		}
		k--;
		bit = 2 * bit + ((unit >> k) & 1);
		mark_free(b, n, bit ^ 1);
		b->free_units += 1ULL << k;
		b->splits++;
		trace_ha_split(b->dev, round_down(unit, 2ULL << k) << b->byte_shift,
			       2ULL << (k + b->byte_shift));
	}
	return 0;
}

/**
 * habuddy_alloc - take a free block
 * @b: the buddy
 * @order: of the block
 * @op: memory
 * @unit: out: first unit of the block
 *
 * Takes from the smallest free block that fits. Context: caller's lock.
 *
 * Return: 0; -ENOSPC no block is that large; -ENOMEM, nothing changed.
 */
int habuddy_alloc(struct habuddy *b, unsigned int order, struct hamem_op *op, u64 *unit)
{
	struct habuddy_node *n;
	unsigned int k, r, bit;

	if (order >= HABUDDY_NR_ORDERS || !(b->avail >> order))
		return -ENOSPC;
	k = order + __ffs64(b->avail >> order);
	r = k % HABUDDY_FANOUT_SHIFT;
	n = hlist_entry(b->nodes[k].first, struct habuddy_node, link[r]);
	bit = find_next_bit(n->free, HEAP_BITS >> r, FANOUT >> r);
	*unit = unit_of(n, bit);
	return habuddy_carve(b, n, bit, *unit, order, op);
}

/**
 * habuddy_free - give a block back
 * @b: the buddy
 * @unit: first unit
 * @order: as it was allocated
 *
 * Merges it with its buddy, and so on upwards. Never needs memory.
 * Context: caller's lock.
 */
void habuddy_free(struct habuddy *b, u64 unit, unsigned int order)
{
	struct habuddy_node *n = habuddy_node(b, unit, order / HABUDDY_FANOUT_SHIFT);
	unsigned int bit = bit_of(unit, order);

	if (WARN_ON_ONCE(!n || test_bit(bit, n->free)))
		return;
	b->free_units += 1ULL << order;
	for (;;) {
		struct habuddy_node *parent = n->parent;

		while (bit > 1 && test_bit(bit ^ 1, n->free)) {
			clear_free(b, n, bit ^ 1);
			bit >>= 1;
			b->merges++;
			trace_ha_merge(b->dev, unit_of(n, bit) << b->byte_shift,
				       1ULL << (order_of(n, bit) + b->byte_shift));
		}
		if (bit > 1)
			break;
		/* the node is one free block: a slot of its parent */
		bit = FANOUT + (n->index & SLOT_MASK);
		habuddy_node_free(b, n);
		n = parent;
	}
	mark_free(b, n, bit);
}

/* ---- ranges ---- */

/* The largest order of a block that starts at @unit and has at most @nr units. */
static unsigned int fitting_order(u64 unit, u64 nr)
{
	unsigned int k = ilog2(nr);

	return unit ? min_t(unsigned int, k, __ffs64(unit)) : k;
}

static bool habuddy_is_free(struct habuddy *b, u64 unit, u64 nr)
{
	u64 end = unit + nr;
	struct habuddy_node *n;
	unsigned int bit;

	if (end < unit)
		return false;
	while (unit < end) {
		n = habuddy_covering(b, unit, &bit);
		if (!n)
			return false;
		unit = unit_of(n, bit) + (1ULL << order_of(n, bit));
	}
	return true;
}

/**
 * habuddy_take - take a given range
 * @b: the buddy
 * @unit: first unit
 * @nr: number of units, any
 * @op: memory
 *
 * Context: caller's lock.
 *
 * Return: 0; -EEXIST not all of it is free; -ENOMEM. On error nothing changed.
 */
int habuddy_take(struct habuddy *b, u64 unit, u64 nr, struct hamem_op *op)
{
	u64 pos = unit, end = unit + nr;

	if (!habuddy_is_free(b, unit, nr))
		return -EEXIST;
	while (pos < end) {
		unsigned int order = fitting_order(pos, end - pos);
		unsigned int bit;
		struct habuddy_node *n = habuddy_covering(b, pos, &bit);

		if (habuddy_carve(b, n, bit, pos, order, op)) {
			habuddy_put(b, unit, pos - unit);
			return -ENOMEM;
		}
		pos += 1ULL << order;
	}
	return 0;
}

/**
 * habuddy_put - give back a range that one habuddy_take() took
 * @b: the buddy
 * @unit: first unit
 * @nr: number of units
 *
 * Never needs memory. Context: caller's lock.
 */
void habuddy_put(struct habuddy *b, u64 unit, u64 nr)
{
	while (nr) {
		unsigned int order = fitting_order(unit, nr);

		habuddy_free(b, unit, order);
		unit += 1ULL << order;
		nr -= 1ULL << order;
	}
}

/**
 * habuddy_free_order - how large a free block a unit lies in
 * @b: the buddy
 * @unit: the unit
 *
 * Context: caller's lock. Return: the order, or -1 if the unit is not free.
 */
int habuddy_free_order(struct habuddy *b, u64 unit)
{
	unsigned int bit;
	struct habuddy_node *n = habuddy_covering(b, unit, &bit);

	return n ? order_of(n, bit) : -1;
}

/* The first slot behind @slot at which a free block starts or a child is. */
static unsigned int next_slot(const struct habuddy_node *n, unsigned int slot)
{
	unsigned int r, next = FANOUT;

	for (r = 0; r < HABUDDY_FANOUT_SHIFT; r++) {
		unsigned int first = FANOUT >> r, bit;

		if (!n->nr_free[r])
			continue;
		bit = find_next_bit(n->free, 2 * first, first + (slot >> r) + 1);
		next = min(next, (bit - first) << r);
	}
	while (++slot < min(next, n->nr_child))
		if (rcu_access_pointer(n->child[slot]))
			return slot;
	return next;
}

/*
 * The first free block in @n that ends behind @from and starts before @to.
 * Depth: the tree's height.
 */
static bool habuddy_node_next(const struct habuddy_node *n, u64 from, u64 to, u64 *unit,
			      unsigned int *order)
{
	u64 base = n->index << slot_shift(n->height + 1);
	unsigned int slot = from > base ? slot_of(from, n->height) : 0;

	for (; slot < FANOUT; slot = next_slot(n, slot)) {
		u64 at = base + ((u64)slot << slot_shift(n->height));
		const struct habuddy_node *child;
		unsigned int bit;

		if (at >= to)
			return false;
		bit = covering_bit(n, n->free, at);
		if (bit) {
			*unit = unit_of(n, bit);
			*order = order_of(n, bit);
			return true;
		}
		child = n->height ? child_of(n, at) : NULL;
		if (child && habuddy_node_next(child, max(from, at), to, unit, order))
			return true;
	}
	return false;
}

/**
 * habuddy_next_free - walk over the free runs
 * @b: the buddy
 * @from: first unit to look at
 * @to: unit to stop before
 * @unit: out: first free unit
 * @nr: out: how many free units follow without a gap, before @to
 *
 * Context: caller's lock. Return: whether there is one.
 */
bool habuddy_next_free(struct habuddy *b, u64 from, u64 to, u64 *unit, u64 *nr)
{
	unsigned int order;
	u64 at, end;

	to = min(to, b->nr_units);
	if (from >= to || !habuddy_node_next(b->root, from, to, &at, &order))
		return false;
	*unit = max(at, from);
	end = at + (1ULL << order);
	while (end < to && habuddy_node_next(b->root, end, end + 1, &at, &order))
		end = at + (1ULL << order);
	*nr = min(end, to) - *unit;
	return true;
}

/**
 * habuddy_free_blocks - free blocks of an order
 * @b: the buddy
 * @order: the order
 * @units: out: the first unit of each, in no order
 * @max: how many may be there
 *
 * Context: caller's lock. Return: how many are told; if it is @max there may be more.
 */
int habuddy_free_blocks(struct habuddy *b, unsigned int order, u64 *units, int max)
{
	unsigned int r = order % HABUDDY_FANOUT_SHIFT, bit;
	struct habuddy_node *n;
	int nr = 0;

	hlist_for_each_entry(n, &b->nodes[order], link[r]) {
		bit = FANOUT >> r;
		for_each_set_bit_from(bit, n->free, HEAP_BITS >> r) {
			if (nr == max)
				return nr;
			units[nr++] = unit_of(n, bit);
		}
	}
	return nr;
}

/* ---- ownership ---- */

/**
 * habuddy_own - mark an allocated block as somebody's extent
 * @b: the buddy
 * @unit: first unit
 * @order: of the block
 *
 * The block must have been allocated with this order. Context: any, lockless.
 */
void habuddy_own(struct habuddy *b, u64 unit, unsigned int order)
{
	unsigned long *owned;
	u32 bit;

	rcu_read_lock();
	owned = habuddy_owned_bit(b, unit, order, &bit);
	if (!WARN_ON_ONCE(!owned))
		set_bit(bit, owned);
	rcu_read_unlock();
}

/**
 * habuddy_disown - end the ownership of an extent
 * @b: the buddy
 * @unit: first unit, a multiple of 2^@order
 * @order: of the block
 *
 * Atomic: of several callers one wins. The block is then neither free nor
 * owned; the winner gives it back or owns it anew. Context: any, lockless.
 *
 * Return: whether the block of just this order was owned.
 */
bool habuddy_disown(struct habuddy *b, u64 unit, unsigned int order)
{
	unsigned long *owned;
	bool won;
	u32 bit;

	rcu_read_lock();
	owned = habuddy_owned_bit(b, unit, order, &bit);
	won = owned && test_and_clear_bit(bit, owned);
	rcu_read_unlock();
	return won;
}

/**
 * habuddy_find_owned - the extent that a unit lies in
 * @b: the buddy
 * @unit: the unit
 * @start: out: first unit of the extent
 * @order: out: of the extent
 *
 * Context: any, lockless; then only a snapshot, good for saying why a free was
 * refused. Return: whether there is one.
 */
bool habuddy_find_owned(struct habuddy *b, u64 unit, u64 *start, unsigned int *order)
{
	struct habuddy_node *n;
	unsigned int bit = 0;

	rcu_read_lock();
	for (n = rcu_dereference_raw(b->root); n; n = n->height ? child_of(n, unit) : NULL) {
		bit = covering_bit(n, n->owned, unit);
		if (bit) {
			*start = unit_of(n, bit);
			*order = order_of(n, bit);
			break;
		}
	}
	rcu_read_unlock();
	return bit;
}

/* ---- life ---- */

/* Depth: the tree's height. */
static void habuddy_node_destroy(struct habuddy *b, struct habuddy_node *n)
{
	unsigned int slot;

	for (slot = 0; slot < n->nr_child; slot++) {
		struct habuddy_node *child = rcu_dereference_raw(n->child[slot]);

		if (child)
			habuddy_node_destroy(b, child);
	}
	habuddy_node_free(b, n);
}

/* How many slots a root of this height needs: for what is behind the end, too. */
static unsigned int root_slots(u64 nr_units, unsigned int height)
{
	return min_t(u64, (nr_units >> slot_shift(height)) + 1, FANOUT);
}

/* A root with more slots takes the place of the one that has not so many. */
static int habuddy_root_widen(struct habuddy *b, unsigned int nr_child, struct hamem_op *op)
{
	struct habuddy_node *old = b->root, *n;
	unsigned int r, slot;

	if (old->nr_child >= nr_child || !old->height)
		return 0;
	n = habuddy_node_new(b, NULL, 0, old->height, nr_child, op);
	if (!n)
		return -ENOMEM;
	bitmap_copy(n->free, old->free, HEAP_BITS);
	bitmap_copy(n->owned, old->owned, HEAP_BITS);
	for (r = 0; r < HABUDDY_FANOUT_SHIFT; r++) {
		n->nr_free[r] = old->nr_free[r];
		if (!n->nr_free[r])
			continue;
		hlist_del_init(&old->link[r]);
		hlist_add_head(&n->link[r], &b->nodes[slot_shift(n->height) + r]);
	}
	for (slot = 0; slot < old->nr_child; slot++) {
		struct habuddy_node *child = rcu_dereference_raw(old->child[slot]);

		RCU_INIT_POINTER(n->child[slot], child);
		if (child)
			child->parent = n;
	}
	/* pairs with rcu_dereference_raw() in the lockless walks: the node is filled */
	smp_store_release(&b->root, n);
	hamem_put_rcu(b->mem, old, rcu);
	return 0;
}

/* Free the nodes behind the end, which are of no use yet. Depth: the tree's height. */
static void habuddy_prune(struct habuddy *b, struct habuddy_node *n)
{
	u64 base = n->index << slot_shift(n->height + 1), at;
	unsigned int slot;

	for (slot = 0; slot < n->nr_child; slot++) {
		struct habuddy_node *child = rcu_dereference_raw(n->child[slot]);

		at = base + ((u64)slot << slot_shift(n->height));
		if (!child || at + (1ULL << slot_shift(n->height)) <= b->nr_units)
			continue;
		if (at < b->nr_units)
			habuddy_prune(b, child);
		else
			habuddy_node_destroy(b, child);
	}
}

/* Make the nodes down to the one that keeps the block of @order at @unit. */
static int habuddy_grow_path(struct habuddy *b, u64 unit, unsigned int order, struct hamem_op *op)
{
	struct habuddy_node *n = b->root;

	while (n->height > order / HABUDDY_FANOUT_SHIFT) {
		struct habuddy_node *child = child_of(n, unit);

		if (!child)
			child = habuddy_node_new(b, n, unit, n->height - 1, FANOUT, op);
		if (!child)
			return -ENOMEM;
		n = child;
	}
	return 0;
}

/**
 * habuddy_init - all is free
 * @b: the buddy
 * @nr_units: size of the managed space, any number, also 0
 * @mem: account of the metadata
 * @op: memory
 *
 * Return: 0; -ENOMEM, then there is nothing to destroy.
 */
int habuddy_init(struct habuddy *b, u64 nr_units, struct hamem *mem, struct hamem_op *op)
{
	unsigned int height = 0;
	u64 unit = 0;

	memset(b, 0, sizeof(*b));
	b->mem = mem;
	b->nr_units = nr_units;
	while (nr_units >> slot_shift(height + 1))
		height++;
	b->root = habuddy_node_new(b, NULL, 0, height, root_slots(nr_units, height), op);
	if (!b->root)
		return -ENOMEM;
	/*
	 * Where two blocks of this loop share a node, the later is the smaller
	 * one: the path to it is made after the earlier one was freed, below a
	 * slot that is not free.
	 */
	while (unit < nr_units) {
		unsigned int order = fitting_order(unit, nr_units - unit);

		if (habuddy_grow_path(b, unit, order, op)) {
			habuddy_destroy(b);
			return -ENOMEM;
		}
		habuddy_free(b, unit, order);
		unit += 1ULL << order;
	}
	return 0;
}

/**
 * habuddy_grow_prepare - get all memory that habuddy_grow() needs
 * @b: the buddy
 * @nr_units: size that the managed space is to have, not less than now
 * @from: the first unit that is to be free; the one before it, if that is new
 *	too, will be allocated
 * @op: memory
 *
 * What was made by then stays on failure, until the next try.
 * Context: caller's lock. Return: 0 or -ENOMEM.
 */
int habuddy_grow_prepare(struct habuddy *b, u64 nr_units, u64 from, struct hamem_op *op)
{
	u64 unit = from;

	/* another try may want what a part was made for last time as a whole */
	habuddy_prune(b, b->root);
	while (nr_units >> slot_shift(b->root->height + 1)) {
		unsigned int height = b->root->height + 1;
		struct habuddy_node *old, *n;

		if (habuddy_root_widen(b, FANOUT, op))
			return -ENOMEM;
		n = habuddy_node_new(b, NULL, 0, height, root_slots(nr_units, height), op);
		if (!n)
			return -ENOMEM;
		old = b->root;
		RCU_INIT_POINTER(n->child[0], old);
		old->parent = n;
		/* pairs with rcu_dereference_raw() in the lockless walks: the node is filled */
		smp_store_release(&b->root, n);
	}
	if (habuddy_root_widen(b, root_slots(nr_units, b->root->height), op))
		return -ENOMEM;
	if (from > b->nr_units && habuddy_grow_path(b, from - 1, 0, op))
		return -ENOMEM;
	while (unit < nr_units) {
		unsigned int order = fitting_order(unit, nr_units - unit);

		if (habuddy_grow_path(b, unit, order, op))
			return -ENOMEM;
		unit += 1ULL << order;
	}
	return 0;
}

/**
 * habuddy_grow - the managed space becomes larger
 * @b: the buddy
 * @nr_units: its size
 * @from: all from here on is free; both as given to habuddy_grow_prepare()
 *
 * Context: caller's lock.
 */
void habuddy_grow(struct habuddy *b, u64 nr_units, u64 from)
{
	b->nr_units = nr_units;
	if (from < nr_units)
		habuddy_put(b, from, nr_units - from);
}

/**
 * habuddy_destroy - forget everything
 * @b: the buddy; nobody may use it any more
 */
void habuddy_destroy(struct habuddy *b)
{
	if (b->root)
		habuddy_node_destroy(b, b->root);
	b->root = NULL;
}

/* ---- check ---- */

/* What is found by walking down the tree. */
struct habuddy_found {
	u64 free;
	u64 nr_listed[HABUDDY_NR_ORDERS];	/* nodes that are to be in a list */
};

static bool habuddy_check_bit(struct habuddy *b, struct habuddy_node *n, unsigned int bit)
{
	u64 unit = unit_of(n, bit), nr = 1ULL << order_of(n, bit);
	u64 i;

	if (unit + nr > b->nr_units || test_bit(bit ^ 1, n->free))
		return false;
	if (covering_bit(n, n->owned, unit))
		return false;
	/* nothing else is free or cut up within it, nothing above it is free */
	for (i = bit >> 1; i > 1; i >>= 1)
		if (test_bit(i, n->free))
			return false;
	for (i = 0; n->height && i < nr >> slot_shift(n->height); i++)
		if (child_of(n, unit + (i << slot_shift(n->height))))
			return false;
	return true;
}

/* Depth: the tree's height. Adds what it finds to @found. */
static bool habuddy_check_node(struct habuddy *b, struct habuddy_node *n,
			       struct habuddy_found *found)
{
	u16 nr_free[HABUDDY_FANOUT_SHIFT] = {};
	unsigned int bit, r, slot;

	for_each_set_bit(bit, n->free, HEAP_BITS) {
		if (bit < 2 || !habuddy_check_bit(b, n, bit))
			return false;
		nr_free[HABUDDY_FANOUT_SHIFT - ilog2(bit)]++;
		found->free += 1ULL << order_of(n, bit);
	}
	for (r = 0; r < HABUDDY_FANOUT_SHIFT; r++) {
		if (nr_free[r] != n->nr_free[r] || hlist_unhashed(&n->link[r]) != !nr_free[r])
			return false;
		found->nr_listed[slot_shift(n->height) + r] += !!nr_free[r];
	}
	for (slot = 0; slot < n->nr_child; slot++) {
		struct habuddy_node *child = rcu_dereference_raw(n->child[slot]);

		if (!child)
			continue;
		if (child->parent != n || child->height + 1 != n->height ||
		    child->index != (n->index << HABUDDY_FANOUT_SHIFT) + slot ||
		    !habuddy_check_node(b, child, found))
			return false;
	}
	return true;
}

/* Nodes of the right height with a free block of the order, and all of them. */
static bool habuddy_check_list(struct habuddy *b, unsigned int order, u64 nr)
{
	unsigned int r = order % HABUDDY_FANOUT_SHIFT;
	struct habuddy_node *n;
	u64 found = 0;

	hlist_for_each_entry(n, &b->nodes[order], link[r])
		if (n->height != order / HABUDDY_FANOUT_SHIFT || !n->nr_free[r] || found++ == nr)
			return false;
	return found == nr && !nr == !(b->avail & BIT_ULL(order));
}

/**
 * habuddy_check - verify every invariant, naively
 * @b: the buddy
 *
 * Looks at every node. Context: caller's lock.
 *
 * Return: 0; -EUCLEAN something is broken.
 */
int habuddy_check(struct habuddy *b)
{
	struct habuddy_found found = {};
	unsigned int k;

	if (!habuddy_check_node(b, b->root, &found) || found.free != b->free_units)
		return -EUCLEAN;
	for (k = 0; k < HABUDDY_NR_ORDERS; k++)
		if (!habuddy_check_list(b, k, found.nr_listed[k]))
			return -EUCLEAN;
	return 0;
}
