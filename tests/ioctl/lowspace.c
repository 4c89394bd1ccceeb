// SPDX-License-Identifier: GPL-2.0
/*
 * poll() on a node says when there is less free space than the threshold of the open
 * file, and wakes who waits for it: at the right byte, each time again, only those
 * whose threshold it is, also while others are at work; and when the device goes.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include "harness.h"

#define NULLB		"hat-watch"
#define NR_NOISE	3
#define LONG_MS		20000	/* too long for a wake-up, emulation included */

static u32 id;
static int fd;			/* allocates */

static u64 watch(int f, u64 low_space)
{
	struct hybrid_alloc_watch w = { .size = sizeof(w), .low_space = low_space };
	int err = ha_ioctl(f, HYBRID_ALLOC_IOC_WATCH, &w);

	if (err)
		t_die("WATCH: %s", t_strerror(err));
	return w.free;
}

/* What poll() says within that time; 0 if nothing. */
static int polled(int f, int ms)
{
	struct pollfd p = { .fd = f, .events = POLLIN | POLLPRI };
	int n = poll(&p, 1, ms);

	if (n < 0)
		t_die("poll");
	return n ? p.revents : 0;
}

static bool low_now(int f)
{
	return polled(f, 0) == POLLPRI;
}

/* Just these blocks, and no batch for a pool with them. */
static void take(u64 start, u64 len)
{
	int err = ha_claim(fd, start, len);

	if (err)
		t_die("CLAIM: %s", t_strerror(err));
}

static void give(u64 start, u64 len)
{
	if (ha_free(fd, start, len, NULL))
		t_die("FREE");
}

static void test_levels(void)
{
	int f = ha_must_open(id, O_RDONLY);
	struct hybrid_alloc_info info;
	u64 all;

	t_ok(!ha_info(fd, 0, 0, &info) && (info.features & HYBRID_ALLOC_FEATURE_WATCH),
	     "INFO says that there is WATCH");
	t_eq(polled(f, 100), 0, "poll without a threshold says nothing");
	all = watch(f, 0);
	t_eq(all, ha_stat(fd, 0).free, "WATCH tells what STAT calls free");
	watch(f, all);
	t_ok(!low_now(f), "just the threshold is free: not low");
	take(64 * MIB, BLOCK);
	t_ok(low_now(f) && low_now(f), "one block less: low, and for as long as it lasts");
	t_eq(polled(f, 0) & POLLIN, 0, "there is nothing to be read");
	give(64 * MIB, BLOCK);
	t_ok(!low_now(f), "the block is back: not low");
	watch(f, ~0ULL);
	t_ok(low_now(f), "a threshold above all that there is: low");
	watch(f, 0);
	t_ok(!low_now(f), "a threshold of 0: never low");
	t_ok(!low_now(fd), "nor for another open file");
	close(f);
}

/* A thread in poll(), which tells when it is woken. */
struct waiter {
	int fd, got;
	pthread_t thread;
	atomic_bool done;
};

static void *wait_in_poll(void *arg)
{
	struct waiter *w = arg;

	w->got = polled(w->fd, LONG_MS);
	atomic_store(&w->done, true);
	return NULL;
}

static void waiter_start(struct waiter *w, int f)
{
	w->fd = f;
	atomic_store(&w->done, false);
	pthread_create(&w->thread, NULL, wait_in_poll, w);
	usleep(50000);		/* it is there mostly; what is to be true is so anyway */
}

static int waiter_end(struct waiter *w)
{
	pthread_join(w->thread, NULL);
	return w->got;
}

static void test_wake(void)
{
	int f = ha_must_open(id, O_RDONLY), g = ha_must_open(id, O_RDWR), both;
	u64 all = watch(f, 0);
	struct waiter w, v, d;

	/* two thresholds, and a duplicate of the first file */
	watch(f, all - 8 * MIB);
	watch(g, all - 16 * MIB);
	both = dup(f);
	waiter_start(&w, f);
	waiter_start(&v, g);
	waiter_start(&d, both);
	take(64 * MIB, 8 * MIB);
	usleep(200000);
	t_ok(!atomic_load(&w.done) && !atomic_load(&v.done),
	     "as much as the threshold: nobody is woken");
	take(128 * MIB, BLOCK);
	t_eq(waiter_end(&w), POLLPRI, "a block less wakes who waits");
	t_eq(waiter_end(&d), POLLPRI, "also at a duplicate");
	usleep(100000);
	t_ok(!atomic_load(&v.done), "but not who has a lower threshold");
	take(160 * MIB, 8 * MIB);
	t_eq(waiter_end(&v), POLLPRI, "until that is reached, too");
	t_ok(low_now(f) && low_now(g), "both are low");
	give(160 * MIB, 8 * MIB);
	t_ok(low_now(f) && !low_now(g), "a free takes one of them back");
	waiter_start(&v, g);
	take(160 * MIB, 8 * MIB);
	t_eq(waiter_end(&v), POLLPRI, "the second fall wakes again");

	/* a new threshold for who is in poll() already */
	give(160 * MIB, 8 * MIB);
	waiter_start(&v, g);
	watch(g, all);
	t_eq(waiter_end(&v), POLLPRI, "a higher threshold wakes who waits with the old one");
	close(f);
	t_ok(low_now(both), "the file is still there by its duplicate");
	close(both);
	watch(g, all - 16 * MIB);
	waiter_start(&v, g);
	take(160 * MIB, 8 * MIB);
	t_eq(waiter_end(&v), POLLPRI, "the other one is closed: no change");
	close(g);
	give(64 * MIB, 8 * MIB);
	give(128 * MIB, BLOCK);
	give(160 * MIB, 8 * MIB);
}

