#include "move/dialogue.h"

#include <string.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "move/pass.h"
#include "move/skel.h"

#define ASK_EVERY	(2 * USEC_PER_SEC)
#define STARTING_EVERY	(300 * USEC_PER_MSEC)
#define PREPARE_TIMEOUT (10 * 60 * USEC_PER_SEC)
#define AGAIN_PATIENCE	(20 * USEC_PER_SEC)
#define ANSWER_GRACE	(60 * USEC_PER_SEC) /* beyond the health check's own time */
#define REASON_MAX	512		    /* of the peer's, in bytes */

int dialogue_open(struct dialogue *d, struct err *err)
{
	const char *words[] = {
		"receive", "transfer", d->s->t->token, d->start ? "start" : NULL, NULL};
	int r;

	if (d->channel)
		return 0;
	r = peer_connect(d->s->peer, err);
	if (r < 0)
		return r;
	return verb_start(d->s->peer->ssh, words, &d->channel, err);
}

void dialogue_drop(struct dialogue *d)
{
	verb_free(d->channel);
	d->channel = NULL;
}

/* The peer is as hostile as any: its reason is bounded, and made printable, before it is told. */
static void learn(struct dialogue *d, const json_t *answer)
{
	const char *text = json_get_str(answer, "text") ?: "it says no reason";
	_cleanup_free_ char *reason = str_escape(text, strnlen(text, REASON_MAX));

	d->peer = handoff_peer_from(json_get_str(answer, "state"));
	if (json_is_object(json_object_get(answer, "fixups")))
		json_object_set(d->s->t->facts, "fixups", json_object_get(answer, "fixups"));
	if (d->peer == PEER_REFUSED || d->peer == PEER_CANCELLED)
		err_set(&d->why, ERR_HEALTH, "%s gave container '%s' back: %s", d->s->t->peer,
			d->s->t->ct, reason);
}

/* Both sides walk their trees at the same time. */
static int prepare_once(struct dialogue *d, json_t **ret_answer, json_t **ret_ours, struct err *err)
{
	int r = dialogue_open(d, err);

	if (r >= 0)
		r = verb_send_line(d->channel,
			json_pack("{s:{s:o,s:I,s:I}}", "prepare", "volumes", pass_snapshots(d->s),
				"revision", (json_int_t)skel_revision(d->s), "pass",
				(json_int_t)json_get_u64(d->s->t->facts, "pass", 0)),
			err);
	if (r >= 0 && d->still && !*ret_ours) {
		r = pass_digests(d->s, ret_ours, err);
		if (r < 0)
			return r;
	}
	if (r >= 0)
		r = verb_recv_line(d->channel, PREPARE_TIMEOUT, ret_answer, err);
	if (r < 0)
		dialogue_drop(d);
	return r;
}

/* The last lock on the door: what stands there must be what stands here. */
static int compare_digests(
	struct dialogue *d, const json_t *ours, const json_t *theirs, struct err *err)
{
	const json_t *digest;
	const char *name;

	json_object_foreach((json_t *)ours, name, digest)
	{
		const char *have = json_get_str(theirs, name);

		if (have && str_eq(have, json_string_value(digest)))
			continue;
		pass_start_over(d->s, name);
		return err_set(err, ERR_CORRUPT,
			"volume '%s' on %s is not what it is here, its digest is %s: the next try "
			"sends all of it anew",
			name, d->s->t->peer, have ? "another" : "missing");
	}
	if (ours)
		json_object_set(d->s->t->facts, "digests", (json_t *)ours);
	return 0;
}

int dialogue_prepare(struct dialogue *d, bool again, struct err *err)
{
	_cleanup_json_ json_t *answer = NULL, *ours = NULL;
	int r = prepare_once(d, &answer, &ours, err);

	if (peer_link_lost(r) && again) {
		/* Preparing twice is preparing once. */
		r = peer_reconnect(d->s->peer, clock_deadline(AGAIN_PATIENCE), err);
		if (r >= 0)
			r = prepare_once(d, &answer, &ours, err);
	}
	if (r < 0)
		return r;
	if (json_object_get(answer, "ok")) { /* it can't be, and says what it is instead */
		dialogue_drop(d);
		learn(d, json_object_get(answer, "ok"));
		return 0;
	}
	if (!json_object_get(answer, "prepared"))
		return err_set(err, ERR_PROTOCOL,
			"%s did not answer the prepare message as it must", d->s->t->peer);
	r = compare_digests(
		d, ours, json_object_get(json_object_get(answer, "prepared"), "digests"), err);
	if (r < 0)
		return r;
	d->peer = PEER_PREPARED;
	return fault_point("handover.prepared", err);
}

