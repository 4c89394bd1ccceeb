// SPDX-License-Identifier: GPL-2.0
/*
 * A CPU goes away with full pools: what it cached comes back, and nothing is
 * lost while threads are at work.
 *
 * usage: hotplug [--rounds N]
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include "harness.h"

#define CPU1	"/sys/devices/system/cpu/cpu1/online"
#define NR_THREADS	3

static int fd;
static u64 capacity;

static void set_cpu1(bool on)
{
	int err = t_write(CPU1, "%d", on);

	if (err)
		t_die("CPU 1 %s: %s", on ? "on" : "off", t_strerror(err));
}

static void test_idle(void)
{
	struct hybrid_alloc_extent e;
	u64 cached;
	int err;

	/* on another CPU, which is there: the slow mode reaches its pools */
	t_pin(1);
	t_fill_pools(fd, 64);
	cached = ha_stat(fd, 0).cached;
	t_ok(cached >= 4 * MIB, "%llu bytes are in the pools of CPU 1", cached);
	t_pin(0);
	err = ha_alloc(fd, capacity, 0, &e);
	t_errno(err, 0, "CPU 0 can have what CPU 1 caches");
	if (!err)
		ha_free(fd, e.start, e.len, NULL);

	t_pin(1);
	t_fill_pools(fd, 64);
	cached = ha_stat(fd, 0).cached;
	t_ok(cached >= 4 * MIB, "%llu bytes are in the pools of CPU 1 again", cached);
	t_pin(0);
	set_cpu1(false);
	t_eq(ha_stat(fd, 0).cached, 0, "none of it when CPU 1 is offline");
	err = ha_alloc(fd, capacity, 0, &e);
	t_errno(err, 0, "all can be allocated");
	if (!err)
		t_errno(ha_free(fd, e.start, e.len, NULL), 0, "and freed");
	set_cpu1(true);
	t_pin(1);
	t_fill_pools(fd, 64);
	t_ok(ha_stat(fd, 0).cached >= 4 * MIB, "CPU 1 caches again when it is back");
	t_pin(0);
}

/* To CPU 1, when it is there. */
static void move(u64 *rng __attribute__((unused)), u64 round)
{
	cpu_set_t set;

	if (round % 4096)
		return;
	CPU_ZERO(&set);
	CPU_SET(1, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void test_busy(unsigned int rounds)
{
	struct t_load load = { .fd = fd, .nr = NR_THREADS, .aside = move };
	unsigned int from, i;

	t_load_start(&load);
	for (i = 0; i < 2 * rounds; i++) {
		for (from = atomic_load(&load.calls); atomic_load(&load.calls) - from < 3000;)
			usleep(1000);
		set_cpu1(i % 2);
	}
	t_load_stop(&load);
	t_eq(load.odd, 0, "%u calls while CPU 1 went away %u times", load.calls, rounds);
}

int main(int argc, char **argv)
{
	unsigned int rounds = argc > 2 && !strcmp(argv[1], "--rounds") ? atoi(argv[2]) : 10;
	struct hybrid_alloc_stat start, st;
	u32 id;

	t_note("SEED=%llu", t_seed);
	if (access(CPU1, W_OK)) {
		t_skip("CPU hotplug", "there is no CPU 1 that could be taken offline");
		return t_done();
	}
	ha_need_module();
	t_nullb_make("hat-cpu", (struct t_disk_opts){ .mib = 256 });
	id = ha_must_attach("/dev/hat-cpu", HYBRID_ALLOC_ATTACH_FRESH);
	fd = ha_must_open(id, O_RDWR);
	start = ha_stat(fd, 0);
	capacity = start.capacity - start.unusable;
	test_idle();
	t_all_back(fd, &start, "idle");
	test_busy(rounds);
	st = ha_stat(fd, 0);
	t_ok(t_identity(&st, "busy") && !st.charged, "STAT is right once all is quiet");
	t_all_back(fd, &start, "busy");
	close(fd);
	t_errno(ha_detach(id, 0), 0, "DETACH");
	t_nullb_remove("hat-cpu");
	return t_done();
}
