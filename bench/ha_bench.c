// SPDX-License-Identifier: GPL-2.0
/*
 * ha_bench - the cost of an allocation and a free in the kernel
 *
 * Measures hybrid_alloc through its exported API and, in the same boot, the
 * allocators that a stock Debian kernel exports. Only hybrid_alloc checks every
 * free; the fast ones among the others check nothing.
 *
 * It does all its work when it is loaded, and prints the results to the kernel
 * log, one a line: "result ALLOCATOR WORKLOAD UNIT VALUE", with the value in
 * thousandths:
 *
 *	insmod ha_bench.ko device=/dev/nullb0 unit=instructions
 *
 * The unit is that of the time stamp counter: in a virtual machine whose clock
 * advances by one nanosecond with each instruction (qemu -icount shift=0),
 * instructions. unit=ns uses the kernel's clock instead.
 *
 * Workloads
 * ---------
 * pingpong-SIZE: one task repeatedly allocates and frees one extent. The result is
 * the median over rounds of pairs, which excludes timer ticks, less the cost of
 * the same loop without the pair. -live100k: with 100 000 live extents of 4 KiB.
 * -aged95: on an aged device.
 *
 * churn-aged95: pairs that free a random extent and allocate one of another size
 * on an aged device. The result is the mean over the pairs that the pools did not
 * serve; each pair is measured separately. churn-aged95-all is the mean over all
 * pairs. The slowest pair may contain a timer tick, which is some thousand
 * instructions. churn-fresh95: the same on a device that was only filled.
 *
 * churn-60g-on-1T and -on-100T: the same on devices that are mostly empty, with the
 * same number of live extents; the mean over all pairs.
 *
 * stress-10x and stress-100x: with sizes uniform from 4 KiB to 4 MiB, allocate until
 * ENOSPC, free a random 30 to 50 % of all extents, and repeat until 10 (100) times
 * the capacity has been requested; the mean over all operations.
 *
 * attach-100T: the cost to open a device of 100 TiB, once.
 *
 * worst-*: one call on a device that was made bad for it by claims; the most of several calls.
 * Before each, one extent in the middle is freed and claimed again. The first call comes before
 * that: it knows nothing about the device, and is reported apart. worst-goal-full: an allocation
 * with a goal at 0 on 4 GiB in which each block is an extent. worst-goal-holes, worst-align-huge
 * and worst-align-2: each second block of 4 GiB is one, and the allocation has a goal at 0, an
 * alignment to 1 PiB, or one to 8 KiB that no free block has. worst-refusal-1T: no 1 MiB of
 * 1 TiB is free as a whole, and 1 MiB is asked for. worst-stat-100T: counters and the largest
 * free run of 100 TiB with two extents; worst-stat-sparse-100T: with an extent in each GiB.
 *
 * cut-64K, cut-94M: 4 KiB off the tail of an extent of 64 KiB, of 94 MiB. cut-middle-64K: 4 KiB out
 * of the middle. extend-64K: by 4 KiB, which were cut off it before. In random order, with 100 000
 * extents of 64 KiB live; the median over rounds of calls. -mean: the mean, with what was needed
 * once for each slab.
 *
 * pingpong-68K-empty, pingpong-3M-empty: on a device on which nothing else is allocated.
 *
 * An aged device is filled to 95 % and freed at random down to 60 %, three times,
 * then filled to 95 % again; sizes are log-uniform from 4 KiB to 4 MiB.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blkdev.h>
#include <linux/genalloc.h>
#include <linux/iova.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/sbitmap.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/spinlock.h>
#include <linux/timekeeping.h>
#include <linux/vmalloc.h>
#include <asm/msr.h>
#include <drm/drm_buddy.h>
#include "common/random.h"
#include "hybrid_alloc.h"

#define BENCH_MODE	(FMODE_READ | FMODE_WRITE | FMODE_EXCL)

#define ROUNDS		51
#define PAIRS		100		/* of a round: short, so that few contain a tick */
#define WARM_PAIRS	1000
#define CHURN_PAIRS	20000
#define NR_LIVE		100000
#define TIB		(1024ULL * SZ_1G)
static char *device;
module_param(device, charp, 0444);
MODULE_PARM_DESC(device, "block device for hybrid_alloc, by path");

static char *unit = "instructions";
module_param(unit, charp, 0444);
MODULE_PARM_DESC(unit, "what to measure: instructions, or ns");

static ulong seed = 1;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "seed of the random numbers");

static ulong loop;
module_param(loop, ulong, 0444);
MODULE_PARM_DESC(loop, "number of pairs of pingpong with hybrid_alloc, for a profile; nothing else runs");

static ulong size = SZ_4K;
module_param(size, ulong, 0444);
MODULE_PARM_DESC(size, "bytes of an extent of these pairs; 0: the pairs of churn-aged95 instead");

static bool in_ns;
static u64 rng;

static __always_inline u64 now(void)
{
	return in_ns ? ktime_get_ns() : rdtsc_ordered();
}

