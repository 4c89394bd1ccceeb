// SPDX-License-Identifier: GPL-2.0
/*
 * An engine for fio that allocates with hybrid_alloc.
 *
 * A file of fio is a table of slots in this engine. Each slot stands for blockalign= bytes
 * of the file's size and has room for one extent. The file does not exist elsewhere. The
 * table is kept until fio ends, so that a later job of the same job file, with the same
 * filename=, finds the extents of an earlier one.
 *
 * mode=alloc measures the calls: a WRITE allocates the length that it would write, a TRIM
 * frees the extent of its slot. fio's clat is the time of this one call. If a slot must be
 * freed before it can be allocated, or the other way round, prep() does that, which fio does
 * not time.
 *
 * mode=io transfers data: a WRITE allocates (slat) and then writes to the disk at the
 * allocated position (clat); a READ looks up the position (slat) and reads (clat); a TRIM
 * frees. If two extents overlap, they corrupt each other's data, and the verification of fio
 * finds that.
 *
 * An extent is freed only after its I/O has finished: a job does one I/O at a time, and with
 * direct=1 no dirty page stays in the page cache.
 */
#include "fio.h"
#include "optgroup.h"

#include "hybridalloc.h"

enum ha_mode { HA_ALLOC, HA_IO };

/*
 * The first member is not an option: fio takes an option at offset 0 for one without a
 * member. fio stores the thread there while it parses.
 */
struct ha_options {
	struct thread_data *td;
	char *node;
	char *disk;
	unsigned int mode;
	unsigned long long align;
	unsigned int batch;
	unsigned int bound;
	unsigned int keep;
};

static struct fio_option ha_option_list[] = {
	{
		.name	= "node",
		.lname	= "hybrid_alloc node",
		.type	= FIO_OPT_STR_STORE,
		.off1	= offsetof(struct ha_options, node),
		.help	= "Number or path of the instance, by default $HYBRID_ALLOC_NODE or 0",
		.category = FIO_OPT_C_ENGINE,
		.group	= FIO_OPT_G_INVALID,
	},
	{
		.name	= "disk",
		.lname	= "hybrid_alloc disk",
		.type	= FIO_OPT_STR_STORE,
		.off1	= offsetof(struct ha_options, disk),
		.help	= "Disk for the data, by default the attached one",
		.category = FIO_OPT_C_ENGINE,
		.group	= FIO_OPT_G_INVALID,
	},
	{
		.name	= "mode",
		.lname	= "hybrid_alloc mode",
		.type	= FIO_OPT_STR,
		.off1	= offsetof(struct ha_options, mode),
		.help	= "What reads and writes do",
		.def	= "alloc",
		.posval	= {
			{ .ival = "alloc", .oval = HA_ALLOC, .help = "Allocate and free only" },
			{ .ival = "io", .oval = HA_IO, .help = "Allocate, then read and write" },
		},
		.category = FIO_OPT_C_ENGINE,
		.group	= FIO_OPT_G_INVALID,
	},
	{
		.name	= "align",
		.lname	= "hybrid_alloc alignment",
		.type	= FIO_OPT_STR_VAL,
		.off1	= offsetof(struct ha_options, align),
		.help	= "Alignment of extents, a power of two or a multiple of a block",
		.def	= "0",
		.category = FIO_OPT_C_ENGINE,
		.group	= FIO_OPT_G_INVALID,
	},
	{
		.name	= "batch",
		.lname	= "hybrid_alloc batch",
		.type	= FIO_OPT_INT,
		.off1	= offsetof(struct ha_options, batch),
		.help	= "Extents in a slot, allocated by one call (mode=alloc)",
		.def	= "1",
		.minval	= 1,
		.maxval	= HYBRID_ALLOC_MAX_ITEMS,
		.category = FIO_OPT_C_ENGINE,
		.group	= FIO_OPT_G_INVALID,
	},
	{
		.name	= "bound",
		.lname	= "hybrid_alloc bound extents",
		.type	= FIO_OPT_BOOL,
		.off1	= offsetof(struct ha_options, bound),
		.help	= "Bind extents to fio, so that they are freed however it ends",
		.def	= "0",
		.category = FIO_OPT_C_ENGINE,
		.group	= FIO_OPT_G_INVALID,
	},
	{
		.name	= "keep",
		.lname	= "hybrid_alloc keep extents",
		.type	= FIO_OPT_BOOL,
		.off1	= offsetof(struct ha_options, keep),
		.help	= "Do not free the extents that are left at the end",
		.def	= "0",
		.category = FIO_OPT_C_ENGINE,
		.group	= FIO_OPT_G_INVALID,
	},
	{ .name = NULL },
};

