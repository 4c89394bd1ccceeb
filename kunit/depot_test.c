// SPDX-License-Identifier: GPL-2.0
/* Magazines that change hands: one CPU allocates, another one frees. */
#include "pool_fixture.h"
#include "pool/internal.h"

#define GIB	(1ULL << 18)	/* blocks */
#define LEN	16U
#define ROUNDS	100U
#define BATCH	64U

static u64 at[BATCH];

static bool two_cpus(struct kunit *test)
{
	struct fixture *f = test->priv;

	if (!hatest_on_cpu(1) || !hatest_on_cpu(0))
		return false;
	f->nr_groups = 2;
	start(test, 8 * GIB);
	return true;
}

/* CPU 0 allocates a batch, CPU 1 frees it. */
static void hand_over(struct kunit *test, unsigned int rounds)
{
	unsigned int i;

	while (rounds--) {
		hatest_on_cpu(0);
		for (i = 0; i < BATCH; i++)
			at[i] = alloc(test, LEN);
		hatest_on_cpu(1);
		for (i = 0; i < BATCH; i++)
			expect_freed(test, at[i], LEN);
	}
}

static u64 refills_and_drains(struct kunit *test)
{
	const struct hapool_stat *st = stat(test);

	return st->refills + st->drains;
}

static u64 depot_objects(struct kunit *test)
{
	struct fixture *f = test->priv;

	return hapool_depot_cached(&f->p, haslab_class_of(&f->p.slab, LEN));
}

static void full_magazines_go_to_who_allocates(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 before;

	if (!two_cpus(test))
		kunit_skip(test, "it takes two CPUs");
	/* the first allocations that miss make what is wanted */
	hand_over(test, 10);
	before = refills_and_drains(test);
	hand_over(test, ROUNDS);
	KUNIT_EXPECT_LE(test, refills_and_drains(test) - before, 4);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	expect_account(test, 0, 0);
	expect_all_comes_back(test);
}

/* What a CPU has allocated itself goes back to its group, and not to other CPUs. */
static void own_objects_stay(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct haslab_slab *slab;
	unsigned int i, k;

	if (!two_cpus(test))
		kunit_skip(test, "it takes two CPUs");
	hand_over(test, 10);
	hapool_drain(&f->p);
	for (k = 0; k < 5; k++) {
		hatest_on_cpu(0);
		for (i = 0; i < BATCH; i++)
			at[i] = alloc(test, LEN);
		for (i = 0; i < BATCH; i++)
			expect_freed(test, at[i], LEN);
		KUNIT_EXPECT_EQ(test, depot_objects(test), 0);
	}
	hatest_on_cpu(1);
	at[0] = alloc(test, LEN);
	rcu_read_lock();
	slab = haslab_lookup(&f->p.slab, at[0]);
	rcu_read_unlock();
	KUNIT_ASSERT_NOT_NULL(test, slab);
	KUNIT_EXPECT_EQ(test, (int)slab->group, 1);
	expect_freed(test, at[0], LEN);
}

/* Hands over until there are objects in the depot. */
static void fill_depot(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < 50 && !depot_objects(test); i++)
		hand_over(test, 1);
	KUNIT_ASSERT_GT(test, depot_objects(test), 0);
}

static void what_is_in_the_depot_is_cached(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct haslab_extent e[4];

	if (!two_cpus(test))
		kunit_skip(test, "it takes two CPUs");
	fill_depot(test);
	expect_account(test, 0, 0);
	KUNIT_EXPECT_GE(test, stat(test)->cached, depot_objects(test) * LEN);
	KUNIT_EXPECT_GT(test, hapool_map(&f->p, 0, e, 4), 0);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	hapool_drain(&f->p);
	KUNIT_EXPECT_EQ(test, depot_objects(test), 0);
	KUNIT_EXPECT_EQ(test, stat(test)->cached, 0);
	expect_all_comes_back(test);
}

/* No false ENOSPC: the slow mode empties the depot, too. */
static void space_in_the_depot_is_found(struct kunit *test)
{
	if (!two_cpus(test))
		kunit_skip(test, "it takes two CPUs");
	fill_depot(test);
	KUNIT_EXPECT_EQ(test, alloc(test, 8 * GIB), 0);
	KUNIT_EXPECT_EQ(test, depot_objects(test), 0);
	expect_freed(test, 0, 8 * GIB);
	expect_all_comes_back(test);
}

