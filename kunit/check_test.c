// SPDX-License-Identifier: GPL-2.0
/*
 * What CHECK finds. Each invariant is broken by itself, in the metadata of a device that has
 * something of every kind, and repaired again.
 */
#include <linux/bitmap.h>
#include <linux/list.h>
#include <linux/string.h>

#include "pool_hit.h"
#include "slab/internal.h"
#include "slab/runs_hit.h"
#include "hatest.h"

#define UNIT	256U		/* blocks */
#define SLOT	4096U		/* blocks */
#define GIB	(1ULL << 18)	/* blocks: a dir */

struct fixture {
	struct hapool p;
	bool alive;
	struct habuddy b;
	struct hamem mem;
	int (*check)(struct fixture *f);
	/* slabs: some objects are free; none is */
	struct haslab_slab *some, *full;
	u32 across;		/* a slot that begins with the rest of an extent */
	u64 whole;		/* start of a whole buddy block that is an extent */
	struct haslab_ref refs[32];
};

static int check_buddy(struct fixture *f)
{
	return habuddy_check(&f->b);
}

static int check_nodes_of_the_buddy(struct fixture *f)
{
	struct habuddy_found found = {};
	u64 unit = 0;
	int ret;

	do {
		ret = habuddy_check_at(&f->b, &unit, &found);
	} while (!ret && unit < f->b.nr_units);
	return ret ?: habuddy_check_sums(&f->b, &found);
}

static int check_slab(struct fixture *f)
{
	return haslab_check(&f->p.slab);
}

static int check_pool(struct fixture *f)
{
	return hapool_check(&f->p);
}

/* CHECK finds nothing wrong; @what is for the message. */
static void expect_whole(struct kunit *test, const char *what)
{
	struct fixture *f = test->priv;

	KUNIT_ASSERT_EQ_MSG(test, f->check(f), 0, "after %s", what);
}

static void expect_found(struct kunit *test, int err, const char *what)
{
	struct fixture *f = test->priv;

	KUNIT_EXPECT_EQ_MSG(test, f->check(f), err, "%s", what);
}

/* CHECK says @err while the @size bytes at @place are those at @broken. */
static void finds(struct kunit *test, void *place, const void *broken, size_t size, int err,
		  const char *what)
{
	u64 right[2];

	KUNIT_ASSERT_LE(test, size, sizeof(right));
	memcpy(right, place, size);
	KUNIT_ASSERT_TRUE_MSG(test, memcmp(place, broken, size), "%s is so already", what);
	memcpy(place, broken, size);
	expect_found(test, err, what);
	memcpy(place, right, size);
	expect_whole(test, what);
}

#define FINDS(test, place, value, err) do {					\
	typeof(place) __broken = (value);					\
										\
	finds(test, &(place), &__broken, sizeof(__broken), err, #place " = " #value);	\
} while (0)

/* The same with a bit of a bitmap the other way round. */
static void finds_bit(struct kunit *test, unsigned long *bits, unsigned int bit, int err,
		      const char *what)
{
	__change_bit(bit, bits);
	expect_found(test, err, what);
	__change_bit(bit, bits);
	expect_whole(test, what);
}

/* ---- the buddy ---- */

static void start_buddy(struct kunit *test, u64 nr_units)
{
	struct hamem_op op = HAMEM_OP(GFP_KERNEL);
	struct fixture *f = test->priv;

	f->check = check_nodes_of_the_buddy;
	KUNIT_ASSERT_EQ(test, habuddy_init(&f->b, nr_units, &f->mem, &op), 0);
}

static u64 take_block(struct kunit *test, unsigned int order)
{
	struct hamem_op op = HAMEM_OP(GFP_KERNEL);
	struct fixture *f = test->priv;
	u64 unit = 0;

	KUNIT_ASSERT_EQ(test, habuddy_alloc(&f->b, order, &op, &unit), 0);
	return unit;
}

/* The nodes of unit 0, from the root down. */
static struct habuddy_node *node_at(struct fixture *f, unsigned int height)
{
	struct habuddy_node *n = f->b.root;

	while (n && n->height > height)
		n = habuddy_child(n, 0);
	return n;
}

static void broken_tree_of_the_buddy_is_found(struct kunit *test)
{
	struct habuddy_node *leaf, *inner, *root;
	struct fixture *f = test->priv;

	start_buddy(test, 1 << 19);
	KUNIT_ASSERT_EQ(test, take_block(test, 0), 0);
	leaf = node_at(f, 0);
	inner = node_at(f, 1);
	root = f->b.root;
	KUNIT_ASSERT_TRUE(test, leaf && !leaf->height && inner->height == 1 && root->height == 2);
	expect_whole(test, "an allocation");
	/* unit 0 is in use; 1, 2 and 3, 4 to 7 are free blocks, and so on */
	FINDS(test, f->b.nr_units, f->b.nr_units - 1, -EUCLEAN);
	FINDS(test, f->b.free_units, f->b.free_units + 1, -EAGAIN);
	FINDS(test, f->b.avail, f->b.avail ^ 1, -EAGAIN);
	f->check = check_buddy;
	FINDS(test, f->b.free_units, f->b.free_units + 1, -EUCLEAN);
	finds_bit(test, leaf->free, 513, -EUCLEAN, "a free block is missing");
	/* each node by itself: its sums alone would prove nothing */
	f->check = check_nodes_of_the_buddy;
	finds_bit(test, leaf->free, 512, -EUCLEAN, "two buddies are free");
	finds_bit(test, leaf->free, 514, -EUCLEAN, "half of a free block is free itself");
	finds_bit(test, leaf->free, 513, -EUCLEAN, "a free block is missing");
	finds_bit(test, leaf->free, 1, -EUCLEAN, "a node is free as a whole");
	finds_bit(test, leaf->free, 0, -EUCLEAN, "a bit is no block");
	finds_bit(test, leaf->owned, 513, -EUCLEAN, "a free block is an extent");
	finds_bit(test, leaf->owned, 256, -EUCLEAN, "a free block is part of an extent");
	FINDS(test, leaf->nr_free[0], 2, -EUCLEAN);
	FINDS(test, leaf->nr_free[8], 0, -EUCLEAN);
	FINDS(test, leaf->link[0].pprev, NULL, -EUCLEAN);
	FINDS(test, inner->child[1], RCU_INITIALIZER(leaf), -EUCLEAN);
	FINDS(test, inner->child[0], NULL, -EAGAIN);
	FINDS(test, leaf->parent, root, -EUCLEAN);
	FINDS(test, inner->index, 1, -EUCLEAN);
	FINDS(test, root->child[0], RCU_INITIALIZER(leaf), -EUCLEAN);
	FINDS(test, inner->nr_free[3], 2, -EUCLEAN);
	/* a node of units where one of cells of 512 belongs */
	leaf->parent = root;
	RCU_INIT_POINTER(root->child[0], leaf);
	expect_found(test, -EUCLEAN, "a height is missing");
	leaf->parent = inner;
	RCU_INIT_POINTER(root->child[0], inner);
	expect_whole(test, "a height was missing");
}

