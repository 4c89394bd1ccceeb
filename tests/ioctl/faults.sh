#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# vm: --kernel debug --timeout 1800
# No memory, at every place in turn: see faults.c
exec faults
