// SPDX-License-Identifier: GPL-2.0
/* User-space stand-in for the kernel: the parts that are more than a macro. */
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/membarrier.h>

#include <linux/bitops.h>
#include <linux/hash.h>
#include <linux/percpu.h>
#include <linux/rbtree.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait_bit.h>

#ifndef SIM_ORDER
__thread int sim_atomic_depth;
__thread char sim_self;
__thread bool sim_killed;
#ifdef __SANITIZE_THREAD__
int sim_fence;
#endif

void sim_bug(const char *file, int line, const char *what)
{
	fflush(stdout);
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

/* ---- locks ---- */

void sim_spin_wait(spinlock_t *l)
{
	unsigned int spins = 0;

	sim_lock_recursion(l);
	do {
		while (__atomic_load_n(&l->locked, __ATOMIC_RELAXED)) {
			/* with few processors, the owner may not be running */
			if (++spins % 128)
				cpu_relax();
			else
				sched_yield();
		}
	} while (__atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE));
	l->waits++;
}

__thread struct sim_reclaim sim_reclaim;

static pthread_mutex_t wait_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wait_cond = PTHREAD_COND_INITIALIZER;
static unsigned long wait_count;

unsigned long sim_wait_ticket(void)
{
	unsigned long ticket;

	pthread_mutex_lock(&wait_lock);
	ticket = wait_count;
	pthread_mutex_unlock(&wait_lock);
	return ticket;
}

void sim_wait(unsigned long ticket)
{
	pthread_mutex_lock(&wait_lock);
	while (wait_count == ticket)
		pthread_cond_wait(&wait_cond, &wait_lock);
	pthread_mutex_unlock(&wait_lock);
}

void wake_up_var(void *var)
{
	pthread_mutex_lock(&wait_lock);
	wait_count++;
	pthread_cond_broadcast(&wait_cond);
	pthread_mutex_unlock(&wait_lock);
}

/* ---- threads and CPUs ---- */

__thread struct sim_thread sim_thread = { .cpu = -1 };

static pthread_mutex_t threads_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sim_thread *threads;
static unsigned int nr_threads;
static bool cpu_taken[NR_CPUS];
static pthread_key_t thread_key;

static void sim_thread_exit(void *arg)
{
	struct sim_thread *t = arg, **p;

	pthread_mutex_lock(&threads_lock);
	for (p = &threads; *p != t; p = &(*p)->next)
		;
	*p = t->next;
	__atomic_store_n(&nr_threads, nr_threads - 1, __ATOMIC_RELAXED);
	cpu_taken[t->cpu] = false;
	t->cpu = -1;
	pthread_mutex_unlock(&threads_lock);
}

static void __attribute__((constructor)) sim_threads_init(void)
{
	pthread_key_create(&thread_key, sim_thread_exit);
	syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
}

/* Called with threads_lock held. */
static void sim_thread_enter(int cpu)
{
	struct sim_thread *t = &sim_thread;

	cpu_taken[cpu] = true;
	t->cpu = cpu;
	t->next = threads;
	threads = t;
	__atomic_store_n(&nr_threads, nr_threads + 1, __ATOMIC_RELAXED);
	pthread_setspecific(thread_key, t);
}

/* Gives the thread the first CPU that is not taken. */
void sim_thread_register(void)
{
	int cpu = 0;

	pthread_mutex_lock(&threads_lock);
	while (cpu_taken[cpu])
		if (++cpu == NR_CPUS)
			sim_bug(__FILE__, __LINE__, "more threads than CPUs");
	sim_thread_enter(cpu);
	pthread_mutex_unlock(&threads_lock);
}

void sim_set_cpu(int cpu)
{
	might_sleep();
	BUG_ON(!cpu_possible(cpu));
	if (sim_thread.cpu == cpu)
		return;
	pthread_mutex_lock(&threads_lock);
	BUG_ON(cpu_taken[cpu]);
	if (sim_thread.cpu < 0) {
		/* not through sim_thread_register(), which may take another thread's CPU */
		sim_thread_enter(cpu);
	} else {
		cpu_taken[sim_thread.cpu] = false;
		cpu_taken[cpu] = true;
		sim_thread.cpu = cpu;
	}
	pthread_mutex_unlock(&threads_lock);
}

