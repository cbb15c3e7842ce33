/* The lock of a container: who holds it, and who is asked to stop. */
#include "node.h"

#include <signal.h>

#include "base/alloc.h"
#include "base/file.h"
#include "move/move.h"

static const struct config nothing;

static int setup(void **state)
{
	node_setup(state);
	setenv("WHERRY_RUN_DIR", node_tmp, 1);
	return 0;
}

/* The test must see its holder's line, so it comes through a pipe. */
struct holder {
	int ready;
	const char *call;
};

static int hold(void *arg)
{
	struct holder *h = arg;
	struct move_ctx m = {.cfg = &nothing, .call = h->call};
	struct err err = ERR_INIT;
	int fd;

	if (move_lock(&m, "web", false, &fd, &err) < 0)
		return 1;
	(void)!write(h->ready, "x", 1);
	pause();
	return 0;
}

static pid_t start_holder(const char *call)
{
	int ends[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = node_fork(hold, &(struct holder){ends[1], call});
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	return pid;
}

static void test_names_its_holder(void **state)
{
	struct move_ctx m = {.cfg = &nothing};
	struct err err = ERR_INIT;
	pid_t pid = start_holder("ct.send");
	_cleanup_free_ char *want = xasprintf("by ct.send (pid %d)", (int)pid);
	int fd;

	assert_int_equal(move_lock(&m, "web", false, &fd, &err), -ERR_BUSY);
	assert_non_null(strstr(err.text, want));
	move_lock_interrupt("web", "receive"); /* another call's holder is let alone */
	move_lock_interrupt("web", "ct.send");
	assert_int_equal(WTERMSIG(node_wait(pid)), SIGTERM);
}

/* The holder has died, and its number is another's by now. */
static void test_a_stranger_is_not_signalled(void **state)
{
	struct err err = ERR_INIT;
	pid_t pid = start_holder("ct.send");
	_cleanup_free_ char *path = xasprintf("%s/lock/web", node_tmp);
	_cleanup_free_ char *stale = xasprintf("ct.send %d 17\n", (int)pid);

	assert_ok(file_replace(path, stale, strlen(stale), 0600, &err), &err);
	move_lock_interrupt("web", "ct.send");
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(WTERMSIG(node_wait(pid)), SIGKILL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_names_its_holder, setup, node_teardown),
		cmocka_unit_test_setup_teardown(
			test_a_stranger_is_not_signalled, setup, node_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
