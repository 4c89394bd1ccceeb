// SPDX-License-Identifier: GPL-2.0
/*
 * usage (in a virtual machine): ha_append DIR WORKLOAD CAPACITY LIMIT SEED pwrite|fallocate
 *
 * The workloads append-SIZE, append16-SIZE and append16-aged-SIZE of hybrid-sim, with the files of
 * the file system at DIR, which is empty and has at least CAPACITY bytes free. With the same
 * capacity and seed as the simulator, the same lengths are allocated and freed in the same order,
 * until about LIMIT bytes are in use. Prints the extents of a file as FIEMAP has them, neighbours
 * joined, and the fill, in lines as those of bench/guest.sh.
 *
 * An append is a pwrite() with O_DIRECT, or a fallocate(): the file system chooses the blocks then,
 * not later and for several appends at once, as it does for what is in the page cache. For a
 * pwrite() ext4 keeps space behind the file's end until the file is closed, for a fallocate() it
 * takes what was asked for. Files that only make the device old come from one fallocate() each.
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/types.h>

#include "common/random.h"
#include "common/size.h"
#include "sim/mix.h"

#define BLOCK_SHIFT	12
#define FILE_LEN	(4ULL << 20)
#define MAX_TURNS	16
#define MAX_SETTLE	60	/* seconds */

/* A file that makes the device old. */
struct old_file {
	u64 id;
	u64 len;
};

/* A file that is written from its start to its end. */
struct file {
	int fd;
	u64 used;
};

static int dir;
static u64 capacity;
static u64 used;
static u64 rng;
static bool by_fallocate;
static u64 nr_files;	/* that are written; their names are numbers from 0 */

static int open_file(char kind, u64 id, int flags)
{
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "%c%llu", kind, (unsigned long long)id);
	fd = openat(dir, name, flags, 0600);
	if (fd < 0)
		error(1, errno, "%s", name);
	return fd;
}

/* ---- a device that is not new ---- */

static void old_file_make(struct old_file *f, u64 id, u64 len)
{
	int fd = open_file('o', id, O_CREAT | O_EXCL | O_WRONLY);

	if (fallocate(fd, 0, 0, len))
		error(1, errno, "fallocate");
	close(fd);
	*f = (struct old_file) { id, len };
	used += len;
}

static void old_file_remove(const struct old_file *f)
{
	char name[32];

	snprintf(name, sizeof(name), "o%llu", (unsigned long long)f->id);
	if (unlinkat(dir, name, 0))
		error(1, errno, "%s", name);
	used -= f->len;
}

/*
 * ext4 has freed blocks again after a commit, XFS when its workers have been at the inode. Waits
 * until the file system has as much free space as the allocator would have.
 */
static void settle(void)
{
	struct statvfs st;
	int i;

	for (i = 0; i < MAX_SETTLE; i++) {
		if (syncfs(dir) || fstatvfs(dir, &st))
			error(1, errno, "the file system");
		if ((u64)st.f_bavail * st.f_frsize >= capacity - used)
			return;
		sleep(1);
	}
	error(1, 0, "%llu bytes are free, %llu should be",
	      (unsigned long long)st.f_bavail * st.f_frsize, (unsigned long long)(capacity - used));
}

/* As age() of the simulator: three rounds of fill to 95 % and random free to 60 %. */
static void age(void)
{
	u64 blocks = capacity >> BLOCK_SHIFT, nr = 0, ids = 0, victim;
	u64 high = blocks / 100 * 95 << BLOCK_SHIFT, low = blocks / 100 * 60 << BLOCK_SHIFT;
	struct old_file *live = malloc(blocks * sizeof(*live));
	struct mix mix;
	int i;

	if (!live)
		error(1, errno, "malloc");
	mix_parse("log4K-4M", &mix);
	for (i = 0; i < 3; i++) {
		while (used < high)
			old_file_make(&live[nr++], ids++, mix_draw(&mix, &rng) << BLOCK_SHIFT);
		while (used > low) {
			victim = random_below(&rng, nr);
			old_file_remove(&live[victim]);
			live[victim] = live[--nr];
		}
		settle();
	}
	free(live);
}

/* ---- files that grow ---- */

/* Return: false: there is no space. */
static bool allocate(int fd, const void *data, u64 len, u64 pos)
{
	ssize_t ret;

	if (by_fallocate)
		ret = fallocate(fd, 0, pos, len) ? -1 : (ssize_t)len;
	else
		ret = pwrite(fd, data, len, pos);
	if (ret < 0 && errno != ENOSPC)
		error(1, errno, "an append");
	return ret == (ssize_t)len;
}

