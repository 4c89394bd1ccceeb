// SPDX-License-Identifier: GPL-2.0
/*
 * hybrid-sim advise: what a disk will hold of the user's trace, before it is bought, and the
 * smallest one that refuses nothing; beside best fit and first fit, one record each.
 *
 * A larger disk may refuse what a smaller one does not: extents come to lie in other places. So
 * "smallest" is what a bisection finds: this disk refuses nothing, one of a MiB less does.
 */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "replay.h"

#define STEP		256ULL		/* blocks: a MiB */
#define MAX_STEPS	(1ULL << 32)	/* 4 PiB */

/* ---- progress ---- */

static time_t begun;
static bool shown;

/* On a terminal, once it has taken more than a second. */
static void progress(u64 nr_blocks, const char *name)
{
	if (time(NULL) - begun < 2 || !isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\radvise: %s on a disk of %llu MiB, %lld s\033[K", name, nr_blocks / STEP,
		(long long)(time(NULL) - begun));
	shown = true;
}

static void progress_end(void)
{
	if (shown)
		fprintf(stderr, "\r\033[K");
	shown = false;
}

/* ---- the smallest disk ---- */

/* What a cut leaves. */
static void change_least(const struct op *op, struct extent *live, u64 *used)
{
	struct extent *e = &live[op->id], part, none = {};

	/* an extension may be refused, and a disk need not have room for it */
	if (op->kind != CUT || !trace_cut(op, e, &part) || !part.len)
		return;
	*used -= part.len;
	trace_cut_done(e, &part, op->tail ? &live[op->tail - 1] : &none);
}

/* The most blocks that are live at once, if each allocation gets the least that will do. */
static u64 peak_of(const struct trace *trace)
{
	struct extent *live = need(calloc(trace->nr_ids + 1, sizeof(*live))), *e;
	u64 used = 0, peak = 0;
	const struct op *op;

	for (op = trace->ops; op < trace->ops + trace->nr; op++) {
		e = &live[op->id];
		if (op_changes(op))
			change_least(op, live, &used);
		/* again after a refusal: see trace_pack() */
		if (op_reserves(op) || op_changes(op) || (e->len && op->len))
			continue;
		used += op->min - e->len;
		e->len = op->min;
		peak = max(peak, used);
	}
	free(live);
	return peak;
}

static bool suffices(const struct trace *trace, u64 steps, enum reference_policy policy,
		     const char *name)
{
	progress(steps * STEP, name);
	return !trace_pack(trace, steps * STEP, policy, true).failed;
}

/* In blocks; 0: there is none up to MAX_STEPS. */
static u64 smallest(const struct trace *trace, u64 peak, enum reference_policy policy,
		    const char *name)
{
	/* in steps; less than the peak is not enough */
	u64 high = max(DIV_ROUND_UP(peak, STEP), 1ULL), low = high - 1, more = 1, middle;

	for (; high <= MAX_STEPS && !suffices(trace, high, policy, name); more *= 2) {
		low = high;
		high += more;
	}
	if (high > MAX_STEPS)
		return 0;
	while (high - low > 1) {
		middle = low + (high - low) / 2;
		if (suffices(trace, middle, policy, name))
			high = middle;
		else
			low = middle;
	}
	return high * STEP;
}

/* ---- the answer ---- */

static bool report(const struct trace *trace, u64 peak, enum reference_policy policy,
		   const char *name)
{
	u64 nr_blocks = capacity >> BLOCK_SHIFT, least;
	struct result res;

	progress(nr_blocks, name);
	res = policy ? trace_pack(trace, nr_blocks, policy, false) :
		       trace_run(trace, nr_blocks, true);
	least = smallest(trace, peak, policy, name);
	progress_end();

	out_begin();
	out_string("allocator", name);
	out_u64("capacity_bytes", nr_blocks << BLOCK_SHIFT);
	out_u64("allocs", res.allocs);
	report_failures(&res);
	out_double("max_fill", res.max_fill, 5);
	if (least)
		out_u64("smallest_bytes", least << BLOCK_SHIFT);
	else
		out_null("smallest_bytes");
	out_string("ledger", res.wrong ?: "ok");
	out_end();
	return !res.wrong && !res.false_enospc;
}

int advise(const char *path)
{
	struct trace trace = {};
	u64 peak;
	bool ok;

	begun = time(NULL);
	if (!trace_read(&trace, path)) {
		free(trace.ops);
		return 2;
	}
	peak = peak_of(&trace);
	ok = report(&trace, peak, NO_REFERENCE, "hybrid_alloc");
	report(&trace, peak, BEST_FIT, "best-fit");
	report(&trace, peak, FIRST_FIT, "first-fit");
	free(trace.ops);
	return !ok;
}
