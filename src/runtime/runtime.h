/*
 * Who runs containers. Today LXC (lxc.c, lxc_config.c); openvz.c later. Everything here is called in a worker process only: liblxc has
 * global state and may block.
 *
 * Configuration of a container that is arriving is written as "config.staged", which LXC cannot start; runtime_publish makes it
 * the real one at the hand-over, runtime_withdraw takes it back. The guard is a line in the configuration that makes LXC ask Wherry at
 * each start whether this node owns the container (pre-start hook). It stands there only while a send is open or after the
 * container was released, so that an ordinary container runs without Wherry.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/err.h"
#include "model/container.h"

enum ct_state { CT_STOPPED, CT_STARTING, CT_RUNNING, CT_STOPPING, CT_FROZEN, CT_OTHER };
const char *ct_state_name(enum ct_state s);

struct runtime_driver {
	const char *name;
	int (*list)(char ***ret, struct err *err);
	int (*load)(const char *name, struct container **ret, struct err *err);
	int (*define)(const struct container *c, bool staged, struct err *err);
	int (*publish)(const char *name, struct err *err);
	int (*withdraw)(const char *name, struct err *err);
	int (*undefine)(const char *name, struct err *err);
	int (*guard)(const char *name, bool on, struct err *err);
	int (*state)(const char *name, enum ct_state *ret, pid_t *ret_init, struct err *err);
	int (*start)(const char *name, usec_t timeout, struct err *err);
	int (*stop)(const char *name, usec_t timeout, bool kill, struct err *err);
	int (*freeze)(const char *name, bool on, struct err *err);
	int (*exec)(const char *name, char *const *argv, const int fds[3], int *ret_status, struct err *err);
};

/* The containers' folder of this node: what LXC says (lxc.lxcpath), or WHERRY_LXCPATH for tests. Static storage. */
const char *runtime_path(void);

int runtime_list(char ***ret, struct err *err) _must_use_; /* names, sorted; staged ones are not listed */
int runtime_exists(const char *name, bool *ret, struct err *err) _must_use_; /* defined or staged */
/* With volumes' paths of this node filled in. What reaches out of the container is in ->refused, not an error. */
int runtime_load(const char *name, struct container **ret, struct err *err) _must_use_;
/* Writes the configuration from the model; volumes carry their path on this node. Options outside the runtime's table of harmless
 * ones are an error by name (the caller puts allowed refused ones into options first and sets allow_refused). */
int runtime_define(const struct container *c, bool staged, bool allow_refused, struct err *err) _must_use_;
int runtime_publish(const char *name, struct err *err) _must_use_;  /* idempotent, durable */
int runtime_withdraw(const char *name, struct err *err) _must_use_; /* idempotent, durable; refuses a running container */
int runtime_undefine(const char *name, struct err *err) _must_use_; /* configuration only, never data; idempotent */
int runtime_guard(const char *name, bool on, struct err *err) _must_use_; /* idempotent, durable */
int runtime_state(const char *name, enum ct_state *ret, pid_t *ret_init, struct err *err) _must_use_; /* ret_init may be NULL */
int runtime_start(const char *name, usec_t timeout, struct err *err) _must_use_; /* 0: running; already running is fine */
/* Asks the init, waits timeout, then kills if kill. 0 only when it is proven stopped (no init, cgroup empty). */
int runtime_stop(const char *name, usec_t timeout, bool kill, struct err *err) _must_use_;
int runtime_freeze(const char *name, bool on, struct err *err) _must_use_;
int runtime_exec(const char *name, char *const *argv, const int fds[3], int *ret_status, struct err *err) _must_use_;
/* What this node cannot give the container: missing bridges, CPUs, id ranges, controllers. Errors name the thing. */
int runtime_preflight(const struct container *c, struct err *err) _must_use_;
