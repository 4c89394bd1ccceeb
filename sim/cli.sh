#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# usage: sim/cli.sh PROGRAM
#
# The command line of hybrid-sim. A mistake is reported on standard error, with the
# remedy; nothing goes to standard output, and the status is 2. TAP on stdout.

here=$(dirname "$0")
# shellcheck source-path=SCRIPTDIR source=../tests/vm/tap.sh
. "$here/../tests/vm/tap.sh"

sim=$1
tmp=$(mktemp -d) || exit
trap 'rm -rf "$tmp"' EXIT

# refused NAME PATTERN ARG...
refused()
{
	name=$1
	pattern=$2
	shift 2
	refuses "$name" "*hybrid?sim*: *$pattern*" "$sim" "$@"
}

# value NAME JSON: a value in a document of one line
value()
{
	printf '%s\n' "$2" | sed -n "s/.*\"$1\": \"*\\([^,\"}]*\\).*/\\1/p"
}

# Each line of --help that begins with an option is tried below

missing=
for option in $("$sim" --help | sed -n 's/^  \(-h, \)*\(--[a-z]*\) .*/\2/p'); do
	grep -qE -- "(refused|sim\").* $option " "$0" || missing="$missing $option"
done
is "every option is used here" "$missing" ""

# Commands and options

try "--help" "$sim" --help
is "-h is short for it" "$("$sim" -h)" "$("$sim" --help)"
refused "no command" "which command? bench, replay, advise, fuzz, mixes or interleave"
refused "a command that does not exist" "no command 'run'" run
refused "an option that does not exist" "unrecognized option '--fast'" bench --fast pingpong-4K
refused "... its letter" "invalid option" -x
refused "an option without its argument" "requires an argument" bench --seed
refused "--threads where it is not allowed" "bench takes no --threads; leave it out" \
	bench --threads 2 pingpong-4K
refused "--ops where it is not allowed" "replay takes no --ops; leave it out" replay --capacity 1G --ops 5 -
refused "--seed where it is not allowed" "replay takes no --seed" replay --capacity 1G --seed 5 -
refused "--capacity where it is not allowed" "fuzz takes no --capacity" fuzz --capacity 1G
refused "--list where it is not allowed" "replay takes no --list" replay --list
refused "--list with more" "--list takes no 'pingpong-4K'" bench --list pingpong-4K
refused "--list with an option" "--list takes no --json" bench --list --json
refused "--situation where it is not allowed" "bench takes no --situation" bench --situation any x
refused "--reference where it is not allowed" "fuzz takes no --reference" fuzz --reference best-fit
refused "--reference worst-fit" "there is no 'worst-fit'; give best-fit, first-fit or bins" \
	bench --reference worst-fit sustain-u1M
for workload in pingpong-4K stress10t threads-2; do
	refused "--reference with $workload" "not for $workload; leave it out" \
		bench --reference best-fit $workload
done
refused "fuzz with a word too many" "fuzz takes no 'x'; leave it out" fuzz x
for number in x '' -1 1.5 0x10 1K 18446744073709551616; do
	refused "--seed '$number'" "--seed: '$number' is not a number from 0 to" bench --seed "$number" pingpong-4K
done
for number in 0 64 4294967297 two; do
	refused "--threads '$number'" "--threads: '$number' is not a number from 1 to 63" \
		replay --capacity 1G --threads "$number" -
done
refused "fuzz with more threads than it knows" "--threads from 1 to" fuzz --threads 63
refused "fuzz of no operation" "--ops: '0' is not a number from 1" fuzz --ops 0
refused "fuzz of no seed" "a --seed from 1 up" fuzz --seed 0
refused "a situation without threads" "--situation 'grow' is for threads; give --threads, too" \
	fuzz --situation grow
refused "a situation that does not exist" "no situation 'x'; 'hybrid-sim fuzz --list' shows them" \
	fuzz --threads 2 --situation x
try_not "output that cannot be written" "cannot write the output: No space left" \
	sh -c "$sim bench --list >/dev/full"

# Mixes

