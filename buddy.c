// SPDX-License-Identifier: GPL-2.0
/*
 * The buddy layer: blocks of a power of two of units (1 MiB each unless configured otherwise), up
 * to the largest that the device has room for.
 *
 * The scheme is the classic one (Knowlton 1965). A block of order k has 2^k units and starts at a
 * multiple of 2^k. It can be split into two halves, which are each other's buddies; two buddies
 * that are free merge into their block again. The buddy of a block is at its position XOR its
 * size. What is particular to this implementation is where the state is kept.
 *
 * The tree
 * --------
 * A device of 100 TiB has 10^8 units, and most of them are never split off on their own. So the
 * state is a radix tree of nodes of 512 cells, which is only as deep as blocks have been split:
 *
 *   height 2    a cell is 2^18 units  (256 GiB)  orders 18..26
 *   height 1    a cell is 2^9 units   (512 MiB)  orders  9..17
 *   height 0    a cell is one unit    (1 MiB)    orders  0..8
 *
 * A node has the nine orders from one cell to half a node, as a heap of bits: bit 512 + i is cell
 * i, bit h has the halves 2h and 2h + 1, its buddy is h ^ 1. Bit 1 would be the node as a whole.
 * That is a cell of the parent, so its state is kept there, and the node is freed. Each node has
 * two such heaps:
 *
 *   free    the block is free, and not part of a larger free block
 *   owned   the block is an extent, as the slab layer has said by habuddy_own()
 *
 * A cell of an upper node is free (its bit or one above it is set), or in use as a whole (no bit,
 * no child), or cut up (a child).
 *
 * Each order has a list of the nodes that have a free block of it (habuddy.nodes). A mask has the
 * orders whose list is not empty (habuddy.avail).
 *
 * Invariants, as habuddy_check() verifies them:
 *
 *   - Free blocks are maximal: of two buddies at most one is free, and nothing within a free block
 *     is free or cut up. Hence an aligned free range of 2^k units lies in one free block, and
 *     taking a range and putting it back touch the same nodes: putting back needs no memory.
 *   - A free block is not owned, nor part of an owned block, nor is part of it owned.
 *   - Units past the end are never free. The root covers more units than the device has, so it
 *     never is one free block itself.
 *   - The counters, lists and mask agree with the bits.
 *
 * Operations
 * ----------
 * The tree has at most HABUDDY_MAX_HEIGHT + 1 levels (three for 100 TiB), and a look at a node
 * tests at most ten bits.
 *
 *   alloc        takes from the smallest free block that fits, so large blocks survive: a list, a
 *                search in at most the 512 bits of one heap, a split for each order in between;
 *                at most one new node a level
 *   free         merges upwards: a step for each order
 *   take, put    a given range, as the at most 2 * log2(nr) aligned blocks that it consists of;
 *                take looks first whether all of them are free
 *   divide, join the nodes on one way down, made or freed
 *   next_free,   a walk over the nodes between here and there, with a search in nine bitmaps and
 *   stretch      the children of each
 *   free_map     the heap of a node of height 0, from the larger orders to the smaller
 *   free_blocks  a walk over the list of one order
 *   grow         new nodes first (grow_prepare), which can fail; then a put
 *   check        all nodes, or those that begin with a given unit
 *   the others   one way down
 *
 * Locks
 * -----
 * The caller holds a lock, which this layer does not know: in the slab layer it is
 * haslab.space_lock, or haslab.lock with all groups shut out, which excludes the holders of the
 * former. With lockdep, habuddy_set_locks() names the two and each function that needs one begins
 * with habuddy_assert_locked(). The locks are taken in process context; nothing here sleeps.
 * During habuddy_init() and habuddy_destroy() there is no other user.
 *
 * Without the lock, in any context:
 *
 *   - habuddy_own(), habuddy_disown(), habuddy_find_owned() and habuddy_leaf_bit() walk down under
 *     RCU. Of several callers that clear the owned bit of a block, one succeeds and has the block.
 *     A node with a block that is owned or allocated is never one free block, so it stays.
 *   - habuddy.free_units and habuddy.avail may be read as estimates.
 *
 * habuddy_grow_prepare() may replace the root and with it the owned bits of its blocks, unless its
 * height is 0. So a caller that owns or disowns a block of order 9 or more is excluded meanwhile.
 * The slab layer does that under the lock of a group.
 */
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/rcupdate.h>

