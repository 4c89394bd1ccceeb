// SPDX-License-Identifier: GPL-2.0
/*
 * A fuzzer of the ioctl surface. Threads run small programs of calls, valid and invalid, on
 * five disks, while disks are removed, instances are detached by force, a processor goes and
 * comes, memory is reclaimed, allocations fail, and memory of the calls turns read-only or
 * vanishes. What each call returns is judged, and an independent ledger (fuzz_ledger.c) tells
 * whether two get the same space. Now and then all rest: then STAT, MAP and CHECK must say
 * what the ledger says; and from time to time everything is freed and must come back.
 *
 * Programs that reach something new, as KCOV sees it, are kept and varied (fuzz_guide.c).
 * Those of a corpus are run first. Whatever was never exercised with success is a failure.
 *
 * One slot is wild: anything may be freed there by anyone, so MAP takes the ledger's place.
 *
 * usage: fuzz [--calls N] [--corpus FILE] [--keep]
 *
 * --keep prints the programs that were interesting, for the corpus: tests/vm/corpus.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include "fuzz.h"

#define REST_CALLS	1500	/* from one moment of rest to the next */
#define REST_FREE	6	/* in one of so many, everything is freed */
#define REST_TELL	10	/* after so many, how far it is */

struct worker fuzz_worker[NR_WORKERS];
struct inst *_Atomic fuzz_slot[NR_SLOTS];
atomic_bool fuzz_stop;
atomic_ullong fuzz_calls, fuzz_events[NR_EVENTS];
atomic_uint fuzz_wrongs;

static const char * const event_names[NR_EVENTS] = {
	[E_FAULT_NOMEM] = "calls got ENOMEM of an allocation that failed",
	[E_FAULT_COPY] = "calls got EFAULT of a copy that failed",
	[E_FLIP] = "calls got EFAULT as their memory was read-only or gone",
	[E_READ_ONLY] = "calls were refused on a file that is open for reading",
	[E_MUTATED] = "malformed calls were refused",
	[E_OLD_EPOCH] = "calls had another epoch",
	[E_SEALED] = "calls were refused before SEAL",
	[E_FOREIGN] = "frees of what is bound to another file were refused",
	[E_WRONG_FREE] = "wrong frees were refused",
	[E_WRONG_PART] = "wrong parts, splits, extensions and keeps were refused",
	[E_CUT] = "extents had a part cut out of their middle",
	[E_ROW] = "rows of extents were freed as one",
	[E_LONGER] = "extents became longer",
	[E_KEPT] = "bound extents were kept",
	[E_TWICE] = "extents were freed a second time, which was refused",
	[E_DUEL] = "extents were freed by two threads, of which one won",
	[E_FULL] = "allocations found no space",
	[E_REMOVED] = "calls found that the disk was removed",
	[E_FORCED] = "forced detaches",
	[E_BUSY] = "detaches were refused",
	[E_NOT_BLANK] = "disks with data were refused",
	[E_OVERWRITTEN] = "disks with data were attached nevertheless",
	[E_GROWN] = "times a range had grown",
	[E_DISCARDED] = "TRIMs discarded something",
	[E_FORKED] = "child processes allocated through a file of the parent",
	[E_KILLED] = "processes were killed",
	[E_PASSED] = "extents were freed through a file that was passed on",
	[E_DROPPED] = "extents were freed by a file that was passed on and never received",
	[E_CPU] = "times a processor came back",
	[E_SHRINK] = "times the kernel's caches were dropped",
	[E_LIMBO] = "extents of failed calls turned out to be live",
	[E_KEPT_DATA] = "times an extent had the data that was written to it",
	[E_ALL_BACK] = "times everything was freed and came back",
	[E_REST] = "moments of rest",
	[E_PROMISED] = "extents were allocated against a reservation",
	[E_RESERVED] = "allocations would have taken what is reserved",
};

void *fuzz_memory(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		t_die("no memory");
	return p;
}

