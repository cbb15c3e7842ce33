/*
 * Limits of a container, in units of their own, whatever cgroup version a node runs.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"

#define LIMIT_NONE UINT64_MAX /* no limit; never written as 0 */

struct limits {
	uint64_t memory;      /* bytes */
	uint64_t swap;	      /* bytes of swap alone */
	uint64_t cpu_quota;   /* microseconds of CPU per period */
	uint64_t cpu_period;  /* microseconds */
	uint64_t cpu_weight;  /* 1..10000, 100 is normal */
	uint64_t pids;	      /* count */
	char *cpuset;	      /* "0-3", may be NULL; a node without these CPUs says so before the stop */
};

void limits_init(struct limits *l); /* all LIMIT_NONE */
json_t *limits_json(const struct limits *l);
int limits_from_json(const json_t *v, struct limits *ret, struct err *err) _must_use_;
void limits_done(struct limits *l);
