#include "unit.h"

#include <sys/socket.h>

#include "base/cancel.h"
#include "base/str.h"
#include "link/lines.h"

struct ends {
	int ours, theirs;
};

static int make(void **state)
{
	static struct ends e;
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0)
		return -1;
	e = (struct ends){sv[0], sv[1]};
	*state = &e;
	return 0;
}

static int drop(void **state)
{
	struct ends *e = *state;

	close(e->ours);
	if (e->theirs >= 0)
		close(e->theirs);
	return 0;
}

static void say(struct ends *e, const char *text)
{
	assert_int_equal(write(e->theirs, text, strlen(text)), strlen(text));
}

static void hang_up(struct ends *e)
{
	close(e->theirs);
	e->theirs = -1;
}

/* Byte by byte: a line is one only when its newline has come. */
static void test_drip(void **state)
{
	struct ends *e = *state;
	_cleanup_(lines_done) struct lines l = LINES_INIT(e->ours);
	static const char text[] = "{\"ok\":{\"n\":7}}";
	_cleanup_json_ json_t *v = NULL;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < strlen(text); i++) {
		char one[2] = {text[i]};

		say(e, one);
		assert_int_equal(lines_try(&l, &v, &err), 0);
		assert_null(v);
	}
	say(e, "\n");
	assert_int_equal(lines_try(&l, &v, &err), 1);
	assert_int_equal(json_get_u64(json_object_get(v, "ok"), "n", 0), 7);
}

static void test_several(void **state)
{
	struct ends *e = *state;
	_cleanup_(lines_done) struct lines l = LINES_INIT(e->ours);
	struct err err = ERR_INIT;

	say(e, "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n{\"a\":");
	hang_up(e);
	for (uint64_t i = 1; i <= 3; i++) {
		_cleanup_json_ json_t *v = NULL;

		assert_int_equal(lines_next(&l, CLOCK_NEVER, &v, &err), 1);
		assert_int_equal(json_get_u64(v, "a", 0), i);
	}
	/* What was cut off is not used. */
	assert_int_equal(lines_next(&l, CLOCK_NEVER, NULL, &err), 0);
	assert_true(l.ended);
	assert_int_equal(lines_next(&l, CLOCK_NEVER, NULL, &err), 0);
}

static void test_garbage(void **state)
{
	static const char *const rows[] = {"\n", "hello\n", "[1]\n", "7\n", "{\"a\":1}x\n",
		"{\"a\":1,\"a\":2}\n", "{\"a\":\"\xff\"}\n", "{'a':1}\n",
		"This account is currently not available.\n"};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct ends *e = *state;
		_cleanup_(lines_done) struct lines l = LINES_INIT(e->ours);
		json_t *v = NULL;
		struct err err = ERR_INIT;

		say(e, rows[i]);
		assert_row(lines_try(&l, &v, &err) == -ERR_PROTOCOL, rows[i]);
		assert_null(v);
		assert_null(strpbrk(err.text, "\n\xff"));
	}
}

/* A line of exactly the limit passes, one byte more does not, and not only once its newline came.
 */
static void test_longest(void **state)
{
	_cleanup_(str_done) struct str s = STR_INIT;
	struct ends *e = *state;
	_cleanup_(lines_done) struct lines l = LINES_INIT(e->ours), endless = LINES_INIT(e->ours);
	_cleanup_json_ json_t *v = NULL;
	struct err err = ERR_INIT;

	str_add(&s, "{\"a\":\"");
	while (s.len < LINES_MAX - 3)
		str_addc(&s, 'x');
	str_add(&s, "\"}\n");
	assert_int_equal(s.len, LINES_MAX);
	say(e, s.buf);
	assert_int_equal(lines_next(&l, CLOCK_NEVER, &v, &err), 1);
	s.buf[s.len - 1] = ' ';
	say(e, s.buf);
	assert_fails(lines_next(&endless, clock_deadline(USEC_PER_SEC * 60), &v, &err),
		ERR_PROTOCOL, &err);
}

/* One byte too long, however the reads fall. */
static void test_too_long(void **state)
{
	_cleanup_(str_done) struct str s = STR_INIT;

	while (s.len < LINES_MAX - 10)
		str_addc(&s, 'x');
	for (int shift = 0; shift < 3; shift++) {
		_cleanup_free_ char *line = xasprintf("{}\n{\"a\":\"%s\"}\n", s.buf);
		_cleanup_json_ json_t *v = NULL, *w = NULL;
		struct lines l;
		struct err err = ERR_INIT;

		make(state);
		struct ends *e = *state;

		l = (struct lines)LINES_INIT(e->ours);
		say(e, line);
		assert_int_equal(lines_next(&l, CLOCK_NEVER, &v, &err), 1);
		if (shift < 2)
			assert_int_equal(lines_next(&l, CLOCK_NEVER, &w, &err), 1);
		else
			assert_fails(lines_next(&l, CLOCK_NEVER, &w, &err), ERR_PROTOCOL, &err);
		lines_done(&l);
		drop(state);
		str_addc(&s, 'x');
	}
}

static void test_silence(void **state)
{
	struct ends *e = *state;
	_cleanup_(lines_done) struct lines l = LINES_INIT(e->ours);
	json_t *v = NULL;
	struct err err = ERR_INIT;

	say(e, "{\"a\":");
	assert_fails(lines_next(&l, clock_deadline(1000), &v, &err), ERR_TIMEOUT, &err);
	cancel_install();
	cancel_request();
	assert_fails(lines_next(&l, CLOCK_NEVER, &v, &err), ERR_CANCELLED, &err);
	cancel_reset();
	say(e, "1}\n");
	assert_int_equal(lines_next(&l, CLOCK_NEVER, &v, &err), 1);
	json_decref(v);
}

static void test_write(void **state)
{
	struct ends *e = *state;
	_cleanup_(lines_done) struct lines l = LINES_INIT(e->ours);
	_cleanup_free_ char *big = xmalloc(LINES_MAX);
	_cleanup_json_ json_t *v = NULL;
	struct err err = ERR_INIT;

	assert_ok(
		lines_write(e->theirs, json_pack("{s:s}", "a", "b\nc"), USEC_PER_SEC, &err), &err);
	assert_int_equal(lines_next(&l, CLOCK_NEVER, &v, &err), 1);
	assert_string_equal(json_get_str(v, "a"), "b\nc");
	memset(big, 'x', LINES_MAX - 1);
	big[LINES_MAX - 1] = '\0';
	assert_fails(lines_write(e->theirs, json_pack("{s:s}", "a", big), USEC_PER_SEC, &err),
		ERR_INTERNAL, &err);
	close(e->ours);
	assert_fails(lines_write(e->theirs, json_pack("{s:s}", "a", "b"), USEC_PER_SEC, &err),
		ERR_UNREACHABLE, &err);
	e->ours = dup(e->theirs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_drip, make, drop),
		cmocka_unit_test_setup_teardown(test_several, make, drop),
		cmocka_unit_test_setup_teardown(test_garbage, make, drop),
		cmocka_unit_test_setup_teardown(test_longest, make, drop),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test_setup_teardown(test_silence, make, drop),
		cmocka_unit_test_setup_teardown(test_write, make, drop),
	};

	return cmocka_run_group_tests_name("lines", tests, NULL, NULL);
}
