// SPDX-License-Identifier: GPL-2.0
/*
 * RESERVE: bytes without a place. Granted to the last block, for one open file with all its
 * descriptors, of which no other caller takes any; a disk of single free blocks is filled against
 * it while others allocate; and all goes back at the close, however the program ends.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "harness.h"

#define NULLB		"hat-reserve"
#define NR_OTHERS	4
#define SINGLES		4096	/* of the free blocks of a shredded disk */

static u32 id;
static int fd;			/* reserves nothing */

static int reserve_cmd(int f, unsigned long cmd, u64 len, u64 *reserved)
{
	struct hybrid_alloc_reserve r = { .size = sizeof(r), .len = len, .reserved = 77 };
	int err = ha_ioctl(f, cmd, &r);

	if (reserved)
		*reserved = r.reserved;
	return err;
}

static int reserve(int f, u64 len)
{
	return reserve_cmd(f, HYBRID_ALLOC_IOC_RESERVE, len, NULL);
}

static int unreserve(int f, u64 len)
{
	return reserve_cmd(f, HYBRID_ALLOC_IOC_UNRESERVE, len, NULL);
}

static int alloc_reserved(int f, u64 len, struct hybrid_alloc_extent *e)
{
	return ha_alloc_flags(f, len, HYBRID_ALLOC_ALLOC_RESERVED, e);
}

/* What is free or cached, and not reserved. */
static u64 left(void)
{
	struct hybrid_alloc_stat st = ha_stat(fd, 0);

	return st.free + st.cached - st.reserved;
}

static void test_to_the_last_block(void)
{
	struct hybrid_alloc_alloc a = { .size = sizeof(a), .len = BLOCK };
	int f = ha_must_open(id, O_RDWR), g = ha_must_open(id, O_RDWR);
	struct hybrid_alloc_extent e;
	struct hybrid_alloc_info info;
	struct hybrid_alloc_free_item item = { .extent = { 32 * MIB, BLOCK } };
	struct hybrid_alloc_stat st;
	u64 all, reserved;
	u32 failed;

	t_ok(!ha_info(fd, 0, 0, &info) && (info.features & HYBRID_ALLOC_FEATURE_RESERVE),
	     "INFO says that there is RESERVE");
	t_fill_pools(fd, 2);
	all = left();
	t_errno(reserve(f, all + 1), ENOSPC, "RESERVE of a byte more than there is");
	t_errno(reserve(f, ~0ULL), ENOSPC, "of more than any disk has");
	t_errno(reserve_cmd(f, HYBRID_ALLOC_IOC_RESERVE, all - BLOCK + 1, &reserved), 0,
		"RESERVE of all of it, rounded up");
	t_eq(reserved, all, "which the call says");
	t_eq(left(), 0, "nothing is left");
	t_errno(reserve(g, 1), ENOSPC, "for another file neither");
	t_errno(ha_ioctl(fd, HYBRID_ALLOC_IOC_ALLOC, &a), ENOSPC, "ALLOC would take some of it");
	t_eq(a.reason, HYBRID_ALLOC_REASON_RESERVED, "which is the reason");
	t_errno(ha_claim(fd, 32 * MIB, BLOCK), ENOSPC, "so would CLAIM");
	t_errno(ha_claim_batch(fd, &item, 1, &failed), 0, "and CLAIM_BATCH");
	t_ok(failed == 1 && item.error == ENOSPC, "whose item says %u", item.error);
	t_errno(alloc_reserved(g, BLOCK, NULL), EINVAL, "what another file has reserved");
	t_errno(alloc_reserved(f, BLOCK, &e), 0, "through this file it is there");
	st = ha_stat(fd, 0);
	t_ok(st.reserved == all - BLOCK && st.nr_reservations == 2 && st.reserved_refusals == 6,
	     "STAT counts it: %llu reserved, %llu files, %llu refusals", (u64)st.reserved,
	     (u64)st.nr_reservations, (u64)st.reserved_refusals);
	t_errno(ha_free(fd, e.start, e.len, NULL), 0, "what was allocated is freed by anyone");
	t_errno(ha_alloc(fd, BLOCK, 0, &e), 0, "and can be had by anyone");
	t_errno(ha_free(fd, e.start, e.len, NULL), 0, "it is freed once more");
	t_errno(reserve_cmd(f, HYBRID_ALLOC_IOC_UNRESERVE, all, &reserved), EINVAL,
		"UNRESERVE of more than there is");
	t_eq(reserved, 77, "a call that fails tells nothing");
	t_errno(reserve_cmd(f, HYBRID_ALLOC_IOC_UNRESERVE, 3 * BLOCK, &reserved), 0,
		"UNRESERVE of some");
	t_eq(reserved, all - 4 * BLOCK, "the rest stays");
	t_errno(unreserve(fd, BLOCK), EINVAL, "of a file that has reserved nothing");
	t_errno(ha_op(fd, HYBRID_ALLOC_IOC_CHECK), 0, "CHECK");
	close(f);
	t_eq(left(), all, "close gives back all");
	t_eq(ha_stat(fd, 0).nr_reservations, 1, "but what others have");
	close(g);
}

