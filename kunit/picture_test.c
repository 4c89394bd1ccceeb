// SPDX-License-Identifier: GPL-2.0
/*
 * What the allocator reports about the device: the map, the free runs by length, and the
 * largest of them, each compared with what a naive walk of the model finds.
 */
#include "pool_fixture.h"

#define GIB	(1ULL << 18)	/* blocks */

struct picture {
	struct haslab_histogram told;
	struct haslab_histogram is;
	u64 largest;
};

static struct picture *picture(struct kunit *test)
{
	struct picture *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	return p;
}

/* ---- the map ---- */

static const u64 borders[] = {
	1, 100, 256, 512, HASLAB_MAX_BLOCKS, 16384, 4 * GIB, 8 * GIB, 9 * GIB + 255,
};

static void expect_entry(struct kunit *test, const struct haslab_extent *e, u64 start_at,
			 u64 len, u32 state)
{
	KUNIT_EXPECT_EQ(test, e->start, start_at);
	KUNIT_EXPECT_EQ(test, e->len, len);
	KUNIT_EXPECT_EQ(test, (int)e->state, (int)state);
}

/* The only extent, looked up by several of its blocks, and the free space around it. */
static void expect_map_of_one(struct kunit *test, u64 at, u64 len)
{
	const u64 from[] = { at, at + len / 2, at + len - 1 };
	struct fixture *f = test->priv;
	struct haslab_extent e[4];
	u64 pos = 0, free = 0;
	int got, n;

	for (n = 0; n < ARRAY_SIZE(from); n++) {
		KUNIT_ASSERT_EQ(test, hapool_map(&f->p, from[n], e, 1), 1);
		expect_entry(test, e, at, len, HYBRID_ALLOC_MAP_LIVE);
	}
	if (at > 3) {
		KUNIT_ASSERT_EQ(test, hapool_map(&f->p, at - 3, e, 1), 1);
		expect_entry(test, e, at - 3, 3, HYBRID_ALLOC_MAP_FREE);
	}
	/* adjacent free space may be listed in several entries */
	while ((got = hapool_map(&f->p, pos, e, 4)))
		for (n = 0; n < got; n++) {
			KUNIT_ASSERT_EQ(test, e[n].start, pos);
			KUNIT_ASSERT_GT(test, e[n].len, 0);
			pos += e[n].len;
			if (e[n].state == HYBRID_ALLOC_MAP_FREE)
				free += e[n].len;
			else
				expect_entry(test, &e[n], at, len, HYBRID_ALLOC_MAP_LIVE);
		}
	KUNIT_EXPECT_EQ(test, pos, f->cfg.nr_blocks);
	KUNIT_EXPECT_EQ(test, free, f->cfg.nr_blocks - len);
}

static void map_of_one_extent_at_each_border(struct kunit *test)
{
	static const u32 befores[] = { 0, 1, 60, 256, 5000 }, behinds[] = { 1, 2, 256, 20000 };
	const u64 nr = 9 * GIB + 2 * HASLAB_MAX_BLOCKS + 300;
	struct fixture *f = test->priv;
	struct haslab_extent e;
	unsigned int i, j, k;

	start(test, nr);
	for (i = 0; i < ARRAY_SIZE(borders); i++)
		for (j = 0; j < ARRAY_SIZE(befores); j++)
			for (k = 0; k < ARRAY_SIZE(behinds); k++) {
				u64 at = borders[i] - befores[j], end = borders[i] + behinds[k];

				if (befores[j] > borders[i] || end > nr)
					continue;
				KUNIT_ASSERT_EQ(test, claim(test, at, end - at), 0);
				expect_map_of_one(test, at, end - at);
				expect_freed(test, at, end - at);
			}
	KUNIT_EXPECT_EQ(test, hapool_map(&f->p, nr, &e, 1), 0);
	KUNIT_EXPECT_EQ(test, hapool_map(&f->p, nr + 1, &e, 1), 0);
	KUNIT_EXPECT_EQ(test, hapool_map(&f->p, U64_MAX, &e, 1), 0);
	KUNIT_EXPECT_EQ(test, hapool_map(&f->p, 0, &e, 0), 0);
	expect_all_comes_back(test);
}

