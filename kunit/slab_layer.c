// SPDX-License-Identifier: GPL-2.0
/* The layer as it is, but with allocations that fail on demand. */
#include "inject.h"
#include "slab/runs.c"
#include "slab/map.c"
#include "slab/mixed.c"
#include "slab/range.c"
#include "slab/search.c"
#include "slab/check.c"
#include "slab.c"
