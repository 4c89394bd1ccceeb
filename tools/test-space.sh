#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# trim, grow, replay, top and watch on the real module.

# shellcheck source-path=SCRIPTDIR source=../tests/vm/tap.sh
. ./tap.sh

: "${DISK:=${DISKS%% *}}"
K=1024
M=$((1024 * K))
esc=$(printf '\033')

# one COLUMN: that figure of stat
one()
{
	hybridctl stat --noheadings --raw --bytes --output "$1" 0
}

# For script(1)
mkdir -p /dev/pts
mount -t devpts -o ptmxmode=666 devpts /dev/pts
ln -sf pts/ptmx /dev/ptmx

try "insmod" insmod /lib/hybrid-alloc.ko

# trim

try "attach" hybridctl attach --range 1M,64M "$DISK"
try_not "trim before seal" "not sealed yet (EAGAIN). Claim the extents" hybridctl trim 0
try "claim" hybridctl claim 0 1M:1M 17M:4K
try "seal" hybridctl seal 0
yes | dd of="$DISK" bs=1M count=65 iflag=fullblock 2>/dev/null
sync
is "trim: all that is free" "$(hybridctl trim -n -r -b 0)" "/dev/hybrid_alloc0 $((63 * M - 4 * K))"
is "trim, for people" "$(hybridctl trim 0 | tr -s ' ')" "NODE TRIMMED
/dev/hybrid_alloc0 63M"
echo 3 >/proc/sys/vm/drop_caches
is "what is in use is as it was" "$(dd if="$DISK" bs=1M skip=1 count=1 2>/dev/null | uniq -c | tr -s ' ')" \
	" $((M / 2)) y"
is "what is free is zeroes" "$(dd if="$DISK" bs=1M skip=20 count=1 2>/dev/null | tr -d '\0' | wc -c)" 0
is "trim --offset --length" "$(hybridctl trim -n -b -o TRIMMED --offset 16M --length 2M 0 | tr -d ' ')" \
	$((2 * M - 4 * K))
is "trim --offset before the range" "$(hybridctl trim -n -b -o TRIMMED --offset 0 -l 3M 0 | tr -d ' ')" $M
is "trim --length beyond the range" "$(hybridctl trim -n -b -o TRIMMED --offset 64M -l 15E 0 | tr -d ' ')" $M
is "trim of what lies before the range" "$(hybridctl trim -n -o TRIMMED --length 512K 0 | tr -d ' ')" 0B
is "trim --minimum" "$(hybridctl trim -n -b -o TRIMMED --minimum 20M 0 | tr -d ' ')" $((48 * M - 4 * K))
is "trim --json" "$(hybridctl trim --json -l 3M 0 | awk -f ./test-json.awk)" 'trim[0].node="/dev/hybrid_alloc0"
trim[0].trimmed=1048576'
try_not "trim of nothing" "(EINVAL). Give a --length" hybridctl trim --length 0 0
try_not "trim behind the range" "(ERANGE). \`hybridctl info /dev/hybrid_alloc0\`" hybridctl trim --offset 65M 0

# grow

is "grow to a length" "$(hybridctl grow --size 128M -n -r -b 0)" "/dev/hybrid_alloc0 $((128 * M)) $((64 * M))"
is "grow to the end of the disk" "$(hybridctl grow --json 0 | awk -f ./test-json.awk)" \
	"grow[0].node=\"/dev/hybrid_alloc0\"
grow[0].capacity=$((255 * M))
grow[0].grown=$((127 * M))"
is "grow when nothing has grown" "$(hybridctl grow -n -o GROWN 0 | tr -d ' ')" 0B
is "STAT says so, too" "$(one CAPACITY)" $((255 * M))
try_not "grow to less" "the range would become shorter (EINVAL). \`hybridctl info /dev/hybrid_alloc0\`" \
	hybridctl grow -s 64M 0
try_not "grow beyond the disk" "the disk is not that long (ERANGE). \`blockdev --getsize64\`" hybridctl grow -s 1G 0
# What was written before the range has to go as well.
try "detach" hybridctl detach --force --wipe 0
dd if=/dev/zero of="$DISK" bs=1M count=1 conv=notrunc 2>/dev/null

modprobe null_blk nr_devices=1 gb=1
try "attach a disk that cannot discard" hybridctl attach --fresh /dev/nullb0
try_not "trim" "the disk cannot discard (EOPNOTSUPP). \`lsblk --discard\`" hybridctl trim 0
try "detach" hybridctl detach 0
rmmod null_blk

