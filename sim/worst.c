// SPDX-License-Identifier: GPL-2.0
/*
 * A search for the state of a device in which one call does the most work while it holds a lock.
 *
 *	build/sim/worst-counted --seed N --minutes N
 *			search, and print the worst of each lock and call
 *	build/sim/worst-counted FILE
 *			the states of a file, each against the limits; prints TAP
 *
 * A state is a text: the shape of a device, what was done to it, and the call that is made first.
 * It is made again from that text, so what a search found can be kept (worst.list).
 *
 * Work is counted in basic blocks of the layers: the compiler calls a function at the start of
 * each. So it is the same in each run, and an earlier version of the layers can be measured too.
 *
 * The search keeps the worst state for each lock, for each call, and for the holds of each call:
 * one call that holds a lock for long does not hide another. It takes one of these, changes a few
 * of its operations, and keeps the result if it is worse; now and then it begins with a random
 * state.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/random.h"
#include "pool.h"

#define GIB		(1ULL << 18)	/* blocks */
#define TWO_SLOTS	8192ULL		/* blocks */
#define MAX_OPS		12
#define MAX_LOCKS	24
#define MAX_LIVE	(1U << 22)

/*
 * The limits of a hold, of a goal that is met and of an alignment that cannot be met, and of the
 * other calls that search: those that are refused, which have to look at all that has changed, and
 * an allocation that finds a place, which may turn a slab of equal objects into a part of a mixed
 * slot. They stand for 400 000 instructions, 300 000 and 1 000 000. A basic block is four to seven
 * instructions, five for most states where it is close; the states that come closest were counted
 * by callgrind, too.
 */
#define HOLD_LIMIT	80000
#define CALL_LIMIT	57000
#define OTHER_LIMIT	190000

/* ---- work ---- */

u64 sim_work;

void __attribute__((no_sanitize_coverage)) __sanitizer_cov_trace_pc(void)
{
	sim_work++;
}

/* The longest hold of each lock, by its name in the source. */
static struct hold {
	const char *lock;
	u64 work;
} holds[MAX_LOCKS];
static bool measuring;

void sim_hold_ended(const char *lock, u64 work)
{
	struct hold *h;

	if (!measuring || !lock)
		return;
	for (h = holds; h < holds + MAX_LOCKS && h->lock && strcmp(h->lock, lock); h++)
		;
	if (h == holds + MAX_LOCKS)
		abort();
	h->lock = lock;
	h->work = max(h->work, work);
}

/* ---- states ---- */

enum {
	OP_NONE, OP_ALLOC, OP_GOALS, OP_ALIGN, OP_FREE_EACH, OP_FREE_SOME, OP_CLAIM, OP_DRAIN,
	OP_HOLD, OP_FREE_PLACES, OP_CLAIM_PLACES, NR_OP_KINDS
};

/* a, b and c mean something different in each kind; see state_op() */
struct op {
	u8 kind;
	u8 a, b, c;
};

struct state {
	u8 gib;			/* size of the device; 0: 1/4 GiB */
	u8 unit_shift;
	u8 cpus;
	u8 first;		/* the probe that is made first */
	u8 nr_ops;
	struct op ops[MAX_OPS];
};

static const u16 lens[] = {
	1, 2, 3, 4, 5, 6, 7, 8, 12, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65, 100, 127, 128, 129,
	200, 255, 256, 257, 300, 511, 512, 513, 768, 1000, 1023, 1024, 1025, 1300, 2047, 2048, 2049,
	3000, 4095, 4096, 4097, 5000, 8192, 12000
};

struct extent {
	u64 start, len;
};

static struct hapool pool;
static struct extent *live;
static u32 nr_live;

static u64 len_of(u8 x)
{
	return lens[x % ARRAY_SIZE(lens)];
}

