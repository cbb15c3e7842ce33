/*
 * The daemon's protocol: JSON messages over SOCK_SEQPACKET, descriptors where needed. One request,
 * any number of messages on the way, one result or one error. Who calls is known from SO_PEERCRED,
 * not from the message. Each message is an object of one field, the request apart:
 *
 *	request   {"call": "ct.send", "args": {...}}
 *	progress  {"progress": {"phase": .., "done": .., "total": .., "items": .., "rate": ..,
 *		  "elapsed_ms": .., "eta_ms": .., "final": ..}}	without eta_ms: not known
 *	line      {"line": "one sentence for the user"}
 *	job       {"job": 17}			as soon as there is one
 *	item      {"item": {...}}		of a long list
 *	result    {"result": {...}}		the last message of a call that went well
 *	error     {"error": {"code": "not-found", "text": "..."}}	the last of one that did not
 *
 * Only result is success: a connection that ends before it is -ERR_UNKNOWN, never taken for one or
 * the other.
 *
 *	_cleanup_close_ int sock = -1;
 *	_cleanup_json_ json_t *result = NULL;
 *	r = local_connect(local_socket(), &sock, &err);
 *	if (r >= 0)
 *		r = local_call(sock, "ct.list", NULL, NULL, 0, NULL, &result, &err);
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/progress.h"

#define LOCAL_MSG_MAX 131072 /* bytes; long lists travel as items */

const char *local_socket(void);	  /* RUN/control.sock; static storage */
const char *receive_socket(void); /* RUN/receive.sock, for the receive user: verbs only */

/* Caller's side. -ERR_UNREACHABLE when no daemon listens there, -ERR_DENIED when we may not. */
int local_connect(const char *path, int *ret_sock, struct err *err) _must_use_;
struct local_handler { /* each may be NULL */
	void (*progress)(void *ctx, const struct progress_event *ev);
	void (*line)(void *ctx, const char *text);
	void (*job)(void *ctx, uint64_t id);
	void (*item)(void *ctx, const json_t *item);
	void *ctx;
	void (*end)(
		void *ctx); /* the result or error has come: the connection did not just break */
};
/* Sends the request and handles messages until the end. args (NULL: none) is stolen, fds stay the
 * caller's; h and ret_result may be NULL. An error of the other side becomes err. */
int local_call(int sock, const char *call, json_t *args, const int *fds, size_t n_fds,
	const struct local_handler *h, json_t **ret_result, struct err *err) _must_use_;

/* Goes on handling messages after local_call was interrupted (-ERR_CANCELLED). */
int local_wait(
	int sock, const struct local_handler *h, json_t **ret_result, struct err *err) _must_use_;

/* Server's side, and the worker's to the daemon: same messages. All stolen. result NULL: {}. */
int local_send(int sock, json_t *msg, struct err *err) _must_use_;
int local_send_error(int sock, const struct err *what, struct err *err) _must_use_;
int local_send_result(int sock, json_t *result, struct err *err) _must_use_;
/* What is within "progress": here, and in what `wherry --json` prints. The caller's to free. */
json_t *local_progress_json(const struct progress_event *ev);
int local_send_progress(int sock, const struct progress_event *ev, struct err *err) _must_use_;
/* One message; *ret NULL at the end. Descriptors go to ret_fds (FD_PASS_MAX places), with NULL they
 * are closed. A message that is not ours is -ERR_PROTOCOL; on a non-blocking socket -ERR_BUSY means
 * none yet. */
int local_recv(int sock, json_t **ret, int *ret_fds, size_t *ret_n_fds, struct err *err) _must_use_;
json_t *local_error_json(const struct err *e); /* {"code", "text"} */
/* The reverse, of a hostile object: the text bounded and printable, the code never ERR_NONE. */
void local_error_from(const json_t *error, struct err *ret);
