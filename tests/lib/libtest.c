// SPDX-License-Identifier: GPL-2.0
/*
 * Each function of libhybridalloc on the real module, compared with the calls of
 * tests/ioctl/harness.c.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include "../../lib/hybridalloc.h"
#include "../ioctl/harness.h"

#define NR_BATCH	2500		/* more than HYBRID_ALLOC_MAX_ITEMS */

static const char *disk;
static u32 id;
static int fd;

/* The library returns 0 or a negative errno. */
static bool got(int ret, int err, const char *what)
{
	return t_errno(-ret, err, "%s", what);
}

static void test_texts(void)
{
	u32 i, n = 0;

	t_ok(*hybrid_alloc_version(), "there is a version: %s", hybrid_alloc_version());
	for (i = 0; i < HYBRID_ALLOC_REASON_COUNT; i++)
		n += strcmp(hybrid_alloc_strreason(i), "unknown reason") != 0;
	t_eq(n, HYBRID_ALLOC_REASON_COUNT, "each reason has a text");
	t_ok(!strcmp(hybrid_alloc_strreason(i), "unknown reason") &&
	     !strcmp(hybrid_alloc_strreason(UINT32_MAX), "unknown reason"),
	     "a reason of a newer kernel is unknown");
}

static void test_attach(void)
{
	struct hybrid_alloc_attach a = { .size = sizeof(a), .flags = HYBRID_ALLOC_ATTACH_FRESH };
	struct hybrid_alloc_info info = { .size = sizeof(info), .flags = HYBRID_ALLOC_INFO_NEXT };
	char number[16], path[64];
	int f;

	got(hybrid_alloc_lookup(&info), ENODEV, "lookup: there is no instance");
	got(hybrid_alloc_attach_disk("/dev/nothing", &a), ENOENT,
	    "attach: a disk that is not there");
	t_ok(a.fd == -1, "no descriptor is left behind");
	got(hybrid_alloc_attach_disk("/dev/null", &a), ENOTBLK, "attach: not a block device");
	if (!got(hybrid_alloc_attach_disk(disk, &a), 0, "attach"))
		t_die("attach %s", disk);
	id = a.id;
	t_ok(a.fd == -1 && !t_disk_is_free(disk), "the module holds the disk, we do not");
	got(hybrid_alloc_attach_disk(disk, &a), EBUSY, "attach: a second time");
	got(hybrid_alloc_lookup(&info), 0, "lookup: the first instance");
	t_ok(info.id == id && !strcmp((char *)info.disk, strrchr(disk, '/') + 1),
	     "it is ours: %s", info.disk);

	got(hybrid_alloc_open("4294967295", O_RDONLY), ENOENT, "open: no such instance");
	got(hybrid_alloc_open("", O_RDONLY), ENOENT, "open: no name");
	got(hybrid_alloc_open("/dev/null", O_RDONLY), ENOTTY, "open: another file");
	got(hybrid_alloc_open(HYBRID_ALLOC_CONTROL_NODE, O_RDONLY), ENODEV,
	    "open: the control node");
	snprintf(path, sizeof(path), HYBRID_ALLOC_NODE_FORMAT, id);
	f = hybrid_alloc_open(path, O_RDONLY);
	t_ok(f >= 0, "open: a path");
	t_ok(fcntl(f, F_GETFD) == FD_CLOEXEC, "a program that we start does not inherit it");
	got(hybrid_alloc_seal(f), EBADF, "what changes something needs a descriptor for writing");
	got(hybrid_alloc_detach_disk(id, 0), EBUSY, "detach: there is an open file");
	got(hybrid_alloc_close(f), 0, "close");
	got(hybrid_alloc_close(f), EBADF, "close: a second time");
	snprintf(number, sizeof(number), "%u", id);
	fd = hybrid_alloc_open(number, O_RDWR);
	if (!t_ok(fd >= 0, "open: a number"))
		t_die("open %s", number);
	got(hybrid_alloc_get_info(fd, &info), EINVAL, "info: a flag of the control node");
	info.flags = 0;
	got(hybrid_alloc_get_info(fd, &info), 0, "info");
	t_ok(info.id == id && info.min_block == BLOCK, "it tells of this instance");
}

