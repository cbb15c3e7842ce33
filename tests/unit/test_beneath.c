#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/beneath.h"

/* A folder "root" with things in it, and a secret beside it that no path may reach. */
struct place {
	char *tmp;
	int fd;
};

static int touch(int dirfd, const char *name, const char *text)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL, 0644);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

static int setup(void **state)
{
	struct place *p = xnew(struct place);
	_cleanup_close_ int out = -1;
	int fd;

	p->tmp = unit_tmp();
	out = open(p->tmp, O_PATH | O_DIRECTORY);
	if (touch(out, "secret", "secret") < 0 || mkdirat(out, "root", 0755) < 0)
		return -1;
	fd = p->fd = openat(out, "root", O_PATH | O_DIRECTORY);
	*state = p;
	return mkdirat(fd, "dir", 0755) || mkdirat(fd, "dir/sub", 0755) ||
	       touch(fd, "dir/file", "inside") || symlinkat("..", fd, "up") ||
	       symlinkat("../secret", fd, "leak") || symlinkat("/etc", fd, "etc") ||
	       symlinkat("dir", fd, "alias") || symlinkat("/proc/self/root", fd, "magic");
}

static int teardown(void **state)
{
	struct place *p = *state;

	close(p->fd);
	unit_tmp_free(p->tmp);
	free(p);
	return 0;
}

static void test_path_ok(void **state)
{
	static const char *const good[] = {
		"a", "a/b", "...", "a/..b", ".hidden", "a b", "\xff", "a/..."};
	static const char *const bad[] = {"", ".", "..", "/", "/a", "a/", "a//b", "./a", "a/.",
		"a/./b", "../a", "a/..", "a/../b", "//"};
	char name[258];

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_row(beneath_path_ok(good[i]), good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_row(!beneath_path_ok(bad[i]), bad[i]);
	memset(name, 'x', 257);
	name[255] = '\0';
	assert_true(beneath_path_ok(name));
	name[255] = 'x';
	name[256] = '\0';
	assert_false(beneath_path_ok(name));
}

static void test_open(void **state)
{
	struct place *p = *state;
	struct err err = ERR_INIT;
	struct stat a, b;
	char buf[8] = "";
	int fd;

	fd = beneath_open(p->fd, "dir/file", O_RDONLY, 0, &err);
	assert_ok(fd, &err);
	assert_int_equal(read(fd, buf, 8), 6);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	for (int i = 0; i < 2; i++) {
		fd = beneath_open(p->fd, i ? "." : "", O_RDONLY | O_DIRECTORY, 0, &err);
		assert_ok(fd, &err);
		assert_true(fstat(fd, &a) == 0 && fstat(p->fd, &b) == 0 && a.st_ino == b.st_ino);
		close(fd);
	}
	fd = beneath_open(p->fd, "dir/new", O_WRONLY | O_CREAT | O_EXCL, 0600, &err);
	assert_ok(fd, &err);
	assert_true(fstat(fd, &a) == 0 && (a.st_mode & 07777) == 0600);
	close(fd);
	/* The link itself can be held, to read or remove it. */
	assert_int_equal(beneath_stat(p->fd, "leak", &a), 0);
	assert_true(S_ISLNK(a.st_mode));
	fd = beneath_open_raw(p->fd, "leak", O_PATH, 0, 0);
	if (fd < 0) { /* a kernel without openat2 */
		assert_int_equal(errno, ENXIO);
		return;
	}
	assert_true(fstat(fd, &a) == 0 && S_ISLNK(a.st_mode));
	close(fd);
}

static void test_escapes(void **state)
{
	static const char *const paths[] = {"../secret", "/etc/passwd", "up/secret", "leak",
		"etc/passwd", "magic/etc/passwd", "alias/file", "dir/../file", "dir/../../secret",
		"dir//file", "dir/", "./dir"};
	struct place *p = *state;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct err err = ERR_INIT;
		const char *name;

		assert_row(
			beneath_open(p->fd, paths[i], O_RDONLY, 0, &err) == -ERR_INVALID, paths[i]);
		assert_row(beneath_open_raw(p->fd, paths[i], O_RDONLY | O_CREAT, 0600, 0) == -1,
			paths[i]);
		if (strcmp(paths[i], "leak") != 0)
			assert_row(beneath_parent(p->fd, paths[i], &name, &err) == -ERR_INVALID,
				paths[i]);
	}
}

static void test_missing(void **state)
{
	struct place *p = *state;
	struct err err = ERR_INIT;

	assert_fails(beneath_open(p->fd, "none", O_RDONLY, 0, &err), ERR_NOT_FOUND, &err);
	assert_fails(beneath_open(p->fd, "dir/none/x", O_RDONLY, 0, &err), ERR_NOT_FOUND, &err);
	assert_fails(beneath_open(p->fd, "dir/file/x", O_RDONLY, 0, &err), ERR_INVALID, &err);
}

static void test_parent(void **state)
{
	struct place *p = *state;
	struct err err = ERR_INIT;
	struct stat a, b;
	const char *name = NULL;
	int fd;

	fd = beneath_parent(p->fd, "dir/sub/none", &name, &err);
	assert_ok(fd, &err);
	assert_string_equal(name, "none");
	assert_true(fstat(fd, &a) == 0 && fstatat(p->fd, "dir/sub", &b, 0) == 0 &&
		    a.st_ino == b.st_ino);
	close(fd);
	fd = beneath_parent(p->fd, "top", &name, &err);
	assert_ok(fd, &err);
	assert_string_equal(name, "top");
	close(fd);
	assert_fails(beneath_parent(p->fd, "none/x", &name, &err), ERR_NOT_FOUND, &err);
}