struct ha_node {
	struct ha_node *next;
	char *name;
	int fd;
	struct hybrid_alloc_info info;
};

struct ha_extent {
	uint64_t start;
	uint64_t len;		/* 0: no extent */
};

struct ha_table {
	struct ha_table *next;
	struct ha_node *node;
	char *name;
	uint64_t slot_size;	/* bytes of the file */
	uint64_t nr_slots;
	unsigned int batch;
	bool keep;
	int users;		/* running jobs; -1: one job that changes the table */
	struct ha_extent *extents;	/* batch of each slot */
};

/* The state of a job */
struct ha_job {
	struct ha_table **tables;	/* by the number of the file */
	unsigned int nr_tables;
	int disk;
	int prep_error;
	uint64_t nr_enospc;
	struct io_u *done;
	struct hybrid_alloc_alloc_item *alloc_items;
	struct hybrid_alloc_free_item *free_items;
};

/* Protects the two lists and the users of tables. */
static pthread_mutex_t ha_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ha_node *ha_nodes;
static struct ha_table *ha_tables;

static struct ha_options *ha_opts(struct thread_data *td)
{
	return td->eo;
}

static const char *ha_node_name(struct thread_data *td)
{
	const char *name = ha_opts(td)->node;

	if (!name || !*name)
		name = getenv("HYBRID_ALLOC_NODE");
	return name && *name ? name : "0";
}

/* Opened once, so that extents bound to the open file can be freed by all jobs. */
static struct ha_node *ha_node_get(const char *name)
{
	struct ha_node *node;
	int ret;

	for (node = ha_nodes; node; node = node->next) {
		if (!strcmp(node->name, name))
			return node;
	}

	node = calloc(1, sizeof(*node));
	if (!node)
		return NULL;
	node->fd = hybrid_alloc_open(name, O_RDWR);
	if (node->fd < 0) {
		log_err("hybrid_alloc: cannot open instance %s: %s; `hybridctl list` shows all instances\n",
			name, strerror(-node->fd));
		goto out_free;
	}
	node->info.size = sizeof(node->info);
	ret = hybrid_alloc_get_info(node->fd, &node->info);
	if (ret) {
		log_err("hybrid_alloc: instance %s: %s; `hybridctl info` may say more\n", name,
			strerror(-ret));
		goto out_close;
	}
	node->name = strdup(name);
	if (!node->name)
		goto out_close;
	node->next = ha_nodes;
	ha_nodes = node;
	return node;

out_close:
	hybrid_alloc_close(node->fd);
out_free:
	free(node);
	return NULL;
}

/*
 * A slot is as large as the alignment of fio's offsets, which must be the same for all
 * directions of a job.
 */
static int ha_slot_size(struct thread_data *td, uint64_t *size)
{
	const bool uses[] = {
		[DDIR_READ] = td_read(td),
		[DDIR_WRITE] = td_write(td),
		[DDIR_TRIM] = td_trim(td),
	};
	int ddir;

	*size = 0;
	for (ddir = DDIR_READ; ddir <= DDIR_TRIM; ddir++) {
		if (!uses[ddir])
			continue;
		if (*size && *size != td->o.ba[ddir]) {
			log_err("hybrid_alloc: %s: set blockalign= to one value for reads, writes and trims\n",
				td->o.name);
			return -EINVAL;
		}
		*size = td->o.ba[ddir];
		if (td->o.max_bs[ddir] > *size) {
			log_err("hybrid_alloc: %s: blocks of %llu bytes in slots of %llu: set blockalign= to the largest block\n",
				td->o.name, td->o.max_bs[ddir], (unsigned long long)*size);
			return -EINVAL;
		}
	}
	return *size ? 0 : -EINVAL;
}

