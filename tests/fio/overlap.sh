#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
#
# usage (in the guest): overlap.sh [--seed N] [--broken]
#
# Several owners at once allocate and free at random on a virtio disk; then
# fio writes a pattern of its own to each extent that is left, and reads all back.
# With --broken the module is one that hands some extents out twice, and the
# test is that fio finds it.

# shellcheck source=tests/vm/tap.sh
. ./tap.sh

seed=${SEED-$(date +%s)}
broken=''
while [ $# -gt 0 ]; do
	case $1 in
	--seed) seed=$2; shift ;;
	--broken) broken=1 ;;
	esac
	shift
done
echo "# seed $seed"

owners=5
rounds=4
dir=/tmp/overlap
mkdir -p $dir

# Sizes for one round: many of the common ones, some odd, few large.
sizes()
{
	awk -v seed="$1" 'BEGIN {
		srand(seed)
		for (i = 0; i < 14; i++) {
			r = rand()
			if (r < .6)
				print 4096 * int(1 + 16 * rand())
			else if (r < .8)
				print substr("128K 256K 512K", 1 + 5 * int(3 * rand()), 4)
			else if (r < .95)
				print 4096 * int(1 + 300 * rand())
			else
				print int(1 + 4 * rand()) "M"
		}
	}'
}

# Allocates, gives half back in another order, and so on.
owner()
{
	list=$dir/owner$1
	: >"$list"
	for round in $(seq $rounds); do
		# shellcheck disable=SC2046 # a list of words
		hybridctl alloc -n -r -o START,LEN 0 $(sizes $((seed + 100 * $1 + round))) \
			>>"$list" || return 1
		[ "$round" = $rounds ] && break
		awk 'NR % 2' "$list" >"$list.free"
		awk 'NR % 2 == 0' "$list" >"$list.keep"
		# A broken module refuses the second free of what it handed out twice.
		hybridctl free 0 - <"$list.free" || [ -n "$broken" ] || return 1
		mv "$list.keep" "$list"
		rm "$list.free"
	done
}

try "the module takes the disk" insmod /lib/hybrid-alloc.ko device=/dev/vda mode=fresh || exit
pids=''
for i in $(seq $owners); do
	owner "$i" 2>"$dir/error$i" &
	pids="$pids $!"
done
bad=0
for pid in $pids; do
	wait "$pid" || bad=$((bad + 1))
done
if [ $bad = 0 ]; then
	pass "$owners owners allocate and free at the same time"
else
	fail "$owners owners allocate and free at the same time" "$(cat $dir/error?)"
fi

awk -v disk=/dev/vda -f jobs.awk $dir/owner? >$dir/overlap.fio
echo "# $(head -1 $dir/overlap.fio), $(cat $dir/owner? | awk '{ s += $2 } END { print s }') bytes"
try "the job file is a proper one" fio --warnings-fatal --parse-only $dir/overlap.fio

fio --output=$dir/log --minimal $dir/overlap.fio >$dir/err 2>&1
status=$?
# fio says "verify: bad ..." or "verify failed" only where it read something else
# than it wrote; other errors are none of an overlap.
found=$(cat $dir/log $dir/err | grep -cE 'fio: (pattern|verify)|verify (failed|type mismatch)|bad pattern')
if [ -n "$broken" ]; then
	if [ $status != 0 ] && [ "$found" -gt 0 ]; then
		pass "fio finds the extents that were handed out twice ($found messages)"
	else
		fail "fio finds the extents that were handed out twice" "fio ended with $status
$(tail -n 20 $dir/log $dir/err)"
	fi
	# What is wrong here cannot be freed in good order.
	hybridctl detach --force 0
else
	if [ $status = 0 ]; then
		pass "every owner reads what it wrote"
	else
		fail "every owner reads what it wrote" "$(tail -n 30 $dir/log $dir/err)"
	fi
	try "all is freed" hybridctl free 0 - <<-END
	$(cat $dir/owner?)
	END
	try "the pools are drained" hybridctl drain 0
	is "the disk is one free run again" \
		"$(hybridctl stat --runs -b -n -r -o NR_FREE_RUNS,CHARGED,CACHED 0)" "1 0 0"
	try "detached" hybridctl detach 0
fi
try "the module goes" rmmod hybrid_alloc
done_testing
