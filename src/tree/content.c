#include "tree/content.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "tree/digest.h"

#define BLOCKS_AT_ONCE (OP_DATA_MAX / DIGEST_BLOCK)

void content_done(struct content *c)
{
	free(c->blocks);
	free(c->block);
	c->blocks = NULL;
	c->block = NULL;
}

static ssize_t read_at(struct content *c, void *buf, size_t n, uint64_t off, struct err *err)
{
	size_t got = 0;

	while (got < n) {
		ssize_t k = pread(c->fd, (char *)buf + got, n - got, (off_t)(off + got));

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_errno(err, "read");
		if (k == 0) {
			c->short_read = true;
			break;
		}
		got += (size_t)k;
	}
	return (ssize_t)got;
}

static bool has_table(const struct content *c)
{
	return c->size > DIGEST_BLOCK && c->size <= CONTENT_TABLE_MAX;
}

static void make_table(struct content *c)
{
	if (has_table(c))
		c->blocks = xcalloc(
			(c->size + DIGEST_BLOCK - 1) / DIGEST_BLOCK, sizeof(*c->blocks));
}

static uint64_t note(struct content *c, uint64_t index, const void *buf, size_t n, uint64_t layout)
{
	struct digest128 d = digest_block(index, buf, n);
	uint64_t low = digest_low(&d) ^ layout;

	digest_add(&c->sum, &d);
	low = low ? low : 1; /* 0 is a hole */
	if (c->blocks) {
		c->blocks[index] = low;
		c->n_blocks = (uint32_t)index + 1;
	}
	return low;
}

int content_inline(struct content *c, struct err *err)
{
	unsigned char *p = op_room(c->out, ATTR_DATA, c->size);
	ssize_t n = read_at(c, p, c->size, 0, err);

	if (n < 0)
		return (int)n;
	op_filled(c->out, (size_t)n);
	make_table(c);
	for (size_t off = 0; off < (size_t)n; off += DIGEST_BLOCK)
		(void)note(c, off / DIGEST_BLOCK, p + off, MIN((size_t)n - off, DIGEST_BLOCK), 0);
	c->sent = (uint64_t)n;
	return 0;
}

/* Streaming */

/* The first extent of data that ends after off; both c->size if there is none. */
static int find_data(struct content *c, uint64_t off, struct err *err)
{
	off_t d, h;

	if (off < c->data_end)
		return 0;
	d = lseek(c->fd, (off_t)off, SEEK_DATA);
	if (d < 0 && errno != ENXIO)
		return err_errno(err, "look for data");
	h = d < 0 ? d : lseek(c->fd, d, SEEK_HOLE);
	c->data = d < 0 || h < 0 ? c->size : MIN((uint64_t)d, c->size);
	c->data_end = d < 0 || h < 0 ? c->size : MIN((uint64_t)h, c->size);
	return 0;
}

static void tell_hole(struct content *c)
{
	if (c->hole_end > c->hole) {
		op_begin(c->out, OP_HOLE);
		op_u64(c->out, ATTR_OFFSET, c->hole);
		op_u64(c->out, ATTR_LENGTH, c->hole_end - c->hole);
		op_end(c->out);
	}
	c->hole = c->hole_end = 0;
}

static void add_hole(struct content *c, uint64_t from, uint64_t to)
{
	if (c->hole_end != from || c->hole == c->hole_end) {
		tell_hole(c);
		c->hole = from;
	}
	c->hole_end = to;
}

static void tell_data(struct content *c, uint64_t off, const void *p, size_t n)
{
	tell_hole(c);
	op_begin(c->out, OP_DATA);
	op_u64(c->out, ATTR_OFFSET, off);
	op_bytes(c->out, ATTR_DATA, p, n);
	op_end(c->out);
	c->sent += n;
}

/* What is there: 0 for nothing, the digest otherwise; 2 for "something, not known what". */
static uint64_t old_block(const struct content *c, uint64_t index)
{
	if (index < c->n_old)
		return c->old[index];
	return c->tail_unknown ? 2 : 0;
}

static void hole_block(struct content *c, uint64_t index)
{
	uint64_t from = index * DIGEST_BLOCK;

	if (old_block(c, index))
		add_hole(c, from, MIN(from + DIGEST_BLOCK, c->size));
}

