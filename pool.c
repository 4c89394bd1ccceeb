// SPDX-License-Identifier: GPL-2.0
/*
 * The pool layer: per-CPU caches of ready extents, and the entry to the allocator.
 *
 * For each common size (haslab_class) every CPU has a magazine: a small array of CACHED objects,
 * which are neither live nor free. An allocation takes one out, a free puts one in, and neither
 * touches a shared lock. A magazine is refilled to the half when it is empty and drained to the
 * half when it is full, so a CPU that allocates and frees by turns stays inside it. (Magazines
 * are Bonwick's, 2001. What is added is that a free is checked before it is cached: it first
 * clears the live bit of the slab layer atomically, and is refused if the bit is not set.) Where
 * one CPU allocates and another one frees, whole magazines change hands (pool/depot.c).
 *
 * The capacity of a magazine is set for each size, so that large extents do not evict small ones
 * and no size hoards space. Magazines that are not used for a while are emptied, then freed
 * (hapool_drain_idle()). When memory is short all of them are freed at once (hapool_shrink()).
 *
 * A free is retire, which checks the extent and ends its ownership, and reuse, which makes the
 * space available again. A hit does both, inlined (pool_hit.h); hapool_free() does both;
 * hapool_retire() and hapool_reuse() are for a caller that has something to do in between.
 *
 * Ownership of a magazine
 * -----------------------
 * A CPU keeps the magazine of a size in a bin. A bin holds the magazine, NULL, or MAG_TAKEN.
 * Taking is one atomic exchange, from any CPU: so a drainer needs no interrupt on another CPU,
 * and the magazines of a dead CPU are within reach. The task that has taken a magazine owns it:
 * it may enable preemption, take locks, and puts it back. A task that finds a bin taken does not
 * wait but goes to the slab layer; only drainers wait. Neither memory nor a mutex is waited for
 * while a magazine is taken, so that is short, unless its task is preempted and does not run.
 *
 * Taking a magazine makes a hit of its CPU a miss. So STAT and CHECK, which any reader may call in
 * a loop, take none: they read counts (hapool_mag_peek()).
 *
 * The slow mode
 * -------------
 * An allocation for which the slab layer finds nothing must not fail because the space sits in a
 * magazine. It takes hapool.slow, raises hapool.bypass, and empties all magazines, those of the
 * depot last. A free reads bypass after it has taken a magazine: it either sees it raised and goes
 * to the slab layer, or its magazine is still to be emptied. So from then on everything that was
 * freed is free in the slab layer, and what haslab_search() does not find does not exist: that is
 * where a false ENOSPC is prevented. Claims that meet CACHED objects use the same mode. Where
 * ENOSPC is certain without it, the slow mode is not entered (pool/refusals.c).
 *
 * Reservations
 * ------------
 * Blocks may be reserved, without a place. Calls that are no hits then book what they take, and
 * when little is left the pools stay closed: see pool/reserve.c.
 *
 * Locks, in this order
 * --------------------
 *   1. hapool.slow, a mutex: one task at a time is in the slow mode, holds blocks for TRIM (from
 *	hapool_hold() to hapool_unhold()), or grows the device. It does not keep other tasks from
 *	allocating and freeing. The shrinker does not take it. A caller with GFP_NOIO may take it,
 *	so its holder waits for memory without I/O (hapool_slow_lock()) and for no task that may
 *	wait for more; it does wait for a discard that it has submitted.
 *   2. a taken magazine: it belongs to its task; what is in it is CACHED and pins its slabs
 *   3. the locks of the slab layer (slab.c)
 *   4. hapool_refusals.lock and hapool_reserve.lock, spinlocks, under which no other lock is taken
 *
 * Waits for hapool.slow, and in the slow mode for a taken magazine, an object that is on its way or
 * a call that has booked blocks (haslab_pause()), end when the task is killed: EINTR. A task that
 * cannot be killed, such as a work item, waits until the other task has run, and so do all tasks of
 * an allocator that is haslab_config.unkillable, and one that allocates against a reservation. That
 * is bounded if the other task is ever given a CPU, as no more than a few batches for the slab
 * layer, or a discard of TRIM, is between. A drain that no allocation needs waits DRAIN_TRIES
 * jiffies at most, then leaves the magazine. No other wait is for a task that may be preempted, but
 * for a spinlock.
 *
 * Counters are per CPU; a sum over them is exact when no call is in flight.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>

#include "pool/internal.h"
#include "trace.h"

/*
 * Objects in a magazine: 64, or as many as make 4 MiB (1024 blocks), but at least 4, also of
 * 4 MiB: that still halves the trips to the slab layer.
 */
#define MAG_MAX_OBJECTS	64U
#define MAG_MAX_BLOCKS	1024U
#define MAG_MIN_OBJECTS	4U
/* How often in a row others may take what was found before this CPU is left to them. */
#define SEARCH_TRIES	16
/* How many objects of a magazine are looked at for one at a goal, from its end. */
#define MAG_LOOK	8U
/* How often a drain for no allocation looks again after magazines that are taken, a jiffy apart. */
#define DRAIN_TRIES	50
/* One size on one CPU caches at most this part of a small device. */
#define MAG_SHARE_SHIFT	8

/*
 * Count a free that is no hit, before it and after it. In between, the counters need not match
 * the space; see hapool_check().
 */
static inline void hapool_free_begin(struct hapool *p, u64 len)
{
	this_cpu_add(p->cpus->given, len);
	this_cpu_dec(p->cpus->live);
}

static inline void hapool_free_end(struct hapool *p, u64 len)
{
	/* pairs with smp_rmb() in hapool_is_freeing() */
	smp_wmb();
	this_cpu_add(p->cpus->freed, len);
}

/* Nothing was freed: the blocks are what they were. */
static void hapool_free_undo(struct hapool *p, u64 len)
{
	/* pairs with the first smp_rmb() in hapool_may_fit() */
	smp_wmb();
	hapool_not_freed(p, len);
}

/* The free was refused. */
static int hapool_free_refused(struct hapool *p, u64 len, enum hybrid_alloc_reason reason, int ret)
{
	this_cpu_inc(p->cpus->refused[reason]);
	hapool_free_undo(p, len);
	return ret;
}

/*
 * The same for calls that are neither a hit nor a free. Return: whether the call is to book what
 * it takes: see pool/reserve.c.
 */
static __always_inline bool hapool_call_begin(struct hapool *p)
{
	const struct hapool_reserve *r;
	bool watched;

	/* hapool_reservation_open() waits for a grace period */
	preempt_disable();
	r = hapool_reserve_of(p);
	watched = unlikely(r) && READ_ONCE(r->watched);
	if (unlikely(watched))
		this_cpu_inc(p->cpus->watched_begun);
	else
		this_cpu_inc(p->cpus->begun);
	preempt_enable();
	return watched;
}

static __always_inline int hapool_call_end(struct hapool *p, bool watched, int ret)
{
	/* pairs with smp_rmb() in hapool_all_watched(): what it took is counted */
	smp_wmb();
	if (unlikely(watched))
		this_cpu_inc(p->cpus->watched_done);
	else
		this_cpu_inc(p->cpus->done);
	return ret;
}

/* It failed, or is not for an extent. */
static int hapool_call_end_barren(struct hapool *p, bool watched, int ret)
{
	this_cpu_inc(p->cpus->barren);
	return hapool_call_end(p, watched, ret);
}

/* The end of a call for an extent, which was counted with its booking if it is @watched. */
static int hapool_call_result(struct hapool *p, bool watched, u64 len, int ret)
{
	if (ret)
		return hapool_call_end_barren(p, watched, ret);
	if (likely(!watched))
		hapool_count(p, len);
	return hapool_call_end(p, watched, 0);
}

/* ---- magazines ---- */

/* The size of a class, for tracepoints. */
static u64 hapool_class_bytes(const struct hapool *p, int class)
{
	return hapool_class_blocks(p, class) << p->slab.cfg.byte_shift;
}

static void hapool_mag_set_nr(struct hapool_mag *mag, u32 nr)
{
	mag->used = nr * sizeof(mag->refs[0]);
}

/* A new magazine, empty. It is only a cache: without memory nothing happens. */
static struct hapool_mag *hapool_mag_new(struct hapool *p, int class, gfp_t gfp)
{
	struct hapool_mag *mag = kzalloc(struct_size(mag, refs, p->limit[class]),
					 gfp | __GFP_NOWARN);

	if (!mag)
		return NULL;
	mag->size = p->limit[class] * sizeof(mag->refs[0]);
	/* before another task may take and free it */
	this_cpu_add(p->cpus->mag_bytes, ksize(mag));
	return mag;
}

/* Free a magazine that is empty. Lockless readers may still look at its counts. */
static void hapool_mag_free(struct hapool *p, struct hapool_mag *mag)
{
	this_cpu_sub(p->cpus->mag_bytes, ksize(mag));
	kfree_rcu(mag, rcu);
}

/* A bin gets a magazine if it has none. Return: whether it has got this one. */
static bool hapool_mag_install(struct hapool_bin *bin, struct hapool_mag *mag)
{
	return !cmpxchg(&bin->mag, NULL, mag);
}

/*
 * Make the magazine that this CPU lacks. While memory is waited for the task may move to another
 * CPU, which then gets the magazine.
 */
static void hapool_mag_make(struct hapool *p, int class, gfp_t gfp)
{
	struct hapool_mag *mag = hapool_mag_new(p, class, gfp);
	struct hapool_cpu *cpu;

	if (!mag)
		return;
	cpu = get_cpu_ptr(p->cpus);
	mag->cpu = smp_processor_id();
	if (hapool_mag_install(&cpu->bin[class], mag))
		mag = NULL;
	put_cpu_ptr(p->cpus);
	if (mag)
		hapool_mag_free(p, mag);
}

