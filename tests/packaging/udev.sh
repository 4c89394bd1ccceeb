#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# The udev rule: the nodes of instances are the group disk's, the control node is root's.
# shellcheck source=tests/vm/tap.sh
. ./tap.sh

# owner NODE: mode, owner, group
owner()
{
	stat -c '%a %u %g' "$1"
}

# shellcheck disable=SC2086 # words
set -- $DISKS
echo 'root:x:0:' >/etc/group
echo 'disk:x:6:' >>/etc/group
echo 'root:x:0:0::/:/bin/sh' >/etc/passwd
ln -sf udevadm /bin/systemd-udevd
try "udevd" systemd-udevd --daemon
insmod /lib/hybrid-alloc.ko device="$1" mode=fresh
udevadm settle
is "the node of an instance" "$(owner /dev/hybrid_alloc0)" "660 0 6"
try "one that is attached later" hybridctl attach --fresh "$2"
udevadm settle
is "its node" "$(owner /dev/hybrid_alloc1)" "660 0 6"
is "the control node" "$(owner /dev/hybrid_alloc)" "600 0 0"
hybridctl detach 1
rmmod hybrid_alloc
udevadm settle
kill "$(pidof systemd-udevd)"
try "no node is left" test ! -e /dev/hybrid_alloc0 -a ! -e /dev/hybrid_alloc
done_testing
