#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# vm: --kernel stock --kernel debug --kernel rt --kernel kcsan --timeout 1800
# More processes than processors
if [ -z "${SOAK-}" ]; then
	set -- --seconds 8 --rounds 2000
else
	set -- --seconds 300 --rounds 10000
fi
exec hammer --procs 4 "$@"
