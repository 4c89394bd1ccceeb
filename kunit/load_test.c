// SPDX-License-Identifier: GPL-2.0
/*
 * The loader: what a catalogue of extents becomes, beside what allocations had made of them; and
 * that it is a claim in all other respects.
 */
#include "pool_fixture.h"
#include "steps.h"

#define GIB		(1ULL << 18)	/* blocks */
#define SLOT		(16 * UNIT)
#define MAX_ENTRIES	40000U
#define BATCH		1024U

/* The map of a device, and what is live in it. */
struct picture {
	unsigned int nr_entries;
	struct haslab_extent *entries;
	unsigned int nr;
	struct haslab_range *live;
	u64 blocks;
};

static struct picture *new_picture(struct kunit *test)
{
	struct picture *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	p->entries = kunit_kzalloc(test, MAX_ENTRIES * sizeof(*p->entries), GFP_KERNEL);
	p->live = kunit_kzalloc(test, MAX_ENTRIES * sizeof(*p->live), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p->entries);
	KUNIT_ASSERT_NOT_NULL(test, p->live);
	return p;
}

static void take_picture(struct kunit *test, struct picture *p)
{
	struct fixture *f = test->priv;
	const struct haslab_extent *e;
	u64 pos = f->cfg.first_block;
	unsigned int i;
	int got;

	p->nr = 0;
	p->blocks = 0;
	for (i = 0; pos < f->cfg.nr_blocks; i += got) {
		got = hapool_map(&f->p, pos, p->entries + i, min(MAX_ENTRIES - i, 100U));
		KUNIT_ASSERT_GT(test, got, 0);
		pos = p->entries[i + got - 1].start + p->entries[i + got - 1].len;
	}
	p->nr_entries = i;
	for (e = p->entries; e < p->entries + p->nr_entries; e++)
		if (e->state == HYBRID_ALLOC_MAP_LIVE) {
			p->live[p->nr++] = (struct haslab_range) { e->start, e->len };
			p->blocks += e->len;
		}
}

/* Of the kind HYBRID_ALLOC_MAP_KIND_..., the extents. */
static unsigned int nr_of_kind(const struct picture *p, u32 kind)
{
	unsigned int i, nr = 0;

	for (i = 0; i < p->nr_entries; i++)
		nr += p->entries[i].state == HYBRID_ALLOC_MAP_LIVE && p->entries[i].kind == kind;
	return nr;
}

/* Claims some ranges, in batches of at most @batch. Return: how many calls it took. */
static unsigned int load(struct kunit *test, const struct haslab_range *x, unsigned int nr,
			 unsigned int batch)
{
	struct fixture *f = test->priv;
	unsigned int i, left, calls = 0;
	int ret = 0;

	for (i = 0; i < nr && !ret; calls++) {
		left = min(batch - i % batch, nr - i);
		i += hapool_claim_some(&f->p, x + i, left, GFP_KERNEL, &ret);
	}
	KUNIT_ASSERT_EQ_MSG(test, ret, 0, "at %u", i);
	return calls;
}

/* The map is @p; what is no mixed extent there is of the same kind, too, if @kinds. */
static void expect_picture(struct kunit *test, const struct picture *p, struct picture *now,
			   bool kinds)
{
	struct fixture *f = test->priv;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, hapool_check(&f->p), 0);
	expect_account(test, p->blocks, p->nr);
	take_picture(test, now);
	KUNIT_ASSERT_EQ(test, now->nr_entries, p->nr_entries);
	for (i = 0; i < p->nr_entries; i++) {
		const struct haslab_extent *a = &p->entries[i], *b = &now->entries[i];

		KUNIT_ASSERT_EQ_MSG(test, a->start, b->start, "entry %u", i);
		KUNIT_ASSERT_EQ_MSG(test, a->len, b->len, "entry %u", i);
		KUNIT_ASSERT_EQ_MSG(test, a->state, b->state, "entry %u", i);
		if (kinds && a->state == HYBRID_ALLOC_MAP_LIVE &&
		    a->kind != HYBRID_ALLOC_MAP_KIND_MIXED)
			KUNIT_ASSERT_EQ_MSG(test, a->kind, b->kind, "%llu at %llu", a->len,
					    a->start);
	}
}

