#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# vm: --kernel stock --kernel debug --timeout 1800
# MAP, and the free runs of STAT: see map.c
exec map
