#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# Random calls against a ledger, in other configurations than the default
# shellcheck source=tests/vm/tap.sh
. ./tap.sh

ops=10000
[ -z "${SOAK-}" ] || ops=$((ops * 30))

# with SIZES...: in bytes, as ledger.c takes them
with()
{
	try "ledger $*" ledger --ops $ops "$@"
}

with --min-block 65536
with --min-block 1048576 --slab-max 1048576
with --slab-max 4096
with --slab-max 4194304
with --buddy-start 4096 --slab-max 4096
with --buddy-start 65536 --slab-max 32768
with --buddy-start 16777216
with --min-block 8192 --slab-max 131072 --buddy-start 524288 --range-start 12288
done_testing
