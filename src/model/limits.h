/*
 * Limits of a container, in units of their own, whatever cgroup version a node runs.
 *
 * Wire form: an object with the fields that are set, by the names below.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define LIMIT_NONE UINT64_MAX /* no limit; never written as 0 */

struct limits {
	uint64_t memory;     /* bytes, at least 1 */
	uint64_t swap;	     /* bytes of swap alone; 0: no swap at all */
	uint64_t cpu_quota;  /* microseconds of CPU per period, at least 1000 */
	uint64_t cpu_period; /* microseconds, 1000 to 1000000; set where the quota is */
	uint64_t cpu_weight; /* 1..10000, 100 is normal */
	uint64_t pids;	     /* count, at least 1 */
	char *cpuset;	     /* "0-3", may be NULL; a node without these says so before the stop */
};

void limits_init(struct limits *l); /* all LIMIT_NONE */
bool limits_any(const struct limits *l);
json_t *limits_json(const struct limits *l);
int limits_from_json(const json_t *v, struct limits *ret, struct err *err) _must_use_;
void limits_done(struct limits *l);

#define CPU_MAX 65535
bool cpuset_ok(const char *s);
/* Walks a list of CPUs: 1 and the next range, 0 at the end, -1 for a bad list.
 *
 *	for (const char *p = l->cpuset; (r = cpuset_next(&p, &first, &last)) > 0;) ...
 */
int cpuset_next(const char **p, uint32_t *first, uint32_t *last);
