/* SPDX-License-Identifier: GPL-2.0 */
/* User-space stand-in: a module parameter is an environment variable. */
#ifndef _SIM_LINUX_MODULE_H
#define _SIM_LINUX_MODULE_H

#include <stdlib.h>
#include <linux/kernel.h>

#define MODULE_LICENSE(s)
#define MODULE_DESCRIPTION(s)
#define MODULE_AUTHOR(s)
#define MODULE_PARM_DESC(n, s)
#define EXPORT_SYMBOL_GPL(s)
#define THIS_MODULE		NULL

#define module_param(name, type, perm)					\
static void __attribute__((constructor)) sim_param_##name(void)	\
{									\
	const char *s = getenv(#name);					\
									\
	if (s)								\
		name = strtoull(s, NULL, 0);				\
}

#endif
