#include "tree/content.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
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

/* Files over 64 GiB have their blocks digested in groups, so that the table stays small. */
static unsigned shift_of(uint64_t size)
{
	unsigned shift = 0;

	while (size >> shift > CONTENT_TABLE_MAX * DIGEST_BLOCK)
		shift++;
	return shift;
}

unsigned content_shift(uint64_t size)
{
	return shift_of(size);
}

static uint64_t blocks_of(uint64_t size)
{
	return (size + DIGEST_BLOCK - 1) / DIGEST_BLOCK;
}

static void make_table(struct content *c)
{
	c->shift = shift_of(c->size);
	if (c->size > DIGEST_BLOCK)
		c->blocks = xcalloc((blocks_of(c->size) >> c->shift) + 1, sizeof(*c->blocks));
}

/* What the table keeps of a block: 0 is a hole, so nothing else may be. */
static uint64_t word_of(const struct digest128 *d, size_t n, uint64_t layout)
{
	uint64_t word = digest_low(d) ^ layout;

	if (n < DIGEST_BLOCK) /* the same content, but a hole after it is another layout */
		word ^= n * UINT64_C(0x9e3779b97f4a7c15);
	return word ? word : 1;
}

static uint64_t note(struct content *c, uint64_t index, const void *buf, size_t n, uint64_t layout)
{
	struct digest128 d = digest_block(index, buf, n);
	uint64_t word = word_of(&d, n, layout);

	digest_add(&c->sum, &d);
	if (c->blocks && c->shift) {
		uint64_t mixed[3] = {c->blocks[index >> c->shift], index, word};

		c->blocks[index >> c->shift] = digest_u64(mixed, sizeof(mixed)) | 1;
	} else if (c->blocks) {
		c->blocks[index] = word;
	}
	return word;
}

/* What needs no waiting for the disk. */
static size_t read_cached(struct content *c, void *buf, size_t n)
{
	struct iovec iov = {buf, n};
	ssize_t k = preadv2(c->fd, &iov, 1, 0, RWF_NOWAIT);

	c->cached = k == (ssize_t)n;
	return k > 0 ? (size_t)k : 0;
}

int content_inline(struct content *c, struct err *err)
{
	unsigned char *p = op_room(c->out, ATTR_DATA, c->size);
	size_t got = c->size ? read_cached(c, p, c->size) : 0;
	ssize_t n = got < c->size ? read_at(c, p + got, c->size - got, got, err) : 0;

	if (n < 0)
		return (int)n;
	n += (ssize_t)got;
	op_filled(c->out, (size_t)n);
	make_table(c);
	for (size_t off = 0; off < (size_t)n; off += DIGEST_BLOCK)
		(void)note(c, off / DIGEST_BLOCK, p + off, MIN((size_t)n - off, DIGEST_BLOCK), 0);
	c->n_blocks = (uint32_t)blocks_of((uint64_t)n);
	c->sent = (uint64_t)n;
	return 0;
}

/* Streaming */

