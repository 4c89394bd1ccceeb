// SPDX-License-Identifier: GPL-2.0
/*
 * hybrid-sim interleave: small programs of two or three threads, in all orders.
 *
 * A program is a list of operations for each thread, a letter each (see ops[]). Before it
 * begins, each thread has an extent of a block, and has freed another, which is in its magazine
 * if it fits there. On devices other than "4K" and "4Kd" each then gets three blocks, if there is
 * space: that takes the slabs of blocks apart. A schedule says where a thread is preempted, and by
 * which other (sim/order.c). All schedules with at most a given
 * number of preemptions are searched, as in CHESS (Musuvathi and Qadeer 2007): between
 * preemptions a thread runs to its end, or until it has to wait, which costs nothing. Most
 * mistakes about order need one or two.
 *
 * Of schedules that cannot differ, one is run. A thread A is preempted before its step i, and
 * until it runs again other threads access a set S of words. If step i does not conflict with S,
 * the steps of S could as well come after it: a preemption before step i + 1 gives the same. So
 * the next place to try is after the first step of A that conflicts with S, and S is collected
 * over all schedules with that preemption. "schedules" counts those that were run.
 *
 * After each schedule, what the calls returned must be possible (check_results()), what is live
 * then must be what the allocator says, each invariant must hold (sim/devices.c), and after all
 * was freed and drained the device must be as new.
 *
 * A false ENOSPC: let a block be possibly in use from the begin of the call that allocates or
 * claims it to the end of the call that frees it. An allocation may fail only if there is no
 * run that fits of which no block was possibly in use at any time between its begin and its
 * end. What is in a magazine, or on its way there, is not in use. A refused claim likewise. And a
 * call may be refused because of reservations only if, with what was possibly reserved, there was
 * not enough; a block that is reserved is always there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/random.h"
#include "devices.h"
#include "interleave.h"
#include "sequences.h"

#define MAX_OPS		4
#define MAX_CALLS	(ORDER_THREADS * MAX_OPS)
#define MAX_OWN		(2 + MAX_OPS)

struct extent {
	u8 start, len;
};

/* A call that returned; times are numbers of begins and ends. */
struct call {
	enum {
		NO_CALL, ALLOC, CLAIM, FREE, CUT, SPLIT, EXTEND, RESERVED_ALLOC, RESERVE, UNRESERVE
	} kind;
	struct extent e;		/* CUT: the part; SPLIT, EXTEND: before the call */
	u8 at;				/* SPLIT: where the second one begins */
	u8 align;
	u8 thread;
	char letter;
	int ret;
	u32 begun, ended;
};

struct program {
	unsigned int nr_threads, nr_ops;
	char ops[ORDER_THREADS][MAX_OPS];
};

static const struct {
	char letter;
	u8 len, align;			/* of an allocation */
	const char *name;
	u8 least;			/* of it, from there up to @len; 0: just @len */
} ops[] = {
	{ 'p', 1, 1, "pooled" },	/* allocate a block */
	{ 'm', 3, 1, "mixed" },		/* three: no power of two, so mixed or from a slab */
	{ 'l', 5, 1, "long" },		/* five: longer than a unit */
	{ 'g', 2, 4, "aligned" },	/* two, aligned to four */
	{ 'u', 5, 1, "up-to", .least = 2 },	/* from two to five */
	{ 'r', 2, 3, "raid" },		/* two, aligned to three */
	{ 'f', .name = "free" },	/* free the oldest of its own */
	{ 'o', .name = "free-other" },	/* that of the next thread, which keeps it */
	{ 't', .name = "free-twice" },	/* free what it freed last, once more */
	{ 'w', .name = "wrong-length" }, /* free its oldest with a wrong length */
	{ 'c', .name = "claim" },	/* claim blocks 4 and 5 */
	{ 'd', .name = "drain" },
	{ 'k', .name = "cpu-dead" },	/* that of the next thread */
	{ 's', .name = "shrinker" },	/* memory is short */
	{ 'q', .name = "stat" },
	/* of the newest of its own */
	{ 'h', .name = "cut" },		/* a block out of the middle */
	{ 'i', .name = "split" },
	{ 'x', .name = "extend" },	/* by a block */
	/* of these, only programs that are drawn or by hand */
	{ 'R', 2, .name = "reserve" },	/* two blocks */
	{ 'A', 1, 1, .name = "reserved" }, /* allocate a block against that */
	{ 'U', .name = "unreserve" },	/* what is left of it */
};

/* Programs of these letters, and of parts or ranges of lengths: "--programs parts". */
static const char beside_parts[] = "pmfoc";
static const char parts[] = "hixur";
static const char reserving[] = "RAU";

static struct program program;
static const struct interleave_options *opt;

/* What the threads have, and what their calls returned. */
struct state {
	struct extent own[ORDER_THREADS][MAX_OWN];
	unsigned int nr_own[ORDER_THREADS];
	u8 reserved[ORDER_THREADS];
	struct extent freed[ORDER_THREADS];
	struct space live;		/* of before the threads */
	struct call calls[MAX_CALLS];
	unsigned int nr_calls;
	u32 time;
};

