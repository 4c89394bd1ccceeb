/* SPDX-License-Identifier: GPL-2.0 */
/* User-space stand-in: doubly linked lists. */
#ifndef _SIM_LINUX_LIST_H
#define _SIM_LINUX_LIST_H

#include <linux/kernel.h>

#define LIST_HEAD_INIT(name)	{ &(name), &(name) }
#define LIST_HEAD(name)		struct list_head name = LIST_HEAD_INIT(name)
#define LIST_POISON		((void *)0x100)

/* h->next is a marked access, as in Linux: list_empty() may read it without a lock. */
static inline void INIT_LIST_HEAD(struct list_head *h)
{
	WRITE_ONCE(h->next, h);
	h->prev = h;
}

static inline void sim_list_link(struct list_head *prev, struct list_head *n,
				 struct list_head *next)
{
	SIM_ASSERT(prev->next == next && next->prev == prev);
	n->next = next;
	n->prev = prev;
	next->prev = n;
	WRITE_ONCE(prev->next, n);
}

static inline void sim_list_unlink(struct list_head *n)
{
	SIM_ASSERT(n->next->prev == n && n->prev->next == n);
	n->next->prev = n->prev;
	WRITE_ONCE(n->prev->next, n->next);
}

static inline void list_add(struct list_head *n, struct list_head *h)
{
	sim_list_link(h, n, h->next);
}

static inline void list_add_tail(struct list_head *n, struct list_head *h)
{
	sim_list_link(h->prev, n, h);
}

static inline void list_del(struct list_head *n)
{
	sim_list_unlink(n);
	n->next = n->prev = LIST_POISON;
}

static inline void list_del_init(struct list_head *n)
{
	sim_list_unlink(n);
	INIT_LIST_HEAD(n);
}

static inline void list_move(struct list_head *n, struct list_head *h)
{
	sim_list_unlink(n);
	list_add(n, h);
}

static inline void list_move_tail(struct list_head *n, struct list_head *h)
{
	sim_list_unlink(n);
	list_add_tail(n, h);
}

static inline bool list_empty(const struct list_head *h)
{
	return READ_ONCE(h->next) == h;
}

static inline bool list_is_singular(const struct list_head *h)
{
	return !list_empty(h) && h->next == h->prev;
}

static inline bool list_is_first(const struct list_head *n, const struct list_head *h)
{
	return n->prev == h;
}

static inline bool list_is_last(const struct list_head *n, const struct list_head *h)
{
	return n->next == h;
}

static inline void list_splice_init(struct list_head *from, struct list_head *to)
{
	if (list_empty(from))
		return;
	from->next->prev = to;
	from->prev->next = to->next;
	to->next->prev = from->prev;
	to->next = from->next;
	INIT_LIST_HEAD(from);
}

#define list_entry(p, t, m)		container_of(p, t, m)
#define list_first_entry(h, t, m)	list_entry((h)->next, t, m)
#define list_last_entry(h, t, m)	list_entry((h)->prev, t, m)
#define list_next_entry(p, m)		list_entry((p)->m.next, __typeof__(*(p)), m)
#define list_prev_entry(p, m)		list_entry((p)->m.prev, __typeof__(*(p)), m)
#define list_first_entry_or_null(h, t, m) \
	(list_empty(h) ? NULL : list_first_entry(h, t, m))
#define list_entry_is_head(p, h, m)	(&(p)->m == (h))
#define list_for_each(p, h) \
	for ((p) = (h)->next; (p) != (h); (p) = (p)->next)
#define list_for_each_safe(p, n, h) \
	for ((p) = (h)->next, (n) = (p)->next; (p) != (h); (p) = (n), (n) = (p)->next)
#define list_for_each_entry(p, h, m)					\
	for ((p) = list_first_entry(h, __typeof__(*(p)), m);		\
	     !list_entry_is_head(p, h, m); (p) = list_next_entry(p, m))
#define list_for_each_entry_reverse(p, h, m)				\
	for ((p) = list_last_entry(h, __typeof__(*(p)), m);		\
	     !list_entry_is_head(p, h, m); (p) = list_prev_entry(p, m))
#define list_for_each_entry_safe(p, n, h, m)				\
	for ((p) = list_first_entry(h, __typeof__(*(p)), m),		\
	     (n) = list_next_entry(p, m); !list_entry_is_head(p, h, m);	\
	     (p) = (n), (n) = list_next_entry(n, m))

#define HLIST_HEAD_INIT		{ NULL }
#define INIT_HLIST_HEAD(h)	((h)->first = NULL)

static inline void INIT_HLIST_NODE(struct hlist_node *n)
{
	n->next = NULL;
	n->pprev = NULL;
}

static inline bool hlist_unhashed(const struct hlist_node *n) { return !n->pprev; }
static inline bool hlist_empty(const struct hlist_head *h) { return !READ_ONCE(h->first); }

static inline void hlist_add_head(struct hlist_node *n, struct hlist_head *h)
{
	n->next = h->first;
	if (h->first)
		h->first->pprev = &n->next;
	h->first = n;
	n->pprev = &h->first;
}

static inline void sim_hlist_unlink(struct hlist_node *n)
{
	SIM_ASSERT(*n->pprev == n);
	*n->pprev = n->next;
	if (n->next)
		n->next->pprev = n->pprev;
}

static inline void hlist_del(struct hlist_node *n)
{
	sim_hlist_unlink(n);
	n->next = LIST_POISON;
	n->pprev = LIST_POISON;
}

static inline void hlist_del_init(struct hlist_node *n)
{
	if (hlist_unhashed(n))
		return;
	sim_hlist_unlink(n);
	INIT_HLIST_NODE(n);
}

#define hlist_entry(p, t, m)	container_of(p, t, m)
#define hlist_entry_safe(p, t, m) ({				\
	__typeof__(p) _p = (p);					\
	_p ? hlist_entry(_p, t, m) : NULL;			\
})
#define hlist_for_each_entry(p, h, m)					\
	for ((p) = hlist_entry_safe((h)->first, __typeof__(*(p)), m); (p);	\
	     (p) = hlist_entry_safe((p)->m.next, __typeof__(*(p)), m))
#define hlist_for_each_entry_safe(p, n, h, m)				\
	for ((p) = hlist_entry_safe((h)->first, __typeof__(*(p)), m);	\
	     (p) && ({ (n) = (p)->m.next; true; });			\
	     (p) = hlist_entry_safe(n, __typeof__(*(p)), m))

#endif
