#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# usage: scripts/deps.sh tools|lib|fio|deb|demo|bench|append|profile|test
#
# Installs the Debian packages that are missing to build hybridctl, to build
# libhybridalloc and its manual pages, the engine for fio, to build Debian packages, to
# run the demo (the stock kernel's headers, a virtual machine), the benchmark, the
# comparison with file systems (bench/append-beside), a profile, or to run all tests (the
# kernel's source, checkers).

set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

tools=(gcc libc6-dev make pkg-config libsmartcols-dev libblkid-dev)
lib=(gcc libc6-dev make perl linux-kbuild-6.1)
fio=(gcc libc6-dev make fio dpkg-dev debian-archive-keyring)
deb=("${tools[@]}" "${lib[@]}" dpkg-dev debhelper dh-dkms)
demo=("${tools[@]}" linux-headers-cloud-amd64 patch perl kmod qemu-system-x86
	busybox-static fio)
bench=("${demo[@]}" jq bsdextrautils gnuplot-nox)
append=("${bench[@]}" e2fsprogs xfsprogs)
profile=("${tools[@]}" jq bsdextrautils valgrind)
test=("${demo[@]}" "${fio[@]}" "${deb[@]}" dkms lintian udev g++ groff-base zlib1g-dev linux-source-6.1 xz-utils
	bzip2 ccache flex bison bc libelf-dev libssl-dev gcc-multilib binutils-s390x-linux-gnu libc6-dev-s390x-cross
	libgcc-12-dev-s390x-cross qemu-user sparse clang libclang-rt-dev shellcheck
	dmsetup jq man-db mandoc openssl bpftrace python3 python3-jsonschema mmdebstrap e2fsprogs)

case ${1-} in
tools) wanted=("${tools[@]}") ;;
lib) wanted=("${lib[@]}") ;;
fio) wanted=("${fio[@]}") ;;
deb) wanted=("${deb[@]}") ;;
demo) wanted=("${demo[@]}") ;;
bench) wanted=("${bench[@]}") ;;
append) wanted=("${append[@]}") ;;
profile) wanted=("${profile[@]}") ;;
test) wanted=("${test[@]}") ;;
*) die "see the head of $0 for its usage" ;;
esac

installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' 2>/dev/null |
	sed -n 's/ installed$//p')
missing=$(printf '%s\n' "${wanted[@]}" | grep -vxF "$installed" || true)
[ -n "$missing" ] || exit 0

missing=${missing//$'\n'/ }
say "installing Debian packages: $missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Of what apt-get says, what tells how far it is; all of it if it fails.
install()
{
	local n=0 line

	# shellcheck disable=SC2086 # a list of words
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -o Dpkg::Use-Pty=0 --no-remove \
		install --no-install-recommends $missing 2>&1 | tee "$log" |
		while read -r line; do
			case $line in
			"Setting up "*) [ $((n++ % 20)) = 0 ] || continue ;;
			"Need to get "*|"Fetched "*) ;;
			*) continue ;;
			esac
			printf '    %s\n' "$line" >&2
		done
}

# The lists of packages may be missing (fresh machine) or too old.
install || {
	say "updating the list of packages"
	as_root apt-get -qq update >&2
	install
} || { tail -n 20 "$log" >&2; die "cannot install $missing"; }
