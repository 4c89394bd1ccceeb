// SPDX-License-Identifier: GPL-2.0
/*
 * hybrid-sim replay: runs the user's trace.
 *
 * The trace is run twice: once measured, once with the ledger. With threads, one
 * thread does all operations of an ID, in the order of the trace. Operations of
 * different IDs are not ordered, except by barriers around each long stretch of
 * allocations. In such a stretch free space only shrinks. So an allocation that was
 * refused in it, and that fits at its end, was refused although there was space.
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "common/trace.h"
#include "replay.h"

#define MIN_STRETCH	256	/* allocations in a row */

/* ---- reading ---- */

static void add_op(struct trace *t, const struct trace_op *op, u32 line)
{
	static const int kinds[] = {
		[TRACE_ALLOC] = PLAIN, [TRACE_FREE] = PLAIN, [TRACE_CUT] = CUT,
		[TRACE_EXTEND] = EXTEND, [TRACE_RESERVE] = RESERVE, [TRACE_UNRESERVE] = UNRESERVE,
	};
	struct op *at;

	if (t->nr == t->max) {
		t->max = t->max ? 2 * t->max : 1 << 16;
		t->ops = need(realloc(t->ops, t->max * sizeof(*t->ops)));
	}
	at = &t->ops[t->nr++];
	*at = (struct op) {
		.len = op->kind != TRACE_FREE ? ((op->size - 1) >> BLOCK_SHIFT) + 1 : 0,
		.kind = op->kind == TRACE_ALLOC && op->reserved ? RESERVED : kinds[op->kind],
		.id = op->number,
		.line = line,
	};
	if (op->kind == TRACE_CUT) {
		at->offset = op->offset >> BLOCK_SHIFT;
		at->tail = op->has_tail ? op->tail + 1ULL : 0;
	} else if (op->kind == TRACE_ALLOC) {
		at->min = ((op->min - 1) >> BLOCK_SHIFT) + 1;
		at->align = max(op->align >> BLOCK_SHIFT, 1ULL);
	}
	t->reserves |= op_reserves(at) || at->kind == RESERVED;
	t->changes |= op_changes(at);
}

bool trace_read(struct trace *t, const char *path)
{
	struct trace_reader reader = {};
	struct trace_op op;
	const char *wrong;
	bool ok;

	reader.in = strcmp(path, "-") ? fopen(path, "r") : stdin;
	if (!reader.in) {
		fprintf(stderr, "hybrid-sim: cannot open %s: %s; name a file, or - for standard "
			"input\n", path, strerror(errno));
		return false;
	}
	t->path = path;
	errno = 0;
	while (!(wrong = trace_next(&reader, &op)) && op.kind != TRACE_END)
		add_op(t, &op, reader.line);
	ok = !wrong && !ferror(reader.in);
	if (wrong)
		fprintf(stderr, "hybrid-sim: %s: line %llu: %s; fix it\n", path, reader.line,
			wrong);
	else if (!ok)
		fprintf(stderr, "hybrid-sim: cannot read %s: %s; name a file, or - for standard "
			"input\n", path, strerror(errno));
	t->nr_ids = reader.nr_ids;
	if (reader.in != stdin)
		fclose(reader.in);
	trace_close(&reader);
	return ok;
}

/* ---- parts ---- */

bool trace_cut(const struct op *op, const struct extent *e, struct extent *part)
{
	__u64 offset = op->offset, len = op->len;
	bool ok = trace_clip(e->len, op->tail, &offset, &len);

	part->start = e->start + offset;
	part->len = len;
	return ok;
}

void trace_cut_done(struct extent *e, const struct extent *part, struct extent *tail)
{
	u64 end = e->start + e->len, part_end = part->start + part->len;

	tail->start = part_end;
	tail->len = end - part_end;
	e->len = part->start - e->start;
	if (e->len)
		return;
	*e = *tail;
	tail->len = 0;
}

/* The lines of a trace are as the user wrote them. */
static _Noreturn void bad_line(const struct trace *t, const struct op *op, const char *what)
{
	fprintf(stderr, "hybrid-sim: %s: line %u: %s\n", t->path, op->line, what);
	exit(2);
}

/*
 * Work out a cut of the extent of an operation: @part, of no block if there is nothing to do. A
 * line that has no sense ends the program.
 */
