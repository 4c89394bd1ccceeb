// SPDX-License-Identifier: GPL-2.0
/*
 * Runs stress10t and churn-u4m on sebbbi's OffsetAllocator, as sim/sim_bench.c does on
 * hybrid_alloc: with the same sizes and the same frees, in the same order. See "run" in
 * this directory. Prints the times as JSON, in the format of hybrid-sim.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "common/random.h"
#include "offsetAllocator.hpp"

static const uint32_t TIB = 1 << 28, MAX_LEN = 1024;	/* in blocks of 4 KiB */
static const uint32_t MAX_EXTENTS = 1 << 21;
static const unsigned int AHEAD = 16, PAIRS = 1000000;

struct extent {
	OffsetAllocator::Allocation at;
	uint32_t len;
};

static OffsetAllocator::Allocator *allocator;
static std::vector<extent> live;
static uint64_t used;
static unsigned long long rng;

static uint64_t cpu_ns()
{
	timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static double cas_ns()
{
	unsigned long word = 0;
	double best = 0;

	for (int round = 0; round < 5; round++) {
		uint64_t t = cpu_ns();

		for (unsigned long i = 0; i < 1000000; i++) {
			unsigned long old = i;

			__atomic_compare_exchange_n(&word, &old, old + 1, false, __ATOMIC_SEQ_CST,
						    __ATOMIC_SEQ_CST);
		}
		double ns = (cpu_ns() - t) / 1e6;

		if (!best || ns < best)
			best = ns;
	}
	return best;
}

static void start(uint64_t seed)
{
	delete allocator;
	allocator = new OffsetAllocator::Allocator(TIB, MAX_EXTENTS);
	live.clear();
	used = 0;
	rng = seed;
}

static bool alloc()
{
	uint32_t len = 1 + random_below(&rng, MAX_LEN);
	OffsetAllocator::Allocation at = allocator->allocate(len);

	if (at.offset == OffsetAllocator::Allocation::NO_SPACE)
		return false;
	live.push_back({ at, len });
	used += len;
	return true;
}

static extent take(uint64_t i)
{
	extent e = live[i];

	live[i] = live.back();
	live.pop_back();
	used -= e.len;
	return e;
}

/* Return: whether an allocation failed. */
static bool fill_up(uint64_t *asked, uint64_t limit)
{
	while (*asked < limit) {
		uint64_t before = used;

		if (!alloc())
			return true;
		*asked += used - before;
	}
	return false;
}

static void stress10t(uint64_t seed)
{
	uint64_t asked = 0, alloc_ns = 0, free_ns = 0, allocs = 0, frees = 0, fills = 0;
	double fill = 0;

	start(seed);
	for (;;) {
		uint64_t t = cpu_ns(), n = live.size();
		bool full = fill_up(&asked, 10ULL * TIB);

		alloc_ns += cpu_ns() - t;
		allocs += live.size() - n + full;
		if (full) {
			fill += (double)used / TIB;
			fills++;
		}
		if (asked >= 10ULL * TIB)
			break;

		std::vector<extent> gone(live.size() * (300 + random_below(&rng, 201)) / 1000);

		for (extent &e : gone)
			e = take(random_below(&rng, live.size()));
		t = cpu_ns();
		for (const extent &e : gone)
			allocator->free(e.at);
		free_ns += cpu_ns() - t;
		frees += gone.size();
	}
	printf("{\"workload\": \"stress10t\", \"seed\": %llu, \"cas_ns\": %.2f, \"ns_per_alloc\": %.1f, "
	       "\"ns_per_free\": %.1f, \"fill_at_enospc_mean\": %.5f}\n", (unsigned long long)seed,
	       cas_ns(), (double)alloc_ns / allocs, (double)free_ns / frees, fill / fills);
}

static void churn_pairs()
{
	uint64_t next[AHEAD];

	for (uint64_t &n : next)
		n = random_below(&rng, live.size());
	for (unsigned int i = 0; i < PAIRS; i++) {
		uint64_t victim = next[i % AHEAD];

		next[i % AHEAD] = random_below(&rng, live.size());
		__builtin_prefetch(&live[next[i % AHEAD]], 1);
		allocator->free(take(victim).at);
		if (!alloc()) {
			fprintf(stderr, "offset_allocator: an allocation failed at 80 %% fill\n");
			exit(1);
		}
	}
}

static void churn_u4m(uint64_t seed)
{
	uint64_t asked = 0, t;

	start(seed);
	fill_up(&asked, TIB / 5 * 4);
	churn_pairs();
	t = cpu_ns();
	churn_pairs();
	printf("{\"workload\": \"churn-u4m\", \"seed\": %llu, \"cas_ns\": %.2f, \"ns_per_pair\": %.1f}\n",
	       (unsigned long long)seed, cas_ns(), (double)(cpu_ns() - t) / PAIRS);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], nullptr, 0) : 1;

	live.reserve(MAX_EXTENTS);
	stress10t(seed);
	churn_u4m(seed);
	return 0;
}
