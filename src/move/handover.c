#include "move/handover.h"

#include <string.h>

#include "base/cancel.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/log.h"
#include "move/announce.h"
#include "move/pass.h"
#include "move/reserve.h"
#include "move/skel.h"
#include "node/job.h"
#include "node/journal.h"
#include "runtime/runtime.h"

#define ASK_EVERY	(2 * USEC_PER_SEC)
#define STARTING_EVERY	(300 * USEC_PER_MSEC)
#define PREPARE_TIMEOUT (10 * 60 * USEC_PER_SEC)
#define DELTA_PATIENCE	(20 * USEC_PER_SEC)
#define ANSWER_GRACE	(60 * USEC_PER_SEC) /* beyond the health check's own time */

struct handover {
	struct sending *s;
	struct handoff_source h;
	struct own own;
	struct verb *channel; /* the transfer dialogue; NULL: not open */
	usec_t ask_until;
	struct err why; /* the first thing that went wrong */
	bool starts_there;
	bool still; /* nothing changes here from the last pass to the end */
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

static int open_channel(struct handover *x, struct err *err)
{
	const char *words[] = {
		"receive", "transfer", x->s->t->token, x->starts_there ? "start" : NULL, NULL};
	int r;

	if (x->channel)
		return 0;
	r = peer_connect(x->s->peer, err);
	if (r < 0)
		return r;
	return verb_start(x->s->peer->ssh, words, &x->channel, err);
}

static void drop_channel(struct handover *x)
{
	verb_free(x->channel);
	x->channel = NULL;
}

static int do_stop(struct handover *x, struct err *err)
{
	struct sending *s = x->s;
	int r;

	/* The dialogue is opened first: its cost is not part of the stop. */
	r = open_channel(x, err);
	if (r < 0)
		return r;
	sending_phase(s, "stop", 0);
	s->stop_began = clock_now();
	r = runtime_stop(s->t->ct, s->m->cfg->stop_timeout, true, err);
	if (r < 0)
		return r;
	x->h.stopped = true;
	r = fault_point("handover.stopped", err);
	/* Somebody may have written it while it stopped. */
	return r < 0 ? r : skel_refresh(s, err);
}

static int do_delta(struct handover *x, struct err *err)
{
	struct pass p = {.final = true, .patience = DELTA_PATIENCE};
	int r;

	sending_phase(x->s, "state", 0);
	r = pass_run(x->s, &p, err);
	if (r < 0)
		return r;
	x->h.delta_sent = true;
	return fault_point("handover.delta", err);
}

/* One message of the dialogue and its answer. */
static int ask(struct handover *x, json_t *msg, usec_t timeout, json_t **ret, struct err *err)
{
	int r = open_channel(x, err);

	if (r < 0) {
		json_decref(msg);
		return r;
	}
	r = verb_send_line(x->channel, msg, err);
	if (r >= 0)
		r = verb_recv_line(x->channel, timeout, ret, err);
	if (r < 0)
		drop_channel(x);
	return r;
}

static void learn(struct handover *x, const json_t *answer)
{
	const char *text = json_get_str(answer, "text");

	x->h.peer = handoff_peer_from(json_get_str(answer, "state"));
	if (x->h.peer == PEER_REFUSED || x->h.peer == PEER_CANCELLED)
		err_set(&x->why, ERR_HEALTH, "%s gave container '%s' back: %s", x->s->t->peer,
			x->s->t->ct, text ? text : "it says no reason");
}

/* Both sides walk their trees at the same time. */
static int prepare_once(struct handover *x, json_t **ret_answer, json_t **ret_ours, struct err *err)
{
	int r = open_channel(x, err);

	if (r >= 0)
		r = verb_send_line(x->channel,
			json_pack("{s:{s:o,s:I}}", "prepare", "volumes", pass_snapshots(x->s),
				"revision", (json_int_t)skel_revision(x->s)),
			err);
	if (r >= 0 && x->still && !*ret_ours) {
		r = pass_digests(x->s, ret_ours, err);
		if (r < 0)
			return r;
	}
	if (r >= 0)
		r = verb_recv_line(x->channel, PREPARE_TIMEOUT, ret_answer, err);
	if (r < 0)
		drop_channel(x);
	return r;
}

/* The last lock on the door: what stands there must be what stands here. */
static int compare_digests(
	struct handover *x, const json_t *ours, const json_t *theirs, struct err *err)
{
	const json_t *d;
	const char *name;

