/*
 * The durable record of one send, on either side, from `ct send config` to `cleanup` or `cancel`,
 * and after that as history and as a tombstone: a token that was cancelled, refused or given back
 * is never accepted again. At most one open transfer a container and node.
 *
 *	struct transfer *t = transfer_new(TRANSFER_SOURCE, "web");
 *	r = transfer_insert(s, t, &err);
 *	r = transfer_fact(s, t, "snapshot", json_string("wherry-1f3a"), &err);	// before it is made
 *	r = transfer_set_phase(s, t, TRANSFER_CONFIG, &err);			// after it is true
 *
 * Between state_begin and a state_commit that fails, what these calls did to t is not on disk: read
 * it again. Nobody but the holder of the container's lock saves a record; a copy that was read
 * before another process closed the record cannot open it again.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/vec.h"
#include "node/state.h"

enum transfer_role { TRANSFER_SOURCE, TRANSFER_DESTINATION };

/* In order; a phase is written after what it names is true and on disk. */
enum transfer_phase {
	TRANSFER_NEW,	 /* reserved names, nothing agreed */
	TRANSFER_CONFIG, /* `stage` of the documents: the destination has reserved and defined it */
	TRANSFER_BASE,	 /* the first copy is complete */
	TRANSFER_INCREMENTAL, /* at least one later pass is complete */
	TRANSFER_PREPARED,    /* destination: verified and synced, waiting for the commit */
	TRANSFER_COMMITTED, /* source: released is written; only forward from here, or given back by
			       the destination */
	TRANSFER_DONE, /* the destination owns it and it is healthy (clone: the copy is complete) */
	TRANSFER_CLOSED,    /* cleaned up */
	TRANSFER_CANCELLED, /* tombstone */
	TRANSFER_REFUSED,   /* tombstone: the destination gave it back */
};

struct transfer {
	char token[41];
	enum transfer_role role;
	enum transfer_phase phase;
	char ct[65];	  /* its name here */
	char peer_ct[65]; /* its name there */
	char peer[256];	  /* host as the operator named it; destination: address and key name */
	uint16_t port;
	char user[33];		  /* receive user on the peer, source only */
	char key[65];		  /* destination: name of the authorised key that opened it */
	uint64_t epoch;		  /* of the container when the send began */
	uint64_t opened, changed; /* seconds since 1970 */
	json_t *opts;  /* object: what the operator asked for (clone, start, restart, ...) */
	json_t *facts; /* object: names of things made or to be made, sizes, results; see
			* journal.h for its rule. Never NULL, nor is opts */
};

/* "new", "stage", "base", "incremental", "prepared", "committed", "transfer", "cleanup",
 * "cancelled", "refused". */
const char *transfer_phase_name(enum transfer_phase p);
bool transfer_is_open(const struct transfer *t); /* not closed, cancelled, refused */
struct transfer *transfer_new(enum transfer_role role, const char *ct); /* with a fresh token */
/* -ERR_BUSY when one is open for the container, -ERR_EXISTS for a token that was seen before. */
int transfer_insert(struct state *s, struct transfer *t, struct err *err) _must_use_;
/* Everything but token, role and ct. -ERR_STATE: the record on disk is closed and this one is not
 * (or is closed otherwise), or the phase would go back from committed. */
int transfer_save(struct state *s, struct transfer *t, struct err *err) _must_use_;
/* Sets one fact and saves, durably: BEFORE the thing it names is made. value is stolen; json_null()
 * removes the fact. On failure t is as before. */
int transfer_fact(struct state *s, struct transfer *t, const char *name, json_t *value,
	struct err *err) _must_use_;
/* On failure t is as before. */
int transfer_set_phase(
	struct state *s, struct transfer *t, enum transfer_phase phase, struct err *err) _must_use_;
int transfer_by_token(
	struct state *s, const char *token, struct transfer **ret, struct err *err) _must_use_;
/* The open one of that container in that role; -ERR_NOT_FOUND. */
int transfer_open_of(struct state *s, enum transfer_role role, const char *ct,
	struct transfer **ret, struct err *err) _must_use_;
VEC(transfer_vec, struct transfer *);
/* ct may be NULL: of all; oldest first. */
int transfer_list(struct state *s, bool open_only, const char *ct, struct transfer_vec *ret,
	struct err *err) _must_use_;
void transfer_vec_free(struct transfer_vec *v);
void transfer_free(struct transfer *t);
void transfer_freep(struct transfer **t);
#define _cleanup_transfer_ _cleanup_(transfer_freep)
