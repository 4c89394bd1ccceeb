// SPDX-License-Identifier: GPL-2.0
/*
 * Random ALLOC, FREE and CLAIM calls, for one and for many extents, against a
 * ledger of our own: one bit for each block of the device. It knows what every
 * call must answer: no extent overlaps another, ENOSPC comes only when no free
 * run fits, a wrong free is refused, and STAT says what the ledger says. Now and
 * then MAP is held against it, too. At the end what is live is claimed in random
 * order on the device attached anew, which must give the same MAP.
 *
 * usage: ledger [--ops N] [--seed N] [--node PATH | [--mib N] [--range-start BYTES]]
 *               [--max BYTES] [--stat-every N] [--watch BLOCK]
 *               [--min-block BYTES] [--slab-max BYTES] [--buddy-start BYTES]
 *
 * --stat-every 1 looks at the accounting after each single call; --watch shows
 * every call that has to do with a block: how a failure came about.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include "harness.h"

#define NR_RUN_CHECKS	40
#define NR_REBUILD	20000	/* extents at the end, if there is room */
#define MAX_BATCH	64

static u64 nr_ops = 1000000, max_size = 256 * MIB, stat_every = 512;
static const char *disk;	/* NULL if a node was given */
static struct hybrid_alloc_attach at;
static u32 id;
static int fd;
static u64 rng, watched = ~0ULL;

/* The ledger. Positions and lengths in blocks, from the start of the range. */
static u64 *taken, nr_blocks, nr_taken, grain, range_start;
static struct ext {
	u64 start, len;
} *exts;
static size_t nr_exts, max_exts;

enum {
	ALLOCS, FREES, BATCH_ALLOCS, BATCH_FREES, MANY_ALLOCS, CLAIMS, TAKEN_CLAIMS, WRONG_FREES,
	ENOSPCS, MANY_ENOSPCS, STATS, RUNS, LARGEST, MAPS, NR_COUNTS
};

static struct t_count count[NR_COUNTS] = {
	[ALLOCS] = { "ALLOCs work, none overlaps another extent" },
	[FREES] = { "right FREEs work" },
	[BATCH_ALLOCS] = { "ALLOCs in batches work the same" },
	[BATCH_FREES] = { "right FREEs in batches work" },
	[MANY_ALLOCS] = { "ALLOCs of several extents give the longest runs" },
	[CLAIMS] = { "CLAIMs of free space work" },
	[TAKEN_CLAIMS] = { "CLAIMs of taken space are refused" },
	[WRONG_FREES] = { "wrong FREEs are refused with errno and reason" },
	[ENOSPCS] = { "ENOSPCs: no free run fits" },
	[MANY_ENOSPCS] = { "ENOSPCs for several extents: there are not enough" },
	[STATS] = { "STATs: the accounting identity holds and the ledger agrees" },
	[RUNS] = { "walks of the free runs agree with the ledger" },
	[LARGEST] = { "largest free runs can be allocated" },
	[MAPS] = { "MAPs tell the extents of the ledger and what is between" },
};

static u64 op;

static u64 below(u64 n)
{
	return random_next(&rng) % n;
}

static bool one_in(u64 n)
{
	return !below(n);
}

__printf(3, 4) static void expect(int what, bool ok, const char *fmt, ...)
{
	char buf[200];
	va_list ap;

	if (!t_expect(&count[what], ok))
		return;
	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	t_note("call %llu: %s", op, buf);
}

static void watch(const char *what, u64 start, u64 len, int err)
{
	if (watched - start < len)
		t_note("call %llu: %s of block %llu+%llu: %s", op, what, start, len,
		       t_strerror(err));
}

static bool any_taken(u64 start, u64 len)
{
	u64 end = start + len, w;

	for (w = start / 64; w * 64 < end; w++)
		if (taken[w] & t_mask(w, start, end))
			return true;
	return false;
}

