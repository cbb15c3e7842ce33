#include "unit.h"

#include "base/num.h"

static void test_u64(void **state)
{
	static const struct {
		const char *s;
		uint64_t max;
		bool ok;
		uint64_t value;
	} rows[] = {
		{"0", UINT64_MAX, true, 0},
		{"10", 10, true, 10},
		{"007", UINT64_MAX, true, 7},
		{"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
		{"18446744073709551616", UINT64_MAX, false, 0},
		{"99999999999999999999999", UINT64_MAX, false, 0},
		{"11", 10, false, 0},
		{"", UINT64_MAX, false, 0},
		{" 1", UINT64_MAX, false, 0},
		{"1 ", UINT64_MAX, false, 0},
		{"+1", UINT64_MAX, false, 0},
		{"-1", UINT64_MAX, false, 0},
		{"0x10", UINT64_MAX, false, 0},
		{"1e3", UINT64_MAX, false, 0},
		{"1.0", UINT64_MAX, false, 0},
		{"ten", UINT64_MAX, false, 0},
		{"1\n", UINT64_MAX, false, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = ERR_INIT;
		uint64_t v = 4711;
		int r = num_u64(rows[i].s, rows[i].max, &v, &err);

		assert_row((r == 0) == rows[i].ok, rows[i].s);
		assert_row(v == (rows[i].ok ? rows[i].value : 4711), rows[i].s);
		if (!rows[i].ok)
			assert_fails(r, ERR_INVALID, &err);
	}
}

static void test_u32(void **state)
{
	struct err err = ERR_INIT;
	uint32_t v = 0;

	assert_ok(num_u32("4294967295", UINT32_MAX, &v, &err), &err);
	assert_int_equal(v, UINT32_MAX);
	assert_fails(num_u32("4294967296", UINT32_MAX, &v, &err), ERR_INVALID, &err);
	assert_fails(num_u32("8", 7, &v, &err), ERR_INVALID, &err);
}

static void test_port(void **state)
{
	struct err err = ERR_INIT;
	uint16_t v = 0;

	assert_ok(num_port("22", &v, &err), &err);
	assert_int_equal(v, 22);
	assert_ok(num_port("65535", &v, &err), &err);
	assert_fails(num_port("0", &v, &err), ERR_INVALID, &err);
	assert_fails(num_port("65536", &v, &err), ERR_INVALID, &err);
	assert_fails(num_port("ssh", &v, &err), ERR_INVALID, &err);
	assert_fails(num_port("", &v, &err), ERR_INVALID, &err);
	assert_int_equal(v, 65535);
}

#define KIB UINT64_C(1024)
#define BAD UINT64_C(4711)

static void test_size(void **state)
{
	static const struct {
		const char *s;
		uint64_t value;
	} rows[] = {
		{"0", 0},
		{"10", 10},
		{"10B", 10},
		{"512K", 512 * KIB},
		{"512KB", 512 * KIB},
		{"512KiB", 512 * KIB},
		{"20M", 20 * KIB * KIB},
		{"20m", 20 * KIB * KIB},
		{"1.5GiB", 3 * KIB * KIB * KIB / 2},
		{"0.25T", KIB * KIB * KIB * KIB / 4},
		{"1P", KIB * KIB * KIB * KIB * KIB},
		{"15E", 15 * KIB * KIB * KIB * KIB * KIB * KIB},
		{"15.9999999999E", 18446744073594259465u},
		{"16E", BAD},
		{"18446744073709551615", UINT64_MAX},
		{"18446744073709551616", BAD},
		{"99999999999E", BAD},
		{"", BAD},
		{"K", BAD},
		{"1.5", BAD},
		{"1.5B", BAD},
		{"1.K", BAD},
		{".5K", BAD},
		{"1.2.3K", BAD},
		{"1.0000000000000000000000001K", BAD},
		{"1 K", BAD},
		{"-1K", BAD},
		{"1Kb", BAD},
		{"1KiBs", BAD},
		{"1Ki", BAD},
		{"1Z", BAD},
		{"1\xcb", BAD},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = ERR_INIT;
		uint64_t v = BAD;
		int r = num_size(rows[i].s, &v, &err);

		assert_row((r == 0) == (rows[i].value != BAD), rows[i].s);
		assert_row(v == rows[i].value, rows[i].s);
	}
}

static void test_duration(void **state)
{
	static const struct {
		const char *s;
		usec_t value;
	} rows[] = {
		{"0", 0},
		{"30", 30 * USEC_PER_SEC},
		{"30s", 30 * USEC_PER_SEC},
		{"500ms", 500 * USEC_PER_MSEC},
		{"5m", 300 * USEC_PER_SEC},
		{"5min", 300 * USEC_PER_SEC},
		{"2h", 7200 * USEC_PER_SEC},
		{"1d", 86400 * USEC_PER_SEC},
		{"", BAD},
		{"s", BAD},
		{"1x", BAD},
		{"1.5s", BAD},
		{"-1s", BAD},
		{"1 s", BAD},
		{"18446744073709551615h", BAD},
		{"18446744073709551615", BAD},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = ERR_INIT;
		usec_t v = BAD;
		int r = num_duration(rows[i].s, &v, &err);

		assert_row((r == 0) == (rows[i].value != BAD), rows[i].s);
		assert_row(v == rows[i].value, rows[i].s);
	}
}

static void test_human_size(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{0, "0 B"},
		{734, "734 B"},
		{1023, "1023 B"},
		{1024, "1.0 KiB"},
		{1536, "1.5 KiB"},
		{KIB * KIB - 1, "1.0 MiB"}, /* not "1024.0 KiB" */
		{150 * KIB * KIB, "150.0 MiB"},
		{3 * KIB * KIB * KIB / 2, "1.5 GiB"},
		{UINT64_MAX, "16.0 EiB"},
	};
	char buf[NUM_HUMAN_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(num_human_size(rows[i].bytes, buf), rows[i].text);
}

static void test_human_usec(void **state)
{
	static const struct {
		usec_t t;
		const char *text;
	} rows[] = {
		{0, "0 ms"},
		{1200, "1 ms"},
		{999999, "999 ms"},
		{1200 * USEC_PER_MSEC, "1.2 s"},
		{59940 * USEC_PER_MSEC, "59.9 s"},
		{59990 * USEC_PER_MSEC, "1 min 0 s"}, /* not "60.0 s" */
		{190 * USEC_PER_SEC, "3 min 10 s"},
		{3599 * USEC_PER_SEC + 999999, "1 h 0 min"},
		{7500 * USEC_PER_SEC, "2 h 5 min"},
		{90000 * USEC_PER_SEC, "1 d 1 h"},
		{UINT64_MAX, "213503982 d 8 h"},
	};
	char buf[NUM_HUMAN_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(num_human_usec(rows[i].t, buf), rows[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_u64),
		cmocka_unit_test(test_u32),
		cmocka_unit_test(test_port),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_duration),
		cmocka_unit_test(test_human_size),
		cmocka_unit_test(test_human_usec),
	};

	return cmocka_run_group_tests_name("num", tests, NULL, NULL);
}
