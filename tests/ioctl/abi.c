// SPDX-License-Identifier: GPL-2.0
/*
 * The user ABI: every errno of the table in ioctl_uapi.h, every structure
 * malformed in every way, the order of the checks, copies that fail; and that
 * what was refused changed nothing. Built for 64 and for 32 bit callers.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <linux/fs.h>
#include "harness.h"

#define BAD_EPOCH	0x5bad5bad5bad5badULL
#define SPARE		"hat-spare"
#define SPARE_DEV	"/dev/" SPARE
#define SPARE_MIB	64

static int ctl, ctl_ro;			/* the control node */
static u32 main_id;
static int fd, fd_ro;			/* an instance, fresh */
static u64 range_start, capacity, epoch;
static int spare_bdev;			/* a disk that is not attached */
static struct hybrid_alloc_extent live;	/* for FREE */
static u64 hole;			/* for CLAIM: this block is free */

/* Where a structure can be wrong: no access behind it, or no write at all. */
static char *guarded, *readonly;
static long page;

/* A valid call of every command, and what undoes it. */
static void fill_attach(void *p)
{
	struct hybrid_alloc_attach *a = p;

	a->fd = spare_bdev;
	a->flags = HYBRID_ALLOC_ATTACH_FRESH;
}

static void undo_attach(void *p)
{
	struct hybrid_alloc_attach *a = p;

	t_errno(ha_detach(a->id, 0), 0, "DETACH of what ATTACH made");
}

static void fill_detach(void *p)
{
	struct hybrid_alloc_detach *d = p;

	d->id = main_id;	/* refused with EBUSY: it is open */
}

static void fill_info(void *p)
{
	struct hybrid_alloc_info *i = p;

	i->id = main_id;
}

static void fill_alloc(void *p)
{
	struct hybrid_alloc_alloc *a = p;

	a->len = 3 * BLOCK;
}

static void undo_alloc(void *p)
{
	struct hybrid_alloc_alloc *a = p;

	t_errno(ha_free(fd, a->extent.start, a->extent.len, NULL), 0,
		"FREE of what ALLOC returned");
}

static void fill_free(void *p)
{
	struct hybrid_alloc_free *f = p;

	f->extent = live;
}

static void undo_free(void *p)
{
	(void)p;
	if (ha_alloc(fd, live.len, 0, &live))
		t_die("ALLOC after FREE");
}

static struct hybrid_alloc_alloc_item alloc_item;
static struct hybrid_alloc_free_item free_item;

static void fill_batch(void *p, void *items, size_t item_size)
{
	struct hybrid_alloc_batch *b = p;

	b->items = (uintptr_t)items;
	b->nr = 1;
	b->item_size = item_size;
}

static void fill_alloc_batch(void *p)
{
	alloc_item = (struct hybrid_alloc_alloc_item){ .len = 3 * BLOCK };
	fill_batch(p, &alloc_item, sizeof(alloc_item));
}

static void undo_alloc_batch(void *p)
{
	(void)p;
	t_errno(ha_free(fd, alloc_item.extent.start, alloc_item.extent.len, NULL), 0,
		"FREE of what ALLOC_BATCH returned");
}

static void fill_free_batch(void *p)
{
	free_item = (struct hybrid_alloc_free_item){ .extent = live };
	fill_batch(p, &free_item, sizeof(free_item));
}

static void fill_claim_batch(void *p)
{
	free_item = (struct hybrid_alloc_free_item){ .extent = { .start = hole, .len = BLOCK } };
	fill_batch(p, &free_item, sizeof(free_item));
}

static struct hybrid_alloc_split_item split_item;
static struct hybrid_alloc_extend_item extend_item;

static void fill_split(void *p)
{
	split_item = (struct hybrid_alloc_split_item){
		.extent = live, .at = live.start + BLOCK,
	};
	fill_batch(p, &split_item, sizeof(split_item));
}

static void undo_split(void *p)
{
	t_errno((int)split_item.error ?: ha_free_part(fd, live.start, live.len, NULL), 0,
		"FREE_PART of what SPLIT made");
	undo_free(p);
}

static void fill_extend(void *p)
{
	extend_item = (struct hybrid_alloc_extend_item){ .extent = live, .more = BLOCK };
	fill_batch(p, &extend_item, sizeof(extend_item));
}

static void undo_extend(void *p)
{
	(void)p;
	t_errno((int)extend_item.error ?: ha_free_part(fd, live.start + live.len, BLOCK, NULL), 0,
		"FREE_PART of what EXTEND added");
}

static struct hybrid_alloc_extent many_extent;

static void fill_alloc_many(void *p)
{
	struct hybrid_alloc_many *m = p;

	m->items = (uintptr_t)&many_extent;
	m->nr = 1;
	m->item_size = sizeof(many_extent);
	m->len = 3 * BLOCK;
}

static void undo_alloc_many(void *p)
{
	(void)p;
	t_errno(ha_free(fd, many_extent.start, many_extent.len, NULL), 0,
		"FREE of what ALLOC_MANY returned");
}

static void fill_trim(void *p)
{
	struct hybrid_alloc_trim *t = p;

	t->start = hole;
	t->len = 16 * MIB;
}

static struct hybrid_alloc_map_entry map_entry;

static void fill_map(void *p)
{
	struct hybrid_alloc_map *m = p;

	m->items = (uintptr_t)&map_entry;
	m->nr = 1;
	m->item_size = sizeof(map_entry);
}

static void fill_claim(void *p)
{
	struct hybrid_alloc_claim *c = p;

	c->extent.start = hole;
	c->extent.len = BLOCK;
}

static void undo_claim(void *p)
{
	(void)p;
	t_errno(ha_free(fd, hole, BLOCK, NULL), 0, "FREE of what CLAIM marked");
}

static void fill_none(void *p)
{
	(void)p;
}

#define OFFSET(type, member)	offsetof(struct hybrid_alloc_##type, member)

