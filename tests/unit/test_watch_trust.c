/* Which kernels are believed when they say what has changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tree/watch_trust.h"

/* Debian 12's own kernel is one that does not tell. */
static void test_releases(void **state)
{
	(void)state;
	assert_false(watch_trust_release("6.1.0-44-amd64"));
	assert_false(watch_trust_release("5.15.200"));
	assert_false(watch_trust_release("6.4.16"));
	assert_true(watch_trust_release("6.5.0"));
	assert_true(watch_trust_release("6.12.48+deb13-cloud-amd64"));
	assert_true(watch_trust_release("7.0-rc1"));
	assert_false(watch_trust_release("strange"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_releases)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
