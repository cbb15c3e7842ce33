#include "move/reserve.h"

#include <string.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/log.h"
#include "move/handed.h"
#include "move/pass.h"
#include "move/skel.h"
#include "node/job.h"
#include "runtime/runtime.h"
#include "storage/blockfs.h"

static int check_not_sent(struct move_ctx *m, const char *ct, struct err *err)
{
	_cleanup_transfer_ struct transfer *t = NULL;
	_cleanup_free_ char *next = NULL;
	int r = transfer_open_of(m->st, TRANSFER_SOURCE, ct, &t, err);

	if (r == -ERR_NOT_FOUND) {
		err_clear(err);
		return 0;
	}
	if (r < 0)
		return r;
	next = sending_next(t);
	return err_set(err, ERR_STATE,
		"container '%s' is already being sent to %s: next is %s, or `wherry ct send cancel "
		"%s`",
		ct, t->peer, next, ct);
}

static int check_ours(struct move_ctx *m, const char *ct, struct own *own, struct err *err)
{
	int r = own_get(m->st, ct, own, err);

	if (r < 0)
		return r;
	if (own->kind == OWN_OWNER)
		return 0;
	return err_set(err, ERR_STATE,
		"container '%s' does not belong to this node: it is %s (%s), see `wherry ct send "
		"status %s`",
		ct, own_kind_name(own->kind), own->peer, ct);
}

static int new_transfer(struct sending *s, const char *ct, const struct own *own, struct err *err)
{
	const struct send_opts *o = &s->o;
	const char *as = o->as_id && o->as_id[0] ? o->as_id : ct;

	if (!container_name_ok(as))
		return err_set(err, ERR_INVALID, "'%s' can't be a container's name", as);
	if (!o->host || !ssh_host_ok(o->host))
		return err_set(err, ERR_INVALID, "'%s' is not a host name", o->host ? o->host : "");
	s->t = transfer_new(TRANSFER_SOURCE, ct);
	snprintf(s->t->peer, sizeof(s->t->peer), "%s", o->host);
	snprintf(s->t->peer_ct, sizeof(s->t->peer_ct), "%s", as);
	snprintf(s->t->user, sizeof(s->t->user), "%s", o->user ? o->user : s->m->cfg->receive_user);
	s->t->port = o->port;
	s->t->epoch = own->epoch;
	json_decref(s->t->opts);
	s->t->opts = sending_opts_json(o);
	return 0;
}

/* How much it may hold, and what kind of filesystem it has of its own. */
static int look_at_shape(struct volume *v, json_t *f, struct err *err)
{
	_cleanup_blockfs_ struct blockfs b = {0};
	uint64_t limit;
	int r = volume_limit(v, &limit, err);

	if (r >= 0 && limit)
		json_put_u64(f, "size", limit);
	if (r >= 0 && blockfs_is(v))
		r = blockfs_info(v, &b, err);
	if (r >= 0 && b.fs[0])
		json_put_str(f, "fs", b.fs);
	return r;
}

/* What native streams cannot say the tree engine can; where there can be no snapshot, of what is
 * live. */
static int look_at_volume(struct volume *v, json_t *f, uint64_t *total, struct err *err)
{
	struct volume_size size;
	bool live, streams;
	int r = volume_size(v, &size, err);

	if (r >= 0)
		r = volume_streams(v, &size, &live, err);
	if (r < 0)
		return r;
	streams = r > 0;
	json_put_str(f, "path", v->path);
	r = look_at_shape(v, f, err);
	if (r < 0)
		return r;
	json_put_u64(f, "bytes", size.bytes);
	json_put_u64(f, "inodes", size.inodes);
	json_put_bool(f, "streams", streams);
	json_put_bool(f, "live", live);
	*total += size.bytes;
	return 0;
}

static int measure(struct sending *s, struct err *err)
{
	uint64_t total = 0;

	for (size_t i = 0; i < s->vols.n; i++) {
		json_t *f = sending_volume(s, s->vols.v[i]->name);
		int r = look_at_volume(s->vols.v[i], f, &total, err);

		if (r < 0)
			return r;
	}
	json_put_u64(s->t->facts, "bytes", total);
	return 0;
}

