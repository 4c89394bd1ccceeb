// SPDX-License-Identifier: GPL-2.0
/*
 * hybrid-sim mixes: a search for the loads of which the allocator holds less than best fit or first
 * fit does.
 *
 *	hybrid-sim mixes --minutes N|--ops N [--seed N] [--capacity SIZE]
 *			search, for some time or among so many loads, and print the worst of each
 *			class, as lines of a list
 *	hybrid-sim mixes FILE
 *			the loads of a list, each against its limit; prints TAP
 *
 * The loss of a load is how much higher the fill is that the better of the two references sustains
 * (load.h). It depends on the seed, by a step of .005 or two on a small device. So a load is
 * measured with one seed, and if that is bad, with five others, of which the median counts. What is
 * printed in the end is measured again, with seeds by which nothing was chosen.
 *
 * The search keeps the worst load of each class: which extent goes first, one size or several, one
 * phase or several. It begins with known mixes and random ones. Then it takes one of those kept,
 * changes a few things in it, and keeps the result if it is worse.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/size.h"
#include "hybrid_sim.h"
#include "load.h"

#define DEFAULT_BLOCKS	(1ULL << 20)	/* 4 GiB */
#define NR_RANDOM	20		/* random loads to begin with */
#define MAX_REQUESTS	200000		/* of a load */
#define MAX_SEEDS	9
#define LARGE_STEP	(8 * LOAD_STEP)
#define CONFIRMED	5		/* seeds */
#define NR_CLASSES	(NR_ORDERS * 4)

static const char *const known[] = {
	"u1M", "u4M", "u8M", "u16M", "3M-5M", "4M-8M", "8M-16M", "16M-32M", "log64M", "common+",
	"tri16M", "4K,8K,12K", "68K,3M", "1028K,2052K", "3M,5M,9M,17M", "4K@1000,9M@100",
};

/* ---- measuring ---- */

static struct extent *live;
static u64 live_room;

/* In thousandths of the device; of all seeds the medians. */
struct figures {
	unsigned int ours, best, first;
	int loss;
	int least, most;	/* losses */
};

static int pool_take(void *of, u64 len, u64 *start)
{
	return hapool_alloc(of, len, 1, HAPOOL_NO_GOAL, GFP_KERNEL, start);
}

static void pool_give(void *of, struct extent e)
{
	enum hybrid_alloc_reason reason;

	if (hapool_free(of, e.start, e.len, &reason)) {
		fprintf(stderr, "hybrid-sim: the allocator is wrong: a free was refused\n");
		exit(1);
	}
}

static int reference_take(void *of, u64 len, u64 *start)
{
	return reference_alloc(of, len, len, 1, start, &len);
}

static void reference_give(void *of, struct extent e)
{
	reference_free(of, e.start, e.len);
}

static bool holds(const struct load *load, enum reference_policy policy, u64 nr_blocks, u64 from,
		  unsigned int fill)
{
	struct held h = { .rng = from, .live = live, .max_live = live_room };
	struct reference *r;
	struct hapool pool;
	struct holder holder;
	bool held;

	if (policy) {
		r = reference_new(policy, nr_blocks);
		holder = (struct holder) { r, reference_take, reference_give };
		held = load_hold(load, &holder, &h, nr_blocks, fill, false);
		reference_destroy(r);
		return held;
	}
	pool_start(&pool, nr_blocks);
	holder = (struct holder) { &pool, pool_take, pool_give };
	held = load_hold(load, &holder, &h, nr_blocks, fill, false);
	hapool_destroy(&pool);
	return held;
}

static void make_room(const struct load *load, u64 nr_blocks)
{
	u64 room = load_max_live(load, nr_blocks);

	if (room <= live_room)
		return;
	live_room = room;
	live = need(realloc(live, room * sizeof(*live)));
}

/*
 * The highest fill that is held, in thousandths. By large steps first: a fill may not be held that
 * is lower than one that is held, but seldom, and with each allocator.
 */
