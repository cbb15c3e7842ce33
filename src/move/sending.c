#include "move/sending.h"

#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"
#include "move/handed.h"
#include "runtime/runtime.h"

static void adopt_opts(struct sending *s)
{
	const json_t *o = s->t->opts;

	s->o.clone = json_get_bool(o, "clone", false);
	s->o.network = json_get_bool(o, "network", true);
	s->o.snapshots = json_get_bool(o, "snapshots", true);
	s->o.from_snapshot = json_get_str(o, "from_snapshot");
	s->o.keep = s->o.keep || json_get_bool(o, "keep", false);
	s->o.to_device = json_get_str(o, "to_device");
	s->o.hand_over = json_get_bool(o, "hand_over", false);
	if (!s->o.bwlimit)
		s->o.bwlimit = json_get_u64(o, "bwlimit", 0);
}

int sending_limits(struct sending *s, struct err *err)
{
	rate_init(&s->rate, s->o.bwlimit);
	return bwlimit_open(NULL, s->m->cfg->bwlimit, &s->bwlimit, err);
}

int sending_open(struct move_ctx *m, const char *ct, const struct send_opts *o,
	struct sending **ret, struct err *err)
{
	_cleanup_sending_ struct sending *s = xnew(struct sending);
	int r;

	s->m = m;
	s->o = *o;
	s->lock = -1;
	s->phases = json_array();
	r = move_lock(m, ct, false, &s->lock, err);
	if (r < 0)
		return r;
	r = transfer_open_of(m->st, TRANSFER_SOURCE, ct, &s->t, err);
	if (r == -ERR_NOT_FOUND)
		return err_set(err, ERR_STATE,
			"container '%s' is not being sent: `wherry ct send config %s HOST` comes "
			"first",
			ct, ct);
	if (r < 0)
		return r;
	adopt_opts(s);
	s->peer = peer_of(m, s->t, o->accept_new_host_key);
	r = sending_limits(s, err);
	if (r < 0)
		return r;
	log_context("job %llu %s", (unsigned long long)m->job, ct);
	*ret = TAKE_PTR(s);
	return 0;
}

/* What is read from now on must be what the first step saw: that is what the destination has made
 * room for, and what cleanup removes. */
static int check_same_volumes(const struct sending *s, struct err *err)
{
	const json_t *all = json_object_get(s->t->facts, "volumes");
	bool same = json_object_size(all) == s->vols.n;

	for (size_t i = 0; same && i < s->vols.n; i++) {
		const json_t *f = json_object_get(all, s->vols.v[i]->name);
		const char *path = json_get_str(f, "path");

		same = path && !strcmp(path, s->vols.v[i]->path);
	}
	if (same)
		return 0;
	return err_set(err, ERR_STATE,
		"the volumes of container '%s' are not those with which its send began: `wherry ct "
		"send cancel %s`, and begin again",
		s->t->ct, s->t->ct);
}

int sending_volumes(struct sending *s, struct err *err)
{
	if (!s->unmounted)
		s->unmounted = handed_unmounted(s->c);
	return places_volumes(s->c, &s->vols, err);
}

int sending_load(struct sending *s, struct err *err)
{
	int r;

	if (s->c)
		return 0;
	r = runtime_load(s->t->ct, &s->c, err);
	if (r < 0)
		return r;
	r = sending_volumes(s, err);
	return r < 0 ? r : check_same_volumes(s, err);
}

int sending_reload(struct sending *s, struct err *err)
{
	container_free(s->c);
	s->c = NULL;
	volume_vec_free(&s->vols);
	return sending_load(s, err);
}

void sending_free(struct sending *s)
{
	if (!s)
		return;
	sending_phase_end(s);
	volume_vec_free(&s->vols);
	if (s->c && s->unmounted)
		handed_unmount_again(s->c->name, s->unmounted);
	json_decref(s->unmounted);
	transfer_free(s->t);
	container_free(s->c);
	peer_free(s->peer);
	json_decref(s->phases);
	json_decref(s->hello);
	bwlimit_free(s->bwlimit);
	if (s->lock >= 0)
		close(s->lock);
	free(s);
}

void sending_freep(struct sending **s)
{
	sending_free(*s);
}

