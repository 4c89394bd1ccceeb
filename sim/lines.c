// SPDX-License-Identifier: GPL-2.0
/*
 * The workloads lines-* of hybrid-sim bench: which cache lines operations write that another CPU
 * wrote last. Such a line moves from CPU to CPU, and that takes as long as a hundred instructions.
 *
 * The layers are compiled once more, so that they announce each access to memory, as for a
 * sanitizer. One thread plays 64 CPUs by turns, in a random order. For each line there is a note
 * which CPU wrote it last. An operation counts the lines that it writes and whose note has another
 * CPU; a line that nobody has written before is nobody's.
 *
 * Memory is never used twice, and no two objects share a line: a line that changes its owner by
 * way of kfree() and kmalloc() is not counted, as the kernel keeps free objects for each CPU.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hybrid_sim.h"
#include "lines.h"
#include "mix.h"
#include "pool_hit.h"

#define LINE_SHIFT	6
#define ARENA_BYTES	(32UL << 30)	/* of addresses */
#define NR_LINES	(ARENA_BYTES >> LINE_SHIFT)
#define SIM_CPUS	64
#define MIN_BLOCKS	(GIB / 4)
#define MAX_BLOCKS	(1024 * GIB)
#define MAX_LINES	256		/* that are told apart in an operation */
#define GIB		(1ULL << (30 - BLOCK_SHIFT))	/* in blocks */

/* ---- memory ---- */

struct line {
	u8 writer;	/* the CPU that wrote it last, plus one; 0: none has */
};

static char *arena;
static struct line *lines;
static size_t arena_used;

/* The operation that is under way. */
static int op_cpu;
static unsigned int op_shared;

static void *reserve(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return need(p == MAP_FAILED ? NULL : p);
}

int lines_memory_get(void **base, size_t align, size_t size)
{
	size_t at = (arena_used + 63) & ~63UL;

	if (size > ARENA_BYTES - at)
		return -1;
	*base = arena + at;
	arena_used = at + size;
	return 0;
}

void lines_memory_put(void *base, size_t size)
{
}

/* ---- accesses ---- */

static void written(const void *p, size_t size)
{
	size_t at = (const char *)p - arena, first = at >> LINE_SHIFT, i;
	size_t last = (at + size - 1) >> LINE_SHIFT;

	/* neither the stack nor what belongs to the thread */
	if (at >= arena_used || !size)
		return;
	for (i = first; i <= last; i++) {
		struct line *l = &lines[i];

		op_shared += l->writer && l->writer != op_cpu + 1;
		l->writer = op_cpu + 1;
	}
}

/* What the compiler calls where the layers access memory. */
void __tsan_init(void);
void __tsan_init(void) {}
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsBegin(const char *file, int line) {}
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line) {}

#define ACCESS(size)								\
void __tsan_read##size(void *p);						\
void __tsan_read##size(void *p) {}						\
void __tsan_unaligned_read##size(void *p);					\
void __tsan_unaligned_read##size(void *p) {}					\
void __tsan_write##size(void *p);						\
void __tsan_write##size(void *p) { written(p, size); }				\
void __tsan_unaligned_write##size(void *p);					\
void __tsan_unaligned_write##size(void *p) { written(p, size); }

ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)

void __tsan_read_range(void *p, unsigned long size);
void __tsan_read_range(void *p, unsigned long size) {}
void __tsan_write_range(void *p, unsigned long size);
void __tsan_write_range(void *p, unsigned long size) { written(p, size); }

#define ATOMIC_CHANGE(bits, T, name, builtin)					\
T __tsan_atomic##bits##_##name(void *at, T v, int order);			\
T __tsan_atomic##bits##_##name(void *at, T v, int order)			\
{										\
	written(at, sizeof(T));							\
	return builtin((T *)at, v, __ATOMIC_RELAXED);				\
}