static void map_in_pages_of_any_size_is_the_models(struct kunit *test)
{
	struct hatest_model *m = hatest_model(test, 60000);
	struct hatest_rng rng = hatest_rng(test);
	static const u8 pages[] = { 1, 2, 3, 7, MAX_PAGE };
	struct fixture *f = test->priv;
	unsigned int round, i, k;

	for (round = 0; round < 1 + hatest_ops / 4000; round++) {
		start(test, 50000 + hatest_below(&rng, 10000));
		model_start(test, m);
		for (i = 0; i < ARRAY_SIZE(pages); i++) {
			hatest_on_cpu(i % 3);
			for (k = 0; k < 100; k++)
				random_step(test, m, &rng, i < 3);
			/* with objects in the pools, and without */
			expect_map(test, m, pages[i]);
			if (i == 2)
				hapool_drain(&f->p);
			expect_map(test, m, pages[i]);
		}
		/* from anywhere: a whole extent, or the rest of a free run */
		for (i = 0; i < 200; i++) {
			u64 from = hatest_below(&rng, m->nr_blocks);
			struct haslab_extent e;

			KUNIT_ASSERT_EQ(test, hapool_map(&f->p, from, &e, 1), 1);
			KUNIT_ASSERT_LE(test, e.start, from);
			KUNIT_ASSERT_GT(test, e.start + e.len, from);
			if (e.state == HYBRID_ALLOC_MAP_LIVE)
				KUNIT_ASSERT_TRUE(test, hatest_model_is_extent(m, e.start, e.len));
			else
				KUNIT_ASSERT_TRUE_MSG(test, hatest_model_free(m, e.start, e.len),
						      "from %llu: start %llu, length %llu, state %d",
						      from, e.start, e.len, (int)e.state);
			if (e.state == HYBRID_ALLOC_MAP_FREE)
				KUNIT_ASSERT_EQ(test, e.start, from);
		}
		free_all(test, m, &rng);
		expect_all_comes_back(test);
	}
}

/* Adjacent extents of a size that divides nothing lie across all kinds of borders. */
static void map_of_extents_of_an_odd_size(struct kunit *test)
{
	static const u16 sizes[] = { 77, 300, 1500, 3000, 3 * HASLAB_MAX_BLOCKS / 4 + 1, 5000 };
	struct hatest_model *m = hatest_model(test, 60000);
	struct fixture *f = test->priv;
	struct haslab_extent e;
	unsigned int i, k;
	u64 at;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		start(test, 60000 - i);
		model_start(test, m);
		while (!try_alloc(test, sizes[i], &at)) {
			KUNIT_ASSERT_TRUE(test, hatest_model_free(m, at, sizes[i]));
			hatest_model_add(m, at, sizes[i]);
		}
		KUNIT_EXPECT_FALSE(test, hatest_model_fits(m, sizes[i], 1));
		for (k = 0; k < m->nr; k++)
			for (at = 0; at < sizes[i]; at += sizes[i] / 7 + 1) {
				KUNIT_ASSERT_EQ(test, hapool_map(&f->p, m->extents[k].start + at,
								 &e, 1), 1);
				expect_entry(test, &e, m->extents[k].start, sizes[i],
					     HYBRID_ALLOC_MAP_LIVE);
				KUNIT_ASSERT_TRUE(test, e.kind == HYBRID_ALLOC_MAP_KIND_MIXED ||
						  e.kind == HYBRID_ALLOC_MAP_KIND_SPAN);
			}
		expect_map(test, m, 1);
		for (k = 0; k < m->nr; k++)
			free_extent(test, m, k);
		expect_map(test, m, 3);
		while (m->nr)
			free_extent(test, m, 0);
		expect_all_comes_back(test);
	}
}

