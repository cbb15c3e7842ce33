/*
 * wherryd: accepts calls, starts one worker for each, relays what it says. No data path, no
 * database, no parsing but of our own messages, so nothing here waits for a disk or a peer. One
 * thread, one sd-event loop.
 *
 *	listener  a socket: control.sock (root) or receive.sock (the receive user)
 *	client    a connection: one request, then it listens to a worker   client.h
 *	task      one worker process and those who listen to it		   task.h
 *	recovery  when to look after what was left half done		   recovery.h
 *
 * A client holds no task alive by itself and a task no client: each knows the other until one goes.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/vec.h"

struct client;
struct task;
VEC(client_vec, struct client *);
VEC(task_vec, struct task *);

struct limits {
	size_t clients;		/* connections of each socket */
	size_t tasks;		/* workers asked for by root */
	size_t receive_tasks;	/* workers asked for by the receive user */
	size_t key_tasks;	/* of these, for one key */
	usec_t request_timeout; /* to send the request after connecting */
};

extern const struct limits limits_default;

/* One worker of a round of recovery. */
struct recovery_part {
	const char *call; /* "recover.peer" */
	json_t *args;
	struct task *task; /* NULL: waits for its turn */
	unsigned kind;	   /* recovery.c's: whom it may keep waiting */
};
VEC(recovery_part_vec, struct recovery_part);

struct recovery {
	struct task *task; /* the first part, which says what else there is to do */
	struct recovery_part_vec parts;
	json_t *dead;		/* array of peers (args of a part) that did not answer last time */
	sd_event_source *timer; /* the next round */
	usec_t backoff;
	usec_t wake;	/* something expires then; 0: nothing */
	bool again;	/* asked for while the first part was running */
	bool pending;	/* a part of this round has left something */
	bool waiting;	/* the timer is that of the backoff */
	size_t resumes; /* sends that go on in jobs of their own */
};

struct server {
	sd_event *event;
	struct limits limits;
	const char *worker; /* path of the program */
	uid_t root_uid;	    /* who may use the control socket: root, in tests whoever runs it */
	uid_t receive_uid;
	bool has_receive; /* the receive user exists */
	usec_t started;
	struct client_vec clients;
	struct task_vec tasks;
	struct recovery recovery;
	sd_event_source *sources[8];
	size_t n_sources;
};

int server_init(struct server *s, const char *worker, const struct limits *limits,
	struct err *err) _must_use_;
/* Both take a listening SOCK_SEQPACKET socket; the server's from then on. */
int server_listen(struct server *s, int fd, bool receive, struct err *err) _must_use_;
int server_run(struct server *s, struct err *err) _must_use_; /* until SIGTERM or SIGINT */
void server_done(struct server *s);			      /* workers go on without us */
size_t server_count_tasks(const struct server *s, bool receive, const char *key);
