// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that is not there. Each operation is run again and again, with its
 * first, second, third... chance to fail failing (/proc/self/fail-nth: an
 * allocation or a copy from or to user space), until it comes to its end
 * before the fault; of those that take long, with one chance in some, which
 * $SEED chooses. Where the module tries again after a first failure, also with
 * a budget: so many bytes, and no more. Every run must end with success or with
 * an errno, and leave nothing behind: no instance, no hold on the disk, no
 * extent, no metadata. That no memory leaks is what kmemleak says at the end of
 * the machine's run.
 *
 * FREE, DRAIN and close must work with no memory at all.
 *
 * A kernel with failslab, fail_page_alloc and fail_usercopy is needed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "harness.h"

#define DISK		"hat-fault"
#define DISK_DEV	"/dev/" DISK
#define DISK_MIB	8192
#define DEBUGFS		"/sys/kernel/debug/"
#define MAX_SITES	20000
#define FRESH		HYBRID_ALLOC_ATTACH_FRESH

static int nth_fd;
static u32 id;
static int fd = -1;
static struct hybrid_alloc_extent ext;

static void set_attr(const char *kind, const char *attr, const char *value)
{
	char path[128];
	int err;

	snprintf(path, sizeof(path), DEBUGFS "%s/%s", kind, attr);
	err = t_write(path, "%s", value);
	if (err)
		t_die("%s: %s", path, t_strerror(err));
}

/* Open beforehand: to open a file needs memory, and takes time. */
static int task_fd, space_fd, page_space_fd, times_fd, page_times_fd;

static void put(int f, u64 value)
{
	char buf[24];
	int len = snprintf(buf, sizeof(buf), "%llu", value);

	if (write(f, buf, len) != len)
		t_die("fault injection cannot be set up");
}

/* This task's allocations: the first @bytes of them work, no later one does. */
static void set_budget(u64 bytes)
{
	put(space_fd, bytes);
	put(page_space_fd, bytes ? 1000000 : 0);
	put(times_fd, 1000000);
	put(page_times_fd, 1000000);
	put(task_fd, 1);
}

/* Ends it. How many allocations have failed? */
static long end_budget(void)
{
	put(task_fd, 0);
	return 2000000 - t_read_long(DEBUGFS "failslab/times") -
	       t_read_long(DEBUGFS "fail_page_alloc/times");
}

static int open_rw(const char *path)
{
	int f = open(path, O_RDWR | O_CLOEXEC);

	if (f < 0)
		t_die("this kernel has no fault injection: %s", path);
	return f;
}

static void set_up(void)
{
	static const char * const kinds[] = { "failslab", "fail_page_alloc", "fail_usercopy" };
	size_t i;

	nth_fd = open_rw("/proc/self/fail-nth");
	task_fd = open_rw("/proc/self/make-it-fail");
	space_fd = open_rw(DEBUGFS "failslab/space");
	times_fd = open_rw(DEBUGFS "failslab/times");
	page_space_fd = open_rw(DEBUGFS "fail_page_alloc/space");
	page_times_fd = open_rw(DEBUGFS "fail_page_alloc/times");
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		set_attr(kinds[i], "verbose", "0");
		set_attr(kinds[i], "task-filter", "Y");
	}
	set_attr("failslab", "ignore-gfp-wait", "N");
	set_attr("fail_page_alloc", "ignore-gfp-wait", "N");
	set_attr("fail_page_alloc", "min-order", "0");
	set_attr("failslab", "probability", "100");
	set_attr("fail_page_alloc", "probability", "100");
}

/*
 * An operation. @op is what faults are injected into; it must not need memory
 * in user space. @check sees what became of it, returns NULL if that is right,
 * and puts everything back to where it was.
 */
struct operation {
	const char *name;
	void (*prepare)(void);
	int (*op)(void);
	const char *(*check)(int err);
	bool no_memory;		/* does not even ask for it; EFAULT is all that may happen */
	unsigned int step;	/* of the budget in bytes, 0 for no such run */
	unsigned int (*first)(void);	/* the first fault of interest, if not 1 */
	unsigned int stride;	/* it takes long: one fault in so many, but for a soak */
};

/* attach */
static int ctl_fd, bdev_fd;
static struct hybrid_alloc_attach at;

