#include "unit.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/beneath.h"
#include "base/cancel.h"

/* A folder with "tree", which is to go, and "keep", which must stay whatever happens. */
struct place {
	char *tmp;
	int fd;
};

static int touch(int dirfd, const char *name)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL, 0644);

	return fd >= 0 ? 0 : -1;
}

static int make_place(void **state, const char *make_fs)
{
	struct place *p = xnew(struct place);

	p->tmp = unit_tmp();
	*state = p;
	if (make_fs) {
		_cleanup_free_ char *command = xasprintf(
			"cd '%s' && mkdir m && truncate -s 120M img && %s img "
			"&& mount -o loop img m",
			p->tmp, make_fs);
		_cleanup_free_ char *root = xasprintf("%s/m", p->tmp);

		if (system(command) != 0)
			return -1;
		p->fd = open(root, O_PATH | O_DIRECTORY);
	} else {
		p->fd = open(p->tmp, O_PATH | O_DIRECTORY);
	}
	return mkdirat(p->fd, "tree", 0755) || mkdirat(p->fd, "keep", 0755) ||
	       touch(p->fd, "keep/file");
}

static int setup(void **state)
{
	return make_place(state, NULL);
}

/* TMPDIR may be of a kind that has no immutable files. */
static int setup_ext4(void **state)
{
	return make_place(state, "mkfs.ext4 -q");
}

static int setup_btrfs(void **state)
{
	return make_place(state, "mkfs.btrfs -q");
}

static int teardown(void **state)
{
	struct place *p = *state;
	struct stat st;
	_cleanup_free_ char *mounted = xasprintf("%s/m", p->tmp);
	int r = fstatat(p->fd, "keep/file", &st, AT_SYMLINK_NOFOLLOW);

	close(p->fd);
	(void)umount(mounted);
	unit_tmp_free(p->tmp);
	free(p);
	return r;
}

