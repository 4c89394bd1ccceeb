#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# vm: --kernel stock --icount --disk none --timeout 600
# The instructions that it takes to attach: see cost.c
exec cost
