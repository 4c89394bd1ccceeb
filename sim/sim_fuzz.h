/* SPDX-License-Identifier: GPL-2.0 */
/* What the fuzzers share: one thread, several, and libFuzzer's. */
#ifndef _SIM_FUZZ_H
#define _SIM_FUZZ_H

#include "hybrid_sim.h"

#define MAX_BLOCKS	(1ULL << 34)	/* 64 TiB of 4 KiB */

/* What was done, over all seeds. */
struct fuzz_count {
	u64 ops;
	u64 allocs, frees, claims, holds, grows, looks, checks;
	u64 enospc, false_enospc;
	u64 again;		/* would have had to wait */
	u64 exists;		/* claims refused */
	u64 refused[HYBRID_ALLOC_REASON_COUNT];
};

struct fuzzer {
	/* choices: random numbers, or the bytes that libFuzzer makes up */
	struct rng rng;
	const u8 *bytes;
	size_t nr_bytes;

	u64 seed;
	unsigned int threads;
	struct hapool pool;
	struct haslab_config cfg;
	long metadata;		/* at the start */
	long objects;		/* before that */
	struct ledger *ledger;
	struct extent held;	/* if len: in the ledger, but nobody's */
	struct fuzz_count count;
};

static inline u64 pick(struct fuzzer *z, u64 n)
{
	u64 v = 0, max;

	if (!z->bytes)
		return rng_below(&z->rng, n);
	for (max = n - 1; n && max; max >>= 8) {
		v <<= 8;
		if (z->nr_bytes) {
			v |= *z->bytes++;
			z->nr_bytes--;
		}
	}
	return n ? v % n : 0;
}

/* Log-uniform: from 1 to less than 2^@bits. */
static inline u64 pick_log(struct fuzzer *z, unsigned int bits)
{
	u64 n = 1ULL << pick(z, bits);

	return n + pick(z, n);
}

/* Says what is wrong and how to get there again; does not return. */
void __attribute__((noreturn, format(printf, 2, 3)))
fuzz_wrong(struct fuzzer *z, const char *format, ...);

void fuzz_begin(struct fuzzer *z);
void fuzz_end(struct fuzzer *z);
void fuzz_compare(struct fuzzer *z, bool drained);
u64 fuzz_len(struct fuzzer *z, unsigned int mix, u64 usual);
#define FUZZ_MIXES	7

/* Operations on one device until @ops are done; fewer if the seed has it so. */
void fuzz_one(struct fuzzer *z, u64 ops);
void fuzz_threads(struct fuzzer *z, u64 ops);

#endif