static int edges(int ep)
{
	struct epoll_event e;

	return epoll_wait(ep, &e, 1, 100);
}

/* Edge-triggered: once for each fall, wherever the space comes from. */
static void *test_edges(void *unused)
{
	struct epoll_event e = { .events = EPOLLPRI | EPOLLET };
	int f = ha_must_open(id, O_RDONLY), ep = epoll_create1(0);
	struct hybrid_alloc_trim t = { .size = sizeof(t), .len = 64 * MIB };
	struct hybrid_alloc_extent ext[64];
	struct hybrid_alloc_stat st;
	u64 all = watch(f, 0);
	u32 i, nr;

	(void)unused;
	t_pin(0);		/* one pool: in a thread of its own */
	if (epoll_ctl(ep, EPOLL_CTL_ADD, f, &e))
		t_die("epoll_ctl");
	watch(f, all);
	t_eq(edges(ep), 0, "epoll: enough space is no event");
	take(64 * MIB, BLOCK);
	t_eq(edges(ep), 1, "a fall is one");
	take(65 * MIB, MIB);
	give(65 * MIB, MIB);
	t_eq(edges(ep), 0, "falling further is none");
	give(64 * MIB, BLOCK);
	take(64 * MIB, BLOCK);
	t_eq(edges(ep), 1, "up and down again is one, with nobody looking in between");
	give(64 * MIB, BLOCK);

	/* what a pool serves is none of it: free space stays as it is */
	for (nr = 0; nr < 2; nr++)	/* the first one makes the pool */
		if (ha_alloc(fd, BLOCK, 0, &ext[nr]))
			t_die("ALLOC");
	t_eq(edges(ep), 1, "the refill of a pool is a fall");
	st = ha_stat(fd, 0);
	watch(f, st.free);
	t_ok(st.cached && !low_now(f), "with a threshold of what is left there is enough");
	for (; nr < ARRAY_SIZE(ext); nr++) {
		if (ha_alloc(fd, BLOCK, 0, &ext[nr]))
			t_die("ALLOC");
		if (ha_stat(fd, 0).pool_refills != st.pool_refills)
			break;
	}
	t_ok(nr > 8 && nr < ARRAY_SIZE(ext) && edges(ep) == 1,
	     "%u allocations later the next refill is the next fall", nr);
	for (i = 0; i <= nr; i++)
		give(ext[i].start, ext[i].len);
	watch(f, all);
	t_ok(low_now(f), "what is in a pool is not free");
	if (ha_op(fd, HYBRID_ALLOC_IOC_DRAIN))
		t_die("DRAIN");
	t_ok(!low_now(f), "until it is drained");
	edges(ep);
	if (ha_ioctl(fd, HYBRID_ALLOC_IOC_TRIM, &t))
		t_die("TRIM");
	edges(ep);
	t_ok(!low_now(f), "after a TRIM all is free");
	take(64 * MIB, BLOCK);
	t_eq(edges(ep), 1, "and a fall is seen");
	give(64 * MIB, BLOCK);
	close(ep);
	close(f);
	return NULL;
}

static atomic_bool stop;

/* Takes and gives less than what the threshold is away. */
static void *noise(void *arg)
{
	u64 rng = t_seed + (uintptr_t)arg;
	int f = ha_must_open(id, O_RDWR);

	while (!atomic_load(&stop)) {
		struct hybrid_alloc_extent e[4];
		u32 i;

		for (i = 0; i < 4; i++)
			if (ha_alloc(f,
				     1 + random_next(&rng) %
						     (random_next(&rng) % 2 ? MIB : 8 * BLOCK),
				     0, &e[i]))
				t_die("ALLOC");
		for (i = 0; i < 4; i++)
			if (ha_free(f, e[i].start, e[i].len, NULL))
				t_die("FREE");
		if (!(random_next(&rng) % 64))
			ha_op(f, HYBRID_ALLOC_IOC_DRAIN);
	}
	close(f);
	return NULL;
}

static atomic_uint asked, woken, late, early;
static atomic_bool fallen;
static u64 threshold;

