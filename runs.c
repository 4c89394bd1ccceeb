// SPDX-License-Identifier: GPL-2.0
/*
 * The runs of one slot.
 *
 * A slot is cut without gaps into runs: free runs, extents, and what is not
 * known here. All there is to know about a run is where it starts and what it
 * is; it ends where the next one starts. Two extents side by side keep the
 * start between them, which is what makes the length of a free checkable; two
 * free runs side by side are always merged.
 *
 * There are three forms. A slot of few large extents, the usual case, has a
 * sorted array of 16-bit marks, position and state, of which the first is
 * always at 0. Behind the last run all marks are at the end of the slot, one at
 * the least. Up to 20 marks are in the struct itself: what an operation on such
 * a slot needs is one cache line. More have memory of their own. A slot of many
 * small extents has a bitmap: two bits a block, the state of the run that starts
 * there or 0. That bounds the memory (1 KiB for 16 MiB) and the time (128 words
 * to look at, and none to move).
 *
 * Which runs are free looks random to the CPU: it guesses wrong at a branch for
 * each of them, and that costs as much as 60 instructions. So marks are looked
 * at four at a time, and lengths compared without branches.
 *
 * An allocation adds at most two runs and a free adds none, so only allocating
 * can need memory. The lock of the slab layer protects everything.
 */
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "runs.h"

#define STATE_BITS	2
#define STATE_MASK	((1U << STATE_BITS) - 1)

/* half the memory of the bitmap */
#define MAX_CAP		256
/* With so few it goes back into the struct: less than what is there to fill it again. */
#define SHRINK_NR	(HARUNS_INLINE / 2)

#define MAP_PER_WORD	32
#define MAP_LOW_BITS	0x5555555555555555ULL

/* ---- the array of marks ---- */

/* Four marks in a word, of which neither the lowest nor the highest bit matters for their order. */
#define LANES		0x0001000100010001ULL
#define LANE_BITS	16
#define HIGH_BITS	(LANES << (LANE_BITS - 1))

static u16 mark(u32 start, enum haruns_state state)
{
	return start << STATE_BITS | state;
}

static u32 mark_start(u16 m)
{
	return m >> STATE_BITS;
}

static enum haruns_state mark_state(u16 m)
{
	return m & STATE_MASK;
}

static u16 *marks_of(struct haruns *r)
{
	return r->cap == HARUNS_INLINE ? r->own : r->marks;
}

static const u16 *marks_in(const struct haruns *r)
{
	return r->cap == HARUNS_INLINE ? r->own : r->marks;
}

/* What is behind the last run: not free. */
static u16 mark_end(const struct haruns *r)
{
	return mark(r->nr_blocks, HARUNS_LIVE);
}

/* As marks_find(), of the marks in the struct: counts those up to there. */
static inline u32 own_find(const struct haruns *r, u32 pos)
{
	u64 keys = mark(pos, STATE_MASK) * LANES | HIGH_BITS, sum = 0;
	int i;

	/* no mark has the highest bit, so what remains of it says which is greater */
	for (i = 0; i < ARRAY_SIZE(r->words); i++)
		sum += (keys - r->words[i]) >> (LANE_BITS - 1) & LANES;
	return (sum * LANES >> (64 - LANE_BITS)) - 1;
}

/* The run that @pos lies in: the last mark that does not start behind it. */
static u32 marks_find(const struct haruns *r, u32 pos)
{
	const u16 key = mark(pos, STATE_MASK);
	u32 lo = 0, n = r->nr;

	while (n > 1) {
		u32 half = n / 2;

		lo = r->marks[lo + half] <= key ? lo + half : lo;
		n -= half;
	}
	return lo;
}

/* Cut @before blocks off in front of mark @i and @behind blocks off behind. */
static void marks_cut(struct haruns *r, u32 i, u32 before, u32 behind, enum haruns_state state)
{
	u16 *at = marks_of(r) + i, old = *at;
	u16 start = old + mark(before, 0), end = (at[1] & ~STATE_MASK) - mark(behind, 0);
	u32 nr = !!before + !!behind;

	memmove(at + 1 + nr, at + 1, (r->nr - i) * sizeof(*at));
	r->nr += nr;
	at += !!before;
	*at++ = (start & ~STATE_MASK) | state;
	if (behind)
		*at = end | mark_state(old);
}

