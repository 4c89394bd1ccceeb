#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Every command and option of hybridctl on the real module, on one disk of
# 256 MiB: $DISK, or the first of $DISKS. TAP on stdout. It starts hybridctl some
# three hundred times, which a debug kernel takes minutes for: test-disks.sh does
# what is of use there.

# shellcheck source-path=SCRIPTDIR source=../tests/vm/tap.sh
. ./tap.sh
# shellcheck source-path=SCRIPTDIR source=signatures.sh
. ./signatures.sh

: "${DISK:=${DISKS%% *}}"
K=1024
M=$((1024 * K))

# json COMMAND...: the output of hybridctl --json, one value a line. Fails if that is not JSON.
json()
{
	hybridctl "$@" --json | awk -f ./test-json.awk
}

# json_is NAME EXPECTED COMMAND...: the expected lines are among the values
json_is()
{
	name=$1
	expected=$2
	shift 2
	if ! values=$(json "$@"); then
		fail "$name" "$values"
		return
	fi
	missing=$(printf '%s\n' "$expected" | while read -r line; do
		printf '%s\n' "$values" | grep -qxF "$line" || echo "missing: $line"
	done)
	if [ -z "$missing" ]; then
		pass "$name"
	else
		fail "$name" "$missing
$values"
	fi
}

# one COLUMN: that figure of stat
one()
{
	hybridctl stat --noheadings --raw --bytes --output "$1" 0
}

# exits NAME STATUS COMMAND...: its exit status
exits()
{
	name=$1
	expected=$2
	shift 2
	"$@" >/dev/null 2>&1
	is "$name" $? "$expected"
}

# Without the module

try_not "without the module: it is named" \
	"the module is not loaded (ENOENT). Load it with \`modprobe hybrid_alloc\`" hybridctl list
try "insmod" insmod /lib/hybrid-alloc.ko

# attach, list, info, detach

node=/dev/hybrid_alloc0
is "no instance: no output" "$(hybridctl list)" ""
json_is "no instance: JSON" "instances=[]" list
try_not "an instance that is not there" "there is no such instance (ENOENT). \`hybridctl list\`" \
	hybridctl stat 0
try_not "detaching it" "there is no such instance (ENODEV). \`hybridctl list\`" hybridctl detach 7
is "attach --fresh prints the node and nothing else" "$(hybridctl attach --fresh "$DISK" 2>&1)" \
	/dev/hybrid_alloc0
try_not "a disk that is attached" \
	"attached already, or held by another program (EBUSY). \`lsblk DEVICE\`" \
	hybridctl attach --fresh "$DISK"
is "list" "$(hybridctl list | tr -s ' ' | sed 's/ $//')" "NODE DISK STATE RANGE_START RANGE_LEN USER
/dev/hybrid_alloc0 ${DISK#/dev/} ready 0B 256M"
is "list --bytes --noheadings --raw, without a user in the kernel" "$(hybridctl list -b -n -r)" \
	"/dev/hybrid_alloc0 ${DISK#/dev/} ready 0 $((256 * M)) "
is "list --output" "$(hybridctl list --output disk,ID --raw)" "DISK ID
${DISK#/dev/} 0"
is "list --output with a plus" "$(hybridctl list -n -r -o +MIN_BLOCK)" \
	"/dev/hybrid_alloc0 ${DISK#/dev/} ready 0B 256M  4K"
json_is "list --json" "instances[0].node=\"/dev/hybrid_alloc0\"
instances[0].id=0
instances[0].disk=\"${DISK#/dev/}\"
instances[0].state=\"ready\"
instances[0].range_start=0
instances[0].range_len=$((256 * M))" list
for name in 0 hybrid_alloc0 /dev/hybrid_alloc0 /dev/../dev/hybrid_alloc0; do
	is "info $name" "$(hybridctl info --noheadings --raw --output ID $name)" 0
done
is "info, one value a line" "$(hybridctl info 0 | grep -c .)" 16
is "info --noheadings" "$(hybridctl info --noheadings 0 | grep -c .)" 15
is "info --bytes" "$(hybridctl info --bytes 0 | awk '$1 == "RANGE_LEN" { print $2 }')" $((256 * M))
is "info --raw" "$(hybridctl info --raw 0 | grep -c .)" 2
json_is "info --json, with the defaults" "instances[0].node=\"/dev/hybrid_alloc0\"
instances[0].min_block=$((4 * K))
instances[0].max_block=0
instances[0].slab_max=$((512 * K))
instances[0].buddy_start=$M" info 0
case $(hybridctl info -n -o UUID 0) in
????????-????-4???-[89ab]???-????????????) pass "the UUID looks like one" ;;
*) fail "the UUID looks like one" "$(hybridctl info -n -o UUID 0)" ;;
esac

# stat

