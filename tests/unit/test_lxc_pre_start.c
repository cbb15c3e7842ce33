int hook_main(int argc, char **argv);
#define main hook_main
#include "daemon/lxc_pre_start.c"
#undef main

#include "node.h"

#include <fcntl.h>
#include <sqlite3.h>

#include "base/file.h"

/* Runs the hook in a child; what it said is in said. */
static char *said;

static int setup(void **state)
{
	unsetenv("LXC_NAME");
	return node_setup(state);
}

static int teardown(void **state)
{
	free(said);
	said = NULL;
	return node_teardown(state);
}

static int run_child(void *arg)
{
	char **argv = arg;
	int argc = 0;

	setsid(); /* nothing for the terminal of whoever runs the tests */
	while (argv[argc])
		argc++;
	return hook_main(argc, argv);
}

static int hook(char **argv)
{
	_cleanup_free_ char *path = xasprintf("%s/said", node_tmp);
	struct err err = ERR_INIT;
	int status, saved = dup(STDERR_FILENO), fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_true(saved >= 0 && fd >= 0);
	dup2(fd, STDERR_FILENO);
	status = node_wait(node_fork(run_child, argv));
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fd);
	free(said);
	said = NULL;
	assert_ok(file_read(path, 65536, &said, NULL, &err), &err);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#define HOOK(...) hook((char *[]){(char *)"lxc-pre-start", __VA_ARGS__, NULL})
#define USUAL(ct) HOOK((char *)ct, (char *)"lxc", (char *)"pre-start")

static void set(struct state *s, enum own_kind kind, uint64_t epoch)
{
	struct own o = {.ct = "web", .kind = kind, .epoch = epoch, .token = "t", .peer = "b"};
	struct err err = ERR_INIT;

	assert_ok(own_set(s, &o, &err), &err);
}

static void test_life_of_a_send(void **state)
{
	struct state *s = node_open();

	assert_int_equal(USUAL("web"), 0);
	set(s, OWN_RELEASING, 0);
	assert_int_equal(USUAL("web"), 1);
	assert_has(said, "wherry: container web is being handed over to b");
	assert_int_equal(USUAL("db"), 0);
	set(s, OWN_RELEASED, 0);
	state_close(s); /* nobody else is there, as after a reboot */
	assert_int_equal(USUAL("web"), 1);
	assert_has(said, "wherry ct send resolve web");
	s = node_open();
	set(s, OWN_OWNER, 2);
	assert_int_equal(USUAL("web"), 0);
	assert_string_equal(said, "");
	state_close(s);
}

static void test_names(void **state)
{
	struct state *s = node_open();

	set(s, OWN_STAGED, 0);
	setenv("LXC_NAME", "web", 1);
	assert_int_equal(USUAL("web"), 1);
	assert_has(said, "arriving from b");
	assert_int_equal(USUAL("db"), 1); /* they contradict each other */
	assert_has(said, "LXC_NAME=web");
	assert_int_equal(hook((char *[]){(char *)"lxc-pre-start", NULL}), 1); /* version 1 */
	assert_has(said, "arriving from b");
	setenv("LXC_NAME", "db", 1);
	assert_int_equal(hook((char *[]){(char *)"lxc-pre-start", NULL}), 0);
	unsetenv("LXC_NAME");
	assert_int_equal(hook((char *[]){(char *)"lxc-pre-start", NULL}), 1);
	assert_int_equal(HOOK((char *)""), 1);
	assert_int_equal(HOOK((char *)"db", (char *)"lxc", (char *)"post-stop"), 1);
	state_close(s);
}

/* Not knowing is a refusal. */
static void test_no_state(void **state)
{
	_cleanup_free_ char *db = xasprintf("%s/state.db", node_tmp);
	static const char junk[8192] = "not a database";
	struct err err = ERR_INIT;

	assert_int_equal(USUAL("web"), 1);
	assert_has(said, "owner cannot be read");
	assert_has(said, "remove the line lxc.hook.pre-start");
	assert_false(file_exists(db)); /* and it makes nothing */
	assert_ok(file_replace(db, junk, sizeof(junk), 0600, &err), &err);
	assert_int_equal(USUAL("web"), 1);
	assert_has(said, "owner cannot be read");
}

static void test_control_characters(void **state)
{
	assert_int_equal(USUAL("we\nb\033[2J"), 1);
	assert_null(strchr(said, '\033'));
	assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1); /* one line */
}

/* A writer does not stand in its way. */
static void test_beside_a_writer(void **state)
{
	struct state *s = node_open();
	struct err err = ERR_INIT;

	assert_ok(state_begin(s, &err), &err);
	set(s, OWN_STAGED, 0);
	assert_int_equal(USUAL("web"), 0); /* as before the transaction */
	assert_ok(state_commit(s, &err), &err);
	assert_int_equal(USUAL("web"), 1);
	state_close(s);
}

/* One that never lets go of the database: the start is refused, not kept waiting. */
static void test_locked_out(void **state)
{
	_cleanup_free_ char *path = xasprintf("%s/state.db", node_tmp);
	sqlite3 *db;

	state_close(node_open());
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE", NULL,
				 NULL, NULL),
		SQLITE_OK);
	assert_int_equal(USUAL("web"), 1);
	assert_has(said, "owner cannot be read");
	sqlite3_close(db);
	assert_int_equal(USUAL("web"), 0);
}

int main(void)
{
#define hook_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		hook_test(test_life_of_a_send),
		hook_test(test_names),
		hook_test(test_no_state),
		hook_test(test_control_characters),
		hook_test(test_beside_a_writer),
		hook_test(test_locked_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
