/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of the layers: buddy, slab and pool. api_trace.h has those of the calls.
 *
 * An event is emitted when it happens, with the layer's locks held. All positions and
 * lengths are in bytes; dev is the number of the block device.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM hybrid_alloc

#ifndef _HYBRID_ALLOC_TRACE_TYPES
#define _HYBRID_ALLOC_TRACE_TYPES

#include <linux/types.h>

/* Why a magazine was drained. */
enum hapool_drain {
	HAPOOL_DRAIN_FULL,	/* the magazine was full */
	HAPOOL_DRAIN_ASKED,	/* all magazines are drained, or the CPU is dead */
	HAPOOL_DRAIN_IDLE,	/* its CPU has not used it for a while */
	HAPOOL_DRAIN_MEMORY,	/* memory is short */
};

#endif

#if !defined(_HYBRID_ALLOC_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _HYBRID_ALLOC_TRACE_H

#include <linux/kdev_t.h>
#include <linux/tracepoint.h>

/* For tools that decode the symbols themselves. */
TRACE_DEFINE_ENUM(HAPOOL_DRAIN_FULL);
TRACE_DEFINE_ENUM(HAPOOL_DRAIN_ASKED);
TRACE_DEFINE_ENUM(HAPOOL_DRAIN_IDLE);
TRACE_DEFINE_ENUM(HAPOOL_DRAIN_MEMORY);

#define show_ha_drain(why)						\
	__print_symbolic(why,						\
		{ HAPOOL_DRAIN_FULL,	"full" },			\
		{ HAPOOL_DRAIN_ASKED,	"asked" },			\
		{ HAPOOL_DRAIN_IDLE,	"idle" },			\
		{ HAPOOL_DRAIN_MEMORY,	"memory" })

/* The magazine of @cpu for extents of @len was empty and got @nr of @want objects. */
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

/* The magazine of @cpu for extents of @len gave @nr objects back and keeps @kept. */
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

/* Two free halves were merged into one block of the buddy. */
DEFINE_EVENT(ha_block, ha_merge,
	TP_PROTO(u32 dev, u64 start, u64 len),
	TP_ARGS(dev, start, len)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
