#include "move/containers.h"

#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "move/places.h"
#include "node/ownership.h"
#include "node/transfer.h"
#include "runtime/runtime.h"

#define START_TIMEOUT (60 * USEC_PER_SEC)

static void put_send(struct move_ctx *m, const char *ct, json_t *o)
{
	_cleanup_transfer_ struct transfer *t = NULL;
	struct err ignored = ERR_INIT;

	if (transfer_open_of(m->st, TRANSFER_SOURCE, ct, &t, &ignored) < 0)
		return;
	json_put_str(o, "send", transfer_phase_name(t->phase));
	json_put_str(o, "peer", t->peer);
	/* What does not go on by itself, or not before the peer answers; send status says more. */
	if (t->phase == TRANSFER_COMMITTED)
		json_put_str(o, "send_note", "in doubt");
	else if (t->phase < TRANSFER_COMMITTED && json_get_bool(t->facts, "kept", false))
		json_put_str(o, "send_note", "failed, kept");
}

static void put_state(const char *ct, json_t *o)
{
	enum ct_state state;
	pid_t init = 0;
	struct err e = ERR_INIT;

	if (runtime_state(ct, &state, &init, &e) < 0) {
		json_put_str(o, "state", "unknown");
		json_put_str(o, "error", e.text);
		return;
	}
	json_put_str(o, "state", ct_state_name(state));
	if (init > 0)
		json_put_u64(o, "init", (uint64_t)init);
}

static void put_volume_brief(struct move_ctx *m, const struct volume_vec *vols, json_t *o)
{
	_cleanup_free_ char *pool = vols->n ? places_pool_of(m, vols->v[0]->path) : NULL;

	json_put_str(o, "pool", pool ? pool : "-");
	json_put_str(o, "driver", vols->n ? vols->v[0]->driver->name : NULL);
}

/* A container whose configuration or files are broken is listed all the same, with what is wrong.
 */
static json_t *describe(
	struct move_ctx *m, const char *ct, struct container **ret_c, struct volume_vec *vols)
{
	json_t *o = json_object();
	struct err e = ERR_INIT;
	struct own own;

	json_put_str(o, "name", ct);
	put_state(ct, o);
	put_send(m, ct, o);
	if (own_get(m->st, ct, &own, &e) >= 0 && own.recorded)
		json_put_str(o, "own", own_kind_name(own.kind));
	if (runtime_load(ct, ret_c, &e) < 0 || places_volumes(*ret_c, vols, &e) < 0)
		json_put_str(o, "error", e.text);
	if (*ret_c) {
		json_put_bool(o, "unprivileged", !container_privileged(*ret_c));
		json_put_bool(o, "autostart", (*ret_c)->autostart);
	}
	put_volume_brief(m, vols, o);
	return o;
}

int containers_list(struct move_ctx *m, json_t **ret_array, struct err *err)
{
	_cleanup_strv_ char **names = NULL;
	json_t *a;
	int r = runtime_list(&names, err);

	if (r < 0)
		return r;
	a = json_array();
	for (size_t i = 0; names && names[i]; i++) {
		_cleanup_container_ struct container *c = NULL;
		struct volume_vec vols = {0};

		json_array_append_new(a, describe(m, names[i], &c, &vols));
		volume_vec_free(&vols);
	}
	*ret_array = a;
	return 0;
}

static json_t *snapshots_json(struct volume *v)
{
	struct snapshot_vec snaps = {0};
	struct err ignored = ERR_INIT;
	json_t *a = json_array();

	if (volume_snapshots(v, &snaps, &ignored) >= 0)
		for (size_t i = 0; i < snaps.n; i++)
			json_array_append_new(
				a, json_pack("{s:s,s:I,s:b}", "name", snaps.v[i].name, "created",
					   (json_int_t)snaps.v[i].created, "own", snaps.v[i].own));
	snapshot_vec_done(&snaps);
	return a;
}

