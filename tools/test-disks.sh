#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# hybridctl and the module on every kind of disk that a VM can have: alloc,
# stat, free and the data on the extents; and every disk that is to be refused,
# with the errno of the table. TAP on stdout. Wants three disks in $DISKS.

# shellcheck source-path=SCRIPTDIR source=../tests/vm/tap.sh
. ./tap.sh
# shellcheck source-path=SCRIPTDIR source=signatures.sh
. ./signatures.sh

# shellcheck disable=SC2086 # a list
set -- $DISKS
disk=$1
disk4k=$2
odd=$3
K=1024
M=$((1024 * K))

# one COLUMN: that figure of stat
one()
{
	hybridctl stat --noheadings --raw --bytes --output "$1" 0
}

# number NAME FILE: the value of that name in JSON
number()
{
	sed -n "s/^stat\[0\]\.$1=//p" "$2"
}

# same_data FILE DEVICE START LEN: the extent holds what is in the file
same_data()
{
	dd if="$2" bs=4096 skip=$(($3 / 4096)) count=$(($4 / 4096)) 2>/dev/null | cmp -s - "$1"
}

# works NAME DEVICE BLOCK BYTES: a disk of that logical block and size serves
works()
{
	what="$1: "
	dev=$2
	is "${what}logical block" "$(blockdev --getss "$dev")" "$3"
	is "${what}size in bytes" "$(blockdev --getsize64 "$dev")" "$4"
	usable=$(($4 / 4096 * 4096))
	try "${what}attach --fresh" hybridctl attach --fresh "$dev" || return

	hybridctl stat --runs --json 0 | awk -f ./test-json.awk >/tmp/stat
	is "${what}whole blocks are free" "$(number free /tmp/stat)" $usable
	is "${what}the tail is counted" "$(number unusable /tmp/stat)" $(($4 - usable))
	is "${what}capacity" "$(number capacity /tmp/stat)" "$4"
	is "${what}one free run" "$(number largest_free_run /tmp/stat)" $usable
	metadata=$(number metadata /tmp/stat)

	# Small, pooled, odd, larger than a slab, and all that is left in one piece
	hybridctl alloc -n -r -o START,LEN 0 4K 12K 60K 64K 100K 1M 1028K 3M 4M 10M >/tmp/extents
	is "${what}alloc" $? 0
	is "${what}extents inside the disk, none over another" "$(sort -n /tmp/extents |
		awk -v end=$usable '$1 < last || $1 + $2 > end || $1 % 4096 { print "wrong:", $0 }
			{ last = $1 + $2 } END { print NR }')" 10
	hybridctl stat --json 0 | awk -f ./test-json.awk >/tmp/stat
	is "${what}stat --json: charged" "$(number charged /tmp/stat)" \
		"$(awk '{ sum += $2 } END { print sum }' /tmp/extents)"
	is "${what}stat --json: the accounts balance" "$(awk -F= '
		/\.(charged|cached|free|retired|unusable)=/ { sum += $2 } END { print sum }
		' /tmp/stat)" "$(number capacity /tmp/stat)"

	# Each of the first seven extents its own data, which is there when all
	# have been written. The debug kernel is too slow for it.
	if [ "$5" = data ] && [ "$KERNEL" != debug ]; then
		i=0
		head -n 7 /tmp/extents >/tmp/some
		while read -r start len; do
			i=$((i + 1))
			yes "extent $i" | head -c "$len" >"/tmp/data$i"
			dd if="/tmp/data$i" of="$dev" bs=4096 seek=$((start / 4096)) conv=notrunc \
				2>/dev/null
		done </tmp/some
		sync
		echo 3 >/proc/sys/vm/drop_caches
		i=0 bad=
		while read -r start len; do
			i=$((i + 1))
			same_data "/tmp/data$i" "$dev" "$start" "$len" || bad="$bad $i"
		done </tmp/some
		is "${what}the data of all extents is intact" "$i:$bad" "7:"
		rm -f /tmp/data*
	fi

	try "${what}free" sh -c 'hybridctl free 0 - </tmp/extents'
	try "${what}drain" hybridctl drain 0
	extent=$(hybridctl alloc -n -o EXTENT 0 $usable)
	is "${what}the whole disk as one extent" "$extent" "0:$usable"
	try_not "${what}a full disk" "(ENOSPC)" hybridctl alloc 0 1
	try "${what}free it" hybridctl free 0 "$extent"
	is "${what}one free run at the end" "$(one LARGEST_FREE_RUN,NR_FREE_RUNS,NR_LIVE)" \
		"$usable 1 0"
	try "${what}drain what is kept" hybridctl drain 0
	is "${what}metadata is what it was" "$(one METADATA)" "$metadata"
	try "${what}detach" hybridctl detach --wipe 0
	try "${what}attach it again" hybridctl attach --fresh "$dev"
	try "${what}detach it again" hybridctl detach 0
}

