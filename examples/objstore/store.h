/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An object store on a raw disk: see the head of store.c. Functions return 0 or a
 * negative errno; all but store_open() and store_close() may be called by any
 * number of threads.
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
 * A new catalogue for an instance on which nothing is allocated. -EEXIST there is
 * such a file; -ENOTEMPTY something is allocated.
 */
int store_create(const char *node, const char *catalogue);

/*
 * Opens the store, after whatever end of the last program that did: what the
 * catalogue does not know goes back, and after a rebuild attach its extents are
 * claimed. -EBUSY another program has it open; -EUCLEAN the catalogue is damaged,
 * or its extents are not allocated on the instance; -EMEDIUMTYPE this is not the
 * catalogue's disk.
 */
int store_open(struct store **store, const char *node, const char *catalogue);
void store_close(struct store *store);

/*
 * Once this has returned 0 the object is there, whatever happens; before, there is
 * the old one or the new one, never a part of either. A name that begins with a dot
 * is -EINVAL. A failure to write the catalogue ends all changes: -EIO from then on,
 * and the next store_open() finds out what came of the last one.
 */
int store_put(struct store *store, const char *name, const void *data, size_t size);
int store_delete(struct store *store, const char *name);

/* *data is to be given to free(). -EBADMSG the disk has something else than what was put. */
int store_get(struct store *store, const char *name, void **data, size_t *size);

/* In the order of names, until each() returns something else than 0; it must not use the store. */
int store_list(struct store *store, int (*each)(const struct store_object *object, void *arg),
	       void *arg);

#endif
