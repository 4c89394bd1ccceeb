// SPDX-License-Identifier: GPL-2.0
/*
 * replay: runs a trace on the real module.
 *
 * The order of the trace is kept. Consecutive allocations are batched in one call, and so
 * are consecutive frees; a single operation uses the call for one extent.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hybridctl.h"
#include "common/trace.h"

/* An ID of the trace */
struct slot {
	__u64 start, len;	/* len 0: not live */
	bool pending;		/* in the next call */
};

struct replay {
	const struct command *cmd;
	const char *path, *name;	/* of the node, of the trace */
	int fd;
	int status;
	bool stopped;
	struct trace_reader trace;

	struct slot *slots;
	__u32 nr_slots;

	/* The next call: max_items at most, all frees or all allocations */
	__u32 max_items, nr;
	bool freeing, reserved;
	__u64 min;			/* of an allocation that is alone; 0: its length */
	__u32 slot_of[HYBRID_ALLOC_MAX_ITEMS];
	struct hybrid_alloc_alloc_item allocs[HYBRID_ALLOC_MAX_ITEMS];
	struct hybrid_alloc_free_item frees[HYBRID_ALLOC_MAX_ITEMS];

	/* Results */
	__u64 nr_allocs, nr_frees, nr_failed, nr_calls, first_failure, ns, max_call_ns;
	__u64 nr_cuts, nr_extends, nr_failed_extends;
	__u64 live, max_live, first_live;	/* bytes, those of other callers included */
};

static __u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* Accounts a call that began at @begun and returned @ret, a negative errno. Return: the errno */
static int account_call(struct replay *r, __u64 begun, int ret)
{
	__u64 ns = now_ns() - begun;

	r->ns += ns;
	r->max_call_ns = ns > r->max_call_ns ? ns : r->max_call_ns;
	r->nr_calls++;
	return -ret;
}

/* Calls */

static int call_alone(struct replay *r)
{
	struct hybrid_alloc_alloc_item *item = &r->allocs[0];
	struct hybrid_alloc_alloc a = {
		.size = sizeof(a), .len = item->len, .align = item->align, .min = r->min,
		.flags = r->reserved ? HYBRID_ALLOC_ALLOC_RESERVED : 0,
	};
	struct hybrid_alloc_free_item *free = &r->frees[0];
	__u64 begun = now_ns();

	if (r->freeing) {
		free->error = account_call(r, begun, hybrid_alloc_free_extent(r->fd, &free->extent,
									      &free->reason));
	} else {
		item->error = account_call(r, begun, hybrid_alloc_alloc_request(r->fd, &a));
		item->extent = a.extent;
	}
	return 0;
}

static int call_batch(struct replay *r, __u32 *done)
{
	struct hybrid_alloc_batch batch = {
		.size = sizeof(batch),
		.flags = !r->freeing && r->reserved ? HYBRID_ALLOC_ALLOC_RESERVED : 0,
		.nr = r->nr,
		.item_size = r->freeing ? sizeof(r->frees[0]) : sizeof(r->allocs[0]),
	};
	__u64 begun = now_ns();
	int err = account_call(r, begun,
			       r->freeing ? hybrid_alloc_free_batch(r->fd, r->frees, &batch) :
					    hybrid_alloc_alloc_batch(r->fd, r->allocs, &batch));

	/* An ALLOC_BATCH that fails has allocated nothing. */
	*done = err && !r->freeing ? 0 : batch.nr_done;
	return err;
}

static void stop(struct replay *r, char *explanation)
{
	r->status = failed(explanation);
	r->stopped = true;
}

static __u64 nr_ops(const struct replay *r)
{
	return r->nr_allocs + r->nr_frees + r->nr_cuts + r->nr_extends;
}

static void note_failure(struct replay *r)
{
	if (r->nr_failed++)
		return;
	r->first_failure = nr_ops(r);
	r->first_live = r->live;
}

static void note_alloc(struct replay *r, const struct hybrid_alloc_alloc_item *item,
		       struct slot *slot)
{
	r->nr_allocs++;
	if (!item->error) {
		slot->start = item->extent.start;
		slot->len = item->extent.len;
		r->live += slot->len;
		r->max_live = r->live > r->max_live ? r->live : r->max_live;
		return;
	}
	note_failure(r);
	/* less is reserved than it takes: a line that was to reserve it was refused */
	if (r->reserved && item->error == EINVAL)
		return;
	if (item->error != ENOSPC && item->error != EFBIG && !r->stopped)
		stop(r, explain("alloc", item->error, 0, r->path, "allocate %llu bytes",
				item->len));
}