# refused NAME ERRNO ARG...: hybridctl attach --fresh fails with it, and the
# kernel's log gets one line; whether nothing is left behind is seen at the end
refused()
{
	name=$1
	errno=$2
	shift 2
	logged=$(dmesg | grep -c 'hybrid_alloc:')
	try_not "$name: $errno" "($errno). " hybridctl attach --fresh "$@"
	is "$name: one line in the log" $(($(dmesg | grep -c 'hybrid_alloc:') - logged)) 1
}

# null_disk NAME ATTRIBUTE=VALUE...: makes a disk, and prints its path, which has
# been the name from Linux 6.0 on
null_disk()
{
	name=$1
	dir=/sys/kernel/config/nullb/$1
	shift
	mkdir "$dir" || return
	for attribute in "$@" power=1; do
		echo "${attribute#*=}" >"$dir/${attribute%%=*}" || return
	done
	if [ -b "/dev/$name" ]; then
		echo "/dev/$name"
	else
		echo "/dev/nullb$(cat "$dir/index")"
	fi
}

# scsi_disk ARG...: the disk of scsi_debug with these parameters
scsi_disk()
{
	modprobe scsi_debug max_luns=1 delay=0 "$@" || return
	for try in 1 2 3 4 5 6 7 8 9 10; do
		for path in /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block/sd*; do
			[ -b "/dev/${path##*/}" ] && echo "/dev/${path##*/}" && return
		done
		sleep 1
	done
	echo "no disk of scsi_debug after $try s" >&2
	return 1
}

try "insmod" insmod /lib/hybrid-alloc.ko

works "virtio-blk" "$disk" 512 $((256 * M)) data
works "virtio-blk, 4 KiB blocks" "$disk4k" 4096 $((100 * M)) data
works "virtio-blk, an odd number of sectors" "$odd" 512 70000128 data

modprobe loop
truncate -s 50000384 /tmp/loop.img
if loop=$(losetup -f) && losetup "$loop" /tmp/loop.img; then
	works "loop, an odd number of sectors" "$loop" 512 50000384 data
	losetup -d "$loop"
else
	fail "losetup" "$loop"
fi

modprobe null_blk nr_devices=0
mount -t configfs none /sys/kernel/config
for block in 512 4096; do
	if null=$(null_disk null$block size=67 blocksize=$block memory_backed=1); then
		works "null_blk, blocks of $block, 67 MiB" "$null" $block $((67 * M)) data
	else
		fail "null_blk with blocks of $block" "$null"
	fi
	rmdir /sys/kernel/config/nullb/null$block
done
if null=$(null_disk huge size=$((16 * M)) blocksize=4096); then
	works "null_blk, 16 TiB" "$null" 4096 $((16 * M * M)) nodata

	# A size that is rounded into the next unit
	is "1 TiB less 4 KiB, for people" \
		"$(hybridctl attach --fresh --range 0,$((M * M - 4 * K)) -n -r -o RANGE_LEN "$null")" 1T
	# Who stops alloc is told what it obtained
	hybridctl alloc --count 100000000 -n -o EXTENT 0 4K >/tmp/out 2>/tmp/err &
	sleep 2
	kill $!
	wait $!
	is "alloc that is killed: status" $? 1
	is "... what it says" "$(head -n 1 /tmp/err)" \
		"hybridctl: cannot allocate 4 KiB: it was interrupted (EINTR). Run it again."
	is "... what it obtained is printed" "$(grep -c . /tmp/out)" "$(one NR_LIVE)"
	[ "$(one NR_LIVE)" -gt 0 ]
	is "... which is not nothing" $? 0
	try "free all of it" sh -c 'hybridctl free 0 - </tmp/out'
	is "nothing is live" "$(one NR_LIVE)" 0
	try "detach" hybridctl detach 0
else
	fail "null_blk of 16 TiB" "$null"
fi
rmdir /sys/kernel/config/nullb/huge

for block in 512 4096; do
	if scsi=$(scsi_disk sector_size=$block dev_size_mb=33); then
		works "scsi_debug, blocks of $block, 33 MiB" "$scsi" $block $((33 * M)) data
	else
		fail "scsi_debug with blocks of $block" "$scsi"
	fi
	rmmod scsi_debug
