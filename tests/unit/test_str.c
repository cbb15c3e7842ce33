#include "unit.h"

#include "base/str.h"
#include "base/vec.h"

static void test_grow(void **state)
{
	_cleanup_(str_done) struct str s = STR_INIT;
	_cleanup_free_ char *owned = NULL;

	for (int i = 0; i < 1000; i++)
		str_addf(&s, "%d,", i);
	assert_int_equal(s.len, 10 * 2 + 90 * 3 + 900 * 4);
	assert_int_equal(strlen(s.buf), s.len);
	assert_memory_equal(s.buf, "0,1,2,", 6);
	str_trunc(&s, 3);
	str_trunc(&s, 10); /* longer than it is: nothing */
	str_addc(&s, 'x');
	str_addn(&s, "a\0b", 3);
	str_addn(&s, NULL, 0);
	assert_int_equal(s.len, 7);
	assert_memory_equal(s.buf, "0,1xa\0b", 8);
	owned = str_take(&s);
	assert_null(s.buf);
	assert_int_equal(s.len, 0);
	str_add(&s, "again");
	assert_string_equal(s.buf, "again");
}

static void test_take_of_nothing(void **state)
{
	struct str s = STR_INIT;
	_cleanup_free_ char *owned = str_take(&s);

	assert_string_equal(owned, "");
}

static void test_questions(void **state)
{
	assert_true(str_starts("lxc.net.0", "lxc."));
	assert_true(str_starts("x", ""));
	assert_false(str_starts("lx", "lxc"));
	assert_true(str_ends("a.conf", ".conf"));
	assert_false(str_ends("conf", ".conf"));
	assert_true(str_eq(NULL, NULL));
	assert_false(str_eq(NULL, ""));
	assert_false(str_eq("a", NULL));
	assert_true(str_eq("a", "a"));
}

static void test_split(void **state)
{
	static const struct {
		const char *s, *seps;
		bool keep_empty;
		const char *joined;
		size_t n;
	} rows[] = {
		{"a:b:c", ":", false, "a|b|c", 3},
		{":a::b:", ":", false, "a|b", 2},
		{":a::b:", ":", true, "|a||b|", 5},
		{"", ":", false, "", 0},
		{"", ":", true, "", 1},
		{"a,b c", ", ", false, "a|b|c", 3},
		{"alone", ":", true, "alone", 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_strv_ char **v = str_split(rows[i].s, rows[i].seps, rows[i].keep_empty);
		_cleanup_free_ char *joined = str_join(v, "|");

		assert_row(strcmp(joined, rows[i].joined) == 0, rows[i].s);
		assert_row(strv_len(v) == rows[i].n, rows[i].s);
	}
}

static void test_words_and_vector(void **state)
{
	_cleanup_strv_ char **v = str_words("  one\ttwo \n three ");
	_cleanup_strv_ char **none = NULL;
	_cleanup_free_ char *empty = str_join(NULL, ",");

	assert_int_equal(strv_len(v), 3);
	assert_true(strv_has(v, "two"));
	assert_false(strv_has(v, "tw"));
	assert_false(strv_has(NULL, "x"));
	strv_push(&v, "four");
	assert_int_equal(strv_len(v), 4);
	assert_string_equal(v[3], "four");
	strv_push(&none, "first");
	assert_int_equal(strv_len(none), 1);
	assert_string_equal(empty, "");
}

static void test_trim(void **state)
{
	static const char *const rows[][2] = {
		{"  a b \n", "a b"}, {"", ""}, {" \t ", ""}, {"x", "x"}, {"\fy\v", "y"}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *s = xstrdup(rows[i][0]);

		assert_string_equal(str_trim(s), rows[i][1]);
	}
}

static void test_escape(void **state)
{
	static const struct {
		const char *s;
		size_t n;
		const char *want;
	} rows[] = {
		{"plain", 5, "plain"},
		{"a\nb\tc\x1b[0m", 9, "a\\x0ab\\x09c\\x1b[0m"},
		{"nul\0in", 6, "nul\\x00in"},
		{"\x7f", 1, "\\x7f"},
		{"gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f"},
		{"\xe2\x82\xac \xf0\x9f\x90\xa7", 8, "\xe2\x82\xac \xf0\x9f\x90\xa7"},
		{"\xc2\x9b", 2, "\\xc2\\x9b"},			 /* C1: CSI of a terminal */
		{"\xc0\xaf", 2, "\\xc0\\xaf"},			 /* overlong */
		{"\xe0\x80\xaf", 3, "\\xe0\\x80\\xaf"},		 /* overlong */
		{"\xed\xa0\x80", 3, "\\xed\\xa0\\x80"},		 /* surrogate */
		{"\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80"}, /* over U+10FFFF */
		{"\xff\xfe", 2, "\\xff\\xfe"},
		{"\xe2\x82", 2, "\\xe2\\x82"}, /* cut off */
		{"\xc3(", 2, "\\xc3("},
		{"", 0, ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *got = str_escape(rows[i].s, rows[i].n);

		assert_string_equal(got, rows[i].want);
	}
}

VEC(int_vec, int);

static void test_vec(void **state)
{
	struct int_vec v = {0};

	for (int i = 0; i < 1000; i++)
		*int_vec_push(&v) = i;
	assert_int_equal(v.n, 1000);
	assert_int_equal(v.v[999], 999);
	int_vec_done(&v);
	assert_null(v.v);
	assert_int_equal(v.n, 0);
}

static void test_alloc(void **state)
{
	_cleanup_free_ char *cut = xstrndup("abcdef", 3);
	_cleanup_free_ char *longer = xstrndup("ab", 30);
	_cleanup_free_ char *made = xasprintf("%s-%d", "x", 5);
	_cleanup_free_ void *nothing = xmemdup(NULL, 0);

	assert_string_equal(cut, "abc");
	assert_string_equal(longer, "ab");
	assert_string_equal(made, "x-5");
	assert_non_null(nothing);
	assert_null(xstrdup(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grow),
		cmocka_unit_test(test_take_of_nothing),
		cmocka_unit_test(test_questions),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_words_and_vector),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_vec),
		cmocka_unit_test(test_alloc),
	};

	return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}
