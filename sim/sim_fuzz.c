// SPDX-License-Identifier: GPL-2.0
/*
 * hybrid-sim fuzz: random operations, valid and invalid, on devices of random shape.
 * With one thread every answer is compared with the ledger: what is handed out, what is
 * refused and why, and that ENOSPC is returned only if nothing fits. For several threads
 * see sim_fuzz_threads.c.
 *
 * A seed makes its own device, and phases of operations that fill it, keep it full or
 * empty it. What a seed does is independent of --ops, which only limits the operations;
 * so "--seed N --ops M" reaches the same state again.
 */
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "sim_fuzz.h"
#include "slab/internal.h"

#define MAX_LIVE	8192
#define NR_FREED	8
#define NR_ENTRIES	32
#define NR_RESERVES	3
#define MAX_HELD	(1ULL << 14)	/* blocks; twice what TRIM asks for at a time */

struct one {
	struct fuzzer *z;
	struct extent live[MAX_LIVE];
	unsigned int nr_live, max_live;
	unsigned int nr_fixed;		/* the first of them, which are not freed */
	struct extent freed[NR_FREED];	/* recently */
	struct {
		struct hapool_reservation v;
		bool open;
		u64 blocks;		/* as far as the model knows */
	} reserves[NR_RESERVES];
	u64 usual;			/* usual length */
	u64 faults;			/* number before this operation */
	/* this phase */
	unsigned int mix[2], allocs, bad, parts, reserving;
	bool by_address;		/* frees: neighbours first */
	unsigned int next;
	u64 phase_end;
};

/* ---- counts and errors ---- */

static struct fuzz_count sum;
static u64 seeds, began;
static u64 nr_ops = 1000000;	/* unless --ops says otherwise */
static struct fuzzer *current_fuzzer;

void fuzz_count_add(struct fuzz_count *sum, const struct fuzz_count *c)
{
	const u64 *from = (const u64 *)c;
	u64 *to = (u64 *)sum;
	unsigned int i;

	for (i = 0; i < sizeof(*c) / sizeof(u64); i++)
		to[i] += from[i];
}

/* The counts of all seeds so far. */
static void summary(const char *ledger)
{
	const struct fuzz_count *c = &sum;

	out_begin();
	out_u64("seed", seed);
	out_u64("seeds", seeds);
	out_u64("threads", nr_threads);
	out_u64("ops", c->ops);
	out_double("seconds", (now_ns() - began) / 1e9, 3);
	out_u64("allocs", c->allocs);
	out_u64("ranges_of_lengths", c->uptos);
	out_u64("frees", c->frees);
	if (nr_threads > 1)
		out_u64("frees_by_two", c->duels);
	out_u64("claims", c->claims);
	out_u64("cuts", c->cuts);
	out_u64("splits", c->splits);
	out_u64("extends", c->extends);
	out_u64("holds", c->holds);
	out_u64("grows", c->grows);
	out_u64("map_lookups", c->looks);
	out_u64("checks", c->checks);
	out_u64("refused_not_allocated", c->refused[HYBRID_ALLOC_REASON_NOT_ALLOCATED]);
	out_u64("refused_wrong_start", c->refused[HYBRID_ALLOC_REASON_WRONG_START]);
	out_u64("refused_wrong_length", c->refused[HYBRID_ALLOC_REASON_WRONG_LENGTH]);
	out_u64("refused_claims", c->exists);
	out_u64("loads", c->loads);
	out_u64("reserves", c->reserves);
	out_u64("reserved_allocs", c->reserved_allocs);
	out_u64("reserved_refusals", c->reserved_refusals);
	out_u64("would_wait", c->again);
	out_u64("memory_faults", c->faults);
	out_u64("enomem", c->enomem);
	out_u64("enospc", c->enospc);
	out_u64("false_enospc", c->false_enospc);
	out_string("ledger", ledger);
	out_end();
}

static void say_again(const struct fuzzer *z)
{
	fprintf(stderr, "# again: hybrid-sim fuzz --seed %llu --ops %llu", z->seed,
		z->count.ops + 1);
	if (z->threads > 1)
		fprintf(stderr, " --threads %u", z->threads);
	if (given_situation)
		fprintf(stderr, " --situation %s", given_situation);
	if (z->threads > 1)
		fprintf(stderr, " (if the threads interleave as before)");
	fprintf(stderr, "\n");
}

void fuzz_wrong(struct fuzzer *z, const char *format, ...)
{
	static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
	va_list args;
	char what[200];

	pthread_mutex_lock(&once);
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	fprintf(stderr, "# wrong: seed %llu, operation %llu: %s\n", z->seed, z->count.ops, what);
	fprintf(stderr, "# blocks %llu to %llu, unit %u, slab_max %llu\n", z->cfg.first_block,
		z->cfg.nr_blocks, 1U << z->cfg.unit_shift, z->cfg.slab_max);
	if (!z->seed)
		abort();	/* libFuzzer keeps the bytes */
	say_again(z);
	fuzz_count_add(&sum, &z->count);
	summary(what);
	if (z->threads > 1)
		_exit(1);	/* other threads may be running */
	exit(1);
}

/* ---- memory that fails ---- */

struct fuzz_faults fuzz_faults;
__thread bool fuzz_is_freeing;
__thread u64 fuzz_nr_faults;

static __thread u64 fault_rng;

static bool on_kmalloc(gfp_t gfp)
{
	if (fuzz_is_freeing)
		fuzz_wrong(current_fuzzer, "a free asks for memory");
	if (!fuzz_faults.every || (gfp & __GFP_NOFAIL) ||
	    (gfpflags_allow_blocking(gfp) && !fuzz_faults.all) ||
	    random_below(&fault_rng, fuzz_faults.every))
		return false;
	fuzz_nr_faults++;
	return true;
}

/* Resets the state of the thread, so that the seeds before this one have no influence. */
void fuzz_begin_thread(u64 seed, int cpu)
{
	fault_rng = seed;
	fuzz_nr_faults = 0;
	sim_set_cpu(cpu);
}

void fuzz_draw_faults(struct dice *d, bool all)
{
	fuzz_faults.every = pick(d, 4) ? 0 : 1 + pick(d, 30);
	fuzz_faults.all = all && !pick(d, 3);
}

int fuzz_free(struct fuzzer *z, u64 start, u64 len, enum hybrid_alloc_reason *reason)
{
	int ret;

	fuzz_is_freeing = true;
	ret = hapool_free(&z->pool, start, len, reason);
	fuzz_is_freeing = false;
	return ret;
}