static void cut_of(const struct trace *t, const struct op *op, const struct extent *live,
		   struct extent *part)
{
	if (!trace_cut(op, &live[op->id], part))
		bad_line(t, op, "the extent has blocks on both sides of the part; give a NEWID for "
			 "those behind it");
	if (part->len && op->tail && live[op->tail - 1].len)
		bad_line(t, op, "the NEWID is allocated already; free it first");
}

/* ---- running ---- */

/* An allocation that was refused in a stretch of allocations. */
struct refusal {
	u64 len;
	u64 align;
};

struct run {
	const struct trace *trace;
	struct hapool pool;
	u64 nr_blocks;
	struct hapool_reservation reservation;
	u64 reserved;			/* what it has */
	struct extent *live;		/* by the number of the ID; not live: len is 0 */
	struct ledger *ledger;		/* NULL: this run is measured */
	pthread_mutex_t lock;		/* protects the ledger and the members below */
	struct refusal *refusals;
	u64 nr_refusals, max_refusals;
	bool allocs_only;
	struct result res;
};

struct runner {
	pthread_t thread;
	unsigned int id;
	struct run *run;
	u64 allocs, frees, failed, worst;
	const char *wrong;
};

static pthread_barrier_t barrier;

static void note_first_failure(struct result *res, u64 nr, double fill)
{
	if (res->first_failure && res->first_failure < nr)
		return;
	res->first_failure = nr;
	res->first_fill = fill;
}

static void note_refusal(struct run *r, const struct op *op)
{
	struct result *res = &r->res;
	u64 nr = op - r->trace->ops + 1;

	res->failed_blocks += op->min;
	note_first_failure(res, nr, (double)ledger_used(r->ledger) / r->nr_blocks);
	if (nr_threads == 1) {
		res->false_enospc += ledger_fits(r->ledger, op->min, op->align);
		return;
	}
	if (!r->allocs_only)
		return;
	if (r->nr_refusals == r->max_refusals) {
		r->max_refusals = r->max_refusals ? 2 * r->max_refusals : 1024;
		r->refusals = realloc(r->refusals, r->max_refusals * sizeof(*r->refusals));
	}
	r->refusals[r->nr_refusals++] = (struct refusal) { op->min, op->align };
}

/* Records an allocation of the run that is not measured. */
static void note(struct run *r, const struct op *op, int ret, const struct extent *e)
{
	const char *why = NULL;

	pthread_mutex_lock(&r->lock);
	if (!ret)
		why = ledger_take(r->ledger, e->start, e->len, op->align);
	else
		note_refusal(r, op);
	if (why && !r->res.wrong)
		r->res.wrong = strdup(why);
	r->res.max_fill = max(r->res.max_fill, (double)ledger_used(r->ledger) / r->nr_blocks);
	r->res.metadata_peak = max(r->res.metadata_peak, pool_metadata(&r->pool));
	pthread_mutex_unlock(&r->lock);
}

/* Records what became of a part of an extent; the ledger knows only whole ones. */
static void note_change(struct run *r, const struct extent *before, const struct extent *after,
			const struct extent *tail)
{
	const char *why;

	pthread_mutex_lock(&r->lock);
	why = ledger_give(r->ledger, before->start, before->len);
	if (!why && after->len)
		why = ledger_take(r->ledger, after->start, after->len, 1);
	if (!why && tail && tail->len)
		why = ledger_take(r->ledger, tail->start, tail->len, 1);
	if (why && !r->res.wrong)
		r->res.wrong = strdup(why);
	r->res.max_fill = max(r->res.max_fill, (double)ledger_used(r->ledger) / r->nr_blocks);
	r->res.metadata_peak = max(r->res.metadata_peak, pool_metadata(&r->pool));
	pthread_mutex_unlock(&r->lock);
}

static void note_free(struct run *r, const struct extent *e)
{
	const char *why;

	pthread_mutex_lock(&r->lock);
	why = ledger_give(r->ledger, e->start, e->len);
	if (why && !r->res.wrong)
		r->res.wrong = strdup(why);
	/* the last free may have needed metadata for the hole it left */
	r->res.metadata_peak = max(r->res.metadata_peak, pool_metadata(&r->pool));
	pthread_mutex_unlock(&r->lock);
}

/*
 * Allocate from op->min to op->len blocks, from what is reserved if @v is not NULL. The pool
 * expects that a length fits the device.
 */
