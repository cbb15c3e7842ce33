#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/fd.h"
#include "base/proc.h"

#define SH(script) ((const char *const[]){"sh", "-c", script, NULL})

static void test_run(void **state)
{
	struct err err = ERR_INIT;

	assert_ok(proc_run(SH("exit 0"), &err), &err);
}

static void test_failure_names_the_cause(void **state)
{
	static const char *const verb[] = {"/usr/bin/env", "sh", "-c", "exit 4", NULL};
	struct err err = ERR_INIT;

	assert_int_equal(proc_run(SH("echo first >&2; printf 'the cause\\n\\n' >&2; exit 3"), &err),
		-ERR_IO);
	assert_string_equal(err.text, "sh: the cause (exit status 3)");
	assert_int_equal(proc_run(SH("exit 3"), &err), -ERR_IO);
	assert_string_equal(err.text, "sh (exit status 3)");
	assert_int_equal(proc_run(SH("echo dying >&2; kill -9 $$"), &err), -ERR_IO);
	assert_string_equal(err.text, "sh: dying (killed by signal 9)");
	assert_int_equal(proc_run(verb, &err), -ERR_IO);
	assert_string_equal(err.text, "env sh (exit status 4)");
	assert_int_equal(proc_run(SH("printf 'a\\033[2Jb' >&2; exit 1"), &err), -ERR_IO);
	assert_string_equal(err.text, "sh: a [2Jb (exit status 1)");
}

/* A child that never stops talking neither blocks nor costs memory without end. */
static void test_chatty(void **state)
{
	_cleanup_(proc_done) struct proc p = PROC_INIT;
	struct err err = ERR_INIT;
	struct stat st;

	p.argv = SH("yes error 2>/dev/null | head -c 10000000 >&2; exit 7");
	assert_ok(proc_spawn(&p, &err), &err);
	assert_int_equal(proc_wait(&p, CLOCK_NEVER, NULL, &err), -ERR_IO);
	assert_has(err.text, "err");
	assert_has(err.text, "(exit status 7)");
	assert_int_equal(fstat(p.err_fd, &st), 0);
	/* Without seals (Linux before 3.17) nothing holds it. */
	assert_true(st.st_size > 0 && (st.st_size <= 1 << 20 || fcntl(p.err_fd, F_GET_SEALS) < 0));
}

static void test_missing(void **state)
{
	static const char *const none[] = {"no-such-program", NULL};
	static const char *const path[] = {"/nonexistent/prog", NULL};
	static const char *const folder[] = {"/etc", NULL};
	struct err err = ERR_INIT;

	assert_int_equal(proc_run(none, &err), -ERR_NOT_FOUND);
	assert_has(err.text, "no-such-program");
	assert_int_equal(proc_run(path, &err), -ERR_NOT_FOUND);
	assert_has(err.text, "/nonexistent/prog");
	err_clear(&err);
	assert_fails(proc_run(folder, &err), ERR_DENIED, &err);
}

static void test_capture(void **state)
{
	struct err err = ERR_INIT;
	char *out = NULL;

	assert_ok(proc_capture(SH("printf 'a b\\n'; echo no >&2"), 100, &out, &err), &err);
	assert_string_equal(out, "a b\n");
	free(TAKE_PTR(out));
	assert_ok(proc_capture(SH(":"), 0, &out, &err), &err);
	assert_string_equal(out, "");
	free(TAKE_PTR(out));
	assert_fails(proc_capture(SH("printf 12345"), 4, &out, &err), ERR_PROTOCOL, &err);
	assert_fails(proc_capture(SH("yes"), 100000, &out, &err), ERR_PROTOCOL, &err);
	assert_int_equal(
		proc_capture(SH("echo some; echo why >&2; exit 1"), 100, &out, &err), -ERR_IO);
	assert_string_equal(err.text, "sh: why (exit status 1)");
	assert_null(out);
}

/* Arguments are never a shell line. */
static void test_arguments(void **state)
{
	static const char *const argv[] = {"printf", "%s|", "a b", "$(id)", "; id", "*", "", NULL};
	_cleanup_free_ char *out = NULL;
	struct err err = ERR_INIT;

	assert_ok(proc_capture(argv, 100, &out, &err), &err);
	assert_string_equal(out, "a b|$(id)|; id|*||");
}