/* What is live on the device is loaded into a new one of the same shape, with another map. */
static void reload(struct kunit *test, struct picture *p, unsigned int batch)
{
	struct fixture *f = test->priv;
	struct haslab_config cfg = f->cfg;

	hapool_drain(&f->p);
	take_picture(test, p);
	start_cfg(test, &cfg);
	load(test, p->live, p->nr, batch);
}

static void free_live(struct kunit *test, const struct picture *p)
{
	unsigned int i;

	for (i = 0; i < p->nr; i++)
		expect_freed(test, p->live[i].start, p->live[i].len);
	expect_all_comes_back(test);
}

/* ---- kinds ---- */

/* A device of one size, which has been filled, comes back as it was. */
static void slabs_and_blocks_come_back(struct kunit *test)
{
	struct picture *p = new_picture(test), *now = new_picture(test);
	static const u64 sizes[] = { 32 * SLOT, 32 * SLOT + 5 * UNIT };
	struct fixture *f = test->priv;
	unsigned int i, j, k;
	u64 at;

	for (i = 0; i < ARRAY_SIZE(common); i++)
		for (j = 0; j < ARRAY_SIZE(sizes); j++) {
			u64 len = common[i];

			/* as many entries as there is room for */
			start(test, min_t(u64, sizes[j], round_up(30000 * len, SLOT)));
			while (!try_alloc(test, len, &at))
				;
			reload(test, p, BATCH);
			/* there may be few small slabs, and the last slot had other ones */
			expect_picture(test, p, now, is_power_of_2(len));
			k = nr_of_kind(now, HYBRID_ALLOC_MAP_KIND_EQUAL);
			KUNIT_EXPECT_LE_MSG(test, nr_of_kind(p, HYBRID_ALLOC_MAP_KIND_EQUAL),
					    k + k / 8, "length %llu", len);
			KUNIT_EXPECT_EQ(test, k > 0, len < UNIT);
			/* and frees of objects are hits */
			at = p->live[p->nr / 2].start;
			expect_freed(test, at, len);
			KUNIT_EXPECT_EQ(test, alloc(test, len), at);
			free_live(test, p);
		}
	KUNIT_EXPECT_TRUE(test, f->alive);
}

/* What was allocated in a row, and ends anywhere in a slab, comes back in slabs. */
static void slabs_that_are_not_full_come_back(struct kunit *test)
{
	static const u32 lens[] = { 1, 3, 16, 64, 128 };
	struct picture *p = new_picture(test), *now = new_picture(test);
	unsigned int i, k, nr;

	for (i = 0; i < ARRAY_SIZE(lens); i++)
		for (nr = 20; nr < 5000 && nr * lens[i] < 16 * SLOT; nr = nr * 3 / 2) {
			/* not so small that there may be few small slabs */
			start(test, 64 * GIB);
			for (k = 0; k < nr; k++)
				alloc(test, lens[i]);
			reload(test, p, BATCH);
			expect_picture(test, p, now, false);
			/* a few in the last slab may be as good as alone */
			KUNIT_EXPECT_LE_MSG(test, nr, 64 +
					    nr_of_kind(now, HYBRID_ALLOC_MAP_KIND_EQUAL),
					    "%u of length %u", nr, lens[i]);
			free_live(test, p);
		}
}