static void map_of_what_is_in_the_pools(struct kunit *test)
{
	struct haslab_extent e;
	struct fixture *f = test->priv;
	unsigned int i;
	u64 at;

	start(test, 1 << 20);
	hatest_on_cpu(0);
	for (i = 0; i < ARRAY_SIZE(common); i++) {
		warm_up(test, common[i]);
		at = alloc(test, common[i]);
		KUNIT_ASSERT_EQ(test, hapool_map(&f->p, at, &e, 1), 1);
		expect_entry(test, &e, at, common[i], HYBRID_ALLOC_MAP_LIVE);
		expect_freed(test, at, common[i]);
		KUNIT_ASSERT_EQ(test, hapool_map(&f->p, at, &e, 1), 1);
		KUNIT_EXPECT_NE(test, (int)e.state, (int)HYBRID_ALLOC_MAP_LIVE);
		hapool_drain(&f->p);
		KUNIT_ASSERT_EQ(test, hapool_map(&f->p, at, &e, 1), 1);
		KUNIT_EXPECT_EQ(test, (int)e.state, (int)HYBRID_ALLOC_MAP_FREE);
		KUNIT_EXPECT_EQ(test, e.start, at);
	}
	expect_all_comes_back(test);
}

/* Objects of slabs and of the buddy, also while cached; mixed parts, and spans. */
static void map_tells_where_each_lies(struct kunit *test)
{
	const struct { u64 at, len; u32 kind; } claims[] = {
		{ 3 * GIB + 7, 5, HYBRID_ALLOC_MAP_KIND_MIXED },
		{ 3 * GIB + HASLAB_MAX_BLOCKS - 2, 4, HYBRID_ALLOC_MAP_KIND_SPAN },
		{ 4 * GIB - 2, 4, HYBRID_ALLOC_MAP_KIND_SPAN },
		{ 5 * GIB, 1024, HYBRID_ALLOC_MAP_KIND_BUDDY },
		{ 5 * GIB + 7, 3 * HASLAB_MAX_BLOCKS, HYBRID_ALLOC_MAP_KIND_SPAN },
	};
	struct fixture *f = test->priv;
	struct haslab_extent e;
	unsigned int i;
	u64 at;

	start(test, 6 * GIB);
	hatest_on_cpu(0);
	for (i = 0; i < ARRAY_SIZE(common); i++) {
		u32 kind = common[i] <= f->cfg.slab_max ? HYBRID_ALLOC_MAP_KIND_EQUAL :
							  HYBRID_ALLOC_MAP_KIND_BUDDY;

		warm_up(test, common[i]);
		at = alloc(test, common[i]);
		KUNIT_ASSERT_EQ(test, hapool_map(&f->p, at, &e, 1), 1);
		expect_entry(test, &e, at, common[i], HYBRID_ALLOC_MAP_LIVE);
		KUNIT_EXPECT_EQ_MSG(test, (int)e.kind, (int)kind, "%u blocks", common[i]);
		expect_freed(test, at, common[i]);
		KUNIT_ASSERT_EQ(test, hapool_map(&f->p, at, &e, 1), 1);
		KUNIT_EXPECT_EQ(test, (int)e.state, (int)HYBRID_ALLOC_MAP_CACHED);
		KUNIT_EXPECT_EQ_MSG(test, (int)e.kind, (int)kind, "%u blocks, cached", common[i]);
		hapool_drain(&f->p);
		KUNIT_ASSERT_EQ(test, hapool_map(&f->p, at, &e, 1), 1);
		KUNIT_EXPECT_EQ(test, (int)e.kind, (int)HYBRID_ALLOC_MAP_KIND_NONE);
	}
	for (i = 0; i < ARRAY_SIZE(claims); i++) {
		KUNIT_ASSERT_EQ(test, claim(test, claims[i].at, claims[i].len), 0);
		KUNIT_ASSERT_EQ(test, hapool_map(&f->p, claims[i].at + claims[i].len - 1, &e, 1),
				1);
		expect_entry(test, &e, claims[i].at, claims[i].len, HYBRID_ALLOC_MAP_LIVE);
		KUNIT_EXPECT_EQ_MSG(test, (int)e.kind, (int)claims[i].kind, "claim %u", i);
		expect_freed(test, claims[i].at, claims[i].len);
	}
	expect_all_comes_back(test);
}

