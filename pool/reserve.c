// SPDX-License-Identifier: GPL-2.0
/*
 * Counted reservations: blocks without a place. See pool.c for the layer as a whole.
 *
 * A reservation is granted as long as there are so many blocks, and refused at once otherwise. An
 * allocation against it then finds a block, wherever that is, until all of it is used up. So no
 * other allocation may take the blocks that are promised: it is refused (-EDQUOT in here, ENOSPC
 * for callers of the API), without a search. What follows says how that is known without a shared
 * counter in a hit.
 *
 * What must hold
 * --------------
 *	free >= reserved + booked
 *
 * free: blocks that are free in the slab layer, or held by TRIM, which gives them back before
 * another task can enter the slow mode. reserved: blocks promised to reservations, also those that
 * an allocation against one is about to take. booked: blocks that other calls are about to take.
 * Blocks in magazines are not in it: so a hit, which takes one of these, changes neither side, and
 * neither does a free. All that takes blocks from the slab layer does so in calls that are no hits:
 * they book the blocks first, in hapool_try_book(), under hapool_reserve.lock, and a refill takes
 * more than the block that it is for only if there is slack.
 *
 * slack: blocks that are known to be there beyond reserved + booked. A call that finds enough of it
 * takes it from there. Nothing adds to it but calls that give back what they had of it, so now and
 * then it is used up, and counted again.
 *
 * How blocks are counted
 * ----------------------
 * By the counters of the CPUs (pool/refusals.c), which change without the lock. An allocation is
 * counted in `taken` when it has happened, a free in `given` before it happens and in `freed` after
 * that. Hits are counted while their magazine is taken, so in all of them.
 *
 *   - With `freed` read before `taken`, the blocks in use are at most taken - freed, all of the
 *     same moment, but for calls that have booked theirs, and hits. What is in magazines, before
 *     and after these hits, is no more than all magazines have room for, those of CPUs and those
 *     of the depot (mag_blocks, which is read after `freed`). So at least
 *     capacity - (taken - freed) - mag_blocks are free: hapool_least_free(). A magazine that comes
 *     later is empty, and what a refill puts into it is taken from the slack; so is one on its way
 *     between the depot and a CPU that had none. Two that change places stay where they are seen.
 *   - With `taken` read before `given`, no more than capacity - (taken - given) are free or in
 *     magazines. What is more than that is refused with certainty: hapool_most_free().
 *
 * In between, the pools are closed and emptied as in the slow mode, and stay closed (tight): then
 * nothing is in a magazine, there are no hits, and all that is counted in `taken` is counted under
 * the lock, together with the end of its booking. So hapool_least_free(), without mag_blocks, and
 * hapool_most_free() differ by the frees in flight only. That is what makes a reservation exact to
 * the last block. The pools are opened again when there is as much slack as the magazines have room
 * for, and some more.
 *
 * Such a free may have happened, and another call may have its blocks already. And what others have
 * booked may become free again, if they do not find a place. So a call that is refused only because
 * of one of these waits, under hapool.slow, until they have ended (exclusive); no other call books
 * anything meanwhile. So that any caller may wait for them, calls keep no booking while they wait
 * themselves: they book for the time of an attempt that waits for spinlocks only, and once more
 * under hapool.slow.
 *
 * An allocation against a reservation that searches in the slow mode keeps others from booking
 * likewise, so that they do not take one block after the other before it.
 *
 * Retired blocks (hapool_retire()) are not free before hapool_reuse(). They are counted in `freed`
 * when they are retired, and are away until they are reused. What TRIM holds is not away.
 *
 * Before the first reservation
 * ----------------------------
 * Calls book what they take only while the allocator has a reservation, even an empty one
 * (hapool_reserve.watched). A call looks at that once, at its begin, with preemption off. The
 * first hapool_reservation_open() therefore waits for a grace period, and then until all calls
 * have ended that have seen no reservation, before anything is granted. They may wait for memory:
 * so it is not for a task that memory reclaim may wait for. Everything else is.
 *
 * While nothing is promised, nothing is refused, and the pools are never closed: calls only count
 * what they book, for the next reservation.
 *
 * struct hapool_reserve is made with the first reservation of an allocator, under hapool.slow, and
 * kept. Its lock is a spinlock, under which no other lock is taken; a holder looks at the counters
 * of all CPUs at the most.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>

#include "pool/internal.h"

/*
 * The pools are opened again if there is slack for what the magazines have room for, and for this
 * part of the device.
 */