json_is "stat --json of a fresh disk" "stat[0].node=\"/dev/hybrid_alloc0\"
stat[0].capacity=$((256 * M))
stat[0].free=$((256 * M))
stat[0].charged=0
stat[0].cached=0
stat[0].nr_live=0
stat[0].refused_not_allocated=0" stat 0
case $(json stat 0) in
*free_run*) fail "no free runs without --runs" ;;
*) pass "no free runs without --runs" ;;
esac
json_is "stat --runs --json" "stat[0].nr_free_runs=1
stat[0].largest_free_run=$((256 * M))" stat --runs 0
is "free runs that are asked for by name" "$(one LARGEST_FREE_RUN)" $((256 * M))
is "stat, for people" "$(hybridctl stat 0 | grep '^FREE ' | tr -s ' ')" \
	"FREE 256M free, in slabs and buddy blocks"
is "stat --bytes" "$(hybridctl stat --bytes 0 | grep '^FREE ' | tr -s ' ')" \
	"FREE $((256 * M)) free, in slabs and buddy blocks"
is "stat of two nodes" "$(hybridctl stat -n -o NODE 0 hybrid_alloc0 | grep -c '^/dev/hybrid_alloc0$')" 2

# alloc and free

hybridctl alloc 0 1M 64K 4K >/tmp/out
is "alloc: one line per extent" "$(grep -c . /tmp/out)" 4
is "alloc: heading" "$(head -n 1 /tmp/out | tr -s ' ' | sed 's/^ //')" "START LEN SIZE"
is "alloc: lengths" "$(awk 'NR > 1 { print $2, $3 }' /tmp/out)" "$M 1M
$((64 * K)) 64K
$((4 * K)) 4K"
is "stat counts them" "$(one CHARGED,NR_LIVE)" "$((M + 68 * K)) 3"
is "the accounts balance" "$(($(one CHARGED) + $(one CACHED) + $(one FREE) + $(one RETIRED) + $(one UNUSABLE)))" \
	"$(one CAPACITY)"
# shellcheck disable=SC2046 # one word per extent
try "free of START:LEN, all at once" \
	hybridctl free 0 $(awk 'NR > 1 { print $1 ":" $2 }' /tmp/out)
is "nothing is live" "$(one CHARGED,NR_LIVE)" "0 0"

# Sizes as people write them, and what they are
while read -r size len; do
	extent=$(hybridctl alloc --noheadings --output EXTENT 0 "$size") || extent=failed
	is "alloc $size" "${extent#*:}" "$len"
	try "free with START,LEN and a size that rounds up to it ($size)" \
		hybridctl free 0 "${extent%:*},$size"
done <<SIZES
1 $((4 * K))
4096 4096
4097 8192
4096B 4096
4K $((4 * K))
4k $((4 * K))
4KiB $((4 * K))
8kB $((8 * K))
5kB $((8 * K))
0.5M $((512 * K))
1M $M
1MiB $M
1.5M $((1536 * K))
1.25MiB $((1280 * K))
3M $((3 * M))
7340032 $((7 * M))
0.0625G $((64 * M))
128M $((128 * M))
SIZES

is "alloc --count" "$(hybridctl alloc --count 3 -n -r -o LEN 0 4K 8K | tr '\n' ' ')" \
	"4096 4096 4096 8192 8192 8192 "
is "six live extents" "$(one NR_LIVE)" 6
json alloc --align 1M 0 4K 4K >/tmp/out
is "alloc --json has numbers for start and len and nothing else" \
	"$(sed 's/=[0-9]*$/=N/' /tmp/out)" "extents[0].start=N
extents[0].len=N
extents[1].start=N
extents[1].len=N"
awk -F= '/start/ && $2 % 1048576 { exit 1 }' /tmp/out
is "--align is obeyed" $? 0
is "alloc --bytes" "$(hybridctl alloc --bytes -n -o SIZE 0 64K)" $((64 * K))

is "--goal is met" "$(hybridctl alloc --goal 100M -n -r -o START 0 68K)" $((100 * M))
try_not "more than a free run" "(ENOSPC)" hybridctl alloc 0 200M
hybridctl alloc --pieces 2 -n -o EXTENT 0 200M >/tmp/out
is "--pieces: as two extents" "$(awk -F: '{ sum += $2 } END { print NR, sum }' /tmp/out)" "2 $((200 * M))"
try "free both" hybridctl free --file /tmp/out 0
try_not "--pieces: not in one" "(ENOSPC)" hybridctl alloc --pieces 1 0 200M
before=$(one NR_LIVE)
hybridctl alloc --bound --count 3 -n -o EXTENT 0 64K >/tmp/out 2>/tmp/err &
while ! grep -q bound /tmp/err; do
	sleep 0.1
done
is "--bound: printed, and bound" "$(grep -c . /tmp/out) $(one NR_BOUND,NR_LIVE)" "3 3 $((before + 3))"
# shellcheck disable=SC2046 # a word per extent
try_not "... so that no other program can free them" "belongs to another open file" \
	hybridctl free 0 $(cat /tmp/out)
