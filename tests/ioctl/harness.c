// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <glob.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <linux/fs.h>
#include "harness.h"

#define MODULE_NAME	"hybrid_alloc"
#define NULLB_DIR	"/sys/kernel/config/nullb"
#define SCSI_DISK	"/sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block/*"

u64 t_seed = 1;

static void __attribute__((constructor)) take_seed(void)
{
	const char *seed = getenv("SEED");

	if (seed)
		t_seed = strtoull(seed, NULL, 0);
}

static unsigned int nr_tests, nr_failed;

static void line(bool ok, const char *fmt, va_list ap)
{
	printf("%sok %u - ", ok ? "" : "not ", ++nr_tests);
	vprintf(fmt, ap);
	putchar('\n');
	nr_failed += !ok;
	fflush(stdout);
}

bool t_ok(bool ok, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line(ok, fmt, ap);
	va_end(ap);
	return ok;
}

bool t_eq(u64 got, u64 want, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line(got == want, fmt, ap);
	va_end(ap);
	if (got != want)
		t_note("got %llu, want %llu", got, want);
	return got == want;
}

bool t_errno(int got, int want, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line(got == want, fmt, ap);
	va_end(ap);
	if (got != want)
		t_note("got %s, want %s", t_strerror(got), t_strerror(want));
	return got == want;
}

