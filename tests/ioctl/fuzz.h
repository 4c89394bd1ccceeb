/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fuzzer of the ioctl surface: see fuzz.c. What its parts share.
 *
 *	fuzz.c		workers, moments of rest and their checks, what was exercised
 *	fuzz_calls.c	the calls of a program, and what each may return
 *	fuzz_ledger.c	what is allocated, as the fuzzer knows it
 *	fuzz_guide.c	programs: made, varied, kept if they reach something new
 *	fuzz_world.c	disks, processors, memory, attach and detach
 */
#ifndef HYBRID_ALLOC_TESTS_FUZZ_H
#define HYBRID_ALLOC_TESTS_FUZZ_H

#include "harness.h"

#define NR_WORKERS	4
#define NR_SLOTS	5
#define WILD		4	/* the slot whose extents anything may free */
#define NR_FILES	8
#define NR_OWN		192
#define NR_IDS		64
#define NR_ERRNOS	134
#define MAX_OPS		32
#define MAX_PROGRAMS	4096
#define AREA_ITEMS	8192	/* offset of the array in an area */
#define AREA_LEN	(AREA_ITEMS + HYBRID_ALLOC_MAX_ITEMS * 88)

/*
 * What an operation of a program is about: ioctls, and what else happens. What is new comes last:
 * the corpus has their numbers.
 */
enum op_kind {
	K_ATTACH, K_DETACH, K_INFO, K_ALLOC, K_FREE, K_CLAIM, K_SEAL, K_DRAIN, K_STAT,
	K_ALLOC_BATCH, K_FREE_BATCH, K_CHECK, K_MAP, K_ALLOC_MANY, K_TRIM, K_GROW, K_CLAIM_BATCH,
	K_WATCH, K_POLL, K_OPEN, K_CLOSE, K_FILES, K_UNKNOWN, K_FORK, K_KILL, K_PASS, K_DATA,
	K_FREE_PART, K_SPLIT, K_EXTEND, K_KEEP, K_RESERVE, K_UNRESERVE,
	NR_KINDS
};

/* Things that happen to calls, or beside them. Each must have happened at least once. */
enum event {
	E_FAULT_NOMEM, E_FAULT_COPY, E_FLIP, E_READ_ONLY, E_MUTATED, E_OLD_EPOCH, E_SEALED,
	E_FOREIGN, E_WRONG_FREE, E_WRONG_PART, E_CUT, E_ROW, E_LONGER, E_KEPT, E_TWICE, E_DUEL,
	E_FULL, E_REMOVED, E_FORCED, E_BUSY, E_NOT_BLANK,
	E_OVERWRITTEN, E_GROWN, E_DISCARDED, E_FORKED, E_KILLED, E_PASSED,
	E_DROPPED, E_CPU, E_SHRINK, E_LIMBO, E_KEPT_DATA, E_ALL_BACK, E_REST, E_PROMISED,
	E_RESERVED,
	NR_EVENTS
};

/* An operation: what it is about, what happens to it, and what is drawn from. */
struct op {
	uint8_t kind;
	uint8_t how;
	uint8_t x;
	uint8_t y;
	uint16_t a;
	uint16_t b;
};

struct program {
	struct op op[MAX_OPS];
	u32 nr;
	u32 news;		/* ways that it was the first to go */
};

struct file {
	struct inst *inst;	/* NULL: closed */
	int fd;
	bool read_only;
	u64 reserved;
	bool unsure;		/* of that, as a result was not delivered */
};

/*
 * An extent whose state is not known, since the result of a call was not delivered. If it is
 * live it has @len to @most bytes.
 */
struct limbo {
	u64 start, len, most;
	struct file *file;	/* that it is bound to if it is live, or NULL */
};

/**
 * struct inst - an attached instance, and what is known of it
 * @bits: a bit for each 4 KiB of the disk: an extent has it
 * @charged: bytes of these extents
 * @live: how many there are
 * @seen: fuzz_detached[id] when it was attached
 * @removed: fuzz_removed[slot] when it was attached
 * @dead: a call has found that it is not there any more
 */
