// SPDX-License-Identifier: GPL-2.0
/*
 * Reservations: counted blocks without a place. They are exact to the last block, no other call
 * takes what is promised, and an allocation against one always finds a block.
 */
#include <linux/gfp.h>

#include "pool/internal.h"
#include "pool_fixture.h"

static void open(struct kunit *test, struct hapool_reservation *v)
{
	struct fixture *f = test->priv;

	KUNIT_ASSERT_EQ(test, hapool_reservation_open(&f->p, v), 0);
}

static int reserve(struct kunit *test, struct hapool_reservation *v, u64 nr)
{
	struct fixture *f = test->priv;

	return hapool_reserve(&f->p, v, nr, GFP_KERNEL);
}

static int alloc_reserved(struct kunit *test, struct hapool_reservation *v, u64 len, u64 *at)
{
	struct fixture *f = test->priv;

	return hapool_alloc_reserved(&f->p, v, &len, len, 1, HAPOOL_NO_GOAL, GFP_KERNEL, at);
}

/* What is free or cached. */
static u64 unused(struct kunit *test)
{
	const struct hapool_stat *st = stat(test);

	return st->capacity - st->charged - st->retired;
}

/* A device with magazines on two CPUs, and some extents. */
static void start_used(struct kunit *test, u64 nr_blocks)
{
	unsigned int i;

	start(test, nr_blocks);
	for (i = 0; i < 8; i++) {
		hatest_on_cpu(i % 2);
		warm_up(test, common[i]);
		alloc(test, common[i]);
	}
	hatest_on_cpu(0);
}

/* Single free blocks: every second block of the device. */
static void start_shredded(struct kunit *test, u64 nr_blocks)
{
	u64 at;

	start(test, nr_blocks);
	for (at = 0; at < nr_blocks; at++)
		KUNIT_ASSERT_EQ(test, claim(test, at, 1), 0);
	for (at = 0; at < nr_blocks; at += 2)
		expect_freed(test, at, 1);
}

static void all_that_is_unused_can_be_reserved_and_no_more(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_reservation v, w;
	u64 nr, drains;

	start_used(test, 1 << 14);
	open(test, &v);
	open(test, &w);
	nr = unused(test);
	KUNIT_EXPECT_GT(test, stat(test)->cached, 0);
	/* that is certain: no pool is emptied */
	drains = stat(test)->drains;
	KUNIT_EXPECT_EQ(test, reserve(test, &v, nr + 1), -EDQUOT);
	KUNIT_EXPECT_EQ(test, reserve(test, &v, U64_MAX), -EDQUOT);
	KUNIT_EXPECT_EQ(test, stat(test)->drains, drains);
	KUNIT_EXPECT_EQ(test, stat(test)->reserved, 0);
	KUNIT_EXPECT_EQ(test, reserve(test, &v, nr - 7), 0);
	KUNIT_EXPECT_EQ(test, reserve(test, &w, 8), -EDQUOT);
	KUNIT_EXPECT_EQ(test, reserve(test, &w, 7), 0);
	KUNIT_EXPECT_EQ(test, reserve(test, &w, 1), -EDQUOT);
	KUNIT_EXPECT_EQ(test, reserve(test, &w, 0), 0);
	KUNIT_EXPECT_EQ(test, stat(test)->reserved, nr);
	KUNIT_EXPECT_EQ(test, stat(test)->nr_reservations, 2);
	KUNIT_EXPECT_EQ(test, stat(test)->reserved_refusals, 4);
	KUNIT_EXPECT_EQ(test, stat(test)->searches, 0);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	/* no more is given back than there is */
	KUNIT_EXPECT_EQ(test, hapool_unreserve(&f->p, &w, 8), -EINVAL);
	KUNIT_EXPECT_EQ(test, hapool_unreserve(&f->p, &w, 3), 0);
	KUNIT_EXPECT_EQ(test, hapool_reservation_left(&f->p, &w), 4);
	KUNIT_EXPECT_EQ(test, reserve(test, &v, 4), -EDQUOT);
	KUNIT_EXPECT_EQ(test, reserve(test, &v, 3), 0);
	hapool_reservation_close(&f->p, &v);
	KUNIT_EXPECT_EQ(test, stat(test)->reserved, 4);
	hapool_reservation_close(&f->p, &w);
	KUNIT_EXPECT_EQ(test, stat(test)->reserved, 0);
	KUNIT_EXPECT_EQ(test, stat(test)->nr_reservations, 0);
}

static void others_take_what_is_not_reserved_and_no_more(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_reservation v;
	u64 at, searches;

	start_used(test, 1 << 14);
	open(test, &v);
	KUNIT_ASSERT_EQ(test, reserve(test, &v, unused(test) - 3), 0);
	searches = stat(test)->searches;
	KUNIT_EXPECT_EQ(test, try_alloc(test, 4, &at), -EDQUOT);
	KUNIT_EXPECT_EQ(test, claim(test, 8192, 4), -EDQUOT);
	alloc(test, 1);
	KUNIT_EXPECT_EQ(test, claim(test, 8192, 2), 0);
	KUNIT_EXPECT_EQ(test, try_alloc(test, 1, &at), -EDQUOT);
	KUNIT_EXPECT_EQ(test, claim(test, 8192, 1), -EDQUOT);
	/* what is freed can be had again, by anyone */
	expect_freed(test, 8192, 2);
	alloc(test, 1);
	KUNIT_EXPECT_EQ(test, reserve(test, &v, 1), 0);
	KUNIT_EXPECT_EQ(test, try_alloc(test, 1, &at), -EDQUOT);
	KUNIT_EXPECT_EQ(test, stat(test)->searches, searches);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	hapool_reservation_close(&f->p, &v);
	alloc(test, 1);
}