# A disk that takes a second and a half for everything
modprobe null_blk nr_devices=0
mount -t configfs none /sys/kernel/config
slow=/sys/kernel/config/nullb/slow
mkdir $slow
for attribute in size=64 memory_backed=1 discard=1 irqmode=2 completion_nsec=1500000000 power=1; do
	echo "${attribute#*=}" >"$slow/${attribute%%=*}"
done
disk=/dev/nullb$(cat $slow/index)
[ -b "$disk" ] || disk=/dev/slow
# A fresh attach would read 2 MiB of it.
try "attach a slow disk" hybridctl attach --force "$disk"
try "seal it" hybridctl seal --empty 0
script -q -c "hybridctl trim 0" /tmp/typescript >/dev/null
is "trim on a terminal that takes longer than a second" \
	"$(grep -c "trim: \[\.*\] *0%  0 bytes, 1 s$esc\[K" /tmp/typescript)" 1
is "... and then what was trimmed" "$(sed "s/.*$esc\[K//" /tmp/typescript | tr -d '\r' | grep -c 'hybrid_alloc0 *64M')" 1
try "detach" hybridctl detach 0
rmdir $slow
umount /sys/kernel/config
rmmod null_blk

# replay

# 256 allocations of 1 MiB, one more, every second freed, one that fits nowhere
awk 'BEGIN {
	print "# a trace\n"
	for (i = 1; i <= 256; i++)
		print "a", i, 1048576
	print "a 257 4096  # there is no space"
	for (i = 1; i <= 256; i += 2)
		print "f", i
	print "a 300 2097152"
	print "a 301 512K 512K"
	print "f 301\nf 300\nf 257"
}' >/tmp/trace
try "attach" hybridctl attach --fresh "$DISK"
hybridctl replay --json 0 /tmp/trace >/tmp/json
is "replay --json" "$(awk -f ./test-json.awk /tmp/json | grep -v '_ns\|ns_per\|metadata')" \
	"replay[0].node=\"/dev/hybrid_alloc0\"
replay[0].capacity=$((256 * M))
replay[0].ops=388
replay[0].allocs=259
replay[0].frees=129
replay[0].cuts=0
replay[0].extends=0
replay[0].failed_extends=0
replay[0].failed_allocs=2
replay[0].first_failure_op=257
replay[0].first_failure_fill=1.00000
replay[0].max_fill=1.00000
replay[0].calls=4
replay[0].largest_free_run=$M
replay[0].nr_free_runs=128
replay[0].nr_live=128
replay[0].overlaps=0"
is "... has freed all" "$(hybridctl drain 0; one NR_LIVE,NR_FREE_RUNS)" "0 1"
is "replay --keep" "$(hybridctl replay --keep -n -o NR_LIVE 0 /tmp/trace | tr -d ' ')" 128
is "... has freed nothing" "$(one NR_LIVE,CHARGED)" "128 $((128 * M))"
hybridctl dump 0 | hybridctl free --file - 0
is "replay of standard input, in calls of 100" \
	"$(hybridctl replay --batch-size 100 -n -r -o ALLOCS,CALLS 0 - </tmp/trace)" "259 7"
is "replay in single calls" "$(hybridctl replay --batch-size 1 -n -r -o OPS,CALLS 0 - </tmp/trace |
	awk '{ print ($1 == $2), ($1 >= 388) }')" "1 1"
is "replay, one value a line" "$(hybridctl replay 0 /tmp/trace | awk '$1 == "MAX_FILL" { print $2 }')" 1.00000
# as in sim/cli.sh: both ends, a hole, what is beyond the end, all of it; then the first may grow
printf '%s\n' 'a 1 64K' 'a 2 64K' 'c 1 0 4K' 'c 1 52K 64K' 'c 1 16K 4K 3' 'c 3 1M 4K' 'c 3 0 1G' 'f 3' \
	'x 1 20K' 'x 1 20K' 'c 2 0 64K' 'f 2' 'x 1 1T' 'f 1' >/tmp/parts
is "replay of parts" \
	"$(hybridctl replay -n -r -o OPS,CUTS,EXTENDS,FAILED_EXTENDS,FREES,NR_LIVE,CALLS 0 /tmp/parts)" \
	"11 5 3 1 1 0 10"
printf 'a 1 64K\nc 1 4K 4K\n' >/tmp/parts
hybridctl replay -n 0 /tmp/parts >/tmp/out 2>/tmp/err
is "replay of a hole without a NEWID" "$? $(grep -c 'line 2: the extent has blocks on both sides' /tmp/err)" "1 1"
awk 'BEGIN {
	for (i = 0; i < 500; i++)
		print "a", i, "8K\nf", i
}' >/tmp/pairs
is "replay keeps the order: pairs are single calls, at one place" \
	"$(hybridctl replay -n -r -o CALLS,FREES,MAX_FILL 0 /tmp/pairs)" "1000 500 0.00003"