refused "mixes of nothing" "needs --minutes or --ops to search, or just one file with loads" mixes
refused "mixes of two files" "or just one file" mixes "$tmp/a" "$tmp/b"
refused "mixes of a file and minutes" "or just one file" mixes --minutes 1 "$tmp/a"
refused "mixes of minutes and loads" "needs --minutes or --ops to search" mixes --minutes 1 --ops 5
refused "a list with a capacity" "or just one file" mixes --capacity 1G "$tmp/a"
refused "no minutes" "--minutes: '0' is not a number from 1" mixes --minutes 0
refused "a list that does not exist" "cannot open $tmp/none: No such file or directory; name a file" mixes "$tmp/none"
for line in x 'x 1G' 'x 1G .1' 'x 1G .1 y' 'x 1Q .1 u4M' 'x 1G y u4M' 'x 1M .1 u4M' 'x 1G .1 u4M=.9' 'x 1G .1 u4M u4M'; do
	echo "$line" >"$tmp/list"
	try_not "a list with '$line'" "$tmp/list: not NAME CAPACITY LIMIT LOAD: $line; fix it" "$sim" mixes "$tmp/list"
done
printf '# a comment\n\ngood 64M .005 64K\n' >"$tmp/list"
try "a list in which all is well" "$sim" mixes "$tmp/list"
is "what it prints" "$("$sim" mixes "$tmp/list")" "TAP version 14
# .000 (.000 to .000): holds .995, best fit .995, first fit .995
ok 1 - good: loses no more than .005 of 64M: 64K
1..1"
printf 'good 64M .000 64K\nbad 1G .000 log4K-64M:oldest\n' >"$tmp/list"
try_not "a load that is worse than its limit" "not ok 2 - bad: loses no more than .000 of 1G: log4K-64M:oldest" \
	"$sim" mixes "$tmp/list"
"$sim" mixes --ops 44 --seed 3 --capacity 64M >"$tmp/found" 2>"$tmp/err"
is "a search among 44 loads" "$? $(head -n 1 "$tmp/found")" \
	"0 # seed 3, 44 loads; a name, the device, the loss, the load"
"$sim" mixes --ops 44 --seed 3 --capacity 64M >"$tmp/list" 2>"$tmp/err2"
is "... finds the same again" "$(cat "$tmp/list" "$tmp/err2")" "$(cat "$tmp/found" "$tmp/err")"
sed -n 's/^# .*: holds .*: /tried 64M .999 /p' "$tmp/err" >"$tmp/list"
is "... tries several" "$(($(grep -c ^tried "$tmp/list") > 5))" 1
try "... and what it prints are loads" "$sim" mixes "$tmp/list"
: >"$tmp/list"
try_not "a list of nothing" "1..0" "$sim" mixes "$tmp/list"

# Interleave

refused "--programs that are none" "--programs 'some' is neither all, parts, hand nor SEED,COUNT" interleave --programs some
refused "--preemptions 'x'" "--preemptions: 'x' is not a number from 0 to 8" interleave --preemptions x
refused "--depth 0" "--depth: '0' is not a number from 1 to 8" interleave --depth 0
refused "--device that is none" "--device '8' is none; give BLOCKS.UNIT.MAGAZINE, *, or turns" interleave --device 8
refused "interleave of too many threads" "interleave takes --threads 2 or 3" interleave --threads 4
refused "interleave of too many operations" "--ops from 1 to 4" interleave --ops 5
refused "interleave with a word too many" "interleave takes no 'x'; leave it out" interleave x
for string in x : 8.4K.1 8.4K.1: 8.4K.1:p 8.4K.1:p+p 8.4K.1:p+y: 8.4K.1:p+pp: 8.4K.1:p+p+p+p: \
	8.4K.1:p+p:1 8.4K.1:p+p:1@0x 8.4K.1:= 8.4K.1:=a 8.4K.1:=a0.17.1 8.4K.1:=x0.1.1; do
	refused "--replay '$string'" "--replay '$string' *; give what a violation printed" \
		interleave --replay "$string"
done
for string in 8.4K.1:p+p: 8.1M.2:pf+of+cd:0@1,9@2 16.4Ks.2:=a0.5.1,c8.4.1,f0.5.1,d0.0.1; do
	try "interleave --replay $string" "$sim" interleave --replay "$string"
done
try "interleave --device turns" "$sim" interleave --programs all --ops 1 --preemptions 0 --device turns
try_not "a schedule that cannot be" "no thread 7 can run" "$sim" interleave --replay 8.4K.1:p+p:1@7

# Sizes

while IFS='|' read -r size why; do
	refused "--capacity '$size'" "--capacity: '$size' $why" replay --capacity "$size" -
