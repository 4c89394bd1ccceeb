// SPDX-License-Identifier: GPL-2.0
/*
 * hybrid-sim interleave: all sequences of operations of one thread, up to a length.
 *
 * The operations are allocations of 1, 2, 3, 5 and 8 blocks, of a block aligned to two and of
 * three aligned to four, a free of each live extent, a drain, and claims of the ranges in
 * claims[]; in each state also frees that must be refused. After each one the answer is compared
 * with a model of the device, which is exact: with one thread an allocation fails if and only if no
 * run fits. Then the map, the accounting and each invariant are checked.
 *
 * Sequences that lead to the same state are continued once. A state is what can be seen: the
 * map, what is in each magazine in its order, and what is known not to fit. What else the
 * allocator remembers, such as the last holes, is not a part of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pool/internal.h"
#include "sequences.h"

#define MAX_DEPTH	8
#define NR_SEEN		(1U << 22)

enum kind { ALLOC, FREE, CLAIM, DRAIN };

struct act {
	enum kind kind;
	u32 start, len, align;
};

u64 nr_sequences, nr_states;

/* Acts that did something, and all of them. A drain does if a magazine has an object. */
static u64 nr_done[4], nr_called[4], nr_refused;

static struct act acts[MAX_DEPTH];
static struct order_memory memory[MAX_DEPTH + 1];

/* States by hash, each with the number of operations that were tried from there on. */
static struct {
	u64 hash;
	u8 left;
} *seen;

static const struct {
	u8 len, align;
} requests[] = { { 1, 1 }, { 2, 1 }, { 3, 1 }, { 5, 1 }, { 8, 1 }, { 1, 2 }, { 3, 4 } };

static const struct {
	u8 start, len;
} claims[] = { { 0, 1 }, { 2, 2 }, { 3, 4 }, { 7, 1 } };

static void print_act(const struct act *a)
{
	static const char *const names[] = { "a", "f", "c", "d" };

	printf("%s%u.%u.%u", names[a->kind], a->start, a->len, a->align);
}

static void report(unsigned int nr)
{
	unsigned int i;

	nr_violations++;
	printf("# wrong: %s\n# repeat: hybrid-sim interleave --replay %s:=", order_message,
	       device->name);
	for (i = 0; i < nr; i++) {
		if (i)
			printf(",");
		print_act(&acts[i]);
	}
	printf("\n");
}

/* ---- one operation ---- */

static void refuse_free(const struct space *live, u32 start, u32 len)
{
	enum hybrid_alloc_reason reason;

	if (!len || start + len > device->blocks || space_is_extent(live, start, len))
		return;
	if (!hapool_free(pool, start, len, &reason))
		order_fail("free of %u+%u, which is no extent", start, len);
	nr_refused++;
}

/* Frees with a wrong start or length, and of what is not allocated. */
static void refuse_frees(const struct space *live)
{
	u32 start, len;

	for (start = 0; start < device->blocks; start++) {
		len = live->starts >> start & 1 ? space_len(live, start) : 1;
		refuse_free(live, start, len - 1);
		refuse_free(live, start, len + 1);
		if (len == 1)
			refuse_free(live, start, 1);
	}
}

/* Do an operation; @a: its start is set if it is an allocation. */
static void do_act(struct act *a, struct space *live)
{
	enum hybrid_alloc_reason reason;
	bool fits = true;
	u64 start = 0;
	int ret = 0;

	nr_called[a->kind]++;
	switch (a->kind) {
	case ALLOC:
		fits = space_fits(live->used, a->len, a->align);
		ret = hapool_alloc(pool, a->len, a->align, HAPOOL_NO_GOAL, GFP_KERNEL, &start);
		if (ret != (fits ? 0 : -ENOSPC))
			order_fail("allocation of %u aligned to %u: %d, but it %s", a->len,
				   a->align, ret, fits ? "fits" : "does not fit");
		if (!ret && (start + a->len > device->blocks || start % a->align))
			order_fail("allocation of %u: block %llu", a->len, start);
		a->start = start;
		break;
	case CLAIM:
		fits = !(live->used & blocks_mask(a->start, a->len));
		ret = hapool_claim(pool, a->start, a->len, GFP_KERNEL);
		if (ret != (fits ? 0 : -EEXIST))
			order_fail("claim of %u+%u: %d", a->start, a->len, ret);
		break;
	case FREE:
		ret = hapool_free(pool, a->start, a->len, &reason);
		if (ret)
			order_fail("free of %u+%u: %d", a->start, a->len, ret);
		space_remove(live, a->start, a->len);
		nr_done[FREE]++;
		return;
	case DRAIN:
		nr_done[DRAIN] += device_caches(-1);
		hapool_drain(pool);
		return;
	}
	if (ret)
		return;
	nr_done[a->kind]++;
	if (live->used & blocks_mask(a->start, a->len))
		order_fail("%u+%u is handed out twice", a->start, a->len);
	space_add(live, a->start, a->len);
}

/* ---- states ---- */

static u64 mix(u64 hash, u64 value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 29;
}

