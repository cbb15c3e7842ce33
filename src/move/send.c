#include "move/send.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/log.h"
#include "move/handover.h"
#include "move/reserve.h"
#include "move/skel.h"
#include "move/standstill.h"
#include "move/steps.h"

#define ROUND_ENOUGH                                                                               \
	(400 * USEC_PER_MSEC) /* a pass as short as that: the stop won't get shorter by another */

void send_opts_init(struct send_opts *o)
{
	*o = (struct send_opts){.network = true,
		.snapshots = true,
		.consistent = true,
		.restart = true,
		.start = true,
		.remove = true,
		.compress = 0};
}

static int wrong_order(const struct sending *s, const char *step, struct err *err)
{
	_cleanup_free_ char *next = sending_next(s->t);

	return err_set(err, ERR_STATE,
		"container '%s': '%s' is not possible now, its send to %s is in state '%s': next "
		"is %s",
		s->t->ct, step, s->t->peer, transfer_phase_name(s->t->phase), next);
}

static int open_in(struct move_ctx *m, const char *ct, const struct send_opts *o, const char *step,
	enum transfer_phase from, enum transfer_phase to, struct sending **ret, struct err *err)
{
	_cleanup_sending_ struct sending *s = NULL;
	int r = sending_open(m, ct, o, &s, err);

	if (r < 0)
		return r;
	if (s->t->phase < from || s->t->phase > to)
		return wrong_order(s, step, err);
	steps_make_plan(s);
	*ret = TAKE_PTR(s);
	return 0;
}

static int run_loaded(struct sending *s, const char *step, struct err *err)
{
	int r = sending_load(s, err);

	return r < 0 ? r : plan_step(&s->plan, step, err);
}

static int one_step(struct move_ctx *m, const char *ct, const struct send_opts *o, const char *step,
	enum transfer_phase from, enum transfer_phase to, json_t **ret, struct err *err)
{
	_cleanup_sending_ struct sending *s = NULL;
	int r = open_in(m, ct, o, step, from, to, &s, err);

	if (r < 0)
		return r;
	r = run_loaded(s, step, err);
	if (r < 0)
		return r;
	*ret = sending_report(s);
	return 0;
}

int send_rootfs(struct move_ctx *m, const char *ct, const struct send_opts *o, json_t **ret,
	struct err *err)
{
	return one_step(m, ct, o, "rootfs", TRANSFER_CONFIG, TRANSFER_CONFIG, ret, err);
}

int send_sync(struct move_ctx *m, const char *ct, const struct send_opts *o, json_t **ret,
	struct err *err)
{
	return one_step(m, ct, o, "sync", TRANSFER_BASE, TRANSFER_INCREMENTAL, ret, err);
}

static int another_kind(const struct sending *s, struct err *err)
{
	const char *ct = s->t->ct, *peer = s->t->peer;

	if (sending_is_clone(s))
		return err_set(err, ERR_STATE,
			"container '%s' is being copied to %s, not moved: go on with `wherry ct "
			"send --clone %s %s`, or `wherry ct send cancel %s`",
			ct, peer, ct, peer, ct);
	return err_set(err, ERR_STATE,
		"container '%s' is being moved to %s, not copied: go on with `wherry ct send %s "
		"%s`, or `wherry ct send cancel %s`",
		ct, peer, ct, peer, ct);
}

/* Move or copy? What a one-shot send has begun as, it stays. In steps it is the state step that
 * says it, each time it is tried; the destination is then told of the addresses that a copy has
 * not. */
static int note_clone(struct sending *s, const struct send_opts *o, struct err *err)
{
	if (!json_get_bool(s->t->opts, "now", false))
		s->o.clone = o->clone;
	else if (o->clone && !s->o.clone)
		return another_kind(s, err);
	json_put_bool(s->t->opts, "clone", s->o.clone);
	return 0;
}

/* Options of the state step override what was said at config, and later steps see them. */
static int note_state_opts(struct sending *s, const struct send_opts *o, struct err *err)
{
	int r = note_clone(s, o, err);

	if (r < 0)
		return r;
	json_put_bool(s->t->opts, "start", o->start && json_get_bool(s->t->opts, "start", true));
	s->o.consistent = o->consistent && json_get_bool(s->t->opts, "consistent", true);
	s->o.restart = o->restart && json_get_bool(s->t->opts, "restart", true);
	return transfer_save(s->m->st, s->t, err);
}

int send_state(struct move_ctx *m, const char *ct, const struct send_opts *o, json_t **ret,
	struct err *err)
{
	_cleanup_sending_ struct sending *s = NULL;
	int r = open_in(m, ct, o, "state", TRANSFER_BASE, TRANSFER_INCREMENTAL, &s, err);

	if (r < 0)
		return r;
	r = note_state_opts(s, o, err);
	if (r >= 0)
		r = run_loaded(s, "state", err);
	if (r < 0)
		return r;
	*ret = sending_report(s);
	return 0;
}

