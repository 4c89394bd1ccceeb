#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# map, dump, claim --file and check on the real module: that the picture shows
# what is there, and that dump, attach, claim and seal bring a device back.

# shellcheck source-path=SCRIPTDIR source=../tests/vm/tap.sh
. ./tap.sh

: "${DISK:=${DISKS%% *}}"
K=1024
M=$((1024 * K))
esc=$(printf '\033')

# one COLUMN: that figure of stat
one()
{
	hybridctl stat --noheadings --raw --bytes --output "$1" 0
}

# cells ARG...: the first line of cells, without its label
cells()
{
	hybridctl map --rows 4 --width 40 "$@" 0 | sed -n '3s/^........//p'
}

# number_of PATTERN FILE
number_of()
{
	grep -o "$1" "$2" | grep -c .
}

# For script(1)
mkdir -p /dev/pts
mount -t devpts -o ptmxmode=666 devpts /dev/pts
ln -sf pts/ptmx /dev/ptmx

# What is cached shall stay so
try "insmod" insmod /lib/hybrid-alloc.ko idle_ms=0
try "attach" hybridctl attach --range 0,$((256 * M - 512)) "$DISK"

# 128 cells of 2 MiB: one full, one empty, one to a quarter, one with a block,
# one but for a block, and at the end the tail
try "claim" hybridctl claim 0 0:2M 4M:512K 6M:4K 8M:2044K 200M:4M
try "seal" hybridctl seal 0

# On no terminal: letters

is "map: a letter for each cell" "$(cells)" "#.319..........................."
is "map: where the lines begin" "$(hybridctl map --rows 4 --width 40 0 | sed -n '3,6s/^ *\([^ ]*\) .*/\1/p' |
	tr '\n' ' ')" "0B 64M 128M 192M "
is "map: width and height" "$(hybridctl map --rows 2 --width 72 0 | awk '/^ .*[.]/ && !/%/ { print length($0) }' |
	tr '\n' ' ')" "72 72 "
is "map: as wide as COLUMNS says" "$(COLUMNS=100 hybridctl map 0 | sed -n 3p | wc -c)" 101
is "map: title" "$(hybridctl map 0 | head -n 1)" \
	"/dev/hybrid_alloc0 on ${DISK#/dev/}: 256M, 5 live extents, 5 free runs, the largest 190M"
try "map: used, free and tail in the legend" sh -c \
	"hybridctl map 0 | tr -s ' ' | grep -q '# used 8.5M, 3.3% of it in' &&
	 hybridctl map 0 | tr -s ' ' | grep -q ' slabs 0B, 0.0% mixed parts 2.5M, 1.0%' &&
	 hybridctl map 0 | tr -s ' ' | grep -q 'buddy blocks 6M, 2.3% spans 0B, 0.0%' &&
	 hybridctl map 0 | grep -q '[.] free 247.5M, 96.7%' &&
	 hybridctl map --bytes 0 | grep -q 't tail 3584, 0.0%'"
is "map: no colours on what is no terminal" "$(hybridctl map 0 | grep -c "$esc")" 0

# What a pool holds
hybridctl free 0 "$(hybridctl alloc -n -o EXTENT 0 16K)"
is "map: a cell with nothing but what a pool holds" "$(hybridctl map --rows 32 --width 1032 0 |
	number_of 'c' - | awk '{ print ($1 > 1) }')" 1
is "map: cached as STAT says" "$(hybridctl map --bytes 0 | sed -n 's/.*c cached \([0-9]*\),.*/\1/p')" \
	"$(one CACHED)"
try "drain" hybridctl drain 0

# Colours