/* Mark @i becomes free and merges with the free runs beside it. Return: their length. */
static u32 marks_free(struct haruns *r, u32 i)
{
	u16 *at = marks_of(r) + i;
	bool before = i && mark_state(at[-1]) == HARUNS_FREE;
	bool behind = mark_state(at[1]) == HARUNS_FREE;
	u32 nr = before + behind;

	*at = mark(mark_start(*at), HARUNS_FREE);
	at -= before;
	i += 1 - before;
	memmove(at + 1, at + 1 + nr, (r->nr + 1 - nr - i) * sizeof(*at));
	r->nr -= nr;
	/* of two that are gone one is not overwritten by the end */
	marks_of(r)[r->nr + !!nr] = mark_end(r);
	return mark_start(at[1]) - mark_start(at[0]);
}

/* ---- the bitmap ---- */

static enum haruns_state map_state(const struct haruns *r, u32 pos)
{
	return r->map[pos / MAP_PER_WORD] >> (pos % MAP_PER_WORD * STATE_BITS) & STATE_MASK;
}

static void map_set(u64 *map, u32 pos, u32 state)
{
	u32 shift = pos % MAP_PER_WORD * STATE_BITS;
	u64 *word = &map[pos / MAP_PER_WORD];

	*word = (*word & ~((u64)STATE_MASK << shift)) | (u64)state << shift;
}

/* A bit for each block of the word at which a run starts. */
static u64 map_starts(const struct haruns *r, u32 word)
{
	return (r->map[word] | r->map[word] >> 1) & MAP_LOW_BITS;
}

/* The start of the run that @pos lies in; block 0 is always a start. */
static u32 map_run_start(const struct haruns *r, u32 pos)
{
	u32 word = pos / MAP_PER_WORD;
	u64 bits = map_starts(r, word) & (~0ULL >> (63 - pos % MAP_PER_WORD * STATE_BITS));

	while (!bits)
		bits = map_starts(r, --word);
	return word * MAP_PER_WORD + (fls64(bits) - 1) / STATE_BITS;
}

/* The first start at or behind @pos, or the end of the slot. */
static u32 map_next_start(const struct haruns *r, u32 pos)
{
	u32 word = pos / MAP_PER_WORD, last = (r->nr_blocks - 1) / MAP_PER_WORD;
	u64 bits;

	if (pos >= r->nr_blocks)
		return r->nr_blocks;
	bits = map_starts(r, word) & (~0ULL << (pos % MAP_PER_WORD * STATE_BITS));
	while (!bits && word < last)
		bits = map_starts(r, ++word);
	return bits ? word * MAP_PER_WORD + __ffs64(bits) / STATE_BITS : r->nr_blocks;
}

static void map_put(struct haruns *r, u32 pos, enum haruns_state state)
{
	r->nr += !map_state(r, pos);
	map_set(r->map, pos, state);
}

static void map_drop(struct haruns *r, u32 pos)
{
	map_set(r->map, pos, 0);
	r->nr--;
}

static void map_cut(struct haruns *r, u32 start, u32 len, u32 behind, enum haruns_state state,
		    enum haruns_state old)
{
	if (behind)
		map_put(r, start + len, old);
	map_put(r, start, state);
}

/* The run becomes free and merges with the free runs beside it. Return: their length. */
static u32 map_free(struct haruns *r, u32 start, u32 end)
{
	u32 before = start ? map_run_start(r, start - 1) : 0;

	map_put(r, start, HARUNS_FREE);
	if (end < r->nr_blocks && map_state(r, end) == HARUNS_FREE)
		map_drop(r, end);
	if (before != start && map_state(r, before) == HARUNS_FREE) {
		map_drop(r, start);
		start = before;
	}
	return map_next_start(r, start + 1) - start;
}

/* ---- all forms ---- */

static bool is_map(const struct haruns *r)
{
	return !r->cap;
}

