// SPDX-License-Identifier: GPL-2.0
/*
 * The example objstore on a real disk. Threads put, read and delete objects at
 * once, and their process is killed at any moment, also while it opens the store;
 * now and then the module is loaded anew. After each kill:
 *
 * - each object is there as it was when the last call for it returned, or as the
 *   call wanted it that was under way; its content is what was put;
 * - no two extents overlap, and MAP shows those of the catalogue and no others.
 *
 * What was under way is known from memory that outlives the process.
 *
 * usage: store [--rounds N] [--seed N] [--broken]
 *	--broken: the store is; that has to be noticed, by the kills, or with
 *	--rounds 0 by those who read what is being replaced
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "../../examples/objstore/store.h"
#include "../ioctl/harness.h"

#define NR_THREADS	4
#define NR_NAMES	12		/* of each */
#define MAX_SIZE	(2 * MIB)
#define CATALOGUE	"/tmp/catalogue"

/* A state is 0 for no object, or the number of the put that made it. */
struct name {
	atomic_ullong wanted;		/* as of the call under way */
	atomic_ullong reached;		/* as of the last that returned */
};

static struct shared {
	struct name names[NR_THREADS][NR_NAMES];
	atomic_ullong puts;
	atomic_ullong calls;		/* that returned */
	atomic_ullong wrong;
} *shared;

static const char *disk;
static u32 id;
static char node[16];
static bool broken;
static struct store *store;

/* Only the first few are told. */
__printf(2, 3) static bool want(bool ok, const char *fmt, ...)
{
	va_list ap;

	if (ok)
		return true;
	if (atomic_fetch_add(&shared->wrong, 1) < 10) {
		printf("# wrong: ");
		va_start(ap, fmt);
		vprintf(fmt, ap);
		va_end(ap);
		putchar('\n');
		fflush(stdout);
	}
	return false;
}

/* ---- content ---- */

struct head {
	u64 thread, name, state, size;
};

static void name_of(char *text, u32 thread, u32 nr)
{
	sprintf(text, "thread%u-object%u", thread, nr);
}

static u64 some_size(u64 *rnd)
{
	u64 r = random_next(rnd);
	u64 max = r % 16 == 0 ? MAX_SIZE : r % 4 == 0 ? 200 * KIB : 20 * KIB;

	return sizeof(struct head) + random_next(rnd) % (max - sizeof(struct head));
}

/* Words that tell whose they are, and a tail of what is left. */
static void fill(char *data, const struct head *h)
{
	u64 i, word, mark = h->state * 0x9e3779b97f4a7c15;

	memcpy(data, h, sizeof(*h));
	for (i = sizeof(*h); i + 8 <= h->size; i += 8) {
		word = mark + i;
		memcpy(data + i, &word, 8);
	}
	memset(data + i, (int)h->state, h->size - i);
}

/* The state that the content is of, or ~0 if it is not content of that object. */
static u64 state_of(const char *data, u64 size, u32 thread, u32 nr)
{
	static __thread char should[MAX_SIZE];
	struct head h;

	if (size < sizeof(h) || size > MAX_SIZE)
		return ~0ULL;
	memcpy(&h, data, sizeof(h));
	if (h.thread != thread || h.name != nr || h.size != size)
		return ~0ULL;
	fill(should, &h);
	return memcmp(data, should, size) ? ~0ULL : h.state;
}

/* ~0: something is wrong with it */
static u64 get_state(u32 thread, u32 nr)
{
	char text[64];
	size_t size;
	void *data;
	u64 state;
	int err;

	name_of(text, thread, nr);
	err = store_get(store, text, &data, &size);
	if (err == -ENOENT)
		return 0;
	if (!want(!err, "get %s: %s", text, t_strerror(-err)))
		return ~0ULL;
	state = state_of(data, size, thread, nr);
	want(state != ~0ULL, "%s has the content of something else", text);
	free(data);
	return state;
}

/* ---- those who are killed ---- */

