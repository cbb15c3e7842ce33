#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base/cancel.h"

#define PIPE_SIZE (1 << 20) /* what users may have without asking */

/*
 * How a descriptor is read and written without ever being stuck in the call: a socket per call,
 * what is non-blocking as it is; of a blocking pipe only what poll promises, one page.
 */
struct mode {
	int fd;
	bool socket;
	bool try_first; /* a call cannot block: poll only after EAGAIN */
	size_t most;	/* bytes of one write */
};

static struct mode mode_of(int fd)
{
	struct mode m = {.fd = fd, .most = SSIZE_MAX};
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	m.try_first = flags < 0 || (flags & O_NONBLOCK); /* a bad one fails at once */
	if (fstat(fd, &st) < 0)
		return m;
	m.socket = S_ISSOCK(st.st_mode);
	m.try_first = m.try_first || m.socket || S_ISREG(st.st_mode) || S_ISBLK(st.st_mode);
	if (!m.try_first)
		m.most = PIPE_BUF;
	return m;
}

/* Until fd is ready, or cancelled, or the deadline. */
static int wait_ready(int fd, short events, usec_t deadline, struct err *err)
{
	for (;;) {
		struct pollfd pfd[2] = {
			{.fd = fd, .events = events}, {.fd = cancel_fd(), .events = POLLIN}};
		int r = cancel_check(err);

		if (r < 0)
			return r;
		r = poll(pfd, 2, clock_poll_ms(deadline));
		if (r < 0 && errno != EINTR)
			return err_errno(err, "poll");
		if (r > 0 && pfd[0].revents)
			return cancel_check(err);
		if (r == 0 && clock_now() >= deadline)
			return err_set(err, ERR_TIMEOUT, "nothing moved before the deadline");
	}
}

static void ignore_sigpipe(void)
{
	signal(SIGPIPE, SIG_IGN);
}

int fd_write_all(int fd, const void *buf, size_t n, usec_t idle, struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct mode m = mode_of(fd);
	const char *p = buf;
	int r = cancel_check(err);

	pthread_once(&once, ignore_sigpipe);
	if (r < 0)
		return r;
	if (n && !m.try_first && (r = wait_ready(fd, POLLOUT, clock_deadline(idle), err)) < 0)
		return r;
	while (n) {
		size_t part = MIN(n, m.most);
		ssize_t k = m.socket ? send(fd, p, part, MSG_DONTWAIT | MSG_NOSIGNAL)
				     : write(fd, p, part);

		if (k < 0 && errno != EAGAIN && errno != EINTR)
			return err_errno(err, "write");
		if (k > 0) {
			p += k;
			n -= (size_t)k;
		}
		if (n && (k < 0 || !m.try_first)) {
			r = wait_ready(fd, POLLOUT, clock_deadline(idle), err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static ssize_t read_some(const struct mode *m, void *buf, size_t n, usec_t idle, struct err *err)
{
	bool ready = m->try_first;
	int r = cancel_check(err);

	if (r < 0)
		return r;
	for (;;) {
		ssize_t k;

		if (!ready) {
			r = wait_ready(m->fd, POLLIN, clock_deadline(idle), err);
			if (r < 0)
				return r;
		}
		k = m->socket ? recv(m->fd, buf, n, MSG_DONTWAIT) : read(m->fd, buf, n);
		if (k >= 0)
			return k;
		if (errno != EAGAIN && errno != EINTR)
			return err_errno(err, "read");
		ready = false;
	}
}

ssize_t fd_read_some(int fd, void *buf, size_t n, usec_t idle, struct err *err)
{
	struct mode m = mode_of(fd);

	return read_some(&m, buf, n, idle, err);
}

ssize_t fd_read_full(int fd, void *buf, size_t n, bool eof_ok, usec_t idle, struct err *err)
{
	struct mode m = mode_of(fd);
	size_t got = 0;

	while (got < n) {
		ssize_t k = read_some(&m, (char *)buf + got, n - got, idle, err);

		if (k < 0)
			return k;
		if (k == 0 && got == 0 && eof_ok)
			return 0;
		if (k == 0)
			return err_set(
				err, ERR_UNREACHABLE, "ended after %zu of %zu bytes", got, n);
		got += (size_t)k;
	}
	return (ssize_t)got;
}

int fd_cloexec(int fd, bool on, struct err *err)
{
	int flags = fcntl(fd, F_GETFD);

	if (flags < 0 || fcntl(fd, F_SETFD, on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC) < 0)
		return err_errno(err, "set close-on-exec");
	return 0;
}

void fd_unblock_pipe(int fd)
{
	struct stat st;
	int flags;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
		return;
	flags = fcntl(fd, F_GETFL);
	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

void fd_widen_pipe(int fd)
{
	int size = fcntl(fd, F_GETPIPE_SZ);

	if (size > 0 && size < PIPE_SIZE)
		(void)fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);
}

int fd_pipe(int ret[2], struct err *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_errno(err, "make a pipe");
	fd_widen_pipe(fds[1]);
	ret[0] = fds[0];
	ret[1] = fds[1];
	return 0;
}

static bool is_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_NONBLOCK);
}

void fd_write_back(int fd)
{
	const unsigned all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
			     SYNC_FILE_RANGE_WAIT_AFTER;

	/* What fails here fails again where it is read. */
	if (sync_file_range(fd, 0, 0, all) < 0)
		(void)fdatasync(fd);
}

int fd_send_msg(int sock, const void *buf, size_t n, const int *fds, size_t n_fds, struct err *err)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(FD_PASS_MAX * sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = n};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n == 0 || n_fds > FD_PASS_MAX) /* an empty message would look like the end */
		return err_set(
			err, ERR_INTERNAL, "a message of %zu bytes and %zu descriptors", n, n_fds);
	if (n_fds) {
		struct cmsghdr *c;

		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	for (;;) {
		int r;

		if (sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || is_nonblocking(sock))
			return err_errno(err, "send message");
		r = wait_ready(sock, POLLOUT, CLOCK_NEVER, err);
		if (r < 0)
			return r;
	}
}

static void close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

/* Collects what the kernel has already installed here, whatever else is wrong with the message. */
static size_t received_fds(struct msghdr *msg, int fds[FD_PASS_MAX])
{
	size_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; CMSG_LEN((i + 1) * sizeof(int)) <= c->cmsg_len; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (n < FD_PASS_MAX)
				fds[n++] = fd;
			else
				close(fd);
		}
	}
	return n;
}

ssize_t fd_recv_msg(int sock, void *buf, size_t cap, int ret_fds[FD_PASS_MAX], size_t *ret_n_fds,
	struct err *err)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(FD_PASS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = buf, .iov_len = cap};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space};
	int fds[FD_PASS_MAX];
	size_t n_fds;
	ssize_t n;

	for (;;) {
		int r;

		msg.msg_controllen = sizeof(control.space);
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		if (n >= 0)
			break;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || is_nonblocking(sock))
			return err_errno(err, "receive message");
		r = wait_ready(sock, POLLIN, CLOCK_NEVER, err);
		if (r < 0)
			return r;
	}
	n_fds = received_fds(&msg, fds);
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		close_all(fds, n_fds);
		return err_set(err, ERR_PROTOCOL,
			"a message longer than %zu bytes or with too many descriptors", cap);
	}
	if (!ret_fds) {
		close_all(fds, n_fds);
		return n;
	}
	memcpy(ret_fds, fds, n_fds * sizeof(int));
	*ret_n_fds = n_fds;
	return n;
}