static const struct command {
	const char *name;
	unsigned long nr;
	size_t size;
	int want;		/* of the valid call */
	bool control, changes, returns;
	size_t epoch, extent, reserved;		/* where, or 0 */
	void (*fill)(void *p);
	void (*undo)(void *p);
} commands[] = {
	{ "ATTACH", HYBRID_ALLOC_IOC_ATTACH, sizeof(struct hybrid_alloc_attach), 0,
	  true, true, true, 0, 0, 0, fill_attach, undo_attach },
	{ "DETACH", HYBRID_ALLOC_IOC_DETACH, sizeof(struct hybrid_alloc_detach), EBUSY,
	  true, true, false, 0, 0, OFFSET(detach, __reserved), fill_detach, NULL },
	{ "INFO (control)", HYBRID_ALLOC_IOC_INFO, sizeof(struct hybrid_alloc_info), 0,
	  true, false, true, 0, 0, 0, fill_info, NULL },
	{ "INFO", HYBRID_ALLOC_IOC_INFO, sizeof(struct hybrid_alloc_info), 0,
	  false, false, true, 0, 0, 0, fill_none, NULL },
	{ "ALLOC", HYBRID_ALLOC_IOC_ALLOC, sizeof(struct hybrid_alloc_alloc), 0,
	  false, true, true, OFFSET(alloc, epoch), OFFSET(alloc, extent), OFFSET(alloc, __reserved),
	  fill_alloc, undo_alloc },
	{ "FREE", HYBRID_ALLOC_IOC_FREE, sizeof(struct hybrid_alloc_free), 0,
	  false, true, true, OFFSET(free, epoch), OFFSET(free, extent), OFFSET(free, __reserved),
	  fill_free, undo_free },
	{ "CLAIM", HYBRID_ALLOC_IOC_CLAIM, sizeof(struct hybrid_alloc_claim), 0,
	  false, true, false, OFFSET(claim, epoch), OFFSET(claim, extent), 0,
	  fill_claim, undo_claim },
	{ "SEAL", HYBRID_ALLOC_IOC_SEAL, sizeof(struct hybrid_alloc_op), 0,
	  false, true, false, OFFSET(op, epoch), 0, 0, fill_none, NULL },
	{ "STAT", HYBRID_ALLOC_IOC_STAT, sizeof(struct hybrid_alloc_stat), 0,
	  false, false, true, OFFSET(stat, epoch), 0, 0, fill_none, NULL },
	{ "MAP", HYBRID_ALLOC_IOC_MAP, sizeof(struct hybrid_alloc_map), 0,
	  false, false, true, OFFSET(map, epoch), 0, OFFSET(map, __reserved), fill_map, NULL },
	{ "ALLOC_BATCH", HYBRID_ALLOC_IOC_ALLOC_BATCH, sizeof(struct hybrid_alloc_batch), 0,
	  false, true, true, OFFSET(batch, epoch), 0, 0, fill_alloc_batch, undo_alloc_batch },
	{ "FREE_BATCH", HYBRID_ALLOC_IOC_FREE_BATCH, sizeof(struct hybrid_alloc_batch), 0,
	  false, true, true, OFFSET(batch, epoch), 0, 0, fill_free_batch, undo_free },
	{ "CLAIM_BATCH", HYBRID_ALLOC_IOC_CLAIM_BATCH, sizeof(struct hybrid_alloc_batch), 0,
	  false, true, true, OFFSET(batch, epoch), 0, 0, fill_claim_batch, undo_claim },
	{ "SPLIT", HYBRID_ALLOC_IOC_SPLIT, sizeof(struct hybrid_alloc_batch), 0,
	  false, true, true, OFFSET(batch, epoch), 0, 0, fill_split, undo_split },
	{ "EXTEND", HYBRID_ALLOC_IOC_EXTEND, sizeof(struct hybrid_alloc_batch), 0,
	  false, true, true, OFFSET(batch, epoch), 0, 0, fill_extend, undo_extend },
	{ "KEEP", HYBRID_ALLOC_IOC_KEEP, sizeof(struct hybrid_alloc_batch), 0,
	  false, true, true, OFFSET(batch, epoch), 0, 0, fill_free_batch, NULL },
	{ "ALLOC_MANY", HYBRID_ALLOC_IOC_ALLOC_MANY, sizeof(struct hybrid_alloc_many), 0,
	  false, true, true, OFFSET(many, epoch), 0, OFFSET(many, __reserved),
	  fill_alloc_many, undo_alloc_many },
	{ "TRIM", HYBRID_ALLOC_IOC_TRIM, sizeof(struct hybrid_alloc_trim), 0,
	  false, true, true, OFFSET(trim, epoch), 0, 0, fill_trim, NULL },
	{ "GROW", HYBRID_ALLOC_IOC_GROW, sizeof(struct hybrid_alloc_grow), 0,
	  false, true, true, OFFSET(grow, epoch), 0, 0, fill_none, NULL },
	{ "CHECK", HYBRID_ALLOC_IOC_CHECK, sizeof(struct hybrid_alloc_op), 0,
	  false, false, false, OFFSET(op, epoch), 0, 0, fill_none, NULL },
	{ "WATCH", HYBRID_ALLOC_IOC_WATCH, sizeof(struct hybrid_alloc_watch), 0,
	  false, false, true, OFFSET(watch, epoch), 0, 0, fill_none, NULL },
	{ "RESERVE", HYBRID_ALLOC_IOC_RESERVE, sizeof(struct hybrid_alloc_reserve), 0,
	  false, true, true, OFFSET(reserve, epoch), 0, 0, fill_none, NULL },
	{ "UNRESERVE", HYBRID_ALLOC_IOC_UNRESERVE, sizeof(struct hybrid_alloc_reserve), 0,
	  false, true, true, OFFSET(reserve, epoch), 0, 0, fill_none, NULL },
	/* last: it moves space from the pools, and what follows compares */
	{ "DRAIN", HYBRID_ALLOC_IOC_DRAIN, sizeof(struct hybrid_alloc_op), 0,
	  false, true, false, OFFSET(op, epoch), 0, 0, fill_none, NULL },
};

/* Of the structure in its first version, if it has grown since. */
static size_t first_size(const struct command *c)
{
	switch (c->nr) {
	case HYBRID_ALLOC_IOC_INFO:
		return OFFSET(info, user);
	case HYBRID_ALLOC_IOC_ALLOC:
		return OFFSET(alloc, goal);
	case HYBRID_ALLOC_IOC_ALLOC_MANY:
		return OFFSET(many, min);
	case HYBRID_ALLOC_IOC_STAT:
		return OFFSET(stat, run_count);
	default:
		return 0;
	}
}

static void *valid(const struct command *c, void *buf)
{
	u32 size = c->size;

	memset(buf, 0, c->size);
	c->fill(buf);
	memcpy(buf, &size, sizeof(size));
	return buf;
}

static void not_zero(int f, const struct command *c, size_t off, const char *what)
{
	char buf[2048], how[64];
	int err;

	valid(c, buf);
	buf[off] = 1;
	snprintf(how, sizeof(how), "%s is not zero", what);
	err = ha_ioctl(f, c->nr, buf);
	t_refused(err, EINVAL, c->name, how);
	if (!err && c->undo) {
		c->undo(buf);
		t_remember(fd);
	}
}

