#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# vm: --kernel stock --icount --disk none --timeout 600
# The instructions that a claim takes: see claims.c
exec claims --all --extents 100000 --instructions