/* A failed assertion, or a seed that does not end. */
static void on_signal(int sig)
{
	const struct fuzzer *z = current_fuzzer;

	if (z) {
		fprintf(stderr, "# wrong: seed %llu, operation %llu: %s\n", z->seed, z->count.ops,
			sig == SIGALRM ? "no progress" : strsignal(sig));
		say_again(z);
	}
	_exit(1);
}

/* ---- the device ---- */

/* From one block to 64 TiB, mostly odd sizes. */
static void draw_shape(struct fuzzer *z)
{
	static const u8 bits[] = { 6, 12, 18, 18, 22, 28, 34, 34 };
	struct haslab_config *cfg = &z->cfg;
	/* libFuzzer needs fast runs: no large devices */
	u64 kinds = ARRAY_SIZE(bits) - (z->dice.bytes ? 3 : 0);
	u64 nr = 1ULL << pick(&z->dice, bits[pick(&z->dice, kinds)] + 1), unit;

	nr = min(nr + pick(&z->dice, pick(&z->dice, 2) ? nr : 3), MAX_BLOCKS);
	cfg->unit_shift = 8;
	cfg->slab_max = 128;
	if (pick(&z->dice, 3)) {
		cfg->unit_shift = pick(&z->dice, HASLAB_MAX_SHIFT + 1);
		cfg->slab_max = 1ULL << pick(&z->dice, 11);
	}
	cfg->first_block = pick(&z->dice, 3) ? 0 : pick_log(&z->dice, 22);
	cfg->nr_groups = pick(&z->dice, 6);
	cfg->nr_blocks = cfg->first_block + nr;
	unit = 1ULL << cfg->unit_shift;
	if ((cfg->first_block + unit - 1) / unit * unit <= cfg->nr_blocks)
		return;
	/* no whole unit, but a first block that is not 0: this is invalid */
	if (hapool_init(&z->pool, cfg) != -EINVAL)
		fuzz_wrong(z, "init: an invalid shape was accepted");
	cfg->first_block = 0;
	cfg->nr_blocks = nr;
}

/* The metadata, but for the tables of sums: a walk makes them, if memory does not fail. */
static long metadata_of(const struct hapool *p)
{
	long bytes = atomic_long_read(&p->slab.mem.bytes);
	u64 dir;

	for (dir = 0; dir < p->slab.nr_dirs; dir++)
		bytes -= ksize(p->slab.sums.tables[dir]);
	return bytes;
}

void fuzz_begin(struct fuzzer *z)
{
	struct hapool_stat st;
	int ret;

	current_fuzzer = z;
	sim_fails = on_kmalloc;
	fuzz_begin_thread(z->seed, 0);
	draw_shape(z);
	z->objects = sim_objects();
	z->ledger = ledger_new(z->cfg.first_block, z->cfg.nr_blocks);
	ret = hapool_init(&z->pool, &z->cfg);
	if (ret)
		fuzz_wrong(z, "init: %d", ret);
	hapool_stat(&z->pool, &st, false);
	z->metadata = metadata_of(&z->pool);
	z->percpu = st.percpu;
	if (hapool_grow(&z->pool, z->cfg.nr_blocks - 1, GFP_KERNEL) != -EINVAL)
		fuzz_wrong(z, "grow: a smaller size was accepted");
}

/* The metadata of a new device of this size. */
static long metadata_of_new(struct fuzzer *z)
{
	struct haslab_config cfg = z->cfg;
	struct hapool *p = malloc(sizeof(*p));
	long bytes;

	/* a device that has grown keeps its number of groups */
	cfg.nr_groups = z->pool.slab.nr_groups;
	if (hapool_init(p, &cfg))
		fuzz_wrong(z, "init of another device of the same size");
	bytes = metadata_of(p);
	hapool_destroy(p);
	free(p);
	return bytes;
}

/* All extents have been freed: all space and memory must have come back. */
void fuzz_end(struct fuzzer *z)
{
	struct hapool_stat st;
	long bytes;

	hapool_drain(&z->pool);
	fuzz_compare(z, true);
	bytes = metadata_of(&z->pool);
	if (z->count.grows)
		z->metadata = metadata_of_new(z);
	/*
	 * A device that has grown may keep the nodes that led to its old end; one that
	 * could not grow may keep what the next attempt needs.
	 */
	if (ledger_nr(z->ledger) || bytes < z->metadata - 128 * (long)z->count.grows ||
	    (bytes > z->metadata + 128 * (long)z->count.grows && !z->grow_failed))
		fuzz_wrong(z, "after all was freed: %llu extents, metadata %ld, at the start %ld",
			   ledger_nr(z->ledger), bytes, z->metadata);
	hapool_shrink(&z->pool, ULONG_MAX);
	hapool_stat(&z->pool, &st, false);
	if (st.percpu != z->percpu)
		fuzz_wrong(z, "without magazines: %llu bytes for the CPUs, at the start %llu",
			   st.percpu, z->percpu);
	hapool_destroy(&z->pool);
	if (sim_objects() != z->objects)
		fuzz_wrong(z, "after it was destroyed: %ld objects are left",
			   sim_objects() - z->objects);
	ledger_free(z->ledger);
	sim_fails = NULL;
	current_fuzzer = NULL;
}

u64 fuzz_len(struct dice *d, unsigned int mix, u64 usual, u64 size)
{
	u64 len = usual | 1;
	unsigned int bits = ilog2(size) + 1;

	switch (mix) {
	case 0:		/* common sizes */
		len = pick(d, 2) ? 1 + pick(d, 16) : 16ULL << pick(d, 7);
		break;
	case 1:
		len = pick_log(d, 14);
		break;
	case 2:		/* to 4 MiB */
		len = 1 + pick(d, 1024);
		break;
	case FUZZ_MIX_USUAL:
		len = 1 + pick(d, 2 * usual);
		break;
	case 4:
		len = pick_log(d, bits);
		break;
	case 5:
		len = 1ULL << pick(d, bits);
		break;
	}
	return min(len, size);
}

/* ---- the reports of the allocator ---- */

/*
 * Whether an entry of the map is right. Held blocks are neither live nor free; the map
 * may list them in pieces, and as CACHED.
 */
static bool entry_is_right(const struct fuzzer *z, const struct haslab_extent *e)
{
	bool taken, held;
	struct extent x;

	taken = ledger_find(z->ledger, e->start, &x);
	held = taken && x.start == z->held.start && z->held.len;
	if (e->state == HYBRID_ALLOC_MAP_LIVE)
		return taken && !held && x.start == e->start && x.len == e->len;
	if (held)
		return e->state != HYBRID_ALLOC_MAP_FREE && e->start + e->len <= x.start + x.len;
	return e->state != HYBRID_ALLOC_MAP_HELD && ledger_is_free(z->ledger, e->start, e->len);
}