static int op_attach(void)
{
	return ha_ioctl(ctl_fd, HYBRID_ALLOC_IOC_ATTACH, &at);
}

static void prepare_attach(void)
{
	at = (struct hybrid_alloc_attach){ .size = sizeof(at), .flags = FRESH, .fd = bdev_fd };
}

/* a range that does not begin at 0 is claimed at attach */
static void prepare_attach_range(void)
{
	prepare_attach();
	at.range_start = MIB + 12 * BLOCK;
	at.range_len = 64 * MIB + BLOCK;
}

static const char *check_attach(int err)
{
	if (!err && ha_detach(at.id, 0))
		return "DETACH after ATTACH fails";
	if (!ha_nothing_attached())
		return "an instance stays behind";
	if (!t_disk_is_free(DISK_DEV))
		return "the disk is still held";
	return NULL;
}

/* detach */
static struct hybrid_alloc_detach det;

static void prepare_detach(void)
{
	id = ha_must_attach(DISK_DEV, FRESH);
	det = (struct hybrid_alloc_detach){ .size = sizeof(det), .id = id };
}

static int op_detach(void)
{
	return ha_ioctl(ctl_fd, HYBRID_ALLOC_IOC_DETACH, &det);
}

static const char *check_detach(int err)
{
	if (err && ha_detach(id, 0))
		return "DETACH failed, and does so again";
	return check_attach(1);
}

/* open and close */
static char node[64];
static int node_fd;

static void prepare_open(void)
{
	snprintf(node, sizeof(node), HYBRID_ALLOC_NODE_FORMAT, id);
}

static int op_open(void)
{
	node_fd = open(node, O_RDWR);
	return node_fd < 0 ? errno : 0;
}

static const char *check_open(int err)
{
	if (!err && (ha_alloc(node_fd, BLOCK, 0, &ext) ||
		     ha_free(node_fd, ext.start, ext.len, NULL)))
		return "the file that was opened does not work";
	if (!err)
		close(node_fd);
	return NULL;
}

static void prepare_close(void)
{
	prepare_open();
	if (op_open())
		t_die("open");
}

static int op_close(void)
{
	return close(node_fd) ? errno : 0;
}

static const char *check_close(int err)
{
	return err ? "close fails" : NULL;
}

/* What follows uses the instance @id, open as @fd, with nothing allocated. */
static struct hybrid_alloc_stat start;
static struct hybrid_alloc_alloc al;
static struct hybrid_alloc_free fr;
static struct hybrid_alloc_claim cl;
static u64 len;

static const char *all_back(void)
{
	struct hybrid_alloc_stat st;

	return t_left(fd, &start, &st);
}

static int op_alloc(void)
{
	return ha_ioctl(fd, HYBRID_ALLOC_IOC_ALLOC, &al);
}

static void prepare_alloc(void)
{
	al = (struct hybrid_alloc_alloc){ .size = sizeof(al), .len = len };
}

static void prepare_alloc_aligned(void)
{
	prepare_alloc();
	al.align = 64 * MIB;
}

static const char *check_alloc(int err)
{
	if (!err && ha_free(fd, al.extent.start, al.extent.len, NULL))
		return "what was allocated cannot be freed";
	if (err == ENOSPC)
		return "ENOSPC for lack of memory";
	return all_back();
}

static void prepare_claim(void)
{
	cl = (struct hybrid_alloc_claim){ .size = sizeof(cl), .extent = {
		.start = 3 * GIB - 7 * BLOCK, .len = len } };
}

static int op_claim(void)
{
	return ha_ioctl(fd, HYBRID_ALLOC_IOC_CLAIM, &cl);
}

static const char *check_claim(int err)
{
	if (!err && ha_free(fd, cl.extent.start, len, NULL))
		return "what was claimed cannot be freed";
	return all_back();
}

static void prepare_free(void)
{
	if (ha_alloc(fd, len, 0, &ext))
		t_die("ALLOC");
	fr = (struct hybrid_alloc_free){ .size = sizeof(fr), .extent = ext };
}

/* drained, so that the free cannot end in a pool that is there already */
static void prepare_free_drained(void)
{
	prepare_free();
	ha_op(fd, HYBRID_ALLOC_IOC_DRAIN);
}

