#include "move/clone.h"

#include "base/cancel.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/log.h"
#include "move/dialogue.h"
#include "move/pass.h"
#include "move/reserve.h"
#include "move/standstill.h"

#define DELTA_PATIENCE (20 * USEC_PER_SEC)

struct clone {
	struct sending *s;
	struct dialogue d;
	bool passed; /* the last pass is complete, in this run of the code */
	bool give_up;
	bool stopped; /* or tried to */
	bool shielded;
	struct err why; /* the first thing that went wrong */
};

/* Stop, take what stands still, and let it run again as early as the storage allows. */
static int stop_and_pass(struct clone *x, struct pass *p, struct err *err)
{
	struct sending *s = x->s;
	bool runs_again = false;
	struct err again = ERR_INIT;
	int r = dialogue_open(&x->d, err);

	x->stopped = r >= 0;
	if (r >= 0)
		r = standstill_begin(s, err);
	if (r >= 0 && s->o.restart) {
		r = pass_freeze(s, &runs_again, err);
		p->frozen = true;
		if (r >= 0 && runs_again)
			r = standstill_end(s, err);
	}
	if (runs_again)
		s->stop_ended = clock_now();
	if (r >= 0) {
		sending_phase(s, "state", 0);
		r = pass_run(s, p, err);
	}
	if (!x->stopped || runs_again || (r >= 0 && !s->o.restart))
		return r;
	if (standstill_end(s, &again) < 0 && r >= 0)
		r = err_copy(err, &again);
	s->stop_ended = clock_now();
	return r;
}

static int do_pass(struct clone *x, struct err *err)
{
	struct sending *s = x->s;
	struct pass p = {.final = true, .patience = DELTA_PATIENCE};
	/* What a broken pass has left goes first: it is older than the stop. */
	const struct pass left = {.patience = DELTA_PATIENCE};
	int r = pass_count(s, err);

	if (r >= 0)
		r = pass_flush(s, &left, err);
	if (r >= 0 && s->o.consistent && standstill_ran(s)) {
		r = stop_and_pass(x, &p, err);
	} else if (r >= 0) {
		p.final = !standstill_ran(s);
		sending_phase(s, "state", 0);
		r = pass_run(s, &p, err);
	}
	if (r >= 0)
		x->passed = true;
	return r;
}

/* From here on the copy may come to be, whatever we hear. */
static int do_release(struct clone *x, struct err *err)
{
	struct sending *s = x->s;
	int r = cancel_check(err);

	if (r >= 0)
		r = fault_point("clone.release.before", err);
	if (r < 0)
		return r;
	json_put_bool(s->t->facts, "start_there", x->d.start);
	r = transfer_set_phase(s->m->st, s->t, TRANSFER_COMMITTED, err);
	if (r < 0) { /* or has it become durable all the same? */
		s->t->phase = TRANSFER_COMMITTED;
		return sending_left_open(err);
	}
	cancel_shield();
	x->shielded = true;
	return fault_point("clone.release.after", err);
}

static int do_done(struct clone *x, struct err *err)
{
	struct sending *s = x->s;
	int r;

	json_object_del(s->t->facts, "was_running"); /* stopped on purpose, if it is */
	r = transfer_set_phase(s->m->st, s->t, TRANSFER_DONE, err);
	if (r < 0)
		return r;
	dialogue_history(&x->d, "cloned");
	return fault_point("clone.done", err);
}

/* The destination could not run it, and promised never to: a copy that came to nothing leaves the
 * container as it was. */
static int do_given_back(struct clone *x, struct err *err)
{
	struct sending *s = x->s;
	int r;

	json_put_bool(s->t->facts, "unswept", true);
	r = transfer_set_phase(s->m->st, s->t, TRANSFER_REFUSED, err);
	if (r < 0)
		return sending_left_open(err);
	dialogue_history(&x->d, "clone-refused");
	r = standstill_end(s, err);
	if (r < 0)
		return r;
	r = reserve_sweep(s, err);
	return r < 0 ? sending_left_open(err) : 0;
}

static int do_take_back(struct clone *x, struct err *err)
{
	struct sending *s = x->s;

	dialogue_drop(&x->d);
	if (x->stopped)
		return standstill_end(s, err);
	return transfer_fact(s->m->st, s->t, "was_running", NULL, err); /* it has run on */
}

