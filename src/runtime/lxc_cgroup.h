/*
 * lxc.cgroup.* (version 1) and lxc.cgroup2.* and the model's limits. Both are read, and both are
 * written, so that a limit holds whatever version the node runs: LXC ignores the other's lines.
 *
 * The versions differ: swap is limited together with memory in version 1 and alone in version 2;
 * CPU shares of version 1 (1024 is normal) are weights of version 2 (100 is normal) in the ratio
 * that systemd uses.
 */
#pragma once

#include "model/container.h"
#include "runtime/lxc_line.h"

/* What the lines said, in units of their own; LIMIT_NONE where they did not. */
struct cgroup_values {
	struct limits limits;
	uint64_t memsw; /* version 1: memory and swap together */
};

struct lxc_cgroup {
	struct cgroup_values v1, v2;
};

void lxc_cgroup_init(struct lxc_cgroup *g);
/* key is "lxc.cgroup.FILE" or "lxc.cgroup2.FILE"; other files than those of the limits are
 * LXC_OTHER. */
enum lxc_verdict lxc_cgroup_read(
	struct lxc_cgroup *g, const char *key, const char *value, const char **reason);
/* Where the two versions disagree, the one that this node runs (unified: version 2) is in force. */
void lxc_cgroup_finish(struct lxc_cgroup *g, bool unified, struct container *c);
void lxc_cgroup_render(const struct limits *l, struct str *out);
void lxc_cgroup_done(struct lxc_cgroup *g);
