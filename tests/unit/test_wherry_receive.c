#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/proc.h"
#include "base/str.h"
#include "link/local.h"

#define LONG (20 * USEC_PER_SEC)

/* The test is the daemon. */
static char *dir;
static int listener = -1;

static int setup(void **state)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	dir = unit_tmp();
	setenv("WHERRY_RUN_DIR", dir, 1);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", receive_socket());
	return bind(listener, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(listener, 5) < 0;
}

static int teardown(void **state)
{
	if (listener >= 0)
		close(listener);
	unit_tmp_free(dir);
	return 0;
}

struct shim {
	struct proc proc;
	int sock;    /* the daemon's end */
	json_t *msg; /* the request */
	int fds[FD_PASS_MAX];
	size_t n_fds;
	char out[65536];
	char env[3][512];
	const char *envp[4];
};

/* Runs it with this SSH_ORIGINAL_COMMAND; with talk, up to its request. */
static void start(struct shim *s, const char *command, bool talk)
{
	static const char *argv[3];
	struct err err = ERR_INIT;

	memset(s, 0, sizeof(*s));
	argv[0] = getenv("WHERRY_RECEIVE");
	argv[1] = "web1";
	snprintf(s->env[0], sizeof(s->env[0]), "WHERRY_RUN_DIR=%s", dir);
	snprintf(s->env[1], sizeof(s->env[1]), "SSH_CONNECTION=10.0.0.7 50000 10.0.0.8 22");
	snprintf(s->env[2], sizeof(s->env[2]), "SSH_ORIGINAL_COMMAND=%s", command ? command : "");
	s->envp[0] = s->env[0];
	s->envp[1] = s->env[1];
	s->envp[2] = command ? s->env[2] : NULL;
	s->proc = (struct proc)PROC_INIT;
	s->proc.argv = argv;
	s->proc.env = s->envp;
	s->proc.pipe_in = s->proc.pipe_out = true;
	s->sock = -1;
	assert_ok(proc_spawn(&s->proc, &err), &err);
	if (!talk)
		return;
	s->sock = accept(listener, NULL, NULL);
	assert_true(s->sock >= 0);
	assert_ok(local_recv(s->sock, &s->msg, s->fds, &s->n_fds, &err), &err);
}

static void close_fds(struct shim *s)
{
	for (size_t i = 0; i < s->n_fds; i++)
		close(s->fds[i]);
	s->n_fds = 0;
}

/* To its end: what it wrote, and its exit status; err has what it said on stderr. */
static int finish(struct shim *s, struct err *err)
{
	struct err reading = ERR_INIT;
	int status = 0;
	ssize_t n;

	close_fds(s);
	n = fd_read_full(s->proc.ret_out, s->out, sizeof(s->out) - 1, true, LONG, &reading);
	if (n < 0) /* less than all that fits */
		n = (ssize_t)strlen(s->out);
	(void)!proc_wait(&s->proc, clock_deadline(LONG), &status, err);
	proc_done(&s->proc);
	if (s->sock >= 0)
		close(s->sock);
	json_decref(s->msg);
	return WEXITSTATUS(status);
}

static void expect_wire_error(const struct shim *s, enum err_code code)
{
	_cleanup_json_ json_t *v = json_loads(s->out, 0, NULL);

	assert_non_null(v);
	assert_string_equal(json_get_str(json_object_get(v, "error"), "code"), err_name(code));
	assert_ptr_equal(strchr(s->out, '\n'), s->out + strlen(s->out) - 1);
}

static void test_usage(void **state)
{
	struct err err = ERR_INIT;
	struct shim s;

	start(&s, NULL, false);
	assert_int_equal(finish(&s, &err), 1);
	assert_has(s.out, "Usage:\n  receive skel [pool]\n");
}

static void test_bad_commands(void **state)
{
	static const char *const rows[] = {"sh", "receive", "receive rm -rf /", "receive status",
		"receive status a;reboot", "receive status $(x)", "receive status a b c d",
		"scp -t /etc", "receive status \"a\""};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pollfd pfd = {.fd = listener, .events = POLLIN};
		struct err err = ERR_INIT;
		struct shim s;
		int status;

		start(&s, rows[i], false);
		status = finish(&s, &err);
		if (status == 0)
			fail_msg("\"%s\" is accepted", rows[i]);
		assert_has(s.out, "{\"error\":");
		assert_int_equal(poll(&pfd, 1, 0), 0); /* the daemon has not heard of it */
	}
}

