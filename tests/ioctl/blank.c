// SPDX-License-Identifier: GPL-2.0
/*
 * An attach by ATTACH and by insmod, and what is on the disk: a fresh one takes only a
 * managed range whose first and last MiB are zero, and says what it has found else; none
 * takes the disk of a durable instance.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/ioctl.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include "harness.h"

#define DISK		"hat-blank"
#define DISK_DEV	"/dev/" DISK
#define DISK_MIB	64
#define DISK_LEN	(DISK_MIB * MIB)
#define FRESH		HYBRID_ALLOC_ATTACH_FRESH
/* overwrites: it is tested here, on a disk that this test has filled */
#define OVERWRITE	HYBRID_ALLOC_ATTACH_OVERWRITE

static const char magic[] = "HYBRALOC";

static void put(const char *disk, int flags, u64 pos, const void *data, size_t len)
{
	static char buf[2 * BLOCK] __attribute__((aligned(BLOCK)));
	int fd = open(disk, O_RDWR | O_CLOEXEC | flags);
	u64 from = pos / BLOCK * BLOCK;

	if (fd < 0 || pread(fd, buf, sizeof(buf), from) < (ssize_t)BLOCK)
		t_die("read %s", disk);
	memcpy(buf + (pos - from), data, len);
	if (pwrite(fd, buf, BLOCK, from) != (ssize_t)BLOCK)
		t_die("write to %s", disk);
	close(fd);
}

static void put_text(u64 pos, const char *data)
{
	put(DISK_DEV, 0, pos, data, strlen(data));
}

static void clear(u64 pos)
{
	static const char zero[16];

	put(DISK_DEV, 0, pos, zero, pos % BLOCK > BLOCK - 16 ? BLOCK - pos % BLOCK : 16);
}

/* ATTACH of a range, and DETACH if it was attached. */
static int attach(u64 start, u64 len, u32 flags)
{
	/* a buddy from 4 KiB, so that a range may be small */
	struct hybrid_alloc_attach a = {
		.range_start = start, .range_len = len, .slab_max = BLOCK, .buddy_start = BLOCK,
	};
	u32 id;
	int err = ha_attach(&a, DISK_DEV, flags, &id);

	if (!err && ha_detach(id, 0))
		t_die("DETACH");
	return err;
}

/* It is refused, with one line in the log that says @why, and not attached. */
static bool refused(int err, int want, const char *why, const char *name)
{
	int all, said = t_log_with(why, &all);
	bool free = t_disk_is_free(DISK_DEV);

	if (t_ok(err == want && said == 1 && all == 1 && free, "%s: %s, and a line: %s", name,
		 t_strerror(want), why))
		return true;
	t_note("got %s; %d lines, %d of them say so; the disk is %s", t_strerror(err), all, said,
	       free ? "free" : "held");
	return false;
}

/* A single byte at the borders of what is looked at */
static void test_borders(u64 start, u64 len)
{
	const u64 end = start + len;
	const struct {
		u64 pos;
		bool seen;
	} bytes[] = {
		{ start, true }, { start + MIB - 1, true }, { start + MIB, false },
		{ end - MIB - 1, false }, { end - MIB, true }, { end - 1, true },
		{ start - 1, false }, { end, false },
	};
	char why[64];
	size_t i;

	t_errno(attach(start, len, FRESH), 0, "%llu+%llu: blank", start, len);
	for (i = 0; i < ARRAY_SIZE(bytes); i++) {
		if (bytes[i].pos >= DISK_LEN)
			continue;
		put(DISK_DEV, 0, bytes[i].pos, "x", 1);
		t_log_lines();
		snprintf(why, sizeof(why), "data at byte %llu:", bytes[i].pos);
		if (bytes[i].seen)
			refused(attach(start, len, FRESH), EEXIST, why, "a byte");
		else
			t_errno(attach(start, len, FRESH), 0, "%llu+%llu: a byte at %llu", start,
				len, bytes[i].pos);
		clear(bytes[i].pos);
	}
}

/* Less than 2 MiB: all of it is looked at */
static void test_small(void)
{
	char why[64];
	u64 len, pos;

	for (len = BLOCK; len < 2 * MIB; len = len * 3 / BLOCK * BLOCK + BLOCK) {
		t_errno(attach(MIB, len, FRESH), 0, "a range of %llu bytes: blank", len);
		pos = MIB + len / 2;
		put_text(pos, "x");
		t_log_lines();
		snprintf(why, sizeof(why), "data at byte %llu:", pos);
		refused(attach(MIB, len, FRESH), EEXIST, why, "a byte in the middle");
		clear(pos);
	}
}