/* Finds or makes the table of a file, with slots for at least @size bytes. */
static struct ha_table *ha_table_get(struct thread_data *td, struct ha_node *node,
				     const char *name, uint64_t slot_size, uint64_t size)
{
	uint64_t nr_slots = (size + slot_size - 1) / slot_size;
	unsigned int batch = ha_opts(td)->batch;
	struct ha_extent *extents;
	struct ha_table *table;

	for (table = ha_tables; table; table = table->next) {
		if (!strcmp(table->name, name))
			break;
	}
	if (table && (table->node != node || table->slot_size != slot_size ||
		      table->batch != batch)) {
		log_err("hybrid_alloc: %s: another job uses the file %s with another node, blockalign or batch: give each a filename= of its own\n",
			td->o.name, name);
		return NULL;
	}
	if (!table) {
		table = calloc(1, sizeof(*table));
		if (!table)
			return NULL;
		table->name = strdup(name);
		if (!table->name) {
			free(table);
			return NULL;
		}
		table->node = node;
		table->slot_size = slot_size;
		table->batch = batch;
		table->next = ha_tables;
		ha_tables = table;
	}
	if (nr_slots > table->nr_slots) {
		if (table->users) {
			log_err("hybrid_alloc: %s: the file %s is in use and shorter: give both jobs the same size=, or each a filename=\n",
				td->o.name, name);
			return NULL;
		}
		extents = realloc(table->extents, nr_slots * batch * sizeof(*extents));
		if (!extents)
			return NULL;
		memset(extents + table->nr_slots * batch, 0,
		       (nr_slots - table->nr_slots) * batch * sizeof(*extents));
		table->extents = extents;
		table->nr_slots = nr_slots;
	}
	table->keep = ha_opts(td)->keep;
	return table;
}

/* Before any job starts: checks the options, and sets the size of files. */
static int ha_setup(struct thread_data *td)
{
	const struct ha_options *o = ha_opts(td);
	struct ha_node *node;
	struct fio_file *f;
	uint64_t slot_size;
	unsigned int i;
	int ret = -EINVAL;

	if (strcmp(fio_version_string, FIO_BUILT_FOR)) {
		log_err("hybrid_alloc: this engine was built for %s and this is %s: run `make fio` again\n",
			FIO_BUILT_FOR, fio_version_string);
		return 1;
	}
	/* The tables belong to the process. */
	td->o.use_thread = 1;
	if (o->mode == HA_ALLOC) {
		/* Not in the flags of the engine, which are common to all jobs. */
		td->flags |= (unsigned long long)FIO_SYNCIO << TD_ENG_FLAG_SHIFT;
	} else if (!td->o.odirect) {
		log_err("hybrid_alloc: %s: mode=io needs direct=1: a page that is dirty in the page cache when its extent is freed overwrites the next owner's data\n",
			td->o.name);
		return 1;
	} else if (td->o.iodepth > 1) {
		log_err("hybrid_alloc: %s: a job does one I/O at a time: use numjobs= instead of iodepth=\n",
			td->o.name);
		return 1;
	} else if (o->batch > 1) {
		log_err("hybrid_alloc: %s: batch= is for mode=alloc\n", td->o.name);
		return 1;
	}
	if (o->bound && o->keep) {
		log_err("hybrid_alloc: %s: extents with bound=1 cannot be kept: leave out bound= or keep=\n",
			td->o.name);
		return 1;
	}
	if (ha_slot_size(td, &slot_size))
		return 1;

	pthread_mutex_lock(&ha_lock);
	node = ha_node_get(ha_node_name(td));
	if (!node)
		goto out;
	for_each_file(td, f, i) {
		/*
		 * The size= of the job, which may be more than the disk has if most
		 * extents are smaller than their slots.
		 */
		f->real_file_size = node->info.range_len / slot_size * slot_size;
		if (td->o.size && !td->o.size_percent)
			f->real_file_size = td->o.start_offset + td->o.size;
		if (!ha_table_get(td, node, f->file_name, slot_size, f->real_file_size))
			goto out;
	}
	ret = 0;
out:
	pthread_mutex_unlock(&ha_lock);
	return ret ? 1 : 0;
}

static bool ha_changes(struct thread_data *td)
{
	return td_write(td) || td_trim(td);
}

static int ha_open_disk(struct thread_data *td, struct ha_node *node)
{
	char path[PATH_MAX];
	int fd;

	if (ha_opts(td)->disk && *ha_opts(td)->disk)
		snprintf(path, sizeof(path), "%s", ha_opts(td)->disk);
	else
		snprintf(path, sizeof(path), "/dev/%.*s", (int)sizeof(node->info.disk),
			 (const char *)node->info.disk);
	fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		log_err("hybrid_alloc: cannot open the disk %s: %s; disk= names another path\n",
			path, strerror(errno));
	return fd;
}