static inline struct haruns_run marks_run(const u16 *marks, u32 at)
{
	u32 start = mark_start(marks[at]);

	return (struct haruns_run) {
		start, mark_start(marks[at + 1]) - start, mark_state(marks[at]), at
	};
}

/* The run that is recorded at @at: the number of a mark, or a position. */
static struct haruns_run run_at(const struct haruns *r, u32 at)
{
	if (!is_map(r))
		return marks_run(marks_in(r), at);
	return (struct haruns_run) {
		at, map_next_start(r, at + 1) - at, map_state(r, at), at
	};
}

/**
 * haruns_at - the run that a block lies in
 * @r: the runs
 * @pos: the block
 *
 * Return: the run.
 */
struct haruns_run haruns_at(const struct haruns *r, u32 pos)
{
	if (r->cap == HARUNS_INLINE)
		return marks_run(r->own, own_find(r, pos));
	return run_at(r, is_map(r) ? map_run_start(r, pos) : marks_find(r, pos));
}

/**
 * haruns_first - the run at the start of the slot
 * @r: the runs
 *
 * Return: the run.
 */
struct haruns_run haruns_first(const struct haruns *r)
{
	return run_at(r, 0);
}

/**
 * haruns_last - the run at the end of the slot
 * @r: the runs
 *
 * Return: the run.
 */
struct haruns_run haruns_last(const struct haruns *r)
{
	return run_at(r, is_map(r) ? map_run_start(r, r->nr_blocks - 1) : r->nr - 1);
}

/**
 * haruns_next - the run behind another
 * @r: the runs
 * @run: the one; out: the next
 *
 * Return: whether there is one.
 */
bool haruns_next(const struct haruns *r, struct haruns_run *run)
{
	if (run->start + run->len == r->nr_blocks)
		return false;
	*run = run_at(r, is_map(r) ? run->start + run->len : run->at + 1);
	return true;
}

/**
 * haruns_init - nothing is known of the slot yet; see haruns_add()
 * @r: the runs
 * @nr_blocks: size of the slot, at most HARUNS_MAX_BLOCKS
 */
void haruns_init(struct haruns *r, u32 nr_blocks)
{
	u32 i;

	r->nr = 1;
	r->cap = HARUNS_INLINE;
	r->nr_blocks = nr_blocks;
	r->nr_known = 0;
	r->nr_free = 0;
	r->max_free = 0;
	r->tag = 0;
	r->own[0] = mark(0, HARUNS_SPECIAL);
	for (i = 1; i < HARUNS_INLINE; i++)
		r->own[i] = mark_end(r);
}

/**
 * haruns_destroy - give the memory back
 * @r: the runs
 * @mem: account
 */
void haruns_destroy(struct haruns *r, struct hamem *mem)
{
	if (r->cap != HARUNS_INLINE)
		hamem_put(mem, r->map);
}

static int to_map(struct haruns *r, struct hamem *mem, struct hamem_op *op)
{
	u64 *map = hamem_get(mem, op, DIV_ROUND_UP(r->nr_blocks, MAP_PER_WORD) * sizeof(*map));
	const u16 *marks = marks_in(r);
	u32 i;

	if (!map)
		return -ENOMEM;
	for (i = 0; i < r->nr; i++)
		map_set(map, mark_start(marks[i]), mark_state(marks[i]));
	haruns_destroy(r, mem);
	r->map = map;
	r->cap = 0;
	return 0;
}

/**
 * haruns_more - make room for more runs: the slow part of haruns_reserve()
 * @r: the runs
 * @nr: how many
 * @mem: account
 * @op: memory
 *
 * Return: 0, or -ENOMEM: nothing changed.
 */
int haruns_more(struct haruns *r, u32 nr, struct hamem *mem, struct hamem_op *op)
{
	u32 cap = roundup_pow_of_two(r->nr + nr + 1), i;
	u16 *marks;

	if (is_map(r))
		return 0;
	if (cap > MAX_CAP)
		return to_map(r, mem, op);
	marks = hamem_get(mem, op, cap * sizeof(*marks));
	if (!marks)
		return -ENOMEM;
	memcpy(marks, marks_in(r), r->nr * sizeof(*marks));
	for (i = r->nr; i < cap; i++)
		marks[i] = mark_end(r);
	haruns_destroy(r, mem);
	r->marks = marks;
	r->cap = cap;
	return 0;
}

