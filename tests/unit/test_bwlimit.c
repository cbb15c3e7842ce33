#include "unit.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/proc.h"
#include "link/bwlimit.h"

#define RATE (64u << 20)

static void test_none(void **state)
{
	struct bwlimit *b = (struct bwlimit *)state;
	struct err err = ERR_INIT;

	assert_ok(bwlimit_open("/nowhere/at/all", 0, &b, &err), &err);
	assert_null(b);
	bwlimit_take(b, UINT64_MAX);
	bwlimit_free(b);
	assert_fails(bwlimit_open("/nowhere/at/all", 1, &b, &err), ERR_NOT_FOUND, &err);
}

static void take(const char *path, unsigned parts)
{
	_cleanup_bwlimit_ struct bwlimit *b = NULL;
	struct err err = ERR_INIT;

	if (bwlimit_open(path, RATE, &b, &err) < 0)
		_exit(1);
	for (unsigned i = 0; i < parts; i++)
		bwlimit_take(b, 256 << 10);
}

/* Three processes together are no faster than one may be; one of them is killed on the way. */
static void test_together(void **state)
{
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_free_ char *path = xasprintf("%s/bwlimit", tmp);
	struct err err = ERR_INIT;
	usec_t begin = clock_now(), took;
	pid_t pids[3];

	for (int i = 0; i < 3; i++) {
		pids[i] = proc_fork(&err);
		assert_ok(pids[i], &err);
		if (pids[i] == 0) {
			take(path, i == 2 ? 1000000 : 64); /* 16 MiB */
			_exit(0);
		}
	}
	waitpid(pids[0], NULL, 0);
	kill(pids[2], SIGKILL);
	waitpid(pids[1], NULL, 0);
	waitpid(pids[2], NULL, 0);
	took = clock_now() - begin;
	/* 32 MiB at least, a tenth of a second of which may have gone at once. */
	assert_true(took >= 390 * USEC_PER_MSEC);
	begin = clock_now();
	take(path, 64);
	assert_true(clock_now() - begin >= 140 * USEC_PER_MSEC);
}

/* A damaged file, or one of a clock that went on longer, stops nobody. */
static void test_damaged(void **state)
{
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_free_ char *path = xasprintf("%s/bwlimit", tmp);
	_cleanup_bwlimit_ struct bwlimit *b = NULL;
	struct err err = ERR_INIT;

	assert_ok(file_replace(path, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, 0600, &err), &err);
	assert_ok(bwlimit_open(path, RATE, &b, &err), &err);
	bwlimit_take(b, 1 << 20);
}

static void test_cancel(void **state)
{
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_free_ char *path = xasprintf("%s/bwlimit", tmp);
	_cleanup_bwlimit_ struct bwlimit *b = NULL;
	struct err err = ERR_INIT;

	assert_ok(bwlimit_open(path, 1, &b, &err), &err);
	cancel_install();
	cancel_request();
	bwlimit_take(b, 1 << 30);
	cancel_reset();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_cancel),
	};

	return cmocka_run_group_tests_name("bwlimit", tests, NULL, NULL);
}
