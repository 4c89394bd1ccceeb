# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# TAP for tests in the guest's shell; to be sourced. Call done_testing at the end.

tap_count=0
tap_failed=0

# pass NAME, fail NAME [DETAIL]
pass()
{
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1"
}

fail()
{
	tap_count=$((tap_count + 1))
	tap_failed=$((tap_failed + 1))
	echo "not ok $tap_count - $1"
	[ -z "${2-}" ] || printf '%s\n' "$2" | sed 's/^/# /'
}

skip()
{
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1 # SKIP $2"
}

# try NAME COMMAND...: the command must succeed; its output is shown if not
try()
{
	tap_name=$1
	shift
	if tap_out=$("$@" 2>&1); then
		pass "$tap_name"
	else
		fail "$tap_name" "status $?: $*
$tap_out"
		return 1
	fi
}

# try_not NAME PATTERN COMMAND...: it must fail and say something that matches
try_not()
{
	tap_name=$1
	tap_pattern=$2
	shift 2
	if tap_out=$("$@" 2>&1); then
		fail "$tap_name" "succeeded: $*
$tap_out"
		return 1
	fi
	case $tap_out in
	*$tap_pattern*) pass "$tap_name" ;;
	*) fail "$tap_name" "'$*' failed as it should, but did not say '$tap_pattern':
$tap_out"; return 1 ;;
	esac
}

# refuses NAME PATTERN COMMAND...: a wrong command line: status 2, nothing on standard
# output, and a message that is like the pattern
refuses()
{
	tap_name=$1
	tap_pattern=$2
	shift 2
	tap_err=$(mktemp)
	tap_out=$("$@" 2>"$tap_err" </dev/null)
	tap_status=$?
	tap_said=$(cat "$tap_err")
	rm -f "$tap_err"
	# shellcheck disable=SC2254 # it is a pattern
	case $tap_status$tap_out$tap_said in
	2$tap_pattern) pass "$tap_name" ;;
	*) fail "$tap_name" "status $tap_status: $*
expected 2 and '$tap_pattern'
$tap_out$tap_said" ;;
	esac
}

# is NAME GOT EXPECTED
is()
{
	if [ "$2" = "$3" ]; then
		pass "$1"
	else
		fail "$1" "got '$2', expected '$3'"
	fi
}

done_testing()
{
	echo "1..$tap_count"
	[ $tap_failed = 0 ]
}
