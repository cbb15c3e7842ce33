/*
 * A call to the daemon from the command line: shows progress and lines meanwhile. The first ^C asks
 * a job to cancel, the second leaves it running. If the daemon is restarted, a job is attached to
 * again.
 */
#pragma once

#include "cli/command.h"

/* args is stolen. *ret: the result, or an array of the items of a long list. */
int call_daemon(struct cli *cli, const char *name, json_t *args, const int *fds, size_t n_fds,
	json_t **ret, struct err *err) _must_use_;