int send_cleanup(struct move_ctx *m, const char *ct, const struct send_opts *o, json_t **ret,
	struct err *err)
{
	_cleanup_sending_ struct sending *s = NULL;
	int r = open_in(m, ct, o, "cleanup", TRANSFER_DONE, TRANSFER_DONE, &s, err);

	if (r >= 0)
		r = plan_step(&s->plan, "cleanup", err);
	if (r < 0)
		return r;
	*ret = sending_report(s);
	return 0;
}

/* Nothing is changed on either side. */
static int describe_plan(struct sending *s, json_t **ret, struct err *err)
{
	_cleanup_json_ json_t *answer = NULL;
	json_t *r;

	if (peer_has(s->hello, "check")) {
		int checked = skel_check(s, &answer, err);

		if (checked < 0)
			return checked;
	} else {
		move_say(s->m, "%s has an older Wherry, which can't be asked what it would say",
			s->t->peer);
	}
	r = sending_report(s);
	json_object_set_new(r, "plan", steps_json(s));
	json_object_set(r, "pool", json_object_get(answer, "pool"));
	json_object_set(r, "volumes", json_object_get(answer, "volumes"));
	json_object_del(r, "token");
	json_object_del(r, "next");
	if (!s->o.hand_over)
		json_put_u64(r, "volume_bytes", json_get_u64(s->t->facts, "bytes", 0));
	*ret = r;
	return 0;
}

int send_config(struct move_ctx *m, const char *ct, const struct send_opts *o, json_t **ret,
	struct err *err)
{
	_cleanup_sending_ struct sending *s = NULL;
	struct err undo_err = ERR_INIT;
	int r = reserve_check(m, ct, o, &s, err);

	if (r < 0)
		return r;
	if (o->dry_run)
		return describe_plan(s, ret, err);
	r = reserve_record(s, err);
	if (r < 0)
		return r;
	steps_make_plan(s);
	r = plan_step(&s->plan, "config", err);
	if (r < 0) {
		if (plan_undo(&s->plan, &undo_err) < 0)
			log_warning("%s", undo_err.text);
		return r;
	}
	*ret = sending_report(s);
	return 0;
}

/* Somebody runs a step of this send: ask it to stop, as a terminal's ^C would, and wait until it
 * has. */
static int lock_for_cancel(struct move_ctx *m, const char *ct, struct err *err)
{
	int fd = -1, r = move_lock(m, ct, false, &fd, err);

	if (r == -ERR_BUSY) {
		err_clear(err);
		move_lock_interrupt(ct, "ct.send");
		move_lock_interrupt(ct, "ct.migrate");
		r = move_lock(m, ct, true, &fd, err);
	}
	if (fd >= 0)
		close(fd);
	return r < 0 ? r : 0;
}

static int copy_in_doubt(const struct sending *s, struct err *err)
{
	return err_set(err, ERR_STATE,
		"%s was told to take over the copy of container '%s', so it may be there: `wherry "
		"ct send resolve %s` asks; with --local the send is ended here, and what is there "
		"stays there",
		s->t->peer, s->t->ct, s->t->ct);
}

static int may_cancel(const struct sending *s, struct err *err)
{
	struct own own;
	int r = own_get(s->m->st, s->t->ct, &own, err);

	if (r < 0)
		return r;
	if (sending_is_clone(s) && sending_in_doubt(s, &own))
		return s->o.local || s->o.force ? 0 : copy_in_doubt(s, err);
	if (own.kind == OWN_RELEASED || s->t->phase == TRANSFER_COMMITTED)
		return err_set(err, ERR_STATE,
			"container '%s' was handed over to %s, that can't be cancelled any more: "
			"see `wherry ct send "
			"resolve %s`",
			s->t->ct, s->t->peer, s->t->ct);
	if (s->t->phase >= TRANSFER_DONE)
		return wrong_order(s, "cancel", err);
	return 0;
}

int send_cancel(struct move_ctx *m, const char *ct, const struct send_opts *o, json_t **ret,
	struct err *err)
{
	_cleanup_sending_ struct sending *s = NULL;
	int r = lock_for_cancel(m, ct, err);

	if (r < 0)
		return r;
	r = sending_open(m, ct, o, &s, err);
	if (r == -ERR_STATE) {
		/* The one-shot send that was interrupted has cancelled by itself. */
		err_clear(err);
		*ret = json_pack(
			"{s:s,s:s}", "ct", ct, "phase", transfer_phase_name(TRANSFER_CANCELLED));
		return 0;
	}
	if (r < 0)
		return r;
	r = may_cancel(s, err);
	/* Durable first: should this worker die, recovery goes on with the cancel, not the send. */
	if (r >= 0)
		r = transfer_fact(m->st, s->t, "cancelling", json_true(), err);
	if (r < 0)
		return r;
	steps_make_plan(s);
	r = plan_undo(&s->plan, err);
	if (r < 0)
		return r;
	*ret = sending_report(s);
	return 0;
}

/* More passes while they shorten the stop: until one is short enough, or no shorter than the one
 * before. */
