/*
 * The other node, as the source sees it: one ssh connection that is made anew when it breaks, and
 * the calls that are not data. Host and user are the transfer's.
 */
#pragma once

#include "link/verbs.h"
#include "move/handoff.h"
#include "move/move.h"
#include "move/send.h"

struct peer {
	struct move_ctx *m;
	char *host, *user;
	uint16_t port;
	char **options; /* of ssh, of this send alone; NULL: none */
	bool accept_new;
	struct ssh *ssh; /* NULL: not connected */
	usec_t patience; /* how long a lost link is tried again; 0: not at all */
};

struct peer *peer_new(
	struct move_ctx *m, const char *host, const char *user, uint16_t port, bool accept_new);
/* As its record says; options: the record's "ssh" (opts), or NULL. */
void peer_options(struct peer *p, const json_t *options);
struct peer *peer_of(struct move_ctx *m, const struct transfer *t, bool accept_new);
void peer_free(struct peer *p);
void peer_freep(struct peer **p);
#define _cleanup_peer_ _cleanup_(peer_freep)

int peer_connect(struct peer *p, struct err *err) _must_use_; /* connected already is fine */
void peer_drop(struct peer *p);				      /* the next call connects anew */
/* Is that an error of the link, after which connecting again may help? */
bool peer_link_lost(int r);
/* Connects again with growing pauses until deadline; -ERR_UNREACHABLE after it, errors that no
 * waiting mends at once. */
int peer_reconnect(struct peer *p, usec_t deadline, struct err *err) _must_use_;
/* A call without data, tried again over new connections for the peer's patience: verbs are
 * idempotent. */
int peer_call(struct peer *p, const char *const *words, json_t *input, json_t **ret_ok,
	struct err *err) _must_use_;
int peer_hello(struct peer *p, json_t **ret,
	struct err *err) _must_use_; /* checks that both speak a common protocol */
bool peer_has(const json_t *hello, const char *feature);
/* What it durably knows of the token. -ERR_* when it can't be asked; ret_answer may be NULL. */
int peer_status(struct peer *p, const char *token, enum handoff_peer *ret, json_t **ret_answer,
	struct err *err) _must_use_;