/* ---- free runs ---- */

static void expect_histogram(struct kunit *test, const struct hatest_model *m, struct picture *p)
{
	struct fixture *f = test->priv;
	u64 at = 0, len, free = 0;
	unsigned int i;

	memset(&p->is, 0, sizeof(p->is));
	for (; hatest_model_run(m, &at, &len); at += len) {
		p->is.count[ilog2(len)]++;
		p->is.blocks[ilog2(len)] += len;
		free += len;
	}
	hapool_histogram(&f->p, &p->told);
	for (i = 0; i < ARRAY_SIZE(p->is.count); i++) {
		KUNIT_ASSERT_EQ_MSG(test, p->told.count[i], p->is.count[i], "runs of 2^%u", i);
		KUNIT_ASSERT_EQ_MSG(test, p->told.blocks[i], p->is.blocks[i], "runs of 2^%u", i);
	}
	KUNIT_ASSERT_EQ(test, stat(test)->slab.free, free);
}

/* The largest run can be allocated as a whole, and nothing longer. */
static void expect_largest(struct kunit *test, struct hatest_model *m)
{
	u64 largest = hatest_model_runs(m).largest, at;

	KUNIT_ASSERT_EQ(test, stat(test)->slab.largest_run, largest);
	KUNIT_ASSERT_EQ(test, stat_walk(test)->slab.largest_run, largest);
	KUNIT_ASSERT_EQ(test, try_alloc(test, largest + 1, &at), -ENOSPC);
	if (!largest)
		return;
	KUNIT_ASSERT_EQ(test, try_alloc(test, largest, &at), 0);
	KUNIT_ASSERT_TRUE(test, hatest_model_free(m, at, largest));
	expect_freed(test, at, largest);
}

/* From one long enough run to the next: none is passed over, and most of what is short is. */
static void expect_long_runs(struct kunit *test, const struct hatest_model *m, u64 least)
{
	struct fixture *f = test->priv;
	u64 near = max_t(u64, 1ULL << f->p.slab.slot_shift,
			 (u64)HABUDDY_FANOUT << f->cfg.unit_shift);
	u64 from = 0, at, start, len;

	do {
		at = haslab_next_long(&f->p.slab, from, least);
		for (start = from; hatest_model_run(m, &start, &len); start += len)
			if (len >= least)
				break;
		if (start >= m->nr_blocks)
			break;
		KUNIT_ASSERT_GE(test, at, from);
		KUNIT_ASSERT_LE(test, at, start);
		KUNIT_ASSERT_LT(test, start - at, near);
		from = start + len;
	} while (from < m->nr_blocks);
	if (start >= m->nr_blocks)
		KUNIT_ASSERT_EQ(test, at, U64_MAX);
}

/* From the middle of a block of the buddy, of which the unit there is not free. */
static void long_run_after_the_middle_of_an_extent(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test, 64 * UNIT);
	KUNIT_ASSERT_EQ(test, claim(test, 0, 4 * UNIT), 0);
	KUNIT_ASSERT_EQ(test, claim(test, 6 * UNIT, 2 * UNIT), 0);
	KUNIT_EXPECT_EQ(test, haslab_next_long(&f->p.slab, UNIT + 5, 2 * UNIT), 4 * UNIT);
	KUNIT_EXPECT_EQ(test, haslab_next_long(&f->p.slab, 4 * UNIT + 5, 2 * UNIT), 8 * UNIT);
	KUNIT_EXPECT_EQ(test, haslab_next_long(&f->p.slab, 8 * UNIT + 5, 56 * UNIT), U64_MAX);
}