static struct state state, first_state;
/* what the threads have reserved: nothing at the begin */
static struct hapool_reservation reservations[ORDER_THREADS];
static struct order_memory first_memory;

static const char *only_device;		/* NULL: each */
static bool turns;			/* --device turns */

static u64 nr_programs, nr_schedules, nr_cut;
u64 nr_violations;

/* Calls in all schedules that did something, and all of them; by operation. */
static u64 nr_done[ARRAY_SIZE(ops)], nr_called[ARRAY_SIZE(ops)];

/* ---- operations ---- */

static unsigned int op_of(char letter)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ops); i++)
		if (ops[i].letter == letter)
			break;
	return i;
}

static void count_call(char letter, bool done)
{
	nr_called[op_of(letter)]++;
	nr_done[op_of(letter)] += done;
}

static struct call *begin(unsigned int thread, char letter, int kind, struct extent e)
{
	struct call *c = &state.calls[state.nr_calls++];

	*c = (struct call) {
		.kind = kind, .e = e, .align = 1, .thread = thread, .letter = letter,
		.begun = state.time++, .ended = U32_MAX,
	};
	return c;
}

static void end(struct call *c, int ret)
{
	c->ret = ret;
	c->ended = state.time++;
	/* what these are for is to be refused */
	count_call(c->letter, c->letter == 't' || c->letter == 'w' ? ret : !ret);
}

static void own(unsigned int thread, struct extent e)
{
	state.own[thread][state.nr_own[thread]++] = e;
}

static void do_alloc(unsigned int thread, char letter, u8 len, u8 align, u8 least)
{
	struct call *c = begin(thread, letter, ALLOC, (struct extent) { 0, least ?: len });
	u64 start = 0, got = least;
	int ret;

	c->align = align;
	if (least)
		ret = hapool_alloc_upto(pool, &got, len, align, HAPOOL_NO_GOAL, GFP_KERNEL, &start);
	else
		ret = hapool_alloc(pool, len, align, HAPOOL_NO_GOAL, GFP_KERNEL, &start);
	if (ret && ret != -ENOSPC && ret != -EDQUOT)
		order_fail("allocation of %u: %d", len, ret);
	if (!ret && least && (got < least || got > len))
		order_fail("allocation of %u to %u: %llu", least, len, got);
	if (!ret && least)
		c->e.len = got;
	if (!ret && (start + c->e.len > device->blocks || start % align))
		order_fail("allocation of %u: block %llu", len, start);
	c->e.start = start;
	end(c, ret);
	if (!ret)
		own(thread, c->e);
}

static void do_free(unsigned int thread, char letter, struct extent e)
{
	struct call *c = begin(thread, letter, FREE, e);
	enum hybrid_alloc_reason reason;
	int ret = hapool_free(pool, e.start, e.len, &reason);

	if (ret && ret != -ENOENT && ret != -EINVAL)
		order_fail("free of %u+%u: %d", e.start, e.len, ret);
	end(c, ret);
	if (!ret)
		state.freed[thread] = e;
}

static void do_claim(unsigned int thread, char letter, struct extent e)
{
	struct call *c = begin(thread, letter, CLAIM, e);
	int ret = hapool_claim(pool, e.start, e.len, GFP_KERNEL);

	if (ret && ret != -EEXIST && ret != -EDQUOT)
		order_fail("claim of %u+%u: %d", e.start, e.len, ret);
	end(c, ret);
	if (!ret)
		own(thread, e);
}

static void do_alloc_reserved(unsigned int thread, char letter)
{
	struct call *c = begin(thread, letter, RESERVED_ALLOC, (struct extent) { 0, 1 });
	u64 start = 0, len = 1;
	int ret = hapool_alloc_reserved(pool, &reservations[thread], &len, 1, 1, HAPOOL_NO_GOAL,
					GFP_KERNEL, &start);

	if (ret)
		order_fail("allocation of a block of %u that are reserved: %d",
			   state.reserved[thread], ret);
	c->e.start = start;
	end(c, ret);
	state.reserved[thread]--;
	own(thread, c->e);
}

static void do_reserve(unsigned int thread, char letter, u8 len)
{
	struct call *c = begin(thread, letter, RESERVE, (struct extent) { 0, len });
	int ret = hapool_reserve(pool, &reservations[thread], len, GFP_KERNEL);

	if (ret && ret != -EDQUOT)
		order_fail("reserve of %u: %d", len, ret);
	end(c, ret);
	if (!ret)
		state.reserved[thread] += len;
}

static void do_unreserve(unsigned int thread, char letter)
{
	u8 len = state.reserved[thread];
	struct call *c = begin(thread, letter, UNRESERVE, (struct extent) { 0, len });
	int ret = hapool_unreserve(pool, &reservations[thread], len);

	if (ret)
		order_fail("unreserve of %u: %d", len, ret);
	end(c, ret);
	state.reserved[thread] = 0;
}

/* What remains of the newest extent of a thread, after a part of it was freed or divided off. */
static void own_parts(unsigned int thread, struct extent first, struct extent second)
{
	state.nr_own[thread]--;
	if (first.len)
		own(thread, first);
	if (second.len)
		own(thread, second);
}