void t_skip(const char *name, const char *fmt, ...)
{
	va_list ap;

	printf("ok %u - %s # SKIP ", ++nr_tests, name);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

void t_note(const char *fmt, ...)
{
	va_list ap;

	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

/* So that the next program finds its disk free. */
static void detach_all(void)
{
	int ctl = open(HYBRID_ALLOC_CONTROL_NODE, O_RDWR | O_CLOEXEC);
	struct hybrid_alloc_info info;

	while (!ha_info(ctl, HYBRID_ALLOC_INFO_NEXT, 0, &info))
		if (ha_detach(info.id, HYBRID_ALLOC_DETACH_FORCE))
			break;
	close(ctl);
}

void t_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line(false, fmt, ap);
	va_end(ap);
	t_note("cannot go on; last errno: %s", t_strerror(errno));
	detach_all();
	exit(t_done());
}

int t_done(void)
{
	printf("1..%u\n", nr_tests);
	fflush(stdout);
	return nr_failed || !nr_tests;
}

const char *t_strerror(int err)
{
	const char *name = strerrorname_np(err);

	return !err ? "success" : name ? name : "an unknown errno";
}

void t_shuffle(void *base, size_t nr, size_t size, u64 *rng)
{
	char *items = base, item[64];
	size_t other;

	if (size > sizeof(item))
		t_die("items of %zu bytes are too large to be shuffled", size);
	for (; nr > 1; nr--) {
		other = random_next(rng) % nr;
		memcpy(item, items + (nr - 1) * size, size);
		memcpy(items + (nr - 1) * size, items + other * size, size);
		memcpy(items + other * size, item, size);
	}
}

u64 t_mask(u64 w, u64 start, u64 end)
{
	u64 m = ~0ULL;

	if (start > w * 64)
		m &= ~0ULL << (start - w * 64);
	if (end < (w + 1) * 64)
		m &= ~0ULL >> ((w + 1) * 64 - end);
	return m;
}

bool t_expect(struct t_count *c, bool ok)
{
	c->seen++;
	return !ok && c->bad++ < 5;
}

void t_counts(const struct t_count *counts, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		t_ok(counts[i].seen && !counts[i].bad, "%llu %s", counts[i].seen, counts[i].name);
}

int ha_ioctl(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? errno : 0;
}

int ha_alloc(int fd, u64 len, u64 align, struct hybrid_alloc_extent *ext)
{
	struct hybrid_alloc_alloc a = { .size = sizeof(a), .len = len, .align = align };
	int err = ha_ioctl(fd, HYBRID_ALLOC_IOC_ALLOC, &a);

	if (ext)
		*ext = a.extent;
	return err;
}

int ha_alloc_flags(int fd, u64 len, u32 flags, struct hybrid_alloc_extent *ext)
{
	struct hybrid_alloc_alloc a = { .size = sizeof(a), .len = len, .flags = flags };
	int err = ha_ioctl(fd, HYBRID_ALLOC_IOC_ALLOC, &a);

	if (ext)
		*ext = a.extent;
	return err;
}

static int free_flags(int fd, u64 start, u64 len, u32 flags, u32 *reason)
{
	struct hybrid_alloc_free f = {
		.size = sizeof(f), .flags = flags, .extent = { .start = start, .len = len },
	};
	int err = ha_ioctl(fd, HYBRID_ALLOC_IOC_FREE, &f);

	if (reason)
		*reason = f.reason;
	return err;
}

int ha_free(int fd, u64 start, u64 len, u32 *reason)
{
	return free_flags(fd, start, len, 0, reason);
}

int ha_free_part(int fd, u64 start, u64 len, u32 *reason)
{
	return free_flags(fd, start, len, HYBRID_ALLOC_FREE_PART, reason);
}

static int batch_flags(int fd, unsigned long cmd, u32 flags, void *items, u32 nr, u32 item_size,
		       u32 *nr_failed)
{
	struct hybrid_alloc_batch b = {
		.size = sizeof(b), .flags = flags, .items = (uintptr_t)items, .nr = nr,
		.item_size = item_size,
	};
	int err = ha_ioctl(fd, cmd, &b);

	if (!err && b.nr_done != nr)
		t_die("a batch of %u says %u are done", nr, b.nr_done);
	if (nr_failed)
		*nr_failed = b.nr_failed;
	return err;
}

static int batch(int fd, unsigned long cmd, void *items, u32 nr, u32 item_size, u32 *nr_failed)
{
	return batch_flags(fd, cmd, 0, items, nr, item_size, nr_failed);
}

int ha_alloc_batch(int fd, struct hybrid_alloc_alloc_item *items, u32 nr, u32 *nr_failed)
{
	return batch(fd, HYBRID_ALLOC_IOC_ALLOC_BATCH, items, nr, sizeof(*items), nr_failed);
}

int ha_free_batch(int fd, struct hybrid_alloc_free_item *items, u32 nr, u32 *nr_failed)
{
	return batch(fd, HYBRID_ALLOC_IOC_FREE_BATCH, items, nr, sizeof(*items), nr_failed);
}

int ha_claim(int fd, u64 start, u64 len)
{
	struct hybrid_alloc_claim c = {
		.size = sizeof(c), .extent = { .start = start, .len = len },
	};

	return ha_ioctl(fd, HYBRID_ALLOC_IOC_CLAIM, &c);
}

int ha_claim_batch(int fd, struct hybrid_alloc_free_item *items, u32 nr, u32 *nr_failed)
{
	return batch(fd, HYBRID_ALLOC_IOC_CLAIM_BATCH, items, nr, sizeof(*items), nr_failed);
}

int ha_free_parts(int fd, struct hybrid_alloc_free_item *items, u32 nr, u32 *nr_failed)
{
	return batch_flags(fd, HYBRID_ALLOC_IOC_FREE_BATCH, HYBRID_ALLOC_FREE_PART, items, nr,
			   sizeof(*items), nr_failed);
}

int ha_split_batch(int fd, struct hybrid_alloc_split_item *items, u32 nr, u32 *nr_failed)
{
	return batch(fd, HYBRID_ALLOC_IOC_SPLIT, items, nr, sizeof(*items), nr_failed);
}

int ha_split(int fd, u64 start, u64 len, u64 at, u32 *reason)
{
	struct hybrid_alloc_split_item item = {
		.extent = { .start = start, .len = len }, .at = at,
	};
	int err = ha_split_batch(fd, &item, 1, NULL);

	if (reason)
		*reason = item.reason;
	return err ?: (int)item.error;
}

int ha_extend_batch(int fd, struct hybrid_alloc_extend_item *items, u32 nr, u32 *nr_failed)
{
	return batch(fd, HYBRID_ALLOC_IOC_EXTEND, items, nr, sizeof(*items), nr_failed);
}

int ha_extend(int fd, struct hybrid_alloc_extent *ext, u64 more, u64 least, u32 *reason)
{
	struct hybrid_alloc_extend_item item = { .extent = *ext, .more = more, .least = least };
	int err = ha_extend_batch(fd, &item, 1, NULL);

	*ext = item.extent;
	if (reason)
		*reason = item.reason;
	return err ?: (int)item.error;
}

int ha_keep_batch(int fd, struct hybrid_alloc_free_item *items, u32 nr, u32 *nr_failed)
{
	return batch(fd, HYBRID_ALLOC_IOC_KEEP, items, nr, sizeof(*items), nr_failed);
}

int ha_keep(int fd, u64 start, u64 len, u32 *reason)
{
	struct hybrid_alloc_free_item item = { .extent = { .start = start, .len = len } };
	int err = ha_keep_batch(fd, &item, 1, NULL);

	if (reason)
		*reason = item.reason;
	return err ?: (int)item.error;
}

/* @m carries the request, and what came of it. */
int ha_alloc_many(int fd, struct hybrid_alloc_many *m, struct hybrid_alloc_extent *exts, u32 nr)
{
	m->size = sizeof(*m);
	m->items = (uintptr_t)exts;
	m->nr = nr;
	m->item_size = sizeof(*exts);
	return ha_ioctl(fd, HYBRID_ALLOC_IOC_ALLOC_MANY, m);
}

int ha_map_flags(int fd, u32 flags, u64 start, u64 len, struct hybrid_alloc_map_entry *e, u32 nr,
		 u32 *got)
{
	struct hybrid_alloc_map m = {
		.size = sizeof(m), .flags = flags,
		.items = (uintptr_t)e, .nr = nr, .item_size = sizeof(*e),
		.start = start, .len = len,
	};
	int err = ha_ioctl(fd, HYBRID_ALLOC_IOC_MAP, &m);

	*got = m.nr_entries;
	return err;
}

int ha_map(int fd, u64 start, u64 len, struct hybrid_alloc_map_entry *e, u32 nr, u32 *got)
{
	return ha_map_flags(fd, 0, start, len, e, nr, got);
}

void t_read_map(int fd, struct t_map *map)
{
	static struct hybrid_alloc_map_entry page[HYBRID_ALLOC_MAX_ITEMS];
	struct hybrid_alloc_map_entry *last;
	u64 pos = 0;
	u32 got, i;
	int err;

	for (map->nr = 0;;) {
		err = ha_map(fd, pos, 0, page, ARRAY_SIZE(page), &got);
		if (err)
			t_die("MAP: %s", t_strerror(err));
		if (!got)
			return;
		if (map->max < map->nr + got) {
			map->max = 2 * (map->nr + got);
			map->e = realloc(map->e, map->max * sizeof(*map->e));
			if (!map->e)
				t_die("no memory");
		}
		for (i = 0; i < got; i++) {
			last = map->nr ? &map->e[map->nr - 1] : NULL;
			if (last && page[i].start != last->start + last->len)
				t_die("MAP has a gap at %llu", (u64)page[i].start);
			if (last && page[i].state == HYBRID_ALLOC_MAP_FREE &&
			    last->state == HYBRID_ALLOC_MAP_FREE)
				last->len += page[i].len;
			else
				map->e[map->nr++] = page[i];
		}
		pos = page[got - 1].start + page[got - 1].len;
	}
}

int ha_op(int fd, unsigned long cmd)
{
	struct hybrid_alloc_op op = { .size = sizeof(op) };

	return ha_ioctl(fd, cmd, &op);
}

int ha_info(int fd, u32 flags, u32 id, struct hybrid_alloc_info *info)
{
	struct hybrid_alloc_info i = { .size = sizeof(i), .flags = flags, .id = id };
	int err = ha_ioctl(fd, HYBRID_ALLOC_IOC_INFO, &i);

	if (info)
		*info = i;
	return err;
}

int ha_stat_err(int fd, u32 flags, struct hybrid_alloc_stat *st)
{
	struct hybrid_alloc_stat s = { .size = sizeof(s), .flags = flags };
	int err = ha_ioctl(fd, HYBRID_ALLOC_IOC_STAT, &s);

	if (st)
		*st = s;
	return err;
}

struct hybrid_alloc_stat ha_stat(int fd, u32 flags)
{
	struct hybrid_alloc_stat st;
	int err = ha_stat_err(fd, flags, &st);

	if (err)
		t_die("STAT: %s", t_strerror(err));
	return st;
}

int ha_control(int flags)
{
	int fd = open(HYBRID_ALLOC_CONTROL_NODE, flags | O_CLOEXEC);

	if (fd < 0)
		t_die("open %s", HYBRID_ALLOC_CONTROL_NODE);
	return fd;
}

bool ha_nothing_attached(void)
{
	int ctl = ha_control(O_RDONLY);
	int err = ha_info(ctl, HYBRID_ALLOC_INFO_NEXT, 0, NULL);

	close(ctl);
	return err == ENODEV;
}

/* @a may be NULL, or carry the fields that are not filled in here. */
int ha_attach(struct hybrid_alloc_attach *a, const char *disk, u32 flags, u32 *id)
{
	struct hybrid_alloc_attach own = {};
	int ctl = ha_control(O_RDWR), err;

	if (!a)
		a = &own;
	a->size = sizeof(*a);
	a->flags = flags;
	a->fd = open(disk, O_RDWR | O_CLOEXEC);
	if (a->fd < 0)
		t_die("open %s", disk);
	err = ha_ioctl(ctl, HYBRID_ALLOC_IOC_ATTACH, a);
	close(a->fd);
	close(ctl);
	if (id)
		*id = a->id;
	return err;
}

int ha_detach(u32 id, u32 flags)
{
	struct hybrid_alloc_detach d = { .size = sizeof(d), .flags = flags, .id = id };
	int ctl = ha_control(O_RDWR);
	int err = ha_ioctl(ctl, HYBRID_ALLOC_IOC_DETACH, &d);

	close(ctl);
	return err;
}

int ha_open(u32 id, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), HYBRID_ALLOC_NODE_FORMAT, id);
	return open(path, flags | O_CLOEXEC);
}

