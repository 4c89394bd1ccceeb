#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
#
# usage (in the guest): tutorial.sh
#
# The commands of the tutorials, each of which must succeed, and the program of one.

# shellcheck source=tests/vm/tap.sh
. ./tap.sh

# Where modprobe and insmod look for them
mkdir -p "/lib/modules/$(uname -r)/updates"
cp /lib/hybrid-alloc.ko "/lib/modules/$(uname -r)/updates/"
echo "updates/hybrid-alloc.ko:" >>"/lib/modules/$(uname -r)/modules.dep"

# steps FILE: a line each, in one shell, as what one sets another uses
steps()
{
	nr=0
	while IFS= read -r command <&3; do
		if eval "$command" >/tmp/said 2>&1; then
			pass "$command"
		else
			fail "$command" "$(cat /tmp/said)"
		fi
		nr=$((nr + 1))
	done 3<"$1"
	is "all commands of $1" "$nr" "$(wc -l <"$1")"
}

before=$(pwd)
steps operator
try "the map was drawn" grep -q '</svg>' map.svg

insmod /lib/hybrid-alloc.ko
try "the program" engine /dev/vdb
is "a second free is refused" "$tap_out" \
	"the second free is refused: not allocated: never, or already freed"
is "it has detached" "$(hybridctl list -n)" ""
rmmod hybrid_alloc

cd "$before/readme" || exit
steps "$before/readme.sh"

cd /lib || exit
# where the build has left it
mkdir -p store && cp ha_user.ko store/
steps "$before/kernel"
done_testing