static void do_cut(unsigned int thread, char letter, struct extent e)
{
	u8 at = e.start + e.len / 2, last = e.start + e.len;
	struct call *c = begin(thread, letter, CUT, (struct extent) { at, 1 });
	enum hybrid_alloc_reason reason;
	int ret = hapool_cut(pool, at, 1, GFP_KERNEL, &reason);

	if (ret && ret != -ENOENT && ret != -EINVAL)
		order_fail("cut of %u+1: %d", at, ret);
	end(c, ret);
	if (!ret)
		own_parts(thread, (struct extent) { e.start, at - e.start },
			  (struct extent) { at + 1, last - at - 1 });
}

static void do_split(unsigned int thread, char letter, struct extent e)
{
	struct call *c = begin(thread, letter, SPLIT, e);
	enum hybrid_alloc_reason reason;
	int ret;

	c->at = e.start + e.len / 2;
	ret = hapool_split(pool, e.start, e.len, c->at, GFP_KERNEL, &reason);
	if (ret && ret != -ENOENT && ret != -EINVAL)
		order_fail("split of %u+%u: %d", e.start, e.len, ret);
	end(c, ret);
	if (!ret)
		own_parts(thread, (struct extent) { e.start, c->at - e.start },
			  (struct extent) { c->at, e.start + e.len - c->at });
}

static void do_extend(unsigned int thread, char letter, struct extent e)
{
	struct call *c = begin(thread, letter, EXTEND, e);
	enum hybrid_alloc_reason reason;
	u64 got;
	int ret = hapool_extend(pool, e.start, e.len, 1, 1, GFP_KERNEL, &got, &reason);

	if (ret && ret != -ENOENT && ret != -EINVAL && ret != -ENOSPC && ret != -EDQUOT)
		order_fail("extend of %u+%u: %d", e.start, e.len, ret);
	end(c, ret);
	if (!ret)
		own_parts(thread, (struct extent) { e.start, e.len + 1 }, (struct extent) { 0, 0 });
}

/* A block more, or one less in front if it is the last of the device. */
static struct extent wrong_length(struct extent e)
{
	if (e.start + e.len < device->blocks)
		e.len++;
	else if (e.start)
		e = (struct extent) { e.start - 1, e.len + 1 };
	return e;
}

static void do_op(unsigned int thread, char letter)
{
	unsigned int next = (thread + 1) % program.nr_threads, i;
	struct extent e = { 0, 0 };
	struct hapool_stat st;

	if (state.nr_own[letter == 'o' ? next : thread])
		e = state.own[letter == 'o' ? next : thread][0];
	if (strchr(parts, letter) && state.nr_own[thread])
		e = state.own[thread][state.nr_own[thread] - 1];
	switch (letter) {
	case 'h':
		if (e.len)
			do_cut(thread, letter, e);
		return;
	case 'i':
		if (e.len > 1)
			do_split(thread, letter, e);
		return;
	case 'x':
		if (e.len)
			do_extend(thread, letter, e);
		return;
	case 'f':
		if (!e.len)
			return;
		state.nr_own[thread]--;
		memmove(state.own[thread], state.own[thread] + 1,
			state.nr_own[thread] * sizeof(e));
		do_free(thread, letter, e);
		return;
	case 'o':
		if (e.len)
			do_free(thread, letter, e);
		return;
	case 't':
		if (state.freed[thread].len)
			do_free(thread, letter, state.freed[thread]);
		return;
	case 'w':
		if (e.len)
			do_free(thread, letter, wrong_length(e));
		return;
	case 'c':
		do_claim(thread, letter, (struct extent) { 4, 2 });
		return;
	case 'd':
		count_call(letter, device_caches(-1));
		hapool_drain(pool);
		return;
	case 'k':
		count_call(letter, device_caches(next));
		hapool_drain_cpu(pool, next);
		return;
	case 's':
		count_call(letter, device_caches(-1));
		hapool_shrink(pool, ULONG_MAX);
		return;
	case 'q':
		hapool_stat(pool, &st, true);
		if (st.capacity != device->blocks || st.slab.largest_run > device->blocks)
			order_fail("stat: %llu of %llu blocks", st.slab.largest_run, st.capacity);
		count_call(letter, st.slab.nr_runs);
		return;
	case 'R':
		do_reserve(thread, letter, 2);
		return;
	case 'A':
		if (state.reserved[thread])
			do_alloc_reserved(thread, letter);
		return;
	case 'U':
		if (state.reserved[thread])
			do_unreserve(thread, letter);
		return;
	}
	i = op_of(letter);
	do_alloc(thread, letter, ops[i].len, ops[i].align, ops[i].least);
}

static void thread_body(unsigned int thread)
{
	unsigned int i;

	for (i = 0; i < program.nr_ops; i++) {
		order_pause();
		do_op(thread, program.ops[thread][i]);
	}
}

/* ---- what the calls returned ---- */