static void test_alloc(void)
{
	struct hybrid_alloc_alloc r = { .size = sizeof(r), .len = 5000, .align = MIB };
	struct hybrid_alloc_extent e, many[4];
	struct hybrid_alloc_many m = {
		.size = sizeof(m), .nr = ARRAY_SIZE(many), .item_size = sizeof(many[0]),
		.len = 3 * MIB,
	};
	struct hybrid_alloc_stat st = { .size = sizeof(st) }, before = ha_stat(fd, 0);
	u32 reason, i;
	int f;

	got(hybrid_alloc_alloc_extent(fd, 5000, &e), 0, "alloc");
	t_eq(e.len, 2 * BLOCK, "the length is rounded up");
	got(hybrid_alloc_get_stat(fd, &st), 0, "stat");
	t_eq(st.charged, before.charged + e.len, "it is charged");
	got(hybrid_alloc_claim_extent(fd, &e), EEXIST, "claim: it is taken");
	got(hybrid_alloc_free_extent(fd, &e, NULL), 0, "free, the reason does not matter");
	reason = 0;
	got(hybrid_alloc_free_extent(fd, &e, &reason), ENOENT, "free: a second time");
	t_eq(reason, HYBRID_ALLOC_REASON_NOT_ALLOCATED, "the reason");
	got(hybrid_alloc_drain(fd), 0, "drain");
	got(hybrid_alloc_claim_extent(fd, &e), 0, "claim");
	e.cookie = 1;
	got(hybrid_alloc_free_extent(fd, &e, NULL), EINVAL, "free: a field that must be 0");
	e.cookie = 0;
	got(hybrid_alloc_free_extent(fd, &e, &reason), 0, "free what was claimed");
	t_eq(reason, HYBRID_ALLOC_REASON_NONE, "no reason then");

	memset(&e, 0xff, sizeof(e));
	got(hybrid_alloc_alloc_extent(fd, st.capacity + 1, &e), EFBIG, "alloc: more than there is");
	t_ok(!e.start && !e.len && !e.cookie && !e.flags && !e.domain, "the extent is zeroes");

	got(hybrid_alloc_alloc_request(fd, &r), 0, "alloc_request, aligned");
	t_eq(r.extent.start % MIB, 0, "it is aligned");
	got(hybrid_alloc_free_extent(fd, &r.extent, NULL), 0, "free");
	r = (struct hybrid_alloc_alloc){ .size = sizeof(r), .len = MIB,
					 .flags = HYBRID_ALLOC_ALLOC_BOUND };
	f = ha_must_open(id, O_RDWR);
	got(hybrid_alloc_alloc_request(f, &r), 0, "alloc_request, bound");
	got(hybrid_alloc_free_extent(fd, &r.extent, &reason), EPERM, "free: through another file");
	t_eq(reason, HYBRID_ALLOC_REASON_FOREIGN, "the reason");
	got(hybrid_alloc_close(f), 0, "close");
	got(hybrid_alloc_get_stat(fd, &st), 0, "stat");
	t_eq(st.charged, before.charged, "what was bound has gone back");
	r = (struct hybrid_alloc_alloc){ .size = sizeof(r) - 8, .len = MIB };
	got(hybrid_alloc_alloc_request(fd, &r), 0, "alloc_request: a caller of the first version");
	got(hybrid_alloc_free_extent(fd, &r.extent, NULL), 0, "free");

	got(hybrid_alloc_alloc_many(fd, many, &m), 0, "alloc_many");
	t_ok(m.total == 3 * MIB && m.nr_extents == 1, "one extent will do");
	for (i = 0; i < m.nr_extents; i++)
		hybrid_alloc_free_extent(fd, &many[i], NULL);
	t_all_back(fd, &before, "alloc");
}

