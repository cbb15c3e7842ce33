#include "unit.h"

#include "base/file.h"
#include "runtime/lxc_log.h"

static void test_reason(void **state)
{
	static const struct {
		const char *text, *reason;
	} rows[] = {
		{"", NULL},
		{"nonsense\n", NULL},
		{"lxc-start web 2026 INFO     start - ../start.c:f:1 - Fine", NULL},
		{"lxc-start web 2026 ERROR    start - no place", NULL},
		{"lxc web 20260101 ERROR    network - ../src/lxc/network.c:f:12 - No such file or "
		 "directory - Failed to attach \"veth0\" to bridge \"br7\"\n"
		 "lxc web 20260101 ERROR    start - ../src/lxc/start.c:f:12 - Failed to spawn\n",
			"No such file or directory - Failed to attach \"veth0\" to bridge \"br7\""},
		{"lxc web 1 ERROR    confile - ../c.c:f:1 - Unsupported config key "
		 "\"lxc.seccomp\"\n"
		 "lxc web 1 ERROR    utils - ../u.c:run_buffer:571 - Script exited with status 1\n"
		 "lxc web 1 WARN     cgfsng - ../c.c:f:1 - Something\n"
		 "lxc web 1 ERROR    start - ../s.c:f:1 - Failed to run lxc.hook.pre-start for x",
			"Failed to run lxc.hook.pre-start for x"},
		{"lxc web 1 ERROR    a - b.c:f:1 - \x1b[2Jx", "\\x1b[2Jx"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *reason = lxc_log_reason(rows[i].text);

		assert_row(!reason == !rows[i].reason, rows[i].text);
		assert_row(!reason || strcmp(reason, rows[i].reason) == 0, rows[i].text);
	}
}

static void test_path(void **state)
{
	static const struct {
		const char *lxcpath, *configured, *path;
	} rows[] = {
		{"/var/lib/lxc", NULL, "/var/log/lxc/web.log"},
		{"/var/lib/lxc", "", "/var/log/lxc/web.log"},
		{"/srv/lxc", NULL, "/srv/lxc/web/web.log"},
		{"/var/lib/lxc", "/x", "/x"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *path = lxc_log_path(
			rows[i].lxcpath, "web", rows[i].configured);

		assert_string_equal(path, rows[i].path);
	}
}

static void test_file(void **state)
{
	static const char old[] = "lxc web 1 ERROR    a - b:c:1 - Of another time\n";
	static const char now[] = "lxc web 1 ERROR    a - b:c:1 - Of this time\n";
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_free_ char *path = xasprintf("%s/log", tmp), *both = xasprintf("%s%s", old, now);
	_cleanup_free_ char *reason = NULL, *none = NULL, *missing = NULL;
	struct lxc_log_mark mark = lxc_log_file_mark(path);
	struct err err = ERR_INIT;

	missing = lxc_log_file_since(path, &mark);
	assert_string_equal(missing, "LXC does not say why");
	assert_ok(file_replace(path, old, strlen(old), 0600, &err), &err);
	mark = lxc_log_file_mark(path);
	none = lxc_log_file_since(path, &mark);
	assert_string_equal(none, "LXC does not say why");
	assert_ok(file_replace(path, both, strlen(both), 0600, &err), &err);
	reason = lxc_log_file_since(path, &mark);
	assert_string_equal(reason, "Of this time");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reason),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