/* The same of a call for a part. */
static bool part_fits(const struct call *c, struct space *live)
{
	u32 start = c->e.start, len, end;

	if (c->kind != CUT) {
		if (!space_is_extent(live, start, c->e.len))
			return c->ret && c->ret != -ENOSPC;
		end = start + c->e.len;
		if (c->ret == -ENOSPC || c->ret == -EDQUOT)
			return true;
		if (c->ret || (c->kind == EXTEND &&
			       (end == device->blocks || live->used >> end & 1)))
			return false;
		space_remove(live, start, c->e.len);
		if (c->kind == EXTEND) {
			space_add(live, start, c->e.len + 1);
		} else {
			space_add(live, start, c->at - start);
			space_add(live, c->at, end - c->at);
		}
		return true;
	}
	if (!(live->used >> start & 1))
		return c->ret == -ENOENT;
	while (!(live->starts >> start & 1))
		start--;
	len = space_len(live, start);
	if (c->ret)
		return false;
	space_remove(live, start, len);
	if (c->e.start > start)
		space_add(live, start, c->e.start - start);
	if (c->e.start + 1U < start + len)
		space_add(live, c->e.start + 1, start + len - c->e.start - 1);
	return true;
}

/* Whether a call could have returned this, if nothing else had run meanwhile. */
static bool call_fits(const struct call *c, struct space *live)
{
	bool is_extent;

	/* blocks that are free and not reserved */
	u32 left = device->blocks - __builtin_popcount(live->used) - live->reserved;

	switch (c->kind) {
	case RESERVE:
		live->reserved += c->ret ? 0 : c->e.len;
		return c->ret || c->e.len <= left;
	case UNRESERVE:
		live->reserved -= c->e.len;
		return true;
	case RESERVED_ALLOC:
		live->reserved--;
		break;
	case ALLOC:
	case CLAIM:
		if (!c->ret && c->e.len > left)
			return false;
		break;
	case EXTEND:
		if (!c->ret && !left)
			return false;
		break;
	default:
		break;
	}
	if (c->kind >= CUT && c->kind <= EXTEND)
		return part_fits(c, live);
	if (c->kind != FREE) {
		if (!c->ret && live->used & blocks_mask(c->e.start, c->e.len))
			return false;
		if (!c->ret)
			space_add(live, c->e.start, c->e.len);
		return true;
	}
	is_extent = space_is_extent(live, c->e.start, c->e.len);
	if (is_extent && !c->ret)
		space_remove(live, c->e.start, c->e.len);
	return is_extent == !c->ret;
}

/*
 * Whether the calls of the mask @todo could have happened one after the other, each at some
 * time between its begin and its end, on a device with @live. @live: out: what is live then.
 */
static bool in_some_order(u32 todo, struct space *live)
{
	u32 least = U32_MAX;
	unsigned int i;

	if (!todo)
		return true;
	for (i = 0; i < state.nr_calls; i++)
		if (todo >> i & 1)
			least = min(least, state.calls[i].ended);
	for (i = 0; i < state.nr_calls; i++) {
		struct space after = *live;

		if (!(todo >> i & 1) || state.calls[i].begun > least ||
		    !call_fits(&state.calls[i], &after) ||
		    !in_some_order(todo & ~(1U << i), &after))
			continue;
		*live = after;
		return true;
	}
	return false;
}

/* The end of the free of an extent of which an allocation began at @begun. */
static u32 end_of_use(struct extent e, u32 begun, u32 *freed)
{
	unsigned int i, best = MAX_CALLS;

	for (i = 0; i < state.nr_calls; i++) {
		const struct call *c = &state.calls[i];

		if (c->kind == FREE && !c->ret && c->e.start == e.start && c->e.len == e.len &&
		    c->ended > begun && !(*freed >> i & 1) &&
		    (best == MAX_CALLS || c->ended < state.calls[best].ended))
			best = i;
	}
	if (best == MAX_CALLS)
		return U32_MAX;
	*freed |= 1U << best;
	return state.calls[best].ended;
}

/* The blocks that were possibly in use at some time of a call; see the head of this file. */
static u32 possibly_used(const struct call *call)
{
	u32 used = 0, freed = 0, starts, start;
	unsigned int i;

	for (starts = state.live.starts; starts; starts &= starts - 1) {
		struct extent e = { start = __builtin_ctz(starts), space_len(&state.live, start) };

		if (end_of_use(e, 0, &freed) > call->begun)
			used |= blocks_mask(e.start, e.len);
	}
	for (i = 0; i < state.nr_calls; i++) {
		const struct call *c = &state.calls[i];

		if (!c->ret &&
		    (c->kind == ALLOC || c->kind == CLAIM || c->kind == RESERVED_ALLOC) &&
		    end_of_use(c->e, c->begun, &freed) > call->begun && c->begun < call->ended)
			used |= blocks_mask(c->e.start, c->e.len);
		/* when it is freed, by calls that know other lengths, does not matter */
		if (c->kind == EXTEND && !c->ret && c->begun < call->ended)
			used |= blocks_mask(c->e.start + c->e.len, 1);
	}
	return used;
}

/* The blocks that were possibly reserved at some time of a call. */
static u32 possibly_reserved(const struct call *call)
{
	u32 nr = 0;
	unsigned int i;

	for (i = 0; i < state.nr_calls; i++) {
		const struct call *c = &state.calls[i];

		if (c->kind == RESERVE && !c->ret && c->begun < call->ended)
			nr += c->e.len;
		if ((c->kind == RESERVED_ALLOC || c->kind == UNRESERVE) && c->ended < call->begun)
			nr -= c->e.len;
	}
	return nr;
}

