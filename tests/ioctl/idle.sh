#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# vm: --kernel stock --kernel debug --timeout 1800
# Pools that nobody uses, and memory that is short: see idle.c
[ -z "${SOAK-}" ] || set -- --seconds 120
exec idle "$@"
