// SPDX-License-Identifier: GPL-2.0
/*
 * sysfs says what STAT and INFO say, one value a file, from the first moment on;
 * debugfs the same in tables; and reading either while devices come and go harms
 * nobody.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <linux/netlink.h>
#include "harness.h"

#define NULLB		"hat-obs"
#define DISK		"/dev/" NULLB
#define FRESH		HYBRID_ALLOC_ATTACH_FRESH
#define FORCE		HYBRID_ALLOC_DETACH_FORCE

struct field {
	const char *file;
	size_t offset;
};

#define STAT(f)		{ "stat/" #f, offsetof(struct hybrid_alloc_stat, f) }
#define REFUSED(f, r)	{ "refused_frees/" #f, offsetof(struct hybrid_alloc_stat, refused_frees) + \
			  8 * HYBRID_ALLOC_REASON_##r }
#define INFO(f)		{ #f, offsetof(struct hybrid_alloc_info, f) }

static const struct field stat_fields[] = {
	STAT(capacity), STAT(charged), STAT(cached), STAT(free), STAT(retired), STAT(unusable),
	STAT(metadata), STAT(percpu), STAT(nr_live), STAT(nr_slabs), STAT(largest_free_run),
	STAT(pool_hits), STAT(pool_misses), STAT(pool_refills), STAT(pool_drains),
	STAT(slabs_made), STAT(slabs_returned), STAT(buddy_splits), STAT(buddy_merges),
	STAT(slow_searches), STAT(nr_bound), STAT(bound_memory), STAT(nr_watchers),
	STAT(nr_allocs), STAT(reserved), STAT(nr_reservations), STAT(reserved_refusals),
	REFUSED(not_allocated, NOT_ALLOCATED),
	REFUSED(wrong_start, WRONG_START), REFUSED(wrong_length, WRONG_LENGTH),
	REFUSED(unaligned, UNALIGNED), REFUSED(zero_length, ZERO_LENGTH),
	REFUSED(out_of_range, OUT_OF_RANGE), REFUSED(foreign, FOREIGN),
};

static const struct field info_fields[] = {
	INFO(epoch), INFO(features), INFO(range_start), INFO(range_len), INFO(min_block),
	INFO(max_block), INFO(slab_max), INFO(buddy_start),
};

static u32 id;
static int fd;

/* Of a file below the device, without the newline; false if there is none. */
static bool sys_read(const char *file, char *buf, size_t size)
{
	char path[160];
	ssize_t n;
	int f;

	snprintf(path, sizeof(path), "/sys/class/misc/hybrid_alloc%u/%s", id, file);
	f = open(path, O_RDONLY | O_CLOEXEC);
	if (f < 0)
		return false;
	n = read(f, buf, size - 1);
	close(f);
	if (n < 1 || buf[n - 1] != '\n')
		return false;
	buf[n - 1] = 0;
	return true;
}

static bool sys_is(const char *file, const char *want)
{
	char buf[128];

	if (!sys_read(file, buf, sizeof(buf))) {
		t_note("%s cannot be read", file);
		return false;
	}
	if (strcmp(buf, want))
		t_note("%s is %s, not %s", file, buf, want);
	return !strcmp(buf, want);
}

static u32 disagree(const struct field *fields, u32 nr, const void *from)
{
	u32 i, bad = 0;
	char want[32];

	for (i = 0; i < nr; i++) {
		snprintf(want, sizeof(want), "%llu", *(const u64 *)(from + fields[i].offset));
		bad += !sys_is(fields[i].file, want);
	}
	return bad;
}

static void agree(const char *when)
{
	struct hybrid_alloc_stat st = ha_stat(fd, 0);
	struct hybrid_alloc_info info;

	if (ha_info(fd, 0, 0, &info))
		t_die("INFO");
	t_eq(disagree(stat_fields, ARRAY_SIZE(stat_fields), &st), 0, "%s: sysfs and STAT agree",
	     when);
	t_eq(disagree(info_fields, ARRAY_SIZE(info_fields), &info), 0, "%s: sysfs and INFO agree",
	     when);
}

/* The rows of numbers in a table of debugfs. */
static u32 table(const char *file, u64 rows[][6], u32 max)
{
	char path[128], line[256];
	u32 n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/debug/hybrid_alloc/hybrid_alloc%u/%s", id, file);
	f = fopen(path, "re");
	if (!f)
		t_die("%s", path);
	while (fgets(line, sizeof(line), f) && n < max)
		n += sscanf(line, "%llu %llu %llu %llu %llu %llu", &rows[n][0], &rows[n][1],
			    &rows[n][2], &rows[n][3], &rows[n][4], &rows[n][5]) >= 3;
	fclose(f);
	return n;
}