/* One that fails takes the line as well. */
#define ATOMIC_COMPARE(bits, T, name)						\
int __tsan_atomic##bits##_compare_exchange_##name(void *at, void *old, T new,	\
						  int order, int failed);	\
int __tsan_atomic##bits##_compare_exchange_##name(void *at, void *old, T new,	\
						  int order, int failed)	\
{										\
	written(at, sizeof(T));							\
	return __atomic_compare_exchange_n((T *)at, (T *)old, new, false,	\
					   __ATOMIC_RELAXED, __ATOMIC_RELAXED);	\
}

#define ATOMIC(bits, T)								\
T __tsan_atomic##bits##_load(const T *p, int order);				\
T __tsan_atomic##bits##_load(const T *p, int order) { return READ_ONCE(*p); }	\
void __tsan_atomic##bits##_store(void *at, T v, int order);			\
void __tsan_atomic##bits##_store(void *at, T v, int order)			\
{										\
	written(at, sizeof(T));							\
	WRITE_ONCE(*(T *)at, v);						\
}										\
ATOMIC_CHANGE(bits, T, exchange, __atomic_exchange_n)				\
ATOMIC_CHANGE(bits, T, fetch_add, __atomic_fetch_add)				\
ATOMIC_CHANGE(bits, T, fetch_sub, __atomic_fetch_sub)				\
ATOMIC_CHANGE(bits, T, fetch_and, __atomic_fetch_and)				\
ATOMIC_CHANGE(bits, T, fetch_or, __atomic_fetch_or)				\
ATOMIC_CHANGE(bits, T, fetch_xor, __atomic_fetch_xor)				\
ATOMIC_COMPARE(bits, T, strong)							\
ATOMIC_COMPARE(bits, T, weak)

ATOMIC(8, u8)
ATOMIC(16, u16)
ATOMIC(32, u32)
ATOMIC(64, u64)

/* what a barrier writes here; it is not in the arena */
int sim_fence;

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_thread_fence(int order) {}

/* The layers call these in place of the C library's. */
void *lines_memset(void *p, int c, size_t size)
{
	written(p, size);
	return memset(p, c, size);
}

void *lines_memcpy(void *to, const void *from, size_t size)
{
	written(to, size);
	return memcpy(to, from, size);
}

void *lines_memmove(void *to, const void *from, size_t size)
{
	written(to, size);
	return memmove(to, from, size);
}

/* ---- the workloads ---- */

struct cpu {
	struct extent *live;
	u64 nr_live;
	u64 used;
};

struct count {
	u64 ops;
	u64 lines;
	u64 of[MAX_LINES];	/* operations, by the shared lines that they write */
};

static struct hapool *pool;
static struct cpu cpus[SIM_CPUS];
static u64 rng;
static u64 max_live;
static struct count hits, misses;
static bool failed;

static const u16 common[] = {
	1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 32, 64, 128, 256, 512, 1024,
};

#define NR_FROM_SLABS	19	/* of these, the first */

static void op_begin(int cpu)
{
	sim_set_cpu(cpu);
	op_cpu = cpu;
	op_shared = 0;
}

static void op_end(bool was_hit)
{
	struct count *c = was_hit ? &hits : &misses;

	c->ops++;
	c->lines += op_shared;
	c->of[min(op_shared, MAX_LINES - 1U)]++;
}

static const struct hapool_bin *bin_of(int cpu, u64 len)
{
	int class = haslab_class_of(&pool->slab, len);

	return class < 0 ? NULL : &per_cpu_ptr(pool->cpus, cpu)->bin[class];
}

static bool do_alloc(int cpu, u64 len)
{
	const struct hapool_bin *bin = bin_of(cpu, len);
	u64 before = bin ? bin->hits : 0, start;
	struct cpu *c = &cpus[cpu];
	int ret;

	if (c->nr_live == max_live)
		return false;
	op_begin(cpu);
	ret = hapool_alloc(pool, len, 1, HAPOOL_NO_GOAL, GFP_KERNEL, &start);
	op_end(bin && bin->hits != before);
	failed |= ret && ret != -ENOSPC;
	if (ret)
		return false;
	c->live[c->nr_live++] = (struct extent) { start, len };
	c->used += len;
	return true;
}