/* A free wants an empty magazine, and makes none: a free needs no memory. */
static noinline void hapool_depot_supply(struct hapool *p, int class, gfp_t gfp)
{
	struct hapool_mag *mag = hapool_mag_new(p, class, gfp);

	if (mag && !hapool_depot_put(p, class, mag))
		hapool_mag_free(p, mag);
}

/* Give back the oldest objects of a taken magazine, all but @keep. */
static void hapool_mag_drain(struct hapool *p, int class, struct hapool_mag *mag, u32 keep,
			     enum hapool_drain why)
{
	u32 nr = hapool_mag_nr(mag) - keep;

	haslab_put_objects(&p->slab, class, mag->refs, nr);
	memmove(mag->refs, mag->refs + nr, keep * sizeof(mag->refs[0]));
	hapool_mag_set_nr(mag, keep);
	this_cpu_inc(p->cpus->drains);
	trace_ha_drain(p->slab.cfg.dev, mag->cpu, hapool_class_bytes(p, class), nr, keep, why);
}

/* Before another look at a magazine that is taken. As hapool_bin_drain(). */
static int hapool_drain_wait(struct hapool *p, unsigned int *tries)
{
	if (tries && !*tries)
		return -EBUSY;
	if (tries)
		--*tries;
	return haslab_pause(&p->slab) ? -EINTR : 0;
}

/*
 * Empty one bin. If its magazine is taken, wait for it, as often as @tries says (NULL: as long as
 * it takes). May sleep. Return: 0; -EINTR killed while waiting; -EBUSY it is still taken.
 */
static int hapool_bin_drain(struct hapool *p, int class, struct hapool_bin *bin,
			    unsigned int *tries)
{
	struct hapool_mag *mag;
	int ret;

	while (READ_ONCE(bin->mag)) {
		mag = hapool_mag_take(bin);
		if (mag) {
			if (mag->used)
				hapool_mag_drain(p, class, mag, 0, HAPOOL_DRAIN_ASKED);
			hapool_mag_put(bin, mag);
			return 0;
		}
		ret = hapool_drain_wait(p, tries);
		if (ret)
			return ret;
	}
	return 0;
}

/* Empty the magazines of a CPU, as hapool_bin_drain(); what is still taken is skipped. */
static int hapool_cpu_drain(struct hapool *p, unsigned int cpu, unsigned int *tries)
{
	struct hapool_cpu *c = per_cpu_ptr(p->cpus, cpu);
	int class, ret = 0;

	for (class = 0; class < HASLAB_NR_CLASSES && ret != -EINTR; class++)
		ret = hapool_bin_drain(p, class, &c->bin[class], tries);
	return ret == -EINTR ? ret : 0;
}

/* Empty a place of the depot, as hapool_bin_drain(). */
static int hapool_place_drain(struct hapool *p, int class, unsigned long *place,
			      unsigned int *tries)
{
	struct hapool_mag *mag;
	bool taken;
	int ret;

	do {
		mag = hapool_depot_take(place, &taken);
		if (mag) {
			if (mag->used)
				hapool_mag_drain(p, class, mag, 0, HAPOOL_DRAIN_ASKED);
			hapool_depot_release(place, mag);
		}
		ret = taken ? hapool_drain_wait(p, tries) : 0;
	} while (taken && !ret);
	return ret;
}

static int hapool_depot_drain(struct hapool *p, unsigned int *tries)
{
	int class, ret = 0;
	unsigned int i;

	for (class = 0; hapool_has_depot(p) && class < HASLAB_NR_CLASSES; class++)
		for (i = 0; i < HAPOOL_DEPOT_PLACES && ret != -EINTR; i++)
			ret = hapool_place_drain(p, class, &p->depot[class].places[i], tries);
	return ret == -EINTR ? ret : 0;
}

/* First the bins, then the depot: see depot.c. */
static int hapool_drain_all(struct hapool *p, unsigned int *tries)
{
	unsigned int cpu;
	int ret;

	for_each_possible_cpu(cpu) {
		ret = hapool_cpu_drain(p, cpu, tries);
		if (ret)
			return ret;
	}
	return hapool_depot_drain(p, tries);
}

/**
 * hapool_drain_cpu - empty the magazines of a CPU, online or not
 * @p: the pool
 * @cpu: the CPU
 * Context: may sleep. As hapool_drain().
 */
void hapool_drain_cpu(struct hapool *p, unsigned int cpu)
{
	unsigned int tries = DRAIN_TRIES;

	hapool_cpu_drain(p, cpu, &tries);
}

/**
 * hapool_drain - empty all pools
 * @p: the pool
 *
 * What other tasks free meanwhile may be cached again. A magazine that a task has taken and does
 * not put back for long, as it does not run, is left; so are those that are left over when the
 * caller is killed while it waits for one.
 * Context: may sleep, DRAIN_TRIES jiffies or a little more.
 */
void hapool_drain(struct hapool *p)
{
	unsigned int tries = DRAIN_TRIES;

	hapool_drain_all(p, &tries);
	haslab_drain(&p->slab);
}

/* Empty a taken magazine and free it. Its CPU makes another one when it needs it. */
static void hapool_mag_release(struct hapool *p, int class, struct hapool_bin *bin,
			       struct hapool_mag *mag)
{
	if (mag->used)
		hapool_mag_drain(p, class, mag, 0, HAPOOL_DRAIN_MEMORY);
	hapool_mag_put(bin, NULL);
	hapool_mag_free(p, mag);
}

/* Likewise a magazine of the depot that was taken. */
static void hapool_place_release(struct hapool *p, int class, unsigned long *place,
				 struct hapool_mag *mag)
{
	if (mag->used)
		hapool_mag_drain(p, class, mag, 0, HAPOOL_DRAIN_MEMORY);
	hapool_depot_release(place, NULL);
	hapool_mag_free(p, mag);
}

/* What has been in the depot since the last look is emptied and freed. */
static void hapool_place_drain_idle(struct hapool *p, int class, unsigned long *place)
{
	struct hapool_mag *mag;
	bool taken;

	mag = hapool_depot_take(place, &taken);
	if (!mag)
		return;
	if (mag->seen) {
		hapool_place_release(p, class, place, mag);
		return;
	}
	mag->seen = 1;
	hapool_depot_release(place, mag);
}

/* A magazine that was not used since the last look is emptied; at the next look it is freed. */
static void hapool_bin_drain_idle(struct hapool *p, int class, struct hapool_bin *bin)
{
	struct hapool_mag *mag = hapool_mag_take(bin);
	u64 uses;

	if (!mag)
		return;
	uses = bin->hits + bin->frees;
	if (mag->seen == uses && !mag->used) {
		hapool_mag_release(p, class, bin, mag);
		return;
	}
	if (mag->seen == uses)
		hapool_mag_drain(p, class, mag, 0, HAPOOL_DRAIN_IDLE);
	mag->seen = uses;
	hapool_mag_put(bin, mag);
}

/**
 * hapool_drain_idle - empty the magazines that were not used since the last call
 * @p: the pool
 *
 * Tasks move to other CPUs, and frees happen on other CPUs than allocations: without this a CPU
 * would keep what it has cached once. To be called now and then, by one task at a time.
 * Context: process context. Never needs memory.
 */
void hapool_drain_idle(struct hapool *p)
{
	unsigned int cpu, i;
	int class;

	for_each_possible_cpu(cpu) {
		for (class = 0; class < HASLAB_NR_CLASSES; class++)
			hapool_bin_drain_idle(p, class, &per_cpu_ptr(p->cpus, cpu)->bin[class]);
		cond_resched();
	}
	for (class = 0; hapool_has_depot(p) && class < HASLAB_NR_CLASSES; class++)
		for (i = 0; i < HAPOOL_DEPOT_PLACES; i++)
			hapool_place_drain_idle(p, class, &p->depot[class].places[i]);
	hapool_relax(p);
}

/**
 * hapool_nr_mags - how many magazines hapool_shrink() could free
 * @p: the pool
 * Context: any. Return: an estimate.
 */
unsigned long hapool_nr_mags(struct hapool *p)
{
	unsigned long nr = 0;
	unsigned int cpu, i;
	int class;

	for_each_possible_cpu(cpu)
		for (class = 0; class < HASLAB_NR_CLASSES; class++)
			nr += !!READ_ONCE(per_cpu_ptr(p->cpus, cpu)->bin[class].mag);
	for (class = 0; hapool_has_depot(p) && class < HASLAB_NR_CLASSES; class++)
		for (i = 0; i < HAPOOL_DEPOT_PLACES; i++)
			nr += !!READ_ONCE(p->depot[class].places[i]);
	return nr;
}

/* hapool_shrink() for the depot. */
static unsigned long hapool_depot_shrink(struct hapool *p, unsigned long nr)
{
	unsigned long done = 0;
	unsigned int i;
	int class;

	for (class = 0; hapool_has_depot(p) && class < HASLAB_NR_CLASSES; class++)
		for (i = 0; i < HAPOOL_DEPOT_PLACES && done < nr; i++) {
			unsigned long *place = &p->depot[class].places[i];
			struct hapool_mag *mag;
			bool taken;

			mag = hapool_depot_take(place, &taken);
			if (!mag)
				continue;
			hapool_place_release(p, class, place, mag);
			done++;
		}
	return done;
}

/**
 * hapool_shrink - free magazines, because memory is short
 * @p: the pool
 * @nr: how many, at the most
 *
 * What was in them becomes free, and slabs that are empty then free their memory, too.
 * Context: process context, also from memory reclaim: takes no lock under which memory is waited
 * for. Return: how many magazines.
 */
