/*
 * A worker process, as the daemon sees it, and the clients that listen to it. The worker records
 * its own job (so that the record is right whatever becomes of the daemon); from its messages we
 * only learn the number. Its end is the end of its process: a result or error that came before is
 * what the clients got, otherwise they are told that the outcome is unknown and recovery is run.
 */
#pragma once

#include <jansson.h>

#include "base/proc.h"
#include "daemon/calls.h"
#include "daemon/client.h"

struct task {
	struct server *server;
	char call[64];
	unsigned flags;	  /* of the call */
	char key[65];	  /* a receive: of which authorised key */
	uint64_t job;	  /* 0: none, or not known yet */
	uint64_t watches; /* a job.attach: of that job, whose worker has not found us yet */
	struct proc proc; /* of one that an earlier daemon started, only pidfd */
	const char *argv[3];
	bool adopted;
	int sock;
	bool ended; /* the result or error has come */
	json_t *result;
	char *progress;		  /* the last one, for those who come later */
	struct message_vec lines; /* likewise the last ones */
	sd_event_source *io, *exit, *timer;
	struct client_vec clients;
	void (*done)(struct task *t, const json_t *result); /* may be NULL; result NULL: failed */
};

/* Starts a worker on the request, {"call", "args", "who", "daemon"} (stolen); fds stay the
 * caller's. */
int task_start(struct server *s, const struct call *call, json_t *request, const int *fds,
	size_t n_fds, struct task **ret, struct err *err) _must_use_;
/* A worker that has lost the daemon which started it has connected: its connection is duplicated.
 */
int task_adopt(struct server *s, int sock, pid_t pid, uint64_t job, const struct call *call,
	struct err *err) _must_use_;
void task_attach(struct task *t, struct client *c);
void task_detach(struct task *t, struct client *c); /* it has gone, or wants no more */
void task_cancel(struct task *t);
void task_resume(struct task *t); /* a client has caught up */
struct task *task_of_job(struct server *s, uint64_t job);
void task_free(struct task *t);
