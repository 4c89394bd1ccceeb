#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
#
# The part of tools/schemas that runs in the virtual machine: a document of each
# command, also of what failed. With --broken the module is one that is
# broken on purpose.

# json COMMAND...: what it prints, behind its name
json()
{
	echo "=== $*"
	hybridctl "$@" --json 2>/dev/null
}

insmod /lib/hybrid-alloc.ko
awk 'BEGIN {
	for (i = 0; i < 400; i++)
		print "a", i, 4096 * (1 + i % 16)
	for (i = 0; i < 400; i += 2)
		print "f", i
	for (i = 0; i < 400; i += 2)
		print "a", i, 4096 * (1 + i % 16)
	print "a 1000 1T\nc 15 4K 8K 2000\nx 2000 4K"
}' >/tmp/trace
if [ "${1-}" = --broken ]; then
	hybridctl attach --fresh "$DISKS"
	hybridctl alloc 0 8M
	hybridctl replay --keep 0 /tmp/trace
	hybridctl check 0
	echo $?
	hybridctl detach --force 0
	rmmod hybrid_alloc
	exit
fi

json attach --range 0,128M "$DISKS"
json claim 0 0:4K 0:4K
hybridctl seal 0 >/dev/null
json list
json info 0
json alloc 0 4K 1M 3M
json free 0 4K:1 0:4K
json split 0 4K:4K:8K 0:4K:0
json extend 0 0:1T:4K 0:4K:1T
json keep 0 0:4K 4K:1
json stat 0
json stat --runs 0
json map 0
json dump 0
json check 0 7
json trim 0
json grow 0
json replay 0 /tmp/trace
json top --iterations 2 --delay 0.1
json watch --below 1T 0
json watch --below 4K --timeout 0 0
hybridctl detach --force 0 >/dev/null
rmmod hybrid_alloc
