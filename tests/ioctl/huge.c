// SPDX-License-Identifier: GPL-2.0
/*
 * A device of 100 TiB. To attach it costs little memory, STAT is right at once,
 * and random calls all over it, for extents from a block to some TiB, are answered
 * as a ledger of our own expects: a tree of the live extents, in which extents
 * that overlap compare as equal. When all is free again, nothing is left of them.
 *
 * usage: huge [--ops N] [--seed N]
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <getopt.h>
#include <search.h>
#include "harness.h"

#define TIB		(1024 * GIB)
#define CAPACITY	(100 * TIB)
#define MAX_METADATA	(16 * MIB)
#define NR_STATS	40
#define MAX_EXTS	40000
#define MAX_BATCH	64
#define GOAL		HYBRID_ALLOC_ALLOC_GOAL

static u64 nr_ops = 1000000, op, rng;
static u32 id;
static int fd;

/* ---- the ledger ---- */

struct ext {
	u64 start, len;
	u64 slot;		/* in exts */
};

static void *tree;
static struct ext *exts[MAX_EXTS + MAX_BATCH];
static u64 nr_exts, charged;

static int apart(const void *a, const void *b)
{
	const struct ext *x = a, *y = b;

	return x->start + x->len <= y->start ? -1 : y->start + y->len <= x->start;
}

static struct ext *at(u64 start, u64 len)
{
	struct ext key = { .start = start, .len = len }, **found = tfind(&key, &tree, apart);

	return found ? *found : NULL;
}

static void add(u64 start, u64 len)
{
	struct ext *e = malloc(sizeof(*e)), **found;

	if (!e)
		t_die("no memory");
	*e = (struct ext){ .start = start, .len = len, .slot = nr_exts };
	found = tsearch(e, &tree, apart);
	if (!found)
		t_die("no memory");
	if (*found != e)
		t_die("call %llu: %llu+%llu overlaps %llu+%llu", op, start, len, (*found)->start,
		      (*found)->len);
	exts[nr_exts++] = e;
	charged += len;
}

static void forget(struct ext *e)
{
	tdelete(e, &tree, apart);
	exts[e->slot] = exts[--nr_exts];
	exts[e->slot]->slot = e->slot;
	charged -= e->len;
	free(e);
}

/* Whether a free run has room, found by a walk over all live extents. */
static u64 walk_pos, walk_len, walk_align;
static bool walk_fits;

static void gap(u64 start)
{
	u64 a = (walk_pos + walk_align - 1) / walk_align * walk_align;

	walk_fits |= a < start && start - a >= walk_len;
}

static void look(const void *node, VISIT which, int depth)
{
	const struct ext *e = *(struct ext * const *)node;

	(void)depth;
	if (which != postorder && which != leaf)
		return;
	gap(e->start);
	walk_pos = e->start + e->len;
}

static bool fits(u64 len, u64 align)
{
	walk_pos = 0;
	walk_len = len;
	walk_align = align ? align : BLOCK;
	walk_fits = false;
	twalk(tree, look);
	gap(CAPACITY);
	return walk_fits;
}

/* ---- the calls ---- */

enum {
	ALLOCS, GOALS, BATCHES, CLAIMS, TAKEN, FREES, FREE_BATCHES, WRONG, ENOSPCS, STATS, NR_COUNTS
};

static struct t_count count[NR_COUNTS] = {
	[ALLOCS] = { "ALLOCs work, none overlaps another extent" },
	[GOALS] = { "ALLOCs with a goal" },
	[BATCHES] = { "ALLOCs in batches" },
	[CLAIMS] = { "CLAIMs of free space work" },
	[TAKEN] = { "CLAIMs of taken space are refused" },
	[FREES] = { "right FREEs work" },
	[FREE_BATCHES] = { "FREEs in batches" },
	[WRONG] = { "wrong FREEs are refused" },
	[ENOSPCS] = { "ENOSPCs: no free run fits" },
	[STATS] = { "STATs: the accounting identity holds and the ledger agrees" },
};

static u64 below(u64 n)
{
	return random_next(&rng) % n;
}

static void expect(int what, bool ok, const char *call, u64 start, u64 len, int err)
{
	if (t_expect(&count[what], ok))
		t_note("call %llu: %s of %llu+%llu: %s", op, call, start, len, t_strerror(err));
}

static u64 random_place(void)
{
	return below(CAPACITY / BLOCK) * BLOCK;
}

/* Log-uniform; a few are so large that the device fills up with them. */
static u64 random_size(void)
{
	u64 max = !below(5000) ? 43 : !below(20) ? 33 : 23;
	u64 size = 1ULL << (12 + below(max - 12));

	return size + below(size);
}