static json_t *volumes_json(const struct container *c, const struct volume_vec *vols)
{
	json_t *a = json_array();

	for (size_t i = 0; i < vols->n; i++) {
		struct volume_size size = {0};
		struct err ignored = ERR_INIT;
		json_t *o = json_object();

		json_put_str(o, "name", vols->v[i]->name);
		json_put_str(o, "path", vols->v[i]->path);
		json_put_str(o, "driver", vols->v[i]->driver->name);
		json_put_str(o, "mountpoint", c->volumes.v[i].mountpoint);
		if (volume_size(vols->v[i], &size, &ignored) >= 0) {
			json_put_u64(o, "bytes", size.bytes);
			json_put_u64(o, "inodes", size.inodes);
		}
		json_object_set_new(o, "snapshots", snapshots_json(vols->v[i]));
		json_array_append_new(a, o);
	}
	return a;
}

static json_t *refused_json(const struct container *c)
{
	json_t *a = json_array();

	for (size_t i = 0; i < c->refused.n; i++) {
		json_t *o = json_object();

		json_put_str(o, "key", c->refused.v[i].key);
		json_put_str(o, "value", c->refused.v[i].value);
		json_put_str(o, "reason", c->refused.v[i].reason);
		json_array_append_new(a, o);
	}
	return a;
}

static json_t *ignored_json(const struct container *c)
{
	json_t *a = json_array();

	for (size_t i = 0; c->ignored[i]; i++)
		json_array_append_new(a, json_string(c->ignored[i]));
	return a;
}

int containers_show(struct move_ctx *m, const char *ct, json_t **ret, struct err *err)
{
	_cleanup_container_ struct container *c = NULL;
	struct volume_vec vols = {0};
	json_t *o;
	int r = move_check_exists(ct, err);

	if (r < 0)
		return r;
	o = describe(m, ct, &c, &vols);
	if (c) {
		uint64_t total = 0;
		json_t *v = volumes_json(c, &vols), *one;
		size_t i;

		json_array_foreach(v, i, one) total += json_get_u64(one, "bytes", 0);
		json_put_u64(o, "bytes", total);
		json_object_set_new(o, "volumes", v);
		json_object_set_new(o, "config", container_json(c));
		json_object_set_new(o, "refused", refused_json(c));
		if (c->ignored)
			json_object_set_new(o, "ignored", ignored_json(c));
	}
	volume_vec_free(&vols);
	*ret = o;
	return 0;
}

static int lock_and_check(struct move_ctx *m, const char *ct, int *ret_lock, struct err *err)
{
	int r = move_check_exists(ct, err);

	return r < 0 ? r : move_lock(m, ct, false, ret_lock, err);
}

static int state_result(const char *ct, json_t **ret)
{
	json_t *o = json_object();

	json_put_str(o, "name", ct);
	put_state(ct, o);
	*ret = o;
	return 0;
}

static int start_locked(struct move_ctx *m, const char *ct, struct err *err)
{
	int r = own_may_start(m->st, ct, NULL, err);

	return r < 0 ? r : runtime_start(ct, START_TIMEOUT, err);
}

int containers_start(struct move_ctx *m, const char *ct, json_t **ret, struct err *err)
{
	_cleanup_close_ int lock = -1;
	int r = lock_and_check(m, ct, &lock, err);

	if (r >= 0)
		r = start_locked(m, ct, err);
	return r < 0 ? r : state_result(ct, ret);
}

/* A send that waits for its operator, or for a peer, is not to start it again: its user has said
 * so.
 */
static int note_stopped(struct move_ctx *m, const char *ct, struct err *err)
{
	_cleanup_transfer_ struct transfer *t = NULL;
	int r = transfer_open_of(m->st, TRANSFER_SOURCE, ct, &t, err);

	if (r == -ERR_NOT_FOUND) {
		err_clear(err);
		return 0;
	}
	if (r < 0 || t->phase >= TRANSFER_COMMITTED)
		return MIN(r, 0);
	json_object_del(t->facts, "was_running");
	json_object_del(t->facts, "ran");
	return transfer_save(m->st, t, err);
}

int containers_stop(struct move_ctx *m, const char *ct, bool kill, usec_t timeout, json_t **ret,
	struct err *err)
{
	_cleanup_close_ int lock = -1;
	int r = lock_and_check(m, ct, &lock, err);

