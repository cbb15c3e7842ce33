#include "move/recover.h"

#include <string.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/json.h"
#include "base/log.h"
#include "move/handover.h"
#include "move/receiving.h"
#include "move/reserve.h"
#include "move/takeover.h"
#include "runtime/runtime.h"

#define RECOVERIES_MAX 8

struct recovery {
	struct move_ctx *m;
	json_t *recovered, *resume;
	uint64_t pending;
};

static void note(struct recovery *x, const struct transfer *t, const char *what)
{
	json_t *o = json_object();

	json_put_str(o, "ct", t->ct);
	json_put_str(o, "peer", t->peer);
	json_put_str(o, "what", what);
	json_array_append_new(x->recovered, o);
	log_info("container '%s': %s", t->ct, what);
}

/* An error here is not the end: it is tried again later. */
static void still_pending(struct recovery *x, const struct transfer *t, const struct err *e)
{
	x->pending++;
	log_warning("container '%s': %s", t->ct, e->text);
}

/* What a one-shot send was doing goes on, but not here: it may take hours, and others wait. */
static int go_on(struct recovery *x, const struct sending *s)
{
	json_array_append_new(x->resume, json_string(s->t->ct));
	return 0;
}

static int cancel(struct move_ctx *m, const char *ct, json_t **ret, struct err *err)
{
	struct send_opts o;

	send_opts_init(&o);
	return send_cancel(m, ct, &o, ret, err);
}

static int give_up(struct move_ctx *m, const char *ct, json_t **ret, struct err *err)
{
	move_say(m, "container '%s': its send was taken up %d times in vain, it is cancelled", ct,
		RECOVERIES_MAX);
	return cancel(m, ct, ret, err);
}

int recover_send(struct move_ctx *m, const char *ct, json_t **ret, struct err *err)
{
	_cleanup_sending_ struct sending *s = NULL;
	struct send_opts o;
	uint64_t n;
	int r;

	send_opts_init(&o);
	r = sending_open(m, ct, &o, &s, err);
	if (r < 0)
		return r;
	if (json_get_bool(s->t->facts, "cancelling", false)) {
		close(TAKE_FD(s->lock));
		return cancel(m, ct, ret, err);
	}
	n = json_get_u64(s->t->facts, "recoveries", 0) + 1;
	if (n > RECOVERIES_MAX && s->t->phase < TRANSFER_COMMITTED) {
		close(TAKE_FD(s->lock));
		return give_up(m, ct, ret, err);
	}
	r = transfer_fact(m->st, s->t, "recoveries", json_integer((json_int_t)n), err);
	return r < 0 ? r : send_continue(s, ret, err);
}

static int recover_committed(struct recovery *x, struct sending *s, struct err *err)
{
	enum handover_outcome outcome;
	int r = handover_run(s, 0, false, &outcome, err);

	/* Given back and not started: tried again. */
	if (outcome == HANDOVER_PENDING ||
		(r < 0 && outcome == HANDOVER_GIVEN_BACK &&
			json_get_bool(s->t->facts, "was_running", false)))
		return r;
	err_clear(err);
	note(x, s->t,
		outcome == HANDOVER_DONE ? "it runs on the destination"
					 : "the destination gave it back");
	if (outcome == HANDOVER_DONE && json_get_bool(s->t->opts, "now", false))
		return go_on(x, s);
	return 0;
}

static int recover_before_commit(
	struct recovery *x, struct sending *s, const struct own *own, struct err *err)
{
	_cleanup_json_ json_t *result = NULL;
	enum handover_outcome outcome;
	int r;

	if (own->kind == OWN_RELEASING) {
		r = handover_run(s, 0, true, &outcome, err);
		if (r < 0) /* the way back itself failed: it is down, and tried again */
			return r;
		note(x, s->t, "it was being handed over and belongs here again");
	} else {
		r = handover_start_again(s, err);
		if (r < 0)
			return r;
	}
	if (json_get_bool(s->t->facts, "cancelling", false))
		return go_on(x, s);
	/* One that failed and was kept is the operator's to go on with. */
	if (json_get_bool(s->t->opts, "now", false))
		return json_get_bool(s->t->facts, "kept", false) ? 0 : go_on(x, s);
	if (s->t->phase != TRANSFER_NEW)
		return 0;
	/* The first step broke off: nothing is reserved that could be gone on with. */
	r = reserve_undo(s, err);
	if (r >= 0)
		note(x, s->t, "the first step of its send was undone");
	return r;
}

static int recover_open_source(struct recovery *x, const struct transfer *t, struct err *err)
{
	_cleanup_sending_ struct sending *s = NULL;
	struct send_opts o;
	struct own own;
	int r;

	send_opts_init(&o);
	r = sending_open(x->m, t->ct, &o, &s, err);
	if (r == -ERR_BUSY || r == -ERR_STATE) { /* a worker lives, or has just ended it */
		err_clear(err);
		return 0;
	}
	if (r >= 0)
		r = own_get(x->m->st, t->ct, &own, err);
	if (r < 0)
		return r;
	if (own.kind == OWN_RELEASED && s->t->phase == TRANSFER_COMMITTED)
		return recover_committed(x, s, err);
	if (s->t->phase < TRANSFER_COMMITTED)
		return recover_before_commit(x, s, &own, err);
	if (s->t->phase == TRANSFER_DONE && json_get_bool(s->t->opts, "now", false))
		return go_on(x, s);
	return 0;
}