static void broken_list_of_the_buddy_is_found(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct habuddy_node *leaf;

	start_buddy(test, 1 << 19);
	KUNIT_ASSERT_EQ(test, take_block(test, 0), 0);
	KUNIT_ASSERT_EQ(test, take_block(test, 8), 256);
	leaf = node_at(f, 0);
	expect_whole(test, "an allocation");
	FINDS(test, f->b.nodes[0].first, &f->b.root->link[0], -EUCLEAN);
	FINDS(test, f->b.nodes[8].first, &leaf->link[8], -EAGAIN);
	FINDS(test, leaf->link[0].next, &leaf->link[0], -EUCLEAN);
	FINDS(test, f->b.nodes[0].first, NULL, -EUCLEAN);
	FINDS(test, f->b.avail, f->b.avail ^ 1, -EAGAIN);
	FINDS(test, f->b.avail, f->b.avail ^ BIT_ULL(8), -EAGAIN);
}

/* A bit too many, with all counters as if it were right. */
static void finds_block(struct kunit *test, struct habuddy_node *n, unsigned int bit,
			const char *what)
{
	unsigned int r = HABUDDY_FANOUT_SHIFT - ilog2(bit);
	struct fixture *f = test->priv;
	u64 units = 1ULL << (HABUDDY_FANOUT_SHIFT * n->height + r);

	KUNIT_ASSERT_FALSE_MSG(test, test_bit(bit, n->free), "%s", what);
	KUNIT_ASSERT_TRUE_MSG(test, n->nr_free[r], "%s", what);
	__set_bit(bit, n->free);
	n->nr_free[r]++;
	f->b.free_units += units;
	expect_found(test, -EUCLEAN, what);
	__clear_bit(bit, n->free);
	n->nr_free[r]--;
	f->b.free_units -= units;
	expect_whole(test, what);
}

static void block_that_should_not_be_is_found(struct kunit *test)
{
	struct hamem_op op = HAMEM_OP(GFP_KERNEL);
	struct fixture *f = test->priv;
	struct habuddy_node *leaf, *inner;

	start_buddy(test, 1 << 19);
	KUNIT_ASSERT_EQ(test, take_block(test, 0), 0);
	leaf = node_at(f, 0);
	inner = node_at(f, 1);
	finds_block(test, leaf, 512, "two buddies are free");
	finds_block(test, leaf, 514, "the first half of a free block is free itself");
	finds_block(test, leaf, 519, "a quarter of a free block is free itself");
	finds_block(test, leaf, 1023, "the last unit of a free block is free itself");
	finds_block(test, inner, 512, "a block that is cut up is free, and its buddy");
	finds_block(test, inner, 514, "half of a free block of an inner node is free itself");
	finds_block(test, f->b.root, 514, "a block after the end is free");
	KUNIT_ASSERT_EQ(test, habuddy_take(&f->b, 512, 1, &op), 0);
	KUNIT_ASSERT_EQ(test, habuddy_take(&f->b, 1024, 1, &op), 0);
	finds_block(test, inner, 512, "a block that is cut up is free");
	finds_block(test, inner, 513, "a block that is cut up is free, the second half");
}

static void swap_lists(struct habuddy *b, unsigned int order, unsigned int other)
{
	swap(b->nodes[order].first, b->nodes[other].first);
	b->nodes[order].first->pprev = &b->nodes[order].first;
	b->nodes[other].first->pprev = &b->nodes[other].first;
}

/* Lists of which each link matches the ones beside it. */
static void wrong_list_of_the_buddy_is_found(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct habuddy_node *leaf;
	struct hlist_node right;

	start_buddy(test, 1 << 19);
	KUNIT_ASSERT_EQ(test, take_block(test, 0), 0);
	leaf = node_at(f, 0);
	swap_lists(&f->b, 0, HABUDDY_FANOUT_SHIFT);
	expect_found(test, -EAGAIN, "nodes are in the list of another height");
	swap_lists(&f->b, 0, HABUDDY_FANOUT_SHIFT);
	expect_whole(test, "the lists were swapped");
	right = leaf->link[0];
	leaf->link[0].next = &leaf->link[0];
	leaf->link[0].pprev = &leaf->link[0].next;
	expect_found(test, -EAGAIN, "a list has no end");
	leaf->link[0] = right;
	expect_whole(test, "a list had no end");
}

