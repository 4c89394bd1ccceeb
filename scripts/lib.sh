# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the scripts share; to be sourced.

# shellcheck disable=SC2034 # for those who source this
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${HYBRID_ALLOC_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hybrid_alloc}

# depmod and modinfo, for those who are not root
PATH=$PATH:/usr/sbin:/sbin

# Progress goes to stderr: some scripts print a path for others on stdout.
say()
{
	printf '%s\n' "--- $*" >&2
}

die()
{
	printf '%s\n' "${0##*/}: $*" >&2
	exit 1
}

as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "needs root to run: $*"
	fi
}

# Only one at a time makes the entry of the cache that is named $1; to be
# called in a subshell, whose end drops the lock.
cache_lock()
{
	mkdir -p "$cache" || die "cannot make $cache"
	exec 9>"$cache/.lock-$1"
	flock -n 9 || { say "waiting for another run that prepares $1"; flock 9; }
}

# Where this system has its Debian packages from, as lines of a sources.list; $1 is
# deb or deb-src.
debian_sources()
{
	local keys=/usr/share/keyrings/debian-archive-keyring.gpg

	# shellcheck disable=SC2015 # the assignment does not fail
	[ -e $keys ] && keys=" [signed-by=$keys]" || keys=''
	apt-get indextargets --format "$1$keys \$(SITE) \$(RELEASE) \$(COMPONENT)" \
		'Created-By: Packages' 'Origin: Debian' | sort -u
}

# The tests of tests/vm/list: a line "KERNEL VM NAME COMMAND" for each kernel of each test.
vm_list()
{
	awk -f "$top/tests/vm/list.awk" "$top/tests/vm/list"
}

# vm_options VM: those of one of its machines
vm_options()
{
	awk -v vm="$1" -f "$top/tests/vm/list.awk" "$top/tests/vm/list"
}
