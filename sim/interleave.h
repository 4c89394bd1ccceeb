/* SPDX-License-Identifier: GPL-2.0 */
/* hybrid-sim interleave: what its two halves share, and what hybrid_sim.c hands over. */
#ifndef _SIM_INTERLEAVE_H
#define _SIM_INTERLEAVE_H

#include <stdbool.h>
#include <linux/types.h>

/* The options of the command. */
struct interleave_options {
	/* "all", "parts", "hand" or "SEED,COUNT"; NULL: all, if @depth is 0 */
	const char *programs;
	const char *device;	/* for all programs and the sequences; NULL: each */
	const char *replay;	/* or NULL */
	unsigned int preemptions;
	unsigned int threads;
	unsigned int ops;	/* of each thread */
	unsigned int depth;	/* of the sequences; 0: none */
};

/* 0: nothing wrong; 1: a violation, or it cannot be repeated; 2: the options are wrong. */
int interleave(const struct interleave_options *options) __attribute__((weak));

#endif
