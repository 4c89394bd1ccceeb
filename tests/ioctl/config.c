// SPDX-License-Identifier: GPL-2.0
/*
 * What can be configured at attach: min_block is what sizes are rounded to,
 * max_block is the largest single extent, slab_max and buddy_start decide which
 * sizes come from slabs and which are blocks of the buddy, and which of them go
 * through the pools. What does not fit together is refused, with one line in
 * the log.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include "harness.h"

#define DISK_MIB	512
#define MAX		HYBRID_ALLOC_MAX_ITEMS

static const char *disk;
static u32 id;
static int fd;
static struct hybrid_alloc_info info;
static struct hybrid_alloc_stat start;

static void attach(struct hybrid_alloc_attach a)
{
	int err = ha_attach(&a, disk, HYBRID_ALLOC_ATTACH_FRESH, &id);

	if (err)
		t_die("attach: %s", t_strerror(err));
	fd = ha_must_open(id, O_RDWR);
	if (ha_info(fd, 0, 0, &info))
		t_die("INFO");
	start = ha_stat(fd, 0);
}

static void detach(const char *name)
{
	t_all_back(fd, &start, name);
	t_errno(ha_op(fd, HYBRID_ALLOC_IOC_CHECK), 0, "%s: CHECK", name);
	close(fd);
	if (ha_detach(id, 0))
		t_die("DETACH");
}

/* Where extents of a size come from, as far as the counters tell. */
enum source { NOT_TOLD, POOL_SLAB, POOL_BUDDY, SLAB, BUDDY };

static const char * const source_names[] = {
	[NOT_TOLD] = "somewhere else", [POOL_SLAB] = "slabs, through a pool",
	[POOL_BUDDY] = "the buddy, through a pool", [SLAB] = "slabs", [BUDDY] = "the buddy",
};

/* With nothing else live: what the first of them needs is made for it. */
static enum source source_of(u64 len, bool *ok)
{
	struct hybrid_alloc_stat before, first, second;
	struct hybrid_alloc_extent e;
	bool pooled, missed, slab;

	ha_op(fd, HYBRID_ALLOC_IOC_DRAIN);
	before = ha_stat(fd, 0);
	*ok = !ha_alloc(fd, len, 0, &e);
	first = ha_stat(fd, 0);
	*ok &= !ha_free(fd, e.start, len, NULL) && !ha_alloc(fd, len, 0, &e);
	second = ha_stat(fd, 0);
	*ok &= !ha_free(fd, e.start, len, NULL);
	missed = first.pool_misses > before.pool_misses;
	pooled = second.pool_hits > first.pool_hits;
	slab = first.slabs_made > before.slabs_made;
	if (missed != pooled)
		return NOT_TOLD;
	return pooled ? (slab ? POOL_SLAB : POOL_BUDDY) : slab ? SLAB : BUDDY;
}

static const struct {
	const char *name;
	struct hybrid_alloc_attach a;
	struct {
		u64 len;
		enum source want;
	} sizes[9];
} shapes[] = {
	{ "default", {}, {
		{ 1, POOL_SLAB }, { 64 * KIB, POOL_SLAB }, { 68 * KIB, SLAB },
		{ 512 * KIB, POOL_SLAB }, { MIB, POOL_BUDDY },
		{ 2 * MIB, POOL_BUDDY }, { 4 * MIB, POOL_BUDDY }, { 3 * MIB, SLAB },
		{ 32 * MIB, BUDDY } } },
	{ "slab_max 64 KiB", { .slab_max = 64 * KIB }, {
		{ BLOCK, POOL_SLAB }, { 64 * KIB, POOL_SLAB }, { 128 * KIB, SLAB },
		{ 512 * KIB, SLAB }, { MIB, POOL_BUDDY } } },
	{ "slab_max 4 KiB", { .slab_max = BLOCK }, {
		{ BLOCK, POOL_SLAB }, { BLOCK + 1, SLAB }, { 64 * KIB, SLAB },
		{ MIB, POOL_BUDDY } } },
	{ "slab_max 4 MiB", { .slab_max = 4 * MIB }, {
		{ BLOCK, POOL_SLAB }, { 2 * MIB, POOL_SLAB }, { 4 * MIB, POOL_SLAB },
		{ 8 * MIB, SLAB }, { 32 * MIB, BUDDY } } },
	{ "buddy_start 16 MiB", { .buddy_start = 16 * MIB }, {
		{ MIB, POOL_SLAB }, { 2 * MIB, SLAB }, { 4 * MIB, SLAB }, { 8 * MIB, SLAB },
		{ 16 * MIB, SLAB }, { 32 * MIB, BUDDY } } },
	{ "buddy_start 64 KiB, slab_max 32 KiB",
	  { .buddy_start = 64 * KIB, .slab_max = 32 * KIB }, {
		{ 32 * KIB, POOL_SLAB }, { 48 * KIB, SLAB }, { 64 * KIB, POOL_BUDDY },
		{ 128 * KIB, POOL_BUDDY }, { 132 * KIB, SLAB }, { 8 * MIB, BUDDY } } },
	{ "buddy_start and slab_max 4 KiB", { .buddy_start = BLOCK, .slab_max = BLOCK }, {
		{ BLOCK, POOL_SLAB }, { 2 * BLOCK, POOL_BUDDY }, { 3 * BLOCK, SLAB },
		{ 16 * BLOCK, POOL_BUDDY } } },
	{ "min_block 64 KiB", { .min_block = 64 * KIB }, {
		{ 1, POOL_SLAB }, { 64 * KIB + 1, POOL_SLAB }, { MIB, POOL_BUDDY },
		{ MIB + 1, SLAB }, { 2 * MIB, POOL_BUDDY }, { 64 * MIB, POOL_BUDDY },
		{ 128 * MIB, BUDDY } } },
	{ "all 1 MiB", { .min_block = MIB, .slab_max = MIB, .buddy_start = MIB }, {
		{ 1, POOL_SLAB }, { 2 * MIB, POOL_BUDDY }, { 3 * MIB, SLAB } } },
};

