#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# vm: --kernel stock --kernel rt --smp 1 --timeout 1800
# Tracepoints; the debug kernel has no tracefs. See tracing.c. On one processor: under
# emulation another one may for ever execute what the kernel has patched long ago.
exec tracing
