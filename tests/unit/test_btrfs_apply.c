#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/str.h"
#include "storage/btrfs_apply.h"

/* A folder that commands are applied to, and a stream of such commands in the making. */
struct place {
	char *tmp;
	int fd;
	struct str commands;
};

static int setup(void **state)
{
	struct place *p = xnew(struct place);

	p->tmp = unit_tmp();
	p->fd = open(p->tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	btrfs_put_header(&p->commands, 1);
	*state = p;
	return p->fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	close(p->fd);
	unit_tmp_free(p->tmp);
	str_done(&p->commands);
	free(p);
	return 0;
}

static void put(struct place *p, enum btrfs_number number, enum btrfs_attr a, const char *x,
	enum btrfs_attr b, const char *y)
{
	size_t c = btrfs_put_command(&p->commands, number);

	btrfs_put_attr(&p->commands, a, x, strlen(x));
	if (y)
		btrfs_put_attr(&p->commands, b, y, strlen(y));
	btrfs_put_done(&p->commands, c);
}

static void put_make(struct place *p, enum btrfs_number number, const char *path)
{
	put(p, number, BTRFS_A_PATH, path, 0, NULL);
}

static void put_rename(struct place *p, const char *from, const char *to)
{
	put(p, BTRFS_RENAME, BTRFS_A_PATH, from, BTRFS_A_PATH_TO, to);
}

static void put_link(struct place *p, const char *path, const char *of)
{
	put(p, BTRFS_LINK, BTRFS_A_PATH, path, BTRFS_A_PATH_LINK, of);
}

static void put_number(struct place *p, enum btrfs_number number, const char *path,
	enum btrfs_attr a, uint64_t x, enum btrfs_attr b, uint64_t y)
{
	size_t c = btrfs_put_command(&p->commands, number);

	btrfs_put_attr(&p->commands, BTRFS_A_PATH, path, strlen(path));
	btrfs_put_u64(&p->commands, a, x);
	if (b)
		btrfs_put_u64(&p->commands, b, y);
	btrfs_put_done(&p->commands, c);
}

static void put_mode(struct place *p, const char *path, uint64_t mode)
{
	put_number(p, BTRFS_CHMOD, path, BTRFS_A_MODE, mode, 0, 0);
}

static void put_owner(struct place *p, const char *path, uint64_t uid, uint64_t gid)
{
	put_number(p, BTRFS_CHOWN, path, BTRFS_A_UID, uid, BTRFS_A_GID, gid);
}

static void put_write(struct place *p, const char *path, const char *text)
{
	size_t c = btrfs_put_command(&p->commands, BTRFS_WRITE);

	btrfs_put_attr(&p->commands, BTRFS_A_PATH, path, strlen(path));
	btrfs_put_u64(&p->commands, BTRFS_A_FILE_OFFSET, 0);
	btrfs_put_attr(&p->commands, BTRFS_A_DATA, text, strlen(text));
	btrfs_put_done(&p->commands, c);
}

/* Applies what was put, all at once. */
static int apply(struct place *p, struct err *err)
{
	_cleanup_stream_ struct stream *in = stream_mem_new(p->commands.buf, p->commands.len);
	_cleanup_btrfs_reader_ struct btrfs_reader *reader = btrfs_reader_new(in, 0);
	_cleanup_btrfs_apply_ struct btrfs_apply *a = NULL;
	struct btrfs_origin self = {.fd = p->fd}, from = {.fd = -1};
	struct btrfs_command c;
	int r = btrfs_reader_header(reader, err);

	a = btrfs_apply_new(&self, &from);
	while (r >= 0 && (r = btrfs_reader_next(reader, &c, err)) > 0)
		r = btrfs_apply_command(a, &c, err);
	return r < 0 ? r : btrfs_apply_settle(a, err);
}

static void assert_content(struct place *p, const char *path, const char *want)
{
	_cleanup_close_ int fd = openat(p->fd, path, O_RDONLY);
	char buf[64] = "";

	if (fd < 0 || read(fd, buf, sizeof(buf) - 1) < 0)
		fail_msg("%s: %s", path, strerror(errno));
	assert_string_equal(buf, want);
}

static struct stat stat_of(struct place *p, const char *path)
{
	struct stat st;

	if (fstatat(p->fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		fail_msg("%s: %s", path, strerror(errno));
	return st;
}

static void assert_absent(struct place *p, const char *path)
{
	assert_int_equal(faccessat(p->fd, path, F_OK, AT_SYMLINK_NOFOLLOW), -1);
}

/* A file follows its renames, those of its folders too, and what comes to its old path is another.
 */
static void test_names_move(void **state)
{
	struct place *p = *state;
	struct err err = ERR_INIT;

	put_make(p, BTRFS_MKDIR, "o1");
	put_rename(p, "o1", "d");
	put_make(p, BTRFS_MKFILE, "o2");
	put_rename(p, "o2", "d/f");
	put_write(p, "d/f", "first");
	put_rename(p, "d", "e");
	put_write(p, "e/f", "FI");
	put_make(p, BTRFS_MKDIR, "d");
	put_make(p, BTRFS_MKFILE, "d/f");
	put_write(p, "d/f", "second");
	put_rename(p, "e/f", "g");
	put_rename(p, "d/f", "e/f");
	put_write(p, "g", "fi");
	put_write(p, "e/f", "SE");
	assert_ok(apply(p, &err), &err);
	assert_content(p, "g", "first");
	assert_content(p, "e/f", "SEcond");
	assert_absent(p, "d/f");
	assert_absent(p, "o1");
	assert_absent(p, "o2");
}

/* Three files change places in a ring. */
static void test_names_go_round(void **state)
{
	struct place *p = *state;
	struct err err = ERR_INIT;

	for (const char *const *n = (const char *const[]){"a", "b", "c", NULL}; *n; n++) {
		put_make(p, BTRFS_MKFILE, *n);
		put_write(p, *n, *n);
	}
	put_rename(p, "a", "tmp");
	put_rename(p, "b", "a");
	put_rename(p, "c", "b");
	put_rename(p, "tmp", "c");
	put_write(p, "a", "B");
	put_write(p, "b", "C");
	put_write(p, "c", "A");
	assert_ok(apply(p, &err), &err);
	assert_content(p, "a", "B");
	assert_content(p, "b", "C");
	assert_content(p, "c", "A");
}

/* What is put off is made where it is needed, and where nothing follows, in the end. */
static void test_put_off(void **state)
{
	struct place *p = *state;
	struct err err = ERR_INIT;

	put_make(p, BTRFS_MKFILE, "one");
	put_make(p, BTRFS_MKFILE, "two");
	put_rename(p, "one", "three");
	put_make(p, BTRFS_MKFILE, "over");
	put_rename(p, "over", "three");
	put_make(p, BTRFS_MKDIR, "last");
	assert_ok(apply(p, &err), &err);
	assert_absent(p, "one");
	assert_absent(p, "over");
	assert_true(S_ISREG(stat_of(p, "two").st_mode));
	assert_true(S_ISREG(stat_of(p, "three").st_mode));
	assert_true(S_ISDIR(stat_of(p, "last").st_mode));
}

/* Nothing is left out because we think that it is so already. */
static void test_attributes_by_two_names(void **state)
{
	struct place *p = *state;
	struct err err = ERR_INIT;

	put_make(p, BTRFS_MKFILE, "a");
	put_mode(p, "a", 0644);
	put_link(p, "b", "a");
	put_mode(p, "b", 0600);
	put_mode(p, "a", 0644);
	put_owner(p, "b", 5, 6);
	put_owner(p, "a", 0, 0);
	put_make(p, BTRFS_MKFILE, "s");
	put_mode(p, "s", 04755);
	put_owner(p, "s", 7, 8);
	put_mode(p, "s", 04755);
	assert_ok(apply(p, &err), &err);
	assert_int_equal(stat_of(p, "a").st_mode & 07777, 0644);
	assert_int_equal(stat_of(p, "a").st_uid, 0);
	assert_int_equal(stat_of(p, "s").st_mode & 07777, 04755);
	assert_int_equal(stat_of(p, "s").st_gid, 8);
}

/* More files and folders than are held open at once. */
static void test_many(void **state)
{
	struct place *p = *state;
	struct err err = ERR_INIT;
	char path[32];

	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), "d%d", i % 100);
		if (i < 100)
			put_make(p, BTRFS_MKDIR, path);
		snprintf(path, sizeof(path), "d%d/f%d", i % 100, i);
		put_make(p, BTRFS_MKFILE, path);
		put_write(p, path, path);
	}
	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), "d%d/f%d", i % 100, i);
		put_mode(p, path, 0400);
	}
	assert_ok(apply(p, &err), &err);
	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), "d%d/f%d", i % 100, i);
		assert_content(p, path, path);
		assert_int_equal(stat_of(p, path).st_mode & 07777, 0400);
	}
}