static int sync_rounds(struct sending *s, struct err *err)
{
	usec_t last = CLOCK_NEVER;

	for (uint32_t i = 0; i < s->m->cfg->sync_rounds; i++) {
		usec_t began = clock_now(), took;
		int r = plan_step(&s->plan, "sync", err);

		if (r < 0)
			return r;
		took = clock_now() - began;
		if (took < ROUND_ENOUGH || took * 10 > last * 9)
			break;
		last = took;
	}
	return 0;
}

static int before_commit(struct sending *s, struct err *err)
{
	int r = 0;

	if (s->t->phase == TRANSFER_NEW)
		r = plan_step(&s->plan, "config", err);
	if (r >= 0 && s->t->phase == TRANSFER_CONFIG && s->o.proceed)
		r = s->o.proceed(s->o.proceed_ctx, err);
	if (r >= 0 && s->t->phase == TRANSFER_CONFIG)
		r = plan_step(&s->plan, "rootfs", err);
	if (r >= 0)
		r = sync_rounds(s, err);
	if (r >= 0)
		r = cancel_check(err);
	return r;
}

/* Everything before the commit that fails is cancelled; after it there is no way back, only
 * recovery. */
static int cancel_failed(struct sending *s, int failed, struct err *err)
{
	struct err undo_err = ERR_INIT;
	struct own own;

	if (s->t->phase >= TRANSFER_COMMITTED && s->t->phase < TRANSFER_REFUSED)
		return failed;
	if (own_get(s->m->st, s->t->ct, &own, &undo_err) < 0 || own.kind == OWN_RELEASED)
		return failed;
	if (s->o.keep_partial && transfer_is_open(s->t)) {
		json_put_str(s->t->facts, "failed", err->text);
		if (transfer_fact(s->m->st, s->t, "kept", json_true(), &undo_err) < 0)
			log_warning("%s", undo_err.text);
		move_say(s->m,
			"what has arrived on %s is kept: go on with `wherry ct send %s %s`, or "
			"`wherry ct send cancel %s`",
			s->t->peer, s->t->ct, s->t->peer, s->t->ct);
		return failed;
	}
	if (plan_undo(&s->plan, &undo_err) < 0)
		move_say(s->m, "%s", undo_err.text);
	return failed;
}

int send_continue(struct sending *s, json_t **ret, struct err *err)
{
	enum handover_outcome outcome;
	int r = 0;

	steps_make_plan(s);
	json_object_del(s->t->facts, "kept");
	s->o.consistent = json_get_bool(s->t->opts, "consistent", true);
	s->o.restart = json_get_bool(s->t->opts, "restart", true);
	s->o.keep_partial = json_get_bool(s->t->opts, "keep_partial", false);
	if (s->t->phase == TRANSFER_COMMITTED)
		r = handover_run(s, COMMIT_PATIENCE, false, &outcome, err);
	if (r >= 0 && s->t->phase < TRANSFER_COMMITTED) {
		r = sending_load(s, err);
		if (r >= 0)
			r = before_commit(s, err);
		if (r >= 0)
			r = plan_step(&s->plan, "state", err);
		if (r < 0)
			return cancel_failed(s, r, err);
	}
	if (r >= 0 && s->t->phase == TRANSFER_DONE && sending_removes(s->t))
		r = plan_step(&s->plan, "cleanup", err);
	if (r < 0)
		return r;
	*ret = sending_report(s);
	return 0;
}

/* A one-shot send that kept its partial copy, or whose node went down: the same command goes on
 * with it. */
static int reopen(struct move_ctx *m, const char *ct, const struct send_opts *o,
	struct sending **ret, struct err *err)
{
	_cleanup_sending_ struct sending *s = NULL;
	int r = sending_open(m, ct, o, &s, err);

	if (r < 0)
		return r;
	if (strcmp(s->t->peer, o->host) || !json_get_bool(s->t->opts, "now", false)) {
		_cleanup_free_ char *next = sending_next(s->t);

		return err_set(err, ERR_STATE,
			"container '%s' is already being sent to %s, step by step: next is %s, or "
			"`wherry ct send cancel %s`",
			ct, s->t->peer, next, ct);
	}
	if (o->clone != s->o.clone)
		return another_kind(s, err);
	*ret = TAKE_PTR(s);
	return 0;
}

int send_now(struct move_ctx *m, const char *ct, const struct send_opts *o, json_t **ret,
	struct err *err)
{
	_cleanup_sending_ struct sending *s = NULL;
	_cleanup_transfer_ struct transfer *open = NULL;
	int r = transfer_open_of(m->st, TRANSFER_SOURCE, ct, &open, err);

	if (r >= 0 && !o->dry_run) {
		r = reopen(m, ct, o, &s, err);
		return r < 0 ? r : send_continue(s, ret, err);
	}
	if (r < 0 && r != -ERR_NOT_FOUND)
		return r;
	err_clear(err);
	r = reserve_check(m, ct, o, &s, err);
	if (r < 0)
		return r;
	if (o->dry_run)
		return describe_plan(s, ret, err);
	json_put_bool(s->t->opts, "now", true);
	r = standstill_note_first(s, err);
	if (r >= 0)
		r = reserve_record(s, err);
	if (r < 0)
		return r;
	return send_continue(s, ret, err);
}
