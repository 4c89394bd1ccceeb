#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
#
# The part of tools/picture that runs in the virtual machine. It ages a disk with objects of
# 4 KiB to 8 MiB, half of them powers of two, and ends with the departure of one user.

set -eu

insmod /lib/hybrid-alloc.ko
hybridctl attach --fresh "$DISKS"
hybridctl alloc -n -r -o EXTENT 0 200M | sed 's/^/=== a database: /'

# The logarithms of the sizes are uniform. The disk is filled to nine tenths, then each object is
# replaced eight times on average; at last a range of IDs is freed.
awk -v capacity=8589934592 'function object(	size, i) {
		size = 4096
		for (i = int(rand() * 11); i > 0; i--)
			size *= 2
		if (rand() < 0.5)
			size = int(size * (1 + rand()))
		print "a", ++id, size
		len[id] = size
		used += size
	}
	function gone(i) {
		if (!len[i])
			return
		print "f", i
		used -= len[i]
		len[i] = 0
	}
	BEGIN {
		srand(7)
		used = 209715200
		while (used < capacity * 9 / 10)
			object()
		for (rounds = 8 * id; rounds > 0; rounds--) {
			gone(1 + int(rand() * id))
			while (used < capacity * 9 / 10)
				object()
		}
		for (i = id - int(id / 12); i < id - int(id / 30); i++)
			gone(i)
	}' >/tmp/trace
echo "=== $(grep -c . /tmp/trace) operations"
hybridctl replay --keep -n -r -o OPS,FAILED_ALLOCS,NR_LIVE,OVERLAPS 0 /tmp/trace | sed 's/^/=== replay: /'
# Fill the pools, as they are in normal operation.
hybridctl alloc -n -o EXTENT -c 40 0 4K 16K 64K 256K | hybridctl free --file - 0
hybridctl map --svg - --title 'an aged disk of 8 GiB' 0
hybridctl check 0
hybridctl detach --force 0
rmmod hybrid_alloc