static void test_flags(void)
{
	struct hybrid_alloc_alloc_item items[3] = {
		{ .len = BLOCK }, { .len = BLOCK }, { .len = BLOCK },
	};
	struct hybrid_alloc_many m = {
		.size = sizeof(m), .flags = HYBRID_ALLOC_ALLOC_RESERVED, .len = MIB,
	};
	struct hybrid_alloc_batch b = {
		.size = sizeof(b), .flags = HYBRID_ALLOC_ALLOC_RESERVED, .nr = 3,
		.item_size = sizeof(items[0]), .items = (uintptr_t)items,
	};
	int f = ha_must_open(id, O_RDWR), reader = ha_must_open(id, O_RDONLY);
	struct hybrid_alloc_extent exts[4];
	u64 reserved;
	u32 i;

	t_errno(reserve(reader, BLOCK), EBADF, "RESERVE through a file that is read-only");
	t_errno(ha_alloc_flags(f, BLOCK, HYBRID_ALLOC_ALLOC_RESERVED | HYBRID_ALLOC_ALLOC_BOUND,
			       NULL), EINVAL, "an extent that is bound and takes what is reserved");
	t_errno(reserve(f, MIB + 2 * BLOCK), 0, "RESERVE");
	t_errno(ha_ioctl(f, HYBRID_ALLOC_IOC_ALLOC_BATCH, &b), 0, "ALLOC_BATCH takes from that");
	t_ok(b.nr_failed == 0, "three blocks");
	t_errno(ha_alloc_many(f, &m, exts, ARRAY_SIZE(exts)), EINVAL,
		"ALLOC_MANY of more than what is left");
	t_errno(reserve_cmd(f, HYBRID_ALLOC_IOC_RESERVE, BLOCK, &reserved), 0, "one block more");
	t_eq(reserved, MIB, "nothing was taken by that");
	t_errno(ha_alloc_many(f, &m, exts, ARRAY_SIZE(exts)), 0, "then it is there");
	t_eq(ha_stat(fd, 0).reserved, 0, "all of it is taken");
	for (i = 0; i < m.nr_extents; i++)
		ha_free(f, exts[i].start, exts[i].len, NULL);
	for (i = 0; i < 3; i++)
		ha_free(f, items[i].extent.start, items[i].extent.len, NULL);
	close(reader);
	close(f);
}