/* Waits for one fall after the other; each time with a file that is new, or not. */
static void *wait_again(void *arg)
{
	int f = ha_must_open(id, O_RDONLY), got;
	u32 n = 0;

	(void)arg;
	watch(f, threshold);
	for (;;) {
		while (atomic_load(&asked) == n && !atomic_load(&stop))
			sched_yield();
		if (atomic_load(&stop))
			break;
		n = atomic_load(&asked);
		if (n % 4 == 0) {
			close(f);
			f = ha_must_open(id, O_RDONLY);
			watch(f, threshold);
		}
		got = polled(f, LONG_MS);
		if (got != POLLPRI)
			atomic_fetch_add(&late, 1);
		else if (!atomic_load(&fallen))
			atomic_fetch_add(&early, 1);
		atomic_store(&woken, n);
	}
	close(f);
	return NULL;
}

/*
 * Falls at random moments, before, while and after the waiter goes into poll(), with
 * others at work who must neither wake it nor hide a fall. The wall stands 64 MiB
 * away from all that they do.
 */
static void test_races(void)
{
	u64 rng = t_seed, all = ha_stat(fd, 0).free;
	pthread_t threads[NR_NOISE], waiter;
	const u64 big = 256 * MIB;
	double end = t_now() + (getenv("SOAK") ? 120 : 5);
	u32 i, n;

	threshold = all - 128 * MIB;
	atomic_store(&stop, false);
	atomic_store(&fallen, false);
	for (i = 0; i < NR_NOISE; i++)
		pthread_create(&threads[i], NULL, noise, (void *)(uintptr_t)i);
	pthread_create(&waiter, NULL, wait_again, NULL);
	for (n = 1; (t_now() < end || n <= 20) && !atomic_load(&late); n++) {
		struct hybrid_alloc_extent e;
		u32 spin = random_next(&rng) % 3000;

		atomic_store(&asked, n);
		while (spin--)
			atomic_load(&asked);
		atomic_store(&fallen, true);
		if (ha_alloc(fd, big, 0, &e))
			t_die("ALLOC");
		while (atomic_load(&woken) != n)
			sched_yield();
		give(e.start, e.len);
		atomic_store(&fallen, false);
	}
	atomic_store(&stop, true);
	pthread_join(waiter, NULL);
	for (i = 0; i < NR_NOISE; i++)
		pthread_join(threads[i], NULL);
	t_note("seed %llu: %u falls", t_seed, n - 1);
	t_ok(!atomic_load(&late), "threads: each fall wakes");
	t_eq(atomic_load(&early), 0, "threads: nothing else does");
}

static void test_detach(void)
{
	int f = ha_must_open(id, O_RDONLY), g = ha_must_open(id, O_RDONLY);
	struct hybrid_alloc_watch w = { .size = sizeof(w) };
	struct waiter a, b;

	watch(f, MIB);
	waiter_start(&a, f);
	waiter_start(&b, g);
	t_errno(ha_detach(id, HYBRID_ALLOC_DETACH_FORCE), 0, "DETACH by force");
	t_eq(waiter_end(&a), POLLERR | POLLHUP, "wakes who waits, with POLLERR and POLLHUP");
	t_eq(waiter_end(&b), POLLERR | POLLHUP, "also without a threshold");
	t_eq(polled(f, 0), POLLERR | POLLHUP, "and so it stays");
	t_errno(ha_ioctl(f, HYBRID_ALLOC_IOC_WATCH, &w), ENODEV, "WATCH then");
	close(f);
	close(g);
	close(fd);
}

static void test_gone(void)
{
	struct waiter w;
	int f, g;

	t_nullb_make(NULLB, (struct t_disk_opts){ .mib = 128 });
	id = ha_must_attach("/dev/" NULLB, HYBRID_ALLOC_ATTACH_FRESH);
	f = ha_must_open(id, O_RDONLY);
	watch(f, MIB);
	t_eq(polled(f, 0), 0, "a disk that is there");
	waiter_start(&w, f);
	t_nullb_power_off(NULLB);
	g = ha_must_open(id, O_RDONLY);
	ha_stat_err(g, 0, NULL);	/* Linux 6.1 tells nobody: it has to be asked */
	t_eq(waiter_end(&w), POLLERR | POLLHUP, "that it went away wakes who waits");
	t_eq(polled(f, 0), POLLERR | POLLHUP, "and so it stays");
	close(g);
	close(f);
	t_errno(ha_detach(id, 0), 0, "DETACH");
	t_nullb_remove(NULLB);
}

int main(void)
{
	struct hybrid_alloc_stat before;
	pthread_t edges_thread;

	ha_need_module();
	t_need_null_blk();
	t_nullb_make(NULLB "0", (struct t_disk_opts){
		.mib = 1024, .memory = true, .discard = true,
	});
	id = ha_must_attach("/dev/" NULLB "0", HYBRID_ALLOC_ATTACH_FRESH);
	fd = ha_must_open(id, O_RDWR);
	before = ha_stat(fd, 0);
	test_levels();
	test_wake();
	pthread_create(&edges_thread, NULL, test_edges, NULL);
	pthread_join(edges_thread, NULL);
	test_races();
	t_all_back(fd, &before, "all of it");
	test_detach();
	test_gone();
	t_nullb_remove(NULLB "0");
	if (ha_rmmod())
		t_die("rmmod");
	return t_done();
}
