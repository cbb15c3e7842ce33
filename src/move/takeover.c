#include "move/takeover.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "move/announce.h"
#include "move/definition.h"
#include "move/fit.h"
#include "move/handed.h"
#include "move/health.h"
#include "node/job.h"
#include "runtime/runtime.h"
#include "tree/tree.h"

#define DIALOGUE_IDLE                                                                              \
	(15 * 60 * USEC_PER_SEC) /* the source stops its container meanwhile; ssh notices a dead   \
				    link */
#define START_TIMEOUT (60 * USEC_PER_SEC)
#define WAIT_EVERY    (5 * USEC_PER_SEC)
#define REASON_MAX    400 /* bytes of why it did not come up */

json_t *takeover_state(struct receiving *r)
{
	json_t *o = json_object();
	enum ct_state state;
	struct err ignored = ERR_INIT;

	json_put_str(o, "state", handoff_peer_name(handoff_destination_state(true, r->t->phase)));
	json_put_str(o, "phase", transfer_phase_name(r->t->phase));
	json_put_str(o, "ct", r->t->ct);
	json_put_u64(o, "epoch", r->t->epoch);
	json_put_str(o, "text", json_get_str(r->t->facts, "refused"));
	if (json_object_get(r->t->facts, "fixups"))
		json_object_set(o, "fixups", json_object_get(r->t->facts, "fixups"));
	if (runtime_state(r->t->ct, &state, NULL, &ignored) >= 0)
		json_put_bool(o, "running", state == CT_RUNNING);
	return o;
}

/* Is the last thing sent the last thing that came? Streams that came whole were checked frame by
 * frame. */
static int check_complete(struct receiving *r, const json_t *theirs, struct err *err)
{
	json_t *all = json_object_get(r->t->facts, "volumes"), *f;
	const char *name;

	json_object_foreach(all, name, f)
	{
		const char *snap = json_get_str(json_object_get(theirs, name), "snapshot"),
			   *last = json_get_str(f, "last");
		bool native = json_get_bool(f, "native", false);

		if (handed_is(f))
			continue;
		if (native && (!snap || !last || strcmp(snap, last)))
			return err_set(err, ERR_STATE,
				"volume '%s' is at snapshot '%s' here, not at the last one sent",
				name, last ? last : "(none)");
		if (!native && !json_get_bool(f, "complete", false))
			return err_set(err, ERR_STATE, "volume '%s' has not arrived", name);
	}
	return 0;
}

/* Of the pass that the source means: what came last may be of another try. */
static int check_pass(struct receiving *r, const json_t *msg, struct err *err)
{
	uint64_t have = json_get_u64(r->t->facts, "pass", 0), want = json_get_u64(msg, "pass", 0);

	if (have == want || handed_all(r)) /* of which no data come */
		return 0;
	return err_set(err, ERR_STATE,
		"the last data of container '%s' here are of pass %llu, not %llu: send them again",
		r->t->ct, (unsigned long long)have, (unsigned long long)want);
}

/* And the configuration: the one that was told last? */
static int check_revision(struct receiving *r, const json_t *msg, struct err *err)
{
	uint64_t have = definition_revision(r), want = json_get_u64(msg, "revision", 0);

	if (have == want && definition_stands(r))
		return 0;
	return err_set(err, ERR_STATE,
		"the configuration of container '%s' is of revision %llu here, not %llu: send it "
		"again",
		r->t->ct, (unsigned long long)have, (unsigned long long)want);
}

/* Of a tree what its receiver has kept up to date, where it could. */
static int digest_volume(struct receiving *r, const json_t *f, struct volume *v,
	const struct container *c, json_t *into, struct err *err)
{
	_cleanup_free_ char *dir = places_transfer_dir(r->t->token);
	_cleanup_free_ char *state_dir = xasprintf("%s/%s", dir, v->name);
	struct digest128 d;
	uint64_t entries;

	if (json_get_bool(f, "native", false) ||
		!tree_sum_received(state_dir, &c->idmap, &d, &entries))
		return places_digest(v, &c->idmap, into, err);
	places_put_digest(into, v->name, &d);
	return 0;
}