/* What is owned, but free: the free of a block could succeed twice. */
static void owned_block_in_a_free_one_is_found(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 unit;

	start_buddy(test, 300);
	for (unit = 0; unit < 4; unit++) {
		habuddy_own(&f->b, unit, 0);
		expect_found(test, -EUCLEAN, "a unit of a free block is owned");
		KUNIT_ASSERT_TRUE(test, habuddy_disown(&f->b, unit, 0));
		expect_whole(test, "a unit was owned");
	}
	KUNIT_ASSERT_EQ(test, take_block(test, 3), 288);
	habuddy_own(&f->b, 288, 3);
	expect_whole(test, "a block is owned");
	habuddy_own(&f->b, 291, 0);
	expect_found(test, -EUCLEAN, "a unit of an owned block is owned");
	KUNIT_ASSERT_TRUE(test, habuddy_disown(&f->b, 291, 0));
	KUNIT_ASSERT_TRUE(test, habuddy_disown(&f->b, 288, 3));
}

#define LISTED	128	/* nodes of a list that are looked at: as in buddy/check.c */

/* Of a list of more nodes than a hold may look at, the links are compared, not the members. */
static void long_list_of_the_buddy_is_whole(struct kunit *test)
{
	struct hamem_op op = HAMEM_OP(GFP_KERNEL);
	struct fixture *f = test->priv;
	struct hlist_node *link;
	unsigned int i;

	start_buddy(test, (LISTED + 8) * HABUDDY_FANOUT);
	for (i = 0; i < LISTED + 8; i++) {
		KUNIT_ASSERT_EQ(test, habuddy_take(&f->b, i * HABUDDY_FANOUT, 1, &op), 0);
		if (i == LISTED - 1)
			expect_whole(test, "as many nodes as are looked at");
	}
	expect_whole(test, "more nodes");
	link = f->b.nodes[0].first->next;
	FINDS(test, link->next, link->next->next, -EUCLEAN);
}

/* ---- runs of a slot ---- */

static void broken_runs_are_found(struct kunit *test)
{
	const struct haruns *r;
	struct haruns_run run;
	struct haruns good;
	struct {
		u32 at, start;
		enum haruns_state state;
		const char *what;
	} marks[] = {
		{ 0, 1, HARUNS_LIVE, "the first block is in no run" },
		{ 1, 0, HARUNS_LIVE, "a run has no blocks" },
		{ 1, 100, 0, "a run has no state" },
		{ 1, 100, HARUNS_FREE, "two free runs are neighbours" },
		{ 1, 99, HARUNS_LIVE, "a free run is shorter" },
		{ 2, 301, HARUNS_FREE, "a free run begins later" },
		{ 4, 4000, HARUNS_LIVE, "there is no end" },
		{ 19, 4096, HARUNS_FREE, "the last mark is free" },
	};
	unsigned int i;

	/* 0 to 99 are free, 100 to 299 live, 300 to 319 free, the rest is not known */
	haruns_init(&good, SLOT);
	haruns_add(&good, 0, 320);
	run = haruns_at(&good, 100);
	haruns_set(&good, &run, 0, 100, 200, HARUNS_LIVE);
	good.max_free = 100;
	r = &good;
	KUNIT_ASSERT_EQ(test, r->nr, 4);
	KUNIT_EXPECT_TRUE(test, haruns_check(r));
	for (i = 0; i < ARRAY_SIZE(marks); i++) {
		struct haruns broken = good;

		broken.own[marks[i].at] = haruns_mark(marks[i].start, marks[i].state);
		KUNIT_EXPECT_FALSE_MSG(test, haruns_check(&broken), "%s", marks[i].what);
	}
	for (i = 0; i < 6; i++) {
		struct haruns broken = good;

		broken.nr += i == 0;
		broken.nr -= i == 1;
		broken.nr_free += i == 2;
		broken.max_free += i == 3;
		broken.max_free -= i == 4;
		if (i == 5)
			broken.nr = HARUNS_INLINE;
		KUNIT_EXPECT_FALSE_MSG(test, haruns_check(&broken), "counter %u", i);
	}
}

/* ---- the slab layer ---- */

static u64 alloc(struct kunit *test, u64 len)
{
	struct fixture *f = test->priv;
	u64 at = 0;

	KUNIT_ASSERT_EQ(test, haslab_alloc(&f->p.slab, len, 1, GFP_KERNEL, &at), 0);
	return at;
}

static void claim(struct kunit *test, u64 at, u64 len)
{
	struct fixture *f = test->priv;

	KUNIT_ASSERT_EQ(test, haslab_claim(&f->p.slab, at, len, true, GFP_KERNEL), 0);
}

static struct haslab_slab *objects(struct kunit *test, int class, int nr)
{
	struct fixture *f = test->priv;
	int i, got;

	for (i = 0; i < nr; i += got) {
		got = haslab_get_objects(&f->p.slab, class, &f->refs[i], nr - i, GFP_KERNEL);
		KUNIT_ASSERT_GT(test, got, 0);
	}
	for (i = 0; i < nr; i++)
		haslab_own(&f->refs[i]);
	return haslab_lookup(&f->p.slab, f->refs[0].start);
}

static struct haslab_mixed *mixed(struct fixture *f, u32 slot)
{
	return mixed_of(&f->p.slab, slot);
}

