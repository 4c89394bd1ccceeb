/* SPDX-License-Identifier: GPL-2.0 */
/* User-space stand-in: all memory is malloc()'s. */
#ifndef _SIM_LINUX_MM_H
#define _SIM_LINUX_MM_H

#include <linux/slab.h>
#include <linux/wait_bit.h>

#define PAGE_ALIGN(len)		(((len) + 4095) & ~4095UL)

/* kvmalloc() turns to vmalloc() for what is longer than any object of kmalloc(). */
#define KMALLOC_MAX_SIZE	(4UL << 20)

static inline bool is_vmalloc_addr(const void *p)
{
	return ksize(p) > KMALLOC_MAX_SIZE;
}

#endif
