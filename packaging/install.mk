# SPDX-License-Identifier: GPL-2.0
# make install: the tools, the library, and the module's source for DKMS. Included by
# the Makefile one level up. DESTDIR is put before all paths.
PREFIX		?= /usr/local
# None of these programs looks below another prefix.
UDEVDIR		?= /lib/udev/rules.d
UNITDIR		?= /lib/systemd/system
SRCDIR		?= /usr/src
VERSION		:= $(shell sed -n 's/^VERSION.*:= //p' lib/Makefile)
# where the module's source is, beside the top
MODULE_DIRS	:= buddy slab pool dev
DKMS_SOURCE	= $(DESTDIR)$(SRCDIR)/hybrid-alloc-$(VERSION)

install: install-tools install-lib install-dkms
	@[ -n "$(DESTDIR)" ] || echo "Now: ldconfig && dkms install hybrid-alloc/$(VERSION)"

install-tools:
	$(MAKE) -C tools
	$(MAKE) -C sim sim
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(UDEVDIR) $(DESTDIR)$(UNITDIR)
	install -d $(addprefix $(DESTDIR)$(PREFIX)/share/,man/man4 man/man8 bash-completion/completions)
	install -m 755 build/tools/hybridctl $(DESTDIR)$(PREFIX)/sbin
	# for hybridctl advise, which looks for it there
	install -d $(DESTDIR)$(PREFIX)/libexec/hybrid-alloc
	install -m 755 build/hybrid-sim $(DESTDIR)$(PREFIX)/libexec/hybrid-alloc
	install -m 644 tools/man/hybridctl.8 $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 644 tools/man/hybrid_alloc.4 $(DESTDIR)$(PREFIX)/share/man/man4
	install -m 644 tools/completion/hybridctl \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -d $(DESTDIR)$(PREFIX)/share/hybrid-alloc
	install -m 755 $(wildcard tools/*.bt) $(DESTDIR)$(PREFIX)/share/hybrid-alloc
	install -m 644 packaging/60-hybrid-alloc.rules $(DESTDIR)$(UDEVDIR)
	sed 's|@SBINDIR@|$(PREFIX)/sbin|' packaging/hybrid-alloc@.service \
		>$(DESTDIR)$(UNITDIR)/hybrid-alloc@.service

install-lib:
	$(MAKE) -C lib PREFIX=$(PREFIX) install

install-dkms:
	install -d $(DKMS_SOURCE) $(addprefix $(DKMS_SOURCE)/,$(MODULE_DIRS))
	install -m 644 Kbuild COPYING $(wildcard *.c *.h) $(DKMS_SOURCE)
	for dir in $(MODULE_DIRS); do \
		install -m 644 $$dir/*.[ch] $(DKMS_SOURCE)/$$dir || exit; \
	done
	sed 's|#MODULE_VERSION#|$(VERSION)|' packaging/dkms.conf >$(DKMS_SOURCE)/dkms.conf

deb:
	@packaging/deb

.PHONY: install install-tools install-lib install-dkms deb