	json_object_foreach((json_t *)ours, name, d)
	{
		const char *have = json_get_str(theirs, name);

		if (!have || strcmp(have, json_string_value(d)))
			return err_set(err, ERR_CORRUPT,
				"volume '%s' on %s is not what it is here: its digest is %s, not "
				"%s",
				name, x->s->t->peer, have ? "another" : "missing",
				json_string_value(d));
	}
	if (ours)
		json_object_set(x->s->t->facts, "digests", (json_t *)ours);
	return 0;
}

static int do_prepare(struct handover *x, struct err *err)
{
	_cleanup_json_ json_t *answer = NULL, *ours = NULL;
	int r = prepare_once(x, &answer, &ours, err);

	if (peer_link_lost(r) && !x->h.give_up) {
		/* A new connection, and once more: preparing twice is preparing once. */
		r = peer_reconnect(x->s->peer, clock_deadline(DELTA_PATIENCE), err);
		if (r >= 0)
			r = prepare_once(x, &answer, &ours, err);
	}
	if (r < 0)
		return r;
	if (json_object_get(answer,
		    "ok")) { /* it can't be prepared any more, and says what it is instead */
		drop_channel(x);
		learn(x, json_object_get(answer, "ok"));
		return 0;
	}
	if (!json_object_get(answer, "prepared"))
		return err_set(err, ERR_PROTOCOL,
			"%s did not answer the prepare message as it must", x->s->t->peer);
	r = compare_digests(
		x, ours, json_object_get(json_object_get(answer, "prepared"), "digests"), err);
	if (r < 0)
		return r;
	x->h.peer = PEER_PREPARED;
	return fault_point("handover.prepared", err);
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
	r = own_write(x, OWN_RELEASED, x->own.epoch, err);
	if (r >= 0)
		r = transfer_set_phase(s->m->st, s->t, TRANSFER_COMMITTED, err);
	if (r >= 0)
		r = state_commit(s->m->st, err);
	else
		state_rollback(s->m->st);
	if (r < 0)
		return read_back(x, err, r);
	cancel_shield();
	return fault_point("handover.release.after", err);
}

/* After the commit no error ends anything: it only means that the peer's state is not known. */
static int do_commit(struct handover *x, struct err *err)
{
	_cleanup_json_ json_t *answer = NULL;
	struct err e = ERR_INIT;
	json_t *msg = json_pack("{s:{s:I,s:b}}", "commit", "epoch", (json_int_t)x->own.epoch,
		"start", x->starts_there);

	(void)err;
	sending_phase(x->s, "start", 0);
	x->h.peer = PEER_UNKNOWN;
	if (fault_point("handover.commit", &e) < 0 ||
		ask(x, msg, x->s->m->cfg->health_timeout + ANSWER_GRACE, &answer, &e) < 0) {
		log_warning("commit: %s", e.text);
		return 0;
	}
	learn(x, json_object_get(answer, "ok"));
	return 0;
}

static int do_ask(struct handover *x, struct err *err)
{
	_cleanup_json_ json_t *answer = NULL;
	struct err e = ERR_INIT;
	usec_t patience = x->s->peer->patience;
	int r;

	drop_channel(x);
	x->s->peer->patience = 0;
	x->h.peer = PEER_UNKNOWN;
	r = peer_status(x->s->peer, x->s->t->token, &x->h.peer, &answer, &e);
	x->s->peer->patience = patience;
	if (r >= 0) {
		learn(x, answer);
		return 0;
	}
	peer_drop(x->s->peer);
	if (clock_now() >= x->ask_until)
		return err_set(err, ERR_UNKNOWN,
			"container '%s' was handed over to %s, which doesn't answer any more (%s): "
			"it stays "
			"down here until %s can be asked, wherryd keeps trying, `wherry ct send "
			"resolve %s` "
			"shows what is known",
			x->s->t->ct, x->s->t->peer, e.text, x->s->t->peer, x->s->t->ct);
	clock_sleep(ASK_EVERY);
	return 0;
}

static int do_wait(struct handover *x, struct err *err)
{
	if (clock_now() >= x->ask_until + x->s->m->cfg->health_timeout)
		return err_set(err, ERR_UNKNOWN,
			"container '%s' belongs to %s, where it is still starting: wherryd keeps "
			"asking",
			x->s->t->ct, x->s->t->peer);
	clock_sleep(STARTING_EVERY);
	x->h.peer = PEER_UNKNOWN;
	return 0;
}

static void add_history(struct handover *x, const char *event)
{
	struct sending *s = x->s;
	json_t *d = sending_report(s);

	json_put_str(d, "who", s->m->who);
	json_put_str(d, "error", x->why.text[0] ? x->why.text : NULL);
	json_object_set(d, "digests", json_object_get(s->t->facts, "digests"));
	move_history(s->m, s->t->ct, event, d);
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
	add_history(x, "moved");
	return fault_point("handover.done", err);
}

static bool ran_here(const struct sending *s)
{
	return json_get_bool(s->t->facts, "was_running", false);
}

/* Whatever its error was, it is recovery's now: only that code makes wherryd try again. */
static int left_to_recovery(struct err *err)
{
	struct err e = ERR_INIT;

	err_copy(&e, err);
	return err_set(err, ERR_UNKNOWN, "%s; wherryd keeps trying", e.text);
}

/* Shielded: who cancels wants it to run. */
int handover_start_again(struct sending *s, struct err *err)
{
	int r;

	if (!ran_here(s))
		return 0;
	cancel_shield();
	r = runtime_start(s->t->ct, 60 * USEC_PER_SEC, err);
	cancel_unshield();
	if (r < 0) {
		err_prefix(err, "start container '%s' here again", s->t->ct);
		return left_to_recovery(err);
	}
	if (s->c)
		announce_container(s->c);
	move_say(s->m, "container '%s' runs here again", s->t->ct);
	json_object_del(s->t->facts, "was_running");
	return transfer_save(s->m->st, s->t, err);
}

static int do_take_back(struct handover *x, struct err *err)
{
	int r;

	/* The peer's channel goes first: a prepare that is still on its way there must not be
	 * answered into a new attempt. */
	drop_channel(x);
	r = fault_point("handover.takeback", err);
	if (r < 0)
		return r;
	r = own_write(x, OWN_OWNER, x->own.epoch, err);
	if (r < 0)
		return left_to_recovery(err);
	return handover_start_again(x->s, err);
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
			return left_to_recovery(err);
	}
	add_history(x, "given-back");
	r = handover_start_again(s, err);
	if (r < 0)
		return r;
	r = reserve_sweep(s, err);
	return r < 0 ? left_to_recovery(err) : 0;
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
	case HANDOFF_PREPARE: return do_prepare(x, err);
	case HANDOFF_RELEASED: return do_release(x, err);
	case HANDOFF_COMMIT: return do_commit(x, err);
	case HANDOFF_ASK: return do_ask(x, err);
	case HANDOFF_WAIT: return do_wait(x, err);
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
		x->s->t->ct, x->s->t->peer, handoff_peer_name(x->h.peer), x->s->t->ct);
}