/* A range of lengths, several extents, and an extension get what is not reserved, and no more. */
static void test_ranges(void)
{
	struct hybrid_alloc_alloc a = { .size = sizeof(a), .len = 64 * BLOCK, .min = BLOCK };
	struct hybrid_alloc_many m = { .size = sizeof(m), .len = 8 * BLOCK };
	struct hybrid_alloc_extend_item item = { .more = 6 * BLOCK };
	struct hybrid_alloc_batch b = {
		.size = sizeof(b), .nr = 1, .item_size = sizeof(item), .items = (uintptr_t)&item,
	};
	int f = ha_must_open(id, O_RDWR);
	struct hybrid_alloc_extent exts[8];
	u64 reserved;
	u32 i;

	t_errno(ha_alloc(fd, BLOCK, 0, &item.extent), 0, "ALLOC of an extent to be extended");
	t_errno(reserve(f, left() - 5 * BLOCK), 0, "RESERVE of all but five blocks");
	t_errno(ha_ioctl(fd, HYBRID_ALLOC_IOC_ALLOC, &a), 0, "ALLOC of 1 to 64 blocks");
	t_eq(a.extent.len, 5 * BLOCK, "gets these five");
	t_errno(ha_free(fd, a.extent.start, a.extent.len, NULL), 0, "which are freed");
	t_errno(ha_alloc_many(fd, &m, exts, ARRAY_SIZE(exts)), ENOSPC, "ALLOC_MANY of eight");
	t_eq(m.reason, HYBRID_ALLOC_REASON_RESERVED, "for that reason");
	m.flags = HYBRID_ALLOC_ALLOC_PARTIAL;
	t_errno(ha_alloc_many(fd, &m, exts, ARRAY_SIZE(exts)), 0, "fewer will do");
	t_eq(m.total, 5 * BLOCK, "there are five");
	for (i = 0; i < m.nr_extents; i++)
		ha_free(fd, exts[i].start, exts[i].len, NULL);
	t_errno(ha_ioctl(fd, HYBRID_ALLOC_IOC_EXTEND, &b), 0, "EXTEND by six");
	t_eq(item.error, ENOSPC, "is refused");
	t_eq(item.reason, HYBRID_ALLOC_REASON_RESERVED, "for that reason");
	a = (struct hybrid_alloc_alloc) {
		.size = sizeof(a), .len = 64 * BLOCK, .min = BLOCK,
		.flags = HYBRID_ALLOC_ALLOC_RESERVED,
	};
	reserved = ha_stat(fd, 0).reserved;
	t_errno(ha_ioctl(f, HYBRID_ALLOC_IOC_ALLOC, &a), 0, "ALLOC against what is reserved");
	t_eq(ha_stat(fd, 0).reserved, reserved - a.extent.len, "takes as much as it gets");
	close(f);
	ha_free(fd, a.extent.start, a.extent.len, NULL);
	ha_free(fd, item.extent.start, item.extent.len, NULL);
	t_eq(ha_stat(fd, 0).reserved, 0, "nothing is reserved any more");
}

/* An allocation whose result cannot be delivered is undone, and reserved again. */
static void test_undo(void)
{
	int f = ha_must_open(id, O_RDWR), err;
	struct hybrid_alloc_alloc *a;
	struct t_flip flip;
	u32 i, failed = 0, wrong = 0;

	reserve(f, 64 * BLOCK);
	t_flip_start(&flip, sizeof(*a));
	a = flip.mem;
	for (i = 0; i < 20000 && failed < 20; i++) {
		struct hybrid_alloc_alloc *same = flip.same;

		*same = (struct hybrid_alloc_alloc){
			.size = sizeof(*a), .flags = HYBRID_ALLOC_ALLOC_RESERVED, .len = BLOCK,
		};
		err = ha_ioctl(f, HYBRID_ALLOC_IOC_ALLOC, a);
		if (err == EFAULT) {
			failed++;
			wrong += ha_stat(fd, 0).reserved != 64 * BLOCK;
		} else if (!err) {
			wrong += ha_free(f, same->extent.start, same->extent.len, NULL) ||
				 reserve(f, BLOCK);
		} else {
			wrong++;
		}
	}
	t_flip_stop(&flip);
	t_eq(wrong, 0, "%u of %u results could not be delivered: all is reserved again", failed, i);
	close(f);
	t_eq(ha_stat(fd, 0).reserved, 0, "until the close");
}

/* Descriptors that are inherited keep it; a program that is killed does not. */
static void test_processes(void)
{
	int f = ha_must_open(id, O_RDWR), status, pipes[2];
	char c;
	pid_t pid;

	if (pipe(pipes))
		t_die("pipe");
	reserve(f, MIB);
	pid = fork();
	if (!pid) {
		bool ok = !alloc_reserved(f, BLOCK, NULL);

		_exit(!(ok && write(pipes[1], "x", 1) == 1 && pause()));
	}
	t_ok(read(pipes[0], &c, 1) == 1, "a child takes from what its parent has reserved");
	close(f);
	t_eq(ha_stat(fd, 0).reserved, MIB - BLOCK, "after the parent's close it is still reserved");
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	t_eq(ha_stat(fd, 0).reserved, 0, "the child's death gives it back");
	close(pipes[0]);
	close(pipes[1]);
}

static atomic_bool stop;
static atomic_uint odd;

