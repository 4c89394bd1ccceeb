// SPDX-License-Identifier: GPL-2.0
/* hybrid-sim replay: a trace of the user's. */
#include <stdlib.h>
#include <time.h>

#include "hybrid_sim.h"

struct op {
	u64 slot;		/* of its ID */
	u64 len;		/* blocks; 0: free */
	u64 align;		/* blocks */
};

struct trace {
	struct op *ops;
	u64 nr, max;
	u64 nr_slots;
	/* ID to slot: a hash table with open addressing */
	struct { u64 id; u64 slot; } *ids;	/* slot + 1; 0: empty */
	u64 nr_ids;
};

static void ids_grow(struct trace *t)
{
	typeof(t->ids) old = t->ids;
	u64 n = t->nr_ids, i, k;

	t->nr_ids = n ? 2 * n : 1 << 16;
	t->ids = calloc(t->nr_ids, sizeof(*t->ids));
	for (i = 0; i < n; i++) {
		if (!old[i].slot)
			continue;
		for (k = old[i].id * 0x9e3779b97f4a7c15ULL; t->ids[k % t->nr_ids].slot; k++)
			;
		t->ids[k % t->nr_ids] = old[i];
	}
	free(old);
}

static u64 slot_of_id(struct trace *t, u64 id)
{
	u64 k;

	if (t->nr_slots >= t->nr_ids / 2)
		ids_grow(t);
	for (k = id * 0x9e3779b97f4a7c15ULL; t->ids[k % t->nr_ids].slot; k++)
		if (t->ids[k % t->nr_ids].id == id)
			return t->ids[k % t->nr_ids].slot - 1;
	t->ids[k % t->nr_ids].id = id;
	t->ids[k % t->nr_ids].slot = ++t->nr_slots;
	return t->nr_slots - 1;
}

/* One line. Return: NULL or what is wrong with it. */
static const char *parse_line(struct trace *t, char *line)
{
	unsigned long long id, size = 0, align = 1;
	char what[2], rest[2];
	struct op op = {};
	int n;

	line[strcspn(line, "#\n")] = 0;
	n = sscanf(line, " %1s %llu %llu %llu %1s", what, &id, &size, &align, rest);
	if (n <= 0)
		return NULL;
	if (n >= 3 && n <= 4 && *what == 'a') {
		if (!size)
			return "the size is 0";
		if (!is_power_of_2(align))
			return "the alignment is not a power of two";
		op.len = ((size - 1) >> BLOCK_SHIFT) + 1;
		op.align = max(align >> BLOCK_SHIFT, 1ULL);
	} else if (n != 2 || *what != 'f') {
		return "it is neither 'a ID SIZE [ALIGN]' nor 'f ID'";
	}
	op.slot = slot_of_id(t, id);
	if (t->nr == t->max) {
		t->max = t->max ? 2 * t->max : 1 << 16;
		t->ops = realloc(t->ops, t->max * sizeof(*t->ops));
	}
	t->ops[t->nr++] = op;
	return NULL;
}

static bool parse(struct trace *t, const char *path)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "r") : stdin;
	size_t size = 0;
	char *line = NULL;
	u64 nr = 0;

	if (!f) {
		fprintf(stderr, "hybrid-sim: %s: %s\n", path, strerror(errno));
		return false;
	}
	while (getline(&line, &size, f) > 0) {
		const char *why = parse_line(t, line);

		nr++;
		if (why) {
			fprintf(stderr, "hybrid-sim: %s:%llu: %s\n", path, nr, why);
			return false;
		}
	}
	free(line);
	if (f != stdin)
		fclose(f);
	return true;
}

struct result {
	u64 allocs, frees, failed, false_enospc;
	u64 first_failure;	/* number of the operation, from 1; 0: none */
	double first_fill, max_fill;
	u64 ns, max_op_ns, metadata_peak;
	u64 largest, nr_runs;
	const char *wrong;
};

/* With a ledger it is the checked run, without it the measured one. */
static void run_trace(const struct trace *t, u64 nr_blocks, struct ledger *ledger,
		      struct result *res)
{
	struct extent *live = calloc(t->nr_slots + 1, sizeof(*live));
	u64 i, used = 0, worst = 0, begin, tick;
	enum hybrid_alloc_reason reason;
	static struct hapool pool;

