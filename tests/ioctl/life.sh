#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# vm: --kernel stock --kernel debug --timeout 1800
# Attach, detach, rmmod, rebuild: see life.c
exec life
