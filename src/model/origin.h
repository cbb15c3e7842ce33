/*
 * Another kind of runtime that a container comes from, and what of that must be changed inside it
 * before it starts elsewhere: its destination does (move/fit.h). It travels with the container, to
 * a node or into an archive, and ends where it arrives.
 *
 * Wire form: {"runtime": "openvz", "systemd": 219, "without": [], "nameservers": [], "domains": []}
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"

#define ORIGIN_LIST_MAX 64

struct origin {
	char *runtime;	  /* "openvz" */
	uint32_t systemd; /* the version inside, 0: none, or not known */
	char **without;	  /* fix-ups that are left out */
	char **nameservers, **domains;
};

struct origin *origin_new(const char *runtime);
void origin_free(struct origin *o);
json_t *origin_json(const struct origin *o);
/* Bounded; a runtime that is not known is -ERR_UNSUPPORTED. */
int origin_from_json(const json_t *v, struct origin **ret, struct err *err) _must_use_;
