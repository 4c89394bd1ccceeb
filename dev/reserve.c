// SPDX-License-Identifier: GPL-2.0
/*
 * What an open file has reserved: bytes without a place (pool/reserve.c)
 *
 * A file has one reservation. It is opened by the first RESERVE, which waits for calls in flight if
 * no other reservation is open on the instance, and closed with the file. All descriptors of the
 * open file share it.
 *
 * ha_file.reserve_lock (mutex, killable) makes one RESERVE at a time open it. Memory may be waited
 * for under it in any way, as only RESERVE takes it.
 */
#include "dev/internal.h"

/* Whether it is open; then it stays so. */
static bool ha_file_reserves(struct ha_file *f)
{
	/* pairs with smp_store_release() in ha_file_open_reservation() */
	return smp_load_acquire(&f->reserves);
}

static int ha_file_open_reservation(struct ha_file *f)
{
	int ret = 0;

	if (ha_file_reserves(f))
		return 0;
	if (mutex_lock_killable(&f->reserve_lock))
		return -EINTR;
	if (!f->reserves) {
		ret = hybrid_alloc_reservation_open(f->dev->ha, &f->reservation);
		if (!ret)
			/* pairs with smp_load_acquire() in ha_file_reserves() */
			smp_store_release(&f->reserves, true);
	}
	mutex_unlock(&f->reserve_lock);
	return ret;
}

/**
 * ha_file_reserve - reserve bytes for a file
 * @f: the file
 * @len: as of hybrid_alloc_reserve()
 *
 * Context: Process context, may sleep, with a reference on the instance's calls.
 * Return: As hybrid_alloc_reserve(), or ENOMEM.
 */
int ha_file_reserve(struct ha_file *f, u64 len)
{
	int ret = ha_file_open_reservation(f);

	return ret ?: hybrid_alloc_reserve(&f->reservation, len, GFP_KERNEL);
}

/**
 * ha_file_unreserve - give back bytes that a file has reserved
 * @f: the file
 * @len: as of hybrid_alloc_unreserve()
 *
 * Context: Process context, with a reference on the instance's calls.
 * Return: 0, or EINVAL it has reserved less.
 */
int ha_file_unreserve(struct ha_file *f, u64 len)
{
	if (!ha_file_reserves(f))
		return len ? -EINVAL : 0;
	return hybrid_alloc_unreserve(&f->reservation, len);
}

/**
 * ha_file_reserved - what a file has reserved
 * @f: the file
 *
 * Return: bytes.
 */
u64 ha_file_reserved(struct ha_file *f)
{
	return ha_file_reserves(f) ? hybrid_alloc_reserved(&f->reservation) : 0;
}

/**
 * ha_file_alloc_reserved - allocate against what a file has reserved
 * @f: the file
 * @min: as of hybrid_alloc_alloc_upto_reserved()
 * @len: the most that is asked for
 * @align: likewise
 * @goal: likewise
 * @range: out: the extent
 *
 * Context: Process context, may sleep, with a reference on the instance's calls.
 * Return: As hybrid_alloc_alloc_upto_reserved().
 */
int ha_file_alloc_reserved(struct ha_file *f, u64 min, u64 len, u64 align, u64 goal,
			   struct hybrid_alloc_range *range)
{
	if (!ha_file_reserves(f))
		return -EINVAL;
	return hybrid_alloc_alloc_upto_reserved(&f->reservation, min, len, align, goal, GFP_KERNEL,
						range);
}

/**
 * ha_file_unalloc - undo ha_file_alloc_reserved()
 * @f: the file
 * @start: of the extent
 * @len: of the extent
 *
 * Context: Process context, with a reference on the instance's calls.
 */
void ha_file_unalloc(struct ha_file *f, u64 start, u64 len)
{
	const struct hybrid_alloc_range range = { .start = start, .len = len };

	ha_unalloc(&f->reservation, &range);
}

/**
 * ha_file_release_reservation - give back what a file has reserved
 * @f: the file, at its last close
 *
 * If the instance is detached, nothing is left of it. Context: Process context. Needs no memory.
 */
void ha_file_release_reservation(struct ha_file *f)
{
	struct ha_dev *dev = f->dev;

	if (!f->reserves || !percpu_ref_tryget_live(&dev->calls))
		return;
	hybrid_alloc_reservation_close(&f->reservation);
	percpu_ref_put(&dev->calls);
}
