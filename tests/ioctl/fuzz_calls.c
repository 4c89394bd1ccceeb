// SPDX-License-Identifier: GPL-2.0
/*
 * The operations of a program
 *
 * Most are a call, which is made as it should be, or (op.how) with a failing allocation or
 * copy, in memory that turns read-only or vanishes, or with a structure that must be refused.
 * Each answer is judged: exactly if it is known what it has to be, else by what the header
 * documents for the call.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <linux/fs.h>
#include "fuzz.h"

#define BOUND	HYBRID_ALLOC_ALLOC_BOUND
#define RESERVED	HYBRID_ALLOC_ALLOC_RESERVED
#define ANY	(-1)		/* any answer that the header documents */
#define MAX_ITEMS_USED	24

const char * const fuzz_kind_names[NR_KINDS] = {
	"ATTACH", "DETACH", "INFO", "ALLOC", "FREE", "CLAIM", "SEAL", "DRAIN", "STAT",
	"ALLOC_BATCH", "FREE_BATCH", "CHECK", "MAP", "ALLOC_MANY", "TRIM", "GROW", "CLAIM_BATCH",
	"WATCH", "poll", "open", "close", "read a file of sysfs or debugfs", "unknown ioctl",
	"fork", "kill", "pass a file on", "data", "FREE_PART", "SPLIT", "EXTEND", "KEEP",
	"RESERVE", "UNRESERVE",
};

/* of a kind */
#define WRITES	1		/* needs a file that is open for writing */
#define EPOCH	2		/* its third field is one */
#define ARRAY	4
#define READS	8		/* the array is read */
#define SEALED	16		/* not before SEAL */

static const struct {
	unsigned long cmd;
	size_t size, item_size;
	u32 is;
	u32 reserved;		/* offset of a field that must be 0 */
	int may[6];		/* errnos that may be the answer to a proper call */
} kinds[] = {
#define K(name, s)	.cmd = HYBRID_ALLOC_IOC_##name, .size = sizeof(struct hybrid_alloc_##s)
#define R(s, f)		.reserved = offsetof(struct hybrid_alloc_##s, f)
	[K_ATTACH] = { K(ATTACH, attach), 0, 0, 0,
		       { EBUSY, EEXIST, EINVAL, ERANGE, ENODEV, EIO } },
	[K_DETACH] = { K(DETACH, detach), 0, 0, R(detach, __reserved), { EBUSY, ENODEV } },
	[K_INFO] = { K(INFO, info), 0, 0, 0, { ENODEV } },
	[K_ALLOC] = { K(ALLOC, alloc), 0, WRITES | EPOCH | SEALED, R(alloc, extent.cookie),
		      { ENOSPC, EFBIG } },
	[K_FREE] = { K(FREE, free), 0, WRITES | EPOCH, R(free, __reserved),
		     { ENOENT, EINVAL, ERANGE, EPERM } },	/* on the wild slot */
	[K_CLAIM] = { K(CLAIM, claim), 0, WRITES | EPOCH, R(claim, extent.domain),
		      { EEXIST, ENOSPC } },
	[K_SEAL] = { K(SEAL, op), 0, WRITES | EPOCH, 0, {} },
	[K_DRAIN] = { K(DRAIN, op), 0, WRITES | EPOCH, 0, {} },
	[K_STAT] = { K(STAT, stat), 0, EPOCH, 0, {} },
	[K_ALLOC_BATCH] = { K(ALLOC_BATCH, batch), sizeof(struct hybrid_alloc_alloc_item),
			    WRITES | EPOCH | ARRAY | READS | SEALED, 0, {} },
	[K_FREE_BATCH] = { K(FREE_BATCH, batch), sizeof(struct hybrid_alloc_free_item),
			   WRITES | EPOCH | ARRAY | READS, 0, {} },
	[K_CHECK] = { K(CHECK, op), 0, EPOCH, 0, { EAGAIN } },
	[K_MAP] = { K(MAP, map), sizeof(struct hybrid_alloc_map_entry), EPOCH | ARRAY,
		    R(map, __reserved), {} },
	[K_ALLOC_MANY] = { K(ALLOC_MANY, many), sizeof(struct hybrid_alloc_extent),
			   WRITES | EPOCH | ARRAY | SEALED, R(many, __reserved),
			   { ENOSPC, EFBIG } },
	[K_TRIM] = { K(TRIM, trim), 0, WRITES | EPOCH | SEALED, 0, { EOPNOTSUPP, ERANGE, EINVAL } },
	[K_GROW] = { K(GROW, grow), 0, WRITES | EPOCH, 0, { EINVAL, ERANGE } },
	[K_CLAIM_BATCH] = { K(CLAIM_BATCH, batch), sizeof(struct hybrid_alloc_free_item),
			    WRITES | EPOCH | ARRAY | READS, 0, {} },
	[K_WATCH] = { K(WATCH, watch), 0, EPOCH, 0, {} },
	[K_FREE_PART] = { K(FREE, free), 0, WRITES | EPOCH, R(free, __reserved),
			  { ENOENT, EINVAL, ERANGE, EPERM } },	/* on the wild slot */
	[K_SPLIT] = { K(SPLIT, batch), sizeof(struct hybrid_alloc_split_item),
		      WRITES | EPOCH | ARRAY | READS, 0, {} },
	[K_EXTEND] = { K(EXTEND, batch), sizeof(struct hybrid_alloc_extend_item),
		       WRITES | EPOCH | ARRAY | READS | SEALED, 0, {} },
	[K_KEEP] = { K(KEEP, batch), sizeof(struct hybrid_alloc_free_item),
		     WRITES | EPOCH | ARRAY | READS, 0, {} },
	[K_RESERVE] = { K(RESERVE, reserve), 0, WRITES | EPOCH | SEALED, 0, { ENOSPC } },
	[K_UNRESERVE] = { K(UNRESERVE, reserve), 0, WRITES | EPOCH, 0, { EINVAL } },
#undef K
#undef R
};

enum how { PLAIN, FAULT, FLIP, MUTATE };

static const enum how hows[8] = { PLAIN, PLAIN, PLAIN, FAULT, FAULT, FLIP, MUTATE, MUTATE };

/**
 * struct call - a call in the making
 * @inst: the instance; NULL: the control node
 * @head: its structure
 * @items: its array
 * @seen: where the call sees @head
 * @stride: size of an item
 * @want: what it has to return, unless the instance is not there any more; or ANY
 * @shaky: it may have got ENOMEM or EFAULT, and its effect is not known then
 */
struct call {
	struct worker *w;
	const struct op *op;
	enum op_kind kind;
	enum how how;
	struct inst *inst;
	int fd;
	bool read_only;
	uint8_t *head, *items, *seen;
	size_t stride;
	int want;
	bool shaky;
};

static void count(struct worker *w, enum op_kind kind, int err)
{
	w->count[kind][err < NR_ERRNOS ? err : NR_ERRNOS - 1]++;
	atomic_fetch_add(&fuzz_calls, 1);
}

static void *begin(struct call *c, struct worker *w, const struct op *op, enum op_kind kind,
		   const struct file *f)
{
	bool flip;

	*c = (struct call){ .w = w, .op = op, .kind = kind, .how = hows[op->how % 8], .want = ANY };
	flip = c->how == FLIP && w->flip;
	c->head = flip ? w->flip_same : w->area;
	c->seen = flip ? w->flip : w->area;
	c->items = c->head + AREA_ITEMS;
	memset(c->head, 0, kinds[kind].size + 16);
	*(u32 *)c->head = kinds[kind].size;
	c->fd = -1;
	if (f) {
		c->inst = f->inst;
		c->fd = f->fd;
		c->read_only = f->read_only;
	}
	if (kinds[kind].is & ARRAY) {
		struct hybrid_alloc_batch *b = (void *)c->head;

		c->stride = kinds[kind].item_size + (op->how & 8);
		b->items = (uintptr_t)c->seen + AREA_ITEMS;
		b->item_size = c->stride;
	}
	if (c->inst && op->how & 16 && kinds[kind].is & EPOCH)
		*(u64 *)(c->head + 8) = c->inst->info.epoch;
	return c->head;
}

static void *item(const struct call *c, u32 i)
{
	return c->items + i * c->stride;
}

/* Makes the call one that must be refused, and says with what; 0: it remains a proper one. */
static int mutate(struct call *c, unsigned long *cmd, void **arg)
{
	struct hybrid_alloc_batch *b = (void *)c->head;
	bool array = kinds[c->kind].is & ARRAY;
	u32 y = c->op->y;
	int want = EINVAL;

	switch (y % (array ? 15 : 9)) {
	case 0:
		b->size = y >> 4;
		break;
	case 1:
		b->size += 8;
		want = 0;
		break;
	case 2:
		c->head[b->size] = 1;
		b->size += 8;
		want = E2BIG;
		break;
	case 3:
		b->size = 8192;
		want = E2BIG;
		break;
	case 4:
		b->flags |= 1U << (8 + c->op->a % 24);
		break;
	case 5:
		want = 0;
		if (!(kinds[c->kind].is & EPOCH))
			break;
		b->epoch = c->inst->info.epoch + 1 ?: 1;
		c->w->events[E_OLD_EPOCH]++;
		want = c->read_only && kinds[c->kind].is & WRITES ? EBADF : ESTALE;
		break;
	case 6:
		*arg = y & 16 ? NULL : (void *)-4096L;
		want = EFAULT;
		break;
	case 7:
		*cmd += y & 16 ? 0x40 : 1 << 16;
		want = ENOTTY;
		break;
	case 8:
		if (kinds[c->kind].reserved)
			c->head[kinds[c->kind].reserved] = 1;
		else
			want = 0;
		break;
	case 9:
		b->nr = 0;
		break;
	case 10:
		b->nr = HYBRID_ALLOC_MAX_ITEMS + 1;
		break;
	case 11:
		b->item_size -= y & 16 ? 4 : 16;
		break;
	case 12:
		b->items = y & 16 ? 1ULL << 63 : 8;
		want = EFAULT;
		break;
	case 13:
		b->item_size = 8192;
		want = E2BIG;
		break;
	default:
		want = 0;
		if (!(kinds[c->kind].is & READS) || c->stride == kinds[c->kind].item_size)
			break;
		c->items[kinds[c->kind].item_size] = 1;
		want = E2BIG;
	}
	return want;
}

