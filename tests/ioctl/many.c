// SPDX-License-Identifier: GPL-2.0
/*
 * Where an extent shall be, and several instead of one: goals are met where the
 * space is free and never make a call fail; ALLOC_MANY takes the largest runs
 * that there are, up to the number that will do, all or nothing unless a part
 * is enough. Built for 64 and for 32 bit callers.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include "harness.h"

#define MAX		HYBRID_ALLOC_MAX_ITEMS
#define GOAL		HYBRID_ALLOC_ALLOC_GOAL
#define PARTIAL		HYBRID_ALLOC_ALLOC_PARTIAL
#define NR_HOLES	40
#define HOLE_EVERY	(8 * MIB)

static const char *disk;
static u32 id;
static int fd;
static u64 begin, capacity;
static struct hybrid_alloc_stat before;
static struct hybrid_alloc_extent exts[MAX];

static void remember(void)
{
	ha_op(fd, HYBRID_ALLOC_IOC_DRAIN);
	before = ha_stat(fd, 0);
}

static void refused(int got, int want, const char *how)
{
	struct hybrid_alloc_stat after;
	bool same;

	/* what failed for lack of space may have emptied the pools */
	ha_op(fd, HYBRID_ALLOC_IOC_DRAIN);
	after = ha_stat(fd, 0);
	same = before.charged == after.charged && before.nr_live == after.nr_live &&
	       before.free == after.free;
	if (!t_ok(got == want && same, "%s: %s", how, t_strerror(want)))
		t_note("got %s%s", t_strerror(got), same ? "" : ", and the state changed");
}

static int alloc_at(u64 goal, u64 len, u64 align, u32 flags, struct hybrid_alloc_extent *e)
{
	struct hybrid_alloc_alloc a = {
		.size = sizeof(a), .flags = flags, .len = len, .align = align, .goal = goal,
	};
	int err = ha_ioctl(fd, HYBRID_ALLOC_IOC_ALLOC, &a);

	*e = a.extent;
	return err;
}

static int many(int f, u64 len, u64 align, u32 nr, u32 flags, u32 *got, u64 *total)
{
	struct hybrid_alloc_many m = { .flags = flags, .len = len, .align = align };
	int err = ha_alloc_many(f, &m, exts, nr);

	*got = m.nr_extents;
	*total = m.total;
	return err;
}

/* Frees the first @nr of exts. True if they were live, and @total together. */
static bool free_many(u32 nr, u64 total)
{
	u64 sum = 0;
	u32 i, bad = 0;

	for (i = 0; i < nr; i++) {
		sum += exts[i].len;
		bad += !!ha_free(fd, exts[i].start, exts[i].len, NULL);
	}
	return !bad && sum == total;
}