static int say_commit(struct dialogue *d, uint64_t epoch, json_t **ret, struct err *err)
{
	usec_t timeout = d->s->m->cfg->health_timeout + ANSWER_GRACE;
	int r = fault_point("handover.commit", err);

	if (r >= 0)
		r = dialogue_open(d, err);
	if (r >= 0)
		r = verb_send_line(d->channel,
			json_pack("{s:{s:I,s:b}}", "commit", "epoch", (json_int_t)epoch, "start",
				d->start),
			err);
	return r < 0 ? r : verb_recv_line(d->channel, timeout, ret, err);
}

void dialogue_commit(struct dialogue *d, uint64_t epoch)
{
	_cleanup_json_ json_t *answer = NULL;
	struct err e = ERR_INIT;

	d->peer = PEER_UNKNOWN;
	if (say_commit(d, epoch, &answer, &e) >= 0) {
		learn(d, json_object_get(answer, "ok"));
		return;
	}
	log_warning("commit: %s", e.text);
	dialogue_drop(d);
}

static int no_answer(struct dialogue *d, const char *why, struct err *err)
{
	const char *ct = d->s->t->ct, *peer = d->s->t->peer;

	if (sending_is_clone(d->s))
		return err_set(err, ERR_UNKNOWN,
			"%s was told to take over the copy of container '%s', and doesn't answer "
			"any more (%s): wherryd keeps asking whether it is there, `wherry ct send "
			"resolve %s` shows what is known",
			peer, ct, why, ct);
	return err_set(err, ERR_UNKNOWN,
		"container '%s' was handed over to %s, which doesn't answer any more (%s): it "
		"stays down here until %s can be asked, wherryd keeps trying, `wherry ct send "
		"resolve %s` shows what is known",
		ct, peer, why, peer, ct);
}

int dialogue_ask(struct dialogue *d, struct err *err)
{
	_cleanup_json_ json_t *answer = NULL;
	struct err e = ERR_INIT;
	usec_t patience = d->s->peer->patience;
	int r;

	dialogue_drop(d);
	d->s->peer->patience = 0;
	d->peer = PEER_UNKNOWN;
	r = peer_status(d->s->peer, d->s->t->token, &d->peer, &answer, &e);
	d->s->peer->patience = patience;
	if (r >= 0) {
		learn(d, answer);
		return 0;
	}
	peer_drop(d->s->peer);
	if (clock_now() >= d->ask_until)
		return no_answer(d, e.text, err);
	clock_sleep(ASK_EVERY);
	return 0;
}

int dialogue_wait(struct dialogue *d, struct err *err)
{
	if (clock_now() >= d->ask_until + d->s->m->cfg->health_timeout)
		return err_set(err, ERR_UNKNOWN,
			"%s has %scontainer '%s', and is still starting it: wherryd keeps asking",
			d->s->t->peer, sending_is_clone(d->s) ? "the copy of " : "", d->s->t->ct);
	clock_sleep(STARTING_EVERY);
	d->peer = PEER_UNKNOWN;
	return 0;
}

int dialogue_failure(const struct dialogue *d, const struct err *first, struct err *err)
{
	if (first->code)
		return err_copy(err, first);
	if (d->why.code)
		return err_copy(err, &d->why);
	return err_set(err, ERR_PROTOCOL,
		"%s says '%s' about container '%s', so nothing came of it", d->s->t->peer,
		handoff_peer_name(d->peer), d->s->t->ct);
}

void dialogue_history(const struct dialogue *d, const char *event)
{
	struct sending *s = d->s;
	json_t *o = sending_report(s);

	json_put_str(o, "who", s->m->who);
	json_put_str(o, "error", d->why.text[0] ? d->why.text : NULL);
	json_object_set(o, "digests", json_object_get(s->t->facts, "digests"));
	move_history(s->m, s->t->ct, event, o);
}
