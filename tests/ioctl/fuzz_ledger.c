// SPDX-License-Identifier: GPL-2.0
/*
 * The ledger: what is allocated, as the fuzzer knows it, independent of the module
 *
 * A worker takes an extent's bits after the call that gave it, and gives them back before the
 * call that frees it. So bits that are already taken mean that two have the same space.
 *
 * When a call could not deliver its result, the extents that it was about are in limbo: bits
 * given back, and noted. In a moment of rest MAP tells what they are.
 */
#include <sys/mman.h>
#include "fuzz.h"

atomic_uint fuzz_removed[NR_SLOTS];
atomic_uint fuzz_detaching[NR_IDS], fuzz_detached[NR_IDS];

static struct inst *all;
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;

static size_t bits_len(u64 disk_len)
{
	return (disk_len / BLOCK / 64 + 1) * sizeof(u64);
}

struct inst *ledger_new(u32 slot, u32 id, const struct hybrid_alloc_info *info, u64 disk_len)
{
	struct inst *inst = calloc(1, sizeof(*inst));

	if (!inst)
		t_die("no memory for the ledger");
	inst->bits = fuzz_memory(bits_len(disk_len));
	inst->slot = slot;
	inst->id = id;
	inst->info = *info;
	inst->disk_len = disk_len;
	inst->disk_fd = -1;
	pthread_mutex_init(&inst->lock, NULL);
	pthread_mutex_lock(&all_lock);
	inst->next = all;
	all = inst;
	pthread_mutex_unlock(&all_lock);
	return inst;
}

static bool is_used(const struct inst *inst)
{
	u32 i, n;

	for (i = 0; i < NR_SLOTS; i++)
		if (atomic_load(&fuzz_slot[i]) == inst)
			return true;
	for (n = 0; n < NR_WORKERS; n++) {
		for (i = 0; i < NR_FILES; i++)
			if (fuzz_worker[n].file[i].inst == inst)
				return true;
		for (i = 0; i < fuzz_worker[n].nr_own; i++)
			if (fuzz_worker[n].own[i].inst == inst)
				return true;
	}
	return false;
}

/* While all rest: what is known of instances that are no more is forgotten. */
void ledger_sweep(void)
{
	struct inst **link = &all, *inst;

	while ((inst = *link)) {
		if (!atomic_load(&inst->dead) || is_used(inst)) {
			link = &inst->next;
			continue;
		}
		*link = inst->next;
		if (inst->disk_fd >= 0)
			close(inst->disk_fd);
		munmap(inst->bits, bits_len(inst->disk_len));
		free(inst->limbo);
		free(inst);
	}
}

/* Prints which workers have part of a range. They are at work, so it may have changed already. */
static void tell_who(const struct inst *inst, u64 start, u64 len)
{
	const struct own *own;
	u32 n, i;

	for (n = 0; n < NR_WORKERS; n++)
		for (i = 0; i < fuzz_worker[n].nr_own; i++) {
			own = &fuzz_worker[n].own[i];
			if (own->inst == inst && own->start < start + len &&
			    start < own->start + own->len)
				t_note("worker %u, at operation %u, has %llu bytes at %llu%s", n,
				       fuzz_worker[n].at, own->len, own->start,
				       own->file ? ", bound" : "");
		}
	t_note("slot %u, instance %u%s: %llu bytes from %llu on", inst->slot, inst->id,
	       atomic_load(&inst->dead) ? ", dead" :
	       ledger_may_be_dead(inst) ? ", perhaps dead" : "",
	       (u64)inst->info.range_len, (u64)inst->info.range_start);
}

/* An extent becomes longer by this, or is one of the parts of another one: no more are live. */
void ledger_take_part(struct worker *w, struct inst *inst, u64 start, u64 len)
{
	u64 from = start / BLOCK, to = (start + len) / BLOCK, i, mask;

	if (inst->slot == WILD)
		return;
	if (!len || start % BLOCK || len % BLOCK || start < inst->info.range_start ||
	    start > inst->disk_len || len > inst->disk_len - start) {
		fuzz_wrong(w, "an extent of %llu bytes at %llu", len, start);
		return;
	}
	for (i = from / 64; i <= (to - 1) / 64; i++) {
		mask = t_mask(i, from, to);
		if (atomic_fetch_or(&inst->bits[i], mask) & mask) {
			fuzz_wrong(w, "%llu bytes at %llu: some of them are another's", len, start);
			tell_who(inst, start, len);
			return;
		}
	}
	atomic_fetch_add(&inst->charged, len);
}

