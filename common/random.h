/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The random generator of the simulator, the tests and the benchmarks: splitmix64
 * (Steele, Lea and Flood 2014). The same seed gives the same sequence on every machine.
 */
#ifndef HYBRID_ALLOC_COMMON_RANDOM_H
#define HYBRID_ALLOC_COMMON_RANDOM_H

/**
 * random_next - the next number of a sequence
 * @state: the sequence; initially, the seed
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

/**
 * random_below - a random number from 0 to @n - 1
 * @state: the sequence
 * @n: the bound; one of more than 32 bits costs a 64-bit division
 *
 * Return: the number; 0 if @n is 0 or 1.
 */
static inline unsigned long long random_below(unsigned long long *state, unsigned long long n)
{
	unsigned long long r = random_next(state);

	return n >> 32 ? r % n : (r >> 32) * n >> 32;
}

#endif