/**
 * haruns_shrink - give memory back that is not needed any more
 * @r: the runs
 * @mem: account
 *
 * Never needs memory.
 */
void haruns_shrink(struct haruns *r, struct hamem *mem)
{
	struct haruns old = *r;
	struct haruns_run run;
	u32 i = 0;

	if (r->cap == HARUNS_INLINE || r->nr > SHRINK_NR)
		return;
	r->cap = HARUNS_INLINE;
	run = haruns_at(&old, 0);
	do {
		r->own[i++] = mark(run.start, run.state);
	} while (haruns_next(&old, &run));
	while (i < HARUNS_INLINE)
		r->own[i++] = mark_end(r);
	haruns_destroy(&old, mem);
}

/*
 * What a look at all free runs tells. A run is a number here: its length, and
 * below that, from KEY_SHIFT on, where it is recorded.
 */
struct look {
	u32 best;	/* what the shortest that is long enough has more than is wanted */
	u32 longest;
	u32 second;	/* longest of the others */
};

#define KEY_SHIFT	16
#define KEY_AT		((1U << KEY_SHIFT) - 1)

/* A run at @start, where @len blocks are wanted. One too short seems to have very much more. */
static void look_at(struct look *look, u32 start, u32 key, u32 len, u32 align)
{
	u32 skip = -start & (align - 1);

	look->best = min(look->best, key - ((len + skip) << KEY_SHIFT));
	look->second = max(look->second, min(look->longest, key));
	look->longest = max(look->longest, key);
}

/* Of up to 64 marks those that are free: four bits of each word, of the next one to their left. */
static u64 words_free(const u64 *words, u32 nr)
{
	u64 bits = 0;
	u32 i;

	BUILD_BUG_ON((HARUNS_FREE & 2) || !(HARUNS_LIVE & HARUNS_SPECIAL & 2));
	for (i = 0; i < nr; i++)
		bits |= (~words[i] >> 1 & LANES) << i;
	return bits;
}

static void words_look(struct look *look, const u16 *marks, u32 first, u64 bits, u32 len,
		       u32 align)
{
	for (; bits; bits &= bits - 1) {
		u32 bit = __ffs64(bits), lane = bit / LANE_BITS, at, start;

		if (IS_ENABLED(CONFIG_CPU_BIG_ENDIAN))
			lane = HARUNS_PER_WORD - 1 - lane;
		at = first + bit % LANE_BITS * HARUNS_PER_WORD + lane;
		start = mark_start(marks[at]);
		look_at(look, start, (mark_start(marks[at + 1]) - start) << KEY_SHIFT | at, len,
			align);
	}
}

static struct look look_through(const struct haruns *r, u32 len, u32 align)
{
	struct look look = { .best = U32_MAX };
	const u32 step = LANE_BITS * HARUNS_PER_WORD;
	struct haruns_run run;
	u32 i;

	if (r->cap == HARUNS_INLINE) {
		words_look(&look, r->own, 0, words_free(r->words, ARRAY_SIZE(r->words)), len,
			   align);
		return look;
	}
	if (!is_map(r)) {
		for (i = 0; i < r->nr; i += step)
			words_look(&look, r->marks, i,
				   words_free((u64 *)(r->marks + i),
					      min_t(u32, r->cap - i, step) / HARUNS_PER_WORD),
				   len, align);
		return look;
	}
	run = run_at(r, 0);
	do {
		if (run.state == HARUNS_FREE)
			look_at(&look, run.start, run.len << KEY_SHIFT | run.at, len, align);
	} while (haruns_next(r, &run));
	return look;
}

/* Give a part of a run, which is cut if need be, another state. */
static void cut(struct haruns *r, const struct haruns_run *old, u32 start, u32 len,
		enum haruns_state state)
{
	u32 before = start - old->start, behind = old->len - before - len;