unsigned long hapool_shrink(struct hapool *p, unsigned long nr)
{
	unsigned long done = hapool_depot_shrink(p, nr);
	unsigned int cpu;
	int class;

	for_each_possible_cpu(cpu)
		for (class = 0; class < HASLAB_NR_CLASSES && done < nr; class++) {
			struct hapool_bin *bin = &per_cpu_ptr(p->cpus, cpu)->bin[class];
			struct hapool_mag *mag = hapool_mag_take(bin);

			if (!mag)
				continue;
			hapool_mag_release(p, class, bin, mag);
			done++;
		}
	haslab_drain(&p->slab);
	return done;
}

/* ---- the slow mode ---- */

/*
 * Take hapool.slow. A caller with GFP_NOIO may wait for it, and that caller may be what memory
 * reclaim waits for. So until hapool_slow_unlock() this task waits for memory without I/O,
 * whatever the gfp flags say, also in functions of the block layer. With __GFP_NOFAIL neither the
 * wait nor what follows ends when the task is killed.
 */
static int hapool_slow_lock(struct hapool *p, gfp_t gfp)
{
	bool patient = gfp & __GFP_NOFAIL;

	if (p->slab.cfg.unkillable || patient)
		mutex_lock(&p->slow);
	else if (mutex_lock_killable(&p->slow))
		return -EINTR;
	ha_hold_begin(HA_LOCK_SLOW);
	p->noio = memalloc_noio_save();
	WRITE_ONCE(p->slab.patient, patient ? current : NULL);
	return 0;
}

static void hapool_slow_unlock(struct hapool *p)
{
	lockdep_assert_held(&p->slow);
	WRITE_ONCE(p->slab.patient, NULL);
	memalloc_noio_restore(p->noio);
	ha_hold_end(HA_LOCK_SLOW);
	mutex_unlock(&p->slow);
}

/* Close the pools and empty them. In any case, hapool_slow_end() follows. */
static int hapool_slow_begin(struct hapool *p)
{
	int ret;

	lockdep_assert_held(&p->slow);
	atomic_inc(&p->bypass);
	/* pairs with the barrier in hapool_mag_take() before hapool_closed() */
	smp_mb__after_atomic();
	ret = hapool_drain_all(p, NULL);
	p->emptied = !ret;
	if (p->emptied)
		hapool_set_closed(p, 1);
	return ret;
}

static void hapool_slow_end(struct hapool *p)
{
	lockdep_assert_held(&p->slow);
	if (p->emptied)
		hapool_set_closed(p, -1);
	/* pairs with hapool_closed(): a CPU that sees the pools open sees all slab conversions */
	smp_mb__before_atomic();
	atomic_dec(&p->bypass);
}

/* ---- booking ---- */

/* hapool_try_book_some() in the slow mode: waits for calls that have booked something. */
static int hapool_book_slow(struct hapool *p, u64 least, u64 *nr, u64 *count)
{
	u64 most = *nr;
	int ret = hapool_try_book_some(p, least, nr, count, true);

	if (ret != -EAGAIN)
		return ret;
	hapool_set_exclusive(p, true);
	do {
		*nr = most;
		ret = haslab_pause(&p->slab) ?: hapool_try_book_some(p, least, nr, count, true);
	} while (ret == -EAGAIN);
	hapool_set_exclusive(p, false);
	return ret;
}

/* The same from outside. The pools stay closed as long as reservations leave little more. */
static int hapool_book_closed(struct hapool *p, u64 least, u64 *nr, u64 *count)
{
	int ret = hapool_slow_lock(p, GFP_KERNEL);

	if (ret)
		return ret;
	ret = hapool_slow_begin(p);
	if (!ret)
		ret = hapool_book_slow(p, least, nr, count);
	if (!p->emptied || !hapool_stays_closed(p))
		hapool_slow_end(p);
	hapool_slow_unlock(p);
	return ret;
}

/*
 * As hapool_try_book_some(), but -EAGAIN is that @gfp does not let it wait; -EINTR killed.
 */
static int hapool_book_some(struct hapool *p, u64 least, u64 *nr, u64 *count, gfp_t gfp)
{
	u64 most = *nr;
	int ret = hapool_try_book_some(p, least, nr, count, false);

	if (ret != -EAGAIN || !gfpflags_allow_blocking(gfp))
		return ret;
	*nr = most;
	return hapool_book_closed(p, least, nr, count);
}

static int hapool_book(struct hapool *p, u64 nr, u64 *count, gfp_t gfp)
{
	return hapool_book_some(p, nr, &nr, count, gfp);
}

/* ---- alloc ---- */

/* A caller that may not wait for memory gets EAGAIN, not ENOMEM. */
static int hapool_would_wait(int ret, gfp_t gfp)
{
	return ret == -ENOMEM && !gfpflags_allow_blocking(gfp) ? -EAGAIN : ret;
}

/* Whether an alignment is no power of two. */
static __always_inline bool hapool_is_other(u64 align)
{
	return align & (align - 1);
}

/*
 * The class that serves an extent, or -1. Objects of a power of two are aligned to their size,
 * others are not aligned.
 */
static __always_inline int hapool_class_of(const struct hapool *p, u64 len, u64 align)
{
	return align > 1 && (align > len || !is_power_of_2(len) || hapool_is_other(align)) ?
	       -1 : haslab_class_of(&p->slab, len);
}

/* Take one object of a common size past the pools. */
static noinline int hapool_alloc_object(struct hapool *p, int class, gfp_t gfp, u64 *start)
{
	struct haslab_ref ref;
	int ret = haslab_get_objects(&p->slab, class, &ref, 1, gfp);

	if (ret < 0)
		return ret;
	haslab_own(&ref);
	*start = ref.start;
	return 0;
}

/* From the slab layer: the best place first. */
static __always_inline int hapool_alloc_direct(struct hapool *p, int class, u64 len, u64 align,
					       gfp_t gfp, u64 *start)
{
	int ret = -ENOSPC;

	if (class >= 0)
		ret = hapool_alloc_object(p, class, gfp, start);
	if (ret == -ENOSPC)
		ret = haslab_alloc(&p->slab, len, align, gfp, start);
	return ret;
}

/* The same at any alignment. */
static int hapool_alloc_somewhere(struct hapool *p, u64 len, u64 align, gfp_t gfp, u64 *start)
{
	if (hapool_is_other(align))
		return haslab_alloc_multiple(&p->slab, len, align, gfp, start);
	return hapool_alloc_direct(p, hapool_class_of(p, len, align), len, align, gfp, start);
}

/*
 * Enter the slow mode for a search, and note what its answer is worth. In any case,
 * hapool_slow_end() follows.
 */
static int hapool_search_start(struct hapool *p)
{
	int ret;

	p->search_frees = hapool_frees(p);
	p->search_exact = !hapool_is_freeing(p);
	ret = hapool_slow_begin(p);
	if (!ret)
		this_cpu_inc(p->cpus->searches);
	return ret;
}

static void hapool_search_result(struct hapool *p, u64 len, u64 align, int ret)
{
	if (ret == -ENOSPC && p->search_exact)
		hapool_note_refusal(p, len, align, p->search_frees);
}

static int hapool_search_place(struct hapool *p, u64 len, u64 align, gfp_t gfp, u64 *start)
{
	int ret = 0;

	/* to look for a good place takes all groups as well: whether there is any comes first */
	if (!haslab_is_mixed_size(&p->slab, len, align))
		ret = haslab_find(&p->slab, len, align, start);
	if (!ret) {
		ret = hapool_alloc_somewhere(p, len, align, gfp, start);
		if (ret == -ENOSPC)
			ret = haslab_search(&p->slab, len, align, gfp, start);
	}
	hapool_search_result(p, len, align, ret);
	return ret;
}

/*
 * An extent of @max blocks, or the longest there is, of at least *@len: out. What was found may be
 * taken by others; then it is looked for again.
 */
static int hapool_search_longest(struct hapool *p, u64 *len, u64 max, u64 align, gfp_t gfp,
				 u64 *start)
{
	u64 min = *len;
	unsigned int tries = 0;
	int ret = 0;

	while (!ret) {
		*len = min;
		ret = haslab_find_longest(&p->slab, len, max, align);
		if (ret)
			break;
		ret = hapool_alloc_somewhere(p, *len, align, gfp, start);
		if (ret == -ENOSPC)
			ret = haslab_search(&p->slab, *len, align, gfp, start);
		if (ret != -ENOSPC)
			break;
		ret = ++tries % SEARCH_TRIES ? 0 : haslab_pause(&p->slab);
	}
	if (!ret && *len < max)
		hapool_search_result(p, *len + 1, align, -ENOSPC);
	hapool_search_result(p, min, align, ret);
	return ret;
}

static int hapool_search_any(struct hapool *p, u64 *len, u64 max, u64 align, gfp_t gfp, u64 *start)
{
	return *len < max || hapool_is_other(align) ?
	       hapool_search_longest(p, len, max, align, gfp, start) :
	       hapool_search_place(p, max, align, gfp, start);
}

/* Whether an allocation has to book its blocks, or has reserved them. See pool/reserve.c. */
enum hapool_books { HAPOOL_PLAIN, HAPOOL_BOOKS, HAPOOL_RESERVED };

/*
 * The same with a booking. While a call searches for what it has reserved, others book nothing: so
 * they cannot take what it has found again and again.
 */
static noinline int hapool_search_watched(struct hapool *p, u64 *len, u64 max, u64 align,
					  gfp_t gfp, enum hapool_books books, u64 *start)
{
	int ret;

	if (books == HAPOOL_RESERVED) {
		hapool_set_exclusive(p, true);
		ret = hapool_search_any(p, len, max, align, gfp, start);
		hapool_set_exclusive(p, false);
		return ret;
	}
	ret = hapool_book_slow(p, *len, &max, &p->reserve->booked);
	if (ret)
		return ret;
	ret = hapool_search_any(p, len, max, align, gfp, start);
	hapool_unbook(p, max, &p->reserve->booked, ret ? 0 : *len);
	return ret;
}

