/* SPDX-License-Identifier: GPL-2.0 */
/* Traces of the user, and what became of them: for replay and advise. */
#ifndef _SIM_REPLAY_H
#define _SIM_REPLAY_H

#include "hybrid_sim.h"

struct op {
	u64 len;		/* blocks; 0: free */
	u64 min;		/* so many will do */
	enum { PLAIN, RESERVED, RESERVE, UNRESERVE } kind;
	u64 align;		/* blocks */
	u32 id;			/* its number */
	u32 line;
};

/* Whether it makes no extent and frees none. */
static inline bool op_reserves(const struct op *op)
{
	return op->kind == RESERVE || op->kind == UNRESERVE;
}

struct trace {
	const char *path;
	struct op *ops;
	u64 nr, max;
	u32 nr_ids;
	bool reserves;		/* it has lines that reserve */
};

struct result {
	u64 allocs, frees, failed, false_enospc;
	u64 failed_blocks;	/* not of the run that is measured */
	u64 reserves, reserved_refusals;
	u64 first_failure;	/* number of the operation, from 1; 0: none */
	double first_fill, max_fill;
	u64 ns, max_op_ns, metadata_peak;
	u64 largest, nr_runs;
	const char *wrong;
};

/* "-" is standard input. False after a complaint. The caller frees the operations. */
bool trace_read(struct trace *t, const char *path);
/* Runs a trace on the allocator, with the ledger or, to be measured, without. */
struct result trace_run(const struct trace *trace, u64 nr_blocks, bool checked);
/*
 * The same, without a ledger, on a reference, or on the allocator (NO_REFERENCE), in the order of
 * the lines, without what they reserve; up to the first refusal if @stop. An allocation of an ID
 * that is live is skipped: where the trace comes from it followed a refusal.
 */
struct result trace_pack(const struct trace *trace, u64 nr_blocks, enum reference_policy policy,
			 bool stop);

/* The fields that replay and advise share. */
void report_failures(const struct result *res);

#endif
