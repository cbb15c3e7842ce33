/* What a destination must make of streams by somebody who means harm: refuse, and touch nothing
 * outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "tree/ops.h"
#include "tree/tree.h"

struct place {
	char dir[32];
	int top, root; /* DIR, with the tree in DIR/root and something of value beside it */
	struct opbuf b;
};

static int setup(void **state)
{
	struct place *p = xnew(struct place);
	int fd;

	strcpy(p->dir, "/tmp/tree-receive-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	p->top = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_return_code(mkdirat(p->top, "root", 0755), 0);
	assert_return_code(mkdirat(p->top, "outside", 0755), 0);
	fd = openat(p->top, "outside/precious", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "gold", 4), 4);
	close(fd);
	p->root = openat(p->top, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	struct err err = ERR_INIT;

	close(p->root);
	close(p->top);
	p->top = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_return_code(beneath_remove_tree(p->top, p->dir + 5, &err), 0);
	close(p->top);
	opbuf_done(&p->b);
	free(p);
	return 0;
}

/* Still there, still the same, and alone. */
static void assert_outside_untouched(const struct place *p)
{
	char text[8] = "";
	struct stat st;
	int fd = openat(p->top, "outside/precious", O_RDONLY | O_CLOEXEC);

	assert_return_code(fd, 0);
	assert_int_equal(read(fd, text, sizeof(text)), 4);
	assert_string_equal(text, "gold");
	assert_return_code(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_nlink, 1);
	close(fd);
	assert_return_code(fstatat(p->top, "outside", &st, 0), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(st.st_mode & 07777, 0755);
}

static int receive(struct place *p)
{
	struct tree_receive_args a = {.rootfd = p->root};
	struct tree_result res = {0};
	struct err err = ERR_INIT;
	_cleanup_stream_ struct stream *s = stream_mem_new(p->b.buf, p->b.len);
	int r = tree_receive(&a, s, &res, &err);

	if (r >= 0)
		tree_result_done(&res);
	else
		assert_string_not_equal(err.text, "");
	p->b.len = 0;
	assert_outside_untouched(p);
	return r;
}

static void put_begin(struct opbuf *b)
{
	op_begin(b, OP_BEGIN);
	op_u32(b, ATTR_VERSION, OPS_VERSION);
	op_u64(b, ATTR_SESSION, 7);
	op_u64(b, ATTR_ID, 2);
	op_end(b);
}

static void put_dir(struct opbuf *b, uint32_t up, const char *name)
{
	op_begin(b, OP_DIR);
	op_u32(b, ATTR_UP, up);
	if (name)
		op_str(b, ATTR_NAME, name);
	op_u64(b, ATTR_ID, 3);
	op_end(b);
}

static void put_meta(struct opbuf *b, uint32_t mode)
{
	struct timespec t = {5, 6};

	op_u64(b, ATTR_ID, 9);
	op_u32(b, ATTR_MODE, mode);
	op_u32(b, ATTR_UID, getuid());
	op_u32(b, ATTR_GID, getgid());
	op_time(b, ATTR_ATIME, t);
	op_time(b, ATTR_MTIME, t);
}

static void put_done(struct opbuf *b)
{
	op_begin(b, OP_DONE);
	put_meta(b, S_IFDIR | 0755);
	op_end(b);
}

static void put_end(struct opbuf *b)
{
	op_begin(b, OP_END);
	op_end(b);
}

static void put_symlink(struct opbuf *b, const char *name, const char *target)
{
	op_begin(b, OP_NODE);
	op_str(b, ATTR_NAME, name);
	put_meta(b, S_IFLNK | 0777);
	op_str(b, ATTR_TARGET, target);
	op_end(b);
}

static void put_file(struct opbuf *b, const char *name, uint32_t flags, const char *text)
{
	op_begin(b, OP_FILE);
	op_str(b, ATTR_NAME, name);
	op_u32(b, ATTR_FLAGS, flags);
	put_meta(b, S_IFREG | 0644);
	op_u64(b, ATTR_SIZE, strlen(text));
	if (flags & OP_F_WHOLE)
		op_bytes(b, ATTR_DATA, text, strlen(text));
	op_end(b);
}

static void put_named(struct opbuf *b, enum op_type type, const char *name)
{
	op_begin(b, type);
	op_str(b, ATTR_NAME, name);
	if (type == OP_MKDIR)
		op_u64(b, ATTR_ID, 4);
	op_end(b);
}

static void test_a_small_tree(void **state)
{
	struct place *p = *state;
	struct stat st;

	put_begin(&p->b);
	put_dir(&p->b, 0, NULL);
	put_named(&p->b, OP_MKDIR, "sub");
	put_file(&p->b, "file", OP_F_WHOLE, "hello");
	put_symlink(&p->b, "link", "/etc/passwd");
	put_done(&p->b);
	put_dir(&p->b, 0, "sub");
	put_done(&p->b);
	put_end(&p->b);
	assert_return_code(receive(p), 0);
	assert_return_code(fstatat(p->root, "file", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_size, 5);
	assert_int_equal(st.st_mtim.tv_sec, 5);
	assert_return_code(fstatat(p->root, "link", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISLNK(st.st_mode));
}

static void test_names_that_lead_out(void **state)
{
	static const char *const bad[] = {
		"..", ".", "", "../outside/precious", "a/b", "/etc/passwd", "outside/../x"};
	static const enum op_type types[] = {OP_MKDIR, OP_DROP, OP_KEEP};
	struct place *p = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(types); k++) {
			put_begin(&p->b);
			put_dir(&p->b, 0, NULL);
			put_named(&p->b, types[k], bad[i]);
			assert_int_equal(receive(p), -ERR_PROTOCOL);
		}
		put_begin(&p->b);
		put_dir(&p->b, 0, bad[i]);
		assert_int_equal(receive(p), -ERR_PROTOCOL);
		put_begin(&p->b);
		put_dir(&p->b, 0, NULL);
		put_file(&p->b, bad[i], OP_F_WHOLE, "x");
		assert_int_equal(receive(p), -ERR_PROTOCOL);
	}
}

static void test_a_name_with_a_nul(void **state)
{
	struct place *p = *state;

	put_begin(&p->b);
	put_dir(&p->b, 0, NULL);
	op_begin(&p->b, OP_DROP);
	op_bytes(&p->b, ATTR_NAME, "a\0b", 4);
	op_end(&p->b);
	assert_int_equal(receive(p), -ERR_PROTOCOL);
	put_begin(&p->b);
	put_dir(&p->b, 0, NULL);
	op_begin(&p->b, OP_DROP);
	op_bytes(&p->b, ATTR_NAME, "abc", 3);
	op_end(&p->b);
	assert_int_equal(receive(p), -ERR_PROTOCOL);
}

/* A symlink is made first, then used as if it were a folder or a file. */
static void test_symlinks_are_never_followed(void **state)
{
	struct place *p = *state;

	put_begin(&p->b);
	put_dir(&p->b, 0, NULL);
	put_symlink(&p->b, "dir", "../outside");
	put_dir(&p->b, 0, "dir");
	put_file(&p->b, "precious", OP_F_WHOLE, "lead");
	assert_int_equal(receive(p), -ERR_STATE);

	put_begin(&p->b);
	put_dir(&p->b, 0, NULL);
	put_symlink(&p->b, "file", "../outside/precious");
	put_file(&p->b, "file", OP_F_PATCH | OP_F_WHOLE | OP_F_EMPTY, "lead");
	assert_int_equal(receive(p), -ERR_STATE);

	put_begin(&p->b);
	put_dir(&p->b, 0, NULL);
	put_symlink(&p->b, "meta", "../outside/precious");
	op_begin(&p->b, OP_META);
	op_str(&p->b, ATTR_NAME, "meta");
	put_meta(&p->b, S_IFREG | 0777);
	op_end(&p->b);
	assert_int_equal(receive(p), -ERR_STATE);

	put_begin(&p->b);
	put_dir(&p->b, 0, NULL);
	put_symlink(&p->b, "way", "../outside");
	op_begin(&p->b, OP_LINK);
	op_str(&p->b, ATTR_NAME, "mine");
	op_u64(&p->b, ATTR_ID, 5);
	op_str(&p->b, ATTR_PATH, "way/precious");
	op_end(&p->b);
	assert_int_equal(receive(p), -ERR_STATE);
}

static void put_batch(struct opbuf *b, enum op_type type, const char *path)
{
	op_begin(b, OP_MOVES);
	op_u64(b, ATTR_SESSION, 1);
	op_end(b);
	op_begin(b, type);
	op_u64(b, ATTR_OFFSET, 0);
	op_str(b, ATTR_PATH, path);
	op_end(b);
}

static void test_moves_stay_inside(void **state)
{
	static const char *const bad[] = {
		"../outside/precious", "..", "a/../../outside", "/outside", "a//b", ""};
	struct place *p = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put_begin(&p->b);
		put_batch(&p->b, OP_OUT, bad[i]);
		assert_int_equal(receive(p), -ERR_PROTOCOL);
		put_begin(&p->b);
		put_batch(&p->b, OP_MAKE, bad[i]);
		assert_int_equal(receive(p), -ERR_PROTOCOL);
	}
	put_begin(&p->b);
	put_dir(&p->b, 0, NULL);
	put_symlink(&p->b, "way", "../outside");
	put_done(&p->b);
	put_batch(&p->b, OP_OUT, "way/precious");
	assert_true(receive(p) < 0);
}

static void test_operations_out_of_order(void **state)
{
	struct place *p = *state;

	put_dir(&p->b, 0, NULL);
	assert_int_equal(receive(p), -ERR_PROTOCOL);
	put_begin(&p->b);
	put_begin(&p->b);
	assert_int_equal(receive(p), -ERR_PROTOCOL);
	put_begin(&p->b);
	put_file(&p->b, "nowhere", OP_F_WHOLE, "x");
	assert_int_equal(receive(p), -ERR_PROTOCOL);
	put_begin(&p->b);
	put_dir(&p->b, 1, NULL);
	assert_int_equal(receive(p), -ERR_PROTOCOL);
	put_begin(&p->b);
	put_dir(&p->b, 0, NULL);
	put_end(&p->b);
	assert_int_equal(receive(p), -ERR_PROTOCOL);
	put_begin(&p->b);
	put_dir(&p->b, 0, NULL);
	put_file(&p->b, "open", 0, "12345");
	put_named(&p->b, OP_DROP, "other");
	assert_int_equal(receive(p), -ERR_PROTOCOL);
	put_begin(&p->b);
	assert_int_equal(receive(p), -ERR_PROTOCOL); /* it ends too early */
}

static void test_content_beyond_the_end(void **state)
{
	struct place *p = *state;
	struct stat st;

	put_begin(&p->b);
	put_dir(&p->b, 0, NULL);
	put_file(&p->b, "small", 0, "12345");
	op_begin(&p->b, OP_DATA);
	op_u64(&p->b, ATTR_OFFSET, 3);
	op_bytes(&p->b, ATTR_DATA, "abc", 3);
	op_end(&p->b);
	assert_int_equal(receive(p), -ERR_PROTOCOL);
	assert_return_code(fstatat(p->root, "small", &st, 0), 0);
	assert_int_equal(st.st_size, 0);
	put_begin(&p->b);
	put_dir(&p->b, 0, NULL);
	put_file(&p->b, "small", 0, "12345");
	op_begin(&p->b, OP_HOLE);
	op_u64(&p->b, ATTR_OFFSET, 1);
	op_u64(&p->b, ATTR_LENGTH, UINT64_MAX);
	op_end(&p->b);
	assert_int_equal(receive(p), -ERR_PROTOCOL);
}

static void test_lengths_that_lie(void **state)
{
	struct place *p = *state;
	uint32_t huge = 0x7fffffff, more = 0x05fffff0;

	put_begin(&p->b);
	put_dir(&p->b, 0, NULL);
	memcpy(p->b.buf + p->b.op + 4, &huge, 4);
	assert_int_equal(receive(p), -ERR_PROTOCOL);
	put_begin(&p->b);
	put_dir(&p->b, 0, "name");
	memcpy(p->b.buf + p->b.op + OP_HEAD, &more, 4);
	assert_int_equal(receive(p), -ERR_PROTOCOL);
	put_begin(&p->b);
	p->b.buf[0] = 99;
	assert_int_equal(receive(p), -ERR_PROTOCOL);
}

static void test_types_that_do_not_fit(void **state)
{
	struct place *p = *state;

	put_begin(&p->b);
	put_dir(&p->b, 0, NULL);
	op_begin(&p->b, OP_NODE);
	op_str(&p->b, ATTR_NAME, "dir");
	put_meta(&p->b, S_IFDIR | 0755);
	op_end(&p->b);
	assert_int_equal(receive(p), -ERR_PROTOCOL);
	put_begin(&p->b);
	put_dir(&p->b, 0, NULL);
	op_begin(&p->b, OP_NODE);
	op_str(&p->b, ATTR_NAME, "link");
	put_meta(&p->b, S_IFLNK | 0777);
	op_end(&p->b);
	assert_int_equal(receive(p), -ERR_PROTOCOL);
}

/* What the proof of an earlier pass says must not outlive that pass: where it cannot be removed,
 * the next one does not begin. */
static void test_proof_that_stays(void **state)
{
	struct place *p = *state;
	_cleanup_free_ char *dir = xasprintf("%s/state", p->dir);
	struct err err = ERR_INIT;

	assert_return_code(mkdirat(p->top, "state", 0700), 0);
	assert_return_code(mkdirat(p->top, "state/kept", 0700), 0);
	assert_true(tree_resume_forget(dir, &err) < 0);
	assert_non_null(strstr(err.text, "state/kept"));
	assert_return_code(unlinkat(p->top, "state/kept", AT_REMOVEDIR), 0);
	assert_return_code(tree_resume_forget(dir, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_small_tree, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_that_lead_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_name_with_a_nul, setup, teardown),
		cmocka_unit_test_setup_teardown(test_symlinks_are_never_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_moves_stay_inside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_operations_out_of_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_content_beyond_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lengths_that_lie, setup, teardown),
		cmocka_unit_test_setup_teardown(test_types_that_do_not_fit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_proof_that_stays, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