static int pool_alloc(struct hapool *pool, struct hapool_reservation *v, u64 nr_blocks,
		      const struct op *op, u64 *start, u64 *len)
{
	*len = op->min;
	if (op->kind == RESERVED && v)
		return hapool_alloc_reserved(pool, v, len, op->len, op->align, HAPOOL_NO_GOAL,
					     GFP_KERNEL, start);
	if (op->min > nr_blocks)
		return -ENOSPC;
	if (op->min == op->len)
		return hapool_alloc(pool, op->len, op->align, HAPOOL_NO_GOAL, GFP_KERNEL, start);
	return hapool_alloc_upto(pool, len, min(op->len, nr_blocks), op->align, HAPOOL_NO_GOAL,
				 GFP_KERNEL, start);
}

/* Whether less than that is free and not reserved. */
static bool would_break(const struct run *r, u64 len)
{
	return len + r->reserved > r->nr_blocks - ledger_used(r->ledger);
}

/* A call was refused, or not, because of what is reserved. There is one thread. */
static void note_reserved(struct runner *t, u64 len, bool refused)
{
	struct run *r = t->run;

	r->res.reserved_refusals += refused;
	if (r->ledger && r->reserved && refused != would_break(r, len))
		t->wrong = "what is reserved is not what is promised";
}

static void do_reserve(struct runner *t, const struct op *op)
{
	struct run *r = t->run;
	u64 nr = min(op->len, r->reserved);

	if (op->kind == UNRESERVE) {
		if (hapool_unreserve(&r->pool, &r->reservation, nr))
			t->wrong = "a part of what is reserved cannot be given back";
		r->reserved -= nr;
		return;
	}
	r->res.reserves++;
	if (hapool_reserve(&r->pool, &r->reservation, op->len, GFP_KERNEL)) {
		if (r->ledger && !would_break(r, op->len))
			t->wrong = "what is free cannot be reserved";
		r->res.reserved_refusals++;
		return;
	}
	if (r->ledger && would_break(r, op->len))
		t->wrong = "more was reserved than is free";
	r->reserved += op->len;
}

static void do_alloc(struct runner *t, const struct op *op, struct extent *e)
{
	struct run *r = t->run;
	u64 tick = ticks(), len;
	int ret = pool_alloc(&r->pool, &r->reservation, r->nr_blocks, op, &e->start, &len);

	t->worst = max(t->worst, ticks() - tick);
	t->allocs++;
	/* what could not be reserved before */
	if (op->kind == RESERVED && ret == -EINVAL && op->min > r->reserved) {
		r->res.reserved_refusals++;
		return;
	}
	if (op->kind == RESERVED && !ret)
		r->reserved -= len;
	if (op->kind == RESERVED && ret && op->min == 1 && op->align == 1)
		t->wrong = "a block that is reserved is not there";
	if (op->kind == PLAIN && (!ret || ret == -EDQUOT))
		note_reserved(t, ret ? op->min : len, ret);
	if (ret == -EDQUOT)
		return;
	if (!ret)
		e->len = len;
	else
		t->failed++;
	if (ret && ret != -ENOSPC)
		t->wrong = "an allocation failed, and not for lack of space";
	if (r->ledger)
		note(r, op, ret, e);
}

static void do_free(struct runner *t, struct extent *e)
{
	enum hybrid_alloc_reason reason;
	struct run *r = t->run;
	u64 tick;

	if (r->ledger)
		note_free(r, e);
	tick = ticks();
	if (hapool_free(&r->pool, e->start, e->len, &reason))
		t->wrong = "a free was refused";
	t->worst = max(t->worst, ticks() - tick);
	t->frees++;
	e->len = 0;
}

static void do_cut(struct runner *t, const struct op *op, struct extent *e)
{
	struct extent before = *e, part, none = {}, *tail;
	enum hybrid_alloc_reason reason;
	struct run *r = t->run;
	u64 tick;

	cut_of(r->trace, op, r->live, &part);
	if (!part.len)
		return;
	tail = op->tail ? &r->live[op->tail - 1] : &none;
	tick = ticks();
	if (hapool_cut(&r->pool, part.start, part.len, GFP_KERNEL, &reason))
		t->wrong = "the free of a part was refused";
	t->worst = max(t->worst, ticks() - tick);
	r->res.cuts++;
	trace_cut_done(e, &part, tail);
	if (r->ledger)
		note_change(r, &before, e, tail);
}