/* Two sizes by turns, which no slab has, are one mixed part; so are those that are off the grid. */
static void no_slab_where_none_was(struct kunit *test)
{
	struct picture *p = new_picture(test), *now = new_picture(test);
	unsigned int i, off;
	u64 at = 0;

	start(test, 4 * SLOT);
	for (i = 0; at + 2 <= 2 * SLOT; at += 1 + i++ % 2)
		KUNIT_ASSERT_EQ(test, claim(test, at, 1 + i % 2), 0);
	reload(test, p, BATCH);
	expect_picture(test, p, now, true);
	KUNIT_EXPECT_EQ(test, nr_of_kind(now, HYBRID_ALLOC_MAP_KIND_EQUAL), 0);
	free_live(test, p);

	for (off = 1; off < 16; off += 7) {
		start(test, 4 * SLOT);
		for (at = off; at + 16 <= 2 * SLOT; at += 16)
			KUNIT_ASSERT_EQ(test, claim(test, at, 16), 0);
		reload(test, p, BATCH);
		expect_picture(test, p, now, false);
		KUNIT_EXPECT_EQ(test, nr_of_kind(now, HYBRID_ALLOC_MAP_KIND_EQUAL), 0);
		free_live(test, p);
	}
}

/* A few objects, far apart, make no slab: all of its free objects would be kept from others. */
static void no_slab_for_few_objects(struct kunit *test)
{
	struct picture *p = new_picture(test), *now = new_picture(test);
	u64 at;

	start(test, 64 * SLOT);
	for (at = 0; at < 64 * SLOT; at += SLOT / 8)
		KUNIT_ASSERT_EQ(test, claim(test, at, 1), 0);
	reload(test, p, BATCH);
	expect_picture(test, p, now, true);
	KUNIT_EXPECT_EQ(test, nr_of_kind(now, HYBRID_ALLOC_MAP_KIND_MIXED), p->nr);
	free_live(test, p);
}

/* Slabs, blocks of the buddy and mixed extents in one slot. */
static void kinds_share_a_slot(struct kunit *test)
{
	struct picture *p = new_picture(test), *now = new_picture(test);
	struct haslab_range x[64 + 4];
	unsigned int nr = 0, i;

	start(test, 4 * SLOT);
	x[nr++] = (struct haslab_range) { 5, 300 };
	for (i = 0; i < 64; i++)
		x[nr++] = (struct haslab_range) { 4 * UNIT + i * 16, 16 };
	x[nr++] = (struct haslab_range) { 8 * UNIT, 1024 };
	x[nr++] = (struct haslab_range) { 12 * UNIT, 512 };
	/* it goes on in the next slot */
	x[nr++] = (struct haslab_range) { 15 * UNIT, 300 };
	load(test, x, nr, BATCH);
	take_picture(test, p);
	KUNIT_EXPECT_EQ(test, p->nr, nr);
	KUNIT_EXPECT_EQ(test, nr_of_kind(p, HYBRID_ALLOC_MAP_KIND_EQUAL), 64);
	KUNIT_EXPECT_EQ(test, nr_of_kind(p, HYBRID_ALLOC_MAP_KIND_BUDDY), 2);
	KUNIT_EXPECT_EQ(test, nr_of_kind(p, HYBRID_ALLOC_MAP_KIND_MIXED), 2);
	expect_picture(test, p, now, true);
	free_live(test, p);
}

/* What goes on in the next slot is no span. What is longer than a slot is one. */
static void extents_cross_borders(struct kunit *test)
{
	struct picture *p = new_picture(test), *now = new_picture(test);
	u64 len, at;

	for (len = 100; len <= 3 * SLOT; len += len / 3) {
		start(test, 40 * SLOT + 77);
		for (at = 50; at + len <= 40 * SLOT + 77; at += len)
			KUNIT_ASSERT_EQ(test, claim(test, at, len), 0);
		reload(test, p, BATCH);
		expect_picture(test, p, now, false);
		/* the last one may end in the slot that is cut off */
		KUNIT_EXPECT_EQ_MSG(test, nr_of_kind(now, HYBRID_ALLOC_MAP_KIND_SPAN) > 1,
				    len > SLOT, "length %llu", len);
		free_live(test, p);
	}
}