static void compare_map(struct fuzzer *z)
{
	struct haslab_extent entries[NR_ENTRIES], *e;
	u64 pos = z->cfg.first_block, nr = 0;
	int i, got, page = 1 + pick(&z->dice, NR_ENTRIES);

	while ((got = hapool_map(&z->pool, pos, entries, page)) > 0) {
		for (i = 0; i < got; i++) {
			e = &entries[i];
			if (e->start != pos || !e->len)
				fuzz_wrong(z, "map: %llu blocks at %llu, expected at %llu", e->len,
					   e->start, pos);
			if (!entry_is_right(z, e))
				fuzz_wrong(z, "map: %llu blocks at %llu are not of state %d",
					   e->len, pos, e->state);
			nr += e->state == HYBRID_ALLOC_MAP_LIVE;
			pos += e->len;
		}
	}
	if (pos != z->cfg.nr_blocks || nr + !!z->held.len != ledger_nr(z->ledger))
		fuzz_wrong(z, "map: ends at %llu, with %llu extents", pos, nr);
}

static void compare_runs(struct fuzzer *z, const struct hapool_stat *st)
{
	struct haslab_histogram h;
	struct ledger_runs runs;
	int i;

	ledger_runs(z->ledger, &runs);
	if (st->slab.nr_runs != runs.nr || st->slab.largest_run != runs.largest)
		fuzz_wrong(z, "free runs: %llu of %llu, largest %llu of %llu", st->slab.nr_runs,
			   runs.nr, st->slab.largest_run, runs.largest);
	hapool_histogram(&z->pool, &h);
	for (i = 0; i < ARRAY_SIZE(h.count); i++)
		if (h.count[i] != runs.count[i] || h.blocks[i] != runs.blocks[i])
			fuzz_wrong(z, "histogram: %llu blocks in %llu runs of 2^%d: %llu in %llu",
				   h.blocks[i], h.count[i], i, runs.blocks[i], runs.count[i]);
}

/* The layers' own check visits every unit, so large devices are checked less often. */
static bool check_is_due(struct fuzzer *z)
{
	u64 much = (fuzz_size(z) >> z->cfg.unit_shift) >> 14;

	return z->dice.bytes ? much < 4 : !pick(&z->dice, 1 + much);
}

/* No other thread may be running. */
void fuzz_compare(struct fuzzer *z, bool drained)
{
	u64 used = ledger_used(z->ledger);
	struct hapool_stat st;
	int i;

	z->count.checks++;
	if (check_is_due(z) && hapool_check(&z->pool))
		fuzz_wrong(z, "hapool_check() has found a broken invariant");
	hapool_stat(&z->pool, &st, drained);
	if (st.charged + st.retired != used ||
	    st.nr_live + !!st.retired != ledger_nr(z->ledger) ||
	    st.capacity != fuzz_size(z) ||
	    st.capacity != st.charged + st.retired + st.cached + st.slab.free)
		fuzz_wrong(z,
			   "stat: charged %llu/%llu, held %llu, cached %llu, free %llu, not %llu/%llu",
			   st.charged, st.nr_live, st.retired, st.cached, st.slab.free, used,
			   ledger_nr(z->ledger));
	if (st.reserved != z->reserved ||
	    st.reserved_refusals != z->count.reserved_refusals - z->reserved_refusals)
		fuzz_wrong(z, "stat: %llu reserved, %llu refusals because of that, not %llu, %llu",
			   st.reserved, st.reserved_refusals, z->reserved,
			   z->count.reserved_refusals - z->reserved_refusals);
	for (i = 0; i < HYBRID_ALLOC_REASON_COUNT; i++)
		if (st.refused[i] != z->count.refused[i] - z->refused[i])
			fuzz_wrong(z, "stat: %llu frees refused for reason %d, not %llu",
				   st.refused[i], i, z->count.refused[i] - z->refused[i]);
	compare_map(z);
	if (!drained)
		return;
	if (st.cached)
		fuzz_wrong(z, "stat: %llu cached after a drain", st.cached);
	compare_runs(z, &st);
}

/* ---- operations, with one thread ---- */

/* Whether an operation may have failed for lack of memory. */
static bool no_memory(struct one *o, int ret)
{
	if (ret != -ENOMEM || !fuzz_faults.all || fuzz_nr_faults == o->faults)
		return false;
	o->z->count.enomem++;
	return true;
}

/* An allocation that finds nothing waits for blocks that are held: the holder must not wait. */
static gfp_t gfp_of(struct one *o)
{
	return o->z->held.len || !pick(&o->z->dice, 16) ? GFP_NOWAIT : GFP_KERNEL;
}

static u64 draw_len(struct one *o)
{
	struct fuzzer *z = o->z;

	return fuzz_len(&z->dice, o->mix[pick(&z->dice, 2)], o->usual, fuzz_size(z));
}

static void add_live(struct one *o, u64 start, u64 len)
{
	o->live[o->nr_live++] = (struct extent) { start, len };
}

/* How many blocks are free beyond all reservations. What is held is counted as free. */
static u64 unreserved(const struct fuzzer *z)
{
	u64 used = ledger_used(z->ledger) - z->held.len + z->reserved;

	return fuzz_size(z) - min(used, fuzz_size(z));
}

static bool is_there(const struct fuzzer *z, u64 nr)
{
	return nr <= unreserved(z);
}

/*
 * A call for @len blocks that names no reservation has returned @ret. Return: whether that ends it.
 */
static bool was_reserved(struct fuzzer *z, const char *what, u64 len, int ret)
{
	if (ret != -EDQUOT && ret)
		return false;
	if ((ret == -EDQUOT) != (z->reserved && !is_there(z, len)))
		fuzz_wrong(z, "%s of %llu blocks, %llu of %llu reserved: %d", what, len,
			   z->reserved, fuzz_size(z) - ledger_used(z->ledger) + z->held.len, ret);
	z->count.reserved_refusals += !!ret;
	return ret;
}

/* Some place, or the end of an extent, as of a file that grows. */
static u64 draw_goal(struct one *o)
{
	struct fuzzer *z = o->z;
	const struct extent *e;

	if (!o->nr_live || !pick(&z->dice, 2))
		return z->cfg.first_block + pick(&z->dice, fuzz_size(z));
	/* of the last ones more often: they may still be where they were put to go on */
	e = &o->live[o->nr_live - 1 - pick(&z->dice, pick(&z->dice, 2) ? o->nr_live :
						     min_t(u64, o->nr_live, 8))];
	return e->start + e->len;
}