static u64 state_hash(void)
{
	struct haslab_extent entries[MAX_BLOCKS];
	int i, k, nr = hapool_map(pool, 0, entries, MAX_BLOCKS);
	u64 hash = 1;

	for (i = 0; i < nr; i++)
		hash = mix(hash, entries[i].start << 32 | entries[i].len << 16 |
			   entries[i].state << 8 | entries[i].kind);
	for (i = 0; i < HASLAB_NR_CLASSES; i++) {
		struct hapool_mag *mag = per_cpu_ptr(pool->cpus, 0)->bin[i].mag;

		hash = mix(hash, mag ? mag->used : U64_MAX);
		for (k = 0; mag && k < mag->used / sizeof(mag->refs[0]); k++)
			hash = mix(hash, mag->refs[k].start);
	}
	for (i = 0; i < ARRAY_SIZE(requests); i++)
		hash = mix(hash, hapool_was_refused(pool, requests[i].len, requests[i].align));
	return hash ?: 1;
}

/* Whether the state was not seen with @left operations to come, or more. */
static bool is_new(u64 hash, unsigned int left)
{
	u32 i;

	for (i = hash % NR_SEEN; seen[i].hash && seen[i].hash != hash; i = (i + 1) % NR_SEEN)
		;
	if (!seen[i].hash) {
		if (++nr_states % NR_SEEN > NR_SEEN / 8 * 7)
			order_fail("too many states for the table");
		seen[i].hash = hash;
	} else if (seen[i].left >= left) {
		return false;
	}
	seen[i].left = left;
	return true;
}

/* ---- all of them ---- */

static bool explore(unsigned int depth, unsigned int left, const struct space *live);

/* Do @a in the state of @depth, check, and go on from there. Return: false: a violation. */
static bool try_act(unsigned int depth, unsigned int left, struct space live, struct act a)
{
	acts[depth] = a;
	nr_sequences++;
	order_restore(&memory[depth]);
	if (setjmp(order_failed)) {
		report(depth + 1);
		return false;
	}
	do_act(&acts[depth], &live);
	device_check_sums(&live, a.kind == DRAIN);
	if (!is_new(state_hash(), left))
		return true;
	order_save(&memory[depth + 1]);
	refuse_frees(&live);
	device_check(&live, false);
	device_check_empty(&(struct space) { live.used, live.starts });
	return explore(depth + 1, left - 1, &live);
}

static bool explore(unsigned int depth, unsigned int left, const struct space *live)
{
	u32 starts, start;
	unsigned int i;

	if (!left)
		return true;
	for (i = 0; i < ARRAY_SIZE(requests); i++)
		if (!try_act(depth, left, *live,
			     (struct act) { ALLOC, 0, requests[i].len, requests[i].align }))
			return false;
	for (starts = live->starts; starts; starts &= starts - 1) {
		start = __builtin_ctz(starts);
		if (!try_act(depth, left, *live,
			     (struct act) { FREE, start, space_len(live, start), 1 }))
			return false;
	}
	for (i = 0; i < ARRAY_SIZE(claims); i++)
		if (!try_act(depth, left, *live,
			     (struct act) { CLAIM, claims[i].start, claims[i].len, 1 }))
			return false;
	return try_act(depth, left, *live, (struct act) { DRAIN, 0, 0, 1 });
}

/* Return: false: a violation. */
static bool begin(const struct device *d)
{
	if (setjmp(order_failed)) {
		report(0);
		return false;
	}
	device_start(d, 1);
	order_save(&memory[0]);
	return true;
}

/* All sequences of @depth operations, on the device @name, or if it is NULL on each. */
void sequences(unsigned int depth, const char *name)
{
	struct space nothing = {};
	unsigned int i;

	seen = malloc(NR_SEEN * sizeof(*seen));
	if (!seen) {
		fprintf(stderr, "hybrid-sim: out of memory\n");
		exit(2);
	}
	for (i = 0; i < nr_devices(); i++) {
		if (name && strcmp(name, device_nr(i)->name))
			continue;
		memset(seen, 0, NR_SEEN * sizeof(*seen));
		if (!begin(device_nr(i)) || !explore(0, depth, &nothing))
			break;
	}
	free(seen);
}

/* How often each kind of operation did something. */
void sequences_print(void)
{
	static const char *const names[] = { "allocations", "frees", "claims", "drains" };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		printf("  %-22s %llu of %llu\n", names[i], nr_done[i], nr_called[i]);
	printf("  %-22s %llu\n", "refused frees", nr_refused);
}

/* What report() printed. Return: false: it is no such text. */
bool sequence_replay(const struct device *d, const char *text)
{
	static const char names[] = "afcd";
	struct space live = {};
	unsigned int nr = 0, i;
	const char *name;
	int len;

	for (; *text && nr < MAX_DEPTH; nr++, text += len) {
		struct act *a = &acts[nr];

		text += nr && *text == ',';
		name = strchr(names, *text);
		if (!name ||
		    sscanf(text + 1, "%u.%u.%u%n", &a->start, &a->len, &a->align, &len) != 3 ||
		    a->start + a->len > MAX_BLOCKS || !is_power_of_2(a->align))
			return false;
		a->kind = name - names;
		len++;
	}
	if (!nr || *text)
		return false;
	if (!begin(d))
		return true;
	for (i = 0; i < nr; i++) {
		if (!setjmp(order_failed)) {
			do_act(&acts[i], &live);
			device_check_sums(&live, acts[i].kind == DRAIN);
			if (i < nr - 1)
				continue;
			refuse_frees(&live);
			device_check(&live, false);
			device_check_empty(&live);
			printf("# nothing is wrong\n");
			return true;
		}
		report(i + 1);
		return true;
	}
	return true;
}