static void set_nth(struct worker *w, u32 n)
{
	char buf[16];
	int len = snprintf(buf, sizeof(buf), "%u", n);

	/* a fault that is still due may hit the first try */
	if (pwrite(w->nth_fd, buf, len, 0) != len)
		pwrite(w->nth_fd, buf, len, 0);
}

/* Was the fault delivered? That to read it fails means that it was still due. */
static bool delivered(struct worker *w)
{
	char buf[16] = {};
	bool done = pread(w->nth_fd, buf, sizeof(buf) - 1, 0) > 0 && !atoi(buf);

	if (!done)
		set_nth(w, 0);
	return done;
}

/* The memory begins to come and go. How soon after is drawn by @n. */
static void wait_for_flips(struct worker *w, u32 n)
{
	u32 from = atomic_load(&w->flips);

	atomic_store(&w->flipping, true);
	while (atomic_load(&w->flips) - from <= n % 4)
		sched_yield();
}

static void mark_dead(struct inst *inst)
{
	struct inst *expected = inst;

	atomic_store(&inst->dead, true);
	atomic_compare_exchange_strong(&fuzz_slot[inst->slot], &expected, NULL);
}

/* A call through a file said ENODEV. */
static void found_dead(struct worker *w, struct inst *inst, const char *what)
{
	if (!ledger_may_be_dead(inst))
		fuzz_wrong(w, "%s: ENODEV, but nobody has detached slot %u", what, inst->slot);
	w->events[E_REMOVED] += ledger_is_gone(inst);
	mark_dead(inst);
}

static void judge(struct call *c, int err)
{
	struct worker *w = c->w;
	size_t i;

	if (c->shaky && (err == EFAULT || err == ENOMEM)) {
		w->events[c->how == FLIP ? E_FLIP : err == ENOMEM ? E_FAULT_NOMEM : E_FAULT_COPY]++;
		if (c->inst && err == ENOMEM && (c->kind == K_FREE || c->kind == K_FREE_BATCH))
			fuzz_wrong(w, "a free asks for memory");
		return;
	}
	if (c->inst && err == ENODEV) {
		found_dead(w, c->inst, fuzz_kind_names[c->kind]);
		return;
	}
	if (c->inst && err == EAGAIN && c->inst->was_sealed && kinds[c->kind].is & SEALED) {
		w->events[E_SEALED]++;
		return;
	}
	if (c->want != ANY ? err == c->want : !err)
		return;
	if (err == EIO && c->kind == K_TRIM && ledger_is_gone(c->inst))
		return;
	/* what is taken may be more than what is not reserved as well */
	if (err == ENOSPC && c->kind == K_CLAIM && c->want == EEXIST)
		return;
	if (c->want == ANY)
		for (i = 0; i < ARRAY_SIZE(kinds[0].may) && kinds[c->kind].may[i]; i++)
			if (kinds[c->kind].may[i] == err)
				return;
	fuzz_wrong(w, "%s%s: %s, should be %s", fuzz_kind_names[c->kind],
		   c->shaky ? ", disturbed" : c->how == MUTATE ? ", malformed" : "",
		   t_strerror(err), c->want == ANY ? "success, or what it documents" :
		   t_strerror(c->want));
}

/* Makes the call. Whether its structure has results is for the caller to see by the errno. */
static int finish(struct call *c)
{
	unsigned long cmd = kinds[c->kind].cmd;
	struct worker *w = c->w;
	void *arg = c->seen;
	int err, refused = 0;

	if (c->read_only && kinds[c->kind].is & WRITES)
		c->want = EBADF;
	if (c->how == MUTATE) {
		refused = mutate(c, &cmd, &arg);
		if (refused)
			c->want = refused;
	}
	if (c->how == FAULT && w->nth_fd >= 0)
		set_nth(w, 1 + c->op->y % 24);
	if (c->how == FLIP)
		wait_for_flips(w, c->op->b);
	err = ioctl(c->fd, cmd, arg) < 0 ? errno : 0;
	if (c->how == FAULT && w->nth_fd >= 0)
		c->shaky = delivered(w);
	if (c->how == FLIP) {
		atomic_store(&w->flipping, false);
		c->shaky = true;
	}
	count(w, c->kind, err);
	judge(c, err);
	if (refused && err == refused)
		w->events[E_MUTATED]++;
	if (err == EBADF && c->read_only)
		w->events[E_READ_ONLY]++;
	return err;
}

/* ---- files ---- */

static void drop(struct worker *w, u32 i)
{
	w->own[i] = w->own[--w->nr_own];
}

void fuzz_close(struct worker *w, struct file *f)
{
	u32 i;

	if (!f->inst)
		return;
	for (i = 0; i < w->nr_own;) {
		if (w->own[i].file != f) {
			i++;
			continue;
		}
		ledger_give(f->inst, w->own[i].start, w->own[i].len);
		drop(w, i);
	}
	ledger_closed(f->inst, f);
	count(w, K_CLOSE, close(f->fd) ? errno : 0);
	*f = (struct file){};
}

void fuzz_forget_dead(struct worker *w)
{
	u32 i;

	/* calls that began before the detach go on, and may get what a close has freed */
	for (i = 0; i < NR_FILES; i++)
		if (w->file[i].inst && atomic_load(&w->file[i].inst->dead))
			fuzz_close(w, &w->file[i]);
	for (i = 0; i < w->nr_own;)
		if (atomic_load(&w->own[i].inst->dead))
			drop(w, i);
		else
			i++;
}

/* Opens the node of @inst and makes sure that it is its. */
static int open_inst(struct worker *w, struct inst *inst, int flags)
{
	struct hybrid_alloc_info info;
	int fd = ha_open(inst->id, flags);

	count(w, K_OPEN, fd < 0 ? errno : 0);
	if (fd >= 0 && !ha_info(fd, 0, 0, &info) && info.epoch == inst->info.epoch)
		return fd;
	if (!ledger_may_be_dead(inst))
		fuzz_wrong(w, "slot %u cannot be opened: %s", inst->slot, t_strerror(errno));
	mark_dead(inst);
	if (fd >= 0)
		close(fd);
	return -1;
}

static struct file *get_file(struct worker *w, const struct op *op)
{
	struct file *f = &w->file[op->x % NR_FILES];
	struct inst *inst = atomic_load(&fuzz_slot[(op->x >> 3) % NR_SLOTS]);

	if (f->inst && atomic_load(&f->inst->dead))
		fuzz_forget_dead(w);
	if (f->inst)
		return f;
	if (!inst || atomic_load(&inst->dead))
		return NULL;
	f->read_only = f == &w->file[NR_FILES - 1];
	f->fd = open_inst(w, inst, f->read_only ? O_RDONLY : O_RDWR);
	if (f->fd < 0)
		return NULL;
	f->inst = inst;
	return f;
}

/* ---- what an operation is about ---- */

static u64 round_up(u64 x, u64 to)
{
	return (x + to - 1) / to * to;
}

static u64 length_of(const struct inst *inst, uint16_t a)
{
	u64 block = inst->info.min_block, n = a >> 4;

	switch (a % 16) {
	case 0: case 1: case 2: case 3:
		return block << n % 11;
	case 4: case 5: case 6:
		return (1 + n % 16) * block;
	case 7: case 8: case 9:
		return 1 + n * 75;
	case 10: case 11:
		return 1 + n * 513;
	case 12:
		return (1 + n % 8) * MIB;
	case 13:
		return inst->info.range_len / (2 + n % 64);
	case 14:
		return n % 8 ? block : inst->info.range_len * (1 + n % 3);
	default:
		return n % 8 ? 1 + n : 0;
	}
}

static u64 align_of(const struct inst *inst, uint16_t b)
{
	if (b % 8)
		return 0;
	/* the stripe of a RAID */
	if (b % 64 == 40)
		return (3 + b / 64 % 100) * inst->info.min_block;
	return b % 512 == 256 ? 3 : 1ULL << (b >> 3) % 26;
}

static u64 place_of(const struct inst *inst, const struct op *op)
{
	u64 block = inst->info.min_block;
	u64 at = ((u64)op->a << 16 | op->b) * 0x9e3779b97f4a7c15ULL >> 20;

	/* mostly where others are, too */
	if (op->y % 4)
		at %= 4096;
	return inst->info.range_start + at % (inst->info.range_len / block) * block;
}

