#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# vm: --kernel stock --timeout 1800
# matrix: those kernels have no tracefs
# Tracepoints; the debug kernel has no tracefs. See tracing.c
exec tracing
