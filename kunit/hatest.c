// SPDX-License-Identifier: GPL-2.0
/* What the suites share: see hatest.h. */
#define HATEST_INJECT_REAL
#include <linux/bitmap.h>
#include <linux/cpumask.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/string.h>
#ifdef __KERNEL__
#include <linux/ktime.h>
#include <linux/sched/signal.h>
#else
#include <time.h>
#endif

#include "hatest.h"

unsigned long hatest_seed = 1;
module_param(hatest_seed, ulong, 0444);
MODULE_PARM_DESC(hatest_seed, "seed of the random cases");

/* an emulated kernel with KASAN is a hundred times slower than user space */
#ifdef __KERNEL__
unsigned long hatest_ops = 2000;
#else
unsigned long hatest_ops = 20000;
#endif
module_param(hatest_ops, ulong, 0444);
MODULE_PARM_DESC(hatest_ops, "number of operations of a random case");

#ifdef __KERNEL__
u64 hatest_now(void)
{
	return ktime_get_ns();
}

bool hatest_on_cpu(unsigned int cpu)
{
	return cpu < nr_cpu_ids && cpu_online(cpu) &&
	       !set_cpus_allowed_ptr(current, cpumask_of(cpu));
}
#else
u64 hatest_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

bool hatest_on_cpu(unsigned int cpu)
{
	if (cpu >= nr_cpu_ids)
		return false;
	sim_set_cpu(cpu);
	return true;
}
#endif

void hatest_on_any_cpu(void)
{
#ifdef __KERNEL__
	set_cpus_allowed_ptr(current, cpu_possible_mask);
#else
	sim_set_cpu(0);
#endif
}

void hatest_set_killed(bool killed)
{
#ifdef __KERNEL__
	/* a kernel thread gets no signals; nothing but these is looked at */
	if (killed) {
		sigaddset(&current->pending.signal, SIGKILL);
		set_thread_flag(TIF_SIGPENDING);
	} else {
		sigdelset(&current->pending.signal, SIGKILL);
		clear_thread_flag(TIF_SIGPENDING);
	}
#else
	sim_killed = killed;
#endif
}

/* ---- the model ---- */

struct hatest_model *hatest_model(struct kunit *test, u64 max_blocks)
{
	struct hatest_model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->used = kunit_kzalloc(test, BITS_TO_LONGS(max_blocks) * sizeof(long), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m->used);
	m->owner = kunit_kzalloc(test, max_blocks * sizeof(*m->owner), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m->owner);
	return m;
}

void hatest_model_start(struct hatest_model *m, u64 nr_blocks)
{
	m->nr_blocks = nr_blocks;
	m->nr_used = 0;
	m->nr = 0;
	bitmap_zero(m->used, nr_blocks);
	memset(m->owner, 0, nr_blocks * sizeof(*m->owner));
}

bool hatest_model_free(const struct hatest_model *m, u64 start, u64 len)
{
	return start < m->nr_blocks && len <= m->nr_blocks - start &&
	       find_next_bit(m->used, start + len, start) >= start + len;
}

bool hatest_model_is_extent(const struct hatest_model *m, u64 start, u64 len)
{
	u16 owner = m->owner[start];

	return owner && owner != HATEST_CACHED && m->extents[owner - 1].start == start &&
	       m->extents[owner - 1].len == len;
}

bool hatest_model_is_cached(const struct hatest_model *m, u64 start, u64 len)
{
	while (len && m->owner[start] == HATEST_CACHED) {
		start++;
		len--;
	}
	return !len;
}

bool hatest_model_run(const struct hatest_model *m, u64 *start, u64 *len)
{
	*start = find_next_zero_bit(m->used, m->nr_blocks, *start);
	*len = find_next_bit(m->used, m->nr_blocks, *start) - *start;
	return *start < m->nr_blocks;
}

bool hatest_model_fits(const struct hatest_model *m, u64 len, u64 align)
{
	u64 start = 0, size, skip;

	for (; hatest_model_run(m, &start, &size); start += size) {
		skip = (align - start % align) % align;
		if (size >= skip && size - skip >= len)
			return true;
	}
	return false;
}

u64 hatest_model_longest(const struct hatest_model *m, u64 most, u64 align)
{
	u64 start = 0, longest = 0, size, skip;

	for (; hatest_model_run(m, &start, &size); start += size) {
		skip = (align - start % align) % align;
		if (size > skip)
			longest = max(longest, size - skip);
	}
	return min(longest, most);
}

struct hatest_runs hatest_model_runs(const struct hatest_model *m)
{
	struct hatest_runs runs = {};
	u64 start = 0, size;

	for (; hatest_model_run(m, &start, &size); start += size) {
		runs.nr++;
		runs.largest = max(runs.largest, size);
	}
	return runs;
}

static void model_set(struct hatest_model *m, u64 start, u64 len, u16 owner)
{
	u64 i;

	for (i = start; i < start + len; i++) {
		m->owner[i] = owner;
		__set_bit(i, m->used);
	}
	m->nr_used += len;
}

static void model_clear(struct hatest_model *m, u64 start, u64 len)
{
	u64 i;

	for (i = start; i < start + len; i++) {
		m->owner[i] = 0;
		__clear_bit(i, m->used);
	}
	m->nr_used -= len;
}

void hatest_model_cache(struct hatest_model *m, u64 start, u64 len)
{
	model_set(m, start, len, HATEST_CACHED);
}

void hatest_model_uncache(struct hatest_model *m, u64 start, u64 len)
{
	model_clear(m, start, len);
}

void hatest_model_add(struct hatest_model *m, u64 start, u64 len)
{
	m->extents[m->nr].start = start;
	m->extents[m->nr].len = len;
	model_set(m, start, len, ++m->nr);
}

int hatest_model_remove(struct hatest_model *m, u64 start, u64 len,
			enum hybrid_alloc_reason *reason)
{
	u16 owner = m->owner[start];
	struct hatest_extent *e, last;
	u64 i;

	*reason = HYBRID_ALLOC_REASON_NOT_ALLOCATED;
	if (!owner || owner == HATEST_CACHED)
		return -ENOENT;
	e = &m->extents[owner - 1];
	*reason = HYBRID_ALLOC_REASON_WRONG_START;
	if (e->start != start)
		return -EINVAL;
	*reason = HYBRID_ALLOC_REASON_WRONG_LENGTH;
	if (e->len != len)
		return -EINVAL;
	*reason = HYBRID_ALLOC_REASON_NONE;
	model_clear(m, start, len);
	last = m->extents[--m->nr];
	if (owner - 1 < m->nr) {
		*e = last;
		for (i = last.start; i < last.start + last.len; i++)
			m->owner[i] = owner;
	}
	return 0;
}

MODULE_DESCRIPTION("KUnit suites of hybrid_alloc");
MODULE_LICENSE("GPL");