static void tables_agree(const char *when)
{
	struct hybrid_alloc_stat st = ha_stat(fd, HYBRID_ALLOC_STAT_RUNS);
	u64 rows[64][6], cached = 0, sum = 0, large;
	u32 nr = table("free_runs", rows, 64), i, at = 0, bad = 0;

	for (i = 0; i < HYBRID_ALLOC_RUN_LENGTHS; i++) {
		if (!st.run_count[i])
			continue;
		bad += at >= nr || rows[at][0] != BLOCK << i || rows[at][1] != st.run_count[i] ||
		       rows[at][2] != st.run_bytes[i];
		sum += rows[at++][2];
	}
	t_ok(nr && at == nr && !bad && sum == st.free, "%s: free_runs and STAT agree", when);

	nr = table("slabs", rows, 64);
	for (i = 0, bad = 0; i < nr; i++) {
		bad += rows[i][2] != rows[i][3] + rows[i][4] + rows[i][5] || !rows[i][1];
		cached += rows[i][0] * rows[i][5];
	}
	/* those of whole blocks come from no slab */
	large = st.cached - cached;
	t_ok(!bad && large % MIB == 0, "%s: slabs: %u sizes, what is in pools as STAT says",
	     when, nr);
}

static void test_values(void)
{
	static const u64 sizes[] = { BLOCK, 3 * BLOCK, 64 * KIB, 68 * KIB, MIB, 3 * MIB, 40 * MIB };
	static struct hybrid_alloc_extent e[ARRAY_SIZE(sizes)][40];
	struct hybrid_alloc_info info;
	char uuid[64], *p = uuid;
	u64 rows[64][6];
	u32 i, j, nr;

	t_ok(sys_is("disk", NULLB), "disk");
	if (ha_info(fd, 0, 0, &info))
		t_die("INFO");
	for (i = 0; i < 16; i++)
		p += sprintf(p, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			     info.uuid[i]);
	t_ok(sys_is("uuid", uuid), "uuid");
	t_ok(sys_is("sealed", "1") && sys_is("gone", "0"), "sealed, and not gone");
	if (ha_op(fd, HYBRID_ALLOC_IOC_SEAL))
		t_die("SEAL");
	t_ok(sys_is("sealed", "0"), "not sealed after SEAL");
	agree("empty");
	tables_agree("empty");
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		for (j = 0; j < 40 && (i < 6 || j < 2); j++)
			if (ha_alloc(fd, sizes[i], 0, &e[i][j]))
				t_die("ALLOC");
	agree("in use");
	tables_agree("in use");
	nr = table("slabs", rows, 64);
	for (i = 0, j = 0; i < nr; i++)
		j += (rows[i][0] == BLOCK || rows[i][0] == 3 * BLOCK || rows[i][0] == 64 * KIB) &&
		     rows[i][3] == 40;
	t_eq(j, 3, "slabs: the extents that are live");
	ha_free(fd, e[0][0].start + 1, BLOCK, NULL);
	ha_free(fd, e[0][0].start, 2 * BLOCK, NULL);
	ha_free(fd, e[2][0].start + BLOCK, BLOCK, NULL);
	ha_free(fd, e[0][0].start, 0, NULL);
	ha_free(fd, 1ULL << 50, BLOCK, NULL);
	ha_free(fd, e[0][0].start, BLOCK, NULL);
	ha_op(fd, HYBRID_ALLOC_IOC_DRAIN);
	ha_free(fd, e[0][0].start, BLOCK, NULL);
	agree("after refused frees");
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		for (j = !i; j < 40 && (i < 6 || j < 2); j += 2)
			if (ha_free(fd, e[i][j].start, e[i][j].len, NULL))
				t_die("FREE");
	agree("half of it freed");
	tables_agree("half of it freed");
}

static void test_modes(void)
{
	static const char *const files[] = {
		"disk", "sealed", "stat/free", "refused_frees/foreign",
	};
	char path[128];
	struct stat st;
	u32 i, bad = 0;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "/sys/class/misc/hybrid_alloc%u/%s", id, files[i]);
		bad += stat(path, &st) || (st.st_mode & 07777) != 0444;
		bad += open(path, O_WRONLY) >= 0 && t_write(path, "1") == 0;
	}
	t_eq(bad, 0, "all may read, nobody writes");
}