static unsigned int sustained(const struct load *load, enum reference_policy policy, u64 nr_blocks,
			      u64 from)
{
	unsigned int fill, low;

	for (low = LOAD_HIGHEST; !holds(load, policy, nr_blocks, from, low); low -= LARGE_STEP)
		if (low < LOAD_LOWEST + LARGE_STEP)
			return 0;
	fill = min_t(unsigned int, low + LARGE_STEP, LOAD_HIGHEST);
	while ((fill -= LOAD_STEP) > low)
		if (holds(load, policy, nr_blocks, from, fill))
			return fill;
	return low;
}

static int compare_ints(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Sorts them. */
static int median(int *values, unsigned int nr)
{
	qsort(values, nr, sizeof(*values), compare_ints);
	return values[nr / 2];
}

static struct figures measure(const struct load *load, u64 nr_blocks, u64 from, unsigned int nr)
{
	int ours[MAX_SEEDS], best[MAX_SEEDS], first[MAX_SEEDS], loss[MAX_SEEDS];
	struct figures f;
	unsigned int i;

	make_room(load, nr_blocks);
	for (i = 0; i < nr; i++) {
		ours[i] = sustained(load, NO_REFERENCE, nr_blocks, from + i);
		best[i] = sustained(load, BEST_FIT, nr_blocks, from + i);
		first[i] = sustained(load, FIRST_FIT, nr_blocks, from + i);
		loss[i] = max(best[i], first[i]) - ours[i];
	}
	f.ours = median(ours, nr);
	f.best = median(best, nr);
	f.first = median(first, nr);
	f.loss = median(loss, nr);
	f.least = loss[0];
	f.most = loss[nr - 1];
	return f;
}

static void print_figures(const struct figures *f, FILE *out)
{
	fprintf(out, "%s.%03d (%s.%03d to %s.%03d): holds .%03u, best fit .%03u, first fit .%03u",
		f->loss < 0 ? "-" : "", abs(f->loss), f->least < 0 ? "-" : "", abs(f->least),
		f->most < 0 ? "-" : "", abs(f->most), f->ours, f->best, f->first);
}

/* ---- random loads ---- */

static u64 rng;
static u64 nr_blocks, max_len;

static u64 pick(u64 n)
{
	return random_below(&rng, n);
}

static u64 between(u64 least, u64 x, u64 most)
{
	return max(least, min(x, most));
}

/* As many short ones as long ones; often beside a power of two. */
static u64 random_len(void)
{
	u64 len = 1ULL << pick(64 - __builtin_clzll(max_len));

	switch (pick(4)) {
	case 0:
		return between(1, len, max_len);
	case 1:
		return between(1, len + 1, max_len);
	case 2:
		return between(1, len - 1, max_len);
	default:
		return between(1, len + pick(len), max_len);
	}
}

static void random_sizes(struct sizes *s)
{
	u64 len = random_len();

	*s = (struct sizes) {
		.kind = pick(4) ? SIZES_UNIFORM : SIZES_LOG + pick(2),
		.min = len, .max = len, .weight = pick(2) ? 1 : 1 + pick(20),
	};
	if (s->kind || pick(2))
		s->max = between(len, pick(2) ? random_len() : 2 * len, max_len);
}

static void random_phase(struct phase *p)
{
	unsigned int i;

	*p = (struct phase) {
		.mix = { .factor = 1, .nr = pick(2) ? 1 : 1 + pick(MIX_PARTS) },
		.order = pick(NR_ORDERS),
		.percent = pick(3) ? 100 : 10 + 10 * pick(9),
	};
	for (i = 0; i < p->mix.nr; i++)
		random_sizes(&p->mix.parts[i]);
}

static void random_load(struct load *load)
{
	unsigned int i;

	*load = (struct load) { .nr = pick(2) ? 1 : 1 + pick(LOAD_PHASES) };
	for (i = 0; i < load->nr; i++)
		random_phase(&load->phases[i]);
}

static void change_sizes(struct sizes *s)
{
	switch (pick(8)) {
	case 0:
		random_sizes(s);
		break;
	case 1:
		s->min = between(1, s->min / 2 + pick(s->min + 1), s->max);
		break;
	case 2:
		s->max = between(s->min, s->max / 2 + pick(s->max + 1), max_len);
		break;
	case 3:
		s->min = s->max;
		break;
	case 4:
		s->min = between(1, s->min + pick(3) - 1, s->max);
		break;
	case 5:
		s->max = between(s->min, s->max + pick(3) - 1, max_len);
		break;
	case 6:
		s->weight = 1 + pick(pick(2) ? 5 : 100);
		break;
	default:
		s->kind = pick(3);
	}
}

static void change_mix(struct mix *mix)
{
	switch (pick(8)) {
	case 0:
		if (mix->nr < MIX_PARTS)
			random_sizes(&mix->parts[mix->nr++]);
		break;
	case 1:
		if (mix->nr > 1)
			mix->parts[pick(mix->nr)] = mix->parts[mix->nr - 1];
		mix->nr -= mix->nr > 1;
		break;
	case 2:
		mix->factor = pick(2) ? 1 : (50 + pick(150)) / 100.0;
		break;
	case 3:
		mix->shift = pick(2) ? 0 : 2 * pick(16) + 1;
		break;
	default:
		change_sizes(&mix->parts[pick(mix->nr)]);
	}
}

static void change_load(struct load *load)
{
	struct phase *p = &load->phases[pick(load->nr)];

	switch (pick(8)) {
	case 0:
		p->order = pick(NR_ORDERS);
		break;
	case 1:
		p->percent = pick(2) ? 100 : 5 + 5 * pick(19);
		break;
	case 2:
		if (load->nr < LOAD_PHASES) {
			load->phases[load->nr] = *p;
			load->nr++;
		}
		break;
	case 3:
		load->nr -= load->nr > 1;
		break;
	default:
		change_mix(&p->mix);
	}
}

/* Whether it can be measured on the device in a moment. */
static bool finish(struct load *load)
{
	u64 requests = 0;
	unsigned int i;

	for (i = 0; i < load->nr; i++) {
		if (!mix_finish(&load->phases[i].mix) || load->phases[i].mix.max > max_len)
			return false;
		requests += 8 * nr_blocks / load->phases[i].mix.mean;
	}
	return requests <= MAX_REQUESTS;
}

/* ---- the search ---- */

static struct kept {
	bool used;
	struct figures figures;
	struct load load;
} all_kept[NR_CLASSES];

/* The worse of two, so that what loses nothing is not changed too often. */
static const struct load *any_kept(void)
{
	const struct kept *k, *found = NULL;
	unsigned int tries;

	for (tries = 0; tries < 2 || !found; tries++) {
		k = &all_kept[pick(NR_CLASSES)];
		if (k->used && (!found || k->figures.loss > found->figures.loss))
			found = k;
	}
	return &found->load;
}

/* By the last phase, in which most are refused. */
static struct kept *class_of(const struct load *load)
{
	const struct phase *p = &load->phases[load->nr - 1];
	bool several = p->mix.nr > 1 || p->mix.parts[0].min < p->mix.parts[0].max;

	return &all_kept[4 * p->order + 2 * several + (load->nr > 1)];
}

static void try_load(const struct load *load)
{
	struct kept *k = class_of(load);
	int least = k->used ? k->figures.loss : -1;
	struct figures f;

	make_room(load, nr_blocks);
	/* most end here, before the references */
	if ((int)(LOAD_HIGHEST - sustained(load, NO_REFERENCE, nr_blocks, rng)) <= least)
		return;
	f = measure(load, nr_blocks, rng, 1);
	if (f.loss <= least)
		return;
	f = measure(load, nr_blocks, rng + 1, CONFIRMED);
	if (f.loss <= least)
		return;
	*k = (struct kept) { true, f, *load };
	fprintf(stderr, "# ");
	print_figures(&f, stderr);
	fprintf(stderr, ": ");
	load_print(load, stderr);
	fputc('\n', stderr);
}

/* The load of a number: first those that are known, with both orders, then random ones. */
static void next_load(struct load *load, u64 nr)
{
	unsigned int i;

	if (nr < 2 * ARRAY_SIZE(known)) {
		load_parse(known[nr / 2], load);
		load->phases[0].order = nr % 2 ? ORDER_OLDEST : ORDER_RANDOM;
	} else if (nr < 2 * ARRAY_SIZE(known) + NR_RANDOM || !pick(8)) {
		random_load(load);
	} else {
		*load = *any_kept();
		for (i = 1 + pick(3); i; i--)
			change_load(load);
	}
}

static int by_loss(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;

	return x->used != y->used ? y->used - x->used : y->figures.loss - x->figures.loss;
}

static void print_kept(u64 nr)
{
	unsigned int i;

	printf("# seed %llu, %llu loads; a name, the device, the loss, the load\n", seed, nr);
	for (i = 0; i < NR_CLASSES; i++)
		if (all_kept[i].used)
			all_kept[i].figures = measure(&all_kept[i].load, nr_blocks,
						      random_next(&rng), MAX_SEEDS);
	qsort(all_kept, NR_CLASSES, sizeof(*all_kept), by_loss);
	for (i = 0; i < NR_CLASSES && all_kept[i].used && all_kept[i].figures.loss > 0; i++) {
		printf("# ");
		print_figures(&all_kept[i].figures, stdout);
		printf("\nfound-%u ", i + 1);
		print_blocks(nr_blocks, stdout);
		printf(" .%03d ", all_kept[i].figures.loss);
		load_print(&all_kept[i].load, stdout);
		printf("\n");
	}
}

int mixes_search(unsigned int minutes, u64 nr_loads)
{
	time_t end = time(NULL) + minutes * 60, said = time(NULL);
	struct load load;
	u64 nr;

	nr_blocks = capacity ? capacity >> BLOCK_SHIFT : DEFAULT_BLOCKS;
	max_len = max(nr_blocks / 64, 1ULL);
	rng = seed;
	for (nr = 0; minutes ? time(NULL) < end : nr < nr_loads; nr++) {
		next_load(&load, nr);
		if (finish(&load))
			try_load(&load);
		if (time(NULL) - said >= 60) {
			said = time(NULL);
			fprintf(stderr, "# %llu loads\n", nr);
		}
	}
	print_kept(nr);
	return 0;
}

/* ---- a list ---- */

/* A line of a list. */
struct line {
	char name[64], device[32], limit[16];
	const char *load;
};

static bool parse_line(char *text, struct line *line, struct load *load, u64 *blocks)
{
	u64 bytes;
	int used;

	text[strcspn(text, "\n")] = 0;
	if (sscanf(text, "%63s %31s %15s %n", line->name, line->device, line->limit, &used) != 3)
		return false;
	line->load = text + used;
	if (parse_size(line->device, &bytes) ||
	    strspn(line->limit, ".0123456789") != strlen(line->limit))
		return false;
	*blocks = bytes >> BLOCK_SHIFT;
	return load_parse(line->load, load) && !load->fill && load_max(load) <= *blocks;
}

int mixes_check(const char *path)
{
	FILE *list = fopen(path, "r");
	unsigned int nr = 0, bad = 0;
	struct figures f;
	struct line line;
	struct load load;
	char text[2048];
	u64 blocks;
	bool ok;

	if (!list) {
		fprintf(stderr, "hybrid-sim: cannot open %s: %s; name a file with loads\n", path,
			strerror(errno));
		return 2;
	}
	printf("TAP version 14\n");
	while (fgets(text, sizeof(text), list)) {
		if (*text == '#' || *text == '\n')
			continue;
		if (!parse_line(text, &line, &load, &blocks)) {
			fprintf(stderr, "hybrid-sim: %s: not NAME CAPACITY LIMIT LOAD: %s; fix "
				"it\n", path, text);
			fclose(list);
			return 2;
		}
		f = measure(&load, blocks, 1, 3);
		ok = f.loss <= 1000 * strtod(line.limit, NULL) + .5;
		printf("# ");
		print_figures(&f, stdout);
		printf("\n%sok %u - %s: loses no more than %s of %s: %s\n", ok ? "" : "not ", ++nr,
		       line.name, line.limit, line.device, line.load);
		bad += !ok;
	}
	fclose(list);
	printf("1..%u\n", nr);
	return bad || !nr;
}
