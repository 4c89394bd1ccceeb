// SPDX-License-Identifier: GPL-2.0
/*
 * ALLOC_BATCH, FREE_BATCH and CLAIM_BATCH: each item as the call for one, with a result of
 * its own; of these and of SPLIT, EXTEND and KEEP: arrays that are malformed, or cannot
 * be read or written; arrays that turn read-only while the call is at work; a caller that
 * is killed. Built for 64 and for 32 bit callers.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "harness.h"

#define MAX	HYBRID_ALLOC_MAX_ITEMS

static int fd;
static u64 capacity;
static long page;

static struct hybrid_alloc_alloc_item allocs[MAX + 1];
static struct hybrid_alloc_free_item frees[MAX + 1];

static struct hybrid_alloc_batch header(void *items, u32 nr, u32 item_size)
{
	return (struct hybrid_alloc_batch){
		.size = sizeof(struct hybrid_alloc_batch), .items = (uintptr_t)items,
		.nr = nr, .item_size = item_size,
	};
}

/* For FREE_BATCH what ALLOC_BATCH gave. */
static u32 to_free(u32 nr)
{
	u32 i, n = 0;

	for (i = 0; i < nr; i++)
		if (!allocs[i].error)
			frees[n++] = (struct hybrid_alloc_free_item){ .extent = allocs[i].extent };
	return n;
}

/* ---- each item has its own result ---- */

static void test_results(void)
{
	static const struct {
		const char *how;
		struct hybrid_alloc_alloc_item item;
		u32 want;
	} a[] = {
		{ "a block", { .len = BLOCK }, 0 },
		{ "len 0", {}, EINVAL },
		{ "align 3", { .len = BLOCK, .align = 3 }, EINVAL },
		{ "1 MiB, aligned to 4 MiB", { .len = MIB, .align = 4 * MIB }, 0 },
		{ "too large", { .len = ~0ULL }, EFBIG },
		{ "unknown flag", { .len = BLOCK, .flags = 1U << 31 }, EINVAL },
		{ "a goal that is not said to be one", { .len = BLOCK, .goal = BLOCK }, EINVAL },
		{ "cookie", { .len = BLOCK, .extent.cookie = 1ULL << 63 }, EINVAL },
		{ "flags of the extent", { .len = BLOCK, .extent.flags = 1U << 31 }, EINVAL },
		{ "domain", { .len = BLOCK, .extent.domain = 1U << 31 }, EINVAL },
		{ "5 MiB and a bit", { .len = 5 * MIB + 1 }, 0 },
		{ "the last", { .len = 3 * BLOCK }, 0 },
	};
	const u32 nr = ARRAY_SIZE(a);
	struct hybrid_alloc_extent *e;
	u32 i, failed;
	int err;

	for (i = 0; i < nr; i++) {
		allocs[i] = a[i].item;
		/* what was there before is no result */
		allocs[i].error = 77;
		allocs[i].extent.start = 0xeeeeeeeeeeeeeeee;
		allocs[i].extent.len = 0xeeeeeeeeeeeeeeee;
	}
	err = ha_alloc_batch(fd, allocs, nr, &failed);
	t_errno(err, 0, "ALLOC_BATCH with good and bad items");
	t_eq(failed, 8, "ALLOC_BATCH: the number of those that failed");
	for (i = 0; i < nr; i++) {
		u64 len = (a[i].item.len + BLOCK - 1) / BLOCK * BLOCK;

		e = &allocs[i].extent;
		t_ok(allocs[i].error == a[i].want && e->len == (a[i].want ? 0 : len) &&
		     !(e->start % (a[i].item.align ?: 1)) && !e->cookie && !e->flags &&
		     !e->domain && allocs[i].len == a[i].item.len,
		     "ALLOC_BATCH: %s: %s", a[i].how, t_strerror(a[i].want));
	}
	t_eq(ha_stat(fd, 0).nr_live - t_before.nr_live, nr - 8, "so many extents are live");

	/* the right ones, and between them all that is wrong */
	const struct {
		const char *how;
		struct hybrid_alloc_extent e;
		u32 want, reason;
	} f[] = {
		{ "right", allocs[0].extent, 0, HYBRID_ALLOC_REASON_NONE },
		{ "again", allocs[0].extent, ENOENT, HYBRID_ALLOC_REASON_NOT_ALLOCATED },
		{ "wrong length", { .start = allocs[3].extent.start, .len = BLOCK }, EINVAL,
		  HYBRID_ALLOC_REASON_WRONG_LENGTH },
		{ "inside", { .start = allocs[3].extent.start + BLOCK, .len = BLOCK }, EINVAL,
		  HYBRID_ALLOC_REASON_WRONG_START },
		{ "unaligned", { .start = allocs[3].extent.start + 1, .len = BLOCK }, EINVAL,
		  HYBRID_ALLOC_REASON_UNALIGNED },
		{ "len 0", { .start = allocs[3].extent.start }, EINVAL,
		  HYBRID_ALLOC_REASON_ZERO_LENGTH },
		{ "beyond", { .start = 1ULL << 62, .len = BLOCK }, ERANGE,
		  HYBRID_ALLOC_REASON_OUT_OF_RANGE },
		{ "cookie", { .start = allocs[3].extent.start, .len = MIB, .cookie = 1ULL << 63 },
		  EINVAL, HYBRID_ALLOC_REASON_NONE },
		{ "domain", { .start = allocs[3].extent.start, .len = MIB, .domain = 1 },
		  EINVAL, HYBRID_ALLOC_REASON_NONE },
		{ "flags", { .start = allocs[3].extent.start, .len = MIB, .flags = 1U << 31 },
		  EINVAL, HYBRID_ALLOC_REASON_NONE },
		{ "right, after that", allocs[3].extent, 0, HYBRID_ALLOC_REASON_NONE },
		{ "right, large", allocs[10].extent, 0, HYBRID_ALLOC_REASON_NONE },
		{ "right, the last", allocs[11].extent, 0, HYBRID_ALLOC_REASON_NONE },
	};

	for (i = 0; i < ARRAY_SIZE(f); i++)
		frees[i] = (struct hybrid_alloc_free_item){ .extent = f[i].e, .error = 77,
							    .reason = 77 };
	err = ha_free_batch(fd, frees, ARRAY_SIZE(f), &failed);
	t_errno(err, 0, "FREE_BATCH with right and wrong items");
	t_eq(failed, ARRAY_SIZE(f) - 4, "FREE_BATCH: the number of those that failed");
	for (i = 0; i < ARRAY_SIZE(f); i++)
		t_ok(frees[i].error == f[i].want && frees[i].reason == f[i].reason &&
		     !memcmp(&frees[i].extent, &f[i].e, sizeof(f[i].e)),
		     "FREE_BATCH: %s: %s, reason %u", f[i].how, t_strerror(f[i].want),
		     f[i].reason);
	t_eq(ha_stat(fd, 0).nr_live, t_before.nr_live, "all of them are free");
}

