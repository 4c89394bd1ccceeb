#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# vm: --kernel stock --timeout 1800
# matrix: for many extents; where locks are checked that takes very long
# A device of 100 TiB: see huge.c
ops=1000000
[ -z "${SOAK-}" ] || ops=$((ops * 10))
exec huge --ops "$ops"