static void test_malformed(const struct command *c)
{
	static const u32 small[] = { 0, 1, 3, 4, 8 };
	int f = c->control ? ctl : fd, f_ro = c->control ? ctl_ro : fd_ro, err;
	char buf[2048] = {}, how[64], *p;
	u32 size, flags;
	size_t i;

	valid(c, buf);
	err = ha_ioctl(f, c->nr, buf);
	t_errno(err, c->want, "%s: the valid call", c->name);
	if (!err && c->undo)
		c->undo(buf);

	/* a caller that is newer than the kernel */
	memset(buf, 0, sizeof(buf));
	valid(c, buf);
	size = c->size + 64;
	memcpy(buf, &size, sizeof(size));
	err = ha_ioctl(f, c->nr, buf);
	t_errno(err, c->want, "%s: 64 bytes longer, all zero", c->name);
	if (!err && c->undo)
		c->undo(buf);

	t_remember(fd);
	for (i = 0; i < 64; i += 21) {
		memset(buf, 0, sizeof(buf));
		valid(c, buf);
		memcpy(buf, &size, sizeof(size));
		buf[c->size + i] = 1;
		snprintf(how, sizeof(how), "unknown byte %zu is not zero", i);
		t_refused(ha_ioctl(f, c->nr, buf), E2BIG, c->name, how);
	}
	memcpy(buf + 4, &(u32){ 1U << 31 }, 4);
	t_refused(ha_ioctl(f, c->nr, buf), E2BIG, c->name, "unknown byte before unknown flag");

	for (i = 0; i < ARRAY_SIZE(small); i++) {
		valid(c, buf);
		memcpy(buf, &small[i], sizeof(small[i]));
		snprintf(how, sizeof(how), "size is %u", small[i]);
		t_refused(ha_ioctl(f, c->nr, buf), EINVAL, c->name, how);
	}
	size = (first_size(c) ?: c->size) - 1;
	valid(c, buf);
	memcpy(buf, &size, sizeof(size));
	t_refused(ha_ioctl(f, c->nr, buf), EINVAL, c->name, "size one too small");

	if (first_size(c)) {
		/* a caller that is older than the kernel */
		memset(buf, 0, sizeof(buf));
		valid(c, buf);
		size = first_size(c);
		memcpy(buf, &size, sizeof(size));
		memset(buf + size, 0xee, sizeof(buf) - size);
		err = ha_ioctl(f, c->nr, buf);
		for (i = size; i < sizeof(buf) && buf[i] == (char)0xee; i++)
			;
		t_ok(!err && i == sizeof(buf), "%s: first size works, nothing behind it is touched",
		     c->name);
		if (!err && c->undo)
			c->undo(buf);
		t_remember(fd);
	}

	for (i = 4; i < 32; i += 9) {
		valid(c, buf);
		memcpy(&flags, buf + 4, sizeof(flags));
		flags |= 1U << i;
		memcpy(buf + 4, &flags, sizeof(flags));
		snprintf(how, sizeof(how), "unknown flag %zu", i);
		t_refused(ha_ioctl(f, c->nr, buf), EINVAL, c->name, how);
		if (!c->changes)
			continue;
		t_refused(ha_ioctl(f_ro, c->nr, buf), EINVAL, c->name,
			  "unknown flag before read-only file");
	}
	/* the highest byte: a check that looks at the low half is none */
	if (c->extent) {
		not_zero(f, c, c->extent + OFFSET(extent, cookie) + 7, "cookie");
		not_zero(f, c, c->extent + OFFSET(extent, flags) + 3, "flags of the extent");
		not_zero(f, c, c->extent + OFFSET(extent, domain) + 3, "domain");
	}
	if (c->reserved)
		not_zero(f, c, c->reserved + 3, "__reserved");

	t_refused(ha_ioctl(f, c->nr, NULL), EFAULT, c->name, "NULL");
	t_refused(ha_ioctl(f, c->nr, guarded + page), EFAULT, c->name, "no memory there");
	p = guarded + page - 4;
	memcpy(p, &(u32){ c->size }, 4);
	t_refused(ha_ioctl(f, c->nr, p), EFAULT, c->name, "memory ends behind the size");
	p = guarded + page - c->size + 8;
	memcpy(p, valid(c, buf), c->size - 8);
	t_refused(ha_ioctl(f, c->nr, p), EFAULT, c->name, "memory ends within the structure");
	if (c->returns) {
		mprotect(readonly, page, PROT_READ | PROT_WRITE);
		valid(c, readonly);
		mprotect(readonly, page, PROT_READ);
		t_refused(ha_ioctl(f, c->nr, readonly), EFAULT, c->name, "read-only memory");
	}

	valid(c, buf);
	if (c->changes) {
		t_refused(ha_ioctl(f_ro, c->nr, buf), EBADF, c->name, "file is open read-only");
		if (c->epoch) {
			memcpy(buf + c->epoch, &(u64){ BAD_EPOCH }, 8);
			t_refused(ha_ioctl(f_ro, c->nr, buf), EBADF, c->name,
				  "read-only file before stale epoch");
		}
	} else {
		t_errno(ha_ioctl(f_ro, c->nr, buf), 0, "%s: works on a read-only file",
			c->name);
	}
	if (c->epoch) {
		valid(c, buf);
		memcpy(buf + c->epoch, &(u64){ BAD_EPOCH }, 8);
		t_refused(ha_ioctl(f, c->nr, buf), ESTALE, c->name, "stale epoch");
		valid(c, buf);
		memcpy(buf + c->epoch, &epoch, 8);
		err = ha_ioctl(f, c->nr, buf);
		t_errno(err, c->want, "%s: the instance's epoch", c->name);
		if (!err && c->undo)
			c->undo(buf);
	}
}

static void test_commands(void)
{
	static const struct {
		unsigned long nr;
		const char *name;
	} unknown[] = {
		{ 0, "number 0 of no type" },
		{ _IO(HYBRID_ALLOC_IOC_TYPE, 0x03), "an unknown number" },
		{ _IO(HYBRID_ALLOC_IOC_TYPE, 0xff), "the last number" },
		{ _IO(HYBRID_ALLOC_IOC_TYPE ^ 1, 0x02), "another type" },
		{ _IOWR(HYBRID_ALLOC_IOC_TYPE, 0x02, struct hybrid_alloc_info),
		  "INFO with a size and direction in the number" },
	};
	size_t i;

	t_remember(fd);
	for (i = 0; i < ARRAY_SIZE(unknown); i++) {
		/* a bad pointer and a read-only file: the command comes first */
		t_refused(ha_ioctl(fd_ro, unknown[i].nr, NULL), ENOTTY, unknown[i].name,
			  "on the instance");
		t_refused(ha_ioctl(ctl_ro, unknown[i].nr, NULL), ENOTTY, unknown[i].name,
			  "on the control node");
	}
	/* in a table, an empty entry looks like a call of this number, size and flags */
	t_refused(ha_ioctl(fd_ro, 0, &(struct hybrid_alloc_info){ 0 }), ENOTTY, "number 0",
		  "with a structure of 0 bytes");
	t_refused(ha_ioctl(ctl_ro, 0, &(struct hybrid_alloc_info){ 0 }), ENOTTY, "number 0",
		  "with a structure of 0 bytes, on the control node");
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (commands[i].nr == HYBRID_ALLOC_IOC_INFO)
			continue;
		t_refused(ha_ioctl(commands[i].control ? fd : ctl, commands[i].nr, NULL),
			  ENOTTY, commands[i].name, "on the wrong kind of node");
	}
}

