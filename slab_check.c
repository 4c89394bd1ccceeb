// SPDX-License-Identifier: GPL-2.0
/*
 * The invariants of the slab layer, verified naively: by way of the map, every
 * slab, every free run, every span, against what the layer believes. For tests.
 */
#include <linux/errno.h>
#include <linux/kernel.h>

#include "slab_internal.h"

static bool check_listed(const struct list_head *head, const struct haslab_slab *slab)
{
	const struct list_head *pos;

	list_for_each(pos, head)
		if (pos == &slab->list)
			return true;
	return false;
}

/* What continues has begun in the slab before. */
static bool check_continued(struct haslab *s, struct haslab_slab *slab)
{
	struct haslab_slab *before;

	if (!slab->continued)
		return true;
	before = slab->start ? haslab_lookup(s, slab->start - 1) : NULL;
	return before && slab_is_mixed(before) &&
	       haruns_at(&slab->runs, 0).state == HARUNS_SPECIAL &&
	       haruns_at(&before->runs, before->nr_blocks - 1).state == HARUNS_LIVE;
}

static bool check_slab(struct haslab *s, struct haslab_slab *slab, u64 *free)
{
	u64 pos;

	for (pos = slab->start; pos < slab_end(slab); pos += unit_blocks(s))
		if (haslab_lookup(s, pos) != slab ||
		    (slab != s->tail &&
		     habuddy_free_order(&s->buddy, pos >> s->cfg.unit_shift) >= 0))
			return false;
	if (slab_is_mixed(slab)) {
		*free += slab->runs.nr_free;
		return haruns_check(&slab->runs) && check_continued(s, slab) &&
		       slab->runs.nr_blocks == slab->nr_blocks &&
		       (slab == s->tail || slab->runs.nr_free < slab->nr_blocks) &&
		       slab->bucket == bucket_of(slab->runs.max_free) &&
		       test_bit(slab->bucket, s->mixed_mask) &&
		       check_listed(&s->mixed[slab->bucket], slab);
	}
	*free += slab->nr_blocks -
		 (slab->nr_objects - slab->nr_free) * s->classes[slab->class].blocks;
	return bitmap_weight(slab->free, slab->nr_objects) == slab->nr_free &&
	       !bitmap_intersects(slab->free, slab->live, slab->nr_objects) &&
	       slab->nr_free < slab->nr_objects &&
	       find_first_bit(slab->free, slab->nr_objects) >=
	       min(slab->hint, slab->nr_objects) &&
	       check_listed(&s->classes[slab->class].partial, slab) == !!slab->nr_free;
}

/* Every slab, by way of the map. */
static bool check_slabs(struct haslab *s, u64 *free, u64 *nr)
{
	struct haslab_slab *slab;
	u64 pos = 0;

	while (pos < s->cfg.nr_blocks) {
		if (!map_dir(s, pos)) {
			pos = round_down(pos, DIR_BLOCKS) + DIR_BLOCKS;
			continue;
		}
		slab = haslab_lookup(s, pos);
		if (!slab) {
			pos += unit_blocks(s);
			continue;
		}
		if (slab->start != pos || !check_slab(s, slab, free))
			return false;
		++*nr;
		pos = slab_end(slab);
	}
	return true;
}

/* Every span: its pieces are SPECIAL or not free. */
static bool check_spans(struct haslab *s)
{
	struct rb_node *node;
	u64 end = 0;

	for (node = rb_first(&s->spans); node; node = rb_next(node)) {
		struct haslab_span *span = rb_entry(node, struct haslab_span, node);
		u64 pos = span->start, next;

		if (pos < end || !span->len)
			return false;
		end = pos + span->len;
		while (pos < end) {
			struct haslab_slab *slab = haslab_lookup(s, pos);
			struct haruns_run run;

			if (!slab) {
				if (haslab_stretch(s, pos, &next))
					return false;
				pos = round_down(pos, unit_blocks(s)) + unit_blocks(s);
				continue;
			}
			if (!slab_is_mixed(slab))
				return false;
			run = haruns_at(&slab->runs, pos - slab->start);
			if (run.state != HARUNS_SPECIAL || slab->start + run.start != pos ||
			    pos + run.len > end)
				return false;
			pos += run.len;
		}
	}
	return true;
}

/**
 * haslab_check - verify every invariant of this layer and the buddy, naively
 * @s: the slab allocator
 *
 * Looks at all metadata with the lock held: for tests. Context: process context.
 *
 * Return: 0; -EUCLEAN something is broken.
 */
int haslab_check(struct haslab *s)
{
	u64 free = 0, nr = 0;
	int ret;

	spin_lock(&s->lock);
	ret = habuddy_check(&s->buddy);
	if (!ret && (!check_slabs(s, &free, &nr) || free != s->free_in_slabs ||
		     nr != s->nr_slabs || !check_spans(s)))
		ret = -EUCLEAN;
	spin_unlock(&s->lock);
	return ret;
}