static int compare_extents(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static void remember(u64 start, u64 len)
{
	live[nr_live++] = (struct extent) { start, len };
}

static void alloc_many(u64 len, u64 align, u64 limit)
{
	u64 start;

	while (limit-- && nr_live < MAX_LIVE &&
	       !hapool_alloc(&pool, len, align, HAPOOL_NO_GOAL, GFP_KERNEL, &start))
		remember(start, len);
}

/* One extent after another by goals, from @pos on. */
static void alloc_goals(u64 len, u64 pos, u64 step, u64 limit)
{
	u64 start;

	for (; limit-- && nr_live < MAX_LIVE && pos + len <= hapool_end(&pool); pos += step) {
		if (hapool_alloc(&pool, len, 1, pos, GFP_KERNEL, &start))
			return;
		remember(start, len);
	}
}

static void claim_many(u64 len, u64 pos, u64 step)
{
	for (; nr_live < MAX_LIVE && pos + len <= hapool_end(&pool); pos += step)
		if (!hapool_claim(&pool, pos, len, GFP_KERNEL))
			remember(pos, len);
}

static void free_one(u32 i)
{
	enum hybrid_alloc_reason reason;

	if (hapool_free(&pool, live[i].start, live[i].len, &reason))
		abort();
}

/* Frees each @nth of those that begin with @phase; or all others. */
static void free_each(u32 nth, u32 phase, bool others)
{
	u32 i, kept = 0;

	qsort(live, nr_live, sizeof(*live), compare_extents);
	for (i = 0; i < nr_live; i++) {
		if ((i % nth == phase) != others)
			free_one(i);
		else
			live[kept++] = live[i];
	}
	nr_live = kept;
}

/* Frees the extents that begin in the 256ths from @from to @to of @size blocks; or all others. */
static void free_places(u64 size, u32 from, u32 to, bool others)
{
	u32 i, kept = 0, place;

	for (i = 0; i < nr_live; i++) {
		place = live[i].start % size * 256 / size;
		if ((place >= from && place <= to) != others)
			free_one(i);
		else
			live[kept++] = live[i];
	}
	nr_live = kept;
}

static void free_some(u32 percent, u64 rng)
{
	u32 i, kept = 0;

	for (i = 0; i < nr_live; i++) {
		if (random_below(&rng, 100) < percent)
			free_one(i);
		else
			live[kept++] = live[i];
	}
	nr_live = kept;
}

static void hold_and_release(u64 pos)
{
	u64 len = 8192;

	if (!hapool_hold(&pool, &pos, &len, GFP_KERNEL))
		hapool_unhold(&pool, pos, len);
}

/* A part of the device: @x of 256. */
static u64 part(u8 x)
{
	return hapool_end(&pool) * x / 256;
}

static void do_op(const struct op *op)
{
	switch (op->kind) {
	case OP_ALLOC:		/* a: length; b: how much of the device */
		alloc_many(len_of(op->a), 1, part(op->b) / len_of(op->a) + 1);
		break;
	case OP_GOALS:		/* a: length; b: from where; c: gap between them */
		alloc_goals(len_of(op->a), part(op->b), len_of(op->a) + op->c % 16, GIB);
		break;
	case OP_ALIGN:		/* a: length; b: how many; c: log2 of the alignment */
		alloc_many(len_of(op->a), 1ULL << op->c % 20, 1 + op->b * 16);
		break;
	case OP_FREE_EACH:	/* a: each which; b: beginning with which; c: or all others */
		free_each(op->a % 32 + 1, op->b % (op->a % 32 + 1), op->c & 1);
		break;
	case OP_FREE_SOME:	/* a: percent; b, c: random numbers */
		free_some(op->a % 101, op->b << 8 | op->c);
		break;
	case OP_CLAIM:		/* a: length; b: from where; c: gap between them */
		claim_many(len_of(op->a), part(op->b), len_of(op->a) + len_of(op->c));
		break;
	case OP_FREE_PLACES:	/* a: log2 of a size; b, c: what of it is freed; b > c: is kept */
		free_places(1ULL << (4 + op->a % 12), min(op->b, op->c), max(op->b, op->c),
			    op->b > op->c);
		break;
	case OP_CLAIM_PLACES:	/* a: length; b: where in each two slots; c: the first of these */
		claim_many(len_of(op->a), TWO_SLOTS * op->b / 256 + TWO_SLOTS * (op->c % 4),
			   TWO_SLOTS);
		break;
	case OP_DRAIN:
		hapool_drain(&pool);
		break;
	case OP_HOLD:		/* a: where */
		hold_and_release(part(op->a));
		break;
	}
}

/* ---- calls ---- */

static bool refused;	/* the last of these allocations */

static void try_alloc(u64 len, u64 align, u64 goal)
{
	enum hybrid_alloc_reason reason;
	u64 start;

	refused = hapool_alloc(&pool, len, align, goal, GFP_KERNEL, &start);
	if (!refused)
		hapool_free(&pool, start, len, &reason);
}

static void goal_0(void) { try_alloc(1, 1, 0); }
static void goal_half(void) { try_alloc(17, 1, part(128)); }
static void goal_300(void) { try_alloc(300, 1, part(64)); }
static void align_device(void)
{
	try_alloc(1, rounddown_pow_of_two(hapool_end(&pool)), HAPOOL_NO_GOAL);
}

static void align_huge(void) { try_alloc(1, 1ULL << 50, HAPOOL_NO_GOAL); }
static void align_2(void) { try_alloc(2, 2, HAPOOL_NO_GOAL); }
static void align_64(void) { try_alloc(17, 64, HAPOOL_NO_GOAL); }
static void align_2048(void) { try_alloc(300, 2048, HAPOOL_NO_GOAL); }
static void align_80(void) { try_alloc(60, 80, HAPOOL_NO_GOAL); }
static void align_3(void) { try_alloc(2, 3, HAPOOL_NO_GOAL); }

static void try_upto(u64 most, u64 align)
{
	enum hybrid_alloc_reason reason;
	u64 start, len = 1;

	refused = hapool_alloc_upto(&pool, &len, most, align, HAPOOL_NO_GOAL, GFP_KERNEL, &start);
	if (!refused)
		hapool_free(&pool, start, len, &reason);
}

static void upto_16(void) { try_upto(16, 1); }
static void upto_1024(void) { try_upto(1024, 1); }
static void upto_5000(void) { try_upto(5000, 1); }
static void upto_aligned(void) { try_upto(1024, 64); }
static void upto_odd(void) { try_upto(1024, 48); }
static void alloc_1(void) { try_alloc(1, 1, HAPOOL_NO_GOAL); }
static void alloc_2(void) { try_alloc(2, 1, HAPOOL_NO_GOAL); }
static void alloc_17(void) { try_alloc(17, 1, HAPOOL_NO_GOAL); }
static void alloc_257(void) { try_alloc(257, 1, HAPOOL_NO_GOAL); }
static void alloc_1025(void) { try_alloc(1025, 1, HAPOOL_NO_GOAL); }
static void alloc_5000(void) { try_alloc(5000, 1, HAPOOL_NO_GOAL); }
static void alloc_too_long(void) { try_alloc(hapool_end(&pool) / 2, 1, HAPOOL_NO_GOAL); }

static void stat_sums(void)
{
	struct hapool_stat st;

	hapool_stat(&pool, &st, false);
}

static void stat_runs(void)
{
	static struct haslab_histogram h;
	struct hapool_stat st;

	hapool_stat(&pool, &st, true);
	hapool_histogram(&pool, &h);
}

static void map_pages(void)
{
	static struct haslab_extent page[1024];

	hapool_map(&pool, 0, page, ARRAY_SIZE(page));
	hapool_map(&pool, part(128), page, ARRAY_SIZE(page));
}

static void check_all(void)
{
	if (hapool_check(&pool))
		abort();
}

static void trim_look(void)
{
	u64 start, len;

	if (hapool_next_free(&pool, 0, &start, &len) &&
	    hapool_next_free(&pool, start + len, &start, &len))
		hold_and_release(start);
}

static void claim_1(void)
{
	enum hybrid_alloc_reason reason;
	u64 pos = part(100);

	if (!hapool_claim(&pool, pos, 1, GFP_KERNEL))
		hapool_free(&pool, pos, 1, &reason);
	if (!hapool_claim(&pool, pos, 5000, GFP_KERNEL))
		hapool_free(&pool, pos, 5000, &reason);
}

static void census(void)
{
	static struct haslab_census c;

	haslab_census(&pool.slab, &c);
}

static void drain(void) { hapool_drain(&pool); }

static void grow(void)
{
	if (hapool_grow(&pool, hapool_end(&pool) + 1000, GFP_KERNEL))
		abort();
}

/* Searches are limited as a whole, at any size of device, if one extent changed since the last. */
enum search { NO_SEARCH, PLAIN, GOAL, ALIGNED };

static const struct probe {
	const char *name;
	void (*run)(void);
	enum search search;
} probes[] = {
	{ "goal-0", goal_0, GOAL },
	{ "goal-half", goal_half, GOAL },
	{ "goal-300", goal_300, GOAL },
	{ "align-huge", align_huge, ALIGNED },
	{ "align-device", align_device, ALIGNED },
	{ "align-2", align_2, ALIGNED },
	{ "align-64", align_64, ALIGNED },
	{ "align-2048", align_2048, ALIGNED },
	{ "align-80", align_80 },
	{ "align-3", align_3 },
	{ "upto-16", upto_16, PLAIN },
	{ "upto-1024", upto_1024, PLAIN },
	{ "upto-5000", upto_5000, PLAIN },
	{ "upto-aligned", upto_aligned, ALIGNED },
	{ "upto-odd", upto_odd },
	{ "alloc-1", alloc_1, PLAIN },
	{ "alloc-2", alloc_2, PLAIN },
	{ "alloc-17", alloc_17, PLAIN },
	{ "alloc-257", alloc_257, PLAIN },
	{ "alloc-1025", alloc_1025, PLAIN },
	{ "alloc-5000", alloc_5000, PLAIN },
	{ "alloc-too-long", alloc_too_long, PLAIN },
	{ "stat", stat_sums },
	{ "stat-runs", stat_runs },
	{ "map", map_pages },
	{ "check", check_all },
	{ "trim", trim_look },
	{ "claim", claim_1 },
	{ "census", census },
	{ "drain", drain },
	{ "grow", grow },
};

/* ---- one state ---- */

/* What the probes of a state needed. */
struct found {
	u64 call[ARRAY_SIZE(probes)];
	bool refused[ARRAY_SIZE(probes)];
	u64 longest[ARRAY_SIZE(probes)];	/* hold in this call; see is_spinlock() */
	struct hold holds[MAX_LOCKS];
	u8 by[MAX_LOCKS];	/* the probe that held it for longest */
};

/* A search has a mutex for all of its holds: no free and no hit waits for that. */
static bool is_spinlock(const struct hold *h)
{
	return strncmp(h->lock, "mutex ", 6);
}

/* Frees an extent, which is as if all that was refused could fit now, and makes the call. */
static u64 call_after_free(u32 i, const struct extent *e)
{
	u64 before;

	free_one(e - live);
	before = sim_work;
	probes[i].run();
	return sim_work - before;
}

/*
 * What a search takes that knows all but the last change. Calls before may have been refused by
 * counters, without a search; so all is done twice.
 */
static u64 search_again(u32 i)
{
	const struct extent *first = &live[nr_live / 3], *second = &live[nr_live / 2];
	u32 times = 2;
	u64 work = 0;

	while (times--) {
		call_after_free(i, first);
		work = call_after_free(i, second);
		if (hapool_claim(&pool, first->start, first->len, GFP_KERNEL) ||
		    hapool_claim(&pool, second->start, second->len, GFP_KERNEL))
			abort();
	}
	return work;
}

static void probe(u32 i, struct found *f)
{
	u64 before = sim_work;
	u32 k, n;

	memset(holds, 0, sizeof(holds));
	measuring = true;
	probes[i].run();
	measuring = false;
	f->call[i] = sim_work - before;
	if (probes[i].search && nr_live > 3)
		f->call[i] = search_again(i);
	f->refused[i] = refused;
	f->longest[i] = 0;
	for (k = 0; k < MAX_LOCKS && holds[k].lock; k++) {
		if (is_spinlock(&holds[k]))
			f->longest[i] = max(f->longest[i], holds[k].work);
		for (n = 0; f->holds[n].lock && strcmp(f->holds[n].lock, holds[k].lock); n++)
			;
		if (!f->holds[n].lock || f->holds[n].work < holds[k].work) {
			f->holds[n] = holds[k];
			f->by[n] = i;
		}
	}
}

static void evaluate(const struct state *st, struct found *f)
{
	struct haslab_config cfg = {
		.nr_blocks = st->gib ? st->gib * GIB : GIB / 4,
		.unit_shift = st->unit_shift,
		.slab_max = 1 << st->unit_shift,
	};
	u32 i;

	sim_set_nr_cpus(st->cpus % NR_CPUS ?: 1);
	*f = (struct found) {};
	if (hapool_init(&pool, &cfg)) {
		fprintf(stderr, "worst: no device of this shape can be made\n");
		exit(2);
	}
	nr_live = 0;
	for (i = 0; i < st->nr_ops; i++)
		do_op(&st->ops[i]);
	for (i = 0; i < ARRAY_SIZE(probes); i++)
		probe((st->first + i) % ARRAY_SIZE(probes), f);
	hapool_destroy(&pool);
}

/* ---- as text ---- */

static void print_state(const struct state *st)
{
	u32 i;

	printf("%u,%u,%u,%u", st->gib, st->unit_shift, st->cpus, st->first);
	for (i = 0; i < st->nr_ops; i++)
		printf(":%u,%u,%u,%u", st->ops[i].kind, st->ops[i].a, st->ops[i].b, st->ops[i].c);
}

static bool parse_state(const char *text, struct state *st)
{
	int used;

	*st = (struct state) {};
	if (sscanf(text, "%hhu,%hhu,%hhu,%hhu%n", &st->gib, &st->unit_shift, &st->cpus,
		   &st->first, &used) != 4 || !st->cpus)
		return false;
	for (text += used; *text == ':'; text += used) {
		struct op *op = &st->ops[st->nr_ops++];

		if (st->nr_ops > MAX_OPS ||
		    sscanf(text, ":%hhu,%hhu,%hhu,%hhu%n", &op->kind, &op->a, &op->b, &op->c,
			   &used) != 4 || op->kind >= NR_OP_KINDS)
			return false;
	}
	return *text == '\n' || *text == ' ' || !*text;
}

/* ---- search ---- */

/* What is kept: the worst so far of each lock, each call, and the holds of each call. */
static const char whole_call[] = "whole call", any_lock[] = "any lock";
static struct elite {
	const char *lock;	/* or whole_call or any_lock */
	u8 probe;
	u64 work;
	struct state state;
} elites[MAX_LOCKS + 2 * ARRAY_SIZE(probes)];
static u32 nr_elites;
static u64 rng;

static u32 pick(u32 n)
{
	return random_below(&rng, n);
}

static struct op random_op(void)
{
	return (struct op) { 1 + pick(NR_OP_KINDS - 1), pick(256), pick(256), pick(256) };
}

static void random_shape(struct state *st)
{
	static const u8 shifts[] = { 8, 8, 8, 0, 4, 12 };

	st->gib = pick(8) ? pick(2) : 2 + pick(7);
	st->unit_shift = shifts[pick(ARRAY_SIZE(shifts))];
	st->cpus = pick(2) ? 1 + pick(4) : 1 + pick(NR_CPUS - 1);
}

static void random_state(struct state *st)
{
	u32 i;

	*st = (struct state) { .nr_ops = 1 + pick(6), .first = pick(ARRAY_SIZE(probes)) };
	random_shape(st);
	for (i = 0; i < st->nr_ops; i++)
		st->ops[i] = random_op();
}

static void change_one(struct state *st)
{
	u32 i = pick(st->nr_ops), kind = pick(10);
	u8 *values = &st->ops[i].a;

	if (kind < 4) {
		values[pick(3)] = pick(2) ? pick(256) : values[pick(3)] + pick(5) - 2;
	} else if (kind < 6 && st->nr_ops < MAX_OPS) {
		memmove(&st->ops[i + 1], &st->ops[i], (st->nr_ops++ - i) * sizeof(struct op));
		st->ops[i] = random_op();
	} else if (kind == 6 && st->nr_ops > 1) {
		memmove(&st->ops[i], &st->ops[i + 1], (--st->nr_ops - i) * sizeof(struct op));
	} else if (kind == 7) {
		st->first = pick(ARRAY_SIZE(probes));
	} else if (kind == 8) {
		random_shape(st);
	} else {
		st->ops[i] = random_op();
	}
}

static struct elite *elite_of(const char *lock, u8 probe)
{
	bool of_probe = lock == whole_call || lock == any_lock;
	struct elite *e;

	for (e = elites; e < elites + nr_elites; e++)
		if (!strcmp(e->lock, lock) && (!of_probe || e->probe == probe))
			return e;
	*e = (struct elite) { .lock = lock, .probe = probe };
	nr_elites++;
	return e;
}

static void keep_if_worse(struct elite *e, u8 probe, u64 work, const struct state *st)
{
	if (work <= e->work)
		return;
	e->probe = probe;
	e->work = work;
	e->state = *st;
}

static void keep(const struct found *f, const struct state *st)
{
	u32 i;

	for (i = 0; i < MAX_LOCKS && f->holds[i].lock; i++)
		keep_if_worse(elite_of(f->holds[i].lock, 0), f->by[i], f->holds[i].work, st);
	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		keep_if_worse(elite_of(whole_call, i), i, f->call[i], st);
		keep_if_worse(elite_of(any_lock, i), i, f->longest[i], st);
	}
}

