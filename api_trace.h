/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of the calls; trace.h has those of the layers.
 *
 * An event is emitted when the call is done. All positions and lengths are in bytes; dev
 * is the number of the block device.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM hybrid_alloc

#ifndef _HYBRID_ALLOC_API_TRACE_TYPES
#define _HYBRID_ALLOC_API_TRACE_TYPES

#include "ioctl_uapi.h"
#include "slab.h"

/*
 * The class of a length in blocks, for the inlined hits: a copy of haslab_classes[] while
 * no call is traced. While calls are traced no length has a class, so that no call is a
 * hit; see api_trace.c.
 */
extern u8 ha_hit_classes[HASLAB_MAX_CLASS_BLOCKS + 1];

void ha_trace_init(void);
int ha_trace_calls(void);
void ha_trace_no_calls(void);

#endif

#if !defined(_HYBRID_ALLOC_API_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _HYBRID_ALLOC_API_TRACE_H

#include <linux/kdev_t.h>
#include <linux/tracepoint.h>

/* For tools that decode the symbols themselves. */
TRACE_DEFINE_ENUM(HYBRID_ALLOC_REASON_NOT_ALLOCATED);
TRACE_DEFINE_ENUM(HYBRID_ALLOC_REASON_WRONG_START);
TRACE_DEFINE_ENUM(HYBRID_ALLOC_REASON_WRONG_LENGTH);
TRACE_DEFINE_ENUM(HYBRID_ALLOC_REASON_UNALIGNED);
TRACE_DEFINE_ENUM(HYBRID_ALLOC_REASON_ZERO_LENGTH);
TRACE_DEFINE_ENUM(HYBRID_ALLOC_REASON_OUT_OF_RANGE);
TRACE_DEFINE_ENUM(HYBRID_ALLOC_REASON_FOREIGN);

#define show_ha_reason(reason)						\
	__print_symbolic(reason,					\
		{ HYBRID_ALLOC_REASON_NOT_ALLOCATED,	"not_allocated" }, \
		{ HYBRID_ALLOC_REASON_WRONG_START,	"wrong_start" },	\
		{ HYBRID_ALLOC_REASON_WRONG_LENGTH,	"wrong_length" }, \
		{ HYBRID_ALLOC_REASON_UNALIGNED,	"unaligned" },	\
		{ HYBRID_ALLOC_REASON_ZERO_LENGTH,	"zero_length" },	\
		{ HYBRID_ALLOC_REASON_OUT_OF_RANGE,	"out_of_range" }, \
		{ HYBRID_ALLOC_REASON_FOREIGN,		"foreign" })

/* An allocation: the request, and the extent or the error. */
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

/* A free was refused and changed nothing. */
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

/* A claim: the range, and 0 if it is a live extent now. */
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

/* An extent was divided at @at. */
TRACE_EVENT(ha_split_extent,
	TP_PROTO(u32 dev, u64 start, u64 len, u64 at),
	TP_ARGS(dev, start, len, at),
	TP_STRUCT__entry(
		__field(u32, dev)
		__field(u64, start)
		__field(u64, len)
		__field(u64, at)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->start = start;
		__entry->len = len;
		__entry->at = at;
	),
	TP_printk("dev %d,%d start %llu len %llu at %llu",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->start, __entry->len,
		  __entry->at)
);

/* An extent became @got bytes longer, if @ret is 0. */
TRACE_EVENT(ha_extend,
	TP_PROTO(u32 dev, u64 start, u64 len, u64 got, int ret),
	TP_ARGS(dev, start, len, got, ret),
	TP_STRUCT__entry(
		__field(u32, dev)
		__field(int, ret)
		__field(u64, start)
		__field(u64, len)
		__field(u64, got)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->ret = ret;
		__entry->start = start;
		__entry->len = len;
		__entry->got = got;
	),
	TP_printk("dev %d,%d start %llu len %llu got %llu ret %d",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->start, __entry->len,
		  __entry->got, __entry->ret)
);

/* TRIM held a free range and discarded @trimmed bytes of it. */
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

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE api_trace
#include <trace/define_trace.h>
