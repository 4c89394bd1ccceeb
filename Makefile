# SPDX-License-Identifier: GPL-2.0
#
# What people type. The module's own rules are in Kbuild: dkms hands
# KERNELRELEASE= to make, so one file could not tell the two uses apart.
#
#   make          the module for the running kernel, or for KDIR=...
#   make tools    hybridctl
#   make lib      libhybridalloc, and its manual pages
#   make fio      build/fio: an engine for fio, and its jobs: docs/fio.md
#   make sim      build/hybrid-sim: the allocator in user space, to try workloads
#   make demo     all of it at work in a virtual machine
#   make bench    what it costs, beside other allocators (BENCH=kernel or native: only that)
#   make install  tools, library, the module's source for DKMS: packaging/install.mk
#   make deb      Debian packages of them, in build/deb
#   make check    quick tests: native and KUnit
#   make test     all tests
#   make matrix   the module and its tests in virtual machines on Linux 6.1, 6.12, 7.x
#   make soak     all tests, random ones for long
#   make clean    (the cache stays: see README.md)
#   make help     this list

KDIR ?= /lib/modules/$(shell uname -r)/build

module: | $(KDIR)
	@scripts/build-module --out build/module $(KDIR)
	@cp build/module/hybrid-alloc.ko .
	@echo "hybrid-alloc.ko is ready for the kernel of $(KDIR)"

$(KDIR):
	@echo "There is no $(KDIR)." >&2
	@echo "Install the headers of your kernel: apt-get install linux-headers-$$(uname -r)," >&2
	@echo "or say where they are: make KDIR=/usr/src/linux-headers-..." >&2
	@false

tools:
	@scripts/deps.sh tools
	@$(MAKE) --no-print-directory -C tools

lib:
	@scripts/deps.sh lib
	@$(MAKE) --no-print-directory -C lib all man

fio:
	@scripts/deps.sh fio
	@src=$$(scripts/fio-source) && $(MAKE) --no-print-directory -C fio FIO_SRC="$$src"
	@echo "build/fio has the engine and jobs for $$(fio --version): cd build/fio && fio alloc-latency.fio"

sim:
	@$(MAKE) --no-print-directory -s -C sim sim

demo:
	@scripts/demo

bench:
	@bench/bench $(BENCH)

check:
	@scripts/test check

test:
	@scripts/test all

matrix:
	@scripts/test matrix

soak:
	@scripts/test soak

include packaging/install.mk

help:
	@sed -n 's/^#   \(make\)/\1/p' Makefile

clean:
	rm -rf build hybrid-alloc.ko

.PHONY: module tools lib fio sim demo bench check test matrix soak help clean
