# SPDX-License-Identifier: GPL-2.0
#
# usage: awk [-v vm=NAME] -f list.awk list
#
# Reads tests/vm/list. Prints "KERNEL VM NAME COMMAND" for each kernel of each test, with the
# command of a soak if $SOAK is set; or the options of the machine NAME. A mistake in the list is
# reported; then nothing else is printed, and the status is 1.

function wrong(line, what) {
	printf "%s:%d: %s\n", FILENAME, line, what >"/dev/stderr"
	bad = 1
}

# The line from its word @n on
function from(n,    text) {
	text = $0
	sub(/^ +/, "", text)
	while (--n)
		sub(/^[^ ]+ */, "", text)
	return text
}

# The kernels of test @i, of which "matrix" is several
function kernels_of(i,    text) {
	text = "," kernels[i] ","
	sub(/,matrix,/, ",6.12,7,", text)
	return substr(text, 2, length(text) - 2)
}

/^#/ || !NF {
	next
}

/^vm [^ ]/ {
	if ($2 in options)
		wrong(NR, "there is a machine " $2 " already")
	last = $2
	options[last] = from(3)
	nr_here = 0
	next
}

/^  --/ && last != "" && !nr_here {
	options[last] = options[last] " " from(1)
	next
}

/^  soak: [^ ]/ && nr_here {
	soak[nr] = from(2)
	next
}

/^  matrix: [^ ]/ && nr_here {
	reason[name[nr]]
	next
}

/^[^ ]/ && NF > 2 && last != "" {
	nr++
	nr_here++
	line[nr] = NR
	machine[nr] = last
	name[nr] = $1
	kernels[nr] = $2
	command[nr] = from(3)
	next
}

{
	wrong(NR, "neither a machine nor a test, nor part of one")
}

END {
	for (i = 1; i <= nr; i++) {
		n = split(kernels_of(i), kernel, ",")
		for (k = 1; k <= n; k++) {
			if (kernel[k] !~ /^(stock|debug|rt|kcsan|6\.12|7)$/)
				wrong(line[i], "there is no kernel " kernel[k])
			if ((name[i], kernel[k]) in runs)
				wrong(line[i], name[i] " is there twice for kernel " kernel[k])
			runs[name[i], kernel[k]]
			out = out kernel[k] " " machine[i] " " name[i] " " \
				(ENVIRON["SOAK"] != "" && (i in soak) ? soak[i] : command[i]) "\n"
		}
	}
	for (i = 1; i <= nr; i++)
		if ((name[i], "stock") in runs && ((name[i], "7") in runs) == (name[i] in reason))
			wrong(line[i], "needs the kernels \"matrix\", or a reason why not")
	if (vm != "" && !(vm in options))
		wrong(0, "there is no machine " vm)
	if (bad)
		exit 1
	printf "%s", vm == "" ? out : options[vm] "\n"
}