/* 2 to the power of n/1024, with 32 binary digits after the point */
static u64 exp2_frac[1024];

static void exp2_init(void)
{
	int i;

	exp2_frac[0] = BIT_ULL(32);
	for (i = 1; i < ARRAY_SIZE(exp2_frac); i++)
		exp2_frac[i] = mul_u64_u64_shr(exp2_frac[i - 1], 4297875550ULL, 32);
}

/* A log-uniform size, from 4 KiB to 4 MiB. */
static u64 draw(void)
{
	u64 r = random_next(&rng);

	return (exp2_frac[r % 1024] << ((r >> 32) % 10) >> 32) * SZ_4K;
}

/**
 * struct object - the result of an allocation
 * @len: requested length
 * @start: its address
 * @p: the address, for allocators of memory
 * @blocks: the blocks, for drm_buddy
 */
struct object {
	u64 len;
	union {
		u64 start;
		void *p;
		struct list_head blocks;
	};
};

/**
 * struct allocator - an allocator to measure
 * @name: its name in the results
 * @capacity: bytes to manage; for the peers, small enough to age in seconds
 * @aged_capacity: a smaller capacity to age; 0: the same
 * @open: start with everything free
 * @close: end; everything has been freed
 * @alloc: allocate. Return: 0 or an errno
 * @free: free the result of @alloc
 * @hits: number of allocations that a cache has served; NULL: not known
 * @pingpong: time for a number of pairs of one length, or an errno
 * @lens: lengths for pingpong
 * @max_len: the largest length it supports
 * @live: also measure with many live extents
 * @aged: also measure on an aged device
 * @churn: also measure churn on a fresh and on an aged device
 * @far: also measure devices of 1 and of 100 TiB, and the stress workloads
 */
struct allocator {
	const char *name;
	u64 capacity;
	u64 aged_capacity;
	int (*open)(u64 capacity);
	void (*close)(void);
	int (*alloc)(u64 len, struct object *o);
	void (*free)(struct object *o);
	u64 (*hits)(void);
	s64 (*pingpong)(u64 len, unsigned int nr);
	u32 lens[4];
	u32 max_len;
	bool live;
	bool aged;
	bool churn;
	bool far;
};

/* Each allocator has its own loop, so that no call by pointer is measured. */
#define DEFINE_PINGPONG(name, vars, do_alloc, failed, do_free)	\
static noinline s64 name##_pingpong(u64 len, unsigned int nr)	\
{								\
	u64 t;							\
	vars;							\
								\
	t = now();						\
	while (nr--) {						\
		do_alloc;					\
		if (unlikely(failed))				\
			return -ENOSPC;				\
		do_free;					\
	}							\
	return now() - t;					\
}

/* ---- nothing ---- */

DEFINE_PINGPONG(empty, const int ret = 0, barrier(), ret, barrier())

static int empty_alloc(u64 len, struct object *o)
{
	return 0;
}

static void empty_free(struct object *o)
{
}

static const struct allocator empty = {
	.name = "empty",
	.alloc = empty_alloc,
	.free = empty_free,
	.pingpong = empty_pingpong,
};

/* ---- hybrid_alloc ---- */

static struct block_device *bdev;
static struct hybrid_alloc *ha;

static int hybrid_open(u64 capacity)
{
	struct hybrid_alloc_params params = { .range_len = capacity };

	ha = hybrid_alloc_open(bdev, &params, GFP_KERNEL);
	return PTR_ERR_OR_ZERO(ha);
}

static void hybrid_close(void)
{
	static struct hybrid_alloc_stat st;

	/* the loops do not check their frees: a failed one would leave an extent */
	hybrid_alloc_stat(ha, &st, false);
	WARN_ON_ONCE(st.charged);
	hybrid_alloc_close(ha);
}

static int hybrid_alloc(u64 len, struct object *o)
{
	struct hybrid_alloc_range r;
	int ret = hybrid_alloc_alloc(ha, len, 0, HYBRID_ALLOC_NO_GOAL, GFP_KERNEL, &r);

	o->start = r.start;
	return ret;
}

static void hybrid_free(struct object *o)
{
	WARN_ON_ONCE(hybrid_alloc_free(ha, o->start, o->len, NULL));
}

static u64 hybrid_hits(void)
{
	static struct hybrid_alloc_stat st;

	hybrid_alloc_stat(ha, &st, false);
	return st.pool_hits;
}

DEFINE_PINGPONG(hybrid, int ret; struct hybrid_alloc_range r,
		ret = hybrid_alloc_alloc(ha, len, 0, HYBRID_ALLOC_NO_GOAL, GFP_KERNEL, &r), ret,
		hybrid_alloc_free(ha, r.start, r.len, NULL))

/* ---- genalloc ---- */

static struct gen_pool *pool;

static int genalloc_open(u64 capacity)
{
	int ret;

	pool = gen_pool_create(PAGE_SHIFT, NUMA_NO_NODE);
	if (!pool)
		return -ENOMEM;
	/* not from 0: that address means failure */
	ret = gen_pool_add(pool, SZ_1G, capacity, NUMA_NO_NODE);
	if (ret)
		gen_pool_destroy(pool);
	return ret;
}