/* Blocks that lie in holes altogether, up to the block that data begins in. */
static void skip_hole(struct content *c, uint64_t *index)
{
	uint64_t end = c->data >= c->size ? (c->size + DIGEST_BLOCK - 1) / DIGEST_BLOCK
					  : c->data / DIGEST_BLOCK;

	if (c->tail_unknown && *index >= c->n_old && end > *index) {
		add_hole(c, *index * DIGEST_BLOCK, MIN(end * DIGEST_BLOCK, c->size));
		*index = end;
	}
	for (; *index < end && *index < c->n_old; (*index)++)
		hole_block(c, *index);
	*index = MAX(*index, end);
	if (c->blocks)
		c->n_blocks = (uint32_t)end; /* zeros: calloc made them */
}

/* A block with holes in it: put together for its digest, told in pieces. */
static int mixed_block(struct content *c, uint64_t index, struct err *err)
{
	uint64_t from = index * DIGEST_BLOCK, end = MIN(from + DIGEST_BLOCK, c->size), layout = 0;
	struct {
		uint32_t off, len;
	} piece[DIGEST_BLOCK / 512];
	size_t n = 0;

	if (!c->block)
		c->block = xmalloc(DIGEST_BLOCK);
	memset(c->block, 0, DIGEST_BLOCK);
	for (uint64_t off = from; off < end && n < ARRAY_SIZE(piece);) {
		ssize_t k;
		int r = find_data(c, off, err);

		if (r < 0)
			return r;
		if (c->data >= end)
			break;
		off = MAX(off, c->data);
		piece[n].off = (uint32_t)(off - from);
		piece[n].len = (uint32_t)(MIN(c->data_end, end) - off);
		k = read_at(c, c->block + piece[n].off, piece[n].len, off, err);
		if (k < 0)
			return (int)k;
		off += piece[n++].len;
	}
	layout = digest_u64(piece, n * sizeof(piece[0]));
	if (note(c, index, c->block, end - from, layout) == old_block(c, index))
		return 0;
	if (old_block(c, index))
		add_hole(c, from, end);
	for (size_t i = 0; i < n; i++)
		tell_data(c, from + piece[i].off, c->block + piece[i].off, piece[i].len);
	return 0;
}

/* Blocks that are all data: read where they will be sent from. A single one is taken back if it is
 * there already. */
static int full_blocks(struct content *c, uint64_t index, uint64_t last, struct err *err)
{
	uint64_t from = index * DIGEST_BLOCK, end = MIN(last * DIGEST_BLOCK, c->size), digest = 0;
	size_t start;
	unsigned char *p;
	ssize_t n;

	tell_hole(c);
	start = c->out->len;
	op_begin(c->out, OP_DATA);
	op_u64(c->out, ATTR_OFFSET, from);
	p = op_room(c->out, ATTR_DATA, end - from);
	n = read_at(c, p, end - from, from, err);
	if (n < 0)
		return (int)n;
	for (size_t off = 0; off < (size_t)n; off += DIGEST_BLOCK)
		digest = note(c, index + off / DIGEST_BLOCK, p + off,
			MIN((size_t)n - off, DIGEST_BLOCK), 0);
	if (last == index + 1 && digest == old_block(c, index)) {
		c->out->len = start;
		return 0;
	}
	op_filled(c->out, (size_t)n);
	op_end(c->out);
	c->sent += (uint64_t)n;
	return 0;
}

static int one_step(struct content *c, uint64_t *index, struct err *err)
{
	uint64_t from = *index * DIGEST_BLOCK, last, end = MIN(from + DIGEST_BLOCK, c->size);
	int r = find_data(c, from, err);

	if (r < 0)
		return r;
	if (c->data >= end) {
		skip_hole(c, index);
		return 0;
	}
	if (c->data > from || c->data_end < end) {
		r = mixed_block(c, *index, err);
		(*index)++;
		return r;
	}
	last = c->data_end == c->size ? (c->size + DIGEST_BLOCK - 1) / DIGEST_BLOCK
				      : c->data_end / DIGEST_BLOCK;
	/* Where most is the same, small steps waste less. */
	last = MIN(last, *index + (c->n_old > *index ? 1 : BLOCKS_AT_ONCE));
	r = full_blocks(c, *index, last, err);
	*index = last;
	return r;
}

int content_stream(struct content *c, struct err *err)
{
	uint64_t end = (c->size + DIGEST_BLOCK - 1) / DIGEST_BLOCK;

	make_table(c);
	for (uint64_t i = 0; i < end && !c->short_read;) {
		int r = one_step(c, &i, err);

		if (r >= 0)
			r = c->more(c->ctx, c, err);
		if (r < 0)
			return r;
	}
	tell_hole(c);
	return 0;
}
