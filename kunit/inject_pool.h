/* SPDX-License-Identifier: GPL-2.0 */
/* Included before the sources of the pool layer: see inject.h. */
#include "inject.h"
#include "pool/internal.h"

/* Magazines that are taken other than by a hit are counted. */
#define hapool_mag_take(bin)	(atomic_long_inc(&hatest_takes), hapool_mag_take(bin))