static int op_free(void)
{
	return ha_ioctl(fd, HYBRID_ALLOC_IOC_FREE, &fr);
}

static const char *check_free(int err)
{
	/* EFAULT at the copy-in: still live; at the copy-out: free all the same */
	if (err) {
		err = ha_free(fd, ext.start, ext.len, NULL);
		if (err && err != ENOENT)
			return "neither free nor live";
	}
	return all_back();
}

/* Many at once, some of each size; in the end also bound to a file. */
#define NR_MANY	24

static struct hybrid_alloc_alloc_item al_items[NR_MANY];
static struct hybrid_alloc_free_item fr_items[NR_MANY];
static struct hybrid_alloc_batch batch;
static u32 batch_flags;
static int batch_fd;

static void prepare_alloc_batch(void)
{
	u32 i;

	for (i = 0; i < NR_MANY; i++)
		al_items[i] = (struct hybrid_alloc_alloc_item){
			.len = (BLOCK << i % 12) + i % 5 * BLOCK,
		};
	batch = (struct hybrid_alloc_batch){
		.size = sizeof(batch), .flags = batch_flags, .items = (uintptr_t)al_items,
		.nr = NR_MANY, .item_size = sizeof(al_items[0]),
	};
	batch_fd = fd;
	if (batch_flags)
		batch_fd = ha_must_open(id, O_RDWR);
}

/* An item that fails counts as the call. */
static int op_alloc_batch(void)
{
	int err = ha_ioctl(batch_fd, HYBRID_ALLOC_IOC_ALLOC_BATCH, &batch);
	u32 i;

	for (i = 0; !err && i < NR_MANY; i++)
		err = al_items[i].error;
	return err;
}

static const char *check_alloc_batch(int err)
{
	u32 i;

	if (batch_flags)
		close(batch_fd);
	for (i = 0; !batch_flags && batch.nr_done && i < NR_MANY; i++)
		if (al_items[i].extent.len &&
		    ha_free(fd, al_items[i].extent.start, al_items[i].extent.len, NULL))
			return "what was allocated cannot be freed";
	return err == ENOSPC ? "ENOSPC for lack of memory" : all_back();
}

static void prepare_free_batch(void)
{
	u32 i;

	prepare_alloc_batch();
	if (op_alloc_batch())
		t_die("ALLOC_BATCH");
	for (i = 0; i < NR_MANY; i++)
		fr_items[i] = (struct hybrid_alloc_free_item){ .extent = al_items[i].extent };
	batch.flags = 0;
	batch.items = (uintptr_t)fr_items;
	batch.item_size = sizeof(fr_items[0]);
}

static int op_free_batch(void)
{
	int err = ha_ioctl(batch_fd, HYBRID_ALLOC_IOC_FREE_BATCH, &batch);

	return err ?: batch.nr_failed ? EINVAL : 0;
}

static const char *check_free_batch(int err)
{
	u32 i;

	/* EFAULT: how far it came may not be known either */
	for (i = 0; err && i < NR_MANY; i++) {
		const struct hybrid_alloc_extent *e = &al_items[i].extent;
		int again = ha_free(batch_fd, e->start, e->len, NULL);

		if (again && again != ENOENT)
			return "neither free nor live";
	}
	if (batch_flags)
		close(batch_fd);
	return all_back();
}

/* Where these are is known: they were allocated, and are free. */
static void prepare_claim_batch(void)
{
	prepare_free_batch();
	if (op_free_batch())
		t_die("FREE_BATCH");
	ha_op(fd, HYBRID_ALLOC_IOC_DRAIN);
}

static int op_claim_batch(void)
{
	int err = ha_ioctl(batch_fd, HYBRID_ALLOC_IOC_CLAIM_BATCH, &batch);
	u32 i;

	for (i = 0; !err && i < NR_MANY; i++)
		err = fr_items[i].error;
	return err;
}

static const char *check_claim_batch(int err)
{
	u32 i;
	int got;

	if (!err && batch.nr_failed)
		return "failed items in a batch without an error";
	for (i = 0; i < NR_MANY; i++) {
		const struct hybrid_alloc_extent *e = &al_items[i].extent;

		got = ha_free(fd, e->start, e->len, NULL);
		/* EFAULT: how far it came may not be known */
		if (got && (!err || got != ENOENT))
			return "neither free nor live";
		if (err && err != EFAULT && i < batch.nr_done &&
		    !fr_items[i].error != !got)
			return "an item's result is wrong";
	}
	return all_back();
}

