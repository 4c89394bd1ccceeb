// SPDX-License-Identifier: GPL-2.0
/* Turns a command and an errno into a sentence with a remedy. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hybridctl.h"

/*
 * The causes of errors, and their remedies: whole sentences, in which % stands for the
 * path of the instance's node. The first entry that matches is used. The commands "control"
 * and "node" stand for opening the two kinds of device node, "file" for any other file.
 */
static const struct cause {
	const char *command;		/* NULL: any */
	int err;
	const char *what;
	const char *remedy;
} causes[] = {
	{ "control", ENOENT,
	  "the module is not loaded",
	  "Load it with `modprobe hybrid_alloc`, or with `insmod hybrid-alloc.ko` from "
	  "where it was built." },
	{ "control", ENODEV,
	  "the module is not loaded",
	  "Load it with `modprobe hybrid_alloc`, or with `insmod hybrid-alloc.ko` from "
	  "where it was built." },
	{ "control", ENXIO,
	  "the module is not loaded",
	  "Load it with `modprobe hybrid_alloc`, or with `insmod hybrid-alloc.ko` from "
	  "where it was built." },
	{ "control", EACCES,
	  "the control node belongs to root",
	  "Run hybridctl as root, through sudo for example." },
	{ "control", EPERM,
	  "the control node belongs to root",
	  "Run hybridctl as root, through sudo for example." },
	{ "node", ENOENT,
	  "there is no such instance",
	  "`hybridctl list` shows all instances, `hybridctl attach` makes one." },
	{ "node", ENODEV,
	  "there is no such instance",
	  "`hybridctl list` shows all instances, `hybridctl attach` makes one." },
	{ "node", ENXIO,
	  "there is no such instance",
	  "`hybridctl list` shows all instances, `hybridctl attach` makes one." },
	{ "node", EACCES,
	  "you are not permitted to use this node",
	  "Run hybridctl as root, or let your group use the node with chgrp and chmod, or a "
	  "udev rule." },
	{ "node", EPERM,
	  "you are not permitted to use this node",
	  "Run hybridctl as root, or let your group use the node with chgrp and chmod, or a "
	  "udev rule." },
	{ "node", EROFS,
	  "it belongs to a user in the kernel, and opens for reading only",
	  "`hybridctl stat %` and `hybridctl map %` show what it does." },
	{ "attach", EPERM,
	  "attaching needs CAP_SYS_ADMIN, outside of containers",
	  "Run hybridctl as root on the host." },
	{ "attach", EACCES,
	  "you are not permitted to write to it",
	  "Run hybridctl as root, through sudo for example." },
	{ "attach", ENOENT,
	  "there is no such file",
	  "`lsblk` lists the block devices." },
	{ "attach", ENXIO,
	  "there is no device for this node",
	  "`lsblk` lists the block devices." },
	{ "attach", ENOMEDIUM,
	  "there is no medium in the drive",
	  "Insert one." },
	{ "attach", ENOTBLK,
	  "it is not a block device",
	  "Name a disk or a partition; `losetup --find --show FILE` makes a block device "
	  "of a file." },
	{ "attach", EISDIR,
	  "it is not a block device",
	  "Name a disk or a partition; `lsblk` lists them." },
	{ "attach", EROFS,
	  "the disk is read-only",
	  "`blockdev --setrw DEVICE` makes it writable if it was set by software." },
	{ "attach", EOPNOTSUPP,
	  "it is a zoned disk, which can only be written sequentially, or it has a durable "
	  "instance, for which the module is too old",
	  "The last line of `dmesg` says which. Use another disk, or a later module." },
	{ "attach", EEXIST,
	  "the range is not blank",
	  "The last line of `dmesg` says what is there. If it is no longer needed, attach with "
	  "--fresh --force, and end with `hybridctl detach --wipe`: then the next attach needs no "
	  "force. To keep the data, attach without --fresh." },
	{ "attach", EIO,
	  "the disk cannot be read, so there may be data on it",
	  "The last line of `dmesg` says more. Check the disk." },
	{ "attach", EBUSY,
	  "it is mounted, attached already, or held by another program",
	  "`lsblk DEVICE` and `hybridctl list` show its user; unmount or detach it first." },
	{ "attach", ERANGE,
	  "the range is not inside the device",
	  "`blockdev --getsize64 DEVICE` shows the length of the device; adapt --range." },
	{ "attach", EINVAL,
	  "the range is too small, the sizes do not fit each other, or the disk's logical "
	  "block is larger than --min-block",
	  "The last line of `dmesg` says which; `blockdev --getss --getsize64 DEVICE` "
	  "shows the disk's sizes." },
	{ "attach", ENODEV,
	  "the disk is gone",
	  "`lsblk` lists the block devices." },
	{ "detach", ENODEV,
	  "there is no such instance",
	  "`hybridctl list` shows all instances." },
	{ "detach", EBUSY,
	  "it has live extents or open files, or belongs to a user in the kernel",
	  "Free the extents (`hybridctl stat %` counts them) and end the programs (`fuser "
	  "-v %` names them), or forget all extents with `hybridctl detach --force %`. A user in "
	  "the kernel (`hybridctl list` names it) ends it itself: unmount or unload that one." },
	{ "detach", EPERM,
	  "detaching needs CAP_SYS_ADMIN, outside of containers",
	  "Run hybridctl as root on the host." },
	{ "reserve", ENOSPC,
	  "less is free that is not reserved by other programs",
	  "Free extents, or ask for less; `hybridctl stat %` shows what is free and what is "
	  "RESERVED." },
	{ "reserve", EAGAIN,
	  "the instance was attached for a rebuild and is not sealed yet",
	  "Claim the extents that are in use (`hybridctl claim --file CATALOGUE %`), then "
	  "`hybridctl seal %`." },
	{ "reserve", ENOTTY,
	  "the module is older than hybridctl, and knows no reservations",
	  "Load the module of the same version." },
	{ "alloc", ENOSPC,
	  "no free run holds it",
	  "Free extents, or ask for less or a smaller alignment; `hybridctl stat --runs --bytes %` "
	  "shows the largest free run." },
	{ "alloc", EFBIG,
	  "it is more than the instance manages, or than it allows in one extent",
	  "`hybridctl info %` shows the limits as RANGE_LEN and MAX_BLOCK; ask for several "
	  "smaller extents." },
	{ "alloc", EAGAIN,
	  "the instance was attached for a rebuild and is not sealed yet",
	  "Claim the extents that are in use (`hybridctl claim --file CATALOGUE %`), then "
	  "`hybridctl seal %`." },
	{ "alloc", EINVAL,
	  "the size is 0 or less than --min, or the alignment is neither a power of two nor a "
	  "multiple of the block size",
	  "Give a size of at least 1 and an alignment such as 64K; `hybridctl info %` shows the "
	  "block size as MIN_BLOCK." },
	{ "alloc", E2BIG,
	  "the module is older than this program and does not know --min",
	  "Load the module of this version, or leave --min out." },
	{ "trim", EOPNOTSUPP,
	  "the disk cannot discard",
	  "`lsblk --discard` shows the disks that can, with a DISC-MAX above 0." },
	{ "trim", ERANGE,
	  "the part starts after the range that the instance manages",
	  "`hybridctl info %` shows the range as RANGE_START and RANGE_LEN." },
	{ "trim", EINVAL,
	  "there is nothing to trim in 0 bytes",
	  "Give a --length and an --offset inside the range that `hybridctl info %` shows." },
	{ "trim", EAGAIN,
	  "the instance was attached for a rebuild and is not sealed yet",
	  "Claim the extents that are in use (`hybridctl claim --file CATALOGUE %`), then "
	  "`hybridctl seal %`." },
	{ "trim", EIO,
	  "the disk failed",
	  "`dmesg` says where; check the disk." },
	{ "trim", EINTR,
	  "it was interrupted",
	  "Run it again to trim the rest." },
	{ "grow", EPERM,
	  "growing needs CAP_SYS_ADMIN, outside of containers",
	  "Run hybridctl as root on the host." },
	{ "grow", EINVAL,
	  "the range would become shorter",
	  "`hybridctl info %` shows its length as RANGE_LEN; give a larger --size, or check with "
	  "`blockdev --getsize64` whether the disk became smaller." },
	{ "grow", ERANGE,
	  "the disk is not that long",
	  "`blockdev --getsize64` shows the length of the disk; give a smaller --size, or none." },
	{ "claim", EEXIST,
	  "the range is not free, in part or as a whole",
	  "Two entries of the catalogue overlap, or this one was claimed before: fix the "
	  "catalogue before `hybridctl seal %`." },
	{ "claim", EINVAL,
	  "the length is 0, or the start is not a multiple of the block size",
	  "`hybridctl info %` shows the block size as MIN_BLOCK." },
	{ "claim", ENOSPC,
	  "it is free, but as much is reserved as would be left",
	  "`hybridctl stat %` shows RESERVED; a program gives back what it has reserved with UNRESERVE, "
	  "and when it ends." },
	{ "claim", ERANGE,
	  "it is not inside the range that the instance manages",
	  "`hybridctl info %` shows the range as RANGE_START and RANGE_LEN." },
	{ "free", EPERM,
	  "it belongs to another open file",
	  "Only the program that allocated it can free it." },
	{ "part", EPERM,
	  "it belongs to another open file",
	  "Only the program that allocated it can free parts of it." },
	{ "part", EINVAL,
	  "the module is older than hybridctl, and frees extents as a whole only",
	  "Load the module of the same version." },
	{ "split", EPERM,
	  "it belongs to another open file",
	  "Only the program that allocated it can split it." },
	{ "split", ENOTTY,
	  "the module is older than hybridctl",
	  "Load the module of the same version." },
	{ "extend", EPERM,
	  "it belongs to another open file",
	  "Only the program that allocated it can extend it." },
	{ "extend", ENOTTY,
	  "the module is older than hybridctl",
	  "Load the module of the same version." },
	{ "extend", ENOSPC,
	  "less than that is free behind it",
	  "`hybridctl map --list %` shows what is there; give a --least, or allocate another "
	  "extent." },
	{ "extend", EFBIG,
	  "it would be longer than what the instance manages, or than it allows in one extent",
	  "`hybridctl info %` shows the limits as RANGE_LEN and MAX_BLOCK; ask for less." },
	{ "extend", EINVAL,
	  "MORE is 0, or less than --least",
	  "Give a MORE of at least 1, and a --least that is no more than it." },
	{ "extend", EAGAIN,
	  "the instance was attached for a rebuild and is not sealed yet",
	  "Claim the extents that are in use (`hybridctl claim --file CATALOGUE %`), then "
	  "`hybridctl seal %`." },
	{ "keep", EPERM,
	  "it belongs to another open file",
	  "Name the program that allocated it with --pid." },
	{ "keep", ENOTTY,
	  "the module is older than hybridctl",
	  "Load the module of the same version." },
	{ "pid", ESRCH,
	  "there is no such process",
	  "`fuser -v %` shows the programs that use the instance." },
	{ "pid", EBADF,
	  "it has not opened the instance to change it, or you are not permitted to trace it",
	  "`fuser -v %` shows the programs that use the instance; run hybridctl as root." },
	{ "pid", EACCES,
	  "you are not permitted to trace it",
	  "Run hybridctl as root, or as the user who started the program." },
	{ "file", ENOENT,
	  "there is no such file",
	  "Check the name; - stands for standard input or output." },
	{ "file", EACCES,
	  "you are not permitted to open it",
	  "Check its mode with `ls -l`, or name another file." },
	{ "file", EISDIR,
	  "it is a directory",
	  "Name a file in it." },
	{ "file", EROFS,
	  "it is on a read-only file system",
	  "Name a file elsewhere." },
	{ "file", ENOSPC,
	  "its file system is full",
	  "Free space there, or name a file elsewhere." },
	{ "advise", ENOENT,
	  "it is neither where it is installed nor where it is built",
	  "Install the package hybrid-alloc-tools, or build it with `make sim`." },
	{ "check", EUCLEAN,
	  "the metadata of the allocator is inconsistent",
	  "Stop its users, save the live extents with `hybridctl dump %`, look at `dmesg`, and "
	  "attach the disk again for a rebuild." },
	{ "check", EAGAIN,
	  "other callers allocated and freed meanwhile, so the sums cannot be checked; the rest "
	  "is consistent",
	  "Check again when there is less activity." },
	{ "check", EPERM,
	  "checking needs CAP_SYS_ADMIN, outside of containers",
	  "Run hybridctl as root on the host." },
	{ "watch", ENODEV,
	  "the instance was detached, or its block device went away",
	  "If `hybridctl list` still shows it, `hybridctl detach --force %` removes what is left "
	  "of it." },
	{ NULL, EINTR,
	  "it was interrupted",
	  "Run it again." },
	{ NULL, ENOTTY,
	  "the file is not a node of hybrid_alloc",
	  "Name an instance as 0 or /dev/hybrid_alloc0; `hybridctl list` shows them." },
	{ NULL, E2BIG,
	  "the module is older than hybridctl",
	  "Load the module of the same version." },
	{ NULL, ENODEV,
	  "the block device went away",
	  "`hybridctl detach --force %` removes what is left of the instance." },
	{ NULL, ENOMEM,
	  "the kernel does not have enough memory",
	  "Free memory and run it again." },
	{ NULL, EMFILE,
	  "too many files are open",
	  "Close some, or raise the limit with ulimit -n." },
};