static void print_elites(void)
{
	const struct elite *e;

	for (e = elites; e < elites + nr_elites; e++) {
		printf("%-24s %-14s %9llu ", e->lock, probes[e->probe].name, e->work);
		print_state(&e->state);
		printf("\n");
	}
	fflush(stdout);
}

static int search(unsigned long minutes)
{
	time_t end = time(NULL) + minutes * 60, said = time(NULL);
	struct state st;
	struct found f;
	u64 nr = 0;
	u32 i;

	for (; time(NULL) < end; nr++) {
		if (!nr_elites || !pick(8)) {
			random_state(&st);
		} else {
			st = elites[pick(nr_elites)].state;
			for (i = 1 + pick(3); i; i--)
				change_one(&st);
		}
		evaluate(&st, &f);
		keep(&f, &st);
		if (time(NULL) - said >= 60) {
			said = time(NULL);
			fprintf(stderr, "# %llu states\n", nr + 1);
		}
	}
	printf("# %llu states\n", nr);
	print_elites();
	return 0;
}

/* ---- the kept states ---- */

static u64 call_limit(const struct found *f, u32 i)
{
	switch (probes[i].search) {
	case PLAIN:
		return OTHER_LIMIT;
	case GOAL:
		return f->refused[i] ? OTHER_LIMIT : CALL_LIMIT;
	case ALIGNED:
		return f->refused[i] ? CALL_LIMIT : OTHER_LIMIT;
	default:
		return U64_MAX;
	}
}

