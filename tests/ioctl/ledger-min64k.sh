#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# vm: --kernel stock --kernel debug --timeout 1800
# The same with blocks of 64 KiB, a buddy from 4 MiB and small slabs
ops=30000
[ -z "${SOAK-}" ] || ops=$((ops * 10))
exec ledger --ops "$ops" --min-block 65536 --slab-max 262144 --buddy-start 4194304 --seed "${SEED-3}"
