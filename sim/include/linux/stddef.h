/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _SIM_LINUX_STDDEF_H
#define _SIM_LINUX_STDDEF_H

#include <stddef.h>

/* A flexible array in a union. */
#define DECLARE_FLEX_ARRAY(type, name) struct { struct { } before_##name; type name[]; }

#endif
