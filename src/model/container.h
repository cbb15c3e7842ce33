/*
 * What a container is, as data, whoever runs it: the form in which it travels between nodes and
 * runtimes. Loaded from a runtime (runtime/runtime.h), read from a peer (container_from_json, hostile input), rendered by
 * the runtime of the destination.
 *
 * Owned by whoever made it: container_free.
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

#define CONTAINER_NAME_MAX 64

/* A piece of configuration that has no field of its own. */
struct option {
	char *key, *value;
	char *reason; /* only in refused: why it reaches out of the container, one clause */
};
VEC(option_vec, struct option);

/* A filesystem of the container that travels with it. The first is always the root: name "rootfs", mountpoint "". */
struct ct_volume {
	char *name;	  /* [a-z0-9][a-z0-9_-]{0,31} */
	char *mountpoint; /* inside the container, relative, no "..": "srv/data" */
	char *path;	  /* on this node only, never on the wire */
	char *options;	  /* mount options that stay inside ("ro", "nosuid", ...), may be NULL */
};
VEC(ct_volume_vec, struct ct_volume);

struct container {
	char *name;	/* container_name_ok */
	char *arch;	/* "amd64", may be NULL */
	char *hostname; /* may be NULL: the name */
	struct idmap idmap;
	struct netif_vec netifs;
	struct limits limits;
	struct ct_volume_vec volumes;
	bool autostart;
	uint32_t autostart_delay; /* seconds */
	uint32_t autostart_order;
	char **includes; /* base names of the distribution's own configuration that it includes: "common.conf", "userns.conf" */
	struct option_vec options; /* carried as they are: harmless by the runtime's table */
	struct option_vec refused; /* on loading: what reaches out of the container (hooks, host paths, includes) */
};

struct container *container_new(const char *name);
void container_free(struct container *c);
void container_freep(struct container **c);
#define _cleanup_container_ _cleanup_(container_freep)

/* [A-Za-z0-9][A-Za-z0-9_.-]{0,63}: what LXC, a folder name and a host name all take. */
bool container_name_ok(const char *name);
bool volume_name_ok(const char *name);
json_t *container_json(const struct container *c); /* the wire form, without paths */
/* Every string bounded, every list bounded (netifs 64, volumes 32, options 512), names checked. */
int container_from_json(const json_t *v, struct container **ret, struct err *err) _must_use_;
struct ct_volume *container_volume(const struct container *c, const char *name); /* NULL if there is none */
void option_add(struct option_vec *v, const char *key, const char *value, const char *reason);
