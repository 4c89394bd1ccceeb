#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# vm: --kernel stock --kernel debug --timeout 900
# More processes than processors
exec hammer --procs 4 --seconds 8 --rounds 2000 --seed "${SEED-1}"
