// SPDX-License-Identifier: GPL-2.0
/*
 * An extent is a range: FREE_PART, SPLIT, EXTEND and KEEP for each kind of extent, bound or
 * not, single and in batches. MAP says what is left, STAT counts it, each piece is freed as any
 * extent is, and what is refused says why and changes nothing. Built for 64 and for 32 bit callers.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include "harness.h"

#define BOUND	HYBRID_ALLOC_ALLOC_BOUND
#define MAX	HYBRID_ALLOC_MAX_ITEMS
#define MIDDLE	(512 * MIB)	/* a place where nothing else is done */
#define BAD_EPOCH	0xbad

static u32 id;
static int fd, fd_ro;
static u64 disk_end;

static const struct kind {
	const char *name;
	u64 len;
	u32 kind;	/* as MAP says; 0: any */
} kinds[] = {
	{ "8 KiB", 8 * KIB, HYBRID_ALLOC_MAP_KIND_EQUAL },
	{ "12 KiB", 12 * KIB, HYBRID_ALLOC_MAP_KIND_EQUAL },
	{ "64 KiB", 64 * KIB, HYBRID_ALLOC_MAP_KIND_EQUAL },
	{ "512 KiB", 512 * KIB, HYBRID_ALLOC_MAP_KIND_EQUAL },
	{ "1 MiB", MIB, HYBRID_ALLOC_MAP_KIND_BUDDY },
	{ "68 KiB", 68 * KIB, HYBRID_ALLOC_MAP_KIND_MIXED },
	{ "3 MiB + 4 KiB", 3 * MIB + BLOCK, HYBRID_ALLOC_MAP_KIND_MIXED },
	{ "2 MiB", 2 * MIB, HYBRID_ALLOC_MAP_KIND_BUDDY },
	{ "4 MiB", 4 * MIB, HYBRID_ALLOC_MAP_KIND_BUDDY },
	{ "16 MiB", 16 * MIB, 0 },
	{ "64 MiB", 64 * MIB, HYBRID_ALLOC_MAP_KIND_BUDDY },
	{ "20 MiB + 4 KiB", 20 * MIB + BLOCK, HYBRID_ALLOC_MAP_KIND_MIXED },
	{ "260 MiB", 260 * MIB, HYBRID_ALLOC_MAP_KIND_SPAN },
};

/* ---- what MAP says of a place ---- */

/* The live extents from @start to @end are these, and all else there is not live. */
static bool lies_there(u64 start, u64 end, const struct hybrid_alloc_extent *e, u32 nr)
{
	static struct hybrid_alloc_map_entry m[64];
	u32 got, i, n = 0;
	u64 pos = start;

	while (pos < end) {
		if (ha_map(fd, pos, end - pos, m, ARRAY_SIZE(m), &got) || !got)
			t_die("MAP");
		for (i = 0; i < got; i++) {
			if (m[i].state != HYBRID_ALLOC_MAP_LIVE)
				continue;
			if (n == nr || m[i].start != e[n].start || m[i].len != e[n].len) {
				t_note("MAP has %llu:%llu", (u64)m[i].start, (u64)m[i].len);
				return false;
			}
			n++;
		}
		pos = m[got - 1].start + m[got - 1].len;
	}
	if (n != nr)
		t_note("MAP has %u of %u extents", n, nr);
	return n == nr;
}

static u32 kind_at(u64 start)
{
	struct hybrid_alloc_map_entry m;
	u32 got;

	if (ha_map_flags(fd, HYBRID_ALLOC_MAP_KINDS, start, BLOCK, &m, 1, &got) || !got)
		t_die("MAP");
	return m.kind;
}

/* The state at the begin of a part of the test, to which it comes back. */
static struct hybrid_alloc_stat begin(void)
{
	if (ha_op(fd, HYBRID_ALLOC_IOC_DRAIN))
		t_die("DRAIN");
	return ha_stat(fd, 0);
}

/* ---- cuts ---- */

static void make(int f, const struct kind *k, bool bound, struct hybrid_alloc_extent *e)
{
	if (ha_alloc_flags(f, k->len, bound ? BOUND : 0, e))
		t_die("ALLOC of %s", k->name);
	if (k->kind && kind_at(e->start) != k->kind)
		t_ok(false, "%s is of kind %u, should be %u", k->name, kind_at(e->start), k->kind);
}

/* What is left of an extent without a part of it. */
static u32 remains(const struct hybrid_alloc_extent *e, u64 from, u64 len,
		   struct hybrid_alloc_extent *r)
{
	u32 nr = 0;

	memset(r, 0, 2 * sizeof(*r));
	if (from > e->start)
		r[nr++] = (struct hybrid_alloc_extent){ .start = e->start, .len = from - e->start };
	if (from + len < e->start + e->len)
		r[nr++] = (struct hybrid_alloc_extent){
			.start = from + len, .len = e->start + e->len - from - len,
		};
	return nr;
}

/* Frees the pieces, after frees of each that must be refused. Returns how much was wrong. */
static u32 free_pieces(int f, const struct hybrid_alloc_extent *e, u32 nr)
{
	u32 i, bad = 0, reason;

	for (i = 0; i < nr; i++) {
		bad += ha_free(f, e[i].start, e[i].len + BLOCK, &reason) != EINVAL ||
		       reason != HYBRID_ALLOC_REASON_WRONG_LENGTH;
		bad += !!ha_free(f, e[i].start, e[i].len, &reason) || reason;
		bad += ha_free(f, e[i].start, e[i].len, &reason) != ENOENT ||
		       reason != HYBRID_ALLOC_REASON_NOT_ALLOCATED;
	}
	return bad;
}

/* Cuts a part out of a new extent. Returns how much was wrong. */
static u32 cut(int f, const struct kind *k, bool bound, u64 offset, u64 len)
{
	struct hybrid_alloc_extent e, left[2];
	struct hybrid_alloc_stat before, after;
	u32 nr, bad = 0, reason = 77;
	int err;

	make(f, k, bound, &e);
	before = ha_stat(fd, 0);
	err = ha_free_part(f, e.start + offset, len, &reason);
	after = ha_stat(fd, 0);
	nr = remains(&e, e.start + offset, len, left);
	if (err || reason || before.charged - after.charged != len ||
	    after.nr_live != before.nr_live + nr - 1 || !t_identity(&after, "cut") ||
	    after.nr_bound + bound != before.nr_bound + (bound ? nr : 0) ||
	    !lies_there(e.start, e.start + e.len, left, nr)) {
		t_note("%s, %llu bytes at %llu of it: %s, reason %u", k->name, len, offset,
		       t_strerror(err), reason);
		bad++;
	}
	bad += ha_free_part(f, e.start + offset, len, &reason) != ENOENT ||
	       reason != HYBRID_ALLOC_REASON_NOT_ALLOCATED;
	return bad + free_pieces(f, left, nr);
}