/* What stands here, for the source to compare with what stands there. */
static int digest_volumes(struct receiving *r, json_t *into, struct err *err)
{
	json_t *all = json_object_get(r->t->facts, "volumes"), *f;
	_cleanup_container_ struct container *c = NULL;
	const char *name;
	int res = receiving_model(r, &c, err);

	json_object_foreach(all, name, f)
	{
		_cleanup_volume_ struct volume *v = res >= 0 ? receiving_staged(r, name) : NULL;

		if (v && !handed_is(f))
			res = digest_volume(r, f, v, c, into, err);
	}
	return res;
}

static int settle_volumes(struct receiving *r, struct err *err)
{
	json_t *all = json_object_get(r->t->facts, "volumes"), *f;
	const char *name;

	json_object_foreach(all, name, f)
	{
		_cleanup_volume_ struct volume *v = receiving_staged(r, name);
		int res = json_get_bool(f, "native", false)
				  ? volume_finish(v, json_get_str(f, "last"), err)
				  : 0;

		if (res >= 0 && !handed_is(f))
			res = volume_sync(v, err);
		if (res < 0)
			return res;
	}
	return 0;
}

static int prepare(struct receiving *r, const json_t *msg, json_t **ret, struct err *err)
{
	_cleanup_json_ json_t *digests = json_object();
	int res = receiving_pool(r, err);

	if (res >= 0)
		res = check_complete(r, json_object_get(msg, "volumes"), err);
	if (res >= 0)
		res = check_pass(r, msg, err);
	if (res >= 0)
		res = handed_check(r, json_object_get(msg, "volumes"), err);
	if (res >= 0)
		res = check_revision(r, msg, err);
	if (res >= 0)
		res = settle_volumes(r, err);
	if (res >= 0)
		res = digest_volumes(r, digests, err);
	if (res >= 0)
		res = fault_point("takeover.prepared.before", err);
	if (res >= 0)
		res = transfer_set_phase(r->m->st, r->t, TRANSFER_PREPARED, err);
	if (res >= 0)
		res = fault_point("takeover.prepared.after", err);
	if (res < 0)
		return res;
	*ret = json_pack(
		"{s:{s:I,s:O}}", "prepared", "epoch", (json_int_t)r->t->epoch, "digests", digests);
	return 0;
}

/* The end of the transaction that makes us the owner; res: how what is in it has gone. */
static int end_as_committed(struct receiving *r, int res, struct err *err)
{
	if (res >= 0)
		res = transfer_set_phase(r->m->st, r->t, TRANSFER_COMMITTED, err);
	if (res >= 0)
		res = state_commit(r->m->st, err);
	else
		state_rollback(r->m->st);
	return res;
}

static int write_owner(struct receiving *r, bool start, struct err *err)
{
	struct own own = {.kind = OWN_OWNER, .epoch = r->t->epoch + 1};
	int res = fault_point("takeover.owner.before", err);

	if (res >= 0)
		res = state_begin(r->m->st, err);
	if (res < 0)
		return res;
	snprintf(own.ct, sizeof(own.ct), "%s", r->t->ct);
	snprintf(own.token, sizeof(own.token), "%s", r->t->token);
	snprintf(own.peer, sizeof(own.peer), "%s", r->t->peer);
	json_put_bool(r->t->facts, "start", start);
	res = own_set(r->m->st, &own, err);
	res = end_as_committed(r, res, err);
	return res < 0 ? res : fault_point("takeover.owner.after", err);
}

/* Which files under the container's own name are ours is durable before they are there: what lay
 * there already is somebody else's, and no sweep may take it. */
