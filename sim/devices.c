// SPDX-License-Identifier: GPL-2.0
/*
 * The devices of hybrid-sim interleave: so small that all their states can be reached. Their
 * units are of 4 KiB, then slabs, buddy blocks and extents over several of them exist, or of
 * 1 MiB, then all of the device is the rest of a unit. Magazines hold 1 or 2 objects, and
 * those with 2 have a group for each of two CPUs. On "4Kd" no slab is dissolved of which a pool has
 * objects, so a search has to empty the pools.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices.h"
#include "pool_hit.h"

struct hapool *pool;
const struct device *device;

/* at the start: bytes and objects of metadata */
static long first_bytes, first_objects;

static const u32 sizes[] = { 8, 11, 16 };

/* Sizes above slab_max come from the buddy. */
static const struct {
	const char *name;
	u32 unit_shift, slab_max, most_small;
} shapes[] = {
	{ "4K", 0, 2 },
	{ "4Kd", 0, 2, .most_small = 64 },
	{ "4Ks", 0, 256 },	/* all common sizes from slabs */
	{ "1M", 8, 256 },
};

unsigned int nr_devices(void)
{
	return 2 * ARRAY_SIZE(sizes) * ARRAY_SIZE(shapes);
}

const struct device *device_nr(unsigned int i)
{
	static struct device d;
	unsigned int shape = i / 2 % ARRAY_SIZE(shapes);

	d.magazine = 1 + i % 2;
	d.groups = d.magazine;
	d.unit_shift = shapes[shape].unit_shift;
	d.slab_max = shapes[shape].slab_max;
	d.most_small = shapes[shape].most_small;
	d.blocks = sizes[i / 2 / ARRAY_SIZE(shapes)];
	snprintf(d.name, sizeof(d.name), "%u.%s.%u", d.blocks, shapes[shape].name, d.magazine);
	return &d;
}

const struct device *device_named(const char *name, size_t len)
{
	unsigned int i;

	for (i = 0; i < nr_devices(); i++) {
		const struct device *d = device_nr(i);

		if (strlen(d->name) == len && !memcmp(d->name, name, len))
			return d;
	}
	return NULL;
}

/* Sizes that programs use: only their magazines are looked at. */
static bool is_used(u32 blocks)
{
	return blocks <= 3 || blocks == 5;
}

/* From a member on to a later one. */
static void mark_between(const void *from, const void *to, enum order_kind kind)
{
	order_mark(from, to - from, kind);
}

/* What only GROW, detach and hapool_init() write. */
static void mark_constants(struct haslab *s)
{
	struct habuddy *b = &s->buddy;

	order_mark(&s->cfg, sizeof(s->cfg), ORDER_CONSTANT);
	mark_between(&b->mem, &b->free_units, ORDER_CONSTANT);
	order_mark(&b->dev, sizeof(*b) - offsetof(struct habuddy, dev), ORDER_CONSTANT);
	mark_between(&s->slot_shift, &s->small_bytes, ORDER_CONSTANT);
	mark_between(&s->inverse, &s->spans, ORDER_CONSTANT);
	mark_between(&s->groups, &s->closing, ORDER_CONSTANT);
	order_mark(&pool->cpus, sizeof(pool->cpus), ORDER_CONSTANT);
	/* the end shares a word with hapool.bypass */
	order_mark(pool->limit, round_down(sizeof(pool->limit), 8), ORDER_CONSTANT);
}

/* Counters that only STAT and CHECK look at. */
static void mark_sums(struct hapool_cpu *c)
{
	order_mark(&c->live, sizeof(c->live), ORDER_SUM);
	order_mark(&c->begun, (char *)(c + 1) - (char *)&c->begun, ORDER_SUM);
}

/*
 * What need not be tried in all orders: sums, and bins that never have a magazine. (Other counters
 * decide whether a refusal is certain: pool/refusals.c.)
 */
static void mark_words(unsigned int nr_cpus)
{
	struct haslab *s = &pool->slab;
	unsigned int cpu, i;

	mark_constants(s);
	mark_between(&s->buddy.splits, &s->buddy.dev, ORDER_SUM);
	order_mark(&s->mem.bytes, sizeof(s->mem.bytes), ORDER_SILENT);
	order_mark(&s->lock, sizeof(s->lock), ORDER_LOCK);
	order_mark(&s->space_lock, sizeof(s->space_lock), ORDER_LOCK);
	order_mark(&pool->slow, sizeof(pool->slow), ORDER_LOCK);
	order_mark(&pool->refusals.lock, sizeof(spinlock_t), ORDER_LOCK);
	for (i = 0; i < s->nr_groups; i++) {
		struct haslab_group *g = &s->groups[i];

		order_mark(&g->lock, sizeof(g->lock), ORDER_LOCK);
		mark_between(&g->made, &g->partial, ORDER_SUM);
	}
	for (cpu = 0; cpu < nr_cpus; cpu++) {
		struct hapool_cpu *c = per_cpu_ptr(pool->cpus, cpu);

		mark_sums(c);
		for (i = 0; i <= HASLAB_NR_CLASSES; i++)
			if (i == HASLAB_NR_CLASSES || !is_used(s->classes[i].blocks))
				order_mark(&c->bin[i], sizeof(c->bin[i]), ORDER_SILENT);
	}
}