static bool overlaps_own(const struct worker *w, const struct inst *inst, u64 start, u64 len)
{
	u32 i;

	for (i = 0; i < w->nr_own; i++)
		if (w->own[i].inst == inst && w->own[i].start < start + len &&
		    start < w->own[i].start + w->own[i].len)
			return true;
	return false;
}

/* One of the worker's extents, at or after the one that the operation chose. */
static struct own *pick(struct worker *w, const struct inst *inst, uint16_t a)
{
	u32 i, at;

	for (i = 0; i < w->nr_own; i++) {
		at = (a + i) % w->nr_own;
		if (w->own[at].inst == inst)
			return &w->own[at];
	}
	return NULL;
}

static bool taken(struct worker *w, struct file *f, bool bound, u64 start, u64 len)
{
	if (f->inst->slot == WILD)
		return true;
	ledger_take(w, f->inst, start, len);
	if (w->nr_own == NR_OWN)
		t_die("a worker has too many extents");
	w->own[w->nr_own++] = (struct own){
		.inst = f->inst, .file = bound ? f : NULL, .start = start, .len = len,
	};
	return true;
}

/* An allocation has succeeded. */
static void got(struct call *c, struct file *f, bool bound, const struct hybrid_alloc_extent *e,
		u64 len, u64 align)
{
	if (len && e->len != round_up(len, f->inst->info.min_block))
		fuzz_wrong(c->w, "%s of %llu bytes gives %llu", fuzz_kind_names[c->kind], len,
			   (u64)e->len);
	if (align && e->start % align)
		fuzz_wrong(c->w, "%s: %llu is not a multiple of %llu", fuzz_kind_names[c->kind],
			   (u64)e->start, align);
	taken(c->w, f, bound, e->start, e->len);
}

/* ---- data: what is written to an extent stays there ---- */

static void data_fill(u64 *buf, u64 tag)
{
	u32 i;

	for (i = 0; i < BLOCK / sizeof(u64); i++)
		buf[i] = tag + i;
}

void fuzz_check_data(struct worker *w, struct own *own)
{
	u64 *buf = (u64 *)(w->area + 4096), want[BLOCK / sizeof(u64)];

	if (!own->tag || ledger_is_gone(own->inst))
		return;
	data_fill(want, own->tag);
	if (pread(own->inst->disk_fd, buf, BLOCK, own->start) != BLOCK) {
		if (!ledger_is_gone(own->inst))
			fuzz_wrong(w, "the disk cannot be read: %s", t_strerror(errno));
		return;
	}
	/* through the instance before, somebody may have been late with a write */
	if (buf[0] && buf[0] >> 48 != own->tag >> 48)
		return;
	if (memcmp(buf, want, BLOCK) && !ledger_may_be_dead(own->inst))
		fuzz_wrong(w, "slot %u: the extent at %llu has lost its data", own->inst->slot,
			   own->start);
	w->events[E_KEPT_DATA]++;
}

static void write_data(struct worker *w, struct own *own)
{
	u64 *buf = (u64 *)(w->area + 4096);

	if (own->inst->disk_fd < 0 || ledger_may_be_dead(own->inst))
		return;
	own->tag = own->inst->info.epoch << 48 | (++w->tags << 16 & ~0ULL >> 16) | w->nr << 8 | 1;
	data_fill(buf, own->tag);
	if (pwrite(own->inst->disk_fd, buf, BLOCK, own->start) != BLOCK &&
	    !ledger_is_gone(own->inst))
		fuzz_wrong(w, "the disk cannot be written: %s", t_strerror(errno));
}

static void op_data(struct worker *w, const struct op *op)
{
	struct file *f = get_file(w, op);
	struct own *own = f ? pick(w, f->inst, op->a) : NULL;

	if (!own)
		return;
	if (own->tag)
		fuzz_check_data(w, own);
	else
		write_data(w, own);
	count(w, K_DATA, 0);
}

/* ---- FREE ---- */

/*
 * Frees the extent properly. The ledger gives it up before; if the call did not happen the
 * extent stays, as nobody else can have it.
 */
static void free_own(struct worker *w, struct own *own, const struct file *f, const struct op *op)
{
	struct hybrid_alloc_free *arg;
	struct call c;
	int err;

	fuzz_check_data(w, own);
	arg = begin(&c, w, op, K_FREE, f);
	arg->extent.start = own->start;
	arg->extent.len = own->len - op->b % own->inst->info.min_block;
	c.want = 0;
	ledger_give(own->inst, own->start, own->len);
	err = finish(&c);
	if (err && c.shaky && err == EFAULT)
		ledger_limbo(own->inst, own->start, own->len, own->file);
	else if (err && !atomic_load(&own->inst->dead))
		return ledger_take(w, own->inst, own->start, own->len);
	drop(w, own - w->own);
}

static const struct op proper = {};

static void make_room(struct worker *w)
{
	struct own *own;
	struct file *f, other;

	while (w->nr_own + MAX_ITEMS_USED + 8 > NR_OWN) {
		own = &w->own[random_below(&w->rng, w->nr_own)];
		if (atomic_load(&own->inst->dead)) {
			fuzz_forget_dead(w);
			continue;
		}
		f = own->file;
		if (!f) {
			other = (struct file){ .inst = own->inst };
			other.fd = open_inst(w, own->inst, O_RDWR);
			if (other.fd < 0)
				continue;
			free_own(w, own, &other, &proper);
			close(other.fd);
		} else {
			free_own(w, own, f, &proper);
		}
	}
}

static void free_wild(struct worker *w, const struct op *op, struct file *f)
{
	struct hybrid_alloc_free *arg;
	struct call c;

	arg = begin(&c, w, op, K_FREE, f);
	arg->extent.start = place_of(f->inst, op);
	arg->extent.len = length_of(f->inst, op->b);
	finish(&c);
}

/* A free of a live extent that must be refused: it stays. */
static void free_wrongly(struct worker *w, const struct op *op, struct file *f,
			 const struct own *own)
{
	struct hybrid_alloc_free *arg;
	u64 block = own->inst->info.min_block;
	u32 reason;
	struct call c;
	int err;

	arg = begin(&c, w, op, K_FREE, f);
	arg->extent.start = own->start;
	arg->extent.len = own->len;
	c.want = EINVAL;
	switch (op->b % 6) {
	case 0:
		if (own->len == block)
			return;
		arg->extent.len -= block;
		reason = HYBRID_ALLOC_REASON_WRONG_LENGTH;
		break;
	case 1:
		if (own->len == block)
			return;
		arg->extent.start += block;
		arg->extent.len -= block;
		reason = HYBRID_ALLOC_REASON_WRONG_START;
		break;
	case 2:
		arg->extent.start += 512;
		reason = HYBRID_ALLOC_REASON_UNALIGNED;
		break;
	case 3:
		arg->extent.len = 0;
		reason = HYBRID_ALLOC_REASON_ZERO_LENGTH;
		break;
	case 4:
		arg->extent.len = -block;
		reason = HYBRID_ALLOC_REASON_OUT_OF_RANGE;
		c.want = ERANGE;
		break;
	default:
		arg->extent.start = own->inst->disk_len + own->start;
		arg->extent.start -= arg->extent.start % block;
		reason = HYBRID_ALLOC_REASON_OUT_OF_RANGE;
		c.want = ERANGE;
	}
	if (own->file && own->file != f) {
		if (op->b % 6 < 2)
			c.want = EPERM;
		if (op->b % 6 < 2)
			reason = HYBRID_ALLOC_REASON_FOREIGN;
	}
	err = finish(&c);
	if (err != EINVAL && err != ERANGE && err != EPERM)
		return;
	/* what is mutated need not have come so far */
	if (c.how != MUTATE && !c.shaky && arg->reason != reason)
		fuzz_wrong(w, "a free is refused for the reason %u, should be %u",
			   (u32)arg->reason, reason);
	w->events[E_WRONG_FREE]++;
}

static void op_free(struct worker *w, const struct op *op)
{
	struct file *f = get_file(w, op);
	struct hybrid_alloc_free *arg;
	struct own *own;
	struct call c;

	if (!f)
		return;
	if (f->inst->slot == WILD)
		return free_wild(w, op, f);
	own = pick(w, f->inst, op->a);
	if (!own)
		return;
	if (op->y % 8 == 7)
		return free_wrongly(w, op, f, own);
	if (own->file && own->file != f && op->y & 8) {
		arg = begin(&c, w, op, K_FREE, f);
		arg->extent.start = own->start;
		arg->extent.len = own->len;
		c.want = EPERM;
		if (finish(&c) == EPERM)
			w->events[E_FOREIGN]++;
		return;
	}
	free_own(w, own, own->file ?: f, op);
}