/* The stream says all that a new file has; what its folder hands down is taken away. */
static void test_nothing_is_inherited(void **state)
{
	/* A default ACL: version 2, user:: rwx, user 5: rwx, group:: r-x, mask:: rwx, other:: r-x.
	 */
	static const uint8_t acl[] = {2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 7, 0, 5, 0,
		0, 0, 4, 0, 5, 0, 255, 255, 255, 255, 16, 0, 7, 0, 255, 255, 255, 255, 32, 0, 5, 0,
		255, 255, 255, 255};
	struct place *p = *state;
	struct err err = ERR_INIT;
	_cleanup_free_ char *file = xasprintf("%s/file", p->tmp);
	_cleanup_free_ char *folder = xasprintf("%s/folder", p->tmp);
	size_t c = btrfs_put_command(&p->commands, BTRFS_SET_XATTR);

	btrfs_put_attr(&p->commands, BTRFS_A_PATH, "", 0);
	btrfs_put_attr(&p->commands, BTRFS_A_XATTR_NAME, "system.posix_acl_default", 24);
	btrfs_put_attr(&p->commands, BTRFS_A_XATTR_DATA, acl, sizeof(acl));
	btrfs_put_done(&p->commands, c);
	put_make(p, BTRFS_MKFILE, "file");
	put_make(p, BTRFS_MKDIR, "folder");
	assert_ok(apply(p, &err), &err);
	assert_true(getxattr(p->tmp, "system.posix_acl_default", NULL, 0) > 0);
	assert_int_equal(getxattr(file, "system.posix_acl_access", NULL, 0), -1);
	assert_int_equal(getxattr(folder, "system.posix_acl_access", NULL, 0), -1);
	assert_int_equal(getxattr(folder, "system.posix_acl_default", NULL, 0), -1);
}

static void test_refused(void **state)
{
	struct place *p = *state;
	struct err err = ERR_INIT;

	put_make(p, BTRFS_MKFILE, "../outside");
	assert_fails(apply(p, &err), ERR_PROTOCOL, &err);
	str_trunc(&p->commands, 17);
	put(p, BTRFS_SYMLINK, BTRFS_A_PATH, "way", BTRFS_A_PATH_LINK, "..");
	put_make(p, BTRFS_MKFILE, "way/outside");
	assert_fails(apply(p, &err), ERR_PROTOCOL, &err);
	str_trunc(&p->commands, 17);
	put_make(p, BTRFS_UPDATE_EXTENT, "f");
	assert_fails(apply(p, &err), ERR_UNSUPPORTED, &err);
	str_trunc(&p->commands, 17);
	put_make(p, BTRFS_SUBVOL, "f");
	assert_fails(apply(p, &err), ERR_PROTOCOL, &err);
	assert_absent(p, "../outside");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_names_move),
		TEST(test_names_go_round),
		TEST(test_put_off),
		TEST(test_attributes_by_two_names),
		TEST(test_many),
		TEST(test_nothing_is_inherited),
		TEST(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