static void answered(int what, int err, u64 len, u64 align, struct hybrid_alloc_extent e)
{
	if (err == ENOSPC) {
		expect(ENOSPCS, !fits((len + BLOCK - 1) / BLOCK * BLOCK, align), "ALLOC", align,
		       len, err);
		return;
	}
	expect(what, !err, "ALLOC", align, len, err);
	if (err)
		return;
	if (e.len != (len + BLOCK - 1) / BLOCK * BLOCK || e.start % (align ? align : BLOCK) ||
	    e.start >= CAPACITY || e.len > CAPACITY - e.start)
		t_die("call %llu: ALLOC of %llu bytes aligned to %llu gave %llu+%llu", op, len,
		      align, (u64)e.start, (u64)e.len);
	add(e.start, e.len);
}

static void do_alloc(void)
{
	struct hybrid_alloc_alloc a = { .size = sizeof(a), .len = random_size() };
	int what = ALLOCS, err;

	if (!below(10))
		a.align = BLOCK << below(19);
	if (!below(4)) {
		a.flags = GOAL;
		a.goal = random_place();
		what = GOALS;
	}
	err = ha_ioctl(fd, HYBRID_ALLOC_IOC_ALLOC, &a);
	answered(what, err, a.len, a.align, a.extent);
}

static void do_batch(void)
{
	static struct hybrid_alloc_alloc_item items[MAX_BATCH];
	u32 nr = 1 + below(MAX_BATCH), i;
	int err;

	for (i = 0; i < nr; i++)
		items[i] = (struct hybrid_alloc_alloc_item){ .len = random_size() };
	err = ha_alloc_batch(fd, items, nr, NULL);
	expect(BATCHES, !err, "ALLOC_BATCH", 0, nr, err);
	for (i = 0; !err && i < nr; i++)
		answered(BATCHES, items[i].error, items[i].len, 0, items[i].extent);
	op += nr - 1;
}

static void do_claim(void)
{
	u64 start = random_place(), len = (random_size() + BLOCK - 1) / BLOCK * BLOCK;
	struct ext *taken;
	int err;

	if (nr_exts && !below(4))
		start = exts[below(nr_exts)]->start;
	if (len > CAPACITY - start)
		len = CAPACITY - start;
	taken = at(start, len);
	err = ha_claim(fd, start, len);
	expect(taken ? TAKEN : CLAIMS, err == (taken ? EEXIST : 0), "CLAIM", start, len, err);
	if (!err)
		add(start, len);
}

static void do_free(void)
{
	struct ext *e = exts[below(nr_exts)];
	int err = ha_free(fd, e->start, e->len, NULL);

	expect(FREES, !err, "FREE", e->start, e->len, err);
	forget(e);
}

static void do_free_batch(void)
{
	static struct hybrid_alloc_free_item items[MAX_BATCH];
	u32 nr = 1 + below(MAX_BATCH), i, failed;
	int err;

	if (nr > nr_exts)
		nr = nr_exts;
	for (i = 0; i < nr; i++) {
		struct ext *e = exts[below(nr_exts)];

		items[i] = (struct hybrid_alloc_free_item){
			.extent = { .start = e->start, .len = e->len },
		};
		forget(e);
	}
	err = ha_free_batch(fd, items, nr, &failed);
	expect(FREE_BATCHES, !err && !failed, "FREE_BATCH", failed, nr, err);
	op += nr - 1;
}

static void do_wrong_free(void)
{
	u64 start = random_place(), len = BLOCK;
	struct ext *e = at(start, len);
	int err, want = ENOENT;

	if (below(2)) {
		e = exts[below(nr_exts)];
		start = e->start + below(e->len / BLOCK) * BLOCK;
		len = below(2) ? BLOCK : e->start + e->len - start;
	}
	if (e && e->start == start && e->len == len)
		len += BLOCK;
	if (e)
		want = EINVAL;
	if (start + len > CAPACITY)
		want = ERANGE;
	err = ha_free(fd, start, len, NULL);
	expect(WRONG, err == want, "wrong FREE", start, len, err);
}

static u64 peak_metadata, peak_exts;

static void check_stat(void)
{
	struct hybrid_alloc_stat st = ha_stat(fd, 0);

	expect(STATS, t_identity(&st, "STAT") && st.capacity == CAPACITY &&
	       st.charged == charged && st.nr_live == nr_exts, "STAT", st.charged, st.nr_live, 0);
	if (st.metadata > peak_metadata)
		peak_metadata = st.metadata;
	if (nr_exts > peak_exts)
		peak_exts = nr_exts;
}