done <<'WRONG'
0|is less than a block; give 4K or more, such as 64G
1|is less than a block
4095|is less than a block
0K|is less than a block
4KB|is less than a block
4kB|is less than a block
|is not a size such as 4096, 4K, 1.5M or 1GiB
x|is not a size
+4K|is not a size
 4K|is not a size
-4K|is negative; give a size such as 4096
4Q|has an unknown unit; use K, M, G, T, P or E
4KK|has an unknown unit
0x1000|has an unknown unit
1.0001K|is not a whole number of bytes; give it in a smaller unit
16E|is more than 16 EiB, where all devices end; give less
18446744073709551616|is more than 16 EiB
17179869184G|is more than 16 EiB
WRONG
refused "a capacity beyond all devices" "cannot be made: Invalid argument; give a smaller --capacity" \
	replay --capacity 15E -
for size in 1M 1MiB 1m 1024K 1.0M 1049kB 1048576 1048577 1052671; do
	json=$("$sim" replay --json --capacity $size - </dev/null)
	is "--capacity $size is 1 MiB: a part of a block is not used" "$? $(value capacity_bytes "$json")" "0 1048576"
done

# Workloads

refused "bench without a workload" "needs the name of a workload; 'hybrid-sim bench --list'" bench
for workload in x '' pingpong pingpong- pingpong-0 pingpong-x pingpong-4KK firstfail-u0 sustain-u \
	pingpong-u4M pingpong-3M-5M pingpong-common+ sustain-5M-3M sustain-3M- sustain--3M fifo-log fifo- fifo-0-1 fifo-common \
	pingpong-4K,8K pingpong-4K:newest pingpong-u4M:x2 firstfail-4K/8K firstfail-4K:newest firstfail-4K=.9 \
	'sustain-4K,' sustain-,4K sustain-4K@ sustain-4K@0 sustain-4K@1001 sustain-4K@-1 sustain-4K@x sustain-4K,4K,4K,4K,4K,4K,4K,4K,4K \
	sustain-common+,4K sustain-common+x sustain-4K: sustain-4K:x sustain-4K:x0 sustain-4K:x-1 sustain-4K:x1e2 sustain-4K:xnan \
	sustain-4K:x1.2.3 sustain-4K:x1001 sustain-4K:+ sustain-4K:+0 sustain-4K:+x sustain-4K:eldest sustain-4K:old \
	sustain-4K:% sustain-4K:0% sustain-4K:101% sustain-4K:5x% sustain-4K:50 sustain-4K/ sustain-/4K sustain-4K//4K \
	sustain-4K/4K/4K/4K/4K sustain-log5M-3M sustain-tri sustain-tri0 sustain-u3M-5M sustain-4K=.9 \
	hold-4K hold-4K= hold-4K=1 hold-4K=.0 hold-4K=.9x hold-4K=.9999 hold-4K=0.9/4K \
	refill-4K refill-4K- refill-4K-u4M refill-4K-8K-12K refill-u4M-4K refill-4K-4K,8K refill-4K-8K:+4K:oldest pairs-4K \
	threads- threads-0 threads-64 threads-x threads-2junk threads-2x2 threads--1 'threads- 2' \
	threads-4294967297 stress10; do
	refused "a workload '$workload'" "no workload '$workload'; 'hybrid-sim bench --list' shows" bench "$workload"
done
refused "a bad name after a good one: nothing is done" "no workload 'x'" bench firstfail-1M x
for workload in pingpong-1E pingpong-65G sustain-u1P; do
	refused "a size beyond the device: $workload" "too small for $workload; give a larger --capacity" \
		bench $workload
done
for workload in stress10t stress100t churn-u4m firstfail-u1M sustain-u4M pingpong-8K threads-2 threads-2x1; do
	refused "a device that is too small for $workload" "too small for $workload" bench --capacity 4K $workload
done
refused "a device in which no extent can be freed" "too small for this workload" bench --capacity 4M stress10t
refused "... nor one be replaced" "too small for this workload" bench --capacity 4K churn-4k
json=$("$sim" bench --json --capacity 16M --seed 7 firstfail-3M)
is "a workload with a given capacity and seed" \
	"$? $(value capacity_bytes "$json") $(value seed "$json") $(value ledger "$json")" "0 16777216 7 ok"
