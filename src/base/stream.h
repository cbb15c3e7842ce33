/*
 * A byte stream: what storage drivers and the tree engine write to and read from. Implementations
 * here: a pair of descriptors, memory. link/ adds filters that wrap another stream (frame with
 * digests, rate, zstd).
 *
 *	struct stream *s = stream_fd_new(fd_in, fd_out, 15 * USEC_PER_SEC);	// owns both
 *	r = stream_write(s, buf, n, &err);
 *	r = stream_end(s, &err);	// the other side sees the end
 *	stream_free(s);
 *
 * A stream that is freed without stream_end was broken off. stream_fd_new makes pipes non-blocking.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/err.h"

struct stream;

struct stream_ops {
	const char *name;
	/* some; 0 only at the true end */
	ssize_t (*read)(struct stream *s, void *buf, size_t n, struct err *err);
	/* all */
	int (*write)(struct stream *s, const void *buf, size_t n, struct err *err);
	int (*flush)(struct stream *s, struct err *err); /* may be NULL */
	int (*end)(struct stream *s, struct err *err);
	/* Optional. Receiver: everything before offset (of what was read here) is applied, and on
	 * disk if synced. */
	int (*ack)(struct stream *s, uint64_t offset, bool synced, struct err *err);
	/* Optional. Sender: takes in acknowledgements that have arrived, without waiting. */
	int (*acked)(
		struct stream *s, uint64_t *ret_applied, uint64_t *ret_synced, struct err *err);
	void (*free)(struct stream *s);
};

/* Embedded first in each implementation. */
struct stream {
	const struct stream_ops *ops;
	uint64_t n_read, n_written; /* bytes that passed here */
};

ssize_t stream_read(struct stream *s, void *buf, size_t n, struct err *err) _must_use_;
/* An early end is -ERR_PROTOCOL. */
int stream_read_full(struct stream *s, void *buf, size_t n, struct err *err) _must_use_;
int stream_write(struct stream *s, const void *buf, size_t n, struct err *err) _must_use_;
int stream_flush(struct stream *s, struct err *err) _must_use_;
int stream_end(struct stream *s, struct err *err) _must_use_;
/* Acknowledgements run against the direction of the data, in byte offsets of the stream: what a
 * broken transfer can count on when it resumes. No-ops (0 and 0) where a stream has no way back. */
int stream_ack(struct stream *s, uint64_t offset, bool synced, struct err *err) _must_use_;
int stream_acked(
	struct stream *s, uint64_t *ret_applied, uint64_t *ret_synced, struct err *err) _must_use_;
void stream_free(struct stream *s); /* NULL is fine */
void stream_freep(struct stream **s);
#define _cleanup_stream_ _cleanup_(stream_freep)

/* Either descriptor may be -1. idle: longest wait for one read or write to move. end = shutdown of
 * the writing side. */
struct stream *stream_fd_new(int fd_in, int fd_out, usec_t idle);
/* Reads a copy of input, collects what is written; the collected bytes stay the stream's. */
struct stream *stream_mem_new(const void *input, size_t n);
const void *stream_mem_data(struct stream *s, size_t *ret_n);