#endif /* SIM_ORDER */

/* ---- memory reclaim ---- */

#ifdef SIM_DEBUG
static void sim_mutex_check(struct mutex *m)
{
	if (m->in_reclaim && m->waits_for_io)
		sim_bug(__FILE__, __LINE__,
			"a mutex that memory reclaim takes is held by a thread that waits for memory with I/O");
}

void sim_mutex_locked(struct mutex *m)
{
	m->next = sim_reclaim.held;
	sim_reclaim.held = m;
	m->in_reclaim |= sim_reclaim.inside;
	sim_mutex_check(m);
}

void sim_mutex_unlocked(struct mutex *m)
{
	struct mutex **p = &sim_reclaim.held;

	while (*p != m)
		p = &(*p)->next;
	*p = m->next;
}

/* The thread waits for memory. In memory reclaim itself it would wait for itself. */
static void sim_memory_waits(gfp_t gfp)
{
	struct mutex *m = sim_reclaim.held;

	if (!gfpflags_allow_blocking(gfp) || !(gfp & (__GFP_IO | __GFP_FS)) || sim_reclaim.noio)
		return;
	SIM_ASSERT(!sim_reclaim.inside);
	for (; m; m = m->next) {
		m->waits_for_io = true;
		sim_mutex_check(m);
	}
}
#else
static void sim_memory_waits(gfp_t gfp)
{
}
#endif

/* ---- CPUs ---- */

unsigned int nr_cpu_ids = 4;

/* To be called before per-CPU memory is allocated. */
void sim_set_nr_cpus(unsigned int nr)
{
	BUG_ON(!nr || nr > NR_CPUS);
	nr_cpu_ids = nr;
}

/* ---- memory ---- */

struct sim_object {
	size_t size;
	size_t rounded;
};

#ifdef SIM_ORDER
/* An arena that can be put back to what it was: see sim/order.c. */
int order_memory_get(void **base, size_t align, size_t size);
void order_memory_put(void *base, size_t size);
unsigned long order_address(const void *p);
#define sim_memory_get(base, align, size)	order_memory_get(base, align, size)
#define sim_memory_put(base, size)		order_memory_put(base, size)
#define sim_address(p)				order_address(p)
#elif defined(SIM_LINES)
/* Memory whose lines are counted: see sim/lines.c. */
int lines_memory_get(void **base, size_t align, size_t size);
void lines_memory_put(void *base, size_t size);
#define sim_memory_get(base, align, size)	lines_memory_get(base, align, size)
#define sim_memory_put(base, size)		lines_memory_put(base, size)
#define sim_address(p)				(p)
#else
#define sim_memory_get(base, align, size)	posix_memalign(base, align, size)
#define sim_memory_put(base, size)		free(base)
#define sim_address(p)				(p)
#endif

static atomic_long_t nr_objects;
bool (*sim_fails)(gfp_t gfp);

/* The size classes of kmalloc(), then powers of two of pages. */
static size_t sim_round(size_t size)
{
	if (size <= 8)
		return 8;
	if (size > 64 && size <= 96)
		return 96;
	if (size > 128 && size <= 192)
		return 192;
	return roundup_pow_of_two(size);
}

/* kmalloc()'s alignment: from the size of a cache line up, that of a cache line. */
static size_t sim_align(size_t size)
{
	return size < SMP_CACHE_BYTES ? sizeof(struct sim_object) : SMP_CACHE_BYTES;
}

void *sim_kmalloc(size_t size, gfp_t gfp)
{
	size_t align = sim_align(size);
	struct sim_object *o;
	void *base;

	might_sleep_if(gfpflags_allow_blocking(gfp));
	sim_memory_waits(gfp);
	if (unlikely(sim_fails) && sim_fails(gfp))
		return NULL;
	if (size > SIZE_MAX / 4 || sim_memory_get(&base, align, align + size))
		return NULL;
	if (gfp & __GFP_ZERO)
		memset(base + align, 0, size);
	o = (struct sim_object *)(base + align) - 1;
	o->size = size;
	o->rounded = sim_round(size);
	atomic_long_inc(&nr_objects);
	return o + 1;
}

