#include "move/handover.h"

#include <string.h>

#include "base/cancel.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/log.h"
#include "move/clone.h"
#include "move/dialogue.h"
#include "move/handed.h"
#include "move/pass.h"
#include "move/reserve.h"
#include "move/standstill.h"
#include "node/job.h"
#include "node/journal.h"
#include "runtime/runtime.h"

#define DELTA_PATIENCE (20 * USEC_PER_SEC)

struct handover {
	struct sending *s;
	struct dialogue d;
	struct handoff_source h; /* but for the peer: d has it */
	struct own own;
	bool shielded;
	struct err why; /* the first thing that went wrong */
};

static int own_write(struct handover *x, enum own_kind kind, uint64_t epoch, struct err *err)
{
	struct own o = x->own;
	int r;

	o.kind = kind;
	o.epoch = epoch;
	snprintf(o.token, sizeof(o.token), "%s", x->s->t->token);
	snprintf(o.peer, sizeof(o.peer), "%s", x->s->t->peer);
	r = own_set(x->s->m->st, &o, err);
	if (r < 0)
		return r;
	x->own = o;
	x->own.recorded = true;
	x->h.own = kind;
	return 0;
}

static int do_stop(struct handover *x, struct err *err)
{
	int r = dialogue_open(&x->d, err);

	if (r >= 0)
		r = pass_count(x->s, err);
	if (r >= 0)
		r = standstill_begin(x->s, err);
	if (r < 0)
		return r;
	x->h.stopped = true;
	return 0;
}

static int do_delta(struct handover *x, struct err *err)
{
	struct pass p = {.final = true, .patience = DELTA_PATIENCE};
	int r;

	sending_phase(x->s, "state", 0);
	r = pass_run(x->s, &p, err);
	if (r >= 0)
		r = handed_let_go(x->s, err);
	if (r < 0)
		return r;
	x->h.delta_sent = true;
	return fault_point("handover.delta", err);
}

/* The commit was reported as failed. What is durable decides, not what was meant: the record in
 * memory is ahead of the disk, or it did happen after all. Returns r, the failure, unless not even
 * that can be read. */
static int read_back(struct handover *x, struct err *err, int r)
{
	struct sending *s = x->s;
	struct transfer *t = NULL;
	struct err e = ERR_INIT;

	if (own_get(s->m->st, s->t->ct, &x->own, &e) < 0 ||
		transfer_by_token(s->m->st, s->t->token, &t, &e) < 0) {
		x->h.own = OWN_RELEASED; /* not known: nothing is taken back */
		return err_copy(err, &e);
	}
	x->h.own = x->own.kind;
	transfer_free(s->t);
	s->t = t;
	s->plan.token = t->token;
	return r;
}

/* Nobody can call it off, and a full disk may not either. Undone when the hand-over has come to its
 * end, whichever. */
static void shield(struct handover *x)
{
	if (!x->shielded)
		cancel_shield();
	x->shielded = true;
	state_vital(x->s->m->st, true);
}

static int do_release(struct handover *x, struct err *err)
{
	struct sending *s = x->s;
	int r;

	/* The last moment to change one's mind. */
	r = cancel_check(err);
	if (r < 0)
		return r;
	r = fault_point("handover.release.before", err);
	if (r < 0)
		return r;
	r = state_begin(s->m->st, err);
	if (r < 0)
		return r;
	json_put_bool(s->t->facts, "start_there", x->d.start);
	r = own_write(x, OWN_RELEASED, x->own.epoch, err);
	if (r >= 0)
		r = transfer_set_phase(s->m->st, s->t, TRANSFER_COMMITTED, err);
	if (r >= 0)
		r = state_commit(s->m->st, err);
	else
		state_rollback(s->m->st);
	if (r < 0)
		return read_back(x, err, r);
	shield(x);
	return fault_point("handover.release.after", err);
}

static int do_done(struct handover *x, struct err *err)
{
	struct sending *s = x->s;
	int r;

	s->stop_ended = clock_now();
	r = transfer_set_phase(s->m->st, s->t, TRANSFER_DONE, err);
	if (r < 0)
		return r;
	x->h.done = true;
	dialogue_history(&x->d, "moved");
	return fault_point("handover.done", err);
}

/* Nobody else can have it: also where that can't be written, because the disk is full, it runs. */
static int start_unrecorded(struct handover *x, struct err *err)
{
	struct err e = ERR_INIT;

	if (standstill_end_unrecorded(x->s, &e) < 0)
		log_warning("%s", e.text);
	return sending_left_open(err);
}

static int do_take_back(struct handover *x, struct err *err)
{
	int r;

	/* The peer's channel goes first: a prepare that is still on its way there must not be
	 * answered into a new attempt. */
	dialogue_drop(&x->d);
	r = fault_point("handover.takeback", err);
	if (r >= 0)
		r = own_write(x, OWN_OWNER, x->own.epoch, err);
	return r < 0 ? start_unrecorded(x, err) : standstill_end(x->s, err);
}

static int do_given_back(struct handover *x, struct err *err)
{
	struct sending *s = x->s;
	int r = state_begin(s->m->st, err);

	if (r < 0)
		return r;
	r = own_write(x, OWN_OWNER, x->own.epoch + 2, err);
	json_put_bool(s->t->facts, "unswept", true);
	if (r >= 0)
		r = transfer_set_phase(s->m->st, s->t, TRANSFER_REFUSED, err);
	if (r >= 0)
		r = state_commit(s->m->st, err);
	else
		state_rollback(s->m->st);
	if (r < 0) {
		(void)read_back(x, err, r);
		if (x->h.own != OWN_OWNER)
			return sending_left_open(err);
	}
	dialogue_history(&x->d, "given-back");
	r = standstill_end(s, err);
	if (r < 0)
		return r;
	r = reserve_sweep(s, err);
	return r < 0 ? sending_left_open(err) : 0;
}

