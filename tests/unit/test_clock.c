#include "unit.h"

#include <limits.h>

#include "base/cancel.h"
#include "base/clock.h"

static void test_deadlines(void **state)
{
	usec_t now = clock_now();

	assert_true(clock_deadline(CLOCK_NEVER) == CLOCK_NEVER);
	assert_true(clock_deadline(CLOCK_NEVER - 1) == CLOCK_NEVER); /* no overflow into the past */
	assert_true(clock_deadline(USEC_PER_SEC) >= now + USEC_PER_SEC);
	assert_int_equal(clock_poll_ms(CLOCK_NEVER), -1);
	assert_int_equal(clock_poll_ms(0), 0);
	assert_int_equal(clock_poll_ms(now), 0);
	assert_true(clock_poll_ms(clock_deadline(3600 * USEC_PER_SEC)) > 0);
	assert_int_equal(clock_poll_ms(CLOCK_NEVER - 1), INT_MAX);
}

static void test_iso(void **state)
{
	char buf[CLOCK_ISO_MAX];

	assert_string_equal(clock_iso(0, buf), "1970-01-01T00:00:00Z");
	assert_string_equal(clock_iso(1769860800, buf), "2026-01-31T12:00:00Z");
	assert_non_null(clock_iso(UINT64_MAX, buf)); /* nonsense must not overflow the buffer */
	assert_true(strlen(buf) < CLOCK_ISO_MAX);
}

static void test_wall(void **state)
{
	uint64_t sec = clock_wall(), nsec = clock_wall_nsec();

	assert_true(nsec / 1000000000 - sec <= 60);
	assert_true(sec > 1600000000);
}

static void test_sleep_at_least(void **state)
{
	usec_t before = clock_now();

	clock_sleep(20 * USEC_PER_MSEC);
	assert_true(clock_now() - before >= 20 * USEC_PER_MSEC);
	clock_sleep(0);
}

/* Never faster than asked for; how much slower is the machine's business. */
static void test_rate(void **state)
{
	const uint64_t rate = 10 << 20, bytes = 4 << 20;
	usec_t before = clock_now(), least = (bytes - rate / 10) * USEC_PER_SEC / rate;
	struct rate r;

	rate_init(&r, rate);
	for (uint64_t sent = 0; sent < bytes; sent += 65536)
		rate_take(&r, 65536);
	assert_true(clock_now() - before >= least);
}

static void test_rate_one_large(void **state)
{
	usec_t before = clock_now();
	struct rate r;

	rate_init(&r, 10 << 20);
	rate_take(&r, 3 << 20); /* more than the bucket holds */
	assert_true(clock_now() - before >= 190 * USEC_PER_MSEC);
}

static void test_rate_unlimited(void **state)
{
	struct rate r;

	rate_init(&r, 0);
	rate_take(&r, UINT64_MAX); /* returns at once, or the time limit says so */
}

/* A crawl must not hold up a cancel. */
static void test_rate_cancelled(void **state)
{
	struct rate r;

	rate_init(&r, 1);
	cancel_install();
	cancel_request();
	rate_take(&r, 1 << 20);
	cancel_reset();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_iso),
		cmocka_unit_test(test_wall),
		cmocka_unit_test(test_sleep_at_least),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_rate_one_large),
		cmocka_unit_test(test_rate_unlimited),
		cmocka_unit_test(test_rate_cancelled),
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