static void test_claims(void)
{
	u64 at = capacity / 2;
	const struct {
		const char *how;
		struct hybrid_alloc_extent e;
		u32 want;
	} c[] = {
		{ "a block", { .start = at, .len = BLOCK }, 0 },
		{ "again", { .start = at, .len = BLOCK }, EEXIST },
		{ "over it", { .start = at - BLOCK, .len = 3 * BLOCK }, EEXIST },
		{ "behind it, a bit more than a block", { .start = at + BLOCK, .len = BLOCK + 1 },
		  0 },
		{ "unaligned", { .start = at + 1, .len = BLOCK }, EINVAL },
		{ "len 0", { .start = at }, EINVAL },
		{ "beyond", { .start = capacity, .len = BLOCK }, ERANGE },
		{ "wraps", { .start = at, .len = -BLOCK }, ERANGE },
		{ "cookie", { .start = at - BLOCK, .len = BLOCK, .cookie = 1ULL << 63 }, EINVAL },
		{ "domain", { .start = at - BLOCK, .len = BLOCK, .domain = 1U << 31 }, EINVAL },
		{ "flags", { .start = at - BLOCK, .len = BLOCK, .flags = 1U << 31 }, EINVAL },
		{ "5 MiB", { .start = at + MIB, .len = 5 * MIB }, 0 },
		{ "the last", { .start = at - BLOCK, .len = BLOCK }, 0 },
	};
	const u32 nr = ARRAY_SIZE(c), right[] = { 0, 3, 11, 12 };
	u32 i, failed, bad = 0;
	u64 len;
	int err;

	for (i = 0; i < nr; i++)
		frees[i] = (struct hybrid_alloc_free_item){ .extent = c[i].e, .error = 77,
							    .reason = 77 };
	err = ha_claim_batch(fd, frees, nr, &failed);
	t_errno(err, 0, "CLAIM_BATCH with right and wrong items");
	t_eq(failed, nr - ARRAY_SIZE(right), "CLAIM_BATCH: the number of those that failed");
	for (i = 0; i < nr; i++)
		t_ok(frees[i].error == c[i].want && !frees[i].reason &&
		     !memcmp(&frees[i].extent, &c[i].e, sizeof(c[i].e)),
		     "CLAIM_BATCH: %s: %s", c[i].how, t_strerror(c[i].want));
	t_eq(ha_stat(fd, 0).nr_live - t_before.nr_live, ARRAY_SIZE(right), "so many are live");
	for (i = 0; i < ARRAY_SIZE(right); i++) {
		len = (c[right[i]].e.len + BLOCK - 1) / BLOCK * BLOCK;
		bad += !!ha_free(fd, c[right[i]].e.start, len, NULL);
	}
	t_eq(bad, 0, "and can be freed");
	t_eq(ha_stat(fd, 0).nr_live, t_before.nr_live, "which leaves nothing");
}