static void test_cuts(const struct kind *k, bool bound)
{
	struct hybrid_alloc_stat start = begin();
	u64 half = k->len / BLOCK / 2 * BLOCK, last = k->len - BLOCK;
	int f = bound ? ha_must_open(id, O_RDWR) : fd;
	u32 bad = 0;

	bad += cut(f, k, bound, 0, BLOCK);
	bad += cut(f, k, bound, last, BLOCK);
	bad += cut(f, k, bound, 0, half);
	bad += cut(f, k, bound, half, k->len - half);
	bad += cut(f, k, bound, half, BLOCK);
	bad += cut(f, k, bound, 0, last);
	bad += cut(f, k, bound, BLOCK, last);
	bad += cut(f, k, bound, 0, k->len);
	if (last > BLOCK)
		bad += cut(f, k, bound, BLOCK, last - BLOCK);
	if (k->len > 2 * MIB) {
		bad += cut(f, k, bound, MIB, MIB);
		bad += cut(f, k, bound, MIB - BLOCK, MIB + 2 * BLOCK);
	}
	t_eq(bad, 0, "%s%s: head, tail and middle are cut, and the pieces freed", k->name,
	     bound ? ", bound" : "");
	if (bound)
		close(f);
	t_all_back(fd, &start, k->name);
}

/* Several parts of one extent, in a batch, until nothing is left of it. */
static void test_batch(const struct kind *k)
{
	static struct hybrid_alloc_free_item items[MAX];
	struct hybrid_alloc_stat start = begin();
	u64 blocks = k->len / BLOCK, pos = 0, rng = t_seed, each;
	struct hybrid_alloc_extent e;
	u32 nr = 0, failed, i, bad = 0;
	int err;

	make(fd, k, false, &e);
	memset(items, 0, sizeof(items));
	for (; pos < blocks && nr < MAX - 1; pos += each, nr++) {
		each = nr == MAX - 2 ? blocks - pos : 1 + random_next(&rng) % (blocks / 16 + 1);
		if (each > blocks - pos)
			each = blocks - pos;
		items[nr].extent.start = e.start + pos * BLOCK;
		items[nr].extent.len = each * BLOCK;
	}
	t_shuffle(items, nr, sizeof(items[0]), &rng);
	items[nr] = items[0];
	err = ha_free_parts(fd, items, nr + 1, &failed);
	for (i = 0; i <= nr; i++)
		bad += i < nr ? items[i].error || items[i].reason :
		       items[i].error != ENOENT ||
		       items[i].reason != HYBRID_ALLOC_REASON_NOT_ALLOCATED;
	t_ok(!err && failed == 1 && !bad, "%s: FREE_BATCH of %u parts in any order, and one again",
	     k->name, nr);
	t_all_back(fd, &start, k->name);
}

/* ---- refusals ---- */

/* A refused call: its errno, its reason, which is counted, and nothing changes. */
static void refused(int err, u32 reason, int want, u32 want_reason, const char *what,
		    const char *how)
{
	u64 count = t_before.refused_frees[want_reason];
	bool counted;

	t_refused(err, want, what, how);
	counted = t_before.refused_frees[want_reason] == count + 1;
	if (!t_ok(reason == want_reason && (!want_reason || counted), "%s: %s: reason %u", what,
		  how, want_reason))
		t_note("got reason %u%s", reason, counted ? "" : ", and it is not counted");
}

#define R(name)	HYBRID_ALLOC_REASON_##name

static void test_refused_parts(const struct kind *k)
{
	struct hybrid_alloc_extent e;
	u64 s, len = k->len;
	u32 reason;
	int err;

	/* free space before and behind it */
	s = MIDDLE;
	e = (struct hybrid_alloc_extent){ .start = s, .len = len };
	if (ha_claim(fd, s, len))
		t_die("CLAIM");
	t_remember(fd);
#define TRY(want, why, how, start, n) do {					\
		err = ha_free_part(fd, start, n, &reason);			\
		refused(err, reason, want, R(why), k->name, how);		\
	} while (0)
	TRY(EINVAL, WRONG_LENGTH, "a block too long", s, len + BLOCK);
	TRY(EINVAL, WRONG_LENGTH, "a tail that is too long", s + BLOCK, len);
	TRY(EINVAL, WRONG_LENGTH, "far too long", s, disk_end - s);
	TRY(ENOENT, NOT_ALLOCATED, "from before it", s - BLOCK, 2 * BLOCK);
	TRY(ENOENT, NOT_ALLOCATED, "before it", s - BLOCK, BLOCK);
	TRY(ENOENT, NOT_ALLOCATED, "behind it", s + len, BLOCK);
	TRY(EINVAL, UNALIGNED, "a start inside a block", s + 512, BLOCK);
	TRY(EINVAL, UNALIGNED, "a length inside a block", s, BLOCK + 1);
	TRY(EINVAL, UNALIGNED, "less than a block", s, 1);
	TRY(EINVAL, ZERO_LENGTH, "no length", s, 0);
	TRY(ERANGE, OUT_OF_RANGE, "behind the device", disk_end, BLOCK);
	TRY(ERANGE, OUT_OF_RANGE, "beyond the device", s, disk_end);
	TRY(ERANGE, OUT_OF_RANGE, "wraps", s, -BLOCK);
#undef TRY
	t_ok(lies_there(s - MIB, s + len + MIB, &e, 1), "%s: it lies there as before", k->name);
	t_errno(ha_free(fd, s, len, NULL), 0, "%s: it can be freed", k->name);
}

