/*
 * A connection to the daemon. It sends one request; then it is told what the worker says. The
 * messages for one that reads slowly wait here, boundedly: progress is dropped first.
 */
#pragma once

#include <jansson.h>

#include "daemon/server.h"

#define CLIENT_QUEUE_MAX (4u << 20) /* bytes */

struct message {
	char *text;
	size_t n;
};
VEC(message_vec, struct message);

struct client {
	struct server *server;
	int sock;
	bool receive; /* came in over the receive socket */
	bool ending;  /* goes once the queue is empty */
	pid_t pid;
	uid_t uid;
	struct task *task; /* it listens to; NULL before the request and after the end */
	sd_event_source *io, *timer;
	struct message_vec queue;
	size_t queued; /* bytes */
};

/* Takes the connection. */
void client_new(struct server *s, int fd, bool receive);
void client_free(struct client *c);
/* With may_drop it is left out for one who has not read what came before. */
void client_send(struct client *c, const char *text, size_t n, bool may_drop);
void client_send_error(struct client *c, const struct err *e);
/* It has not read much of what it was sent. */
bool client_is_behind(const struct client *c);
/* Nothing more will come: closed as soon as all has been sent. */
void client_end(struct client *c);
