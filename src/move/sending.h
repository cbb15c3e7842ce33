/*
 * One send in progress, on the source: what send.c, pass.c and handover.c share. Made from the
 * durable transfer record at the start of each step, so nothing here outlives a worker.
 */
#pragma once

#include "link/bwlimit.h"
#include "move/peer.h"
#include "move/places.h"
#include "move/plan.h"
#include "move/send.h"
#include "node/transfer.h"

struct sending {
	struct move_ctx *m;
	struct send_opts o;
	struct transfer *t;
	struct container *c;	/* NULL once the container is gone from here */
	struct volume_vec vols; /* in the order of c->volumes */
	struct peer *peer;
	json_t *unmounted; /* volumes that were not mounted before we looked: see handed.h */
	json_t *hello;	   /* what it says of itself; only while the first step runs */
	struct plan plan;
	struct rate rate;	 /* of this send */
	struct bwlimit *bwlimit; /* of the node, over all jobs; NULL: none */
	int lock;
	/* of this run, for the report */
	json_t *phases; /* [{phase, ms, bytes}] */
	uint64_t bytes, entries;
	usec_t phase_started;
	uint64_t phase_bytes;
	usec_t stop_began, stop_ended; /* 0: none */
};

/* Locks the container and loads its open send; -ERR_STATE with advice when there is none. */
int sending_open(struct move_ctx *m, const char *ct, const struct send_opts *o,
	struct sending **ret, struct err *err) _must_use_;
int sending_limits(struct sending *s,
	struct err *err) _must_use_; /* sets up rate and bwlimit by o and the configuration */
/* The container and its volumes; not needed for what only looks at the record. */
int sending_load(struct sending *s, struct err *err) _must_use_;
/* Opens s->vols; what that mounts, sending_free unmounts. */
int sending_volumes(struct sending *s, struct err *err) _must_use_;
/* The same anew: its configuration may have changed. Nothing that was read of it before is valid.
 */
int sending_reload(struct sending *s, struct err *err) _must_use_;
void sending_free(struct sending *s);
void sending_freep(struct sending **s);
#define _cleanup_sending_ _cleanup_(sending_freep)

/* Options of the send that later steps need are kept in the record. */
json_t *sending_opts_json(const struct send_opts *o);
bool sending_is_clone(const struct sending *s);
/* Does a one-shot send end with its cleanup? */
bool sending_removes(const struct transfer *t);
/* The peer has the commit, or may have it: only its word ends the send. */
bool sending_in_doubt(const struct sending *s, const struct own *own);
/* Whatever its error was, it is recovery's now: only -ERR_UNKNOWN makes wherryd try again. */
int sending_left_open(struct err *err);

/* The facts of one volume: {path, method, bytes, sent, pending, digest}. Change them, then
 * transfer_save. */
json_t *sending_volume(struct sending *s, const char *name);
bool sending_native(struct sending *s, const char *name);

/* Phases of the report and of the progress display; ending one twice is fine. */
void sending_phase(struct sending *s, const char *name, uint64_t total);
void sending_phase_end(struct sending *s);
json_t *sending_report(struct sending *s);
/* What a user does next, by the record: "`wherry ct send sync web`". */
char *sending_next(const struct transfer *t);

/* Goes on with an open one-shot send from where its record says; send.c, for recovery. */
int send_continue(struct sending *s, json_t **ret, struct err *err) _must_use_;
