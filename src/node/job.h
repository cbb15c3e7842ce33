/*
 * Jobs: what the daemon runs in workers and people list, attach to and cancel. Ids only grow; the
 * last 10000 jobs are kept. And the history of what was moved, which is kept for ever.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "base/vec.h"
#include "node/state.h"

enum job_state {
	JOB_RUNNING,
	JOB_DONE,
	JOB_FAILED,
	JOB_CANCELLED,
	JOB_LOST /* its worker or node died; recovery took over */
};

struct job {
	uint64_t id;
	enum job_state state;
	char call[64];	/* "ct.send", "receive.base" */
	char ct[65];	/* may be "" */
	char token[41]; /* of its transfer, may be "" */
	char who[64];	/* "uid 0", "key web1" */
	uint64_t started, ended;
	int pid;
	json_t *result; /* or the error object {code, text}; NULL while it runs */
};
VEC(job_vec, struct job);

const char *job_state_name(enum job_state s);
/* Gives it an id, the running state and its start time; reads call, ct, token, who and pid. */
int job_start(struct state *s, struct job *j, struct err *err) _must_use_;
/* st is anything but JOB_RUNNING; result is stolen, also on failure, may be NULL. A job that has
 * ended already is -ERR_STATE: the first outcome stands. */
int job_finish(struct state *s, uint64_t id, enum job_state st, json_t *result,
	struct err *err) _must_use_;
int job_get(struct state *s, uint64_t id, struct job *ret, struct err *err) _must_use_;
/* Newest first; most 0: all. */
int job_list(struct state *s, bool running_only, unsigned most, struct job_vec *ret,
	struct err *err) _must_use_;
void job_vec_free(struct job_vec *v);
void job_done(struct job *j); /* frees what it holds */

/* One event of a container's life: data is an object (from, to, stop_ms, digest, bytes, who, ...)
 * without time, ct and event; stolen, also on failure; may be NULL. */
int history_add(struct state *s, const char *ct, const char *event, json_t *data,
	struct err *err) _must_use_;
/* Array of {time (seconds since 1970), ct, event, ...}, oldest first: the last `most` of them (0:
 * all) of that container (NULL: of all). */
int history_read(
	struct state *s, const char *ct, unsigned most, json_t **ret, struct err *err) _must_use_;