static void shredded_device_is_filled_against_a_reservation(struct kunit *test)
{
	struct fixture *f = test->priv;
	const u64 nr = 1 << 13;
	struct hapool_reservation v;
	u64 at, i;

	start_shredded(test, nr);
	open(test, &v);
	KUNIT_ASSERT_EQ(test, reserve(test, &v, nr / 2), 0);
	for (i = nr / 2; i; i--) {
		KUNIT_ASSERT_EQ(test, try_alloc(test, 1, &at), -EDQUOT);
		if (i > 1)
			KUNIT_ASSERT_EQ(test, alloc_reserved(test, &v, 2, &at), -ENOSPC);
		KUNIT_ASSERT_EQ(test, alloc_reserved(test, &v, 1, &at), 0);
		KUNIT_ASSERT_EQ(test, stat(test)->reserved, i - 1);
	}
	KUNIT_EXPECT_EQ(test, alloc_reserved(test, &v, 1, &at), -EINVAL);
	KUNIT_EXPECT_EQ(test, try_alloc(test, 1, &at), -ENOSPC);
	expect_account(test, nr, nr);
	hapool_reservation_close(&f->p, &v);
}

static void hits_stay_hits_far_from_the_limit(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_reservation v;
	u64 misses, drains, hits;
	unsigned int i;

	start_used(test, 1 << 16);
	open(test, &v);
	KUNIT_ASSERT_EQ(test, reserve(test, &v, unused(test) / 4), 0);
	misses = stat(test)->misses;
	drains = stat(test)->drains;
	hits = stat(test)->hits;
	for (i = 0; i < 100; i++)
		expect_freed(test, alloc(test, 1), 1);
	KUNIT_EXPECT_EQ(test, stat(test)->misses, misses);
	KUNIT_EXPECT_EQ(test, stat(test)->drains, drains);
	KUNIT_EXPECT_EQ(test, stat(test)->hits, hits + 100);
	hapool_reservation_close(&f->p, &v);
}

static void pools_are_closed_near_the_limit_and_open_again(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_reservation v;
	u64 nr, at;

	start_used(test, 1 << 14);
	open(test, &v);
	nr = unused(test);
	KUNIT_ASSERT_EQ(test, reserve(test, &v, nr - 2), 0);
	KUNIT_EXPECT_EQ(test, stat(test)->cached, 0);
	at = alloc(test, 1);
	expect_freed(test, at, 1);
	KUNIT_EXPECT_EQ(test, stat(test)->cached, 0);
	/* a little more does not open them, as that would not be for long */
	KUNIT_ASSERT_EQ(test, hapool_unreserve(&f->p, &v, 10), 0);
	expect_freed(test, alloc(test, 1), 1);
	KUNIT_EXPECT_EQ(test, stat(test)->cached, 0);
	KUNIT_ASSERT_EQ(test, hapool_unreserve(&f->p, &v, nr - 12 - 10), 0);
	expect_freed(test, alloc(test, 1), 1);
	KUNIT_EXPECT_GT(test, stat(test)->cached, 0);
	/* frees open them, too, at the next look */
	KUNIT_ASSERT_EQ(test, claim(test, 8192, 8192), 0);
	KUNIT_ASSERT_EQ(test, reserve(test, &v, unused(test) - stat(test)->reserved), 0);
	KUNIT_EXPECT_EQ(test, stat(test)->cached, 0);
	expect_freed(test, 8192, 8192);
	hapool_drain_idle(&f->p);
	warm_up(test, 1);
	KUNIT_EXPECT_GT(test, stat(test)->cached, 0);
	hapool_reservation_close(&f->p, &v);
}

static void who_may_not_wait_gets_eagain_near_the_limit(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_reservation v;
	u64 nr, at;

	start_used(test, 1 << 14);
	open(test, &v);
	nr = unused(test);
	KUNIT_EXPECT_EQ(test, hapool_reserve(&f->p, &v, nr, GFP_NOWAIT), -EAGAIN);
	KUNIT_EXPECT_EQ(test, hapool_reserve(&f->p, &v, nr + 1, GFP_NOWAIT), -EDQUOT);
	KUNIT_EXPECT_EQ(test, stat(test)->reserved, 0);
	KUNIT_EXPECT_EQ(test, hapool_reserve(&f->p, &v, nr / 2, GFP_NOWAIT), 0);
	KUNIT_EXPECT_EQ(test, reserve(test, &v, nr - nr / 2), 0);
	/* with the pools closed there is nothing to wait for */
	KUNIT_EXPECT_EQ(test, hapool_alloc(&f->p, 1, 1, HAPOOL_NO_GOAL, GFP_NOWAIT, &at), -EDQUOT);
	KUNIT_EXPECT_EQ(test, hapool_unreserve(&f->p, &v, 1), 0);
	KUNIT_EXPECT_EQ(test, hapool_alloc(&f->p, 1, 1, HAPOOL_NO_GOAL, GFP_NOWAIT, &at), 0);
	hapool_reservation_close(&f->p, &v);
}

/* A task that has taken a magazine runs again after some moments. */
static struct {
	struct hapool_bin *bin;
	struct hapool_mag *mag;
	unsigned int moments;
} other;

