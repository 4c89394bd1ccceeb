// SPDX-License-Identifier: GPL-2.0
/*
 * hybrid-sim: the allocator in user space, built from the sources of the module, for
 * measurements, traces and fuzzing.
 */
#include <getopt.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/size.h"
#include "hybrid_sim.h"
#include "interleave.h"

bool json;
u64 seed = 1;
u64 capacity;
unsigned int nr_threads = 1;
u64 given_ops;
enum reference_policy reference;
const char *given_situation;
static unsigned int given_minutes;
static struct interleave_options interleave_options = { .preemptions = 2 };

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

void *need(void *allocated)
{
	if (!allocated) {
		fprintf(stderr, "hybrid-sim: out of memory; give a smaller --capacity\n");
		exit(2);
	}
	return allocated;
}

/* ---- the allocator under test ---- */

void pool_start(struct hapool *p, u64 nr_blocks)
{
	struct haslab_config cfg = { .nr_blocks = nr_blocks, .unit_shift = 8, .slab_max = 128 };
	int ret = hapool_init(p, &cfg);

	if (ret) {
		fprintf(stderr, "hybrid-sim: an allocator of %llu blocks of 4 KiB cannot be made: "
			"%s; give a smaller --capacity\n", nr_blocks, strerror(-ret));
		exit(2);
	}
}

/* ---- output ---- */

static bool out_first;
static bool out_inside;		/* an object in the other one */