is "... which counts" "$(one REFUSED_FOREIGN)" 3
kill $!
wait $!
is "... and freed when it ends" "$? $(one NR_BOUND,NR_LIVE)" "0 0 $before"
free=$(hybridctl stat --bytes -n -r -o FREE,CACHED 0 | awk '{ print $1 + $2 }')
try_not "--reserve of more than there is: nothing is allocated" "(ENOSPC)" \
	hybridctl alloc --reserve --count 2 0 $((free / 2 + 4096))
is "... which is a refusal, and leaves nothing" "$(one NR_LIVE,RESERVED,NR_RESERVATIONS)" "$before 0 0"
hybridctl alloc --reserve --pieces 8 --count 2 -n -o EXTENT 0 "$((free / 2 & ~4095))" >/tmp/out
is "--reserve: all of it" "$? $(awk -F: '{ sum += $2 } END { print sum }' /tmp/out)" "0 $((free / 8192 * 8192))"
try "free it" hybridctl free --file /tmp/out 0
try_not "--reserve with --bound" "exclude each other" hybridctl alloc --reserve --bound 0 64K
json stat --runs 0 | sed -n 's/^stat\[0\]\.\([a-z_]*\)=.*/\1/p' >/tmp/columns
for f in /sys/class/misc/hybrid_alloc0/stat/* /sys/class/misc/hybrid_alloc0/refused_frees/*; do
	name=${f##*/}
	[ "${f%/refused_frees/*}" = "$f" ] || name=refused_$name
	grep -qx "$name" /tmp/columns || echo "$name"
done >/tmp/missing
is "stat has all counters of sysfs" "$(cat /tmp/missing)" ""
is "info of what has no limit" "$(hybridctl info 0 | awk '$1 == "MAX_BLOCK" { print $2 }')" none
is "... in bytes" "$(hybridctl info -b 0 | awk '$1 == "MAX_BLOCK" { print $2 }')" 0
is "the disk stands for its node" "$(hybridctl stat -n -r -b -o CAPACITY "$DISK")" $((256 * M))

# What remains is in nobody's hands: a forced detach forgets it, a plain one refuses
try_not "detach with live extents" "(EBUSY). Free the extents (\`hybridctl stat /dev/hybrid_alloc0\`" \
	hybridctl detach 0
hybridctl stat -n -r -o NR_LIVE,CHARGED 0 >/tmp/out
read -r live size </tmp/out
is "detach --force says what was forgotten" "$(hybridctl detach --force hybrid_alloc0)" \
	"${DISK#/dev/} is detached from $node by force, and forgotten: $live live extents of $size"
try "attach and give back at once" hybridctl attach --fresh "$DISK"
is "detach by another path says what it did" "$(hybridctl detach /dev/../dev/hybrid_alloc0)" \
	"${DISK#/dev/} is detached from /dev/../dev/hybrid_alloc0"
try "attach with nothing live" hybridctl attach --fresh "$DISK"
is "detach by the disk" "$(hybridctl detach "$DISK")" "${DISK#/dev/} is detached from $node"
try "attach" hybridctl attach --fresh "$DISK"
is "detach --force had nothing to forget" "$(hybridctl detach -f 0)" \
	"${DISK#/dev/} is detached from $node by force"
try "attach for what follows" hybridctl attach --fresh "$DISK"

# All the errors of alloc

try_not "a size of 0" "cannot allocate 0 bytes: the size is 0 or less than --min, or the alignment is neither a power of two nor a multiple of the block size (EINVAL)" \
	hybridctl alloc 0 0
try_not "an alignment of 3" "(EINVAL). Give a size of at least 1 and an alignment such as 64K" \
	hybridctl alloc --align 3 0 4K
try_not "more than there is" "cannot allocate 1 GiB: it is more than the instance manages" \
	hybridctl alloc 0 1G
try_not "more than any disk has" "cannot allocate 15 EiB: it is more" hybridctl alloc 0 15E
try_not "... and where the limit is shown" "\`hybridctl info /dev/hybrid_alloc0\`" \
	hybridctl alloc 0 1G
hybridctl alloc -c 100 -n -o EXTENT 0 64M >/tmp/out 2>/tmp/err
is "a disk that gets full: status" $? 1
is "... what was obtained is printed" "$(cut -d: -f2 /tmp/out | tr '\n' ' ')" \
	"$((64 * M)) $((64 * M)) $((64 * M)) $((64 * M)) "
is "... what went wrong, what to do, and how far it came" "$(cat /tmp/err)" \
	"hybridctl: cannot allocate 64 MiB: no free run holds it (ENOSPC). Free extents, or ask for less or a smaller alignment; \`hybridctl stat --runs --bytes /dev/hybrid_alloc0\` shows the largest free run.
