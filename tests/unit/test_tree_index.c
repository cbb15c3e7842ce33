/* What the index says after a pass that met things where it had not looked any more. */
#include "unit.h"

#include <sys/stat.h>

#include "tree/index.h"

enum { ROOT = 2, A = 10, B = 11, FILE_ID = 12 };

static void put_dir(struct index *ix, uint64_t id, const char *name)
{
	struct index_entry e = {.id = id, .mode = S_IFDIR, .name = name};

	index_put(ix, &e, 1);
}

static void put_done(struct index *ix, uint64_t id)
{
	struct index_dir d = {.id = id, .ctime = 1};

	index_put_done(ix, &d, 1);
}

static void begin(const char *path, struct index *ix, struct err *err)
{
	const struct watch_stamp stamp = {0};

	*ix = (struct index){.part = -1};
	assert_ok(index_open(path, NULL, ix, err), err);
	assert_ok(index_begin(ix, 1, ROOT, 0, &stamp, err), err);
}

static void commit(const char *path, struct index *ix, struct err *err)
{
	index_put_end(ix, 1);
	assert_ok(index_flush(ix, err), err);
	index_done(ix);
	assert_ok(index_commit(path, err), err);
	*ix = (struct index){.part = -1};
	assert_ok(index_open(path, NULL, ix, err), err);
}

/* Folder a holds a file, and b, which the pass did not get to look into. */
static void first_pass(const char *path, struct index *ix, struct err *err)
{
	const struct index_entry file = {.id = FILE_ID, .mode = S_IFREG, .name = "file"};

	begin(path, ix, err);
	index_put_dir(ix, ROOT);
	put_dir(ix, A, "a");
	put_done(ix, ROOT);
	index_put_dir(ix, A);
	index_put(ix, &file, 1);
	put_dir(ix, B, "b");
	put_done(ix, A);
	commit(path, ix, err);
}

/* Folder a was nowhere when the pass looked, so the destination has lost it. Then it was met after
 * all, in b, and made there; but it was gone again before it was looked into. */
static void test_dropped_and_made(void **state)
{
	char *dir = unit_tmp(), *path = xasprintf("%s/index", dir);
	struct err err = ERR_INIT;
	struct index_entry e;
	struct index_dir d;
	struct index ix;
	uint64_t in;
	size_t pos = 0;

	(void)state;
	first_pass(path, &ix, &err);
	assert_true(index_dir(&ix, A, &d));
	assert_true(index_name(&ix, FILE_ID, &pos, &e, &in));
	index_done(&ix);

	begin(path, &ix, &err);
	index_put_move(&ix, A, true, ROOT, "a", 0, NULL);
	index_put_batch(&ix, 1, 1);
	index_put_dir(&ix, ROOT);
	put_dir(&ix, B, "b");
	put_done(&ix, ROOT);
	index_put_dir(&ix, B);
	put_dir(&ix, A, "a");
	put_done(&ix, B);
	index_put_owed(&ix, A);
	index_put_owed(&ix, B);
	commit(path, &ix, &err);

	assert_false(index_dir(&ix, A, &d));
	pos = 0;
	assert_false(index_name(&ix, FILE_ID, &pos, &e, &in));
	assert_int_equal(index_n_dirs(&ix), 2);
	assert_true(index_dir(&ix, B, &d));
	assert_int_equal(d.parent, ROOT);
	assert_true(d.flags & INDEX_F_RACY);
	index_done(&ix);
	free(path);
	unit_tmp_free(dir);
}

/* Folder b has moved to where the pass makes it, and a, which still names it, was not met. */
static void test_made_elsewhere(void **state)
{
	char *dir = unit_tmp(), *path = xasprintf("%s/index", dir);
	struct err err = ERR_INIT;
	struct index_dir d;
	struct index ix;

	(void)state;
	first_pass(path, &ix, &err);
	index_done(&ix);

	begin(path, &ix, &err);
	index_put_move(&ix, FILE_ID, false, A, "file", ROOT, "moved");
	index_put_batch(&ix, 1, 1);
	index_put_dir(&ix, ROOT);
	put_dir(&ix, A, "a");
	put_dir(&ix, B, "b");
	put_done(&ix, ROOT);
	index_put_dir(&ix, B);
	put_done(&ix, B);
	index_put_owed(&ix, A);
	commit(path, &ix, &err);

	assert_int_equal(index_n_dirs(&ix), 3);
	assert_true(index_dir(&ix, A, &d));
	assert_true(index_dir(&ix, B, &d));
	assert_int_equal(d.parent, ROOT);
	index_done(&ix);
	free(path);
	unit_tmp_free(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dropped_and_made), cmocka_unit_test(test_made_elsewhere)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
