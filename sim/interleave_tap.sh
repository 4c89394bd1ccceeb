#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# usage: sim/interleave_tap.sh PROGRAM
#
# What hybrid-sim interleave searches for about a minute; with $SOAK all that it is for,
# which takes hours. TAP on stdout.

here=$(dirname "$0")
# shellcheck source-path=SCRIPTDIR source=../tests/vm/tap.sh
. "$here/../tests/vm/tap.sh"

sim=$1

# search OPTION...: nothing is wrong; says how much was searched
search()
{
	try "hybrid-sim interleave $*" "$sim" interleave "$@"
	printf '%s\n' "$tap_out" | sed 's/^/# /'
}

if [ -n "${SOAK-}" ]; then
	search --programs all
	search --programs 1,300 --ops 3
	search --programs 1,60 --threads 3 --ops 3
	search --programs hand
	search --depth 6
else
	# each kind of device and of magazine; what is not here has one object or group more
	for device in 8.4K.1 11.4K.2 16.4Ks.1 11.1M.2; do
		search --programs all --preemptions 1 --device $device
	done
	search --programs 1,100
	search --programs 2,50 --ops 3 --preemptions 1
	search --programs 3,20 --threads 3 --ops 3 --preemptions 1
	search --programs hand --preemptions 1
	search --depth 4
fi

done_testing