hybridctl: 4 of 100 extents were allocated and listed; \`hybridctl free\` frees them"
try_not "a full disk, aligned" "cannot allocate 4 KiB at a multiple of 1 MiB: no free run" \
	hybridctl alloc -a 1M 0 4K
exits "a full disk: status" 1 hybridctl alloc 0 4K
json_is "... JSON" "extents=[]" alloc 0 4K

# free from standard input, and all its refusals

{
	echo "# a comment, and a blank line"
	echo
	sed -n 1p /tmp/out
	sed -n 2p /tmp/out | tr : ,
	sed -n 3p /tmp/out | tr : ' '
	sed -n 4p /tmp/out | sed 's/:/	/; s/$/  # the last/'
} >/tmp/in
try "free from standard input in all its forms" sh -c 'hybridctl free 0 - </tmp/in'
is "all is free" "$(one CHARGED)" 0

extent=$(hybridctl alloc -n -o EXTENT 0 64K)
start=${extent%:*}
inside=$((start + 4 * K)):60K
# One that is fine between those that are not: it is freed all the same
hybridctl free 0 "$inside" "$start:4K" 4097:4K "$start:0" 256M:4K 1M:17179869183G 128M:4K >/tmp/out 2>/tmp/err
is "refused frees: status" $? 1
is "refused frees: reasons" "$(sed 's/.*: \(.*(E[A-Z]*)\)\..*/\1/' /tmp/err)" \
"it is inside a live extent, but is not its start (EINVAL)
an extent starts there, but has another length (EINVAL)
the start is not a multiple of the block size (EINVAL)
the length is 0 (EINVAL)
it is not inside the range that the instance manages (ERANGE)
it is not inside the range that the instance manages (ERANGE)
nothing is allocated there; it never was, or it has been freed already (ENOENT)"
is "refused frees: each says what to do" "$(grep -c '(E[A-Z]*)\. [A-Z`].*\.$' /tmp/err)" 7
is "refused frees change nothing" "$(one CHARGED,NR_LIVE)" "$((64 * K)) 1"
json_is "refused frees are counted" "stat[0].refused_wrong_start=1
stat[0].refused_wrong_length=1
stat[0].refused_unaligned=1
stat[0].refused_zero_length=1
stat[0].refused_out_of_range=2
stat[0].refused_not_allocated=1" stat 0
hybridctl free --json 0 "$inside" "$extent" "$extent" 2>/dev/null | awk -f ./test-json.awk >/tmp/out
is "free --json" "$(grep -v error /tmp/out)" "extents[0].start=${inside%:*}
extents[0].len=$((60 * K))
extents[0].result=\"EINVAL\"
extents[1].start=$start
extents[1].len=$((64 * K))
extents[1].result=\"ok\"
extents[2].start=$start
extents[2].len=$((64 * K))
extents[2].result=\"ENOENT\""
is "free --json: no error is null" "$(grep -c '^extents.1..error=null$' /tmp/out)" 1
is "free --json: an error is a sentence" "$(grep -c '^extents.[02]..error="cannot free .*(E[A-Z]*)' /tmp/out)" 2
hybridctl alloc -n -o EXTENT 0 4K >/tmp/in
is "free --raw --output" "$(hybridctl free --raw -n -o RESULT 0 - </tmp/in)" ok
printf 'x:1\n4K\n' | hybridctl free 0 - 2>/tmp/err
is "junk on standard input: status" $? 1
is "... by line" "$(cut -d: -f2 /tmp/err)" " standard input, line 1
 standard input, line 2"

# Parts of extents

before=$(one NR_LIVE,CHARGED)
try "an extent for what follows" hybridctl claim 0 64M:64K
is "free --part of its tail says nothing" "$(hybridctl free --part 0 $((64 * M + 60 * K)):4K 2>&1)" ""
is "free -p out of its middle" "$(hybridctl free -p --raw -n -o RESULT 0 $((64 * M + 16 * K)),16K)" ok
is "two extents are left" "$(hybridctl map --list -n -r -b -o START,LEN,STATE 0 | grep live | grep "^67[0-9]* ")" \
	"$((64 * M)) $((16 * K)) live
$((64 * M + 32 * K)) $((28 * K)) live"
try_not "a part beyond the extent" "cannot free $((64 * M)):20480: it goes beyond the extent that it begins in, and is no row of extents (EINVAL). \`hybridctl map --list $node\` shows the extents." \
	hybridctl free --part 0 64M:20K
try_not "a part of a part of a block" "its start or its length is not a multiple of the block size (EINVAL)" \
	hybridctl free --part 0 64M:1K