done

# What is refused

if zoned=$(null_disk zoned size=64 zone_size=4 zoned=1); then
	refused "a zoned disk" EOPNOTSUPP --force "$zoned"
else
	fail "a zoned null_blk" "$zoned"
fi
rmdir /sys/kernel/config/nullb/zoned
rmmod null_blk

# A disk that cannot be read is not taken for one without data
if broken=$(scsi_disk dev_size_mb=33 opts=2 medium_error_start=0 medium_error_count=64); then
	try_not "a disk that cannot be read" \
		"cannot look for data on $broken: Input/output error (EIO). Check the disk, or attach with --force" \
		hybridctl attach --fresh "$broken"
	# overwrites: a disk that cannot be read is not refused then
	try "it with --force" hybridctl attach --fresh --force "$broken"
	try "detach" hybridctl detach 0
else
	fail "a disk of scsi_debug with bad sectors" "$broken"
fi
rmmod scsi_debug

blockdev --setro "$disk"
refused "a disk that was set read-only" EROFS "$disk"
blockdev --setrw "$disk"
losetup -r "$loop" /tmp/loop.img
refused "a read-only loop device" EROFS "$loop"
losetup -d "$loop"

mkdir -p /mnt
modprobe ext4 2>/dev/null # or it is built in
if mke2fs "$disk" >/dev/null 2>&1 && mount -t ext4 "$disk" /mnt; then
	try_not "a mounted disk has a signature" "there is data on it (ext2 file system)" \
		hybridctl attach --fresh "$disk"
	refused "a mounted disk" EBUSY --force "$disk"
	umount /mnt
	# overwrites: the file system that was made above
	try "the same, not mounted any more" hybridctl attach --fresh --force "$disk"
	try_not "mounting it meanwhile" "" mount -t ext4 "$disk" /mnt
	try "detach" hybridctl detach 0
	try "mounting it after that" mount -t ext4 "$disk" /mnt
	umount /mnt
else
	fail "mounting a disk" "$(mount 2>&1; dmesg | tail -n 5)"
fi
dd if=/dev/zero of="$disk" bs=1M count=4 2>/dev/null

for size in 4096 $((M - 4096)); do
	truncate -s $size /tmp/small.img
	losetup "$loop" /tmp/small.img
	refused "a disk of $size bytes" EINVAL "$loop"
	losetup -d "$loop"
done
truncate -s $M /tmp/small.img
losetup "$loop" /tmp/small.img
try "a disk of 1 MiB is enough" hybridctl attach --fresh "$loop"
try "detach" hybridctl detach 0
losetup -d "$loop"
refused "a range that is too small" EINVAL --range 1M,512K "$disk"
refused "a range beyond the end" ERANGE --range 128M,129M "$disk"
refused "a smallest block that is none" EINVAL --min-block 2K "$disk4k"
refused "a largest extent that is no multiple" EINVAL --max-block 5000 "$disk"

try "attach" hybridctl attach --fresh "$disk"
refused "a disk that is attached" EBUSY "$disk"
# shellcheck disable=SC2046 # two words
mknod /tmp/alias b $(sed 's/:/ /' "/sys/block/${disk#/dev/}/dev")
refused "a disk that is attached, by another name" EBUSY /tmp/alias
try "detach" hybridctl detach 0

write_signature dos "$disk"
blockdev --rereadpt "$disk"
if [ -b "${disk}1" ]; then
	is "a partition is attached" "$(hybridctl attach --fresh "${disk}1" 2>&1)" /dev/hybrid_alloc0
	refused "the disk of an attached partition" EBUSY --force "$disk"
	try "detach" hybridctl detach 0
	# overwrites: the partition table that was written above
	try "the disk is attached" hybridctl attach --fresh --force "$disk"
	refused "a partition of an attached disk" EBUSY "${disk}1"
	try "detach" hybridctl detach 0
	# that begins at sector 63
	poke "$disk" 454 '\077\000\000\000'
	blockdev --rereadpt "$disk"
	is "a partition that is not aligned is attached" \
		"$(hybridctl attach --fresh "${disk}1" 2>/tmp/err)" /dev/hybrid_alloc0
	is "... with a warning" "$(sed 's/: reads.*//' /tmp/err)" \
		"hybridctl: ${disk}1 begins at byte 32256 of its disk, which is no multiple of 4 KiB"
	try "detach" hybridctl detach 0