static void op_free_batch(struct worker *w, const struct op *op)
{
	struct file *f = get_file(w, op);
	struct hybrid_alloc_batch *arg;
	struct own own[MAX_ITEMS_USED];
	u32 nr = 0, i, want = 1 + op->b % MAX_ITEMS_USED;
	struct hybrid_alloc_free_item *it;
	struct call c;
	int err;

	if (!f || f->inst->slot == WILD)
		return;
	for (i = 0; i < w->nr_own && nr < want; i++)
		if (w->own[i].inst == f->inst && (!w->own[i].file || w->own[i].file == f))
			fuzz_check_data(w, &w->own[i]);
	arg = begin(&c, w, op, K_FREE_BATCH, f);
	for (i = 0; i < w->nr_own && nr < want;) {
		if (w->own[i].inst != f->inst || (w->own[i].file && w->own[i].file != f)) {
			i++;
			continue;
		}
		own[nr] = w->own[i];
		drop(w, i);
		it = item(&c, nr);
		memset(it, 0, c.stride);
		it->extent.start = own[nr].start;
		it->extent.len = own[nr].len;
		ledger_give(f->inst, own[nr].start, own[nr].len);
		nr++;
	}
	if (!nr)
		return;
	arg->nr = nr;
	c.want = 0;
	err = finish(&c);
	for (i = 0; i < nr; i++) {
		it = item(&c, i);
		if (!err && it->error)
			fuzz_wrong(w, "an item of FREE_BATCH: %s", t_strerror(it->error));
		if (err && c.shaky) {
			ledger_limbo(f->inst, own[i].start, own[i].len, own[i].file);
		} else if (err && !atomic_load(&f->inst->dead)) {
			ledger_take(w, f->inst, own[i].start, own[i].len);
			w->own[w->nr_own++] = own[i];
		}
	}
}

/* ---- parts of extents ---- */

/* The extent is the worker's, once more. */
static void put_back(struct worker *w, const struct own *own)
{
	if (w->nr_own == NR_OWN)
		t_die("a worker has too many extents");
	w->own[w->nr_own++] = *own;
}

/* A piece of an extent is one of its own. What was written is in the first. */
static void put_piece(struct worker *w, const struct own *whole, u64 start, u64 end)
{
	struct own piece = *whole;

	if (start == end)
		return;
	piece.start = start;
	piece.len = end - start;
	if (start != whole->start)
		piece.tag = 0;
	put_back(w, &piece);
}

/* It is not known whether an extent was cut or split: it is in limbo, and so are the pieces. */
static void limbo_pieces(const struct own *own, u64 from, u64 to)
{
	u64 end = own->start + own->len;

	ledger_limbo(own->inst, own->start, own->len, own->file);
	if (from > own->start)
		ledger_limbo(own->inst, own->start, from - own->start, own->file);
	if (to < end)
		ledger_limbo(own->inst, to, end - to, own->file);
}

/* A part of an extent of the worker's. */
static void cut_own(struct worker *w, const struct op *op, const struct file *f, u32 at)
{
	u64 block = f->inst->info.min_block, blocks, from, to, end;
	struct own own = w->own[at];
	struct hybrid_alloc_free *arg;
	struct call c;
	u32 pieces;
	int err;

	blocks = own.len / block;
	end = own.start + own.len;
	from = own.start + (op->y & 16 ? op->b % blocks * block : 0);
	to = op->y & 32 ? end : from + (1 + (op->b >> 4) % ((end - from) / block)) * block;
	fuzz_check_data(w, &own);
	arg = begin(&c, w, op, K_FREE_PART, f);
	arg->flags = HYBRID_ALLOC_FREE_PART;
	arg->extent.start = from;
	arg->extent.len = to - from;
	c.want = 0;
	drop(w, at);
	ledger_give_part(own.inst, from, to - from);
	err = finish(&c);
	pieces = (from > own.start) + (to < end);
	if (!err) {
		put_piece(w, &own, own.start, from);
		put_piece(w, &own, to, end);
		atomic_fetch_add(&own.inst->live, pieces - 1ULL);
		w->events[E_CUT] += pieces == 2;
	} else if (c.shaky && err == EFAULT) {
		if (from > own.start)
			ledger_give_part(own.inst, own.start, from - own.start);
		if (to < end)
			ledger_give_part(own.inst, to, end - to);
		atomic_fetch_sub(&own.inst->live, 1);
		limbo_pieces(&own, from, to);
	} else if (!atomic_load(&own.inst->dead)) {
		ledger_take_part(w, own.inst, from, to - from);
		put_back(w, &own);
	}
}

/* The worker's extent that begins where another one ends, and that may be freed through a file. */
static struct own *next_own(struct worker *w, const struct own *own, const struct file *f)
{
	u32 i;

	for (i = 0; i < w->nr_own; i++)
		if (w->own[i].inst == own->inst && w->own[i].start == own->start + own->len &&
		    (!w->own[i].file || w->own[i].file == f))
			return &w->own[i];
	return NULL;
}

static void free_row(struct worker *w, const struct op *op, const struct file *f, struct own *first)
{
	struct hybrid_alloc_free *arg;
	struct own row[4], *own = first;
	struct call c;
	u32 nr = 0, i;
	int err;

	for (; own && nr < ARRAY_SIZE(row); own = next_own(w, &row[nr - 1], f))
		row[nr++] = *own;
	for (i = 0; i < nr; i++)
		fuzz_check_data(w, &row[i]);
	arg = begin(&c, w, op, K_FREE_PART, f);
	arg->flags = HYBRID_ALLOC_FREE_PART;
	arg->extent.start = row[0].start;
	arg->extent.len = row[nr - 1].start + row[nr - 1].len - row[0].start;
	c.want = 0;
	for (i = 0; i < nr; i++) {
		for (own = w->own; own->inst != row[i].inst || own->start != row[i].start; own++)
			;
		drop(w, own - w->own);
		ledger_give(row[i].inst, row[i].start, row[i].len);
	}
	err = finish(&c);
	if (!err)
		w->events[E_ROW] += nr > 1;
	for (i = 0; err && i < nr; i++) {
		if (c.shaky && err == EFAULT) {
			ledger_limbo(row[i].inst, row[i].start, row[i].len, row[i].file);
		} else if (!atomic_load(&row[i].inst->dead)) {
			ledger_take(w, row[i].inst, row[i].start, row[i].len);
			put_back(w, &row[i]);
		}
	}
}

/* A part that must be refused. Nothing that is another's can be in it. */
static void cut_wrongly(struct worker *w, const struct op *op, struct file *f,
			const struct own *own)
{
	u64 block = own->inst->info.min_block;
	struct hybrid_alloc_free *arg;
	struct call c;
	u32 reason;
	int err;

	arg = begin(&c, w, op, K_FREE_PART, f);
	arg->flags = HYBRID_ALLOC_FREE_PART;
	arg->extent.start = own->start;
	arg->extent.len = block;
	c.want = EINVAL;
	switch (op->b % 4) {
	case 0:		/* from inside to behind it */
		if (own->len == block || own->start + own->len + block >
		    own->inst->info.range_start + own->inst->info.range_len)
			return;
		arg->extent.start += block;
		arg->extent.len = own->len;
		reason = HYBRID_ALLOC_REASON_WRONG_LENGTH;
		break;
	case 1:
		arg->extent.start += 512;
		reason = HYBRID_ALLOC_REASON_UNALIGNED;
		break;
	case 2:
		arg->extent.len -= 512;
		reason = HYBRID_ALLOC_REASON_UNALIGNED;
		break;
	default:
		arg->extent.len = -block;
		reason = HYBRID_ALLOC_REASON_OUT_OF_RANGE;
		c.want = ERANGE;
	}
	/* a length inside a block is looked at after the owner */
	if (own->file && own->file != f && op->b % 4 % 2 == 0) {
		c.want = EPERM;
		reason = HYBRID_ALLOC_REASON_FOREIGN;
	}
	err = finish(&c);
	if (c.how != MUTATE && !c.shaky && err == c.want && err != EBADF && arg->reason != reason)
		fuzz_wrong(w, "a part is refused for the reason %u, should be %u",
			   (u32)arg->reason, reason);
	w->events[E_WRONG_PART] += err == EINVAL || err == ERANGE || err == EPERM;
}

static void op_free_part(struct worker *w, const struct op *op)
{
	struct file *f = get_file(w, op);
	struct hybrid_alloc_free *arg;
	struct own *own;
	struct call c;

	make_room(w);
	if (!f || !f->inst)
		return;
	if (f->inst->slot == WILD) {
		arg = begin(&c, w, op, K_FREE_PART, f);
		arg->flags = HYBRID_ALLOC_FREE_PART;
		arg->extent.start = place_of(f->inst, op);
		arg->extent.len = (1 + op->b % 64) * f->inst->info.min_block;
		finish(&c);
		return;
	}
	own = pick(w, f->inst, op->a);
	if (!own)
		return;
	if (op->y % 8 == 7)
		return cut_wrongly(w, op, f, own);
	if (own->file)
		f = own->file;
	if (op->y & 8 && next_own(w, own, f))
		free_row(w, op, f, own);
	else
		cut_own(w, op, f, own - w->own);
}

/*
 * Takes up to @max of the worker's extents that a file may change out of its list, for the items of
 * a call.
 */
static u32 take_own(struct worker *w, const struct file *f, uint16_t a, struct own *own, u32 max)
{
	u32 nr = 0, i;
	struct own *o;

	for (i = 0; i < 8 && nr < max && w->nr_own; i++) {
		o = &w->own[(a + 7 * i) % w->nr_own];
		if (o->inst != f->inst || (o->file && o->file != f))
			continue;
		own[nr++] = *o;
		drop(w, o - w->own);
	}
	return nr;
}

