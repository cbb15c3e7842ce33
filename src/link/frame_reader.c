#include "link/frame.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/str.h"
#include "link/frame_wire.h"
#include "link/squeeze.h"

#define STILL_MAX 100000 /* in a row */

struct reader {
	struct frame frame;
	int in, out; /* out -1: no way back, or nobody listens there any more */
	bool in_socket, out_socket, ended;
	char *wire; /* payload and digest of a frame */
	struct expand *expand;
	unsigned still;
	const char *piece; /* checked content; left bytes of it are not handed out yet */
	size_t left;
	char ack[96]; /* a line on its way out: bytes from ack_at to ack_n */
	size_t ack_at, ack_n;
	uint64_t applied, synced;	    /* the newest */
	uint64_t said_applied, said_synced; /* in the last line */
};

/* Acknowledgements */

static bool ack_pending(const struct reader *r)
{
	return r->out >= 0 && (r->ack_at < r->ack_n || r->applied != r->said_applied ||
				      r->synced != r->said_synced);
}

static void next_ack(struct reader *r)
{
	r->said_applied = r->applied;
	r->said_synced = r->synced;
	r->ack_at = 0;
	r->ack_n = (size_t)snprintf(r->ack, sizeof(r->ack), "{\"ack\":%llu,\"synced\":%llu}\n",
		(unsigned long long)r->applied, (unsigned long long)r->synced);
}

/* Sends what can go without waiting. A writer that has gone is noticed by reading. */
static void push_acks(struct reader *r)
{
	while (ack_pending(r)) {
		const char *from;
		ssize_t k;

		if (r->ack_at == r->ack_n)
			next_ack(r);
		from = r->ack + r->ack_at;
		k = r->out_socket
			    ? send(r->out, from, r->ack_n - r->ack_at, MSG_DONTWAIT | MSG_NOSIGNAL)
			    : write(r->out, from, r->ack_n - r->ack_at);
		if (k < 0 && errno == EAGAIN)
			return;
		if (k < 0 && errno != EINTR)
			r->out = -1;
		else if (k > 0)
			r->ack_at += (size_t)k;
	}
}

/* Until there is something to read, if reading, or all acknowledgements are out. */
static int wait_for(struct reader *r, bool reading, usec_t deadline, struct err *err)
{
	struct pollfd pfd[3] = {{.fd = reading ? r->in : -1, .events = POLLIN},
		{.fd = ack_pending(r) ? r->out : -1, .events = POLLOUT},
		{.fd = cancel_fd(), .events = POLLIN}};
	int n = cancel_check(err);

	if (n < 0)
		return n;
	n = poll(pfd, 3, clock_poll_ms(deadline));
	if (n < 0 && errno != EINTR)
		return err_errno(err, "poll");
	if (n > 0 && pfd[1].revents)
		push_acks(r);
	if (n == 0 && clock_now() >= deadline)
		return err_set(err, ERR_TIMEOUT, "%s %s for too long", frame_peer(&r->frame),
			reading ? "sent no data" : "takes no acknowledgements");
	return 0;
}

static int reader_flush(struct stream *s, struct err *err)
{
	struct reader *r = (struct reader *)s;
	usec_t deadline = frame_deadline(&r->frame);

	for (;;) {
		int n;

		push_acks(r);
		if (!ack_pending(r))
			return 0;
		n = wait_for(r, false, deadline, err);
		if (n < 0)
			return n;
	}
}

static int reader_ack(struct stream *s, uint64_t offset, bool synced, struct err *err)
{
	struct reader *r = (struct reader *)s;

	if (offset > s->n_read)
		return err_set(err, ERR_INTERNAL, "acknowledged more than was read");
	r->applied = MAX(r->applied, offset);
	if (synced)
		r->synced = MAX(r->synced, offset);
	push_acks(r);
	return 0;
}

/* Frames */

static int broken_off(const struct reader *r, struct err *err)
{
	return err_set(err, ERR_UNREACHABLE, "the stream from %s was broken off after %llu bytes",
		frame_peer(&r->frame), (unsigned long long)r->frame.content);
}

static int bad_frame(const struct reader *r, enum err_code code, const char *what, struct err *err)
{
	return err_set(err, code, "%s sent a bad stream: %s after %llu bytes",
		frame_peer(&r->frame), what, (unsigned long long)r->frame.content);
}

