/*
 * One transfer as the destination sees it: what receive.c, staging.c, intake.c and takeover.c
 * share. The peer is hostile: nothing of it is believed that wasn't checked.
 */
#pragma once

#include "link/verbs.h"
#include "model/container.h"
#include "move/handoff.h"
#include "move/places.h"
#include "move/receive.h"
#include "node/keys.h"
#include "node/transfer.h"

struct receiving {
	struct move_ctx *m;
	struct auth_key key;
	const char *address;
	struct verb *verb; /* the session; answers go there */
	struct transfer *t;
	struct pool *pool;
	int lock; /* of the container; -1: not held */
};

/* Finds the transfer of ID (a token, or [POOL:]NAME) that this key opened; -ERR_NOT_FOUND for
 * everybody else's, in the same words. */
int receiving_find(struct receiving *r, const char *id, struct err *err) _must_use_;
/* Takes the container's lock; a worker of the same transfer that still holds it (a link that died)
 * is stopped first. */
int receiving_lock(struct receiving *r, struct err *err) _must_use_;
/* Both, and finds it anew under the lock: it may have changed while we waited. */
int receiving_find_locked(struct receiving *r, const char *id, struct err *err) _must_use_;
/* The container's model, as it was accepted by skel, and the pool. */
int receiving_model(struct receiving *r, struct container **ret, struct err *err) _must_use_;
int receiving_pool(struct receiving *r, struct err *err) _must_use_;

/* The facts of one volume: {method, last, resume: {snap, offset, digest}, digest}; NULL if skel
 * named no such volume. */
json_t *receiving_volume(struct receiving *r, const char *name);
struct volume *receiving_staged(struct receiving *r, const char *name);
struct volume *receiving_final(struct receiving *r, const char *name);
/* Ends the transfer with a promise never to run it: phase CANCELLED or REFUSED and the ownership in
 * one transaction, then removes what was staged. */
int receiving_promise(struct receiving *r, enum transfer_phase phase, struct err *err) _must_use_;
/* Of one that has arrived: removes the snapshots and indexes of its transfer, and the guard.
 * Idempotent. */
int receiving_tidy(struct receiving *r, struct err *err) _must_use_;
/* The error for whoever goes on with a transfer that is over, with the reason where one is kept. */
int receiving_has_ended(const struct receiving *r, struct err *err) _must_use_;
/* Removes what is staged of a transfer that ended with a promise; idempotent. */
int receiving_sweep(struct receiving *r, struct err *err) _must_use_;
void receiving_done(struct receiving *r);