static u64 next_start(u64 *pos)
{
	struct hybrid_alloc_map_iter *it;
	struct hybrid_alloc_map_entry e = {};
	u64 start = ~0ULL;

	if (hybrid_alloc_map_begin(fd, *pos, 0, &it))
		return start;
	while (hybrid_alloc_map_next(it, &e, sizeof(e)) == 1) {
		if (e.state != HYBRID_ALLOC_MAP_LIVE)
			continue;
		start = e.start;
		*pos = e.start + e.len;
		break;
	}
	hybrid_alloc_map_end(it);
	return start;
}

static void test_batch(void)
{
	static struct hybrid_alloc_alloc_item want[NR_BATCH];
	static struct hybrid_alloc_free_item items[NR_BATCH];
	struct hybrid_alloc_batch b = {
		.size = sizeof(b), .nr = NR_BATCH, .item_size = sizeof(want[0]),
	}, c = { .size = sizeof(c), .nr = NR_BATCH, .item_size = sizeof(items[0]) };
	struct hybrid_alloc_stat before = ha_stat(fd, 0);
	struct hybrid_alloc_map_iter *it;
	struct hybrid_alloc_map_entry e;
	struct t_map map = {};
	u64 pos = 0, n = 0, bad = 0;
	u32 i;
	int ret;

	for (i = 0; i < NR_BATCH; i++)
		want[i].len = i == 2000 ? 0 : BLOCK;
	got(hybrid_alloc_alloc_batch(fd, want, &b), 0, "alloc_batch of more than a call takes");
	t_ok(b.nr == NR_BATCH && b.nr_done == NR_BATCH && b.nr_failed == 1,
	     "all are done, one failed");
	t_eq(want[2000].error, EINVAL, "it is the one of length 0");
	t_eq(ha_stat(fd, 0).charged, before.charged + (NR_BATCH - 1) * BLOCK, "they are charged");

	/* The iterator against t_read_map(): several pages. */
	t_read_map(fd, &map);
	if (hybrid_alloc_map_begin(fd, 0, 0, &it))
		t_die("no memory");
	while ((ret = hybrid_alloc_map_next(it, &e, sizeof(e))) == 1) {
		bad += e.start != pos;
		pos = e.start + e.len;
		n += e.state == HYBRID_ALLOC_MAP_LIVE;
	}
	t_ok(!ret && !bad && pos == map.e[map.nr - 1].start + map.e[map.nr - 1].len,
	     "the iterator comes to the end without a gap");
	t_eq(n, NR_BATCH - 1, "and passes each extent");
	t_ok(hybrid_alloc_map_next(it, &e, sizeof(e)) == 0, "it stays at the end");
	hybrid_alloc_map_end(it);
	hybrid_alloc_map_end(NULL);
	for (pos = 0, n = 0; next_start(&pos) != ~0ULL; n++)
		;
	t_eq(n, NR_BATCH - 1, "iterators that begin anywhere find them, too");
	if (hybrid_alloc_map_begin(fd, want[5].extent.start, 1, &it))
		t_die("no memory");
	t_ok(hybrid_alloc_map_next(it, &e, sizeof(e)) == 1 && e.start == want[5].extent.start &&
	     e.len == BLOCK && hybrid_alloc_map_next(it, &e, sizeof(e)) == 0,
	     "a part of interest ends where it was told");
	hybrid_alloc_map_end(it);
	if (hybrid_alloc_map_begin(fd, 1, 0, &it))
		t_die("no memory");
	got(hybrid_alloc_map_next(it, &e, sizeof(e)), EINVAL, "a start inside a block");
	hybrid_alloc_map_end(it);
	if (hybrid_alloc_map_begin(fd, BLOCK, ~0ULL, &it))
		t_die("no memory");
	got(hybrid_alloc_map_next(it, &e, sizeof(e)), ERANGE, "a part that wraps");
	hybrid_alloc_map_end(it);
	free(map.e);

	for (i = 0; i < NR_BATCH; i++)
		items[i].extent = want[i].extent;
	got(hybrid_alloc_free_batch(fd, items, &c), 0, "free_batch of more than a call takes");
	t_ok(c.nr_done == NR_BATCH && c.nr_failed == 1 && items[2000].error == EINVAL &&
	     items[2000].reason == HYBRID_ALLOC_REASON_ZERO_LENGTH,
	     "all are done, one failed: %s", hybrid_alloc_strreason(items[2000].reason));
	got(hybrid_alloc_drain(fd), 0, "drain");
	got(hybrid_alloc_claim_batch(fd, items, &c), 0, "claim_batch of more than a call takes");
	t_ok(c.nr_done == NR_BATCH && c.nr_failed == 1, "all are done, one failed");
	got(hybrid_alloc_claim_batch(fd, items, &c), 0, "claim_batch once more");
	t_ok(c.nr_failed == NR_BATCH && items[0].error == EEXIST, "all are taken");
	got(hybrid_alloc_free_batch(fd, items, &c), 0, "free_batch");
	c.nr = 0;
	got(hybrid_alloc_free_batch(fd, items, &c), EINVAL, "a batch of none");
	t_all_back(fd, &before, "batch");
}

