// SPDX-License-Identifier: GPL-2.0
/*
 * A kernel in which the order of all accesses is decided, for hybrid-sim interleave.
 *
 * Threads are fibers of one thread of the process, so only one runs, until it is told to let
 * another run. The layers are compiled with -fsanitize=thread, but linked with the functions
 * below in place of the sanitizer's library: gcc calls one before each access to memory. Each
 * call for memory of the allocator is a step: a lock, an unlock, an atomic, READ_ONCE(),
 * WRITE_ONCE(), a per-CPU exchange, and also a plain access. Before a step, another thread may
 * run; what a run does is a function of the places where that happens.
 *
 * All threads see all accesses in the same order: memory is sequentially consistent. What only
 * a weaker machine does, and a compiler that moves accesses, is not found here; smp_mb() and
 * its like do nothing. KCSAN and the thread sanitizer look for that.
 *
 * The usual order is that a thread runs until it ends, meets a taken lock, or sleeps; then the
 * next one that can does. A list of switches says where to deviate from it: a switch from a
 * thread that could go on is a preemption. A thread that sleeps wakes up when no other can go on.
 * It can do so as soon as another has made a step, but that counts like a preemption: to sleep
 * takes long. Each thread has a CPU of its own.
 *
 * Memory comes from an arena: each thread has its own part, so that addresses do not depend on
 * the order. Freed memory is not used again in a run, and an access to it is a failure. A
 * grace period ends when the last thread leaves that was reading when it began: as soon as
 * Linux may end it.
 */
#include <stdarg.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait_bit.h>

#include "order.h"

#define MAIN		ORDER_THREADS		/* the one that runs before and after the threads */
#define PART_BYTES	(1UL << 18)
#define PART_WORDS	(PART_BYTES / 8)
#define NR_PARTS	(ORDER_THREADS + 1)
#define STACK_BYTES	(1UL << 16)
#define MAX_CALLBACKS	64
#define MAX_LOCKS	16

struct fiber {
	struct sim_fiber shim;
	void *place[5];		/* where it goes on: for __builtin_longjmp() */
	bool begun;		/* @place is set */
	int *lock;		/* waits for it to be 0 */
	u32 slept;		/* step before which it went to sleep, + 1; or 0 */
	bool done;
};

static char arena[NR_PARTS][PART_BYTES] __aligned(4096);
static u8 kinds[NR_PARTS][PART_WORDS];	/* enum order_kind of each word */
static size_t used[NR_PARTS];		/* bytes of each part */
static long nr_objects;
static u32 locks[MAX_LOCKS];		/* words that begin with whether a lock is taken */
static unsigned int nr_locks;

static char stacks[ORDER_THREADS][STACK_BYTES] __aligned(64);
static struct fiber fibers[NR_PARTS];
static unsigned int current_fiber = MAIN;
struct sim_fiber *sim_fiber = &fibers[MAIN].shim;
static void (*thread_body)(unsigned int thread);
static unsigned int nr_fibers;
static bool running;
unsigned int sim_quiet = 1;		/* > 0: accesses are no steps; always if not running */
static bool first;			/* no step since the last switch */
static u8 not_done;			/* mask of fibers */
static unsigned int nr_stopped;		/* fibers that wait for a lock, or have gone to sleep */

static const struct order_switch *switches;
static unsigned int nr_switches, next_switch;
static u32 next_at;			/* step before which that is, or U32_MAX */
/* Steps before the last switch were noted in the run without it, and are the same. */
static u32 known_steps;
static struct order_set *const *switch_sets;
/* preemptions after which the thread that was preempted has not run again */
static struct {
	unsigned int thread;
	struct order_set *set;
} waiting[ORDER_SWITCHES];
static unsigned int nr_waiting;

/* given to call_rcu() */
static struct {
	struct rcu_head *head;
	u32 readers;		/* mask of threads that it waits for */
} callbacks[MAX_CALLBACKS];
static unsigned int nr_callbacks;

struct order_step order_trace[ORDER_STEPS];
u32 order_nr_steps;
jmp_buf order_failed;
char order_message[200];
int sim_fence;

