/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Traces of allocations and frees: text, one operation a line.
 *
 *   a ID SIZE [ALIGN]       allocate
 *   a ID MIN-MAX [ALIGN]    allocate MAX, or as much as there is in a row, from MIN up
 *   f ID                    free
 *   c ID OFFSET LEN [NEWID] free a part: what stays keeps the ID; of what stays on both sides, the
 *                           second becomes NEWID
 *   x ID LEN                make it longer by so much, where it is
 *   r SIZE                  reserve so much more
 *   A ID SIZE [ALIGN]       allocate against what is reserved; or MIN-MAX
 *   u SIZE                  give back so much of it, or all if it is less
 *
 * An ID is a number that the trace chooses; SIZE, MIN, MAX and ALIGN are as parse_size() reads
 * them. ALIGN is a power of two or a multiple of 4K; OFFSET and LEN are multiples of 4K. A # begins
 * a comment. Blank lines are allowed.
 */
#ifndef HYBRID_ALLOC_COMMON_TRACE_H
#define HYBRID_ALLOC_COMMON_TRACE_H

#include <stdbool.h>
#include <stdio.h>
#include <linux/types.h>

enum trace_kind {
	TRACE_END, TRACE_ALLOC, TRACE_FREE, TRACE_CUT, TRACE_EXTEND, TRACE_RESERVE, TRACE_UNRESERVE
};

/**
 * struct trace_op - an operation of a trace
 * @kind: TRACE_END after the last operation
 * @number: number of the ID, from 0 in the order of first use
 * @id: the ID
 * @reserved: TRACE_ALLOC: against what is reserved
 * @size: in bytes, at least 1; not of TRACE_FREE
 * @min: TRACE_ALLOC: so many bytes will do, at least 1; @size if there is only that
 * @align: TRACE_ALLOC: in bytes, a power of two or a multiple of 4 KiB
 * @offset: TRACE_CUT: where in the extent the part of @size begins, in bytes, a multiple of 4 KiB;
 *	it may reach beyond the end of an extent that has got less, or was not made longer
 * @has_tail: TRACE_CUT: there is a NEWID
 * @tail: its number
 */
struct trace_op {
	enum trace_kind kind;
	__u32 number;
	__u64 id;
	int reserved;
	__u64 size;
	__u64 min;
	__u64 align;
	__u64 offset;
	int has_tail;
	__u32 tail;
};

struct trace_id;

/**
 * struct trace_reader - a trace that is being read
 * @in: the file; the only field to initialise
 * @line: number of the last line that was read, from 1
 * @nr_ids: number of different IDs so far
 */
struct trace_reader {
	FILE *in;
	__u64 line;
	__u32 nr_ids;
	/* private: */
	char *text;			/* of the line */
	size_t room;
	struct trace_id *ids;		/* a hash table with open addressing, half full at most */
	__u64 max_ids;			/* its length: a power of two */
	char wrong[160];
};

/**
 * trace_next - read the next operation
 * @t: the trace
 * @op: the operation. TRACE_END also after an error of the file: see ferror()
 *
 * Return: NULL, or what is wrong with the line, as a clause. It is valid until
 * trace_close().
 */
const char *trace_next(struct trace_reader *t, struct trace_op *op);

/**
 * trace_clip - what of a cut lies in an extent, which may have got less than in the trace
 * @len: length of the extent, in any unit
 * @has_tail: what stays behind the part has an ID
 * @offset: where the part begins, in the same unit; out: likewise
 * @size: of the part; out: 0 if there is nothing to free
 *
 * Return: false if blocks on both sides of it would stay, and the second have no ID.
 */
bool trace_clip(__u64 len, bool has_tail, __u64 *offset, __u64 *size);

/* Frees the memory of the reader; the file stays open. */
void trace_close(struct trace_reader *t);

#endif