#define OPEN_SHIFT	6

/* ---- counting ---- */

/* Blocks freed on a CPU, by hits or not. */
static u64 hapool_cpu_freed(const struct hapool *p, const struct hapool_cpu *c)
{
	return hapool_cpu_given(p, c) - READ_ONCE(c->given) + READ_ONCE(c->freed);
}

/* Blocks that the magazines of a CPU have room for. One that is taken counts. */
static u64 hapool_cpu_room(const struct hapool *p, const struct hapool_cpu *c)
{
	u64 sum = 0;
	int i;

	for (i = 0; i < HASLAB_NR_CLASSES; i++)
		if (READ_ONCE(c->bin[i].mag))
			sum += p->limit[i] * hapool_class_blocks(p, i);
	return sum;
}

/* The same for the depot. */
static u64 hapool_depot_room(const struct hapool *p)
{
	unsigned int i;
	u64 sum = 0;
	int class;

	for (class = 0; hapool_has_depot(p) && class < HASLAB_NR_CLASSES; class++)
		for (i = 0; i < HAPOOL_DEPOT_PLACES; i++)
			if (READ_ONCE(p->depot[class].places[i]))
				sum += p->limit[class] * hapool_class_blocks(p, class);
	return sum;
}

static u64 hapool_sum(const struct hapool *p,
		      u64 (*of)(const struct hapool *p, const struct hapool_cpu *c))
{
	unsigned int cpu;
	u64 sum = 0;

	for_each_possible_cpu(cpu)
		sum += of(p, per_cpu_ptr(p->cpus, cpu));
	return sum;
}

/* Retired blocks, which have been counted as freed. */
static s64 hapool_away(const struct hapool *p)
{
	return atomic64_read(&p->held) - p->reserve->trimming;
}

static u64 hapool_less(u64 a, s64 b)
{
	return b < 0 ? a - b : a > b ? a - b : 0;
}

/* At least so many blocks are free, or held by TRIM: see the head of this file. */
static u64 hapool_least_free(const struct hapool *p)
{
	struct hapool_reserve *r = p->reserve;
	u64 freed = hapool_sum(p, hapool_cpu_freed), taken, blocks;
	s64 away;

	lockdep_assert_held(&r->lock);
	/* pairs with smp_wmb() in hapool_free_end() and hapool_retired() */
	smp_rmb();
	/* what was freed by hits is in magazines that are seen here */
	r->mag_blocks = hapool_sum(p, hapool_cpu_room) + hapool_depot_room(p);
	away = hapool_away(p);
	/* pairs with smp_wmb() in hapool_unretired() */
	smp_rmb();
	taken = hapool_sum(p, hapool_cpu_taken);
	/* what lies in new space was taken after smp_mb() in haslab_grow_locked() */
	smp_rmb();
	blocks = hapool_end(p) - p->slab.cfg.first_block;
	blocks = hapool_less(blocks, taken - freed + away);
	return r->closed ? blocks : hapool_less(blocks, r->mag_blocks);
}

/* At most so many are free, CACHED, or held by TRIM. */
static u64 hapool_most_free(const struct hapool *p)
{
	u64 taken = hapool_sum(p, hapool_cpu_taken), given;

	lockdep_assert_held(&p->reserve->lock);
	/* as in hapool_cannot_fit() */
	smp_rmb();
	given = hapool_sum(p, hapool_cpu_given);
	/* likewise */
	smp_rmb();
	return hapool_less(hapool_end(p) - p->slab.cfg.first_block,
			   taken - given + hapool_away(p));
}

