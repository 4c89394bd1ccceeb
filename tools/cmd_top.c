// SPDX-License-Identifier: GPL-2.0
/* top: activity, as a table that is redrawn periodically. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "hybridctl.h"

enum {
	TOP_NODE, TOP_DISK, TOP_FILL, TOP_USED, TOP_CHARGED, TOP_NR_LIVE, TOP_ALLOCS, TOP_FREES,
	TOP_HITS, TOP_REFUSED, TOP_SLOW, TOP_CACHED, TOP_LARGEST, NR_TOP
};

static const struct column top_columns[NR_TOP] = {
	[TOP_NODE] = { "NODE", COLUMN_TEXT, IN_ALL, "device node of the instance", 18 },
	[TOP_DISK] = { "DISK", COLUMN_TEXT, IN_JSON, "block device whose space it allocates", 5 },
	[TOP_FILL] = { "FILL", COLUMN_TEXT, IN_TABLE, "how full it is, as a bar", 10 },
	[TOP_USED] = { "USED%", COLUMN_DECIMAL, IN_ALL,
		"percentage of the range in live extents", 5 },
	[TOP_CHARGED] = { "CHARGED", COLUMN_SIZE, IN_JSON, "space in live extents", 7 },
	[TOP_NR_LIVE] = { "LIVE", COLUMN_NUMBER, IN_ALL, "live extents", 8 },
	[TOP_ALLOCS] = { "ALLOCS", COLUMN_NUMBER, IN_ALL,
		"extents allocated or claimed, per second", 8 },
	[TOP_FREES] = { "FREES", COLUMN_NUMBER, IN_ALL,
		"frees, per second: ALLOCS minus the growth of LIVE", 8 },
	[TOP_HITS] = { "HIT%", COLUMN_DECIMAL, IN_ALL | MAY_BE_EMPTY,
		"percentage of ALLOCS that a pool served; empty if ALLOCS is 0", 5 },
	[TOP_REFUSED] = { "REFUSED", COLUMN_NUMBER, IN_ALL, "refused frees, per second", 7 },
	[TOP_SLOW] = { "SLOW", COLUMN_NUMBER, IN_ALL,
		"allocations that drained the pools and searched, per second", 6 },
	[TOP_CACHED] = { "CACHED", COLUMN_SIZE, IN_ALL, "in the per-CPU pools", 7 },
	[TOP_LARGEST] = { "LARGEST", COLUMN_SIZE, IN_ALL, "length of the longest free run", 7 },
};

struct sample {
	struct hybrid_alloc_info info;
	struct hybrid_alloc_stat stat;
	struct timespec at;
};

struct samples {
	struct sample *s;
	size_t nr;
};

struct top {
	const struct command *cmd;
	const struct args *args;
	struct samples before;
	struct table *t;		/* for all rounds, if JSON; else NULL */
	bool live;			/* on a terminal */
	bool heading;			/* has been printed */
};

/* Samples */

/*
 * The node is closed at once, so that the instance can be detached. False after a complaint.
 * With @missing_is_ok, a node that cannot be opened is skipped.
 */
static bool take_sample(struct samples *all, const char *path, bool runs, bool missing_is_ok)
{
	struct sample s;
	int fd = hybrid_alloc_open(path, O_RDONLY);
	bool ok;

	if (fd < 0) {
		if (!missing_is_ok)
			failed(explain("node", -fd, 0, path, "open %s", path));
		return missing_is_ok;
	}
	ok = node_info(fd, path, &s.info) && node_stat(fd, path, runs, &s.stat);
	clock_gettime(CLOCK_MONOTONIC, &s.at);
	hybrid_alloc_close(fd);
	if (!ok)
		return false;
	all->s = must(reallocarray(all->s, all->nr + 1, sizeof(s)));
	all->s[all->nr++] = s;
	return true;
}

/*
 * Of all instances that this user may open, or of those that were named. False after a complaint,
 * also if there are instances, and none may be opened.
 */
