// SPDX-License-Identifier: GPL-2.0
/*
 * hybrid-sim: the allocator in user space, from the sources of the module, for
 * speed, traces and fuzzing.
 */
#include <ctype.h>
#include <getopt.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "hybrid_sim.h"

bool json;
u64 seed = 1;
u64 capacity;
unsigned int nr_threads = 1;
u64 nr_ops = 1000000;

/* ---- numbers ---- */

double ticks_ns(void)
{
	static double ns;

	if (!ns) {
		u64 t = ticks(), n = now_ns();

		while (now_ns() - n < 20000000)
			;
		ns = (double)(now_ns() - n) / (ticks() - t);
	}
	return ns;
}

/* One uncontended compare-and-swap: the least of several measurements. */
double cas_ns(void)
{
	static double best;
	unsigned long word = 0;
	int i, round;

	for (round = 0; !best || round < 5; round++) {
		u64 t = cpu_ns();
		double ns;

		for (i = 0; i < 1000000; i++) {
			unsigned long old = i;

			try_cmpxchg(&word, &old, old + 1);
		}
		ns = (cpu_ns() - t) / 1e6;
		if (!best || ns < best)
			best = ns;
	}
	return best;
}

bool parse_size(const char *s, u64 *bytes)
{
	static const char units[] = "KMGTPE";
	const char *unit;
	char *end;

	errno = 0;
	*bytes = strtoull(s, &end, 0);
	if (end == s || errno || *s == '-')
		return false;
	unit = *end ? strchr(units, toupper(*end)) : NULL;
	if (unit) {
		unsigned int shift = 10 * (unit - units + 1);

		if (*bytes >> (64 - shift))
			return false;
		*bytes <<= shift;
		end++;
		if (!strcmp(end, "iB") || !strcmp(end, "B"))
			return true;
	}
	return !*end;
}

/* ---- the allocator under test ---- */

void pool_start(struct hapool *p, u64 nr_blocks)
{
	struct haslab_config cfg = { .nr_blocks = nr_blocks, .unit_shift = 8, .slab_max = 256 };
	int ret = hapool_init(p, &cfg);

	if (ret) {
		fprintf(stderr, "hybrid-sim: an allocator of %llu blocks cannot be made: %s\n",
			nr_blocks, strerror(-ret));
		exit(2);
	}
}

/* ---- output ---- */

static bool out_first;

static void out_name(const char *name)
{
	if (json)
		printf("%s\"%s\": ", out_first ? "" : ", ", name);
	else
		printf("  %-22s ", name);
	out_first = false;
}

void out_begin(void)
{
	out_first = true;
	if (json)
		printf("{");
}

void out_string(const char *name, const char *value)
{
	out_name(name);
	printf(json ? "\"%s\"" : "%s\n", value);
}

void out_u64(const char *name, u64 value)
{
	out_name(name);
	printf(json ? "%llu" : "%llu\n", value);
}

void out_double(const char *name, double value, int digits)
{
	out_name(name);
	printf(json ? "%.*f" : "%.*f\n", digits, value);
}

void out_null(const char *name)
{
	if (!json)
		return;
	out_name(name);
	printf("null");
}

void out_end(void)
{
	printf(json ? "}\n" : "\n");
	fflush(stdout);
}

/* ---- command line ---- */

static const char help[] =
"usage: hybrid-sim bench [--json] [--seed N] [--capacity SIZE] WORKLOAD...\n"
"       hybrid-sim bench --list\n"
"       hybrid-sim replay [--json] --capacity SIZE TRACE|-\n"
"       hybrid-sim fuzz [--seed N] [--ops N] [--threads N]\n"
"\n"
"Runs the allocator of hybrid_alloc in user space: no device, no module.\n"
"\n"
"bench    measures workloads by name\n"
"replay   runs a trace, one operation a line: \"a ID SIZE [ALIGN]\" allocates,\n"
"         \"f ID\" frees, # begins a comment; ID is a number, SIZE and ALIGN bytes\n"
"fuzz     random operations, valid and not, each compared with a naive model\n"
"\n"
"  --json           one JSON object a line\n"
"  --seed N         of the random numbers (1)\n"
"  --capacity SIZE  of the device, such as 64G or 1TiB\n"
"  --ops N          number of operations of fuzz (1000000)\n"
"  --threads N      of fuzz (1)\n"
"\n"
"Every answer of the allocator is compared with an independent record; the\n"
"field \"ledger\" is \"ok\" or says what is wrong. Exit status: 0 all is well, 1 the\n"
"allocator is wrong, 2 it could not be run.\n";

/*
 * The kernel's metadata lies in huge pages, as all its memory does; so that a
 * miss of the TLB costs here what it costs there, malloc() is to use them, too.
 * It only looks at the environment, at the start.
 */
static void use_huge_pages(char **argv)
{
	if (!setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", 0) &&
	    !getenv("HYBRID_SIM_STARTED") && !setenv("HYBRID_SIM_STARTED", "1", 0))
		execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "seed", required_argument, NULL, 's' },
		{ "capacity", required_argument, NULL, 'c' },
		{ "ops", required_argument, NULL, 'o' },
		{ "threads", required_argument, NULL, 't' },
		{ "list", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	const char *command;
	bool list = false;
	int c;

	use_huge_pages(argv);
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			json = true;
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'c':
			if (!parse_size(optarg, &capacity) || capacity >> BLOCK_SHIFT == 0) {
				fprintf(stderr, "hybrid-sim: '%s' is no capacity; one is 64G\n",
					optarg);
				return 2;
			}
			break;
		case 'o':
			nr_ops = strtoull(optarg, NULL, 0);
			break;
		case 't':
			nr_threads = strtoul(optarg, NULL, 0);
			break;
		case 'l':
			list = true;
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		default:
			return 2;
		}
	}
	command = argv[optind] ?: "";
	smp_processor_id();	/* this thread is CPU 0 */
	if (!strcmp(command, "bench") && list)
		return bench_list();
	if (!strcmp(command, "bench") && argv[optind + 1])
		return bench(argv + optind + 1);
	if (!strcmp(command, "replay") && argc == optind + 2)
		return replay(argv[optind + 1]);
	if (!strcmp(command, "fuzz") && argc == optind + 1)
		return fuzz();
	fputs(help, stderr);
	return 2;
}