/* The way back is walked shielded: a second cancel must not leave it half way. */
static int loop(struct handover *x, enum handover_outcome *ret, struct err *err)
{
	bool shielded = false;
	int r = 0;

	for (;;) {
		enum handoff_step step = handoff_source_next(&x->h);

		log_debug("hand-over of %s: %s (peer %s)", x->s->t->ct, handoff_step_name(step),
			handoff_peer_name(x->h.peer));
		if (step == HANDOFF_STOPPED)
			break;
		if (step == HANDOFF_TAKE_BACK && !shielded) {
			cancel_shield();
			shielded = true;
		}
		err_clear(err);
		r = do_step(x, step, err);
		if (step == HANDOFF_TAKE_BACK || step == HANDOFF_GIVEN_BACK ||
			step == HANDOFF_DONE || step == HANDOFF_OPERATOR) {
			/* What was done, not what was meant. */
			*ret = x->h.done		   ? HANDOVER_DONE
			       : step == HANDOFF_TAKE_BACK ? HANDOVER_TAKEN_BACK
			       : x->h.own == OWN_OWNER	   ? HANDOVER_GIVEN_BACK
							   : HANDOVER_PENDING;
			break;
		}
		if (r >= 0)
			continue;
		if (x->h.own == OWN_RELEASED) {
			*ret = HANDOVER_PENDING;
			break;
		}
		if (!x->why.code)
			err_copy(&x->why, err);
		x->h.give_up = true;
		*ret = HANDOVER_TAKEN_BACK;
	}
	if (shielded)
		cancel_unshield();
	return r;
}

