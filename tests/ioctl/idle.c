// SPDX-License-Identifier: GPL-2.0
/*
 * What the pools hold goes back: when nobody uses it for a while, and when
 * memory is short; nothing is lost while threads are at work.
 *
 * usage: idle [--seconds N]
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include "harness.h"

#define NR_THREADS	4
#define IDLE_MS		300

static int fd;

/* How long it takes until the pools are empty; what others call is not waited for. */
static double time_to_empty(double limit)
{
	double start = t_now();

	while (ha_stat(fd, 0).cached && t_now() - start < limit)
		usleep(10000);
	return t_now() - start;
}

static void test_idle(const struct hybrid_alloc_stat *start)
{
	struct hybrid_alloc_stat st;
	double took;

	t_fill_pools(fd, 8);
	st = ha_stat(fd, 0);
	t_ok(st.cached > 0, "%llu bytes are in the pools", (u64)st.cached);
	took = time_to_empty(60);
	st = ha_stat(fd, 0);
	t_eq(st.cached, 0, "none of it some time later");
	/* seen, then seen again unused: never less than one period */
	t_ok(took > IDLE_MS / 1000.0 / 2, "but not at once: after %.1f s", took);
	t_ok(t_identity(&st, "idle") && !st.charged, "STAT is right");
	t_all_back(fd, start, "idle");
}

/* The kernel's way to ask all shrinkers. */
static void press(void)
{
	if (t_write("/proc/sys/vm/drop_caches", "2"))
		t_die("drop_caches");
}

static void test_pressure(const struct hybrid_alloc_stat *start)
{
	struct hybrid_alloc_stat full, st;

	t_fill_pools(fd, 8);
	full = ha_stat(fd, 0);
	press();
	st = ha_stat(fd, 0);
	t_ok(full.cached && !st.cached, "when memory is short %llu cached bytes become free",
	     (u64)full.cached);
	t_ok(st.percpu < full.percpu, "and the memory of the pools goes from %llu to %llu bytes",
	     (u64)full.percpu, (u64)st.percpu);
	t_ok(t_identity(&st, "pressure") && !st.charged, "STAT is right");
	t_all_back(fd, start, "pressure");
}

/* Now and then long enough for the pools to be idle. */
static void rest(u64 *rng, u64 round __attribute__((unused)))
{
	if (!(random_next(rng) % 8192))
		usleep(2500 * IDLE_MS);
}

static void test_busy(const struct hybrid_alloc_stat *start, int seconds)
{
	struct t_load load = { .fd = fd, .nr = NR_THREADS, .aside = rest };
	double end = t_now() + seconds;
	struct hybrid_alloc_stat st;
	unsigned int presses = 0;

	t_load_start(&load);
	for (; t_now() < end; presses++) {
		press();
		usleep(5000);
	}
	t_load_stop(&load);
	t_eq(load.odd, 0, "%u calls while memory was short %u times", load.calls, presses);
	st = ha_stat(fd, 0);
	t_ok(t_identity(&st, "busy") && !st.charged, "STAT is right once all is quiet");
	t_all_back(fd, start, "busy");
}

int main(int argc, char **argv)
{
	int seconds = argc > 2 && !strcmp(argv[1], "--seconds") ? atoi(argv[2]) : 5;
	struct hybrid_alloc_stat start;
	char params[32];
	u32 id;

	t_note("SEED=%llu", t_seed);
	if (ha_loaded())
		t_errno(ha_rmmod(), 0, "rmmod of the module with other parameters");
	snprintf(params, sizeof(params), "idle_ms=%d", IDLE_MS);
	t_errno(ha_insmod(params), 0, "insmod %s", params);
	t_nullb_make("hat-idle", (struct t_disk_opts){ .mib = 1024 });
	id = ha_must_attach("/dev/hat-idle", HYBRID_ALLOC_ATTACH_FRESH);
	fd = ha_must_open(id, O_RDWR);
	start = ha_stat(fd, 0);
	test_idle(&start);
	test_pressure(&start);
	test_busy(&start, seconds);
	close(fd);
	t_errno(ha_detach(id, 0), 0, "DETACH");
	t_nullb_remove("hat-idle");
	t_errno(ha_rmmod(), 0, "rmmod");
	return t_done();
}