void kfree(const void *p)
{
	size_t size, align;

	if (!p)
		return;
	size = ((const struct sim_object *)p)[-1].size;
	align = sim_align(size);
	atomic_long_dec(&nr_objects);
	sim_memory_put((void *)p - align, align + size);
}

size_t ksize(const void *p)
{
	return p ? ((const struct sim_object *)p)[-1].rounded : 0;
}

long sim_objects(void)
{
	rcu_barrier();
	return atomic_long_read(&nr_objects);
}

void *__alloc_percpu_gfp(size_t size, size_t align, gfp_t gfp)
{
	might_sleep_if(gfpflags_allow_blocking(gfp));
	BUG_ON(size > SIM_PERCPU_STRIDE || align > 4096);
	return kzalloc(SIM_PERCPU_STRIDE * nr_cpu_ids, gfp);
}

void free_percpu(void *p)
{
	kfree(p);
}

#ifndef SIM_ORDER
/* ---- RCU ---- */

unsigned long sim_rcu_era = 1;

/* Callbacks: those being collected, and those that wait for the readers of an era. */
struct sim_rcu_list {
	struct rcu_head *first, **last;
	unsigned long nr;
};

static pthread_mutex_t rcu_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sim_rcu_list rcu_next = { .last = &rcu_next.first }, rcu_wait;
static unsigned long rcu_wait_era;

/* membarrier() is expensive with several threads: once a batch. */
#define RCU_BATCH	64

/* The era of the oldest reader; ULONG_MAX if there is none. */
static unsigned long sim_rcu_oldest(void)
{
	unsigned long oldest = ULONG_MAX;
	struct sim_thread *t;

	pthread_mutex_lock(&threads_lock);
	/*
	 * Pairs with sim_reader_enter(), which has no barrier of its own: after this, a
	 * reader either has published its era, or sees everything unlinked before.
	 */
	if (nr_threads > 1)
		syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
	for (t = threads; t; t = t->next) {
		unsigned long era = __atomic_load_n(&t->era, __ATOMIC_ACQUIRE);

		if (era)
			oldest = min(oldest, era);
	}
	pthread_mutex_unlock(&threads_lock);
	return oldest;
}

static void sim_rcu_invoke(struct rcu_head *head)
{
	unsigned long offset = (unsigned long)head->func;

	if (offset < 4096)
		kfree((void *)head - offset);
	else
		head->func(head);
}

/* Ends the era; what was collected in it now waits for its readers. */
static void sim_rcu_advance(void)
{
	rcu_wait = rcu_next;
	rcu_next = (struct sim_rcu_list) { .last = &rcu_next.first };
	rcu_wait_era = __atomic_fetch_add(&sim_rcu_era, 1, __ATOMIC_SEQ_CST);
}

static void sim_rcu_reap(void)
{
	for (;;) {
		struct rcu_head *head = rcu_wait.first, *next;

		if (!head) {
			if (!rcu_next.first)
				return;
			sim_rcu_advance();
			head = rcu_wait.first;
		}
		if (rcu_wait_era >= sim_rcu_oldest())
			return;
		for (; head; head = next) {
			next = head->next;
			sim_rcu_invoke(head);
		}
		rcu_wait.first = NULL;
	}
}

/* The callback may be called at once, or later by another thread. */
void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	pthread_mutex_lock(&rcu_lock);
	head->next = NULL;
	head->func = func;
	*rcu_next.last = head;
	rcu_next.last = &head->next;
	if (++rcu_next.nr >= RCU_BATCH || __atomic_load_n(&nr_threads, __ATOMIC_RELAXED) <= 1)
		sim_rcu_reap();
	pthread_mutex_unlock(&rcu_lock);
}

/* Waits until all callbacks given to call_rcu() so far have been called. */
void rcu_barrier(void)
{
	BUG_ON(rcu_read_lock_held());
	for (;;) {
		bool done;

		pthread_mutex_lock(&rcu_lock);
		sim_rcu_reap();
		done = !rcu_wait.first && !rcu_next.first;
		pthread_mutex_unlock(&rcu_lock);
		if (done)
			return;
		sched_yield();
	}
}

