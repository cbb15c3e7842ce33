/*
 * Who may run a container. A container without a record belongs to this node (epoch 0). Otherwise:
 *
 *	owner		may run here
 *	staged		is arriving; may not run
 *	releasing(to)	is being handed over; may not be started anew by anybody but the send itself
 *	released(to)	belongs to the peer; may not run, its files stay until cleanup
 *
 * The epoch only grows. This file stores and answers; which move follows which is decided in
 * move/handoff.c, and own_set refuses everything that the table of legal moves there does not have,
 * as a second lock on the door.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/vec.h"
#include "node/state.h"

enum own_kind { OWN_OWNER, OWN_STAGED, OWN_RELEASING, OWN_RELEASED };

struct own {
	char ct[65];
	enum own_kind kind;
	bool recorded; /* false: no record, so OWN_OWNER with epoch 0 */
	uint64_t epoch;
	char token[41];	  /* of the transfer that it belongs to, "" for none */
	char peer[256];	  /* where it goes or comes from, for people */
	uint64_t changed; /* seconds since 1970 */
};
VEC(own_vec, struct own);

const char *own_kind_name(enum own_kind k);
int own_get(struct state *s, const char *ct, struct own *ret, struct err *err) _must_use_;
int own_list(struct state *s, struct own_vec *ret, struct err *err) _must_use_;
/* Durable; o->changed is not read. Legal, everything else is -ERR_STATE:
 *
 *	none, owner -> releasing	same epoch (none: 0), the token of the send
 *	releasing -> owner		same epoch and token: taken back before the commit
 *	releasing -> released		same epoch and token: the commit
 *	released -> owner		epoch + 2, same token: given back
 *	none -> staged			any epoch
 *	released -> staged		higher epoch, new token: it comes back
 *	staged -> owner			epoch + 1, same token
 *	owner -> released		same epoch and token: the destination gives back
 *	anything -> the same		kind, epoch and token: said again, nothing changes
 *
 * staged -> none is own_forget. */
int own_set(struct state *s, const struct own *o, struct err *err) _must_use_;
/* The operator's override, from anything: owner, epoch + 1000, no token. Recorded in the history
 * with what was overruled, in the same transaction. */
int own_force(struct state *s, const char *ct, const char *who, struct err *err) _must_use_;
/* The container is gone from here. Not while it is being handed over (-ERR_STATE); no record is
 * fine. */
int own_forget(struct state *s, const char *ct, struct err *err) _must_use_;
/* May it be started? 0 yes; -ERR_DENIED with a sentence that says who owns it, since when, and what
 * to do. releasing is denied to all but the send that is taking it back and can't write owner:
 * token is its (the hook has it from the environment), NULL or anything else for everybody else. */
int own_may_start(struct state *s, const char *ct, const char *token, struct err *err) _must_use_;
#define OWN_START_TOKEN "WHERRY_START_TOKEN"
