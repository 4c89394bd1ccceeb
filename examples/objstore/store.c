// SPDX-License-Identifier: GPL-2.0
/*
 * objstore - named objects on a raw disk, with space from hybrid_alloc
 *
 * The rules for an engine on top of hybrid_alloc, and where this example follows them:
 *
 * - The module forgets all extents when it is unloaded, and does not know what they hold.
 *   The store keeps a catalogue for that: a log with a record for each object that was put
 *   or deleted. Each record has a checksum, and the last record of a name is valid.
 *   Occasionally the log is written again without old records, and replaced as a whole
 *   (write_catalogue()).
 * - Order of the steps of a put (store_put()): allocate; write the data; make it durable;
 *   make the record durable, which makes the object visible; only then free the extents of
 *   the object that it replaces. So the catalogue always names live extents that hold
 *   complete objects. A program that is killed leaves live extents that the catalogue does
 *   not name.
 * - Recovery (reconcile()): extents in the map that the catalogue does not name are freed,
 *   extents that it names are claimed if the instance is sealed, and then the instance is
 *   unsealed with hybrid_alloc_seal(). Each step may be interrupted and is then repeated.
 * - No other process may use the store during recovery: it holds a lock on the node. The
 *   lock of a killed process is released after its last thread has exited, so none of its
 *   writes is in flight any more.
 * - An extent is freed only after all I/O to it has finished. A writer has finished when it
 *   puts the object into the catalogue; a reader holds a reference (object_unref()).
 * - The disk is opened with O_DIRECT, so that no dirty page in the page cache overwrites the
 *   next owner's data; and without O_EXCL, as the module holds the disk.
 * - A different disk must be detected: the store has a label, an object with random content.
 *
 * One lock protects the index and the catalogue; data is written and read without it. An
 * engine with many small objects would write several records with one fdatasync().
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <zlib.h>
#include <linux/fs.h>

#include "store.h"

#define IO_SIZE		(1 << 20)
#define IO_ALIGN	4096
#define LABEL		".label"
#define LABEL_SIZE	16
#define LOG_SLACK	(64 << 10)	/* bytes of old records before the log is written again */

/* A record is followed by nr_extents of struct place and by the name. */
struct record {
	uint32_t crc;		/* of the rest of the record */
	uint32_t kind;
	uint32_t data_crc;
	uint16_t nr_extents;
	uint16_t name_len;
	uint64_t size;
};

struct place {
	uint64_t start;
	uint64_t len;
};

enum { RECORD_PUT = 0x70757401, RECORD_DELETE = 0x64656c01 };

#define RECORD_MAX	(sizeof(struct record) + STORE_EXTENTS_MAX * sizeof(struct place) + \
			 STORE_NAME_MAX)

struct object {
	uint32_t refs;		/* one of the index, and one of each reader */
	uint32_t data_crc;
	uint64_t size;
	uint32_t nr_extents;
	struct hybrid_alloc_extent extents[STORE_EXTENTS_MAX];
	char name[STORE_NAME_MAX + 1];
};

struct store {
	int node, disk, log;
	bool sealed;		/* attached for a rebuild */
	uint64_t align;		/* of I/O */
	char *path;		/* of the catalogue */

	pthread_mutex_t lock;	/* protects the members below, and refs of objects */
	void *index;		/* tsearch() tree of objects by name */
	uint64_t log_size;
	uint64_t log_useful;	/* its bytes when it was last written without old records */
	int failed;		/* errno of a failure to write the catalogue */
};