#include "buddy/internal.h"
#include "steps.h"
#include "trace.h"

#define HEAP_BITS	(2 * HABUDDY_FANOUT)

/* ---- nodes ---- */

/* The node at @height that covers @unit, or the root if that is lower; NULL if there is none. */
static __always_inline struct habuddy_node *habuddy_node(const struct habuddy *b, u64 unit,
							 unsigned int height)
{
	/* pairs with smp_store_release() of the root: it is seen initialized */
	struct habuddy_node *n = rcu_dereference_raw(b->root);

	while (n && n->height > height)
		n = habuddy_child_or_null(n, unit);
	return n;
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
	n->index = unit >> habuddy_cell_shift(height + 1);
	if (parent)
		rcu_assign_pointer(parent->child[habuddy_cell_of(unit, parent->height)], n);
	return n;
}

static void habuddy_node_free(struct habuddy *b, struct habuddy_node *n)
{
	if (n->parent)
		RCU_INIT_POINTER(n->parent->child[n->index & (HABUDDY_FANOUT - 1)], NULL);
	hamem_put_rcu(b->mem, n, rcu);
}

/* ---- free blocks ---- */

static void habuddy_mark_free(struct habuddy *b, struct habuddy_node *n, unsigned int bit)
{
	unsigned int order = habuddy_order_of(n, bit);
	unsigned int r = order - habuddy_cell_shift(n->height);

	__set_bit(bit, n->free);
	if (n->nr_free[r]++ == 0) {
		hlist_add_head(&n->link[r], &b->nodes[order]);
		WRITE_ONCE(b->avail, b->avail | BIT_ULL(order));
	}
}

static void habuddy_clear_free(struct habuddy *b, struct habuddy_node *n, unsigned int bit)
{
	unsigned int order = habuddy_order_of(n, bit);
	unsigned int r = order - habuddy_cell_shift(n->height);

	__clear_bit(bit, n->free);
	if (--n->nr_free[r] == 0) {
		hlist_del_init(&n->link[r]);
		if (hlist_empty(&b->nodes[order]))
			WRITE_ONCE(b->avail, b->avail & ~BIT_ULL(order));
	}
}

/* The node of the free block that contains @unit, and its bit; NULL if the unit is not free. */
static struct habuddy_node *habuddy_covering(const struct habuddy *b, u64 unit, unsigned int *bit)
{
	struct habuddy_node *n = b->root, *child;

	if (unit >= b->nr_units)
		return NULL;
	/* a cell that is cut up lies in no free block of its node */
	while ((child = habuddy_child_or_null(n, unit)))
		n = child;
	*bit = habuddy_covering_bit(n, n->free, unit);
	return *bit ? n : NULL;
}

/*
 * Allocate the block of @order at @unit by splitting the free block @bit of @n, which contains it.
 * On -ENOMEM nothing has changed.
 */
static int habuddy_carve(struct habuddy *b, struct habuddy_node *n, unsigned int bit,
			 u64 unit, unsigned int order, struct hamem_op *op)
{
	unsigned int k = habuddy_order_of(n, bit);

	habuddy_clear_free(b, n, bit);
	WRITE_ONCE(b->free_units, b->free_units - (1ULL << k));
	while (k > order) {
		if (k == habuddy_cell_shift(n->height)) {
			n = habuddy_node_new(b, n, unit, n->height - 1, HABUDDY_FANOUT, op);
			if (!n) {
				habuddy_free(b, round_down(unit, 1ULL << k), k);
				return -ENOMEM;
			}
			bit = 1;
		}
		k--;
		bit = 2 * bit + ((unit >> k) & 1);
		habuddy_mark_free(b, n, bit ^ 1);
		WRITE_ONCE(b->free_units, b->free_units + (1ULL << k));
		b->splits++;
		trace_ha_split(b->dev, round_down(unit, 2ULL << k) << b->byte_shift,
			       2ULL << (k + b->byte_shift));
	}
	return 0;
}

/**
 * habuddy_alloc - allocate a block
 * @b: the buddy
 * @order: order of the block
 * @op: memory
 * @unit: out: first unit of the block
 * Context: caller's lock.
 * Return: 0; -ENOSPC if no free block is that large; -ENOMEM. On error nothing has changed.
 */