/* @cpu frees extent @i of @owner. */
static void do_free(int cpu, int owner, u64 i)
{
	struct cpu *c = &cpus[owner];
	struct extent e = c->live[i];
	const struct hapool_cpu *pc = per_cpu_ptr(pool->cpus, cpu);
	const struct hapool_bin *bin = bin_of(cpu, e.len);
	u64 before = bin ? bin->frees : 0, drains = pc->drains;
	enum hybrid_alloc_reason reason;

	c->live[i] = c->live[--c->nr_live];
	c->used -= e.len;
	op_begin(cpu);
	failed |= !!hapool_free(pool, e.start, e.len, &reason);
	op_end(bin && bin->frees != before && pc->drains == drains);
}

static void count_reset(void)
{
	hits = (struct count) {};
	misses = (struct count) {};
}

/* Common sizes: each CPU has some extents of each, and allocates and frees by turns. */
static void work_common(u64 ops, unsigned int first, unsigned int end)
{
	u64 i;

	for (i = 0; i < ops; i++) {
		int cpu = random_below(&rng, SIM_CPUS);
		struct cpu *c = &cpus[cpu];

		if (i == ops / 2)	/* what was before was to warm up */
			count_reset();
		if (c->nr_live && random_below(&rng, 200) < c->nr_live)
			do_free(cpu, cpu, random_below(&rng, c->nr_live));
		else
			do_alloc(cpu, common[first + random_below(&rng, end - first)]);
	}
}

/* Those that come from slabs of equal objects, and those that are buddy blocks. */
static void work_objects(u64 nr_blocks, u64 ops)
{
	work_common(ops, 0, NR_FROM_SLABS);
}

static void work_blocks(u64 nr_blocks, u64 ops)
{
	work_common(ops, NR_FROM_SLABS, ARRAY_SIZE(common));
}

/* Sizes from 4 KiB to 4 MiB, the device is 90 % full: frees and allocations by turns. */
static void work_full(u64 nr_blocks, u64 ops)
{
	u64 share = nr_blocks / SIM_CPUS / 10 * 9, i;
	struct mix mix;
	int cpu;

	mix_parse("log4K-4M", &mix);
	for (cpu = 0; cpu < SIM_CPUS; cpu++)
		while (cpus[cpu].used < share && do_alloc(cpu, mix_draw(&mix, &rng)))
			;
	for (i = 0; i < ops; i++) {
		struct cpu *c;

		if (i == ops / 2)
			count_reset();
		cpu = random_below(&rng, SIM_CPUS);
		c = &cpus[cpu];
		while (c->used > share)
			do_free(cpu, cpu, random_below(&rng, c->nr_live));
		do_alloc(cpu, mix_draw(&mix, &rng));
	}
}

/* Half of the CPUs allocate extents of 64 KiB, and the others free them: any of them does. */
static void work_handover(u64 nr_blocks, u64 ops)
{
	u64 i;

	for (i = 0; i < ops; i++) {
		int cpu = random_below(&rng, SIM_CPUS / 2);

		if (i == ops / 2)
			count_reset();
		/* some hundred are under way */
		if ((!do_alloc(cpu, 16) || cpus[cpu].nr_live > 200) && cpus[cpu].nr_live)
			do_free(SIM_CPUS / 2 + random_below(&rng, SIM_CPUS / 2), cpu,
				random_below(&rng, cpus[cpu].nr_live));
	}
}

static const struct lines_workload {
	const char *name;
	void (*work)(u64 nr_blocks, u64 ops);
	u64 ops;
} workloads[] = {
	{ "lines-hit", work_objects, 2000000 },
	{ "lines-hit-blocks", work_blocks, 1000000 },
	{ "lines-miss", work_full, 400000 },
	{ "lines-handover", work_handover, 1000000 },
};

