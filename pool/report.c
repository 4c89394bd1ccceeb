// SPDX-License-Identifier: GPL-2.0
/*
 * STAT and CHECK of the pool layer. Both only read: see pool.c, "Ownership of a magazine".
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/sched.h>

#include "pool/internal.h"

/*
 * CHECK looks at most this often, and reports wrong sums only if they were wrong this often. If
 * more than CHECK_BUSY allocations came during a look, the next one would hardly be alone.
 */
#define CHECK_TRIES	20
#define CHECK_QUIET	3
#define CHECK_BUSY	10

/* Allocations less frees that were hits. The owner of the magazine counts them. */
static u64 hapool_bin_live(const struct hapool_bin *bin)
{
	/* exact when no call is in flight */
	return data_race(bin->hits - bin->frees);
}

/**
 * hapool_charged - blocks in live extents
 * @p: the pool
 * Context: any. Return: exact if no call is in flight.
 */
u64 hapool_charged(struct hapool *p)
{
	unsigned int cpu;
	s64 sum = 0;

	for_each_possible_cpu(cpu) {
		struct hapool_cpu *c = per_cpu_ptr(p->cpus, cpu);

		sum += hapool_cpu_taken(p, c) - hapool_cpu_given(p, c);
	}
	return max_t(s64, sum, 0);
}

/*
 * The magazine of a bin, without taking it: only for a look at its counts, which its owner may
 * change meanwhile. NULL if there is none or it is taken. Under RCU: it is freed after a grace
 * period.
 */
static const struct hapool_mag *hapool_mag_peek(const struct hapool_bin *bin)
{
	/* pairs with cmpxchg() in hapool_mag_make(): its size is set when it is seen */
	const struct hapool_mag *mag = smp_load_acquire(&bin->mag);

	RCU_LOCKDEP_WARN(!rcu_read_lock_held(), "a magazine may be freed");
	return mag > MAG_TAKEN ? mag : NULL;
}

/* Objects in the magazine of a bin; none if the magazine is taken. */
static u64 hapool_bin_cached(const struct hapool_bin *bin)
{
	const struct hapool_mag *mag;
	u64 nr = 0;

	rcu_read_lock();
	mag = hapool_mag_peek(bin);
	if (mag)
		/* as in hapool_bin_live() */
		nr = data_race(mag->used) / sizeof(mag->refs[0]);
	rcu_read_unlock();
	return nr;
}

static void hapool_stat_reserve(const struct hapool *p, struct hapool_stat *st)
{
	struct hapool_reserve *r = hapool_reserve_of(p);

	if (!r)
		return;
	spin_lock(&r->lock);
	st->reserved = r->reserved;
	st->nr_reservations = r->users;
	st->reserved_refusals = r->refusals;
	spin_unlock(&r->lock);
	/* it is kept, and as long as nothing is reserved it is a part of the allocator */
	if (st->reserved)
		st->metadata += ksize(r);
}

/**
 * hapool_stat - where the space is
 * @p: the pool
 * @st: out
 * @walk: also look at all free runs
 * As haslab_stat(). Context: process context; may sleep. Exact if no call is in flight.
 */
void hapool_stat(struct hapool *p, struct hapool_stat *st, bool walk)
{
	unsigned int cpu;
	s64 live = 0, allocs = 0;
	int i;

	memset(st, 0, sizeof(*st));
	haslab_stat(&p->slab, &st->slab, walk);
	st->capacity = READ_ONCE(p->slab.cfg.nr_blocks) - p->slab.cfg.first_block;
	st->charged = hapool_charged(p);
	st->retired = atomic64_read(&p->held);
	st->metadata = sizeof(*p) + atomic_long_read(&p->slab.mem.bytes);
	hapool_stat_reserve(p, st);
	/* one for each CPU too, if the device is large enough */
	st->percpu = p->slab.nr_groups * sizeof(*p->slab.groups) +
		     HASLAB_NR_CLASSES * sizeof(*p->depot);
	for_each_possible_cpu(cpu) {
		struct hapool_cpu *c = per_cpu_ptr(p->cpus, cpu);

		live += READ_ONCE(c->live);
		allocs += READ_ONCE(c->done) + READ_ONCE(c->watched_done) - READ_ONCE(c->barren);
		for (i = 0; i < HASLAB_NR_CLASSES; i++) {
			st->cached += hapool_bin_cached(&c->bin[i]) * hapool_class_blocks(p, i);
			/* as in hapool_bin_live() */
			st->hits += data_race(c->bin[i].hits);
			live += hapool_bin_live(&c->bin[i]);
		}
		st->misses += READ_ONCE(c->misses);
		st->refills += READ_ONCE(c->refills);
		st->drains += READ_ONCE(c->drains);
		st->searches += READ_ONCE(c->searches);
		st->percpu += sizeof(*c) + READ_ONCE(c->mag_bytes);
		for (i = 0; i < HYBRID_ALLOC_REASON_COUNT; i++)
			st->refused[i] += READ_ONCE(c->refused[i]);
	}
	for (i = 0; i < HASLAB_NR_CLASSES; i++)
		st->cached += hapool_depot_cached(p, i) * hapool_class_blocks(p, i);
	st->nr_live = max_t(s64, live, 0);
	st->allocs = st->hits + max_t(s64, allocs, 0);
}

