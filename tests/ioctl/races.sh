#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
#
# All that may go on at the same time, on a device large enough for a group for
# each processor: hammer.c at its work, and meanwhile claims, statistics, maps, checks,
# TRIM, drains, the shrinker, and a processor that comes and goes. What is to be seen
# is that the kernel has nothing to report: on PREEMPT_RT no scheduling while atomic,
# on the kcsan kernel no data race.

# shellcheck source-path=SCRIPTDIR source=../vm/tap.sh
. ./tap.sh

seconds=15
[ -z "${SOAK-}" ] || seconds=300
null_blk=/sys/kernel/config/nullb
disk=$null_blk/hat-races
cpu3=/sys/devices/system/cpu/cpu3/online
log=/tmp/races
mkdir -p $log

# loop NAME COMMAND...: again and again until hammer is done; none may fail
loop()
{
	name=$1
	shift
	n=0
	while [ ! -e $log/stop ]; do
		"$@" >"$log/$name.out" 2>&1 || cp "$log/$name.out" "$log/$name.bad"
		n=$((n + 1))
		echo $n >"$log/$name.n"
	done
}

# Whatever hammer has at the moment is taken.
claim()
{
	if out=$(hybridctl claim 0 "$1" 2>&1); then
		hybridctl free 0 "$1"
	else
		case $out in
		*EEXIST*) ;;
		*) echo "$out"; return 1 ;;
		esac
	fi
}

# Others may be at work too much for an answer.
check()
{
	out=$(hybridctl check 0 2>&1) && return
	echo "$out"
	case $out in
	*EAGAIN*) ;;
	*) return 1 ;;
	esac
}

reclaim()
{
	echo 2 >/proc/sys/vm/drop_caches
}

plug()
{
	echo 0 >$cpu3 && sleep 1 && echo 1 >$cpu3 && sleep 1
}

is "processors" "$(nproc)" 4
modprobe null_blk nr_devices=0
mount -t configfs configfs /sys/kernel/config
try "a disk of 32 GiB" mkdir $disk
echo 32768 >$disk/size
echo 1 >$disk/memory_backed
echo 1 >$disk/discard
try "which is there" sh -c "echo 1 >$disk/power"
try "insmod" insmod /lib/hybrid-alloc.ko
if ! try "attach" hybridctl attach --fresh /dev/hat-races; then
	done_testing
	exit 1
fi

loop claim claim 31G:40M &
loop claim2 claim 30G:12K &
loop stat hybridctl stat --runs 0 &
loop map hybridctl map 0 &
loop check check &
loop trim hybridctl trim --offset 28G 0 &
loop drain hybridctl drain 0 &
loop reclaim reclaim &
loop plug plug &

hammer --procs 4 --seconds $seconds --shared --node /dev/hybrid_alloc0 >$log/hammer
status=$?
touch $log/stop
wait
sed 's/^/# hammer: /' $log/hammer
if [ $status = 0 ] && ! grep -q '^not ok' $log/hammer; then
	pass "hammer"
else
	fail "hammer"
fi
for name in claim claim2 stat map check trim drain reclaim plug; do
	if [ -e $log/$name.bad ]; then
		fail "$name, $(cat $log/$name.n) times" "$(cat $log/$name.bad)"
	else
		pass "$name, $(cat $log/$name.n) times"
	fi
done
is "nothing is left" "$(hybridctl stat --noheadings --raw --bytes --output CHARGED,RETIRED 0)" "0 0"
try "no invariant is broken" hybridctl check 0
try "detach" hybridctl detach 0
try "rmmod" rmmod hybrid_alloc
echo 0 >$disk/power
rmdir $disk
done_testing
