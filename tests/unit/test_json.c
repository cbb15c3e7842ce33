#include "unit.h"

#include "base/json.h"

struct thing {
	char *name;
	uint64_t size;
	uint32_t id;
	bool on;
	json_t *extra;
};

static const struct json_field fields[] = {
	JSON_STR(struct thing, name, "name", JSON_REQUIRED, 8),
	JSON_U64(struct thing, size, "size", 0, 10, UINT64_MAX >> 1),
	JSON_U32(struct thing, id, "id", 0, 0, UINT64_MAX),
	JSON_BOOL(struct thing, on, "on", 0),
	JSON_ANY(struct thing, extra, "extra", 0),
	JSON_END,
};

static void thing_done(struct thing *t)
{
	free(t->name);
	json_decref(t->extra);
}

static int parse(const char *text, json_t **ret, struct err *err)
{
	return json_parse(text, strlen(text), 4096, ret, err);
}

static void test_parse(void **state)
{
	static const char *const good[] = {"{}", "[]", " {\"a\": [1, 2.5, null, true, \"x\"]} \n"};
	static const char *const bad[] = {"", " ", "1", "\"x\"", "null", "{", "{}x", "{} {}",
		"{\"a\":1,\"a\":2}", "{\"a\":1,}", "{'a':1}", "{a:1}", "[1,]",
		"{\"a\":\"\\u0000\"}", "{\"a\":\"\xff\"}", "{\"a\":\"\n\"}",
		"[99999999999999999999]", "[1e999]", "// x\n{}", "[\"\\\"]"};
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		_cleanup_json_ json_t *v = NULL;

		assert_ok(parse(good[i], &v, &err), &err);
		assert_non_null(v);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		json_t *v = NULL;

		assert_row(parse(bad[i], &v, &err) == -ERR_INVALID, bad[i]);
		assert_row(!v && err.text[0], bad[i]);
	}
}

static void test_parse_limits(void **state)
{
	struct err err = ERR_INIT;
	char deep[2 * 65 + 1] = {0};
	json_t *v = NULL;

	assert_fails(json_parse("{}  ", 4, 3, &v, &err), ERR_INVALID, &err);
	assert_fails(json_parse("{}\0", 3, 10, &v, &err), ERR_INVALID, &err);
	memset(deep, '[', 65);
	memset(deep + 65, ']', 65);
	assert_fails(parse(deep, &v, &err), ERR_INVALID, &err);
	deep[64] = ']';
	deep[128] = '\0';
	assert_ok(parse(deep, &v, &err), &err);
	json_decref(v);
	/* Brackets in strings are no depth. */
	memset(deep, '[', 128);
	deep[0] = '[';
	deep[1] = '"';
	deep[2] = '\\';
	deep[3] = '"';
	deep[126] = '"';
	deep[127] = ']';
	assert_ok(parse(deep, &v, &err), &err);
	json_decref(v);
}

static void test_read(void **state)
{
	_cleanup_(thing_done) struct thing t = {.size = 77};
	_cleanup_json_ json_t *v = NULL;
	struct err err = ERR_INIT;

	assert_ok(parse("{\"name\":\"web\",\"id\":4294967295,\"on\":true,\"extra\":[1]}", &v, &err),
		&err);
	assert_ok(json_read(v, fields, 0, &t, &err), &err);
	assert_string_equal(t.name, "web");
	assert_int_equal(t.id, UINT32_MAX);
	assert_true(t.on);
	assert_int_equal(json_array_size(t.extra), 1);
	assert_int_equal(t.size, 77); /* absent: left alone */
	/* Read again over it: nothing leaks, which the sanitizer build sees. */
	assert_ok(json_read(v, fields, 0, &t, &err), &err);
}

static void test_read_refuses(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"[]", "not a JSON object"},
		{"{}", "\"name\" is missing"},
		{"{\"name\":null}", "\"name\" is not a string"},
		{"{\"name\":5}", "\"name\" is not a string"},
		{"{\"name\":\"123456789\"}", "\"name\" is longer than 8"},
		{"{\"name\":\"x\",\"size\":9}", "\"size\" is 9, not from 10"},
		{"{\"name\":\"x\",\"size\":-1}", "\"size\" is -1"},
		{"{\"name\":\"x\",\"size\":10.0}", "\"size\" is not a whole number"},
		{"{\"name\":\"x\",\"size\":\"10\"}", "\"size\" is not a whole number"},
		{"{\"name\":\"x\",\"id\":4294967296}", "\"id\" is over 32 bits"},
		{"{\"name\":\"x\",\"id\":-1}", "\"id\" is -1"},
		{"{\"name\":\"x\",\"on\":1}", "\"on\" is neither"},
		{"{\"name\":\"x\",\"other\":1}", "unknown field \"other\""},
		{"{\"name\":\"x\",\"Name\":\"y\"}", "unknown field \"Name\""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(thing_done) struct thing t = {0};
		_cleanup_json_ json_t *v = NULL;
		struct err err = ERR_INIT;

		assert_ok(parse(rows[i].text, &v, &err), &err);
		assert_row(json_read(v, fields, 0, &t, &err) == -ERR_INVALID, rows[i].text);
		assert_has(err.text, rows[i].says);
	}
}

static void test_loose(void **state)
{
	_cleanup_(thing_done) struct thing t = {0};
	_cleanup_json_ json_t *v = NULL;
	struct err err = ERR_INIT;

	assert_ok(parse("{\"name\":\"x\",\"newer\":{}}", &v, &err), &err);
	assert_fails(json_read(v, fields, 0, &t, &err), ERR_INVALID, &err);
	assert_ok(json_read(v, fields, JSON_LOOSE, &t, &err), &err);
}

static void test_put_and_get(void **state)
{
	_cleanup_json_ json_t *v = json_object();
	_cleanup_free_ char *text = NULL;

	json_put_str(v, "s", "x\"y");
	json_put_str(v, "none", NULL);
	json_put_str(v, "raw", "a\xff");
	json_put_u64(v, "n", 5);
	json_put_u64(v, "huge", UINT64_MAX);
	json_put_bool(v, "b", true);
	text = json_text(v);
	assert_string_equal(text, "{\"s\":\"x\\\"y\",\"raw\":\"a\\\\xff\",\"n\":5,"
				  "\"huge\":9223372036854775807,\"b\":true}");
	assert_string_equal(json_get_str(v, "s"), "x\"y");
	assert_null(json_get_str(v, "none"));
	assert_null(json_get_str(v, "n"));
	assert_int_equal(json_get_u64(v, "n", 1), 5);
	assert_int_equal(json_get_u64(v, "s", 1), 1);
	assert_int_equal(json_get_u64(v, "gone", 1), 1);
	assert_true(json_get_bool(v, "b", false));
	assert_true(json_get_bool(v, "n", true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_limits),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_read_refuses),
		cmocka_unit_test(test_loose),
		cmocka_unit_test(test_put_and_get),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