/* True at any time, also while the owner of the magazine is at work. */
static bool hapool_check_mag(struct hapool *p, int class, const struct hapool_bin *bin)
{
	const struct hapool_mag *mag;
	bool ok = true;

	rcu_read_lock();
	mag = hapool_mag_peek(bin);
	if (mag)
		/* as in hapool_bin_live() */
		ok = data_race(mag->used) <= mag->size &&
		     mag->size == p->limit[class] * sizeof(mag->refs[0]);
	rcu_read_unlock();
	return ok;
}

/* As haslab_check(). */
static int hapool_check_once(struct hapool *p)
{
	struct hapool_stat st;
	unsigned int cpu;
	int class, ret;

	for_each_possible_cpu(cpu)
		for (class = 0; class < HASLAB_NR_CLASSES; class++)
			if (!hapool_check_mag(p, class, &per_cpu_ptr(p->cpus, cpu)->bin[class]))
				return -EUCLEAN;
	hapool_stat(p, &st, false);
	ret = haslab_check(&p->slab);
	if (!ret && (st.capacity != st.charged + st.cached + st.retired + st.slab.free ||
		     st.reserved > st.cached + st.retired + st.slab.free))
		ret = -EAGAIN;
	return ret;
}

/* Allocations so far, about. */
static u64 hapool_nr_allocs(const struct hapool *p)
{
	unsigned int cpu;
	u64 sum = 0;
	int i;

	for_each_possible_cpu(cpu) {
		const struct hapool_cpu *c = per_cpu_ptr(p->cpus, cpu);

		sum += READ_ONCE(c->begun) + READ_ONCE(c->watched_begun);
		for (i = 0; i < HASLAB_NR_CLASSES; i++)
			/* as in hapool_bin_live() */
			sum += data_race(c->bin[i].hits);
	}
	return sum;
}

/*
 * Whether no call is in flight, and a number that changes with each call. `done` is summed before
 * `begun`, so equality proves that no call was in flight; likewise `freed` and `given` for frees. A
 * hit is not counted there; it shows by its magazine, which is taken.
 */
static bool hapool_is_quiet(struct hapool *p, u64 *events)
{
	u64 begun = 0, done = 0;
	unsigned int cpu;
	int i;

	*events = 0;
	for_each_possible_cpu(cpu)
		done += READ_ONCE(per_cpu_ptr(p->cpus, cpu)->done) +
			READ_ONCE(per_cpu_ptr(p->cpus, cpu)->watched_done);
	/* reads `done` first; a store that another CPU has under way is seen at the next try */
	smp_rmb();
	if (hapool_is_freeing(p) || hapool_depot_is_taken(p))
		return false;
	for_each_possible_cpu(cpu) {
		struct hapool_cpu *c = per_cpu_ptr(p->cpus, cpu);

		begun += READ_ONCE(c->begun) + READ_ONCE(c->watched_begun);
		*events += READ_ONCE(c->drains) + READ_ONCE(c->refills) + READ_ONCE(c->given);
		for (i = 0; i < HASLAB_NR_CLASSES; i++) {
			if (READ_ONCE(c->bin[i].mag) == MAG_TAKEN)
				return false;
			/* as in hapool_bin_live() */
			*events += data_race(c->bin[i].hits + c->bin[i].frees);
		}
	}
	*events += begun;
	return begun == done;
}

/**
 * hapool_check - verify every invariant of all layers, naively
 * @p: the pool
 *
 * Looks at all metadata, and at the accounting. The sums only match when no call is in flight: if
 * they do not match and calls were in flight, it looks again later.
 * Context: may sleep. Return: 0; -EUCLEAN something is broken; -EAGAIN other calls changed the
 * device meanwhile: each part is consistent, the totals could not be verified; -EINTR the caller
 * was killed; -ENODEV the device is being detached.
 */
int hapool_check(struct hapool *p)
{
	int ret, tries, quiet = 0;

	for (tries = 0; tries < CHECK_TRIES; tries++) {
		u64 before, after, allocs = hapool_nr_allocs(p);
		bool alone = hapool_is_quiet(p, &before);

		ret = hapool_check_once(p);
		if (ret != -EAGAIN || hapool_nr_allocs(p) - allocs > CHECK_BUSY)
			return ret;
		if (alone && hapool_is_quiet(p, &after) && before == after &&
		    ++quiet == CHECK_QUIET)
			return -EUCLEAN;
		schedule_timeout_uninterruptible(1);
	}
	return ret;
}
