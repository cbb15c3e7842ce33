/*
 * The worker's side: what a call's function is given. One process serves one call, so functions
 * check their arguments with a field table into static storage and leave freeing to the end.
 *
 *	int serve_ct_start(struct serve *s, json_t **ret, struct err *err)
 *
 * Its result is sent to whoever asked. An array is sent item by item, because a message is bounded.
 */
#pragma once

#include <jansson.h>

#include "base/fd.h"
#include "base/json.h"
#include "daemon/calls.h"
#include "move/move.h"

struct serve {
	const struct call *call;
	const json_t *request; /* {"call", "args", "who", "daemon"} */
	const json_t *args;
	int fds[FD_PASS_MAX]; /* the caller's, in the order that the call says */
	size_t n_fds;
	bool answered; /* a receive: the peer has been told how it ended */
	struct move_ctx move;
};

/* Reads the arguments by the table; "call: field ... is missing". */
int serve_args(
	struct serve *s, const struct json_field *fields, void *out, struct err *err) _must_use_;

#define SERVE(call_name, fn, flags) int serve_##fn(struct serve *s, json_t **ret, struct err *err);
CALL_LIST(SERVE)