static void ha_cleanup(struct thread_data *td)
{
	struct ha_job *job = td->io_ops_data;
	unsigned int i;

	if (!job)
		return;
	pthread_mutex_lock(&ha_lock);
	for (i = 0; i < job->nr_tables; i++)
		job->tables[i]->users -= ha_changes(td) ? -1 : 1;
	pthread_mutex_unlock(&ha_lock);
	/*
	 * fio counts the errors that ignore_error= names, but still reports the first of
	 * them as the error of the job.
	 */
	if (!td->error && job->nr_enospc == td->total_err_count)
		td->first_error = 0;
	if (job->disk >= 0)
		close(job->disk);
	free(job->tables);
	free(job->alloc_items);
	free(job->free_items);
	free(job);
	td->io_ops_data = NULL;
}

static int ha_init(struct thread_data *td)
{
	unsigned int batch = ha_opts(td)->batch;
	struct ha_table *table;
	struct ha_node *node;
	struct ha_job *job;
	struct fio_file *f;
	uint64_t slot_size;
	unsigned int i;

	job = calloc(1, sizeof(*job));
	if (!job)
		goto no_memory;
	job->disk = -1;
	td->io_ops_data = job;
	job->tables = calloc(td->o.nr_files, sizeof(*job->tables));
	job->alloc_items = calloc(batch, sizeof(*job->alloc_items));
	job->free_items = calloc(batch, sizeof(*job->free_items));
	if (!job->tables || !job->alloc_items || !job->free_items ||
	    ha_slot_size(td, &slot_size))
		goto no_memory;

	pthread_mutex_lock(&ha_lock);
	node = ha_node_get(ha_node_name(td));
	for_each_file(td, f, i) {
		table = node ? ha_table_get(td, node, f->file_name, slot_size, 0) : NULL;
		if (!table)
			break;
		if (table->users < 0 || (table->users && ha_changes(td))) {
			log_err("hybrid_alloc: %s: another job is using the file %s: give each a filename= of its own, or a stonewall between them\n",
				td->o.name, f->file_name);
			break;
		}
		table->users += ha_changes(td) ? -1 : 1;
		job->tables[job->nr_tables++] = table;
	}
	pthread_mutex_unlock(&ha_lock);
	if (job->nr_tables < td->o.nr_files)
		goto refused;

	if (ha_opts(td)->mode == HA_IO) {
		job->disk = ha_open_disk(td, node);
		if (job->disk < 0)
			goto refused;
	}
	return 0;

no_memory:
	td_verror(td, ENOMEM, "init");
	return 1;
refused:
	td_verror(td, EINVAL, "init");
	return 1;
}

/* The extents of the slot of @io_u; NULL if it is past the end of the table. */
static struct ha_extent *ha_slot(struct ha_job *job, const struct io_u *io_u,
				 struct ha_table **table)
{
	uint64_t slot;

	*table = job->tables[io_u->file->fileno];
	slot = io_u->offset / (*table)->slot_size;
	if (slot >= (*table)->nr_slots)
		return NULL;
	return (*table)->extents + slot * (*table)->batch;
}

static int ha_alloc(struct thread_data *td, struct ha_table *table, struct ha_extent *ext,
		    uint64_t len)
{
	const struct ha_options *o = ha_opts(td);
	uint32_t flags = o->bound ? HYBRID_ALLOC_ALLOC_BOUND : 0;
	struct ha_job *job = td->io_ops_data;
	struct hybrid_alloc_batch batch;
	unsigned int i;
	int ret;

	if (table->batch == 1) {
		struct hybrid_alloc_alloc request = {
			.size = sizeof(request),
			.flags = flags,
			.len = len,
			.align = o->align,
		};

		ret = hybrid_alloc_alloc_request(table->node->fd, &request);
		if (ret)
			return -ret;
		ext->start = request.extent.start;
		ext->len = request.extent.len;
		return 0;
	}

	batch = (struct hybrid_alloc_batch) {
		.size = sizeof(batch),
		.flags = flags,
		.nr = table->batch,
		.item_size = sizeof(*job->alloc_items),
	};
	memset(job->alloc_items, 0, table->batch * sizeof(*job->alloc_items));
	for (i = 0; i < table->batch; i++) {
		job->alloc_items[i].len = len;
		job->alloc_items[i].align = o->align;
	}
	ret = -hybrid_alloc_alloc_batch(table->node->fd, job->alloc_items, &batch);
	for (i = 0; i < batch.nr_done; i++) {
		if (job->alloc_items[i].error) {
			ret = job->alloc_items[i].error;
			continue;
		}
		ext[i].start = job->alloc_items[i].extent.start;
		ext[i].len = job->alloc_items[i].extent.len;
	}
	return ret;
}

