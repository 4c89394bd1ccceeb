// SPDX-License-Identifier: GPL-2.0
/*
 * A bitmap, and per chunk of it the free runs in short: how long the one at
 * its start, the longest, and the one at its end are, brought up to date only
 * when asked. So a question about the whole device costs as much as there are
 * chunks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ledger.h"

#define CHUNK_BITS	(1UL << 15)
#define WORD_BITS	64

struct chunk {
	u32 leading, longest, trailing;	/* free blocks */
	u32 nr;				/* free runs */
	bool known;
};

struct ledger {
	u64 nr_blocks;
	u64 used;
	u64 nr_chunks;
	u64 *bits;		/* 1: taken */
	struct chunk *chunks;
	char message[120];
};

static void *zeroes(u64 bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED) {
		perror("ledger");
		exit(2);
	}
	return p;
}

struct ledger *ledger_new(u64 nr_blocks)
{
	struct ledger *l = calloc(1, sizeof(*l));

	l->nr_blocks = nr_blocks;
	l->nr_chunks = nr_blocks / CHUNK_BITS + 1;
	l->bits = zeroes(l->nr_chunks * CHUNK_BITS / 8);
	l->chunks = zeroes(l->nr_chunks * sizeof(*l->chunks));
	return l;
}

void ledger_free(struct ledger *l)
{
	munmap(l->bits, l->nr_chunks * CHUNK_BITS / 8);
	munmap(l->chunks, l->nr_chunks * sizeof(*l->chunks));
	free(l);
}

/* The bits of word @w that lie in [start, end). */
static u64 mask_of(u64 w, u64 start, u64 end)
{
	u64 mask = ~0ULL, first = w * WORD_BITS;

	if (start > first)
		mask &= ~0ULL << (start - first);
	if (end < first + WORD_BITS)
		mask &= (1ULL << (end - first)) - 1;
	return mask;
}

static void forget(struct ledger *l, u64 start, u64 end)
{
	u64 c;

	for (c = start / CHUNK_BITS; c <= (end - 1) / CHUNK_BITS; c++)
		l->chunks[c].known = false;
}

const char *ledger_take(struct ledger *l, u64 start, u64 len, u64 align)
{
	u64 w, end = start + len;

	if (!len || start >= l->nr_blocks || len > l->nr_blocks - start) {
		snprintf(l->message, sizeof(l->message),
			 "block %llu, length %llu: not on the device",
			 start, len);
		return l->message;
	}
	if (align > 1 && start % align) {
		snprintf(l->message, sizeof(l->message), "block %llu: not aligned to %llu",
			 start, align);
		return l->message;
	}
	for (w = start / WORD_BITS; w <= (end - 1) / WORD_BITS; w++) {
		u64 mask = mask_of(w, start, end);

		if (l->bits[w] & mask) {
			snprintf(l->message, sizeof(l->message),
				 "block %llu, length %llu: handed out twice",
				 start, len);
			return l->message;
		}
		l->bits[w] |= mask;
	}
	l->used += len;
	forget(l, start, end);
	return NULL;
}

const char *ledger_give(struct ledger *l, u64 start, u64 len)
{
	u64 w, end = start + len;

	for (w = start / WORD_BITS; w <= (end - 1) / WORD_BITS; w++) {
		u64 mask = mask_of(w, start, end);

		if ((l->bits[w] & mask) != mask) {
			snprintf(l->message, sizeof(l->message),
				 "block %llu, length %llu: was not taken",
				 start, len);
			return l->message;
		}
		l->bits[w] &= ~mask;
	}
	l->used -= len;
	forget(l, start, end);
	return NULL;
}

u64 ledger_used(const struct ledger *l)
{
	return l->used;
}

/* The first bit at or behind @i that is @value; @end if none is before that. */
static u64 next_bit(const struct ledger *l, u64 i, u64 end, bool value)
{
	while (i < end) {
		u64 w = l->bits[i / WORD_BITS];

		w = (value ? w : ~w) >> (i % WORD_BITS);
		if (w) {
			i += __builtin_ctzll(w);
			return i < end ? i : end;
		}
		i = (i / WORD_BITS + 1) * WORD_BITS;
	}
	return end;
}

static u64 chunk_end(const struct ledger *l, u64 c)
{
	u64 end = (c + 1) * CHUNK_BITS;

	return end < l->nr_blocks ? end : l->nr_blocks;
}

static const struct chunk *chunk_of(struct ledger *l, u64 c)
{
	u64 from = c * CHUNK_BITS, end = chunk_end(l, c), pos = from;
	struct chunk *chunk = &l->chunks[c];

	if (chunk->known)
		return chunk;
	memset(chunk, 0, sizeof(*chunk));
	chunk->known = true;
	while (pos < end) {
		u64 start = next_bit(l, pos, end, false);

		if (start == end)
			break;
		pos = next_bit(l, start, end, true);
		chunk->nr++;
		if (start == from)
			chunk->leading = pos - start;
		if (pos == end)
			chunk->trailing = pos - start;
		if (pos - start > chunk->longest)
			chunk->longest = pos - start;
	}
	return chunk;
}

bool ledger_is_free(struct ledger *l, u64 start, u64 len)
{
	return start < l->nr_blocks && len <= l->nr_blocks - start &&
	       next_bit(l, start, start + len, true) == start + len;
}

void ledger_runs(struct ledger *l, u64 *nr, u64 *largest)
{
	u64 c, carry = 0;

	*nr = 0;
	*largest = 0;
	for (c = 0; c < l->nr_chunks && c * CHUNK_BITS < l->nr_blocks; c++) {
		const struct chunk *chunk = chunk_of(l, c);
		u64 size = chunk_end(l, c) - c * CHUNK_BITS;

		*nr += chunk->nr - (carry && chunk->leading);
		if (carry + chunk->leading > *largest)
			*largest = carry + chunk->leading;
		if (chunk->longest > *largest)
			*largest = chunk->longest;
		carry = chunk->trailing == size ? carry + size : chunk->trailing;
	}
}

/* Whether an aligned extent fits into the free run [start, end). */
static bool run_fits(u64 start, u64 end, u64 len, u64 align)
{
	u64 skip = (align - start % align) % align;

	return end - start >= skip && end - start - skip >= len;
}

bool ledger_fits(struct ledger *l, u64 len, u64 align)
{
	u64 c, run = 0;		/* start of the run that reaches the chunk */

	for (c = 0; c < l->nr_chunks && c * CHUNK_BITS < l->nr_blocks; c++) {
		const struct chunk *chunk = chunk_of(l, c);
		u64 from = c * CHUNK_BITS, end = chunk_end(l, c), pos;

		if (run_fits(run, from + chunk->leading, len, align))
			return true;
		if (chunk->leading == end - from)
			continue;
		if (chunk->longest >= len) {
			for (pos = from; (pos = next_bit(l, pos, end, false)) < end;) {
				u64 start = pos;

				pos = next_bit(l, pos, end, true);
				if (run_fits(start, pos, len, align))
					return true;
			}
		}
		run = end - chunk->trailing;
	}
	return false;
}
