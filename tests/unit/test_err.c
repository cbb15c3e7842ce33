#include "unit.h"

#include <errno.h>

static void test_set(void **state)
{
	struct err err = ERR_INIT;

	assert_int_equal(err_set(&err, ERR_BUSY, "container %s is %d", "web", 7), -ERR_BUSY);
	assert_int_equal(err.code, ERR_BUSY);
	assert_string_equal(err.text, "container web is 7");
	err_clear(&err);
	assert_int_equal(err.code, ERR_NONE);
	assert_string_equal(err.text, "");
}

static void test_prefix_keeps_code(void **state)
{
	struct err err = ERR_INIT;

	err_set(&err, ERR_NO_SPACE, "disk full");
	assert_int_equal(err_prefix(&err, "send %s", "web"), -ERR_NO_SPACE);
	assert_int_equal(err_prefix(&err, "job 1"), -ERR_NO_SPACE);
	assert_string_equal(err.text, "job 1: send web: disk full");
}

static void test_own_text_as_argument(void **state)
{
	struct err err = ERR_INIT;

	err_set(&err, ERR_IO, "inner");
	err_set(&err, ERR_UNKNOWN, "outer (%s)", err.text);
	assert_string_equal(err.text, "outer (inner)");
}

static void test_control_characters(void **state)
{
	struct err err = ERR_INIT;

	err_set(&err, ERR_IO, "peer said %s", "x\n<3>forged\x1b[2J\x7f");
	assert_string_equal(err.text, "peer said x <3>forged [2J ");
}

static void test_too_long(void **state)
{
	struct err err = ERR_INIT;
	char big[3000];

	/* Two-byte characters, so that a cut in the wrong place would show. */
	for (size_t i = 0; i + 1 < sizeof(big); i += 2)
		memcpy(big + i, "\xc3\xa4", 2);
	big[sizeof(big) - 2] = '\0';
	for (int shift = 0; shift < 2; shift++) {
		size_t n;

		err_set(&err, ERR_IO, "%s%s", shift ? "x" : "", big);
		n = strlen(err.text);
		assert_true(n < sizeof(err.text) && n > sizeof(err.text) - 8);
		assert_string_equal(err.text + n - 3, "...");
		assert_int_equal((unsigned char)err.text[n - 4], 0xa4);
	}
	err_set(&err, ERR_IO, "the cause");
	err_prefix(&err, "%s", big);
	assert_has(err.text, "the cause");
	errno = EIO;
	err_errno(&err, "%s", big);
	assert_has(err.text, "Input/output error");
}

static void test_errno(void **state)
{
	static const struct {
		int errnum;
		enum err_code code;
	} rows[] = {
		{ENOENT, ERR_NOT_FOUND},
		{EEXIST, ERR_EXISTS},
		{EBUSY, ERR_BUSY},
		{EPERM, ERR_DENIED},
		{EACCES, ERR_DENIED},
		{ENOSPC, ERR_NO_SPACE},
		{EDQUOT, ERR_NO_SPACE},
		{EPIPE, ERR_UNREACHABLE},
		{ECONNRESET, ERR_UNREACHABLE},
		{ETIMEDOUT, ERR_TIMEOUT},
		{EOPNOTSUPP, ERR_UNSUPPORTED},
		{EIO, ERR_IO},
		{EINVAL, ERR_IO},
		{ENOMEM, ERR_INTERNAL},
		{0, ERR_INTERNAL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = ERR_INIT;

		errno = rows[i].errnum;
		assert_int_equal(err_errno(&err, "open %s", "/x"), -(int)rows[i].code);
		assert_int_equal(errno, rows[i].errnum);
		assert_true(strncmp(err.text, "open /x: ", 9) == 0);
		assert_has(err.text, strerror(rows[i].errnum));
	}
}

static void test_names(void **state)
{
	for (int i = 0; i < ERR_CODE_MAX; i++) {
		const char *name = err_name((enum err_code)i);

		assert_non_null(name);
		assert_int_equal(err_from_name(name), i);
		assert_non_null(err_explain((enum err_code)i));
		for (int j = 0; j < i; j++)
			assert_int_not_equal(err_exit_status((enum err_code)i),
				err_exit_status((enum err_code)j));
	}
	assert_string_equal(err_name(ERR_NOT_FOUND), "not-found");
	assert_int_equal(err_exit_status(ERR_NONE), 0);
	assert_int_equal(err_exit_status(ERR_INTERNAL), 1);
	assert_int_equal(err_exit_status(ERR_INVALID), 2);
	assert_int_equal(err_from_name("no-such-code"), ERR_INTERNAL);
	assert_int_equal(err_from_name(NULL), ERR_INTERNAL);
	assert_string_equal(err_name((enum err_code)999), "internal");
}

static void test_copy(void **state)
{
	struct err first = ERR_INIT, second = ERR_INIT;

	err_set(&first, ERR_CORRUPT, "first");
	err_set(&second, ERR_IO, "second");
	assert_int_equal(err_copy(&second, &first), -ERR_CORRUPT);
	assert_string_equal(second.text, "first");
	assert_int_equal(err_copy(&second, &second), -ERR_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_prefix_keeps_code),
		cmocka_unit_test(test_own_text_as_argument),
		cmocka_unit_test(test_control_characters),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_errno),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_copy),
	};

	return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