	if (is_map(r))
		map_cut(r, start, len, behind, state, old->state);
	else
		marks_cut(r, old->at, before, behind, state);
}

/**
 * haruns_set - make an extent out of free blocks
 * @r: the runs, with room for two more (haruns_reserve())
 * @old: the free run that they lie in
 * @others: length of the longest of the other free runs
 * @start: first block
 * @len: number of blocks
 * @state: of the extent
 */
void haruns_set(struct haruns *r, const struct haruns_run *old, u32 others, u32 start, u32 len,
		enum haruns_state state)
{
	u32 before = start - old->start, behind = old->len - before - len;

	cut(r, old, start, len, state);
	r->nr_free -= len;
	r->max_free = max3(before, behind, others);
}

/**
 * haruns_clear - free an extent
 * @r: the runs
 * @run: the extent
 *
 * Merges it with the free runs beside it.
 */
void haruns_clear(struct haruns *r, const struct haruns_run *run)
{
	u32 len;

	if (is_map(r))
		len = map_free(r, run->start, run->start + run->len);
	else
		len = marks_free(r, run->at);
	r->nr_free += run->len;
	r->max_free = max_t(u32, r->max_free, len);
}

/**
 * haruns_add - what was not known here becomes free
 * @r: the runs, with room for two more
 * @start: first block
 * @len: number of blocks, all in one run that is SPECIAL
 */
void haruns_add(struct haruns *r, u32 start, u32 len)
{
	struct haruns_run run = haruns_at(r, start);

	/* as if it had been an extent */
	r->nr_known += len;
	cut(r, &run, start, len, HARUNS_LIVE);
	run = haruns_at(r, start);
	haruns_clear(r, &run);
}

/**
 * haruns_others - look at the other free runs
 * @r: the runs
 * @run: a free run
 *
 * Return: the length of the longest but @run.
 */
u32 haruns_others(const struct haruns *r, const struct haruns_run *run)
{
	struct look look;

	if (run->len < r->max_free)
		return r->max_free;
	look = look_through(r, 0, 1);
	return ((look.longest & KEY_AT) == run->at ? look.second : look.longest) >> KEY_SHIFT;
}

/**
 * haruns_best_fit - the smallest free run that an extent fits in
 * @r: the runs
 * @len: of the extent
 * @align: a power of two, at most the size of the slot
 * @best: out: the run
 * @others: out: length of the longest of the other free runs
 *
 * Return: whether there is one.
 */
bool haruns_best_fit(const struct haruns *r, u32 len, u32 align, struct haruns_run *best,
		     u32 *others)
{
	struct look look;

	if (len > r->max_free)
		return false;
	look = look_through(r, len, align);
	if (look.best >> KEY_SHIFT > r->nr_blocks)
		return false;
	*best = run_at(r, look.best & KEY_AT);
	*others = ((look.longest & KEY_AT) == best->at ? look.second : look.longest) >> KEY_SHIFT;
	return true;
}

/**
 * haruns_check - verify every invariant, naively
 * @r: the runs
 *
 * Return: whether all hold.
 */
bool haruns_check(const struct haruns *r)
{
	enum haruns_state last = HARUNS_LIVE;
	u32 nr = 0, pos = 0, nr_free = 0;
	struct haruns_run run = run_at(r, 0);
	u32 max_free = 0, i;

	for (i = r->nr; i < r->cap; i++)
		if (marks_in(r)[i] != mark_end(r))
			return false;
	if (!is_map(r) && r->nr >= r->cap)
		return false;
	do {
		if (run.start != pos || !run.len || !run.state ||
		    (run.state == HARUNS_FREE && last == HARUNS_FREE))
			return false;
		pos += run.len;
		nr++;
		last = run.state;
		if (run.state != HARUNS_FREE)
			continue;
		nr_free += run.len;
		max_free = max(max_free, run.len);
	} while (haruns_next(r, &run));
	return pos == r->nr_blocks && nr == r->nr && nr_free == r->nr_free &&
	       max_free == r->max_free;
}