/* An allocation of @max blocks, or of as many as there are, from @min up. */
static int alloc_upto(struct fuzzer *z, u64 min, u64 *len, u64 align, u64 goal, gfp_t gfp,
		      u64 *start)
{
	u64 max = *len, longest;
	int ret;

	longest = ledger_longest(z->ledger, max(min, min(max, unreserved(z))), align);
	*len = min;
	ret = hapool_alloc_upto(&z->pool, len, max, align, goal, gfp, start);
	if (!ret && *len != longest)
		fuzz_wrong(z, "alloc of %llu to %llu blocks aligned to %llu: %llu, longest %llu",
			   min, max, align, *len, longest);
	if (ret)
		*len = min;
	z->count.uptos++;
	return ret;
}

static void do_alloc(struct one *o)
{
	struct fuzzer *z = o->z;
	u64 len = draw_len(o), align = 1, start;
	u64 goal = HAPOOL_NO_GOAL;
	gfp_t gfp = gfp_of(o);
	const char *why;
	int ret;

	if (!pick(&z->dice, 6))
		align <<= pick(&z->dice, 19);
	else if (!pick(&z->dice, 12))
		align = pick_log(&z->dice, 14);
	if (!pick(&z->dice, 5))
		goal = draw_goal(o);
	z->count.allocs++;
	if (!pick(&z->dice, 6))
		ret = alloc_upto(z, 1 + pick(&z->dice, pick(&z->dice, 2) ? len : min(len, 4ULL)),
				 &len, align, goal, gfp, &start);
	else
		ret = hapool_alloc(&z->pool, len, align, goal, gfp, &start);
	if (was_reserved(z, "alloc", len, ret))
		return;
	if (ret == -EAGAIN && gfp == GFP_NOWAIT) {
		z->count.again++;
		return;
	}
	if (ret == -ENOSPC) {
		z->count.enospc++;
		z->count.false_enospc += ledger_fits(z->ledger, len, align);
		if (z->count.false_enospc)
			fuzz_wrong(z, "alloc: false ENOSPC: %llu blocks aligned to %llu fit", len,
				   align);
		return;
	}
	if (no_memory(o, ret))
		return;
	if (ret)
		fuzz_wrong(z, "alloc of %llu blocks aligned to %llu: %d", len, align, ret);
	why = ledger_take(z->ledger, start, len, align);
	if (why)
		fuzz_wrong(z, "alloc of %llu blocks aligned to %llu: %s", len, align, why);
	add_live(o, start, len);
}

static void claim(struct one *o, u64 start, u64 len)
{
	struct fuzzer *z = o->z;
	bool is_free = ledger_is_free(z->ledger, start, len);
	gfp_t gfp = gfp_of(o);
	int ret;

	z->count.claims++;
	ret = hapool_claim(&z->pool, start, len, gfp);
	if (was_reserved(z, "claim", len, ret))
		return;
	if (ret == -EAGAIN && gfp == GFP_NOWAIT) {
		z->count.again++;
		return;
	}
	if (no_memory(o, ret))
		return;
	if (ret != (is_free ? 0 : -EEXIST))
		fuzz_wrong(z, "claim of %llu blocks at %llu (%s): %d", len, start,
			   is_free ? "free" : "taken", ret);
	if (ret) {
		z->count.exists++;
		return;
	}
	ledger_take(z->ledger, start, len, 1);
	add_live(o, start, len);
}

/* Reserve blocks, or give some back: often all but a few that are free, or those and more. */
static void do_reserve(struct one *o)
{
	struct fuzzer *z = o->z;
	unsigned int i = pick(&z->dice, NR_RESERVES);
	u64 free = fuzz_size(z) - ledger_used(z->ledger) + z->held.len - z->reserved, nr;
	gfp_t gfp = gfp_of(o);
	int ret;

	if (!o->reserves[i].open) {
		/* the first one waits for the holder */
		if (z->held.len)
			return;
		ret = hapool_reservation_open(&z->pool, &o->reserves[i].v);
		if (no_memory(o, ret))
			return;
		if (ret)
			fuzz_wrong(z, "a reservation cannot be opened: %d", ret);
		o->reserves[i].open = true;
	}
	if (!pick(&z->dice, 3)) {
		nr = pick(&z->dice, o->reserves[i].blocks + 2);
		ret = hapool_unreserve(&z->pool, &o->reserves[i].v, nr);
		if (ret != (nr > o->reserves[i].blocks ? -EINVAL : 0))
			fuzz_wrong(z, "unreserve of %llu blocks of %llu: %d", nr,
				   o->reserves[i].blocks, ret);
		if (!ret) {
			o->reserves[i].blocks -= nr;
			z->reserved -= nr;
		}
		return;
	}
	nr = pick(&z->dice, 2) ? pick_log(&z->dice, 8) : free + 2 - min(free, pick(&z->dice, 6));
	z->count.reserves++;
	ret = hapool_reserve(&z->pool, &o->reserves[i].v, nr, gfp);
	if (ret == -EAGAIN && gfp == GFP_NOWAIT) {
		z->count.again++;
		return;
	}
	if (ret != (nr <= free ? 0 : -EDQUOT))
		fuzz_wrong(z, "reserve of %llu blocks, %llu are free: %d", nr, free, ret);
	z->count.reserved_refusals += !!ret;
	if (!ret) {
		o->reserves[i].blocks += nr;
		z->reserved += nr;
	}
}

static void close_reserve(struct one *o, unsigned int i)
{
	if (!o->reserves[i].open)
		return;
	hapool_reservation_close(&o->z->pool, &o->reserves[i].v);
	o->z->reserved -= o->reserves[i].blocks;
	o->reserves[i].blocks = 0;
	o->reserves[i].open = false;
}

/* The last extent goes back into the reservation that it came from. */
static void undo_reserved(struct one *o, unsigned int i)
{
	struct fuzzer *z = o->z;
	struct extent e = o->live[--o->nr_live];
	int ret;

	ledger_give(z->ledger, e.start, e.len);
	fuzz_is_freeing = true;
	ret = hapool_unalloc(&z->pool, &o->reserves[i].v, e.start, e.len);
	fuzz_is_freeing = false;
	if (ret)
		fuzz_wrong(z, "undo of %llu blocks at %llu: %d", e.len, e.start, ret);
	o->reserves[i].blocks += e.len;
	z->reserved += e.len;
}