/* What single calls for parts of an extent do, and what they say. */
static void test_parts(void)
{
	struct hybrid_alloc_stat before = ha_stat(fd, 0);
	struct hybrid_alloc_alloc r = {
		.size = sizeof(r), .len = MIB, .flags = HYBRID_ALLOC_ALLOC_BOUND,
	};
	struct hybrid_alloc_extent e = { .start = 64 * MIB, .len = 8 * BLOCK }, part;
	u32 reason = 77;
	int f;

	got(hybrid_alloc_claim_extent(fd, &e), 0, "claim");
	part = (struct hybrid_alloc_extent){ .start = e.start + 7 * BLOCK, .len = BLOCK };
	got(hybrid_alloc_free_part(fd, &part, &reason), 0, "free_part of the tail");
	t_eq(reason, HYBRID_ALLOC_REASON_NONE, "no reason then");
	got(hybrid_alloc_free_part(fd, &part, &reason), ENOENT, "free_part: a second time");
	t_eq(reason, HYBRID_ALLOC_REASON_NOT_ALLOCATED, "the reason");
	e.len = 7 * BLOCK;
	got(hybrid_alloc_extend_extent(fd, &e, 3 * BLOCK, 0, &reason), 0, "extend");
	t_ok(e.len == 10 * BLOCK && !reason, "the extent is longer");
	got(hybrid_alloc_extend_extent(fd, &e, 0, 0, NULL), EINVAL, "extend by nothing");
	t_eq(e.len, 10 * BLOCK, "it is as long as it was");
	got(hybrid_alloc_split_extent(fd, &e, e.start + 10 * BLOCK, &reason), EINVAL,
	    "split where it ends");
	t_eq(reason, HYBRID_ALLOC_REASON_UNALIGNED, "the reason");
	got(hybrid_alloc_split_extent(fd, &e, e.start + 4 * BLOCK, &reason), 0, "split");
	t_eq(reason, HYBRID_ALLOC_REASON_NONE, "no reason then");
	got(hybrid_alloc_free_extent(fd, &e, &reason), EINVAL, "free of both as one extent");
	t_eq(reason, HYBRID_ALLOC_REASON_WRONG_LENGTH, "the reason");
	got(hybrid_alloc_free_part(fd, &e, NULL), 0, "free_part of both, which are a row");

	f = ha_must_open(id, O_RDWR);
	got(hybrid_alloc_alloc_request(f, &r), 0, "alloc_request, bound");
	got(hybrid_alloc_keep_extent(fd, &r.extent, &reason), EPERM, "keep: through another file");
	t_eq(reason, HYBRID_ALLOC_REASON_FOREIGN, "the reason");
	got(hybrid_alloc_keep_extent(f, &r.extent, &reason), 0, "keep");
	t_eq(reason, HYBRID_ALLOC_REASON_NONE, "no reason then");
	got(hybrid_alloc_close(f), 0, "close");
	got(hybrid_alloc_free_extent(fd, &r.extent, NULL), 0, "free what was kept");
	got(hybrid_alloc_keep_extent(fd, &r.extent, NULL), ENOENT, "keep what is free");
	got(hybrid_alloc_keep_extent(-1, &r.extent, NULL), EBADF, "keep: no file");
	f = ha_must_open(id, O_RDONLY);
	got(hybrid_alloc_free_part(f, &e, NULL), EBADF, "free_part through a read-only file");
	got(hybrid_alloc_extend_extent(f, &e, BLOCK, 0, NULL), EBADF, "extend through one");
	close(f);
	t_all_back(fd, &before, "parts");
}

