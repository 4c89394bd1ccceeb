// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "size.h"

static const char units[] = "KMGTPE";

/* The factor that a suffix stands for: "", "B", "K", "KiB" or "kB". 0: it is none of these. */
static __u64 suffix_factor(const char *suffix)
{
	__u64 base, factor = 1;
	const char *unit;

	if (!*suffix || !strcmp(suffix, "B"))
		return 1;
	unit = strchr(units, toupper((unsigned char)*suffix));
	if (!unit)
		return 0;
	if (!suffix[1] || !strcasecmp(suffix + 1, "iB"))
		base = 1024;
	else if (!strcasecmp(suffix + 1, "B"))
		base = 1000;
	else
		return 0;
	for (const char *u = units; u <= unit; u++)
		factor *= base;
	return factor;
}

static __u64 gcd(__u64 a, __u64 b)
{
	while (b) {
		__u64 rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

const char *parse_size(const char *word, __u64 *size)
{
	static const char too_big[] = "is more than 16 EiB, where all devices end; give less";
	__u64 whole = 0, factor, part, common, divisor = 1;
	const char *fraction = NULL, *p = word;

	if (!isdigit((unsigned char)*p))
		return *p == '-' ? "is negative; give a size such as 4096, 4K or 1.5M" :
				    "is not a size such as 4096, 4K, 1.5M or 1GiB";
	for (; isdigit((unsigned char)*p); p++) {
		if (__builtin_mul_overflow(whole, 10, &whole) ||
		    __builtin_add_overflow(whole, *p - '0', &whole))
			return too_big;
	}
	if (*p == '.') {
		fraction = ++p;
		p += strspn(p, "0123456789");
		if (p == fraction)
			return "has no digits after the point; give some, or leave it out";
	}
	factor = suffix_factor(p);
	if (!factor)
		return "has an unknown unit; use K, M, G, T, P or E, with or without iB";
	if (__builtin_mul_overflow(whole, factor, size))
		return too_big;
	if (!fraction)
		return NULL;

	/* No rounding: a rounded position is a different position. */
	for (part = 0; fraction < p && isdigit((unsigned char)*fraction); fraction++) {
		if (__builtin_mul_overflow(divisor, 10, &divisor))
			return "has too many digits after the point; give it in a smaller unit";
		part = part * 10 + (*fraction - '0');
	}
	common = gcd(part, divisor);
	if (factor % (divisor / common))
		return "is not a whole number of bytes; give it in a smaller unit";
	part = part / common * (factor / (divisor / common));
	if (__builtin_add_overflow(*size, part, size))
		return too_big;
	return NULL;
}

const char *parse_numbers(const char *line, __u64 *numbers, int nr, const char *form)
{
	const char *error = NULL, *wrong, *p = line;
	char word[64];
	size_t n;

	for (int i = 0; i < nr; i++) {
		p += strspn(p, " \t");
		n = strcspn(p, ":, \t");
		if (!n || n >= sizeof(word))
			return form;
		memcpy(word, p, n);
		word[n] = 0;
		p += n;
		p += strspn(p, " \t");
		if (i + 1 < nr && (*p == ':' || *p == ','))
			p++;
		wrong = parse_size(word, &numbers[i]);
		error = error ? error : wrong;
	}
	return *p ? form : error;
}

const char *parse_extent(const char *line, __u64 *start, __u64 *len)
{
	__u64 numbers[2];
	const char *error;

	error = parse_numbers(line, numbers, 2, "is not of the form START:LEN, such as 1M:64K");
	if (!error) {
		*start = numbers[0];
		*len = numbers[1];
	}
	return error;
}

char *size_short(__u64 size)
{
	unsigned int tenths, exp = 0;
	__u64 unit, rest;
	char text[32];

	while (size >> (10 * exp) >= 1024)
		exp++;
	if (!exp) {
		snprintf(text, sizeof(text), "%lluB", size);
		return strdup(text);
	}

	/* Rounding to the nearest tenth can yield 1024. */
	unit = 1ULL << (10 * exp);
	rest = size % unit;
	tenths = size / unit * 10 + (rest * 10 + unit / 2) / unit;
	if (tenths == 10240 && exp < strlen(units)) {
		tenths = 10;
		exp++;
	}
	if (tenths % 10)
		snprintf(text, sizeof(text), "%u.%u%c", tenths / 10, tenths % 10, units[exp - 1]);
	else
		snprintf(text, sizeof(text), "%u%c", tenths / 10, units[exp - 1]);
	return strdup(text);
}

char *size_exact(__u64 size)
{
	unsigned int exp = 0;
	char text[32];

	while (size && exp < strlen(units) &&
	       !(size & ((1ULL << (10 * (exp + 1))) - 1)))
		exp++;
	if (exp)
		snprintf(text, sizeof(text), "%llu %ciB", size >> (10 * exp), units[exp - 1]);
	else
		snprintf(text, sizeof(text), "%llu bytes", size);
	return strdup(text);
}
