/*
 * What all calls into liblxc share: the handle of a container, its state, errors with LXC's own
 * reason, waiting for a process with a deadline; and stopping, which is more than one call.
 *
 * liblxc asks a container's monitor and waits for the answer without a deadline. The monitor may be
 * busy with a hook, so what can take long is asked by a child process that can be given up on.
 *
 *	_cleanup_lxc_ struct lxc_container *c = NULL;
 *	r = lxc_handle_open("web", &c, &err);
 */
#pragma once

#include <errno.h> /* of lxccontainer.h */
#include <lxc/lxccontainer.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/err.h"
#include "runtime/lxc_log.h"
#include "runtime/runtime.h"

const char *lxc_handle_path(void); /* the containers' folder, static storage */
/* -ERR_TIMEOUT when its monitor does not answer. */
int lxc_handle_open(const char *name, struct lxc_container **ret, struct err *err) _must_use_;
void lxc_handle_putp(struct lxc_container **c);
#define _cleanup_lxc_ _cleanup_(lxc_handle_putp)

/* Does anybody watch over it? True of every container that runs, also if LXC can't read its
 * configuration (any more). */
bool lxc_handle_has_monitor(const char *name);
enum ct_state lxc_handle_state(struct lxc_container *c);
pid_t lxc_handle_init(struct lxc_container *c); /* 0: there is none */
/* "WHAT: LXC's reason" */
int lxc_handle_failed(
	struct err *err, const struct lxc_log_mark *mark, enum err_code code, const char *what);
/* 0 when the process has ended, -ERR_TIMEOUT or -ERR_CANCELLED. */
int lxc_handle_wait(int pidfd, usec_t deadline, struct err *err) _must_use_;

/* The same for a child of ours, which is killed when it is not to end; *ret_status is its wait
 * status. */
int lxc_handle_wait_child(pid_t pid, usec_t deadline, int *ret_status, struct err *err) _must_use_;
/* After an init has ended, until its monitor has tidied up. 0: stopped, 1: it runs again with
 * another init than old (which may be 0: with any). */
int lxc_handle_settle(struct lxc_container *c, pid_t old, struct err *err) _must_use_;

/* Has this init been asked to stop by a call that never returned? */
bool lxc_handle_is_asked(struct lxc_container *c);
void lxc_handle_forget_asked(const char *name); /* it is gone */
int lxc_handle_stop(const char *name, usec_t timeout, bool kill, struct err *err) _must_use_;