int habuddy_alloc(struct habuddy *b, unsigned int order, struct hamem_op *op, u64 *unit)
{
	struct habuddy_node *n;
	unsigned int k, r, bit;

	habuddy_assert_locked(b);
	if (order >= HABUDDY_NR_ORDERS || !(b->avail >> order))
		return -ENOSPC;
	k = order + __ffs64(b->avail >> order);
	r = k % HABUDDY_FANOUT_SHIFT;
	n = hlist_entry(b->nodes[k].first, struct habuddy_node, link[r]);
	bit = find_next_bit(n->free, HEAP_BITS >> r, HABUDDY_FANOUT >> r);
	*unit = habuddy_unit_of(n, bit);
	return habuddy_carve(b, n, bit, *unit, order, op);
}

/**
 * habuddy_free - free a block
 * @b: the buddy
 * @unit: first unit
 * @order: order that it was allocated with
 * Context: caller's lock. Never needs memory.
 */
void habuddy_free(struct habuddy *b, u64 unit, unsigned int order)
{
	struct habuddy_node *n = habuddy_node(b, unit, order / HABUDDY_FANOUT_SHIFT);
	unsigned int bit = habuddy_bit_of(unit, order);

	habuddy_assert_locked(b);
	if (WARN_ON_ONCE(!n || test_bit(bit, n->free)))
		return;
	WRITE_ONCE(b->free_units, b->free_units + (1ULL << order));
	for (;;) {
		struct habuddy_node *parent = n->parent;

		while (bit > 1 && test_bit(bit ^ 1, n->free)) {
			habuddy_clear_free(b, n, bit ^ 1);
			bit >>= 1;
			b->merges++;
			trace_ha_merge(b->dev, habuddy_unit_of(n, bit) << b->byte_shift,
				       1ULL << (habuddy_order_of(n, bit) + b->byte_shift));
		}
		if (bit > 1)
			break;
		/* the node is one free block: its state is a cell of the parent */
		bit = HABUDDY_FANOUT + (n->index & (HABUDDY_FANOUT - 1));
		habuddy_node_free(b, n);
		n = parent;
	}
	habuddy_mark_free(b, n, bit);
}

/* ---- ranges ---- */

/* The largest order of a block that can start at @unit and has at most @nr units. */
static unsigned int habuddy_fitting_order(u64 unit, u64 nr)
{
	unsigned int k = ilog2(nr);

	return unit ? min_t(unsigned int, k, __ffs64(unit)) : k;
}

/**
 * habuddy_free_end - how far units are free
 * @b: the buddy
 * @unit: the first unit to look at
 * @end: unit to stop before
 * Context: caller's lock. Return: the first unit from @unit on that is not free, or @end.
 */
u64 habuddy_free_end(const struct habuddy *b, u64 unit, u64 end)
{
	struct habuddy_node *n = NULL;
	unsigned int bit = 0;

	habuddy_assert_locked(b);
	while (unit < end) {
		/* the next block is most often in the same node */
		if (n && unit >> habuddy_cell_shift(n->height + 1) == n->index)
			bit = habuddy_covering_bit(n, n->free, unit);
		else
			bit = 0;
		if (!bit)
			n = habuddy_covering(b, unit, &bit);
		if (!n)
			return unit;
		unit = habuddy_unit_of(n, bit) + (1ULL << habuddy_order_of(n, bit));
	}
	return end;
}

/**
 * habuddy_take - allocate a given range
 * @b: the buddy
 * @unit: first unit
 * @nr: number of units, any
 * @op: memory
 * Context: caller's lock.
 * Return: 0; -EEXIST if not all of it is free; -ENOMEM. On error nothing has changed.
 */
int habuddy_take(struct habuddy *b, u64 unit, u64 nr, struct hamem_op *op)
{
	u64 pos, end = unit + nr;
	struct habuddy_node *n;
	unsigned int order, bit;

	habuddy_assert_locked(b);
	/* an aligned free range of 2^k units lies in one free block */
	if (nr && !(nr & (nr - 1)) && !(unit & (nr - 1))) {
		n = habuddy_covering(b, unit, &bit);
		order = ilog2(nr);
		return n && habuddy_order_of(n, bit) >= order ?
		       habuddy_carve(b, n, bit, unit, order, op) : -EEXIST;
	}
	if (end < unit || habuddy_free_end(b, unit, end) < end)
		return -EEXIST;
	for (pos = unit; pos < end; pos += 1ULL << order) {
		order = habuddy_fitting_order(pos, end - pos);
		n = habuddy_covering(b, pos, &bit);
		if (habuddy_carve(b, n, bit, pos, order, op)) {
			habuddy_put(b, unit, pos - unit);
			return -ENOMEM;
		}
	}
	return 0;
}

