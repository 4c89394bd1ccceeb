# SPDX-License-Identifier: GPL-2.0
#
# Reads JSON, strictly, and prints one line per value, so that grep can look for
# it: extents[0].start=4096, instances[0].disk="vda", extents=[] when empty.
# Exits with 1, and says where, if it is not JSON. For busybox awk: the guest has
# no jq.

{ text = text $0 "\n" }

END {
	value("")
	blanks()
	if (text != "")
		wrong("more after the end")
}

function wrong(what)
{
	print "not JSON: " what " before: " substr(text, 1, 40)
	failed = 1
	exit 1
}

function blanks()
{
	sub(/^[ \t\r\n]+/, "", text)
}

# Takes what matches from the front of the text.
function take(pattern, what,	taken)
{
	blanks()
	if (!match(text, pattern))
		wrong("expected " what)
	taken = substr(text, 1, RLENGTH)
	text = substr(text, RLENGTH + 1)
	return taken
}

function string()
{
	return take("^\"([^\"\\\\[:cntrl:]]|\\\\([\"\\\\/bfnrt]|u[0-9a-fA-F][0-9a-fA-F][0-9a-fA-F][0-9a-fA-F]))*\"",
		    "a string")
}

function value(path,	first)
{
	blanks()
	first = substr(text, 1, 1)
	if (first == "{")
		object(path)
	else if (first == "[")
		array(path)
	else if (first == "\"")
		print path "=" string()
	else
		print path "=" take("^(-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][-+]?[0-9]+)?|true|false|null)",
				    "a value")
}

function object(path,	key)
{
	take("^\\{", "{")
	if (text ~ /^[ \t\r\n]*\}/) {
		take("^\\}", "}")
		print path "={}"
		return
	}
	do {
		key = string()
		if (seen[path, key]++)
			wrong("the key " key " twice")
		take("^:", "a colon")
		value((path == "" ? "" : path ".") substr(key, 2, length(key) - 2))
	} while (take("^[,}]", "a comma or }") == ",")
}

function array(path,	i)
{
	take("^\\[", "[")
	if (text ~ /^[ \t\r\n]*\]/) {
		take("^\\]", "]")
		print path "=[]"
		return
	}
	i = 0
	do {
		value(path "[" i++ "]")
	} while (take("^[],]", "a comma or ]") == ",")
}
