/*
 * Living with containers on one node: what `wherry ct` does besides sending. Every change takes the
 * container's lock and asks the ownership first.
 */
#pragma once

#include "move/move.h"

struct create_opts {
	const char *tarball; /* absolute path of a root tarball (any compression tar knows), or */
	const char *template_name; /* an LXC template: "busybox", "download", ... */
	char *const *template_args;
	const char *pool;   /* NULL: the default */
	const char *device; /* its root is a filesystem on this block device; NULL: no */
	bool force_format;  /* whatever is on that device */
	const char *fs;	   /* "ext4", "xfs" where it gets a filesystem of its own; NULL: as the pool
			      says */
	uint64_t size;	   /* of that, bytes; 0: as the pool says */
	bool unprivileged; /* an id map and an idmapped root */
	const char *bridge;  /* NULL: no network; */
	const char *address; /* "10.0.0.2/24", NULL: none set */
	const char *hwaddr;
	bool autostart;
};

int containers_list(struct move_ctx *m, json_t **ret_array, struct err *err)
	_must_use_; /* [{name, state, pool, driver, send, peer, unprivileged, autostart}] */
int containers_show(struct move_ctx *m, const char *ct, json_t **ret, struct err *err)
	_must_use_; /* the above and path, volumes with size, snapshots, netifs, limits, init pid */
int containers_create(struct move_ctx *m, const char *ct, const struct create_opts *o, json_t **ret,
	struct err *err) _must_use_;
int containers_start(struct move_ctx *m, const char *ct, json_t **ret, struct err *err) _must_use_;
int containers_stop(struct move_ctx *m, const char *ct, bool kill, usec_t timeout, json_t **ret,
	struct err *err) _must_use_;
int containers_restart(
	struct move_ctx *m, const char *ct, json_t **ret, struct err *err) _must_use_;
/* Running: needs force. Refused while a send is open (cancel it first) and for a released one
 * before cleanup. */
int containers_delete(
	struct move_ctx *m, const char *ct, bool force, json_t **ret, struct err *err) _must_use_;
int containers_exec(struct move_ctx *m, const char *ct, char *const *argv, const int fds[3],
	json_t **ret, struct err *err) _must_use_; /* {"status": n} */
int containers_snapshot(struct move_ctx *m, const char *ct, const char *name, json_t **ret,
	struct err *err) _must_use_; /* of all its volumes */
int containers_snapshot_delete(struct move_ctx *m, const char *ct, const char *name, json_t **ret,
	struct err *err) _must_use_;