static void genalloc_close(void)
{
	gen_pool_destroy(pool);
}

static int genalloc_alloc(u64 len, struct object *o)
{
	o->start = gen_pool_alloc(pool, len);
	return o->start ? 0 : -ENOSPC;
}

static void genalloc_free(struct object *o)
{
	gen_pool_free(pool, o->start, o->len);
}

DEFINE_PINGPONG(genalloc, unsigned long start,
		start = gen_pool_alloc(pool, len), !start,
		gen_pool_free(pool, start, len))

/* ---- IOVA ---- */

static struct iova_domain iova;
static unsigned long iova_limit;

static int iova_open(u64 capacity)
{
	int ret;

	init_iova_domain(&iova, PAGE_SIZE, 1);
	iova_limit = capacity >> PAGE_SHIFT;
	ret = iova_domain_init_rcaches(&iova);
	if (ret)
		put_iova_domain(&iova);
	return ret;
}

static void iova_close(void)
{
	put_iova_domain(&iova);
}

static int iova_alloc(u64 len, struct object *o)
{
	o->start = alloc_iova_fast(&iova, len >> PAGE_SHIFT, iova_limit, true);
	return o->start ? 0 : -ENOSPC;
}

static void iova_free(struct object *o)
{
	free_iova_fast(&iova, o->start, o->len >> PAGE_SHIFT);
}

DEFINE_PINGPONG(iova, unsigned long pfn,
		pfn = alloc_iova_fast(&iova, len >> PAGE_SHIFT, iova_limit, true), !pfn,
		free_iova_fast(&iova, pfn, len >> PAGE_SHIFT))

/* ---- sbitmap ---- */

static struct sbitmap sbitmap;

static int sbitmap_open(u64 capacity)
{
	return sbitmap_init_node(&sbitmap, capacity >> PAGE_SHIFT, -1, GFP_KERNEL, NUMA_NO_NODE,
				 false, true);
}

static void sbitmap_close(void)
{
	sbitmap_free(&sbitmap);
}

static int sbitmap_alloc(u64 len, struct object *o)
{
	int nr = sbitmap_get(&sbitmap);

	o->start = nr;
	return nr < 0 ? -ENOSPC : 0;
}

static void sbitmap_free_object(struct object *o)
{
	sbitmap_put(&sbitmap, o->start);
}

DEFINE_PINGPONG(sbitmap, int nr_bit,
		nr_bit = sbitmap_get(&sbitmap), nr_bit < 0,
		sbitmap_put(&sbitmap, nr_bit))

/* ---- kmem_cache ---- */

static struct kmem_cache *cache;

static int cache_open(u64 capacity)
{
	cache = kmem_cache_create("ha_bench", 64, 0, 0, NULL);
	return cache ? 0 : -ENOMEM;
}

static void cache_close(void)
{
	kmem_cache_destroy(cache);
}

static int cache_alloc(u64 len, struct object *o)
{
	o->p = kmem_cache_alloc(cache, GFP_KERNEL);
	return o->p ? 0 : -ENOMEM;
}

static void cache_free(struct object *o)
{
	kmem_cache_free(cache, o->p);
}

DEFINE_PINGPONG(cache, void *p,
		p = kmem_cache_alloc(cache, GFP_KERNEL), !p,
		kmem_cache_free(cache, p))

/* ---- drm_buddy; it leaves locking to its users, and one task needs none ---- */

static struct drm_buddy buddy;

static int buddy_open(u64 capacity)
{
	return drm_buddy_init(&buddy, capacity, SZ_4K);
}

static void buddy_close(void)
{
	drm_buddy_fini(&buddy);
}

static int buddy_alloc(u64 len, struct object *o)
{
	INIT_LIST_HEAD(&o->blocks);
	return drm_buddy_alloc_blocks(&buddy, 0, buddy.size, len, SZ_4K, &o->blocks, 0);
}

static void buddy_free(struct object *o)
{
	drm_buddy_free_list(&buddy, &o->blocks);
}

DEFINE_PINGPONG(buddy, LIST_HEAD(blocks); int ret,
		ret = drm_buddy_alloc_blocks(&buddy, 0, buddy.size, len, SZ_4K, &blocks, 0), ret,
		drm_buddy_free_list(&buddy, &blocks))

/* ---- for comparison ---- */

static DEFINE_SPINLOCK(lock);

DEFINE_PINGPONG(spin, const int ret = 0, spin_lock(&lock), ret, spin_unlock(&lock))
DEFINE_PINGPONG(preempt, const int ret = 0, preempt_disable(), ret, preempt_enable())

#define ALLOCATOR(_name, _prefix)		\
	.name = _name,				\
	.open = _prefix##_open,			\
	.close = _prefix##_close,		\
	.alloc = _prefix##_alloc,		\
	.free = _prefix##_free,			\
	.pingpong = _prefix##_pingpong