static void do_extend(struct runner *t, const struct op *op, struct extent *e)
{
	struct extent before = *e;
	enum hybrid_alloc_reason reason;
	struct run *r = t->run;
	u64 tick = ticks(), got = 0, end = e->start + e->len;
	int ret = -ENOSPC;

	if (!e->len)
		return;
	if (op->len <= r->nr_blocks - end)
		ret = hapool_extend(&r->pool, e->start, e->len, op->len, op->len, GFP_KERNEL,
				    &got, &reason);
	t->worst = max(t->worst, ticks() - tick);
	r->res.extends++;
	r->res.failed_extends += !!ret;
	if (ret && ret != -ENOSPC && ret != -EDQUOT)
		t->wrong = "an extension failed, and not for lack of space";
	e->len += got;
	if (!r->ledger)
		return;
	if (ret == -ENOSPC && op->len <= r->nr_blocks - end &&
	    ledger_is_free(r->ledger, end, op->len))
		t->wrong = "an extension was refused although the blocks are free";
	if (!ret || ret == -EDQUOT)
		note_reserved(t, op->len, ret);
	if (!ret)
		note_change(r, &before, e, NULL);
}

static void do_op(struct runner *t, const struct op *op)
{
	struct extent *e = &t->run->live[op->id];

	if (op_reserves(op)) {
		do_reserve(t, op);
	} else if (op->kind == CUT) {
		do_cut(t, op, e);
	} else if (op->kind == EXTEND) {
		do_extend(t, op, e);
	} else if (!op->len) {
		/* its allocation may have failed */
		if (e->len)
			do_free(t, e);
	} else if (!e->len) {
		do_alloc(t, op, e);
	} else {
		bad_line(t->run->trace, op, "the ID is allocated already; free it first");
	}
}

/* Where the phase that begins at an operation ends, and whether it only allocates. */
static u64 phase_end(const struct trace *t, u64 from, bool *allocs_only)
{
	u64 i, start = from;

	*allocs_only = false;
	for (i = from; i < t->nr; i++) {
		if (!t->ops[i].len) {
			start = i + 1;
		} else if (i + 1 - start == MIN_STRETCH || (!start && i + 1 == t->nr)) {
			if (start > from)
				return start;
			break;
		}
	}
	if (i == t->nr)
		return i;
	*allocs_only = true;
	for (; i < t->nr && t->ops[i].len; i++)
		;
	return i;
}

/* All threads wait at the barrier. */
static void end_phase(struct run *r)
{
	u64 i;

	for (i = 0; i < r->nr_refusals; i++)
		r->res.false_enospc += ledger_fits(r->ledger, r->refusals[i].len,
						   r->refusals[i].align);
	r->nr_refusals = 0;
}

static void *runner_main(void *arg)
{
	struct runner *t = arg;
	struct run *r = t->run;
	const struct trace *trace = r->trace;
	bool allocs_only;
	u64 i, end;

	if (nr_threads > 1)
		sim_set_cpu(t->id + 1);
	for (i = 0; i < trace->nr;) {
		end = nr_threads > 1 ? phase_end(trace, i, &allocs_only) : trace->nr;
		if (nr_threads > 1) {
			if (!t->id)
				r->allocs_only = allocs_only;
			pthread_barrier_wait(&barrier);
		}
		for (; i < end; i++)
			if (trace->ops[i].id % nr_threads == t->id)
				do_op(t, &trace->ops[i]);
		if (nr_threads > 1) {
			pthread_barrier_wait(&barrier);
			if (!t->id && r->ledger)
				end_phase(r);
		}
	}
	return NULL;
}

/* At the end of the run the allocator and the ledger must agree. */
static void compare(struct run *r)
{
	struct result *res = &r->res;
	struct ledger_runs runs;
	struct hapool_stat st;

	hapool_drain(&r->pool);
	hapool_stat(&r->pool, &st, true);
	ledger_runs(r->ledger, &runs);
	res->nr_runs = runs.nr;
	res->largest = runs.largest;
	if (res->wrong)
		return;
	if (st.charged != ledger_used(r->ledger) || st.nr_live != ledger_nr(r->ledger))
		res->wrong = "the allocator has charged a different sum";
	else if (st.slab.nr_runs != runs.nr || st.slab.largest_run != runs.largest)
		res->wrong = "the allocator reports different free runs";
	else if (hapool_check(&r->pool))
		res->wrong = "hapool_check() found a broken invariant";
}

struct result trace_run(const struct trace *trace, u64 nr_blocks, bool checked)
{
	struct runner *t = calloc(nr_threads, sizeof(*t));
	struct run *r = calloc(1, sizeof(*r));
	struct result res;
	u64 begin;
	unsigned int i;