is "map --color always without UTF-8: letters with colours" \
	"$(cells --color always | sed "s/$esc\[[0-9;]*m//g")" "#.319..........................."
is "... full cells are bright, free ones dark" \
	"$(cells --color always | grep -c "^$esc\[48;5;214m#$esc\[48;5;236m\.")" 1
is "... the colour tells where it lies, the shade how full it is" \
	"$(cells --color always | grep -c "m\.$esc\[48;5;23m3$esc\[48;5;23m1$esc\[48;5;36m9")" 1
is "map --color always with UTF-8: half blocks" \
	"$(LC_ALL=C.UTF-8 hybridctl map --color always --rows 2 --width 40 0 |
	sed -n "3s/^........$esc\[38;5;214m$esc\[48;5;236m▀$esc\[38;5;236m▀.*/yes/p")" yes
is "... two cells to a character" \
	"$(LC_ALL=C.UTF-8 hybridctl map --color always --rows 2 --width 40 0 | number_of ▀ -)" 64
is "... which ends with the colours as they were" \
	"$(LC_ALL=C.UTF-8 hybridctl map --color always 0 | grep "$esc" | grep -vc "$esc\[0m *[a-z0-9].*\|$esc\[0m\$")" 0
is "map --color never" "$(hybridctl map --color never 0 | grep -c "$esc")" 0
for no in '' 1; do
	NO_COLOR=$no TERM=xterm LC_ALL=C.UTF-8 script -q -c 'hybridctl map --rows 2 0' /tmp/typescript >/dev/null
	case $no in
	'') is "on a terminal: colours" "$(grep -c ▀ /tmp/typescript)" 2 ;;
	1) is "on a terminal with NO_COLOR: none" "$(grep -c "$esc" /tmp/typescript)" 0 ;;
	esac
done
is "as wide as the terminal is" "$(script -q -c \
	'stty cols 50 rows 20; TERM=dumb hybridctl map 0' /tmp/typescript | tr -d '\r' | sed -n 3p | wc -c)" 51

# SVG

try "map --svg" hybridctl map --svg /tmp/map.svg --title 'a <b> & c' 0
is "SVG: begin and end" "$(head -c 4 /tmp/map.svg)$(tail -n 1 /tmp/map.svg)" "<svg</svg>"
try "SVG: the title, escaped" grep -q '>a &lt;b> &amp; c</text>' /tmp/map.svg
is "SVG: sums" "$(sed -n 's/.*class="small">\([a-z ]* [^ ]*, [0-9.]* %\)<.*/\1/p' /tmp/map.svg)" \
	"used 8.5M, 3.3 %
slabs 0B, 0.0 %
mixed parts 2.5M, 1.0 %
buddy blocks 6M, 2.3 %
spans 0B, 0.0 %
cached 0B, 0.0 %
held 0B, 0.0 %
free 247.5M, 96.7 %
tail 3.5K, 0.0 %"
# 2 MiB of 64 KiB each are 32 cells of 7 pixels; a block is one pixel of a cell
is "SVG: the first extent" "$(number_of "fill=\"#d55e00\" d=\"M80 76h224v12h-224z" /tmp/map.svg)" 1
is "SVG: a single block is seen" "$(number_of "M752 87h7v1h-7z" /tmp/map.svg)" 1
is "SVG: a bar for each length of free runs" \
	"$(number_of 'class="length">[0-9.]*[KMG]<' /tmp/map.svg | awk '{ print ($1 > 5) }')" 1
is "map --svg - goes to standard output" "$(hybridctl map --svg - --title 'a <b> & c' 0 | cmp - /tmp/map.svg && echo same)" same
is "SVG: the name of the disk is its title" "$(hybridctl map --svg - 0 | grep -c "title\">${DISK#/dev/}<")" 1
try_not "SVG into a directory that there is not" \
	"cannot write /none/map.svg: there is no such file (ENOENT). Check the name" \
	hybridctl map --svg /none/map.svg 0
try_not "SVG on a full disk" "cannot write /dev/full: its file system is full (ENOSPC). Free space" \
	hybridctl map --svg /dev/full 0
try_not "SVG and a list" "give only one of them" hybridctl map --svg /tmp/x --list 0

# Lists

is "map --list" "$(hybridctl map --list --raw 0 | head -n 4 | sed 's/ $//')" "START LEN STATE KIND
0 2M live buddy
2097152 2M free
4194304 512K live mixed"
is "map --list --bytes --noheadings --output" "$(hybridctl map --list -r -b -n -o STATE,LEN 0 | head -n 1)" \
	"live $((2 * M))"
hybridctl map --json 0 | awk -f ./test-json.awk >/tmp/out
is "map --json: the last part" "$(tail -n 4 /tmp/out | cut -d. -f2)" "start=$((204 * M))
len=$((52 * M - 4 * K))
state=\"free\"
kind=null"
is "map --json: no gaps" "$(awk -F= '/start=/ && $2 != end { print "gap", end } /start=/ { s = $2 }
	/len=/ { end = s + $2 } END { print end }' /tmp/out)" $((256 * M - 4 * K))

# dump, and back again: some thousand extents, so that there are several pages

try "alloc" hybridctl alloc -c 700 0 4K 12K 20K 64K
hybridctl dump 0 >/tmp/dump
is "dump: all live extents" "$(grep -c '^[0-9]*:[0-9]*$' /tmp/dump)" "$(one NR_LIVE)"
is "dump: in the order of addresses, none over another" "$(grep -v '^#' /tmp/dump | tr : ' ' |
	awk '$1 < end { print "wrong:", $0 } { end = $1 + $2; sum += $2 } END { print sum }')" "$(one CHARGED)"
is "dump: a line says what it is" "$(head -n 1 /tmp/dump)" \
	"# live extents of /dev/hybrid_alloc0 on ${DISK#/dev/}, START:LEN; range 0:$((256 * M - 4 * K)), smallest block 4096"
is "dump: the last line says how many there are" "$(tail -n 1 /tmp/dump)" "# end: $(one NR_LIVE) extents"
is "dump --json" "$(hybridctl dump --json 0 | grep -c '"state": "live"')" "$(one NR_LIVE)"
is "dump --bytes --noheadings --output" "$(hybridctl dump --bytes -n -r -o LEN 0 | head -n 1)" $((2 * M))
try_not "dump onto a full disk" "cannot write the output" sh -c 'hybridctl dump 0 >/dev/full'
charged=$(one CHARGED,NR_LIVE)
try "detach" hybridctl detach --force 0
try "attach, to be rebuilt" hybridctl attach --range 0,$((256 * M - 512)) "$DISK"
for cut in "head -n 9" "sed 5d" "sed 1,5d" "sed p"; do
	$cut /tmp/dump >/tmp/part
	try_not "claim of '$cut' of a dump" "is not the whole of a dump" \
		hybridctl claim --file /tmp/part 0
	grep -v '^#' /tmp/part | sort -u >/tmp/claimed
	try "... and what it has claimed is freed" hybridctl free --file /tmp/claimed 0
done
is "claim --file says nothing" "$(hybridctl claim --file /tmp/dump 0 2>&1)" ""
is "what was live is live" "$(one CHARGED,NR_LIVE)" "$charged"
try "seal" hybridctl seal 0
hybridctl dump 0 >/tmp/again
try "dump is the same" cmp /tmp/dump /tmp/again
try_not "claim of what is taken" "(EEXIST). Two entries" hybridctl claim 0 -f /tmp/dump
is "... is told for each" "$(hybridctl claim 0 -f /tmp/dump 2>&1 | grep -c EEXIST)" "$(grep -vc '^#' /tmp/dump)"
try_not "claim of a file that there is not" "cannot read /none: there is no such file (ENOENT). Check" \
	hybridctl claim --file /none 0
try_not "claim of junk in a file" "/tmp/map.svg, line 1: '<svg" hybridctl claim --file /tmp/map.svg 0
try "free --file" hybridctl free --file /tmp/dump 0
is "all is free" "$(hybridctl drain 0; one NR_LIVE,NR_FREE_RUNS)" "0 1"
is "free --file - of the same: each is refused" \
	"$(hybridctl free --json --file - 0 </tmp/dump 2>/dev/null | grep -c '"result": "ENOENT"')" \
	"$(grep -vc '^#' /tmp/dump)"

# How far it is: on a terminal, after a second
slow='{ echo 0:4K; sleep 2; echo 8K:4K; } | hybridctl claim --file - 0'
script -q -c "$slow" /tmp/typescript >/dev/null
is "claim on a terminal that takes longer than a second" "$(grep -c "claim: 1 extents, 1 s$esc\[K" /tmp/typescript)" 1
is "... and leaves nothing on it" "$(tr -d '\r' </tmp/typescript | sed "s/.*$esc\[K//" | grep -c extents)" 0
is "on no terminal" "$(sh -c "$(echo "$slow" | sed 's/:4K/:8K/g')" 2>&1 | grep -c ' s$')" 0
script -q -c "hybridctl free 0 0:4K 8K:4K" /tmp/typescript >/dev/null
is "what takes no second shows nothing" "$(grep -c extents /tmp/typescript)" 0

# More than a pipe holds
hybridctl alloc -c 6000 0 4K >/dev/null
script -q -c 'hybridctl dump 0 | { sleep 2; cat >/tmp/dump; }' /tmp/typescript >/dev/null
grep -q 'dump: \[=*\.*\] *[0-9]*%  [0-9]* bytes, 1 s' /tmp/typescript
is "dump into a pipe, on a terminal: how far it is" $? 0
is "... and all of it" "$(grep -vc '^#' /tmp/dump)" 6000
try "free" hybridctl free --file /tmp/dump 0

# check

is "check" "$(hybridctl check -n -r 0; echo $?)" "/dev/hybrid_alloc0 ok
0"
is "check --bytes, which has nothing to say" "$(hybridctl check --bytes -n -r -o +ERROR 0)" "/dev/hybrid_alloc0 ok "
is "check --json" "$(hybridctl check --json 0 | awk -f ./test-json.awk)" 'check[0].node="/dev/hybrid_alloc0"
check[0].result="ok"
check[0].error=null'
is "check of what is not there: 8" "$(hybridctl check -n -r -o RESULT 0 7 2>/tmp/err; echo $?)" "ok
failed
8"
is "... and why" "$(cut -d. -f1 /tmp/err)" \
	"hybridctl: cannot open /dev/hybrid_alloc7: there is no such instance (ENOENT)"
hybridctl check --runs 0 >/dev/null 2>&1
is "check with a wrong option: 16" $? 16
hybridctl check >/dev/null 2>&1
is "check of nothing: 16" $? 16
try "detach" hybridctl detach --force 0
try "rmmod" rmmod hybrid_alloc
umount /dev/pts

done_testing
