// SPDX-License-Identifier: GPL-2.0
/*
 * Every free is checked, in every layer: double frees and frees of the wrong
 * start or length are refused with the documented errno and reason and change
 * nothing, while the extent is live, while it sits in a pool, and after the
 * pools were drained; and the right free still works.
 *
 * usage: frees [NODE]
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include "harness.h"

#define DISK_MIB	(32 * 1024)

static int fd;
static u64 range_start, range_end;

static const struct {
	const char *name;
	u64 len;
	bool pooled;
} sizes[] = {
	{ "4 KiB", 4 * KIB, true }, { "8 KiB", 8 * KIB, true }, { "12 KiB", 12 * KIB, true },
	{ "28 KiB", 28 * KIB, true }, { "60 KiB", 60 * KIB, true },
	{ "64 KiB", 64 * KIB, true }, { "128 KiB", 128 * KIB, true },
	{ "256 KiB", 256 * KIB, true }, { "512 KiB", 512 * KIB, true },
	{ "1 MiB", MIB, true }, { "2 MiB", 2 * MIB, true }, { "4 MiB", 4 * MIB, true },
	{ "68 KiB", 68 * KIB, false }, { "1 MiB + 4 KiB", MIB + BLOCK, false },
	{ "3 MiB", 3 * MIB, false }, { "5 MiB - 4 KiB", 5 * MIB - BLOCK, false },
	{ "8 MiB", 8 * MIB, false }, { "100 MiB + 4 KiB", 100 * MIB + BLOCK, false },
	{ "1 GiB", GIB, false }, { "5 GiB", 5 * GIB, false },
};

struct attempt {
	const char *how;
	u64 start, len;
	bool at_start;		/* of the extent; else inside it */
};

/* All that is wrong for @e, and the right one as the last. */
static int attempts(const struct hybrid_alloc_extent *e, struct attempt *a)
{
	u64 blocks = e->len / BLOCK;
	struct attempt *p = a;

	if (blocks > 1) {
		*p++ = (struct attempt){ "the first block", e->start, BLOCK, true };
		*p++ = (struct attempt){ "a block too short", e->start, e->len - BLOCK, true };
		*p++ = (struct attempt){ "half", e->start, blocks / 2 * BLOCK, true };
		*p++ = (struct attempt){ "all but the first block", e->start + BLOCK,
					 e->len - BLOCK, false };
		*p++ = (struct attempt){ "the last block", e->start + e->len - BLOCK, BLOCK,
					 false };
		*p++ = (struct attempt){ "a block further", e->start + BLOCK, e->len, false };
		*p++ = (struct attempt){ "second half", e->start + blocks / 2 * BLOCK,
					 e->len - blocks / 2 * BLOCK, false };
	}
	*p++ = (struct attempt){ "a byte too long", e->start, e->len + 1, true };
	*p++ = (struct attempt){ "a block too long", e->start, e->len + BLOCK, true };
	*p++ = (struct attempt){ "twice as long", e->start, 2 * e->len, true };
	*p++ = (struct attempt){ "a multiple of 4 MiB", e->start, (e->len | (4 * MIB - 1)) + 1 +
				 4 * MIB, true };
	*p++ = (struct attempt){ "itself", e->start, e->len, true };
	return p - a;
}

/* Tries all that must be refused; with @live not the right one. */
static void try_all(const struct hybrid_alloc_extent *e, bool live, const char *name,
		    const char *when)
{
	struct hybrid_alloc_stat before = ha_stat(fd, 0), after;
	struct attempt a[16];
	int nr = attempts(e, a) - live, i, bad = 0;

	for (i = 0; i < nr; i++) {
		int want = !live ? ENOENT : EINVAL, err;
		u32 reason, want_reason;

		if (a[i].start + a[i].len > range_end) {
			want = ERANGE;
			want_reason = HYBRID_ALLOC_REASON_OUT_OF_RANGE;
		} else if (!live) {
			want_reason = HYBRID_ALLOC_REASON_NOT_ALLOCATED;
		} else if (a[i].at_start) {
			want_reason = HYBRID_ALLOC_REASON_WRONG_LENGTH;
		} else {
			want_reason = HYBRID_ALLOC_REASON_WRONG_START;
		}
		err = ha_free(fd, a[i].start, a[i].len, &reason);
		after = ha_stat(fd, 0);
		if (err != want || reason != want_reason) {
			bad++;
			t_note("%s: got %s, reason %u; want %s, reason %u", a[i].how,
			       t_strerror(err), reason, t_strerror(want), want_reason);
		} else if (!t_unchanged(&before, &after) || !t_identity(&after, a[i].how)) {
			bad++;
			t_note("%s: refused, but the state changed", a[i].how);
		}
	}
	t_ok(!bad, "%s: %s: %d wrong frees are refused", name, when, nr);
}