void order_fail(const char *format, ...)
{
	unsigned int i;
	va_list args;

	va_start(args, format);
	vsnprintf(order_message, sizeof(order_message), format, args);
	va_end(args);
	running = false;
	sim_quiet = 1;
	current_fiber = MAIN;
	sim_fiber = &fibers[MAIN].shim;
	/* they are in the middle of something */
	for (i = 0; i < ORDER_THREADS; i++)
		fibers[i].begun = false;
	longjmp(order_failed, 1);
}

void sim_bug(const char *file, int line, const char *what)
{
	order_fail("%s:%d: %s", file, line, what);
}

/* ---- sets of words ---- */

static u32 *new_marks(void)
{
	u32 *marks = calloc(NR_PARTS * PART_WORDS, sizeof(*marks));

	if (!marks) {
		fprintf(stderr, "hybrid-sim: out of memory\n");
		exit(2);
	}
	return marks;
}

void order_set_clear(struct order_set *set)
{
	if (!set->read) {
		set->read = new_marks();
		set->written = new_marks();
	}
	set->now++;
}

void order_set_add(struct order_set *set, const struct order_step *s)
{
	u32 i;

	if (s->lock) {
		if (s->failed)
			set->read[s->word] = set->now;
		return;
	}
	for (i = 0; i < s->nr; i++)
		(s->write ? set->written : set->read)[s->word + i] = set->now;
}

/*
 * Whether a step and those of @set may not change places. What is done with a lock held may
 * change places with what else is done with it, unless their other steps conflict. (So where
 * two locks are taken in two orders is not looked for: lockdep finds that.) But a step that lets
 * a thread have the lock that it tried to take may not.
 */
bool order_conflicts(const struct order_step *s, const struct order_set *set)
{
	u32 i;

	for (i = 0; i < s->nr; i++)
		if (set->written[s->word + i] == set->now ||
		    (s->write && set->read[s->word + i] == set->now))
			return true;
	return false;
}

/*
 * What is done with a lock may change places only with all that another thread does with it: so
 * not if that thread has it when the one that was preempted goes on.
 */
static void add_held(struct order_set *set)
{
	unsigned int i;

	for (i = 0; i < nr_locks; i++)
		if (*(const int *)(arena[0] + 8UL * locks[i]))
			set->read[locks[i]] = set->now;
}

/* ---- threads ---- */

static bool can_run(unsigned int i)
{
	const struct fiber *f = &fibers[i];

	return !f->done && (!f->lock || !*f->lock) && f->slept != order_nr_steps + 1;
}

static u8 others(u8 *asleep)
{
	unsigned int i;
	u8 mask = 0;

	*asleep = 0;
	/* usually none waits */
	if (!nr_stopped)
		return not_done & ~(1U << current_fiber);
	for (i = 0; i < nr_fibers; i++)
		if (i != current_fiber && can_run(i)) {
			mask |= 1 << i;
			*asleep |= !!fibers[i].slept << i;
		}
	return mask;
}

static void fiber_main(void);

static noinline void begin(struct fiber *f, char *stack)
{
	ucontext_t context;

	f->begun = true;
	getcontext(&context);
	context.uc_stack.ss_sp = stack;
	context.uc_stack.ss_size = STACK_BYTES;
	makecontext(&context, fiber_main, 0);
	setcontext(&context);
}

static noinline void go_on(struct fiber *f)
{
	if (!f->begun)
		begin(f, stacks[f - fibers]);
	__builtin_longjmp(f->place, 1);
}

/* Like swapcontext(), which would make a system call. */
static noinline void leave_for(struct fiber *from, struct fiber *to)
{
	from->begun = true;
	if (!__builtin_setjmp(from->place))
		go_on(to);
}

static void switch_to(unsigned int to)
{
	unsigned int from = current_fiber, i, kept = 0;

	if (to != MAIN) {
		if (fibers[to].slept)
			nr_stopped--;
		fibers[to].slept = 0;
		first = true;
		for (i = 0; i < nr_waiting; i++)
			if (waiting[i].thread != to)
				waiting[kept++] = waiting[i];
			else if (waiting[i].set)
				add_held(waiting[i].set);
		nr_waiting = kept;
	}
	if (from == to)
		return;
	current_fiber = to;
	sim_fiber = &fibers[to].shim;
	leave_for(&fibers[from], &fibers[to]);
}