/* A refused free has a reason, which says more than its errno. */
static const struct cause reasons[HYBRID_ALLOC_REASON_COUNT] = {
	[HYBRID_ALLOC_REASON_NOT_ALLOCATED] = { NULL, ENOENT,
	  "nothing is allocated there; it never was, or it has been freed already",
	  "Check the position; nothing was changed." },
	[HYBRID_ALLOC_REASON_WRONG_START] = { NULL, EINVAL,
	  "it is inside a live extent, but is not its start",
	  "Give the start that `hybridctl alloc` printed; `hybridctl free --part` frees parts." },
	[HYBRID_ALLOC_REASON_WRONG_LENGTH] = { NULL, EINVAL,
	  "an extent starts there, but has another length",
	  "Give the length that `hybridctl alloc` printed; `hybridctl free --part` frees parts." },
	[HYBRID_ALLOC_REASON_UNALIGNED] = { NULL, EINVAL,
	  "the start is not a multiple of the block size",
	  "Give the start that `hybridctl alloc` printed; `hybridctl info %` shows "
	  "MIN_BLOCK." },
	[HYBRID_ALLOC_REASON_ZERO_LENGTH] = { NULL, EINVAL,
	  "the length is 0",
	  "Give the length that `hybridctl alloc` printed." },
	[HYBRID_ALLOC_REASON_OUT_OF_RANGE] = { NULL, ERANGE,
	  "it is not inside the range that the instance manages",
	  "`hybridctl info %` shows the range as RANGE_START and RANGE_LEN." },
};

