// SPDX-License-Identifier: GPL-2.0
/*
 * MAP tells all of the device, without gaps, and each live extent as it is: in
 * pages of any size, from any start, while others are at work; and STAT's
 * picture of the free runs is the same. Built for 64 and for 32 bit callers.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include "harness.h"

#define MAX	HYBRID_ALLOC_MAX_ITEMS
#define NR_EXTS	3000

static const char *disk;
static u32 id;
static int fd, fd_ro;
static u64 begin, end;		/* of the managed range */
static u64 rng;

static struct map {
	struct hybrid_alloc_map_entry *e;
	u32 nr, max;
} all;

/* All of it, in pages of @page entries. False, with a note, if it is not whole. */
static bool map_all(u32 page)
{
	u64 pos = begin;
	u32 got, i;
	int err;

	for (all.nr = 0; pos < end; all.nr += got) {
		if (all.max < all.nr + page) {
			all.max = 2 * (all.nr + page);
			all.e = realloc(all.e, all.max * sizeof(*all.e));
			if (!all.e)
				t_die("no memory");
		}
		err = ha_map_flags(fd_ro, HYBRID_ALLOC_MAP_KINDS, pos, 0, all.e + all.nr, page,
				   &got);
		if (err || !got || got > page) {
			t_note("MAP from %llu: %s, %u entries", pos, t_strerror(err), got);
			return false;
		}
		for (i = all.nr; i < all.nr + got; i++) {
			struct hybrid_alloc_map_entry *e = &all.e[i];

			/* between two pages an extent may have come to lie over the border */
			if ((i > all.nr ? e->start != pos : e->start > pos) || !e->len ||
			    e->start + e->len <= pos || e->start + e->len > end ||
			    e->start % BLOCK || e->len % BLOCK ||
			    e->state > HYBRID_ALLOC_MAP_HELD ||
			    e->kind > HYBRID_ALLOC_MAP_KIND_SPAN ||
			    (e->state == HYBRID_ALLOC_MAP_FREE ? e->kind : !e->kind)) {
				t_note("at %llu: entry %llu+%llu, state %u, kind %u", pos,
				       (u64)e->start, (u64)e->len, e->state, e->kind);
				return false;
			}
			pos = e->start + e->len;
		}
	}
	err = ha_map(fd, end, 0, all.e, 1, &got);
	if (err || got)
		t_note("MAP from the end: %s, %u entries", t_strerror(err), got);
	return !err && !got;
}

/* What the test knows to be live, in the order of addresses. */
static struct hybrid_alloc_extent exts[NR_EXTS];
static u32 nr_exts;

