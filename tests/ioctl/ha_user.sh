#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# The sample that uses the exported API: what it takes comes back, it keeps the
# module, and what fails on the way leaves nothing behind.
# shellcheck source-path=SCRIPTDIR/../vm source=../vm/tap.sh
. ./tap.sh

disk=${DISKS%% *}
rmmod hybrid_alloc 2>/dev/null
insmod /lib/hybrid-alloc.ko || exit

load()
{
	insmod /lib/ha_user.ko "$@"
}

# said PATTERN COMMAND...: what the command makes the kernel say
said()
{
	pattern=$1
	shift
	dmesg -c >/dev/null
	"$@"
	dmesg | grep -c "$pattern"
}

try_not "a device is needed" "" load
try_not "a device that is not there" "" load device=/dev/nothing
try_not "a file that is no block device" "" load device=/dev/null
is "one segment of a block" "$(said '1 segments of 4 KiB' load device="$disk" nr=1 kib=4)" 1
is "it comes back" "$(said 'all came back' rmmod ha_user)" 1
for kib in 4 68 256 1024 3000; do
	try "segments of $kib KiB, allocated under GFP_NOIO" load device="$disk" nr=200 kib=$kib
	is "all of them come back" "$(said 'all came back' rmmod ha_user)" 1
done
try_not "more than there is" "No space" load device="$disk" nr=100000 kib=1024
try "that has left nothing behind" load device="$disk" nr=900 kib=1024
is "it shows in the list" "$(hybridctl list -n -r -o NODE,DISK,USER)" \
	"/dev/hybrid_alloc0 ${disk#/dev/} ha_user:${disk#/dev/}"
is "what it has allocated shows" "$(hybridctl stat -b -n -r -o CHARGED,NR_LIVE 0)" \
	"$((900 << 20)) 900"
try "and where" hybridctl map 0
try_not "its space cannot be taken" "belongs to a user in the kernel" hybridctl alloc 0 4K
try_not "its instance cannot be detached" "belongs to a user in the kernel" hybridctl detach --force 0
try_not "who uses it keeps the module" "" rmmod hybrid_alloc
exec 5</dev/hybrid_alloc0
try "until it is unloaded, though its node is open" rmmod ha_user
is "it shows no more" "$(hybridctl list)" ""
exec 5<&-
try "then the module can go" rmmod hybrid_alloc
done_testing