static int hapool_search(struct hapool *p, u64 *len, u64 max, u64 align, gfp_t gfp,
			 enum hapool_books books, u64 *start)
{
	int ret = hapool_search_start(p);

	if (!ret)
		ret = books == HAPOOL_PLAIN ?
			      hapool_search_any(p, len, max, align, gfp, start) :
			      hapool_search_watched(p, len, max, align, gfp, books, start);
	hapool_slow_end(p);
	return ret;
}

static noinline int hapool_alloc_slow(struct hapool *p, u64 len, u64 align, gfp_t gfp,
				      enum hapool_books books, u64 *start)
{
	int ret;

	if (hapool_cannot_fit(p, len, align))
		return -ENOSPC;
	if (!gfpflags_allow_blocking(gfp))
		return -EAGAIN;
	ret = hapool_slow_lock(p, gfp);
	if (ret)
		return ret;
	/* another task may have searched meanwhile */
	ret = hapool_was_refused(p, len, align) ? -ENOSPC :
	      hapool_search(p, &len, len, align, gfp, books, start);
	hapool_slow_unlock(p);
	return ret;
}

static noinline int hapool_upto_slow(struct hapool *p, u64 *len, u64 max, u64 align, gfp_t gfp,
				     enum hapool_books books, u64 *start)
{
	int ret;

	if (!gfpflags_allow_blocking(gfp))
		return -EAGAIN;
	ret = hapool_slow_lock(p, gfp);
	if (ret)
		return ret;
	/* another task may have searched meanwhile */
	max = hapool_may_fit(p, max, align);
	ret = max < *len ? -ENOSPC : hapool_search(p, len, max, align, gfp, books, start);
	hapool_slow_unlock(p);
	return ret;
}

/* How many objects to ask for when a magazine is empty. */
static int hapool_mag_want(struct hapool *p, int class)
{
	int want = hapool_closed(p) ? 1 : (p->limit[class] + 1) / 2;

	return hapool_may_refill(p, (want - 1) * hapool_class_blocks(p, class)) ? want : 1;
}

/* An empty magazine got this many, if any. Return: whether it got any. */
static bool hapool_mag_refilled(struct hapool *p, int class, struct hapool_mag *mag, int want,
				int got)
{
	hapool_mag_set_nr(mag, max(0, got));
	trace_ha_refill(p->slab.cfg.dev, mag->cpu, hapool_class_bytes(p, class), want,
			hapool_mag_nr(mag));
	return mag->used;
}

/*
 * Refill an empty magazine. It is taken, so do not wait for memory. Return: as
 * haslab_get_objects().
 */
static int hapool_mag_refill(struct hapool *p, int class, struct hapool_mag *mag)
{
	int want = hapool_mag_want(p, class), got;

	this_cpu_inc(p->cpus->refills);
	got = haslab_get_objects(&p->slab, class, mag->refs, want, GFP_NOWAIT);
	hapool_mag_refilled(p, class, mag, want, got);
	return got;
}

/* The same with objects in a row that begin at @goal. */
static bool hapool_mag_refill_at(struct hapool *p, int class, struct hapool_mag *mag, u64 goal)
{
	int want = hapool_mag_want(p, class), got;

	got = haslab_get_objects_at(&p->slab, class, goal, mag->refs, want);
	if (!got)
		return false;
	this_cpu_inc(p->cpus->refills);
	return hapool_mag_refilled(p, class, mag, want, got);
}

/* The last object of a taken magazine, which is not empty, becomes an extent. Return: its start. */
static u64 hapool_mag_pop(struct hapool_mag *mag)
{
	mag->used -= sizeof(mag->refs[0]);
	haslab_own(hapool_mag_ref(mag, mag->used));
	return hapool_mag_ref(mag, mag->used)->start;
}

/*
 * The first try after a miss: refill the magazine, or make one. Return: 0; -ENOSPC there is no
 * object; -EAGAIN there is no magazine, or no memory.
 */
static noinline int hapool_alloc_missed(struct hapool *p, int class, gfp_t gfp, u64 *start)
{
	struct hapool_bin *bin;
	struct hapool_mag *mag;
	bool make;
	int got;

	bin = &get_cpu_ptr(p->cpus)->bin[class];
	mag = hapool_mag_take(bin);
	make = !READ_ONCE(bin->mag);
	put_cpu_ptr(p->cpus);
	this_cpu_inc(p->cpus->misses);
	if (make)
		hapool_mag_make(p, class, gfp);
	if (!mag)
		return -EAGAIN;
	if (!mag->used)
		mag = hapool_depot_swap(p, class, mag);
	got = mag->used ? 1 : hapool_mag_refill(p, class, mag);
	if (got > 0)
		*start = hapool_mag_pop(mag);
	hapool_mag_put(bin, mag);
	if (unlikely(READ_ONCE(p->depot[class].wants)))
		hapool_depot_supply(p, class, gfp);
	return got > 0 ? 0 : got == -ENOSPC ? -ENOSPC : -EAGAIN;
}

/* The object of a taken magazine that begins at @goal becomes an extent, if it is near the end. */
static bool hapool_mag_pick(struct hapool_mag *mag, u64 goal)
{
	u32 nr = hapool_mag_nr(mag), i = nr, last = nr - min(nr, MAG_LOOK);

	while (i-- > last) {
		if (mag->refs[i].start != goal)
			continue;
		haslab_own(&mag->refs[i]);
		memmove(&mag->refs[i], &mag->refs[i + 1], (nr - 1 - i) * sizeof(mag->refs[0]));
		hapool_mag_set_nr(mag, nr - 1);
		return true;
	}
	return false;
}

/* Meet a goal by a hit. */
static noinline bool hapool_alloc_goal_hit(struct hapool *p, int class, u64 goal)
{
	struct hapool_bin *bin = &get_cpu_ptr(p->cpus)->bin[class];
	struct hapool_mag *mag = hapool_mag_take(bin);
	bool got;

	put_cpu_ptr(p->cpus);
	if (!mag)
		return false;
	got = hapool_mag_pick(mag, goal);
	bin->hits += got;
	hapool_mag_put(bin, mag);
	return got;
}

/* Refill an empty magazine with what begins at the goal, for this extent and those behind it. */
static bool hapool_alloc_goal_missed(struct hapool *p, int class, u64 goal)
{
	struct hapool_bin *bin = &get_cpu_ptr(p->cpus)->bin[class];
	struct hapool_mag *mag = hapool_mag_take(bin);
	bool got = false;

	put_cpu_ptr(p->cpus);
	if (!mag)
		return false;
	if (!mag->used)
		got = hapool_mag_refill_at(p, class, mag, goal);
	if (got)
		/* what begins at the goal is the last one */
		hapool_mag_pop(mag);
	hapool_mag_put(bin, mag);
	return got;
}

/* With a goal, but no hit. */
static noinline int hapool_alloc_goal(struct hapool *p, int class, u64 len, u64 align, u64 goal,
				      gfp_t gfp, u64 *start)
{
	if (class >= 0 && hapool_alloc_goal_missed(p, class, goal)) {
		this_cpu_inc(p->cpus->misses);
		*start = goal;
		return 0;
	}
	return haslab_alloc_goal(&p->slab, class, len, align, goal, gfp, start);
}

/* Without a search, from where it is best. */
static __always_inline int hapool_alloc_near(struct hapool *p, int class, u64 len, u64 align,
					     u64 goal, gfp_t gfp, u64 *start)
{
	int ret = -ENOSPC;

	if (goal != HAPOOL_NO_GOAL)
		ret = hapool_alloc_goal(p, class, len, align, goal, gfp, start);
	if (ret && class >= 0) {
		ret = hapool_alloc_missed(p, class, gfp, start);
		/* what has no object now needs no second try */
		class = ret == -ENOSPC ? -1 : class;
	}
	return ret ? hapool_alloc_direct(p, class, len, align, gfp, start) : 0;
}

/* For a call that books its blocks; it is counted. */
static noinline int hapool_alloc_booked(struct hapool *p, int class, u64 len, u64 align, u64 goal,
					gfp_t gfp, u64 *start)
{
	int ret = hapool_book(p, len, &p->reserve->booked, gfp);

	if (ret)
		return ret;
	ret = hapool_alloc_near(p, class, len, align, goal, GFP_NOWAIT, start);
	hapool_unbook(p, len, &p->reserve->booked, ret ? 0 : len);
	if (ret == -ENOSPC || ret == -ENOMEM)
		ret = hapool_alloc_slow(p, len, align, gfp, HAPOOL_BOOKS, start);
	return ret;
}

static __always_inline int hapool_alloc_plain(struct hapool *p, int class, u64 len, u64 align,
					      u64 goal, gfp_t gfp, u64 *start)
{
	int ret = hapool_alloc_near(p, class, len, align, goal, gfp, start);

	return ret == -ENOSPC ? hapool_alloc_slow(p, len, align, gfp, HAPOOL_PLAIN, start) : ret;
}

/**
 * hapool_alloc - allocate an extent
 * @p: the pool
 * @len: number of blocks, at least one
 * @align: of its start, in blocks
 * @goal: place to be at or soon after, if there is space; or HAPOOL_NO_GOAL
 * @gfp: how to wait for memory, and whether to wait at all
 * @start: out: its first block
 * Context: process context; may sleep if @gfp lets it. Return: 0; -ENOSPC no free run fits;
 * -EDQUOT what is free beyond all reservations is shorter; -ENOMEM; -EINTR killed while waiting or
 * searching; -ENODEV the device was being detached meanwhile; -EAGAIN @gfp does not let it wait,
 * and it would have to.
 */
