#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
#
# usage (in the guest): engine.sh [--overlap [--broken]]
#
# The jobs of fio/ on a virtio disk, each for a moment: they end without an error, have the
# figures that their comments promise, and leave nothing behind. With --overlap only the job
# that looks for extents that overlap; with --broken the module hands some out twice, and
# the test is that fio finds it.

# shellcheck source=tests/vm/tap.sh
. ./tap.sh

what=${1-}
broken=${2-}
cd fio || exit
out=/tmp/fio.json

charged()
{
	hybridctl stat -b -n -r -o CHARGED 0
}

# job NAME [SED-SCRIPT]: runs it, shortened; $status, $out and $out.err are what comes of it
job()
{
	sed -e 's/^runtime=.*/runtime=200ms/; s/^size=4m/size=1m/; s/^size=64m/size=16m/' -e "${2-}" "$1.fio" >/tmp/job.fio
	fio --output-format=json --output=$out.all /tmp/job.fio >$out.err 2>&1
	status=$?
	# messages may come before
	sed -n '/^{/,$p' $out.all >$out
	sed '/^{/,$d' $out.all >>$out.err
}

# job_runs NAME [SED-SCRIPT]
job_runs()
{
	job "$@"
	if [ $status = 0 ]; then
		pass "$1 ends well"
	else
		fail "$1 ends well" "status $status
$(tail -n 5 $out.err; jq -c '.jobs[] | [.jobname, .error]' $out)"
	fi
	all "$1: no job has an error" '.error == 0'
	is "$1 leaves nothing behind" "$(charged)" 0
}

