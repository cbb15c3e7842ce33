/*
 * The content of a regular file on its way out: read by blocks of 64 KiB, holes found by SEEK_DATA
 * and left out, digested while it is read. Where the digests of the blocks that the destination has
 * are known, only the others are sent.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "tree/ops.h"

#define CONTENT_TABLE_MAX (UINT64_C(1) << 20) /* words in the table of one file */

struct content {
	/* in */
	int fd;
	uint64_t size;
	const uint64_t *old; /* digests of what is there, n_old; NULL: nothing is there */
	uint32_t n_old;
	bool tail_unknown; /* what is there after n_old blocks is not known */
	struct opbuf *out;
	/* Called after each piece: sends what has collected. blocks_done: so many of the table are
	 * final. */
	int (*more)(void *ctx, struct content *c, struct err *err);
	void *ctx;
	/* out */
	uint64_t *blocks; /* digests, n_blocks; the content's until content_done */
	uint32_t n_blocks;
	uint64_t sent; /* bytes */
	struct digest128 sum;
	bool short_read; /* it became shorter meanwhile */
	bool cached;	 /* content_inline did not wait for a disk */
	/* private */
	unsigned shift;		 /* a word of the table stands for so many blocks: 1 << shift */
	bool dry;		 /* only digest */
	uint64_t looked;	 /* from where the extent below was looked for */
	uint64_t data, data_end; /* the extent around or after where we are */
	unsigned char *block;
	uint64_t hole, hole_end; /* to be told */
};

/* A file that is small and has no holes, as one attribute of the operation being built. */
int content_inline(struct content *c, struct err *err) _must_use_;
/* Any file, as operations DATA and HOLE. */
int content_stream(struct content *c, struct err *err) _must_use_;
/* Tables of files of other sizes may not be of the same groups of blocks. */
unsigned content_shift(uint64_t size);
void content_done(struct content *c);
