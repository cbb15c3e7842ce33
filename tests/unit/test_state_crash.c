/*
 * A writer that is killed: what it was told is written is there, and of several records that change
 * together either all are old or all are new.
 */

/* With the fault points in, whatever the rest of the build says. */
#define WHERRY_FAULTS
#include "base/fault.c"
#include "node/state.c"

#include "node.h"

#include <sched.h>
#include <sys/mount.h>

#include "base/json.h"
#include "node/job.h"
#include "node/journal.h"
#include "node/ownership.h"
#include "node/transfer.h"

static char token[41];

static int clear(void **state)
{
	unsetenv("WHERRY_FAULT");
	return node_teardown(state);
}

#define crash_test(f) cmocka_unit_test_setup_teardown(f, node_setup, clear)

static struct own own(enum own_kind kind)
{
	struct own o = {.ct = "web", .kind = kind, .epoch = 0, .peer = "b"};

	strcpy(o.token, token);
	return o;
}

/* A send just before its commit. */
static void prepare(void)
{
	_cleanup_state_ struct state *s = node_open();
	_cleanup_transfer_ struct transfer *t = transfer_new(TRANSFER_SOURCE, "web");
	struct err err = ERR_INIT;
	struct own o;

	strcpy(token, t->token);
	o = own(OWN_RELEASING);
	assert_ok(transfer_insert(s, t, &err), &err);
	assert_ok(own_set(s, &o, &err), &err);
}

static int do_commit(struct state *s, struct transfer *t, struct err *err)
{
	struct own o = own(OWN_RELEASED);
	int r = state_begin(s, err);

	if (r >= 0)
		r = own_set(s, &o, err);
	if (r >= 0)
		r = transfer_set_phase(s, t, TRANSFER_COMMITTED, err);
	if (r >= 0)
		r = journal_append(s, token, "released", JOURNAL_DONE, NULL, err);
	return r < 0 ? r : state_commit(s, err);
}

/* What the source does at its commit. */
static int commit_child(void *arg)
{
	_cleanup_transfer_ struct transfer *t = NULL;
	_cleanup_state_ struct state *s = NULL;
	struct err err = ERR_INIT;

	if (state_open(&s, &err) < 0 || transfer_by_token(s, token, &t, &err) < 0)
		return 2;
	if (arg)
		setenv("WHERRY_FAULT", arg, 1);
	return do_commit(s, t, &err) < 0 ? 1 : 0;
}

/* 1: all new, 0: all old. */
static int found(void)
{
	_cleanup_transfer_ struct transfer *t = NULL;
	_cleanup_state_ struct state *s = node_open();
	struct journal_vec journal = {0};
	struct err err = ERR_INIT;
	struct own o;
	bool new;

	assert_ok(own_get(s, "web", &o, &err), &err);
	assert_ok(transfer_by_token(s, token, &t, &err), &err);
	assert_ok(journal_read(s, token, &journal, &err), &err);
	new = o.kind == OWN_RELEASED;
	assert_int_equal(t->phase, new ? TRANSFER_COMMITTED : TRANSFER_NEW);
	assert_int_equal(journal.n, new ? 1 : 0);
	journal_vec_done(&journal);
	return new;
}

static void test_killed_before(void **state)
{
	prepare();
	assert_true(WIFSIGNALED(
		node_wait(node_fork(commit_child, (char[]){"state.commit.before:kill"}))));
	assert_int_equal(found(), 0);
	assert_int_equal(node_wait(node_fork(commit_child, NULL)), 0); /* nothing is in its way */
	assert_int_equal(found(), 1);
}

static void test_killed_after(void **state)
{
	prepare();
	assert_true(WIFSIGNALED(
		node_wait(node_fork(commit_child, (char[]){"state.commit.after:kill"}))));
	assert_int_equal(found(), 1);
}

static void test_disk_full(void **state)
{
	prepare();
	assert_int_equal(WEXITSTATUS(node_wait(
				 node_fork(commit_child, (char[]){"state.commit.before:enospc"}))),
		1);
	assert_int_equal(found(), 0);
}

/* The answer of the commit is lost, not the commit: whoever reads again sees it. */
static void test_failed_after(void **state)
{
	prepare();
	assert_int_equal(
		WEXITSTATUS(node_wait(node_fork(commit_child, (char[]){"state.commit.after:eio"}))),
		1);
	assert_int_equal(found(), 1);
}