int hapool_alloc(struct hapool *p, u64 len, u64 align, u64 goal, gfp_t gfp, u64 *start)
{
	int class = haslab_class_of(&p->slab, len), ret;
	bool hinted, watched;

	if (align > 1) {
		if (hapool_is_other(align))
			return hapool_alloc_upto(p, &len, len, align, goal, gfp, start);
		class = hapool_class_of(p, len, align);
	}
	if (goal == HAPOOL_NO_GOAL) {
		if (class >= 0 && hapool_alloc_hit(p, class, start))
			return 0;
	} else if (class >= 0 && hapool_alloc_goal_hit(p, class, goal)) {
		*start = goal;
		return 0;
	}
	watched = hapool_call_begin(p);
	hinted = len >= READ_ONCE(p->refusals.shortest_hint);
	if (unlikely(hinted) && hapool_is_refused(p, len, align)) {
		if (class >= 0)
			this_cpu_inc(p->cpus->misses);
		return hapool_call_end_barren(p, watched, -ENOSPC);
	}
	ret = unlikely(watched) ? hapool_alloc_booked(p, class, len, align, goal, gfp, start) :
				  hapool_alloc_plain(p, class, len, align, goal, gfp, start);
	if (ret == -ENOSPC)
		hapool_hint_add(p, len, align);
	else if (!ret && unlikely(hinted))
		hapool_hints_drop(p, len, align);
	return hapool_call_result(p, watched, len, hapool_would_wait(ret, gfp));
}

/* ---- as long as there is ---- */

/* hapool_alloc_near() at any alignment. */
static int hapool_near(struct hapool *p, u64 len, u64 align, u64 goal, gfp_t gfp, u64 *start)
{
	int class = hapool_class_of(p, len, align), ret = -ENOSPC;

	if (goal != HAPOOL_NO_GOAL)
		ret = hapool_alloc_goal(p, class, len, align, goal, gfp, start);
	if (ret && class >= 0 && !hapool_alloc_missed(p, class, gfp, start))
		return 0;
	return ret ? hapool_alloc_somewhere(p, len, align, gfp, start) : 0;
}

/* hapool_alloc() without the slow mode. @hit: out: it was one, and is counted. */
static int hapool_try(struct hapool *p, u64 len, u64 align, u64 goal, gfp_t gfp, u64 *start,
		      bool *hit)
{
	int class = hapool_class_of(p, len, align);

	*hit = class >= 0 && (goal == HAPOOL_NO_GOAL ? hapool_alloc_hit(p, class, start) :
						       hapool_alloc_goal_hit(p, class, goal));
	if (*hit) {
		if (goal != HAPOOL_NO_GOAL)
			*start = goal;
		return 0;
	}
	return hapool_near(p, len, align, goal, gfp, start);
}

/* As hapool_alloc_upto(), but the counters. */
static int hapool_alloc_longest(struct hapool *p, u64 *len, u64 max, u64 align, u64 goal, gfp_t gfp,
				u64 *start, bool *hit)
{
	bool hinted = max >= READ_ONCE(p->refusals.shortest_hint);
	u64 min = *len, most = max;
	int ret = -ENOSPC;

	*hit = false;
	if (unlikely(hinted) && hapool_is_refused(p, max, align))
		most = hapool_may_fit(p, max, align);
	if (most >= min)
		ret = hapool_try(p, most, align, goal, gfp, start, hit);
	if (ret == -ENOSPC && most == max) {
		most = hapool_may_fit(p, max, align);
		if (most >= min && most < max)
			ret = hapool_try(p, most, align, goal, gfp, start, hit);
	}
	if (ret == -ENOSPC && most >= min)
		ret = hapool_upto_slow(p, len, most, align, gfp, HAPOOL_PLAIN, start);
	else
		*len = most;
	if (ret == -ENOSPC || (!ret && *len < max))
		/* nothing that is longer */
		hapool_hint_add(p, ret ? min : *len + 1, align);
	else if (unlikely(hinted) && !ret)
		hapool_hints_drop(p, max, align);
	return ret;
}

/* For a call that books its blocks; it is counted. */
static noinline int hapool_longest_booked(struct hapool *p, u64 *len, u64 max, u64 align, u64 goal,
					  gfp_t gfp, u64 *start)
{
	u64 min = *len, most = hapool_may_fit(p, max, align);
	int ret;

	if (most < min)
		return -ENOSPC;
	/* no longer than what is not reserved */
	ret = hapool_book_some(p, min, &most, &p->reserve->booked, gfp);
	if (ret)
		return ret;
	ret = hapool_near(p, most, align, goal, GFP_NOWAIT, start);
	hapool_unbook(p, most, &p->reserve->booked, ret ? 0 : most);
	if (ret == -ENOSPC || ret == -ENOMEM)
		ret = hapool_upto_slow(p, len, max, align, gfp, HAPOOL_BOOKS, start);
	else
		*len = most;
	if (ret == -ENOSPC)
		hapool_hint_add(p, min, align);
	return ret;
}

/**
 * hapool_alloc_upto - allocate an extent that is as long as there is space for
 * @p: the pool
 * @len: the shortest that will do, in blocks, at least one; out: its length
 * @max: the longest that is asked for
 * @align: of its start, in blocks
 * @goal: place to be at or soon after, if there is space; or HAPOOL_NO_GOAL
 * @gfp: how to wait for memory, and whether to wait at all
 * @start: out: its first block
 *
 * The extent has @max blocks if they fit anywhere, else as many as the longest free run has, but no
 * more than are free beyond all reservations. A call searches once in the slow mode at most, for
 * the longest that fits at that moment; again if another task has taken what it found.
 * Context: process context; may sleep if @gfp lets it. Return: as hapool_alloc(); *@len is valid
 * only with 0. -ENOSPC: no free run of *@len fits; -EDQUOT less than that is not reserved.
 */
int hapool_alloc_upto(struct hapool *p, u64 *len, u64 max, u64 align, u64 goal, gfp_t gfp,
		      u64 *start)
{
	bool hit = false, watched = hapool_call_begin(p);
	int ret = unlikely(watched) ?
			  hapool_longest_booked(p, len, max, align, goal, gfp, start) :
			  hapool_alloc_longest(p, len, max, align, goal, gfp, start, &hit);

	/* it has been counted */
	if (hit)
		return hapool_call_end_barren(p, watched, ret);
	return hapool_call_result(p, watched, *len, hapool_would_wait(ret, gfp));
}

/* ---- an allocation in steps ---- */

/**
 * hapool_search_begin - enter the slow mode, for an allocation in steps
 * @p: the pool
 * @gfp: how to wait for other tasks
 *
 * For a caller that must not wait while it takes space. Until hapool_search_end() it may find
 * runs and take them, and call hapool_alloc() with GFP_NOWAIT.
 * Context: may sleep. Return: 0; -EINTR killed while waiting; -EAGAIN @gfp does not let it wait.
 */
int hapool_search_begin(struct hapool *p, gfp_t gfp)
{
	int ret;

	if (!gfpflags_allow_blocking(gfp))
		return -EAGAIN;
	ret = hapool_slow_lock(p, gfp);
	if (ret)
		return ret;
	ret = hapool_search_start(p);
	if (ret)
		hapool_search_end(p);
	return ret;
}

/* In the slow mode: no more than *@max blocks, and at least @least, are not reserved. */
static int hapool_not_reserved(struct hapool *p, u64 least, u64 *max)
{
	int ret;

	if (likely(!hapool_reserve_of(p)))
		return 0;
	ret = hapool_book_slow(p, least, max, &p->reserve->booked);
	if (!ret)
		hapool_unbook(p, *max, &p->reserve->booked, 0);
	return ret;
}

/**
 * hapool_search_find - find a free run, in the slow mode
 * @p: the pool
 * @len: the shortest that will do, in blocks; out: the longest there is, up to @max
 * @max: the longest that is asked for
 * @align: of its start, in blocks
 * @start: out: where an extent fits
 * Context: may sleep. Return: as haslab_find(), or -EDQUOT as hapool_alloc_upto(); then @len has
 * not changed.
 */
int hapool_search_find(struct hapool *p, u64 *len, u64 max, u64 align, u64 *start)
{
	u64 least = *len;
	int ret = hapool_not_reserved(p, least, &max);

	if (ret)
		return ret;
	do {
		*len = least;
		ret = least < max ? haslab_find_longest(&p->slab, len, max, align) : 0;
		if (ret)
			break;
		ret = haslab_find(&p->slab, *len, align, start);
		/* others may have taken what was the longest */
	} while (ret == -ENOSPC && *len > least);
	if (ret)
		*len = least;
	hapool_search_result(p, least, align, ret);
	return ret;
}

/*
 * haslab_claim(), of a call that is @watched with a booking, which then waits for spinlocks only,
 * unless it has hapool.slow. Of @pools_empty the caller has it.
 */
static int hapool_claim_booked(struct hapool *p, bool watched, u64 start, u64 len,
			       bool pools_empty, gfp_t gfp)
{
	int ret;

	if (likely(!watched))
		return haslab_claim(&p->slab, start, len, pools_empty, gfp);
	if (!pools_empty)
		ret = hapool_book(p, len, &p->reserve->booked, gfp);
	else if (gfpflags_allow_blocking(gfp))
		ret = hapool_book_slow(p, len, &len, &p->reserve->booked);
	else
		ret = hapool_try_book(p, len, &p->reserve->booked, true);
	if (ret)
		return ret;
	ret = haslab_claim(&p->slab, start, len, pools_empty, pools_empty ? gfp : GFP_NOWAIT);
	hapool_unbook(p, len, &p->reserve->booked, ret ? 0 : len);
	return ret;
}

/**
 * hapool_search_take - make an extent of what was found, in the slow mode
 * @p: the pool
 * @start: as hapool_search_find() said
 * @len: number of blocks
 * Context: process context; waits for spinlocks only. Return: as hapool_claim(), but -EAGAIN asks
 * for another try in a moment.
 */
int hapool_search_take(struct hapool *p, u64 start, u64 len)
{
	bool watched;
	int ret;

	lockdep_assert_held(&p->slow);
	watched = hapool_call_begin(p);
	ret = hapool_claim_booked(p, watched, start, len, true, GFP_NOWAIT);
	return hapool_call_result(p, watched, len, ret);
}

