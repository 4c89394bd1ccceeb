# SPDX-License-Identifier: GPL-2.0
#
# usage: awk -v disk=/dev/vda [-v only=verify] -f jobs.awk OWNER...
#
# Makes a fio job file out of the lists of extents of several owners, one
# "START LEN" in a line, in files whose names end with their numbers. First
# everybody writes, all at the same time, then, when the last is through,
# everybody reads. The pattern is another one for each extent, so that where two
# overlap one of them reads what the other wrote. Verifying while others still
# write, or with checksums, would find little: a block of the other one has a
# valid checksum, too.

function job(phase, n) {
	printf "\n[%s-%s-%d]\n", phase, name[n], n
	printf "rw=%s\noffset=%s\nsize=%s\nbs=%d\nverify_pattern=0x%02x%06x\n",
		phase == "write" ? "write" : "read", start[n], len[n], bs[n], owner[n], line[n]
}

FNR == 1 {
	nr_owners++
	match(FILENAME, /[0-9]+$/)
	number = substr(FILENAME, RSTART)
}

{
	nr++
	name[nr] = FILENAME
	sub(/.*\//, "", name[nr])
	owner[nr] = number
	line[nr] = FNR
	start[nr] = $1
	len[nr] = $2
	# The largest power of two up to 256 KiB that divides the length
	for (bs[nr] = 4096; bs[nr] < 262144 && $2 % (2 * bs[nr]) == 0; )
		bs[nr] *= 2
}

END {
	print "# " nr " extents of " nr_owners " owners"
	print "[global]\nfilename=" disk "\ndirect=1\nioengine=psync\nthread=1"
	print "verify=pattern\nverify_state_save=0\nverify_fatal=1\ndo_verify=0\ngroup_reporting=1"
	for (n = 1; n <= nr && only != "verify"; n++)
		job("write", n)
	for (n = 1; n <= nr; n++) {
		job("verify", n)
		# This one waits for all that are above it.
		if (n == 1 && only != "verify")
			print "stonewall"
	}
}