static void test_goal(void)
{
	u64 mid = begin + capacity / 2 / MIB * MIB;
	static const u64 sizes[] = { BLOCK, 3 * BLOCK, 64 * KIB, 68 * KIB, MIB, 3 * MIB,
				     20 * MIB + BLOCK };
	struct hybrid_alloc_extent e, f;
	u32 i;
	int err;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		err = alloc_at(mid, sizes[i], 0, GOAL, &e);
		t_ok(!err && e.start == mid && e.len == sizes[i],
		     "a goal that is free is met with %llu bytes", sizes[i]);
		err = err ?: alloc_at(mid, sizes[i], 0, GOAL, &f);
		if (!t_ok(!err && (f.start >= mid + sizes[i] || f.start + f.len <= mid),
			  "the next one is elsewhere"))
			t_note("%s, %llu for %llu", t_strerror(err), (u64)f.start, mid);
		t_note("%lld bytes behind the goal", (long long)(f.start - mid));
		if (err)
			return;
		ha_free(fd, f.start, f.len, NULL);
		t_errno(ha_free(fd, e.start, e.len, NULL), 0, "FREE of what met its goal");
	}
	/* appending: the file grows where it ends */
	err = alloc_at(mid + 5 * BLOCK, 2 * BLOCK, 0, GOAL, &e) ?:
	      alloc_at(e.start + e.len, 7 * BLOCK, 0, GOAL, &f);
	t_ok(!err && e.start == mid + 5 * BLOCK && f.start == e.start + e.len,
	     "an extent is continued where it ends");
	ha_free(fd, e.start, e.len, NULL);
	ha_free(fd, f.start, f.len, NULL);
	err = alloc_at(mid + BLOCK + 77, BLOCK, 0, GOAL, &e);
	t_ok(!err && e.start == mid + BLOCK, "a goal inside a block means its start");
	ha_free(fd, e.start, e.len, NULL);
	err = alloc_at(mid + BLOCK, MIB, MIB, GOAL, &e);
	t_ok(!err && !(e.start % MIB), "alignment comes before the goal");
	ha_free(fd, e.start, e.len, NULL);
	err = alloc_at(begin + capacity - 1, 2 * BLOCK, 0, GOAL, &e);
	t_errno(err, 0, "a goal in the last block, for two");
	ha_free(fd, e.start, e.len, NULL);
	t_errno(alloc_at(begin + capacity, BLOCK, 0, GOAL, &e), 0, "a goal at the end is none");
	ha_free(fd, e.start, e.len, NULL);
	t_errno(alloc_at(~0ULL, BLOCK, 0, GOAL, &e), 0, "a goal at 2^64 - 1 is none");
	ha_free(fd, e.start, e.len, NULL);

	remember();
	refused(alloc_at(BLOCK, BLOCK, 0, 0, &e), EINVAL, "a goal that is not said to be one");
	refused(alloc_at(mid, BLOCK, 0, PARTIAL, &e), EINVAL, "a part of one extent");

	/* the only free block is far from the goal */
	err = ha_claim(fd, begin, capacity - BLOCK) ?: alloc_at(begin, BLOCK, 0, GOAL, &e);
	t_ok(!err && e.start == begin + capacity - BLOCK, "a goal never makes a call fail");
	t_errno(alloc_at(begin, BLOCK, 0, GOAL, &f), ENOSPC, "but lack of space does");
	ha_free(fd, e.start, e.len, NULL);
	t_errno(ha_free(fd, begin, capacity - BLOCK, NULL), 0, "FREE of the rest");
}

/* What lies between the holes; hole i has i + 1 blocks. */
static void for_walls(bool claim)
{
	u64 pos = begin, hole;
	u32 i;

	for (i = 0; i <= NR_HOLES; i++) {
		hole = i == NR_HOLES ? begin + capacity : begin + (i + 1) * HOLE_EVERY;
		if (claim ? ha_claim(fd, pos, hole - pos) : ha_free(fd, pos, hole - pos, NULL))
			t_die("wall %u", i);
		pos = hole + (i + 1) * BLOCK;
	}
}

static u64 largest_holes(u32 nr)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < nr; i++)
		sum += (NR_HOLES - i) * BLOCK;
	return sum;
}

