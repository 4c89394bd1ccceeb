// SPDX-License-Identifier: GPL-2.0
#include <sys/mman.h>

#include "marks.h"

#define WORD_BITS	64

static u64 bytes_of(const struct marks *m)
{
	return (m->nr_blocks / WORD_BITS + 1) * sizeof(u64);
}

/* Pages that are never touched take no memory. */
bool marks_init(struct marks *m, u64 nr_blocks)
{
	m->nr_blocks = nr_blocks;
	m->bits = mmap(NULL, bytes_of(m), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return m->bits != MAP_FAILED;
}

void marks_destroy(struct marks *m)
{
	munmap(m->bits, bytes_of(m));
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

bool marks_set(struct marks *m, u64 start, u64 len)
{
	u64 w, end = start + len;

	if (!len || start >= m->nr_blocks || len > m->nr_blocks - start)
		return false;
	for (w = start / WORD_BITS; w <= (end - 1) / WORD_BITS; w++) {
		u64 mask = mask_of(w, start, end);

		if (__atomic_fetch_or(&m->bits[w], mask, __ATOMIC_RELAXED) & mask)
			return false;
	}
	return true;
}

bool marks_clear(struct marks *m, u64 start, u64 len)
{
	u64 w, end = start + len;

	for (w = start / WORD_BITS; w <= (end - 1) / WORD_BITS; w++) {
		u64 mask = mask_of(w, start, end);

		if (~__atomic_fetch_and(&m->bits[w], ~mask, __ATOMIC_RELAXED) & mask)
			return false;
	}
	return true;
}