void synchronize_rcu(void)
{
	unsigned long era = __atomic_fetch_add(&sim_rcu_era, 1, __ATOMIC_SEQ_CST);

	might_sleep();
	BUG_ON(rcu_read_lock_held());
	while (sim_rcu_oldest() <= era)
		sched_yield();
}

#endif /* SIM_ORDER */

/* ---- ordered trees ---- */

static unsigned long rb_priority(const struct rb_node *n)
{
	return hash_64((unsigned long)sim_address(n), 63);
}

/* Puts @new, which may be NULL, in the place of @old below its parent. */
static void rb_set_link(struct rb_node *old, struct rb_node *new, struct rb_root *root)
{
	if (!old->parent)
		root->rb_node = new;
	else if (old->parent->rb_left == old)
		old->parent->rb_left = new;
	else
		old->parent->rb_right = new;
	if (new)
		new->parent = old->parent;
}

/* Rotates @n above its parent. */
static void rb_rotate_up(struct rb_node *n, struct rb_root *root)
{
	struct rb_node *p = n->parent, *middle;

	rb_set_link(p, n, root);
	if (p->rb_left == n) {
		middle = n->rb_right;
		p->rb_left = middle;
		n->rb_right = p;
	} else {
		middle = n->rb_left;
		p->rb_right = middle;
		n->rb_left = p;
	}
	if (middle)
		middle->parent = p;
	p->parent = n;
}

void rb_insert_color(struct rb_node *n, struct rb_root *root)
{
	while (n->parent && rb_priority(n) > rb_priority(n->parent))
		rb_rotate_up(n, root);
}

void rb_erase(struct rb_node *n, struct rb_root *root)
{
	while (n->rb_left && n->rb_right)
		rb_rotate_up(rb_priority(n->rb_left) > rb_priority(n->rb_right) ?
			     n->rb_left : n->rb_right, root);
	rb_set_link(n, n->rb_left ? n->rb_left : n->rb_right, root);
}

void rb_replace_node(struct rb_node *old, struct rb_node *new, struct rb_root *root)
{
	/* the priority depends on the address: restore the heap order from the old node's place */
	*new = *old;
	rb_set_link(old, new, root);
	if (new->rb_left)
		new->rb_left->parent = new;
	if (new->rb_right)
		new->rb_right->parent = new;
	while ((new->rb_left && rb_priority(new->rb_left) > rb_priority(new)) ||
	       (new->rb_right && rb_priority(new->rb_right) > rb_priority(new)))
		rb_rotate_up(!new->rb_right || (new->rb_left && rb_priority(new->rb_left) >
			     rb_priority(new->rb_right)) ? new->rb_left : new->rb_right, root);
	rb_insert_color(new, root);
}

static struct rb_node *rb_leftmost(struct rb_node *n)
{
	while (n && n->rb_left)
		n = n->rb_left;
	return n;
}

static struct rb_node *rb_rightmost(struct rb_node *n)
{
	while (n && n->rb_right)
		n = n->rb_right;
	return n;
}

struct rb_node *rb_first(const struct rb_root *root) { return rb_leftmost(root->rb_node); }
struct rb_node *rb_last(const struct rb_root *root) { return rb_rightmost(root->rb_node); }

struct rb_node *rb_next(const struct rb_node *n)
{
	if (n->rb_right)
		return rb_leftmost(n->rb_right);
	while (n->parent && n->parent->rb_right == n)
		n = n->parent;
	return n->parent;
}

struct rb_node *rb_prev(const struct rb_node *n)
{
	if (n->rb_left)
		return rb_rightmost(n->rb_left);
	while (n->parent && n->parent->rb_left == n)
		n = n->parent;
	return n->parent;
}

static struct rb_node *rb_deepest(struct rb_node *n)
{
	while (n && (n->rb_left || n->rb_right))
		n = n->rb_left ? n->rb_left : n->rb_right;
	return n;
}

struct rb_node *rb_first_postorder(const struct rb_root *root)
{
	return rb_deepest(root->rb_node);
}

struct rb_node *rb_next_postorder(const struct rb_node *n)
{
	struct rb_node *p = n->parent;

	if (p && p->rb_left == n && p->rb_right)
		return rb_deepest(p->rb_right);
	return p;
}
