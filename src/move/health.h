/*
 * Is a container that was just started well? Its init lives, and what the node's configuration asks
 * for answers within the deadline: a TCP port on one of its addresses, or a command inside.
 */
#pragma once

#include "model/container.h"
#include "move/move.h"

/* -ERR_HEALTH with the reason when the deadline passes. */
int health_check(struct move_ctx *m, const struct container *c, struct err *err) _must_use_;