#define ALL_LENS .lens = { SZ_4K, SZ_64K, SZ_1M, SZ_4M }, .max_len = SZ_4M

static const struct allocator allocators[] = {
	{
		ALLOCATOR("hybrid_alloc", hybrid), ALL_LENS, .hits = hybrid_hits,
		.capacity = 64ULL * SZ_1G,
		.live = true, .aged = true, .churn = true, .far = true,
	}, {
		ALLOCATOR("genalloc", genalloc), ALL_LENS,
		.capacity = SZ_1G, .live = true, .aged = true,
	}, {
		ALLOCATOR("iova", iova), ALL_LENS,
		.capacity = SZ_1G, .live = true, .aged = true,
	}, {
		/* a search is slow where no bit has just been freed */
		.name = "sbitmap", .capacity = SZ_1G, .aged_capacity = SZ_64M,
		.open = sbitmap_open, .close = sbitmap_close,
		.alloc = sbitmap_alloc, .free = sbitmap_free_object, .pingpong = sbitmap_pingpong,
		.lens = { SZ_4K }, .max_len = SZ_4K, .live = true, .aged = true,
	}, {
		ALLOCATOR("kmem_cache", cache),
		.capacity = SZ_1G, .lens = { SZ_4K }, .max_len = SZ_4K, .live = true, .aged = true,
	}, {
		ALLOCATOR("drm_buddy", buddy), ALL_LENS,
		.capacity = 16ULL * SZ_1G, .live = true, .aged = true, .churn = true,
	},
};

static const struct allocator bare[] = {
	{ .name = "spin_lock", .pingpong = spin_pingpong },
	{ .name = "preempt", .pingpong = preempt_pingpong },
};

/* ---- results ---- */

static void report(const struct allocator *a, const char *workload, const char *suffix,
		   const char *per, s64 thousandths)
{
	pr_info("result %s %s%s %s_per_%s %lld\n", a->name, workload, suffix, unit, per,
		thousandths);
}

static int compare(const void *a, const void *b)
{
	s64 x = *(const s64 *)a, y = *(const s64 *)b;

	return x < y ? -1 : x > y;
}

/* The median time of a round. */
static s64 median(const struct allocator *a, u64 len)
{
	s64 t[ROUNDS];
	int i;

	for (i = 0; i < ROUNDS; i++) {
		t[i] = a->pingpong(len, PAIRS);
		if (t[i] < 0)
			return t[i];
		cond_resched();
	}
	sort(t, ROUNDS, sizeof(t[0]), compare, NULL);
	return t[ROUNDS / 2];
}

static int measure(const struct allocator *a, u64 len, const char *suffix)
{
	static const char *const units[] = { "K", "M" };
	s64 t = a->pingpong(len, WARM_PAIRS);
	char name[32];

	if (t >= 0)
		t = median(a, len);
	if (t < 0) {
		pr_info("failed %s pingpong%s of %llu KiB: error %lld\n", a->name, suffix,
			len / SZ_1K, t);
		return t == -ENOSPC ? 0 : t;
	}
	t -= median(&empty, len);
	snprintf(name, sizeof(name), "pingpong-%llu%s", len >= SZ_1M ? len / SZ_1M : len / SZ_1K,
		 units[len >= SZ_1M]);
	report(a, name, suffix, "pair", max(t, 0LL) * 1000 / PAIRS);
	return 0;
}

static int pingpongs(const struct allocator *a, const char *suffix)
{
	int i, ret = 0;

	for (i = 0; i < ARRAY_SIZE(a->lens) && a->lens[i] && !ret; i++)
		ret = measure(a, a->lens[i], suffix);
	return ret;
}

/* ---- workloads ---- */

/**
 * struct state - a device in use
 * @capacity: bytes
 * @objects: the live objects
 * @nr: number of them
 * @max: maximal number of them
 * @used: bytes in them
 */
struct state {
	u64 capacity;
	struct object *objects;
	u64 nr;
	u64 max;
	u64 used;
};

/* drm_buddy: the list points to its head, which moves. */
static void move_object(struct object *to, struct object *from, const struct allocator *a)
{
	*to = *from;
	if (a->free == buddy_free)
		list_replace(&from->blocks, &to->blocks);
}

static int do_alloc(const struct allocator *a, struct state *s, u64 len)
{
	struct object *o = &s->objects[s->nr];
	int ret;

	if (s->nr == s->max)
		return -E2BIG;
	ret = a->alloc(len, o);
	if (ret)
		return ret;
	o->len = len;
	s->used += len;
	if (++s->nr % 64 == 0)
		cond_resched();
	return 0;
}

static void do_free(const struct allocator *a, struct state *s, u64 i)
{
	struct object *o = &s->objects[i];

	s->used -= o->len;
	a->free(o);
	if (i != --s->nr)
		move_object(o, &s->objects[s->nr], a);
	if (s->nr % 64 == 0)
		cond_resched();
}

