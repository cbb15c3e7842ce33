#include "move/claim.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "move/peer.h"
#include "move/takeover.h"
#include "node/job.h"
#include "node/ownership.h"
#include "node/transfer.h"

/* Whoever takes it by force has decided: the send that gave it away is over, its token dead, and
 * what it left here is swept. */
static int end_send(struct move_ctx *m, const char *ct, struct err *err)
{
	_cleanup_transfer_ struct transfer *t = NULL;
	int r = transfer_open_of(m->st, TRANSFER_SOURCE, ct, &t, err);

	if (r == -ERR_NOT_FOUND) {
		err_clear(err);
		return 0;
	}
	if (r < 0 || t->phase < TRANSFER_COMMITTED)
		return r;
	json_object_del(t->facts, "was_running"); /* it is started by nobody but the operator */
	json_put_bool(t->facts, "tell_cancel", true);
	json_put_bool(t->facts, "unswept", true);
	t->phase = TRANSFER_CANCELLED;
	return transfer_save(m->st, t, err);
}

/* It is arriving, and whoever sends it will not finish that: all of it is here, or nothing can be
 * taken. */
static int take_staged(struct move_ctx *m, const char *ct, struct err *err)
{
	struct receiving r = {.m = m, .address = "", .lock = -1};
	int res = transfer_open_of(m->st, TRANSFER_DESTINATION, ct, &r.t, err);

	if (res >= 0 && r.t->phase < TRANSFER_PREPARED)
		res = err_set(err, ERR_STATE,
			"container '%s' has not arrived whole, so there is nothing to take: "
			"`wherry receive cancel %s` removes what has come",
			ct, ct);
	if (res >= 0)
		res = takeover_force(&r, err);
	receiving_done(&r);
	return res;
}

/* What the other node said is a clause for the log and the history; the caller's. */
static char *ask(struct move_ctx *m, const struct transfer *t, enum handoff_peer *ret)
{
	_cleanup_peer_ struct peer *p = peer_new(m, t->peer, t->user, t->port, false);
	struct err e = ERR_INIT;

	p->patience = 0;
	*ret = PEER_UNKNOWN;
	if (peer_status(p, t->token, ret, NULL, &e) < 0)
		return xasprintf("%s can't be asked (%s)", t->peer, e.text);
	return xasprintf("%s says '%s'", t->peer, handoff_peer_name(*ret));
}

static bool is_theirs(enum handoff_peer peer)
{
	return peer == PEER_OWNER || peer == PEER_STARTING;
}

/* Only of a container that was handed over: before that nobody else can run it. */
static int ask_first(struct move_ctx *m, const struct own *own, const struct claim_opts *o,
	char **ret_said, struct err *err)
{
	_cleanup_transfer_ struct transfer *t = NULL;
	_cleanup_free_ char *said = NULL;
	enum handoff_peer peer;
	int r = own->kind == OWN_RELEASED ? transfer_by_token(m->st, own->token, &t, err) : 0;

	if (r == -ERR_NOT_FOUND) /* an old record: nobody to be asked */
		err_clear(err);
	if (!t)
		return r == -ERR_NOT_FOUND ? 0 : r;
	said = ask(m, t, &peer);
	if (is_theirs(peer) && !o->even_if_running_there)
		return err_set(err, ERR_STATE,
			"%s about container '%s': it belongs to that host, where it runs or may be "
			"started at any time, so with it here it could run twice. `wherry ct "
			"send resolve %s` finishes the send; to "
			"have it here, send it back, or delete it there. Only --force "
			"--even-if-running-there overrules %s",
			said, t->ct, t->ct, t->peer);
	move_say(m, "container '%s' is taken by force: %s", t->ct, said);
	log_warning("container '%s' is taken by force: %s%s", t->ct, said,
		is_theirs(peer) ? ": IT MAY RUN TWICE NOW" : "");
	*ret_said = TAKE_PTR(said);
	return 0;
}

static void note_answer(struct move_ctx *m, const char *ct, const char *said)
{
	json_t *data = json_object();

	json_put_str(data, "said", said);
	move_history(m, ct, "own.asked", data);
}

static int take(struct move_ctx *m, const char *ct, const struct claim_opts *o, struct err *err)
{
	_cleanup_free_ char *said = NULL;
	struct own own;
	int r = own_get(m->st, ct, &own, err);

	if (r >= 0 && own.kind == OWN_STAGED)
		return take_staged(m, ct, err);
	if (r >= 0)
		r = ask_first(m, &own, o, &said, err);
	if (r >= 0)
		r = state_begin(m->st, err);
	if (r < 0)
		return r;
	r = own_force(m->st, ct, m->who ? m->who : "?", err);
	if (r >= 0)
		r = end_send(m, ct, err);
	if (r >= 0)
		r = state_commit(m->st, err);
	else
		state_rollback(m->st);
	if (r >= 0 && said)
		note_answer(m, ct, said);
	return r;
}

/* A worker that still receives it, over a link that is dead, gives way. */
static int lock_by_force(struct move_ctx *m, const char *ct, int *ret_lock, struct err *err)
{
	usec_t deadline = clock_deadline(20 * USEC_PER_SEC);
	int r = move_lock(m, ct, false, ret_lock, err);

	while (r == -ERR_BUSY && clock_now() < deadline) {
		move_lock_interrupt(ct, "receive");
		clock_sleep(50 * USEC_PER_MSEC);
		err_clear(err);
		r = move_lock(m, ct, false, ret_lock, err);
	}
	return r;
}

static int take_locked(
	struct move_ctx *m, const char *ct, const struct claim_opts *o, struct err *err)
{
	_cleanup_close_ int lock = -1;
	int r = lock_by_force(m, ct, &lock, err);

	if (r >= 0)
		r = take(m, ct, o, err);
	if (r < 0)
		return r;
	log_warning("container '%s': %s took it by force: it belongs to this node now, whoever "
		    "else may run it",
		ct, m->who ? m->who : "?");
	return 0;
}

int claim_run(struct move_ctx *m, const char *ct, const struct claim_opts *o, json_t **ret,
	struct err *err)
{
	struct own own;
	json_t *answer;
	int r = move_check_exists(ct, err);

	if (r >= 0 && o->even_if_running_there && !o->force)
		r = err_set(err, ERR_INVALID, "--even-if-running-there is for --force");
	if (r >= 0 && o->force)
		r = take_locked(m, ct, o, err);
	if (r >= 0)
		r = own_get(m->st, ct, &own, err);
	if (r < 0)
		return r;
	answer = json_object();
	json_put_str(answer, "name", ct);
	json_put_str(answer, "own", own_kind_name(own.kind));
	json_put_u64(answer, "epoch", own.epoch);
	json_put_str(answer, "peer", own.peer[0] ? own.peer : NULL);
	json_put_u64(answer, "changed", own.changed);
	if (o->force) /* wherryd clears up after the send that is ended by it */
		json_put_bool(answer, "forced", true);
	*ret = answer;
	return 0;
}