/* A device with something of every kind. */
static void start(struct kunit *test)
{
	struct haslab_config cfg = {
		.first_block = 5, .nr_blocks = GIB + 77, .unit_shift = 8, .slab_max = UNIT,
		.nr_groups = 2, .most_small = 1 << 16,
	};
	struct fixture *f = test->priv;
	struct haslab_stat st;
	unsigned int i;

	/* what lies in which group depends on the CPU */
	KUNIT_ASSERT_TRUE(test, hatest_on_cpu(0));
	KUNIT_ASSERT_EQ(test, hapool_init(&f->p, &cfg), 0);
	f->alive = true;
	f->check = check_slab;
	f->whole = alloc(test, 4 * UNIT);
	/* four slabs of a unit come before one of four units */
	objects(test, 17, 16);
	f->some = objects(test, 17, 3);
	f->full = objects(test, 18, 2);
	KUNIT_ASSERT_EQ(test, f->full->nr_free, 0);
	KUNIT_ASSERT_LT(test, f->some->nr_blocks, SLOT);
	for (i = 0; i < 12; i++)
		alloc(test, 3000);
	for (i = 1; i < 64 && !f->across; i++)
		if (mixed_slot(&f->p.slab, i) && mixed(f, i)->runs.tag & MIXED_CONTINUES)
			f->across = i;
	KUNIT_ASSERT_NE(test, f->across, 0);
	/* three slots with free runs of the same length, and two spans */
	claim(test, 31 * SLOT - 100, 100);
	claim(test, 32 * SLOT - 100, 100);
	claim(test, 33 * SLOT - 100, 100);
	claim(test, 36 * SLOT, 210);
	claim(test, 35 * SLOT, 210);
	claim(test, 40 * SLOT - 300, 500);
	claim(test, 50 * SLOT - 50, 200);
	/* the dirs keep their sums */
	haslab_stat(&f->p.slab, &st, false);
	expect_whole(test, "all of that");
}

/* @units of a slot become part of its mixed part, wholly free, which then should not exist. */
static void add_units(struct kunit *test, u64 at, u32 len)
{
	struct hamem_op op = HAMEM_OP(GFP_KERNEL);
	struct fixture *f = test->priv;
	struct haslab *s = &f->p.slab;

	haslab_lock_all(s);
	KUNIT_EXPECT_EQ(test, haslab_buddy_take(s, at, len, &op), 0);
	KUNIT_EXPECT_EQ(test, haslab_mixed_add(s, s->groups, at, len, 0, &op), 0);
	haslab_unlock_all(s);
}

static void settle(struct fixture *f, u64 at)
{
	struct haslab *s = &f->p.slab;

	haslab_lock_all(s);
	haslab_mixed_settle(s, slot_of(s, at));
	haslab_unlock_all(s);
}

/* One unit that is in use becomes free in the buddy, too. */
static void finds_free_unit(struct kunit *test, u64 at, const char *what)
{
	struct hamem_op op = HAMEM_OP(GFP_KERNEL);
	struct fixture *f = test->priv;
	struct haslab *s = &f->p.slab;

	haslab_lock_all(s);
	haslab_buddy_put(s, at, UNIT);
	haslab_unlock_all(s);
	expect_found(test, -EUCLEAN, what);
	haslab_lock_all(s);
	KUNIT_EXPECT_EQ(test, haslab_buddy_take(s, at, UNIT, &op), 0);
	haslab_unlock_all(s);
	expect_whole(test, what);
}

static void broken_slab_of_objects_is_found(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct haslab_slab *some, *full, *entry;
	struct haslab_slab __rcu **split;
	struct haslab *s = &f->p.slab;
	struct haslab_group *g;
	unsigned int first;
	u16 nr_free;

	start(test);
	some = f->some;
	full = f->full;
	g = slab_group(s, some);
	first = find_first_bit(some->free, some->nr_objects);
	FINDS(test, some->nr_free, some->nr_free - 1, -EUCLEAN);
	FINDS(test, some->nr_objects, 0, -EUCLEAN);
	FINDS(test, some->hint, first + 1, -EUCLEAN);
	FINDS(test, some->start, some->start + UNIT, -EUCLEAN);
	/* the sum of its free objects, which it keeps from now on */
	haslab_lock_all(s);
	KUNIT_EXPECT_NE(test, haslab_slab_longest(s, some), 0);
	haslab_unlock_all(s);
	FINDS(test, some->nr_lead, some->nr_lead + 1, -EUCLEAN);
	FINDS(test, some->nr_longest, some->nr_longest + 1, -EUCLEAN);
	FINDS(test, some->nr_trail, some->nr_trail - 1, -EUCLEAN);
	FINDS(test, full->hint, U16_MAX, 0);
	finds_bit(test, some->free, first, -EUCLEAN, "an object is not free");
	finds_bit(test, some->live, first, -EUCLEAN, "a free object is live");
	finds_bit(test, some->free, 0, -EUCLEAN, "a live object is free");
	finds_free_unit(test, some->start + UNIT, "a unit of a slab is free");
	/* the map has something else there */
	entry = rcu_dereference_raw(s->dirs[0].slabs[slot_of(s, some->start)]);
	KUNIT_ASSERT_TRUE(test, (unsigned long)entry & MAP_SPLIT);
	split = map_split(entry, some->start >> s->cfg.unit_shift);
	FINDS(test, split[1], NULL, -EUCLEAN);
	FINDS(test, split[1], RCU_INITIALIZER(full), -EUCLEAN);
	/* no object is in use, so the slab should not exist */
	nr_free = some->nr_free;
	bitmap_set(some->free, 0, first);
	bitmap_clear(some->live, 0, first);
	some->nr_free = some->nr_objects;
	expect_found(test, -EUCLEAN, "a slab is empty");
	bitmap_clear(some->free, 0, first);
	bitmap_set(some->live, 0, first);
	some->nr_free = nr_free;
	expect_whole(test, "a slab was empty");
	/* lists */
	list_add(&full->list, &g->partial[full->class]);
	expect_found(test, -EUCLEAN, "a slab without a free object is listed");
	list_del_init(&full->list);
	list_move(&some->list, &g->partial[3]);
	expect_found(test, -EUCLEAN, "a slab is in the list of another size");
	list_del_init(&some->list);
	expect_found(test, -EUCLEAN, "a slab is in no list");
	list_add(&some->list, &g->partial[some->class]);
	expect_whole(test, "the lists");
	FINDS(test, some->group, 1, -EUCLEAN);
	FINDS(test, some->list.next, &some->list, -EUCLEAN);
	FINDS(test, some->list.prev, &some->list, -EUCLEAN);
}