try_not "a part of what is free" "nothing is allocated there" hybridctl free --part 0 $((64 * M + 60 * K)):4K
is "split says nothing" "$(hybridctl split 0 64M:16K:$((64 * M + 4 * K)) 2>&1)" ""
json_is "split --json" "extents[0].start=$((64 * M + 4 * K))
extents[0].len=$((12 * K))
extents[0].at=$((64 * M + 8 * K))
extents[0].result=\"ok\"
extents[0].error=null
extents[1].result=\"EINVAL\"" split 0 $((64 * M + 4 * K)):12K:$((64 * M + 8 * K)) 64M:4K:64M
echo "$((64 * M + 32 * K)) 28K $((64 * M + 36 * K)) # three numbers a line" >/tmp/in
is "split --file" "$(hybridctl split --file /tmp/in --raw -n -b -o START,LEN,AT,RESULT 0)" \
	"$((64 * M + 32 * K)) $((28 * K)) $((64 * M + 36 * K)) ok"
try_not "a split where the extent begins" "cannot split $((64 * M)):4096 at $((64 * M)): the start or AT is not a multiple of the block size, or AT is not inside the extent (EINVAL)" \
	hybridctl split 0 64M:4K:64M
try_not "a split of another length" "an extent starts there, but has another length (EINVAL)" \
	hybridctl split 0 64M:8K:$((64 * M + 4 * K))
is "extend prints the extent as it is then" "$(hybridctl extend 0 $((64 * M + 36 * K)):24K:4K | tr -s ' ' | sed 's/^ //; s/ $//')" \
	"START LEN SIZE RESULT
$((64 * M + 36 * K)) $((28 * K)) 28K ok"
try_not "extend into what is live" "cannot extend $((64 * M)):4096 by 4096: less than that is free behind it (ENOSPC)" \
	hybridctl extend 0 64M:4K:4K
is "extend --least, as far as it goes" "$(hybridctl extend --least 1 -n -o EXTENT 0 $((64 * M + 8 * K)):8K:1M)" \
	"$((64 * M + 8 * K)):$((24 * K))"
is "extend -l: more than there is" "$(hybridctl extend -l 8K -n -r -o LEN,RESULT 0 $((64 * M + 8 * K)):24K:1M 2>/dev/null)" \
	"$((24 * K)) ENOSPC"
try_not "extend by nothing" "MORE is 0, or less than --least (EINVAL)" hybridctl extend 0 64M:4K:0
try_not "extend beyond the disk" "it would be longer than what the instance manages" hybridctl extend 0 64M:4K:1T
json_is "extend --json" "extents[0].start=$((64 * M + 36 * K))
extents[0].len=$((32 * K))
extents[0].result=\"ok\"
extents[0].error=null
extents[1].result=\"ENOENT\"" extend 0 $((64 * M + 36 * K)):28K:4K 128M:4K:4K
echo "$((64 * M + 36 * K)):32K:4K" >/tmp/in
is "extend --file" "$(hybridctl extend --file /tmp/in --raw -n -b -o START,LEN,SIZE 0)" \
	"$((64 * M + 36 * K)) $((36 * K)) $((36 * K))"
try "free --part of several extents in a row" hybridctl free --part 0 64M:72K
is "nothing of all that is left" "$(one NR_LIVE,CHARGED)" "$before"

hybridctl alloc --bound --count 2 -n -o EXTENT 0 64K >/tmp/out 2>/tmp/err &
while ! grep -q bound /tmp/err; do
	sleep 0.1
done
extent=$(head -n 1 /tmp/out)
try_not "keep without the program" "cannot keep $extent: it belongs to another open file (EPERM). Name the program that allocated it with --pid." \
	hybridctl keep 0 "$extent"
try_not "keep: no such process" "there is no such process (ESRCH)" hybridctl keep --pid 2147483647 0 "$extent"
try_not "keep: a process that does not use the instance" "it has not opened the instance" \
	hybridctl keep --pid $$ 0 "$extent"
try_not "split of what is bound" "Only the program that allocated it can split it." \
	hybridctl split 0 "$extent:$((${extent%:*} + 4 * K))"
try_not "extend of what is bound" "Only the program that allocated it can extend it." \
	hybridctl extend 0 "$extent:4K"
try_not "free --part of what is bound" "Only the program that allocated it can free parts of it." \
	hybridctl free --part 0 "${extent%:*}:4K"
head -n 1 /tmp/out >/tmp/in
json_is "keep --json" "extents[0].start=${extent%:*}
extents[0].len=$((64 * K))
extents[0].result=\"ok\"
extents[0].error=null" keep --pid $! 0 --file /tmp/in
is "keep -p a second time" "$(hybridctl keep -p $! --raw -n -b -o START,LEN,RESULT 0 "$extent")" \
	"${extent%:*} $((64 * K)) ok"
kill $!
wait $!
is "what was kept stays" "$(hybridctl map --list -n -r -b -o START,LEN,STATE 0 | grep "^${extent%:*} ")" \
	"${extent%:*} $((64 * K)) live"
