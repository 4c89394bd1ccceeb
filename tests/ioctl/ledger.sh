#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# vm: --kernel stock --kernel debug --timeout 900
# A million random calls against a ledger, see ledger.c. On the stock kernel the
# accounting is looked at after each; on a small device, as that takes time.
ops=1000000
[ -z "${SOAK-}" ] || ops=$((ops * 5))
if [ "$KERNEL" = stock ]; then
	set -- --stat-every 1 --mib 128
fi
exec ledger --ops "$ops" --seed "${SEED-1}" "$@"
