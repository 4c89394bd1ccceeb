# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# The magic bytes by which libblkid knows what is on a disk; to be sourced.

# shellcheck disable=SC2034 # for those who source this
signatures="swap ext2 iso9660 luks lvm dos"

# poke FILE OFFSET BYTES, the bytes as printf has them
poke()
{
	# shellcheck disable=SC2059 # escapes are what this is for
	printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

# write_signature KIND FILE
write_signature()
{
	case $1 in
	# Version 1, one page, in front of the magic at the end of the page
	swap) poke "$2" 1024 '\001\000\000\000\377\000\000\000' && poke "$2" 4086 'SWAPSPACE2' ;;
	ext2) poke "$2" 1080 '\123\357' ;;
	iso9660) poke "$2" 32768 '\001CD001\001' ;;
	luks) poke "$2" 0 'LUKS\272\276\000\001' ;;
	lvm) poke "$2" 512 'LABELONE\001' && poke "$2" 536 'LVM2 001' ;;
	# One partition, of type 83, from sector 2048
	dos)
		poke "$2" 446 '\000\000\000\000\203\000\000\000\000\010\000\000\000\010\000\000'
		poke "$2" 510 '\125\252'
		;;
	esac
}

# signature_name KIND: what hybridctl calls it
signature_name()
{
	case $1 in
	swap) echo "swap space" ;;
	ext2) echo "ext2 file system" ;;
	iso9660) echo "iso9660 file system" ;;
	luks) echo "crypto_LUKS encrypted volume" ;;
	lvm) echo "LVM2_member RAID or volume manager member" ;;
	dos) echo "dos partition table" ;;
	esac
}
