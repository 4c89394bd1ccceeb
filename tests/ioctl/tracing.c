// SPDX-License-Identifier: GPL-2.0
/*
 * Tracepoints: each event comes when it should and says what it should, also of calls
 * that a pool serves, and nothing else comes.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mount.h>
#include "harness.h"

#define NULLB		"hat-trace"
#define TRACEFS		"/sys/kernel/tracing"
#define EVENTS		TRACEFS "/events/hybrid_alloc"

static u32 id;
static int fd;
static char dev[32];		/* as events begin */
static char *lines[65536];	/* what was traced, without what is before the event's name */
static u32 nr_lines;

static void on(const char *event, bool enable)
{
	char path[128];

	snprintf(path, sizeof(path), EVENTS "/%s/enable", event);
	if (t_write(path, "%d", enable))
		t_die("cannot write %s", path);
}

static void clear(void)
{
	int f = open(TRACEFS "/trace", O_WRONLY | O_TRUNC);

	if (f < 0)
		t_die("trace");
	close(f);
}

/* What was traced since the last call. */
static void read_trace(void)
{
	FILE *f = fopen(TRACEFS "/trace", "re");
	char line[512], *at;

	if (!f)
		t_die("trace");
	while (nr_lines)
		free(lines[--nr_lines]);
	while (fgets(line, sizeof(line), f)) {
		at = strstr(line, ": ha_");
		line[strcspn(line, "\n")] = 0;
		if (*line != '#' && at && nr_lines < ARRAY_SIZE(lines))
			lines[nr_lines++] = strdup(at + 2);
	}
	fclose(f);
	clear();
}

/* How many lines are just this; the device is put behind the event's name. */
static u32 count(const char *event, const char *fmt, va_list ap)
{
	char want[256], rest[200];
	u32 i, n = 0;

	vsnprintf(rest, sizeof(rest), fmt, ap);
	snprintf(want, sizeof(want), "%s: %s%s", event, dev, rest);
	for (i = 0; i < nr_lines; i++)
		n += !strcmp(lines[i], want);
	if (!n)
		t_note("not there: %s", want);
	return n;
}

__printf(2, 3) static bool saw(const char *event, const char *fmt, ...)
{
	va_list ap;
	u32 n;

	va_start(ap, fmt);
	n = count(event, fmt, ap);
	va_end(ap);
	return n == 1;
}

/* How many lines are of an event. */
static u32 nr_of(const char *event)
{
	u32 i, n = 0;

	for (i = 0; i < nr_lines; i++)
		n += !strncmp(lines[i], event, strlen(event)) && lines[i][strlen(event)] == ':';
	return n;
}

static void must_alloc(u64 len, struct hybrid_alloc_extent *e)
{
	if (ha_alloc(fd, len, 0, e))
		t_die("ALLOC");
}

static void drain(void)
{
	if (ha_op(fd, HYBRID_ALLOC_IOC_DRAIN))
		t_die("DRAIN");
}