/* The first extent of data that ends after off; both c->size if there is none. */
static int find_data(struct content *c, uint64_t off, struct err *err)
{
	off_t d, h;

	if (off < c->data_end && off >= c->looked)
		return 0;
	d = lseek(c->fd, (off_t)off, SEEK_DATA);
	if (d < 0 && errno != ENXIO)
		return err_errno(err, "look for data");
	h = d < 0 ? d : lseek(c->fd, d, SEEK_HOLE);
	c->looked = off;
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
	if (c->dry)
		return;
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

#define SOMETHING 2 /* there is something, but not known what: no digest that we would skip for */

/* What is there: 0 for nothing, else the word of the block. */
static uint64_t old_block(const struct content *c, uint64_t index)
{
	if (index >> c->shift < c->n_old)
		return c->shift ? SOMETHING : c->old[index];
	return c->tail_unknown ? SOMETHING : 0;
}

/* Blocks that lie in holes altogether, up to the block that data begins in, but not over limit. */
static void skip_hole(struct content *c, uint64_t *index, uint64_t limit)
{
	uint64_t end = c->data >= c->size ? blocks_of(c->size) : c->data / DIGEST_BLOCK;

	end = MIN(MAX(end, *index), limit);
	if (c->dry)
		*index = end;
	for (uint64_t i = *index; i < end; i++) {
		if (!(c->n_old &&
			    i >> c->shift < c->n_old)) { /* from here on all blocks are alike */
			if (c->tail_unknown)
				add_hole(c, i * DIGEST_BLOCK, MIN(end * DIGEST_BLOCK, c->size));
			break;
		}
		if (old_block(c, i))
			add_hole(c, i * DIGEST_BLOCK, MIN((i + 1) * DIGEST_BLOCK, c->size));
	}
	*index = end;
}

struct piece {
	uint32_t off, len;
};

/* Reads the data in a block with holes, zeros between. */
static int read_mixed(struct content *c, uint64_t from, uint64_t end, struct piece *piece,
	size_t max, size_t *ret_n, struct err *err)
{
	size_t n = 0;

	memset(c->block, 0, DIGEST_BLOCK);
	for (uint64_t off = from; off < end && n < max;) {
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
	*ret_n = n;
	return 0;
}

static int mixed_block(struct content *c, uint64_t index, struct err *err)
{
	uint64_t from = index * DIGEST_BLOCK, end = MIN(from + DIGEST_BLOCK, c->size);
	struct piece piece[DIGEST_BLOCK / 512];
	size_t n = 0;
	int r = read_mixed(c, from, end, piece, ARRAY_SIZE(piece), &n, err);

	if (r < 0)
		return r;
	if (note(c, index, c->block, end - from, digest_u64(piece, n * sizeof(piece[0]))) ==
			old_block(c, index) ||
		c->dry)
		return 0;
	if (old_block(c, index))
		add_hole(c, from, end);
	for (size_t i = 0; i < n; i++)
		tell_data(c, from + piece[i].off, c->block + piece[i].off, piece[i].len);
	return 0;
}

static int dry_blocks(struct content *c, uint64_t index, uint64_t last, struct err *err)
{
	for (uint64_t i = index; i < last; i++) {
		uint64_t from = i * DIGEST_BLOCK;
		ssize_t n = read_at(c, c->block, MIN(DIGEST_BLOCK, c->size - from), from, err);

		if (n < 0)
			return (int)n;
		(void)note(c, i, c->block, (size_t)n, 0);
	}
	return 0;
}

/* Blocks that are all data: read where they will be sent from. A single one is taken back if it is
 * there already. */
static int full_blocks(struct content *c, uint64_t index, uint64_t *last, struct err *err)
{
	uint64_t from = index * DIGEST_BLOCK, end = MIN(*last * DIGEST_BLOCK, c->size), word = 0;
	size_t start;
	unsigned char *p;
	ssize_t n;

	if (c->dry)
		return dry_blocks(c, index, *last, err);
	tell_hole(c);
	start = c->out->len;
	op_begin(c->out, OP_DATA);
	op_u64(c->out, ATTR_OFFSET, from);
	p = op_room(c->out, ATTR_DATA, end - from);
	n = read_at(c, p, end - from, from, err);
	if (n < 0)
		return (int)n;
	for (size_t off = 0; off < (size_t)n; off += DIGEST_BLOCK)
		word = note(c, index + off / DIGEST_BLOCK, p + off,
			MIN((size_t)n - off, DIGEST_BLOCK), 0);
	if (c->short_read) /* of the others nothing is known */
		*last = index + (uint64_t)n / DIGEST_BLOCK;
	if (!n || (*last == index + 1 && word == old_block(c, index))) {
		c->out->len = start;
		return 0;
	}
	op_filled(c->out, (size_t)n);
	op_end(c->out);
	c->sent += (uint64_t)n;
	return 0;
}

static int one_step(struct content *c, uint64_t *index, uint64_t limit, struct err *err)
{
	uint64_t from = *index * DIGEST_BLOCK, last, end = MIN(from + DIGEST_BLOCK, c->size);
	int r = find_data(c, from, err);

	if (r < 0)
		return r;
	if (c->data >= end) {
		skip_hole(c, index, limit);
		return 0;
	}
	if (c->data > from || c->data_end < end) {
		r = mixed_block(c, *index, err);
		(*index)++;
		return r;
	}
	last = c->data_end == c->size ? blocks_of(c->size) : c->data_end / DIGEST_BLOCK;
	/* Where most is the same, small steps waste less. */
	last = MIN(last, *index + (!c->shift && *index < c->n_old ? 1 : BLOCKS_AT_ONCE));
	last = MIN(last, limit);
	r = full_blocks(c, *index, &last, err);
	*index = last;
	return r;
}

static int blocks_to(struct content *c, uint64_t *index, uint64_t limit, struct err *err)
{
	while (*index < limit && !c->short_read) {
		int r = one_step(c, index, limit, err);

		if (r >= 0 && !c->dry) {
			c->n_blocks = (uint32_t)(*index >> c->shift);
			r = c->more(c->ctx, c, err);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

/* Is a group of blocks there as it is here? Then it is passed over. */
static int same_group(struct content *c, uint64_t *index, uint64_t limit, struct err *err)
{
	uint64_t group = *index >> c->shift, i = *index;
	struct digest128 sum = c->sum;
	int r;

	c->dry = true;
	r = blocks_to(c, &i, limit, err);
	c->dry = false;
	if (r < 0)
		return r;
	if (c->short_read || c->blocks[group] != c->old[group]) {
		c->sum = sum;
		c->blocks[group] = 0;
		return 0;
	}
	*index = i;
	return 0;
}

int content_stream(struct content *c, struct err *err)
{
	uint64_t end = blocks_of(c->size), limit = end;
	int r = 0;

	make_table(c);
	if (!c->block)
		c->block = xmalloc(DIGEST_BLOCK);
	for (uint64_t i = 0; i < end && !c->short_read && r >= 0;) {
		if (c->shift && c->n_old) {
			limit = MIN(((i >> c->shift) + 1) << c->shift, end);
			if (i >> c->shift < c->n_old)
				r = same_group(c, &i, limit, err);
		}
		if (r >= 0)
			r = blocks_to(c, &i, limit, err);
	}
	tell_hole(c);
	if (!c->short_read)
		c->n_blocks = (uint32_t)((end + (UINT64_C(1) << c->shift) - 1) >> c->shift);
	return r;
}
