/*
 * Who runs containers: LXC (lxc.c, lxc_*.c), or OpenVZ (openvz.c, openvz_*.c), which containers
 * only leave. Everything here is called in a worker process only: liblxc has global state and may
 * block.
 *
 * Configuration of a container that is arriving is written as "config.staged", which LXC cannot
 * start; runtime_publish makes it the real one at the hand-over, runtime_withdraw takes it back.
 * The guard is a line in the configuration that makes LXC ask Wherry at each start whether this
 * node owns the container (pre-start hook). It stands there only while a send is open or after the
 * container was released, so that an ordinary container runs without Wherry.
 *
 *	_cleanup_container_ struct container *c = NULL;
 *	r = runtime_load("web", &c, &err);
 *	...
 *	r = runtime_stop("web", 60 * USEC_PER_SEC, true, &err);	// 0: nothing of it runs any more
 *
 * A container under LXC belongs to nobody's service: its monitor is lxc-start, run as a program, in
 * a session of its own in LXC's own control groups (lxc.monitor.NAME), so that neither the end of
 * the worker, nor `pkill wherry-worker`, nor a restart of wherryd by systemd, which kills by
 * control group, takes it along.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/err.h"
#include "model/container.h"

enum ct_state { CT_STOPPED, CT_STARTING, CT_RUNNING, CT_STOPPING, CT_FROZEN, CT_OTHER };
const char *ct_state_name(enum ct_state s); /* "running" */

struct runtime_driver {
	const char *name;
	const char *(*path)(void);
	int (*list)(char ***ret, struct err *err);
	bool (*exists)(const char *name);
	int (*load)(const char *name, struct container **ret, struct err *err);
	int (*define)(const struct container *c, bool staged, struct err *err);
	int (*publish)(const char *name, struct err *err);
	int (*withdraw)(const char *name, struct err *err);
	int (*undefine)(const char *name, struct err *err);
	int (*guard)(const char *name, bool on, struct err *err);
	int (*mounter)(const char *name, struct err *err);
	int (*state)(const char *name, enum ct_state *ret, pid_t *ret_init, struct err *err);
	int (*start)(const char *name, usec_t timeout, struct err *err);
	int (*stop)(const char *name, usec_t timeout, bool kill, struct err *err);
	int (*freeze)(const char *name, bool on, struct err *err);
	int (*exec)(const char *name, char *const *argv, const int fds[3], usec_t deadline,
		int *ret_status, struct err *err);
	bool (*harmless)(const char *key, const char *value, const char **ret_reason);
	/* Why it reaches out by other things than options, a clause in static storage, or NULL. */
	const char *(*reaches_out)(const struct container *c);
	bool (*owned)(const char *key);
	int (*preflight)(const struct container *c, struct err *err);
	int (*idmap)(const struct idmap *arriving, struct idmap *ret, struct err *err);
	int (*disable)(const char *name, struct err *err); /* NULL: not needed */
	bool destroys; /* undefine removes its files, too: they are the runtime's own */
};

/* The one runtime of this program: each driver defines it, and a program is linked with one. */
extern const struct runtime_driver *const runtime_here;

/* The containers' folder of this node: what LXC says (lxc.lxcpath), or WHERRY_LXCPATH for tests.
 * Static storage. */
const char *runtime_path(void);

/* Names, sorted; staged ones are not listed. */
int runtime_list(char ***ret, struct err *err) _must_use_;
int runtime_exists(const char *name, bool *ret, struct err *err) _must_use_; /* or staged */
/* With volumes' paths of this node filled in; a staged one too. What reaches out of the container
 * is in ->refused, not an error. */
int runtime_load(const char *name, struct container **ret, struct err *err) _must_use_;
/* Writes the configuration from the model; volumes carry their path on this node. What reaches out
 * of the container is -ERR_DENIED by name (the caller puts allowed refused options into options
 * first and sets allow_refused). */
int runtime_define(
	const struct container *c, bool staged, bool allow_refused, struct err *err) _must_use_;
/* May a container that a peer sends have this line? The clause in *ret_reason follows the key. */
bool runtime_option_harmless(const char *key, const char *value, const char **ret_reason);
int runtime_publish(const char *name, struct err *err) _must_use_; /* idempotent, durable */
/* Idempotent, durable; refuses a running container. One that was never defined is fine. */
int runtime_withdraw(const char *name, struct err *err) _must_use_;
/* Configuration only, never data, unless the runtime keeps both as one (runtime_destroys);
 * idempotent; refuses a running container. */
bool runtime_destroys(void);
int runtime_undefine(const char *name, struct err *err) _must_use_;
/* Its root is a filesystem of its own: from now on its start mounts it, by PATH.mount. Idempotent.
 */
int runtime_mounter(const char *name, struct err *err) _must_use_;
int runtime_guard(const char *name, bool on, struct err *err) _must_use_; /* idempotent, durable */
/* It went elsewhere and its files stay: the runtime itself does not start it any more, with Wherry
 * or without. Idempotent, durable. */
int runtime_disable(const char *name, struct err *err) _must_use_;
/* ret_init may be NULL; 0 where there is no init. */
int runtime_state(
	const char *name, enum ct_state *ret, pid_t *ret_init, struct err *err) _must_use_;
/* 0: running; already running is fine, but one that runtime_stop has asked to stop, and was killed
 * or crashed over, is stopped for good first. -ERR_DENIED: the guard says no. -ERR_TIMEOUT: it may
 * still come up, stop it. */
int runtime_start(const char *name, usec_t timeout, struct err *err) _must_use_;
/* Asks the init, waits timeout, then kills if kill (else -ERR_TIMEOUT). 0 only when it is proven
 * stopped: no init, nothing in its control groups, no process in its files. Cancelled before it
 * asks, never after: so long it may take timeout and a minute more. */
int runtime_stop(const char *name, usec_t timeout, bool kill, struct err *err) _must_use_;
int runtime_freeze(const char *name, bool on, struct err *err) _must_use_; /* idempotent */
/* Runs a program inside, as the container's root, with these three descriptors (-1: /dev/null);
 * cancelling kills it. *ret_status is its wait status. */
int runtime_exec(const char *name, char *const *argv, const int fds[3], int *ret_status,
	struct err *err) _must_use_;
/* The same until deadline: then it is killed, -ERR_TIMEOUT. */
int runtime_exec_until(const char *name, char *const *argv, const int fds[3], usec_t deadline,
	int *ret_status, struct err *err) _must_use_;
/* What this node cannot give the container: missing bridges, CPUs, id ranges, controllers. Errors
 * name the thing. */
int runtime_preflight(const struct container *c, struct err *err) _must_use_;
/* The id map that a container which has arriving on its node is to have on this one: the same where
 * this node's root may use these ids, else others. */
int runtime_idmap(const struct idmap *arriving, struct idmap *ret, struct err *err) _must_use_;