void ledger_take(struct worker *w, struct inst *inst, u64 start, u64 len)
{
	ledger_take_part(w, inst, start, len);
	if (inst->slot != WILD)
		atomic_fetch_add(&inst->live, 1);
}

/* A part of an extent is none any more: as many are live. */
void ledger_give_part(struct inst *inst, u64 start, u64 len)
{
	u64 from = start / BLOCK, to = (start + len) / BLOCK, i, mask;

	if (inst->slot == WILD)
		return;
	for (i = from / 64; i <= (to - 1) / 64; i++) {
		mask = t_mask(i, from, to);
		if ((atomic_fetch_and(&inst->bits[i], ~mask) & mask) != mask)
			fuzz_wrong(NULL, "the ledger has lost some of %llu bytes at %llu", len,
				   start);
	}
	atomic_fetch_sub(&inst->charged, len);
}

void ledger_give(struct inst *inst, u64 start, u64 len)
{
	ledger_give_part(inst, start, len);
	if (inst->slot != WILD)
		atomic_fetch_sub(&inst->live, 1);
}

bool ledger_has_none(const struct inst *inst, u64 start, u64 len)
{
	u64 from = start / BLOCK, to = (start + len) / BLOCK, i;

	for (i = from / 64; i <= (to - 1) / 64; i++)
		if (atomic_load(&inst->bits[i]) & t_mask(i, from, to))
			return false;
	return true;
}

void ledger_limbo_longer(struct inst *inst, u64 start, u64 len, u64 most, struct file *file)
{
	if (inst->slot == WILD)
		return;
	pthread_mutex_lock(&inst->lock);
	if (inst->nr_limbo == inst->max_limbo) {
		inst->max_limbo = 2 * inst->max_limbo + 64;
		inst->limbo = realloc(inst->limbo, inst->max_limbo * sizeof(*inst->limbo));
		if (!inst->limbo)
			t_die("no memory for the ledger");
	}
	inst->limbo[inst->nr_limbo++] = (struct limbo){ start, len, most, file };
	pthread_mutex_unlock(&inst->lock);
}

void ledger_limbo(struct inst *inst, u64 start, u64 len, struct file *file)
{
	ledger_limbo_longer(inst, start, len, len, file);
}

/* A file is to be closed: that ends what is bound to it. */
void ledger_closed(struct inst *inst, const struct file *file)
{
	u32 i;

	pthread_mutex_lock(&inst->lock);
	for (i = 0; i < inst->nr_limbo;)
		if (inst->limbo[i].file == file)
			inst->limbo[i] = inst->limbo[--inst->nr_limbo];
		else
			i++;
	pthread_mutex_unlock(&inst->lock);
}

/* Was its disk removed, or is it being? */
bool ledger_is_gone(const struct inst *inst)
{
	return inst->removed % 2 || atomic_load(&fuzz_removed[inst->slot]) != inst->removed;
}

/* May a call say ENODEV? Only after somebody began to remove the disk, or to detach. */
bool ledger_may_be_dead(const struct inst *inst)
{
	return ledger_is_gone(inst) || inst->id >= NR_IDS ||
	       atomic_load(&fuzz_detaching[inst->id]) ||
	       atomic_load(&fuzz_detached[inst->id]) != inst->seen;
}

static int by_start(const void *a, const void *b)
{
	u64 x = (*(const struct own * const *)a)->start;
	u64 y = (*(const struct own * const *)b)->start;

	return x < y ? -1 : x > y;
}