/**
 * hapool_search_end - leave the slow mode
 * @p: the pool
 * Context: process context.
 */
void hapool_search_end(struct hapool *p)
{
	hapool_slow_end(p);
	hapool_slow_unlock(p);
}

/* Call @call in the slow mode, until it does not say -EAGAIN. */
static int hapool_call_slow(struct hapool *p, gfp_t gfp,
			    int (*call)(struct hapool *p, void *arg, bool pools_empty), void *arg)
{
	int ret;

	if (!gfpflags_allow_blocking(gfp))
		return -EAGAIN;
	ret = hapool_slow_lock(p, gfp);
	if (ret)
		return ret;
	ret = hapool_slow_begin(p);
	while (!ret) {
		ret = call(p, arg, true);
		if (ret != -EAGAIN)
			break;
		ret = haslab_pause(&p->slab);
	}
	hapool_slow_end(p);
	hapool_slow_unlock(p);
	return ret;
}

struct hapool_claim {
	bool watched;
	u64 start;
	u64 len;
	gfp_t gfp;
};

static int hapool_claim_try(struct hapool *p, void *arg, bool pools_empty)
{
	const struct hapool_claim *c = arg;

	return hapool_claim_booked(p, c->watched, c->start, c->len, pools_empty, c->gfp);
}

/**
 * hapool_claim - make a live extent of a given range
 * @p: the pool
 * @start: first block
 * @len: number of blocks, at least one; all inside the device
 * @gfp: how to wait for memory, and whether to wait at all
 * Context: process context; may sleep if @gfp lets it. Return: 0; -EEXIST (part of) it is taken;
 * -ENOMEM; -EINTR; -EDQUOT, -EAGAIN as for hapool_alloc().
 */
int hapool_claim(struct hapool *p, u64 start, u64 len, gfp_t gfp)
{
	struct hapool_claim claim = { hapool_call_begin(p), start, len, gfp };
	int ret = hapool_claim_try(p, &claim, false);

	if (ret == -EAGAIN || (claim.watched && ret == -ENOMEM))
		ret = hapool_call_slow(p, gfp, hapool_claim_try, &claim);
	return hapool_call_result(p, claim.watched, len, hapool_would_wait(ret, gfp));
}

static u64 hapool_ranges_len(const struct haslab_range *x, u32 nr)
{
	u64 blocks = 0;

	while (nr--)
		blocks += x[nr].len;
	return blocks;
}

/*
 * haslab_load() with a booking, so it waits for spinlocks only: no more of the ranges than are free
 * beyond all reservations. @ret: out: -EDQUOT the first one is more than that.
 */
static noinline u32 hapool_load_booked(struct hapool *p, const struct haslab_range *x, u32 nr,
				       int *ret)
{
	u64 blocks = hapool_ranges_len(x, nr), sum = 0;
	u32 i;

	*ret = hapool_try_book_some(p, x->len, &blocks, &p->reserve->booked, false);
	if (*ret)
		return 0;
	for (i = 0; i < nr && x[i].len <= blocks - sum; i++)
		sum += x[i].len;
	nr = haslab_load(&p->slab, x, i, GFP_NOWAIT);
	hapool_unbook_some(p, blocks, hapool_ranges_len(x, nr));
	return nr;
}

/* Make live extents of the first ranges, as haslab_load() does. Return: how many. */
static u32 hapool_load(struct hapool *p, const struct haslab_range *x, u32 nr, gfp_t gfp, int *ret)
{
	bool watched = hapool_call_begin(p);

	*ret = 0;
	if (likely(!watched)) {
		nr = haslab_load(&p->slab, x, nr, gfp);
		this_cpu_add(p->cpus->taken, hapool_ranges_len(x, nr));
	} else {
		nr = hapool_load_booked(p, x, nr, ret);
	}
	if (!nr)
		return hapool_call_end_barren(p, watched, 0);
	this_cpu_add(p->cpus->live, nr);
	/* as many calls with an extent each */
	if (watched) {
		this_cpu_add(p->cpus->watched_begun, nr - 1);
		this_cpu_add(p->cpus->watched_done, nr - 1);
	} else {
		this_cpu_add(p->cpus->begun, nr - 1);
		this_cpu_add(p->cpus->done, nr - 1);
	}
	hapool_call_end(p, watched, 0);
	return nr;
}

/**
 * hapool_claim_some - make live extents of the first of many ranges
 * @p: the pool
 * @x: the ranges, each as for hapool_claim(); best in the order of addresses
 * @nr: how many, at least one
 * @gfp: how to wait for memory, and whether to wait at all
 * @ret: out: 0, or why the first one is not a live extent
 *
 * A task that has more calls this again, so it can see signals in between.
 * Context: as hapool_claim(). Return: of how many ranges @ret is the result, as hapool_claim()
 * would have given it; at least one, and just one if it is not 0.
 */
u32 hapool_claim_some(struct hapool *p, const struct haslab_range *x, u32 nr, gfp_t gfp, int *ret)
{
	u32 loaded = hapool_load(p, x, nr, gfp, ret);

	if (!loaded && *ret != -EDQUOT)
		*ret = hapool_claim(p, x->start, x->len, gfp);
	return loaded ?: 1;
}

/* ---- reservations ---- */

/* The first reservation of this allocator. */
static int hapool_reserve_make(struct hapool *p)
{
	struct hapool_reserve *r = kzalloc(sizeof(*r), GFP_KERNEL);

	if (!r)
		return -ENOMEM;
	spin_lock_init(&r->lock);
	if (hapool_slow_lock(p, GFP_KERNEL)) {
		kfree(r);
		return -EINTR;
	}
	if (!p->reserve) {
		/* pairs with smp_load_acquire() in hapool_reserve_of() */
		smp_store_release(&p->reserve, r);
		r = NULL;
	}
	hapool_slow_unlock(p);
	kfree(r);
	return 0;
}

/**
 * hapool_reservation_open - begin to use a reservation, which is empty
 * @p: the pool
 * @v: the reservation
 *
 * While there was none it waits for calls in flight, which may wait for memory: it is not for a
 * task that memory reclaim may wait for.
 * Context: may sleep. Return: 0; -ENOMEM; -EINTR killed while waiting.
 */
int hapool_reservation_open(struct hapool *p, struct hapool_reservation *v)
{
	int ret = hapool_reserve_of(p) ? 0 : hapool_reserve_make(p);

	v->blocks = 0;
	if (ret || hapool_watch(p))
		return ret;
	synchronize_rcu();
	while (!hapool_all_watched(p)) {
		if (haslab_pause(&p->slab)) {
			hapool_unwatch(p);
			return -EINTR;
		}
	}
	hapool_watch_ready(p);
	return 0;
}

/**
 * hapool_reserve - reserve blocks, without a place
 * @p: the pool
 * @v: the reservation, which is to have so many more
 * @nr: how many
 * @gfp: whether to wait
 *
 * See pool/reserve.c. Until hapool_unreserve() other allocations leave at least @nr blocks free or
 * CACHED, for hapool_alloc_reserved().
 * Context: process context; may sleep if @gfp lets it. Needs no memory. Return: 0; -EDQUOT there
 * are not so many that are not reserved; -EINTR killed while waiting; -EAGAIN @gfp does not let it
 * wait, and it would have to.
 */
int hapool_reserve(struct hapool *p, struct hapool_reservation *v, u64 nr, gfp_t gfp)
{
	int ret = hapool_book(p, nr, &p->reserve->reserved, gfp);

	if (!ret)
		hapool_reservation_add(p, v, nr);
	return ret;
}

/* As hapool_alloc_upto(), for blocks that are reserved: there is nothing to book. */
static int hapool_longest_reserved(struct hapool *p, u64 *len, u64 max, u64 align, u64 goal,
				   gfp_t gfp, u64 *start)
{
	u64 most = *len < max ? hapool_may_fit(p, max, align) : max;
	int ret;

	if (most < *len)
		return -ENOSPC;
	ret = hapool_near(p, most, align, goal, gfp, start);
	if (!ret)
		*len = most;
	if (ret != -ENOSPC)
		return ret;
	return *len < max ? hapool_upto_slow(p, len, max, align, gfp, HAPOOL_RESERVED, start) :
			    hapool_alloc_slow(p, max, align, gfp, HAPOOL_RESERVED, start);
}

/*
 * A block is there, wherever it is. Other tasks may take the one that was to be found, and free
 * another that was looked at before; but in the slow mode only those that have booked or reserved
 * theirs before, so that ends.
 */
static int hapool_alloc_promised(struct hapool *p, u64 *len, u64 max, u64 align, u64 goal,
				 gfp_t gfp, u64 *start)
{
	u64 min = *len;
	int ret;

	do {
		*len = min;
		ret = hapool_longest_reserved(p, len, max, align, goal, gfp, start);
		if (ret != -ENOSPC || min > 1 || align > 1)
			return ret;
		if (!gfpflags_allow_blocking(gfp))
			return -EAGAIN;
		schedule_timeout_uninterruptible(1);
	} while (true);
}

/**
 * hapool_alloc_reserved - allocate an extent against a reservation
 * @p: the pool
 * @v: the reservation, which has *@len blocks less afterwards
 * @len: as for hapool_alloc_upto()
 * @max: likewise; no more is asked for than the reservation has
 * @align: as for hapool_alloc()
 * @goal: as for hapool_alloc()
 * @gfp: how to wait for memory, and whether to wait at all
 * @start: out: its first block
 *
 * If @gfp lets it wait, it does not end when the task is killed, and does not fail for lack of
 * memory, as with __GFP_NOFAIL. Then a single block, not aligned, is always found.
 * Context: process context; may sleep if @gfp lets it. Return: 0; -EINVAL the reservation has less
 * than *@len; -ENOSPC no free run fits; -ENODEV the device was being detached meanwhile; -EAGAIN
 * @gfp does not let it wait, and it would have to. *@len is valid only with 0.
 */