/* As many as there may be, overlapping nothing, and all come back. */
static void test_full(void)
{
	u32 i, failed, bad = 0;
	u64 len = capacity / 700 / BLOCK * BLOCK;
	int err;

	for (i = 0; i < MAX; i++)
		allocs[i] = (struct hybrid_alloc_alloc_item){ .len = (1 + i % 40) * BLOCK };
	t_errno(ha_alloc_batch(fd, allocs, MAX, &failed), 0, "ALLOC_BATCH of %u", MAX);
	t_eq(failed, 0, "none failed");
	for (i = 0; i < MAX; i++)
		bad += ha_claim(fd, allocs[i].extent.start, BLOCK) != EEXIST;
	t_eq(bad, 0, "all are live");
	t_errno(ha_free_batch(fd, frees, to_free(MAX), &failed), 0, "FREE_BATCH of %u", MAX);
	t_eq(failed, 0, "none failed");

	/* space for some of them only: what fits is there, the rest says so */
	for (i = 0; i < MAX; i++)
		allocs[i] = (struct hybrid_alloc_alloc_item){ .len = len };
	err = ha_alloc_batch(fd, allocs, MAX, &failed);
	t_errno(err, 0, "ALLOC_BATCH of more than there is");
	for (i = bad = 0; i < MAX; i++)
		bad += allocs[i].error && allocs[i].error != ENOSPC;
	if (!t_ok(!bad && failed == MAX - to_free(MAX) && MAX - failed >= 650,
		  "what fits is allocated, the others say ENOSPC"))
		t_note("%u failed, %u of these not with ENOSPC", failed, bad);
	t_errno(ha_alloc(fd, len, 0, NULL), ENOSPC, "there is indeed nothing left");
	t_errno(ha_free_batch(fd, frees, to_free(MAX), &failed), 0, "FREE_BATCH of these");
	t_eq(failed, 0, "none failed");
}

/* ---- arrays that are wrong ---- */

static void wrong(const char *what, unsigned long cmd, void *items, size_t known)
{
	struct hybrid_alloc_batch b;
	char *map, *big;

	t_remember(fd);
#define TRY(want, how, ...) do {						\
		b = header(items, 1, known);					\
		__VA_ARGS__;							\
		t_refused(ha_ioctl(fd, cmd, &b), want, what, how);		\
	} while (0)
	TRY(EINVAL, "no item", b.nr = 0);
	TRY(EINVAL, "one item too many", b.nr = MAX + 1);
	TRY(EINVAL, "2^32 - 1 items", b.nr = ~0U);
	TRY(EINVAL, "item_size 0", b.item_size = 0);
	TRY(EINVAL, "item_size too small", b.item_size = known - 8);
	TRY(EINVAL, "item_size no multiple of 8", b.item_size = known + 4);
	TRY(E2BIG, "item_size 2^32 - 8", b.item_size = -8U);
	TRY(EFAULT, "items NULL", b.items = 0);
	TRY(EFAULT, "items in the kernel", b.items = 0xffff888000000000);
	TRY(EFAULT, "items at 2^64 - 8", b.items = -8ULL);
	TRY(EFAULT, "items wrap in 32 bits", b.items = 0x1000000000000000 + (uintptr_t)items);
	TRY(EINVAL, "unknown flag before no item", b.nr = 0, b.flags = 1U << 31);

	map = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		t_die("mmap");
	mprotect(map + 2 * page, page, PROT_NONE);
	memcpy(map + 2 * page - known, items, known);
	TRY(EFAULT, "the second item is not there", b.items = (uintptr_t)map + 2 * page - known,
	    b.nr = 2);
	memcpy(map + 2 * page - known + 1, items, known - 1);
	TRY(EFAULT, "the last byte is not there", b.items = (uintptr_t)map + 2 * page - known + 1);
	mprotect(map + page, page, PROT_READ);
	memcpy(map, items, known);
	TRY(EFAULT, "a later page is read-only", b.items = (uintptr_t)map, b.nr = page / known + 1);
	munmap(map, 3 * page);

	/* larger items, of a caller that is newer */
	big = calloc(2, known + 24);
	memcpy(big, items, known);
	memcpy(big + known + 24, items, known);
	big[2 * (known + 24) - 1] = 1;
	TRY(E2BIG, "an unknown byte in the second item", b.items = (uintptr_t)big, b.nr = 2,
	    b.item_size = known + 24);
	free(big);
