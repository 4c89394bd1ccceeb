#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# usage: tools/test-doc.sh [BUILD]
#
# The manual pages, the completion and the schemas: that they are what the tool
# says today, without mistakes, and that no option is without a test. BUILD has
# the tool, by default build/tools. TAP on stdout.

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../tests/vm/tap.sh
. "$here/../tests/vm/tap.sh"

build=$(realpath "${1-$here/../build/tools}")
tmp=$(mktemp -d) || exit
trap 'rm -rf "$tmp"' EXIT
PATH=$build:$PATH
cd "$here" || exit

# Made from the tables

make -s doc BUILD="$build" DOC="$tmp"
for made in man/hybridctl.8 completion/hybridctl $(cd "$tmp" && echo schema/*); do
	is "$made is up to date (or run: make -C tools doc)" "$(diff "$tmp/$made" "$made")" ""
done
is "no schema without a command" "$(ls schema)" "$(ls "$tmp/schema")"

# Manual pages

for page in man/*; do
	is "$page: mandoc finds nothing wrong" "$(mandoc -T lint "$page" 2>&1)" ""
	is "$page: groff finds nothing wrong" \
		"$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)" ""
done
page=$(mandoc -T ascii man/hybrid_alloc.4 | sed 's/.\x08//g')
missing=
for name in $(sed -n 's/^#define HYBRID_ALLOC_IOC_\([A-Z_]*\)	*_IO(.*/\1/p' ../ioctl_uapi.h) \
	$(sed -n 's/^module_param[a-z_]*(\([a-z_]*\),.*/\1/p' ../hybrid_alloc.c); do
	grep -qw "$name" <<<"$page" || missing+=" $name"
done
is "hybrid_alloc.4 names all ioctls and parameters" "$missing" ""

# The reference of the ABI

is "docs/abi.md is up to date (or run: scripts/abi >docs/abi.md)" \
	"$(../scripts/abi 2>&1 | diff - ../docs/abi.md)" ""
is "and true for programs of 32 bits" "$(CC="gcc -m32" ../scripts/abi 2>&1 | diff - ../docs/abi.md)" ""
mkdir "$tmp/scripts" "$tmp/dev" && cp ../scripts/abi "$tmp/scripts" && cp ../dev/*.c "$tmp/dev"
sed '/^ \* @minlen:/d' ../ioctl_uapi.h >"$tmp/ioctl_uapi.h"
is "a field without a text is found" "$("$tmp/scripts/abi" 2>&1 >/dev/null)" \
	"scripts/abi: the comment of struct hybrid_alloc_trim does not describe its fields in their order"
sed '/HYBRID_ALLOC_IOC_GROW/d' ../ioctl_uapi.h >"$tmp/ioctl_uapi.h"
is "and a call that is not in the header" "$("$tmp/scripts/abi" 2>&1 >/dev/null)" \
	"scripts/abi: not the same calls in ioctl_uapi.h and in the tables of dev/"

# sysfs

is "docs/ABI says what each file in sysfs is, and no other" \
	"$(sed -n 's|^What:.*<N>/||p' ../docs/ABI/sysfs-class-misc-hybrid_alloc | sort)" \
	"$(sed -n -e 's/^	HA_INFO(\(.*\)),/\1/p' -e 's/^	HA_STAT(\(.*\)),/stat\/\1/p' \
		-e 's/^	HA_REFUSED(\(.*\), .*/refused_frees\/\1/p' \
		-e 's/^	&dev_attr_\(.*\)\.attr,/\1/p' ../dev/observe.c | sort)"

# Each option of each command is used in a test, in its long form or by its letter

tests=$(sed -e ':a' -e '/\\$/N; s/\\\n//; ta' test.sh test-*.sh schemas-guest.sh)
missing=
for command in $(hybridctl --help | sed -n '/^COMMANDS/,/^$/s/^  *\([a-z]*\) .*/\1/p'); do
	lines=$(grep -E "(^|[^a-z-])$command( |\$)" <<<"$tests")
	while read -r letter option; do
		[[ $option != help && $option != version ]] || continue
		[ "$letter" = - ] && letter=NONE
		grep -qE -- "$command.* (--$option|-[a-z]*$letter)([ =)\"]|\$)" <<<"$lines" ||
			missing+=" $command:$option"
	done < <(hybridctl "$command" --help | sed -n '/^OPTIONS/,/^[A-Z]* *[A-Z]*$/{
		s/^       -\(.\), --\([a-z-]*\).*/\1 \2/p
		s/^       --\([a-z-]*\).*/- \1/p
	}')
	for general in --help --version; do
		hybridctl "$command" $general >"$tmp/out" && [ -s "$tmp/out" ] || missing+=" $command:$general"
	done
done
is "every option of every command is used in a test" "$missing" ""

# The pages tell of all commands, and of no others

commands=$(hybridctl --help | sed -n '/^COMMANDS/,/^$/s/^  *\([a-z]*\) .*/\1/p')
is "hybridctl(8) has the commands of --help, in their order" \
	"$(sed -n 's/^\.SS hybridctl \([a-z]*\) .*/\1/p' man/hybridctl.8)" "$commands"
is "and docs/hybridctl.md" \
	"$(sed -n '/^| to |/,/^$/p' ../docs/hybridctl.md | cut -d'|' -f3 | grep -oE '[a-z]+' | sort)" \
	"$(sort <<<"$commands")"
is "and the completion" \
	"$(sed -n "s/.*compgen -W '\\(.*\\) help --help.*/\\1/p" completion/hybridctl | tr ' ' '\n')" "$commands"

# Each long option behind a command, up to the end of the command: of hybridctl, and of
# hybrid-sim, whose options are in one list
wrong=
nr=0
while read -r tool command rest; do
	nr=$((nr + 1))
	if [ "$tool" = hybridctl ]; then
		help=$(hybridctl "$command" --help 2>/dev/null) || wrong+=" $command"
	else
		help=$(sed -n '/help\[\] =/,/;$/p' ../sim/hybrid_sim.c)
		grep -q "hybrid-sim $command " <<<"$help" || wrong+=" $command"
	fi
	while read -r option; do
		grep -qE -- "^(       |\"  ).*$option( |\$)" <<<"$help" || wrong+=" $command:$option"
	done < <(grep -oE -- '--[a-z][a-z-]*' <<<"$rest")
done < <(grep -hoE '(hybridctl|hybrid-sim) [a-z]+( [^|&;<>()#`]*)?' ../README.md ../docs/*.md ../examples/*/*.md man/hybrid_alloc.4 2>/dev/null |
	grep -E '^(hybridctl|hybrid-sim) [a-z]+( .*)?(--|[0-9])')
is "commands in the pages have only options that there are ($((nr > 30 ? 1 : nr)))" "$wrong" ""

# What could be done about it

is "each error that is explained has a remedy" \
	"$(awk '/^static const struct cause/ { table = 1 } /^};/ { table = 0 }
		table && /^	(\{|\[)/ { n++ } table && /\.("| ").*},$/ { r++ }
		END { print (n > 50), n - r }' explain.c)" "1 0"

# EBADF and EFAULT would be mistakes of the tool itself.
missing=
while read -r name; do
	[[ $name == EBADF || $name == EFAULT ]] || grep -q "[ {]$name," explain.c || missing+=" $name"
done < <(sed -n '/^## Errors/,$s/^| \(E[A-Z0-9]*\) |.*/\1/p' ../docs/abi.md)
is "and each error of the ABI is explained" "$missing" ""

# What the library is for

is "hybridctl calls the module through libhybridalloc only" \
	"$(grep -nE '\bioctl\(|HYBRID_ALLOC_IOC_' ./*.[ch] | grep -v 'TIOCGWINSZ')" ""

# Licences: what programs are linked with or include is not under the GPL alone

is "every source has the licence that README.md says" \
	"$(cd .. && grep -rnoE --include='*.[chS]' --include='*.map' --exclude-dir=build \
		'SPDX-License-Identifier: [A-Za-z0-9.-]+( WITH [A-Za-z-]+)?' . |
		sed -n 's/^\.\/\(.*\):1:SPDX-License-Identifier: /\1 /p' | grep -v ' GPL-2.0$' | sort)" \
	"ioctl_uapi.h GPL-2.0 WITH Linux-syscall-note
lib/hybridalloc.c LGPL-2.1-only
lib/hybridalloc.h LGPL-2.1-only
lib/libhybridalloc.map LGPL-2.1-only"
is "and each has one" "$(cd .. && grep -rL --include='*.[ch]' --exclude-dir=build 'SPDX-License-Identifier: ' .)" ""

# No file, tool or page is forgotten

missing=
for file in ../*.[ch] ../buddy/*.[ch] ../slab/*.[ch] ../pool/*.[ch] ../dev/*.[ch]; do
	grep -qF "\`${file#../}\`" ../docs/design.md || missing+=" ${file#../}"
done
is "docs/design.md names all files of the module" "$missing" ""
missing=
for file in ../docs/*.md; do
	grep -qF "(docs/${file##*/}" ../README.md ../CONTRIBUTING.md || missing+=" ${file##*/}"
done
is "README.md leads to all pages of docs/" "$missing" ""
missing=
while IFS=: read -r page link; do
	link=${link%%#*}
	[ -z "$link" ] || [ -e "$(dirname "$page")/$link" ] || missing+=" $page:$link"
done < <(grep -oE '\]\([^)]*\)' ../*.md ../docs/*.md | sed -e 's/\](//' -e 's/)$//' | grep -v ':http')
is "no link goes nowhere" "$missing" ""

# Completion, as bash asks for it

# completes NAME EXPECTED WORD...: the last word is the one that is begun
completes()
{
	local name=$1 expected=$2

	shift 2
	# shellcheck disable=SC2016 # for the other bash
	is "completion: $name" "$(bash --norc -c '
		. completion/hybridctl
		compopt() { :; }
		hybridctl() { printf "/dev/hybrid_alloc0 0\n/dev/hybrid_alloc1 1\n"; }
		COMP_WORDS=(hybridctl "$@") COMP_CWORD=$#
		_hybridctl
		printf "%s " "${COMPREPLY[@]}"' - "$@")" "$expected "
}

completes "a command" "detach" det
completes "several" "stat" st
completes "all commands" "$(hybridctl --help | sed -n '/^COMMANDS/,/^$/s/^  *\([a-z]*\) .*/\1/p' |
	tr '\n' ' ')help --help --version" ""
completes "an option" "--range" attach --ran
completes "not that of another command" "" list --ran
completes "a node" "/dev/hybrid_alloc0 /dev/hybrid_alloc1" stat /dev/
completes "its number" "1" map 1
completes "a column" "LARGEST_FREE_RUN" stat -o LA
completes "one more column" "FREE,CHARGED" stat --output FREE,CHA
completes "when to use colours" "auto always" map --color a
completes "a file" "test-doc.sh" claim 0 --file test-doc
completes "the file of an SVG" "test-doc.sh" map --svg test-doc
completes "a trace" "test-doc.sh" replay 0 test-doc
completes "the node before it" "0" replay 0
completes "a trace without a node" "test-doc.sh" advise test-doc
completes "the option of its disk" "--disk" advise test-doc.sh --di

done_testing