void fuzz_wrong(const struct worker *w, const char *fmt, ...)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	char text[256];
	va_list ap;
	u64 word;
	u32 i;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&lock);
	if (atomic_fetch_add(&fuzz_wrongs, 1) < 10) {
		t_note("wrong, after %llu calls: %s", (u64)atomic_load(&fuzz_calls), text);
		if (w && w->nr < NR_WORKERS) {
			printf("# worker %u, operation %u of ", w->nr, w->at);
			for (i = 0; i < w->program.nr; i++) {
				memcpy(&word, &w->program.op[i], sizeof(word));
				printf("%016llx", word);
			}
			putchar('\n');
			fflush(stdout);
		}
	}
	pthread_mutex_unlock(&lock);
	atomic_store(&fuzz_stop, true);
}

/* ---- moments of rest ---- */

static pthread_mutex_t rest_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t rest_cond = PTHREAD_COND_INITIALIZER;
static bool resting;
static u32 nr_busy;

void fuzz_rest(void)
{
	pthread_mutex_lock(&rest_lock);
	if (resting) {
		nr_busy--;
		pthread_cond_broadcast(&rest_cond);
		while (resting)
			pthread_cond_wait(&rest_cond, &rest_lock);
		nr_busy++;
	}
	pthread_mutex_unlock(&rest_lock);
}

static void rest(bool all)
{
	pthread_mutex_lock(&rest_lock);
	resting = all;
	pthread_cond_broadcast(&rest_cond);
	while (all && nr_busy)
		pthread_cond_wait(&rest_cond, &rest_lock);
	pthread_mutex_unlock(&rest_lock);
}

/* The end of a thread that may have been asked to rest. */
static void leave(void)
{
	pthread_mutex_lock(&rest_lock);
	nr_busy--;
	pthread_cond_broadcast(&rest_cond);
	pthread_mutex_unlock(&rest_lock);
}

/* The instance of a slot, if it is there, with an open file. */
static struct inst *at_rest(u32 slot, int *fd)
{
	struct inst *inst = atomic_load(&fuzz_slot[slot]);
	struct hybrid_alloc_info info;
	struct hybrid_alloc_stat st;

	if (!inst)
		return NULL;
	*fd = ha_open(inst->id, O_RDWR);
	if (*fd >= 0 && !ha_info(*fd, 0, 0, &info) && info.epoch == inst->info.epoch &&
	    !ha_stat_err(*fd, 0, &st))
		return inst;
	if (*fd >= 0)
		close(*fd);
	if (!ledger_may_be_dead(inst))
		fuzz_wrong(NULL, "slot %u is gone", slot);
	atomic_store(&inst->dead, true);
	atomic_store(&fuzz_slot[slot], NULL);
	return NULL;
}

static void check(const struct inst *inst, int fd)
{
	int err = EAGAIN, tries;

	/* what is idle may be on its way from a pool to the slabs */
	for (tries = 0; tries < 100 && err == EAGAIN; tries++)
		err = ha_op(fd, HYBRID_ALLOC_IOC_CHECK);
	if (err)
		fuzz_wrong(NULL, "slot %u: CHECK: %s", inst->slot, t_strerror(err));
}

/* With the pools empty, the longest free run can be had, and a block more cannot. */
static void check_longest(const struct inst *inst, int fd)
{
	struct hybrid_alloc_extent e;
	struct hybrid_alloc_info info;
	struct hybrid_alloc_stat st;
	u64 most, left;
	int err, want;

	if (ha_info(fd, 0, 0, &info) || info.state & HYBRID_ALLOC_STATE_SEALED)
		return;
	ha_op(fd, HYBRID_ALLOC_IOC_DRAIN);
	st = ha_stat(fd, HYBRID_ALLOC_STAT_RUNS);
	most = st.largest_free_run;
	left = st.free + st.cached - st.reserved;
	if (inst->info.max_block && most >= inst->info.max_block)
		return;
	want = most > left ? ENOSPC : 0;
	err = most ? ha_alloc(fd, most, 0, &e) : 0;
	if (err != want)
		fuzz_wrong(NULL, "slot %u: the longest free run, %llu bytes, %llu not reserved: %s",
			   inst->slot, most, left, t_strerror(err));
	else if (most && !err && ha_free(fd, e.start, e.len, NULL))
		fuzz_wrong(NULL, "slot %u: the longest free run cannot be freed", inst->slot);
	err = ha_alloc(fd, most + inst->info.min_block, 0, &e);
	if (err != ENOSPC && err != EFBIG)
		fuzz_wrong(NULL, "slot %u: more than the longest free run: %s", inst->slot,
			   t_strerror(err));
}