static void test_sources(void)
{
	enum source got;
	u32 i, k;
	bool ok;

	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		attach(shapes[i].a);
		for (k = 0; k < ARRAY_SIZE(shapes[i].sizes) && shapes[i].sizes[k].len; k++) {
			got = source_of(shapes[i].sizes[k].len, &ok);
			if (!t_ok(ok && got == shapes[i].sizes[k].want,
				  "%s: %llu bytes come from %s", shapes[i].name,
				  shapes[i].sizes[k].len, source_names[shapes[i].sizes[k].want]))
				t_note("they come from %s", source_names[got]);
		}
		detach(shapes[i].name);
	}
}

/* Sizes are rounded up to min_block, and positions are multiples of it. */
static void test_rounding(u64 min)
{
	struct hybrid_alloc_attach a = {
		.min_block = min, .range_start = 4 * BLOCK, .range_len = 300 * MIB + 3 * BLOCK,
	};
	const u64 lens[] = { 1, min - 1, min, min + 1, 7 * min - 1, MIB + 1, 5 * MIB - 1 };
	struct hybrid_alloc_extent e;
	char name[32];
	u64 want;
	u32 i, reason;
	int err;

	/* what is no whole block at either end is left alone, and counted */
	snprintf(name, sizeof(name), "min_block %llu", min);
	attach(a);
	want = (4 * BLOCK + min - 1) / min * min;
	t_ok(info.min_block == min && info.range_start == want &&
	     info.range_start + info.range_len == (300 * MIB + 7 * BLOCK) / min * min,
	     "%s: INFO", name);
	t_ok(t_identity(&start, name) && start.free == info.range_len &&
	     start.unusable == 300 * MIB + 3 * BLOCK - info.range_len, "%s: STAT", name);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		want = (lens[i] + min - 1) / min * min;
		err = ha_alloc(fd, lens[i], 0, &e);
		t_ok(!err && e.len == want && !(e.start % min), "%s: ALLOC of %llu gives %llu",
		     name, lens[i], want);
		err = ha_free(fd, e.start + min / 2, lens[i], &reason);
		t_ok(err == EINVAL && reason == HYBRID_ALLOC_REASON_UNALIGNED,
		     "%s: FREE of half a block further", name);
		err = ha_free(fd, e.start, want + 1, &reason);
		t_ok(err == EINVAL && reason == HYBRID_ALLOC_REASON_WRONG_LENGTH,
		     "%s: FREE of a byte more than that", name);
		/* the least that rounds up to it */
		t_errno(ha_free(fd, e.start, want - min + 1, NULL), 0, "%s: FREE of %llu", name,
			want - min + 1);
	}
	t_errno(ha_claim(fd, info.range_start + min / 2, min), EINVAL,
		"%s: CLAIM of half a block further", name);
	err = ha_claim(fd, info.range_start + 3 * min, 1);
	t_ok(!err && !ha_free(fd, info.range_start + 3 * min, min, NULL),
	     "%s: CLAIM of a byte is one of a block", name);
	detach(name);
}

