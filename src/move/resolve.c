/* What both sides know of a send, and what is safe to do: `ct send status` and `ct send resolve`.
 */
#include "move/send.h"

#include "base/alloc.h"
#include "base/json.h"
#include "move/handover.h"

struct view {
	_Bool asked;
	enum handoff_peer peer;
	json_t *answer; /* the peer's; NULL: none */
	struct own own;
	struct err peer_err;
};

/* Before the hand-over: the container is ours, and only the send can be in trouble. */
static char *advice_before(const struct sending *s, const struct view *v)
{
	const char *ct = s->t->ct, *host = s->t->peer, *why = json_get_str(v->answer, "text");
	_cleanup_free_ char *next = sending_next(s->t);

	if (json_get_bool(s->t->facts, "kept", false)) {
		const char *failed = json_get_str(s->t->facts, "failed");

		return xasprintf(
			"the send failed (%s), and what has arrived on %s is kept: `wherry ct send "
			"%s %s` goes on with it, `wherry ct send cancel %s` removes it. "
			"wherryd does neither by itself",
			failed ? failed : "no reason is recorded", host, ct, host, ct);
	}
	if (v->peer == PEER_CANCELLED || v->peer == PEER_REFUSED)
		return xasprintf(
			"%s has ended it%s%s: `wherry ct send cancel %s` clears up here, then "
			"it can be sent again",
			host, why ? ": " : "", why ? why : "", ct);
	if (v->peer == PEER_NONE && s->t->phase >= TRANSFER_CONFIG)
		return xasprintf("%s has no record of this send: `wherry ct send cancel %s` clears "
				 "up here, then it can be sent again",
			host, ct);
	return xasprintf("container '%s' is not in doubt: next is %s", ct, next);
}

/* The container itself is ours and runs; in doubt is whether there is a copy of it. */
static char *advice_copy(const struct sending *s, const struct view *v)
{
	const char *ct = s->t->ct, *host = s->t->peer;

	if (!v->asked)
		return xasprintf("%s can't be asked (%s) whether the copy is there. wherryd keeps "
				 "asking. `wherry ct send cancel --local %s` ends the send here "
				 "without the answer: a copy that is there stays there",
			host, v->peer_err.text, ct);
	if (v->peer == PEER_NONE || v->peer == PEER_STAGED)
		return xasprintf("%s has no record of the copy (says '%s'). Look there with "
				 "`wherry ct show %s`, then end the send here with `wherry ct send "
				 "cancel --local %s`",
			host, handoff_peer_name(v->peer), s->t->peer_ct, ct);
	return xasprintf("%s says '%s' about the copy: `wherry ct send resolve %s` goes on from "
			 "there",
		host, handoff_peer_name(v->peer), ct);
}

static char *advice(const struct sending *s, const struct view *v)
{
	const char *ct = s->t->ct, *host = s->t->peer;

	if (sending_is_clone(s) && sending_in_doubt(s, &v->own))
		return advice_copy(s, v);
	if (v->own.kind != OWN_RELEASED || s->t->phase == TRANSFER_DONE)
		return advice_before(s, v);
	if (!v->asked)
		return xasprintf("%s can't be asked (%s). The container stays down here. wherryd "
				 "keeps asking. If %s is destroyed and "
				 "will never run again, take the container back with `wherry ct "
				 "own --force %s`: were it "
				 "running there after all, it would run twice",
			host, v->peer_err.text, host, ct);
	switch (handoff_source_next(
		&(struct handoff_source){.own = v->own.kind, .peer = v->peer})) {
	case HANDOFF_DONE:
		return xasprintf(
			"%s owns it: `wherry ct send resolve %s` finishes the send", host, ct);
	case HANDOFF_COMMIT:
		return xasprintf("%s is prepared and waits for the commit: `wherry ct send resolve "
				 "%s` sends it",
			host, ct);
	case HANDOFF_WAIT: return xasprintf("it is starting on %s", host);
	case HANDOFF_GIVEN_BACK:
		return xasprintf("%s promised never to run it: `wherry ct send resolve %s` starts "
				 "it here again",
			host, ct);
	default:
		return xasprintf("%s has no record of this send (says '%s'). Look there with "
				 "`wherry ct show %s`. Only if it does not "
				 "run there, take it back here with `wherry ct own --force %s`; if "
				 "it does run there, remove it here with "
				 "`wherry ct delete --force %s`",
			host, handoff_peer_name(v->peer), s->t->peer_ct, ct, ct);
	}
}

static int look(struct sending *s, struct view *v, struct err *err)
{
	int r = own_get(s->m->st, s->t->ct, &v->own, err);

	if (r < 0)
		return r;
	s->peer->patience = 0;
	v->peer = PEER_UNKNOWN;
	json_decref(v->answer);
	v->answer = NULL;
	v->asked = peer_status(s->peer, s->t->token, &v->peer, &v->answer, &v->peer_err) >= 0;
	return 0;
}

static json_t *describe(struct sending *s, const struct view *v)
{
	json_t *o = json_object();
	_cleanup_free_ char *next = sending_next(s->t), *text = advice(s, v);

	json_put_str(o, "ct", s->t->ct);
	json_put_str(o, "peer", s->t->peer);
	json_put_str(o, "phase", transfer_phase_name(s->t->phase));
	json_put_str(o, "own", own_kind_name(v->own.kind));
	json_put_u64(o, "epoch", v->own.epoch);
	json_put_str(o, "peer_state", handoff_peer_name(v->peer));
	json_put_str(o, "peer_error", v->asked ? NULL : v->peer_err.text);
	json_put_str(o, "next", next);
	json_put_str(o, "advice", text);
	return o;
}

int send_status(struct move_ctx *m, const char *ct, json_t **ret, struct err *err)
{
	_cleanup_sending_ struct sending *s = NULL;
	struct view v = {.peer_err = ERR_INIT};
	struct send_opts o;
	int r;

	send_opts_init(&o);
	r = sending_open(m, ct, &o, &s, err);
	if (r >= 0)
		r = look(s, &v, err);
	if (r >= 0)
		*ret = describe(s, &v);
	json_decref(v.answer);
	return r;
}

static int resolve(struct sending *s, struct view *v, struct err *err)
{
	enum handover_outcome outcome;
	int r = look(s, v, err);

	if (r < 0 || !sending_in_doubt(s, &v->own) || !v->asked || v->peer == PEER_NONE ||
		v->peer == PEER_STAGED)
		return r;
	r = handover_run(s, 0, false, &outcome, err);
	if (r < 0 && outcome == HANDOVER_PENDING)
		return r;
	err_clear(err);
	return look(s, v, err);
}

/* Whoever runs it from a script must not take "asked" for "decided". */
static int undecided(const struct sending *s, const struct view *v, struct err *err)
{
	_cleanup_free_ char *text = advice(s, v);

	return err_set(
		err, ERR_UNKNOWN, "nothing is decided about container '%s': %s", s->t->ct, text);
}

int send_resolve(struct move_ctx *m, const char *ct, const struct send_opts *o, json_t **ret,
	struct err *err)
{
	_cleanup_sending_ struct sending *s = NULL;
	struct view v = {.peer_err = ERR_INIT};
	int r = sending_open(m, ct, o, &s, err);

	if (r >= 0)
		r = resolve(s, &v, err);
	if (r >= 0 && sending_in_doubt(s, &v.own))
		r = undecided(s, &v, err);
	if (r >= 0)
		*ret = describe(s, &v);
	json_decref(v.answer);
	return r;
}