json_t *sending_opts_json(const struct send_opts *o)
{
	json_t *j = json_object(), *ssh = json_array();

	json_put_bool(j, "clone", o->clone);
	json_put_bool(j, "consistent", o->consistent);
	json_put_bool(j, "restart", o->restart);
	json_put_bool(j, "start", o->start);
	json_put_bool(j, "network", o->network);
	json_put_bool(j, "snapshots", o->snapshots);
	json_put_str(j, "from_snapshot", o->from_snapshot);
	json_put_str(j, "to_device", o->to_device);
	json_put_bool(j, "hand_over", o->hand_over);
	json_put_bool(j, "remove", o->remove);
	json_put_bool(j, "keep_partial", o->keep_partial);
	for (size_t i = 0; o->ssh_options && o->ssh_options[i]; i++)
		json_array_append_new(ssh, json_string(o->ssh_options[i]));
	json_object_set_new(j, "ssh", ssh);
	json_put_u64(j, "bwlimit", o->bwlimit);
	json_put_bool(j, "keep", o->keep);
	if (o->source)
		json_object_set(j, "source", (json_t *)(uintptr_t)o->source);
	return j;
}

bool sending_is_clone(const struct sending *s)
{
	return s->o.clone;
}

bool sending_removes(const struct transfer *t)
{
	return json_get_bool(t->opts, "now", false) && json_get_bool(t->opts, "remove", true);
}

bool sending_in_doubt(const struct sending *s, const struct own *own)
{
	return s->t->phase == TRANSFER_COMMITTED &&
	       (own->kind == OWN_RELEASED || sending_is_clone(s));
}

int sending_left_open(struct err *err)
{
	struct err e = ERR_INIT;

	err_copy(&e, err);
	return err_set(err, ERR_UNKNOWN, "%s; wherryd keeps trying", e.text);
}

json_t *sending_volume(struct sending *s, const char *name)
{
	json_t *all = json_object_get(s->t->facts, "volumes"), *v;

	if (!all) {
		all = json_object();
		json_object_set_new(s->t->facts, "volumes", all);
	}
	v = json_object_get(all, name);
	if (!v) {
		v = json_object();
		json_object_set_new(all, name, v);
	}
	return v;
}

bool sending_native(struct sending *s, const char *name)
{
	const char *method = json_get_str(sending_volume(s, name), "method");

	return method && strcmp(method, "tree") && strcmp(method, HANDED_METHOD);
}

void sending_phase(struct sending *s, const char *name, uint64_t total)
{
	json_t *p = json_object();

	sending_phase_end(s);
	json_put_str(p, "phase", name);
	json_array_append_new(s->phases, p);
	s->phase_started = clock_now();
	s->phase_bytes = s->bytes;
	progress_phase(s->m->progress, name, total);
}

void sending_phase_end(struct sending *s)
{
	json_t *p;

	if (!s->phase_started)
		return;
	p = json_array_get(s->phases, json_array_size(s->phases) - 1);
	json_put_u64(p, "ms", (clock_now() - s->phase_started) / USEC_PER_MSEC);
	json_put_u64(p, "bytes", s->bytes - s->phase_bytes);
	s->phase_started = 0;
	progress_end(s->m->progress);
}

json_t *sending_report(struct sending *s)
{
	json_t *r = json_object();

	sending_phase_end(s);
	json_put_str(r, "ct", s->t->ct);
	json_put_str(r, "peer", s->t->peer);
	json_put_str(r, "peer_ct", s->t->peer_ct);
	json_put_str(r, "token", s->t->token);
	json_put_str(r, "phase", transfer_phase_name(s->t->phase));
	json_object_set(r, "phases", s->phases);
	json_put_u64(r, "bytes", s->bytes);
	json_put_u64(r, "entries", s->entries);
	if (json_get_bool(s->t->facts, "tell_cleanup", false))
		json_put_str(r, "later", "cleanup");
	if (transfer_is_open(s->t)) {
		_cleanup_free_ char *next = sending_next(s->t);

		json_put_str(r, "next", next);
	}
	if (json_object_get(s->t->facts, "fixups"))
		json_object_set(r, "fixups", json_object_get(s->t->facts, "fixups"));
	if (s->stop_ended)
		json_put_u64(r, "stop_ms", (s->stop_ended - s->stop_began) / USEC_PER_MSEC);
	return r;
}

char *sending_next(const struct transfer *t)
{
	const char *step = "";

	switch (t->phase) {
	case TRANSFER_NEW: step = "cancel"; break;
	case TRANSFER_CONFIG: step = "rootfs"; break;
	case TRANSFER_BASE:
	case TRANSFER_INCREMENTAL:
	case TRANSFER_PREPARED: step = "state"; break;
	case TRANSFER_COMMITTED: step = "resolve"; break;
	case TRANSFER_DONE: step = "cleanup"; break;
	case TRANSFER_CLOSED:
	case TRANSFER_CANCELLED:
	case TRANSFER_REFUSED: return xasprintf("`wherry ct send config %s HOST`", t->ct);
	}
	return xasprintf("`wherry ct send %s %s`", step, t->ct);
}