static void test_info(void)
{
	struct hybrid_alloc_info i, j;
	struct hybrid_alloc_stat st = ha_stat(fd, 0);
	static const __u8 zero[16];
	struct stat sb;
	char path[64];
	int err;

	err = ha_info(fd, 0, 0, &i);
	t_errno(err, 0, "INFO on the instance");
	t_eq(i.id, main_id, "INFO: the number");
	t_eq(i.state, 0, "INFO: neither sealed nor gone");
	t_ok(memcmp(i.uuid, zero, 16), "INFO: the UUID is not zero");
	t_ok(i.epoch, "INFO: the epoch is not zero");
	t_eq(i.min_block, BLOCK, "INFO: min_block");
	t_eq(i.slab_max, MIB / 2, "INFO: slab_max");
	t_eq(i.buddy_start, MIB, "INFO: buddy_start");
	t_eq(i.max_block, 0, "INFO: max_block");
	t_ok(!(i.range_start % BLOCK) && !(i.range_len % BLOCK) && i.range_len,
	     "INFO: the range is whole blocks");
	t_eq(i.range_len, st.capacity - st.unusable, "INFO and STAT: the same capacity");
	i.disk[sizeof(i.disk) - 1] = 0;
	snprintf(path, sizeof(path), "/dev/%s", (char *)i.disk);
	t_ok(!stat(path, &sb) && S_ISBLK(sb.st_mode) &&
	     major(sb.st_rdev) == i.dev_major && minor(sb.st_rdev) == i.dev_minor,
	     "INFO: disk %s is %u:%u", path, i.dev_major, i.dev_minor);

	t_errno(ha_info(ctl, 0, main_id, &j), 0, "INFO on the control node");
	t_ok(!memcmp(&i, &j, sizeof(i)), "INFO: both nodes say the same");
	t_errno(ha_info(ctl_ro, HYBRID_ALLOC_INFO_NEXT, 0, &j), 0, "INFO: the first instance");
	t_eq(j.id, main_id, "INFO: its number");
	t_errno(ha_info(ctl, HYBRID_ALLOC_INFO_NEXT, main_id + 1, NULL), ENODEV,
		"INFO: none behind the last");
	t_errno(ha_info(ctl, 0, main_id + 1, NULL), ENODEV, "INFO: no such instance");
	t_errno(ha_info(ctl, 0, ~0U, NULL), ENODEV, "INFO: instance 2^32 - 1");
	t_errno(ha_info(ctl, HYBRID_ALLOC_INFO_NEXT, ~0U, NULL), ENODEV,
		"INFO: next from 2^32 - 1");
	t_errno(ha_info(fd, HYBRID_ALLOC_INFO_NEXT, 0, NULL), EINVAL,
		"INFO: NEXT is a flag of the control node");
}

enum nobody {
	ATTACH, DETACH, CHECK
};

static int as_nobody(bool userns, enum nobody what);

static void test_check(void)
{
	struct hybrid_alloc_op op = { .size = sizeof(op), .epoch = BAD_EPOCH };
	int ret;

	t_errno(as_nobody(false, CHECK), EPERM, "CHECK without CAP_SYS_ADMIN");
	ret = as_nobody(true, CHECK);
	if (ret == 255)
		t_skip("CHECK as root of a user namespace", "the kernel has none");
	else
		t_errno(ret, EPERM, "CHECK as root of a user namespace");
	t_errno(ha_ioctl(fd, HYBRID_ALLOC_IOC_CHECK, &op), ESTALE, "CHECK with a stale epoch");
	t_errno(ha_op(fd_ro, HYBRID_ALLOC_IOC_CHECK), 0, "CHECK finds nothing wrong");
}

static void test_stat(void)
{
	struct {
		struct hybrid_alloc_stat st;
		u64 tail;
	} s = { .st.size = sizeof(s) };
	struct hybrid_alloc_stat st;

	t_errno(ha_ioctl(fd, HYBRID_ALLOC_IOC_STAT, &s), 0, "STAT of a newer caller");
	t_ok(s.st.capacity && !s.tail, "STAT fills what it knows and no more");
	st = ha_stat(fd, HYBRID_ALLOC_STAT_RUNS);
	t_ok(st.nr_free_runs && st.largest_free_run, "STAT_RUNS counts the free runs");
	t_ok(t_identity(&st, "STAT"), "STAT: the accounting identity");
	t_ok(st.metadata && st.percpu, "STAT: metadata costs memory");
}

static void test_alloc(void)
{
	static const struct {
		const char *how;
		u64 len, align;
		int want;
	} bad[] = {
		{ "len 0", 0, 0, EINVAL },
		{ "align 3", BLOCK, 3, EINVAL },
		{ "align 4097", BLOCK, 4097, EINVAL },
		{ "align 2^64 - 1", BLOCK, ~0ULL, EINVAL },
		{ "align 3 and len 2^64 - 1", ~0ULL, 3, EINVAL },
		{ "len 2^64 - 1, which wraps when it is rounded", ~0ULL, 0, EFBIG },
		{ "len 2^64 - 4096", -BLOCK, 0, EFBIG },
		{ "len 2^63", 1ULL << 63, 0, EFBIG },
		{ "len 2^44", 1ULL << 44, 0, EFBIG },
	};
	static const u64 sizes[] = { 1, 4095, 4096, 4097, 65535, 65537, MIB - 1, MIB, MIB + 1,
				     5 * MIB + 1 };
	struct hybrid_alloc_extent e, f;
	u64 rounded, align;
	size_t i;
	int err;

	t_remember(fd);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		t_refused(ha_alloc(fd, bad[i].len, bad[i].align, NULL), bad[i].want, "ALLOC",
			  bad[i].how);
	t_refused(ha_alloc(fd, capacity + 1, 0, NULL), EFBIG, "ALLOC",
		  "one byte more than the managed range");

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		rounded = (sizes[i] + BLOCK - 1) / BLOCK * BLOCK;
		err = ha_alloc(fd, sizes[i], 0, &e);
		t_ok(!err && e.len == rounded && !(e.start % BLOCK) && !e.cookie &&
		     !e.flags && !e.domain && e.start >= range_start &&
		     e.start + e.len <= range_start + capacity,
		     "ALLOC of %llu bytes gives %llu, inside the range", sizes[i], rounded);
		if (err)
			continue;
		err = ha_claim(fd, e.start, BLOCK);
		t_errno(err, EEXIST, "what was allocated is taken");
		/* a size that rounds up to the length will do */
		err = ha_free(fd, e.start, sizes[i], NULL);
		t_errno(err, 0, "FREE with the size that was asked for");
	}
	for (align = 1; align <= 64 * MIB; align <<= 1) {
		err = ha_alloc(fd, 3 * BLOCK, align, &e);
		if (!err)
			err = ha_alloc(fd, BLOCK, align, &f);
		t_ok(!err && !(e.start % align) && !(f.start % align) && e.start != f.start,
		     "ALLOC aligned to %llu", align);
		if (err)
			t_die("ALLOC aligned: %s", t_strerror(err));
		ha_free(fd, e.start, e.len, NULL);
		ha_free(fd, f.start, f.len, NULL);
	}
}

