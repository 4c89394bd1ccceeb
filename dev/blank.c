// SPDX-License-Identifier: GPL-2.0
/*
 * What is on a disk that is to be attached
 *
 * An instance that takes all space for free hands out the space of what is on the disk. So
 * a fresh attach reads the first and the last MiB of the managed range, where file systems,
 * partition tables and volume managers have their headers, and refuses the disk if a byte
 * there is not zero.
 *
 * Each attach looks for the magic of a durable instance, which keeps its record on the disk.
 * This version of the module cannot read that record, and must not give its space away.
 *
 * The reads bypass the page cache, which may be older than the disk if the disk was written
 * through another block device, the whole disk of a partition for example. What is dirty in
 * the page caches of these two is written before.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/highmem.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "dev/internal.h"

#define HA_LOOK_LEN	SZ_1M
/* has all of ha_signatures; 16 reads for both MiB */
#define HA_LOOK_CHUNK	SZ_128K

#define HA_DURABLE_MAGIC	"HYBRALOC"
#define HA_DURABLE_MAGIC_LEN	8
/* superblocks: 4 KiB from the start of the range, and in its last 4 KiB */
#define HA_DURABLE_BLOCK	SZ_4K

/* By offset from the start of the range. The first that matches is reported. */
static const struct ha_signature {
	u32 offset;
	u32 len;
	const char *magic;
	const char *what;
} ha_signatures[] = {
	{ 0x0, 4, "XFSB", "an xfs file system" },
	{ 0x438, 2, "\x53\xef", "an ext2, ext3 or ext4 file system" },
	{ 0x10040, 8, "_BHRfS_M", "a btrfs file system" },
	{ 0x400, 4, "\x10\x20\xf5\xf2", "an f2fs file system" },
	{ 0x3, 8, "NTFS    ", "an NTFS file system" },
	{ 0x36, 3, "FAT", "a FAT file system" },
	{ 0x52, 5, "FAT32", "a FAT file system" },
	{ 0x0, 6, "LUKS\xba\xbe", "a LUKS volume" },
	{ 0x218, 8, "LVM2 001", "an LVM volume" },
	{ 0x0, 4, "\xfc\x4e\x2b\xa9", "a member of an md RAID" },
	{ 0x1000, 4, "\xfc\x4e\x2b\xa9", "a member of an md RAID" },
	{ 0xff6, 10, "SWAPSPACE2", "swap space" },
	{ 0x200, 8, "EFI PART", "a GPT partition table" },
	{ 0x1000, 8, "EFI PART", "a GPT partition table" },	/* sectors of 4 KiB */
	{ 0x1fe, 2, "\x55\xaa", "an MBR partition table" },
};

/* A look at a disk that is to be attached. */
struct ha_look {
	const struct hybrid_alloc *ha;
	struct block_device *bdev;
	const char *disk;
	enum ha_attach_mode mode;
	u8 *buf;		/* of HA_LOOK_CHUNK bytes */
};

static int ha_look_sync(struct block_device *bdev, u64 pos, size_t len)
{
	u64 start = (u64)get_start_sect(bdev) << SECTOR_SHIFT;
	int ret;

	ret = sync_blockdev_range(bdev, pos, pos + len - 1);
	if (!ret && bdev_is_partition(bdev))
		ret = sync_blockdev_range(bdev_whole(bdev), start + pos, start + pos + len - 1);
	return ret;
}

static int ha_look_submit(struct block_device *bdev, u64 pos, void *buf, size_t len)
{
	struct bio *bio = bio_alloc(bdev, HA_LOOK_CHUNK / SZ_4K, REQ_OP_READ, GFP_KERNEL);
	size_t done, n;
	void *p;
	int ret;

	bio->bi_iter.bi_sector = pos >> SECTOR_SHIFT;
	for (done = 0; done < len; done += n) {
		p = buf + done;
		n = min_t(size_t, len - done, PAGE_SIZE - offset_in_page(p));
		__bio_add_page(bio, is_vmalloc_addr(p) ? vmalloc_to_page(p) : virt_to_page(p), n,
			       offset_in_page(p));
	}
	ret = submit_bio_wait(bio);
	bio_put(bio);
	if (is_vmalloc_addr(buf))
		invalidate_kernel_vmap_range(buf, len);
	return ret;
}

