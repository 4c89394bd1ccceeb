// SPDX-License-Identifier: GPL-2.0
/*
 * How far it is, on a terminal.
 *
 * A thread draws it, so that work need not look at the clock, and that one call
 * which takes long is seen to go on, too.
 */

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hybridctl.h"

struct progress {
	const char *what, *units;
	FILE *in;		/* an ordinary file, or NULL */
	__u64 total;		/* of the units, or of the file's bytes; 0: not known */
	atomic_ullong done;	/* units */
	struct timespec begun;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t end;
	bool ended;
	bool drawn;		/* under the lock of stderr */
};

/* There is one at a time. */
static struct progress *shown;

static double seconds_since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - then->tv_sec + (now.tv_nsec - then->tv_nsec) / 1e9;
}

/* From 0 to 1; below 0: not known */
static double fraction(const struct progress *p, __u64 done)
{
	off_t at = done;

	if (!p->total)
		return -1;
	/* Where the descriptor is, not the stream: that is its owner's. */
	if (p->in)
		at = lseek(fileno(p->in), 0, SEEK_CUR);
	return at < 0 ? -1 : (__u64)at >= p->total ? 1 : (double)at / p->total;
}

static size_t terminal_width(void)
{
	struct winsize size;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || !size.ws_col ? 80 : size.ws_col;
}

/* "claim: [=====>    ]  42%  1234567 extents, 3 s" */
static void draw(struct progress *p)
{
	__u64 done = atomic_load(&p->done);
	double part = fraction(p, done), seconds = seconds_since(&p->begun);
	char bar[33] = "", line[256];
	int full = part * 30;

	if (part >= 0) {
		memset(bar, '.', 32);
		bar[0] = '[';
		memset(bar + 1, '=', full);
		bar[31] = ']';
		snprintf(line, sizeof(line), "%s: %.32s %3.0f%%  %llu %s, %.0f s", p->what, bar,
			 100 * part, done, p->units, seconds);
	} else {
		snprintf(line, sizeof(line), "%s: %llu %s, %.0f s", p->what, done, p->units,
			 seconds);
	}
	flockfile(stderr);
	fprintf(stderr, "\r%.*s\033[K", (int)terminal_width() - 1, line);
	p->drawn = true;
	funlockfile(stderr);
}

void progress_hide(void)
{
	if (shown && shown->drawn) {
		fputs("\r\033[K", stderr);
		shown->drawn = false;
	}
}

static void *draw_until_end(void *arg)
{
	struct progress *p = arg;
	struct timespec next = p->begun;
	int wait_ms = 1000;

	pthread_mutex_lock(&p->lock);
	while (!p->ended) {
		next.tv_nsec += wait_ms % 1000 * 1000000;
		next.tv_sec += wait_ms / 1000 + next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		wait_ms = 200;
		if (pthread_cond_timedwait(&p->end, &p->lock, &next))
			draw(p);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* Signals are for the thread that works. */
static bool start_thread(struct progress *p)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&p->thread, NULL, draw_until_end, p);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return !err;
}

static struct progress *start(const char *what, const char *units, FILE *in, __u64 total)
{
	struct progress *p;
	pthread_condattr_t attr;

	if (!isatty(STDERR_FILENO))
		return NULL;
	p = must(calloc(1, sizeof(*p)));
	p->what = what;
	p->units = units;
	p->in = in;
	p->total = total;
	clock_gettime(CLOCK_MONOTONIC, &p->begun);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->end, &attr);
	pthread_mutex_init(&p->lock, NULL);
	if (!start_thread(p)) {
		free(p);
		return NULL;
	}
	shown = p;
	return p;
}

struct progress *progress_start(const char *what, const char *units, FILE *in)
{
	struct stat st;

	if (!fstat(fileno(in), &st) && S_ISREG(st.st_mode) && st.st_size)
		return start(what, units, in, st.st_size);
	return start(what, units, NULL, 0);
}

struct progress *progress_start_to(const char *what, const char *units, __u64 total)
{
	return start(what, units, NULL, total);
}

void progress_step(struct progress *p, __u64 units)
{
	if (p)
		atomic_fetch_add_explicit(&p->done, units, memory_order_relaxed);
}

void progress_end(struct progress *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->ended = true;
	pthread_cond_signal(&p->end);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	progress_hide();
	shown = NULL;
	free(p);
}