/* @live is three blocks long and has a live extent right behind it. */
static void test_free(void)
{
	struct hybrid_alloc_extent behind;
	u64 end = range_start + capacity;
	struct {
		const char *how;
		u64 start, len;
		int want;
		u32 reason;
	} bad[] = {
		{ "never allocated", hole, BLOCK,
		  ENOENT, HYBRID_ALLOC_REASON_NOT_ALLOCATED },
		{ "never allocated, long", hole, 2 * BLOCK,
		  ENOENT, HYBRID_ALLOC_REASON_NOT_ALLOCATED },
		{ "second block", live.start + BLOCK, 2 * BLOCK,
		  EINVAL, HYBRID_ALLOC_REASON_WRONG_START },
		{ "inside", live.start + BLOCK, BLOCK,
		  EINVAL, HYBRID_ALLOC_REASON_WRONG_START },
		{ "from inside over the end", live.start + BLOCK, 3 * BLOCK,
		  EINVAL, HYBRID_ALLOC_REASON_WRONG_START },
		{ "a block too short", live.start, 2 * BLOCK,
		  EINVAL, HYBRID_ALLOC_REASON_WRONG_LENGTH },
		{ "a block too long", live.start, 4 * BLOCK,
		  EINVAL, HYBRID_ALLOC_REASON_WRONG_LENGTH },
		{ "a byte too long", live.start, 3 * BLOCK + 1,
		  EINVAL, HYBRID_ALLOC_REASON_WRONG_LENGTH },
		{ "two extents", live.start, 6 * BLOCK,
		  EINVAL, HYBRID_ALLOC_REASON_WRONG_LENGTH },
		{ "all to the end", live.start, end - live.start,
		  EINVAL, HYBRID_ALLOC_REASON_WRONG_LENGTH },
		{ "unaligned start", live.start + 512, 3 * BLOCK,
		  EINVAL, HYBRID_ALLOC_REASON_UNALIGNED },
		{ "start off by one", live.start + 1, 3 * BLOCK,
		  EINVAL, HYBRID_ALLOC_REASON_UNALIGNED },
		{ "len 0", live.start, 0,
		  EINVAL, HYBRID_ALLOC_REASON_ZERO_LENGTH },
		{ "at the end", end, BLOCK,
		  ERANGE, HYBRID_ALLOC_REASON_OUT_OF_RANGE },
		{ "over the end", end - BLOCK, 2 * BLOCK,
		  ERANGE, HYBRID_ALLOC_REASON_OUT_OF_RANGE },
		{ "far behind the end", 1ULL << 62, BLOCK,
		  ERANGE, HYBRID_ALLOC_REASON_OUT_OF_RANGE },
		{ "the last block of 64 bits", -BLOCK, BLOCK,
		  ERANGE, HYBRID_ALLOC_REASON_OUT_OF_RANGE },
		{ "start + len wraps to 0", hole, -hole,
		  ERANGE, HYBRID_ALLOC_REASON_OUT_OF_RANGE },
		{ "start + len wraps into the extent", -BLOCK, live.start + 2 * BLOCK,
		  ERANGE, HYBRID_ALLOC_REASON_OUT_OF_RANGE },
		{ "len 2^64 - 1, which wraps when it is rounded", live.start, ~0ULL,
		  ERANGE, HYBRID_ALLOC_REASON_OUT_OF_RANGE },
		{ "len 2^64 - 4095, which rounds to 0", live.start, 1 - BLOCK,
		  ERANGE, HYBRID_ALLOC_REASON_OUT_OF_RANGE },
	};
	struct hybrid_alloc_stat st;
	u32 reason;
	size_t i;
	int err;

	/* neighbours: claimed, so that nothing is left to the allocator's taste */
	if (ha_claim(fd, live.start + live.len, live.len))
		t_note("the space behind is taken already, which serves as well");
	behind = (struct hybrid_alloc_extent){ .start = live.start + live.len, .len = live.len };

	t_remember(fd);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		u64 count = t_before.refused_frees[bad[i].reason];

		err = ha_free(fd, bad[i].start, bad[i].len, &reason);
		st = ha_stat(fd, 0);
		t_refused(err, bad[i].want, "FREE", bad[i].how);
		if (!t_ok(reason == bad[i].reason && st.refused_frees[reason] == count + 1,
			  "FREE: %s: reason %u, which is counted", bad[i].how,
			  bad[i].reason))
			t_note("got reason %u; counter was %llu, is %llu", reason, count,
			       st.refused_frees[bad[i].reason]);
	}
	if (range_start) {
		err = ha_free(fd, 0, BLOCK, &reason);
		t_refused(err, ERANGE, "FREE", "before the range");
	}
	err = ha_free(fd, live.start, live.len, &reason);
	t_ok(!err && !reason, "FREE: after all that the right one");
	t_remember(fd);
	err = ha_free(fd, live.start, live.len, &reason);
	t_refused(err, ENOENT, "FREE", "a second time");
	ha_free(fd, behind.start, behind.len, NULL);
	undo_free(NULL);
}