static void op_split(struct worker *w, const struct op *op)
{
	struct hybrid_alloc_split_item *it;
	struct file *f = get_file(w, op);
	struct hybrid_alloc_batch *arg;
	struct own own[4];
	bool wrong = op->y % 8 == 7;
	struct call c;
	u64 at, block;
	u32 nr, i;
	int err;

	make_room(w);
	if (!f || !f->inst || f->inst->slot == WILD)
		return;
	block = f->inst->info.min_block;
	nr = take_own(w, f, op->a, own, 1 + op->b % ARRAY_SIZE(own));
	if (!nr)
		return;
	arg = begin(&c, w, op, K_SPLIT, f);
	arg->nr = nr;
	for (i = 0; i < nr; i++) {
		it = item(&c, i);
		memset(it, 0, c.stride);
		it->extent.start = own[i].start;
		it->extent.len = own[i].len;
		it->at = own[i].start + (1 + op->b % (own[i].len / block)) * block;
		if (wrong)
			it->at = op->b & 1 ? own[i].start : own[i].start + own[i].len;
	}
	c.want = 0;
	err = finish(&c);
	for (i = 0; i < nr; i++) {
		it = item(&c, i);
		at = it->at;
		/* as before the call: the memory may be gone */
		if (err)
			at = own[i].start + (1 + op->b % (own[i].len / block)) * block;
		if (err && c.shaky) {
			ledger_give(own[i].inst, own[i].start, own[i].len);
			limbo_pieces(&own[i], at, at);
		} else if (err) {
			put_back(w, &own[i]);
		} else if (!it->error) {
			if (at == own[i].start || at >= own[i].start + own[i].len)
				fuzz_wrong(w, "SPLIT outside of the extent");
			put_piece(w, &own[i], own[i].start, at);
			put_piece(w, &own[i], at, own[i].start + own[i].len);
			atomic_fetch_add(&own[i].inst->live, 1);
		} else {
			put_back(w, &own[i]);
			if (it->error == EINVAL && (at == own[i].start ||
						    at == own[i].start + own[i].len))
				w->events[E_WRONG_PART]++;
			else if (it->error != ENOMEM || !c.shaky)
				fuzz_wrong(w, "an item of SPLIT: %s", t_strerror(it->error));
		}
	}
}

static void op_extend(struct worker *w, const struct op *op)
{
	struct hybrid_alloc_extend_item *it;
	struct file *f = get_file(w, op);
	u64 block, more, least, most, got;
	struct hybrid_alloc_batch *arg;
	struct own own[4];
	struct call c;
	u32 nr, i;
	int err;

	make_room(w);
	if (!f || !f->inst || f->inst->slot == WILD)
		return;
	block = f->inst->info.min_block;
	more = op->y % 8 == 7 ? 0 : op->y & 8 ? length_of(f->inst, op->b) : 1 + op->b % (8 * block);
	least = op->y & 16 ? 1 + (op->y >> 5) * block : 0;
	most = round_up(more, block);
	nr = take_own(w, f, op->a, own, 1 + op->b % ARRAY_SIZE(own));
	if (!nr)
		return;
	arg = begin(&c, w, op, K_EXTEND, f);
	arg->nr = nr;
	for (i = 0; i < nr; i++) {
		it = item(&c, i);
		memset(it, 0, c.stride);
		it->extent.start = own[i].start;
		it->extent.len = own[i].len;
		it->more = more;
		it->least = least;
	}
	c.want = 0;
	err = finish(&c);
	for (i = 0; i < nr; i++) {
		it = item(&c, i);
		if (err && c.shaky) {
			ledger_give(own[i].inst, own[i].start, own[i].len);
			ledger_limbo_longer(own[i].inst, own[i].start, own[i].len,
					    own[i].len + most, own[i].file);
			continue;
		}
		if (!err && !it->error) {
			got = it->extent.len - own[i].len;
			if (it->extent.start != own[i].start || !got || got > most || got % block ||
			    got < round_up(least ?: most, block))
				fuzz_wrong(w, "EXTEND of %llu bytes by %llu, at least %llu: %llu",
					   own[i].len, more, least, (u64)it->extent.len);
			else
				ledger_take_part(w, own[i].inst, own[i].start + own[i].len, got);
			own[i].len += got;
			w->events[E_LONGER]++;
		} else if (!err && it->error == EINVAL && (!more || least > more)) {
			w->events[E_WRONG_PART]++;
		} else if (!err && it->error != ENOSPC && it->error != EFBIG &&
			   !(it->error == ENOMEM && c.shaky)) {
			fuzz_wrong(w, "an item of EXTEND: %s", t_strerror(it->error));
		}
		put_back(w, &own[i]);
	}
}

static void op_keep(struct worker *w, const struct op *op)
{
	struct hybrid_alloc_free_item *it;
	struct file *f = get_file(w, op);
	struct hybrid_alloc_batch *arg;
	struct own own[MAX_ITEMS_USED];
	u32 nr = 0, i, want = 1 + op->b % MAX_ITEMS_USED;
	struct call c;
	int err;

	if (!f || f->inst->slot == WILD)
		return;
	/* those that are bound to other files, too */
	for (i = 0; i < w->nr_own && nr < want;) {
		if (w->own[i].inst != f->inst || !(w->own[i].file || op->y & 1)) {
			i++;
			continue;
		}
		own[nr++] = w->own[i];
		drop(w, i);
	}
	if (!nr)
		return;
	arg = begin(&c, w, op, K_KEEP, f);
	arg->nr = nr;
	for (i = 0; i < nr; i++) {
		it = item(&c, i);
		memset(it, 0, c.stride);
		it->extent.start = own[i].start;
		it->extent.len = own[i].len;
	}
	c.want = 0;
	err = finish(&c);
	for (i = 0; i < nr; i++) {
		it = item(&c, i);
		if (err && c.shaky) {
			ledger_give(own[i].inst, own[i].start, own[i].len);
			ledger_limbo(own[i].inst, own[i].start, own[i].len, own[i].file);
			ledger_limbo(own[i].inst, own[i].start, own[i].len, NULL);
			continue;
		}
		if (!err && it->error != (own[i].file && own[i].file != f ? EPERM : 0))
			fuzz_wrong(w, "an item of KEEP: %s", t_strerror(it->error));
		if (!err && !it->error) {
			w->events[E_KEPT] += !!own[i].file;
			own[i].file = NULL;
		}
		put_back(w, &own[i]);
	}
}

/* ---- RESERVE ---- */

static void op_reserve(struct worker *w, const struct op *op)
{
	struct file *f = get_file(w, op);
	struct hybrid_alloc_reserve *arg;
	struct call c;
	u64 len, now;
	int err;

	if (!f)
		return;
	len = length_of(f->inst, op->a);
	if (op->kind == K_UNRESERVE && op->y & 1)
		len = f->reserved;
	arg = begin(&c, w, op, op->kind, f);
	arg->len = len;
	len = round_up(len, f->inst->info.min_block);
	if (op->kind == K_UNRESERVE && !f->unsure)
		c.want = len <= f->reserved ? 0 : EINVAL;
	err = finish(&c);
	/* undone, or given back and not told */
	f->unsure |= err == EFAULT && c.how != MUTATE;
	if (err)
		return;
	now = op->kind == K_RESERVE ? f->reserved + len : f->reserved - len;
	if (!f->unsure && arg->reserved != now)
		fuzz_wrong(w, "%s of %llu bytes: %llu are reserved, should be %llu",
			   fuzz_kind_names[op->kind], len, (u64)arg->reserved, now);
	f->reserved = arg->reserved;
	f->unsure = false;
}

/* What an allocation against what a file has reserved must return. */
static void promise(struct call *c, const struct file *f, u64 len, u64 align)
{
	u64 block = f->inst->info.min_block;

	if (f->inst->info.max_block && len > f->inst->info.max_block)
		c->want = EFBIG;
	else if (round_up(len, block) > f->reserved)
		c->want = EINVAL;
	else if (len <= block && align <= block)
		c->want = 0;
}

/* ---- ALLOC ---- */

static void op_alloc(struct worker *w, const struct op *op)
{
	struct file *f = get_file(w, op);
	struct hybrid_alloc_alloc *arg;
	struct call c;
	u64 len, align, had, least = 0;
	bool promised;
	int err;

	make_room(w);
	if (!f || !f->inst)
		return;
	len = length_of(f->inst, op->a);
	align = align_of(f->inst, op->b);
	if (op->y & 32)
		least = 1 + len / 8 * (op->b >> 8) % 9;
	arg = begin(&c, w, op, K_ALLOC, f);
	arg->len = len;
	arg->min = least;
	arg->align = align;
	arg->flags = op->y & 3;
	if (op->y & 64 && f->reserved && !f->unsure && len <= f->inst->info.range_len)
		arg->flags = (arg->flags & ~BOUND) | RESERVED;
	promised = arg->flags & RESERVED;
	had = f->reserved;
	if (arg->flags & HYBRID_ALLOC_ALLOC_GOAL)
		arg->goal = op->y & 4 ? place_of(f->inst, op) : (u64)op->b << 16;
	if (!len || align == 3 || least > len)
		c.want = EINVAL;
	else if (promised)
		promise(&c, f, least ?: len, align);
	err = finish(&c);
	if (err == ENOSPC)
		w->events[E_FULL]++;
	if (err == ENOSPC && c.how != MUTATE && arg->reason == HYBRID_ALLOC_REASON_RESERVED)
		w->events[E_RESERVED]++;
	if (promised && err == ENOMEM)
		fuzz_wrong(w, "an allocation against a reservation: no memory");
	/* undone, and reserved again if calls in flight could not take it */
	f->unsure |= promised && err == EFAULT;
	if (err)
		return;
	if (promised) {
		w->events[E_PROMISED]++;
		f->reserved = had - arg->extent.len;
	}
	got(&c, f, !promised && op->y & BOUND, &arg->extent, least ? 0 : len, align);
	if (least && (arg->extent.len < least ||
		      arg->extent.len >= len + f->inst->info.min_block))
		fuzz_wrong(w, "ALLOC of %llu to %llu bytes: %llu", least, len,
			   (u64)arg->extent.len);
	/* before a TRIM that is under way can */
	if (op->y & 16 && w->nr_own && w->own[w->nr_own - 1].inst == f->inst)
		write_data(w, &w->own[w->nr_own - 1]);
}