/* A ring of slabs without the head of their list: each link matches the ones beside it. */
static void list_of_slabs_without_end_is_found(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct haslab *s = &f->p.slab;
	struct haslab_slab *one, *other;
	enum hybrid_alloc_reason why;
	struct list_head *head;

	start(test);
	one = f->some;
	/* all that it has left, and one of the next slab */
	other = objects(test, one->class, one->nr_free);
	KUNIT_ASSERT_PTR_EQ(test, other, one);
	other = objects(test, one->class, 1);
	KUNIT_ASSERT_PTR_NE(test, other, one);
	KUNIT_ASSERT_EQ(test, haslab_free(s, one->start, s->classes[one->class].blocks, &why), 0);
	expect_whole(test, "two slabs");
	head = &slab_group(s, one)->partial[one->class];
	KUNIT_ASSERT_PTR_EQ(test, head->next, &one->list);
	KUNIT_ASSERT_PTR_EQ(test, one->list.next, &other->list);
	KUNIT_ASSERT_PTR_EQ(test, other->list.next, head);
	one->list.prev = &other->list;
	other->list.next = &one->list;
	expect_found(test, -EAGAIN, "a list of slabs has no end");
	one->list.prev = head;
	other->list.next = head;
	expect_whole(test, "a list of slabs had no end");
}

static void broken_list_of_mixed_slots_is_found(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct haslab *s = &f->p.slab;
	struct haslab_group *g, *other;
	struct haslab_mixed *m;
	u32 bucket, alone;

	start(test);
	m = mixed(f, 31);
	g = mixed_group(s, m);
	other = &s->groups[!g->nr];
	bucket = haslab_mixed_bucket(m);
	KUNIT_ASSERT_EQ(test, g->mixed[bucket], entry_of(32));
	KUNIT_ASSERT_EQ(test, entry_link(s, entry_of(32))->next, entry_of(31));
	FINDS(test, g->mixed[bucket], entry_of(31), -EUCLEAN);
	FINDS(test, entry_link(s, entry_of(32))->next, NO_ENTRY, -EUCLEAN);
	FINDS(test, entry_link(s, entry_of(32))->next, entry_of(30), -EUCLEAN);
	FINDS(test, entry_link(s, entry_of(31))->prev, entry_of(30), -EUCLEAN);
	FINDS(test, entry_link(s, entry_of(30))->prev, entry_of(30), -EUCLEAN);
	FINDS(test, entry_link(s, entry_of(30))->prev, entry_of(32), -EUCLEAN);
	/* the one that comes next in the list is looked at later */
	KUNIT_ASSERT_EQ(test, entry_link(s, entry_of(35))->next, entry_of(36));
	FINDS(test, entry_link(s, entry_of(36))->prev, entry_of(34), -EUCLEAN);
	finds_bit(test, g->mixed_mask, bucket, -EUCLEAN, "a list counts as empty");
	finds_bit(test, g->mixed_mask, 1, -EUCLEAN, "an empty list counts as one");
	FINDS(test, g->mixed[1], entry_of(31), -EUCLEAN);
	/* a slot that is alone in its list */
	alone = haslab_mixed_bucket(mixed(f, 40));
	KUNIT_ASSERT_EQ(test, g->mixed[alone], entry_of(40));
	KUNIT_ASSERT_EQ(test, entry_link(s, entry_of(40))->next, NO_ENTRY);
	FINDS(test, entry_link(s, entry_of(40))->next, entry_of(40), -EAGAIN);
	/* it is in the lists of two groups */
	__set_bit(alone, other->mixed_mask);
	other->mixed[alone] = entry_of(40);
	expect_found(test, -EUCLEAN, "a slot is in the lists of two groups");
	mixed(f, 40)->runs.owner = other->nr;
	expect_found(test, -EUCLEAN, "a slot is in the list of a group that is not its own");
	mixed(f, 40)->runs.owner = g->nr;
	__clear_bit(alone, other->mixed_mask);
	other->mixed[alone] = NO_ENTRY;
	expect_whole(test, "a slot was in two lists");
}