	/* timeout 0 and no kill: the node's own patience. Killing at once is kill with timeout 0.
	 */
	if (r >= 0)
		r = runtime_stop(ct, timeout || kill ? timeout : m->cfg->stop_timeout, kill, err);
	if (r >= 0)
		r = note_stopped(m, ct, err);
	return r < 0 ? r : state_result(ct, ret);
}

int containers_restart(struct move_ctx *m, const char *ct, json_t **ret, struct err *err)
{
	_cleanup_close_ int lock = -1;
	int r = lock_and_check(m, ct, &lock, err);

	if (r >= 0)
		r = own_may_start(m->st, ct, NULL, err);
	if (r >= 0)
		r = runtime_stop(ct, m->cfg->stop_timeout, true, err);
	if (r >= 0)
		r = start_locked(m, ct, err);
	return r < 0 ? r : state_result(ct, ret);
}

static int may_delete(struct move_ctx *m, const char *ct, bool force, struct err *err)
{
	_cleanup_transfer_ struct transfer *t = NULL;
	enum ct_state state;
	struct own own;
	int r = transfer_open_of(m->st, TRANSFER_SOURCE, ct, &t, err);

	if (r >= 0)
		return err_set(err, ERR_STATE,
			"container '%s' is being sent to %s: `wherry ct send %s %s` first", ct,
			t->peer, t->phase >= TRANSFER_DONE ? "cleanup" : "cancel", ct);
	err_clear(err);
	r = own_get(m->st, ct, &own, err);
	if (r < 0)
		return r;
	if (own.kind != OWN_OWNER)
		return err_set(err, ERR_STATE,
			"container '%s' is %s here (%s), it can't be deleted", ct,
			own_kind_name(own.kind), own.peer);
	r = runtime_state(ct, &state, NULL, err);
	if (r < 0)
		return r;
	if (state != CT_STOPPED && !force)
		return err_set(err, ERR_STATE,
			"container '%s' is %s: stop it first, or delete it with --force", ct,
			ct_state_name(state));
	return state == CT_STOPPED ? 0 : runtime_stop(ct, 0, true, err);
}

static int destroy_files(const char *ct, struct err *err)
{
	_cleanup_container_ struct container *c = NULL;
	int r = runtime_load(ct, &c, err);

	for (size_t i = 0; r >= 0 && i < c->volumes.n; i++) {
		_cleanup_volume_ struct volume *v = NULL;

		if (!c->volumes.v[i].path)
			continue;
		r = volume_open(c->volumes.v[i].path, ct, c->volumes.v[i].name, &v, err);
		if (r == -ERR_NOT_FOUND) { /* an earlier delete was interrupted */
			err_clear(err);
			r = 0;
		} else if (r >= 0) {
			r = volume_destroy(v, err);
		}
	}
	return r;
}

int containers_delete(struct move_ctx *m, const char *ct, bool force, json_t **ret, struct err *err)
{
	_cleanup_close_ int lock = -1;
	int r = lock_and_check(m, ct, &lock, err);

	if (r >= 0)
		r = may_delete(m, ct, force, err);
	if (r >= 0)
		r = destroy_files(ct, err);
	if (r >= 0)
		r = fault_point("delete.files", err);
	if (r >= 0)
		r = runtime_undefine(ct, err);
	if (r >= 0)
		r = move_close_arrived(m, ct, err);
	if (r >= 0)
		r = own_forget(m->st, ct, err);
	if (r < 0)
		return r;
	move_history(m, ct, "deleted", json_pack("{s:s}", "who", m->who ? m->who : "?"));
	*ret = json_pack("{s:s,s:s}", "name", ct, "state", "deleted");
	return 0;
}

int containers_exec(struct move_ctx *m, const char *ct, char *const *argv, const int fds[3],
	json_t **ret, struct err *err)
{
	int status = 0, r = move_check_exists(ct, err);

	(void)m;
	if (r >= 0)
		r = runtime_exec(ct, argv, fds, &status, err);
	if (r < 0)
		return r;
	/* As a shell says it. */
	*ret = json_pack("{s:i}", "status",
		WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return 0;
}