static void do_put(u32 thread, u32 nr, u64 size)
{
	struct name *n = &shared->names[thread][nr];
	struct head h = { thread, nr, atomic_fetch_add(&shared->puts, 1) + 1, size };
	char text[64], *data = malloc(h.size);
	int err;

	if (!data)
		t_die("no memory");
	fill(data, &h);
	name_of(text, thread, nr);
	atomic_store(&n->wanted, h.state);
	err = store_put(store, text, data, h.size);
	if (want(!err, "put %s: %s", text, t_strerror(-err)))
		atomic_store(&n->reached, h.state);
	free(data);
}

static void do_delete(u32 thread, u32 nr)
{
	struct name *n = &shared->names[thread][nr];
	bool there = atomic_load(&n->reached);
	char text[64];
	int err;

	name_of(text, thread, nr);
	atomic_store(&n->wanted, 0);
	err = store_delete(store, text);
	if (want(err == (there ? 0 : -ENOENT), "delete %s: %s", text, t_strerror(-err)))
		atomic_store(&n->reached, 0);
}

/* Any object, while its owner may be at work on it. */
static void do_get(u32 thread, u32 nr)
{
	struct name *n = &shared->names[thread][nr];
	u64 before = atomic_load(&n->reached), state = get_state(thread, nr);
	u64 newest = atomic_load(&shared->puts);

	if (state && state != ~0ULL)
		want(state >= before && state <= newest,
		     "get of thread%u-object%u is of put %llu, it was of %llu before",
		     thread, nr, state, before);
}

static void *work(void *arg)
{
	u32 thread = (uintptr_t)arg, nr;
	u64 rnd = t_seed + atomic_load(&shared->puts) * NR_THREADS + thread, r;

	for (;;) {
		r = random_next(&rnd);
		nr = (r >> 8) % NR_NAMES;
		if (r % 8 < 4)
			do_put(thread, nr, some_size(&rnd));
		else if (r % 8 < 5)
			do_delete(thread, nr);
		else
			do_get((r >> 16) % NR_THREADS, nr);
		atomic_fetch_add(&shared->calls, 1);
	}
	return NULL;
}

static void victim(void)
{
	pthread_t t;
	uintptr_t i;
	int err = store_open(&store, node, CATALOGUE);

	/* Its parent sees why, too. */
	if (err)
		_exit(1);
	for (i = 1; i < NR_THREADS; i++)
		if (pthread_create(&t, NULL, work, (void *)i))
			t_die("pthread_create");
	work(NULL);
}

/* Killed @us after its start; or, with @calls, so long after these have returned. */
static void run_victim(u32 us, u32 calls)
{
	u64 until = atomic_load(&shared->calls) + calls;
	double end = t_now() + 30;
	pid_t pid = fork();
	int status;

	if (pid < 0)
		t_die("fork");
	if (!pid)
		victim();
	while (calls && atomic_load(&shared->calls) < until && t_now() < end)
		usleep(500);
	usleep(us);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	want(WIFSIGNALED(status), "the store does not open: status %d", status);
}

/* ---- what is there afterwards ---- */

struct extents {
	struct hybrid_alloc_extent *e;
	u64 nr, max;
};