/* Count the slack, of which @nr blocks are booked or reserved already. */
static void hapool_count_slack(struct hapool *p, u64 nr)
{
	struct hapool_reserve *r = p->reserve;

	/*
	 * A magazine that is seen here, or its refill sees that something is reserved: pairs with
	 * the barrier in hapool_mag_take().
	 */
	smp_mb();
	r->slack = hapool_less(hapool_least_free(p), r->reserved + r->booked - nr);
}

/* ---- closing the pools ---- */

/* Open the pools if there is enough slack, or nothing is reserved. */
static void hapool_open_if_slack(struct hapool *p)
{
	struct hapool_reserve *r = p->reserve;
	u64 some = (hapool_end(p) - p->slab.cfg.first_block) >> OPEN_SHIFT;

	lockdep_assert_held(&r->lock);
	/* nothing is refused then, so it does not stay what it is */
	if (!r->reserved)
		r->slack = 0;
	if (!r->tight || (r->reserved && r->slack <= r->mag_blocks + some))
		return;
	WRITE_ONCE(r->tight, false);
	r->closed--;
	/* as in hapool_slow_end() */
	smp_mb__before_atomic();
	atomic_dec(&p->bypass);
}

/* The pools are empty, and stay so until the reverse of this (@nr: 1 or -1). */
void hapool_set_closed(struct hapool *p, int nr)
{
	struct hapool_reserve *r = p->reserve;

	/* made by a holder of it */
	lockdep_assert_held(&p->slow);
	if (!r)
		return;
	spin_lock(&r->lock);
	r->closed += nr;
	spin_unlock(&r->lock);
}

/*
 * The holder of hapool.slow has closed them. Return: whether they stay closed, and counted as such,
 * until there is more slack.
 */
bool hapool_stays_closed(struct hapool *p)
{
	struct hapool_reserve *r = p->reserve;
	bool stay;

	lockdep_assert_held(&p->slow);
	spin_lock(&r->lock);
	stay = r->reserved && !r->tight;
	if (stay) {
		WRITE_ONCE(r->tight, true);
		hapool_open_if_slack(p);
	}
	spin_unlock(&r->lock);
	return stay;
}

/* Open the pools if what was freed meanwhile is enough for that. */
void hapool_relax(struct hapool *p)
{
	struct hapool_reserve *r = hapool_reserve_of(p);

	if (likely(!r) || !READ_ONCE(r->tight))
		return;
	spin_lock(&r->lock);
	hapool_count_slack(p, 0);
	hapool_open_if_slack(p);
	spin_unlock(&r->lock);
}

/* ---- booking ---- */

/* As hapool_try_book(), if there is too little slack. @wanted: of these, how many are booked. */
static int hapool_cannot_book(struct hapool *p, u64 wanted)
{
	struct hapool_reserve *r = p->reserve;

	/* what others have booked they may not get, and what they free they may have freed */
	return r->reserved + wanted <= hapool_most_free(p) ? -EAGAIN : -EDQUOT;
}

/* hapool_try_book(). @last: that is the answer to the call, which does not try with fewer. */
static int hapool_book_once(struct hapool *p, u64 nr, u64 *count, bool slow, bool last)
{
	struct hapool_reserve *r = p->reserve;
	int ret = 0;

	spin_lock(&r->lock);
	/* the sums below may wrap with more than any device has */
	nr = min(nr, 1ULL << 52);
	/* the first promise is counted, too */
	WRITE_ONCE(*count, *count + nr);
	if (r->exclusive && !slow) {
		ret = -EAGAIN;
	} else if (r->reserved && r->slack < nr) {
		hapool_count_slack(p, nr);
		if (r->slack < nr)
			ret = hapool_cannot_book(p, count == &r->booked ? nr : 0);
	}
	if (ret)
		WRITE_ONCE(*count, *count - nr);
	else
		r->slack -= min(r->slack, nr);
	r->refusals += ret == -EDQUOT && last;
	hapool_open_if_slack(p);
	spin_unlock(&r->lock);
	return ret;
}