static void test_claim(void)
{
	u64 end = range_start + capacity;
	struct {
		const char *how;
		u64 start, len;
		int want;
	} bad[] = {
		{ "len 0", hole, 0, EINVAL },
		{ "unaligned start", hole + 512, BLOCK, EINVAL },
		{ "at the end", end, BLOCK, ERANGE },
		{ "over the end", end - BLOCK, 2 * BLOCK, ERANGE },
		{ "the last block of 64 bits", -BLOCK, BLOCK, ERANGE },
		{ "start + len wraps to 0", hole, -hole, ERANGE },
		{ "len wraps when it is rounded", hole, ~0ULL, ERANGE },
		{ "just what is taken", live.start, live.len, EEXIST },
		{ "its first block", live.start, BLOCK, EEXIST },
		{ "its second block", live.start + BLOCK, BLOCK, EEXIST },
		{ "its last block and more", live.start + 2 * BLOCK, 4 * BLOCK, EEXIST },
		{ "more than it", live.start, 1000 * BLOCK, EEXIST },
		{ "all of the device", range_start, capacity, EEXIST },
	};
	struct hybrid_alloc_extent e;
	size_t i;
	int err;

	ha_op(fd, HYBRID_ALLOC_IOC_DRAIN);	/* a failed claim may drain */
	t_remember(fd);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		t_refused(ha_claim(fd, bad[i].start, bad[i].len), bad[i].want, "CLAIM",
			  bad[i].how);

	t_errno(ha_claim(fd, hole, 5 * BLOCK - 1), 0, "CLAIM rounds up");
	t_errno(ha_free(fd, hole, 4 * BLOCK, NULL), EINVAL, "a claim's length is its own");
	t_errno(ha_free(fd, hole, 5 * BLOCK, NULL), 0, "a claim is freed as an extent");
	t_errno(ha_claim(fd, end - BLOCK, BLOCK), 0, "CLAIM of the last block");
	t_errno(ha_free(fd, end - BLOCK, BLOCK, NULL), 0, "FREE of the last block");

	/* what sits in a pool is free to be claimed */
	err = ha_alloc(fd, BLOCK, 0, &e) ?: ha_free(fd, e.start, e.len, NULL) ?:
	      ha_claim(fd, e.start, e.len);
	t_errno(err, 0, "CLAIM of a block that was freed just before");
	t_errno(ha_free(fd, e.start, e.len, NULL), 0, "and FREE of it");
	err = ha_alloc(fd, 4 * MIB, 0, &e) ?: ha_free(fd, e.start, e.len, NULL) ?:
	      ha_claim(fd, e.start + BLOCK, 2 * MIB);
	t_errno(err, 0, "CLAIM inside 4 MiB that were freed just before");
	t_errno(ha_free(fd, e.start + BLOCK, 2 * MIB, NULL), 0, "and FREE of it");
}

static void test_full(void)
{
	struct hybrid_alloc_extent e;
	int err;

	err = ha_free(fd, live.start, live.len, NULL);
	t_errno(err, 0, "FREE of the last live extent");
	err = ha_alloc(fd, capacity, 0, &e);
	t_errno(err, 0, "ALLOC of all there is, with pools that hold something");
	if (err)
		t_die("ALLOC of everything");
	t_ok(e.start == range_start && e.len == capacity, "which is the whole range");
	t_remember(fd);
	t_refused(ha_alloc(fd, BLOCK, 0, NULL), ENOSPC, "ALLOC", "a block of a full device");
	t_refused(ha_alloc(fd, 4 * MIB, 0, NULL), ENOSPC, "ALLOC", "4 MiB of a full device");
	t_refused(ha_alloc(fd, 68 * KIB, 0, NULL), ENOSPC, "ALLOC", "68 KiB of a full device");
	t_refused(ha_alloc(fd, capacity, 0, NULL), ENOSPC, "ALLOC", "a full device's size");
	t_errno(ha_free(fd, e.start, e.len, NULL), 0, "FREE of everything");
	undo_free(NULL);
}

/* Whenever the call says EFAULT, nothing is allocated. */
static void test_copy_out_race(void)
{
	int err, faults = 0, leaks = 0, odd = 0;
	struct hybrid_alloc_alloc *a;
	struct t_flip flip;
	u64 charged;
	double end;

	charged = ha_stat(fd, 0).charged;
	t_flip_start(&flip, page);
	a = flip.same;
	for (end = t_now() + 3; t_now() < end || !faults;) {
		*a = (struct hybrid_alloc_alloc){ .size = sizeof(*a), .len = 2 * BLOCK };
		err = ha_ioctl(fd, HYBRID_ALLOC_IOC_ALLOC, flip.mem);
		if (!err) {
			if (ha_free(fd, a->extent.start, a->extent.len, NULL))
				odd++;
			continue;
		}
		if (err != EFAULT)
			odd++;
		faults++;
		leaks += ha_stat(fd, 0).charged != charged;
	}
	t_flip_stop(&flip);
	t_note("%d calls got EFAULT", faults);
	t_ok(faults, "ALLOC meets memory that turns read-only");
	t_eq(leaks, 0, "EFAULT from ALLOC leaves nothing allocated");
	t_eq(odd, 0, "nothing but success and EFAULT");
}

static int attach_fd(int bdev, u32 flags, const struct hybrid_alloc_attach *with, u32 *id)
{
	struct hybrid_alloc_attach a = with ? *with : (struct hybrid_alloc_attach){};
	int err;

	a.size = sizeof(a);
	a.flags = flags;
	a.fd = bdev;
	err = ha_ioctl(ctl, HYBRID_ALLOC_IOC_ATTACH, &a);
	if (id)
		*id = a.id;
	else if (!err)
		ha_detach(a.id, 0);
	return err;
}

/* A refused attach: the errno, no instance, no hold on the disk. */
static void attach_refused(int got, int want, const char *how)
{
	bool none = ha_info(ctl, HYBRID_ALLOC_INFO_NEXT, main_id + 1, NULL) == ENODEV;
	bool ok = t_ok(got == want && none, "ATTACH: %s: %s, and no instance", how,
		       t_strerror(want));

	if (!ok)
		t_note("got %s%s", t_strerror(got), none ? "" : ", and an instance");
}

