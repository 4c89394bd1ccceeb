/* SPDX-License-Identifier: GPL-2.0 */
/* What the fuzzers share: with one thread, with several, and libFuzzer's. */
#ifndef _SIM_FUZZ_H
#define _SIM_FUZZ_H

#include "hybrid_sim.h"

#define MAX_BLOCKS	(1ULL << 34)	/* 64 TiB of 4 KiB */
#define FUZZ_MAX_THREADS	((NR_CPUS - 1) / 2)	/* a thread has two CPUs */

/* Choices: random numbers, or the bytes that libFuzzer generates. */
struct dice {
	u64 rng;
	const u8 *bytes;
	size_t nr_bytes;
};

static inline u64 pick(struct dice *d, u64 n)
{
	u64 v = 0, max;

	if (!d->bytes)
		return random_below(&d->rng, n);
	for (max = n - 1; n && max; max >>= 8) {
		v <<= 8;
		if (d->nr_bytes) {
			v |= *d->bytes++;
			d->nr_bytes--;
		}
	}
	return n ? v % n : 0;
}

/* Log-uniform: from 1 to less than 2^@bits. */
static inline u64 pick_log(struct dice *d, unsigned int bits)
{
	u64 n = 1ULL << pick(d, bits);

	return n + pick(d, n);
}

/* Number of operations, by kind and result. */
struct fuzz_count {
	u64 ops;
	u64 cuts, splits, extends;
	u64 allocs, uptos, frees, claims, holds, grows, loads, looks, checks;
	u64 duels;		/* extents that two threads freed at the same time */
	u64 enospc, false_enospc;
	u64 again;		/* EAGAIN: would have had to wait */
	u64 faults;		/* memory allocations that failed on purpose */
	u64 enomem;		/* operations that failed because of that */
	u64 exists;		/* refused claims */
	u64 reserves, reserved_allocs;
	u64 reserved_refusals;	/* calls that were refused because of reservations */
	u64 refused[HYBRID_ALLOC_REASON_COUNT];
};

struct fuzzer {
	struct dice dice;
	u64 seed;		/* 0: bytes */
	unsigned int threads;
	struct hapool pool;
	struct haslab_config cfg;
	long metadata;		/* at the start */
	u64 percpu;		/* at the start */
	long objects;		/* of memory, before the start */
	bool grow_failed;	/* for lack of memory */
	struct ledger *ledger;
	struct extent held;	/* if len: held, and in the ledger */
	u64 reserved;		/* blocks in reservations */
	struct fuzz_count count;
	u64 refused[HYBRID_ALLOC_REASON_COUNT];	/* before the allocator was made */
	u64 reserved_refusals;	/* likewise */
};

/*
 * Memory allocations fail now and then: one in @every of those that may not wait, or of
 * all. A free must not allocate memory at all.
 */
struct fuzz_faults {
	u32 every;		/* 0: never */
	bool all;
};

extern struct fuzz_faults fuzz_faults;
extern __thread bool fuzz_is_freeing;
extern __thread u64 fuzz_nr_faults;
void fuzz_draw_faults(struct dice *d, bool all);
void fuzz_begin_thread(u64 seed, int cpu);

/* Prints what is wrong and how to repeat it; does not return. */
void __attribute__((noreturn, format(printf, 2, 3)))
fuzz_wrong(struct fuzzer *z, const char *format, ...);

/* hapool_free(), which must not allocate memory. */
int fuzz_free(struct fuzzer *z, u64 start, u64 len, enum hybrid_alloc_reason *reason);

void fuzz_begin(struct fuzzer *z);
void fuzz_end(struct fuzzer *z);
void fuzz_compare(struct fuzzer *z, bool drained);
#define FUZZ_MIXES	7
#define FUZZ_MIX_USUAL	3	/* up to twice the usual length */
u64 fuzz_len(struct dice *d, unsigned int mix, u64 usual, u64 size);

static inline u64 fuzz_size(const struct fuzzer *z)
{
	return z->cfg.nr_blocks - z->cfg.first_block;
}

/*
 * A search that fails, and a check, visit each 4 GiB of a device. MAX_LOOKS limits these
 * visits for each seed, or the largest devices would take nearly all of the time.
 */
#define LOOK_BLOCKS	(1ULL << 20)
#define MAX_LOOKS	(1ULL << 18)

static inline bool fuzz_has_looked_enough(const struct fuzzer *z)
{
	return (z->count.enospc + z->count.checks) * (fuzz_size(z) / LOOK_BLOCKS) > MAX_LOOKS;
}

/* Adds the counts of @c to @sum. */
void fuzz_count_add(struct fuzz_count *sum, const struct fuzz_count *c);

u64 fuzz_draw_ops(struct dice *d);

/* Does @ops operations on one device, or fewer if the seed says so. */
void fuzz_one(struct fuzzer *z, u64 ops);
void fuzz_threads(struct fuzzer *z, u64 ops);

/* With threads: what the threads of a seed mostly do, by name. */
bool fuzz_has_situation(const char *name);

#endif