static int note_running(struct sending *s, struct err *err)
{
	enum ct_state state;
	int r;

	/* A second try after a crash must not take the stopped container for one that never ran. */
	if (json_object_get(s->t->facts, "was_running"))
		return 0;
	r = runtime_state(s->t->ct, &state, NULL, err);
	if (r < 0)
		return r;
	/* Starting, rebooting, frozen: all of it is running. */
	return transfer_fact(s->m->st, s->t, "was_running", json_boolean(state != CT_STOPPED), err);
}

static int begin(struct handover *x, struct err *err)
{
	struct sending *s = x->s;
	int r = own_get(s->m->st, s->t->ct, &x->own, err);

	if (r < 0)
		return r;
	/* A fact that says true is a start that never came: it stays. */
	if (x->own.kind == OWN_OWNER && !ran_here(s))
		json_object_del(s->t->facts, "was_running");
	if (x->own.kind != OWN_RELEASED) {
		r = note_running(s, err);
		if (r < 0)
			return r;
	}
	x->h.own = x->own.kind;
	x->h.done = s->t->phase == TRANSFER_DONE || s->t->phase == TRANSFER_CLOSED;
	x->starts_there = ran_here(s) && json_get_bool(s->t->opts, "start", true);
	return 0;
}

int handover_run(struct sending *s, usec_t patience, bool give_up, enum handover_outcome *ret,
	struct err *err)
{
	struct handover x = {
		.s = s, .ask_until = clock_deadline(patience), .why = ERR_INIT, .still = true};
	bool shielded;
	int r;

	*ret = HANDOVER_PENDING;
	x.h.give_up = give_up;
	r = begin(&x, err);
	if (r < 0)
		return r;
	shielded = x.h.own == OWN_RELEASED;
	if (shielded)
		cancel_shield();
	*ret = x.h.done ? HANDOVER_DONE : HANDOVER_TAKEN_BACK;
	r = loop(&x, ret, err);
	if (shielded)
		cancel_unshield();
	sending_phase_end(s);
	drop_channel(&x);
	/* What went wrong first is the story; a failure of the way back is worse and wins. */
	if (r >= 0 && *ret != HANDOVER_DONE)
		r = x.why.code ? err_copy(err, &x.why) : 0;
	return r;
}

