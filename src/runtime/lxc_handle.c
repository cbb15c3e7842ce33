#include "runtime/lxc_handle.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/file.h"
#include "base/proc.h"
#include "runtime/lxc_folder.h"

#define ANSWER_TIMEOUT (15 * USEC_PER_SEC)
#define SETTLE_TIMEOUT (30 * USEC_PER_SEC) /* the network and control groups go, stop hooks run */

void lxc_handle_putp(struct lxc_container **c)
{
	if (*c)
		lxc_container_put(*c);
}

const char *lxc_handle_path(void)
{
	const char *path = getenv("WHERRY_LXCPATH");

	if (!path || path[0] != '/')
		path = lxc_get_global_config_item("lxc.lxcpath");
	return path ? path : "/var/lib/lxc";
}

int lxc_handle_failed(
	struct err *err, const struct lxc_log_mark *mark, enum err_code code, const char *what)
{
	_cleanup_free_ char *why = lxc_log_since(mark);

	return err_set(err, code, "%s: %s", what, why);
}

int lxc_handle_wait(int pidfd, usec_t deadline, struct err *err)
{
	for (;;) {
		struct pollfd p[] = {{pidfd, POLLIN, 0}, {cancel_fd(), POLLIN, 0}};
		int n, r = cancel_check(err);

		if (r < 0)
			return r;
		n = poll(p, 2, clock_poll_ms(deadline));
		if (n < 0 && errno != EINTR)
			return err_errno(err, "wait for a process");
		if (n > 0 && p[0].revents)
			return 0;
		if (n == 0 && clock_now() >= deadline)
			return err_set(err, ERR_TIMEOUT, "a deadline passed");
	}
}

int lxc_handle_wait_child(pid_t pid, usec_t deadline, int *ret_status, struct err *err)
{
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int r = pidfd < 0 ? err_errno(err, "watch process %d", pid)
			  : lxc_handle_wait(pidfd, deadline, err);

	if (r < 0)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
		;
	return r;
}

/* In a child of ours that asks while a monitor goes: that it is gone is no error to complain of. */
static void be_quiet(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0)
		(void)dup2(null, STDERR_FILENO);
}

/* Does its monitor answer, or is there none? */
static int probe(struct lxc_container *c, struct err *err)
{
	int status, r;
	pid_t pid = proc_fork(err);

	if (pid < 0)
		return (int)pid;
	if (pid == 0) {
		be_quiet();
		(void)c->state(c);
		_exit(0);
	}
	r = lxc_handle_wait_child(pid, clock_deadline(ANSWER_TIMEOUT), &status, err);
	if (r == -ERR_TIMEOUT)
		return err_set(err, ERR_TIMEOUT,
			"LXC's monitor of it has not answered for %u s: perhaps a hook hangs",
			(unsigned)(ANSWER_TIMEOUT / USEC_PER_SEC));
	return r;
}

int lxc_handle_open(const char *name, struct lxc_container **ret, struct err *err)
{
	struct lxc_log_mark mark = lxc_log_mark();
	_cleanup_free_ char *partial = xasprintf("%s/%s/partial", lxc_handle_path(), name);
	int r;

	if (!lxc_folder_exists(lxc_handle_path(), name))
		return err_set(err, ERR_NOT_FOUND, "there is no container %s in %s", name,
			lxc_handle_path());
	/* LXC would destroy what it takes for the half of a container. */
	if (file_exists(partial))
		return err_set(err, ERR_STATE,
			"the creation of the container by LXC is not finished: %s is there",
			partial);
	*ret = lxc_container_new(name, lxc_handle_path());
	if (!*ret)
		return lxc_handle_failed(
			err, &mark, ERR_INVALID, "LXC cannot read its configuration");
	r = probe(*ret, err);
	if (r < 0) {
		lxc_container_put(*ret);
		*ret = NULL;
	}
	return r;
}

/* The name of the monitor's command socket as LXC makes it: the path, or where that is too long for
 * an address its FNV-1a. */
static size_t command_socket(const char *name, struct sockaddr_un *ret)
{
	_cleanup_free_ char *folder = xasprintf("%s/%s", lxc_handle_path(), name);
	_cleanup_free_ char *path = xasprintf("%s/command", folder);
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	if (strlen(path) >= sizeof(ret->sun_path) - 2) {
		for (const char *p = folder; *p; p++)
			hash = (hash ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
		free(path);
		path = xasprintf("lxc/%016llx/command", (unsigned long long)hash);
	}
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(ret->sun_path + 1, path, strlen(path)); /* abstract: begins with a NUL */
	return offsetof(struct sockaddr_un, sun_path) + 1 + strlen(path);
}

bool lxc_handle_has_monitor(const char *name)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un addr;
	size_t n = command_socket(name, &addr);

	return fd >= 0 &&
	       (connect(fd, (struct sockaddr *)&addr, (socklen_t)n) == 0 || errno == EAGAIN);
}

/* While a container reboots, its monitor drops whoever asks, and LXC takes that for "stopped". It
 * is stopped when nobody listens any more. */
enum ct_state lxc_handle_state(struct lxc_container *c)
{
	static const struct {
		const char *name;
		enum ct_state state;
	} states[] = {
		{"STOPPED", CT_STOPPED},
		{"STARTING", CT_STARTING},
		{"RUNNING", CT_RUNNING},
		{"STOPPING", CT_STOPPING},
		{"ABORTING", CT_STOPPING},
		{"FROZEN", CT_FROZEN},
		{"THAWED", CT_RUNNING},
	};
	const char *name = c->state(c);

	for (size_t i = 0; name && i < ARRAY_SIZE(states); i++)
		if (strcmp(states[i].name, name) == 0)
			return states[i].state == CT_STOPPED && lxc_handle_has_monitor(c->name)
				       ? CT_STOPPING
				       : states[i].state;
	return CT_OTHER;
}

pid_t lxc_handle_init(struct lxc_container *c)
{
	pid_t pid = c->init_pid(c);

	return pid > 0 ? pid : 0;
}

/* In the child: 0 stopped, 1 runs again. */
static int settle(struct lxc_container *c, pid_t old)
{
	usec_t pause = 2 * USEC_PER_MSEC;

	for (;;) {
		enum ct_state state = lxc_handle_state(c);
		pid_t init = state == CT_RUNNING ? lxc_handle_init(c) : 0;

		if (state == CT_STOPPED)
			return 0;
		if (init && init != old)
			return 1;
		usleep((useconds_t)pause);
		pause = MIN(pause * 2, 50 * USEC_PER_MSEC);
	}
}

int lxc_handle_settle(struct lxc_container *c, pid_t old, struct err *err)
{
	int status = 0, r;
	pid_t pid = proc_fork(err);

	if (pid < 0)
		return (int)pid;
	if (pid == 0) {
		be_quiet();
		_exit(settle(c, old));
	}
	r = lxc_handle_wait_child(pid, clock_deadline(SETTLE_TIMEOUT), &status, err);
	if (r == -ERR_TIMEOUT)
		return err_set(err, ERR_TIMEOUT,
			"its init has ended, but LXC's monitor of it does not end: perhaps a stop "
			"hook hangs");
	if (r < 0)
		return r;
	if (!WIFEXITED(status))
		return err_set(err, ERR_INTERNAL, "the process that watched it was killed");
	return WEXITSTATUS(status);
}