/* Not carried, as it has no effect here either; but somebody may believe that it has. */
static void say_ignored(struct sending *s)
{
	for (size_t i = 0; s->c->ignored && s->c->ignored[i]; i++)
		move_say(s->m,
			"container '%s': LXC ignores %s of its configuration, so it is not sent",
			s->t->ct, s->c->ignored[i]);
}

/* An older peer would take no notice of what is asked of it, and copy. */
static int check_devices(struct sending *s, struct err *err)
{
	const char *ct = s->t->ct;

	if (!s->o.hand_over && !s->o.to_device)
		return 0;
	if (s->o.hand_over && s->o.to_device)
		return err_set(err, ERR_INVALID,
			"the device of container '%s' is handed over, or the container is copied "
			"to "
			"another one: not both",
			ct);
	if (s->o.hand_over && s->o.clone)
		return err_set(err, ERR_INVALID,
			"container '%s' and a copy of it can't both have its device", ct);
	if (s->o.to_device && s->o.to_device[0] != '/')
		return err_set(err, ERR_INVALID,
			"'%s' is no device: its name on %s begins with a /", s->o.to_device,
			s->t->peer);
	if (!peer_has(s->hello, "device"))
		return err_set(err, ERR_UNSUPPORTED,
			"the Wherry on %s is too old to be told of devices", s->t->peer);
	return 0;
}

int reserve_check(struct move_ctx *m, const char *ct, const struct send_opts *o,
	struct sending **ret, struct err *err)
{
	_cleanup_sending_ struct sending *s = xnew(struct sending);
	struct own own;
	int r;

	s->m = m;
	s->o = *o;
	s->lock = -1;
	s->phases = json_array();
	if (!container_name_ok(ct))
		return err_set(err, ERR_INVALID, "'%s' can't be a container's name", ct);
	r = sending_limits(s, err);
	if (r >= 0)
		r = move_lock(m, ct, false, &s->lock, err);
	if (r >= 0)
		r = check_not_sent(m, ct, err);
	if (r >= 0)
		r = check_ours(m, ct, &own, err);
	if (r >= 0)
		r = runtime_load(ct, &s->c, err);
	if (r >= 0)
		r = sending_volumes(s, err);
	if (r >= 0)
		r = new_transfer(s, ct, &own, err);
	if (r < 0)
		return r;
	sending_phase(s, "config", 0);
	s->peer = peer_of(m, s->t, o->accept_new_host_key);
	s->peer->patience = 0; /* an operator waits for this: say at once what is wrong */
	r = peer_hello(s->peer, &s->hello, err);
	if (r >= 0)
		r = check_devices(s, err);
	if (r >= 0)
		r = measure(s, err);
	if (r >= 0)
		r = handed_offer(s, false, err);
	if (r < 0)
		return r;
	say_ignored(s);
	s->peer->patience = 30 * USEC_PER_SEC;
	*ret = TAKE_PTR(s);
	return 0;
}

int reserve_record(struct sending *s, struct err *err)
{
	int r = move_close_arrived(s->m, s->t->ct, err);

	return r < 0 ? r : transfer_insert(s->m->st, s->t, err);
}

int reserve_run(struct sending *s, struct err *err)
{
	int r = runtime_guard(s->t->ct, true, err);

	if (r >= 0)
		r = fault_point("reserve.guarded", err);
	if (r >= 0)
		r = handed_offer(s, true, err);
	if (r >= 0)
		r = skel_tell(s, err);
	if (r < 0)
		return r;
	s->t->phase = TRANSFER_CONFIG;
	return transfer_save(s->m->st, s->t, err);
}

static int tell(struct move_ctx *m, const struct transfer *t, const char *verb, struct err *err)
{
	const char *const words[] = {"receive", verb, t->token, NULL};
	_cleanup_peer_ struct peer *p = peer_of(m, t, false);
	_cleanup_json_ json_t *answer = NULL;
	int r;

	p->patience = 0;
	r = peer_call(p, words, NULL, &answer, err);
	return r < 0 ? r : 0;
}