/* Frees an extent that calls have left in limbo. Was it? */
static bool end_limbo(const struct inst *inst, int fd, const struct hybrid_alloc_map_entry *e)
{
	const struct limbo *l;

	for (l = inst->limbo; l < inst->limbo + inst->nr_limbo; l++)
		if (l->start == e->start && l->len <= e->len && e->len <= l->most &&
		    !ha_free(l->file ? l->file->fd : fd, e->start, e->len, NULL))
			return true;
	return false;
}

/* While all rest: what the files of an instance have reserved. False: that is not known. */
static bool sum_reserved(const struct inst *inst, u64 *sum)
{
	const struct file *f;
	u32 n, i;

	*sum = 0;
	for (n = 0; n < NR_WORKERS; n++)
		for (i = 0; i < NR_FILES; i++) {
			f = &fuzz_worker[n].file[i];
			if (f->inst == inst && f->unsure)
				return false;
			*sum += f->inst == inst ? f->reserved : 0;
		}
	return true;
}

/*
 * While all rest: MAP and STAT say what the ledger says. What was in limbo and is live is freed.
 */
void ledger_compare(struct inst *inst, int fd)
{
	static const struct own *own[NR_WORKERS * NR_OWN];
	static struct t_map map;
	u64 charged = 0, live = 0, bound = 0, reserved;
	struct hybrid_alloc_stat st;
	u32 nr = 0, at = 0, n, i;

	for (n = 0; n < NR_WORKERS; n++)
		for (i = 0; i < fuzz_worker[n].nr_own; i++)
			if (fuzz_worker[n].own[i].inst == inst)
				own[nr++] = &fuzz_worker[n].own[i];
	qsort(own, nr, sizeof(*own), by_start);
	t_read_map(fd, &map);
	for (i = 0; i < map.nr; i++) {
		const struct hybrid_alloc_map_entry *e = &map.e[i];

		if (e->state == HYBRID_ALLOC_MAP_HELD)
			fuzz_wrong(NULL, "%llu bytes at %llu are held while all rest", (u64)e->len,
				   (u64)e->start);
		if (e->state != HYBRID_ALLOC_MAP_LIVE)
			continue;
		if (inst->slot == WILD) {
			charged += e->len;
			live++;
		} else if (at < nr && own[at]->start == e->start && own[at]->len == e->len) {
			charged += e->len;
			live++;
			bound += !!own[at]->file;
			at++;
		} else if (end_limbo(inst, fd, e)) {
			atomic_fetch_add(&fuzz_events[E_LIMBO], 1);
		} else {
			fuzz_wrong(NULL, "slot %u: nobody has the %llu bytes at %llu",
				   inst->slot, (u64)e->len, (u64)e->start);
		}
	}
	if (inst->slot != WILD && at < nr)
		fuzz_wrong(NULL, "slot %u: %llu bytes at %llu are not live", inst->slot,
			   own[at]->len, own[at]->start);
	inst->nr_limbo = 0;
	/* what is idle may be on its way from a pool to the slabs */
	for (i = 0; i < 100; i++, usleep(10000)) {
		st = ha_stat(fd, 0);
		if (st.capacity == st.charged + st.cached + st.free + st.unusable &&
		    (inst->slot == WILD || st.nr_bound == bound))
			break;
	}
	if (i == 100) {
		t_identity(&st, "at rest");
		fuzz_wrong(NULL, "slot %u: the accounting is wrong, or %llu bound, should be %llu",
			   inst->slot, (u64)st.nr_bound, bound);
	}
	if (st.charged != charged || st.nr_live != live)
		fuzz_wrong(NULL, "slot %u: STAT: %llu bytes, %llu live, should be %llu, %llu",
			   inst->slot, (u64)st.charged, (u64)st.nr_live, charged, live);
	if (sum_reserved(inst, &reserved) ? st.reserved != reserved :
					    st.reserved > st.free + st.cached)
		fuzz_wrong(NULL, "slot %u: STAT: %llu bytes are reserved, should be %llu",
			   inst->slot, (u64)st.reserved, reserved);
	if (inst->slot != WILD && (atomic_load(&inst->charged) != charged ||
				   atomic_load(&inst->live) != live))
		fuzz_wrong(NULL, "slot %u: the ledger itself is wrong", inst->slot);
}
