// SPDX-License-Identifier: GPL-2.0
/*
 * objstore - a command line for store.c
 *
 * usage: objstore create NODE CATALOGUE
 *        objstore put NODE CATALOGUE NAME... <DATA
 *        objstore get NODE CATALOGUE NAME >DATA
 *        objstore delete NODE CATALOGUE NAME...
 *        objstore list NODE CATALOGUE
 *
 * NODE is the number of an instance of hybrid_alloc, or the path of its node.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store.h"

static int put(struct store *s, char **names)
{
	size_t size = 0, max = 1 << 16, n;
	char *data = NULL, *more;
	int err = 0;

	do {
		max *= 2;
		more = realloc(data, max);
		if (!more) {
			free(data);
			return -ENOMEM;
		}
		data = more;
		n = fread(data + size, 1, max - size, stdin);
		size += n;
	} while (size == max);
	if (ferror(stdin))
		err = -EIO;
	for (; !err && *names; names++)
		err = store_put(s, *names, data, size);
	free(data);
	return err;
}

static int get(struct store *s, const char *name)
{
	size_t size;
	void *data;
	int err = store_get(s, name, &data, &size);

	if (err)
		return err;
	if (fwrite(data, 1, size, stdout) != size || fflush(stdout))
		err = -EIO;
	free(data);
	return err;
}

static int print(const struct store_object *o, void *arg)
{
	uint32_t i;

	(void)arg;
	printf("%s %llu", o->name, (unsigned long long)o->size);
	for (i = 0; i < o->nr_extents; i++)
		printf(" %llu:%llu", o->extents[i].start, o->extents[i].len);
	putchar('\n');
	return 0;
}

static int run(int argc, char **argv)
{
	const char *command = argv[1];
	char **names = argv + 4;
	struct store *s;
	int err;

	if (!strcmp(command, "create"))
		return store_create(argv[2], argv[3]);
	err = store_open(&s, argv[2], argv[3]);
	if (err)
		return err;
	if (!strcmp(command, "list"))
		err = store_list(s, print, NULL);
	else if (argc < 5)
		err = -EINVAL;
	else if (!strcmp(command, "put"))
		err = put(s, names);
	else if (!strcmp(command, "get"))
		err = get(s, names[0]);
	else if (!strcmp(command, "delete"))
		for (; !err && *names; names++)
			err = store_delete(s, *names);
	else
		err = -EINVAL;
	store_close(s);
	return err;
}

int main(int argc, char **argv)
{
	int err;

	if (argc < 4) {
		fputs("usage: objstore create|put|get|delete|list NODE CATALOGUE [NAME]...\n",
		      stderr);
		return 2;
	}
	err = run(argc, argv);
	if (err)
		fprintf(stderr, "objstore: %s: %s\n", argv[1], strerror(-err));
	return !!err;
}
