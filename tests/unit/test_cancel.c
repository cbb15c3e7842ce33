#include "unit.h"

#include <poll.h>
#include <signal.h>

#include "base/cancel.h"
#include "base/clock.h"

static bool readable(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	return poll(&pfd, 1, 0) == 1;
}

static int reset(void **state)
{
	cancel_reset();
	return 0;
}

static void test_not_installed(void **state)
{
	struct err err = ERR_INIT;

	assert_int_equal(cancel_fd(), -1);
	assert_false(cancel_requested());
	assert_ok(cancel_check(&err), &err);
	cancel_request();
	assert_fails(cancel_check(&err), ERR_CANCELLED, &err);
}

static void test_signal(void **state)
{
	struct err err = ERR_INIT;

	cancel_install();
	cancel_install();
	assert_false(readable(cancel_fd()));
	raise(SIGTERM);
	assert_true(cancel_requested());
	assert_true(readable(cancel_fd()));
	assert_fails(cancel_check(&err), ERR_CANCELLED, &err);
	cancel_reset();
	assert_false(readable(cancel_fd()));
	assert_ok(cancel_check(&err), &err);
	raise(SIGINT);
	assert_true(cancel_requested());
}

static void test_shield(void **state)
{
	struct err err = ERR_INIT;

	cancel_install();
	cancel_request();
	cancel_shield();
	assert_false(readable(cancel_fd()));
	assert_ok(cancel_check(&err), &err);
	cancel_shield();
	raise(SIGTERM);
	assert_false(readable(cancel_fd()));
	cancel_unshield();
	assert_ok(cancel_check(&err), &err);
	cancel_unshield();
	assert_true(readable(cancel_fd()));
	assert_fails(cancel_check(&err), ERR_CANCELLED, &err);
}

static void test_shield_without_request(void **state)
{
	cancel_install();
	cancel_shield();
	cancel_unshield();
	assert_false(readable(cancel_fd()));
	assert_false(cancel_requested());
}

static void test_sleep_ends(void **state)
{
	cancel_install();
	cancel_request();
	clock_sleep(3600 * USEC_PER_SEC); /* or the test's time limit says so */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_not_installed, reset),
		cmocka_unit_test_teardown(test_signal, reset),
		cmocka_unit_test_teardown(test_shield, reset),
		cmocka_unit_test_teardown(test_shield_without_request, reset),
		cmocka_unit_test_teardown(test_sleep_ends, reset),
	};

	return cmocka_run_group_tests_name("cancel", tests, NULL, NULL);
}
