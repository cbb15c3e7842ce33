/*
 * `receive transfer`: the destination's side of the hand-over. A dialogue of lines; what each may
 * do is decided by move/handoff.h.
 */
#pragma once

#include "move/receiving.h"

/* Serves the dialogue until its end; *ret is the last answer. start_word: the verb was called with
 * "start". */
int takeover_run(struct receiving *r, bool start_word, json_t **ret, struct err *err) _must_use_;
/* The container is ours (committed): publish, start if asked, check; then done, or the promise and
 * refused. Idempotent; also run by recovery. 0 with *ret_refused telling which; the reason is then
 * in the facts. */
int takeover_finish(struct receiving *r, bool *ret_refused, struct err *err) _must_use_;
/* The operator takes what is prepared without the commit: ours from now on, published, not started.
 * Whoever sent it must be gone for good. */
int takeover_force(struct receiving *r, struct err *err) _must_use_;
json_t *takeover_state(
	struct receiving *r); /* {state, phase, epoch, text, ...}: the answer to status */
