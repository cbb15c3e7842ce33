#include "node.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "base/file.h"
#include "node/job.h"
#include "node/ownership.h"
#include "node/state_sql.h"

#define WRITERS 4
#define ROUNDS	15

static char *below(const char *name)
{
	return xasprintf("%s/%s", node_tmp, name);
}

static void sql(const char *text)
{
	_cleanup_free_ char *path = below("state.db");
	sqlite3 *db;
	char *why = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", text, why);
	sqlite3_close(db);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void test_made_private(void **state)
{
	_cleanup_free_ char *folder = below("a/b"), *db = below("a/b/state.db"),
			    *wal = below("a/b/state.db-wal"), *shm = below("a/b/state.db-shm");
	struct state *s;
	mode_t old = umask(0);

	setenv("WHERRY_STATE_DIR", folder, 1);
	s = node_open();
	umask(old);
	assert_int_equal(mode_of(folder), 0711);
	assert_int_equal(mode_of(db), 0600);
	assert_int_equal(mode_of(wal), 0600);
	assert_int_equal(mode_of(shm), 0600);
	state_close(s);
}

static void test_node_id_stays(void **state)
{
	struct state *s = node_open();
	char id[41];

	assert_int_equal(strlen(state_node_id(s)), 40);
	strcpy(id, state_node_id(s));
	state_close(s);
	s = node_open();
	assert_string_equal(state_node_id(s), id);
	state_close(s);
}

static void test_tokens_differ(void **state)
{
	char a[41], b[41];

	state_token(a);
	state_token(b);
	assert_int_equal(strlen(a), 40);
	assert_int_equal(strspn(a, "0123456789abcdef"), 40);
	assert_string_not_equal(a, b);
}

static void test_foreign_refused(void **state)
{
	struct err err = ERR_INIT;
	struct state *s = NULL;

	sql("CREATE TABLE theirs (x)");
	assert_fails(state_open(&s, &err), ERR_STATE, &err);
	sql("PRAGMA user_version = 1");
	assert_fails(state_open(&s, &err), ERR_STATE, &err);
	assert_fails(state_open_readonly(&s, &err), ERR_STATE, &err);
	sql("SELECT x FROM theirs"); /* as it was */
}

static uint64_t pragma(struct state *s, const char *sql_text, const char *text)
{
	_cleanup_rows_ struct rows *rows = NULL;
	struct err err = ERR_INIT;

	assert_ok(state_query(s, &rows, &err, sql_text, ""), &err);
	assert_ok(rows_first(rows, &err), &err);
	if (text)
		assert_string_equal(rows_str(rows, 0), text);
	return rows_u64(rows, 0);
}

/* What makes a commit durable; the next to open it gets the same. */
static void test_durable(void **state)
{
	for (int i = 0; i < 2; i++) {
		_cleanup_state_ struct state *s = node_open();

		pragma(s, "PRAGMA journal_mode", "wal");
		assert_int_equal(pragma(s, "PRAGMA synchronous", NULL), 2);
		assert_int_equal(pragma(s, "PRAGMA foreign_keys", NULL), 1);
	}
}

static void test_newer_refused(void **state)
{
	struct err err = ERR_INIT;
	struct state *s;

	state_close(node_open());
	sql("PRAGMA user_version = 4711");
	s = NULL;
	if (state_open(&s, &err) != -ERR_STATE)
		fail_msg("a newer database was opened");
	assert_has(err.text, "version 4711");
	assert_has(err.text, "newer");
	err_clear(&err);
	assert_fails(state_open_readonly(&s, &err), ERR_STATE, &err);
	assert_null(s);
}

static void test_garbage_refused(void **state)
{
	_cleanup_free_ char *path = below("state.db");
	char junk[8192];
	struct err err = ERR_INIT;
	struct state *s = NULL;

	memset(junk, 'x', sizeof(junk));
	assert_ok(file_replace(path, junk, sizeof(junk), 0600, &err), &err);
	assert_fails(state_open(&s, &err), ERR_CORRUPT, &err);
	assert_fails(state_open_readonly(&s, &err), ERR_CORRUPT, &err);
}

static void add(struct state *s, const char *ct)
{
	struct own o = {.kind = OWN_STAGED, .epoch = 7, .token = "t", .peer = "b"};
	struct err err = ERR_INIT;

	snprintf(o.ct, sizeof(o.ct), "%s", ct);
	assert_ok(own_set(s, &o, &err), &err);
}

static enum own_kind kind_of(struct state *s, const char *ct)
{
	struct err err = ERR_INIT;
	struct own o;

	assert_ok(own_get(s, ct, &o, &err), &err);
	return o.kind;
}

static void test_transactions(void **state)
{
	_cleanup_state_ struct state *s = node_open(), *other = node_open();
	struct err err = ERR_INIT;

	assert_ok(state_begin(s, &err), &err);
	add(s, "web");
	assert_int_equal(kind_of(s, "web"), OWN_STAGED);
	assert_int_equal(kind_of(other, "web"), OWN_OWNER);
	state_rollback(s);
	assert_int_equal(kind_of(s, "web"), OWN_OWNER);

	assert_ok(state_begin(s, &err), &err);
	assert_fails(state_begin(s, &err), ERR_INTERNAL, &err);
	add(s, "web");
	add(s, "db");
	assert_ok(state_commit(s, &err), &err);
	assert_int_equal(kind_of(other, "web"), OWN_STAGED);
	assert_int_equal(kind_of(other, "db"), OWN_STAGED);
	assert_fails(state_commit(s, &err), ERR_INTERNAL, &err);
}

static void test_readonly(void **state)
{
	struct err err = ERR_INIT;
	struct state *s = NULL, *ro = NULL;

	assert_fails(state_open_readonly(&ro, &err), ERR_NOT_FOUND, &err);
	s = node_open();
	add(s, "web");
	assert_ok(state_open_readonly(&ro, &err), &err);
	assert_int_equal(kind_of(ro, "web"), OWN_STAGED);
	assert_true(own_forget(ro, "web", &err) < 0);
	err_clear(&err);
	assert_int_equal(kind_of(s, "web"), OWN_STAGED);
	state_close(ro);
	state_close(s);
	assert_ok(state_open_readonly(&ro, &err), &err); /* all others have closed it */
	assert_int_equal(kind_of(ro, "web"), OWN_STAGED);
	state_close(ro);
}

/* An empty file, as a crash right after its making leaves it: there is no record, but no proof. */
static void test_readonly_empty(void **state)
{
	_cleanup_free_ char *path = below("state.db");
	struct err err = ERR_INIT;
	struct state *s = NULL;

	assert_ok(file_replace(path, "", 0, 0600, &err), &err);
	assert_fails(state_open_readonly(&s, &err), ERR_NOT_FOUND, &err);
	assert_null(s);
	s = node_open();
	state_close(s);
}

static int die_with_wal(void *arg)
{
	struct state *s = node_open();

	add(s, "web");
	kill(getpid(), SIGKILL);
	return 1;
}

/* A crash leaves the -wal file; a reboot may take the -shm file. */
static void test_readonly_after_reboot(void **state)
{
	_cleanup_free_ char *wal = below("state.db-wal"), *shm = below("state.db-shm");
	_cleanup_state_ struct state *s = NULL;
	struct err err = ERR_INIT;

	state_close(node_open());
	assert_true(WIFSIGNALED(node_wait(node_fork(die_with_wal, NULL))));
	assert_true(file_exists(wal));
	assert_int_equal(unlink(shm), 0);
	assert_ok(state_open_readonly(&s, &err), &err);
	assert_int_equal(kind_of(s, "web"), OWN_STAGED);
}

struct writer {
	int start_fd, number;
};

/* Opens, all at once with the others, and writes: histories and jobs. */
static int writer(void *arg)
{
	struct writer *w = arg;
	struct err err = ERR_INIT;
	struct state *s = NULL;
	char c;

	if (read(w->start_fd, &c, 1) != 0 || state_open(&s, &err) < 0)
		goto failed;
	for (int i = 0; i < ROUNDS; i++) {
		struct job j = {.pid = w->number};

		if (job_start(s, &j, &err) < 0 || history_add(s, "web", "event", NULL, &err) < 0 ||
			job_finish(s, j.id, JOB_DONE, NULL, &err) < 0)
			goto failed;
	}
	state_close(s);
	return 0;
failed:
	fprintf(stderr, "writer %d: %s\n", w->number, err.text);
	return 1;
}

static void test_many_open_at_once(void **state)
{
	struct writer w[WRITERS];
	pid_t pids[WRITERS];
	int start[2];
	struct err err = ERR_INIT;
	struct job_vec jobs = {0};
	json_t *history = NULL;
	struct state *s;

	assert_int_equal(pipe(start), 0);
	for (int i = 0; i < WRITERS; i++) {
		w[i] = (struct writer){start[0], i + 1};
		pids[i] = fork();
		if (pids[i] == 0) {
			close(start[1]);
			_exit(writer(&w[i]));
		}
	}
	close(start[1]); /* the start */
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(node_wait(pids[i]), 0);
	close(start[0]);
	s = node_open();
	assert_ok(job_list(s, false, 0, &jobs, &err), &err);
	assert_int_equal(jobs.n, WRITERS * ROUNDS);
	for (size_t i = 0; i < jobs.n; i++) {
		assert_int_equal(jobs.v[i].id, WRITERS * ROUNDS - i);
		assert_int_equal(jobs.v[i].state, JOB_DONE);
	}
	assert_ok(history_read(s, "web", 0, &history, &err), &err);
	assert_int_equal(json_array_size(history), WRITERS * ROUNDS);
	json_decref(history);
	job_vec_free(&jobs);
	state_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		node_test(test_made_private),
		node_test(test_node_id_stays),
		node_test(test_tokens_differ),
		node_test(test_foreign_refused),
		node_test(test_durable),
		node_test(test_newer_refused),
		node_test(test_garbage_refused),
		node_test(test_transactions),
		node_test(test_readonly),
		node_test(test_readonly_empty),
		node_test(test_readonly_after_reboot),
		node_test(test_many_open_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