	r->trace = trace;
	r->nr_blocks = nr_blocks;
	r->live = calloc(trace->nr_ids + 1, sizeof(*r->live));
	r->ledger = checked ? ledger_new(0, nr_blocks) : NULL;
	pthread_mutex_init(&r->lock, NULL);
	pool_start(&r->pool, nr_blocks);
	if (trace->reserves && hapool_reservation_open(&r->pool, &r->reservation))
		r->res.wrong = "a reservation cannot be opened";
	r->res.metadata_peak = pool_metadata(&r->pool);
	for (i = 0; i < nr_threads; i++) {
		t[i].id = i;
		t[i].run = r;
	}
	begin = nr_threads > 1 ? now_ns() : cpu_ns();
	if (nr_threads == 1)
		runner_main(t);
	for (i = 0; i < nr_threads && nr_threads > 1; i++)
		pthread_create(&t[i].thread, NULL, runner_main, &t[i]);
	for (i = 0; i < nr_threads && nr_threads > 1; i++)
		pthread_join(t[i].thread, NULL);
	r->res.ns = (nr_threads > 1 ? now_ns() : cpu_ns()) - begin;
	for (i = 0; i < nr_threads; i++) {
		r->res.allocs += t[i].allocs;
		r->res.frees += t[i].frees;
		r->res.failed += t[i].failed;
		r->res.max_op_ns = max_t(u64, r->res.max_op_ns, t[i].worst * ticks_ns());
		r->res.wrong = r->res.wrong ?: t[i].wrong;
	}
	if (checked) {
		compare(r);
		ledger_free(r->ledger);
	}
	hapool_destroy(&r->pool);
	res = r->res;
	free(r->refusals);
	free(r->live);
	free(r);
	free(t);
	return res;
}

/* ---- without a ledger ---- */

/* A reference, or the allocator */
struct packer {
	struct reference *reference;
	struct hapool pool;
	u64 nr_blocks;
};

static struct packer *packer_new(u64 nr_blocks, enum reference_policy policy)
{
	struct packer *p = need(calloc(1, sizeof(*p)));

	p->nr_blocks = nr_blocks;
	if (policy)
		p->reference = reference_new(policy, nr_blocks);
	else
		pool_start(&p->pool, nr_blocks);
	return p;
}

static void packer_destroy(struct packer *p)
{
	if (p->reference)
		reference_destroy(p->reference);
	else
		hapool_destroy(&p->pool);
	free(p);
}

static int packer_alloc(struct packer *p, const struct op *op, struct extent *e)
{
	int ret;

	if (!p->reference)
		ret = pool_alloc(&p->pool, NULL, p->nr_blocks, op, &e->start, &e->len);
	else
		ret = reference_alloc(p->reference, op->min, op->len, op->align, &e->start,
				      &e->len);
	if (ret)
		e->len = 0;
	return ret;
}

static int packer_free(struct packer *p, const struct extent *e)
{
	enum hybrid_alloc_reason reason;

	if (!p->reference)
		return hapool_free(&p->pool, e->start, e->len, &reason);
	reference_free(p->reference, e->start, e->len);
	return 0;
}

static int packer_extend(struct packer *p, const struct extent *e, u64 more)
{
	enum hybrid_alloc_reason reason;
	u64 got;

	if (more > p->nr_blocks - e->start - e->len)
		return -ENOSPC;
	if (p->reference)
		return reference_claim(p->reference, e->start + e->len, more);
	return hapool_extend(&p->pool, e->start, e->len, more, more, GFP_KERNEL, &got, &reason);
}

static int packer_cut(struct packer *p, const struct extent *part)
{
	enum hybrid_alloc_reason reason;

	if (!p->reference)
		return hapool_cut(&p->pool, part->start, part->len, GFP_KERNEL, &reason);
	reference_free(p->reference, part->start, part->len);
	return 0;
}

/* Change an extent. Return: how many more blocks are used, or fewer. */
static s64 packer_change(struct packer *p, const struct trace *trace, const struct op *op,
			 struct extent *live, struct result *res)
{
	struct extent *e = &live[op->id], part, none = {};

	if (!e->len)
		return 0;
	if (op->kind == CUT) {
		cut_of(trace, op, live, &part);
		if (!part.len)
			return 0;
		if (packer_cut(p, &part))
			res->wrong = "the free of a part was refused";
		res->cuts++;
		trace_cut_done(e, &part, op->tail ? &live[op->tail - 1] : &none);
		return -(s64)part.len;
	}
	res->extends++;
	if (packer_extend(p, e, op->len)) {
		res->failed_extends++;
		return 0;
	}
	e->len += op->len;
	return op->len;
}