static void note_free(struct replay *r, const struct hybrid_alloc_free_item *item,
		      struct slot *slot)
{
	r->nr_frees++;
	if (item->error && !r->stopped)
		stop(r, explain("free", item->error, item->reason, r->path, "free %llu:%llu",
				slot->start, slot->len));
	r->live -= slot->len;
	slot->len = 0;
}

/* Makes the next call. */
static void flush(struct replay *r)
{
	__u32 done = r->nr;
	int err;

	if (!r->nr)
		return;
	err = r->nr == 1 ? call_alone(r) : call_batch(r, &done);
	for (__u32 i = 0; i < r->nr; i++) {
		struct slot *slot = &r->slots[r->slot_of[i]];

		slot->pending = false;
		if (i >= done)
			continue;
		if (r->freeing)
			note_free(r, &r->frees[i], slot);
		else
			note_alloc(r, &r->allocs[i], slot);
	}
	r->nr = 0;
	if (err)
		stop(r, explain(r->freeing ? "free" : "alloc", err, 0, r->path,
				"continue at line %llu of %s", r->trace.line, r->name));
}

/* Drops the next call. */
static void drop(struct replay *r)
{
	while (r->nr)
		r->slots[r->slot_of[--r->nr]].pending = false;
}

static void add_alloc(struct replay *r, const struct trace_op *op)
{
	bool alone = op->min < op->size;

	if (r->freeing || r->reserved != !!op->reserved || r->nr >= r->max_items || alone)
		flush(r);
	r->freeing = false;
	r->reserved = op->reserved;
	r->slots[op->number].pending = true;
	r->slot_of[r->nr] = op->number;
	r->allocs[r->nr++] = (struct hybrid_alloc_alloc_item){
		.len = op->size, .align = op->align,
	};
	if (!alone)
		return;
	/* a batch has no shortest length */
	r->min = op->min;
	flush(r);
	r->min = 0;
}

/* A refusal counts as that of an allocation. What is given back is no more than there is. */
static void reserve(struct replay *r, const struct trace_op *op)
{
	struct hybrid_alloc_reserve res = { .size = sizeof(res) };
	__u64 begun = now_ns();
	int err;

	flush(r);
	if (r->stopped)
		return;
	if (op->kind == TRACE_RESERVE) {
		res.len = op->size;
		err = account_call(r, begun, hybrid_alloc_reserve_space(r->fd, &res));
		if (err == ENOSPC)
			note_failure(r);
	} else {
		err = -hybrid_alloc_unreserve_space(r->fd, &res);
		res.len = res.reserved < op->size ? res.reserved : op->size;
		if (!err)
			err = account_call(r, begun, hybrid_alloc_unreserve_space(r->fd, &res));
	}
	if (err && err != ENOSPC)
		stop(r, explain("reserve", err, 0, r->path, "reserve %llu bytes", op->size));
}

static void add_free(struct replay *r, __u32 slot)
{
	struct slot *s = &r->slots[slot];

	if (!r->freeing || s->pending || r->nr >= r->max_items)
		flush(r);
	/* The allocation may have failed. */
	if (!s->len || r->stopped)
		return;
	r->freeing = true;
	s->pending = true;
	r->slot_of[r->nr] = slot;
	r->frees[r->nr++] = (struct hybrid_alloc_free_item){
		.extent = { .start = s->start, .len = s->len },
	};
}

/* The trace */

static struct slot *slot_of(struct replay *r, __u32 number)
{
	if (number >= r->nr_slots) {
		__u32 nr = 2 * number + 64;

		r->slots = must(reallocarray(r->slots, nr, sizeof(*r->slots)));
		memset(r->slots + r->nr_slots, 0, (nr - r->nr_slots) * sizeof(*r->slots));
		r->nr_slots = nr;
	}
	return &r->slots[number];
}

static void bad_line(struct replay *r, const char *wrong)
{
	stop(r, text("%s, line %llu: %s. Fix the trace", r->name, r->trace.line, wrong));
}