/* A slot that is kept, though nothing is in it, is in use again by an extent that leaves it. */
static void border_of_a_kept_slot(struct kunit *test)
{
	const struct haslab_range x[] = { { SLOT + 90, 20 }, { 2 * SLOT - 50, 100 } };
	struct fixture *f = test->priv;
	unsigned int i;

	start(test, 4 * SLOT);
	KUNIT_ASSERT_EQ(test, claim(test, 5, 17), 0);
	for (i = 0; i < 2; i++) {
		KUNIT_ASSERT_EQ(test, claim(test, SLOT + 5, 17), 0);
		expect_freed(test, SLOT + 5, 17);
		KUNIT_ASSERT_EQ(test, f->p.slab.groups[0].nr_empty, 1);
		load(test, x + i, 2 - i, BATCH);
		KUNIT_EXPECT_EQ(test, f->p.slab.groups[0].nr_empty, 0);
		KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
		expect_freed(test, x[1].start, x[1].len);
		if (!i)
			expect_freed(test, x[0].start, x[0].len);
		hapool_drain(&f->p);
	}
	expect_freed(test, 5, 17);
	expect_all_comes_back(test);
}

/* ---- as a claim ---- */

/* Extents of all kinds, in order or not, in batches of any size; then it all goes on. */
static void random_devices_come_back(struct kunit *test)
{
	struct hatest_rng rng = hatest_rng(test);
	struct hatest_model *m = hatest_model(test, 3 * GIB / 4);
	struct picture *p = new_picture(test), *now = new_picture(test);
	struct fixture *f = test->priv;
	unsigned int round, i, k;

	for (round = 0; round < 40; round++) {
		f->nr_groups = 1 + hatest_below(&rng, 3);
		start_shape(test, 1 + hatest_below(&rng, 1 << (8 + hatest_below(&rng, 10))),
			    hatest_below(&rng, 13), 1ULL << hatest_below(&rng, 11));
		model_start(test, m);
		for (i = 0; i < 600; i++)
			random_step(test, m, &rng, i < 400);
		reload(test, p, 1 + hatest_below(&rng, 1 << hatest_below(&rng, 11)));
		expect_picture(test, p, now, false);
		/* the same, out of order */
		for (i = 0; i < p->nr; i++) {
			k = hatest_below(&rng, p->nr);
			swap(p->live[i], p->live[k]);
			if (hatest_below(&rng, 4))
				i += hatest_below(&rng, 30);
		}
		start_cfg(test, &f->cfg);
		load(test, p->live, p->nr, BATCH);
		expect_picture(test, now, p, false);
		for (i = 0; i < 600; i++)
			random_step(test, m, &rng, i < 200);
		expect_account_of_model(test, m);
		expect_map(test, m, MAX_PAGE);
		KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
		free_all(test, m, &rng);
		expect_all_comes_back(test);
	}
	f->nr_groups = 0;
}

/* Of what overlaps something, nothing is taken, and what comes after it is. */
static void what_is_taken_is_refused(struct kunit *test)
{
	static const struct haslab_range x[] = {
		{ 10, 20 }, { 29, 5 }, { 40, 10 }, { 10, 20 }, { 45, 1 }, { 50, 10 },
		{ SLOT - 5, 10 }, { SLOT + 4, 1 }, { SLOT - 5, 11 }, { SLOT + 5, 3 },
		{ 4 * SLOT, 5 * SLOT }, { 8 * SLOT, 1 }, { 3 * SLOT, SLOT + 1 }, { 3 * SLOT, SLOT },
	};
	static const bool taken[ARRAY_SIZE(x)] = {
		false, true, false, true, true, false,
		false, true, true, false,
		false, true, true, false,
	};
	struct fixture *f = test->priv;
	unsigned int i, done, k;
	u64 blocks = 0, nr = 0;
	int ret;

	start(test, GIB);
	for (i = 0; i < ARRAY_SIZE(x); i += done) {
		done = hapool_claim_some(&f->p, x + i, ARRAY_SIZE(x) - i, GFP_KERNEL, &ret);
		KUNIT_ASSERT_GE(test, done, 1);
		for (k = i; k < i + done; k++) {
			KUNIT_ASSERT_EQ_MSG(test, ret, taken[k] ? -EEXIST : 0, "item %u", k);
			blocks += taken[k] ? 0 : x[k].len;
			nr += !taken[k];
		}
		KUNIT_ASSERT_EQ(test, hapool_check(&f->p), 0);
		expect_account(test, blocks, nr);
	}
	for (i = 0; i < ARRAY_SIZE(x); i++)
		if (!taken[i])
			expect_freed(test, x[i].start, x[i].len);
	expect_all_comes_back(test);
}