static void set_next_switch(unsigned int i)
{
	next_switch = i;
	next_at = i < nr_switches ? switches[i].at : U32_MAX;
}

/* The switch that is due, if there is one. */
static bool switch_is_due(unsigned int *to)
{
	if (next_at != order_nr_steps)
		return false;
	*to = switches[next_switch].to;
	if (*to >= nr_fibers || (*to != current_fiber && !can_run(*to)))
		order_fail("no thread %u can run before step %u", *to, order_nr_steps);
	set_next_switch(next_switch + 1);
	return true;
}

/* The current thread cannot go on: another one runs. */
static void give_way(void)
{
	unsigned int i, to;

	if (switch_is_due(&to)) {
		switch_to(to);
		return;
	}
	/* first those that need not wake up; the current one can at once if there is no other */
	for (i = 1; i <= 3 * nr_fibers; i++) {
		const struct fiber *f;

		to = (current_fiber + i) % nr_fibers;
		f = &fibers[to];
		if (i <= 2 * nr_fibers ? can_run(to) && (!f->slept || i > nr_fibers) :
					 !f->done && !f->lock) {
			switch_to(to);
			return;
		}
	}
	if (not_done)
		order_fail("deadlock");
	switch_to(MAIN);
}

static void add_to_sets(const struct order_step *s)
{
	unsigned int i;

	for (i = 0; i < nr_waiting; i++)
		if (waiting[i].set)
			order_set_add(waiting[i].set, s);
}

static noinline void preempt(void)
{
	unsigned int to;

	if (!switch_is_due(&to))
		return;
	waiting[nr_waiting].thread = current_fiber;
	waiting[nr_waiting++].set = switch_sets ? switch_sets[next_switch - 1] : NULL;
	switch_to(to);
}

static noinline void note_step(u32 word, u16 nr, bool write)
{
	struct order_step *s = &order_trace[order_nr_steps];

	if (order_nr_steps == ORDER_STEPS)
		order_fail("does not end");
	*s = (struct order_step) {
		.word = word, .nr = nr, .write = write, .thread = current_fiber,
		.first = first,
		.lock = word != ORDER_NO_WORD && kinds[0][word] == ORDER_LOCK,
	};
	s->others = others(&s->asleep);
	order_nr_steps++;
	if (nr_waiting)
		add_to_sets(s);
}

static __always_inline void step(u32 word, u16 nr, bool write)
{
	if (sim_quiet)
		return;
	if (unlikely(order_nr_steps == next_at) && !first)
		preempt();
	if (order_nr_steps < known_steps)
		order_nr_steps++;
	else
		note_step(word, nr, write);
	first = false;
}

/* A step that accesses nothing. */
void order_pause(void)
{
	step(ORDER_NO_WORD, 0, false);
}

static u32 word_of(const void *p)
{
	return ((const char *)p - arena[0]) / 8;
}

/* The last step tried to take a lock that is taken. */
static void tried_in_vain(void)
{
	struct order_step *s = &order_trace[order_nr_steps - 1];

	if (!running)
		order_fail("a lock is taken for ever");
	if (order_nr_steps <= known_steps)
		return;
	s->failed = true;
	add_to_sets(s);
}

static void wait_for(int *lock)
{
	struct fiber *f = &fibers[current_fiber];

	f->lock = lock;
	nr_stopped++;
	give_way();
	nr_stopped--;
	f->lock = NULL;
}

void sim_spin_wait(spinlock_t *l)
{
	sim_lock_recursion(l);
	do {
		tried_in_vain();
		wait_for(&l->locked);
		step(word_of(&l->locked), 1, true);
	} while (l->locked);
	l->locked = 1;
	l->waits++;
}

void sim_mutex_wait(struct mutex *m)
{
	tried_in_vain();
	wait_for(&m->locked);
}