/* Mostly of single blocks, which must be there; some from a shortest to a longest length. */
static void do_alloc_reserved(struct one *o)
{
	struct fuzzer *z = o->z;
	unsigned int i = pick(&z->dice, NR_RESERVES);
	u64 max = pick(&z->dice, 4) ? 1 : draw_len(o), align = 1, start, len, least, longest;
	gfp_t gfp = gfp_of(o);
	const char *why;
	int ret;

	if (!o->reserves[i].open)
		return;
	len = pick(&z->dice, 3) ? max : 1 + pick(&z->dice, max);
	if (!pick(&z->dice, 6))
		align <<= pick(&z->dice, 4);
	else if (!pick(&z->dice, 12))
		align = pick_log(&z->dice, 8);
	z->count.reserved_allocs++;
	longest = ledger_longest(z->ledger, max(len, min(max, o->reserves[i].blocks)), align);
	least = len;
	ret = hapool_alloc_reserved(&z->pool, &o->reserves[i].v, &len, max, align, HAPOOL_NO_GOAL,
				    gfp, &start);
	if (ret == -EAGAIN && gfp == GFP_NOWAIT) {
		z->count.again++;
		return;
	}
	if (!ret && len != longest)
		fuzz_wrong(z, "alloc of %llu to %llu blocks aligned to %llu, %llu reserved: %llu",
			   least, max, align, o->reserves[i].blocks, len);
	if (ret)
		len = least;
	if ((!ret && len > o->reserves[i].blocks) ||
	    (ret == -ENOSPC && ((len == 1 && align == 1) || ledger_fits(z->ledger, len, align))) ||
	    (ret && ret != (len > o->reserves[i].blocks ? -EINVAL : -ENOSPC)))
		fuzz_wrong(z, "alloc of %llu blocks aligned to %llu, of %llu reserved: %d", len,
			   align, o->reserves[i].blocks, ret);
	if (ret)
		return;
	why = ledger_take(z->ledger, start, len, align);
	if (why)
		fuzz_wrong(z, "alloc of %llu reserved blocks aligned to %llu: %s", len, align, why);
	o->reserves[i].blocks -= len;
	z->reserved -= len;
	add_live(o, start, len);
	if (!pick(&z->dice, 8))
		undo_reserved(o, i);
}

/* Anywhere, or next to an extent. */
static u64 some_block(struct one *o)
{
	struct fuzzer *z = o->z;
	struct extent *e;

	if (!o->nr_live || pick(&z->dice, 2))
		return z->cfg.first_block + pick(&z->dice, fuzz_size(z));
	e = &o->live[pick(&z->dice, o->nr_live)];
	return e->start + e->len < z->cfg.nr_blocks ? e->start + e->len : e->start;
}

static void do_claim(struct one *o)
{
	struct fuzzer *z = o->z;
	u64 start = some_block(o), len = draw_len(o);

	claim(o, start, min(len, z->cfg.nr_blocks - start));
}

static void free_live(struct one *o, unsigned int i)
{
	enum hybrid_alloc_reason reason = HYBRID_ALLOC_REASON_NONE;
	struct fuzzer *z = o->z;
	struct extent e = o->live[i];
	const char *why = ledger_give(z->ledger, e.start, e.len);
	int ret = fuzz_free(z, e.start, e.len, &reason);

	z->count.frees++;
	if (ret || why)
		fuzz_wrong(z, "free of %llu blocks at %llu: %d, reason %d; %s", e.len, e.start,
			   ret, reason, why ?: "");
	o->freed[z->count.frees % NR_FREED] = e;
	o->live[i] = o->live[--o->nr_live];
}

static void do_free(struct one *o)
{
	struct fuzzer *z = o->z;
	unsigned int nr = o->nr_live - o->nr_fixed;

	if (o->by_address && nr)
		/* in the order of their allocation, mostly that of their addresses */
		free_live(o, o->nr_fixed + o->next++ % nr);
	else if (nr)
		free_live(o, o->nr_fixed + pick(&z->dice, nr));
}

/* What a free must return. */
static int expect_free(struct one *o, u64 start, u64 len, enum hybrid_alloc_reason *reason)
{
	struct fuzzer *z = o->z;
	struct extent e;

	*reason = HYBRID_ALLOC_REASON_NOT_ALLOCATED;
	if (!ledger_find(z->ledger, start, &e) ||
	    (z->held.len && e.start == z->held.start))
		return -ENOENT;
	*reason = HYBRID_ALLOC_REASON_WRONG_START;
	if (e.start != start)
		return -EINVAL;
	*reason = HYBRID_ALLOC_REASON_WRONG_LENGTH;
	return e.len == len ? 0 : -EINVAL;
}

/* A free that is almost right, or not at all. */
static void do_wrong_free(struct one *o)
{
	enum hybrid_alloc_reason reason = HYBRID_ALLOC_REASON_NONE, expected;
	struct fuzzer *z = o->z;
	u64 start, len = draw_len(o);
	struct extent *e = &o->freed[pick(&z->dice, NR_FREED)];
	int ret, err;

	switch (pick(&z->dice, 6)) {
	case 0:		/* anywhere */
		start = z->cfg.first_block + pick(&z->dice, fuzz_size(z));
		break;
	case 1:		/* a second free */
		start = e->start;
		len = e->len;
		break;
	case 2:
		start = z->held.start;
		if (pick(&z->dice, 2))
			len = z->held.len;
		break;
	default:
		if (!o->nr_live)
			return;
		e = &o->live[pick(&z->dice, o->nr_live)];
		start = e->start;
		if (pick(&z->dice, 2))
			start += pick(&z->dice, e->len);
		if (!pick(&z->dice, 3))
			len = e->len;
		else if (pick(&z->dice, 2))
			len = e->len - 1 + pick(&z->dice, 3);
	}
	if (!len || start < z->cfg.first_block || start + len > z->cfg.nr_blocks)
		return;		/* hapool_free() expects a range on the device */
	err = expect_free(o, start, len, &expected);
	if (!err)
		return;
	ret = fuzz_free(z, start, len, &reason);
	if (ret != err || reason != expected)
		fuzz_wrong(z, "wrong free of %llu blocks at %llu: %d, reason %d; expected %d, %d",
			   len, start, ret, reason, err, expected);
	if (hapool_charged(&z->pool) + z->held.len != ledger_used(z->ledger))
		fuzz_wrong(z, "wrong free of %llu blocks at %llu: charged %llu", len, start,
			   hapool_charged(&z->pool));
	z->count.refused[reason]++;
}

/* ---- parts of extents ---- */

/* The extent at @i of the list is replaced by what remains of it, if that is not empty. */
static void replace_live(struct one *o, unsigned int i, u64 start, u64 len, u64 next, u64 next_len)
{
	struct fuzzer *z = o->z;
	struct extent e = o->live[i];

	if (ledger_give(z->ledger, e.start, e.len) ||
	    (len && ledger_take(z->ledger, start, len, 1)) ||
	    (next_len && ledger_take(z->ledger, next, next_len, 1)))
		fuzz_wrong(z, "a part of %llu blocks at %llu", e.len, e.start);
	o->live[i] = o->live[--o->nr_live];
	if (len)
		add_live(o, start, len);
	if (next_len)
		add_live(o, next, next_len);
}

