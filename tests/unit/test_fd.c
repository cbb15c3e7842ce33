#include "unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/fd.h"

#define BIG (3u << 20)

static void fill(unsigned char *buf, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = (unsigned char)(i * 31 + (i >> 8));
}

struct sink {
	int fd;
	unsigned char *got;
	size_t n;
};

/* Reads slowly and unevenly, so that the writer meets a full pipe. */
static void *drain(void *arg)
{
	struct sink *s = arg;

	for (size_t part = 1;; part = part % 70001 + 977) {
		ssize_t n = read(s->fd, s->got + s->n, MIN(part, BIG + 1 - s->n));

		if (n <= 0)
			return NULL;
		s->n += (size_t)n;
	}
}

static void write_through(int wr, int rd)
{
	_cleanup_free_ unsigned char *sent = xmalloc(BIG), *got = xmalloc(BIG + 1);
	struct sink s = {.fd = rd, .got = got};
	struct err err = ERR_INIT;
	pthread_t thread;

	fill(sent, BIG);
	assert_int_equal(pthread_create(&thread, NULL, drain, &s), 0);
	assert_ok(fd_write_all(wr, sent, BIG, CLOCK_NEVER, &err), &err);
	close(wr);
	pthread_join(thread, NULL);
	close(rd);
	assert_int_equal(s.n, BIG);
	assert_memory_equal(sent, got, BIG);
}

static void test_write_blocking_pipe(void **state)
{
	struct err err = ERR_INIT;
	int p[2];

	assert_ok(fd_pipe(p, &err), &err);
	write_through(p[1], p[0]);
}

static void test_write_nonblocking_pipe(void **state)
{
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(fcntl(p[1], F_SETFL, O_NONBLOCK), 0);
	write_through(p[1], p[0]);
}

