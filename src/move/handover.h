/*
 * The hand-over on the source: obeys move/handoff.h, doing each thing it says; of a copy, clone.c
 * does. Used by the state step, by recovery and by resolve; they differ only in what is durable
 * when they begin and in how long they wait for a silent peer.
 */
#pragma once

#include "move/sending.h"

enum handover_outcome {
	HANDOVER_DONE,	     /* the peer owns it, healthy */
	HANDOVER_TAKEN_BACK, /* it failed before the commit: runs here again as before; err says why
				it failed */
	HANDOVER_GIVEN_BACK, /* the peer could not run it and gave it back: runs here again; err
				says why */
	HANDOVER_PENDING,    /* committed, the peer's word is missing: it stays down (a copy's
				original does not); err says so */
};

/* patience: how long a silent peer is asked after the commit. give_up: begin with taking back, if
 * that is still possible. 0 only for HANDOVER_DONE; otherwise negative, and *ret_outcome tells
 * which. */
int handover_run(struct sending *s, usec_t patience, bool give_up,
	enum handover_outcome *ret_outcome, struct err *err) _must_use_;
