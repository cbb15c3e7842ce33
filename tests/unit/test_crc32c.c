#include "unit.h"

#include "storage/crc32c.h"

/* The check value that everybody publishes is with both inversions. */
static void test_known(void **state)
{
	static const char digits[] = "123456789";

	(void)state;
	assert_int_equal(~crc32c(UINT32_MAX, digits, 9), 0xe3069283);
	assert_int_equal(~crc32c_portable(UINT32_MAX, digits, 9), 0xe3069283);
	assert_int_equal(crc32c(0, "", 0), 0);
}

static void test_same_with_and_without_help(void **state)
{
	uint8_t buf[300];

	(void)state;
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 167 + 13);
	for (size_t at = 0; at < 9; at++)
		for (size_t n = 0; n + at <= sizeof(buf); n++)
			assert_int_equal(crc32c(7, buf + at, n), crc32c_portable(7, buf + at, n));
}

static void test_in_pieces(void **state)
{
	static const char text[] = "a text that is taken in at once, or in two pieces";
	uint32_t whole = crc32c(0, text, sizeof(text));

	(void)state;
	for (size_t n = 0; n <= sizeof(text); n++)
		assert_int_equal(crc32c(crc32c(0, text, n), text + n, sizeof(text) - n), whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_same_with_and_without_help),
		cmocka_unit_test(test_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