static int gather(const struct store_object *o, void *arg)
{
	struct extents *all = arg;
	u32 i;

	for (i = 0; i < o->nr_extents; i++) {
		if (all->nr == all->max) {
			all->max = 2 * all->max + 64;
			all->e = realloc(all->e, all->max * sizeof(*all->e));
			if (!all->e)
				t_die("no memory");
		}
		all->e[all->nr++] = o->extents[i];
	}
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct hybrid_alloc_extent *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* The catalogue and MAP; the only extent that the list does not show is the label. */
static void verify_map(void)
{
	struct extents known = {};
	struct t_map map = {};
	u64 i, k = 0, labels = 0;
	int fd = ha_must_open(id, O_RDONLY);

	store_list(store, gather, &known);
	qsort(known.e, known.nr, sizeof(*known.e), by_start);
	for (i = 1; i < known.nr; i++)
		want(known.e[i - 1].start + known.e[i - 1].len <= known.e[i].start,
		     "extents of two objects overlap at %llu", (u64)known.e[i].start);
	t_read_map(fd, &map);
	for (i = 0; i < map.nr; i++) {
		if (map.e[i].state != HYBRID_ALLOC_MAP_LIVE)
			continue;
		if (k < known.nr && known.e[k].start == map.e[i].start &&
		    known.e[k].len == map.e[i].len)
			k++;
		else if (map.e[i].len == BLOCK && !labels)
			labels++;
		else
			want(false, "%llu:%llu is live, and no object has it",
			     (u64)map.e[i].start, (u64)map.e[i].len);
	}
	want(k == known.nr, "%llu extents of the catalogue are not live", known.nr - k);
	want(labels == 1, "there is no label");
	free(known.e);
	free(map.e);
	close(fd);
}

static void verify_objects(u64 *undecided)
{
	struct name *n;
	u32 thread, nr;
	u64 state, reached, wanted;

	for (thread = 0; thread < NR_THREADS; thread++)
		for (nr = 0; nr < NR_NAMES; nr++) {
			n = &shared->names[thread][nr];
			reached = atomic_load(&n->reached);
			wanted = atomic_load(&n->wanted);
			state = get_state(thread, nr);
			*undecided += reached != wanted;
			want(state == reached || state == wanted,
			     "thread%u-object%u is of put %llu, should be of %llu or %llu",
			     thread, nr, state, reached, wanted);
			atomic_store(&n->reached, state);
			atomic_store(&n->wanted, state);
		}
}

/* Again, in the mode that remembers nothing. */
static void reload(void)
{
	int err = ha_detach(id, HYBRID_ALLOC_DETACH_FORCE) ?: ha_rmmod();

	if (err)
		t_die("detach and rmmod: %s", t_strerror(err));
	ha_need_module();
	id = ha_must_attach(disk, 0);
	sprintf(node, "%u", id);
}

static bool reopen(void)
{
	int err = store_open(&store, node, CATALOGUE);

	return want(!err, "open after a kill: %s", t_strerror(-err));
}

static void test_kills(u32 rounds)
{
	u64 rnd = t_seed, undecided = 0, calls = atomic_load(&shared->calls);
	u32 round, reloads = 0, early = 0;

	for (round = 0; round < rounds && !atomic_load(&shared->wrong); round++) {
		u64 r = random_next(&rnd);

		if (round % 4 == 1) {
			run_victim((r >> 16) % 40000, 0);
			early++;
		} else {
			run_victim((r >> 16) % 5000, 1 + (r >> 32) % 80);
		}
		if (round % 4 == 2 || round % 8 == 5) {
			reload();
			reloads++;
			/* and killed when it is about to claim */
			if (round % 8 == 5)
				run_victim((r >> 32) % 20000, 0);
		}
		if (!reopen())
			break;
		verify_objects(&undecided);
		verify_map();
		store_close(store);
	}
	calls = atomic_load(&shared->calls) - calls;
	t_note("%u kills, %u of them early, %u reloads; %llu calls, %llu were under way",
	       round, early, reloads, calls, undecided);
	if (broken) {
		t_ok(atomic_load(&shared->wrong), "it is noticed that the store is broken");
		return;
	}
	t_eq(atomic_load(&shared->wrong), 0, "%u kills: nothing is lost, mixed up or left behind",
	     round);
	t_ok(calls > 10 * rounds && undecided, "there was work, and kills in the middle of it");
}

/* ---- without kills ---- */

#define NR_CONTENDED	2	/* objects that are put again and again, with a reader each */

static atomic_uint putting;

static void *put_again(void *nr)
{
	u32 n = broken ? 500 : 60;

	while (n-- && !atomic_load(&shared->wrong))
		do_put(0, (uintptr_t)nr, MAX_SIZE);
	atomic_fetch_sub(&putting, 1);
	return NULL;
}

static void *get_again(void *nr)
{
	for (; atomic_load(&putting); atomic_fetch_add(&shared->calls, 1))
		do_get(0, (uintptr_t)nr);
	return NULL;
}

/* What is freed is another's at once; who still reads it finds that. */
static void test_readers(void)
{
	pthread_t threads[2 * NR_CONTENDED];
	u32 i;

	if (store_open(&store, node, CATALOGUE))
		t_die("open");
	atomic_store(&putting, NR_CONTENDED);
	for (i = 0; i < NR_CONTENDED; i++)
		do_put(0, i, MAX_SIZE);
	for (i = 0; i < 2 * NR_CONTENDED; i++)
		if (pthread_create(&threads[i], NULL, i % 2 ? put_again : get_again,
				   (void *)(uintptr_t)(i / 2)))
			t_die("pthread_create");
	for (i = 0; i < 2 * NR_CONTENDED; i++)
		pthread_join(threads[i], NULL);
	store_close(store);
	t_note("%llu objects were put, and read %llu times", (u64)atomic_load(&shared->puts),
	       (u64)atomic_load(&shared->calls));
	if (!broken)
		t_eq(atomic_load(&shared->wrong), 0, "readers of what is being replaced");
}

static void copy_file(const char *to, const char *from)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "cp %s %s", from, to);
	if (system(cmd))
		t_die("%s", cmd);
}

