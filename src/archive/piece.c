#include "archive/piece.h"

#include <string.h>

#include "base/alloc.h"
#include "base/json.h"

#define HEAD	 4u
#define DATA_MAX (256u << 10) /* of what is written */

static int put_head(struct stream *s, enum piece_type type, size_t n, struct err *err)
{
	unsigned char h[HEAD] = {(unsigned char)type, n & 0xff, n >> 8 & 0xff, n >> 16 & 0xff};

	return stream_write(s, h, sizeof(h), err);
}

static int get_head(struct stream *s, enum piece_type *ret_type, size_t *ret_n, struct err *err)
{
	unsigned char h[HEAD];
	int r = stream_read_full(s, h, sizeof(h), err);
	size_t n;

	if (r < 0)
		return r;
	n = h[1] | (size_t)h[2] << 8 | (size_t)h[3] << 16;
	if (h[0] < PIECE_HEAD || h[0] >= PIECE_TYPE_MAX || n > PIECE_MAX)
		return err_set(err, ERR_CORRUPT, "the archive has a piece of an unknown kind");
	*ret_type = h[0];
	*ret_n = n;
	return 0;
}

int piece_write(struct stream *s, enum piece_type type, const json_t *v, struct err *err)
{
	_cleanup_free_ char *text = json_text(v);
	size_t n = strlen(text);
	int r;

	if (n > PIECE_MAX)
		return err_set(err, ERR_UNSUPPORTED,
			"the container's configuration is too long for an archive");
	r = put_head(s, type, n, err);
	return r < 0 ? r : stream_write(s, text, n, err);
}

int piece_read(struct stream *s, enum piece_type *ret_type, json_t **ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	enum piece_type type;
	size_t n;
	int r = get_head(s, &type, &n, err);

	if (r < 0)
		return r;
	if (type == PIECE_DATA)
		return err_set(err, ERR_CORRUPT, "the archive has data where none belong");
	text = xmalloc(n + 1);
	r = stream_read_full(s, text, n, err);
	if (r < 0)
		return r;
	r = json_parse(text, n, PIECE_MAX, ret, err);
	if (r >= 0 && !json_is_object(*ret)) {
		json_decref(*ret);
		*ret = NULL;
		r = err_set(err, ERR_CORRUPT, "not an object");
	}
	if (r < 0)
		return err_prefix(err, "the archive");
	*ret_type = type;
	return 0;
}

/* Data */

struct data {
	struct stream s;
	struct stream *under;
	char *buf;
	size_t n;   /* writer: bytes in buf; reader: bytes left of the piece */
	bool ended; /* reader: the empty one has come */
	int (*check)(void *ctx, uint64_t bytes, struct err *err);
	void *ctx;
};

static int data_flush(struct stream *s, struct err *err)
{
	struct data *d = (struct data *)s;
	int r;

	if (d->n == 0)
		return stream_flush(d->under, err);
	r = put_head(d->under, PIECE_DATA, d->n, err);
	if (r >= 0)
		r = stream_write(d->under, d->buf, d->n, err);
	d->n = 0;
	return r;
}

static int data_write(struct stream *s, const void *buf, size_t n, struct err *err)
{
	struct data *d = (struct data *)s;
	const char *p = buf;

	while (n > 0) {
		size_t k = MIN(n, DATA_MAX - d->n);
		int r = 0;

		memcpy(d->buf + d->n, p, k);
		d->n += k;
		p += k;
		n -= k;
		if (d->n == DATA_MAX)
			r = data_flush(s, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int data_end(struct stream *s, struct err *err)
{
	struct data *d = (struct data *)s;
	int r = d->n ? data_flush(s, err) : 0;

	return r < 0 ? r : put_head(d->under, PIECE_DATA, 0, err);
}

static int next_piece(struct data *d, struct err *err)
{
	enum piece_type type;
	int r = get_head(d->under, &type, &d->n, err);

	if (r >= 0 && type != PIECE_DATA)
		return err_set(err, ERR_CORRUPT, "the archive has something amid the data");
	if (r < 0)
		return r;
	d->ended = d->n == 0;
	return d->check && d->n ? d->check(d->ctx, d->n, err) : 0;
}

static ssize_t data_read(struct stream *s, void *buf, size_t n, struct err *err)
{
	struct data *d = (struct data *)s;
	ssize_t k;
	int r;

	if (d->n == 0 && !d->ended) {
		r = next_piece(d, err);
		if (r < 0)
			return r;
	}
	if (d->ended || n == 0)
		return 0;
	k = stream_read(d->under, buf, MIN(n, d->n), err);
	if (k == 0)
		return err_set(err, ERR_CORRUPT, "the archive ends in the middle of its data");
	if (k > 0)
		d->n -= (size_t)k;
	return k;
}

static void data_free(struct stream *s)
{
	struct data *d = (struct data *)s;

	free(d->buf);
	free(d);
}

static const struct stream_ops data_ops = {
	.name = "archive",
	.read = data_read,
	.write = data_write,
	.flush = data_flush,
	.end = data_end,
	.free = data_free,
};

struct stream *piece_writer_new(struct stream *s)
{
	struct data *d = xnew(struct data);

	d->s.ops = &data_ops;
	d->under = s;
	d->buf = xmalloc(DATA_MAX);
	return &d->s;
}

struct stream *piece_reader_new(
	struct stream *s, int (*check)(void *ctx, uint64_t bytes, struct err *err), void *ctx)
{
	struct data *d = xnew(struct data);

	d->s.ops = &data_ops;
	d->under = s;
	d->check = check;
	d->ctx = ctx;
	return &d->s;
}