while IFS='|' read -r trace what; do
	try_not "a trace with '$trace'" "$what" sh -c "printf 'a 1 4K\n$trace\n' | hybridctl replay 0 -"
	is "... nothing is left of it" "$(one NR_LIVE)" 0
done <<WRONG
y 1|standard input, line 2: it is none of 'a ID SIZE ?ALIGN?', 'f ID', 'c ID OFFSET LEN ?NEWID?', 'x ID LEN', 'r SIZE', 'A ID SIZE ?ALIGN?', 'u SIZE'. Fix the trace
x 1|line 2: it is none of
c 1 0 4K 1|line 2: NEWID '1' is the ID itself
x 1 1|line 2: LEN '1' is no multiple of 4K
a|line 2: it is none of
a x 4K|line 2: ID 'x' is not a number
a 1K 4K|line 2: ID '1K' is not a number
a 2|line 2: it is none of
a 2 0|line 2: SIZE '0' is nothing to allocate
a 2 4Q|line 2: SIZE '4Q' has an unknown unit; use K
a 2 4K 3|line 2: ALIGN '3' is neither a power of two, such as 64K, nor a multiple of 4K
a 2 4K 4K 4K|line 2: it is none of
f 2|line 2: ID '2' is not allocated
f 1 4096|line 2: it is none of
a 1 4K|line 2: ID '1' is allocated already
WRONG
try_not "a trace that there is not" "cannot read /none: there is no such file (ENOENT). Check" \
	hybridctl replay 0 /none
{ cat /tmp/trace; sleep 100; } | hybridctl replay 0 - >/tmp/out 2>/tmp/err &
sleep 1
pid=$(pidof hybridctl)
kill "$pid"
kill "$(pidof sleep)"
wait $!
is "replay that is killed: status" $? 1
is "... says so, and frees what it has" "$(cat /tmp/err) $(one NR_LIVE)" \
	"hybridctl: stopped by a signal at line 392 of standard input; run it again for the rest 0"

slow="{ cat /tmp/pairs; sleep 2; } | hybridctl replay 0 -"
script -q -c "$slow" /tmp/typescript >/dev/null
is "replay on a terminal that takes longer than a second" \
	"$(grep -c "replay: 1000 operations, 1 s$esc\[K" /tmp/typescript)" 1
awk 'BEGIN {
	for (i = 0; i < 200000; i++)
		print "a", i, "8K\nf", i
}' >/tmp/long
script -q -c "hybridctl replay 0 /tmp/long" /tmp/typescript >/dev/null
grep -q 'replay: \[=*\.*\] *[0-9]*%  [0-9]* operations, [0-9]* s' /tmp/typescript
is "... with a bar where the end is known" $? 0

# top

hybridctl alloc 0 128M >/dev/null
hybridctl top --batch --delay 0.5 --iterations 3 0 >/tmp/top &
for _ in 1 2 3; do
	hybridctl replay 0 /tmp/pairs >/dev/null
	hybridctl free 0 1:4K 2>/dev/null
done
wait $!
is "top: a heading and a line a round" "$(cut -c 1-10 /tmp/top)" "NODE      
/dev/hybri
/dev/hybri
/dev/hybri"
is "top: columns are below each other" "$(awk '{ print length($0) }' /tmp/top | uniq | grep -c .)" 1
# in a moment in which nobody is at work
hybridctl drain 0 >/dev/null
hybridctl top --batch --delay 0.1 --iterations 1 0 >/tmp/quiet
is "top: how full" "$(awk 'NR > 1 { print $2, $3, $4, $NF }' /tmp/quiet)" "#####..... 50.0 1 128M"
is "top: rates, at least once" "$(awk 'NR > 1 && $5 > 0 && $6 > 0 && $7 > 50 { n++ } END { print (n > 0) }' /tmp/top)" 1
is "top: nearly as many frees as allocations" "$(awk 'NR > 1 && $5 > 0 && ($5 - $6 > 3 || $6 - $5 > 3) { print }' /tmp/top)" ""
printf 'a 1 300K\nf 1\na 1 5M\nf 1\n' >/tmp/uncommon
hybridctl top --iterations 1 -d 1 -o ALLOCS,FREES -n -r 0 >/tmp/out &
while kill -0 $! 2>/dev/null; do
	hybridctl replay 0 /tmp/uncommon >/dev/null
done
wait $!
is "top: sizes that have no pool" "$(awk '$1 > 3 && $1 - $2 < 3 && $2 - $1 < 3 { print "counted" }' /tmp/out)" counted
hybridctl top --iterations 1 -d 1 -o REFUSED --raw 0 >/tmp/out &
while kill -0 $! 2>/dev/null; do
	hybridctl free 0 1:4K 1:4K 1:4K 1:4K 1:4K 1:4K 2>/dev/null