/**
 * hapool_try_book - count blocks that are about to be taken, or are to be reserved
 * @p: the pool
 * @nr: how many
 * @count: &p->reserve->booked or &p->reserve->reserved
 * @slow: the caller has hapool.slow
 *
 * Context: process context. Return: 0; -EDQUOT there are less beyond those that are reserved;
 * -EAGAIN that is known only when the pools are closed, and calls of others have ended.
 */
int hapool_try_book(struct hapool *p, u64 nr, u64 *count, bool slow)
{
	return hapool_book_once(p, nr, count, slow, true);
}

/*
 * Count at least @least blocks, and at the most *@nr, as many as are there beyond those that are
 * reserved or booked. Return: as hapool_try_book(); *@nr: how many.
 */
int hapool_try_book_some(struct hapool *p, u64 least, u64 *nr, u64 *count, bool slow)
{
	struct hapool_reserve *r = p->reserve;
	bool known = true;
	int ret;

	if (least < *nr) {
		spin_lock(&r->lock);
		if (r->reserved && r->slack < *nr) {
			hapool_count_slack(p, 0);
			/* what magazines have room for may be there */
			known = r->closed || r->slack >= *nr || r->slack < least;
			*nr = clamp(r->slack, least, *nr);
		}
		spin_unlock(&r->lock);
		if (!known)
			return -EAGAIN;
	}
	ret = hapool_book_once(p, *nr, count, slow, *nr == least);
	if (!ret || *nr == least)
		return ret;
	/* others were faster */
	*nr = least;
	return hapool_book_once(p, least, count, slow, true);
}

/* The end of an extension, or of many claims: @got of @nr booked blocks were taken. */
void hapool_unbook_some(struct hapool *p, u64 nr, u64 got)
{
	struct hapool_reserve *r = p->reserve;

	spin_lock(&r->lock);
	WRITE_ONCE(r->booked, r->booked - nr);
	this_cpu_add(p->cpus->taken, got);
	r->slack += nr - got;
	hapool_open_if_slack(p);
	spin_unlock(&r->lock);
}

/* The holder of hapool.slow waits until no call has booked anything, and no new one does. */
void hapool_set_exclusive(struct hapool *p, bool exclusive)
{
	lockdep_assert_held(&p->slow);
	spin_lock(&p->reserve->lock);
	p->reserve->exclusive = exclusive;
	spin_unlock(&p->reserve->lock);
}

/**
 * hapool_unbook - the end of an allocation whose blocks are counted
 * @p: the pool
 * @nr: how many
 * @count: as for hapool_try_book()
 * @got: how many blocks are an extent now; 0: the allocation failed
 *
 * Context: process context.
 */
void hapool_unbook(struct hapool *p, u64 nr, u64 *count, u64 got)
{
	struct hapool_reserve *r = p->reserve;

	spin_lock(&r->lock);
	WRITE_ONCE(*count, *count - nr);
	if (got)
		hapool_count(p, got);
	r->slack += nr - got;
	hapool_open_if_slack(p);
	spin_unlock(&r->lock);
}

/* Whether a refill may take @nr blocks besides the one that it is for. */
bool hapool_may_refill(struct hapool *p, u64 nr)
{
	struct hapool_reserve *r = hapool_reserve_of(p);
	bool may = true;

	/* the magazine is taken: what is reserved later is so after a look at its room */
	if (likely(!r) || !READ_ONCE(r->reserved))
		return true;
	spin_lock(&r->lock);
	if (r->reserved) {
		if (r->slack < nr)
			hapool_count_slack(p, 0);
		may = r->slack >= nr;
		if (may)
			r->slack -= nr;
	}
	spin_unlock(&r->lock);
	return may;
}

