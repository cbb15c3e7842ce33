#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/fd.h"
#include "base/kernel.h"
#include "base/str.h"

#define GRACE	    (3 * USEC_PER_SEC)
#define ASK_EVERY   (20 * USEC_PER_MSEC) /* where there are no pidfds */
#define STDERR_MAX  (256 * 1024) /* of a child's stderr; further writes fail, the child goes on */
#define FD_STATUS   4		 /* in the child, until exec */

#define SEARCH_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Everything the child needs, made before the fork: after it only async-signal-safe calls are
 * allowed. */
struct plan {
	char **candidates; /* paths to try */
	char **env;
	int fds[5]; /* become 0..4 */
	const char *chroot;
	bool detach;
	pid_t parent;
};

/* What the child sends back if it cannot become the program. */
struct failure {
	int errnum;
	char what[28];
};

static char **candidates_of(const char *program)
{
	_cleanup_strv_ char **folders = NULL;
	char **v = NULL;

	if (strchr(program, '/')) {
		strv_push(&v, program);
		return v;
	}
	folders = str_split(SEARCH_PATH, ":", false);
	for (size_t i = 0; folders[i]; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", folders[i], program);

		strv_push(&v, path);
	}
	return v;
}

static char **environment_of(const char *const *added)
{
	char **v = NULL;

	/* Added ones come first: getenv in the child finds those. */
	for (size_t i = 0; added && added[i]; i++)
		strv_push(&v, added[i]);
	strv_push(&v, "PATH=" SEARCH_PATH);
	strv_push(&v, "LC_ALL=C");
	return v;
}

/* "btrfs send": the program and its verb, for errors. */
static char *title_of(const struct proc *p)
{
	const char *slash = strrchr(p->argv[0], '/');
	const char *name = slash ? slash + 1 : p->argv[0];
	const char *verb = p->argv[1];

	if (!verb || verb[0] == '-' || strchr(verb, '/'))
		return xstrdup(name);
	return xasprintf("%s %s", name, verb);
}

static _noreturn_ void give_up(const char *what)
{
	struct failure f = {.errnum = errno};

	strncpy(f.what, what, sizeof(f.what) - 1);
	(void)!write(FD_STATUS, &f, sizeof(f));
	_exit(127);
}

/* Out of the way first, so that no dup2 overwrites one still needed. */
static void place_fds(int fds[5])
{
	for (int i = 0; i < 5; i++)
		if (fds[i] >= 0 && (fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 10)) < 0)
			_exit(127);
	if (dup2(fds[FD_STATUS], FD_STATUS) < 0 || fcntl(FD_STATUS, F_SETFD, FD_CLOEXEC) < 0)
		_exit(127);
	for (int i = 0; i < FD_STATUS; i++) {
		if (fds[i] < 0)
			close(i);
		else if (dup2(fds[i], i) < 0)
			give_up("pass descriptors");
	}
	if (kernel_close_from(FD_STATUS + 1) < 0)
		give_up("close descriptors");
}

static void reset_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void die_with_parent(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) /* too late */
		_exit(127);
}

static void enter_root(const char *root)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		give_up("make a mount namespace");
	if (chroot(root) < 0 || chdir("/") < 0)
		give_up("enter the root folder");
}

static _noreturn_ void become(struct plan *plan, const char *const *argv)
{
	int errnum = ENOENT;

	place_fds(plan->fds);
	if (plan->detach)
		setsid();
	else
		die_with_parent(plan->parent);
	if (plan->chroot)
		enter_root(plan->chroot);
	reset_signals();
	for (size_t i = 0; plan->candidates[i]; i++) {
		execve(plan->candidates[i], (char *const *)(uintptr_t)argv, plan->env);
		if (errno != ENOENT && errno != ENOTDIR)
			errnum = errno;
	}
	errno = errnum;
	give_up("run it");
}

/* A handler of ours must not run in the child: it would cancel the parent through what they share.
 */
static pid_t fork_quietly(void)
{
	sigset_t all, old;
	pid_t pid;
	int saved;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = fork();
	saved = errno;
	if (pid != 0)
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = saved;
	return pid;
}

/* The child writes here without ever waiting for us. Its size is fixed, so that a chatty one costs
 * no memory. */
static int make_stderr(struct err *err)
{
	int fd = kernel_scratch("stderr", STDERR_MAX);

	return fd >= 0 ? fd : err_errno(err, "make a buffer for stderr");
}

static int open_null(struct err *err)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	return fd >= 0 ? fd : err_errno(err, "open /dev/null");
}