static int op_close_bound(void)
{
	return close(batch_fd) ? errno : 0;
}

static const char *check_close_bound(int err)
{
	return err ? "close fails" : all_back();
}

/* Parts of an extent, which may be bound: a block is cut out of it, or it is split there. */
static int part_fd;
static u64 part_from, part_to;
static struct hybrid_alloc_split_item split_item;
static struct hybrid_alloc_extend_item extend_item;

static void prepare_part(void)
{
	part_fd = fd;
	if (batch_flags)
		part_fd = ha_must_open(id, O_RDWR);
	if (ha_alloc_flags(part_fd, len, batch_flags, &ext))
		t_die("ALLOC");
	part_from = ext.start + len / BLOCK / 3 * BLOCK;
	part_to = part_from + BLOCK;
	fr = (struct hybrid_alloc_free){
		.size = sizeof(fr), .flags = HYBRID_ALLOC_FREE_PART,
		.extent = { .start = part_from, .len = part_to - part_from },
	};
}

/* Nothing is left of the extent. */
static const char *end_part(bool ok)
{
	if (batch_flags)
		close(part_fd);
	return ok ? all_back() : "the extent is not what it should be";
}

/* Are there the pieces of it, before @from and from @to on? They are freed. */
static bool free_pieces(u64 from, u64 to)
{
	return !ha_free(part_fd, ext.start, from - ext.start, NULL) &&
	       !ha_free(part_fd, to, ext.start + ext.len - to, NULL);
}

/* EFAULT: at the copy-in nothing has changed, at the copy-out all has. */
static const char *check_pieces(int err, u64 from, u64 to)
{
	bool whole = err && !ha_free(part_fd, ext.start, ext.len, NULL);

	if (err && err != EFAULT)
		return end_part(whole);
	return end_part(whole || free_pieces(from, to));
}

static int op_part(void)
{
	return ha_ioctl(part_fd, HYBRID_ALLOC_IOC_FREE, &fr);
}

static const char *check_part(int err)
{
	return check_pieces(err, part_from, part_to);
}

static void prepare_batch_of_one(void *item, u32 size)
{
	batch = (struct hybrid_alloc_batch){
		.size = sizeof(batch), .items = (uintptr_t)item, .nr = 1, .item_size = size,
	};
}

static void prepare_split(void)
{
	prepare_part();
	split_item = (struct hybrid_alloc_split_item){ .extent = ext, .at = part_from };
	prepare_batch_of_one(&split_item, sizeof(split_item));
}

static int op_split(void)
{
	return ha_ioctl(part_fd, HYBRID_ALLOC_IOC_SPLIT, &batch) ?: (int)split_item.error;
}

static const char *check_split(int err)
{
	return check_pieces(err, part_from, part_from);
}

static void prepare_extend(void)
{
	prepare_part();
	extend_item = (struct hybrid_alloc_extend_item){ .extent = ext, .more = 5 * BLOCK };
	prepare_batch_of_one(&extend_item, sizeof(extend_item));
}

static int op_extend(void)
{
	return ha_ioctl(part_fd, HYBRID_ALLOC_IOC_EXTEND, &batch) ?: (int)extend_item.error;
}

static const char *check_extend(int err)
{
	bool as_before = err && !ha_free(part_fd, ext.start, ext.len, NULL);

	if (err == ENOSPC)
		return "ENOSPC for lack of memory";
	if (err && err != EFAULT)
		return end_part(as_before);
	return end_part(as_before || !ha_free(part_fd, ext.start, ext.len + 5 * BLOCK, NULL));
}

static void prepare_keep(void)
{
	prepare_part();
	fr_items[0] = (struct hybrid_alloc_free_item){ .extent = ext };
	prepare_batch_of_one(&fr_items[0], sizeof(fr_items[0]));
}

static int op_keep(void)
{
	return ha_ioctl(part_fd, HYBRID_ALLOC_IOC_KEEP, &batch) ?: (int)fr_items[0].error;
}

