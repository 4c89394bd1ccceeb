#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# vm: --kernel stock --file tests/lib/store.sh --prog build/lib/tests/store --disk 256M --timeout 600
# The example objstore, killed at any moment: see store.c
[ -z "${SOAK-}" ] || set -- --rounds 1000
exec store --seed "${SEED-1}" "$@"