static void test_refused_splits(const struct kind *k)
{
	struct hybrid_alloc_extent e;
	u64 s, len = k->len;
	u32 reason;
	int err;

	make(fd, k, false, &e);
	s = e.start;
	t_remember(fd);
#define TRY(want, why, how, start, n, at) do {					\
		err = ha_split(fd, start, n, at, &reason);			\
		refused(err, reason, want, R(why), k->name, "SPLIT " how);	\
	} while (0)
	TRY(EINVAL, UNALIGNED, "at its start", s, len, s);
	TRY(EINVAL, UNALIGNED, "at its end", s, len, s + len);
	TRY(EINVAL, UNALIGNED, "before it", s + BLOCK, len - BLOCK, s);
	TRY(EINVAL, UNALIGNED, "inside a block", s, len, s + 512);
	TRY(EINVAL, UNALIGNED, "of an unaligned start", s + 512, len, s + BLOCK);
	TRY(EINVAL, WRONG_LENGTH, "of a length too long", s, len + BLOCK, s + BLOCK);
	if (len > 2 * BLOCK) {
		TRY(EINVAL, WRONG_LENGTH, "of its head", s, len - BLOCK, s + BLOCK);
		TRY(EINVAL, WRONG_START, "of its tail", s + BLOCK, len - BLOCK, s + 2 * BLOCK);
	}
	TRY(EINVAL, ZERO_LENGTH, "of nothing", s, 0, s + BLOCK);
	TRY(ERANGE, OUT_OF_RANGE, "behind the device", disk_end, 2 * BLOCK, disk_end + BLOCK);
#undef TRY
	t_errno(ha_free(fd, s, len, NULL), 0, "%s: it can be freed", k->name);
	t_remember(fd);
	err = ha_split(fd, s, len, s + BLOCK, &reason);
	refused(err, reason, ENOENT, R(NOT_ALLOCATED), k->name, "SPLIT of what is free");
}

static void test_refused_extensions(const struct kind *k)
{
	struct hybrid_alloc_extent e, x;
	u64 s, len = k->len;
	u32 reason;
	int err;

	make(fd, k, false, &e);
	s = e.start;
	t_remember(fd);
#define TRY(want, why, how, from, n, more, least) do {				\
		x = (struct hybrid_alloc_extent){ .start = from, .len = n };	\
		err = ha_extend(fd, &x, more, least, &reason);			\
		refused(err, reason, want, R(why), k->name, "EXTEND " how);	\
		if (x.len != (n))						\
			t_ok(false, "%s: the length is %llu", k->name, (u64)x.len); \
	} while (0)
	TRY(EINVAL, NONE, "by nothing", s, len, 0, 0);
	TRY(EINVAL, NONE, "by less than the least", s, len, BLOCK, 2 * BLOCK);
	TRY(EFBIG, NONE, "by more than there is", s, len, disk_end + BLOCK, 0);
	TRY(EFBIG, NONE, "by 2^64 - 1", s, len, ~0ULL, 0);
	TRY(EFBIG, NONE, "beyond the device", s, len, disk_end, 0);
	TRY(EINVAL, UNALIGNED, "of an unaligned start", s + 512, len, BLOCK, 0);
	TRY(EINVAL, WRONG_LENGTH, "of a length too long", s, len + BLOCK, BLOCK, 0);
	TRY(EINVAL, WRONG_LENGTH, "of its head", s, len - BLOCK, BLOCK, 0);
	TRY(EINVAL, WRONG_START, "of its tail", s + BLOCK, len - BLOCK, BLOCK, 0);
	TRY(EINVAL, ZERO_LENGTH, "of nothing", s, 0, BLOCK, 0);
	TRY(ERANGE, OUT_OF_RANGE, "behind the device", disk_end, BLOCK, BLOCK, 0);
#undef TRY
	t_errno(ha_free(fd, s, len, NULL), 0, "%s: it can be freed", k->name);
	t_remember(fd);
	x = e;
	err = ha_extend(fd, &x, BLOCK, 0, &reason);
	refused(err, reason, ENOENT, R(NOT_ALLOCATED), k->name, "EXTEND of what is free");
}

/* ---- rows ---- */

/* Extents of all kinds, one behind the other; returns where they end. */
static u64 make_row(int f, u64 pos, u32 nr, struct hybrid_alloc_extent *e)
{
	u32 i;

	for (i = 0; i < nr; i++) {
		e[i] = (struct hybrid_alloc_extent){ .start = pos, .len = kinds[i].len };
		if (ha_claim(f, pos, e[i].len))
			t_die("CLAIM");
		pos += e[i].len;
	}
	return pos;
}

static void test_rows(void)
{
	struct hybrid_alloc_stat start = begin();
	const u32 nr = ARRAY_SIZE(kinds);
	struct hybrid_alloc_extent e[nr];
	static struct hybrid_alloc_alloc_item a[40];
	u32 reason, i, failed;
	u64 end, from;
	int err;

	end = make_row(fd, MIDDLE, nr, e);
	t_remember(fd);
#define TRY(how, start, n) do {							\
		err = ha_free_part(fd, start, n, &reason);			\
		refused(err, reason, EINVAL, R(WRONG_LENGTH), "a row", how);	\
	} while (0)
	TRY("that begins inside an extent", MIDDLE + BLOCK, end - MIDDLE - BLOCK);
	TRY("that ends inside an extent", MIDDLE, end - MIDDLE - BLOCK);
	TRY("and a free block", MIDDLE, end - MIDDLE + BLOCK);
#undef TRY
	if (ha_free(fd, e[3].start, e[3].len, NULL))
		t_die("FREE");
	t_remember(fd);
	err = ha_free_part(fd, MIDDLE, end - MIDDLE, &reason);
	refused(err, reason, EINVAL, R(WRONG_LENGTH), "a row", "with a hole");
	t_errno(ha_free_part(fd, MIDDLE, e[3].start - MIDDLE, &reason), 0, "the row before it");
	from = e[3].start + e[3].len;
	t_errno(ha_free_part(fd, from, end - from, &reason), 0, "the row behind it");
	t_eq(reason, R(NONE), "there is no reason then");
	t_eq(ha_stat(fd, 0).nr_live, start.nr_live, "all are free");
	t_all_back(fd, &start, "rows");

	/* what pools serve lies in a row, too */
	for (i = 0; i < ARRAY_SIZE(a); i++)
		a[i] = (struct hybrid_alloc_alloc_item){ .len = 16 * KIB };
	if (ha_alloc_batch(fd, a, ARRAY_SIZE(a), &failed) || failed)
		t_die("ALLOC_BATCH");
	for (i = 1; i < ARRAY_SIZE(a); i++)
		if (a[i].extent.start != a[0].extent.start + i * 16 * KIB)
			break;
	t_eq(i, ARRAY_SIZE(a), "extents of 16 KiB lie in a row");
	t_errno(ha_free_part(fd, a[0].extent.start, i * 16 * KIB, NULL), 0, "and are freed as one");
	t_all_back(fd, &start, "a row of pooled extents");
}