static void test_signatures(void)
{
	static const struct {
		u64 pos;
		const char *data, *what;
	} s[] = {
		{ 0x438, "\x53\xef", "ext4 file system" }, { 0, "XFSB", "xfs file system" },
		{ 0x10040, "_BHRfS_M", "btrfs file system" }, { 0x218, "LVM2 001", "LVM volume" },
		{ 0x200, "EFI PART", "GPT partition table" },
		{ 0x1fe, "\x55\xaa", "MBR partition table" },
		{ 0xff6, "SWAPSPACE2", "swap space" }, { 0, "LUKS\xba\xbe", "LUKS volume" },
		{ 0x1000, "\xfc\x4e\x2b\xa9", "md RAID" }, { 0x52, "FAT32", "FAT file system" },
	};
	char why[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(s); i++) {
		put_text(s[i].pos, s[i].data);
		t_log_lines();
		snprintf(why, sizeof(why), "%s at byte %llu:", s[i].what, s[i].pos);
		refused(attach(0, 0, FRESH), EEXIST, why, "a signature");
		t_errno(attach(MIB, 0, FRESH), 0, "a range that begins after it");
		clear(s[i].pos);
	}
	if (system("mke2fs " DISK_DEV " >/dev/null 2>&1"))
		t_die("mke2fs");
	t_log_lines();
	refused(attach(0, 0, FRESH), EEXIST, "ext4 file system at byte 1080:", "mke2fs");
}

/* With the file system of the test before on the disk */
static void test_overwrite(void)
{
	static char before[MIB], after[MIB];
	int fd = open(DISK_DEV, O_RDONLY | O_CLOEXEC);

	if (pread(fd, before, MIB, 0) != (ssize_t)MIB)
		t_die("read");
	t_errno(attach(0, 0, OVERWRITE), 0, "OVERWRITE takes a file system");
	t_errno(attach(0, 0, FRESH | OVERWRITE), 0, "FRESH with OVERWRITE, too");
	t_errno(attach(0, 0, 0), 0, "a rebuild leaves it alone");
	t_ok(pread(fd, after, MIB, 0) == (ssize_t)MIB && !memcmp(before, after, MIB),
	     "nothing was written to the disk");
	close(fd);
}

static void test_durable(void)
{
	static const struct {
		u64 start, len, magic;
		bool seen;
	} d[] = {
		{ 0, 0, BLOCK, true }, { 0, 0, DISK_LEN - BLOCK, true },
		{ 3 * MIB, 0, 3 * MIB + BLOCK, true },
		{ 3 * MIB, 8 * MIB, 11 * MIB - BLOCK, true },
		{ 0, 0, 0, false }, { 0, 0, BLOCK + 8, false }, { 3 * MIB, 0, BLOCK, false },
	};
	static const char zero[16];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(d); i++) {
		put_text(d[i].magic, magic);
		t_note("magic at %llu, range %llu+%llu", d[i].magic, d[i].start, d[i].len);
		t_log_lines();
		if (d[i].seen) {
			refused(attach(d[i].start, d[i].len, 0), EOPNOTSUPP, "durable instance",
				"auto");
			refused(attach(d[i].start, d[i].len, OVERWRITE), EOPNOTSUPP,
				"durable instance", "overwrite");
			refused(attach(d[i].start, d[i].len, FRESH), EEXIST, "durable instance",
				"fresh");
		} else {
			t_errno(attach(d[i].start, d[i].len, 0), 0, "auto: not its place");
			t_errno(attach(d[i].start, d[i].len, OVERWRITE), 0, "overwrite, too");
		}
		put(DISK_DEV, 0, d[i].magic, zero, 8);
	}

	put_text(BLOCK, magic);
	t_errno(attach(0, BLOCK, 0), 0, "a range of one block has no place for it");
	put(DISK_DEV, 0, BLOCK, zero, 8);
}

