#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
#
# The part of `make demo` that runs in the virtual machine. Any command that
# fails ends it.

set -eu

n=0
title()
{
	n=$((n + 1))
	printf '\n%d. %s\n' $n "$1"
	shift
	[ $# = 0 ] || printf '   %s\n' "$@"
	echo
}

# Shows a command as one would type it, then what it prints.
run()
{
	printf '   # %s\n' "$*"
	"$@" >/tmp/out 2>&1 || { sed 's/^/   /' /tmp/out; echo "   failed: status $?"; exit 1; }
	sed 's/^/   /' /tmp/out
}

fails()
{
	printf '   # %s\n' "$*"
	if "$@" >/tmp/out 2>&1; then
		echo "   this should have been refused"
		exit 1
	fi
	sed 's/^/   /' /tmp/out
}

same()
{
	[ "$2" = "$3" ] || { echo "   $1: got '$2', expected '$3'"; exit 1; }
}

title "A Linux machine with an empty disk, /dev/vda" \
	"The kernel is Debian's own: $(uname -r)."
run cat /sys/block/vda/size
echo "   (sectors of 512 bytes: 1 GiB)"

title "The module takes the disk over" \
	"It decides from now on which part of the disk belongs to whom. --fresh says that" \
	"all of it is free; a disk with something on it would be refused. The data goes on" \
	"its own way: programs read and write /dev/vda themselves, at the places they were given."
mv /lib/hybrid-alloc.ko .
run insmod hybrid-alloc.ko
run hybridctl attach --fresh /dev/vda
run hybridctl list

title "Somebody wants space: from 4 KiB to 100 MiB" \
	"Each line of the answer is an extent, a range of bytes of the disk."
run hybridctl alloc 0 4K 4K 60K 64K 1M 3M 100M
cp /tmp/out /tmp/first
hybridctl stat -n -b -o CHARGED 0 >/tmp/charged
same "bytes in use" "$(tr -d ' ' </tmp/charged)" \
	$((2 * 4096 + (60 + 64) * 1024 + (1 + 3 + 100) * 1048576))

title "Where the space is" \
	"Small sizes come from pools, one for each processor (CACHED is what they keep" \
	"ready), those are filled from slabs, and the slabs lie in blocks of a buddy" \
	"allocator."
run hybridctl stat -o NODE,CAPACITY,CHARGED,CACHED,FREE,NR_LIVE 0

title "Four owners allocate and free at the same time" \
	"Each keeps a list of the extents that it has at the end."
owner()
{
	hybridctl alloc -n -r -o START,LEN -c 3 0 4K 12K 64K 100K 256K 1M >"/tmp/owner$1"
	awk 'NR % 3 == 0' "/tmp/owner$1" | hybridctl free 0 -
	awk 'NR % 3' "/tmp/owner$1" >"/tmp/owner$1.kept"
	hybridctl alloc -n -r -o START,LEN 0 8K 20K 512K 2M >>"/tmp/owner$1.kept"
	mv "/tmp/owner$1.kept" "/tmp/owner$1"
}
pids=''
for i in 1 2 3 4; do
	owner $i &
	pids="$pids $!"
done
for pid in $pids; do
	wait "$pid"
done
for i in 1 2 3 4; do
	awk -v i=$i '{ s += $2 }
		END { printf "   owner %d has %d extents, %.1f MiB in all\n", i, NR, s / 1048576 }' /tmp/owner$i
done

title "fio writes to all of them, and reads everything back" \
	"The pattern is another one in each extent. Were there two extents that overlap," \
	"one owner would read what another one wrote."
awk -v disk=/dev/vda -f jobs.awk /tmp/owner? >overlap.fio
run fio --output=/tmp/fio.log overlap.fio
grep -E '^ +(READ|WRITE): ' /tmp/fio.log | sed 's/^ */   /; s/, run=.*//'
grep -q 'err= [1-9]' /tmp/fio.log && exit 1
echo "   verified: every owner reads what it wrote"

title "An extent cannot be freed twice" \
	"Nor one that was never allocated, nor a part of one: every free is checked." \
	"This is the first extent of owner 1."
extent=$(awk 'NR == 1 { print $1 ":" $2 }' /tmp/owner1)
run hybridctl free 0 "$extent"
sed -i 1d /tmp/owner1
fails hybridctl free 0 "$extent"

title "All is given back" \
	"After the pools are emptied the disk is one free run again."
printf '   # %s\n' "hybridctl free 0 -      (all extents on standard input)"
{ cat /tmp/owner?; awk 'NR > 1 { print $1, $2 }' /tmp/first; } >/tmp/all
hybridctl free 0 - </tmp/all
run hybridctl drain 0
run hybridctl stat --runs -o NODE,CHARGED,CACHED,FREE,NR_FREE_RUNS,LARGEST_FREE_RUN 0
same "free runs and bytes in use" "$(hybridctl stat --runs -b -n -r -o NR_FREE_RUNS,CHARGED 0)" "1 0"

title "A disk with data on it is not taken for a fresh one" \
	"The data of the owners is still there, and the module has written nothing to the disk."
run hybridctl detach 0
fails hybridctl attach --fresh /dev/vda

title "The module goes" \
	"Without --fresh an engine gets its disk back: it claims the extents that its catalogue" \
	"has. Nothing on this disk is needed any more, which --force says here; --wipe zeroes its" \
	"first and its last MiB, so that the next attach takes it."
run hybridctl attach /dev/vda
run hybridctl detach --wipe --force 0
run hybridctl attach --fresh /dev/vda
run hybridctl detach 0
run rmmod hybrid_alloc
echo