/* Whether a call for a part may have failed as it did. It has changed nothing then. */
static bool part_failed(struct one *o, int ret, gfp_t gfp)
{
	if (ret == -EAGAIN && gfp == GFP_NOWAIT) {
		o->z->count.again++;
		return true;
	}
	return no_memory(o, ret);
}

static void do_cut(struct one *o, unsigned int i)
{
	enum hybrid_alloc_reason reason, expected = HYBRID_ALLOC_REASON_NONE;
	struct fuzzer *z = o->z;
	struct extent e = o->live[i];
	u64 start = e.start + pick(&z->dice, e.len), end = e.start + e.len, len;
	gfp_t gfp = gfp_of(o);
	int ret;

	if (!pick(&z->dice, 3))
		start = e.start;
	len = pick(&z->dice, 3) ? 1 + pick(&z->dice, end - start) : end - start;
	if (!pick(&z->dice, 8))
		len += 1 + pick(&z->dice, 4);
	if (start + len > z->cfg.nr_blocks)
		return;
	if (start + len > end)
		expected = HYBRID_ALLOC_REASON_WRONG_LENGTH;
	ret = hapool_cut(&z->pool, start, len, gfp, &reason);
	z->count.cuts++;
	if (part_failed(o, ret, gfp))
		return;
	if (ret != (expected ? -EINVAL : 0) || reason != expected)
		fuzz_wrong(z, "cut of %llu blocks at %llu, out of %llu at %llu: %d, reason %d", len,
			   start, e.len, e.start, ret, reason);
	if (!ret)
		replace_live(o, i, e.start, start - e.start, start + len, end - start - len);
}

/* Of nothing, or of what is held. */
static void do_wrong_cut(struct one *o)
{
	enum hybrid_alloc_reason reason, expected;
	struct fuzzer *z = o->z;
	u64 start = some_block(o);
	int ret, err = expect_free(o, start, 1, &expected);

	if (err != -ENOENT)
		return;
	ret = hapool_cut(&z->pool, start, 1, GFP_NOWAIT, &reason);
	if (ret != err || reason != expected)
		fuzz_wrong(z, "cut of a block at %llu: %d, reason %d", start, ret, reason);
}

static void do_split(struct one *o, unsigned int i)
{
	struct fuzzer *z = o->z;
	enum hybrid_alloc_reason reason;
	struct extent e = o->live[i];
	gfp_t gfp = gfp_of(o);
	u64 at;
	int ret;

	if (e.len < 2)
		return;
	at = e.start + 1 + pick(&z->dice, e.len - 1);
	ret = hapool_split(&z->pool, e.start, e.len, at, gfp, &reason);
	z->count.splits++;
	if (part_failed(o, ret, gfp))
		return;
	if (ret)
		fuzz_wrong(z, "split of %llu blocks at %llu, at %llu: %d, reason %d", e.len,
			   e.start, at, ret, reason);
	replace_live(o, i, e.start, at - e.start, at, e.start + e.len - at);
}

static void do_extend(struct one *o, unsigned int i)
{
	struct fuzzer *z = o->z;
	struct extent e = o->live[i];
	u64 most = draw_len(o), least = pick(&z->dice, 2) ? most : 1 + pick(&z->dice, most);
	u64 end = e.start + e.len, len = 0, got;
	enum hybrid_alloc_reason reason;
	gfp_t gfp = gfp_of(o);
	int ret;

	if (end < z->cfg.nr_blocks)
		len = min(most, ledger_free_from(z->ledger, end));
	ret = hapool_extend(&z->pool, e.start, e.len, least, most, gfp, &got, &reason);
	z->count.extends++;
	if (part_failed(o, ret, gfp))
		return;
	/* no more than is not reserved */
	if (z->reserved)
		len = min(len, unreserved(z));
	if (ret == -EDQUOT) {
		if (!z->reserved || is_there(z, least))
			fuzz_wrong(z, "extend by %llu blocks, %llu reserved: %d", least,
				   z->reserved, ret);
		z->count.reserved_refusals++;
		return;
	}
	if (z->reserved && !is_there(z, least))
		fuzz_wrong(z, "extend by %llu blocks, %llu reserved: %d", least, z->reserved, ret);
	if (ret != (len < least ? -ENOSPC : 0) || (!ret && got != len))
		fuzz_wrong(z, "extend of %llu blocks at %llu, by %llu to %llu of %llu: %d, %llu",
			   e.len, e.start, least, most, len, ret, got);
	if (!ret)
		replace_live(o, i, e.start, e.len + got, 0, 0);
}

static void do_part(struct one *o)
{
	struct dice *d = &o->z->dice;
	unsigned int nr = o->nr_live - o->nr_fixed, i;

	if (!nr || o->nr_live + 2 > o->max_live)
		return;
	i = o->nr_fixed + pick(d, nr);
	switch (pick(d, 8)) {
	case 0:
	case 1:
		do_split(o, i);
		break;
	case 2:
	case 3:
		do_extend(o, i);
		break;
	case 4:
		do_wrong_cut(o);
		break;
	default:
		do_cut(o, i);
	}
}

/* Looks up one block. */
static void do_look(struct one *o)
{
	struct fuzzer *z = o->z;
	u64 block = some_block(o), start, len;
	struct haslab_extent entry;

	z->count.looks++;
	if (hapool_map(&z->pool, block, &entry, 1) != 1 || !entry_is_right(z, &entry) ||
	    block < entry.start || block >= entry.start + entry.len)
		fuzz_wrong(z, "map: %llu blocks at %llu of state %d, block %llu", entry.len,
			   entry.start, entry.state, block);
	if (hapool_next_free(&z->pool, block, &start, &len) &&
	    (start < block || !ledger_is_free(z->ledger, start, len)))
		fuzz_wrong(z, "next free: %llu blocks at %llu, from %llu", len, start, block);
}

/* As TRIM does. */
static void do_hold(struct one *o)
{
	struct fuzzer *z = o->z;
	u64 start, len;
	int ret;

	if (z->held.len) {
		hapool_unhold(&z->pool, z->held.start, z->held.len);
		ledger_give(z->ledger, z->held.start, z->held.len);
		z->held.len = 0;
		return;
	}
	if (!hapool_next_free(&z->pool, some_block(o), &start, &len))
		return;
	if (len > 1 && pick(&z->dice, 2)) {
		start += pick(&z->dice, len) / 2;
		len = 1 + pick(&z->dice, len / 2);
	}
	/* the map has an entry for each held unit of the buddy */
	len = min(len, MAX_HELD);
	z->held = (struct extent) { start, len };
	ret = hapool_hold(&z->pool, &z->held.start, &z->held.len, GFP_KERNEL);
	if (ret == -EAGAIN || no_memory(o, ret)) {
		z->held.len = 0;
		return;
	}
	/* it begins with the first block or before, and reaches the last one unless a slab ends */
	if (ret || z->held.start > start || z->held.start + z->held.len <= start ||
	    ledger_take(z->ledger, z->held.start, z->held.len, 1))
		fuzz_wrong(z, "hold of %llu blocks at %llu: %d, %llu at %llu", len, start, ret,
			   z->held.len, z->held.start);
	z->count.holds++;
}