static void test_mkdirs(void **state)
{
	struct place *p = *state;
	struct err err = ERR_INIT;
	struct stat st;

	assert_ok(beneath_mkdirs(p->fd, "dir/a/b/c", 0755, &err), &err);
	assert_ok(beneath_mkdirs(p->fd, "dir/a/b/c", 0755, &err), &err);
	assert_ok(beneath_mkdirs(p->fd, ".", 0755, &err), &err);
	assert_int_equal(fstatat(p->fd, "dir/a/b/c", &st, 0), 0);
	assert_fails(beneath_mkdirs(p->fd, "alias/x", 0755, &err), ERR_INVALID, &err);
	assert_fails(beneath_mkdirs(p->fd, "up/x", 0755, &err), ERR_INVALID, &err);
	assert_fails(beneath_mkdirs(p->fd, "../x", 0755, &err), ERR_INVALID, &err);
	assert_true(beneath_mkdirs(p->fd, "dir/file/x", 0755, &err) < 0);
	assert_int_equal(fstatat(p->fd, "dir/x", &st, 0), -1);
}

static void test_longer_than_path_max(void **state)
{
	struct place *p = *state;
	char path[40 * 201], name[201];
	struct err err = ERR_INIT;
	struct stat a, b;
	const char *last;
	int fd;

	memset(name, 'd', 200);
	name[200] = '\0';
	path[0] = '\0';
	for (int i = 0; i < 39; i++) {
		strcat(path, name);
		strcat(path, "/");
	}
	strcat(path, "end");
	assert_true(strlen(path) > PATH_MAX);
	assert_ok(beneath_mkdirs(p->fd, path, 0755, &err), &err);
	fd = beneath_open(p->fd, path, O_RDONLY | O_DIRECTORY, 0, &err);
	assert_ok(fd, &err);
	assert_true(fstat(fd, &a) == 0);
	close(fd);
	fd = beneath_parent(p->fd, path, &last, &err);
	assert_ok(fd, &err);
	assert_string_equal(last, "end");
	assert_true(fstatat(fd, last, &b, 0) == 0 && a.st_ino == b.st_ino);
	/* A link in the last stage, and one that replaces a stage, are refused as well. */
	assert_int_equal(symlinkat("/", fd, "out"), 0);
	close(fd);
	strcpy(strrchr(path, '/'), "/out/etc");
	assert_fails(beneath_open(p->fd, path, O_RDONLY, 0, &err), ERR_INVALID, &err);
}

static void test_mount_point(void **state)
{
	struct place *p = *state;
	_cleanup_free_ char *sub = xasprintf("%s/root/dir/sub", p->tmp);
	struct err err = ERR_INIT;
	int fd;

	assert_int_equal(mount("none", sub, "tmpfs", 0, NULL), 0);
	assert_fails(beneath_open(p->fd, "dir/sub", O_RDONLY, 0, &err), ERR_INVALID, &err);
	fd = beneath_open_raw(p->fd, "dir/sub", O_RDONLY, 0, BENEATH_XDEV);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(umount(sub), 0);
}

struct race {
	int fd;
	atomic_bool stop;
};

/* Swaps a folder for a link to the outside and back, as fast as it can. */
static void *swap(void *arg)
{
	struct race *r = arg;

	while (!r->stop) {
		if (syscall(SYS_renameat2, r->fd, "swap", r->fd, "up", RENAME_EXCHANGE) == 0 ||
			errno != ENOSYS)
			continue;
		renameat(r->fd, "swap", r->fd, "kept");
		renameat(r->fd, "up", r->fd, "swap");
		renameat(r->fd, "swap", r->fd, "up");
		renameat(r->fd, "kept", r->fd, "swap");
	}
	return NULL;
}

static void test_symlink_race(void **state)
{
	struct place *p = *state;
	struct race r = {.fd = p->fd};
	int opened = 0, refused = 0;
	pthread_t thread;

	assert_int_equal(mkdirat(p->fd, "swap", 0755), 0);
	assert_int_equal(touch(p->fd, "swap/secret", "inside"), 0);
	assert_int_equal(pthread_create(&thread, NULL, swap, &r), 0);
	/* Until both outcomes were seen often: then the race was real. */
	for (int i = 0; i < 2000000 && (opened < 500 || refused < 500); i++) {
		int fd = beneath_open_raw(p->fd, "swap/secret", O_RDONLY, 0, 0);
		char buf[8] = "";

		if (fd < 0) {
			assert_true(errno == ELOOP || errno == ENOTDIR || errno == EAGAIN ||
				    errno == ENOENT);
			refused += errno != ENOENT;
			continue;
		}
		opened++;
		assert_int_equal(read(fd, buf, 8), 6);
		close(fd);
		if (strcmp(buf, "inside") != 0) {
			r.stop = true;
			pthread_join(thread, NULL);
			fail_msg("read \"%s\" from outside", buf);
		}
	}
	r.stop = true;
	pthread_join(thread, NULL);
	assert_true(opened > 0 && refused > 0);
}

static int own_mounts(void **state)
{
	return unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

#define in_place(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path_ok),
		in_place(test_open),
		in_place(test_escapes),
		in_place(test_missing),
		in_place(test_parent),
		in_place(test_mkdirs),
		in_place(test_longer_than_path_max),
		in_place(test_mount_point),
		in_place(test_symlink_race),
	};

	return cmocka_run_group_tests_name("beneath", tests, own_mounts, NULL);
}
