// SPDX-License-Identifier: GPL-2.0
/*
 * The depot: whole magazines change hands where one CPU allocates and another one frees. See pool.c
 * for the layer as a whole. (Bonwick's magazines have one, and so has the kernel's IOVA cache.)
 *
 * A CPU that frees what others have allocated fills its magazine again and again. To drain it, it
 * would take the lock of the group of each object and write the lines of its slab; and the CPU that
 * allocates would do the same to refill. So it puts the full magazine into the depot and takes an
 * empty one, and the CPU that allocates does the opposite. A CPU that never allocates a size has no
 * magazine of it, as a free needs no memory: it takes an empty one from the depot, or says that it
 * wants one; the next allocation that misses makes it.
 *
 * A CPU that frees its own extents drains its magazine into its own group: that costs no other CPU
 * anything, and what comes to other CPUs instead would have its live bits there.
 *
 * The depot has a few places for each class. A place holds a magazine, NULL, or MAG_TAKEN while a
 * task drains or frees what was there. HAS marks a magazine that is not empty: all others are. What
 * is changed for something else is owned by the task that changed it, so there is no lock.
 *
 * In the slow mode nothing is changed: a drainer that has emptied all bins and then the depot must
 * have seen everything. A task that changes something has taken its bin before it asks whether
 * the pools are closed. So either it sees that they are, or the drainer waits for its bin,
 * and comes to the depot later.
 */
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/smp.h>

#include "pool/internal.h"

/* A free found no magazine, or no place for a full one. */
void hapool_depot_want(struct hapool *p, int class)
{
	/* write only if needed: all CPUs read it */
	if (!READ_ONCE(p->depot[class].wants))
		WRITE_ONCE(p->depot[class].wants, true);
}

static struct hapool_mag *hapool_depot_mag(unsigned long v)
{
	return (void *)(v & ~HAPOOL_DEPOT_HAS);
}

static unsigned long hapool_depot_value(const struct hapool_mag *mag)
{
	return (unsigned long)mag | (mag->used ? HAPOOL_DEPOT_HAS : 0);
}

/* Put @new, or nothing, in the place of a magazine that is empty, or one that is not. Or NULL. */
static struct hapool_mag *hapool_depot_change(struct hapool *p, int class, bool has,
					      unsigned long new)
{
	struct hapool_depot *d = &p->depot[class];
	unsigned int i, first = raw_smp_processor_id();
	unsigned long v, *place;

	for (i = 0; i < HAPOOL_DEPOT_PLACES; i++) {
		place = &d->places[(first + i) % HAPOOL_DEPOT_PLACES];
		v = READ_ONCE(*place);
		if (v <= (unsigned long)MAG_TAKEN || !(v & HAPOOL_DEPOT_HAS) == has)
			continue;
		/* a full barrier: what is in the magazines is seen by their next owners */
		if (cmpxchg(place, v, new) == v)
			return hapool_depot_mag(v);
	}
	return NULL;
}

/*
 * Change the magazine of a bin that the caller has taken, an empty one for one that is not, or one
 * that is not empty for an empty one. Return: the other one; @mag: there is none.
 */
struct hapool_mag *hapool_depot_swap(struct hapool *p, int class, struct hapool_mag *mag)
{
	struct hapool_mag *other;
	u32 cpu = mag->cpu;

	if (!hapool_has_depot(p) || hapool_closed(p))
		return mag;
	/* before others may have it: it was used, see hapool_depot_idle() */
	mag->seen = 0;
	other = hapool_depot_change(p, class, !mag->used, hapool_depot_value(mag));
	if (!other)
		return mag;
	other->cpu = cpu;
	other->seen = 0;
	return other;
}

/* An empty magazine, for a bin that has none; or NULL. */
struct hapool_mag *hapool_depot_get(struct hapool *p, int class)
{
	return hapool_depot_change(p, class, false, 0);
}

/* Put an empty magazine in. Return: whether there was a place. */
bool hapool_depot_put(struct hapool *p, int class, struct hapool_mag *mag)
{
	struct hapool_depot *d = &p->depot[class];
	unsigned int i;

	mag->seen = 0;
	WRITE_ONCE(d->wants, false);
	if (!hapool_has_depot(p))
		WRITE_ONCE(p->has_depot, true);
	/* cmpxchg() is a full barrier */
	for (i = 0; i < HAPOOL_DEPOT_PLACES; i++)
		if (!READ_ONCE(d->places[i]) &&
		    !cmpxchg(&d->places[i], 0, hapool_depot_value(mag)))
			return true;
	return false;
}

/*
 * Take what is at a place, to drain or free it. Return: NULL: nothing is there, or, with *@taken,
 * another task has it. Ends with hapool_depot_release().
 */
struct hapool_mag *hapool_depot_take(unsigned long *place, bool *taken)
{
	unsigned long v = READ_ONCE(*place);

	*taken = v == (unsigned long)MAG_TAKEN;
	if (v <= (unsigned long)MAG_TAKEN)
		return NULL;
	*taken = cmpxchg(place, v, (unsigned long)MAG_TAKEN) != v;
	return *taken ? NULL : hapool_depot_mag(v);
}

/* Put it back, or NULL. */
void hapool_depot_release(unsigned long *place, const struct hapool_mag *mag)
{
	/* pairs with cmpxchg(): the next owner sees all changes to @mag */
	smp_store_release(place, mag ? hapool_depot_value(mag) : 0);
}

/* Objects in the depot; those in magazines that are taken are missing. */
u64 hapool_depot_cached(const struct hapool *p, int class)
{
	const struct hapool_depot *d = &p->depot[class];
	const struct hapool_mag *mag;
	unsigned long v;
	unsigned int i;
	u64 nr = 0;

	if (!hapool_has_depot(p))
		return 0;
	rcu_read_lock();
	for (i = 0; i < HAPOOL_DEPOT_PLACES; i++) {
		/* pairs with cmpxchg(); a magazine is freed after a grace period */
		v = smp_load_acquire(&d->places[i]);
		mag = hapool_depot_mag(v);
		if (v > (unsigned long)MAG_TAKEN)
			/* it may have a new owner */
			nr += data_race(mag->used) / sizeof(mag->refs[0]);
	}
	rcu_read_unlock();
	return nr;
}

/* Whether a task drains or frees a magazine of the depot. */
bool hapool_depot_is_taken(const struct hapool *p)
{
	unsigned int i;
	int class;

	for (class = 0; hapool_has_depot(p) && class < HASLAB_NR_CLASSES; class++)
		for (i = 0; i < HAPOOL_DEPOT_PLACES; i++)
			if (READ_ONCE(p->depot[class].places[i]) == (unsigned long)MAG_TAKEN)
				return true;
	return false;
}

/* Forget the depot and what is in it. No task uses the pool any more. */
void hapool_depot_destroy(struct hapool *p)
{
	unsigned int i;
	int class;

	for (class = 0; class < HASLAB_NR_CLASSES; class++)
		for (i = 0; i < HAPOOL_DEPOT_PLACES; i++)
			kfree(hapool_depot_mag(p->depot[class].places[i]));
	kfree(p->depot);
}
