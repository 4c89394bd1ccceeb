/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The random generator of the simulator, the tests and the benchmarks: splitmix64
 * (Steele, Lea and Flood 2014). A seed names the whole sequence, on every machine.
 */
#ifndef HYBRID_ALLOC_COMMON_RANDOM_H
#define HYBRID_ALLOC_COMMON_RANDOM_H

/**
 * random_next - the next number of a sequence
 * @state: the sequence; to begin with, the seed
 *
 * Return: 64 random bits.
 */
static inline unsigned long long random_next(unsigned long long *state)
{
	unsigned long long z = (*state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

#endif