/* Free a part; what stays on both sides becomes two extents. */
static void cut(struct replay *r, const struct trace_op *op)
{
	/* first, as it may move the slots */
	struct slot *tail = op->has_tail ? slot_of(r, op->tail) : NULL;
	struct slot *slot = slot_of(r, op->number);
	__u64 offset = op->offset, len = op->size, end = slot->start + slot->len, begun;
	struct hybrid_alloc_extent part;
	__u32 reason;
	int err;

	if (!trace_clip(slot->len, op->has_tail, &offset, &len)) {
		bad_line(r, "the extent has blocks on both sides of the part; give a NEWID for "
			 "those behind it");
		return;
	}
	if (!len)
		return;
	if (tail && tail->len) {
		bad_line(r, "the NEWID is allocated already; free it first");
		return;
	}
	part = (struct hybrid_alloc_extent){ .start = slot->start + offset, .len = len };
	begun = now_ns();
	err = account_call(r, begun, hybrid_alloc_free_part(r->fd, &part, &reason));
	if (err) {
		stop(r, explain("free", err, reason, r->path, "free %llu:%llu", part.start, len));
		return;
	}
	r->nr_cuts++;
	r->live -= len;
	slot->len = offset;
	if (offset && tail)
		*tail = (struct slot){ .start = part.start + len, .len = end - part.start - len };
	if (!offset)
		*slot = (struct slot){ .start = part.start + len, .len = end - part.start - len };
}

static void extend(struct replay *r, const struct trace_op *op)
{
	struct slot *slot = slot_of(r, op->number);
	struct hybrid_alloc_extent e = { .start = slot->start, .len = slot->len };
	__u64 begun = now_ns();
	__u32 reason;
	int err;

	/* its allocation may have failed */
	if (!slot->len)
		return;
	err = account_call(r, begun, hybrid_alloc_extend_extent(r->fd, &e, op->size, 0, &reason));
	r->nr_extends++;
	r->nr_failed_extends += !!err;
	if (err && err != ENOSPC && err != EFBIG) {
		stop(r, explain("extend", err, reason, r->path, "extend %llu:%llu by %llu",
				slot->start, slot->len, op->size));
		return;
	}
	if (err)
		return;
	/* in whole blocks, which may be larger than those of the trace */
	r->live += e.len - slot->len;
	slot->len = e.len;
	r->max_live = r->live > r->max_live ? r->live : r->max_live;
}

static void run_op(struct replay *r, const struct trace_op *op)
{
	struct slot *slot = slot_of(r, op->number);
	char *wrong;

	if (op->kind == TRACE_RESERVE || op->kind == TRACE_UNRESERVE) {
		reserve(r, op);
		return;
	}
	if (op->kind == TRACE_FREE) {
		add_free(r, op->number);
		return;
	}
	if (op->kind == TRACE_CUT || op->kind == TRACE_EXTEND) {
		flush(r);
		if (!r->stopped)
			op->kind == TRACE_CUT ? cut(r, op) : extend(r, op);
		return;
	}
	if (slot->pending)
		flush(r);
	if (r->stopped)
		return;
	if (!slot->len) {
		add_alloc(r, op);
		return;
	}
	wrong = text("ID '%llu' is allocated already", op->id);
	bad_line(r, wrong);
	free(wrong);
}

static void read_trace(struct replay *r, FILE *in)
{
	struct progress *progress = progress_start(r->cmd->name, "operations", in);
	struct trace_op op;

	r->trace.in = in;
	while (!r->stopped && !interrupted) {
		const char *wrong = trace_next(&r->trace, &op);

		if (wrong) {
			bad_line(r, wrong);
			break;
		}
		if (op.kind == TRACE_END)
			break;
		run_op(r, &op);
		progress_step(progress, 1);
	}
	if (ferror(in) && !interrupted)
		stop(r, explain("file", errno, 0, NULL, "read %s", r->name));
	if (r->stopped)
		drop(r);
	else
		flush(r);
	progress_end(progress);
}

/* The end */

