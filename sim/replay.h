/* SPDX-License-Identifier: GPL-2.0 */
/* Traces of the user, and what became of them: for replay and advise. */
#ifndef _SIM_REPLAY_H
#define _SIM_REPLAY_H

#include "hybrid_sim.h"

struct op {
	u64 len;		/* blocks; 0: free */
	enum { PLAIN, RESERVED, RESERVE, UNRESERVE, CUT, EXTEND } kind;
	union {
		u64 min;	/* so many will do */
		u64 offset;	/* CUT: in blocks */
	};
	union {
		u64 align;	/* blocks */
		u64 tail;	/* CUT: the number of its ID, from 1; 0: none */
	};
	u32 id;			/* its number */
	u32 line;
};

/* Whether it makes no extent and frees none. */
static inline bool op_reserves(const struct op *op)
{
	return op->kind == RESERVE || op->kind == UNRESERVE;
}

/* Whether it changes an extent that there is. */
static inline bool op_changes(const struct op *op)
{
	return op->kind == CUT || op->kind == EXTEND;
}

struct trace {
	const char *path;
	struct op *ops;
	u64 nr, max;
	u32 nr_ids;
	bool reserves;		/* it has lines that reserve */
	bool changes;		/* it has lines that change extents */
};

struct result {
	u64 allocs, frees, failed, false_enospc;
	u64 failed_blocks;	/* not of the run that is measured */
	u64 reserves, reserved_refusals;
	u64 cuts, extends, failed_extends;
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
 * the lines, without what they reserve; up to the first allocation that is refused if @stop. An
 * allocation of an ID that is live is skipped: where the trace comes from it followed a refusal.
 */
struct result trace_pack(const struct trace *trace, u64 nr_blocks, enum reference_policy policy,
			 bool stop);

/*
 * What a cut frees of an extent that is as long as it was when the trace was made, or shorter: of
 * nothing, nothing. Return: false if something would stay on both sides, and has no ID.
 */
bool trace_cut(const struct op *op, const struct extent *e, struct extent *part);
/* What stays of @e, and behind the part. */
void trace_cut_done(struct extent *e, const struct extent *part, struct extent *tail);

/* The fields that replay and advise share. */
void report_failures(const struct result *res);

#endif
