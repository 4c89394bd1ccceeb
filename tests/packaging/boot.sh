#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# What the systemd unit runs at boot and at the end, as systemd would: the guest has none.
# tests/packaging/test has systemd look at the unit itself.
# shellcheck source=tests/vm/tap.sh
. ./tap.sh

unit=hybrid-alloc@.service
# shellcheck disable=SC2086 # words
set -- $DISKS
mkdir -p "/lib/modules/$(uname -r)/updates" /etc/hybrid-alloc
cp /lib/hybrid-alloc.ko "/lib/modules/$(uname -r)/updates/"
echo "updates/hybrid-alloc.ko:" >>"/lib/modules/$(uname -r)/modules.dep"

# run KEY DISK: the unit's lines of this key, for that disk
run()
{
	OPTIONS=
	conf=$(sed -n 's/^EnvironmentFile=-//p' $unit | sed "s|%i|$(echo "${2#/}" | tr / -)|")
	[ ! -e "$conf" ] || OPTIONS=$(sed -n 's/^OPTIONS=//p' "$conf")
	sed -n "s/^$1=//p" $unit | sed "s|%f|$2|; s|@SBINDIR@/||; s|\$OPTIONS|$OPTIONS|" >/tmp/commands
	[ -s /tmp/commands ] && sh -e /tmp/commands
}

start()
{
	run ExecStartPre "$1" && run ExecStart "$1"
}

echo "OPTIONS=--range 1M --min-block 64K" >"/etc/hybrid-alloc/dev-${2#/dev/}.conf"
try "a disk is attached" start "$1"
try "another one, with its options" start "$2"
try_not "one that is not there does not get that far" "ENOENT" start /dev/nothing
is "both wait for their engines" "$(hybridctl list -b -n -r -o DISK,STATE,RANGE_START,MIN_BLOCK)" \
	"${1#/dev/} rebuild 0 4096
${2#/dev/} rebuild 1048576 65536"
try "what the catalogue has is claimed" hybridctl claim "$1" 1M:64K
try "and sealed" hybridctl seal "$1"
try_not "a disk with live extents stays" "EBUSY" run ExecStop "$1"
try "the other one is detached" run ExecStop "$2"
hybridctl free "$1" 1M:64K
try "and this one when nothing is live" run ExecStop "$1"
is "nothing is attached" "$(hybridctl list)" ""
rmmod hybrid_alloc
done_testing