static const char *check_keep(int err)
{
	if (!err)
		return end_part(!ha_free(fd, ext.start, ext.len, NULL));
	return end_part(!ha_free(part_fd, ext.start, ext.len, NULL));
}

static struct hybrid_alloc_extent many_extents[NR_MANY];
static struct hybrid_alloc_many many;

static void prepare_many(void)
{
	many = (struct hybrid_alloc_many){
		.size = sizeof(many), .items = (uintptr_t)many_extents, .nr = NR_MANY,
		.item_size = sizeof(many_extents[0]), .len = 100 * MIB + BLOCK,
	};
}

static int op_many(void)
{
	return ha_ioctl(fd, HYBRID_ALLOC_IOC_ALLOC_MANY, &many);
}

static const char *check_many(int err)
{
	u32 i;

	for (i = 0; !err && i < many.nr_extents; i++)
		if (ha_free(fd, many_extents[i].start, many_extents[i].len, NULL))
			return "what was allocated cannot be freed";
	return err == ENOSPC ? "ENOSPC for lack of memory" : all_back();
}

static struct hybrid_alloc_map_entry map_entries[NR_MANY];
static struct hybrid_alloc_map map;

static void prepare_map(void)
{
	map = (struct hybrid_alloc_map){
		.size = sizeof(map), .items = (uintptr_t)map_entries, .nr = NR_MANY,
		.item_size = sizeof(map_entries[0]),
	};
}

static int op_map(void)
{
	return ha_ioctl(fd, HYBRID_ALLOC_IOC_MAP, &map);
}

static struct hybrid_alloc_op hop;

static void prepare_drain(void)
{
	prepare_free();
	ha_free(fd, ext.start, ext.len, NULL);
	hop = (struct hybrid_alloc_op){ .size = sizeof(hop) };
}

static int op_drain(void)
{
	return ha_ioctl(fd, HYBRID_ALLOC_IOC_DRAIN, &hop);
}

static const char *check_drain(int err)
{
	(void)err;
	return all_back();
}

static struct hybrid_alloc_stat stat_buf;

static void prepare_stat(void)
{
	stat_buf = (struct hybrid_alloc_stat){ .size = sizeof(stat_buf),
					       .flags = HYBRID_ALLOC_STAT_RUNS };
}

static int op_stat(void)
{
	return ha_ioctl(fd, HYBRID_ALLOC_IOC_STAT, &stat_buf);
}

static const char *check_stat(int err)
{
	(void)err;
	return all_back();
}

/* insmod with a device, and rmmod */
static int module_fd;

static int insmod_with(const char *params)
{
	return syscall(SYS_finit_module, module_fd, params, 0) < 0 ? errno : 0;
}

static int op_insmod(void)
{
	return insmod_with("device=" DISK_DEV " mode=fresh");
}

/*
 * The loader's own allocations are not for us to test, and it complains loudly
 * when they fail. How many are there before the module's turn? Not many fewer
 * than when the module refuses to be loaded as the first thing that it does.
 */
static unsigned int first_of_module(void)
{
	char buf[16] = {};
	unsigned int used;

	t_fail_nth(nth_fd, 1000000);
	if (insmod_with("mode=none") != EINVAL)
		t_die("the module was to refuse");
	if (pread(nth_fd, buf, sizeof(buf) - 1, 0) <= 0)
		t_die("read fail-nth");
	t_fail_nth(nth_fd, 0);
	used = 1000000 - atoi(buf);
	t_note("insmod: %u chances to fail before and after the module's own", used);
	return used > 20 ? used - 20 : 1;
}

static void prepare_insmod(void)
{
	t_log_lines();
}

static const char *check_gone(void)
{
	if (ha_loaded())
		return "insmod failed, but the module is there";
	if (!t_disk_is_free(DISK_DEV))
		return "the disk is still held";
	return NULL;
}

static const char *check_insmod(int err)
{
	int attached = t_log_with(": attached ", NULL);

	/* an open file of the node would not keep a module that failed */
	if (err && attached)
		return "insmod failed, but its instance had a node";
	if (!err && !attached != !!access(HYBRID_ALLOC_CONTROL_NODE "0", F_OK))
		return "the instance has no node";
	if (!err && ha_rmmod())
		return "rmmod fails";
	return check_gone();
}

static void prepare_rmmod(void)
{
	if (op_insmod())
		t_die("insmod");
}

