#include "unit.h"

#include "storage/storage.h"

static void test_names(void **state)
{
	static const char *const good[] = {
		"a", "default", "ssd-1", "0", "x_y", "abcdefghijklmnopqrstuvwxyz012345"};
	static const char *const bad[] = {"", "-a", "_a", "A", "a b", "a/b", ".", "\xc3\xa4",
		"abcdefghijklmnopqrstuvwxyz0123456", "a\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_row(pool_name_ok(good[i]), good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_row(!pool_name_ok(bad[i]), bad[i]);
}

static void test_probe(void **state)
{
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_pool_ struct pool *p = NULL;
	struct pool_space space;
	struct err err = ERR_INIT;

	(void)state;
	assert_fails(pool_probe("Bad", tmp, NULL, &p, &err), ERR_INVALID, &err);
	assert_fails(pool_probe("x", "relative", NULL, &p, &err), ERR_INVALID, &err);
	assert_fails(pool_probe("x", "/dev/null", NULL, &p, &err), ERR_INVALID, &err);
	assert_fails(pool_probe("x", "/nowhere/at/all", NULL, &p, &err), ERR_NOT_FOUND, &err);
	assert_fails(pool_probe("x", tmp, "zfs", &p, &err), ERR_INVALID, &err);
	assert_null(p);
	assert_ok(pool_probe("x", tmp, "dir", &p, &err), &err);
	assert_string_equal(p->driver, "dir");
	assert_string_equal(p->path, tmp);
	assert_ok(pool_space(p, &space, &err), &err);
	assert_true(space.bytes_free <= space.bytes_total && space.bytes_total > 0);
}

static void test_places(void **state)
{
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_pool_ struct pool *p = NULL;
	_cleanup_volume_ struct volume *v = NULL, *staged = NULL, *bad = NULL;
	_cleanup_free_ char *path = xasprintf("%s/web/rootfs", tmp);
	_cleanup_free_ char *staged_path = xasprintf("%s/.wherry/staged/tok/rootfs", tmp);
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(pool_probe("x", tmp, "dir", &p, &err), &err);
	v = volume_in_pool(p, "web", "rootfs");
	assert_string_equal(v->path, path);
	staged = volume_staged(p, "tok", "rootfs");
	assert_string_equal(staged->path, staged_path);
	assert_false(volume_can(v, STORAGE_SNAPSHOT));
	bad = volume_in_pool(p, "..", "rootfs");
	assert_fails(volume_create(bad, &err), ERR_INVALID, &err);
	assert_fails(volume_destroy(bad, &err), ERR_INVALID, &err);
	assert_fails(volume_snapshot(v, "a/b", &err), ERR_INVALID, &err);
	assert_fails(volume_snapshot(v, "a\nb", &err), ERR_INVALID, &err);
	assert_fails(volume_snapshot(v, ".a", &err), ERR_INVALID, &err);
	assert_fails(volume_snapshot(v, "a", &err), ERR_UNSUPPORTED, &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