/* Waits until the peer has said what became of the copy. */
static int clone_outcome(struct handover *x, struct err *err)
{
	int r = 0;

	while (r >= 0 && (x->h.peer == PEER_UNKNOWN || x->h.peer == PEER_STARTING))
		r = x->h.peer == PEER_UNKNOWN ? do_ask(x, err) : do_wait(x, err);
	return r;
}

static int clone_dialogue(struct handover *x, struct err *err)
{
	int r = do_prepare(x, err);

	if (r < 0)
		return r;
	x->h.peer = PEER_UNKNOWN;
	r = do_commit(x, err);
	if (r >= 0)
		r = clone_outcome(x, err);
	if (r < 0)
		return r;
	if (x->h.peer == PEER_OWNER)
		return transfer_set_phase(x->s->m->st, x->s->t, TRANSFER_DONE, err);
	if (x->why.code)
		return err_copy(err, &x->why);
	return err_set(err, ERR_PROTOCOL, "%s says '%s' about the copy of container '%s'",
		x->s->t->peer, handoff_peer_name(x->h.peer), x->s->t->ct);
}

/* Stop, take what stands still, and let it run again as early as the storage allows. */
static int clone_pass(struct handover *x, struct err *err)
{
	struct sending *s = x->s;
	struct pass p = {.final = true, .patience = DELTA_PATIENCE};
	/* What a broken pass has left goes first: it is older than the stop. */
	const struct pass left = {.patience = DELTA_PATIENCE};
	bool stops = s->o.consistent && ran_here(s), runs_again = false;
	struct err again = ERR_INIT;
	int r = pass_flush(s, &left, err);

	if (r < 0)
		return r;
	if (stops)
		r = do_stop(x, err);
	else
		p.final = !ran_here(s);
	if (r >= 0 && stops && s->o.restart) {
		r = pass_freeze(s, &runs_again, err);
		p.frozen = true;
		if (r >= 0 && runs_again)
			r = handover_start_again(s, err);
	}
	if (stops && runs_again)
		s->stop_ended = clock_now();
	if (r >= 0) {
		sending_phase(s, "state", 0);
		r = pass_run(s, &p, err);
	}
	if (!stops || runs_again || (r >= 0 && !s->o.restart))
		return r;
	if (handover_start_again(s, &again) < 0 && r >= 0)
		r = err_copy(err, &again);
	s->stop_ended = clock_now();
	return r;
}

int handover_clone_look(struct sending *s, struct err *err)
{
	struct handover x = {
		.s = s, .ask_until = clock_deadline(s->peer->patience), .why = ERR_INIT};
	int r;

	x.h.peer = PEER_UNKNOWN;
	r = clone_outcome(&x, err);
	if (r < 0 || x.h.peer != PEER_OWNER)
		return r;
	json_object_del(s->t->facts, "was_running"); /* it has been started again by now */
	add_history(&x, "cloned");
	return transfer_set_phase(s->m->st, s->t, TRANSFER_DONE, err);
}

int handover_clone(struct sending *s, struct err *err)
{
	struct handover x = {
		.s = s, .ask_until = clock_deadline(s->peer->patience), .why = ERR_INIT};
	struct err again = ERR_INIT;
	int r = begin(&x, err);

	if (r < 0)
		return r;
	x.still = !ran_here(s); /* otherwise it runs again, or has run on */
	r = clone_pass(&x, err);
	if (r >= 0)
		r = clone_dialogue(&x, err);
	if (r >= 0) {
		json_object_del(s->t->facts, "was_running"); /* stopped on purpose, if it is */
		r = transfer_save(s->m->st, s->t, err);
		add_history(&x, "cloned");
	} else if (x.h.stopped && ran_here(s) && handover_start_again(s, &again) < 0) {
		/* A copy that came to nothing leaves the container as it was, and that wins. */
		r = err_copy(err, &again);
	}
	drop_channel(&x);
	sending_phase_end(s);
	return r;
}