/* What a send has stopped runs again, unless it is not ours to start any more. */
static int start_ended(struct recovery *x, struct transfer *t, struct err *err)
{
	struct own own;
	bool exists = false;
	int r = own_get(x->m->st, t->ct, &own, err);

	if (r >= 0)
		r = runtime_exists(t->ct, &exists, err);
	if (r >= 0 && exists && own.kind == OWN_OWNER) {
		r = runtime_start(t->ct, 60 * USEC_PER_SEC, err);
		if (r >= 0)
			note(x, t, "it runs here again");
	}
	return r < 0 ? r : transfer_fact(x->m->st, t, "was_running", NULL, err);
}

/* Snapshots, indexes and the pre-start hook of a send that has ended. */
static int sweep_ended(struct recovery *x, struct transfer *t, struct err *err)
{
	struct sending s = {.m = x->m, .t = t};

	return reserve_sweep(&s, err);
}

/* Somebody may have done it since the list was read: only what stands there under the lock counts,
 * and only that is saved. */
static int lock_ended(struct recovery *x, const struct transfer *seen, int *ret_lock,
	struct transfer **ret, struct err *err)
{
	int r = move_lock(x->m, seen->ct, false, ret_lock, err);

	return r < 0 ? r : transfer_by_token(x->m->st, seen->token, ret, err);
}

static int settle_ended(struct recovery *x, const struct transfer *seen, struct err *err)
{
	_cleanup_transfer_ struct transfer *t = NULL;
	_cleanup_close_ int lock = -1;
	int r = lock_ended(x, seen, &lock, &t, err);

	if (r >= 0 && json_get_bool(t->facts, "was_running", false))
		r = start_ended(x, t, err);
	if (r >= 0 && json_get_bool(t->facts, "unswept", false))
		r = sweep_ended(x, t, err);
	return r;
}

/* Not under the lock: a peer that does not answer takes its time. */
static int tell_ended(struct recovery *x, const struct transfer *seen, struct err *err)
{
	_cleanup_transfer_ struct transfer *t = NULL;
	_cleanup_close_ int lock = -1;
	int r = reserve_tell_cancel(x->m, seen, err);

	if (r >= 0)
		r = lock_ended(x, seen, &lock, &t, err);
	if (r >= 0)
		r = transfer_fact(x->m->st, t, "tell_cancel", NULL, err);
	if (r >= 0)
		note(x, t, "the destination has been told of the cancel");
	return r;
}

/* Given back or cancelled, and the crash came before it was started again. Of a send that came to
 * its end, the fact only says how the container was. */
static int recover_ended_source(struct recovery *x, const struct transfer *t, struct err *err)
{
	int r = 0;

	if (t->phase == TRANSFER_CLOSED)
		return 0;
	if (json_get_bool(t->facts, "was_running", false) ||
		json_get_bool(t->facts, "unswept", false))
		r = settle_ended(x, t, err);
	if (r >= 0 && json_get_bool(t->facts, "tell_cancel", false))
		r = tell_ended(x, t, err);
	return r;
}

static int recover_destination(struct recovery *x, const struct transfer *t, struct err *err)
{
	struct receiving rx = {.m = x->m, .address = "", .lock = -1};
	bool refused = false;
	int r = move_lock(x->m, t->ct, false, &rx.lock, err);

	if (r == -ERR_BUSY) {
		err_clear(err);
		return 0;
	}
	if (r >= 0)
		r = transfer_by_token(x->m->st, t->token, &rx.t, err);
	if (r >= 0 && auth_key_get(x->m->st, t->key, &rx.key, err) < 0)
		err_clear(err);
	if (r >= 0 && rx.t->phase == TRANSFER_COMMITTED) {
		r = takeover_finish(&rx, &refused, err);
		if (r >= 0)
			note(x, t,
				refused ? "it could not run here and goes back"
					: "it has arrived and runs here");
	} else if (r >= 0 && rx.t->phase >= TRANSFER_CANCELLED &&
		   !json_get_bool(rx.t->facts, "swept", false)) {
		r = receiving_sweep(&rx, err);
		if (r >= 0)
			note(x, t, "what had arrived was removed");
	}
	receiving_done(&rx);
	return r;
}

static int recover_one(struct recovery *x, struct transfer *t, struct err *err)
{
	if (t->role == TRANSFER_DESTINATION) {
		if (t->phase == TRANSFER_COMMITTED ||
			(t->phase >= TRANSFER_CANCELLED &&
				!json_get_bool(t->facts, "swept", false)))
			return recover_destination(x, t, err);
		return 0;
	}
	if (transfer_is_open(t))
		return recover_open_source(x, t, err);
	return recover_ended_source(x, t, err);
}

static void sweep_pools(struct move_ctx *m)
{
	struct pool_vec pools = {0};
	struct err e = ERR_INIT;

	if (places_pools(m, &pools, &e) < 0)
		log_warning("%s", e.text);
	for (size_t i = 0; i < pools.n; i++) {
		err_clear(&e);
		if (storage_sweep(pools.v[i], &e) < 0)
			log_warning("%s", e.text);
	}
	pool_vec_free(&pools);
}

int recover_all(struct move_ctx *m, json_t **ret, struct err *err)
{
	struct recovery x = {.m = m, .recovered = json_array(), .resume = json_array()};
	struct transfer_vec all = {0};
	int r;

	sweep_pools(m);
	r = transfer_list(m->st, false, NULL, &all, err);

	for (size_t i = 0; r >= 0 && i < all.n && !cancel_requested(); i++) {
		struct err e = ERR_INIT;

		if (recover_one(&x, all.v[i], &e) < 0)
			still_pending(&x, all.v[i], &e);
	}
	transfer_vec_free(&all);
	if (r < 0) {
		json_decref(x.recovered);
		json_decref(x.resume);
		return r;
	}
	*ret = json_pack("{s:I,s:o,s:o}", "pending", (json_int_t)x.pending, "recovered",
		x.recovered, "resume", x.resume);
	return 0;
}
