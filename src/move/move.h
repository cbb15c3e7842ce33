/*
 * What every operation of this folder is given: the node's state and configuration, and where to
 * say things. Made by the worker, one a process. Operations return their result as a JSON object
 * for the caller to show; fields are named in docs/guide.
 */
#pragma once

#include <jansson.h>

#include "base/err.h"
#include "base/progress.h"
#include "node/config.h"
#include "node/state.h"

struct move_ctx {
	struct state *st;
	const struct config *cfg;
	struct progress *progress;		  /* may be NULL */
	void (*say)(void *ctx, const char *text); /* a sentence for the user; may be NULL */
	void *say_ctx;
	const char *who;  /* "uid 0", "key web1": for the history */
	uint64_t job;	  /* 0: none */
	const char *call; /* "ct.send", "receive": what this process does; may be NULL */
};

void move_say(const struct move_ctx *m, const char *fmt, ...) _printf_(2, 3);

/* The lock of a container on this node: whoever changes it holds it. Not waiting: -ERR_BUSY, names
 * the job that has it. The lock ends with the descriptor, so with the process. */
int move_lock(const struct move_ctx *m, const char *ct, bool wait, int *ret_fd,
	struct err *err) _must_use_;

/* Asks whoever holds it to stop (SIGTERM, as ^C does), if its call begins with prefix. Not an error
 * if nobody does. */
void move_lock_interrupt(const char *ct, const char *prefix);
/* Transfers of that container that arrived here and whose source never came to clean up are closed:
 * the container goes on with its life. */
int move_close_arrived(const struct move_ctx *m, const char *ct, struct err *err) _must_use_;

/* Takes the pre-start hook off a container that is ours and not being sent; any other keeps it. */
int move_unguard(struct move_ctx *m, const char *ct, struct err *err) _must_use_;

/* Adds to the container's history; data is stolen. That it could not be noted is logged and changes
 * nothing else. */
void move_history(const struct move_ctx *m, const char *ct, const char *event, json_t *data);

/* Its name is one, and this node has it, arriving ones included; -ERR_NOT_FOUND with advice. */
int move_check_exists(const char *ct, struct err *err) _must_use_;