int hapool_alloc_reserved(struct hapool *p, struct hapool_reservation *v, u64 *len, u64 max,
			  u64 align, u64 goal, gfp_t gfp, u64 *start)
{
	bool watched;
	int ret;

	max = hapool_reservation_take(p, v, *len, max);
	if (!max)
		return -EINVAL;
	if (gfpflags_allow_blocking(gfp))
		gfp |= __GFP_NOFAIL;
	watched = hapool_call_begin(p);
	ret = hapool_alloc_promised(p, len, max, align, goal, gfp, start);
	if (ret) {
		hapool_reservation_add(p, v, max);
		return hapool_call_end_barren(p, watched, hapool_would_wait(ret, gfp));
	}
	if (*len < max)
		hapool_reservation_add(p, v, max - *len);
	hapool_unbook(p, *len, &p->reserve->reserved, *len);
	return hapool_call_end(p, watched, 0);
}

/**
 * hapool_unalloc - undo hapool_alloc_reserved()
 * @p: the pool
 * @v: the reservation
 * @start: first block of the extent
 * @len: its length
 *
 * Nobody can take the blocks in between.
 * Context: process context. Never needs memory. Return: 0; -EDQUOT it is free, but the blocks are
 * not reserved, as calls that had begun when nothing was reserved may take them; or as
 * hapool_free(), and nothing has changed.
 */
int hapool_unalloc(struct hapool *p, struct hapool_reservation *v, u64 start, u64 len)
{
	enum hybrid_alloc_reason reason;
	bool back;
	int ret;

	/* first: or there would seem to be less than what is reserved */
	hapool_free_begin(p, len);
	back = hapool_freed_into_begin(p, len);
	ret = haslab_free(&p->slab, start, len, &reason);
	if (ret) {
		if (back)
			hapool_freed_into_end(p, v, len, false);
		return hapool_free_refused(p, len, reason, ret);
	}
	/* as in hapool_free_end() */
	smp_wmb();
	if (back)
		hapool_freed_into_end(p, v, len, true);
	else
		hapool_free_end(p, len);
	return back ? 0 : -EDQUOT;
}

/* ---- hold and grow ---- */

/* Make HELD blocks free: but for the count of that. */
static void hapool_reuse_begin(struct hapool *p, u64 start, u64 len)
{
	/* the blocks become free only now: counted as an extent that is freed */
	hapool_free_begin(p, len);
	/* pairs with the first smp_rmb() in hapool_may_fit() */
	smp_wmb();
	hapool_unretired(p, len);
	haslab_reuse(&p->slab, start, len);
	/* as in hapool_free_end() */
	smp_wmb();
}

/**
 * hapool_hold - keep free blocks from use
 * @p: the pool
 * @start: first block, as hapool_next_free() said; out: the first that is held
 * @len: number of blocks, not more than it said; out: how many are held, see haslab_hold()
 * @gfp: how to wait for memory
 *
 * Until hapool_unhold(), which the same task must call, allocations in the slow mode wait: what
 * is held may be the space that they need. Such an allocation may be a part of memory reclaim, so
 * the task waits for memory without I/O meanwhile (memalloc_noio_save()).
 * Context: may sleep. Return: 0; -EAGAIN they are not free any more, or nothing of them can be
 * held; -ENOMEM; -EINTR killed while waiting.
 */
int hapool_hold(struct hapool *p, u64 *start, u64 *len, gfp_t gfp)
{
	bool watched;
	int ret;

	if (hapool_slow_lock(p, GFP_KERNEL))
		return -EINTR;
	watched = hapool_call_begin(p);
	ret = haslab_hold(&p->slab, start, len, gfp);
	if (ret)
		hapool_slow_unlock(p);
	else
		hapool_trim_held(p, *len);
	return hapool_call_end_barren(p, watched, ret);
}

/**
 * hapool_unhold - make held blocks free again
 * @p: the pool
 * @start: as hapool_hold() said
 * @len: as hapool_hold() said
 * Context: process context. Never needs memory.
 */
void hapool_unhold(struct hapool *p, u64 start, u64 len)
{
	lockdep_assert_held(&p->slow);
	hapool_reuse_begin(p, start, len);
	hapool_trim_freed(p, len);
	hapool_slow_unlock(p);
}

/**
 * hapool_grow - the device became larger
 * @p: the pool
 * @nr_blocks: its size now
 * @gfp: how to wait for memory
 * Context: may sleep. Return: 0; -EINVAL it would shrink; -ENOMEM; -EINTR killed while waiting.
 */
int hapool_grow(struct hapool *p, u64 nr_blocks, gfp_t gfp)
{
	bool watched;
	int ret;

	if (hapool_slow_lock(p, GFP_KERNEL))
		return -EINTR;
	watched = hapool_call_begin(p);
	ret = haslab_grow(&p->slab, nr_blocks, gfp);
	hapool_slow_unlock(p);
	return hapool_call_end_barren(p, watched, ret);
}

/* ---- free ---- */

static bool hapool_free_pooled(struct hapool *p, int class, u64 start)
{
	return hapool_from_buddy(p, class) ? hapool_free_hit(p, class, true, start) :
					     hapool_free_hit(p, class, false, start);
}

/* A bin has no magazine: get an empty one. Return: whether there was one. */
static bool hapool_bin_supply(struct hapool *p, int class, struct hapool_bin *bin)
{
	struct hapool_mag *mag;

	if (READ_ONCE(bin->mag))
		return false;
	mag = hapool_depot_get(p, class);
	if (!mag) {
		hapool_depot_want(p, class);
		return false;
	}
	mag->cpu = raw_smp_processor_id();
	if (hapool_mag_install(bin, mag))
		return true;
	if (!hapool_depot_put(p, class, mag))
		hapool_mag_free(p, mag);
	return false;
}

/*
 * A taken magazine is full: change it for an empty one, if it has what other CPUs have allocated,
 * or drain it to the half. Return: the magazine that belongs into its bin.
 */
static struct hapool_mag *hapool_mag_unload(struct hapool *p, int class, struct hapool_mag *mag)
{
	struct hapool_mag *empty;

	if (haslab_is_foreign(&p->slab, class, &mag->refs[0])) {
		empty = hapool_depot_swap(p, class, mag);
		if (empty != mag)
			return empty;
		hapool_depot_want(p, class);
	}
	hapool_mag_drain(p, class, mag, hapool_mag_nr(mag) / 2, HAPOOL_DRAIN_FULL);
	return mag;
}

/* Make room in this CPU's magazine if it is full or missing. Return: whether there is room now. */
static bool hapool_mag_make_room(struct hapool *p, int class)
{
	struct hapool_bin *bin = &get_cpu_ptr(p->cpus)->bin[class];
	struct hapool_mag *mag = hapool_mag_take(bin);
	bool full;

	put_cpu_ptr(p->cpus);
	if (!mag)
		return hapool_bin_supply(p, class, bin);
	full = mag->used == mag->size;
	if (full)
		mag = hapool_mag_unload(p, class, mag);
	hapool_mag_put(bin, mag);
	return full;
}

/* Into the magazine: a buddy block, or what it had no room for at once. */
static noinline bool hapool_free_common(struct hapool *p, int class, u64 start)
{
	return hapool_free_pooled(p, class, start) ||
	       (hapool_mag_make_room(p, class) && hapool_free_pooled(p, class, start));
}

/* No hit at once: a buddy block, a full magazine, a size without a class, or a refusal. */
static noinline int hapool_free_missed(struct hapool *p, u64 start, u64 len,
				       enum hybrid_alloc_reason *reason)
{
	int class = haslab_class_of(&p->slab, len), ret;

	if (class >= 0 && hapool_free_common(p, class, start))
		return 0;
	hapool_free_begin(p, len);
	ret = haslab_free(&p->slab, start, len, reason);
	if (ret)
		return hapool_free_refused(p, len, *reason, ret);
	hapool_free_end(p, len);
	return 0;
}

/**
 * hapool_free - free an extent
 * @p: the pool
 * @start: first block
 * @len: number of blocks; all inside the device
 * @reason: out: why it was refused
 *
 * Everything is checked, on every way.
 * Context: process context. Never needs memory. Return: 0; -ENOENT nothing is allocated there;
 * -EINVAL there is a live extent, but of another start or length.
 */
int hapool_free(struct hapool *p, u64 start, u64 len, enum hybrid_alloc_reason *reason)
{
	unsigned long class = len <= HASLAB_MAX_CLASS_BLOCKS ? haslab_classes[len] :
							       HASLAB_NR_CLASSES;

	if (!hapool_from_buddy(p, class) && hapool_free_hit(p, class, false, start))
		return 0;
	return hapool_free_missed(p, start, len, reason);
}

/**
 * hapool_retire - the first half of a free: end the ownership of an extent
 * @p: the pool
 * @start: first block
 * @len: number of blocks; all inside the device
 * @reason: out: why it was refused
 *
 * LIVE becomes HELD: the blocks cannot be allocated, claimed or freed again until hapool_reuse().
 * This is for a log, which writes the free down in between. A volatile instance has nothing to do
 * there, so hapool_free() does both at once and only tests call this. An allocation in the slow
 * mode may wait for hapool_reuse(), so the caller must not allocate in between.
 * Context: process context. Never needs memory. Return: as hapool_free().
 */
int hapool_retire(struct hapool *p, u64 start, u64 len, enum hybrid_alloc_reason *reason)
{
	int ret;

	hapool_free_begin(p, len);
	ret = haslab_retire(&p->slab, start, len, reason);
	if (ret)
		return hapool_free_refused(p, len, *reason, ret);
	hapool_retired(p, len);
	return 0;
}