static int op_rmmod(void)
{
	return ha_rmmod();
}

static const char *check_rmmod(int err)
{
	if (err && ha_rmmod())
		return "rmmod failed, and does so again";
	return check_gone();
}

static void run_nth(const struct operation *o, const char *size)
{
	unsigned int stride = o->stride && !getenv("SOAK") ? o->stride : 1;
	unsigned int first = (o->first ? o->first() : 1) + t_seed % stride;
	unsigned int n, nr = 0, failed = 0, bad = 0;
	const char *problem;
	int err = 0;

	for (n = first; nr < MAX_SITES; n += stride, nr++) {
		bool hit;

		if (o->prepare)
			o->prepare();
		t_fail_nth(nth_fd, n);
		err = o->op();
		hit = t_fail_delivered(nth_fd);
		t_fail_nth(nth_fd, 0);
		failed += hit && err;
		problem = o->check(err);
		if (!problem && err && !hit)
			problem = "fails without a fault";
		if (!problem && o->no_memory && err && err != EFAULT)
			problem = "needs memory";
		if (problem && bad++ < 5)
			t_note("fault %u, %s: %s", n, t_strerror(err), problem);
		if (!hit)
			break;
	}
	/* where no memory is asked for there may be nothing that can fail */
	t_ok(!bad && (nr || o->no_memory) && nr < MAX_SITES,
	     "%s%s: %u faults, %u of them made it fail", o->name, size, nr, failed);
}

static void run_budget(const struct operation *o, const char *size)
{
	unsigned int n, failed = 0, bad = 0;
	const char *problem;
	long faults;
	int err;

	for (n = 0; n < MAX_SITES; n++) {
		if (o->prepare)
			o->prepare();
		set_budget(n * o->step);
		err = o->op();
		faults = end_budget();
		failed += !!err;
		problem = o->check(err);
		if (!problem && err && err != ENOMEM)
			problem = "is no ENOMEM";
		if (!problem && err && !faults)
			problem = "fails without a fault";
		if (problem && bad++ < 5)
			t_note("%u bytes, %s: %s", n * o->step, t_strerror(err), problem);
		if (!faults)
			break;
	}
	t_ok(!bad && n && failed && n < MAX_SITES,
	     "%s%s: %u budgets to %u bytes, %u of them too small", o->name, size, n,
	     n * o->step, failed);
}

static void run_without(const struct operation *o, const char *size)
{
	const char *problem;
	int err, tries = 3;
	long faults;

	/* KASAN itself asks now and then, to keep the stack of who gave memory back */
	do {
		if (o->prepare)
			o->prepare();
		set_budget(0);
		err = o->op();
		faults = end_budget();
		problem = o->check(err);
	} while (!err && !problem && faults && --tries);
	if (!t_ok(!err && !faults && !problem, "%s%s: asks for no memory", o->name, size))
		t_note("%s, %ld requests, %s", t_strerror(err), faults, problem ?: "");
}

static void run(const struct operation *o, const char *size, bool budget)
{
	run_nth(o, size);
	if (o->no_memory)
		run_without(o, size);
	if (o->step && budget)
		run_budget(o, size);
}

static const struct operation attach = {
	.name = "ATTACH", .prepare = prepare_attach, .op = op_attach, .check = check_attach,
	.step = 512,
};

static const struct operation attach_range = {
	.name = "ATTACH of a range", .prepare = prepare_attach_range, .op = op_attach,
	.check = check_attach, .stride = 2,
};

static const struct operation detach = {
	.name = "DETACH", .prepare = prepare_detach, .op = op_detach, .check = check_detach,
};

static const struct operation node_open = {
	.name = "open", .prepare = prepare_open, .op = op_open, .check = check_open,
};

static const struct operation node_close = {
	.name = "close", .prepare = prepare_close, .op = op_close, .check = check_close,
	.no_memory = true,
};

static const struct operation alloc = {
	.name = "ALLOC", .prepare = prepare_alloc, .op = op_alloc, .check = check_alloc,
	.step = 64,
};

static const struct operation alloc_aligned = {
	.name = "ALLOC aligned", .prepare = prepare_alloc_aligned, .op = op_alloc,
	.check = check_alloc,
};