static void test_hand_over(void **state)
{
	struct err err = ERR_INIT;
	const json_t *args;
	char buf[8];
	struct shim s;

	start(&s, "receive status 0123456789", true);
	args = json_object_get(s.msg, "args");
	assert_string_equal(json_get_str(s.msg, "call"), "receive");
	assert_string_equal(json_get_str(args, "key"), "web1");
	assert_string_equal(json_get_str(args, "address"), "10.0.0.7");
	assert_int_equal(json_array_size(json_object_get(args, "words")), 2);
	assert_int_equal(s.n_fds, 4);
	/* the session's own descriptors */
	assert_int_equal(write(s.proc.ret_in, "question", 8), 8);
	assert_int_equal(read(s.fds[0], buf, 8), 8);
	assert_memory_equal(buf, "question", 8);
	assert_int_equal(write(s.fds[1], "answer\n", 7), 7);
	assert_ok(local_send_result(s.sock, json_pack("{s:i}", "exit", 0), &err), &err);
	assert_int_equal(finish(&s, &err), 0);
	assert_string_equal(s.out, "answer\n");
}

/* The worker has answered on the wire: here is only the status, and words for people. */
static void test_failure(void **state)
{
	struct err err = ERR_INIT;
	struct shim s;

	start(&s, "receive status x", true);
	assert_ok(local_send_result(
			  s.sock, json_pack("{s:i,s:s}", "exit", 7, "text", "not allowed"), &err),
		&err);
	assert_int_equal(finish(&s, &err), 7);
	assert_string_equal(s.out, "");
	assert_has(err.text, "not allowed");
}

/* The daemon refused before any worker: the answer is ours to give. */
static void test_refusal(void **state)
{
	struct err err = ERR_INIT, busy = ERR_INIT;
	struct shim s;

	err_set(&busy, ERR_BUSY, "try again later");
	start(&s, "receive status x", true);
	assert_ok(local_send_error(s.sock, &busy, &err), &err);
	assert_int_equal(finish(&s, &err), err_exit_status(ERR_BUSY));
	expect_wire_error(&s, ERR_BUSY);
}

static void test_no_daemon(void **state)
{
	struct err err = ERR_INIT;
	struct shim s;

	close(listener);
	listener = -1;
	start(&s, "receive status x", false);
	assert_int_equal(finish(&s, &err), err_exit_status(ERR_UNREACHABLE));
	expect_wire_error(&s, ERR_UNREACHABLE);
}

/* The daemon dies, the worker goes on and answers: the session must stay open for that, and nothing
 * may be added to its answer. */
static void test_daemon_dies(void **state)
{
	struct pollfd pfd = {.events = POLLIN};
	struct err err = ERR_INIT;
	struct shim s;

	start(&s, "receive status x", true);
	close(s.sock);
	s.sock = -1;
	pfd.fd = s.proc.pidfd;
	assert_int_equal(poll(&pfd, 1, 300), 0);
	assert_int_equal(write(s.fds[1], "{\"ok\":{}}\n", 10), 10);
	assert_int_equal(finish(&s, &err), err_exit_status(ERR_UNKNOWN));
	assert_string_equal(s.out, "{\"ok\":{}}\n");
}

/* The worker died: whatever it has written, a made-up answer must not follow. */
static void test_worker_dies(void **state)
{
	struct err err = ERR_INIT, unknown = ERR_INIT;
	struct shim s;

	err_set(&unknown, ERR_UNKNOWN, "the worker died");
	start(&s, "receive status x", true);
	close_fds(&s);
	assert_ok(local_send_error(s.sock, &unknown, &err), &err);
	assert_int_equal(finish(&s, &err), err_exit_status(ERR_UNKNOWN));
	assert_string_equal(s.out, "");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_usage),
		TEST(test_bad_commands),
		TEST(test_hand_over),
		TEST(test_failure),
		TEST(test_refusal),
		TEST(test_no_daemon),
		TEST(test_daemon_dies),
		TEST(test_worker_dies),
	};

	return cmocka_run_group_tests_name("wherry_receive", tests, NULL, NULL);
}