static void other_puts_back(void)
{
	if (--other.moments)
		return;
	hapool_mag_put(other.bin, other.mag);
	hatest_meanwhile = NULL;
}

static void allocation_against_a_reservation_is_not_interrupted(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_reservation v;
	u64 at;

	start_shredded(test, 1 << 12);
	if (!hatest_on_cpu(1))
		kunit_skip(test, "there is one CPU only");
	warm_up(test, 1);
	other.bin = &per_cpu_ptr(f->p.cpus, 1)->bin[0];
	open(test, &v);
	KUNIT_ASSERT_EQ(test, reserve(test, &v, 100), 0);
	other.mag = hapool_mag_take(other.bin);
	KUNIT_ASSERT_NOT_NULL(test, other.mag);
	hatest_on_cpu(0);
	hatest_set_killed(true);
	KUNIT_EXPECT_EQ(test, try_alloc(test, 2, &at), -EINTR);
	other.moments = 3;
	hatest_meanwhile = other_puts_back;
	KUNIT_EXPECT_EQ(test, alloc_reserved(test, &v, 2, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, other.moments, 0);
	KUNIT_EXPECT_EQ(test, alloc_reserved(test, &v, 1, &at), 0);
	/* only these; what is freed makes the refusal forgotten */
	expect_freed(test, at, 1);
	other.mag = hapool_mag_take(other.bin);
	KUNIT_EXPECT_EQ(test, try_alloc(test, 3, &at), -EINTR);
	hapool_mag_put(other.bin, other.mag);
	hatest_set_killed(false);
	KUNIT_EXPECT_EQ(test, hapool_reservation_left(&f->p, &v), 99);
	hapool_reservation_close(&f->p, &v);
}

static void reserved_block_needs_no_memory_that_may_fail(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_reservation v;
	unsigned int i;
	u64 at;

	start(test, 1 << 14);
	for (at = 0; at < 1 << 14; at += 4)
		KUNIT_ASSERT_EQ(test, claim(test, at, 2), 0);
	open(test, &v);
	KUNIT_ASSERT_EQ(test, reserve(test, &v, 1 << 13), 0);
	hatest_inject_start(1, 0, true);
	for (i = 0; i < 1 << 13; i++)
		KUNIT_ASSERT_EQ(test, alloc_reserved(test, &v, 1, &at), 0);
	hatest_inject_stop();
	expect_account(test, 1 << 14, (1 << 12) + (1 << 13));
	hapool_reservation_close(&f->p, &v);
}

static void retired_blocks_are_not_reserved_before_they_are_reused(struct kunit *test)
{
	struct fixture *f = test->priv;
	enum hybrid_alloc_reason reason;
	struct hapool_reservation v;
	u64 nr;

	start_used(test, 1 << 14);
	KUNIT_ASSERT_EQ(test, claim(test, 9000, 100), 0);
	nr = unused(test);
	/* before there is a reservation, and after */
	KUNIT_ASSERT_EQ(test, claim(test, 9100, 50), 0);
	KUNIT_ASSERT_EQ(test, hapool_retire(&f->p, 9100, 50, &reason), 0);
	open(test, &v);
	KUNIT_ASSERT_EQ(test, hapool_retire(&f->p, 9000, 100, &reason), 0);
	KUNIT_EXPECT_EQ(test, reserve(test, &v, nr - 50 + 1), -EDQUOT);
	KUNIT_EXPECT_EQ(test, reserve(test, &v, nr - 50), 0);
	hapool_reuse(&f->p, 9100, 50);
	KUNIT_EXPECT_EQ(test, reserve(test, &v, 51), -EDQUOT);
	KUNIT_EXPECT_EQ(test, reserve(test, &v, 50), 0);
	hapool_reuse(&f->p, 9000, 100);
	KUNIT_EXPECT_EQ(test, reserve(test, &v, 101), -EDQUOT);
	KUNIT_EXPECT_EQ(test, reserve(test, &v, 100), 0);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	hapool_reservation_close(&f->p, &v);
}

static void what_trim_holds_comes_back_and_can_be_reserved(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 nr, at = 9000, len = 100;
	struct hapool_reservation v;

	start_used(test, 1 << 14);
	open(test, &v);
	nr = unused(test);
	KUNIT_ASSERT_EQ(test, reserve(test, &v, nr - 1), 0);
	KUNIT_ASSERT_EQ(test, hapool_hold(&f->p, &at, &len, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, hapool_reserve(&f->p, &v, 2, GFP_NOWAIT), -EDQUOT);
	KUNIT_EXPECT_EQ(test, hapool_reserve(&f->p, &v, 1, GFP_NOWAIT), 0);
	hapool_unhold(&f->p, at, len);
	KUNIT_EXPECT_EQ(test, reserve(test, &v, 1), -EDQUOT);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	hapool_reservation_close(&f->p, &v);
}

/*
 * CPU 0 allocates extents, CPU 1 frees them, until the depot has more than the magazines of both
 * have room for. Then only the depot has any.
 */
static void fill_depot(struct kunit *test, u32 len)
{
	struct fixture *f = test->priv;
	int class = haslab_class_of(&f->p.slab, len);
	static u64 at[512];
	unsigned int round, i;

	for (round = 0; round < 50; round++) {
		hatest_on_cpu(0);
		for (i = 0; i < ARRAY_SIZE(at); i++)
			at[i] = alloc(test, len);
		hatest_on_cpu(1);
		for (i = 0; i < ARRAY_SIZE(at); i++)
			expect_freed(test, at[i], len);
		if (hapool_depot_cached(&f->p, class) > 2 * f->p.limit[class])
			break;
	}
	KUNIT_ASSERT_LT(test, round, 50);
	hapool_drain_cpu(&f->p, 0);
	hapool_drain_cpu(&f->p, 1);
}

/* From magazines of the depot others are served by hits, as from all others. */
static void what_is_in_the_depot_is_no_slack(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_reservation v;
	unsigned int nr = 0;
	u64 at, left;

	if (!hatest_on_cpu(1) || !hatest_on_cpu(0))
		kunit_skip(test, "it takes two CPUs");
	f->nr_groups = 2;
	start(test, 1 << 20);
	fill_depot(test, 16);
	hatest_on_cpu(0);
	open(test, &v);
	KUNIT_ASSERT_EQ(test, reserve(test, &v, stat(test)->slab.free + 1), 0);
	left = unused(test) - stat(test)->reserved;
	while (nr <= left / 16 && !try_alloc(test, 16, &at))
		nr++;
	KUNIT_EXPECT_EQ(test, nr, left / 16);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	hapool_reservation_close(&f->p, &v);
}

/* What is left between the groups' windows and slots that are kept is there, too. */
static void windows_and_kept_slots_are_there(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_reservation v;
	u64 files[4], at, nr;
	unsigned int i;

	start(test, 1 << 18);
	/* files that grow by turns, each in a window of its own */
	for (i = 0; i < 4; i++)
		files[i] = alloc(test, 16) + 16;
	for (i = 0; i < 64; i++) {
		KUNIT_ASSERT_EQ(test, hapool_alloc(&f->p, 16, 1, files[i % 4], GFP_KERNEL, &at), 0);
		files[i % 4] = at + 16;
	}
	/* a slot that is mixed, and wholly free */
	KUNIT_ASSERT_EQ(test, claim(test, 1 << 17, 4095), 0);
	expect_freed(test, 1 << 17, 4095);
	open(test, &v);
	nr = unused(test);
	KUNIT_EXPECT_EQ(test, reserve(test, &v, nr + 1), -EDQUOT);
	KUNIT_ASSERT_EQ(test, reserve(test, &v, nr), 0);
	while (nr) {
		u64 len = nr > 5000 ? 1024 : 1;

		if (alloc_reserved(test, &v, len, &at))
			KUNIT_ASSERT_EQ(test, alloc_reserved(test, &v, len = 1, &at), 0);
		nr -= len;
	}
	KUNIT_EXPECT_EQ(test, unused(test), 0);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	hapool_reservation_close(&f->p, &v);
}

static void grown_space_can_be_reserved(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_reservation v;

	start_used(test, 1 << 14);
	open(test, &v);
	KUNIT_ASSERT_EQ(test, reserve(test, &v, unused(test)), 0);
	KUNIT_ASSERT_EQ(test, hapool_grow(&f->p, (1 << 14) + 300, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, reserve(test, &v, 301), -EDQUOT);
	KUNIT_EXPECT_EQ(test, reserve(test, &v, 300), 0);
	hapool_reservation_close(&f->p, &v);
}

static void undone_allocation_is_reserved_again(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_reservation v;
	u64 at, other_at;

	start_used(test, 1 << 14);
	open(test, &v);
	KUNIT_ASSERT_EQ(test, reserve(test, &v, unused(test)), 0);
	KUNIT_ASSERT_EQ(test, alloc_reserved(test, &v, 5, &at), 0);
	KUNIT_EXPECT_EQ(test, hapool_unalloc(&f->p, &v, at, 4), -EINVAL);
	KUNIT_EXPECT_EQ(test, hapool_unalloc(&f->p, &v, at, 5), 0);
	KUNIT_EXPECT_EQ(test, hapool_unalloc(&f->p, &v, at, 5), -ENOENT);
	KUNIT_EXPECT_EQ(test, stat(test)->reserved, unused(test));
	KUNIT_EXPECT_EQ(test, hapool_reservation_left(&f->p, &v), unused(test));
	KUNIT_EXPECT_EQ(test, try_alloc(test, 1, &other_at), -EDQUOT);
	/* also if it was the last of what is reserved */
	KUNIT_ASSERT_EQ(test, hapool_unreserve(&f->p, &v, unused(test) - 1), 0);
	KUNIT_ASSERT_EQ(test, alloc_reserved(test, &v, 1, &at), 0);
	KUNIT_EXPECT_EQ(test, stat(test)->reserved, 0);
	KUNIT_EXPECT_EQ(test, hapool_unalloc(&f->p, &v, at, 1), 0);
	KUNIT_EXPECT_EQ(test, stat(test)->reserved, 1);
	hapool_reservation_close(&f->p, &v);
}

/* A call that had begun before there was a reservation. */
static struct hapool_cpu *in_flight;

static void call_ends(void)
{
	if (--other.moments)
		return;
	in_flight->done++;
	hatest_meanwhile = NULL;
}

static void first_reservation_waits_for_calls_in_flight(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_reservation v, w;
	long graces;

	start(test, 1 << 12);
	in_flight = per_cpu_ptr(f->p.cpus, 0);
	in_flight->begun++;
	other.moments = 3;
	hatest_meanwhile = call_ends;
	graces = atomic_long_read(&hatest_graces);
	open(test, &v);
	KUNIT_EXPECT_EQ(test, other.moments, 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&hatest_graces), graces + 1);
	/* others do not, nor for calls that have begun since */
	in_flight->watched_begun++;
	open(test, &w);
	in_flight->watched_done++;
	KUNIT_EXPECT_EQ(test, atomic_long_read(&hatest_graces), graces + 1);
	hapool_reservation_close(&f->p, &w);
	hapool_reservation_close(&f->p, &v);
	/* a task that is killed does not wait, and leaves nothing */
	in_flight->begun++;
	hatest_set_killed(true);
	KUNIT_EXPECT_EQ(test, hapool_reservation_open(&f->p, &v), -EINTR);
	hatest_set_killed(false);
	in_flight->done++;
	KUNIT_EXPECT_EQ(test, stat(test)->nr_reservations, 0);
}

#ifndef __KERNEL__	/* lockdep rejects a task that waits for itself */
static void who_is_killed_while_it_reserves_leaves_nothing(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_reservation v;
	struct hapool_cpu *cpu;
	u64 nr;

	start_used(test, 1 << 14);
	open(test, &v);
	nr = unused(test);
	hatest_set_killed(true);
	/* while it waits for the slow mode, */
	mutex_lock(&f->p.slow);
	KUNIT_EXPECT_EQ(test, reserve(test, &v, nr), -EINTR);
	mutex_unlock(&f->p.slow);
	/* for a magazine, */
	other.bin = &per_cpu_ptr(f->p.cpus, 0)->bin[0];
	other.mag = hapool_mag_take(other.bin);
	KUNIT_ASSERT_NOT_NULL(test, other.mag);
	KUNIT_EXPECT_EQ(test, reserve(test, &v, nr), -EINTR);
	hapool_mag_put(other.bin, other.mag);
	/* and for a free, whose blocks may be the last one that it needs */
	cpu = per_cpu_ptr(f->p.cpus, 0);
	cpu->given++;
	KUNIT_EXPECT_EQ(test, reserve(test, &v, nr + 1), -EINTR);
	cpu->given--;
	hatest_set_killed(false);
	KUNIT_EXPECT_EQ(test, stat(test)->reserved, 0);
	KUNIT_EXPECT_FALSE(test, f->p.reserve->exclusive);
	/* the pools are open */
	warm_up(test, 1);
	KUNIT_EXPECT_GT(test, stat(test)->cached, 0);
	KUNIT_EXPECT_EQ(test, reserve(test, &v, nr), 0);
	hapool_reservation_close(&f->p, &v);
}

static void who_is_killed_opens_no_reservation(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_reservation v;

	start(test, 1 << 12);
	hatest_set_killed(true);
	mutex_lock(&f->p.slow);
	KUNIT_EXPECT_EQ(test, hapool_reservation_open(&f->p, &v), -EINTR);
	mutex_unlock(&f->p.slow);
	hatest_set_killed(false);
	KUNIT_EXPECT_EQ(test, stat(test)->nr_reservations, 0);
}
#endif

static void first_reservation_needs_memory(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_reservation v;

	start(test, 1 << 12);
	hatest_inject_start(1, 0, true);
	KUNIT_EXPECT_EQ(test, hapool_reservation_open(&f->p, &v), -ENOMEM);
	KUNIT_EXPECT_EQ(test, hatest_inject_stop(), 1);
	KUNIT_EXPECT_EQ(test, stat(test)->nr_reservations, 0);
	open(test, &v);
	hapool_reservation_close(&f->p, &v);
}

/* An allocation in steps, as for an extent that is bound, takes no more than others. */
static void search_in_steps_takes_nothing_that_is_reserved(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_reservation v;
	u64 len = 4, at;

	start_used(test, 1 << 14);
	open(test, &v);
	KUNIT_ASSERT_EQ(test, reserve(test, &v, unused(test) - 3), 0);
	KUNIT_ASSERT_EQ(test, hapool_search_begin(&f->p, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, hapool_search_find(&f->p, &len, 4, 1, &at), -EDQUOT);
	len = 2;
	KUNIT_ASSERT_EQ(test, hapool_search_find(&f->p, &len, 4, 1, &at), 0);
	KUNIT_EXPECT_EQ(test, len, 3);
	KUNIT_EXPECT_EQ(test, hapool_search_take(&f->p, at, 4), -EDQUOT);
	KUNIT_EXPECT_EQ(test, hapool_search_take(&f->p, at, 3), 0);
	KUNIT_EXPECT_EQ(test, hapool_search_take(&f->p, at + 3, 1), -EDQUOT);
	hapool_search_end(&f->p);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	hapool_reservation_close(&f->p, &v);
}

static int extend(struct kunit *test, u64 at, u64 len, u64 least, u64 most, u64 *got)
{
	struct fixture *f = test->priv;
	enum hybrid_alloc_reason reason;

	return hapool_extend(&f->p, at, len, least, most, GFP_KERNEL, got, &reason);
}

static void extension_takes_what_is_not_reserved_and_no_more(struct kunit *test)
{
	struct fixture *f = test->priv;
	enum hybrid_alloc_reason reason;
	struct hapool_reservation v;
	u64 got, nr;

	start_used(test, 1 << 14);
	KUNIT_ASSERT_EQ(test, claim(test, 8192, 20), 0);
	open(test, &v);
	nr = unused(test);
	KUNIT_ASSERT_EQ(test, reserve(test, &v, nr - 7), 0);
	KUNIT_EXPECT_EQ(test, extend(test, 8192, 20, 8, 8, &got), -EDQUOT);
	KUNIT_EXPECT_EQ(test, got, 0);
	KUNIT_EXPECT_EQ(test, stat(test)->reserved_refusals, 1);
	KUNIT_EXPECT_EQ(test, extend(test, 8192, 20, 3, 3, &got), 0);
	/* as far as it goes */
	KUNIT_EXPECT_EQ(test, extend(test, 8192, 23, 1, 1000, &got), 0);
	KUNIT_EXPECT_EQ(test, got, 4);
	KUNIT_EXPECT_EQ(test, extend(test, 8192, 27, 1, 1000, &got), -EDQUOT);
	KUNIT_EXPECT_EQ(test, unused(test), stat(test)->reserved);
	KUNIT_EXPECT_EQ(test, f->p.reserve->booked, 0);
	/* what is cut off can be reserved */
	KUNIT_EXPECT_EQ(test, hapool_cut(&f->p, 8200, 5, GFP_KERNEL, &reason), 0);
	KUNIT_EXPECT_EQ(test, reserve(test, &v, 6), -EDQUOT);
	KUNIT_EXPECT_EQ(test, reserve(test, &v, 5), 0);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	hapool_reservation_close(&f->p, &v);
	/* without one it is extended as before, though calls still book */
	open(test, &v);
	KUNIT_EXPECT_EQ(test, extend(test, 8205, 14, 1, 1000, &got), 0);
	KUNIT_EXPECT_EQ(test, got, 1000);
	hapool_reservation_close(&f->p, &v);
}

/* From a shortest to a longest length, at any alignment: 0 or an errno. @len: in, out. */
static int upto(struct kunit *test, u64 *len, u64 max, u64 align, gfp_t gfp)
{
	struct fixture *f = test->priv;
	u64 at;

	return hapool_alloc_upto(&f->p, len, max, align, HAPOOL_NO_GOAL, gfp, &at);
}

static void range_of_lengths_takes_what_is_not_reserved_and_no_more(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_reservation v;
	u64 len = 8, at;

	start_used(test, 1 << 14);
	open(test, &v);
	KUNIT_ASSERT_EQ(test, reserve(test, &v, unused(test) - 7), 0);
	KUNIT_EXPECT_EQ(test, upto(test, &len, 1000, 1, GFP_KERNEL), -EDQUOT);
	KUNIT_EXPECT_EQ(test, stat(test)->reserved_refusals, 1);
	len = 2;
	KUNIT_EXPECT_EQ(test, upto(test, &len, 5, 3, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, len, 5);
	KUNIT_EXPECT_EQ(test, hapool_alloc(&f->p, 3, 3, HAPOOL_NO_GOAL, GFP_KERNEL, &at), -EDQUOT);
	len = 1;
	KUNIT_EXPECT_EQ(test, upto(test, &len, 1000, 1, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, len, 2);
	len = 1;
	KUNIT_EXPECT_EQ(test, upto(test, &len, 1000, 1, GFP_KERNEL), -EDQUOT);
	KUNIT_EXPECT_EQ(test, unused(test), stat(test)->reserved);
	KUNIT_EXPECT_EQ(test, f->p.reserve->booked, 0);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	/* what was not granted for that reason is no refusal of what is longer */
	KUNIT_EXPECT_EQ(test, hapool_unreserve(&f->p, &v, 1200), 0);
	len = 1;
	KUNIT_EXPECT_EQ(test, upto(test, &len, 1000, 1, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, len, 1000);
	hapool_reservation_close(&f->p, &v);
}

/* With the pools open, how much there is exactly is not known. */
static void range_of_lengths_that_may_not_wait_gets_eagain(struct kunit *test)
{
	struct hapool_reservation v;
	struct fixture *f = test->priv;
	u64 len = 1;

	start_used(test, 1 << 14);
	open(test, &v);
	KUNIT_ASSERT_EQ(test, reserve(test, &v, unused(test) / 8), 0);
	KUNIT_ASSERT_FALSE(test, f->p.reserve->tight);
	KUNIT_EXPECT_EQ(test, upto(test, &len, 1 << 14, 1, GFP_NOWAIT), -EAGAIN);
	KUNIT_EXPECT_EQ(test, stat(test)->reserved_refusals, 0);
	len = 1;
	KUNIT_EXPECT_EQ(test, upto(test, &len, 4, 1, GFP_NOWAIT), 0);
	KUNIT_EXPECT_EQ(test, len, 4);
	KUNIT_EXPECT_EQ(test, f->p.reserve->booked, 0);
	hapool_reservation_close(&f->p, &v);
}

/* Without reservations, with an open one: the longest run, in the slow mode and without memory. */
static void range_of_lengths_is_booked_while_nothing_is_reserved(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_reservation v;
	u64 len = 1;

	start_shredded(test, 1 << 10);
	open(test, &v);
	KUNIT_EXPECT_EQ(test, upto(test, &len, 64, 1, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, len, 1);
	len = 2;
	KUNIT_EXPECT_EQ(test, upto(test, &len, 64, 1, GFP_KERNEL), -ENOSPC);
	len = 1 << 10;
	KUNIT_EXPECT_EQ(test, upto(test, &len, 1 << 10, 1, GFP_KERNEL), -ENOSPC);
	KUNIT_EXPECT_EQ(test, f->p.reserve->booked, 0);
	hapool_reservation_close(&f->p, &v);
}

static void range_of_lengths_against_a_reservation(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_reservation v;
	u64 len = 11, at;

	start_used(test, 1 << 14);
	open(test, &v);
	KUNIT_ASSERT_EQ(test, reserve(test, &v, 10), 0);
	KUNIT_EXPECT_EQ(test, hapool_alloc_reserved(&f->p, &v, &len, 20, 1, HAPOOL_NO_GOAL,
						    GFP_KERNEL, &at), -EINVAL);
	len = 2;
	KUNIT_EXPECT_EQ(test, hapool_alloc_reserved(&f->p, &v, &len, 4, 3, HAPOOL_NO_GOAL,
						    GFP_KERNEL, &at), 0);
	KUNIT_EXPECT_EQ(test, len, 4);
	KUNIT_EXPECT_EQ(test, at % 3, 0);
	KUNIT_EXPECT_EQ(test, hapool_reservation_left(&f->p, &v), 6);
	/* no more than it has */
	len = 1;
	KUNIT_EXPECT_EQ(test, hapool_alloc_reserved(&f->p, &v, &len, 1000, 1, HAPOOL_NO_GOAL,
						    GFP_KERNEL, &at), 0);
	KUNIT_EXPECT_EQ(test, len, 6);
	KUNIT_EXPECT_EQ(test, stat(test)->reserved, 0);
	hapool_reservation_close(&f->p, &v);

	/* what was found is shorter: the rest stays reserved */
	start_shredded(test, 1 << 10);
	open(test, &v);
	KUNIT_ASSERT_EQ(test, reserve(test, &v, 512), 0);
	len = 2;
	KUNIT_EXPECT_EQ(test, hapool_alloc_reserved(&f->p, &v, &len, 64, 1, HAPOOL_NO_GOAL,
						    GFP_KERNEL, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, hapool_reservation_left(&f->p, &v), 512);
	for (; hapool_reservation_left(&f->p, &v);) {
		len = 1;
		KUNIT_ASSERT_EQ(test, hapool_alloc_reserved(&f->p, &v, &len, 64, 1, HAPOOL_NO_GOAL,
							    GFP_KERNEL, &at), 0);
		KUNIT_ASSERT_EQ(test, len, 1);
	}
	KUNIT_EXPECT_EQ(test, unused(test), 0);
	KUNIT_EXPECT_EQ(test, stat(test)->reserved, 0);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	hapool_reservation_close(&f->p, &v);
}

#define NR_LOADED	100
#define LOADED_LEN	8

/* Claims all ranges. Return: how many were refused; all others have succeeded. */
static u32 load(struct kunit *test, const struct haslab_range *x, gfp_t gfp, int why)
{
	struct fixture *f = test->priv;
	u32 done, i, refused = 0;
	int ret;

	for (i = 0; i < NR_LOADED; i += done) {
		done = hapool_claim_some(&f->p, x + i, NR_LOADED - i, gfp, &ret);
		if (ret)
			KUNIT_EXPECT_EQ(test, ret, why);
		refused += !!ret;
	}
	return refused;
}

static void loader_takes_what_is_not_reserved_and_no_more(struct kunit *test)
{
	struct haslab_range x[NR_LOADED];
	struct fixture *f = test->priv;
	struct hapool_reservation v;
	u32 i;

	for (i = 0; i < NR_LOADED; i++)
		x[i] = (struct haslab_range) { 4096 + LOADED_LEN * i, LOADED_LEN };
	start_used(test, 1 << 14);
	open(test, &v);
	KUNIT_ASSERT_EQ(test, reserve(test, &v, unused(test) - 10 * LOADED_LEN - 3), 0);
	KUNIT_EXPECT_EQ(test, load(test, x, GFP_KERNEL, -EDQUOT), NR_LOADED - 10);
	KUNIT_EXPECT_EQ(test, stat(test)->reserved_refusals, NR_LOADED - 10);
	KUNIT_EXPECT_EQ(test, unused(test), stat(test)->reserved + 3);
	KUNIT_EXPECT_EQ(test, f->p.reserve->booked, 0);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	for (i = 0; i < 10; i++)
		expect_freed(test, x[i].start, LOADED_LEN);
	/* while nothing is refused, in one go; what is loaded is counted as without */
	KUNIT_EXPECT_EQ(test, hapool_unreserve(&f->p, &v, hapool_reservation_left(&f->p, &v)), 0);
	hapool_drain(&f->p);
	KUNIT_EXPECT_EQ(test, load(test, x, GFP_KERNEL, 0), 0);
	KUNIT_EXPECT_EQ(test, f->p.reserve->booked, 0);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	hapool_reservation_close(&f->p, &v);
}

/* Who reserves waits for frees in flight: one that waits for memory or others must be none. */
static struct kunit *cut_test;

static void cut_is_not_in_flight(void)
{
	struct fixture *f = cut_test->priv;

	KUNIT_EXPECT_FALSE(cut_test, hapool_is_freeing(&f->p));
	other_puts_back();
}

static void cut_that_waits_is_no_free_in_flight(struct kunit *test)
{
	struct fixture *f = test->priv;
	enum hybrid_alloc_reason reason;
	u64 at;

	start_used(test, 1 << 14);
	at = alloc(test, 32);
	other.bin = &per_cpu_ptr(f->p.cpus, 0)->bin[0];
	other.mag = hapool_mag_take(other.bin);
	KUNIT_ASSERT_NOT_NULL(test, other.mag);
	other.moments = 3;
	cut_test = test;
	hatest_meanwhile = cut_is_not_in_flight;
	/* the slab has no room for parts, so it goes on in the slow mode when there is no memory */
	hatest_inject_start(0, 1, false);
	KUNIT_EXPECT_EQ(test, hapool_cut(&f->p, at + 5, 5, GFP_KERNEL, &reason), 0);
	KUNIT_EXPECT_GT(test, hatest_inject_stop(), 0);
	KUNIT_EXPECT_EQ(test, other.moments, 0);
	if (other.moments)
		hapool_mag_put(other.bin, other.mag);
	hatest_meanwhile = NULL;
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
}

static void aligned_block_may_not_be_there(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_reservation v;
	u64 at, len = 1;

	start_shredded(test, 1 << 12);
	KUNIT_ASSERT_EQ(test, claim(test, 0, 1), 0);
	open(test, &v);
	KUNIT_ASSERT_EQ(test, reserve(test, &v, 1), 0);
	KUNIT_EXPECT_EQ(test, hapool_alloc_reserved(&f->p, &v, &len, 1, 1 << 12,
						    HAPOOL_NO_GOAL, GFP_KERNEL, &at), -ENOSPC);
	KUNIT_EXPECT_EQ(test, hapool_reservation_left(&f->p, &v), 1);
	KUNIT_EXPECT_EQ(test, hapool_alloc_reserved(&f->p, &v, &len, 1, 2, HAPOOL_NO_GOAL,
						    GFP_KERNEL, &at), 0);
	KUNIT_EXPECT_EQ(test, at % 2, 0);
	hapool_reservation_close(&f->p, &v);
}

/* A call that has seen nothing reserved may take the blocks that an undone one frees. */
static void undone_allocation_may_be_lost_to_a_call_in_flight(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_reservation v;
	u64 at;

	start_used(test, 1 << 14);
	open(test, &v);
	KUNIT_ASSERT_EQ(test, reserve(test, &v, 1), 0);
	KUNIT_ASSERT_EQ(test, alloc_reserved(test, &v, 1, &at), 0);
	f->p.reserve->booked++;
	KUNIT_EXPECT_EQ(test, hapool_unalloc(&f->p, &v, at, 2), -EINVAL);
	KUNIT_EXPECT_EQ(test, hapool_unalloc(&f->p, &v, at, 1), -EDQUOT);
	f->p.reserve->booked--;
	KUNIT_EXPECT_EQ(test, stat(test)->reserved, 0);
	KUNIT_EXPECT_EQ(test, hapool_reservation_left(&f->p, &v), 0);
	KUNIT_EXPECT_EQ(test, claim(test, at, 1), 0);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	hapool_reservation_close(&f->p, &v);
}

static void check_finds_more_reserved_than_there_is(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct hapool_reservation v;

	start_used(test, 1 << 14);
	open(test, &v);
	KUNIT_ASSERT_EQ(test, reserve(test, &v, unused(test)), 0);
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), 0);
	f->p.reserve->reserved++;
	KUNIT_EXPECT_EQ(test, hapool_check(&f->p), -EUCLEAN);
	f->p.reserve->reserved--;
	hapool_reservation_close(&f->p, &v);
}

static struct kunit_case reserve_cases[] = {
	KUNIT_CASE(all_that_is_unused_can_be_reserved_and_no_more),
	KUNIT_CASE(others_take_what_is_not_reserved_and_no_more),
	KUNIT_CASE(shredded_device_is_filled_against_a_reservation),
	KUNIT_CASE(hits_stay_hits_far_from_the_limit),
	KUNIT_CASE(pools_are_closed_near_the_limit_and_open_again),
	KUNIT_CASE(who_may_not_wait_gets_eagain_near_the_limit),
	KUNIT_CASE(allocation_against_a_reservation_is_not_interrupted),
	KUNIT_CASE(reserved_block_needs_no_memory_that_may_fail),
	KUNIT_CASE(retired_blocks_are_not_reserved_before_they_are_reused),
	KUNIT_CASE(what_trim_holds_comes_back_and_can_be_reserved),
	KUNIT_CASE(what_is_in_the_depot_is_no_slack),
	KUNIT_CASE(windows_and_kept_slots_are_there),
	KUNIT_CASE(grown_space_can_be_reserved),
	KUNIT_CASE(undone_allocation_is_reserved_again),
	KUNIT_CASE(first_reservation_waits_for_calls_in_flight),
#ifndef __KERNEL__
	KUNIT_CASE(who_is_killed_while_it_reserves_leaves_nothing),
	KUNIT_CASE(who_is_killed_opens_no_reservation),
#endif
	KUNIT_CASE(first_reservation_needs_memory),
	KUNIT_CASE(search_in_steps_takes_nothing_that_is_reserved),
	KUNIT_CASE(extension_takes_what_is_not_reserved_and_no_more),
	KUNIT_CASE(range_of_lengths_takes_what_is_not_reserved_and_no_more),
	KUNIT_CASE(range_of_lengths_that_may_not_wait_gets_eagain),
	KUNIT_CASE(range_of_lengths_is_booked_while_nothing_is_reserved),
	KUNIT_CASE(range_of_lengths_against_a_reservation),
	KUNIT_CASE(loader_takes_what_is_not_reserved_and_no_more),
	KUNIT_CASE(cut_that_waits_is_no_free_in_flight),
	KUNIT_CASE(aligned_block_may_not_be_there),
	KUNIT_CASE(undone_allocation_may_be_lost_to_a_call_in_flight),
	KUNIT_CASE(check_finds_more_reserved_than_there_is),
	{}
};

static struct kunit_suite reserve_suite = {
	.name = "reserve",
	.init = pool_test_init,
	.exit = pool_test_exit,
	.test_cases = reserve_cases,
};

kunit_test_suite(reserve_suite);