int reserve_tell_cleanup(struct move_ctx *m, const struct transfer *t, struct err *err)
{
	int r = tell(m, t, "cleanup", err);

	/* There is nothing to clean up, or nobody of ours any more. */
	if (r == -ERR_STATE || r == -ERR_NOT_FOUND || r == -ERR_AUTH) {
		err_clear(err);
		r = 0;
	}
	return r;
}

int reserve_tell_cancel(struct move_ctx *m, const struct transfer *t, struct err *err)
{
	int r = tell(m, t, "cancel", err);

	if (r == -ERR_STATE) {
		/* A copy whose answer was lost: it is a container of its own there by now. */
		move_say(m, "cancel on %s: %s", t->peer, err->text);
		err_clear(err);
		r = reserve_tell_cleanup(m, t, err);
	}
	return r;
}

static void add_history(struct sending *s)
{
	json_t *d = json_object();

	json_put_str(d, "to", s->t->peer);
	json_put_str(d, "who", s->m->who);
	json_put_str(d, "token", s->t->token);
	move_history(s->m, s->t->ct, "cancelled", d);
}

int reserve_sweep(struct sending *s, struct err *err)
{
	struct own own;
	int r = pass_forget(s, err);

	if (r >= 0)
		r = own_get(s->m->st, s->t->ct, &own, err);
	/* Whose transfer has ended without us has given it back; but a later send may have handed
	 * over the same device by now, and who touches it here then mounts it on two nodes. */
	if (r >= 0 && own.kind == OWN_OWNER)
		r = handed_take_back(s->t, err);
	if (r >= 0 && own.kind == OWN_OWNER)
		r = handed_unmark(s->t, err);
	if (r >= 0)
		r = places_transfer_dir_remove(s->t->token, err);
	if (r >= 0)
		r = move_unguard(s->m, s->t->ct, err);
	return r < 0 ? r : transfer_fact(s->m->st, s->t, "unswept", NULL, err);
}

/* Ours first, durably: from then on the token is dead here, whatever the peer has heard. */
static int end_here(struct sending *s, bool tell, struct err *err)
{
	int r;

	if (tell)
		json_put_bool(s->t->facts, "tell_cancel", true);
	json_put_bool(s->t->facts, "unswept", true);
	if (s->t->phase < TRANSFER_CANCELLED)
		s->t->phase = TRANSFER_CANCELLED;
	r = transfer_save(s->m->st, s->t, err);
	if (r < 0)
		return r;
	add_history(s);
	return reserve_sweep(s, err);
}

/* A send that ends while the container is between two owners would leave it there: nobody could
 * start it, and nothing open would say why. */
static int check_settled(struct sending *s, struct err *err)
{
	struct own own;
	int r = own_get(s->m->st, s->t->ct, &own, err);

	if (r < 0 || own.kind == OWN_OWNER)
		return r;
	return err_set(err, ERR_UNKNOWN,
		"container '%s' is still %s here, so its send is not ended: wherryd keeps trying",
		s->t->ct, own_kind_name(own.kind));
}

int reserve_undo(struct sending *s, struct err *err)
{
	struct err e = ERR_INIT;
	bool tell = !s->o.local;
	int r = check_settled(s, err);

	if (r < 0)
		return r;
	if (!tell)
		return end_here(s, false, err);
	peer_drop(s->peer);
	r = end_here(s, true, err);
	if (r < 0)
		return r;
	if (reserve_tell_cancel(s->m, s->t, &e) >= 0)
		return transfer_fact(s->m->st, s->t, "tell_cancel", NULL, err);
	log_warning("cancel on %s: %s", s->t->peer, e.text);
	move_say(s->m, "%s could not be told (%s): %s", s->t->peer, e.text,
		s->o.force ? "what has arrived there stays there"
			   : "wherryd will tell it when it answers again");
	return s->o.force ? transfer_fact(s->m->st, s->t, "tell_cancel", NULL, err) : 0;
}

int reserve_undo_here(struct sending *s, struct err *err)
{
	int r = check_settled(s, err);

	return r < 0 ? r : end_here(s, true, err);
}
