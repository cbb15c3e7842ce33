#include "unit.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/stream.h"

static void test_memory(void **state)
{
	_cleanup_stream_ struct stream *s = stream_mem_new("abcdef", 6);
	struct err err = ERR_INIT;
	const void *data;
	char buf[8] = "";
	size_t n;

	data = stream_mem_data(s, &n);
	assert_non_null(data);
	assert_int_equal(n, 0);
	assert_int_equal(stream_read(s, buf, 4, &err), 4);
	assert_ok(stream_read_full(s, buf + 4, 2, &err), &err);
	assert_string_equal(buf, "abcdef");
	assert_int_equal(stream_read(s, buf, 4, &err), 0);
	assert_fails(stream_read_full(s, buf, 1, &err), ERR_PROTOCOL, &err);
	assert_ok(stream_write(s, "xy", 2, &err), &err);
	assert_ok(stream_write(s, "z", 1, &err), &err);
	assert_ok(stream_flush(s, &err), &err);
	assert_ok(stream_end(s, &err), &err);
	data = stream_mem_data(s, &n);
	assert_int_equal(n, 3);
	assert_memory_equal(data, "xyz", 3);
	assert_int_equal(s->n_read, 6);
	assert_int_equal(s->n_written, 3);
	stream_free(NULL);
}

static void test_early_end(void **state)
{
	_cleanup_stream_ struct stream *s = stream_mem_new("abc", 3);
	struct err err = ERR_INIT;
	char buf[8];

	assert_fails(stream_read_full(s, buf, 4, &err), ERR_PROTOCOL, &err);
}

static void test_socket(void **state)
{
	struct err err = ERR_INIT;
	struct stream *a, *b;
	char buf[8];
	int s[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	a = stream_fd_new(s[0], s[0], CLOCK_NEVER);
	b = stream_fd_new(s[1], s[1], CLOCK_NEVER);
	assert_ok(stream_write(a, "ping", 4, &err), &err);
	assert_ok(stream_end(a, &err), &err);
	assert_fails(stream_write(a, "x", 1, &err), ERR_INTERNAL, &err);
	assert_ok(stream_read_full(b, buf, 4, &err), &err);
	assert_int_equal(stream_read(b, buf, 1, &err), 0);
	/* The other direction lives on. */
	assert_ok(stream_write(b, "pong", 4, &err), &err);
	assert_ok(stream_read_full(a, buf, 4, &err), &err);
	assert_memory_equal(buf, "pong", 4);
	stream_free(a);
	stream_free(b);
	assert_int_equal(fcntl(s[0], F_GETFD), -1);
	assert_int_equal(fcntl(s[1], F_GETFD), -1);
}

static void test_pipe(void **state)
{
	struct err err = ERR_INIT;
	struct stream *in, *out;
	char buf[8];
	int p[2];

	assert_ok(fd_pipe(p, &err), &err);
	in = stream_fd_new(p[0], -1, USEC_PER_MSEC);
	out = stream_fd_new(-1, p[1], CLOCK_NEVER);
	assert_fails(stream_read(in, buf, 1, &err), ERR_TIMEOUT, &err);
	assert_fails(stream_read(out, buf, 1, &err), ERR_INTERNAL, &err);
	assert_fails(stream_write(in, buf, 1, &err), ERR_INTERNAL, &err);
	assert_ok(stream_write(out, "x", 1, &err), &err);
	assert_ok(stream_end(out, &err), &err);
	assert_ok(stream_end(out, &err), &err);
	assert_int_equal(fcntl(p[1], F_GETFD), -1);
	assert_int_equal(stream_read(in, buf, 8, &err), 1);
	assert_int_equal(stream_read(in, buf, 8, &err), 0);
	stream_free(in);
	stream_free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_early_end),
		cmocka_unit_test(test_socket),
		cmocka_unit_test(test_pipe),
	};

	return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