/* ---- splits ---- */

static u32 split(int f, const struct kind *k, bool bound, u64 offset)
{
	struct hybrid_alloc_stat before, after;
	struct hybrid_alloc_extent e, two[2];
	u32 bad = 0, reason = 77;
	int err;

	make(f, k, bound, &e);
	before = ha_stat(fd, 0);
	/* a length that rounds up to the extent's will do */
	err = ha_split(f, e.start, e.len - 511, e.start + offset, &reason);
	after = ha_stat(fd, 0);
	remains(&e, e.start + offset, 0, two);
	if (err || reason || after.charged != before.charged ||
	    after.nr_live != before.nr_live + 1 || after.nr_bound != before.nr_bound + bound ||
	    !t_identity(&after, "split") || !lies_there(e.start, e.start + e.len, two, 2)) {
		t_note("%s at %llu: %s, reason %u", k->name, offset, t_strerror(err), reason);
		bad++;
	}
	bad += ha_free(f, e.start, e.len, &reason) != EINVAL || reason != R(WRONG_LENGTH);
	/* the second one first, every other time */
	if (offset / BLOCK % 2)
		bad += !!ha_free(f, two[1].start, two[1].len, NULL) +
		       !!ha_free(f, two[0].start, two[0].len, NULL);
	else
		bad += !!ha_free_part(f, e.start, e.len, NULL);
	return bad;
}

static void test_splits(const struct kind *k, bool bound)
{
	struct hybrid_alloc_stat start = begin();
	u64 half = k->len / BLOCK / 2 * BLOCK;
	int f = bound ? ha_must_open(id, O_RDWR) : fd;
	u32 bad = 0;

	bad += split(f, k, bound, BLOCK);
	bad += split(f, k, bound, half);
	bad += split(f, k, bound, k->len - BLOCK);
	if (k->len > 2 * MIB)
		bad += split(f, k, bound, MIB);
	t_eq(bad, 0, "%s%s: SPLIT makes two extents of it", k->name, bound ? ", bound" : "");
	if (bound)
		close(f);
	t_all_back(fd, &start, k->name);
}

/* One extent in a batch until each block is one. */
static void test_split_batch(void)
{
	static struct hybrid_alloc_split_item items[MAX];
	static struct hybrid_alloc_free_item frees[MAX];
	struct hybrid_alloc_stat start = begin();
	struct hybrid_alloc_extent e;
	u32 i, failed, bad = 0;
	int err;

	if (ha_alloc(fd, MAX * BLOCK, 0, &e))
		t_die("ALLOC");
	memset(items, 0, sizeof(items));
	memset(frees, 0, sizeof(frees));
	for (i = 0; i < MAX - 1; i++) {
		items[i].extent.start = e.start + i * BLOCK;
		items[i].extent.len = (MAX - i) * BLOCK;
		items[i].at = e.start + (i + 1) * BLOCK;
	}
	items[MAX - 1] = items[0];
	err = ha_split_batch(fd, items, MAX, &failed);
	for (i = 0; i < MAX; i++)
		bad += items[i].error != (i < MAX - 1 ? 0 : EINVAL);
	t_ok(!err && failed == 1 && !bad && items[MAX - 1].reason == R(WRONG_LENGTH),
	     "SPLIT of 4 MiB into blocks in one call, and once more");
	t_eq(ha_stat(fd, 0).nr_live, start.nr_live + MAX, "each is an extent");
	for (i = 0; i < MAX; i++)
		frees[i].extent = (struct hybrid_alloc_extent){
			.start = e.start + i * BLOCK, .len = BLOCK,
		};
	err = ha_free_batch(fd, frees, MAX, &failed);
	t_ok(!err && !failed, "and is freed as one");
	t_all_back(fd, &start, "SPLIT of many");
}

/* ---- extending ---- */

static u32 extend(int f, const struct kind *k, bool bound, u64 more)
{
	struct hybrid_alloc_extent e, whole;
	struct hybrid_alloc_stat before, after;
	u32 bad = 0, reason = 77;
	int err;

	make(f, k, bound, &e);
	whole = e;
	before = ha_stat(fd, 0);
	err = ha_extend(f, &whole, more - 511, 0, &reason);
	after = ha_stat(fd, 0);
	if (err || reason || whole.start != e.start || whole.len != e.len + more ||
	    after.charged != before.charged + more || after.nr_live != before.nr_live ||
	    after.nr_bound != before.nr_bound || !t_identity(&after, "extend") ||
	    !lies_there(e.start, e.start + e.len + more, &whole, 1)) {
		t_note("%s by %llu: %s, reason %u, %llu bytes", k->name, more, t_strerror(err),
		       reason, (u64)whole.len);
		bad++;
	}
	bad += ha_free(f, e.start, e.len, &reason) != EINVAL || reason != R(WRONG_LENGTH);
	/* what was behind it is part of it */
	bad += !!ha_free_part(f, e.start + e.len, more, NULL);
	bad += !!ha_free(f, e.start, e.len, NULL);
	return bad;
}

static void test_extend(const struct kind *k, bool bound)
{
	struct hybrid_alloc_stat start = begin();
	int f = bound ? ha_must_open(id, O_RDWR) : fd;
	u32 bad = 0;

	bad += extend(f, k, bound, BLOCK);
	bad += extend(f, k, bound, 17 * BLOCK);
	bad += extend(f, k, bound, k->len);
	bad += extend(f, k, bound, 5 * MIB);
	bad += extend(f, k, bound, 64 * MIB);
	t_eq(bad, 0, "%s%s: EXTEND makes it longer, where it is", k->name,
	     bound ? ", bound" : "");
	if (bound)
		close(f);
	t_all_back(fd, &start, k->name);
}

