#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# vm: --kernel stock --timeout 1800
# matrix: for many extents; where locks are checked that takes very long
# A million extents claimed after an attach: see claims.c
[ -z "${SOAK-}" ] || set -- --all
exec claims "$@"