static u64 draw_for(const struct allocator *a)
{
	return min_t(u64, draw(), a->max_len);
}

/* Allocates until @limit bytes are in use, or until ENOSPC. */
static int fill_to(const struct allocator *a, struct state *s, u64 limit)
{
	int ret = 0;

	while (!ret && s->used < limit)
		ret = do_alloc(a, s, draw_for(a));
	return ret == -ENOSPC ? 0 : ret;
}

static int fill(const struct allocator *a, struct state *s)
{
	return fill_to(a, s, div64_u64(s->capacity, 100) * 95);
}

static int age(const struct allocator *a, struct state *s)
{
	u64 limit = div64_u64(s->capacity, 100) * 60;
	int i, ret;

	for (i = 0; i < 3; i++) {
		ret = fill(a, s);
		if (ret)
			return ret;
		while (s->used > limit)
			do_free(a, s, random_next(&rng) % s->nr);
	}
	return fill(a, s);
}

/* The cost of a pair that does nothing, with @alloc and @free called by pointer. */
static void empty_pair(u64 *alloc, u64 *free)
{
	const struct allocator *a = &empty;
	struct object o;
	u64 t0, t1, t2;
	int i;

	/* keep the compiler from turning these into direct calls */
	OPTIMIZER_HIDE_VAR(a);
	*alloc = U64_MAX;
	*free = U64_MAX;
	for (i = 0; i < 100; i++) {
		t0 = now();
		a->free(&o);
		t1 = now();
		a->alloc(SZ_4K, &o);
		t2 = now();
		*free = min(*free, t1 - t0);
		*alloc = min(*alloc, t2 - t1);
	}
}

static int churn(const struct allocator *a, struct state *s, const char *workload)
{
	s64 missed_alloc = 0, missed_free = 0, all = 0, worst = 0;
	u64 missed = 0, failed = 0;
	/* @hits is slow on a large device: all pairs count there */
	u64 (*hits)(void) = s->capacity == a->capacity ? a->hits : NULL;
	u64 no_alloc, no_free, hit = 0;
	struct object o;
	int i, ret;

	empty_pair(&no_alloc, &no_free);
	if (hits)
		hit = hits();
	for (i = 0; i < CHURN_PAIRS; i++) {
		u64 len = draw_for(a), j = random_next(&rng) % s->nr, hit_before = hit;
		s64 t0, t1, t2;

		/* as do_free() and do_alloc(), but the new object takes the place of the old one */
		move_object(&o, &s->objects[j], a);
		t0 = now();
		a->free(&o);
		t1 = now();
		ret = a->alloc(len, &s->objects[j]);
		t2 = now();
		s->used -= o.len;
		if (ret == -ENOSPC) {
			failed++;
			if (j != --s->nr)
				move_object(&s->objects[j], &s->objects[s->nr], a);
			continue;
		} else if (ret) {
			return ret;
		}
		s->objects[j].len = len;
		s->used += len;
		t1 -= t0 + no_free;
		t2 -= t0 + no_free + t1 + no_alloc;
		all += t1 + t2;
		if (hits)
			hit = hits();
		if (hit == hit_before) {
			missed++;
			missed_free += t1;
			missed_alloc += t2;
			worst = max(worst, t1 + t2);
		}
		if (i % 16 == 0)
			cond_resched();
	}
	if (failed)
		pr_info("failed %s %s: %llu of %u\n", a->name, workload, failed, CHURN_PAIRS);
	if (!missed)
		return 0;
	report(a, workload, "", "pair", div64_s64((missed_alloc + missed_free) * 1000, missed));
	report(a, workload, "", "alloc", div64_s64(missed_alloc * 1000, missed));
	report(a, workload, "", "free", div64_s64(missed_free * 1000, missed));
	report(a, workload, "", "slowest_pair", worst * 1000);
	if (hits)
		report(a, workload, "-all", "pair", div64_s64(all * 1000, CHURN_PAIRS - failed));
	return 0;
}

/* Runs until @times the capacity has been requested. */
static int stress(const struct allocator *a, struct state *s, int times, const char *workload)
{
	u64 no_alloc, no_free, asked = 0, allocs = 0, frees = 0, nr, i;
	s64 alloc = 0, free = 0, t;
	int ret = 0;

	empty_pair(&no_alloc, &no_free);
	while (asked < times * s->capacity) {
		struct object *o = &s->objects[s->nr];

		o->len = (1 + random_next(&rng) % 1024) * SZ_4K;
		asked += o->len;
		t = now();
		ret = a->alloc(o->len, o);
		alloc += now() - t - no_alloc;
		allocs++;
		if (!ret) {
			s->nr++;
			s->used += o->len;
		} else if (ret != -ENOSPC) {
			return ret;
		}
		for (nr = ret ? s->nr * (300 + random_next(&rng) % 201) / 1000 : 0; nr; nr--) {
			i = random_next(&rng) % s->nr;
			o = &s->objects[i];
			s->used -= o->len;
			t = now();
			a->free(o);
			free += now() - t - no_free;
			frees++;
			move_object(o, &s->objects[--s->nr], a);
			if (nr % 64 == 0)
				cond_resched();
		}
		if (allocs % 64 == 0)
			cond_resched();
	}
	report(a, workload, "", "alloc", div64_s64(alloc * 1000, allocs));
	report(a, workload, "", "free", div64_s64(free * 1000, frees));
	report(a, workload, "", "op", div64_s64((alloc + free) * 1000, allocs + frees));
	return 0;
}

