#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# In the guest: makes every mistake that mistakes.ko knows.

# shellcheck source=tests/vm/tap.sh
. ./tap.sh

# The first report turns lockdep off, so its own come first; "leak" is reported
# by the last scan.
for kind in lock-order sleep shift use-after-free leak warn; do
	try "$kind: inserted" insmod /lib/mistakes.ko kind=$kind
	try "$kind: removed" rmmod mistakes
done
done_testing
