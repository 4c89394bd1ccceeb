#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The head of the tests that the Makefile makes of the fuzzer.

# run EMULATOR PROGRAM [ARG]...
run()
{
	emulator=$1
	program=$(dirname "$0")/$2
	shift 2
	echo 1..1
	if $emulator "$program" fuzz "$@" 2>&1; then
		echo "ok 1 - hybrid-sim fuzz $*"
	else
		echo "not ok 1 - hybrid-sim fuzz $*"
		exit 1
	fi
}