static int undecided(const struct clone *x, struct err *err)
{
	const char *ct = x->s->t->ct, *peer = x->s->t->peer;

	return err_set(err, ERR_UNKNOWN,
		"%s was told to take over the copy of container '%s' and says '%s' about it: look "
		"there with `wherry ct show %s`, then end the send here with `wherry ct send "
		"cancel --local %s`",
		peer, ct, handoff_peer_name(x->d.peer), x->s->t->peer_ct, ct);
}

static int do_step(struct clone *x, enum handoff_step step, struct err *err)
{
	switch (step) {
	case HANDOFF_DELTA: return do_pass(x, err);
	case HANDOFF_PREPARE: return dialogue_prepare(&x->d, true, err);
	case HANDOFF_RELEASED: return do_release(x, err);
	case HANDOFF_COMMIT:
		sending_phase(x->s, "start", 0);
		dialogue_commit(&x->d, x->s->t->epoch);
		return 0;
	case HANDOFF_ASK: return dialogue_ask(&x->d, err);
	case HANDOFF_WAIT: return dialogue_wait(&x->d, err);
	case HANDOFF_DONE: return do_done(x, err);
	case HANDOFF_TAKE_BACK: return do_take_back(x, err);
	case HANDOFF_GIVEN_BACK: return do_given_back(x, err);
	case HANDOFF_STOPPED: return 0;
	default: return undecided(x, err);
	}
}

static bool is_last(enum handoff_step step)
{
	return step == HANDOFF_TAKE_BACK || step == HANDOFF_GIVEN_BACK || step == HANDOFF_DONE ||
	       step == HANDOFF_STOPPED || step == HANDOFF_OPERATOR;
}

/* What was done, not what was meant. */
static enum handover_outcome outcome_of(const struct clone *x)
{
	switch (x->s->t->phase) {
	case TRANSFER_COMMITTED: return HANDOVER_PENDING;
	case TRANSFER_DONE:
	case TRANSFER_CLOSED: return HANDOVER_DONE;
	case TRANSFER_REFUSED: return HANDOVER_GIVEN_BACK;
	default: return HANDOVER_TAKEN_BACK;
	}
}

static int loop(struct clone *x, struct err *err)
{
	int r = 0;

	for (;;) {
		enum handoff_step step = handoff_clone_next(
			x->s->t->phase, x->passed, x->give_up, x->d.peer);

		log_debug("copy of %s: %s (peer %s)", x->s->t->ct, handoff_step_name(step),
			handoff_peer_name(x->d.peer));
		err_clear(err);
		r = do_step(x, step, err);
		if (is_last(step) || (r < 0 && x->s->t->phase >= TRANSFER_COMMITTED))
			return r;
		if (r >= 0)
			continue;
		err_copy(&x->why, err);
		x->give_up = true;
	}
}

static int begin(struct clone *x, struct err *err)
{
	struct sending *s = x->s;
	int r;

	if (s->t->phase >= TRANSFER_COMMITTED) {
		x->d.start = json_get_bool(s->t->facts, "start_there", false);
		return 0;
	}
	/* A fact that says true is a start that never came: it stays. */
	if (!standstill_ran(s))
		json_object_del(s->t->facts, "was_running");
	r = standstill_note(s, err);
	x->d.start = standstill_ran(s) && json_get_bool(s->t->opts, "start", true);
	x->d.still = !standstill_ran(s); /* otherwise it runs again, or has run on */
	return r;
}

int clone_run(struct sending *s, usec_t patience, enum handover_outcome *ret, struct err *err)
{
	struct clone x = {.s = s,
		.d = DIALOGUE_INIT(s, patience),
		.why = ERR_INIT,
		.shielded = s->t->phase >= TRANSFER_COMMITTED};
	int r;

	*ret = outcome_of(&x);
	r = begin(&x, err);
	if (r < 0)
		return r;
	if (x.shielded)
		cancel_shield();
	r = loop(&x, err);
	if (x.shielded)
		cancel_unshield();
	*ret = outcome_of(&x);
	sending_phase_end(s);
	dialogue_drop(&x.d);
	/* What went wrong first is the story; a failure of the way back is worse and wins. */
	return r >= 0 && *ret != HANDOVER_DONE ? dialogue_failure(&x.d, &x.why, err) : r;
}
