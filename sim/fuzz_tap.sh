#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The head of the tests that the Makefile makes of the fuzzer.
run()
{
	program=$(dirname "$0")/$1
	shift
	echo 1..1
	if "$program" fuzz "$@" 2>&1; then
		echo "ok 1 - hybrid-sim fuzz $*"
	else
		echo "not ok 1 - hybrid-sim fuzz $*"
		exit 1
	fi
}