/* ---- frees that are no plain ones ---- */

/* Count something under the lock, or without it while there is none. */
static void hapool_count_locked(struct hapool *p, u64 nr, void (*count)(struct hapool *p, u64 nr))
{
	struct hapool_reserve *r = hapool_reserve_of(p);

	if (!r) {
		count(p, nr);
		return;
	}
	spin_lock(&r->lock);
	count(p, nr);
	spin_unlock(&r->lock);
}

static void hapool_count_not_freed(struct hapool *p, u64 nr)
{
	hapool_count(p, nr);
	/* pairs with smp_rmb() in hapool_is_freeing() */
	smp_wmb();
	this_cpu_add(p->cpus->freed, nr);
}

/* A free of @nr blocks was refused, which was counted when it began. */
void hapool_not_freed(struct hapool *p, u64 nr)
{
	hapool_count_locked(p, nr, hapool_count_not_freed);
}

static void hapool_count_retired(struct hapool *p, u64 nr)
{
	atomic64_add(nr, &p->held);
	/* pairs with smp_rmb() in hapool_least_free() and in hapool_is_freeing() */
	smp_wmb();
	this_cpu_add(p->cpus->freed, nr);
}

/* An extent of @nr blocks is retired. The order of the counts matters while there is no lock. */
void hapool_retired(struct hapool *p, u64 nr)
{
	hapool_count_locked(p, nr, hapool_count_retired);
}

static void hapool_count_unretired(struct hapool *p, u64 nr)
{
	hapool_count(p, nr);
	/* pairs with smp_rmb() in hapool_least_free() */
	smp_wmb();
	atomic64_sub(nr, &p->held);
}

/* @nr HELD blocks are to be made free: as an extent that is freed. */
void hapool_unretired(struct hapool *p, u64 nr)
{
	hapool_count_locked(p, nr, hapool_count_unretired);
}

static void hapool_count_trim_held(struct hapool *p, u64 nr)
{
	atomic64_add(nr, &p->held);
	if (p->reserve)
		p->reserve->trimming += nr;
}

/* TRIM holds @nr free blocks: they are HELD, but not away. It has hapool.slow. */
void hapool_trim_held(struct hapool *p, u64 nr)
{
	lockdep_assert_held(&p->slow);
	hapool_count_locked(p, nr, hapool_count_trim_held);
}

static void hapool_count_trim_freed(struct hapool *p, u64 nr)
{
	if (p->reserve)
		p->reserve->trimming -= nr;
	this_cpu_add(p->cpus->freed, nr);
}

/* After hapool_unretired() they are free. */
void hapool_trim_freed(struct hapool *p, u64 nr)
{
	lockdep_assert_held(&p->slow);
	hapool_count_locked(p, nr, hapool_count_trim_freed);
}

/* ---- reservations ---- */

/**
 * hapool_watch - calls that begin from now on book what they take
 * @p: the pool, which has a struct hapool_reserve
 * Context: process context. Return: whether all others have ended.
 */
bool hapool_watch(struct hapool *p)
{
	struct hapool_reserve *r = p->reserve;
	bool ready;

	spin_lock(&r->lock);
	r->users++;
	WRITE_ONCE(r->watched, true);
	ready = r->ready;
	spin_unlock(&r->lock);
	return ready;
}

/* All others have ended. */
void hapool_watch_ready(struct hapool *p)
{
	spin_lock(&p->reserve->lock);
	p->reserve->ready = true;
	spin_unlock(&p->reserve->lock);
}

/* The reverse of hapool_watch(). */
void hapool_unwatch(struct hapool *p)
{
	struct hapool_reserve *r = p->reserve;

	spin_lock(&r->lock);
	if (!--r->users) {
		WRITE_ONCE(r->watched, false);
		r->ready = false;
	}
	spin_unlock(&r->lock);
}