void sim_sleep(void)
{
	if (!running)
		return;
	order_pause();
	fibers[current_fiber].slept = order_nr_steps + 1;
	nr_stopped++;
	give_way();
}

/* A thread that looks again and again waits for another's step. */
void sim_relax(void)
{
	sim_sleep();
}

/* The body in each run. */
static void fiber_main(void)
{
	for (;;) {
		thread_body(current_fiber);
		if (sim_fiber->atomic_depth || sim_fiber->thread.depth)
			order_fail("a thread ends with a lock, or without preemption");
		fibers[current_fiber].done = true;
		not_done &= ~(1U << current_fiber);
		give_way();
	}
}

/* Each has a CPU from the start. */
void sim_thread_register(void)
{
	order_fail("a thread without a CPU");
}

/* The CPU of what runs outside of threads. */
void order_set_cpu(unsigned int cpu)
{
	fibers[MAIN].shim.thread.cpu = cpu;
}

/*
 * Run threads with switches at the given places. Thread 0 begins unless the first switch is
 * before step 0. What is accessed from a preemption until the preempted thread runs again goes
 * into the set of that switch.
 */
void order_run(void (*body)(unsigned int thread), unsigned int nr_threads,
	       const struct order_switch *given, unsigned int nr_given,
	       struct order_set *const *sets)
{
	unsigned int i, to;

	thread_body = body;
	nr_fibers = nr_threads;
	for (i = 0; i < nr_threads; i++) {
		struct fiber *f = &fibers[i];

		f->shim = (struct sim_fiber) { .thread.cpu = i };
		f->lock = NULL;
		f->slept = 0;
		f->done = false;
	}
	switches = given;
	nr_switches = nr_given;
	set_next_switch(0);
	known_steps = nr_given ? given[nr_given - 1].at : 0;
	switch_sets = sets;
	nr_waiting = 0;
	nr_stopped = 0;
	not_done = (1U << nr_threads) - 1;
	order_nr_steps = 0;
	running = true;
	sim_quiet = 0;
	to = 0;
	switch_is_due(&to);
	switch_to(to);
	running = false;
	sim_quiet = 1;
	if (next_switch != nr_switches)
		order_fail("step %u was not reached", switches[next_switch].at);
}

/* ---- memory ---- */

static unsigned int current_part(void)
{
	return running ? current_fiber : MAIN;
}

int order_memory_get(void **base, size_t align, size_t size)
{
	unsigned int part = current_part();
	size_t at = ALIGN(used[part], align);

	size = ALIGN(size, 8);
	if (at + size > PART_BYTES)
		order_fail("the arena is full");
	used[part] = at + size;
	*base = arena[part] + at;
	nr_objects++;
	memset(*base, 0, size);
	memset(kinds[0] + word_of(*base), ORDER_DATA, size / 8);
	return 0;
}

void order_memory_put(void *base, size_t size)
{
	u32 nr = DIV_ROUND_UP(size, 8);

	step(word_of(base), nr, true);
	memset(kinds[0] + word_of(base), 0, nr);
	memset(base, 0x6b, size);
	nr_objects--;
}

/* Objects not freed so far. */
long order_objects(void)
{
	return nr_objects;
}

/* Where @p is in the arena: the same in each run of the program. */
unsigned long order_address(const void *p)
{
	return (const char *)p - arena[0];
}

/* Only what was allocated outside of threads is kept. */
void order_save(struct order_memory *m)
{
	m->used = used[MAIN];
	m->objects = nr_objects;
	m->bytes = realloc(m->bytes, m->used + 1);
	m->kinds = realloc(m->kinds, m->used / 8 + 1);
	memcpy(m->bytes, arena[MAIN], m->used);
	memcpy(m->kinds, kinds[MAIN], m->used / 8);
}