/**
 * habuddy_put - free a range that one habuddy_take() allocated
 * @b: the buddy
 * @unit: first unit
 * @nr: number of units
 * Context: caller's lock. Never needs memory.
 */
void habuddy_put(struct habuddy *b, u64 unit, u64 nr)
{
	u64 end = unit + nr;
	unsigned int order;

	habuddy_assert_locked(b);
	for (; unit < end; unit += 1ULL << order) {
		order = habuddy_fitting_order(unit, end - unit);
		habuddy_free(b, unit, order);
	}
}

/**
 * habuddy_divide - two parts of an allocated range will be freed apart
 * @b: the buddy
 * @unit: where the second part begins
 * @op: memory
 *
 * What is allocated as a whole becomes a node in which it can be freed in parts.
 * Context: caller's lock. Return: 0; -ENOMEM, and some nodes may have been made.
 */
int habuddy_divide(struct habuddy *b, u64 unit, struct hamem_op *op)
{
	struct habuddy_node *n = b->root, *child;

	habuddy_assert_locked(b);
	while (n->height && unit & ((1ULL << habuddy_cell_shift(n->height)) - 1)) {
		child = habuddy_child_or_null(n, unit);
		if (!child)
			child = habuddy_node_new(b, n, unit, n->height - 1, HABUDDY_FANOUT, op);
		if (!child)
			return -ENOMEM;
		n = child;
	}
	return 0;
}

static bool habuddy_has_child(const struct habuddy_node *n)
{
	u32 i;

	for (i = 0; i < n->nr_child; i++)
		if (rcu_access_pointer(n->child[i]))
			return true;
	return false;
}

/**
 * habuddy_join - the reverse: an allocated range will be freed as a whole
 * @b: the buddy
 * @unit: where it was, or may have been, divided
 * @start: first unit of the range
 * @end: the unit behind it
 * Context: caller's lock.
 */
void habuddy_join(struct habuddy *b, u64 unit, u64 start, u64 end)
{
	struct habuddy_node *n = b->root, *child, *parent;
	unsigned int shift;

	habuddy_assert_locked(b);
	while ((child = habuddy_child_or_null(n, unit)))
		n = child;
	for (; n->parent; n = parent) {
		parent = n->parent;
		shift = habuddy_cell_shift(n->height + 1);
		if (n->index << shift < start || (n->index + 1) << shift > end ||
		    habuddy_has_child(n))
			break;
		habuddy_node_free(b, n);
	}
}

/**
 * habuddy_free_order - the order of the free block that contains a unit
 * @b: the buddy
 * @unit: the unit
 * Context: caller's lock. Return: the order, or -1 if the unit is not free.
 */
int habuddy_free_order(struct habuddy *b, u64 unit)
{
	unsigned int bit;
	struct habuddy_node *n = habuddy_covering(b, unit, &bit);

	habuddy_assert_locked(b);
	return n ? habuddy_order_of(n, bit) : -1;
}

/* The first cell after @cell, before @end, at which a free block starts or which has a child. */
static unsigned int habuddy_next_cell(const struct habuddy_node *n, unsigned int cell,
				      unsigned int end)
{
	unsigned int next = end, r, first, bit;

	for (r = 0; r < HABUDDY_FANOUT_SHIFT; r++) {
		if (!n->nr_free[r])
			continue;
		first = HABUDDY_FANOUT >> r;
		bit = find_next_bit(n->free, 2 * first, first + (cell >> r) + 1);
		next = min(next, (bit - first) << r);
	}
	while (++cell < min(next, n->nr_child))
		if (rcu_access_pointer(n->child[cell]))
			return cell;
	return next;
}