/* How many blocks a call was to take. */
static u32 asked_for(const struct call *c)
{
	return c->kind == EXTEND ? 1 : c->e.len;
}

/* @live: out: what is live now. */
static void check_results(struct space *live)
{
	unsigned int i;

	*live = state.live;
	if (!in_some_order((1U << state.nr_calls) - 1, live))
		order_fail("the results are not possible in any order");
	for (i = 0; i < state.nr_calls; i++) {
		const struct call *c = &state.calls[i];

		if (c->ret == -EDQUOT && __builtin_popcount(possibly_used(c)) +
		    possibly_reserved(c) + asked_for(c) <= device->blocks)
			order_fail("falsely refused: %u blocks are free, and not reserved",
				   asked_for(c));
		if (c->kind == ALLOC && c->ret == -ENOSPC &&
		    space_fits(possibly_used(c), c->e.len, c->align))
			order_fail("false ENOSPC: %u blocks aligned to %u fit", c->e.len, c->align);
		if (c->kind == CLAIM && c->ret == -EEXIST &&
		    !(possibly_used(c) & blocks_mask(c->e.start, c->e.len)))
			order_fail("false EEXIST: %u+%u is free", c->e.start, c->e.len);
		if (c->kind == EXTEND && c->ret == -ENOSPC &&
		    c->e.start + c->e.len < device->blocks &&
		    !(possibly_used(c) >> (c->e.start + c->e.len) & 1))
			order_fail("false ENOSPC: what follows %u+%u is free", c->e.start,
				   c->e.len);
	}
}

/* ---- a schedule ---- */

static struct order_switch switches[ORDER_SWITCHES];
static struct order_set sets[ORDER_SWITCHES], *set_of[ORDER_SWITCHES];

static void print_program(void)
{
	unsigned int i;

	for (i = 0; i < program.nr_threads; i++)
		printf("%s%.*s", i ? "+" : "", program.nr_ops, program.ops[i]);
}

static void print_calls(void)
{
	static const char *const kinds[] = {
		[ALLOC] = "alloc", [CLAIM] = "claim", [FREE] = "free", [CUT] = "cut",
		[SPLIT] = "split", [EXTEND] = "extend", [RESERVED_ALLOC] = "reserved alloc",
		[RESERVE] = "reserve", [UNRESERVE] = "unreserve",
	};
	u32 starts, start;
	unsigned int i;

	printf("# live before:");
	for (starts = state.live.starts; starts; starts &= starts - 1) {
		start = __builtin_ctz(starts);
		printf(" %u+%u", start, space_len(&state.live, start));
	}
	printf("\n");
	for (i = 0; i < state.nr_calls; i++) {
		const struct call *c = &state.calls[i];

		printf("# thread %u: %c: %s %u+%u: ", c->thread, c->letter, kinds[c->kind],
		       c->e.start, c->e.len);
		if (c->ended == U32_MAX)
			printf("began at %u\n", c->begun);
		else
			printf("%s, time %u to %u\n", c->ret ? strerror(-c->ret) : "ok",
			       c->begun, c->ended);
	}
}

static void report(unsigned int nr_switches)
{
	unsigned int i;

	nr_violations++;
	printf("# wrong: %s\n", order_message);
	print_calls();
	printf("# repeat: hybrid-sim interleave --replay %s:", device->name);
	print_program();
	printf(":");
	for (i = 0; i < nr_switches; i++)
		printf("%s%u@%u", i ? "," : "", switches[i].at, switches[i].to);
	printf("\n");
	fflush(stdout);
}

/*
 * Ends that were found right. The checks are a function of the memory and of what is live, so
 * they need not be done twice. The table forgets an entry when its place is needed.
 */
#define NR_ENDS		(1U << 16)
static u64 ends[NR_ENDS];

static void check_end(struct space *live)
{
	u64 hash = (order_hash() ^ live->used ^ (u64)live->reserved << 32) *
		   0x9e3779b97f4a7c15ULL + live->starts;
	u64 *end = &ends[hash % NR_ENDS];
	unsigned int i;

	if (*end == hash)
		return;
	device_check(live, false);
	for (i = 0; i < program.nr_threads; i++)
		if (state.reserved[i] &&
		    hapool_unreserve(pool, &reservations[i], state.reserved[i]))
			order_fail("thread %u has not %u blocks reserved", i, state.reserved[i]);
	live->reserved = 0;
	device_check_empty(live);
	*end = hash;
}

/* Return: whether all was well. */
static bool run(unsigned int nr_switches)
{
	struct space live;

	nr_schedules++;
	order_restore(&first_memory);
	state = first_state;
	memset(reservations, 0, sizeof(reservations));
	if (setjmp(order_failed)) {
		report(nr_switches);
		return false;
	}
	order_run(thread_body, program.nr_threads, switches, nr_switches, set_of);
	check_results(&live);
	check_end(&live);
	return true;
}

/* ---- the search ---- */