/* The disk counts, whatever the page cache of the attached device has. */
static void test_page_cache(void)
{
	struct blkpg_partition p = { .start = 8 * MIB, .length = 16 * MIB, .pno = 1 };
	struct blkpg_ioctl_arg arg = {
		.op = BLKPG_ADD_PARTITION, .datalen = sizeof(p), .data = &p,
	};
	static char buf[BLOCK] __attribute__((aligned(BLOCK)));
	int whole = open(DISK_DEV, O_RDWR | O_CLOEXEC), part, dirty, i;
	char dev[64] = DISK_DEV "p1";

	if (ioctl(whole, BLKPG, &arg))
		t_die("a partition");
	for (i = 0; i < 100 && access(dev, F_OK); i++) {
		if (i == 50)
			strcpy(dev, DISK_DEV "1");
		usleep(10000);
	}
	part = open(dev, O_RDWR | O_CLOEXEC);
	if (part < 0 || pread(part, buf, BLOCK, 0) != (ssize_t)BLOCK)
		t_die("read %s", dev);

	/* the partition's page cache has zeroes from before */
	put(DISK_DEV, O_DIRECT, 8 * MIB, "data", 4);
	t_errno(ha_attach(NULL, dev, FRESH, NULL), EEXIST,
		"a partition that was written through the disk: older page cache");
	put(DISK_DEV, O_DIRECT, 8 * MIB, "\0\0\0\0", 4);
	t_errno(ha_attach(NULL, dev, FRESH, NULL), 0, "blank again");
	t_errno(ha_detach(0, 0), 0, "DETACH");

	/* only in page caches so far */
	dirty = open(DISK_DEV, O_RDWR | O_CLOEXEC);
	buf[0] = 'd';
	if (pwrite(dirty, buf, BLOCK, 8 * MIB + 4 * BLOCK) != (ssize_t)BLOCK)
		t_die("write");
	t_errno(ha_attach(NULL, dev, FRESH, NULL), EEXIST, "a write to the disk that is not out");
	buf[0] = 0;
	if (pwrite(dirty, buf, BLOCK, 8 * MIB + 4 * BLOCK) != (ssize_t)BLOCK || fsync(dirty))
		t_die("write");
	buf[0] = 'd';
	if (pwrite(part, buf, BLOCK, 4 * BLOCK) != (ssize_t)BLOCK)
		t_die("write");
	t_errno(ha_attach(NULL, dev, FRESH, NULL), EEXIST,
		"a write to the partition that is not out");
	close(dirty);
	close(part);
	arg.op = BLKPG_DEL_PARTITION;
	if (ioctl(whole, BLKPG, &arg))
		t_die("no partition");
	close(whole);
}

static void test_insmod(void)
{
	static const struct {
		const char *params;
		int want;	/* 0: attached */
		bool sealed;
	} t[] = {
		{ "mode=fresh", EEXIST, false },
		{ "mode=overwrite", 0, false },	/* overwrites: the test of it */
		{ "mode=auto", 0, true },
		{ "mode=rebuild", 0, true },
		{ "", 0, true },
	};
	struct hybrid_alloc_info info = { };
	char params[128];
	size_t i;
	int err, fd;

	ha_rmmod();
	put_text(0x438, "\x53\xef");
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		snprintf(params, sizeof(params), "device=" DISK_DEV " %s", t[i].params);
		t_log_lines();
		err = ha_insmod(params);
		if (t[i].want) {
			/* newer kernels reserve EEXIST for the loader, and turn it into EBUSY */
			refused(err == EBUSY ? t[i].want : err, t[i].want,
				"ext4 file system at byte 1080:", params);
			t_ok(!ha_loaded(), "and the module is not there");
			continue;
		}
		if (!t_errno(err, 0, "insmod %s, with a file system there", params))
			continue;
		fd = ha_must_open(0, O_RDWR);
		ha_info(fd, 0, 0, &info);
		close(fd);
		t_eq(info.state, t[i].sealed ? HYBRID_ALLOC_STATE_SEALED : 0, "its state");
		t_errno(ha_rmmod(), 0, "rmmod");
	}
	clear(0x438);
	put_text(BLOCK, magic);
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		snprintf(params, sizeof(params), "device=" DISK_DEV " %s", t[i].params);
		t_log_lines();
		err = ha_insmod(params);
		refused(err == EBUSY ? EEXIST : err, t[i].want ? EEXIST : EOPNOTSUPP,
			"durable instance", params);
		t_ok(!ha_loaded(), "and the module is not there");
	}
}

int main(void)
{
	t_nullb_make(DISK, (struct t_disk_opts){ .mib = DISK_MIB, .memory = true });
	ha_need_module();
	test_borders(0, DISK_LEN);
	test_borders(5 * MIB, 7 * MIB + 3 * BLOCK);
	test_small();
	test_durable();
	test_page_cache();
	t_nullb_make(DISK, (struct t_disk_opts){ .mib = DISK_MIB, .memory = true });
	test_signatures();
	test_overwrite();
	t_nullb_make(DISK, (struct t_disk_opts){ .mib = DISK_MIB, .memory = true });
	test_insmod();
	t_nullb_remove(DISK);
	return t_done();
}