/* Whether all calls have ended that saw no reservation, of which no more begin. */
bool hapool_all_watched(const struct hapool *p)
{
	u64 begun = 0, done = 0;
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		done += READ_ONCE(per_cpu_ptr(p->cpus, cpu)->done);
	/* pairs with smp_wmb() in hapool_call_end(): what they took is counted */
	smp_rmb();
	for_each_possible_cpu(cpu)
		begun += READ_ONCE(per_cpu_ptr(p->cpus, cpu)->begun);
	return begun == done;
}

/* Move blocks into the reservation, that are counted as reserved already. */
void hapool_reservation_add(struct hapool *p, struct hapool_reservation *v, u64 nr)
{
	spin_lock(&p->reserve->lock);
	v->blocks += nr;
	spin_unlock(&p->reserve->lock);
}

/*
 * Begin to take blocks of a reservation, up to @most. They stay counted as reserved until
 * hapool_unbook(), or come back with hapool_reservation_add(). Return: how many; 0: it has less
 * than @least.
 */
u64 hapool_reservation_take(struct hapool *p, struct hapool_reservation *v, u64 least, u64 most)
{
	spin_lock(&p->reserve->lock);
	most = v->blocks < least ? 0 : min(v->blocks, most);
	v->blocks -= most;
	spin_unlock(&p->reserve->lock);
	return most;
}

/**
 * hapool_reservation_left - what a reservation has
 * @p: the pool
 * @v: the reservation
 * Context: process context. Return: in blocks, without those that allocations are about to take.
 */
u64 hapool_reservation_left(struct hapool *p, const struct hapool_reservation *v)
{
	u64 nr;

	spin_lock(&p->reserve->lock);
	nr = v->blocks;
	spin_unlock(&p->reserve->lock);
	return nr;
}

/**
 * hapool_unreserve - give back blocks that are reserved
 * @p: the pool
 * @v: the reservation
 * @nr: how many
 * Context: process context. Never needs memory. Return: 0; -EINVAL it has less.
 */
int hapool_unreserve(struct hapool *p, struct hapool_reservation *v, u64 nr)
{
	if (!nr)
		return 0;
	if (!hapool_reservation_take(p, v, nr, nr))
		return -EINVAL;
	hapool_unbook(p, nr, &p->reserve->reserved, 0);
	return 0;
}

/**
 * hapool_reservation_close - give all of a reservation back
 * @p: the pool
 * @v: the reservation; no call uses it any more
 * Context: process context. Never needs memory.
 */
void hapool_reservation_close(struct hapool *p, struct hapool_reservation *v)
{
	hapool_unreserve(p, v, v->blocks);
	hapool_unwatch(p);
}

/*
 * Before a free whose blocks are to be reserved when it ends: nobody else gets them in between.
 * Return: false if a call in flight, which began while nothing was reserved, may.
 */
bool hapool_freed_into_begin(struct hapool *p, u64 nr)
{
	struct hapool_reserve *r = p->reserve;
	bool can;

	spin_lock(&r->lock);
	can = r->reserved || !r->booked;
	if (can) {
		r->slack -= min(r->slack, nr);
		WRITE_ONCE(r->reserved, r->reserved + nr);
	}
	spin_unlock(&r->lock);
	return can;
}

/* After it; or the free was refused. */
void hapool_freed_into_end(struct hapool *p, struct hapool_reservation *v, u64 nr, bool freed)
{
	struct hapool_reserve *r = p->reserve;

	spin_lock(&r->lock);
	if (freed) {
		this_cpu_add(p->cpus->freed, nr);
		v->blocks += nr;
	} else {
		WRITE_ONCE(r->reserved, r->reserved - nr);
		hapool_open_if_slack(p);
	}
	spin_unlock(&r->lock);
}
