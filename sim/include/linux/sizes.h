/* SPDX-License-Identifier: GPL-2.0 */
/* User-space stand-in: sizes. */
#ifndef _SIM_LINUX_SIZES_H
#define _SIM_LINUX_SIZES_H
#define SZ_4K	0x1000
#define SZ_64K	0x10000
#define SZ_1M	0x100000
#define SZ_4M	0x400000
#define SZ_1G	0x40000000
#endif