struct duel {
	int fd;
	struct hybrid_alloc_extent *e;
	u32 nr, won;
	atomic_uint *ready;
};

static void *duellist(void *arg)
{
	struct duel *d = arg;
	u32 i;
	int err;

	atomic_fetch_add(d->ready, 1);
	while (atomic_load(d->ready) < 2)
		;
	for (i = 0; i < d->nr; i++) {
		err = ha_free(d->fd, d->e[i].start, d->e[i].len, NULL);
		d->won += !err;
		if (err && err != ENOENT)
			fuzz_wrong(NULL, "a free that another one is faster than: %s",
				   t_strerror(err));
	}
	return NULL;
}

/* Nobody allocates meanwhile, so what is freed twice must be refused once. */
static void duel(int fd, u64 *rng)
{
	struct hybrid_alloc_extent e[40];
	atomic_uint ready = 0;
	struct duel d[2];
	u32 nr = 0, i;
	pthread_t other;
	int err;

	while (nr < ARRAY_SIZE(e) &&
	       !ha_alloc(fd, BLOCK * (1 + random_below(rng, 1 << random_below(rng, 9))), 0, &e[nr]))
		nr++;
	for (i = 0; i < 2; i++)
		d[i] = (struct duel){ .fd = fd, .e = e, .nr = nr, .ready = &ready };
	if (pthread_create(&other, NULL, duellist, &d[1]))
		t_die("pthread_create");
	duellist(&d[0]);
	t_join(other);
	if (d[0].won + d[1].won != nr)
		fuzz_wrong(NULL, "of two frees of each of %u extents %u succeeded", nr,
			   d[0].won + d[1].won);
	fuzz_events[E_DUEL] += nr;
	for (i = 0; i < nr; i++) {
		err = ha_free(fd, e[i].start, e[i].len, NULL);
		if (err != ENOENT)
			fuzz_wrong(NULL, "a free of what is free: %s", t_strerror(err));
		fuzz_events[E_TWICE] += err == ENOENT;
	}
}

static void free_wild(int fd)
{
	static struct t_map map;
	u64 i;

	t_read_map(fd, &map);
	for (i = 0; i < map.nr; i++)
		if (map.e[i].state == HYBRID_ALLOC_MAP_LIVE &&
		    ha_free(fd, map.e[i].start, map.e[i].len, NULL))
			fuzz_wrong(NULL, "what MAP says is live cannot be freed");
}

static void free_all(struct inst *inst, int fd)
{
	struct hybrid_alloc_stat st = {};
	struct worker *w;
	const char *left;
	struct own *own;
	u32 n, i;
	int err;

	for (n = 0; n < NR_WORKERS; n++) {
		w = &fuzz_worker[n];
		for (i = 0; i < NR_FILES; i++)
			if (w->file[i].inst == inst)
				fuzz_close(w, &w->file[i]);
		for (i = 0; i < w->nr_own;) {
			own = &w->own[i];
			if (own->inst != inst) {
				i++;
				continue;
			}
			fuzz_check_data(w, own);
			err = ha_free(fd, own->start, own->len, NULL);
			if (err)
				fuzz_wrong(NULL, "slot %u: FREE at rest: %s", inst->slot,
					   t_strerror(err));
			ledger_give(inst, own->start, own->len);
			w->own[i] = w->own[--w->nr_own];
		}
	}
	if (inst->slot == WILD)
		free_wild(fd);
	/* once the range has grown there is more metadata, and a new start */
	st = ha_stat(fd, 0);
	if (st.capacity != inst->start.capacity) {
		ha_op(fd, HYBRID_ALLOC_IOC_DRAIN);
		inst->start = ha_stat(fd, 0);
	}
	for (i = 0; i < 100; i++, usleep(10000)) {
		left = t_left(fd, &inst->start, &st);
		if (!left)
			break;
	}
	if (left)
		fuzz_wrong(NULL, "slot %u: all is freed, and %s: metadata %llu, was %llu",
			   inst->slot, left, (u64)st.metadata, (u64)inst->start.metadata);
	fuzz_events[E_ALL_BACK] += !left;
}