# All workloads, briefly, on small devices; one size for those that take a size
for workload in $("$sim" bench --list); do
	case $workload in
	hold-LOAD=FILL) workload=hold-3M=.9 capacity=256M ;;
	claim-NUMBER*) workload=claim-2K${workload#claim-NUMBER} capacity=64G ;;
	*-SIZE-SIZE) workload=${workload%SIZE-SIZE}1M-3M capacity=256M ;;
	*-SIZE) workload=${workload%SIZE}3M capacity=256M ;;
	*-MIX) workload=${workload%MIX}3M capacity=256M ;;
	*-LOAD) workload=${workload%LOAD}3M capacity=256M ;;
	threads-8|churn-u4m) capacity=32G ;;
	threads-*) capacity=8G ;;
	*) capacity=256M ;;
	esac
	json=$("$sim" bench --json --capacity $capacity --ops 20000 "$workload")
	is "bench --capacity $capacity --ops 20000 $workload" "$? $(value workload "$json") $(value ledger "$json")" \
		"0 $workload ok"
done
# Mixes, and the reference beside them
for load in 4K u64K 3M-5M 64K-64K log1M log64K-1M tri1M tri512K-1M common+ common+:x.5:+4K 4K,8K 4K@1000,1M@1 u1M:x1.37 \
	u64K:+12K 4K,8K,12K,16K,20K,24K,28K,1M 64K:newest u64K:big-stay u64K:small-stay 64K:50% u1M/4K:50%:newest/64K:small-stay/u1M; do
	for reference in best-fit first-fit bins; do
		[ $reference = best-fit ] || [ "$load" = u64K ] || continue
		json=$("$sim" bench --json --capacity 64M --reference $reference "fifo-$load")
		is "fifo-$load: $reference holds something, and no more than all" \
			"$? $(value ledger "$json") $(value reference "$json") $(
			awk "BEGIN { f = 0$(value reference_sustained_fill "$json"); print (f > .5 && f < 1) }")" \
			"0 ok $reference 1"
	done
done
# held MIX WANT CAPACITY: what best fit fills of a small device, which shows the sizes
held()
{
	json=$("$sim" bench --json --capacity "$3" --reference best-fit "firstfail-$1")
	is "firstfail-$1 on $3" "$? $(value ledger "$json") $(value reference_fill_at_enospc_mean "$json")" "0 ok $2"
}
held 4K:+4K 1.00000 16K			# 8K, 8K
held 4K:+8K 0.75000 16K			# 12K
held 4K:x3:+4K 1.00000 16K		# multiplied first: 16K
held 4K:x1.37 1.00000 16K		# to the nearest block
held 4K:x1.6 1.00000 16K
held 8K-8K 0.66667 12K
held log8K-8K 0.66667 12K
held tri8K-8K 0.66667 12K
held 8K@3,8K 0.66667 12K
json=$("$sim" bench --json --capacity 64M --reference first-fit hold-u1M=.5)
is "what is refused at a low fill is nothing" "$? $(value refused_allocs_share "$json") $(value refused_bytes_share "$json") $(
	value reference_refused_allocs_share "$json") $(value ledger "$json")" "0 0.00000 0.00000 0.00000 ok"
json=$("$sim" bench --json --capacity 64M hold-u1M=.001)
is "so little that nothing is requested" "$? $(value refused_allocs_share "$json") $(value ledger "$json")" "0 0.00000 ok"
json=$("$sim" bench --json --capacity 64M --reference best-fit hold-u1M=.999)
is "at a high one it is something, and not everything" "$? $(awk "BEGIN {
	s = $(value refused_bytes_share "$json"); r = $(value reference_refused_bytes_share "$json")
	print (s > 0 && s < .7), (r > 0 && r < .7) }")" "0 1 1"
# 16 blocks: pairs of 8K and 16K are 24K, so two of them and an 8K and a hole of 8K
json=$("$sim" bench --json --capacity 64K --reference best-fit pairs-8K-16K)
is "of pairs that are freed best fit gives all again" "$? $(value reference_freed_share "$json") $(
	value reference_refilled_share "$json") $(value reference_refused_share "$json") $(value ledger "$json")" \
	"0 0.37500 0.37500 0.00000 ok"
json=$("$sim" bench --json --capacity 1M --reference bins refill-12K-64K)
is "bins are all full again" "$? $(value reference_fresh_fill "$json") $(value reference_refilled_share "$json") $(
	value reference_refused_share "$json") $(value ledger "$json")" "0 1.00000 1.00000 0.00000 ok"