static int by_start(const void *a, const void *b)
{
	const struct hybrid_alloc_extent *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static bool map_is(u32 page)
{
	u32 i, k = 0;

	qsort(exts, nr_exts, sizeof(exts[0]), by_start);
	if (!map_all(page))
		return false;
	for (i = 0; i < all.nr; i++) {
		if (all.e[i].state != HYBRID_ALLOC_MAP_LIVE)
			continue;
		if (k == nr_exts || all.e[i].start != exts[k].start ||
		    all.e[i].len != exts[k].len) {
			t_note("live extent %u of %u: MAP says %llu+%llu", k, nr_exts,
			       (u64)all.e[i].start, (u64)all.e[i].len);
			return false;
		}
		k++;
	}
	if (k != nr_exts)
		t_note("MAP tells %u of %u extents", k, nr_exts);
	return k == nr_exts;
}

static void fill(void)
{
	while (nr_exts < NR_EXTS) {
		u64 len = BLOCK << random_next(&rng) % 6;
		struct hybrid_alloc_extent *e = &exts[nr_exts];

		len += random_next(&rng) % len;
		if (nr_exts % 4) {
			if (ha_alloc(fd, nr_exts % 100 ? len : 7 * MIB + len, 0, e))
				t_die("ALLOC");
		} else {
			e->start = begin + random_next(&rng) % ((end - begin) / BLOCK) * BLOCK;
			e->len = (len + BLOCK - 1) / BLOCK * BLOCK;
			if (e->start + e->len > end || ha_claim(fd, e->start, len))
				continue;
		}
		nr_exts++;
	}
}

static void free_some(u32 every)
{
	u32 i, n = 0;

	for (i = 0; i < nr_exts; i++) {
		if (i % every) {
			exts[n++] = exts[i];
			continue;
		}
		if (ha_free(fd, exts[i].start, exts[i].len, NULL))
			t_die("FREE");
	}
	nr_exts = n;
}

/* The free runs of the map against those of STAT, with empty pools. */
static void test_runs(const char *when)
{
	u64 count[HYBRID_ALLOC_RUN_LENGTHS] = {}, bytes[HYBRID_ALLOC_RUN_LENGTHS] = {};
	u64 nr = 0, largest = 0, len = 0;
	struct hybrid_alloc_stat st;
	u32 i, bad = 0;

	ha_op(fd, HYBRID_ALLOC_IOC_DRAIN);
	if (!map_all(MAX)) {
		t_ok(false, "%s: MAP", when);
		return;
	}
	for (i = 0; i <= all.nr; i++) {
		if (i < all.nr && all.e[i].state == HYBRID_ALLOC_MAP_FREE) {
			len += all.e[i].len;
			continue;
		}
		if (i < all.nr && all.e[i].state != HYBRID_ALLOC_MAP_LIVE)
			bad++;
		if (!len)
			continue;
		nr++;
		largest = len > largest ? len : largest;
		count[63 - __builtin_clzll(len / BLOCK)]++;
		bytes[63 - __builtin_clzll(len / BLOCK)] += len;
		len = 0;
	}
	t_eq(bad, 0, "%s: all is live or free", when);
	st = ha_stat(fd, HYBRID_ALLOC_STAT_RUNS);
	t_ok(st.nr_free_runs == nr && st.largest_free_run == largest,
	     "%s: STAT counts the free runs of MAP", when);
	t_ok(!memcmp(st.run_count, count, sizeof(count)) &&
	     !memcmp(st.run_bytes, bytes, sizeof(bytes)), "%s: and sorts them by length", when);
	st = ha_stat(fd, 0);
	t_ok(st.largest_free_run == largest && !st.nr_free_runs && !st.run_count[0] &&
	     !st.run_bytes[12], "%s: it knows the largest without a walk", when);
}

static void test_pages(void)
{
	static const u32 pages[] = { MAX, 100, 7, 1 };
	u32 i;

	t_ok(map_is(MAX), "MAP of an empty device");
	test_runs("empty");
	fill();
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		t_ok(map_is(pages[i]), "MAP in pages of %u entries tells each extent", pages[i]);
	test_runs("some extents");
	free_some(2);
	t_ok(map_is(MAX), "MAP after every second was freed");
	test_runs("every second freed");
}

/* The catalogue is made of the map alone. */
static void test_reproduce(void)
{
	struct hybrid_alloc_stat before = ha_stat(fd, 0), after;
	u32 i, bad = 0;

	close(fd);
	close(fd_ro);
	if (ha_detach(id, HYBRID_ALLOC_DETACH_FORCE))
		t_die("DETACH");
	id = ha_must_attach(disk, 0);
	fd = ha_must_open(id, O_RDWR);
	fd_ro = ha_must_open(id, O_RDONLY);
	for (i = 0; i < all.nr; i++)
		if (all.e[i].state == HYBRID_ALLOC_MAP_LIVE)
			bad += !!ha_claim(fd, all.e[i].start, all.e[i].len);
	t_eq(bad, 0, "CLAIM of all that MAP told");
	t_ok(map_is(MAX), "the new map is the old one");
	t_errno(ha_op(fd, HYBRID_ALLOC_IOC_SEAL), 0, "SEAL");
	after = ha_stat(fd, 0);
	t_ok(after.charged == before.charged && after.nr_live == before.nr_live,
	     "STAT says so, too");
	test_runs("reproduced");
}

static void test_starts(void)
{
	struct hybrid_alloc_extent *e = NULL;
	struct hybrid_alloc_map_entry m[4];
	u32 got, i;
	struct {
		const char *how;
		u64 start, len;
		int want;
	} bad[] = {
		{ "unaligned start", begin + 1, 0, EINVAL },
		{ "start off by a sector", begin + 512, 0, EINVAL },
		{ "start + len wraps", begin + BLOCK, -BLOCK, ERANGE },
	};

	for (i = 0; i < nr_exts && !e; i++)
		if (exts[i].len >= 4 * BLOCK)
			e = &exts[i];
	if (!e)
		t_die("an extent of 4 blocks");
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		t_errno(ha_map(fd, bad[i].start, bad[i].len, m, 4, &got), bad[i].want,
			"MAP: %s", bad[i].how);
	t_ok(!ha_map(fd, e->start + 2 * BLOCK, 0, m, 1, &got) && got == 1 &&
	     m[0].start == e->start && m[0].len == e->len && m[0].state == HYBRID_ALLOC_MAP_LIVE,
	     "MAP from inside an extent tells it as a whole");
	t_ok(!ha_map(fd, e->start, BLOCK, m, 4, &got) && got == 1 && m[0].start == e->start &&
	     m[0].len == e->len, "MAP of a part of an extent tells it and no other");
	t_ok(!ha_map(fd, e->start, e->len, m, 4, &got) && got == 1, "MAP of just an extent");
	t_ok(!ha_map(fd, e->start, e->len + BLOCK, m, 4, &got) && got == 2,
	     "MAP of a block more tells the next");
	t_ok(!ha_map(fd, 0, 0, m, 1, &got) && got == 1 && m[0].start == begin,
	     "MAP from 0 begins where the range begins");
	t_ok(!ha_map(fd, end, 0, m, 1, &got) && !got, "MAP from the end: nothing");
	t_ok(!ha_map(fd, 1ULL << 62, 0, m, 1, &got) && !got, "MAP from behind it: nothing");
	t_ok(!ha_map(fd, -BLOCK, 0, m, 1, &got) && !got, "MAP from 2^64 - 4096: nothing");
}

static void test_cached(void)
{
	struct hybrid_alloc_extent e;
	struct hybrid_alloc_stat st;
	u64 cached = 0;
	struct hybrid_alloc_map_entry m[1];
	u32 got, i;

	if (ha_alloc(fd, 64 * KIB, 0, &e) || ha_free(fd, e.start, e.len, NULL))
		t_die("ALLOC and FREE");
	if (!t_ok(!ha_map(fd, e.start, 0, m, 1, &got) && got == 1 && m[0].start <= e.start &&
		  m[0].state == HYBRID_ALLOC_MAP_CACHED, "MAP tells what sits in a pool"))
		t_note("at %llu: %llu+%llu, state %u, %llu cached", (u64)e.start, (u64)m[0].start,
		       (u64)m[0].len, m[0].state, ha_stat(fd, 0).cached);
	t_ok(map_all(MAX), "MAP with something in the pools");
	st = ha_stat(fd, 0);
	for (i = 0; i < all.nr; i++)
		cached += all.e[i].state == HYBRID_ALLOC_MAP_CACHED ? all.e[i].len : 0;
	t_eq(cached, st.cached, "MAP and STAT: the same is in the pools");
	ha_op(fd, HYBRID_ALLOC_IOC_DRAIN);
	t_ok(!ha_map(fd, e.start, 0, m, 1, &got) && got == 1 && m[0].start <= e.start &&
	     m[0].state == HYBRID_ALLOC_MAP_FREE, "after DRAIN it is free");
}

/* Frees it, and out of the pools too, so that the next finds space without a past. */
static void kind_is(const char *what, u64 start, u64 len, u32 kind)
{
	struct hybrid_alloc_map_entry m = {};
	u32 got;

	t_ok(!ha_map(fd, start, 0, &m, 1, &got) && !m.kind, "MAP of %s: no kind unless asked for",
	     what);
	if (!t_ok(!ha_map_flags(fd, HYBRID_ALLOC_MAP_KINDS, start, 0, &m, 1, &got) && got == 1 &&
		  m.start == start &&
		  m.len == len && m.state == HYBRID_ALLOC_MAP_LIVE && m.kind == kind,
		  "MAP tells where %s lies", what))
		t_note("asked at %llu+%llu: %llu+%llu, state %u, kind %u", start, len,
		       (u64)m.start, (u64)m.len, m.state, m.kind);
	if (ha_free(fd, start, len, NULL))
		t_die("FREE");
	ha_op(fd, HYBRID_ALLOC_IOC_DRAIN);
}

static void test_kinds(void)
{
	u64 middle = begin + (end - begin) / 2 / (4 * MIB) * (4 * MIB);
	struct hybrid_alloc_extent e;
	struct hybrid_alloc_info info;

	t_ok(!ha_info(fd, 0, 0, &info) && (info.features & HYBRID_ALLOC_FEATURE_MAP_KIND),
	     "INFO: MAP tells the kinds");
	if (ha_alloc(fd, 64 * KIB, 0, &e))
		t_die("ALLOC");
	kind_is("a common size", e.start, 64 * KIB, HYBRID_ALLOC_MAP_KIND_EQUAL);
	if (ha_alloc(fd, 2 * MIB, 0, &e))
		t_die("ALLOC");
	kind_is("a power of two", e.start, 2 * MIB, HYBRID_ALLOC_MAP_KIND_BUDDY);
	if (ha_claim(fd, middle + 3 * BLOCK, 5 * BLOCK))
		t_die("CLAIM");
	kind_is("an odd size", middle + 3 * BLOCK, 5 * BLOCK, HYBRID_ALLOC_MAP_KIND_MIXED);
	if (ha_claim(fd, middle + 3 * BLOCK, 70 * MIB))
		t_die("CLAIM");
	kind_is("one over several blocks", middle + 3 * BLOCK, 70 * MIB,
		HYBRID_ALLOC_MAP_KIND_SPAN);
}

/* Threads allocate and free while the map is read again and again. */
static void test_at_work(void)
{
	struct t_load load = { .fd = fd, .nr = 2 };
	u32 maps = 0, torn = 0, lost = 0, i, k;
	double until;

	t_load_start(&load);
	for (until = t_now() + 5; t_now() < until; maps++) {
		if (!map_all(maps % 2 ? MAX : 50)) {
			torn++;
			continue;
		}
		/* what lives all the time is in each of them */
		for (i = k = 0; i < all.nr && k < nr_exts; i++)
			k += all.e[i].state == HYBRID_ALLOC_MAP_LIVE &&
			     all.e[i].start == exts[k].start && all.e[i].len == exts[k].len;
		lost += k != nr_exts;
	}
	t_load_stop(&load);
	t_eq(load.odd, 0, "%u calls meanwhile", load.calls);
	t_note("%u maps of about %u entries", maps, all.nr);
	t_ok(maps && !torn, "MAP has no gaps while others are at work");
	t_eq(lost, 0, "and tells what lives all the time");
	t_ok(map_is(MAX), "once they are done it tells just that");
}

static void test_array(void)
{
	struct {
		struct hybrid_alloc_map_entry e;
		u64 unknown;
	} big[3];
	struct hybrid_alloc_map m = {
		.size = sizeof(m), .items = (uintptr_t)big, .nr = 3, .item_size = sizeof(big[0]),
	};
	void *ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct hybrid_alloc_map_entry e[2];
	u32 i, got;

	memset(big, 0xee, sizeof(big));
	t_errno(ha_ioctl(fd, HYBRID_ALLOC_IOC_MAP, &m), 0, "MAP into larger entries");
	for (i = 0; i < 3; i++)
		t_ok(big[i].e.len && big[i].e.kind <= HYBRID_ALLOC_MAP_KIND_SPAN &&
		     big[i].unknown == 0xeeeeeeeeeeeeeeee, "fills what it knows of entry %u", i);
	t_errno(ha_map(fd, 0, 0, e, 0, &got), EINVAL, "MAP of no entry");
	t_errno(ha_map(fd, 0, 0, e, MAX + 1, &got), EINVAL, "MAP of too many");
	t_errno(ha_map(fd, 0, 0, NULL, 1, &got), EFAULT, "MAP to NULL");
	t_errno(ha_map(fd, 0, 0, ro, 1, &got), EFAULT, "MAP to read-only memory");
	m.item_size = sizeof(*e) - 8;
	t_errno(ha_ioctl(fd, HYBRID_ALLOC_IOC_MAP, &m), EINVAL, "MAP into entries too small");
	munmap(ro, 4096);
}

int main(void)
{
	struct hybrid_alloc_stat start;
	struct hybrid_alloc_info info;

	rng = t_seed;
	t_note("SEED=%llu", t_seed);
	t_note("a caller of %zu bits", sizeof(long) * 8);
	ha_need_module();
	disk = t_disk("hat-map", 1024);
	id = ha_must_attach(disk, HYBRID_ALLOC_ATTACH_FRESH);
	fd = ha_must_open(id, O_RDWR);
	fd_ro = ha_must_open(id, O_RDONLY);
	if (ha_info(fd, 0, 0, &info))
		t_die("INFO");
	begin = info.range_start;
	end = begin + info.range_len;
	start = ha_stat(fd, 0);
	/* what was freed must be in the pool of the CPU that asks */
	t_pin(0);
	test_cached();
	test_kinds();
	test_pages();
	test_reproduce();
	test_starts();
	test_at_work();
	test_array();
	free_some(1);
	t_all_back(fd, &start, "at the end");
	t_ok(map_is(MAX), "MAP of the empty device");
	close(fd);
	close(fd_ro);
	t_errno(ha_detach(id, 0), 0, "DETACH");
	t_nullb_remove("hat-map");
	return t_done();
}