static void free_runs_of_any_layout_are_the_models(struct kunit *test)
{
	static const struct { u32 nr_blocks; u8 unit_shift; u16 slab_max; } layouts[] = {
		{ 60000, 8, 256 }, { 30011, 0, 16 }, { 50003, HASLAB_MAX_SHIFT, 1024 },
	};
	struct hatest_model *m = hatest_model(test, 60000);
	struct hatest_rng rng = hatest_rng(test);
	struct picture *p = picture(test);
	struct fixture *f = test->priv;
	unsigned long i;
	unsigned int k;

	for (k = 0; k < ARRAY_SIZE(layouts); k++) {
		start_shape(test, layouts[k].nr_blocks, layouts[k].unit_shift,
			    layouts[k].slab_max);
		model_start(test, m);
		expect_histogram(test, m, p);
		for (i = 0; i < hatest_ops / 4; i++) {
			random_step(test, m, &rng, (i / 200) % 2 == 0);
			if (i % 16)
				continue;
			hapool_drain(&f->p);
			expect_histogram(test, m, p);
			expect_largest(test, m);
			expect_long_runs(test, m, 1 + i / 16 % 40);
		}
		free_all(test, m, &rng);
		hapool_drain(&f->p);
		expect_histogram(test, m, p);
		expect_all_comes_back(test);
	}
}

/*
 * Runs across borders of all kinds: adjacent runs are one, also across the border between
 * dirs.
 */
static void largest_run_over_borders(struct kunit *test)
{
	const u64 nr = 13 * GIB + 77;
	struct fixture *f = test->priv;
	unsigned int i, j;

	start(test, nr);
	for (i = 0; i < ARRAY_SIZE(borders); i++)
		for (j = i; j < ARRAY_SIZE(borders); j++) {
			/* the only free run is from a to b; then a claim halves it */
			u64 a = borders[i] - 1, b = borders[j] + 1, mid = (a + b) / 2;

			if (a)
				KUNIT_ASSERT_EQ(test, claim(test, 0, a), 0);
			KUNIT_ASSERT_EQ(test, claim(test, b, nr - b), 0);
			KUNIT_EXPECT_EQ(test, stat(test)->slab.largest_run, b - a);
			KUNIT_ASSERT_EQ(test, claim(test, mid, 1), 0);
			KUNIT_EXPECT_EQ(test, stat_walk(test)->slab.largest_run,
					max(mid - a, b - mid - 1));
			expect_freed(test, mid, 1);
			KUNIT_EXPECT_EQ(test, stat(test)->slab.largest_run, b - a);
			KUNIT_EXPECT_EQ(test, f->st.slab.free, b - a);
			if (a)
				expect_freed(test, 0, a);
			expect_freed(test, b, nr - b);
			KUNIT_EXPECT_EQ(test, stat(test)->slab.largest_run, nr);
		}
	expect_all_comes_back(test);
}

/* ---- the figures for a fragmentation score ---- */

static void empty_device_has_one_run(struct kunit *test)
{
	static const u64 sizes[] = { 1, 255, 4096, 5 * GIB + 3, 1ULL << 28 };
	struct picture *p = picture(test);
	struct fixture *f = test->priv;
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		u64 at = 0;

		start(test, sizes[i]);
		/* also after all was freed */
		for (k = 0; k < 2; k++) {
			unsigned int len;

			hapool_histogram(&f->p, &p->told);
			for (len = 0; len < ARRAY_SIZE(p->told.count); len++) {
				bool it = len == ilog2(sizes[i]);

				KUNIT_EXPECT_EQ(test, p->told.count[len], it);
				KUNIT_EXPECT_EQ(test, p->told.blocks[len], it ? sizes[i] : 0);
			}
			while (!k && at < 64 && !claim(test, 2 * at, 1))
				at++;
			while (at)
				expect_freed(test, 2 * --at, 1);
		}
	}
}

