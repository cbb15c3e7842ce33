#include "node.h"

#include "node/pools.h"

static int add(
	struct state *s, const char *name, const char *path, const char *driver, struct err *err)
{
	struct pool_record p = {
		.path = (char *)(uintptr_t)path, .driver = (char *)(uintptr_t)driver};

	snprintf(p.name, sizeof(p.name), "%s", name);
	return pools_add(s, &p, err);
}

static void test_round_trip(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	struct pool_record_vec list = {0};
	struct pool_record p = {.path = NULL};
	struct err err = ERR_INIT;

	assert_ok(add(s, "slow", "/srv/slow", NULL, &err), &err);
	assert_ok(add(s, "fast", "//srv///fast/", "btrfs", &err), &err);
	assert_ok(pools_get(s, "fast", &p, &err), &err);
	assert_string_equal(p.name, "fast");
	assert_string_equal(p.path, "/srv/fast");
	assert_string_equal(p.driver, "btrfs");
	pool_record_done(&p);
	assert_ok(pools_list(s, &list, &err), &err);
	assert_int_equal(list.n, 2);
	assert_string_equal(list.v[0].name, "fast");
	assert_string_equal(list.v[1].name, "slow");
	assert_null(list.v[1].driver);
	pool_record_vec_free(&list);
	assert_ok(pools_del(s, "fast", &err), &err);
	assert_fails(pools_get(s, "fast", &p, &err), ERR_NOT_FOUND, &err);
	assert_fails(pools_del(s, "fast", &err), ERR_NOT_FOUND, &err);
	assert_ok(add(s, "fast", "/srv/fast", NULL, &err), &err);
}

static void test_refusals(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	static const struct {
		const char *name, *path;
	} bad[] = {
		{"", "/x"},
		{"-a", "/x"},
		{"_a", "/x"},
		{"A", "/x"},
		{"a.b", "/x"},
		{"a/b", "/x"},
		{"ok", ""},
		{"ok", "x"},
		{"ok", "/"},
		{"ok", "//"},
		{"ok", "/srv/../etc"},
		{"ok", "/srv/./x"},
		{"ok", "/srv/a\nb"},
		{"ok", "/srv/\xff"},
	};
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (add(s, bad[i].name, bad[i].path, NULL, &err) != -ERR_INVALID)
			fail_msg("accepted: %s %s", bad[i].name, bad[i].path);
	assert_ok(add(s, "a", "/srv/x", NULL, &err), &err);
	assert_fails(add(s, "a", "/srv/y", NULL, &err), ERR_EXISTS, &err);
	assert_fails(add(s, "b", "/srv/x/", NULL, &err), ERR_EXISTS, &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		node_test(test_round_trip),
		node_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