/* Something is live behind the extent. */
static void test_extend_far(const struct kind *k)
{
	struct hybrid_alloc_stat start = begin();
	struct hybrid_alloc_extent e = { .start = MIDDLE, .len = k->len }, x = e;
	u64 gap = 5 * BLOCK, wall = MIDDLE + k->len + gap;
	u32 reason;
	int err;

	if (ha_claim(fd, e.start, e.len) || ha_claim(fd, wall, BLOCK))
		t_die("CLAIM");
	t_remember(fd);
	err = ha_extend(fd, &x, gap + BLOCK, 0, &reason);
	refused(err, reason, ENOSPC, R(NONE), k->name, "EXTEND by a block more than is free");
	err = ha_extend(fd, &x, 64 * MIB, gap + 1, &reason);
	refused(err, reason, ENOSPC, R(NONE), k->name, "EXTEND by a byte more at least");
	t_errno(ha_extend(fd, &x, BLOCK, BLOCK, NULL), 0, "%s: EXTEND by a block", k->name);
	t_errno(ha_extend(fd, &x, 64 * MIB, 1, NULL), 0, "%s: EXTEND as far as it goes", k->name);
	t_eq(x.len, e.len + gap, "which is up to the next extent");
	t_remember(fd);
	err = ha_extend(fd, &x, BLOCK, 0, &reason);
	refused(err, reason, ENOSPC, R(NONE), k->name, "EXTEND where nothing is free");
	t_errno(ha_free_part(fd, e.start, x.len + BLOCK, NULL), 0, "both are a row");
	t_all_back(fd, &start, k->name);
}

/* Objects of slabs: the next one is live, then in a pool. */
static void test_extend_objects(void)
{
	struct hybrid_alloc_stat start = begin();
	struct hybrid_alloc_extent e[3], x;
	u32 reason, i;
	int err;

	for (i = 0; i < 3; i++)
		if (ha_alloc(fd, 64 * KIB, 0, &e[i]))
			t_die("ALLOC");
	t_ok(e[1].start == e[0].start + 64 * KIB && e[2].start == e[1].start + 64 * KIB,
	     "three extents in a row");
	x = e[0];
	t_remember(fd);
	err = ha_extend(fd, &x, BLOCK, 0, &reason);
	refused(err, reason, ENOSPC, R(NONE), "an object", "EXTEND into a live one");
	t_errno(ha_free(fd, e[1].start, e[1].len, NULL), 0, "the next one goes to a pool");
	t_ok(ha_stat(fd, 0).cached >= 64 * KIB, "as STAT says");
	t_errno(ha_extend(fd, &x, MIB, 1, NULL), 0, "EXTEND as far as it goes");
	t_eq(x.len, 128 * KIB, "gets all of that");
	t_errno(ha_free(fd, x.start, x.len, NULL), 0, "FREE");
	t_errno(ha_free(fd, e[2].start, e[2].len, NULL), 0, "FREE of the third");
	t_all_back(fd, &start, "EXTEND of objects");
}

/* To the last block of the device. */
static void test_extend_end(void)
{
	struct hybrid_alloc_stat start = begin();
	struct hybrid_alloc_extent x = { .start = disk_end - 3 * BLOCK, .len = BLOCK };
	struct hybrid_alloc_extend_item items[3] = {};
	u32 reason, failed;
	int err;

	if (ha_claim(fd, x.start, x.len))
		t_die("CLAIM");
	t_remember(fd);
	err = ha_extend(fd, &x, 3 * BLOCK, 0, &reason);
	refused(err, reason, ENOSPC, R(NONE), "the end", "EXTEND beyond it");
	t_errno(ha_extend(fd, &x, disk_end / 2, 1, NULL), 0, "EXTEND to the end of the device");
	t_eq(x.len, 3 * BLOCK, "gets what there is");
	t_errno(ha_free(fd, x.start, x.len, NULL), 0, "FREE");

	/* all of the device, in three steps of a batch */
	if (ha_claim(fd, 0, BLOCK))
		t_die("CLAIM");
	items[0].extent = (struct hybrid_alloc_extent){ .start = 0, .len = BLOCK };
	items[0].more = 16 * MIB - BLOCK;
	items[1].extent = (struct hybrid_alloc_extent){ .start = 0, .len = 16 * MIB };
	items[1].more = disk_end / 2 - 16 * MIB;
	items[2].extent = (struct hybrid_alloc_extent){ .start = 0, .len = disk_end / 2 };
	items[2].more = disk_end;
	items[2].least = disk_end / 2;
	err = ha_extend_batch(fd, items, 3, &failed);
	t_ok(!err && !failed && items[2].extent.len == disk_end, "EXTEND to all of the device");
	t_eq(ha_stat(fd, 0).free, 0, "nothing is free");
	t_errno(ha_free_part(fd, BLOCK, disk_end - 2 * BLOCK, NULL), 0, "all but its ends is cut");
	t_errno(ha_free(fd, 0, BLOCK, NULL), 0, "FREE of the first block");
	t_errno(ha_free(fd, disk_end - BLOCK, BLOCK, NULL), 0, "FREE of the last block");
	t_all_back(fd, &start, "all of the device");
}

/* ---- bound extents ---- */

static void test_foreign(const struct kind *k)
{
	struct hybrid_alloc_stat start = begin();
	struct hybrid_alloc_extent e, x;
	int f = ha_must_open(id, O_RDWR), err;
	u32 reason;

	make(f, k, true, &e);
	t_remember(fd);
	err = ha_free_part(fd, e.start, BLOCK, &reason);
	refused(err, reason, EPERM, R(FOREIGN), k->name, "another's head");
	err = ha_free_part(fd, e.start + BLOCK, e.len - BLOCK, &reason);
	refused(err, reason, EPERM, R(FOREIGN), k->name, "another's tail");
	err = ha_free_part(fd, e.start, e.len, &reason);
	refused(err, reason, EPERM, R(FOREIGN), k->name, "all of another's");
	err = ha_split(fd, e.start, e.len, e.start + BLOCK, &reason);
	refused(err, reason, EPERM, R(FOREIGN), k->name, "SPLIT of another's");
	x = e;
	err = ha_extend(fd, &x, BLOCK, 0, &reason);
	refused(err, reason, EPERM, R(FOREIGN), k->name, "EXTEND of another's");
	err = ha_keep(fd, e.start, e.len, &reason);
	refused(err, reason, EPERM, R(FOREIGN), k->name, "KEEP of another's");
	t_ok(x.len == e.len && lies_there(e.start, e.start + e.len, &e, 1),
	     "%s: it lies there as before", k->name);

	/* what it becomes is the file's, too */
	t_errno(ha_split(f, e.start, e.len, e.start + BLOCK, NULL), 0, "%s: SPLIT by the owner",
		k->name);
	t_remember(fd);
	err = ha_free(fd, e.start, BLOCK, &reason);
	refused(err, reason, EPERM, R(FOREIGN), k->name, "the first of two");
	err = ha_free(fd, e.start + BLOCK, e.len - BLOCK, &reason);
	refused(err, reason, EPERM, R(FOREIGN), k->name, "the second of two");
	err = ha_free_part(fd, e.start, e.len, &reason);
	refused(err, reason, EPERM, R(FOREIGN), k->name, "a row that is another's");
	t_eq(ha_stat(fd, 0).nr_bound, 2, "%s: both are bound", k->name);
	close(f);
	t_eq(ha_stat(fd, 0).nr_live, start.nr_live, "%s: both go with the file", k->name);
	t_all_back(fd, &start, k->name);
}

