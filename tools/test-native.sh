#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# usage: HYBRIDCTL=build/tools/hybridctl sh tools/test-native.sh
#
# What hybridctl does before it needs the module: command lines, help, and the
# look for data on a disk, here an image file. TAP on stdout.

here=$(dirname "$0")
# shellcheck source-path=SCRIPTDIR source=../tests/vm/tap.sh
. "$here/../tests/vm/tap.sh"
# shellcheck source-path=SCRIPTDIR source=signatures.sh
. "$here/signatures.sh"

: "${HYBRIDCTL:=$here/../build/tools/hybridctl}"
tmp=$(mktemp -d) || exit
trap 'rm -rf "$tmp"' EXIT

# usage_error NAME PATTERN ARG...: refused, with a message that tells where to look
usage_error()
{
	name=$1
	pattern=$2
	shift 2
	refuses "$name" "hybridctl: *$pattern*Try 'hybridctl *--help' for more." "$HYBRIDCTL" "$@"
}

# Command lines

usage_error "no command" "which command"
usage_error "a command that there is not" "no command 'mount'" mount
usage_error "an option before the command" "command comes first" --json list
usage_error "a word too many" "takes no 'x'" list x
usage_error "a word too few" "alloc how much" alloc 0
usage_error "no node" "needs NODE" stat
usage_error "an option of another command" "unrecognized option '--runs'" list --runs
usage_error "a column that there is not" "no column 'COLOUR'" stat -o FREE,COLOUR 0
usage_error "a column whose name is only begun" "no column 'FRE'" stat -o FRE 0
usage_error "no column at all" "no column ''" stat -o '' 0
usage_error "two forms of output" "one of them" list --json --raw
usage_error "no threshold" "such as --below 1G" watch 0
usage_error "a threshold under which nothing is" "such as --below 1G" watch --below 0 0
for word in x -1 nan inf 86401 1s ''; do
	usage_error "a time of '$word'" "--timeout: '$word' is not a number of seconds from 0 to 86400" \
		watch --below 1G --timeout "$word" 0
done
usage_error "a time that is too short" "--delay: '0' is not a number of seconds from 0.1 to" top -d 0
usage_error "a count of nothing" "0 extents" alloc --count 0 0 4K

# Sizes: each refused with what is wrong with it

for word in x K .5M +4K ' 4K' ''; do
	usage_error "size '$word'" "'$word' is not a size" alloc 0 "$word"
done
usage_error "a negative size" "is negative" alloc 0 -- -4K
for word in 4Q 4KK 0x1000 '4 K' 4KiBx 4iB 4k1 4,5K 4K:; do
	usage_error "unit in '$word'" "unknown unit" alloc 0 "$word"
done
for word in 16E 18446744073709551616 99999999999999999999 17179869184G 20EB; do
	usage_error "size $word" "more than 16 EiB" alloc 0 "$word"
done
usage_error "less than a byte" "whole number of bytes" alloc 0 1.0001K
usage_error "a point and nothing" "no digits" alloc 0 1.K
usage_error "a fraction beyond all precision" "too many digits" alloc 0 1.00000000000000000000001G
usage_error "one bad size among good ones" "'1Z' has an unknown unit" alloc 0 1M 1Z 4K
usage_error "an alignment that is no size" "--align: 'many'" alloc --align many 0 4K
usage_error "a count that is no number" "--count: 'many'" alloc --count many 0 4K

# Extents

for word in 4096 4K: :4K 1:2:3 1::2 ',' ''; do
	usage_error "extent '$word'" "not of the form START:LEN" free 0 "$word"
	usage_error "extent '$word' to claim" "not of the form START:LEN" claim 0 "$word"
	usage_error "extent '$word' to keep" "not of the form START:LEN" keep 0 "$word"
done
for word in 4096 1M:4K 1M:4K: 1M::4K 1M:4K:2M:4K ',,' ''; do
	usage_error "a split of '$word'" "not of the form START:LEN:AT, such as 1M:64K:1040K" split 0 "$word"
	usage_error "an extension of '$word'" "not of the form START:LEN:MORE, such as 1M:64K:4K" \
		extend 0 "$word"
