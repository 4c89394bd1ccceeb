// SPDX-License-Identifier: GPL-2.0
/* The unchanged layer, with memory allocations that fail on demand. */
#include "inject.h"
#include "slab/bits.c"
#include "slab/runs.c"
#include "slab/lock.c"
#include "slab/map.c"
#include "slab/index.c"
#include "slab/cross.c"
/* what another task does after free units were found, and before they are taken */
#define haslab_free_units(s, g, len, all, found) \
	hatest_found(haslab_free_units(s, g, len, all, found))
#include "slab/mixed.c"
#include "slab/room.c"
#include "slab/objects.c"
#include "slab/walk.c"
#include "slab/sums.c"
#include "slab/span.c"
#include "slab/claim.c"
#include "slab/sweep.c"
#include "slab/load.c"
#include "slab/append.c"
#include "slab/hold.c"
#include "slab/stripe.c"
/* looks at entries of the index */
#define entry_is_joined(entry)	(atomic_long_inc(&hatest_looks), entry_is_joined(entry))
#include "slab/search.c"
#undef entry_is_joined
#include "slab/report.c"
#include "slab/part.c"
#include "slab/check.c"
#include "slab.c"
