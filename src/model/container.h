/*
 * What a container is, as data, whoever runs it: the form in which it travels between nodes and
 * runtimes. Loaded from a runtime (runtime/runtime.h), read from a peer (container_from_json,
 * hostile input), rendered by the runtime of the destination.
 *
 *	_cleanup_container_ struct container *c = NULL;
 *	r = container_from_json(v, &c, &err);
 *
 * Owned by whoever made it: container_free.
 *
 * Wire form: {"name", "arch", "hostname", "idmap": {}, "netifs": [{}], "limits": {},
 * "volumes": [{"name", "mountpoint", "options"}], "autostart", "autostart_delay",
 * "autostart_order", "includes": [], "options": [{"key", "value"}],
 * "refused": [{"key", "value", "reason"}], "origin": {"runtime", "systemd", "without": [],
 * "nameservers": [], "domains": []}}; what is not set is left out.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/vec.h"
#include "model/idmap.h"
#include "model/limits.h"
#include "model/netif.h"
#include "model/origin.h"

#define CONTAINER_NAME_MAX     64
#define VOLUME_NAME_MAX	       32
#define CONTAINER_NETIFS_MAX   64
#define CONTAINER_VOLUMES_MAX  32
#define CONTAINER_INCLUDES_MAX 32
#define CONTAINER_OPTIONS_MAX  512 /* of options and of refused, each */
#define CONTAINER_IGNORED_MAX  16
#define OPTION_KEY_MAX	       128
#define OPTION_VALUE_MAX       4096
#define MOUNTPOINT_MAX	       1024
#define MOUNT_OPTIONS_MAX      512

/* A piece of configuration that has no field of its own. */
struct option {
	char *key, *value;
	char *reason; /* only in refused: why it reaches out of the container, one clause */
};
VEC(option_vec, struct option);

/* A filesystem of the container that travels with it. The first is always the root: name "rootfs",
 * mountpoint "". */
struct ct_volume {
	char *name; /* [a-z0-9][a-z0-9_-]{0,31}, not one that the runtime uses ("config", ...) */
	char *mountpoint; /* inside the container, relative, no "..": "srv/data" */
	char *path;	  /* on this node only, never on the wire; NULL where the runtime cannot
			   * say, as for an overlay: refused names it then */
	char *options;	  /* mount options that stay inside ("ro", "nosuid", ...), may be NULL */
	/* On this node only: a filesystem of its own, which PATH.mount mounts before each start. */
	bool mounted;
};
VEC(ct_volume_vec, struct ct_volume);

struct container {
	char *name;	/* container_name_ok */
	char *arch;	/* "amd64", may be NULL */
	char *hostname; /* may be NULL: not set by the runtime */
	struct idmap idmap;
	struct netif_vec netifs;
	struct limits limits;
	struct ct_volume_vec volumes;
	bool autostart;
	uint32_t autostart_delay; /* seconds */
	uint32_t autostart_order;
	/* Base names of the distribution's own configuration that it includes: "common.conf",
	 * "userns.conf", folders as "common.conf.d". */
	char **includes;
	struct option_vec options; /* carried as they are: harmless by the runtime's table */
	/* On loading: what reaches out of the container (hooks, host paths, includes). */
	struct option_vec refused;
	/* On loading: lines that mean nothing to the runtime, as "line 12 (text)"; the first few.
	 * They do not travel: only to be told of. */
	char **ignored;
	struct origin *origin; /* NULL: it was LXC's before, too */
};

struct container *container_new(const char *name);
void container_free(struct container *c);
void container_freep(struct container **c);
#define _cleanup_container_ _cleanup_(container_freep)

/* [A-Za-z0-9][A-Za-z0-9_.-]{0,63}: what LXC, a folder name and a host name all take. */
bool container_name_ok(const char *name);
bool volume_name_ok(const char *name);
bool include_name_ok(const char *name); /* a base name, no path */
bool option_key_ok(const char *key);	/* letters, digits, '_', '-' and '.' */
/* Text without control characters, at most OPTION_VALUE_MAX bytes; may be empty. */
bool option_value_ok(const char *value);
/* Is root in the container root on the host? No fence but the runtime's own holds such a one. */
bool container_privileged(const struct container *c);
json_t *container_json(const struct container *c); /* the wire form, without paths */
/* Every string bounded, every list bounded, names checked. What it says is another matter: its
 * options are checked by the runtime that is to use them. */
int container_from_json(const json_t *v, struct container **ret, struct err *err) _must_use_;
struct ct_volume *container_volume(
	const struct container *c, const char *name); /* NULL if there is none */
/* All copied; path, options may be NULL. */
struct ct_volume *volume_add(struct container *c, const char *name, const char *mountpoint,
	const char *path, const char *options);
void option_add(struct option_vec *v, const char *key, const char *value, const char *reason);
void option_vec_free(struct option_vec *v); /* with what they own */