static const struct operation claim = {
	.name = "CLAIM", .prepare = prepare_claim, .op = op_claim, .check = check_claim,
	.step = 64,
};

static const struct operation free_ = {
	.name = "FREE", .prepare = prepare_free, .op = op_free, .check = check_free,
	.no_memory = true,
};

static const struct operation free_drained = {
	.name = "FREE after DRAIN", .prepare = prepare_free_drained, .op = op_free,
	.check = check_free, .no_memory = true,
};

static const struct operation drain = {
	.name = "DRAIN", .prepare = prepare_drain, .op = op_drain, .check = check_drain,
	.no_memory = true,
};

static const struct operation stat_ = {
	.name = "STAT", .prepare = prepare_stat, .op = op_stat, .check = check_stat,
};

static const struct operation alloc_batch = {
	.name = "ALLOC_BATCH", .prepare = prepare_alloc_batch, .op = op_alloc_batch,
	.check = check_alloc_batch, .step = 256,
};

static const struct operation free_batch = {
	.name = "FREE_BATCH", .prepare = prepare_free_batch, .op = op_free_batch,
	.check = check_free_batch, .no_memory = true,
};

static const struct operation claim_batch = {
	.name = "CLAIM_BATCH", .prepare = prepare_claim_batch, .op = op_claim_batch,
	.check = check_claim_batch, .step = 256,
};

static const struct operation close_bound = {
	.name = "close of a file with bound extents", .prepare = prepare_free_batch,
	.op = op_close_bound, .check = check_close_bound, .no_memory = true,
};

static const struct operation free_part = {
	.name = "FREE_PART", .prepare = prepare_part, .op = op_part, .check = check_part,
	.step = 64,
};

static const struct operation split = {
	.name = "SPLIT", .prepare = prepare_split, .op = op_split, .check = check_split,
	.step = 64,
};

static const struct operation extend = {
	.name = "EXTEND", .prepare = prepare_extend, .op = op_extend, .check = check_extend,
	.step = 64,
};

static const struct operation keep = {
	.name = "KEEP", .prepare = prepare_keep, .op = op_keep, .check = check_keep,
	.no_memory = true,
};

static const struct operation alloc_many = {
	.name = "ALLOC_MANY", .prepare = prepare_many, .op = op_many, .check = check_many,
};

static const struct operation map_ = {
	.name = "MAP", .prepare = prepare_map, .op = op_map, .check = check_stat,
};

static const struct operation insmod = {
	.name = "insmod", .prepare = prepare_insmod, .op = op_insmod, .check = check_insmod,
	.first = first_of_module, .stride = 4,
};

static const struct operation rmmod_ = {
	.name = "rmmod", .prepare = prepare_rmmod, .op = op_rmmod, .check = check_rmmod,
};

static void run_parts(const char *size, bool budget)
{
	if (len > 2 * BLOCK) {
		run(&free_part, size, budget);
		run(&split, size, budget);
	}
	run(&extend, size, budget);
	run(&keep, size, budget);
}

/* Extents of all kinds are freed with no memory left. */
static void test_no_memory(void)
{
	enum { NR = 3000 };
	static struct hybrid_alloc_extent e[NR];
	u64 rng = t_seed;
	int i, nr, bad = 0, err, enomem, alloc_err = 0, extra = open(node, O_RDWR);
	struct hybrid_alloc_extent x;
	long faults;

	for (nr = 0; nr < NR; nr++) {
		u64 size = nr % 3 ? 1 + random_next(&rng) % (300 * KIB) :
				    BLOCK << random_next(&rng) % 11;

		if (nr % 500 == 0)
			size = 40 * MIB + BLOCK;
		if (ha_alloc(fd, size, 0, &e[nr]))
			break;
	}
	t_shuffle(e, nr, sizeof(*e), &rng);
	prepare_attach();
	set_budget(0);
	enomem = op_attach();
	for (i = 0; i < nr; i++) {
		err = ha_free(fd, e[i].start, e[i].len, NULL);
		if (err && bad++ < 5)
			t_note("FREE of %llu bytes: %s", (u64)e[i].len, t_strerror(err));
		if (i == nr / 2)
			bad += !!ha_op(fd, HYBRID_ALLOC_IOC_DRAIN);
	}
	err = ha_op(fd, HYBRID_ALLOC_IOC_DRAIN);
	/* with nothing in the pools an allocation needs memory and gets none */
	alloc_err = ha_alloc(fd, 68 * KIB, 0, &x);
	bad += !!close(extra);
	faults = end_budget();

	t_ok(enomem == ENOMEM && alloc_err == ENOMEM && faults > 1,
	     "there is no memory: ATTACH and ALLOC get ENOMEM, %ld faults", faults);
	t_eq(bad, 0, "%d extents of all kinds are freed without memory; DRAIN and close work", nr);
	t_errno(err, 0, "DRAIN without memory");
	t_all_back(fd, &start, "without memory");
}

