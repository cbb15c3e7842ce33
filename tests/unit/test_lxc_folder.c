#include "unit.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "runtime/lxc_folder.h"

static void write_file(const char *tmp, const char *name, const char *text)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", tmp, name);
	struct err err = ERR_INIT;

	assert_ok(file_replace(path, text, strlen(text), 0644, &err), &err);
}

static char *read_text(const char *tmp, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", tmp, name);
	struct err err = ERR_INIT;
	char *text = NULL;

	assert_ok(file_read(path, 1 << 20, &text, NULL, &err), &err);
	return text;
}

static void make_dir(const char *tmp, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", tmp, name);

	assert_int_equal(mkdir(path, 0755), 0);
}

static bool there_is(const char *tmp, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", tmp, name);

	return file_exists(path);
}

static struct container *web(const char *tmp)
{
	_cleanup_free_ char *root = xasprintf("%s/web/rootfs", tmp);
	struct container *c = container_new("web");

	volume_add(c, "rootfs", "", root, NULL);
	return c;
}

static struct stat folder_of(const char *tmp)
{
	_cleanup_free_ char *path = xasprintf("%s/web", tmp);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st;
}

static void test_list(void **state)
{
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_free_ char *missing = xasprintf("%s/missing", tmp), *joined = NULL;
	_cleanup_strv_ char **names = NULL, **none = NULL;
	struct err err = ERR_INIT;

	for (const char *const *n = (const char *const[]){"b", "a", "staged", "empty", "-x", NULL};
		*n; n++)
		make_dir(tmp, *n);
	write_file(tmp, "b/config", "");
	write_file(tmp, "a/config", "");
	write_file(tmp, "staged/config.staged", "");
	write_file(tmp, "-x/config", "");
	write_file(tmp, "config", "");
	assert_ok(lxc_folder_list(tmp, &names, &err), &err);
	joined = str_join(names, " ");
	assert_string_equal(joined, "a b");
	assert_ok(lxc_folder_list(missing, &none, &err), &err);
	assert_int_equal(strv_len(none), 0);
	assert_true(lxc_folder_exists(tmp, "a") && lxc_folder_exists(tmp, "staged"));
	assert_false(lxc_folder_exists(tmp, "empty"));
}

static void test_life(void **state)
{
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_container_ struct container *c = web(tmp), *back = NULL;
	struct err err = ERR_INIT;

	assert_ok(lxc_folder_define(tmp, c, true, &err), &err);
	assert_ok(lxc_folder_define(tmp, c, true, &err), &err);
	assert_true(there_is(tmp, "web/config.staged") && !there_is(tmp, "web/config"));
	assert_ok(lxc_folder_load(tmp, "web", false, &back, &err), &err);
	assert_string_equal(back->volumes.v[0].path, c->volumes.v[0].path);
	assert_ok(lxc_folder_publish(tmp, "web", &err), &err);
	assert_ok(lxc_folder_publish(tmp, "web", &err), &err);
	assert_true(!there_is(tmp, "web/config.staged") && there_is(tmp, "web/config"));
	assert_fails(lxc_folder_define(tmp, c, true, &err), ERR_EXISTS, &err);
	assert_ok(lxc_folder_withdraw(tmp, "web", &err), &err);
	assert_ok(lxc_folder_withdraw(tmp, "web", &err), &err);
	assert_true(there_is(tmp, "web/config.staged") && !there_is(tmp, "web/config"));
	assert_ok(lxc_folder_undefine(tmp, "web", &err), &err);
	assert_ok(lxc_folder_undefine(tmp, "web", &err), &err);
	assert_false(there_is(tmp, "web"));
	assert_ok(lxc_folder_withdraw(tmp, "web", &err), &err);
	assert_fails(lxc_folder_publish(tmp, "web", &err), ERR_NOT_FOUND, &err);
}

