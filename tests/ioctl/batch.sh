#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# vm: --kernel stock --kernel debug --timeout 1800
# ALLOC_BATCH and FREE_BATCH: see batch.c
exec batch