static void mark(u64 start, u64 len, bool on)
{
	u64 end = start + len, w;

	for (w = start / 64; w * 64 < end; w++) {
		if (on)
			taken[w] |= t_mask(w, start, end);
		else
			taken[w] &= ~t_mask(w, start, end);
	}
	nr_taken += on ? len : -len;
}

/* The first block from @b on that is @on, or nr_blocks. */
static u64 next(u64 b, bool on)
{
	while (b < nr_blocks) {
		u64 bits = (on ? taken[b / 64] : ~taken[b / 64]) >> (b % 64);

		if (bits)
			return b + __builtin_ctzll(bits) < nr_blocks ?
				b + __builtin_ctzll(bits) : nr_blocks;
		b = (b / 64 + 1) * 64;
	}
	return nr_blocks;
}

struct runs {
	u64 nr, largest, largest_start;
	u64 count[HYBRID_ALLOC_RUN_LENGTHS], bytes[HYBRID_ALLOC_RUN_LENGTHS];
};

/* Stops at the first free run that has room for @len aligned to @align bytes. */
static struct runs walk(u64 len, u64 align, bool *fits)
{
	struct runs r = {};
	u64 start, end;

	for (start = next(0, false); start < nr_blocks; start = next(end, false)) {
		end = next(start, true);
		r.nr++;
		r.count[63 - __builtin_clzll(end - start)]++;
		r.bytes[63 - __builtin_clzll(end - start)] += (end - start) * grain;
		if (end - start > r.largest) {
			r.largest = end - start;
			r.largest_start = start;
		}
		if (fits && end - start >= len) {
			u64 a = range_start + start * grain;

			a = (a + align - 1) / align * align;
			*fits = a + len * grain <= range_start + end * grain;
			if (*fits)
				break;
		}
	}
	return r;
}

static void add(u64 start, u64 len)
{
	if (nr_exts == max_exts) {
		max_exts = max_exts ? 2 * max_exts : 4096;
		exts = realloc(exts, max_exts * sizeof(*exts));
		if (!exts)
			t_die("no memory");
	}
	exts[nr_exts++] = (struct ext){ start, len };
	mark(start, len, true);
}

static int free_blocks(u64 start, u64 len, u32 *reason)
{
	int err = ha_free(fd, range_start + start * grain, len * grain, reason);

	watch("FREE", start, len, err);
	return err;
}

/* Sizes from a block to @max, log-uniform; one in two as a power of two is not. */
static u64 random_size(u64 max)
{
	unsigned int bits, k = 63 - __builtin_clzll(grain);
	u64 size;

	if (max < grain)
		max = grain;
	bits = 63 - __builtin_clzll(max);
	size = 1ULL << (k + below(bits - k + 1));
	if (one_in(2))
		size += below(size);
	return size > max ? max : size;
}

/* An extent that the allocator gave. */
static void got(struct hybrid_alloc_extent e, u64 blocks, u64 bytes, u64 align)
{
	u64 start = (e.start - range_start) / grain;

	watch("ALLOC", start, blocks, 0);
	if (e.start < range_start || e.start % grain || e.len != blocks * grain ||
	    start + blocks > nr_blocks || (align && e.start % align))
		t_die("call %llu: ALLOC of %llu bytes aligned to %llu gave %llu+%llu", op,
		      bytes, align, (u64)e.start, (u64)e.len);
	if (any_taken(start, blocks))
		t_die("call %llu: ALLOC of %llu bytes gave %llu+%llu, which overlaps", op,
		      bytes, (u64)e.start, (u64)e.len);
	add(start, blocks);
}

/* What the allocator answered to a request. */
static int answered(int what, int err, u64 bytes, u64 align, struct hybrid_alloc_extent e)
{
	u64 blocks = (bytes + grain - 1) / grain;
	bool fits = false;

	if (err == ENOSPC) {
		walk(blocks, align ? align : grain, &fits);
		expect(ENOSPCS, !fits, "false ENOSPC for %llu bytes aligned to %llu, %llu free",
		       bytes, align, (nr_blocks - nr_taken) * grain);
		return err;
	}
	expect(what, !err, "ALLOC of %llu bytes aligned to %llu: %s", bytes, align,
	       t_strerror(err));
	if (!err)
		got(e, blocks, bytes, align);
	return err;
}