static int fill(struct reader *r, void *buf, size_t n, struct err *err)
{
	usec_t deadline = frame_deadline(&r->frame);
	size_t got = 0;

	while (got < n) {
		char *to = (char *)buf + got;
		ssize_t k = r->in_socket ? recv(r->in, to, n - got, MSG_DONTWAIT)
					 : read(r->in, to, n - got);

		if (k == 0 || (k < 0 && errno == ECONNRESET))
			return broken_off(r, err);
		if (k > 0) {
			got += (size_t)k;
			deadline = frame_deadline(&r->frame);
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return err_errno(err, "receive from %s", frame_peer(&r->frame));
		k = wait_for(r, true, deadline, err);
		if (k < 0)
			return (int)k;
	}
	r->frame.wire += n;
	return 0;
}

static int check_head(struct reader *r, const struct frame_head *h, struct err *err)
{
	if (h->sequence != r->frame.sequence)
		return bad_frame(r, ERR_PROTOCOL, "a piece is missing or repeated", err);
	if (h->type == FRAME_STILL && !h->flags && !h->reserved && !h->length)
		return 0;
	if (h->reserved || h->length == 0 || h->length > FRAME_PAYLOAD_MAX)
		return bad_frame(r, ERR_PROTOCOL, "a piece of impossible size", err);
	if (h->type == FRAME_DATA && (h->flags & ~FRAME_ZSTD) == 0)
		return 0;
	if (h->type == FRAME_END && h->flags == 0 && h->length == FRAME_END_SIZE)
		return 0;
	return bad_frame(r, ERR_PROTOCOL, "a piece of unknown kind", err);
}

static int take_data(struct reader *r, const struct frame_head *h, struct err *err)
{
	size_t n = h->length;

	r->piece = r->wire;
	if (h->flags & FRAME_ZSTD) {
		if (!r->expand)
			r->expand = expand_new(FRAME_PAYLOAD_MAX);
		r->piece = expand_run(r->expand, r->wire, h->length, &n);
		if (!r->piece)
			return bad_frame(r, ERR_CORRUPT, "a piece that cannot be expanded", err);
	}
	r->frame.content += n;
	r->left = n;
	return 0;
}

static int take_end(struct reader *r, struct err *err)
{
	unsigned char mine[FRAME_END_SIZE];

	frame_put_end(&r->frame, mine);
	if (memcmp(mine, r->wire, sizeof(mine)) != 0)
		return bad_frame(r, ERR_CORRUPT, "the digest of everything does not match", err);
	r->ended = true;
	return 0;
}

/* One frame. Content goes to buf directly if it and its digest fit in there, *ret_n then is its
 * length, 0 otherwise. */
static int next_frame(struct reader *r, char *buf, size_t room, size_t *ret_n, struct err *err)
{
	char *payload = r->wire;
	unsigned char head[FRAME_HEAD_SIZE], sum[FRAME_DIGEST_SIZE];
	struct frame_head h;
	int k = fault_point("link.frame.receive.before", err);

	if (k >= 0)
		k = fill(r, head, sizeof(head), err);
	if (k < 0)
		return k;
	if (!frame_get_head(head, &h))
		return bad_frame(r, ERR_PROTOCOL, "this is no stream of Wherry", err);
	k = check_head(r, &h, err);
	if (k < 0)
		return k;
	if (h.type == FRAME_DATA && !h.flags && room >= h.length + sizeof(sum))
		payload = buf;
	k = fill(r, payload, h.length + sizeof(sum), err);
	if (k < 0)
		return k;
	frame_sum(&r->frame, head, payload, h.length, sum);
	if (memcmp(sum, payload + h.length, sizeof(sum)) != 0)
		return bad_frame(r, ERR_CORRUPT, "the digest of a piece does not match", err);
	r->frame.sequence++;
	if (h.type == FRAME_STILL)
		return ++r->still > STILL_MAX
			       ? bad_frame(r, ERR_PROTOCOL, "nothing but signs of life", err)
			       : 0;
	r->still = 0;
	if (h.type == FRAME_END)
		return take_end(r, err);
	frame_add(&r->frame, sum);
	if (payload == r->wire)
		return take_data(r, &h, err);
	r->frame.content += h.length;
	*ret_n = h.length;
	return 0;
}

static ssize_t reader_read(struct stream *s, void *buf, size_t n, struct err *err)
{
	struct reader *r = (struct reader *)s;
	int k = cancel_check(err);

	size_t direct = 0;

	push_acks(r);
	while (k >= 0 && !r->left && !r->ended && !direct) {
		k = next_frame(r, buf, n, &direct, err);
		if (k >= 0)
			k = cancel_check(err);
	}
	if (k < 0)
		return k;
	if (direct)
		return (ssize_t)direct;
	n = MIN(n, r->left);
	if (!n) /* piece may be NULL */
		return 0;
	memcpy(buf, r->piece, n);
	r->piece += n;
	r->left -= n;
	return (ssize_t)n;
}

static void reader_free(struct stream *s)
{
	struct reader *r = (struct reader *)s;

	frame_done(&r->frame);
	expand_free(r->expand);
	free(r->wire);
	free(r);
}

static const struct stream_ops reader_ops = {
	.name = "frame reader",
	.read = reader_read,
	.flush = reader_flush,
	.ack = reader_ack,
	.free = reader_free,
};

static bool is_socket(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

struct stream *frame_reader_new(int fd_in, int fd_out, const struct frame_opts *o)
{
	struct reader *r = xnew(struct reader);

	frame_init(&r->frame, &reader_ops, o);
	r->in = fd_in;
	r->out = fd_out;
	r->in_socket = is_socket(fd_in);
	r->out_socket = is_socket(fd_out);
	r->wire = xmalloc(FRAME_PAYLOAD_MAX + FRAME_DIGEST_SIZE);
	fd_unblock_pipe(fd_in);
	fd_widen_pipe(fd_in);
	fd_unblock_pipe(fd_out);
	return &r->frame.stream;
}
