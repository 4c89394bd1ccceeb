/* SPDX-License-Identifier: GPL-2.0 */
/* A scheduler of fibers that decides the order of all accesses; see sim/order.c. */
#ifndef _SIM_ORDER_H
#define _SIM_ORDER_H

#include <setjmp.h>
#include <stdbool.h>
#include <linux/types.h>

#define ORDER_THREADS	3	/* at most */
#define ORDER_STEPS	(1U << 16)	/* a run of more is taken as endless */
#define ORDER_SWITCHES	16

/* A deviation from the usual order: before step @at, @to runs. */
struct order_switch {
	u32 at;
	u32 to;
};

/* What accesses to a word are. */
enum order_kind {
	ORDER_NONE,		/* a failure: it is not allocated */
	ORDER_DATA,		/* steps */
	ORDER_LOCK,		/* steps that conflict only with vain tries to take it */
	ORDER_SUM,		/* writes are steps; reads are none, as no thread acts on them */
	ORDER_CONSTANT,		/* no steps; a write in a thread is a failure */
	ORDER_SILENT,		/* no steps */
};

/* An access to shared memory, or a pause. */
struct order_step {
	u32 word;		/* of the arena; ORDER_NO_WORD: it is no access */
	u16 nr;			/* words */
	u8 thread;
	u8 others;		/* mask of other threads that could have run instead */
	u8 asleep;		/* those of them that would have had to wake up */
	bool write : 1;
	bool first : 1;		/* after a switch */
	bool lock : 1;
	bool failed : 1;	/* tried to take a lock that is taken */
};

#define ORDER_NO_WORD	U32_MAX

/* What was accessed: sets of words. */
struct order_set {
	u32 now;		/* a word belongs to the set if its mark is this */
	u32 *read, *written;
};

/* The memory of the allocator at some time. */
struct order_memory {
	size_t used;
	long objects;
	char *bytes;
	u8 *kinds;
};

extern struct order_step order_trace[ORDER_STEPS];
extern u32 order_nr_steps;
extern jmp_buf order_failed;
extern char order_message[200];

void order_init(void);
void order_set_cpu(unsigned int cpu);
void order_save(struct order_memory *m);
void order_restore(const struct order_memory *m);
long order_objects(void);
u64 order_hash(void);
void order_free(struct order_memory *m);
void order_set_clear(struct order_set *set);
void order_set_add(struct order_set *set, const struct order_step *s);
bool order_conflicts(const struct order_step *s, const struct order_set *set);
void order_mark(const void *p, size_t size, enum order_kind kind);
void order_run(void (*body)(unsigned int thread), unsigned int nr_threads,
	       const struct order_switch *switches, unsigned int nr_switches,
	       struct order_set *const *sets);
void order_pause(void);
void __attribute__((noreturn, format(printf, 1, 2))) order_fail(const char *format, ...);

#endif
