/* SPDX-License-Identifier: GPL-2.0 */
/* The workloads worst-* of hybrid-sim bench. They are not in all builds. */
#ifndef _SIM_STATES_H
#define _SIM_STATES_H

#include <stdbool.h>
#include <stdio.h>

bool states_has(const char *name) __attribute__((weak));
void states_list(FILE *out) __attribute__((weak));
/* Return: 0; 1 a call did not do what it should. */
int states_bench(const char *name) __attribute__((weak));

#endif