#undef TRY
}

/* Items of a newer caller are found where it has them. */
static void test_large_items(void)
{
	struct {
		struct hybrid_alloc_alloc_item item;
		u64 unknown[3];
	} a[3] = {};
	struct {
		struct hybrid_alloc_free_item item;
		u64 unknown[5];
	} f[3] = {};
	struct hybrid_alloc_batch b = header(a, 3, sizeof(a[0]));
	u32 i, bad = 0;

	for (i = 0; i < 3; i++)
		a[i].item.len = (i + 1) * BLOCK;
	t_errno(ha_ioctl(fd, HYBRID_ALLOC_IOC_ALLOC_BATCH, &b), 0, "ALLOC_BATCH of larger items");
	for (i = 0; i < 3; i++) {
		bad += a[i].item.error || a[i].item.extent.len != (i + 1) * BLOCK ||
		       a[i].unknown[0];
		f[i].item.extent = a[i].item.extent;
	}
	t_eq(bad, 0, "each has its result");
	b = header(f, 3, sizeof(f[0]));
	t_errno(ha_ioctl(fd, HYBRID_ALLOC_IOC_FREE_BATCH, &b), 0, "FREE_BATCH of larger items");
	t_ok(b.nr_done == 3 && !b.nr_failed, "all are free");
}

/* An array that turns read-only while the call is at work. */
static void test_copy_out_race(void)
{
	const u32 nr = 200;
	size_t a_len = nr * sizeof(*allocs), f_len = nr * sizeof(*frees);
	int err, faults = 0, leaks = 0, odd = 0, lost = 0, part = 0;
	struct hybrid_alloc_alloc_item *a;
	struct hybrid_alloc_free_item *f;
	struct hybrid_alloc_batch b;
	struct t_flip flip;
	double end;
	u64 live;
	u32 i;

	live = ha_stat(fd, 0).nr_live;
	t_flip_start(&flip, a_len);
	a = flip.same;
	f = flip.same;
	for (end = t_now() + 4; t_now() < end || !faults || !part;) {
		memset(a, 0, a_len);
		for (i = 0; i < nr; i++)
			a[i].len = BLOCK;
		b = header(flip.mem, nr, sizeof(*a));
		err = ha_ioctl(fd, HYBRID_ALLOC_IOC_ALLOC_BATCH, &b);
		if (err) {
			odd += err != EFAULT;
			faults++;
			leaks += ha_stat(fd, 0).nr_live != live;
			continue;
		}
		memcpy(allocs, a, a_len);
		to_free(nr);
		memset(a, 0, a_len);
		memcpy(f, frees, f_len);
		b = header(flip.mem, nr, sizeof(*f));
		err = ha_ioctl(fd, HYBRID_ALLOC_IOC_FREE_BATCH, &b);
		odd += err && err != EFAULT;
		part += err && b.nr_done;
		/* what it says is done is free, the rest is not */
		if (ha_stat(fd, 0).nr_live != live + nr - b.nr_done)
			lost++;
		for (i = b.nr_done; i < nr; i++)
			lost += !!ha_free(fd, frees[i].extent.start, frees[i].extent.len, NULL);
	}
	t_flip_stop(&flip);
	t_note("%d ALLOC_BATCH got EFAULT, %d FREE_BATCH got it half-way", faults, part);
	t_ok(faults, "ALLOC_BATCH meets memory that turns read-only");
	t_eq(leaks, 0, "EFAULT from ALLOC_BATCH leaves nothing allocated");
	t_ok(part, "FREE_BATCH meets it half-way");
	t_eq(lost, 0, "FREE_BATCH says how far it came");
	t_eq(odd, 0, "nothing but success and EFAULT");
	t_eq(ha_stat(fd, 0).nr_live, live, "nothing is left");
}