try "and can be freed by others" hybridctl free 0 "$extent"
is "the other one is freed" "$(one NR_LIVE,NR_BOUND)" "${before% *} 0"

# drain

hybridctl free 0 "$(hybridctl alloc -n -o EXTENT 0 16K)"
[ "$(one CACHED)" -gt 0 ]
is "a pool holds something" $? 0
is "drain says nothing" "$(hybridctl drain 0 2>&1)" ""
is "nothing is cached after it" "$(one CACHED,NR_FREE_RUNS)" "0 1"

# Configuration at attach

try "detach" hybridctl detach 0
try "attach with all options" hybridctl attach --fresh --range 1M,64M --min-block 8K \
	--max-block 16M --slab-max 512K --buddy-start 2M "$DISK"
json_is "... as info shows them" "instances[0].range_start=$M
instances[0].range_len=$((64 * M))
instances[0].min_block=$((8 * K))
instances[0].max_block=$((16 * M))
instances[0].slab_max=$((512 * K))
instances[0].buddy_start=$((2 * M))" info 0
is "... MIN_BLOCK rounds" "$(hybridctl alloc -n -o LEN 0 1)" $((8 * K))
try_not "... more than MAX_BLOCK" "(EFBIG). \`hybridctl info /dev/hybrid_alloc0\` shows the limits" \
	hybridctl alloc 0 17M
try "detach --force again" hybridctl detach -f 0
is "a range without a length" \
	"$(hybridctl attach --fresh --range 16M -n -r -b -o RANGE_START,RANGE_LEN "$DISK")" \
	"$((16 * M)) $((240 * M))"
try "detach" hybridctl detach 0
while read -r len human; do
	is "a range of $len, for people" \
		"$(hybridctl attach --fresh --range "0,$len" -n -r -o RANGE_LEN "$DISK")" "$human"
	try "detach" hybridctl detach 0
done <<RANGES
1572864 1.5M
1052672 1M
$((256 * M - 4 * K)) 256M
$((100 * M + 52 * K)) 100.1M
$((100 * M + 48 * K)) 100M
RANGES
try_not "a range beyond the disk" "the range is not inside the device (ERANGE). \`blockdev --getsize64" \
	hybridctl attach --fresh --range 128M,129M "$DISK"
try_not "a range that starts beyond the disk" "(ERANGE)" hybridctl attach --fresh --range 1G "$DISK"
try_not "a smallest block of 5000 bytes" "(EINVAL). The last line of \`dmesg\` says which" \
	hybridctl attach --fresh --min-block 5000 "$DISK"
try_not "a buddy start of 8192 smallest blocks" "(EINVAL). The last line" \
	hybridctl attach --fresh --buddy-start 32M "$DISK"
try "one of 4096" hybridctl attach --fresh --buddy-start 16M "$DISK"
try "detach" hybridctl detach 0
json_is "attach --json" "instances[0].node=\"/dev/hybrid_alloc0\"
instances[0].state=\"ready\"" attach --fresh "$DISK"
try "detach" hybridctl detach 0

# Rebuild: claim and seal

is "attach without --fresh prints the node" "$(hybridctl attach "$DISK" 2>/tmp/err)" /dev/hybrid_alloc0
is "... and says what has to follow" "$(cat /tmp/err)" \
	"hybridctl: $DISK is attached for a rebuild: claim the extents that are in use (\`hybridctl claim 0 --file CATALOGUE\`), then \`hybridctl seal 0\`; alloc fails until then. For an empty disk there is --fresh."
is "its state is rebuild" "$(hybridctl list -n -o STATE)" rebuild
try_not "alloc before seal" "not sealed yet (EAGAIN). Claim the extents that are in use" \
	hybridctl alloc 0 4K
try "claim" hybridctl claim 0 0:4K 1M:3M
try "claim from standard input" sh -c 'echo "8M 5M" | hybridctl claim 0 -'
try_not "claim of what is taken" "cannot claim 2097152:4096: the range is not free, in part or as a whole (EEXIST)" \
	hybridctl claim 0 2M:4K
try_not "claim of what is partly taken" "(EEXIST). Two entries of the catalogue overlap" \
	hybridctl claim 0 6M:4M
try_not "claim of nothing" "(EINVAL). \`hybridctl info /dev/hybrid_alloc0\`" hybridctl claim 0 64M:0
try_not "claim of a bad start" "(EINVAL)" hybridctl claim 0 64M:1 1025:4K
try_not "claim beyond the disk" "(ERANGE). \`hybridctl info /dev/hybrid_alloc0\`" \
	hybridctl claim 0 255M:2M
hybridctl claim --json 0 128M:4K 128M:4K 2>/dev/null | awk -f ./test-json.awk >/tmp/out
is "claim --json" "$(grep result /tmp/out)" "extents[0].result=\"ok\"
extents[1].result=\"EEXIST\""
is "what was claimed is live" "$(one CHARGED,NR_LIVE)" "$((8 * M + 12 * K)) 5"
is "seal says what it did" "$(hybridctl seal 0 2>&1)" \
	"$node is sealed: 5 live extents of 8M, 248M free"