/* ATTACH, or a forced DETACH of what others use */
static int as_nobody(bool userns, enum nobody what)
{
	struct hybrid_alloc_detach d = {
		.size = sizeof(d), .flags = HYBRID_ALLOC_DETACH_FORCE, .id = main_id,
	};
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (userns ? unshare(CLONE_NEWUSER) : setresuid(65534, 65534, 65534))
			_exit(255);
		if (what == CHECK)
			_exit(ha_op(fd, HYBRID_ALLOC_IOC_CHECK));
		if (what == DETACH)
			_exit(ha_ioctl(ctl, HYBRID_ALLOC_IOC_DETACH, &d));
		_exit(attach_fd(spare_bdev, HYBRID_ALLOC_ATTACH_FRESH, NULL, NULL));
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static void test_attach(void)
{
	static const struct {
		const char *how;
		struct hybrid_alloc_attach a;
		int want;
	} bad[] = {
#define A(...)	{ __VA_ARGS__ }
		{ "empty range at the end", A(.range_start = SPARE_MIB * MIB), EINVAL },
		{ "range starts at the end",
		  A(.range_start = SPARE_MIB * MIB, .range_len = MIB), ERANGE },
		{ "range starts behind the end", A(.range_start = 1ULL << 60), ERANGE },
		{ "range too long", A(.range_start = MIB, .range_len = SPARE_MIB * MIB), ERANGE },
		{ "range one byte too long", A(.range_len = SPARE_MIB * MIB + 1), ERANGE },
		{ "range wraps", A(.range_start = MIB, .range_len = -MIB), ERANGE },
		{ "range wraps to inside", A(.range_start = 2 * MIB, .range_len = -MIB), ERANGE },
		{ "range of half a block", A(.range_len = 2048), EINVAL },
		{ "min_block 4097", A(.min_block = 4097), EINVAL },
		{ "min_block 12 KiB", A(.min_block = 12 * KIB), EINVAL },
		{ "min_block 2^63", A(.min_block = 1ULL << 63), EINVAL },
		{ "min_block larger than buddy_start", A(.min_block = 2 * MIB), EINVAL },
		{ "slab_max 3 MiB", A(.slab_max = 3 * MIB), EINVAL },
		{ "buddy_start 3 MiB", A(.buddy_start = 3 * MIB), EINVAL },
		{ "buddy_start less than min_block", A(.buddy_start = 2048), EINVAL },
#undef A
	};
	struct hybrid_alloc_attach a;
	struct hybrid_alloc_extent e;
	struct hybrid_alloc_info info;
	struct hybrid_alloc_stat st;
	int other, null, file, err, inst;
	u32 id;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		attach_refused(attach_fd(spare_bdev, HYBRID_ALLOC_ATTACH_FRESH, &bad[i].a, NULL),
			       bad[i].want, bad[i].how);
	attach_refused(attach_fd(-1, HYBRID_ALLOC_ATTACH_FRESH, NULL, NULL), EBADF, "fd -1");
	attach_refused(attach_fd(1000, HYBRID_ALLOC_ATTACH_FRESH, NULL, NULL), EBADF,
		       "an fd that is not open");
	other = open(SPARE_DEV, O_RDONLY);
	attach_refused(attach_fd(other, HYBRID_ALLOC_ATTACH_FRESH, NULL, NULL), EBADF,
		       "fd open for reading only");
	close(other);
	other = open(SPARE_DEV, O_WRONLY);
	attach_refused(attach_fd(other, HYBRID_ALLOC_ATTACH_FRESH, NULL, NULL), EBADF,
		       "fd open for writing only");
	close(other);
	null = open("/dev/null", O_RDWR);
	attach_refused(attach_fd(null, HYBRID_ALLOC_ATTACH_FRESH, NULL, NULL), ENOTBLK,
		       "a character device");
	close(null);
	file = memfd_create("file", 0);
	attach_refused(attach_fd(file, HYBRID_ALLOC_ATTACH_FRESH, NULL, NULL), ENOTBLK, "a file");
	close(file);
	attach_refused(attach_fd(ctl, HYBRID_ALLOC_ATTACH_FRESH, NULL, NULL), ENOTBLK,
		       "the control node itself");
	attach_refused(as_nobody(false, ATTACH), EPERM, "without CAP_SYS_ADMIN");
	attach_refused(as_nobody(true, ATTACH), EPERM, "with CAP_SYS_ADMIN in another namespace");
	t_errno(as_nobody(false, DETACH), EPERM, "DETACH without CAP_SYS_ADMIN");

	other = open(SPARE_DEV, O_RDWR | O_EXCL);
	attach_refused(attach_fd(spare_bdev, HYBRID_ALLOC_ATTACH_FRESH, NULL, NULL), EBUSY,
		       "the disk is open exclusively");
	close(other);
	ioctl(spare_bdev, BLKROSET, &(int){ 1 });
	attach_refused(attach_fd(spare_bdev, HYBRID_ALLOC_ATTACH_FRESH, NULL, NULL), EROFS,
		       "the disk is read-only");
	ioctl(spare_bdev, BLKROSET, &(int){ 0 });

	/* after all that nobody holds it */
	t_ok(t_disk_is_free(SPARE_DEV), "ATTACH: refusals leave no hold on the disk");

	a = (struct hybrid_alloc_attach){ .range_start = MIB + 512, .range_len = 8 * MIB,
					  .max_block = 2 * MIB };
	err = attach_fd(spare_bdev, HYBRID_ALLOC_ATTACH_FRESH, &a, &id);
	t_errno(err, 0, "ATTACH of a range that is not aligned");
	if (err)
		t_die("ATTACH");
	t_errno(attach_fd(spare_bdev, HYBRID_ALLOC_ATTACH_FRESH, NULL, NULL), EBUSY,
		"ATTACH: the disk is attached already");
	t_ok(!t_disk_is_free(SPARE_DEV), "ATTACH holds the disk");
	inst = ha_must_open(id, O_RDWR);
	ha_info(inst, 0, 0, &info);
	t_ok(info.range_start == MIB + BLOCK && info.range_len == 8 * MIB - BLOCK &&
	     info.max_block == 2 * MIB, "INFO: the range is made of whole blocks inside it");
	st = ha_stat(inst, 0);
	t_ok(t_identity(&st, "unaligned") &&
	     st.capacity - st.unusable == info.range_len,
	     "STAT: what is no whole block is unusable");
	t_errno(ha_alloc(inst, 2 * MIB + 1, 0, NULL), EFBIG, "ALLOC more than max_block: EFBIG");
	t_errno(ha_alloc(inst, 2 * MIB, 0, &e), 0, "ALLOC of max_block");
	t_ok(e.start >= MIB + BLOCK && e.start + e.len <= 9 * MIB + 512,
	     "ALLOC stays inside the range");
	t_errno(ha_free(inst, 0, BLOCK, NULL), ERANGE, "FREE before the range: ERANGE");
	t_errno(ha_claim(inst, MIB, BLOCK), ERANGE, "CLAIM before the range: ERANGE");
	t_errno(ha_free(inst, e.start, e.len, NULL), 0, "FREE");
	err = ha_alloc(inst, BLOCK, MIB, &e);
	t_ok(!err && !(e.start % MIB), "alignment is that of the device, not of the range");
	ha_free(inst, e.start, e.len, NULL);
	close(inst);
	t_errno(ha_detach(id, 0), 0, "DETACH");
	t_errno(ha_detach(id, 0), ENODEV, "DETACH a second time");
	t_errno(ha_detach(~0U, HYBRID_ALLOC_DETACH_FORCE), ENODEV, "DETACH of instance 2^32 - 1");
	t_ok(t_disk_is_free(SPARE_DEV), "DETACH gives the disk back");
}

static void test_attach_disks(void)
{
	int bdev, err;

	t_nullb_make("hat-zone", (struct t_disk_opts){ .mib = 1024, .zoned = true });
	bdev = open("/dev/hat-zone", O_RDWR);
	attach_refused(attach_fd(bdev, HYBRID_ALLOC_ATTACH_FRESH, NULL, NULL), EOPNOTSUPP,
		       "a zoned disk");
	close(bdev);
	t_nullb_remove("hat-zone");

	t_nullb_make("hat-4k", (struct t_disk_opts){ .mib = 64, .blocksize = 4096 });
	bdev = open("/dev/hat-4k", O_RDWR);
	attach_refused(attach_fd(bdev, HYBRID_ALLOC_ATTACH_FRESH,
				 &(struct hybrid_alloc_attach){ .min_block = 512 }, NULL),
		       EINVAL, "min_block smaller than the logical block");
	t_errno(attach_fd(bdev, HYBRID_ALLOC_ATTACH_FRESH, NULL, NULL), 0,
		"ATTACH of a disk with 4 KiB blocks");

	t_nullb_power_off("hat-4k");
	attach_refused(attach_fd(bdev, HYBRID_ALLOC_ATTACH_FRESH, NULL, NULL), ENODEV,
		       "the disk went away");
	close(bdev);
	t_nullb_remove("hat-4k");

	t_nullb_make("hat-fs", (struct t_disk_opts){ .mib = 16, .memory = true });
	bdev = open("/dev/hat-fs", O_RDWR);
	mkdir("/tmp", 0755);
	mkdir("/tmp/hat-fs", 0755);
	if (system("mke2fs /dev/hat-fs >/dev/null 2>&1"))
		t_die("mke2fs");
	if (mount("/dev/hat-fs", "/tmp/hat-fs", "ext4", 0, NULL) &&
	    mount("/dev/hat-fs", "/tmp/hat-fs", "ext2", 0, NULL))
		t_die("mount");
	err = attach_fd(bdev, HYBRID_ALLOC_ATTACH_FRESH, NULL, NULL);
	attach_refused(err, EBUSY, "a mounted disk");
	umount("/tmp/hat-fs");
	t_errno(attach_fd(bdev, 0, NULL, NULL), 0, "ATTACH once it is not mounted any more");
	close(bdev);
	t_nullb_remove("hat-fs");
}

static void test_sealed(void)
{
	struct hybrid_alloc_alloc a = { .size = sizeof(a), .epoch = BAD_EPOCH, .len = BLOCK };
	struct hybrid_alloc_info info;
	struct hybrid_alloc_extent e;
	u32 id = ha_must_attach(SPARE_DEV, 0);
	int inst = ha_must_open(id, O_RDWR), ro = ha_must_open(id, O_RDONLY);

	ha_info(inst, 0, 0, &info);
	t_eq(info.state, HYBRID_ALLOC_STATE_SEALED, "rebuild mode: sealed");
	t_errno(ha_alloc(inst, BLOCK, 0, NULL), EAGAIN, "ALLOC before SEAL: EAGAIN");
	t_errno(ha_alloc(inst, 0, 0, NULL), EAGAIN, "sealed comes before len 0");
	t_errno(ha_alloc(inst, ~0ULL, 0, NULL), EAGAIN, "sealed comes before EFBIG");
	t_errno(ha_alloc(ro, BLOCK, 0, NULL), EBADF, "read-only file comes before sealed");
	t_errno(ha_ioctl(inst, HYBRID_ALLOC_IOC_ALLOC, &a), ESTALE,
		"stale epoch comes before sealed");
	t_errno(ha_claim(inst, MIB, MIB), 0, "CLAIM before SEAL");
	t_errno(ha_claim(inst, MIB + 512 * KIB, MIB), EEXIST, "CLAIM of what is claimed");
	t_errno(ha_claim(inst, 0, BLOCK), 0, "CLAIM of the first block");
	t_errno(ha_free(inst, 0, BLOCK, NULL), 0, "FREE before SEAL");
	t_errno(ha_op(inst, HYBRID_ALLOC_IOC_DRAIN), 0, "DRAIN before SEAL");
	t_errno(ha_op(ro, HYBRID_ALLOC_IOC_SEAL), EBADF, "SEAL on a read-only file");
	t_eq(ha_stat(ro, 0).charged, MIB, "STAT before SEAL");
	t_errno(ha_op(inst, HYBRID_ALLOC_IOC_SEAL), 0, "SEAL");
	t_errno(ha_op(inst, HYBRID_ALLOC_IOC_SEAL), 0, "SEAL a second time has no effect");
	ha_info(inst, 0, 0, &info);
	t_eq(info.state, 0, "not sealed any more");
	t_errno(ha_alloc(inst, BLOCK, 0, &e), 0, "ALLOC after SEAL");
	t_ok(e.start < MIB || e.start >= 2 * MIB, "and not what was claimed");
	ha_free(inst, e.start, e.len, NULL);
	t_errno(ha_free(inst, MIB, MIB, NULL), 0, "FREE of the claimed");
	close(inst);
	close(ro);
	t_errno(ha_detach(id, 0), 0, "DETACH");
}

int main(void)
{
	struct hybrid_alloc_stat start;
	struct hybrid_alloc_info info;
	const char *disk;
	size_t i;

	t_note("a caller of %zu bits", sizeof(long) * 8);
	/* a refused call may make the magazine that its CPU lacks, which STAT counts */
	t_pin(0);
	ha_need_module();
	page = sysconf(_SC_PAGESIZE);
	guarded = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	readonly = mmap(NULL, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (guarded == MAP_FAILED || readonly == MAP_FAILED ||
	    mprotect(guarded + page, page, PROT_NONE))
		t_die("mmap");

	disk = t_disk("hat-abi", 1024);
	t_nullb_make(SPARE, (struct t_disk_opts){ .mib = SPARE_MIB });
	spare_bdev = open(SPARE_DEV, O_RDWR | O_CLOEXEC);
	ctl = ha_control(O_RDWR);
	ctl_ro = ha_control(O_RDONLY);
	if (ha_attach(NULL, disk, HYBRID_ALLOC_ATTACH_FRESH, &main_id))
		t_die("attach %s", disk);
	fd = ha_must_open(main_id, O_RDWR);
	fd_ro = ha_must_open(main_id, O_RDONLY);
	if (ha_info(fd, 0, 0, &info))
		t_die("INFO");
	range_start = info.range_start;
	capacity = info.range_len;
	epoch = info.epoch;
	start = ha_stat(fd, 0);
	/* far from both ends and from where anything else is done */
	hole = range_start + capacity / 2 / MIB * MIB;
	if (ha_alloc(fd, 3 * BLOCK, 0, &live))
		t_die("ALLOC");

	test_commands();
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		test_malformed(&commands[i]);
	test_info();
	test_check();
	test_stat();
	test_alloc();
	test_free();
	test_claim();
	test_full();
	test_copy_out_race();
	ha_free(fd, live.start, live.len, NULL);
	t_all_back(fd, &start, "at the end");

	test_attach();
	test_attach_disks();
	test_sealed();

	close(fd);
	close(fd_ro);
	t_errno(ha_detach(main_id, 0), 0, "DETACH at the end");
	close(spare_bdev);
	t_nullb_remove(SPARE);
	t_nullb_remove("hat-abi");
	return t_done();
}
