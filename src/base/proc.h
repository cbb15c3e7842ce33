/*
 * Programs of others: the only fork of the tree. Arguments are an array, never a shell line; the
 * environment is a fixed PATH, LC_ALL=C and what env adds; all descriptors but the named ones are
 * closed; unless detach, the child is killed when the thread that started it ends
 * (PR_SET_PDEATHSIG).
 *
 *	struct proc p = PROC_INIT;
 *	const char *argv[] = {"btrfs", "subvolume", "list", path, NULL};
 *	_cleanup_free_ char *out = NULL;
 *	int r = proc_capture(argv, 1 << 20, &out, &err);
 *
 * captures stdout; a failure carries the last line of stderr.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/err.h"

struct proc {
	/* in */
	const char *const *argv;   /* argv[0] is looked up in PATH unless it has a slash */
	const char *const *env;	   /* "K=V", NULL-terminated, added; may be NULL */
	int fd_in, fd_out, fd_err; /* given descriptors, stay the caller's; -1: /dev/null */
	int fd_extra;		   /* becomes descriptor 3, -1 for none */
	bool pipe_in, pipe_out;	   /* instead: we make a pipe, our end is ret_in / ret_out */
	bool keep_stderr;	   /* with fd_err -1, stderr goes where ours goes; without it its
				    * last line (within the first 256 KiB) is kept for the error */
	bool detach;		   /* outlives us, own session; proc_done leaves it running */
	const char *chroot;	   /* after forking: a mount namespace of its own, chroot and
				    * chdir there; NULL: no */
	/* out */
	pid_t pid;
	int pidfd;
	int ret_in, ret_out; /* our pipe ends, close-on-exec; proc_done closes what is left */
	int err_fd;	     /* private */
};

#define PROC_INIT                                                                                  \
	{                                                                                          \
		.fd_in = -1, .fd_out = -1, .fd_err = -1, .fd_extra = -1, .pid = -1, .pidfd = -1,   \
		.ret_in = -1, .ret_out = -1, .err_fd = -1                                          \
	}

int proc_spawn(struct proc *p, struct err *err) _must_use_; /* a missing program is reported here */
/* Closes ret_in, then waits; watches cancel and the deadline, and on either sends SIGTERM, after 3
 * s SIGKILL. 0 for exit status 0; otherwise -ERR_IO "btrfs send: <last line of its stderr> (exit
 * status 1)". *ret_status (may be NULL) is the wait status. */
int proc_wait(struct proc *p, usec_t deadline, int *ret_status, struct err *err) _must_use_;
/* The end (4 KiB) of what it has said on stderr so far, as it came; "" where nothing is kept. */
char *proc_stderr(const struct proc *p);
void proc_kill(struct proc *p, int sig);
void proc_done(struct proc *p); /* kills and reaps what still runs, closes */

int proc_run(const char *const *argv, struct err *err) _must_use_;
int proc_capture(const char *const *argv, size_t max, char **ret_out, struct err *err) _must_use_;

/* Becomes that program, with our own descriptors and environment; returns only with an error. */
int proc_become(const char *path, char *const *argv, struct err *err) _must_use_;

/* A fork of ourselves without exec, for code that must run in other namespaces or as another user.
 * Returns 0 in the child, the pid in the parent. The child must end with _exit; it dies with the
 * parent's thread and is not cancelled. */
pid_t proc_fork(struct err *err) _must_use_;