is "seal once more" "$(hybridctl seal 0)" "$node was ready already"
is "its state is ready" "$(hybridctl list -n -o STATE)" ready
is "alloc works" "$(hybridctl alloc -n -o LEN 0 200M 2>&1 | head -c 8)" "hybridct"
first=$(hybridctl alloc -n -o START 0 100M)
is "alloc does not touch what was claimed" \
	"$([ "$first" -ge $((13 * M)) ] && { [ "$first" -ge $((128 * M + 4 * K)) ] || [ "$first" -le $((28 * M)) ]; }; echo $?)" 0
try "free of the claimed extents" hybridctl free 0 0:4K 1M:3M 8M:5M 128M:4K 64M:1 "$first:100M"
try "detach" hybridctl detach 0

try "attach for a rebuild, once more" hybridctl attach "$DISK"
try_not "seal with nothing claimed" \
	"refusing to seal $node: nothing was claimed, so all space would be free, that of data on the disk too. Claim the extents that are in use (\`hybridctl claim --file CATALOGUE $node\`), or give --empty if there are none." \
	hybridctl seal 0
try_not "... leaves it sealed" "(EAGAIN)" hybridctl alloc 0 4K
is "seal --empty" "$(hybridctl seal --empty 0)" "$node is sealed: 0 live extents of 0B, 256M free"
try "detach" hybridctl detach 0

# Data on the disk

for kind in $signatures; do
	write_signature "$kind" "$DISK"
	try_not "$kind on the disk: named, with the remedies" \
		"there is data on it ($(signature_name "$kind")). If it is no longer needed, erase its signature with \`wipefs --all $DISK\`, or attach with --fresh --force." \
		hybridctl attach --fresh "$DISK"
	is "$kind: nothing was attached" "$(hybridctl list)" ""
	# overwrites: the signature that was written above
	try "$kind: --force" hybridctl attach --fresh --force "$DISK"
	try "$kind: detach" hybridctl detach 0
	dd if=/dev/zero of="$DISK" bs=64k count=1 2>/dev/null
done
sync

# A range that is not blank, but has nothing that libblkid knows

printf x | dd of="$DISK" bs=1 seek=$((M - 1)) conv=notrunc 2>/dev/null
sync
for range in 0 0,$M; do
	try_not "data in the first MiB, range $range" \
		"cannot attach $DISK: the range is not blank (EEXIST). The last line of \`dmesg\` says what is there." \
		hybridctl attach --fresh --range "$range" "$DISK"
	is "... and it does" "$(dmesg | tail -n 1 | grep -c "data at byte $((M - 1)):")" 1
done
is "nothing was attached" "$(hybridctl list)" ""
try "... a range after it" hybridctl attach --fresh --range 1M "$DISK"
try "detach" hybridctl detach 0
# overwrites: the byte that was written above
try "--force" hybridctl attach --fresh --force "$DISK"
is "detach --wipe says what it did" "$(hybridctl detach --wipe 0)" \
	"${DISK#/dev/} is detached from $node; the first and the last MiB of its range are zero"
try "after detach --wipe the disk needs no force" hybridctl attach --fresh "$DISK"
try "detach" hybridctl detach 0

# --wipe clears two MiB of the range, and nothing else
tr '\0' x </dev/zero | dd of="$DISK" bs=1M count=16 conv=notrunc iflag=fullblock 2>/dev/null
# overwrites: what was written in the line above
try "attach a range" hybridctl attach --fresh --force --range 4M,8M "$DISK"
hybridctl alloc -n -o EXTENT 0 64K >/tmp/in
try_not "detach --wipe with a live extent" "(EBUSY)" hybridctl detach --wipe 0
is "... wipes nothing" "$(dd if="$DISK" bs=1M count=16 2>/dev/null | tr -d x | wc -c)" 0
is "detach --force --wipe" "$(hybridctl detach --force --wipe 0)" \
	"${DISK#/dev/} is detached from $node by force, and forgotten: 1 live extent of 64K; the first and the last MiB of its range are zero"
is "what is zero by MiB" "$(for i in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
	dd if="$DISK" bs=1M skip=$i count=1 2>/dev/null | tr -d '\0' | wc -c; done | tr '\n' ' ')" \
	"$M $M $M $M 0 $M $M $M $M $M $M 0 $M $M $M $M "
# overwrites: the same
try "attach a small range" hybridctl attach --fresh --force --range 1M,1M "$DISK"
try "detach --wipe" hybridctl detach --wipe 0
is "... stays inside it" "$(dd if="$DISK" bs=1M count=4 2>/dev/null | tr -d '\0' | wc -c)" $((3 * M))
dd if=/dev/zero of="$DISK" bs=1M count=16 conv=notrunc 2>/dev/null

