/*
 * Answering another node's verbs: the destination's side. fds are the ssh session's; what is
 * answered is in docs/protocol.md. Everything that comes in is hostile until checked against the
 * key that it came with.
 */
#pragma once

#include "move/move.h"

struct receive_request {
	const char *key;     /* name of the authorised key, from the forced command */
	const char *address; /* of the client, "" if not known */
	char *const *words;  /* verb and its words, checked by verb_parse */
	int fd_in, fd_out;   /* owned from here on */
};

/* Serves one verb. The error, if any, has already been told to the peer; it is returned for the
 * job's record. */
int receive_serve(struct move_ctx *m, const struct receive_request *r, json_t **ret,
	struct err *err) _must_use_;
