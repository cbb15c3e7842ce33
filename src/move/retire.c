#include "move/retire.h"

#include <string.h>

#include "base/fault.h"
#include "base/json.h"
#include "base/log.h"
#include "move/handed.h"
#include "move/pass.h"
#include "node/job.h"
#include "runtime/runtime.h"
#include "storage/blockfs.h"

/* The record says done; if the peer can be asked, it must say so too. Nobody's files are removed on
 * a lie or a mistake. */
static int ask_once_more(struct sending *s, struct err *err)
{
	struct err e = ERR_INIT;
	enum handoff_peer peer;
	usec_t patience = s->peer->patience;
	int r;

	s->peer->patience = 0;
	r = peer_status(s->peer, s->t->token, &peer, NULL, &e);
	s->peer->patience = patience;
	if (r < 0) {
		if (peer_link_lost(r))
			return err_set(err, ERR_UNREACHABLE,
				"%s can't be asked whether it still has container '%s' (%s), so "
				"nothing is removed here: try again later",
				s->t->peer, s->t->ct, e.text);
		return err_copy(err, &e);
	}
	if (peer == PEER_OWNER)
		return 0;
	return err_set(err, ERR_STATE,
		"%s says '%s' about container '%s', so nothing is removed here: see `wherry ct "
		"send resolve %s`",
		s->t->peer, handoff_peer_name(peer), s->t->ct, s->t->ct);
}

static int check_released(struct sending *s, struct err *err)
{
	struct own own;
	enum ct_state state;
	struct err e = ERR_INIT;
	int r = own_get(s->m->st, s->t->ct, &own, err);

	if (r < 0)
		return r;
	if (own.kind != OWN_RELEASED || strcmp(own.token, s->t->token))
		return err_set(err, ERR_STATE,
			"container '%s' is %s here, not released by this send: nothing is removed",
			s->t->ct, own_kind_name(own.kind));
	/* Undefined already: an earlier cleanup was interrupted. */
	if (runtime_state(s->t->ct, &state, NULL, &e) >= 0 && state != CT_STOPPED)
		return err_set(err, ERR_STATE, "container '%s' is %s here: nothing is removed",
			s->t->ct, ct_state_name(state));
	return 0;
}

/* What was handed over is the only copy; and a device that the operator named for it is the
 * operator's. One of a pool is for the next container. */
static bool keeps_data(const struct volume *v, const json_t *f)
{
	return handed_is(f) || blockfs_is_named(v);
}

static int destroy_volumes(struct sending *s, struct err *err)
{
	json_t *all = json_object_get(s->t->facts, "volumes"), *f;
	const char *name;

	json_object_foreach(all, name, f)
	{
		_cleanup_volume_ struct volume *v = NULL;
		const char *path = json_get_str(f, "path");
		int r = path ? volume_open(path, s->t->ct, name, &v, err) : -ERR_NOT_FOUND;

		if (r == -ERR_NOT_FOUND) {
			err_clear(err);
			continue;
		}
		if (r >= 0)
			r = keeps_data(v, f) ? handed_forget(v, err) : volume_destroy(v, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What a runtime keeps as one goes as one. */
static int destroy_all(struct sending *s, struct err *err)
{
	int r = runtime_destroys() ? 0 : destroy_volumes(s, err);

	if (r >= 0)
		r = fault_point("retire.destroyed", err);
	return r < 0 ? r : runtime_undefine(s->t->ct, err);
}

/* From here on nobody is asked whether it may start: the runtime itself must know. */
static int lay_off(struct sending *s, struct err *err)
{
	int r = runtime_disable(s->t->ct, err);

	return r < 0 ? r : runtime_guard(s->t->ct, false, err);
}

static int destroy_here(struct sending *s, struct err *err)
{
	int r = check_released(s, err);

	if (r < 0 || json_get_bool(s->t->facts, "removed", false))
		return r;
	r = ask_once_more(s, err);
	if (r >= 0)
		r = fault_point("retire.before", err);
	if (r >= 0)
		r = s->o.keep ? lay_off(s, err) : destroy_all(s, err);
	/* From here on the peer may close its side and forget the key that could ask it. */
	return r < 0 ? r : transfer_fact(s->m->st, s->t, "removed", json_true(), err);
}

static void tell_peer(struct sending *s)
{
	const char *const words[] = {"receive", "cleanup", s->t->token, NULL};
	_cleanup_json_ json_t *answer = NULL;
	struct err e = ERR_INIT;

	if (peer_call(s->peer, words, NULL, &answer, &e) >= 0)
		return;
	log_warning("cleanup on %s: %s", s->t->peer, e.text);
	json_put_bool(s->t->facts, "tell_cleanup", true); /* wherryd does, later */
}

int retire_run(struct sending *s, struct err *err)
{
	bool clone = sending_is_clone(s);
	int r;

	sending_phase(s, "cleanup", 0);
	r = pass_forget(s, err);
	if (r >= 0)
		r = clone ? runtime_guard(s->t->ct, false, err) : destroy_here(s, err);
	if (r >= 0)
		r = places_transfer_dir_remove(s->t->token, err);
	if (r < 0)
		return r;
	tell_peer(s);
	r = state_begin(s->m->st, err);
	if (r < 0)
		return r;
	r = clone ? 0 : own_forget(s->m->st, s->t->ct, err);
	if (r >= 0)
		r = transfer_set_phase(s->m->st, s->t, TRANSFER_CLOSED, err);
	if (r >= 0)
		r = state_commit(s->m->st, err);
	else
		state_rollback(s->m->st);
	sending_phase_end(s);
	return r;
}
