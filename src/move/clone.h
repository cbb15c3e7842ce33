/*
 * The state step of a copy: the rules are those of a move (handoff_clone_next), but what is durable
 * is the send's phase alone, because the source stays the owner of its container: committed means
 * that the copy may exist from now on, so only the destination's word ends the send.
 */
#pragma once

#include "move/handover.h"

/* As handover_run, which calls it for a copy. s->c must be loaded unless the phase is committed. */
int clone_run(struct sending *s, usec_t patience, enum handover_outcome *ret_outcome,
	struct err *err) _must_use_;