static void test_calls(void)
{
	struct hybrid_alloc_stat before, after;
	struct hybrid_alloc_extent e[8], odd, big;
	u32 i, seen = 0, freed = 0;

	must_alloc(BLOCK, &e[0]);	/* makes the pool */
	must_alloc(BLOCK, &e[1]);	/* fills it */
	on("ha_alloc", true);
	on("ha_free", true);
	before = ha_stat(fd, 0);
	for (i = 2; i < 8; i++)
		must_alloc(BLOCK, &e[i]);
	after = ha_stat(fd, 0);
	t_eq(after.pool_hits - before.pool_hits, 6, "a pool serves calls that are traced");
	read_trace();
	for (i = 2; i < 8; i++)
		seen += saw("ha_alloc", "want 4096 align 0 start %llu len 4096 ret 0",
			    (u64)e[i].start);
	t_ok(seen == 6 && nr_lines == 6, "and each has its event");
	for (i = 0; i < 8; i++)
		if (ha_free(fd, e[i].start, 1, NULL))
			t_die("FREE");
	read_trace();
	for (i = 0; i < 8; i++)
		freed += saw("ha_free", "start %llu len 4096", (u64)e[i].start);
	t_ok(freed == 8 && nr_lines == 8, "so have frees into it");

	if (ha_alloc(fd, 3 * MIB - 1, MIB, &odd))
		t_die("ALLOC");
	must_alloc(4 * MIB, &big);
	t_errno(ha_alloc(fd, 1ULL << 40, 0, NULL), EFBIG, "ALLOC of too much");
	if (ha_free(fd, odd.start, odd.len, NULL) || ha_free(fd, big.start, big.len, NULL))
		t_die("FREE");
	read_trace();
	t_ok(saw("ha_alloc", "want %llu align %llu start %llu len %llu ret 0", 3 * MIB - 1, MIB,
		 (u64)odd.start, (u64)odd.len),
	     "ha_alloc tells what was asked for, and what there is");
	t_ok(saw("ha_alloc", "want %llu align 0 start %llu len %llu ret 0", 4 * MIB,
		 (u64)big.start, (u64)big.len), "ha_alloc of a block of the buddy");
	t_ok(saw("ha_alloc", "want %llu align 0 start 0 len 0 ret %d", 1ULL << 40, -EFBIG),
	     "ha_alloc of an allocation that fails");
	t_ok(saw("ha_free", "start %llu len %llu", (u64)odd.start, (u64)odd.len) &&
	     saw("ha_free", "start %llu len %llu", (u64)big.start, (u64)big.len),
	     "ha_free of both");
	t_eq(nr_lines, 5, "and nothing else");

	on("ha_alloc", false);
	before = ha_stat(fd, 0);
	for (i = 0; i < 8; i++) {
		must_alloc(BLOCK, &e[0]);
		if (ha_free(fd, e[0].start, BLOCK, NULL))
			t_die("FREE");
	}
	read_trace();
	t_ok(nr_of("ha_free") == 8 && nr_lines == 8, "one of the two alone");
	on("ha_free", false);
	must_alloc(BLOCK, &e[0]);
	if (ha_free(fd, e[0].start, BLOCK, NULL))
		t_die("FREE");
	after = ha_stat(fd, 0);
	read_trace();
	t_eq(nr_lines, 0, "none of them");
	t_eq(after.pool_hits - before.pool_hits, 9, "all the same to the pool");
	drain();
}

static void test_refused(void)
{
	static const struct {
		const char *name;
		u64 start, len;		/* relative to an extent of 64 KiB */
		int err;
	} t[] = {
		{ "not_allocated", 512 * MIB, BLOCK, ENOENT },
		{ "wrong_start", BLOCK, BLOCK, EINVAL },
		{ "wrong_length", 0, 2 * BLOCK, EINVAL },
		{ "unaligned", 1, BLOCK, EINVAL },
		{ "zero_length", 0, 0, EINVAL },
		{ "out_of_range", 1ULL << 40, BLOCK, ERANGE },
		{ "foreign", 0, 64 * KIB, EPERM },
	};
	struct hybrid_alloc_extent e, bound;
	int f = ha_must_open(id, O_RDWR);
	u32 i;

	must_alloc(64 * KIB, &e);
	on("ha_refused_free", true);
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		u64 start = e.start + t[i].start;

		if (t[i].err == EPERM) {
			if (ha_alloc_flags(f, 64 * KIB, HYBRID_ALLOC_ALLOC_BOUND, &bound))
				t_die("ALLOC");
			start = bound.start;
		}
		t_errno(ha_free(fd, start, t[i].len, NULL), t[i].err, "FREE: %s", t[i].name);
		read_trace();
		t_ok(saw("ha_refused_free", "start %llu len %llu reason %s ret %d", start, t[i].len,
			 t[i].name, -t[i].err) && nr_lines == 1, "ha_refused_free: %s", t[i].name);
	}
	close(f);
	if (ha_free(fd, e.start, e.len, NULL))
		t_die("FREE");
	read_trace();
	t_eq(nr_lines, 0, "a free that is none leaves no event");
	on("ha_refused_free", false);
	drain();
}