static void op_alloc_batch(struct worker *w, const struct op *op)
{
	struct file *f = get_file(w, op);
	struct hybrid_alloc_alloc_item *it;
	struct hybrid_alloc_batch *arg;
	struct call c;
	u32 i, nr = 1 + op->b % MAX_ITEMS_USED, failed = 0;
	u64 len[MAX_ITEMS_USED], align[MAX_ITEMS_USED];
	int err;

	make_room(w);
	if (!f || !f->inst)
		return;
	arg = begin(&c, w, op, K_ALLOC_BATCH, f);
	arg->nr = nr;
	arg->flags = op->y & BOUND;
	for (i = 0; i < nr; i++) {
		it = item(&c, i);
		memset(it, 0, c.stride);
		len[i] = length_of(f->inst, op->a + i * (op->y & 6));
		align[i] = align_of(f->inst, op->a + i);
		it->len = len[i];
		it->align = align[i];
		if (op->y & 8) {
			it->flags = HYBRID_ALLOC_ALLOC_GOAL;
			it->goal = place_of(f->inst, op);
		}
	}
	c.want = 0;
	err = finish(&c);
	if (err)
		return;
	for (i = 0; i < nr; i++) {
		it = item(&c, i);
		failed += !!it->error;
		if (!it->error)
			got(&c, f, op->y & BOUND, &it->extent, len[i], align[i]);
		else if (it->error != ENOSPC && it->error != EFBIG &&
			 !(it->error == EINVAL && (!len[i] || align[i] == 3)) &&
			 !(it->error == ENOMEM && c.shaky))
			fuzz_wrong(w, "an item of ALLOC_BATCH: %s", t_strerror(it->error));
	}
	if (arg->nr_done != nr || arg->nr_failed != failed)
		fuzz_wrong(w, "ALLOC_BATCH of %u: %u done, %u failed", nr, (u32)arg->nr_done,
			   (u32)arg->nr_failed);
}

static void op_alloc_many(struct worker *w, const struct op *op)
{
	struct file *f = get_file(w, op);
	struct hybrid_alloc_many *arg;
	struct hybrid_alloc_extent *e;
	struct call c;
	u32 i, nr = 1 + op->b % MAX_ITEMS_USED;
	u64 len, align, least, sum = 0;
	int err;

	make_room(w);
	if (!f || !f->inst)
		return;
	len = length_of(f->inst, op->a) * (1 + op->y % 4);
	align = align_of(f->inst, op->b);
	arg = begin(&c, w, op, K_ALLOC_MANY, f);
	least = op->y & 32 ? 1 + (op->a >> 8) % 64 * f->inst->info.min_block : 0;
	arg->nr = nr;
	arg->len = len;
	arg->min = least;
	arg->align = align;
	arg->flags = op->y & 7;
	if (arg->flags & HYBRID_ALLOC_ALLOC_GOAL)
		arg->goal = place_of(f->inst, op);
	if (!len || align == 3 || least > len)
		c.want = EINVAL;
	err = finish(&c);
	if (err)
		return;
	for (i = 0; i < arg->nr_extents && i < nr; i++) {
		e = item(&c, i);
		got(&c, f, op->y & BOUND, e, 0, align);
		sum += e->len;
		if (e->len < least)
			fuzz_wrong(w, "ALLOC_MANY with at least %llu bytes each: %llu", least,
				   (u64)e->len);
	}
	if (arg->nr_extents > nr || arg->total != sum ||
	    (sum < len && !(op->y & HYBRID_ALLOC_ALLOC_PARTIAL)))
		fuzz_wrong(w, "ALLOC_MANY of %llu bytes, %u extents: %llu in %u", len, nr,
			   (u64)arg->total, (u32)arg->nr_extents);
}

/* ---- CLAIM ---- */

static void op_claim(struct worker *w, const struct op *op)
{
	struct file *f = get_file(w, op);
	struct hybrid_alloc_claim *arg;
	const struct own *own;
	struct call c;
	u64 start, len;
	int err;

	make_room(w);
	if (!f || !f->inst)
		return;
	start = place_of(f->inst, op);
	len = (1 + op->y % 16) * f->inst->info.min_block;
	own = op->y % 8 == 5 ? pick(w, f->inst, op->a) : NULL;
	if (own) {
		start = own->start;
		len = own->len;
	}
	arg = begin(&c, w, op, K_CLAIM, f);
	arg->extent.start = start;
	arg->extent.len = len;
	if (start + len > f->inst->info.range_start + f->inst->info.range_len)
		return;
	if (op->y == 255)
		arg->extent.start += 512;
	if (op->y == 254)
		arg->extent.start = f->inst->disk_len + start;
	if (op->y >= 254)
		c.want = arg->extent.start % f->inst->info.min_block ? EINVAL : ERANGE;
	else if (overlaps_own(w, f->inst, start, len))
		c.want = EEXIST;
	err = finish(&c);
	if (!err)
		taken(w, f, false, start, len);
}

static void op_claim_batch(struct worker *w, const struct op *op)
{
	struct file *f = get_file(w, op);
	struct hybrid_alloc_free_item *it;
	struct hybrid_alloc_batch *arg;
	struct call c;
	u32 i, nr = 1 + op->b % MAX_ITEMS_USED;
	u64 start, len[MAX_ITEMS_USED];
	struct op at = *op;
	int err;

	make_room(w);
	if (!f || !f->inst)
		return;
	arg = begin(&c, w, op, K_CLAIM_BATCH, f);
	arg->nr = nr;
	for (i = 0; i < nr; i++) {
		it = item(&c, i);
		memset(it, 0, c.stride);
		at.b = op->b + i * 7;
		start = place_of(f->inst, &at);
		len[i] = (1 + (op->y + i) % 5) * f->inst->info.min_block;
		if (start + len[i] > f->inst->info.range_start + f->inst->info.range_len)
			start = f->inst->info.range_start;
		it->extent.start = start;
		it->extent.len = len[i];
	}
	c.want = 0;
	err = finish(&c);
	for (i = 0; i < nr; i++) {
		it = item(&c, i);
		if (err && c.shaky)
			ledger_limbo(f->inst, it->extent.start, len[i], NULL);
		else if (!err && !it->error)
			taken(w, f, false, it->extent.start, len[i]);
		else if (!err && it->error != EEXIST && it->error != ENOSPC &&
			 !(it->error == ENOMEM && c.shaky))
			fuzz_wrong(w, "an item of CLAIM_BATCH: %s", t_strerror(it->error));
	}
}

/* ---- calls that change no extent ---- */

static void op_map(struct worker *w, const struct op *op)
{
	struct file *f = get_file(w, op);
	const struct hybrid_alloc_map_entry *e, *last = NULL;
	struct hybrid_alloc_map *arg;
	const struct own *own;
	struct call c;
	u32 i, nr = op->b % 16 ? 1 + op->b % 64 : HYBRID_ALLOC_MAX_ITEMS;

	if (!f)
		return;
	own = op->y % 2 ? pick(w, f->inst, op->a) : NULL;
	arg = begin(&c, w, op, K_MAP, f);
	arg->nr = nr;
	arg->flags = op->y & 4 ? HYBRID_ALLOC_MAP_KINDS : 0;
	if (own) {
		arg->start = own->start;
		arg->len = own->len;
	} else if (op->y & 8) {
		arg->start = place_of(f->inst, op);
	}
	c.want = 0;
	if (finish(&c))
		return;
	e = item(&c, 0);
	if (own && (!arg->nr_entries || e->start != own->start || e->len != own->len ||
		    e->state != HYBRID_ALLOC_MAP_LIVE))
		fuzz_wrong(w, "MAP does not know the extent of %llu bytes at %llu", own->len,
			   own->start);
	for (i = 0; i < arg->nr_entries; i++, last = e) {
		e = item(&c, i);
		if (last && e->start != last->start + last->len)
			fuzz_wrong(w, "MAP has a gap at %llu", (u64)e->start);
	}
}

static void op_simple(struct worker *w, const struct op *op)
{
	struct file *f = get_file(w, op);
	struct call c;
	uint8_t *head;

	if (!f)
		return;
	head = begin(&c, w, op, op->kind, f);
	if (op->kind == K_STAT)
		((struct hybrid_alloc_stat *)head)->flags = op->y & HYBRID_ALLOC_STAT_RUNS;
	if (op->kind == K_WATCH)
		((struct hybrid_alloc_watch *)head)->low_space =
			op->y % 4 ? f->inst->info.range_len / 256 * op->y : 0;
	/* what is said of a sealed one is not known before the call */
	finish(&c);
}