/* Find the first free unit in @n that is at least @from and less than @to. Depth: the height. */
static bool habuddy_node_next(const struct habuddy_node *n, u64 from, u64 to, u64 *unit)
{
	u64 base = n->index << habuddy_cell_shift(n->height + 1);
	unsigned int cell = from > base ? habuddy_cell_of(from, n->height) : 0;
	unsigned int end = min_t(u64, ((to - 1 - base) >> habuddy_cell_shift(n->height)) + 1,
				 HABUDDY_FANOUT);
	const struct habuddy_node *child;

	ha_step(1);
	for (; cell < end; cell = habuddy_next_cell(n, cell, end)) {
		*unit = max(from, base + ((u64)cell << habuddy_cell_shift(n->height)));
		child = habuddy_child_or_null(n, *unit);
		if (child ? habuddy_node_next(child, *unit, to, unit) :
			    habuddy_covering_bit(n, n->free, *unit))
			return true;
	}
	return false;
}

/**
 * habuddy_next_free - find the next free run
 * @b: the buddy
 * @from: first unit to look at
 * @to: unit to stop before
 * @unit: out: first free unit
 * @nr: out: length of the free run from there, up to @to
 * Context: caller's lock. Return: whether there is one.
 */
bool habuddy_next_free(struct habuddy *b, u64 from, u64 to, u64 *unit, u64 *nr)
{
	habuddy_assert_locked(b);
	to = min(to, b->nr_units);
	if (from >= to || !habuddy_node_next(b->root, from, to, unit))
		return false;
	*nr = habuddy_free_end(b, *unit, to) - *unit;
	return true;
}

/**
 * habuddy_stretch - whether a unit is free, and how far the same is true
 * @b: the buddy
 * @unit: the unit
 * @to: unit to stop before, if it is not free
 * @end: out: the first unit after it that is free if it is not, or not free if it is; or @to
 * Context: caller's lock. Return: whether it is free.
 */
bool habuddy_stretch(struct habuddy *b, u64 unit, u64 to, u64 *end)
{
	unsigned int bit;
	struct habuddy_node *n = habuddy_covering(b, unit, &bit);

	habuddy_assert_locked(b);
	if (n) {
		unit = habuddy_unit_of(n, bit) + (1ULL << habuddy_order_of(n, bit));
		*end = habuddy_free_end(b, unit, b->nr_units);
		return true;
	}
	to = min(to, b->nr_units);
	if (unit >= to || !habuddy_node_next(b->root, unit, to, end))
		*end = to;
	return false;
}

/**
 * habuddy_free_map - which units around a unit are free
 * @b: the buddy
 * @unit: the unit
 * @bits: out: a bit for each of HABUDDY_FANOUT units, of which the first is a multiple of that
 * Context: caller's lock. Return: false if all of these units are free, or none is.
 */
bool habuddy_free_map(const struct habuddy *b, u64 unit, unsigned long *bits)
{
	const struct habuddy_node *n = habuddy_node(b, unit, 0);
	unsigned int width, nr, i;

	habuddy_assert_locked(b);
	if (!n)
		return false;
	/* from the halves of the node down: what is free in an order is free in those below */
	bits[0] = 0;
	for (width = 2; width < BITS_PER_LONG; width *= 2)
		bits[0] = habuddy_spread(bits[0]) |
			  (n->free[0] >> width & ((1UL << width) - 1));
	for (nr = 1; nr <= HABUDDY_FANOUT / BITS_PER_LONG; nr *= 2)
		for (i = nr; i--;)
			bits[i] = habuddy_spread(bits[i / 2] >> i % 2 * (BITS_PER_LONG / 2) &
						 (~0UL >> BITS_PER_LONG / 2)) | n->free[nr + i];
	return true;
}

/**
 * habuddy_free_blocks - list the free blocks of an order
 * @b: the buddy
 * @order: the order
 * @units: out: the first unit of each, in no particular order
 * @max: size of @units
 * Context: caller's lock. Return: how many were found; if it is @max there may be more.
 */
int habuddy_free_blocks(struct habuddy *b, unsigned int order, u64 *units, int max)
{
	unsigned int r = order % HABUDDY_FANOUT_SHIFT, bit;
	struct habuddy_node *n;
	int nr = 0;

	habuddy_assert_locked(b);
	hlist_for_each_entry(n, &b->nodes[order], link[r]) {
		bit = HABUDDY_FANOUT >> r;
		for_each_set_bit_from(bit, n->free, HEAP_BITS >> r) {
			if (nr == max)
				return nr;
			units[nr++] = habuddy_unit_of(n, bit);
		}
	}
	return nr;
}

