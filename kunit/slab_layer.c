// SPDX-License-Identifier: GPL-2.0
/* The unchanged layer, with memory allocations that fail on demand, and looks counted. */
#include "inject.h"
#include "slab/runs.c"
#include "slab/lock.c"
#define HATEST_COUNT_LOOKS
#include "looks.h"
#include "slab/map.c"
#include "slab/mixed.c"
#include "slab/objects.c"
#include "slab/walk.c"
#include "slab/span.c"
#include "slab/claim.c"
#include "slab/hold.c"
#include "slab/search.c"
#include "slab/report.c"
#include "slab/check.c"
#include "slab.c"
