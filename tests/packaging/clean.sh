#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
#
# usage (in the guest): clean.sh [--brief]
#
# What a new user does, in a minimal Debian on /dev/vdc: each line of the file "there" must
# succeed, and when all is done the system is as it was.

# shellcheck source=tests/vm/tap.sh
. ./tap.sh

brief=${1-}
root=/mnt
home=/home/user

mkdir -p $root
modprobe ext4
try "a minimal Debian" mount -t ext4 /dev/vdc $root || exit
for fs in proc sys dev; do
	mount --bind /$fs $root/$fs
done
# as every init does
ln -s /proc/self/fd /dev/fd
mkdir /dev/pts
mount -t devpts devpts $root/dev/pts
mkdir -p $root$home
cp -r user/. $root$home
# Nobody is there who could say yes.
echo 'APT::Get::Assume-Yes "true";' >$root/etc/apt/apt.conf.d/90test
export DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin

# All files but those that a package manager writes at every opportunity. What depmod
# and dpkg list may be written again, to say the same.
system()
{
	# Its own find: the name alone is one of busybox's.
	(chroot $root /usr/bin/find . -xdev \( -path ./var/log -o -path ./var/cache -o -path ./tmp -o -path ./run \
		-o -path './var/lib/dpkg/*-old' -o -path './var/lib/dpkg/lock*' -o -path './var/lib/dpkg/triggers/*' \
		-o -path ./var/lib/apt \) -prune -o -path './lib/modules/*/modules.*' -printf '%p %m %s\n' \
		-o -path './usr/lib/modules/*/modules.*' -printf '%p %m %s\n' \
		-o -path ./var/lib/dpkg/status -printf '%p %m %s\n' \
		-o -type d -printf '%p %m %U %G\n' -o -printf '%p %m %U %G %s %T@ %l\n') | sort
}

# What the kernel has of it
kernel()
{
	find /dev ! -type d | sort
	ls /sys/class/misc
	grep hybrid /proc/modules /proc/devices /proc/misc
}

# Without systemd nothing starts it.
chroot $root /lib/systemd/systemd-udevd --daemon
chroot $root /usr/bin/udevadm trigger --settle
if [ -n "$brief" ]; then
	mv $root/usr/bin/make $root/usr/bin/make.away
	cat >$root/usr/bin/make <<-END
	#!/bin/sh
	cp /hybrid-alloc.ko .
	END
	chmod +x $root/usr/bin/make
	cp hybrid-alloc.ko $root/
	sed -i "s/^runtime=.*/runtime=200ms/" $root$home/build/fio/*.fio
fi
system >/tmp/before
try "files are looked at" [ "$(wc -l </tmp/before)" -gt 10000 ]
kernel >/tmp/kernel-before

cat >/tmp/user <<END
cd $home
while IFS= read -r command <&3; do
	echo "@run \$command"
	eval "\$command"
	echo "@status \$?"
done 3</there >/out 2>&1
END
cp there $root/there
cp /tmp/user $root/user
chroot $root bash /user
rm $root/there $root/user
mv $root/out /tmp/out

# One result for each line
nr=0
while IFS= read -r line; do
	case $line in
	"@run "*) command=${line#@run } ; : >/tmp/said ;;
	"@status 0") pass "$command"; nr=$((nr + 1)) ;;
	"@status "*) fail "$command" "$(tail -n 40 /tmp/said)" ;;
	*) printf '%s\n' "$line" >>/tmp/said ;;
	esac
	case $line in
	"@status"*) cp /tmp/said "/tmp/said-$(printf '%s' "$command" | tr -c 'a-z\n' _)" ;;
	esac
done </tmp/out
is "all that README.md says has been tried" $nr "$(wc -l <there)"

# That they have not only succeeded
said()
{
	if grep -qE "$2" /tmp/said-"$1"*; then
		pass "$3"
	else
		fail "$3" "$(head -n 40 /tmp/said-"$1"*)"
	fi
}
said apt_install 'DKMS: install completed|Running the post_install|depmod' "dkms built the module"
said hybridctl_attach '/dev/hybrid_alloc0' "attach prints the node"
said hybridctl_map '64K|3M|used|free' "map draws"
said fio_alloc_latency 'clat percentiles' "fio prints percentiles"
said fio_no_overlap 'err= 0' "fio says that nothing overlaps"

rm $root$home/mine
system >/tmp/after
kernel >/tmp/kernel-after
is "no file is left behind, and none is missing or changed" "$(diff /tmp/before /tmp/after)" ""
is "nor a module, a node or a device" "$(diff /tmp/kernel-before /tmp/kernel-after)" ""
# and it would have been noticed
touch $root/usr/lib/left
system >/tmp/after
try_not "a file that is left behind is found" /usr/lib/left diff /tmp/before /tmp/after
kill "$(pidof systemd-udevd)"
sleep 1
for fs in dev/pts dev sys proc; do
	umount $root/$fs
done
umount $root
done_testing