/* ---- objects and the index ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct object *)a)->name, ((const struct object *)b)->name);
}

static struct object *object_new(const char *name, size_t name_len, uint64_t size)
{
	struct object *o = calloc(1, sizeof(*o));

	if (o) {
		o->refs = 1;
		o->size = size;
		memcpy(o->name, name, name_len);
	}
	return o;
}

static struct object *index_find(struct store *s, const char *name)
{
	struct object key, **found;

	strcpy(key.name, name);
	found = tfind(&key, &s->index, by_name);
	return found ? *found : NULL;
}

/* The last reference frees the extents, which may belong to another owner from then on. */
static void object_unref(struct store *s, struct object *o)
{
	struct hybrid_alloc_free_item items[STORE_EXTENTS_MAX] = {};
	struct hybrid_alloc_batch batch = { .size = sizeof(batch), .item_size = sizeof(items[0]) };
	bool last;
	int err;

	if (!o)
		return;
	pthread_mutex_lock(&s->lock);
	last = !--o->refs;
	pthread_mutex_unlock(&s->lock);
	if (!last)
		return;
	for (batch.nr = 0; batch.nr < o->nr_extents; batch.nr++)
		items[batch.nr].extent = o->extents[batch.nr];
	err = batch.nr ? hybrid_alloc_free_batch(s->node, items, &batch) : 0;
	/* A bug: it can only be reported. */
	if (err || batch.nr_failed)
		fprintf(stderr, "objstore: cannot free the extents of '%s': %s\n", o->name,
			err ? strerror(-err) : hybrid_alloc_strreason(items[0].reason));
	free(o);
}

/* ---- the catalogue ---- */

static size_t make_record(char *buf, uint32_t kind, const struct object *o)
{
	struct record *r = (struct record *)buf;
	char *p = buf + sizeof(*r);
	uint32_t i;

	*r = (struct record){
		.kind = kind, .data_crc = o->data_crc, .size = o->size,
		.nr_extents = kind == RECORD_PUT ? o->nr_extents : 0, .name_len = strlen(o->name),
	};
	for (i = 0; i < r->nr_extents; i++, p += sizeof(struct place))
		memcpy(p, &(struct place){ o->extents[i].start, o->extents[i].len },
		       sizeof(struct place));
	memcpy(p, o->name, r->name_len);
	p += r->name_len;
	r->crc = crc32(0, (unsigned char *)&r->kind, p - (char *)&r->kind);
	return p - buf;
}

/* Returns 1 and the object of the record at @p, 0 if that is not a record, or -ENOMEM. */
static int parse_record(const char *p, size_t left, struct record *r, size_t *len,
			struct object **object)
{
	struct object *o;
	struct place at;
	uint32_t i;

	if (left < sizeof(*r))
		return 0;
	memcpy(r, p, sizeof(*r));
	*len = sizeof(*r) + r->nr_extents * sizeof(at) + r->name_len;
	if (*len > left || r->nr_extents > STORE_EXTENTS_MAX || r->name_len > STORE_NAME_MAX ||
	    r->crc != crc32(0, (const unsigned char *)p + sizeof(r->crc), *len - sizeof(r->crc)))
		return 0;
	p += sizeof(*r);
	o = object_new(p + r->nr_extents * sizeof(at), r->name_len, r->size);
	if (!o)
		return -ENOMEM;
	o->data_crc = r->data_crc;
	o->nr_extents = r->nr_extents;
	for (i = 0; i < r->nr_extents; i++, p += sizeof(at)) {
		memcpy(&at, p, sizeof(at));
		o->extents[i].start = at.start;
		o->extents[i].len = at.len;
	}
	*object = o;
	return 1;
}

static int apply_record(struct store *s, uint32_t kind, struct object *o)
{
	struct object **slot, *old;

	if (kind == RECORD_PUT) {
		slot = tsearch(o, &s->index, by_name);
		if (!slot) {
			free(o);
			return -ENOMEM;
		}
		if (*slot != o)
			free(*slot);
		*slot = o;
		return 0;
	}
	old = index_find(s, o->name);
	if (old)
		tdelete(old, &s->index, by_name);
	free(old);
	free(o);
	return 0;
}

