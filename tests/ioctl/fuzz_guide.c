// SPDX-License-Identifier: GPL-2.0
/*
 * Programs: each a few operations, drawn at random or made from one that was interesting
 *
 * A program is interesting if KCOV saw it go from one place of the module to another in a
 * way that no program has gone before. Without KCOV only those of the corpus are.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/kcov.h>
#include "fuzz.h"

#define KCOV_PATH	"/sys/kernel/debug/kcov"
#define KCOV_WORDS	(64 << 10)
#define NR_STEPS	(1 << 18)	/* steps from place to place, hashed */
#define NR_PLACES	(1 << 16)
#define KEEP_NEWS	6	/* of what is kept for the corpus */

static struct program programs[MAX_PROGRAMS];
static atomic_uint nr_programs;
static u32 nr_given, replayed;
static u64 nr_run;
static atomic_ullong steps[NR_STEPS / 64];
static atomic_ulong places[NR_PLACES];
static atomic_uint nr_places;
static atomic_bool blind;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* How often a kind is drawn. What takes long is rare. */
static const uint8_t weight[NR_KINDS] = {
	[K_ATTACH] = 3, [K_DETACH] = 2, [K_INFO] = 3, [K_ALLOC] = 60, [K_FREE] = 50,
	[K_CLAIM] = 14, [K_SEAL] = 2, [K_DRAIN] = 3, [K_STAT] = 4, [K_ALLOC_BATCH] = 12,
	[K_FREE_BATCH] = 12, [K_CHECK] = 1, [K_MAP] = 10, [K_ALLOC_MANY] = 10, [K_TRIM] = 5,
	[K_GROW] = 3, [K_CLAIM_BATCH] = 6, [K_WATCH] = 5, [K_POLL] = 5, [K_OPEN] = 3,
	[K_CLOSE] = 3, [K_FILES] = 1, [K_UNKNOWN] = 2, [K_FORK] = 1, [K_KILL] = 1, [K_PASS] = 2,
	[K_DATA] = 12, [K_FREE_PART] = 20, [K_SPLIT] = 10, [K_EXTEND] = 14, [K_KEEP] = 5,
	[K_RESERVE] = 6, [K_UNRESERVE] = 4,
};

static void draw(struct worker *w, struct op *op)
{
	u64 r = random_next(&w->rng), way;
	u32 sum = 0, kind;

	memcpy(op, &r, sizeof(*op));
	for (kind = 0; kind < NR_KINDS; kind++)
		sum += weight[kind];
	sum = random_below(&w->rng, sum);
	for (kind = 0; sum >= weight[kind]; kind++)
		sum -= weight[kind];
	op->kind = kind;
	/* most calls are left in peace */
	way = random_below(&w->rng, 100);
	if (way < 60)
		op->how = 0;
	/* most work is done through few files */
	if (way % 4)
		op->x &= 3 << 3 | 3;
}

void guide_load(const char *path)
{
	FILE *f = path ? fopen(path, "re") : NULL;
	char line[MAX_OPS * 16 + 2];
	struct program *p;
	u64 word;
	char *at;

	if (path && !f)
		t_die("open the corpus %s", path);
	while (f && fgets(line, sizeof(line), f)) {
		p = &programs[nr_given];
		for (at = line; sscanf(at, "%16llx", &word) == 1 && p->nr < MAX_OPS; at += 16)
			memcpy(&p->op[p->nr++], &word, sizeof(word));
		if (p->nr && ++nr_given == MAX_PROGRAMS / 2)
			break;
	}
	if (f)
		fclose(f);
	atomic_store(&nr_programs, nr_given);
}

void guide_open(struct worker *w)
{
	w->kcov_fd = open(KCOV_PATH, O_RDWR | O_CLOEXEC);
	w->kcov = MAP_FAILED;
	if (w->kcov_fd >= 0 && !ioctl(w->kcov_fd, KCOV_INIT_TRACE, KCOV_WORDS))
		w->kcov = mmap(NULL, KCOV_WORDS * sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED,
			       w->kcov_fd, 0);
	if (w->kcov == MAP_FAILED)
		atomic_store(&blind, true);
}