static bool take_samples(const struct args *args, bool runs, struct samples *all)
{
	struct hybrid_alloc_info info = { };
	bool ok = true, denied = false;
	int ret;

	for (int i = 0; i < args->nr_words && ok; i++) {
		char *path = node_path(args->words[i]);

		ok = take_sample(all, path, runs, false);
		free(path);
	}
	if (args->nr_words)
		return ok;

	while (ok && (ret = next_instance(&info))) {
		char *path = text(HYBRID_ALLOC_NODE_FORMAT, info.id);

		denied |= access(path, R_OK) && errno == EACCES;
		ok = ret > 0 && take_sample(all, path, runs, true);
		free(path);
	}
	if (ok && denied && !all->nr) {
		complain("you may open no node of an instance: run hybridctl as root, or as a user "
			 "whom `ls -l /dev/hybrid_alloc*` lets read them");
		return false;
	}
	return ok;
}

/* The sample of the same instance, not of another one with its number. */
static const struct sample *find_before(const struct samples *before, const struct sample *s)
{
	for (size_t i = 0; i < before->nr; i++) {
		if (!memcmp(before->s[i].info.uuid, s->info.uuid, sizeof(s->info.uuid)))
			return &before->s[i];
	}
	return NULL;
}

/* Rows */

static __u64 refused(const struct hybrid_alloc_stat *stat)
{
	__u64 sum = 0;

	for (size_t i = 0; i < ARRAY_SIZE(stat->refused_frees); i++)
		sum += stat->refused_frees[i];
	return sum;
}

static __u64 rate(__u64 before, __u64 now, double seconds)
{
	return now > before && seconds > 0 ? (now - before) / seconds + 0.5 : 0;
}

static char *bar(double part)
{
	enum { LEN = 10 };
	int full = part * LEN + 0.5;

	return text("%.*s%.*s", full, "##########", LEN - full, "..........");
}

static void add_row(const struct sample *s, const struct sample *before, struct table *t)
{
	const struct hybrid_alloc_stat *now = &s->stat, *old = &before->stat;
	double seconds = s->at.tv_sec - before->at.tv_sec +
			 (s->at.tv_nsec - before->at.tv_nsec) / 1e9;
	__u64 hits = now->pool_hits - old->pool_hits;
	__u64 allocs = now->nr_allocs - old->nr_allocs;
	double used = now->capacity ? (double)now->charged / now->capacity : 0;
	char *node = text(HYBRID_ALLOC_NODE_FORMAT, s->info.id), *fill = bar(used);
	char *disk = disk_name(&s->info);
	char *percent = text("%.1f", 100 * used);
	char *hit = allocs ? text("%.1f", 100.0 * hits / allocs) : NULL;
	union cell cells[NR_TOP] = {
		[TOP_NODE].text = node,
		[TOP_DISK].text = disk,
		[TOP_FILL].text = fill,
		[TOP_USED].text = percent,
		[TOP_CHARGED].number = now->charged,
		[TOP_NR_LIVE].number = now->nr_live,
		[TOP_ALLOCS].number = rate(0, allocs, seconds),
		[TOP_FREES].number = rate(now->nr_live, allocs + old->nr_live, seconds),
		[TOP_HITS].text = hit,
		[TOP_REFUSED].number = rate(refused(old), refused(now), seconds),
		[TOP_SLOW].number = rate(old->slow_searches, now->slow_searches, seconds),
		[TOP_CACHED].number = now->cached,
		[TOP_LARGEST].number = now->largest_free_run,
	};

	table_row(t, cells);
	free(node);
	free(disk);
	free(fill);
	free(percent);
	free(hit);
}

/* The terminal */

static struct termios terminal_before;

static void terminal_restore(void)
{
	fputs("\033[?25h", stdout);
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
}

/* Keys are read one by one without echo, and the cursor is hidden. */
static void terminal_take(void)
{
	struct termios t;

	if (tcgetattr(STDIN_FILENO, &terminal_before))
		return;
	t = terminal_before;
	t.c_lflag &= ~(ICANON | ECHO);
	tcsetattr(STDIN_FILENO, TCSANOW, &t);
	fputs("\033[?25l", stdout);
	atexit(terminal_restore);
}

