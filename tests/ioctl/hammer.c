// SPDX-License-Identifier: GPL-2.0
/*
 * Several processes at one node. They allocate sizes of their own and free
 * what others allocated; a shared bitmap with one bit for each block tells
 * when an extent is handed out twice. Then all of them free the same extent
 * at the same time, and exactly one may succeed.
 *
 * usage: hammer [--procs N] [--seconds N] [--rounds N] [--seed N] [--node PATH [--shared]]
 *	--shared: others are at work on the node, too. What is theirs at the end is
 *	not looked at, nor is there a race for the last free, which they might win
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "harness.h"

#define DISK_MIB	512
#define MAX_PROCS	16
#define NR_SLOTS	512
#define NR_OWN		256

static int fd;
static u64 range_start, nr_blocks;
static double seconds = 15;
static unsigned int nr_procs = 2, nr_rounds = 5000;
static bool shared;

static struct shared {
	pthread_barrier_t barrier;
	/* extents on their way: process << 60 | block << 24 | blocks */
	atomic_ullong slots[NR_SLOTS];
	atomic_uint overlaps, errors, allocs, frees, foreign, enospc;
	/* the race */
	u64 start, len;
	atomic_uint waiting, won, lost;
	atomic_uint rounds_bad;
	atomic_ullong taken[];
} *sh;

static u64 below(u64 *rng, u64 n)
{
	return random_next(rng) % n;
}

/* Sets or clears the bits of an extent; false if one was so already. */
static bool mark(u64 block, u64 nr, bool on)
{
	bool ok = true;
	u64 w, m;

	for (w = block / 64; w * 64 < block + nr; w++) {
		m = t_mask(w, block, block + nr);
		if (on)
			ok &= !(atomic_fetch_or(&sh->taken[w], m) & m);
		else
			ok &= (atomic_fetch_and(&sh->taken[w], ~m) & m) == m;
	}
	return ok;
}

static u64 block_of(u64 ext)
{
	return ext << 4 >> 28;
}

static u64 blocks_of(u64 ext)
{
	return ext & 0xffffff;
}

static void give_back(u64 ext)
{
	u64 block = block_of(ext), nr = blocks_of(ext);
	int err;

	if (!mark(block, nr, false))
		atomic_fetch_add(&sh->overlaps, 1);
	err = ha_free(fd, range_start + block * BLOCK, nr * BLOCK, NULL);
	atomic_fetch_add(&sh->frees, 1);
	if (err && atomic_fetch_add(&sh->errors, 1) < 5)
		t_note("FREE of block %llu+%llu: %s", block, nr, t_strerror(err));
}

static u64 size_for(unsigned int proc, u64 *rng)
{
	switch ((proc + below(rng, 8) / 7) % 4) {
	case 0:
		return BLOCK << below(rng, 11);			/* 4 KiB … 4 MiB */
	case 1:
		return BLOCK * (1 + below(rng, 40));		/* to 160 KiB */
	case 2:
		return BLOCK;
	default:
		return 1 + below(rng, 3 * MIB);		/* odd */
	}
}

static void work(unsigned int proc)
{
	u64 own[NR_OWN], nr_own = 0, rng = t_seed + proc;
	double end = t_now() + seconds;
	unsigned int i, n = 0;

	while (++n % 64 || t_now() < end) {
		struct hybrid_alloc_extent e;
		u64 ext;
		int err;

		/* shared: the CPU may be about to go away */
		if (n % 4096 == 0 && !shared)
			t_pin(below(&rng, sysconf(_SC_NPROCESSORS_ONLN)));
		if (nr_own < NR_OWN && below(&rng, 16) < 9) {
			err = ha_alloc(fd, size_for(proc, &rng), 0, &e);
			if (err) {
				if (err == ENOSPC)
					atomic_fetch_add(&sh->enospc, 1);
				else if (atomic_fetch_add(&sh->errors, 1) < 5)
					t_note("ALLOC: %s", t_strerror(err));
				/* make room: what lies in the slots too */
				for (i = 0; i < 8 && nr_own; i++)
					give_back(own[--nr_own]);
				ext = atomic_exchange(&sh->slots[below(&rng, NR_SLOTS)], 0);
				if (ext)
					give_back(ext);
				continue;
			}
			atomic_fetch_add(&sh->allocs, 1);
			ext = (e.start - range_start) / BLOCK << 24 | e.len / BLOCK;
			ext |= (u64)proc << 60;
			if (!mark(block_of(ext), blocks_of(ext), true) &&
			    atomic_fetch_add(&sh->overlaps, 1) < 5)
				t_note("%llu+%llu is handed out twice", (u64)e.start, (u64)e.len);
			own[nr_own++] = ext;
		} else if (nr_own) {
			/* through a slot to somebody else, or back */
			i = below(&rng, nr_own);
			ext = own[i];
			own[i] = own[--nr_own];
			if (below(&rng, 2)) {
				ext = atomic_exchange(&sh->slots[below(&rng, NR_SLOTS)], ext);
				atomic_fetch_add(&sh->foreign, ext && ext >> 60 != proc);
			}
			if (ext)
				give_back(ext);
		}
	}
	while (nr_own)
		give_back(own[--nr_own]);
}

