#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
#
# usage (in the guest): append-guest.sh DISK CAPACITY SEED CALL WORKLOAD:LIMIT...
#
# Runs workloads that append on ext4 and XFS, each on a new file system that has CAPACITY
# bytes free, and a part in 128 more for its own metadata. CALL is what appends, pwrite or
# fallocate. Prints a line for each result: FILESYSTEM WORKLOAD UNIT VALUE.

set -e
disk=$1
capacity=$2
seed=$3
call=$4
shift 4
want=$((capacity + capacity / 128))

# make_fs TYPE BYTES: a file system of that size, mounted
make_fs()
{
	case $1 in
	ext4) mkfs.ext4 -q -F -b 4096 -m 0 -E lazy_itable_init=0,nodiscard "$disk" $(($2 / 1024))k ;;
	xfs) mkfs.xfs -q -f -K -d size=$(($2 / 4096 * 4096)) "$disk" ;;
	esac
	mount -t "$1" "$disk" /mnt
}

free_bytes()
{
	echo $(($(stat -f -c %a /mnt) * $(stat -f -c %S /mnt)))
}

# A file system of a size with which $want bytes are free: what it needs itself is measured.
make_fs_with_space()
{
	local size=$((want + want / 16 + 134217728))

	make_fs "$1" $size
	size=$((size - $(free_bytes) + want))
	umount /mnt
	make_fs "$1" $size
}

mkdir -p /mnt
modprobe ext4 2>/dev/null || true # or it is built in
modprobe xfs
for fs in ext4 xfs; do
	for workload; do
		make_fs_with_space $fs
		echo "# $fs: $(free_bytes) bytes free of $want"
		ha_append /mnt "${workload%:*}" "$capacity" "${workload#*:}" "$seed" "$call" >/tmp/result
		sed "s/^/$fs /" /tmp/result
		umount /mnt
	done
done
