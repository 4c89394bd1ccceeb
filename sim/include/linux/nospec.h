/* SPDX-License-Identifier: GPL-2.0 */
/* No secrets here that speculation could leak. */
#ifndef SIM_LINUX_NOSPEC_H
#define SIM_LINUX_NOSPEC_H

#define array_index_nospec(index, size)	(index)

#endif