/* ---- ownership ---- */

/* As habuddy_leaf_bit(), for any order and any unit. */
static inline unsigned long *habuddy_owned_bit(struct habuddy *b, u64 unit, unsigned int order,
					       u32 *bit)
{
	unsigned int height = order / HABUDDY_FANOUT_SHIFT;
	struct habuddy_node *n = habuddy_node(b, unit, height);

	*bit = habuddy_bit_of(unit, order);
	return n && n->height == height ? n->owned : NULL;
}

/**
 * habuddy_own - make an allocated block an extent
 * @b: the buddy
 * @unit: first unit
 * @order: order that it was allocated with
 * Context: any, lockless.
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
 * habuddy_disown - end the ownership of a block
 * @b: the buddy
 * @unit: first unit, a multiple of 2^@order
 * @order: order of the block
 * Context: any, lockless. Atomic: of several callers one succeeds. The block is then neither free
 * nor owned; that caller frees it or owns it again.
 * Return: whether the block of exactly this order was owned.
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
 * habuddy_find_owned - find the owned block that contains a unit
 * @b: the buddy
 * @unit: the unit
 * @start: out: first unit of the block
 * @order: out: order of the block
 * Context: any, lockless: then a snapshot, which is enough to say why a free was refused.
 * Return: whether there is one.
 */
bool habuddy_find_owned(struct habuddy *b, u64 unit, u64 *start, unsigned int *order)
{
	struct habuddy_node *n;
	unsigned int bit = 0;

	rcu_read_lock();
	/* pairs with smp_store_release() of the root: it is seen initialized */
	for (n = rcu_dereference_raw(b->root); n; n = habuddy_child_or_null(n, unit)) {
		bit = habuddy_covering_bit(n, n->owned, unit);
		if (bit) {
			*start = habuddy_unit_of(n, bit);
			*order = habuddy_order_of(n, bit);
			break;
		}
	}
	rcu_read_unlock();
	return bit;
}

/* ---- life ---- */

/* Free @n and all below it. Depth: the height. */
static void habuddy_node_destroy(struct habuddy *b, struct habuddy_node *n)
{
	struct habuddy_node *child;
	unsigned int cell;

	for (cell = 0; cell < n->nr_child; cell++) {
		child = rcu_dereference_raw(n->child[cell]);
		if (child)
			habuddy_node_destroy(b, child);
	}
	habuddy_node_free(b, n);
}

/* How many cells a root of this height needs: also one for units past the end. */
static unsigned int habuddy_root_cells(u64 nr_units, unsigned int height)
{
	return min_t(u64, (nr_units >> habuddy_cell_shift(height)) + 1, HABUDDY_FANOUT);
}

/* Replace the root, unless it has room for @nr_child children, by one that has. */
static int habuddy_root_widen(struct habuddy *b, unsigned int nr_child, struct hamem_op *op)
{
	struct habuddy_node *old = b->root, *child, *n;
	unsigned int r, cell;

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
		hlist_add_head(&n->link[r], &b->nodes[habuddy_cell_shift(n->height) + r]);
	}
	for (cell = 0; cell < old->nr_child; cell++) {
		child = rcu_dereference_raw(old->child[cell]);
		RCU_INIT_POINTER(n->child[cell], child);
		if (child)
			child->parent = n;
	}
	/* pairs with rcu_dereference_raw() of the root: it is seen initialized */
	smp_store_release(&b->root, n);
	hamem_put_rcu(b->mem, old, rcu);
	return 0;
}

/* Free the nodes past the end, which nothing uses yet. Depth: the height. */
static void habuddy_prune(struct habuddy *b, struct habuddy_node *n)
{
	u64 base = n->index << habuddy_cell_shift(n->height + 1), at;
	struct habuddy_node *child;
	unsigned int cell;

	for (cell = 0; cell < n->nr_child; cell++) {
		child = rcu_dereference_raw(n->child[cell]);
		at = base + ((u64)cell << habuddy_cell_shift(n->height));
		if (!child || at + (1ULL << habuddy_cell_shift(n->height)) <= b->nr_units)
			continue;
		if (at < b->nr_units)
			habuddy_prune(b, child);
		else
			habuddy_node_destroy(b, child);
	}
}

