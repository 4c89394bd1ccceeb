/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints. All positions and lengths are in bytes; dev is the block device.
 *
 * An event of a call comes when the call is done. Those of the layers come when it
 * happens, under their locks.
 *
 * A call that a pool serves has no room for a tracepoint, not even for one that is
 * off: see trace.c.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM hybrid_alloc

#if !defined(_HYBRID_ALLOC_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _HYBRID_ALLOC_TRACE_H

#include <linux/kdev_t.h>
#include <linux/tracepoint.h>
#include "ioctl_uapi.h"
#include "pool.h"

int ha_trace_calls(void);
void ha_trace_no_calls(void);

/* These are for tools that decode the symbols themselves. */
TRACE_DEFINE_ENUM(HYBRID_ALLOC_REASON_NOT_ALLOCATED);
TRACE_DEFINE_ENUM(HYBRID_ALLOC_REASON_WRONG_START);
TRACE_DEFINE_ENUM(HYBRID_ALLOC_REASON_WRONG_LENGTH);
TRACE_DEFINE_ENUM(HYBRID_ALLOC_REASON_UNALIGNED);
TRACE_DEFINE_ENUM(HYBRID_ALLOC_REASON_ZERO_LENGTH);
TRACE_DEFINE_ENUM(HYBRID_ALLOC_REASON_OUT_OF_RANGE);
TRACE_DEFINE_ENUM(HYBRID_ALLOC_REASON_FOREIGN);
TRACE_DEFINE_ENUM(HAPOOL_DRAIN_FULL);
TRACE_DEFINE_ENUM(HAPOOL_DRAIN_ASKED);
TRACE_DEFINE_ENUM(HAPOOL_DRAIN_IDLE);
TRACE_DEFINE_ENUM(HAPOOL_DRAIN_MEMORY);

#define show_ha_reason(reason)						\
	__print_symbolic(reason,					\
		{ HYBRID_ALLOC_REASON_NOT_ALLOCATED,	"not_allocated" }, \
		{ HYBRID_ALLOC_REASON_WRONG_START,	"wrong_start" },	\
		{ HYBRID_ALLOC_REASON_WRONG_LENGTH,	"wrong_length" }, \
		{ HYBRID_ALLOC_REASON_UNALIGNED,	"unaligned" },	\
		{ HYBRID_ALLOC_REASON_ZERO_LENGTH,	"zero_length" },	\
		{ HYBRID_ALLOC_REASON_OUT_OF_RANGE,	"out_of_range" }, \
		{ HYBRID_ALLOC_REASON_FOREIGN,		"foreign" })

#define show_ha_drain(why)						\
	__print_symbolic(why,						\
		{ HAPOOL_DRAIN_FULL,	"full" },			\
		{ HAPOOL_DRAIN_ASKED,	"asked" },			\
		{ HAPOOL_DRAIN_IDLE,	"idle" },			\
		{ HAPOOL_DRAIN_MEMORY,	"memory" })

/* An allocation: what was asked for; and what there is, or why not. */
TRACE_EVENT_FN(ha_alloc,
	TP_PROTO(u32 dev, u64 want, u64 align, u64 start, u64 len, int ret),
	TP_ARGS(dev, want, align, start, len, ret),
	TP_STRUCT__entry(
		__field(u32, dev)
		__field(int, ret)
		__field(u64, want)
		__field(u64, align)
		__field(u64, start)
		__field(u64, len)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->ret = ret;
		__entry->want = want;
		__entry->align = align;
		__entry->start = start;
		__entry->len = len;
	),
	TP_printk("dev %d,%d want %llu align %llu start %llu len %llu ret %d",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->want, __entry->align,
		  __entry->start, __entry->len, __entry->ret),
	ha_trace_calls, ha_trace_no_calls
);

/* An extent was freed. */
TRACE_EVENT_FN(ha_free,
	TP_PROTO(u32 dev, u64 start, u64 len),
	TP_ARGS(dev, start, len),
	TP_STRUCT__entry(
		__field(u32, dev)
		__field(u64, start)
		__field(u64, len)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->start = start;
		__entry->len = len;
	),
	TP_printk("dev %d,%d start %llu len %llu",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->start, __entry->len),
	ha_trace_calls, ha_trace_no_calls
);

