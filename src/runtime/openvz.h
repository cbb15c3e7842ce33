/*
 * OpenVZ as a runtime, driven by its own tools (openvz_tool.h): legacy vzctl, and that of Virtuozzo
 * 7. Containers only leave it: they are listed, loaded, started, stopped, guarded and destroyed;
 * what would make one is -ERR_UNSUPPORTED.
 *
 * What a configuration becomes is decided above this folder, so the program says once how a
 * container is loaded:
 *
 *	openvz_load_by(load, ctx);		// before the first runtime_load
 *	r = runtime_load("101", &c, &err);	// calls load(ctx, "101", ...)
 *
 * The guard (runtime_guard) is OpenVZ's own means: the action script CTID.mount, which vzctl runs
 * for each start, by hand or at boot, and whose failure ends the start. See openvz_guard.c.
 *
 * A stopped container's files stay where they can be read: a ploop disk stays mounted when
 * runtime_stop stops it, and openvz_release unmounts it.
 */
#pragma once

#include "runtime/runtime.h"

extern const struct runtime_driver openvz_driver;

typedef int openvz_load_fn(void *ctx, const char *name, struct container **ret, struct err *err);
void openvz_load_by(openvz_load_fn *load, void *ctx);

/* Where a container's files are, as the tools say now. */
struct openvz_place {
	char *private, *root; /* folders */
	bool ploop; /* private holds a disk; its files are at root while that is mounted */
	bool mounted, running;
};
int openvz_place(const char *ctid, struct openvz_place *ret, struct err *err) _must_use_;
void openvz_place_done(struct openvz_place *p);

/* Its files can be read from here on: a ploop disk is mounted. Idempotent. */
int openvz_hold(const char *ctid, struct err *err) _must_use_;
/* No longer: a disk that is mounted for us only is unmounted. Idempotent. */
int openvz_release(const char *ctid, struct err *err) _must_use_;
/* `vzctl start` refuses it from now on (DISABLED=yes), at boot too. Idempotent. */
int openvz_disable(const char *ctid, bool on, struct err *err) _must_use_;
