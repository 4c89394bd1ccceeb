#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# libhybridalloc from C++: see cxx.cc
# shellcheck source=tests/vm/tap.sh
. ./tap.sh

try "the module takes a disk" insmod /lib/hybrid-alloc.ko device="${DISKS%% *}" mode=fresh
try "a C++ program" cxx 0
try_not "what it throws" "No such file" cxx 7
try "the module goes" rmmod hybrid_alloc
done_testing
