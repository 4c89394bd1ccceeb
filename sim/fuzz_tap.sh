#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The functions of the tests that the Makefile makes of the fuzzer. It appends a call of
# run or run_situations.

n=0
status=0

# fuzz EMULATOR PROGRAM ARG...: one test
fuzz()
{
	emulator=$1
	program=$2
	shift 2
	n=$((n + 1))
	if $emulator "$program" fuzz "$@" 2>&1; then
		echo "ok $n - hybrid-sim fuzz $*"
	else
		echo "not ok $n - hybrid-sim fuzz $*"
		status=1
	fi
}

# run EMULATOR PROGRAM OPS [ARG]...
run()
{
	emulator=$1
	program=$(dirname "$0")/$2
	ops=$3
	shift 3
	echo 1..1
	fuzz "$emulator" "$program" --ops "$ops" "$@"
	exit $status
}

# run_situations EMULATOR PROGRAM OPS --threads N [ARG]...: a test for each situation;
# they share the operations
run_situations()
{
	emulator=$1
	program=$(dirname "$0")/$2
	ops=$3
	shift 3
	situations=$($emulator "$program" fuzz --list) || exit
	nr=$(echo "$situations" | wc -l)
	echo "1..$nr"
	for situation in $situations; do
		# other seeds, and so other devices, for each situation
		fuzz "$emulator" "$program" --seed $((1000 * n + 1)) --ops $((ops / nr)) \
			--situation "$situation" "$@"
	done
	exit $status
}
