/* SPDX-License-Identifier: GPL-2.0 */
/* The workloads claim-* of hybrid-sim bench. */
#ifndef _SIM_CLAIMS_H
#define _SIM_CLAIMS_H

#include <stdbool.h>
#include <stdio.h>

bool claims_has(const char *name);
void claims_list(FILE *out);
/* Return: 0; 1 a call did not do what it should. */
int claims_bench(const char *name);

#endif
