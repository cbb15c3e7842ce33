#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "base/cancel.h"
#include "base/file.h"

static size_t entries(const char *path)
{
	DIR *d = opendir(path);
	size_t n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void test_replace_and_read(void **state)
{
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_free_ char *path = xasprintf("%s/state.json", tmp), *a = NULL, *b = NULL;
	struct err err = ERR_INIT;
	size_t n = 0;

	umask(077);
	assert_ok(file_replace(path, "one", 3, 0644, &err), &err);
	assert_int_equal(mode_of(path), 0644); /* whatever the umask */
	assert_ok(file_read(path, 3, &a, &n, &err), &err);
	assert_int_equal(n, 3);
	assert_string_equal(a, "one");
	assert_ok(file_replace(path, "", 0, 0600, &err), &err);
	assert_int_equal(mode_of(path), 0600);
	assert_ok(file_read(path, 0, &b, NULL, &err), &err);
	assert_string_equal(b, "");
	assert_int_equal(entries(tmp), 1); /* no temporary file stays */
}

static void test_replace_fails_whole(void **state)
{
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_free_ char *folder = xasprintf("%s/d", tmp), *inside = xasprintf("%s/d/x", tmp);
	_cleanup_free_ char *missing = xasprintf("%s/none/x", tmp);
	struct err err = ERR_INIT;

	assert_int_equal(mkdir(folder, 0755), 0);
	assert_ok(file_replace(inside, "x", 1, 0644, &err), &err);
	assert_true(file_replace(folder, "x", 1, 0644, &err) < 0); /* a folder cannot be replaced */
	assert_has(err.text, folder);
	assert_int_equal(entries(tmp), 1);
	assert_fails(file_replace(missing, "x", 1, 0644, &err), ERR_NOT_FOUND, &err);
}

static void test_read_bounds(void **state)
{
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_free_ char *path = xasprintf("%s/f", tmp), *big = xcalloc(1, 100000), *buf = NULL;
	struct err err = ERR_INIT;
	size_t n;

	assert_ok(file_replace(path, big, 100000, 0600, &err), &err);
	assert_fails(file_read(path, 99999, &buf, &n, &err), ERR_INVALID, &err);
	assert_null(buf);
	assert_ok(file_read(path, 100000, &buf, &n, &err), &err);
	assert_int_equal(n, 100000);
	assert_fails(file_read("/nonexistent/f", 10, &buf, &n, &err), ERR_NOT_FOUND, &err);
	free(TAKE_PTR(buf));
	/* Files of /proc say that they are empty. */
	assert_ok(file_read("/proc/self/mountinfo", SIZE_MAX, &buf, &n, &err), &err);
	assert_true(n > 0);
}

static void test_read_at(void **state)
{
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_free_ char *path = xasprintf("%s/f", tmp), *buf = NULL;
	_cleanup_close_ int fd = open(tmp, O_PATH | O_DIRECTORY);
	struct err err = ERR_INIT;

	assert_ok(file_replace(path, "x", 1, 0600, &err), &err);
	assert_ok(file_read_at(fd, "f", 10, &buf, NULL, &err), &err);
	assert_string_equal(buf, "x");
}

static void test_mkdirs(void **state)
{
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_free_ char *deep = xasprintf("%s/a//b/c/", tmp), *mid = xasprintf("%s/a", tmp);
	_cleanup_free_ char *file = xasprintf("%s/file", tmp), *below = xasprintf("%s/file/x", tmp);
	struct err err = ERR_INIT;

	umask(077);
	assert_ok(file_mkdirs(deep, 0700, &err), &err);
	assert_int_equal(mode_of(deep), 0700);
	assert_int_equal(mode_of(mid), 0755);
	assert_ok(file_mkdirs(deep, 0755, &err), &err);
	assert_int_equal(mode_of(deep), 0700); /* an existing one is left alone */
	assert_ok(file_mkdirs("/", 0755, &err), &err);
	assert_ok(file_replace(file, "", 0, 0600, &err), &err);
	assert_fails(file_mkdirs(file, 0755, &err), ERR_EXISTS, &err);
	assert_true(file_mkdirs(below, 0755, &err) < 0);
	err_clear(&err);
	assert_fails(file_mkdirs("", 0755, &err), ERR_INVALID, &err);
}

static void test_remove_and_exists(void **state)
{
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_free_ char *path = xasprintf("%s/l", tmp);
	struct err err = ERR_INIT;

	assert_int_equal(symlink("/nonexistent", path), 0);
	assert_true(file_exists(path)); /* the link itself */
	assert_ok(file_remove(path, &err), &err);
	assert_false(file_exists(path));
	assert_ok(file_remove(path, &err), &err);
	assert_true(file_remove(tmp, &err) < 0);
}

static void test_lock(void **state)
{
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_free_ char *path = xasprintf("%s/lock", tmp);
	struct err err = ERR_INIT;
	int a = -1, b = -1;

	assert_ok(file_lock(path, false, &a, &err), &err);
	assert_fails(file_lock(path, false, &b, &err), ERR_BUSY, &err);
	assert_int_equal(b, -1);
	assert_int_equal(fcntl(a, F_GETFD), FD_CLOEXEC);
	close(a);
	assert_ok(file_lock(path, false, &b, &err), &err);
	/* Who removes the file takes the lock's meaning with it: the next one makes a new file. */
	assert_int_equal(unlink(path), 0);
	assert_ok(file_lock(path, false, &a, &err), &err);
	close(a);
	close(b);
}

static void *unlock_soon(void *arg)
{
	usleep(30000);
	close(*(int *)arg);
	return NULL;
}

static void test_lock_waits(void **state)
{
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_free_ char *path = xasprintf("%s/lock", tmp);
	struct err err = ERR_INIT;
	pthread_t thread;
	int a, b;

	assert_ok(file_lock(path, true, &a, &err), &err);
	assert_int_equal(pthread_create(&thread, NULL, unlock_soon, &a), 0);
	assert_ok(file_lock(path, true, &b, &err), &err);
	pthread_join(thread, NULL);
	cancel_install();
	cancel_request();
	assert_fails(file_lock(path, true, &a, &err), ERR_CANCELLED, &err);
	cancel_reset();
	close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replace_and_read),
		cmocka_unit_test(test_replace_fails_whole),
		cmocka_unit_test(test_read_bounds),
		cmocka_unit_test(test_read_at),
		cmocka_unit_test(test_mkdirs),
		cmocka_unit_test(test_remove_and_exists),
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_lock_waits),
	};

	return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