static void test_holes(void)
{
	u64 total, all = largest_holes(NR_HOLES);
	u32 got, i, bad;
	int err;

	for_walls(true);
	remember();
	t_eq(before.free, all, "the device has just these holes");
	err = many(fd, 40 * BLOCK, 0, MAX, 0, &got, &total);
	t_ok(!err && got == 1 && total == 40 * BLOCK, "one extent where one will do");
	t_ok(free_many(got, total), "FREE of it");

	err = many(fd, largest_holes(5), 0, 5, 0, &got, &total);
	for (i = bad = 0; i < got; i++)
		bad += exts[i].len < 36 * BLOCK || exts[i].start % HOLE_EVERY;
	t_ok(!err && got == 5 && !bad && total == largest_holes(5),
	     "the five largest holes where five will do");
	t_ok(free_many(got, total), "FREE of each by itself");
	err = many(fd, largest_holes(5) - 3 * BLOCK - 1, 0, 5, 0, &got, &total);
	t_ok(!err && got == 5 && total == largest_holes(5) - 3 * BLOCK,
	     "no more than was wanted, whole blocks");
	t_ok(free_many(got, total), "FREE of these");

	remember();
	refused(many(fd, largest_holes(5), 0, 4, 0, &got, &total), ENOSPC,
		"five holes where only four will do");
	refused(many(fd, all + BLOCK, 0, MAX, 0, &got, &total), ENOSPC, "more than there is");
	err = many(fd, largest_holes(5), 0, 4, PARTIAL, &got, &total);
	t_ok(!err && got == 4 && total == largest_holes(4), "a part: four of the five");
	t_ok(free_many(got, total), "FREE of them");
	err = many(fd, capacity, 0, 7, PARTIAL, &got, &total);
	t_ok(!err && got == 7 && total == largest_holes(7), "a part of far too much");
	t_ok(free_many(got, total), "FREE of it");

	err = many(fd, all, 0, NR_HOLES, 0, &got, &total);
	t_ok(!err && got == NR_HOLES && total == all, "all that is free");
	t_errno(ha_alloc(fd, BLOCK, 0, NULL), ENOSPC, "nothing is left");
	t_ok(many(fd, BLOCK, 0, 1, PARTIAL, &i, &total) == ENOSPC && !i && !total,
	     "not even a part: ENOSPC");
	t_ok(free_many(got, all), "FREE of all");

	/* of hole i, which is aligned, the first part can be had */
	err = many(fd, 80 * BLOCK, HOLE_EVERY, 3, 0, &got, &total);
	for (i = bad = 0; i < got; i++)
		bad += !!(exts[i].start % HOLE_EVERY);
	t_ok(!err && got <= 3 && !bad && total == 80 * BLOCK, "each is aligned");
	t_ok(free_many(got, total), "FREE of aligned ones");
	err = many(fd, 80 * BLOCK, 16 * HOLE_EVERY, MAX, PARTIAL, &got, &total);
	for (i = bad = 0; i < got; i++)
		bad += !!(exts[i].start % (16 * HOLE_EVERY));
	t_ok(!err && got == 2 && !bad && total >= 24 * BLOCK,
	     "where few holes are aligned, a part is found there");
	t_ok(free_many(got, total), "FREE of that part");
	for_walls(false);
}

/* From a shortest to a longest length, in the same holes. */
static void test_min(void)
{
	struct hybrid_alloc_alloc a = { .size = sizeof(a) }, b;
	u64 i, searches, total;
	u32 got;
	int err;

	for_walls(true);
	remember();
	searches = before.slow_searches;
	b = a;
	b.len = 4 * MIB;
	b.min = 8 * BLOCK;
	err = ha_ioctl(fd, HYBRID_ALLOC_IOC_ALLOC, &b);
	t_ok(!err && b.extent.len == 40 * BLOCK, "the longest hole, which is less than was wanted");
	t_ok(ha_stat(fd, 0).slow_searches <= searches + 1, "it takes one search");
	ha_free(fd, b.extent.start, b.extent.len, NULL);
	b = a;
	b.len = 5 * BLOCK + 1;
	b.min = 1;
	err = ha_ioctl(fd, HYBRID_ALLOC_IOC_ALLOC, &b);
	t_ok(!err && b.extent.len == 6 * BLOCK, "all that was wanted where it fits, rounded up");
	ha_free(fd, b.extent.start, b.extent.len, NULL);
	b = a;
	b.flags = HYBRID_ALLOC_ALLOC_BOUND;
	b.len = capacity * 2;
	b.min = BLOCK;
	b.align = 24 * KIB;
	err = ha_ioctl(fd, HYBRID_ALLOC_IOC_ALLOC, &b);
	for (i = 0, total = 0; i < NR_HOLES; i++) {
		u64 at = begin + (i + 1) * HOLE_EVERY, skip = (b.align - at % b.align) % b.align;

		if ((i + 1) * BLOCK > skip && (i + 1) * BLOCK - skip > total)
			total = (i + 1) * BLOCK - skip;
	}
	t_ok(!err && !(b.extent.start % b.align) && b.extent.len == total,
	     "the longest at a multiple of 24 KiB, bound");
	ha_free(fd, b.extent.start, b.extent.len, NULL);

	err = ha_alloc_many(fd, &(struct hybrid_alloc_many){
			.len = largest_holes(NR_HOLES), .min = 38 * BLOCK, .flags = PARTIAL,
		}, exts, MAX);
	for (got = 0, total = 0; !err && exts[got].len && got < 3; got++)
		total += exts[got].len;
	t_ok(!err && total == largest_holes(3), "of a part no extent is shorter than min");
	t_ok(free_many(3, largest_holes(3)), "FREE of them");

	remember();
#define TRY(want, how, ...) do {					\
		b = a;							\
		__VA_ARGS__;						\
		refused(ha_ioctl(fd, HYBRID_ALLOC_IOC_ALLOC, &b), want, how); \
	} while (0)
	TRY(EINVAL, "min without len", b.min = BLOCK);
	TRY(EINVAL, "min above len", b.min = BLOCK + 1, b.len = BLOCK);
	TRY(EINVAL, "an alignment of no whole blocks", b.len = BLOCK, b.align = 3 * BLOCK / 2);
	TRY(EFBIG, "min above the managed range", b.min = capacity + 1, b.len = capacity + 2);
	TRY(ENOSPC, "min above the longest run", b.min = 41 * BLOCK, b.len = 4 * MIB);