json=$("$sim" bench --json --capacity 64M --reference best-fit firstfail-5M)
is "what best fit has filled" "$? $(value reference_fill_at_enospc_mean "$json")" "0 0.93750"

# Traces

refused "replay without a capacity" "replay needs --capacity" replay -
refused "replay without a trace" "one file with a trace, or -" replay --capacity 1G
refused "replay of two" "one file with a trace, or -" replay --capacity 1G - -
refused "a trace that does not exist" "cannot open $tmp/none: No such file or directory; name a file" \
	replay --capacity 1G "$tmp/none"
refused "a directory" "cannot read $tmp: Is a directory; name a file" replay --capacity 1G "$tmp"
while IFS='|' read -r line why; do
	printf 'a 1 4096\n# a comment\n\n%b\nf 1\n' "$line" >"$tmp/trace"
	refused "a trace with '$line'" "$tmp/trace: line 4: $why" replay --capacity 1G "$tmp/trace"
done <<'WRONG'
y 1|it is none of 'a ID SIZE ?ALIGN?', 'f ID', 'c ID OFFSET LEN ?NEWID?', 'x ID LEN', 'r SIZE', 'A ID SIZE ?ALIGN?', 'u SIZE'; fix it
x 1|it is none of
x 1 4K 4K|it is none of
x 1 0|LEN '0' is nothing to add; fix it
x 1 1|LEN '1' is no multiple of 4K; fix it
x 2 4K|ID '2' is not allocated; fix it
c 1 4K|it is none of
c 1 0 4K 2 3|it is none of
c 1 0 0|LEN '0' is nothing to free; fix it
c 1 1 4K|OFFSET '1' is no multiple of 4K; fix it
c 1 0 x|LEN 'x' is not a size
c 1 0 4K x|ID 'x' is not a number
c 1 0 4K 1|NEWID '1' is the ID itself; fix it
c 2 0 4K|ID '2' is not allocated; fix it
a|it is none of
a 2|it is none of
a 2 4096 4096 4096|it is none of
ab 2 4096|it is none of
f|it is none of
f 1 4096|it is none of
a x 4096|ID 'x' is not a number from 0 to 18446744073709551615; fix it
a -2 4096|ID '-2' is not a number
a 1K 4096|ID '1K' is not a number
a 18446744073709551616 4096|ID '18446744073709551616' is not a number
a 2 0|SIZE '0' is nothing to allocate; fix it
a 2 -4096|SIZE '-4096' is negative; give a size such as 4096, 4K or 1.5M; fix it
a 2 x|SIZE 'x' is not a size
a 2 4KK|SIZE '4KK' has an unknown unit
a 2 18446744073709551616|SIZE '18446744073709551616' is more than 16 EiB
a 2 16E|SIZE '16E' is more than
a 2 4096 3|ALIGN '3' is neither a power of two, such as 64K, nor a multiple of 4K; fix it
a 2 4096 0|ALIGN '0' is neither a power of two
a 2 4096 x|ALIGN 'x' is not a size
a 2 4096 18446744073709551616|ALIGN '18446744073709551616' is more than
f 2|ID '2' is not allocated; fix it
r|it is none of
r 4K 4K|it is none of
r 0|SIZE '0' is nothing to reserve; fix it
u x|SIZE 'x' is not a size
A 2|it is none of
a 1 4096|the ID is allocated already; free it first
WRONG
while IFS='|' read -r lines why; do
	printf 'a 1 64K\na 2 4K\n%b\n' "$lines" >"$tmp/trace"
	refused "a trace with '$lines'" "$tmp/trace: line $why" replay --capacity 1G "$tmp/trace"
done <<'WRONG'
c 1 4K 4K|3: the extent has blocks on both sides of the part; give a NEWID for those behind it
c 1 4K 4K 2|3: the NEWID is allocated already; free it first
c 1 4K 4K 3\na 3 4K|4: the ID is allocated already; free it first
WRONG
# both ends, a hole, what is beyond the end, all of it; then its neighbours may grow into the rest
printf '%s\n' 'a 1 64K' 'a 2 64K' 'c 1 0 4K' 'c 1 52K 64K' 'c 1 16K 4K 3' 'c 3 1M 4K' 'c 3 0 1G' 'f 3' \
	'x 1 20K' 'x 1 20K' 'c 2 0 64K' 'f 2' 'x 1 1G' >"$tmp/trace"
