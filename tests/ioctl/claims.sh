#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# vm: --kernel stock --timeout 1800
# A million extents claimed after an attach: see claims.c
[ -z "${SOAK-}" ] || set -- --all
exec claims "$@"
