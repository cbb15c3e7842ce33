/*
 * The daemon's protocol: JSON messages over SOCK_SEQPACKET, descriptors where needed. One request, any number of progress
 * messages, one result or one error. Who calls is known from SO_PEERCRED, not from the message.
 *
 *	request   {"call": "ct.send", "args": {...}}
 *	progress  {"progress": {"phase": .., "done": .., "total": .., "items": .., "rate": .., "eta_ms": .., "elapsed_ms": .., "final": ..}}
 *	line      {"line": "one sentence for the user"}
 *	job       {"job": 17}			as soon as there is one
 *	item      {"item": {...}}		of a long list
 *	result    {"result": {...}}		the last message of a call that went well
 *	error     {"error": {"code": "not-found", "text": "..."}}	the last message of one that did not
 *
 * Only result is success: a connection that ends before it is -ERR_UNKNOWN, never taken for one or the other.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/progress.h"

#define LOCAL_MSG_MAX 131072 /* bytes */

const char *local_socket(void);	  /* /run/wherry/control.sock or WHERRY_RUN_DIR/control.sock; static storage */
const char *receive_socket(void); /* the one for the receive user: verbs only */

/* Caller's side. "Is wherryd running? systemctl start wherryd" when nobody answers. */
int local_connect(const char *path, int *ret_sock, struct err *err) _must_use_;
struct local_handler { /* each may be NULL */
	void (*progress)(void *ctx, const struct progress_event *ev);
	void (*line)(void *ctx, const char *text);
	void (*job)(void *ctx, uint64_t id);
	void (*item)(void *ctx, const json_t *item);
	void *ctx;
};
/* Sends the request and handles messages until the end. args is stolen. ret_result may be NULL. An error of the other side becomes err. */
int local_call(int sock, const char *call, json_t *args, const int *fds, size_t n_fds, const struct local_handler *h,
	json_t **ret_result, struct err *err) _must_use_;

/* Server's side, and the worker's to the daemon: same messages. All stolen. */
int local_send(int sock, json_t *msg, struct err *err) _must_use_;
int local_send_error(int sock, const struct err *what, struct err *err) _must_use_;
int local_send_result(int sock, json_t *result, struct err *err) _must_use_;
int local_send_progress(int sock, const struct progress_event *ev, struct err *err) _must_use_;
/* One message; *ret NULL at the end. Descriptors go to ret_fds (FD_PASS_MAX places). */
int local_recv(int sock, json_t **ret, int *ret_fds, size_t *ret_n_fds, struct err *err) _must_use_;
json_t *local_error_json(const struct err *e);
void local_error_from(const json_t *error, struct err *ret); /* {"code","text"}, hostile: bounded, control characters escaped */
