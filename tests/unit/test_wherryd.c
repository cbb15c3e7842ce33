#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/proc.h"
#include "base/str.h"
#include "link/local.h"

#define LONG (20 * USEC_PER_SEC) /* longer than anything takes that works */

static char *dir;
static struct proc daemon_proc;

static int connect_to(bool receive)
{
	struct err err = ERR_INIT;
	int sock;

	return local_connect(receive ? receive_socket() : local_socket(), &sock, &err) < 0 ? -1
											   : sock;
}

static void start_daemon(void)
{
	static const char *argv[] = {NULL, "--worker", NULL, NULL};
	static char *env[4];
	struct err err = ERR_INIT;
	usec_t deadline = clock_deadline(LONG);
	int sock = -1;

	argv[0] = getenv("WHERRYD");
	argv[2] = getenv("FAKE_WORKER");
	env[0] = xasprintf("WHERRY_RUN_DIR=%s/run", dir);
	env[1] = xasprintf("WHERRY_STATE_DIR=%s/state", dir);
	env[2] = xasprintf("WHERRY_CONFIG=%s/wherry.conf", dir);
	daemon_proc = (struct proc)PROC_INIT;
	daemon_proc.argv = argv;
	daemon_proc.env = (const char *const *)env;
	assert_ok(proc_spawn(&daemon_proc, &err), &err);
	for (int i = 0; i < 3; i++)
		free(env[i]);
	while ((sock = connect_to(true)) < 0 && clock_now() < deadline)
		clock_sleep(5 * USEC_PER_MSEC);
	assert_true(sock >= 0);
	close(sock);
}

static void stop_daemon(int sig)
{
	struct err ignored = ERR_INIT;

	proc_kill(&daemon_proc, sig);
	(void)!proc_wait(&daemon_proc, clock_deadline(LONG), NULL, &ignored);
	proc_done(&daemon_proc);
}

static int setup(void **state)
{
	_cleanup_free_ char *run = NULL, *config = NULL;
	const struct passwd *me = getpwuid(geteuid());
	FILE *f;

	dir = unit_tmp();
	run = xasprintf("%s/run", dir);
	config = xasprintf("%s/wherry.conf", dir);
	setenv("WHERRY_RUN_DIR", run, 1);
	f = fopen(config, "w");
	fprintf(f, "[node]\nreceive_user = %s\n", me->pw_name);
	fclose(f);
	start_daemon();
	return 0;
}

static char *marks(void)
{
	_cleanup_free_ char *path = xasprintf("%s/run/marks", dir);
	struct err err = ERR_INIT;
	char *text = NULL;

	return file_read(path, 1 << 20, &text, NULL, &err) < 0 ? xstrdup("") : text;
}

static size_t count_marks(const char *what)
{
	_cleanup_free_ char *text = marks();
	size_t n = 0;

	for (const char *p = text; (p = strstr(p, what)); p++)
		n++;
	return n;
}

static void wait_marks(const char *what, size_t n)
{
	usec_t deadline = clock_deadline(LONG);

	while (count_marks(what) < n && clock_now() < deadline)
		clock_sleep(5 * USEC_PER_MSEC);
	if (count_marks(what) < n)
		fail_msg("%zu of %zu marks \"%s\"", count_marks(what), n, what);
}