/* Rows of which another file has one. */
static void test_foreign_rows(void)
{
	struct hybrid_alloc_stat start = begin();
	struct hybrid_alloc_extent e[3];
	int f = ha_must_open(id, O_RDWR), err;
	u32 reason, i;

	for (i = 0; i < 3; i++) {
		struct hybrid_alloc_alloc a = {
			.size = sizeof(a), .len = 68 * KIB, .goal = MIDDLE + i * 68 * KIB,
			.flags = HYBRID_ALLOC_ALLOC_GOAL | (i == 1 ? BOUND : 0),
		};

		if (ha_ioctl(f, HYBRID_ALLOC_IOC_ALLOC, &a))
			t_die("ALLOC");
		e[i] = a.extent;
	}
	t_ok(e[1].start == e[0].start + e[0].len && e[2].start == e[1].start + e[1].len,
	     "three in a row, the second is bound");
	t_remember(fd);
	err = ha_free_part(fd, e[0].start, 3 * 68 * KIB, &reason);
	refused(err, reason, EPERM, R(FOREIGN), "a row", "with one that is another's");
	err = ha_free_part(fd, e[1].start, 2 * 68 * KIB, &reason);
	refused(err, reason, EPERM, R(FOREIGN), "a row", "that begins with another's");
	t_ok(lies_there(e[0].start, e[0].start + 3 * 68 * KIB, e, 3), "all three are there");
	t_errno(ha_free_part(f, e[0].start, 3 * 68 * KIB, &reason), 0, "the owner frees the row");
	t_eq(ha_stat(fd, 0).nr_bound, 0, "nothing is bound");
	close(f);
	t_all_back(fd, &start, "rows of others");
}

/* Extents outlive the file that they were bound to. */
static void test_keep(void)
{
	static struct hybrid_alloc_alloc_item a[MAX];
	static struct hybrid_alloc_free_item items[MAX];
	struct hybrid_alloc_stat start = begin(), st;
	struct hybrid_alloc_batch b = {
		.size = sizeof(b), .flags = BOUND, .items = (uintptr_t)a, .nr = MAX,
		.item_size = sizeof(a[0]),
	};
	int f = ha_must_open(id, O_RDWR), err;
	u32 i, failed, bad = 0, reason;

	memset(a, 0, sizeof(a));
	memset(items, 0, sizeof(items));
	for (i = 0; i < MAX; i++)
		a[i].len = i % 50 ? (1 + i % 20) * BLOCK : kinds[i / 50 % ARRAY_SIZE(kinds)].len;
	if (ha_ioctl(f, HYBRID_ALLOC_IOC_ALLOC_BATCH, &b) || b.nr_failed)
		t_die("ALLOC_BATCH");
	/* every second one, but with the wrong length for one, and one twice */
	for (i = 0; i < MAX / 2; i++)
		items[i].extent = a[2 * i].extent;
	items[7].extent.len += BLOCK;
	items[9] = items[8];
	st = ha_stat(fd, 0);
	err = ha_keep_batch(f, items, MAX / 2, &failed);
	for (i = 0; i < MAX / 2; i++)
		bad += items[i].error != (i == 7 ? EINVAL : 0) ||
		       items[i].reason != (i == 7 ? R(WRONG_LENGTH) : R(NONE));
	t_ok(!err && failed == 1 && !bad, "KEEP of %u, one of the wrong length, one twice",
	     MAX / 2);
	t_eq(ha_stat(fd, 0).nr_bound, st.nr_bound - (MAX / 2 - 2), "so many are bound no longer");
	t_eq(ha_stat(fd, 0).charged, st.charged, "all are live");
	close(f);
	t_eq(ha_stat(fd, 0).nr_live, start.nr_live + MAX / 2 - 2, "they outlive the file");
	t_eq(ha_stat(fd, 0).nr_bound, 0, "nothing is bound");
	t_eq(ha_stat(fd, 0).bound_memory, 0, "and no record is left");
	items[7].extent = items[0].extent;
	for (i = bad = 0; i < MAX / 2; i++)
		if (i != 7 && i != 9)
			bad += !!ha_free(fd, items[i].extent.start, items[i].extent.len, NULL);
	t_eq(bad, 0, "others free them");
	t_remember(fd);
	err = ha_keep(fd, items[0].extent.start, items[0].extent.len, &reason);
	refused(err, reason, ENOENT, R(NOT_ALLOCATED), "KEEP", "what is free");
	err = ha_keep(fd, 1, BLOCK, &reason);
	refused(err, reason, EINVAL, R(UNALIGNED), "KEEP", "an unaligned start");
	err = ha_keep(fd, disk_end, BLOCK, &reason);
	refused(err, reason, ERANGE, R(OUT_OF_RANGE), "KEEP", "behind the device");
	t_all_back(fd, &start, "KEEP");
}

/* ---- the calls themselves ---- */

static void test_items(void)
{
	struct hybrid_alloc_free_item part = {}, keep = {};
	struct hybrid_alloc_split_item split = {};
	struct hybrid_alloc_extend_item extend = {};
	struct hybrid_alloc_extent e;
	u32 i;
	int err;

	if (ha_alloc(fd, 4 * BLOCK, 0, &e))
		t_die("ALLOC");
	t_remember(fd);
	for (i = 0; i < 3; i++) {
		struct hybrid_alloc_extent x = e;

		x.cookie = i == 0 ? 1ULL << 63 : 0;
		x.flags = i == 1 ? 1U << 31 : 0;
		x.domain = i == 2 ? 1U << 31 : 0;
		split.extent = x;
		split.at = e.start + BLOCK;
		err = ha_split_batch(fd, &split, 1, NULL) ?: (int)split.error;
		refused(err, split.reason, EINVAL, R(NONE), "SPLIT", "a field that must be 0");
		extend.extent = x;
		extend.more = BLOCK;
		err = ha_extend_batch(fd, &extend, 1, NULL) ?: (int)extend.error;
		refused(err, extend.reason, EINVAL, R(NONE), "EXTEND", "a field that must be 0");
		keep.extent = x;
		err = ha_keep_batch(fd, &keep, 1, NULL) ?: (int)keep.error;
		refused(err, keep.reason, EINVAL, R(NONE), "KEEP", "a field that must be 0");
		part.extent = x;
		part.extent.len = BLOCK;
		err = ha_free_parts(fd, &part, 1, NULL) ?: (int)part.error;
		refused(err, part.reason, EINVAL, R(NONE), "FREE_PART", "a field that must be 0");
	}
	t_errno(ha_free(fd, e.start, e.len, NULL), 0, "FREE");
}