/* Return: false: the device is full. */
static bool append(struct file *f, const void *data, u64 len)
{
	if (f->used >= FILE_LEN) {
		close(f->fd);
		*f = (struct file) {};
	}
	if (!f->used)
		f->fd = open_file('f', nr_files++, O_CREAT | O_EXCL | O_WRONLY | O_DIRECT);
	if (!allocate(f->fd, data, len, f->used))
		return false;
	f->used += len;
	used += len;
	return true;
}

/* @turns files by turns, until @limit bytes are in use, to the nearest @len. */
static void append_all(unsigned int turns, u64 len, u64 limit)
{
	struct file f[MAX_TURNS] = {};
	void *data = aligned_alloc(1 << BLOCK_SHIFT, len);
	unsigned int i;

	if (!data)
		error(1, errno, "aligned_alloc");
	memset(data, 0, len);
	for (i = 0; used + len / 2 <= limit && append(&f[i], data, len); i = (i + 1) % turns)
		;
	for (i = 0; i < turns; i++)
		if (f[i].used)
			close(f[i].fd);
	free(data);
}

/* ---- what became of them ---- */

#define NR_EXTENTS	256

/* Extents of a file, those joined that are neighbours on the device as well. */
static u64 file_pieces(int fd)
{
	static struct {
		struct fiemap head;
		struct fiemap_extent e[NR_EXTENTS];
	} map;
	u64 pieces = 0, pos = 0, end = 0;
	const struct fiemap_extent *e;

	for (;;) {
		map.head = (struct fiemap) {
			.fm_start = pos, .fm_length = FIEMAP_MAX_OFFSET - pos,
			.fm_flags = FIEMAP_FLAG_SYNC, .fm_extent_count = NR_EXTENTS
		};
		if (ioctl(fd, FS_IOC_FIEMAP, &map))
			error(1, errno, "FIEMAP");
		for (e = map.e; e < map.e + map.head.fm_mapped_extents; e++) {
			if (e->fe_flags & (FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC))
				error(1, 0, "FIEMAP: an extent without a place");
			pieces += !pos || e->fe_physical != end;
			end = e->fe_physical + e->fe_length;
			pos = e->fe_logical + e->fe_length;
			if (e->fe_flags & FIEMAP_EXTENT_LAST)
				return pieces;
		}
		if (!map.head.fm_mapped_extents)
			return pieces;
	}
}

static double extents_per_file(void)
{
	u64 i, pieces = 0, files = 0, n;
	int fd;

	for (i = 0; i < nr_files; i++) {
		fd = open_file('f', i, O_RDONLY);
		n = file_pieces(fd);
		pieces += n;
		files += n > 0;
		close(fd);
	}
	return files ? (double)pieces / files : 0;
}

/* ---- */

static u64 size_of(const char *word)
{
	const char *why;
	u64 size;

	why = parse_size(word, &size);
	if (why)
		error(1, 0, "'%s' %s", word, why);
	return size;
}

/* Return: the length of an append. */
static u64 parse_workload(const char *name, unsigned int *turns, bool *aged)
{
	u64 len;

	*turns = strncmp(name, "append16-", 9) ? 1 : MAX_TURNS;
	*aged = !strncmp(name, "append16-aged-", 14);
	if (strncmp(name, "append", 6))
		error(1, 0, "'%s' is not a workload that appends", name);
	len = size_of(strrchr(name, '-') + 1);
	if (!len || len % (1 << BLOCK_SHIFT) || len > FILE_LEN)
		error(1, 0, "'%s' has a length that files cannot grow by", name);
	return len;
}

int main(int argc, char **argv)
{
	unsigned int turns;
	bool aged;
	u64 len;

	by_fallocate = argc == 7 && !strcmp(argv[6], "fallocate");
	if (argc != 7 || (!by_fallocate && strcmp(argv[6], "pwrite")))
		error(1, 0, "see the head of the source");
	len = parse_workload(argv[2], &turns, &aged);
	capacity = size_of(argv[3]);
	rng = strtoull(argv[5], NULL, 0);
	dir = open(argv[1], O_RDONLY | O_DIRECTORY);
	if (dir < 0)
		error(1, errno, "%s", argv[1]);
	settle();
	if (aged)
		age();
	append_all(turns, len, size_of(argv[4]));
	printf("%s extents_per_file %.3f\n", argv[2], extents_per_file());
	printf("%s fill %.5f\n", argv[2], (double)used / capacity);
	return 0;
}