/* ---- all of it ---- */

static int on_fresh(const struct allocator *a, struct state *s)
{
	return pingpongs(a, "");
}

static int on_live(const struct allocator *a, struct state *s)
{
	int ret = 0;

	while (s->nr < NR_LIVE && !ret)
		ret = do_alloc(a, s, SZ_4K);
	return ret ?: measure(a, SZ_4K, "-live100k");
}

static int on_fresh95(const struct allocator *a, struct state *s)
{
	return fill(a, s) ?: churn(a, s, "churn-fresh95");
}

/* 60 GiB in use, on devices that are much larger. */
static int on_large(const struct allocator *a, struct state *s)
{
	return fill_to(a, s, 60ULL * SZ_1G) ?:
		churn(a, s, s->capacity > TIB ? "churn-60g-on-100T" : "churn-60g-on-1T");
}

static int stress_10x(const struct allocator *a, struct state *s)
{
	return stress(a, s, 10, "stress-10x");
}

static int stress_100x(const struct allocator *a, struct state *s)
{
	return stress(a, s, 100, "stress-100x");
}

static int on_aged95(const struct allocator *a, struct state *s)
{
	int ret = age(a, s);

	if (ret)
		return ret;
	pr_info("aged %s: %llu extents on %llu MiB, fill %llu/1000\n", a->name, s->nr,
		s->capacity / SZ_1M, div64_u64(s->used * 1000, s->capacity));
	ret = pingpongs(a, "-aged95");
	if (!ret && a->churn)
		ret = churn(a, s, "churn-aged95");
	return ret;
}

static int run(const struct allocator *a, u64 capacity,
	       int (*workload)(const struct allocator *a, struct state *s))
{
	struct state s = { .capacity = capacity };
	s64 t;
	int ret;

	/* the mean size is 591 KiB: about twice the number that fits */
	s.max = min_t(u64, capacity, a->capacity) / min_t(u32, a->max_len, SZ_256K) + NR_LIVE;
	s.objects = vmalloc(array_size(s.max, sizeof(*s.objects)));
	if (!s.objects)
		return -ENOMEM;
	rng = seed;
	t = now();
	ret = a->open(capacity);
	t = now() - t;
	if (!ret) {
		if (capacity == 100 * TIB)
			report(a, "attach-100T", "", "attach", t * 1000);
		ret = workload(a, &s);
		while (s.nr)
			do_free(a, &s, s.nr - 1);
		a->close();
	}
	vfree(s.objects);
	if (ret)
		pr_err("%s: error %d\n", a->name, ret);
	return ret;
}

/* Mostly misses. */
static int just_churn(const struct allocator *a, struct state *s)
{
	int ret = age(a, s);

	pr_info("looping\n");
	for (; loop && !ret; loop--) {
		do_free(a, s, random_next(&rng) % s->nr);
		ret = do_alloc(a, s, draw_for(a));
		if (ret == -ENOSPC)
			ret = 0;
		if (loop % PAIRS == 0)
			cond_resched();
	}
	return ret;
}

static int just_loop(const struct allocator *a, struct state *s)
{
	s64 t = 0;

	if (!size)
		return just_churn(a, s);
	pr_info("looping\n");
	while (loop && t >= 0) {
		t = a->pingpong(size, PAIRS);
		loop -= min_t(ulong, loop, PAIRS);
		cond_resched();
	}
	return min_t(s64, t, 0);
}

/* ---- one call on a bad device ---- */

struct worst {
	const char *workload;
	u64 capacity;
	u64 step;		/* a block is claimed at each multiple of it */
	u64 len;		/* of the allocation; 0: hybrid_alloc_stat() */
	u64 align;
	u64 goal;
};

static const struct worst worsts[] = {
	{ "worst-goal-full", 4ULL * SZ_1G, SZ_4K, SZ_4K, 0, 0 },
	{ "worst-goal-holes", 4ULL * SZ_1G, SZ_8K, SZ_64K + SZ_4K, 0, 0 },
	{ "worst-align-huge", 4ULL * SZ_1G, SZ_8K, SZ_4K, 1024 * TIB, HYBRID_ALLOC_NO_GOAL },
	{ "worst-align-2", 4ULL * SZ_1G, SZ_8K, SZ_4K, SZ_8K, HYBRID_ALLOC_NO_GOAL },
	{ "worst-refusal-1T", TIB, SZ_1M, SZ_1M, 0, HYBRID_ALLOC_NO_GOAL },
	{ "worst-stat-100T", 100 * TIB, 50 * TIB },
	{ "worst-stat-sparse-100T", 100 * TIB, SZ_1G },
};

