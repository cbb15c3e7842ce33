/*
 * What the tests of node share: a state folder of their own, and children that die.
 */
#pragma once

#include "unit.h"

#include <sys/wait.h>
#include <unistd.h>

#include "node/state.h"

static char *node_tmp;

static inline int node_setup(void **state)
{
	node_tmp = unit_tmp();
	setenv("WHERRY_STATE_DIR", node_tmp, 1);
	return 0;
}

static inline int node_teardown(void **state)
{
	unsetenv("WHERRY_STATE_DIR");
	unit_tmp_free(node_tmp);
	node_tmp = NULL;
	return 0;
}

#define node_test(f) cmocka_unit_test_setup_teardown(f, node_setup, node_teardown)

/* Opens or fails the test. */
static inline struct state *node_open(void)
{
	struct err err = ERR_INIT;
	struct state *s = NULL;

	assert_ok(state_open(&s, &err), &err);
	return s;
}

/* Forks; f's result is the child's exit status. Nothing of cmocka's runs in the child. */
static inline pid_t node_fork(int (*f)(void *arg), void *arg)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(f(arg));
	assert_true(pid > 0);
	return pid;
}

static inline int node_wait(pid_t pid)
{
	int status = -1;

	assert_true(waitpid(pid, &status, 0) == pid);
	return status;
}
