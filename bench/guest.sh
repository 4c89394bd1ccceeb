#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
#
# usage (in the guest): guest.sh UNIT SEED
#
# Runs the kernel benchmarks and prints a line for each result:
# ALLOCATOR WORKLOAD UNIT VALUE.

unit=$1
seed=$2

set -e
modprobe null_blk nr_devices=1 gb=102400
modprobe drm_buddy
insmod /lib/hybrid-alloc.ko
insmod /lib/ha_bench.ko device=/dev/nullb0 unit="$unit" seed="$seed" || {
	dmesg | tail -n 40
	exit 1
}
# The values are in thousandths.
dmesg | sed -n 's/.* ha_bench: result \(.*\)\(...\)$/\1.\2/p'
dmesg | sed -n 's/.* ha_bench: \(failed\|aged\)/# \1/p'
rmmod ha_bench
ha_ioctl /dev/nullb0 "$unit" "$seed"
