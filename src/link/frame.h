/*
 * Frames: a stream in checked pieces. Each frame is a 16-byte head {magic u32, type u8, flags u8, reserved u16, length u32, sequence u32},
 * little-endian, the payload (at most 1 MiB), and its XXH3-64. Types: DATA, END (payload: 128-bit digest and length of everything). Flags: ZSTD, payload is
 * compressed. The way back carries acknowledgement lines {"ack": OFFSET, "synced": OFFSET} on the other descriptor, read without waiting. A stream that ends without END
 * was broken off (-ERR_UNREACHABLE); a digest that does not match is -ERR_CORRUPT.
 */
#pragma once

#include "base/clock.h"
#include "base/stream.h"

#define FRAME_PAYLOAD_MAX (1u << 20)

struct frame_opts {
	usec_t idle;	/* nothing moves for so long: -ERR_TIMEOUT */
	int zstd_level; /* writer: 0 never; >0 always; -1 adaptive: only while the link is slower than the CPU */
	struct rate *rate; /* writer, NULL: no limit; the caller's */
};

/* fds stay the caller's. Writer: data to fd_out, acks from fd_in. Reader: data from fd_in, acks to fd_out. */
struct stream *frame_writer_new(int fd_in, int fd_out, const struct frame_opts *o);
struct stream *frame_reader_new(int fd_in, int fd_out, const struct frame_opts *o);
/* A line on the way back that was not an acknowledgement (the answer: {"ok"...} or {"error"...}): it ends the wait; NULL if none came yet. The stream's. */
const char *frame_line(struct stream *s);
/* Bytes on the wire, with heads and after compression. */
uint64_t frame_wire_bytes(struct stream *s);