/* An object that is CACHED is taken as by a claim, and one that is live is refused. */
static void objects_in_magazines_are_claimed(struct kunit *test)
{
	struct picture *p = new_picture(test), *now = new_picture(test);
	struct fixture *f = test->priv;
	unsigned int i;
	u64 before;
	int ret;

	start(test, GIB);
	for (i = 0; i < 600; i++)
		alloc(test, 2);
	reload(test, p, BATCH);
	warm_up(test, 2);
	/* these are in a magazine now */
	before = stat(test)->cached;
	for (i = 0; i < 10; i++)
		expect_freed(test, p->live[100 + 3 * i].start, 2);
	KUNIT_ASSERT_EQ(test, stat(test)->cached, before + 20);
	for (i = 0; i < 10; i++) {
		KUNIT_ASSERT_EQ(test, hapool_claim_some(&f->p, &p->live[100 + 3 * i], 2,
							GFP_KERNEL, &ret), 1);
		KUNIT_ASSERT_EQ(test, ret, 0);
	}
	expect_picture(test, p, now, false);
	KUNIT_ASSERT_EQ(test, hapool_claim_some(&f->p, &p->live[7], 5, GFP_KERNEL, &ret), 1);
	KUNIT_ASSERT_EQ(test, ret, -EEXIST);
	free_live(test, p);
}

/* The next slot belongs to another group: the extent at the border is a span, the rest is not. */
static void next_slot_of_another_group(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct haslab_range x[] = {
		{ 10, 20 }, { SLOT - 300, 200 }, { SLOT - 100, 200 }, { SLOT + 200, 20 },
	};
	struct picture *p = new_picture(test);

	if (!hatest_on_cpu(1)) {
		kunit_skip(test, "needs two CPUs");
		return;
	}
	f->nr_groups = 2;
	start(test, GIB);
	f->nr_groups = 0;
	KUNIT_ASSERT_EQ(test, claim(test, SLOT + 1000, 10), 0);
	KUNIT_ASSERT_TRUE(test, hatest_on_cpu(0));
	load(test, x, ARRAY_SIZE(x), BATCH);
	hatest_on_any_cpu();
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	take_picture(test, p);
	KUNIT_EXPECT_EQ(test, p->nr, ARRAY_SIZE(x) + 1);
	KUNIT_EXPECT_EQ(test, nr_of_kind(p, HYBRID_ALLOC_MAP_KIND_SPAN), 1);
	free_live(test, p);
}

/* Slabs of a load belong to the group of the CPU that runs it. */
static void slabs_are_of_the_group_that_loads(struct kunit *test)
{
	struct haslab_range *x = kunit_kzalloc(test, SLOT * sizeof(*x), GFP_KERNEL);
	struct fixture *f = test->priv;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, x);
	if (!hatest_on_cpu(1)) {
		kunit_skip(test, "needs two CPUs");
		return;
	}
	f->nr_groups = 2;
	start(test, GIB);
	f->nr_groups = 0;
	for (i = 0; i < SLOT; i++)
		x[i] = (struct haslab_range) { i, 1 };
	load(test, x, SLOT, SLOT);
	hatest_on_any_cpu();
	KUNIT_EXPECT_GT(test, f->p.slab.groups[1].nr_slabs, 0);
	KUNIT_EXPECT_EQ(test, f->p.slab.groups[1].nr_slabs, stat(test)->slab.nr_slabs);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	for (i = 0; i < SLOT; i++)
		expect_freed(test, i, 1);
	expect_all_comes_back(test);
}

