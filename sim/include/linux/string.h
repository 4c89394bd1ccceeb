/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _SIM_LINUX_STRING_H
#define _SIM_LINUX_STRING_H

#include <string.h>
#include <linux/types.h>

static inline void *memchr_inv(const void *start, int c, size_t bytes)
{
	const u8 *at = start;

	for (; bytes && *at == (u8)c; bytes--)
		at++;
	return bytes ? (void *)at : NULL;
}

#endif