static void broken_mixed_slot_is_found(struct kunit *test)
{
	struct haslab_mixed *m, *before, *beside;
	struct fixture *f = test->priv;
	struct haslab *s = &f->p.slab;
	struct haslab_slab *some;
	u64 unit, at, len;
	u32 known;

	start(test);
	m = mixed(f, 31);
	some = f->some;
	FINDS(test, m->runs.max_free, m->runs.max_free - 1, -EUCLEAN);
	FINDS(test, m->runs.nr, 0, -EUCLEAN);
	FINDS(test, m->runs.nr_free, m->runs.nr_free - 1, -EUCLEAN);
	FINDS(test, m->runs.nr_known, m->runs.nr_known - 1, -EUCLEAN);
	FINDS(test, m->units, m->units & ~BIT_ULL(3), -EUCLEAN);
	FINDS(test, m->runs.tag, MIXED_CONTINUES, -EUCLEAN);
	finds_free_unit(test, 31 * SLOT + 3 * UNIT, "a unit of a mixed slot is free in the buddy");
	/* the units that the ends of the device share with nothing: their rest is no extent */
	m = mixed(f, 0);
	KUNIT_ASSERT_EQ(test, haruns_at(&m->runs, 0).len, 5);
	FINDS(test, m->runs.own[0], haruns_mark(0, HARUNS_LIVE), -EUCLEAN);
	m = mixed(f, GIB / SLOT);
	FINDS(test, m->units, m->units | BIT_ULL(1), -EUCLEAN);
	/* one block too many, which all counters have */
	m->runs.own[m->runs.nr - 1] = haruns_mark(78, HARUNS_SPECIAL);
	m->runs.nr_free++;
	m->runs.max_free++;
	expect_found(test, -EUCLEAN, "the block after the end is free");
	m->runs.max_free--;
	m->runs.nr_free--;
	m->runs.own[m->runs.nr - 1] = haruns_mark(77, HARUNS_SPECIAL);
	expect_whole(test, "the block after the end was free");
	KUNIT_ASSERT_EQ(test, haruns_at(&m->runs, 77).len, SLOT - 77);
	FINDS(test, m->runs.own[m->runs.nr - 1], haruns_mark(77, HARUNS_LIVE), -EUCLEAN);
	/* an extent in two slots */
	m = mixed(f, f->across);
	before = mixed(f, f->across - 1);
	FINDS(test, m->runs.tag, m->runs.tag ^ MIXED_CONTINUES, -EUCLEAN);
	FINDS(test, before->runs.tag, before->runs.tag ^ MIXED_GOES_ON, -EUCLEAN);
	FINDS(test, m->runs.owner, !m->runs.owner, -EUCLEAN);
	FINDS(test, m->runs.own[0], haruns_mark(0, HARUNS_LIVE), -EUCLEAN);
	FINDS(test, before->runs.own[before->runs.nr - 1],
	      before->runs.own[before->runs.nr - 1] | HARUNS_SPECIAL, -EUCLEAN);
	/* nothing is in use there, so the units should not be there */
	add_units(test, 60 * SLOT, UNIT);
	expect_found(test, -EUCLEAN, "a mixed slot is empty");
	settle(f, 60 * SLOT);
	expect_whole(test, "a mixed slot was empty");
	/* a unit of a slab as well as of a mixed part */
	for (unit = slot_of(s, some->start) * SLOT; unit < GIB; unit += UNIT)
		if (haslab_next_free(s, unit, &at, &len) && at == unit)
			break;
	claim(test, unit + 5, 10);
	beside = mixed_slot(s, slot_of(s, some->start));
	KUNIT_ASSERT_NOT_NULL(test, beside);
	expect_whole(test, "a claim beside the slab");
	known = beside->runs.nr_known;
	beside->runs.nr_known += UNIT;
	beside->units |= BIT_ULL(slot_unit(s, some->start));
	expect_found(test, -EUCLEAN, "a unit of a slab is of a mixed part, too");
	beside->units &= ~BIT_ULL(slot_unit(s, some->start));
	beside->runs.nr_known = known;
	expect_whole(test, "a unit of both");
}

/* Two bits for each block: free blocks at 1, 3 and so on up to 3999, live ones between them. */
static void broken_bitmap_is_found(struct kunit *test)
{
	struct haslab_mixed *m;
	u64 pair[2];
	u32 i;

	start(test);
	for (i = 0; i < 4000; i += 2)
		claim(test, 20 * SLOT + i, 1);
	m = mixed(test->priv, 20);
	KUNIT_ASSERT_EQ(test, m->runs.cap, 0);
	FINDS(test, m->runs.nr, m->runs.nr - 1, -EUCLEAN);
	FINDS(test, m->runs.nr_free, m->runs.nr_free + 1, -EUCLEAN);
	FINDS(test, m->runs.max_free, m->runs.max_free + 1, -EUCLEAN);
	/* the first run of the slot does not begin at its start */
	FINDS(test, m->runs.bitmap[1], m->runs.bitmap[1] & ~1ULL, -EUCLEAN);
	/* block 2 is no extent any more, but a free run right after another one */
	pair[0] = m->runs.bitmap[0] | BIT_ULL(2);
	pair[1] = m->runs.bitmap[1] & ~BIT_ULL(2);
	finds(test, m->runs.bitmap, pair, sizeof(pair), -EUCLEAN, "a free run after another one");
}

static void broken_sums_are_found(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct haslab *s = &f->p.slab;
	struct haslab_dir *dir;
	unsigned int i;
	u16 *quad;

	start(test);
	dir = &s->dirs[0];
	KUNIT_ASSERT_EQ(test, s->sums.dirs[0], HASLAB_SUM_KEPT);
	FINDS(test, dir->lead, dir->lead + 1, -EUCLEAN);
	FINDS(test, dir->longest, dir->longest + 1, -EUCLEAN);
	FINDS(test, dir->trail, dir->trail + 1, -EUCLEAN);
	/* of the quads, that of the second one: its first, longest and last run */
	quad = s->sums.tables[0];
	quad += 3 + s->slot_shift + HASLAB_QUAD_SHIFT - 1;
	KUNIT_ASSERT_EQ(test, s->sums.quads[1], HASLAB_SUM_KEPT);
	for (i = 0; i < 3; i++)
		FINDS(test, quad[i], quad[i] + 1, -EUCLEAN);
	FINDS(test, s->sums.dirs[0], 0, 0);
	FINDS(test, dir->nr_slabs, 0, -EUCLEAN);
	/* this dir takes several holds: calls in between may have changed the number */
	FINDS(test, dir->nr_slabs, dir->nr_slabs + 1, -EAGAIN);
	FINDS(test, dir->nr_mixed, 0, -EUCLEAN);
	FINDS(test, dir->nr_mixed, dir->nr_mixed - 1, -EAGAIN);
	FINDS(test, s->dirs[1].nr_mixed, s->dirs[1].nr_mixed + 1, -EUCLEAN);
	FINDS(test, dir->links, NULL, -EUCLEAN);
	for (i = 0; i < s->nr_groups; i++) {
		FINDS(test, s->groups[i].nr, 7, -EUCLEAN);
		FINDS(test, s->groups[i].free, s->groups[i].free - 1, -EAGAIN);
		FINDS(test, s->groups[i].nr_slabs, s->groups[i].nr_slabs + 1, -EAGAIN);
	}
	FINDS(test, s->small_bytes, s->small_bytes - 1, -EAGAIN);
	FINDS(test, s->buddy.free_units, s->buddy.free_units + 1, -EAGAIN);
	FINDS(test, s->buddy.root->nr_free[0], s->buddy.root->nr_free[0] + 1, -EUCLEAN);
}