/* False if a signal or the key q ends the program. */
static bool pause_for(const struct top *top, double seconds)
{
	struct pollfd in = { .fd = top->live ? STDIN_FILENO : -1, .events = POLLIN };
	int ret;
	char key;

	fflush(stdout);
	ret = poll(&in, 1, seconds * 1000 < INT_MAX ? seconds * 1000 : INT_MAX);
	if (ret > 0 && read(STDIN_FILENO, &key, 1) == 1 && (key == 'q' || key == 'Q'))
		return false;
	return !interrupted;
}

static void draw_heading(const struct top *top)
{
	char clock[16];
	time_t now = time(NULL);

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime(&now));
	printf("\033[H\033[Jhybridctl top - %s, every %g s; q quits\n\n", clock,
	       top->args->delay);
}

/* Rounds */

/* False if -o names an unknown column. */
static bool round_table(struct top *top, struct table **t)
{
	struct args args = *top->args;

	*t = top->t;
	if (*t)
		return true;
	/* Without a terminal, the heading is printed once. */
	args.table.noheadings |= !top->live && top->heading;
	*t = table_new(top->cmd, &args);
	return *t;
}

static bool run_round(struct top *top, bool runs)
{
	struct samples now = { };
	struct table *t;

	if (!take_samples(top->args, runs, &now) || !round_table(top, &t))
		return false;
	if (top->live)
		draw_heading(top);
	for (size_t i = 0; i < now.nr; i++) {
		const struct sample *before = find_before(&top->before, &now.s[i]);

		add_row(&now.s[i], before ? before : &now.s[i], t);
	}
	if (t != top->t)
		table_finish(t);
	top->heading |= now.nr;
	free(top->before.s);
	top->before = now;
	return !ferror(stdout);
}

static int run_rounds(struct top *top)
{
	const struct args *args = top->args;
	struct table *probe = table_new(top->cmd, args);
	bool runs;

	if (!probe)
		return EXIT_USAGE;
	runs = table_shows(probe, "LARGEST");
	if (args->table.json)
		top->t = probe;
	if (!take_samples(args, false, &top->before))
		return EXIT_FAILED;
	if (top->live)
		terminal_take();
	for (__u64 i = 0; !args->iterations || i < args->iterations; i++) {
		/* On a terminal, the first round is shown without a delay. */
		if ((i || !top->live) && !pause_for(top, args->delay))
			break;
		if (!run_round(top, runs))
			return EXIT_FAILED;
	}
	if (top->t)
		table_finish(top->t);
	return EXIT_OK;
}

static int cmd_top(const struct command *cmd, const struct args *args)
{
	struct top top = { .cmd = cmd, .args = args };

	if (args->table.json && !args->iterations) {
		complain("--json prints after the last round: give the number of rounds with "
			 "--iterations");
		return EXIT_USAGE;
	}
	top.live = !args->batch_mode && !wants_table(args) && isatty(STDIN_FILENO) &&
		   isatty(STDOUT_FILENO);
	catch_signals();
	return run_rounds(&top);
}

const struct command top_command = {
	.name = "top",
	.run = cmd_top,
	.options = OPTS_TABLE | BIT(OPT_DELAY) | BIT(OPT_ITERATIONS) | BIT(OPT_BATCH_MODE),
	.min_words = 0, .max_words = INT_MAX,
	.words = "[NODE...]",
	.summary = "show activity",
	.description =
		"Shows how full the instances are and their activity, every few seconds: of all "
		"instances, or of those that are named. On a terminal, the key q quits. With --batch, "
		"--json, --raw or --output, and without a terminal, it prints line after line, the first "
		"ones after one interval.",
	.examples =
		"hybridctl top\n"
		"Watch all instances.\n"
		"hybridctl top --batch -d 60 --iterations 60 0 > log\n"
		"Record an hour, one line a minute.\n",
	.table = "top",
	.columns = top_columns, .nr_columns = NR_TOP,
};
