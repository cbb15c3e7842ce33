/* Files that become shorter while they are read. */
#include "unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "tree/content.h"
#include "tree/digest.h"

#define BLOCKS 4

static int nothing(void *ctx, struct content *c, struct err *err)
{
	(void)ctx;
	(void)c;
	(void)err;
	return 0;
}

/* After the first block all others go. */
static int cut(void *ctx, struct content *c, struct err *err)
{
	(void)c;
	(void)err;
	assert_return_code(ftruncate(*(int *)ctx, DIGEST_BLOCK), 0);
	return 0;
}

static void fill(int fd, char c)
{
	static char buf[BLOCKS * DIGEST_BLOCK];

	memset(buf, c, sizeof(buf));
	assert_int_equal(pwrite(fd, buf, sizeof(buf), 0), sizeof(buf));
}

/* What was not read any more is not known to be a hole: the destination may have content there. */
static void test_cut(void **state)
{
	char *dir = unit_tmp(), *path = xasprintf("%s/file", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct opbuf out = {0};
	struct content first = {
		.fd = fd, .size = BLOCKS * DIGEST_BLOCK, .out = &out, .more = nothing};
	struct content second = {
		.fd = fd, .size = BLOCKS * DIGEST_BLOCK, .out = &out, .more = cut, .ctx = &fd};
	struct content third = {.fd = fd,
		.size = BLOCKS * DIGEST_BLOCK,
		.out = &out,
		.more = nothing,
		.tail_unknown = true};
	struct err err = ERR_INIT;
	size_t before;

	(void)state;
	fill(fd, 'x');
	assert_ok(content_stream(&first, &err), &err);
	assert_int_equal(first.n_blocks, BLOCKS);

	fill(fd, 'y');
	second.old = first.blocks;
	second.n_old = first.n_blocks;
	assert_ok(content_stream(&second, &err), &err);
	assert_true(second.short_read);
	assert_int_equal(second.n_blocks, 1);

	/* Longer again, by a hole: that has to be told. */
	assert_return_code(ftruncate(fd, BLOCKS * DIGEST_BLOCK), 0);
	third.old = second.blocks;
	third.n_old = second.n_blocks;
	before = out.len;
	assert_ok(content_stream(&third, &err), &err);
	assert_true(out.len > before);

	content_done(&first);
	content_done(&second);
	content_done(&third);
	opbuf_done(&out);
	close(fd);
	free(path);
	unit_tmp_free(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cut)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
