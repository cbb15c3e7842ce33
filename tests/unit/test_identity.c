#include "node.h"

#include <signal.h>

#include "base/alloc.h"
#include "base/identity.h"

static int sleep_on(void *arg)
{
	pause();
	return 0;
}

static void test_the_very_process(void **state)
{
	pid_t pid = node_fork(sleep_on, NULL);
	_cleanup_free_ char *who = identity_of(pid);

	assert_non_null(who);
	assert_int_equal(atoi(who), pid);
	identity_signal(who, SIGTERM);
	assert_int_equal(WTERMSIG(node_wait(pid)), SIGTERM);
	assert_null(identity_of(pid));
	identity_signal(who, SIGTERM);
}

static void test_same_number_is_not_enough(void **state)
{
	pid_t pid = node_fork(sleep_on, NULL);
	_cleanup_free_ char *other = xasprintf("%d 1", (int)pid);
	_cleanup_free_ char *bare = xasprintf("%d", (int)pid);
	static const char *const none[] = {"", "x", "0", "1 1", "-1", "99999999999999999999 1"};

	identity_signal(other, SIGKILL);
	identity_signal(bare, SIGKILL);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		identity_signal(none[i], SIGKILL);
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(WTERMSIG(node_wait(pid)), SIGTERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_very_process),
		cmocka_unit_test(test_same_number_is_not_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
