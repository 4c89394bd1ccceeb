# SPDX-License-Identifier: GPL-2.0
# gnuplot: draws the table "data" as a chart in "out"; "machine" is its source.
set terminal svg size 1100,480 font "sans-serif,13" background "white" noenhanced
set output out
set datafile separator "\t"
set datafile missing "-"
set title "Instructions in the kernel for an allocation and its free; fewer is better\n(".machine.")"
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.9 noborder
set boxwidth 0.9
set logscale y
set xrange [-0.6:5.6]
set yrange [50:100000]
set format y "%.0f"
set grid ytics
set key outside bottom center horizontal autotitle columnhead
set xtics scale 0
array colours[6] = ["#d62728", "#1f77b4", "#9467bd", "#7f7f7f", "#2ca02c", "#ff7f0e"]
# each value above its bar: the first of six bars starts at -2.5/7, the gap is the seventh
at(row, i) = row + (i - 4.5) / 7.0
plot for [i = 2:7] data using i:xtic(1) lc rgb colours[i - 1], \
	for [i = 2:7] data using (at($0, i)):i:(sprintf("%.0f", column(i))) with labels \
		font ",9" offset 0,0.5 notitle