static int do_alloc(u64 bytes, u64 align)
{
	struct hybrid_alloc_extent e;
	int err = ha_alloc(fd, bytes, align, &e);

	return answered(ALLOCS, err, bytes, align, e);
}

static u64 random_align(void)
{
	return one_in(10) ? grain << below(14) : one_in(10) ? 1 : 0;
}

/* Also finds ENOSPC false that comes before a later item is allocated. */
static int do_alloc_batch(u64 max)
{
	static struct hybrid_alloc_alloc_item items[MAX_BATCH];
	u32 nr = 1 + below(one_in(8) ? MAX_BATCH : 8), i;
	int err, ret = 0;

	for (i = 0; i < nr; i++)
		items[i] = (struct hybrid_alloc_alloc_item){ .len = random_size(max),
							     .align = random_align() };
	err = ha_alloc_batch(fd, items, nr, NULL);
	expect(BATCH_ALLOCS, !err, "ALLOC_BATCH of %u: %s", nr, t_strerror(err));
	for (i = 0; !err && i < nr; i++) {
		if (answered(BATCH_ALLOCS, items[i].error, items[i].len, items[i].align,
			     items[i].extent) == ENOSPC)
			ret = ENOSPC;
	}
	return ret;
}

static int longer(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* How many blocks the @nr longest free runs have together, up to @enough. */
static u64 longest_runs(u32 nr, u64 enough)
{
	static u64 *len;
	u64 start, end, sum = 0, n = 0, i;

	if (!len)
		len = malloc((nr_blocks / 2 + 1) * sizeof(*len));
	if (!len)
		t_die("no memory");
	for (start = next(0, false); start < nr_blocks; start = next(end, false)) {
		end = next(start, true);
		len[n++] = end - start;
	}
	qsort(len, n, sizeof(*len), longer);
	for (i = 0; i < n && i < nr && sum < enough; i++)
		sum += len[i];
	return sum < enough ? sum : enough;
}

/* Several extents instead of one: the longest runs there are. */
static int do_alloc_many(u64 max)
{
	static struct hybrid_alloc_extent e[MAX_BATCH];
	u32 nr = 1 + below(one_in(4) ? MAX_BATCH : 6), i;
	bool partial = one_in(3), fits = false;
	struct hybrid_alloc_many m = {
		.flags = partial ? HYBRID_ALLOC_ALLOC_PARTIAL : 0,
		.len = random_size(one_in(2) ? max : nr_blocks * grain / 2),
	};
	u64 blocks = (m.len + grain - 1) / grain, total = 0, had;
	int err;

	walk(blocks, grain, &fits);
	had = fits ? blocks : longest_runs(nr, blocks);
	err = ha_alloc_many(fd, &m, e, nr);
	if (err == ENOSPC) {
		expect(MANY_ENOSPCS, partial ? !had : had < blocks,
		       "false ENOSPC for %llu blocks in %u extents, %llu would be there", blocks,
		       nr, had);
		return err;
	}
	for (i = 0; !err && i < m.nr_extents; i++) {
		got(e[i], e[i].len / grain, m.len, 0);
		total += e[i].len;
	}
	expect(MANY_ALLOCS, !err && m.total == total && m.nr_extents && m.nr_extents <= nr &&
	       total == had * grain && (!fits || m.nr_extents == 1),
	       "ALLOC_MANY of %llu blocks in %u extents: %s, %llu blocks in %u; %llu are there%s",
	       blocks, nr, t_strerror(err), total / grain, m.nr_extents, had,
	       fits ? ", side by side" : "");
	return err;
}

static void do_free(void)
{
	size_t i = below(nr_exts);
	struct ext e = exts[i];
	int err = free_blocks(e.start, e.len, NULL);

	expect(FREES, !err, "FREE of block %llu+%llu: %s", e.start, e.len, t_strerror(err));
	exts[i] = exts[--nr_exts];
	mark(e.start, e.len, false);
	if (one_in(16)) {
		u32 reason;

		err = free_blocks(e.start, e.len, &reason);
		expect(WRONG_FREES, err == ENOENT &&
		       reason == HYBRID_ALLOC_REASON_NOT_ALLOCATED,
		       "second FREE of block %llu+%llu: %s", e.start, e.len, t_strerror(err));
	}
}

/* Each extent once, but one in 16 twice, in the same call. */
static void do_free_batch(void)
{
	static struct hybrid_alloc_free_item items[MAX_BATCH];
	static int want[MAX_BATCH];
	u32 nr = 1 + below(one_in(8) ? MAX_BATCH : 8), i, nr_failed, nr_twice = 0;
	int err;

	for (i = 0; i < nr && nr_exts; i++) {
		size_t k = below(nr_exts);

		items[i] = (struct hybrid_alloc_free_item){
			.extent = { .start = range_start + exts[k].start * grain,
				    .len = exts[k].len * grain },
		};
		want[i] = 0;
		mark(exts[k].start, exts[k].len, false);
		exts[k] = exts[--nr_exts];
		if (i + 1 < nr && one_in(16)) {
			items[i + 1] = items[i];
			want[++i] = ENOENT;
			nr_twice++;
		}
	}
	err = ha_free_batch(fd, items, i, &nr_failed);
	expect(BATCH_FREES, !err && nr_failed == nr_twice, "FREE_BATCH of %u: %s, %u fail for %u",
	       i, t_strerror(err), nr_failed, nr_twice);
	while (i--)
		expect(want[i] ? WRONG_FREES : BATCH_FREES, (int)items[i].error == want[i],
		       "FREE_BATCH of block %llu+%llu: %s, want %s",
		       (items[i].extent.start - range_start) / grain, items[i].extent.len / grain,
		       t_strerror(items[i].error), t_strerror(want[i]));
}

static void do_wrong_free(void)
{
	struct ext e = exts[below(nr_exts)];
	u64 start = e.start, len = e.len;
	u32 reason, want_reason;
	int err, want = EINVAL;

	switch (below(4)) {
	case 0:		/* anywhere */
		start = below(nr_blocks);
		len = 1 + below(nr_blocks - start < 2048 ? nr_blocks - start : 2048);
		want = ENOENT;
		want_reason = HYBRID_ALLOC_REASON_NOT_ALLOCATED;
		if (any_taken(start, 1))
			return;		/* of whom? case 1 and 2 know */
		break;
	case 1:		/* inside */
		if (len < 2)
			return;
		start += 1 + below(len - 1);
		len = one_in(2) ? e.start + e.len - start : 1 + below(len);
		want_reason = HYBRID_ALLOC_REASON_WRONG_START;
		break;
	default:	/* of another length */
		len = one_in(2) ? 1 + below(2 * len) : one_in(2) ? len + 1 : len - 1;
		if (len == e.len || !len)
			return;
		want_reason = HYBRID_ALLOC_REASON_WRONG_LENGTH;
	}
	if (start + len > nr_blocks) {
		want = ERANGE;
		want_reason = HYBRID_ALLOC_REASON_OUT_OF_RANGE;
	}
	err = free_blocks(start, len, &reason);
	expect(WRONG_FREES, err == want && reason == want_reason,
	       "wrong FREE of block %llu+%llu: %s, reason %u; want %s, reason %u",
	       start, len, t_strerror(err), reason, t_strerror(want), want_reason);
}

static void do_claim(void)
{
	u64 start = one_in(2) ? below(nr_blocks) : next(below(nr_blocks), false), len;
	bool overlaps;
	int err;

	if (start >= nr_blocks)
		return;
	len = random_size(one_in(4) ? 4 * MIB : 64 * KIB) / grain;
	if (start + len > nr_blocks)
		len = nr_blocks - start;
	overlaps = any_taken(start, len);
	err = ha_claim(fd, range_start + start * grain, len * grain);
	watch("CLAIM", start, len, err);
	expect(overlaps ? TAKEN_CLAIMS : CLAIMS, err == (overlaps ? EEXIST : 0),
	       "CLAIM of block %llu+%llu, %s: %s", start, len, overlaps ? "taken" : "free",
	       t_strerror(err));
	if (!err && overlaps)
		t_die("call %llu: CLAIM of what is taken", op);
	if (!err)
		add(start, len);
}

static void check_stat(void)
{
	struct hybrid_alloc_stat st = ha_stat(fd, 0);

	expect(STATS, t_identity(&st, "STAT") && st.charged == nr_taken * grain &&
	       st.nr_live == nr_exts, "charged %llu for %llu, live %llu for %llu",
	       st.charged, nr_taken * grain, st.nr_live, (u64)nr_exts);
}

static int by_start(const void *a, const void *b)
{
	const struct ext *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* With empty pools MAP tells the extents of the ledger, and free space between. */
static void check_map(struct t_map *map)
{
	u64 pos = 0, i, live = 0;
	bool ok = true;

	qsort(exts, nr_exts, sizeof(*exts), by_start);
	t_read_map(fd, map);
	for (i = 0; i < map->nr && ok; i++) {
		u64 start = (map->e[i].start - range_start) / grain, len = map->e[i].len / grain;

		if (map->e[i].state == HYBRID_ALLOC_MAP_LIVE)
			ok = live < nr_exts && exts[live].start == start && exts[live].len == len;
		else
			ok = map->e[i].state == HYBRID_ALLOC_MAP_FREE && !any_taken(start, len);
		live += map->e[i].state == HYBRID_ALLOC_MAP_LIVE;
		ok &= start == pos && len;
		pos = start + len;
	}
	expect(MAPS, ok && pos == nr_blocks && live == nr_exts,
	       "MAP differs at entry %llu of %llu, block %llu", i, map->nr, pos);
}

/* With empty pools the free runs are exactly the ledger's. */
static void check_runs(void)
{
	static struct t_map map;
	struct hybrid_alloc_stat st;
	struct runs r;

	ha_op(fd, HYBRID_ALLOC_IOC_DRAIN);
	st = ha_stat(fd, HYBRID_ALLOC_STAT_RUNS);
	r = walk(0, 0, NULL);
	expect(RUNS, st.nr_free_runs == r.nr && st.largest_free_run == r.largest * grain &&
	       !memcmp(st.run_count, r.count, sizeof(r.count)) &&
	       !memcmp(st.run_bytes, r.bytes, sizeof(r.bytes)),
	       "%llu free runs for %llu, the largest %llu for %llu", st.nr_free_runs, r.nr,
	       st.largest_free_run, r.largest * grain);
	check_map(&map);
	/* and the largest of them can be had */
	if (r.nr)
		expect(LARGEST, !do_alloc(r.largest * grain, 0), "ALLOC of the largest free run");
}

static void run(void)
{
	static const u64 limits[] = { 64 * KIB, MIB, 4 * MIB, 4 * MIB, 4 * MIB, 64 * MIB };
	long nr_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	u64 max = 4 * MIB, low = 0, phase_end = 0, enospc_left = 0, report = nr_ops / 10;
	bool growing = false;
	double begin = t_now();

	for (op = 1; op <= nr_ops; op++) {
		if (growing && !enospc_left) {
			growing = false;
			low = nr_blocks * below(3) / 4;
		} else if ((!growing && nr_taken <= low) || op > phase_end) {
			growing = true;
			max = one_in(8) ? max_size : limits[below(ARRAY_SIZE(limits))];
			if (max > nr_blocks * grain / 2)
				max = nr_blocks * grain / 2;
			enospc_left = 1 + below(12);
			phase_end = op + nr_ops / 8;
		}
		if (op % 1000 == 0)
			t_pin(op / 1000 % nr_cpus);	/* the pools of all CPUs fill */

		if (nr_exts && one_in(16)) {
			do_wrong_free();
		} else if (one_in(32)) {
			do_claim();
		} else if (!nr_exts || below(10) < (growing ? 7 : 3)) {
			int err = one_in(16) ? do_alloc_batch(max) :
				  one_in(64) ? do_alloc_many(max) :
				  do_alloc(random_size(max), random_align());

			if (err == ENOSPC && growing)
				enospc_left--;
		} else if (one_in(16)) {
			do_free_batch();
		} else {
			do_free();
		}
		if (op % stat_every == 0)
			check_stat();
		if (op % (nr_ops / NR_RUN_CHECKS + 1) == 0)
			check_runs();
		if (op == report) {
			t_note("%llu calls, %.0f s, %zu extents, %.1f %% full, %llu ENOSPC", op,
			       t_now() - begin, nr_exts, 100.0 * nr_taken / nr_blocks,
			       count[ENOSPCS].seen);
			report += nr_ops / 10;
		}
	}
	op = nr_ops;
	t_note("%.0f calls a second", nr_ops / (t_now() - begin));
}

/* What is live is claimed on the device attached anew, in any order. */
static void rebuild(void)
{
	static struct hybrid_alloc_free_item items[HYBRID_ALLOC_MAX_ITEMS];
	struct hybrid_alloc_info info, again;
	struct t_map before = {}, after = {};
	struct hybrid_alloc_stat was, st;
	u32 nr, i, failed, bad = 0;
	u64 done = 0;
	struct ext e;
	int err;

	while (nr_exts < NR_REBUILD && do_alloc(random_size(64 * KIB), 0) != ENOSPC)
		;
	ha_op(fd, HYBRID_ALLOC_IOC_DRAIN);
	was = ha_stat(fd, HYBRID_ALLOC_STAT_RUNS);
	check_map(&before);
	if (ha_info(fd, 0, 0, &info))
		t_die("INFO");
	close(fd);
	err = ha_detach(id, HYBRID_ALLOC_DETACH_FORCE);
	if (err)
		t_die("DETACH: %s", t_strerror(err));
	err = ha_attach(&at, disk, 0, &id);
	if (err)
		t_die("attach to rebuild: %s", t_strerror(err));
	fd = ha_must_open(id, O_RDWR);
	err = ha_info(fd, 0, 0, &again);
	t_ok(!err && again.range_start == info.range_start && again.range_len == info.range_len &&
	     again.state == HYBRID_ALLOC_STATE_SEALED && again.epoch != info.epoch,
	     "the device is attached anew, sealed");
	t_errno(ha_alloc(fd, grain, 0, NULL), EAGAIN, "ALLOC before SEAL");

	t_shuffle(exts, nr_exts, sizeof(*exts), &rng);
	while (done < nr_exts) {
		nr = 1 + below(ARRAY_SIZE(items));
		if (nr > nr_exts - done)
			nr = nr_exts - done;
		if (one_in(8))
			nr = 1;
		for (i = 0; i < nr; i++) {
			e = exts[done + i];
			items[i] = (struct hybrid_alloc_free_item){
				.extent = { .start = range_start + e.start * grain,
					    .len = e.len * grain },
			};
		}
		if (nr == 1)
			bad += !!ha_claim(fd, items[0].extent.start, items[0].extent.len);
		else
			bad += ha_claim_batch(fd, items, nr, &failed) || failed;
		done += nr;
	}
	t_eq(bad, 0, "CLAIMs of %zu extents in random order", nr_exts);
	st = ha_stat(fd, HYBRID_ALLOC_STAT_RUNS);
	t_ok(t_identity(&st, "rebuilt") && st.charged == was.charged && st.free == was.free &&
	     st.nr_live == was.nr_live && st.nr_free_runs == was.nr_free_runs &&
	     st.largest_free_run == was.largest_free_run &&
	     !memcmp(st.run_count, was.run_count, sizeof(st.run_count)) &&
	     !memcmp(st.run_bytes, was.run_bytes, sizeof(st.run_bytes)),
	     "STAT says what it said");
	check_map(&after);
	t_ok(before.nr == after.nr && !memcmp(before.e, after.e, after.nr * sizeof(*after.e)),
	     "MAP is the same, byte for byte, in %llu entries", after.nr);
	t_errno(ha_op(fd, HYBRID_ALLOC_IOC_SEAL), 0, "SEAL");
	t_errno(ha_op(fd, HYBRID_ALLOC_IOC_CHECK), 0, "CHECK");
	t_note("metadata %llu bytes, %llu before", st.metadata, was.metadata);
	free(before.e);
	free(after.e);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "ops", required_argument, NULL, 'o' },
		{ "seed", required_argument, NULL, 's' },
		{ "node", required_argument, NULL, 'n' },
		{ "mib", required_argument, NULL, 'm' },
		{ "range-start", required_argument, NULL, 'r' },
		{ "stat-every", required_argument, NULL, 'e' },
		{ "watch", required_argument, NULL, 'w' },
		{ "min-block", required_argument, NULL, 'M' },
		{ "slab-max", required_argument, NULL, 'S' },
		{ "buddy-start", required_argument, NULL, 'B' },
		{ "max", required_argument, NULL, 'x' },
		{}
	};
	struct hybrid_alloc_stat start;
	struct hybrid_alloc_info info;
	const char *node = NULL;
	u32 mib = 1024;		/* at least */
	int c, err;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		u64 v = optarg ? strtoull(optarg, NULL, 0) : 0;

		switch (c) {
		case 'o':
			nr_ops = v;
			break;
		case 's':
			t_seed = v;
			break;
		case 'n':
			node = optarg;
			break;
		case 'm':
			mib = v;
			at.range_len = mib * MIB;
			break;
		case 'r':
			at.range_start = v;
			break;
		case 'x':
			max_size = v;
			break;
		case 'e':
			stat_every = v;
			break;
		case 'M':
			at.min_block = v;
			break;
		case 'S':
			at.slab_max = v;
			break;
		case 'B':
			at.buddy_start = v;
			break;
		case 'w':
			watched = v;
			break;
		default:
			return 2;
		}
	}
	rng = t_seed;
	t_note("--seed %llu --ops %llu", t_seed, nr_ops);
	if (node) {
		fd = open(node, O_RDWR);
		if (fd < 0)
			t_die("open %s", node);
	} else {
		ha_need_module();
		disk = t_disk("hat-ledger", mib + (at.range_start + MIB - 1) / MIB);
		err = ha_attach(&at, disk, HYBRID_ALLOC_ATTACH_FRESH, &id);
		if (err)
			t_die("attach: %s", t_strerror(err));
		fd = ha_must_open(id, O_RDWR);
	}
	if (ha_info(fd, 0, 0, &info))
		t_die("INFO");
	grain = info.min_block;
	range_start = info.range_start;
	nr_blocks = info.range_len / grain;
	taken = calloc(nr_blocks / 64 + 1, sizeof(*taken));
	if (!taken)
		t_die("no memory");
	ha_op(fd, HYBRID_ALLOC_IOC_DRAIN);
	start = ha_stat(fd, 0);
	if (start.charged)
		t_die("the device is in use");

	run();
	check_stat();
	if (disk)
		rebuild();
	for (op = nr_ops; nr_exts;)
		do_free();
	t_counts(count, NR_COUNTS);
	t_all_back(fd, &start, "at the end");
	close(fd);
	if (!node) {
		t_errno(ha_detach(id, 0), 0, "DETACH");
		t_nullb_remove("hat-ledger");
	}
	return t_done();
}