static void run(void)
{
	double begin = t_now();
	bool growing = true;
	u64 next = 0;

	for (op = 1; op <= nr_ops; op++) {
		if (nr_exts >= MAX_EXTS || !nr_exts || !below(100000))
			growing = nr_exts < MAX_EXTS / 2;
		if (nr_exts && !below(16))
			do_wrong_free();
		else if (!below(64) && nr_exts < MAX_EXTS)
			do_claim();
		else if (!nr_exts || (nr_exts < MAX_EXTS && below(10) < (growing ? 6 : 3)))
			below(16) ? do_alloc() : do_batch();
		else
			below(16) ? do_free() : do_free_batch();
		if (op >= next) {
			check_stat();
			next += nr_ops / NR_STATS;
		}
	}
	check_stat();
	t_note("%.0f operations a second; up to %llu extents, %llu KiB of metadata",
	       nr_ops / (t_now() - begin), peak_exts, peak_metadata / KIB);
}

/* ---- the memory that it takes ---- */

/* What the kernel has in use, in bytes, by its own account. */
static long long memory_used(void)
{
	static const char * const names[] = { "Slab:", "VmallocUsed:", "Percpu:" };
	char line[128], name[64];
	long long sum = 0, kib;
	FILE *f = fopen("/proc/meminfo", "re");
	u32 i;

	/* what each CPU has counted for itself, too */
	if (!f || t_write("/proc/sys/vm/stat_refresh", "1"))
		t_die("/proc/meminfo");
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63s %lld", name, &kib) != 2)
			continue;
		for (i = 0; i < ARRAY_SIZE(names); i++)
			if (!strcmp(name, names[i]))
				sum += kib * 1024;
	}
	fclose(f);
	return sum;
}

static struct hybrid_alloc_stat test_attach(void)
{
	long long before, grown;
	struct hybrid_alloc_stat st;

	t_nullb_make("hat-huge", (struct t_disk_opts){ .mib = CAPACITY / MIB });
	before = memory_used();
	id = ha_must_attach("/dev/hat-huge", HYBRID_ALLOC_ATTACH_FRESH);
	grown = memory_used() - before;
	fd = ha_must_open(id, O_RDWR);
	st = ha_stat(fd, HYBRID_ALLOC_STAT_RUNS);
	t_ok(t_identity(&st, "attached") && st.capacity == CAPACITY && st.free == CAPACITY &&
	     st.nr_free_runs == 1 && st.largest_free_run == CAPACITY && !st.nr_live &&
	     st.run_count[34] == 1 && st.run_bytes[34] == CAPACITY,
	     "STAT of a device of 100 TiB: one free run");
	t_ok(st.metadata <= MAX_METADATA, "it has at most 16 MiB of metadata");
	t_note("%llu bytes of metadata, %llu per CPU; the kernel uses %lld KiB more", st.metadata,
	       st.percpu, grown / 1024);
	/*
	 * What is below a page or two may come from pages that were there. Up to 1 MiB more is
	 * that of the nodes, the look at the disk, and what it woke up, and of arrays: kvmalloc()
	 * rounds what has more than 2 MiB up to whole huge pages.
	 */
	t_ok(grown <= (long long)(st.metadata + st.percpu + MIB + MIB / 4) &&
	     grown >= (long long)(st.metadata - st.metadata / 4 - 64 * KIB),
	     "which is about what the kernel's memory grew by");
	return st;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "ops", required_argument, NULL, 'o' },
		{ "seed", required_argument, NULL, 's' },
		{}
	};
	struct hybrid_alloc_extent e;
	struct hybrid_alloc_stat start;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'o')
			nr_ops = strtoull(optarg, NULL, 0);
		else if (c == 's')
			t_seed = strtoull(optarg, NULL, 0);
		else
			return 2;
	}
	rng = t_seed;
	t_note("--seed %llu --ops %llu", t_seed, nr_ops);
	ha_need_module();
	start = test_attach();
	t_ok(!ha_alloc(fd, CAPACITY, 0, &e) && !ha_free(fd, e.start, e.len, NULL),
	     "an extent of 100 TiB");
	run();
	while (nr_exts)
		do_free();
	t_counts(count, NR_COUNTS);
	t_all_back(fd, &start, "at the end");
	close(fd);
	t_errno(ha_detach(id, 0), 0, "DETACH");
	t_nullb_remove("hat-huge");
	return t_done();
}
