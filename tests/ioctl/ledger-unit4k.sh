#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# vm: --kernel stock --kernel debug --timeout 1800
# The same with a buddy from 4 KiB, so that nothing is smaller than a unit
ops=10000
[ -z "${SOAK-}" ] || ops=$((ops * 10))
exec ledger --ops "$ops" --slab-max 4096 --buddy-start 4096 --mib 256 --seed "${SEED-4}"