/* Make the nodes down to the one that has the bit of the block of @order at @unit. */
static int habuddy_grow_path(struct habuddy *b, u64 unit, unsigned int order, struct hamem_op *op)
{
	struct habuddy_node *n = b->root;

	while (n->height > order / HABUDDY_FANOUT_SHIFT) {
		n = habuddy_child_or_null(n, unit) ?:
		    habuddy_node_new(b, n, unit, n->height - 1, HABUDDY_FANOUT, op);
		if (!n)
			return -ENOMEM;
	}
	return 0;
}

/**
 * habuddy_init - start with all units free
 * @b: the buddy
 * @nr_units: size of the managed space, any number, also 0
 * @mem: account of the metadata
 * @op: memory
 * Context: no other user. Return: 0; -ENOMEM, then there is nothing to destroy.
 */
int habuddy_init(struct habuddy *b, u64 nr_units, struct hamem *mem, struct hamem_op *op)
{
	unsigned int height = 0, order;
	u64 unit;

	memset(b, 0, sizeof(*b));
	b->mem = mem;
	b->nr_units = nr_units;
	while (nr_units >> habuddy_cell_shift(height + 1))
		height++;
	b->root = habuddy_node_new(b, NULL, 0, height, habuddy_root_cells(nr_units, height), op);
	if (!b->root)
		return -ENOMEM;
	/*
	 * The blocks become smaller from one to the next. So where two share a node, the path to
	 * the second is made after the first is free, below a cell that is not.
	 */
	for (unit = 0; unit < nr_units; unit += 1ULL << order) {
		order = habuddy_fitting_order(unit, nr_units - unit);
		if (habuddy_grow_path(b, unit, order, op)) {
			habuddy_destroy(b);
			return -ENOMEM;
		}
		habuddy_free(b, unit, order);
	}
	return 0;
}

/**
 * habuddy_grow_prepare - make all nodes that habuddy_grow() needs
 * @b: the buddy
 * @nr_units: new size of the managed space, not less than the present one
 * @from: the first new unit that becomes free; the unit before it, if also new, is then allocated
 * @op: memory
 * Context: caller's lock, and no caller owns or disowns a block of order 9 or more meanwhile.
 * Return: 0, or -ENOMEM; the nodes made so far then stay until the next call.
 */
int habuddy_grow_prepare(struct habuddy *b, u64 nr_units, u64 from, struct hamem_op *op)
{
	unsigned int height, order;
	struct habuddy_node *n;
	u64 unit;

	habuddy_assert_locked(b);
	/* a failed call for another size may have cut up a cell that is now free as a whole */
	habuddy_prune(b, b->root);
	while (nr_units >> habuddy_cell_shift(b->root->height + 1)) {
		if (habuddy_root_widen(b, HABUDDY_FANOUT, op))
			return -ENOMEM;
		height = b->root->height + 1;
		n = habuddy_node_new(b, NULL, 0, height, habuddy_root_cells(nr_units, height), op);
		if (!n)
			return -ENOMEM;
		RCU_INIT_POINTER(n->child[0], b->root);
		b->root->parent = n;
		/* pairs with rcu_dereference_raw() of the root: it is seen initialized */
		smp_store_release(&b->root, n);
	}
	if (habuddy_root_widen(b, habuddy_root_cells(nr_units, b->root->height), op) ||
	    (from > b->nr_units && habuddy_grow_path(b, from - 1, 0, op)))
		return -ENOMEM;
	for (unit = from; unit < nr_units; unit += 1ULL << order) {
		order = habuddy_fitting_order(unit, nr_units - unit);
		if (habuddy_grow_path(b, unit, order, op))
			return -ENOMEM;
	}
	return 0;
}

/**
 * habuddy_grow - enlarge the managed space; cannot fail
 * @b: the buddy
 * @nr_units: its new size
 * @from: the first new unit that becomes free; both as given to habuddy_grow_prepare()
 * Context: caller's lock.
 */
void habuddy_grow(struct habuddy *b, u64 nr_units, u64 from)
{
	habuddy_assert_locked(b);
	b->nr_units = nr_units;
	if (from < nr_units)
		habuddy_put(b, from, nr_units - from);
}

/**
 * habuddy_destroy - free all nodes
 * @b: the buddy
 * Context: no other user.
 */
void habuddy_destroy(struct habuddy *b)
{
	if (b->root)
		habuddy_node_destroy(b, b->root);
	b->root = NULL;
}