struct inst {
	struct inst *next;
	u32 id, slot, seen, removed;
	struct hybrid_alloc_info info;
	struct hybrid_alloc_stat start;
	u64 disk_len;
	int disk_fd;
	bool was_sealed;
	atomic_bool dead;
	atomic_ullong *bits;
	atomic_ullong charged, live;
	pthread_mutex_t lock;	/* protects what follows */
	struct limbo *limbo;
	u32 nr_limbo, max_limbo;
};

struct own {
	struct inst *inst;
	struct file *file;	/* that it is bound to, or NULL */
	u64 start, len;
	u64 tag;		/* written to its first block; 0: nothing was */
};

struct worker {
	pthread_t thread;
	u32 nr;
	u64 rng;
	struct program program;
	u32 at;
	struct own own[NR_OWN];
	u32 nr_own;
	struct file file[NR_FILES];
	uint8_t *area;		/* memory of the calls */
	uint8_t *flip, *flip_same;	/* the same, which comes and goes; and stays */
	int flip_fd;
	atomic_bool flipping;
	atomic_uint flips;	/* changes of that memory */
	int nth_fd, kcov_fd;
	unsigned long *kcov;
	u64 tags;
	u64 count[NR_KINDS][NR_ERRNOS];
	u64 events[NR_EVENTS];
};

extern struct worker fuzz_worker[NR_WORKERS];
extern struct inst *_Atomic fuzz_slot[NR_SLOTS];
extern atomic_bool fuzz_stop;
extern atomic_ullong fuzz_calls;
extern atomic_ullong fuzz_events[NR_EVENTS];	/* of what is no worker */
extern atomic_uint fuzz_wrongs;

/* Something is as it must not be. @w is the worker, or NULL. */
__printf(2, 3) void fuzz_wrong(const struct worker *w, const char *fmt, ...);
/* Memory that child processes share. */
void *fuzz_memory(size_t len);
/* Returns when nobody wants all to rest. Called where there is nothing half-done. */
void fuzz_rest(void);

/* fuzz_calls.c */
extern const char * const fuzz_kind_names[NR_KINDS];
void fuzz_op(struct worker *w, const struct op *op);
int fuzz_attach(struct worker *w, u32 slot, const struct op *op);
int fuzz_detach(struct worker *w, u32 id, bool force);
void fuzz_close(struct worker *w, struct file *f);
void fuzz_forget_dead(struct worker *w);
void fuzz_check_data(struct worker *w, struct own *own);

/* fuzz_ledger.c */
struct inst *ledger_new(u32 slot, u32 id, const struct hybrid_alloc_info *info, u64 disk_len);
void ledger_sweep(void);
void ledger_take(struct worker *w, struct inst *inst, u64 start, u64 len);
void ledger_give(struct inst *inst, u64 start, u64 len);
void ledger_take_part(struct worker *w, struct inst *inst, u64 start, u64 len);
void ledger_give_part(struct inst *inst, u64 start, u64 len);
bool ledger_has_none(const struct inst *inst, u64 start, u64 len);
void ledger_limbo(struct inst *inst, u64 start, u64 len, struct file *file);
void ledger_limbo_longer(struct inst *inst, u64 start, u64 len, u64 most, struct file *file);
void ledger_closed(struct inst *inst, const struct file *file);
bool ledger_is_gone(const struct inst *inst);
bool ledger_may_be_dead(const struct inst *inst);
void ledger_compare(struct inst *inst, int fd);

/* Beginnings and ends of removals of each disk: while it is odd one is under way. */
extern atomic_uint fuzz_removed[NR_SLOTS];
/* Detaches of each number that are under way, and that are done. */
extern atomic_uint fuzz_detaching[NR_IDS], fuzz_detached[NR_IDS];

/* fuzz_guide.c */
void guide_load(const char *path);
void guide_open(struct worker *w);
void guide_next(struct worker *w);
void guide_start(struct worker *w);
void guide_stop(struct worker *w);
void guide_report(bool keep);

/* fuzz_world.c */
extern const char * const fuzz_disks[NR_SLOTS];
void world_make(void);
void *world_run(void *unused);
void world_end(void);

#endif
