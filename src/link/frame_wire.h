/* The form of a frame on the wire, for its writer and reader: see frame.h. */
#pragma once

#include <stdint.h>
#include <string.h>

#include "base/xxh.h"
#include "link/frame.h"

#define FRAME_MAGIC	  0x4d524657u /* "WFRM" */
#define FRAME_HEAD_SIZE	  16
#define FRAME_DIGEST_SIZE 8
#define FRAME_END_SIZE	  24
#define FRAME_ZSTD	  1u

enum frame_type { FRAME_DATA = 1, FRAME_END = 2, FRAME_STILL = 3 };

/* Embedded first in the writer and in the reader. */
struct frame {
	struct stream stream;
	struct frame_opts o;
	uint32_t sequence;    /* of the next frame */
	uint64_t content;     /* bytes, in the frames so far */
	uint64_t wire;	      /* bytes */
	XXH3_state_t *digest; /* of the digests of all pieces of content */
	XXH3_state_t *piece;  /* scratch of frame_sum */
};

struct frame_head {
	uint8_t type, flags;
	uint16_t reserved;
	uint32_t length, sequence;
};

void frame_init(struct frame *f, const struct stream_ops *ops, const struct frame_opts *o);
void frame_done(struct frame *f);
const char *frame_peer(const struct frame *f);
usec_t frame_deadline(const struct frame *f);

void frame_put_head(const struct frame_head *h, unsigned char buf[FRAME_HEAD_SIZE]);
bool frame_get_head(const unsigned char buf[FRAME_HEAD_SIZE], struct frame_head *ret); /* magic? */
void frame_sum(struct frame *f, const unsigned char head[FRAME_HEAD_SIZE], const void *payload,
	size_t n, unsigned char ret[FRAME_DIGEST_SIZE]);
/* What the digest of all content is made of. */
void frame_add(struct frame *f, const unsigned char sum[FRAME_DIGEST_SIZE]);
/* The content so far as the payload of END. */
void frame_put_end(const struct frame *f, unsigned char buf[FRAME_END_SIZE]);
