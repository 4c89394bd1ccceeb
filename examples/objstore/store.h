/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An object store on a raw disk: see the head of store.c. Functions return 0 or a negative
 * errno. All but store_open() and store_close() may be called by several threads at once.
 */
#ifndef STORE_H
#define STORE_H

#include <stddef.h>
#include <stdint.h>

#include "hybridalloc.h"

#define STORE_NAME_MAX		255
#define STORE_EXTENTS_MAX	64	/* of one object */

struct store;

struct store_object {
	const char *name;
	uint64_t size;
	uint32_t nr_extents;
	const struct hybrid_alloc_extent *extents;
};

/*
 * Makes a new catalogue for an instance without live extents. -EEXIST the file exists;
 * -ENOTEMPTY the instance has live extents.
 */
int store_create(const char *node, const char *catalogue);

/*
 * Opens the store, however the last program that used it has ended: extents that are not in
 * the catalogue are freed, and after a rebuild attach those of the catalogue are claimed.
 * -EBUSY another program has it open; -EUCLEAN the catalogue is damaged, or its extents are
 * not allocated on the instance; -EMEDIUMTYPE this is not the disk of the catalogue.
 */
int store_open(struct store **store, const char *node, const char *catalogue);
void store_close(struct store *store);

/*
 * A put or delete is durable once it has returned 0. After a crash before that, the store
 * has either the old object or the new one, complete. A name that begins with a dot gives
 * -EINVAL. After a failure to write the catalogue, all changes give -EIO, and the next
 * store_open() finds out whether the last one was written.
 */
int store_put(struct store *store, const char *name, const void *data, size_t size);
int store_delete(struct store *store, const char *name);

/* The caller frees *data with free(). -EBADMSG the data on the disk is not what was put. */
int store_get(struct store *store, const char *name, void **data, size_t *size);

/* In the order of names, until each() returns nonzero; it must not use the store. */
int store_list(struct store *store, int (*each)(const struct store_object *object, void *arg),
	       void *arg);

#endif