	pool_start(&pool, nr_blocks);
	begin = cpu_ns();
	for (i = 0; i < t->nr; i++) {
		const struct op *op = &t->ops[i];
		struct extent *e = &live[op->slot];
		const char *why = NULL;

		if (op->len) {
			int ret = -ENOSPC;
			u64 start;

			if (e->len) {
				res->wrong = "the trace allocates an ID that is live";
				break;
			}
			tick = ticks();
			/* the device's own limit is the caller's to check */
			if (op->len <= nr_blocks)
				ret = hapool_alloc(&pool, op->len, op->align, HAPOOL_NO_GOAL,
						   GFP_KERNEL, &start);
			worst = max(worst, ticks() - tick);
			res->allocs++;
			if (!ret) {
				e->start = start;
				e->len = op->len;
				used += op->len;
				if (ledger)
					why = ledger_take(ledger, start, op->len, op->align);
			} else {
				res->failed++;
				if (!res->first_failure) {
					res->first_failure = i + 1;
					res->first_fill = (double)used / nr_blocks;
				}
				if (ret != -ENOSPC)
					why = "an allocation failed, and not for lack of space";
				else if (ledger && ledger_fits(ledger, op->len, op->align))
					res->false_enospc++;
			}
			res->max_fill = max(res->max_fill, (double)used / nr_blocks);
		} else if (e->len) {
			if (ledger)
				why = ledger_give(ledger, e->start, e->len);
			tick = ticks();
			if (hapool_free(&pool, e->start, e->len, &reason))
				why = "a free was refused";
			worst = max(worst, ticks() - tick);
			res->frees++;
			used -= e->len;
			e->len = 0;
		}
		if (ledger)
			res->metadata_peak = max(res->metadata_peak, pool_metadata(&pool));
		if (why && !res->wrong)
			res->wrong = strdup(why);
	}
	res->ns = cpu_ns() - begin;
	res->max_op_ns = worst * ticks_ns();
	if (ledger) {
		struct ledger_runs runs;
		struct hapool_stat st;

		hapool_drain(&pool);
		hapool_stat(&pool, &st, true);
		ledger_runs(ledger, &runs);
		res->nr_runs = runs.nr;
		res->largest = runs.largest;
		if (!res->wrong && (st.slab.nr_runs != res->nr_runs ||
				    st.slab.largest_run != res->largest))
			res->wrong = "the allocator believes in other free runs";
		if (!res->wrong && hapool_check(&pool))
			res->wrong = "hapool_check() found a broken invariant";
	}
	hapool_destroy(&pool);
	free(live);
}

int replay(const char *path)
{
	u64 nr_blocks = capacity >> BLOCK_SHIFT;
	struct result timed = {}, res = {};
	struct ledger *ledger;
	struct trace t = {};

	if (!nr_blocks) {
		fprintf(stderr, "hybrid-sim: replay needs --capacity\n");
		return 2;
	}
	if (!parse(&t, path))
		return 2;
	run_trace(&t, nr_blocks, NULL, &timed);
	ledger = ledger_new(0, nr_blocks);
	run_trace(&t, nr_blocks, ledger, &res);
	ledger_free(ledger);

	out_begin();
	out_u64("capacity_bytes", nr_blocks << BLOCK_SHIFT);
	out_u64("ops", res.allocs + res.frees);
	out_u64("allocs", res.allocs);
	out_u64("frees", res.frees);
	out_u64("failed_allocs", res.failed);
	if (res.first_failure) {
		out_u64("first_failure_op", res.first_failure);
		out_double("first_failure_fill", res.first_fill, 5);
	} else {
		out_null("first_failure_op");
		out_null("first_failure_fill");
	}
	out_double("max_fill", res.max_fill, 5);
	out_u64("false_enospc", res.false_enospc);
	out_double("ns_per_op", (double)timed.ns / max(timed.allocs + timed.frees, 1ULL), 2);
	out_u64("max_op_ns", timed.max_op_ns);
	out_u64("metadata_bytes_peak", res.metadata_peak);
	out_u64("largest_free_bytes", res.largest << BLOCK_SHIFT);
	out_u64("free_extents", res.nr_runs);
	out_string("ledger", res.wrong ?: "ok");
	out_end();
	free(t.ops);
	free(t.ids);
	return res.wrong || res.false_enospc;
}
