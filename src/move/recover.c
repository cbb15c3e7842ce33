#include "move/recover.h"

#include <string.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "move/handed.h"
#include "move/handover.h"
#include "move/incoming.h"
#include "move/peer.h"
#include "move/promise.h"
#include "move/receiving.h"
#include "move/reserve.h"
#include "move/standstill.h"
#include "move/takeover.h"
#include "node/room.h"
#include "runtime/runtime.h"

#define RECOVERIES_MAX 8
/* A peer that could not be told of an end for so long has forgotten it, or will: what is staged
 * expires. */
#define TELL_FOR_SECONDS (30 * 86400)

struct recovery {
	struct move_ctx *m;
	json_t *recovered, *resume, *takeover, *peers;
	uint64_t pending;
	bool dead; /* the peer that was to be asked */
	usec_t wake;
};

static void begin(struct recovery *x, struct move_ctx *m)
{
	*x = (struct recovery){.m = m,
		.recovered = json_array(),
		.resume = json_array(),
		.takeover = json_array(),
		.peers = json_array(),
		.wake = CLOCK_NEVER};
}

/* r negative: nothing of it is told. */
static int finish(struct recovery *x, int r, json_t **ret)
{
	json_t *o = json_object();

	json_put_u64(o, "pending", x->pending);
	if (x->dead)
		json_put_bool(o, "dead", true);
	json_object_set_new(o, "recovered", x->recovered);
	json_object_set_new(o, "resume", x->resume);
	json_object_set_new(o, "takeover", x->takeover);
	json_object_set_new(o, "peers", x->peers);
	if (x->wake != CLOCK_NEVER)
		json_put_u64(o, "wake_ms", x->wake / USEC_PER_MSEC);
	if (r < 0)
		json_decref(o);
	else
		*ret = o;
	return r < 0 ? r : 0;
}

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

/* Each of the transfers, until the work is cancelled; their errors are not the end. */
static int each(struct recovery *x, bool open_only,
	int (*fn)(struct recovery *x, struct transfer *t, struct err *err), struct err *err)
{
	_cleanup_(transfer_vec_free) struct transfer_vec all = {0};
	int r = transfer_list(x->m->st, open_only, NULL, &all, err);

	for (size_t i = 0; r >= 0 && i < all.n && !cancel_requested(); i++) {
		struct err e = ERR_INIT;

		if (fn(x, all.v[i], &e) < 0)
			still_pending(x, all.v[i], &e);
	}
	return r < 0 ? r : 0;
}

/* The peer is to be asked, but not here: it may be dead, and others wait. */
static void ask_peer(struct recovery *x, const struct transfer *t)
{
	_cleanup_json_ json_t *o = json_object();
	json_t *known;
	size_t i;

	json_put_str(o, "peer", t->peer);
	json_put_str(o, "user", t->user);
	json_put_u64(o, "port", t->port);
	json_object_set(o, "ssh", json_object_get(t->opts, "ssh"));
	json_array_foreach(x->peers, i, known) if (json_equal(known, o)) return;
	json_array_append(x->peers, o);
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
		outcome != HANDOVER_DONE ? "the destination gave it back"
		: sending_is_clone(s)	 ? "its copy is on the destination"
					 : "it runs on the destination");
	if (outcome == HANDOVER_DONE && sending_removes(s->t))
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
		r = standstill_end(s, err);
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
	r = reserve_undo_here(s, err);
	if (r >= 0) {
		note(x, s->t, "the first step of its send was undone");
		ask_peer(x, s->t);
	}
	return r;
}

/* A send that is open here, and who owns its container. 0: it is not ours to go on with, a worker
 * lives, or has just ended it. */
static int open_left(struct recovery *x, const struct transfer *t, struct sending **ret,
	struct own *ret_own, struct err *err)
{
	struct send_opts o;
	int r;

	send_opts_init(&o);
	r = sending_open(x->m, t->ct, &o, ret, err);
	if (r == -ERR_BUSY || r == -ERR_STATE) {
		err_clear(err);
		return 0;
	}
	if (r >= 0)
		r = own_get(x->m->st, t->ct, ret_own, err);
	return r < 0 ? r : 1;
}

