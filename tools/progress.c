// SPDX-License-Identifier: GPL-2.0
/*
 * The progress bar on a terminal.
 *
 * A thread draws it, so that the work does not need to check the clock, and the time shown
 * advances during a long call as well.
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
	FILE *in;		/* a regular file, or NULL */
	__u64 total;		/* units, or bytes of the file; 0: unknown */
	atomic_ullong done;	/* units */
	struct timespec begun;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t end;
	bool ended;
	bool drawn;		/* protected by the lock of stderr */
};

/* At most one at a time. */
static struct progress *shown;

static double seconds_since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - then->tv_sec + (now.tv_nsec - then->tv_nsec) / 1e9;
}

/* From 0 to 1; below 0 if unknown. */
static double fraction(const struct progress *p, __u64 done)
{
	off_t at = done;

	if (!p->total)
		return -1;
	/* The offset of the descriptor: the stream belongs to the other thread. */
	if (p->in)
		at = lseek(fileno(p->in), 0, SEEK_CUR);
	return at < 0 ? -1 : (__u64)at >= p->total ? 1 : (double)at / p->total;
}

size_t terminal_width(int fd)
{
	struct winsize size;

	return ioctl(fd, TIOCGWINSZ, &size) ? 0 : size.ws_col;
}

/* "claim: [=====>    ]  42%  1234567 extents, 3 s" */
static void draw(struct progress *p)
{
	__u64 done = atomic_load(&p->done);
	double part = fraction(p, done), seconds = seconds_since(&p->begun);
	size_t width = terminal_width(STDERR_FILENO);
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
	fprintf(stderr, "\r%.*s\033[K", (width ? (int)width : 80) - 1, line);
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

/* The new thread blocks all signals: they go to the thread that works. */
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
