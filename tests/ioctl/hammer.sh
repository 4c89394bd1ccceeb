#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# vm: --kernel stock --kernel debug --timeout 1800
# Processes that work on one node: see hammer.c
[ -z "${SOAK-}" ] || set -- --seconds 300 --rounds 30000
exec hammer "$@"
