#include "runtime/lxc_handle.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/dirs.h"
#include "base/file.h"
#include "base/identity.h"
#include "base/str.h"
#include "runtime/cgroup.h"
#include "runtime/lxc_folder.h"

#define KILL_TIMEOUT (30 * USEC_PER_SEC)
#define ROUNDS_MAX   4 /* a container that asks for a reboot as it dies is started anew */

/* A note that an init has been asked to stop: it may still run when we are killed, and whoever then
 * wants the container running must not take it for that. In /run: a reboot ends both. */

static char *note_path(const char *name)
{
	return xasprintf("%s/stopping/%s", dirs_run(), name);
}

static int note_asked(const char *name, pid_t init, struct err *err)
{
	_cleanup_free_ char *path = note_path(name), *identity = identity_of(init);
	_cleanup_free_ char *folder = xasprintf("%s/stopping", dirs_run());
	int r = file_mkdirs(folder, 0700, err);

	if (r < 0 || !identity)
		return r;
	return file_replace(path, identity, strlen(identity), 0600, err);
}

void lxc_handle_forget_asked(const char *name)
{
	_cleanup_free_ char *path = note_path(name);

	(void)unlink(path);
}

bool lxc_handle_is_asked(struct lxc_container *c)
{
	_cleanup_free_ char *path = note_path(c->name), *noted = NULL, *now = NULL;
	struct err err = ERR_INIT;

	if (file_read(path, 4096, &noted, NULL, &err) < 0)
		return false;
	now = identity_of(lxc_handle_init(c));
	return now && strcmp(now, noted) == 0;
}

/* A process whose root is the container's: what is left of it where LXC has lost sight of it (its
 * monitor was killed). 0 for none. */
static pid_t process_in_root(const char *root)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	struct stat want, st;
	struct dirent *e;

	if (!root || stat(root, &want) < 0)
		return 0;
	while (proc && (e = readdir(proc))) {
		char path[64];
		int pid = atoi(e->d_name);

		snprintf(path, sizeof(path), "/proc/%d/root", pid);
		if (pid > 0 && stat(path, &st) == 0 && st.st_dev == want.st_dev &&
			st.st_ino == want.st_ino)
			return pid;
	}
	return 0;
}

/* Nothing of it runs: what LXC believes is not enough for the promise that it never runs twice. */
static int prove_stopped(const char *name, char *const *groups, struct err *err)
{
	_cleanup_container_ struct container *model = NULL;
	struct err ignored = ERR_INIT;
	pid_t pid = cgroup_process(groups);

	if (pid < 0)
		return err_set(err, ERR_UNKNOWN,
			"its init has ended, but whether its control groups are empty cannot be "
			"told");
	if (pid == 0 &&
		lxc_folder_load(lxc_handle_path(), name, cgroup_unified(), &model, &ignored) == 0)
		pid = process_in_root(model->volumes.v[0].path);
	if (pid > 0)
		return err_set(err, ERR_BUSY,
			"LXC says that it is stopped, but process %d is still in it: kill it", pid);
	return 0;
}

/* LXC destroys the files of such a one when it stops. */
static int refuse_ephemeral(struct lxc_container *c, struct err *err)
{
	_cleanup_free_ char *value = c->get_running_config_item(c, "lxc.ephemeral");

	if (!value || strcmp(value, "1") != 0)
		return 0;
	return err_set(err, ERR_STATE,
		"it is ephemeral: LXC destroys its files as soon as it stops. If that is wanted, "
		"use lxc-stop");
}

static int ask_to_stop(struct lxc_container *c, const struct lxc_log_mark *mark, struct err *err)
{
	if (lxc_handle_state(c) == CT_FROZEN && !c->unfreeze(c))
		return lxc_handle_failed(err, mark, ERR_IO, "cannot thaw it");
	if (!c->shutdown(c, 0) && lxc_handle_init(c))
		return lxc_handle_failed(err, mark, ERR_IO, "cannot signal its init");
	return 0;
}

static int kill_init(
	struct lxc_container *c, int pidfd, const struct lxc_log_mark *mark, struct err *err)
{
	int r;

	if (!c->stop(c) && lxc_handle_init(c))
		return lxc_handle_failed(err, mark, ERR_IO, "cannot kill its init");
	r = lxc_handle_wait(pidfd, clock_deadline(KILL_TIMEOUT), err);
	if (r == -ERR_TIMEOUT)
		return err_set(err, ERR_UNKNOWN, "its init does not die, though killed");
	return r;
}

/* One init, asked (unless timeout is 0) and then killed if kill. Once asked, it goes through with
 * it whoever cancels: a container left between running and stopping would be neither. */
static int stop_init(struct lxc_container *c, usec_t timeout, bool kill, struct err *err)
{
	struct lxc_log_mark mark = lxc_log_mark();
	_cleanup_close_ int pidfd = c->init_pidfd(c);
	int r = -ERR_TIMEOUT;

	if (pidfd < 0)
		return lxc_handle_init(c)
			       ? lxc_handle_failed(err, &mark, ERR_IO, "cannot watch its init")
			       : 0;
	if (timeout || !kill) {
		r = ask_to_stop(c, &mark, err);
		if (r >= 0)
			r = lxc_handle_wait(pidfd, clock_deadline(timeout), err);
	}
	if (r == 0)
		return 0;
	if (kill)
		return kill_init(c, pidfd, &mark, err);
	if (r == -ERR_TIMEOUT)
		return err_set(err, ERR_TIMEOUT, "it has not stopped within %llu s",
			(unsigned long long)(timeout / USEC_PER_SEC));
	return r;
}

/* Until LXC says that it is stopped; *groups are the control groups of the last init. */
static int stop_all(
	struct lxc_container *c, usec_t timeout, bool kill, char ***groups, struct err *err)
{
	int rounds = 0;

	while (lxc_handle_state(c) != CT_STOPPED) {
		pid_t init = lxc_handle_init(c);
		int r = 0;

		if (init) { /* else it is just starting or just stopping */
			strv_free(*groups);
			*groups = cgroup_folders(init);
			r = note_asked(c->name, init, err);
			if (r < 0)
				return r;
			r = stop_init(c, rounds++ ? 0 : timeout, kill, err);
		}
		if (r < 0 || (r = lxc_handle_settle(c, init, err)) < 0)
			return r;
		if (r > 0 && rounds && (!kill || rounds == ROUNDS_MAX))
			return err_set(err, ERR_STATE, "it rebooted instead of stopping");
	}
	return 0;
}

int lxc_handle_stop(const char *name, usec_t timeout, bool kill, struct err *err)
{
	_cleanup_lxc_ struct lxc_container *c = NULL;
	_cleanup_strv_ char **groups = str_split("", "/", false);
	int r = lxc_handle_open(name, &c, err);

	if (r < 0)
		return r;
	if (lxc_handle_state(c) != CT_STOPPED && (r = refuse_ephemeral(c, err)) < 0)
		return r;
	r = cancel_check(err);
	if (r < 0)
		return r;
	cancel_shield();
	r = stop_all(c, timeout, kill, &groups, err);
	cancel_unshield();
	if (r >= 0 || !kill) /* it is gone, or it was only asked and runs on */
		lxc_handle_forget_asked(name);
	return r < 0 ? r : prove_stopped(name, groups, err);
}