static void broken_span_is_found(struct kunit *test)
{
	struct haslab_span *first, *second;
	struct fixture *f = test->priv;
	struct haslab *s = &f->p.slab;

	start(test);
	first = rb_entry(rb_first(&s->spans), struct haslab_span, node);
	second = rb_entry(rb_next(&first->node), struct haslab_span, node);
	KUNIT_ASSERT_EQ(test, first->start, 40 * SLOT - 300);
	KUNIT_ASSERT_EQ(test, second->start, 50 * SLOT - 50);
	FINDS(test, second->start, first->start + first->len - 1, -EUCLEAN);
	FINDS(test, first->len, 0, -EUCLEAN);
	FINDS(test, first->len, first->len - 1, -EUCLEAN);
	FINDS(test, first->len, first->len + 1, -EUCLEAN);
	FINDS(test, first->start, first->start + 1, -EUCLEAN);
	FINDS(test, first->start, first->start - 1, -EUCLEAN);
	FINDS(test, first->start, 31 * SLOT + 10, -EUCLEAN);
	FINDS(test, first->start, f->some->start, -EUCLEAN);
	FINDS(test, first->start, 38 * SLOT, -EUCLEAN);
	FINDS(test, s->nr_spans, s->nr_spans + 1, -EAGAIN);
}

/* A slab that is dissolved while a pool has some of its objects. */
static void broken_dissolved_slab_is_found(struct kunit *test)
{
	struct haslab_config cfg = { .nr_blocks = GIB, .unit_shift = 8, .slab_max = UNIT };
	struct fixture *f = test->priv;
	struct haslab *s = &f->p.slab;
	enum hybrid_alloc_reason why;
	struct haslab_slab *slab;
	struct haslab_mixed *m;
	struct haruns_run run;
	unsigned int i;
	u64 at[2];

	KUNIT_ASSERT_EQ(test, hapool_init(&f->p, &cfg), 0);
	f->alive = true;
	f->check = check_pool;
	for (i = 0; i < 2; i++)
		KUNIT_ASSERT_EQ(test, hapool_alloc(&f->p, 3, 1, HAPOOL_NO_GOAL, GFP_KERNEL,
						   &at[i]), 0);
	KUNIT_ASSERT_EQ(test, hapool_cut(&f->p, at[0], 1, GFP_KERNEL, &why), 0);
	expect_whole(test, "a slab is dissolved");
	slab = haslab_lookup(s, at[0]);
	KUNIT_ASSERT_TRUE(test, slab && slab->dissolved);
	i = find_first_zero_bit(slab->free, slab->nr_objects);
	KUNIT_ASSERT_LT(test, i, slab->nr_objects);
	FINDS(test, slab->nr_free, slab->nr_free + 1, -EUCLEAN);
	FINDS(test, slab->nr_objects, slab->nr_free, -EUCLEAN);
	FINDS(test, slab->dissolved, false, -EUCLEAN);
	finds_bit(test, slab->free, i, -EUCLEAN, "an object has left uncounted");
	finds_bit(test, slab->live, 0, -EUCLEAN, "an object that has left is live");
	/* its run in the mixed part */
	m = mixed_at(s, object_start(s, slab, i));
	KUNIT_ASSERT_NOT_NULL(test, m);
	run = mixed_run(s, m, object_start(s, slab, i));
	haruns_cut(&m->runs, run, run.start, run.len, HARUNS_LIVE);
	expect_found(test, -EUCLEAN, "an object is an extent of the mixed part, too");
	haruns_cut(&m->runs, run, run.start, run.len, HARUNS_SPECIAL);
	haruns_cut(&m->runs, run, run.start, 1, HARUNS_SPECIAL);
	expect_found(test, -EUCLEAN, "an object is shorter than those of its class");
	haruns_join(&m->runs, run.start + 1);
	list_add(&slab->list, &slab_group(s, slab)->partial[slab->class]);
	expect_found(test, -EUCLEAN, "it is listed as one that has free objects");
	list_del_init(&slab->list);
	expect_whole(test, "all is as before");
}

/* ---- the pool ---- */

static void broken_magazine_is_found(struct kunit *test)
{
	struct haslab_config cfg = { .nr_blocks = GIB, .unit_shift = 8, .slab_max = UNIT };
	struct fixture *f = test->priv;
	struct hapool_mag *mag;
	struct hapool_cpu *cpu;
	u64 at[2];
	int i;

	KUNIT_ASSERT_EQ(test, hapool_init(&f->p, &cfg), 0);
	f->alive = true;
	f->check = check_pool;
	for (i = 0; i < 2; i++)
		KUNIT_ASSERT_EQ(test, hapool_alloc(&f->p, 3, 1, HAPOOL_NO_GOAL, GFP_KERNEL,
						   &at[i]), 0);
	expect_whole(test, "two allocations");
	cpu = per_cpu_ptr(f->p.cpus, 0);
	mag = NULL;
	for_each_possible_cpu(i)
		if (per_cpu_ptr(f->p.cpus, i)->bin[2].mag) {
			cpu = per_cpu_ptr(f->p.cpus, i);
			mag = cpu->bin[2].mag;
		}
	KUNIT_ASSERT_NOT_NULL(test, mag);
	FINDS(test, mag->used, mag->size + sizeof(mag->refs[0]), -EUCLEAN);
	FINDS(test, f->p.limit[2], f->p.limit[2] + 1, -EUCLEAN);
	/* the totals, while no call is in flight, and while one is, or a free */
	FINDS(test, cpu->given, cpu->given + 1, -EAGAIN);
	FINDS(test, cpu->taken, cpu->taken + 1, -EUCLEAN);
	FINDS(test, cpu->taken, cpu->taken - 1, -EUCLEAN);
	FINDS(test, f->p.slab.groups[0].free, f->p.slab.groups[0].free + 1, -EUCLEAN);
	cpu->begun++;
	expect_whole(test, "the begin of a call");
	FINDS(test, cpu->taken, cpu->taken + 1, -EAGAIN);
	cpu->done++;
	/* the task that has a magazine may be about to change the totals */
	cpu->bin[4].mag = MAG_TAKEN;
	FINDS(test, cpu->taken, cpu->taken + 1, -EAGAIN);
	cpu->bin[4].mag = NULL;
	expect_whole(test, "all of that");
}

