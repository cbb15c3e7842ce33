/*
 * The model from the text of an LXC configuration file, without liblxc: lines are read as LXC reads
 * them, the distribution's own includes are kept by name and not followed, keys of LXC 2 are
 * understood. lxc_render.h is the way back.
 *
 *	struct lxc_place place = {runtime_path(), "web", cgroup_unified()};
 *	r = lxc_config_parse(text, n, &place, &c, &err);
 *
 * Which keys are what: lxc_net.h, lxc_cgroup.h, lxc_volume.h, the table in lxc_option.c of what is
 * carried as it is, and the one in lxc_config.c for the rest.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "model/container.h"

#define LXC_CONFIG_MAX	  (1u << 20)
#define LXC_SHARED_CONFIG "/usr/share/lxc/config"

/* Where the configuration is from: decides which bind mounts are volumes of the container. */
struct lxc_place {
	const char *lxcpath;
	const char *name;
	bool unified; /* this node has version 2 of control groups only */
};

/* -ERR_INVALID for what LXC itself would not load. What reaches out of the container is in
 * ->refused. */
int lxc_config_parse(const char *text, size_t n, const struct lxc_place *place,
	struct container **ret, struct err *err) _must_use_;