# all NAME CONDITION [JOBS]: holds for all jobs whose names match, of which there are some
all()
{
	if [ "$(jq "[.jobs[] | select(.jobname | test(\"${3-.}\"))] | length > 0 and all($2)" $out)" = true ]; then
		pass "$1"
	else
		fail "$1" "$(jq -c '.jobs[] | [.jobname, .error, .total_err, .write.clat_ns.percentile,
			.trim.clat_ns.percentile, .write.slat_ns.mean]' $out)"
	fi
}

# that DDIR has had operations, and the times DDIR.LAT have percentiles that make sense
timed()
{
	echo ".$1.total_ios > 0 and (.$1.$2.percentile |
		.\"50.000000\" > 0 and .\"99.000000\" >= .\"50.000000\" and .\"99.900000\" >= .\"99.000000\")"
}

# Owner-specific patterns, all written before anything is read. A module that is broken
# does not survive for long that things are freed.
overlap()
{
	if [ -z "$broken" ]; then
		job_runs no-overlap
		all "all is read" '(.jobname | test("^write")) or .read.io_bytes > 0'
		return
	fi
	job no-overlap 's/^loops=.*/loops=1/; s/^mode=io/&\nkeep=1/'
	found=$(grep -c 'verify failed' $out.err)
	if [ $status != 0 ] && [ "$found" -gt 0 ]; then
		pass "no-overlap finds the extents that were handed out twice ($found messages)"
	else
		fail "no-overlap finds the extents that were handed out twice" "fio ended with $status
$(tail -n 20 $out.err)"
	fi
	# What is wrong here cannot be freed in good order.
	hybridctl detach --force 0
}

# refuses NAME MESSAGE SED-SCRIPT OF JOB: an option that makes no sense, and what is said
refuses()
{
	job "$4" "$3"
	if [ $status != 0 ] && grep -qF "$2" $out.err; then
		pass "$1"
	else
		fail "$1" "status $status
$(cat $out.err)"
	fi
}

# overwrites: what is on the disk is of the jobs that ran before, in the same machine
try "the module takes the disk" insmod /lib/hybrid-alloc.ko device=/dev/vda mode=overwrite || exit
if [ -n "$what" ]; then
	overlap
	[ -n "$broken" ] || try "detached" hybridctl detach 0
	try "the module goes" rmmod hybrid_alloc
	done_testing
	exit
fi

for file in *.fio; do
	try "$file is a proper job" fio --warnings-fatal --parse-only "$file"
done
sed 's/^mode=.*/mode=nonsense/' data.fio >/tmp/job.fio
try_not "a job that is none is found" "" fio --warnings-fatal --parse-only /tmp/job.fio

job_runs alloc-latency
all "alloc-latency: percentiles of ALLOC" "$(timed write clat_ns)"
all "alloc-latency: percentiles of FREE" "$(timed trim clat_ns)"

job_runs mixed-sizes
all "mixed-sizes: percentiles of ALLOC and FREE" "$(timed write clat_ns) and $(timed trim clat_ns)"

job_runs enospc
all "enospc: the disk is filled" '.write.io_bytes >= 1000 * 1024 * 1024' fill
all "enospc: refusals are counted" '.total_err > 0' full
all "enospc: it goes on at a full disk" "$(timed write clat_ns) and $(timed trim clat_ns)" full

job_runs aging
all "aging: percentiles before and after" "$(timed write clat_ns) and $(timed trim clat_ns)"

job_runs data
all "data: slat is there" "$(timed write slat_ns)" 'write|log'
all "data: clat is there" "$(timed write clat_ns)" 'write|log'
all "data: what was written is read" '.read.io_bytes == 16777216' large

# What is said about mistakes
refuses "data needs direct=1" "needs direct=1" '/^direct/d' data
refuses "one I/O at a time" "use numjobs=" 's/^direct.*/&\niodepth=8/' data
refuses "blocks larger than slots" "set blockalign= to the largest block" '/^blockalign/d' mixed-sizes
refuses "two jobs on one file" "give each a filename= of its own" '/^numjobs/a filename=x' mixed-sizes
refuses "an instance that is not there" "hybridctl list" 's/^mode=.*/&\nnode=7/' data
refuses "a disk that is not there" "disk= names another path" 's|^mode=.*|&\ndisk=/dev/none|' data
refuses "bound=1 and keep=1" "leave out bound= or keep=" 's/^mode=.*/&\nbound=1\nkeep=1/' data
sed 's/fio-3\./fio-2./g' hybrid_alloc.so >/tmp/other.so
refuses "an engine for another fio" "run \`make fio\` again" \
	's|^ioengine=.*|ioengine=external:/tmp/other.so|' data
is "mistakes leave nothing behind" "$(charged)" 0

# What stays
job data 's/^mode=.*/&\nkeep=1/'
try "keep=1 keeps the extents" [ "$(charged)" -gt 0 ]
hybridctl dump 0 | hybridctl free 0 -
is "they can be freed as others" "$(charged)" 0
job data 's|^mode=.*|&\nkeep=1\nalign=1m\nnode=/dev/hybrid_alloc0|'
hybridctl dump 0 >/tmp/aligned
is "align=1m: where they are" "$(awk -F: '/^#/ { next } { n++ } $1 % 1048576 { n = 0; exit }
	END { print (n > 0) }' /tmp/aligned)" 1
hybridctl free --file /tmp/aligned 0
HYBRID_ALLOC_NODE=7
export HYBRID_ALLOC_NODE
refuses "another instance by the environment" "instance 7" 's/^direct.*/&/' data
unset HYBRID_ALLOC_NODE
for bound in 1 0; do
	sed -e "s/^mode=.*/&\nbound=$bound/" -e 's/^runtime=.*/runtime=20/' mixed-sizes.fio >/tmp/job.fio
	fio /tmp/job.fio >/dev/null 2>&1 &
	tries=50
	while [ "$(charged)" = 0 ] && [ $tries -gt 0 ]; do
		usleep 100000
		tries=$((tries - 1))
	done
	kill -9 $!
	wait $!
	if [ $bound = 1 ]; then
		is "after kill -9 what was bound goes back" "$(charged)" 0
	else
		try "what was not stays" [ "$(charged)" -gt 0 ]
		hybridctl dump 0 | hybridctl free 0 -
	fi
done

# The kernel and fio agree.
is "the disk is one free run again" \
	"$(hybridctl drain 0; hybridctl stat --runs -b -n -r -o NR_FREE_RUNS,CHARGED,CACHED 0)" "1 0 0"
try "nothing is broken" hybridctl check 0
try "detached" hybridctl detach 0
try "the module goes" rmmod hybrid_alloc
done_testing