/* ---- memory and locks ---- */

/* Something of all kinds, from @base on. Return: how many. */
static unsigned int all_kinds(struct haslab_range *x, u64 base)
{
	unsigned int nr = 0, i;

	x[nr++] = (struct haslab_range) { base + 3, 500 };
	for (i = 0; i < 40; i++)
		x[nr++] = (struct haslab_range) { base + 4 * UNIT + 16 * i, 16 };
	x[nr++] = (struct haslab_range) { base + 8 * UNIT, 2 * UNIT };
	for (i = 0; i < 40; i++)
		x[nr++] = (struct haslab_range) { base + 10 * UNIT + 20 * i, 1 + i % 20 };
	x[nr++] = (struct haslab_range) { base + SLOT - 10, 30 };
	/* more than there is room for in the slot's marks */
	for (i = 0; i < 200; i++)
		x[nr++] = (struct haslab_range) { base + SLOT + 20 + 3 * i, 1 + i % 2 };
	return nr;
}

#define MAX_KINDS	300

/* Whichever allocation fails: what is not loaded is free, and what is there can be loaded then. */
static void failing_memory_changes_nothing(struct kunit *test)
{
	struct haslab_range *x = kunit_kzalloc(test, MAX_KINDS * sizeof(*x), GFP_KERNEL);
	struct picture *p = new_picture(test), *now = new_picture(test);
	struct fixture *f = test->priv;
	unsigned int nr, done, i;
	unsigned long nth, failed;
	bool all;
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, x);
	for (all = false;; all = true) {
		for (nth = 1, failed = 1; failed; nth++) {
			start(test, 8 * SLOT);
			/* beside something that is there */
			KUNIT_ASSERT_EQ(test, claim(test, 5 * SLOT, 1), 0);
			nr = all_kinds(x, SLOT);
			hatest_inject_start(nth, 0, all);
			for (done = 0, ret = 0; done < nr && !ret;)
				done += hapool_claim_some(&f->p, x + done, nr - done, GFP_NOWAIT,
							  &ret);
			failed = hatest_inject_stop();
			if (ret) {
				KUNIT_ASSERT_TRUE(test, ret == -ENOMEM || ret == -EAGAIN);
				KUNIT_ASSERT_GT(test, failed, 0);
				done--;
			}
			KUNIT_ASSERT_EQ(test, hapool_check(&f->p), 0);
			take_picture(test, p);
			KUNIT_ASSERT_EQ(test, p->nr, done + 1);
			for (i = 0; i < done; i++)
				KUNIT_ASSERT_EQ(test, p->live[i].start, x[i].start);
			load(test, x + done, nr - done, BATCH);
			KUNIT_ASSERT_EQ(test, hapool_check(&f->p), 0);
			take_picture(test, now);
			free_live(test, now);
			KUNIT_ASSERT_EQ(test, now->nr, nr + 1);
		}
		KUNIT_EXPECT_GT(test, nth, 5);
		if (all)
			break;
	}
	/* with memory that may be waited for nothing fails, and all is of the same kinds */
	start(test, 8 * SLOT);
	load(test, x, nr, BATCH);
	take_picture(test, p);
	for (nth = 1; nth < 4; nth++) {
		start(test, 8 * SLOT);
		hatest_inject_start(0, nth, false);
		load(test, x, nr, BATCH);
		KUNIT_EXPECT_GT(test, hatest_inject_stop(), 0);
		expect_picture(test, p, now, true);
		free_live(test, p);
	}
}