int main(void)
{
	static const struct {
		const char *name;
		u64 len;
		bool budget;	/* takes longer */
		bool part;	/* a part of it takes memory; a few runs more have room as it is */
	} sizes[] = {
		{ " of 4 KiB", BLOCK, true, true }, { " of 60 KiB", 60 * KIB, false, true },
		{ " of 68 KiB", 68 * KIB, true, false }, { " of 1 MiB", MIB, false, true },
		{ " of 3 MiB", 3 * MIB, false, false }, { " of 4 MiB", 4 * MIB, true, true },
		{ " of 5 MiB + 4 KiB", 5 * MIB + BLOCK, true, false },
		{ " of 3 GiB", 3 * GIB, true, true },
	};
	static char bound_names[ARRAY_SIZE(sizes)][40];
	size_t i;
	int err;

	t_note("SEED=%llu", t_seed);
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		snprintf(bound_names[i], sizeof(bound_names[i]), "%s, bound", sizes[i].name);
	if (ha_loaded() && ha_rmmod())
		t_die("the module is in use");
	/* no page of ours is to be fetched while memory is short */
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		t_die("mlockall");
	set_up();
	module_fd = ha_open_module();
	t_nullb_make(DISK, (struct t_disk_opts){ .mib = DISK_MIB });
	/* the first load makes what later ones find, in the kernel */
	prepare_rmmod();
	if (ha_rmmod())
		t_die("rmmod");

	err = ha_insmod("");
	if (err)
		t_die("insmod: %s", t_strerror(err));
	ctl_fd = ha_control(O_RDWR);
	bdev_fd = open(DISK_DEV, O_RDWR | O_CLOEXEC);
	run(&attach, "", true);
	run(&attach_range, "", true);
	run(&detach, "", true);

	id = ha_must_attach(DISK_DEV, FRESH);
	run(&node_open, "", true);
	run(&node_close, "", true);
	fd = ha_must_open(id, O_RDWR);
	ha_op(fd, HYBRID_ALLOC_IOC_DRAIN);
	start = ha_stat(fd, 0);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		len = sizes[i].len;
		run(&alloc, sizes[i].name, sizes[i].budget);
		run(&alloc_aligned, sizes[i].name, sizes[i].budget);
		run(&claim, sizes[i].name, sizes[i].budget);
		run(&free_, sizes[i].name, sizes[i].budget);
		run(&free_drained, sizes[i].name, sizes[i].budget);
		run(&drain, sizes[i].name, sizes[i].budget);
		run_parts(sizes[i].name, sizes[i].budget && sizes[i].part);
	}
	run(&stat_, "", true);
	run(&alloc_batch, "", true);
	run(&free_batch, "", true);
	run(&claim_batch, "", true);
	run(&alloc_many, "", true);
	run(&map_, "", true);
	test_no_memory();
	/* from now on each free looks whether it is of a bound extent */
	batch_flags = HYBRID_ALLOC_ALLOC_BOUND;
	run(&alloc_batch, ", bound", true);
	run(&free_batch, ", bound", true);
	run(&close_bound, "", true);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		len = sizes[i].len;
		run_parts(bound_names[i], false);
	}
	test_no_memory();
	close(fd);
	t_errno(ha_detach(id, 0), 0, "DETACH");
	close(ctl_fd);
	close(bdev_fd);
	t_errno(ha_rmmod(), 0, "rmmod");

	run(&insmod, "", true);
	run(&rmmod_, "", true);
	t_nullb_remove(DISK);
	set_attr("failslab", "probability", "0");
	set_attr("fail_page_alloc", "probability", "0");
	return t_done();
}