static void flip_byte(const char *path, u64 at)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char c;

	if (fd < 0 || pread(fd, &c, 1, at) != 1)
		t_die("read %s", path);
	c ^= 1;
	if (pwrite(fd, &c, 1, at) != 1 || fsync(fd))
		t_die("write %s", path);
	close(fd);
}

static int first_extent(const struct store_object *o, void *arg)
{
	*(struct hybrid_alloc_extent *)arg = o->extents[0];
	return o->nr_extents;
}

static void test_refused(void)
{
	struct store *other;
	size_t size;
	void *data;
	char *name;
	int err;

	t_errno(-store_open(&other, node, CATALOGUE), 0, "open");
	t_errno(-store_open(&store, node, CATALOGUE), EBUSY, "open: a second time");
	store = other;
	t_errno(-store_create(node, "/tmp/other"), ENOTEMPTY, "create: something is allocated");
	t_errno(-store_get(store, "nothing", &data, &size), ENOENT, "get: there is no such object");
	t_errno(-store_delete(store, "nothing"), ENOENT, "delete: there is no such object");
	t_errno(-store_put(store, ".label", "", 0), EINVAL, "put: a name with a dot");
	name = calloc(1, STORE_NAME_MAX + 2);
	memset(name, 'n', STORE_NAME_MAX + 1);
	t_errno(-store_put(store, name, "", 0), EINVAL, "put: a name that is too long");
	name[STORE_NAME_MAX] = 0;
	t_errno(-store_put(store, name, "", 0), 0, "put: the longest name, nothing in it");
	err = store_get(store, name, &data, &size);
	t_ok(!err && !size, "get: it is empty");
	free(data);
	t_errno(-store_delete(store, name), 0, "delete");
	free(name);
	store_close(store);
}

static void test_full(void)
{
	char *data = malloc(8 * MIB), name[32];
	u32 n, i;
	size_t size;
	void *back;
	int err;

	if (!data || store_open(&store, node, CATALOGUE))
		t_die("open");
	memset(data, 7, 8 * MIB);
	for (n = 0; !err || !n; n++) {
		sprintf(name, "filler%u", n);
		err = store_put(store, name, data, 1000000);
	}
	t_errno(-err, ENOSPC, "put until the disk is full");
	for (i = 0; i + 1 < n; i += 2) {
		sprintf(name, "filler%u", i);
		if (store_delete(store, name))
			t_die("delete");
	}
	for (i = 0; i < 8 * MIB; i++)
		data[i] = i / 4096 + i;
	t_errno(-store_put(store, "scattered", data, 8 * MIB), 0,
		"put where no hole is large enough");
	err = store_get(store, "scattered", &back, &size);
	t_ok(!err && size == 8 * MIB && !memcmp(data, back, size), "get");
	free(back);
	store_close(store);
	free(data);
	if (store_open(&store, node, CATALOGUE))
		t_die("open");
	err = store_get(store, "scattered", &back, &size);
	t_ok(!err && size == 8 * MIB, "it is there when the store is opened again");
	free(back);
	verify_map();
	t_eq(atomic_load(&shared->wrong), 0, "the catalogue and MAP agree");
	for (i = 1; i + 1 < n; i += 2) {
		sprintf(name, "filler%u", i);
		store_delete(store, name);
	}
	store_delete(store, "scattered");
	store_close(store);
}