/* The same for parts of extents, looked at first. The number is the reason, of an EINVAL. */
static const struct cause part_reasons[] = {
	{ "part", HYBRID_ALLOC_REASON_WRONG_LENGTH,
	  "it goes beyond the extent that it begins in, and is no row of extents",
	  "`hybridctl map --list %` shows the extents." },
	{ "part", HYBRID_ALLOC_REASON_UNALIGNED,
	  "its start or its length is not a multiple of the block size",
	  "`hybridctl info %` shows the block size as MIN_BLOCK." },
	{ "split", HYBRID_ALLOC_REASON_UNALIGNED,
	  "the start or AT is not a multiple of the block size, or AT is not inside the extent",
	  "AT is a byte of the disk, behind the first one of the extent; `hybridctl info %` shows "
	  "the block size as MIN_BLOCK." },
};

/* So has an allocation that would take what is reserved. */
static const struct cause is_reserved = {
	NULL, ENOSPC,
	"less is free that is not reserved by other programs",
	"Free extents, or ask for less; `hybridctl stat %` shows what is free and what is RESERVED."
};

static const char any_remedy[] = "The last lines of `dmesg` may say more.";

static const struct cause *find_cause(const char *command, int err, unsigned int reason)
{
	if (reason == HYBRID_ALLOC_REASON_RESERVED)
		return &is_reserved;
	for (size_t i = 0; reason && err == EINVAL && i < ARRAY_SIZE(part_reasons); i++) {
		if (part_reasons[i].err == (int)reason && !strcmp(part_reasons[i].command, command))
			return &part_reasons[i];
	}
	if (reason && reason < ARRAY_SIZE(reasons) && reasons[reason].err == err)
		return &reasons[reason];
	for (size_t i = 0; i < ARRAY_SIZE(causes); i++) {
		const struct cause *c = &causes[i];

		if (c->err == err && (!c->command || !strcmp(c->command, command)))
			return c;
	}
	return NULL;
}

char *explain(const char *command, int err, unsigned int reason, const char *node,
	      const char *format, ...)
{
	const struct cause *cause = find_cause(command, err, reason);
	const char *name = strerrorname_np(err);
	char *sentence = NULL;
	size_t size;
	va_list args;
	FILE *out = must(open_memstream(&sentence, &size));

	fputs("cannot ", out);
	va_start(args, format);
	vfprintf(out, format, args);
	va_end(args);
	fprintf(out, ": %s (%s).", cause ? cause->what : strerror(err), name ? name : "unknown");
	fputc(' ', out);
	for (const char *p = cause ? cause->remedy : any_remedy; *p; p++) {
		if (*p == '%')
			fputs(node ? node : "NODE", out);
		else
			fputc(*p, out);
	}
	must(fclose(out) ? NULL : sentence);
	return sentence;
}
