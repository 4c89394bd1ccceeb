/* SPDX-License-Identifier: GPL-2.0 */
/* User-space stand-in: no tracing. */
#ifndef SIM_LINUX_TRACEPOINT_H
#define SIM_LINUX_TRACEPOINT_H

#define TP_PROTO(...)	__VA_ARGS__
#define TRACE_DEFINE_ENUM(name)
#define TRACE_EVENT(name, proto, ...)		static inline void trace_##name(proto) {}
#define TRACE_EVENT_FN(name, proto, ...)	static inline void trace_##name(proto) {}
#define DECLARE_EVENT_CLASS(...)
#define DEFINE_EVENT(class, name, proto, ...)	static inline void trace_##name(proto) {}

#endif
