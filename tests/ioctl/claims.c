// SPDX-License-Identifier: GPL-2.0
/*
 * A catalogue of a million extents is claimed on a device that was attached to
 * rebuild, in batches: as it is sorted, and in random order. MAP then tells the
 * catalogue, STAT its sums, the metadata stays within its bound, and all comes
 * back. What a claim took is printed.
 *
 * usage: claims [--extents N] [--seed N] [--all] [--instructions]
 *
 * --all: four catalogues instead of two
 * --instructions: the machine's clock counts them (tests/vm/run --icount)
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <getopt.h>
#include "harness.h"

#define DISK		"/dev/hat-claims"
#define DISK_MIB	(1024 * 1024)
#define MAX_PER_GIB	(80 * KIB)	/* of metadata */
#define MAX		HYBRID_ALLOC_MAX_ITEMS

static u64 nr_exts = 1000000, rng;
static const char *unit = "ns";
static struct hybrid_alloc_free_item *items;
static u32 id;
static int fd;

static u64 length_mixed(u64 i)
{
	u64 len = BLOCK << random_next(&rng) % 6;

	(void)i;
	return len + random_next(&rng) % (len / BLOCK) * BLOCK;
}

static u64 length_alternating(u64 i)
{
	return i % 2 ? 2 * BLOCK : BLOCK;
}

/* Sorted; returns where the last one ends. */
static u64 make_catalogue(u64 (*length)(u64 i), bool gaps)
{
	u64 pos = 0, i, len;

	for (i = 0; i < nr_exts; i++) {
		len = length(i);
		if (gaps)
			pos += random_next(&rng) % 16 * BLOCK;
		items[i] = (struct hybrid_alloc_free_item){
			.extent = { .start = pos, .len = len },
		};
		pos += len;
	}
	return pos;
}

/* All of the catalogue by @call; how many failed. */
static u64 all(int (*call)(int, struct hybrid_alloc_free_item *, u32, u32 *))
{
	u64 i, bad = 0;
	u32 nr, failed;
	int err;

	for (i = 0; i < nr_exts; i += nr) {
		nr = nr_exts - i < MAX ? nr_exts - i : MAX;
		err = call(fd, items + i, nr, &failed);
		bad += err ? nr : failed;
	}
	return bad;
}

static bool map_is_catalogue(void)
{
	static struct t_map map;
	u64 i, k = 0;

	t_read_map(fd, &map);
	for (i = 0; i < map.nr; i++) {
		if (map.e[i].state != HYBRID_ALLOC_MAP_LIVE)
			continue;
		if (k == nr_exts || map.e[i].start != items[k].extent.start ||
		    map.e[i].len != items[k].extent.len)
			return false;
		k++;
	}
	return k == nr_exts;
}

static void test_catalogue(const char *name, u64 (*length)(u64 i), bool gaps, bool sorted)
{
	struct hybrid_alloc_stat start, st;
	u64 end, sum = 0, i, bad, seed = rng;
	double begun, took;

	id = ha_must_attach(DISK, 0);
	fd = ha_must_open(id, O_RDWR);
	start = ha_stat(fd, 0);
	end = make_catalogue(length, gaps);
	for (i = 0; i < nr_exts; i++)
		sum += items[i].extent.len;
	if (!sorted)
		t_shuffle(items, nr_exts, sizeof(*items), &rng);

	begun = t_now();
	bad = all(ha_claim_batch);
	took = t_now() - begun;
	t_eq(bad, 0, "%s: CLAIM_BATCH of %llu extents", name, nr_exts);
	st = ha_stat(fd, HYBRID_ALLOC_STAT_RUNS);
	t_note("%s: %.0f %s per claim; %.1f KiB of metadata per GiB", name, took / nr_exts * 1e9,
	       unit, (double)(st.metadata - start.metadata) / KIB * GIB / end);
	t_ok(t_identity(&st, name) && st.charged == sum && st.nr_live == nr_exts &&
	     st.free == st.capacity - sum, "%s: STAT", name);
	t_ok(st.metadata - start.metadata <= end / MIB * MAX_PER_GIB / KIB + 64 * KIB,
	     "%s: at most 80 KiB of metadata per GiB", name);
	t_errno(ha_op(fd, HYBRID_ALLOC_IOC_SEAL), 0, "%s: SEAL", name);

	rng = seed;
	make_catalogue(length, gaps);	/* the same, sorted */
	t_ok(map_is_catalogue(), "%s: MAP tells the catalogue", name);
	t_eq(all(ha_free_batch), 0, "%s: FREE_BATCH of all", name);
	t_all_back(fd, &start, name);
	close(fd);
	if (ha_detach(id, 0))
		t_die("DETACH");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "all", no_argument, NULL, 'a' },
		{ "extents", required_argument, NULL, 'e' },
		{ "instructions", no_argument, NULL, 'i' },
		{ "seed", required_argument, NULL, 's' },
		{}
	};
	bool more = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'a')
			more = true;
		else if (c == 'e')
			nr_exts = strtoull(optarg, NULL, 0);
		else if (c == 'i')
			unit = "instructions";
		else if (c == 's')
			t_seed = strtoull(optarg, NULL, 0);
		else
			return 2;
	}
	rng = t_seed;
	t_note("--seed %llu --extents %llu", t_seed, nr_exts);
	items = malloc(nr_exts * sizeof(*items));
	if (!items)
		t_die("no memory");
	ha_need_module();
	t_nullb_make("hat-claims", (struct t_disk_opts){ .mib = DISK_MIB });
	test_catalogue("mixed, at random", length_mixed, true, false);
	test_catalogue("4 and 8 KiB, sorted", length_alternating, false, true);
	if (more) {
		test_catalogue("mixed, sorted", length_mixed, true, true);
		test_catalogue("4 and 8 KiB, at random", length_alternating, false, false);
	}
	t_nullb_remove("hat-claims");
	free(items);
	return t_done();
}
