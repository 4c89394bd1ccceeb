// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs to attach, in instructions: for a machine whose clock counts
 * them, see tests/vm/run --icount. That it does is shown first, with a loop of
 * a known length. And what others cost: files that wait for low space, and
 * extents that were bound.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/resource.h>
#include "harness.h"

#define MAX_ATTACH	100000000
#define NR_WATCHERS	4000

static u64 now(void)
{
	return t_now() * 1e9;
}

static void loop(u64 n)
{
	asm volatile("1: dec %0; jnz 1b" : "+r"(n));
}

/* The least of several, as now and then an interrupt gets in between. */
static u64 cost_of_loop(u64 n)
{
	u64 best = ~0ULL, begun, took;
	u32 i;

	for (i = 0; i < 5; i++) {
		begun = now();
		loop(n);
		took = now() - begun;
		best = took < best ? took : best;
	}
	return best;
}

static void test_attach(const char *name, u32 mib)
{
	struct hybrid_alloc_attach a = {};
	struct hybrid_alloc_stat st;
	u64 begun, took;
	int fd, err;
	u32 id;

	t_nullb_make("hat-cost", (struct t_disk_opts){ .mib = mib });
	begun = now();
	err = ha_attach(&a, "/dev/hat-cost", HYBRID_ALLOC_ATTACH_FRESH, &id);
	took = now() - begun;
	if (err)
		t_die("attach: %s", t_strerror(err));
	t_ok(took <= MAX_ATTACH, "a device of %s is attached in at most 10^8 instructions", name);
	fd = ha_must_open(id, O_RDWR);
	st = ha_stat(fd, 0);
	t_note("%s: %llu instructions, %llu bytes of metadata", name, took, st.metadata);
	close(fd);
	t_errno(ha_detach(id, 0), 0, "DETACH of %s", name);
	t_nullb_remove("hat-cost");
}

/* A pair of ALLOC and FREE: the average of many, the least of several. */
static u64 cost_of_pair(int fd, u64 len)
{
	u64 best = ~0ULL, begun, took;
	struct hybrid_alloc_extent e;
	u32 i, k;

	for (i = 0; i < 5; i++) {
		begun = now();
		for (k = 0; k < 200; k++)
			if (ha_alloc(fd, len, 0, &e) || ha_free(fd, e.start, e.len, NULL))
				t_die("ALLOC and FREE");
		took = (now() - begun) / 200;
		best = took < best ? took : best;
	}
	return best;
}

static int watch(u32 id, u64 low_space)
{
	struct hybrid_alloc_watch w = { .size = sizeof(w), .low_space = low_space };
	int f = ha_must_open(id, O_RDONLY);

	if (ha_ioctl(f, HYBRID_ALLOC_IOC_WATCH, &w))
		t_die("WATCH");
	return f;
}

static bool about(u64 cost, u64 before)
{
	return cost <= before + before / 100 && before <= cost + before / 50;
}

/* Files that were opened read-only have thresholds; others allocate and free. */
static void test_watchers(u32 id, int fd)
{
	static int files[NR_WATCHERS];
	const u64 len = 68 * KIB;	/* not from a pool */
	u64 alone, few = 0, many, after, free;
	u32 i;

	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ NR_WATCHERS + 50, NR_WATCHERS + 50 });
	cost_of_pair(fd, len);
	alone = cost_of_pair(fd, len);
	free = ha_stat(fd, 0).free;
	/* each pair crosses the first ones */
	for (i = 0; i < NR_WATCHERS; i++) {
		files[i] = watch(id, free - i % 2 * BLOCK - i / 2 * 32 * BLOCK);
		if (i == 15)
			few = cost_of_pair(fd, len);
	}
	many = cost_of_pair(fd, len);
	t_eq(ha_stat(fd, 0).nr_watchers, NR_WATCHERS, "STAT tells how many files have a threshold");
	for (i = 0; i < NR_WATCHERS; i++)
		close(files[i]);
	after = cost_of_pair(fd, len);
	t_note("a pair of 68 KiB: %llu instructions, with 16 thresholds %llu, with %u %llu",
	       alone, few, NR_WATCHERS, many);
	t_note("after that %llu", after);
	t_ok(many < few + few / 4, "a miss does not pay for each threshold");
	t_ok(about(after, alone), "nor for any after the last one is gone");
}

/* Something is bound, and then nothing. */
static void test_bound(int fd, u32 id)
{
	static const u64 lens[] = { BLOCK, 68 * KIB };
	u64 before[2], with[2], after;
	struct hybrid_alloc_extent e;
	u32 round, i;
	int f;

	for (i = 0; i < 2; i++) {
		cost_of_pair(fd, lens[i]);
		before[i] = cost_of_pair(fd, lens[i]);
	}
	for (round = 0; round < 2; round++) {
		f = ha_must_open(id, O_RDWR);
		if (ha_alloc_flags(f, MIB, HYBRID_ALLOC_ALLOC_BOUND, &e))
			t_die("ALLOC");
		for (i = 0; i < 2; i++)
			with[i] = cost_of_pair(fd, lens[i]);
		if (!round && ha_free(f, e.start, e.len, NULL))
			t_die("FREE");
		close(f);
		for (i = 0; i < 2; i++) {
			after = cost_of_pair(fd, lens[i]);
			t_note("a pair of %llu KiB: %llu instructions, with a bound extent %llu",
			       lens[i] / KIB, before[i], with[i]);
			t_note("after that %llu", after);
			t_ok(about(after, before[i]), "as before after the last bound extent is %s",
			     round ? "closed" : "freed");
		}
	}
}

static void test_others(void)
{
	struct hybrid_alloc_extent e;
	u32 id;
	int fd;

	t_nullb_make("hat-cost", (struct t_disk_opts){ .mib = 1024 });
	id = ha_must_attach("/dev/hat-cost", HYBRID_ALLOC_ATTACH_FRESH);
	fd = ha_must_open(id, O_RDWR);
	/* a neighbour, so that a pair does not make a slot and give it back */
	if (ha_alloc(fd, 68 * KIB, 0, &e))
		t_die("ALLOC");
	test_watchers(id, fd);
	test_bound(fd, id);
	ha_free(fd, e.start, e.len, NULL);
	close(fd);
	t_errno(ha_detach(id, 0), 0, "DETACH");
	t_nullb_remove("hat-cost");
}

int main(void)
{
	u64 short_, long_;

	short_ = cost_of_loop(1000000);
	long_ = cost_of_loop(6000000);
	/* ten million instructions more; interrupts are less than one in a hundred */
	if (!t_ok(long_ - short_ > 9990000 && long_ - short_ < 10100000,
		  "the clock counts instructions"))
		t_note("10000000 took %llu", long_ - short_);
	ha_need_module();
	test_others();
	test_attach("1 GiB", 1024);
	test_attach("1 TiB", 1024 * 1024);
	test_attach("100 TiB", 100 * 1024 * 1024);
	return t_done();
}