static bool exists(const struct place *p, const char *name)
{
	struct stat st;

	return fstatat(p->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static char *path_in(const struct place *p, const char *name)
{
	return xasprintf("%s/%s", p->tmp, name);
}

static void test_all_kinds(void **state)
{
	struct place *p = *state;
	struct err err = ERR_INIT;

	assert_int_equal(mkdirat(p->fd, "tree/dir", 0), 0);
	assert_int_equal(mkdirat(p->fd, "tree/dir/more", 0755), 0);
	assert_int_equal(touch(p->fd, "tree/dir/more/file"), 0);
	assert_int_equal(touch(p->fd, "tree/a\nb"), 0);
	assert_int_equal(linkat(p->fd, "keep/file", p->fd, "tree/hard", 0), 0);
	assert_int_equal(symlinkat("../keep", p->fd, "tree/link"), 0);
	assert_int_equal(symlinkat("/", p->fd, "tree/root"), 0);
	assert_int_equal(mknodat(p->fd, "tree/fifo", S_IFIFO | 0600, 0), 0);
	assert_int_equal(mknodat(p->fd, "tree/sock", S_IFSOCK | 0600, 0), 0);
	assert_int_equal(mknodat(p->fd, "tree/null", S_IFCHR | 0600, makedev(1, 3)), 0);
	assert_ok(beneath_remove_tree(p->fd, "tree", &err), &err);
	assert_false(exists(p, "tree"));
	assert_ok(beneath_remove_tree(p->fd, "tree", &err), &err); /* a missing one is fine */
}

static void test_not_a_folder(void **state)
{
	struct place *p = *state;
	struct err err = ERR_INIT;

	assert_int_equal(symlinkat("keep", p->fd, "link"), 0);
	assert_ok(beneath_remove_tree(p->fd, "link", &err), &err);
	assert_false(exists(p, "link"));
	assert_int_equal(touch(p->fd, "tree/file"), 0);
	assert_ok(beneath_remove_tree(p->fd, "tree/file", &err), &err);
	assert_false(exists(p, "tree/file"));
	assert_true(exists(p, "tree"));
}

static void test_bad_names(void **state)
{
	static const char *const names[] = {
		"", ".", "..", "tree/..", "tree/../keep", "/tmp", "tree/"};
	struct place *p = *state;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct err err = ERR_INIT;

		assert_row(beneath_remove_tree(p->fd, names[i], &err) == -ERR_INVALID, names[i]);
	}
	assert_true(exists(p, "tree"));
}

static void test_through_link(void **state)
{
	struct place *p = *state;
	struct err err = ERR_INIT;

	assert_int_equal(symlinkat("..", p->fd, "tree/up"), 0);
	assert_fails(beneath_remove_tree(p->fd, "tree/up/keep", &err), ERR_INVALID, &err);
	assert_true(exists(p, "keep"));
}

/* Deeper than any path, any stack of descriptors and our own number of levels. */
static void test_deep(void **state)
{
	struct place *p = *state;
	struct rlimit before, few = {64, 64};
	struct err err = ERR_INIT;
	int fd = openat(p->fd, "tree", O_PATH | O_DIRECTORY);
	char name[201];

	memset(name, 'n', 200);
	name[200] = '\0';
	for (int i = 0; i < 3000; i++) {
		int next;

		assert_int_equal(mkdirat(fd, name, 0755), 0);
		assert_int_equal(touch(fd, "file"), 0);
		next = openat(fd, name, O_PATH | O_DIRECTORY);
		close(fd);
		fd = next;
	}
	close(fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_ok(beneath_remove_tree(p->fd, "tree", &err), &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_false(exists(p, "tree"));
}

/* More folders at the limit of the levels than one: each is moved up. */
static void test_deep_and_wide(void **state)
{
	struct place *p = *state;
	struct err err = ERR_INIT;
	char path[600] = "tree";

	for (int i = 0; i < 36; i++) {
		for (int k = 0; k < 4; k++) {
			char side[620];

			snprintf(side, sizeof(side), "%s/side%d", path, k);
			assert_int_equal(mkdirat(p->fd, side, 0755), 0);
			strcat(side, "/f");
			assert_int_equal(touch(p->fd, side), 0);
		}
		strcat(path, "/d");
		assert_int_equal(mkdirat(p->fd, path, 0755), 0);
	}
	assert_ok(beneath_remove_tree(p->fd, "tree", &err), &err);
	assert_false(exists(p, "tree"));
}

static void test_many_entries(void **state)
{
	struct place *p = *state;
	_cleanup_close_ int fd = openat(p->fd, "tree", O_PATH | O_DIRECTORY);
	struct err err = ERR_INIT;
	char name[32];

	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "entry-%d", i);
		assert_int_equal(i % 10 ? touch(fd, name) : mkdirat(fd, name, 0755), 0);
	}
	assert_ok(beneath_remove_tree(p->fd, "tree", &err), &err);
	assert_false(exists(p, "tree"));
}

static int set_flags(const struct place *p, const char *name, int flags)
{
	_cleanup_close_ int fd = openat(p->fd, name, O_RDONLY);

	return ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

static void test_immutable(void **state)
{
	struct place *p = *state;
	struct err err = ERR_INIT;

	assert_int_equal(mkdirat(p->fd, "tree/dir", 0755), 0);
	assert_int_equal(touch(p->fd, "tree/dir/file"), 0);
	assert_int_equal(touch(p->fd, "tree/dir/log"), 0);
	assert_int_equal(mkdirat(p->fd, "tree/empty", 0755), 0);
	assert_int_equal(set_flags(p, "tree/dir/file", FS_IMMUTABLE_FL), 0);
	assert_int_equal(set_flags(p, "tree/dir/log", FS_APPEND_FL), 0);
	assert_int_equal(set_flags(p, "tree/dir", FS_IMMUTABLE_FL), 0);
	assert_int_equal(set_flags(p, "tree/empty", FS_APPEND_FL), 0);
	assert_int_equal(set_flags(p, "tree", FS_IMMUTABLE_FL), 0);
	assert_ok(beneath_remove_tree(p->fd, "tree", &err), &err);
	assert_false(exists(p, "tree"));
}

static void test_mount_inside(void **state)
{
	struct place *p = *state;
	_cleanup_free_ char *at = path_in(p, "tree/a b/mnt"),
			    *inside = path_in(p, "tree/a b/mnt/file");
	_cleanup_free_ char *keep = path_in(p, "keep");
	struct err err = ERR_INIT;

	assert_int_equal(mkdirat(p->fd, "tree/a b", 0755), 0);
	assert_int_equal(mkdirat(p->fd, "tree/a b/mnt", 0755), 0);
	assert_int_equal(touch(p->fd, "tree/first"), 0);
	assert_int_equal(mount(keep, at, NULL, MS_BIND, NULL), 0); /* of the same device */
	assert_int_equal(beneath_remove_tree(p->fd, "tree", &err), -ERR_BUSY);
	assert_has(err.text, at);
	assert_int_equal(access(inside, F_OK), 0);
	assert_true(exists(p, "tree/first")); /* found before anything was removed */
	assert_int_equal(umount(at), 0);
	assert_ok(beneath_remove_tree(p->fd, "tree", &err), &err);
	assert_true(exists(p, "keep/file"));
}

/* Where the look at mountinfo finds nothing, the kernel's refusal must do. */
static void test_mount_not_foreseen(void **state)
{
	struct place *p = *state;
	_cleanup_free_ char *at = path_in(p, "tree/sub/mnt"), *keep = path_in(p, "keep");
	struct err err = ERR_INIT;

	assert_int_equal(mkdirat(p->fd, "tree/sub", 0755), 0);
	assert_int_equal(mkdirat(p->fd, "tree/sub/mnt", 0755), 0);
	assert_int_equal(mount(keep, at, NULL, MS_BIND, NULL), 0);
	/* Hides mountinfo, as in a chroot without /proc. */
	assert_int_equal(mount("none", "/proc", "tmpfs", 0, NULL), 0);
	assert_int_equal(beneath_remove_tree(p->fd, "tree", &err), -ERR_BUSY);
	assert_int_equal(umount("/proc"), 0);
	assert_has(err.text, "tree/sub/mnt");
	assert_true(exists(p, "keep/file"));
	assert_int_equal(umount(at), 0);
}

static void test_mounted_file(void **state)
{
	struct place *p = *state;
	_cleanup_free_ char *at = path_in(p, "tree/resolv"), *from = path_in(p, "keep/file");
	struct err err = ERR_INIT;

	assert_int_equal(touch(p->fd, "tree/resolv"), 0);
	assert_int_equal(mount(from, at, NULL, MS_BIND, NULL), 0);
	assert_int_equal(mount("none", "/proc", "tmpfs", 0, NULL), 0);
	assert_int_equal(beneath_remove_tree(p->fd, "tree", &err), -ERR_BUSY);
	assert_int_equal(umount("/proc"), 0);
	assert_has(err.text, "tree/resolv");
	assert_int_equal(umount(at), 0);
}

static void test_mount_point_itself(void **state)
{
	struct place *p = *state;
	_cleanup_free_ char *at = path_in(p, "tree"), *keep = path_in(p, "keep");
	struct err err = ERR_INIT;

	assert_int_equal(mount(keep, at, NULL, MS_BIND, NULL), 0);
	assert_int_equal(beneath_remove_tree(p->fd, "tree", &err), -ERR_BUSY);
	assert_has(err.text, "tree");
	assert_int_equal(umount(at), 0);
	assert_true(exists(p, "keep/file"));
}

/* No mount, yet another file system with another life: its driver deletes it. */
static void test_subvolume(void **state)
{
	struct place *p = *state;
	_cleanup_free_ char *command = NULL;
	struct err err = ERR_INIT;

	command = xasprintf(
		"btrfs -q subvolume create '%s/m/tree/sub' && touch '%s/m/tree/sub/file'", p->tmp,
		p->tmp);
	assert_int_equal(system(command), 0);
	assert_int_equal(beneath_remove_tree(p->fd, "tree", &err), -ERR_BUSY);
	assert_has(err.text, "tree/sub is a btrfs subvolume");
	assert_int_equal(beneath_remove_tree(p->fd, "tree/sub", &err), -ERR_BUSY);
	assert_true(exists(p, "tree/sub/file"));
}

static void test_cancel(void **state)
{
	struct place *p = *state;
	struct err err = ERR_INIT;

	assert_int_equal(touch(p->fd, "tree/file"), 0);
	cancel_request();
	assert_fails(beneath_remove_tree(p->fd, "tree", &err), ERR_CANCELLED, &err);
	cancel_shield();
	assert_ok(beneath_remove_tree(p->fd, "tree", &err), &err);
	cancel_unshield();
	cancel_reset();
	assert_false(exists(p, "tree"));
}

struct race {
	int fd;
	atomic_bool stop;
};

/* Swaps a folder that is being emptied for a link to the one that must stay. */
static void *swap(void *arg)
{
	struct race *r = arg;

	while (!r->stop)
		renameat2(r->fd, "tree/dir", r->fd, "tree/link", RENAME_EXCHANGE);
	return NULL;
}

static void test_symlink_race(void **state)
{
	struct place *p = *state;
	struct race r = {.fd = p->fd};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, swap, &r), 0);
	for (int i = 0; i < 2000; i++) {
		struct err err = ERR_INIT;
		int n;

		(void)mkdirat(p->fd, "tree", 0755);
		(void)mkdirat(p->fd, "tree/dir", 0755);
		(void)symlinkat("../keep", p->fd, "tree/link");
		(void)touch(p->fd, "tree/dir/file");
		/* It may have to give up for a moment, but never to go astray. */
		n = beneath_remove_tree(p->fd, "tree", &err);
		if (!exists(p, "keep/file") || (n < 0 && err.code == ERR_INTERNAL)) {
			r.stop = true;
			pthread_join(thread, NULL);
			fail_msg("pass %d: went astray: %s", i, err.text);
		}
	}
	r.stop = true;
	pthread_join(thread, NULL);
}

static int own_mounts(void **state)
{
	return unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

#define in_place(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_place(test_all_kinds),
		in_place(test_not_a_folder),
		in_place(test_bad_names),
		in_place(test_through_link),
		in_place(test_deep),
		in_place(test_deep_and_wide),
		in_place(test_many_entries),
		cmocka_unit_test_setup_teardown(test_immutable, setup_ext4, teardown),
		cmocka_unit_test_setup_teardown(test_subvolume, setup_btrfs, teardown),
		in_place(test_mount_inside),
		in_place(test_mount_not_foreseen),
		in_place(test_mounted_file),
		in_place(test_mount_point_itself),
		in_place(test_cancel),
		in_place(test_symlink_race),
	};

	return cmocka_run_group_tests_name("remove", tests, own_mounts, NULL);
}