/* Those of receives and jobs go on without a daemon. */
static void kill_workers(void)
{
	_cleanup_free_ char *text = marks();

	for (const char *p = text; (p = strstr(p, "\npid ")); p++)
		kill((pid_t)atoi(p + strlen("\npid ")), SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static int teardown(void **state)
{
	stop_daemon(SIGKILL);
	kill_workers();
	unit_tmp_free(dir);
	return 0;
}

/* What a worker that still runs is ended with. */
static pid_t worker_of(const char *call)
{
	_cleanup_free_ char *text = marks(), *name = xasprintf("%s ", call);
	const char *at = NULL;

	for (const char *p = text; (p = strstr(p, name)); p++)
		at = p + strlen(name);
	assert_non_null(at);
	return (pid_t)atoi(at);
}

static void await_gone(pid_t pid)
{
	usec_t deadline = clock_deadline(LONG);

	while (kill(pid, 0) == 0 && clock_now() < deadline) {
		(void)waitpid(pid, NULL, WNOHANG); /* ours since its daemon died */
		clock_sleep(5 * USEC_PER_MSEC);
	}
	assert_int_equal(kill(pid, 0), -1);
}

static json_t *args_of(const char *what, uint64_t n, uint64_t size, uint64_t job)
{
	json_t *args = json_object();

	json_put_str(args, "do", what);
	json_put_u64(args, "n", n);
	json_put_u64(args, "size", size);
	json_put_u64(args, "job", job);
	return args;
}

static void send_request(int sock, const char *call, json_t *args)
{
	json_t *request = json_object();
	struct err err = ERR_INIT;

	json_put_str(request, "call", call);
	json_object_set_new(request, "args", args);
	assert_ok(local_send(sock, request, &err), &err);
}

/* The next message that has the field, others are passed over. NULL at the end. */
static json_t *await_message(int sock, const char *field)
{
	for (;;) {
		struct err err = ERR_INIT;
		struct pollfd pfd = {.fd = sock, .events = POLLIN};
		json_t *msg = NULL;

		assert_int_equal(poll(&pfd, 1, (int)(LONG / 1000)), 1);
		if (local_recv(sock, &msg, NULL, NULL, &err) < 0 || !msg)
			return NULL;
		if (json_object_get(msg, field))
			return msg;
		json_decref(msg);
	}
}

static void expect_error(int sock, enum err_code code, const char *text)
{
	_cleanup_json_ json_t *msg = await_message(sock, "error");
	struct err err = ERR_INIT;

	assert_non_null(msg);
	local_error_from(json_object_get(msg, "error"), &err);
	if (err.code != code)
		fail_msg("%s: %s", err_name(err.code), err.text);
	assert_has(err.text, text);
}

static int open_call(const char *call, json_t *args)
{
	int sock = connect_to(false);

	assert_true(sock >= 0);
	send_request(sock, call, args);
	return sock;
}

static void expect_ready(int sock)
{
	_cleanup_json_ json_t *msg = await_message(sock, "line");

	assert_non_null(msg);
	assert_string_equal(json_get_str(msg, "line"), "ready");
}

static void count_item(void *ctx, const json_t *item)
{
	assert_int_equal(json_get_u64(item, "i", 99999), *(uint64_t *)ctx);
	++*(uint64_t *)ctx;
}

static void test_items(void **state)
{
	uint64_t n = 0;
	struct local_handler h = {.item = count_item, .ctx = &n};
	_cleanup_json_ json_t *result = NULL;
	struct err err = ERR_INIT;
	int sock = connect_to(false);

	assert_ok(
		local_call(sock, "ct.list", args_of("items", 3, 1, 0), NULL, 0, &h, &result, &err),
		&err);
	assert_int_equal(n, 3);
	assert_true(json_is_array(result));
	close(sock);
}

/* A query's worker waits for a reader that takes its time; nothing is lost. */
static void test_slow_reader_of_a_query(void **state)
{
	uint64_t n = 0;
	struct local_handler h = {.item = count_item, .ctx = &n};
	_cleanup_json_ json_t *result = NULL;
	struct err err = ERR_INIT;
	int sock = open_call("ct.list", args_of("items", 200, 100000, 0));

	wait_marks("ct.list", 1);
	clock_sleep(USEC_PER_SEC / 5);
	assert_ok(local_wait(sock, &h, &result, &err), &err);
	assert_int_equal(n, 200);
	close(sock);
}

/* A job waits for nobody: who does not read what it says is dropped. */
static void test_slow_reader_of_a_job(void **state)
{
	int sock = open_call("ct.send", args_of("lines", 200, 100000, 7));
	_cleanup_json_ json_t *msg = NULL;

	wait_marks("said all", 1);
	msg = await_message(sock, "result");
	assert_null(msg);
	close(sock);
}

static void test_descriptors(void **state)
{
	_cleanup_json_ json_t *result = NULL;
	struct err err = ERR_INIT;
	int sock = connect_to(false), fds[] = {0, 1, 2};

	assert_ok(local_call(sock, "ct.exec", args_of("fds", 0, 0, 0), fds, 3, NULL, &result, &err),
		&err);
	assert_int_equal(json_get_u64(result, "fds", 0), 3);
	close(sock);
}

static void test_refusals(void **state)
{
	static const struct {
		bool receive;
		const char *call;
		enum err_code code;
	} rows[] = {
		{false, "no.such.call", ERR_INVALID}, {false, "recover", ERR_INVALID},
		{false, "receive", ERR_DENIED}, {true, "ct.list", ERR_DENIED},
		{true, "worker.adopt", ERR_DENIED}, {true, "receive", ERR_INVALID}, /* no key */
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int sock = connect_to(rows[i].receive);

		send_request(sock, rows[i].call, json_object());
		expect_error(sock, rows[i].code, "");
		close(sock);
	}
}

static void test_who(void **state)
{
	_cleanup_free_ char *who = xasprintf("who uid %u", (unsigned)geteuid());
	json_t *args = args_of("fds", 0, 0, 0);
	int sock = open_call("ct.list", args_of("fds", 0, 0, 0));

	json_decref(await_message(sock, "result"));
	close(sock);
	assert_int_equal(count_marks(who), 1);
	sock = connect_to(true);
	json_put_str(args, "key", "web1");
	send_request(sock, "receive", args);
	json_decref(await_message(sock, "result"));
	close(sock);
	assert_int_equal(count_marks("who key web1"), 1);
}

static void test_attach_and_cancel(void **state)
{
	int first = open_call("ct.send", args_of("wait", 0, 0, 42)), second;
	json_t *args = json_object(), *cancel = json_object();
	_cleanup_json_ json_t *progress = NULL;
	struct err err = ERR_INIT;

	expect_ready(first);
	json_put_u64(args, "job", 42);
	second = open_call("job.attach", args);
	expect_ready(second); /* what was said before is heard too */
	progress = await_message(second, "progress");
	assert_non_null(progress);
	json_put_bool(cancel, "cancel", true);
	assert_ok(local_send(first, cancel, &err), &err);
	expect_error(first, ERR_CANCELLED, "");
	expect_error(second, ERR_CANCELLED, "");
	close(first);
	close(second);
}

static void test_job_outlives_its_caller(void **state)
{
	int sock = open_call("ct.send", args_of("wait", 0, 0, 43));
	json_t *args = json_object();
	pid_t worker;

	expect_ready(sock);
	worker = worker_of("ct.send");
	close(sock);
	json_put_u64(args, "job", 43);
	sock = open_call("job.attach", args);
	expect_ready(sock);
	assert_int_equal(count_marks("cancelled"), 0);
	kill(worker, SIGTERM);
	expect_error(sock, ERR_CANCELLED, "");
	close(sock);
}

static void test_query_ends_with_its_caller(void **state)
{
	int sock = open_call("ct.exec", args_of("wait", 0, 0, 0));
	pid_t worker;

	expect_ready(sock);
	worker = worker_of("ct.exec");
	close(sock);
	await_gone(worker);
	assert_int_equal(count_marks("cancelled"), 1);
}

/* One run of recovery is that of the start. */
static void test_death_of_a_worker(void **state)
{
	int sock;

	wait_marks("recover", 1);
	sock = open_call("ct.send", args_of("die", 0, 0, 44));
	expect_error(sock, ERR_UNKNOWN, "job 44");
	close(sock);
	wait_marks("recover", 2);
	sock = open_call("ct.list", args_of("mute", 0, 0, 0));
	expect_error(sock, ERR_UNKNOWN, "ended without an answer");
	close(sock);
}

/* What recovery can't do in a moment becomes a job. */
static void test_recovery_resumes(void **state)
{
	_cleanup_free_ char *path = xasprintf("%s/run/resume", dir);
	FILE *f;
	int sock;

	wait_marks("recover", 1);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	sock = open_call("ct.send", args_of("die", 0, 0, 46));
	expect_error(sock, ERR_UNKNOWN, "job 46");
	close(sock);
	wait_marks("ct.send.resume", 1);
}

/* A peer that does not answer keeps no later round from beginning, and is asked once at a time. */
static void test_dead_peer_holds_up_nobody(void **state)
{
	_cleanup_free_ char *path = xasprintf("%s/run/peers", dir);
	FILE *f;

	wait_marks("recover", 1);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	for (size_t i = 0; i < 3; i++) {
		int sock = open_call("ct.send", args_of("die", 0, 0, 50 + i));

		expect_error(sock, ERR_UNKNOWN, "its outcome is unknown");
		close(sock);
		wait_marks("recover", 2 + i);
	}
	wait_marks("asks dead", 1);
	assert_int_equal(count_marks("asks dead"), 1);
}

static void write_run_file(const char *name, const char *text)
{
	_cleanup_free_ char *path = xasprintf("%s/run/%s", dir, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void recover_again(uint64_t job)
{
	int sock = open_call("ct.send", args_of("die", 0, 0, job));

	expect_error(sock, ERR_UNKNOWN, "its outcome is unknown");
	close(sock);
}

/* However many peers hang, what is local does not wait for them. */
static void test_local_parts_do_not_wait(void **state)
{
	char names[512] = "";

	for (int i = 0; i < 40; i++)
		sprintf(names + strlen(names), "hangs%d\n", i);
	wait_marks("recover ", 1);
	write_run_file("peers", names);
	recover_again(60);
	wait_marks("asks hangs", 16);
	write_run_file("takeover", "");
	recover_again(61);
	wait_marks("takes tok", 1);
}

/* Those that did not answer last time hold up nobody who might. */
static void test_living_peer_does_not_wait(void **state)
{
	char names[1024] = "";

	for (int i = 0; i < 60; i++)
		sprintf(names + strlen(names), "gone%d\n", i);
	wait_marks("recover ", 1);
	write_run_file("peers", names);
	recover_again(62);
	wait_marks("asks gone", 60);
	strcat(names, "lives\n");
	write_run_file("peers", names);
	write_run_file("hang", "");
	recover_again(63);
	wait_marks("asks lives", 1);
	wait_marks("asks gone", 64); /* all that run have said who they are, to be killed */
}

static void test_daemon_is_killed(void **state)
{
	int sock = open_call("ct.send", args_of("wait", 0, 0, 45));
	struct err err = ERR_INIT;
	json_t *cancel, *args, *progress;
	uint64_t done;
	pid_t worker;

	expect_ready(sock);
	worker = worker_of("ct.send");
	stop_daemon(SIGKILL);
	assert_null(await_message(sock, "error"));
	close(sock);
	start_daemon();
	/* The worker finds the new daemon within a second or so; who asks before gets it then. */
	args = json_object();
	json_put_str(args, "do", "wait");
	json_put_u64(args, "job", 45);
	sock = open_call("job.attach", args);
	do {
		progress = await_message(sock, "progress");
		assert_non_null(progress);
		done = json_get_u64(json_object_get(progress, "progress"), "done", 0);
		json_decref(progress);
	} while (done < 10);
	assert_int_equal(kill(worker, 0), 0);
	cancel = json_object();
	json_put_bool(cancel, "cancel", true);
	assert_ok(local_send(sock, cancel, &err), &err);
	expect_error(sock, ERR_CANCELLED, "");
	close(sock);
	await_gone(worker);
}

static void test_one_daemon_only(void **state)
{
	const char *argv[] = {getenv("WHERRYD"), NULL};
	_cleanup_free_ char *run = xasprintf("WHERRY_RUN_DIR=%s/run", dir);
	_cleanup_free_ char *config = xasprintf("WHERRY_CONFIG=%s/wherry.conf", dir);
	const char *env[] = {run, config, NULL};
	_cleanup_(proc_done) struct proc p = PROC_INIT;
	struct err err = ERR_INIT;
	int sock;

	p.argv = argv;
	p.env = env;
	assert_ok(proc_spawn(&p, &err), &err);
	assert_int_equal(proc_wait(&p, clock_deadline(LONG), NULL, &err), -ERR_IO);
	assert_has(err.text, "another wherryd answers");
	sock = connect_to(false);
	assert_true(sock >= 0);
	close(sock);
}

static size_t open_files(void)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/fd", (int)daemon_proc.pid);
	DIR *d = opendir(path);
	size_t n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* A flood of the receive user is refused in words, and root does not notice. */
static void test_flood_of_connections(void **state)
{
	int socks[128], more, root;

	for (size_t i = 0; i < ARRAY_SIZE(socks); i++) {
		socks[i] = connect_to(true);
		assert_true(socks[i] >= 0);
	}
	more = connect_to(true);
	expect_error(more, ERR_BUSY, "try again later");
	close(more);
	root = open_call("ct.list", args_of("fds", 0, 0, 0));
	json_decref(await_message(root, "result"));
	close(root);
	for (size_t i = 0; i < ARRAY_SIZE(socks); i++)
		close(socks[i]);
}

static int receive_with(const char *key)
{
	json_t *args = args_of("wait", 0, 0, 0);
	int sock = connect_to(true);

	json_put_str(args, "key", key);
	send_request(sock, "receive", args);
	return sock;
}

static void test_flood_of_one_key(void **state)
{
	int socks[16], other;

	for (size_t i = 0; i < ARRAY_SIZE(socks); i++) {
		socks[i] = receive_with("greedy");
		expect_ready(socks[i]);
	}
	other = receive_with("greedy");
	expect_error(other, ERR_BUSY, "the key greedy has 16 calls running");
	close(other);
	other = receive_with("modest");
	expect_ready(other);
	close(other);
	for (size_t i = 0; i < ARRAY_SIZE(socks); i++)
		close(socks[i]);
}

static void test_garbage(void **state)
{
	static const char *const rows[] = {"x", "{}", "[]", "{\"call\":1}",
		"{\"call\":\"ct.list\"}", "{\"call\":\"ct.list\",\"args\":[]}",
		"{\"call\":\"\",\"args\":{}}", "{\"call\":\"job.attach\",\"args\":{\"job\":-1}}",
		"\"call\"", "{\"cancel\":true}"};
	_cleanup_free_ char *big = xcalloc(1, LOCAL_MSG_MAX + 2);
	int fds[] = {0, 1, 2, 3}, root;
	struct err err = ERR_INIT;
	size_t before;

	wait_marks("recover", 1);
	root = open_call("ct.list", args_of("fds", 0, 0, 0));
	json_decref(await_message(root, "result"));
	close(root);
	before = open_files();
	for (size_t round = 0; round < 2; round++)
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			int sock = connect_to(round);

			assert_ok(fd_send_msg(sock, rows[i], strlen(rows[i]), fds, 4, &err), &err);
			json_decref(await_message(sock, "error"));
			close(sock);
		}
	memset(big, '[', LOCAL_MSG_MAX + 1);
	for (int round = 0; round < 2; round++) {
		int sock = connect_to(round);

		assert_ok(fd_send_msg(sock, big, LOCAL_MSG_MAX + 1, fds, 4, &err), &err);
		assert_null(await_message(sock, "result"));
		close(sock);
	}
	root = open_call("ct.list", args_of("fds", 0, 0, 0));
	json_decref(await_message(root, "result"));
	close(root);
	for (usec_t deadline = clock_deadline(LONG); open_files() > before;) {
		assert_true(clock_now() < deadline);
		clock_sleep(10 * USEC_PER_MSEC);
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_items),
		TEST(test_slow_reader_of_a_query),
		TEST(test_slow_reader_of_a_job),
		TEST(test_descriptors),
		TEST(test_refusals),
		TEST(test_who),
		TEST(test_attach_and_cancel),
		TEST(test_job_outlives_its_caller),
		TEST(test_query_ends_with_its_caller),
		TEST(test_death_of_a_worker),
		TEST(test_recovery_resumes),
		TEST(test_dead_peer_holds_up_nobody),
		TEST(test_local_parts_do_not_wait),
		TEST(test_living_peer_does_not_wait),
		TEST(test_daemon_is_killed),
		TEST(test_one_daemon_only),
		TEST(test_flood_of_connections),
		TEST(test_flood_of_one_key),
		TEST(test_garbage),
	};

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return cmocka_run_group_tests_name("wherryd", tests, NULL, NULL);
}