static int claim_places(struct receiving *r, const struct container *c, struct err *err)
{
	bool claimed = false;

	for (size_t i = 0; i < c->volumes.n; i++) {
		json_t *f = receiving_volume(r, c->volumes.v[i].name);
		_cleanup_volume_ struct volume *final = receiving_final(r, c->volumes.v[i].name);
		int there;

		if (!f || json_get_bool(f, "published", false))
			continue;
		there = volume_exists(final, err);
		if (there < 0)
			return there;
		if (there)
			return err_set(
				err, ERR_EXISTS, "there are files at %s already", final->path);
		json_put_bool(f, "published", true);
		claimed = true;
	}
	return claimed ? transfer_save(r->m->st, r->t, err) : 0;
}

/* After the data, which it could be in the way of. What it may not hold here it may not hold: that
 * is no reason to send it back. A native stream has brought its own limits. */
static void limit_volume(struct receiving *r, struct volume *v)
{
	const json_t *f = receiving_volume(r, v->name);
	uint64_t size = json_get_u64(f, "size", 0);
	struct err e = ERR_INIT;

	if (!size || json_get_bool(f, "native", false) || volume_set_limit(v, size, &e) >= 0)
		return;
	if (e.code == ERR_UNSUPPORTED)
		log_info("container '%s' could hold %llu bytes where it was, and all of the pool "
			 "'%s' here",
			r->t->ct, (unsigned long long)size, r->pool->name);
	else
		log_warning("container '%s' has no limit here: %s", r->t->ct, e.text);
}

static int publish(struct receiving *r, const struct container *c, struct err *err)
{
	int claimed = claim_places(r, c, err);

	if (claimed < 0)
		return claimed;
	for (size_t i = 0; i < c->volumes.n; i++) {
		_cleanup_volume_ struct volume *staged = receiving_staged(r, c->volumes.v[i].name);
		_cleanup_volume_ struct volume *final = receiving_final(r, c->volumes.v[i].name);
		int res = handed_is(receiving_volume(r, c->volumes.v[i].name))
				  ? handed_take(r, c->volumes.v[i].name, err)
				  : volume_publish(staged, final, err);

		if (res < 0)
			return res;
		limit_volume(r, final);
	}
	return runtime_publish(c->name, err);
}

/* Once: what was done is a fact, and the container may have changed its files since. */
static int fit(struct receiving *r, const struct container *c, struct err *err)
{
	_cleanup_volume_ struct volume *root = receiving_final(r, c->volumes.v[0].name);
	json_t *done = NULL;
	int res;

	if (!c->origin || json_object_get(r->t->facts, "fixups"))
		return 0;
	res = fit_guest(r->m, c, root, &done, err);
	if (res >= 0)
		res = transfer_fact(r->m->st, r->t, "fixups", done, err);
	return res < 0 ? res : fault_point("takeover.fitted", err);
}

static int bring_up(struct receiving *r, struct err *err)
{
	_cleanup_container_ struct container *c = NULL;
	int res = receiving_pool(r, err);

	if (res >= 0)
		res = receiving_model(r, &c, err);
	if (res >= 0)
		res = publish(r, c, err);
	if (res >= 0)
		res = fault_point("takeover.published", err);
	if (res >= 0)
		res = fit(r, c, err);
	if (res < 0 || !json_get_bool(r->t->facts, "start", false))
		return res < 0 ? res : handed_rest(r, err);
	res = runtime_start(c->name, START_TIMEOUT, err);
	if (res >= 0)
		res = fault_point("takeover.started", err);
	if (res >= 0)
		announce_container(c);
	return res < 0 ? res : health_check(r->m, c, err);
}

static void add_history(struct receiving *r, const char *event, const char *error)
{
	json_t *d = json_object();

	json_put_str(d, "from", r->t->peer);
	json_put_str(d, "key", r->t->key);
	json_put_str(d, "token", r->t->token);
	json_put_str(d, "error", error);
	move_history(r->m, r->t->ct, event, d);
}

/* The reason goes to the peer, and may hold what the container has written: bounded, printable. */
static char *reason_of(const struct err *why)
{
	return str_escape(why->text, strnlen(why->text, REASON_MAX));
}

/* It doesn't run well here. From now on the guard lets nobody start it, whoever tries: an operator,
 * or the node as it boots. */