static int ha_refused(const struct hybrid_alloc_extent *ext, int error, uint32_t reason)
{
	log_err("hybrid_alloc: the free of %llu bytes at %llu was refused: %s (%s)\n",
		(unsigned long long)ext->len, (unsigned long long)ext->start,
		hybrid_alloc_strreason(reason), strerror(error));
	return error;
}

/* Frees the extents among @nr entries. The entries are empty afterwards, also on failure. */
static int ha_free(int fd, struct hybrid_alloc_free_item *items, struct ha_extent *ext,
		   unsigned int nr)
{
	struct hybrid_alloc_batch batch = {
		.size = sizeof(batch),
		.item_size = sizeof(*items),
	};
	unsigned int i;
	int ret = 0;

	if (nr == 1) {
		struct hybrid_alloc_extent extent = { .start = ext->start, .len = ext->len };
		uint32_t reason = 0;

		if (ext->len)
			ret = -hybrid_alloc_free_extent(fd, &extent, &reason);
		if (ret)
			ha_refused(&extent, ret, reason);
		ext->len = 0;
		return ret;
	}

	for (i = 0; i < nr; i++) {
		if (!ext[i].len)
			continue;
		items[batch.nr] = (struct hybrid_alloc_free_item) {
			.extent = { .start = ext[i].start, .len = ext[i].len },
		};
		batch.nr++;
		ext[i].len = 0;
	}
	if (!batch.nr)
		return 0;
	ret = -hybrid_alloc_free_batch(fd, items, &batch);
	for (i = 0; i < batch.nr_done; i++) {
		if (items[i].error)
			ret = ha_refused(&items[i].extent, items[i].error, items[i].reason);
	}
	return ret;
}

static bool ha_has_any(const struct ha_extent *ext, unsigned int nr)
{
	while (nr--) {
		if (ext[nr].len)
			return true;
	}
	return false;
}

/* Brings the slot into the state that the operation needs. Not timed. queue() reports errors. */
static int ha_prep(struct thread_data *td, struct io_u *io_u)
{
	struct ha_job *job = td->io_ops_data;
	struct ha_table *table;
	struct ha_extent *ext;

	job->prep_error = 0;
	if (!ddir_rw(io_u->ddir))
		return 0;
	ext = ha_slot(job, io_u, &table);
	if (!ext) {
		job->prep_error = EINVAL;
	} else if (io_u->ddir == DDIR_WRITE) {
		if (ha_has_any(ext, table->batch))
			job->prep_error = ha_free(table->node->fd, job->free_items, ext,
						  table->batch);
	} else if (io_u->ddir == DDIR_TRIM) {
		if (!ha_has_any(ext, table->batch))
			job->prep_error = ha_alloc(td, table, ext, io_u->xfer_buflen);
	}
	return 0;
}