static void test_write_socket(void **state)
{
	int s[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	write_through(s[1], s[0]);
}

static void test_read_full(void **state)
{
	struct err err = ERR_INIT;
	char buf[8] = "";
	int p[2];

	assert_ok(fd_pipe(p, &err), &err);
	assert_int_equal(write(p[1], "abcdefghij", 10), 10);
	assert_int_equal(fd_read_full(p[0], buf, 8, false, CLOCK_NEVER, &err), 8);
	assert_memory_equal(buf, "abcdefgh", 8);
	close(p[1]);
	assert_fails(fd_read_full(p[0], buf, 8, true, CLOCK_NEVER, &err), ERR_UNREACHABLE, &err);
	assert_int_equal(fd_read_full(p[0], buf, 8, true, CLOCK_NEVER, &err), 0);
	assert_fails(fd_read_full(p[0], buf, 8, false, CLOCK_NEVER, &err), ERR_UNREACHABLE, &err);
	assert_int_equal(fd_read_some(p[0], buf, 8, CLOCK_NEVER, &err), 0);
	close(p[0]);
}

static void test_timeouts(void **state)
{
	_cleanup_free_ char *zeros = xcalloc(1, BIG);
	struct err err = ERR_INIT;
	char buf[8];
	int p[2], s[2];

	assert_ok(fd_pipe(p, &err), &err);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	assert_fails(fd_read_some(p[0], buf, 8, USEC_PER_MSEC, &err), ERR_TIMEOUT, &err);
	assert_fails(fd_read_full(s[0], buf, 8, true, USEC_PER_MSEC, &err), ERR_TIMEOUT, &err);
	/* A blocking descriptor, nobody reads: the call itself must not get stuck. */
	assert_fails(fd_write_all(p[1], zeros, BIG, USEC_PER_MSEC, &err), ERR_TIMEOUT, &err);
	assert_fails(fd_write_all(s[1], zeros, BIG, USEC_PER_MSEC, &err), ERR_TIMEOUT, &err);
	for (int i = 0; i < 2; i++) {
		close(p[i]);
		close(s[i]);
	}
}

static void test_lost_reader(void **state)
{
	struct err err = ERR_INIT;
	int p[2], s[2];

	assert_ok(fd_pipe(p, &err), &err);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	close(p[0]);
	close(s[0]);
	assert_fails(fd_write_all(p[1], "x", 1, CLOCK_NEVER, &err), ERR_UNREACHABLE, &err);
	assert_fails(fd_write_all(s[1], "x", 1, CLOCK_NEVER, &err), ERR_UNREACHABLE, &err);
	close(p[1]);
	close(s[1]);
}

/* Long enough for the other thread to block the signal and to wait. */
static void *cancel_soon(void *arg)
{
	usleep(20000);
	kill(getpid(), SIGTERM);
	return arg;
}

/* The waiting call sees a signal that another thread took: through the descriptor only. */
static void test_cancel(void **state)
{
	_cleanup_free_ char *zeros = xcalloc(1, BIG);
	struct err err = ERR_INIT;
	pthread_t thread;
	sigset_t term, old;
	char buf[8];
	int p[2];

	cancel_install();
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	assert_ok(fd_pipe(p, &err), &err);
	for (int writing = 0; writing < 2; writing++) {
		assert_int_equal(pthread_create(&thread, NULL, cancel_soon, NULL), 0);
		pthread_sigmask(SIG_BLOCK, &term, &old);
		if (writing)
			assert_fails(fd_write_all(p[1], zeros, BIG, CLOCK_NEVER, &err),
				ERR_CANCELLED, &err);
		else
			assert_fails(
				fd_read_some(p[0], buf, 8, CLOCK_NEVER, &err), ERR_CANCELLED, &err);
		pthread_sigmask(SIG_SETMASK, &old, NULL);
		pthread_join(thread, NULL);
		cancel_reset();
	}
	cancel_request();
	assert_fails(fd_read_some(p[0], buf, 8, CLOCK_NEVER, &err), ERR_CANCELLED, &err);
	cancel_shield();
	assert_int_equal(fd_read_some(p[0], buf, 8, CLOCK_NEVER, &err), 8);
	cancel_unshield();
	cancel_reset();
	close(p[0]);
	close(p[1]);
}

static void test_regular_file(void **state)
{
	FILE *f = tmpfile();
	struct err err = ERR_INIT;
	char buf[4];

	assert_ok(fd_write_all(fileno(f), "abc", 3, CLOCK_NEVER, &err), &err);
	assert_int_equal(lseek(fileno(f), 0, SEEK_SET), 0);
	assert_int_equal(fd_read_some(fileno(f), buf, 4, CLOCK_NEVER, &err), 3);
	fclose(f);
	assert_fails(fd_read_some(-1, buf, 4, 0, &err), ERR_INTERNAL, &err);
}

static void test_cloexec(void **state)
{
	struct err err = ERR_INIT;
	int p[2];

	assert_ok(fd_pipe(p, &err), &err);
	assert_int_equal(fcntl(p[0], F_GETFD), FD_CLOEXEC);
	assert_ok(fd_cloexec(p[0], false, &err), &err);
	assert_int_equal(fcntl(p[0], F_GETFD), 0);
	assert_ok(fd_cloexec(p[0], true, &err), &err);
	assert_int_equal(fcntl(p[0], F_GETFD), FD_CLOEXEC);
	close(p[0]);
	close(p[1]);
	assert_fails(fd_cloexec(p[0], true, &err), ERR_INTERNAL, &err);
}

static int seqpacket(int s[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s);
}

static size_t open_fds(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_pass_fds(void **state)
{
	int s[2], p[2], got[FD_PASS_MAX];
	struct err err = ERR_INIT;
	struct stat a, b;
	char buf[16];
	size_t n = 99;

	assert_int_equal(seqpacket(s), 0);
	assert_ok(fd_pipe(p, &err), &err);
	assert_ok(fd_send_msg(s[0], "hello", 5, p, 2, &err), &err);
	assert_ok(fd_send_msg(s[0], "bare", 4, NULL, 0, &err), &err);
	assert_int_equal(fd_recv_msg(s[1], buf, sizeof(buf), got, &n, &err), 5);
	assert_memory_equal(buf, "hello", 5);
	assert_int_equal(n, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fcntl(got[i], F_GETFD), FD_CLOEXEC);
		assert_true(fstat(p[i], &a) == 0 && fstat(got[i], &b) == 0 && a.st_ino == b.st_ino);
		close(got[i]);
		close(p[i]);
	}
	assert_int_equal(fd_recv_msg(s[1], buf, sizeof(buf), got, &n, &err), 4);
	assert_int_equal(n, 0);
	close(s[0]);
	assert_int_equal(fd_recv_msg(s[1], buf, sizeof(buf), got, &n, &err), 0);
	close(s[1]);
}

/* Whatever is wrong with a message, the descriptors that came with it do not stay open here. */
static void test_no_fd_leaks(void **state)
{
	int s[2], many[FD_PASS_MAX + 2], got[FD_PASS_MAX];
	struct err err = ERR_INIT;
	size_t before, n;
	char buf[4];

	assert_int_equal(seqpacket(s), 0);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = s[0];
	before = open_fds();
	assert_ok(fd_send_msg(s[0], "too long", 8, many, 1, &err), &err);
	assert_fails(fd_recv_msg(s[1], buf, 4, got, &n, &err), ERR_PROTOCOL, &err);
	assert_int_equal(open_fds(), before);
	assert_ok(fd_send_msg(s[0], "x", 1, many, 2, &err), &err);
	assert_int_equal(fd_recv_msg(s[1], buf, 4, NULL, NULL, &err), 1);
	assert_int_equal(open_fds(), before);
	assert_fails(fd_send_msg(s[0], "x", 1, many, FD_PASS_MAX + 1, &err), ERR_INTERNAL, &err);
	assert_fails(fd_send_msg(s[0], "", 0, NULL, 0, &err), ERR_INTERNAL, &err);
	close(s[0]);
	close(s[1]);
}

static void test_too_many_fds(void **state)
{
	int s[2], got[FD_PASS_MAX];
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE((FD_PASS_MAX + 2) * sizeof(int))];
	} control = {0};
	char text[] = "x";
	struct iovec iov = {.iov_base = text, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	struct err err = ERR_INIT;
	size_t before, n;
	char buf[4];

	assert_int_equal(seqpacket(s), 0);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN((FD_PASS_MAX + 2) * sizeof(int));
	for (size_t i = 0; i < FD_PASS_MAX + 2; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(int), &s[0], sizeof(int));
	before = open_fds();
	assert_int_equal(sendmsg(s[0], &msg, 0), 1);
	assert_fails(fd_recv_msg(s[1], buf, 4, got, &n, &err), ERR_PROTOCOL, &err);
	assert_int_equal(open_fds(), before);
	close(s[0]);
	close(s[1]);
}

static void test_nonblocking_socket(void **state)
{
	int s[2], got[FD_PASS_MAX];
	struct err err = ERR_INIT;
	char buf[4];
	size_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, s), 0);
	assert_fails(fd_recv_msg(s[1], buf, 4, got, &n, &err), ERR_BUSY, &err);
	close(s[0]);
	close(s[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write_blocking_pipe),
		cmocka_unit_test(test_write_nonblocking_pipe),
		cmocka_unit_test(test_write_socket),
		cmocka_unit_test(test_read_full),
		cmocka_unit_test(test_timeouts),
		cmocka_unit_test(test_lost_reader),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_regular_file),
		cmocka_unit_test(test_cloexec),
		cmocka_unit_test(test_pass_fds),
		cmocka_unit_test(test_no_fd_leaks),
		cmocka_unit_test(test_too_many_fds),
		cmocka_unit_test(test_nonblocking_socket),
	};

	return cmocka_run_group_tests_name("fd", tests, NULL, NULL);
}
