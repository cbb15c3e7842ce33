/*
 * The folder of a container, LXCPATH/NAME, and the configuration in it: "config", which LXC starts,
 * or "config.staged" of one that is arriving, which LXC does not see. No liblxc here, no data: what
 * else is in the folder is left alone.
 *
 * The folder is root's. Only root enters that of a privileged container (mode 0770, as LXC makes
 * it: there are setuid programs inside); the group of an unprivileged one is the container's root,
 * which must pass through to its files (mode 0750). The same holds for the container's folder in a
 * pool elsewhere, POOL/NAME.
 *
 * Everything that changes is durable on return, and can be done again.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "model/container.h"

int lxc_folder_list(const char *lxcpath, char ***ret, struct err *err) _must_use_;
bool lxc_folder_exists(const char *lxcpath, const char *name); /* config or config.staged */
int lxc_folder_load(const char *lxcpath, const char *name, bool unified, struct container **ret,
	struct err *err) _must_use_;
int lxc_folder_define(
	const char *lxcpath, const struct container *c, bool staged, struct err *err) _must_use_;
int lxc_folder_publish(const char *lxcpath, const char *name, struct err *err) _must_use_;
int lxc_folder_withdraw(const char *lxcpath, const char *name, struct err *err) _must_use_;
int lxc_folder_undefine(const char *lxcpath, const char *name, struct err *err) _must_use_;
int lxc_folder_guard(const char *lxcpath, const char *name, bool on, struct err *err) _must_use_;
/* The configuration gets the line that mounts its root's own filesystem. */
int lxc_folder_mounter(const char *lxcpath, const char *name, struct err *err) _must_use_;
bool lxc_folder_guarded(const char *lxcpath, const char *name);