/* All free the same extent at once. */
static void race(unsigned int proc)
{
	static const u64 lens[] = { BLOCK, 12 * KIB, 64 * KIB, 68 * KIB, 128 * KIB, MIB, 4 * MIB,
				    3 * MIB, 5 * MIB + BLOCK, 40 * MIB };
	struct hybrid_alloc_extent e;
	unsigned int i;
	u32 reason;
	int err;

	if (proc < (unsigned int)sysconf(_SC_NPROCESSORS_ONLN))
		t_pin(proc);
	for (i = 0; i < nr_rounds; i++) {
		if (!proc) {
			if (ha_alloc(fd, lens[i % ARRAY_SIZE(lens)], 0, &e))
				t_die("ALLOC");
			sh->start = e.start;
			sh->len = e.len;
			atomic_store(&sh->won, 0);
			atomic_store(&sh->lost, 0);
			atomic_store(&sh->waiting, 0);
		}
		pthread_barrier_wait(&sh->barrier);
		/* the barrier wakes them one after the other: meet once more */
		atomic_fetch_add(&sh->waiting, 1);
		while (atomic_load(&sh->waiting) < nr_procs)
			sched_yield();
		err = ha_free(fd, sh->start, sh->len, &reason);
		if (!err)
			atomic_fetch_add(&sh->won, 1);
		else if (err == ENOENT && reason == HYBRID_ALLOC_REASON_NOT_ALLOCATED)
			atomic_fetch_add(&sh->lost, 1);
		pthread_barrier_wait(&sh->barrier);
		if (!proc && (sh->won != 1 || sh->lost != nr_procs - 1) &&
		    atomic_fetch_add(&sh->rounds_bad, 1) < 5)
			t_note("%llu bytes: %u frees of %u succeeded, %u got ENOENT", sh->len,
			       sh->won, nr_procs, sh->lost);
	}
}

static void everybody(void (*fn)(unsigned int proc), const char *what)
{
	pid_t pids[MAX_PROCS];
	unsigned int i, bad = 0;
	int status;

	fflush(stdout);
	for (i = 0; i < nr_procs; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			alarm(seconds + 300 + nr_rounds / 10);	/* not for ever, should one die */
			fn(i);
			fflush(stdout);
			_exit(0);
		}
		if (pids[i] < 0)
			t_die("fork");
	}
	for (i = 0; i < nr_procs; i++)
		bad += waitpid(pids[i], &status, 0) < 0 || status;
	t_eq(bad, 0, "%u processes %s", nr_procs, what);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "procs", required_argument, NULL, 'p' },
		{ "seconds", required_argument, NULL, 't' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "seed", required_argument, NULL, 's' },
		{ "node", required_argument, NULL, 'n' },
		{ "shared", no_argument, NULL, 'S' },
		{}
	};
	pthread_barrierattr_t attr;
	struct hybrid_alloc_stat start, st;
	struct hybrid_alloc_info info;
	const char *node = NULL;
	u64 ext, left = 0, i;
	u32 id = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		u64 v = optarg ? strtoull(optarg, NULL, 0) : 0;

		switch (c) {
		case 'p':
			nr_procs = v;
			break;
		case 't':
			seconds = v;
			break;
		case 'r':
			nr_rounds = v;
			break;
		case 's':
			t_seed = v;
			break;
		case 'n':
			node = optarg;
			break;
		case 'S':
			shared = true;
			break;
		default:
			return 2;
		}
	}
	if (nr_procs < 2 || nr_procs > MAX_PROCS)
		t_die("--procs is 2 to %d", MAX_PROCS);
	t_note("--seed %llu --procs %u", t_seed, nr_procs);
	if (node) {
		fd = open(node, O_RDWR);
		if (fd < 0)
			t_die("open %s", node);
	} else {
		ha_need_module();
		t_nullb_make("hat-hammer", (struct t_disk_opts){ .mib = DISK_MIB });
		id = ha_must_attach("/dev/hat-hammer", HYBRID_ALLOC_ATTACH_FRESH);
		fd = ha_must_open(id, O_RDWR);
	}
	if (ha_info(fd, 0, 0, &info))
		t_die("INFO");
	range_start = info.range_start;
	nr_blocks = info.range_len / BLOCK;
	start = ha_stat(fd, 0);
	sh = mmap(NULL, sizeof(*sh) + (nr_blocks / 64 + 1) * 8, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sh == MAP_FAILED)
		t_die("mmap");
	pthread_barrierattr_init(&attr);
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&sh->barrier, &attr, nr_procs);

	everybody(work, "allocate and free");
	st = ha_stat(fd, 0);
	for (i = 0; i < NR_SLOTS; i++) {
		ext = atomic_exchange(&sh->slots[i], 0);
		left += blocks_of(ext);
		if (ext)
			give_back(ext);
	}
	t_note("%u allocs, %u frees, %u of what another process allocated, %u ENOSPC",
	       sh->allocs, sh->frees, sh->foreign, sh->enospc);
	if (!shared)
		t_ok(t_identity(&st, "hammered") && st.charged == left * BLOCK,
		     "STAT is right once all is quiet");
	t_ok(sh->allocs > 1000 && sh->foreign > 100, "extents changed hands");
	t_eq(sh->overlaps, 0, "no extent was handed out twice");
	t_eq(sh->errors, 0, "no call failed but for ENOSPC");
	if (shared)
		goto out;
	t_all_back(fd, &start, "hammered");

	everybody(race, "free the same extents at once");
	t_eq(sh->rounds_bad, 0, "%u rounds: exactly one free succeeds, the others get ENOENT",
	     nr_rounds);
	t_all_back(fd, &start, "raced");
out:
	close(fd);
	if (!node) {
		t_errno(ha_detach(id, 0), 0, "DETACH");
		t_nullb_remove("hat-hammer");
	}
	return t_done();
}