static bool explore(unsigned int level, u32 from, unsigned int preemptions);

/*
 * Whether the steps before @nr of @trace, from @at on by the thread that is then preempted, do
 * not conflict with those that others make meanwhile in the run that has just ended. A lock that
 * was tried in vain is left alone.
 */
static bool is_redundant(const struct order_step *trace, u32 nr, u32 at)
{
	static struct order_set set;
	u8 thread = trace[at].thread;
	u32 i;

	order_set_clear(&set);
	for (i = at; i < order_nr_steps && order_trace[i].thread != thread; i++)
		if (!order_trace[i].failed)
			order_set_add(&set, &order_trace[i]);
	for (i = at; i < nr && trace[i].thread == thread; i++)
		if (order_conflicts(&trace[i], &set))
			return false;
	return true;
}

/* Run with one switch more, and all schedules that begin so. */
static bool deviate(unsigned int level, u32 at, unsigned int to, unsigned int preemptions)
{
	switches[level] = (struct order_switch) { at, to };
	set_of[level] = NULL;
	return run(level + 1) && explore(level + 1, at + 1, preemptions);
}

/*
 * Likewise, where the thread that made step @at of @trace could have gone on. With a third thread
 * and another preemption, others can make other steps meanwhile than they did in the first run.
 */
static bool preempt(unsigned int level, const struct order_step *trace, u32 nr, u32 at,
		    unsigned int to, unsigned int preemptions)
{
	switches[level] = (struct order_switch) { at, to };
	set_of[level] = &sets[level];
	order_set_clear(&sets[level]);
	return run(level + 1) &&
	       (((program.nr_threads == 2 || preemptions == 1) && is_redundant(trace, nr, at)) ||
		explore(level + 1, at + 1, preemptions - 1));
}

/*
 * After a run with @level switches: all schedules that have more, from step @from on.
 * Return: false after a violation.
 */
static bool explore(unsigned int level, u32 from, unsigned int preemptions)
{
	u32 nr = order_nr_steps, i, next[ORDER_THREADS] = {};
	struct order_step *trace;
	unsigned int to, cost;
	bool ok = true;

	/* two threads have no choice but to go on */
	if (!preemptions && program.nr_threads == 2)
		return true;
	if (level == ORDER_SWITCHES) {
		nr_cut++;
		return true;
	}
	trace = malloc((nr + 1) * sizeof(*trace));
	/* those before are not looked at */
	memcpy(trace + from, order_trace + from, (nr - from) * sizeof(*trace));
	for (i = from; i < nr && ok; i++) {
		for (to = 0; to < program.nr_threads && ok; to++) {
			if (trace[i].first)
				next[to] = 0;
			if (!(trace[i].others >> to & 1))
				continue;
			if (trace[i].first) {
				cost = trace[i].asleep >> to & 1;
				ok = cost > preemptions ||
				     deviate(level, i, to, preemptions - cost);
			} else if (preemptions && i >= next[to]) {
				ok = preempt(level, trace, nr, i, to, preemptions);
				for (next[to] = i; next[to] < nr; next[to]++)
					if (order_conflicts(&trace[next[to]], &sets[level]))
						break;
				next[to]++;
			}
		}
	}
	free(trace);
	return ok;
}

/* All schedules of the program on the device that was prepared. Return: as explore(). */
static bool run_program(void)
{
	unsigned int to;

	nr_programs++;
	if (!run(0) || !explore(0, 1, opt->preemptions))
		return false;
	for (to = 1; to < program.nr_threads; to++)
		if (!deviate(0, 0, to, opt->preemptions))
			return false;
	return true;
}

/*
 * Whether it has operations on reservations: without, calls do not book what they take. All of it
 * may be 0, when no program has run yet.
 */
static bool program_reserves(void)
{
	unsigned int i, k;

	for (i = 0; i < program.nr_threads; i++)
		for (k = 0; k < program.nr_ops; k++)
			if (memchr(reserving, program.ops[i][k], strlen(reserving)))
				return true;
	return false;
}

/* What the threads have before they begin. */
static void prepare(const struct device *d)
{
	unsigned int i, k;

	memset(&state, 0, sizeof(state));
	if (setjmp(order_failed)) {
		report(0);
		return;
	}
	device_start(d, program.nr_threads);
	for (i = 0; i < program.nr_threads && program_reserves(); i++)
		device_reserves(&reservations[i]);
	for (i = 0; i < program.nr_threads; i++) {
		order_set_cpu(i);
		do_alloc(i, 'p', 1, 1, 0);
		do_alloc(i, 'p', 1, 1, 0);
		do_free(i, 'f', state.own[i][1]);
		state.nr_own[i] = 1;
		state.nr_calls = 0;
	}
	for (i = 0; i < program.nr_threads && d->slab_max > 2; i++) {
		order_set_cpu(i);
		do_alloc(i, 'm', 3, 1, 0);
		state.nr_calls = 0;
	}
	for (i = 0; i < program.nr_threads; i++)
		for (k = 0; k < state.nr_own[i]; k++)
			space_add(&state.live, state.own[i][k].start, state.own[i][k].len);
	state.time = 1;
	order_set_cpu(0);
	order_save(&first_memory);
	first_state = state;
}