/*
 * Killed in the middle of a batch: whatever is allocated then, its result tells.
 * Either nothing or all, as a call that fails allocates nothing.
 */
static void test_killed(void)
{
	struct shared {
		atomic_bool begun, done;
		struct hybrid_alloc_alloc_item a[MAX];
	} *s;
	u32 round, i, told, halfway = 0, bad = 0;
	double begin, took;
	pid_t pid;
	u64 live;

	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		t_die("mmap");
	/* on a busy machine the kill may come too late many times */
	for (round = took = 0; round < 60 || (!halfway && round < 6000); round++) {
		live = ha_stat(fd, 0).nr_live;
		memset(s, 0, sizeof(*s));
		for (i = 0; i < MAX; i++)
			s->a[i].len = 2 * BLOCK;
		pid = fork();
		if (!pid) {
			atomic_store(&s->begun, true);
			ha_alloc_batch(fd, s->a, MAX, NULL);
			atomic_store(&s->done, true);
			for (;;)
				pause();
		}
		while (!atomic_load(&s->begun))
			;
		begin = t_now();
		/* the first one shows how long it takes */
		while (!atomic_load(&s->done) &&
		       (!round || t_now() - begin < took * (round % 60) / 60))
			;
		if (!round)
			took = t_now() - begin;
		halfway += !atomic_load(&s->done);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		for (i = told = 0; i < MAX; i++)
			told += !!s->a[i].extent.len;
		if ((told && told != MAX) || ha_stat(fd, 0).nr_live != live + told)
			bad++;
		memcpy(allocs, s->a, sizeof(s->a));
		if (told && (ha_free_batch(fd, frees, to_free(MAX), &i) || i))
			bad++;
	}
	t_note("a call took %.1f ms; %u were killed half-way", took * 1000, halfway);
	t_ok(halfway, "ALLOC_BATCH is killed half-way");
	t_eq(bad, 0, "what it leaves is nothing, or all and told");
	munmap(s, sizeof(*s));
}

int main(void)
{
	struct hybrid_alloc_extend_item extend = { .more = BLOCK };
	struct hybrid_alloc_split_item split = {};
	struct hybrid_alloc_stat start;
	struct hybrid_alloc_info info;
	u32 id;

	t_note("a caller of %zu bits", sizeof(long) * 8);
	ha_need_module();
	page = sysconf(_SC_PAGESIZE);
	id = ha_must_attach(t_disk("hat-batch", 1024), HYBRID_ALLOC_ATTACH_FRESH);
	fd = ha_must_open(id, O_RDWR);
	if (ha_info(fd, 0, 0, &info))
		t_die("INFO");
	capacity = info.range_len;
	start = ha_stat(fd, 0);

	t_remember(fd);
	test_results();
	test_claims();
	test_full();
	t_all_back(fd, &start, "after full batches");
	allocs[0] = (struct hybrid_alloc_alloc_item){ .len = 2 * BLOCK };
	wrong("ALLOC_BATCH", HYBRID_ALLOC_IOC_ALLOC_BATCH, &allocs[0], sizeof(allocs[0]));
	if (ha_alloc_batch(fd, allocs, 1, NULL) || to_free(1) != 1)
		t_die("ALLOC_BATCH of one");
	wrong("FREE_BATCH", HYBRID_ALLOC_IOC_FREE_BATCH, &frees[0], sizeof(frees[0]));
	wrong("KEEP", HYBRID_ALLOC_IOC_KEEP, &frees[0], sizeof(frees[0]));
	extend.extent = frees[0].extent;
	wrong("EXTEND", HYBRID_ALLOC_IOC_EXTEND, &extend, sizeof(extend));
	split.extent = frees[0].extent;
	split.at = frees[0].extent.start + BLOCK;
	wrong("SPLIT", HYBRID_ALLOC_IOC_SPLIT, &split, sizeof(split));
	t_errno(ha_free(fd, frees[0].extent.start, frees[0].extent.len, NULL), 0,
		"after all that it is still live");
	wrong("CLAIM_BATCH", HYBRID_ALLOC_IOC_CLAIM_BATCH, &frees[0], sizeof(frees[0]));
	t_errno(ha_free(fd, frees[0].extent.start, frees[0].extent.len, NULL), ENOENT,
		"after all that it is still free");
	test_large_items();
	test_copy_out_race();
	test_killed();
	t_all_back(fd, &start, "after races");
	close(fd);
	t_errno(ha_detach(id, 0), 0, "DETACH");
	t_nullb_remove("hat-batch");
	return t_done();
}