#undef TRY
	refused(ha_alloc_many(fd, &(struct hybrid_alloc_many){
			.len = BLOCK, .min = 2 * BLOCK }, exts, MAX), EINVAL,
		"ALLOC_MANY: min above len");
	refused(ha_alloc_many(fd, &(struct hybrid_alloc_many){
			.len = 90 * BLOCK, .min = 39 * BLOCK }, exts, MAX), ENOSPC,
		"ALLOC_MANY: the rest would be shorter than min");
	for_walls(false);
}

static void test_refused(void)
{
	struct hybrid_alloc_many m = {
		.size = sizeof(m), .items = (uintptr_t)exts, .nr = 2,
		.item_size = sizeof(exts[0]), .len = BLOCK,
	}, n;
	void *ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	n = m;
	n.goal = begin + capacity;
	n.flags = GOAL;
	t_ok(!ha_ioctl(fd, HYBRID_ALLOC_IOC_ALLOC_MANY, &n) && n.nr_extents == 1,
	     "a goal at the end is none");
	ha_free(fd, exts[0].start, exts[0].len, NULL);
	remember();
#define TRY(want, how, ...) do {					\
		n = m;							\
		__VA_ARGS__;						\
		refused(ha_ioctl(fd, HYBRID_ALLOC_IOC_ALLOC_MANY, &n), want, how); \
	} while (0)
	TRY(EINVAL, "len 0", n.len = 0);
	TRY(EINVAL, "align 3", n.align = 3);
	TRY(EINVAL, "no extent", n.nr = 0);
	TRY(EINVAL, "too many extents", n.nr = MAX + 1);
	TRY(EINVAL, "item_size too small", n.item_size -= 8);
	TRY(EINVAL, "item_size no multiple of 8", n.item_size += 1);
	TRY(EINVAL, "a goal that is not said to be one", n.goal = BLOCK);
	TRY(EFBIG, "more than the managed range", n.len = capacity + 1);
	TRY(EFBIG, "a part of more than the managed range", n.len = ~0ULL, n.flags = PARTIAL);
	TRY(EFAULT, "items NULL", n.items = 0);
	TRY(EFAULT, "items read-only", n.items = (uintptr_t)ro);
#undef TRY
	munmap(ro, 4096);
}