static void op_info(struct worker *w, const struct op *op)
{
	struct file control = { .fd = -1 }, *f;
	struct hybrid_alloc_info *arg;
	struct call c;

	f = op->y & 1 ? &control : get_file(w, op);
	if (!f)
		return;
	if (f == &control)
		control.fd = ha_control(O_RDONLY);
	arg = begin(&c, w, op, K_INFO, f);
	if (f == &control) {
		arg->flags = op->y & 2 ? HYBRID_ALLOC_INFO_NEXT : 0;
		arg->id = op->a % 16;
	}
	if (!finish(&c) && f != &control && arg->epoch != f->inst->info.epoch)
		fuzz_wrong(w, "INFO: another epoch");
	if (f == &control)
		close(control.fd);
}

static void op_trim(struct worker *w, const struct op *op)
{
	struct file *f = get_file(w, op);
	struct hybrid_alloc_trim *arg;
	struct call c;

	if (!f)
		return;
	arg = begin(&c, w, op, K_TRIM, f);
	arg->start = op->a % 4 ? place_of(f->inst, op) : 0;
	arg->len = op->b % 4 ? (u64)op->b << 8 : ~0ULL;
	arg->minlen = op->y % 3 ? 0 : op->y * BLOCK;
	if (!finish(&c) && arg->trimmed)
		w->events[E_DISCARDED]++;
}

static void op_grow(struct worker *w, const struct op *op)
{
	struct file *f = get_file(w, op);
	struct hybrid_alloc_grow *arg;
	struct call c;

	if (!f)
		return;
	arg = begin(&c, w, op, K_GROW, f);
	if (op->y % 4)
		arg->range_len = f->inst->info.range_len + (u64)op->a * BLOCK / (1 + op->b % 64);
	if (!finish(&c) && arg->capacity > f->inst->start.capacity)
		w->events[E_GROWN]++;
}

static void op_poll(struct worker *w, const struct op *op)
{
	struct file *f = get_file(w, op);
	struct pollfd p;
	int n;

	if (!f)
		return;
	p = (struct pollfd){ .fd = f->fd, .events = POLLPRI };
	n = poll(&p, 1, op->y % 8 == 7);
	count(w, K_POLL, n < 0 ? errno : 0);
	if (n > 0 && p.revents & POLLERR)
		found_dead(w, f->inst, "poll");
}

static void op_files(struct worker *w, const struct op *op)
{
	static const char * const names[] = {
		"/sys/class/misc/hybrid_alloc%u/epoch", "/sys/class/misc/hybrid_alloc%u/disk",
		"/sys/class/misc/hybrid_alloc%u/uuid", "/sys/class/misc/hybrid_alloc%u/sealed",
		"/sys/class/misc/hybrid_alloc%u/gone", "/sys/class/misc/hybrid_alloc%u/stat/free",
		"/sys/class/misc/hybrid_alloc%u/stat/largest_free_run",
		"/sys/class/misc/hybrid_alloc%u/refused_frees/foreign",
		"/sys/kernel/debug/hybrid_alloc/hybrid_alloc%u/slabs",
		"/sys/kernel/debug/hybrid_alloc/hybrid_alloc%u/free_runs",
	};
	struct inst *inst = atomic_load(&fuzz_slot[(op->x >> 3) % NR_SLOTS]);
	char path[128], buf[4096];
	ssize_t len = -1;
	int fd;

	if (!inst)
		return;
	snprintf(path, sizeof(path), names[op->y % ARRAY_SIZE(names)], inst->id);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		len = read(fd, buf, sizeof(buf));
	count(w, K_FILES, len < 0 ? errno : 0);
	if (len < 0 && !ledger_may_be_dead(inst))
		fuzz_wrong(w, "%s: %s", path, t_strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void op_unknown(struct worker *w, const struct op *op)
{
	struct file *f = get_file(w, op);
	unsigned long cmd = _IOC(op->y % 4, op->y & 4 ? 0xbc : op->b, 0x2a + op->a % 64, op->b);
	int err;

	if (!f)
		return;
	/* the file layer's own */
	if (cmd == 0x5451 || cmd == 0x5450 || cmd == 0x5421 || cmd == 0x5452 || cmd == 0x5460)
		return;
	err = ha_ioctl(f->fd, cmd, w->area);
	count(w, K_UNKNOWN, err);
	if (err != ENOTTY && (op->y & 4 || !err))
		fuzz_wrong(w, "ioctl %#lx: %s", cmd, t_strerror(err));
}

/* ---- attach and detach ---- */

static void learn(struct worker *w, u32 slot, u32 id, const u32 *seen, u32 removed, bool sealed,
		  u64 disk_len)
{
	struct hybrid_alloc_info info;
	int ctl = ha_control(O_RDONLY), err = ha_info(ctl, 0, id, &info), fd;
	struct inst *inst, *old;
	char path[64];

	close(ctl);
	if (err)
		return;		/* somebody who means the last one of this number is quick */
	inst = ledger_new(slot, id, &info, disk_len);
	inst->seen = seen[id % NR_IDS];
	inst->removed = removed;
	inst->was_sealed = sealed;
	fd = ha_open(id, O_RDWR);
	if (fd < 0 || ha_stat_err(fd, 0, &inst->start)) {
		if (!ledger_may_be_dead(inst))
			fuzz_wrong(w, "an instance vanishes: %s", t_strerror(errno));
		atomic_store(&inst->dead, true);
	}
	if (fd >= 0)
		close(fd);
	if (atomic_load(&inst->dead))
		return;
	snprintf(path, sizeof(path), "/dev/%s", fuzz_disks[slot]);
	if (slot != 1 && slot != WILD)
		inst->disk_fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	old = atomic_exchange(&fuzz_slot[slot], inst);
	if (old) {
		if (!ledger_may_be_dead(old))
			fuzz_wrong(w, "slot %u is attached twice", slot);
		atomic_store(&old->dead, true);
	}
}

int fuzz_attach(struct worker *w, u32 slot, const struct op *op)
{
	struct file control = { .fd = ha_control(O_RDWR) };
	struct hybrid_alloc_attach *arg;
	u32 removed = atomic_load(&fuzz_removed[slot]), seen[NR_IDS], i;
	u32 flags = HYBRID_ALLOC_ATTACH_FRESH;
	char path[64];
	struct call c;
	u64 disk_len = 0;
	int err, disk;

	snprintf(path, sizeof(path), "/dev/%s", fuzz_disks[slot]);
	disk = open(path, O_RDWR | O_CLOEXEC);
	/* of this one: by its path it may be the next one, or none */
	if (disk >= 0 && ioctl(disk, BLKGETSIZE64, &disk_len))
		disk_len = 0;
	if (op->y % 4 == 3)
		flags = 0;
again:
	for (i = 0; i < NR_IDS; i++)
		seen[i] = atomic_load(&fuzz_detached[i]);
	arg = begin(&c, w, op, K_ATTACH, &control);
	arg->flags = flags;
	arg->fd = disk;
	if (op->y % 8 >= 4) {
		arg->range_start = op->a % 16 ? (u64)(op->a % 512) * 512 : 0;
		arg->range_len = op->a % 32 ? 24 * MIB + (u64)op->b * 512 / 2 : 0;
		arg->min_block = op->b % 8 ? 0 : BLOCK << op->a % 4;
		arg->slab_max = op->b % 4 ? 0 : (arg->min_block ?: BLOCK) << op->a % 12;
		arg->buddy_start = op->b % 16 < 14 ? 0 : (arg->min_block ?: BLOCK) << op->b % 14;
		arg->max_block = op->b % 64 ? 0 : 16 * (arg->min_block ?: BLOCK);
	}
	/* of a disk that is being removed */
	if (disk < 0)
		c.want = EBADF;
	err = finish(&c);
	if (!err && disk >= 0)
		learn(w, slot, arg->id, seen, removed, !flags, disk_len);
	if (err == EEXIST && flags == HYBRID_ALLOC_ATTACH_FRESH) {
		w->events[E_NOT_BLANK]++;
		/* overwrites: a disk that the fuzzer has made, and written to */
		flags = HYBRID_ALLOC_ATTACH_OVERWRITE;
		goto again;
	}
	if (!err && flags & HYBRID_ALLOC_ATTACH_OVERWRITE)	/* overwrites: as above */
		w->events[E_OVERWRITTEN]++;
	close(control.fd);
	if (disk >= 0)
		close(disk);
	return err;
}

int fuzz_detach(struct worker *w, u32 id, bool force)
{
	struct file control = { .fd = ha_control(O_RDWR) };
	struct hybrid_alloc_detach *arg;
	struct call c;
	int err;

	atomic_fetch_add(&fuzz_detaching[id], 1);
	arg = begin(&c, w, &proper, K_DETACH, &control);
	arg->id = id;
	arg->flags = force ? HYBRID_ALLOC_DETACH_FORCE : 0;
	err = finish(&c);
	if (!err)
		atomic_fetch_add(&fuzz_detached[id], 1);
	atomic_fetch_sub(&fuzz_detaching[id], 1);
	close(control.fd);
	return err;
}

static void op_detach(struct worker *w, const struct op *op)
{
	struct inst *inst = atomic_load(&fuzz_slot[(op->x >> 3) % NR_SLOTS]);
	struct file control;
	struct call c;
	int err;

	if (hows[op->how % 8] == MUTATE) {
		control = (struct file){ .fd = ha_control(O_RDWR) };
		((struct hybrid_alloc_detach *)begin(&c, w, op, K_DETACH, &control))->id = 12345;
		c.want = ENODEV;
		finish(&c);
		close(control.fd);
	} else if (inst && inst->id < NR_IDS) {
		err = fuzz_detach(w, inst->id, op->y % 8 == 0);
		w->events[E_BUSY] += err == EBUSY;
		w->events[E_FORCED] += !err && op->y % 8 == 0;
	}
}

/* ---- other processes ---- */

struct child {
	atomic_uint calls, stop;
	atomic_uint wrong;
	u32 nr;
	struct hybrid_alloc_extent extent[8];
};

/* In the child: only calls of the kernel, as other threads may have had locks. */
static void child_alloc(struct child *child, const struct inst *inst, int fd, u64 len)
{
	struct hybrid_alloc_extent e;
	int err = ha_alloc_flags(fd, len, BOUND, &e);

	atomic_fetch_add(&child->calls, 1);
	if (!err && inst->slot != WILD && !ledger_has_none(inst, e.start, e.len))
		atomic_store(&child->wrong, 1);
	if (!err && child->nr < ARRAY_SIZE(child->extent)) {
		child->extent[child->nr] = e;
		child->nr++;
	}
	if (err == EFAULT || err == EINVAL)
		atomic_store(&child->wrong, 2);
}

static void child_said(struct worker *w, struct child *child)
{
	if (atomic_load(&child->wrong))
		fuzz_wrong(w, "a child process got %s", atomic_load(&child->wrong) == 1 ?
			   "what another has" : "an error that must not be");
}

/* A child allocates through a file that it has inherited; the parent closes the file. */
static void op_fork(struct worker *w, const struct op *op)
{
	struct inst *inst = atomic_load(&fuzz_slot[(op->x >> 3) % NR_SLOTS]);
	struct child *child;
	u64 len;
	u32 i;
	int fd;
	pid_t pid;

	if (!inst || atomic_load(&inst->dead))
		return;
	fd = open_inst(w, inst, O_RDWR);
	if (fd < 0)
		return;
	len = length_of(inst, op->a & ~12) + 1;
	child = fuzz_memory(sizeof(*child));
	pid = fork();
	if (!pid) {
		for (i = 0; i < 4; i++)
			child_alloc(child, inst, fd, len);
		_exit(0);
	}
	count(w, K_FORK, pid < 0 ? errno : 0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	/* they are the parent's now */
	if (inst->slot != WILD) {
		for (i = 0; i < child->nr; i++)
			ledger_take(w, inst, child->extent[i].start, child->extent[i].len);
		for (i = 0; i < child->nr; i++)
			ledger_give(inst, child->extent[i].start, child->extent[i].len);
	}
	w->events[E_FORKED] += !!child->nr;
	close(fd);
	child_said(w, child);
	munmap(child, sizeof(*child));
}

/* A child is killed in the midst of calls. All that it has is bound. */
static void op_kill(struct worker *w, const struct op *op)
{
	struct inst *inst = atomic_load(&fuzz_slot[(op->x >> 3) % NR_SLOTS]);
	struct child *child;
	pid_t pid;
	u32 i, want = 1 + op->b % 64;
	int fd, status = 0;
	u64 len;

	if (!inst || atomic_load(&inst->dead))
		return;
	len = length_of(inst, op->a) + 1;
	child = fuzz_memory(sizeof(*child));
	pid = fork();
	if (!pid) {
		fd = ha_open(inst->id, O_RDWR);
		for (i = 0; fd >= 0 && !atomic_load(&child->stop); i++) {
			child->nr = 0;
			child_alloc(child, inst, fd, i % 4 ? len : 1);
			if (child->nr && i % 3)
				ha_free(fd, child->extent[0].start, child->extent[0].len, NULL);
			if (op->y % 4 == 1 && i % 8 == 7)
				ha_op(fd, HYBRID_ALLOC_IOC_DRAIN);
		}
		_exit(0);
	}
	count(w, K_KILL, pid < 0 ? errno : 0);
	if (pid > 0) {
		while (atomic_load(&child->calls) < want && !waitpid(pid, &status, WNOHANG))
			usleep(200);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		w->events[E_KILLED] += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	}
	child_said(w, child);
	munmap(child, sizeof(*child));
}

static bool send_file(int sock, int fd)
{
	char buf[CMSG_SPACE(sizeof(int))] = {}, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = buf, .msg_controllen = sizeof(buf),
	};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &fd, sizeof(int));
	return sendmsg(sock, &m, 0) == 1;
}

static int receive_file(int sock)
{
	char buf[CMSG_SPACE(sizeof(int))] = {}, byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = buf, .msg_controllen = sizeof(buf),
	};
	struct cmsghdr *h;
	int fd = -1;

	if (recvmsg(sock, &m, 0) != 1)
		return -1;
	h = CMSG_FIRSTHDR(&m);
	if (h && h->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(h), sizeof(int));
	return fd;
}