/* Make an allocator in which all is free, in place of the one before. */
void device_start(const struct device *d, unsigned int nr_cpus)
{
	static const struct order_memory nothing;
	struct haslab_config cfg = {
		.nr_blocks = d->blocks, .unit_shift = d->unit_shift, .slab_max = d->slab_max,
		.nr_groups = d->groups, .byte_shift = 12, .most_small = d->most_small,
	};
	int i, ret;

	order_restore(&nothing);
	device = d;
	sim_set_nr_cpus(nr_cpus);
	order_set_cpu(0);
	pool = kzalloc(sizeof(*pool), GFP_KERNEL);
	ret = hapool_init(pool, &cfg);
	if (ret)
		order_fail("hapool_init(): %d", ret);
	for (i = 0; i < HASLAB_NR_CLASSES; i++)
		pool->limit[i] = d->magazine;
	mark_words(nr_cpus);
	first_bytes = atomic_long_read(&pool->slab.mem.bytes);
	first_objects = order_objects();
}

/* Whether a magazine of @cpu, or of any CPU if that is < 0, has an object. */
bool device_caches(int cpu)
{
	int i, c;

	for (c = 0; c < nr_cpu_ids; c++)
		for (i = 0; (cpu < 0 || c == cpu) && i < HASLAB_NR_CLASSES; i++) {
			struct hapool_mag *mag = per_cpu_ptr(pool->cpus, c)->bin[i].mag;

			if (mag > MAG_TAKEN && mag->used)
				return true;
		}
	return false;
}

/* ---- a model of the space ---- */

/* The length of the extent that begins at @start. */
u32 space_len(const struct space *s, u32 start)
{
	u32 end = start + 1;

	while (s->used >> end & ~s->starts >> end & 1)
		end++;
	return end - start;
}

bool space_is_extent(const struct space *s, u32 start, u32 len)
{
	return s->starts >> start & 1 && space_len(s, start) == len;
}

bool space_fits(u32 used, u32 len, u32 align)
{
	u32 start;

	for (start = 0; start + len <= device->blocks; start += align)
		if (!(used & blocks_mask(start, len)))
			return true;
	return false;
}

/* ---- checks, with no call in flight ---- */

static void check_map(const struct space *live)
{
	struct haslab_extent entries[MAX_BLOCKS], *e;
	u32 pos = 0;
	int i, nr = hapool_map(pool, 0, entries, MAX_BLOCKS);
	u32 starts = 0;

	for (i = 0; i < nr; i++) {
		e = &entries[i];
		if (e->start != pos || !e->len)
			order_fail("map: %llu blocks at %llu, not at %u", e->len, e->start, pos);
		if (e->state == HYBRID_ALLOC_MAP_LIVE ? !space_is_extent(live, pos, e->len) :
		    e->state == HYBRID_ALLOC_MAP_HELD || live->used & blocks_mask(pos, e->len))
			order_fail("map: %llu blocks at %u are not of state %u", e->len, pos,
				   e->state);
		if (e->state == HYBRID_ALLOC_MAP_LIVE)
			starts |= 1U << pos;
		pos += e->len;
	}
	if (pos != device->blocks || starts != live->starts)
		order_fail("map: ends at %u, extents at %#x instead of %#x", pos, starts,
			   live->starts);
}

/* The accounting and the map. */
void device_check_sums(const struct space *live, bool drained)
{
	u32 used = hweight32(live->used), nr = hweight32(live->starts);
	struct hapool_stat st;

	hapool_stat(pool, &st, false);
	if (st.charged != used || st.nr_live != nr || st.capacity != device->blocks ||
	    st.retired || (drained && st.cached) ||
	    st.capacity != st.charged + st.cached + st.slab.free)
		order_fail("stat: charged %llu/%llu, cached %llu, free %llu; live %u/%u",
			   st.charged, st.nr_live, st.cached, st.slab.free, used, nr);
	check_map(live);
}

/* These, and each invariant of the layers. */
void device_check(const struct space *live, bool drained)
{
	struct hapool_stat st;
	int ret = hapool_check(pool);

	hapool_stat(pool, &st, false);
	if (st.reserved != live->reserved)
		order_fail("%llu blocks are reserved, not %u", st.reserved, live->reserved);

	if (ret)
		order_fail("hapool_check(): %d", ret);
	device_check_sums(live, drained);
}

/* A reservation, which is empty, and whose memory stays. */
void device_reserves(struct hapool_reservation *v)
{
	if (hapool_reservation_open(pool, v))
		order_fail("a reservation cannot be opened");
	first_objects = order_objects();
}

/* Free all that is live: then all space is one run, and no memory is left. */
void device_check_empty(struct space *live)
{
	enum hybrid_alloc_reason reason;
	struct hapool_stat st;
	u32 start, len;
	int ret;

	while (live->starts) {
		start = __builtin_ctz(live->starts);
		len = space_len(live, start);
		ret = hapool_free(pool, start, len, &reason);
		if (ret)
			order_fail("free of %u+%u at the end: %d", start, len, ret);
		space_remove(live, start, len);
	}
	hapool_shrink(pool, ULONG_MAX);
	device_check(live, true);
	hapool_stat(pool, &st, true);
	if (st.slab.free != device->blocks || st.slab.largest_run != device->blocks ||
	    atomic_long_read(&pool->slab.mem.bytes) != first_bytes)
		order_fail("in the end %llu blocks free, run of %llu, of %u; metadata %ld of %ld",
			   st.slab.free, st.slab.largest_run, device->blocks,
			   atomic_long_read(&pool->slab.mem.bytes), first_bytes);
	if (order_objects() != first_objects)
		order_fail("in the end %ld objects are left", order_objects() - first_objects);
}