/* Calls that begin, or come and go, while CHECK looks: its sums prove nothing then. */
static struct hapool_cpu *busy;

static void call_begins(void)
{
	busy->begun++;
	hatest_meanwhile = NULL;
}

static void call_comes_and_goes(void)
{
	busy->begun++;
	busy->done++;
}

static void hits_come_and_go(void)
{
	busy->bin[7].hits++;
	busy->bin[7].frees++;
}

static void sums_that_calls_change_prove_nothing(struct kunit *test)
{
	static void (*const calls[])(void) = { call_comes_and_goes, hits_come_and_go, call_begins };
	struct haslab_config cfg = { .nr_blocks = GIB, .unit_shift = 8, .slab_max = UNIT };
	struct fixture *f = test->priv;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, hapool_init(&f->p, &cfg), 0);
	f->alive = true;
	f->check = check_pool;
	expect_whole(test, "nothing");
	busy = per_cpu_ptr(f->p.cpus, 0);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		f->p.slab.groups[0].free++;
		expect_found(test, -EUCLEAN, "a group has too much");
		hatest_meanwhile = calls[i];
		expect_found(test, -EAGAIN, "a group has too much, and calls are in flight");
		hatest_meanwhile = NULL;
		f->p.slab.groups[0].free--;
		expect_whole(test, "calls");
	}
	busy->done++;
	KUNIT_EXPECT_EQ(test, busy->begun, busy->done);
}

/* Allocations of a kind that come in each look of CHECK: hits of a size, or others. */
static unsigned int nr_meanwhile;
static u64 *hits_meanwhile;

static void allocations_come(void)
{
	if (hits_meanwhile)
		*hits_meanwhile += nr_meanwhile;
	else
		busy->begun += nr_meanwhile;
}

/* How often CHECK sleeps between its looks, of which none can prove anything. */
static long naps_of_check(struct kunit *test)
{
	struct fixture *f = test->priv;
	long before = atomic_long_read(&hatest_jiffies);

	hatest_meanwhile = allocations_come;
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), -EAGAIN);
	hatest_meanwhile = NULL;
	return atomic_long_read(&hatest_jiffies) - before;
}

static void busy_device_is_looked_at_once(struct kunit *test)
{
	struct haslab_config cfg = { .nr_blocks = 3 * GIB, .unit_shift = 8, .slab_max = UNIT };
	struct fixture *f = test->priv;
	u64 *counts[3] = { NULL };
	unsigned int i;

	KUNIT_ASSERT_EQ(test, hapool_init(&f->p, &cfg), 0);
	f->alive = true;
	f->p.slab.groups[0].free++;
	busy = per_cpu_ptr(f->p.cpus, nr_cpu_ids - 1);
	counts[1] = &busy->bin[0].hits;
	counts[2] = &busy->bin[HASLAB_NR_CLASSES - 1].hits;
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		hits_meanwhile = counts[i];
		nr_meanwhile = 11;
		KUNIT_EXPECT_EQ(test, naps_of_check(test), 0);
		/* few allocations: the next look may be alone, and the last one may be the 20th */
		nr_meanwhile = 1;
		KUNIT_EXPECT_EQ(test, naps_of_check(test), 20);
	}
	busy->done = busy->begun;
	f->p.slab.groups[0].free--;
}

static int check_test_init(struct kunit *test)
{
	test->priv = kunit_kzalloc(test, sizeof(struct fixture), GFP_KERNEL);
	return test->priv ? 0 : -ENOMEM;
}

static void check_test_exit(struct kunit *test)
{
	struct fixture *f = test->priv;

	hatest_meanwhile = NULL;
	hatest_on_any_cpu();
	habuddy_destroy(&f->b);
	rcu_barrier();
	if (f->alive)
		hapool_destroy(&f->p);
}

static struct kunit_case check_cases[] = {
	KUNIT_CASE(broken_tree_of_the_buddy_is_found),
	KUNIT_CASE(broken_list_of_the_buddy_is_found),
	KUNIT_CASE(block_that_should_not_be_is_found),
	KUNIT_CASE(owned_block_in_a_free_one_is_found),
	KUNIT_CASE(wrong_list_of_the_buddy_is_found),
	KUNIT_CASE(long_list_of_the_buddy_is_whole),
	KUNIT_CASE(broken_runs_are_found),
	KUNIT_CASE(broken_slab_of_objects_is_found),
	KUNIT_CASE(list_of_slabs_without_end_is_found),
	KUNIT_CASE(broken_list_of_mixed_slots_is_found),
	KUNIT_CASE(broken_mixed_slot_is_found),
	KUNIT_CASE(broken_bitmap_is_found),
	KUNIT_CASE(broken_sums_are_found),
	KUNIT_CASE(broken_span_is_found),
	KUNIT_CASE(broken_dissolved_slab_is_found),
	KUNIT_CASE(broken_magazine_is_found),
	KUNIT_CASE(sums_that_calls_change_prove_nothing),
	KUNIT_CASE(busy_device_is_looked_at_once),
	{}
};

static struct kunit_suite check_suite = {
	.name = "check",
	.init = check_test_init,
	.exit = check_test_exit,
	.test_cases = check_cases,
};

kunit_test_suite(check_suite);