else
	fail "a partition" "$(cat /proc/partitions)"
fi
dd if=/dev/zero of="$disk" bs=64k count=1 2>/dev/null
refused "a file that is no disk" ENOTBLK --force /tmp/loop.img

# A disk that goes away

if scsi=$(scsi_disk dev_size_mb=33); then
	try "attach a disk" hybridctl attach --fresh "$scsi"
	try "alloc" hybridctl alloc 0 1M
	echo 1 >"/sys/block/${scsi#/dev/}/device/delete"
	try_not "alloc when the disk was removed" \
		"the block device went away (ENODEV). \`hybridctl detach --force /dev/hybrid_alloc0\`" \
		hybridctl alloc 0 4K
	is "its state" "$(hybridctl list -n -r -o STATE)" gone
	try_not "free" "went away (ENODEV)" hybridctl free 0 0:1M 1M:1M
	try_not "stat" "went away (ENODEV)" hybridctl stat 0
	try "detach --force" hybridctl detach --force 0
else
	fail "a disk of scsi_debug" "$scsi"
fi
rmmod scsi_debug

# A refusal leaves nothing behind: no instance, no node, and the disk is free
is "no instance is left of all that" "$(hybridctl list)" ""
is "no node is left" "$(ls /dev/hybrid_alloc*)" /dev/hybrid_alloc
try "three disks at once" sh -c "for d in $DISKS; do hybridctl attach --fresh \$d || exit; done"
is "list of three" "$(hybridctl list -n -r -o NODE,DISK)" "/dev/hybrid_alloc0 ${disk#/dev/}
/dev/hybrid_alloc1 ${disk4k#/dev/}
/dev/hybrid_alloc2 ${odd#/dev/}"
try "detach the one in the middle" hybridctl detach 1
is "list of two" "$(hybridctl list -n -r -o ID | tr '\n' ' ')" "0 2 "
is "the free number is used again" "$(hybridctl attach --fresh "$disk4k")" /dev/hybrid_alloc1
try "rmmod detaches what is not in use" rmmod hybrid_alloc

# The same by module parameters
try "insmod with a list of disks" insmod /lib/hybrid-alloc.ko device="$disk,$odd" mode=fresh
is "list" "$(hybridctl list -n -r -o NODE,DISK,STATE)" "/dev/hybrid_alloc0 ${disk#/dev/} ready
/dev/hybrid_alloc1 ${odd#/dev/} ready"
is "alloc" "$(hybridctl alloc -n -o LEN 1 1M)" $M
try_not "rmmod with a live extent" "can't unload" rmmod hybrid_alloc
try "detach --force" hybridctl detach --force 1
try "rmmod" rmmod hybrid_alloc
try "insmod with one disk, to be rebuilt" insmod /lib/hybrid-alloc.ko device="$disk"
is "its state" "$(hybridctl list -n -o STATE)" rebuild
try "rmmod" rmmod hybrid_alloc
try "insmod with a disk that is not there" \
	insmod /lib/hybrid-alloc.ko device="/dev/none,$disk" mode=fresh
is "the other one is attached" "$(hybridctl list -n -r -o NODE,DISK)" "/dev/hybrid_alloc0 ${disk#/dev/}"
is "a line in the log names the one that is not" \
	"$(dmesg | grep -c 'hybrid_alloc: /dev/none: not attached, there is no such file')" 1
try "rmmod" rmmod hybrid_alloc
write_signature ext2 "$disk"
sync
try_not "insmod mode=fresh with a disk that has a file system" "can't insert" \
	insmod /lib/hybrid-alloc.ko device="$disk,$odd" mode=fresh
is "a line in the log says so" "$(dmesg | tail -n 1 | grep -c "${disk#/dev/}: not blank, there is an ext2, ext3 or ext4 file system at byte 1080:")" 1
is "nothing is left of it" "$(ls /dev/hybrid_alloc* 2>/dev/null)" ""
# overwrites: the signature that was written above
try "mode=overwrite takes it" insmod /lib/hybrid-alloc.ko device="$disk,$odd" mode=overwrite
is "both are attached" "$(hybridctl list -n -r -o STATE | tr '\n' ' ')" "ready ready "
try "detach --wipe" hybridctl detach --wipe 0
try "rmmod" rmmod hybrid_alloc
try "mode=fresh takes it after that" insmod /lib/hybrid-alloc.ko device="$disk,$odd" mode=fresh
try "rmmod" rmmod hybrid_alloc

rm -f /tmp/*.img /tmp/alias
rmmod loop
done_testing
