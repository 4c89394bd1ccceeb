/* SPDX-License-Identifier: GPL-2.0 */
/* User-space stand-in: all memory is malloc()'s. */
#ifndef _SIM_LINUX_MM_H
#define _SIM_LINUX_MM_H

#include <linux/slab.h>
#include <linux/wait_bit.h>

#define PAGE_ALIGN(len)		(((len) + 4095) & ~4095UL)

static inline bool is_vmalloc_addr(const void *p) { return false; }

#endif