static int ha_look_read(struct ha_look *look, u64 pos, size_t len)
{
	int ret;

	ret = ha_look_sync(look->bdev, pos, len);
	if (!ret)
		ret = ha_look_submit(look->bdev, pos, look->buf, len);
	/* a disk that cannot be read may be overwritten */
	if (!ret || look->mode == HA_ATTACH_OVERWRITE)
		return ret;
	if (!disk_live(look->bdev->bd_disk))
		return ha_refuse(look->disk, -ENODEV, "the device went away");
	return ha_refuse(look->disk, ret, "cannot be read, so there may be data on it");
}

static int ha_refuse_durable(struct ha_look *look, u64 pos)
{
	/* a read has to be a multiple of the logical block, which is a power of two */
	u32 len = max_t(u32, HA_DURABLE_BLOCK, bdev_logical_block_size(look->bdev));
	u32 offset = pos & (len - 1);
	int ret;

	if (pos < look->ha->start || pos >= look->ha->end)
		return 0;
	ret = ha_look_read(look, pos - offset, len);
	if (ret)
		return look->mode == HA_ATTACH_OVERWRITE ? 0 : ret;
	if (memcmp(look->buf + offset, HA_DURABLE_MAGIC, HA_DURABLE_MAGIC_LEN))
		return 0;
	return ha_refuse(look->disk, look->mode == HA_ATTACH_FRESH ? -EEXIST : -EOPNOTSUPP,
			 "it has a durable instance, for which this module is too old: to give that up, zero the first and the last MiB of the range");
}

static int ha_refuse_data(struct ha_look *look, const char *what, u64 pos)
{
	char why[160];

	snprintf(why, sizeof(why),
		 "not blank, there is %s at byte %llu: attach with overwrite if it is not needed",
		 what, pos);
	return ha_refuse(look->disk, -EEXIST, why);
}

static int ha_refuse_nonzero(struct ha_look *look, u64 pos, size_t len)
{
	const struct ha_signature *s;
	const u8 *data;
	size_t i;
	int ret;

	ret = ha_look_read(look, pos, len);
	if (ret)
		return ret;
	data = memchr_inv(look->buf, 0, len);
	if (!data)
		return 0;
	for (i = 0; pos == look->ha->start && i < ARRAY_SIZE(ha_signatures); i++) {
		s = &ha_signatures[i];
		if (s->offset + s->len <= len && !memcmp(look->buf + s->offset, s->magic, s->len))
			return ha_refuse_data(look, s->what, pos + s->offset);
	}
	return ha_refuse_data(look, "data", pos + (data - look->buf));
}

static int ha_refuse_range(struct ha_look *look, u64 pos, u64 end)
{
	size_t len;
	int ret;

	for (; pos < end; pos += len) {
		len = min_t(u64, end - pos, HA_LOOK_CHUNK);
		ret = ha_refuse_nonzero(look, pos, len);
		if (ret)
			return ret;
	}
	return 0;
}

static int ha_look(struct ha_look *look)
{
	u64 start = look->ha->start, end = look->ha->end;
	u64 len = min_t(u64, HA_LOOK_LEN, end - start);
	int ret;

	ret = ha_refuse_durable(look, start + HA_DURABLE_BLOCK);
	if (!ret)
		ret = ha_refuse_durable(look, end - HA_DURABLE_BLOCK);
	if (ret || look->mode != HA_ATTACH_FRESH)
		return ret;
	ret = ha_refuse_range(look, start, start + len);
	return ret ?: ha_refuse_range(look, max(start + len, end - len), end);
}

/**
 * ha_refuse_content - refuse a disk for what is on it
 * @ha: the allocator, whose range is looked at
 * @bdev: the disk, open for reading
 * @disk: its name in the log
 * @mode: how it is to be attached
 *
 * Context: Process context, waits for reads.
 * Return: 0, or EEXIST the range is not blank, and @mode is HA_ATTACH_FRESH; EOPNOTSUPP a
 * durable instance is on it; ENODEV the device went away; EIO or another errno of a read;
 * ENOMEM.
 */
int ha_refuse_content(const struct hybrid_alloc *ha, struct block_device *bdev,
		      const char *disk, enum ha_attach_mode mode)
{
	struct ha_look look = { .ha = ha, .bdev = bdev, .disk = disk, .mode = mode };
	int ret;

	/* zeroed: a driver without data, such as null_blk, may leave the buffer alone */
	look.buf = kvzalloc(HA_LOOK_CHUNK, GFP_KERNEL);
	if (!look.buf)
		return -ENOMEM;
	ret = ha_look(&look);
	kvfree(look.buf);
	return ret;
}