u32 ha_must_attach(const char *disk, u32 flags)
{
	u32 id;
	int err = ha_attach(NULL, disk, flags, &id);

	if (err)
		t_die("attach %s: %s", disk, t_strerror(err));
	return id;
}

int ha_must_open(u32 id, int flags)
{
	int fd = ha_open(id, flags);

	if (fd < 0)
		t_die("open instance %u", id);
	return fd;
}

#define NR_OWN	64	/* extents that a thread of a load has, at most */

static void load_count(struct t_load *l, int err)
{
	atomic_fetch_add(&l->calls, 1);
	if (err && atomic_fetch_add(&l->odd, 1) < 5)
		t_note("a call got %s", t_strerror(err));
}

static void *load_work(void *arg)
{
	struct hybrid_alloc_extent e[NR_OWN];
	struct t_load *l = arg;
	u64 rng = t_seed + atomic_fetch_add(&l->started, 1), round;
	int nr = 0, i, err;

	for (round = 1; !atomic_load(&l->stop); round++) {
		if (nr < NR_OWN && random_next(&rng) % 2) {
			err = ha_alloc(l->fd, BLOCK << random_next(&rng) % 11, 0, &e[nr]);
			nr += !err;
			load_count(l, err == ENOSPC ? 0 : err);
		} else if (nr) {
			i = random_next(&rng) % nr;
			load_count(l, ha_free(l->fd, e[i].start, e[i].len, NULL));
			e[i] = e[--nr];
		}
		if (l->aside)
			l->aside(&rng, round);
	}
	while (nr--)
		load_count(l, ha_free(l->fd, e[nr].start, e[nr].len, NULL));
	return NULL;
}

