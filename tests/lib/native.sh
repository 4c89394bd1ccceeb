#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# libhybridalloc without the module: exported symbols, the header in each language, manual
# pages, an installation. TAP on stdout. $BUILD is the directory of the library.

set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../vm/tap.sh
. "$here/../vm/tap.sh"
top=$(cd "$here/../.." && pwd)
lib=$top/lib
so=$BUILD/libhybridalloc.so
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export LC_ALL=C

# Symbols

grep -oE '\bhybrid_alloc_[a-z_]+;' "$lib/libhybridalloc.map" | tr -d ';' | sort >"$tmp/map"
nm -D --defined-only "$so" | awk '$2 != "A" { print $3 }' | sort >"$tmp/exported"
sed -n 's/.*@@\(.*\)/\1/p' "$tmp/exported" | sort -u >"$tmp/versions"
grep -oE '^LIBHYBRIDALLOC_[0-9.]+' "$lib/libhybridalloc.map" >"$tmp/map-versions"
grep -oE '\bhybrid_alloc_[a-z_]+\(' <(gcc -E -P -I"$top" "$lib/hybridalloc.h") | tr -d '(' |
	sort -u >"$tmp/declared"
sed -i 's/@@.*//' "$tmp/exported"

try "the exported symbols are those of the map, versioned" diff "$tmp/map" "$tmp/exported"
try "the versions are those of the map" diff "$tmp/map-versions" "$tmp/versions"
try "the header declares them, and nothing else" diff "$tmp/map" "$tmp/declared"
is "no function has the name of a structure" "$(grep -ohE '\bstruct hybrid_alloc_[a-z_]+' \
	"$lib/hybridalloc.h" "$top/ioctl_uapi.h" | sed 's/struct //' | sort -u | comm -12 - "$tmp/declared")" ""
is "there are some" "$(wc -l <"$tmp/map")" 36
is "each command of the module's ABI has its function" "$(
	grep -oE '^#define HYBRID_ALLOC_IOC_[A-Z_]+	_IO\(' "$top/ioctl_uapi.h" | awk '{ print $2 }' |
		sed 's/(//' | while read -r name; do
			grep -qw "$name" "$lib/hybridalloc.c" || echo "$name"
		done)" ""
is "the soname" "$(objdump -p "$so" | awk '/SONAME/ { print $2 }')" libhybridalloc.so.0
is "no state: no writable data" \
	"$(size -A "$BUILD/hybridalloc.o" | awk '$1 ~ /^\.(t?data|t?bss)$/ { n += $2 } END { print +n }')" 0

# Languages

echo '#include "hybridalloc.h"' >"$tmp/use.c"
cp "$tmp/use.c" "$tmp/use.cc"
for std in c99 c11 gnu17; do
	for cc in gcc clang; do
		try "the header as $std, by $cc" $cc -std=$std -Wall -Wextra -Wpedantic -Werror \
			-Wstrict-prototypes -I"$lib" -I"$top" -c -o /dev/null "$tmp/use.c"
	done
done
for std in c++11 c++20; do
	for cxx in g++ clang++; do
		try "the header as $std, by $cxx" $cxx -std=$std -Wall -Wextra -Wpedantic \
			-Wold-style-cast -Werror -I"$lib" -I"$top" -c -o /dev/null "$tmp/use.cc"
	done
done

# Manual pages

perl "$(printf '%s\n' /usr/lib/linux-kbuild-*/scripts/kernel-doc | tail -n 1)" -none \
	"$lib/hybridalloc.h" >"$tmp/doc" 2>&1
is "kernel-doc has nothing to complain about" "$(cat "$tmp/doc")" ""
for f in $(cat "$tmp/declared") hybridalloc hybridalloc_abi; do
	page=$BUILD/man/$f.3
	if [ -s "$page" ]; then
		is "$f(3)" "$(groff -ww -man -Tutf8 -Z "$page" 2>&1 >/dev/null)" ""
	else
		fail "$f(3)" "no such page"
	fi
done
# shellcheck disable=SC2013 # words
for f in $(cat "$tmp/declared"); do
	grep -q '^\.SH RETURN' "$BUILD/man/$f.3" || grep -q "^void $f(" "$lib/hybridalloc.h" || echo "$f"
done >"$tmp/without"
is "each function says what it returns" "$(cat "$tmp/without")" ""
is "each page that is named exists" "$(
	grep -ohE 'hybrid_?alloc[a-z_]*(\\fP|\\fR| )?\(3\)' "$BUILD"/man/*.3 |
		sed 's/\\f[PR]//; s/ //; s/(3)//' | sort -u | while read -r name; do
			[ -e "$BUILD/man/$name.3" ] || echo "$name"
		done)" ""

# shellcheck disable=SC2013 # words
for f in $(grep -oE '^(#define |	)HYBRID_ALLOC_[A-Z_]+' "$top/ioctl_uapi.h" | grep -oE 'HYBRID_.*' | grep -v _IOC_); do
	grep -qE "^\.B $f = " "$BUILD/man/hybridalloc_abi.3" || echo "$f"
done >"$tmp/without"
is "hybridalloc_abi(3) has all constants" "$(cat "$tmp/without")" ""
is "no page hyphenates a name" "$(grep -L '^\.nh$' "$BUILD"/man/*.3)" ""
try "hybridalloc(3) tells what a forgotten size gives" grep -q 'EINVAL if the size was forgotten' "$BUILD/man/hybridalloc.3"

# What README.md and the example say

echo 'int main(void) { return !*hybrid_alloc_version(); }' | cat "$tmp/use.c" - >"$tmp/FILE.c"
# shellcheck disable=SC2016 # the document's marks
command=$(grep -oE '`cc -Ilib [^`]*`' "$top/README.md" | tr -d '`' | sed "s|build/lib|$BUILD|; s|FILE|$tmp/FILE|; s|\$| -o $tmp/of-readme|")
try "a program, compiled as README.md says" sh -c "cd '$top' && $command"
try "it runs" "$tmp/of-readme"
try "the example, with the library of this tree" make -C "$top/examples/objstore" BUILD="$tmp/example" LIB="$BUILD"
case $(env -u LD_LIBRARY_PATH "$tmp/example/objstore" 2>&1) in
*"loading shared libraries"*) fail "it runs" "the library is not found" ;;
*) pass "it runs" ;;
esac

# Installation

try "make install" make -C "$lib" BUILD="$BUILD" DESTDIR="$tmp/root" PREFIX=/opt/ha install
export PKG_CONFIG_PATH=$tmp/root/opt/ha/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$tmp/root
cat >"$tmp/use.c" <<-END
	#include <hybridalloc.h>
	#include <stdio.h>
	int main(void)
	{
		puts(hybrid_alloc_version());
		return hybrid_alloc_open("/dev/null", 0) >= 0;
	}
END
try "pkg-config knows it" pkg-config --print-errors --exists hybridalloc
# shellcheck disable=SC2046 # words
try "a program that uses what was installed" gcc -Wall -Werror -o "$tmp/use" "$tmp/use.c" \
	$(pkg-config --cflags --libs hybridalloc)
is "it runs, and the versions agree" "$(LD_LIBRARY_PATH=$tmp/root/opt/ha/lib "$tmp/use")" \
	"$(pkg-config --modversion hybridalloc)"
# shellcheck disable=SC2046 # words
try "the same linked to the static library" gcc -static -o "$tmp/static" "$tmp/use.c" \
	$(pkg-config --static --cflags --libs hybridalloc)
is "it runs" "$("$tmp/static")" "$(pkg-config --modversion hybridalloc)"
done_testing