done
usage_error "a split at what is no size" "'1M:4K:x' is not a size" split 0 1M:4K:x
usage_error "an extension by less than nothing" "is negative" extend 0 1M:4K:-4K
usage_error "no extents to split" "split which extents? Name them as START:LEN:AT" split 0
usage_error "no extents to extend" "extend which extents? Name them as START:LEN:MORE" extend 0
usage_error "no extents to keep" "keep which extents? Name them as START:LEN," keep 0
usage_error "a --least that is no size" "--least: 'all'" extend --least all 0 1M:4K:4K
for word in 0 x 2147483648; do
	usage_error "the process $word" "--pid: '$word'" keep --pid $word 0 1M:4K
done
usage_error "parts of what is claimed" "unrecognized option '--part'" claim --part 0 1M:4K
usage_error "an extent with a bad start" "is not a size" free 0 x:4K
usage_error "an extent with a bad length" "unknown unit" free 0 4K:4Q
usage_error "a bad extent behind a good one" "'b:4K'" free 0 4K:4K b:4K
usage_error "a range that is none" "--range: '1M,x'" attach --range 1M,x "$tmp/none"

# Help

try "--version" "$HYBRIDCTL" --version
is "version of a command" "$("$HYBRIDCTL" list --version)" "$("$HYBRIDCTL" --version)"
is "help of a command" "$("$HYBRIDCTL" help alloc)" "$("$HYBRIDCTL" alloc --help)"
is "help without one" "$("$HYBRIDCTL" help)" "$("$HYBRIDCTL" --help)"
usage_error "help of no command" "no command 'mount'" help mount
usage_error "help of two commands" "takes one command" help alloc free
for command in list info stat top map; do
	"$HYBRIDCTL" $command --help | grep -qx ' *-b, --bytes' || echo "$command -b"
	"$HYBRIDCTL" $command --help | grep -qx ' *-n, --noheadings' || echo "$command -n"
done >"$tmp/letters"
is "-b and -n mean the same everywhere" "$(cat "$tmp/letters")" ""
help=$("$HYBRIDCTL" --help)
is "--help succeeds" $? 0
for command in $(printf '%s\n' "$help" | sed -n '/^COMMANDS/,/^$/s/^  *\([a-z]*\) .*/\1/p'); do
	missing=
	text=$("$HYBRIDCTL" "$command" --help) || missing="status $?"
	for section in NAME SYNOPSIS DESCRIPTION OPTIONS "EXIT STATUS" EXAMPLES; do
		printf '%s\n' "$text" | grep -qx "$section" || missing="$missing $section"
	done
	is "$command --help has all sections" "$missing" ""
	is "$command --help fits a terminal" \
		"$(printf '%s\n' "$text" | grep -v '^  *[* ][j ] [A-Z]' | grep -E '.{81}')" ""
done
try_not "output that cannot be written is a failure" "cannot write the output" \
	sh -c "$HYBRIDCTL --help >/dev/full"

# Advice, which needs hybrid-sim and no module

usage_error "advice without a disk" "needs the size of the disk, such as --disk 2T" advise "$tmp/trace"
usage_error "advice without a trace" "advise needs TRACE" advise --disk 1G
usage_error "a disk of less than a block" "needs the size of the disk" advise --disk 4095 "$tmp/trace"
usage_error "a disk that is no size" "--disk: '2TT' has an unknown unit" advise --disk 2TT "$tmp/trace"
try_not "advice on a trace that does not exist" "cannot read $tmp/none: there is no such file (ENOENT)" \
	"$HYBRIDCTL" advise --disk 1G "$tmp/none"
printf 'a 1 2M\na 2 1M\na 3 1M\na 4 4M\nf 1\nf 3\na 5 1M\na 6 2M\n' >"$tmp/trace"
is "advice: best fit holds what first fit does not" \
	"$("$HYBRIDCTL" advise --raw --noheadings --disk 8M "$tmp/trace" | grep -v '^hybrid_alloc ')" \
	"best-fit 0 0B 0  1.00000 8M
