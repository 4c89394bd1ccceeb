#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash disable=SC2016 # a $ of awk's
# The scripts for bpftrace, at work on a stock kernel: what they print is what was done.
# Run on one processor, see tests/vm/list.

# shellcheck source-path=SCRIPTDIR source=../tests/vm/tap.sh
. ./tap.sh

mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
ulimit -l unlimited
insmod /lib/hybrid-alloc.ko device="${DISKS%% *}" mode=fresh || exit

# stop PID: bpftrace forgets a Ctrl-C that comes while it reads events. It gets another
# one then, but not soon: while it prints, that would end it at once.
stop()
{
	tries=0
	kill -INT "$1"
	while kill -0 "$1" 2>/dev/null; do
		tries=$((tries + 1))
		if [ $((tries % 150)) = 0 ]; then
			kill -INT "$1"
		fi
		sleep 0.1
	done
}

bpftrace hybrid_alloc_latency.bt >/tmp/latency 2>&1 &
latency=$!
bpftrace hybrid_alloc_churn.bt >/tmp/churn 2>&1 &
churn=$!
# Both have to compile first.
tries=1000
until grep -q 'Ctrl-C ends' /tmp/latency && grep -q 'Ctrl-C ends' /tmp/churn; do
	tries=$((tries - 1))
	if [ $tries = 0 ] || ! kill -0 "$latency" || ! kill -0 "$churn"; then
		fail "bpftrace takes both scripts" "$(cat /tmp/latency /tmp/churn)"
		done_testing
		exit 1
	fi
	sleep 0.1
done
pass "bpftrace takes both scripts"

hybridctl alloc -n -o EXTENT 0 4K 4K 4K 1M 3M >/tmp/mine
hybridctl free 0 "$(sed -n '1s/:.*/:8192/p' /tmp/mine)" 2>/dev/null
hybridctl alloc 0 1P 2>/dev/null
hybridctl free --file /tmp/mine 0
hybridctl drain 0
stop "$latency"
stop "$churn"
sed 's/^/# /' /tmp/latency /tmp/churn

# value FILE NAME: of @NAME in the output of a script
value()
{
	awk -v name="@$2:" 'index($0, name) == 1 { print $NF }' "/tmp/$1"
}

# under FILE NAME: the sum of a histogram's counts
under()
{
	awk -v name="@$2:" 'index($0, name) == 1 { inside = 1; next }
		/^$|^@/ { inside = 0 }
		inside { split($0, half, ")"); n += half[2] }
		END { print +n }' "/tmp/$1"
}

is "churn: bytes that were allocated" "$(value churn 'allocated_bytes[hybridctl]')" 4206592
is "churn: bytes that were freed" "$(value churn 'freed_bytes[hybridctl]')" 4206592
is "churn: extents that were allocated" "$(under churn allocated_kib)" 5
is "churn: extents that were freed" "$(under churn freed_kib)" 5
is "churn: refused frees have a program and a reason" \
	"$(sed -n 's/^@refused\[hybridctl, [0-9]*, \(.*\)\]: \(.*\)/\1 \2/p' /tmp/churn)" "3 1"
is "churn: failed allocations an errno" "$(value churn 'failed[hybridctl, 27]')" 1
is "churn: refills by size" "$(value churn 'refills[4096]')" 1
is "churn: drains by size" "$(value churn 'drains[4096]')" 1
is "latency: calls by kind" "$(for kind in ALLOC FREE_BATCH DRAIN; do
	under latency "usecs[$kind]"
done | tr '\n' ' ')" "6 2 1 "
is "latency: errors by kind" "$(value latency 'errors[ALLOC, 27]')" 1
is "and nothing else" "$(grep -c ERROR /tmp/latency) $(grep -c ERROR /tmp/churn)" "0 0"

hybridctl detach 0
rmmod hybrid_alloc
done_testing