static void test_damage(void)
{
	static char data[5000];
	struct hybrid_alloc_extent e = {};
	struct hybrid_alloc_stat before;
	char name[32];
	size_t got;
	void *back;
	u32 i;
	FILE *f;
	int fd;

	if (store_open(&store, node, CATALOGUE))
		t_die("open");
	t_errno(-store_put(store, "a", data, sizeof(data)), 0, "put");
	for (i = 0; i < 50; i++) {
		sprintf(name, "more%u", i);
		if (store_put(store, name, data, sizeof(data)))
			t_die("put");
	}
	store_list(store, first_extent, &e);
	flip_byte(disk, e.start + 4500);
	t_errno(-store_get(store, "a", &back, &got), EBADMSG, "get: the disk has something else");
	store_close(store);

	/* What is wrong at the end was never written; what is wrong before that is damage. */
	fd = ha_must_open(id, O_RDONLY);
	before = ha_stat(fd, 0);
	copy_file("/tmp/copy", CATALOGUE);
	f = fopen(CATALOGUE, "ae");
	fputs("half a record", f);
	fclose(f);
	t_errno(-store_open(&store, node, CATALOGUE), 0, "open: the last record is incomplete");
	store_close(store);
	copy_file(CATALOGUE, "/tmp/copy");
	flip_byte(CATALOGUE, 20);
	t_errno(-store_open(&store, node, CATALOGUE), EUCLEAN, "open: a record is damaged");
	t_eq(ha_stat(fd, 0).nr_live, before.nr_live, "nothing was freed");
	copy_file(CATALOGUE, "/tmp/copy");
	close(fd);

	/* All is free: the objects may have been overwritten. */
	if (ha_detach(id, HYBRID_ALLOC_DETACH_FORCE))
		t_die("detach");
	/* overwrites: the store that was made on it above */
	id = ha_must_attach(disk, HYBRID_ALLOC_ATTACH_OVERWRITE);
	sprintf(node, "%u", id);
	t_errno(-store_open(&store, node, CATALOGUE), EUCLEAN,
		"open: the disk was attached as fresh");
	if (ha_detach(id, 0))
		t_die("detach");

	t_nullb_make("hat-store", (struct t_disk_opts){ .mib = 256, .memory = true });
	id = ha_must_attach("/dev/hat-store", 0);
	sprintf(node, "%u", id);
	t_errno(-store_open(&store, node, CATALOGUE), EMEDIUMTYPE, "open: another disk");
	fd = ha_must_open(id, O_RDONLY);
	t_eq(ha_stat(fd, 0).nr_live, 0, "nothing was claimed there");
	close(fd);
	if (ha_detach(id, 0))
		t_die("detach");
	t_nullb_remove("hat-store");

	id = ha_must_attach(disk, 0);
	sprintf(node, "%u", id);
	t_errno(-store_open(&store, node, CATALOGUE), 0, "open: the right one again");
	store_close(store);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "rounds", required_argument, NULL, 'r' },
		{ "seed", required_argument, NULL, 's' },
		{ "broken", no_argument, NULL, 'b' },
		{}
	};
	u32 rounds = 16;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			rounds = strtoul(optarg, NULL, 0);
			break;
		case 's':
			t_seed = strtoull(optarg, NULL, 0);
			break;
		case 'b':
			broken = true;
			break;
		default:
			return 2;
		}
	}
	t_note("seed %llu", t_seed);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED)
		t_die("mmap");
	ha_need_module();
	disk = t_disk("hat-objects", 256);
	/* overwrites: the store of the program before, sound or broken, in the same machine */
	id = ha_must_attach(disk, HYBRID_ALLOC_ATTACH_OVERWRITE);
	sprintf(node, "%u", id);
	unlink(CATALOGUE);
	if (!t_errno(-store_create(node, CATALOGUE), 0, "create"))
		t_die("create");
	t_errno(-store_create(node, CATALOGUE), EEXIST, "create: there is a catalogue");
	if (!broken || !rounds)
		test_readers();
	test_kills(rounds);
	if (!broken) {
		test_refused();
		test_full();
		test_damage();
	}
	ha_detach(id, HYBRID_ALLOC_DETACH_FORCE);
	t_errno(ha_rmmod(), 0, "the module goes");
	return t_done();
}