/* The flag is no flag of other calls. */
static void test_flags(void)
{
	static const struct {
		const char *name;
		unsigned long cmd;
		size_t item_size;
	} t[] = {
		{ "SPLIT", HYBRID_ALLOC_IOC_SPLIT, sizeof(struct hybrid_alloc_split_item) },
		{ "EXTEND", HYBRID_ALLOC_IOC_EXTEND, sizeof(struct hybrid_alloc_extend_item) },
		{ "KEEP", HYBRID_ALLOC_IOC_KEEP, sizeof(struct hybrid_alloc_free_item) },
		{ "FREE_PART", HYBRID_ALLOC_IOC_FREE_BATCH, sizeof(struct hybrid_alloc_free_item) },
	};
	u64 item[8] = {};
	struct hybrid_alloc_batch b;
	struct hybrid_alloc_extent e;
	u32 i;

	if (ha_alloc(fd, 4 * BLOCK, 0, &e))
		t_die("ALLOC");
	t_remember(fd);
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		memset(item, 0, sizeof(item));
		memcpy(item, &e, sizeof(e));
		item[4] = i == 0 ? e.start + BLOCK : i == 1 ? BLOCK : 0;
		b = (struct hybrid_alloc_batch){
			.size = sizeof(b), .flags = HYBRID_ALLOC_FREE_PART,
			.items = (uintptr_t)item, .nr = 1, .item_size = t[i].item_size,
		};
		if (i < 3)
			t_refused(ha_ioctl(fd, t[i].cmd, &b), EINVAL, t[i].name, "flag PART");
		b.flags = i < 3 ? 0 : HYBRID_ALLOC_FREE_PART;
		t_refused(ha_ioctl(fd_ro, t[i].cmd, &b), EBADF, t[i].name, "read-only file");
		b.epoch = BAD_EPOCH;
		t_refused(ha_ioctl(fd_ro, t[i].cmd, &b), EBADF, t[i].name,
			  "read-only file before stale epoch");
		t_refused(ha_ioctl(fd, t[i].cmd, &b), ESTALE, t[i].name, "stale epoch");
	}
	t_errno(ha_free(fd, e.start, e.len, NULL), 0, "FREE");
}

/* ---- threads ---- */

#define NR_THREADS	3

static struct hybrid_alloc_extent shared;
static atomic_uint ready, freed, odd;

/* Frees each block, in an order of its own. */
static void *cutter(void *arg)
{
	u64 rng = t_seed + (uintptr_t)arg;
	u32 nr = shared.len / BLOCK, i, *order = malloc(nr * sizeof(*order));
	int err;

	for (i = 0; i < nr; i++)
		order[i] = i;
	t_shuffle(order, nr, sizeof(*order), &rng);
	atomic_fetch_add(&ready, 1);
	while (atomic_load(&ready) < NR_THREADS)
		;
	for (i = 0; i < nr; i++) {
		err = ha_free_part(fd, shared.start + (u64)order[i] * BLOCK, BLOCK, NULL);
		atomic_fetch_add(&freed, !err);
		atomic_fetch_add(&odd, err && err != ENOENT);
	}
	free(order);
	return NULL;
}

static void test_threads(const struct kind *k)
{
	struct hybrid_alloc_stat start = begin();
	pthread_t threads[NR_THREADS];
	uintptr_t i;

	make(fd, k, false, &shared);
	atomic_store(&ready, 0);
	atomic_store(&freed, 0);
	atomic_store(&odd, 0);
	for (i = 0; i < NR_THREADS; i++)
		pthread_create(&threads[i], NULL, cutter, (void *)i);
	for (i = 0; i < NR_THREADS; i++)
		t_join(threads[i]);
	t_ok(atomic_load(&freed) == k->len / BLOCK && !atomic_load(&odd),
	     "%s: %u threads cut it, and free each block once", k->name, NR_THREADS);
	t_all_back(fd, &start, k->name);
}

/* Cuts, splits and extensions beside threads that allocate and free what pools serve. */
static void test_beside_load(void)
{
	struct hybrid_alloc_stat start = begin();
	struct t_load load = { .fd = fd, .nr = 2 };
	struct hybrid_alloc_extent e, left[2];
	u64 rng = t_seed, from, len, blocks;
	u32 i, round, bad = 0, longer = 0, nr;
	int err;

	t_load_start(&load);
	for (round = 0; round < 300; round++) {
		const struct kind *k = &kinds[round % 8];

		if (ha_alloc(fd, k->len, 0, &e)) {
			bad++;
			continue;
		}
		err = ha_extend(fd, &e, (1 + random_next(&rng) % 64) * BLOCK, 1, NULL);
		bad += err && err != ENOSPC;
		longer += !err;
		blocks = e.len / BLOCK;
		from = random_next(&rng) % blocks;
		len = 1 + random_next(&rng) % (blocks - from);
		if (round % 2)
			bad += !!ha_free_part(fd, e.start + from * BLOCK, len * BLOCK, NULL);
		else if (from)
			bad += !!ha_split(fd, e.start, e.len, e.start + from * BLOCK, NULL);
		nr = round % 2 ? remains(&e, e.start + from * BLOCK, len * BLOCK, left) :
		     remains(&e, e.start + from * BLOCK, 0, left);
		for (i = 0; i < nr; i++)
			bad += !!ha_free(fd, left[i].start, left[i].len, NULL);
	}
	t_load_stop(&load);
	t_note("%u of %u extents became longer, beside %u calls", longer, round,
	       atomic_load(&load.calls));
	t_ok(!bad && longer, "extents are cut, split and extended beside others");
	t_eq(atomic_load(&load.odd), 0, "who are not disturbed");
	t_errno(ha_op(fd, HYBRID_ALLOC_IOC_CHECK), 0, "CHECK");
	t_all_back(fd, &start, "beside others");
}