static void out_name(const char *name)
{
	if (json)
		printf("%s\"%s\": ", out_first ? "" : ", ", name);
	else
		printf(out_inside ? "    %-20s " : "  %-22s ", name);
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

void out_begin_object(const char *name)
{
	if (json) {
		out_name(name);
		printf("{");
	} else {
		printf("  %s\n", name);
	}
	out_first = true;
	out_inside = true;
}

void out_end_object(void)
{
	if (json)
		printf("}");
	out_first = false;
	out_inside = false;
}

void out_end(void)
{
	printf(json ? "}\n" : "\n");
	fflush(stdout);
}

/* ---- command line ---- */

static const char help[] =
"usage: hybrid-sim bench [--json] [--seed N] [--capacity SIZE] [--ops N]\n"
"                        [--reference NAME] WORKLOAD...\n"
"       hybrid-sim bench --list\n"
"       hybrid-sim replay [--json] [--threads N] [--reference NAME] --capacity SIZE TRACE|-\n"
"       hybrid-sim advise [--json] --capacity SIZE TRACE|-\n"
"       hybrid-sim fuzz [--json] [--seed N] [--ops N] [--threads N [--situation NAME]]\n"
"       hybrid-sim fuzz --list\n"
"       hybrid-sim mixes --minutes N|--ops N [--seed N] [--capacity SIZE]\n"
"       hybrid-sim mixes FILE\n"
"       hybrid-sim interleave [--programs all|parts|hand|SEED,COUNT] [--threads N] [--ops N]\n"
"                             [--preemptions N] [--depth N] [--device NAME]\n"
"       hybrid-sim interleave --replay STRING\n"
"\n"
"Runs the allocator of hybrid_alloc in user space: no device, no module.\n"
"\n"
"To try a workload before a disk is bought:\n"
"\n"
"bench    measures workloads by name\n"
"replay   runs a trace, one operation a line: \"a ID SIZE [ALIGN]\" allocates,\n"
"         \"a ID MIN-MAX [ALIGN]\" the longest there is of that range,\n"
"         \"f ID\" frees, # begins a comment; ID is a number, SIZE and ALIGN are\n"
"         sizes in bytes, or with a unit, such as 64K or 1.5M; - is standard input;\n"
"         with threads, one thread does all operations of an ID. Of one thread only:\n"
"         \"c ID OFFSET LEN [NEWID]\" frees a part: what stays keeps the ID, and what\n"
"         stays behind a hole becomes NEWID; \"x ID LEN\" makes the extent longer, where\n"
"         it is; \"r SIZE\" reserves so much, \"A ID SIZE [ALIGN]\" allocates from that,\n"
"         \"u SIZE\" gives some back\n"
"advise   what a device of that size holds of a trace, and the smallest one that refuses\n"
"         nothing of it, by steps of a MiB; beside best fit and first fit\n"
"\n"
"  --json           one JSON object a line\n"
"  --list           the names of the workloads, one a line\n"
"  --seed N         seed of the random numbers (1)\n"
"  --capacity SIZE  size of the device, such as 64G or 1TiB; only whole blocks of\n"
"                   4 KiB are used\n"
"  --ops N          number of pairs of churn and pingpong, and of operations of each\n"
"                   thread\n"
"  --threads N      number of threads of replay (1)\n"
"  --reference NAME also do the same with a simple allocator over all of the device, which\n"
"                   merges free neighbours at once, and print what it holds: best-fit,\n"
"                   first-fit, or bins, which has eight for each power of two\n"
"  -h, --help       print this text\n"
"\n"
"Workloads that hold a load, without a refusal or at a given fill:\n"
"\n"
"sustain-LOAD       the highest fill at which nothing is refused while extents come and go\n"
"fifo-LOAD          the same, but the oldest extent goes first\n"
"hold-LOAD=FILL     what is refused at a fill, such as hold-u4M=.95\n"
"refill-A-B         fills the device with extents of A, frees all, and fills it with B: the\n"
"                   share of it that B is refused and has on a fresh device\n"
"pairs-A-B          fills it with A and B by turns, frees each second pair, and asks for\n"
"                   extents of A + B: the share of it that they are refused\n"
"claim-NUMBER       a catalogue of so many extents, such as 10M, sorted, is claimed again on\n"
"                   100 TiB; -dense: on as much as they need, side by side; -64: with 64\n"
"                   groups; -single: by one claim each\n"
"\n"
"  LOAD    MIX[:ORDER][:PERCENT%][/...]   up to four phases, one after the other\n"
"  ORDER   random, oldest, newest: which extent goes first; big-stay, small-stay: at\n"
"          random, but what is longer, or shorter, than the mean lives eight times as long\n"
"  PERCENT of the fill, which the phase holds (100)\n"
"  MIX     SIZES[@WEIGHT][,...][:xFACTOR][:+SIZE]   up to eight parts, with their share of\n"
"          the requests; all sizes are multiplied, then increased\n"
"  SIZES   64K; 3M-5M; u4M, which is 4K-4M; log64M or log1M-64M, log-uniform; tri16M or\n"
"          tri4M-16M, triangular; alone, common+: half of 4K, 8K, 16K, 64K, 256K and 1M,\n"
"          half of 3176K-3480K\n"
"\n"
"  hybrid-sim bench --capacity 4G sustain-4K@3,64K,3M-5M:x1.37:+4K:oldest/8M-16M:80%\n"
"\n"
"To test a change of the allocator:\n"
"\n"
"fuzz     does random operations, valid and invalid, on devices of all shapes, and\n"
"         compares each answer with a naive model; every seed makes its own device\n"
"mixes    searches for the loads of which the allocator sustains less than best fit and\n"
"         first fit, and prints the worst of several classes, as lines of a list; or checks\n"
"         a list, one load a line: \"NAME CAPACITY LIMIT LOAD\", LIMIT being the share of\n"
"         the device that may be lost\n"
"interleave  runs small programs of a few threads in all orders, on devices of 8, 11\n"
"         and 16 blocks; and all short sequences of operations of one thread; memory is\n"
"         sequentially consistent there\n"
"\n"
"  --json, --seed, --capacity  as above (mixes: 4G)\n"
"  --minutes N      how long to search\n"
"  --list           the names of the situations of fuzz, one a line\n"
"  --ops N          number of operations of fuzz (1000000), of interleave, at most 4 (2),\n"
"                   of loads to search among\n"
"  --threads N      number of threads of fuzz (1), of interleave (2)\n"
"  --situation NAME what the threads of fuzz do most, such as grow; otherwise each\n"
"                   seed chooses one\n"
"  --programs WHICH of interleave: all of --threads and --ops, those of parts of extents\n"
"                   and of ranges of lengths and other alignments,\n"
"                   15 made by hand of three threads, or COUNT drawn by a seed (all; none\n"
"                   if --depth is given)\n"
"  --preemptions N  at most so many times a thread is stopped that could go on (2), or\n"
"                   wakes up although another could go on\n"
"  --depth N        operations of the sequences, at most 8 (6; none if --programs is\n"
"                   given)\n"
"  --device NAME    only this one, such as 8.4K.1: 8 blocks, buddy_start 4K, magazines of\n"
"                   one object; 4Kd: no slab gives way that pools have objects of; 4Ks:\n"
"                   all sizes from slabs; 1M: less than a unit; with turns each program\n"
"                   runs on the next one, not on each\n"
"  --replay STRING  one schedule or sequence again, as a violation printed it\n"
"\n"
"Every answer of the allocator is compared with an independent record; the field\n"
"\"ledger\" is \"ok\" or says what is wrong. Exit status: 0 success, 1 the allocator\n"
"is wrong, 2 the command could not be run.\n";

static u64 number(const char *s, const char *option, u64 least, u64 most)
{
	char *end;
	u64 n;

	errno = 0;
	n = strtoull(s, &end, 10);
	if (*s < '0' || *s > '9' || *end || errno || n < least || n > most) {
		fprintf(stderr, "hybrid-sim: --%s: '%s' is not a number from %llu to %llu\n",
			option, s, least, most);
		exit(2);
	}
	return n;
}

static int usage(void)
{
	fputs("Try 'hybrid-sim --help' for more.\n", stderr);
	return 2;
}

/* Refuses an option that the command would ignore. */
static bool takes(const char *command, const char *letters, const struct option *options,
		  const bool *given)
{
	for (; options->name; options++) {
		if (!given[options->val] || strchr(letters, options->val))
			continue;
		fprintf(stderr, "hybrid-sim: %s takes no --%s; leave it out\n", command,
			options->name);
		return false;
	}
	return true;
}

static int run_bench(char **names)
{
	if (!*names) {
		fprintf(stderr, "hybrid-sim: bench needs the name of a workload; 'hybrid-sim bench "
			"--list' shows them\n");
		return usage();
	}
	return bench(names);
}

static int run_list(void (*list)(void), char **words)
{
	if (*words) {
		fprintf(stderr, "hybrid-sim: --list takes no '%s'; leave it out\n", *words);
		return usage();
	}
	list();
	return 0;
}

static int run_trace(const char *command, int (*run)(const char *path), char **paths)
{
	if (!capacity) {
		fprintf(stderr, "hybrid-sim: %s needs --capacity, the size of a device, "
			"such as 64G\n", command);
		return usage();
	}
	if (!*paths || paths[1]) {
		fprintf(stderr, "hybrid-sim: %s takes one file with a trace, or - for standard "
			"input\n", command);
		return usage();
	}
	return run(*paths);
}

static int run_replay(char **paths)
{
	return run_trace("replay", replay, paths);
}

static int run_advise(char **paths)
{
	return run_trace("advise", advise, paths);
}

static int run_fuzz(char **words)
{
	if (*words) {
		fprintf(stderr, "hybrid-sim: fuzz takes no '%s'; leave it out\n", *words);
		return usage();
	}
	return fuzz();
}

static int run_mixes(char **words)
{
	if (!!given_minutes + !!given_ops + !!*words != 1 || (*words && (words[1] || capacity))) {
		fprintf(stderr, "hybrid-sim: mixes needs --minutes or --ops to search, or just one "
			"file with loads\n");
		return usage();
	}
	return *words ? mixes_check(*words) : mixes_search(given_minutes, given_ops);
}

static int run_interleave(char **words)
{
	struct interleave_options *o = &interleave_options;

	if (*words) {
		fprintf(stderr, "hybrid-sim: interleave takes no '%s'; leave it out\n", *words);
		return usage();
	}
	if (!interleave) {
		fprintf(stderr, "hybrid-sim: interleave is not in this build; use 'make sim'\n");
		return 2;
	}
	o->threads = nr_threads > 1 ? nr_threads : 2;
	o->ops = given_ops ?: 2;
	if (o->threads > 3 || o->ops > 4) {
		fprintf(stderr, "hybrid-sim: interleave takes --threads 2 or 3, and --ops from 1 "
			"to 4\n");
		return 2;
	}
	if (!o->programs && !o->depth) {
		o->programs = "all";
		o->depth = 6;
	}
	return interleave(o);
}

/* A failed write is a failure, also if only the last flush notices it. */
static int flushed(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	fprintf(stderr, "hybrid-sim: cannot write the output: %s; check where it goes\n",
		strerror(errno));
	return 2;
}

/*
 * The kernel maps its memory with huge pages, so metadata causes few TLB misses there.
 * malloc() should use huge pages, too, for times that can be compared. It reads the
 * environment when the program starts: hence the exec.
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
		{ "situation", required_argument, NULL, 'n' },
		{ "programs", required_argument, NULL, 'p' },
		{ "preemptions", required_argument, NULL, 'e' },
		{ "depth", required_argument, NULL, 'd' },
		{ "device", required_argument, NULL, 'v' },
		{ "replay", required_argument, NULL, 'r' },
		{ "minutes", required_argument, NULL, 'm' },
		{ "reference", required_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	static const struct {
		const char *name;
		const char *options;
		int (*run)(char **words);
		void (*list)(void);	/* of --list, or NULL */
	} commands[] = {
		{ "bench", "jscof", run_bench, bench_list },
		{ "replay", "jtcf", run_replay },
		{ "advise", "jc", run_advise },
		{ "fuzz", "jsotn", run_fuzz, fuzz_list },
		{ "mixes", "scmo", run_mixes },
		{ "interleave", "potedvr", run_interleave },
	};
	bool given[256] = {};
	const char *command, *wrong;
	unsigned int i;
	int c;

	use_huge_pages(argv);
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		given[(unsigned char)c] = true;
		switch (c) {
		case 'j':
			json = true;
			break;
		case 's':
			seed = number(optarg, "seed", 0, U64_MAX);
			break;
		case 'c':
			wrong = parse_size(optarg, &capacity);
			if (!wrong && !(capacity >> BLOCK_SHIFT))
				wrong = "is less than a block; give 4K or more, such as 64G";
			if (wrong) {
				fprintf(stderr, "hybrid-sim: --capacity: '%s' %s\n", optarg, wrong);
				return 2;
			}
			break;
		case 'o':
			given_ops = number(optarg, "ops", 1, U64_MAX);
			break;
		case 't':
			nr_threads = number(optarg, "threads", 1, NR_CPUS - 1);
			break;
		case 'l':
			break;
		case 'n':
			given_situation = optarg;
			break;
		case 'p':
			interleave_options.programs = optarg;
			break;
		case 'e':
			interleave_options.preemptions = number(optarg, "preemptions", 0, 8);
			break;
		case 'm':
			given_minutes = number(optarg, "minutes", 1, 100000);
			break;
		case 'd':
			interleave_options.depth = number(optarg, "depth", 1, 8);
			break;
		case 'v':
			interleave_options.device = optarg;
			break;
		case 'r':
			interleave_options.replay = optarg;
			break;
		case 'f':
			reference = reference_named(optarg);
			if (!reference) {
				fprintf(stderr, "hybrid-sim: --reference: there is no '%s'; give "
					"best-fit, first-fit or bins\n", optarg);
				return 2;
			}
			break;
		case 'h':
			fputs(help, stdout);
			return flushed(0);
		default:
			return usage();
		}
	}
	if (!argv[optind]) {
		fprintf(stderr, "hybrid-sim: which command? bench, replay, advise, fuzz, mixes or "
			"interleave\n");
		return usage();
	}
	command = argv[optind++];
	smp_processor_id();	/* this thread is CPU 0 */
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, command))
			continue;
		if (commands[i].list && given['l'])
			return takes("--list", "l", options, given) ?
			       flushed(run_list(commands[i].list, argv + optind)) : usage();
		if (!takes(command, commands[i].options, options, given))
			return usage();
		return flushed(commands[i].run(argv + optind));
	}
	fprintf(stderr, "hybrid-sim: there is no command '%s'; give bench, replay, advise, "
		"fuzz, mixes or interleave\n", command);
	return usage();
}