static void test_bound(void)
{
	int f = ha_must_open(id, O_RDWR), err;
	u64 total;
	u32 got;

	for_walls(true);
	remember();
	err = many(f, largest_holes(9), 0, 9, HYBRID_ALLOC_ALLOC_BOUND, &got, &total);
	t_ok(!err && got == 9, "several extents bound to a file");
	t_errno(ha_free(fd, exts[3].start, exts[3].len, NULL), EPERM, "FREE by another file");
	t_errno(ha_free(f, exts[3].start, exts[3].len, NULL), 0, "FREE by the owner");
	close(f);
	refused(0, 0, "close gives back the others");
	for_walls(false);
}

/* Extents of which the caller cannot be told. */
static void test_undone(void)
{
	int faults = 0, bad = 0, err;
	struct hybrid_alloc_many m;
	struct t_flip flip;
	double until;

	for_walls(true);
	remember();
	t_flip_start(&flip, 5 * sizeof(exts[0]));
	for (until = t_now() + 2; t_now() < until || !faults;) {
		m = (struct hybrid_alloc_many){
			.size = sizeof(m), .items = (uintptr_t)flip.mem, .nr = 5,
			.item_size = sizeof(exts[0]), .len = largest_holes(5),
		};
		err = ha_ioctl(fd, HYBRID_ALLOC_IOC_ALLOC_MANY, &m);
		if (!err) {
			memcpy(exts, flip.same, 5 * sizeof(exts[0]));
			bad += !free_many(5, m.total);
		} else {
			bad += err != EFAULT;
			faults++;
		}
		bad += ha_stat(fd, 0).charged != before.charged;
	}
	t_flip_stop(&flip);
	t_note("%d calls got EFAULT", faults);
	t_ok(faults && !bad, "EFAULT leaves nothing allocated");
	for_walls(false);
}

static void test_max_block(void)
{
	struct hybrid_alloc_attach a = { .max_block = 2 * MIB };
	u32 got, i, bad;
	u64 total;
	int err;

	if (ha_attach(&a, disk, HYBRID_ALLOC_ATTACH_FRESH, &id))
		t_die("attach with max_block");
	fd = ha_must_open(id, O_RDWR);
	remember();
	err = many(fd, 9 * MIB, 0, 5, 0, &got, &total);
	for (i = bad = 0; i < got; i++)
		bad += exts[i].len > 2 * MIB;
	t_ok(!err && got == 5 && !bad && total == 9 * MIB, "max_block splits what is wanted");
	t_ok(free_many(got, total), "FREE of all five");
	refused(many(fd, 9 * MIB, 0, 4, 0, &got, &total), EFBIG, "more than nr times max_block");
	err = many(fd, 9 * MIB, 0, 4, PARTIAL, &got, &total);
	t_ok(!err && got == 4 && total == 8 * MIB, "of which a part can be had");
	t_ok(free_many(got, total), "FREE of all four");
	close(fd);
	t_errno(ha_detach(id, 0), 0, "DETACH");
}

int main(void)
{
	struct hybrid_alloc_stat start;
	struct hybrid_alloc_info info;

	t_note("a caller of %zu bits", sizeof(long) * 8);
	/* a refused call may make the magazine that its CPU lacks, which STAT counts */
	t_pin(0);
	ha_need_module();
	disk = t_disk("hat-many", 1024);
	id = ha_must_attach(disk, HYBRID_ALLOC_ATTACH_FRESH);
	fd = ha_must_open(id, O_RDWR);
	if (ha_info(fd, 0, 0, &info))
		t_die("INFO");
	begin = info.range_start;
	capacity = info.range_len;
	start = ha_stat(fd, 0);
	test_goal();
	t_all_back(fd, &start, "goals");
	test_refused();
	test_holes();
	test_min();
	t_all_back(fd, &start, "holes");
	test_bound();
	test_undone();
	t_all_back(fd, &start, "at the end");
	close(fd);
	t_errno(ha_detach(id, 0), 0, "DETACH");
	test_max_block();
	t_nullb_remove("hat-many");
	return t_done();
}
