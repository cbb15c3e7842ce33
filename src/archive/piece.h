/*
 * What a Wherry archive is made of, within its frames (link/frame.h), which check and compress:
 * pieces, each a type (u8), a length (24 bits, little-endian), and so many bytes. JSON pieces say
 * what is to come, DATA pieces are a stream of a tree (tree/ops.h), which an empty one ends.
 *
 *	HEAD  {"format": 1, "wherry", "created", "consistent", "ct", "volumes"}
 *	PASS  {"volume": "rootfs", "final": true}
 *	DATA* DATA(0)
 *	... more passes, in order ...
 *	TAIL  {"digests": {"rootfs": "..."}}
 */
#pragma once

#include <jansson.h>

#include "base/err.h"
#include "base/stream.h"

#define PIECE_MAX (1u << 20) /* bytes of one */

enum piece_type { PIECE_HEAD = 1, PIECE_PASS, PIECE_DATA, PIECE_TAIL, PIECE_TYPE_MAX };

int piece_write(
	struct stream *s, enum piece_type type, const json_t *v, struct err *err) _must_use_;
/* Any but DATA; what breaks the rules is -ERR_CORRUPT. */
int piece_read(
	struct stream *s, enum piece_type *ret_type, json_t **ret, struct err *err) _must_use_;
/* A stream of DATA pieces over s, which stays the caller's. Of the reading one, check (may be NULL)
 * is asked before each piece whether it may come. */
struct stream *piece_writer_new(struct stream *s);
struct stream *piece_reader_new(
	struct stream *s, int (*check)(void *ctx, uint64_t bytes, struct err *err), void *ctx);