static void test_pools(void)
{
	static struct hybrid_alloc_extent e[512];
	struct hybrid_alloc_stat st;
	u32 i, nr;

	on("ha_refill", true);
	on("ha_drain", true);
	st = ha_stat(fd, 0);
	for (nr = 0; nr < ARRAY_SIZE(e) && ha_stat(fd, 0).pool_refills == st.pool_refills; nr++)
		must_alloc(8 * KIB, &e[nr]);
	read_trace();
	t_ok(saw("ha_refill", "cpu 0 len 8192 want 32 nr 32") && nr_lines == 1,
	     "ha_refill: to the half");
	for (; nr < 100; nr++)
		must_alloc(8 * KIB, &e[nr]);
	read_trace();
	for (i = 0; i < nr; i++)
		if (ha_free(fd, e[i].start, e[i].len, NULL))
			t_die("FREE");
	read_trace();
	t_ok(nr_lines && nr_of("ha_drain") == nr_lines &&
	     strstr(lines[0], "cpu 0 len 8192 nr 32 kept 32 why full"), "ha_drain: a full pool");
	st = ha_stat(fd, 0);
	drain();
	read_trace();
	t_ok(saw("ha_drain", "cpu 0 len 8192 nr %llu kept 0 why asked", st.cached / (8 * KIB)) &&
	     nr_lines == 1, "ha_drain: DRAIN");

	for (i = 0; i < 2; i++)
		must_alloc(8 * KIB, &e[i]);
	for (i = 0; i < 2; i++)
		if (ha_free(fd, e[i].start, e[i].len, NULL))
			t_die("FREE");
	st = ha_stat(fd, 0);
	read_trace();
	if (t_write("/proc/sys/vm/drop_caches", "2"))
		t_die("drop_caches");
	read_trace();
	t_ok(saw("ha_drain", "cpu 0 len 8192 nr %llu kept 0 why memory", st.cached / (8 * KIB)) &&
	     nr_lines == 1, "ha_drain: memory is short");
	on("ha_refill", false);
	on("ha_drain", false);
}

static void test_blocks(void)
{
	struct hybrid_alloc_extent e;
	u64 len, bytes = ha_stat(fd, 0).capacity;
	u32 i, nr = 0, ok = 0;

	drain();
	on("ha_split", true);
	on("ha_merge", true);
	if (ha_claim(fd, 0, 16 * MIB))
		t_die("CLAIM");
	read_trace();
	for (len = bytes; len > 16 * MIB; len /= 2, nr++)
		ok += saw("ha_split", "start 0 len %llu", len);
	t_ok(ok == nr && nr_lines == nr, "ha_split: %u times down to 16 MiB", nr);
	if (ha_free(fd, 0, 16 * MIB, NULL))
		t_die("FREE");
	read_trace();
	for (ok = 0, i = 0, len = 32 * MIB; len <= bytes; len *= 2, i++) {
		char want[128];

		snprintf(want, sizeof(want), "ha_merge: %sstart 0 len %llu", dev, len);
		ok += i < nr_lines && !strcmp(lines[i], want);
	}
	t_ok(ok == nr && nr_lines == nr, "ha_merge: as many, and in their order");
	on("ha_split", false);
	on("ha_merge", false);

	on("ha_claim", true);
	if (ha_claim(fd, 5 * MIB, 12 * KIB))
		t_die("CLAIM");
	t_errno(ha_claim(fd, 5 * MIB, 4 * KIB), EEXIST, "CLAIM of what is taken");
	t_errno(ha_claim(fd, 1, 4 * KIB), EINVAL, "CLAIM of what is unaligned");
	read_trace();
	t_ok(saw("ha_claim", "start %llu len 12288 ret 0", 5 * MIB) &&
	     saw("ha_claim", "start %llu len 4096 ret %d", 5 * MIB, -EEXIST) &&
	     saw("ha_claim", "start 1 len 4096 ret %d", -EINVAL) && nr_lines == 3,
	     "ha_claim: whatever comes of it");
	on("ha_claim", false);
	e.start = 5 * MIB;
	if (ha_free(fd, e.start, 12 * KIB, NULL))
		t_die("FREE");
}