static void free_it(const struct hybrid_alloc_extent *e, const char *name, const char *when)
{
	struct hybrid_alloc_stat before = ha_stat(fd, 0), after;
	int err = ha_free(fd, e->start, e->len, NULL);

	after = ha_stat(fd, 0);
	t_ok(!err && before.charged - after.charged == e->len &&
	     before.nr_live - after.nr_live == 1 && t_identity(&after, when),
	     "%s: %s: the right free works", name, when);
	if (err)
		t_note("%s", t_strerror(err));
}

static void test_size(const char *name, u64 len, bool pooled)
{
	struct hybrid_alloc_stat start = ha_stat(fd, 0), st;
	struct hybrid_alloc_extent e[3], again;
	u64 hits;
	int i;

	for (i = 0; i < 3; i++) {
		if (ha_alloc(fd, len, 0, &e[i])) {
			t_ok(false, "%s: ALLOC", name);
			return;
		}
	}
	try_all(&e[1], true, name, "live");
	free_it(&e[1], name, "live");
	st = ha_stat(fd, 0);
	if (pooled)
		t_ok(st.cached >= len, "%s: sits in a pool", name);
	try_all(&e[1], false, name, "freed just before");
	if (pooled) {
		hits = st.pool_hits;
		if (ha_alloc(fd, len, 0, &again))
			t_die("ALLOC");
		st = ha_stat(fd, 0);
		t_ok(st.pool_hits == hits + 1, "%s: comes out of the pool", name);
		try_all(&again, true, name, "out of the pool");
		free_it(&again, name, "out of the pool");
	}
	ha_op(fd, HYBRID_ALLOC_IOC_DRAIN);
	try_all(&e[1], false, name, "drained");

	/* to and fro: the second free of A, with that of B in between */
	free_it(&e[0], name, "first of two");
	free_it(&e[2], name, "second of two");
	try_all(&e[0], false, name, "another was freed in between");
	try_all(&e[2], false, name, "and that one too");
	t_all_back(fd, &start, name);
	for (i = 0; i < 3; i++)
		try_all(&e[i], false, name, "nothing is allocated at all");
}

/* Extents that were claimed have no size that an allocation would have had. */
static void test_claimed(void)
{
	struct hybrid_alloc_stat start = ha_stat(fd, 0);
	u64 base = (range_start / GIB + 1) * GIB;
	static const struct {
		const char *name;
		u64 off, len;
	} c[] = {
		{ "claim of 4 KiB", 5 * BLOCK, BLOCK },
		{ "claim of 8 KiB, unaligned", 7 * BLOCK, 2 * BLOCK },
		{ "claim of 64 KiB over a border of 1 MiB", 2 * MIB - 8 * BLOCK, 16 * BLOCK },
		{ "claim of 1 MiB, unaligned", 4 * MIB + BLOCK, MIB },
		{ "claim of 4 MiB, aligned", 8 * MIB, 4 * MIB },
		{ "claim of 4 MiB, unaligned", 17 * MIB, 4 * MIB },
		{ "claim of 40 MiB and a bit", 30 * MIB - BLOCK, 40 * MIB + 2 * BLOCK },
	};
	struct hybrid_alloc_extent e[ARRAY_SIZE(c)];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(c); i++) {
		e[i] = (struct hybrid_alloc_extent){ .start = base + c[i].off, .len = c[i].len };
		if (ha_claim(fd, e[i].start, e[i].len))
			t_ok(false, "%s", c[i].name);
	}
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		try_all(&e[i], true, c[i].name, "live");
		free_it(&e[i], c[i].name, "live");
		try_all(&e[i], false, c[i].name, "freed just before");
	}
	ha_op(fd, HYBRID_ALLOC_IOC_DRAIN);
	for (i = 0; i < ARRAY_SIZE(c); i++)
		try_all(&e[i], false, c[i].name, "drained");
	t_all_back(fd, &start, "claims");
}

int main(int argc, char **argv)
{
	struct hybrid_alloc_info info;
	u32 id = 0;
	size_t i;

	if (argc > 1) {
		fd = open(argv[1], O_RDWR);
		if (fd < 0)
			t_die("open %s", argv[1]);
	} else {
		ha_need_module();
		id = ha_must_attach(t_disk("hat-frees", DISK_MIB), HYBRID_ALLOC_ATTACH_FRESH);
		fd = ha_must_open(id, O_RDWR);
	}
	if (ha_info(fd, 0, 0, &info))
		t_die("INFO");
	range_start = info.range_start;
	range_end = range_start + info.range_len;
	/* a pool must be of this CPU when it is looked for */
	t_pin(0);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		if (sizes[i].len > info.range_len / 4)
			continue;
		test_size(sizes[i].name, sizes[i].len, sizes[i].pooled);
	}
	test_claimed();
	close(fd);
	if (argc <= 1) {
		t_errno(ha_detach(id, 0), 0, "DETACH");
		t_nullb_remove("hat-frees");
	}
	return t_done();
}