/* ---- a sealed instance ---- */

static void test_sealed(const char *disk)
{
	struct hybrid_alloc_extent x = { .start = MIB, .len = MIB };
	u32 other = ha_must_attach(disk, 0);
	int f = ha_must_open(other, O_RDWR), ro = ha_must_open(other, O_RDONLY);
	struct hybrid_alloc_extend_item item = { .extent = x, .more = BLOCK };
	struct hybrid_alloc_batch b = {
		.size = sizeof(b), .items = (uintptr_t)&item, .nr = 1, .item_size = sizeof(item),
		.epoch = BAD_EPOCH,
	};

	t_errno(ha_claim(f, MIB, MIB), 0, "CLAIM before SEAL");
	t_errno(ha_extend(f, &x, BLOCK, 0, NULL), EAGAIN, "EXTEND before SEAL");
	t_errno(ha_extend(ro, &x, BLOCK, 0, NULL), EBADF, "read-only file comes before sealed");
	t_errno(ha_ioctl(f, HYBRID_ALLOC_IOC_EXTEND, &b), ESTALE, "stale epoch before sealed");
	t_errno(ha_split(f, MIB, MIB, MIB + BLOCK, NULL), 0, "SPLIT before SEAL");
	t_errno(ha_free_part(f, MIB + 3 * BLOCK, BLOCK, NULL), 0, "FREE_PART before SEAL");
	t_errno(ha_keep(f, MIB, BLOCK, NULL), 0, "KEEP before SEAL");
	t_eq(ha_stat(f, 0).nr_live, 3, "three extents are live");
	t_errno(ha_op(f, HYBRID_ALLOC_IOC_SEAL), 0, "SEAL");
	x = (struct hybrid_alloc_extent){ .start = MIB + BLOCK, .len = 2 * BLOCK };
	t_errno(ha_extend(f, &x, BLOCK, 0, NULL), 0, "EXTEND after SEAL");
	t_errno(ha_free_part(f, MIB, MIB, NULL), 0, "FREE_PART of all");
	t_eq(ha_stat(f, 0).charged, 0, "nothing is live");
	close(f);
	close(ro);
	t_errno(ha_detach(other, 0), 0, "DETACH");
}

/* max_block is a limit for EXTEND, too, and blocks may be larger. */
static void test_shape(const char *disk)
{
	struct hybrid_alloc_attach a = {
		.min_block = 64 * KIB, .max_block = 4 * MIB, .range_start = MIB,
	};
	struct hybrid_alloc_extent x;
	u32 other, reason;
	int f, err;

	err = ha_attach(&a, disk, HYBRID_ALLOC_ATTACH_FRESH, &other);
	if (err)
		t_die("ATTACH: %s", t_strerror(err));
	f = ha_must_open(other, O_RDWR);
	if (ha_alloc(f, 3 * MIB, 0, &x))
		t_die("ALLOC");
	t_errno(ha_extend(f, &x, MIB + 1, 0, NULL), EFBIG, "EXTEND beyond max_block");
	t_errno(ha_free_part(f, x.start, BLOCK, &reason), EINVAL, "a part of a block");
	t_eq(reason, R(UNALIGNED), "the reason");
	t_errno(ha_split(f, x.start, x.len, x.start + BLOCK, &reason), EINVAL,
		"SPLIT inside a block");
	t_eq(reason, R(UNALIGNED), "the reason");
	t_errno(ha_extend(f, &x, 4 * MIB, 1, NULL), 0, "EXTEND as far as it goes");
	t_eq(x.len, 4 * MIB, "which is to max_block");
	t_errno(ha_extend(f, &x, 1, 0, NULL), EFBIG, "and no further");
	t_errno(ha_free_part(f, x.start + 64 * KIB, 64 * KIB, NULL), 0, "a block is cut out");
	t_errno(ha_free(f, x.start, 64 * KIB, NULL), 0, "FREE of what is before");
	t_errno(ha_free(f, x.start + 128 * KIB, x.len - 128 * KIB, NULL), 0,
		"FREE of what is behind");
	close(f);
	t_errno(ha_detach(other, 0), 0, "DETACH");
}

int main(void)
{
	struct hybrid_alloc_stat start;
	struct hybrid_alloc_info info;
	const char *disk;
	u32 i;

	t_note("a caller of %zu bits, SEED=%llu", sizeof(long) * 8, t_seed);
	/* a refused call may make the magazine that its CPU lacks, which STAT counts */
	t_pin(0);
	ha_need_module();
	disk = t_disk("hat-parts", 1024);
	id = ha_must_attach(disk, HYBRID_ALLOC_ATTACH_FRESH);
	fd = ha_must_open(id, O_RDWR);
	fd_ro = ha_must_open(id, O_RDONLY);
	if (ha_info(fd, 0, 0, &info))
		t_die("INFO");
	t_ok(info.features & HYBRID_ALLOC_FEATURE_PARTS, "INFO: the instance knows parts");
	disk_end = info.range_start + info.range_len;
	t_fill_pools(fd, 1);
	ha_op(fd, HYBRID_ALLOC_IOC_DRAIN);
	start = ha_stat(fd, 0);
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		test_cuts(&kinds[i], false);
		test_cuts(&kinds[i], true);
		test_batch(&kinds[i]);
		test_splits(&kinds[i], false);
		test_splits(&kinds[i], true);
		test_extend(&kinds[i], false);
		test_extend(&kinds[i], true);
		test_extend_far(&kinds[i]);
		test_refused_parts(&kinds[i]);
		test_refused_splits(&kinds[i]);
		test_refused_extensions(&kinds[i]);
		test_foreign(&kinds[i]);
	}
	test_rows();
	test_split_batch();
	test_extend_objects();
	test_extend_end();
	test_foreign_rows();
	test_keep();
	test_items();
	test_flags();
	t_unpin();
	for (i = 0; i < ARRAY_SIZE(kinds) && kinds[i].len <= 4 * MIB; i++)
		test_threads(&kinds[i]);
	test_beside_load();
	t_all_back(fd, &start, "at the end");
	close(fd);
	close(fd_ro);
	t_errno(ha_detach(id, 0), 0, "DETACH at the end");
	test_sealed(disk);
	test_shape(disk);
	t_nullb_remove("hat-parts");
	return t_done();
}