static int write_withdrawn(struct receiving *r, const struct err *why, struct err *err)
{
	_cleanup_free_ char *reason = reason_of(why);
	struct own own;
	int res = fault_point("takeover.withdrawn.before", err);

	log_warning("container '%s' goes back: %s", r->t->ct, reason);
	if (res >= 0)
		res = state_begin(r->m->st, err);
	if (res < 0)
		return res;
	res = own_get(r->m->st, r->t->ct, &own, err);
	if (res >= 0) {
		own.kind = OWN_RELEASED;
		res = own_set(r->m->st, &own, err);
	}
	if (res >= 0)
		res = transfer_fact(r->m->st, r->t, "refused", json_string(reason), err);
	if (res >= 0)
		res = state_commit(r->m->st, err);
	else
		state_rollback(r->m->st);
	return res < 0 ? res : fault_point("takeover.withdrawn.after", err);
}

/* 0 for one that is not there at all. */
static int unless_missing(int res, struct err *err)
{
	if (res != -ERR_NOT_FOUND)
		return res;
	err_clear(err);
	return 0;
}

/* If it can't be proven stopped there is no promise, and the source goes on waiting. Who has passed
 * the guard just before it was withdrawn is stopped, too; that the guard still stands is made sure
 * first. */
static int stop(struct receiving *r, struct err *err)
{
	int res = unless_missing(runtime_guard(r->t->ct, true, err), err);

	if (res >= 0)
		res = unless_missing(runtime_stop(r->t->ct, 0, true, err), err);
	if (res >= 0)
		res = fault_point("takeover.stopped", err);
	if (res >= 0)
		res = handed_leave(r, err);
	if (res >= 0)
		res = unless_missing(runtime_withdraw(r->t->ct, err), err);
	return res;
}

static int refuse(struct receiving *r, struct err *err)
{
	add_history(r, "refused", json_get_str(r->t->facts, "refused"));
	return receiving_promise(r, TRANSFER_REFUSED, err);
}

/* It is an ordinary container from here on, which runs without Wherry. */
static int settle_done(struct receiving *r, struct err *err)
{
	struct err e = ERR_INIT;
	int res = transfer_set_phase(r->m->st, r->t, TRANSFER_DONE, err);

	if (res < 0)
		return res;
	add_history(r, "arrived", NULL);
	if (move_unguard(r->m, r->t->ct, &e) < 0) /* again when the transfer is tidied */
		log_warning("container '%s': %s", r->t->ct, e.text);
	return 0;
}

/* It may have the commit, and neither runs well nor went back: with this outcome wherryd comes back
 * to it at once. */
static int unsettled(struct err *err)
{
	struct err why = *err;

	return err_set(err, ERR_UNKNOWN, "%s", why.text);
}

static int is_withdrawn(struct receiving *r, bool *ret, struct err *err)
{
	struct own own;
	int res = own_get(r->m->st, r->t->ct, &own, err);

	*ret = res >= 0 && own.kind == OWN_RELEASED && !strcmp(own.token, r->t->token);
	return res;
}

/* One thing after the other, by handoff_takeover_next. */
static int finish(struct receiving *r, struct err *err)
{
	struct handoff_taker t = {0};
	struct err why = ERR_INIT;
	int res = is_withdrawn(r, &t.withdrawn, err);

	while (res >= 0) {
		t.phase = r->t->phase;
		switch (handoff_takeover_next(&t)) {
		case TAKEOVER_RUN:
			t.well = bring_up(r, &why) >= 0;
			t.failed = !t.well;
			/* There is nobody to give it back to: its operator has said so. */
			if (t.failed && json_get_bool(r->t->facts, "forced", false))
				return err_copy(err, &why);
			break;
		case TAKEOVER_DONE: res = settle_done(r, err); break;
		case TAKEOVER_WITHDRAW:
			res = write_withdrawn(r, &why, err);
			t.withdrawn = true;
			break;
		case TAKEOVER_STOP:
			res = stop(r, err);
			t.stopped = true;
			break;
		case TAKEOVER_REFUSE: res = refuse(r, err); break;
		case TAKEOVER_NOTHING: return 0;
		}
	}
	return res;
}