struct result trace_pack(const struct trace *trace, u64 nr_blocks, enum reference_policy policy,
			 bool stop)
{
	struct extent *live = need(calloc(trace->nr_ids + 1, sizeof(*live))), *e;
	struct packer *p = packer_new(nr_blocks, policy);
	struct result res = {};
	const struct op *op;
	u64 used = 0;

	for (op = trace->ops; op < trace->ops + trace->nr && !(stop && res.failed); op++) {
		e = &live[op->id];
		if (op_reserves(op))
			continue;
		if (op_changes(op)) {
			used += packer_change(p, trace, op, live, &res);
			res.max_fill = max(res.max_fill, (double)used / nr_blocks);
			continue;
		}
		if (!op->len) {
			/* its allocation may have failed */
			if (e->len && packer_free(p, e))
				res.wrong = "a free was refused";
			used -= e->len;
			e->len = 0;
			continue;
		}
		if (e->len)
			continue;
		res.allocs++;
		if (!packer_alloc(p, op, e)) {
			used += e->len;
			res.max_fill = max(res.max_fill, (double)used / nr_blocks);
		} else {
			note_first_failure(&res, op - trace->ops + 1, (double)used / nr_blocks);
			res.failed++;
			res.failed_blocks += op->min;
		}
	}
	packer_destroy(p);
	free(live);
	return res;
}

void report_failures(const struct result *res)
{
	out_u64("failed_allocs", res->failed);
	out_u64("failed_bytes", res->failed_blocks << BLOCK_SHIFT);
	if (res->first_failure) {
		out_u64("first_failure_op", res->first_failure);
		out_double("first_failure_fill", res->first_fill, 5);
	} else {
		out_null("first_failure_op");
		out_null("first_failure_fill");
	}
}

static u64 nr_ops(const struct result *res)
{
	return res->allocs + res->frees + res->cuts + res->extends;
}

static void report_reference(const struct result *res)
{
	out_begin_object("reference");
	out_string("name", reference_names[reference]);
	report_failures(res);
	out_u64("failed_extends", res->failed_extends);
	out_double("max_fill", res->max_fill, 5);
	out_end_object();
}

int replay(const char *path)
{
	u64 nr_blocks = capacity >> BLOCK_SHIFT;
	struct result timed, res, other;
	struct trace t = {};

	if (!trace_read(&t, path)) {
		free(t.ops);
		return 2;
	}
	if (nr_threads > 1 && (t.reserves || t.changes)) {
		fprintf(stderr, "hybrid-sim: %s %s, which is for one thread; leave out "
			"--threads\n", path, t.reserves ? "reserves" : "changes extents");
		free(t.ops);
		return 2;
	}
	if (nr_threads > 1)
		sim_set_nr_cpus(nr_threads + 1);
	pthread_barrier_init(&barrier, NULL, nr_threads);
	timed = trace_run(&t, nr_blocks, false);
	res = trace_run(&t, nr_blocks, true);
	res.wrong = res.wrong ?: timed.wrong;

	out_begin();
	out_u64("capacity_bytes", nr_blocks << BLOCK_SHIFT);
	out_u64("threads", nr_threads);
	out_u64("ops", nr_ops(&res));
	out_u64("allocs", res.allocs);
	out_u64("frees", res.frees);
	report_failures(&res);
	out_u64("reserved_refusals", res.reserved_refusals);
	out_u64("cuts", res.cuts);
	out_u64("extends", res.extends);
	out_u64("failed_extends", res.failed_extends);
	out_double("max_fill", res.max_fill, 5);
	out_u64("false_enospc", res.false_enospc);
	out_double("ns_per_op", (double)timed.ns / max(nr_ops(&timed), 1ULL), 2);
	out_u64("max_op_ns", timed.max_op_ns);
	out_u64("metadata_bytes_peak", res.metadata_peak);
	out_u64("largest_free_bytes", res.largest << BLOCK_SHIFT);
	out_u64("free_extents", res.nr_runs);
	if (reference) {
		other = trace_pack(&t, nr_blocks, reference, false);
		report_reference(&other);
	}
	out_string("ledger", res.wrong ?: "ok");
	out_end();
	free(t.ops);
	return res.wrong || res.false_enospc;
}