static void test_environment(void **state)
{
	static const char *const env[] = {"WHERRY_X=1 2", NULL};
	_cleanup_(proc_done) struct proc p = PROC_INIT;
	struct err err = ERR_INIT;
	char buf[200] = "";

	setenv("LD_PRELOAD_TEST", "leaks", 1);
	p.argv = (const char *const[]){"env", NULL};
	p.env = env;
	p.pipe_out = true;
	assert_ok(proc_spawn(&p, &err), &err);
	assert_true(read(p.ret_out, buf, sizeof(buf) - 1) > 0);
	assert_ok(proc_wait(&p, CLOCK_NEVER, NULL, &err), &err);
	assert_string_equal(buf,
		"WHERRY_X=1 2\n"
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
		"LC_ALL=C\n");
}

/* Only 0, 1, 2 and the one passed on: nothing else that is open here, close-on-exec or not. */
static void test_descriptors(void **state)
{
	_cleanup_(proc_done) struct proc p = PROC_INIT;
	struct err err = ERR_INIT;
	_cleanup_close_ int stray = open("/dev/null", O_RDONLY),
			    extra = open("/dev/zero", O_RDONLY);
	char buf[200] = "";

	p.argv = SH("for n in $(seq 0 99); do [ -e /proc/$$/fd/$n ] && printf '%s ' $n; done;"
		    "readlink /proc/$$/fd/0 /proc/$$/fd/3");
	p.pipe_out = true;
	p.fd_extra = extra;
	assert_true(stray > 2);
	assert_ok(proc_spawn(&p, &err), &err);
	assert_ok(fd_read_full(p.ret_out, buf, 28, false, CLOCK_NEVER, &err), &err);
	assert_ok(proc_wait(&p, CLOCK_NEVER, NULL, &err), &err);
	assert_string_equal(buf, "0 1 2 3 /dev/null\n/dev/zero\n");
}

/* Given descriptors may be any, also each other's numbers: here 0 and 1 the wrong way round. */
static void crossed(void)
{
	struct proc p = PROC_INIT;
	struct err err = ERR_INIT;
	char buf[8] = "";
	int in[2], out[2];

	if (fd_pipe(in, &err) < 0 || fd_pipe(out, &err) < 0)
		_exit(1);
	dup2(out[1], 0);
	dup2(in[0], 1);
	close(out[1]);
	p.argv = SH("cat >&3; cat >&3");
	p.fd_in = 1;
	p.fd_out = p.fd_err = p.fd_extra = 0;
	if (proc_spawn(&p, &err) < 0 || write(in[1], "ping", 4) != 4)
		_exit(2);
	close(in[1]);
	close(0);
	if (fd_read_full(out[0], buf, 4, false, 10 * USEC_PER_SEC, &err) != 4 ||
		strcmp(buf, "ping") != 0)
		_exit(3);
	_exit(proc_wait(&p, CLOCK_NEVER, NULL, &err) < 0 ? 4 : 0);
}

