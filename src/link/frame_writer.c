#include "link/frame.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/str.h"
#include "link/frame_wire.h"
#include "link/local.h"
#include "link/squeeze.h"

#define CHUNK_MAX   FRAME_PAYLOAD_MAX	/* content of a frame */
#define DIRECT	    (64u << 10)		/* content that is worth a frame of its own */
#define CHUNK_MIN   (4u << 10)		/* under a slow rate limit */
#define IDLE_LINES  10000		/* in a row that bring nothing new */
#define STILL_EVERY (10 * USEC_PER_SEC) /* or thrice in the patience of both sides */
#define LOOK_EVERY  (1 * USEC_PER_SEC)	/* for lines, while there is nothing to write */
#define ANSWER_WAIT (10 * USEC_PER_SEC) /* for the reason, when the other side reads no more */

struct writer {
	struct frame frame;
	struct lines own, *back; /* back NULL: no way back */
	int out;
	bool socket, ended, broken;
	size_t chunk, n;
	char *buf; /* n bytes, at most chunk */
	uint64_t applied, synced;
	unsigned idle_lines;
	json_t *answer; /* came already */
	struct pace pace;
	struct squeeze *squeeze;
	usec_t blocked;	     /* in the present frame */
	usec_t last, looked; /* when we last wrote, and last looked at what came back */
};

/* The way back */

static int lost(struct writer *w, struct err *err)
{
	if (w->frame.o.lost)
		return w->frame.o.lost(w->frame.o.ctx, err);
	return err_set(
		err, ERR_UNREACHABLE, "the connection to %s was lost", frame_peer(&w->frame));
}

static int broke_rules(struct writer *w, const char *what, struct err *err)
{
	return err_set(err, ERR_PROTOCOL, "%s %s", frame_peer(&w->frame), what);
}

static int on_ack(struct writer *w, const json_t *line, struct err *err)
{
	uint64_t applied = json_get_u64(line, "ack", UINT64_MAX);
	uint64_t synced = json_get_u64(line, "synced", UINT64_MAX);

	if (applied > w->frame.content || synced > applied)
		return broke_rules(w, "acknowledged what it cannot have", err);
	if (applied <= w->applied && synced <= w->synced) {
		if (++w->idle_lines > IDLE_LINES)
			return broke_rules(w, "floods us with acknowledgements", err);
		return 0;
	}
	w->idle_lines = 0;
	w->applied = MAX(w->applied, applied);
	w->synced = MAX(w->synced, synced);
	return 0;
}

/* 1: not for us, line still the caller's. */
static int on_line(struct writer *w, json_t *line, struct err *err)
{
	if (json_object_get(line, "ack"))
		return on_ack(w, line, err);
	if (!json_object_get(line, "wait"))
		return 1;
	return ++w->idle_lines > IDLE_LINES ? broke_rules(w, "floods us with lines", err) : 0;
}

/* The answer has come while there is still something to send. */
static int answered(struct writer *w, struct err *err)
{
	const json_t *error = json_object_get(w->answer, "error");

	if (!error)
		return broke_rules(w, "answered before the data was complete", err);
	local_error_from(error, err);
	return err_prefix(err, "%s", frame_peer(&w->frame));
}

/* Takes in what has come back, without waiting. */
static int take_lines(struct writer *w, struct err *err)
{
	for (unsigned i = 0; w->back && !w->answer && i < IDLE_LINES; i++) {
		_cleanup_json_ json_t *line = NULL;
		int r = lines_try(w->back, &line, err);

		if (r <= 0)
			return r;
		r = on_line(w, line, err);
		if (r < 0)
			return r;
		if (r > 0)
			w->answer = TAKE_PTR(line);
	}
	return 0;
}

static int check_back(struct writer *w, struct err *err)
{
	int r = take_lines(w, err);

	if (r < 0)
		return r;
	if (w->answer)
		return answered(w, err);
	return w->back && w->back->ended ? lost(w, err) : 0;
}

/* Nobody reads any more. Most often it said why before it went. */
static int reader_gone(struct writer *w, struct err *err)
{
	usec_t deadline = clock_deadline(ANSWER_WAIT);

	while (w->back && !w->answer) {
		_cleanup_json_ json_t *line = NULL;
		struct err why = ERR_INIT;
		int r = frame_await(&w->frame.stream, deadline, &line, &why);

		if (r == -ERR_CANCELLED || r == -ERR_PROTOCOL)
			return err_copy(err, &why);
		if (r <= 0)
			break;
		if (!json_object_get(line, "wait"))
			w->answer = TAKE_PTR(line);
	}
	return w->answer ? answered(w, err) : lost(w, err);
}

