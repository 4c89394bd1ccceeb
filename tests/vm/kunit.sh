#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
#
# Runs the KUnit suites in the guest: loads each module of /lib/kunit and turns
# the KTAP of the kernel's log into TAP, a test for each case. insmod succeeds
# even when cases fail, and what debugfs keeps of a case's log is cut at 512
# bytes, hence the log.

n=0
# insmod waits for as long as a case takes, on a busy machine for minutes; it is
# KUnit that puts an end to it.
hung=/proc/sys/kernel/hung_task_timeout_secs
[ ! -w $hung ] || echo 600 >$hung

# suites FILE SEED
suites()
{
	ko=$1
	mark="kunit.sh loads $ko with seed $2"
	echo "$mark" >/dev/kmsg
	if ! insmod "$ko" hatest_seed="$2"; then
		n=$((n + 1))
		echo "not ok $n - $ko can be loaded"
		dmesg | tail -n 5 | sed 's/^/# /'
		return
	fi
	dmesg | sed -e "1,\\|$mark|d" -e 's/^\[[^]]*\] //' | awk -v n="$n" -v ko="$ko" '
		# Cases are indented by four, a case of a parameterised one by more.
		/^    # Subtest: / { suite = $3; planned = 0; ran = 0; failed = 0; detail = ""; next }
		/^    1\.\./ { planned = substr($1, 4); next }
		/^    (not )?ok / {
			bad = /^    not/
			sub(/^ *(not )?ok [0-9]+ (- )?/, "")
			n++
			print (bad ? "not ok " : "ok ") n " - " suite ": " $0
			if (bad)
				printf "%s", detail
			detail = ""
			ran++
			failed += bad
			next
		}
		/^(not )?ok [0-9]+ / {
			suites++
			if (ran != planned || (/^not/ && !failed)) {
				n++
				print "not ok " n " - " suite " ran all its cases"
				print "# " ran " of " planned
				printf "%s", detail
			}
			suite = ""
			next
		}
		suite { sub(/^ *(# )?/, ""); detail = detail "# " $0 "\n" }
		END {
			if (suite || !suites) {
				n++
				print "not ok " n " - " ko (suite ? " ended in " suite : " has no suite")
			}
			print n >"/tmp/n"
		}'
	n=$(cat /tmp/n)
	rmmod "$(basename "$ko" .ko)"
}

# In the long form with 20 seeds.
seed=${SEED-1}
last=$seed
[ -z "${SOAK-}" ] || last=$((seed + 19))
while [ "$seed" -le "$last" ]; do
	for file in /lib/kunit/*.ko; do
		suites "$file" "$seed"
	done
	seed=$((seed + 1))
done
[ "$n" != 0 ] || { n=1; echo "not ok 1 - there are KUnit suites in /lib/kunit"; }
echo "1..$n"
