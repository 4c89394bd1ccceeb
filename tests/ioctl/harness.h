/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of the ioctl surface share: TAP, the calls as functions that
 * return 0 or a positive errno, and disks to play with.
 *
 * Every program prints TAP, its plan last, and exits with 1 when a test
 * failed. It must be root in a machine that nobody will miss: programs load
 * and unload the module (environment: MODULE, default /lib/hybrid-alloc.ko)
 * and make disks of null_blk; where one disk is enough, the first of $DISKS is
 * taken if it is large enough.
 */
#ifndef HYBRID_ALLOC_TESTS_HARNESS_H
#define HYBRID_ALLOC_TESTS_HARNESS_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../../common/random.h"
#include "../../ioctl_uapi.h"

typedef unsigned long long u64;
typedef unsigned int u32;

#define KIB		1024ULL
#define MIB		(1024 * KIB)
#define GIB		(1024 * MIB)
#define BLOCK		(4 * KIB)

#define __printf(f, a)	__attribute__((__format__(printf, f, a)))
#define __noreturn	__attribute__((__noreturn__))

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* TAP */
__printf(2, 3) bool t_ok(bool ok, const char *fmt, ...);
__printf(3, 4) bool t_eq(u64 got, u64 want, const char *fmt, ...);
__printf(3, 4) bool t_errno(int got, int want, const char *fmt, ...);
__printf(2, 3) void t_skip(const char *name, const char *fmt, ...);
__printf(1, 2) void t_note(const char *fmt, ...);
__printf(1, 2) __noreturn void t_die(const char *fmt, ...);
int t_done(void);
const char *t_strerror(int err);

/* For random_next(): $SEED, or 1. A program that uses it prints it. */
extern u64 t_seed;

/* Puts @nr items of @size bytes, 64 at most, into random order. */
void t_shuffle(void *base, size_t nr, size_t size, u64 *rng);

/* For bitmaps: the bits of word @w that belong to [start, end). */
u64 t_mask(u64 w, u64 start, u64 end);

/* Calls of one kind that a random test makes. */
struct t_count {
	const char *name;
	u64 seen, bad;
};

/* Counts a call. Returns true if it was not @ok and is one of the first few, to be noted. */
bool t_expect(struct t_count *c, bool ok);
/* A test for each: there were calls of this kind, and all were ok. */
void t_counts(const struct t_count *counts, u32 nr);

/* The calls. 0 or an errno; a result that the caller needs not may be NULL. */
int ha_ioctl(int fd, unsigned long cmd, void *arg);
int ha_alloc(int fd, u64 len, u64 align, struct hybrid_alloc_extent *ext);
int ha_alloc_flags(int fd, u64 len, u32 flags, struct hybrid_alloc_extent *ext);
int ha_free(int fd, u64 start, u64 len, u32 *reason);
int ha_alloc_batch(int fd, struct hybrid_alloc_alloc_item *items, u32 nr, u32 *nr_failed);
int ha_free_batch(int fd, struct hybrid_alloc_free_item *items, u32 nr, u32 *nr_failed);
int ha_claim(int fd, u64 start, u64 len);
int ha_claim_batch(int fd, struct hybrid_alloc_free_item *items, u32 nr, u32 *nr_failed);
int ha_free_part(int fd, u64 start, u64 len, u32 *reason);
int ha_free_parts(int fd, struct hybrid_alloc_free_item *items, u32 nr, u32 *nr_failed);
int ha_split(int fd, u64 start, u64 len, u64 at, u32 *reason);
int ha_split_batch(int fd, struct hybrid_alloc_split_item *items, u32 nr, u32 *nr_failed);
/* @ext: also out, with its new length */
int ha_extend(int fd, struct hybrid_alloc_extent *ext, u64 more, u64 least, u32 *reason);
int ha_extend_batch(int fd, struct hybrid_alloc_extend_item *items, u32 nr, u32 *nr_failed);
int ha_keep(int fd, u64 start, u64 len, u32 *reason);
int ha_keep_batch(int fd, struct hybrid_alloc_free_item *items, u32 nr, u32 *nr_failed);
int ha_alloc_many(int fd, struct hybrid_alloc_many *m, struct hybrid_alloc_extent *exts, u32 nr);
int ha_map(int fd, u64 start, u64 len, struct hybrid_alloc_map_entry *e, u32 nr, u32 *got);
int ha_map_flags(int fd, u32 flags, u64 start, u64 len, struct hybrid_alloc_map_entry *e, u32 nr,
		 u32 *got);
