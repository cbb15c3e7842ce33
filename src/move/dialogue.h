/*
 * `receive transfer` as the source speaks it: prepare, commit, and asking what became of it. It
 * only learns; what follows from it is decided by move/handoff.h in handover.c (a move) and clone.c
 * (a copy).
 */
#pragma once

#include "move/sending.h"

struct dialogue {
	struct sending *s;
	enum handoff_peer peer; /* what the peer was last heard to hold */
	bool start;		/* it is to be started there */
	bool still;		/* nothing changes here from the last pass to the end: the trees of
				 * both sides are compared */
	usec_t ask_until;	/* how long a silent peer is asked */
	struct err why;		/* why the peer gave it back */
	struct verb *channel;	/* private; NULL: not open */
};
#define DIALOGUE_INIT(sending, patience)                                                           \
	{                                                                                          \
		.s = (sending), .ask_until = clock_deadline(patience), .why = ERR_INIT             \
	}

/* Early, so that its cost is not part of the stop. Open already is fine. */
int dialogue_open(struct dialogue *d, struct err *err) _must_use_;
void dialogue_drop(struct dialogue *d);
/* 0: the peer is PEER_PREPARED and what stands there is what stands here; or it can't be prepared
 * any more and says what it is. again: a lost link is connected anew, and it is said once more. */
int dialogue_prepare(struct dialogue *d, bool again, struct err *err) _must_use_;
/* The commit is durable here. No error ends anything from now on: it leaves PEER_UNKNOWN. */
void dialogue_commit(struct dialogue *d, uint64_t epoch);
/* Asks over a connection of its own, and rests a moment where there is no answer; -ERR_UNKNOWN with
 * the reason when the patience is over. */
int dialogue_ask(struct dialogue *d, struct err *err) _must_use_;
/* It is starting there: a pause, then it is to be asked; -ERR_UNKNOWN when that takes too long. */
int dialogue_wait(struct dialogue *d, struct err *err) _must_use_;
/* What became of it, for the history of the container. */
void dialogue_history(const struct dialogue *d, const char *event);
/* Why nothing came of it, for the user: what went wrong here first, or what the peer said. */
int dialogue_failure(const struct dialogue *d, const struct err *first, struct err *err) _must_use_;