first-fit 1 2M 8 0.75000 1.00000 10M"
json=$("$HYBRIDCTL" advise --json --disk 64M - <"$tmp/trace")
is "advice in JSON, on standard input" "$(printf '%s\n' "$json" | tr -d ' \n' | sed 's/"smallest_disk":[0-9]*/"smallest_disk":N/g')" \
	'{"advise":['"$(for allocator in hybrid_alloc best-fit first-fit; do
		printf '{"allocator":"%s","disk":67108864,"allocs":6,"refused":0,"refused_bytes":0,"first_refused_op":0,' $allocator
		printf '"first_refused_fill":null,"max_fill":0.12500,"smallest_disk":N},'
	done | sed 's/,$//')"']}'
is "... and its smallest disk is no less than what is live" \
	"$(printf '%s\n' "$json" | sed -n 's/.*"smallest_disk": *\([0-9]*\).*/\1/p' | awk '$1 < 8388608' | wc -l)" 0
is "a table of advice" "$("$HYBRIDCTL" advise --disk 1G --bytes -o ALLOCATOR,DISK "$tmp/trace" | tr -s ' ')" \
	"ALLOCATOR DISK
hybrid_alloc 1073741824
best-fit 1073741824
first-fit 1073741824"
echo 'a 1' >>"$tmp/trace"
try_not "advice on a bad trace" "hybrid-sim: $tmp/trace: line 9: it is none of 'a ID SIZE" \
	"$HYBRIDCTL" advise --disk 1G "$tmp/trace"
is "... fails with 1, and prints no table" "$("$HYBRIDCTL" advise --disk 1G "$tmp/trace" 2>/dev/null; echo $?)" 1
mkdir "$tmp/sbin" && cp "$HYBRIDCTL" "$tmp/sbin/hybridctl"
try_not "advice without hybrid-sim" "cannot run hybrid-sim: it is neither where it is installed nor where it is built (ENOENT). Install" \
	"$tmp/sbin/hybridctl" advise --disk 1G "$tmp/trace"
mkdir -p "$tmp/libexec/hybrid-alloc" && printf '#!/bin/sh\nkill -KILL $$\n' >"$tmp/libexec/hybrid-alloc/hybrid-sim"
chmod +x "$tmp/libexec/hybrid-alloc/hybrid-sim"
try_not "... with one that is killed" "hybrid-sim was ended by a signal (Killed)" \
	"$tmp/sbin/hybridctl" advise --disk 1G "$tmp/trace"

# The look for data on a disk

image=$tmp/image
for kind in $signatures; do
	truncate -s 64M "$image"
	write_signature "$kind" "$image"
	# The remedies, both of them
	try_not "$kind is refused, and wipefs named" "wipefs --all $image" "$HYBRIDCTL" attach "$image"
	try_not "$kind is refused, and --force named" "--force" "$HYBRIDCTL" attach --fresh "$image"
	try_not "$kind is named" "$(signature_name "$kind")" "$HYBRIDCTL" attach "$image"
	try_not "$kind is refused although the range does not touch it" "there is data on it" \
		"$HYBRIDCTL" attach --range 32M "$image"
	# It gets as far as the module, or its absence
	out=$("$HYBRIDCTL" attach --force "$image" 2>&1)
	case $out in
	*"there is data"*) fail "$kind with --force" "$out" ;;
	*) pass "$kind with --force" ;;
	esac
	rm "$image"
done
truncate -s 64M "$image"
out=$("$HYBRIDCTL" attach "$image" 2>&1)
case $out in
*"there is data"*) fail "a blank image is not refused" "$out" ;;
*) pass "a blank image is not refused" ;;
esac
try_not "a disk that does not exist" "there is no such file (ENOENT). \`lsblk\`" \
	"$HYBRIDCTL" attach "$tmp/none"
try_not "a directory" "not a block device (EISDIR)" "$HYBRIDCTL" attach "$tmp"
try_not "an instance that does not exist" "hybridctl list" "$HYBRIDCTL" stat 4294967295
try_not "a node that is another file" "is not a node of hybrid_alloc (ENOTTY)" \
	"$HYBRIDCTL" stat /dev/null
try_not "... to change" "hybridctl list" "$HYBRIDCTL" alloc /dev/null 4K

done_testing
