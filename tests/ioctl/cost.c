// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs to attach, in instructions: for a machine whose clock counts
 * them, see tests/vm/run --icount. That it does is shown first, with a loop of
 * a known length.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include "harness.h"

#define MAX_ATTACH	100000000

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
	test_attach("1 GiB", 1024);
	test_attach("1 TiB", 1024 * 1024);
	test_attach("100 TiB", 100 * 1024 * 1024);
	return t_done();
}