json=$("$sim" replay --json --capacity 128K --reference best-fit "$tmp/trace")
is "parts of extents" "$? $(value ops "$json") $(value cuts "$json") $(value extends "$json") $(
	value failed_extends "$json") $(value max_fill "$json") $(value largest_free_bytes "$json") $(
	value ledger "$json")" "0 10 5 3 1 1.00000 69632 ok"
is "... of best fit" "$(value failed_extends "${json#*reference}")" 1
json=$("$sim" advise --json --capacity 128K "$tmp/trace" | head -n 1)
is "what a disk holds of them" "$(value failed_allocs "$json") $(value smallest_bytes "$json")" "0 1048576"
printf 'r 1M\nA 1 64K\nf 1\nu 1M\n' >"$tmp/trace"
json=$("$sim" advise --json --capacity 1M "$tmp/trace" | head -n 1)
is "what a disk holds of what is reserved" "$(value failed_allocs "$json") $(value smallest_bytes "$json")" "0 1048576"
printf 'a 1 64K\nx 1 4K\n' >"$tmp/trace"
refused "a trace that changes extents, with threads" "$tmp/trace changes extents, which is for one thread; leave out --threads" \
	replay --threads 2 --capacity 64M "$tmp/trace"
# 64 MiB: 16 are reserved, which others do not get, nor more than the rest
printf 'r 16M\na 1 32M\na 2 17M\nr 17M\nA 3 4K\na 4 16M\na 5 4K\nu 4K\na 6 4K\nA 7 1M\nf 1\nr 32M\nr 4K\nu 1G\na 8 32M\n' >"$tmp/trace"
json=$("$sim" replay --json --capacity 64M "$tmp/trace")
is "refusals that keep a reservation are counted by themselves" \
	"$? $(value allocs "$json") $(value failed_allocs "$json") $(value reserved_refusals "$json") $(value false_enospc "$json") $(value ledger "$json")" \
	"0 8 0 4 0 ok"
refused "a trace that reserves, with threads" "$tmp/trace reserves, which is for one thread; leave out --threads" \
	replay --threads 2 --capacity 64M "$tmp/trace"
printf 'a 1 4096\000\n' >"$tmp/trace"
refused "a trace with a byte of 0" "$tmp/trace: line 1: it contains a zero byte, so it is not text; fix it" replay --capacity 1G "$tmp/trace"
printf 'a 1 4096\r\nf 1' >"$tmp/trace"
json=$("$sim" replay --json --capacity 1G "$tmp/trace")
is "lines that end with a carriage return, or not at all" "$? $(value frees "$json")" "0 1"
for threads in 1 2 63; do
	json=$("$sim" replay --json --threads $threads --capacity 1G - </dev/null)
	is "an empty trace, on standard input, $threads threads" \
		"$? $(value ops "$json") $(value largest_free_bytes "$json") $(value ledger "$json")" \
		"0 0 1073741824 ok"
done
printf 'a 1 18446744073709551615\na 2 4096 9223372036854775808\na 3 15E 8E\na 4 1G\na 5 1\na 6 4K 64K\n' >"$tmp/trace"
json=$("$sim" replay --json --capacity 1G "$tmp/trace")
is "sizes beyond the device find no space, which is not an error" \
	"$? $(value allocs "$json") $(value failed_allocs "$json") $(value first_failure_op "$json") $(
		value false_enospc "$json") $(value ledger "$json")" "0 6 3 1 0 ok"
json=$("$sim" replay --json --capacity 4K "$tmp/trace")
is "... nor on a device of a block" \
	"$? $(value failed_allocs "$json") $(value max_fill "$json") $(value ledger "$json")" "0 5 1.00000 ok"

# reference NAME CAPACITY WANT OPERATION...: what a reference refuses, first, and holds at most
policy='best-fit'
reference()
{
	name=$1 reference_capacity=$2 want=$3
	shift 3
	json=$(printf '%s\n' "$@" | "$sim" replay --json --reference $policy --capacity "$reference_capacity" -)
	json=${json#*\"reference\"}
	is "$policy: $name" "$? $(value name "$json") $(value failed_allocs "$json") $(value first_failure_op "$json") $(
		value max_fill "$json")" "0 $policy $want"
}

# 16 blocks: holes of 4 and of 2 blocks, then as it says
holes="$(printf 'a 1 16K\na 2 4K\na 3 8K\na 4 4K\na 5 32K\nf 1\nf 3')"
reference "the smallest hole is taken, so the larger one stays" 64K "0 null 1.00000" \
	"$holes" 'a 6 8K' 'a 7 16K'
