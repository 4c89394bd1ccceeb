#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# usage: sim/packing_tap.sh PROGRAM
#
# How much of 64 GiB can be held of mixes of sizes while extents come and go, beside a best fit
# over all of the device. The figures of the latter are pinned: it is what others are measured by.
# And what a device refuses that was full of extents of another size: of 1 GiB, with $SOAK also of
# 64 GiB. With $SOAK, the median of three seeds instead of one, and u1M, which has the most extents.
# TAP on stdout.
#
# The limits of hybrid_alloc are what it does today. The goals are best fit less .005, and .001 of
# the device refused.

here=$(dirname "$0")
# shellcheck source-path=SCRIPTDIR source=../tests/vm/tap.sh
. "$here/../tests/vm/tap.sh"

sim=$1
seeds=1 nr_seeds=1
[ -z "${SOAK-}" ] || seeds='1 2 3' nr_seeds=3

# value NAME JSON: a number in each document, which is a line
value()
{
	printf '%s\n' "$2" | sed -n 's/.*"'"$1"'": \([0-9.]*\).*/\1/p'
}

# The steps of the figures are .005.
near()
{
	awk "BEGIN { d = $1 - $2; print (d < .0051 && d > -.0051) ? \"near\" : \"not near\" }"
}

at_least()
{
	awk "BEGIN { print ($1 > $2 - .0051) ? \"at least\" : \"below\" }"
}

# median NAME: of the documents of the seeds, a line each
median()
{
	value "$1" "$documents" | sort -n | sed -n "$(((nr_seeds + 1) / 2))p"
}

while read -r workload best ours; do
	[ -n "${SOAK-}" ] || [ "$workload" != sustain-u1M ] || continue
	documents=$(for seed in $seeds; do
		"$sim" bench --json --seed "$seed" --reference best-fit "$workload"
	done)
	reference=$(median reference_sustained_fill)
	held=$(median sustained_fill)
	is "$workload: best fit holds ${reference:-nothing}, $best" "$(near "${reference:-0}" "$best")" near
	is "$workload: hybrid_alloc holds ${held:-nothing}, $ours or more" \
		"$(at_least "${held:-0}" "$ours")" "at least"
	is "$workload: no extent is wrong" "$(printf '%s\n' "$documents" | grep -c '"ledger": "ok"')" $nr_seeds
done <<'MIXES'
sustain-u1M .985 .985
sustain-u4M .975 .975
sustain-u8M .970 .970
sustain-u16M .960 .960
sustain-3M-5M .970 .970
sustain-4M-8M .965 .965
sustain-8M-16M .955 .955
sustain-16M-32M .940 .940
sustain-log64M .910 .900
sustain-common+ .985 .985
sustain-common+:+12K .985 .985
sustain-tri16M .965 .965
sustain-3M-5M:x1.37 .970 .970
sustain-u4M:x1.37:+4K .975 .975
fifo-u4M .995 .995
fifo-u8M .995 .995
fifo-3M-5M .995 .995
fifo-8M-16M .995 .995
fifo-16M-32M .995 .995
fifo-log64M .995 .995
fifo-common+ .995 .995
MIXES

# most WORKLOAD CAPACITY LIMIT: no more than this share of the device is refused
most()
{
	workload=$1
	json=$("$sim" bench --json --capacity "$2" --reference best-fit "$workload")
	refused=$(value refused_share "$json")
	is "$workload on $2: ${refused:-?} of the device is refused, no more than $3; no extent is wrong" \
		"$(awk "BEGIN { print (${refused:-1} <= $3) ? \"no more\" : \"more\" }") ${json##*, }" \
		'no more "ledger": "ok"}'
	is "$workload on $2: best fit refuses nothing" "$(value reference_refused_share "$json")" 0.00000
}

# Of B after A, if it is not .001
limits='4K-2052K .002'
sizes='4K 68K 1028K 2052K 3M 5M 9M 17M'
for a in $sizes; do
	for b in $sizes; do
		limit=$(printf '%s\n' "$limits" | sed -n "s/^$a-$b //p")
		most "refill-$a-$b" 1G "${limit:-.001}"
		[ -z "${SOAK-}" ] || most "refill-$a-$b" 64G "${limit:-.001}"
	done
done
# Made against slabs of equal objects: each second pair is freed, then extents
# as long as a pair are asked for
for sizes in 4K-8K 64K-68K 1028K-4K; do
	most "pairs-$sizes" 1G .5
done

done_testing
