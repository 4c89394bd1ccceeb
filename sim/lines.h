/* SPDX-License-Identifier: GPL-2.0 */
/* The workloads lines-* of hybrid-sim bench. They are not in all builds. */
#ifndef _SIM_LINES_H
#define _SIM_LINES_H

#include <stdbool.h>
#include <stdio.h>

bool lines_has(const char *name) __attribute__((weak));
void lines_list(FILE *out) __attribute__((weak));
/* Return: 0; 1 a call did not do what it should; 2 after a complaint. */
int lines_bench(const char *name) __attribute__((weak));

int lines_memory_get(void **base, size_t align, size_t size);
void lines_memory_put(void *base, size_t size);
void *lines_memset(void *p, int c, size_t size);
void *lines_memcpy(void *to, const void *from, size_t size);
void *lines_memmove(void *to, const void *from, size_t size);

#endif
