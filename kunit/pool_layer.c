// SPDX-License-Identifier: GPL-2.0
/* The unchanged layer, with memory allocations that fail on demand. */
#include "inject.h"
#include "pool/internal.h"

/* Magazines that are taken other than by a hit are counted. */
#define hapool_mag_take(bin)	(atomic_long_inc(&hatest_takes), hapool_mag_take(bin))
#include "pool/refusals.c"
#include "pool/report.c"
#include "pool.c"