static int by_start(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Among the extents that are live at the end. Sorts the slots. */
static __u64 count_overlaps(struct replay *r)
{
	__u64 end = 0, nr = 0;

	qsort(r->slots, r->nr_slots, sizeof(*r->slots), by_start);
	for (__u32 i = 0; i < r->nr_slots; i++) {
		if (!r->slots[i].len)
			continue;
		nr += r->slots[i].start < end;
		end = r->slots[i].start + r->slots[i].len;
	}
	return nr;
}

static void free_all(struct replay *r)
{
	bool stopped = r->stopped;
	__u64 left = 0;

	/* The error that stopped the trace need not affect the frees. */
	r->stopped = false;
	for (__u32 i = 0; i < r->nr_slots && !r->stopped; i++)
		add_free(r, i);
	flush(r);
	for (__u32 i = 0; i < r->nr_slots; i++)
		left += !!r->slots[i].len;
	r->stopped |= stopped;
	if (left)
		complain("%llu extents of the trace could not be freed; `hybridctl dump %s` lists "
			 "all extents", left, r->path);
}

enum {
	REPLAY_NODE, REPLAY_CAPACITY, REPLAY_OPS, REPLAY_ALLOCS, REPLAY_FREES, REPLAY_CUTS,
	REPLAY_EXTENDS, REPLAY_FAILED_EXTENDS, REPLAY_FAILED, REPLAY_FIRST_FAILURE,
	REPLAY_FIRST_FILL, REPLAY_MAX_FILL, REPLAY_CALLS, REPLAY_NS, REPLAY_MAX_CALL_NS,
	REPLAY_METADATA, REPLAY_LARGEST, REPLAY_RUNS, REPLAY_LIVE, REPLAY_OVERLAPS, NR_REPLAY
};

static const struct column replay_columns[NR_REPLAY] = {
	[REPLAY_NODE] = { "NODE", COLUMN_TEXT, IN_ALL, "device node of the instance" },
	[REPLAY_CAPACITY] = { "CAPACITY", COLUMN_SIZE, IN_ALL, "the managed range" },
	[REPLAY_OPS] = { "OPS", COLUMN_NUMBER, IN_ALL, "operations of the trace that were run" },
	[REPLAY_ALLOCS] = { "ALLOCS", COLUMN_NUMBER, IN_ALL, "allocations among them" },
	[REPLAY_FREES] = { "FREES", COLUMN_NUMBER, IN_ALL, "frees among them" },
	[REPLAY_CUTS] = { "CUTS", COLUMN_NUMBER, IN_ALL, "frees of a part" },
	[REPLAY_EXTENDS] = { "EXTENDS", COLUMN_NUMBER, IN_ALL, "extensions among them" },
	[REPLAY_FAILED_EXTENDS] = { "FAILED_EXTENDS", COLUMN_NUMBER, IN_ALL,
		"extensions that failed because what follows is not free" },
	[REPLAY_FAILED] = { "FAILED_ALLOCS", COLUMN_NUMBER, IN_ALL,
		"allocations that failed for lack of space" },
	[REPLAY_FIRST_FAILURE] = { "FIRST_FAILURE_OP", COLUMN_NUMBER, IN_ALL,
		"number of the first operation that failed; 0: none" },
	[REPLAY_FIRST_FILL] = { "FIRST_FAILURE_FILL", COLUMN_DECIMAL, IN_ALL | MAY_BE_EMPTY,
		"fraction of the range that was in use then" },
	[REPLAY_MAX_FILL] = { "MAX_FILL", COLUMN_DECIMAL, IN_ALL,
		"largest fraction of the range that was in use" },
	[REPLAY_CALLS] = { "CALLS", COLUMN_NUMBER, IN_ALL, "calls to the kernel" },
	[REPLAY_NS] = { "NS_PER_OP", COLUMN_DECIMAL, IN_ALL,
		"time of the calls per operation" },
	[REPLAY_MAX_CALL_NS] = { "MAX_CALL_NS", COLUMN_NUMBER, IN_ALL, "time of the longest call" },
	[REPLAY_METADATA] = { "METADATA", COLUMN_SIZE, IN_ALL,
		"memory for the allocator's metadata at the end of the trace" },
	[REPLAY_LARGEST] = { "LARGEST_FREE_RUN", COLUMN_SIZE, IN_ALL,
		"length of the longest free run at the end of the trace" },
	[REPLAY_RUNS] = { "NR_FREE_RUNS", COLUMN_NUMBER, IN_ALL,
		"free runs at the end of the trace" },
	[REPLAY_LIVE] = { "NR_LIVE", COLUMN_NUMBER, IN_ALL,
		"live extents at the end of the trace, of other callers too" },
	[REPLAY_OVERLAPS] = { "OVERLAPS", COLUMN_NUMBER, IN_ALL,
		"overlaps among the trace's extents at its end; an error of the allocator" },
};

static char *decimal(double value, int digits)
{
	return text("%.*f", digits, value);
}

static void report(const struct replay *r, const struct hybrid_alloc_stat *stat, __u64 overlaps,
		   struct table *t)
{
	__u64 ops = nr_ops(r);
	char *first = r->first_failure ? decimal((double)r->first_live / stat->capacity, 5) : NULL;
	char *most = decimal((double)r->max_live / stat->capacity, 5);
	char *ns = decimal(ops ? (double)r->ns / ops : 0, 1);
	union cell cells[NR_REPLAY] = {
		[REPLAY_NODE].text = r->path,
		[REPLAY_CAPACITY].number = stat->capacity,
		[REPLAY_OPS].number = ops,
		[REPLAY_ALLOCS].number = r->nr_allocs,
		[REPLAY_FREES].number = r->nr_frees,
		[REPLAY_CUTS].number = r->nr_cuts,
		[REPLAY_EXTENDS].number = r->nr_extends,
		[REPLAY_FAILED_EXTENDS].number = r->nr_failed_extends,
		[REPLAY_FAILED].number = r->nr_failed,
		[REPLAY_FIRST_FAILURE].number = r->first_failure,
		[REPLAY_FIRST_FILL].text = first,
		[REPLAY_MAX_FILL].text = most,
		[REPLAY_CALLS].number = r->nr_calls,
		[REPLAY_NS].text = ns,
		[REPLAY_MAX_CALL_NS].number = r->max_call_ns,
		[REPLAY_METADATA].number = stat->metadata,
		[REPLAY_LARGEST].number = stat->largest_free_run,
		[REPLAY_RUNS].number = stat->nr_free_runs,
		[REPLAY_LIVE].number = stat->nr_live,
		[REPLAY_OVERLAPS].number = overlaps,
	};

	table_row(t, cells);
	free(first);
	free(most);
	free(ns);
}

/* The summary describes the end of the trace, before its extents are freed. */
static int finish(struct replay *r, const struct args *args, struct table *t)
{
	struct hybrid_alloc_stat stat;
	__u64 overlaps;

	if (interrupted) {
		r->status = EXIT_FAILED;
		complain("stopped by a signal at line %llu of %s; run it again for the rest",
			 r->trace.line, r->name);
	}
	overlaps = count_overlaps(r);
	if (overlaps) {
		r->status = EXIT_FAILED;
		complain("%llu extents overlap: the allocator is broken. Run `hybridctl check %s`, "
			 "and report this with the trace", overlaps, r->path);
	}
	if (hybrid_alloc_drain(r->fd) || !node_stat(r->fd, r->path, true, &stat))
		r->status = EXIT_FAILED;
	else
		report(r, &stat, overlaps, t);
	if (!args->keep)
		free_all(r);
	table_finish(t);
	return r->status;
}

static int run_replay(struct replay *r, const struct args *args, FILE *in)
{
	struct table *t = table_new(r->cmd, args);
	struct hybrid_alloc_stat stat;

	if (!t)
		return EXIT_USAGE;
	r->fd = open_node(r->path, O_RDWR);
	if (r->fd < 0 || !node_stat(r->fd, r->path, false, &stat))
		return EXIT_FAILED;
	r->live = stat.charged;
	r->max_live = stat.charged;
	catch_signals();
	read_trace(r, in);
	return finish(r, args, t);
}

static int cmd_replay(const struct command *cmd, const struct args *args)
{
	struct replay *r = must(calloc(1, sizeof(*r)));
	FILE *in = open_input(args->words[1], &r->name);
	int status;

	if (!in)
		return EXIT_FAILED;
	r->cmd = cmd;
	r->path = node_path(args->words[0]);
	r->max_items = args->batch ? args->batch : HYBRID_ALLOC_MAX_ITEMS;
	status = run_replay(r, args, in);
	trace_close(&r->trace);
	free(r->slots);
	free(r);
	return status;
}

const struct command replay_command = {
	.name = "replay",
	.run = cmd_replay,
	.options = OPTS_TABLE | BIT(OPT_KEEP) | BIT(OPT_BATCH),
	.min_words = 2, .max_words = 2,
	.words = "NODE TRACE|-",
	.summary = "run a trace of allocations and frees",
	.description =
		"Runs the operations of a trace on the instance, in their order, and prints the results. "
		"The format is that of hybrid-sim replay, one operation a line: `a ID SIZE [ALIGN]` "
		"allocates, `a ID MIN-MAX [ALIGN]` the longest there is of that range, `f ID` frees, a # begins a comment. ID is a number that the trace chooses. "
		"`c ID OFFSET LEN [NEWID]` frees a part: what stays keeps the ID, and what stays behind a hole "
		"becomes NEWID. `x ID LEN` makes the extent longer, where it is. "
		"`r SIZE` reserves so much, `A ID SIZE [ALIGN]` allocates from that, `u SIZE` gives some "
		"of it back. Allocations that find no space are counted, and their frees are skipped.\n"
		"Up to 1024 consecutive allocations go to the kernel in one call, and so do consecutive "
		"frees. All extents of the trace are freed at the end, also after an error or a signal; "
		"with --keep they stay live.\n"
		"hybrid-sim replay gives the same results without a disk, except for the times, and for "
		"effects of other callers and of migration between CPUs.",
	.examples =
		"hybridctl replay 0 trace\n"
		"Run a workload on /dev/hybrid_alloc0.\n"
		"hybridctl replay --keep 0 trace && hybridctl map 0\n"
		"Show the extents that a trace leaves live.\n",
	.table = "replay",
	.columns = replay_columns, .nr_columns = NR_REPLAY, .as_list = true,
};