/* In the slow mode nothing changes hands: what is full is drained. */
static void slow_mode_closes_the_depot(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i;

	if (!two_cpus(test))
		kunit_skip(test, "it takes two CPUs");
	hand_over(test, 10);
	hatest_on_cpu(0);
	for (i = 0; i < BATCH; i++)
		at[i] = alloc(test, LEN);
	KUNIT_ASSERT_EQ(test, hapool_search_begin(&f->p, GFP_KERNEL), 0);
	hatest_on_cpu(1);
	for (i = 0; i < BATCH; i++)
		expect_freed(test, at[i], LEN);
	KUNIT_EXPECT_EQ(test, depot_objects(test), 0);
	KUNIT_EXPECT_EQ(test, stat(test)->cached, 0);
	hapool_search_end(&f->p);
	expect_all_comes_back(test);
}

/* What nobody uses is emptied and freed, in two looks each; memory pressure does it at once. */
static void unused_magazines_leave_the_depot(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned long nr;
	unsigned int i;
	u64 before;

	if (!two_cpus(test))
		kunit_skip(test, "it takes two CPUs");
	before = stat(test)->percpu;
	fill_depot(test);
	for (i = 0; i < 4; i++)
		hapool_drain_idle(&f->p);
	KUNIT_EXPECT_EQ(test, stat(test)->cached, 0);
	KUNIT_EXPECT_EQ(test, stat(test)->percpu, before);
	KUNIT_EXPECT_EQ(test, hapool_nr_mags(&f->p), 0);
	fill_depot(test);
	nr = hapool_nr_mags(&f->p);
	KUNIT_EXPECT_EQ(test, hapool_shrink(&f->p, nr), nr);
	KUNIT_EXPECT_EQ(test, hapool_nr_mags(&f->p), 0);
	KUNIT_EXPECT_EQ(test, stat(test)->cached, 0);
	KUNIT_EXPECT_EQ(test, stat(test)->percpu, before);
	expect_all_comes_back(test);
}

/* A free makes no magazine; an allocation that misses makes what frees want, if there is memory. */
static void frees_need_no_memory(struct kunit *test)
{
	if (!two_cpus(test))
		kunit_skip(test, "it takes two CPUs");
	hatest_on_cpu(0);
	at[0] = alloc(test, LEN);
	hatest_on_cpu(1);
	hatest_inject_start(1, 0, true);
	expect_freed(test, at[0], LEN);
	KUNIT_EXPECT_EQ(test, hatest_inject_seen(), 0);
	hatest_inject_stop();
	expect_account(test, 0, 0);
	/* nor while each allocation of memory fails that may not wait */
	hatest_inject_start(0, 1, false);
	hand_over(test, 3);
	KUNIT_EXPECT_GT(test, hatest_inject_stop(), 0);
	expect_account(test, 0, 0);
	hand_over(test, 3);
	expect_account(test, 0, 0);
	expect_all_comes_back(test);
}

/* ---- others are faster ---- */

static unsigned long *taken_place;
static struct hapool_mag *taken_mag;

static void put_back(void)
{
	hapool_depot_release(taken_place, taken_mag);
}

static void do_nothing(void)
{
}

/* Another task drains a magazine of the depot, and does not run. Return: objects in it. */
static u64 take_from_depot(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_depot *d;
	bool taken;

	fill_depot(test);
	d = &f->p.depot[haslab_class_of(&f->p.slab, LEN)];
	for (taken_place = d->places; !(*taken_place & HAPOOL_DEPOT_HAS); taken_place++)
		;
	taken_mag = hapool_depot_take(taken_place, &taken);
	KUNIT_ASSERT_NOT_NULL(test, taken_mag);
	KUNIT_EXPECT_FALSE(test, taken);
	KUNIT_EXPECT_NULL(test, hapool_depot_take(taken_place, &taken));
	KUNIT_EXPECT_TRUE(test, taken);
	return hapool_mag_nr(taken_mag);
}