reference "it is not split for what the smaller one holds" 64K "1 11 1.00000" \
	"$holes" 'a 6 8K' 'a 7 12K' 'f 6' 'a 8 12K'
reference "a hole and its neighbours are one" 64K "0 null 1.00000" \
	"$holes" 'f 2' 'a 6 28K'
reference "... from both sides" 64K "0 null 1.00000" 'a 1 16K' 'a 2 16K' 'a 3 16K' 'a 4 16K' \
	'f 1' 'f 3' 'f 2' 'a 5 48K'
reference "of holes of a length, the first" 64K "0 null 1.00000" 'a 1 8K' 'a 2 24K' 'a 3 8K' 'a 4 24K' \
	'f 1' 'f 3' 'a 5 8K' 'f 4' 'a 6 32K'
reference "an alignment may need a larger hole" 64K "1 8 1.00000" 'a 1 4K' 'a 2 12K' 'a 3 48K' 'f 2' \
	'a 4 4K' 'a 5 4K 8K' 'f 4' 'a 6 8K 8K'
reference "a free of what was refused changes nothing" 64K "1 2 1.00000" 'a 1 64K' 'a 2 4K' 'f 2' 'f 1' 'a 3 64K'
# what best fit puts into the hole of 8K, first fit puts into the one of 16K
best="$(printf '%s\na 6 8K\na 7 16K' "$holes")"
reference "the shortest hole that fits" 64K "0 null 1.00000" "$best"
policy=first-fit
reference "the first hole that fits" 64K "1 9 1.00000" "$best"
reference "a hole that is large enough, behind one that is not" 64K "0 null 1.00000" "$holes" 'a 6 12K' 'a 7 8K' 'a 8 4K'
reference "holes are merged" 64K "0 null 1.00000" 'a 1 16K' 'a 2 16K' 'a 3 16K' 'a 4 16K' 'f 1' 'f 3' 'f 2' 'a 5 48K'
reference "an alignment may need a later hole" 64K "0 null 1.00000" 'a 1 4K' 'a 2 8K' 'a 3 20K' 'a 4 32K' 'f 2' 'f 4' \
	'a 5 8K 8K' 'a 6 24K' 'a 7 8K'
policy=bins
reference "of runs in one bin, the one that was freed last" 64K "0 null 1.00000" 'a 1 16K' 'a 2 16K' 'a 3 16K' 'a 4 16K' \
	'f 1' 'f 3' 'a 5 12K' 'a 6 16K' 'a 7 4K'
reference "a run in the bin of its length may be too short, so the next bin is looked at" 144K "1 4 1.00000" 'a 1 136K' 'a 2 8K' 'f 1' 'a 3 136K'

# Advice

refused "advise without a capacity" "advise needs --capacity" advise -
refused "advise without a trace" "advise takes one file with a trace, or -" advise --capacity 1G
refused "advise of a trace that does not exist" "cannot open $tmp/none" advise --capacity 1G "$tmp/none"
printf 'a 1 4K\nx 1\n' >"$tmp/trace"
refused "advise of a trace that is none" "$tmp/trace: line 2: it is none of" advise --capacity 1G "$tmp/trace"
printf 'a 1 4K\na 1 4K\n' >"$tmp/trace"
refused "an ID that is live" "line 2: the ID is allocated already" \
	advise --capacity 1G "$tmp/trace"
# advise NAME CAPACITY OPERATION...: a line "ALLOCATOR FAILED FIRST MAX_FILL SMALLEST LEDGER" for each
advise()
{
	advise_capacity=$1
	shift
	printf '%s\n' "$@" | "$sim" advise --json --capacity "$advise_capacity" - | while read -r json; do
		echo "$(value allocator "$json") $(value failed_allocs "$json") $(value failed_bytes "$json") $(
			value first_failure_op "$json") $(value max_fill "$json") $(
			value smallest_bytes "$json") $(value ledger "$json")"
	done
}
is "advise: a trace that fits" "$(advise 8M 'a 1 3M' 'a 2 5M' 'f 1' 'a 3 3M')" \
	"hybrid_alloc 0 0 null 1.00000 8388608 ok