/* More items than one call takes. */
static void test_part_batches(void)
{
	static struct hybrid_alloc_split_item split[NR_BATCH];
	static struct hybrid_alloc_extend_item extend[NR_BATCH];
	static struct hybrid_alloc_free_item items[NR_BATCH];
	struct hybrid_alloc_batch b = {
		.size = sizeof(b), .nr = NR_BATCH, .item_size = sizeof(items[0]),
	};
	struct hybrid_alloc_stat before = ha_stat(fd, 0);
	u32 i, bad = 0;

	/* each has a free block behind it, but the 2000th */
	for (i = 0; i < NR_BATCH; i++) {
		items[i].extent.start = 4ULL * i * BLOCK;
		items[i].extent.len = (i == 2000 ? 4 : 3) * BLOCK;
		extend[i].extent = items[i].extent;
		extend[i].more = BLOCK;
		split[i].extent = (struct hybrid_alloc_extent){
			.start = items[i].extent.start, .len = 4 * BLOCK,
		};
		split[i].at = items[i].extent.start + (i == 2000 ? 4 : 1) * BLOCK;
	}
	got(hybrid_alloc_claim_batch(fd, items, &b), 0, "claim_batch");
	t_eq(b.nr_failed, 0, "all are claimed");
	b.item_size = sizeof(extend[0]);
	got(hybrid_alloc_extend_batch(fd, extend, &b), 0, "extend_batch of more than a call takes");
	for (i = 0; i < NR_BATCH; i++)
		bad += extend[i].extent.len != 4 * BLOCK ||
		       extend[i].error != (i == 2000 ? ENOSPC : 0);
	t_ok(b.nr_done == NR_BATCH && b.nr_failed == 1 && !bad, "all are done, one failed");
	b.item_size = sizeof(split[0]);
	got(hybrid_alloc_split_batch(fd, split, &b), 0, "split_batch of more than a call takes");
	for (i = 0; i < NR_BATCH; i++)
		bad += split[i].error != (i == 2000 ? EINVAL : 0);
	t_ok(b.nr_done == NR_BATCH && b.nr_failed == 1 && !bad, "all are done, one failed");
	t_eq(ha_stat(fd, 0).nr_live, before.nr_live + 2 * NR_BATCH - 1, "all others are two");
	for (i = 0; i < NR_BATCH; i++)
		items[i].extent.len = (i == 2000 ? 4 : 1) * BLOCK;
	b.item_size = sizeof(items[0]);
	got(hybrid_alloc_keep_batch(fd, items, &b), 0, "keep_batch of what is not bound");
	t_ok(b.nr_done == NR_BATCH && !b.nr_failed, "is no mistake");
	/* the first block of each, and all of one */
	b.flags = HYBRID_ALLOC_FREE_PART;
	got(hybrid_alloc_free_batch(fd, items, &b), 0, "free_batch of parts");
	t_ok(b.nr_done == NR_BATCH && !b.nr_failed, "all are done");
	for (i = 0; i < NR_BATCH; i++) {
		items[i].extent.start += BLOCK;
		items[i].extent.len = 3 * BLOCK;
	}
	b.flags = 0;
	got(hybrid_alloc_free_batch(fd, items, &b), 0, "free_batch of the rest");
	t_ok(b.nr_done == NR_BATCH && b.nr_failed == 1 && items[2000].error == ENOENT,
	     "but for what was freed as a whole");
	t_all_back(fd, &before, "batches of parts");
}

