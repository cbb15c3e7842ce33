/*
 * Control groups of this node, as LXC uses them: version 2 alone ("unified"), or version 1 with or
 * without an (unused) version 2 beside it.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

bool cgroup_unified(void);
bool cgroup_has_controller(const char *name); /* can a container's "memory" be limited here? */
bool cgroup_accounts_swap(void);
/* The folders of the container whose init is pid, of all hierarchies; the caller's. Empty when pid
 * is gone. */
char **cgroup_folders(pid_t pid);
/* A process in one of the folders or below: its id, 0 for none, -1 when it cannot be told. */
pid_t cgroup_process(char *const *folders);