static int parse_catalogue(struct store *s, const char *p, size_t left)
{
	struct object *o;
	struct record r;
	size_t len;
	int ret;

	for (; left; p += len, left -= len) {
		ret = parse_record(p, left, &r, &len, &o);
		/*
		 * The last record may be incomplete: its put has not returned. All others were
		 * made durable before the next one was begun.
		 */
		if (!ret)
			return left > RECORD_MAX ? -EUCLEAN : 0;
		if (ret > 0)
			ret = apply_record(s, r.kind, o);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int read_catalogue(struct store *s)
{
	int fd = open(s->path, O_RDONLY | O_CLOEXEC), err = 0;
	struct stat st;
	char *buf;
	size_t at;
	ssize_t n;

	if (fd < 0)
		return -errno;
	buf = fstat(fd, &st) ? NULL : malloc(st.st_size + 1);
	if (!buf)
		err = -ENOMEM;
	for (at = 0; !err && at < (size_t)st.st_size; at += n) {
		n = read(fd, buf + at, st.st_size - at);
		if (n <= 0)
			err = n ? -errno : -EIO;
	}
	if (!err)
		err = parse_catalogue(s, buf, at);
	free(buf);
	close(fd);
	return err;
}

static int append(struct store *s, uint32_t kind, const struct object *o)
{
	char buf[RECORD_MAX], *p = buf;
	size_t left = make_record(buf, kind, o);
	ssize_t n;

	s->log_size += left;
	for (; left; p += n, left -= n) {
		n = write(s->log, p, left);
		if (n < 0)
			return -errno;
	}
	return 0;
}

static void append_object(const void *node, VISIT visit, void *arg)
{
	struct store *s = arg;

	if ((visit == postorder || visit == leaf) && !s->failed)
		s->failed = append(s, RECORD_PUT, *(struct object *const *)node);
}

static int sync_directory(const char *path)
{
	char *copy = strdup(path);
	int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int err = fd < 0 || fsync(fd) ? -errno : 0;

	if (fd >= 0)
		close(fd);
	free(copy);
	return err;
}

/* Writes the log without old records. After a crash there is the old file or the new one. */
static int write_catalogue(struct store *s)
{
	char path[strlen(s->path) + sizeof(".new")];

	sprintf(path, "%s.new", s->path);
	if (s->log >= 0)
		close(s->log);
	s->log = open(path, O_WRONLY | O_APPEND | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (s->log < 0)
		return s->failed = -errno;
	s->log_size = 0;
	twalk_r(s->index, append_object, s);
	s->log_useful = s->log_size;
	if (!s->failed && (fsync(s->log) || rename(path, s->path)))
		s->failed = -errno;
	if (!s->failed)
		s->failed = sync_directory(s->path);
	return s->failed;
}

/* Called with the lock held. If it returns 0, the record is durable. */
static int commit(struct store *s, uint32_t kind, const struct object *o)
{
	if (!s->failed && s->log_size > 2 * s->log_useful + LOG_SLACK)
		write_catalogue(s);
	if (s->failed)
		return -EIO;
	s->failed = append(s, kind, o) ?: fdatasync(s->log) ? -errno : 0;
	return s->failed ? -EIO : 0;
}

/* ---- data ---- */

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* O_DIRECT needs whole blocks and aligned memory. */
static int transfer(struct store *s, const struct object *o, char *data, bool to_disk)
{
	char *buf = aligned_alloc(s->align, IO_SIZE);
	uint64_t done = 0, at, part, len;
	ssize_t n = 0;
	int err = buf ? 0 : -ENOMEM;
	uint32_t i;

	for (i = 0; !err && i < o->nr_extents; i++) {
		for (at = 0; !err && at < o->extents[i].len && done < o->size; at += len) {
			part = min(min(IO_SIZE, o->extents[i].len - at), o->size - done);
			len = (part + s->align - 1) / s->align * s->align;
			if (to_disk) {
				memcpy(buf, data + done, part);
				memset(buf + part, 0, len - part);
				n = pwrite(s->disk, buf, len, o->extents[i].start + at);
			} else {
				n = pread(s->disk, buf, len, o->extents[i].start + at);
				memcpy(data + done, buf, part);
			}
			if (n != (ssize_t)len)
				err = n < 0 ? -errno : -EIO;
			done += part;
		}
	}
	free(buf);
	return err;
}

static int read_object(struct store *s, const struct object *o, char *data)
{
	int err = transfer(s, o, data, false);

	if (!err && crc32_z(0, (unsigned char *)data, o->size) != o->data_crc)
		err = -EBADMSG;
	return err;
}

static int write_object(struct store *s, struct object *o, const void *data)
{
	struct hybrid_alloc_many many = {
		.size = sizeof(many), .nr = STORE_EXTENTS_MAX, .item_size = sizeof(o->extents[0]),
		.len = o->size,
	};
	int err;

	o->data_crc = crc32_z(0, data, o->size);
	if (!o->size)
		return 0;
	err = hybrid_alloc_alloc_many(s->node, o->extents, &many);
	if (err)
		return err;
	o->nr_extents = many.nr_extents;
	err = transfer(s, o, (char *)data, true);
	/* Flushes the cache of the disk. */
	if (!err && fdatasync(s->disk))
		err = -errno;
	return err;
}

/* ---- recovery: make the live extents those of the catalogue ---- */

struct list {
	struct hybrid_alloc_free_item *items;
	uint32_t nr;
	int err;
};

static void list_add(struct list *l, uint64_t start, uint64_t len)
{
	struct hybrid_alloc_free_item *items = l->items;

	if (l->err)
		return;
	if (!(l->nr & (l->nr - 1)))	/* a power of two: it is full */
		items = realloc(items, (l->nr ? 2 * l->nr : 1) * sizeof(*items));
	if (!items) {
		l->err = -ENOMEM;
		return;
	}
	items[l->nr++] = (struct hybrid_alloc_free_item){
		.extent = { .start = start, .len = len },
	};
	l->items = items;
}

static void list_object(const void *node, VISIT visit, void *list)
{
	const struct object *o = *(struct object *const *)node;
	uint32_t i;

	for (i = 0; (visit == postorder || visit == leaf) && i < o->nr_extents; i++)
		list_add(list, o->extents[i].start, o->extents[i].len);
}

static int by_start(const void *a, const void *b)
{
	const struct hybrid_alloc_free_item *x = a, *y = b;

	return x->extent.start < y->extent.start ? -1 : x->extent.start > y->extent.start;
}

static void list_index(struct list *l, struct store *s)
{
	uint32_t i;

	twalk_r(s->index, list_object, l);
	qsort(l->items, l->nr, sizeof(*l->items), by_start);
	for (i = 1; i < l->nr; i++)
		if (l->items[i].extent.start - l->items[i - 1].extent.start <
		    l->items[i - 1].extent.len)
			l->err = l->err ?: -EUCLEAN;
}

static void list_map(struct list *l, struct store *s)
{
	struct hybrid_alloc_map_iter *map;
	struct hybrid_alloc_map_entry e;
	int ret = hybrid_alloc_map_begin(s->node, 0, 0, &map);

	while (!ret && (ret = hybrid_alloc_map_next(map, &e, sizeof(e))) > 0) {
		if (e.state == HYBRID_ALLOC_MAP_LIVE)
			list_add(l, e.start, e.len);
		ret = 0;
	}
	hybrid_alloc_map_end(map);
	l->err = l->err ?: ret;
}

/* Adds the extents of @a that are not in @b. Both are sorted by address. */
static void list_difference(struct list *l, const struct list *a, const struct list *b)
{
	const struct hybrid_alloc_extent *e, *f;
	uint32_t i, j = 0;

	for (i = 0; i < a->nr; i++) {
		e = &a->items[i].extent;
		while (j < b->nr && b->items[j].extent.start < e->start)
			j++;
		f = j < b->nr ? &b->items[j].extent : NULL;
		if (!f || f->start != e->start || f->len != e->len)
			list_add(l, e->start, e->len);
	}
	l->err = l->err ?: a->err ?: b->err;
}

typedef int batch_call(int, struct hybrid_alloc_free_item *, struct hybrid_alloc_batch *);

static int list_do(const struct list *l, batch_call *call, const struct store *s)
{
	struct hybrid_alloc_batch batch = {
		.size = sizeof(batch), .nr = l->nr, .item_size = sizeof(*l->items),
	};

	if (!l->nr)
		return 0;
	return call(s->node, l->items, &batch) ?: batch.nr_failed ? -EUCLEAN : 0;
}

static int reconcile(struct store *s)
{
	struct list known = {}, live = {}, unknown = {}, missing = {};
	int err;

	list_index(&known, s);
	list_map(&live, s);
	list_difference(&unknown, &live, &known);
	list_difference(&missing, &known, &live);
	err = unknown.err ?: missing.err;
	/* Without a new attach, some other program has freed extents of this store. */
	if (!err && missing.nr && !s->sealed)
		err = -EUCLEAN;
	if (!err)
		err = list_do(&unknown, hybrid_alloc_free_batch, s) ?:
		      list_do(&missing, hybrid_alloc_claim_batch, s);
	free(known.items);
	free(live.items);
	free(unknown.items);
	free(missing.items);
	return err;
}

/* ---- the interface of store.h ---- */

static int put(struct store *s, const char *name, const void *data, size_t size)
{
	struct object *o = object_new(name, strlen(name), size), *old = NULL, **slot;
	int err;

	if (!o)
		return -ENOMEM;
	err = write_object(s, o, data);
	if (err) {
		object_unref(s, o);
		return err;
	}
	pthread_mutex_lock(&s->lock);
	slot = tsearch(o, &s->index, by_name);
	err = slot ? commit(s, RECORD_PUT, o) : -ENOMEM;
	if (!err && *slot != o) {
		old = *slot;
		*slot = o;
	} else if (err && slot && *slot == o) {
		tdelete(o, &s->index, by_name);
	}
	pthread_mutex_unlock(&s->lock);
	if (!err)
		object_unref(s, old);
	else if (err == -ENOMEM)
		object_unref(s, o);
	else
		/*
		 * The record may be in the catalogue or not. The extents stay live until the
		 * next store_open() finds out.
		 */
		free(o);
	return err;
}

static bool is_name(const char *name)
{
	return *name && *name != '.' && strlen(name) <= STORE_NAME_MAX;
}

int store_put(struct store *s, const char *name, const void *data, size_t size)
{
	return is_name(name) ? put(s, name, data, size) : -EINVAL;
}

int store_delete(struct store *s, const char *name)
{
	struct object *o;
	int err = -ENOENT;

	if (!is_name(name))
		return -EINVAL;
	pthread_mutex_lock(&s->lock);
	o = index_find(s, name);
	if (o)
		err = commit(s, RECORD_DELETE, o);
	if (!err)
		tdelete(o, &s->index, by_name);
	pthread_mutex_unlock(&s->lock);
	if (!err)
		object_unref(s, o);
	return err;
}

int store_get(struct store *s, const char *name, void **data, size_t *size)
{
	struct object *o;
	int err;

	if (!is_name(name))
		return -EINVAL;
	pthread_mutex_lock(&s->lock);
	o = index_find(s, name);
	if (o)
		o->refs++;
	pthread_mutex_unlock(&s->lock);
	if (!o)
		return -ENOENT;
	*size = o->size;
	*data = malloc(o->size + 1);
	err = *data ? read_object(s, o, *data) : -ENOMEM;
	if (err)
		free(*data);
	object_unref(s, o);
	return err;
}

struct each {
	int (*call)(const struct store_object *object, void *arg);
	void *arg;
	int ret;
};

static void call_each(const void *node, VISIT visit, void *arg)
{
	const struct object *o = *(struct object *const *)node;
	struct each *each = arg;

	if ((visit == postorder || visit == leaf) && !each->ret && is_name(o->name))
		each->ret = each->call(&(struct store_object){ o->name, o->size, o->nr_extents,
							       o->extents }, each->arg);
}

int store_list(struct store *s, int (*call)(const struct store_object *object, void *arg),
	       void *arg)
{
	struct each each = { call, arg, 0 };

	pthread_mutex_lock(&s->lock);
	twalk_r(s->index, call_each, &each);
	pthread_mutex_unlock(&s->lock);
	return each.ret;
}

static int open_disk(struct store *s, const struct hybrid_alloc_info *info)
{
	char path[sizeof("/dev/") + sizeof(info->disk)];
	struct stat st;
	int block;

	snprintf(path, sizeof(path), "/dev/%s", (const char *)info->disk);
	s->disk = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (s->disk < 0 || fstat(s->disk, &st) || ioctl(s->disk, BLKSSZGET, &block))
		return -errno;
	if (st.st_rdev != makedev(info->dev_major, info->dev_minor))
		return -ENODEV;
	s->align = block > IO_ALIGN ? block : IO_ALIGN;
	return 0;
}

/* Checks that the disk is that of the catalogue. */
static int check_label(struct store *s)
{
	const struct object *label = index_find(s, LABEL);
	char random[LABEL_SIZE];
	int err;

	if (!label)
		return s->index ? -EUCLEAN : 0;
	err = label->size == LABEL_SIZE ? read_object(s, label, random) : -EUCLEAN;
	return err == -EBADMSG ? -EMEDIUMTYPE : err;
}

static int write_label(struct store *s)
{
	char random[LABEL_SIZE];

	if (index_find(s, LABEL))
		return 0;
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -errno;
	return put(s, LABEL, random, sizeof(random));
}

int store_open(struct store **store, const char *node, const char *catalogue)
{
	struct hybrid_alloc_info info = { .size = sizeof(info) };
	struct store *s = calloc(1, sizeof(*s));
	int err;

	*store = s;
	if (!s)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	s->disk = -1;
	s->log = -1;
	s->path = strdup(catalogue);
	s->node = hybrid_alloc_open(node, O_RDWR);
	err = s->node < 0 ? s->node : s->path ? 0 : -ENOMEM;
	if (!err && flock(s->node, LOCK_EX | LOCK_NB))
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (!err)
		err = hybrid_alloc_get_info(s->node, &info);
	s->sealed = info.state & HYBRID_ALLOC_STATE_SEALED;
	/* Check that node, disk and catalogue match before anything is changed. */
	err = err ?: open_disk(s, &info) ?: read_catalogue(s) ?: check_label(s);
	err = err ?: reconcile(s) ?: write_catalogue(s) ?: hybrid_alloc_seal(s->node);
	err = err ?: write_label(s);
	if (err) {
		store_close(s);
		*store = NULL;
	}
	return err;
}

void store_close(struct store *s)
{
	tdestroy(s->index, free);
	if (s->log >= 0)
		close(s->log);
	if (s->disk >= 0)
		close(s->disk);
	if (s->node >= 0)
		hybrid_alloc_close(s->node);	/* releases the lock */
	pthread_mutex_destroy(&s->lock);
	free(s->path);
	free(s);
}

int store_create(const char *node, const char *catalogue)
{
	struct hybrid_alloc_stat st = { .size = sizeof(st) };
	int fd = hybrid_alloc_open(node, O_RDONLY), err;

	if (fd < 0)
		return fd;
	err = hybrid_alloc_get_stat(fd, &st);
	hybrid_alloc_close(fd);
	if (err)
		return err;
	if (st.nr_live)
		return -ENOTEMPTY;
	fd = open(catalogue, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}