# What may be on a disk that is attached for a rebuild is not known
write_signature ext2 "$DISK"
sync
try_not "a disk with data, for a rebuild: the remedy keeps it" \
	"If it is that of the program whose extents you will claim, attach with --force" hybridctl attach "$DISK"
try "--force" hybridctl attach --force "$DISK"
try_not "detach --wipe before it is sealed" "refusing to wipe: $node is attached for a rebuild" hybridctl detach --wipe 0
is "... detaches nothing" "$(hybridctl list -n -r -o STATE)" rebuild
try "detach" hybridctl detach 0
is "... and the data is there" "$(dd if="$DISK" bs=1M count=1 2>/dev/null | tr -d '\0' | wc -c)" \
	"$(write_signature ext2 /tmp/like && tr -d '\0' </tmp/like | wc -c)"
try "--force" hybridctl attach --force "$DISK"
try "detach --wipe --force" hybridctl detach --wipe --force 0
try "... leaves it blank" hybridctl attach --fresh "$DISK"
is "an instance by the name of its disk" "$(hybridctl info -n -r -o NODE "${DISK#/dev/}")" "$node"
hybridctl alloc --bound 0 64K >/dev/null 2>/tmp/bound &
bound=$!
tries=50
until [ "$(hybridctl stat -n -r -o NR_LIVE 0)" = 1 ] || [ $((tries -= 1)) = 0 ]; do
	sleep 0.1
done
try "detach --force" hybridctl detach --force 0
wait $bound
is "alloc --bound ends with the instance" "$? $(tail -n 1 /tmp/bound)" \
	"1 hybridctl: $node was detached: the extents are forgotten"

# The examples of the help do work, one after the other

hybridctl --help | sed -n '/^EXAMPLES/,/^FILES/s/^ *\(hybridctl .*\)/\1/p' |
	sed "s,/dev/vdb,$DISK," >/tmp/examples
is "examples in the help" "$(wc -l </tmp/examples)" 5
while read -r example; do
	try "example: $example" sh -c "cd /tmp && $example" </dev/null
done </tmp/examples

# A durable instance is of no use to this version
printf HYBRALOC | dd of="$DISK" bs=4096 seek=1 conv=notrunc 2>/dev/null
try_not "a durable instance" "(EOPNOTSUPP). The last line of \`dmesg\` says which." hybridctl attach "$DISK"
try_not "... with --fresh" "(EEXIST)" hybridctl attach --fresh "$DISK"
# overwrites: it is refused
try_not "... with --force" "(EOPNOTSUPP)" hybridctl attach --fresh --force "$DISK"
dd if=/dev/zero of="$DISK" bs=4096 count=2 conv=notrunc 2>/dev/null
sync

# Users and files

try "attach" hybridctl attach --fresh "$DISK"
exec 3<$node
try_not "detach with an open file" "end the programs (\`fuser -v /dev/hybrid_alloc0\` names them)" \
	hybridctl detach 0
exec 3<&-
try_not "a file that is no node" "is not a node of hybrid_alloc (ENOTTY)" hybridctl stat /dev/null
try_not "a disk that is no block device" "it is not a block device (ENOTBLK). Name a disk" \
	hybridctl attach /dev/null
# An ordinary user, whom the modes of the nodes keep out
echo 'nobody:x:65534:65534::/:/bin/sh' >>/etc/passwd
nobody()
{
	start-stop-daemon -S -c nobody -x "$(command -v hybridctl)" -- "$@"
}
try_not "an ordinary user sees the top of nothing" "you may open no node of an instance" nobody top --batch -d 1 --iterations 1
try_not "an ordinary user attaches" "(EACCES). Run hybridctl as root" nobody attach --fresh "$DISK"
is "an ordinary user lists" "$(nobody list --json)" "$(hybridctl list --json)"
is "... with all columns" "$(nobody list -r -b -o NODE,MAJ:MIN,STATE,MAX_BLOCK,UUID,EPOCH,FEATURES)" \
	"$(hybridctl list -r -b -o NODE,MAJ:MIN,STATE,MAX_BLOCK,UUID,EPOCH,FEATURES)"
try_not "an ordinary user allocates" "(EACCES). Run hybridctl as root, or let your group" \
	nobody alloc 0 4K
is "output that cannot be written: status" \
	"$(hybridctl alloc 0 4K >/dev/full 2>/tmp/err; echo $?)" 1
is "... and that the extent is allocated all the same" \
	"$(grep -c 'cannot write the output: .* done all the same' /tmp/err)$(one NR_LIVE)" 11

# rmmod, and what is left

try "detach --force" hybridctl detach --force 0
try "rmmod" rmmod hybrid_alloc
is "no nodes are left" "$(ls /dev/hybrid_alloc* 2>/dev/null)" ""

done_testing