/* The worker's next program: those of the corpus first. */
void guide_next(struct worker *w)
{
	struct program *p = &w->program;
	u32 nr, i, from, other;

	pthread_mutex_lock(&lock);
	nr_run++;
	nr = atomic_load(&nr_programs);
	i = replayed < nr_given ? replayed++ : MAX_PROGRAMS;
	pthread_mutex_unlock(&lock);
	if (i < MAX_PROGRAMS) {
		*p = programs[i];
		return;
	}
	if (!nr || random_below(&w->rng, 3) == 0) {
		p->nr = 4 + random_below(&w->rng, MAX_OPS - 4);
		for (i = 0; i < p->nr; i++)
			draw(w, &p->op[i]);
		return;
	}
	*p = programs[random_below(&w->rng, nr)];
	for (i = 1 + random_below(&w->rng, 4); i; i--) {
		from = random_below(&w->rng, p->nr);
		switch (random_below(&w->rng, 6)) {
		case 0:
			draw(w, &p->op[from]);
			break;
		case 1:
			((uint8_t *)&p->op[from])[1 + random_below(&w->rng, 7)] =
				random_next(&w->rng);
			break;
		case 2:		/* goes on as another one does */
			other = random_below(&w->rng, nr);
			if (from < programs[other].nr) {
				memcpy(p->op + from, programs[other].op + from,
				       (programs[other].nr - from) * sizeof(struct op));
				p->nr = programs[other].nr;
			}
			break;
		case 3:
			if (p->nr > 1)
				p->op[from] = p->op[--p->nr];
			break;
		default:
			if (p->nr < MAX_OPS)
				draw(w, &p->op[p->nr++]);
		}
	}
}

void guide_start(struct worker *w)
{
	if (w->kcov == MAP_FAILED)
		return;
	if (ioctl(w->kcov_fd, KCOV_ENABLE, KCOV_TRACE_PC)) {
		atomic_store(&blind, true);
		return;
	}
	__atomic_store_n(&w->kcov[0], 0, __ATOMIC_RELAXED);
}

static void count_place(unsigned long pc)
{
	u32 at = (pc ^ pc >> 16) % NR_PLACES;
	unsigned long old;

	for (;; at = (at + 1) % NR_PLACES) {
		old = 0;
		if (atomic_compare_exchange_strong(&places[at], &old, pc)) {
			/* a table that is too full is of no use */
			if (atomic_fetch_add(&nr_places, 1) > NR_PLACES / 2)
				t_die("KCOV sees the whole kernel");
			return;
		}
		if (old == pc)
			return;
	}
}

void guide_stop(struct worker *w)
{
	unsigned long nr, i, pc, last = 0;
	u32 news = 0, n;
	u64 step, bit;

	if (w->kcov == MAP_FAILED)
		return;
	nr = __atomic_load_n(&w->kcov[0], __ATOMIC_RELAXED);
	ioctl(w->kcov_fd, KCOV_DISABLE, 0);
	for (i = 1; i <= nr && i < KCOV_WORDS; i++) {
		pc = w->kcov[i];
		step = (pc ^ last * 31) * 0x9e3779b97f4a7c15ULL >> 46;
		last = pc;
		bit = 1ULL << step % 64;
		if (atomic_load_explicit(&steps[step / 64], memory_order_relaxed) & bit)
			continue;
		if (!(atomic_fetch_or(&steps[step / 64], bit) & bit)) {
			news++;
			count_place(pc);
		}
	}
	if (!news)
		return;
	pthread_mutex_lock(&lock);
	n = atomic_load(&nr_programs);
	if (n < MAX_PROGRAMS) {
		programs[n] = w->program;
		programs[n].news = news;
		atomic_store(&nr_programs, n + 1);
	}
	pthread_mutex_unlock(&lock);
}

void guide_report(bool keep)
{
	u32 nr = atomic_load(&nr_programs), i, n;
	u64 word, reached = 0;

	for (i = 0; i < NR_STEPS / 64; i++)
		reached += __builtin_popcountll(atomic_load(&steps[i]));
	t_note("%llu programs were run, %u of them from the corpus", nr_run, replayed);
	if (atomic_load(&blind))
		t_note("without KCOV");
	else
		t_note("they reached %u places of the module, in %llu ways; %u were interesting",
		       atomic_load(&nr_places), reached, nr - nr_given);
	/* those of the corpus are among them again if they still are */
	for (i = keep ? nr_given : nr; i < nr; i++) {
		if (programs[i].news < KEEP_NEWS)
			continue;
		printf("# corpus: ");
		for (n = 0; n < programs[i].nr; n++) {
			memcpy(&word, &programs[i].op[n], sizeof(word));
			printf("%016llx", word);
		}
		putchar('\n');
	}
}
