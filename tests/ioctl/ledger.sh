#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# vm: --kernel stock --kernel debug --kernel rt --kernel kcsan --timeout 1800
# Random calls against a ledger, see ledger.c. On the stock kernel these are a
# million, and the accounting is looked at after each; on a small device, as that
# takes time.
ops=300000
if [ "$KERNEL" = stock ]; then
	ops=1000000
	set -- --stat-every 1 --mib 128
fi
[ -z "${SOAK-}" ] || ops=$((ops * 5))
exec ledger --ops "$ops" "$@"
