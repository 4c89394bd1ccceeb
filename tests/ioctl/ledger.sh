#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# vm: --kernel stock --kernel debug --timeout 900
# Random calls against a ledger, a million on the debug kernel: see ledger.c
ops=1000000
[ "$KERNEL" = stock ] && ops=200000
[ -z "${SOAK-}" ] || ops=$((ops * 5))
exec ledger --ops "$ops" --seed "${SEED-1}"