/* ---- programs ---- */

/* By hand: where much happens at once. */
static const struct {
	const char *device, *program;
} by_hand[] = {
	/* all want the last blocks, and free and drain meanwhile */
	{ "8.4K.1", "ppfp+fppf+dpdp" },
	{ "8.4Ks.2", "mfmf+pfpf+ldmd" },
	{ "8.1M.1", "mfmf+pfpf+lgcl" },
	/* three free the same extents, and allocate them again */
	{ "11.4K.2", "opop+opop+opop" },
	{ "11.4Ks.1", "offm+offm+offm" },
	{ "11.1M.2", "otpf+otpf+otpf" },
	/* claims of what is cached, or becomes free, beside drains and a dead CPU */
	{ "11.4K.1", "cfcf+pfpf+kpkp" },
	{ "16.4K.2", "cfpc+fpcf+ddsd" },
	{ "16.4Ks.1", "cfcf+mfmf+pfsk" },
	/* slabs come and go, and the slow mode takes them apart */
	{ "16.4Ks.2", "lmff+ggff+ppff" },
	{ "16.4K.1", "lfgf+gflf+sqsq" },
	{ "16.1M.2", "lwft+gwft+mqfc" },
	/* what is reserved is there, whatever others do, and no more is given away */
	{ "8.4K.1", "RAAf+pppf+ppdp" },
	{ "8.4Ks.2", "RARA+pfpp+pfpp" },
	{ "8.1M.1", "RAUf+ffpp+mfpp" },
	{ "11.4K.1", "RAAf+RpAf+pppp" },
	{ "11.4Ks.2", "RURA+ppff+cfpp" },
	{ "16.4K.2", "RARf+lfpp+ggfm" },
	/* parts of extents while others free them, or take what follows */
	{ "16.4K.1", "mhxf+ofpf+hcxf" },
	{ "16.4Ks.2", "hixf+ppfd+mxhf" },
	{ "11.1M.1", "xxhf+lhif+ooff" },
	/* and may not be extended into what is reserved */
	{ "8.4K.1", "RAUf+xxpf+pxhf" },
	{ "11.1M.1", "RARf+xhxf+mxxf" },
	{ "8.4K.1", "RAUf+uurf+puxf" },
	{ "11.4Ks.2", "RARf+uffu+rupf" },
};

/* Reads a program of @len characters. Return: false if it is none. */
static bool parse_program(const char *text, size_t len)
{
	unsigned int thread = 0, op = 0;

	program.nr_ops = 0;
	for (; len; text++, len--) {
		if (op_of(*text) < ARRAY_SIZE(ops) && op < MAX_OPS) {
			program.ops[thread][op++] = *text;
			continue;
		}
		if (*text != '+' || !op || (thread && op != program.nr_ops) ||
		    ++thread == ORDER_THREADS)
			return false;
		program.nr_ops = op;
		op = 0;
	}
	program.nr_threads = thread + 1;
	return thread && op == program.nr_ops;
}

static void prepare_once(const struct device *d)
{
	static char name[sizeof(d->name)];
	static unsigned int threads;
	static bool reserves;

	if (threads == program.nr_threads && reserves == program_reserves() &&
	    !strcmp(name, d->name))
		return;
	reserves = program_reserves();
	strcpy(name, d->name);
	threads = program.nr_threads;
	prepare(d);
}

/* Each on its device. */
static void run_by_hand(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(by_hand) && !nr_violations; i++) {
		BUG_ON(!parse_program(by_hand[i].program, strlen(by_hand[i].program)));
		prepare_once(device_named(by_hand[i].device, strlen(by_hand[i].device)));
		run_program();
	}
}

/* The letters that programs are made of. */
static char letters[ARRAY_SIZE(ops) + 1];

/* All of them; or those that are not parts; or parts, and some beside them. */
static void set_letters(bool with_parts, bool with_all, bool with_reserving)
{
	unsigned int i, nr = 0;

	for (i = 0; i < ARRAY_SIZE(ops); i++)
		if (strchr(reserving, ops[i].letter) ? with_reserving :
		    strchr(parts, ops[i].letter) ? with_parts :
		    with_all || strchr(beside_parts, ops[i].letter))
			letters[nr++] = ops[i].letter;
	letters[nr] = 0;
}

/* The program of a number: a digit for each operation. */
static void program_of(u64 nr)
{
	unsigned int i, k, nr_letters = strlen(letters);

	for (i = 0; i < program.nr_threads; i++)
		for (k = 0; k < program.nr_ops; k++, nr /= nr_letters)
			program.ops[i][k] = letters[nr % nr_letters];
}

static u64 nr_all_programs(void)
{
	unsigned int i;
	u64 nr = 1;

	for (i = 0; i < program.nr_threads * program.nr_ops; i++)
		nr *= strlen(letters);
	return nr;
}

static bool has_parts(void)
{
	unsigned int i, k;

	for (i = 0; i < program.nr_threads; i++)
		for (k = 0; k < program.nr_ops; k++)
			if (strchr(parts, program.ops[i][k]))
				return true;
	return false;
}