best-fit 0 0 null 1.00000 8388608 ok
first-fit 0 0 null 1.00000 8388608 ok"
is "advise: one that does not with first fit" "$(advise 8M 'a 1 2M' 'a 2 1M' 'a 3 1M' 'a 4 4M' 'f 1' 'f 3' 'a 5 1M' 'a 6 2M' |
	grep -v hybrid_alloc)" \
	"best-fit 0 0 null 1.00000 8388608 ok
first-fit 1 2097152 8 1.00000 10485760 ok"
is "advise: larger than the disk" "$(advise 1M 'a 1 1G' 'f 1')" \
	"hybrid_alloc 1 1073741824 1 0.00000 1073741824 ok
best-fit 1 1073741824 1 0.00000 1073741824 ok
first-fit 1 1073741824 1 0.00000 1073741824 ok"
is "advise: larger than all disks" "$(advise 1M 'a 1 8E' | grep -c '^.* 1 9223372036854775808 1 0.00000 null ok')" 3
is "advise: what is asked for again after a refusal, on a larger disk" "$(advise 1M 'a 1 2M' 'a 1 2M' 'f 1' | grep -c ' 2 4194304 1 0.00000 2097152 ok')" 3
is "advise: nothing" "$(advise 1M | grep -c '0 0 null 0.00000 1048576 ok')" 3
awk 'BEGIN { srand(1); for (i = 0; i < 3000; i++) { if (i >= 300) print "f", i - 300; print "a", i, 4096 * int(1 + rand() * 300) } }' >"$tmp/trace"
smallest=$("$sim" advise --json --capacity 100M "$tmp/trace" | sed -n '1s/.*smallest_bytes": \([0-9]*\).*/\1/p')
json=$("$sim" replay --json --capacity "$smallest" "$tmp/trace")
is "the smallest disk refuses nothing" "$? $(value failed_allocs "$json") $(value ledger "$json")" "0 0 ok"
json=$("$sim" replay --json --capacity $((smallest - 1048576)) "$tmp/trace")
is "one of a MiB less does" "$? $(($(value failed_allocs "$json") > 0)) $(value ledger "$json")" "0 1 ok"

# with the capacity of a small device, as the copy of the layers is slow here
for state in $("$sim" bench --list | grep ^worst-); do
	json=$("$sim" bench --json --capacity 1G "$state")
	steps=$(value max_hold_steps "$json")
	is "$state: no hold takes more than 2000 steps" \
		"$? $(value ledger "$json") $((steps <= 2000)) $((steps > 0 || $(value max_op_steps "$json") == 0))" \
		"0 ok 1 1"
done

json=$("$sim" bench --json --ops 400000 lines-hit)
is "lines-hit: a hit writes no line that another CPU wrote last, an operation .01 on average" \
	"$? $(value ledger "$json") $(value shared_lines_per_hit_max "$json") $(
		awk -v mean="$(value shared_lines_per_op_mean "$json")" 'BEGIN { print (mean <= .01) }')" "0 ok 0 1"
json=$("$sim" bench --json --ops 100000 lines-miss)
is "lines-miss: nor in a full device" \
	"$? $(value ledger "$json") $(($(value shared_lines_per_miss_p99 "$json") <= 1))" "0 ok 1"
json=$("$sim" bench --json --ops 400000 lines-handover)
is "lines-handover: frees on other CPUs make few refills" \
	"$? $(value ledger "$json") $(($(value refills "$json") <= 1500))" "0 ok 1"
for load in claim-20K claim-20K-64 claim-20K-dense claim-20K-dense-64; do
	json=$("$sim" bench --json $load)
	is "$load: the map is the catalogue, and all can be freed" \
		"$? $(value ledger "$json") $(value ops "$json")" "0 ok 20000"
done
refused "claim-: a small device" "capacity" bench --capacity 1M claim-10K-dense

refused "lines-: a small device" "capacity" bench --capacity 1M lines-hit

for size in 4K 16K 64K; do
	json=$("$sim" bench --json --capacity 4G append-$size)
	is "append-$size: a file is one extent" "$? $(value ledger "$json") $(
		value extents_per_file "$json")" "0 ok 1.000"
	json=$("$sim" bench --json --capacity 4G append16-$size)
	pieces=$(value extents_per_file "$json")
	fill=$(value fill_at_enospc_mean "$json")
	is "append16-$size: files that grow by turns have eight extents at most, and fill the device" \
		"$(value ledger "$json") $((${pieces%.*} < 8)) $(
			awk -v f="$fill" 'BEGIN { print (f >= .999) }')" "ok 1 1"
done

done_testing
