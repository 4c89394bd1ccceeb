#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# vm: --kernel stock --kernel debug --kernel rt --kernel kcsan --timeout 1800
# A processor that goes away with full pools: see hotplug.c
[ -z "${SOAK-}" ] || set -- --rounds 300
exec hotplug "$@"