done
wait $!
is "top: refused frees" "$(awk 'NR == 2 { print ($1 > 3) }' /tmp/out)" 1
is "top of all instances" "$(hybridctl top --iterations 1 -d 0.1 --noheadings --raw -o NODE,DISK)" \
	"/dev/hybrid_alloc0 ${DISK#/dev/}"
hybridctl top --json --bytes --iterations 2 -d 0.1 >/tmp/json
is "top --json" "$(awk -f ./test-json.awk /tmp/json | grep 'used%\|live=\|hit\|largest')" "top[0].used%=50.0
top[0].live=1
top[0].hit%=null
top[0].largest=$((128 * M))
top[1].used%=50.0
top[1].live=1
top[1].hit%=null
top[1].largest=$((128 * M))"
try_not "top --json without an end" "with --iterations" hybridctl top --json
try_not "top of what is not there" "(ENOENT). \`hybridctl list\`" hybridctl top --iterations 1 7
script -q -c "TERM=xterm hybridctl top --iterations 2 -d 0.2" /tmp/typescript >/dev/null
is "top on a terminal: each round from the top" "$(grep -c "$esc\[H$esc\[Jhybridctl top - " /tmp/typescript)" 2
is "... the cursor comes back" "$(grep -c "$esc\[?25h" /tmp/typescript)" 1
is "top on a terminal ends with q" \
	"$({ sleep 1; echo q; } | timeout 20 script -q -c "hybridctl top -d 100" /tmp/typescript >/dev/null; echo $?)" 0
hybridctl top --batch -d 60 >/tmp/out &
sleep 2
kill $!
wait $!
is "top ends with a signal" $? 0

# watch; of 256 MiB one half is in use

is "watch: low already" "$(hybridctl watch --below 1G --raw 0; echo $?)" "NODE RESULT BELOW FREE
/dev/hybrid_alloc0 low 1G 128M
0"
is "watch --timeout 0: just the threshold is free" \
	"$(hybridctl watch --below 128M --timeout 0 -n -r -b 0; echo $?)" \
	"/dev/hybrid_alloc0 timeout $((128 * M)) $((128 * M))
3"
is "... a byte more" "$(hybridctl watch --below $((128 * M + 1)) --timeout 0 -n -o RESULT 0; echo $?)" "low
0"
before=$(date +%s)
is "watch --timeout: status and JSON" \
	"$(hybridctl watch --below 4K -t 1.5 --json 0 | awk -f ./test-json.awk; hybridctl watch --below 4K -t 0 0 >/dev/null; echo $?)" \
	"watch[0].node=\"/dev/hybrid_alloc0\"
watch[0].result=\"timeout\"
watch[0].below=4096
watch[0].free=$((128 * M))
3"
is "... and it has waited" $(($(date +%s) - before >= 1)) 1
hybridctl watch --below 100M -n -r 0 >/tmp/out &
sleep 1
kill -0 $!
is "watch waits while there is enough" "$? $(cat /tmp/out)" "0 "
small=$(hybridctl alloc -n -o EXTENT 0 16M)
sleep 1
kill -0 $!
is "... also when it becomes less" "$? $(cat /tmp/out)" "0 "
large=$(hybridctl alloc -n -o EXTENT 0 32M)
wait $!
is "... until it is too little" "$? $(cat /tmp/out)" "0 /dev/hybrid_alloc0 low 100M 80M"
hybridctl free 0 "$small" "$large"
hybridctl watch --below 1M 0 >/tmp/out 2>/tmp/err &
sleep 1
try_not "watch keeps the instance from being detached" "(EBUSY). Free the extents" hybridctl detach 0
hybridctl alloc 0 1M >/dev/null
try "but not by force" hybridctl detach --force 0
wait $!
is "which ends it: a failure" "$? $(cat /tmp/err)" \
	"1 hybridctl: cannot watch /dev/hybrid_alloc0: the instance was detached, or its block device went away (ENODEV). If \`hybridctl list\` still shows it, \`hybridctl detach --force /dev/hybrid_alloc0\` removes what is left of it."
try_not "watch of what is not there" "(ENOENT). \`hybridctl list\`" hybridctl watch --below 1G 0
try "attach" hybridctl attach --fresh "$DISK"
hybridctl watch --below 1M 0 >/tmp/out &
sleep 1
kill $!
wait $! 2>/dev/null
is "a signal ends watch, which says nothing then" "$? $(cat /tmp/out)" "143 "

try "detach" hybridctl detach --force 0
try "rmmod" rmmod hybrid_alloc
umount /dev/pts
done_testing
