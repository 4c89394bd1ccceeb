// SPDX-License-Identifier: GPL-2.0
/* The unchanged layer, with memory allocations that fail on demand. */
#include "inject.h"
#include "steps.c"
#include "buddy/check.c"
#include "buddy.c"