/* Whether a state stays within the limits. */
static bool within(const struct found *f)
{
	bool ok = true;
	u32 i;

	for (i = 0; i < MAX_LOCKS && f->holds[i].lock; i++) {
		printf("# %-24s %-14s %9llu\n", f->holds[i].lock, probes[f->by[i]].name,
		       f->holds[i].work);
		if (is_spinlock(&f->holds[i]) && f->holds[i].work > HOLD_LIMIT)
			ok = false;
	}
	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		if (f->call[i] <= call_limit(f, i))
			continue;
		printf("# the call %s: %llu\n", probes[i].name, f->call[i]);
		ok = false;
	}
	return ok;
}

static int check_states(const char *path)
{
	FILE *list = fopen(path, "r");
	char line[512], name[64];
	u32 nr = 0, bad = 0;
	struct state st;
	struct found f;
	bool ok;
	int used;

	if (!list) {
		perror(path);
		return 2;
	}
	printf("TAP version 14\n");
	while (fgets(line, sizeof(line), list)) {
		if (*line == '#' || *line == '\n')
			continue;
		if (sscanf(line, "%63s %n", name, &used) != 1 || !parse_state(line + used, &st)) {
			fprintf(stderr, "%s: no state: %s", path, line);
			return 2;
		}
		evaluate(&st, &f);
		ok = within(&f);
		printf("%sok %u - %s: no hold and no search is long\n", ok ? "" : "not ", ++nr,
		       name);
		bad += !ok;
	}
	fclose(list);
	printf("1..%u\n", nr);
	return bad || !nr;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "minutes", required_argument, NULL, 'm' },
		{}
	};
	unsigned long minutes = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 's')
			rng = strtoull(optarg, NULL, 0);
		else if (c == 'm')
			minutes = strtoul(optarg, NULL, 0);
		else
			return 2;
	}
	live = malloc(MAX_LIVE * sizeof(*live));
	if (!live)
		return 2;
	smp_processor_id();	/* this thread is CPU 0 */
	if (!minutes && !argv[optind]) {
		fprintf(stderr, "worst: give --minutes, or a file with states\n");
		return 2;
	}
	if (!minutes)
		return check_states(argv[optind]);
	printf("# seed %llu\n", rng);
	return search(minutes);
}