static const struct lines_workload *workload_of(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(workloads); i++)
		if (!strcmp(workloads[i].name, name))
			return &workloads[i];
	return NULL;
}

bool lines_has(const char *name)
{
	return workload_of(name);
}

void lines_list(FILE *out)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(workloads); i++)
		fprintf(out, "%s\n", workloads[i].name);
}

static void run(const struct lines_workload *w, u64 nr_blocks, u64 ops)
{
	const struct haslab_config cfg = {
		.nr_blocks = nr_blocks, .unit_shift = 8, .slab_max = 128,
	};
	int cpu;

	sim_set_nr_cpus(SIM_CPUS);
	arena = reserve(ARENA_BYTES);
	arena_used = 0;
	lines = reserve(NR_LINES * sizeof(*lines));
	max_live = nr_blocks / SIM_CPUS / 16 + 1000;
	for (cpu = 0; cpu < SIM_CPUS; cpu++)
		cpus[cpu] = (struct cpu) { need(malloc(max_live * sizeof(*cpus[cpu].live))) };
	rng = seed;
	count_reset();
	pool = need(kzalloc(sizeof(*pool), GFP_KERNEL));
	if (hapool_init(pool, &cfg))
		need(NULL);
	w->work(nr_blocks, ops);
	sim_set_cpu(0);
	failed |= !!hapool_check(pool);
}

static u64 percentile(const struct count *c, unsigned int of_thousand)
{
	u64 sum = 0, i;

	for (i = 0; i < MAX_LINES - 1; i++) {
		sum += c->of[i];
		if (sum * 1000 >= c->ops * of_thousand)
			break;
	}
	return i;
}

static void out_count(const char *what, const struct count *c)
{
	char name[64];

	if (!c->ops)
		return;
	snprintf(name, sizeof(name), "shared_lines_per_%s_mean", what);
	out_double(name, (double)c->lines / c->ops, 4);
	snprintf(name, sizeof(name), "shared_lines_per_%s_p99", what);
	out_u64(name, percentile(c, 990));
	snprintf(name, sizeof(name), "shared_lines_per_%s_max", what);
	out_u64(name, percentile(c, 1000));
}

int lines_bench(const char *name)
{
	const struct lines_workload *w = workload_of(name);
	u64 nr_blocks = capacity ? capacity >> BLOCK_SHIFT : 256 * GIB;
	u64 ops = given_ops ?: w->ops;
	struct hapool_stat st;
	int cpu;

	if (nr_blocks < MIN_BLOCKS || nr_blocks > MAX_BLOCKS) {
		fprintf(stderr, "hybrid-sim: %s needs a --capacity from 256M to 1T\n", name);
		return 2;
	}
	run(w, nr_blocks, ops);
	hapool_stat(pool, &st, false);

	out_begin();
	out_string("workload", name);
	out_u64("capacity_bytes", nr_blocks << BLOCK_SHIFT);
	out_u64("seed", seed);
	out_u64("cpus", SIM_CPUS);
	out_u64("ops", hits.ops + misses.ops);
	out_u64("hits", hits.ops);
	out_count("hit", &hits);
	out_count("miss", &misses);
	out_double("shared_lines_per_op_mean", (double)(hits.lines + misses.lines) /
		   (hits.ops + misses.ops), 4);
	out_u64("refills", st.refills);
	out_u64("drains", st.drains);
	/* no independent record is kept here: the calls, and hapool_check() */
	out_string("ledger", failed ? "a call did not do what it should" : "ok");
	out_end();
	for (cpu = 0; cpu < SIM_CPUS; cpu++)
		free(cpus[cpu].live);
	munmap(lines, NR_LINES * sizeof(*lines));
	munmap(arena, ARENA_BYTES);
	return failed;
}
