#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
#
# usage (in the guest): profile-guest.sh SIZE
#
# Prints the addresses of the kernel's functions, then allocates and frees until
# the machine is stopped: see bench/profile-kernel.

set -e
modprobe null_blk nr_devices=1 gb=64
modprobe drm_buddy
insmod /lib/hybrid-alloc.ko
insmod /lib/ha_bench.ko device=/dev/nullb0 loop=100000000 size="$1" &
# When ha_bench has begun to use the device, its symbols are in /proc/kallsyms.
while ! dmesg | grep -q 'ha_bench: looping'; do
	sleep 1
done
grep -E ' [tTwW] ' /proc/kallsyms | cut -d ' ' -f 1,3 | gzip | base64
echo looping
wait
