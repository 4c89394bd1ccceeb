#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# vm: --kernel stock --kernel debug --timeout 1800
# The same on a range that does not begin at 0
ops=100000
[ -z "${SOAK-}" ] || ops=$((ops * 10))
exec ledger --ops "$ops" --range-start 1060864 --seed "${SEED-2}"