static void test_max_block(u64 max)
{
	static struct hybrid_alloc_extent exts[MAX];
	struct hybrid_alloc_alloc_item items[] = { { .len = max }, { .len = max + 1 } };
	struct hybrid_alloc_many m = { .len = 5 * max + BLOCK };
	struct hybrid_alloc_extent e;
	u64 sum = 0;
	u32 i, bad;
	char name[32];
	int err;

	snprintf(name, sizeof(name), "max_block %llu", max);
	attach((struct hybrid_alloc_attach){ .max_block = max });
	t_eq(info.max_block, max, "%s: INFO", name);
	t_errno(ha_alloc(fd, max + 1, 0, NULL), EFBIG, "%s: ALLOC of a byte more", name);
	err = ha_alloc(fd, max, 0, &e);
	t_ok(!err && e.len == max && !ha_free(fd, e.start, max, NULL), "%s: ALLOC of it", name);
	err = ha_alloc_batch(fd, items, 2, &bad);
	t_ok(!err && bad == 1 && !items[0].error && items[1].error == EFBIG,
	     "%s: both in a batch", name);
	if (ha_free(fd, items[0].extent.start, max, NULL))
		t_die("FREE");

	t_errno(ha_alloc_many(fd, &m, exts, 5), EFBIG,
		"%s: a block more than five of them, in five extents", name);
	err = ha_alloc_many(fd, &m, exts, 6);
	for (i = bad = 0; !err && i < m.nr_extents; i++) {
		bad += exts[i].len > max;
		sum += exts[i].len;
		bad += !!ha_free(fd, exts[i].start, exts[i].len, NULL);
	}
	t_ok(!err && m.nr_extents == 6 && !bad && sum == m.len && m.total == sum,
	     "%s: in six, none of them larger", name);
	m = (struct hybrid_alloc_many){ .len = 5 * max + BLOCK,
					.flags = HYBRID_ALLOC_ALLOC_PARTIAL };
	err = ha_alloc_many(fd, &m, exts, 2);
	t_ok(!err && m.nr_extents == 2 && m.total == 2 * max, "%s: a part in two", name);
	for (i = bad = 0; !err && i < m.nr_extents; i++)
		bad += !!ha_free(fd, exts[i].start, exts[i].len, NULL);
	t_eq(bad, 0, "%s: and these are freed", name);
	detach(name);
}

static void test_refused(void)
{
	static const struct {
		const char *how;
		struct hybrid_alloc_attach a;
	} bad[] = {
		{ "min_block 2 KiB", { .min_block = 2048 } },
		{ "min_block 12 KiB", { .min_block = 12 * KIB } },
		{ "min_block 2 MiB", { .min_block = 2 * MIB, .slab_max = 2 * MIB,
				       .buddy_start = 2 * MIB } },
		{ "slab_max no power of two", { .slab_max = 96 * KIB } },
		{ "slab_max less than min_block", { .min_block = 64 * KIB, .slab_max = 32 * KIB } },
		{ "slab_max 8 MiB", { .slab_max = 8 * MIB } },
		{ "slab_max 2^63", { .slab_max = 1ULL << 63 } },
		{ "buddy_start no power of two", { .buddy_start = MIB + BLOCK } },
		{ "buddy_start less than min_block", { .min_block = 64 * KIB,
						       .buddy_start = 32 * KIB } },
		{ "buddy_start 32 MiB", { .buddy_start = 32 * MIB } },
		{ "buddy_start 2^63", { .buddy_start = 1ULL << 63 } },
		{ "max_block no multiple of min_block", { .min_block = 64 * KIB,
							  .max_block = 96 * KIB } },
		{ "max_block 1", { .max_block = 1 } },
		{ "a range smaller than buddy_start", { .buddy_start = 16 * MIB,
							.range_len = 16 * MIB - BLOCK } },
	};
	struct hybrid_alloc_attach a;
	int err, lines;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		a = bad[i].a;
		t_log_lines();
		err = ha_attach(&a, disk, HYBRID_ALLOC_ATTACH_FRESH, NULL);
		lines = t_log_lines();
		if (!t_ok(err == EINVAL && lines == 1, "%s: EINVAL, with one line in the log",
			  bad[i].how))
			t_note("%s, %d lines", t_strerror(err), lines);
		if (!err)
			t_die("it is attached");
		t_ok(t_disk_is_free(disk), "%s: the disk is free", bad[i].how);
	}
}

int main(void)
{
	ha_need_module();
	disk = t_disk("hat-config", DISK_MIB);
	t_pin(0);
	test_refused();
	test_sources();
	test_rounding(4 * KIB);
	test_rounding(8 * KIB);
	test_rounding(64 * KIB);
	test_rounding(MIB);
	test_max_block(BLOCK);
	test_max_block(68 * KIB);
	test_max_block(MIB);
	test_max_block(64 * MIB);
	t_nullb_remove("hat-config");
	return t_done();
}
