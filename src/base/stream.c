#include "base/stream.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"

ssize_t stream_read(struct stream *s, void *buf, size_t n, struct err *err)
{
	ssize_t k;

	if (!s->ops->read)
		return err_set(err, ERR_INTERNAL, "%s: not for reading", s->ops->name);
	k = s->ops->read(s, buf, n, err);
	if (k > 0)
		s->n_read += (uint64_t)k;
	return k;
}

int stream_read_full(struct stream *s, void *buf, size_t n, struct err *err)
{
	size_t got = 0;

	while (got < n) {
		ssize_t k = stream_read(s, (char *)buf + got, n - got, err);

		if (k < 0)
			return (int)k;
		if (k == 0)
			return err_set(err, ERR_PROTOCOL,
				"the stream ended too early, after %llu bytes",
				(unsigned long long)s->n_read);
		got += (size_t)k;
	}
	return 0;
}

int stream_write(struct stream *s, const void *buf, size_t n, struct err *err)
{
	int r;

	if (!s->ops->write)
		return err_set(err, ERR_INTERNAL, "%s: not for writing", s->ops->name);
	r = s->ops->write(s, buf, n, err);
	if (r >= 0)
		s->n_written += n;
	return r;
}

int stream_flush(struct stream *s, struct err *err)
{
	return s->ops->flush ? s->ops->flush(s, err) : 0;
}

int stream_end(struct stream *s, struct err *err)
{
	int r = stream_flush(s, err);

	if (r < 0 || !s->ops->end)
		return r;
	return s->ops->end(s, err);
}

int stream_ack(struct stream *s, uint64_t offset, bool synced, struct err *err)
{
	return s->ops->ack ? s->ops->ack(s, offset, synced, err) : 0;
}

int stream_acked(struct stream *s, uint64_t *ret_applied, uint64_t *ret_synced, struct err *err)
{
	if (s->ops->acked)
		return s->ops->acked(s, ret_applied, ret_synced, err);
	*ret_applied = *ret_synced = 0;
	return 0;
}

void stream_free(struct stream *s)
{
	if (s)
		s->ops->free(s);
}

void stream_freep(struct stream **s)
{
	stream_free(*s);
}

/* Descriptors */

struct fd_stream {
	struct stream stream;
	int in, out; /* may be the same one */
	usec_t idle;
};

static ssize_t fd_stream_read(struct stream *s, void *buf, size_t n, struct err *err)
{
	struct fd_stream *f = (struct fd_stream *)s;

	if (f->in < 0)
		return err_set(err, ERR_INTERNAL, "this stream is not for reading");
	return fd_read_some(f->in, buf, n, f->idle, err);
}

static int fd_stream_write(struct stream *s, const void *buf, size_t n, struct err *err)
{
	struct fd_stream *f = (struct fd_stream *)s;

	if (f->out < 0)
		return err_set(err, ERR_INTERNAL, "this stream is not for writing, or has ended");
	return fd_write_all(f->out, buf, n, f->idle, err);
}

static int fd_stream_end(struct stream *s, struct err *err)
{
	struct fd_stream *f = (struct fd_stream *)s;
	struct stat st;
	int out = f->out;

	if (out < 0)
		return 0;
	f->out = -1;
	if (fstat(out, &st) == 0 && S_ISSOCK(st.st_mode) && shutdown(out, SHUT_WR) < 0) {
		err_errno(err, "end the stream");
		if (out != f->in)
			close(out);
		return -(int)err->code;
	}
	if (out != f->in)
		close(out);
	return 0;
}

static void fd_stream_free(struct stream *s)
{
	struct fd_stream *f = (struct fd_stream *)s;

	if (f->out >= 0 && f->out != f->in)
		close(f->out);
	if (f->in >= 0)
		close(f->in);
	free(f);
}

static const struct stream_ops fd_ops = {
	.name = "descriptor",
	.read = fd_stream_read,
	.write = fd_stream_write,
	.end = fd_stream_end,
	.free = fd_stream_free,
};

struct stream *stream_fd_new(int fd_in, int fd_out, usec_t idle)
{
	struct fd_stream *f = xnew(struct fd_stream);

	*f = (struct fd_stream){.stream.ops = &fd_ops, .in = fd_in, .out = fd_out, .idle = idle};
	fd_unblock_pipe(fd_in);
	fd_unblock_pipe(fd_out);
	return &f->stream;
}

/* Memory */

struct mem_stream {
	struct stream stream;
	char *input;
	size_t n, pos;
	struct str output;
};

static ssize_t mem_read(struct stream *s, void *buf, size_t n, struct err *err)
{
	struct mem_stream *m = (struct mem_stream *)s;

	(void)err;
	n = MIN(n, m->n - m->pos);
	memcpy(buf, m->input + m->pos, n);
	m->pos += n;
	return (ssize_t)n;
}

static int mem_write(struct stream *s, const void *buf, size_t n, struct err *err)
{
	struct mem_stream *m = (struct mem_stream *)s;

	(void)err;
	str_addn(&m->output, buf, n);
	return 0;
}

static void mem_free(struct stream *s)
{
	struct mem_stream *m = (struct mem_stream *)s;

	free(m->input);
	str_done(&m->output);
	free(m);
}

static const struct stream_ops mem_ops = {
	.name = "memory",
	.read = mem_read,
	.write = mem_write,
	.free = mem_free,
};

struct stream *stream_mem_new(const void *input, size_t n)
{
	struct mem_stream *m = xnew(struct mem_stream);

	*m = (struct mem_stream){.stream.ops = &mem_ops, .input = xmemdup(input, n), .n = n};
	return &m->stream;
}

const void *stream_mem_data(struct stream *s, size_t *ret_n)
{
	struct mem_stream *m = (struct mem_stream *)s;

	*ret_n = m->output.len;
	return m->output.buf ? m->output.buf : "";
}