static int write_releasing(struct handover *x, struct err *err)
{
	/* Hours may lie since the first step, and somebody may have written the configuration anew:
	 * without the hook LXC would start it here after a reboot. */
	int r = runtime_guard(x->s->t->ct, true, err);

	if (r >= 0)
		r = fault_point("handover.releasing.before", err);
	if (r < 0)
		return r;
	r = own_write(x, OWN_RELEASING, x->own.epoch, err);
	if (r < 0)
		return r;
	return fault_point("handover.releasing.after", err);
}

static int do_step(struct handover *x, enum handoff_step step, struct err *err)
{
	switch (step) {
	case HANDOFF_RELEASING: return write_releasing(x, err);
	case HANDOFF_STOP: return do_stop(x, err);
	case HANDOFF_DELTA: return do_delta(x, err);
	case HANDOFF_PREPARE: return dialogue_prepare(&x->d, !x->h.give_up, err);
	case HANDOFF_RELEASED: return do_release(x, err);
	case HANDOFF_COMMIT:
		sending_phase(x->s, "start", 0);
		dialogue_commit(&x->d, x->own.epoch);
		return 0;
	case HANDOFF_ASK: return dialogue_ask(&x->d, err);
	case HANDOFF_WAIT: return dialogue_wait(&x->d, err);
	case HANDOFF_DONE: return do_done(x, err);
	case HANDOFF_TAKE_BACK: return do_take_back(x, err);
	case HANDOFF_GIVEN_BACK: return do_given_back(x, err);
	case HANDOFF_STOPPED: return 0;
	case HANDOFF_OPERATOR: break;
	}
	return err_set(err, ERR_UNKNOWN,
		"container '%s' was released to %s, which says '%s' about it: that doesn't decide "
		"who may run it; see "
		"`wherry ct send resolve %s`",
		x->s->t->ct, x->s->t->peer, handoff_peer_name(x->d.peer), x->s->t->ct);
}

/* What was done, not what was meant. */
static enum handover_outcome outcome_of(const struct handover *x, enum handoff_step step)
{
	if (x->h.done)
		return HANDOVER_DONE;
	if (step == HANDOFF_TAKE_BACK)
		return HANDOVER_TAKEN_BACK;
	return x->h.own == OWN_OWNER ? HANDOVER_GIVEN_BACK : HANDOVER_PENDING;
}

static bool is_last(enum handoff_step step)
{
	return step == HANDOFF_TAKE_BACK || step == HANDOFF_GIVEN_BACK || step == HANDOFF_DONE ||
	       step == HANDOFF_OPERATOR;
}

static int loop(struct handover *x, enum handover_outcome *ret, struct err *err)
{
	int r = 0;

	for (;;) {
		enum handoff_step step;

		x->h.peer = x->d.peer;
		step = handoff_source_next(&x->h);
		log_debug("hand-over of %s: %s (peer %s)", x->s->t->ct, handoff_step_name(step),
			handoff_peer_name(x->d.peer));
		if (step == HANDOFF_STOPPED)
			return r;
		/* The way back is walked shielded: a second cancel must not leave it half way. */
		if (step == HANDOFF_TAKE_BACK)
			shield(x);
		err_clear(err);
		r = do_step(x, step, err);
		if (is_last(step)) {
			*ret = outcome_of(x, step);
			return r;
		}
		if (r >= 0)
			continue;
		if (x->h.own == OWN_RELEASED) {
			*ret = HANDOVER_PENDING;
			return r;
		}
		if (!x->why.code)
			err_copy(&x->why, err);
		x->h.give_up = true;
		*ret = HANDOVER_TAKEN_BACK;
	}
}

static int begin(struct handover *x, struct err *err)
{
	struct sending *s = x->s;
	int r = own_get(s->m->st, s->t->ct, &x->own, err);

	if (r < 0)
		return r;
	/* A fact that says true is a start that never came: it stays. */
	if (x->own.kind == OWN_OWNER && !standstill_ran(s))
		json_object_del(s->t->facts, "was_running");
	if (x->own.kind != OWN_RELEASED) {
		r = standstill_note(s, err);
		if (r < 0)
			return r;
	}
	x->h.own = x->own.kind;
	x->h.done = s->t->phase == TRANSFER_DONE || s->t->phase == TRANSFER_CLOSED;
	x->d.start = standstill_ran(s) && json_get_bool(s->t->opts, "start", true);
	x->d.still = true;
	if (x->h.own == OWN_RELEASED) {
		x->d.start = json_get_bool(s->t->facts, "start_there", x->d.start);
		shield(x);
	}
	return 0;
}

int handover_run(struct sending *s, usec_t patience, bool give_up, enum handover_outcome *ret,
	struct err *err)
{
	struct handover x = {.s = s, .d = DIALOGUE_INIT(s, patience), .why = ERR_INIT};
	int r;

	if (sending_is_clone(s))
		return clone_run(s, patience, ret, err);
	*ret = HANDOVER_PENDING;
	x.h.give_up = give_up;
	r = begin(&x, err);
	if (r < 0)
		return r;
	*ret = x.h.done ? HANDOVER_DONE : HANDOVER_TAKEN_BACK;
	r = loop(&x, ret, err);
	if (x.shielded)
		cancel_unshield();
	state_vital(s->m->st, false);
	sending_phase_end(s);
	dialogue_drop(&x.d);
	/* What went wrong first is the story; a failure of the way back is worse and wins. */
	if (r >= 0 && *ret != HANDOVER_DONE && !give_up)
		r = dialogue_failure(&x.d, &x.why, err);
	return r;
}