static void test_crossed_descriptors(void **state)
{
	struct err err = ERR_INIT;
	int status = 0;
	pid_t pid;

	pid = proc_fork(&err);
	if (pid == 0)
		crossed();
	assert_ok(pid, &err);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_pipes(void **state)
{
	_cleanup_(proc_done) struct proc p = PROC_INIT;
	struct err err = ERR_INIT;
	char buf[8] = "";

	p.argv = SH("tr a-z A-Z");
	p.pipe_in = p.pipe_out = true;
	assert_ok(proc_spawn(&p, &err), &err);
	assert_ok(fd_write_all(p.ret_in, "hello", 5, CLOCK_NEVER, &err), &err);
	close(TAKE_FD(p.ret_in));
	assert_int_equal(fd_read_full(p.ret_out, buf, 5, false, CLOCK_NEVER, &err), 5);
	assert_string_equal(buf, "HELLO");
	assert_ok(proc_wait(&p, CLOCK_NEVER, NULL, &err), &err);
}

/* Waiting for a child that reads to the end must not wait for ever. */
static void test_wait_ends_its_input(void **state)
{
	_cleanup_(proc_done) struct proc p = PROC_INIT;
	struct err err = ERR_INIT;

	p.argv = SH("cat >/dev/null");
	p.pipe_in = true;
	assert_ok(proc_spawn(&p, &err), &err);
	assert_ok(proc_wait(&p, CLOCK_NEVER, NULL, &err), &err);
}

static void test_status(void **state)
{
	_cleanup_(proc_done) struct proc p = PROC_INIT;
	struct err err = ERR_INIT;
	int status = 0;

	p.argv = SH("exit 42");
	assert_ok(proc_spawn(&p, &err), &err);
	assert_fails(proc_wait(&p, CLOCK_NEVER, &status, &err), ERR_IO, &err);
	assert_int_equal(WEXITSTATUS(status), 42);
	assert_fails(
		proc_wait(&p, CLOCK_NEVER, &status, &err), ERR_INTERNAL, &err); /* it is reaped */
}

static void test_deadline(void **state)
{
	_cleanup_(proc_done) struct proc p = PROC_INIT;
	struct err err = ERR_INIT;
	int status = 0;

	p.argv = (const char *const[]){"sleep", "3600", NULL};
	assert_ok(proc_spawn(&p, &err), &err);
	assert_int_equal(proc_wait(&p, clock_deadline(USEC_PER_MSEC), &status, &err), -ERR_TIMEOUT);
	assert_has(err.text, "sleep");
	assert_int_equal(WTERMSIG(status), SIGTERM);
	assert_int_equal(p.pid, -1);
}

static void test_cancel(void **state)
{
	_cleanup_(proc_done) struct proc p = PROC_INIT;
	struct err err = ERR_INIT;
	int status = 0;

	cancel_install();
	/* The child itself tells us to cancel: then it surely runs. It has no handler of ours. */
	p.argv = SH("kill -TERM $PPID; exec sleep 3600");
	assert_ok(proc_spawn(&p, &err), &err);
	assert_fails(proc_wait(&p, CLOCK_NEVER, &status, &err), ERR_CANCELLED, &err);
	assert_int_equal(WTERMSIG(status), SIGTERM);
	cancel_reset();
}

static void test_stubborn(void **state)
{
	_cleanup_(proc_done) struct proc p = PROC_INIT;
	struct err err = ERR_INIT;
	int status = 0;
	char buf[4];

	p.argv = SH("trap '' TERM; echo up; while :; do sleep 1; done");
	p.pipe_out = true;
	assert_ok(proc_spawn(&p, &err), &err);
	assert_int_equal(fd_read_full(p.ret_out, buf, 3, false, CLOCK_NEVER, &err), 3);
	assert_fails(proc_wait(&p, clock_now(), &status, &err), ERR_TIMEOUT, &err);
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static bool alive(pid_t pid)
{
	return kill(pid, 0) == 0;
}

static void test_done_kills(void **state)
{
	struct proc p = PROC_INIT;
	struct err err = ERR_INIT;
	pid_t pid;

	p.argv = (const char *const[]){"sleep", "3600", NULL};
	assert_ok(proc_spawn(&p, &err), &err);
	pid = p.pid;
	assert_true(alive(pid));
	proc_done(&p);
	assert_false(alive(pid)); /* reaped as well, or it would be a zombie */
	proc_done(&p);
}

/* A parent that is killed takes the child along, unless it is detached. */
static void orphan(bool detach, pid_t *ret, int *ret_end)
{
	struct err err = ERR_INIT;
	int out[2], alive_fd[2], status;
	pid_t parent, child = 0;

	assert_ok(fd_pipe(out, &err), &err);
	assert_ok(fd_pipe(alive_fd, &err), &err);
	parent = proc_fork(&err);
	if (parent == 0) {
		struct proc p = PROC_INIT;

		p.argv = (const char *const[]){"sleep", "3600", NULL};
		p.detach = detach;
		p.fd_out = alive_fd[1];
		if (proc_spawn(&p, &err) < 0)
			_exit(1);
		(void)!write(out[1], &p.pid, sizeof(p.pid));
		raise(SIGKILL);
	}
	assert_ok(parent, &err);
	assert_int_equal(waitpid(parent, &status, 0), parent);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(read(out[0], &child, sizeof(child)), sizeof(child));
	close(out[0]);
	close(out[1]);
	close(alive_fd[1]);
	*ret = child;
	*ret_end = alive_fd[0];
}

static void test_dies_with_parent(void **state)
{
	struct err err = ERR_INIT;
	pid_t child;
	char buf;
	int end;

	orphan(false, &child, &end);
	/* The pipe ends when its last holder, the child, is gone: no polling of process ids. */
	assert_int_equal(fd_read_some(end, &buf, 1, CLOCK_NEVER, &err), 0);
	close(end);
}

static void test_detached_lives_on(void **state)
{
	struct pollfd pfd;
	pid_t child;
	int end;

	orphan(true, &child, &end);
	pfd = (struct pollfd){.fd = end, .events = POLLIN};
	assert_int_equal(poll(&pfd, 1, 50), 0);
	assert_int_equal(getsid(child), child);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(poll(&pfd, 1, -1), 1);
	close(end);
}

static void test_chroot(void **state)
{
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_free_ char *command = NULL, *missing = xasprintf("%s/none", tmp);
	struct err err = ERR_INIT;
	char buf[16] = "";

	command = xasprintf(
		"cd %s && mkdir bin && cp /bin/busybox bin/sh && echo marked > etc", tmp);
	if (access("/bin/busybox", X_OK) < 0)
		fail_msg("%s", "busybox-static is not installed: make deps");
	assert_int_equal(system(command), 0);
	{
		_cleanup_(proc_done) struct proc p = PROC_INIT;

		p.argv = SH("pwd; read x </etc; echo $x");
		p.chroot = tmp;
		p.pipe_out = true;
		assert_ok(proc_spawn(&p, &err), &err);
		assert_int_equal(fd_read_full(p.ret_out, buf, 9, false, CLOCK_NEVER, &err), 9);
		assert_ok(proc_wait(&p, CLOCK_NEVER, NULL, &err), &err);
		assert_string_equal(buf, "/\nmarked\n");
	}
	{
		_cleanup_(proc_done) struct proc p = PROC_INIT;

		p.argv = SH("exit 0");
		p.chroot = missing;
		assert_int_equal(proc_spawn(&p, &err), -ERR_NOT_FOUND);
		assert_has(err.text, "enter the root folder");
	}
	{ /* What is not in there is not found outside. */
		_cleanup_(proc_done) struct proc p = PROC_INIT;

		p.argv = (const char *const[]){"env", NULL};
		p.chroot = tmp;
		assert_fails(proc_spawn(&p, &err), ERR_NOT_FOUND, &err);
	}
}

/* A cancel that hits the forked child must not become the parent's. */
static void test_fork_is_apart(void **state)
{
	struct err err = ERR_INIT;
	int status;
	pid_t pid;

	cancel_install();
	pid = proc_fork(&err);
	if (pid == 0) {
		cancel_request();
		raise(SIGTERM);
		_exit(0);
	}
	assert_ok(pid, &err);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	assert_ok(cancel_check(&err), &err);
	assert_int_equal(poll(&(struct pollfd){.fd = cancel_fd(), .events = POLLIN}, 1, 0), 0);
}

/* The signals of a line of /proc/PID/status, without the two that glibc keeps for itself. */
static uint64_t signals_in(const char *status, const char *field)
{
	const char *at = strstr(status, field);

	assert_non_null(at);
	return strtoull(at + strlen(field), NULL, 16) & ~(UINT64_C(3) << 31);
}

static void test_signals_are_reset(void **state)
{
	_cleanup_free_ char *out = NULL;
	struct err err = ERR_INIT;
	sigset_t all, old;

	sigfillset(&all);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_SETMASK, &all, &old);
	assert_ok(proc_capture(SH("cat /proc/self/status"), 8192, &out, &err), &err);
	sigprocmask(SIG_SETMASK, &old, NULL);
	assert_int_equal(signals_in(out, "SigBlk:"), 0);
	assert_int_equal(signals_in(out, "SigIgn:"), 0);
}

/* Spawning often leaves nothing open. */
static void test_no_leaks(void **state)
{
	struct err err = ERR_INIT;
	int first, last;

	first = dup(0);
	close(first);
	for (int i = 0; i < 50; i++) {
		_cleanup_(proc_done) struct proc p = PROC_INIT;

		p.argv = i % 2 ? SH("exit 1") : (const char *const[]){"no-such-program", NULL};
		p.pipe_in = p.pipe_out = true;
		if (proc_spawn(&p, &err) >= 0)
			assert_fails(proc_wait(&p, CLOCK_NEVER, NULL, &err), ERR_IO, &err);
	}
	last = dup(0);
	close(last);
	assert_int_equal(first, last);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_run),
		cmocka_unit_test(test_failure_names_the_cause),
		cmocka_unit_test(test_chatty),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_capture),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_crossed_descriptors),
		cmocka_unit_test(test_pipes),
		cmocka_unit_test(test_wait_ends_its_input),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_stubborn),
		cmocka_unit_test(test_done_kills),
		cmocka_unit_test(test_dies_with_parent),
		cmocka_unit_test(test_detached_lives_on),
		cmocka_unit_test(test_chroot),
		cmocka_unit_test(test_fork_is_apart),
		cmocka_unit_test(test_signals_are_reset),
		cmocka_unit_test(test_no_leaks),
	};

	return cmocka_run_group_tests_name("proc", tests, NULL, NULL);
}
