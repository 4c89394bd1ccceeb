/* SPDX-License-Identifier: GPL-2.0 */
/* Sizes and extents as people write and read them. */
#ifndef HYBRID_ALLOC_COMMON_SIZE_H
#define HYBRID_ALLOC_COMMON_SIZE_H

#include <linux/types.h>

/**
 * parse_size - read a size in bytes
 * @word: 4096, 4K or 4KiB (powers of 1024), 4kB (powers of 1000), or a fraction, 1.5M
 * @size: the result
 *
 * Return: NULL, or what is wrong with @word, as the end of a sentence that names it.
 */
const char *parse_size(const char *word, __u64 *size);

/**
 * parse_numbers - read several sizes in bytes
 * @line: with colons, commas or blanks between them
 * @numbers: the results
 * @nr: how many there are
 * @form: what is wrong with a line that has more or fewer
 *
 * Return: NULL, or what is wrong with @line, as the end of a sentence that names it.
 */
const char *parse_numbers(const char *line, __u64 *numbers, int nr, const char *form);

/**
 * parse_extent - read a start and a length in bytes
 * @line: START:LEN, START,LEN, or two sizes with blanks between them
 * @start: the first size
 * @len: the second size
 *
 * Return: NULL, or what is wrong with @line, as the end of a sentence that names it.
 */
const char *parse_extent(const char *line, __u64 *start, __u64 *len);

/**
 * size_short - a size for tables: "1.5G", rounded to a tenth of its unit
 * @size: in bytes
 *
 * Return: a string for free(), or NULL without memory.
 */
char *size_short(__u64 size);

/**
 * size_exact - a size for sentences: "4 MiB" or "4097 bytes"
 * @size: in bytes
 *
 * Return: a string for free(), or NULL without memory.
 */
char *size_exact(__u64 size);

#endif
