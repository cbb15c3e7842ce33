/*
 * Whether this node may run a container, and the operator's override: he takes it, whatever the
 * records say. It is the one way in which a container can come to run twice, so the other node is
 * asked first, and believed when it says that the container is its own.
 *
 *	r = claim_run(m, "web", &(struct claim_opts){.force = true}, &result, &err);
 */
#pragma once

#include "move/move.h"

struct claim_opts {
	bool force;		    /* take it; else only say whose it is */
	bool even_if_running_there; /* also if the other node says that it runs there */
};

/* *ret is {name, own, epoch, peer, changed}, and "forced" when it was taken: a send that is ended
 * by it is then to be cleared up after. -ERR_STATE when the other node says no. */
int claim_run(struct move_ctx *m, const char *ct, const struct claim_opts *o, json_t **ret,
	struct err *err) _must_use_;
