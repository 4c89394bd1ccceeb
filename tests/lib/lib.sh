#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# vm: --kernel stock --file tests/lib/lib.sh --file tests/lib/cxx.sh --file build/lib/libhybridalloc.so.0:/lib/ --prog build/lib/tests/libtest --prog build/lib/tests/cxx
# libhybridalloc, each of its functions on the real module: see libtest.c
exec libtest