static int worst_call(const struct worst *w)
{
	struct hybrid_alloc_range range;
	struct hybrid_alloc_stat stat;
	int ret;

	if (!w->len) {
		hybrid_alloc_stat(ha, &stat, false);
		return 0;
	}
	ret = hybrid_alloc_alloc(ha, w->len, w->align, w->goal, GFP_KERNEL, &range);
	if (!ret)
		hybrid_alloc_free(ha, range.start, range.len, NULL);
	return ret == -ENOSPC ? 0 : ret;
}

static int worst_claim(const struct worst *w)
{
	u64 pos;
	int ret;

	for (pos = 0; pos < w->capacity; pos += w->step) {
		ret = hybrid_alloc_claim(ha, pos, SZ_4K, GFP_KERNEL);
		if (ret)
			return ret;
		cond_resched();
	}
	return 0;
}

static void worst_free(const struct worst *w)
{
	u64 pos;

	for (pos = 0; pos < w->capacity; pos += w->step) {
		WARN_ON_ONCE(hybrid_alloc_free(ha, pos, SZ_4K, NULL));
		cond_resched();
	}
}

static int worst_change(const struct worst *w)
{
	u64 pos = w->capacity / 2;

	if (hybrid_alloc_free(ha, pos, SZ_4K, NULL))
		return -EUCLEAN;
	return hybrid_alloc_claim(ha, pos, SZ_4K, GFP_KERNEL);
}

static int worst_run(const struct worst *w)
{
	u64 t, most = 0;
	int ret, i;

	ret = hybrid_open(w->capacity) ?: worst_claim(w);
	if (ret)
		return ret;
	t = now();
	ret = worst_call(w);
	report(allocators, w->workload, "", "first_call", (now() - t) * 1000);
	for (i = 0; i < 3 && !ret; i++) {
		ret = worst_change(w);
		if (ret)
			break;
		t = now();
		ret = worst_call(w);
		most = max(most, now() - t);
	}
	if (ret)
		return ret;
	report(allocators, w->workload, "", "call", most * 1000);
	worst_free(w);
	hybrid_close();
	return 0;
}

/* ---- parts of extents ---- */

#define PART_CALLS	(ROUNDS * PAIRS)
#define NR_LONG		PART_CALLS

struct part {
	const char *workload;
	u64 len;	/* of the extents */
	u64 from;	/* where the part begins */
};

static const struct part parts[] = {
	{ "cut-64K", SZ_64K, SZ_64K - SZ_4K },
	{ "cut-94M", 94 * SZ_1M, 94 * SZ_1M - SZ_4K },
	{ "cut-middle-64K", SZ_64K, SZ_32K },
};

static int part_cut(const struct part *part, u64 start)
{
	return hybrid_alloc_free_part(ha, start + part->from, SZ_4K, GFP_KERNEL, NULL);
}

static int part_extend(const struct part *part, u64 start)
{
	u64 got;

	return hybrid_alloc_extend(ha, start, part->len - SZ_4K, SZ_4K, 0, GFP_KERNEL, &got, NULL);
}

static int part_nothing(const struct part *part, u64 start)
{
	return 0;
}

/* Rounds of calls, each for the next extent. Return: the median of a round, or an errno. */
static __always_inline s64 part_rounds(const struct part *part, const struct object *objects,
				       int (*call)(const struct part *part, u64 start), s64 *sum)
{
	s64 t[ROUNDS];
	int i, k, ret = 0;

	*sum = 0;
	for (i = 0; i < ROUNDS; i++) {
		t[i] = now();
		for (k = 0; k < PAIRS; k++)
			ret |= call(part, objects[i * PAIRS + k].start);
		t[i] = now() - t[i];
		*sum += t[i];
		if (ret)
			return -EIO;
		cond_resched();
	}
	sort(t, ROUNDS, sizeof(t[0]), compare, NULL);
	return t[ROUNDS / 2];
}

static void part_report(const char *workload, s64 t, s64 sum, s64 nothing)
{
	report(allocators, workload, "", "extent", max(t - nothing, 0LL) * 1000 / PAIRS);
	report(allocators, workload, "-mean", "extent",
	       div64_s64(max(sum - nothing * ROUNDS, 0LL) * 1000, PART_CALLS));
}

/* The first extents are cut; those at the tail become as long again. */
static int part_measure(const struct part *part, const struct object *objects)
{
	bool tail = part->from + SZ_4K == part->len;
	s64 t, sum, nothing, ignored;

	nothing = part_rounds(part, objects, part_nothing, &ignored);
	t = part_rounds(part, objects, part_cut, &sum);
	if (t < 0)
		return t;
	part_report(part->workload, t, sum, nothing);
	if (!tail)
		return 0;
	t = part_rounds(part, objects, part_extend, &sum);
	if (t < 0)
		return t;
	if (part == parts)
		part_report("extend-64K", t, sum, nothing);
	return 0;
}