void t_join(pthread_t thread)
{
	while (pthread_tryjoin_np(thread, NULL))
		usleep(1000);
}

void t_load_start(struct t_load *load)
{
	int i;

	for (i = 0; i < load->nr; i++)
		if (pthread_create(&load->threads[i], NULL, load_work, load))
			t_die("pthread_create");
}

void t_load_stop(struct t_load *load)
{
	int i;

	atomic_store(&load->stop, true);
	for (i = 0; i < load->nr; i++)
		t_join(load->threads[i]);
}

void t_fill_pools(int fd, int nr)
{
	struct hybrid_alloc_extent e[64];
	u64 len;
	int i, n;

	for (len = BLOCK; len <= 4 * MIB; len *= 2) {
		for (n = 0; n < nr && n < 64 && n * len < 32 * MIB; n++)
			if (ha_alloc(fd, len, 0, &e[n]))
				t_die("ALLOC of %llu", len);
		for (i = 0; i < n; i++)
			if (ha_free(fd, e[i].start, e[i].len, NULL))
				t_die("FREE of %llu", len);
	}
}

bool t_identity(const struct hybrid_alloc_stat *st, const char *what)
{
	u64 sum = st->charged + st->cached + st->free + st->retired + st->unusable;

	if (st->capacity == sum)
		return true;
	t_note("%s: capacity is %llu, the sum of its parts %llu:", what, st->capacity, sum);
	t_note("charged %llu, cached %llu, free %llu, retired %llu, unusable %llu", st->charged,
	       st->cached, st->free, st->retired, st->unusable);
	return false;
}

