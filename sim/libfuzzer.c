// SPDX-License-Identifier: GPL-2.0
/*
 * The operations of hybrid-sim fuzz, chosen by clang's libFuzzer: it generates the bytes
 * that replace the random numbers, and keeps those that reach new code. See
 * tests/fuzz/run.
 */
#include <stdlib.h>

#include "sim_fuzz.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzzer *z;

	if (!size)
		return 0;
	z = calloc(1, sizeof(*z));
	z->dice.bytes = data;
	z->dice.nr_bytes = size;
	z->threads = 1;
	fuzz_one(z, U64_MAX);
	free(z);
	return 0;
}
