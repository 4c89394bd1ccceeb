#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
#
# usage (in the guest): writers.sh [--seed N] [--broken [--fio]]
#
# Eight writers allocate, write and verify while TRIM is at work all the time:
# first threads of one program (tests/ioctl/writers.c), then fio. The disk is one
# of null_blk, which gives zeroes for what was discarded. The allocator has it
# through dm-delay, so that a discard takes its time; the data goes past that.
#
# With --broken the module's TRIM does not hold what it discards, and the test
# is that this is noticed: by the program, or with --fio by fio.

# shellcheck source=tests/vm/tap.sh
. ./tap.sh

seed=1
broken=''
with=both
while [ $# -gt 0 ]; do
	case $1 in
	--seed) seed=$2; shift ;;
	--broken) broken=1 with=program ;;
	--fio) with=fio ;;
	esac
	shift
done
echo "# seed $seed"

writers=8
rounds=1
seconds=5
[ -n "$broken" ] && seconds=2
[ -z "${SOAK-}" ] || [ -n "$broken" ] || rounds=10 seconds=300
disk=/dev/hat-trim
nullb=/sys/kernel/config/nullb/hat-trim
slow=/dev/mapper/hat-slow
export DM_DISABLE_UDEV=1	# there is none
dir=/tmp/trim
rm -rf $dir
mkdir $dir

# attach MIB MS: a disk of that size, a discard taking so long
attach()
{
	modprobe null_blk nr_devices=0
	modprobe dm-delay
	[ -d ${nullb%/*} ] || mount -t configfs none /sys/kernel/config
	mkdir $nullb
	echo "$1" >$nullb/size
	echo 512 >$nullb/blocksize
	echo 1 >$nullb/memory_backed
	echo 1 >$nullb/discard
	echo 1 >$nullb/power
	try "a disk of $1 MiB whose discards take $2 ms" dmsetup create hat-slow \
		--table "0 $(($1 * 2048)) delay $disk 0 0 $disk 0 $2" || exit 1
	try "the module takes it" insmod /lib/hybrid-alloc.ko device=$slow mode=fresh || exit 1
}

detach()
{
	# What is wrong in a broken module cannot be freed in good order.
	[ -z "$broken" ] || hybridctl detach --force 0
	try "the module goes" rmmod hybrid_alloc
	dmsetup remove hat-slow
	rmdir $nullb
}

# One of eight: allocates just after a TRIM has begun, writes and reads. What it
# has of the last round but one is freed.
fio_writer()
{
	for round in $(seq $rounds); do
		number=$((10 * $1 + round % 2))
		list=$dir/owner$number
		[ ! -e "$list" ] || hybridctl free 0 - <"$list" || return 1
		begun=$(stat -c %s $dir/trims)
		while [ "$(stat -c %s $dir/trims)" = "$begun" ]; do
			usleep 50000
		done
		hybridctl alloc -n -r -o START,LEN 0 4K 12K 64K 68K 256K "$1M" >"$list" || return 1
		awk -v disk=$disk -f jobs.awk "$list" >"$dir/job$1"
		fio --output="$dir/log$1" --minimal "$dir/job$1" || return 1
	done
}

with_fio()
{
	: >$dir/trims
	writers --trim $dir/trims /dev/hybrid_alloc0 &
	trimmer=$!
	pids=''
	bad=0
	for i in $(seq $writers); do
		fio_writer "$i" >"$dir/err$i" 2>&1 &
		pids="$pids $!"
	done
	for pid in $pids; do
		wait "$pid" || bad=$((bad + 1))
	done
	trims=$(stat -c %s $dir/trims)
	# what it is at work at comes to its end first
	kill $trimmer
	wait $trimmer
	echo "# $trims TRIMs"
	if [ -z "$broken" ]; then
		if [ $bad = 0 ]; then
			pass "$writers writers allocate, write and verify with fio"
		else
			fail "$writers writers allocate, write and verify with fio" \
				"$(cat $dir/err?)"
		fi
	fi

	awk -v disk=$disk -v only=verify -f jobs.awk $dir/owner* >$dir/verify
	fio --output=$dir/log --minimal $dir/verify >$dir/err 2>&1
	status=$?
	if [ -z "$broken" ]; then
		is "in the end each block is as it was written: fio's status" $status 0
		[ $status = 0 ] || tail -n 20 $dir/err | sed 's/^/# /'
		cat $dir/owner* | hybridctl free 0 - || fail "all is freed"
	elif [ $status != 0 ] && grep -qE 'fio: (pattern|verify)|verify failed' $dir/log $dir/err; then
		pass "fio finds what was discarded"
	else
		fail "fio finds what was discarded" "fio ended with $status
$(tail -n 20 $dir/err)"
	fi
}

if [ $with != fio ]; then
	attach 192 20
	try "eight writers and TRIM" writers --seconds $seconds --seed "$seed" ${broken:+--broken} \
		/dev/hybrid_alloc0 $disk
	echo "$tap_out" | grep '^# '
	detach
fi
if [ $with != program ]; then
	# So long that fio has written before the discard is done; all is in one piece then.
	if [ -n "$broken" ]; then
		attach 32 20000
	else
		attach 192 100
	fi
	with_fio
	detach
fi
done_testing