/* A load is many short holds of one group's lock, and shuts out nobody. */
static void holds_are_short(struct kunit *test)
{
	struct haslab_range *x = kunit_kzalloc(test, 4 * SLOT * sizeof(*x), GFP_KERNEL);
	static const u32 lens[] = { 1, 2, 3, 16, 24, 300, 512, 1024 };
	struct fixture *f = test->priv;
	unsigned int i, k, nr, calls;
	long holds;
	u64 at;

	KUNIT_ASSERT_NOT_NULL(test, x);
	for (i = 0; i < 2 * ARRAY_SIZE(lens); i++) {
		u32 len = lens[i / 2], gap = i % 2;

		f->nr_groups = 4;
		start(test, GIB);
		for (nr = 0, at = 0; nr < 4 * SLOT && at + len < GIB; at += len + gap, nr++)
			x[nr] = (struct haslab_range) { at, len };
		ha_holds_reset();
		holds = ha_holds(HA_LOCK_ALL);
		calls = load(test, x, nr, nr);
		/* side by side, these look like a slab until one crosses a border */
		if (gap || is_power_of_2(len))
			KUNIT_EXPECT_EQ_MSG(test, ha_holds(HA_LOCK_ALL), holds, "length %u", len);
		KUNIT_EXPECT_LE(test, ha_longest_hold(HA_LOCK_GROUP), 2000);
		KUNIT_EXPECT_LE(test, ha_longest_hold(HA_LOCK_SPACE), 200);
		/* and few of them */
		KUNIT_EXPECT_LE_MSG(test, calls, nr / 40 + 8, "length %u", len);
		for (k = 0; k < nr; k++)
			expect_freed(test, x[k].start, x[k].len);
		expect_all_comes_back(test);
	}
	f->nr_groups = 0;
}

/* A catalogue takes no more memory than what allocations of it took, by more than a little. */
static void metadata_is_bounded(struct kunit *test)
{
	struct picture *p = new_picture(test), *now = new_picture(test);
	u64 at, before, most;
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(common); i++)
		for (k = i % 2; k < 3; k += 2) {
			u32 len = common[i], step = len + k;
			u64 size = min_t(u64, GIB, round_up(16000 * step, SLOT));

			start(test, size);
			before = stat(test)->metadata;
			for (at = 0; at + len <= size; at += step)
				KUNIT_ASSERT_EQ(test, claim(test, at, len), 0);
			reload(test, p, BATCH);
			expect_picture(test, p, now, false);
			/* 80 KiB for each GiB, and for the remainder; see space_test.c */
			most = 80 * 1024 * (DIV_ROUND_UP_ULL(size, GIB)) + 2048;
			KUNIT_EXPECT_LE_MSG(test, stat(test)->metadata - before, most,
					    "length %u, every %u", len, step);
			free_live(test, p);
		}
}

static struct kunit_case load_cases[] = {
	KUNIT_CASE(slabs_and_blocks_come_back),
	KUNIT_CASE(slabs_that_are_not_full_come_back),
	KUNIT_CASE(no_slab_where_none_was),
	KUNIT_CASE(no_slab_for_few_objects),
	KUNIT_CASE(kinds_share_a_slot),
	KUNIT_CASE(extents_cross_borders),
	KUNIT_CASE(border_of_a_kept_slot),
	KUNIT_CASE(random_devices_come_back),
	KUNIT_CASE(what_is_taken_is_refused),
	KUNIT_CASE(objects_in_magazines_are_claimed),
	KUNIT_CASE(next_slot_of_another_group),
	KUNIT_CASE(slabs_are_of_the_group_that_loads),
	KUNIT_CASE(failing_memory_changes_nothing),
	KUNIT_CASE(holds_are_short),
	KUNIT_CASE(metadata_is_bounded),
	{}
};

static struct kunit_suite load_suite = {
	.name = "load",
	.init = pool_test_init,
	.exit = pool_test_exit,
	.test_cases = load_cases,
};

kunit_test_suite(load_suite);