int frame_await(struct stream *s, usec_t deadline, json_t **ret, struct err *err)
{
	struct writer *w = (struct writer *)s;

	if (w->answer) {
		*ret = TAKE_PTR(w->answer);
		return 1;
	}
	while (w->back) {
		_cleanup_json_ json_t *line = NULL;
		int r = lines_next(w->back, deadline, &line, err);

		if (r <= 0)
			return r;
		if (json_object_get(line, "ack")) {
			r = on_ack(w, line, err);
			if (r < 0)
				return r;
			continue;
		}
		*ret = TAKE_PTR(line);
		return 1;
	}
	return 0;
}

/* Writing */

static int wait_writable(struct writer *w, usec_t deadline, struct err *err)
{
	struct pollfd pfd[3] = {{.fd = w->out, .events = POLLOUT},
		{.fd = w->back ? w->back->fd : -1, .events = POLLIN},
		{.fd = cancel_fd(), .events = POLLIN}};
	usec_t before = clock_now();
	int r = cancel_check(err);

	if (r < 0)
		return r;
	r = poll(pfd, 3, clock_poll_ms(deadline));
	w->blocked += clock_now() - before;
	if (r < 0 && errno != EINTR)
		return err_errno(err, "poll");
	r = check_back(w, err);
	if (r < 0)
		return r;
	if (clock_now() >= deadline)
		return err_set(
			err, ERR_TIMEOUT, "%s took no data for too long", frame_peer(&w->frame));
	return 0;
}

static ssize_t write_some(struct writer *w, struct iovec *iov, size_t n)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n};

	return w->socket ? sendmsg(w->out, &msg, MSG_DONTWAIT | MSG_NOSIGNAL)
			 : writev(w->out, iov, (int)n);
}

static void advance(struct iovec **iov, size_t *n, size_t written)
{
	for (; *n && written >= (*iov)->iov_len; (*iov)++, (*n)--)
		written -= (*iov)->iov_len;
	if (!*n)
		return;
	(*iov)->iov_base = (char *)(*iov)->iov_base + written;
	(*iov)->iov_len -= written;
}

static int write_all(struct writer *w, struct iovec *iov, size_t n, struct err *err)
{
	usec_t deadline = frame_deadline(&w->frame);

	for (;;) {
		ssize_t k = write_some(w, iov, n);
		int r;

		if (k < 0 && (errno == EPIPE || errno == ECONNRESET))
			return reader_gone(w, err);
		if (k < 0 && errno != EAGAIN && errno != EINTR)
			return err_errno(err, "send to %s", frame_peer(&w->frame));
		if (k > 0) {
			deadline = frame_deadline(&w->frame);
			advance(&iov, &n, (size_t)k);
		}
		if (!n)
			return 0;
		r = wait_writable(w, deadline, err);
		if (r < 0)
			return r;
	}
}

static int emit(struct writer *w, enum frame_type type, uint8_t flags, const void *payload,
	size_t n, struct err *err)
{
	struct frame_head h = {.type = (uint8_t)type,
		.flags = flags,
		.length = (uint32_t)n,
		.sequence = w->frame.sequence++};
	unsigned char head[FRAME_HEAD_SIZE], sum[FRAME_DIGEST_SIZE];
	struct iovec iov[] = {
		{head, sizeof(head)}, {(void *)(uintptr_t)payload, n}, {sum, sizeof(sum)}};
	uint64_t bytes = sizeof(head) + n + sizeof(sum);
	usec_t before = clock_now();

	if (w->frame.o.rate)
		rate_take(w->frame.o.rate, bytes);
	bwlimit_take(w->frame.o.bwlimit, bytes);
	w->last = clock_now();
	w->blocked += w->last - before;
	frame_put_head(&h, head);
	frame_sum(&w->frame, head, payload, n, sum);
	if (type == FRAME_DATA)
		frame_add(&w->frame, sum);
	w->frame.wire += bytes;
	return write_all(w, iov, ARRAY_SIZE(iov), err);
}

/* One frame of content. */
static int send_piece(struct writer *w, const void *buf, size_t n, struct err *err)
{
	int level = w->frame.o.zstd_level < 0 ? pace_level(&w->pace) : w->frame.o.zstd_level;
	usec_t begin = clock_now();
	const void *small = NULL;
	size_t n_small;
	int r;

	w->frame.content += n;
	w->blocked = 0;
	if (level > 0)
		small = squeeze_run(w->squeeze, level, buf, n, &n_small);
	if (small)
		r = emit(w, FRAME_DATA, FRAME_ZSTD, small, n_small, err);
	else
		r = emit(w, FRAME_DATA, 0, buf, n, err);
	pace_add(&w->pace, n, small ? n_small : n, clock_now() - begin, w->blocked);
	return r;
}

/* After a failure the other side holds half a frame: nothing can follow. */
static int check_usable(struct writer *w, struct err *err)
{
	int r;

	if (w->ended || w->broken)
		return err_set(err, ERR_INTERNAL, "the stream to %s has already ended",
			frame_peer(&w->frame));
	w->broken = true; /* until this call has succeeded */
	r = cancel_check(err);
	if (r >= 0)
		r = fault_point("link.frame.send.before", err);
	return r < 0 ? r : check_back(w, err);
}