/*
 * A file is passed on through a socket and closed; what is bound to it lives on until the
 * receiver closes it, or the socket is closed and the file never received.
 */
static void op_pass(struct worker *w, const struct op *op)
{
	struct inst *inst = atomic_load(&fuzz_slot[(op->x >> 3) % NR_SLOTS]);
	struct hybrid_alloc_extent e;
	int fd, err, pair[2], back = -1;
	bool has;

	if (!inst || inst->slot == WILD || atomic_load(&inst->dead))
		return;
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair)) {
		count(w, K_PASS, errno);
		return;
	}
	fd = open_inst(w, inst, O_RDWR);
	if (fd < 0)
		goto out;
	has = !ha_alloc_flags(fd, length_of(inst, op->a & ~12) + 1, BOUND, &e);
	if (has)
		ledger_take(w, inst, e.start, e.len);
	err = send_file(pair[0], fd) ? 0 : errno;
	count(w, K_PASS, err);
	if (err)
		fuzz_wrong(w, "a file cannot be passed on: %s", t_strerror(err));
	close(fd);
	if (op->y % 2)
		back = receive_file(pair[1]);
	if (has)
		ledger_give(inst, e.start, e.len);
	if (back >= 0 && has) {
		err = ha_free(back, e.start, e.len, NULL);
		if (!err)
			w->events[E_PASSED]++;
		else if (err != ENODEV || !ledger_may_be_dead(inst))
			fuzz_wrong(w, "FREE through a file that was passed on: %s",
				   t_strerror(err));
	} else if (has) {
		w->events[E_DROPPED]++;
	}
	if (back >= 0)
		close(back);
out:
	close(pair[0]);
	close(pair[1]);
}

void fuzz_op(struct worker *w, const struct op *op)
{
	u32 slot = (op->x >> 3) % NR_SLOTS;
	struct inst *inst;

	switch (op->kind) {
	case K_ATTACH:
		inst = atomic_load(&fuzz_slot[slot]);
		/* that it is in use is seen often enough */
		if (!inst || op->y % 4 == 0)
			fuzz_attach(w, slot, op);
		break;
	case K_DETACH:
		op_detach(w, op);
		break;
	case K_INFO:
		op_info(w, op);
		break;
	case K_ALLOC:
		op_alloc(w, op);
		break;
	case K_FREE:
		op_free(w, op);
		break;
	case K_CLAIM:
		op_claim(w, op);
		break;
	case K_ALLOC_BATCH:
		op_alloc_batch(w, op);
		break;
	case K_FREE_BATCH:
		op_free_batch(w, op);
		break;
	case K_MAP:
		op_map(w, op);
		break;
	case K_ALLOC_MANY:
		op_alloc_many(w, op);
		break;
	case K_TRIM:
		op_trim(w, op);
		break;
	case K_GROW:
		op_grow(w, op);
		break;
	case K_CLAIM_BATCH:
		op_claim_batch(w, op);
		break;
	case K_SEAL: case K_DRAIN: case K_STAT: case K_CHECK: case K_WATCH:
		op_simple(w, op);
		break;
	case K_RESERVE: case K_UNRESERVE:
		op_reserve(w, op);
		break;
	case K_POLL:
		op_poll(w, op);
		break;
	case K_CLOSE:
		fuzz_close(w, &w->file[op->x % NR_FILES]);
		break;
	case K_OPEN:
		get_file(w, op);
		break;
	case K_FILES:
		op_files(w, op);
		break;
	case K_UNKNOWN:
		op_unknown(w, op);
		break;
	case K_FORK:
		op_fork(w, op);
		break;
	case K_KILL:
		op_kill(w, op);
		break;
	case K_PASS:
		op_pass(w, op);
		break;
	case K_DATA:
		op_data(w, op);
		break;
	case K_FREE_PART:
		op_free_part(w, op);
		break;
	case K_SPLIT:
		op_split(w, op);
		break;
	case K_EXTEND:
		op_extend(w, op);
		break;
	case K_KEEP:
		op_keep(w, op);
		break;
	default:
		break;
	}
}