/* A failed commit leaves the handle usable and nothing of the transaction behind. */
static void test_failed_commit_ends_transaction(void **state)
{
	_cleanup_state_ struct state *s = NULL;
	struct own o = {.ct = "db", .kind = OWN_STAGED, .token = "t"}, now;
	struct err err = ERR_INIT;

	s = node_open();
	setenv("WHERRY_FAULT", "state.commit.before:eio", 1);
	assert_fails(own_set(s, &o, &err), ERR_IO, &err);
	unsetenv("WHERRY_FAULT");
	assert_ok(own_get(s, "db", &now, &err), &err);
	assert_false(now.recorded);
	assert_ok(own_set(s, &o, &err), &err);
}

/* On a small filesystem of its own: fills it up, makes room, goes on. */
static int fill_up(void *arg)
{
	_cleanup_free_ char *ballast = xasprintf("%s/ballast", node_tmp);
	static const char zeros[65536];
	struct err err = ERR_INIT;
	json_t *history = NULL;
	struct state *s;
	size_t n = 0;
	int r;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("tmpfs", node_tmp, "tmpfs", 0, "size=1m") < 0)
		return 2;
	if (file_replace(ballast, zeros, sizeof(zeros), 0600, &err) < 0 || state_open(&s, &err) < 0)
		return 3;
	while ((r = history_add(s, "web", "filled", NULL, &err)) >= 0)
		n++;
	if (r != -ERR_NO_SPACE || !strstr(err.text, "state.db"))
		return 4;
	if (history_read(s, "web", 0, &history, &err) < 0 || json_array_size(history) != n)
		return 5;
	json_decref(history);
	unlink(ballast);
	if (history_add(s, "web", "again", NULL, &err) < 0)
		return 6;
	state_close(s);
	return n < 10 ? 7 : 0;
}

static void test_disk_really_full(void **state)
{
	assert_int_equal(node_wait(node_fork(fill_up, NULL)), 0);
}

/* The making of the database itself. */
static void test_killed_while_made(void **state)
{
	static const char *const faults[] = {"state.commit.before:kill", "state.commit.after:kill"};

	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		pid_t pid = fork();

		if (pid == 0) {
			struct err err = ERR_INIT;
			struct state *s;

			setenv("WHERRY_FAULT", faults[i], 1);
			_exit(state_open(&s, &err) < 0);
		}
		/* At the second time it was made by the first or is made now. */
		assert_true(WIFSIGNALED(node_wait(pid)));
		if (i == 0)
			continue;
		prepare();
		assert_int_equal(found(), 0);
	}
}

/* Counts in two records at once and reports each commit. */
static int counter(void *arg)
{
	const int *fd = arg;
	struct err err = ERR_INIT;
	struct state *s;

	if (state_open(&s, &err) < 0)
		return 1;
	for (uint64_t i = 1;; i++) {
		if (state_begin(s, &err) < 0 || own_force(s, "web", "test", &err) < 0 ||
			history_add(s, "web", "counted", NULL, &err) < 0 ||
			state_commit(s, &err) < 0 || write(*fd, &i, sizeof(i)) != sizeof(i))
			return 1;
	}
}

/* Reads reports until `most` have come. */
static uint64_t read_reports(int fd, uint64_t most)
{
	uint64_t last = 0;

	while (last < most && read(fd, &last, sizeof(last)) == (ssize_t)sizeof(last))
		;
	return last;
}

static void test_killed_anywhere(void **state)
{
	uint64_t before = 0;

	for (unsigned round = 0; round < 8; round++) {
		_cleanup_state_ struct state *s = NULL;
		_cleanup_json_ json_t *history = NULL;
		struct err err = ERR_INIT;
		uint64_t reported, rest;
		struct own o;
		int fd[2];
		pid_t pid;

		assert_int_equal(pipe(fd), 0);
		pid = node_fork(counter, &fd[1]);
		read_reports(fd[0], 3 + round);
		kill(pid, SIGKILL);
		assert_true(WIFSIGNALED(node_wait(pid)));
		close(fd[1]);
		rest = read_reports(fd[0], UINT64_MAX); /* not in MAX, which would read twice */
		reported = MAX(3 + round, rest);
		close(fd[0]);

		s = node_open();
		assert_ok(own_get(s, "web", &o, &err), &err);
		assert_ok(history_read(s, "web", 0, &history, &err), &err);
		assert_int_equal(o.epoch % 1000, 0);
		assert_int_equal(json_array_size(history), 2 * (o.epoch / 1000));
		/* All that was reported, and at most one more that could not be. */
		assert_in_range(o.epoch / 1000, before + reported, before + reported + 1);
		before = o.epoch / 1000;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		crash_test(test_killed_before),
		crash_test(test_killed_after),
		crash_test(test_disk_full),
		crash_test(test_disk_really_full),
		crash_test(test_failed_after),
		crash_test(test_failed_commit_ends_transaction),
		crash_test(test_killed_while_made),
		crash_test(test_killed_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