static void test_parts(void)
{
	struct hybrid_alloc_extent e = { .start = 9 * MIB, .len = 32 * KIB };

	if (ha_claim(fd, e.start, e.len) || ha_claim(fd, e.start + 40 * KIB, BLOCK))
		t_die("CLAIM");
	on("ha_split_extent", true);
	on("ha_extend", true);
	on("ha_free", true);
	on("ha_refused_free", true);
	t_errno(ha_extend(fd, &e, 2 * BLOCK, 0, NULL), 0, "EXTEND");
	t_errno(ha_extend(fd, &e, BLOCK, 0, NULL), ENOSPC, "EXTEND into what is taken");
	t_errno(ha_split(fd, e.start, e.len, e.start + BLOCK, NULL), 0, "SPLIT");
	t_errno(ha_split(fd, e.start, e.len, e.start + BLOCK, NULL), EINVAL, "SPLIT once more");
	t_errno(ha_free_part(fd, e.start + 2 * BLOCK, BLOCK, NULL), 0, "FREE_PART");
	t_errno(ha_free_part(fd, e.start, BLOCK, NULL), 0, "FREE_PART of all");
	t_errno(ha_keep(fd, e.start, BLOCK, NULL), ENOENT, "KEEP of what is free");
	read_trace();
	t_ok(saw("ha_extend", "start %llu len 32768 got 8192 ret 0", (u64)e.start) &&
	     saw("ha_extend", "start %llu len 40960 got 0 ret %d", (u64)e.start, -ENOSPC),
	     "ha_extend: by how much, or why not");
	t_ok(saw("ha_split_extent", "start %llu len 40960 at %llu", (u64)e.start,
		 (u64)e.start + BLOCK), "ha_split_extent");
	t_ok(saw("ha_refused_free", "start %llu len 40960 reason wrong_length ret %d",
		 (u64)e.start, -EINVAL) &&
	     saw("ha_refused_free", "start %llu len 4096 reason not_allocated ret %d",
		 (u64)e.start, -ENOENT), "ha_refused_free of a split and of a keep");
	t_ok(saw("ha_free", "start %llu len 4096", (u64)e.start + 2 * BLOCK) &&
	     saw("ha_free", "start %llu len 4096", (u64)e.start), "ha_free of parts");
	t_eq(nr_lines, 7, "and nothing else");
	on("ha_split_extent", false);
	on("ha_extend", false);
	on("ha_free", false);
	on("ha_refused_free", false);
	if (ha_free(fd, e.start + BLOCK, BLOCK, NULL) ||
	    ha_free_part(fd, e.start + 3 * BLOCK, 8 * BLOCK, NULL))
		t_die("FREE");
	drain();
}

static void test_trim(void)
{
	struct hybrid_alloc_trim t = { .size = sizeof(t), .start = 64 * MIB, .len = 64 * MIB };
	const u64 half = 32 * MIB;

	on("ha_trim", true);
	t_errno(ha_ioctl(fd, HYBRID_ALLOC_IOC_TRIM, &t), 0, "TRIM");
	read_trace();
	t_ok(saw("ha_trim", "start %llu len %llu trimmed %llu ret 0", 64 * MIB, half, half) &&
	     saw("ha_trim", "start %llu len %llu trimmed %llu ret 0", 96 * MIB, half, half) &&
	     nr_lines == 2, "ha_trim: 32 MiB at a time");
	on("ha_trim", false);
}

int main(void)
{
	struct hybrid_alloc_stat before;
	struct hybrid_alloc_info info;

	t_pin(0);
	if (mount("tracefs", TRACEFS, "tracefs", 0, NULL) && errno != EBUSY)
		t_die("tracefs: %s", strerror(errno));
	t_need_null_blk();
	t_nullb_make(NULLB, (struct t_disk_opts){ .mib = 1024, .memory = true, .discard = true });
	/* idle pools are not what this is about */
	if (ha_insmod("idle_ms=0"))
		t_die("insmod");
	id = ha_must_attach("/dev/" NULLB, HYBRID_ALLOC_ATTACH_FRESH);
	fd = ha_must_open(id, O_RDWR);
	if (ha_info(fd, 0, 0, &info))
		t_die("INFO");
	snprintf(dev, sizeof(dev), "dev %u,%u ", info.dev_major, info.dev_minor);
	before = ha_stat(fd, 0);
	clear();
	test_calls();
	test_refused();
	test_pools();
	test_blocks();
	test_parts();
	test_trim();
	t_all_back(fd, &before, "what was traced");
	close(fd);
	t_errno(ha_detach(id, 0), 0, "DETACH");
	t_nullb_remove(NULLB);
	if (ha_rmmod())
		t_die("rmmod");
	return t_done();
}
