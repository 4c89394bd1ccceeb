/* SPDX-License-Identifier: GPL-2.0 */
/* User-space stand-in: multiplicative hashing. */
#ifndef _SIM_LINUX_HASH_H
#define _SIM_LINUX_HASH_H

#include <linux/types.h>

static inline u32 hash_64(u64 v, unsigned int bits)
{
	return (v * 0x9e3779b97f4a7c15ULL) >> (64 - bits);
}
#define hash_ptr(p, bits)	hash_64((unsigned long)(p), bits)
#define hash_32(v, bits)	((u32)((u32)(v) * 0x9e3779b1U) >> (32 - (bits)))
#define hash_long(v, bits)	hash_64(v, bits)

#endif
