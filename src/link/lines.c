#include "link/lines.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/fd.h"
#include "base/str.h"

#define READ_SIZE 16384

void lines_done(struct lines *l)
{
	free(l->buf);
	l->buf = NULL;
	l->from = l->seen = l->to = l->cap = 0;
}

static void make_room(struct lines *l)
{
	if (l->from == l->to)
		l->from = l->seen = l->to = 0;
	if (l->cap - l->to >= READ_SIZE)
		return;
	if (l->from)
		memmove(l->buf, l->buf + l->from, l->to - l->from);
	l->seen -= l->from;
	l->to -= l->from;
	l->from = 0;
	while (l->cap - l->to < READ_SIZE) {
		l->cap = l->cap ? l->cap * 2 : READ_SIZE;
		l->buf = xreallocarray(l->buf, l->cap, 1);
	}
}

/* Reads what is there, without waiting. */
static int fill(struct lines *l, struct err *err)
{
	struct pollfd pfd = {.fd = l->fd, .events = POLLIN};
	ssize_t n;

	if (poll(&pfd, 1, 0) <= 0 || !pfd.revents)
		return 0;
	make_room(l);
	n = read(l->fd, l->buf + l->to, READ_SIZE);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	/* Reset: the other side went while something of ours was under way to it. */
	if (n < 0 && errno != ECONNRESET)
		return err_errno(err, "read an answer");
	if (n <= 0)
		l->ended = true;
	else
		l->to += (size_t)n;
	return 0;
}

static int parse(const char *text, size_t n, json_t **ret, struct err *err)
{
	_cleanup_json_ json_t *v = NULL;
	_cleanup_free_ char *shown = NULL;
	int r = json_parse(text, n, LINES_MAX, &v, err);

	if (r >= 0 && json_is_object(v)) {
		*ret = TAKE_PTR(v);
		return 1;
	}
	shown = str_escape(text, MIN(n, (size_t)160));
	return err_set(err, ERR_PROTOCOL, "not an answer of Wherry: \"%s\"", shown);
}

/* 1 with the next whole line of the buffer, 0 if there is none. */
static int take(struct lines *l, json_t **ret, struct err *err)
{
	char *start, *newline = NULL;

	if (l->from == l->to)
		return 0;
	start = l->buf + l->from;
	if (l->seen < l->to)
		newline = memchr(l->buf + l->seen, '\n', l->to - l->seen);
	l->seen = l->to;
	if (newline ? newline - start >= LINES_MAX : l->to - l->from >= LINES_MAX)
		return err_set(err, ERR_PROTOCOL, "an answer longer than %d bytes", LINES_MAX);
	if (!newline)
		return 0;
	l->from = l->seen = (size_t)(newline - l->buf) + 1;
	return parse(start, (size_t)(newline - start), ret, err);
}

int lines_try(struct lines *l, json_t **ret, struct err *err)
{
	int r = take(l, ret, err);

	if (r != 0 || l->ended)
		return r;
	r = fill(l, err);
	return r < 0 ? r : take(l, ret, err);
}

int lines_next(struct lines *l, usec_t deadline, json_t **ret, struct err *err)
{
	for (;;) {
		struct pollfd pfd[2] = {
			{.fd = l->fd, .events = POLLIN}, {.fd = cancel_fd(), .events = POLLIN}};
		int r = cancel_check(err);

		if (r >= 0)
			r = lines_try(l, ret, err);
		if (r != 0 || l->ended)
			return r;
		r = poll(pfd, 2, clock_poll_ms(deadline));
		if (r < 0 && errno != EINTR)
			return err_errno(err, "poll");
		if (clock_now() >= deadline) /* also when a part of a line came just now */
			return err_set(err, ERR_TIMEOUT, "no answer in time");
	}
}

int lines_write(int fd, json_t *line, usec_t idle, struct err *err)
{
	_cleanup_json_ json_t *owned = line;
	_cleanup_free_ char *text = json_text(owned);
	size_t n = strlen(text);

	if (n + 1 > LINES_MAX)
		return err_set(err, ERR_INTERNAL, "a line of %zu bytes is over the limit of %d", n,
			LINES_MAX);
	text[n] = '\n'; /* over the NUL */
	return fd_write_all(fd, text, n + 1, idle, err);
}
