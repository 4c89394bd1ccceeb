// SPDX-License-Identifier: GPL-2.0
/* The layer as it is, but with allocations that fail on demand. */
#include "inject.h"
#include "buddy.c"