/* Our ends go to p at once, where proc_done finds them; the child's ends are ours to close. */
static int make_pipes(struct proc *p, int child[2], struct err *err)
{
	int ends[2], r;

	if (p->pipe_in) {
		r = fd_pipe(ends, err);
		if (r < 0)
			return r;
		child[0] = ends[0];
		p->ret_in = ends[1];
	}
	if (p->pipe_out) {
		r = fd_pipe(ends, err);
		if (r < 0)
			return r;
		child[1] = ends[1];
		p->ret_out = ends[0];
	}
	if (!p->keep_stderr && p->fd_err < 0) {
		p->err_fd = make_stderr(err);
		if (p->err_fd < 0)
			return p->err_fd;
	}
	return 0;
}

/* Nothing comes if the exec succeeded: the pipe closed by itself. */
static int read_failure(struct proc *p, int fd, struct err *err)
{
	_cleanup_free_ char *title = title_of(p);
	struct failure f = {0};
	ssize_t n;

	do
		n = read(fd, &f, sizeof(f));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	f.what[sizeof(f.what) - 1] = '\0';
	errno = f.errnum;
	if (n != (ssize_t)sizeof(f))
		return err_set(err, ERR_INTERNAL, "%s: cannot start it", title);
	if (errno == ENOENT && str_eq(f.what, "run it"))
		return err_set(err, ERR_NOT_FOUND, "%s: the program is not installed", p->argv[0]);
	return err_errno(err, "%s: cannot %s", title, f.what);
}

static void reap(struct proc *p, int *ret_status)
{
	int status = 0;

	while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		;
	p->pid = -1;
	if (ret_status)
		*ret_status = status;
}

static int start(struct proc *p, struct plan *plan, int status_fd[2], struct err *err)
{
	_cleanup_free_ char *title = title_of(p);
	pid_t pid = fork_quietly();
	int r, errnum;

	if (pid < 0)
		return err_errno(err, "%s: fork", title);
	if (pid == 0)
		become(plan, p->argv);
	p->pid = pid;
	p->pidfd = kernel_pidfd(pid);
	errnum = errno;
	close(TAKE_FD(status_fd[1]));
	r = read_failure(p, status_fd[0], err);
	if (r >= 0 && p->pidfd < 0 && errnum != ENOSYS) {
		errno = errnum;
		r = err_errno(err, "%s: pidfd_open", title);
	}
	if (r < 0) {
		kill(p->pid, SIGKILL);
		reap(p, NULL);
	}
	return r;
}

int proc_spawn(struct proc *p, struct err *err)
{
	int child[2] = {-1, -1};
	_cleanup_close_ int null = open_null(err), status_r = -1, status_w = -1, child_in = -1,
			    child_out = -1;
	_cleanup_strv_ char **candidates = candidates_of(p->argv[0]);
	_cleanup_strv_ char **env = environment_of(p->env);
	struct plan plan = {
		candidates, env, .chroot = p->chroot, .detach = p->detach, .parent = getpid()};
	int status_fd[2], r;

	if (null < 0)
		return null;
	r = make_pipes(p, child, err);
	child_in = child[0];
	child_out = child[1];
	if (r >= 0)
		r = fd_pipe(status_fd, err);
	if (r < 0)
		return r;
	status_r = status_fd[0];
	plan.fds[0] = child_in >= 0 ? child_in : p->fd_in >= 0 ? p->fd_in : null;
	plan.fds[1] = child_out >= 0 ? child_out : p->fd_out >= 0 ? p->fd_out : null;
	plan.fds[2] = p->fd_err >= 0 ? p->fd_err : p->keep_stderr ? STDERR_FILENO : p->err_fd;
	plan.fds[3] = p->fd_extra;
	plan.fds[4] = status_fd[1];
	r = start(p, &plan, status_fd, err);
	status_w = status_fd[1];
	return r;
}

/* Asked where there is no descriptor that says so. */
static bool has_ended(const struct proc *p)
{
	siginfo_t info = {0};

	return p->pidfd < 0 &&
	       (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		       info.si_pid == p->pid);
}

/* 0 once the child has ended, -ERR_CANCELLED, -ERR_TIMEOUT. */
static int await(struct proc *p, bool cancellable, usec_t deadline, struct err *err)
{
	for (;;) {
		struct pollfd pfd[2] = {{.fd = p->pidfd, .events = POLLIN},
			{.fd = cancellable ? cancel_fd() : -1, .events = POLLIN}};
		usec_t until = p->pidfd < 0 ? MIN(deadline, clock_deadline(ASK_EVERY)) : deadline;
		int r;

		if (has_ended(p))
			return 0;
		r = poll(pfd, 2, clock_poll_ms(until));
		if (r < 0 && errno != EINTR)
			return err_errno(err, "poll");
		if (r > 0 && pfd[0].revents)
			return 0;
		if (cancellable) {
			r = cancel_check(err);
			if (r < 0)
				return r;
		}
		if (clock_now() >= deadline)
			return err_set(err, ERR_TIMEOUT, "did not end in time");
	}
}

/* Asks first, then insists. */
static void terminate(struct proc *p)
{
	struct err ignored = ERR_INIT;

	proc_kill(p, SIGTERM);
	if (await(p, false, clock_deadline(GRACE), &ignored) < 0)
		proc_kill(p, SIGKILL);
}