bool t_unchanged(const struct hybrid_alloc_stat *a, const struct hybrid_alloc_stat *b)
{
	static const struct {
		const char *name;
		size_t off;
	} fields[] = {
#define F(name)	{ #name, offsetof(struct hybrid_alloc_stat, name) }
		F(capacity), F(charged), F(cached), F(free), F(retired), F(unusable),
		F(nr_live), F(nr_slabs), F(metadata), F(percpu),
#undef F
	};
	bool same = true;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		u64 x, y;

		memcpy(&x, (const char *)a + fields[i].off, sizeof(x));
		memcpy(&y, (const char *)b + fields[i].off, sizeof(y));
		if (x == y)
			continue;
		t_note("%s was %llu and is %llu", fields[i].name, x, y);
		same = false;
	}
	return same;
}

struct hybrid_alloc_stat t_before;
static int remembered_fd;

void t_remember(int fd)
{
	remembered_fd = fd;
	t_before = ha_stat(fd, 0);
}

bool t_refused(int got, int want, const char *what, const char *how)
{
	struct hybrid_alloc_stat after = ha_stat(remembered_fd, 0);
	bool same = t_unchanged(&t_before, &after);

	if (!t_ok(got == want && same, "%s: %s: %s", what, how, t_strerror(want)))
		t_note("got %s%s", t_strerror(got), same ? "" : ", and the state changed");
	t_before = after;
	return got == want && same;
}

static void *flipper(void *arg)
{
	struct t_flip *flip = arg;

	t_unpin();
	while (!atomic_load(&flip->stop)) {
		mprotect(flip->mem, flip->len, PROT_READ);
		mprotect(flip->mem, flip->len, PROT_READ | PROT_WRITE);
	}
	return NULL;
}

void t_flip_start(struct t_flip *flip, size_t len)
{
	int fd = memfd_create("flip", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, len))
		t_die("memfd");
	flip->len = len;
	flip->mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	flip->same = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	atomic_store(&flip->stop, false);
	if (flip->mem == MAP_FAILED || flip->same == MAP_FAILED ||
	    pthread_create(&flip->thread, NULL, flipper, flip))
		t_die("memory that turns read-only");
}

void t_flip_stop(struct t_flip *flip)
{
	atomic_store(&flip->stop, true);
	t_join(flip->thread);
	munmap(flip->mem, flip->len);
	munmap(flip->same, flip->len);
}

const char *t_left(int fd, const struct hybrid_alloc_stat *start, struct hybrid_alloc_stat *st)
{
	if (ha_op(fd, HYBRID_ALLOC_IOC_DRAIN))
		return "DRAIN fails";
	*st = ha_stat(fd, HYBRID_ALLOC_STAT_RUNS);
	if (!t_identity(st, "all freed") || st->charged || st->cached || st->nr_live)
		return "an extent stays behind";
	if (st->nr_free_runs != 1 || st->largest_free_run != st->capacity - st->unusable)
		return "the free space is not one run";
	if (st->metadata != start->metadata || st->nr_slabs != start->nr_slabs)
		return "metadata stays behind";
	return NULL;
}

