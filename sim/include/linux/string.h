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

static inline void *memset16(u16 *p, u16 v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = v;
	return p;
}

#endif
