/* tree_verify: the same for equal trees, another one for every single thing that differs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "tree/tree.h"

static char top[] = "/tmp/wherry-verify-XXXXXX";

static int make(int dir, const char *path, const char *content, long mtime)
{
	const struct timespec t[2] = {{mtime, 5}, {mtime, 7}};
	int fd = openat(dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	assert_int_equal(futimens(fd, t), 0);
	return close(fd);
}

static void still(int dir, const char *path)
{
	const struct timespec t[2] = {{1000, 0}, {1000, 0}};

	assert_int_equal(utimensat(dir, path, t, AT_SYMLINK_NOFOLLOW), 0);
}

static int tree(const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", top, name);
	int dir;

	assert_int_equal(mkdir(path, 0755), 0);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dir >= 0);
	assert_int_equal(mkdirat(dir, "d", 0755) | mkdirat(dir, "d/e", 0700), 0);
	make(dir, "d/f", "content", 2000);
	make(dir, "d/e/g", "", 3000);
	assert_int_equal(
		symlinkat("d/f", dir, "l") | mknodat(dir, "n", S_IFCHR | 0600, makedev(1, 3)), 0);
	return dir;
}

static void settle(int dir)
{
	static const char *const names[] = {"l", "n", "d/e", "d", "."};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		still(dir, names[i]);
}

static struct digest128 digest(int dir, const struct idmap *m)
{
	struct err err = ERR_INIT;
	struct digest128 d;
	uint64_t entries;

	settle(dir);
	assert_int_equal(tree_verify(dir, m, &d, &entries, &err), 0);
	return d;
}

static bool same(int a, int b)
{
	static const struct idmap none = {0};
	struct digest128 x = digest(a, &none), y = digest(b, &none);

	return memcmp(&x, &y, sizeof(x)) == 0;
}

static void change(int d, int which)
{
	switch (which) {
	case 0: make(d, "d/f", "contenT and more", 2000); break;
	case 1: make(d, "d/f", "content", 2001); break;
	case 2: assert_int_equal(fchmodat(d, "d/e/g", 0755, 0), 0); break;
	case 3: assert_int_equal(fchownat(d, "d/e/g", 0, 7, 0), 0); break;
	case 4: make(d, "d/new", "", 1); break;
	case 5: assert_int_equal(unlinkat(d, "d/e/g", 0), 0); break;
	case 6: assert_int_equal(renameat(d, "d/e/g", d, "d/g"), 0); break;
	case 7: assert_int_equal(unlinkat(d, "l", 0) | symlinkat("d/g", d, "l"), 0); break;
	case 8:
		assert_int_equal(
			unlinkat(d, "n", 0) | mknodat(d, "n", S_IFCHR | 0600, makedev(1, 5)), 0);
		break;
	case 9: assert_int_equal(fchmodat(d, "d", 0700, 0), 0); break;
	}
}

static void test_every_difference(void **state)
{
	int a = tree("a");

	(void)state;
	for (int i = 0; i < 10; i++) {
		_cleanup_free_ char *name = xasprintf("b%d", i);
		int b = tree(name);

		assert_true(same(a, b));
		change(b, i);
		if (same(a, b))
			fail_msg("change %d was not seen", i);
		close(b);
	}
	close(a);
}

static void test_shifted_ids(void **state)
{
	static const struct idmap none = {0};
	struct idmap m = {0};
	struct err err = ERR_INIT;
	struct digest128 x, y;
	uint64_t entries;
	int a = tree("plain"), b = tree("shifted");
	static const char *const names[] = {".", "d", "d/e", "d/f", "d/e/g", "l", "n"};

	(void)state;
	assert_int_equal(idmap_add(&m, "b 0 100000 65536", &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(fchownat(b, names[i], 100000, 100000, AT_SYMLINK_NOFOLLOW), 0);
	x = digest(a, &none);
	y = digest(b, &m);
	assert_memory_equal(&x, &y, sizeof(x));
	/* An id that the map does not have is named, not guessed. */
	assert_int_equal(fchownat(b, "d/f", 5, 5, 0), 0);
	assert_int_equal(tree_verify(b, &m, &y, &entries, &err), -ERR_UNSUPPORTED);
	assert_non_null(strstr(err.text, "d/f"));
	idmap_done(&m);
	close(a);
	close(b);
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(top) ? 0 : -1;
}

static int tear_down(void **state)
{
	struct err err = ERR_INIT;
	int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	    r = beneath_remove_tree(tmp, top + 5, &err);

	(void)state;
	close(tmp);
	return r;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_difference),
		cmocka_unit_test(test_shifted_ids),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
