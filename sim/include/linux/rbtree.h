/* SPDX-License-Identifier: GPL-2.0 */
/*
 * User-space stand-in: ordered trees with the interface of the kernel's rbtree. The tree
 * is a treap whose priorities are hashes of the nodes' addresses: it is about as well
 * balanced, and takes a tenth of the code.
 */
#ifndef _SIM_LINUX_RBTREE_H
#define _SIM_LINUX_RBTREE_H

#include <linux/kernel.h>

struct rb_node {
	struct rb_node *parent;		/* the node itself if it is in no tree */
	struct rb_node *rb_right;
	struct rb_node *rb_left;
};

struct rb_root { struct rb_node *rb_node; };
struct rb_root_cached { struct rb_root rb_root; struct rb_node *rb_leftmost; };

#define RB_ROOT				((struct rb_root) { NULL })
#define RB_ROOT_CACHED			((struct rb_root_cached) { { NULL }, NULL })
#define RB_EMPTY_ROOT(r)		(!READ_ONCE((r)->rb_node))
#define RB_EMPTY_NODE(n)		((n)->parent == (n))
#define RB_CLEAR_NODE(n)		((n)->parent = (n))
#define rb_parent(n)			((n)->parent)
#define rb_entry(p, t, m)		container_of(p, t, m)
#define rb_entry_safe(p, t, m)		({ __typeof__(p) _p = (p); _p ? rb_entry(_p, t, m) : NULL; })

static inline void rb_link_node(struct rb_node *n, struct rb_node *parent, struct rb_node **link)
{
	n->parent = parent;
	n->rb_left = n->rb_right = NULL;
	*link = n;
}

void rb_insert_color(struct rb_node *n, struct rb_root *root);
void rb_erase(struct rb_node *n, struct rb_root *root);
void rb_replace_node(struct rb_node *old, struct rb_node *new, struct rb_root *root);
struct rb_node *rb_next(const struct rb_node *n);
struct rb_node *rb_prev(const struct rb_node *n);
struct rb_node *rb_first(const struct rb_root *root);
struct rb_node *rb_last(const struct rb_root *root);

static inline void rb_add(struct rb_node *n, struct rb_root *root,
			  bool (*less)(struct rb_node *, const struct rb_node *))
{
	struct rb_node **link = &root->rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = less(n, parent) ? &parent->rb_left : &parent->rb_right;
	}
	rb_link_node(n, parent, link);
	rb_insert_color(n, root);
}

static inline struct rb_node *rb_find(const void *key, const struct rb_root *root,
				      int (*cmp)(const void *key, const struct rb_node *))
{
	struct rb_node *n = root->rb_node;

	while (n) {
		int c = cmp(key, n);

		if (!c)
			return n;
		n = c < 0 ? n->rb_left : n->rb_right;
	}
	return NULL;
}

#define rbtree_postorder_for_each_entry_safe(p, n, root, m)				\
	for ((p) = rb_entry_safe(rb_first_postorder(root), __typeof__(*(p)), m);	\
	     (p) && ({ (n) = rb_entry_safe(rb_next_postorder(&(p)->m),			\
					   __typeof__(*(p)), m); true; });		\
	     (p) = (n))
struct rb_node *rb_first_postorder(const struct rb_root *root);
struct rb_node *rb_next_postorder(const struct rb_node *n);

#endif