/* There are only so many places, however often magazines are wanted. */
static void more_magazines_than_places_are_freed(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 percpu = 0;
	unsigned int i;

	if (!two_cpus(test))
		kunit_skip(test, "it takes two CPUs");
	/* the first one makes the magazine of its CPU */
	for (i = 0; i < HAPOOL_DEPOT_PLACES + 4; i++) {
		at[i] = alloc(test, LEN);
		if (i >= HAPOOL_DEPOT_PLACES) {
			KUNIT_EXPECT_EQ(test, hapool_nr_mags(&f->p), HAPOOL_DEPOT_PLACES + 1);
			percpu = percpu ?: stat(test)->percpu;
			KUNIT_EXPECT_EQ(test, stat(test)->percpu, percpu);
		}
		hapool_depot_want(&f->p, haslab_class_of(&f->p.slab, LEN));
		hapool_drain_cpu(&f->p, 0);
	}
	while (i--)
		expect_freed(test, at[i], LEN);
	expect_all_comes_back(test);
}

/* A drain that no allocation needs gives up on it; CHECK does not take what is missing for lost. */
static void drain_leaves_what_another_task_drains(struct kunit *test)
{
	struct fixture *f = test->priv;
	long jiffies;
	u64 nr;

	if (!two_cpus(test))
		kunit_skip(test, "it takes two CPUs");
	nr = take_from_depot(test);
	hatest_meanwhile = do_nothing;
	jiffies = atomic_long_read(&hatest_jiffies);
	hapool_drain(&f->p);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&hatest_jiffies) - jiffies, 50);
	KUNIT_EXPECT_EQ(test, stat(test)->cached, 0);
	KUNIT_EXPECT_EQ(test, stat(test)->slab.free, 8 * GIB - nr * LEN);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), -EAGAIN);
	hatest_meanwhile = NULL;
	put_back();
	KUNIT_EXPECT_EQ(test, depot_objects(test), nr);
	expect_account(test, 0, 0);
	expect_all_comes_back(test);
}

/* An allocation may need just that: it waits, unless it is killed. */
static void slow_mode_waits_for_the_depot(struct kunit *test)
{
	struct fixture *f = test->priv;

	if (!two_cpus(test))
		kunit_skip(test, "it takes two CPUs");
	take_from_depot(test);
	hatest_set_killed(true);
	KUNIT_EXPECT_EQ(test, hapool_search_begin(&f->p, GFP_KERNEL), -EINTR);
	hatest_set_killed(false);
	hatest_asleep = put_back;
	KUNIT_EXPECT_EQ(test, alloc(test, 8 * GIB), 0);
	KUNIT_EXPECT_TRUE(test, !hatest_asleep);
	expect_freed(test, 0, 8 * GIB);
	expect_all_comes_back(test);
}

/* A magazine says whose it is: the tracepoints tell that. */
static void supplied_magazine_belongs_to_its_cpu(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_mag *mag;
	u64 extents[2];
	int class;

	if (!two_cpus(test))
		kunit_skip(test, "it takes two CPUs");
	class = haslab_class_of(&f->p.slab, LEN);
	hatest_on_cpu(0);
	extents[0] = alloc(test, LEN);
	hapool_drain_cpu(&f->p, 0);
	hapool_depot_want(&f->p, class);
	extents[1] = alloc(test, LEN);
	hatest_on_cpu(1);
	expect_freed(test, extents[0], LEN);
	expect_freed(test, extents[1], LEN);
	mag = per_cpu_ptr(f->p.cpus, 1)->bin[class].mag;
	KUNIT_ASSERT_NOT_NULL(test, mag);
	KUNIT_EXPECT_EQ(test, mag->cpu, 1);
}

static struct kunit_case depot_cases[] = {
	KUNIT_CASE(supplied_magazine_belongs_to_its_cpu),
	KUNIT_CASE(full_magazines_go_to_who_allocates),
	KUNIT_CASE(own_objects_stay),
	KUNIT_CASE(what_is_in_the_depot_is_cached),
	KUNIT_CASE(space_in_the_depot_is_found),
	KUNIT_CASE(slow_mode_closes_the_depot),
	KUNIT_CASE(unused_magazines_leave_the_depot),
	KUNIT_CASE(frees_need_no_memory),
	KUNIT_CASE(more_magazines_than_places_are_freed),
	KUNIT_CASE(drain_leaves_what_another_task_drains),
	KUNIT_CASE(slow_mode_waits_for_the_depot),
	{}
};

static struct kunit_suite depot_suite = {
	.name = "depot",
	.init = pool_test_init,
	.exit = pool_test_exit,
	.test_cases = depot_cases,
};

kunit_test_suite(depot_suite);