/**
 * hapool_reuse - the second half of a free: the blocks can be allocated again
 * @p: the pool
 * @start: as for hapool_retire()
 * @len: as for hapool_retire()
 * Context: process context. Never needs memory.
 */
void hapool_reuse(struct hapool *p, u64 start, u64 len)
{
	hapool_reuse_begin(p, start, len);
	hapool_free_end(p, len);
}

/* ---- parts of extents ---- */

/* What a call asks for, and what it gets. */
struct hapool_part {
	bool watched;
	u64 start;
	u64 len;
	u64 at;		/* where it is to be divided */
	u64 least;	/* how much longer it is to become */
	u64 most;
	u64 got;
	gfp_t gfp;
	enum hybrid_alloc_reason *reason;
};

/*
 * Others may wait for a free in flight (pool/reserve.c), so it waits for spinlocks only; for memory
 * in the slow mode, where nobody waits for it.
 */
static int hapool_cut_try(struct hapool *p, void *arg, bool pools_empty)
{
	struct hapool_part *c = arg;
	int ret;

	hapool_free_begin(p, c->len);
	ret = haslab_cut(&p->slab, c->start, c->len, true, pools_empty ? c->gfp : GFP_NOWAIT,
			 c->reason);
	if (ret < 0) {
		hapool_free_undo(p, c->len);
		return ret;
	}
	this_cpu_add(p->cpus->live, ret);
	hapool_free_end(p, c->len);
	return 0;
}

static int hapool_split_try(struct hapool *p, void *arg, bool pools_empty)
{
	struct hapool_part *c = arg;

	return haslab_split(&p->slab, c->start, c->len, c->at, c->gfp, c->reason);
}

static int hapool_extend_by(struct hapool *p, struct hapool_part *c, u64 most, bool pools_empty,
			    gfp_t gfp)
{
	return haslab_extend(&p->slab, c->start, c->len, c->least, most, pools_empty, gfp, &c->got,
			     c->reason);
}

static int hapool_extend_try(struct hapool *p, void *arg, bool pools_empty)
{
	struct hapool_part *c = arg;
	u64 most = c->most;
	int ret;

	if (likely(!c->watched)) {
		ret = hapool_extend_by(p, c, most, pools_empty, c->gfp);
		if (!ret)
			this_cpu_add(p->cpus->taken, c->got);
		return ret;
	}
	ret = pools_empty ?
	      hapool_book_slow(p, c->least, &most, &p->reserve->booked) :
	      hapool_try_book_some(p, c->least, &most, &p->reserve->booked, false);
	if (ret)
		return ret;
	ret = hapool_extend_by(p, c, most, pools_empty, pools_empty ? c->gfp : GFP_NOWAIT);
	hapool_unbook_some(p, most, ret ? 0 : c->got);
	return ret;
}

/*
 * What lies at @pos may be in this CPU's magazine, as it is when an extent was allocated a moment
 * ago: give back what that has. Return: whether it had something.
 */
static bool hapool_drain_at(struct hapool *p, u64 pos)
{
	struct hapool_bin *bin;
	struct hapool_mag *mag;
	struct haslab_extent e;
	int class;
	u32 nr;

	if (pos >= hapool_end(p) || haslab_extents(&p->slab, pos, &e, 1) != 1 ||
	    e.state != HYBRID_ALLOC_MAP_CACHED)
		return false;
	class = haslab_class_of(&p->slab, e.len);
	if (class < 0)
		return false;
	bin = &get_cpu_ptr(p->cpus)->bin[class];
	mag = hapool_mag_take(bin);
	put_cpu_ptr(p->cpus);
	if (!mag)
		return false;
	nr = hapool_mag_nr(mag);
	if (nr)
		hapool_mag_drain(p, class, mag, 0, HAPOOL_DRAIN_ASKED);
	hapool_mag_put(bin, mag);
	return nr;
}

/**
 * hapool_cut - free a part of an extent
 * @p: the pool
 * @start: first block of the part
 * @len: number of blocks, at least one; all inside the device
 * @gfp: how to wait for memory, and whether to wait at all
 * @reason: out: why it was refused
 *
 * The blocks before and behind the part are extents of their own then. The part may be all of the
 * extent: that is a free. The caller counts what is refused: the range may be several extents.
 * Context: process context; may sleep if @gfp lets it.
 * Return: 0; else nothing has changed: -ENOENT nothing is allocated at @start; -EINVAL the extent
 * there ends before the part does; -ENOMEM; -EINTR; -EAGAIN as for hapool_alloc().
 */
int hapool_cut(struct hapool *p, u64 start, u64 len, gfp_t gfp, enum hybrid_alloc_reason *reason)
{
	struct hapool_part c = { .start = start, .len = len, .gfp = gfp, .reason = reason };
	int ret;

	*reason = HYBRID_ALLOC_REASON_NONE;
	ret = hapool_cut_try(p, &c, false);
	if (ret == -EAGAIN || ret == -ENOMEM)
		ret = hapool_call_slow(p, gfp, hapool_cut_try, &c);
	return hapool_would_wait(ret, gfp);
}

/**
 * hapool_split - make two extents of one
 * @p: the pool
 * @start: its first block
 * @len: number of blocks; all inside the device
 * @at: the first block of the second one, inside the extent and not its first
 * @gfp: how to wait for memory, and whether to wait at all
 * @reason: out: why it was refused
 * Context: process context; may sleep if @gfp lets it.
 * Return: as hapool_cut(); -EINVAL the extent has another start or length.
 */
int hapool_split(struct hapool *p, u64 start, u64 len, u64 at, gfp_t gfp,
		 enum hybrid_alloc_reason *reason)
{
	struct hapool_part c = {
		.start = start, .len = len, .at = at, .gfp = gfp, .reason = reason
	};
	bool watched = hapool_call_begin(p);
	int ret;

	*reason = HYBRID_ALLOC_REASON_NONE;
	ret = hapool_split_try(p, &c, false);
	if (ret == -EAGAIN)
		ret = hapool_call_slow(p, gfp, hapool_split_try, &c);
	if (!ret)
		this_cpu_inc(p->cpus->live);
	return hapool_call_end_barren(p, watched, hapool_would_wait(ret, gfp));
}

/**
 * hapool_extend - make an extent longer, where it is
 * @p: the pool
 * @start: its first block
 * @len: number of blocks; all inside the device
 * @least: how many blocks more it needs, at least one
 * @most: how many it may get
 * @gfp: how to wait for memory, and whether to wait at all
 * @got: out: how many it has got: as many as are free behind it
 * @reason: out: why it was refused
 * Context: process context; may sleep if @gfp lets it.
 * Return: as hapool_split(); -ENOSPC fewer than @least are free behind it; -EDQUOT fewer are free
 * beyond all reservations. It gets no more than these.
 */
int hapool_extend(struct hapool *p, u64 start, u64 len, u64 least, u64 most, gfp_t gfp, u64 *got,
		  enum hybrid_alloc_reason *reason)
{
	struct hapool_part c = {
		.start = start, .len = len, .least = least, .most = most, .gfp = gfp,
		.reason = reason
	};
	int ret;

	*reason = HYBRID_ALLOC_REASON_NONE;
	c.watched = hapool_call_begin(p);
	ret = hapool_extend_try(p, &c, false);
	if (ret == -EAGAIN && hapool_drain_at(p, start + len + c.got))
		ret = hapool_extend_try(p, &c, false);
	if (ret == -EAGAIN || (c.watched && ret == -ENOMEM))
		ret = hapool_call_slow(p, gfp, hapool_extend_try, &c);
	*got = ret ? 0 : c.got;
	return hapool_call_end_barren(p, c.watched, hapool_would_wait(ret, gfp));
}

/* ---- life ---- */

static u16 hapool_mag_limit(u32 blocks, u64 capacity)
{
	u64 limit = clamp(MAG_MAX_BLOCKS / blocks, MAG_MIN_OBJECTS, MAG_MAX_OBJECTS);

	return clamp_t(u64, div_u64(capacity >> MAG_SHARE_SHIFT, blocks), 2, limit);
}

/**
 * hapool_init - set up an allocator in which all space is free
 * @p: the pool
 * @cfg: shape of the allocator
 * Context: may sleep. Return: 0; -EINVAL for a shape that cannot be; -ENOMEM.
 */
int hapool_init(struct hapool *p, const struct haslab_config *cfg)
{
	int class, ret;

	memset(p, 0, sizeof(*p));
	mutex_init(&p->slow);
	spin_lock_init(&p->refusals.lock);
	p->refusals.shortest_hint = U64_MAX;
	ret = haslab_init(&p->slab, cfg);
	if (ret)
		return ret;
	p->cpus = alloc_percpu(struct hapool_cpu);
	p->depot = kcalloc(HASLAB_NR_CLASSES, sizeof(*p->depot), GFP_KERNEL);
	if (!p->cpus || !p->depot) {
		kfree(p->depot);
		free_percpu(p->cpus);
		haslab_destroy(&p->slab);
		return -ENOMEM;
	}
	for (class = 0; class < HASLAB_NR_CLASSES; class++)
		p->limit[class] = hapool_mag_limit(hapool_class_blocks(p, class),
						   cfg->nr_blocks - cfg->first_block);
	return 0;
}

/**
 * hapool_destroy - forget everything
 * @p: the pool; no task may use it any more
 * Context: may sleep.
 */
void hapool_destroy(struct hapool *p)
{
	unsigned int cpu;
	int class;

	for_each_possible_cpu(cpu)
		for (class = 0; class < HASLAB_NR_CLASSES; class++)
			kfree(per_cpu_ptr(p->cpus, cpu)->bin[class].mag);
	hapool_depot_destroy(p);
	free_percpu(p->cpus);
	kfree(p->reserve);
	haslab_destroy(&p->slab);
}