static int piece(struct writer *w, const void *buf, size_t n, struct err *err)
{
	int r = check_usable(w, err);

	if (r >= 0)
		r = send_piece(w, buf, n, err);
	w->broken = r < 0;
	return r;
}

/* Nothing to write: looks, at most once a second, and speaks up when it was silent for long. */
static int keep_alive(struct writer *w, struct err *err)
{
	usec_t idle = w->frame.o.idle, now = clock_now();
	int r;

	if (w->ended || now - w->looked < LOOK_EVERY)
		return 0;
	w->looked = now;
	r = check_usable(w, err);
	if (r >= 0 && now - w->last >= MIN(STILL_EVERY, idle ? idle / 3 : STILL_EVERY))
		r = emit(w, FRAME_STILL, 0, NULL, 0, err);
	w->broken = r < 0;
	return r;
}

static int writer_flush(struct stream *s, struct err *err)
{
	struct writer *w = (struct writer *)s;
	size_t n = w->n;

	w->n = 0;
	return n ? piece(w, w->buf, n, err) : keep_alive(w, err);
}

static int writer_write(struct stream *s, const void *buf, size_t n, struct err *err)
{
	struct writer *w = (struct writer *)s;
	size_t direct = MIN((size_t)DIRECT, w->chunk);
	const char *p = buf;
	int r = 0;

	while (n && r >= 0) {
		size_t k = MIN(n, w->chunk - w->n);

		if (n >= direct) { /* long enough to go as it is, without a copy */
			r = w->n ? writer_flush(s, err) : 0;
			k = MIN(n, w->chunk);
			if (r >= 0)
				r = piece(w, p, k, err);
		} else {
			memcpy(w->buf + w->n, p, k);
			w->n += k;
			if (w->n == w->chunk)
				r = writer_flush(s, err);
		}
		p += k;
		n -= k;
	}
	return r;
}

static int writer_end(struct stream *s, struct err *err)
{
	struct writer *w = (struct writer *)s;
	unsigned char end[FRAME_END_SIZE];
	int r = check_usable(w, err);

	if (r < 0)
		return r;
	frame_put_end(&w->frame, end);
	r = emit(w, FRAME_END, 0, end, sizeof(end), err);
	w->broken = r < 0;
	w->ended = r >= 0;
	return r;
}

static int writer_acked(
	struct stream *s, uint64_t *ret_applied, uint64_t *ret_synced, struct err *err)
{
	struct writer *w = (struct writer *)s;
	int r = take_lines(w, err);

	if (r < 0)
		return r;
	if (w->answer && !w->ended)
		return answered(w, err);
	*ret_applied = w->applied;
	*ret_synced = w->synced;
	return 0;
}

static void writer_free(struct stream *s)
{
	struct writer *w = (struct writer *)s;

	frame_done(&w->frame);
	lines_done(&w->own);
	squeeze_free(w->squeeze);
	json_decref(w->answer);
	free(w->buf);
	free(w);
}

static const struct stream_ops writer_ops = {
	.name = "frame writer",
	.write = writer_write,
	.flush = writer_flush,
	.end = writer_end,
	.acked = writer_acked,
	.free = writer_free,
};

/* Small enough under a slow limit that the link is not silent for long between two. */
static size_t chunk_of(const struct frame_opts *o)
{
	uint64_t rate = UINT64_MAX;

	if (o->rate && o->rate->bytes_per_sec)
		rate = o->rate->bytes_per_sec;
	if (o->bwlimit)
		rate = MIN(rate, bwlimit_rate(o->bwlimit));
	return MIN(MAX(rate / 10, CHUNK_MIN), CHUNK_MAX);
}

static struct writer *writer_new(int fd_out, const struct frame_opts *o)
{
	struct writer *w = xnew(struct writer);
	struct stat st;

	frame_init(&w->frame, &writer_ops, o);
	w->out = fd_out;
	w->socket = fstat(fd_out, &st) == 0 && S_ISSOCK(st.st_mode);
	w->chunk = chunk_of(o);
	w->buf = xmalloc(w->chunk);
	w->squeeze = o->zstd_level ? squeeze_new() : NULL;
	pace_init(&w->pace);
	w->last = w->looked = clock_now();
	fd_unblock_pipe(fd_out);
	fd_widen_pipe(fd_out);
	signal(SIGPIPE, SIG_IGN); /* a reader that went is an error, not our end */
	return w;
}

struct stream *frame_writer_over(struct lines *back, int fd_out, const struct frame_opts *o)
{
	struct writer *w = writer_new(fd_out, o);

	w->back = back;
	return &w->frame.stream;
}

struct stream *frame_writer_new(int fd_in, int fd_out, const struct frame_opts *o)
{
	struct writer *w = writer_new(fd_out, o);

	w->own = (struct lines)LINES_INIT(fd_in);
	w->back = fd_in >= 0 ? &w->own : NULL;
	return &w->frame.stream;
}
