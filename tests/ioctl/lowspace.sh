#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# vm: --kernel stock --kernel debug --kernel rt --timeout 1800
# poll() and free space that is low: see lowspace.c
exec lowspace