char *proc_stderr(const struct proc *p)
{
	off_t end = p->err_fd >= 0 ? lseek(p->err_fd, 0, SEEK_CUR) : 0; /* shared with the child */
	off_t from = end > 4096 ? end - 4096 : 0;
	char *buf = xmalloc((size_t)(end - from) + 1);
	ssize_t n = end > 0 ? pread(p->err_fd, buf, (size_t)(end - from), from) : 0;

	n = MAX(n, 0);
	for (ssize_t i = 0; i < n; i++)
		if (!buf[i]) /* would hide what follows */
			buf[i] = ' ';
	buf[n] = '\0';
	return buf;
}

/* The last line that is not empty of what the child wrote to stderr; "" if nothing was kept. */
static char *last_line(const struct proc *p)
{
	_cleanup_free_ char *buf = proc_stderr(p);
	char *text = str_trim(buf), *newline = strrchr(text, '\n');

	return xstrdup(newline ? str_trim(newline) : text);
}

static int judge(const struct proc *p, int status, struct err *err)
{
	_cleanup_free_ char *title = NULL, *line = NULL;
	const char *sep;

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	title = title_of(p);
	line = last_line(p);
	sep = *line ? ": " : "";
	if (WIFSIGNALED(status))
		return err_set(err, ERR_IO, "%s%s%.700s (killed by signal %d)", title, sep, line,
			WTERMSIG(status));
	return err_set(
		err, ERR_IO, "%s%s%.700s (exit status %d)", title, sep, line, WEXITSTATUS(status));
}

int proc_wait(struct proc *p, usec_t deadline, int *ret_status, struct err *err)
{
	_cleanup_free_ char *title = title_of(p);
	int r, status = 0;

	if (p->pid < 0)
		return err_set(err, ERR_INTERNAL, "%s: not running", title);
	if (p->ret_in >= 0) /* a child that reads to the end would wait for us */
		close(TAKE_FD(p->ret_in));
	r = await(p, true, deadline, err);
	if (r < 0)
		terminate(p);
	reap(p, &status);
	if (ret_status)
		*ret_status = status;
	return r < 0 ? err_prefix(err, "%s", title) : judge(p, status, err);
}

void proc_kill(struct proc *p, int sig)
{
	if (p->pid > 0 && p->pidfd >= 0)
		(void)kernel_pidfd_signal(p->pidfd, sig);
	else if (p->pid > 0) /* nobody has waited for it: its number is still its own */
		(void)kill(p->pid, sig);
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void proc_done(struct proc *p)
{
	if (p->pid > 0 && !p->detach) {
		proc_kill(p, SIGKILL);
		reap(p, NULL);
	}
	close_one(&p->ret_in);
	close_one(&p->ret_out);
	close_one(&p->err_fd);
	close_one(&p->pidfd);
}

int proc_run(const char *const *argv, struct err *err)
{
	_cleanup_(proc_done) struct proc p = PROC_INIT;
	int r;

	p.argv = argv;
	r = proc_spawn(&p, err);
	return r < 0 ? r : proc_wait(&p, CLOCK_NEVER, NULL, err);
}

static int read_output(struct proc *p, size_t max, struct str *out, struct err *err)
{
	char buf[16384];

	for (;;) {
		ssize_t n = fd_read_some(p->ret_out, buf, sizeof(buf), CLOCK_NEVER, err);

		if (n <= 0)
			return (int)n;
		if ((size_t)n > max - out->len) {
			_cleanup_free_ char *title = title_of(p);

			return err_set(
				err, ERR_PROTOCOL, "%s: printed more than %zu bytes", title, max);
		}
		str_addn(out, buf, (size_t)n);
	}
}

int proc_capture(const char *const *argv, size_t max, char **ret_out, struct err *err)
{
	_cleanup_(proc_done) struct proc p = PROC_INIT;
	_cleanup_(str_done) struct str out = STR_INIT;
	int r;

	p.argv = argv;
	p.pipe_out = true;
	r = proc_spawn(&p, err);
	if (r >= 0)
		r = read_output(&p, max, &out, err);
	if (r >= 0)
		r = proc_wait(&p, CLOCK_NEVER, NULL, err);
	if (r >= 0)
		*ret_out = str_take(&out);
	return r;
}

int proc_become(const char *path, char *const *argv, struct err *err)
{
	execv(path, argv);
	return err_errno(err, "run %s", path);
}

pid_t proc_fork(struct err *err)
{
	pid_t parent = getpid();
	pid_t pid = fork_quietly();

	if (pid < 0)
		return err_errno(err, "fork");
	if (pid == 0) {
		die_with_parent(parent);
		cancel_forget();
		reset_signals();
		(void)signal(SIGPIPE, SIG_IGN);
	}
	return pid;
}