static void do_grow(struct one *o)
{
	struct fuzzer *z = o->z;
	u64 nr = z->cfg.nr_blocks, more = pick_log(&z->dice, ilog2(nr) + 1);
	int ret;

	if (z->held.len)
		return;
	more = min(more, MAX_BLOCKS - fuzz_size(z));
	ret = hapool_grow(&z->pool, nr + more, GFP_KERNEL);
	if (no_memory(o, ret)) {
		z->grow_failed = true;
		return;
	}
	if (ret)
		fuzz_wrong(z, "grow by %llu blocks: %d", more, ret);
	ledger_grow(z->ledger, nr + more);
	z->cfg.nr_blocks += more;
	z->count.grows++;
}

static int by_start(const void *a, const void *b)
{
	const struct haslab_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/*
 * What a catalogue of the live extents is: sorted, mostly; with some extents out of order, and some
 * that are taken already, which are noted in @bad. Return: how many there are.
 */
static u32 catalogue(struct one *o, struct haslab_range *x, bool *bad)
{
	struct dice *d = &o->z->dice;
	u64 swaps = pick(d, 3) ? 0 : pick(d, o->nr_live), every = pick(d, 3) ? 0 : 2 + pick(d, 50);
	u32 nr = o->nr_live, more = every ? nr / every : 0, i, k;

	for (i = 0; i < nr; i++)
		x[i] = (struct haslab_range) { o->live[i].start, o->live[i].len };
	qsort(x, nr, sizeof(*x), by_start);
	while (swaps--) {
		i = pick(d, nr);
		k = pick(d, nr);
		swap(x[i], x[k]);
	}
	memset(bad, 0, (nr + more) * sizeof(*bad));
	nr += more;
	/* from the last extent on, each moves up by the number of bad ones before it */
	for (i = nr - more; more; more--) {
		for (; i > more * every; i--)
			x[i + more - 1] = x[i - 1];
		bad[i + more - 1] = true;
		x[i + more - 1] = x[i - 1];
		x[i + more - 1].start += pick(d, x[i - 1].len);
		x[i + more - 1].len = 1 + pick(d, o->z->cfg.nr_blocks - x[i + more - 1].start);
	}
	return nr;
}

/* Claims the first of many ranges. Return: of how many @ret is the result. */
static u32 load_some(struct one *o, const struct haslab_range *x, u32 nr, int *ret)
{
	struct fuzzer *z = o->z;
	struct fuzz_faults faults = fuzz_faults;
	u32 done = hapool_claim_some(&z->pool, x, nr, gfp_of(o), ret);

	if (*ret == -EAGAIN || *ret == -ENOMEM) {
		fuzz_faults.every = 0;
		done = hapool_claim_some(&z->pool, x, nr, GFP_KERNEL, ret);
		fuzz_faults = faults;
	}
	return done;
}

/* Of what is not in use, as nothing but reservations may keep a load from what it asks for. */
static void reserve_before_load(struct one *o)
{
	struct fuzzer *z = o->z;
	u64 nr = unreserved(z);

	if (!o->reserving || pick(&z->dice, 2))
		return;
	nr -= pick(&z->dice, pick(&z->dice, 2) ? nr + 1 : min(nr + 1, 4ULL));
	if (hapool_reservation_open(&z->pool, &o->reserves[0].v) ||
	    hapool_reserve(&z->pool, &o->reserves[0].v, nr, GFP_KERNEL))
		fuzz_wrong(z, "reserve of %llu blocks of an empty device", nr);
	o->reserves[0].open = true;
	o->reserves[0].blocks = nr;
	z->reserved = nr;
}

/* What a claim of @x is to return while @loaded blocks are in use. */
static int expect_load(const struct fuzzer *z, const struct haslab_range *x, bool bad, u64 loaded)
{
	if (z->reserved && x->len > fuzz_size(z) - z->reserved - loaded)
		return -EDQUOT;
	return bad ? -EEXIST : 0;
}

/* The device is attached anew: what is live is loaded into another one, which takes its place. */
static void do_reload(struct one *o)
{
	struct fuzzer *z = o->z;
	struct haslab_range *x = need(malloc(2 * (MAX_LIVE + 1) * sizeof(*x)));
	bool *bad = need(malloc(2 * (MAX_LIVE + 1)));
	struct fuzz_faults faults = fuzz_faults;
	u32 nr, done, i = 0, k;
	struct hapool_stat st;
	u64 loaded = 0;
	int ret;

	if (z->held.len || !o->nr_live)
		goto out;
	nr = catalogue(o, x, bad);
	for (k = 0; k < NR_RESERVES; k++)
		close_reserve(o, k);
	hapool_destroy(&z->pool);
	fuzz_faults.every = 0;
	ret = hapool_init(&z->pool, &z->cfg);
	if (ret)
		fuzz_wrong(z, "init of a device to be loaded: %d", ret);
	z->metadata = metadata_of(&z->pool);
	hapool_stat(&z->pool, &st, false);
	z->percpu = st.percpu;
	memcpy(z->refused, z->count.refused, sizeof(z->refused));
	z->reserved_refusals = z->count.reserved_refusals;
	reserve_before_load(o);
	fuzz_faults = faults;
	for (; i < nr; i += done) {
		done = load_some(o, x + i, 1 + pick(&z->dice, min_t(u64, nr - i, 1024)), &ret);
		for (k = i; k < i + done; k++) {
			if (ret != expect_load(z, &x[k], bad[k], loaded))
				fuzz_wrong(z, "load of %llu blocks at %llu (%s): %d", x[k].len,
					   x[k].start, bad[k] ? "taken" : "free", ret);
			loaded += ret ? 0 : x[k].len;
		}
		z->count.reserved_refusals += ret == -EDQUOT;
	}
	z->count.loads++;
	fuzz_compare(z, false);
out:
	free(x);
	free(bad);
}

static void do_compare(struct one *o)
{
	bool drain = !pick(&o->z->dice, 3);

	if (drain)
		hapool_drain(&o->z->pool);
	fuzz_compare(o->z, drain);
}

/* Leaves only some space of a large device, which would never be full otherwise. */
static void occupy(struct one *o)
{
	struct fuzzer *z = o->z;
	u64 size = fuzz_size(z), leave = min(size, 1 + pick(&z->dice, 2 * o->max_live * o->usual));
	u64 start = z->cfg.first_block + pick(&z->dice, size - leave + 1);

	if (start > z->cfg.first_block)
		claim(o, z->cfg.first_block, start - z->cfg.first_block);
	if (start + leave < z->cfg.nr_blocks)
		claim(o, start + leave, z->cfg.nr_blocks - start - leave);
	o->nr_fixed = o->nr_live;
}

static void begin_phase(struct one *o)
{
	static const u8 allocs[] = { 20, 40, 50, 60, 90 };
	struct fuzzer *z = o->z;
	unsigned int i;

	for (i = 0; i < NR_RESERVES; i++)
		if (!pick(&z->dice, 3))
			close_reserve(o, i);
	o->reserving = pick(&z->dice, 3) ? 0 : 1 + pick(&z->dice, 30);

	o->phase_end = z->count.ops + pick_log(&z->dice, 13);
	o->mix[0] = pick(&z->dice, FUZZ_MIXES);
	o->mix[1] = pick(&z->dice, FUZZ_MIXES);
	o->allocs = allocs[pick(&z->dice, ARRAY_SIZE(allocs))];
	o->bad = pick(&z->dice, 3) ? 2 : 20;
	o->by_address = !pick(&z->dice, 4);
	o->parts = pick(&z->dice, 3) ? 4 : 30;
	if (!pick(&z->dice, 8))
		o->nr_fixed = 0;
	fuzz_draw_faults(&z->dice, true);
	do_compare(o);
	if (!pick(&z->dice, 6))
		do_reload(o);
}

static void do_something(struct one *o)
{
	struct fuzzer *z = o->z;
	u64 what = pick(&z->dice, 100);

	if (z->held.len && !pick(&z->dice, 8)) {
		do_hold(o);
	} else if (o->reserving && pick(&z->dice, 100) < o->reserving) {
		if (o->nr_live < o->max_live && pick(&z->dice, 3))
			do_alloc_reserved(o);
		else
			do_reserve(o);
	} else if (what < o->parts) {
		do_part(o);
	} else if (what < 90 - o->bad) {
		if (pick(&z->dice, 100) < o->allocs && o->nr_live < o->max_live)
			do_alloc(o);
		else
			do_free(o);
	} else if (what < 90) {
		do_wrong_free(o);
	} else if (what < 95) {
		if (o->nr_live < o->max_live)
			do_claim(o);
	} else if (what < 98) {
		do_look(o);
	} else if (what < 99) {
		do_hold(o);
	} else {
		switch (pick(&z->dice, 20)) {
		case 0:
			hapool_drain_cpu(&z->pool, pick(&z->dice, nr_cpu_ids));
			break;
		case 1:
			hapool_drain(&z->pool);
			break;
		default:
			sim_set_cpu(pick(&z->dice, nr_cpu_ids));
		}
	}
}

/* How many operations a seed does: some devices should age. */
u64 fuzz_draw_ops(struct dice *d)
{
	return pick(d, 4) ? 2000 + pick(d, 40000) : 20000 + pick(d, 200000);
}

void fuzz_one(struct fuzzer *z, u64 ops)
{
	struct one *o = calloc(1, sizeof(*o));
	unsigned int max_grows = z->dice.bytes ? 2 : 8;
	u64 end = min(ops, z->dice.bytes ? U64_MAX : fuzz_draw_ops(&z->dice)), grow = 0;
	unsigned int i = 0;

	o->z = z;
	fuzz_begin(z);
	o->max_live = min(pick_log(&z->dice, 13) + 1, (u64)MAX_LIVE);
	o->usual = pick_log(&z->dice, min_t(unsigned int, 12, ilog2(fuzz_size(z)) + 1));
	if (!pick(&z->dice, 4))
		grow = 1 + pick(&z->dice, 10000);
	if (pick(&z->dice, 3))
		occupy(o);
	for (; z->count.ops < end && !fuzz_has_looked_enough(z); z->count.ops++) {
		if (z->dice.bytes && !z->dice.nr_bytes)
			break;
		if (z->count.ops >= o->phase_end)
			begin_phase(o);
		o->faults = fuzz_nr_faults;
		if (grow && z->count.ops % grow == grow - 1 && z->count.grows < max_grows)
			do_grow(o);
		do_something(o);
	}
	fuzz_faults.every = 0;
	z->count.faults = fuzz_nr_faults;
	if (z->held.len)
		do_hold(o);
	fuzz_compare(z, false);
	while (o->nr_live)
		free_live(o, pick(&z->dice, o->nr_live));
	for (; i < NR_RESERVES; i++)
		close_reserve(o, i);
	fuzz_end(z);
	free(o);
}

/* ---- all seeds ---- */

static void progress(void)
{
	static u64 last;
	u64 now = now_ns();

	if (!last)
		last = began;
	if (now - last < 10000000000ULL)
		return;
	last = now;
	fprintf(stderr, "# %llu of %llu operations, %llu seeds, %.2f million a second\n",
		sum.ops, nr_ops, seeds, sum.ops * 1e3 / (now - began));
}

int fuzz(void)
{
	struct fuzzer *z;

	if (!seed || nr_threads > FUZZ_MAX_THREADS) {
		fprintf(stderr, "hybrid-sim: fuzz takes a --seed from 1 up, and --threads from "
			"1 to %d\n", FUZZ_MAX_THREADS);
		return 2;
	}
	if (given_situation && (nr_threads == 1 || !fuzz_has_situation(given_situation))) {
		fprintf(stderr, nr_threads == 1 ?
			"hybrid-sim: --situation '%s' is for threads; give --threads, too\n" :
			"hybrid-sim: there is no situation '%s'; 'hybrid-sim fuzz --list' shows "
			"them\n", given_situation);
		return 2;
	}
	signal(SIGABRT, on_signal);
	signal(SIGALRM, on_signal);
	signal(SIGSEGV, on_signal);
	if (given_ops)
		nr_ops = given_ops;
	began = now_ns();
	while (sum.ops < nr_ops) {
		alarm(900);
		z = calloc(1, sizeof(*z));
		z->seed = seed + seeds++;
		z->threads = nr_threads;
		z->dice.rng = z->seed;
		if (nr_threads > 1)
			fuzz_threads(z, nr_ops - sum.ops);
		else
			fuzz_one(z, nr_ops - sum.ops);
		fuzz_count_add(&sum, &z->count);
		free(z);
		progress();
	}
	summary("ok");
	return 0;
}