/* Whoever hears of the device finds its files. */
static void test_uevent(void)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int s = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_KOBJECT_UEVENT), left;
	char want[64], buf[4096];
	u32 bad = 0;

	if (s < 0) {
		t_skip("the files are there when the uevent comes", "this kernel has no netlink");
		return;
	}
	if (bind(s, (void *)&addr, sizeof(addr)))
		t_die("bind");
	for (left = 20; left--;) {
		id = ha_must_attach(DISK, FRESH);
		snprintf(want, sizeof(want), "add@/devices/virtual/misc/hybrid_alloc%u", id);
		do {
			ssize_t n = recv(s, buf, sizeof(buf) - 1, 0);

			if (n < 0)
				t_die("recv");
			buf[n] = 0;
		} while (strcmp(buf, want));
		bad += !sys_is("stat/unusable", "0") || !sys_is("refused_frees/foreign", "0");
		if (ha_detach(id, 0))
			t_die("DETACH");
	}
	close(s);
	t_eq(bad, 0, "the files are there when the uevent comes");
}

static atomic_bool stop;
static atomic_uint reads, wrong;

/* Reads all that there is; whatever it finds is one number, or a table. */
static void *reader(void *arg)
{
	u64 rng = t_seed + (uintptr_t)arg;
	char path[160], buf[4096];

	while (!atomic_load(&stop)) {
		u32 n = random_next(&rng) % (ARRAY_SIZE(stat_fields) + 3);
		ssize_t len;
		int f;

		if (n < ARRAY_SIZE(stat_fields))
			snprintf(path, sizeof(path), "/sys/class/misc/hybrid_alloc0/%s",
				 stat_fields[n].file);
		else if (n == ARRAY_SIZE(stat_fields))
			snprintf(path, sizeof(path), "/sys/class/misc/hybrid_alloc0/sealed");
		else
			snprintf(path, sizeof(path),
				 "/sys/kernel/debug/hybrid_alloc/hybrid_alloc0/%s",
				 n % 2 ? "slabs" : "free_runs");
		f = open(path, O_RDONLY | O_CLOEXEC);
		if (f < 0)
			continue;
		if (random_next(&rng) % 4 == 0)
			usleep(random_next(&rng) % 3000);	/* it may go meanwhile */
		len = read(f, buf, sizeof(buf));
		if (len > 0)
			atomic_fetch_add(&reads, 1);
		atomic_fetch_add(&wrong, len > 0 && buf[len - 1] != '\n');
		close(f);
	}
	return NULL;
}

static void test_races(void)
{
	double end = t_now() + (getenv("SOAK") ? 120 : 4);
	struct hybrid_alloc_extent e;
	pthread_t threads[3];
	u32 i, rounds;

	for (i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_create(&threads[i], NULL, reader, (void *)(uintptr_t)i);
	for (rounds = 0; t_now() < end || rounds < 6 || atomic_load(&reads) < 6; rounds++) {
		id = ha_must_attach(DISK, rounds % 2 ? FRESH : 0);
		fd = ha_must_open(id, O_RDWR);
		for (i = 0; i < 20 && rounds % 2; i++)
			if (ha_alloc(fd, (i + 1) * BLOCK, 0, &e))
				t_die("ALLOC");
		usleep(5000);
		if (ha_detach(id, FORCE))
			t_die("DETACH");
		close(fd);
	}
	atomic_store(&stop, true);
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	t_note("%u attaches, %u reads", rounds, atomic_load(&reads));
	t_eq(atomic_load(&wrong), 0, "devices come and go while their files are read");
}

int main(void)
{
	struct stat st;

	ha_need_module();
	t_need_null_blk();
	t_nullb_make(NULLB, (struct t_disk_opts){ .mib = 1024 });
	id = ha_must_attach(DISK, 0);
	fd = ha_must_open(id, O_RDWR);
	test_values();
	test_modes();
	close(fd);
	t_errno(ha_detach(id, FORCE), 0, "DETACH");
	t_ok(stat("/sys/kernel/debug/hybrid_alloc/hybrid_alloc0", &st) &&
	     stat("/sys/class/misc/hybrid_alloc0", &st), "nothing is left in sysfs and debugfs");
	test_uevent();
	test_races();
	id = ha_must_attach(DISK, FRESH);
	t_nullb_power_off(NULLB);
	t_ok(sys_is("gone", "1"), "the disk went away: gone");
	t_errno(ha_detach(id, 0), 0, "DETACH then");
	t_nullb_remove(NULLB);
	if (ha_rmmod())
		t_die("rmmod");
	t_ok(stat("/sys/kernel/debug/hybrid_alloc", &st), "nor after rmmod");
	return t_done();
}