static int ha_transfer(int disk, const struct io_u *io_u, const struct ha_extent *ext,
		       uint64_t offset)
{
	uint64_t done = 0;
	ssize_t n;

	if (io_u->xfer_buflen > ext->len - offset) {
		log_err("hybrid_alloc: %llu bytes, but the extent has %llu\n",
			io_u->xfer_buflen, (unsigned long long)(ext->len - offset));
		return -ENODATA;
	}
	while (done < io_u->xfer_buflen) {
		char *buf = (char *)io_u->xfer_buf + done;
		size_t len = io_u->xfer_buflen - done;

		if (io_u->ddir == DDIR_WRITE)
			n = pwrite(disk, buf, len, ext->start + offset + done);
		else
			n = pread(disk, buf, len, ext->start + offset + done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		done += n;
	}
	return 0;
}

static enum fio_q_status ha_queue_io(struct thread_data *td, struct io_u *io_u)
{
	struct ha_job *job = td->io_ops_data;
	struct ha_table *table;
	struct ha_extent *ext;
	uint64_t offset;

	/* fio has filled the buffer since it set this time. */
	fio_gettime(&io_u->start_time, NULL);
	ext = ha_slot(job, io_u, &table);
	offset = io_u->offset % table->slot_size;
	if (io_u->ddir == DDIR_WRITE)
		io_u->error = offset ? EINVAL : ha_alloc(td, table, ext, io_u->xfer_buflen);
	else if (!ext->len)
		io_u->error = ENODATA;
	fio_gettime(&io_u->issue_time, NULL);
	if (io_u->error)
		return FIO_Q_COMPLETED;

	if (io_u->ddir == DDIR_TRIM) {
		io_u->error = ha_free(table->node->fd, job->free_items, ext, 1);
		return FIO_Q_COMPLETED;
	}
	io_u->error = -ha_transfer(job->disk, io_u, ext, offset);
	if (io_u->error)
		return FIO_Q_COMPLETED;
	/* fio separates slat from clat only for I/O that is queued. */
	job->done = io_u;
	return FIO_Q_QUEUED;
}

static void ha_queue_alloc(struct thread_data *td, struct io_u *io_u)
{
	struct ha_job *job = td->io_ops_data;
	struct ha_table *table;
	struct ha_extent *ext;

	ext = ha_slot(job, io_u, &table);
	if (io_u->ddir == DDIR_WRITE)
		io_u->error = ha_alloc(td, table, ext, io_u->xfer_buflen);
	else if (io_u->ddir == DDIR_TRIM)
		io_u->error = ha_free(table->node->fd, job->free_items, ext, table->batch);
	else
		io_u->error = EOPNOTSUPP;	/* nothing to read */
}

static enum fio_q_status ha_queue(struct thread_data *td, struct io_u *io_u)
{
	enum fio_q_status status = FIO_Q_COMPLETED;
	struct ha_job *job = td->io_ops_data;

	fio_ro_check(td, io_u);
	if (!ddir_rw(io_u->ddir) || job->prep_error) {
		fio_gettime(&io_u->issue_time, NULL);
		io_u->error = job->prep_error;
		if (ddir_sync(io_u->ddir) && job->disk >= 0 && fdatasync(job->disk))
			io_u->error = errno;
	} else if (ha_opts(td)->mode == HA_IO) {
		status = ha_queue_io(td, io_u);
	} else {
		ha_queue_alloc(td, io_u);
	}
	if (io_u->error == ENOSPC)
		job->nr_enospc++;
	return status;
}

static int ha_getevents(struct thread_data *td, unsigned int min, unsigned int max,
			const struct timespec *t)
{
	struct ha_job *job = td->io_ops_data;

	return job->done ? 1 : 0;
}

static struct io_u *ha_event(struct thread_data *td, int event)
{
	struct ha_job *job = td->io_ops_data;
	struct io_u *io_u = job->done;

	job->done = NULL;
	return io_u;
}

static int ha_open_file(struct thread_data *td, struct fio_file *f)
{
	return 0;
}

static int ha_close_file(struct thread_data *td, struct fio_file *f)
{
	return 0;
}

/* When fio ends or unloads the engine: frees everything. */
static void __attribute__((destructor)) ha_exit(void)
{
	static struct hybrid_alloc_free_item items[HYBRID_ALLOC_MAX_ITEMS];
	struct ha_table *table;
	struct ha_node *node;
	uint64_t i, nr;

	while ((table = ha_tables)) {
		ha_tables = table->next;
		for (i = 0; i < table->nr_slots * table->batch && !table->keep; i += nr) {
			nr = min(table->nr_slots * table->batch - i,
				 (uint64_t)HYBRID_ALLOC_MAX_ITEMS);
			ha_free(table->node->fd, items, table->extents + i, nr);
		}
		free(table->extents);
		free(table->name);
		free(table);
	}
	while ((node = ha_nodes)) {
		ha_nodes = node->next;
		hybrid_alloc_close(node->fd);
		free(node->name);
		free(node);
	}
}

/* fio looks up this name. */
struct ioengine_ops __attribute__((visibility("default"))) ioengine = {
	.name			= "hybrid_alloc",
	.version		= FIO_IOOPS_VERSION,
	.flags			= FIO_DISKLESSIO | FIO_NOEXTEND | FIO_NODISKUTIL |
				  FIO_ASYNCIO_SETS_ISSUE_TIME,
	.setup			= ha_setup,
	.init			= ha_init,
	.prep			= ha_prep,
	.queue			= ha_queue,
	.getevents		= ha_getevents,
	.event			= ha_event,
	.cleanup		= ha_cleanup,
	.open_file		= ha_open_file,
	.close_file		= ha_close_file,
	.option_struct_size	= sizeof(struct ha_options),
	.options		= ha_option_list,
};
