/*
 * What this node can give a container that arrives: bridges, CPUs, controllers, id ranges, the
 * distribution's configuration. Errors name the thing that is missing and what would help.
 */
#pragma once

#include "base/err.h"
#include "model/container.h"

int host_preflight(const struct container *c, struct err *err) _must_use_;
/* The map under which a container that has arriving elsewhere is to run here: the same if root may
 * use its ranges on this node, else the same ids of the container in the ranges that root has
 * (/etc/subuid, /etc/subgid). */
int host_idmap(const struct idmap *arriving, struct idmap *ret, struct err *err) _must_use_;
