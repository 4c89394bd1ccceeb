#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# usage: sim/interleave_tap.sh PROGRAM
#
# What hybrid-sim interleave searches in about three minutes of one processor: all programs of two
# threads and two operations with two preemptions, each on one of the devices; with $SOAK on each
# device, and with three preemptions on one, and more of the larger programs, which takes hours.
# TAP on stdout.

here=$(dirname "$0")
# shellcheck source-path=SCRIPTDIR source=../tests/vm/tap.sh
. "$here/../tests/vm/tap.sh"

sim=$1

counts=$(mktemp) || exit
trap 'rm -f "$counts"' EXIT

# search OPTION...: nothing is wrong, and nothing was left out; says how much was searched
search()
{
	try "hybrid-sim interleave $*" "$sim" interleave "$@"
	printf '%s\n' "$tap_out" | sed 's/^/# /'
	printf '%s\n' "$tap_out" >>"$counts"
	is "... all of it" "$(printf '%s\n' "$tap_out" | awk '$1 == "complete" { print $2 }')" yes
}

# The names of lines "NAME DONE of CALLED" of which DONE is 0 in all searches.
never_done()
{
	awk '/ of / { done[$1] += $(NF - 2) }
		END {
			for (name in done)
				if (!done[name])
					print name
		}' "$counts"
}

if [ -n "${SOAK-}" ]; then
	search --programs all
	search --programs parts
	search --programs all --device turns --preemptions 3
	search --programs 1,300 --ops 3
	search --programs 1,60 --threads 3 --ops 3
	search --programs hand
	search --depth 6
else
	search --programs all --device turns
	search --programs parts --device turns
	search --programs 1,300 --ops 3
	search --programs 1,60 --threads 3 --ops 3 --preemptions 1
	search --programs hand --preemptions 1
	search --depth 4
fi
is "each operation did something in some schedule" "$(never_done)" ""
is "... and all are counted" "$(awk '/ of / { print $1 }' "$counts" | sort -u | wc -l)" 25

done_testing
