/* SPDX-License-Identifier: GPL-2.0 */
/* The small devices of hybrid-sim interleave, and the checks of an allocator at rest. */
#ifndef _SIM_DEVICES_H
#define _SIM_DEVICES_H

#include "order.h"
#include "pool.h"

#define MAX_BLOCKS	16

/* Extents as bits, one for each block. */
struct space {
	u32 used;
	u32 starts;		/* first blocks of extents */
	u32 reserved;		/* number of blocks that are reserved */
};

struct device {
	char name[16];		/* BLOCKS.UNIT.MAGAZINE */
	u32 blocks;
	u32 unit_shift;
	u32 slab_max, most_small;
	u32 magazine;		/* objects */
	u32 groups;
};

/* The allocator, in memory that can be put back. */
extern struct hapool *pool;
extern const struct device *device;

unsigned int nr_devices(void);
const struct device *device_nr(unsigned int i);
const struct device *device_named(const char *name, size_t len);
void device_start(const struct device *d, unsigned int nr_cpus);
void device_reserves(struct hapool_reservation *v);

static inline u32 blocks_mask(u32 start, u32 len)
{
	return ((1U << len) - 1) << start;
}

static inline void space_add(struct space *s, u32 start, u32 len)
{
	s->used |= blocks_mask(start, len);
	s->starts |= 1U << start;
}

static inline void space_remove(struct space *s, u32 start, u32 len)
{
	s->used &= ~blocks_mask(start, len);
	s->starts &= ~(1U << start);
}

bool device_caches(int cpu);
u32 space_len(const struct space *s, u32 start);
bool space_is_extent(const struct space *s, u32 start, u32 len);
bool space_fits(u32 used, u32 len, u32 align);
void device_check_sums(const struct space *live, bool drained);
void device_check(const struct space *live, bool drained);
void device_check_empty(struct space *live);

#endif