/* The array is shorter than the caller says: its second half cannot be read. */
static void test_cut(void)
{
	size_t len = HYBRID_ALLOC_MAX_ITEMS * sizeof(struct hybrid_alloc_free_item);
	struct hybrid_alloc_free_item *items;
	struct hybrid_alloc_batch b = {
		.size = sizeof(b), .nr = 2 * HYBRID_ALLOC_MAX_ITEMS, .item_size = sizeof(*items),
	};
	struct hybrid_alloc_stat before = ha_stat(fd, 0);
	u32 i;

	items = mmap(NULL, 2 * len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (items == MAP_FAILED || mprotect(items, len, PROT_READ | PROT_WRITE))
		t_die("mmap");
	for (i = 0; i < HYBRID_ALLOC_MAX_ITEMS; i++)
		items[i].extent.start = i * BLOCK, items[i].extent.len = BLOCK;
	got(hybrid_alloc_claim_batch(fd, items, &b), EFAULT,
	    "a batch whose second half is not there");
	t_ok(b.nr_done == HYBRID_ALLOC_MAX_ITEMS && !b.nr_failed &&
	     b.nr == 2 * HYBRID_ALLOC_MAX_ITEMS, "it says what was done");
	t_eq(ha_stat(fd, 0).nr_live, before.nr_live + HYBRID_ALLOC_MAX_ITEMS, "and that stands");
	b.nr = HYBRID_ALLOC_MAX_ITEMS;
	got(hybrid_alloc_free_batch(fd, items, &b), 0, "free_batch");
	munmap(items, 2 * len);
	t_all_back(fd, &before, "a batch that is cut");
}

#define NR_THREADS	4
#define NR_ROUNDS	3000

static void *worker(void *arg)
{
	struct hybrid_alloc_extent own[16] = {}, *e;
	u64 rnd = (uintptr_t)arg, bad = 0;
	u32 i, reason;

	for (i = 0; i < NR_ROUNDS; i++) {
		e = &own[random_next(&rnd) % ARRAY_SIZE(own)];
		if (e->len) {
			bad += hybrid_alloc_free_extent(fd, e, &reason) || reason;
			e->len = 0;
		} else {
			bad += !!hybrid_alloc_alloc_extent(fd, 1 + random_next(&rnd) % MIB, e);
		}
	}
	for (i = 0; i < ARRAY_SIZE(own); i++)
		if (own[i].len)
			bad += !!hybrid_alloc_free_extent(fd, &own[i], NULL);
	return (void *)(uintptr_t)bad;
}

static void test_threads(void)
{
	struct hybrid_alloc_stat before = ha_stat(fd, 0);
	pthread_t threads[NR_THREADS];
	uintptr_t i, bad = 0;
	void *ret;

	for (i = 0; i < NR_THREADS; i++)
		if (pthread_create(&threads[i], NULL, worker, (void *)(i + t_seed)))
			t_die("pthread_create");
	for (i = 0; i < NR_THREADS; i++) {
		pthread_join(threads[i], &ret);
		bad += (uintptr_t)ret;
	}
	t_eq(bad, 0, "%u threads on one descriptor: no call failed", NR_THREADS);
	t_all_back(fd, &before, "threads");
}

static void test_disk(void)
{
	struct hybrid_alloc_trim t = { .size = sizeof(t), .len = ~0ULL };
	struct hybrid_alloc_grow g = { .size = sizeof(g), .range_len = MIB };
	struct hybrid_alloc_stat st = ha_stat(fd, 0);
	struct hybrid_alloc_watch w = { .size = sizeof(w), .low_space = st.free + 1 };
	struct pollfd p = { .fd = fd, .events = POLLPRI };

	got(hybrid_alloc_watch_space(fd, &w), 0, "watch");
	t_ok(w.free == st.free && poll(&p, 1, 0) == 1 && p.revents == POLLPRI,
	     "less is free than the threshold, and poll says so");
	w.low_space = 0;
	got(hybrid_alloc_watch_space(fd, &w), 0, "watch no more");
	t_eq(poll(&p, 1, 0), 0, "poll has nothing to say");
	got(hybrid_alloc_trim_range(fd, &t), 0, "trim");
	t_ok(t.trimmed && t.trimmed <= st.capacity, "the free space: %llu bytes", (u64)t.trimmed);
	t.len = 0;
	got(hybrid_alloc_trim_range(fd, &t), EINVAL, "trim of nothing");
	got(hybrid_alloc_grow_range(fd, &g), EINVAL, "grow to less");
	g.range_len = 0;
	got(hybrid_alloc_grow_range(fd, &g), 0, "grow to the disk");
	t_eq(g.capacity, st.capacity, "it is as large as before");
	got(hybrid_alloc_check(fd), 0, "check");
}

static void test_rebuild(void)
{
	struct hybrid_alloc_attach a = { .size = sizeof(a) };
	struct hybrid_alloc_extent e, mine = { .start = 5 * MIB, .len = 3 * MIB };
	struct hybrid_alloc_stat st;

	got(hybrid_alloc_alloc_extent(fd, MIB, &e), 0, "alloc");
	got(hybrid_alloc_close(fd), 0, "close");
	got(hybrid_alloc_detach_disk(id, 0), EBUSY, "detach: there is a live extent");
	got(hybrid_alloc_detach_disk(id, HYBRID_ALLOC_DETACH_FORCE), 0, "detach by force");
	got(hybrid_alloc_detach_disk(id, 0), ENODEV, "detach: a second time");

	/* By descriptor this time. */
	a.fd = open(disk, O_RDWR | O_CLOEXEC);
	got(hybrid_alloc_attach_disk(NULL, &a), 0, "attach to rebuild, by descriptor");
	t_ok(fcntl(a.fd, F_GETFD) == FD_CLOEXEC, "our descriptor is still there");
	close(a.fd);
	fd = ha_must_open(a.id, O_RDWR);
	got(hybrid_alloc_alloc_extent(fd, MIB, &e), EAGAIN, "alloc before the seal");
	got(hybrid_alloc_claim_extent(fd, &mine), 0, "claim");
	got(hybrid_alloc_seal(fd), 0, "seal");
	got(hybrid_alloc_alloc_extent(fd, MIB, &e), 0, "alloc");
	st = ha_stat(fd, 0);
	t_eq(st.charged, 4 * MIB, "both are there");
	got(hybrid_alloc_free_extent(fd, &e, NULL), 0, "free");
	got(hybrid_alloc_free_extent(fd, &mine, NULL), 0, "free what was claimed");
	got(hybrid_alloc_close(fd), 0, "close");
	got(hybrid_alloc_detach_disk(a.id, 0), 0, "detach");
}

static void test_no_module(void)
{
	struct hybrid_alloc_attach a = { .size = sizeof(a) };
	struct hybrid_alloc_info info = { .size = sizeof(info) };

	t_errno(ha_rmmod(), 0, "rmmod");
	got(hybrid_alloc_lookup(&info), ENOENT, "lookup without the module");
	got(hybrid_alloc_attach_disk(disk, &a), ENOENT, "attach without the module");
	got(hybrid_alloc_open("0", O_RDWR), ENOENT, "open without the module");
	got(hybrid_alloc_detach_disk(0, 0), ENOENT, "detach without the module");
}

int main(void)
{
	ha_need_module();
	disk = t_disk("hat-lib", 256);
	test_texts();
	test_attach();
	test_alloc();
	test_batch();
	test_parts();
	test_part_batches();
	test_cut();
	test_threads();
	test_disk();
	test_rebuild();
	test_no_module();
	return t_done();
}
