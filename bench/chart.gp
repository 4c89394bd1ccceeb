# SPDX-License-Identifier: GPL-2.0
# gnuplot: the table "data" as a chart in "out"; "machine" says where it is from.
set terminal svg size 960,480 font "sans-serif,13" background "white"
set output out
set datafile separator "\t"
set datafile missing "-"
set title "Instructions in the kernel for an allocation and its free; fewer is better\n{/*0.8 ".machine."}" noenhanced
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.9 border -1
set boxwidth 0.9
set logscale y
set yrange [50:100000]
set grid ytics
set key outside bottom center horizontal autotitle columnhead
set xtics scale 0
array colours[6] = ["#d62728", "#1f77b4", "#9467bd", "#7f7f7f", "#2ca02c", "#ff7f0e"]
plot for [i = 2:7] data using i:xtic(1) lc rgb colours[i - 1]