bool t_all_back(int fd, const struct hybrid_alloc_stat *start, const char *what)
{
	struct hybrid_alloc_stat st = {};
	const char *left = t_left(fd, start, &st);

	if (t_ok(!left, "%s: all comes back as one free run, metadata too", what))
		return true;
	t_note("%s", left);
	t_note("charged %llu, cached %llu, %llu live; %llu runs, the largest %llu of %llu",
	       st.charged, st.cached, st.nr_live, st.nr_free_runs, st.largest_free_run,
	       st.capacity - st.unusable);
	t_note("metadata %llu, at the start %llu; slabs %llu, at the start %llu",
	       st.metadata, start->metadata, st.nr_slabs, start->nr_slabs);
	return false;
}

int ha_open_module(void)
{
	const char *path = getenv("MODULE");
	int fd;

	if (!path)
		path = "/lib/hybrid-alloc.ko";
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		t_die("open the module %s (set MODULE)", path);
	return fd;
}

/* What the pools hold is to change only by calls, if a test does not ask for more. */
int ha_insmod(const char *params)
{
	int fd = ha_open_module(), err;
	char all[512];

	snprintf(all, sizeof(all), "%s%s", params, strstr(params, "idle_ms=") ? "" : " idle_ms=0");
	err = syscall(SYS_finit_module, fd, all, 0) < 0 ? errno : 0;
	close(fd);
	return err;
}

int ha_rmmod(void)
{
	return syscall(SYS_delete_module, MODULE_NAME, O_NONBLOCK) < 0 ? errno : 0;
}

bool ha_loaded(void)
{
	return !access("/sys/module/" MODULE_NAME, F_OK);
}

void ha_need_module(void)
{
	int err;

	if (ha_loaded())
		return;
	err = ha_insmod("");
	if (err)
		t_die("insmod: %s", t_strerror(err));
}

int t_write(const char *path, const char *fmt, ...)
{
	char buf[256];
	va_list ap;
	int fd, n, err = 0;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (write(fd, buf, n) != n)
		err = errno;
	close(fd);
	return err;
}

long t_read_long(const char *path)
{
	FILE *f = fopen(path, "re");
	long v = -1;

	if (!f)
		return -1;
	if (fscanf(f, "%ld", &v) != 1)
		v = -1;
	fclose(f);
	return v;
}

int t_log_with(const char *text, int *all)
{
	static int fd = -1;
	char line[2048];
	int n = 0, with = 0;
	ssize_t len;

	if (fd < 0) {
		fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			t_die("open /dev/kmsg");
	}
	while ((len = read(fd, line, sizeof(line) - 1)) > 0 || errno == EPIPE) {
		if (len <= 0)
			continue;
		line[len] = 0;
		if (!strstr(line, ";hybrid_alloc: "))
			continue;
		n++;
		with += !!strstr(line, text);
	}
	if (all)
		*all = n;
	return with;
}

int t_log_lines(void)
{
	return t_log_with("", NULL);
}

void t_fail_nth(int fd, unsigned int n)
{
	char buf[16];
	int len = snprintf(buf, sizeof(buf), "%u", n);

	/* a fault that is still due may hit the first try */
	if (pwrite(fd, buf, len, 0) != len && pwrite(fd, buf, len, 0) != len)
		t_die("write fail-nth");
}

bool t_fail_delivered(int fd)
{
	char buf[16] = {};
	/* that to read it fails means that it was still due */
	ssize_t len = pread(fd, buf, sizeof(buf) - 1, 0);

	return len > 0 && !atoi(buf);
}

double t_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

int t_modprobe(const char *name, const char *params)
{
	char cmd[512];

	snprintf(cmd, sizeof(cmd), "modprobe %s %s", name, params);
	return system(cmd);
}

