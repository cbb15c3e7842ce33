/*
 * Frames: a stream in checked pieces. Each is a head of 16 bytes, little-endian,
 *
 *	u32 magic "WFRM"   u8 type   u8 flags   u16 reserved (0)   u32 length   u32 sequence
 *
 * its payload of `length` bytes, and the XXH3-64 of both. Types: DATA (1), a piece of the content
 * of 1 byte to 1 MiB; END (2), the XXH3-128 of the digests of all pieces, one after the other
 * (canonical byte order), and the length of the content, u64. Flags: ZSTD (1), the payload is one
 * compressed piece. The sequence counts frames from 0.
 *
 * The way back carries lines: acknowledgements {"ack": OFFSET, "synced": OFFSET} of content that is
 * applied and on disk there; {"wait": ...}, which means nothing; and one answer, which ends the
 * stream: an {"error": ...} becomes the writer's error, "PEER: its text". Neither side can make the
 * other wait for ever: the writer takes in what comes back while it waits, the reader keeps only
 * the newest acknowledgement that has not gone out.
 *
 * A writer that has nothing to write for long calls stream_flush now and then, as often as it
 * likes: it says STILL every ten seconds, and looks whether an answer has come.
 *
 * A stream that ends without END was broken off (-ERR_UNREACHABLE); what is damaged is
 * -ERR_CORRUPT, what breaks these rules -ERR_PROTOCOL. Nothing is handed on before its piece was
 * checked; but a piece that fits is read into the buffer that is there for it, which after a
 * failure holds anything.
 */
#pragma once

#include <jansson.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/stream.h"
#include "link/bwlimit.h"
#include "link/lines.h"

#define FRAME_PAYLOAD_MAX (1u << 20)

struct frame_opts {
	usec_t idle;	  /* nothing moves for so long: -ERR_TIMEOUT; 0: never */
	const char *peer; /* the other side's name, for errors; NULL: "the other side" */
	/* The rest is the writer's. */
	int zstd_level;		 /* 0 never; > 0 always; -1 only while it gets more through */
	struct rate *rate;	 /* NULL: no limit; the caller's */
	struct bwlimit *bwlimit; /* the same over all jobs; the caller's */
	/* The other side has gone without an answer: says why. NULL: the connection was lost. */
	int (*lost)(void *ctx, struct err *err);
	void *ctx;
};

/* Descriptors stay the caller's. Writer: data to fd_out, lines from fd_in or, for somebody who
 * reads lines there too, from back (the caller's). Reader: data from fd_in, lines to fd_out. -1:
 * there is no way back. */
struct stream *frame_writer_new(int fd_in, int fd_out, const struct frame_opts *o);
struct stream *frame_writer_over(struct lines *back, int fd_out, const struct frame_opts *o);
struct stream *frame_reader_new(int fd_in, int fd_out, const struct frame_opts *o);

/* Writer: the next line on the way back that is not an acknowledgement: 1, or 0 at the end. */
int frame_await(struct stream *s, usec_t deadline, json_t **ret, struct err *err) _must_use_;
/* Bytes on the wire, with heads and after compression. */
uint64_t frame_wire_bytes(const struct stream *s);
/* Of all pieces so far; after END on the reading side it is what the writer said. */
struct digest128 frame_digest(const struct stream *s);