int ha_op(int fd, unsigned long cmd);
int ha_info(int fd, u32 flags, u32 id, struct hybrid_alloc_info *info);
int ha_stat_err(int fd, u32 flags, struct hybrid_alloc_stat *st);
struct hybrid_alloc_stat ha_stat(int fd, u32 flags);
int ha_attach(struct hybrid_alloc_attach *a, const char *disk, u32 flags, u32 *id);
int ha_detach(u32 id, u32 flags);
int ha_open(u32 id, int flags);
int ha_control(int flags);
bool ha_nothing_attached(void);

/* The same, but a failure ends the program. */
u32 ha_must_attach(const char *disk, u32 flags);
int ha_must_open(u32 id, int flags);

/* All that MAP tells; what is free side by side is one entry. A failure ends the program. */
struct t_map {
	struct hybrid_alloc_map_entry *e;
	u64 nr, max;
};

void t_read_map(int fd, struct t_map *map);

/* Refused calls change nothing: each one is compared with STAT before it, in @t_before. */
extern struct hybrid_alloc_stat t_before;
void t_remember(int fd);
bool t_refused(int got, int want, const char *what, const char *how);

/*
 * Memory that another thread makes read-only and writable again all the time,
 * so that a call may find that it cannot deliver its result. It is mapped
 * twice: @mem is for the call, @same for the test.
 */
struct t_flip {
	void *mem;
	void *same;
	size_t len;
	pthread_t thread;
	atomic_bool stop;
};

void t_flip_start(struct t_flip *flip, size_t len);
void t_flip_stop(struct t_flip *flip);

/*
 * Threads that allocate and free all the time, sizes of powers of two up to 4 MiB; they
 * free what they have when they are stopped. @aside, if there is one, is called in
 * each round.
 */
struct t_load {
	int fd;
	int nr;
	void (*aside)(u64 *rng, u64 round);
	pthread_t threads[8];
	atomic_uint started;
	atomic_bool stop;
	atomic_uint calls;
	atomic_uint odd;	/* errors that there must not be */
};

void t_load_start(struct t_load *load);
void t_load_stop(struct t_load *load);
/* pthread_join() of a 32-bit program needs a futex that some kernels lack. */
void t_join(pthread_t thread);
/* @nr of each of those sizes are allocated and freed, so that pools have some; 32 MiB at most. */
void t_fill_pools(int fd, int nr);

/* The accounting identity; *what* names the moment in a failure's note. */
bool t_identity(const struct hybrid_alloc_stat *st, const char *what);
/* Nothing changed but the counters of events. */
bool t_unchanged(const struct hybrid_alloc_stat *a, const struct hybrid_alloc_stat *b);
/*
 * With all extents freed, drains the pools. Returns NULL if all space is one free run and the
 * metadata is as at @start, or else what is wrong; @st is the state.
 */
const char *t_left(int fd, const struct hybrid_alloc_stat *start, struct hybrid_alloc_stat *st);
/* A test: nothing is left. */
bool t_all_back(int fd, const struct hybrid_alloc_stat *start, const char *what);

/* The module */
int ha_open_module(void);
int ha_insmod(const char *params);
int ha_rmmod(void);
bool ha_loaded(void);
void ha_need_module(void);

/* Disks of null_blk */
struct t_disk_opts {
	u32 mib;
	u32 blocksize;
	bool zoned;
	bool memory;
	bool discard;		/* needs memory */
	u32 delay_ms;		/* of each request */
};

void t_need_null_blk(void);
void t_nullb_make(const char *name, struct t_disk_opts o);
int t_nullb_try(const char *name, struct t_disk_opts o);
void t_nullb_power_off(const char *name);
void t_nullb_remove(const char *name);
/* The disk of scsi_debug with these parameters, once it is there: its name. */
const char *t_scsi_make(const char *params);
bool t_disk_is_free(const char *disk);
/* The first of $DISKS if it is large enough, else a new null_blk. */
const char *t_disk(const char *name, u32 mib);
u64 t_disk_size(const char *disk);

/* Files: a short string written to or read from a file of the kernel */
__printf(2, 3) int t_write(const char *path, const char *fmt, ...);
long t_read_long(const char *path);
/*
 * Fault injection by /proc/self/fail-nth, of which @fd is an open file: the @n-th chance of this
 * task to fail will, or none; was the fault delivered?
 */
void t_fail_nth(int fd, unsigned int n);
bool t_fail_delivered(int fd);
double t_now(void);
/* The module's lines in the kernel's log since the last call. */
int t_log_lines(void);
/* Those with @text in them, and how many there are of @all of these lines. */
int t_log_with(const char *text, int *all);
int t_modprobe(const char *name, const char *params);
void t_pin(unsigned int cpu);
/* A thread or process may run anywhere, although the one that made it is pinned. */
void t_unpin(void);

#endif