/* Eight at a time, as each has to wait for the multiplication before it. */
static u64 hash_bytes(u64 hash, const char *p, size_t nr)
{
	u64 h[8];
	unsigned int i;

	for (i = 0; i < 8; i++)
		h[i] = hash + i;
	for (; nr >= 64; p += 64, nr -= 64)
		for (i = 0; i < 8; i++)
			h[i] = (h[i] ^ ((const u64 *)p)[i]) * 0x9e3779b97f4a7c15ULL + (h[i] >> 29);
	for (hash = 0, i = 0; i < 8; i++)
		hash = (hash ^ h[i]) * 0x9e3779b97f4a7c15ULL + (hash >> 29);
	return hash;
}

/* Of all bytes that are allocated or were. */
u64 order_hash(void)
{
	u64 hash = 1;
	unsigned int i;

	for (i = 0; i < NR_PARTS; i++)
		hash = hash_bytes(hash ^ used[i], arena[i], ALIGN(used[i], 64));
	return hash ^ hash >> 32;
}

void order_restore(const struct order_memory *m)
{
	unsigned int i;

	for (i = 0; i < NR_PARTS; i++) {
		memset(kinds[i], 0, DIV_ROUND_UP(used[i], 8));
		used[i] = 0;
	}
	used[MAIN] = m->used;
	if (!m->used)
		nr_locks = 0;
	nr_objects = m->objects;
	memcpy(arena[MAIN], m->bytes, m->used);
	memcpy(kinds[MAIN], m->kinds, m->used / 8);
	fibers[MAIN].shim = (struct sim_fiber) {};
	nr_callbacks = 0;
}

void order_free(struct order_memory *m)
{
	free(m->bytes);
	free(m->kinds);
	*m = (struct order_memory) {};
}

/* Say what accesses to the words of an object are; ORDER_DATA is usual. */
void order_mark(const void *p, size_t size, enum order_kind kind)
{
	memset(kinds[0] + word_of(p), kind, DIV_ROUND_UP(size, 8));
	if (kind == ORDER_LOCK) {
		BUG_ON(nr_locks == MAX_LOCKS);
		locks[nr_locks++] = word_of(p);
	}
}

/* ---- RCU ---- */

static void invoke(struct rcu_head *head)
{
	unsigned long offset = (unsigned long)head->func;

	if (offset < 4096)
		kfree((void *)head - offset);
	else
		head->func(head);
}

void sim_reader_enter(void)
{
	sim_thread.depth++;
}

void sim_reader_exit(void)
{
	unsigned int i;

	SIM_ASSERT(sim_thread.depth);
	if (--sim_thread.depth)
		return;
	for (i = 0; i < nr_callbacks; i++)
		callbacks[i].readers &= ~(1U << current_fiber);
	for (i = 0; i < nr_callbacks;) {
		struct rcu_head *head = callbacks[i].head;

		if (callbacks[i].readers) {
			i++;
			continue;
		}
		callbacks[i] = callbacks[--nr_callbacks];
		invoke(head);
		/* it may have let another thread run */
		i = 0;
	}
}

static u32 readers(void)
{
	u32 mask = 0;
	unsigned int i;

	for (i = 0; i < NR_PARTS; i++)
		if ((i == MAIN || (running && i < nr_fibers)) && fibers[i].shim.thread.depth)
			mask |= 1U << i;
	return mask;
}

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	head->func = func;
	if (!readers()) {
		invoke(head);
		return;
	}
	if (nr_callbacks == MAX_CALLBACKS)
		order_fail("too many callbacks of call_rcu()");
	callbacks[nr_callbacks].head = head;
	callbacks[nr_callbacks++].readers = readers();
}

void synchronize_rcu(void)
{
	might_sleep();
	while (readers())
		sim_sleep();
}

void rcu_barrier(void)
{
	while (nr_callbacks)
		sim_sleep();
}

/* ---- accesses, as gcc announces them ---- */

static __always_inline void accessed(const volatile void *p, unsigned long size, bool write)
{
	unsigned long at = (const volatile char *)p - arena[0];
	u32 word = at / 8, i;

	if (likely(at >= sizeof(arena)))
		return;
	for (i = word; i <= (at + size - 1) / 8; i++)
		if (unlikely(kinds[0][i] == ORDER_NONE))
			order_fail("access to memory that was freed, or is none");
	if (likely(kinds[0][word] <= ORDER_LOCK) || (kinds[0][word] == ORDER_SUM && write))
		step(word, (at + size - 1) / 8 - word + 1, write);
	else if (unlikely(kinds[0][word] == ORDER_CONSTANT && write && running))
		order_fail("a write to what does not change");
}