static void every_second_block_is_all_runs_of_one_block(struct kunit *test)
{
	const unsigned int nr = 20000;
	struct picture *p = picture(test);
	struct fixture *f = test->priv;
	unsigned int i, pooled;

	/* as objects from the pools, and as claims */
	for (pooled = 0; pooled < 2; pooled++) {
		start(test, nr);
		for (i = 0; i < nr; i++) {
			if (pooled)
				alloc(test, 1);
			else if (i % 2)
				KUNIT_ASSERT_EQ(test, claim(test, i, 1), 0);
		}
		for (i = 0; pooled && i < nr; i += 2)
			expect_freed(test, i, 1);
		hapool_drain(&f->p);
		hapool_histogram(&f->p, &p->told);
		KUNIT_EXPECT_EQ(test, p->told.count[0], nr / 2);
		KUNIT_EXPECT_EQ(test, p->told.blocks[0], nr / 2);
		for (i = 1; i < ARRAY_SIZE(p->told.count); i++) {
			KUNIT_EXPECT_EQ(test, p->told.count[i], 0);
			KUNIT_EXPECT_EQ(test, p->told.blocks[i], 0);
		}
		KUNIT_EXPECT_EQ(test, stat(test)->slab.largest_run, 1);
	}
}

static void block_in_100_mb_leaves_long_runs_only(struct kunit *test)
{
	const u64 step = 100000000 / 4096, nr = 64 * GIB;
	struct picture *p = picture(test);
	struct fixture *f = test->priv;
	u64 at, used = 0;
	unsigned int i;

	start(test, nr);
	for (at = step / 2; at < nr; at += step, used++)
		KUNIT_ASSERT_EQ(test, claim(test, at, 1), 0);
	hapool_histogram(&f->p, &p->told);
	for (i = 0; i < ARRAY_SIZE(p->told.count); i++) {
		u64 count = i == ilog2(step - 1) ? used - 1 : 0;
		u64 blocks = count * (step - 1);

		/* and the runs at both ends of the device */
		count += (i == ilog2(step / 2)) + (i == ilog2(nr - 1 - (at - step)));
		blocks += (i == ilog2(step / 2) ? step / 2 : 0) +
			  (i == ilog2(nr - 1 - (at - step)) ? nr - 1 - (at - step) : 0);
		KUNIT_EXPECT_EQ_MSG(test, p->told.count[i], count, "runs of 2^%u", i);
		KUNIT_EXPECT_EQ_MSG(test, p->told.blocks[i], blocks, "runs of 2^%u", i);
	}
	KUNIT_EXPECT_EQ(test, stat(test)->slab.largest_run, step - 1);
	for (at = step / 2; at < nr; at += step)
		expect_freed(test, at, 1);
	expect_all_comes_back(test);
}

static struct kunit_case picture_cases[] = {
	KUNIT_CASE(map_of_one_extent_at_each_border),
	KUNIT_CASE(map_in_pages_of_any_size_is_the_models),
	KUNIT_CASE(map_of_extents_of_an_odd_size),
	KUNIT_CASE(map_of_what_is_in_the_pools),
	KUNIT_CASE(map_tells_where_each_lies),
	KUNIT_CASE(long_run_after_the_middle_of_an_extent),
	KUNIT_CASE(free_runs_of_any_layout_are_the_models),
	KUNIT_CASE(largest_run_over_borders),
	KUNIT_CASE(empty_device_has_one_run),
	KUNIT_CASE(every_second_block_is_all_runs_of_one_block),
	KUNIT_CASE(block_in_100_mb_leaves_long_runs_only),
	{}
};

static struct kunit_suite picture_suite = {
	.name = "picture",
	.init = pool_test_init,
	.exit = pool_test_exit,
	.test_cases = picture_cases,
};

kunit_test_suite(picture_suite);
