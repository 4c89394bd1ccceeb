/* SPDX-License-Identifier: GPL-2.0 */
/* User-space stand-in: memory, rounded up to the kernel's size classes. */
#ifndef _SIM_LINUX_SLAB_H
#define _SIM_LINUX_SLAB_H

#include <linux/kernel.h>
#include <linux/gfp.h>

void *sim_kmalloc(size_t size, gfp_t gfp);
void kfree(const void *p);
size_t ksize(const void *p);
long sim_objects(void);		/* objects not freed so far */
extern bool (*sim_fails)(gfp_t gfp);	/* whether an allocation fails; NULL: none does */

#define kmalloc(size, gfp)		sim_kmalloc(size, gfp)
#define kzalloc(size, gfp)		sim_kmalloc(size, (gfp) | __GFP_ZERO)
#define kmalloc_array(n, size, gfp)	kmalloc((size_t)(n) * (size), gfp)
#define kcalloc(n, size, gfp)		kzalloc((size_t)(n) * (size), gfp)
#define kvmalloc(size, gfp)		kmalloc(size, gfp)
#define kvzalloc(size, gfp)		sim_kvzalloc(size, gfp)
#define kvmalloc_array(n, size, gfp)	kmalloc_array(n, size, gfp)
#define kvcalloc(n, size, gfp)		kvzalloc((size_t)(n) * (size), gfp)
#define kvfree(p)			kfree(p)
#define vmalloc(size)			kmalloc(size, GFP_KERNEL)
#define vzalloc(size)			kzalloc(size, GFP_KERNEL)
#define vfree(p)			kfree(p)

/* Linux allocates no more than INT_MAX bytes, and warns unless __GFP_NOWARN is given. */
static inline void *sim_kvzalloc(size_t size, gfp_t gfp)
{
	if (size > INT_MAX) {
		WARN_ON_ONCE(!(gfp & __GFP_NOWARN));
		return NULL;
	}
	return kzalloc(size, gfp);
}

#endif