void t_pin(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		t_die("pin to CPU %u", cpu);
}

void t_unpin(void)
{
	cpu_set_t set;

	memset(&set, 0xff, sizeof(set));
	if (sched_setaffinity(0, sizeof(set), &set))
		t_die("unpin");
}

void t_need_null_blk(void)
{
	if (access(NULLB_DIR, F_OK)) {
		system("modprobe configfs 2>/dev/null");	/* may be built in */
		t_modprobe("null_blk", "nr_devices=0");
	}
	if (access(NULLB_DIR, F_OK) &&
	    system("mount -t configfs none /sys/kernel/config"))
		t_die("mount configfs");
	if (access(NULLB_DIR, F_OK))
		t_die("null_blk is not there");
}

static int nullb_set(const char *name, const char *attr, u32 value)
{
	char path[128];

	snprintf(path, sizeof(path), NULLB_DIR "/%s/%s", name, attr);
	return t_write(path, "%u", value);
}

int t_nullb_try(const char *name, struct t_disk_opts o)
{
	char path[128];
	int err = 0;

	t_need_null_blk();
	snprintf(path, sizeof(path), NULLB_DIR "/%s", name);
	if (!access(path, F_OK))
		t_nullb_remove(name);
	if (mkdir(path, 0755))
		return errno;
	if (!err)
		err = nullb_set(name, "size", o.mib);
	if (!err)
		err = nullb_set(name, "blocksize", o.blocksize ? o.blocksize : 512);
	if (!err && o.memory)
		err = nullb_set(name, "memory_backed", 1);
	if (!err && o.zoned)
		err = nullb_set(name, "zoned", 1);
	if (!err && o.discard)
		err = nullb_set(name, "discard", 1);
	if (!err && o.delay_ms)
		err = nullb_set(name, "irqmode", 2) ?:
		      nullb_set(name, "completion_nsec", o.delay_ms * 1000000);
	if (!err)
		err = nullb_set(name, "power", 1);
	if (err)
		t_nullb_remove(name);
	return err;
}

void t_nullb_make(const char *name, struct t_disk_opts o)
{
	int err = t_nullb_try(name, o);

	if (err)
		t_die("null_blk %s: %s", name, t_strerror(err));
}

void t_nullb_power_off(const char *name)
{
	int err = nullb_set(name, "power", 0);

	if (err)
		t_die("null_blk %s off: %s", name, t_strerror(err));
}

void t_nullb_remove(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), NULLB_DIR "/%s", name);
	rmdir(path);
}

const char *t_scsi_make(const char *params)
{
	static char name[32];
	char path[64];
	glob_t g;
	int i;

	if (t_modprobe("scsi_debug", params))
		t_die("modprobe scsi_debug %s", params);
	for (i = 0; i < 100; i++, usleep(100000)) {
		if (glob(SCSI_DISK, 0, NULL, &g))
			continue;
		snprintf(name, sizeof(name), "%s", strrchr(g.gl_pathv[0], '/') + 1);
		globfree(&g);
		snprintf(path, sizeof(path), "/dev/%s", name);
		if (t_disk_size(path))
			return name;
	}
	t_die("scsi_debug makes no disk");
}

/* Nobody holds it: an exclusive open succeeds. */
bool t_disk_is_free(const char *disk)
{
	int fd = open(disk, O_RDWR | O_EXCL | O_CLOEXEC);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

u64 t_disk_size(const char *disk)
{
	int fd = open(disk, O_RDONLY | O_CLOEXEC);
	u64 bytes = 0;

	if (fd < 0)
		return 0;
	if (ioctl(fd, BLKGETSIZE64, &bytes))
		bytes = 0;
	close(fd);
	return bytes;
}

const char *t_disk(const char *name, u32 mib)
{
	const char *disks = getenv("DISKS");
	static char path[64];

	if (disks && sscanf(disks, "%63s", path) == 1 && t_disk_size(path) >= mib * MIB)
		return path;
	t_nullb_make(name, (struct t_disk_opts){ .mib = mib });
	snprintf(path, sizeof(path), "/dev/%s", name);
	return path;
}