/* Allocates without a reservation, whatever it gets, and frees it. */
static void *other(void *arg)
{
	u64 rng = (uintptr_t)arg;

	while (!atomic_load(&stop)) {
		struct hybrid_alloc_extent e[8];
		u32 n = 0;
		int err = 0;

		while (n < ARRAY_SIZE(e) && !err) {
			err = ha_alloc(fd, (1 + random_below(&rng, 3)) * BLOCK, 0, &e[n]);
			n += !err;
		}
		if (err && err != ENOSPC)
			atomic_fetch_add(&odd, 1);
		while (n--)
			if (ha_free(fd, e[n].start, e[n].len, NULL))
				atomic_fetch_add(&odd, 1);
	}
	return NULL;
}

/* Every second block is free; claims of the rest, so that no magazine has any. */
static void shred(u64 start, u64 len)
{
	static struct hybrid_alloc_free_item items[HYBRID_ALLOC_MAX_ITEMS];
	u64 pos = start;
	u32 n, failed;

	while (pos < start + len) {
		memset(items, 0, sizeof(items));
		for (n = 0; n < ARRAY_SIZE(items) && pos < start + len; n++, pos += 2 * BLOCK)
			items[n].extent = (struct hybrid_alloc_extent){
				.start = pos, .len = BLOCK,
			};
		if (ha_claim_batch(fd, items, n, &failed) || failed)
			t_die("a claim failed");
	}
}

static void test_shredded(void)
{
	struct hybrid_alloc_info info;
	pthread_t threads[NR_OTHERS];
	int f = ha_must_open(id, O_RDWR);
	u64 i, nr = 0, failed = 0, start, len, first;

	if (ha_info(fd, 0, 0, &info) || ha_op(fd, HYBRID_ALLOC_IOC_DRAIN))
		t_die("INFO, DRAIN");
	start = info.range_start;
	len = 2 * SINGLES * BLOCK;
	shred(start, len);
	t_errno(ha_claim(fd, start + len, info.range_len - len), 0, "nothing else is free");
	t_eq(left(), SINGLES * BLOCK, "the disk has single free blocks");
	for (i = 0; i < NR_OTHERS; i++)
		pthread_create(&threads[i], NULL, other, (void *)(uintptr_t)(i + 1));
	/* in steps, beside the others: what they have is not there */
	first = 0;
	while (nr < SINGLES - 100) {
		u64 step = 1 + first++ % 16;

		if (reserve(f, step * BLOCK))
			continue;
		for (i = 0; i < step; i++, nr++)
			failed += !!alloc_reserved(f, BLOCK, NULL);
	}
	atomic_store(&stop, true);
	for (i = 0; i < NR_OTHERS; i++)
		t_join(threads[i]);
	t_errno(reserve(f, left()), 0, "the others have stopped: the rest is reserved");
	for (; !alloc_reserved(f, BLOCK, NULL); nr++)
		;
	t_eq(failed, 0, "no block that was promised has failed");
	t_eq(atomic_load(&odd), 0, "nor any other call of the others but for ENOSPC");
	t_eq(ha_stat(fd, 0).free + ha_stat(fd, 0).cached, 0, "the disk is full");
	t_ok(nr >= SINGLES, "all of it against reservations");
	t_errno(ha_op(fd, HYBRID_ALLOC_IOC_CHECK), 0, "CHECK");
	close(f);
}

int main(void)
{
	const char *disk;

	ha_need_module();
	disk = t_disk(NULLB, 256);
	id = ha_must_attach(disk, HYBRID_ALLOC_ATTACH_FRESH);
	fd = ha_must_open(id, O_RDWR);
	test_to_the_last_block();
	test_flags();
	test_ranges();
	test_undo();
	test_processes();
	t_errno(ha_detach(id, 0), EBUSY, "the instance is in use");
	close(fd);
	t_errno(ha_detach(id, HYBRID_ALLOC_DETACH_FORCE), 0, "DETACH");

	id = ha_must_attach(disk, 0);
	fd = ha_must_open(id, O_RDWR);
	t_errno(reserve(fd, BLOCK), EAGAIN, "RESERVE before the seal");
	ha_op(fd, HYBRID_ALLOC_IOC_SEAL);
	t_errno(reserve(fd, BLOCK), 0, "and after it");
	t_errno(unreserve(fd, BLOCK), 0, "UNRESERVE");
	test_shredded();
	reserve(fd, 0);
	t_errno(ha_detach(id, HYBRID_ALLOC_DETACH_FORCE), 0, "DETACH by force");
	t_errno(reserve(fd, BLOCK), ENODEV, "RESERVE then");
	close(fd);
	return t_done();
}