static void look(u32 round)
{
	static u64 rng = 1;
	struct inst *inst;
	u32 slot, n;
	int fd;

	for (slot = 0; slot < NR_SLOTS; slot++) {
		inst = at_rest(slot, &fd);
		if (!inst)
			continue;
		for (n = 0; n < NR_WORKERS; n++)
			fuzz_forget_dead(&fuzz_worker[n]);
		ledger_compare(inst, fd);
		check(inst, fd);
		check_longest(inst, fd);
		if (round % REST_FREE == REST_FREE - 1 && !atomic_load(&fuzz_wrongs)) {
			free_all(inst, fd);
			duel(fd, &rng);
			free_all(inst, fd);
			check(inst, fd);
		}
		close(fd);
	}
	for (n = 0; n < NR_WORKERS; n++)
		fuzz_forget_dead(&fuzz_worker[n]);
	ledger_sweep();
	fuzz_events[E_REST]++;
}

/* ---- threads ---- */

static void *work(void *arg)
{
	struct worker *w = arg;

	w->nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	guide_open(w);
	while (!atomic_load(&fuzz_stop)) {
		fuzz_rest();
		guide_next(w);
		guide_start(w);
		for (w->at = 0; w->at < w->program.nr && !atomic_load(&fuzz_stop); w->at++)
			fuzz_op(w, &w->program.op[w->at]);
		guide_stop(w);
	}
	leave();
	return NULL;
}

static void *world(void *unused)
{
	world_run(unused);
	leave();
	return NULL;
}

static atomic_bool flips_end;

static void map_flip(struct worker *w)
{
	if (mmap(w->flip, AREA_LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, w->flip_fd,
		 0) == MAP_FAILED)
		t_die("mmap");
}