/* Files of the container and of the administrator stay, halves of our own go. */
static void test_undefine(void **state)
{
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_container_ struct container *c = web(tmp);
	struct err err = ERR_INIT;

	assert_ok(lxc_folder_define(tmp, c, false, &err), &err);
	make_dir(tmp, "web/rootfs");
	write_file(tmp, "web/notes", "mine");
	write_file(tmp, "web/.config.0123456789abcdef", "half");
	write_file(tmp, "web/web.log", "log");
	assert_ok(lxc_folder_undefine(tmp, "web", &err), &err);
	assert_true(there_is(tmp, "web/rootfs") && there_is(tmp, "web/notes"));
	assert_false(there_is(tmp, "web/config") || there_is(tmp, "web/web.log"));
	assert_false(there_is(tmp, "web/.config.0123456789abcdef"));
}

static void test_modes(void **state)
{
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_container_ struct container *c = web(tmp);
	struct err err = ERR_INIT;
	struct stat st;

	make_dir(tmp, "web"); /* as a pool may have made it */
	assert_ok(lxc_folder_define(tmp, c, false, &err), &err);
	st = folder_of(tmp);
	assert_int_equal(st.st_mode & 07777, 0770);
	assert_int_equal(st.st_gid, 0);
	assert_ok(idmap_add(&c->idmap, "b 0 100000 65536", &err), &err);
	assert_ok(lxc_folder_define(tmp, c, false, &err), &err);
	st = folder_of(tmp);
	assert_int_equal(st.st_mode & 07777, 0750);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(st.st_gid, 100000);
}

static void test_guard(void **state)
{
	static const char text[] = "# mine\nlxc.uts.name = web";
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_free_ char *path = xasprintf("%s/web/config", tmp), *real = NULL, *after = NULL;
	struct err err = ERR_INIT;
	struct stat st;

	make_dir(tmp, "web");
	write_file(tmp, "web/real", text);
	real = xasprintf("%s/web/real", tmp);
	assert_int_equal(chmod(real, 0604), 0);
	assert_int_equal(chown(real, 1, 2), 0);
	assert_int_equal(symlink("real", path), 0);
	assert_false(lxc_folder_guarded(tmp, "web"));
	assert_ok(lxc_folder_guard(tmp, "web", true, &err), &err);
	assert_ok(lxc_folder_guard(tmp, "web", true, &err), &err);
	assert_true(lxc_folder_guarded(tmp, "web"));
	assert_ok(lxc_folder_guard(tmp, "web", false, &err), &err);
	assert_false(lxc_folder_guarded(tmp, "web"));
	after = read_text(tmp, "web/real");
	assert_string_equal(after, text);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0604);
	assert_true(st.st_uid == 1 && st.st_gid == 2);
	assert_fails(lxc_folder_guard(tmp, "db", true, &err), ERR_NOT_FOUND, &err);
}

/* What is a disk image or a single file cannot be told from the text. */
static void test_load_files(void **state)
{
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_container_ struct container *c = NULL, *image = NULL, *broken = NULL;
	_cleanup_free_ char *text = xasprintf("lxc.rootfs.path = %s/web/rootfs\n"
					      "lxc.mount.entry = %s/web/file etc/file none bind\n"
					      "lxc.mount.entry = %s/web/data srv none bind\n",
		tmp, tmp, tmp);
	struct err err = ERR_INIT;

	make_dir(tmp, "web");
	make_dir(tmp, "web/rootfs");
	make_dir(tmp, "web/data");
	write_file(tmp, "web/file", "");
	write_file(tmp, "web/config", text);
	assert_ok(lxc_folder_load(tmp, "web", false, &c, &err), &err);
	assert_int_equal(c->volumes.n, 2);
	assert_string_equal(c->volumes.v[1].name, "srv");
	assert_int_equal(c->refused.n, 1);
	assert_has(c->refused.v[0].value, "/web/file");
	free(text);
	text = xasprintf("lxc.rootfs.path = %s/web/file\n", tmp);
	write_file(tmp, "web/config", text);
	assert_ok(lxc_folder_load(tmp, "web", false, &image, &err), &err);
	assert_null(image->volumes.v[0].path);
	assert_string_equal(image->refused.v[0].key, "lxc.rootfs.path");
	write_file(tmp, "web/config", "lxc.nothing");
	assert_fails(lxc_folder_load(tmp, "web", false, &broken, &err), ERR_INVALID, &err);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_undefine),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_guard),
		cmocka_unit_test(test_load_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
