#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# Stores that are broken on purpose (tests/lib/broken): store.c has to notice each.
# shellcheck source=tests/vm/tap.sh
. ./tap.sh

# noticed MISTAKE ROUNDS
noticed()
{
	try "$1" "$1" --broken --rounds "$2" --seed "${SEED-1}"
	echo "$tap_out" | grep -m1 '^# wrong'
}

noticed claims-nothing 40
noticed frees-before-record 40
noticed frees-before-write 40
noticed frees-under-readers 0
noticed leaves-unknown 40
noticed writes-after-record 40
done_testing
