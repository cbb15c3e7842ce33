/* Built with the fault points in, whatever the rest of the build says. */
#define WHERRY_FAULTS
#include "base/fault.c"

#include "unit.h"

#include <sys/wait.h>

#include "base/clock.h"
#include "base/proc.h"

static int clear(void **state)
{
	unsetenv("WHERRY_FAULT");
	unsetenv("WHERRY_FAULT_FILE");
	unsetenv("WHERRY_FAULT_TRACE");
	for (size_t i = 0; i < passes.n; i++)
		free(passes.v[i].name);
	pass_vec_done(&passes);
	return 0;
}

static void test_off(void **state)
{
	struct err err = ERR_INIT;

	assert_ok(fault_point("a.b", &err), &err);
	setenv("WHERRY_FAULT", "", 1);
	assert_ok(fault_point("a.b", &err), &err);
}

static void test_errors(void **state)
{
	struct err err = ERR_INIT;

	setenv("WHERRY_FAULT", "one:eio,two:enospc,three:cut", 1);
	assert_fails(fault_point("one", &err), ERR_IO, &err);
	assert_fails(fault_point("one", &err), ERR_IO, &err); /* at each pass */
	assert_fails(fault_point("two", &err), ERR_NO_SPACE, &err);
	assert_fails(fault_point("three", &err), ERR_UNREACHABLE, &err);
	assert_ok(fault_point("on", &err), &err);
	assert_ok(fault_point("one.more", &err), &err);
}

static void test_passes(void **state)
{
	struct err err = ERR_INIT;

	setenv("WHERRY_FAULT", "p:eio@3", 1);
	for (int i = 1; i <= 5; i++) {
		assert_ok(fault_point("q", &err), &err);
		if (i == 3)
			assert_fails(fault_point("p", &err), ERR_IO, &err);
		else
			assert_ok(fault_point("p", &err), &err);
	}
}

static void test_file(void **state)
{
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_free_ char *path = xasprintf("%s/faults", tmp);
	struct err err = ERR_INIT;

	setenv("WHERRY_FAULT_FILE", path, 1);
	assert_ok(fault_point("p", &err), &err); /* not there yet */
	assert_ok(file_replace(path, "p:eio\nq:cut\n", 12, 0644, &err), &err);
	assert_fails(fault_point("p", &err), ERR_IO, &err);
	assert_fails(fault_point("q", &err), ERR_UNREACHABLE, &err);
	assert_ok(file_replace(path, "", 0, 0644, &err), &err);
	assert_ok(fault_point("p", &err), &err);
}

static void test_trace(void **state)
{
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_free_ char *path = xasprintf("%s/trace", tmp), *text = NULL;
	struct err err = ERR_INIT;

	setenv("WHERRY_FAULT_TRACE", path, 1);
	assert_ok(fault_point("a", &err), &err);
	assert_ok(fault_point("b", &err), &err);
	assert_ok(file_read(path, 100, &text, NULL, &err), &err);
	assert_string_equal(text, "a\nb\n");
}

/* "!": once, whoever comes first; "#": the passes of all processes together. */
static void test_once(void **state)
{
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_free_ char *path = xasprintf("%s/faults", tmp),
			    *passed = xasprintf("%s/trace", tmp);
	struct err err = ERR_INIT;

	setenv("WHERRY_FAULT_FILE", path, 1);
	assert_ok(file_replace(path, "p:eio!\n", 7, 0644, &err), &err);
	assert_ok(fault_point("q", &err), &err);
	assert_fails(fault_point("p", &err), ERR_IO, &err);
	assert_int_equal(access(path, F_OK), -1);
	assert_ok(fault_point("p", &err), &err);

	setenv("WHERRY_FAULT_TRACE", passed, 1);
	assert_ok(file_replace(passed, "p\np\nq\n", 6, 0644, &err), &err); /* by others */
	assert_ok(file_replace(path, "p:cut#4!\n", 9, 0644, &err), &err);
	assert_ok(fault_point("p", &err), &err);
	assert_fails(fault_point("p", &err), ERR_UNREACHABLE, &err);
	assert_ok(fault_point("p", &err), &err);
}

static void *make_later(void *path)
{
	struct err err = ERR_INIT;

	clock_sleep(100 * USEC_PER_MSEC);
	assert_ok(file_replace(path, "", 0, 0644, &err), &err);
	return NULL;
}

static void test_hold(void **state)
{
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_free_ char *path = xasprintf("%s/faults", tmp);
	struct err err = ERR_INIT;
	pthread_t other;

	setenv("WHERRY_FAULT_FILE", path, 1);
	assert_ok(file_replace(path, "p:hold!", 7, 0644, &err), &err);
	assert_int_equal(pthread_create(&other, NULL, make_later, path), 0);
	assert_ok(fault_point("p", &err), &err);
	assert_int_equal(access(path, F_OK), -1);
	pthread_join(other, NULL);
}

/* The wait status of a child that passes the point. */
static int status_of(const char *faults)
{
	struct err err = ERR_INIT;
	int status = 0;
	pid_t pid;

	pid = proc_fork(&err);
	if (pid == 0) {
		freopen("/dev/null", "w", stderr);
		setenv("WHERRY_FAULT", faults, 1);
		_exit(fault_point("p", &err) < 0 ? 9 : 0);
	}
	assert_ok(pid, &err);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void test_deaths(void **state)
{
	int status = status_of("p:kill");

	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	status = status_of("p:exit");
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	status = status_of("p:kill@2");
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_typing_errors_abort(void **state)
{
	static const char *const bad[] = {"p:explode", "p", "p:eio@x", "p:eio@"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int status = status_of(bad[i]);

		assert_row(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, bad[i]);
	}
}

#define cleared(f) cmocka_unit_test_teardown(f, clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cleared(test_off),
		cleared(test_errors),
		cleared(test_passes),
		cleared(test_file),
		cleared(test_trace),
		cleared(test_once),
		cleared(test_hold),
		cleared(test_deaths),
		cleared(test_typing_errors_abort),
	};

	return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}