int takeover_finish(struct receiving *r, bool *ret_refused, struct err *err)
{
	int res;

	cancel_shield();
	state_vital(r->m->st, true);
	res = finish(r, err);
	state_vital(r->m->st, false);
	cancel_unshield();
	*ret_refused = r->t->phase == TRANSFER_REFUSED;
	return res < 0 ? unsettled(err) : 0;
}

int takeover_force(struct receiving *r, struct err *err)
{
	bool refused;
	int res = state_begin(r->m->st, err);

	if (res < 0)
		return res;
	json_put_bool(r->t->facts, "start", false);
	json_put_bool(r->t->facts, "forced", true);
	res = own_force(r->m->st, r->t->ct, r->m->who ? r->m->who : "?", err);
	res = end_as_committed(r, res, err);
	return res < 0 ? res : takeover_finish(r, &refused, err);
}

static enum handoff_message message_kind(const json_t *line)
{
	if (json_object_get(line, "prepare"))
		return MESSAGE_PREPARE;
	if (json_object_get(line, "commit"))
		return MESSAGE_COMMIT;
	return MESSAGE_STATUS;
}

static int out_of_order(struct receiving *r, struct err *err)
{
	return err_set(err, ERR_STATE,
		"container '%s' can't be handed over now: its transfer is in state '%s' here",
		r->t->ct, transfer_phase_name(r->t->phase));
}

/* One message. *ret is its answer; *ret_last: nothing comes after it. */
static int serve_message(struct receiving *r, const json_t *line, bool start_word, json_t **ret,
	bool *ret_last, struct err *err)
{
	enum handoff_message kind = message_kind(line);
	const json_t *commit = json_object_get(line, "commit");
	bool refused;
	int res = 0;

	*ret_last = kind != MESSAGE_PREPARE;
	switch (handoff_destination(
		true, r->t->phase, r->t->epoch, kind, json_get_u64(commit, "epoch", UINT64_MAX))) {
	case ANSWER_PREPARE: return prepare(r, json_object_get(line, "prepare"), ret, err);
	case ANSWER_TAKE:
		state_vital(r->m->st, true);
		res = write_owner(r, start_word && json_get_bool(commit, "start", start_word), err);
		if (res < 0)
			return unsettled(err);
		__attribute__((fallthrough));
	case ANSWER_RUN: res = takeover_finish(r, &refused, err); break;
	case ANSWER_STATE:
		if (kind == MESSAGE_PREPARE && r->t->phase == TRANSFER_PREPARED)
			return prepare(r, json_object_get(line, "prepare"), ret, err);
		*ret_last = true;
		break;
	case ANSWER_CANCEL:
	case ANSWER_DEFINE:
	case ANSWER_ERROR: return out_of_order(r, err);
	}
	if (res < 0)
		return res;
	*ret = takeover_state(r);
	return 0;
}

int takeover_run(struct receiving *r, bool start_word, json_t **ret, struct err *err)
{
	for (;;) {
		_cleanup_json_ json_t *line = NULL, *answer = NULL;
		bool last = true;
		int res = verb_recv_line(r->verb, DIALOGUE_IDLE, &line, err);

		/* The lock is taken with the first message, not with the dialogue: that is opened
		 * while the last data still come in. */
		if (res >= 0 && r->lock < 0)
			res = receiving_find_locked(r, r->t->token, err);
		/* Volumes to sync and to walk, a slow start: that is no dead link. */
		if (res >= 0)
			res = verb_serve_waiting(r->verb, "working on it", WAIT_EVERY, err);
		if (res >= 0)
			res = serve_message(r, line, start_word, &answer, &last, err);
		verb_serve_waited(r->verb);
		if (res < 0)
			return res;
		if (last) {
			*ret = TAKE_PTR(answer);
			return 0;
		}
		res = verb_send_line(r->verb, TAKE_PTR(answer), err);
		if (res < 0)
			return res;
	}
}