/* Memory of calls that are under way turns read-only, vanishes and comes back. */
static void *flips(void *unused)
{
	struct worker *w;
	bool any;
	u32 n;

	(void)unused;
	while (!atomic_load(&flips_end)) {
		any = false;
		for (n = 0; n < NR_WORKERS; n++) {
			w = &fuzz_worker[n];
			if (!atomic_load(&w->flipping))
				continue;
			any = true;
			mprotect(w->flip, AREA_LEN, PROT_READ);
			atomic_fetch_add(&w->flips, 1);
			mprotect(w->flip, AREA_LEN, PROT_READ | PROT_WRITE);
			atomic_fetch_add(&w->flips, 1);
			if (mmap(w->flip, AREA_LEN, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
				t_die("mmap");
			atomic_fetch_add(&w->flips, 1);
			map_flip(w);
			atomic_fetch_add(&w->flips, 1);
		}
		if (!any)
			usleep(100);
	}
	return NULL;
}

static void make_worker(struct worker *w, u32 n)
{
	w->nr = n;
	w->rng = t_seed * NR_WORKERS + n;
	w->area = fuzz_memory(AREA_LEN);
	w->flip_fd = memfd_create("flip", MFD_CLOEXEC);
	if (w->flip_fd < 0 || ftruncate(w->flip_fd, AREA_LEN))
		t_die("memfd");
	w->flip_same = mmap(NULL, AREA_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, w->flip_fd, 0);
	w->flip = mmap(NULL, AREA_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, w->flip_fd, 0);
	if (w->flip == MAP_FAILED || w->flip_same == MAP_FAILED)
		t_die("mmap");
}

static void start(pthread_t *thread, void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 512 << 10);
	if (pthread_create(thread, &attr, fn, arg))
		t_die("pthread_create");
	pthread_attr_destroy(&attr);
}

/* ---- what was exercised ---- */

static void report(void)
{
	u64 sum, events;
	char line[512];
	u32 k, e, n, at;

	for (k = 0; k < NR_KINDS; k++) {
		at = 0;
		line[0] = 0;
		for (e = 0; e < NR_ERRNOS; e++) {
			for (sum = 0, n = 0; n < NR_WORKERS; n++)
				sum += fuzz_worker[n].count[k][e];
			if (sum && at < sizeof(line))
				at += snprintf(line + at, sizeof(line) - at, " %s %llu",
					       t_strerror(e), sum);
		}
		t_note("%s:%s", fuzz_kind_names[k], line);
	}
	for (k = 0; k < NR_KINDS; k++) {
		for (sum = 0, n = 0; n < NR_WORKERS; n++)
			sum += fuzz_worker[n].count[k][k == K_UNKNOWN ? ENOTTY : 0];
		t_ok(sum, "%llu times with success: %s", sum, fuzz_kind_names[k]);
	}
	for (k = 0; k < NR_EVENTS; k++) {
		events = atomic_load(&fuzz_events[k]);
		for (n = 0; n < NR_WORKERS; n++)
			events += fuzz_worker[n].events[k];
		t_ok(events, "%llu %s", events, event_names[k]);
	}
}

int main(int argc, char **argv)
{
	u64 nr_calls = 40000, next;
	const char *corpus = NULL;
	pthread_t others[2];
	bool keep = false;
	u32 n, round;
	int i;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--calls") && i + 1 < argc)
			nr_calls = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--corpus") && i + 1 < argc)
			corpus = argv[++i];
		else if (!strcmp(argv[i], "--keep"))
			keep = true;
		else
			t_die("usage: see the head of fuzz.c");
	}
	t_note("SEED=%llu", t_seed);
	/* no page of ours is to be fetched while memory is short */
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		t_die("mlockall");
	if (ha_loaded() && ha_rmmod())
		t_die("the module is in use");
	if (ha_insmod("idle_ms=50"))
		t_die("insmod");
	guide_load(corpus);
	world_make();
	for (n = 0; n < NR_WORKERS; n++)
		make_worker(&fuzz_worker[n], n);
	nr_busy = NR_WORKERS + 1;
	start(&others[0], flips, NULL);
	start(&others[1], world, NULL);
	for (n = 0; n < NR_WORKERS; n++)
		start(&fuzz_worker[n].thread, work, &fuzz_worker[n]);

	for (round = 0; !atomic_load(&fuzz_stop); round++) {
		next = atomic_load(&fuzz_calls) + REST_CALLS;
		while (atomic_load(&fuzz_calls) < next && !atomic_load(&fuzz_stop))
			usleep(5000);
		rest(true);
		look(round);
		if (round % REST_TELL == REST_TELL - 1)
			t_note("%llu of %llu calls", atomic_load(&fuzz_calls), nr_calls);
		if (atomic_load(&fuzz_calls) >= nr_calls)
			atomic_store(&fuzz_stop, true);
		rest(false);
	}
	for (n = 0; n < NR_WORKERS; n++)
		t_join(fuzz_worker[n].thread);
	t_join(others[1]);
	atomic_store(&flips_end, true);
	t_join(others[0]);
	if (!atomic_load(&fuzz_wrongs))
		look(REST_FREE - 1);

	for (n = 0; n < NR_WORKERS; n++)
		for (i = 0; i < NR_FILES; i++)
			fuzz_close(&fuzz_worker[n], &fuzz_worker[n].file[i]);
	world_end();
	t_eq(atomic_load(&fuzz_wrongs), 0, "nothing is wrong in %llu calls",
	     (u64)atomic_load(&fuzz_calls));
	report();
	guide_report(keep);
	t_errno(ha_rmmod(), 0, "rmmod");
	return t_done();
}
