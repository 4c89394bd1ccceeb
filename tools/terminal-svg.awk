# SPDX-License-Identifier: GPL-2.0
#
# What `hybridctl map --color always` prints, as a picture of a terminal that
# shows it: text, the 256 colours, and half blocks.

BEGIN {
	cw = 8; ch = 16; top = 12; left = 12
	split("0 95 135 175 215 255", level)
	split("000000 cd0000 00cd00 cdcd00 0000ee cd00cd 00cdcd e5e5e5", low)
}

# The colour of a number: 16 named ones, a cube, and greys
function color(n)
{
	if (n < 16)
		return "#" low[n % 8 + 1]
	if (n < 232) {
		n -= 16
		return sprintf("#%02x%02x%02x", level[int(n / 36) + 1], level[int(n / 6) % 6 + 1],
			       level[n % 6 + 1])
	}
	return sprintf("#%02x%02x%02x", 8 + (n - 232) * 10, 8 + (n - 232) * 10, 8 + (n - 232) * 10)
}

# Cells of one colour beside each other become one rectangle.
function rect(x, y, h, fill)
{
	if (fill == last[y] && x == end[y]) {
		width[y] += cw
	} else {
		flush(y)
		begin[y] = x
		width[y] = cw
		height[y] = h
		last[y] = fill
	}
	end[y] = x + 1
}

function flush(y)
{
	if (last[y] != "")
		body = body sprintf("<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\"/>\n",
				    left + begin[y] * cw, y, width[y], height[y], last[y])
	last[y] = ""
}

function escape(code,	part, n, i)
{
	n = split(code, part, ";")
	for (i = 1; i <= n; i++) {
		if (part[i] + 0 == 0)
			fg = bg = ""
		else if (part[i] == 39)
			fg = ""
		else if (part[i] == 49)
			bg = ""
		else if (part[i] == 38) {
			fg = color(part[i + 2])
			i += 2
		} else if (part[i] == 48) {
			bg = color(part[i + 2])
			i += 2
		}
	}
}

function letter(c, x, y)
{
	if (c == " ")
		return ""
	gsub(/&/, "\\&amp;", c)
	gsub(/</, "\\&lt;", c)
	return sprintf("<text x=\"%d\" y=\"%d\">%s</text>\n", left + x * cw, y + 12, c)
}

{
	y = top + (NR - 1) * ch
	line = $0
	for (x = 0; line != ""; ) {
		if (match(line, /^\033\[[0-9;]*m/)) {
			escape(substr(line, 3, RLENGTH - 3))
			line = substr(line, RLENGTH + 1)
			continue
		}
		# Upper half block, in bytes
		if (substr(line, 1, 3) == "\342\226\200") {
			rect(x, y, ch / 2, fg)
			rect(x, y + ch / 2, ch / 2, bg)
			line = substr(line, 4)
		} else {
			rect(x, y, ch, bg)
			texts = texts letter(substr(line, 1, 1), x, y)
			line = substr(line, 2)
		}
		if (++x > columns)
			columns = x
	}
	flush(y)
	flush(y + ch / 2)
}

END {
	w = 2 * left + columns * cw
	h = 2 * top + NR * ch
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\">\n", w, h, w, h
	print "<style>text{font:13px 'DejaVu Sans Mono',monospace;fill:#d0d0d0}</style>"
	printf "<rect width=\"%d\" height=\"%d\" rx=\"6\" fill=\"#14171a\"/>\n", w, h
	printf "%s%s", body, texts
	print "</svg>"
}