static int recover_open_source(struct recovery *x, const struct transfer *t, struct err *err)
{
	_cleanup_sending_ struct sending *s = NULL;
	struct own own;
	int r = open_left(x, t, &s, &own, err);

	if (r <= 0)
		return r;
	if (sending_in_doubt(s, &own))
		ask_peer(x, s->t);
	else if (s->t->phase < TRANSFER_COMMITTED)
		return recover_before_commit(x, s, &own, err);
	if (s->t->phase == TRANSFER_DONE && sending_removes(s->t))
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
	if (r >= 0 && exists && own.kind == OWN_OWNER)
		r = handed_take_back(t, err);
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

static bool is_to_be_told(const struct transfer *t)
{
	return !transfer_is_open(t) && (json_get_bool(t->facts, "tell_cancel", false) ||
					       json_get_bool(t->facts, "tell_cleanup", false));
}

/* Given back or cancelled, and the crash came before it was started again. Of a send that came to
 * its end, the fact only says how the container was. */
static int recover_ended_source(struct recovery *x, const struct transfer *t, struct err *err)
{
	int r = 0;

	if (t->phase != TRANSFER_CLOSED && (json_get_bool(t->facts, "was_running", false) ||
						   json_get_bool(t->facts, "unswept", false)))
		r = settle_ended(x, t, err);
	if (is_to_be_told(t))
		ask_peer(x, t);
	return r;
}

static int recover_one(struct recovery *x, struct transfer *t, struct err *err)
{
	if (t->role == TRANSFER_SOURCE)
		return transfer_is_open(t) ? recover_open_source(x, t, err)
					   : recover_ended_source(x, t, err);
	if (t->phase == TRANSFER_COMMITTED)
		json_array_append_new(x->takeover, json_string(t->token));
	return 0;
}

static void note_promise(void *ctx, const char *ct, const char *what)
{
	struct recovery *x = ctx;
	json_t *o = json_object();

	json_put_str(o, "ct", ct);
	json_put_str(o, "what", what);
	json_array_append_new(x->recovered, o);
	log_info("container '%s': %s", ct, what);
}

int recover_all(struct move_ctx *m, json_t **ret, struct err *err)
{
	struct recovery x;
	uint64_t owed = 0;
	int r;

	begin(&x, m);
	room_keep();
	r = each(&x, false, recover_one, err);
	if (r >= 0)
		r = promise_settle_all(m, note_promise, &x, &owed, err);
	x.pending += owed;
	return finish(&x, r, ret);
}

/* The destination's */

/* Reads the record again under the lock; -ERR_BUSY when a worker has it. */
static int open_receiving(
	struct receiving *rx, struct move_ctx *m, const struct transfer *t, struct err *err)
{
	struct err ignored = ERR_INIT;
	int r;

	*rx = (struct receiving){.m = m, .address = "", .lock = -1};
	r = move_lock(m, t->ct, false, &rx->lock, err);
	if (r >= 0)
		r = transfer_by_token(m->st, t->token, &rx->t, err);
	if (r >= 0 && auth_key_get(m->st, t->key, &rx->key, &ignored) < 0)
		rx->key = (struct auth_key){0};
	return r;
}

static int take_over(struct recovery *x, const struct transfer *t, struct err *err)
{
	struct receiving rx;
	bool refused = false;
	int r = open_receiving(&rx, x->m, t, err);

	if (r == -ERR_BUSY) {
		err_clear(err);
		r = 0;
	} else if (r >= 0 && rx.t->phase == TRANSFER_COMMITTED) {
		r = takeover_finish(&rx, &refused, err);
		if (r >= 0)
			note(x, t,
				refused ? "it could not run here and goes back"
					: "it has arrived and runs here");
	}
	receiving_done(&rx);
	return r;
}

int recover_takeover(struct move_ctx *m, const char *token, json_t **ret, struct err *err)
{
	_cleanup_transfer_ struct transfer *t = NULL;
	struct err e = ERR_INIT;
	struct recovery x;
	int r = transfer_by_token(m->st, token, &t, err);

	if (r < 0)
		return r;
	begin(&x, m);
	if (take_over(&x, t, &e) < 0)
		still_pending(&x, t, &e);
	return finish(&x, 0, ret);
}

/* The peer's */

/* As they stand in a record; a record of before there were any has none. */
static bool same_options(const struct peer *p, const json_t *list)
{
	const json_t *v;
	size_t i;

	json_array_foreach(
		list, i, v) if (!strv_has(p->options, json_string_value(v))) return false;
	return json_array_size(list) == strv_len(p->options);
}

static bool is_peer_of(const struct peer *p, const struct transfer *t)
{
	return t->role == TRANSFER_SOURCE && !strcmp(t->peer, p->host) &&
	       !strcmp(t->user, p->user) && t->port == p->port &&
	       same_options(p, json_object_get(t->opts, "ssh"));
}

static bool waits_for_peer(const struct transfer *t)
{
	return t->phase == TRANSFER_COMMITTED || is_to_be_told(t);
}

/* Not under the lock: a peer that does not answer takes its time. */
static int tell_ended(struct recovery *x, const struct transfer *seen, struct err *err)
{
	bool cleanup = json_get_bool(seen->facts, "tell_cleanup", false);
	_cleanup_transfer_ struct transfer *t = NULL;
	_cleanup_close_ int lock = -1;
	int r = cleanup ? reserve_tell_cleanup(x->m, seen, err)
			: reserve_tell_cancel(x->m, seen, err);

	if (r < 0 && seen->changed + TELL_FOR_SECONDS < clock_wall()) {
		log_warning("container '%s': %s: given up", seen->ct, err->text);
		err_clear(err);
	} else if (r < 0) {
		return r;
	}
	r = lock_ended(x, seen, &lock, &t, err);
	if (r >= 0)
		r = transfer_fact(x->m->st, t, cleanup ? "tell_cleanup" : "tell_cancel", NULL, err);
	if (r >= 0)
		note(x, t,
			cleanup ? "the destination has been told to clean up"
				: "the destination has been told of the cancel");
	return r;
}

static int finish_committed(struct recovery *x, const struct transfer *t, struct err *err)
{
	_cleanup_sending_ struct sending *s = NULL;
	struct own own;
	int r = open_left(x, t, &s, &own, err);

	if (r <= 0 || !sending_in_doubt(s, &own))
		return MIN(r, 0);
	return recover_committed(x, s, err);
}

/* Everything that waits for it waits on. One line in the log, not one for each. */
static void peer_is_dead(
	struct recovery *x, const struct peer *p, const struct transfer_vec *all, const char *why)
{
	_cleanup_(str_done) struct str names = STR_INIT;

	x->dead = true;
	for (size_t i = 0; i < all->n; i++) {
		if (!is_peer_of(p, all->v[i]) || !waits_for_peer(all->v[i]))
			continue;
		if (x->pending++ < 20)
			str_addf(&names, "%s%s", names.len ? ", " : "", all->v[i]->ct);
	}
	log_warning("%s can't be asked about %s%s (%s): tried again later", p->host,
		names.len ? names.buf : "anything", x->pending > 20 ? ", ..." : "", why);
}

int recover_peer(struct move_ctx *m, const char *host, const char *user, uint16_t port,
	const json_t *ssh, json_t **ret, struct err *err)
{
	_cleanup_peer_ struct peer *p = peer_new(m, host, user, port, false);
	_cleanup_(transfer_vec_free) struct transfer_vec all = {0};
	struct recovery x;
	struct err e = ERR_INIT;
	int r = transfer_list(m->st, false, NULL, &all, err);

	if (r < 0)
		return r;
	peer_options(p, ssh);
	begin(&x, m);
	if (peer_connect(p, &e) < 0) {
		peer_is_dead(&x, p, &all, e.text);
		return finish(&x, 0, ret);
	}
	for (size_t i = 0; i < all.n && !cancel_requested(); i++) {
		const struct transfer *t = all.v[i];

		if (!is_peer_of(p, t) || !waits_for_peer(t))
			continue;
		err_clear(&e);
		r = t->phase == TRANSFER_COMMITTED ? finish_committed(&x, t, &e)
						   : tell_ended(&x, t, &e);
		if (r < 0)
			still_pending(&x, t, &e);
	}
	return finish(&x, 0, ret);
}

/* What is left over */

static int sweep_receiving(struct recovery *x, const struct transfer *t, struct err *err)
{
	struct receiving rx;
	int r = open_receiving(&rx, x->m, t, err);

	if (r == -ERR_BUSY) {
		err_clear(err);
		r = 0;
	} else if (r >= 0 && rx.t->phase >= TRANSFER_CANCELLED) {
		r = receiving_sweep(&rx, err);
		if (r >= 0)
			note(x, t, "what had arrived was removed");
	} else if (r >= 0 && rx.t->phase >= TRANSFER_DONE) {
		r = receiving_tidy(&rx, err);
	}
	receiving_done(&rx);
	return r;
}

static int sweep_one(struct recovery *x, struct transfer *t, struct err *err)
{
	usec_t left;
	int r;

	if (t->role != TRANSFER_DESTINATION)
		return 0;
	if (t->phase >= TRANSFER_CANCELLED && json_get_bool(t->facts, "swept", false))
		return 0;
	if (t->phase >= TRANSFER_DONE)
		return json_get_bool(t->facts, "tidy", false) ? 0 : sweep_receiving(x, t, err);
	r = incoming_expire(x->m, t, &left, err);
	if (r > 0)
		note(x, t, "it was not gone on with, and what had arrived was removed");
	x->wake = MIN(x->wake, left);
	return r < 0 ? r : 0;
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

int recover_sweep(struct move_ctx *m, json_t **ret, struct err *err)
{
	struct recovery x;
	int r;

	begin(&x, m);
	r = each(&x, false, sweep_one, err);
	sweep_pools(m);
	return finish(&x, r, ret);
}