/* A free that changed nothing. */
TRACE_EVENT(ha_refused_free,
	TP_PROTO(u32 dev, u64 start, u64 len, enum hybrid_alloc_reason reason, int ret),
	TP_ARGS(dev, start, len, reason, ret),
	TP_STRUCT__entry(
		__field(u32, dev)
		__field(u32, reason)
		__field(u64, start)
		__field(u64, len)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->reason = reason;
		__entry->start = start;
		__entry->len = len;
		__entry->ret = ret;
	),
	TP_printk("dev %d,%d start %llu len %llu reason %s ret %d",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->start, __entry->len,
		  show_ha_reason(__entry->reason), __entry->ret)
);

/* A given range was made a live extent, or not. */
TRACE_EVENT(ha_claim,
	TP_PROTO(u32 dev, u64 start, u64 len, int ret),
	TP_ARGS(dev, start, len, ret),
	TP_STRUCT__entry(
		__field(u32, dev)
		__field(int, ret)
		__field(u64, start)
		__field(u64, len)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->ret = ret;
		__entry->start = start;
		__entry->len = len;
	),
	TP_printk("dev %d,%d start %llu len %llu ret %d",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->start, __entry->len,
		  __entry->ret)
);

/* Free space was kept from use, and @trimmed bytes of it discarded. */
TRACE_EVENT(ha_trim,
	TP_PROTO(u32 dev, u64 start, u64 len, u64 trimmed, int ret),
	TP_ARGS(dev, start, len, trimmed, ret),
	TP_STRUCT__entry(
		__field(u32, dev)
		__field(int, ret)
		__field(u64, start)
		__field(u64, len)
		__field(u64, trimmed)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->ret = ret;
		__entry->start = start;
		__entry->len = len;
		__entry->trimmed = trimmed;
	),
	TP_printk("dev %d,%d start %llu len %llu trimmed %llu ret %d",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->start, __entry->len,
		  __entry->trimmed, __entry->ret)
);

/* The magazine of @cpu for extents of @len was empty, and got @nr of @want. */
TRACE_EVENT(ha_refill,
	TP_PROTO(u32 dev, u32 cpu, u64 len, u32 want, u32 nr),
	TP_ARGS(dev, cpu, len, want, nr),
	TP_STRUCT__entry(
		__field(u32, dev)
		__field(u32, cpu)
		__field(u64, len)
		__field(u32, want)
		__field(u32, nr)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->cpu = cpu;
		__entry->len = len;
		__entry->want = want;
		__entry->nr = nr;
	),
	TP_printk("dev %d,%d cpu %u len %llu want %u nr %u",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->cpu, __entry->len,
		  __entry->want, __entry->nr)
);

/* The magazine of @cpu for extents of @len gave @nr back, and keeps @kept. */
TRACE_EVENT(ha_drain,
	TP_PROTO(u32 dev, u32 cpu, u64 len, u32 nr, u32 kept, enum hapool_drain why),
	TP_ARGS(dev, cpu, len, nr, kept, why),
	TP_STRUCT__entry(
		__field(u32, dev)
		__field(u32, cpu)
		__field(u64, len)
		__field(u32, nr)
		__field(u32, kept)
		__field(u32, why)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->cpu = cpu;
		__entry->len = len;
		__entry->nr = nr;
		__entry->kept = kept;
		__entry->why = why;
	),
	TP_printk("dev %d,%d cpu %u len %llu nr %u kept %u why %s",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->cpu, __entry->len,
		  __entry->nr, __entry->kept, show_ha_drain(__entry->why))
);

DECLARE_EVENT_CLASS(ha_block,
	TP_PROTO(u32 dev, u64 start, u64 len),
	TP_ARGS(dev, start, len),
	TP_STRUCT__entry(
		__field(u32, dev)
		__field(u64, start)
		__field(u64, len)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->start = start;
		__entry->len = len;
	),
	TP_printk("dev %d,%d start %llu len %llu",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->start, __entry->len)
);

/* A free block of the buddy was split into its halves. */
DEFINE_EVENT(ha_block, ha_split,
	TP_PROTO(u32 dev, u64 start, u64 len),
	TP_ARGS(dev, start, len)
);

/* Two free halves are one block again. */
DEFINE_EVENT(ha_block, ha_merge,
	TP_PROTO(u32 dev, u64 start, u64 len),
	TP_ARGS(dev, start, len)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE hybrid_alloc_trace
#include <trace/define_trace.h>
