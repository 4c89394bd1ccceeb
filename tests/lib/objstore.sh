#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# The program objstore as a person would use it: files in, files out, also after
# the module was loaded anew.
# shellcheck source=tests/vm/tap.sh
. ./tap.sh

disk=${DISKS%% *}
catalogue=/tmp/cli-catalogue
store()
{
	command=$1
	shift
	objstore "$command" 0 $catalogue "$@"
}

try "a disk" insmod /lib/hybrid-alloc.ko device="$disk" mode=fresh
try_not "no catalogue" "No such file" store list
try "create" store create
try_not "create: a second time" "File exists" store create
is "nothing is there" "$(store list)" ""
dd if=/dev/urandom of=/tmp/large bs=1M count=20 2>/dev/null
dd if=/dev/urandom of=/tmp/small bs=1 count=100 2>/dev/null
store put large </tmp/large || fail "put a large file"
store put small other </tmp/small || fail "put a small file under two names"
: | store put empty || fail "put nothing"
is "list" "$(store list | cut -d' ' -f1,2)" "empty 0
large 20971520
other 100
small 100"
store get large >/tmp/out
try "what was put is what one gets" cmp /tmp/large /tmp/out
try_not "get: there is no such object" "No such file" store get nothing
try "delete" store delete other
try_not "delete: a second time" "No such file" store delete other

try "the module goes, and forgets" hybridctl detach --force 0
rmmod hybrid_alloc
try "it comes back, to be rebuilt" insmod /lib/hybrid-alloc.ko device="$disk"
store get large >/tmp/out
try "the objects are there" cmp /tmp/large /tmp/out
store get small >/tmp/out
try "the small one, too" cmp /tmp/small /tmp/out
is "each has its extents, and there is a label" "$(hybridctl stat -b -n -r -o CHARGED 0)" \
	$((20971520 + 4096 + 4096))
try "delete all" store delete large small empty
is "what is left is the label" "$(hybridctl stat -b -n -r -o CHARGED 0)" 4096
hybridctl detach --force 0
try "the module goes" rmmod hybrid_alloc
done_testing
