/* SPDX-License-Identifier: GPL-2.0 */
/* User-space stand-in: whether an allocation may wait. */
#ifndef _SIM_LINUX_GFP_H
#define _SIM_LINUX_GFP_H

#include <linux/types.h>

#define __GFP_DIRECT_RECLAIM	0x01U
#define __GFP_KSWAPD_RECLAIM	0x02U
#define __GFP_IO		0x04U
#define __GFP_FS		0x08U
#define __GFP_NOWARN		0x10U
#define __GFP_ZERO		0x20U
#define __GFP_NOFAIL		0x40U
#define __GFP_NORETRY		0x80U
#define __GFP_RETRY_MAYFAIL	0x100U
#define __GFP_ACCOUNT		0x200U
#define __GFP_NOMEMALLOC	0x400U
#define __GFP_HIGH		0x800U
#define __GFP_RECLAIM		(__GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM)
#define GFP_NOWAIT		__GFP_KSWAPD_RECLAIM
#define GFP_ATOMIC		(__GFP_HIGH | __GFP_KSWAPD_RECLAIM)
#define GFP_NOIO		__GFP_RECLAIM
#define GFP_NOFS		(__GFP_RECLAIM | __GFP_IO)
#define GFP_KERNEL		(__GFP_RECLAIM | __GFP_IO | __GFP_FS)

static inline bool gfpflags_allow_blocking(gfp_t gfp)
{
	return gfp & __GFP_DIRECT_RECLAIM;
}

#endif