void __tsan_init(void);
void __tsan_init(void) {}
void AnnotateIgnoreReadsBegin(const char *file, int line) {}
void AnnotateIgnoreReadsEnd(const char *file, int line) {}

#define ACCESS(name, size, write)						\
void __tsan_##name(void *p);							\
void __tsan_##name(void *p) { accessed(p, size, write); }

#define ACCESSES(size)								\
ACCESS(read##size, size, false)							\
ACCESS(write##size, size, true)							\
ACCESS(unaligned_read##size, size, false)					\
ACCESS(unaligned_write##size, size, true)

ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

#define RANGE(name, write)							\
void __tsan_##name(void *p, unsigned long size);				\
void __tsan_##name(void *p, unsigned long size)					\
{										\
	if (size)								\
		accessed(p, size, write);					\
}

RANGE(read_range, false)
RANGE(write_range, true)

#define ATOMIC_LOAD(bits, T)							\
T __tsan_atomic##bits##_load(const T *p, int order);				\
T __tsan_atomic##bits##_load(const T *p, int order)				\
{										\
	accessed(p, sizeof(T), false);						\
	return READ_ONCE(*p);							\
}

#define ATOMIC_STORE(bits, T)							\
void __tsan_atomic##bits##_store(void *at, T v, int order);			\
void __tsan_atomic##bits##_store(void *at, T v, int order)			\
{										\
	accessed(at, sizeof(T), true);						\
	WRITE_ONCE(*(T *)at, v);						\
}

#define ATOMIC_CHANGE(bits, T, name, builtin)					\
T __tsan_atomic##bits##_##name(void *at, T v, int order);			\
T __tsan_atomic##bits##_##name(void *at, T v, int order)			\
{										\
	accessed(at, sizeof(T), true);						\
	return builtin((T *)at, v, __ATOMIC_RELAXED);				\
}

#define ATOMIC_COMPARE(bits, T, name)						\
int __tsan_atomic##bits##_compare_exchange_##name(void *at, void *old, T new,	\
						  int order, int failed);	\
int __tsan_atomic##bits##_compare_exchange_##name(void *at, void *old, T new,	\
						  int order, int failed)	\
{										\
	T *p = at;								\
										\
	accessed(p, sizeof(T), true);						\
	return __atomic_compare_exchange_n(p, (T *)old, new, false,		\
					   __ATOMIC_RELAXED, __ATOMIC_RELAXED);	\
}

#define ATOMIC(bits, T)								\
ATOMIC_LOAD(bits, T)								\
ATOMIC_STORE(bits, T)								\
ATOMIC_CHANGE(bits, T, exchange, __atomic_exchange_n)				\
ATOMIC_CHANGE(bits, T, fetch_add, __atomic_fetch_add)				\
ATOMIC_CHANGE(bits, T, fetch_sub, __atomic_fetch_sub)				\
ATOMIC_CHANGE(bits, T, fetch_and, __atomic_fetch_and)				\
ATOMIC_CHANGE(bits, T, fetch_or, __atomic_fetch_or)				\
ATOMIC_CHANGE(bits, T, fetch_xor, __atomic_fetch_xor)				\
ATOMIC_COMPARE(bits, T, strong)							\
ATOMIC_COMPARE(bits, T, weak)

ATOMIC(8, u8)
ATOMIC(16, u16)
ATOMIC(32, u32)
ATOMIC(64, u64)

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_thread_fence(int order) {}

/* ---- */

static void on_fault(int sig)
{
	order_fail("signal %d", sig);
}

void order_init(void)
{
	static char stack[1 << 15];
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_ONSTACK | SA_NODEFER };

	sigaltstack(&(stack_t) { .ss_sp = stack, .ss_size = sizeof(stack) }, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGFPE, &action, NULL);
}
