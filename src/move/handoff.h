/*
 * The rules of the hand-over, without any doing: given what is durable here, what the peer was last
 * heard to say, and what has happened since, what comes next? Pure functions of their arguments.
 * The workers (send.c, receive.c, recover.c) obey them; tests/unit/test_handoff_model.c explores
 * every interleaving of them with crashes, lost and repeated messages, and reboots.
 *
 * Why it is safe: the destination may run the container only after it holds the commit; the source
 * sends the commit only after `released` is durable; from then on the source may run it only after
 * it holds the destination's durable promise never to (refused, cancelled). Both promises end a
 * token for ever.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "node/ownership.h"
#include "node/transfer.h"

/* What the peer is known to hold durably for a token. */
enum handoff_peer {
	PEER_UNKNOWN,	/* no answer, or none since the last thing that could have changed it */
	PEER_STAGED,	/* data is arriving; not prepared */
	PEER_PREPARED,	/* verified and on disk there; waits for the commit */
	PEER_STARTING,	/* has the commit, owns it, not yet healthy */
	PEER_OWNER,	/* owns it, healthy */
	PEER_REFUSED,	/* gave it back: promises never to run it */
	PEER_CANCELLED, /* promises never to run it */
	PEER_NONE,	/* no record of the token: says nothing about what it may run */
};

const char *handoff_peer_name(enum handoff_peer p);    /* the protocol's word: "prepared" */
enum handoff_peer handoff_peer_from(const char *name); /* PEER_UNKNOWN if it is none */

/* What the source does next. */
enum handoff_step {
	HANDOFF_RELEASING,  /* write: releasing */
	HANDOFF_STOP,	    /* stop the container, prove it */
	HANDOFF_DELTA,	    /* send the last changes */
	HANDOFF_PREPARE,    /* ask the peer to verify and sync */
	HANDOFF_RELEASED,   /* write: released. The commit */
	HANDOFF_COMMIT,	    /* tell the peer */
	HANDOFF_ASK,	    /* ask for its status */
	HANDOFF_WAIT,	    /* it is starting: ask again soon */
	HANDOFF_DONE,	    /* write: done */
	HANDOFF_TAKE_BACK,  /* before the commit: write owner, same epoch; the transfer's token ends
			       here */
	HANDOFF_GIVEN_BACK, /* after it, with the peer's promise: write owner, epoch + 2; the token
			       ends */
	HANDOFF_STOPPED,    /* nothing more to do: it belongs here */
	HANDOFF_OPERATOR,   /* what is known does not decide it */
};

struct handoff_source {
	enum own_kind own;	  /* durable */
	bool done;		  /* durable: phase is TRANSFER_DONE or later */
	bool stopped, delta_sent; /* since this run of the code began */
	bool give_up;		  /* something failed for good, or the operator cancelled */
	enum handoff_peer peer;
};

enum handoff_step handoff_source_next(const struct handoff_source *s);
/* The same rules for a copy. What `released` is to a move, the phase committed is to it: from then
 * on only the peer's word ends it. TAKE_BACK and GIVEN_BACK end it here; the ownership never
 * changes. passed: the last changes were sent since this run of the code began. */
enum handoff_step handoff_clone_next(
	enum transfer_phase phase, bool passed, bool give_up, enum handoff_peer peer);
const char *handoff_step_name(enum handoff_step s);

/* What the destination does with a message, given its durable record of the token. */
enum handoff_message { MESSAGE_PREPARE, MESSAGE_COMMIT, MESSAGE_CANCEL, MESSAGE_STATUS };

enum handoff_answer {
	ANSWER_STATE,	/* change nothing, say what is durable */
	ANSWER_PREPARE, /* verify, sync, write prepared, say so */
	ANSWER_TAKE,	/* write owner (epoch + 1) and committed in one transaction, then run it
			   (below) */
	ANSWER_RUN,	/* already owner: go on with handoff_takeover_next */
	ANSWER_CANCEL,	/* write cancelled (the promise), then remove what was staged */
	ANSWER_ERROR,	/* out of order: nothing changes */
	ANSWER_DEFINE,	/* write the configuration that came; what was prepared isn't any more */
};

/* has_record: the token is known here. epoch: of the commit message; must be the one that the
 * transfer began with. */
enum handoff_answer handoff_destination(bool has_record, enum transfer_phase phase,
	uint64_t record_epoch, enum handoff_message msg, uint64_t epoch);
/* What the destination does with a container that it has the commit for. Between the end of a start
 * that did not go well and the promise, nobody else may start it either: so the ownership goes
 * first, then what runs, then the promise is made. */
enum handoff_takeover {
	TAKEOVER_RUN,	   /* publish, start, check */
	TAKEOVER_DONE,	   /* write done */
	TAKEOVER_WITHDRAW, /* write: not ours; from here on no start passes the guard */
	TAKEOVER_STOP,	   /* stop it for certain, take its configuration away */
	TAKEOVER_REFUSE,   /* write refused: the promise */
	TAKEOVER_NOTHING,  /* it is decided */
};

struct handoff_taker {
	enum transfer_phase phase; /* durable */
	bool withdrawn;		   /* durable */
	bool well, failed;	   /* since this run of the code began */
	bool stopped;		   /* since this run, proven after it was withdrawn */
};

enum handoff_takeover handoff_takeover_next(const struct handoff_taker *t);
/* The configuration, told (again) by a skel line of that revision; the record holds the revision
 * have. The source counts them up durably before each is sent, so a lower one is late, and the same
 * is a repetition. */
enum handoff_answer handoff_define(enum transfer_phase phase, uint64_t have, uint64_t revision);
/* May data come in, of the source's pass of that number? The record holds the highest that came,
 * have. The source counts durably before each pass, and counts no more once it has released: so
 * what has a lower number is late, as is, once prepared, the same. 0: said by hand. */
bool handoff_takes_data(enum transfer_phase phase, uint64_t have, uint64_t pass);
/* The state to report for a durable phase. */
enum handoff_peer handoff_destination_state(bool has_record, enum transfer_phase phase);