/*
 * Of two programs that differ in the order of the threads, one; of programs of parts, those that
 * have one.
 */
static bool is_left_out(void)
{
	return (program.nr_threads == 2 &&
		memcmp(program.ops[0], program.ops[1], program.nr_ops) > 0) ||
	       (strchr(letters, parts[0]) && !has_parts());
}

/* All programs, on each device, or each on the next one. */
static void run_all(void)
{
	unsigned int i = 0;
	u64 nr;

	for (nr = 0; turns && nr < nr_all_programs() && !nr_violations; nr++) {
		program_of(nr);
		if (is_left_out())
			continue;
		prepare_once(device_nr(i++ % nr_devices()));
		run_program();
	}
	for (; !turns && i < nr_devices() && !nr_violations; i++) {
		if (only_device && strcmp(only_device, device_nr(i)->name))
			continue;
		prepare_once(device_nr(i));
		for (nr = 0; nr < nr_all_programs() && !nr_violations; nr++) {
			program_of(nr);
			if (!is_left_out())
				run_program();
		}
	}
}

/* Programs drawn by a seed, on the devices by turns. */
static void run_drawn(u64 seed, u64 count)
{
	unsigned long long rng = seed;
	u64 i;

	for (i = 0; i < count && !nr_violations; i++) {
		program_of(random_below(&rng, nr_all_programs()));
		prepare_once(device_nr(i % nr_devices()));
		run_program();
	}
}

/* ---- the command ---- */

static int wrong_option(const char *what, const char *value, const char *remedy)
{
	fprintf(stderr, "hybrid-sim: %s '%s' %s\n", what, value, remedy);
	return 2;
}

static bool parse_switches(const char *text, unsigned int *nr)
{
	int len;

	for (*nr = 0; *text && *nr < ORDER_SWITCHES; (*nr)++, text += len) {
		struct order_switch *s = &switches[*nr];

		if (sscanf(text, *nr ? ",%u@%u%n" : "%u@%u%n", &s->at, &s->to, &len) != 2)
			return false;
	}
	return !*text;
}

/* DEVICE:PROGRAM:SWITCHES, or DEVICE:=SEQUENCE */
static int replay(const char *text)
{
	const char *colon = strchr(text, ':'), *second;
	const struct device *d = colon ? device_named(text, colon - text) : NULL;
	unsigned int nr;

	if (!d)
		return wrong_option("--replay", text, "does not begin with a device and a colon; "
				    "give what a violation printed");
	if (colon[1] == '=') {
		if (!sequence_replay(d, colon + 2))
			return wrong_option("--replay", text, "has no sequence; give what a "
					    "violation printed");
		return nr_violations ? 1 : 0;
	}
	second = strchr(colon + 1, ':');
	if (!second || !parse_program(colon + 1, second - colon - 1) ||
	    !parse_switches(second + 1, &nr))
		return wrong_option("--replay", text, "has no program and no schedule; give what "
				    "a violation printed");
	prepare(d);
	if (!nr_violations && run(nr)) {
		print_calls();
		printf("# nothing is wrong\n");
	}
	return nr_violations ? 1 : 0;
}

static void result(const char *name, u64 value)
{
	printf("  %-22s %llu\n", name, value);
}

int interleave(const struct interleave_options *options)
{
	bool only_sequences = !options->programs && options->depth;
	unsigned long long seed, count;
	unsigned int i;
	char more;

	opt = options;
	program.nr_threads = opt->threads;
	program.nr_ops = opt->ops;
	order_init();
	turns = opt->device && !strcmp(opt->device, "turns");
	only_device = turns ? NULL : opt->device;
	if (only_device && !device_named(only_device, strlen(only_device)))
		return wrong_option("--device", opt->device, "is none; give BLOCKS.UNIT.MAGAZINE, "
				    "such as 8.4K.1, or turns");
	if (opt->replay)
		return replay(opt->replay);
	if (only_sequences) {
		;
	} else if (!opt->programs || !strcmp(opt->programs, "all")) {
		set_letters(false, true, false);
		run_all();
	} else if (!strcmp(opt->programs, "parts")) {
		set_letters(true, false, false);
		run_all();
	} else if (!strcmp(opt->programs, "hand")) {
		run_by_hand();
	} else if (sscanf(opt->programs, "%llu,%llu%c", &seed, &count, &more) == 2) {
		set_letters(true, true, true);
		run_drawn(seed, count);
	} else {
		return wrong_option("--programs", opt->programs,
				    "is neither all, parts, hand nor SEED,COUNT");
	}
	if (opt->depth && !nr_violations)
		sequences(opt->depth, only_device);
	result("programs", nr_programs);
	result("schedules", nr_schedules);
	for (i = 0; nr_programs && i < ARRAY_SIZE(ops); i++)
		printf("  %-22s %llu of %llu\n", ops[i].name, nr_done[i], nr_called[i]);
	result("sequences", nr_sequences);
	result("states", nr_states);
	if (nr_sequences)
		sequences_print();
	printf("  %-22s %s\n", "complete", nr_violations || nr_cut ? "no" : "yes");
	result("violations", nr_violations);
	return nr_violations ? 1 : 0;
}
