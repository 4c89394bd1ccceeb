// SPDX-License-Identifier: GPL-2.0
/* The unchanged layer, with memory allocations that fail on demand. */
#include "inject_pool.h"
#include "pool/refusals.c"
#include "pool/depot.c"
#include "pool/reserve.c"
#include "pool/report.c"
#include "pool.c"