static int part_alloc(struct object *objects, unsigned int nr, u64 len)
{
	unsigned int i, k;
	int ret;

	for (i = 0; i < nr; i++) {
		ret = hybrid_alloc(len, &objects[i]);
		if (ret)
			return ret;
		/* in random order */
		k = random_next(&rng) % (i + 1);
		swap(objects[i], objects[k]);
		if (i % PAIRS == 0)
			cond_resched();
	}
	return 0;
}

/* What is left of an extent. */
static void part_free(const struct part *part, u64 start, bool cut)
{
	u64 behind = part->from + SZ_4K;

	if (!cut || behind == part->len) {
		WARN_ON_ONCE(hybrid_alloc_free(ha, start, part->len, NULL));
		return;
	}
	WARN_ON_ONCE(hybrid_alloc_free(ha, start, part->from, NULL));
	WARN_ON_ONCE(hybrid_alloc_free(ha, start + behind, part->len - behind, NULL));
}

static int part_run(const struct part *part, struct object *objects)
{
	bool is_long = part->len > SZ_64K;
	struct object *longs = objects + NR_LIVE;
	unsigned int i;
	int ret;

	ret = hybrid_open(is_long ? 2 * TIB : 64ULL * SZ_1G);
	if (ret)
		return ret;
	rng = seed;
	ret = part_alloc(objects, NR_LIVE, SZ_64K);
	if (!ret && is_long)
		ret = part_alloc(longs, NR_LONG, part->len);
	if (!ret)
		ret = part_measure(part, is_long ? longs : objects);
	if (ret)
		return ret;
	for (i = 0; i < NR_LIVE; i++) {
		if (is_long)
			hybrid_alloc_free(ha, objects[i].start, SZ_64K, NULL);
		else
			part_free(part, objects[i].start, i < PART_CALLS);
		if (i % PAIRS == 0)
			cond_resched();
	}
	for (i = 0; is_long && i < NR_LONG; i++)
		part_free(part, longs[i].start, true);
	hybrid_close();
	return 0;
}

static int parts_run(void)
{
	struct object *objects = vmalloc(array_size(NR_LIVE + NR_LONG, sizeof(*objects)));
	int ret = objects ? 0 : -ENOMEM, i;

	for (i = 0; i < ARRAY_SIZE(parts) && !ret; i++)
		ret = part_run(&parts[i], objects);
	vfree(objects);
	return ret;
}

/* ---- nothing else is allocated ---- */

static int empty_device(void)
{
	static const u32 lens[] = { SZ_64K + SZ_4K, 3 * SZ_1M };
	int i, ret = hybrid_open(allocators->capacity);

	for (i = 0; i < ARRAY_SIZE(lens) && !ret; i++)
		ret = measure(allocators, lens[i], "-empty");
	if (!ret)
		hybrid_close();
	return ret;
}

static int bench(void)
{
	const struct allocator *a;
	int ret = 0, i;

	if (loop)
		return run(allocators, allocators->capacity, just_loop);
	for (i = 0; i < ARRAY_SIZE(bare); i++)
		report(&bare[i], "lock-unlock", "", "pair",
		       max(median(&bare[i], 0) - median(&empty, 0), 0LL) * 1000 / PAIRS);
	for (a = allocators; a < allocators + ARRAY_SIZE(allocators) && !ret; a++) {
		ret = run(a, a->capacity, on_fresh);
		if (!ret && a->live)
			ret = run(a, a->capacity, on_live);
		if (!ret && a->churn)
			ret = run(a, a->capacity, on_fresh95);
		if (!ret && a->aged)
			ret = run(a, a->aged_capacity ?: a->capacity, on_aged95);
		if (!ret && a->far)
			ret = run(a, TIB, on_large) ?: run(a, 100 * TIB, on_large) ?:
				run(a, a->capacity, stress_10x) ?: run(a, a->capacity, stress_100x);
	}
	for (i = 0; i < ARRAY_SIZE(worsts) && !ret; i++)
		ret = worst_run(&worsts[i]);
	return ret ?: parts_run() ?: empty_device();
}

static int __init ha_bench_init(void)
{
	int ret;

	in_ns = !strcmp(unit, "ns");
	if (!device || (!in_ns && strcmp(unit, "instructions")))
		return -EINVAL;
	exp2_init();
	bdev = blkdev_get_by_path(device, BENCH_MODE, &bdev);
	if (IS_ERR(bdev))
		return PTR_ERR(bdev);
	ret = iova_cache_get();
	if (!ret) {
		ret = bench();
		iova_cache_put();
	}
	blkdev_put(bdev, BENCH_MODE);
	return ret;
}

static void __exit ha_bench_exit(void)
{
}

module_init(ha_bench_init);
module_exit(ha_bench_exit);

MODULE_DESCRIPTION("Cost of an allocation and a free, beside other allocators");
MODULE_AUTHOR("The hybrid_alloc developers");
MODULE_LICENSE("GPL");
